//! Whether a token is good, and whose it is. The order is that of RFC 7519 section 7.2: what the token says of itself, whose
//! key has signed it, and only then what it says of who shows it.
#![forbid(unsafe_code)]

use super::Issuer;
use crate::crypto::jws::Algorithm;
use crate::kms::policy::Principal;
use crate::limits;
use crate::time::Timestamp;
use crate::wire::jose::keys::PublicKey;
use crate::wire::jose::token::{self, Claims, Header, Token};
use std::fmt;

/// Why a token is not taken. Nothing of the token is in it, so that it can be logged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// There is none, or not as `Authorization: Bearer ..`.
    Missing,
    /// It has more than [`limits::TOKEN_BYTES_MAX`].
    TooLong,
    /// It cannot be read.
    Unreadable(token::Fault),
    /// It is not signed by one of the algorithms that there are: `none`, `HS256`..
    Algorithm,
    /// Something in it must be understood that is not (RFC 7515 section 4.1.11).
    Critical,
    /// It is made for something else (RFC 8725 section 3.11).
    Kind,
    /// It does not name the key that has signed it.
    NoKeyId,
    /// Its issuer is none that is trusted.
    Issuer,
    /// The keys of this issuer (an index) have not been fetched yet.
    NoKeys(usize),
    /// The key that it names is none of this issuer (an index) that is known.
    UnknownKey(usize),
    /// The key that it names cannot be used.
    UselessKey(&'static str),
    /// The key that it names is not for its algorithm.
    WrongKey,
    /// The signature is wrong.
    Signature,
    /// It is for others.
    Audience,
    /// It does not say when it expires.
    NoExpiry,
    /// It has expired.
    Expired,
    /// It is not valid yet.
    NotYet,
    /// It does not say whose it is, or what cannot be a user.
    NoUser,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Fault::Missing => "there is no token: Authorization: Bearer ..",
            Fault::TooLong => "the token is too long",
            Fault::Unreadable(token::Fault::Form) => "the token has not the form of one",
            Fault::Unreadable(token::Fault::Header) => "the token's header cannot be read",
            Fault::Unreadable(token::Fault::Claims) => "the token's claims cannot be read",
            Fault::Algorithm => "the token's alg is none that is taken",
            Fault::Critical => "the token has a crit, and nothing of that is known here",
            Fault::Kind => "the token's typ is not JWT",
            Fault::NoKeyId => "the token has no kid",
            Fault::Issuer => "the token's iss is not trusted",
            Fault::NoKeys(_) => "the keys of the token's issuer are not there yet",
            Fault::UnknownKey(_) => "the token's kid is none of its issuer's",
            Fault::UselessKey(reason) => {
                return write!(f, "the key of the token's kid cannot be used: {reason}");
            }
            Fault::WrongKey => "the key of the token's kid is not for its alg",
            Fault::Signature => "the token's signature is wrong",
            Fault::Audience => "the token's aud is not this server",
            Fault::NoExpiry => "the token has no exp",
            Fault::Expired => "the token has expired",
            Fault::NotYet => "the token is not valid yet (nbf)",
            Fault::NoUser => "the token has no email or sub that can be a user",
        })
    }
}

/// The token in an `Authorization` (RFC 6750 section 2.1); the case of the scheme is of no meaning (RFC 9110 section 11.1).
pub fn bearer(authorization: Option<&[u8]>) -> Result<&[u8], Fault> {
    const SCHEME: &[u8] = b"bearer ";
    let (scheme, token) =
        authorization.and_then(|field| field.split_at_checked(SCHEME.len())).ok_or(Fault::Missing)?;
    match scheme.eq_ignore_ascii_case(SCHEME) {
        true => Ok(token.trim_ascii()),
        false => Err(Fault::Missing),
    }
}

/// The user whose token this is.
pub fn judge(token: &[u8], issuers: &[Issuer], now: Timestamp) -> Result<Principal, Fault> {
    if token.len() > limits::TOKEN_BYTES_MAX {
        return Err(Fault::TooLong);
    }
    let Token { header, claims, signed, signature } = token::parse(token).map_err(Fault::Unreadable)?;
    let algorithm = header.algorithm.as_deref().and_then(Algorithm::named).ok_or(Fault::Algorithm)?;
    if header.is_critical {
        return Err(Fault::Critical);
    }
    if !is_for_access(&header) {
        return Err(Fault::Kind);
    }
    let key_id = header.key_id.as_deref().ok_or(Fault::NoKeyId)?;
    let (index, issuer) = issuers
        .iter()
        .enumerate()
        .find(|(_, issuer)| claims.issuer.as_ref() == Some(&issuer.trusted.issuer))
        .ok_or(Fault::Issuer)?;
    let key = key(issuer, index, key_id, algorithm)?;
    if !algorithm.verifies(key, signed, &signature) {
        return Err(Fault::Signature);
    }
    judge_claims(&claims, issuer.trusted.audience.as_deref(), now)?;
    user(claims).ok_or(Fault::NoUser)
}

