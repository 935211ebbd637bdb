//! The clients and what they ask for.
#![forbid(unsafe_code)]

use super::kmip::Ask;
use super::model::{self, Model, SHARED};
use crate::limits::INLINE_BODY_BYTES_MAX;
use crate::server::event::ConnectionId;
use crate::testing::choices::Choices;
use crate::wire::kmip::dialect::Dialect;

/// Users that objects are granted to.
const USERS: [&str; 3] = ["*", "alice", "bob"];
const RIGHTS: [&str; 3] = ["decrypt", "encrypt", "get"];
/// Tags beside that of the client.
const TAGS: [&str; 2] = ["blue", "red"];

/// One client.
pub struct Client {
    /// How it spells KMIP.
    pub dialect: Dialect,
    /// Requests that it still wants to send.
    pub remaining: usize,
    /// Its connection, while it waits for answers on it.
    pub wire: Option<ConnectionId>,
    /// How many requests it sends before the first is answered.
    pub depth: usize,
    /// Whether it has large things to encrypt.
    large_bodies: bool,
    /// Identifiers that it has chosen.
    named: usize,
}

impl Client {
    /// A client with a script of a random length.
    pub fn new(large_bodies: bool, choices: &mut Choices) -> Client {
        Client {
            dialect: *choices.pick(&[Dialect::V4, Dialect::V5]),
            remaining: 10 + choices.below(60),
            wire: None,
            depth: 1 + choices.below(4),
            large_bodies,
            named: 0,
        }
    }

    /// The next request of the client with this index.
    pub fn compose(&mut self, index: usize, model: &Model, choices: &mut Choices) -> Ask {
        if choices.one_in(6) {
            return on_shared(choices);
        }
        let owned = &model.clients[index];
        let mut tags = vec![model::tag_of(index)];
        if choices.one_in(2) {
            tags.push((*choices.pick(&TAGS)).to_owned());
        }
        let active = choices.one_in(2);
        let may_exist: Vec<&String> =
            owned.keys.iter().filter(|(_, key)| key.may_exist()).map(|(uid, _)| uid).collect();
        let enough = may_exist.len() >= 6;
        if may_exist.is_empty() || (!enough && choices.one_in(5)) {
            self.named += 1;
            let uid = format!("c{index}-{}", self.named);
            return match choices.below(3) {
                0 => Ask::Create { uid: None, tags, active, bits: *choices.pick(&[128, 192, 256]) },
                1 => Ask::Create { uid: Some(uid), tags, active, bits: 256 },
                _ => Ask::Import { uid, tags, active, material: choices.bytes(32), replace: false },
            };
        }
        let uid = match choices.below(16) {
            0 => format!("c{index}-nowhere"),
            _ => (*choices.pick(&may_exist)).clone(),
        };
        if self.large_bodies && choices.one_in(4) {
            return Ask::Encrypt { uid, data: choices.bytes(INLINE_BODY_BYTES_MAX) };
        }
        // What may still be done by a request that nobody waits for is only looked at.
        let settled = owned.keys.get(&uid).is_none_or(|key| key.is_settled());
        let (user, right) = (*choices.pick(&USERS), *choices.pick(&RIGHTS));
        match choices.below(if settled { 35 } else { 20 }) {
            0..3 => Ask::Get { uid },
            3..6 => Ask::GetAttributes { uid },
            6..8 => Ask::Locate { tags },
            8..12 => {
                let bytes = choices.below(24);
                Ask::Encrypt { uid, data: choices.bytes(bytes) }
            }
            12..15 if !owned.sealed.is_empty() => Ask::Decrypt(choices.pick(&owned.sealed).clone()),
            12..15 => Ask::Version { head_only: choices.one_in(2) },
            15 => Ask::ListAccess { uid },
            16 => Ask::ListOwned,
            17 => Ask::Health,
            18..20 => rubbish(choices),
            20..23 => Ask::Activate { uid },
            23..26 => Ask::Revoke { uid, compromised: choices.one_in(3) },
            26..28 => Ask::Destroy { uid, remove: choices.one_in(3) },
            28 => Ask::Create { uid: Some(uid), tags, active, bits: 256 },
            29 => Ask::Import { uid, tags, active, material: choices.bytes(16), replace: choices.one_in(2) },
            30..32 => Ask::SetAttribute { uid, tags },
            32 => Ask::ReKey { uid },
            33 => Ask::Grant { uid, user, right },
            _ => Ask::Withdraw { uid, user, right },
        }
    }
}

fn on_shared(choices: &mut Choices) -> Ask {
    let uid = (*choices.pick(&SHARED)).to_owned();
    match choices.below(10) {
        0..2 => {
            let tags = vec!["shared".to_owned()];
            Ask::Create { uid: Some(uid), tags, active: choices.one_in(3), bits: 256 }
        }
        2 => Ask::Activate { uid },
        3 => Ask::Revoke { uid, compromised: choices.one_in(2) },
        4 => Ask::Destroy { uid, remove: false },
        5..7 => Ask::Get { uid },
        7..9 => Ask::GetAttributes { uid },
        _ => Ask::Encrypt { uid, data: choices.bytes(8) },
    }
}

fn rubbish(choices: &mut Choices) -> Ask {
    let post = |path: &str, body: &str| {
        let head = format!("POST {path} HTTP/1.1\r\nHost: keyway.example\r\n");
        format!("{head}Content-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
    };
    let (bytes, statuses): (Vec<u8>, &'static [u16]) = match choices.below(9) {
        0 => (b"what is this?\r\n\r\n".to_vec(), &[400]),
        1 => (b"GET /version HTTP/1.1\r\n\r\n".to_vec(), &[400]),
        2 => (b"GET /nothing HTTP/1.1\r\nHost: a\r\n\r\n".to_vec(), &[404]),
        3 => (post("/kmip/2_1", "{\"tag\":\"Get\",\"value\":"), &[422]),
        4 => (post("/kmip/2_1", "{\"tag\":\"Dance\",\"value\":[]}"), &[404]),
        5 => (post("/access/grant", "{}"), &[400]),
        6 => {
            let head = b"POST /kmip/2_1 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n";
            (head.to_vec(), &[400])
        }
        7 => {
            let head = "GET /version HTTP/1.1\r\nHost: a\r\nX: ";
            ([head.as_bytes(), &vec![b'x'; 20_000], b"\r\n\r\n"].concat(), &[431])
        }
        _ => {
            let head = b"POST /kmip/2_1 HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999\r\n\r\n";
            (head.to_vec(), &[413])
        }
    };
    Ask::Rubbish { bytes, statuses }
}
