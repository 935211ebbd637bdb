//! What is read from request heads, and how large they may be. Which of them are refused is in `tests/conformance/http.txt`.
#![forbid(unsafe_code)]

use super::head::{self, Head, Method, Scanner};
use super::{Framing, Refusal, Version};
use crate::limits::{HEADERS_MAX, Limits};

fn parse(bytes: &[u8]) -> Result<Option<(Head<'_>, usize)>, Refusal> {
    head::parse(&mut Scanner::default(), bytes, &Limits::default())
}

/// The head of a request with this request line and these fields.
fn request(lines: &str) -> Vec<u8> {
    format!("{lines}\r\n\r\n").into_bytes()
}

#[track_caller]
fn assert_refused(bytes: &[u8], status: u16) {
    match parse(bytes) {
        Err(refusal) => {
            assert_eq!(refusal.status, status, "{refusal:?} for {:?}", bytes.escape_ascii().to_string())
        }
        Ok(accepted) => panic!("{accepted:?} for {:?}", bytes.escape_ascii().to_string()),
    }
}

#[test]
fn a_head_says_what_was_asked() {
    let bytes = request(
        "POST /kmip/2_1?a=b?c HTTP/1.1\r\nHost: kms.example:9998\r\nAuthorization: Bearer \u{e9}\r\n\
         content-TYPE:application/json\t \r\nContent-Length: 007\r\nOrigin: https://a\r\nExpect: 100-Continue\r\n\
         kmsDATABASEsecret: c2Vj\r\nDatabaseSecret:c2Vj\r\n\
         Access-Control-Request-Headers: x\r\nAccess-Control-Request-Method: PUT\r\nX-Other: \r\nX-Other: b",
    );
    let body = b"1234567";
    let (head, length) = parse(&[bytes.as_slice(), body].concat())
        .map(|parsed| {
            let (head, length) = parsed.unwrap();
            assert!(
                head == Head {
                    method: Method::Post,
                    path: "/kmip/2_1",
                    query: Some("a=b?c"),
                    version: Version::Http11,
                    host: Some("kms.example:9998"),
                    framing: Framing::Length(7),
                    keep_alive: true,
                    expect_continue: true,
                    origin: Some("https://a"),
                    authorization: Some("Bearer \u{e9}".as_bytes()),
                    database_secret: Some(b"c2Vj"),
                    content_type: Some("application/json"),
                    access_control_request_method: Some("PUT"),
                    access_control_request_headers: Some("x"),
                }
            );
            (format!("{head:?}"), length)
        })
        .unwrap();
    assert_eq!(length, bytes.len());
    assert_eq!(head, "Head(Post /kmip/2_1 Http11 Length(7) keep_alive=true)");
}

#[test]
fn targets_of_every_form_are_accepted() {
    for (line, method, host, path, query) in [
        ("GET / HTTP/1.1", Method::Get, "h", "/", None),
        ("HEAD //a//?%zz HTTP/1.1", Method::Head, "h", "//a//", Some("%zz")),
        ("PUT /a? HTTP/1.1", Method::Put, "h", "/a", Some("")),
        ("DELETE /a|b{c}%20 HTTP/1.1", Method::Delete, "h", "/a|b{c}%20", None),
        ("OPTIONS * HTTP/1.1", Method::Options, "h", "*", None),
        ("GET http://other HTTP/1.1", Method::Get, "other", "/", None),
        ("GET HTTPS://other:8/a?b HTTP/1.1", Method::Get, "other:8", "/a", Some("b")),
        ("GET http://[::1]?b HTTP/1.1", Method::Get, "[::1]", "/", Some("b")),
        ("PROPFIND /a HTTP/1.1", Method::Other, "h", "/a", None),
        ("get /a HTTP/1.1", Method::Other, "h", "/a", None),
        ("M-!#$%&'*+.^_`|~ /a HTTP/1.1", Method::Other, "h", "/a", None),
    ] {
        let bytes = request(&format!("{line}\r\nHost: h"));
        let (head, _) = parse(&bytes).unwrap().unwrap();
        let found = (head.method, head.host, head.path, head.query);
        assert_eq!(found, (method, Some(host), path, query), "{line}");
    }
}