/// Other kinds, such as `logout+jwt`, are signed by the same keys.
fn is_for_access(header: &Header) -> bool {
    let Some(kind) = header.kind.as_deref().map(str::to_ascii_lowercase) else { return true };
    matches!(kind.strip_prefix("application/").unwrap_or(&kind), "jwt" | "at+jwt")
}

/// The issuer's key with this name, for this algorithm.
fn key<'i>(issuer: &'i Issuer, index: usize, id: &str, algorithm: Algorithm) -> Result<&'i PublicKey, Fault> {
    let keys = issuer.keys.as_ref().ok_or(Fault::NoKeys(index))?;
    let mut fault = Fault::UnknownKey(index);
    for named in keys.named(id) {
        let is_for_it = |name: &String| Algorithm::named(name) == Some(algorithm);
        match &named.key {
            Ok(key) if algorithm.fits(key) && named.algorithm.as_ref().is_none_or(is_for_it) => {
                return Ok(key);
            }
            Ok(_) => fault = Fault::WrongKey,
            Err(reason) => fault = Fault::UselessKey(reason),
        }
    }
    Err(fault)
}

fn judge_claims(claims: &Claims, audience: Option<&str>, now: Timestamp) -> Result<(), Fault> {
    if audience.is_some_and(|wanted| claims.audience.iter().all(|audience| audience != wanted)) {
        return Err(Fault::Audience);
    }
    let (now, leeway) = (now.unix(), limits::TOKEN_CLOCK_LEEWAY.as_secs() as i64);
    if claims.expires.ok_or(Fault::NoExpiry)?.saturating_add(leeway) <= now {
        return Err(Fault::Expired);
    }
    if claims.not_before.is_some_and(|not_before| not_before.saturating_sub(leeway) > now) {
        return Err(Fault::NotYet);
    }
    Ok(())
}

/// The e-mail address, as the old server has it, unless the issuer does not vouch for it; else the subject.
fn user(claims: Claims) -> Option<Principal> {
    let email = claims.email.filter(|_| claims.email_verified != Some(false));
    Principal::named(email.or(claims.subject)?)
}

#[cfg(test)]
mod tests {
    use super::super::Trusted;
    use super::super::key_set::KeySet;
    use super::*;
    use crate::time::Instant;
    use crate::wire::base64url;
    use ring::signature::{Ed25519KeyPair, KeyPair};
    use std::sync::Arc;

    const NOW: i64 = 1_800_000_000;

    fn pair(seed: u8) -> Ed25519KeyPair {
        Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap()
    }

