//! The property of the whole module: what follows from bytes does not depend on the pieces in which they arrive.
#![forbid(unsafe_code)]

use super::body::Decoder;
use super::head::{self, Head, Method, Scanner};
use super::response::{self, DateCache, ResponseHead};
use super::target::decode_segment;
use super::{Framing, Refusal, Version};
use crate::limits::Limits;
use crate::time::Timestamp;

/// One thing that happens on a connection.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    /// A head, as text.
    Head(String),
    /// A whole body.
    Body(Vec<u8>),
    /// The end of the conversation.
    Refused(Refusal),
    /// What has arrived of a body or head at the end.
    Incomplete(Vec<u8>),
}

/// Reads `data` as limits, the sizes of pieces, and a conversation. The conversation has the same outcome whole, in
/// these pieces and byte by byte; each head survives being written and read again; each response is a response.
pub fn fuzz(data: &[u8]) {
    let [caps, piece_count, rest @ ..] = data else {
        return;
    };
    let limits = Limits {
        head_bytes_max: [16 * 1024, 1024, 200, 60][usize::from(caps % 4)],
        target_bytes_max: [4096, 100, 20, 8][usize::from(caps / 4 % 4)],
        body_bytes_max: [100_000, 1000, 100, 10][usize::from(caps / 16 % 4)],
        ..Limits::default()
    };
    let (pieces, conversation) = rest.split_at(usize::from(piece_count % 16).min(rest.len()));
    let whole = outcomes(conversation, &[], &limits);
    assert_eq!(whole, outcomes(conversation, pieces, &limits), "in pieces of {pieces:?}");
    assert_eq!(whole, outcomes(conversation, &[0], &limits), "byte by byte");
}

/// What happens when the pieces, of sizes that repeat `piece_sizes`, arrive one after the other.
fn outcomes(conversation: &[u8], piece_sizes: &[u8], limits: &Limits) -> Vec<Outcome> {
    let mut connection = Connection::new(limits);
    let mut sizes = piece_sizes.iter().cycle().map(|size| usize::from(*size) + 1);
    let mut rest = conversation;
    while !rest.is_empty() {
        let (piece, tail) = rest.split_at(sizes.next().unwrap_or(rest.len()).min(rest.len()));
        rest = tail;
        if let Err(refusal) = connection.handle_bytes(piece) {
            connection.outcomes.push(Outcome::Refused(refusal));
            return connection.outcomes;
        }
    }
    connection.body.extend_from_slice(&connection.buffer);
    connection.outcomes.push(Outcome::Incomplete(connection.body));
    connection.outcomes
}

struct Connection<'a> {
    limits: &'a Limits,
    buffer: Vec<u8>,
    scanner: Scanner,
    decoder: Option<Decoder>,
    body: Vec<u8>,
    outcomes: Vec<Outcome>,
}

