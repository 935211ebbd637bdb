//! JSON (RFC 8259): a lexer that works in place, and the writer of strings.
//!
//! The lexer owns the borrow of a mutable buffer and gives it away piece by piece: strings are unescaped where they
//! stand and handed out as slices of the buffer, so nothing is allocated and nothing secret is copied.
//!
//! ```
//! # use keyway::wire::json::{Error, Lexer};
//! let mut body = *br#"{"path": "/dir\u0021", "more": [1, 2]}"#;
//! let mut lexer = Lexer::new(&mut body);
//! let mut path = None;
//! lexer.open_object()?;
//! while let Some(name) = lexer.member()? {
//!     match name {
//!         "path" => path = Some(lexer.string()?),
//!         _ => lexer.skip()?,
//!     }
//! }
//! lexer.end()?;
//! assert_eq!(path, Some("/dir!"));
//! # Ok::<(), Error>(())
//! ```
#![forbid(unsafe_code)]

use std::borrow::Cow;
use std::fmt;

/// Nesting of arrays and objects in a value that is skipped.
const SKIPPED_DEPTH_MAX: usize = 64;

/// What is wrong with a text, and where. Displayed in the words that clients of the original servers know:
/// ``expected `:` at line 1 column 9``.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// What sort of fault it is.
    pub category: Category,
    message: Cow<'static, str>,
    line: usize,
    column: usize,
}

/// Sorts of faults.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Category {
    /// The text is not JSON.
    Syntax,
    /// The text is JSON as far as it was read, but says something else than expected.
    Data,
}

impl Error {
    /// The same, where the text is JSON, with the name of what it is about.
    pub fn about(self, name: &str) -> Error {
        match self.category {
            Category::Data => Error { message: format!("{name}: {}", self.message).into(), ..self },
            _ => self,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at line {} column {}", self.message, self.line, self.column)
    }
}

/// A number, in the narrowest of the forms that hold it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Number {
    /// No sign, no fraction.
    Unsigned(u64),
    /// A sign, no fraction.
    Negative(i64),
    /// Everything else.
    Float(f64),
}

/// Pulls one JSON text out of a buffer, token by token.
pub struct Lexer<'a> {
    /// What has not been consumed.
    rest: &'a mut [u8],
    /// Bytes consumed.
    offset: usize,
    /// Line ends consumed: they stand between tokens only.
    lines: usize,
    /// The offset at which the line began.
    line_start: usize,
    /// The last token opened an array or an object: no comma before what comes.
    opened: bool,
}

impl<'a> Lexer<'a> {
    /// Reads `text`, which is left in an undefined state.
    pub fn new(text: &'a mut [u8]) -> Lexer<'a> {
        Lexer { rest: text, offset: 0, lines: 0, line_start: 0, opened: false }
    }

    /// The first byte of the next value: it tells the type.
    pub fn peek(&mut self) -> Result<u8, Error> {
        self.next_byte().ok_or_else(|| self.eof("EOF while parsing a value"))
    }

    /// Begins an object; [`Lexer::member`] goes through it.
    pub fn open_object(&mut self) -> Result<(), Error> {
        self.open(b'{', "a map")
    }

    /// The name of the next member of the innermost object, or `None` at its end. The value must be consumed before the
    /// next call.
    pub fn member(&mut self) -> Result<Option<&'a str>, Error> {
        let opened = std::mem::take(&mut self.opened);
        match self.next_byte() {
            Some(b'}') => {
                self.take(1);
                return Ok(None);
            }
            Some(b',') if !opened => {
                self.take(1);
                match self.next_byte() {
                    Some(b'"') => (),
                    Some(b'}') => return Err(self.unexpected("trailing comma")),
                    Some(_) => return Err(self.unexpected("key must be a string")),
                    None => return Err(self.eof("EOF while parsing an object")),
                }
            }
            Some(b'"') if opened => (),
            Some(_) if opened => return Err(self.unexpected("key must be a string")),
            Some(_) => return Err(self.unexpected("expected `,` or `}`")),
            None => return Err(self.eof("EOF while parsing an object")),
        }
        let name = self.string()?;
        match self.next_byte() {
            Some(b':') => {
                self.take(1);
                Ok(Some(name))
            }
            Some(_) => Err(self.unexpected("expected `:`")),
            None => Err(self.eof("EOF while parsing an object")),
        }
    }

