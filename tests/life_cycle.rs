//! The life of objects from activation to destruction, and their replacement.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod support;

use keyway::crypto::material::Material;
use keyway::kms::attributes;
use keyway::kms::object::Object;
use keyway::kms::rights::Rights;
use keyway::kms::state::State;
use keyway::kms::view::Change;
use keyway::time::Timestamp;
use keyway::wire::kmip::enumeration::{link_type, object_type};
use keyway::wire::ttlv::{Encoded, Item, Tag};
use support::requests::{
    Kms, active, boolean, create, date, enumeration, item, link, name, on, structure_v4,
};
use support::requests::{structure, tags, text, vendor};

/// What `GetAttributes` tells of an object by these names.
fn get(kms: &mut Kms, uid: &str, names: &[&str]) -> String {
    let mut items = vec![on(uid)];
    items.extend(names.iter().map(|name| enumeration("AttributeReference", name)));
    let answer = kms.v5("GetAttributes", &items);
    let (_, rest) = answer.split_once(r#""Attributes","value":["#).unwrap_or_else(|| panic!("{answer}"));
    rest.strip_suffix("]}]}").unwrap().to_owned()
}

fn state(name: &str) -> String {
    enumeration("State", name)
}

fn reason(code: &str, message: &str) -> String {
    structure(
        "RevocationReason",
        &[enumeration("RevocationReasonCode", code), text("RevocationMessage", message)],
    )
}

fn revoke(uid: &str, code: &str) -> String {
    structure("Revoke", &[on(uid), reason(code, "why")])
}

fn done(root: &str, uid: &str) -> String {
    format!("200 {}", structure(&format!("{root}Response"), &[on(uid)]))
}

fn with_keys(uids: &[&str], attributes: &[String]) -> Kms {
    let mut kms = Kms::new();
    for uid in uids {
        assert!(kms.ask("alice", &create(uid, attributes)).starts_with("200"));
    }
    kms
}

/// An object of alice in this state, with links.
fn object(uid: &str, object_type: u32, state: State, links: &[(u32, &str)]) -> Object {
    let mut items: Vec<Item<'_>> = links.iter().map(|(kind, to)| attributes::link(*kind, to)).collect();
    items.push(Item::date_time(Tag::INITIAL_DATE, Timestamp::from_unix(1_700_000_000)));
    Object {
        uid: uid.into(),
        owner: "alice".into(),
        object_type,
        state,
        key_format: 1,
        algorithm: 4,
        length_bits: 2048,
        usage_mask: 3,
        material: Material::copy_of(&[1, 2, 3]),
        attributes: Encoded::of(&items),
        parts: Encoded::default(),
        tags: Vec::new(),
    }
}

/// A key pair, `sk` and `pk`, whose public half is in this state.
fn with_pair(public: State) -> Kms {
    let kms = Kms::new();
    let to = |kind, uid| [(kind, uid)];
    kms.put(|| {
        vec![
            Change::Insert(object(
                "sk",
                object_type::PRIVATE_KEY,
                State::Active,
                &to(link_type::PUBLIC_KEY_LINK, "pk"),
            )),
            Change::Insert(object(
                "pk",
                object_type::PUBLIC_KEY,
                public,
                &to(link_type::PRIVATE_KEY_LINK, "sk"),
            )),
        ]
    });
    kms
}

fn states(kms: &Kms, uids: [&str; 2]) -> [Option<State>; 2] {
    uids.map(|uid| kms.object(uid).map(|object| object.state))
}

#[test]
fn activation_is_dated_and_happens_once() {
    let mut kms = with_keys(&["k1"], &[]);
    let activate = structure("Activate", &[on("k1")]);
    assert_eq!(kms.ask("alice", &activate), done("Activate", "k1"));
    assert_eq!(
        get(&mut kms, "k1", &["ActivationDate", "State"]),
        [date("ActivationDate", "2026-11-23T19:00:00Z"), state("Active")].join(",")
    );
    assert_eq!(
        kms.ask("alice", &activate),
        "422 Wrong_Key_Lifecycle_State: Activate: Object k1 is already in Active state"
    );
    let ended = date("DeactivationDate", "2026-11-23T18:00:00Z");
    assert!(kms.ask("alice", &create("k2", &[ended])).starts_with("200"));
    assert_eq!(
        kms.ask("alice", &structure("Activate", &[on("k2")])),
        "422 Invalid Request: Activate: DeactivationDate must not precede ActivationDate"
    );
}

#[test]
fn a_revocation_is_dated_and_keeps_its_first_reason() {
    for code in
        ["Unspecified", "AffiliationChanged", "Superseded", "CessationOfOperation", "PrivilegeWithdrawn"]
    {
        let mut kms = with_keys(&["k1"], &[active()]);
        assert_eq!(kms.ask("alice", &revoke("k1", code)), done("Revoke", "k1"));
        kms.now += 60;
        assert_eq!(kms.ask("alice", &revoke("k1", "Unspecified")), done("Revoke", "k1"));
        assert_eq!(
            get(&mut kms, "k1", &["State", "RevocationReason", "DeactivationDate", "CompromiseDate"]),
            [date("DeactivationDate", "2026-11-23T19:00:00Z"), reason(code, "why"), state("Deactivated")]
                .join(",")
        );
    }
    for code in ["KeyCompromise", "CACompromise"] {
        let mut kms = with_keys(&["k1"], &[active()]);
        kms.now += 60;
        assert_eq!(kms.ask("alice", &revoke("k1", code)), done("Revoke", "k1"));
        let names = ["State", "DeactivationDate", "CompromiseDate", "CompromiseOccurrenceDate"];
        assert_eq!(
            get(&mut kms, "k1", &names),
            [
                date("CompromiseDate", "2026-11-23T19:01:00Z"),
                date("CompromiseOccurrenceDate", "2026-11-23T19:00:00Z"),
                state("Compromised")
            ]
            .join(",")
        );
    }
    let mut kms = with_keys(&["k1"], &[active()]);
    assert_eq!(
        kms.ask("alice", &revoke("k1", "0x00000009")),
        "422 Invalid Request: RevocationReason: RevocationReasonCode is no value of its enumeration"
    );
    assert_eq!(
        kms.v5("Revoke", &[on("k1")]),
        "422 Invalid Request: Revoke: missing field `RevocationReason`"
    );
    assert_eq!(
        kms.v5("Revoke", &[on("k1"), structure("RevocationReason", &[])]),
        "422 Invalid Request: RevocationReason: missing field `RevocationReasonCode`"
    );
    let superseded = reason("Superseded", "why");
    assert_eq!(
        kms.v5("Revoke", &[on("k1"), superseded, date("CompromiseOccurrenceDate", "2026-11-01T00:00:00Z")]),
        "422 Invalid Request: Revoke: CompromiseOccurrenceDate must be absent where the RevocationReasonCode is no compromise"
    );
}

#[test]
fn clients_of_4_9_1_revoke_and_destroy_as_they_did() {
    let mut kms = with_keys(&["k1", "k2"], &[active()]);
    let ok = |root: &str, uid: &str| format!("200 {}", structure_v4(&format!("{root}Response"), &[on(uid)]));
    assert_eq!(
        kms.v4("Destroy", &[on("k1")]),
        "422 Invalid Request: Object with unique identifier: k1 is active. It must be revoked first"
    );
    assert_eq!(kms.v4("Revoke", &[on("k1"), text("RevocationReason", "lost")]), ok("Revoke", "k1"));
    assert_eq!(kms.v4("Revoke", &[on("k1"), text("RevocationReason", "again")]), "422 Item_Not_Found: k1");
    assert_eq!(kms.v4("Destroy", &[on("k1")]), ok("Destroy", "k1"));
    let compromise = enumeration("RevocationReason", "KeyCompromise");
    assert_eq!(
        kms.v4("Revoke", &[on("k2"), compromise.clone()]),
        "422 Invalid Request: A compromise date must be supplied in case of compromised object"
    );
    let on_date = item("CompromiseOccurrenceDate", "LongInteger", "\"0x00000000655386F0\"");
    assert_eq!(kms.v4("Revoke", &[on("k2"), compromise, on_date]), ok("Revoke", "k2"));
    assert_eq!(
        get(&mut kms, "k2", &["CompromiseOccurrenceDate", "State"]),
        [date("CompromiseOccurrenceDate", "2023-11-14T14:40:48Z"), state("Compromised")].join(",")
    );
    assert_eq!(kms.v4("Destroy", &[on("k2")]), ok("Destroy", "k2"));
    assert_eq!(states(&kms, ["k1", "k2"]), [Some(State::Destroyed), Some(State::DestroyedCompromised)]);
}

#[test]
fn destruction_follows_the_table_of_states() {
    use State::*;
    let wrong = "422 Wrong_Key_Lifecycle_State: DENIED";
    let gone = "422 Object_Destroyed: DENIED";
    for (before, told, after) in [
        (PreActive, None, Destroyed),
        (Active, Some(wrong), Active),
        (Deactivated, None, Destroyed),
        (Compromised, None, DestroyedCompromised),
        (Destroyed, Some(gone), Destroyed),
        (DestroyedCompromised, Some(gone), DestroyedCompromised),
    ] {
        let mut kms = Kms::new();
        kms.put(|| vec![Change::Insert(object("o", object_type::SECRET_DATA, before, &[]))]);
        let answer = kms.v5("Destroy", &[on("o")]);
        assert_eq!(answer, told.map_or(done("Destroy", "o"), str::to_owned), "{before:?}");
        let object = kms.object("o").unwrap();
        assert_eq!(object.state, after);
        if told.is_none() {
            assert!(object.material.expose().is_empty());
            assert_eq!(get(&mut kms, "o", &["DestroyDate"]), date("DestroyDate", "2026-11-23T19:00:00Z"));
        }
        let removed = kms.v5("Destroy", &[on("o"), boolean("Remove", true)]);
        match before {
            Active => assert_eq!(removed, wrong),
            _ => assert_eq!(removed, done("Destroy", "o")),
        }
        assert_eq!(kms.object("o").is_some(), before == Active);
    }
    let mut kms = with_keys(&["k1"], &[]);
    assert_eq!(
        kms.v5("Destroy", &[on("k1"), enumeration("ExpectedObjectType", "PrivateKey")]),
        "422 Invalid Request: Destroy: object k1 is not of the expected object type"
    );
}

#[test]
fn both_halves_of_a_pair_go_where_the_client_says_or_always_did() {
    use State::*;
    let both = boolean("Cascade", true);
    let why = reason("Unspecified", "why");
    let mut kms = with_pair(Active);
    assert_eq!(kms.v5("Revoke", &[on("sk"), why.clone()]), done("Revoke", "sk"));
    assert_eq!(states(&kms, ["sk", "pk"]), [Some(Deactivated), Some(Active)]);
    assert_eq!(
        kms.v5("Destroy", &[on("sk"), both.clone()]),
        "422 Wrong_Key_Lifecycle_State: DENIED",
        "one half is in use"
    );
    assert_eq!(kms.v5("Revoke", &[on("sk"), why.clone(), both.clone()]), done("Revoke", "sk"));
    assert_eq!(states(&kms, ["sk", "pk"]), [Some(Deactivated), Some(Deactivated)]);
    assert_eq!(kms.v5("Destroy", &[on("sk")]), done("Destroy", "sk"));
    assert_eq!(states(&kms, ["sk", "pk"]), [Some(Destroyed), Some(Deactivated)]);
    assert_eq!(kms.v5("Destroy", &[on("pk"), both.clone()]), done("Destroy", "pk"));
    assert_eq!(states(&kms, ["sk", "pk"]), [Some(Destroyed), Some(Destroyed)]);
    assert_eq!(kms.v5("Destroy", &[on("sk"), both.clone(), boolean("Remove", true)]), done("Destroy", "sk"));
    assert_eq!(states(&kms, ["sk", "pk"]), [None, None]);

    let mut kms = with_pair(Active);
    let revoke = [on("pk"), text("RevocationReason", "lost")];
    assert_eq!(kms.v4("Revoke", &revoke), format!("200 {}", structure_v4("RevokeResponse", &[on("pk")])));
    assert_eq!(states(&kms, ["sk", "pk"]), [Some(Deactivated), Some(Deactivated)]);
    assert_eq!(
        kms.v4("Destroy", &[on("sk")]),
        format!("200 {}", structure_v4("DestroyResponse", &[on("sk")]))
    );
    assert_eq!(states(&kms, ["sk", "pk"]), [Some(Destroyed), Some(Destroyed)]);

    // Who may revoke one half only, revokes that.
    let mut kms = with_pair(Active);
    kms.grant("sk", "bob", Rights::REVOKE);
    assert_eq!(kms.ask("bob", &structure("Revoke", &[on("sk"), why, both])), done("Revoke", "sk"));
    assert_eq!(states(&kms, ["sk", "pk"]), [Some(Deactivated), Some(Active)]);
}

/// Re-keys `k1`, and gives the identifier of the new key.
fn rekey(kms: &mut Kms, items: &[String]) -> String {
    let answer = kms.v5("ReKey", &[&[on("k1")], items].concat());
    let begin =
        r#"200 {"tag":"ReKeyResponse","value":[{"tag":"UniqueIdentifier","type":"TextString","value":""#;
    answer.strip_prefix(begin).unwrap_or_else(|| panic!("{answer}")).strip_suffix("\"}]}").unwrap().to_owned()
}

#[test]
fn a_new_key_takes_the_place_of_the_old_one() {
    let long = |tag, n: i64| item(tag, "LongInteger", &format!("\"0x{n:016X}\""));
    let limits = |left| {
        let unit = enumeration("UsageLimitsUnit", "Object");
        structure("UsageLimits", &[long("UsageLimitsTotal", 10), long("UsageLimitsCount", left), unit])
    };
    let foo = vendor("acme", "foo", &item("AttributeValue", "Integer", "7"));
    let attributes = [
        active(),
        name("n"),
        link("ChildLink", "c"),
        limits(3),
        tags(r#"["t"]"#),
        foo.clone(),
        boolean("Sensitive", true),
        item("CryptographicUsageMask", "Integer", "12"),
    ];
    let mut kms = with_keys(&["k1"], &attributes);
    kms.grant("k1", "bob", Rights::ENCRYPT);
    kms.now += 60;
    let uid = rekey(&mut kms, &[]);
    let (old, new) = (kms.object("k1").unwrap(), kms.object(&uid).unwrap());
    assert_eq!((old.material.expose().len(), new.material.expose().len()), (32, 32));
    assert_ne!(old.material.expose(), new.material.expose());
    assert_eq!((old.state, old.tags), (State::Deactivated, vec!["_kk".to_owned()]));
    assert_eq!((new.state, new.tags), (State::Active, vec!["t".to_owned(), "_kk".to_owned()]));
    assert_eq!((new.owner.as_str(), new.usage_mask), ("alice", 12));
    let names = ["ActivationDate", "DeactivationDate", "InitialDate", "Link", "Name", "RotateGeneration"];
    let more = ["RotateDate", "RotateLatest", "UsageLimits", "Sensitive", "AlwaysSensitive", "Attribute"];
    assert_eq!(
        get(&mut kms, &uid, &[&names[..], &more].concat()),
        [
            active(),
            boolean("AlwaysSensitive", true),
            date("InitialDate", "2026-11-23T19:01:00Z"),
            link("ReplacedObjectLink", "k1"),
            name("n"),
            date("RotateDate", "2026-11-23T19:01:00Z"),
            item("RotateGeneration", "Integer", "1"),
            boolean("RotateLatest", true),
            boolean("Sensitive", true),
            limits(10),
            foo,
        ]
        .join(",")
    );
    assert_eq!(
        get(&mut kms, "k1", &names),
        [
            active(),
            date("DeactivationDate", "2026-11-23T19:01:00Z"),
            date("InitialDate", "2026-11-23T19:00:00Z"),
            link("ChildLink", "c"),
            link("ReplacementObjectLink", &uid),
        ]
        .join(",")
    );
    let encrypt = structure("Encrypt", &[on(&uid), item("Data", "ByteString", "\"00\"")]);
    assert!(kms.ask("bob", &encrypt).starts_with("200"), "who could use the old key can use the new one");
    // The same once more: a third generation.
    let third = kms.v5("ReKey", &[on(r#"["t"]"#)]);
    let (third, _) = third.rsplit_once('"').unwrap();
    let (_, third) = third.rsplit_once('"').unwrap();
    assert_eq!(get(&mut kms, third, &["RotateGeneration"]), item("RotateGeneration", "Integer", "2"));
    assert_eq!(get(&mut kms, &uid, &["RotateLatest"]), boolean("RotateLatest", false));
}

#[test]
fn an_offset_moves_all_dates_of_the_new_key() {
    let dates = [
        date("ActivationDate", "2026-11-01T00:00:00Z"),
        date("DeactivationDate", "2026-12-01T00:00:00Z"),
        date("ProcessStartDate", "2026-11-02T00:00:00Z"),
        date("ProtectStopDate", "2026-11-10T00:00:00Z"),
    ];
    let names = ["ActivationDate", "DeactivationDate", "ProcessStartDate", "ProtectStopDate", "State"];
    let mut kms = with_keys(&["k1"], &dates);
    let uid = rekey(&mut kms, &[item("Offset", "Interval", "3600")]);
    assert_eq!(
        get(&mut kms, &uid, &names),
        [
            date("ActivationDate", "2026-11-23T20:00:00Z"),
            date("DeactivationDate", "2026-12-23T20:00:00Z"),
            date("ProcessStartDate", "2026-11-24T20:00:00Z"),
            date("ProtectStopDate", "2026-12-02T20:00:00Z"),
            state("PreActive"),
        ]
        .join(",")
    );
    // Until then, the old one is in use.
    let ends = |kms: &mut Kms| get(kms, "k1", &["DeactivationDate", "State"]);
    let end = date("DeactivationDate", "2026-11-23T20:00:00Z");
    assert_eq!(ends(&mut kms), [end.clone(), state("Active")].join(","));
    kms.now += 3600;
    assert_eq!(ends(&mut kms), [end, state("Deactivated")].join(","));
    assert_eq!(get(&mut kms, &uid, &["State"]), state("Active"));
    // Without one, they are the same, but for an end that has come.
    let mut kms = with_keys(&["k1"], &dates);
    let uid = rekey(&mut kms, &[]);
    assert_eq!(
        get(&mut kms, &uid, &names),
        [dates[0].clone(), dates[1].clone(), dates[2].clone(), state("Active")].join(",")
    );
    let uid = {
        kms.now += 365 * 24 * 60 * 60;
        let comment = structure("Attributes", &[text("Comment", "revived")]);
        rekey(&mut kms, &[comment])
    };
    assert_eq!(
        get(&mut kms, &uid, &[&names[..], &["Comment"]].concat()),
        [dates[0].clone(), text("Comment", "revived"), dates[2].clone(), state("Active")].join(",")
    );
}

#[test]
fn what_cannot_be_replaced_is_refused() {
    let mut kms = with_keys(&["k1"], &[]);
    assert_eq!(kms.v5("ReKey", &[on("k2")]), "422 Object_Not_Found: object not found for identifier k2");
    assert_eq!(
        kms.ask("bob", &structure("ReKey", &[on("k1")])),
        "422 Object_Not_Found: object not found for identifier k1"
    );
    assert_eq!(
        kms.v5("ReKey", &[on("k1"), structure("Attributes", &[on("k2")])]),
        "422 Attribute_Read_Only: ReKey: UniqueIdentifier is set by the server alone"
    );
    assert_eq!(kms.v5("Destroy", &[on("k1")]), done("Destroy", "k1"));
    assert_eq!(kms.v5("ReKey", &[on("k1")]), "422 Object_Destroyed: DENIED");
    kms.put(|| {
        let mut wrapped = object("wrapped", object_type::SYMMETRIC_KEY, State::Active, &[]);
        (wrapped.algorithm, wrapped.length_bits) = (3, 256);
        wrapped.parts = Encoded::of(&[Item::structure(Tag::KEY_WRAPPING_DATA, Vec::new())]);
        let private = object("private", object_type::PRIVATE_KEY, State::Active, &[]);
        vec![Change::Insert(wrapped), Change::Insert(private)]
    });
    assert_eq!(
        kms.v5("ReKey", &[on("wrapped")]),
        "422 Not Supported: ReKey: it is not said by which key wrapped is wrapped"
    );
    assert_eq!(
        kms.v5("ReKey", &[on("private")]),
        "422 Invalid Request: ReKey: only a SymmetricKey can be replaced"
    );
}
