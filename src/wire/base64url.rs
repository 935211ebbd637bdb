//! Base64 with the alphabet for URLs (RFC 4648 section 5), as JOSE has it: without padding, line ends or anything else
//! (RFC 7515 section 2). A text that is read is the only one that stands for its bytes.
#![forbid(unsafe_code)]

/// `bytes` as text.
pub fn encode(bytes: &[u8]) -> String {
    let text = openssl::base64::encode_block(bytes);
    text.trim_end_matches('=').replace('+', "-").replace('/', "_")
}

/// Decodes `text` into its own beginning, so that no copy of what may be a secret is made. `None` for what would not be
/// written so; `text` is then undefined.
pub fn decode_in_place(text: &mut [u8]) -> Option<&mut [u8]> {
    let length = text.len();
    let (mut seen, mut written) = (0, 0);
    let value = |byte: u8| VALUES[usize::from(byte)];
    let whole = length - length % 4;
    for at in (0..whole).step_by(4) {
        let [a, b, c, d] = [value(text[at]), value(text[at + 1]), value(text[at + 2]), value(text[at + 3])];
        seen |= a | b | c | d;
        text[written] = a << 2 | b >> 4;
        text[written + 1] = b << 4 | c >> 2;
        text[written + 2] = c << 6 | d;
        written += 3;
    }
    let unused = match length % 4 {
        0 => 0,
        2 => {
            let [a, b] = [value(text[whole]), value(text[whole + 1])];
            seen |= a | b;
            text[written] = a << 2 | b >> 4;
            written += 1;
            b & 0x0F
        }
        3 => {
            let [a, b, c] = [value(text[whole]), value(text[whole + 1]), value(text[whole + 2])];
            seen |= a | b | c;
            text[written] = a << 2 | b >> 4;
            text[written + 1] = b << 4 | c >> 2;
            written += 2;
            c & 0x03
        }
        _ => return None,
    };
    (seen & NO_VALUE == 0 && unused == 0).then_some(&mut text[..written])
}

/// What `text` stands for; `None` for what would not be written so.
pub fn decode(text: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = text.to_vec();
    let length = decode_in_place(&mut bytes)?.len();
    bytes.truncate(length);
    Some(bytes)
}

/// Marks a character that is not of the alphabet.
const NO_VALUE: u8 = 0x80;

static VALUES: [u8; 256] = {
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut values = [NO_VALUE; 256];
    let mut value = 0;
    while value < 64 {
        values[alphabet[value] as usize] = value as u8;
        value += 1;
    }
    values
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        for length in 0..70 {
            let bytes: Vec<u8> = (0..length).map(|i: u8| i.wrapping_mul(37)).collect();
            assert_eq!(decode(encode(&bytes).as_bytes()), Some(bytes));
        }
        // RFC 7515 appendix C.
        assert_eq!(decode(b"A-z_4ME"), Some(vec![3, 236, 255, 224, 193]));
    }

    #[test]
    fn every_other_spelling_is_refused() {
        for bad in ["A", "AAAAA", "AA==", "AA=", "A A", "AB\n", "A+z/4ME", "AB", "AAB", "A\u{e9}"] {
            assert_eq!(decode(bad.as_bytes()), None, "{bad}");
        }
    }
}
