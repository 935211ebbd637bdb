//! Which request heads are accepted and which are refused, as tables.
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
fn request_lines_are_refused() {
    for (line, status) in [
        ("GET /#a HTTP/1.1", 400),
        ("GET /a#b?c HTTP/1.1", 400),
        ("GET /\u{e9} HTTP/1.1", 400),
        ("GET /a\u{7f} HTTP/1.1", 400),
        ("GET /a\0 HTTP/1.1", 400),
        ("GET /a\tb HTTP/1.1", 400),
        ("GET a HTTP/1.1", 400),
        ("GET * HTTP/1.1", 400),
        ("OPTIONS ** HTTP/1.1", 400),
        ("GET ftp://h/a HTTP/1.1", 400),
        ("GET http:///a HTTP/1.1", 400),
        ("GET http://u:p@h/a HTTP/1.1", 400),
        ("GET http://h:99999/a HTTP/1.1", 400),
        ("GET ?a HTTP/1.1", 400),
        ("CONNECT h:443 HTTP/1.1", 400),
        ("CONNECT h HTTP/1.1", 400),
        ("GET", 400),
        ("GET /", 400),
        ("GET / ", 400),
        ("GET  / HTTP/1.1", 400),
        ("GET /  HTTP/1.1", 400),
        ("GET / HTTP/1.1 ", 400),
        (" GET / HTTP/1.1", 400),
        ("GET\t/ HTTP/1.1", 400),
        ("G@T / HTTP/1.1", 400),
        ("GET / HTTP/1.10", 400),
        ("GET / http/1.1", 400),
        ("GET / HTTP/", 400),
        ("GET / FTP/1.1", 400),
        ("GET /a b HTTP/2.0", 400),
        ("GET / HTTP/0.9", 505),
        ("GET / HTTP/1.2", 505),
        ("GET / HTTP/2.0", 505),
        ("GET / HTTP/3", 505),
        ("PRI * HTTP/2.0", 505),
    ] {
        assert_refused(&request(&format!("{line}\r\nHost: h")), status);
    }
    assert_refused(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505);
    assert_refused(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400);
    assert!(parse(b"\x16").unwrap_err().reason.contains("plain HTTP"));
}

#[test]
fn lines_end_in_crlf() {
    for bytes in [
        "GET / HTTP/1.1\nHost: h\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: h\n\r\n",
        "GET / HTTP/1.1\r\nHost: h\r\n\n",
        "GET / HTTP/1.1\rHost: h\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: h\rX: y\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: h\r\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: h\r\n\rX",
        "\nGET / HTTP/1.1\r\nHost: h\r\n\r\n",
        "\rGET / HTTP/1.1\r\nHost: h\r\n\r\n",
        "\r\n\r\n\r\n\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n",
    ] {
        assert_refused(bytes.as_bytes(), 400);
    }
    let with_empty_lines = request("\r\n\r\n\r\n\r\nGET / HTTP/1.1\r\nHost: h");
    assert_eq!(parse(&with_empty_lines).unwrap().unwrap().1, with_empty_lines.len());
}

#[test]
fn fields_are_refused() {
    for (fields, status) in [
        // Host
        ("X: y", 400),
        ("Host: h\r\nHost: h", 400),
        ("Host: h\r\nhOST: g", 400),
        ("Host:", 400),
        ("Host: h i", 400),
        ("Host: h, i", 400),
        ("Host: u@h", 400),
        ("Host: http://h", 400),
        ("Host: h/", 400),
        ("Host: h:x", 400),
        ("Host: \u{e9}", 400),
        // Syntax
        ("Host : h", 400),
        ("Host\t: h", 400),
        (" Host: h", 400),
        ("Host: h\r\n folded", 400),
        ("Host: h\r\n\tfolded", 400),
        ("Host: h\r\n : x", 400),
        ("Host: h\r\n: x", 400),
        ("Host: h\r\nX", 400),
        ("Host: h\r\nX y: z", 400),
        ("Host: h\r\n\u{e9}: z", 400),
        ("Host: h\r\nX: \0", 400),
        ("Host: h\r\nX\0: y", 400),
        ("Host: h\r\nX: \u{b}", 400),
        ("Host: h\r\nX: \u{1b}", 400),
        ("Host: h\r\nX: \u{7f}", 400),
        // What is not understood, or not in one way
        ("Host: h\r\nExpect: 200-ok", 417),
        ("Host: h\r\nExpect:", 417),
        ("Host: h\r\nExpect: 100-continue, x", 417),
        ("Host: h\r\nAuthorization: a\r\nAuthorization: a", 400),
        ("Host: h\r\nContent-Type: a\r\nContent-Type: b", 400),
        ("Host: h\r\nContent-Type: \u{e9}", 400),
        ("Host: h\r\nOrigin: a\r\nOrigin: b", 400),
        ("Host: h\r\nOrigin: \u{e9}", 400),
    ] {
        assert_refused(&request(&format!("GET / HTTP/1.1\r\n{fields}")), status);
    }
}

