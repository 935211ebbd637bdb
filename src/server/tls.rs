//! TLS by rustls, without buffers of its own: records are decrypted where they arrived and encrypted where they leave.
#![forbid(unsafe_code)]

use crate::crypto::x509::Identity;
use crate::{limits, secret};
use rustls::crypto::{CryptoProvider, KeyProvider};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::{ServerConnectionData, ServerSessionMemoryCache, UnbufferedServerConnection};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::unbuffered::{ConnectionState, EncodeError, EncryptError, UnbufferedStatus, WriteTraffic};
use rustls::{Error, ServerConfig};
use std::sync::Arc;
use zeroize::Zeroizing;

/// What every connection of this certificate shares. The error is one line for the operator.
pub fn server_config(identity: &Identity) -> Result<Arc<ServerConfig>, String> {
    let provider = Arc::new(provider());
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(identity.private_key.expose()));
    // ring signs fastest; OpenSSL knows more kinds of keys (P-521, RSA below 2048 bits).
    let signer = rustls::crypto::ring::sign::any_supported_type(&key)
        .or_else(|_| rustls_openssl::KeyProvider.load_private_key(key.clone_key()))
        .map_err(|error| format!("the private key cannot be used for TLS: {error}"))?;
    let chain = identity.chain.iter().map(|der| CertificateDer::from(der.clone())).collect();
    let certified = CertifiedKey::new(chain, signer);
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| format!("TLS cannot be set up: {error}"))?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(certified)));
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    config.session_storage = ServerSessionMemoryCache::new(limits::TLS_SESSIONS_MAX);
    config.send_tls13_tickets = 1;
    Ok(Arc::new(config))
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
    /// What arrived and was not discarded: part of a record, or of a handshake message over several records.
    kept: Vec<u8>,
    begun: bool,
    handshaken: bool,
    ended: bool,
    /// An error ended the session: rustls is not asked again.
    broken: bool,
}

type State<'c, 'i> = ConnectionState<'c, 'i, ServerConnectionData>;

/// What one step of the state machine asks for.
enum Step {
    Again,
    Wait,
}

impl TlsSession {
    /// A connection that waits for its first bytes.
    pub fn new(config: Arc<ServerConfig>) -> Result<TlsSession, Error> {
        let connection = UnbufferedServerConnection::new(config)?;
        let (begun, handshaken, ended, broken) = (false, false, false, false);
        Ok(TlsSession { connection, kept: Vec::new(), begun, handshaken, ended, broken })
    }

    /// Whether anything has arrived.
    pub fn has_begun(&self) -> bool {
        self.begun
    }

    /// Whether data may be exchanged.
    pub fn is_handshaken(&self) -> bool {
        self.handshaken
    }

    /// Whether the peer has said that it sends no more (close_notify).
    pub fn has_ended(&self) -> bool {
        self.ended
    }

    /// Takes in what arrived: what it says is appended to `plain`, what must be sent back (a handshake, an alert) to
    /// `out`. After an error there is nothing but to send `out` and close.
    pub fn receive(
        &mut self,
        bytes: &mut [u8],
        plain: &mut Zeroizing<Vec<u8>>,
        out: &mut Vec<u8>,
    ) -> Result<(), Error> {
        self.begun = true;
        // After its close_notify a peer has nothing to say (RFC 8446 section 6.1).
        if self.ended || self.broken {
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

    /// Shows `bytes` to rustls until it wants more; says how many of them are done with.
    fn process(
        &mut self,
        bytes: &mut [u8],
        plain: &mut Zeroizing<Vec<u8>>,
        out: &mut Vec<u8>,
    ) -> Result<usize, Error> {
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
                        secret::append(plain, record.payload);
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
