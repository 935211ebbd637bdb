//! A client over TLS, by rustls.

use super::certificates::{Authority, der};
use super::{Client, Server, tcp};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use std::net::TcpStream;
use std::sync::Arc;

/// A rustls client that trusts the authority's root.
pub fn client_config(authority: &Authority) -> ClientConfig {
    let mut provider = rustls::crypto::ring::default_provider();
    provider.kx_groups.insert(0, rustls_openssl::kx_group::X25519MLKEM768);
    client_config_with(authority, provider)
}

pub fn client_config_with(authority: &Authority, provider: CryptoProvider) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from(der(&authority.file("root.pem")))).unwrap();
    let builder = ClientConfig::builder_with_provider(Arc::new(provider));
    let mut config = builder
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    config
}

pub type Tls = StreamOwned<ClientConnection, TcpStream>;

pub fn connect(config: &Arc<ClientConfig>, server: &Server) -> Tls {
    let name = ServerName::try_from("localhost").unwrap();
    StreamOwned::new(ClientConnection::new(Arc::clone(config), name).unwrap(), tcp(server.port))
}

/// A connection that trusts `authority` and shows the certificate of a client, by that client's own authority.
pub fn connect_as(authority: &Authority, client: Option<(&Authority, &str)>, server: &Server) -> Tls {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from(der(&authority.file("root.pem")))).unwrap();
    let builder = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()));
    let builder = builder.with_safe_default_protocol_versions().unwrap().with_root_certificates(roots);
    let config = match client {
        None => builder.with_no_client_auth(),
        Some((issuer, name)) => {
            let file = |suffix: &str| issuer.file(&format!("{name}{suffix}"));
            let chain = CertificateDer::pem_file_iter(file(".fullchain.pem")).unwrap();
            let key = PrivateKeyDer::from_pem_file(file(".key")).unwrap();
            builder.with_client_auth_cert(chain.map(Result::unwrap).collect(), key).unwrap()
        }
    };
    connect(&Arc::new(config), server)
}

/// One request on a connection that is kept: the status and body of its answer.
pub fn ask(tls: &mut Tls, path: &str, body: &str) -> (u16, String) {
    let mut client = Client::over(tls);
    if body.is_empty() { client.get(path) } else { client.post(path, body) }
}
