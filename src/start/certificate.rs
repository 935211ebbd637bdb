//! Where the certificate comes from at the start: a file, or what the certificates bot has stored.
#![forbid(unsafe_code)]

use crate::acme::bot::Bot;
use crate::acme::{KeySource, Settings};
use crate::config::{Certbot, Platform};
use crate::crypto::self_signed;
use crate::crypto::x509::Identity;
use crate::job::{self, CertificateSource};
use crate::server::{LoadedCertificate, Tls};
use crate::shell::os::{Clock, OsEntropy};
use crate::tee::{self, Devices, Purpose};
use crate::{crypto, egress, limits};
use std::sync::Arc;

/// Key, certificate and chain from the PKCS#12 file.
pub fn from_file(source: &CertificateSource, clock: &Clock) -> Result<LoadedCertificate, String> {
    let content = job::read_certificate_file(source)?;
    let identity =
        job::open_certificate(source, &content, clock.now().utc).map_err(|unusable| unusable.reason)?;
    ::log::info!("the certificate is {}", identity.summary());
    Ok(LoadedCertificate { identity, digest: crypto::sha256(&content) })
}

/// What is to be ordered, with the key from the platform where one is wanted.
pub fn bot_settings(certbot: Certbot, platform: &Platform) -> Result<Settings, String> {
    let Certbot { mut settings, key_salt, .. } = certbot;
    egress::files::prepare(&settings.folder)?;
    if let Some(salt) = key_salt {
        let source =
            tee::source(&platform.wanted, &Devices::default(), &settings.folder, Purpose::Certificate);
        let key = source.and_then(|source| tee::derive::tls_key(&*source, &salt));
        settings.key = KeySource::Given(key.map_err(|reason| format!("--certbot-use-tee-key: {reason}"))?);
    }
    Ok(settings)
}

/// The certificate that was stored, or one of its own until the bot has ordered a real one.
pub fn automatic(settings: &Arc<Settings>, clock: &Clock) -> Result<Tls, String> {
    if let Some(path) = &settings.ca_root {
        egress::read_authorities(path)?;
    }
    let now = clock.now();
    let history = egress::files::past_orders(&settings.folder);
    let (identity, stored): (Identity, _) = match egress::files::stored(settings) {
        Some((identity, stored)) => {
            ::log::info!("the certificate is {}", identity.summary());
            (identity, Some(stored))
        }
        None => {
            let not_after = now.utc + limits::SELF_SIGNED_LIFETIME;
            let identity = match &settings.key {
                KeySource::Fresh(_) => self_signed::identity(&settings.names, now.utc, not_after),
                KeySource::Given(key) => {
                    self_signed::identity_with_key(key, &settings.names, now.utc, not_after)
                }
            };
            (identity?, None)
        }
    };
    let bot = Bot::new(Arc::clone(settings), stored, &history, &mut OsEntropy, now);
    Ok(Tls::Bot { identity, bot: Box::new(bot) })
}
