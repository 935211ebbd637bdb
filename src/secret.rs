//! Secret bytes: overwritten when dropped, never printed, compared in constant time.
#![forbid(unsafe_code)]

use zeroize::{Zeroize, Zeroizing};

/// Key material, a password, a token. No `Debug`, `Display`, `Clone` or `==`: whoever needs the bytes says so with
/// [`Secret::expose`], which is easy to search for.
pub struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    /// Takes the bytes over; they are overwritten when the secret is dropped.
    pub fn new(bytes: Vec<u8>) -> Secret {
        Secret(Zeroizing::new(bytes))
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

/// Appends to a buffer of secrets; where it must grow, the old copy is overwritten.
pub fn append(buffer: &mut Zeroizing<Vec<u8>>, bytes: &[u8]) {
    reserve(buffer, bytes.len());
    buffer.extend_from_slice(bytes);
}

/// Makes room for `additional` bytes in a buffer of secrets; where it must move, the old copy is overwritten.
pub fn reserve(buffer: &mut Zeroizing<Vec<u8>>, additional: usize) {
    if buffer.capacity() - buffer.len() < additional {
        let capacity = (buffer.len() + additional).max(buffer.capacity().saturating_mul(2));
        let mut larger = Vec::with_capacity(capacity);
        larger.extend_from_slice(buffer);
        *buffer = Zeroizing::new(larger);
    }
}

/// Overwrites what is in a buffer of secrets and empties it; a large one gives its memory back.
pub fn clear(buffer: &mut Zeroizing<Vec<u8>>) {
    const KEPT_BYTES_MAX: usize = 256 * 1024;
    if buffer.capacity() > KEPT_BYTES_MAX {
        *buffer = Zeroizing::default();
    } else {
        buffer.as_mut_slice().zeroize();
        buffer.clear();
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
