//! Response heads. They are written in front of a body whose length is not known yet, into one buffer and without a copy.
#![forbid(unsafe_code)]

use super::head::Head;
use super::{Refusal, Version};
use crate::time::Timestamp;
use std::io::Write;

/// The interim response that asks for the body (RFC 9110 section 15.2.1).
pub const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// The content type of a refusal and of other plain messages.
pub const TEXT_PLAIN: &str = "text/plain; charset=utf-8";

/// As many digits as the largest length has.
const LENGTH_PLACEHOLDER: &[u8; 20] = b"                    ";

/// What the head of a response says, beyond the fields of every response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResponseHead<'a> {
    /// A final status code.
    pub status: u16,
    /// The version of the request.
    pub version: Version,
    /// Whether the connection takes another request after this response.
    pub keep_alive: bool,
    /// `Content-Type`.
    pub content_type: Option<&'static str>,
    /// The `Origin` of the request: any origin may read any response, as it always could.
    pub cors_origin: Option<&'a str>,
    /// `Retry-After`, in seconds.
    pub retry_after_s: Option<u32>,
    /// `WWW-Authenticate`, which a 401 must have.
    pub www_authenticate: Option<&'static str>,
    /// `Location`, of a redirection.
    pub location: Option<&'a str>,
    /// `Allow`, which a 405 must have.
    pub allow: Option<&'static str>,
    /// `Content-Security-Policy`, of a page.
    pub content_security_policy: Option<&'static str>,
}

impl ResponseHead<'_> {
    /// A response with this status to an HTTP/1.1 request, on a connection that is kept, and nothing else.
    pub const fn new(status: u16) -> ResponseHead<'static> {
        ResponseHead {
            status,
            version: Version::Http11,
            keep_alive: true,
            content_type: None,
            cors_origin: None,
            retry_after_s: None,
            www_authenticate: None,
            location: None,
            allow: None,
            content_security_policy: None,
        }
    }
}

/// The fields of every response, `Date` among them, as they are written.
#[derive(Clone, Debug)]
pub struct DateCache {
    second: Timestamp,
    fields: Vec<u8>,
}

impl DateCache {
    /// The fields at this second.
    pub fn new(now: Timestamp) -> DateCache {
        let mut cache = DateCache { second: now, fields: Vec::with_capacity(128) };
        cache.render();
        cache
    }

    /// Sets the clock; cheap within a second.
    pub fn update(&mut self, now: Timestamp) {
        if now != self.second {
            self.second = now;
            self.render();
        }
    }

    fn render(&mut self) {
        self.fields.clear();
        write!(
            self.fields,
            "date: {}\r\nserver: keyway\r\ncache-control: no-store\r\nx-content-type-options: nosniff\r\n",
            self.second.http_date()
        )
        .expect("a Vec takes what is written");
    }
}

/// Appends a response head to `out`. The caller appends the body, then calls one of the methods of the result.
pub fn start(response: &ResponseHead<'_>, date: &DateCache, out: &mut Vec<u8>) -> LengthPatch {
    write_fields(response, date, out);
    end_head(response.status, out)
}

/// Knows where the `Content-Length` of a response goes.
#[must_use = "the response has no length yet"]
#[derive(Debug)]
pub struct LengthPatch {
    /// Where the body begins; the length ends four bytes, which end the head, before it.
    body_start: usize,
    has_length: bool,
}

impl LengthPatch {
    /// States the length of what has been appended to `out` since the head.
    pub fn finish(self, out: &mut [u8]) {
        if self.has_length {
            let (head, body) = out.split_at_mut(self.body_start);
            write_right_aligned(body.len() as u64, &mut head[..self.body_start - 4]);
        } else {
            assert_eq!(out.len(), self.body_start, "a response of this status has no body");
        }
    }

    /// The same in answer to HEAD: states the length of the body, but takes the body away again.
    pub fn finish_without_body(self, out: &mut Vec<u8>) {
        let body_start = self.body_start;
        self.finish(out);
        out.truncate(body_start);
    }
}

/// Appends the whole response to what is not a request: the reason as plain text, unless only a head was asked for, and the
/// connection is closed.
pub fn refuse(refusal: &Refusal, head_only: bool, date: &DateCache, out: &mut Vec<u8>) {
    let response = ResponseHead {
        keep_alive: false,
        content_type: Some(TEXT_PLAIN),
        ..ResponseHead::new(refusal.status)
    };
    let length = start(&response, date, out);
    out.extend_from_slice(refusal.reason.as_bytes());
    if head_only {
        length.finish_without_body(out);
    } else {
        length.finish(out);
    }
}

