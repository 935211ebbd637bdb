//! A whole session of the original 4.9.1 client and server, replayed against the real server: every answer is the recorded
//! one but for what `conformance/plain_http.differences` lists and argues.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod support;

use std::collections::BTreeMap;
use support::recorded::{Substitutes, session};
use support::{Client, Scratch, Server};

/// How ours differs: its status, what its answer begins with, and why that is better.
struct Difference {
    status: u16,
    begins: String,
}

/// By the number of the exchange. A line is that, the status, the beginning of the answer and the reason.
fn differences() -> BTreeMap<usize, Difference> {
    let lines = include_str!("conformance/plain_http.differences").lines();
    let lines = lines.filter(|line| !line.starts_with('#') && !line.is_empty());
    let difference = |line: &str| {
        let parts: Vec<_> = line.split(" | ").collect();
        let [number, status, begins, why] = parts[..] else { panic!("{line}") };
        assert!(!why.is_empty(), "{line}");
        (number.parse().unwrap(), Difference { status: status.parse().unwrap(), begins: begins.to_owned() })
    };
    lines.map(difference).collect()
}

#[test]
fn a_session_with_4_9_1_is_answered_alike() {
    let scratch = Scratch::new();
    let server = Server::start(scratch.path(), &[]);
    let mut client = Client::connect(server.port);
    let (mut differences, mut substitutes) = (differences(), Substitutes::default());
    for (number, exchange) in session(include_str!("conformance/plain_http.jsonl")).into_iter().enumerate() {
        let (path, request) = (substitutes.apply(&exchange.path), substitutes.apply(&exchange.request));
        let (status, answer) = match exchange.request.is_empty() {
            true => client.get(&path),
            false => client.post(&path, &request),
        };
        let found = match status == exchange.status {
            true => substitutes.difference(&exchange.response, &answer),
            false => Some(format!(
                "recorded {} {}\nours     {status} {answer}",
                exchange.status, exchange.response
            )),
        };
        match (found, differences.remove(&number)) {
            (None, None) => {}
            (Some(_), Some(argued)) if status == argued.status && answer.starts_with(&argued.begins) => {}
            (found, argued) => panic!(
                "exchange {number}: {path} {request}\n{}\nargued: {:?}",
                found.unwrap_or_else(|| "is answered alike".into()),
                argued.map(|argued| (argued.status, argued.begins))
            ),
        }
    }
    assert_eq!(differences.into_keys().collect::<Vec<_>>(), Vec::<usize>::new());
}
