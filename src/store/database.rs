//! Which database holds the objects, and what opens it.
#![forbid(unsafe_code)]

use super::redb::{FILE_NAME, RedbStore, Snapshots};
use super::remote::{self, ClientCertificate, MySqlEngine, PostgresEngine, RedisEngine};
use super::rows::Engine;
use super::sealed::{self, MasterSecret};
use super::tenants::Tenants;
use super::{Store, StoreError};
use crate::entropy::Entropy;
use crate::secret::Secret;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use super::remote::Kind;

/// A database that can be opened.
pub struct Database {
    /// Where it is.
    pub place: Place,
    /// What it is sealed with, if it is.
    pub master: Option<Arc<MasterSecret>>,
}

/// Where a database is. `Display` shows no password.
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
    /// A database elsewhere.
    Remote {
        /// What it is.
        kind: Kind,
        /// Where it is, with the password.
        url: Secret,
        /// A PKCS#12 file, and its password, with the certificate that lets this server in.
        certificate: Option<(Secret, Secret)>,
    },
}

/// A database that is open.
pub struct Opened {
    /// Its objects.
    pub store: Arc<dyn Store>,
    /// What backups of it are made from, where it is this server that makes them.
    pub snapshots: Option<Snapshots>,
}

impl Database {
    /// Opens it; `clear` removes all that is in it first.
    pub fn open(&self, clear: bool, entropy: &mut dyn Entropy) -> Result<Opened, StoreError> {
        match &self.place {
            Place::Embedded(folder) => {
                let engine = RedbStore::open(folder, clear)?;
                let snapshots = Some(engine.snapshots(folder));
                Ok(Opened { store: sealed::open(engine, self.master.as_deref(), entropy)?, snapshots })
            }
            Place::Tenants { .. } if self.master.is_some() => Err(StoreError::Locked(OWN_SECRETS)),
            Place::Tenants { folder, open_max } => {
                let tenants = Tenants::open(folder, *open_max, clear)?;
                Ok(Opened { store: Arc::new(tenants), snapshots: None })
            }
            Place::Remote { kind, url, certificate } => {
                let engine = remote_engine(*kind, url, certificate.as_ref(), clear)?;
                Ok(Opened { store: sealed::open(engine, self.master.as_deref(), entropy)?, snapshots: None })
            }
        }
    }
}

impl Database {
    /// Seals it with another master secret: wraps its data key anew.
    pub fn rekey(&self, new: &MasterSecret, entropy: &mut dyn Entropy) -> Result<(), StoreError> {
        let old = self.master.as_deref().ok_or(NO_MASTER)?;
        match &self.place {
            Place::Embedded(folder) => {
                // None is to be made by this.
                let path = folder.join(FILE_NAME);
                if let Err(error) = std::fs::metadata(&path) {
                    return Err(StoreError::Inaccessible { path, reason: error.to_string() });
                }
                sealed::rewrap(&RedbStore::open(folder, false)?, old, new, entropy)
            }
            Place::Tenants { .. } => Err(StoreError::Locked(OWN_SECRETS)),
            Place::Remote { kind, url, certificate } => {
                let engine = remote_engine(*kind, url, certificate.as_ref(), false)?;
                sealed::rewrap(&engine, old, new, entropy)
            }
        }
    }
}

impl Place {
    /// The folder of one that is on this machine.
    pub fn folder(&self) -> Option<&Path> {
        match self {
            Place::Embedded(folder) | Place::Tenants { folder, .. } => Some(folder),
            Place::Remote { .. } => None,
        }
    }
}

fn remote_engine(
    kind: Kind,
    url: &Secret,
    certificate: Option<&(Secret, Secret)>,
    clear: bool,
) -> Result<Box<dyn Engine>, StoreError> {
    let certificate =
        certificate.map(|(file, password)| ClientCertificate::open(file.expose(), password)).transpose();
    let certificate = certificate
        .map_err(|reason| StoreError::Misconfigured(format!("its client certificate: {reason}")))?;
    Ok(match kind {
        Kind::MySql => Box::new(MySqlEngine::open(url, certificate, clear)?),
        Kind::PostgreSql => Box::new(PostgresEngine::open(url, certificate, clear)?),
        Kind::Redis => Box::new(RedisEngine::open(url, certificate, clear)?),
    })
}

const NO_MASTER: StoreError = StoreError::Locked("what it is sealed with now is not given");

/// Why tenants and a master secret do not go together.
pub const OWN_SECRETS: &str = "the databases of tenants have secrets of their own: give no master secret";

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Embedded(folder) | Place::Tenants { folder, .. } => write!(f, "{}", folder.display()),
            Place::Remote { url, .. } => f.write_str(&remote::describe(url)),
        }
    }
}
