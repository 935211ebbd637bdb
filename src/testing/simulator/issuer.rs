//! An issuer of tokens, who says who asks: its key, what it signs, and what it must not have signed.
#![forbid(unsafe_code)]

use super::clock::START;
use crate::auth::key_set::KeySet;
use crate::auth::{Source, Trusted};
use crate::testing::choices::Choices;
use crate::wire::base64url;
use openssl::pkey::{Id, PKey, Private};
use openssl::sign::Signer;
use std::sync::Arc;

const ISSUER: &str = "https://issuer.example";
const AUDIENCE: &str = "keyway.example";
const KEY_ID: &str = "signs";
/// Longer than a simulation lasts.
const LIFETIME_S: i64 = 100 * 24 * 60 * 60;

/// What the operator says of the issuer.
pub fn trusted() -> Trusted {
    let source = Source { url: format!("{ISSUER}/keys"), ca_root: None };
    Trusted { issuer: ISSUER.into(), audience: Some(AUDIENCE.into()), source: Arc::new(source) }
}

/// What it answers whoever asks for its keys.
pub fn key_set() -> KeySet {
    let x = base64url::encode(&key(1).raw_public_key().expect("an Ed25519 key is 32 bytes"));
    let jwk = format!(r#"{{"keys":[{{"kid":"{KEY_ID}","kty":"OKP","crv":"Ed25519","x":"{x}"}}]}}"#);
    KeySet::of_json(&mut jwk.into_bytes()).expect("it is a key set")
}

/// The token of a user.
pub fn token(user: &str) -> String {
    signed(1, KEY_ID, user, AUDIENCE, START + LIFETIME_S)
}

/// A token of that user that is good for nothing.
pub fn bad_token(user: &str, choices: &mut Choices) -> String {
    let good = START + LIFETIME_S;
    match choices.below(4) {
        0 => signed(2, KEY_ID, user, AUDIENCE, good),
        // The issuer is asked for it.
        1 => signed(1, "unknown", user, AUDIENCE, good),
        2 => signed(1, KEY_ID, user, "another.example", good),
        _ => signed(1, KEY_ID, user, AUDIENCE, START - 3600),
    }
}

fn key(number: u8) -> PKey<Private> {
    PKey::private_key_from_raw_bytes(&[number; 32], Id::ED25519).expect("any 32 bytes are a key of Ed25519")
}

fn signed(key_number: u8, key_id: &str, user: &str, audience: &str, expires: i64) -> String {
    let header = format!(r#"{{"alg":"EdDSA","kid":"{key_id}","typ":"JWT"}}"#);
    let claims = format!(r#"{{"iss":"{ISSUER}","sub":"{user}","aud":"{audience}","exp":{expires}}}"#);
    let [header, claims] = [header, claims].map(|part| base64url::encode(part.as_bytes()));
    let text = format!("{header}.{claims}");
    let signature = Signer::new_without_digest(&key(key_number))
        .and_then(|mut signer| signer.sign_oneshot_to_vec(text.as_bytes()))
        .expect("Ed25519 signs anything");
    format!("{text}.{}", base64url::encode(&signature))
}
