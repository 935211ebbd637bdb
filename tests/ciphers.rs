//! Encrypt, Decrypt, MAC, MACVerify, Hash, RNGRetrieve, RNGSeed and DeriveKey: exact results of the standards' vectors, the
//! rules of each mode, and what is refused. `wycheproof.rs` has many more vectors.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod support;

use support::operations::{Answer, Kms, bytes, enumeration, hex, integer, item, on, structure};

/// The key, and the plaintext of four blocks, of NIST SP 800-38A appendix F.
const KEY_128: &str = "2b7e151628aed2a6abf7158809cf4f3c";
const PLAIN: &str = "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e5130c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710";
/// Its initialization vector, and the first counter block.
const VECTOR: &str = "000102030405060708090a0b0c0d0e0f";
const COUNTER: &str = "f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff";

const ENCRYPT_AND_DECRYPT: u32 = 0xC;
const ALL: u32 = 0x3FF;

fn parameters(items: &[String]) -> String {
    structure("CryptographicParameters", items)
}

fn mode(name: &str) -> String {
    enumeration("BlockCipherMode", name)
}

fn data(data: &[u8]) -> String {
    bytes("Data", data)
}

fn nonce(nonce: &[u8]) -> String {
    bytes("IVCounterNonce", nonce)
}

fn unpadded(name: &str) -> String {
    parameters(&[mode(name), enumeration("PaddingMethod", "None")])
}

#[test]
fn modes_are_those_of_sp_800_38a() {
    let mut kms = Kms::new();
    kms.import("k", "AES", ENCRYPT_AND_DECRYPT, &hex(KEY_128), &[]);
    for (mode, vector, sealed) in [
        (
            "ECB",
            "",
            "3ad77bb40d7a3660a89ecaf32466ef97f5d3d58503b9699de785895a96fdbaaf43b1cd7f598ece23881b00e3ed0306887b0c785e27e8ad3f8223207104725dd4",
        ),
        (
            "CBC",
            VECTOR,
            "7649abac8119b246cee98e9b12e9197d5086cb9b507219ee95db113a917678b273bed6b8e3c1743b7116e69e222295163ff1caa1681fac09120eca307586e1a7",
        ),
        (
            "CTR",
            COUNTER,
            "874d6191b620e3261bef6864990db6ce9806f66b7970fdff8617187bb9fffdff5ae4df3edbd5d35e5b4f09020db03eab1e031dda2fbe03d1792170a0f3009cee",
        ),
    ] {
        let given = |text: &[u8]| [on("k"), unpadded(mode), data(text), nonce(&hex(vector))];
        let answer = kms.ask("Encrypt", &given(&hex(PLAIN))).unwrap();
        assert_eq!(answer.bytes("Data").unwrap(), hex(sealed), "{mode}");
        assert_eq!(answer.bytes("IVCounterNonce").unwrap_or_default(), hex(vector), "{mode}");
        assert_eq!(answer.bytes("AuthenticatedEncryptionTag"), None, "{mode}");
        let answer = kms.ask("Decrypt", &given(&hex(sealed))).unwrap();
        assert_eq!(answer.bytes("Data").unwrap(), hex(PLAIN), "{mode}");
    }
    // What is said of the length of a nonce is that of the nonce.
    let said = parameters(&[mode("GCM"), integer("IVLength", 128)]);
    kms.ask("Encrypt", &[on("k"), said, data(&hex(PLAIN)), nonce(&[1; 16])]).unwrap();
    // The same counter, in its parts.
    let whole = hex(COUNTER);
    let (first, counter) = whole.split_at(12);
    let counter = u32::from_be_bytes(counter.try_into().unwrap());
    let apart = parameters(&[
        mode("CTR"),
        integer("IVLength", 96),
        integer("CounterLength", 32),
        item("InitialCounterValue", "LongInteger", &format!("\"0x{counter:016X}\"")),
    ]);
    let answer = kms.ask("Encrypt", &[on("k"), apart, data(&hex(PLAIN)), nonce(first)]).unwrap();
    assert_eq!(answer.bytes("Data").unwrap()[..4], hex("874d6191"));
}

#[test]
fn blocks_are_padded_as_asked() {
    let mut kms = Kms::new();
    kms.import("k", "AES", ENCRYPT_AND_DECRYPT, &hex(KEY_128), &[]);
    let with = |padding: Option<&str>| {
        let padding = padding.map(|name| enumeration("PaddingMethod", name));
        parameters(&[vec![mode("CBC")], Vec::from_iter(padding)].concat())
    };
    let vector = nonce(&hex(VECTOR));
    for (padding, end) in [
        (None, Some("0c0c0c0c0c0c0c0c0c0c0c0c")),
        (Some("PKCS5"), Some("0c0c0c0c0c0c0c0c0c0c0c0c")),
        (Some("ANSIX923"), Some("00000000000000000000000c")),
        (Some("ISO10126"), None),
    ] {
        let sealed = kms.ask("Encrypt", &[on("k"), with(padding), data(&[7; 4]), vector.clone()]).unwrap();
        let sealed = sealed.bytes("Data").unwrap();
        let opened = kms.ask("Decrypt", &[on("k"), with(padding), data(&sealed), vector.clone()]).unwrap();
        assert_eq!(opened.bytes("Data").unwrap(), [7; 4], "{padding:?}");
        let raw = kms.ask("Decrypt", &[on("k"), unpadded("CBC"), data(&sealed), vector.clone()]).unwrap();
        let raw = raw.bytes("Data").unwrap();
        assert_eq!((raw.len(), raw[15]), (16, 12), "{padding:?}");
        if let Some(end) = end {
            assert_eq!(raw[4..], hex(end), "{padding:?}");
        }
        // What was padded otherwise is not taken for genuine.
        let wrong = kms.ask("Decrypt", &[on("k"), with(padding), data(&[9; 16]), vector.clone()]);
        assert!(wrong.unwrap_err().starts_with("Cryptographic_Failure: "), "{padding:?}");
    }
    let partial = kms.ask("Encrypt", &[on("k"), unpadded("CBC"), data(&[7; 4]), vector.clone()]);
    assert_eq!(
        partial.unwrap_err(),
        "Invalid Request: Encrypt: Data must be whole blocks of 16 bytes for AES-CBC"
    );
    let zeros = kms.ask("Encrypt", &[on("k"), with(Some("Zeros")), data(&[7; 4]), vector]);
    assert_eq!(
        zeros.unwrap_err(),
        "Not Supported: PaddingMethod: block ciphers take None, PKCS5, ANSIX923 or ISO10126"
    );
}

