//! A database for each tenant, which nothing but the tenant's secret opens.
//!
//! A secret is a group id and a key ([`database_secret`]). The group id is the beginning of HMAC-SHA-256 with the key, so a
//! secret tells by itself whether its parts belong together: a wrong one is known without a look at the disk, in the same
//! time whether there is such a database or not, and no other database is closed for it. What is left is this: whoever has
//! a secret that was valid once can tell, by the time of the answer, whether a file is still there.
//!
//! All databases lie in one folder, each in `<group id in decimal>.redb`, sealed with its key ([`sealed`](super::sealed)).
//! They are opened when they are asked for, and closed when others are and no place is free ([`places`]).
#![forbid(unsafe_code)]

mod places;

use super::redb::{self, Guard, RedbStore};
use super::sealed::{self, MasterSecret};
use super::{Store, StoreError, Transaction};
use crate::entropy::{Entropy, random};
use crate::kms::view::View;
use crate::limits;
use crate::secret::Secret;
use crate::wire::database_secret::{self, DatabaseSecret, KEY_BYTES};
use places::Places;
use ring::hmac;
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use zeroize::Zeroizing;

const CONTEXT: &[u8] = b"keyway tenant";
const EXTENSION: &str = "redb";
/// Databases of SQLCipher, as the old server has made them.
const OLD_EXTENSION: &str = "sqlite";
const NO_TENANT: StoreError = StoreError::Refused("no tenant is named");

/// A secret whose parts belong together.
pub struct Tenant {
    group: u128,
    master: MasterSecret,
}

impl Tenant {
    /// Whose secret it is; `None` where group id and key do not belong together.
    pub fn of(secret: DatabaseSecret) -> Option<Tenant> {
        let DatabaseSecret { group, key } = secret;
        let belongs = openssl::memcmp::eq(&group_of(&key).to_be_bytes(), &group.to_be_bytes());
        belongs.then_some(Tenant { group, master: MasterSecret::Key(key) })
    }

    /// Names the database; no secret.
    pub fn group(&self) -> u128 {
        self.group
    }
}

/// Of the key's 256 bits it gives nothing away, and no other key with the same is found in less than 2^128 steps.
fn group_of(key: &Secret) -> u128 {
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key.expose()), CONTEXT);
    u128::from_be_bytes(*tag.as_ref().first_chunk().expect("an HMAC-SHA-256 has 32 bytes"))
}

/// The databases of all tenants. Clones share them.
#[derive(Clone)]
pub struct Tenants(Arc<Shared>);

struct Shared {
    folder: PathBuf,
    places: Places<dyn Store>,
    /// No other process opens databases in the folder until all are closed: it comes last.
    _guard: Guard,
}

impl Tenants {
    /// The databases in `folder`, which is made where it is not there; at most `open_max` of them are open at a time, and at
    /// least [`limits::TENANTS_IN_USE_MAX`] must be allowed. `clear` removes all of them first.
    pub fn open(folder: &Path, open_max: usize, clear: bool) -> Result<Tenants, StoreError> {
        assert!(open_max >= limits::TENANTS_IN_USE_MAX, "all that are in use must be allowed to be open");
        redb::prepare_folder(folder)?;
        let guard = Guard::take(folder)?;
        if clear {
            let removed = remove_all(folder).map_err(redb::inaccessible(folder))?;
            redb::sync_folder(folder)?;
            log::warn!("{removed} databases of tenants were removed from {}", folder.display());
        }
        let (ours, old) = count(folder).map_err(redb::inaccessible(folder))?;
        log::info!("{} holds databases of {ours} tenants", folder.display());
        if old > 0 {
            log::warn!("{old} databases of the old server (.{OLD_EXTENSION}) are in it: they are not read");
        }
        Ok(Tenants(Arc::new(Shared {
            folder: folder.to_owned(),
            places: Places::new(open_max),
            _guard: guard,
        })))
    }

