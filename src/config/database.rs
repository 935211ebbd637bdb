//! The options of the database.
#![forbid(unsafe_code)]

use super::sources::{Surroundings, Values};
use super::{ConfigError, Warnings, data_folder, invalid, options as o, salt, secrets};
use crate::limits::{self, Limits};
use crate::secret::Secret;
use crate::store::database::{OWN_SECRETS, Place};
use crate::store::remote::{self, Kind};
use std::path::PathBuf;

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
    /// A password, and a label that tells databases with the same password apart.
    Password(Secret, String),
    /// A key that is derived from the platform.
    Platform {
        /// With this salt.
        salt: Vec<u8>,
        /// Where what a TPM must remember is kept.
        folder: PathBuf,
    },
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
        Master::Password(..) => Some("--master-password"),
        Master::Platform { .. } => Some("--master-use-tee-key"),
    };
    if let (Place::Tenants { .. }, Some(option)) = (&place, named) {
        return Err(invalid(values, &o::DATABASE_TYPE, &format!("{OWN_SECRETS} ({option})")));
    }
    Ok(Database { place, master, clear: values.is_set(&o::CLEAR_DATABASE) })
}

fn place(
    values: &mut Values,
    surroundings: &Surroundings<'_>,
    warnings: &mut Warnings,
    limits: &Limits,
) -> Result<Place, ConfigError> {
    let kind = match values.text(&o::DATABASE_TYPE) {
        "sqlite" | "redb" => {
            warn_of_what_is_for_others(values, warnings);
            return embedded(values, surroundings, warnings);
        }
        "sqlite-enc" | "redb-enc" => {
            warn_of_what_is_for_others(values, warnings);
            return tenants(values, surroundings, warnings, limits);
        }
        "mysql" => Kind::MySql,
        "postgresql" => Kind::PostgreSql,
        "redis" | "redis-findex" => Kind::Redis,
        kind => {
            let reason = format!(
                "{kind:?} is no type of database: sqlite, sqlite-enc, mysql, postgresql, redis-findex and redis are"
            );
            return Err(invalid(values, &o::DATABASE_TYPE, &reason));
        }
    };
    let found = secrets::find(&o::DATABASE_URL, &o::DATABASE_URL_FILE, values, surroundings)?;
    let Some(found) = found else {
        let scheme = kind.schemes()[0];
        let reason =
            format!("needs --database-url {scheme}://USER:PASSWORD@HOST:PORT/DATABASE, or a file with it");
        return Err(invalid(values, &o::DATABASE_TYPE, &reason));
    };
    remote::check(&found.secret, kind)
        .map_err(|error| ConfigError(format!("--database-url ({}): {error}", found.source)))?;
    if has_password(&found.secret) {
        found.warn_if_exposed(&o::DATABASE_URL, &o::DATABASE_URL_FILE, warnings);
    }
    let certificate = certificate(kind, values, surroundings, warnings)?;
    Ok(Place::Remote { kind, url: found.secret, certificate })
}

/// A URL without a password may be read by others.
fn has_password(url: &Secret) -> bool {
    let user = url.expose_str().and_then(|url| url.split_once("://")?.1.split_once('@'));
    user.is_some_and(|(user, _)| user.contains(':'))
}

fn warn_of_what_is_for_others(values: &Values, warnings: &mut Warnings) {
    for spec in [&o::DATABASE_URL, &o::DATABASE_URL_FILE, &o::MYSQL_USER_CERT_FILE] {
        if values.is_set(spec) {
            warnings.push(format!("--{} has no effect with the embedded database", spec.name));
        }
    }
}

fn embedded(
    values: &Values,
    surroundings: &Surroundings<'_>,
    warnings: &mut Warnings,
) -> Result<Place, ConfigError> {
    let folder = data_folder(values, &o::SQLITE_PATH, surroundings)?;
    let old = folder.join("kms.db");
    if old.exists() {
        warnings.push(format!(
            "{} is a database of the old server: its keys are not read, this server keeps its own in keyway.redb",
            old.display()
        ));
    }
    Ok(Place::Embedded(folder))
}