/// What `ckms` sends for `sym encrypt -e rfc3394` and `-e rfc5649`, with the vectors of RFC 3394 section 4.1 and RFC 5649
/// section 6.
#[test]
fn keys_are_wrapped_by_encryption() {
    let mut kms = Kms::new();
    kms.import("a", "AES", ENCRYPT_AND_DECRYPT, &hex("000102030405060708090A0B0C0D0E0F"), &[]);
    kms.import(
        "b",
        "AES",
        ENCRYPT_AND_DECRYPT,
        &hex("5840df6e29b02af1ab493b705bf16ea1ae8338f4dcc176a8"),
        &[],
    );
    for (uid, name, plain, wrapped) in [
        (
            "a",
            "NISTKeyWrap",
            "00112233445566778899AABBCCDDEEFF",
            "1FA68B0A8112B447AEF34BD8FB5A7B829D3E862371D2CFE5",
        ),
        (
            "b",
            "AESKeyWrapPadding",
            "c37b7e6492584340bed12207808941155068f738",
            "138bdeaa9b8fa7fc61f97742e72248ee5ae6ae5360d1ae6a5f54f373fa543b6a",
        ),
        ("b", "AESKeyWrapPadding", "466f7250617369", "afbeb0f07dfbf5419200f2ccb50bb24f"),
    ] {
        let parameters = parameters(&[mode(name), enumeration("CryptographicAlgorithm", "AES")]);
        let answer = kms.ask("Encrypt", &[on(uid), parameters.clone(), data(&hex(plain))]).unwrap();
        assert_eq!(answer.bytes("Data").unwrap(), hex(wrapped));
        assert!(!answer.0.contains("IVCounterNonce") && !answer.0.contains("Tag\","), "{answer:?}");
        let empty = [nonce(&[]), bytes("AuthenticatedEncryptionTag", &[])];
        let given = |data: String| [vec![on(uid), parameters.clone(), data], empty.to_vec()].concat();
        let answer = kms.ask("Decrypt", &given(data(&hex(wrapped)))).unwrap();
        assert_eq!(answer.bytes("Data").unwrap(), hex(plain));
        let mut forged = hex(wrapped);
        forged[9] ^= 1;
        let answer = kms.ask("Decrypt", &given(data(&forged)));
        assert!(answer.unwrap_err().starts_with("Cryptographic_Failure: "));
    }
    let odd = kms.ask("Encrypt", &[on("a"), parameters(&[mode("NISTKeyWrap")]), data(&[1; 17])]);
    assert_eq!(
        odd.unwrap_err(),
        "Invalid Request: Encrypt: Data has a length that NISTKeyWrap does not take"
    );
}

#[test]
fn gcm_has_other_nonces_and_tags_where_they_are_asked_for() {
    let mut kms = Kms::new();
    // Test case 6 of "The Galois/Counter Mode of Operation": a nonce of 60 bytes.
    kms.import("k", "AES", ENCRYPT_AND_DECRYPT, &hex("feffe9928665731c6d6a8f9467308308"), &[]);
    let long = hex(
        "9313225df88406e555909c5aff5269aa6a7a9538534f7da1e4c303d2a318a728c3c0c95156809539fcf0e2429a6b525416aedbf5a0de6a57a637b39b",
    );
    let plain = hex(
        "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39",
    );
    let aad =
        bytes("AuthenticatedEncryptionAdditionalData", &hex("feedfacedeadbeeffeedfacedeadbeefabaddad2"));
    let tag = hex("619cc5aefffe0bfa462af43c1699d050");
    for tag_bytes in [12, 13, 14, 15, 16] {
        let parameters = parameters(&[mode("GCM"), integer("TagLength", tag_bytes)]);
        let given = [on("k"), parameters, nonce(&long), aad.clone()];
        let sealed = kms.ask("Encrypt", &[given.to_vec(), vec![data(&plain)]].concat()).unwrap();
        let (found, text) =
            (sealed.bytes("AuthenticatedEncryptionTag").unwrap(), sealed.bytes("Data").unwrap());
        assert_eq!((&found[..], &text[..4]), (&tag[..tag_bytes], &hex("8ce24998")[..]));
        let mut open = |tag: &[u8]| {
            let sealed = vec![data(&text), bytes("AuthenticatedEncryptionTag", tag)];
            kms.ask("Decrypt", &[given.to_vec(), sealed].concat())
        };
        assert_eq!(open(&found).unwrap().bytes("Data").unwrap(), plain);
        let mut forged = found.clone();
        forged[0] ^= 1;
        assert!(open(&forged).unwrap_err().starts_with("Cryptographic_Failure: "));
        assert_eq!(
            open(&found[1..]).unwrap_err(),
            format!(
                "Invalid Request: Decrypt: AuthenticatedEncryptionTag must have {tag_bytes} bytes for AES-GCM"
            )
        );
    }
}

