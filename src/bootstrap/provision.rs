//! What the owner has handed over so far. The order of the hand-overs is free, and the last one of a kind counts.
#![forbid(unsafe_code)]

use crate::limits;
use crate::secret::{Buffer, Secret};
use crate::store::database::{Database, OWN_SECRETS, Place};
use crate::store::remote::{self, Kind};
use crate::store::sealed::MasterSecret;
use crate::wire::json::{Error, Lexer};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Bytes of a path or a password in a hand-over.
const TEXT_BYTES_MAX: usize = 4096;

/// A hand-over that is not taken: one sentence for the owner.
pub type Fault = String;

/// What was received.
#[derive(Default)]
pub struct Provision {
    /// Where the keys are to be.
    pub database: Option<Arc<Database>>,
    /// The PKCS#12 file.
    pub pkcs12: Option<Secret>,
    /// Its password.
    pub password: Option<Secret>,
}

impl Provision {
    /// Takes the parameters of the embedded database: `{"path": "/folder"}`, and perhaps `"master_password": "text"`. Without
    /// the latter, it is sealed as the command line says.
    pub fn take_database(
        &mut self,
        body: &mut [u8],
        master: Option<Arc<MasterSecret>>,
    ) -> Result<&'static str, Fault> {
        let [path, password] = members(body, ["path"], ["master_password"])?;
        let (place, given) = (Place::Embedded(folder(path)?), given_master(password, String::new())?);
        self.database = Some(Arc::new(Database { place, master: given.or(master) }));
        Ok("Successfully received Sqlite configuration")
    }

    /// Takes a database elsewhere: `{"url": "mysql://.."}`, and perhaps `"master_password": "text"`. Of Redis,
    /// `"master_password"` and `"findex_label"` are needed: what is kept there was always encrypted.
    pub fn take_remote(
        &mut self,
        kind: Kind,
        body: &mut [u8],
        master: Option<Arc<MasterSecret>>,
    ) -> Result<&'static str, Fault> {
        let [url, password, label] = match kind {
            Kind::Redis => members(body, ["url", "master_password", "findex_label"], [])?,
            Kind::MySql | Kind::PostgreSql => {
                let [url, password] = members(body, ["url"], ["master_password"])?;
                [url, password, None]
            }
        };
        let url = url.unwrap_or(Secret::new(Vec::new()));
        remote::check(&url, kind).map_err(|error| error.to_string())?;
        let label = label.as_ref().and_then(Secret::expose_str).unwrap_or_default().to_owned();
        let given = given_master(password, label)?;
        let place = Place::Remote { kind, url, certificate: None };
        self.database = Some(Arc::new(Database { place, master: given.or(master) }));
        Ok(match kind {
            Kind::Redis => "Successfully received Redis-Findex configuration",
            Kind::PostgreSql => "Successfully received PostgreSQL configuration",
            Kind::MySql => "Successfully received MySql/MariaDB configuration",
        })
    }

    /// Takes the folder of the databases of tenants: `{"path": "/folder"}`; `open_max` of them are open at a time. They are not
    /// sealed with a master secret, be it in the hand-over or on the command line.
    pub fn take_tenants(
        &mut self,
        body: &mut [u8],
        open_max: usize,
        has_master: bool,
    ) -> Result<&'static str, Fault> {
        let [path, password] = members(body, ["path"], ["master_password"])?;
        let folder = folder(path)?;
        if has_master || password.is_some() {
            return Err(OWN_SECRETS.into());
        }
        self.database = Some(Arc::new(Database { place: Place::Tenants { folder, open_max }, master: None }));
        Ok("Successfully received Sqlite Enc. configuration")
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
        let [password] = members(body, ["password"], [])?;
        self.password = password;
        Ok("PKCS#12 password received")
    }
}

fn given_master(password: Option<Secret>, label: String) -> Result<Option<Arc<MasterSecret>>, Fault> {
    match password {
        Some(password) if password.expose().is_empty() => {
            Err("master_password is empty: leave it out for a database that is not sealed".into())
        }
        password => Ok(password.map(|password| Arc::new(MasterSecret::password(password, label)))),
    }
}

