//! Hexadecimal text: upper case is written, either case is read.
#![forbid(unsafe_code)]

/// Decodes `text` into its own first half, so that no copy of what may be a secret is made. `None` for an odd length or a
/// character that is no digit; `text` is then undefined.
pub fn decode_in_place(text: &mut [u8]) -> Option<&mut [u8]> {
    let length = text.len() / 2;
    let odd = !text.len().is_multiple_of(2);
    let mut seen = 0;
    for at in 0..length {
        let (high, low) = (DIGITS[usize::from(text[2 * at])], DIGITS[usize::from(text[2 * at + 1])]);
        seen |= high | low;
        text[at] = high << 4 | low;
    }
    (!odd && seen != NO_DIGIT).then_some(&mut text[..length])
}

/// Appends `bytes` as upper-case digits to `out`.
pub fn encode(bytes: &[u8], out: &mut Vec<u8>) {
    let start = out.len();
    out.resize(start + 2 * bytes.len(), 0);
    for (pair, &byte) in out[start..].chunks_exact_mut(2).zip(bytes) {
        pair.copy_from_slice(&PAIRS[usize::from(byte)]);
    }
}

/// Marks a character that is no digit: no bit pattern of digits adds up to it.
const NO_DIGIT: u8 = 0xFF;

static DIGITS: [u8; 256] = {
    let mut digits = [NO_DIGIT; 256];
    let mut value = 0;
    while value < 16 {
        digits[UPPER[value] as usize] = value as u8;
        digits[UPPER[value].to_ascii_lowercase() as usize] = value as u8;
        value += 1;
    }
    digits
};

const UPPER: &[u8; 16] = b"0123456789ABCDEF";

static PAIRS: [[u8; 2]; 256] = {
    let mut pairs = [[0; 2]; 256];
    let mut byte = 0;
    while byte < 256 {
        pairs[byte] = [UPPER[byte >> 4], UPPER[byte & 15]];
        byte += 1;
    }
    pairs
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_bytes_survive_the_round_trip() {
        let bytes: Vec<u8> = (0..=255).collect();
        let mut text = Vec::new();
        encode(&bytes, &mut text);
        assert_eq!(&text[..6], b"000102");
        assert_eq!(&text[508..], b"FEFF");
        assert_eq!(decode_in_place(&mut text.to_ascii_lowercase()).as_deref(), Some(&bytes[..]));
        assert_eq!(decode_in_place(&mut text).as_deref(), Some(&bytes[..]));
    }

    #[test]
    fn what_is_no_digit_is_refused() {
        for bad in ["0", "0g", "G0", "0x12", " 1", "é"] {
            assert_eq!(decode_in_place(&mut bad.as_bytes().to_vec()), None, "{bad}");
        }
        assert_eq!(decode_in_place(&mut []), Some(&mut [][..]));
    }
}