#[test]
fn what_a_mode_does_not_take_is_refused_by_name() {
    let mut kms = Kms::new();
    kms.import("k", "AES", ENCRYPT_AND_DECRYPT, &hex(KEY_128), &[]);
    kms.import("twins", "AES", ENCRYPT_AND_DECRYPT, &[7; 32], &[]);
    kms.import("xts", "AES", ENCRYPT_AND_DECRYPT, &(0..64).collect::<Vec<_>>(), &[]);
    kms.import("chacha", "ChaCha20", ENCRYPT_AND_DECRYPT, &[7; 32], &[]);
    let with = |name, more: &[String]| parameters(&[vec![mode(name)], more.to_vec()].concat());
    let text = data(&[0; 16]);
    for (uid, items, reason) in [
        (
            "k",
            vec![with("GCM", &[integer("TagLength", 8)])],
            "Invalid Request: CryptographicParameters: TagLength must be 12 to 16 for AES-GCM",
        ),
        (
            "k",
            vec![with("CBC", &[integer("TagLength", 16)])],
            "Invalid Request: CryptographicParameters: TagLength must be absent for AES-CBC",
        ),
        (
            "k",
            vec![nonce(&[0; 129])],
            "Invalid Request: IVCounterNonce must have 1 to 128 bytes for AES-GCM, not 129",
        ),
        (
            "k",
            vec![with("CBC", &[]), nonce(&[0; 12])],
            "Invalid Request: IVCounterNonce must have 16 bytes for AES-CBC, not 12",
        ),
        (
            "k",
            vec![with("GCMSIV", &[]), nonce(&[0; 16])],
            "Invalid Request: IVCounterNonce must have 12 bytes for AES-GCM-SIV, not 16",
        ),
        (
            "k",
            vec![with("ECB", &[]), nonce(&[0; 16])],
            "Invalid Request: IVCounterNonce must have no bytes for AES-ECB, not 16",
        ),
        (
            "k",
            vec![with("CTR", &[]), nonce(&[0; 12])],
            "Invalid Request: IVCounterNonce must have 16 bytes, or 12 beside an InitialCounterValue of 32 bits, for AES-CTR, not 12",
        ),
        (
            "k",
            vec![with("CBC", &[]), bytes("AuthenticatedEncryptionAdditionalData", &[1])],
            "Invalid Request: AuthenticatedEncryptionAdditionalData must be absent: AES-CBC authenticates nothing",
        ),
        (
            "k",
            vec![with("GCM", &[enumeration("PaddingMethod", "PKCS5")])],
            "Invalid Request: CryptographicParameters: PaddingMethod must be None for AES-GCM",
        ),
        (
            "k",
            vec![with("GCM", &[item("RandomIV", "Boolean", "true")]), nonce(&[0; 12])],
            "Invalid Request: Encrypt: IVCounterNonce must be absent, since the CryptographicParameters ask for a RandomIV",
        ),
        (
            "k",
            vec![with("CBC", &[integer("IVLength", 96)])],
            "Invalid Request: CryptographicParameters: IVLength must be 128 with this nonce of AES-CBC",
        ),
        (
            "k",
            vec![with("CTR", &[integer("CounterLength", 32)]), nonce(&[0; 16])],
            "Invalid Request: CryptographicParameters: CounterLength must be 128 with this nonce of AES-CTR",
        ),
        (
            "k",
            vec![with("GCM", &[integer("InitialCounterValue", 1)])],
            "Invalid Request: CryptographicParameters: InitialCounterValue must be absent for AES-GCM",
        ),
        ("k", vec![with("OFB", &[])], "Not Supported: AES with OFB is not done here"),
        ("k", vec![with("XTS", &[])], "Not Supported: key k, of 128 bits, is none that AES-XTS takes"),
        ("xts", vec![with("GCM", &[])], "Not Supported: key xts, of 512 bits, is none that AES-GCM takes"),
        ("twins", vec![with("XTS", &[])], "Invalid Request: key twins: the two keys of AES-XTS must differ"),
        (
            "k",
            vec![parameters(&[enumeration("CryptographicAlgorithm", "ChaCha20")])],
            "Invalid Request: CryptographicParameters: CryptographicAlgorithm is ChaCha20, and the key is one for AES",
        ),
        ("chacha", vec![with("CBC", &[])], "Not Supported: ChaCha20 with CBC is not done here"),
    ] {
        let request = [vec![on(uid), text.clone()], items].concat();
        assert_eq!(kms.ask("Encrypt", &request).unwrap_err(), reason);
    }
    let short = kms.ask("Encrypt", &[on("xts"), with("XTS", &[]), data(&[0; 15])]);
    assert_eq!(
        short.unwrap_err(),
        "Invalid Request: Encrypt: Data must have 16 to 16777216 bytes for AES-XTS"
    );
    for (items, reason) in [
        (
            vec![with("GCM", &[]), nonce(&[0; 12])],
            "Invalid Request: Decrypt: missing field `AuthenticatedEncryptionTag`",
        ),
        (vec![with("CBC", &[])], "Invalid Request: Decrypt: missing field `IVCounterNonce`"),
        (
            vec![with("CBC", &[]), nonce(&[0; 16]), bytes("AuthenticatedEncryptionTag", &[0; 16])],
            "Invalid Request: Decrypt: AuthenticatedEncryptionTag must be absent for AES-CBC",
        ),
    ] {
        let request = [vec![on("k"), text.clone()], items].concat();
        assert_eq!(kms.ask("Decrypt", &request).unwrap_err(), reason);
    }
}

#[test]
fn a_request_without_parameters_takes_those_of_the_key() {
    let mut kms = Kms::new();
    let own = parameters(&[mode("CBC"), enumeration("PaddingMethod", "ANSIX923")]);
    kms.import("k", "AES", ENCRYPT_AND_DECRYPT, &hex(KEY_128), &[own]);
    let sealed = kms.ask("Encrypt", &[on("k"), data(&[7; 4])]).unwrap();
    assert_eq!(sealed.bytes("IVCounterNonce").unwrap().len(), 16);
    let given = [data(&sealed.bytes("Data").unwrap()), nonce(&sealed.bytes("IVCounterNonce").unwrap())];
    let raw = kms.ask("Decrypt", &[vec![on("k"), unpadded("CBC")], given.to_vec()].concat()).unwrap();
    assert_eq!(raw.bytes("Data").unwrap(), hex("0707070700000000000000000000000c"));
    let opened = kms.ask("Decrypt", &[vec![on("k")], given.to_vec()].concat()).unwrap();
    assert_eq!(opened.bytes("Data").unwrap(), [7; 4]);
    // Keys of ChaCha20 are for ChaCha20-Poly1305, whichever the name.
    for name in ["ChaCha20", "ChaCha20Poly1305"] {
        kms.import("c", name, ENCRYPT_AND_DECRYPT, &[7; 32], &[]);
        let sealed = kms.ask("Encrypt", &[on("c"), data(&[7; 4])]).unwrap();
        assert_eq!(sealed.bytes("AuthenticatedEncryptionTag").unwrap().len(), 16);
        let asked = parameters(&[enumeration("CryptographicAlgorithm", "ChaCha20Poly1305")]);
        let opened = kms.ask(
            "Decrypt",
            &[
                on("c"),
                asked,
                data(&sealed.bytes("Data").unwrap()),
                nonce(&sealed.bytes("IVCounterNonce").unwrap()),
                bytes("AuthenticatedEncryptionTag", &sealed.bytes("AuthenticatedEncryptionTag").unwrap()),
            ],
        );
        assert_eq!(opened.unwrap().bytes("Data").unwrap(), [7; 4], "{name}");
    }
}

