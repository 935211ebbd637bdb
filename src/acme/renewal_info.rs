//! ACME Renewal Information (RFC 9773): when the certification authority would like a certificate to be renewed.
#![forbid(unsafe_code)]

use crate::time::Timestamp;
use crate::wire::base64url;
use crate::wire::json::Lexer;

/// When to renew: some time between these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// The beginning.
    pub start: Timestamp,
    /// The end, which comes after it.
    pub end: Timestamp,
}

/// The URL of renewal information in a directory (RFC 9773 section 4); `None` where the authority offers none.
pub fn url_in_directory(directory: &mut [u8]) -> Option<String> {
    find(directory, &["renewalInfo"])
}

/// The window in an answer (RFC 9773 section 4.2).
pub fn parse(answer: &mut [u8]) -> Option<Window> {
    let mut text = answer.to_vec();
    let start = Timestamp::parse_rfc3339(&find(answer, &["suggestedWindow", "start"])?)?;
    let end = Timestamp::parse_rfc3339(&find(&mut text, &["suggestedWindow", "end"])?)?;
    (start < end).then_some(Window { start, end })
}

/// The string at this path of member names in a JSON document.
fn find(document: &mut [u8], path: &[&str]) -> Option<String> {
    let mut lexer = Lexer::new(document);
    for (depth, wanted) in path.iter().enumerate() {
        lexer.open_object().ok()?;
        loop {
            let name = lexer.member().ok()??;
            if name == *wanted {
                break;
            }
            lexer.skip().ok()?;
        }
        if depth + 1 == path.len() {
            return lexer.string().ok().map(str::to_owned);
        }
    }
    None
}

/// The text that names a certificate (RFC 9773 section 4.1), of the key identifier of its issuer and its serial number
/// (the content of the DER integer).
pub fn certificate_id(authority_key_id: &[u8], serial: &[u8]) -> String {
    format!("{}.{}", base64url::encode(authority_key_id), base64url::encode(serial))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_the_rfc_is_reproduced() {
        let key_id = [
            0x69, 0x88, 0x5B, 0x6B, 0x87, 0x46, 0x40, 0x41, 0xE1, 0xB3, 0x7B, 0x84, 0x7B, 0xA0, 0xAE, 0x2C,
            0xDE, 0x01, 0xC8, 0xD4,
        ];
        let serial = [0x00, 0x87, 0x65, 0x43, 0x21];
        assert_eq!(certificate_id(&key_id, &serial), "aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE");
    }

    #[test]
    fn windows_are_read_wherever_they_stand() {
        let window = |text: &str| parse(&mut text.as_bytes().to_vec());
        let good = r#"{"x":[1,{"start":"no"}],"suggestedWindow":{"end":"2026-01-03T00:00:00Z","start":"2026-01-02T04:00:00Z"},
            "explanationURL":"https://acme.example.com/docs"}"#;
        let unix = |at: &str| Timestamp::parse_rfc3339(at).unwrap();
        let expected = Window { start: unix("2026-01-02T04:00:00Z"), end: unix("2026-01-03T00:00:00Z") };
        assert_eq!(window(good), Some(expected));
        for bad in [
            "",
            "[]",
            r#"{"suggestedWindow":{"start":"2026-01-02T04:00:00Z"}}"#,
            r#"{"suggestedWindow":{"start":"2026-01-03T00:00:00Z","end":"2026-01-02T00:00:00Z"}}"#,
            r#"{"suggestedWindow":{"start":"soon","end":"later"}}"#,
            r#"{"suggestedWindow":"2026-01-02T04:00:00Z"}"#,
        ] {
            assert_eq!(window(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_directory_may_offer_none() {
        let url = |text: &str| url_in_directory(&mut text.as_bytes().to_vec());
        assert_eq!(
            url(r#"{"newNonce":"https://a/n","renewalInfo":"https://a/r","meta":{}}"#),
            Some("https://a/r".into())
        );
        assert_eq!(url(r#"{"newNonce":"https://a/n"}"#), None);
    }
}
