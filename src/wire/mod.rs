//! What travels: HTTP/1.1, JSON, TTLV and the names of KMIP. Total functions over bytes.

pub mod access;
pub mod http;
pub mod json;
pub mod kmip;
pub mod listing;
pub mod ttlv;
