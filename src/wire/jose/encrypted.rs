//! Encrypted requests (JWE) whose content key is agreed on directly: header, an empty part, nonce, ciphertext, tag.
#![forbid(unsafe_code)]

use super::super::base64url;
use super::super::json::{Error, Lexer};
use super::keys::{self, EphemeralKey};
use super::{parts, text_once};
use crate::limits;

/// An encrypted request as it was read.
pub struct EncryptedRequest<'b> {
    /// What the header says.
    pub header: Header,
    /// The header as it travelled, which is bound to the ciphertext.
    pub protected: Vec<u8>,
    /// The nonce.
    pub nonce: [u8; 12],
    /// The ciphertext, which lies in the body: it is decrypted where it stands.
    pub ciphertext: &'b mut [u8],
    /// The authentication tag.
    pub tag: [u8; 16],
}

/// The header (RFC 7516 section 4.1, RFC 7518 section 4.6.1).
#[derive(Debug, PartialEq, Eq)]
pub struct Header {
    /// `alg`.
    pub algorithm: String,
    /// `enc`.
    pub encryption: String,
    /// `kid`.
    pub key_id: String,
    /// `epk`.
    pub ephemeral: EphemeralKey,
    /// `apu`; empty where it is not there.
    pub producer: Vec<u8>,
    /// `apv`, likewise.
    pub recipient: Vec<u8>,
}

/// Whether a body that should be a JSON document begins like the compact form: with base64url, which no document of TTLV
/// begins with.
pub fn is_compact(body: &[u8]) -> bool {
    body.first().is_some_and(u8::is_ascii_alphanumeric)
}

/// Reads a request in the compact form; `None` for anything else. The body is then undefined.
pub fn parse(body: &mut [u8]) -> Option<EncryptedRequest<'_>> {
    let [protected, encrypted_key, nonce, ciphertext, tag] = parts(body)?;
    if !encrypted_key.is_empty() || protected.len() > limits::JWE_HEADER_BYTES_MAX {
        return None;
    }
    let start = protected.len() + 1 + encrypted_key.len() + 1 + nonce.len() + 1;
    let end = start + ciphertext.len();
    let mut header = base64url::decode(protected)?;
    let header = read_header(&mut Lexer::new(&mut header)).ok()??;
    let protected = protected.to_vec();
    let nonce = base64url::decode(nonce)?.try_into().ok()?;
    let tag = base64url::decode(tag)?.try_into().ok()?;
    let ciphertext = base64url::decode_in_place(&mut body[start..end])?;
    Some(EncryptedRequest { header, protected, nonce, ciphertext, tag })
}

/// `None` where something is missing, or must be understood that is not (`crit`, `zip`).
fn read_header(lexer: &mut Lexer<'_>) -> Result<Option<Header>, Error> {
    let (mut algorithm, mut encryption, mut key_id) = (None, None, None);
    let (mut producer, mut recipient, mut ephemeral) = (None, None, None);
    let mut is_understood = true;
    lexer.open_object()?;
    while let Some(name) = lexer.member()? {
        match name {
            "alg" => text_once(&mut algorithm, lexer)?,
            "enc" => text_once(&mut encryption, lexer)?,
            "kid" => text_once(&mut key_id, lexer)?,
            "apu" => text_once(&mut producer, lexer)?,
            "apv" => text_once(&mut recipient, lexer)?,
            "epk" if ephemeral.is_none() => ephemeral = Some(keys::ephemeral(lexer)?),
            "epk" => return Err(lexer.data("a member is repeated")),
            name => {
                is_understood &= name != "crit" && name != "zip";
                lexer.skip()?;
            }
        }
    }
    lexer.end()?;
    let decode = |text: Option<String>| match text {
        None => Some(Vec::new()),
        Some(text) => base64url::decode(text.as_bytes()),
    };
    let all = || {
        Some(Header {
            algorithm: algorithm?,
            encryption: encryption?,
            key_id: key_id?,
            ephemeral: ephemeral?,
            producer: decode(producer)?,
            recipient: decode(recipient)?,
        })
    };
    Ok(all().filter(|_| is_understood))
}
