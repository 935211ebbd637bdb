//! Objects of every type that is kept: how they come in, in which forms they leave, and what is said to those who ask for
//! what cannot be.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod support;

use support::kms::Kms;
use support::requests::{
    active, boolean, bytes, cosmian, enumeration, get, import, import_key, integer, not_wrapped, on, secret,
    specification, structure, structure_v4, symmetric_key, text, value_of, wrapping,
};

const KEY: &str = "00112233445566778899AABBCCDDEEFF000102030405060708090A0B0C0D0E0F";

/// A wrapped `SymmetricKey`.
fn wrapped_key(format: &str, hex: &str, data: &str) -> String {
    let block = [
        enumeration("KeyFormatType", format),
        bytes("KeyValue", hex),
        enumeration("CryptographicAlgorithm", "AES"),
        integer("CryptographicLength", 256),
        data.to_owned(),
    ];
    structure("SymmetricKey", &[structure("KeyBlock", &block)])
}

fn import_wrapped(uid: &str, hex: &str, data: &str, unwrap: bool) -> String {
    let mut items =
        vec![on(uid), enumeration("ObjectType", "SymmetricKey"), structure("Attributes", &[active()])];
    if unwrap {
        items.push(not_wrapped());
    }
    items.push(wrapped_key("Raw", hex, data));
    structure("Import", &items)
}

fn opaque(kind: &str, hex: &str) -> String {
    structure("OpaqueObject", &[enumeration("OpaqueDataType", kind), bytes("OpaqueDataValue", hex)])
}

/// A server with the wrapping key of RFC 3394 as `kek`, and a key of its examples as `k1`; both of alice.
fn with_kek() -> Kms {
    let mut kms = Kms::new();
    let kek = "000102030405060708090A0B0C0D0E0F101112131415161718191A1B1C1D1E1F";
    kms.done("alice", &import_key("kek", kek, &[cosmian("tag", "[\"wraps\"]")]));
    kms.done("alice", &import_key("k1", KEY, &[]));
    kms
}

/// The key `k1` by RFC 3394.
const WRAPPED: &str = "28C9F404C4B810F4CBCCB35CFB87F8263F5786E2D80ED326CBC7F0E71A99F43BFB988B9B7A02DD21";

#[test]
fn secret_data_comes_back_as_it_was() {
    let mut kms = Kms::new();
    let tags = cosmian("tag", "[\"t\"]");
    let answer = kms.done("alice", &import("s1", "SecretData", &[tags], &secret("Password", "7077")));
    assert_eq!(
        answer,
        r#"{"tag":"ImportResponse","value":[{"tag":"UniqueIdentifier","type":"TextString","value":"s1"}]}"#
    );
    assert_eq!(
        kms.done("alice", &get("s1", &[enumeration("KeyWrapType", "AsRegistered")])),
        concat!(
            r#"{"tag":"GetResponse","value":[{"tag":"ObjectType","type":"Enumeration","value":"SecretData"},"#,
            r#"{"tag":"UniqueIdentifier","type":"TextString","value":"s1"},{"tag":"SecretData","value":["#,
            r#"{"tag":"SecretDataType","type":"Enumeration","value":"Password"},{"tag":"KeyBlock","value":["#,
            r#"{"tag":"KeyFormatType","type":"Enumeration","value":"Raw"},{"tag":"KeyValue","value":["#,
            r#"{"tag":"KeyMaterial","type":"ByteString","value":"7077"},{"tag":"Attributes","value":["#,
            r#"{"tag":"ActivationDate","type":"DateTime","value":"2020-01-01T00:00:00Z"},"#,
            r#"{"tag":"AlwaysSensitive","type":"Boolean","value":false},"#,
            r#"{"tag":"CryptographicUsageMask","type":"Integer","value":1051136},"#,
            r#"{"tag":"InitialDate","type":"DateTime","value":"2026-11-23T19:00:00Z"},"#,
            r#"{"tag":"KeyFormatType","type":"Enumeration","value":"Raw"},"#,
            r#"{"tag":"LastChangeDate","type":"DateTime","value":"2026-11-23T19:00:00Z"},"#,
            r#"{"tag":"ObjectType","type":"Enumeration","value":"SecretData"},"#,
            r#"{"tag":"OriginalCreationDate","type":"DateTime","value":"2026-11-23T19:00:00Z"},"#,
            r#"{"tag":"State","type":"Enumeration","value":"Active"},"#,
            r#"{"tag":"UniqueIdentifier","type":"TextString","value":"s1"},{"tag":"Attribute","value":["#,
            r#"{"tag":"VendorIdentification","type":"TextString","value":"cosmian"},"#,
            r#"{"tag":"AttributeName","type":"TextString","value":"tag"},"#,
            r#"{"tag":"AttributeValue","type":"TextString","value":"[\"t\",\"_sd\"]"}]}]}]}]}]}]}"#,
        )
    );
    let exported = kms.done("alice", &structure_v4("Export", &[on("s1")]));
    assert!(exported.contains(concat!(
        r#"{"tag":"Object","type":"Structure","value":["#,
        r#"{"tag":"SecretDataType","type":"Enumeration","value":"Password"},{"tag":"KeyBlock","type":"Structure""#
    )));
    let asked = get("s1", &[enumeration("KeyFormatType", "PKCS8")]);
    assert_eq!(kms.refused("alice", &asked), "Not Supported: object s1 comes in the key format Raw only");
}

