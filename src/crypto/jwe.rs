//! Encrypted requests (JWE, RFC 7516): a key is agreed on directly with the sender's (ECDH-ES, RFC 7518 section 4.6; X25519:
//! RFC 8037), and AES-GCM decrypts with it. By OpenSSL, which has all the curves.
#![forbid(unsafe_code)]

use super::aead::AesGcm;
use crate::secret::Buffer;
use crate::wire::jose::encrypted::{self, EncryptedRequest, Header};
use crate::wire::jose::keys::{self, EphemeralKey};
use openssl::bn::BigNum;
use openssl::derive::Deriver;
use openssl::ec::{EcGroup, EcKey};
use openssl::error::ErrorStack;
use openssl::nid::Nid;
use openssl::pkey::{Id, PKey, Private, Public};
use ring::digest;

/// The server's key for encrypted requests.
pub struct DecryptionKey {
    id: String,
    curve: String,
    private: PKey<Private>,
}

impl DecryptionKey {
    /// The private key in this JSON (JWK). The error is one line for the operator, without a word of the key.
    pub fn of_json(text: &mut [u8]) -> Result<DecryptionKey, &'static str> {
        let key = keys::private(text)?;
        let (d, public) = (key.private.expose(), (&key.public.0, key.public.1.as_ref()));
        let (x, y) = public;
        let private = match (curve(&key.curve), y) {
            (Some(Curve::X25519), None) => PKey::private_key_from_raw_bytes(d, Id::X25519)
                .and_then(|private| Ok((private.raw_public_key()? == *x).then_some(private))),
            (Some(Curve::Nist(nid)), Some(y)) => nist_private_key(nid, x, y, d).map(Some),
            _ => return Err("has a crv that is not built: X25519, P-256, P-384 or P-521"),
        };
        match private {
            Ok(Some(private)) => Ok(DecryptionKey { id: key.id, curve: key.curve, private }),
            _ => Err("is no key: its parts do not fit together"),
        }
    }

    /// Decrypts a request in the compact form, in place. `None` says neither what is wrong nor how far it got.
    pub fn open<'b>(&self, body: &'b mut [u8]) -> Option<&'b mut [u8]> {
        let EncryptedRequest { header, protected, nonce, ciphertext, tag } = encrypted::parse(body)?;
        if header.algorithm != "ECDH-ES" || header.key_id != self.id {
            return None;
        }
        let cipher = AesGcm::new(&self.content_key(&header)?)?;
        cipher.open(&nonce, &protected, ciphertext, &tag).then_some(ciphertext)
    }

    /// The key that both sides can compute (RFC 7518 section 4.6.2).
    fn content_key(&self, header: &Header) -> Option<Buffer> {
        let key_bytes = match header.encryption.as_str() {
            "A128GCM" => 16,
            "A192GCM" => 24,
            "A256GCM" => 32,
            _ => return None,
        };
        let secret = self.agree(&header.ephemeral)?;
        Some(concat_kdf(&secret, &header.encryption, &header.producer, &header.recipient, key_bytes))
    }

    fn agree(&self, other: &EphemeralKey) -> Option<Buffer> {
        if other.curve != self.curve {
            return None;
        }
        let (x, y) = &other.public;
        let other = match (curve(&other.curve)?, y) {
            (Curve::X25519, None) => PKey::public_key_from_raw_bytes(x, Id::X25519).ok()?,
            (Curve::Nist(nid), Some(y)) => nist_public_key(nid, x, y).ok()?,
            _ => return None,
        };
        let mut deriver = Deriver::new(&self.private).ok()?;
        deriver.set_peer(&other).ok()?;
        deriver.derive_to_vec().ok().map(Buffer::new)
    }
}

enum Curve {
    X25519,
    Nist(Nid),
}

fn curve(name: &str) -> Option<Curve> {
    match name {
        "X25519" => Some(Curve::X25519),
        "P-256" => Some(Curve::Nist(Nid::X9_62_PRIME256V1)),
        "P-384" => Some(Curve::Nist(Nid::SECP384R1)),
        "P-521" => Some(Curve::Nist(Nid::SECP521R1)),
        _ => None,
    }
}