    /// Begins an array; [`Lexer::element`] goes through it.
    pub fn open_array(&mut self) -> Result<(), Error> {
        self.open(b'[', "a sequence")
    }

    /// Whether the innermost array has another element, which must be consumed before the next call.
    pub fn element(&mut self) -> Result<bool, Error> {
        let opened = std::mem::take(&mut self.opened);
        match self.next_byte() {
            Some(b']') => {
                self.take(1);
                Ok(false)
            }
            Some(_) if opened => Ok(true),
            Some(b',') => {
                self.take(1);
                match self.next_byte() {
                    Some(b']') => Err(self.unexpected("trailing comma")),
                    _ => Ok(true),
                }
            }
            Some(_) => Err(self.unexpected("expected `,` or `]`")),
            None => Err(self.eof("EOF while parsing a list")),
        }
    }

    /// A string, unescaped.
    pub fn string(&mut self) -> Result<&'a str, Error> {
        let bytes = self.string_bytes()?;
        self.text(bytes)
    }

    /// The text that the bytes of a string are.
    pub fn text(&self, bytes: &'a [u8]) -> Result<&'a str, Error> {
        std::str::from_utf8(bytes).map_err(|_| self.fault(Category::Syntax, "invalid unicode code point", 0))
    }

    /// A string, unescaped, for decoding in place. It is not checked to be UTF-8.
    pub fn string_bytes(&mut self) -> Result<&'a mut [u8], Error> {
        if let Some((b'"', text)) = self.rest.split_first() {
            let plain = plain_length(text);
            if text.get(plain) == Some(&b'"') {
                return Ok(&mut self.take(plain + 2)[1..=plain]);
            }
        }
        self.escaped_string()
    }

    /// The same of a string that may have escape sequences in it, or is none.
    fn escaped_string(&mut self) -> Result<&'a mut [u8], Error> {
        if self.peek()? != b'"' {
            return Err(self.invalid_type("a string"));
        }
        let mut read = 1;
        let mut written = 1;
        loop {
            let plain = plain_length(&self.rest[read..]);
            if written != read {
                self.rest.copy_within(read..read + plain, written);
            }
            read += plain;
            written += plain;
            match self.rest.get(read) {
                Some(b'"') => break,
                Some(b'\\') => {
                    let (character, length) = match unescape(&self.rest[read..]) {
                        Ok(unescaped) => unescaped,
                        Err((message, length)) => {
                            let length = (read + length).min(self.rest.len());
                            return Err(self.fault(Category::Syntax, message, length));
                        }
                    };
                    read += length;
                    written += character.encode_utf8(&mut self.rest[written..]).len();
                }
                Some(_) => {
                    let message = "control character (\\u0000-\\u001F) found while parsing a string";
                    return Err(self.fault(Category::Syntax, message, read + 1));
                }
                None => return Err(self.eof("EOF while parsing a string")),
            }
        }
        Ok(&mut self.take(read + 1)[1..written])
    }

    /// A number.
    pub fn number(&mut self) -> Result<Number, Error> {
        let (token, integral) = self.number_token()?;
        if integral {
            if let Ok(value) = token.parse() {
                return Ok(Number::Unsigned(value));
            }
            if let Ok(value) = token.parse() {
                return Ok(Number::Negative(value));
            }
        }
        match token.parse() {
            Ok(value) if f64::is_finite(value) => Ok(Number::Float(value)),
            _ => Err(self.fault(Category::Syntax, "number out of range", 0)),
        }
    }

    /// A whole number without a sign, of up to 128 bits.
    pub fn unsigned(&mut self) -> Result<u128, Error> {
        let (token, _) = self.number_token()?;
        token.parse().map_err(|_| self.data("expected a whole number of up to 128 bits, without a sign"))
    }

    /// The text of a number, and whether it has neither fraction nor exponent.
    fn number_token(&mut self) -> Result<(&'a str, bool), Error> {
        if !matches!(self.peek()?, b'-' | b'0'..=b'9') {
            return Err(self.invalid_type("a number"));
        }
        let (length, integral) =
            number_length(self.rest).map_err(|at| self.fault(Category::Syntax, "invalid number", at))?;
        Ok((std::str::from_utf8(self.take(length)).expect("digits and signs are ASCII"), integral))
    }

    /// A whole number of 64 bits.
    pub fn integer(&mut self) -> Result<i64, Error> {
        let value = match self.number()? {
            Number::Unsigned(value) => i64::try_from(value).ok(),
            Number::Negative(value) => Some(value),
            Number::Float(_) => None,
        };
        value.ok_or_else(|| self.data("expected a whole number of 64 bits"))
    }

    /// `true` or `false`.
    pub fn boolean(&mut self) -> Result<bool, Error> {
        match self.peek()? {
            b't' => self.literal("true").map(|()| true),
            b'f' => self.literal("false").map(|()| false),
            _ => Err(self.invalid_type("a boolean")),
        }
    }

    /// Whether the next value is `null`, which is then consumed.
    pub fn null(&mut self) -> Result<bool, Error> {
        match self.peek()? {
            b'n' => self.literal("null").map(|()| true),
            _ => Ok(false),
        }
    }

    /// Consumes one value of any type.
    pub fn skip(&mut self) -> Result<(), Error> {
        self.skip_within(SKIPPED_DEPTH_MAX)
    }

    /// What has not been consumed, for a look ahead.
    pub fn rest(&self) -> &[u8] {
        self.rest
    }

    /// Consumes `count` bytes that [`Lexer::rest`] has shown to be whole tokens, the last of which opens nothing.
    ///
    /// # Panics
    ///
    /// If there are fewer.
    pub fn skip_seen(&mut self, count: usize) {
        self.take(count);
        self.opened = false;
    }

    /// Consumes `text` if the next bytes are these: a run of whole tokens, the last of which opens nothing.
    #[inline]
    pub fn skip_exactly<const N: usize>(&mut self, text: &[u8; N]) -> bool {
        let is_next = self.rest.first_chunk() == Some(text);
        if is_next {
            self.skip_seen(N);
        }
        is_next
    }

    /// The same without the last byte of `text`, which what comes next begins with.
    #[inline]
    pub fn skip_before_last<const N: usize>(&mut self, text: &[u8; N]) -> bool {
        let is_next = self.rest.first_chunk() == Some(text);
        if is_next {
            self.skip_seen(N - 1);
        }
        is_next
    }

    /// Makes sure that nothing but white space follows.
    pub fn end(&mut self) -> Result<(), Error> {
        match self.next_byte() {
            None => Ok(()),
            Some(_) => Err(self.unexpected("trailing characters")),
        }
    }

    /// A fault of what has been said so far.
    pub fn data(&self, message: impl Into<Cow<'static, str>>) -> Error {
        self.fault(Category::Data, message, 0)
    }

    fn skip_within(&mut self, depth: usize) -> Result<(), Error> {
        let first = self.peek()?;
        if depth == 0 && matches!(first, b'{' | b'[') {
            return Err(self.unexpected("recursion limit exceeded"));
        }
        match first {
            b'{' => {
                self.open_object()?;
                while self.member()?.is_some() {
                    self.skip_within(depth - 1)?;
                }
                Ok(())
            }
            b'[' => {
                self.open_array()?;
                while self.element()? {
                    self.skip_within(depth - 1)?;
                }
                Ok(())
            }
            b'"' => self.string().map(|_| ()),
            b't' | b'f' => self.boolean().map(|_| ()),
            b'n' => self.null().map(|_| ()),
            b'-' | b'0'..=b'9' => self.number().map(|_| ()),
            _ => Err(self.unexpected("expected value")),
        }
    }

    fn open(&mut self, bracket: u8, expected: &'static str) -> Result<(), Error> {
        if self.peek()? != bracket {
            return Err(self.invalid_type(expected));
        }
        self.take(1);
        self.opened = true;
        Ok(())
    }

    fn literal(&mut self, word: &'static str) -> Result<(), Error> {
        if self.rest.starts_with(word.as_bytes()) {
            self.take(word.len());
            return Ok(());
        }
        if word.as_bytes().starts_with(self.rest) {
            return Err(self.eof("EOF while parsing a value"));
        }
        let same = self.rest.iter().zip(word.as_bytes()).take_while(|(a, b)| a == b).count();
        Err(self.fault(Category::Syntax, "expected ident", same + 1))
    }

    /// The next byte that is not white space.
    fn next_byte(&mut self) -> Option<u8> {
        loop {
            let byte = *self.rest.first()?;
            if byte > b' ' {
                return Some(byte);
            }
            match byte {
                b'\n' => {
                    self.lines += 1;
                    self.line_start = self.offset + 1;
                }
                b' ' | b'\t' | b'\r' => (),
                _ => return Some(byte),
            }
            self.take(1);
        }
    }

    fn take(&mut self, length: usize) -> &'a mut [u8] {
        let (token, rest) = std::mem::take(&mut self.rest).split_at_mut(length);
        self.rest = rest;
        self.offset += length;
        token
    }

    /// The next value is of another type than `expected`, or no value at all.
    fn invalid_type(&mut self, expected: &'static str) -> Error {
        let found = match self.rest.first() {
            Some(b'{') => Ok("map"),
            Some(b'[') => Ok("sequence"),
            Some(b'"') => Ok("string"),
            Some(b'-' | b'0'..=b'9') => self.number().map(|_| "number"),
            Some(b't' | b'f') => self.boolean().map(|_| "boolean"),
            Some(b'n') => self.null().map(|_| "null"),
            _ => Err(self.unexpected("expected value")),
        };
        match found {
            Ok(found) => self.data(format!("invalid type: {found}, expected {expected}")),
            Err(error) => error,
        }
    }

    /// The next byte is out of place.
    fn unexpected(&self, message: &'static str) -> Error {
        self.fault(Category::Syntax, message, 1)
    }

    fn eof(&self, message: &'static str) -> Error {
        self.fault(Category::Syntax, message, self.rest.len())
    }

    /// A fault `ahead` bytes behind what has been consumed.
    fn fault(&self, category: Category, message: impl Into<Cow<'static, str>>, ahead: usize) -> Error {
        let column = self.offset - self.line_start + ahead;
        Error { category, message: message.into(), line: self.lines + 1, column }
    }
}

