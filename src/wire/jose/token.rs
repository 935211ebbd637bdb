//! Tokens (JWT): a header, claims and a signature.
#![forbid(unsafe_code)]

use super::super::base64url;
use super::super::json::{Error, Lexer, Number};
use super::{parts, text_once};

/// A token as it was read. Nothing of it is true until the signature is verified.
pub struct Token<'t> {
    /// What the token says of itself.
    pub header: Header,
    /// What it says of who shows it.
    pub claims: Claims,
    /// What is signed: header and claims as they travelled.
    pub signed: &'t [u8],
    /// The signature.
    pub signature: Vec<u8>,
}

/// The header (RFC 7515 section 4.1).
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Header {
    /// `alg`.
    pub algorithm: Option<String>,
    /// `kid`.
    pub key_id: Option<String>,
    /// `typ`.
    pub kind: Option<String>,
    /// Whether there is a `crit`: then there is something that must be understood.
    pub is_critical: bool,
}

/// The claims that count here (RFC 7519 section 4.1, and of OpenID Connect).
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Claims {
    /// `iss`.
    pub issuer: Option<String>,
    /// `sub`.
    pub subject: Option<String>,
    /// `aud`: a string or several.
    pub audience: Vec<String>,
    /// `exp`, in seconds since 1970.
    pub expires: Option<i64>,
    /// `nbf`, likewise.
    pub not_before: Option<i64>,
    /// `email`, where it is a string.
    pub email: Option<String>,
    /// What `email_verified` says, where it is there: true, or `"true"` as some issuers write it.
    pub email_verified: Option<bool>,
}

/// Which part of a token cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It has not three parts in base64url.
    Form,
    /// The header is not a JSON object, or a member of it is of the wrong type or there twice.
    Header,
    /// The same of the claims.
    Claims,
}

/// Reads a token in the compact form.
pub fn parse(token: &[u8]) -> Result<Token<'_>, Fault> {
    let [header, claims, signature] = parts(token).ok_or(Fault::Form)?;
    let signed = &token[..header.len() + 1 + claims.len()];
    let decode = |part| base64url::decode(part).ok_or(Fault::Form);
    let (mut header, mut claims, signature) = (decode(header)?, decode(claims)?, decode(signature)?);
    let header = read_header(&mut Lexer::new(&mut header)).map_err(|_| Fault::Header)?;
    let claims = read_claims(&mut Lexer::new(&mut claims)).map_err(|_| Fault::Claims)?;
    Ok(Token { header, claims, signed, signature })
}

fn read_header(lexer: &mut Lexer<'_>) -> Result<Header, Error> {
    let mut header = Header::default();
    lexer.open_object()?;
    while let Some(name) = lexer.member()? {
        match name {
            "alg" => text_once(&mut header.algorithm, lexer)?,
            "kid" => text_once(&mut header.key_id, lexer)?,
            "typ" => text_once(&mut header.kind, lexer)?,
            name => {
                header.is_critical |= name == "crit";
                lexer.skip()?;
            }
        }
    }
    lexer.end()?;
    Ok(header)
}

fn read_claims(lexer: &mut Lexer<'_>) -> Result<Claims, Error> {
    let mut claims = Claims::default();
    let (mut has_audience, mut has_email) = (false, false);
    lexer.open_object()?;
    while let Some(name) = lexer.member()? {
        let is_repeated = match name {
            "iss" => text_once(&mut claims.issuer, lexer).map(|()| false)?,
            "sub" => text_once(&mut claims.subject, lexer).map(|()| false)?,
            "exp" => claims.expires.replace(date(lexer)?).is_some(),
            "nbf" => claims.not_before.replace(date(lexer)?).is_some(),
            "aud" => {
                read_audience(&mut claims.audience, lexer)?;
                std::mem::replace(&mut has_audience, true)
            }
            "email" => {
                match lexer.peek()? {
                    b'"' => claims.email = Some(lexer.string()?.to_owned()),
                    _ => lexer.skip()?,
                }
                std::mem::replace(&mut has_email, true)
            }
            "email_verified" => claims.email_verified.replace(truth(lexer)?).is_some(),
            _ => lexer.skip().map(|()| false)?,
        };
        if is_repeated {
            return Err(lexer.data("a member is repeated"));
        }
    }
    lexer.end()?;
    Ok(claims)
}

fn read_audience(audience: &mut Vec<String>, lexer: &mut Lexer<'_>) -> Result<(), Error> {
    if lexer.peek()? == b'"' {
        audience.push(lexer.string()?.to_owned());
        return Ok(());
    }
    lexer.open_array()?;
    while lexer.element()? {
        audience.push(lexer.string()?.to_owned());
    }
    Ok(())
}

