//! The options of the database.
#![forbid(unsafe_code)]

use super::sources::{Surroundings, Values};
use super::{ConfigError, Warnings, data_folder, invalid, options as o, salt, secrets};
use crate::limits::Limits;
use crate::secret::Secret;
use crate::store::database::{OWN_SECRETS, Place};

/// Where the keys are, and what opens it.
pub struct Database {
    /// Where.
    pub place: Place,
    /// What it is sealed with.
    pub master: Master,
    /// Whether all is removed first.
    pub clear: bool,
}

/// What a database is sealed with.
pub enum Master {
    /// It is not sealed.
    None,
    /// A password.
    Password(Secret),
    /// A key that is derived from the platform with this salt.
    Platform(Vec<u8>),
}

/// The database that is wanted.
pub(super) fn find(
    values: &mut Values,
    surroundings: &Surroundings<'_>,
    warnings: &mut Warnings,
    limits: &Limits,
) -> Result<Database, ConfigError> {
    let place = place(values, surroundings, warnings, limits)?;
    let master = master(values, surroundings, warnings)?;
    let named = match master {
        Master::None => None,
        Master::Password(_) => Some("--master-password"),
        Master::Platform(_) => Some("--master-use-tee-key"),
    };
    if let (Place::Tenants { .. }, Some(option)) = (&place, named) {
        return Err(invalid(values, &o::DATABASE_TYPE, &format!("{OWN_SECRETS} ({option})")));
    }
    Ok(Database { place, master, clear: values.is_set(&o::CLEAR_DATABASE) })
}

fn place(
    values: &Values,
    surroundings: &Surroundings<'_>,
    warnings: &mut Warnings,
    limits: &Limits,
) -> Result<Place, ConfigError> {
    let spec = &o::DATABASE_TYPE;
    let kind = values.text(spec);
    let has_tenants = match kind {
        "sqlite" | "redb" => false,
        "sqlite-enc" | "redb-enc" => true,
        "postgresql" | "mysql" | "redis-findex" | "redis" => {
            let reason =
                format!("{kind:?} is not built in this version yet; use sqlite, the embedded database");
            return Err(invalid(values, spec, &reason));
        }
        _ => {
            let reason = format!("{kind:?} is no type of database; use sqlite, the embedded database");
            return Err(invalid(values, spec, &reason));
        }
    };
    let folder = data_folder(values, &o::SQLITE_PATH, surroundings)?;
    if has_tenants {
        if folder.join("keyway.redb").exists() {
            warnings.push(format!(
                "{} holds a database of --database-type sqlite: its keys are no tenant's, and are not served",
                folder.display()
            ));
        }
        return Ok(Place::Tenants { folder, open_max: limits.open_databases_max });
    }
    let old = folder.join("kms.db");
    if old.exists() {
        warnings.push(format!(
            "{} is a database of the old server: its keys are not read, this server keeps its own in keyway.redb",
            old.display()
        ));
    }
    Ok(Place::Embedded(folder))
}

fn master(
    values: &mut Values,
    surroundings: &Surroundings<'_>,
    warnings: &mut Warnings,
) -> Result<Master, ConfigError> {
    let password =
        secrets::find(&o::MASTER_PASSWORD, &o::MASTER_PASSWORD_FILE, values, surroundings, warnings)?;
    match (password, salt(values, &o::MASTER_USE_TEE_KEY)?) {
        (Some(_), Some(_)) => {
            let reason = "and a master password are both given: a database is sealed with one of them";
            Err(invalid(values, &o::MASTER_USE_TEE_KEY, reason))
        }
        (Some((password, source)), None) if password.expose().is_empty() => {
            drop(password);
            Err(ConfigError(format!("--master-password ({source}) is empty")))
        }
        (Some((password, _)), None) => Ok(Master::Password(password)),
        (None, Some(salt)) => Ok(Master::Platform(salt)),
        (None, None) => Ok(Master::None),
    }
}
