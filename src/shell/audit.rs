//! The file of the audit log, and its key.
//!
//! A server that starts looks at the end of the file, from a checkpoint on. A torn line (the process was killed while it
//! wrote) is cut off, and so is what a crash of the machine leaves there; the next checkpoint says how much that was. What
//! was changed otherwise keeps the server from starting: it would be hidden among the lines to come.
#![forbid(unsafe_code)]

use crate::audit::chain::Chain;
use crate::audit::recorder::{Medium, Recorder};
use crate::audit::verify::Verifier;
use crate::config::{Audit, AuditPlace, read_secret};
use crate::entropy::random;
use crate::secret::Secret;
use crate::shell::os::OsEntropy;
use crate::wire::hex;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Bytes of a key: fewer could be tried out.
const KEY_BYTES_MIN: usize = 16;
/// How much of a log's end is looked at first; more, where there is no checkpoint in it.
const TAIL_BYTES: u64 = 256 * 1024;

/// Opens the log that is wanted. An error is one line for the operator.
pub fn open(audit: &Audit) -> Result<Recorder, String> {
    match &audit.place {
        AuditPlace::Stdout => {
            let key = read_key(&audit.key_file)?;
            Ok(Recorder::new(Box::new(Stdout), key, Chain::default(), 0))
        }
        AuditPlace::File(path) => {
            let (mut file, length) = open_file(path)?;
            let key = match fs::exists(&audit.key_file) {
                Ok(false) if audit.makes_key && length == 0 => make_key(&audit.key_file)?,
                _ => read_key(&audit.key_file)?,
            };
            let end = End::find(&mut file, &key).map_err(|reason| format!("{}: {reason}", path.display()))?;
            let cut_bytes = length - end.at;
            if cut_bytes > 0 {
                ::log::warn!(
                    "the audit log ended in a torn line: {cut_bytes} bytes are cut off after line {}",
                    end.chain.sequence
                );
            }
            let is_torn = cut_bytes > 0;
            let medium = LogFile { path: path.clone(), file, length: end.at, is_torn };
            Ok(Recorder::new(Box::new(medium), key, end.chain, cut_bytes))
        }
    }
}

/// The key in this file.
pub fn read_key(path: &Path) -> Result<Secret, String> {
    let told = |reason: String| format!("the key of the audit log, {}: {reason}", path.display());
    let key = read_secret(path).map_err(told)?;
    if key.expose().len() < KEY_BYTES_MIN {
        return Err(told(format!("must have {KEY_BYTES_MIN} bytes at least")));
    }
    Ok(key)
}

fn make_key(path: &Path) -> Result<Secret, String> {
    let mut text = Vec::with_capacity(65);
    hex::encode(&random::<32>(&mut OsEntropy), &mut text);
    let written = File::options().write(true).create_new(true).mode(0o600).open(path).and_then(|mut file| {
        file.write_all(&text)?;
        file.write_all(b"\n")?;
        file.sync_all()
    });
    written
        .map_err(|error| format!("the key of the audit log, {}: cannot be made: {error}", path.display()))?;
    ::log::info!("a key of the audit log was made: {}", path.display());
    Ok(Secret::new(text))
}

/// The file, which no other process writes, and its length.
fn open_file(path: &Path) -> Result<(File, u64), String> {
    let told = |error: &dyn std::fmt::Display| {
        format!("the audit log {} cannot be written: {error}", path.display())
    };
    let file = File::options().read(true).append(true).create(true).mode(0o600).open(path);
    let file = file.map_err(|error| told(&error))?;
    let metadata = file.metadata().map_err(|error| told(&error))?;
    if !metadata.is_file() {
        return Err(told(&"it is no file"));
    }
    file.try_lock().map_err(|_| told(&"another server writes it"))?;
    Ok((file, metadata.len()))
}

/// The end of a log.
struct End {
    /// The offset behind the last whole line.
    at: u64,
    chain: Chain,
}

