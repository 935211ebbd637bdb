//! `keyway health`: asks the server on this machine how it is, for containers without a shell or curl.
#![forbid(unsafe_code)]

use crate::config::HealthTarget;
use crate::server::SPEAKS_HTTPS;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    AlertDescription, ClientConfig, ClientConnection, DigitallySignedStruct, Error, SignatureScheme,
    StreamOwned,
};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

/// How long the server may take to be reached, to take the question and to answer, each.
const TIMEOUT: Duration = Duration::from_secs(5);
/// As much of the answer as is read.
const ANSWER_BYTES_MAX: u64 = 16 * 1024;

/// Asks; the answer is the exit code, 0 for well and 1 for not. An error says why there was no answer.
///
/// A health check in a container is not told what the server's command line says: a server that speaks HTTPS says so.
pub fn ask(target: &HealthTarget) -> Result<u8, String> {
    let at = format!("{}:{}", target.host, target.port);
    let failed = |error: &dyn std::fmt::Display| format!("no answer from {at}: {error}");
    let address =
        (target.host.as_str(), target.port).to_socket_addrs().map_err(|error| failed(&error))?.next();
    let address = address.ok_or_else(|| failed(&"the name has no address"))?;
    let path = if target.live { "/health/live" } else { "/health" };
    let mut answer = ask_once(address, target.tls, path);
    if !target.tls && answer.as_ref().is_ok_and(|answer| answer.ends_with(SPEAKS_HTTPS)) {
        answer = ask_once(address, true, path);
    }
    let answer = match answer {
        // It is there, and asks whoever comes for a certificate, which a check has not.
        Err(error) if wants_certificate(&error) => return Ok(0),
        answer => answer.map_err(|error| failed(&error))?,
    };
    match answer.split_once(' ').map(|(_, rest)| rest.starts_with("200 ")) {
        Some(true) => Ok(0),
        Some(false) => Err(format!("{at} is not well: {}", answer.lines().last().unwrap_or_default())),
        None => Err(failed(&"what answers is no HTTP server")),
    }
}

/// Whether the server ended the handshake because it was shown no certificate (RFC 8446 section 6.2; of TLS 1.2, RFC 5246
/// section 7.2.2).
fn wants_certificate(error: &std::io::Error) -> bool {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>());
    matches!(
        inner,
        Some(Error::AlertReceived(
            AlertDescription::CertificateRequired | AlertDescription::HandshakeFailure
        ))
    )
}

fn ask_once(address: SocketAddr, tls: bool, path: &str) -> std::io::Result<String> {
    let stream = TcpStream::connect_timeout(&address, TIMEOUT)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    if !tls {
        return exchange(stream, path);
    }
    let name = ServerName::IpAddress(address.ip().into());
    let client = client_config().and_then(|config| ClientConnection::new(Arc::new(config), name));
    exchange(StreamOwned::new(client.map_err(std::io::Error::other)?, stream), path)
}

fn exchange(mut stream: impl Read + Write, path: &str) -> std::io::Result<String> {
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    stream.take(ANSWER_BYTES_MAX).read_to_end(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

fn client_config() -> Result<ClientConfig, Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyCertificate))
        .with_no_client_auth();
    Ok(config)
}

/// The question is whether the server on this machine runs, not whether others trust its certificate; nothing secret is
/// sent.
#[derive(Debug)]
struct AnyCertificate;

impl ServerCertVerifier for AnyCertificate {
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
        rustls::crypto::ring::default_provider().signature_verification_algorithms.supported_schemes()
    }
}
