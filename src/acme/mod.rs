//! The certificates bot: everything about ACME (RFC 8555) that is decided. When to order, by which challenge, what a
//! failure means, how long to wait, what is kept in files, and how. What is done (requests to the certification
//! authority, files) is in [`crate::egress`]; what is served in [`crate::server`].
//!
//! [`bot::Bot`] is the state machine: it is told what happened and answers what to do next.
#![forbid(unsafe_code)]

pub mod bot;
pub mod challenge;
pub mod failure;
pub mod history;
pub mod layout;
pub mod names;
pub mod renewal_info;
pub mod schedule;

use crate::secret::Secret;
use std::path::PathBuf;

/// Let's Encrypt, whose certificates everybody trusts.
pub const LETS_ENCRYPT: &str = "https://acme-v02.api.letsencrypt.org/directory";
/// Let's Encrypt for trying things out: generous limits, and certificates that nobody trusts.
pub const LETS_ENCRYPT_STAGING: &str = "https://acme-staging-v02.api.letsencrypt.org/directory";

/// What the operator wants.
pub struct Settings {
    /// What the certificate is for: at least one name, each as [`names::parse`] gives it.
    pub names: Vec<String>,
    /// Where the certification authority may write to.
    pub email: String,
    /// The certification authority: the URL of its directory (RFC 8555 section 7.1.1).
    pub directory_url: String,
    /// How control of the names is proved.
    pub challenge: ChallengeChoice,
    /// The certificate's key.
    pub key: KeySource,
    /// Where account, key and certificate are kept.
    pub folder: PathBuf,
    /// Certificates, in PEM, of certification authorities that are trusted beside the public ones when the directory is
    /// asked.
    pub ca_root: Option<PathBuf>,
}

/// How control of a name is proved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChallengeChoice {
    /// One after the other, the one that worked last time first.
    Auto,
    /// This one only.
    Only(challenge::Kind),
}

/// Where the key of a certificate comes from.
pub enum KeySource {
    /// Made anew for each order.
    Fresh(KeyType),
    /// The same for ever (PKCS #8): derived from the platform, so that clients can pin it.
    Given(Secret),
}

/// A kind of key for certificates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyType {
    /// ECDSA with NIST P-256.
    P256,
    /// ECDSA with NIST P-384.
    P384,
    /// RSA with 2048 bits.
    Rsa2048,
}
