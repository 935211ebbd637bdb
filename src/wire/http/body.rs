//! Request bodies: takes the framing off the bytes that follow a head (RFC 9112 sections 6 and 7).
#![forbid(unsafe_code)]

use super::target::hex_value;
use super::{BODY_TOO_LARGE, Framing, Refusal, is_token_byte};
use crate::limits::{CHUNK_LINE_BYTES_MAX, Limits};

const MALFORMED_CHUNK: Refusal = Refusal::bad_request("The size of a chunk is malformed.");
const CHUNK_LINE_TOO_LONG: Refusal =
    Refusal::bad_request("The line with the size of a chunk is longer than this server accepts.");
const MALFORMED_CHUNK_END: Refusal = Refusal::bad_request("A chunk is longer than its size.");
const MALFORMED_TRAILER: Refusal = Refusal::bad_request("A trailer field is malformed.");
const TRAILERS_TOO_LARGE: Refusal = Refusal::new(
    431,
    "The chunk extensions and trailer fields of the request are larger than this server accepts.",
);

/// Decodes one body, in whatever pieces it arrives.
///
/// Chunk extensions and trailer fields are checked and dropped; together they may be as long as a head, so that a peer
/// cannot keep the server busy with bytes that are no body.
#[derive(Debug)]
pub struct Decoder {
    state: State,
    /// How many more bytes the chunks may have in total.
    body_bytes_left: u64,
    /// How many more bytes the extensions and trailers may have in total.
    dropped_bytes_left: usize,
    /// Bytes of the current line with a chunk size.
    line_bytes: usize,
}

/// What comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// So many bytes of a body of known length.
    Length(u64),
    /// The first digit of a chunk size.
    SizeStart,
    /// Digits after these, or what ends them.
    Size(u64),
    /// White space before the extensions of a chunk of this size, which senders must not send, but recipients must take.
    SizeBlank(u64),
    /// The rest of the extensions of a chunk of this size.
    Extension(u64),
    /// The LF of the line with this size.
    SizeLf(u64),
    /// So many bytes of a chunk.
    Chunk(u64),
    /// The CR after a chunk.
    ChunkCr,
    /// The LF after a chunk.
    ChunkLf,
    /// A trailer field, or the empty line that ends the body.
    TrailerStart,
    /// The name of a trailer field.
    TrailerName,
    /// The value of a trailer field.
    TrailerValue,
    /// The LF after a trailer field.
    TrailerLf,
    /// The LF of the empty line.
    FinalLf,
    /// Nothing: the bytes that follow are the next request.
    Complete,
}

impl Decoder {
    /// A decoder for the body that a head announces.
    pub fn new(framing: Framing, limits: &Limits) -> Decoder {
        let state = match framing {
            Framing::None | Framing::Length(0) => State::Complete,
            Framing::Length(length) => State::Length(length),
            Framing::Chunked => State::SizeStart,
        };
        Decoder {
            state,
            body_bytes_left: limits.body_bytes_max as u64,
            dropped_bytes_left: limits.head_bytes_max,
            line_bytes: 0,
        }
    }