fn folder(path: Option<Secret>) -> Result<PathBuf, Fault> {
    let path = path.as_ref().and_then(Secret::expose_str).unwrap_or_default();
    if !Path::new(path).is_absolute() || path.contains('\0') {
        return Err("path must be absolute: begin it with a slash".into());
    }
    Ok(PathBuf::from(path))
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

/// The texts of members of a JSON object, first those that must be there; the body is overwritten.
fn members<const M: usize, const N: usize, const ALL: usize>(
    body: &mut [u8],
    needed: [&str; M],
    others: [&str; N],
) -> Result<[Option<Secret>; ALL], Fault> {
    const { assert!(M + N == ALL) };
    let mut copy = Buffer::new(body.to_vec());
    body.fill(0);
    let names = || needed.iter().chain(&others);
    let mut found = [const { None }; ALL];
    let mut read = |lexer: &mut Lexer<'_>| -> Result<(), Error> {
        lexer.open_object()?;
        while let Some(name) = lexer.member()? {
            match names().position(|wanted| *wanted == name) {
                Some(at) => found[at] = Some(Secret::copy_of(lexer.string()?.as_bytes())),
                None => lexer.skip()?,
            }
        }
        if let Some(missing) =
            needed.iter().zip(&found).find_map(|(name, text)| text.is_none().then_some(name))
        {
            return Err(lexer.data(format!("missing field `{missing}`")));
        }
        lexer.end()
    };
    let read = read(&mut Lexer::new(&mut copy));
    copy.wipe();
    read.map_err(|error| format!("Json deserialize error: {error}"))?;
    for (name, text) in names().zip(&found) {
        if text.as_ref().is_some_and(|text| text.expose().len() > TEXT_BYTES_MAX) {
            return Err(format!("{name} has at most {TEXT_BYTES_MAX} bytes"));
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_of_a_kind_counts_and_bodies_are_overwritten() {
        let mut provision = Provision::default();
        for path in ["/first", "/cosmian-kms/sqlite-data"] {
            let mut body = format!(r#"{{"path": "{path}"}}"#).into_bytes();
            assert_eq!(
                provision.take_database(&mut body, None),
                Ok("Successfully received Sqlite configuration")
            );
        }
        let database = provision.database.take().unwrap();
        assert!(database.place.to_string() == "/cosmian-kms/sqlite-data" && database.master.is_none());
        let mut body = br#"{"path": "/sealed", "master_password": "Horse"}"#.to_vec();
        provision.take_database(&mut body, None).unwrap();
        assert!(provision.database.as_ref().unwrap().master.is_some() && body.iter().all(|byte| *byte == 0));
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
        let mut take = |body: &str| provision.take_database(&mut body.as_bytes().to_vec(), None).unwrap_err();
        assert_eq!(
            take(r#"{"nope": 1}"#),
            "Json deserialize error: missing field `path` at line 1 column 11"
        );
        assert_eq!(take(r#"{"path": "relative"}"#), "path must be absolute: begin it with a slash");
        assert!(take("").starts_with("Json deserialize error: "));
        assert!(take(&format!(r#"{{"path": "/{}"}}"#, "x".repeat(5000))).contains("at most"));
        assert_eq!(
            take(r#"{"path": "/a", "master_password": ""}"#),
            "master_password is empty: leave it out for a database that is not sealed"
        );
        assert!(provision.database.is_none());
        assert!(provision.take_pkcs12(&[]).unwrap_err().contains("application/octet-stream"));
        assert_eq!(provision.take_pkcs12(&[b"text"]), Err("the file is no PKCS#12 file".into()));
        assert!(provision.take_pkcs12(&[&vec![0x30; limits::PKCS12_BYTES_MAX + 1]]).is_err());
    }

    #[test]
    fn databases_elsewhere_have_urls() {
        let mut provision = Provision::default();
        let mut take = |kind, body: &str| provision.take_remote(kind, &mut body.as_bytes().to_vec(), None);
        for (kind, body, told) in [
            (
                Kind::Redis,
                r#"{"url": "redis://redis-server:6379", "master_password":"password","findex_label":"label"}"#,
                "Successfully received Redis-Findex configuration",
            ),
            (
                Kind::PostgreSql,
                r#"{"url": "postgresql://postgres-server:5432"}"#,
                "Successfully received PostgreSQL configuration",
            ),
            (
                Kind::MySql,
                r#"{"url": "mysql://u:hidden@mysql-server:3306", "master_password": "p"}"#,
                "Successfully received MySql/MariaDB configuration",
            ),
        ] {
            assert_eq!(take(kind, body), Ok(told));
        }
        for (kind, body, told) in [
            (Kind::PostgreSql, r#"{"url": "notaurl"}"#, "its URL cannot be read"),
            (Kind::MySql, r#"{"nope": 1}"#, "missing field `url`"),
            (Kind::MySql, r#"{"url": "redis://u:hidden@h"}"#, "its URL is of another kind"),
            (Kind::Redis, r#"{"url": "redis://h"}"#, "missing field `master_password`"),
            (Kind::MySql, r#"{"url": "mysql://h", "master_password": ""}"#, "master_password is empty"),
        ] {
            let fault = take(kind, body).unwrap_err();
            assert!(fault.contains(told) && !fault.contains("hidden"), "{fault}");
        }
        let database = provision.database.unwrap();
        assert_eq!(database.place.to_string(), "mysql://u@mysql-server:3306");
        assert!(database.master.is_some());
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
