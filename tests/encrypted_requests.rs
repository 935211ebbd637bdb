//! Requests that are encrypted in themselves (JWE).
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod support;

use keyway::wire::base64url;
use openssl::derive::Deriver;
use openssl::hash::{Hasher, MessageDigest};
use openssl::pkey::{Id, PKey};
use openssl::symm::{Cipher, encrypt_aead};
use support::recipient::Recipient;
use support::{CREATE, Client, Scratch, Server, keyway, keyway_fails, on, value_of};

const NOT_OPENED: &str =
    "Invalid Request: the encrypted request (JWE) cannot be opened with this server's key";

/// A request that is encrypted for this X25519 key, as any client would: RFC 7518 section 4.6, by hand.
fn seal(recipient: &Recipient, kid: &str, plain: &str) -> String {
    let sender = PKey::generate_x25519().unwrap();
    let x = base64url::encode(&sender.raw_public_key().unwrap());
    let header = format!(
        r#"{{"alg":"ECDH-ES","enc":"A256GCM","kid":"{kid}","epk":{{"kty":"OKP","crv":"X25519","x":"{x}"}}}}"#
    );
    let recipient =
        PKey::public_key_from_raw_bytes(&recipient.private.raw_public_key().unwrap(), Id::X25519).unwrap();
    let mut deriver = Deriver::new(&sender).unwrap();
    deriver.set_peer(&recipient).unwrap();
    let mut hash = Hasher::new(MessageDigest::sha256()).unwrap();
    for part in [
        &[0, 0, 0, 1],
        &deriver.derive_to_vec().unwrap()[..],
        &[0, 0, 0, 7],
        b"A256GCM",
        &[0; 8],
        &[0, 0, 1, 0],
    ] {
        hash.update(part).unwrap();
    }
    let (key, nonce, mut tag) = (hash.finish().unwrap(), [3; 12], [0; 16]);
    let protected = base64url::encode(header.as_bytes());
    let data = encrypt_aead(
        Cipher::aes_256_gcm(),
        &key,
        Some(&nonce),
        protected.as_bytes(),
        plain.as_bytes(),
        &mut tag,
    );
    let [nonce, data, tag] = [&nonce[..], &data.unwrap(), &tag].map(base64url::encode);
    format!("{protected}..{nonce}.{data}.{tag}")
}

#[test]
fn they_are_read_beside_others_and_all_faults_look_alike() {
    let (scratch, pair) = (Scratch::new(), Recipient::x25519());
    let mut command = keyway(&["--log-level", "debug"]);
    command.env("JWK_PRIVATE_KEY", pair.private_jwk());
    let server = Server::spawn(scratch.path(), command);
    let mut client = Client::connect(server.port);
    let mut ask = |body: &str| client.post("/kmip/2_1", body);
    // One that is written by a lane, one that is read in place, one that takes long.
    let (status, created) = ask(&seal(&pair, "the-key", CREATE));
    assert_eq!(status, 200, "{created}");
    let uid = value_of("UniqueIdentifier", &created);
    assert_eq!(ask(&seal(&pair, "the-key", &on("Get", &uid))).0, 200);
    let padded = format!("{}{}", on("Get", &uid), " ".repeat(200_000));
    assert_eq!(ask(&seal(&pair, "the-key", &padded)).0, 200);
    assert_eq!(ask(&on("Get", &uid)).0, 200, "plain requests stay");
    assert_eq!(ask(&format!("\n {}", on("Get", &uid))).0, 200);
    // What is decrypted is judged like any other.
    assert_eq!(ask(&seal(&pair, "the-key", &on("Get", "nosuch"))).1, "Item_Not_Found: nosuch");
    assert_eq!(ask(&seal(&pair, "the-key", "no")).0, 422);

    let good = seal(&pair, "the-key", CREATE);
    let parts: Vec<&str> = good.split('.').collect();
    for bad in [
        seal(&pair, "another", CREATE),
        seal(&Recipient::x25519(), "the-key", CREATE),
        good[..good.len() - 1].to_owned(),
        format!("{good}="),
        format!("{}..{}.{}.{}", parts[0], parts[2], parts[4], parts[3]),
        good.replacen("..", ".AAAA.", 1),
        parts[..4].join("."),
        "eyJ".into(),
        "no".into(),
    ] {
        assert_eq!(ask(&bad), (422, NOT_OPENED.into()), "{bad}");
    }
    let long = seal(&pair, "the-key", &" ".repeat(2 << 20));
    assert_eq!(ask(&long), (413, "An encrypted request has at most 2 MiB.".into()));
    assert!(!server.log().contains(&pair.private_jwk()));
}

#[test]
fn without_a_key_they_are_not_supported_and_a_wrong_key_ends_the_start() {
    let (scratch, pair) = (Scratch::new(), Recipient::x25519());
    let server = Server::start(scratch.path(), &[]);
    let told = Client::connect(server.port).post("/kmip/2_1", &seal(&pair, "the-key", CREATE));
    assert_eq!(told, (422, "Not Supported: this server doesn't support JWE encryption".into()));
    let file = scratch.file("jwk");
    std::fs::write(&file, pair.private_jwk().replace("X25519", "X448")).unwrap();
    let (code, told) = keyway_fails(&["--jwk-private-key-file", &file]);
    let expected = format!(
        "keyway: the private key ({file}) must be of kty OKP (crv X25519) or EC, with its crv, x and y\n"
    );
    assert_eq!((code, told), (2, expected));
}
