//! The operations of KMIP through the pipeline, as clients of both generations spell them: recorded sessions with the
//! original servers replayed, and what they do not show.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod support;

use keyway::kms::access::Direction;
use keyway::pipeline::{self, Endpoint, Place};
use keyway::time::Timestamp;
use support::kms::Kms;
use support::recorded::{Substitutes, session, strings};

fn endpoint(path: &str) -> Endpoint {
    match path {
        "/kmip/2_1" => Endpoint::Kmip,
        "/access/grant" => Endpoint::ChangeAccess(Direction::Grant),
        "/access/revoke" => Endpoint::ChangeAccess(Direction::Revoke),
        "/access/owned" => Endpoint::ListOwned,
        "/access/obtained" => Endpoint::ListObtained,
        path => Endpoint::ListAccess(path.strip_prefix("/access/list/").unwrap().to_owned()),
    }
}

#[test]
fn a_session_with_5_28_is_answered_alike() {
    let (mut kms, mut substitutes) = (Kms::new(), Substitutes::default());
    for exchange in session(include_str!("conformance/v5_session.jsonl")) {
        let (path, request) = (substitutes.apply(&exchange.path), substitutes.apply(&exchange.request));
        let (status, response) = kms.ask("admin", endpoint(&path), &request);
        assert_eq!(status, exchange.status, "{request}\n{response}");
        assert_eq!(substitutes.difference(&exchange.response, &response), None, "{request}");
    }
}