/// The strings of a JSON array of at most `count_max` strings; `None` if the text is something else.
pub fn strings(text: &mut [u8], count_max: usize) -> Option<Vec<&str>> {
    let mut lexer = Lexer::new(text);
    let mut strings = Vec::new();
    lexer.open_array().ok()?;
    while lexer.element().ok()? {
        if strings.len() == count_max {
            return None;
        }
        strings.push(lexer.string().ok()?);
    }
    lexer.end().ok()?;
    Some(strings)
}

/// Appends a whole number to `out`.
pub fn write_integer(value: i64, out: &mut Vec<u8>) {
    let mut digits = [0; 20];
    let mut at = digits.len();
    let mut rest = value.unsigned_abs();
    loop {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    if value < 0 {
        out.push(b'-');
    }
    out.extend_from_slice(&digits[at..]);
}

/// The text as a JSON string.
pub fn quoted(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len() + 2);
    write_string(text, &mut out);
    String::from_utf8(out).expect("JSON of text is UTF-8")
}

/// Appends `text` as a JSON string, in quotes, to `out`.
pub fn write_string(text: &str, out: &mut Vec<u8>) {
    let mut rest = text.as_bytes();
    out.push(b'"');
    loop {
        let (plain, special) = rest.split_at(plain_length(rest));
        out.extend_from_slice(plain);
        let Some((&byte, after)) = special.split_first() else { break };
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            0x08 => out.extend_from_slice(b"\\b"),
            b'\t' => out.extend_from_slice(b"\\t"),
            b'\n' => out.extend_from_slice(b"\\n"),
            0x0C => out.extend_from_slice(b"\\f"),
            b'\r' => out.extend_from_slice(b"\\r"),
            control => {
                const DIGITS: &[u8; 16] = b"0123456789abcdef";
                let (high, low) = (DIGITS[usize::from(control >> 4)], DIGITS[usize::from(control & 15)]);
                out.extend_from_slice(&[b'\\', b'u', b'0', b'0', high, low]);
            }
        }
        rest = after;
    }
    out.push(b'"');
}

