//! The folder of the certificates bot: see [`crate::acme::layout`] for what is in it.
//!
//! A file is replaced by writing another one beside it, syncing that, and renaming it: a crash leaves the old one or the
//! new one, whole.
#![forbid(unsafe_code)]

use crate::acme::bot::Stored;
use crate::acme::history::{self, Entry};
use crate::acme::schedule::Validity;
use crate::acme::{KeySource, Settings, layout};
use crate::crypto::x509::{self, Identity};
use crate::limits;
use crate::secret::Buffer;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

/// More than the files of a certificate have together.
const TRIAL_BYTES: usize = 32 * 1024;

/// Makes the folder, for the owner only, and tries whether it can be written and has room.
pub fn prepare(folder: &Path) -> Result<(), String> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.map_err(|error| format!("{}: cannot be made: {error}", folder.display()))?;
    const TRIAL: &str = "trial";
    write(folder, TRIAL, &[b'.'; TRIAL_BYTES])?;
    fs::remove_file(folder.join(TRIAL)).map_err(|error| format!("{}: {error}", folder.display()))
}

/// Replaces a file, or makes it: for the owner only, and durable when this returns.
pub fn write(folder: &Path, name: &str, content: &[u8]) -> Result<(), String> {
    let (path, temporary) = (folder.join(name), folder.join(format!("{name}.new")));
    let replace = || {
        // One that a crash has left, or somebody else has made, may be anybody's to read.
        if let Err(error) = fs::remove_file(&temporary)
            && error.kind() != ErrorKind::NotFound
        {
            return Err(error);
        }
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?;
        file.write_all(content)?;
        file.sync_all()?;
        fs::rename(&temporary, &path)?;
        File::open(folder)?.sync_all()
    };
    replace().map_err(|error| {
        // A part of it takes room, and is of no use.
        let _ = fs::remove_file(&temporary);
        format!("{}: cannot be written: {error}", path.display())
    })
}

/// The content of a file; `None` where it is not there.
pub fn read(folder: &Path, name: &str) -> Result<Option<Buffer>, String> {
    let path = folder.join(name);
    let mut content = Buffer::default();
    match File::open(&path) {
        Ok(file) => match file.take(limits::ACME_FILE_BYTES_MAX).read_to_end(&mut content) {
            Ok(_) => Ok(Some(content)),
            Err(error) => Err(format!("{}: cannot be read: {error}", path.display())),
        },
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(format!("{}: cannot be read: {error}", path.display())),
    }
}

/// The certificate in the folder, ours or the one of the server before; `None` where there is none that can be used. What
/// is wrong with one that is there is only logged: a new one will be ordered.
pub fn stored(settings: &Settings) -> Option<(Identity, Stored)> {
    let found = match own(settings) {
        Ok(None) => old(settings),
        found => found,
    };
    found.unwrap_or_else(|reason| {
        log::warn!("the stored certificate cannot be used, another one is ordered: {reason}");
        None
    })
}

fn own(settings: &Settings) -> Result<Option<(Identity, Stored)>, String> {
    let Some(content) = read(&settings.folder, layout::CERTIFICATE)? else { return Ok(None) };
    let wrong = |reason: &str| format!("{}: {reason}", settings.folder.join(layout::CERTIFICATE).display());
    let facts = layout::decode(&content).ok_or_else(|| wrong("is no file of this server"))?;
    let identity = identity(&content, settings).map_err(|reason| wrong(&reason))?;
    let is_as_wanted = has_wanted_key(&identity, settings)
        && covers(&identity, settings)
        && facts.directory_url == settings.directory_url;
    let stored = Stored { validity: validity(&identity), challenge: facts.challenge, is_as_wanted };
    Ok(Some((identity, stored)))
}

/// Three files that the server before left behind.
fn old(settings: &Settings) -> Result<Option<(Identity, Stored)>, String> {
    let files = layout::old_files(&settings.email, &settings.names[0]);
    let (key, chain) = (read(&settings.folder, &files.private_key)?, read(&settings.folder, &files.chain)?);
    let (Some(key), Some(chain)) = (key, chain) else { return Ok(None) };
    let both = Buffer::new([key.as_slice(), chain.as_slice()].concat());
    let identity = identity(&both, settings).map_err(|reason| format!("{}: {reason}", files.chain))?;
    log::info!("the certificate of the server before is used: {}", files.chain);
    let is_as_wanted = has_wanted_key(&identity, settings) && covers(&identity, settings);
    let stored = Stored { validity: validity(&identity), challenge: None, is_as_wanted };
    Ok(Some((identity, stored)))
}

/// The certificate in a file. A key that is given is not in the file, but comes first: one that is there is from a time
/// before, and counts only with its own certificate.
pub fn identity(pem: &[u8], settings: &Settings) -> Result<Identity, String> {
    let given = match &settings.key {
        KeySource::Fresh(_) => None,
        KeySource::Given(key) => Some(key),
    };
    let bundle = x509::bundle_of_pem(pem, given);
    bundle.and_then(x509::identity_at_any_time).map_err(|error| error.to_string())
}

/// Whether a certificate has the key that is given, if one is.
fn has_wanted_key(identity: &Identity, settings: &Settings) -> bool {
    match &settings.key {
        KeySource::Fresh(_) => true,
        KeySource::Given(key) => identity.private_key.matches(key.expose()),
    }
}

/// Whether a certificate is for every name that is wanted.
pub fn covers(identity: &Identity, settings: &Settings) -> bool {
    settings.names.iter().all(|name| identity.dns_names.contains(name))
}

/// From when until when a certificate is valid.
pub fn validity(identity: &Identity) -> Validity {
    Validity { not_before: identity.not_before, not_after: identity.not_after }
}

/// Past orders; none where the file is not there or cannot be read.
pub fn past_orders(folder: &Path) -> Vec<Entry> {
    let content = read(folder, layout::HISTORY).ok().flatten().unwrap_or_default();
    history::decode(&String::from_utf8_lossy(&content))
}

/// Adds orders to those of the past.
pub fn remember(folder: &Path, more: &[Entry]) -> Result<(), String> {
    let mut entries = past_orders(folder);
    entries.extend_from_slice(more);
    write(folder, layout::HISTORY, history::encode(&entries).as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_crash_while_writing_leaves_the_old_file() {
        let folder = std::env::temp_dir().join(format!("keyway-files-{}", std::process::id()));
        prepare(&folder).unwrap();
        write(&folder, "file", b"old").unwrap();
        // As far as a write got before the power went.
        fs::write(folder.join("file.new"), b"ne").unwrap();
        assert_eq!(read(&folder, "file").unwrap().unwrap().as_slice(), b"old");
        write(&folder, "file", b"newer").unwrap();
        assert_eq!(read(&folder, "file").unwrap().unwrap().as_slice(), b"newer");
        assert!(!folder.join("file.new").exists());
        assert_eq!(fs::metadata(folder.join("file")).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(read(&folder, "other").unwrap(), None);
        fs::remove_dir_all(folder).unwrap();
    }
}
