//! Binary TTLV (KMIP 2.1 section 10.1): the form in which attributes are stored.
#![forbid(unsafe_code)]

use super::{Item, Tag, Value};
use std::fmt;

/// Why bytes are not TTLV.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DecodeError;

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not TTLV")
    }
}

/// Appends the encoding of `items`, one after the other, to `out`.
pub fn encode(_items: &[Item<'_>], _out: &mut Vec<u8>) {
    unreachable!("soon")
}

/// The items that `bytes` hold, one after the other.
pub fn decode(_bytes: &[u8]) -> Result<Vec<Item<'_>>, DecodeError> {
    unreachable!("soon")
}

/// The value of the first of the items at the top of `bytes` that has this tag; the others are skipped unread.
pub fn find(_bytes: &[u8], _tag: Tag) -> Option<Value<'_>> {
    unreachable!("soon")
}