    /// The database of a tenant; `None` where it has none (any more). It must be let go of before the same thread asks for
    /// another one. [`StoreError::Locked`] is a file that somebody has put in the place of the tenant's.
    pub fn of(&self, tenant: &Tenant) -> Result<Option<Arc<dyn Store>>, StoreError> {
        let path = self.path(tenant);
        self.0.places.get(tenant.group, || {
            if !path.try_exists().map_err(redb::inaccessible(&path))? {
                return Ok(None);
            }
            let engine = RedbStore::open_file(&path, limits::TENANT_CACHE_BYTES)?;
            sealed::open_sealed(engine, &tenant.master).map(Some)
        })
    }

    /// Makes a database for a new tenant, durably, and gives its secret, which is stored nowhere.
    pub fn create(&self, entropy: &mut dyn Entropy) -> Result<Zeroizing<String>, StoreError> {
        let key = Secret::copy_of(&*Zeroizing::new(random::<KEY_BYTES>(entropy)));
        let group = group_of(&key);
        let secret = database_secret::write(group, &key);
        let tenant = Tenant { group, master: MasterSecret::Key(key) };
        let path = self.path(&tenant);
        // Randomness that repeats itself shall not hand out the secret of somebody else.
        if path.try_exists().map_err(redb::inaccessible(&path))? {
            return Err(StoreError::Refused("a key was drawn that is in use"));
        }
        let made = self.0.places.get(group, || {
            let engine = RedbStore::make_file(&path, limits::TENANT_CACHE_BYTES)?;
            sealed::open(engine, Some(&tenant.master), entropy).map(Some)
        });
        if let Err(error) = made {
            // Nobody will ever have its secret.
            let _ = fs::remove_file(&path);
            return Err(error);
        }
        log::info!("a database was made for a new tenant: {}", path.display());
        Ok(secret)
    }

    /// Has a database opened anew, after an error that it does not recover from.
    pub fn reopen(&self, tenant: &Tenant) {
        self.0.places.spoil(tenant.group);
    }

    /// Closes the databases that nobody has asked for since the last call; how many are left open.
    pub fn close_unused(&self) -> usize {
        self.0.places.close_unused()
    }

    fn path(&self, tenant: &Tenant) -> PathBuf {
        self.0.folder.join(format!("{}.{EXTENSION}", tenant.group))
    }
}

/// None of the databases is everybody's: what asks for one without a tenant is told so.
impl Store for Tenants {
    fn name(&self) -> &'static str {
        "redb-enc"
    }

    fn read(&self) -> Result<Box<dyn View>, StoreError> {
        Err(NO_TENANT)
    }

    fn transact(
        &self,
        _: &mut dyn FnMut(&mut dyn Transaction) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        Err(NO_TENANT)
    }

    /// A database may have to be opened first.
    fn reads_at_once(&self) -> bool {
        false
    }

    fn trouble(&self) -> Option<String> {
        let folder = &self.0.folder;
        fs::read_dir(folder).err().map(|error| format!("{}: {error}", folder.display()))
    }

    fn tenants(&self) -> Option<Tenants> {
        Some(self.clone())
    }
}

/// Whether it is a tenant's file, by its name.
fn is_of_tenant(path: &Path) -> bool {
    let Some((stem, EXTENSION)) = path.file_name().and_then(OsStr::to_str).and_then(|n| n.rsplit_once('.'))
    else {
        return false;
    };
    stem.parse::<u128>().is_ok_and(|group| group.to_string() == stem)
}

/// How many tenants have databases in a folder, and how many of the old server's lie beside them.
fn count(folder: &Path) -> io::Result<(usize, usize)> {
    let (mut ours, mut old) = (0, 0);
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        ours += usize::from(is_of_tenant(&path));
        old += usize::from(path.extension() == Some(OsStr::new(OLD_EXTENSION)));
    }
    Ok((ours, old))
}

fn remove_all(folder: &Path) -> io::Result<usize> {
    let mut removed = 0;
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if is_of_tenant(&path) {
            fs::remove_file(path)?;
            removed += 1;
        }
    }
    Ok(removed)
}

#[cfg(test)]
mod tests;
