//! `/tee/`: the platform vouches for this server, where it can; elsewhere these paths do not exist.
#![forbid(unsafe_code)]

use super::Shared;
use crate::crypto::{decode_base64, sha256, x509};
use crate::tee::REPORT_DATA_BYTES;
use crate::wire::http::target::decode_segment;
use crate::wire::json::write_string;

/// Bytes that a client chooses, so that a quote is fresh.
const NONCE_BYTES: usize = 32;

/// What a platform that quotes can tell of itself.
pub struct Attestation {
    /// The key that an enclave of SGX is signed with, in PEM.
    pub enclave_public_key: Option<String>,
}

impl Shared {
    /// What a quote is to hold: the client's nonce and the SHA-256 of the certificate in use, in PEM. An error is the
    /// status of the answer, whose text is then in `self.body`.
    pub(super) fn report_data(&mut self, query: Option<&str>) -> Result<[u8; REPORT_DATA_BYTES], u16> {
        if self.attestation.is_none() {
            return Err(404);
        }
        let data = self.nonce_and_certificate(query);
        data.map_err(|(status, text)| {
            self.body.extend_from_slice(text.as_bytes());
            status
        })
    }

    fn nonce_and_certificate(
        &self,
        query: Option<&str>,
    ) -> Result<[u8; REPORT_DATA_BYTES], (u16, &'static str)> {
        let nonce = query.into_iter().flat_map(|query| query.split('&'));
        let nonce = nonce.filter_map(|field| field.strip_prefix("nonce=")).next();
        let nonce = nonce.ok_or((400, "Query deserialize error: missing field `nonce`"))?;
        let nonce = decode_segment(nonce).and_then(|text| decode_base64(&text));
        let nonce = nonce.filter(|nonce| nonce.len() == NONCE_BYTES);
        let nonce = nonce.ok_or((422, "Invalid Request: the nonce must be 32 bytes in base64"))?;
        let pem = self.certificate.as_ref().and_then(|used| x509::pem_of_certificate(used.leaf()));
        let pem = pem.ok_or((422, "Not Supported: a quote is over a TLS certificate: use HTTPS"))?;
        let mut data = [0; REPORT_DATA_BYTES];
        data[..NONCE_BYTES].copy_from_slice(&nonce);
        data[NONCE_BYTES..].copy_from_slice(&sha256(&pem));
        Ok(data)
    }

    /// Writes the answer into `self.body` and gives its status.
    pub(super) fn write_enclave_public_key(&mut self) -> u16 {
        let key = self.attestation.as_ref().and_then(|attestation| attestation.enclave_public_key.as_ref());
        let Some(key) = key else { return 404 };
        write_string(key, &mut self.body);
        200
    }
}
