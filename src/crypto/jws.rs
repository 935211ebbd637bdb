//! Signatures of tokens (RFC 7518 section 3, RFC 8037 section 3.1), by ring. There is no algorithm here that needs no key, or
//! one that both sides know.
#![forbid(unsafe_code)]

use crate::wire::jose::keys::PublicKey;
use ring::signature::{
    self, RsaParameters, RsaPublicKeyComponents, UnparsedPublicKey, VerificationAlgorithm,
};

/// An algorithm of signatures. ECDSA belongs to one curve each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Algorithm(Inner);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Inner {
    Rs256,
    Rs384,
    Rs512,
    Ps256,
    Ps384,
    Ps512,
    Es256,
    Es384,
    EdDsa,
}

impl Algorithm {
    /// The algorithm that a token calls so; case counts.
    pub fn named(name: &str) -> Option<Algorithm> {
        Some(Algorithm(match name {
            "RS256" => Inner::Rs256,
            "RS384" => Inner::Rs384,
            "RS512" => Inner::Rs512,
            "PS256" => Inner::Ps256,
            "PS384" => Inner::Ps384,
            "PS512" => Inner::Ps512,
            "ES256" => Inner::Es256,
            "ES384" => Inner::Es384,
            "EdDSA" => Inner::EdDsa,
            _ => return None,
        }))
    }

    /// Whether keys of this type make such signatures.
    pub fn fits(self, key: &PublicKey) -> bool {
        match key {
            PublicKey::Rsa { .. } => self.rsa().is_some(),
            PublicKey::P256(_) => self.0 == Inner::Es256,
            PublicKey::P384(_) => self.0 == Inner::Es384,
            PublicKey::Ed25519(_) => self.0 == Inner::EdDsa,
        }
    }

    /// Whether this is the signature of `message` by `key`, which [fits](Algorithm::fits).
    #[must_use = "a token counts only if it is"]
    pub fn verifies(self, key: &PublicKey, message: &[u8], signature: &[u8]) -> bool {
        let by = |algorithm: &'static dyn VerificationAlgorithm, key: &[u8]| {
            UnparsedPublicKey::new(algorithm, key).verify(message, signature).is_ok()
        };
        match (key, self.0) {
            (PublicKey::Rsa { n, e }, _) => self
                .rsa()
                .is_some_and(|rsa| RsaPublicKeyComponents { n, e }.verify(rsa, message, signature).is_ok()),
            (PublicKey::P256(point), Inner::Es256) => by(&signature::ECDSA_P256_SHA256_FIXED, point),
            (PublicKey::P384(point), Inner::Es384) => by(&signature::ECDSA_P384_SHA384_FIXED, point),
            (PublicKey::Ed25519(key), Inner::EdDsa) => by(&signature::ED25519, key),
            _ => false,
        }
    }

    fn rsa(self) -> Option<&'static RsaParameters> {
        match self.0 {
            Inner::Rs256 => Some(&signature::RSA_PKCS1_2048_8192_SHA256),
            Inner::Rs384 => Some(&signature::RSA_PKCS1_2048_8192_SHA384),
            Inner::Rs512 => Some(&signature::RSA_PKCS1_2048_8192_SHA512),
            Inner::Ps256 => Some(&signature::RSA_PSS_2048_8192_SHA256),
            Inner::Ps384 => Some(&signature::RSA_PSS_2048_8192_SHA384),
            Inner::Ps512 => Some(&signature::RSA_PSS_2048_8192_SHA512),
            Inner::Es256 | Inner::Es384 | Inner::EdDsa => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::base64url;
    use crate::wire::jose::keys;

    fn key(jwk: &str) -> PublicKey {
        let mut set = format!(r#"{{"keys":[{{"kid":"a",{jwk}}}]}}"#).into_bytes();
        keys::set(&mut set).unwrap().remove(0).key.unwrap()
    }

    /// The keys and signatures of RFC 7515 appendices A.2 and A.3, and of RFC 8037 appendix A.
    const VECTORS: [(&str, &str, &str, &str); 3] = [
        (
            "RS256",
            r#""kty":"RSA","n":"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ","e":"AQAB""#,
            "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ",
            "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw",
        ),
        (
            "ES256",
            r#""kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0""#,
            "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ",
            "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q",
        ),
        (
            "EdDSA",
            r#""kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo""#,
            "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc",
            "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg",
        ),
    ];

    #[test]
    fn signatures_of_the_specifications() {
        for (name, jwk, message, signature) in VECTORS {
            let (algorithm, key) = (Algorithm::named(name).unwrap(), key(jwk));
            let mut signature = base64url::decode(signature.as_bytes()).unwrap();
            assert!(
                algorithm.fits(&key) && algorithm.verifies(&key, message.as_bytes(), &signature),
                "{name}"
            );
            assert!(!algorithm.verifies(&key, &message.as_bytes()[1..], &signature), "{name}");
            for (other, other_jwk, ..) in VECTORS {
                let other_key = self::key(other_jwk);
                assert_eq!(algorithm.fits(&other_key), name == other);
                assert_eq!(algorithm.verifies(&other_key, message.as_bytes(), &signature), name == other);
            }
            signature[7] ^= 1;
            assert!(!algorithm.verifies(&key, message.as_bytes(), &signature), "{name}");
            assert!(!algorithm.verifies(&key, message.as_bytes(), &[]), "{name}");
        }
    }

    #[test]
    fn algorithms_without_a_public_key_are_none() {
        for name in
            ["none", "None", "NONE", "", "HS256", "HS384", "HS512", "rs256", "ES512", "ES256K", "RSA-OAEP"]
        {
            assert_eq!(Algorithm::named(name), None, "{name}");
        }
    }
}