#[test]
fn secret_data_is_created_as_a_seed() {
    let mut kms = Kms::new();
    let create = |attributes: &[String]| {
        let attributes = structure("Attributes", &[&[active(), on("s1")], attributes].concat());
        structure("Create", &[enumeration("ObjectType", "SecretData"), attributes])
    };
    assert_eq!(
        kms.refused("alice", &create(&[integer("CryptographicLength", 12)])),
        "Invalid Request: Create: the CryptographicLength of a seed is a multiple of 8, 32768 at most"
    );
    assert_eq!(
        kms.done("alice", &create(&[])),
        concat!(
            r#"{"tag":"CreateResponse","value":[{"tag":"ObjectType","type":"Enumeration","value":"SecretData"},"#,
            r#"{"tag":"UniqueIdentifier","type":"TextString","value":"s1"}]}"#
        )
    );
    let found = kms.done("alice", &get("s1", &[]));
    assert_eq!(value_of("SecretDataType", &found), "Seed");
    assert_eq!(value_of("KeyMaterial", &found).len(), 64);
    assert!(kms.refused("alice", &create(&[])).contains("already exist"));
}

#[test]
fn opaque_objects_come_back_as_they_were() {
    let mut kms = Kms::new();
    kms.done("alice", &import("o1", "OpaqueObject", &[], &opaque("Vendor", "6F70")));
    assert_eq!(
        kms.done("alice", &get("o1", &[])),
        concat!(
            r#"{"tag":"GetResponse","value":[{"tag":"ObjectType","type":"Enumeration","value":"OpaqueObject"},"#,
            r#"{"tag":"UniqueIdentifier","type":"TextString","value":"o1"},{"tag":"OpaqueObject","value":["#,
            r#"{"tag":"OpaqueDataType","type":"Enumeration","value":"Vendor"},"#,
            r#"{"tag":"OpaqueDataValue","type":"ByteString","value":"6F70"}]}]}"#
        )
    );
    let export = kms.done("alice", &structure("Export", &[on("o1")]));
    assert!(export.contains(r#"[\"_oo\"]"#) && export.contains("OpaqueDataValue"), "{export}");
    assert_eq!(
        kms.refused("alice", &get("o1", &[enumeration("KeyFormatType", "Raw")])),
        "Not Supported: object o1 has no key format"
    );
    kms.done("alice", &import_key("kek", KEY, &[]));
    assert_eq!(
        kms.refused("alice", &get("o1", &[specification("kek", "", "")])),
        "Not Supported: an OpaqueObject has no key that could be wrapped"
    );
}

#[test]
fn register_names_objects_itself_or_as_their_attributes_do() {
    let mut kms = Kms::new();
    let register = |attributes: &[String], object: String| {
        let kind = enumeration("ObjectType", "OpaqueObject");
        structure("Register", &[kind, structure("Attributes", attributes), object])
    };
    let answer = kms.done("alice", &register(&[], opaque("Unknown", "01")));
    let uid = value_of("UniqueIdentifier", &answer);
    assert_eq!(uid.len(), 36);
    let found = kms.done("alice", &get(&uid, &[]));
    assert_eq!(value_of("OpaqueDataValue", &found), "01");
    let named = register(&[on("o1")], opaque("Unknown", "02"));
    assert_eq!(
        kms.done("alice", &named),
        r#"{"tag":"RegisterResponse","value":[{"tag":"UniqueIdentifier","type":"TextString","value":"o1"}]}"#
    );
    assert!(kms.refused("alice", &named).contains("already exist"));
    let bare = structure("Register", &[enumeration("ObjectType", "OpaqueObject"), opaque("Unknown", "02")]);
    assert_eq!(kms.refused("alice", &bare), "Invalid Request: Register: missing field `Attributes`");
}

#[test]
fn what_is_not_kept_is_refused_by_name() {
    let mut kms = Kms::new();
    for kind in ["PrivateKey", "PublicKey", "Certificate", "SplitKey", "PGPKey"] {
        for operation in ["Import", "Register"] {
            let fields = [on("x"), enumeration("ObjectType", kind), structure("Attributes", &[])];
            assert_eq!(
                kms.refused("alice", &structure(operation, &fields)),
                format!(
                    "Not Supported: {operation}: objects of the type {kind} are not kept here, but SymmetricKey, \
                     SecretData and OpaqueObject"
                )
            );
        }
    }
}

#[test]
fn symmetric_keys_come_in_both_formats_and_leave_in_the_one_asked_for() {
    let mut kms = Kms::new();
    for format in ["Raw", "TransparentSymmetricKey"] {
        kms.done("alice", &import(format, "SymmetricKey", &[], &symmetric_key(format, KEY, &[])));
        for (asked, tag) in [("Raw", "KeyMaterial"), ("TransparentSymmetricKey", "Key")] {
            let found = kms.done("alice", &get(format, &[enumeration("KeyFormatType", asked)]));
            assert_eq!(value_of(tag, &found), KEY);
            assert!(found.contains(&format!(r#"[{}"#, enumeration("KeyFormatType", asked))), "{found}");
        }
        let found = kms.done("alice", &get(format, &[]));
        assert_eq!(value_of("KeyMaterial", &found), KEY);
        // 4.9.1 knows one format.
        let asked = [on(format), enumeration("KeyFormatType", "Raw")];
        assert_eq!(value_of("Key", &kms.done("alice", &structure_v4("Get", &asked))), KEY);
    }
    for (form, reason) in [
        (
            enumeration("KeyFormatType", "PKCS8"),
            "Not Supported: a symmetric key comes in the key formats Raw and TransparentSymmetricKey",
        ),
        (
            enumeration("KeyCompressionType", "ECPublicKeyTypeUncompressed"),
            "Not Supported: KeyCompressionType is for the public keys of curves",
        ),
    ] {
        assert_eq!(kms.refused("alice", &get("Raw", std::slice::from_ref(&form))), reason);
    }
    let pkcs8 = symmetric_key("Raw", KEY, &[]).replace("\"Raw\"", "\"PKCS8\"");
    assert_eq!(
        kms.refused("alice", &import("x", "SymmetricKey", &[], &pkcs8)),
        "Invalid Request: KeyBlock: KeyFormatType must be Raw or TransparentSymmetricKey"
    );
}

#[test]
fn algorithm_and_length_fit_the_bytes_and_each_other() {
    let mut kms = Kms::new();
    let of = |name| enumeration("CryptographicAlgorithm", name);
    let bits = |bits| integer("CryptographicLength", bits);
    for (uid, hex_bytes, block, attributes, shown) in [
        ("default", 32, vec![], vec![], ("AES", "256")),
        ("block", 16, vec![of("AES"), bits(128)], vec![], ("AES", "128")),
        ("attributes", 20, vec![], vec![of("HMACSHA1"), bits(160)], ("HMACSHA1", "160")),
        ("both", 32, vec![of("ChaCha20")], vec![of("ChaCha20"), bits(0)], ("ChaCha20", "256")),
        ("triple", 24, vec![of("THREE_DES"), bits(168)], vec![], ("THREE_DES", "168")),
        ("parity", 24, vec![of("THREE_DES"), bits(192)], vec![], ("THREE_DES", "192")),
        ("double", 16, vec![of("THREE_DES")], vec![], ("THREE_DES", "112")),
    ] {
        let key = symmetric_key("Raw", &"5A".repeat(hex_bytes), &block);
        kms.done("alice", &import(uid, "SymmetricKey", &attributes, &key));
        let found = kms.done("alice", &get(uid, &[]));
        let found = (
            value_of("CryptographicAlgorithm", &found),
            value_of("CryptographicLength", &found),
            value_of("KeyMaterial", &found).len(),
        );
        assert_eq!(found, (shown.0.to_owned(), shown.1.to_owned(), 2 * hex_bytes), "{uid}");
    }
    for (hex_bytes, block, attributes, reason) in [
        (17, vec![], vec![], "CryptographicLength: AES has no key of 136 bits"),
        (
            32,
            vec![bits(128)],
            vec![],
            "CryptographicLength does not match the key material, which has 256 bits",
        ),
        (
            32,
            vec![],
            vec![bits(128)],
            "CryptographicLength does not match the key material, which has 256 bits",
        ),
        (
            32,
            vec![bits(256)],
            vec![bits(128)],
            "CryptographicLength is not the same in the key block and in the attributes",
        ),
        (
            32,
            vec![of("AES")],
            vec![of("ChaCha20")],
            "CryptographicAlgorithm is not the same in the key block and in the attributes",
        ),
        (32, vec![bits(-1)], vec![], "KeyBlock: CryptographicLength must not be negative"),
        (32, vec![of("RSA")], vec![], "RSA is no algorithm of symmetric keys"),
        (0, vec![], vec![], "KeyValue: KeyMaterial must not be empty"),
    ] {
        let key = symmetric_key("Raw", &"5A".repeat(hex_bytes), &block);
        let refused = kms.refused("alice", &import("x", "SymmetricKey", &attributes, &key));
        assert_eq!(refused, format!("Invalid Request: {reason}"));
    }
    let long = import("x", "SecretData", &[bits(8)], &secret("Seed", "0102"));
    assert_eq!(
        kms.refused("alice", &long),
        "Invalid Request: CryptographicLength does not match the key material, which has 16 bits"
    );
}

#[test]
fn keys_of_three_des_have_their_parity_beside_the_bits_that_count() {
    let mut kms = Kms::new();
    for (bits, hex_bytes) in [(112, 16), (168, 24), (192, 24)] {
        let uid = bits.to_string();
        let attributes = [
            enumeration("CryptographicAlgorithm", "THREE_DES"),
            integer("CryptographicLength", bits),
            on(&uid),
            active(),
        ];
        let create = [enumeration("ObjectType", "SymmetricKey"), structure("Attributes", &attributes)];
        kms.done("alice", &structure("Create", &create));
        assert_eq!(value_of("KeyMaterial", &kms.done("alice", &get(&uid, &[]))).len(), 2 * hex_bytes);
    }
}

#[test]
fn an_exported_object_can_be_sent_back_whole() {
    let mut kms = Kms::new();
    kms.done("alice", &import_key("k1", KEY, &[cosmian("tag", "[\"a\",\"b\"]")]));
    let exported = kms.done("alice", &structure("Export", &[on("k1")]));
    let from = exported.find(r#"{"tag":"Attributes""#).unwrap();
    let whole = exported[from..].strip_suffix("]}").unwrap();
    let again = |uid: &str, whole: &str| {
        let head = [on(uid), enumeration("ObjectType", "SymmetricKey"), boolean("ReplaceExisting", false)];
        structure("Import", &[head.join(","), whole.to_owned()])
    };
    // The identifier beside the object is the one that counts.
    kms.done("alice", &again("k2", whole));
    let other = kms.done("alice", &structure("Export", &[on("k2")]));
    assert_eq!(other.replace("\"k2\"", "\"k1\""), exported);
    // Without tags in the request the object's own ones stay; others take their place.
    let tags = r#"[\"a\",\"b\",\"_kk\"]"#;
    let (none, new) = (whole.replacen(tags, "[]", 1), whole.replacen(tags, r#"[\"c\"]"#, 1));
    kms.done("alice", &again("k3", &none));
    assert!(kms.done("alice", &get("k3", &[])).contains(tags));
    kms.done("alice", &again("k4", &new));
    assert!(kms.done("alice", &get("k4", &[])).contains(r#""[\"c\",\"_kk\"]""#));
}

#[test]
fn keys_are_wrapped_on_export_as_the_request_says() {
    let mut kms = with_kek();
    let block = |answer: &str| answer[answer.find(r#"{"tag":"KeyBlock""#).unwrap()..].to_owned();
    let rest = concat!(
        r#"{"tag":"CryptographicAlgorithm","type":"Enumeration","value":"AES"},"#,
        r#"{"tag":"CryptographicLength","type":"Integer","value":256},"#
    );
    // Clients of 5.x: RFC 3394, and the answer says so.
    let found = kms.done("alice", &get("k1", &[specification("kek", "", "NoEncoding")]));
    assert_eq!(
        block(&found),
        structure(
            "KeyBlock",
            &[
                enumeration("KeyFormatType", "Raw"),
                bytes("KeyValue", WRAPPED),
                rest.trim_end_matches(',').to_owned(),
                wrapping("KeyWrappingData", "kek", "NISTKeyWrap", "NoEncoding"),
            ]
        ) + "]}]}"
    );
    assert_eq!(
        kms.done("alice", &get("k1", &[specification("kek", "NISTKeyWrap", "NoEncoding")])),
        found,
        "where it is asked for, too"
    );
    // Clients of 4.9.1: RFC 5649, and the answer says nothing; attributes stand beside the wrapped bytes.
    let typed = |document: &str| document.replace(r#"","value":["#, r#"","type":"Structure","value":["#);
    let old =
        kms.done("alice", &structure_v4("Get", &[on("k1"), typed(&specification("kek", "", "NoEncoding"))]));
    let padded = value_of("KeyMaterial", &old);
    assert_eq!(
        block(&old),
        typed(&structure(
            "KeyBlock",
            &[
                enumeration("KeyFormatType", "TransparentSymmetricKey"),
                structure(
                    "KeyValue",
                    &[
                        bytes("KeyMaterial", &padded),
                        structure(
                            "Attributes",
                            &[
                                rest.trim_end_matches(',').to_owned(),
                                integer("CryptographicUsageMask", 2108),
                                enumeration("KeyFormatType", "TransparentSymmetricKey"),
                                enumeration("ObjectType", "SymmetricKey"),
                            ]
                        ),
                    ]
                ),
                rest.trim_end_matches(',').to_owned(),
                wrapping("KeyWrappingData", "kek", "", "NoEncoding"),
            ]
        )) + "]}]}"
    );
    let new = kms.done("alice", &get("k1", &[specification("kek", "AESKeyWrapPadding", "NoEncoding")]));
    assert_eq!(value_of("KeyValue", &new), padded);
    // AES-GCM: nonce, ciphertext and tag.
    let gcm = kms.done("alice", &get("k1", &[specification("kek", "GCM", "NoEncoding")]));
    assert_eq!(value_of("KeyValue", &gcm).len(), 2 * (12 + 32 + 16));
    assert_eq!(value_of("BlockCipherMode", &gcm), "GCM");
    // By tags, the answer names the key itself.
    let tagged = kms.done("alice", &get("k1", &[specification("[\"wraps\"]", "", "NoEncoding")]));
    assert!(tagged.contains(&wrapping("KeyWrappingData", "kek", "NISTKeyWrap", "NoEncoding")), "{tagged}");
}

#[test]
fn whatever_is_wrapped_can_be_unwrapped_again() {
    let mut kms = with_kek();
    for (i, (mode, encoding)) in [
        ("", ""),
        ("", "NoEncoding"),
        ("", "TTLVEncoding"),
        ("NISTKeyWrap", "TTLVEncoding"),
        ("AESKeyWrapPadding", "NoEncoding"),
        ("AESKeyWrapPadding", "TTLVEncoding"),
        ("GCM", "NoEncoding"),
        ("GCM", "TTLVEncoding"),
    ]
    .into_iter()
    .enumerate()
    {
        for format in ["Raw", "TransparentSymmetricKey"] {
            let form = [enumeration("KeyFormatType", format), specification("kek", mode, encoding)];
            let found = kms.done("alice", &get("k1", &form));
            let object = &found[found.find(r#"{"tag":"SymmetricKey""#).unwrap()..];
            let object = object.strip_suffix("]}").unwrap();
            let (stored, bare) = (format!("stored{i}{format}"), format!("bare{i}{format}"));
            kms.done("alice", &import(&stored, "SymmetricKey", &[], object));
            // As registered.
            let again = kms.done("alice", &get(&stored, &[]));
            assert!(again.contains(object), "{again}\n{object}");
            // Unwrapped later.
            let found = kms.done("alice", &get(&stored, &[not_wrapped()]));
            assert_eq!(value_of("KeyMaterial", &found), KEY, "{mode} {encoding}");
            assert!(!found.contains("KeyWrappingData"));
            // Unwrapped on its way in.
            let mut fields = import(&bare, "SymmetricKey", &[], object);
            fields =
                fields.replacen(r#"{"tag":"Attributes""#, &(not_wrapped() + r#",{"tag":"Attributes""#), 1);
            kms.done("alice", &fields);
            let found = kms.done("alice", &get(&bare, &[]));
            assert_eq!(value_of("KeyMaterial", &found), KEY, "{mode} {encoding}");
        }
    }
}

#[test]
fn the_nonce_of_gcm_may_stand_apart() {
    let mut kms = with_kek();
    let found = kms.done("alice", &get("k1", &[specification("kek", "GCM", "NoEncoding")]));
    let wrapped = value_of("KeyValue", &found);
    let (nonce, rest) = wrapped.split_at(2 * 12);
    let with_nonce = |tag, mode| {
        let fields = wrapping(tag, "kek", mode, "NoEncoding");
        format!("{},{}]}}", fields.strip_suffix("]}").unwrap(), bytes("IVCounterNonce", nonce))
    };
    let data = with_nonce("KeyWrappingData", "GCM");
    kms.done("alice", &import("apart", "SymmetricKey", &[], &wrapped_key("Raw", rest, &data)));
    assert!(kms.done("alice", &get("apart", &[])).contains(&data), "as registered");
    let found = kms.done("alice", &get("apart", &[not_wrapped()]));
    assert_eq!(value_of("KeyMaterial", &found), KEY);
    let other = with_nonce("KeyWrappingSpecification", "NISTKeyWrap");
    for (form, told) in [
        (other, "must be absent: GCM alone has one"),
        (with_nonce("KeyWrappingSpecification", "GCM"), "must be absent: it is the server's to draw"),
    ] {
        assert!(kms.refused("alice", &get("k1", &[form])).ends_with(told), "{told}");
    }
}

#[test]
fn what_is_encoded_is_a_key_value_in_binary_ttlv() {
    let mut kms = with_kek();
    // A key with a material and nothing else, as the clients' own programs wrap it (RFC 5649 would do, too).
    let value = format!("42004501000000284200430800000020{KEY}");
    kms.done("alice", &import("plain", "SecretData", &[], &secret("Seed", &value)));
    let wrapped = kms.done("alice", &get("plain", &[specification("kek", "", "NoEncoding")]));
    let wrapped = value_of("KeyValue", &wrapped);
    let data = wrapping("KeyWrappingData", "kek", "", "TTLVEncoding");
    kms.done("alice", &import_wrapped("k2", &wrapped, &data, true));
    assert_eq!(value_of("KeyMaterial", &kms.done("alice", &get("k2", &[]))), KEY);
    // With the attributes that are asked for.
    let one = specification("kek", "", "TTLVEncoding").replace(
        r#"{"tag":"EncodingOption""#,
        &(text("AttributeName", "Cryptographic Algorithm") + r#",{"tag":"EncodingOption""#),
    );
    let wrapped = value_of("KeyValue", &kms.done("alice", &get("k1", std::slice::from_ref(&one))));
    let data = wrapping("KeyWrappingData", "kek", "", "NoEncoding");
    let seed = secret("Seed", "00").replace(
        &structure("KeyValue", &[bytes("KeyMaterial", "00")]),
        &(bytes("KeyValue", &wrapped) + "," + &data),
    );
    kms.done("alice", &import("encoded", "SecretData", &[], &seed));
    let found = kms.done("alice", &get("encoded", &[not_wrapped()]));
    let attributes = "420125010000001042002805000000040000000300000000";
    assert_eq!(value_of("KeyMaterial", &found), format!("42004501000000404200430800000020{KEY}{attributes}"));
    assert_eq!(
        kms.refused("alice", &get("k1", &[one.replace("TTLVEncoding", "NoEncoding")])),
        "Invalid Request: KeyWrappingSpecification: EncodingOption must be TTLVEncoding for attributes to be wrapped"
    );
    // What is no key value, though it is genuine.
    let other = kms.done("alice", &get("k1", &[specification("kek", "", "NoEncoding")]));
    let data = wrapping("KeyWrappingData", "kek", "", "TTLVEncoding");
    assert_eq!(
        kms.refused("alice", &import_wrapped("x", &value_of("KeyValue", &other), &data, true)),
        "Invalid Request: what was wrapped is no KeyValue in TTLVEncoding"
    );
}

#[test]
fn what_is_not_genuine_is_not_unwrapped() {
    let mut kms = with_kek();
    let data = wrapping("KeyWrappingData", "kek", "", "NoEncoding");
    let forged = WRAPPED.replace("28C9", "28C8");
    let refused = kms.refused("alice", &import_wrapped("x", &forged, &data, true));
    assert!(refused.starts_with("Cryptographic_Failure: "), "{refused}");
    // As it is, it may be stored: nobody has looked at it.
    kms.done("alice", &import_wrapped("x", &forged, &data, false));
    let refused = kms.refused("alice", &get("x", &[not_wrapped()]));
    assert!(refused.starts_with("Cryptographic_Failure: "), "{refused}");
    // The length in the request is that of the key.
    let short = import_wrapped("y", WRAPPED, &data, true)
        .replace(&integer("CryptographicLength", 256), &integer("CryptographicLength", 128));
    assert_eq!(
        kms.refused("alice", &short),
        "Invalid Request: CryptographicLength does not match the key material, which has 256 bits"
    );
}

#[test]
fn keys_are_stored_wrapped_where_a_client_asks_for_it() {
    let mut kms = with_kek();
    let kek = cosmian("wrapping_key_id", "kek");
    let attributes = [
        active(),
        enumeration("CryptographicAlgorithm", "AES"),
        integer("CryptographicLength", 256),
        on("w1"),
        kek.clone(),
    ];
    let create = [enumeration("ObjectType", "SymmetricKey"), structure("Attributes", &attributes)];
    kms.done("alice", &structure("Create", &create));
    let found = kms.done("alice", &get("w1", &[enumeration("KeyWrapType", "AsRegistered")]));
    let wrapped = value_of("KeyValue", &found);
    assert_eq!(
        found,
        structure(
            "GetResponse",
            &[
                enumeration("ObjectType", "SymmetricKey"),
                on("w1"),
                wrapped_key(
                    "TransparentSymmetricKey",
                    &wrapped,
                    &wrapping("KeyWrappingData", "kek", "AESKeyWrapPadding", "NoEncoding")
                ),
            ]
        )
    );
    let key = value_of("KeyMaterial", &kms.done("alice", &get("w1", &[not_wrapped()])));
    assert_eq!((key.len(), wrapped.len()), (64, 80));
    // It is used as what it stands for, not as what is stored.
    kms.done("alice", &import_key("bare", &key, &[]));
    let encrypt = |uid| {
        let nonce = bytes("IVCounterNonce", "000102030405060708090A0B");
        structure("Encrypt", &[on(uid), bytes("Data", "CAFE"), nonce])
    };
    let sealed = kms.done("alice", &encrypt("w1"));
    assert_eq!(sealed.replace("\"w1\"", "\"bare\""), kms.done("alice", &encrypt("bare")));
    // Nothing unwrapped was written back.
    assert_eq!(kms.done("alice", &get("w1", &[])), found);
    // The same for what is imported, and for secrets of any length.
    kms.done("alice", &import_key("w2", &key, std::slice::from_ref(&kek)));
    assert_eq!(value_of("KeyValue", &kms.done("alice", &get("w2", &[]))), wrapped);
    kms.done("alice", &import("w3", "SecretData", std::slice::from_ref(&kek), &secret("Password", "70")));
    let found = kms.done("alice", &get("w3", &[not_wrapped()]));
    assert_eq!(value_of("KeyMaterial", &found), "70");
    assert_eq!(value_of("KeyValue", &kms.done("alice", &get("w3", &[]))).len(), 32);
    // It is wrapped once.
    let again = "Invalid Request: key w1 is wrapped already";
    assert_eq!(kms.refused("alice", &get("w1", &[specification("k1", "", "")])), again);
    let data = wrapping("KeyWrappingData", "kek", "", "NoEncoding");
    let twice = import("w4", "SymmetricKey", &[kek], &wrapped_key("Raw", WRAPPED, &data));
    assert_eq!(kms.refused("alice", &twice), again.replace("w1", "w4"));
    // Unless it is unwrapped before.
    let by_another = [not_wrapped(), specification("k1", "NISTKeyWrap", "NoEncoding")];
    assert_eq!(value_of("KeyValue", &kms.done("alice", &get("w1", &by_another))).len(), 80);
    // What takes its place is wrapped as it was.
    let renewed = value_of("UniqueIdentifier", &kms.done("alice", &structure("ReKey", &[on("w2")])));
    let new = value_of("KeyValue", &kms.done("alice", &get(&renewed, &[])));
    assert!(new.len() == wrapped.len() && new != wrapped, "{new}");
    let bare = value_of("KeyMaterial", &kms.done("alice", &get(&renewed, &[not_wrapped()])));
    assert!(bare.len() == key.len() && bare != key, "{bare}");
    kms.done("alice", &encrypt(&renewed));
    // Without its wrapping key, it is of no use.
    let revoke = structure(
        "Revoke",
        &[on("kek"), structure("RevocationReason", &[enumeration("RevocationReasonCode", "Unspecified")])],
    );
    kms.done("alice", &revoke);
    assert_eq!(kms.done("alice", &encrypt("w1")), sealed, "what is deactivated still unwraps");
    kms.done("alice", &structure("Destroy", &[on("kek")]));
    assert_eq!(
        kms.refused("alice", &encrypt("w1")),
        "Permission_Denied: Unwrap: key kek is in state Destroyed but operation requires one of [Active, \
         Deactivated, Compromised]"
    );
}

#[test]
fn wrapping_takes_a_right_on_the_wrapping_key() {
    let mut kms = with_kek();
    kms.grant("alice", "bob", "k1", r#"["get"]"#);
    let spec = specification("kek", "", "NoEncoding");
    let typed = spec.replace(r#"","value":["#, r#"","type":"Structure","value":["#);
    let (new, old) = (get("k1", &[spec]), structure_v4("Get", &[on("k1"), typed]));
    let hidden = "Item not found: Wrap: key id: kek, not found";
    assert_eq!(kms.refused("bob", &new), hidden);
    assert_eq!(kms.refused("bob", &new.replace("kek", "none")), hidden.replace("kek", "none"));
    // Clients of 4.9.1 know no right but `get` for it.
    kms.grant("alice", "bob", "kek", r#"["encrypt"]"#);
    kms.done("bob", &new);
    assert_eq!(kms.refused("bob", &old), "Item_Not_Found: kek");
    let data = wrapping("KeyWrappingData", "kek", "", "NoEncoding");
    let unwrap = import_wrapped("of bob", WRAPPED, &data, true);
    assert_eq!(kms.refused("bob", &unwrap), "Item not found: Unwrap: key id: kek, not found");
    kms.grant("alice", "bob", "kek", r#"["decrypt"]"#);
    kms.done("bob", &unwrap);
    kms.grant("alice", "bob", "kek", r#"["get"]"#);
    kms.done("bob", &old);

    // Whoever may use a key that is stored wrapped needs the wrapping key, too.
    kms.done("alice", &import_key("w1", KEY, &[cosmian("wrapping_key_id", "kek")]));
    kms.grant("alice", "carol", "w1", r#"["encrypt"]"#);
    let encrypt = structure("Encrypt", &[on("w1"), bytes("Data", "00")]);
    assert_eq!(kms.refused("carol", &encrypt), "Item not found: Unwrap: key id: kek, not found");
    kms.grant("alice", "carol", "kek", r#"["decrypt"]"#);
    kms.done("carol", &encrypt);
}

#[test]
fn not_every_key_wraps() {
    let mut kms = with_kek();
    let mask = |mask| integer("CryptographicUsageMask", mask);
    kms.done("alice", &import_key("cipher", KEY, &[mask(12)]));
    kms.done("alice", &import_key("wraps", KEY, &[mask(0x10)]));
    kms.done("alice", &import_key("xts", &KEY.repeat(2), &[]));
    let chacha = enumeration("CryptographicAlgorithm", "ChaCha20");
    kms.done("alice", &import_key("chacha", KEY, &[chacha]));
    let later = import_key("later", KEY, &[]).replace("2020-01-01", "2030-01-01");
    kms.done("alice", &later);
    for (kek, mode, reason) in [
        (
            "cipher",
            "",
            "Incompatible_Cryptographic_Usage_Mask: Wrap: the usage mask of key cipher forbids it",
        ),
        (
            "later",
            "",
            "Permission_Denied: Wrap: key later is in state PreActive but operation requires one of [Active]",
        ),
        ("xts", "", "Not Supported: key xts has not 128, 192 or 256 bits, as wrapping needs"),
        ("chacha", "", "Not Supported: key chacha is no AES key, as wrapping needs"),
        ("k1", "", "Invalid Request: key k1 cannot wrap itself"),
        ("kek", "CBC", "Not Supported: keys are wrapped by NISTKeyWrap, AESKeyWrapPadding and GCM"),
    ] {
        let wrapped = get("k1", &[specification(kek, mode, "NoEncoding")]);
        assert_eq!(kms.refused("alice", &wrapped), reason);
    }
    kms.done("alice", &get("k1", &[specification("wraps", "", "NoEncoding")]));
    let data = wrapping("KeyWrappingData", "wraps", "", "NoEncoding");
    assert_eq!(
        kms.refused("alice", &import_wrapped("x", WRAPPED, &data, true)),
        "Incompatible_Cryptographic_Usage_Mask: Unwrap: the usage mask of key wraps forbids it"
    );
    kms.done("alice", &import("short", "SecretData", &[], &secret("Password", "7077")));
    assert_eq!(
        kms.refused("alice", &get("short", &[specification("kek", "", "NoEncoding")])),
        "Invalid Request: NISTKeyWrap takes a multiple of 8 bytes, 16 at least: ask for AESKeyWrapPadding"
    );
    kms.done("alice", &get("short", &[specification("kek", "", "TTLVEncoding")]));
    let signed = specification("kek", "", "").replace("\"Encrypt\"", "\"MACSign\"");
    assert_eq!(
        kms.refused("alice", &get("k1", &[signed])),
        "Not Supported: the only WrappingMethod is Encrypt"
    );
    let nameless = structure("KeyWrappingSpecification", &[enumeration("WrappingMethod", "Encrypt")]);
    assert_eq!(
        kms.refused("alice", &get("k1", &[nameless])),
        "Invalid Request: KeyWrappingSpecification: missing field `EncryptionKeyInformation`"
    );
}

#[test]
fn keys_that_wrap_each_other_in_a_circle_are_no_trap() {
    let mut kms = Kms::new();
    for (uid, kek) in [("a", "b"), ("b", "a")] {
        let data = wrapping("KeyWrappingData", kek, "", "NoEncoding");
        kms.done("alice", &import_wrapped(uid, WRAPPED, &data, false));
    }
    let encrypt = structure("Encrypt", &[on("a"), bytes("Data", "00")]);
    assert_eq!(kms.refused("alice", &encrypt), "Invalid Request: key a is wrapped more than 4 times");
    let data = wrapping("KeyWrappingData", "c", "", "NoEncoding");
    kms.done("alice", &import_wrapped("c", WRAPPED, &data, false));
    assert_eq!(
        kms.refused("alice", &encrypt.replace("\"a\"", "\"c\"")),
        "Invalid Request: key c cannot wrap itself"
    );
    let data = wrapping("KeyWrappingData", "[\"tag\"]", "", "NoEncoding");
    kms.done("alice", &import_wrapped("d", WRAPPED, &data, false));
    assert_eq!(
        kms.refused("alice", &encrypt.replace("\"a\"", "\"d\"")),
        "Invalid Request: the KeyWrappingData of key d must name the wrapping key by its identifier"
    );
}

#[test]
fn a_wrapping_key_may_be_wrapped_itself() {
    let mut kms = with_kek();
    for (uid, kek) in [("k2", "kek"), ("k3", "k2"), ("k4", "k3"), ("k5", "k4")] {
        kms.done("alice", &import_key(uid, KEY, &[cosmian("wrapping_key_id", kek)]));
    }
    let found = kms.done("alice", &get("k5", &[not_wrapped()]));
    assert_eq!(value_of("KeyMaterial", &found), KEY);
    let deeper = import_key("k6", KEY, &[cosmian("wrapping_key_id", "k5")]);
    assert_eq!(kms.refused("alice", &deeper), "Invalid Request: key k2 is wrapped more than 4 times");
}

#[test]
fn what_is_sensitive_leaves_only_wrapped_and_some_never() {
    let mut kms = with_kek();
    kms.done("alice", &import_key("s1", KEY, &[boolean("Sensitive", true)]));
    let kek = cosmian("wrapping_key_id", "kek");
    kms.done("alice", &import_key("s2", KEY, &[boolean("Sensitive", true), kek]));
    kms.done("alice", &import_key("e1", KEY, &[boolean("Extractable", false)]));
    let spec = specification("kek", "", "NoEncoding");
    for operation in ["Get", "Export"] {
        let ask = |uid: &str, form: &[String]| structure(operation, &[&[on(uid)], form].concat());
        assert_eq!(kms.refused("alice", &ask("s1", &[])), "Sensitive: DENIED");
        let wrapped = kms.done("alice", &ask("s1", std::slice::from_ref(&spec)));
        assert_eq!(value_of("KeyValue", &wrapped), WRAPPED);
        kms.done("alice", &ask("s2", &[]));
        assert_eq!(kms.refused("alice", &ask("s2", &[not_wrapped()])), "Sensitive: DENIED");
        for form in [vec![], vec![spec.clone()]] {
            assert_eq!(kms.refused("alice", &ask("e1", &form)), "Not_Extractable: DENIED");
        }
    }
    // They can be used all the same.
    for uid in ["s1", "s2", "e1"] {
        kms.done("alice", &structure("Encrypt", &[on(uid), bytes("Data", "00")]));
    }
}

#[test]
fn what_is_destroyed_has_no_bytes_in_any_form() {
    let mut kms = with_kek();
    kms.done("alice", &import_key("w1", KEY, &[cosmian("wrapping_key_id", "kek")]));
    kms.done("alice", &import("o1", "OpaqueObject", &[], &opaque("Vendor", "6F70")));
    for uid in ["k1", "w1", "o1"] {
        kms.done(
            "alice",
            &structure(
                "Revoke",
                &[
                    on(uid),
                    structure("RevocationReason", &[enumeration("RevocationReasonCode", "Unspecified")]),
                ],
            ),
        );
        kms.done("alice", &structure("Destroy", &[on(uid)]));
        let tag = match uid {
            "k1" => "KeyMaterial",
            "w1" => "KeyValue",
            _ => "OpaqueDataValue",
        };
        let export = kms.done("alice", &structure("Export", &[on(uid)]));
        assert_eq!(value_of(tag, &export), "", "{export}");
    }
    let wrapped = structure("Export", &[on("k1"), specification("kek", "", "")]);
    assert_eq!(kms.refused("alice", &wrapped), "Object_Destroyed: DENIED");
    let unwrapped = kms.done("alice", &structure("Export", &[on("w1"), not_wrapped()]));
    assert!(!unwrapped.contains(KEY));
}
