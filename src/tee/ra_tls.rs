//! RA-TLS: a certificate that vouches for itself carries a quote over its key. Whoever checks the quote knows which program,
//! on what hardware, has the key.
//!
//! | platform | extension (not critical) | its value | bytes before the report data |
//! |---|---|---|---|
//! | SGX | 1.2.840.113741.1337.6 | the quote | 368 |
//! | SEV-SNP | 1.2.840.113741.1337.7 | the attestation report | 80 |
//!
//! The value is what the platform gives, with nothing around it. The report data are the SHA-256 of the public key, as an
//! uncompressed point (SEC 1 section 2.3.3), and 32 zeros: what clients of Cosmian KMS 4.x look for.
#![forbid(unsafe_code)]

use super::{Provider, Quoter, REPORT_DATA_BYTES};
use crate::crypto::self_signed::PUBLIC_POINT_BYTES;
use crate::crypto::sha256;

/// What a platform says of a key, for a certificate.
#[derive(Debug, PartialEq, Eq)]
pub struct Evidence {
    /// The type of the extension.
    pub oid: &'static str,
    /// Its value.
    pub quote: Vec<u8>,
    /// Whose quote it is.
    pub provider: Provider,
}

/// Has the platform vouch for this public key. An error is one line.
pub fn evidence(quoter: &dyn Quoter, public_point: &[u8; PUBLIC_POINT_BYTES]) -> Result<Evidence, String> {
    let provider = quoter.provider()?;
    let (oid, report_data_at) = match &provider {
        // Behind the header, 48 bytes, the 320th of the report body (Intel's "ECDSA Quote Library API", appendix A.4).
        Provider::Sgx => ("1.2.840.113741.1337.6", 48 + 320),
        // ATTESTATION_REPORT in AMD's 56860.
        Provider::SevSnp => ("1.2.840.113741.1337.7", 0x50),
        Provider::Other(name) => return Err(format!("RA-TLS has no extension for quotes of {name:?}")),
    };
    let mut report_data = [0; REPORT_DATA_BYTES];
    report_data[..32].copy_from_slice(&sha256(public_point));
    let quote = quoter.quote(&report_data)?;
    if !quote.get(report_data_at..).is_some_and(|rest| rest.starts_with(&report_data)) {
        return Err(format!(
            "the quote of {provider}, {} bytes, is not over what was asked for",
            quote.len()
        ));
    }
    Ok(Evidence { oid, quote, provider })
}
