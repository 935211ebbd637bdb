//! Keys in JSON (JWK, RFC 7517 and 7518 section 6; RFC 8037): sets of public ones, and a private one.
#![forbid(unsafe_code)]

use super::super::base64url;
use super::super::json::{Error, Lexer};
use crate::limits;
use crate::secret::Secret;

/// A public key that signatures are verified with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PublicKey {
    /// RSA of 2048 bits or more: modulus and exponent, big-endian, without zeros in front.
    Rsa {
        /// The modulus.
        n: Vec<u8>,
        /// The exponent.
        e: Vec<u8>,
    },
    /// A point on P-256, uncompressed (SEC 1 section 2.3.3).
    P256(Vec<u8>),
    /// A point on P-384, likewise.
    P384(Vec<u8>),
    /// Ed25519.
    Ed25519(Vec<u8>),
}

/// A key of a set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedKey {
    /// `kid`.
    pub id: String,
    /// `alg`: the one algorithm that it is for, where it says so.
    pub algorithm: Option<String>,
    /// The key, or why it verifies nothing here.
    pub key: Result<PublicKey, &'static str>,
}

/// A private key that secrets are agreed on with.
pub struct PrivateKey {
    /// `kid`.
    pub id: String,
    /// `crv`.
    pub curve: String,
    /// `x` and, where the curve has one, `y`.
    pub public: (Vec<u8>, Option<Vec<u8>>),
    /// `d`.
    pub private: Secret,
}

/// A public key that was made for one request.
#[derive(Debug, PartialEq, Eq)]
pub struct EphemeralKey {
    /// `crv`.
    pub curve: String,
    /// `x` and, where the curve has one, `y`.
    pub public: (Vec<u8>, Option<Vec<u8>>),
}

/// The least bits of an RSA key (RFC 7518 section 3.3).
const RSA_BITS_MIN: usize = 2048;
/// The most that are verified.
const RSA_BITS_MAX: usize = 8192;

/// The keys of a set that have a name: a token without one is not taken. Of those that cannot be used it is said why. The error
/// is one line for the operator.
pub fn set(text: &mut [u8]) -> Result<Vec<NamedKey>, String> {
    let mut lexer = Lexer::new(text);
    let mut found = None;
    let mut read = || -> Result<(), Error> {
        lexer.open_object()?;
        while let Some(name) = lexer.member()? {
            match name {
                "keys" if found.is_none() => found = Some(array(&mut lexer)?),
                "keys" => return Err(lexer.data("duplicate field `keys`")),
                _ => lexer.skip()?,
            }
        }
        lexer.end()
    };
    read().map_err(|error| format!("it is no set of keys (JWKS): {error}"))?;
    found.ok_or_else(|| "it is no set of keys (JWKS): it has no member \"keys\"".into())
}

fn array(lexer: &mut Lexer<'_>) -> Result<Vec<NamedKey>, Error> {
    let (mut keys, mut count) = (Vec::new(), 0);
    lexer.open_array()?;
    while lexer.element()? {
        count += 1;
        if count > limits::KEY_SET_KEYS_MAX {
            return Err(lexer.data(format!("it has more than {} keys", limits::KEY_SET_KEYS_MAX)));
        }
        let members = Members::read(lexer)?;
        let Some(id) = members.kid else { continue };
        let key = members.verifying_key();
        keys.push(NamedKey { id: id.to_owned(), algorithm: members.alg.map(str::to_owned), key });
    }
    Ok(keys)
}

/// A private key for ECDH-ES. The error is one line for the operator, without a word of the key.
pub fn private(text: &mut [u8]) -> Result<PrivateKey, &'static str> {
    let mut lexer = Lexer::new(text);
    let members = Members::read(&mut lexer).and_then(|members| lexer.end().map(|()| members));
    let members = members.map_err(|_| "is no key in JSON (JWK)")?;
    if members.usage.is_some_and(|usage| usage != "enc") {
        return Err("is not for encryption: its \"use\" must be \"enc\"");
    }
    if members.alg.is_some_and(|algorithm| algorithm != "ECDH-ES") {
        return Err("must be for the algorithm ECDH-ES: others are not built");
    }
    let id = members.kid.ok_or("has no \"kid\", by which requests name it")?.to_owned();
    let EphemeralKey { curve, public } =
        members.agreement_key().ok_or("must be of kty OKP (crv X25519) or EC, with its crv, x and y")?;
    let private =
        members.d.and_then(|d| base64url::decode(d.as_bytes())).ok_or("has no private part \"d\"")?;
    Ok(PrivateKey { id, curve, public, private: Secret::new(private) })
}

