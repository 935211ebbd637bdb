//! How a unique identifier is stored. Those that the server makes are UUIDs (RFC 9562), which take 17 bytes instead of 36
//! in each of the ten rows that name an object: a byte with which no text begins, and the UUID. All others are stored as
//! their text, UUIDs that are not written as the server writes them among them.
#![forbid(unsafe_code)]

use super::StoreError;
use super::tables::corrupt;

/// What stands before a UUID; no UTF-8 has it.
const MARK: u8 = 0xFF;
const BYTES: usize = 16;
/// As text: `xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx`, in lower case.
const TEXT_BYTES: usize = 36;
const HYPHENS: [usize; 4] = [8, 13, 18, 23];
const DIGITS: &[u8; 16] = b"0123456789abcdef";

/// An identifier as it is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Identifier<'u> {
    /// Of a UUID: the mark, and its bytes.
    Uuid([u8; 1 + BYTES]),
    /// Anything else.
    Text(&'u str),
}

impl<'u> Identifier<'u> {
    /// That of an object.
    pub fn of(uid: &'u str) -> Identifier<'u> {
        uuid(uid.as_bytes()).map_or(Identifier::Text(uid), Identifier::Uuid)
    }
}

impl AsRef<[u8]> for Identifier<'_> {
    fn as_ref(&self) -> &[u8] {
        match self {
            Identifier::Uuid(bytes) => bytes,
            Identifier::Text(text) => text.as_bytes(),
        }
    }
}

/// The identifier that was stored. Each is stored in one way only: a UUID as text is none.
pub fn read(stored: &[u8]) -> Result<String, StoreError> {
    if let Some((&MARK, bytes)) = stored.split_first() {
        let bytes = bytes.try_into().map_err(|_| corrupt("an identifier has not its length"))?;
        return Ok(written(bytes));
    }
    let text = std::str::from_utf8(stored).map_err(|_| corrupt("an identifier is not UTF-8"))?;
    match Identifier::of(text) {
        Identifier::Text(text) => Ok(text.to_owned()),
        Identifier::Uuid(_) => Err(corrupt("a UUID is stored as text")),
    }
}

/// The UUID that is written like this.
fn uuid(text: &[u8]) -> Option<[u8; 1 + BYTES]> {
    if text.len() != TEXT_BYTES || HYPHENS.iter().any(|at| text[*at] != b'-') {
        return None;
    }
    let mut digits = text.iter().enumerate().filter(|(at, _)| !HYPHENS.contains(at)).map(|(_, digit)| *digit);
    let mut uuid = [MARK; 1 + BYTES];
    for byte in &mut uuid[1..] {
        *byte = value(digits.next()?)? << 4 | value(digits.next()?)?;
    }
    Some(uuid)
}

fn value(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

fn written(uuid: [u8; BYTES]) -> String {
    let mut text = String::with_capacity(TEXT_BYTES);
    for byte in uuid {
        if HYPHENS.contains(&text.len()) {
            text.push('-');
        }
        text.extend([byte >> 4, byte & 15].map(|digit| char::from(DIGITS[usize::from(digit)])));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const UUID: &str = "0190163d-8694-739b-aea5-966c26f8ad91";

    #[test]
    fn a_uuid_is_its_bytes_and_all_else_its_text() {
        let stored = Identifier::of(UUID);
        let bytes = b"\xFF\x01\x90\x16\x3d\x86\x94\x73\x9b\xae\xa5\x96\x6c\x26\xf8\xad\x91";
        assert_eq!(stored.as_ref(), bytes);
        assert_eq!(read(bytes).unwrap(), UUID);
        let longer = format!("{UUID}0");
        let misplaced = UUID.replacen("d-8", "-d8", 1);
        let others = ["", "a", "\u{ff}", "*", &UUID.to_uppercase(), &UUID[1..], &longer, &misplaced];
        for text in others.into_iter().chain([UUID.replace('-', "0").as_str(), &UUID.replace('9', "g")]) {
            assert_eq!(Identifier::of(text), Identifier::Text(text));
            assert_eq!(Identifier::of(text).as_ref(), text.as_bytes());
            assert_eq!(read(text.as_bytes()).unwrap(), text);
        }
    }

    #[test]
    fn what_is_no_stored_identifier_is_corrupt() {
        for stored in [UUID.as_bytes(), b"\xFF", b"\xFF0123456789abcde", b"\xFF0123456789abcdefg", b"a\xFF"] {
            assert!(matches!(read(stored), Err(StoreError::Corrupt(_))), "{stored:?}");
        }
    }
}
