//! TLS by rustls, without buffers of its own: records are decrypted where they arrived and encrypted where they leave.
#![forbid(unsafe_code)]

use crate::acme::challenge::{ALPN_PROTOCOL, AlpnChallenge};
use crate::auth::certificate::ClientVerifier;
use crate::crypto::x509::Identity;
use crate::limits;
use crate::secret::Buffer;
use rustls::crypto::{CryptoProvider, KeyProvider};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::{
    Acceptor, ClientHello, NoServerSessionStorage, ResolvesServerCert, ServerConnectionData,
    ServerSessionMemoryCache, UnbufferedServerConnection,
};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::unbuffered::{ConnectionState, EncodeError, EncryptError, UnbufferedStatus, WriteTraffic};
use rustls::{ConfigBuilder, Error, ServerConfig, WantsVerifier};
use std::sync::Arc;

/// A certificate and its key, as every connection shows it.
pub type Shown = Arc<SingleCertAndKey>;

/// The certificate and key of an identity. The error is one line for the operator.
pub fn shown(identity: &Identity) -> Result<Shown, String> {
    let certified = certified_key(&identity.chain, identity.private_key.expose())?;
    Ok(Arc::new(SingleCertAndKey::from(certified)))
}

/// What every connection of this certificate shares, with sessions for resumption of its own; with a verifier, clients must
/// show certificates too, each time anew: rustls does not ask the verifier about the certificate of a session, which may
/// have expired since, as may have what said that it was not revoked. The error is one line for the operator.
pub fn server_config(shown: &Shown, clients: Option<ClientVerifier>) -> Result<Arc<ServerConfig>, String> {
    let builder = builder()?;
    let resumes = clients.is_none();
    let builder = match clients {
        Some(verifier) => builder.with_client_cert_verifier(verifier),
        None => builder.with_no_client_auth(),
    };
    let mut config = builder.with_cert_resolver(Arc::clone(shown) as Arc<dyn ResolvesServerCert>);
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    // AES-256 for all who can, whatever they would rather have: keys travel in it.
    config.ignore_client_order = true;
    if resumes {
        config.session_storage = ServerSessionMemoryCache::new(limits::TLS_SESSIONS_MAX);
        config.send_tls13_tickets = 1;
    } else {
        resume_nothing(&mut config);
    }
    Ok(Arc::new(config))
}

/// What the connections of a validator share: the proof for the name that it asks for (RFC 8737), and nothing else. No
/// client certificate is asked for, whatever other connections need.
pub fn challenge_config(proofs: &[AlpnChallenge]) -> Result<Arc<ServerConfig>, String> {
    let mut shown = Vec::with_capacity(proofs.len());
    for proof in proofs {
        let certified = certified_key(std::slice::from_ref(&proof.certificate), proof.private_key.expose())?;
        shown.push((proof.name.clone(), Arc::new(certified)));
    }
    let mut config = builder()?.with_no_client_auth().with_cert_resolver(Arc::new(Proofs(shown)));
    config.alpn_protocols = vec![ALPN_PROTOCOL.to_vec()];
    resume_nothing(&mut config);
    Ok(Arc::new(config))
}

fn resume_nothing(config: &mut ServerConfig) {
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
}

/// Proofs by name. (rustls's own resolver refuses them: the extension that proves is critical and unknown to it.)
#[derive(Debug)]
struct Proofs(Vec<(String, Arc<CertifiedKey>)>);

impl ResolvesServerCert for Proofs {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let wanted = hello.server_name()?;
        self.0.iter().find(|(name, _)| name == wanted).map(|(_, proof)| Arc::clone(proof))
    }
}

fn builder() -> Result<ConfigBuilder<ServerConfig, WantsVerifier>, String> {
    ServerConfig::builder_with_provider(Arc::new(provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| format!("TLS cannot be set up: {error}"))
}

fn certified_key(chain: &[Vec<u8>], private_key: &[u8]) -> Result<CertifiedKey, String> {
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(private_key));
    // ring signs fastest; OpenSSL knows more kinds of keys (P-521, RSA below 2048 bits).
    let signer = rustls::crypto::ring::sign::any_supported_type(&key)
        .or_else(|_| rustls_openssl::KeyProvider.load_private_key(key.clone_key()))
        .map_err(|error| format!("the private key cannot be used for TLS: {error}"))?;
    let chain = chain.iter().map(|der| CertificateDer::from(der.clone())).collect();
    Ok(CertifiedKey::new(chain, signer))
}

