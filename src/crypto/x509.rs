//! stub
#![allow(missing_docs, unused)]
use crate::secret::Secret;
use crate::time::Timestamp;
pub struct Identity {
    pub chain: Vec<Vec<u8>>,
    pub private_key: Secret,
    pub not_after: Timestamp,
}
impl Identity {
    pub fn summary(&self) -> String {
        String::new()
    }
}
pub fn identity(b: super::pkcs12::Bundle, n: Timestamp) -> Result<Identity, String> {
    Err(String::new())
}