/// OpenSSL looks whether the point is on the curve.
fn nist_public_key(nid: Nid, x: &[u8], y: &[u8]) -> Result<PKey<Public>, ErrorStack> {
    let group = EcGroup::from_curve_name(nid)?;
    let (x, y) = (BigNum::from_slice(x)?, BigNum::from_slice(y)?);
    PKey::from_ec_key(EcKey::from_public_key_affine_coordinates(&group, &x, &y)?)
}

/// OpenSSL looks whether the private part is that of the point.
fn nist_private_key(nid: Nid, x: &[u8], y: &[u8], d: &[u8]) -> Result<PKey<Private>, ErrorStack> {
    let public = nist_public_key(nid, x, y)?.ec_key()?;
    let mut d = BigNum::from_slice(d)?;
    d.set_const_time();
    let key = EcKey::from_private_components(public.group(), &d, public.public_key());
    d.clear();
    let key = key?;
    key.check_key()?;
    PKey::from_ec_key(key)
}

/// The Concat KDF with SHA-256, of which one round is enough for every key here.
fn concat_kdf(
    secret: &[u8],
    encryption: &str,
    producer: &[u8],
    recipient: &[u8],
    key_bytes: usize,
) -> Buffer {
    let mut hash = digest::Context::new(&digest::SHA256);
    hash.update(&1_u32.to_be_bytes());
    hash.update(secret);
    for part in [encryption.as_bytes(), producer, recipient] {
        let length = u32::try_from(part.len()).expect("a header is shorter than 4 GiB");
        hash.update(&length.to_be_bytes());
        hash.update(part);
    }
    let bits = u32::try_from(8 * key_bytes).expect("keys have a few hundred bits");
    hash.update(&bits.to_be_bytes());
    Buffer::new(hash.finish().as_ref()[..key_bytes].to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::base64url;

    /// RFC 7518 appendix C.
    const ALICE: &str = r#"{"kty":"EC","crv":"P-256","x":"gI0GAILBdu7T53akrFmMyGcsF3n5dO7MmwNBHKW5SV0","y":"SLW_xSffzlPWrHEVI30DHM_4egVwt3NQqeUD7nMFpps","d":"0_NxaRPUMQoAJt50Gz8YiTr8gRTwyEaCumd-MToTmIo"}"#;
    const BOB: &str = r#"{"kid":"bob","kty":"EC","crv":"P-256","x":"weNJy2HscCSM6AEDTDg04biOvhFhyyWvOHQfeF_PxMQ","y":"e8lnCO-AlStT-NJVX-crhB7QRYhiix03illJOVAOyck","d":"VEmDZpDXXK8p8N0Cndsxs924q6nS1RXFASRl6BfUqdw"}"#;

    fn key(jwk: &str) -> DecryptionKey {
        DecryptionKey::of_json(&mut jwk.as_bytes().to_vec()).unwrap_or_else(|error| panic!("{error}"))
    }

    #[test]
    fn the_key_of_the_specification_is_agreed_on() {
        let key = key(BOB);
        let epk = ALICE.split_once(",\"d\"").unwrap().0;
        let header = format!(
            r#"{{"alg":"ECDH-ES","enc":"A128GCM","kid":"bob","apu":"QWxpY2U","apv":"Qm9i","epk":{epk}}}}}"#
        );
        let mut body =
            format!("{}..AAAAAAAAAAAAAAAA..AAAAAAAAAAAAAAAAAAAAAA", base64url::encode(header.as_bytes()))
                .into_bytes();
        let header = encrypted::parse(&mut body).unwrap().header;
        let agreed = key.content_key(&header).unwrap();
        assert_eq!(base64url::encode(&agreed), "VqqN6vgjbSBcIijNcacQGg");
    }

    /// What a sender does: an ephemeral key, the same agreement from the other side.
    fn sealed(
        recipient: &DecryptionKey,
        encryption: &str,
        change: impl Fn(&str) -> String,
        plain: &[u8],
    ) -> String {
        let (sender, epk) = match curve(&recipient.curve).unwrap() {
            Curve::X25519 => {
                let sender = PKey::generate_x25519().unwrap();
                let x = base64url::encode(&sender.raw_public_key().unwrap());
                (sender, format!(r#"{{"kty":"OKP","crv":"X25519","x":"{x}"}}"#))
            }
            Curve::Nist(nid) => {
                let group = EcGroup::from_curve_name(nid).unwrap();
                let sender = EcKey::generate(&group).unwrap();
                let mut context = openssl::bn::BigNumContext::new().unwrap();
                let (mut x, mut y) = (BigNum::new().unwrap(), BigNum::new().unwrap());
                sender.public_key().affine_coordinates(&group, &mut x, &mut y, &mut context).unwrap();
                let length = (group.degree() as i32 + 7) / 8;
                let [x, y] = [x, y].map(|n| base64url::encode(&n.to_vec_padded(length).unwrap()));
                let epk = format!(r#"{{"kty":"EC","crv":"{}","x":"{x}","y":"{y}"}}"#, recipient.curve);
                (PKey::from_ec_key(sender).unwrap(), epk)
            }
        };
        let mut deriver = Deriver::new(&sender).unwrap();
        deriver.set_peer(&recipient.private).unwrap();
        let secret = deriver.derive_to_vec().unwrap();
        let bytes = match encryption {
            "A128GCM" => 16,
            "A192GCM" => 24,
            _ => 32,
        };
        let content_key = concat_kdf(&secret, encryption, b"", b"", bytes);
        let header = change(&format!(
            r#"{{"alg":"ECDH-ES","enc":"{encryption}","kid":"{}","epk":{epk}}}"#,
            recipient.id
        ));
        let (protected, nonce, mut data) = (base64url::encode(header.as_bytes()), [7; 12], plain.to_vec());
        let tag = AesGcm::new(&content_key).unwrap().seal(&nonce, protected.as_bytes(), &mut data).unwrap();
        format!(
            "{protected}..{}.{}.{}",
            base64url::encode(&nonce),
            base64url::encode(&data),
            base64url::encode(&tag)
        )
    }

    fn nist(curve_name: &str) -> String {
        let Some(Curve::Nist(nid)) = curve(curve_name) else { panic!() };
        let group = EcGroup::from_curve_name(nid).unwrap();
        let key = EcKey::generate(&group).unwrap();
        let mut context = openssl::bn::BigNumContext::new().unwrap();
        let (mut x, mut y) = (BigNum::new().unwrap(), BigNum::new().unwrap());
        key.public_key().affine_coordinates(&group, &mut x, &mut y, &mut context).unwrap();
        let length = (group.degree() as i32 + 7) / 8;
        let d = key.private_key().to_vec_padded(length).unwrap();
        let [x, y] = [x, y].map(|n| base64url::encode(&n.to_vec_padded(length).unwrap()));
        let d = base64url::encode(&d);
        format!(r#"{{"kty":"EC","kid":"{curve_name}","crv":"{curve_name}","x":"{x}","y":"{y}","d":"{d}"}}"#)
    }

    fn x25519() -> String {
        let key = PKey::generate_x25519().unwrap();
        let [x, d] = [key.raw_public_key().unwrap(), key.raw_private_key().unwrap()]
            .map(|part| base64url::encode(&part));
        format!(r#"{{"kty":"OKP","crv":"X25519","use":"enc","alg":"ECDH-ES","kid":"x","x":"{x}","d":"{d}"}}"#)
    }

    #[test]
    fn every_curve_and_cipher_is_decrypted_and_nothing_else() {
        let jwks = [BOB.to_owned(), x25519(), nist("P-384"), nist("P-521")];
        for (jwk, encryption) in jwks.iter().zip(["A128GCM", "A256GCM", "A192GCM", "A256GCM"]) {
            let key = key(jwk);
            let good = sealed(&key, encryption, str::to_owned, b"{\"tag\":\"Get\"}");
            assert_eq!(key.open(&mut good.clone().into_bytes()).as_deref(), Some(&b"{\"tag\":\"Get\"}"[..]));
            let refused = |text: &str| assert_eq!(key.open(&mut text.as_bytes().to_vec()), None, "{text}");
            for at in 0..good.len() {
                let mut forged = good.clone().into_bytes();
                forged[at] = if forged[at] == b'A' { b'B' } else { b'A' };
                refused(&String::from_utf8(forged).unwrap());
            }
            for (from, to) in [
                ("ECDH-ES", "ECDH-ES+A128KW"),
                ("GCM", "GCMX"),
                (r#""kid":""#, r#""kid":"other"#),
                (r#""alg""#, r#""crit":["b64"],"alg""#),
                (r#""alg""#, r#""zip":"DEF","alg""#),
                (r#""alg""#, r#""apu":"QQ","alg""#),
                (r#""alg""#, r#""alg":"ECDH-ES","alg""#),
                (r#""epk""#, r#""other""#),
            ] {
                refused(&sealed(&key, encryption, |header| header.replacen(from, to, 1), b"{}"));
            }
            refused(&good.replacen("..", ".AA.", 1));
            refused(&format!("{good}.AA"));
            refused(&format!("{good}="));
            refused("");
        }
        // A key on another curve, and a point that is on none.
        let (bob, x) = (key(BOB), key(&jwks[1]));
        let other = sealed(&x, "A256GCM", |header| header.replace("\"kid\":\"x\"", "\"kid\":\"bob\""), b"{}");
        assert_eq!(bob.open(&mut other.into_bytes()), None);
        let off = |header: &str| {
            let (before, after) = header.split_once("\"y\":\"").unwrap();
            format!("{before}\"y\":\"{}\"}}}}", &after[..0])
                .replace("\"y\":\"\"", &format!("\"y\":\"{}\"", base64url::encode(&[9; 32])))
        };
        assert_eq!(bob.open(&mut sealed(&bob, "A256GCM", off, b"{}").into_bytes()), None);
        // A point of small order: everybody would know the secret.
        let zero = |header: &str| {
            let (before, _) = header.split_once("\"x\":\"").unwrap();
            format!("{before}\"x\":\"{}\"}}}}", base64url::encode(&[0; 32]))
        };
        assert_eq!(x.open(&mut sealed(&x, "A256GCM", zero, b"{}").into_bytes()), None);
    }

    #[test]
    fn what_is_no_key_is_refused_at_the_start() {
        let told = |jwk: &str| DecryptionKey::of_json(&mut jwk.as_bytes().to_vec()).err().unwrap();
        let x = x25519();
        assert_eq!(told("no"), "is no key in JSON (JWK)");
        assert_eq!(
            told(&x.replace("\"enc\"", "\"sig\"")),
            "is not for encryption: its \"use\" must be \"enc\""
        );
        assert_eq!(
            told(&x.replace("ECDH-ES", "RSA-OAEP")),
            "must be for the algorithm ECDH-ES: others are not built"
        );
        assert_eq!(told(&x.replace("kid", "id")), "has no \"kid\", by which requests name it");
        assert_eq!(told(&x.replace("\"d\"", "\"e\"")), "has no private part \"d\"");
        assert_eq!(
            told(&BOB.replace("P-256", "P-255")),
            "has a crv that is not built: X25519, P-256, P-384 or P-521"
        );
        assert_eq!(
            told(&BOB.replace("\"d\":\"VE", "\"d\":\"VF")),
            "is no key: its parts do not fit together"
        );
        let other = x25519();
        let d = other.split_once("\"d\":").unwrap().1;
        let mixed = format!("{}\"d\":{d}", x.split_once("\"d\":").unwrap().0);
        assert_eq!(told(&mixed), "is no key: its parts do not fit together");
    }
}
