//! TTLV as JSON (KMIP JSON message encoding): objects with the members `tag`, `type` and `value`.
//!
//! This is the part that the two dialects share: the reader takes either and tells which one it was as far as single
//! items show it; the writer writes single items. [`kmip::dialect`](crate::wire::kmip::dialect) does the rest.
//!
//! The reader insists on what the clients' own readers insist on: `tag` and `type` stand before `value`, and nothing else
//! stands there. A missing `type` means a structure. Items with a tag that no table has are dropped, as both original
//! servers drop them.
#![forbid(unsafe_code)]

use super::{Arena, Children, Item, Tag, Value};
use crate::limits::{TTLV_DEPTH_MAX, TTLV_ITEMS_MAX};
use crate::time::Timestamp;
use crate::wire::hex;
use crate::wire::json::{Error, Lexer, write_integer, write_string};
use crate::wire::kmip::dialect::{self, Dialect};
use crate::wire::kmip::enumeration;
use crate::wire::kmip::tag::Opening;
use std::borrow::Cow;
use std::io::Write;
use std::ops::RangeInclusive;

/// One document, as it was written.
pub(crate) struct Document<'a> {
    pub(crate) root: &'a str,
    pub(crate) fields: Children<'a>,
    /// V4 when an item was spelled as only 4.9.1 spells it.
    pub(crate) dialect: Dialect,
}

/// Reads a whole body; the error comes with the dialect seen until then.
pub(crate) fn decode<'a>(body: &'a mut [u8], arena: &'a Arena<'a>) -> Result<Document<'a>, (Error, Dialect)> {
    let lexer = Lexer::new(body);
    let mut reader = Reader { lexer, arena, dialect: Dialect::V5, items: 0, spare: Vec::new() };
    match reader.document() {
        Ok((root, fields)) => Ok(Document { root, fields, dialect: reader.dialect }),
        Err(error) => Err((error, reader.dialect)),
    }
}

