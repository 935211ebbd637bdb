//! Nonces and tags: bytes too few to be worth a place of their own in memory.
#![forbid(unsafe_code)]

use std::ops::Deref;

/// Up to 16 bytes, none of them secret.
#[derive(Clone, Copy)]
pub struct Short {
    bytes: [u8; Short::BYTES_MAX],
    length: usize,
}

impl Short {
    /// The most that it holds.
    pub const BYTES_MAX: usize = 16;

    /// The first so many of these bytes.
    ///
    /// # Panics
    ///
    /// If they are more than there are.
    pub fn beginning(bytes: [u8; Short::BYTES_MAX], length: usize) -> Short {
        assert!(length <= Short::BYTES_MAX, "{length} bytes are not short");
        Short { bytes, length }
    }
}

impl Deref for Short {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}
