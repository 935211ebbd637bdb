//! KMIP's tags (KMIP 2.1 section 11.56).
#![forbid(unsafe_code)]

/// A tag by its code, known or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Tag(pub u32);
