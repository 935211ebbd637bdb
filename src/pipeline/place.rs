//! Where a request is answered. Of a single operation that is told from its first bytes, before it is decoded; of a message,
//! once it is. What turns out to change something goes on to the store lane all the same.
#![forbid(unsafe_code)]

use super::Endpoint;
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
        Endpoint::Kmip => dialect::root(body).and_then(Request::effect_of),
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
    for item in Fields(fields)
        .all(Tag::BATCH_ITEM)
        .filter_map(Value::children)
        .map(Fields)
        .take(limits::BATCH_ITEMS_MAX)
    {
        let operation = item.enumeration(Tag::OPERATION).and_then(|code| operation::ALL.name(code));
        let uid =
            item.structure(Tag::REQUEST_PAYLOAD).and_then(|payload| payload.text(Tag::UNIQUE_IDENTIFIER));
        match operation.and_then(Request::effect_of) {
            Some(Effect::Writes) => return Place::StoreLane,
            Some(Effect::Scans) => place = Place::BulkLane,
            Some(Effect::Reads) if uid.is_some_and(|uid| uid.starts_with('[')) => place = Place::BulkLane,
            Some(Effect::Reads) | None => {}
        }
    }
    place
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
    }
}
