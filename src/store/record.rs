//! How an object lies in a database: one versioned record under its identifier.
//!
//! All integers are big-endian. Version 4:
//!
//! | offset | bytes | |
//! |---|---|---|
//! | 0 | 1 | version of the record: 4 |
//! | 1 | 8 | sequence: the place of the object in the order of all; not before version 3, when records lay under it |
//! | 9 | 4 | object type |
//! | 13 | 4 | state, a code of [`State`] |
//! | 17 | 4 | key format type |
//! | 21 | 4 | cryptographic algorithm |
//! | 25 | 4 | cryptographic length in bits |
//! | 29 | 4 | cryptographic usage mask |
//! | 33 | 2 + n | unique identifier: its length in bytes, and as it is stored ([`identifier`](super::identifier)); as text before version 4 |
//! | | 2 + n | owner: its length in bytes, its UTF-8 |
//! | | 2 | number of tags |
//! | | 2 + n each | tags, likewise |
//! | | 4 + n | material: its length, its bytes |
//! | | 4 + n | attributes, likewise |
//! | | 4 + n | parts, likewise; not in version 1 |
//!
//! Nothing follows. A record that is anything else is corrupt, so each object has exactly one record in a version. A new
//! version gets a new table here; what was written in an old one can be read for ever, and is brought up to date when the
//! database is opened ([`upgrade`](super::upgrade)).
#![forbid(unsafe_code)]

use super::StoreError;
use super::identifier::{self, Identifier};
use super::tables;
use crate::crypto::material::Material;
use crate::kms::object::Object;
use crate::kms::state::State;
use crate::secret::Buffer;
use crate::wire::ttlv::Encoded;

/// The version that [`encode`] writes.
const VERSION: u8 = 4;
/// The first that had a sequence.
const SEQUENCE_VERSION: u8 = 3;
/// The last that had its identifier as text.
const TEXT_VERSION: u8 = 3;

/// An object's place in the order.
pub type Sequence = [u8; 8];

/// The record of `object`, which holds the material.
pub fn encode(sequence: Sequence, object: &Object) -> Result<Buffer, StoreError> {
    let identifier = Identifier::of(&object.uid);
    let names = [identifier.as_ref(), object.owner.as_bytes()];
    let names = names.into_iter().chain(object.tags.iter().map(String::as_bytes));
    let names_bytes: usize = names.map(|name| 2 + name.len()).sum();
    let last_fields = [object.material.expose(), &object.attributes, &object.parts];
    let last_bytes: usize = last_fields.iter().map(|field| 4 + field.len()).sum();
    let bytes = 1 + sequence.len() + 6 * 4 + 2 + names_bytes + last_bytes;

    let mut out = Buffer::new(Vec::with_capacity(bytes));
    out.push(VERSION);
    out.extend_from_slice(&sequence);
    for field in [
        object.object_type,
        object.state as u32,
        object.key_format,
        object.algorithm,
        object.length_bits,
        object.usage_mask,
    ] {
        out.extend_from_slice(&field.to_be_bytes());
    }
    put_name(&mut out, identifier.as_ref())?;
    put_name(&mut out, object.owner.as_bytes())?;
    out.extend_from_slice(&length::<u16>(object.tags.len())?.to_be_bytes());
    for tag in &object.tags {
        put_name(&mut out, tag.as_bytes())?;
    }
    for field in last_fields {
        out.extend_from_slice(&length::<u32>(field.len())?.to_be_bytes());
        out.extend_from_slice(field);
    }
    debug_assert_eq!(out.len(), bytes, "the record was measured");
    Ok(out)
}

/// What is in a record of the last version.
pub fn decode(record: &[u8]) -> Result<(Sequence, Object), StoreError> {
    let sequence = sequence(record)?;
    Ok((sequence, decode_fields(VERSION, Fields(&record[1 + sequence.len()..]))?))
}

/// The sequence alone.
pub fn sequence(record: &[u8]) -> Result<Sequence, StoreError> {
    let (&version, rest) = record.split_first().ok_or_else(|| corrupt("it is empty"))?;
    if version != VERSION {
        return Err(corrupt("its version is unknown"));
    }
    rest.first_chunk().copied().ok_or_else(|| corrupt("it ends early"))
}

/// What is in a record of any version; some have no sequence.
pub fn decode_any(record: &[u8]) -> Result<(Option<Sequence>, Object), StoreError> {
    let (&version, rest) = record.split_first().ok_or_else(|| corrupt("it is empty"))?;
    let mut fields = Fields(rest);
    let sequence = match version {
        1..SEQUENCE_VERSION => None,
        SEQUENCE_VERSION..=VERSION => Some(tables::number(fields.take(size_of::<Sequence>())?)?),
        _ => return Err(corrupt("its version is unknown")),
    };
    Ok((sequence, decode_fields(version, fields)?))
}

