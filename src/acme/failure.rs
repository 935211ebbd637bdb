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
    /// It has issued what cannot be used, and would again: that counts as much as what can.
    Unusable,
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
    /// section 6.7). Where there is a type it decides alone: the rest may hold anybody's names.
    pub fn of_order(text: &str) -> Failure {
        let kind = match text.split_once(PROBLEM) {
            _ if text.starts_with("Validation failed") || text.starts_with("Order is in status") => {
                Kind::Validation
            }
            Some((_, problem)) => of_problem(problem),
            None => of_words(text),
        };
        Failure::new(kind, text)
    }
}

/// What problem types begin with (RFC 8555 section 6.7).
const PROBLEM: &str = "urn:ietf:params:acme:error:";

/// By a type and what follows it.
fn of_problem(problem: &str) -> Kind {
    let (kind, detail) =
        problem.split_at(problem.find(|c: char| !c.is_alphanumeric()).unwrap_or(problem.len()));
    match kind {
        "rateLimited" => Kind::RateLimited,
        "serverInternal" | "badNonce" => Kind::Unreachable,
        "malformed" if has_word(detail, &["jws", "signature"]) => Kind::Signature,
        _ => Kind::Refused,
    }
}

/// By the words of acme-micro and of the crates below it.
fn of_words(text: &str) -> Kind {
    let lower = text.to_ascii_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| lower.contains(word));
    if says(&["too many"]) {
        Kind::RateLimited
    } else if says(&["missing header", "expected value", "eof while parsing"])
        || has_word(
            text,
            &["httpreqerror", "problemjsonfail", "io", "timeout", "connection", "resolve", "rustls"],
        )
    {
        Kind::Unreachable
    } else {
        Kind::Refused
    }
}

/// Whether one of these words (in lower case) stands alone: not as a part of a name, say.
fn has_word(text: &str, words: &[&str]) -> bool {
    let bare = |word: &str| word.trim_matches(|c: char| !c.is_alphanumeric()).to_ascii_lowercase();
    text.split_whitespace().any(|word| words.contains(&bare(word).as_str()))
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
            ("urn:ietf:params:acme:error:badNonce: JWS has an invalid anti-replay nonce", Kind::Unreachable),
            ("httpReqError: 429 Too Many Requests body: ", Kind::RateLimited),
            ("Missing header: location", Kind::Unreachable),
            ("json: EOF while parsing a value at line 1 column 0", Kind::Unreachable),
        ] {
            assert_eq!(Failure::of_order(text).kind, kind, "{text}");
        }
    }

    #[test]
    fn a_problem_type_decides_and_names_do_not() {
        let of_type = |rest: &str| Failure::of_order(&format!("urn:ietf:params:acme:error:{rest}")).kind;
        for name in ["signature", "jws", "connection", "resolve", "timeout", "rustls"] {
            let name = format!("{name}.example.com");
            assert_eq!(of_type(&format!("rateLimited: too many orders for {name}")), Kind::RateLimited);
            assert_eq!(of_type(&format!("malformed: \"{name}\" is no name")), Kind::Refused, "{name}");
            assert_eq!(of_type(&format!("rejectedIdentifier: {name}")), Kind::Refused, "{name}");
            let kind = Failure::of_order(&format!("there is no such challenge for {name}")).kind;
            assert_eq!(kind, Kind::Refused, "{name}");
        }
        assert_eq!(of_type("unauthorized: the signature is by another account, or too many"), Kind::Refused);
        assert_eq!(of_type("dns"), Kind::Refused);
        assert_eq!(Failure::of_order("the signature is wrong").kind, Kind::Refused);
        let in_page = "httpReqError: 503 Service Unavailable body: {\"type\":\"urn:ietf:params:acme:error:rateLimited\"}";
        assert_eq!(Failure::of_order(in_page).kind, Kind::RateLimited);
        assert_eq!(
            Failure::of_order("Validation failed: \"Failed: urn:ietf:params:acme:error:connection\"").kind,
            Kind::Validation
        );
    }

    #[test]
    fn long_texts_are_cut_between_characters() {
        let failure = Failure::new(Kind::Refused, &"\u{e9}".repeat(5000));
        assert_eq!(failure.text.chars().count(), TEXT_CHARS_MAX + 2);
    }
}
