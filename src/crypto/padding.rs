//! What makes whole blocks of any data, and can be taken off again.
#![forbid(unsafe_code)]

use crate::entropy::Entropy;

/// A way to pad. Each adds one byte at least, and ends with the number of bytes that it added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Padding {
    /// All bytes tell the number (RFC 5652 section 6.3).
    Pkcs5,
    /// The others are zeros.
    AnsiX923,
    /// The others are random.
    Iso10126,
}

impl Padding {
    /// What is to follow data of this length.
    pub fn after(self, data_bytes: usize, block_bytes: usize, entropy: &mut dyn Entropy) -> Vec<u8> {
        let count = block_bytes - data_bytes % block_bytes;
        let number = u8::try_from(count).expect("blocks have 16 bytes at most");
        let mut pad = match self {
            Padding::Pkcs5 => vec![number; count],
            Padding::AnsiX923 | Padding::Iso10126 => vec![0; count],
        };
        if self == Padding::Iso10126 {
            entropy.fill(&mut pad);
        }
        pad[count - 1] = number;
        pad
    }

    /// The length of the data before what was added; `None` where that is not what this adds.
    pub fn data_bytes(self, padded: &[u8], block_bytes: usize) -> Option<usize> {
        let (number, _) = padded.split_last()?;
        let count = usize::from(*number);
        if count == 0 || count > block_bytes || !padded.len().is_multiple_of(block_bytes) {
            return None;
        }
        let data_bytes = padded.len().checked_sub(count)?;
        let filler = &padded[data_bytes..padded.len() - 1];
        let is_ours = match self {
            Padding::Pkcs5 => filler.iter().all(|byte| byte == number),
            Padding::AnsiX923 => filler.iter().all(|byte| *byte == 0),
            Padding::Iso10126 => true,
        };
        is_ours.then_some(data_bytes)
    }
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
    fn each_pads_in_its_way() {
        let after = |padding: Padding, bytes| padding.after(bytes, 8, &mut Fixed(9));
        assert_eq!(after(Padding::Pkcs5, 5), [3, 3, 3]);
        assert_eq!(after(Padding::AnsiX923, 5), [0, 0, 3]);
        assert_eq!(after(Padding::Iso10126, 5), [9, 9, 3]);
        assert_eq!(after(Padding::Pkcs5, 8), [8; 8]);
        assert_eq!(after(Padding::Pkcs5, 7), [1]);
    }

    #[test]
    fn what_was_not_added_is_not_taken_off() {
        let data = |padding: Padding, padded: &[u8]| padding.data_bytes(padded, 4);
        assert_eq!(data(Padding::Pkcs5, &[7, 7, 2, 2]), Some(2));
        assert_eq!(data(Padding::Pkcs5, &[7, 7, 1, 2]), None);
        assert_eq!(data(Padding::AnsiX923, &[7, 0, 0, 3]), Some(1));
        assert_eq!(data(Padding::AnsiX923, &[7, 1, 0, 3]), None);
        assert_eq!(data(Padding::Iso10126, &[7, 1, 0, 3]), Some(1));
        for padding in [Padding::Pkcs5, Padding::AnsiX923, Padding::Iso10126] {
            assert_eq!(data(padding, &[4, 4, 4, 0]), None);
            assert_eq!(data(padding, &[5, 5, 5, 5]), None);
            assert_eq!(data(padding, &[1, 1, 1, 1, 1]), None);
            assert_eq!(data(padding, &[]), None);
        }
        assert_eq!(data(Padding::Pkcs5, &[4, 4, 4, 4]), Some(0));
    }
}
