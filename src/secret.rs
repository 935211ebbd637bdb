//! Secret bytes: never printed, compared in constant time, and overwritten, as all memory is (`shell::allocator`).
#![forbid(unsafe_code)]

use std::fmt;
use std::hint::black_box;
use std::ops::{Deref, DerefMut};

/// Runs `make`, whose result is on the heap, and overwrites what it leaves on the stack: on its way to the heap, a secret that
/// a library makes is moved from one place there to the next.
pub fn off_the_stack<T>(make: impl FnOnce() -> T) -> T {
    /// More than what is called here uses.
    const STACK_BYTES: usize = 16 * 1024;
    #[inline(never)]
    fn below<T>(make: impl FnOnce() -> T) -> T {
        make()
    }
    #[inline(never)]
    fn overwrite() {
        // The compiler must know neither what this is, or it would be a constant elsewhere, nor that nobody reads it.
        zeroize::optimization_barrier(&[black_box(0_u8); STACK_BYTES]);
    }
    let made = below(make);
    overwrite();
    made
}

/// Key material, a password, a token. No `Debug`, `Display`, `Clone` or `==`: whoever needs the bytes says so with
/// [`Secret::expose`], which is easy to search for.
pub struct Secret(Buffer);

impl Secret {
    /// Takes the bytes over; they are overwritten with the secret.
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

/// Bytes that may hold secrets: never printed, and used again only after they were overwritten. Every request and its answer
/// pass through some.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Buffer(Vec<u8>);

impl Buffer {
    /// Takes the bytes over.
    pub const fn new(bytes: Vec<u8>) -> Buffer {
        Buffer(bytes)
    }

    /// Overwrites what is in it and empties it; a large one gives its memory back.
    pub fn wipe(&mut self) {
        const KEPT_BYTES_MAX: usize = 256 * 1024;
        if self.capacity() > KEPT_BYTES_MAX {
            *self = Buffer::default();
        } else {
            self.0.fill(0);
            // The compiler must not know that nobody reads this.
            zeroize::optimization_barrier(&self.0);
            self.clear();
        }
    }
}

impl fmt::Debug for Buffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Buffer of {} bytes", self.len())
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
