//! What the configuration lets the process do once it serves.
#![forbid(unsafe_code)]

use crate::config::{AuditPlace, Config};
use crate::shell::sandbox::{Access, Needs};
use crate::store::database::Place;
use crate::tee::Devices;
use std::path::Path;

/// What the server will read, write and connect to. What is read at the start only is not among it, nor is the database
/// where its owner has to choose it first.
pub fn of(config: &Config) -> Needs {
    let mut needs = Needs::default();
    match &config.database.place {
        _ if config.bootstrap.is_some() => drop(needs.ports.insert(config.port)),
        Place::Embedded(folder) | Place::Tenants { folder, .. } => needs.add(folder, Access::Write),
        Place::Remote { .. } => {}
    }
    if let Some(certbot) = &config.certbot {
        needs.add(&certbot.settings.folder, Access::Write);
        needs.ports.insert(certbot.http_port);
    }
    if let Some(AuditPlace::File(path)) = config.audit.as_ref().map(|audit| &audit.place) {
        needs.add_file(path, Access::Write);
    }
    let certificate = config.tls.as_ref().map(|source| &source.file);
    let root = config.certbot.as_ref().and_then(|certbot| certbot.settings.ca_root.as_ref());
    let issuers = config.token_issuers.iter().filter_map(|issuer| issuer.source.ca_root.as_ref());
    for file in certificate.into_iter().chain(&config.revocations).chain(root).chain(issuers) {
        needs.add_file(file, Access::Read);
    }
    let is_elsewhere = matches!(config.database.place, Place::Remote { .. });
    if is_elsewhere
        || config.bootstrap.is_some()
        || config.certbot.is_some()
        || !config.token_issuers.is_empty()
    {
        needs.sockets = true;
        needs.add_name_resolution();
    }
    needs
}

/// What is needed until an owner has chosen the folder of the database: it may be any.
pub fn before_the_choice(needs: &Needs) -> Needs {
    let mut all = needs.clone();
    all.add(Path::new("/"), Access::Write);
    all
}

/// Adds what quotes are asked of.
pub fn add_devices(needs: &mut Needs, devices: &Devices) {
    for path in [&devices.tsm, &devices.sev_guest, &devices.gramine] {
        if path.exists() {
            needs.add(path, Access::Device);
        }
    }
}
