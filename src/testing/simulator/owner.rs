//! The owner of a server that waits for one (see `server/bootstrap.rs`): what is handed over, piece by piece, and what may
//! come of it. Every server is to be told anew: what the one before it was told is gone with it.
#![forbid(unsafe_code)]

use super::http::Reply;
use super::options::Options;
use super::secrets::Secrets;
use crate::bootstrap::guard::Guard;
use crate::crypto::{pkcs12, x509};
use crate::job::{Provided, Work};
use crate::secret::Secret;
use crate::server::BootstrapParts;
use crate::store::Store;
use crate::store::database::{Database, Place};
use crate::store::late::LateStore;
use crate::store::sealed::MasterSecret;
use crate::testing::choices::Choices;
use crate::testing::tls;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// The client that is the owner.
pub const OWNER_CLIENT: usize = 0;

/// What proves that it is the owner who asks.
const TOKEN: &str = "the token of the owner";
const WRONG_TOKEN: &str = "the token of a stranger";
/// Of the file with the certificate.
const PASSWORD: &str = "the password of the file";
const WRONG_PASSWORD: &str = "the password of another";
/// What the database is sealed with, where it is.
const MASTER_PASSWORD: &str = "the password of the database";
/// Where the owner wants the keys.
const FOLDER: &str = "/keys";
/// Where they would be if the owner said nothing.
const OTHER_FOLDER: &str = "/elsewhere";

/// What is handed over, or asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece {
    Folder { is_sealed: bool },
    Certificate,
    Password { right: bool },
    Start,
    Health,
}

