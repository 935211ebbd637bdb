//! A TPM 2.0: its owner's seed never leaves it, and makes the same key for the same template at any time.
//!
//! The secret is an HMAC over a fixed label, by a primary key of the owner hierarchy whose template carries the salt. Nothing is
//! stored in the TPM; `TPM2_Clear` changes the seed, and so all keys.
//!
//! With `--tee-tpm-pcrs` the template carries a policy too: the key works only while these PCRs hold what they held when it
//! was first used. A template with the policy of what they hold *now* would silently make another key after a changed boot;
//! so the policy is kept in a file, and it is the TPM that refuses. Whoever changes the file gets another key, never this one.
#![forbid(unsafe_code)]

mod commands;
mod pcrs;

use super::{Purpose, Source};
use crate::crypto::sha256;
use crate::egress::files;
use crate::secret::Secret;
use commands::{Connection, Error};
use std::fmt;
use std::path::{Path, PathBuf};

pub use pcrs::Pcrs;

/// What the HMAC is computed over.
const LABEL: &[u8] = b"keyway tls key";
/// The longest `unique` that every TPM takes: it need not know a longer digest than SHA-256.
const UNIQUE_BYTES_MAX: usize = 32;
/// The file with the policy.
pub const POLICY_FILE: &str = "tee-policy";

/// Where a TPM is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// A device, or a socket in the file system (swtpm).
    File(PathBuf),
    /// Host and port (swtpm).
    Tcp(String),
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::File(path) => path.display().fmt(f),
            Address::Tcp(address) => f.write_str(address),
        }
    }
}

/// A TPM as a source of keys.
pub struct Tpm {
    address: Address,
    pcrs: Option<Pcrs>,
    folder: PathBuf,
    purpose: Purpose,
}

/// PCRs and the digest of the policy that asks for what they held.
struct Policy {
    pcrs: Pcrs,
    digest: Vec<u8>,
}

impl Tpm {
    /// The TPM at this address; keys are bound to these PCRs, if any, by a file in `folder`.
    pub fn new(address: Address, pcrs: Option<Pcrs>, folder: &Path, purpose: Purpose) -> Tpm {
        Tpm { address, pcrs, folder: folder.to_owned(), purpose }
    }

    /// The policy that the key was made with, if it was; it must be the one that is wanted.
    fn stored_policy(&self) -> Result<Option<Policy>, String> {
        let path = self.folder.join(POLICY_FILE);
        let Some(content) = files::read(&self.folder, POLICY_FILE)? else { return Ok(None) };
        let policy = std::str::from_utf8(&content).ok().and_then(pcrs::decode);
        let Some((pcrs, digest)) = policy else {
            return Err(format!("{}: is no file of this server", path.display()));
        };
        if self.pcrs != Some(pcrs) {
            return Err(format!(
                "the key was bound to PCRs {pcrs}: give --tee-tpm-pcrs {pcrs}, {}",
                self.other_cure()
            ));
        }
        Ok(Some(Policy { pcrs, digest }))
    }

    fn told(&self, error: Error, policy: Option<&Policy>) -> String {
        match (&error, policy) {
            (Error::Code { code: commands::POLICY_FAIL, .. }, Some(policy)) => format!(
                "this machine was started in another way than when its key was made: the PCRs {} hold other values. \
                 Start it as before, {}",
                policy.pcrs,
                self.other_cure()
            ),
            (Error::Code { code: commands::BAD_AUTH, .. }, _) => format!(
                "{}: the owner hierarchy has a password: remove it (tpm2_changeauth -c owner -p OLD)",
                self.address
            ),
            _ => format!("{}: {error}", self.address),
        }
    }

    /// What can be done where the key of before is gone.
    fn other_cure(&self) -> String {
        let path = self.folder.join(POLICY_FILE);
        let path = path.display();
        match self.purpose {
            Purpose::Certificate => format!(
                "or remove {path}: then there is a new key, and whoever pinned the old one must be told"
            ),
            Purpose::Database => format!(
                "or restore a backup that a password opens; leave {path} in its place, since the database stays closed with \
                 another key"
            ),
        }
    }
}

impl Source for Tpm {
    fn secret(&self, salt: &[u8]) -> Result<Secret, String> {
        let stored = self.stored_policy()?;
        let is_new = stored.is_none();
        let mut connection = Connection::open(&self.address).map_err(|error| self.told(error, None))?;
        let policy = match (stored, self.pcrs) {
            (None, Some(pcrs)) => {
                let digest = connection.policy_of(pcrs).map_err(|error| self.told(error, None))?;
                Some(Policy { pcrs, digest })
            }
            (stored, _) => stored,
        };
        let unique = if salt.len() > UNIQUE_BYTES_MAX { sha256(salt).to_vec() } else { salt.to_vec() };
        let bound = policy.as_ref().map(|policy| (policy.pcrs, policy.digest.as_slice()));
        let secret = connection.keyed_hash(&unique, bound, LABEL);
        let secret = secret.map_err(|error| self.told(error, policy.as_ref()))?;
        if let Some(policy) = policy.filter(|_| is_new) {
            let content = pcrs::encode(policy.pcrs, &policy.digest);
            files::write(&self.folder, POLICY_FILE, content.as_bytes())?;
        }
        Ok(secret)
    }

    fn info(&self) -> &'static [u8] {
        b"tpm-sealing-key"
    }
}
