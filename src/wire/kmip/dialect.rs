//! The two JSON dialects of TTLV that clients speak, and the one canonical tree behind them.
#![forbid(unsafe_code)]

use crate::wire::ttlv::Item;

/// How a client spells KMIP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// 4.9.1: every structure has a type, arrays are wrapped, objects stand under `Object`.
    V4,
    /// 5.x: structures have no type, arrays are repeated siblings, objects stand under the name of their type.
    V5,
}

/// One decoded document.
#[derive(Clone, Debug, PartialEq)]
pub struct Request<'a> {
    /// How it was spelled, and how its answer should be.
    pub dialect: Dialect,
    /// The tag of the root as it was written: the name of an operation, or of a message.
    pub root: &'a str,
    /// The children of the root, in canonical form.
    pub fields: Vec<Item<'a>>,
}

/// Why a body is not a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DecodeError {
    /// Not JSON: it may be a compact JWE. The text is that of the JSON parser. A body whose first character cannot
    /// begin a document is left as it was.
    NotJson(String),
    /// JSON, but not TTLV.
    NotTtlv {
        /// The dialect as far as it could be told.
        dialect: Dialect,
        /// What is wrong, for the client's eyes.
        reason: String,
    },
}

/// Reads one document of either dialect. Strings are unescaped and byte strings decoded in place: the tree borrows from
/// `body`.
pub fn decode(_body: &mut [u8]) -> Result<Request<'_>, DecodeError> {
    unreachable!("soon")
}

/// Appends the canonical tree, spelled in `dialect`, to `out`. `root` is the name of the document: `GetResponse`.
pub fn encode(_dialect: Dialect, _root: &str, _fields: &[Item<'_>], _out: &mut Vec<u8>) {
    unreachable!("soon")
}
/// The tag of the root without reading further.
pub fn root(_body: &[u8]) -> Option<&str> { None }
