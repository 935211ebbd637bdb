//! Exchanges between original clients and servers, and what differs from one run to another.

use keyway::time::Timestamp;
use keyway::wire::json::Lexer;
use std::collections::BTreeMap;

/// What stands in a recorded session for what differs from run to run: identifiers, keys, nonces, ciphertexts.
#[derive(Default)]
pub struct Substitutes(BTreeMap<String, String>);

impl Substitutes {
    pub fn apply(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, (recorded, ours)| text.replace(recorded, ours))
    }

    /// What differs between an answer and the recorded one, string by string, if anything does; where both are random,
    /// the pair is remembered.
    pub fn difference(&mut self, recorded: &str, ours: &str) -> Option<String> {
        let (mut a, mut b) = (strings(&self.apply(recorded)), strings(ours));
        if recorded.contains("LocateResponse") || recorded.starts_with('[') {
            // Neither server promises an order of these.
            a.sort();
            b.sort();
        }
        if a.len() != b.len() {
            return Some(format!("recorded {recorded}\nours     {ours}"));
        }
        for (a, b) in a.into_iter().zip(b) {
            let is_date = |s: &str| Timestamp::parse_rfc3339(s).is_some();
            let is_random = |s: &str| s.len() >= 8 && s.bytes().all(|c| c.is_ascii_hexdigit() || c == b'-');
            if a == b || is_date(&a) && is_date(&b) {
                continue;
            }
            if !is_random(&a) || !is_random(&b) || a.len() != b.len() {
                return Some(format!("recorded {a}, ours {b}\n{ours}"));
            }
            self.0.insert(a, b);
        }
        None
    }
}

/// What stands between quotes, and what between those.
pub fn strings(text: &str) -> Vec<String> {
    text.split('"').map(str::to_owned).collect()
}

/// A request and its answer.
pub struct Exchange {
    pub path: String,
    pub request: String,
    pub status: u16,
    pub response: String,
}

/// One exchange a line, as JSON.
pub fn session(lines: &str) -> Vec<Exchange> {
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
