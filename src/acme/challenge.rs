//! Challenges (RFC 8555 section 8, RFC 8737), and the table that answers them while an order is under way.
#![forbid(unsafe_code)]

use crate::secret::Secret;

/// Where the path of an http-01 challenge begins (RFC 8555 section 8.3).
pub const HTTP_PATH: &str = "/.well-known/acme-challenge/";

/// The application protocol of a tls-alpn-01 validation (RFC 8737 section 6.2).
pub const ALPN_PROTOCOL: &[u8] = b"acme-tls/1";

/// A way to prove control of a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A certificate with a particular extension, on port 443.
    TlsAlpn01,
    /// A file, on port 80.
    Http01,
}

impl Kind {
    /// The name that the protocol has for it.
    pub fn name(self) -> &'static str {
        match self {
            Kind::TlsAlpn01 => "tls-alpn-01",
            Kind::Http01 => "http-01",
        }
    }

    /// The kind with this name.
    pub fn named(name: &str) -> Option<Kind> {
        [Kind::TlsAlpn01, Kind::Http01].into_iter().find(|kind| kind.name() == name)
    }
}

/// What the certification authority must find.
pub enum Challenge {
    /// Under a path of the name's port 80.
    Http01(HttpChallenge),
    /// In a handshake on the name's port 443.
    TlsAlpn01(AlpnChallenge),
}

/// A file for http-01.
pub struct HttpChallenge {
    /// The last segment of its path: base64url.
    pub token: String,
    /// Its content.
    pub key_authorization: String,
}

/// A certificate for tls-alpn-01.
pub struct AlpnChallenge {
    /// The name that is validated.
    pub name: String,
    /// The certificate, in DER.
    pub certificate: Vec<u8>,
    /// Its key, PKCS #8.
    pub private_key: Secret,
}

/// The files of the order that is under way.
#[derive(Default)]
pub struct HttpTable(Vec<HttpChallenge>);

impl HttpTable {
    /// A table of these files.
    pub fn new(challenges: Vec<HttpChallenge>) -> HttpTable {
        HttpTable(challenges)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The content of the file at this path of the URL.
    pub fn find(&self, path: &str) -> Option<&str> {
        let token = path.strip_prefix(HTTP_PATH)?;
        self.0.iter().find(|file| file.token == token).map(|file| file.key_authorization.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_files_of_the_order_are_found() {
        let file = HttpChallenge { token: "abc".into(), key_authorization: "abc.thumb".into() };
        let table = HttpTable::new(vec![file]);
        assert_eq!(table.find("/.well-known/acme-challenge/abc"), Some("abc.thumb"));
        for path in ["/.well-known/acme-challenge/", "/.well-known/acme-challenge/abcd", "/abc", "abc", ""] {
            assert_eq!(table.find(path), None, "{path}");
        }
        assert_eq!(HttpTable::default().find("/.well-known/acme-challenge/abc"), None);
    }

    #[test]
    fn kinds_are_named() {
        assert_eq!(Kind::named("tls-alpn-01"), Some(Kind::TlsAlpn01));
        assert_eq!(Kind::named("http-01"), Some(Kind::Http01));
        assert_eq!(Kind::named("dns-01"), None);
    }
}