fn tenants(
    values: &Values,
    surroundings: &Surroundings<'_>,
    warnings: &mut Warnings,
    limits: &Limits,
) -> Result<Place, ConfigError> {
    let folder = data_folder(values, &o::SQLITE_PATH, surroundings)?;
    if folder.join("keyway.redb").exists() {
        warnings.push(format!(
            "{} holds a database of --database-type sqlite: its keys are no tenant's, and are not served",
            folder.display()
        ));
    }
    Ok(Place::Tenants { folder, open_max: limits.open_databases_max })
}

/// The client certificate for a MySQL that asks for one, and its password.
fn certificate(
    kind: Kind,
    values: &mut Values,
    surroundings: &Surroundings<'_>,
    warnings: &mut Warnings,
) -> Result<Option<(Secret, Secret)>, ConfigError> {
    let (option, file) = (&o::MYSQL_USER_CERT_PASSWORD, &o::MYSQL_USER_CERT_PASSWORD_FILE);
    let password = secrets::find(option, file, values, surroundings)?;
    let Some(given) = values.get(&o::MYSQL_USER_CERT_FILE) else { return Ok(None) };
    if kind != Kind::MySql {
        return Err(invalid(values, &o::MYSQL_USER_CERT_FILE, "is for --database-type mysql"));
    }
    let path = surroundings.working_folder.join(&given.text);
    let content = secrets::read_file(&path, limits::PKCS12_BYTES_MAX as u64);
    let content = content.map_err(|reason| invalid(values, &o::MYSQL_USER_CERT_FILE, &reason))?;
    if let Some(password) = &password {
        password.warn_if_exposed(option, file, warnings);
    }
    Ok(Some((content, password.map_or(Secret::new(Vec::new()), |password| password.secret))))
}

fn master(
    values: &mut Values,
    surroundings: &Surroundings<'_>,
    warnings: &mut Warnings,
) -> Result<Master, ConfigError> {
    let is_findex = values.text(&o::DATABASE_TYPE) == "redis-findex";
    if !is_findex {
        for spec in [&o::REDIS_MASTER_PASSWORD, &o::REDIS_MASTER_PASSWORD_FILE, &o::REDIS_FINDEX_LABEL] {
            if values.is_set(spec) {
                warnings.push(format!("--{} has no effect without --database-type redis-findex", spec.name));
            }
        }
    }
    // The type that was always encrypted has options of its own for what others have, too.
    let (option, file) = match is_findex {
        true => (&o::REDIS_MASTER_PASSWORD, &o::REDIS_MASTER_PASSWORD_FILE),
        false => (&o::MASTER_PASSWORD, &o::MASTER_PASSWORD_FILE),
    };
    let password = secrets::find(option, file, values, surroundings)?;
    let label = values.get(&o::REDIS_FINDEX_LABEL).filter(|_| is_findex).map(|given| given.text.clone());
    if is_findex && (password.is_none() || label.is_none()) {
        let reason =
            "redis-findex needs --redis-master-password and --redis-findex-label; redis needs neither";
        return Err(invalid(values, &o::DATABASE_TYPE, reason));
    }
    match (password, salt(values, &o::MASTER_USE_TEE_KEY)?) {
        (Some(_), Some(_)) => {
            let reason = "and a master password are both given: a database is sealed with one of them";
            Err(invalid(values, &o::MASTER_USE_TEE_KEY, reason))
        }
        (Some(found), None) if found.secret.expose().is_empty() => {
            Err(ConfigError(format!("--{} ({}) is empty", option.name, found.source)))
        }
        (Some(found), None) => {
            found.warn_if_exposed(option, file, warnings);
            Ok(Master::Password(found.secret, label.unwrap_or_default()))
        }
        (None, Some(salt)) => {
            let folder = data_folder(values, &o::SQLITE_PATH, surroundings)?;
            Ok(Master::Platform { salt, folder })
        }
        (None, None) => Ok(Master::None),
    }
}
