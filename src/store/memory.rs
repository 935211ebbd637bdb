//! The reference model: a store in maps, to be right by reading. Tests compare every other store with it.
#![forbid(unsafe_code)]

use super::{APPLY_FAILED, Store, StoreError, Transaction, UID_TAKEN, UID_UNKNOWN};
use crate::kms::object::Object;
use crate::kms::rights::{NO_OBJECT, Rights};
use crate::kms::terms::{self, Term};
use crate::kms::view::{Change, Changes, Search, SearchEnd, Show, View};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A store that lasts as long as the process.
#[derive(Default)]
pub struct MemoryStore {
    /// Held while a transaction runs: one at a time.
    writer: Mutex<()>,
    committed: Mutex<State>,
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> MemoryStore {
        MemoryStore::default()
    }

    fn committed(&self) -> MutexGuard<'_, State> {
        self.committed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store for MemoryStore {
    fn name(&self) -> &'static str {
        "memory"
    }

    fn read(&self) -> Result<Box<dyn View>, StoreError> {
        Ok(Box::new(self.committed().clone()))
    }

    fn transact(
        &self,
        work: &mut dyn FnMut(&mut dyn Transaction) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let _writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let mut state = self.committed().clone();
        work(&mut state)?;
        if state.failed {
            return Err(APPLY_FAILED);
        }
        *self.committed() = state;
        Ok(())
    }
}

/// All that is in the store.
#[derive(Clone, Default)]
struct State {
    /// By unique identifier: the place in the order, and the object.
    objects: BTreeMap<String, (u64, Arc<Object>)>,
    /// By object and user.
    grants: BTreeMap<(String, String), Rights>,
    inserted: u64,
    failed: bool,
}

impl State {
    /// Identifiers of the objects that `wanted` is true for, oldest first.
    fn select(&self, wanted: impl Fn(&Object) -> bool) -> Vec<String> {
        let mut found: Vec<_> = self.objects.values().filter(|(_, object)| wanted(object)).collect();
        found.sort_by_key(|(sequence, _)| *sequence);
        found.iter().map(|(_, object)| object.uid.clone()).collect()
    }

    fn apply_one(&mut self, change: Change) -> Result<(), StoreError> {
        match change {
            Change::Insert(object) => {
                if self.objects.contains_key(&object.uid) {
                    return Err(UID_TAKEN);
                }
                self.inserted += 1;
                self.objects.insert(object.uid.clone(), (self.inserted, Arc::new(object)));
            }
            Change::Replace(object) => {
                let (_, stored) = self.objects.get_mut(&object.uid).ok_or(UID_UNKNOWN)?;
                *stored = Arc::new(object);
            }
            Change::Amend { uid, attributes, parts } => {
                let (_, stored) = self.objects.get_mut(&uid).ok_or(UID_UNKNOWN)?;
                *stored = Arc::new(Object { attributes, parts, ..stored.copy() });
            }
            Change::Remove { uid } => {
                self.objects.remove(&uid).ok_or(UID_UNKNOWN)?;
                self.grants.retain(|(object, _), _| *object != uid);
            }
            Change::Grant { uid, user, rights } => {
                if uid != NO_OBJECT && !self.objects.contains_key(&uid) {
                    return Err(UID_UNKNOWN);
                }
                if rights.is_empty() {
                    self.grants.remove(&(uid, user));
                } else {
                    self.grants.insert((uid, user), rights);
                }
            }
        }
        Ok(())
    }
}

impl View for State {
    fn object(&self, uid: &str) -> Result<Option<Arc<Object>>, StoreError> {
        Ok(self.objects.get(uid).map(|(_, object)| Arc::clone(object)))
    }

    fn search(&self, search: &Search<'_>, show: &mut Show<'_>) -> Result<SearchEnd, StoreError> {
        let has = |object: &Object, term: &Term| {
            object.tags.iter().any(|tag| terms::of_tag(tag) == *term) || terms::of(object).contains(term)
        };
        let is_granted =
            |object: &Object, user: &str| self.grants.contains_key(&(object.uid.clone(), user.to_owned()));
        let found = self.select(|object| {
            search.terms.iter().all(|term| has(object, term))
                && (object.owner == search.owner || search.users.iter().any(|user| is_granted(object, user)))
        });
        for uid in found {
            if show(Arc::clone(&self.objects[&uid].1))?.is_break() {
                return Ok(SearchEnd::Stopped);
            }
        }
        Ok(SearchEnd::Complete)
    }

    fn owned_by(&self, owner: &str, limit: usize) -> Result<Option<Vec<String>>, StoreError> {
        Ok(within(limit, self.select(|object| object.owner == owner)))
    }

    fn granted(&self, uid: &str, user: &str) -> Result<Rights, StoreError> {
        Ok(self.grants.get(&(uid.to_owned(), user.to_owned())).copied().unwrap_or(Rights::NONE))
    }

    fn grants_on(&self, uid: &str, limit: usize) -> Result<Option<Vec<(String, Rights)>>, StoreError> {
        let on = self.grants.iter().filter(|((object, _), _)| object == uid);
        Ok(within(limit, on.map(|((_, user), rights)| (user.clone(), *rights)).collect()))
    }

    fn grants_to(&self, user: &str, limit: usize) -> Result<Option<Vec<(String, Rights)>>, StoreError> {
        let to = self.grants.iter().filter(|((_, to), _)| to == user);
        Ok(within(limit, to.map(|((object, _), rights)| (object.clone(), *rights)).collect()))
    }
}

fn within<T>(limit: usize, list: Vec<T>) -> Option<Vec<T>> {
    (list.len() <= limit).then_some(list)
}

impl Transaction for State {
    fn apply(&mut self, changes: Changes) -> Result<(), StoreError> {
        let applied = changes.into_iter().try_for_each(|change| self.apply_one(change));
        self.failed |= applied.is_err();
        applied
    }
}
