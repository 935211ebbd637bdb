//! Requests as clients of both generations spell them, one item after the other, and what the pipeline answers.

use super::kms;
use keyway::kms::object::Object;
use keyway::kms::rights::Rights;
use keyway::kms::view::{Change, Changes};
use keyway::store::Store;
use std::ops::{Deref, DerefMut};

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
        self.store.read().unwrap().object(uid).unwrap()
    }

    /// What a request with these items is answered.
    pub fn v5(&mut self, root: &str, items: &[String]) -> String {
        self.ask("alice", &request(root, items))
    }

    pub fn v4(&mut self, root: &str, items: &[String]) -> String {
        self.ask("alice", &request_v4(root, items))
    }
}

/// One item of a request.
pub fn item(tag: &str, kind: &str, value: &str) -> String {
    format!(r#"{{"tag":"{tag}","type":"{kind}","value":{value}}}"#)
}

pub fn text(tag: &str, value: &str) -> String {
    item(tag, "TextString", &format!("{value:?}"))
}

pub fn enumeration(tag: &str, name: &str) -> String {
    item(tag, "Enumeration", &format!("{name:?}"))
}

pub fn boolean(tag: &str, value: bool) -> String {
    item(tag, "Boolean", &value.to_string())
}

pub fn date(tag: &str, value: &str) -> String {
    item(tag, "DateTime", &format!("{value:?}"))
}

/// The clients of 5.x write no type on structures.
pub fn structure(tag: &str, items: &[String]) -> String {
    format!(r#"{{"tag":"{tag}","value":[{}]}}"#, items.join(","))
}

pub fn request(root: &str, items: &[String]) -> String {
    structure(root, items)
}

/// A structure or request of 4.9.1.
pub fn request_v4(root: &str, items: &[String]) -> String {
    format!(r#"{{"tag":"{root}","type":"Structure","value":[{}]}}"#, items.join(","))
}

pub fn on(uid: &str) -> String {
    text("UniqueIdentifier", uid)
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
    request("Create", &[enumeration("ObjectType", "SymmetricKey"), structure("Attributes", &all)])
}

/// The ActivationDate of a key that is active.
pub fn active() -> String {
    date("ActivationDate", "2020-01-01T00:00:00Z")
}
