//! The one source of chance: a seed, and all that follows from it; or the bytes of a fuzzer.
#![forbid(unsafe_code)]

use crate::entropy::Entropy;

/// A reproducible sequence of choices (splitmix64). Fit for tests and for nothing else.
#[derive(Clone, Debug)]
pub struct Choices {
    state: u64,
    script: Script,
}

/// Bytes that decide what is chosen, as far as they last.
#[derive(Clone, Debug, Default)]
struct Script {
    bytes: Vec<u8>,
    used: usize,
}

impl Choices {
    /// The sequence of this seed.
    pub fn new(seed: u64) -> Choices {
        Choices { state: seed, script: Script::default() }
    }

    /// What these bytes choose, and the sequence of a fixed seed when they are used up. Only what is chosen from a few
    /// comes from them: keys and nonces must differ.
    pub fn scripted(bytes: &[u8]) -> Choices {
        Choices { state: 0, script: Script { bytes: bytes.to_vec(), used: 0 } }
    }

    /// Whether nothing is chosen by bytes any more.
    pub fn is_unscripted(&self) -> bool {
        self.script.used == self.script.bytes.len()
    }

    /// Any number.
    pub fn number(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number below `bound`, which is not zero.
    pub fn below(&mut self, bound: usize) -> usize {
        if self.is_unscripted() {
            return (self.number() % bound as u64) as usize;
        }
        let mut number = self.script_byte();
        if bound > 256 {
            number = number << 16 | self.script_byte() << 8 | self.script_byte();
        }
        number % bound
    }

    fn script_byte(&mut self) -> usize {
        let byte = self.script.bytes.get(self.script.used).copied();
        self.script.used += usize::from(byte.is_some());
        usize::from(byte.unwrap_or(0))
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
        Choices::new(self.number())
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

    #[test]
    fn bytes_choose_as_far_as_they_last() {
        let mut choices = Choices::scripted(&[7, 1, 2, 3, 9]);
        let chosen = [choices.below(5), choices.below(1 << 20), choices.below(10)];
        assert_eq!(chosen, [2, 0x01_0203, 9]);
        assert!(choices.is_unscripted());
        assert_eq!(choices.number(), Choices::new(0).number());
    }
}