/// ring's speed, with the hybrid post-quantum key exchange in the first place.
fn provider() -> CryptoProvider {
    let mut provider = rustls::crypto::ring::default_provider();
    provider.kx_groups.insert(0, rustls_openssl::kx_group::X25519MLKEM768);
    provider
}

/// The alert `internal_error` in the clear: what a peer gets that cannot even begin a handshake (RFC 8446 section 6).
pub const ALERT_INTERNAL_ERROR: [u8; 7] = [21, 3, 3, 0, 2, 2, 80];

/// One TLS connection.
///
/// rustls remembers places in the bytes that it has seen and not yet discarded, and panics when they are missing. So all
/// of them are kept here, and every call shows them again.
pub struct TlsSession {
    connection: UnbufferedServerConnection,
    /// What the first message of the peer may choose; `None` once it has chosen.
    choice: Option<Box<Choice>>,
    /// The peer validates a proof, and wants nothing else.
    is_validator: bool,
    /// What arrived and was not discarded: part of a record, or of a handshake message over several records.
    kept: Vec<u8>,
    begun: bool,
    handshaken: bool,
    ended: bool,
    /// An error ended the session: rustls is not asked again.
    broken: bool,
}

/// A configuration for validators, beside the one that everybody else gets.
struct Choice {
    /// Reads the peer's first message.
    acceptor: Acceptor,
    challenge_config: Arc<ServerConfig>,
}

type State<'c, 'i> = ConnectionState<'c, 'i, ServerConnectionData>;

/// What one step of the state machine asks for.
enum Step {
    Again,
    Wait,
}

impl TlsSession {
    /// A connection that waits for its first bytes. A peer that offers the protocol `acme-tls/1` alone gets the
    /// configuration for validators, where there is one.
    pub fn new(
        config: Arc<ServerConfig>,
        challenge_config: Option<Arc<ServerConfig>>,
    ) -> Result<TlsSession, Error> {
        let connection = UnbufferedServerConnection::new(config)?;
        let (is_validator, begun, handshaken, ended, broken) = (false, false, false, false, false);
        let choice = |challenge_config| Box::new(Choice { acceptor: Acceptor::default(), challenge_config });
        let (choice, kept) = (challenge_config.map(choice), Vec::new());
        Ok(TlsSession { connection, choice, is_validator, kept, begun, handshaken, ended, broken })
    }

    /// Whether the peer is an authority's validator: a connection with it ends with its handshake (RFC 8737 section 3).
    pub fn is_validator(&self) -> bool {
        self.is_validator
    }

    /// Whether anything has arrived.
    pub fn has_begun(&self) -> bool {
        self.begun
    }

    /// Whether data may be exchanged.
    pub fn is_handshaken(&self) -> bool {
        self.handshaken
    }

    /// The certificate that the peer has shown (DER), once data may be exchanged.
    pub fn peer_certificate(&self) -> Option<&[u8]> {
        self.connection.peer_certificates()?.first().map(|certificate| certificate.as_ref())
    }

    /// Whether the peer has said that it sends no more (close_notify).
    pub fn has_ended(&self) -> bool {
        self.ended
    }

    /// Takes in what arrived: what it says is appended to `plain`, what must be sent back (a handshake, an alert) to
    /// `out`. After an error there is nothing but to send `out` and close.
    pub fn receive(&mut self, bytes: &mut [u8], plain: &mut Buffer, out: &mut Vec<u8>) -> Result<(), Error> {
        self.begun = true;
        // After its close_notify a peer has nothing to say (RFC 8446 section 6.1).
        if self.ended || self.broken {
            return Ok(());
        }
        if !self.choose_config(bytes)? {
            return Ok(());
        }
        let received = if self.kept.is_empty() {
            self.process(bytes, plain, out).map(|used| self.kept.extend_from_slice(&bytes[used..]))
        } else {
            let mut joined = std::mem::take(&mut self.kept);
            joined.extend_from_slice(bytes);
            self.process(&mut joined, plain, out).map(|used| {
                if used < joined.len() {
                    joined.drain(..used);
                    self.kept = joined;
                }
            })
        };
        let received = received.and_then(|()| match self.kept.len() {
            0..=limits::TLS_KEPT_BYTES_MAX => Ok(()),
            _ => Err(Error::General("a handshake message in too many pieces".into())),
        });
        self.broken = received.is_err();
        received
    }

