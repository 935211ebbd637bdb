//! The connection over TLS: for bytes that claim to be TLS, and for a client that means it.
#![forbid(unsafe_code)]

use super::{Peer, Script};
use crate::crypto::pkcs12::Bundle;
use crate::crypto::x509;
use crate::limits::Limits;
use crate::secret::Secret;
use crate::server::LoadedCertificate;
use crate::time::Timestamp;
use openssl::asn1::Asn1Time;
use openssl::bn::BigNum;
use openssl::error::ErrorStack;
use openssl::hash::MessageDigest;
use openssl::pkey::{Id, PKey};
use openssl::x509::extension::SubjectAlternativeName;
use openssl::x509::{X509Builder, X509NameBuilder};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::time_provider::TimeProvider;
use rustls::{ClientConfig, ClientConnection, RootCertStore, SupportedProtocolVersion, version};
use std::io::{Read, Write};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// The body of a fuzz target. Reads `data` as a script and bytes, which need not be TLS at all. Keys and nonces differ
/// from run to run; but whole, in pieces and byte by byte, as many bytes come back and the connection ends alike.
pub fn fuzz(data: &[u8]) {
    let (script, bytes) = Script::split_off(data);
    let answered = |script| {
        let mut peer = Peer::new(Limits::default(), Some(certificate()));
        peer.say(bytes, script);
        let answers = peer.finish();
        (answers.bytes.len(), answers.closed)
    };
    let whole = answered(Script::WHOLE);
    assert_eq!(whole, answered(script), "in pieces of {script:?}");
    assert_eq!(whole, answered(Script::BYTE_BY_BYTE), "byte by byte");
}

/// The body of a fuzz target. Reads `data` as the size of a client's records, a place where the wire damages a byte (far
/// away: nowhere), a script and a conversation in HTTP. The client gets over TLS what it would get in the clear; of a
/// damaged conversation, the beginning of that.
pub fn fuzz_conversation(data: &[u8]) {
    let [options, damage_high, damage_low, data @ ..] = data else { return };
    let damage_at = usize::from(u16::from_be_bytes([*damage_high, *damage_low]));
    let (script, conversation) = Script::split_off(data);
    let in_the_clear = {
        let mut peer = Peer::new(Limits::default(), None);
        peer.say(conversation, Script::WHOLE);
        peer.finish().bytes
    };

    let mut client = Client::new(*options);
    let mut peer = Peer::new(Limits::default(), Some(certificate()));
    let mut sent_bytes = 0;
    let mut is_damaged = false;
    client.connection.writer().write_all(conversation).expect("its buffer has no limit");
    while client.connection.wants_write() && !peer.aborted {
        let mut flight = client.flight();
        if let Some(byte) = damage_at.checked_sub(sent_bytes).and_then(|at| flight.get_mut(at)) {
            *byte ^= 0x11;
            is_damaged = true;
        }
        sent_bytes += flight.len();
        peer.say(&flight, script);
        if !client.take(&std::mem::take(&mut peer.received)) {
            break;
        }
    }
    peer.finish();
    let answers = super::without_interim(client.answers);
    if is_damaged {
        assert!(in_the_clear.starts_with(&answers), "{}", answers.escape_ascii());
    } else {
        assert_eq!(in_the_clear.escape_ascii().to_string(), answers.escape_ascii().to_string());
    }
}

/// A TLS client whose records are as small as it is told.
struct Client {
    connection: ClientConnection,
    answers: Vec<u8>,
}

impl Client {
    fn new(options: u8) -> Client {
        let versions: &[&SupportedProtocolVersion] =
            if options.is_multiple_of(2) { &[&version::TLS13] } else { &[&version::TLS12] };
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from(own_certificate().0.clone())).expect("it is a certificate");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ClientConfig::builder_with_details(provider, Arc::new(FixedTime))
            .with_protocol_versions(versions)
            .expect("ring has suites for both versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.max_fragment_size = match options / 2 {
            0 => None,
            size => Some(32 + usize::from(size)),
        };
        let name = ServerName::try_from(NAME).expect("it is a name");
        let mut connection = ClientConnection::new(Arc::new(config), name).expect("the configuration fits");
        connection.set_buffer_limit(None);
        Client { connection, answers: Vec::new() }
    }

    /// All that it wants to send now.
    fn flight(&mut self) -> Vec<u8> {
        let mut flight = Vec::new();
        while self.connection.wants_write() {
            self.connection.write_tls(&mut flight).expect("a buffer takes everything");
        }
        flight
    }

    /// Takes in what the server sent; `false` when it cannot go on.
    fn take(&mut self, mut bytes: &[u8]) -> bool {
        while !bytes.is_empty() {
            let taken = self.connection.read_tls(&mut bytes).expect("a slice can be read");
            let Ok(state) = self.connection.process_new_packets() else { return false };
            let start = self.answers.len();
            self.answers.resize(start + state.plaintext_bytes_to_read(), 0);
            self.connection.reader().read_exact(&mut self.answers[start..]).expect("so many bytes are there");
            if taken == 0 {
                return false;
            }
        }
        true
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
const NOT_BEFORE: i64 = 1_700_000_000;
const NOT_AFTER: i64 = 4_000_000_000;

fn certificate() -> LoadedCertificate {
    let (certificate, private_key) = own_certificate();
    let bundle =
        Bundle { private_keys: vec![Secret::copy_of(private_key)], certificates: vec![certificate.clone()] };
    let identity =
        x509::identity(bundle, Timestamp::from_unix(NOT_BEFORE + 1)).expect("the key is the certificate's");
    LoadedCertificate { identity, digest: [0; 32] }
}

/// A certificate that vouches for itself, and its key (PKCS#8): Ed25519, whose signatures all have the same length, and
/// the same in every run.
fn own_certificate() -> &'static (Vec<u8>, Vec<u8>) {
    static CERTIFICATE: OnceLock<(Vec<u8>, Vec<u8>)> = OnceLock::new();
    CERTIFICATE.get_or_init(|| make_certificate().expect("OpenSSL makes a certificate"))
}

fn make_certificate() -> Result<(Vec<u8>, Vec<u8>), ErrorStack> {
    let key = PKey::private_key_from_raw_bytes(&[42; 32], Id::ED25519)?;
    let mut name = X509NameBuilder::new()?;
    name.append_entry_by_text("CN", NAME)?;
    let name = name.build();
    let mut builder = X509Builder::new()?;
    builder.set_version(2)?;
    let serial = BigNum::from_u32(1)?.to_asn1_integer()?;
    builder.set_serial_number(&serial)?;
    builder.set_subject_name(&name)?;
    builder.set_issuer_name(&name)?;
    let not_before = Asn1Time::from_unix(NOT_BEFORE)?;
    builder.set_not_before(&not_before)?;
    let not_after = Asn1Time::from_unix(NOT_AFTER)?;
    builder.set_not_after(&not_after)?;
    builder.set_pubkey(&key)?;
    let names = SubjectAlternativeName::new().dns(NAME).build(&builder.x509v3_context(None, None))?;
    builder.append_extension(names)?;
    builder.sign(&key, MessageDigest::null())?;
    Ok((builder.build().to_der()?, key.private_key_to_pkcs8()?))
}
