//! What waits for the owner.
#![forbid(unsafe_code)]

use crate::acme::names;
use crate::bootstrap::guard::Guard;
use crate::config::{Bootstrap, Token};
use crate::crypto::self_signed::{self, Template};
use crate::crypto::{base64url, x509};
use crate::entropy::random;
use crate::secret::Secret;
use crate::server::BootstrapParts;
use crate::shell::os::{self, Clock, OsEntropy};
use crate::store::database::Database;
use crate::store::late::LateStore;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

/// A fresh certificate, whose pins are added to what is printed, and perhaps a fresh token.
pub fn wait(
    bootstrap: Bootstrap,
    hostname: &str,
    listening: &[SocketAddr],
    database: Arc<Database>,
    store: Arc<LateStore>,
    clock: &Clock,
    lines: &mut String,
) -> Result<BootstrapParts, String> {
    let subject: Vec<(&str, &str)> =
        bootstrap.subject.0.iter().map(|part| (part.kind, part.value.as_str())).collect();
    let machine = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let mut own_names: Vec<String> = Vec::new();
    for name in [bootstrap.subject.common_name().unwrap_or_default(), hostname, machine.trim(), "localhost"] {
        let is_name = names::parse(name).is_ok_and(|parsed| parsed.len() == 1);
        if is_name && !own_names.iter().any(|known| known == name) {
            own_names.push(name.to_owned());
        }
    }
    let mut own: Vec<IpAddr> = listening.iter().map(|address| address.ip()).collect();
    if own.iter().any(IpAddr::is_unspecified) {
        own = os::local_addresses();
    }
    let now = clock.now().utc;
    let (not_before, not_after) = (now, now + bootstrap.expires_after);
    let template = Template { subject: &subject, names: &own_names, addresses: &own, not_before, not_after };
    let identity = self_signed::identity_from(&template)?;
    let pin = x509::public_key_pin(&identity.chain[0]).ok_or("the certificate has no public key")?;
    *lines += &format!("certificate: sha256 {}\n", identity.fingerprint());
    *lines += &format!("public key: sha256//{pin}\n");
    let token = match bootstrap.token {
        Token::None => None,
        Token::Given(token) => Some(token),
        Token::Generated => {
            let token = base64url(&random::<24>(&mut OsEntropy));
            *lines += &format!("bootstrap token: {token}\n");
            Some(Secret::new(token.into_bytes()))
        }
    };
    ::log::info!("waiting for the owner; the certificate is {}", identity.summary());
    Ok(BootstrapParts { identity, pin, guard: Guard::new(token), window: bootstrap.window, database, store })
}