/// NIST SP 800-67 appendix B.
#[test]
fn triple_des_only_decrypts() {
    let mut kms = Kms::new();
    let three = hex("0123456789ABCDEF23456789ABCDEF01456789ABCDEF0123");
    kms.import("three", "THREE_DES", ENCRYPT_AND_DECRYPT, &three, &[]);
    let sealed = hex("A826FD8CE53B855FCCE21C8112256FE668D5C05DD9B6B900");
    let opened = kms.ask("Decrypt", &[on("three"), unpadded("ECB"), data(&sealed)]).unwrap();
    assert_eq!(opened.bytes("Data").unwrap(), b"The qufck brown fox jump");
    let refused = kms.ask("Encrypt", &[on("three"), unpadded("ECB"), data(&sealed)]);
    assert_eq!(refused.unwrap_err(), "Not Supported: 3DES-ECB is for Decrypt only");
    // With two keys, the first is the third.
    kms.import("long", "THREE_DES", ENCRYPT_AND_DECRYPT, &[&three[..16], &three[..8]].concat(), &[]);
    kms.import("short", "THREE_DES", ENCRYPT_AND_DECRYPT, &three[..16], &[]);
    let mut open = |uid| {
        kms.ask("Decrypt", &[on(uid), unpadded("CBC"), data(&sealed), nonce(&[1; 8])])
            .unwrap()
            .bytes("Data")
            .unwrap()
    };
    assert_eq!(open("long"), open("short"));
}

#[test]
fn dates_bound_protection_and_processing() {
    let mut kms = Kms::new();
    let date = |tag, value: &str| item(tag, "DateTime", &format!("{value:?}"));
    let dates =
        [date("ProtectStopDate", "2026-12-01T00:00:00Z"), date("ProcessStartDate", "2026-12-01T00:00:00Z")];
    kms.import("k", "AES", ALL, &hex(KEY_128), &dates);
    let cbc = || parameters(&[mode("CBC"), enumeration("HashingAlgorithm", "SHA256")]);
    let encrypt = [on("k"), cbc(), data(&[1]), nonce(&[0; 16])];
    let sealed = kms.ask("Encrypt", &encrypt).unwrap().bytes("Data").unwrap();
    let decrypt = [on("k"), cbc(), data(&sealed), nonce(&[0; 16])];
    let verify = [on("k"), cbc(), data(&[1]), bytes("MACData", &[1])];
    let refusal = |operation, rule| Err(format!("Permission_Denied: {operation}: key k: its {rule}"));
    let (to_come, passed) = ("ProcessStartDate is still to come", "ProtectStopDate has passed");
    assert_eq!(kms.ask("Decrypt", &decrypt), refusal("Decrypt", to_come));
    assert_eq!(kms.ask("MACVerify", &verify), refusal("MACVerify", to_come));
    kms.ask("MAC", &encrypt).unwrap();
    kms.wait(30 * 24 * 60 * 60);
    assert_eq!(kms.ask("Encrypt", &encrypt), refusal("Encrypt", passed));
    assert_eq!(kms.ask("MAC", &encrypt), refusal("MAC", passed));
    kms.ask("Decrypt", &decrypt).unwrap();
    kms.ask("MACVerify", &verify).unwrap();
}

fn hashing(name: &str) -> String {
    parameters(&[enumeration("HashingAlgorithm", name)])
}

/// RFC 4231 section 4.3, NIST SP 800-38B appendix D.1, and what `ckms mac` sends.
#[test]
fn codes_are_made_and_verified() {
    let mut kms = Kms::new();
    // The mask that `ckms` gives to keys.
    kms.import("jefe", "AES", 2108, b"JefeJefeJefeJefe", &[]);
    kms.import("k", "HMACSHA256", 0x180, b"Jefe", &[]);
    kms.import("aes", "AES", 0x180, &hex(KEY_128), &[]);
    let text = data(b"what do ya want for nothing?");
    let code = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
    let indicators = ["InitIndicator", "FinalIndicator"].map(|tag| item(tag, "Boolean", "false"));
    let by_key = kms.ask("MAC", &[on("k"), text.clone()]).unwrap();
    let request = [vec![on("k"), hashing("SHA256"), text.clone()], indicators.to_vec()].concat();
    assert_eq!(kms.ask("MAC", &request).unwrap(), by_key);
    assert_eq!(by_key.bytes("MACData").unwrap(), hex(code));
    let verify = |code: &[u8]| [on("k"), hashing("SHA256"), text.clone(), bytes("MACData", code)];
    assert_eq!(kms.ask("MACVerify", &verify(&hex(code))).unwrap().text("ValidityIndicator"), Some("Valid"));
    for wrong in [&hex(code)[1..], &hex(code)[..31], &[0; 32], &[]] {
        let answer = kms.ask("MACVerify", &verify(wrong)).unwrap();
        assert_eq!(answer.text("ValidityIndicator"), Some("Invalid"));
    }
    kms.ask("MAC", &[on("jefe"), hashing("SHA3512"), text.clone()]).unwrap();
    let cmac = kms.ask("MAC", &[on("aes"), parameters(&[mode("CMAC")]), data(&hex(PLAIN))]).unwrap();
    assert_eq!(cmac.bytes("MACData").unwrap(), hex("51f0bebf7e3b9d92fc49741779363cfe"));
    for (uid, items, reason) in [
        (
            "aes",
            vec![],
            "Invalid Request: CryptographicParameters: missing field `HashingAlgorithm`, and the key is for no HMAC",
        ),
        (
            "aes",
            vec![hashing("MD5")],
            "Not Supported: HashingAlgorithm: only SHA-1, the SHA-2 and the SHA-3 families are there",
        ),
        (
            "k",
            vec![parameters(&[mode("CMAC")])],
            "Not Supported: key k is no AES key of 128, 192 or 256 bits, as CMAC needs",
        ),
    ] {
        assert_eq!(kms.ask("MAC", &[vec![on(uid), text.clone()], items].concat()).unwrap_err(), reason);
    }
    kms.import("decrypts", "AES", 8, &hex(KEY_128), &[]);
    let refused = kms.ask("MAC", &[on("decrypts"), hashing("SHA256"), text.clone()]).unwrap_err();
    assert!(refused.starts_with("Incompatible_Cryptographic_Usage_Mask: "), "{refused}");
    let hidden = kms.ask_as("bob", "MAC", &[on("k"), text]).unwrap_err();
    assert_eq!(hidden, "Item not found: MAC: key id: k, not found");
}

