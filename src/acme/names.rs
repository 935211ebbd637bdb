//! The names that a certificate is asked for.
#![forbid(unsafe_code)]

use std::net::IpAddr;

/// Names of one certificate: as many as Let's Encrypt takes.
pub const NAMES_MAX: usize = 100;
/// Bytes of a name in text form (RFC 1035 section 2.3.4, without the root's dot).
const NAME_BYTES_MAX: usize = 253;
/// Bytes of one label.
const LABEL_BYTES_MAX: usize = 63;

/// Reads a list of names, separated by commas: lower case, each once, in the order given. The error says what is wrong.
pub fn parse(text: &str) -> Result<Vec<String>, String> {
    let mut names: Vec<String> = Vec::new();
    for name in text.split(',').map(str::trim).filter(|name| !name.is_empty()) {
        let name = name.to_ascii_lowercase();
        check(&name)?;
        if !names.contains(&name) {
            names.push(name);
        }
    }
    match names.len() {
        0 => Err("names no host".into()),
        1..=NAMES_MAX => Ok(names),
        count => Err(format!("names {count} hosts, more than {NAMES_MAX}")),
    }
}

/// Whether ACME's challenges over HTTP and TLS can prove control of the name.
fn check(name: &str) -> Result<(), String> {
    let bare = name.trim_start_matches('[').trim_end_matches(']');
    let refused = |reason: &str| Err(format!("{name:?} {reason}"));
    if bare.parse::<IpAddr>().is_ok() {
        return refused("is an address: a certificate from ACME is for a name");
    }
    if name.contains('*') {
        return refused("is a wildcard, which only the challenge dns-01 can prove: name the hosts");
    }
    if !name.is_ascii() {
        return refused("is not in ASCII: write it with punycode (xn--..)");
    }
    let is_label = |label: &str| {
        (1..=LABEL_BYTES_MAX).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    if name.len() > NAME_BYTES_MAX || !name.split('.').all(is_label) {
        return refused("is no host name");
    }
    if name.rsplit('.').next().is_some_and(|label| label.bytes().all(|byte| byte.is_ascii_digit())) {
        return refused("ends in a number, as no host name does");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_in_lower_case_and_each_once() {
        let names = |text| parse(text).unwrap();
        assert_eq!(names("Kms.Example.COM"), ["kms.example.com"]);
        assert_eq!(names("a.example, b-2.example,a.example,"), ["a.example", "b-2.example"]);
        assert_eq!(names("kms"), ["kms"]);
        assert_eq!(names("xn--bcher-kva.example"), ["xn--bcher-kva.example"]);
    }

    #[test]
    fn what_no_challenge_can_prove_is_refused_with_the_reason() {
        for (text, reason) in [
            ("", "names no host"),
            (" , ", "names no host"),
            ("192.0.2.1", "is an address"),
            ("::1", "is an address"),
            ("[2001:db8::1]", "is an address"),
            ("*.example.com", "wildcard"),
            ("b\u{fc}cher.example", "punycode"),
            ("a..example", "is no host name"),
            ("-a.example", "is no host name"),
            ("a_b.example", "is no host name"),
            ("https://a.example", "is no host name"),
            ("a.example.", "is no host name"),
            ("1.2.3", "ends in a number"),
        ] {
            assert!(parse(text).unwrap_err().contains(reason), "{text}");
        }
        assert!(parse(&format!("{}.example", "a".repeat(64))).is_err());
        let many: Vec<String> = (0..=NAMES_MAX).map(|n| format!("h{n}.example")).collect();
        assert!(parse(&many.join(",")).is_err());
    }
}
