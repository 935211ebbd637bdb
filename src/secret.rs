//! Secret bytes: overwritten when dropped, never printed, compared in constant time.
#![forbid(unsafe_code)]

use std::fmt;
use std::ops::{Deref, DerefMut};
use zeroize::Zeroize;

/// Key material, a password, a token. No `Debug`, `Display`, `Clone` or `==`: whoever needs the bytes says so with
/// [`Secret::expose`], which is easy to search for.
pub struct Secret(Buffer);

impl Secret {
    /// Takes the bytes over; they are overwritten when the secret is dropped.
    pub fn new(bytes: Vec<u8>) -> Secret {
        Secret(Buffer::new(bytes))
    }

    /// A copy of `bytes`.
    pub fn copy_of(bytes: &[u8]) -> Secret {
        Secret::new(bytes.to_vec())
    }

    /// The bytes themselves.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// The bytes as text, where they are UTF-8 (passwords).
    pub fn expose_str(&self) -> Option<&str> {
        std::str::from_utf8(&self.0).ok()
    }

    /// Equality in time that depends on the lengths only.
    pub fn matches(&self, other: &[u8]) -> bool {
        self.0.len() == other.len() && openssl::memcmp::eq(&self.0, other)
    }
}

impl From<Buffer> for Secret {
    fn from(bytes: Buffer) -> Secret {
        Secret(bytes)
    }
}

/// Bytes that may hold secrets: overwritten when dropped, spare room and all. Unlike [`Zeroizing`](zeroize::Zeroizing), many
/// bytes at a time: every request and its answer pass through some.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Buffer(Vec<u8>);

impl Buffer {
    /// Takes the bytes over.
    pub const fn new(bytes: Vec<u8>) -> Buffer {
        Buffer(bytes)
    }

    /// Appends bytes; where the buffer must grow, the old copy is overwritten.
    pub fn append(&mut self, bytes: &[u8]) {
        self.make_room(bytes.len());
        self.extend_from_slice(bytes);
    }

    /// Makes room for `additional` bytes; where the buffer must move, the old copy is overwritten.
    pub fn make_room(&mut self, additional: usize) {
        if self.capacity() - self.len() < additional {
            let capacity = (self.len() + additional).max(self.capacity().saturating_mul(2));
            let mut larger = Vec::with_capacity(capacity);
            larger.extend_from_slice(self);
            *self = Buffer(larger);
        }
    }

    /// Overwrites what is in it and empties it; a large one gives its memory back.
    pub fn wipe(&mut self) {
        const KEPT_BYTES_MAX: usize = 256 * 1024;
        if self.capacity() > KEPT_BYTES_MAX {
            *self = Buffer::default();
        } else {
            overwrite(&mut self.0);
            self.clear();
        }
    }
}

fn overwrite(bytes: &mut [u8]) {
    bytes.fill(0);
    // The compiler must not know that nobody reads this.
    zeroize::optimization_barrier(bytes);
}

impl fmt::Debug for Buffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Buffer of {} bytes", self.len())
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        self.0.clear();
        self.0.resize(self.0.capacity(), 0);
        overwrite(&mut self.0);
    }
}

impl Deref for Buffer {
    type Target = Vec<u8>;
    fn deref(&self) -> &Vec<u8> {
        &self.0
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut Vec<u8> {
        &mut self.0
    }
}

impl From<Vec<u8>> for Buffer {
    fn from(bytes: Vec<u8>) -> Buffer {
        Buffer(bytes)
    }
}

/// Overwrites text that held a secret before it was parsed.
pub fn wipe(mut text: String) {
    text.zeroize();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_compare_by_content_and_length() {
        let secret = Secret::copy_of(b"correct horse");
        assert!(secret.matches(b"correct horse"));
        assert!(!secret.matches(b"correct horsf"));
        assert!(!secret.matches(b"correct"));
    }
}