/// Bytes before the first quote, backslash or control character.
fn plain_length(bytes: &[u8]) -> usize {
    let is_special = |byte: u8| (byte < 0x20) | (byte == b'"') | (byte == b'\\');
    let mut length = 0;
    for chunk in bytes.as_chunks::<16>().0 {
        // The compiler looks at all bytes of a chunk at once.
        let special = u128::from_le_bytes(chunk.map(|byte| if is_special(byte) { 0xFF } else { 0 }));
        if special != 0 {
            return length + special.trailing_zeros() as usize / 8;
        }
        length += 16;
    }
    let tail = &bytes[length..];
    length + tail.iter().position(|&byte| is_special(byte)).unwrap_or(tail.len())
}

/// The character that an escape sequence stands for, and the length of the sequence; or what is wrong, and where.
fn unescape(bytes: &[u8]) -> Result<(char, usize), (&'static str, usize)> {
    let hex = |at: usize| -> Result<u32, (&'static str, usize)> {
        let digits = bytes.get(at..at + 4).ok_or(("EOF while parsing a string", bytes.len()))?;
        digits.iter().try_fold(0, |value, &digit| {
            let digit = char::from(digit).to_digit(16).ok_or(("invalid escape", at + 4))?;
            Ok(value << 4 | digit)
        })
    };
    let character = match bytes.get(1) {
        Some(b'"') => '"',
        Some(b'\\') => '\\',
        Some(b'/') => '/',
        Some(b'b') => '\u{8}',
        Some(b'f') => '\u{c}',
        Some(b'n') => '\n',
        Some(b'r') => '\r',
        Some(b't') => '\t',
        Some(b'u') => {
            let lead = hex(2)?;
            if !(0xD800..0xDC00).contains(&lead) {
                // A trailing surrogate is no character.
                return Ok((char::from_u32(lead).ok_or(("lone leading surrogate in hex escape", 6))?, 6));
            }
            if bytes.get(6..8) != Some(b"\\u") {
                return Err(("unexpected end of hex escape", 7));
            }
            let trail = hex(8)?;
            if !(0xDC00..0xE000).contains(&trail) {
                return Err(("lone leading surrogate in hex escape", 12));
            }
            let code = 0x1_0000 + ((lead - 0xD800) << 10) + (trail - 0xDC00);
            return Ok((char::from_u32(code).expect("a pair of surrogates is a character"), 12));
        }
        Some(_) => return Err(("invalid escape", 2)),
        None => return Err(("EOF while parsing a string", 1)),
    };
    Ok((character, 2))
}

