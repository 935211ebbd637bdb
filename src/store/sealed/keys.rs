//! What is computed with a database's data key. All keys are 32 bytes, by HKDF-Expand (RFC 5869) with SHA-256 from it.
//!
//! A **seal** tells one data key from another: the first 16 bytes of the key `seal`, which is for nothing else.
//!
//! A **term** stands for a name: the first 16 bytes of HMAC-SHA-256 (key `term`) over the table's number, 0 or 1 for the
//! first or second part of the key, and the name.
//!
//! A **sealed value** is
//!
//! | offset | bytes | |
//! |---|---|---|
//! | 0 | 1 | version: 1 |
//! | 1 | 12 | nonce |
//! | 13 | n | ciphertext |
//! | 13 + n | 16 | tag |
//!
//! by AES-256-GCM (key `value`); version, table and key of the row are its additional data. The nonce is the first 12 bytes of
//! HMAC-SHA-256 (key `nonce`) over the additional data and the plaintext: so a machine that was restored from a snapshot
//! repeats none for another content, and the same row has the same value again. Among 2^32 values, two share a nonce with a
//! probability of 2^-33 (NIST SP 800-38D section 8.3 has 2^-32). Of grants, the plaintext begins with the name that the term
//! in the key stands for: its length in 4 bytes, then the name.
#![forbid(unsafe_code)]

use crate::crypto::aead::AesGcm;
use crate::secret::{Buffer, Secret};
use crate::store::StoreError;
use crate::store::rows::{Key, Table, Value, prefix};
use ring::hkdf::{HKDF_SHA256, Prk};
use ring::hmac;
use std::sync::Arc;
use zeroize::Zeroizing;

const VERSION: u8 = 1;
const TERM_BYTES: usize = 16;
const SEAL_BYTES: usize = 16;
const NONCE_BYTES: usize = 12;
const TAG_BYTES: usize = 16;
const HEAD_BYTES: usize = 1 + NONCE_BYTES;

/// The keys of one database.
#[derive(Clone)]
pub struct Keys(Arc<Derived>);

struct Derived {
    term: hmac::Key,
    nonce: hmac::Key,
    value: AesGcm,
}

/// A part of a key: a term, or what needs none.
pub enum Part<'k> {
    /// Stands for a name.
    Term([u8; TERM_BYTES]),
    /// A sequence, or nothing.
    Plain(&'k [u8]),
}

impl AsRef<[u8]> for Part<'_> {
    fn as_ref(&self) -> &[u8] {
        match self {
            Part::Term(term) => term,
            Part::Plain(bytes) => bytes,
        }
    }
}

impl Keys {
    /// The keys that come from a data key.
    pub fn of(data_key: &Secret) -> Keys {
        let mac = |info: &[u8]| hmac::Key::new(hmac::HMAC_SHA256, &*derived(data_key, info));
        let value = AesGcm::new(&*derived(data_key, b"value")).expect("a key of 32 bytes");
        Keys(Arc::new(Derived { term: mac(b"term"), nonce: mac(b"nonce"), value }))
    }

    /// The first part of a sealed row's key.
    pub fn first<'k>(&self, key: Key<'k>) -> Part<'k> {
        match key.table {
            // What is known of the database itself has no secret name.
            Table::Meta | Table::Sequences => Part::Plain(key.first),
            _ => Part::Term(self.term(key.table, 0, key.first)),
        }
    }

    /// The second part of a sealed row's key.
    pub fn second<'k>(&self, key: Key<'k>) -> Part<'k> {
        match has_named_second(key.table) {
            true => Part::Term(self.term(key.table, 1, key.second)),
            false => Part::Plain(key.second),
        }
    }

    fn term(&self, table: Table, part: u8, name: &[u8]) -> [u8; TERM_BYTES] {
        let mut context = hmac::Context::with_key(&self.0.term);
        context.update(&[table as u8, part]);
        context.update(name);
        beginning(&context.sign())
    }

    /// The sealed value of the row at `place`, which is a sealed row's key; `second` is what the second part of it stands for.
    pub fn seal(&self, place: Key<'_>, second: &[u8], value: &[u8]) -> Result<Value, StoreError> {
        let named = if has_named_second(place.table) { prefix(second) } else { Vec::new() };
        let additional_data = additional_data(place);
        let mut sealed = Buffer::new(Vec::with_capacity(HEAD_BYTES + named.len() + value.len() + TAG_BYTES));
        sealed.push(VERSION);
        sealed.extend_from_slice(&[0; NONCE_BYTES]);
        sealed.extend_from_slice(&named);
        sealed.extend_from_slice(value);

        let mut context = hmac::Context::with_key(&self.0.nonce);
        context.update(&prefix(&additional_data));
        context.update(&sealed[HEAD_BYTES..]);
        let nonce: [u8; NONCE_BYTES] = beginning(&context.sign());
        sealed[1..HEAD_BYTES].copy_from_slice(&nonce);
        let tag = self.0.value.seal(&nonce, &additional_data, &mut sealed[HEAD_BYTES..]);
        let tag = tag.ok_or(StoreError::Refused("a value is too long to be sealed"))?;
        sealed.extend_from_slice(&tag);
        Ok(sealed)
    }

    /// What was sealed at `place`: what the second part of the key stands for, where that is a term, and the value.
    pub fn open(&self, place: Key<'_>, sealed: &[u8]) -> Result<(Option<Vec<u8>>, Value), StoreError> {
        self.try_open(place, sealed).ok_or_else(|| not_genuine(place.table))
    }

    fn try_open(&self, place: Key<'_>, sealed: &[u8]) -> Option<(Option<Vec<u8>>, Value)> {
        let (&version, rest) = sealed.split_first()?;
        let (nonce, rest) = rest.split_first_chunk::<NONCE_BYTES>()?;
        let (ciphertext, tag) = rest.split_last_chunk::<TAG_BYTES>()?;
        let mut value = Buffer::new(ciphertext.to_vec());
        let is_genuine =
            version == VERSION && self.0.value.open(nonce, &additional_data(place), &mut value, tag);
        if !is_genuine {
            return None;
        }
        if !has_named_second(place.table) {
            return Some((None, value));
        }
        let (length, rest) = value.split_first_chunk::<4>()?;
        let (second, value) = rest.split_at_checked(u32::from_be_bytes(*length) as usize)?;
        Some((Some(second.to_vec()), Buffer::new(value.to_vec())))
    }
}

