//! JOSE: tokens that say who asks (JWT, RFC 7519, in a JWS, RFC 7515), keys (JWK, RFC 7517), and encrypted requests (JWE,
//! RFC 7516), all in their compact forms. What is read here is not verified yet: see [`crate::crypto::jws`] and
//! [`crate::crypto::jwe`].
#![forbid(unsafe_code)]

pub mod encrypted;
pub mod keys;
pub mod token;

use super::json::{Error, Lexer};

/// Parts of a compact form, which stand between dots; `None` where there is another number of them.
fn parts<const N: usize>(text: &[u8]) -> Option<[&[u8]; N]> {
    // One more than there should be: what follows it need not be looked at.
    let parts: Vec<&[u8]> = text.splitn(N + 1, |byte| *byte == b'.').collect();
    parts.try_into().ok()
}

/// Puts a string where there is none yet: names are there once (RFC 7515 section 4).
fn text_once(place: &mut Option<String>, lexer: &mut Lexer<'_>) -> Result<(), Error> {
    let text = lexer.string()?.to_owned();
    match place.replace(text) {
        None => Ok(()),
        Some(_) => Err(lexer.data("a member is repeated")),
    }
}

/// The body of a fuzz target. What is read of a token or of an encrypted request is all of it: written again, it is the
/// same text. A set of keys is read whatever its bytes.
#[cfg(any(test, feature = "testing"))]
pub fn fuzz(data: &[u8]) {
    use super::base64url;
    if let Ok(token) = token::parse(data) {
        assert!(data.starts_with(token.signed) && data[token.signed.len()] == b'.');
        assert_eq!(data[token.signed.len() + 1..], *base64url::encode(&token.signature).as_bytes());
    }
    let mut body = data.to_vec();
    if let Some(request) = encrypted::parse(&mut body) {
        let length = data.iter().rposition(|byte| *byte == b'.').expect("it has parts");
        assert_eq!(data[length + 1..], *base64url::encode(&request.tag).as_bytes());
        assert!(data.starts_with(&request.protected) && data[request.protected.len()..].starts_with(b".."));
        let ciphertext = base64url::encode(request.ciphertext);
        assert!(data[..length].ends_with(ciphertext.as_bytes()));
    }
    let mut body = data.to_vec();
    if let Ok(keys) = keys::set(&mut body) {
        assert!(keys.len() <= crate::limits::KEY_SET_KEYS_MAX);
    }
    let mut body = data.to_vec();
    let _ = keys::private(&mut body);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the texts are made of.
    const SIGNS: &[u8] = b"{}[]\",:.\\A-_=ey9";

    #[test]
    fn no_bytes_are_too_strange() {
        let mut state = 1_u32;
        let mut random = move || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 16) as u16
        };
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz/corpus/jose");
        let inputs: Vec<Vec<u8>> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| std::fs::read(entry.unwrap().path()).unwrap())
            .collect();
        for round in 0..20_000 {
            let mut data = inputs[round % inputs.len()].clone();
            for _ in 0..=random() % 4 {
                let at = usize::from(random()) % data.len();
                data[at] = [random() as u8, SIGNS[usize::from(random()) % SIGNS.len()]][round / 3 % 2];
            }
            data.truncate(data.len().min(usize::from(random()) % 2048));
            fuzz(&data);
        }
    }
}
