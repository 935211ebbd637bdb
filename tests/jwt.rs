//! Clients that show tokens: who they are, who is refused, and what becomes of them when their issuer rotates its keys, is slow,
//! lies or goes away.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test may fail, and waits in real time")]

mod support;

use keyway::wire::base64url;
use std::io::{Read, Write};
use std::time::Instant;
use support::certificates::Authority;
use support::issuer::{Key, KeyServer, claims, key_set, now};
use support::{CREATE, Client, Scratch, Server, keyway, on, tcp, tls, value_of, wait_for};

/// A server that takes the tokens of this issuer.
fn serve(scratch: &Scratch, keys: &KeyServer, more: &[&str]) -> Server {
    let issuer = keys.issuer();
    let options = ["--jwt-issuer-uri", &issuer, "--jwt-audience", "kms", "--log-level", "debug"];
    Server::start(scratch.path(), &[&options[..], more].concat())
}

/// The same, once it has the keys.
fn serve_ready(scratch: &Scratch, keys: &KeyServer, more: &[&str]) -> Server {
    let server = serve(scratch, keys, more);
    wait_until_ready(&server);
    server
}

fn wait_until_ready(server: &Server) {
    wait_for("the keys", || (Client::connect(server.port).get("/health/ready").0 == 200).then_some(()));
}

fn request(path: &str, token: Option<&str>) -> String {
    let authorization = token.map_or(String::new(), |token| format!("Authorization: Bearer {token}\r\n"));
    format!("GET {path} HTTP/1.1\r\nHost: kms\r\n{authorization}\r\n")
}

/// Whom the server takes the bearer of a token for, or the status of the refusal, whose body is empty.
fn user(server: &Server, token: &str) -> Result<String, u16> {
    user_told(
        Client::connect(server.port).send(request("/access/list/nothing", Some(token)).as_bytes()).unwrap(),
    )
}

/// The answer to who asks for what is not his names him.
fn user_told((status, body): (u16, String)) -> Result<String, u16> {
    match body.strip_prefix("Access denied: Object with uid `nothing` is not owned by owner `") {
        Some(rest) => Ok(rest.strip_suffix('`').unwrap().to_owned()),
        None => {
            assert!(body.is_empty() || status == 503, "{status} {body}");
            Err(status)
        }
    }
}

const ALGORITHMS: [&str; 9] =
    ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA"];

