//! BER (X.690 section 8) with lengths that hold, for a parser that adds them up unchecked: yasna skips a value by
//! adding its length to a position, which overflows where the length is near the largest of all.
#![forbid(unsafe_code)]

use super::Error;
use yasna::{ASN1Error, BERReader};

/// Levels of values within values; a PKCS#12 file has about a dozen.
const DEPTH_MAX: usize = 64;
const CONSTRUCTED: u8 = 0x20;
const HIGH_TAG_NUMBER: u8 = 0x1f;
const INDEFINITE: u8 = 0x80;

/// Parses one value, once every length in it is known to end within the value around it.
pub fn parse<T>(
    bytes: &[u8],
    read: impl for<'a, 'b> FnOnce(BERReader<'a, 'b>) -> Result<T, ASN1Error>,
) -> Result<T, Error> {
    skip_value(bytes, DEPTH_MAX).ok_or(Error::NotPkcs12)?;
    Ok(yasna::parse_ber(bytes, read)?)
}

/// What follows the first value; `None` where a length, or the depth, does not hold.
fn skip_value(bytes: &[u8], depth_left: usize) -> Option<&[u8]> {
    let depth_left = depth_left.checked_sub(1)?;
    let (&identifier, mut rest) = bytes.split_first()?;
    if identifier & HIGH_TAG_NUMBER == HIGH_TAG_NUMBER {
        let last = rest.iter().position(|octet| octet & 0x80 == 0)?;
        rest = &rest[last + 1..];
    }
    let constructed = identifier & CONSTRUCTED != 0;
    let (&length, rest) = rest.split_first()?;
    if length == INDEFINITE {
        return if constructed { skip_to_end_of_contents(rest, depth_left) } else { None };
    }
    let (length, rest) = match length & 0x80 {
        0 => (usize::from(length), rest),
        _ => definite_length(rest, usize::from(length & 0x7f))?,
    };
    let (mut contents, rest) = rest.split_at_checked(length)?;
    while constructed && !contents.is_empty() {
        contents = skip_value(contents, depth_left)?;
    }
    Some(rest)
}

/// The long form of a length (X.690 section 8.1.3.5), and what follows it.
fn definite_length(bytes: &[u8], octets: usize) -> Option<(usize, &[u8])> {
    let (octets, rest) = bytes.split_at_checked(octets)?;
    let length = octets
        .iter()
        .try_fold(0_usize, |length, octet| Some(length.checked_mul(256)? | usize::from(*octet)))?;
    Some((length, rest))
}

/// What follows the end-of-contents octets (X.690 section 8.1.5) of a value of indefinite length.
fn skip_to_end_of_contents(mut bytes: &[u8], depth_left: usize) -> Option<&[u8]> {
    loop {
        match bytes {
            [0, 0, rest @ ..] => return Some(rest),
            // Octets that begin as the end does and are none; a reader could take them for either.
            [first, ..] if first & !CONSTRUCTED == 0 => return None,
            _ => bytes = skip_value(bytes, depth_left)?,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_must_end_within_the_value_around_them() {
        let skipped = |bytes: &[u8]| skip_value(bytes, DEPTH_MAX).map(<[u8]>::len);
        assert_eq!(skipped(&[0x30, 0x03, 0x02, 0x01, 0x03, 0xff]), Some(1));
        assert_eq!(skipped(&[0x24, 0x80, 0x04, 0x01, 0x03, 0, 0, 0xff]), Some(1));
        assert_eq!(skipped(&[0x30, 0x84, 0, 0, 0, 0]), Some(0));
        assert_eq!(skipped(&[0x7f, 0x81, 0x01, 0x00]), Some(0));
        assert_eq!(skipped(&[0x30, 0x03, 0x02, 0x02, 0x03]), None);
        assert_eq!(skipped(&[0x04, 0x80, 0, 0]), None);
        assert_eq!(skipped(&[0x24, 0x80, 0x04, 0x01, 0x03]), None);
        assert_eq!(skipped(&[0x24, 0x80, 0, 1]), None);
        let mut longest = vec![0x02, 0x88];
        longest.extend([0xff; 8]);
        assert_eq!(skipped(&longest), None);
        assert_eq!(skipped(&[[0x24, 0x80].repeat(DEPTH_MAX), [0, 0].repeat(DEPTH_MAX)].concat()), Some(0));
        assert_eq!(skipped(&[0x24, 0x80].repeat(100_000)), None);
        let read = |bytes: &[u8]| parse(bytes, |r| r.read_sequence(|r| r.next().read_der().map(|_| ())));
        assert_eq!(read(&[0x30, 0x02, 0x05, 0x00]), Ok(()));
        assert_eq!(read(&[&[0x30, 0x0a][..], &longest].concat()), Err(Error::NotPkcs12));
    }
}
