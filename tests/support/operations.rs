//! Single operations as clients of 5.x ask for them, and their answers.

use super::kms;
use keyway::kms::access::Direction;
use keyway::pipeline::Endpoint;

/// The key management.
pub struct Kms(kms::Kms);

impl Kms {
    /// Without any key, on 2026-11-23.
    pub fn new() -> Kms {
        Kms(kms::Kms::new())
    }

    /// Lets so many seconds pass.
    pub fn wait(&mut self, seconds: i64) {
        self.0.now += seconds;
    }

    /// The fields of the answer to a request of `user`, or the text of the refusal.
    pub fn ask_as(&mut self, user: &str, root: &str, items: &[String]) -> Result<Answer, String> {
        let (status, body) = self.0.kmip(user, &structure(root, items));
        if status == 200 {
            assert!(body.starts_with(&format!(r#"{{"tag":"{root}Response","#)), "{body}");
            return Ok(Answer(body));
        }
        assert_eq!(status, 422, "{body}");
        Err(body)
    }

    /// Likewise, for the user who owns all keys.
    pub fn ask(&mut self, root: &str, items: &[String]) -> Result<Answer, String> {
        self.ask_as("alice", root, items)
    }

    /// Imports a symmetric key, active, in the place of one with the same identifier.
    pub fn import(&mut self, uid: &str, algorithm: &str, mask: u32, key: &[u8], attributes: &[String]) {
        let mut all = vec![
            enumeration("CryptographicAlgorithm", algorithm),
            integer("CryptographicUsageMask", mask as usize),
            item("ActivationDate", "DateTime", "\"2020-01-01T00:00:00Z\""),
        ];
        all.extend_from_slice(attributes);
        let block = structure(
            "KeyBlock",
            &[
                enumeration("KeyFormatType", "Raw"),
                structure("KeyValue", &[bytes("KeyMaterial", key)]),
                enumeration("CryptographicAlgorithm", algorithm),
                integer("CryptographicLength", key.len() * 8),
            ],
        );
        let request = [
            on(uid),
            enumeration("ObjectType", "SymmetricKey"),
            item("ReplaceExisting", "Boolean", "true"),
            structure("Attributes", &all),
            structure("SymmetricKey", &[block]),
        ];
        self.ask("Import", &request).unwrap();
    }

    /// Lets another user do something with a key.
    pub fn grant(&mut self, user: &str, uid: &str, operation: &str) {
        let body = format!(
            r#"{{"unique_identifier":"{uid}","user_id":"{user}","operation_types":["{operation}"]}}"#
        );
        assert_eq!(self.0.ask("alice", Endpoint::ChangeAccess(Direction::Grant), &body).0, 200);
    }

    /// The bytes of a key.
    pub fn key(&mut self, uid: &str) -> Vec<u8> {
        let format = enumeration("KeyFormatType", "Raw");
        self.ask("Get", &[on(uid), format]).unwrap().bytes("KeyMaterial").unwrap()
    }
}

/// An answer, in JSON.
#[derive(Debug, PartialEq, Eq)]
pub struct Answer(pub String);

impl Answer {
    /// The text of the first item of this tag.
    pub fn text(&self, tag: &str) -> Option<&str> {
        let (_, rest) = self.0.split_once(&format!(r#"{{"tag":"{tag}","type":""#))?;
        let (_, rest) = rest.split_once(r#""value":""#)?;
        rest.split('"').next()
    }

    /// The bytes of the first item of this tag.
    pub fn bytes(&self, tag: &str) -> Option<Vec<u8>> {
        self.text(tag).map(hex)
    }
}

/// An item of a request.
pub fn item(tag: &str, kind: &str, value: &str) -> String {
    format!(r#"{{"tag":"{tag}","type":"{kind}","value":{value}}}"#)
}

/// A structure: clients of 5.x write no type.
pub fn structure(tag: &str, items: &[String]) -> String {
    format!(r#"{{"tag":"{tag}","value":[{}]}}"#, items.join(","))
}

/// A value of an enumeration.
pub fn enumeration(tag: &str, name: &str) -> String {
    item(tag, "Enumeration", &format!("{name:?}"))
}

/// A number.
pub fn integer(tag: &str, number: usize) -> String {
    item(tag, "Integer", &number.to_string())
}

/// A byte string.
pub fn bytes(tag: &str, bytes: &[u8]) -> String {
    let hex: String = bytes.iter().map(|byte| format!("{byte:02X}")).collect();
    item(tag, "ByteString", &format!("{hex:?}"))
}

/// The identifier of what a request is about.
pub fn on(uid: &str) -> String {
    item("UniqueIdentifier", "TextString", &format!("{uid:?}"))
}

/// The bytes that this text tells.
pub fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u32> =
        text.chars().filter(|c| !c.is_whitespace()).map(|c| c.to_digit(16).unwrap()).collect();
    digits.chunks(2).map(|pair| (pair[0] * 16 + pair[1]) as u8).collect()
}
