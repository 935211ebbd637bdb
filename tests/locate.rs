//! Locate through the pipeline: what each attribute selects, who sees what, pages; over every kind of embedded store.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod support;

use keyway::kms::access::Direction;
use keyway::kms::nonces::Nonces;
use keyway::kms::policy::{Principal, Standing};
use keyway::kms::streams::Streams;
use keyway::pipeline::{Asker, Endpoint};
use keyway::store::Store;
use keyway::store::memory::MemoryStore;
use keyway::store::redb::RedbStore;
use keyway::store::sealed;
use keyway::testing::disk::Disk;
use keyway::time::Timestamp;
use std::sync::Arc;
use support::kms;
use support::stores::{Draws, sealed};

struct Kms(Arc<dyn Store>);

/// The model, and what must do the same.
fn each_kind(test: impl Fn(&Kms)) {
    let redb = || RedbStore::with_backend(Disk::new().mount()).unwrap();
    let stores: [Arc<dyn Store>; 3] =
        [Arc::new(MemoryStore::new()), sealed::open(redb(), None, &mut Draws).unwrap(), sealed(redb())];
    stores.map(Kms).iter().for_each(test);
}

impl Kms {
    fn ask(&self, user: &str, endpoint: Endpoint, body: &str) -> (u16, String) {
        let now = Timestamp::parse_rfc3339("2026-11-25T12:00:00Z").unwrap();
        let asker = Asker {
            principal: Principal(user.into()),
            standing: Standing::Equal,
            now,
            streams: Streams::default(),
            nonces: Nonces::default(),
            is_audited: true,
        };
        let (status, answer) = kms::ask(&*self.0, &mut Draws, asker, endpoint, body.as_bytes());
        (status, String::from_utf8(answer).unwrap())
    }

    fn must(&self, user: &str, endpoint: Endpoint, body: &str) {
        let (status, answer) = self.ask(user, endpoint, body);
        assert_eq!(status, 200, "{body} -> {answer}");
    }

    fn create(&self, user: &str, uid: &str, tags: &str, attributes: &[String]) {
        let mut all =
            vec![enumeration("CryptographicAlgorithm", "AES"), text("UniqueIdentifier", uid), tagged(tags)];
        all.extend_from_slice(attributes);
        let create =
            request("Create", &[enumeration("ObjectType", "SymmetricKey"), structure("Attributes", &all)]);
        self.must(user, Endpoint::Kmip, &create);
    }

