//! Where a request is answered. Of a single operation that is told from its first bytes, before it is decoded; of a message,
//! once it is. What turns out to change something goes on to the store lane all the same.
#![forbid(unsafe_code)]

use super::{Endpoint, command};
use crate::kms::operation::{Effect, Request};
use crate::limits;
use crate::wire::kmip::dialect;
use crate::wire::kmip::enumeration::operation;
use crate::wire::ttlv::{Fields, Item, Tag, Value};

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
        // What a message asks for is seen when it has been decoded ([`of_message`]).
        Endpoint::KmipMessage | Endpoint::KmipBinary => None,
        Endpoint::Kmip => match dialect::root(body) {
            Some(root) if command::is_message(root) => None,
            root => match root.and_then(Request::effect_of) {
                // An operation that nobody knows, or one that is spelled as no client spells it.
                None => return Place::BulkLane,
                effect => effect,
            },
        },
    };
    match effect {
        Some(Effect::Writes) => Place::StoreLane,
        Some(Effect::Scans) => Place::BulkLane,
        Some(Effect::Reads) if may_name_tags(body) => Place::BulkLane,
        Some(Effect::Reads) | None if body.len() > limits::INLINE_BODY_BYTES_MAX => Place::BulkLane,
        Some(Effect::Reads) | None => Place::Here,
    }
}

/// Where a message is answered, which was decoded at once.
pub fn of_message(fields: &[Item<'_>]) -> Place {
    let mut place = Place::Here;
    let items = Fields(fields).all(Tag::BATCH_ITEM).filter_map(Value::children).map(Fields);
    for (at, item) in items.take(limits::BATCH_ITEMS_MAX).enumerate() {
        if at == limits::INLINE_BATCH_ITEMS_MAX {
            place = Place::BulkLane;
        }
        let operation = item.enumeration(Tag::OPERATION).and_then(|code| operation::ALL.name(code));
        let payload = item.structure(Tag::REQUEST_PAYLOAD);
        match operation.and_then(Request::effect_of) {
            Some(Effect::Writes) => return Place::StoreLane,
            Some(Effect::Scans) => place = Place::BulkLane,
            Some(Effect::Reads) if payload.is_some_and(|payload| names_tags(payload.0)) => {
                place = Place::BulkLane;
            }
            Some(Effect::Reads) | None => {}
        }
    }
    place
}

/// Whether an identifier among these, or in what they hold, is a list of tags: a wrapping key's may be one, too.
fn names_tags(fields: &[Item<'_>]) -> bool {
    fields.iter().any(|field| match &field.value {
        Value::Text(text) => field.tag == Tag::UNIQUE_IDENTIFIER && text.starts_with('['),
        Value::Structure(children) => names_tags(children),
        _ => false,
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

    #[test]
    fn a_message_goes_where_its_heaviest_operation_goes() {
        let item = |(name, uid): &(&str, &'static str)| {
            let operation = Item::enumeration(Tag::OPERATION, operation::ALL.code(name).unwrap());
            let payload = vec![Item::text(Tag::UNIQUE_IDENTIFIER, *uid)];
            Item::structure(Tag::BATCH_ITEM, vec![operation, Item::structure(Tag::REQUEST_PAYLOAD, payload)])
        };
        for (items, expected) in [
            (&[("Get", "k")][..], Place::Here),
            (&[("Get", "k"), ("Encrypt", "k")], Place::Here),
            (&[("Get", "k"), ("Get", "[\"tag\"]"), ("Get", "k")], Place::BulkLane),
            (&[("Get", "k"), ("Locate", "k"), ("Get", "k")], Place::BulkLane),
            (&[("Locate", "k"), ("Create", "k")], Place::StoreLane),
            (&[("Cancel", "k")], Place::Here),
            (&[], Place::Here),
        ] {
            assert_eq!(of_message(&items.iter().map(item).collect::<Vec<_>>()), expected, "{items:?}");
        }
        assert_eq!(of_message(&[Item::text(Tag::BATCH_ITEM, "none")]), Place::Here);
        let many = |count| vec![item(&("Get", "k")); count];
        assert_eq!(of_message(&many(limits::INLINE_BATCH_ITEMS_MAX)), Place::Here);
        assert_eq!(of_message(&many(limits::INLINE_BATCH_ITEMS_MAX + 1)), Place::BulkLane);
        // The tags of a wrapping key are looked for likewise.
        let kek = Item::structure(
            Tag::ENCRYPTION_KEY_INFORMATION,
            vec![Item::text(Tag::UNIQUE_IDENTIFIER, "[\"kek\"]")],
        );
        let payload = Item::structure(
            Tag::REQUEST_PAYLOAD,
            vec![Item::structure(Tag::KEY_WRAPPING_SPECIFICATION, vec![kek])],
        );
        let get = Item::enumeration(Tag::OPERATION, operation::ALL.code("Get").unwrap());
        let wrapped = Item::structure(Tag::BATCH_ITEM, vec![get, payload]);
        assert_eq!(of_message(&[wrapped]), Place::BulkLane);
    }

    #[test]
    fn what_is_spelled_unusually_is_not_answered_on_the_reactor() {
        for (body, expected) in [
            (r#"{"tag":"Get","type":"Structure","value":[]}"#, Place::Here),
            (r#" { "tag" : "Get" , "value" : [ ] }"#, Place::Here),
            (r#"{"tag":"RequestMessage","value":[]}"#, Place::Here),
            (r#"{"tag":"Locate","value":[]}"#, Place::BulkLane),
            (r#"{"type":"Structure","tag":"Locate","value":[]}"#, Place::BulkLane),
            (r#"{"tag":"Locat\u0065","value":[]}"#, Place::BulkLane),
            (r#"{"type":"Structure","tag":"Create","value":[]}"#, Place::BulkLane),
            ("{", Place::BulkLane),
        ] {
            assert_eq!(place(&Endpoint::Kmip, body.as_bytes(), true), expected, "{body}");
        }
    }
}
