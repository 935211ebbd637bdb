//! A database for each tenant, which nothing but the tenant's secret opens.
//!
//! A secret is a group id and a key ([`database_secret`]). The group id is the beginning of HMAC-SHA-256 with the key, so a
//! secret tells by itself whether its parts belong together: a wrong one is known without a look at the disk, in the same
//! time whether there is such a database or not, and no other database is closed for it. What is left is this: whoever has
//! a secret that was valid once can tell, by the time of the answer, whether a file is still there.
//!
//! All databases lie in one folder ([`folder`]), each sealed with its key ([`sealed`](super::sealed)). They are opened when
//! they are asked for, and closed when others are and no place is free ([`places`]).
#![forbid(unsafe_code)]

mod folder;
mod places;

use super::redb::RedbStore;
use super::sealed::{self, MasterSecret};
use super::{Store, StoreError, Transaction};
use crate::entropy::{Entropy, random};
use crate::kms::view::View;
use crate::limits;
use crate::secret::Secret;
use crate::wire::database_secret::{self, DatabaseSecret, KEY_BYTES};
use folder::Folder;
use places::Places;
use ring::hmac;
use std::path::Path;
use std::sync::Arc;
use zeroize::Zeroizing;

const CONTEXT: &[u8] = b"keyway tenant";
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

/// The files in which the databases lie, one for each group.
pub trait Files: Send + Sync {
    /// Whether there is one.
    fn has(&self, group: u128) -> Result<bool, StoreError>;

    /// Makes one, which must not be there; its name is durable before anything is in it.
    fn make(&self, group: u128) -> Result<RedbStore, StoreError>;

    /// Opens one, which must be there.
    fn open(&self, group: u128) -> Result<RedbStore, StoreError>;

    /// Removes one that nobody has a use for.
    fn remove(&self, group: u128);

    /// What keeps them from being reached, if anything does.
    fn trouble(&self) -> Option<String>;
}

/// The databases of all tenants. Clones share them.
#[derive(Clone)]
pub struct Tenants(Arc<Shared>);

struct Shared {
    places: Places<dyn Store>,
    /// They come last: whoever is kept from them waits until all databases are closed.
    files: Box<dyn Files>,
}

impl Tenants {
    /// The databases in `folder`, which is made where it is not there; at most `open_max` of them are open at a time, and at
    /// least [`limits::TENANTS_IN_USE_MAX`] must be allowed. `clear` removes all of them first.
    pub fn open(folder: &Path, open_max: usize, clear: bool) -> Result<Tenants, StoreError> {
        assert!(open_max >= limits::TENANTS_IN_USE_MAX, "all that are in use must be allowed to be open");
        Ok(Tenants::over(Box::new(Folder::open(folder, clear)?), open_max))
    }

    /// The databases in these files; at most `open_max` of them are open at a time, which must be as many as are in use.
    pub fn over(files: Box<dyn Files>, open_max: usize) -> Tenants {
        Tenants(Arc::new(Shared { places: Places::new(open_max), files }))
    }

    /// The database of a tenant; `None` where it has none (any more). It must be let go of before the same thread asks for
    /// another one. [`StoreError::Locked`] is a file that somebody has put in the place of the tenant's.
    pub fn of(&self, tenant: &Tenant) -> Result<Option<Arc<dyn Store>>, StoreError> {
        let Shared { places, files } = &*self.0;
        places.get(tenant.group, || match files.has(tenant.group)? {
            true => sealed::open_sealed(files.open(tenant.group)?, &tenant.master).map(Some),
            false => Ok(None),
        })
    }

    /// Makes a database for a new tenant, durably, and gives its secret, which is stored nowhere.
    pub fn create(&self, entropy: &mut dyn Entropy) -> Result<Zeroizing<String>, StoreError> {
        let key = Secret::copy_of(&*Zeroizing::new(random::<KEY_BYTES>(entropy)));
        let group = group_of(&key);
        let secret = database_secret::write(group, &key);
        let master = MasterSecret::Key(key);
        let Shared { places, files } = &*self.0;
        // Randomness that repeats itself shall not hand out the secret of somebody else.
        if files.has(group)? {
            return Err(StoreError::Refused("a key was drawn that is in use"));
        }
        let made = places.get(group, || sealed::open(files.make(group)?, Some(&master), entropy).map(Some));
        if let Err(error) = made {
            // Nobody will ever have its secret.
            files.remove(group);
            return Err(error);
        }
        log::info!("a database was made for a new tenant, group {group}");
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
        self.0.files.trouble()
    }

    fn tenants(&self) -> Option<Tenants> {
        Some(self.clone())
    }
}

#[cfg(test)]
mod tests;