impl End {
    fn find(file: &mut File, key: &Secret) -> Result<End, String> {
        let unreadable = |error: io::Error| format!("cannot be read: {error}");
        let length = file.metadata().map_err(unreadable)?.len();
        let mut tail_bytes = TAIL_BYTES;
        loop {
            let start = length.saturating_sub(tail_bytes);
            let mut tail = Vec::new();
            file.seek(SeekFrom::Start(start)).map_err(unreadable)?;
            file.take(length - start).read_to_end(&mut tail).map_err(unreadable)?;
            match End::in_tail(&tail, start, key)? {
                Some(end) => return Ok(end),
                None if start == 0 => {
                    return Err("is no audit log, or its end was changed: move it away".into());
                }
                None => tail_bytes *= 8,
            }
        }
    }

    /// In the last bytes of a file, which begin at `start`; `None` where there is no checkpoint in them.
    fn in_tail(tail: &[u8], start: u64, key: &Secret) -> Result<Option<End>, String> {
        let mut at = match start {
            0 => 0,
            _ => tail.iter().position(|byte| *byte == b'\n').map_or(tail.len(), |newline| newline + 1),
        };
        let mut verifier = Verifier::new(key);
        while let Some(length) = tail[at..].iter().position(|byte| *byte == b'\n') {
            match verifier.line(&tail[at..at + length]) {
                Ok(()) => at += length + 1,
                // The tail begins anywhere.
                Err(_) if verifier.first() == 0 && start > 0 => {
                    verifier.begin_file();
                    at += length + 1;
                }
                // Whole pages that were not written before the machine stopped.
                Err(_) if tail[at..].contains(&0) => break,
                Err(_) if verifier.first() == 0 => return Ok(None),
                Err(fault) => {
                    let number = verifier.chain().sequence + 1;
                    return Err(format!(
                        "at line {number}, {fault}; keyway audit verify tells more: move the log away"
                    ));
                }
            }
        }
        let is_found = verifier.first() > 0 || start == 0;
        Ok(is_found.then(|| End { at: start + at as u64, chain: verifier.chain() }))
    }
}

/// The log in a file.
struct LogFile {
    path: PathBuf,
    file: File,
    /// Up to where its lines are whole.
    length: u64,
    /// Something may be behind that.
    is_torn: bool,
}

impl LogFile {
    fn try_append(&mut self, lines: &[u8], sync: bool) -> io::Result<()> {
        if std::mem::replace(&mut self.is_torn, true) {
            self.file.set_len(self.length)?;
        }
        self.file.write_all(lines)?;
        if sync {
            self.file.sync_data()?;
        }
        self.length += lines.len() as u64;
        self.is_torn = false;
        Ok(())
    }
}

impl Medium for LogFile {
    fn append(&mut self, lines: &[u8], sync: bool) -> Result<(), String> {
        let metadata = self.file.metadata().map_err(|error| error.to_string())?;
        if metadata.nlink() == 0 {
            return Err("the file was removed: SIGHUP begins a new one".into());
        }
        if !self.is_torn && metadata.len() != self.length {
            ::log::error!(
                "somebody else has changed the audit log: it has {} bytes, not {}",
                metadata.len(),
                self.length
            );
            self.length = metadata.len();
        }
        self.try_append(lines, sync).map_err(|error| error.to_string())
    }

    fn reopen(&mut self) -> Result<bool, String> {
        let same = |a: &fs::Metadata, b: &fs::Metadata| (a.dev(), a.ino()) == (b.dev(), b.ino());
        let own = self.file.metadata().map_err(|error| error.to_string())?;
        match fs::metadata(&self.path) {
            Ok(named) if same(&own, &named) => return Ok(false),
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error.to_string()),
            _ => {}
        }
        let (file, length) = open_file(&self.path)?;
        if length > 0 {
            return Err(format!("{} is there and not empty", self.path.display()));
        }
        *self = LogFile { path: self.path.clone(), file, length, is_torn: false };
        Ok(true)
    }
}

/// The log on standard output, for whoever collects it there: it begins anew with every start.
struct Stdout;

impl Medium for Stdout {
    fn append(&mut self, lines: &[u8], _sync: bool) -> Result<(), String> {
        let mut stdout = io::stdout().lock();
        stdout.write_all(lines).and_then(|()| stdout.flush()).map_err(|error| error.to_string())
    }

    fn reopen(&mut self) -> Result<bool, String> {
        Ok(false)
    }
}