#[test]
fn smuggled_requests_are_refused() {
    for (fields, status) in [
        // CL.TE and TE.CL
        ("Content-Length: 13\r\nTransfer-Encoding: chunked", 400),
        ("Transfer-Encoding: chunked\r\nContent-Length: 4", 400),
        ("Transfer-Encoding: chunked\r\nContent-Length: 0", 400),
        // CL.CL
        ("Content-Length: 5\r\nContent-Length: 5", 400),
        ("Content-Length: 5\r\nContent-Length: 6", 400),
        ("Content-Length: 5\r\ncontent-length: 5", 400),
        ("Content-Length: 5, 5", 400),
        ("Content-Length: 5,6", 400),
        ("Content-Length: +5", 400),
        ("Content-Length: -5", 400),
        ("Content-Length: -0", 400),
        ("Content-Length: 5 5", 400),
        ("Content-Length: 0x5", 400),
        ("Content-Length: 5.0", 400),
        ("Content-Length: 5e1", 400),
        ("Content-Length: 5;", 400),
        ("Content-Length: \"5\"", 400),
        ("Content-Length: 1_0", 400),
        ("Content-Length: \u{ff15}", 400),
        ("Content-Length:", 400),
        ("Content-Length: 18446744073709551616", 400),
        ("Content-Length: 99999999999999999999999999", 400),
        ("Content-Length : 5", 400),
        (" Content-Length: 5", 400),
        ("Content-Length: 5\0", 400),
        ("Content-Length: \u{b}5", 400),
        ("Content-Length: 5\r\n ", 400),
        ("Content\u{ad}-Length: 5", 400),
        // TE.TE
        ("Transfer-Encoding: xchunked", 501),
        ("Transfer-Encoding: chunkedx", 501),
        ("Transfer-Encoding: identity", 501),
        ("Transfer-Encoding: gzip", 501),
        ("Transfer-Encoding: gzip, chunked", 501),
        ("Transfer-Encoding: x\r\nTransfer-Encoding: chunked", 501),
        ("Transfer-Encoding: chunked, identity", 400),
        ("Transfer-Encoding: chunked, chunked", 400),
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", 400),
        ("Transfer-Encoding: chunked\r\nTransfer-encoding: cow", 400),
        ("Transfer-Encoding: chunked,", 400),
        ("Transfer-Encoding: ,chunked", 400),
        ("Transfer-Encoding:", 400),
        ("Transfer-Encoding: \"chunked\"", 400),
        ("Transfer-Encoding: chunked;q=1", 400),
        ("Transfer-Encoding: chunked foo", 400),
        ("Transfer-Encoding: chunked\0", 400),
        ("Transfer-Encoding: \u{b}chunked", 400),
        ("Transfer-Encoding: \u{c}chunked", 400),
        ("Transfer-Encoding: \u{a0}chunked", 400),
        ("Transfer-Encoding : chunked", 400),
        ("Transfer-Encoding\t: chunked", 400),
        (" Transfer-Encoding: chunked", 400),
        ("\tTransfer-Encoding: chunked", 400),
        ("X: y\nTransfer-Encoding: chunked", 400),
        ("X: y\rTransfer-Encoding: chunked", 400),
        ("Transfer-Encoding:\r\n chunked", 400),
        ("Transfer-Encoding\r\n: chunked", 400),
        ("Transfer-Encoding chunked", 400),
        ("Transfer Encoding: chunked\r\nContent-Length: 5", 400),
    ] {
        assert_refused(&request(&format!("POST / HTTP/1.1\r\nHost: h\r\n{fields}")), status);
    }
    assert_refused(&request("POST / HTTP/1.0\r\nTransfer-Encoding: chunked"), 400);
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
