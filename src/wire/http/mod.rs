//! HTTP/1.1 as a server speaks it (RFC 9110, RFC 9112): request heads, body framing, response heads.
//!
//! Nothing here does I/O or keeps a connection. The caller owns one buffer for what arrives and one for what leaves:
//!
//! ```text
//! received bytes -> head::parse(&mut Scanner, ..) -> Head + its length
//!                -> body::Decoder::decode(..)     -> the body, in a Vec of the caller
//! response::start(&ResponseHead, ..) -> the caller appends the body -> LengthPatch::finish(..)
//! ```
//!
//! Two promises, both checked by `fuzz`: what follows from a sequence of bytes does not depend on the pieces in which
//! they arrive, and every byte is looked at a constant number of times, whatever the pieces.
//!
//! Whatever two implementations might read differently is refused rather than repaired: a proxy in front of this server
//! and the server never disagree on where a request ends (RFC 9112 section 11.2).
#![forbid(unsafe_code)]

pub mod body;
#[cfg(any(test, feature = "testing"))]
mod fuzz;
pub mod head;
pub mod response;
pub mod scanner;
pub mod target;
#[cfg(test)]
mod tests;

#[cfg(any(test, feature = "testing"))]
pub use fuzz::fuzz;

/// Why the bytes of a peer are not a request. It is answered with [`response::refuse`] and the connection is closed: where
/// the next request would begin is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The status code: 400, 413, 414, 417, 431, 501 or 505.
    pub status: u16,
    /// One sentence for the peer, without anything that the peer has sent.
    pub reason: &'static str,
}

impl Refusal {
    const fn new(status: u16, reason: &'static str) -> Refusal {
        Refusal { status, reason }
    }

    const fn bad_request(reason: &'static str) -> Refusal {
        Refusal::new(400, reason)
    }
}

/// The body is longer than `Limits::body_bytes_max`, by its `Content-Length` or by the sum of its chunks.
pub const BODY_TOO_LARGE: Refusal = Refusal::new(413, "The request body is larger than this server accepts.");

/// The protocol version of a request. Responses are always HTTP/1.1 (RFC 9110 section 2.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Version {
    /// HTTP/1.0: no chunks, no persistent connection unless asked for.
    Http10,
    /// HTTP/1.1.
    #[default]
    Http11,
}

/// How the end of a request body is found (RFC 9112 section 6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// There is no body.
    None,
    /// `Content-Length`: so many bytes, at most `Limits::body_bytes_max`.
    Length(u64),
    /// `Transfer-Encoding: chunked`.
    Chunked,
}

/// Whether `byte` may stand in a token: a method, a field name, a coding (RFC 9110 section 5.6.2).
fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}
