//! Request heads: the request line and the header fields that this server looks at (RFC 9112 sections 2 to 7).
//!
//! [`Scanner`] finds the end of the head, httparse splits it, and `Fields` judges the fields. Where RFC 9112 lets a
//! server choose between repairing a head and refusing it, the head is refused.
#![forbid(unsafe_code)]

use super::scanner::TOO_MANY_FIELDS;
use super::target::{Target, is_host_and_port};
use super::{BODY_TOO_LARGE, Framing, Refusal, Version, is_token_byte};
use crate::limits::{HEADERS_MAX, LEADING_EMPTY_LINES_MAX, Limits};
use std::fmt;
use std::mem::MaybeUninit;

pub use super::scanner::Scanner;

const MALFORMED_REQUEST_LINE: Refusal = Refusal::bad_request("The request line is malformed.");
const MALFORMED_FIELD_NAME: Refusal =
    Refusal::bad_request("The name of a header field is malformed, or there is white space around it.");
const MALFORMED_FIELD_VALUE: Refusal = Refusal::bad_request("The value of a header field is malformed.");
const REPEATED_FIELD: Refusal = Refusal::bad_request("A header field that may occur once is repeated.");
const TWO_SECRETS: Refusal = Refusal::bad_request("Two different secrets of databases are given.");
const VERSION: Refusal = Refusal::new(505, "This server speaks HTTP/1.1 only.");
const NO_HOST: Refusal = Refusal::bad_request("The Host header field is missing.");
const MALFORMED_HOST: Refusal = Refusal::bad_request("The Host header field is malformed.");
const REPEATED_HOST: Refusal = Refusal::bad_request("The Host header field is repeated.");
const MALFORMED_LENGTH: Refusal = Refusal::bad_request("The Content-Length header field is malformed.");
const REPEATED_LENGTH: Refusal = Refusal::bad_request("The Content-Length header field is repeated.");
const MALFORMED_CODING: Refusal = Refusal::bad_request("The Transfer-Encoding header field is malformed.");
const CHUNKED_NOT_LAST: Refusal =
    Refusal::bad_request("The transfer coding chunked must be the last one, and occur once.");
const UNKNOWN_CODING: Refusal = Refusal::new(501, "The only transfer coding of this server is chunked.");
const CODING_IN_HTTP10: Refusal = Refusal::bad_request("HTTP/1.0 has no Transfer-Encoding.");
const LENGTH_AND_CODING: Refusal =
    Refusal::bad_request("A request must not have both Content-Length and Transfer-Encoding.");
const UNKNOWN_EXPECTATION: Refusal =
    Refusal::new(417, "The only expectation that this server meets is 100-continue.");

/// A request method. Methods are case-sensitive (RFC 9110 section 9.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are the methods")]
pub enum Method {
    Get,
    Head,
    Post,
    Put,
    Delete,
    Options,
    /// Any other token: no route answers to it.
    Other,
}

impl Method {
    fn from_token(token: &str) -> Method {
        match token {
            "GET" => Method::Get,
            "HEAD" => Method::Head,
            "POST" => Method::Post,
            "PUT" => Method::Put,
            "DELETE" => Method::Delete,
            "OPTIONS" => Method::Options,
            _ => Method::Other,
        }
    }
}

/// What this server needs to know of one request head; the text lies in the caller's buffer.
///
/// No text contains CR, LF or another control character but the tab; what is a `str` is ASCII.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Head<'a> {
    /// What to do.
    pub method: Method,
    /// Begins with a slash, or is `*`; not decoded: see [`decode_segment`](super::target::decode_segment).
    pub path: &'a str,
    /// What follows the first question mark of the target; not decoded.
    pub query: Option<&'a str>,
    /// The version of the request.
    pub version: Version,
    /// Host and port as the client knows this server: of an absolute target, else of the `Host` field, which only an
    /// HTTP/1.0 request may lack.
    pub host: Option<&'a str>,
    /// How the end of the body is found.
    pub framing: Framing,
    /// Whether the client wants to send further requests on the connection.
    pub keep_alive: bool,
    /// Whether the client waits for [`CONTINUE`](super::response::CONTINUE) before it sends the body.
    pub expect_continue: bool,
    /// `Origin`.
    pub origin: Option<&'a str>,
    /// `Authorization`: a secret.
    pub authorization: Option<&'a [u8]>,
    /// `KmsDatabaseSecret`, or `DatabaseSecret` as later clients call it: a secret.
    pub database_secret: Option<&'a [u8]>,
    /// `Content-Type`.
    pub content_type: Option<&'a str>,
    /// `Access-Control-Request-Method`.
    pub access_control_request_method: Option<&'a str>,
    /// `Access-Control-Request-Headers`.
    pub access_control_request_headers: Option<&'a str>,
}