#[test]
fn every_algorithm_is_taken_and_the_user_is_the_tokens() {
    let scratch = Scratch::new();
    let keys: Vec<Key> = ALGORITHMS.iter().map(|algorithm| Key::new(algorithm, algorithm)).collect();
    let set: Vec<String> =
        keys.iter().map(|key| key.jwk(&format!(r#","alg":"{}","use":"sig""#, key.algorithm))).collect();
    let issuer = KeyServer::new(key_set(&set.iter().map(String::as_str).collect::<Vec<_>>()));
    let server = serve_ready(&scratch, &issuer, &[]);
    for key in &keys {
        let token = key.sign(&claims(&issuer.issuer(), &key.id));
        assert_eq!(user(&server, &token), Ok(key.id.clone()));
    }
    let with = |more: &str| keys[8].sign(&claims(&issuer.issuer(), "s").replace("}", &format!(",{more}}}")));
    assert_eq!(user(&server, &with(r#""email":"e@example.org""#)).as_deref(), Ok("e@example.org"));
    assert_eq!(user(&server, &with(r#""email":"e@example.org","email_verified":false"#)).as_deref(), Ok("s"));
    assert_eq!(issuer.asked(), 1);

    // What one user makes is not there for another.
    let post = |user: &str, body: &str| {
        let token = keys[6].sign(&claims(&issuer.issuer(), user));
        let length = body.len();
        let head = format!(
            "POST /kmip/2_1 HTTP/1.1\r\nHost: kms\r\nAuthorization: Bearer {token}\r\nContent-Length: {length}\r\n\r\n"
        );
        Client::connect(server.port).send(format!("{head}{body}").as_bytes()).unwrap()
    };
    let uid = value_of("UniqueIdentifier", &post("alice", CREATE).1);
    assert_eq!(post("alice", &on("Get", &uid)).0, 200);
    assert_eq!(post("bob", &on("Get", &uid)).1, format!("Item_Not_Found: {uid}"));
}

#[test]
fn every_refusal_is_empty_and_its_reason_is_logged() {
    let scratch = Scratch::new();
    let (key, other, small) =
        (Key::new("k", "RS256"), Key::new("k", "RS256"), Key::rsa("small", "RS256", 1024));
    let set = [
        key.jwk(""),
        key.renamed("enc", "RS256").jwk(r#","use":"enc""#),
        key.renamed("pss", "PS256").jwk(r#","alg":"PS256""#),
        small.jwk(""),
        Key::new("ec", "ES256").jwk(""),
    ];
    let issuer = KeyServer::new(key_set(&set.each_ref().map(String::as_str)));
    let server = serve_ready(&scratch, &issuer, &[]);
    let good = claims(&issuer.issuer(), "alice");
    let header = r#"{"alg":"RS256","kid":"k"}"#;
    let with_header = |from: &str, to: &str| key.sign_with(&header.replace(from, to), &good);
    let with_claims = |from: &str, to: &str| {
        assert!(good.contains(from));
        key.sign(&good.replace(from, to))
    };
    let token = key.sign(&good);
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let hmac = |message: String| {
        // Signed with the public key as if both sides knew it (RFC 8725 section 2.1).
        let key = openssl::pkey::PKey::hmac(set[0].as_bytes()).unwrap();
        let digest = openssl::hash::MessageDigest::sha256();
        let mac = openssl::sign::Signer::new(digest, &key)
            .unwrap()
            .sign_oneshot_to_vec(message.as_bytes())
            .unwrap();
        format!("{message}.{}", base64url::encode(&mac))
    };
    let unsigned = |header: &str| {
        format!("{}.{}", base64url::encode(header.as_bytes()), base64url::encode(good.as_bytes()))
    };
    let (past, future) = (now() - 61, now() + 3600);
    let exp = format!(r#","exp":{}"#, good.rsplit_once(':').unwrap().1.trim_end_matches('}'));
    let rows: Vec<(&str, String, &str)> = vec![
        ("alg none", format!("{}.", unsigned(r#"{"alg":"none","kid":"k"}"#)), "alg is none that is taken"),
        ("alg None", format!("{}.", unsigned(r#"{"alg":"None","kid":"k"}"#)), "alg is none that is taken"),
        ("no alg", with_header(r#""alg":"RS256","#, ""), "alg is none that is taken"),
        (
            "HS256 with the public key",
            hmac(unsigned(r#"{"alg":"HS256","kid":"k"}"#)),
            "alg is none that is taken",
        ),
        (
            "alg of another type of key",
            with_header("RS256", "ES256"),
            "the key of the token's kid is not for its alg",
        ),
        (
            "kid of another type of key",
            with_header(r#""k""#, r#""ec""#),
            "the key of the token's kid is not for its alg",
        ),
        (
            "alg that the key is not for",
            with_header(r#""k""#, r#""pss""#),
            "the key of the token's kid is not for its alg",
        ),
        ("alg that was not signed with", with_header("RS256", "PS256"), "signature is wrong"),
        ("no kid", with_header(r#","kid":"k""#, ""), "has no kid"),
        ("unknown kid", with_header(r#""k""#, r#""K""#), "kid is none of its issuer's"),
        ("key for encryption", with_header(r#""k""#, r#""enc""#), "cannot be used: it is not for signatures"),
        ("RSA of 1024 bits", small.sign(&good), "cannot be used: it is an RSA key of less than 2048 bits"),
        ("crit", with_header("}", r#","crit":["exp"]}"#), "has a crit"),
        ("typ", with_header("}", r#","typ":"logout+jwt"}"#), "typ is not JWT"),
        ("another's signature", other.sign(&good), "signature is wrong"),
        ("no signature", format!("{signed}."), "signature is wrong"),
        ("no part for it", signed.to_owned(), "has not the form of one"),
        ("a part more", format!("{token}.AA"), "has not the form of one"),
        ("padding", format!("{token}=="), "has not the form of one"),
        ("other claims", token.replacen('.', ".A", 1), "claims cannot be read"),
        ("claims that are no JSON", key.sign("no"), "claims cannot be read"),
        ("header that is no JSON", key.sign_with("no", &good), "header cannot be read"),
        ("alg twice", with_header(r#""kid""#, r#""alg":"none","kid""#), "header cannot be read"),
        ("another issuer", with_claims("http://", "https://"), "iss is not trusted"),
        (
            "issuer with a slash",
            with_claims(&issuer.issuer(), &format!("{}/", issuer.issuer())),
            "iss is not trusted",
        ),
        ("another audience", with_claims(r#""kms""#, r#""kmsx""#), "aud is not this server"),
        ("other audiences", with_claims(r#""kms""#, r#"["a","b"]"#), "aud is not this server"),
        ("no audience", with_claims(r#""aud":"kms","#, ""), "aud is not this server"),
        ("no exp", with_claims(&exp, ""), "has no exp"),
        ("expired", with_claims(&exp, &format!(r#","exp":{past}"#)), "has expired"),
        ("not valid yet", with_claims("}", &format!(r#","nbf":{future}}}"#)), "is not valid yet"),
        ("nobody", with_claims(r#""sub":"alice","#, ""), "has no email or sub"),
        ("everybody", with_claims("alice", "*"), "has no email or sub"),
        ("too long", with_claims("alice", &"a".repeat(7000)), "is too long"),
        ("nothing", String::new(), "there is no token"),
    ];
    assert_eq!(user(&server, &token).as_deref(), Ok("alice"));
    for (name, bad, reason) in rows {
        let before = server.log().len();
        assert_eq!(user(&server, &bad), Err(401), "{name}");
        let told = server.log()[before..].to_owned();
        assert!(told.contains(reason), "{name}: {told}");
    }
    let before = server.log().len();
    for field in ["", "Authorization: Basic YTpi\r\n"] {
        let mut stream = tcp(server.port);
        let head = format!("POST /kmip/2_1 HTTP/1.1\r\nHost: kms\r\n{field}Content-Length: 1000000\r\n\r\n");
        stream.write_all(head.as_bytes()).unwrap();
        // The body is not waited for.
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(
            answer.starts_with("HTTP/1.1 401 Unauthorized\r\n") && answer.ends_with(" 0\r\n\r\n"),
            "{answer}"
        );
        assert!(answer.contains("\r\nwww-authenticate: Bearer\r\n"), "{answer}");
    }
    assert!(server.log()[before..].contains("there is no token"));
    let log = server.log();
    for secret in [&token[..], signature, &base64url::encode(good.as_bytes())] {
        assert!(!log.contains(secret), "a token is in the log");
    }
}

#[test]
fn some_routes_need_no_token() {
    let scratch = Scratch::new();
    let key = Key::new("k", "ES256");
    let issuer = KeyServer::new(key_set(&[&key.jwk("")]));
    let server = serve_ready(&scratch, &issuer, &[]);
    let mut client = Client::connect(server.port);
    let preflight = "OPTIONS /kmip/2_1 HTTP/1.1\r\nHost: kms\r\nOrigin: https://a.example\r\nAccess-Control-Request-Method: POST\r\n\r\n";
    assert_eq!(client.send(preflight.as_bytes()).unwrap().0, 200);
    assert_eq!(client.get("/health/live").0, 200);
    // Without a body, the connection goes on.
    for path in ["/version", "/access/owned", "/nothing/there"] {
        assert_eq!(client.get(path), (401, String::new()), "{path}");
    }
    let token = key.sign(&claims(&issuer.issuer(), "alice"));
    assert_eq!(client.send(request("/version", Some(&token)).as_bytes()).unwrap().0, 200);
    assert_eq!(client.send(request("/nothing/there", Some(&token)).as_bytes()).unwrap().0, 404);
}

#[test]
fn a_token_by_a_key_that_was_just_rotated_is_taken_and_a_flood_of_unknown_ones_asks_seldom() {
    let scratch = Scratch::new();
    let (old, new) = (Key::new("old", "ES256"), Key::new("new", "ES256"));
    let issuer = KeyServer::new(key_set(&[&old.jwk("")]));
    let server = serve_ready(&scratch, &issuer, &[]);
    let by = |key: &Key| key.sign(&claims(&issuer.issuer(), &key.id));
    // Keys are asked for again at once, but not within some seconds after the last time.
    let start = Instant::now();
    issuer.set("200 OK", key_set(&[&old.jwk(""), &new.jwk("")]));
    wait_for("the new key", || user(&server, &by(&new)).ok());
    assert_eq!(user(&server, &by(&old)).as_deref(), Ok("old"));
    issuer.set("200 OK", key_set(&[&new.jwk("")]));
    let unknown = Key::new("unknown", "ES256");
    for _ in 0..100 {
        assert_eq!(user(&server, &by(&unknown)), Err(401));
        assert_eq!(user(&server, &by(&new)).as_deref(), Ok("new"));
    }
    let most = 2 + start.elapsed().as_secs() as usize / 5;
    assert!(issuer.asked() <= most, "{} of {most}", issuer.asked());
    // Until it is asked again: then the old key is none any more.
    wait_for("the old key's end", || {
        let _ = user(&server, &by(&unknown));
        user(&server, &by(&old)).err()
    });
}

#[test]
fn who_waits_for_a_slow_issuer_holds_up_nobody_else() {
    let scratch = Scratch::new();
    let (old, new) = (Key::new("old", "EdDSA"), Key::new("new", "EdDSA"));
    let issuer = KeyServer::new(key_set(&[&old.jwk("")]));
    let server = serve_ready(&scratch, &issuer, &[]);
    let by = |key: &Key| key.sign(&claims(&issuer.issuer(), &key.id));
    issuer.set("200 OK", key_set(&[&old.jwk(""), &new.jwk("")]));
    issuer.hold(true);
    // Held: with the request that follows it in the same bytes.
    let two =
        request("/access/list/nothing", Some(&by(&new))) + &request("/access/list/nothing", Some(&by(&old)));
    let mut held = wait_for("a request that is held", || {
        let before = issuer.asked();
        let mut client = tcp(server.port);
        client.write_all(two.as_bytes()).unwrap();
        // Either the issuer is asked, or the request is refused because it was just before.
        let mut byte = [0; 1];
        client.set_read_timeout(Some(std::time::Duration::from_millis(500))).unwrap();
        (client.read(&mut byte).is_err() && issuer.asked() > before).then_some(client)
    });
    for _ in 0..20 {
        assert_eq!(user(&server, &by(&old)).as_deref(), Ok("old"));
    }
    issuer.hold(false);
    held.set_read_timeout(Some(support::DEADLINE)).unwrap();
    let mut told = String::new();
    while told.matches("Access denied").count() < 2 {
        let mut piece = [0; 4096];
        let bytes = held.read(&mut piece).unwrap();
        assert!(bytes > 0, "{told}");
        told += std::str::from_utf8(&piece[..bytes]).unwrap();
    }
    let (first, second) = (told.find("owner `new`"), told.find("owner `old`"));
    assert!(first.is_some() && first < second, "{told}");
}

#[test]
fn a_server_starts_without_the_keys_and_says_why_it_is_not_ready() {
    let (key, scratch) = (Key::new("k", "ES256"), Scratch::new());
    let good = key_set(&[&key.jwk("")]);
    let many = vec![key.jwk(""); 65];
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let lies: [(&'static str, String, &str); 7] = [
        ("200 OK", "<html>no</html>".into(), "it is no set of keys (JWKS): "),
        ("200 OK", format!("{}{good}", " ".repeat(300 * 1024)), "the answer has more than 262144 bytes"),
        ("200 OK", key_set(&many), "it has more than 64 keys"),
        ("200 OK", r#"{"keys":[]}"#.into(), "it has no key with a \\\"kid\\\""),
        ("200 OK", key_set(&[&key.jwk(r#","use":"enc""#)]), "it is not for signatures"),
        ("500 Internal Server Error", good.clone(), "500"),
        ("302 Found\r\nlocation: http://127.0.0.1:1/", good.clone(), "the answer has status 302"),
    ];
    for (i, (status, body, reason)) in lies.into_iter().enumerate() {
        let folder = scratch.path().join(i.to_string());
        std::fs::create_dir(&folder).unwrap();
        let issuer = KeyServer::new(String::new());
        issuer.set(status, body);
        let uri = issuer.issuer();
        let server = Server::start(&folder, &["--jwt-issuer-uri", &uri, "--log-level", "debug"]);
        let ready = || Client::connect(server.port).get("/health/ready");
        let told = wait_for(reason, || Some(ready().1).filter(|told| told.contains(reason)));
        let expected = format!(
            r#"{{"status":"DOWN","reasons":["the keys of the token issuer {uri} have not been fetched: "#
        );
        assert!(told.starts_with(&expected), "{told}");
        assert_eq!(ready().0, 503);
        let token = key.sign(&claims(&uri, "alice"));
        let mut stream = tcp(server.port);
        stream
            .write_all(
                request("/version", Some(&token))
                    .replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n")
                    .as_bytes(),
            )
            .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 503 ") && answer.contains("\r\nretry-after:"), "{answer}");
        assert_eq!(Client::connect(server.port).get("/version").0, 401, "no token is none at any time");
        // It is asked again by itself.
        issuer.set("200 OK", good.clone());
        wait_until_ready(&server);
        assert_eq!(user(&server, &token).as_deref(), Ok("alice"));
    }
}

#[test]
fn keys_stay_through_an_outage_and_another_issuers_keys_are_not_taken_for_them() {
    let scratch = Scratch::new();
    let (key, theirs) = (Key::new("k", "ES256"), Key::new("theirs", "ES256"));
    let (issuer, other) =
        (KeyServer::new(key_set(&[&key.jwk("")])), KeyServer::new(key_set(&[&theirs.jwk("")])));
    let uris = format!("{},{}", issuer.issuer(), other.issuer());
    let mut command = keyway(&["--log-level", "debug"]);
    command.env("KMS_JWT_ISSUER_URI", uris).env("KMS_JST_AUDIENCE", "kms,");
    let server = Server::spawn(scratch.path(), command);
    wait_until_ready(&server);
    let token = key.sign(&claims(&issuer.issuer(), "alice"));
    assert_eq!(user(&server, &token).as_deref(), Ok("alice"));
    let of_other = claims(&other.issuer(), "bob").replace(r#""kms""#, r#""whoever""#);
    assert_eq!(user(&server, &theirs.sign(&of_other)).as_deref(), Ok("bob"));
    // Each issuer's keys are for its own tokens.
    assert_eq!(user(&server, &theirs.sign(&claims(&issuer.issuer(), "alice"))), Err(401));
    assert_eq!(user(&server, &key.sign(&of_other)), Err(401));

    issuer.stop();
    let unknown = Key::new("unknown", "ES256").sign(&claims(&issuer.issuer(), "alice"));
    wait_for("a fetch that fails", || {
        assert_eq!(user(&server, &unknown), Err(401));
        server.log().contains("could not be fetched, those from before stay").then_some(())
    });
    assert_eq!(user(&server, &token).as_deref(), Ok("alice"));
    assert_eq!(Client::connect(server.port).get("/health/ready").0, 200);
    issuer.set("200 OK", key_set(&[&key.jwk(""), &theirs.jwk("")]));
    wait_for("the keys", || user(&server, &theirs.sign(&claims(&issuer.issuer(), "carol"))).ok());
}

#[test]
fn with_certificates_both_must_be_good_and_the_token_says_who_asks() {
    let (authority, scratch) = (Authority::new(), Scratch::new());
    authority.client("alice");
    authority.server("server", "P-256");
    let key = Key::new("k", "EdDSA");
    let issuer = KeyServer::new(key_set(&[&key.jwk("")]));
    let (p12, roots, uri) =
        (authority.export("server", "p", &[]), authority.file("root.pem"), issuer.issuer());
    let options = [
        "--https-p12-file",
        &p12,
        "--https-p12-password",
        "p",
        "--authority-cert-file",
        &roots,
        "--jwt-issuer-uri",
        &uri,
        "--jwt-audience",
        "kms",
        "--log-level",
        "debug",
    ];
    let of = |user: &str| request("/access/list/nothing", Some(&key.sign(&claims(&uri, user))));
    let bare = request("/access/list/nothing", None);
    let owners = |told: &str| -> Vec<String> {
        let parts = told.split("not owned by owner `").skip(1);
        parts.map(|part| part.split('`').next().unwrap().to_owned()).collect()
    };
    for (more, expected) in
        [(&[][..], ["bob", "carol", "alice.example"]), (&["--force-default-username"], ["admin"; 3])]
    {
        let folder = scratch.path().join(expected[0]);
        std::fs::create_dir(&folder).unwrap();
        let server = Server::start(&folder, &[&options[..], more].concat());
        server.wait_for_log("were fetched");
        // All in one piece: each request is its own token's, whoever's certificate the connection has.
        let last = of("alice.example").replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n");
        let mut stream = tls::connect_as(&authority, Some((&authority, "alice")), &server);
        stream.write_all([of("bob"), of("carol"), bare.clone(), last].concat().as_bytes()).unwrap();
        let mut told = String::new();
        stream.read_to_string(&mut told).unwrap();
        assert_eq!(owners(&told), expected, "{told}");
        assert_eq!(told.matches("HTTP/1.1 401 ").count(), 4, "{told}");
        assert_eq!(told.matches(" 0\r\n\r\n").count(), 1, "the request without a token: {told}");
        // Without a certificate the best token is of no use.
        let mut stream = tls::connect_as(&authority, None, &server);
        let (mut told, _) = (Vec::new(), stream.write_all(of("bob").as_bytes()));
        let _ = stream.read_to_end(&mut told);
        assert!(told.is_empty(), "{}", told.escape_ascii());
    }
}

#[test]
fn an_issuer_with_a_private_authority_is_asked_over_https() {
    let (authority, scratch) = (Authority::new(), Scratch::new());
    authority.server("issuer", "P-256");
    let key = Key::new("k", "ES256");
    std::fs::create_dir(scratch.path().join("www")).unwrap();
    std::fs::write(scratch.path().join("www/keys"), key_set(&[&key.jwk("")])).unwrap();
    let port = support::free_port();
    let (chain, private) = (authority.file("issuer.fullchain.pem"), authority.file("issuer.key"));
    let mut web = std::process::Command::new("openssl")
        .args(["s_server", "-quiet", "-WWW", "-accept", &port.to_string(), "-cert", &chain, "-key", &private])
        .args(["-cert_chain", &chain])
        .current_dir(scratch.path().join("www"))
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let (url, roots) = (format!("https://localhost:{port}/keys"), authority.file("root.pem"));
    let folder = |name: &str| {
        std::fs::create_dir(scratch.path().join(name)).unwrap();
        scratch.path().join(name)
    };
    let options = ["--jwt-issuer-uri", "urn:example:issuer", "--jwks-uri", &url, "--jwt-audience", "kms"];
    let trusting = Server::start(&folder("trusting"), &[&options[..], &["--jwks-ca-root", &roots]].concat());
    wait_until_ready(&trusting);
    assert_eq!(user(&trusting, &key.sign(&claims("urn:example:issuer", "alice"))).as_deref(), Ok("alice"));
    let wary = Server::start(&folder("wary"), &options);
    wary.wait_for_log("UnknownIssuer");
    web.kill().unwrap();
    web.wait().unwrap();
}
