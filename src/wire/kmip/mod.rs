//! The names of KMIP 2.1: tags, enumerations, and the two JSON dialects in which clients spell them.
#![forbid(unsafe_code)]

pub mod dialect;
pub mod enumeration;
pub mod message;
mod names;
pub mod tag;