impl Head<'_> {
    /// Whether a browser asks for leave to send a request (the CORS-preflight request of the Fetch standard).
    pub fn is_preflight(&self) -> bool {
        self.method == Method::Options
            && self.origin.is_some()
            && self.access_control_request_method.is_some()
    }
}

/// Without the fields that may hold secrets.
impl fmt::Debug for Head<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Head { method, path, version, framing, keep_alive, .. } = self;
        write!(f, "Head({method:?} {path} {version:?} {framing:?} keep_alive={keep_alive})")
    }
}

/// Reads the head at the start of `bytes`: `None` while it is incomplete, else the head and the length of what it takes
/// up, empty lines before it included.
///
/// For an incomplete head the caller asks again when more has arrived, with the same `scanner` and the same bytes before
/// the new ones. When a head is returned, `scanner` is ready for the next one. After a refusal there is no next one.
pub fn parse<'a>(
    scanner: &mut Scanner,
    bytes: &'a [u8],
    limits: &Limits,
) -> Result<Option<(Head<'a>, usize)>, Refusal> {
    let Some(range) = scanner.poll(bytes, limits)? else {
        return Ok(None);
    };
    *scanner = Scanner::default();
    let length = range.end;
    Ok(Some((parse_complete(&bytes[range], limits)?, length)))
}

/// Whether what begins so is a HEAD request, malformed or incomplete as it may be: its answer has no content, not even that
/// of a refusal (RFC 9110 section 9.3.2).
pub fn is_of_head_request(bytes: &[u8]) -> bool {
    let mut request_line = bytes;
    // One more is refused: what follows it is no request, however much of it has arrived.
    for _ in 0..LEADING_EMPTY_LINES_MAX {
        request_line = request_line.strip_prefix(b"\r\n").unwrap_or(request_line);
    }
    request_line.starts_with(b"HEAD ")
}

/// Reads a head whose lines all end in CRLF, the last one empty.
fn parse_complete<'a>(bytes: &'a [u8], limits: &Limits) -> Result<Head<'a>, Refusal> {
    let mut storage = [const { MaybeUninit::uninit() }; HEADERS_MAX];
    let mut request = httparse::Request::new(&mut []);
    match request.parse_with_uninit_headers(bytes, &mut storage) {
        Ok(httparse::Status::Complete(length)) if length == bytes.len() => {}
        Ok(_) => return Err(MALFORMED_REQUEST_LINE),
        Err(error) => return Err(refusal_of(error, bytes)),
    }
    let (Some(method), Some(target), Some(minor_version)) = (request.method, request.path, request.version)
    else {
        return Err(MALFORMED_REQUEST_LINE);
    };
    let version = if minor_version == 0 { Version::Http10 } else { Version::Http11 };
    let method = Method::from_token(method);
    let target = Target::parse(target, method)?;
    let mut fields = Fields::default();
    for field in request.headers.iter() {
        fields.read(field.name, field.value)?;
    }
    if fields.host.is_none() && version == Version::Http11 {
        return Err(NO_HOST);
    }
    let framing = fields.framing(version, limits)?;
    Ok(Head {
        method,
        path: target.path,
        query: target.query,
        version,
        host: target.authority.or(fields.host),
        framing,
        keep_alive: !fields.close && (version == Version::Http11 || fields.keep_alive),
        expect_continue: fields.expect_continue
            && version == Version::Http11
            && !matches!(framing, Framing::None | Framing::Length(0)),
        origin: fields.origin,
        authorization: fields.authorization,
        database_secret: fields.database_secret,
        content_type: fields.content_type,
        access_control_request_method: fields.access_control_request_method,
        access_control_request_headers: fields.access_control_request_headers,
    })
}

fn refusal_of(error: httparse::Error, head: &[u8]) -> Refusal {
    match error {
        httparse::Error::HeaderName => MALFORMED_FIELD_NAME,
        httparse::Error::HeaderValue => MALFORMED_FIELD_VALUE,
        httparse::Error::TooManyHeaders => TOO_MANY_FIELDS,
        httparse::Error::Version if names_an_http_version(head) => VERSION,
        httparse::Error::Version
        | httparse::Error::NewLine
        | httparse::Error::Status
        | httparse::Error::Token => MALFORMED_REQUEST_LINE,
    }
}

/// Whether the third word of the request line is a version of HTTP, as in the preface of HTTP/2.
fn names_an_http_version(head: &[u8]) -> bool {
    let word = head.split(|byte| [b' ', b'\r'].contains(byte)).nth(2);
    match word.and_then(|word| word.strip_prefix(b"HTTP/")) {
        Some([major]) => major.is_ascii_digit(),
        Some([major, b'.', minor]) => major.is_ascii_digit() && minor.is_ascii_digit(),
        _ => false,
    }
}

