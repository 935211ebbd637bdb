//! Lines that hold on to each other: writing them.
#![forbid(unsafe_code)]

use crate::crypto;
use crate::secret::Secret;
use crate::wire::hex;
use crate::wire::json::write_integer;
use std::io::{BufRead, Write};

/// A SHA-256.
pub type Hash = [u8; 32];

/// Hexadecimal digits of a hash.
pub const HASH_DIGITS: usize = 2 * size_of::<Hash>();
/// What comes before the hash of a line.
pub const HASH_NAME: &[u8] = b",\"hash\":\"";
/// What comes before the HMAC of a checkpoint.
pub const HMAC_NAME: &[u8] = b",\"hmac\":\"";

/// Why there is a checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The server has started.
    Start,
    /// A new file begins.
    Reopened,
    /// Some lines or seconds after the last one.
    Interval,
    /// The server ends.
    Shutdown,
}

impl Reason {
    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Reason::Start => "start",
            Reason::Reopened => "reopened",
            Reason::Interval => "interval",
            Reason::Shutdown => "shutdown",
        }
    }
}

/// Where a log stands: all that its next line depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Chain {
    /// The number of the last line; 0 before the first one.
    pub sequence: u64,
    /// Its hash.
    pub hash: Hash,
}

impl Chain {
    /// Appends a line with the members up to the next newline of `lines`, which are taken from these, to `out`.
    pub fn next_line(&mut self, lines: &mut &[u8], out: &mut Vec<u8>) {
        let start = self.open(out);
        lines.read_until(b'\n', out).expect("memory can be read");
        out.pop_if(|last| *last == b'\n');
        self.close(start, out);
    }

    /// Appends a line with these members to `out`.
    #[cfg(test)]
    pub fn line(&mut self, members: &[u8], out: &mut Vec<u8>) {
        let start = self.open(out);
        out.extend_from_slice(members);
        self.close(start, out);
    }

    /// Appends a checkpoint to `out`.
    pub fn checkpoint(
        &mut self,
        time: &str,
        reason: Reason,
        cut_bytes: u64,
        key: &Secret,
        out: &mut Vec<u8>,
    ) {
        let start = self.open(out);
        let _ = write!(
            out,
            "\"time\":\"{time}\",\"event\":\"checkpoint\",\"reason\":\"{}\",\"cut_bytes\":{cut_bytes},\"previous\":\"",
            reason.name()
        );
        hex::encode(&self.hash, out);
        out.push(b'"');
        let hmac = crypto::hmac_sha256(key.expose(), &[&self.hash, &out[start..]]);
        out.extend_from_slice(HMAC_NAME);
        hex::encode(&hmac, out);
        out.push(b'"');
        self.close(start, out);
    }

    fn open(&mut self, out: &mut Vec<u8>) -> usize {
        let start = out.len();
        self.sequence += 1;
        out.extend_from_slice(b"{\"seq\":");
        write_integer(self.sequence as i64, out);
        out.push(b',');
        start
    }

    fn close(&mut self, start: usize, out: &mut Vec<u8>) {
        self.hash = crypto::sha256_of(&[&self.hash, &out[start..]]);
        out.extend_from_slice(HASH_NAME);
        hex::encode(&self.hash, out);
        out.extend_from_slice(b"\"}\n");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_hashed_as_documented() {
        let (mut chain, mut out) = (Chain::default(), Vec::new());
        chain.line(b"\"time\":\"t\"", &mut out);
        let mut covered = vec![0; 32];
        covered.extend_from_slice(b"{\"seq\":1,\"time\":\"t\"");
        let mut expected = b"{\"seq\":1,\"time\":\"t\",\"hash\":\"".to_vec();
        hex::encode(&crypto::sha256(&covered), &mut expected);
        expected.extend_from_slice(b"\"}\n");
        assert_eq!(String::from_utf8(out).unwrap(), String::from_utf8(expected).unwrap());
        assert_eq!(chain, Chain { sequence: 1, hash: crypto::sha256(&covered) });
    }
}
