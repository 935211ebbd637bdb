//! TLS as clients speak it, and certificates: of the server that they meet, and their own.
//!
//! What rustls draws by itself (keys, nonces) differs from run to run. How many bytes travel does not: the certificate is of
//! a kind whose signatures all have the same length, and everything else on the wire has one anyway.
#![forbid(unsafe_code)]

use crate::crypto::pkcs12::Bundle;
use crate::crypto::x509::{self, Identity};
use crate::secret::Secret;
use crate::time::Timestamp;
use openssl::asn1::Asn1Time;
use openssl::bn::BigNum;
use openssl::error::ErrorStack;
use openssl::hash::MessageDigest;
use openssl::pkcs12::Pkcs12;
use openssl::pkey::{Id, PKey};
use openssl::x509::extension::SubjectAlternativeName;
use openssl::x509::{X509, X509Builder, X509NameBuilder};
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer, ServerName, UnixTime};
use rustls::time_provider::TimeProvider;
use rustls::{
    ClientConfig, ClientConnection, Error, HandshakeKind, RootCertStore, SupportedProtocolVersion, version,
};
use std::io::{Read, Write};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// What a client speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// TLS 1.2 alone.
    Tls12,
    /// TLS 1.3 alone.
    Tls13,
}

/// What a client shows of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    /// Nothing.
    Nothing,
    /// A certificate by [`client_authority`] for this user.
    Certificate(&'static str),
    /// A certificate for this user that nobody vouches for whom the server trusts.
    Forgery(&'static str),
}

/// What clients of this version share, with sessions to resume; their records are at most so long, if it is said how long.
/// They trust the server of [`identity`].
pub fn client_config(version: Version, record_bytes_max: Option<usize>, shown: Shown) -> ClientConfig {
    let versions: &[&SupportedProtocolVersion] = match version {
        Version::Tls12 => &[&version::TLS12],
        Version::Tls13 => &[&version::TLS13],
    };
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from(own_certificate().certificate.clone())).expect("it is a certificate");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_details(provider, Arc::new(FixedTime))
        .with_protocol_versions(versions)
        .expect("ring has suites for both versions")
        .with_root_certificates(roots);
    let own = match shown {
        Shown::Nothing => None,
        Shown::Certificate(user) => Some(client_certificate(user, authority())),
        Shown::Forgery(user) => Some(client_certificate(user, forger())),
    };
    let mut config = match own {
        None => config.with_no_client_auth(),
        Some(Own { certificate, private_key }) => {
            let key = PrivatePkcs8KeyDer::from(private_key).into();
            config.with_client_auth_cert(vec![certificate.into()], key).expect("it is the certificate's key")
        }
    };
    config.max_fragment_size = record_bytes_max;
    config
}

/// One end of a connection.
pub struct Client(ClientConnection);

impl Client {
    /// A client that has said nothing yet.
    pub fn new(config: &Arc<ClientConfig>) -> Client {
        let name = ServerName::try_from(NAME).expect("it is a name");
        let mut connection = ClientConnection::new(Arc::clone(config), name).expect("the configuration fits");
        connection.set_buffer_limit(None);
        Client(connection)
    }

    /// Says `plain`, once the handshake is over.
    pub fn say(&mut self, plain: &[u8]) {
        self.0.writer().write_all(plain).expect("its buffer has no limit");
    }

    /// Says that it will say nothing more.
    pub fn say_goodbye(&mut self) {
        self.0.send_close_notify();
    }

    /// Whether it wants to send something now.
    pub fn has_flight(&self) -> bool {
        self.0.wants_write()
    }

    /// All that it wants to send now.
    pub fn flight(&mut self) -> Vec<u8> {
        let mut flight = Vec::new();
        while self.0.wants_write() {
            self.0.write_tls(&mut flight).expect("a buffer takes everything");
        }
        flight
    }

    /// Takes in what the server has sent, and gives what that says.
    pub fn hear(&mut self, mut bytes: &[u8]) -> Result<Vec<u8>, Error> {
        let mut plain = Vec::new();
        while !bytes.is_empty() {
            let taken = self.0.read_tls(&mut bytes).expect("a slice can be read");
            let state = self.0.process_new_packets()?;
            let start = plain.len();
            plain.resize(start + state.plaintext_bytes_to_read(), 0);
            self.0.reader().read_exact(&mut plain[start..]).expect("so many bytes are there");
            if taken == 0 {
                return Err(Error::General("bytes follow the end".into()));
            }
        }
        Ok(plain)
    }

    /// Whether its handshake is not over.
    pub fn is_handshaking(&self) -> bool {
        self.0.is_handshaking()
    }

    /// Whether it goes on with a session from before.
    pub fn is_resumed(&self) -> bool {
        self.0.handshake_kind() == Some(HandshakeKind::Resumed)
    }

