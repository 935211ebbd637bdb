//! The data key of a database: random, made once, and stored in `meta` wrapped by a master secret. Another master secret
//! wraps it anew; the data stays as it is.
//!
//! The row `data_key`, integers big-endian:
//!
//! | offset | bytes | |
//! |---|---|---|
//! | 0 | 1 | version: 1 |
//! | 1 | 1 | master secret: 1 is a password (Argon2id, RFC 9106), 2 a key (HKDF-SHA-256, RFC 5869) |
//! | 2 | 4 | memory of Argon2id in KiB; 0 for a key |
//! | 6 | 4 | passes of Argon2id; 0 for a key |
//! | 10 | 16 | salt |
//! | 26 | 32 | the data key, by AES-256-GCM with the derived key and a nonce of zeros; what is before it is additional data |
//! | 58 | 16 | tag |
//!
//! A salt is drawn for each wrapping, so no derived key is used twice. A password's label (the findex label of Redis) goes into
//! Argon2id as associated data.
#![forbid(unsafe_code)]

use super::keys::seal_of;
use crate::crypto::aead::AesGcm;
use crate::entropy::{Entropy, random};
use crate::kms::rights::NO_OBJECT;
use crate::secret::{Buffer, Secret};
use crate::store::StoreError;
use crate::store::rows::{Engine, Key, Rows, Table, Value};
use crate::store::upgrade::PROGRESS;
use openssl::kdf::argon2id;
use ring::hkdf::{HKDF_SHA256, Salt};
use zeroize::Zeroizing;

/// The row in which it is: a database that has it is sealed.
pub const NAME: Key<'static> = Key { table: Table::Meta, first: b"data_key", second: &[] };
/// The row in which its seal is ([`seal_of`]): whoever has the database open sees by it that another data key was made. Empty
/// where there is none; it may be missing, or wrong, where an older program has sealed or cleared the database.
pub const SEAL: Key<'static> = Key { table: Table::Meta, first: b"seal", second: &[] };
const VERSION: u8 = 1;
const HEAD_BYTES: usize = 26;
const KEY_BYTES: usize = 32;
const ROW_BYTES: usize = HEAD_BYTES + KEY_BYTES + 16;
const NONCE: [u8; 12] = [0; 12];
const INFO: &[u8] = b"keyway database";
/// What a password costs: 19 MiB and 2 passes, the least that OWASP recommends, since appliances are small.
const PASSWORD_COST: Cost = Cost { memory_kib: 19 * 1024, passes: 2 };
/// More is not believed of a database, which may be somebody else's.
const COST_MAX: Cost = Cost { memory_kib: 1024 * 1024, passes: 16 };

/// What opens a sealed database.
pub enum MasterSecret {
    /// What somebody has thought of.
    Password {
        /// The password.
        password: Secret,
        /// Tells databases with the same password apart; may be empty.
        label: String,
    },
    /// Random bytes, or a platform's.
    Key(Secret),
}

impl MasterSecret {
    /// A password and its label.
    pub fn password(password: Secret, label: String) -> MasterSecret {
        MasterSecret::Password { password, label }
    }
}

#[derive(Clone, Copy)]
struct Cost {
    memory_kib: u32,
    passes: u32,
}

const SEALED: StoreError =
    StoreError::Locked("it is sealed: give its master secret (--master-password-file)");
const NOT_SEALED: StoreError = StoreError::Locked(
    "it holds objects or grants that are not sealed: give no master secret, or an empty database and import them there",
);
const WRONG_SECRET: StoreError =
    StoreError::Locked("the master secret is not the one that it was sealed with");

/// The data key of a database, made where there is none and the database is empty; `None` for one that is not sealed.
pub fn open(
    engine: &impl Engine,
    master: Option<&MasterSecret>,
    entropy: &mut dyn Entropy,
) -> Result<Option<Secret>, StoreError> {
    let stored = engine.read()?.get(NAME)?;
    let (row, data_key) = match (stored, master) {
        (None, None) => (None, None),
        (Some(_), None) => return Err(SEALED),
        (Some(row), Some(master)) => {
            let data_key = unwrap(&row, master)?;
            (Some(row), Some(data_key))
        }
        (None, Some(master)) => {
            let (row, data_key) = make(engine, master, entropy)?;
            (Some(row), Some(data_key))
        }
    };
    watch(engine, row, data_key.as_ref())?;
    Ok(data_key)
}

