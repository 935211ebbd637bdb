//! What the owner has handed over so far. The order of the hand-overs is free, and the last one of a kind counts.
#![forbid(unsafe_code)]

use crate::limits;
use crate::secret::{self, Secret};
use crate::wire::json::{Error, Lexer};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// Bytes of a path or a password in a hand-over.
const TEXT_BYTES_MAX: usize = 4096;

/// A hand-over that is not taken: one sentence for the owner.
pub type Fault = String;

/// What was received.
#[derive(Default)]
pub struct Provision {
    /// The folder of the embedded database.
    pub database: Option<PathBuf>,
    /// The PKCS#12 file.
    pub pkcs12: Option<Secret>,
    /// Its password.
    pub password: Option<Secret>,
}

impl Provision {
    /// Takes the parameters of the embedded database: `{"path": "/folder"}`.
    pub fn take_database(&mut self, body: &mut [u8]) -> Result<&'static str, Fault> {
        let path = member(body, "path")?;
        let path = path.expose_str().unwrap_or_default();
        if !Path::new(path).is_absolute() || path.contains('\0') {
            return Err("path must be absolute: begin it with a slash".into());
        }
        self.database = Some(PathBuf::from(path));
        Ok("Successfully received Sqlite configuration")
    }

    /// Takes a PKCS#12 file. It is opened at the start only, when its password is there.
    pub fn take_pkcs12(&mut self, parts: &[&[u8]]) -> Result<String, Fault> {
        let bytes: usize = parts.iter().map(|part| part.len()).sum();
        if bytes == 0 {
            return Err("there is no file: send it as a part of the type application/octet-stream".into());
        }
        if bytes > limits::PKCS12_BYTES_MAX {
            return Err(format!("a PKCS#12 file has at most {} bytes", limits::PKCS12_BYTES_MAX));
        }
        // All are a sequence (RFC 7292 section 4), in DER or BER.
        if parts.iter().find_map(|part| part.first()) != Some(&0x30) {
            return Err("the file is no PKCS#12 file".into());
        }
        let mut file = Vec::with_capacity(bytes);
        parts.iter().for_each(|part| file.extend_from_slice(part));
        self.pkcs12 = Some(Secret::new(file));
        Ok(format!("PKCS#12 of {bytes} bytes received"))
    }

    /// Takes the password of the PKCS#12 file: `{"password": "text"}`.
    pub fn take_password(&mut self, body: &mut [u8]) -> Result<&'static str, Fault> {
        self.password = Some(member(body, "password")?);
        Ok("PKCS#12 password received")
    }
}

/// Reads the body of `/start`: whether the database is to be cleared. An empty body asks for nothing.
pub fn clear_database(body: &mut [u8]) -> Result<bool, Fault> {
    if body.trim_ascii().is_empty() {
        return Ok(false);
    }
    let read = |lexer: &mut Lexer<'_>| -> Result<bool, Error> {
        let mut clear = false;
        lexer.open_object()?;
        while let Some(name) = lexer.member()? {
            match name {
                "clear_database" => clear = lexer.boolean()?,
                _ => lexer.skip()?,
            }
        }
        lexer.end()?;
        Ok(clear)
    };
    read(&mut Lexer::new(body)).map_err(|error| format!("Json deserialize error: {error}"))
}

/// The text of one member of a JSON object; the body is overwritten.
fn member(body: &mut [u8], wanted: &str) -> Result<Secret, Fault> {
    let mut copy = Zeroizing::new(body.to_vec());
    body.fill(0);
    let read = |lexer: &mut Lexer<'_>| -> Result<Secret, Error> {
        let mut found = None;
        lexer.open_object()?;
        while let Some(name) = lexer.member()? {
            if name == wanted {
                found = Some(Secret::copy_of(lexer.string()?.as_bytes()));
            } else {
                lexer.skip()?;
            }
        }
        let found = found.ok_or_else(|| lexer.data(format!("missing field `{wanted}`")))?;
        lexer.end()?;
        Ok(found)
    };
    let found = read(&mut Lexer::new(&mut copy)).map_err(|error| format!("Json deserialize error: {error}"));
    secret::clear(&mut copy);
    match found {
        Ok(text) if text.expose().len() > TEXT_BYTES_MAX => {
            Err(format!("{wanted} has at most {TEXT_BYTES_MAX} bytes"))
        }
        found => found,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_of_a_kind_counts_and_bodies_are_overwritten() {
        let mut provision = Provision::default();
        for path in ["/first", "/cosmian-kms/sqlite-data"] {
            let mut body = format!(r#"{{"path": "{path}"}}"#).into_bytes();
            assert_eq!(provision.take_database(&mut body), Ok("Successfully received Sqlite configuration"));
        }
        assert_eq!(provision.database.as_deref(), Some(Path::new("/cosmian-kms/sqlite-data")));
        let mut body = *br#"{"password": "PKCS12\u0070assword"}"#;
        assert_eq!(provision.take_password(&mut body), Ok("PKCS#12 password received"));
        assert!(provision.password.as_ref().unwrap().matches(b"PKCS12password"));
        assert!(body.iter().all(|byte| *byte == 0));
        assert_eq!(provision.take_pkcs12(&[&[0x30, 1], &[2]]), Ok("PKCS#12 of 3 bytes received".into()));
        assert!(provision.pkcs12.unwrap().matches(&[0x30, 1, 2]));
    }

    #[test]
    fn what_is_wrong_is_said_and_changes_nothing() {
        let mut provision = Provision::default();
        let mut take = |body: &str| provision.take_database(&mut body.as_bytes().to_vec()).unwrap_err();
        assert_eq!(
            take(r#"{"nope": 1}"#),
            "Json deserialize error: missing field `path` at line 1 column 11"
        );
        assert_eq!(take(r#"{"path": "relative"}"#), "path must be absolute: begin it with a slash");
        assert!(take("").starts_with("Json deserialize error: "));
        assert!(take(&format!(r#"{{"path": "/{}"}}"#, "x".repeat(5000))).contains("at most"));
        assert!(provision.database.is_none());
        assert!(provision.take_pkcs12(&[]).unwrap_err().contains("application/octet-stream"));
        assert_eq!(provision.take_pkcs12(&[b"text"]), Err("the file is no PKCS#12 file".into()));
        assert!(provision.take_pkcs12(&[&vec![0x30; limits::PKCS12_BYTES_MAX + 1]]).is_err());
    }

    #[test]
    fn a_start_may_clear_the_database() {
        let clear = |body: &str| clear_database(&mut body.as_bytes().to_vec());
        assert_eq!(clear(r#"{"clear_database": false}"#), Ok(false));
        assert_eq!(clear(r#"{"clear_database": true}"#), Ok(true));
        assert_eq!(clear("{}"), Ok(false));
        assert_eq!(clear(""), Ok(false));
        assert!(clear(r#"{"clear_database": 1}"#).is_err());
    }
}