    /// Reads the peer's first message, of which `bytes` are the next part, and chooses the configuration by it. `false`
    /// while it is not whole: then all of it is kept.
    fn choose_config(&mut self, bytes: &[u8]) -> Result<bool, Error> {
        let Some(mut choice) = self.choice.take() else { return Ok(true) };
        let mut rest = bytes;
        while !rest.is_empty() && choice.acceptor.read_tls(&mut rest).is_ok_and(|count| count > 0) {}
        match choice.acceptor.accept() {
            Ok(None) if rest.is_empty() && self.kept.len() + bytes.len() <= limits::TLS_KEPT_BYTES_MAX => {
                self.kept.extend_from_slice(bytes);
                self.choice = Some(choice);
                return Ok(false);
            }
            Ok(Some(accepted)) => {
                let hello = accepted.client_hello();
                if hello.alpn().is_some_and(|protocols| protocols.eq([ALPN_PROTOCOL])) {
                    self.connection = UnbufferedServerConnection::new(choice.challenge_config)?;
                    self.is_validator = true;
                }
            }
            // What is wrong with it, the connection will say itself.
            Ok(None) | Err(_) => {}
        }
        Ok(true)
    }

    /// Shows `bytes` to rustls until it wants more; says how many of them are done with.
    fn process(&mut self, bytes: &mut [u8], plain: &mut Buffer, out: &mut Vec<u8>) -> Result<usize, Error> {
        let mut used = 0;
        loop {
            let UnbufferedStatus { mut discard, state } =
                self.connection.process_tls_records(&mut bytes[used..]);
            let step = match state {
                Err(error) => {
                    self.send_alert(&mut bytes[used + discard..], out);
                    return Err(error);
                }
                Ok(ConnectionState::ReadTraffic(mut traffic)) => {
                    while let Some(record) = traffic.next_record() {
                        let record = record?;
                        discard += record.discard;
                        plain.extend_from_slice(record.payload);
                    }
                    Step::Again
                }
                Ok(ConnectionState::WriteTraffic(_)) => {
                    self.handshaken = true;
                    Step::Wait
                }
                Ok(ConnectionState::PeerClosed) => {
                    self.ended = true;
                    Step::Again
                }
                Ok(state) => transmit(state, out),
            };
            used += discard;
            if matches!(step, Step::Wait) {
                return Ok(used);
            }
        }
    }

    /// Appends the encryption of `plain` to `out`.
    pub fn send(&mut self, plain: &[u8], out: &mut Vec<u8>) {
        let records = plain.len() / limits::TLS_RECORD_BYTES_MAX + 1;
        let room = plain.len() + records * RECORD_OVERHEAD_BYTES;
        self.write(out, |traffic, out| append(out, room, |room| traffic.encrypt(plain, room)));
    }

    /// Appends a close_notify to `out`, if the handshake got so far.
    pub fn close(&mut self, out: &mut Vec<u8>) {
        if self.handshaken {
            self.write(out, |traffic, out| {
                append(out, RECORD_OVERHEAD_BYTES, |room| traffic.queue_close_notify(room));
            });
        }
    }