#[test]
fn digests_and_random_bytes_need_no_key() {
    let mut kms = Kms::new();
    let digest = kms.ask("Hash", &[hashing("SHA256"), data(&hex("0102"))]).unwrap();
    assert_eq!(
        digest.bytes("Data").unwrap(),
        hex("A12871FEE210FB8619291EAEA194581CBD2531E4B23759D225F6806923F63222")
    );
    let missing = kms.ask("Hash", &[parameters(&[]), data(&[])]);
    assert_eq!(
        missing.unwrap_err(),
        "Invalid Request: Hash: CryptographicParameters: missing field `HashingAlgorithm`"
    );
    let mut retrieve = |bytes| kms.ask("RNGRetrieve", &[integer("DataLength", bytes)]);
    let (first, second) = (retrieve(16).unwrap(), retrieve(16).unwrap());
    assert_eq!(first.bytes("Data").unwrap().len(), 16);
    assert_ne!(first, second);
    assert_eq!(retrieve(65536).unwrap().bytes("Data").unwrap().len(), 65536);
    assert_eq!(retrieve(65537).unwrap_err(), "Invalid Request: RNGRetrieve: DataLength may be 65536 at most");
    // A seed changes nothing.
    let mut seeded = Kms::new();
    let answer = seeded.ask("RNGSeed", &[data(&[1, 2])]).unwrap();
    assert_eq!(
        answer.0,
        r#"{"tag":"RNGSeedResponse","value":[{"tag":"AmountOfSeedData","type":"Integer","value":2}]}"#
    );
    assert_eq!(seeded.ask("RNGRetrieve", &[integer("DataLength", 16)]).unwrap(), first);
}

/// A DeriveKey as `ckms derive-key` sends it.
fn derive(uid: &str, method: &str, bits: usize, given: &[String]) -> Vec<String> {
    vec![
        enumeration("ObjectType", "SymmetricKey"),
        item("ObjectUniqueIdentifier", "TextString", "\"base\""),
        enumeration("DerivationMethod", method),
        structure("DerivationParameters", given),
        structure(
            "Attributes",
            &[
                enumeration("CryptographicAlgorithm", "HMACSHA1"),
                integer("CryptographicLength", bits),
                integer("CryptographicUsageMask", 12),
                enumeration("KeyFormatType", "TransparentSymmetricKey"),
                enumeration("ObjectType", "SymmetricKey"),
                on(uid),
            ],
        ),
    ]
}

/// RFC 6070, RFC 4231 and FIPS 180-4; HKDF is in `wycheproof.rs`.
#[test]
fn keys_are_derived() {
    let mut kms = Kms::new();
    kms.import("base", "HMACSHA256", 0x200, b"password", &[]);
    let (salt, data) = (bytes("Salt", b"salt"), |text: &[u8]| bytes("DerivationData", text));
    let pbkdf2 = |iterations| [hashing("SHA1"), salt.clone(), integer("IterationCount", iterations)];
    let answer = kms.ask("DeriveKey", &derive("d1", "PBKDF2", 160, &pbkdf2(4096))).unwrap();
    assert_eq!(answer.text("UniqueIdentifier"), Some("d1"));
    assert_eq!(kms.key("d1"), hex("4b007901b765489abead49d926f721d065a429c1"));
    let links = kms.ask("GetAttributes", &[on("d1")]).unwrap().0;
    assert!(links.contains("DerivationBaseObjectLink") && links.contains("\"base\""), "{links}");
    assert!(links.contains("PreActive"), "{links}");
    let links = kms.ask("GetAttributes", &[on("base")]).unwrap().0;
    assert!(links.contains("DerivedKeyLink") && links.contains("\"d1\""), "{links}");
    kms.ask("DeriveKey", &derive("d2", "PBKDF2", 160, &pbkdf2(1))).unwrap();
    let links = kms.ask("GetAttributes", &[on("base")]).unwrap().0;
    assert!(links.contains("\"d1\"") && links.contains("\"d2\""), "{links}");

    kms.import("base", "HMACSHA256", 0x200, b"Jefe", &[]);
    let hmac = [hashing("SHA256"), data(b"what do ya want for nothing?")];
    kms.ask("DeriveKey", &derive("d3", "HMAC", 128, &hmac)).unwrap();
    assert_eq!(kms.key("d3"), hex("5bdcc146bf60754e6a042426089575c7"));
    kms.import("base", "HMACSHA256", 0x200, b"a", &[]);
    kms.ask("DeriveKey", &derive("d4", "HASH", 256, &[hashing("SHA256"), data(b"bc")])).unwrap();
    assert_eq!(kms.key("d4"), hex("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"));
    // The first block of SP 800-108's counter mode is an HMAC of the counter and the fixed data.
    kms.ask("DeriveKey", &derive("d5", "NIST800108C", 512, &[hashing("SHA256"), data(b"bc")])).unwrap();
    for (uid, block) in [("d6", 1), ("d7", 2)] {
        kms.ask("DeriveKey", &derive(uid, "HMAC", 256, &[data(&[0, 0, 0, block, b'b', b'c'])])).unwrap();
    }
    assert_eq!(kms.key("d5"), [kms.key("d6"), kms.key("d7")].concat());

    for (method, bits, given, reason) in [
        (
            "PBKDF2",
            160,
            vec![hashing("SHA1"), salt.clone(), integer("IterationCount", 10_001)],
            "Invalid Request: DeriveKey: IterationCount must be 1 to 10000 for a key of this length",
        ),
        (
            "PBKDF2",
            320,
            vec![hashing("SHA1"), salt.clone(), integer("IterationCount", 5_001)],
            "Invalid Request: DeriveKey: IterationCount must be 1 to 5000 for a key of this length",
        ),
        (
            "PBKDF2",
            160,
            vec![salt.clone(), integer("IterationCount", 0)],
            "Invalid Request: DeriveKey: IterationCount must be 1 to 10000 for a key of this length",
        ),
        (
            "PBKDF2",
            160,
            vec![integer("IterationCount", 1)],
            "Invalid Request: DerivationParameters: missing field `Salt`",
        ),
        (
            "NIST800108C",
            4096 * 8,
            vec![hashing("SHA1"), data(&[0; 64 * 1024])],
            "Invalid Request: DeriveKey: one request computes 10000 HMACs at most: derive fewer keys at a time, or from less data",
        ),
        (
            "HMAC",
            264,
            vec![hashing("SHA256")],
            "Invalid Request: DeriveKey: CryptographicLength may be 256 at most with this DerivationMethod and HashingAlgorithm",
        ),
        (
            "ENCRYPT",
            128,
            vec![],
            "Not Supported: DeriveKey: the DerivationMethods are PBKDF2, HASH, HMAC, NIST800108C and HKDF",
        ),
    ] {
        assert_eq!(kms.ask("DeriveKey", &derive("no", method, bits, &given)).unwrap_err(), reason);
    }
    assert_eq!(
        kms.ask("DeriveKey", &derive("d1", "HMAC", 128, &[])).unwrap_err(),
        "Database Error: Ext. store error: one or more objects already exist"
    );
    kms.import("base", "AES", 2108, &hex(KEY_128), &[]);
    assert_eq!(
        kms.ask("DeriveKey", &derive("no", "HMAC", 128, &[])).unwrap_err(),
        "Incompatible_Cryptographic_Usage_Mask: DeriveKey: the usage mask of key base forbids it"
    );
    assert_eq!(
        kms.ask_as("bob", "DeriveKey", &derive("no", "HMAC", 128, &[])).unwrap_err(),
        "Item not found: DeriveKey: key id: base, not found"
    );
}

