//! What requests of KMIP are made of, and how their answers are taken.

use super::kms;
use keyway::kms::access::Direction;
use keyway::kms::object::Object;
use keyway::kms::rights::Rights;
use keyway::kms::view::{Change, Changes};
use keyway::pipeline::Endpoint;
use keyway::store::Store;
use std::ops::{Deref, DerefMut};

impl kms::Kms {
    /// The answer to a request that must not be refused.
    #[track_caller]
    pub fn done(&mut self, user: &str, body: &str) -> String {
        let (status, answer) = self.kmip(user, body);
        assert_eq!(status, 200, "{body}\n{answer}");
        answer
    }

    /// The text of a refusal.
    #[track_caller]
    pub fn refused(&mut self, user: &str, body: &str) -> String {
        let (status, answer) = self.kmip(user, body);
        assert_eq!(status, 422, "{body}\n{answer}");
        answer
    }

    /// Lets `user` do these operations on an object of `owner`.
    pub fn grant(&mut self, owner: &str, user: &str, uid: &str, operations: &str) {
        let body =
            format!(r#"{{"unique_identifier":"{uid}","user_id":"{user}","operation_types":{operations}}}"#);
        assert_eq!(self.ask(owner, Endpoint::ChangeAccess(Direction::Grant), &body).0, 200);
    }
}

/// The pipeline, asked in short.
pub struct Kms(kms::Kms);

impl Deref for Kms {
    type Target = kms::Kms;
    fn deref(&self) -> &kms::Kms {
        &self.0
    }
}

impl DerefMut for Kms {
    fn deref_mut(&mut self) -> &mut kms::Kms {
        &mut self.0
    }
}

impl Kms {
    /// At 2026-11-23T19:00:00Z.
    pub fn new() -> Kms {
        Kms(kms::Kms::new())
    }

    /// The status and body of the answer, with a space between.
    pub fn ask(&mut self, user: &str, body: &str) -> String {
        let (status, body) = self.kmip(user, body);
        format!("{status} {body}")
    }

    /// Changes the store behind the back of the key management.
    pub fn put(&self, changes: impl Fn() -> Changes) {
        self.store.transact(&mut |transaction| transaction.apply(changes())).unwrap();
    }

    pub fn grant(&self, uid: &str, user: &str, rights: Rights) {
        self.put(|| vec![Change::Grant { uid: uid.into(), user: user.into(), rights }]);
    }

    pub fn object(&self, uid: &str) -> Option<Object> {
        self.store.read().unwrap().object(uid).unwrap().map(|object| object.copy())
    }

    /// What a request with these items is answered.
    pub fn v5(&mut self, root: &str, items: &[String]) -> String {
        self.ask("alice", &structure(root, items))
    }

