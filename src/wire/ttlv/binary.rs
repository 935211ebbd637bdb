//! Binary TTLV (KMIP 2.1 section 10.1): the form in which attributes are stored.
//!
//! An item is 3 bytes of tag, 1 of type, 4 of length, then the value, padded with zeros to a multiple of 8 bytes; numbers
//! are big-endian. The length of a structure is that of the items in it.
#![forbid(unsafe_code)]

use super::{Item, Tag, Value};
use crate::limits::{TTLV_DEPTH_MAX, TTLV_ITEMS_MAX};
use crate::time::Timestamp;
use std::borrow::Cow;
use std::fmt;

/// Why bytes are not TTLV.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecodeError {
    /// An item ends behind the end of what holds it.
    Truncated,
    /// There is no type with this code.
    Type(u8),
    /// This type has no values of that length.
    Length(u32),
    /// Bytes of padding are not zero, or a truth value is neither 0 nor 1.
    Padding,
    /// A text string is not UTF-8.
    Text,
    /// Structures are nested too deep, or there are too many items.
    TooLarge,
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DecodeError::Truncated => f.write_str("TTLV item is cut short"),
            DecodeError::Type(code) => write!(f, "unknown TTLV type {code:#04x}"),
            DecodeError::Length(length) => write!(f, "TTLV item of {length} bytes does not fit its type"),
            DecodeError::Padding => f.write_str("TTLV padding is not zero"),
            DecodeError::Text => f.write_str("TTLV text is not UTF-8"),
            DecodeError::TooLarge => f.write_str("TTLV has too many items or levels"),
        }
    }
}

/// Appends the encoding of `items`, one after the other, to `out`. A big integer is extended to a multiple of 8 bytes.
///
/// # Panics
///
/// If a tag has more than 24 bits, or a value more than 2^32 - 1 bytes.
pub fn encode(items: &[Item<'_>], out: &mut Vec<u8>) {
    for item in items {
        encode_item(item, out);
    }
}

/// Appends the beginning of a structure, whose children follow; [`close_structure`] is told where it is.
pub fn open_structure(tag: Tag, out: &mut Vec<u8>) -> usize {
    let start = out.len();
    encode_item(&Item::structure(tag, Vec::new()), out);
    start
}

/// Ends the structure that begins at `start`, after its last child.
pub fn close_structure(start: usize, out: &mut [u8]) {
    let length = u32::try_from(out.len() - start - 8).expect("documents are bounded far below 4 GiB");
    out[start + 4..start + 8].copy_from_slice(&length.to_be_bytes());
}

/// The items that `bytes` hold, one after the other. Texts and byte strings are borrowed.
pub fn decode(bytes: &[u8]) -> Result<Vec<Item<'_>>, DecodeError> {
    decode_items(bytes, TTLV_DEPTH_MAX, &mut 0)
}

/// The value of the first of the items at the top of `bytes` that has this tag; the others are skipped unread.
pub fn find(bytes: &[u8], tag: Tag) -> Option<Value<'_>> {
    let (_, item) = unread(bytes).find(|(found, _)| *found == tag)?;
    let (frame, _) = Frame::split(item).ok()?;
    frame.value(TTLV_DEPTH_MAX, &mut 1).ok()
}

/// Tags of the items at the top of `bytes`, each with what follows from its item on.
pub(super) fn unread(bytes: &[u8]) -> impl Iterator<Item = (Tag, &[u8])> {
    let mut rest = Some(bytes);
    std::iter::from_fn(move || {
        let item = rest?;
        let head = u64::from_be_bytes(*item.first_chunk()?);
        rest = item.get(8 + (head as u32 as usize).next_multiple_of(8)..);
        Some((Tag((head >> 40) as u32), item))
    })
}

/// Tags and undecoded values of the items in `bytes`, up to the first that is none.
pub fn items(bytes: &[u8]) -> impl Iterator<Item = (Tag, &[u8])> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let (frame, after) = Frame::split(rest).ok()?;
        rest = after;
        Some((frame.tag, frame.value))
    })
}

const STRUCTURE: u8 = 0x01;
const INTEGER: u8 = 0x02;
const LONG_INTEGER: u8 = 0x03;
const BIG_INTEGER: u8 = 0x04;
const ENUMERATION: u8 = 0x05;
const BOOLEAN: u8 = 0x06;
const TEXT_STRING: u8 = 0x07;
const BYTE_STRING: u8 = 0x08;
const DATE_TIME: u8 = 0x09;
const INTERVAL: u8 = 0x0A;
const DATE_TIME_EXTENDED: u8 = 0x0B;

