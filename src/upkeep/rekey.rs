//! Seals a database with another master password.
#![forbid(unsafe_code)]

use crate::config::{Master, Rekey};
use crate::shell::log;
use crate::shell::os::{self, OsEntropy};
use crate::start::{self, EXIT_FAILURE, Exit, print};
use crate::store::sealed::MasterSecret;

/// Does it; gives the exit code.
pub fn run(rekey: Rekey) -> Result<u8, Exit> {
    let failed = |reason: String| Exit(EXIT_FAILURE, reason);
    log::init(rekey.log_level);
    os::harden().map_err(|error| failed(error.to_string()))?;
    let place = rekey.database.place.to_string();
    let label = match &rekey.database.master {
        Master::Password(_, label) => label.clone(),
        Master::Platform { .. } | Master::None => String::new(),
    };
    let database = start::database::of(rekey.database.place, rekey.database.master, &rekey.platform);
    let new = MasterSecret::password(rekey.password, label);
    let done = database.map_err(failed)?.rekey(&new, &mut OsEntropy);
    done.map_err(|error| failed(error.to_string()))?;
    print(&format!(
        "the database in {place} is sealed with the new password; old backups need the old one\n"
    ))?;
    Ok(0)
}