/// Appends the whole response to a CORS preflight: everything is allowed for an hour. See [`Head::is_preflight`].
pub fn preflight(head: &Head<'_>, keep_alive: bool, date: &DateCache, out: &mut Vec<u8>) {
    let response = ResponseHead {
        version: head.version,
        keep_alive,
        cors_origin: head.origin,
        ..ResponseHead::new(200)
    };
    write_fields(&response, date, out);
    out.extend_from_slice(
        b"access-control-allow-methods: GET, HEAD, POST, PUT, DELETE, OPTIONS, PATCH\r\n\
          access-control-max-age: 3600\r\n",
    );
    if let Some(names) = head.access_control_request_headers {
        write_echo(b"access-control-allow-headers: ", names, out);
    }
    end_head(response.status, out).finish(out);
}

fn write_fields(response: &ResponseHead<'_>, date: &DateCache, out: &mut Vec<u8>) {
    let status = response.status;
    assert!((200..600).contains(&status), "a final status code");
    let digit = |divisor: u16| b'0' + (status / divisor % 10) as u8;
    out.extend_from_slice(b"HTTP/1.1 ");
    out.extend_from_slice(&[digit(100), digit(10), digit(1), b' ']);
    out.extend_from_slice(reason_phrase(status).as_bytes());
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(&date.fields);
    match (response.keep_alive, response.version) {
        (true, Version::Http11) => {}
        (true, Version::Http10) => out.extend_from_slice(b"connection: keep-alive\r\n"),
        (false, _) => out.extend_from_slice(b"connection: close\r\n"),
    }
    if let Some(content_type) = response.content_type {
        write_echo(b"content-type: ", content_type, out);
    }
    if let Some(origin) = response.cors_origin {
        write_echo(b"access-control-allow-origin: ", origin, out);
        out.extend_from_slice(
            b"access-control-allow-credentials: true\r\n\
              access-control-expose-headers: content-type\r\n\
              vary: Origin, Access-Control-Request-Method, Access-Control-Request-Headers\r\n",
        );
    }
    if let Some(seconds) = response.retry_after_s {
        out.extend_from_slice(b"retry-after:           ");
        write_right_aligned(u64::from(seconds), out);
        out.extend_from_slice(b"\r\n");
    }
    if let Some(challenge) = response.www_authenticate {
        write_echo(b"www-authenticate: ", challenge, out);
    }
    if let Some(location) = response.location {
        write_echo(b"location: ", location, out);
    }
    if let Some(methods) = response.allow {
        write_echo(b"allow: ", methods, out);
    }
    if let Some(policy) = response.content_security_policy {
        write_echo(b"content-security-policy: ", policy, out);
    }
}

/// Ends the head with room for the length, and the empty line. White space before the value of a field is of no meaning
/// (RFC 9110 section 5.5). A 204 has no length (section 8.6).
fn end_head(status: u16, out: &mut Vec<u8>) -> LengthPatch {
    let has_length = status != 204;
    if has_length {
        out.extend_from_slice(b"content-length: ");
        out.extend_from_slice(LENGTH_PLACEHOLDER);
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b"\r\n");
    LengthPatch { body_start: out.len(), has_length }
}

/// Appends a field whose value may be the peer's: it must not be able to add fields of its own.
fn write_echo(name: &[u8], value: &str, out: &mut Vec<u8>) {
    assert!(value.bytes().all(|byte| byte == b'\t' || (b' '..0x7f).contains(&byte)), "a value of one line");
    out.extend_from_slice(name);
    out.extend_from_slice(value.as_bytes());
    out.extend_from_slice(b"\r\n");
}

/// Writes a number over the spaces at the end of `out`, of which there must be enough.
fn write_right_aligned(number: u64, out: &mut [u8]) {
    let mut rest = number;
    for byte in out.iter_mut().rev() {
        assert_eq!(*byte, b' ', "room for the number");
        *byte = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            return;
        }
    }
}

