//! A store that is opened after the start: the bootstrap server is told only then where it is.
#![forbid(unsafe_code)]

use super::tenants::Tenants;
use super::{Store, StoreError, Transaction};
use crate::kms::view::View;
use std::sync::{Arc, PoisonError, RwLock};

/// A place for a store; nobody is served before there is one.
#[derive(Default)]
pub struct LateStore(RwLock<Option<Arc<dyn Store>>>);

const CLOSED: StoreError = StoreError::Refused("the database is not open yet");

impl LateStore {
    /// Answers from `store` from now on.
    pub fn open(&self, store: Arc<dyn Store>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Some(store);
    }

    /// Lets go of the store, so that it can be opened again.
    pub fn close(&self) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = None;
    }

    fn opened(&self) -> Result<Arc<dyn Store>, StoreError> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone().ok_or(CLOSED)
    }
}

impl Store for LateStore {
    fn name(&self) -> &'static str {
        self.opened().map_or("none", |store| store.name())
    }

    fn read(&self) -> Result<Box<dyn View>, StoreError> {
        self.opened()?.read()
    }

    fn transact(
        &self,
        work: &mut dyn FnMut(&mut dyn Transaction) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        self.opened()?.transact(work)
    }

    fn verify(&self) -> Result<(), StoreError> {
        self.opened()?.verify()
    }

    fn reads_at_once(&self) -> bool {
        self.opened().is_ok_and(|store| store.reads_at_once())
    }

    fn trouble(&self) -> Option<String> {
        self.opened().ok()?.trouble()
    }

    fn tenants(&self) -> Option<Tenants> {
        self.opened().ok()?.tenants()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::memory::MemoryStore;

    #[test]
    fn it_answers_while_it_is_open() {
        let late = LateStore::default();
        assert!(late.read().is_err() && late.transact(&mut |_| Ok(())).is_err());
        late.open(Arc::new(MemoryStore::new()));
        assert!(late.read().is_ok() && late.transact(&mut |_| Ok(())).is_ok());
        late.close();
        assert!(late.read().is_err());
    }
}
