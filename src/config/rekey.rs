//! What `keyway rekey` is told.
#![forbid(unsafe_code)]

use super::database::{self, Database, Master};
use super::platform::{self, Platform};
use super::sources::{Surroundings, Values};
use super::{ConfigError, limits, log_level, secrets};
use crate::secret::Secret;

/// A database that is to be sealed with another password.
pub struct Rekey {
    /// It, and what it is sealed with now.
    pub database: Database,
    /// Where a key of the platform comes from.
    pub platform: Platform,
    /// The new password.
    pub password: Secret,
    /// What is logged meanwhile.
    pub log_level: log::LevelFilter,
}

/// Finds what the command needs.
pub(super) fn find(mut values: Values, surroundings: &Surroundings<'_>) -> Result<Rekey, ConfigError> {
    let file = values.file.take().ok_or_else(|| {
        ConfigError("keyway rekey needs a FILE with the new password: see keyway rekey --help".into())
    })?;
    let file = surroundings.working_folder.join(file);
    let wrong = |reason: &str| ConfigError(format!("{}: {reason}", file.display()));
    let password = secrets::read_secret(&file).map_err(|reason| wrong(&reason))?;
    if password.expose().is_empty() {
        return Err(wrong("holds no password"));
    }
    // What is said of exposed secrets and the like is for the server's log.
    let warnings = &mut Vec::new();
    let limits = limits(&values)?;
    let database = database::find(&mut values, surroundings, warnings, &limits)?;
    if matches!(database.master, Master::None) {
        return Err(ConfigError(
            "keyway rekey needs what the database is sealed with now: --master-password-file or --master-use-tee-key"
                .into(),
        ));
    }
    let platform = platform::find(&values, surroundings, warnings)?;
    Ok(Rekey { database, platform, password, log_level: log_level(&values)? })
}
