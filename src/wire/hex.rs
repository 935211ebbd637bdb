//! Hexadecimal text: upper case is written, either case is read.
#![forbid(unsafe_code)]

use std::array;

/// Decodes `text` into its own first half, so that no copy of what may be a secret is made. `None` for an odd length or a
/// character that is no digit; `text` is then undefined.
pub fn decode_in_place(text: &mut [u8]) -> Option<&mut [u8]> {
    let (length, odd) = (text.len() / 2, !text.len().is_multiple_of(2));
    // Two loops whose every turn is alike: the compiler makes many of one.
    let mut seen = 0;
    for character in &mut *text {
        *character = value(*character);
        seen |= *character;
    }
    let mut at = 0;
    while let Some(digits) = text.get(2 * at..).and_then(<[u8]>::first_chunk::<32>) {
        let bytes: [u8; 16] = array::from_fn(|n| digits[2 * n] << 4 | digits[2 * n + 1]);
        text[at..at + 16].copy_from_slice(&bytes);
        at += 16;
    }
    for at in at..length {
        text[at] = text[2 * at] << 4 | text[2 * at + 1];
    }
    (!odd && seen < NO_DIGIT).then_some(&mut text[..length])
}

/// Appends `bytes` as upper-case digits to `out`.
pub fn encode(bytes: &[u8], out: &mut Vec<u8>) {
    out.reserve(2 * bytes.len());
    let (many, rest) = bytes.as_chunks::<16>();
    many.iter().for_each(|bytes| out.extend_from_slice(digits(bytes).as_flattened()));
    let (some, rest) = rest.as_chunks::<4>();
    some.iter().for_each(|bytes| out.extend_from_slice(&digits_of_four(*bytes)));
    rest.iter().for_each(|&byte| out.extend_from_slice(digits(&[byte]).as_flattened()));
}

/// Of sixteen, the compiler makes vectors.
fn digits<const N: usize>(bytes: &[u8; N]) -> [[u8; 2]; N] {
    bytes.map(|byte| [byte >> 4, byte & 15].map(digit_of))
}

/// The same in one register: each byte is spread over two, and nothing is carried from one into the next.
fn digits_of_four(bytes: [u8; 4]) -> [u8; 8] {
    const ONES: u64 = u64::MAX / 0xFF;
    let pairs = u64::from(u32::from_le_bytes(bytes));
    let pairs = (pairs | pairs << 16) & 0x0000_FFFF_0000_FFFF;
    let bytes = (pairs | pairs << 8) & 0x00FF_00FF_00FF_00FF;
    let values = (bytes >> 4 | bytes << 8) & (ONES * 15);
    let letters = (values + ONES * 6) >> 4 & ONES;
    (values + ONES * u64::from(b'0') + letters * u64::from(b'A' - b'9' - 1)).to_le_bytes()
}

/// Marks a character that is no digit: it is above all values of digits, also when these are joined to it.
const NO_DIGIT: u8 = 0x80;

/// The value of a digit, or [`NO_DIGIT`].
fn value(character: u8) -> u8 {
    let (decimal, letter) = (character.wrapping_sub(b'0'), (character | 0x20).wrapping_sub(b'a'));
    let of_letter = if letter < 6 { letter + 10 } else { NO_DIGIT };
    if decimal < 10 { decimal } else { of_letter }
}

fn digit_of(value: u8) -> u8 {
    b'0' + value + if value > 9 { b'A' - b'9' - 1 } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_bytes_survive_the_round_trip() {
        let bytes: Vec<u8> = (0..=255).collect();
        let mut text = Vec::new();
        for bytes in bytes.chunks(4) {
            encode(bytes, &mut text);
        }
        let mut at_once = Vec::new();
        encode(&bytes, &mut at_once);
        assert_eq!(at_once, text);
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

    #[test]
    fn a_bad_character_is_seen_wherever_it_stands() {
        for length in 0..70 {
            let bytes: Vec<u8> = (0..length).map(|n| (n * 37) as u8).collect();
            let mut text = Vec::new();
            encode(&bytes, &mut text);
            assert_eq!(decode_in_place(&mut text.clone()).as_deref(), Some(&bytes[..]));
            for at in 0..text.len() {
                for bad in (0..=255_u8).filter(|byte| !byte.is_ascii_hexdigit()) {
                    let good = std::mem::replace(&mut text[at], bad);
                    assert_eq!(decode_in_place(&mut text.clone()), None, "{bad} at {at} of {length}");
                    text[at] = good;
                }
            }
        }
    }
}
