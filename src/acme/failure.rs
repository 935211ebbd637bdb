//! Why there is no certificate, and who must act.
#![forbid(unsafe_code)]

/// Characters of a failure's text; a certification authority may say more.
const TEXT_CHARS_MAX: usize = 400;

/// What a failure means for the next try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The signature of a request was not taken: acme-micro leaves out leading zeros of its numbers, so that one in 128
    /// is wrong. The next one will do.
    Signature,
    /// The certification authority looked for the proof and did not find it: name, firewall or port.
    Validation,
    /// Too much was asked for.
    RateLimited,
    /// The certification authority is not there, or not well.
    Unreachable,
    /// The certification authority said no.
    Refused,
    /// Something on this machine: a port that is taken, a file that cannot be written.
    Local,
}

/// A failed order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What it means.
    pub kind: Kind,
    /// One line for the operator.
    pub text: String,
}

impl Failure {
    /// A failure of this kind; the text is cut where it is too long.
    pub fn new(kind: Kind, text: &str) -> Failure {
        let mut text = text.to_owned();
        if let Some((end, _)) = text.char_indices().nth(TEXT_CHARS_MAX) {
            text.truncate(end);
            text.push_str("..");
        }
        Failure { kind, text }
    }

    /// A failure that acme-micro tells in words: all that it keeps of an answer is its problem type and detail (RFC 8555
    /// section 6.7).
    pub fn of_order(text: &str) -> Failure {
        let lower = text.to_ascii_lowercase();
        let says = |words: &[&str]| words.iter().any(|word| lower.contains(word));
        let kind = if says(&["validation failed", "order is in status"]) {
            Kind::Validation
        } else if says(&["jws", "signature"]) {
            Kind::Signature
        } else if says(&["ratelimited", "429 too many", "too many"]) {
            Kind::RateLimited
        } else if says(&["httpreqerror", "io:", "timeout", "connection", "resolve", "serverinternal"])
            || says(&["missing header", "problemjsonfail", "expected value", "eof while parsing", "rustls"])
        {
            Kind::Unreachable
        } else {
            Kind::Refused
        };
        Failure::new(kind, text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_acme_micro_are_understood() {
        for (text, kind) in [
            ("urn:ietf:params:acme:error:malformed: JWS verification error", Kind::Signature),
            ("urn:ietf:params:acme:error:malformed: signature validation error", Kind::Signature),
            ("Validation failed: \"Failed: 127.0.0.1: Connection refused\"", Kind::Validation),
            ("Order is in status: Some(\"invalid\")", Kind::Validation),
            ("urn:ietf:params:acme:error:rateLimited: too many certificates", Kind::RateLimited),
            ("httpReqError: 503 Service Unavailable body: not json", Kind::Unreachable),
            ("httpReqError: io: Connection refused", Kind::Unreachable),
            ("urn:ietf:params:acme:error:serverInternal: oops", Kind::Unreachable),
            ("urn:ietf:params:acme:error:rejectedIdentifier: no", Kind::Refused),
            ("urn:ietf:params:acme:error:badCSR: weak key", Kind::Refused),
        ] {
            assert_eq!(Failure::of_order(text).kind, kind, "{text}");
        }
    }

    #[test]
    fn long_texts_are_cut_between_characters() {
        let failure = Failure::new(Kind::Refused, &"\u{e9}".repeat(5000));
        assert_eq!(failure.text.chars().count(), TEXT_CHARS_MAX + 2);
    }
}