/// KMIP 2.1 section 6.1.12.
#[test]
fn the_function_and_the_data_of_a_derivation_are_those_that_were_given() {
    let mut kms = Kms::new();
    let data = |text: &[u8]| bytes("DerivationData", text);
    let derived = |kms: &mut Kms, uid: &str, given: &[String]| {
        kms.ask("DeriveKey", &derive(uid, "HMAC", 256, given)).unwrap();
        kms.key(uid)
    };
    kms.import("base", "HMACSHA256", 0x200, b"Jefe", &[]);
    let sha512 = derived(&mut kms, "by-hash", &[hashing("SHA512"), data(b"x")]);
    let algorithm = |name| parameters(&[enumeration("CryptographicAlgorithm", name)]);
    assert_eq!(derived(&mut kms, "by-algorithm", &[algorithm("HMACSHA512"), data(b"x")]), sha512);
    kms.import("base", "HMACSHA512", 0x200, b"Jefe", &[]);
    assert_eq!(derived(&mut kms, "by-base", &[data(b"x")]), sha512);
    kms.import("base", "AES", 0x200, &hex(KEY_128), &[]);
    assert_eq!(
        derived(&mut kms, "by-default", &[data(b"x")]),
        derived(&mut kms, "by-name", &[hashing("SHA256"), data(b"x")])
    );

    let value = structure("KeyValue", &[bytes("KeyMaterial", b"x")]);
    let block = structure("KeyBlock", &[enumeration("KeyFormatType", "Raw"), value]);
    let secret = structure("SecretData", &[enumeration("SecretDataType", "Password"), block]);
    let active = structure("Attributes", &[item("ActivationDate", "DateTime", "\"2020-01-01T00:00:00Z\"")]);
    kms.ask("Import", &[on("data"), enumeration("ObjectType", "SecretData"), active, secret]).unwrap();
    let by = |uids: &[&str], given: &[String]| {
        let mut request = derive("by-object", "HMAC", 256, given);
        request.splice(1..2, uids.iter().map(|uid| on(uid)));
        request
    };
    kms.ask("DeriveKey", &by(&["base", "data"], &[])).unwrap();
    assert_eq!(kms.key("by-object"), kms.key("by-default"));
    for (request, told) in [
        (
            by(&["base", "data"], &[data(b"x")]),
            "Invalid Request: DeriveKey: DerivationData must be absent where a second UniqueIdentifier names it",
        ),
        (
            by(&["base", "base"], &[]),
            "Invalid Request: DeriveKey: base, the derivation data, is no SecretData",
        ),
        (by(&["base", "nosuch"], &[]), "Item not found: DeriveKey: key id: nosuch, not found"),
        (
            by(&["base", "data", "data"], &[]),
            "Invalid Request: DeriveKey: UniqueIdentifier may be given twice at most",
        ),
        (by(&[], &[data(b"x")]), "Invalid Request: DeriveKey: missing field `UniqueIdentifier`"),
        (
            by(&["base"], &[data(b"x"), data(b"y")]),
            "Invalid Request: DerivationParameters: DerivationData may be given once",
        ),
        (
            by(&["base"], &[algorithm("AES")]),
            "Invalid Request: DerivationParameters: CryptographicAlgorithm must be that of an HMAC: it is the pseudorandom function",
        ),
    ] {
        assert_eq!(kms.ask("DeriveKey", &request).unwrap_err(), told);
    }
}

#[test]
fn a_base_has_room_for_so_many_links() {
    let mut kms = Kms::new();
    kms.import("base", "HMACSHA256", 0x200, b"base", &[]);
    for number in 0..130 {
        kms.ask("DeriveKey", &derive(&format!("d{number}"), "HMAC", 128, &[])).unwrap();
    }
    let links = kms.ask("GetAttributes", &[on("base")]).unwrap().0;
    assert_eq!(links.matches("DerivedKeyLink").count(), 128);
    let links = kms.ask("GetAttributes", &[on("d129")]).unwrap().0;
    assert_eq!(links.matches("DerivationBaseObjectLink").count(), 1);
    // Its owner can still give it attributes.
    let contact = structure("NewAttribute", &[item("ContactInformation", "TextString", "\"me\"")]);
    kms.ask("SetAttribute", &[on("base"), contact]).unwrap();
}

