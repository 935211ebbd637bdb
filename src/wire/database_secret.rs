//! The secret of a tenant's database, as it travels in `KmsDatabaseSecret`.
//!
//! It is JSON in base64 (RFC 4648 section 4), in one of three forms, of which the first is written:
//!
//! | form | |
//! |---|---|
//! | `[0, 1, .. 47]` | 48 bytes: the group id, big-endian, in 16; the key in 32 |
//! | `{"group_id": 123, "key": [0, 1, .. 31]}` | the group id as a number of 128 bits |
//! | `{"group_id": 123, "key": "00ff.."}` | the key in hexadecimal |
#![forbid(unsafe_code)]

use super::hex;
use super::json::{Error, Lexer};
use crate::secret::Secret;
use std::fmt::Write;
use zeroize::Zeroizing;

/// Bytes of a key.
pub const KEY_BYTES: usize = 32;
/// Bytes of the first form: group id and key.
const BYTES: usize = 16 + KEY_BYTES;
/// Characters of a secret that is read: more than any of the forms needs without white space.
const TEXT_BYTES_MAX: usize = 1024;

/// The parts of a secret.
pub struct DatabaseSecret {
    /// Names the database.
    pub group: u128,
    /// Opens it.
    pub key: Secret,
}

/// Why a text is no such secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It is too long, or no base64.
    NotBase64,
    /// It says something else.
    NotReadable,
}

/// Reads a secret in any of its forms. What it is decoded into on the way is overwritten.
pub fn parse(text: &[u8]) -> Result<DatabaseSecret, Fault> {
    let text = std::str::from_utf8(text).ok().filter(|text| (1..=TEXT_BYTES_MAX).contains(&text.len()));
    let decoded = text.and_then(|text| openssl::base64::decode_block(text).ok()).map(Zeroizing::new);
    let mut json = decoded.ok_or(Fault::NotBase64)?;
    // The lexer's own words may show what it has read.
    read(&mut Lexer::new(&mut json)).map_err(|_| Fault::NotReadable)
}

fn read(lexer: &mut Lexer<'_>) -> Result<DatabaseSecret, Error> {
    let secret = match lexer.peek()? {
        b'[' => {
            let both = bytes::<BYTES>(lexer)?;
            let (group, key) = both.split_first_chunk().expect("16 of 48 bytes");
            DatabaseSecret { group: u128::from_be_bytes(*group), key: Secret::copy_of(key) }
        }
        _ => object(lexer)?,
    };
    lexer.end()?;
    Ok(secret)
}

fn object(lexer: &mut Lexer<'_>) -> Result<DatabaseSecret, Error> {
    let (mut group, mut key) = (None, None);
    lexer.open_object()?;
    while let Some(name) = lexer.member()? {
        let is_repeated = match name {
            "group_id" => group.replace(lexer.unsigned()?).is_some(),
            "key" => key.replace(read_key(lexer)?).is_some(),
            _ => {
                lexer.skip()?;
                false
            }
        };
        if is_repeated {
            return Err(lexer.data("a member is repeated"));
        }
    }
    match (group, key) {
        (Some(group), Some(key)) => Ok(DatabaseSecret { group, key }),
        _ => Err(lexer.data("a member is missing")),
    }
}

fn read_key(lexer: &mut Lexer<'_>) -> Result<Secret, Error> {
    if lexer.peek()? == b'[' {
        return Ok(Secret::copy_of(&*bytes::<KEY_BYTES>(lexer)?));
    }
    let key = hex::decode_in_place(lexer.string_bytes()?).filter(|key| key.len() == KEY_BYTES);
    key.map(|key| Secret::copy_of(key)).ok_or_else(|| lexer.data("expected 64 hexadecimal digits"))
}

/// An array of so many numbers, each of which is a byte.
fn bytes<const N: usize>(lexer: &mut Lexer<'_>) -> Result<Zeroizing<[u8; N]>, Error> {
    let (mut bytes, mut count) = (Zeroizing::new([0; N]), 0);
    lexer.open_array()?;
    while lexer.element()? {
        let byte = u8::try_from(lexer.unsigned()?);
        match (bytes.get_mut(count), byte) {
            (Some(place), Ok(byte)) => *place = byte,
            _ => return Err(lexer.data("expected fewer numbers, or bytes")),
        }
        count += 1;
    }
    if count == N { Ok(bytes) } else { Err(lexer.data("expected more numbers")) }
}