/// What the header fields say, one after the other.
#[derive(Default)]
struct Fields<'a> {
    host: Option<&'a str>,
    content_length: Option<u64>,
    has_transfer_encoding: bool,
    is_chunked: bool,
    has_unknown_coding: bool,
    close: bool,
    keep_alive: bool,
    expect_continue: bool,
    origin: Option<&'a str>,
    authorization: Option<&'a [u8]>,
    database_secret: Option<&'a [u8]>,
    content_type: Option<&'a str>,
    access_control_request_method: Option<&'a str>,
    access_control_request_headers: Option<&'a str>,
}

impl<'a> Fields<'a> {
    /// Takes one field. The white space around its value is gone.
    fn read(&mut self, name: &str, value: &'a [u8]) -> Result<(), Refusal> {
        let is = |known: &str| name.eq_ignore_ascii_case(known);
        if is("host") {
            let host = ascii(value).filter(|host| is_host_and_port(host)).ok_or(MALFORMED_HOST)?;
            set_once(&mut self.host, host, REPEATED_HOST)
        } else if is("content-length") {
            let length = decimal(value).ok_or(MALFORMED_LENGTH)?;
            set_once(&mut self.content_length, length, REPEATED_LENGTH)
        } else if is("transfer-encoding") {
            self.read_transfer_encoding(value)
        } else if is("connection") {
            for option in value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii) {
                self.close |= option.eq_ignore_ascii_case(b"close");
                self.keep_alive |= option.eq_ignore_ascii_case(b"keep-alive");
            }
            Ok(())
        } else if is("expect") {
            self.expect_continue = true;
            if value.eq_ignore_ascii_case(b"100-continue") { Ok(()) } else { Err(UNKNOWN_EXPECTATION) }
        } else if is("authorization") {
            set_once(&mut self.authorization, value, REPEATED_FIELD)
        } else if is("kmsdatabasesecret") || is("databasesecret") {
            // Under both names, for servers of both generations, it is one secret still.
            match self.database_secret.replace(value) {
                Some(other) if other != value => Err(TWO_SECRETS),
                _ => Ok(()),
            }
        } else if is("content-type") {
            set_once_ascii(&mut self.content_type, value)
        } else if is("origin") {
            set_once_ascii(&mut self.origin, value)
        } else if is("access-control-request-method") {
            set_once_ascii(&mut self.access_control_request_method, value)
        } else if is("access-control-request-headers") {
            set_once_ascii(&mut self.access_control_request_headers, value)
        } else {
            Ok(())
        }
    }

    /// Several fields are one list (RFC 9110 section 5.3). An empty member of the list is refused, although a recipient
    /// may skip it.
    fn read_transfer_encoding(&mut self, value: &[u8]) -> Result<(), Refusal> {
        self.has_transfer_encoding = true;
        for coding in value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii) {
            if self.is_chunked {
                return Err(CHUNKED_NOT_LAST);
            }
            if coding.is_empty() || !coding.iter().all(|byte| is_token_byte(*byte)) {
                return Err(MALFORMED_CODING);
            }
            if coding.eq_ignore_ascii_case(b"chunked") {
                self.is_chunked = true;
            } else {
                self.has_unknown_coding = true;
            }
        }
        Ok(())
    }

    /// How the end of the body is found; a request without either field has none (RFC 9112 section 6.3).
    fn framing(&self, version: Version, limits: &Limits) -> Result<Framing, Refusal> {
        match (self.content_length, self.has_transfer_encoding) {
            (Some(_), true) => Err(LENGTH_AND_CODING),
            (None, true) if version == Version::Http10 => Err(CODING_IN_HTTP10),
            (None, true) if !self.is_chunked => Err(CHUNKED_NOT_LAST),
            (None, true) if self.has_unknown_coding => Err(UNKNOWN_CODING),
            (None, true) => Ok(Framing::Chunked),
            (Some(length), false) if length > limits.body_bytes_max as u64 => Err(BODY_TOO_LARGE),
            (Some(length), false) => Ok(Framing::Length(length)),
            (None, false) => Ok(Framing::None),
        }
    }
}

fn set_once<T>(slot: &mut Option<T>, value: T, repeated: Refusal) -> Result<(), Refusal> {
    if slot.replace(value).is_some() { Err(repeated) } else { Ok(()) }
}

fn set_once_ascii<'a>(slot: &mut Option<&'a str>, value: &'a [u8]) -> Result<(), Refusal> {
    set_once(slot, ascii(value).ok_or(MALFORMED_FIELD_VALUE)?, REPEATED_FIELD)
}

fn ascii(value: &[u8]) -> Option<&str> {
    std::str::from_utf8(value).ok().filter(|text| text.is_ascii())
}

/// Digits and nothing else, up to `u64::MAX`.
fn decimal(value: &[u8]) -> Option<u64> {
    let digits = std::str::from_utf8(value).ok()?;
    // The parser of the standard library takes a plus sign.
    if digits.starts_with('+') { None } else { digits.parse().ok() }
}
