//! TTLV: KMIP's tree of tagged, typed items (KMIP 2.1 section 10), and its encodings.
//!
//! [`binary`] is the encoding at rest; [`json`] is the encoding on the wire, in the dialects of
//! [`kmip::dialect`](crate::wire::kmip::dialect), which is where requests enter and answers leave.
#![forbid(unsafe_code)]

pub mod binary;
mod encoded;
pub mod json;

use crate::time::Timestamp;
pub use crate::wire::kmip::tag::Tag;
pub use encoded::Encoded;
use std::borrow::Cow;
use std::ops::Deref;

/// Where the items of a request stand, and all children of one structure together.
pub type Arena<'a> = typed_arena::Arena<Item<'a>>;

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
    Structure(Children<'a>),
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

/// The children of a structure.
#[derive(Clone, Debug)]
pub enum Children<'a> {
    /// Those that were made one by one.
    Made(Vec<Item<'a>>),
    /// Those that were read into an [`Arena`].
    Read(&'a [Item<'a>]),
}

impl<'a> Deref for Children<'a> {
    type Target = [Item<'a>];
    fn deref(&self) -> &[Item<'a>] {
        match self {
            Children::Made(items) => items,
            Children::Read(items) => items,
        }
    }
}

impl<'a> Children<'a> {
    /// The same to be changed.
    pub fn to_mut(&mut self) -> &mut Vec<Item<'a>> {
        if let Children::Read(items) = self {
            *self = Children::Made(items.to_vec());
        }
        match self {
            Children::Made(items) => items,
            Children::Read(_) => unreachable!("they were copied a moment ago"),
        }
    }
}

impl PartialEq for Children<'_> {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl<'a> From<Vec<Item<'a>>> for Children<'a> {
    fn from(items: Vec<Item<'a>>) -> Self {
        Children::Made(items)
    }
}