/// A public key that was made for one request, as a member of a header.
pub(super) fn ephemeral(lexer: &mut Lexer<'_>) -> Result<EphemeralKey, Error> {
    Members::read(lexer)?.agreement_key().ok_or_else(|| lexer.data("no key"))
}

/// The members of a key, as they were written.
#[derive(Default)]
struct Members<'a> {
    kty: Option<&'a str>,
    kid: Option<&'a str>,
    alg: Option<&'a str>,
    /// `use`.
    usage: Option<&'a str>,
    crv: Option<&'a str>,
    x: Option<&'a str>,
    y: Option<&'a str>,
    n: Option<&'a str>,
    e: Option<&'a str>,
    d: Option<&'a str>,
    /// Whether `key_ops` is there and leaves out that signatures are verified.
    verifies_nothing: bool,
}

impl<'a> Members<'a> {
    fn read(lexer: &mut Lexer<'a>) -> Result<Members<'a>, Error> {
        let mut members = Members::default();
        lexer.open_object()?;
        while let Some(name) = lexer.member()? {
            let place = match name {
                "kty" => &mut members.kty,
                "kid" => &mut members.kid,
                "alg" => &mut members.alg,
                "use" => &mut members.usage,
                "crv" => &mut members.crv,
                "x" => &mut members.x,
                "y" => &mut members.y,
                "n" => &mut members.n,
                "e" => &mut members.e,
                "d" => &mut members.d,
                "key_ops" => {
                    members.verifies_nothing = true;
                    lexer.open_array()?;
                    while lexer.element()? {
                        members.verifies_nothing &= lexer.string()? != "verify";
                    }
                    continue;
                }
                _ => {
                    lexer.skip()?;
                    continue;
                }
            };
            if place.replace(lexer.string()?).is_some() {
                return Err(lexer.data("a member of a key is repeated"));
            }
        }
        Ok(members)
    }

    fn verifying_key(&self) -> Result<PublicKey, &'static str> {
        if self.usage.is_some_and(|usage| usage != "sig") || self.verifies_nothing {
            return Err("it is not for signatures");
        }
        match (self.kty, self.crv) {
            (Some("RSA"), _) => self.rsa(),
            (Some("EC"), Some("P-256")) => self.point(32).map(PublicKey::P256),
            (Some("EC"), Some("P-384")) => self.point(48).map(PublicKey::P384),
            (Some("OKP"), Some("Ed25519")) => {
                let x = bytes(self.x).filter(|x| x.len() == 32);
                x.map(PublicKey::Ed25519).ok_or("its x is not what an Ed25519 key has")
            }
            _ => Err("its kty or crv is none that is known here"),
        }
    }

    fn rsa(&self) -> Result<PublicKey, &'static str> {
        let number = |text| {
            let bytes = bytes(text)?;
            let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
            (zeros < bytes.len()).then(|| bytes[zeros..].to_vec())
        };
        let (Some(n), Some(e)) = (number(self.n), number(self.e)) else {
            return Err("its n or e is missing or no number");
        };
        match n.len() * 8 - n[0].leading_zeros() as usize {
            ..RSA_BITS_MIN => Err("it is an RSA key of less than 2048 bits"),
            RSA_BITS_MIN..=RSA_BITS_MAX => Ok(PublicKey::Rsa { n, e }),
            _ => Err("it is an RSA key of more than 8192 bits"),
        }
    }

    /// The coordinates have the length of the field, zeros in front included (RFC 7518 section 6.2.1.2).
    fn point(&self, length: usize) -> Result<Vec<u8>, &'static str> {
        match (bytes(self.x), bytes(self.y)) {
            (Some(x), Some(y)) if x.len() == length && y.len() == length => {
                Ok([&[4], x.as_slice(), &y].concat())
            }
            _ => Err("its x or y is not what its curve has"),
        }
    }

    /// With the right parts for its type; whether they are a point on the curve is seen later.
    fn agreement_key(&self) -> Option<EphemeralKey> {
        let (x, y) = (bytes(self.x)?, bytes(self.y));
        let curve = self.crv?.to_owned();
        match (self.kty?, &y) {
            ("EC", Some(_)) => Some(EphemeralKey { curve, public: (x, y) }),
            ("OKP", _) if curve == "X25519" => Some(EphemeralKey { curve, public: (x, None) }),
            _ => None,
        }
    }
}

