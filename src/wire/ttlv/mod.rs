//! TTLV: KMIP's tree of tagged, typed items (KMIP 2.1 section 10), and its encodings.
//!
//! [`binary`] is the encoding at rest; [`json`] is the encoding on the wire, in the dialects of
//! [`kmip::dialect`](crate::wire::kmip::dialect), which is where requests enter and answers leave.
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

impl<'a> Item<'a> {
    /// An item with any value.
    pub fn new(tag: Tag, value: Value<'a>) -> Item<'a> {
        Item { tag, value }
    }

    /// A structure.
    pub fn structure(tag: Tag, children: Vec<Item<'a>>) -> Item<'a> {
        Item { tag, value: Value::Structure(children) }
    }

    /// A text string.
    pub fn text(tag: Tag, text: impl Into<Cow<'a, str>>) -> Item<'a> {
        Item { tag, value: Value::Text(text.into()) }
    }

    /// A byte string.
    pub fn bytes(tag: Tag, bytes: impl Into<Cow<'a, [u8]>>) -> Item<'a> {
        Item { tag, value: Value::Bytes(bytes.into()) }
    }

    /// An integer or a mask.
    pub fn integer(tag: Tag, value: i32) -> Item<'a> {
        Item { tag, value: Value::Integer(value) }
    }

    /// A value of an enumeration, by its code.
    pub fn enumeration(tag: Tag, code: u32) -> Item<'a> {
        Item { tag, value: Value::Enumeration(code) }
    }

    /// A truth value.
    pub fn boolean(tag: Tag, value: bool) -> Item<'a> {
        Item { tag, value: Value::Boolean(value) }
    }

    /// A date.
    pub fn date_time(tag: Tag, at: Timestamp) -> Item<'a> {
        Item { tag, value: Value::DateTime(at) }
    }
}

impl<'a> Value<'a> {
    /// The children of a structure.
    pub fn children(&self) -> Option<&[Item<'a>]> {
        match self {
            Value::Structure(children) => Some(children),
            _ => None,
        }
    }

    /// The text of a text string.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The bytes of a byte string.
    pub fn as_bytes(&self) -> Option<&[u8]> {
        match self {
            Value::Bytes(bytes) => Some(bytes),
            _ => None,
        }
    }
}

/// The children of a structure, to be read by tag. Where a tag is repeated, the first counts; a value of another type
/// than the one asked for is as good as none.
#[derive(Clone, Copy, Debug)]
pub struct Fields<'t, 'a>(pub &'t [Item<'a>]);

impl<'t, 'a> Fields<'t, 'a> {
    /// The first value under `tag`.
    pub fn get(self, tag: Tag) -> Option<&'t Value<'a>> {
        self.0.iter().find(|item| item.tag == tag).map(|item| &item.value)
    }

    /// Every value under `tag`, in order: the elements of an array.
    pub fn all(self, tag: Tag) -> impl Iterator<Item = &'t Value<'a>> {
        self.0.iter().filter(move |item| item.tag == tag).map(|item| &item.value)
    }

    /// The children of a structure.
    pub fn structure(self, tag: Tag) -> Option<Fields<'t, 'a>> {
        self.get(tag).and_then(Value::children).map(Fields)
    }

    /// A text string.
    pub fn text(self, tag: Tag) -> Option<&'t str> {
        self.get(tag).and_then(Value::as_text)
    }

    /// A byte string.
    pub fn bytes(self, tag: Tag) -> Option<&'t [u8]> {
        self.get(tag).and_then(Value::as_bytes)
    }

    /// A big integer: two's complement, big-endian.
    pub fn big_integer(self, tag: Tag) -> Option<&'t [u8]> {
        match self.get(tag) {
            Some(Value::BigInteger(bytes)) => Some(bytes),
            _ => None,
        }
    }

    /// An integer or a mask.
    pub fn integer(self, tag: Tag) -> Option<i32> {
        match self.get(tag) {
            Some(&Value::Integer(value)) => Some(value),
            _ => None,
        }
    }

    /// A long integer.
    pub fn long_integer(self, tag: Tag) -> Option<i64> {
        match self.get(tag) {
            Some(&Value::LongInteger(value)) => Some(value),
            _ => None,
        }
    }

    /// The code of a value of an enumeration.
    pub fn enumeration(self, tag: Tag) -> Option<u32> {
        match self.get(tag) {
            Some(&Value::Enumeration(code)) => Some(code),
            _ => None,
        }
    }

    /// A truth value.
    pub fn boolean(self, tag: Tag) -> Option<bool> {
        match self.get(tag) {
            Some(&Value::Boolean(value)) => Some(value),
            _ => None,
        }
    }

    /// A date.
    pub fn date_time(self, tag: Tag) -> Option<Timestamp> {
        match self.get(tag) {
            Some(&Value::DateTime(at)) => Some(at),
            _ => None,
        }
    }
}