/// The words after the status code; nobody reads them but people.
const fn reason_phrase(status: u16) -> &'static str {
    match status {
        200 => "OK",
        201 => "Created",
        202 => "Accepted",
        204 => "No Content",
        301 => "Moved Permanently",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        409 => "Conflict",
        411 => "Length Required",
        413 => "Content Too Large",
        414 => "URI Too Long",
        415 => "Unsupported Media Type",
        417 => "Expectation Failed",
        421 => "Misdirected Request",
        422 => "Unprocessable Content",
        426 => "Upgrade Required",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        503 => "Service Unavailable",
        505 => "HTTP Version Not Supported",
        507 => "Insufficient Storage",
        // The phrase may be empty (RFC 9112 section 4).
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::super::head::{self, Scanner};
    use super::*;
    use crate::limits::Limits;

    fn date() -> DateCache {
        DateCache::new(Timestamp::from_unix(1_795_456_600))
    }

    fn text(out: Vec<u8>) -> String {
        String::from_utf8(out).unwrap()
    }

    const COMMON: &str = "date: Mon, 23 Nov 2026 17:56:40 GMT\r\nserver: keyway\r\ncache-control: no-store\r\n\
                          x-content-type-options: nosniff\r\n";

    #[test]
    fn the_length_is_filled_in_when_the_body_is_there() {
        let mut out = b"earlier response".to_vec();
        let response = ResponseHead { content_type: Some("application/json"), ..ResponseHead::new(200) };
        let length = start(&response, &date(), &mut out);
        out.extend_from_slice(b"{\"a\": 12345}");
        length.finish(&mut out);
        assert_eq!(
            text(out),
            format!(
                "earlier responseHTTP/1.1 200 OK\r\n{COMMON}content-type: application/json\r\n\
                 content-length:                   12\r\n\r\n{{\"a\": 12345}}"
            )
        );
    }

    #[test]
    fn every_field_is_written_on_its_own_line() {
        let mut out = Vec::new();
        let response = ResponseHead {
            status: 401,
            version: Version::Http10,
            keep_alive: true,
            content_type: Some(TEXT_PLAIN),
            cors_origin: Some("https://a.example"),
            retry_after_s: Some(u32::MAX),
            www_authenticate: Some("Bearer"),
            location: Some("https://a.example/"),
            allow: Some("GET, HEAD"),
            content_security_policy: Some("default-src 'none'"),
        };
        start(&response, &date(), &mut out).finish(&mut out);
        assert_eq!(
            text(out),
            format!(
                "HTTP/1.1 401 Unauthorized\r\n{COMMON}connection: keep-alive\r\n\
                 content-type: text/plain; charset=utf-8\r\n\
                 access-control-allow-origin: https://a.example\r\n\
                 access-control-allow-credentials: true\r\n\
                 access-control-expose-headers: content-type\r\n\
                 vary: Origin, Access-Control-Request-Method, Access-Control-Request-Headers\r\n\
                 retry-after: 4294967295\r\nwww-authenticate: Bearer\r\n\
                 location: https://a.example/\r\nallow: GET, HEAD\r\ncontent-security-policy: default-src 'none'\r\n\
                 content-length:                    0\r\n\r\n"
            )
        );
    }

    #[test]
    fn the_answer_to_head_has_the_length_but_not_the_body() {
        let mut out = Vec::new();
        let length = start(&ResponseHead::new(200), &date(), &mut out);
        out.extend_from_slice(&[b'x'; 1234]);
        length.finish_without_body(&mut out);
        let expected = format!("HTTP/1.1 200 OK\r\n{COMMON}content-length:                 1234\r\n\r\n");
        assert_eq!(text(out), expected);
    }

    #[test]
    fn no_content_has_no_length() {
        let mut out = Vec::new();
        start(&ResponseHead::new(204), &date(), &mut out).finish(&mut out);
        assert_eq!(text(out), format!("HTTP/1.1 204 No Content\r\n{COMMON}\r\n"));
    }

    #[test]
    fn refusals_are_plain_text_and_close_the_connection() {
        let mut out = Vec::new();
        refuse(&Refusal::new(414, "Too long."), false, &date(), &mut out);
        assert_eq!(
            text(out),
            format!(
                "HTTP/1.1 414 URI Too Long\r\n{COMMON}connection: close\r\n\
                 content-type: text/plain; charset=utf-8\r\ncontent-length:                    9\r\n\r\nToo long."
            )
        );
    }

    #[test]
    fn a_preflight_is_allowed_everything() {
        let request = b"OPTIONS /kmip/2_1 HTTP/1.1\r\nHost: a\r\nOrigin: null\r\n\
                        Access-Control-Request-Method: POST\r\n\
                        Access-Control-Request-Headers: content-type,x-a\r\n\r\n";
        let (head, _) = head::parse(&mut Scanner::default(), request, &Limits::default()).unwrap().unwrap();
        assert!(head.is_preflight());
        let mut out = Vec::new();
        preflight(&head, true, &date(), &mut out);
        assert_eq!(
            text(out),
            format!(
                "HTTP/1.1 200 OK\r\n{COMMON}access-control-allow-origin: null\r\n\
                 access-control-allow-credentials: true\r\n\
                 access-control-expose-headers: content-type\r\n\
                 vary: Origin, Access-Control-Request-Method, Access-Control-Request-Headers\r\n\
                 access-control-allow-methods: GET, HEAD, POST, PUT, DELETE, OPTIONS, PATCH\r\n\
                 access-control-max-age: 3600\r\naccess-control-allow-headers: content-type,x-a\r\n\
                 content-length:                    0\r\n\r\n"
            )
        );
    }

    #[test]
    #[should_panic(expected = "a value of one line")]
    fn an_echo_cannot_add_fields() {
        let response = ResponseHead { cors_origin: Some("a\r\nset-cookie: b"), ..ResponseHead::new(200) };
        start(&response, &date(), &mut Vec::new()).finish(&mut []);
    }

    #[test]
    fn the_date_follows_the_clock() {
        let mut cache = date();
        cache.update(Timestamp::from_unix(0));
        assert!(cache.fields.starts_with(b"date: Thu, 01 Jan 1970 00:00:00 GMT\r\n"));
    }
}