/// Anything but true counts as false: it is a promise of the issuer.
fn truth(lexer: &mut Lexer<'_>) -> Result<bool, Error> {
    match lexer.peek()? {
        b't' | b'f' => lexer.boolean(),
        b'"' => Ok(lexer.string()? == "true"),
        _ => lexer.skip().map(|()| false),
    }
}

/// A NumericDate (RFC 7519 section 2): seconds, perhaps with a fraction, which is cut off.
fn date(lexer: &mut Lexer<'_>) -> Result<i64, Error> {
    let seconds = match lexer.number()? {
        Number::Unsigned(seconds) => i64::try_from(seconds).ok(),
        Number::Negative(seconds) => Some(seconds),
        // Beyond this, a double has no exact seconds.
        Number::Float(seconds) => (seconds.abs() < 2_f64.powi(53)).then_some(seconds as i64),
    };
    seconds.ok_or_else(|| lexer.data("no date"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(header: &str, claims: &str) -> String {
        format!(
            "{}.{}.{}",
            base64url::encode(header.as_bytes()),
            base64url::encode(claims.as_bytes()),
            base64url::encode(b"signed")
        )
    }

    #[test]
    fn header_claims_and_signature_are_read() {
        let claims = r#"{"iss":"i","sub":"s","aud":["a","b"],"exp":1.5e9,"nbf":-1,"email":"e@x","email_verified":"true","more":[{}]}"#;
        let text = token(r#"{"typ":"JWT","alg":"ES256","kid":"\u006b1","x5c":["a"]}"#, claims);
        let token = parse(text.as_bytes()).ok().unwrap();
        let header = Header {
            algorithm: Some("ES256".into()),
            key_id: Some("k1".into()),
            kind: Some("JWT".into()),
            is_critical: false,
        };
        assert_eq!(token.header, header);
        let claims = Claims {
            issuer: Some("i".into()),
            subject: Some("s".into()),
            audience: vec!["a".into(), "b".into()],
            expires: Some(1_500_000_000),
            not_before: Some(-1),
            email: Some("e@x".into()),
            email_verified: Some(true),
        };
        assert_eq!(token.claims, claims);
        assert_eq!(token.signed, text.rsplit_once('.').unwrap().0.as_bytes());
        assert_eq!(token.signature, b"signed");
    }

    #[test]
    fn an_email_must_be_a_string_and_verified_where_that_is_said() {
        let claims = |claims: &str| parse(token("{}", claims).as_bytes()).map(|token| token.claims);
        assert_eq!(claims(r#"{"email":["a@x"]}"#).unwrap().email, None);
        for (said, verified) in [
            ("true", true),
            ("\"true\"", true),
            ("false", false),
            ("\"false\"", false),
            ("1", false),
            ("null", false),
        ] {
            let claims = claims(&format!(r#"{{"email_verified":{said}}}"#)).unwrap();
            assert_eq!(claims.email_verified, Some(verified), "{said}");
        }
    }

    #[test]
    fn what_is_no_token_is_told_by_its_part() {
        let good = token("{}", "{}");
        for (text, fault) in [
            (String::new(), Fault::Form),
            ("a.b".into(), Fault::Form),
            (format!("{good}.e30"), Fault::Form),
            (format!("{good}="), Fault::Form),
            (good.replacen('.', "=.", 1), Fault::Form),
            (token("[]", "{}"), Fault::Header),
            (token(r#"{"alg":1}"#, "{}"), Fault::Header),
            (token(r#"{"alg":"RS256","alg":"none"}"#, "{}"), Fault::Header),
            (token("{} {}", "{}"), Fault::Header),
            (token("{}", ""), Fault::Claims),
            (token("{}", r#"{"iss":["i"]}"#), Fault::Claims),
            (token("{}", r#"{"exp":"1"}"#), Fault::Claims),
            (token("{}", r#"{"exp":1e300}"#), Fault::Claims),
            (token("{}", r#"{"exp":1,"exp":2}"#), Fault::Claims),
            (token("{}", r#"{"aud":"a","aud":"b"}"#), Fault::Claims),
            (token("{}", r#"{"aud":[1]}"#), Fault::Claims),
            (token("{}", r#"{"email":1,"email":"a@x"}"#), Fault::Claims),
        ] {
            assert_eq!(parse(text.as_bytes()).err(), Some(fault), "{text}");
        }
    }
}