fn encode_item(item: &Item<'_>, out: &mut Vec<u8>) {
    let tag = item.tag.0.to_be_bytes();
    assert_eq!(tag[0], 0, "tags have 24 bits");
    out.extend_from_slice(&tag[1..]);
    out.push(match item.value {
        Value::Structure(_) => STRUCTURE,
        Value::Integer(_) => INTEGER,
        Value::LongInteger(_) => LONG_INTEGER,
        Value::BigInteger(_) => BIG_INTEGER,
        Value::Enumeration(_) => ENUMERATION,
        Value::Boolean(_) => BOOLEAN,
        Value::Text(_) => TEXT_STRING,
        Value::Bytes(_) => BYTE_STRING,
        Value::DateTime(_) => DATE_TIME,
        Value::Interval(_) => INTERVAL,
        Value::DateTimeExtended(_) => DATE_TIME_EXTENDED,
    });
    let length_at = out.len();
    out.extend_from_slice(&[0; 4]);
    let start = out.len();
    match &item.value {
        Value::Structure(children) => encode(children, out),
        Value::Integer(value) => out.extend_from_slice(&value.to_be_bytes()),
        Value::LongInteger(value) | Value::DateTimeExtended(value) => {
            out.extend_from_slice(&value.to_be_bytes());
        }
        Value::BigInteger(bytes) => {
            let sign = if bytes.first().is_some_and(|&b| b >= 0x80) { 0xFF } else { 0 };
            out.resize(start + bytes.len().next_multiple_of(8).max(8) - bytes.len(), sign);
            out.extend_from_slice(bytes);
        }
        Value::Enumeration(value) | Value::Interval(value) => out.extend_from_slice(&value.to_be_bytes()),
        Value::Boolean(value) => out.extend_from_slice(&u64::from(*value).to_be_bytes()),
        Value::Text(text) => out.extend_from_slice(text.as_bytes()),
        Value::Bytes(bytes) => out.extend_from_slice(bytes),
        Value::DateTime(at) => out.extend_from_slice(&at.unix().to_be_bytes()),
    }
    let length = out.len() - start;
    let field = u32::try_from(length).expect("documents are bounded far below 4 GiB").to_be_bytes();
    out[length_at..start].copy_from_slice(&field);
    out.resize(start + length.next_multiple_of(8), 0);
}

fn decode_items<'a>(bytes: &'a [u8], depth: usize, count: &mut usize) -> Result<Vec<Item<'a>>, DecodeError> {
    let mut items = Vec::new();
    let mut rest = bytes;
    while !rest.is_empty() {
        *count += 1;
        if *count > TTLV_ITEMS_MAX {
            return Err(DecodeError::TooLarge);
        }
        let (frame, after) = Frame::split(rest)?;
        items.push(Item { tag: frame.tag, value: frame.value(depth, count)? });
        rest = after;
    }
    Ok(items)
}

/// One item, its value not yet looked at.
struct Frame<'a> {
    tag: Tag,
    kind: u8,
    value: &'a [u8],
    padding: &'a [u8],
}

impl<'a> Frame<'a> {
    /// The first item of `bytes`, and what follows it.
    fn split(bytes: &'a [u8]) -> Result<(Frame<'a>, &'a [u8]), DecodeError> {
        let (head, rest) = bytes.split_first_chunk::<8>().ok_or(DecodeError::Truncated)?;
        let tag = Tag(u32::from_be_bytes([0, head[0], head[1], head[2]]));
        let length = u32::from_be_bytes([head[4], head[5], head[6], head[7]]) as usize;
        let (value, rest) = rest.split_at_checked(length).ok_or(DecodeError::Truncated)?;
        let padding = length.next_multiple_of(8) - length;
        let (padding, rest) = rest.split_at_checked(padding).ok_or(DecodeError::Truncated)?;
        Ok((Frame { tag, kind: head[3], value, padding }, rest))
    }

    fn value(&self, depth: usize, count: &mut usize) -> Result<Value<'a>, DecodeError> {
        if self.padding.iter().any(|&byte| byte != 0) {
            return Err(DecodeError::Padding);
        }
        Ok(match self.kind {
            STRUCTURE if depth == 0 => return Err(DecodeError::TooLarge),
            STRUCTURE if !self.padding.is_empty() => return Err(self.bad_length()),
            STRUCTURE => Value::Structure(decode_items(self.value, depth - 1, count)?.into()),
            INTEGER => Value::Integer(i32::from_be_bytes(self.exact()?)),
            LONG_INTEGER => Value::LongInteger(i64::from_be_bytes(self.exact()?)),
            BIG_INTEGER if self.value.is_empty() || !self.padding.is_empty() => return Err(self.bad_length()),
            BIG_INTEGER => Value::BigInteger(Cow::Borrowed(self.value)),
            ENUMERATION => Value::Enumeration(u32::from_be_bytes(self.exact()?)),
            BOOLEAN => match u64::from_be_bytes(self.exact()?) {
                0 => Value::Boolean(false),
                1 => Value::Boolean(true),
                _ => return Err(DecodeError::Padding),
            },
            TEXT_STRING => {
                Value::Text(Cow::Borrowed(std::str::from_utf8(self.value).map_err(|_| DecodeError::Text)?))
            }
            BYTE_STRING => Value::Bytes(Cow::Borrowed(self.value)),
            DATE_TIME => Value::DateTime(Timestamp::from_unix(i64::from_be_bytes(self.exact()?))),
            INTERVAL => Value::Interval(u32::from_be_bytes(self.exact()?)),
            DATE_TIME_EXTENDED => Value::DateTimeExtended(i64::from_be_bytes(self.exact()?)),
            other => return Err(DecodeError::Type(other)),
        })
    }

    fn exact<const N: usize>(&self) -> Result<[u8; N], DecodeError> {
        self.value.try_into().map_err(|_| self.bad_length())
    }

    fn bad_length(&self) -> DecodeError {
        DecodeError::Length(self.value.len() as u32)
    }
}

