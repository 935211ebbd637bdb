//! Which database holds the objects, and what opens it.
#![forbid(unsafe_code)]

use super::redb::RedbStore;
use super::sealed::{self, MasterSecret};
use super::{Store, StoreError};
use crate::entropy::Entropy;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

/// A database that can be opened.
pub struct Database {
    /// Where it is.
    pub place: Place,
    /// What it is sealed with, if it is.
    pub master: Option<Arc<MasterSecret>>,
}

/// Where a database is. `Display` shows no password.
#[derive(Debug, PartialEq, Eq)]
pub enum Place {
    /// The embedded database, in this folder.
    Embedded(PathBuf),
}

impl Database {
    /// Opens it; `clear` removes all that is in it first.
    pub fn open(&self, clear: bool, entropy: &mut dyn Entropy) -> Result<Arc<dyn Store>, StoreError> {
        match &self.place {
            Place::Embedded(folder) => {
                sealed::open(RedbStore::open(folder, clear)?, self.master.as_deref(), entropy)
            }
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Embedded(folder) => write!(f, "{}", folder.display()),
        }
    }
}
