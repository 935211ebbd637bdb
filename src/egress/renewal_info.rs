//! Asking for renewal information (RFC 9773), which acme-micro cannot.
#![forbid(unsafe_code)]

use crate::acme::renewal_info::{self, Window};
use crate::crypto::x509;
use std::io::Read;
use std::time::Duration;

/// Of one request and its answer.
const TIMEOUT: Duration = Duration::from_secs(20);
/// Bytes of an answer.
const ANSWER_BYTES_MAX: u64 = 64 * 1024;

/// The window for this certificate (DER); `None` where the authority has no renewal information.
pub fn ask(directory_url: &str, certificate: &[u8]) -> Result<Option<Window>, String> {
    let Some((issuer, serial)) = x509::issuer_and_serial(certificate) else { return Ok(None) };
    let Some(url) = renewal_info::url_in_directory(&mut get(directory_url)?) else { return Ok(None) };
    let url = format!("{}/{}", url.trim_end_matches('/'), renewal_info::certificate_id(&issuer, &serial));
    let mut answer = get(&url)?;
    renewal_info::parse(&mut answer).map(Some).ok_or_else(|| "the renewal information cannot be read".into())
}

fn get(url: &str) -> Result<Vec<u8>, String> {
    let request = ureq::get(url).config().timeout_global(Some(TIMEOUT)).max_redirects(3).build();
    let mut answer = request.call().map_err(|error| format!("{url}: {error}"))?;
    let mut body = Vec::new();
    let read = answer.body_mut().as_reader().take(ANSWER_BYTES_MAX).read_to_end(&mut body);
    read.map_err(|error| format!("{url}: {error}"))?;
    Ok(body)
}
