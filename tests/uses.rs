//! What the uses of keys cost them: usage limits, and random nonces.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod support;

use keyway::pipeline::{Endpoint, Place, place};
use keyway::store::Store;
use keyway::wire::ttlv::{Encoded, Item, Tag, Value};
use support::requests::{Kms, active, boolean, bytes, create, enumeration, item, on, structure, text};

const KEY: &str = "k1";

/// Where a key's parts say how many nonces were leased.
const LEASED: Tag = Tag(0x54_0001);

fn limits(total: i64, unit: &str) -> String {
    let number = |tag| item(tag, "LongInteger", &format!("\"0x{total:016X}\""));
    structure("UsageLimits", &[number("UsageLimitsTotal"), enumeration("UsageLimitsUnit", unit)])
}

fn with_key(attributes: &[String]) -> Kms {
    let mut kms = Kms::new();
    let answer = kms.ask("alice", &create(KEY, &[&[active()], attributes].concat()));
    assert!(answer.starts_with("200 "), "{answer}");
    kms
}

fn encrypt(hex: &str) -> String {
    structure("Encrypt", &[on(KEY), bytes("Data", hex)])
}

/// What is left, as GetAttributes tells it.
fn left(kms: &mut Kms) -> i64 {
    let reference = enumeration("AttributeReference", "UsageLimits");
    let answer = kms.v5("GetAttributes", &[on(KEY), reference]);
    let (_, rest) = answer.split_once(r#""UsageLimitsCount","type":"LongInteger","value":"0x"#).unwrap();
    i64::from_str_radix(&rest[..16], 16).unwrap()
}

fn leased(kms: &Kms) -> i64 {
    match kms.object(KEY).unwrap().parts.find(LEASED) {
        Some(Value::LongInteger(count)) => count,
        other => panic!("{other:?}"),
    }
}

const EXCEEDED: &str =
    "422 Usage_Limit_Exceeded: Encrypt: the usage limits of key k1 leave less than this takes";

#[test]
fn a_key_is_used_as_often_as_it_may_and_no_more() {
    let mut kms = with_key(&[limits(3, "Object")]);
    for used in 1..=3 {
        assert!(kms.ask("alice", &encrypt("00")).starts_with("200 "));
        assert_eq!(left(&mut kms), 3 - used);
    }
    assert_eq!(kms.ask("alice", &encrypt("00")), EXCEEDED);
    assert_eq!(left(&mut kms), 0);
    // What it has protected can still be read.
    let mut kms = with_key(&[limits(1, "Object")]);
    let sealed = kms.ask("alice", &encrypt("AB"));
    let part = |tag: &str| bytes(tag, &support::value_of(tag, &sealed));
    let fields = ["Data", "IVCounterNonce", "AuthenticatedEncryptionTag"].map(part);
    let opened = kms.v5("Decrypt", &[&[on(KEY)], &fields[..]].concat());
    assert!(opened.contains(r#""value":"AB""#), "{opened}");
}

#[test]
fn a_use_that_fails_is_none() {
    let mut kms = with_key(&[limits(3, "Object")]);
    let parameters = |fields: &[String]| structure("CryptographicParameters", fields);
    let unpadded = parameters(&[enumeration("BlockCipherMode", "CBC"), enumeration("PaddingMethod", "None")]);
    let nonce = bytes("IVCounterNonce", &"00".repeat(200));
    for (root, fields) in [
        ("Encrypt", vec![on(KEY), unpadded, bytes("Data", "0001020304")]),
        ("Encrypt", vec![on(KEY), bytes("Data", "00"), nonce]),
        ("MAC", vec![on(KEY), parameters(&[enumeration("HashingAlgorithm", "MD5")]), bytes("Data", "00")]),
    ] {
        let answer = kms.v5(root, &fields);
        assert!(answer.starts_with("422 "), "{answer}");
        assert_eq!(left(&mut kms), 3, "{answer}");
    }
    assert!(kms.ask("alice", &encrypt("00")).starts_with("200 "));
    assert_eq!(left(&mut kms), 2);
}

#[test]
fn bytes_are_counted_where_bytes_are_limited() {
    let mut kms = with_key(&[limits(5, "Byte")]);
    assert!(kms.ask("alice", &encrypt("000102")).starts_with("200 "));
    assert_eq!(left(&mut kms), 2);
    assert_eq!(kms.ask("alice", &encrypt("000102")), EXCEEDED);
    assert!(kms.ask("alice", &encrypt("0001")).starts_with("200 "));
    assert_eq!(left(&mut kms), 0);
    let steps = structure("Encrypt", &[on(KEY), boolean("InitIndicator", true), bytes("Data", "00")]);
    assert_eq!(
        kms.ask("alice", &steps),
        "422 Not Supported: Encrypt: key k1 may protect a number of bytes: send all at once"
    );
}

#[test]
fn several_steps_are_one_use() {
    let mut kms = with_key(&[limits(1, "Object")]);
    let mode = structure("CryptographicParameters", &[enumeration("BlockCipherMode", "CTR")]);
    let first = kms.v5("Encrypt", &[on(KEY), mode, boolean("InitIndicator", true), bytes("Data", "00")]);
    assert!(first.starts_with("200 "), "{first}");
    assert_eq!(left(&mut kms), 0);
    let correlation = bytes("CorrelationValue", &support::value_of("CorrelationValue", &first));
    let last =
        kms.v5("Encrypt", &[on(KEY), correlation, boolean("FinalIndicator", true), bytes("Data", "01")]);
    assert!(last.starts_with("200 "), "{last}");
}

#[test]
fn codes_and_wrapped_keys_are_uses_too() {
    let mut kms = with_key(&[limits(2, "Object")]);
    kms.ask("alice", &create("k2", &[active()]));
    let hash = structure("CryptographicParameters", &[enumeration("HashingAlgorithm", "SHA256")]);
    assert!(kms.v5("MAC", &[on(KEY), hash.clone(), bytes("Data", "00")]).starts_with("200 "));
    let get = |kek: &str| {
        let key = structure("EncryptionKeyInformation", &[on(kek)]);
        let wrapping =
            [enumeration("WrappingMethod", "Encrypt"), key, enumeration("EncodingOption", "NoEncoding")];
        [on("k2"), structure("KeyWrappingSpecification", &wrapping)]
    };
    assert!(kms.v5("Get", &get(KEY)).starts_with("200 "));
    assert_eq!(left(&mut kms), 0);
    for refused in [kms.v5("Get", &get(KEY)), kms.v5("MAC", &[on(KEY), hash, bytes("Data", "00")])] {
        assert!(refused.starts_with("422 Usage_Limit_Exceeded: "), "{refused}");
    }
    let stored = structure(
        "Attribute",
        &[
            text("VendorIdentification", "cosmian"),
            text("AttributeName", "wrapping_key_id"),
            text("AttributeValue", KEY),
        ],
    );
    assert_eq!(
        kms.ask("alice", &create("k3", &[active(), stored])),
        "422 Not Supported: key k1 has usage limits: it wraps nothing that is stored"
    );
}

#[test]
fn random_nonces_are_counted_in_leases_that_survive() {
    let mut kms = with_key(&[]);
    assert_eq!(place(&Endpoint::Kmip, encrypt("00").as_bytes(), true), Place::Here);
    for _ in 0..100 {
        assert!(kms.ask("alice", &encrypt("00")).starts_with("200 "));
        assert_eq!(leased(&kms), 1 << 16);
    }
    // Another process knows nothing of what is left of the lease.
    kms.nonces = Default::default();
    assert!(kms.ask("alice", &encrypt("00")).starts_with("200 "));
    assert_eq!(leased(&kms), 2 << 16);
    // A nonce of the client's own is not drawn, and other modes have none that must be unlike.
    kms.nonces = Default::default();
    let nonce = bytes("IVCounterNonce", "000102030405060708090A0B");
    assert!(kms.v5("Encrypt", &[on(KEY), bytes("Data", "00"), nonce]).starts_with("200 "));
    let mode = structure("CryptographicParameters", &[enumeration("BlockCipherMode", "CBC")]);
    assert!(kms.v5("Encrypt", &[on(KEY), mode, bytes("Data", "00")]).starts_with("200 "));
    assert_eq!(leased(&kms), 2 << 16);
}

#[test]
fn an_encryption_that_is_refused_in_a_batch_counts_no_nonces() {
    let mut kms = with_key(&[]);
    let number = |tag: &str, value: &str| item(tag, "Integer", value);
    let version = structure(
        "ProtocolVersion",
        &[number("ProtocolVersionMajor", "2"), number("ProtocolVersionMinor", "1")],
    );
    let header = [
        version,
        number("MaximumResponseSize", "1500"),
        enumeration("BatchErrorContinuationOption", "Continue"),
        number("BatchCount", "2"),
    ];
    let step = |name: &str, payload: &[String]| {
        structure("BatchItem", &[enumeration("Operation", name), structure("RequestPayload", payload)])
    };
    let items = [
        step("Encrypt", &[on(KEY), bytes("Data", &"00".repeat(4096))]),
        step("RNGRetrieve", &[number("DataLength", "1")]),
    ];
    let message = [structure("RequestHeader", &header), items[0].clone(), items[1].clone()];
    let answer = kms.v5("RequestMessage", &message);
    assert!(answer.contains("Response_Too_Large") && answer.contains("Success"), "{answer}");
    assert_eq!(kms.object(KEY).unwrap().parts.find(LEASED), None);
    assert!(kms.ask("alice", &encrypt("00")).starts_with("200 "));
    assert_eq!(leased(&kms), 1 << 16, "what was refused has left nothing to draw from");
}

#[test]
fn a_key_that_has_drawn_all_nonces_encrypts_with_none() {
    let mut kms = with_key(&[]);
    assert!(kms.ask("alice", &encrypt("00")).starts_with("200 "));
    let attributes = kms.object(KEY).unwrap().attributes;
    let parts = Encoded::of(&[Item::new(LEASED, Value::LongInteger(1 << 32))]);
    kms.put(|| {
        let (attributes, parts) = (attributes.clone(), parts.clone());
        vec![keyway::kms::view::Change::Amend { uid: KEY.into(), attributes, parts }]
    });
    kms.nonces = Default::default();
    let refused = kms.ask("alice", &encrypt("00"));
    assert!(refused.starts_with("422 Usage_Limit_Exceeded: Encrypt: key k1 has encrypted"), "{refused}");
    assert!(kms.store.read().unwrap().object(KEY).unwrap().is_some());
}