    fn grant(&self, owner: &str, uid: &str, user: &str) {
        let grant =
            format!(r#"{{"unique_identifier":"{uid}","user_id":"{user}","operation_types":["encrypt"]}}"#);
        self.must(owner, Endpoint::ChangeAccess(Direction::Grant), &grant);
    }

    /// What is located, and the number that is told.
    fn locate(&self, user: &str, before: &[String], attributes: &[String]) -> (Option<usize>, Vec<String>) {
        let items = [before, &[structure("Attributes", attributes)]].concat();
        let (status, answer) = self.ask(user, Endpoint::Kmip, &request("Locate", &items));
        assert_eq!(status, 200, "{attributes:?} -> {answer}");
        let values = |tag: &str| -> Vec<String> {
            let begin = format!(r#"{{"tag":"{tag}","type":""#);
            let value = |part: &str| {
                let (_, value) = part.split_once(r#""value":"#).unwrap();
                value.split('}').next().unwrap().trim_matches('"').to_owned()
            };
            answer.split(&begin).skip(1).map(value).collect()
        };
        (values("LocatedItems").first().map(|count| count.parse().unwrap()), values("UniqueIdentifier"))
    }

    /// What alice finds by these attributes.
    fn finds(&self, attributes: &[String]) -> String {
        let (count, found) = self.locate("alice", &[], attributes);
        assert_eq!(count, Some(found.len()), "{attributes:?}");
        found.join(" ")
    }
}

fn item(tag: &str, kind: &str, value: &str) -> String {
    format!(r#"{{"tag":"{tag}","type":"{kind}","value":{value}}}"#)
}
fn text(tag: &str, value: &str) -> String {
    item(tag, "TextString", &format!("{value:?}"))
}
fn enumeration(tag: &str, value: &str) -> String {
    item(tag, "Enumeration", &format!("{value:?}"))
}
fn integer(tag: &str, value: i32) -> String {
    item(tag, "Integer", &value.to_string())
}
fn date(tag: &str, value: &str) -> String {
    item(tag, "DateTime", &format!("{value:?}"))
}
fn structure(tag: &str, items: &[String]) -> String {
    format!(r#"{{"tag":"{tag}","value":[{}]}}"#, items.join(","))
}
fn request(root: &str, items: &[String]) -> String {
    structure(root, items)
}
fn vendor(vendor: &str, name: &str, value: &str) -> String {
    let fields = [("VendorIdentification", vendor), ("AttributeName", name), ("AttributeValue", value)];
    structure("Attribute", &fields.map(|(tag, value)| text(tag, value)))
}
fn tagged(tags: &str) -> String {
    vendor("cosmian", "tag", tags)
}
fn name(value: &str) -> String {
    structure("Name", &[text("NameValue", value), enumeration("NameType", "UninterpretedTextString")])
}
fn link(kind: &str, uid: &str) -> String {
    structure("Link", &[enumeration("LinkType", kind), text("LinkedObjectIdentifier", uid)])
}

const ACTIVE: &str = "2020-01-01T00:00:00Z";

fn active() -> String {
    date("ActivationDate", ACTIVE)
}

#[test]
fn every_attribute_selects() {
    each_kind(|kms| {
        kms.create(
            "alice",
            "k1",
            r#"["a","b"]"#,
            &[active(), name("n1"), name("n2"), text("ObjectGroup", "g")],
        );
        let longer = [date("ActivationDate", "2020-01-02T00:00:00Z"), integer("CryptographicLength", 128)];
        kms.create("alice", "k2", r#"["a"]"#, &[&longer[..], &[link("NextLink", "k1"), name("n1")]].concat());
        let group = [text("ObjectGroup", "g"), integer("CryptographicUsageMask", 4), vendor("x", "y", "z")];
        kms.create("alice", "k3", r#"["b"]"#, &[&[active()], &group[..]].concat());
        kms.create("alice", "k4", "[]", &[vendor("x", "y", "other"), link("PreviousLink", "k1")]);
        for (attributes, expected) in [
            (vec![], "k1 k2 k3 k4"),
            (vec![tagged(r#"["a"]"#)], "k1 k2"),
            (vec![tagged(r#"["b","a"]"#)], "k1"),
            (vec![tagged(r#"["a"]"#), tagged(r#"["b"]"#)], "k1"),
            (vec![tagged(r#"["_kk"]"#)], "k1 k2 k3 k4"),
            (vec![tagged(r#"["none"]"#)], ""),
            (vec![name("n1")], "k1 k2"),
            (vec![name("n1"), name("n2")], "k1"),
            (vec![structure("Name", &[text("NameValue", "n2")])], "k1"),
            (vec![structure("Name", &[enumeration("NameType", "URI")])], ""),
            (vec![name("n")], ""),
            (vec![link("NextLink", "k1")], "k2"),
            (vec![structure("Link", &[text("LinkedObjectIdentifier", "k1")])], "k2 k4"),
            (vec![structure("Link", &[enumeration("LinkType", "PreviousLink")])], "k4"),
            (vec![text("ObjectGroup", "g")], "k1 k3"),
            (vec![text("ObjectGroup", "g"), tagged(r#"["a"]"#)], "k1"),
            (vec![vendor("x", "y", "z")], "k3"),
            (vec![structure("Attribute", &[text("AttributeName", "y")])], "k3 k4"),
            (vec![enumeration("ObjectType", "SymmetricKey")], "k1 k2 k3 k4"),
            (vec![enumeration("ObjectType", "PrivateKey")], ""),
            (vec![enumeration("CryptographicAlgorithm", "AES")], "k1 k2 k3 k4"),
            (vec![enumeration("CryptographicAlgorithm", "RSA")], ""),
            (vec![integer("CryptographicLength", 128)], "k2"),
            (vec![integer("CryptographicUsageMask", 4), text("ObjectGroup", "g")], "k1 k3"),
            (vec![integer("CryptographicUsageMask", 12), text("ObjectGroup", "g")], "k1"),
            (vec![enumeration("KeyFormatType", "Raw")], ""),
            (vec![enumeration("State", "PreActive")], "k4"),
            (vec![enumeration("State", "Active"), name("n1")], "k1 k2"),
            (vec![text("UniqueIdentifier", "k2")], "k2"),
            (vec![text("UniqueIdentifier", "k2"), name("n2")], ""),
            (vec![text("UniqueIdentifier", "k9")], ""),
            (vec![date("ActivationDate", ACTIVE)], "k1 k3"),
            (vec![date("ActivationDate", "2020-01-01T12:00:00Z")], ""),
            (
                vec![date("ActivationDate", "2020-01-02T00:00:00Z"), date("ActivationDate", ACTIVE)],
                "k1 k2 k3",
            ),
            (vec![date("InitialDate", "2026-11-25T12:00:00Z")], "k1 k2 k3 k4"),
            (vec![date("DestroyDate", ACTIVE), date("DestroyDate", "2030-01-01T00:00:00Z")], ""),
        ] {
            assert_eq!(kms.finds(&attributes), expected, "{attributes:?}");
        }
    });
}

#[test]
fn what_is_not_a_question_is_refused() {
    let kms = Kms(Arc::new(MemoryStore::new()));
    let told = |items: &[String]| kms.ask("alice", Endpoint::Kmip, &request("Locate", items));
    let attributes = |items: &[String]| told(&[structure("Attributes", items)]);
    let refused = |reason: &str| (422, format!("Invalid Request: {reason}"));
    assert_eq!(attributes(&[integer("State", 1)]), refused("Attributes: State must be an Enumeration"));
    assert_eq!(attributes(&[text("Name", "n")]), refused("Attributes: Name must be a Structure"));
    assert_eq!(
        attributes(&[text("InitialDate", ACTIVE)]),
        refused("Attributes: InitialDate must be a DateTime")
    );
    assert_eq!(
        attributes(&vec![active(); 3]),
        refused("Attributes: ActivationDate may be there twice at most, as the limits of a range")
    );
    assert_eq!(
        attributes(&[tagged("a")]),
        refused("the vendor attribute 'tag' must be a JSON array of strings")
    );
    assert_eq!(
        told(&[enumeration("ObjectGroupMember", "GroupMemberFresh")]),
        refused("Locate: ObjectGroupMember needs an ObjectGroup among the Attributes")
    );
    assert_eq!(told(&[integer("OffsetItems", -1)]), refused("Locate: OffsetItems must not be negative"));
    let fields = vec![text("NameValue", "n"); 255];
    let names = vec![structure("Name", &fields); 5];
    assert_eq!(attributes(&names), refused("the attributes have more than 1024 fields"));
}

#[test]
fn pages_are_in_the_order_of_creation_and_have_the_number_of_all() {
    each_kind(|kms| {
        for key in (0..9).rev() {
            kms.create("alice", &key.to_string(), r#"["t"]"#, &[active(), text("ObjectGroup", "g")]);
        }
        kms.create("bob", "theirs", r#"["t"]"#, &[active()]);
        kms.grant("bob", "theirs", "alice");
        for filter in [vec![], vec![tagged(r#"["t"]"#)]] {
            let page = |offset: i32, most: i32| {
                let before = [integer("MaximumItems", most), integer("OffsetItems", offset)];
                let (count, page) = kms.locate("alice", &before, &filter);
                assert_eq!(count, Some(10));
                page.join(" ")
            };
            assert_eq!(page(0, 4), "8 7 6 5");
            assert_eq!(page(4, 4), "4 3 2 1");
            assert_eq!(page(8, 4), "0 theirs");
            assert_eq!((page(12, 4), page(0, 0)), (String::new(), String::new()));
        }
        let group = |member| {
            let before = [enumeration("ObjectGroupMember", member)];
            kms.locate("alice", &before, &[text("ObjectGroup", "g")])
        };
        assert_eq!(group("GroupMemberDefault"), (Some(1), vec!["8".to_owned()]));
        assert_eq!(group("GroupMemberFresh"), (Some(0), vec![]));
    });
}

#[test]
fn strangers_see_what_they_were_granted_and_nothing_of_the_rest() {
    each_kind(|kms| {
        for uid in ["k1", "k2", "k3"] {
            kms.create("alice", uid, r#"["t"]"#, &[active(), name("n")]);
        }
        kms.create("bob", "own", r#"["t"]"#, &[active(), name("n")]);
        kms.grant("alice", "k2", "bob");
        kms.grant("alice", "k3", "*");
        kms.grant("alice", "k3", "bob");
        for filter in [vec![], vec![tagged(r#"["t"]"#)], vec![name("n")]] {
            let sees = |user| {
                let (count, found) = kms.locate(user, &[], &filter);
                assert_eq!(count, Some(found.len()));
                found.join(" ")
            };
            assert_eq!(sees("alice"), "k1 k2 k3");
            assert_eq!(sees("bob"), "k2 k3 own");
            assert_eq!(sees("carol"), "k3");
        }
        let by_identifier = [text("UniqueIdentifier", "k1")];
        assert_eq!(kms.locate("bob", &[], &by_identifier), (Some(0), vec![]));
    });
}

#[test]
fn what_is_destroyed_shows_to_who_asks_for_it() {
    each_kind(|kms| {
        for uid in ["gone", "revoked", "active"] {
            kms.create("alice", uid, r#"["t"]"#, &[active()]);
        }
        kms.create("alice", "early", "[]", &[]);
        let reason = structure("RevocationReason", &[enumeration("RevocationReasonCode", "Unspecified")]);
        for uid in ["gone", "revoked"] {
            let revoke = request("Revoke", &[text("UniqueIdentifier", uid), reason.clone()]);
            kms.must("alice", Endpoint::Kmip, &revoke);
        }
        kms.must("alice", Endpoint::Kmip, &request("Destroy", &[text("UniqueIdentifier", "gone")]));
        let with = |mask| kms.locate("alice", &[integer("StorageStatusMask", mask)], &[]).1.join(" ");
        assert_eq!(kms.finds(&[]), "revoked active early");
        assert_eq!(with(1), "revoked active early");
        assert_eq!(with(2), "");
        assert_eq!(with(4), "gone");
        assert_eq!(with(5), "gone revoked active early");
        // Clients of 4.9.1 know active objects alone.
        let (status, answer) = kms.ask(
            "alice",
            Endpoint::Kmip,
            r#"{"tag":"Locate","type":"Structure","value":[{"tag":"Attributes","type":"Structure","value":[]}]}"#,
        );
        assert_eq!(
            (status, answer.as_str()),
            (
                200,
                r#"{"tag":"LocateResponse","type":"Structure","value":[{"tag":"LocatedItems","type":"Integer","value":1},{"tag":"UniqueIdentifier","type":"Structure","value":[{"tag":"UniqueIdentifier","type":"TextString","value":"active"}]}]}"#
            )
        );
        let (_, answer) = kms.ask(
            "alice",
            Endpoint::Kmip,
            &request("Locate", &[structure("Attributes", &[tagged(r#"["t"]"#)])]),
        );
        assert_eq!(
            answer,
            r#"{"tag":"LocateResponse","value":[{"tag":"LocatedItems","type":"Integer","value":2},{"tag":"UniqueIdentifier","type":"TextString","value":"revoked"},{"tag":"UniqueIdentifier","type":"TextString","value":"active"}]}"#
        );
    });
}