    /// Appends to `out` what `input` holds of the body: how many bytes of `input` that took. They are fewer than all only
    /// when the body is complete. `out` grows by at most `Limits::body_bytes_max` in all. After a refusal the decoder is
    /// of no further use.
    pub fn decode(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<usize, Refusal> {
        let mut rest = input;
        while let [byte, tail @ ..] = rest {
            self.state = match self.state {
                State::Complete => break,
                State::Length(length) => match copy(length, &mut rest, out) {
                    0 => State::Complete,
                    left => State::Length(left),
                },
                State::Chunk(length) => match copy(length, &mut rest, out) {
                    0 => State::ChunkCr,
                    left => State::Chunk(left),
                },
                _ => {
                    rest = tail;
                    self.step(*byte)?
                }
            };
        }
        Ok(input.len() - rest.len())
    }

    /// Whether the whole body has been decoded.
    pub fn is_complete(&self) -> bool {
        self.state == State::Complete
    }

    /// Takes one byte of what lies around the data.
    fn step(&mut self, byte: u8) -> Result<State, Refusal> {
        match (self.state, byte) {
            (State::SizeStart, _) => {
                self.line_bytes = 0;
                self.add_digit(0, byte)
            }
            (State::Size(size) | State::Extension(size), b'\r') => Ok(State::SizeLf(size)),
            (State::Size(size) | State::SizeBlank(size), b';') => self.drop_extension(size),
            (State::Size(size) | State::SizeBlank(size), b' ' | b'\t') => {
                self.drop_extension(size)?;
                Ok(State::SizeBlank(size))
            }
            (State::Size(size), _) => self.add_digit(size, byte),
            (State::Extension(size), _) if is_text(byte) => self.drop_extension(size),
            (State::SizeLf(0), b'\n') => Ok(State::TrailerStart),
            (State::SizeLf(size), b'\n') => {
                self.body_bytes_left -= size;
                Ok(State::Chunk(size))
            }
            (State::SizeBlank(_) | State::Extension(_) | State::SizeLf(_), _) => Err(MALFORMED_CHUNK),
            (State::ChunkCr, b'\r') => Ok(State::ChunkLf),
            (State::ChunkLf, b'\n') => Ok(State::SizeStart),
            (State::ChunkCr | State::ChunkLf, _) => Err(MALFORMED_CHUNK_END),
            (State::TrailerStart, b'\r') => Ok(State::FinalLf),
            (State::TrailerName, b':') => self.drop_trailer(State::TrailerValue),
            (State::TrailerStart | State::TrailerName, _) if is_token_byte(byte) => {
                self.drop_trailer(State::TrailerName)
            }
            (State::TrailerValue, b'\r') => Ok(State::TrailerLf),
            (State::TrailerValue, _) if is_text(byte) => self.drop_trailer(State::TrailerValue),
            (State::TrailerLf, b'\n') => Ok(State::TrailerStart),
            (State::FinalLf, b'\n') => Ok(State::Complete),
            (
                State::TrailerStart
                | State::TrailerName
                | State::TrailerValue
                | State::TrailerLf
                | State::FinalLf,
                _,
            ) => Err(MALFORMED_TRAILER),
            (State::Length(_) | State::Chunk(_) | State::Complete, _) => {
                unreachable!("decode takes these states itself")
            }
        }
    }

    /// Adds a digit to a chunk size. The size is judged at each digit, so it cannot overflow.
    fn add_digit(&mut self, size: u64, byte: u8) -> Result<State, Refusal> {
        let digit = u64::from(hex_value(byte).ok_or(MALFORMED_CHUNK)?);
        self.count_line_byte()?;
        let size = size.checked_mul(16).map(|size| size | digit);
        size.filter(|size| *size <= self.body_bytes_left).map(State::Size).ok_or(BODY_TOO_LARGE)
    }

    fn drop_extension(&mut self, size: u64) -> Result<State, Refusal> {
        self.count_line_byte()?;
        self.count_dropped_byte()?;
        Ok(State::Extension(size))
    }

    fn drop_trailer(&mut self, next: State) -> Result<State, Refusal> {
        self.count_dropped_byte()?;
        Ok(next)
    }

    fn count_line_byte(&mut self) -> Result<(), Refusal> {
        self.line_bytes += 1;
        if self.line_bytes > CHUNK_LINE_BYTES_MAX { Err(CHUNK_LINE_TOO_LONG) } else { Ok(()) }
    }

    fn count_dropped_byte(&mut self) -> Result<(), Refusal> {
        self.dropped_bytes_left = self.dropped_bytes_left.checked_sub(1).ok_or(TRAILERS_TOO_LARGE)?;
        Ok(())
    }
}

/// Moves up to `length` bytes from `rest` to `out`: how many are still to come.
fn copy(length: u64, rest: &mut &[u8], out: &mut Vec<u8>) -> u64 {
    let count = usize::try_from(length).unwrap_or(usize::MAX).min(rest.len());
    let (data, tail) = rest.split_at(count);
    out.extend_from_slice(data);
    *rest = tail;
    length - count as u64
}

/// Whether `byte` may stand in an extension or a field value: no control character but the tab.
fn is_text(byte: u8) -> bool {
    byte == b'\t' || (byte >= b' ' && byte != 0x7f)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits() -> Limits {
        Limits { body_bytes_max: 100, head_bytes_max: 300, ..Limits::default() }
    }

    /// The body, whether it is complete and the bytes left over; the same for the whole input and for single bytes.
    fn decode(framing: Framing, input: &[u8]) -> Result<(Vec<u8>, bool, usize), Refusal> {
        let run = |piece_bytes: usize| {
            let (mut decoder, mut out) = (Decoder::new(framing, &limits()), Vec::new());
            let mut consumed = 0;
            for piece in input.chunks(piece_bytes) {
                consumed += decoder.decode(piece, &mut out)?;
            }
            Ok((out, decoder.is_complete(), input.len() - consumed))
        };
        let whole = run(input.len().max(1));
        assert_eq!(whole, run(1));
        whole
    }

    #[test]
    fn bodies_of_known_length_end_where_they_end() {
        assert_eq!(decode(Framing::None, b"GET"), Ok((vec![], true, 3)));
        assert_eq!(decode(Framing::Length(0), b"GET"), Ok((vec![], true, 3)));
        assert_eq!(decode(Framing::Length(4), b"abc"), Ok((b"abc".to_vec(), false, 0)));
        assert_eq!(decode(Framing::Length(4), b"abcdGET"), Ok((b"abcd".to_vec(), true, 3)));
    }

    #[test]
    fn chunks_are_joined() {
        let longest_line = format!("{:0>256}\r\n\r\n", "0");
        for (input, body, left) in [
            ("0\r\n\r\n", "", 0),
            ("0\r\n\r\nGET", "", 3),
            ("3\r\nabc\r\n0\r\n\r\n", "abc", 0),
            ("0003\r\nabc\r\n2\r\n\r\n\r\n000\r\n\r\n", "abc\r\n", 0),
            ("a\r\n0123456789\r\nB\r\n0123456789a\r\n0\r\n\r\n", "01234567890123456789a", 0),
            ("1 \t;a\r\nx\r\n1;a=b;c=\"d;e\"\r\ny\r\n0; \t=\r\n\r\n", "xy", 0),
            ("0\r\nA: b\r\nX-Y:\r\nContent-Length: 5\r\n\r\nGET", "", 3),
            (&longest_line, "", 0),
        ] {
            let expected = Ok((body.as_bytes().to_vec(), true, left));
            assert_eq!(decode(Framing::Chunked, input.as_bytes()), expected, "{input:?}");
        }
    }

    #[test]
    fn what_is_cut_short_is_incomplete() {
        let input = b"3;x\r\nabc\r\n0\r\nA: b\r\n\r\n";
        for end in 0..input.len() {
            let (_, is_complete, left) = decode(Framing::Chunked, &input[..end]).unwrap();
            assert_eq!((is_complete, left), (false, 0), "{end}");
        }
    }

    #[test]
    fn sizes_and_what_is_dropped_are_bounded() {
        let long_line = format!("{:0>257}\r\n\r\n", "0");
        let blank = format!("1{}", " ".repeat(256));
        let long_extension = format!("0;{}\r\n\r\n", "x".repeat(256));
        let many_extensions = format!("1;{}\r\nx\r\n", "x".repeat(199)).repeat(2);
        let long_trailer = format!("0\r\nA: {}\r\n\r\n", "x".repeat(300));
        for (input, status) in [
            (long_line.as_str(), 400),
            (&blank, 400),
            (&long_extension, 400),
            (&many_extensions, 431),
            (&long_trailer, 431),
            ("65\r\n", 413),
            ("ffffffffffffffff\r\n", 413),
            ("10000000000000000\r\n", 413),
            ("10000000000000001\r\nx\r\n", 413),
            ("1\r\nx\r\n64\r\n", 413),
        ] {
            let refusal = decode(Framing::Chunked, input.as_bytes()).unwrap_err();
            assert_eq!(refusal.status, status, "{input:?}: {refusal:?}");
        }
        assert!(decode(Framing::Chunked, b"64\r\n").is_ok());
    }
}
