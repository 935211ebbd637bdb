//! Fetching the keys of issuers of tokens (JWKS).
#![forbid(unsafe_code)]

use super::roots;
use crate::auth::Source;
use crate::auth::key_set::KeySet;
use crate::limits;
use std::io::Read;

/// The set of keys at this place. The error is one line for the operator.
///
/// Nothing else is asked instead (no redirection is followed), and what is longer than a set may be is not read to its end.
pub fn fetch(source: &Source) -> Result<KeySet, String> {
    let Source { url, ca_root } = source;
    let told = |reason: String| format!("{url}: {reason}");
    let _trust = match url.starts_with("https:") {
        true => Some(roots::trust(ca_root.as_deref(), limits::KEY_SET_FETCH_TIMEOUT)?),
        false => None,
    };
    let request =
        ureq::get(url).config().timeout_global(Some(limits::KEY_SET_FETCH_TIMEOUT)).max_redirects(0).build();
    let mut answer = request.call().map_err(|error| told(error.to_string()))?;
    if answer.status() != 200 {
        return Err(told(format!("the answer has status {}", answer.status().as_u16())));
    }
    let mut body = Vec::new();
    let read = answer.body_mut().as_reader().take(limits::KEY_SET_BYTES_MAX + 1).read_to_end(&mut body);
    read.map_err(|error| told(error.to_string()))?;
    if body.len() as u64 > limits::KEY_SET_BYTES_MAX {
        return Err(told(format!("the answer has more than {} bytes", limits::KEY_SET_BYTES_MAX)));
    }
    KeySet::of_json(&mut body).map_err(told)
}