    fn issuer(name: &str, audience: Option<&str>, seed: Option<u8>) -> Issuer {
        let source = Arc::new(super::super::Source { url: String::new(), ca_root: None });
        let trusted = Trusted { issuer: name.into(), audience: audience.map(str::to_owned), source };
        let mut issuer = Issuer::new(trusted, Instant::default());
        issuer.keys = seed.map(|seed| {
            let x = base64url::encode(pair(seed).public_key().as_ref());
            let key = |id: &str, more: &str| {
                format!(r#"{{"kty":"OKP","crv":"Ed25519","kid":"{id}","x":"{x}"{more}}}"#)
            };
            let keys = [
                key("k", ""),
                key("for", r#","alg":"EdDSA""#),
                key("against", r#","alg":"ES256""#),
                key("enc", r#","use":"enc""#),
                r#"{"kty":"EC","crv":"P-256","kid":"ec","x":"a","y":"b"}"#.to_owned(),
                r#"{"kty":"oct","kid":"k","k":"AAAA"}"#.to_owned(),
            ];
            KeySet::of_json(&mut format!(r#"{{"keys":[{}]}}"#, keys.join(",")).into_bytes()).unwrap()
        });
        issuer
    }

    fn signed(seed: u8, header: &str, claims: &str) -> String {
        let signed =
            format!("{}.{}", base64url::encode(header.as_bytes()), base64url::encode(claims.as_bytes()));
        format!("{signed}.{}", base64url::encode(pair(seed).sign(signed.as_bytes()).as_ref()))
    }

    const HEADER: &str = r#"{"alg":"EdDSA","kid":"k"}"#;
    const CLAIMS: &str = r#"{"iss":"a","aud":"kms","exp":1800000010,"nbf":1799999990,"sub":"s"}"#;

    fn judged(header: &str, claims: &str) -> Result<Principal, Fault> {
        let issuers =
            [issuer("a", Some("kms"), Some(1)), issuer("b", None, Some(2)), issuer("c", None, None)];
        judge(signed(1, header, claims).as_bytes(), &issuers, Timestamp::from_unix(NOW))
    }

    #[test]
    fn a_token_is_its_users() {
        let user = |claims: &str| judged(HEADER, claims).map(|principal| principal.0);
        let with = |more: &str| user(&CLAIMS.replace(r#""sub""#, &format!("{more},\"sub\"")));
        assert_eq!(user(CLAIMS).as_deref(), Ok("s"));
        assert_eq!(with(r#""email":"e@x""#).as_deref(), Ok("e@x"));
        assert_eq!(with(r#""email":"e@x","email_verified":true"#).as_deref(), Ok("e@x"));
        assert_eq!(with(r#""email":"e@x","email_verified":false"#).as_deref(), Ok("s"));
        assert_eq!(with(r#""email":["e@x"]"#).as_deref(), Ok("s"));
        assert_eq!(user(&CLAIMS.replace(r#""kms""#, r#"["other","kms"]"#)).as_deref(), Ok("s"));
        for header in [
            r#"{"alg":"EdDSA","kid":"for","typ":"JWT"}"#,
            r#"{"alg":"EdDSA","kid":"k","typ":"application/at+jwt"}"#,
        ] {
            assert!(judged(header, CLAIMS).is_ok(), "{header}");
        }
    }

    #[test]
    fn every_fault_is_told_apart() {
        let of_header = |from: &str, to: &str| judged(&HEADER.replace(from, to), CLAIMS);
        let of_claims = |from: &str, to: &str| judged(HEADER, &CLAIMS.replace(from, to));
        for (judged, fault) in [
            (of_header("EdDSA", "none"), Fault::Algorithm),
            (of_header("EdDSA", "HS256"), Fault::Algorithm),
            (of_header(r#""alg":"EdDSA","#, ""), Fault::Algorithm),
            (of_header("}", r#","crit":["exp"]}"#), Fault::Critical),
            (of_header("}", r#","typ":"logout+jwt"}"#), Fault::Kind),
            (of_header(r#","kid":"k""#, ""), Fault::NoKeyId),
            (of_header(r#""k""#, r#""K""#), Fault::UnknownKey(0)),
            (of_header(r#""k""#, r#""against""#), Fault::WrongKey),
            (of_header("EdDSA", "ES256"), Fault::UselessKey("its kty or crv is none that is known here")),
            (of_header(r#""k""#, r#""enc""#), Fault::UselessKey("it is not for signatures")),
            (of_header(r#""k""#, r#""ec""#), Fault::UselessKey("its x or y is not what its curve has")),
            (of_claims(r#""a""#, r#""A""#), Fault::Issuer),
            (of_claims(r#""iss":"a","#, ""), Fault::Issuer),
            (of_claims(r#""a""#, r#""b""#), Fault::Signature),
            (of_claims(r#""a""#, r#""c""#), Fault::NoKeys(2)),
            (of_claims(r#""kms""#, r#""KMS""#), Fault::Audience),
            (of_claims(r#""kms""#, r#"["kms2"]"#), Fault::Audience),
            (of_claims(r#""aud":"kms","#, ""), Fault::Audience),
            (of_claims(r#""exp":1800000010,"#, ""), Fault::NoExpiry),
            (of_claims("1800000010", "1799999940"), Fault::Expired),
            (of_claims("1799999990", "1800000061"), Fault::NotYet),
            (of_claims(r#","sub":"s""#, ""), Fault::NoUser),
            (of_claims(r#""s""#, r#""*""#), Fault::NoUser),
            (of_claims(r#""s""#, r#""""#), Fault::NoUser),
            (of_claims(r#""s""#, r#""a\u0000b""#), Fault::NoUser),
            (of_claims(r#""s""#, &format!("{:?}", "s".repeat(513))), Fault::NoUser),
            (of_claims(r#""s""#, &format!("{:?}", "s".repeat(9000))), Fault::TooLong),
            (of_claims(r#""s""#, "1"), Fault::Unreadable(token::Fault::Claims)),
        ] {
            assert_eq!(judged.clone().err(), Some(fault.clone()), "{judged:?}");
        }
        // Within the leeway of clocks.
        assert!(
            of_claims("1800000010", "1799999941").is_ok() && of_claims("1799999990", "1800000060").is_ok()
        );
        // Every part of it is signed.
        let issuers = [issuer("a", None, Some(1))];
        let good = signed(1, HEADER, CLAIMS);
        let now = Timestamp::from_unix(NOW);
        assert!(judge(good.as_bytes(), &issuers, now).is_ok());
        for at in 0..good.len() {
            let mut forged = good.clone().into_bytes();
            forged[at] = if forged[at] == b'A' { b'B' } else { b'A' };
            assert!(judge(&forged, &issuers, now).is_err(), "{at}");
        }
    }

    #[test]
    fn a_token_is_found_in_its_field() {
        for good in ["Bearer a.b.c", "bearer  a.b.c "] {
            assert_eq!(bearer(Some(good.as_bytes())), Ok(&b"a.b.c"[..]));
        }
        for bad in ["", "Bearer", "Basic a.b.c", "a.b.c", "Bearera.b.c"] {
            assert_eq!(bearer(Some(bad.as_bytes())), Err(Fault::Missing), "{bad}");
        }
        assert_eq!(bearer(None), Err(Fault::Missing));
    }
}
