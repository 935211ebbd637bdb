//! HTTP as clients speak it: requests in either framing, and answers taken out of a stream.
#![forbid(unsafe_code)]

use crate::testing::choices::Choices;
use crate::wire::http::response::CONTINUE;
use std::io::Write;

/// Appends a request with these fields that say whose it is; its body comes in one piece or in chunks.
pub fn write_request(
    (method, path, body): (&str, &str, &[u8]),
    proof: &str,
    choices: &mut Choices,
    out: &mut Vec<u8>,
) {
    const TAKEN: &str = "a Vec takes what is written";
    write!(out, "{method} {path} HTTP/1.1\r\nHost: keyway.example\r\n{proof}").expect(TAKEN);
    if method == "POST" {
        out.extend_from_slice(b"Content-Type: application/json\r\n");
        if choices.one_in(10) {
            out.extend_from_slice(b"Expect: 100-continue\r\n");
        }
    }
    if body.is_empty() {
        out.extend_from_slice(b"\r\n");
    } else if choices.one_in(3) {
        out.extend_from_slice(b"Transfer-Encoding: chunked\r\n\r\n");
        let mut rest = body;
        while !rest.is_empty() {
            let (chunk, later) = rest.split_at((1 + choices.below(body.len())).min(rest.len()));
            write!(out, "{:x}\r\n", chunk.len()).expect(TAKEN);
            out.extend_from_slice(chunk);
            out.extend_from_slice(b"\r\n");
            rest = later;
        }
        out.extend_from_slice(b"0\r\n\r\n");
    } else {
        write!(out, "Content-Length: {}\r\n\r\n", body.len()).expect(TAKEN);
        out.extend_from_slice(body);
    }
}

/// A final answer.
pub struct Reply {
    /// Its status.
    pub status: u16,
    /// It says that it is the last one on its connection.
    pub closes: bool,
    /// Its body.
    pub body: Vec<u8>,
}

/// Takes answers out of what a server sends.
#[derive(Default)]
pub struct ReplyReader {
    unread: Vec<u8>,
}

impl ReplyReader {
    /// Takes in what was sent.
    pub fn push(&mut self, bytes: &[u8]) {
        self.unread.extend_from_slice(bytes);
    }

    /// Whether part of an answer was sent, and not the rest.
    pub fn is_within_reply(&self) -> bool {
        !self.unread.is_empty()
    }

    /// The next whole answer; `head_only` if it is that to a HEAD.
    pub fn next_reply(&mut self, head_only: bool) -> Option<Reply> {
        while self.unread.starts_with(CONTINUE) {
            self.unread.drain(..CONTINUE.len());
        }
        let head_bytes = self.unread.windows(4).position(|end| end == b"\r\n\r\n")? + 4;
        let head = std::str::from_utf8(&self.unread[..head_bytes]).expect("the head of an answer is text");
        let mut lines = head.split("\r\n");
        let status = lines.next().and_then(|line| line.strip_prefix("HTTP/1.1 ")).expect("a status line");
        let status: u16 = status[..3].parse().expect("a status code");
        let (mut length, mut closes) = (None, false);
        for line in lines.filter(|line| !line.is_empty()) {
            let (name, value) = line.split_once(':').expect("a header field");
            match (name, value.trim()) {
                ("content-length", value) => {
                    let earlier = length.replace(value.parse::<usize>().expect("a length"));
                    assert!(earlier.is_none(), "an answer has one length");
                }
                ("connection", "close") => closes = true,
                _ => {}
            }
        }
        assert!(length.is_some() != (status == 204), "an answer has a length, unless it has no body at all");
        let body_bytes = if head_only { 0 } else { length.unwrap_or(0) };
        let end = head_bytes + body_bytes;
        if self.unread.len() < end {
            return None;
        }
        let body = self.unread[head_bytes..end].to_vec();
        self.unread.drain(..end);
        Some(Reply { status, closes, body })
    }
}
