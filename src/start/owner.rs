//! What waits for the owner, and the certificate that it shows.
#![forbid(unsafe_code)]

use crate::acme::names;
use crate::bootstrap::guard::Guard;
use crate::config::{Bootstrap, Token};
use crate::crypto::self_signed::{self, Extension, Template};
use crate::crypto::x509;
use crate::crypto::x509::Identity;
use crate::entropy::random;
use crate::secret::Secret;
use crate::server::BootstrapParts;
use crate::shell::os::{self, Clock, OsEntropy};
use crate::store::database::Database;
use crate::store::late::LateStore;
use crate::tee::Quoter;
use crate::tee::ra_tls::{self, Evidence};
use crate::wire::base64url;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

/// A fresh key and its certificate, which the platform vouches for where it can. `quoter` is what can, or why nothing can.
pub fn identity(
    bootstrap: &Bootstrap,
    hostname: &str,
    listening: &[SocketAddr],
    quoter: Result<&dyn Quoter, &str>,
    clock: &Clock,
) -> Result<Identity, String> {
    let key = self_signed::new_key()?;
    let evidence = evidence(&key, quoter, bootstrap.ensure_ra_tls)?;
    let extension = evidence.as_ref().map(|evidence| Extension {
        oid: evidence.oid,
        is_critical: false,
        value: &evidence.quote,
    });
    let subject: Vec<(&str, &str)> =
        bootstrap.subject.0.iter().map(|part| (part.kind, part.value.as_str())).collect();
    let now = clock.now().utc;
    let template = Template {
        subject: &subject,
        names: &own_names(bootstrap, hostname),
        addresses: &own_addresses(listening),
        not_before: now,
        not_after: now + bootstrap.expires_after,
        // As RA-TLS is documented.
        is_ca: extension.is_some(),
        extension,
    };
    self_signed::identity_from(&key, &template)
}

fn own_names(bootstrap: &Bootstrap, hostname: &str) -> Vec<String> {
    let machine = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let mut own: Vec<String> = Vec::new();
    for name in [bootstrap.subject.common_name().unwrap_or_default(), hostname, machine.trim(), "localhost"] {
        let is_name = names::parse(name).is_ok_and(|parsed| parsed.len() == 1);
        if is_name && !own.iter().any(|known| known == name) {
            own.push(name.to_owned());
        }
    }
    own
}

fn own_addresses(listening: &[SocketAddr]) -> Vec<IpAddr> {
    let own: Vec<IpAddr> = listening.iter().map(|address| address.ip()).collect();
    if own.iter().any(IpAddr::is_unspecified) { os::local_addresses() } else { own }
}

/// What the platform says of this key. Without its word, `ensure` is an error.
fn evidence(
    key: &Secret,
    quoter: Result<&dyn Quoter, &str>,
    ensure: bool,
) -> Result<Option<Evidence>, String> {
    let point = self_signed::public_point(key)?;
    match quoter.map_err(str::to_owned).and_then(|quoter| ra_tls::evidence(quoter, &point)) {
        Ok(evidence) => {
            ::log::info!("{} vouches for the key of the bootstrap server (RA-TLS)", evidence.provider);
            Ok(Some(evidence))
        }
        Err(reason) if ensure => Err(format!(
            "--ensure-ra-tls: {reason}; run the server where SEV-SNP or SGX (Gramine) gives quotes, or remove the option"
        )),
        Err(reason) => {
            // Where nothing quotes, nobody expects it.
            if quoter.is_ok() {
                ::log::warn!("the platform does not vouch for the key of the bootstrap server: {reason}");
            }
            Ok(None)
        }
    }
}

/// Adds the pins of the certificate to what is printed, and perhaps a fresh token.
pub fn wait(
    bootstrap: Bootstrap,
    identity: Identity,
    database: Arc<Database>,
    store: Arc<LateStore>,
    lines: &mut String,
) -> Result<BootstrapParts, String> {
    let pin = x509::public_key_pin(&identity.chain[0]).ok_or("the certificate has no public key")?;
    *lines += &format!("certificate: sha256 {}\n", identity.fingerprint());
    *lines += &format!("public key: sha256//{pin}\n");
    let token = match bootstrap.token {
        Token::None => None,
        Token::Given(token) => Some(token),
        Token::Generated => {
            let token = base64url::encode(&random::<24>(&mut OsEntropy));
            *lines += &format!("bootstrap token: {token}\n");
            Some(Secret::new(token.into_bytes()))
        }
    };
    ::log::info!("waiting for the owner; the certificate is {}", identity.summary());
    Ok(BootstrapParts { identity, pin, guard: Guard::new(token), window: bootstrap.window, database, store })
}
