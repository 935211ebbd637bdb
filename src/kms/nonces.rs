//! How often a key has encrypted with a random nonce of 96 bits: with one key, 2^32 times at most (NIST SP 800-38D section
//! 8.3), lest two be alike.
//!
//! What is counted durably is not each of them but a lease of many, before the first of them is drawn: the rest of a lease
//! is lost when the process ends, and counts as used. So most encryptions change nothing, and no crash makes a key forget.
#![forbid(unsafe_code)]

use super::object::Object;
use super::refusal::Refusal;
use crate::limits;
use crate::wire::ttlv::{Encoded, Item, Tag, Value, binary};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// With one key (NIST SP 800-38D section 8.3).
const NONCES_MAX: u64 = 1 << 32;
/// Of these are counted at once.
const LEASE: u32 = 1 << 16;

/// Where an object's parts say how many were leased. It is of no message: the tag is one of those left to vendors (KMIP 2.1
/// section 10.1.1.1).
const LEASED: Tag = Tag(0x54_0001);

/// What is left to keys, by tenant and identifier, and how many these are.
#[derive(Default)]
struct Leases {
    left: BTreeMap<u128, BTreeMap<String, u32>>,
    count: usize,
}

impl Leases {
    fn add(&mut self, tenant: u128, uid: String, count: u32) {
        match self.left.entry(tenant).or_default().entry(uid) {
            Entry::Occupied(mut left) => *left.get_mut() += count,
            Entry::Vacant(place) => {
                place.insert(count);
                self.count += 1;
            }
        }
        if self.count > limits::NONCE_LEASES_MAX {
            self.drop_one();
        }
    }

    /// A key is as good as another: what is lost is counted.
    fn drop_one(&mut self) {
        let Some(mut keys) = self.left.first_entry() else { return };
        self.count -= usize::from(keys.get_mut().pop_first().is_some());
        if keys.get().is_empty() {
            keys.remove();
        }
    }
}

/// What is left of the leases of this process, for every key that has one; a handle for the database of one tenant, or for
/// the one that there is. Requests are answered in several threads: each takes what it draws.
#[derive(Clone, Default)]
pub struct Nonces {
    left: Arc<Mutex<Leases>>,
    tenant: u128,
}

impl fmt::Debug for Nonces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Nonces")
    }
}

impl Nonces {
    /// The same for the database of a tenant.
    pub fn of_tenant(&self, tenant: u128) -> Nonces {
        Nonces { left: Arc::clone(&self.left), tenant }
    }

    /// For one transaction, or for what only reads.
    pub fn ledger(&self) -> Ledger<'_> {
        Ledger { nonces: self, drawn: RefCell::default(), leased: RefCell::default() }
    }

    fn left(&self) -> MutexGuard<'_, Leases> {
        self.left.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The leases that a transaction has counted. Dropped, they are lost; they can be drawn from after the commit.
pub struct Ledger<'n> {
    nonces: &'n Nonces,
    /// By a request whose changes are not applied yet, and perhaps never.
    drawn: RefCell<Option<String>>,
    leased: RefCell<BTreeMap<String, u32>>,
}

impl Ledger<'_> {
    /// Takes one nonce of a key; where none is left, the key's parts with a new lease counted, which must be committed.
    pub fn draw(&self, key: &Object) -> Result<Option<Encoded>, Refusal> {
        self.drawn.take();
        let draw = |left: &mut u32| left.checked_sub(1).map(|rest| *left = rest).is_some();
        let mut leased = self.leased.borrow_mut();
        if leased.get_mut(&key.uid).is_some_and(draw) {
            return Ok(None);
        }
        let mut leases = self.nonces.left();
        let keys = leases.left.get_mut(&self.nonces.tenant);
        if keys.and_then(|keys| keys.get_mut(&key.uid)).is_some_and(draw) {
            return Ok(None);
        }
        let before = match key.parts.find(LEASED) {
            Some(Value::LongInteger(count)) => count as u64,
            _ => 0,
        };
        let after = before + u64::from(LEASE);
        if after > NONCES_MAX {
            return Err(Refusal::NoncesUsedUp { uid: key.uid.clone() });
        }
        *self.drawn.borrow_mut() = Some(key.uid.clone());
        Ok(Some(with_leased(&key.parts, after)))
    }

    /// The changes of the last request are part of the transaction.
    pub fn applied(&self) {
        let drawn = self.drawn.take();
        self.leased.borrow_mut().extend(drawn.map(|uid| (uid, LEASE - 1)));
    }

    /// The transaction is run again from its beginning.
    pub fn forget(&self) {
        self.drawn.take();
        self.leased.take();
    }

    /// What was counted is durable.
    pub fn committed(self) {
        let mut left = self.nonces.left();
        for (uid, count) in self.leased.into_inner() {
            left.add(self.nonces.tenant, uid, count);
        }
    }
}

/// The parts with another count.
fn with_leased(parts: &[u8], count: u64) -> Encoded {
    let mut items = binary::decode(parts).unwrap_or_default();
    items.retain(|item| item.tag != LEASED);
    items.push(Item::new(LEASED, Value::LongInteger(count as i64)));
    Encoded::of(&items)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> Object {
        Object::example("k")
    }

    #[test]
    fn a_lease_is_counted_before_it_is_drawn_from_and_only_a_committed_one_lasts() {
        let (nonces, mut key) = (Nonces::default(), key());
        // What was not committed is counted anew.
        assert!(nonces.ledger().draw(&key).unwrap().is_some());
        let ledger = nonces.ledger();
        key.parts = ledger.draw(&key).unwrap().unwrap();
        // What a request that was refused has drawn is counted nowhere.
        assert!(ledger.draw(&key).unwrap().is_some());
        ledger.applied();
        assert!(ledger.draw(&key).unwrap().is_none(), "one lease is enough for a transaction");
        ledger.committed();
        for drawn in 2..LEASE {
            assert!(nonces.ledger().draw(&key).unwrap().is_none(), "{drawn}");
        }
        assert!(nonces.of_tenant(7).ledger().draw(&key).unwrap().is_some(), "another tenant's key");
        key.parts = nonces.ledger().draw(&key).unwrap().unwrap();
        assert_eq!(key.parts.find(LEASED), Some(Value::LongInteger(2 << 16)));
    }

    #[test]
    fn a_key_encrypts_no_more_than_it_safely_can() {
        let (nonces, mut key) = (Nonces::default(), key());
        key.parts = with_leased(&[], NONCES_MAX - u64::from(LEASE));
        key.parts = nonces.ledger().draw(&key).unwrap().unwrap();
        assert_eq!(nonces.ledger().draw(&key).err(), Some(Refusal::NoncesUsedUp { uid: "k".into() }));
    }
}