/// Appends the beginning of the structure that is the whole document.
pub(crate) fn open_document(name: &str, dialect: Dialect, out: &mut Vec<u8>) {
    out.extend_from_slice(br#"{"tag":"#);
    write_string(name, out);
    begin_children(dialect, out);
}

/// Appends the beginning of a structure, separated from an item before it.
pub(crate) fn open_structure(opening: Opening, dialect: Dialect, out: &mut Vec<u8>) {
    opening.append(out);
    begin_children(dialect, out);
}

fn begin_children(dialect: Dialect, out: &mut Vec<u8>) {
    match dialect {
        Dialect::V4 => out.extend_from_slice(br#","type":"Structure","value":["#),
        Dialect::V5 => out.extend_from_slice(br#","value":["#),
    }
}

/// Appends the end of a structure.
pub(crate) fn close_structure(out: &mut Vec<u8>) {
    out.extend_from_slice(b"]}");
}

/// Appends an item that is no structure, separated from an item before it.
pub(crate) fn write_scalar(
    opening: Opening,
    tag: Tag,
    value: &Value<'_>,
    dialect: Dialect,
    out: &mut Vec<u8>,
) {
    opening.append(out);
    // Pieces whose lengths the compiler knows: most bytes of an answer are these.
    match value {
        Value::Structure(_) => unreachable!("structures are opened and closed"),
        Value::Integer(value) => {
            out.extend_from_slice(br#","type":"Integer","value":"#);
            write_integer(i64::from(*value), out);
        }
        Value::LongInteger(value) => {
            out.extend_from_slice(br#","type":"LongInteger","value":""#);
            write_hex_number(&value.to_be_bytes(), out);
            out.push(b'"');
        }
        Value::BigInteger(bytes) => {
            out.extend_from_slice(br#","type":"BigInteger","value":""#);
            write_big_integer(bytes, dialect, out);
            out.push(b'"');
        }
        Value::Enumeration(code) => {
            out.extend_from_slice(br#","type":"Enumeration","value":""#);
            write_enumeration(tag, *code, out);
            out.push(b'"');
        }
        Value::Boolean(value) => {
            out.extend_from_slice(br#","type":"Boolean","value":"#);
            out.extend_from_slice(if *value { b"true" } else { b"false" });
        }
        Value::Text(text) => {
            out.extend_from_slice(br#","type":"TextString","value":"#);
            write_string(text, out);
        }
        Value::Bytes(bytes) => {
            out.extend_from_slice(br#","type":"ByteString","value":""#);
            hex::encode(bytes, out);
            out.push(b'"');
        }
        Value::DateTime(at) => {
            out.extend_from_slice(br#","type":"DateTime","value":""#);
            if FOUR_DIGIT_YEARS.contains(&at.unix()) {
                write!(out, "{at}").expect("memory takes all that is written");
            } else {
                write_hex_number(&at.unix().to_be_bytes(), out);
            }
            out.push(b'"');
        }
        Value::Interval(seconds) => {
            out.extend_from_slice(br#","type":"Interval","value":"#);
            write_integer(i64::from(*seconds), out);
        }
        Value::DateTimeExtended(value) => {
            out.extend_from_slice(br#","type":"DateTimeExtended","value":""#);
            write_hex_number(&value.to_be_bytes(), out);
            out.push(b'"');
        }
    }
    out.push(b'}');
}

/// The seconds that RFC 3339 can express: those of the years 0000 to 9999.
const FOUR_DIGIT_YEARS: RangeInclusive<i64> = -62_167_219_200..=253_402_300_799;

/// The types of KMIP, as the `type` member names them.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Structure,
    Integer,
    LongInteger,
    BigInteger,
    Enumeration,
    Boolean,
    TextString,
    ByteString,
    DateTime,
    Interval,
    DateTimeExtended,
}

struct Reader<'a> {
    lexer: Lexer<'a>,
    arena: &'a Arena<'a>,
    dialect: Dialect,
    items: usize,
    /// Where children are until their structure ends, and how many they are is known: of structures that have ended.
    spare: Vec<Vec<Item<'a>>>,
}

impl<'a> Reader<'a> {
    fn document(&mut self) -> Result<(&'a str, Children<'a>), Error> {
        let (name, kind) = self.start()?;
        let name = self.lexer.text(name)?;
        if kind != Kind::Structure {
            return Err(self.lexer.data("the document is not a structure"));
        }
        if matches!(name, "Message") {
            self.dialect = Dialect::V4;
        }
        let fields = self.children(None, TTLV_DEPTH_MAX)?;
        self.tail()?;
        self.lexer.end()?;
        Ok((name, fields))
    }

    /// Everything of an item before its value, token by token: its tag, if that is known, and its type.
    fn head(&mut self) -> Result<(Option<Tag>, Kind), Error> {
        let (name, kind) = self.start()?;
        let tag = Tag::from_name(name);
        match tag {
            Some(tag) if is_v4_spelling(tag, name) => self.dialect = Dialect::V4,
            Some(_) => {}
            None => drop(self.lexer.text(name)?),
        }
        Ok((tag, kind))
    }

    /// The same with the bytes of the name, which need not be a text.
    fn start(&mut self) -> Result<(&'a [u8], Kind), Error> {
        let (mut tag, mut kind) = (None, None);
        self.lexer.open_object()?;
        loop {
            match self.lexer.member()? {
                Some("tag") if tag.is_none() => tag = Some(&*self.lexer.string_bytes()?),
                Some("type") if kind.is_none() => kind = Some(self.kind()?),
                Some("value") => break,
                Some(name @ ("tag" | "type")) => {
                    return Err(self.lexer.data(format!("duplicate field `{name}`")));
                }
                Some(_) => return Err(self.unknown_member()),
                None => return Err(self.lexer.data("missing field `value`")),
            }
        }
        let tag = tag.ok_or_else(|| self.lexer.data("missing field `tag`"))?;
        if kind == Some(Kind::Structure) {
            self.dialect = Dialect::V4;
        }
        Ok((tag, kind.unwrap_or(Kind::Structure)))
    }

    /// The same of an item as every client writes it, with a tag that is known. Of all others nothing is consumed.
    fn usual_head(&mut self) -> Option<(Tag, Kind)> {
        let start = br#"{"tag":""#;
        let text = self.lexer.rest().strip_prefix(start)?;
        let (name, text) = text.split_at(quote_at(text)?);
        let (tag, (kind, length)) = (Tag::from_name(name)?, usual_kind(text)?);
        if is_v4_spelling(tag, name) || kind == Some(Kind::Structure) {
            self.dialect = Dialect::V4;
        }
        self.lexer.skip_seen(start.len() + name.len() + length);
        Some((tag, kind.unwrap_or(Kind::Structure)))
    }

    fn tail(&mut self) -> Result<(), Error> {
        if self.lexer.skip_exactly(b"}") {
            return Ok(());
        }
        match self.lexer.member()? {
            None => Ok(()),
            Some("tag" | "type") => Err(self.lexer.data("`tag` and `type` must stand before `value`")),
            Some(_) => Err(self.unknown_member()),
        }
    }

    fn unknown_member(&self) -> Error {
        self.lexer.data("unknown field, expected one of `tag`, `type`, `value`")
    }

    fn kind(&mut self) -> Result<Kind, Error> {
        Ok(match &*self.lexer.string_bytes()? {
            b"Structure" => Kind::Structure,
            b"Integer" => Kind::Integer,
            b"LongInteger" => Kind::LongInteger,
            b"BigInteger" => Kind::BigInteger,
            b"Enumeration" => Kind::Enumeration,
            b"Boolean" => Kind::Boolean,
            b"TextString" => Kind::TextString,
            b"ByteString" => Kind::ByteString,
            b"DateTime" => Kind::DateTime,
            b"Interval" => Kind::Interval,
            b"DateTimeExtended" => Kind::DateTimeExtended,
            _ => return Err(self.lexer.data("unknown type of item")),
        })
    }

    fn children(&mut self, parent: Option<Tag>, depth: usize) -> Result<Children<'a>, Error> {
        let Some(depth) = depth.checked_sub(1) else {
            return Err(self.lexer.data("structures are nested too deep"));
        };
        if !self.lexer.skip_before_last(b"[{") {
            self.lexer.open_array()?;
            if !self.lexer.element()? {
                return Ok(Children::Read(&[]));
            }
        }
        let mut items = self.spare.pop().unwrap_or_default();
        loop {
            let (tag, kind) = match self.usual_head() {
                Some((tag, kind)) => (Some(tag), kind),
                None => self.head()?,
            };
            self.items += 1;
            if self.items > TTLV_ITEMS_MAX {
                return Err(self.lexer.data("too many items"));
            }
            match tag {
                Some(tag) => {
                    let value = self.value(tag, kind, depth)?;
                    items.push(Item { tag, value });
                }
                None => self.lexer.skip()?,
            }
            if self.lexer.skip_before_last(b"},{") {
                continue;
            }
            self.tail()?;
            if !self.lexer.element()? {
                dialect::canonicalise(parent, &mut items, &mut self.dialect);
                let children = self.arena.alloc_extend(items.drain(..));
                self.spare.push(items);
                return Ok(Children::Read(children));
            }
        }
    }

    fn value(&mut self, tag: Tag, kind: Kind, depth: usize) -> Result<Value<'a>, Error> {
        let scalar = match kind {
            Kind::Structure => return self.children(Some(tag), depth).map(Value::Structure),
            Kind::Integer => self.integer().map(Value::Integer),
            Kind::LongInteger => self.long_integer().map(Value::LongInteger),
            Kind::BigInteger => self.big_integer().map(|bytes| Value::BigInteger(Cow::Borrowed(bytes))),
            Kind::Enumeration => self.enumeration(tag).map(Value::Enumeration),
            Kind::Boolean => self.lexer.boolean().map(Value::Boolean),
            Kind::TextString => self.lexer.string().map(|text| Value::Text(Cow::Borrowed(text))),
            Kind::ByteString => self.bytes().map(|bytes| Value::Bytes(Cow::Borrowed(bytes))),
            Kind::DateTime => self.date_time().map(Value::DateTime),
            Kind::Interval => self.interval().map(Value::Interval),
            Kind::DateTimeExtended => self.long_integer().map(Value::DateTimeExtended),
        };
        scalar.map_err(|error| error.about(tag.name().unwrap_or("(extension)")))
    }

    /// A number, or `0x` and the digits of its two's complement.
    fn integer(&mut self) -> Result<i32, Error> {
        let value = match self.hex_number()? {
            Some((value, digits)) if digits <= 8 => Some(value as u32 as i32),
            Some((value, _)) => i32::try_from(value).ok(),
            None => i32::try_from(self.lexer.integer()?).ok(),
        };
        value.ok_or_else(|| self.lexer.data("an Integer has 32 bits"))
    }

    fn long_integer(&mut self) -> Result<i64, Error> {
        match self.hex_number()? {
            Some((value, _)) => Ok(value),
            None => self.lexer.integer(),
        }
    }

    fn interval(&mut self) -> Result<u32, Error> {
        u32::try_from(self.long_integer()?).map_err(|_| self.lexer.data("an Interval has 32 bits"))
    }

    /// The bits that a string of `0x` and digits holds, and the count of the digits; `None` before what is no string.
    fn hex_number(&mut self) -> Result<Option<(i64, usize)>, Error> {
        if self.lexer.peek()? != b'"' {
            return Ok(None);
        }
        match parse_hex_number(self.lexer.string()?) {
            Some(number) => Ok(Some(number)),
            None => Err(self.lexer.data("expected a number, or `0x` and hexadecimal digits")),
        }
    }

    /// In V5 the digits are those of the two's complement, in V4 those of the magnitude. The place of `0x` is where the
    /// zero byte goes that keeps a magnitude positive.
    fn big_integer(&mut self) -> Result<&'a [u8], Error> {
        let text = self.lexer.string_bytes()?;
        let [b'0', prefix @ b'x', ..] = text else {
            return Err(self.lexer.data("expected `0x` and hexadecimal digits"));
        };
        *prefix = b'0';
        let odd = usize::from(!text.len().is_multiple_of(2));
        let Some(bytes) = hex::decode_in_place(&mut text[odd..]) else {
            return Err(self.lexer.data("expected `0x` and hexadecimal digits"));
        };
        let positive = match self.dialect {
            Dialect::V4 => bytes.get(1).is_some_and(|&byte| byte < 0x80),
            Dialect::V5 => bytes.len() > 1,
        };
        Ok(&bytes[usize::from(positive && odd == 0)..])
    }

    fn enumeration(&mut self, tag: Tag) -> Result<u32, Error> {
        let code = match self.lexer.peek()? {
            b'"' => {
                let name = &*self.lexer.string_bytes()?;
                match enumeration::of(tag) {
                    _ if tag == Tag::ATTRIBUTE_REFERENCE => Tag::from_name(name).map(|tag| tag.0),
                    Some(table) => table.code(name),
                    None => None,
                }
                .or_else(|| {
                    let (value, _) = parse_hex_number(self.lexer.text(name).ok()?)?;
                    u32::try_from(value).ok()
                })
            }
            _ => u32::try_from(self.lexer.integer()?).ok(),
        };
        match code {
            // An operation that nobody knows fails alone, as one does whose code is in binary.
            None if tag == Tag::OPERATION => Ok(0),
            None => Err(self.lexer.data("unknown value of its enumeration")),
            Some(code) => Ok(code),
        }
    }

    fn bytes(&mut self) -> Result<&'a [u8], Error> {
        match hex::decode_in_place(self.lexer.string_bytes()?) {
            Some(bytes) => Ok(bytes),
            None => Err(self.lexer.data("a ByteString is an even number of hexadecimal digits")),
        }
    }

    fn date_time(&mut self) -> Result<Timestamp, Error> {
        if self.lexer.peek()? != b'"' {
            return self.lexer.integer().map(Timestamp::from_unix);
        }
        let text = self.lexer.string()?;
        let seconds = || parse_hex_number(text).map(|(seconds, _)| Timestamp::from_unix(seconds));
        Timestamp::parse_rfc3339(text)
            .or_else(seconds)
            .ok_or_else(|| self.lexer.data("a DateTime is an RFC 3339 date, or `0x` and hexadecimal digits"))
    }
}

/// Where the quote stands that ends a name.
fn quote_at(text: &[u8]) -> Option<usize> {
    const ONES: u64 = u64::MAX / 0xFF;
    let (words, _) = text.as_chunks::<8>();
    words.iter().take(NAME_WORDS_MAX).enumerate().find_map(|(at, word)| {
        // The lowest byte that is zero is the lowest whose high bit this sets.
        let others = u64::from_le_bytes(*word) ^ (ONES * u64::from(b'"'));
        let quotes = others.wrapping_sub(ONES) & !others & (ONES << 7);
        (quotes != 0).then(|| 8 * at + quotes.trailing_zeros() as usize / 8)
    })
}

/// No tag has a longer name.
const NAME_WORDS_MAX: usize = 8;

/// What stands between a name and the value, for those types that most items have, and its length. The type of a structure
/// may be missing.
fn usual_kind(text: &[u8]) -> Option<(Option<Kind>, usize)> {
    fn length<const N: usize>(text: &[u8], expected: &[u8; N]) -> Option<usize> {
        (text.first_chunk() == Some(expected)).then_some(N)
    }
    // Initials are enough to tell these apart.
    Some(match text.get(br#"","type":""#.len())? {
        b'T' => (Some(Kind::TextString), length(text, br#"","type":"TextString","value":"#)?),
        b'B' => (Some(Kind::ByteString), length(text, br#"","type":"ByteString","value":"#)?),
        b'E' => (Some(Kind::Enumeration), length(text, br#"","type":"Enumeration","value":"#)?),
        b'S' => (Some(Kind::Structure), length(text, br#"","type":"Structure","value":"#)?),
        b'I' => (Some(Kind::Integer), length(text, br#"","type":"Integer","value":"#)?),
        _ => (None, length(text, br#"","value":"#)?),
    })
}

/// Whether only 4.9.1 writes `tag` as `name`.
fn is_v4_spelling(tag: Tag, name: &[u8]) -> bool {
    match tag {
        Tag::OBJECT => true,
        Tag::ATTRIBUTE => name == b"VendorAttributes",
        Tag::IV_COUNTER_NONCE => name == b"IvCounterNonce",
        Tag::QLENGTH => name == b"QLength",
        _ => false,
    }
}

/// `0x` and up to 16 digits, or up to 32 whose first 16 are zeros (128-bit dates of 4.9.1).
fn parse_hex_number(text: &str) -> Option<(i64, usize)> {
    let digits = text.strip_prefix("0x")?;
    if digits.len() > 32 || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    let value = u128::from_str_radix(digits, 16).ok()?;
    Some((u64::try_from(value).ok()? as i64, digits.len()))
}

fn write_hex_number(bytes: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(b"0x");
    hex::encode(bytes, out);
}

/// V4: the magnitude; V5: the two's complement in whole blocks of 8 bytes.
fn write_big_integer(bytes: &[u8], dialect: Dialect, out: &mut Vec<u8>) {
    match dialect {
        Dialect::V4 => {
            let zeros = bytes.iter().take_while(|&&byte| byte == 0).count();
            write_hex_number(&bytes[zeros.min(bytes.len().saturating_sub(1))..], out);
        }
        Dialect::V5 => {
            let sign = if bytes.first().is_some_and(|&byte| byte >= 0x80) { 0xFF } else { 0 };
            let padding = bytes.len().next_multiple_of(8).max(8) - bytes.len();
            write_hex_number(&[sign; 8][..padding], out);
            hex::encode(bytes, out);
        }
    }
}

fn write_enumeration(tag: Tag, code: u32, out: &mut Vec<u8>) {
    let name = match enumeration::of(tag) {
        _ if tag == Tag::ATTRIBUTE_REFERENCE => Tag(code).name(),
        Some(table) => table.name(code),
        None => None,
    };
    match name {
        Some(name) => out.extend_from_slice(name.as_bytes()),
        None => write_hex_number(&code.to_be_bytes(), out),
    }
}