/// The seal of a data key, which may be shown.
pub fn seal_of(data_key: &Secret) -> [u8; SEAL_BYTES] {
    *derived(data_key, b"seal").first_chunk().expect("a key has 32 bytes")
}

fn derived(data_key: &Secret, info: &[u8]) -> Zeroizing<[u8; 32]> {
    let key_material = Prk::new_less_safe(HKDF_SHA256, data_key.expose());
    let (info, mut key) = ([info], Zeroizing::new([0; 32]));
    let expanded = key_material.expand(&info, HKDF_SHA256).expect("32 bytes are not too many for HKDF");
    expanded.fill(&mut *key).expect("the buffer is as long as what was asked for");
    key
}

/// Whether the second part of a key is a name: of the other tables it is a sequence, or nothing.
fn has_named_second(table: Table) -> bool {
    matches!(table, Table::GrantsByObject | Table::GrantsByUser)
}

fn additional_data(place: Key<'_>) -> Vec<u8> {
    let mut data = Vec::with_capacity(6 + place.first.len() + place.second.len());
    data.extend_from_slice(&[VERSION, place.table as u8]);
    data.extend_from_slice(&(place.first.len() as u32).to_be_bytes());
    data.extend_from_slice(place.first);
    data.extend_from_slice(place.second);
    data
}

/// The first bytes of an HMAC.
fn beginning<const N: usize>(tag: &hmac::Tag) -> [u8; N] {
    *tag.as_ref().first_chunk().expect("an HMAC-SHA-256 has 32 bytes")
}

/// Says where; never what was there.
pub fn not_genuine(table: Table) -> StoreError {
    StoreError::Corrupt(format!("a sealed value of {} is not genuine", table.name()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(byte: u8) -> Keys {
        Keys::of(&Secret::new(vec![byte; 32]))
    }

    #[test]
    fn a_value_is_genuine_in_its_place_and_whole_only() {
        let keys = keys(1);
        let place = Key::new(Table::Tags, b"first", b"second");
        let sealed = keys.seal(place, b"second", b"value").unwrap();
        assert_eq!(sealed.len(), HEAD_BYTES + 5 + TAG_BYTES);
        let (second, value) = keys.open(place, &sealed).unwrap();
        assert_eq!((second, value.as_slice()), (None, &b"value"[..]));
        for other in [
            Key::new(Table::Owners, b"first", b"second"),
            Key::new(Table::Tags, b"firsts", b"econd"),
            Key::new(Table::Tags, b"first", b"secone"),
        ] {
            assert!(keys.open(other, &sealed).is_err());
        }
        assert!(self::keys(2).open(place, &sealed).is_err());
        for at in 0..sealed.len() {
            assert!(keys.open(place, &sealed[..at]).is_err(), "cut to {at}");
            let mut changed = sealed.to_vec();
            changed[at] ^= 1;
            assert!(keys.open(place, &changed).is_err(), "changed at {at}");
        }
    }

    #[test]
    fn grants_give_back_the_names_that_their_terms_stand_for() {
        let keys = keys(1);
        let key = Key::new(Table::GrantsByObject, b"uid", b"alice");
        let (first, second) = (keys.first(key), keys.second(key));
        let place = Key::new(key.table, first.as_ref(), second.as_ref());
        let sealed = keys.seal(place, key.second, &[0, 0, 4, 0]).unwrap();
        let (name, value) = keys.open(place, &sealed).unwrap();
        assert_eq!((name.unwrap().as_slice(), value.as_slice()), (&b"alice"[..], &[0, 0, 4, 0][..]));
    }

    /// Computed with Python's hmac and cryptography: what was stored must be readable for ever.
    #[test]
    fn terms_and_values_stay_the_same() {
        let keys = keys(7);
        let key = Key::new(Table::Tags, b"tag", &[0, 0, 0, 0, 0, 0, 0, 9]);
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let first = keys.first(key);
        assert_eq!(hex(first.as_ref()), TERM);
        let sealed = keys.seal(Key::new(key.table, first.as_ref(), key.second), &[], b"uid-1").unwrap();
        assert_eq!(hex(&sealed), SEALED);
        assert_eq!(hex(&seal_of(&Secret::new(vec![7; 32]))), SEAL);
    }

    const TERM: &str = "733f6775116af97b38849f833b9ba309";
    const SEAL: &str = "e6fb4658a43b17714bfae22afb41b7ff";
    const SEALED: &str = "0140babdbb81c87363c765fc88b9af9001e2f613e79efbff9e9c5f94d1993b8a419c";
}
