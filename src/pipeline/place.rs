//! Where a request is answered, told from its first bytes and a look for a few words: a hint. What turns out to change
//! something goes on to the store lane all the same.
#![forbid(unsafe_code)]

use super::Endpoint;
use crate::kms::operation::{Effect, Request};
use crate::limits;
use crate::wire::kmip::dialect;
use crate::wire::kmip::enumeration::operation;
use crate::wire::ttlv::{Tag, Value, binary};

/// Where a request is to be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// At once.
    Here,
    /// Where requests are committed in groups.
    StoreLane,
    /// Where what takes long delays nobody else.
    BulkLane,
    /// Nowhere: it would hold up all that is to be changed.
    TooLarge,
}

/// Decides where a request is answered: writes wait for the disk; scans, large bodies and identifiers by tags (a string
/// that begins with `[`, perhaps escaped) may take long, and so does every read of a store that is elsewhere.
pub fn place(endpoint: &Endpoint, body: &[u8], reads_at_once: bool) -> Place {
    match lane(endpoint, body) {
        Place::Here if !reads_at_once => Place::BulkLane,
        Place::StoreLane if body.len() > limits::WRITE_BODY_BYTES_MAX => Place::TooLarge,
        place => place,
    }
}

fn lane(endpoint: &Endpoint, body: &[u8]) -> Place {
    let effect = match endpoint {
        Endpoint::ChangeAccess(_) => return Place::StoreLane,
        Endpoint::ListAccess(_) | Endpoint::MayMake | Endpoint::IsPrivileged => return Place::Here,
        Endpoint::ListOwned | Endpoint::ListObtained => return Place::BulkLane,
        Endpoint::Canonical { .. } => return Place::StoreLane,
        Endpoint::Kmip | Endpoint::KmipMessage => match dialect::root(body) {
            Some("RequestMessage" | "Message") => most(json_operations(body)),
            root => root.and_then(Request::effect_of),
        },
        Endpoint::KmipBinary => most(binary_operations(body)),
    };
    match effect {
        Some(Effect::Writes) => Place::StoreLane,
        Some(Effect::Scans) => Place::BulkLane,
        Some(Effect::Reads) if body.len() > limits::INLINE_BODY_BYTES_MAX || may_name_tags(body) => {
            Place::BulkLane
        }
        Some(Effect::Reads) | None => Place::Here,
    }
}

/// What a batch of these operations does: what the one does that does most.
fn most<'n>(names: impl Iterator<Item = &'n str>) -> Option<Effect> {
    let weight = |effect: &Effect| match effect {
        Effect::Reads => 0,
        Effect::Scans => 1,
        Effect::Writes => 2,
    };
    // Nothing reads a batch that none is found in, but it has to be read to be told so.
    names.filter_map(Request::effect_of).max_by_key(weight).or(Some(Effect::Reads))
}

/// The operations of a message in JSON: each the first string after the tag `Operation` that is no member's name or type.
fn json_operations(body: &[u8]) -> impl Iterator<Item = &str> {
    // Every second piece is a string: a quote within one is a hint that goes wrong.
    let mut pieces = body.split(|byte| *byte == b'"');
    std::iter::from_fn(move || {
        pieces.find(|piece| *piece == b"Operation")?;
        let mut strings = pieces.by_ref().skip(1).step_by(2).take(4);
        let name = strings.find(|string| !matches!(*string, b"type" | b"Enumeration" | b"value"));
        Some(name.unwrap_or_default())
    })
    .take(limits::BATCH_ITEMS_MAX)
    .filter_map(|name| std::str::from_utf8(name).ok())
}

/// The operations of a message in binary.
fn binary_operations(body: &[u8]) -> impl Iterator<Item = &'static str> {
    let message = binary::items(body).next();
    let batch = message.into_iter().flat_map(|(_, fields)| binary::items(fields));
    let items = batch.filter(|(tag, _)| *tag == Tag::BATCH_ITEM).take(limits::BATCH_ITEMS_MAX);
    items.filter_map(|(_, fields)| match binary::find(fields, Tag::OPERATION)? {
        Value::Enumeration(code) => operation::ALL.name(code),
        _ => None,
    })
}

/// Looks at all pairs: without an early end, many are compared at a time.
fn may_name_tags(body: &[u8]) -> bool {
    let after = body.get(1..).unwrap_or_default();
    body.iter()
        .zip(after)
        .fold(false, |found, (&a, &b)| found | ((a == b'"') & (b == b'[')) | ((a == b'\\') & (b == b'u')))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::ttlv::Item;

    #[test]
    fn a_message_goes_where_its_heaviest_operation_goes() {
        let message = |names: &[&str]| {
            let items = names.iter().map(|name| {
                format!(r#"{{"tag":"BatchItem","value":[{{"tag" : "Operation" , "type":"Enumeration","value":"{name}"}}]}}"#)
            });
            format!(r#"{{"tag":"RequestMessage","value":[{}]}}"#, items.collect::<Vec<_>>().join(","))
        };
        let json = Endpoint::KmipMessage;
        for (names, expected) in [
            (&["Get"][..], Place::Here),
            (&["Get", "Encrypt"], Place::Here),
            (&["Get", "Locate", "Get"], Place::BulkLane),
            (&["Locate", "Create"], Place::StoreLane),
            (&["Nothing"], Place::Here),
            (&[], Place::Here),
        ] {
            assert_eq!(place(&json, message(names).as_bytes(), true), expected, "{names:?}");
            assert_eq!(place(&Endpoint::Kmip, message(names).as_bytes(), true), expected, "{names:?}");
            let items = names
                .iter()
                .filter_map(|name| operation::ALL.code(name))
                .map(|code| Item::structure(Tag::BATCH_ITEM, vec![Item::enumeration(Tag::OPERATION, code)]));
            let mut bytes = Vec::new();
            binary::encode(&[Item::structure(Tag::REQUEST_MESSAGE, items.collect())], &mut bytes);
            assert_eq!(place(&Endpoint::KmipBinary, &bytes, true), expected, "{names:?}");
        }
        for broken in [&b"B\0x"[..], b"", b"{\"tag\":\"RequestMessage\",\"Operation\"\"Operation\""] {
            assert_eq!(place(&Endpoint::KmipBinary, broken, true), Place::Here);
            assert_eq!(place(&json, broken, true), Place::Here);
        }
    }
}
