//! `keyway restore`: a backup in the place of the database, in one instant.
#![forbid(unsafe_code)]

use super::{Counts, backup, checked, explain, open};
use crate::store::StoreError;
use crate::store::redb::{FILE_NAME, Guard, RedbStore, new_file, prepare_folder};
use crate::store::rows::Table;
use std::fs::{self, File};
use std::io::ErrorKind;
use std::os::unix::fs::{MetadataExt, chown};
use std::path::{Path, PathBuf};

/// What the name of the database ends with that was replaced.
const KEPT: &str = "before-restore";

/// Checks the backup in `file`, and puts a copy of it in the place of the database in `folder`. `clear` lets it replace one
/// that has objects. Gives the lines that say what was done; after an error the database is as it was.
pub(super) fn put_in_place(folder: &Path, file: &Path, clear: bool) -> Result<String, String> {
    let backup = open(file)?;
    let report = checked(&backup, file, &mut |finding| ::log::error!("{finding}"))?;
    if report.findings > 0 {
        let (file, findings) = (file.display(), report.findings);
        return Err(format!("{file} is damaged: {findings} things do not fit; restore another backup"));
    }
    let snapshot = backup.snapshot().map_err(|error| explain(file, &error))?;

    prepare_folder(folder).map_err(|error| explain(folder, &error))?;
    let _guard = Guard::take(folder).map_err(|error| in_use(folder, &error))?;
    let old = Old::find(folder, clear)?;
    let (path, mut counts) = (folder.join(FILE_NAME), Counts::default());
    let made = new_file::make(
        &path,
        |filling| backup::copy(&snapshot, file, filling, &mut counts),
        |partial| {
            give_to_owner_of(folder, partial)?;
            old.keep()?;
            Ok(())
        },
    );
    made.map_err(|error| error.explain(&path))?;
    let Counts { objects, grants } = counts;
    let restored = format!("{}: {objects} objects and {grants} grants were restored\n", path.display());
    Ok(restored + &old.epitaph())
}

fn in_use(folder: &Path, error: &StoreError) -> String {
    match error {
        StoreError::AlreadyOpen => {
            format!("a server has the database in {} open: end it first", folder.display())
        }
        error => explain(folder, error),
    }
}

/// The database that is to be replaced.
struct Old {
    path: PathBuf,
    /// What is in it, and where it is to be kept; nothing where there is nothing in it.
    kept: Option<(String, PathBuf)>,
    /// Open, so that nobody else opens it to write.
    _store: Option<RedbStore>,
}

impl Old {
    /// Looks what is there. An error says why that must not be replaced.
    fn find(folder: &Path, clear: bool) -> Result<Old, String> {
        let path = folder.join(FILE_NAME);
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                return Ok(Old { path, kept: None, _store: None });
            }
            Err(error) => return Err(format!("{} cannot be read: {error}", path.display())),
        };
        let counts = RedbStore::open_unchanged(file).and_then(|store| {
            let rows = store.snapshot()?;
            Ok((rows.rows(Table::Objects)?, rows.rows(Table::GrantsByObject)?, store))
        });
        let (content, store) = match counts {
            Ok((0, _, store)) => return Ok(Old { path, kept: None, _store: Some(store) }),
            Ok((objects, grants, store)) => (format!("{objects} objects and {grants} grants"), Some(store)),
            Err(error @ StoreError::AlreadyOpen) => return Err(in_use(folder, &error)),
            // A backup is what helps then.
            Err(error) => (format!("what cannot be read ({})", explain(&path, &error)), None),
        };
        let kept = folder.join(format!("{FILE_NAME}.{KEPT}"));
        if !clear {
            return Err(format!(
                "{} has {content}: add --clear-database to replace it; it is then kept as {}",
                path.display(),
                kept.display()
            ));
        }
        if kept.symlink_metadata().is_ok() {
            return Err(format!("{} is there from an earlier restore: move it away", kept.display()));
        }
        Ok(Old { path, kept: Some((content, kept)), _store: store })
    }

    /// Gives it its other name too. Where a file can have but one, there is an instant without a database.
    fn keep(&self) -> Result<(), StoreError> {
        match &self.kept {
            Some((_, kept)) => Ok(fs::hard_link(&self.path, kept).or_else(|_| fs::rename(&self.path, kept))?),
            None => Ok(()),
        }
    }

    fn epitaph(&self) -> String {
        match &self.kept {
            Some((content, kept)) => format!("{}: kept, with {content}\n", kept.display()),
            None => String::new(),
        }
    }
}

/// Restored by root, it is still the server's.
fn give_to_owner_of(folder: &Path, file: &Path) -> Result<(), StoreError> {
    let (folder, own) = (fs::metadata(folder)?, fs::metadata(file)?);
    if folder.uid() == own.uid() {
        return Ok(());
    }
    Ok(chown(file, Some(folder.uid()), Some(folder.gid()))?)
}
