//! A file with a key, for machines that have nothing better: on a stick that is pulled after the start, or from a vault.
#![forbid(unsafe_code)]

use super::{Source, at, read_secret};
use crate::secret::Secret;
use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

const BYTES_MIN: usize = 32;
const BYTES_MAX: usize = 4096;
/// What group and others may do.
const OTHERS: u32 = 0o077;

/// A key in a file that only its owner may read.
pub struct KeyFile {
    path: PathBuf,
}

impl KeyFile {
    /// The file at this path.
    pub fn new(path: &Path) -> KeyFile {
        KeyFile { path: path.to_owned() }
    }
}

impl Source for KeyFile {
    fn secret(&self, _salt: &[u8]) -> Result<Secret, String> {
        let wrong = |reason: String| format!("{}: {reason}", self.path.display());
        let file = File::open(&self.path).map_err(at(&self.path))?;
        let metadata = file.metadata().map_err(at(&self.path))?;
        if !metadata.is_file() {
            return Err(wrong("is no file".into()));
        }
        let mode = metadata.mode() & 0o777;
        if mode & OTHERS != 0 {
            return Err(wrong(format!("others than its owner may use it (mode {mode:03o}): chmod 600")));
        }
        let secret = read_secret(file, BYTES_MAX + 1).map_err(at(&self.path))?;
        match secret.expose().len() {
            BYTES_MIN..=BYTES_MAX => Ok(secret),
            bytes => Err(wrong(format!("must have {BYTES_MIN} to {BYTES_MAX} bytes, but has {bytes}"))),
        }
    }

    fn info(&self) -> &'static [u8] {
        b"file-sealing-key"
    }
}