    pub fn v4(&mut self, root: &str, items: &[String]) -> String {
        self.ask("alice", &structure_v4(root, items))
    }
}

/// One item of a request.
pub fn item(tag: &str, kind: &str, value: &str) -> String {
    format!(r#"{{"tag":"{tag}","type":"{kind}","value":{value}}}"#)
}

pub fn text(tag: &str, value: &str) -> String {
    item(tag, "TextString", &format!("{value:?}"))
}

pub fn bytes(tag: &str, hex: &str) -> String {
    item(tag, "ByteString", &format!("{hex:?}"))
}

pub fn integer(tag: &str, value: i64) -> String {
    item(tag, "Integer", &value.to_string())
}

pub fn enumeration(tag: &str, value: &str) -> String {
    item(tag, "Enumeration", &format!("{value:?}"))
}

pub fn boolean(tag: &str, value: bool) -> String {
    item(tag, "Boolean", &value.to_string())
}

/// A structure, or a request of 5.x.
pub fn structure(tag: &str, items: &[String]) -> String {
    format!(r#"{{"tag":"{tag}","value":[{}]}}"#, items.join(","))
}

/// The same of 4.9.1.
pub fn structure_v4(tag: &str, items: &[String]) -> String {
    format!(r#"{{"tag":"{tag}","type":"Structure","value":[{}]}}"#, items.join(","))
}

pub fn on(uid: &str) -> String {
    text("UniqueIdentifier", uid)
}

/// The value of the first item of this tag that is no structure, as it is written.
#[track_caller]
pub fn value_of(tag: &str, document: &str) -> String {
    let start = format!(r#""tag":"{tag}","type":""#);
    for (at, _) in document.match_indices(&start) {
        let (_, rest) = document[at + start.len()..].split_once(r#"","value":"#).unwrap();
        if !rest.starts_with('[') {
            return rest[..rest.find('}').unwrap()].trim_matches('"').to_owned();
        }
    }
    panic!("no {tag} in {document}")
}

/// A `SymmetricKey` in this format, with what follows its key value in the key block.
pub fn symmetric_key(format: &str, hex: &str, rest: &[String]) -> String {
    let material = match format {
        "Raw" => bytes("KeyMaterial", hex),
        _ => structure("KeyMaterial", &[bytes("Key", hex)]),
    };
    let mut block = vec![enumeration("KeyFormatType", format), structure("KeyValue", &[material])];
    block.extend_from_slice(rest);
    structure("SymmetricKey", &[structure("KeyBlock", &block)])
}

/// An Import of an object that is active.
pub fn import(uid: &str, object_type: &str, attributes: &[String], object: &str) -> String {
    let mut all = vec![active()];
    all.extend_from_slice(attributes);
    structure(
        "Import",
        &[on(uid), enumeration("ObjectType", object_type), structure("Attributes", &all), object.to_owned()],
    )
}

pub fn import_key(uid: &str, hex: &str, attributes: &[String]) -> String {
    import(uid, "SymmetricKey", attributes, &symmetric_key("Raw", hex, &[]))
}

pub fn get(uid: &str, form: &[String]) -> String {
    structure("Get", &[&[on(uid)], form].concat())
}

pub fn not_wrapped() -> String {
    enumeration("KeyWrapType", "NotWrapped")
}

/// How a key is wrapped: `mode` and `encoding` may be empty.
pub fn wrapping(tag: &str, kek: &str, mode: &str, encoding: &str) -> String {
    let mut key = vec![on(kek)];
    if !mode.is_empty() {
        key.push(structure("CryptographicParameters", &[enumeration("BlockCipherMode", mode)]));
    }
    let mut items =
        vec![enumeration("WrappingMethod", "Encrypt"), structure("EncryptionKeyInformation", &key)];
    if !encoding.is_empty() {
        items.push(enumeration("EncodingOption", encoding));
    }
    structure(tag, &items)
}

pub fn specification(kek: &str, mode: &str, encoding: &str) -> String {
    wrapping("KeyWrappingSpecification", kek, mode, encoding)
}

/// A vendor attribute that clients of 5.x send, with a text.
pub fn cosmian(name: &str, value: &str) -> String {
    structure(
        "Attribute",
        &[
            text("VendorIdentification", "cosmian"),
            text("AttributeName", name),
            text("AttributeValue", value),
        ],
    )
}

pub fn secret(kind: &str, hex: &str) -> String {
    let value = structure("KeyValue", &[bytes("KeyMaterial", hex)]);
    let block = structure("KeyBlock", &[enumeration("KeyFormatType", "Raw"), value]);
    structure("SecretData", &[enumeration("SecretDataType", kind), block])
}

pub fn date(tag: &str, value: &str) -> String {
    item(tag, "DateTime", &format!("{value:?}"))
}

pub fn name(value: &str) -> String {
    structure("Name", &[text("NameValue", value), enumeration("NameType", "UninterpretedTextString")])
}

pub fn link(link_type: &str, uid: &str) -> String {
    structure("Link", &[enumeration("LinkType", link_type), text("LinkedObjectIdentifier", uid)])
}

pub fn vendor(vendor: &str, name: &str, value: &str) -> String {
    let names = [text("VendorIdentification", vendor), text("AttributeName", name), value.to_owned()];
    structure("Attribute", &names)
}

pub fn tags(list: &str) -> String {
    vendor("cosmian", "tag", &text("AttributeValue", list))
}

/// A Create for an AES-256 key with these attributes.
pub fn create(uid: &str, attributes: &[String]) -> String {
    let mut all = vec![enumeration("CryptographicAlgorithm", "AES"), on(uid)];
    all.extend_from_slice(attributes);
    structure("Create", &[enumeration("ObjectType", "SymmetricKey"), structure("Attributes", &all)])
}

/// The ActivationDate of a key that is active.
pub fn active() -> String {
    date("ActivationDate", "2020-01-01T00:00:00Z")
}
