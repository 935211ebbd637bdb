//! What travels: HTTP/1.1, JSON, TTLV and the names of KMIP. Total functions over bytes.
#![forbid(unsafe_code)]

pub mod access;
pub mod base64url;
pub mod database_secret;
pub mod hex;
pub mod http;
pub mod jose;
pub mod json;
pub mod kmip;
pub mod listing;
pub mod multipart;
pub mod ttlv;