#[test]
fn framing_and_persistence_follow_the_fields() {
    use Framing::{Chunked, Length, None};
    for (lines, framing, keep_alive, expect_continue) in [
        ("GET / HTTP/1.1\r\nHost: h", None, true, false),
        ("GET / HTTP/1.0", None, false, false),
        ("GET / HTTP/1.0\r\nHost: h\r\nConnection: Keep-Alive", None, true, false),
        ("GET / HTTP/1.0\r\nConnection: keep-alive, close", None, false, false),
        ("GET / HTTP/1.1\r\nHost: h\r\nConnection: te ,\tCLOSE", None, false, false),
        ("GET / HTTP/1.1\r\nHost: h\r\nConnection: te\r\nConnection: close", None, false, false),
        ("GET / HTTP/1.1\r\nHost: h\r\nConnection: closed", None, true, false),
        ("GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 5", Length(5), true, false),
        ("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: \t5\t ", Length(5), true, false),
        ("POST / HTTP/1.0\r\nContent-Length: 5\r\nExpect: 100-continue", Length(5), false, false),
        ("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\nExpect: 100-continue", Length(0), true, false),
        ("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 67108864", Length(67_108_864), true, false),
        ("POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue", None, true, false),
        ("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding:\tchunked", Chunked, true, false),
        (
            "POST / HTTP/1.1\r\nHost: h\r\ntransfer-ENCODING: Chunked\r\nExpect: 100-continue",
            Chunked,
            true,
            true,
        ),
        ("POST / HTTP/1.1\r\nHost: h\r\nX-Transfer-Encoding: gzip\r\nTE: gzip", None, true, false),
    ] {
        let bytes = request(lines);
        let (head, _) = parse(&bytes).unwrap().unwrap();
        let found = (head.framing, head.keep_alive, head.expect_continue);
        assert_eq!(found, (framing, keep_alive, expect_continue), "{lines}");
    }
    assert_refused(&request("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 67108865"), 413);
    assert_refused(&request("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 18446744073709551615"), 413);
}

#[test]
fn sizes_are_bounded_before_the_head_is_complete() {
    let limits = Limits::default();
    let target = |bytes: usize| format!("GET /{} HTTP/1.1\r\nHost: h\r\n\r\n", "a".repeat(bytes - 1));
    assert!(parse(target(limits.target_bytes_max).as_bytes()).unwrap().is_some());
    let too_long = target(limits.target_bytes_max + 1);
    assert_refused(too_long.as_bytes(), 414);
    assert_eq!(parse(&too_long.as_bytes()[..4 + limits.target_bytes_max]), Ok(None));
    assert_refused(&too_long.as_bytes()[..5 + limits.target_bytes_max], 414);

    let head = |bytes: usize| {
        let start = "GET / HTTP/1.1\r\nHost: h\r\nX: ";
        format!("{start}{}\r\n\r\n", "x".repeat(bytes - start.len() - 4))
    };
    assert!(parse(head(limits.head_bytes_max).as_bytes()).unwrap().is_some());
    let too_large = head(limits.head_bytes_max + 1);
    assert_refused(too_large.as_bytes(), 431);
    assert_eq!(parse(&too_large.as_bytes()[..limits.head_bytes_max - 1]), Ok(None));
    assert_refused(&too_large.as_bytes()[..limits.head_bytes_max], 431);
    assert_refused(&vec![b'A'; limits.head_bytes_max], 431);

    let fields = |count: usize| format!("GET / HTTP/1.1\r\nHost: h\r\n{}", "X: y\r\n".repeat(count - 1));
    assert!(parse((fields(HEADERS_MAX) + "\r\n").as_bytes()).unwrap().is_some());
    assert_refused(fields(HEADERS_MAX + 1).as_bytes(), 431);
}

#[test]
fn what_is_cut_short_is_incomplete() {
    let bytes = request("\r\nGET / HTTP/1.1\r\nHost: h\r\nX: y");
    for end in 0..bytes.len() {
        assert_eq!(parse(&bytes[..end]), Ok(None), "{end}");
    }
    assert!(parse(&bytes).unwrap().is_some());
}

#[test]
fn a_line_that_is_no_request_line_is_refused_at_its_end() {
    for line in ["GET /version", "GET", "HELO kms.example", "GET / HTTP/1.1 x", " "] {
        assert_eq!(parse(line.as_bytes()), Ok(None), "{line:?}");
        assert_refused(format!("{line}\r\n").as_bytes(), 400);
    }
}
