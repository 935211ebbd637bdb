//! Who a client is, by the certificate that it shows.
#![forbid(unsafe_code)]

use crate::crypto::x509;
use crate::kms::policy::{EVERYBODY, Principal};
use crate::limits;

/// What of a certificate is the user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientIdentity {
    /// The first common name of its subject, as the old server had it.
    CommonName,
    /// The first e-mail address among its alternative names (RFC 5280 section 4.2.1.6).
    SanEmail,
    /// The first URI among them, such as a SPIFFE ID.
    SanUri,
    /// The SHA-256 of the certificate, in lower-case hexadecimal.
    Fingerprint,
}

impl ClientIdentity {
    /// All of them, with their names on the command line.
    pub const ALL: [(&'static str, ClientIdentity); 4] = [
        ("cn", ClientIdentity::CommonName),
        ("san-email", ClientIdentity::SanEmail),
        ("san-uri", ClientIdentity::SanUri),
        ("fingerprint", ClientIdentity::Fingerprint),
    ];

    /// What it is called when a certificate lacks it.
    pub fn noun(self) -> &'static str {
        match self {
            ClientIdentity::CommonName => "common name",
            ClientIdentity::SanEmail => "e-mail address among its alternative names",
            ClientIdentity::SanUri => "URI among its alternative names",
            ClientIdentity::Fingerprint => "fingerprint",
        }
    }

    /// The user that a certificate (DER) is for; `None` where it says nothing that can be a user.
    pub fn user_of(self, certificate: &[u8]) -> Option<Principal> {
        let name = match self {
            ClientIdentity::CommonName => x509::subject_common_name(certificate),
            ClientIdentity::SanEmail => x509::alternative_email(certificate),
            ClientIdentity::SanUri => x509::alternative_uri(certificate),
            ClientIdentity::Fingerprint => Some(x509::fingerprint(certificate)),
        }?;
        let is_user = (1..=limits::NAME_BYTES_MAX).contains(&name.len())
            && name != EVERYBODY
            && !name.contains(char::is_control);
        is_user.then_some(Principal(name))
    }
}
