//! Finds the end of a request head in bytes that arrive in any pieces, and refuses what is too long on the way.
//!
//! Everything that may be decided before the head is complete is decided here, byte by byte in order. So a refusal
//! depends on the bytes before it only, never on how many of them had arrived together.
#![forbid(unsafe_code)]

use super::Refusal;
use crate::limits::{HEADERS_MAX, LEADING_EMPTY_LINES_MAX, Limits};
use std::ops::Range;

const BARE_LINE_BREAK: Refusal =
    Refusal::bad_request("A line of the request head ends in a bare CR or LF instead of CRLF.");
const CONTROL_CHARACTER: Refusal = Refusal::bad_request("The request head contains a control character.");
const EMPTY_LINES: Refusal = Refusal::bad_request("There are too many empty lines before the request line.");
const NOT_THREE_PARTS: Refusal = Refusal::bad_request(
    "The request line is not a method, a target and a version, with one space between each.",
);
const TLS_ON_PLAIN_PORT: Refusal = Refusal::bad_request(
    "This is a plain HTTP port, but the client speaks TLS: use http:// instead of https://.",
);
const TARGET_TOO_LONG: Refusal = Refusal::new(414, "The request target is longer than this server accepts.");
const HEAD_TOO_LARGE: Refusal = Refusal::new(431, "The request head is larger than this server accepts.");
pub(super) const TOO_MANY_FIELDS: Refusal =
    Refusal::new(431, "The request head has more header fields than this server accepts.");

/// The first byte of a TLS record that carries a ClientHello (RFC 8446 section 5.1).
const TLS_HANDSHAKE: u8 = 0x16;

/// How much of one head has been looked at: no byte is looked at twice, so a head that drips in costs no more than one
/// that arrives at once.
#[derive(Clone, Debug, Default)]
pub struct Scanner {
    /// What lies before this offset is in order.
    scanned: usize,
    /// Where the current line begins.
    line_start: usize,
    part: Part,
    /// Where the request line begins: behind the empty lines that some clients send after a body.
    head_start: usize,
    empty_lines: usize,
    spaces: usize,
    target_bytes: usize,
    fields: usize,
}

#[derive(Clone, Copy, Debug, Default)]
enum Part {
    #[default]
    RequestLine,
    Fields,
}

impl Scanner {
    /// Whether no request line has begun: the connection is between two requests.
    pub fn is_idle(&self) -> bool {
        self.scanned == self.head_start
    }

    /// Goes on in `bytes`, which begin with the bytes of the earlier calls: where the head is when all of it is there,
    /// with the empty line that ends it.
    pub(super) fn poll(&mut self, bytes: &[u8], limits: &Limits) -> Result<Option<Range<usize>>, Refusal> {
        let window = &bytes[..bytes.len().min(limits.head_bytes_max)];
        while self.scanned < window.len() {
            let run = &window[self.scanned..];
            let run = &run[..find_control(run).unwrap_or(run.len())];
            self.count_target(run, limits)?;
            self.scanned += run.len();
            match &window[self.scanned..] {
                [] | [b'\r'] => break,
                [b'\r', b'\n', ..] => {
                    let is_end = self.end_line()?;
                    if is_end {
                        return Ok(Some(self.head_start..self.scanned));
                    }
                }
                [b'\t', ..] => self.scanned += 1,
                [b'\r' | b'\n', ..] => return Err(BARE_LINE_BREAK),
                [TLS_HANDSHAKE, ..] if self.scanned == 0 => return Err(TLS_ON_PLAIN_PORT),
                _ => return Err(CONTROL_CHARACTER),
            }
        }
        if window.len() == limits.head_bytes_max { Err(HEAD_TOO_LARGE) } else { Ok(None) }
    }

    /// Takes the CRLF at `scanned`; whether it ends the head.
    fn end_line(&mut self) -> Result<bool, Refusal> {
        let is_empty = self.scanned == self.line_start;
        self.scanned += 2;
        self.line_start = self.scanned;
        match self.part {
            Part::RequestLine if is_empty => {
                self.head_start = self.scanned;
                self.empty_lines += 1;
                if self.empty_lines > LEADING_EMPTY_LINES_MAX { Err(EMPTY_LINES) } else { Ok(false) }
            }
            // Who speaks another protocol of lines, or HTTP/0.9, sends no more, and waits for an answer.
            Part::RequestLine if self.spaces != 2 => Err(NOT_THREE_PARTS),
            Part::RequestLine => {
                self.part = Part::Fields;
                Ok(false)
            }
            Part::Fields if is_empty => Ok(true),
            Part::Fields => {
                self.fields += 1;
                if self.fields > HEADERS_MAX { Err(TOO_MANY_FIELDS) } else { Ok(false) }
            }
        }
    }

    /// Counts the bytes of the target, which lies between the first and the second space of the request line.
    fn count_target(&mut self, run: &[u8], limits: &Limits) -> Result<(), Refusal> {
        if matches!(self.part, Part::Fields) {
            return Ok(());
        }
        for byte in run {
            if *byte == b' ' {
                self.spaces += 1;
            } else if self.spaces == 1 {
                self.target_bytes += 1;
                if self.target_bytes > limits.target_bytes_max {
                    return Err(TARGET_TOO_LONG);
                }
            }
        }
        Ok(())
    }
}

/// The offset of the first byte below 0x20, eight bytes at a time.
fn find_control(bytes: &[u8]) -> Option<usize> {
    const ONES: u64 = u64::MAX / 0xff;
    let (words, rest) = bytes.as_chunks::<8>();
    for (index, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        // The subtraction borrows into the top bit of each byte below 0x20. A borrow may also mark bytes above the first
        // such byte, which do not matter: the lowest mark is right.
        let marks = word.wrapping_sub(ONES * 0x20) & !word & (ONES * 0x80);
        if marks != 0 {
            return Some(index * 8 + marks.trailing_zeros() as usize / 8);
        }
    }
    rest.iter().position(|byte| *byte < 0x20).map(|at| words.len() * 8 + at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_control_is_found_at_every_offset() {
        for length in 0..40 {
            for at in 0..length {
                for control in [0, b'\t', b'\n', b'\r', 0x1f] {
                    let mut bytes: Vec<u8> = (0..length).map(|n| [b' ', 0x7f, 0x80, 0xff][n % 4]).collect();
                    assert_eq!(find_control(&bytes), None);
                    bytes[at] = control;
                    bytes[length - 1] = if at == length - 1 { control } else { 0x01 };
                    assert_eq!(find_control(&bytes), Some(at), "{bytes:?}");
                }
            }
        }
    }

    #[test]
    fn a_dripping_head_is_scanned_once() {
        let bytes = [b"GET / HTTP/1.1\r\nA: ".as_slice(), &[b'a'; 10_000], b"\r\n\r\n"].concat();
        let mut scanner = Scanner::default();
        for end in 1..bytes.len() {
            let before = scanner.scanned;
            assert_eq!(scanner.poll(&bytes[..end], &Limits::default()), Ok(None));
            assert!(scanner.scanned >= end - 1 && scanner.scanned - before <= 2, "at {end}");
        }
        assert_eq!(scanner.poll(&bytes, &Limits::default()), Ok(Some(0..bytes.len())));
    }
}
