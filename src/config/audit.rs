//! Where the audit log is, and what its command is about.
#![forbid(unsafe_code)]

use super::options as o;
use super::sources::{Surroundings, Values};
use super::{ConfigError, invalid, log_level};
use std::ffi::OsString;
use std::path::PathBuf;

/// What the name of a key's file ends with that the server makes itself.
const KEY_SUFFIX: &str = ".key";

/// The audit log, where there is to be one.
#[derive(Debug, PartialEq, Eq)]
pub struct Audit {
    /// Where its lines go.
    pub place: AuditPlace,
    /// What its checkpoints are made with.
    pub key_file: PathBuf,
    /// Whether that file is made where there is none.
    pub makes_key: bool,
    /// Whether nothing is answered that is not recorded.
    pub is_required: bool,
}

/// Where the lines of the audit log go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AuditPlace {
    /// Into this file.
    File(PathBuf),
    /// To standard output.
    Stdout,
}

/// The audit log of the server, if there is to be one.
pub(super) fn find(values: &Values, surroundings: &Surroundings<'_>) -> Result<Option<Audit>, ConfigError> {
    let is_required = values.is_set(&o::AUDIT_REQUIRED);
    let key_file = values.get(&o::AUDIT_KEY_FILE).map(|file| surroundings.working_folder.join(&file.text));
    let Some(given) = values.get(&o::AUDIT_LOG) else {
        let needs = "has no effect without --audit-log: add that option";
        return match (is_required, key_file) {
            (true, _) => Err(invalid(values, &o::AUDIT_REQUIRED, needs)),
            (_, Some(_)) => Err(invalid(values, &o::AUDIT_KEY_FILE, needs)),
            (false, None) => Ok(None),
        };
    };
    let (place, own_key_file) = match given.text.as_str() {
        "stdout" => (AuditPlace::Stdout, None),
        path => {
            let path = surroundings.working_folder.join(path);
            (AuditPlace::File(path.clone()), Some(beside(path)))
        }
    };
    let makes_key = key_file.is_none();
    let key_file = key_file.or(own_key_file).ok_or_else(|| {
        let reason = "needs --audit-key-file: there is no place beside it where the server could keep a key";
        invalid(values, &o::AUDIT_LOG, reason)
    })?;
    Ok(Some(Audit { place, key_file, makes_key, is_required }))
}

/// Where the server keeps the key of a log if it is not told another place.
fn beside(log: PathBuf) -> PathBuf {
    let mut path = log.into_os_string();
    path.push(KEY_SUFFIX);
    path.into()
}

/// What `keyway audit verify` looks at.
#[derive(Debug, PartialEq, Eq)]
pub struct AuditVerify {
    /// The files of one log, in order.
    pub files: Vec<PathBuf>,
    /// The key of its checkpoints.
    pub key_file: PathBuf,
    /// What is logged meanwhile.
    pub log_level: log::LevelFilter,
}

/// Finds what the command needs.
pub(super) fn find_verify(
    values: &Values,
    surroundings: &Surroundings<'_>,
) -> Result<AuditVerify, ConfigError> {
    let usage =
        || ConfigError("keyway audit: say keyway audit verify FILE..; see keyway audit --help".into());
    let (files, last): (Vec<PathBuf>, &OsString) = match values.words.as_slice() {
        [verify, files @ .., last] if verify == "verify" => {
            let all = files.iter().chain([last]);
            (all.map(|file| surroundings.working_folder.join(file)).collect(), last)
        }
        _ => return Err(usage()),
    };
    let key_file = match values.get(&o::AUDIT_KEY_FILE) {
        Some(given) => surroundings.working_folder.join(&given.text),
        // The others were moved away from where the log is written.
        None => beside(surroundings.working_folder.join(last)),
    };
    Ok(AuditVerify { files, key_file, log_level: log_level(values)? })
}
