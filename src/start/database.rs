//! The database that is wanted, and what it is sealed with.
#![forbid(unsafe_code)]

use crate::config::{Master, Platform};
use crate::store::database::{Database, Place};
use crate::store::redb;
use crate::store::sealed::MasterSecret;
use crate::tee::{self, Devices};
use std::path::Path;
use std::sync::Arc;

/// The database of these options; the platform is asked for its key, if the database is sealed with one.
pub fn of(place: Place, master: Master, platform: &Platform) -> Result<Database, String> {
    let master = match master {
        Master::None => None,
        Master::Password(password) => Some(MasterSecret::password(password, String::new())),
        Master::Platform(salt) => {
            let told = |reason| format!("--master-use-tee-key: {reason}");
            let folder = folder(&place);
            redb::prepare_folder(folder).map_err(|error| error.to_string())?;
            let source = tee::source(&platform.wanted, &Devices::default(), folder);
            Some(MasterSecret::Key(
                source.and_then(|source| tee::derive::database_key(&*source, &salt)).map_err(told)?,
            ))
        }
    };
    Ok(Database { place, master: master.map(Arc::new) })
}

/// Where what a TPM must remember is kept.
fn folder(place: &Place) -> &Path {
    match place {
        Place::Embedded(folder) | Place::Tenants { folder, .. } => folder,
    }
}
