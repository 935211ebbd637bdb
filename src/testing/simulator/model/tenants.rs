//! The secrets of tenants, which the answers to those who asked for a database have told.
#![forbid(unsafe_code)]

use super::super::http::Reply;
use super::Model;
use crate::store::tenants::Tenant;
use crate::wire::database_secret;
use std::collections::BTreeMap;

/// The secret of each tenant who has a database.
#[derive(Default)]
pub struct Tenants(BTreeMap<usize, String>);

impl Model {
    /// The secret of the tenant to whom this client belongs, once there is one.
    pub fn secret_of(&self, client: usize) -> Option<&str> {
        self.tenants.0.get(&self.clients[client].tenant).map(String::as_str)
    }

    /// The tenants who have databases.
    pub fn tenants(&self) -> Vec<(usize, Tenant)> {
        let tenant = |(number, secret): (&usize, &String)| (*number, read(secret).1);
        self.tenants.0.iter().map(tenant).collect()
    }

    /// A database was made, or not: its secret is that of the client's tenant, unless there is one.
    pub(super) fn tenant_made(&mut self, client: usize, reply: &Reply, told: &str) {
        assert_eq!(reply.status, 200, "{told}");
        let secret =
            std::str::from_utf8(&reply.body).ok().and_then(|body| body.strip_prefix('"')?.strip_suffix('"'));
        let secret = secret.unwrap_or_else(|| panic!("{told}: no text in JSON"));
        let (key, _) = read(secret);
        self.materials.add(&key, "the key of a tenant");
        self.materials.add(secret.as_bytes(), "the secret of a tenant");
        self.tenants.0.entry(self.clients[client].tenant).or_insert_with(|| secret.to_owned());
    }
}

/// The key in a secret, and the tenant whose it is.
fn read(secret: &str) -> (Vec<u8>, Tenant) {
    let parse = || database_secret::parse(secret.as_bytes()).expect("what was told is a secret");
    (parse().key.expose().to_vec(), Tenant::of(parse()).expect("group and key belong together"))
}