impl<'a> Connection<'a> {
    fn new(limits: &'a Limits) -> Connection<'a> {
        let (buffer, body, outcomes) = (Vec::new(), Vec::new(), Vec::new());
        Connection { limits, buffer, scanner: Scanner::default(), decoder: None, body, outcomes }
    }

    fn handle_bytes(&mut self, piece: &[u8]) -> Result<(), Refusal> {
        self.buffer.extend_from_slice(piece);
        let mut taken = 0;
        loop {
            let bytes = &self.buffer[taken..];
            if let Some(decoder) = &mut self.decoder {
                taken += decoder.decode(bytes, &mut self.body)?;
                assert!(self.body.len() <= self.limits.body_bytes_max);
                if !decoder.is_complete() {
                    assert_eq!(taken, self.buffer.len(), "an incomplete body takes all there is");
                    break;
                }
                self.outcomes.push(Outcome::Body(std::mem::take(&mut self.body)));
                self.decoder = None;
            } else if let Some((head, length)) = head::parse(&mut self.scanner, bytes, self.limits)? {
                assert!(length <= self.limits.head_bytes_max && self.scanner.is_idle());
                check(&head);
                self.outcomes.push(Outcome::Head(rewrite(&head)));
                self.decoder = Some(Decoder::new(head.framing, self.limits));
                taken += length;
            } else {
                assert!(bytes.len() < self.limits.head_bytes_max, "the buffer of a head is bounded");
                break;
            }
        }
        self.buffer.drain(..taken);
        Ok(())
    }
}

/// What holds for every head that is accepted.
fn check(head: &Head<'_>) {
    assert!(head.path.starts_with('/') || (head.path == "*" && head.method == Method::Options));
    assert!(head.host.is_some() || head.version == Version::Http10);
    assert!(!head.expect_continue || head.framing != Framing::None);
    for segment in head.path.split('/') {
        if let Some(text) = decode_segment(segment) {
            let encoded: String = text.bytes().map(|byte| format!("%{byte:02x}")).collect();
            assert_eq!(decode_segment(&encoded), Some(text));
        }
    }

    let written = rewrite(head);
    let roomy = Limits { head_bytes_max: 1 << 20, target_bytes_max: 1 << 20, ..Limits::default() };
    let (again, length) = head::parse(&mut Scanner::default(), written.as_bytes(), &roomy)
        .expect("a head that is written is valid")
        .expect("a head that is written is complete");
    // Bytes above 0x7f in credentials do not survive the text.
    let [authorization, database_secret] =
        [head.authorization, head.database_secret].map(|secret| secret.filter(|bytes| bytes.is_ascii()));
    assert!(
        again == Head { authorization, database_secret, ..*head } && length == written.len(),
        "{written:?}"
    );

    check_response(head);
}

/// The request with nothing but what this server has understood of it.
fn rewrite(head: &Head<'_>) -> String {
    let method = match head.method {
        Method::Get => "GET",
        Method::Head => "HEAD",
        Method::Post => "POST",
        Method::Put => "PUT",
        Method::Delete => "DELETE",
        Method::Options => "OPTIONS",
        Method::Other => "OTHER",
    };
    let version = match head.version {
        Version::Http10 => "HTTP/1.0",
        Version::Http11 => "HTTP/1.1",
    };
    let query = head.query.map(|query| format!("?{query}")).unwrap_or_default();
    let length = match head.framing {
        Framing::Length(length) => Some(length.to_string()),
        Framing::None | Framing::Chunked => None,
    };
    let [authorization, database_secret] = [head.authorization, head.database_secret].map(|secret| {
        secret.and_then(|bytes| std::str::from_utf8(bytes).ok()).filter(|text| text.is_ascii())
    });
    let mut text = format!("{method} {}{query} {version}\r\n", head.path);
    for (name, value) in [
        ("Host", head.host),
        ("Content-Length", length.as_deref()),
        ("Transfer-Encoding", (head.framing == Framing::Chunked).then_some("chunked")),
        ("Connection", Some(if head.keep_alive { "keep-alive" } else { "close" })),
        ("Expect", head.expect_continue.then_some("100-continue")),
        ("Origin", head.origin),
        ("Authorization", authorization),
        ("DatabaseSecret", database_secret),
        ("Content-Type", head.content_type),
        ("Access-Control-Request-Method", head.access_control_request_method),
        ("Access-Control-Request-Headers", head.access_control_request_headers),
    ] {
        if let Some(value) = value {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
    }
    text + "\r\n"
}

/// What is echoed cannot break a response: httparse reads as many fields as were written.
fn check_response(head: &Head<'_>) {
    let date = DateCache::new(Timestamp::from_unix(0));
    let response = ResponseHead { cors_origin: head.origin, ..ResponseHead::new(200) };
    let mut out = Vec::new();
    let length = response::start(&response, &date, &mut out);
    out.extend_from_slice(b"body");
    length.finish(&mut out);
    assert_eq!(field_count(&out), (if head.origin.is_some() { 9 } else { 5 }, 4));
    if head.is_preflight() {
        out.clear();
        response::preflight(head, head.keep_alive, &date, &mut out);
        let connection = usize::from(!head.keep_alive || head.version == Version::Http10);
        let names = usize::from(head.access_control_request_headers.is_some());
        assert_eq!(field_count(&out), (11 + connection + names, 0));
    }
}

/// The number of fields and the length of the body of one response.
fn field_count(response: &[u8]) -> (usize, usize) {
    let mut fields = [httparse::EMPTY_HEADER; 16];
    let mut parsed = httparse::Response::new(&mut fields);
    let status = parsed.parse(response).expect("a response is well-formed");
    (parsed.headers.len(), response.len() - status.unwrap())
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONVERSATIONS: [&str; 8] = [
        "GET / HTTP/1.1\r\nHost: a\r\n\r\n\r\n\r\nGET /a%20b?c HTTP/1.0\r\n\r\n",
        "POST /kmip/2_1 HTTP/1.1\r\nhost: a:80\r\ncontent-length: 5\r\nExpect: 100-continue\r\n\r\nhelloHEAD /",
        "PUT http://b/x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n6\r\n world\r\n0\r\nA: b\r\n\r\nGET",
        "OPTIONS * HTTP/1.1\r\nHost: a\r\nOrigin: https://c\r\nAccess-Control-Request-Method: PUT\r\n\
         Access-Control-Request-Headers: x-a, x-b\r\nConnection: close\r\nAuthorization: Basic YTpi\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "\x16\x03\x01\x02\x00\x01\x00\x01\x7c\x03\x03",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET",
        "DELETE /aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa HTTP/1.1\r\nHost: a\r\nA: b\r\n c\r\n\r\n",
    ];

    #[test]
    fn conversations_do_not_depend_on_their_pieces() {
        for conversation in CONVERSATIONS {
            for caps in (0..64).step_by(3) {
                for first in 0..conversation.len() {
                    fuzz(&[&[caps, 2, first as u8, 250], conversation.as_bytes()].concat());
                }
            }
        }
    }

    #[test]
    fn mutated_conversations_do_not_depend_on_their_pieces() {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut next = |below: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as usize % below
        };
        const ODD: &[u8] = b"\r\n\t\0 :,;%#*?/[]0159afxHT\x16\x7f\x80\xff";
        for _ in 0..20_000 {
            let mut bytes = CONVERSATIONS[next(CONVERSATIONS.len())].as_bytes().to_vec();
            bytes.extend_from_slice(CONVERSATIONS[next(CONVERSATIONS.len())].as_bytes());
            for _ in 0..next(4) {
                let at = next(bytes.len());
                match next(3) {
                    0 => bytes[at] = ODD[next(ODD.len())],
                    1 => bytes.insert(at, ODD[next(ODD.len())]),
                    _ => drop(bytes.remove(at)),
                }
            }
            let prefix = [next(256) as u8, 3, next(64) as u8, next(16) as u8, next(256) as u8];
            fuzz(&[prefix.as_slice(), &bytes].concat());
        }
    }
}
