//! Randomness as a capability: the shell gives the operating system's, the simulator a seeded one.
#![forbid(unsafe_code)]

/// A source of unpredictable bytes, fit for keys and nonces.
pub trait Entropy: Send {
    /// Fills `bytes`. A source that cannot is no source: the shell's ends the process rather than return.
    fn fill(&mut self, bytes: &mut [u8]);
}

/// An array of `N` fresh bytes.
pub fn random<const N: usize>(entropy: &mut dyn Entropy) -> [u8; N] {
    let mut bytes = [0; N];
    entropy.fill(&mut bytes);
    bytes
}

/// A version 4 UUID in its text form (RFC 9562 section 5.4).
pub fn uuid_v4(entropy: &mut dyn Entropy) -> String {
    let mut bytes = random::<16>(entropy);
    bytes[6] = (bytes[6] & 0x0F) | 0x40;
    bytes[8] = (bytes[8] & 0x3F) | 0x80;
    let mut text = String::with_capacity(36);
    for (i, byte) in bytes.iter().enumerate() {
        if matches!(i, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        for nibble in [byte >> 4, byte & 0x0F] {
            text.push(char::from(b"0123456789abcdef"[usize::from(nibble)]));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fixed(u8);
    impl Entropy for Fixed {
        fn fill(&mut self, bytes: &mut [u8]) {
            bytes.fill(self.0);
        }
    }

    #[test]
    fn a_uuid_carries_its_version_and_variant() {
        assert_eq!(uuid_v4(&mut Fixed(0xFF)), "ffffffff-ffff-4fff-bfff-ffffffffffff");
        assert_eq!(uuid_v4(&mut Fixed(0x00)), "00000000-0000-4000-8000-000000000000");
    }
}