    /// Lets `write` send, after what rustls itself has to send. A broken session sends nothing.
    fn write(
        &mut self,
        out: &mut Vec<u8>,
        mut write: impl FnMut(&mut WriteTraffic<'_, ServerConnectionData>, &mut Vec<u8>),
    ) {
        while !self.broken {
            let UnbufferedStatus { discard, state } = self.connection.process_tls_records(&mut self.kept);
            let step = match state {
                Ok(ConnectionState::WriteTraffic(mut traffic)) => {
                    write(&mut traffic, out);
                    Step::Wait
                }
                Ok(state) => transmit(state, out),
                Err(_) => Step::Wait,
            };
            self.kept.drain(..discard);
            if matches!(step, Step::Wait) {
                return;
            }
        }
    }

    /// Appends the alert that rustls has ready after an error; `rest` is what it has not discarded. Only while there is
    /// something to encode: asked once more, rustls would read the faulty bytes again, and fail an assertion.
    fn send_alert(&mut self, rest: &mut [u8], out: &mut Vec<u8>) {
        while self.connection.wants_write()
            && let Ok(state) = self.connection.process_tls_records(rest).state
            && matches!(transmit(state, out), Step::Again)
        {}
    }
}

/// Appends what rustls itself has to send.
fn transmit(state: State<'_, '_>, out: &mut Vec<u8>) -> Step {
    match state {
        ConnectionState::EncodeTlsData(mut data) => {
            append(out, HANDSHAKE_RECORD_BYTES, |room| data.encode(room))
        }
        ConnectionState::TransmitTlsData(transmit) => transmit.done(),
        // Nothing more until the peer has said more. Early data is not offered, so it does not come.
        _ => return Step::Wait,
    }
    Step::Again
}

/// Header, padding and tag of one record, for every cipher suite.
const RECORD_OVERHEAD_BYTES: usize = 64;

/// Room for most records of a handshake; rustls says when it needs more.
const HANDSHAKE_RECORD_BYTES: usize = 512;

/// What rustls says when the room is too small.
trait Insufficient {
    /// The room that would do; `None` when no room would.
    fn required_bytes(&self) -> Option<usize>;
}

impl Insufficient for EncodeError {
    fn required_bytes(&self) -> Option<usize> {
        match self {
            EncodeError::InsufficientSize(size) => Some(size.required_size),
            EncodeError::AlreadyEncoded => None,
        }
    }
}

impl Insufficient for EncryptError {
    fn required_bytes(&self) -> Option<usize> {
        match self {
            EncryptError::InsufficientSize(size) => Some(size.required_size),
            // After 2^64 records, which no connection lives to see.
            EncryptError::EncryptExhausted => None,
        }
    }
}

/// Lets `write` fill room at the end of `out`, again with more if it asks for more.
fn append<E: Insufficient>(
    out: &mut Vec<u8>,
    room: usize,
    mut write: impl FnMut(&mut [u8]) -> Result<usize, E>,
) {
    let start = out.len();
    let mut room = room;
    loop {
        out.resize(start + room, 0);
        match write(&mut out[start..]).map_err(|error| error.required_bytes()) {
            Ok(written) => return out.truncate(start + written),
            Err(Some(required)) => {
                assert!(required > room, "more room is asked for only when there was too little");
                room = required;
            }
            Err(None) => return out.truncate(start),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::self_signed;
    use crate::time::Timestamp;
    use rustls::{ClientConfig, ClientConnection, RootCertStore};

    const NAME: &str = "kms.example.org";

    /// The first flight of a client that offers these protocols.
    fn client_hello(protocols: &[&[u8]]) -> Vec<u8> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(RootCertStore::empty())
            .with_no_client_auth();
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
        let mut client = ClientConnection::new(Arc::new(config), NAME.try_into().unwrap()).unwrap();
        let mut hello = Vec::new();
        client.write_tls(&mut hello).unwrap();
        hello
    }

    #[test]
    fn only_a_validator_gets_the_proof_however_its_first_message_arrives() {
        let now = Timestamp::from_unix(1_800_000_000);
        let identity = self_signed::identity(&[NAME.to_owned()], now, now).unwrap();
        let main = server_config(&shown(&identity).unwrap(), None).unwrap();
        let (certificate, private_key) = self_signed::acme_proof(NAME, &[7; 32], now).unwrap();
        let proof = AlpnChallenge { name: NAME.to_owned(), certificate, private_key };
        let challenge = challenge_config(&[proof]).unwrap();
        for (protocols, is_validator) in [
            (&[ALPN_PROTOCOL][..], true),
            (&[b"http/1.1"], false),
            (&[], false),
            (&[ALPN_PROTOCOL, b"http/1.1"], false),
        ] {
            let hello = client_hello(protocols);
            for size in [1, 100, hello.len()] {
                let mut session = TlsSession::new(Arc::clone(&main), Some(Arc::clone(&challenge))).unwrap();
                let (mut plain, mut out) = (Buffer::default(), Vec::new());
                for piece in hello.chunks(size) {
                    assert!(out.is_empty(), "nothing is said before the message is whole");
                    session.receive(&mut piece.to_vec(), &mut plain, &mut out).unwrap();
                }
                assert_eq!(session.is_validator(), is_validator, "{protocols:?} in pieces of {size}");
                assert!(!out.is_empty(), "the handshake goes on");
            }
        }
        // What is no first message is refused as ever.
        let mut session = TlsSession::new(main, Some(challenge)).unwrap();
        let (mut plain, mut out) = (Buffer::default(), Vec::new());
        assert!(session.receive(&mut [22, 3, 1, 0, 4, 2, 0, 0, 0], &mut plain, &mut out).is_err());
        assert_eq!(out[..3], [21, 3, 3], "an alert");
    }
}
