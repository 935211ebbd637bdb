//! Who asks: by certificates ([`certificate`]), or by tokens (JWT, RFC 7519). A token is good if an issuer that the operator
//! trusts has signed it, for this server, and for now (RFC 8725). The issuers' keys are fetched by the server's lane, and kept
//! here.
#![forbid(unsafe_code)]

pub mod certificate;
pub mod key_set;
pub mod refresh;
pub mod token;

use crate::time::Instant;
use key_set::KeySet;
use refresh::Refresh;
use std::path::PathBuf;
use std::sync::Arc;

/// What the operator says of an issuer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trusted {
    /// What `iss` must be, letter by letter.
    pub issuer: String,
    /// What `aud` must be or hold, if anything.
    pub audience: Option<String>,
    /// Where its keys are.
    pub source: Arc<Source>,
}

/// Where a set of keys (JWKS) is fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// By HTTPS, or by HTTP where the operator says so.
    pub url: String,
    /// A private authority that is trusted there beside the public ones, in PEM.
    pub ca_root: Option<PathBuf>,
}

/// An issuer with its keys, once they are there.
pub struct Issuer {
    /// What the operator says of it.
    pub trusted: Trusted,
    /// Its keys as they were last fetched; an outage of the issuer takes them not away.
    pub keys: Option<KeySet>,
    /// When they are fetched.
    pub refresh: Refresh,
    /// Why they could not be fetched last time.
    pub trouble: Option<String>,
}

impl Issuer {
    /// An issuer whose keys are to be fetched at once.
    pub fn new(trusted: Trusted, now: Instant) -> Issuer {
        Issuer { trusted, keys: None, refresh: Refresh::new(now), trouble: None }
    }

    /// Its keys were fetched, or could not be: then those from before stay.
    pub fn fetched(&mut self, result: Result<KeySet, String>, now: Instant) {
        self.refresh.end(result.is_ok(), now);
        match result {
            Ok(keys) => {
                let is_news = self.keys.is_none() || self.trouble.take().is_some();
                let level = if is_news { log::Level::Info } else { log::Level::Debug };
                log::log!(level, "the keys of the token issuer {} were fetched: {keys}", self.trusted.issuer);
                self.keys = Some(keys);
                self.trouble = None;
            }
            Err(reason) => {
                let effect =
                    if self.keys.is_some() { "those from before stay" } else { "its tokens wait for them" };
                if self.trouble.as_ref() != Some(&reason) {
                    let issuer = &self.trusted.issuer;
                    log::warn!(
                        "the keys of the token issuer {issuer} could not be fetched, {effect}: {reason}"
                    );
                }
                self.trouble = Some(reason);
            }
        }
    }
}
