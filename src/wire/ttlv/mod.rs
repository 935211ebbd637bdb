//! TTLV: KMIP's tree of tagged, typed items (KMIP 2.1 section 10), and its encodings.
#![forbid(unsafe_code)]

pub mod binary;
pub mod json;

use crate::time::Timestamp;
pub use crate::wire::kmip::tag::Tag;
use std::borrow::Cow;

/// One tagged value.
#[derive(Clone, Debug, PartialEq)]
pub struct Item<'a> {
    /// What it is.
    pub tag: Tag,
    /// Its value.
    pub value: Value<'a>,
}

/// A value of one of KMIP's types. Secrets are only ever borrowed here: whoever owns the bytes wipes them.
#[derive(Clone, Debug, PartialEq)]
pub enum Value<'a> {
    /// Items in order; a repeated tag is an array.
    Structure(Vec<Item<'a>>),
    /// 32 bits; also masks.
    Integer(i32),
    /// 64 bits.
    LongInteger(i64),
    /// Two's complement, big-endian, of any length.
    BigInteger(Cow<'a, [u8]>),
    /// The code of a value of the enumeration that the tag names.
    Enumeration(u32),
    /// True or false.
    Boolean(bool),
    /// UTF-8 text.
    Text(Cow<'a, str>),
    /// Bytes.
    Bytes(Cow<'a, [u8]>),
    /// UTC, in seconds.
    DateTime(Timestamp),
    /// A duration in seconds.
    Interval(u32),
    /// UTC, in microseconds since the Unix epoch.
    DateTimeExtended(i64),
}