    /// Whether the server has said that it will say nothing more.
    pub fn has_heard_goodbye(&mut self) -> bool {
        self.0.process_new_packets().is_ok_and(|state| state.peer_has_closed())
    }
}

#[derive(Debug)]
struct FixedTime;

impl TimeProvider for FixedTime {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::since_unix_epoch(Duration::from_secs(NOT_BEFORE as u64 + 1)))
    }
}

const NAME: &str = "keyway.test";
const AUTHORITY_NAME: &str = "clients.test";
const NOT_BEFORE: i64 = 1_700_000_000;
const NOT_AFTER: i64 = 4_000_000_000;

/// The server's private key (PKCS#8).
pub fn private_key() -> &'static [u8] {
    &own_certificate().private_key
}

/// The server's key and certificate in a file. Its bytes differ from run to run, its length does not.
pub fn pkcs12_file(password: &str) -> Vec<u8> {
    let Own { certificate, private_key } = own_certificate();
    let build = || {
        let key = PKey::private_key_from_pkcs8(private_key)?;
        let certificate = X509::from_der(certificate)?;
        let mut builder = Pkcs12::builder();
        builder.name("server").pkey(&key).cert(&certificate).key_iter(DERIVATIONS).mac_iter(DERIVATIONS);
        builder.build2(password)?.to_der()
    };
    build().expect("OpenSSL makes a PKCS#12 file")
}

/// Rounds by which a password becomes a key: few, since this one is no secret.
const DERIVATIONS: u32 = 10;

/// The server's key and certificate.
pub fn identity() -> Identity {
    let Own { certificate, private_key } = own_certificate();
    let bundle =
        Bundle { private_keys: vec![Secret::copy_of(private_key)], certificates: vec![certificate.clone()] };
    x509::identity(bundle, Timestamp::from_unix(NOT_BEFORE + 1)).expect("the key is the certificate's")
}

/// Whom a server trusts to vouch for its clients, a certificate in DER.
pub fn client_authority() -> Vec<u8> {
    authority().certificate.clone()
}

/// A certificate (DER) and its key (PKCS#8): Ed25519, whose signatures all have the same length, and are the same in every
/// run.
#[derive(Clone)]
struct Own {
    certificate: Vec<u8>,
    private_key: Vec<u8>,
}

/// The server's, which vouches for itself.
fn own_certificate() -> &'static Own {
    static OWN: OnceLock<Own> = OnceLock::new();
    OWN.get_or_init(|| make_certificate(NAME, 42, None).expect(OPENSSL))
}

fn authority() -> &'static Own {
    static OWN: OnceLock<Own> = OnceLock::new();
    OWN.get_or_init(|| make_certificate(AUTHORITY_NAME, 43, None).expect(OPENSSL))
}

/// It has the name of the authority, and another key.
fn forger() -> &'static Own {
    static OWN: OnceLock<Own> = OnceLock::new();
    OWN.get_or_init(|| make_certificate(AUTHORITY_NAME, 44, None).expect(OPENSSL))
}

fn client_certificate(user: &str, issuer: &Own) -> Own {
    make_certificate(user, 45, Some(issuer)).expect(OPENSSL)
}

const OPENSSL: &str = "OpenSSL makes a certificate";

/// A certificate for a name with a key of these bytes; without an issuer, it vouches for itself, and may for others.
fn make_certificate(name: &str, key_byte: u8, issuer: Option<&Own>) -> Result<Own, ErrorStack> {
    let key = PKey::private_key_from_raw_bytes(&[key_byte; 32], Id::ED25519)?;
    let mut subject = X509NameBuilder::new()?;
    subject.append_entry_by_text("CN", name)?;
    let subject = subject.build();
    let mut builder = X509Builder::new()?;
    builder.set_version(2)?;
    let serial = BigNum::from_u32(1)?.to_asn1_integer()?;
    builder.set_serial_number(&serial)?;
    builder.set_subject_name(&subject)?;
    let not_before = Asn1Time::from_unix(NOT_BEFORE)?;
    builder.set_not_before(&not_before)?;
    let not_after = Asn1Time::from_unix(NOT_AFTER)?;
    builder.set_not_after(&not_after)?;
    builder.set_pubkey(&key)?;
    let names = SubjectAlternativeName::new().dns(name).build(&builder.x509v3_context(None, None))?;
    builder.append_extension(names)?;
    match issuer {
        None => {
            builder.set_issuer_name(&subject)?;
            builder.sign(&key, MessageDigest::null())?;
        }
        Some(issuer) => {
            builder.set_issuer_name(X509::from_der(&issuer.certificate)?.subject_name())?;
            let key = PKey::private_key_from_pkcs8(&issuer.private_key)?;
            builder.sign(&key, MessageDigest::null())?;
        }
    }
    Ok(Own { certificate: builder.build().to_der()?, private_key: key.private_key_to_pkcs8()? })
}
