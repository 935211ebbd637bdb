//! Randomness as a capability: the shell gives the operating system's, the simulator a seeded one.
#![forbid(unsafe_code)]

use crate::secret::Buffer;
use std::time::Duration;

/// A source of unpredictable bytes, fit for keys and nonces.
pub trait Entropy: Send {
    /// Fills `bytes`. A source that cannot is no source: the shell's ends the process rather than return.
    fn fill(&mut self, bytes: &mut [u8]);

    /// What identifiers begin with, so that those that are made together lie together in a database: of the system, the
    /// time since 1970; where there is none, anything.
    fn unix_time(&mut self) -> Duration {
        Duration::from_nanos(u64::from_be_bytes(random(self)))
    }
}

/// Fresh bytes for one batch, or for requests that are committed together, fetched many at a time: a system call for each
/// nonce costs more than what is done with it. It must not outlive them: what is kept in memory is there twice when a
/// virtual machine is resumed twice.
pub struct Stock<'e> {
    source: &'e mut dyn Entropy,
    bytes: Buffer,
    /// How many are fetched at a time.
    fetched: usize,
}

/// What is larger is fetched for itself.
const GIVEN_BYTES_MAX: usize = 64;
const STOCK_BYTES_MAX: usize = 4096;

impl<'e> Stock<'e> {
    /// An empty stock, filled from `source` for so many draws of about so many bytes.
    pub fn of(source: &'e mut dyn Entropy, draws: usize, bytes: usize) -> Stock<'e> {
        let fetched = draws.saturating_mul(bytes).clamp(GIVEN_BYTES_MAX, STOCK_BYTES_MAX);
        Stock { source, bytes: Buffer::default(), fetched }
    }
}

impl Entropy for Stock<'_> {
    fn fill(&mut self, bytes: &mut [u8]) {
        if bytes.len() > GIVEN_BYTES_MAX {
            return self.source.fill(bytes);
        }
        if bytes.len() > self.bytes.len() {
            self.bytes.resize(self.fetched, 0);
            self.source.fill(&mut self.bytes);
        }
        let rest = self.bytes.len() - bytes.len();
        let given = &mut self.bytes[rest..];
        bytes.copy_from_slice(given);
        given.fill(0);
        self.bytes.truncate(rest);
    }

    fn unix_time(&mut self) -> Duration {
        self.source.unix_time()
    }
}

/// An array of `N` fresh bytes.
pub fn random<const N: usize>(entropy: &mut (impl Entropy + ?Sized)) -> [u8; N] {
    let mut bytes = [0; N];
    entropy.fill(&mut bytes);
    bytes
}

/// A version 7 UUID in its text form (RFC 9562 section 5.7): 48 bits of milliseconds, 12 of their fraction (section 6.2,
/// method 3), and 62 that nobody guesses. What is made later lies behind what was made before, within a millisecond, too: a
/// database fills one page after the other. In any other order it reads and writes a page for each, and splits it at half.
pub fn uuid_v7(entropy: &mut dyn Entropy) -> String {
    let time = entropy.unix_time();
    let fraction = u64::from(time.subsec_nanos() % 1_000_000) * 4096 / 1_000_000;
    let mut bytes = [0; 16];
    let (ordered, random) = bytes.split_at_mut(8);
    ordered.copy_from_slice(&((time.as_millis() as u64) << 16 | 0x7000 | fraction).to_be_bytes());
    entropy.fill(random);
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
        for (draws, fetched) in [(0, 64), (1, 64), (40, 480), (1_000, 4096)] {
            let mut source = Counter(0);
            let mut stock = Stock::of(&mut source, draws, 12);
            let mut given = std::collections::BTreeSet::new();
            for _ in 0..1_000 {
                assert!(given.insert(random::<12>(&mut stock)));
            }
            let large = random::<200>(&mut stock);
            assert!(
                large.chunks(12).all(|piece| !given.contains(piece)),
                "what is large is fetched for itself"
            );
            assert_eq!(usize::from(source.0) * 2, 1_000_usize.div_ceil(fetched / 12) * fetched + 200);
        }
    }

    /// All bits are alike.
    struct Fixed(u8, Duration);
    impl Entropy for Fixed {
        fn fill(&mut self, bytes: &mut [u8]) {
            bytes.fill(self.0);
        }
        fn unix_time(&mut self) -> Duration {
            self.1
        }
    }

    #[test]
    fn a_uuid_carries_its_time_its_version_and_its_variant() {
        // The example of RFC 9562, appendix A.6.
        let time = Duration::from_millis(0x017F_22E2_79B0);
        let of = |bits, nanos| uuid_v7(&mut Fixed(bits, time + Duration::from_nanos(nanos)));
        assert_eq!(of(0xFF, 999_999), "017f22e2-79b0-7fff-bfff-ffffffffffff");
        assert_eq!(of(0, 500_000), "017f22e2-79b0-7800-8000-000000000000");
        assert_eq!(
            uuid_v7(&mut Stock::of(&mut Fixed(0, time), 1, 8)),
            "017f22e2-79b0-7000-8000-000000000000"
        );
        assert_ne!(uuid_v7(&mut Counter(0))[..13], uuid_v7(&mut Counter(9))[..13], "where there is no time");
    }

    #[test]
    fn uuids_of_one_millisecond_are_in_order() {
        let nanos =
            (0..1_000_000).step_by(245).map(|nanos| Duration::from_millis(7) + Duration::from_nanos(nanos));
        // Random bits that fall as time goes on.
        let made: Vec<_> =
            nanos.zip((0..=0xFF).rev().cycle()).map(|(at, bits)| uuid_v7(&mut Fixed(bits, at))).collect();
        assert!(made.is_sorted());
    }
}