/// A request that is one of several steps.
fn step(items: &[String], begin: bool, correlation: Option<&Answer>, end: bool) -> Vec<String> {
    let mut items = items.to_vec();
    items.extend(begin.then(|| item("InitIndicator", "Boolean", "true")));
    items.extend(
        correlation.map(|answer| bytes("CorrelationValue", &answer.bytes("CorrelationValue").unwrap())),
    );
    items.extend(end.then(|| item("FinalIndicator", "Boolean", "true")));
    items
}

#[test]
fn steps_come_to_the_same_as_one_request() {
    let mut kms = Kms::new();
    kms.import("aes", "AES", ENCRYPT_AND_DECRYPT, &hex(KEY_128), &[]);
    kms.import("chacha", "ChaCha20", ENCRYPT_AND_DECRYPT, &[7; 32], &[]);
    let text: Vec<u8> = (0..=255).collect();
    for (uid, asked, iv) in [
        ("aes", parameters(&[mode("GCM"), integer("TagLength", 13)]), &[1; 12][..]),
        ("aes", parameters(&[mode("CBC")]), &[1; 16]),
        ("aes", parameters(&[mode("ECB"), enumeration("PaddingMethod", "ANSIX923")]), &[]),
        ("aes", unpadded("CBC"), &[1; 16]),
        ("aes", parameters(&[mode("CTR")]), &[1; 16]),
        ("chacha", parameters(&[mode("AEAD")]), &[1; 12]),
    ] {
        let first = |piece: &[u8]| {
            let mut items = vec![on(uid), asked.clone(), data(piece), nonce(iv)];
            if asked.contains("GCM") || asked.contains("AEAD") {
                items.push(bytes("AuthenticatedEncryptionAdditionalData", b"aad"));
            }
            items
        };
        let whole = kms.ask("Encrypt", &first(&text)).unwrap();
        let (sealed, tag) = (whole.bytes("Data").unwrap(), whole.bytes("AuthenticatedEncryptionTag"));
        for cuts in [[0, 0], [1, 17], [16, 32], [100, 256]] {
            let pieces =
                |all: &[u8]| [&all[..cuts[0]], &all[cuts[0]..cuts[1]], &all[cuts[1]..]].map(<[u8]>::to_vec);
            let [a, b, c] = pieces(&text);
            let one = kms.ask("Encrypt", &step(&first(&a), true, None, false)).unwrap();
            assert_eq!(one.bytes("IVCounterNonce").unwrap_or_default(), iv);
            let two = kms.ask("Encrypt", &step(&[on(uid), data(&b)], false, Some(&one), false)).unwrap();
            assert_eq!(one.bytes("CorrelationValue"), two.bytes("CorrelationValue"));
            let three = kms.ask("Encrypt", &step(&[on(uid), data(&c)], false, Some(&two), true)).unwrap();
            let all = [&one, &two, &three].map(|answer| answer.bytes("Data").unwrap()).concat();
            assert_eq!((&all, three.bytes("AuthenticatedEncryptionTag")), (&sealed, tag.clone()), "{asked}");
            let again = kms.ask("Encrypt", &step(&[on(uid)], false, Some(&two), true));
            assert_eq!(
                again.unwrap_err(),
                "Invalid Request: Encrypt: CorrelationValue is not known, or no longer"
            );

            let [a, b, c] = pieces(&sealed);
            let one = kms.ask("Decrypt", &step(&first(&a), true, None, false)).unwrap();
            let two = kms.ask("Decrypt", &step(&[on(uid), data(&b)], false, Some(&one), false)).unwrap();
            if tag.is_some() {
                let early = [&one, &two].map(|answer| answer.bytes("Data").unwrap()).concat();
                assert!(early.is_empty(), "nothing is given out before the tag has been seen");
            }
            let mut last = vec![on(uid), data(&c)];
            last.extend(tag.iter().map(|tag| bytes("AuthenticatedEncryptionTag", tag)));
            let three = kms.ask("Decrypt", &step(&last, false, Some(&two), true)).unwrap();
            let all = [&one, &two, &three].map(|answer| answer.bytes("Data").unwrap()).concat();
            assert_eq!(all, text, "{asked} {cuts:?}");
        }
    }
}

#[test]
fn a_forged_end_gives_nothing_out() {
    let mut kms = Kms::new();
    kms.import("k", "AES", ENCRYPT_AND_DECRYPT, &hex(KEY_128), &[]);
    let whole = kms.ask("Encrypt", &[on("k"), data(&[7; 40]), nonce(&[1; 12])]).unwrap();
    let (sealed, tag) = (whole.bytes("Data").unwrap(), whole.bytes("AuthenticatedEncryptionTag").unwrap());
    let tag = bytes("AuthenticatedEncryptionTag", &tag);
    // The tag may come first.
    let begin = step(&[on("k"), data(&sealed[..39]), nonce(&[1; 12]), tag.clone()], true, None, false);
    let one = kms.ask("Decrypt", &begin).unwrap();
    let last = step(&[on("k"), data(&sealed[39..])], false, Some(&one), true);
    assert_eq!(kms.ask("Decrypt", &last).unwrap().bytes("Data").unwrap(), [7; 40]);
    let one = kms.ask("Decrypt", &begin).unwrap();
    let forged = step(&[on("k"), data(&[sealed[39] ^ 1])], false, Some(&one), true);
    assert!(kms.ask("Decrypt", &forged).unwrap_err().starts_with("Cryptographic_Failure: "));
    // It has come to its end.
    assert!(kms.ask("Decrypt", &last).unwrap_err().contains("CorrelationValue is not known"));
    let one =
        kms.ask("Decrypt", &step(&[on("k"), data(&sealed), nonce(&[1; 12])], true, None, false)).unwrap();
    let without = kms.ask("Decrypt", &step(&[on("k")], false, Some(&one), true));
    assert_eq!(without.unwrap_err(), "Invalid Request: Decrypt: missing field `AuthenticatedEncryptionTag`");
}