fn bytes(text: Option<&str>) -> Option<Vec<u8>> {
    base64url::decode(text?.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set_of(keys: &str) -> Result<Vec<NamedKey>, String> {
        set(&mut format!(r#"{{"more":1,"keys":[{keys}]}}"#).into_bytes())
    }

    #[test]
    fn keys_that_verify_are_read_and_of_others_it_is_said_why_not() {
        let (x32, x48) = (base64url::encode(&[7; 32]), base64url::encode(&[7; 48]));
        let rsa = |first: u8, bytes: usize| {
            let n = [&[0, first][..], &vec![1; bytes - 1]].concat();
            format!(r#"{{"kid":"k","kty":"RSA","e":"AQAB","n":"{}"}}"#, base64url::encode(&n))
        };
        let ok = |key: &str| set_of(key).unwrap().remove(0).key.unwrap();
        let no = |key: &str| set_of(key).unwrap().remove(0).key.unwrap_err();
        let PublicKey::Rsa { n, e } = ok(&rsa(0x80, 256)) else { panic!() };
        assert_eq!((n.len(), e), (256, vec![1, 0, 1]));
        assert_eq!(no(&rsa(0x7F, 256)), "it is an RSA key of less than 2048 bits");
        assert_eq!(no(&rsa(0x01, 1025)), "it is an RSA key of more than 8192 bits");
        let ec = format!(r#"{{"kid":"k","kty":"EC","crv":"P-256","x":"{x32}","y":"{x32}"}}"#);
        assert_eq!(ok(&ec), PublicKey::P256([&[4][..], &[7; 64]].concat()));
        assert_eq!(no(&ec.replace("P-256", "P-384")), "its x or y is not what its curve has");
        assert_eq!(
            ok(&ec.replace("P-256", "P-384").replace(&x32, &x48)),
            PublicKey::P384([&[4][..], &[7; 96]].concat())
        );
        let ed = format!(
            r#"{{"kid":"k","kty":"OKP","crv":"Ed25519","x":"{x32}","use":"sig","key_ops":["sign","verify"]}}"#
        );
        assert_eq!(ok(&ed), PublicKey::Ed25519(vec![7; 32]));
        assert_eq!(no(&ed.replace("sig\"", "enc\"")), "it is not for signatures");
        assert_eq!(no(&ed.replace("verify", "deriveBits")), "it is not for signatures");
        assert_eq!(no(&ed.replace("Ed25519", "Ed448")), "its kty or crv is none that is known here");
        assert_eq!(no(r#"{"kid":"k","kty":"oct","k":"AAAA"}"#), "its kty or crv is none that is known here");
        assert_eq!(set_of(r#"{"kty":"oct","k":"AAAA"}"#), Ok(vec![]));
    }

    #[test]
    fn what_is_no_set_is_refused() {
        let many = vec![r#"{"kid":"a"}"#; limits::KEY_SET_KEYS_MAX + 1].join(",");
        assert!(set_of(&many).unwrap_err().contains("more than 64 keys"));
        for (text, told) in [
            ("<html>", "it is no set of keys (JWKS): expected value"),
            ("{}", "it has no member \"keys\""),
            (r#"{"keys":{}}"#, "expected a sequence"),
            (r#"{"keys":[1]}"#, "expected a map"),
            (r#"{"keys":[{"kid":"a","kid":"b"}]}"#, "a member of a key is repeated"),
            (r#"{"keys":[],"keys":[]}"#, "duplicate field `keys`"),
            (r#"{"keys":[]} x"#, "trailing"),
        ] {
            let error = set(&mut text.as_bytes().to_vec()).unwrap_err();
            assert!(error.contains(told), "{text}: {error}");
        }
    }
}
