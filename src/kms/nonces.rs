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
/// Of these are counted at once, where there is room for the rest of the lease.
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
    }

    /// Takes one of what is left, and gives the place to others with the last one.
    fn take(&mut self, tenant: u128, uid: &str) -> bool {
        let Some(keys) = self.left.get_mut(&tenant) else { return false };
        let Some(left) = keys.get_mut(uid) else { return false };
        *left -= 1;
        if *left == 0 {
            keys.remove(uid);
            self.count -= 1;
            if keys.is_empty() {
                self.left.remove(&tenant);
            }
        }
        true
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
    /// The lease that a request has counted, whose changes are not applied yet, and perhaps never.
    drawn: RefCell<Option<(String, u32)>>,
    leased: RefCell<BTreeMap<String, u32>>,
}

impl Ledger<'_> {
    /// A request begins: what the one before it has counted was applied, or never will be.
    pub fn begin(&self) {
        self.drawn.take();
    }

    /// Takes one nonce of a key; where none is left, the key's parts with a new lease counted, which must be committed.
    ///
    /// Where too many keys have leases, it is one of a single nonce: taking another key's lease away would use up that key,
    /// and whoever has many keys could do that to everybody's.
    pub fn draw(&self, key: &Object) -> Result<Option<Encoded>, Refusal> {
        let mut leased = self.leased.borrow_mut();
        let draw = |left: &mut u32| left.checked_sub(1).map(|rest| *left = rest).is_some();
        if leased.get_mut(&key.uid).is_some_and(draw) {
            return Ok(None);
        }
        let mut leases = self.nonces.left();
        if leases.take(self.nonces.tenant, &key.uid) {
            return Ok(None);
        }
        let before = match key.parts.find(LEASED) {
            Some(Value::LongInteger(count)) => count as u64,
            _ => 0,
        };
        let has_room = leases.count + leased.len() < limits::NONCE_LEASES_MAX;
        let lease = if has_room { LEASE } else { 1 };
        let after = before + u64::from(lease);
        if after > NONCES_MAX {
            return Err(Refusal::NoncesUsedUp { uid: key.uid.clone() });
        }
        *self.drawn.borrow_mut() = Some((key.uid.clone(), lease - 1));
        Ok(Some(with_leased(&key.parts, after)))
    }

    /// The changes of the last request are part of the transaction.
    pub fn applied(&self) {
        let drawn = self.drawn.take().filter(|(_, left)| *left > 0);
        self.leased.borrow_mut().extend(drawn);
    }

    /// The transaction is run again from its beginning.
    pub fn forget(&self) {
        self.drawn.take();
        self.leased.take();
    }

    /// What was counted is durable.
    pub fn committed(self) {
        let mut left = self.nonces.left();
        for (uid, count) in self.leased.into_inner().into_iter().filter(|(_, count)| *count > 0) {
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
        ledger.begin();
        ledger.applied();
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
    fn whoever_has_many_keys_uses_up_nobody_elses() {
        let (nonces, mut key) = (Nonces::default(), key());
        let lease = |key: &mut Object| {
            let ledger = nonces.ledger();
            let parts = ledger.draw(key).unwrap();
            let is_new = parts.is_some();
            key.parts = parts.unwrap_or_else(|| key.parts.clone());
            ledger.applied();
            ledger.committed();
            is_new
        };
        let counted = |key: &Object| match key.parts.find(LEASED) {
            Some(Value::LongInteger(count)) => count,
            _ => 0,
        };
        assert!(lease(&mut key));
        let mut last = Object::example("");
        for other in 0..limits::NONCE_LEASES_MAX {
            last = Object::example(&format!("l{other}"));
            assert!(lease(&mut last));
        }
        assert!(!lease(&mut key), "its lease is still there");
        assert_eq!(counted(&last), 1, "there was no room for more");
        assert!(lease(&mut last));
        assert_eq!(counted(&last), 2);
        // A lease that is used up makes room.
        nonces.left().left.get_mut(&0).unwrap().insert("k".into(), 1);
        assert!(!lease(&mut key) && lease(&mut last));
        assert_eq!(counted(&last), 2 + i64::from(LEASE));
        assert_eq!(nonces.left().count, limits::NONCE_LEASES_MAX);
    }

    #[test]
    fn a_key_encrypts_no_more_than_it_safely_can() {
        let (nonces, mut key) = (Nonces::default(), key());
        key.parts = with_leased(&[], NONCES_MAX - u64::from(LEASE));
        key.parts = nonces.ledger().draw(&key).unwrap().unwrap();
        assert_eq!(nonces.ledger().draw(&key).err(), Some(Refusal::NoncesUsedUp { uid: "k".into() }));
    }
}
