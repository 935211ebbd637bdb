//! The database that is wanted, and what it is sealed with.
#![forbid(unsafe_code)]

use crate::config::{Master, Platform};
use crate::limits;
use crate::shell::os::{Clock, OsEntropy};
use crate::store::StoreError;
use crate::store::database::{Database, Opened, Place};
use crate::store::redb;
use crate::store::sealed::MasterSecret;
use crate::tee::{self, Devices, Purpose};
use std::sync::Arc;

/// The database of these options; the platform is asked for its key, if the database is sealed with one.
pub fn of(place: Place, master: Master, platform: &Platform) -> Result<Database, String> {
    let master = match master {
        Master::None => None,
        Master::Password(password, label) => Some(MasterSecret::password(password, label)),
        Master::Platform { salt, folder } => {
            let told = |reason| format!("--master-use-tee-key: {reason}");
            redb::prepare_folder(&folder).map_err(|error| error.to_string())?;
            let source = tee::source(&platform.wanted, &Devices::default(), &folder, Purpose::Database);
            Some(MasterSecret::Key(
                source.and_then(|source| tee::derive::database_key(&*source, &salt)).map_err(told)?,
            ))
        }
    };
    Ok(Database { place, master: master.map(Arc::new) })
}

/// Opens it. One that does not answer yet is waited for.
pub fn open(database: &Database, clear: bool, clock: &Clock) -> Result<Opened, StoreError> {
    let until = clock.now().instant + limits::DATABASE_START_TIMEOUT;
    let mut pause = limits::DATABASE_PAUSE_MIN;
    loop {
        match database.open(clear, &mut OsEntropy) {
            Err(StoreError::Unavailable(reason)) if clock.now().instant + pause < until => {
                ::log::warn!("waiting for the database: {reason}");
                std::thread::sleep(pause);
                pause = (pause * 2).min(limits::DATABASE_PAUSE_MAX);
            }
            opened => return opened,
        }
    }
}
