//! The commands that look after the embedded database: `keyway backup`, `keyway restore` and `keyway check`.
#![forbid(unsafe_code)]

pub mod audit;
mod backup;
pub mod rekey;
mod restore;

use crate::config::{Task, Upkeep};
use crate::shell::log;
use crate::shell::os::{self, Clock};
use crate::start::{EXIT_FAILURE, Exit, print};
use crate::store::StoreError;
use crate::store::check::{Counted, Report, check};
use crate::store::redb::RedbStore;
use crate::store::redb::new_file::Filling;
use crate::store::rows::Table;
use crate::time::Instant;
use std::fmt::Write;
use std::fs::File;
use std::path::Path;
use std::time::Duration;

/// Does it; gives the exit code.
pub fn run(upkeep: &Upkeep) -> Result<u8, Exit> {
    log::init(upkeep.log_level);
    let failed = |reason| Exit(EXIT_FAILURE, reason);
    os::harden().map_err(|error| failed(error.to_string()))?;
    let (told, code) = match &upkeep.task {
        Task::Backup { folder, file } => (backup::make(folder, file).map_err(failed)?, 0),
        Task::Restore { folder, file, clear } => {
            (restore::put_in_place(folder, file, *clear).map_err(failed)?, 0)
        }
        Task::Check { file } => check_file(file).map_err(failed)?,
    };
    print(&told)?;
    Ok(code)
}

/// Findings that are told one by one: of a file where nothing fits, so many say enough.
const FINDINGS_TOLD_MAX: u64 = 1_000;

/// What a check has found, and the exit code.
fn check_file(file: &Path) -> Result<(String, u8), String> {
    let store = open(file)?;
    let mut told = String::new();
    let report = checked(&store, file, &mut |finding| told += &format!("{finding}\n"))?;
    let Report { objects, grants, findings, counted } = report;
    let _ = write!(told, "{}: {objects} objects and {grants} grants", file.display());
    if let Some(why) = counted {
        told += match why {
            Counted::Sealed => ", sealed",
            Counted::Older => ", of an older version",
        };
        told += ": only their numbers and the forms of their keys were checked";
    }
    told += &match findings {
        0 => "; all fits together\n".to_owned(),
        _ => format!("; {findings} things do not fit\n"),
    };
    Ok((told, u8::from(findings > 0)))
}

/// Checks all of a database.
fn checked(store: &RedbStore, file: &Path, tell: &mut dyn FnMut(&str)) -> Result<Report, String> {
    let mut left = FINDINGS_TOLD_MAX;
    let mut tell_some = |finding: &str| {
        if left > 0 {
            left -= 1;
            tell(finding);
        }
    };
    let report = store.snapshot().and_then(|rows| check(&rows, &mut tell_some));
    report.map_err(|error| explain(file, &error))
}

/// Opens and verifies a database that is only read; an error is one sentence for the operator.
fn open(file: &Path) -> Result<RedbStore, String> {
    RedbStore::open_unchanged(readable(file)?).map_err(|error| explain(file, &error))
}

/// The file, open for reading.
fn readable(file: &Path) -> Result<File, String> {
    let unreadable = |reason: &dyn std::fmt::Display| format!("{} cannot be read: {reason}", file.display());
    let opened = File::open(file).map_err(|error| unreadable(&error))?;
    if !opened.metadata().map_err(|error| unreadable(&error))?.is_file() {
        return Err(unreadable(&"it is no file"));
    }
    Ok(opened)
}

/// What went wrong with which file, and what to do.
fn explain(file: &Path, error: &StoreError) -> String {
    let file = file.display();
    match error {
        StoreError::AlreadyOpen => format!(
            "{file} is open in another process: stop that one, or use a backup of it (keyway backup FILE)"
        ),
        StoreError::DiskFull => {
            format!(
                "the disk of {file} is full: free some space, or choose another place; nothing was left there"
            )
        }
        StoreError::Corrupt(what) => format!("{file} is damaged: {what}"),
        StoreError::Io(reason) => format!("the disk of {file} failed: {reason}"),
        StoreError::Inaccessible { path, reason } => {
            format!("{} cannot be used: {reason}", path.display())
        }
        StoreError::Newer { .. }
        | StoreError::Locked(_)
        | StoreError::Misconfigured(_)
        | StoreError::Unavailable(_)
        | StoreError::Refused(_) => {
            format!("{file}: {error}")
        }
    }
}

/// Why a copy was not made.
enum CopyError {
    /// It could not be written.
    Target(StoreError),
    /// What it is a copy of could not be read; one sentence.
    Source(String),
}

impl From<StoreError> for CopyError {
    fn from(error: StoreError) -> CopyError {
        CopyError::Target(error)
    }
}

impl CopyError {
    fn explain(&self, target: &Path) -> String {
        match self {
            CopyError::Target(error) => explain(target, error),
            CopyError::Source(reason) => reason.clone(),
        }
    }
}

/// Rows on their way into a copy: counted, and told of when it takes long.
struct Copying<'c, 't> {
    filling: &'c mut Filling<'t>,
    counts: &'c mut Counts,
    rows_all: u64,
    rows_done: u64,
    clock: Clock,
    tell_at: Instant,
}

/// What is in a copy.
#[derive(Default)]
struct Counts {
    objects: u64,
    grants: u64,
}

/// How often a long copy is told of, and after how many rows the clock is read.
const TELL_INTERVAL: Duration = Duration::from_secs(5);
const ROWS_PER_LOOK: u64 = 1_000;

impl<'c, 't> Copying<'c, 't> {
    fn new(filling: &'c mut Filling<'t>, counts: &'c mut Counts, rows_all: u64) -> Copying<'c, 't> {
        let clock = Clock::start();
        let tell_at = clock.now().instant + TELL_INTERVAL;
        Copying { filling, counts, rows_all, rows_done: 0, clock, tell_at }
    }

    fn put(&mut self, table: Table, key: &[u8], value: &[u8]) -> Result<(), StoreError> {
        self.filling.put(table, key, value)?;
        match table {
            Table::Objects => self.counts.objects += 1,
            Table::GrantsByObject => self.counts.grants += 1,
            _ => {}
        }
        self.rows_done += 1;
        if self.rows_done.is_multiple_of(ROWS_PER_LOOK) && self.clock.now().instant >= self.tell_at {
            self.tell_at = self.tell_at + TELL_INTERVAL;
            ::log::info!("{} of {} rows are copied", self.rows_done, self.rows_all);
        }
        Ok(())
    }
}