/// Lets nothing be written any more once the database has another seal than that of this data key, which is in this row.
fn watch(engine: &impl Engine, row: Option<Value>, data_key: Option<&Secret>) -> Result<(), StoreError> {
    let Some(expected) = engine.expected_seal() else { return Ok(()) };
    let seal = data_key.map_or(Vec::new(), |data_key| seal_of(data_key).to_vec());
    if engine.read()?.get(SEAL)?.unwrap_or_default().as_slice() != seal {
        engine.transact(&mut |rows| match rows.get(NAME)? == row {
            true => rows.put(SEAL, &seal),
            false => Err(StoreError::Locked(
                "another server is changing what it is sealed with: start this one again",
            )),
        })?;
    }
    expected.get_or_init(|| seal);
    Ok(())
}

/// The data key of a database that was sealed before: one without is damaged.
pub fn of_sealed(engine: &impl Engine, master: &MasterSecret) -> Result<Secret, StoreError> {
    let row = engine.read()?.get(NAME)?;
    unwrap(&row.ok_or_else(|| StoreError::Corrupt("it has no data key".to_owned()))?, master)
}

/// Makes the row and the data key in it.
fn make(
    engine: &impl Engine,
    master: &MasterSecret,
    entropy: &mut dyn Entropy,
) -> Result<(Value, Secret), StoreError> {
    let made = Secret::copy_of(&*Zeroizing::new(random::<KEY_BYTES>(entropy)));
    let row = wrap(&made, master, entropy)?;
    let mut stored = None;
    engine.transact(&mut |rows| {
        // Another server may have been faster.
        stored = rows.get(NAME)?;
        if stored.is_some() {
            return Ok(());
        }
        // All other grants are on objects.
        let grants = rows.count(Table::GrantsByObject, NO_OBJECT.as_bytes(), 1)?;
        if grants > 0 || rows.last_sequence()?.is_some() {
            return Err(NOT_SEALED);
        }
        // Whoever opened it before has put this in the clear.
        rows.remove(PROGRESS)?;
        rows.put(NAME, &row)?;
        rows.put(SEAL, &seal_of(&made))
    })?;
    match stored {
        Some(row) => unwrap(&row, master).map(|data_key| (row, data_key)),
        None => Ok((Buffer::new(row.to_vec()), made)),
    }
}

/// Wraps the data key of a sealed database by another master secret; the old one opens it no more.
pub fn rewrap(
    engine: &impl Engine,
    old: &MasterSecret,
    new: &MasterSecret,
    entropy: &mut dyn Entropy,
) -> Result<(), StoreError> {
    let not_sealed = StoreError::Locked("it is not sealed: there is no master secret to be changed");
    let row = engine.read()?.get(NAME)?.ok_or(not_sealed)?;
    let wrapped = wrap(&unwrap(&row, old)?, new, entropy)?;
    engine.transact(&mut |rows| match rows.get(NAME)? {
        Some(found) if found == row => rows.put(NAME, &wrapped),
        _ => Err(StoreError::Locked("somebody else is changing its master secret: try again")),
    })
}

fn wrap(
    data_key: &Secret,
    master: &MasterSecret,
    entropy: &mut dyn Entropy,
) -> Result<[u8; ROW_BYTES], StoreError> {
    let (kind, cost) = match master {
        MasterSecret::Password { .. } => (1, PASSWORD_COST),
        MasterSecret::Key(_) => (2, Cost { memory_kib: 0, passes: 0 }),
    };
    let mut row = [0; ROW_BYTES];
    row[..2].copy_from_slice(&[VERSION, kind]);
    row[2..6].copy_from_slice(&cost.memory_kib.to_be_bytes());
    row[6..10].copy_from_slice(&cost.passes.to_be_bytes());
    row[10..HEAD_BYTES].copy_from_slice(&random::<16>(entropy));
    let (head, sealed) = row.split_at_mut(HEAD_BYTES);
    let cipher = derived(head, cost, master)?;
    let (key, tag) = sealed.split_at_mut(KEY_BYTES);
    key.copy_from_slice(data_key.expose());
    tag.copy_from_slice(&cipher.seal(&NONCE, head, key).expect("a key is not too long"));
    Ok(row)
}

