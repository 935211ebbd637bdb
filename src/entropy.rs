//! Randomness as a capability: the shell gives the operating system's, the simulator a seeded one.
#![forbid(unsafe_code)]

use zeroize::{Zeroize, Zeroizing};

/// A source of unpredictable bytes, fit for keys and nonces.
pub trait Entropy: Send {
    /// Fills `bytes`. A source that cannot is no source: the shell's ends the process rather than return.
    fn fill(&mut self, bytes: &mut [u8]);

    /// What an identifier begins with.
    fn beginning(&mut self) -> [u8; BEGINNING_BYTES] {
        let mut beginning = [0; BEGINNING_BYTES];
        self.fill(&mut beginning);
        beginning
    }
}

const BEGINNING_BYTES: usize = 6;

/// Fresh bytes for one batch, or for requests that are committed together, fetched many at a time: a system call for each
/// nonce costs more than what is done with it. It must not outlive them: what is kept in memory is there twice when a
/// virtual machine is resumed twice.
///
/// The identifiers that are made of it begin alike, so that they lie together in a database. Otherwise a page would be read,
/// copied and written for each, which takes as long as all the rest of a new object. The 74 bits that are left tell them
/// apart.
pub struct Stock<'e> {
    source: &'e mut dyn Entropy,
    bytes: Zeroizing<[u8; STOCK_BYTES]>,
    /// The last ones, which nobody was given yet.
    left: usize,
    /// Of all identifiers, once there is one.
    beginning: Option<[u8; BEGINNING_BYTES]>,
}

const STOCK_BYTES: usize = 512;

impl<'e> Stock<'e> {
    /// An empty stock, filled from `source`.
    pub fn of(source: &'e mut dyn Entropy) -> Stock<'e> {
        Stock { source, bytes: Zeroizing::new([0; STOCK_BYTES]), left: 0, beginning: None }
    }
}

impl Entropy for Stock<'_> {
    fn fill(&mut self, bytes: &mut [u8]) {
        if bytes.len() > STOCK_BYTES / 4 {
            return self.source.fill(bytes);
        }
        if bytes.len() > self.left {
            self.source.fill(&mut *self.bytes);
            self.left = STOCK_BYTES;
        }
        let given = &mut self.bytes[STOCK_BYTES - self.left..][..bytes.len()];
        bytes.copy_from_slice(given);
        given.zeroize();
        self.left -= bytes.len();
    }

    fn beginning(&mut self) -> [u8; BEGINNING_BYTES] {
        *self.beginning.get_or_insert_with(|| self.source.beginning())
    }
}

/// An array of `N` fresh bytes.
pub fn random<const N: usize>(entropy: &mut dyn Entropy) -> [u8; N] {
    let mut bytes = [0; N];
    entropy.fill(&mut bytes);
    bytes
}

/// A version 4 UUID in its text form (RFC 9562 section 5.4).
pub fn uuid_v4(entropy: &mut dyn Entropy) -> String {
    let mut bytes = [0; 16];
    let (beginning, rest) = bytes.split_at_mut(BEGINNING_BYTES);
    beginning.copy_from_slice(&entropy.beginning());
    entropy.fill(rest);
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

    /// Counts, so that no two bytes of a few fetches are alike.
    struct Counter(u16);
    impl Entropy for Counter {
        fn fill(&mut self, bytes: &mut [u8]) {
            for pair in bytes.chunks_mut(2) {
                self.0 += 1;
                pair.copy_from_slice(&self.0.to_be_bytes()[..pair.len()]);
            }
        }
    }

    #[test]
    fn nothing_is_given_twice_out_of_a_stock() {
        let mut source = Counter(0);
        let mut stock = Stock::of(&mut source);
        let mut given = std::collections::BTreeSet::new();
        for _ in 0..1_000 {
            assert!(given.insert(random::<12>(&mut stock)));
        }
        let large = random::<200>(&mut stock);
        assert!(large[..2] > *given.last().unwrap().as_slice(), "what is large is fetched for itself");
        assert_eq!(source.0, (1_000_u16.div_ceil(512 / 12)) * 256 + 100);
    }

    #[test]
    fn identifiers_out_of_a_stock_begin_alike_and_are_all_different() {
        let mut source = Counter(0);
        let begin = |uid: &String| uid[..13].to_owned();
        let uids = |source: &mut Counter| {
            let mut stock = Stock::of(source);
            [uuid_v4(&mut stock), uuid_v4(&mut stock)]
        };
        let ([a, b], [c, d]) = (uids(&mut source), uids(&mut source));
        assert_eq!((begin(&a), begin(&c)), (begin(&b), begin(&d)));
        assert_ne!(begin(&a), begin(&c));
        assert!(a != b && c != d);
        assert_ne!(begin(&uuid_v4(&mut source)), begin(&uuid_v4(&mut source)));
    }

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
