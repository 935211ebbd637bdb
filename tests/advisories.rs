//! What has gone wrong in servers of this kind, tried on this one: the tests of the ledger in SECURITY.md that have their
//! place nowhere else, and that the ledger names no test that is not there.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod support;

use keyway::kms::access::Direction;
use keyway::kms::operation::Request;
use keyway::kms::policy::{Principal, Standing};
use keyway::kms::rights::Rights;
use keyway::pipeline::{self, Asker, Call, Endpoint};
use keyway::store::Store;
use keyway::time::Timestamp;
use keyway::wire::ttlv::{Item, Tag, binary};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use support::kms::{self, Kms};
use support::requests::{
    active, boolean, bytes, cosmian, create, enumeration, get, import_key, integer, item, not_wrapped, on,
    structure, symmetric_key, text, value_of,
};
use support::{Client, Scratch, Server, keyway};

const KEY: &str = "000102030405060708090A0B0C0D0E0F101112131415161718191A1B1C1D1E1F";

const GRANT: Endpoint = Endpoint::ChangeAccess(Direction::Grant);

fn hidden(uid: &str) -> String {
    format!("Object_Not_Found: object not found for identifier {uid}")
}

fn grant(uid: &str, user: &str, operations: &str) -> String {
    format!(r#"{{"unique_identifier":"{uid}","user_id":"{user}","operation_types":{operations}}}"#)
}

fn all_rights() -> String {
    let names: Vec<&str> = Rights(u32::MAX).names().collect();
    format!("{names:?}")
}

fn edit(operation: &str, uid: &str, attribute: &str) -> String {
    let field = match operation {
        "DeleteAttribute" => "CurrentAttribute",
        "ReKey" => "Attributes",
        _ => "NewAttribute",
    };
    structure(operation, &[on(uid), structure(field, &[attribute.to_owned()])])
}

fn register(attributes: &[String]) -> String {
    let kind = enumeration("ObjectType", "SymmetricKey");
    structure("Register", &[kind, structure("Attributes", attributes), symmetric_key("Raw", KEY, &[])])
}

fn derive(base: &str, uid: &str) -> String {
    let hashing = structure("CryptographicParameters", &[enumeration("HashingAlgorithm", "SHA256")]);
    structure(
        "DeriveKey",
        &[
            on(base),
            enumeration("ObjectType", "SymmetricKey"),
            enumeration("DerivationMethod", "HASH"),
            structure("DerivationParameters", &[hashing, bytes("DerivationData", "00")]),
            structure("Attributes", &[on(uid), integer("CryptographicLength", 128)]),
        ],
    )
}

const EDITS: [&str; 5] = ["SetAttribute", "ModifyAttribute", "AddAttribute", "DeleteAttribute", "ReKey"];

// Rights that stand for others.

#[test]
fn a_right_to_get_or_replace_a_key_changes_none_of_its_attributes() {
    let mut kms = Kms::new();
    kms.done("alice", &import_key("k", KEY, &[]));
    kms.grant("alice", "bob", "k", r#"["get"]"#);
    kms.grant("alice", "carol", "k", r#"["rekey"]"#);
    kms.grant("alice", "dave", "k", r#"["setattribute"]"#);
    for operation in EDITS {
        let edit = edit(operation, "k", &text("ContactInformation", "mallory"));
        for user in ["bob", "carol"] {
            assert_eq!(kms.refused(user, &edit), hidden("k"), "{operation} {user}");
        }
    }
    let replace = edit("ReKey", "k", &text("ContactInformation", "mallory"));
    assert_eq!(kms.refused("dave", &replace), hidden("k"));
    // To put a key of the same kind in its place is what the right is for.
    kms.done("carol", &structure("ReKey", &[on("k")]));
    kms.done("alice", &replace);
}

#[test]
fn what_may_not_leave_stays_so_for_its_owner_too() {
    let mut kms = Kms::new();
    let attributes = [boolean("Sensitive", true), boolean("Extractable", false)];
    kms.done("alice", &import_key("k", KEY, &attributes));
    kms.grant("alice", "bob", "k", &all_rights());
    for user in ["alice", "bob"] {
        for operation in EDITS {
            for weaker in [boolean("Sensitive", false), boolean("Extractable", true)] {
                let (status, told) = kms.kmip(user, &edit(operation, "k", &weaker));
                assert_eq!(status, 422, "{operation} {weaker} {told}");
            }
        }
        for attribute in &attributes {
            let (status, told) = kms.kmip(user, &edit("DeleteAttribute", "k", attribute));
            assert_eq!(status, 422, "{attribute} {told}");
        }
        for operation in ["Get", "Export"] {
            let (status, told) = kms.kmip(user, &structure(operation, &[on("k")]));
            assert!(status == 422 && told.contains("DENIED"), "{operation} {told}");
        }
    }
    // Nor is the key that takes its place any freer.
    let new = value_of("UniqueIdentifier", &kms.done("alice", &structure("ReKey", &[on("k")])));
    for operation in ["Get", "Export"] {
        assert_eq!(kms.refused("alice", &structure(operation, &[on(&new)])), "Not_Extractable: DENIED");
    }
}

#[test]
fn a_right_to_encrypt_reads_nothing_that_others_have_encrypted() {
    let mut kms = Kms::new();
    kms.done("alice", &import_key("k", KEY, &[]));
    kms.grant("alice", "bob", "k", r#"["encrypt"]"#);
    kms.grant("alice", "carol", "k", r#"["encrypt","decrypt"]"#);
    let sealed = kms.done("alice", &structure("Encrypt", &[on("k"), bytes("Data", "C0FFEE")]));
    let part = |tag: &str| bytes(tag, &value_of(tag, &sealed));
    let (data, nonce) = (part("Data"), part("IVCounterNonce"));
    // To encrypt what is encrypted once more is to decrypt it.
    let again = structure("Encrypt", &[on("k"), data.clone(), nonce]);
    assert_eq!(value_of("Data", &kms.done("carol", &again)), "C0FFEE");
    let (status, told) = kms.kmip("bob", &again);
    assert!(status == 401 && told.contains("but not decrypt"), "{told}");
    let by = |mode: &str, nonce: &[String]| {
        let mode = structure("CryptographicParameters", &[enumeration("BlockCipherMode", mode)]);
        structure("Encrypt", &[&[on("k"), mode, bytes("Data", &"00".repeat(16))], nonce].concat())
    };
    let iv = |bytes_count: usize| [bytes("IVCounterNonce", &"00".repeat(bytes_count))];
    for refused in [by("ECB", &[]), by("CBC", &[]), by("CBC", &iv(16)), by("CTR", &iv(16)), by("CTR", &[])] {
        assert_eq!(kms.kmip("bob", &refused).0, 401, "{refused}");
        kms.done("carol", &refused);
    }
    for allowed in [by("GCM", &[]), by("GCMSIV", &iv(12)), by("AESKeyWrapPadding", &[])] {
        kms.done("bob", &allowed);
    }
}

#[test]
fn nobodys_grant_changes_what_a_tag_means_to_others() {
    let mut kms = Kms::new();
    kms.done("alice", &import_key("alices", KEY, &[cosmian("tag", "[\"prod\"]")]));
    kms.done("mallory", &import_key("mallorys", KEY, &[cosmian("tag", "[\"prod\"]")]));
    kms.grant("mallory", "*", "mallorys", r#"["get"]"#);
    let encrypt = structure("Encrypt", &[text("UniqueIdentifier", "[\"prod\"]"), bytes("Data", "00")]);
    assert_eq!(value_of("UniqueIdentifier", &kms.done("alice", &encrypt)), "alices");
    // Not even when her own can be used no more.
    let revoke = enumeration("RevocationReasonCode", "CessationOfOperation");
    kms.done("alice", &structure("Revoke", &[on("alices"), structure("RevocationReason", &[revoke])]));
    assert_eq!(kms.kmip("alice", &encrypt).0, 422);
    // Who has none of his own is free to use what he was given.
    assert_eq!(value_of("UniqueIdentifier", &kms.done("bob", &encrypt)), "mallorys");
}

// Checks that were true a moment ago.

/// What several requests are answered that are committed together, in this order.
fn together(kms: &mut Kms, requests: &[(&str, Endpoint, String)]) -> Vec<(u16, String)> {
    let mut calls: Vec<Call> = requests
        .iter()
        .map(|(user, endpoint, body)| Call {
            endpoint: endpoint.clone(),
            asker: Asker {
                principal: Principal((*user).into()),
                standing: Standing::Equal,
                now: Timestamp::from_unix(kms.now),
                streams: kms.streams.clone(),
                nonces: kms.nonces.clone(),
                is_audited: true,
            },
            body: body.as_bytes().to_vec().into(),
            tenant: None,
        })
        .collect();
    let replies = pipeline::write(&mut calls, &kms.store, &mut kms.entropy);
    let told = |reply: pipeline::Reply| (reply.answer.status, String::from_utf8_lossy(&reply.body).into());
    replies.into_iter().map(|reply| told(reply.unwrap())).collect()
}

#[test]
fn what_is_committed_together_is_checked_one_after_the_other() {
    let mut kms = Kms::new();
    kms.done("alice", &import_key("k", KEY, &[]));
    kms.grant("alice", "bob", "k", r#"["setattribute"]"#);
    let set = edit("SetAttribute", "k", &text("ContactInformation", "bob"));
    let withdraw = Endpoint::ChangeAccess(Direction::Revoke);
    let answers = together(
        &mut kms,
        &[
            ("bob", Endpoint::Kmip, set.clone()),
            ("alice", withdraw, grant("k", "bob", r#"["setattribute"]"#)),
            ("bob", Endpoint::Kmip, set.clone()),
            ("alice", GRANT, grant("k", "bob", r#"["destroy"]"#)),
            (
                "alice",
                Endpoint::Kmip,
                structure(
                    "Revoke",
                    &[
                        on("k"),
                        structure("RevocationReason", &[enumeration("RevocationReasonCode", "Unspecified")]),
                    ],
                ),
            ),
            ("bob", Endpoint::Kmip, structure("Destroy", &[on("k"), boolean("Remove", true)])),
            ("alice", Endpoint::Kmip, set),
        ],
    );
    let statuses: Vec<u16> = answers.iter().map(|answer| answer.0).collect();
    assert_eq!(statuses, [200, 200, 422, 200, 200, 200, 422], "{answers:?}");
    assert_eq!((&answers[2].1, &answers[6].1), (&hidden("k"), &hidden("k")));
}

// Keys that are stored wrapped.

#[test]
fn a_wrapped_key_is_still_wrapped_after_whatever_is_done_with_it() {
    let mut kms = Kms::new();
    kms.done("alice", &import_key("kek", KEY, &[]));
    let limits = structure(
        "UsageLimits",
        &[
            item("UsageLimitsTotal", "LongInteger", "9"),
            item("UsageLimitsCount", "LongInteger", "9"),
            enumeration("UsageLimitsUnit", "Object"),
        ],
    );
    // Encrypt, Decrypt, MAC Generate, MAC Verify, Derive Key.
    let attributes = [integer("CryptographicUsageMask", 0x38C), limits, cosmian("wrapping_key_id", "kek")];
    kms.done("alice", &import_key("w", KEY, &attributes));
    let stored = |kms: &Kms| kms.store.read().unwrap().object("w").unwrap().unwrap();
    let before = stored(&kms);
    let is_bare = |bytes: &[u8]| bytes.windows(32).any(|window| window == hex(KEY));
    assert!(before.is_wrapped() && !is_bare(before.material.expose()));
    let wrapped = before.material.expose().to_vec();
    let hashing = structure("CryptographicParameters", &[enumeration("HashingAlgorithm", "SHA256")]);
    let data = bytes("Data", "00");
    for request in [
        structure("Encrypt", &[on("w"), data.clone()]),
        structure("MAC", &[on("w"), hashing, data]),
        derive("w", "derived"),
        get("w", &[not_wrapped()]),
        structure("Export", &[on("w"), not_wrapped()]),
        edit("SetAttribute", "w", &text("ContactInformation", "alice")),
        structure(
            "Revoke",
            &[on("w"), structure("RevocationReason", &[enumeration("RevocationReasonCode", "Unspecified")])],
        ),
    ] {
        kms.done("alice", &request);
        let after = stored(&kms);
        assert!(after.is_wrapped() && after.material.expose() == wrapped, "{request}");
        assert!(!is_bare(&after.attributes) && !is_bare(&after.parts), "{request}");
    }
    assert_ne!(stored(&kms).attributes, before.attributes, "its uses were counted");
}

fn hex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

// Answers that tell.

#[test]
fn whatever_is_not_genuine_is_told_in_the_same_words() {
    let mut kms = Kms::new();
    for uid in ["k", "other"] {
        kms.done("alice", &import_key(uid, &if uid == "k" { KEY.into() } else { "00".repeat(32) }, &[]));
    }
    let (data, nonce, tag) = ("Data", "IVCounterNonce", "AuthenticatedEncryptionTag");
    let aad = |value| bytes("AuthenticatedEncryptionAdditionalData", value);
    let sealed = kms.done("alice", &structure("Encrypt", &[on("k"), bytes(data, "CAFE"), aad("AA")]));
    let whole = [data, nonce, tag].map(|tag| value_of(tag, &sealed));
    let decrypt = |uid: &str, [sealed, drawn, code]: [&str; 3], more| {
        let items = [on(uid), bytes(data, sealed), bytes(nonce, drawn), bytes(tag, code), more];
        structure("Decrypt", &items)
    };
    let [sealed, drawn, code] = whole.each_ref().map(String::as_str);
    kms.done("alice", &decrypt("k", [sealed, drawn, code], aad("AA")));
    let (zeros, none) = ("00".repeat(16), "00".repeat(12));
    let wrong = [
        decrypt("k", ["0000", drawn, code], aad("AA")),
        decrypt("k", [sealed, &none, code], aad("AA")),
        decrypt("k", [sealed, drawn, &zeros], aad("AA")),
        decrypt("k", [sealed, drawn, code], aad("AB")),
        decrypt("other", [sealed, drawn, code], aad("AA")),
    ];
    let told: BTreeSet<String> = wrong.iter().map(|request| kms.refused("alice", request)).collect();
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told.first().unwrap().starts_with("Cryptographic_Failure: "), "{told:?}");
}

// Names.

#[test]
fn names_are_compared_byte_for_byte() {
    let mut kms = Kms::new();
    for uid in ["k", "k1", "K", "k*"] {
        kms.done("alice", &import_key(uid, KEY, &[]));
    }
    kms.grant("alice", "ren\u{e9}e@example.org", "k", r#"["get"]"#);
    for right in ["*@example.org", "ren*", "**", "%", "_"] {
        kms.grant("alice", right, "k", r#"["get"]"#);
    }
    kms.grant("alice", "bob", "k*", r#"["get"]"#);
    kms.done("ren\u{e9}e@example.org", &get("k", &[]));
    for user in [
        "Ren\u{e9}e@example.org",
        "ren\u{e9}e@Example.org",
        "rene\u{301}e@example.org",
        "renee@example.org",
        " ren\u{e9}e@example.org",
        "ren\u{e9}e@example.org ",
        "ren\u{e9}e@example.org\u{200b}",
        "ren\u{e9}e",
        "ren",
        "mallory@example.org",
        "",
    ] {
        assert_eq!(kms.refused(user, &get("k", &[])), hidden("k"), "{user:?}");
    }
    kms.done("bob", &get("k*", &[]));
    for uid in ["k", "k1", "K"] {
        assert_eq!(kms.refused("bob", &get(uid, &[])), hidden(uid));
    }
    // Nobody can be everybody, or nobody.
    for name in ["*", "", "a\nb", "a\0"] {
        assert_eq!(Principal::named(name.into()), None, "{name:?}");
    }
}

// Identifiers that others have chosen.

#[test]
fn whoever_takes_an_identifier_again_takes_no_grants_with_it() {
    let mut kms = Kms::new();
    // What is not there yet cannot be granted.
    assert_eq!(kms.ask("mallory", GRANT, &grant("k", "mallory", r#"["get"]"#)).0, 401);
    kms.done("alice", &create("k", &[active()]));
    assert_eq!(kms.refused("mallory", &get("k", &[])), hidden("k"));
    kms.grant("alice", "bob", "k", &all_rights());
    kms.grant("alice", "*", "k", r#"["get"]"#);
    // Not even who may do everything puts another in its place.
    let replace = import_key("k", KEY, &[]).replacen(
        r#"{"tag":"ObjectType""#,
        &format!(r#"{},{{"tag":"ObjectType""#, boolean("ReplaceExisting", true)),
        1,
    );
    assert!(kms.refused("bob", &replace).ends_with("one or more objects already exist"));
    kms.done(
        "alice",
        &structure(
            "Revoke",
            &[on("k"), structure("RevocationReason", &[enumeration("RevocationReasonCode", "Unspecified")])],
        ),
    );
    kms.done("alice", &structure("Destroy", &[on("k")]));
    // What is destroyed still has its name, until it is removed.
    assert!(kms.refused("bob", &create("k", &[])).ends_with("one or more objects already exist"));
    kms.done("alice", &structure("Destroy", &[on("k"), boolean("Remove", true)]));
    kms.done("carol", &import_key("k", KEY, &[]));
    for user in ["alice", "bob", "mallory"] {
        assert_eq!(kms.refused(user, &get("k", &[])), hidden("k"), "{user}");
    }
    assert_eq!(kms.ask("carol", Endpoint::ListAccess("k".into()), ""), (200, "[]".into()));
    assert_eq!(kms.ask("bob", Endpoint::ListObtained, ""), (200, "[]".into()));
}

#[test]
fn no_object_stands_for_the_right_to_make_objects() {
    let mut kms = Kms::new();
    let asker = |kms: &Kms, standing| Asker {
        principal: Principal("mallory".into()),
        standing,
        now: Timestamp::from_unix(kms.now),
        streams: kms.streams.clone(),
        nonces: kms.nonces.clone(),
        is_audited: true,
    };
    // An object without a name is given one, whichever way it comes.
    kms.done("mallory", &import_key("base", KEY, &[integer("CryptographicUsageMask", 0x200)]));
    for request in
        [create("", &[]), register(&[on("")]), import_key("", KEY, &[]), derive("base", ""), register(&[])]
    {
        assert_eq!(value_of("UniqueIdentifier", &kms.done("mallory", &request)).len(), 36, "{request}");
    }
    // One that is called like everybody is as any other: to be granted it is not to be granted the making of objects.
    kms.done("mallory", &create("*", &[]));
    kms.grant("mallory", "bob", "*", r#"["create"]"#);
    kms.grant("mallory", "*", "*", r#"["create"]"#);
    for standing in [Standing::Ordinary, Standing::Privileged] {
        for request in [create("", &[]), import_key("", KEY, &[])] {
            let asker = asker(&kms, standing);
            let body = request.as_bytes();
            let (status, _) = kms::ask(&kms.store, &mut kms.entropy, asker, Endpoint::Kmip, body);
            assert_eq!(status, if standing == Standing::Ordinary { 401 } else { 200 }, "{request}");
        }
        let to_all = grant("", "*", r#"["create"]"#);
        let asker = asker(&kms, standing);
        let (status, told) = kms::ask(&kms.store, &mut kms.entropy, asker, GRANT, to_all.as_bytes());
        assert_eq!(status, 401, "{standing:?}: {}", String::from_utf8_lossy(&told));
    }
}

// More than was meant.

#[test]
fn nesting_ends_somewhere_in_every_encoding() {
    let mut kms = Kms::new();
    let (open, close) = (r#"{"tag":"Attributes","value":["#, "]}");
    for depth in [17, 100_000] {
        let nested = format!("{}{}", open.repeat(depth), close.repeat(depth));
        for body in [nested.clone(), format!(r#"{{"tag":"Locate","value":[{nested}]}}"#)] {
            let (status, told) = kms.kmip("alice", &body);
            assert_eq!(status, 422, "{depth}: {told:.200}");
        }
    }
    let mut item = Item::structure(Tag::ATTRIBUTES, vec![]);
    for _ in 0..17 {
        item = Item::structure(Tag::REQUEST_MESSAGE, vec![item]);
    }
    let mut body = Vec::new();
    binary::encode(&[item], &mut body);
    let (status, answer) = kms.ask_bytes("alice", Endpoint::KmipBinary, &body);
    assert_eq!(status, 200);
    assert!(binary::decode(&answer).is_ok() && !answer.is_empty());
    assert!(binary::decode(&body).is_err());
}

// What the audit log does not say.

#[test]
fn every_operation_has_a_line_of_its_own_whatever_it_names() {
    let folder = Scratch::new();
    let log = folder.file("audit.log");
    let server = Server::start(folder.path(), &["--audit-log", &log]);
    let mut client = Client::connect(server.port);
    let forged = "k\n{\"seq\":0,\"operation\":\"Forged\"}\r\u{2028}\u{0}";
    let uid =
        item("UniqueIdentifier", "TextString", r#""k\n{\"seq\":0,\"operation\":\"Forged\"}\r\u2028\u0000""#);
    for operation in Request::NAMES {
        client.post("/kmip/2_1", &structure(operation, std::slice::from_ref(&uid)));
    }
    assert_eq!(server.terminate().code(), Some(0));
    let lines = fs::read_to_string(&log).unwrap();
    for operation in Request::NAMES {
        let told = format!(r#""operation":"{operation}","#);
        assert_eq!(lines.matches(&told).count(), 1, "{operation}:\n{lines}");
    }
    assert!(!lines.contains(forged) && !lines.contains("\"Forged\""), "{lines}");
    let lines: Vec<&str> = lines.split('\n').filter(|line| !line.is_empty()).collect();
    assert!(lines.iter().all(|line| line.starts_with('{') && line.ends_with('}')), "{lines:#?}");
    assert_eq!(lines.iter().filter(|line| line.contains(r#""operation":"#)).count(), Request::NAMES.len());
    let verified = keyway(&["audit", "verify", &log]).output().unwrap();
    assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stderr));
}

// The ledger.

/// What stands between backquotes in the ledger and names a test: a file, and a function in it.
fn named_tests() -> Vec<(String, String)> {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("SECURITY.md")).unwrap();
    let (_, ledger) = text.split_once("\n## Ledger of advisories\n").unwrap();
    let ledger = ledger.split("\n## ").next().unwrap();
    let quoted = ledger.split('`').skip(1).step_by(2);
    let tests = quoted.filter_map(|quoted| quoted.split_once(".rs::"));
    tests.map(|(file, test)| (format!("{file}.rs"), test.to_owned())).collect()
}

#[test]
fn every_test_that_the_ledger_names_is_there() {
    let named = named_tests();
    assert!(named.len() > 30, "{named:?}");
    for (file, test) in &named {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
        let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{file}: {error}"));
        let lines: Vec<&str> = text.lines().map(str::trim).collect();
        let at = lines.iter().position(|line| line.starts_with(&format!("fn {test}()")));
        // Other attributes may stand between.
        let is_there = at.is_some_and(|at| {
            let above = lines[..at].iter().rev().take_while(|line| line.starts_with("#["));
            above.copied().any(|line| line == "#[test]")
        });
        assert!(is_there, "{file} has no test {test}");
    }
}

#[test]
fn every_test_of_the_ledger_in_this_file_is_named_there() {
    let named = named_tests();
    let own = include_str!("advisories.rs").split("\n#[test]\nfn ").skip(1);
    for test in own.map(|rest| rest.split('(').next().unwrap()) {
        let is_named = named.iter().any(|(file, name)| file == "tests/advisories.rs" && name == test);
        assert!(is_named || test.starts_with("every_test_"), "SECURITY.md does not name {test}");
    }
}
