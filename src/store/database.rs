//! Which database holds the objects, and what opens it.
#![forbid(unsafe_code)]

use super::redb::RedbStore;
use super::sealed::{self, MasterSecret};
use super::tenants::Tenants;
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
    /// A database for each tenant, in this folder.
    Tenants {
        /// The folder.
        folder: PathBuf,
        /// How many of them are open at a time.
        open_max: usize,
    },
}

impl Database {
    /// Opens it; `clear` removes all that is in it first.
    pub fn open(&self, clear: bool, entropy: &mut dyn Entropy) -> Result<Arc<dyn Store>, StoreError> {
        match &self.place {
            Place::Embedded(folder) => {
                sealed::open(RedbStore::open(folder, clear)?, self.master.as_deref(), entropy)
            }
            Place::Tenants { .. } if self.master.is_some() => Err(StoreError::Locked(NO_MASTER)),
            Place::Tenants { folder, open_max } => Ok(Arc::new(Tenants::open(folder, *open_max, clear)?)),
        }
    }
}

/// Why tenants and a master secret do not go together.
pub const NO_MASTER: &str = "the databases of tenants have secrets of their own: give no master secret";

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Embedded(folder) | Place::Tenants { folder, .. } => write!(f, "{}", folder.display()),
        }
    }
}