fn decode_fields(version: u8, mut fields: Fields<'_>) -> Result<Object, StoreError> {
    let object_type = fields.u32()?;
    let state = State::from_code(fields.u32()?).ok_or_else(|| corrupt("its state is unknown"))?;
    let key_format = fields.u32()?;
    let algorithm = fields.u32()?;
    let length_bits = fields.u32()?;
    let usage_mask = fields.u32()?;
    let uid = if version <= TEXT_VERSION { fields.name()? } else { identifier::read(fields.name_bytes()?)? };
    let owner = fields.name()?;
    let tags_len = usize::from(fields.u16()?);
    // Every tag takes two bytes at least: what is allocated stays below a small multiple of the record.
    let mut tags = Vec::with_capacity(tags_len.min(fields.0.len() / 2));
    for _ in 0..tags_len {
        tags.push(fields.name()?);
    }
    let material = Material::copy_of(fields.bytes()?);
    let attributes = fields.bytes()?.to_vec().into();
    let parts = if version == 1 { Encoded::default() } else { fields.bytes()?.to_vec().into() };
    if !fields.0.is_empty() {
        return Err(corrupt("something follows its end"));
    }
    Ok(Object {
        uid,
        owner,
        object_type,
        state,
        key_format,
        algorithm,
        length_bits,
        usage_mask,
        material,
        attributes,
        parts,
        tags,
    })
}

/// The fields that are still to be read.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn take(&mut self, bytes: usize) -> Result<&'a [u8], StoreError> {
        let (taken, rest) = self.0.split_at_checked(bytes).ok_or_else(|| corrupt("it ends early"))?;
        self.0 = rest;
        Ok(taken)
    }

    fn u16(&mut self) -> Result<u16, StoreError> {
        Ok(u16::from_be_bytes(self.take(2)?.try_into().expect("two bytes were taken")))
    }

    fn u32(&mut self) -> Result<u32, StoreError> {
        Ok(u32::from_be_bytes(self.take(4)?.try_into().expect("four bytes were taken")))
    }

    fn name(&mut self) -> Result<String, StoreError> {
        let text = std::str::from_utf8(self.name_bytes()?).map_err(|_| corrupt("a name is not UTF-8"))?;
        Ok(text.to_owned())
    }

    fn name_bytes(&mut self) -> Result<&'a [u8], StoreError> {
        let bytes = usize::from(self.u16()?);
        self.take(bytes)
    }

    fn bytes(&mut self) -> Result<&'a [u8], StoreError> {
        let bytes = self.u32()?;
        self.take(usize::try_from(bytes).map_err(|_| corrupt("it ends early"))?)
    }
}

fn put_name(out: &mut Vec<u8>, name: &[u8]) -> Result<(), StoreError> {
    out.extend_from_slice(&length::<u16>(name.len())?.to_be_bytes());
    out.extend_from_slice(name);
    Ok(())
}

/// A length or a count as the record keeps it.
fn length<T: TryFrom<usize>>(length: usize) -> Result<T, StoreError> {
    T::try_from(length).map_err(|_| StoreError::Refused("a field is too long for its record"))
}

/// Says what is wrong with a record; never what is in it, which may be key material.
fn corrupt(what: &str) -> StoreError {
    StoreError::Corrupt(format!("the record of an object cannot be read: {what}"))
}

