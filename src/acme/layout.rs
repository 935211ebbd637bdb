//! What is kept in the folder of the certificates bot.
//!
//! | file | content |
//! |---|---|
//! | `account.key` | the account's key (RFC 8555 section 7.3), PEM |
//! | `certificate.pem` | three lines about the order, the certificate's key, the certificate and its chain, PEM |
//! | `history` | past orders, see [`super::history`] |
//!
//! Key, chain and what is known of them are one file, so that one rename replaces them all or none of them.
//!
//! The server that this one replaces left three files behind, which are read where ours are not there: the names begin
//! with a number made of the e-mail address.
#![forbid(unsafe_code)]

use super::challenge::Kind;
use crate::secret::Buffer;
use std::hash::{DefaultHasher, Hash, Hasher};

/// The account's key.
pub const ACCOUNT: &str = "account.key";
/// The certificate, its key and the facts about them.
pub const CERTIFICATE: &str = "certificate.pem";
/// Past orders.
pub const HISTORY: &str = "history";

const TITLE: &str = "Certificate of the certificates bot, version 1";
const DIRECTORY: &str = "Directory: ";
const CHALLENGE: &str = "Challenge: ";

/// What is known of a certificate beside itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// The directory of the authority that issued it.
    pub directory_url: String,
    /// The challenge that worked, where one was needed.
    pub challenge: Option<Kind>,
}

/// The content of [`CERTIFICATE`].
pub fn encode(facts: &Facts, private_key_pem: &[u8], chain_pem: &[u8]) -> Buffer {
    let challenge = facts.challenge.map_or("none", Kind::name);
    let head = format!("{TITLE}\n{DIRECTORY}{}\n{CHALLENGE}{challenge}\n", facts.directory_url);
    let mut content = Buffer::new(Vec::with_capacity(head.len() + private_key_pem.len() + chain_pem.len()));
    content.extend_from_slice(head.as_bytes());
    content.extend_from_slice(private_key_pem);
    content.extend_from_slice(chain_pem);
    content
}

/// The facts in [`CERTIFICATE`]; `None` where it is no file of ours. The rest of it is PEM, which skips the facts.
pub fn decode(content: &[u8]) -> Option<Facts> {
    let pem = content.windows(11).position(|bytes| bytes == b"-----BEGIN ")?;
    let head = std::str::from_utf8(&content[..pem]).ok()?;
    let mut lines = head.lines();
    (lines.next()? == TITLE).then_some(())?;
    let directory_url = lines.next()?.strip_prefix(DIRECTORY)?.to_owned();
    let challenge = Kind::named(lines.next()?.strip_prefix(CHALLENGE)?);
    Some(Facts { directory_url, challenge })
}

/// The files of the server before, for one name and one e-mail address.
pub struct OldFiles {
    /// The account's key.
    pub account: String,
    /// The certificate's key.
    pub private_key: String,
    /// The certificate and its chain, leaf first.
    pub chain: String,
}

/// Where the server before kept what belongs to this name.
pub fn old_files(email: &str, name: &str) -> OldFiles {
    // SipHash-1-3 with a key of zeros over the text and a byte 0xFF, as std hashes a str.
    let mut hasher = DefaultHasher::new();
    email.hash(&mut hasher);
    let (realm, host) = (hasher.finish(), name.replace('.', "_").replace('*', "STAR"));
    OldFiles {
        account: format!("{realm}_key_acme_account.key"),
        private_key: format!("{realm}_key_{host}.key"),
        chain: format!("{realm}_crt_{host}.crt"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_survive_and_the_rest_is_pem() {
        let facts = Facts { directory_url: "https://ca/dir".into(), challenge: Some(Kind::Http01) };
        let content = encode(&facts, b"-----BEGIN PRIVATE KEY-----\n", b"-----BEGIN CERTIFICATE-----\n");
        assert_eq!(
            String::from_utf8_lossy(&content),
            "Certificate of the certificates bot, version 1\nDirectory: https://ca/dir\nChallenge: http-01\n\
             -----BEGIN PRIVATE KEY-----\n-----BEGIN CERTIFICATE-----\n"
        );
        assert_eq!(decode(&content), Some(facts.clone()));
        let without = Facts { challenge: None, ..facts };
        assert_eq!(decode(&encode(&without, b"-----BEGIN X", b"")), Some(without));
        for other in [&b""[..], b"-----BEGIN X", b"Other\nDirectory: x\nChallenge: none\n-----BEGIN X"] {
            assert_eq!(decode(other), None);
        }
    }

    #[test]
    fn the_names_of_the_server_before_are_known() {
        let files = old_files("admin@example.com", "kms.example.com");
        assert_eq!(files.chain, "8932965560315631360_crt_kms_example_com.crt");
        assert_eq!(files.private_key, "8932965560315631360_key_kms_example_com.key");
        assert_eq!(files.account, "8932965560315631360_key_acme_account.key");
        let files = old_files("toto@company.com", "*.company.com");
        assert_eq!(files.chain, "13446142613665195409_crt_STAR_company_com.crt");
    }
}
