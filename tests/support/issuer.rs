//! An issuer of tokens: its keys, what it signs with them, and where its keys are asked for, which can be made to lie.

use keyway::wire::base64url;
use openssl::bn::{BigNum, BigNumContext};
use openssl::ec::{EcGroup, EcKey};
use openssl::ecdsa::EcdsaSig;
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{Id, PKey, Private};
use openssl::rsa::{Padding, Rsa};
use openssl::sign::{RsaPssSaltlen, Signer};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{SystemTime, UNIX_EPOCH};

/// A key that signs.
pub struct Key {
    pub id: String,
    pub algorithm: String,
    private: PKey<Private>,
}

impl Key {
    /// A fresh key for this algorithm.
    pub fn new(id: &str, algorithm: &str) -> Key {
        let on_curve =
            |nid| PKey::from_ec_key(EcKey::generate(&EcGroup::from_curve_name(nid).unwrap()).unwrap());
        let private = match algorithm {
            "ES256" => on_curve(Nid::X9_62_PRIME256V1).unwrap(),
            "ES384" => on_curve(Nid::SECP384R1).unwrap(),
            "EdDSA" => PKey::generate_ed25519().unwrap(),
            _ => return Key::rsa(id, algorithm, 2048),
        };
        Key { id: id.into(), algorithm: algorithm.into(), private }
    }

    pub fn rsa(id: &str, algorithm: &str, bits: u32) -> Key {
        let private = PKey::from_rsa(Rsa::generate(bits).unwrap()).unwrap();
        Key { id: id.into(), algorithm: algorithm.into(), private }
    }

    /// The same key under another name, for another algorithm.
    pub fn renamed(&self, id: &str, algorithm: &str) -> Key {
        Key { id: id.into(), algorithm: algorithm.into(), private: self.private.clone() }
    }

    /// Its public part (JWK), with more members.
    pub fn jwk(&self, more: &str) -> String {
        let members = match self.private.id() {
            Id::RSA => {
                let rsa = self.private.rsa().unwrap();
                let [n, e] = [rsa.n(), rsa.e()].map(|number| base64url::encode(&number.to_vec()));
                format!(r#""kty":"RSA","n":"{n}","e":"{e}""#)
            }
            Id::ED25519 => {
                let x = base64url::encode(&self.private.raw_public_key().unwrap());
                format!(r#""kty":"OKP","crv":"Ed25519","x":"{x}""#)
            }
            _ => {
                let key = self.private.ec_key().unwrap();
                let (mut x, mut y) = (BigNum::new().unwrap(), BigNum::new().unwrap());
                let mut context = BigNumContext::new().unwrap();
                key.public_key().affine_coordinates(key.group(), &mut x, &mut y, &mut context).unwrap();
                let bits = key.group().degree();
                let [x, y] = [x, y].map(|n| base64url::encode(&n.to_vec_padded(bits as i32 / 8).unwrap()));
                format!(r#""kty":"EC","crv":"P-{bits}","x":"{x}","y":"{y}""#)
            }
        };
        format!(r#"{{"kid":"{}",{members}{more}}}"#, self.id)
    }

    /// A token with these claims.
    pub fn sign(&self, claims: &str) -> String {
        self.sign_with(&format!(r#"{{"alg":"{}","kid":"{}","typ":"JWT"}}"#, self.algorithm, self.id), claims)
    }

    /// A token with this header, signed by the key's own algorithm whatever the header says.
    pub fn sign_with(&self, header: &str, claims: &str) -> String {
        let signed =
            format!("{}.{}", base64url::encode(header.as_bytes()), base64url::encode(claims.as_bytes()));
        format!("{signed}.{}", base64url::encode(&self.signature(signed.as_bytes())))
    }

    fn signature(&self, message: &[u8]) -> Vec<u8> {
        if self.algorithm == "EdDSA" {
            return Signer::new_without_digest(&self.private).unwrap().sign_oneshot_to_vec(message).unwrap();
        }
        let digest = match &self.algorithm[2..] {
            "256" => MessageDigest::sha256(),
            "384" => MessageDigest::sha384(),
            _ => MessageDigest::sha512(),
        };
        let mut signer = Signer::new(digest, &self.private).unwrap();
        if self.algorithm.starts_with('P') {
            signer.set_rsa_padding(Padding::PKCS1_PSS).unwrap();
            signer.set_rsa_pss_saltlen(RsaPssSaltlen::DIGEST_LENGTH).unwrap();
        }
        let signature = signer.sign_oneshot_to_vec(message).unwrap();
        if !self.algorithm.starts_with('E') {
            return signature;
        }
        let (signature, bytes) = (EcdsaSig::from_der(&signature).unwrap(), self.private.bits() as i32 / 8);
        [signature.r(), signature.s()].map(|number| number.to_vec_padded(bytes).unwrap()).concat()
    }
}

/// A set of public keys (JWKS).
pub fn key_set(keys: &[&str]) -> String {
    format!(r#"{{"keys":[{}]}}"#, keys.join(","))
}

/// Claims of a token that is good for an hour.
pub fn claims(issuer: &str, user: &str) -> String {
    let now = now();
    format!(r#"{{"iss":"{issuer}","sub":"{user}","aud":"kms","iat":{now},"exp":{}}}"#, now + 3600)
}

pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// Where keys are asked for. It ends with the process.
#[derive(Clone)]
pub struct KeyServer {
    shared: Arc<(Mutex<Behaviour>, Condvar)>,
    pub port: u16,
}

struct Behaviour {
    /// Status line and body; `None` for no answer at all.
    answer: Option<(&'static str, String)>,
    /// Answers wait.
    is_held: bool,
    asked: usize,
}

impl KeyServer {
    pub fn new(set: String) -> KeyServer {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let behaviour = Behaviour { answer: Some(("200 OK", set)), is_held: false, asked: 0 };
        let server = KeyServer { shared: Arc::new((Mutex::new(behaviour), Condvar::new())), port };
        let own = server.clone();
        thread::spawn(move || listener.incoming().for_each(|stream| own.answer(stream.unwrap())));
        server
    }

    pub fn issuer(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// What it answers from now on.
    pub fn set(&self, status: &'static str, body: String) {
        self.shared.0.lock().unwrap().answer = Some((status, body));
    }

    /// From now on it breaks every connection.
    pub fn stop(&self) {
        self.shared.0.lock().unwrap().answer = None;
    }

    /// Whether answers wait.
    pub fn hold(&self, is_held: bool) {
        self.shared.0.lock().unwrap().is_held = is_held;
        self.shared.1.notify_all();
    }

    /// How often it was asked.
    pub fn asked(&self) -> usize {
        self.shared.0.lock().unwrap().asked
    }

    fn answer(&self, mut stream: TcpStream) {
        let (mut head, mut piece) = (Vec::new(), [0; 1024]);
        while !head.windows(4).any(|end| end == b"\r\n\r\n") {
            match stream.read(&mut piece) {
                Ok(bytes) if bytes > 0 => head.extend_from_slice(&piece[..bytes]),
                _ => return,
            }
        }
        assert!(head.starts_with(b"GET /.well-known/jwks.json HTTP/1.1\r\n"), "{}", head.escape_ascii());
        let mut behaviour = self.shared.0.lock().unwrap();
        behaviour.asked += 1;
        behaviour = self.shared.1.wait_while(behaviour, |behaviour| behaviour.is_held).unwrap();
        let Some((status, body)) = behaviour.answer.clone() else { return };
        drop(behaviour);
        let head =
            format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
        // Whoever has read enough may go.
        let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body.as_bytes()));
    }
}
