//! The one source of chance: a seed, and all that follows from it.
#![forbid(unsafe_code)]

use crate::entropy::Entropy;

/// A reproducible sequence of choices (splitmix64). Fit for tests and for nothing else.
#[derive(Clone, Debug)]
pub struct Choices(u64);

impl Choices {
    /// The sequence of this seed.
    pub fn new(seed: u64) -> Choices {
        Choices(seed)
    }

    /// Any number.
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number below `bound`, which is not zero.
    pub fn below(&mut self, bound: usize) -> usize {
        (self.number() % bound as u64) as usize
    }

    /// Yes, once in so many times.
    pub fn one_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    /// One of several; there is at least one.
    pub fn pick<'t, T>(&mut self, from: &'t [T]) -> &'t T {
        &from[self.below(from.len())]
    }

    /// So many bytes.
    pub fn bytes(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        self.fill(&mut bytes);
        bytes
    }

    /// A sequence of its own, for somebody who draws at times that are not to change what others draw.
    pub fn fork(&mut self) -> Choices {
        Choices(self.number())
    }
}

impl Entropy for Choices {
    fn fill(&mut self, bytes: &mut [u8]) {
        for part in bytes.chunks_mut(8) {
            part.copy_from_slice(&self.number().to_le_bytes()[..part.len()]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_is_a_sequence() {
        // The first numbers of splitmix64 with the seed 1234567, as its author publishes them.
        let mut choices = Choices::new(1_234_567);
        assert_eq!(
            [choices.number(), choices.number(), choices.number()],
            [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]
        );
        assert_eq!(Choices::new(1).bytes(11), Choices::new(1).bytes(11));
        assert_ne!(Choices::new(1).bytes(11), Choices::new(2).bytes(11));
    }
}
