//! The table of who is let in where and who may do what, and those who ask.

pub mod doors;
pub mod kms;
pub mod requests;

use super::support::issuer::{Key, KeyServer, claims, key_set};
use keyway::kms::rights::Rights;
use std::io::BufRead;

/// The rows of a block of the table: each as it is written, and its columns.
pub fn rows(block: &str) -> Vec<(&'static str, Vec<&'static str>)> {
    let table = include_str!("table.txt");
    let (_, rest) = table.split_once(&format!("\n[{block}]\n")).unwrap();
    let rows = rest.lines().take_while(|line| !line.starts_with('['));
    let rows = rows.filter(|line| !line.is_empty() && !line.starts_with('#'));
    rows.map(|line| (line, line.split_whitespace().collect())).collect()
}

/// Every row that does not hold, at once.
#[track_caller]
pub fn assert_all_hold(faults: &[String]) {
    assert!(faults.is_empty(), "{} cells do not hold:\n{}", faults.len(), faults.join("\n"));
}

/// An answer, without the field that tells the time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

impl Answer {
    /// Reads one; `None` where there is none.
    pub fn read(stream: &mut impl BufRead, is_head_only: bool) -> Option<Answer> {
        let (mut head, mut length) = (String::new(), 0);
        loop {
            let mut line = String::new();
            if stream.read_line(&mut line).ok()? == 0 {
                return None;
            }
            let lower = line.to_ascii_lowercase();
            if let Some(value) = lower.strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
            if line == "\r\n" {
                break;
            }
            if !lower.starts_with("date:") {
                head += &line;
            }
        }
        let mut body = vec![0; if is_head_only { 0 } else { length }];
        stream.read_exact(&mut body).unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Some(Answer { status, head, body })
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// The bytes of a request.
pub fn http(method: &str, path: &str, token: Option<&str>, content_type: &str, body: &[u8]) -> Vec<u8> {
    let authorization = token.map_or(String::new(), |token| format!("Authorization: Bearer {token}\r\n"));
    let length = body.len();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: kms\r\n{authorization}Content-Type: {content_type}\r\nContent-Length: {length}\r\n\r\n"
    );
    [head.as_bytes(), body].concat()
}

pub const JSON: &str = "application/json";
pub const BINARY: &str = "application/octet-stream";

/// Users who are known by tokens.
pub struct Users {
    pub key: Key,
    pub issuer: KeyServer,
}

impl Users {
    pub fn new() -> Users {
        let key = Key::new("k", "EdDSA");
        let issuer = KeyServer::new(key_set(&[&key.jwk("")]));
        Users { key, issuer }
    }

    pub fn token(&self, user: &str) -> String {
        self.key.sign(&claims(&self.issuer.issuer(), user))
    }

    pub fn options(&self) -> Vec<String> {
        ["--jwt-issuer-uri", &self.issuer.issuer(), "--jwt-audience", "kms"].map(str::to_owned).to_vec()
    }
}

/// The names of all rights.
pub fn rights() -> Vec<&'static str> {
    Rights(u32::MAX).names().collect()
}