/// One item of a request; the clients of 5.x write no type on structures.
fn item(tag: &str, kind: &str, value: &str) -> String {
    format!(r#"{{"tag":"{tag}","type":"{kind}","value":{value}}}"#)
}

fn text(tag: &str, value: &str) -> String {
    item(tag, "TextString", &format!("{value:?}"))
}

fn request(root: &str, items: &[String]) -> String {
    format!(r#"{{"tag":"{root}","value":[{}]}}"#, items.join(","))
}

/// A request of 4.9.1.
fn request_v4(root: &str, items: &[String]) -> String {
    format!(r#"{{"tag":"{root}","type":"Structure","value":[{}]}}"#, items.join(","))
}

fn on(uid: &str) -> String {
    text("UniqueIdentifier", uid)
}

/// A Create for an active AES-256 key with tags.
fn create(uid: &str, attributes: &[String], tags: &str) -> String {
    let mut all = vec![
        item("ActivationDate", "DateTime", "\"2020-01-01T00:00:00Z\""),
        item("CryptographicAlgorithm", "Enumeration", "\"AES\""),
        on(uid),
        format!(
            r#"{{"tag":"Attribute","value":[{},{},{}]}}"#,
            text("VendorIdentification", "cosmian"),
            text("AttributeName", "tag"),
            text("AttributeValue", tags)
        ),
    ];
    all.retain(|given| !attributes.iter().any(|a| a.split(',').next() == given.split(',').next()));
    all.extend_from_slice(attributes);
    let attributes = format!(r#"{{"tag":"Attributes","value":[{}]}}"#, all.join(","));
    request("Create", &[item("ObjectType", "Enumeration", "\"SymmetricKey\""), attributes])
}

fn grant(user: &str, uid: &str, operations: &str) -> String {
    format!(r#"{{"unique_identifier":"{uid}","user_id":"{user}","operation_types":{operations}}}"#)
}

const GRANT: Endpoint = Endpoint::ChangeAccess(Direction::Grant);

/// Whether the operation on `k1` is answered as if there were no such key.
fn is_hidden(answer: &(u16, String)) -> bool {
    answer.0 == 422 && answer.1.contains("ot found") || answer.1.contains("Not_Found")
}

#[test]
fn what_is_not_granted_looks_as_if_it_were_not_there() {
    let mut kms = Kms::new();
    assert_eq!(kms.kmip("alice", &create("k1", &[], "[]")).0, 200);
    let data = item("Data", "ByteString", "\"00\"");
    let all = [
        request("Get", &[on("k1")]),
        request("Export", &[on("k1")]),
        request("GetAttributes", &[on("k1")]),
        request("Encrypt", &[on("k1"), data.clone()]),
        request("Destroy", &[on("k1")]),
        request("Activate", &[on("k1")]),
        request("Revoke", &[on("k1"), r#"{"tag":"RevocationReason","value":[{"tag":"RevocationReasonCode","type":"Enumeration","value":"Unspecified"}]}"#.into()]),
    ];
    for operation in &all {
        let answer = kms.kmip("bob", operation);
        assert!(is_hidden(&answer), "{operation} -> {answer:?}");
        assert_eq!(answer.1, kms.kmip("bob", &operation.replace("k1", "k2")).1.replace("k2", "k1"));
    }
    let denied = "Access denied: Object with uid `k1` is not owned by owner `bob`";
    assert_eq!(kms.ask("bob", GRANT, &grant("carol", "k1", r#"["get"]"#)), (401, denied.into()));
    assert_eq!(kms.ask("bob", Endpoint::ListAccess("k1".into()), ""), (401, denied.into()));
    assert!(kms.kmip("bob", &request("Locate", &[])).1.contains(r#""value":0"#));
}

#[test]
fn a_grant_allows_what_it_says_and_what_follows_from_it() {
    let mut kms = Kms::new();
    let data = item("Data", "ByteString", "\"00\"");
    let encrypt = request("Encrypt", &[on("k1"), data]);
    kms.kmip("alice", &create("k1", &[], "[]"));
    assert_eq!(kms.ask("alice", GRANT, &grant("bob", "k1", r#"["encrypt"]"#)).0, 200);
    assert_eq!(kms.kmip("bob", &encrypt).0, 200);
    assert_eq!(kms.kmip("bob", &request("GetAttributes", &[on("k1")])).0, 200);
    assert!(is_hidden(&kms.kmip("bob", &request("Get", &[on("k1")]))));
    assert!(is_hidden(&kms.kmip("carol", &encrypt)));
    assert_eq!(kms.ask("alice", GRANT, &grant("*", "k1", r#"["get"]"#)).0, 200);
    assert_eq!(kms.kmip("carol", &request("Get", &[on("k1")])).0, 200);
    assert_eq!(kms.kmip("carol", &encrypt).0, 200);
    assert!(is_hidden(&kms.kmip("carol", &request("Destroy", &[on("k1")]))));
    assert_eq!(
        kms.ask("carol", Endpoint::ListObtained, "").1,
        r#"[{"object_id":"k1","owner_id":"alice","state":"Active","operations":["get"]}]"#
    );
    assert_eq!(
        kms.ask("bob", Endpoint::ChangeAccess(Direction::Revoke), &grant("bob", "k1", r#"["get"]"#)).0,
        401
    );
    let refused = kms.ask("alice", GRANT, &grant("alice", "k1", r#"["get"]"#));
    assert_eq!(
        refused.1,
        "Access denied: You can't grant yourself, you have already all rights on your own objects"
    );
}

#[test]
fn dates_activate_and_deactivate_keys_by_themselves() {
    let mut kms = Kms::new();
    let date = |tag, value: &str| item(tag, "DateTime", &format!("{value:?}"));
    let later = date("ActivationDate", "2026-12-01T00:00:00Z");
    let end = date("DeactivationDate", "2026-12-02T00:00:00Z");
    assert_eq!(kms.kmip("alice", &create("k1", &[later, end], "[]")).0, 200);
    let encrypt = request("Encrypt", &[on("k1"), item("Data", "ByteString", "\"00\"")]);
    let state = |kms: &mut Kms| {
        let reference = item("AttributeReference", "Enumeration", "\"State\"");
        kms.kmip("alice", &request("GetAttributes", &[on("k1"), reference])).1
    };
    assert!(kms.kmip("alice", &encrypt).1.contains("is in state PreActive"));
    assert!(state(&mut kms).contains("PreActive"));
    kms.now = Timestamp::parse_rfc3339("2026-12-01T00:00:00Z").unwrap().unix();
    assert_eq!(kms.kmip("alice", &encrypt).0, 200);
    kms.now = Timestamp::parse_rfc3339("2026-12-02T00:00:00Z").unwrap().unix();
    assert!(kms.kmip("alice", &encrypt).1.contains("is in state Deactivated"));
    assert!(state(&mut kms).contains("Deactivated"));
}

#[test]
fn tags_name_keys_in_the_place_of_an_identifier() {
    let mut kms = Kms::new();
    for (uid, tags) in [("k1", r#"["a","b"]"#), ("k2", r#"["a"]"#)] {
        assert_eq!(kms.kmip("alice", &create(uid, &[], tags)).0, 200);
    }
    let data = item("Data", "ByteString", "\"00\"");
    assert_eq!(kms.kmip("alice", &request("Encrypt", &[on(r#"["a","b"]"#), data.clone()])).0, 200);
    assert_eq!(
        kms.kmip("alice", &request("Encrypt", &[on(r#"["a"]"#), data.clone()])).1,
        r#"Invalid Request: Encrypt: identifier '["a"]' resolves to 2 valid keys; use a unique identifier"#
    );
    assert_eq!(
        kms.kmip("alice", &request_v4("Get", &[on(r#"["a"]"#)])).1,
        r#"Invalid Request: get: too many active objects for ["a"]"#
    );
    assert!(kms.kmip("alice", &request("Get", &[on(r#"["_kk"]"#)])).1.contains("k1"));
    assert!(is_hidden(&kms.kmip("bob", &request("Get", &[on(r#"["a"]"#)]))));
    // Revoke takes all of them, and its answer repeats the request's identifier.
    let revoked = kms.kmip("alice", &request_v4("Revoke", &[on(r#"["a"]"#), text("RevocationReason", "x")]));
    assert!(revoked.0 == 200 && revoked.1.contains(r#""[\"a\"]""#), "{revoked:?}");
    assert!(is_hidden(&kms.kmip("alice", &request_v4("Encrypt", &[on("k2"), data]))));
}

#[test]
fn lengths_and_nonces_are_those_of_aes_gcm() {
    let mut kms = Kms::new();
    for bits in ["128", "192", "256"] {
        let length = item("CryptographicLength", "Integer", bits);
        assert_eq!(kms.kmip("alice", &create(bits, &[length], "[]")).0, 200);
        let data = item("Data", "ByteString", "\"00112233\"");
        let nonce = item("IVCounterNonce", "ByteString", "\"000102030405060708090A0B\"");
        let aad = item("AuthenticatedEncryptionAdditionalData", "ByteString", "\"AA\"");
        let sealed = kms.kmip("alice", &request("Encrypt", &[on(bits), data, nonce.clone(), aad.clone()]));
        assert!(
            sealed.1.contains("000102030405060708090A0B"),
            "the nonce is always in the answer: {sealed:?}"
        );
        let strings = strings(&sealed.1);
        let value = |tag: &str| {
            let at = strings.iter().position(|s| s == tag).unwrap();
            item(tag, "ByteString", &format!("{:?}", strings[at + 8]))
        };
        let (data, tag) = (value("Data"), value("AuthenticatedEncryptionTag"));
        let decrypt = |aad| request("Decrypt", &[on(bits), data.clone(), nonce.clone(), tag.clone(), aad]);
        assert!(kms.kmip("alice", &decrypt(aad.clone())).1.contains("00112233"));
        let forged = kms.kmip("alice", &decrypt(aad.replace("AA", "AB")));
        assert!(forged.0 == 422 && forged.1.starts_with("Cryptographic_Failure"), "{forged:?}");
    }
    let length = item("CryptographicLength", "Integer", "129");
    assert_eq!(kms.kmip("alice", &create("odd", &[length], "[]")).0, 422);
}

#[test]
fn what_is_not_kmip_is_refused_with_a_reason() {
    let mut kms = Kms::new();
    for (body, status, reason) in [
        ("", 422, "Invalid Request: EOF while parsing a value at line 1 column 0"),
        ("eyJhbGciOiJFQ0RILUVTIn0..a.b.c", 422, "Not Supported: this server doesn't support JWE encryption"),
        (r#"{"tag":"Foo","type":"Structure","value":[]}"#, 404, "Not Supported route: Operation: Foo"),
        (r#"{"tag":"Foo","value":[]}"#, 404, "Route not supported: Operation: Foo"),
        (
            r#"{"tag":"Get","type":"Structure","value":[]}"#,
            422,
            "This KMIP server does not yet support place holder id",
        ),
        (
            r#"{"tag":"Get","value":[]}"#,
            422,
            "Missing_Data: there is no UniqueIdentifier, and no item before this one has named one object",
        ),
    ] {
        assert_eq!(kms.kmip("alice", body), (status, reason.to_owned()), "{body}");
    }
    let wrong_type = request("Get", &[item("UniqueIdentifier", "Boolean", "true")]);
    assert_eq!(
        kms.kmip("alice", &wrong_type).1,
        "Invalid Request: Get: UniqueIdentifier must be a TextString"
    );
    let missing = kms.ask("alice", GRANT, r#"{"user_id":"a"}"#);
    assert_eq!(missing.0, 400);
    assert!(missing.1.starts_with("Json deserialize error: missing field `operation_type` at line 1"));
}

#[test]
fn what_would_take_too_long_is_refused() {
    let mut kms = Kms::new();
    let flags = |count| vec![item("Fresh", "Boolean", "true"); count].join(",");
    let attributes = |count| format!(r#"{{"tag":"Attributes","value":[{}]}}"#, flags(count));
    assert_eq!(kms.kmip("alice", &request("Locate", &[attributes(256)])).0, 200);
    assert_eq!(
        kms.kmip("alice", &request("Locate", &[attributes(257)])).1,
        "Invalid Request: there are more than 256 attributes"
    );
    let mut references = vec![item("AttributeReference", "Enumeration", "\"State\""); 257];
    references.push(on("k1"));
    assert_eq!(
        kms.kmip("alice", &request("GetAttributes", &references)).1,
        "Invalid Request: GetAttributes: AttributeReference may be given 256 times at most"
    );
    for uid in 0..1001 {
        assert_eq!(kms.kmip("alice", &create(&uid.to_string(), &[], r#"["a"]"#)).0, 200);
    }
    let revoke = request("Revoke", &[on(r#"["a"]"#), r#"{"tag":"RevocationReason","value":[{"tag":"RevocationReasonCode","type":"Enumeration","value":"Unspecified"}]}"#.into()]);
    assert_eq!(
        kms.kmip("alice", &revoke).1,
        r#"Invalid Request: ["a"] names more than 1000 objects: name fewer at a time"#
    );
    assert_eq!(pipeline::place(&Endpoint::Kmip, revoke.as_bytes(), true), Place::StoreLane);
    let padded = revoke + &" ".repeat(1024 * 1024);
    assert_eq!(pipeline::place(&Endpoint::Kmip, padded.as_bytes(), true), Place::TooLarge);
}
