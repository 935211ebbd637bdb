//! What requests of KMIP are made of, and how their answers are taken.

use super::kms::Kms;
use keyway::kms::access::Direction;
use keyway::pipeline::Endpoint;

impl Kms {
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

pub fn since_2020() -> String {
    item("ActivationDate", "DateTime", "\"2020-01-01T00:00:00Z\"")
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
    let mut all = vec![since_2020()];
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

pub fn vendor(name: &str, value: &str) -> String {
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