impl<'a> Item<'a> {
    /// An item with any value.
    pub fn new(tag: Tag, value: Value<'a>) -> Item<'a> {
        Item { tag, value }
    }

    /// A structure.
    pub fn structure(tag: Tag, children: impl Into<Children<'a>>) -> Item<'a> {
        Item { tag, value: Value::Structure(children.into()) }
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

/// The body of a fuzz target. Whatever can be read as JSON is written, in either dialect and in binary, as something that
/// reads as the same; whatever can be read as binary is written as it was.
#[cfg(any(test, feature = "testing"))]
pub fn fuzz(data: &[u8]) {
    use crate::limits::TTLV_DEPTH_MAX;
    use crate::wire::kmip::dialect::{self, Dialect};

    if let Ok(items) = binary::decode(data) {
        let mut again = Vec::new();
        binary::encode(&items, &mut again);
        assert_eq!(again, data);
    }
    let (mut body, arena) = (data.to_vec(), Arena::new());
    let Ok(request) = dialect::decode(&mut body, &arena) else { return };
    let shape = Shape::of(&request.fields);
    if shape.levels < TTLV_DEPTH_MAX {
        // Whatever the dialect, it is one tree, and binary has a form for it.
        let mut stored = Vec::new();
        binary::encode(&request.fields, &mut stored);
        let mut again = Vec::new();
        binary::encode(&binary::decode(&stored).expect("what was written can be read"), &mut again);
        assert_eq!(again, stored);
    }
    // A structure among whose children is one of its own tag may turn into an array when others are left out.
    if shape.nests_in_itself {
        return;
    }
    for (dialect, levels_max) in [(Dialect::V4, TTLV_DEPTH_MAX / 2), (Dialect::V5, TTLV_DEPTH_MAX)] {
        if shape.levels >= levels_max {
            continue;
        }
        let mut first = Vec::new();
        dialect::encode(dialect, request.root, &request.fields, &mut first);
        let (mut body, arena) = (first.clone(), Arena::new());
        let read = dialect::decode(&mut body, &arena).expect("what was written can be read");
        let mut second = Vec::new();
        dialect::encode(dialect, read.root, &read.fields, &mut second);
        assert_eq!(first, second);
    }
}

#[cfg(any(test, feature = "testing"))]
struct Shape {
    levels: usize,
    nests_in_itself: bool,
}

#[cfg(any(test, feature = "testing"))]
impl Shape {
    fn of(items: &[Item<'_>]) -> Shape {
        let mut shape = Shape { levels: 1, nests_in_itself: false };
        for item in items {
            if let Value::Structure(children) = &item.value {
                let inner = Shape::of(children);
                shape.levels = shape.levels.max(inner.levels + 1);
                shape.nests_in_itself |=
                    inner.nests_in_itself || children.iter().any(|child| child.tag == item.tag);
            }
        }
        shape
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::kmip::dialect::{self, Dialect};

    /// Numbers out of a seed (SplitMix64).
    struct Choices(u64);

    impl Choices {
        fn below(&mut self, bound: u64) -> u64 {
            self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
            let mut mixed = self.0;
            mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            (mixed ^ (mixed >> 31)) % bound
        }

        fn bytes(&mut self, length_max: u64) -> Vec<u8> {
            (0..self.below(length_max + 1)).map(|_| self.below(256) as u8).collect()
        }

        fn text(&mut self) -> String {
            (0..self.below(12)).filter_map(|_| char::from_u32(self.below(0x400) as u32)).collect()
        }

        /// A tree that both dialects can express.
        fn items(&mut self, depth: u64) -> Vec<Item<'static>> {
            (0..1 + self.below(5)).map(|_| self.item(depth)).collect()
        }

        fn item(&mut self, depth: u64) -> Item<'static> {
            const NESTS: [Tag; 4] =
                [Tag::REQUEST_PAYLOAD, Tag::KEY_BLOCK, Tag::CRYPTOGRAPHIC_PARAMETERS, Tag::KEY_WRAPPING_DATA];
            match self.below(14) {
                0 => Item::integer(Tag::BATCH_COUNT, self.below(1 << 32) as u32 as i32),
                1 => Item::new(Tag::ROTATE_INTERVAL, Value::LongInteger(self.below(u64::MAX) as i64)),
                2 => {
                    let mut bytes = vec![0; 8];
                    bytes.extend((0..8 * self.below(4)).map(|_| self.below(256) as u8));
                    bytes[0] = 0;
                    bytes[1] = 1 + self.below(255) as u8;
                    Item::new(Tag::MODULUS, Value::BigInteger(bytes.into()))
                }
                3 => Item::enumeration(Tag::OBJECT_TYPE, 1 + self.below(12) as u32),
                4 => Item::enumeration(Tag::ATTRIBUTE_REFERENCE, Tag::STATE.0),
                5 => Item::boolean(Tag::FRESH, self.below(2) == 1),
                6 => Item::text(Tag::COMMENT, self.text()),
                7 => Item::bytes(Tag::IV_COUNTER_NONCE, self.bytes(20)),
                8 => {
                    let seconds = self.below(1 << 40) as i64 - (1 << 39);
                    Item::date_time(Tag::TIME_STAMP, Timestamp::from_unix(seconds))
                }
                9 => Item::new(Tag::LEASE_TIME, Value::Interval(self.below(1 << 32) as u32)),
                10 => Item::new(Tag::SERVER_LOAD, Value::DateTimeExtended(self.below(u64::MAX) as i64)),
                11 => {
                    Item::structure(Tag::LINK, vec![Item::text(Tag::LINKED_OBJECT_IDENTIFIER, self.text())])
                }
                12 => Item::structure(
                    Tag::ATTRIBUTE,
                    vec![
                        Item::text(Tag::VENDOR_IDENTIFICATION, "cosmian"),
                        Item::text(Tag::ATTRIBUTE_NAME, "tag"),
                        Item::text(Tag::ATTRIBUTE_VALUE, self.text()),
                    ],
                ),
                _ => match depth.checked_sub(1) {
                    Some(depth) => Item::structure(NESTS[depth as usize], self.items(depth)),
                    None => Item::structure(Tag::QLENGTH, vec![]),
                },
            }
        }
    }

    #[test]
    fn random_trees_survive_every_encoding() {
        for seed in 0..2_000 {
            let items = Choices(seed).items(4);
            let mut stored = Vec::new();
            binary::encode(&items, &mut stored);
            assert_eq!(binary::decode(&stored).as_deref(), Ok(&items[..]), "seed {seed}");
            assert_eq!(binary::find(&stored, items[0].tag).as_ref(), Some(&items[0].value), "seed {seed}");
            fuzz(&stored);
            for dialect in [Dialect::V4, Dialect::V5] {
                let mut written = Vec::new();
                dialect::encode(dialect, "Root", &items, &mut written);
                fuzz(&written);
                let (mut spaced, arena) = (spaced(&written), Arena::new());
                let read = dialect::decode(&mut written, &arena).unwrap();
                assert_eq!(dialect::decode(&mut spaced, &arena).as_ref(), Ok(&read), "seed {seed}");
                assert_eq!((read.root, &*read.fields), ("Root", &*trimmed(&items, dialect)), "seed {seed}");
            }
        }
    }

    /// The same document as nobody writes it, with a space behind each token that is no value.
    fn spaced(json: &[u8]) -> Vec<u8> {
        let (mut spaced, mut in_string, mut escaped) = (Vec::new(), false, false);
        for &byte in json {
            spaced.push(byte);
            in_string ^= byte == b'"' && !escaped;
            escaped = in_string && byte == b'\\' && !escaped;
            if !in_string && b"{[,:]}".contains(&byte) {
                spaced.push(b' ');
            }
        }
        spaced
    }

    /// 4.9.1 does not write the zeros before a magnitude, but for the one that keeps it positive.
    fn trimmed(items: &[Item<'static>], dialect: Dialect) -> Vec<Item<'static>> {
        let trimmed_value = |value: &Value<'static>| match value {
            Value::Structure(children) => Value::Structure(trimmed(children, dialect).into()),
            Value::BigInteger(bytes) if dialect == Dialect::V4 => {
                Value::BigInteger(bytes[usize::from(bytes[1] < 0x80)..].to_vec().into())
            }
            other => other.clone(),
        };
        items.iter().map(|item| Item::new(item.tag, trimmed_value(&item.value))).collect()
    }
}
