//! A server that many users ask for operations.

use super::super::support::requests::{active, bytes, create, integer, tags, value_of};
use super::super::support::{Client, Scratch, Server, tcp, wait_for};
use super::requests::{Spelling, key, request};
use super::{Answer, BINARY, JSON, Users, http};
use std::collections::HashMap;
use std::io::{BufReader, Write};
use std::net::TcpStream;

/// A server that is asked by many, on one connection.
pub struct Kms {
    users: Users,
    tokens: HashMap<String, String>,
    stream: BufReader<TcpStream>,
    made: usize,
    sealed: Vec<String>,
    _server: Server,
    _scratch: Scratch,
}

pub const OWNER: &str = "owner";
pub const STRANGER: &str = "stranger";
/// What objects are called that are there, and one that is not: all names have one length.
pub const SEEN: &str = "seen-0";
pub const GONE: &str = "gone-0";
/// A tag of an object that nobody was granted anything on.
pub const TAG: &str = "tagged";

impl Kms {
    pub fn start(more: &[&str]) -> Kms {
        let (users, scratch) = (Users::new(), Scratch::new());
        let options = users.options();
        let options: Vec<&str> = options.iter().map(String::as_str).chain(more.iter().copied()).collect();
        let server = Server::start(scratch.path(), &options);
        wait_for("the keys", || (Client::connect(server.port).get("/health/ready").0 == 200).then_some(()));
        let mut kms = Kms {
            users,
            tokens: HashMap::new(),
            stream: BufReader::new(tcp(server.port)),
            made: 0,
            sealed: Vec::new(),
            _server: server,
            _scratch: scratch,
        };
        kms.done(OWNER, &key(SEEN, true, "00"));
        let answer = kms.done(OWNER, &request("Encrypt", SEEN, "", &[]));
        kms.sealed = ["Data", "IVCounterNonce", "AuthenticatedEncryptionTag"]
            .map(|tag| bytes(tag, &value_of(tag, &answer)))
            .to_vec();
        let tags = tags(&format!("[{TAG:?}]"));
        kms.done(OWNER, &create("secret", &[active(), integer("CryptographicUsageMask", 0x38C), tags]));
        kms
    }

    pub fn send(
        &mut self,
        user: &str,
        (method, path): (&str, &str),
        content_type: &str,
        body: &[u8],
    ) -> Answer {
        let users = &self.users;
        let token = self.tokens.entry(user.to_owned()).or_insert_with(|| users.token(user));
        let request = http(method, path, Some(token), content_type, body);
        self.stream.get_mut().write_all(&request).unwrap();
        Answer::read(&mut self.stream, false).unwrap()
    }

    /// The answer to a request in this spelling.
    pub fn ask(&mut self, user: &str, spelling: Spelling, request: &str) -> Answer {
        let (path, body) = spelling.write(request);
        self.send(user, ("POST", path), if spelling == Spelling::Binary { BINARY } else { JSON }, &body)
    }

    #[track_caller]
    pub fn done(&mut self, user: &str, request: &str) -> String {
        let answer = self.ask(user, Spelling::V5, request);
        assert_eq!(answer.status, 200, "{request}\n{}", answer.text());
        answer.text()
    }

    #[track_caller]
    pub fn grant(&mut self, user: &str, uid: Option<&str>, rights: &[&str]) {
        let uid = uid.map_or(String::new(), |uid| format!(r#""unique_identifier":"{uid}","#));
        let body = format!(r#"{{{uid}"user_id":"{user}","operation_types":{rights:?}}}"#);
        let answer = self.send(OWNER, ("POST", "/access/grant"), JSON, body.as_bytes());
        assert_eq!(answer.status, 200, "{body}\n{}", answer.text());
    }

    /// A new object of the owner that the operation can be done on.
    pub fn object_for(&mut self, operation: &str) -> String {
        let uid = self.new_uid();
        let is_active = !["Activate", "Destroy"].contains(&operation);
        self.done(OWNER, &key(&uid, is_active, "00"));
        uid
    }

    pub fn new_uid(&mut self) -> String {
        self.made += 1;
        format!("made-{}", self.made)
    }

    pub fn request(&mut self, row: &str, uid: &str) -> String {
        let made = self.new_uid();
        request(row, uid, &made, &self.sealed)
    }

    /// Whether the operation is done; the answer otherwise.
    pub fn try_to(&mut self, user: &str, spelling: Spelling, row: &str, uid: &str) -> Result<(), Answer> {
        let request = self.request(row, uid);
        let answer = self.ask(user, spelling, &request);
        let is_done = spelling.is_success(&answer) && (row != "Locate" || answer.text().contains(uid));
        if is_done { Ok(()) } else { Err(answer) }
    }

    /// What differs between the answers about an object, by its identifier or [`TAG`], and about one that is not there;
    /// nothing, where it is hidden.
    pub fn shows(&mut self, user: &str, spelling: Spelling, row: &str, uid: &str) -> Option<String> {
        assert_eq!(uid.len(), GONE.len());
        let about = match uid {
            TAG => self.request(row, &format!("[{TAG:?}]")),
            uid => self.request(row, uid),
        };
        let gone = about.replace(uid, GONE);
        let [about, gone] = [about, gone].map(|request| self.ask(user, spelling, &request));
        difference(&about, &gone, uid, spelling)
    }
}

/// What differs between two answers beside the identifier and the time.
pub fn difference(about: &Answer, gone: &Answer, uid: &str, spelling: Spelling) -> Option<String> {
    let told = |answer: &Answer| {
        let body = without_time(spelling, answer.body.clone());
        (answer.head.clone(), replaced(body, uid.as_bytes(), GONE.as_bytes()))
    };
    (told(about) != told(gone)).then(|| format!("{}\n    {}", about.text(), gone.text()))
}

fn replaced(mut bytes: Vec<u8>, from: &[u8], to: &[u8]) -> Vec<u8> {
    for at in 0..bytes.len().saturating_sub(from.len() - 1) {
        if bytes[at..].starts_with(from) {
            bytes[at..at + to.len()].copy_from_slice(to);
        }
    }
    bytes
}

/// Messages tell the time at their beginning.
fn without_time(spelling: Spelling, mut body: Vec<u8>) -> Vec<u8> {
    let (tag, bytes): (&[u8], usize) = match spelling {
        Spelling::V4 | Spelling::V5 => return body,
        Spelling::Message => (br#""TimeStamp","type":"DateTime","value":""#, 20),
        Spelling::Binary => (b"\x42\x00\x92\x09\x00\x00\x00\x08", 8),
    };
    let at = body.windows(tag.len()).position(|window| window == tag).unwrap() + tag.len();
    body[at..at + bytes].fill(b'0');
    body
}
