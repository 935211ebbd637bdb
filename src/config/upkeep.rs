//! What the commands are told that look after the embedded database: backup, restore and check.
#![forbid(unsafe_code)]

use super::sources::{Surroundings, Values, Verb};
use super::{ConfigError, data_folder, invalid, log_level, options};
use crate::store::redb::FILE_NAME;
use std::path::PathBuf;

/// A command on the embedded database.
#[derive(Debug, PartialEq, Eq)]
pub struct Upkeep {
    /// What is to be done.
    pub task: Task,
    /// What is logged meanwhile.
    pub log_level: log::LevelFilter,
}

/// The commands.
#[derive(Debug, PartialEq, Eq)]
pub enum Task {
    /// Copy the database as it is now.
    Backup {
        /// Its folder.
        folder: PathBuf,
        /// Where the copy is to be.
        file: PathBuf,
    },
    /// Put a backup in the place of the database.
    Restore {
        /// Its folder.
        folder: PathBuf,
        /// The backup.
        file: PathBuf,
        /// Whether a database with objects may be replaced.
        clear: bool,
    },
    /// Look whether all of a database fits together.
    Check {
        /// The database or a backup.
        file: PathBuf,
    },
}

/// Finds what `verb` needs.
pub(super) fn find(
    verb: Verb,
    values: &Values,
    surroundings: &Surroundings<'_>,
) -> Result<Upkeep, ConfigError> {
    let given = values.file.as_ref().map(|file| surroundings.working_folder.join(file));
    let named = || {
        let name = verb.name();
        given
            .clone()
            .ok_or_else(|| ConfigError(format!("keyway {name} needs a FILE: see keyway {name} --help")))
    };
    let folder = || embedded_folder(verb, values, surroundings);
    let task = match (verb, &given) {
        (Verb::Backup, _) => Task::Backup { file: named()?, folder: folder()? },
        (Verb::Restore, _) => {
            let clear = values.is_set(&options::CLEAR_DATABASE);
            Task::Restore { file: named()?, folder: folder()?, clear }
        }
        (_, Some(file)) => Task::Check { file: file.clone() },
        (_, None) => Task::Check { file: folder()?.join(FILE_NAME) },
    };
    Ok(Upkeep { task, log_level: log_level(values)? })
}

/// The folder of the embedded database. Other databases have tools of their own, which know them better.
fn embedded_folder(
    verb: Verb,
    values: &Values,
    surroundings: &Surroundings<'_>,
) -> Result<PathBuf, ConfigError> {
    let tools = match values.text(&options::DATABASE_TYPE) {
        "mysql" => "mariadb-dump or mysqldump",
        "postgresql" => "pg_dump and pg_restore",
        "redis" | "redis-findex" => "redis-cli --rdb",
        "sqlite-enc" | "redb-enc" => {
            "copies of the tenants' files, made while the server is stopped (keyway check takes one of them)"
        }
        _ => return data_folder(values, &options::SQLITE_PATH, surroundings),
    };
    let reason = format!("keyway {} is for the embedded database; use {tools}", verb.name());
    Err(invalid(values, &options::DATABASE_TYPE, &reason))
}