fn unwrap(row: &[u8], master: &MasterSecret) -> Result<Secret, StoreError> {
    let corrupt = || StoreError::Corrupt("its wrapped data key cannot be read".to_owned());
    let row: &[u8; ROW_BYTES] = row.try_into().map_err(|_| corrupt())?;
    let (head, sealed) = row.split_at(HEAD_BYTES);
    let number = |at: usize| u32::from_be_bytes(head[at..at + 4].try_into().expect("four bytes"));
    let cost = Cost { memory_kib: number(2), passes: number(6) };
    let kind = match master {
        MasterSecret::Password { .. } => 1,
        MasterSecret::Key(_) => 2,
    };
    if head[0] != VERSION || cost.memory_kib > COST_MAX.memory_kib || cost.passes > COST_MAX.passes {
        return Err(corrupt());
    }
    if head[1] != kind {
        return Err(WRONG_SECRET);
    }
    let (key, tag) = sealed.split_at(KEY_BYTES);
    let mut key = Buffer::new(key.to_vec());
    let tag = tag.try_into().expect("what follows the key is the tag");
    match derived(head, cost, master)?.open(&NONCE, head, &mut key, tag) {
        true => Ok(Secret::copy_of(&key)),
        false => Err(WRONG_SECRET),
    }
}

/// The cipher that a master secret wraps with, for the salt in this head.
fn derived(head: &[u8], cost: Cost, master: &MasterSecret) -> Result<AesGcm, StoreError> {
    let (salt, mut key) = (&head[10..], Zeroizing::new([0; KEY_BYTES]));
    match master {
        MasterSecret::Password { password, label } => {
            let (label, Cost { memory_kib, passes }) = (Some(label.as_bytes()), cost);
            argon2id(None, password.expose(), salt, label, None, passes, 1, memory_kib, &mut *key)
                .map_err(|error| StoreError::Io(format!("Argon2id: {error}")))?;
        }
        MasterSecret::Key(secret) => {
            let extracted = Salt::new(HKDF_SHA256, salt).extract(secret.expose());
            let expanded =
                extracted.expand(&[INFO], HKDF_SHA256).expect("32 bytes are not too many for HKDF");
            expanded.fill(&mut *key).expect("the buffer is as long as what was asked for");
        }
    }
    Ok(AesGcm::new(&*key).expect("a key of 32 bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Counter(u8);
    impl Entropy for Counter {
        fn fill(&mut self, bytes: &mut [u8]) {
            for byte in bytes {
                self.0 = self.0.wrapping_add(1);
                *byte = self.0;
            }
        }
    }

    fn password(text: &str, label: &str) -> MasterSecret {
        MasterSecret::Password { password: Secret::copy_of(text.as_bytes()), label: label.to_owned() }
    }

    #[test]
    fn the_right_secret_opens_and_no_other() {
        let data_key = Secret::new(vec![5; KEY_BYTES]);
        let key = || MasterSecret::Key(Secret::copy_of(b"key"));
        let row = wrap(&data_key, &password("correct horse", "label"), &mut Counter(0)).unwrap();
        assert!(unwrap(&row, &password("correct horse", "label")).unwrap().matches(&[5; KEY_BYTES]));
        for wrong in [password("correct horsf", "label"), password("correct horse", ""), key()] {
            assert!(matches!(unwrap(&row, &wrong), Err(StoreError::Locked(_))));
        }
        let by_key = wrap(&data_key, &key(), &mut Counter(0)).unwrap();
        assert!(unwrap(&by_key, &key()).unwrap().matches(&[5; KEY_BYTES]));
        assert!(unwrap(&by_key, &MasterSecret::Key(Secret::copy_of(b"other"))).is_err());
    }

    #[test]
    fn a_row_that_was_changed_opens_nothing_and_costs_little() {
        let key = MasterSecret::Key(Secret::copy_of(b"key"));
        let row = wrap(&Secret::new(vec![5; KEY_BYTES]), &key, &mut Counter(0)).unwrap();
        for at in 0..ROW_BYTES {
            let mut changed = row;
            changed[at] ^= 0x80;
            assert!(unwrap(&changed, &key).is_err(), "{at}");
        }
        assert!(unwrap(&row[1..], &key).is_err());
        let mut dear = wrap(&Secret::new(vec![5; KEY_BYTES]), &password("p", ""), &mut Counter(0)).unwrap();
        dear[2] = 0xFF;
        assert!(matches!(unwrap(&dear, &password("p", "")), Err(StoreError::Corrupt(_))));
    }
}
