//! The operations of KMIP through the pipeline, as clients of both generations spell them: recorded sessions with the
//! original servers replayed, and what they do not show.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "a test may fail")]

use keyway::entropy::Entropy;
use keyway::kms::access::Direction;
use keyway::kms::policy::Principal;
use keyway::pipeline::{self, Asker, Call, Endpoint, Place};
use keyway::store::Store;
use keyway::store::memory::MemoryStore;
use keyway::time::Timestamp;
use keyway::wire::json::Lexer;
use std::collections::BTreeMap;

/// Bytes that differ from call to call, and are the same in every run.
struct Counter(u8);

impl Entropy for Counter {
    fn fill(&mut self, bytes: &mut [u8]) {
        for byte in bytes {
            self.0 = self.0.wrapping_add(1);
            *byte = self.0;
        }
    }
}

struct Kms {
    store: MemoryStore,
    entropy: Counter,
    now: i64,
}

impl Kms {
    fn new() -> Kms {
        Kms { store: MemoryStore::new(), entropy: Counter(0), now: 1_795_460_400 }
    }

    /// The status and body of the answer to a request of `user`.
    fn ask(&mut self, user: &str, endpoint: Endpoint, body: &str) -> (u16, String) {
        let asker = Asker { principal: Principal(user.into()), now: Timestamp::from_unix(self.now) };
        let mut call = Call { endpoint, asker, body: body.as_bytes().to_vec().into() };
        let place = pipeline::place(&call.endpoint, &call.body);
        let (answer, body) = if place == Place::Lane(keyway::job::Lane::Store) {
            let mut calls = [call];
            pipeline::write(&mut calls, &self.store, &mut self.entropy).unwrap().remove(0)
        } else {
            let mut out = Vec::new();
            let view = self.store.read().unwrap();
            let answer = pipeline::read(
                &call.endpoint,
                &call.asker,
                &mut call.body,
                &*view,
                &mut self.entropy,
                &mut out,
            );
            (answer.unwrap(), out.into())
        };
        (answer.status, String::from_utf8(body.to_vec()).unwrap())
    }

    fn kmip(&mut self, user: &str, body: &str) -> (u16, String) {
        self.ask(user, Endpoint::Kmip, body)
    }
}


/// What stands in a recorded session for what differs from run to run: identifiers, keys, nonces, ciphertexts.
#[derive(Default)]
struct Substitutes(BTreeMap<String, String>);

impl Substitutes {
    fn apply(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, (recorded, ours)| text.replace(recorded, ours))
    }

    /// Compares an answer with the recorded one, string by string; where both are random, remembers the pair.
    fn compare(&mut self, recorded: &str, ours: &str) {
        let (mut a, mut b) = (strings(&self.apply(recorded)), strings(ours));
        if recorded.contains("LocateResponse") || recorded.starts_with('[') {
            // Neither server promises an order of these.
            a.sort();
            b.sort();
        }
        assert_eq!(a.len(), b.len(), "\nrecorded {recorded}\nours     {ours}");
        for (a, b) in a.into_iter().zip(b) {
            let is_date = |s: &str| Timestamp::parse_rfc3339(s).is_some();
            let is_random = |s: &str| s.len() >= 8 && s.bytes().all(|c| c.is_ascii_hexdigit() || c == b'-');
            if a == b || is_date(&a) && is_date(&b) {
                continue;
            }
            assert!(is_random(&a) && is_random(&b) && a.len() == b.len(), "recorded {a}, ours {b}\n{ours}");
            self.0.insert(a, b);
        }
    }
}

fn strings(text: &str) -> Vec<String> {
    text.split('"').map(str::to_owned).collect()
}

struct Exchange {
    path: String,
    request: String,
    status: u16,
    response: String,
}

fn session(lines: &str) -> Vec<Exchange> {
    let exchange = |line: &str| {
        let mut line = line.as_bytes().to_vec();
        let mut lexer = Lexer::new(&mut line);
        let mut members: BTreeMap<String, String> = BTreeMap::new();
        let mut status = 0;
        lexer.open_object().unwrap();
        while let Some(name) = lexer.member().unwrap() {
            match name {
                "status" => status = u16::try_from(lexer.integer().unwrap()).unwrap(),
                name => drop(members.insert(name.to_owned(), lexer.string().unwrap().to_owned())),
            }
        }
        let mut take = |name| members.remove(name).unwrap();
        Exchange { path: take("path"), request: take("request"), status, response: take("response") }
    };
    lines.lines().map(exchange).collect()
}

fn endpoint(path: &str) -> Endpoint {
    match path {
        "/kmip/2_1" => Endpoint::Kmip,
        "/access/grant" => Endpoint::ChangeAccess(Direction::Grant),
        "/access/revoke" => Endpoint::ChangeAccess(Direction::Revoke),
        "/access/owned" => Endpoint::ListOwned,
        "/access/obtained" => Endpoint::ListObtained,
        path => Endpoint::ListAccess(path.strip_prefix("/access/list/").unwrap().to_owned()),
    }
}

/// Replays a recorded session; `deviations` are the (status, text) of ours where we answer otherwise on purpose.
fn replay(lines: &str, deviations: &[(u16, &str)]) {
    let (mut kms, mut substitutes) = (Kms::new(), Substitutes::default());
    let mut deviations = deviations.iter();
    for exchange in session(lines) {
        let (path, request) = (substitutes.apply(&exchange.path), substitutes.apply(&exchange.request));
        let (status, response) = kms.ask("admin", endpoint(&path), &request);
        if exchange.status == 500 {
            let (our_status, our_text) = deviations.next().unwrap();
            assert_eq!((status, response.as_str()), (*our_status, *our_text));
            continue;
        }
        assert_eq!(status, exchange.status, "{path} {request}\nrecorded {}\nours {response}", exchange.response);
        substitutes.compare(&exchange.response, &response);
    }
    assert!(deviations.next().is_none());
}

#[test]
fn a_session_with_4_9_1_is_answered_alike() {
    // An identifier that is taken is the client's fault, not ours.
    replay(
        include_str!("conformance/v4_session.jsonl"),
        &[(422, "Database Error: Ext. store error: one or more objects already exist")],
    );
}

#[test]
fn a_session_with_5_28_is_answered_alike() {
    replay(include_str!("conformance/v5_session.jsonl"), &[]);
}