/// Whatever decodes is the one record of its object, or becomes that when it is of an old version.
#[cfg(any(test, feature = "testing"))]
pub fn fuzz(data: &[u8]) {
    let record =
        |sequence, object: &_| encode(sequence, object).expect("what fitted into a record fits again");
    if let Ok((sequence, object)) = decode(data) {
        assert!(record(sequence, &object).as_slice() == data, "an object has one record");
    }
    if let Ok((_, object)) = decode_any(data) {
        let brought_up = record([7; 8], &object);
        let (sequence, same) = decode(&brought_up).expect("it was just written");
        assert!(record(sequence, &same) == brought_up);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object() -> Object {
        Object {
            uid: "u1".into(),
            owner: "zo\u{eb}".into(),
            object_type: 2,
            state: State::Active,
            key_format: 7,
            algorithm: 3,
            length_bits: 256,
            usage_mask: 12,
            material: Material::copy_of(&[0xAA, 0xBB]),
            attributes: vec![0x42, 0x01].into(),
            parts: vec![0x54].into(),
            tags: vec!["_kk".into(), "a\0b".into(), String::new()],
        }
    }

    /// The record of `object()`: it must be readable for ever.
    #[rustfmt::skip]
    const RECORD: &[u8] = &[
        4,  0, 0, 0, 0, 0, 0, 1, 9,
        0, 0, 0, 2,  0, 0, 0, 2,  0, 0, 0, 7,  0, 0, 0, 3,  0, 0, 1, 0,  0, 0, 0, 12,
        0, 2, b'u', b'1',
        0, 4, b'z', b'o', 0xC3, 0xAB,
        0, 3,  0, 3, b'_', b'k', b'k',  0, 3, b'a', 0, b'b',  0, 0,
        0, 0, 0, 2, 0xAA, 0xBB,
        0, 0, 0, 2, 0x42, 0x01,
        0, 0, 0, 1, 0x54,
    ];

    #[test]
    fn an_object_has_exactly_this_record() {
        assert_eq!(encode(265_u64.to_be_bytes(), &object()).unwrap().as_slice(), RECORD);
        let (sequence, read) = decode(RECORD).unwrap();
        assert_eq!(sequence, 265_u64.to_be_bytes());
        assert_eq!((read.uid.as_str(), read.owner.as_str()), ("u1", "zo\u{eb}"));
        assert_eq!((read.object_type, read.state), (2, State::Active));
        assert_eq!((read.key_format, read.algorithm, read.length_bits, read.usage_mask), (7, 3, 256, 12));
        assert_eq!(read.material.expose(), [0xAA, 0xBB]);
        assert_eq!(*read.attributes, [0x42, 0x01]);
        assert_eq!(*read.parts, [0x54]);
        assert_eq!(read.tags, ["_kk", "a\0b", ""]);
    }

    #[test]
    fn a_record_of_version_2_has_no_sequence_and_one_of_version_1_no_parts() {
        let last = [&[3], &RECORD[1..]].concat();
        let old = [&[2], &RECORD[9..]].concat();
        let older = [&[1], &RECORD[9..RECORD.len() - 5]].concat();
        let its_own = Some(265_u64.to_be_bytes());
        for (record, sequence, parts) in
            [(last, its_own, &[0x54][..]), (old, None, &[0x54]), (older, None, &[])]
        {
            let (found, read) = decode_any(&record).unwrap();
            assert_eq!((found, &*read.attributes, &*read.parts), (sequence, &[0x42, 0x01][..], parts));
            fuzz(&record);
            assert!(decode(&record).is_err());
        }
        let (found, read) = decode_any(RECORD).unwrap();
        assert_eq!((found, read.uid.as_str()), (its_own, "u1"));
    }

    #[test]
    fn a_uuid_is_text_before_version_4() {
        let uid = "0190163d-8694-739b-aea5-966c26f8ad91";
        let now = encode([0; 8], &Object { uid: uid.into(), ..object() }).unwrap();
        let (head, rest) = now.split_at(33);
        assert_eq!(rest[..3], [0, 17, 0xFF]);
        let text = [&[0, 36], uid.as_bytes(), &rest[19..]].concat();
        let old = [&[3], &head[1..], &text].concat();
        assert_eq!(decode_any(&old).unwrap().1.uid, uid);
        fuzz(&old);
        assert!(decode(&[head, &text].concat()).is_err(), "an object has one record");
    }

    #[test]
    fn a_record_that_is_cut_or_longer_is_corrupt() {
        for bytes in 0..RECORD.len() {
            assert!(matches!(decode(&RECORD[..bytes]), Err(StoreError::Corrupt(_))), "{bytes}");
        }
        assert!(matches!(decode(&[RECORD, &[0]].concat()), Err(StoreError::Corrupt(_))));
    }

    #[test]
    fn every_changed_byte_is_another_object_or_corrupt() {
        for at in 0..RECORD.len() {
            for flip in 1..=255 {
                let mut record = RECORD.to_vec();
                record[at] ^= flip;
                fuzz(&record);
            }
        }
        let mut unknown = RECORD.to_vec();
        unknown[0] = 5;
        assert!(decode(&unknown).is_err(), "a version of the future");
        unknown[0] = 4;
        unknown[16] = 7;
        assert!(decode(&unknown).is_err(), "no such state");
    }

    #[test]
    fn lengths_that_lie_allocate_nothing_much() {
        let mut record = RECORD.to_vec();
        record[43] = 0xFF;
        record[44] = 0xFF;
        assert!(matches!(decode(&record), Err(StoreError::Corrupt(_))));
    }

    #[test]
    fn what_no_record_can_hold_is_refused() {
        let mut long = object();
        long.owner = "x".repeat(65_536);
        assert!(matches!(encode([0; 8], &long), Err(StoreError::Refused(_))));
    }
}