/// The length of the number that `bytes` begin with, and whether it is a whole one; or where it goes wrong.
fn number_length(bytes: &[u8]) -> Result<(usize, bool), usize> {
    let digits = |at: usize| bytes[at.min(bytes.len())..].iter().take_while(|b| b.is_ascii_digit()).count();
    let some_digits = |at: usize| match digits(at) {
        0 => Err((at + 1).min(bytes.len())),
        count => Ok(count),
    };
    let mut at = usize::from(bytes.first() == Some(&b'-'));
    let whole = some_digits(at)?;
    if whole > 1 && bytes[at] == b'0' {
        return Err(at + 2);
    }
    at += whole;
    let mut integral = true;
    if bytes.get(at) == Some(&b'.') {
        integral = false;
        at += 1;
        at += some_digits(at)?;
    }
    if matches!(bytes.get(at), Some(b'e' | b'E')) {
        integral = false;
        at += 1;
        at += usize::from(matches!(bytes.get(at), Some(b'+' | b'-')));
        at += some_digits(at)?;
    }
    Ok((at, integral))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn skip(text: &str) -> Result<(), String> {
        let mut bytes = text.as_bytes().to_vec();
        let mut lexer = Lexer::new(&mut bytes);
        lexer.skip().and_then(|()| lexer.end()).map_err(|e| e.to_string())
    }

    fn string(text: &[u8]) -> Result<String, String> {
        let mut bytes = text.to_vec();
        let mut lexer = Lexer::new(&mut bytes);
        lexer.string().map(str::to_owned).map_err(|e| e.to_string())
    }

    #[test]
    fn valid_texts_are_accepted() {
        for text in [
            "null",
            " [ ] ",
            "{}",
            "[1,-0,0.5,1e9,-12.5E-3,18446744073709551615]",
            "{\"a\":[true,false,null,{\"b\":\"\\ud83d\\ude00\"}]}\r\n\t ",
        ] {
            assert_eq!(skip(text), Ok(()), "{text}");
        }
    }

    #[test]
    fn faults_are_told_with_their_place() {
        for (text, message) in [
            ("", "EOF while parsing a value at line 1 column 0"),
            ("eyJhbGciOi", "expected value at line 1 column 1"),
            ("{", "EOF while parsing an object at line 1 column 1"),
            ("{\n  \"a\" 1}", "expected `:` at line 2 column 7"),
            ("{\"a\":1,}", "trailing comma at line 1 column 8"),
            ("{1:1}", "key must be a string at line 1 column 2"),
            ("[1 2]", "expected `,` or `]` at line 1 column 4"),
            ("[1,]", "trailing comma at line 1 column 4"),
            ("[", "EOF while parsing a list at line 1 column 1"),
            ("[01]", "invalid number at line 1 column 3"),
            ("[1.]", "invalid number at line 1 column 4"),
            ("-", "invalid number at line 1 column 1"),
            ("1e999", "number out of range at line 1 column 5"),
            ("nul", "EOF while parsing a value at line 1 column 3"),
            ("nule", "expected ident at line 1 column 4"),
            ("1 1", "trailing characters at line 1 column 3"),
            ("\"abc", "EOF while parsing a string at line 1 column 4"),
            ("\"\\x\"", "invalid escape at line 1 column 3"),
            (
                "\"a\nb\"",
                "control character (\\u0000-\\u001F) found while parsing a string at line 1 column 3",
            ),
        ] {
            assert_eq!(skip(text), Err(message.to_owned()), "{text}");
        }
        assert_eq!(
            skip(&"[".repeat(100_000)),
            Err("recursion limit exceeded at line 1 column 65".to_owned())
        );
    }

    #[test]
    fn strings_are_unescaped_in_place() {
        assert_eq!(string(br#""plain text, quite long""#).as_deref(), Ok("plain text, quite long"));
        assert_eq!(string(br#""\"\\\/\b\f\n\r\t""#).as_deref(), Ok("\"\\/\u{8}\u{c}\n\r\t"));
        assert_eq!(
            string(br#""abcdefgh\u00e9ijklmnop\ud83d\ude00q""#).as_deref(),
            Ok("abcdefgh\u{e9}ijklmnop\u{1f600}q")
        );
        assert_eq!(string("\"é\u{7f}\"".as_bytes()).as_deref(), Ok("é\u{7f}"));
        assert!(string(b"\"\xC3\"").is_err());
        for bad in [&br#""\ud83d""#[..], br#""\ud83dx""#, br#""\ud83d\u0041""#, br#""\ude00""#, br#""\u12"#] {
            assert!(string(bad).is_err(), "{}", String::from_utf8_lossy(bad));
        }
    }

    #[test]
    fn strings_survive_the_round_trip() {
        let every: String = (0..0x300).filter_map(char::from_u32).collect();
        let mut text = Vec::new();
        write_string(&every, &mut text);
        assert_eq!(string(&text).as_deref(), Ok(every.as_str()));
        let mut out = Vec::new();
        write_string("a\"\u{1}\n", &mut out);
        assert_eq!(out, br#""a\"\u0001\n""#);
    }

    #[test]
    fn special_characters_are_found_at_every_place() {
        for special in 0..=u8::MAX {
            for at in 0..40 {
                let mut bytes = [0x80; 40];
                bytes[at] = special;
                let plain = special >= 0x20 && special != b'"' && special != b'\\';
                assert_eq!(plain_length(&bytes), if plain { 40 } else { at }, "{special} at {at}");
            }
        }
    }

    #[test]
    fn numbers_keep_their_form() {
        let number = |text: &str| Lexer::new(&mut text.as_bytes().to_vec()).number();
        assert_eq!(number("18446744073709551615"), Ok(Number::Unsigned(u64::MAX)));
        assert_eq!(number("-9223372036854775808"), Ok(Number::Negative(i64::MIN)));
        assert_eq!(number("2.5e1"), Ok(Number::Float(25.0)));
        let integer = |text: &str| Lexer::new(&mut text.as_bytes().to_vec()).integer();
        assert_eq!(integer("-1"), Ok(-1));
        assert!(integer("9223372036854775808").is_err());
        assert_eq!(
            integer("\"1\"").unwrap_err().to_string(),
            "invalid type: string, expected a number at line 1 column 0"
        );
    }
}
