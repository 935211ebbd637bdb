//! Whoever encrypted requests are for: a key pair, as it is given to the server and to clients.

use keyway::wire::base64url;
use openssl::bn::{BigNum, BigNumContext};
use openssl::ec::{EcGroup, EcKey};
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};

pub struct Recipient {
    pub private: PKey<Private>,
    public_members: String,
    private_member: String,
}

impl Recipient {
    pub fn x25519() -> Recipient {
        let private = PKey::generate_x25519().unwrap();
        let [x, d] = [private.raw_public_key().unwrap(), private.raw_private_key().unwrap()];
        let public_members = format!(r#""kty":"OKP","crv":"X25519","x":"{}""#, base64url::encode(&x));
        Recipient { private, public_members, private_member: base64url::encode(&d) }
    }

    pub fn p256() -> Recipient {
        let key = EcKey::generate(&EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap()).unwrap();
        let (mut x, mut y) = (BigNum::new().unwrap(), BigNum::new().unwrap());
        let mut context = BigNumContext::new().unwrap();
        key.public_key().affine_coordinates(key.group(), &mut x, &mut y, &mut context).unwrap();
        let text = |number: &openssl::bn::BigNumRef| base64url::encode(&number.to_vec_padded(32).unwrap());
        let public_members = format!(r#""kty":"EC","crv":"P-256","x":"{}","y":"{}""#, text(&x), text(&y));
        let private_member = text(key.private_key());
        Recipient { private: PKey::from_ec_key(key).unwrap(), public_members, private_member }
    }

    pub fn public_jwk(&self) -> String {
        format!(r#"{{{},"use":"enc","alg":"ECDH-ES","kid":"the-key"}}"#, self.public_members)
    }

    pub fn private_jwk(&self) -> String {
        self.public_jwk().replace('}', &format!(r#","d":"{}"}}"#, self.private_member))
    }
}
