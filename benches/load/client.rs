//! A client of our own: what wrk cannot do.

use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{ActiveKeyExchange, CryptoProvider, SupportedKxGroup, ring};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::version::TLS13;
use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, Error, NamedGroup, SignatureScheme, StreamOwned,
};
use std::fmt;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::{Arc, Mutex};

/// The hybrid key exchange.
pub const HYBRID: &dyn SupportedKxGroup = rustls_openssl::kx_group::X25519MLKEM768;
/// The classical one.
pub const X25519: &dyn SupportedKxGroup = ring::kx_group::X25519;

/// TLS 1.3 with this key exchange and no resumption.
pub fn tls(group: &'static dyn SupportedKxGroup) -> Arc<ClientConfig> {
    let provider = CryptoProvider { kx_groups: vec![group], ..ring::default_provider() };
    let builder = ClientConfig::builder_with_provider(Arc::new(provider));
    let mut config = builder
        .with_protocol_versions(&[&TLS13])
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(TrustAnything))
        .with_no_client_auth();
    config.resumption = Resumption::disabled();
    Arc::new(config)
}

/// The servers are to be the limit, not the client's arithmetic: certificates and signatures are not looked at.
#[derive(Debug)]
struct TrustAnything;

impl ServerCertVerifier for TrustAnything {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ECDSA_NISTP256_SHA256]
    }
}

/// A key exchange whose key pairs are made in advance, while nobody measures: ML-KEM costs a client more than a server.
pub struct Prepared {
    group: &'static dyn SupportedKxGroup,
    ready: Mutex<Vec<Box<dyn ActiveKeyExchange>>>,
}

impl Prepared {
    /// None are made yet. Lives for ever, as rustls wants it.
    pub fn new(group: &'static dyn SupportedKxGroup) -> &'static Prepared {
        Box::leak(Box::new(Prepared { group, ready: Mutex::default() }))
    }

    /// Makes key pairs until so many are ready.
    pub fn prepare(&self, count: usize) {
        let mut ready = self.ready.lock().unwrap();
        while ready.len() < count {
            ready.push(self.group.start().unwrap());
        }
    }
}

impl SupportedKxGroup for Prepared {
    fn start(&self) -> Result<Box<dyn ActiveKeyExchange>, Error> {
        let ready = self.ready.lock().unwrap().pop();
        ready.map_or_else(|| self.group.start(), Ok)
    }

    fn name(&self) -> NamedGroup {
        self.group.name()
    }
}

impl fmt::Debug for Prepared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Prepared({:?})", self.group)
    }
}

trait Stream: Read + Write + Send {}
impl<T: Read + Write + Send> Stream for T {}

/// A connection that is kept alive.
pub struct Client {
    stream: Box<dyn Stream>,
    received: Vec<u8>,
}

impl Client {
    /// Connects to a port of the loopback address; the handshake comes with the first request.
    pub fn connect(port: u16, tls: Option<&Arc<ClientConfig>>) -> Client {
        let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(crate::support::DEADLINE)).unwrap();
        let stream: Box<dyn Stream> = match tls {
            None => Box::new(stream),
            Some(config) => {
                let name = ServerName::try_from("localhost").unwrap();
                Box::new(StreamOwned::new(ClientConnection::new(Arc::clone(config), name).unwrap(), stream))
            }
        };
        Client { stream, received: Vec::new() }
    }

    /// The body of the answer to a POST, which must be a good one.
    pub fn post(&mut self, path: &str, body: &str) -> String {
        let length = body.len();
        self.ask(&format!(
            "POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-length: {length}\r\n\r\n{body}"
        ))
    }

    /// The body of the answer to a GET, which must be a good one.
    pub fn get(&mut self, path: &str) -> String {
        self.ask(&format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n"))
    }

    fn ask(&mut self, request: &str) -> String {
        self.stream.write_all(request.as_bytes()).unwrap();
        self.received.clear();
        let mut piece = [0; 4096];
        loop {
            let count = self.stream.read(&mut piece).unwrap();
            assert!(count > 0, "the server closed the connection");
            self.received.extend_from_slice(&piece[..count]);
            let text = std::str::from_utf8(&self.received).unwrap();
            let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
            assert!(head.starts_with("HTTP/1.1 200 "), "{text}");
            if body.len() == content_length(head) {
                return body.to_owned();
            }
        }
    }
}

fn content_length(head: &str) -> usize {
    let mut fields = head.lines().filter_map(|line| line.split_once(':'));
    let (_, length) = fields.find(|(name, _)| name.eq_ignore_ascii_case("content-length")).unwrap();
    length.trim().parse().unwrap()
}