impl Piece {
    /// The request, with this token.
    fn spell(self, token: Option<&str>) -> Vec<u8> {
        let json = "application/json";
        let (method, path, content_type, body) = match self {
            Piece::Folder { is_sealed } => {
                let master = format!(r#","master_password":"{MASTER_PASSWORD}""#);
                let master = if is_sealed { &master } else { "" };
                ("POST", "/sqlite", json, format!(r#"{{"path":"{FOLDER}"{master}}}"#).into_bytes())
            }
            Piece::Certificate => ("POST", "/pkcs12", "multipart/form-data; boundary=end", form(file())),
            Piece::Password { right } => {
                let password = if right { PASSWORD } else { WRONG_PASSWORD };
                ("POST", "/pkcs12-password", json, format!(r#"{{"password":"{password}"}}"#).into_bytes())
            }
            Piece::Start => ("POST", "/start", json, b"{}".to_vec()),
            Piece::Health => ("GET", "/health", json, Vec::new()),
        };
        let proof = token.map(|token| format!("Authorization: Bearer {token}\r\n")).unwrap_or_default();
        let length = body.len();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: keyway.example\r\n{proof}Content-Type: {content_type}\r\n\
             Content-Length: {length}\r\n\r\n"
        );
        [head.into_bytes(), body].concat()
    }
}

/// A form with one file (RFC 7578).
fn form(file: &[u8]) -> Vec<u8> {
    let before = "--end\r\nContent-Disposition: form-data; name=\"file\"; filename=\"server.p12\"\r\n\
                  Content-Type: application/octet-stream\r\n\r\n";
    [before.as_bytes(), file, b"\r\n--end--\r\n"].concat()
}

fn file() -> &'static [u8] {
    static FILE: OnceLock<Vec<u8>> = OnceLock::new();
    FILE.get_or_init(|| tls::pkcs12_file(PASSWORD))
}

/// A request of the owner, or of somebody who would like to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HandOver {
    piece: Piece,
    proof: Option<&'static str>,
}

impl HandOver {
    /// Any request of a stranger.
    pub fn by_stranger(choices: &mut Choices) -> HandOver {
        let pieces = [
            Piece::Folder { is_sealed: false },
            Piece::Certificate,
            Piece::Password { right: false },
            Piece::Start,
            Piece::Health,
        ];
        HandOver { piece: *choices.pick(&pieces), proof: *choices.pick(&[None, Some(WRONG_TOKEN)]) }
    }

    /// The request as it is sent.
    pub fn spell(self) -> Vec<u8> {
        self.piece.spell(self.proof)
    }
}

/// What the owner has done about the server that runs.
#[derive(Default)]
pub struct Owner {
    /// Pieces that it has taken, for all that the owner knows.
    taken: usize,
    /// It may have been told a wrong password.
    may_be_wrong: bool,
    /// It was told to start.
    started: bool,
    /// Starts that it has refused, of which the owner knows.
    refusals: usize,
}

impl Owner {
    /// The next request about such a server: it is to speak TLS if it has a certificate. Where nothing may go wrong any more,
    /// the owner makes no mistakes.
    pub fn next(&mut self, options: &Options, is_careful: bool, choices: &mut Choices) -> HandOver {
        let right = is_careful || !choices.one_in(6);
        let piece = match choices.below(8) {
            0 => Piece::Health,
            _ => match (self.taken, options.features.tls) {
                (0, _) => Piece::Folder { is_sealed: options.sealed },
                (1, true) => Piece::Certificate,
                (2, true) => Piece::Password { right },
                _ => Piece::Start,
            },
        };
        self.may_be_wrong |= piece == Piece::Password { right: false };
        self.started |= piece == Piece::Start;
        HandOver { piece, proof: Some(TOKEN) }
    }

    /// Whether the server may begin to serve.
    pub fn has_started(&self) -> bool {
        self.started
    }

    /// Holds an answer against the request. The server is `open` to its owner, or has turned to something else; it has
    /// refused so many starts.
    pub fn judge(&mut self, asked: HandOver, reply: &Reply, is_open: bool, refusals: usize) {
        let HandOver { piece, proof } = asked;
        let told = format!("{asked:?} was answered {}: {}", reply.status, reply.body.escape_ascii());
        let is_owner = proof == Some(TOKEN);
        match (reply.status, piece) {
            // It is starting; or it has started, of which everybody is told.
            (409, piece) => {
                let is_starting = is_owner && piece == Piece::Start;
                assert!(is_starting || !is_open, "{told}: it still waits");
            }
            (503, Piece::Health) => {}
            (401, piece) => {
                let is_due = !is_owner && piece != Piece::Health;
                assert!(is_due && reply.closes, "{told}: the owner is sent away");
            }
            _ if !is_owner => panic!("{told}: a stranger is let in"),
            (200, Piece::Start) => assert!(self.started, "{told}: nobody has asked for that"),
            (200, Piece::Folder { .. }) => self.taken = self.taken.max(1),
            (200, Piece::Certificate) => self.taken = self.taken.max(2),
            (200, Piece::Password { .. }) => self.taken = self.taken.max(3),
            // From the beginning.
            (400, Piece::Start) => {
                self.refusals += 1;
                assert!(self.refusals <= refusals, "{told}: all was well");
                self.taken = 0;
            }
            _ => panic!("{told}: that is no answer to it"),
        }
    }
}

/// What the server begins with.
pub fn bootstrap(is_guarded: bool, window: Option<Duration>, store: &Arc<LateStore>) -> BootstrapParts {
    BootstrapParts {
        identity: tls::identity(),
        pin: "the pin of its key".into(),
        guard: Guard::new(is_guarded.then(|| Secret::copy_of(TOKEN.as_bytes()))),
        window,
        database: Arc::new(Database { place: Place::Embedded(OTHER_FOLDER.into()), master: None }),
        store: Arc::clone(store),
    }
}

/// Opens what was handed over: what `job::run` does where there is a file system. `open` opens the database, with another
/// secret than the password, which would take as long as passwords do.
pub fn provide(
    work: Work,
    is_sealed: bool,
    open: impl FnOnce() -> Result<Arc<dyn Store>, String>,
) -> Result<Box<Provided>, String> {
    let Work::Provide { database, clear, pkcs12, now } = work else { unreachable!("see `Job::lane`") };
    let is_asked_for = !clear && database.place.folder() == Some(Path::new(FOLDER));
    assert!(is_asked_for, "{} is to be opened, cleared: {clear}", database.place);
    match database.master.as_deref() {
        None => assert!(!is_sealed, "the master password is lost"),
        Some(MasterSecret::Password { password, label }) => {
            let is_right = is_sealed && label.is_empty() && password.matches(MASTER_PASSWORD.as_bytes());
            assert!(is_right, "another master password than the owner's");
        }
        Some(MasterSecret::Key(_)) => panic!("a key that nobody has"),
    }
    let identity = match pkcs12 {
        None => None,
        Some((given, password)) => {
            assert!(given.matches(file()), "another file than the owner's");
            let bundle = pkcs12::open(given.expose(), &password).map_err(|error| error.to_string())?;
            Some(x509::identity(bundle, now).map_err(|error| error.to_string())?)
        }
    };
    Ok(Box::new(Provided { store: open()?, snapshots: None, folder: None, identity }))
}

/// Adds what nobody but the owner and the server is to see.
pub fn guard(secrets: &mut Secrets) {
    for (secret, name) in [
        (TOKEN, "the owner's token"),
        (PASSWORD, "the file's password"),
        (MASTER_PASSWORD, "the master password"),
    ] {
        secrets.add(secret.as_bytes(), name);
    }
    secrets.add(file(), "the owner's file");
    secrets.add(tls::private_key(), "the server's private key");
}
