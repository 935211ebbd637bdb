//! Request targets (RFC 9112 section 3.2) and the parts of URIs that a server looks at (RFC 3986).
#![forbid(unsafe_code)]

use super::Refusal;
use super::head::Method;
use std::borrow::Cow;
use std::net::Ipv6Addr;

const MALFORMED_TARGET: Refusal = Refusal::bad_request("The request target is malformed.");
const ASTERISK: Refusal = Refusal::bad_request("The request target * is for OPTIONS only.");
const FRAGMENT: Refusal = Refusal::bad_request("The request target contains a fragment.");
const NOT_ASCII: Refusal =
    Refusal::bad_request("The request target contains characters other than visible ASCII.");
const AUTHORITY_FORM: Refusal =
    Refusal::bad_request("The request target must begin with a slash: this server is no proxy.");

/// Undoes the percent-encoding of one segment of a path: `None` when an escape is malformed or the result is not UTF-8. The
/// result may contain any character, slashes included: a path is split before its segments are decoded.
pub fn decode_segment(segment: &str) -> Option<Cow<'_, str>> {
    let Some(first) = segment.find('%') else {
        return Some(Cow::Borrowed(segment));
    };
    let (plain, mut rest) = segment.as_bytes().split_at(first);
    let mut decoded = Vec::with_capacity(segment.len());
    decoded.extend_from_slice(plain);
    while let [byte, tail @ ..] = rest {
        rest = match (byte, tail) {
            (b'%', [high, low, tail @ ..]) => {
                decoded.push(hex_value(*high)? << 4 | hex_value(*low)?);
                tail
            }
            (b'%', _) => return None,
            _ => {
                decoded.push(*byte);
                tail
            }
        };
    }
    String::from_utf8(decoded).ok().map(Cow::Owned)
}

/// The number that a hexadecimal digit of either case stands for.
pub(super) fn hex_value(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

/// The parts of a request target; the scheme of the absolute form says nothing that the connection does not.
pub(super) struct Target<'a> {
    /// Host and port of the absolute form.
    pub(super) authority: Option<&'a str>,
    /// Begins with a slash, or is `*`.
    pub(super) path: &'a str,
    /// What follows the first question mark.
    pub(super) query: Option<&'a str>,
}

impl<'a> Target<'a> {
    /// Reads the origin form, the absolute form and, for OPTIONS, the asterisk form.
    pub(super) fn parse(target: &'a str, method: Method) -> Result<Target<'a>, Refusal> {
        if target.contains('#') {
            return Err(FRAGMENT);
        }
        if !target.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(NOT_ASCII);
        }
        if target == "*" {
            let target = Target { authority: None, path: target, query: None };
            return if method == Method::Options { Ok(target) } else { Err(ASTERISK) };
        }
        let (authority, origin_form) = if target.starts_with('/') {
            (None, target)
        } else {
            let (scheme, rest) = target.split_once("://").ok_or(AUTHORITY_FORM)?;
            let (authority, origin_form) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
            if !is_http(scheme) || !is_host_and_port(authority) {
                return Err(MALFORMED_TARGET);
            }
            (Some(authority), origin_form)
        };
        let (path, query) = match origin_form.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (origin_form, None),
        };
        Ok(Target { authority, path: if path.is_empty() { "/" } else { path }, query })
    }
}

fn is_http(scheme: &str) -> bool {
    scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https")
}

/// Whether `text` is a host with or without a port (RFC 3986 section 3.2), as in a `Host` field. User information is none.
pub(super) fn is_host_and_port(text: &str) -> bool {
    let (host_is_valid, port) = if let Some(rest) = text.strip_prefix('[') {
        let Some((address, port)) = rest.split_once(']') else {
            return false;
        };
        (address.parse::<Ipv6Addr>().is_ok() || is_future_address(address), port)
    } else {
        let (host, port) = text.split_at(text.find(':').unwrap_or(text.len()));
        (!host.is_empty() && host.bytes().all(is_host_byte) && has_whole_escapes(host), port)
    };
    let port_is_valid = match port.strip_prefix(':') {
        Some(digits) => digits.is_empty() || digits.parse::<u16>().is_ok_and(|_| !digits.starts_with('+')),
        None => port.is_empty(),
    };
    host_is_valid && port_is_valid
}

/// An address of a version of IP that is yet to come (RFC 3986 `IPvFuture`).
fn is_future_address(text: &str) -> bool {
    let parts = text.strip_prefix(['v', 'V']).and_then(|rest| rest.split_once('.'));
    parts.is_some_and(|(version, address)| {
        !version.is_empty()
            && version.bytes().all(|digit| digit.is_ascii_hexdigit())
            && !address.is_empty()
            && address.bytes().all(|byte| byte != b'%' && (is_host_byte(byte) || byte == b':'))
    })
}

/// Whether two hexadecimal digits follow every percent sign.
fn has_whole_escapes(text: &str) -> bool {
    let is_digit = |digit: &u8| digit.is_ascii_hexdigit();
    text.split('%')
        .skip(1)
        .all(|rest| rest.as_bytes().get(..2).is_some_and(|digits| digits.iter().all(is_digit)))
}

/// A registered name or an IPv4 address (RFC 3986 `reg-name`).
fn is_host_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~%!$&'()*+,;=".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_are_decoded() {
        for (segment, expected) in [
            ("", Some("")),
            ("abc-._~", Some("abc-._~")),
            ("a+b", Some("a+b")),
            ("a%20b%2Fc%2f", Some("a b/c/")),
            ("%e2%82%AC", Some("€")),
            ("%", None),
            ("%4", None),
            ("a%4", None),
            ("%4g", None),
            ("%+4", None),
            ("%e2%82", None),
            ("%c0%af", None),
            ("%ff", None),
        ] {
            assert_eq!(decode_segment(segment).as_deref(), expected, "{segment}");
        }
        assert!(matches!(decode_segment("plain"), Some(Cow::Borrowed("plain"))));
    }

    #[test]
    fn hosts_are_checked() {
        for valid in
            ["a", "a.b:80", "a:", "127.0.0.1:9998", "[::1]", "[::1]:65535", "xn--a_b", "a%20", "[v1F.a:b]"]
        {
            assert!(is_host_and_port(valid), "{valid}");
        }
        for malformed in [
            "",
            ":80",
            "a b",
            "a:b",
            "a:+1",
            "a:65536",
            "a:80:80",
            "u@a",
            "a/b",
            "a?b",
            "a,b c",
            "[::1",
            "[]",
            "[::1]80",
            "[::1%25lo]",
            "[::g]",
            "[1]",
            "[v.a]",
            "[v1.]",
            "[vg.a]",
            "[v1.%20]",
            "%",
            "a%2",
            "a%zz",
            "::1",
            "a\\b",
            "a\"",
            "é",
            "a\t",
        ] {
            assert!(!is_host_and_port(malformed), "{malformed}");
        }
    }
}
