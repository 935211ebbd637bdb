//! TLS by rustls, without buffers of its own: records are decrypted where they arrived and encrypted where they leave.
#![forbid(unsafe_code)]

use crate::crypto::x509::Identity;
use crate::limits;
use rustls::crypto::{CryptoProvider, KeyProvider};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::{ServerSessionMemoryCache, UnbufferedServerConnection};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::unbuffered::{ConnectionState, EncodeError, EncryptError, UnbufferedStatus};
use rustls::{Error, ServerConfig};
use std::sync::Arc;

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
pub struct TlsSession {
    connection: UnbufferedServerConnection,
    /// What arrived of a record that is not complete.
    partial: Vec<u8>,
    begun: bool,
    handshaken: bool,
    ended: bool,
}

/// What one step of the state machine asks for.
enum Step {
    Again,
    Wait,
}

impl TlsSession {
    /// A connection that waits for its first bytes.
    pub fn new(config: Arc<ServerConfig>) -> Result<TlsSession, Error> {
        let connection = UnbufferedServerConnection::new(config)?;
        Ok(TlsSession { connection, partial: Vec::new(), begun: false, handshaken: false, ended: false })
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
    pub fn receive(&mut self, bytes: &mut [u8], plain: &mut Vec<u8>, out: &mut Vec<u8>) -> Result<(), Error> {
        self.begun = true;
        if self.partial.is_empty() {
            let used = self.process(bytes, plain, out)?;
            self.partial.extend_from_slice(&bytes[used..]);
        } else {
            let mut joined = std::mem::take(&mut self.partial);
            joined.extend_from_slice(bytes);
            let used = self.process(&mut joined, plain, out)?;
            if used < joined.len() {
                joined.drain(..used);
                self.partial = joined;
            }
        }
        Ok(())
    }

    fn process(&mut self, bytes: &mut [u8], plain: &mut Vec<u8>, out: &mut Vec<u8>) -> Result<usize, Error> {
        let mut used = 0;
        loop {
            let UnbufferedStatus { mut discard, state } =
                self.connection.process_tls_records(&mut bytes[used..]);
            let step = match state {
                Err(error) => {
                    self.send_alert(out);
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
                Ok(ConnectionState::EncodeTlsData(mut data)) => {
                    append(out, 512, |room| match data.encode(room) {
                        Ok(written) => Ok(written),
                        Err(EncodeError::InsufficientSize(size)) => Err(size.required_size),
                        Err(EncodeError::AlreadyEncoded) => Ok(0),
                    });
                    Step::Again
                }
                Ok(ConnectionState::TransmitTlsData(transmit)) => {
                    transmit.done();
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
                // Early data is not offered, so it does not come.
                Ok(_) => Step::Wait,
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
        if let ConnectionState::WriteTraffic(mut traffic) = self.idle_state() {
            append(out, room, |room| match traffic.encrypt(plain, room) {
                Ok(written) => Ok(written),
                Err(EncryptError::InsufficientSize(size)) => Err(size.required_size),
                // After 2^64 records, which no connection lives to see.
                Err(EncryptError::EncryptExhausted) => Ok(0),
            });
        }
    }

    /// Appends a close_notify to `out`, if the handshake got so far.
    pub fn close(&mut self, out: &mut Vec<u8>) {
        if !self.handshaken {
            return;
        }
        if let ConnectionState::WriteTraffic(mut traffic) = self.idle_state() {
            append(out, 64, |room| match traffic.queue_close_notify(room) {
                Ok(written) => Ok(written),
                Err(EncryptError::InsufficientSize(size)) => Err(size.required_size),
                Err(EncryptError::EncryptExhausted) => Ok(0),
            });
        }
    }

    /// The state with nothing to read. A broken connection says `Closed`.
    fn idle_state(&mut self) -> ConnectionState<'_, 'static, rustls::server::ServerConnectionData> {
        self.connection.process_tls_records(&mut []).state.unwrap_or(ConnectionState::Closed)
    }

    /// Appends the alert that rustls has ready after an error.
    fn send_alert(&mut self, out: &mut Vec<u8>) {
        loop {
            match self.connection.process_tls_records(&mut []).state {
                Ok(ConnectionState::EncodeTlsData(mut data)) => {
                    append(out, 64, |room| match data.encode(room) {
                        Ok(written) => Ok(written),
                        Err(EncodeError::InsufficientSize(size)) => Err(size.required_size),
                        Err(EncodeError::AlreadyEncoded) => Ok(0),
                    })
                }
                Ok(ConnectionState::TransmitTlsData(transmit)) => transmit.done(),
                _ => return,
            }
        }
    }
}

/// Header, padding and tag of one record, for every cipher suite.
const RECORD_OVERHEAD_BYTES: usize = 64;

/// Lets `write` fill room at the end of `out`, again with more if it asks for more.
fn append(out: &mut Vec<u8>, room: usize, mut write: impl FnMut(&mut [u8]) -> Result<usize, usize>) {
    let start = out.len();
    let mut room = room;
    loop {
        out.resize(start + room, 0);
        match write(&mut out[start..]) {
            Ok(written) => return out.truncate(start + written),
            Err(required) => {
                assert!(required > room, "more room is asked for only when there was too little");
                room = required;
            }
        }
    }
}