/// Writes a secret in its first form. `key` has [`KEY_BYTES`].
pub fn write(group: u128, key: &Secret) -> Zeroizing<String> {
    let mut json = Zeroizing::new(String::with_capacity(BYTES * ",255".len() + "[]".len()));
    let bytes = group.to_be_bytes();
    for (i, byte) in bytes.iter().chain(key.expose()).enumerate() {
        let before = if i == 0 { '[' } else { ',' };
        write!(json, "{before}{byte}").expect("a string takes everything");
    }
    json.push(']');
    Zeroizing::new(openssl::base64::encode_block(json.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use openssl::base64::encode_block;

    const GROUP: u128 = 0x0001_0203_0405_0607_0809_0A0B_0C0D_0E0F;

    fn key() -> Vec<u8> {
        (16..48).collect()
    }

    fn parsed(json: &str) -> Option<(u128, Vec<u8>)> {
        let secret = parse(encode_block(json.as_bytes()).as_bytes()).ok()?;
        Some((secret.group, secret.key.expose().to_vec()))
    }

    #[test]
    fn all_three_forms_are_read_and_the_first_is_written() {
        let array = format!("{:?}", (0..48).collect::<Vec<u8>>());
        let digits: String = key().iter().map(|byte| format!("{byte:02x}")).collect();
        for json in [
            array.clone(),
            format!(r#"{{"group_id":{GROUP},"key":{:?}}}"#, key()),
            format!(r#"{{"key":"{digits}","group_id":{GROUP}}}"#),
            format!(r#"{{"key":"{}","more":[{{}}],"group_id":{GROUP}}}"#, digits.to_uppercase()),
        ] {
            assert_eq!(parsed(&json), Some((GROUP, key())), "{json}");
        }
        let written = write(GROUP, &Secret::new(key()));
        assert_eq!(*written, encode_block(array.replace(' ', "").as_bytes()));
        let largest = parsed(&format!(r#"{{"group_id":{},"key":"{digits}"}}"#, u128::MAX));
        assert_eq!(largest.map(|(group, _)| group), Some(u128::MAX));
    }

    #[test]
    fn everything_else_is_told_by_its_sort_alone() {
        for text in ["", "*", "no base64", "a", &"A".repeat(TEXT_BYTES_MAX + 4)] {
            assert!(matches!(parse(text.as_bytes()), Err(Fault::NotBase64)), "{text}");
        }
        assert!(matches!(parse(&[0xFF; 4]), Err(Fault::NotBase64)));
        let digits = "00".repeat(32);
        for json in [
            "".into(),
            "null".into(),
            "48".into(),
            format!("{:?}", [0; 47]),
            format!("{:?}", [0; 49]),
            format!("{:?}", [256; 48]),
            format!("{:?}", [-1; 48]),
            format!("{:?}", [0.5; 48]),
            format!("{:?} 1", [0; 48]),
            format!(r#"{{"key":"{digits}"}}"#),
            r#"{"group_id":1}"#.into(),
            format!(r#"{{"group_id":1,"group_id":1,"key":"{digits}"}}"#),
            format!(r#"{{"group_id":1,"key":"{digits}00"}}"#),
            format!(r#"{{"group_id":1,"key":"{}zz"}}"#, &digits[2..]),
            format!(r#"{{"group_id":-1,"key":"{digits}"}}"#),
            format!(r#"{{"group_id":1e3,"key":"{digits}"}}"#),
            format!(r#"{{"group_id":340282366920938463463374607431768211456,"key":"{digits}"}}"#),
        ] {
            let text = encode_block(json.as_bytes());
            // Of nothing, nothing is the base64.
            let fault = if json.is_empty() { Fault::NotBase64 } else { Fault::NotReadable };
            assert_eq!(parse(text.as_bytes()).err(), Some(fault), "{json}");
        }
    }

    #[test]
    fn no_bytes_are_too_strange() {
        let mut state = 1_u32;
        let mut random = move || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        };
        let forms = [
            format!("{:?}", [7; 48]),
            format!(r#"{{"group_id":{GROUP},"key":{:?}}}"#, [7; 32]),
            format!(r#"{{"group_id":{GROUP},"key":"{}"}}"#, "07".repeat(32)),
        ];
        for round in 0..20_000 {
            let mut json = forms[round % forms.len()].clone().into_bytes();
            for _ in 0..=random() % 4 {
                let at = usize::from(random()) % json.len();
                json[at] = [random(), b"[]{},:\"0123456789"[usize::from(random()) % 17]][round / 3 % 2];
            }
            json.truncate(json.len().min(usize::from(random()) + 32));
            let mut text = encode_block(&json).into_bytes();
            if let Ok(secret) = parse(&text) {
                let written = write(secret.group, &secret.key);
                let again = parse(written.as_bytes()).ok().unwrap();
                assert!(again.group == secret.group && again.key.matches(secret.key.expose()));
            }
            let at = usize::from(random()) % text.len();
            text[at] = random();
            let _ = parse(&text);
        }
    }
}