#[cfg(test)]
mod tests {
    use super::super::Children;
    use super::*;

    fn encoded(item: Item<'_>) -> Vec<u8> {
        let mut out = Vec::new();
        encode(&[item], &mut out);
        out
    }

    /// The examples of KMIP 2.1 section 10.1.2.
    #[test]
    fn the_examples_of_the_specification_are_reproduced() {
        const TAG: Tag = Tag(0x42_0020);
        for (value, hex) in [
            (Value::Integer(8), "42002002000000040000000800000000"),
            (Value::LongInteger(123_456_789_000_000_000), "420020030000000801B69B4BA5749200"),
            (
                Value::BigInteger(vec![0x03, 0xFD, 0x35, 0xEB, 0x6B, 0xC2, 0xDF, 0x46, 0x18, 0x08].into()),
                "42002004000000100000000000000 3FD35EB6BC2DF461808",
            ),
            (Value::Enumeration(255), "4200200500000004000000FF00000000"),
            (Value::Boolean(true), "42002006000000080000000000000001"),
            (Value::Text("Hello World".into()), "420020070000000B48656C6C6F20576F726C640000000000"),
            (Value::Bytes(vec![1, 2, 3].into()), "42002008000000030102030000000000"),
            (Value::DateTime(Timestamp::from_unix(0x47DA_67F8)), "42002009000000080000000047DA67F8"),
            (Value::Interval(864_000), "4200200A00000004000D2F0000000000"),
            (
                Value::Structure(Children::Made(vec![
                    Item::enumeration(Tag(0x42_0004), 254),
                    Item::integer(Tag(0x42_0005), 255),
                ])),
                "42002001000000204200040500000004000000FE000000004200050200000004000000FF00000000",
            ),
        ] {
            let mut hex = hex.replace(' ', "").into_bytes();
            let expected = crate::wire::hex::decode_in_place(&mut hex).unwrap();
            assert_eq!(encoded(Item::new(TAG, value.clone())), expected, "{value:?}");
            let decoded = decode(expected).unwrap();
            let again = encoded(decoded.into_iter().next().unwrap());
            assert_eq!(again, expected, "{value:?}");
        }
    }

    #[test]
    fn negative_big_integers_are_extended_by_their_sign() {
        let out = encoded(Item::new(Tag::D, Value::BigInteger(vec![0x80].into())));
        assert_eq!(&out[8..], [0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x80]);
    }

    #[test]
    fn values_are_found_without_reading_the_others() {
        let mut out = Vec::new();
        encode(
            &[Item::text(Tag::NAME, "x"), Item::integer(Tag::STATE, 7), Item::integer(Tag::STATE, 8)],
            &mut out,
        );
        out[3] = 0x7F;
        assert_eq!(find(&out, Tag::STATE), Some(Value::Integer(7)));
        assert_eq!(find(&out, Tag::LINK), None);
        assert_eq!(decode(&out), Err(DecodeError::Type(0x7F)));
    }

    #[test]
    fn malformed_items_are_refused() {
        let good = encoded(Item::structure(Tag::NAME, vec![Item::text(Tag::NAME_VALUE, "abc")]));
        for length in 1..good.len() {
            assert_eq!(decode(&good[..length]), Err(DecodeError::Truncated), "{length}");
        }
        let broken = |at: usize, byte: u8| {
            let mut bytes = good.clone();
            bytes[at] = byte;
            decode(&bytes).map(|_| ())
        };
        assert_eq!(broken(23, 1), Err(DecodeError::Padding));
        assert_eq!(broken(16, 0xFF), Err(DecodeError::Text));
        assert_eq!(broken(11, INTEGER), Err(DecodeError::Length(3)));
        assert_eq!(broken(7, 15), Err(DecodeError::Length(15)));
        let mut deep = Vec::new();
        for _ in 0..=TTLV_DEPTH_MAX {
            let mut outer = vec![0x42, 0, 0x53, STRUCTURE];
            outer.extend_from_slice(&(deep.len() as u32).to_be_bytes());
            outer.extend_from_slice(&deep);
            deep = outer;
        }
        assert_eq!(decode(&deep), Err(DecodeError::TooLarge));
    }
}