#[test]
fn codes_and_digests_come_in_steps() {
    let mut kms = Kms::new();
    kms.import("k", "HMACSHA256", 0x180, b"Jefe", &[]);
    let code = hex("5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    let pieces = [b"what do ya ".as_slice(), b"want for ", b"nothing?"].map(data);
    let mut ask = |root, more: &[String], begin, before: Option<&Answer>, end, piece: &String| {
        kms.ask(root, &step(&[more, std::slice::from_ref(piece)].concat(), begin, before, end))
    };
    for (root, result) in [("MAC", vec![]), ("MACVerify", vec![bytes("MACData", &code)])] {
        let with = [vec![on("k"), hashing("SHA256")], result].concat();
        let one = ask(root, &with, true, None, false, &pieces[0]).unwrap();
        assert!(!one.0.contains("MACData") && !one.0.contains("ValidityIndicator"), "{one:?}");
        let two = ask(root, &with, false, Some(&one), false, &pieces[1]).unwrap();
        let three = ask(root, &with, false, Some(&two), true, &pieces[2]).unwrap();
        assert!(three.bytes("CorrelationValue").is_none());
        match root {
            "MAC" => assert_eq!(three.bytes("MACData").unwrap(), code),
            _ => assert_eq!(three.text("ValidityIndicator"), Some("Valid")),
        }
    }
    let one = ask("Hash", &[hashing("SHA256")], true, None, false, &data(b"a")).unwrap();
    let two = ask("Hash", &[], false, Some(&one), false, &data(b"b")).unwrap();
    let three = ask("Hash", &[], false, Some(&two), true, &data(b"c")).unwrap();
    assert_eq!(
        three.bytes("Data").unwrap(),
        hex("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
    );
}

#[test]
fn nobody_else_continues_what_a_client_began() {
    let mut kms = Kms::new();
    kms.import("k", "AES", ALL, &hex(KEY_128), &[]);
    kms.import("other", "AES", ALL, &hex(KEY_128), &[]);
    let begin = |items: &[String]| step(&[&[on("k"), data(&[7])], items].concat(), true, None, false);
    let unknown =
        |operation| Err(format!("Invalid Request: {operation}: CorrelationValue is not known, or no longer"));
    let one = kms.ask("Encrypt", &begin(&[])).unwrap();
    let next = |uid, answer: &Answer| step(&[on(uid), data(&[7])], false, Some(answer), false);
    // Another key, another operation, another client, whether they may use the key or not.
    assert_eq!(kms.ask("Encrypt", &next("other", &one)), unknown("Encrypt"));
    assert_eq!(kms.ask("Decrypt", &next("k", &one)), unknown("Decrypt"));
    assert_eq!(
        kms.ask_as("bob", "Encrypt", &next("k", &one)).unwrap_err(),
        "Item not found: Encrypt: key id: k, not found"
    );
    kms.grant("bob", "k", "encrypt");
    assert_eq!(kms.ask_as("bob", "Encrypt", &next("k", &one)), unknown("Encrypt"));
    // All of these have left it as it was.
    let two = kms.ask("Encrypt", &next("k", &one)).unwrap();
    // Its own client, after too long.
    kms.wait(5 * 60);
    assert_eq!(kms.ask("Encrypt", &next("k", &two)), unknown("Encrypt"));
    // A key that was put in the place of the other one.
    let one = kms.ask("Encrypt", &begin(&[])).unwrap();
    kms.import("k", "AES", ALL, &[9; 16], &[]);
    assert_eq!(kms.ask("Encrypt", &next("k", &one)), unknown("Encrypt"));
    // What may not be done any more is not continued.
    let one = kms.ask("Encrypt", &begin(&[])).unwrap();
    let reason =
        structure("RevocationReason", &[enumeration("RevocationReasonCode", "CessationOfOperation")]);
    kms.ask("Revoke", &[on("k"), reason]).unwrap();
    assert_eq!(
        kms.ask("Encrypt", &next("k", &one)).unwrap_err(),
        "Permission_Denied: Encrypt: key k is in state Deactivated but operation requires one of [Active]"
    );
}

#[test]
fn steps_are_bounded_and_in_order() {
    let mut kms = Kms::new();
    kms.import("k", "AES", ENCRYPT_AND_DECRYPT, &hex(KEY_128), &[]);
    kms.import("xts", "AES", ENCRYPT_AND_DECRYPT, &(0..32).collect::<Vec<_>>(), &[]);
    let text = data(&[0; 16]);
    for (uid, name, cipher) in
        [("k", "GCMSIV", "AES-GCM-SIV"), ("xts", "XTS", "AES-XTS"), ("k", "NISTKeyWrap", "NISTKeyWrap")]
    {
        let begin = step(&[on(uid), parameters(&[mode(name)]), text.clone()], true, None, false);
        assert_eq!(
            kms.ask("Encrypt", &begin).unwrap_err(),
            format!(
                "Not Supported: Encrypt: {cipher} needs all data at once, and so cannot be done in several steps"
            )
        );
    }
    let begin = step(&[on("k"), text.clone()], true, None, false);
    let one = kms.ask("Encrypt", &begin).unwrap();
    for (request, reason) in [
        (
            step(&[on("k"), text.clone()], false, None, true),
            "Invalid Request: Encrypt: missing field `CorrelationValue`",
        ),
        (
            step(&[on("k"), text.clone()], true, Some(&one), false),
            "Invalid Request: Encrypt: CorrelationValue must be absent beside the InitIndicator",
        ),
        (
            step(&[on("k"), bytes("AuthenticatedEncryptionAdditionalData", &[1])], false, Some(&one), false),
            "Invalid Request: Encrypt: AuthenticatedEncryptionAdditionalData must come with the first step",
        ),
    ] {
        assert_eq!(kms.ask("Encrypt", &request).unwrap_err(), reason);
    }
    // Both indicators at once are one request.
    let both = kms.ask("Encrypt", &step(&[on("k"), text.clone()], true, None, true)).unwrap();
    assert!(both.bytes("AuthenticatedEncryptionTag").is_some() && both.bytes("CorrelationValue").is_none());
    for _ in 1..64 {
        kms.ask("Encrypt", &begin).unwrap();
    }
    assert_eq!(
        kms.ask("Encrypt", &begin).unwrap_err(),
        "Not Supported: Encrypt: too much is going on in several steps: end some of it, or try again later"
    );
    kms.ask("Encrypt", &step(&[on("k")], false, Some(&one), true)).unwrap();
    kms.ask("Encrypt", &begin).unwrap();
    kms.wait(5 * 60);
    kms.ask("Encrypt", &begin).unwrap();
}
