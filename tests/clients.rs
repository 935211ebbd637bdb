//! The compiled clients of the old server, as its users have them, against the whole program.
//!
//! 4.22.1 makes symmetric keys and encrypts, in the dialect of 4.9.1. What 4.9.1 itself cannot do here: it makes, imports
//! and uses keys of CoverCrypt only, which this server does not have; it reads, revokes and destroys keys of every kind.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod support;

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use support::certificates::Authority;
use support::issuer::{Key, KeyServer, claims, key_set};
use support::recipient::Recipient;
use support::{CREATE, Scratch, Server, on, value_of};

const NEW: &str = "4.22.1";
const OLD: &str = "4.9.1";
const REFUSED: &str = "REST Request Failed: ";

/// The interpreter that has this version of the clients.
fn python(version: &str) -> PathBuf {
    support::python::python(version, &format!("clients/{version}.txt"))
}

/// Which certificates a client takes.
enum Trust<'a> {
    /// What the authorities of this machine sign.
    Usual,
    /// What this authority signs.
    Authority(&'a str),
    /// This one.
    Only(&'a str),
    Anything,
}

/// A client in a process of its own.
struct Client {
    child: Child,
    commands: Option<ChildStdin>,
    results: BufReader<ChildStdout>,
}

impl Client {
    fn new(version: &str, server: &Server, trust: Trust) -> Client {
        Client::spawn(Command::new(python(version)), server, trust)
    }

    /// With the secret of a tenant's database.
    fn of_tenant(version: &str, server: &Server, secret: &str) -> Client {
        Client::with(version, server, &[("DATABASE_SECRET", secret)])
    }

    /// With what client.py takes from its environment.
    fn with(version: &str, server: &Server, variables: &[(&str, &str)]) -> Client {
        let mut command = Command::new(python(version));
        command.envs(variables.iter().copied());
        Client::spawn(command, server, Trust::Usual)
    }

    fn spawn(mut command: Command, server: &Server, trust: Trust) -> Client {
        command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients/client.py")).arg(server.url(""));
        match trust {
            Trust::Usual => &mut command,
            // The OpenSSL in them looks there.
            Trust::Authority(file) => command.env("SSL_CERT_FILE", file),
            Trust::Only(file) => command.arg(file),
            Trust::Anything => command.arg("insecure"),
        };
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (commands, results) = (child.stdin.take(), BufReader::new(child.stdout.take().unwrap()));
        Client { child, commands, results }
    }

    /// Runs a command, which is JSON; its result, or the text of its error.
    fn ask(&mut self, command: &str) -> Result<String, String> {
        let commands = self.commands.as_mut().unwrap();
        writeln!(commands, "{command}").unwrap();
        let mut line = String::new();
        self.results.read_line(&mut line).unwrap();
        match line.trim_end().split_once(' ') {
            Some(("ok", result)) => Ok(result.to_owned()),
            Some(("error", message)) => Err(message.to_owned()),
            _ => panic!("{command}: the client answered {line:?}"),
        }
    }

    fn create(&mut self, algorithm: &str, bits: u32, tags: &str) -> String {
        self.ask(&format!(r#"["create", "{algorithm}", {bits}, {tags}]"#)).unwrap()
    }

    /// The bytes of a symmetric key, in hexadecimal.
    fn key(&mut self, key: &str) -> String {
        let found = self.ask(&format!(r#"["get", {key}]"#)).unwrap();
        found.strip_prefix("SymmetricKey ").unwrap().to_owned()
    }

    /// The unique identifier of the key, the ciphertext, the nonce and the tag.
    fn encrypt(&mut self, key: &str, data: &str) -> [String; 4] {
        let answer = self.ask(&format!(r#"["encrypt", {key}, "{data}"]"#)).unwrap();
        let parts: Vec<String> = answer.split(' ').map(str::to_owned).collect();
        parts.try_into().unwrap()
    }

    fn decrypt(&mut self, key: &str, [data, nonce, tag]: [&str; 3]) -> Result<String, String> {
        self.ask(&format!(r#"["decrypt", {key}, "{data}", "{nonce}", "{tag}"]"#))
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // The end of its input is the end of the client.
        self.commands = None;
        let ended = self.child.wait();
        assert!(std::thread::panicking() || ended.is_ok_and(|status| status.success()));
    }
}

fn quoted(text: &str) -> String {
    format!("{text:?}")
}

/// What a refusal of the server looks like in this version.
fn refused(version: &str, text: &str) -> Result<String, String> {
    let path = if version == NEW { "/kmip/2_1: " } else { "" };
    Err(format!("{REFUSED}{path}{text}"))
}

/// The life of keys of every length, by identifiers and by tags.
fn keys_live_and_die(client: &mut Client) {
    let data = "00ff41".repeat(1000);
    for bits in [128, 192, 256] {
        let tags = format!(r#"["of {bits} bits", "\u00e9\\\""]"#);
        let uid = client.create("AES", bits, &tags);
        let key = client.key(&quoted(&uid));
        assert_eq!(key.len() as u32, bits / 4);
        assert_eq!(client.key(&tags), key);

        for by in [&quoted(&uid), &tags] {
            let [found, ciphertext, nonce, tag] = client.encrypt(by, &data);
            assert_eq!([&found, &data.len().to_string()], [&uid, &ciphertext.len().to_string()]);
            assert_eq!([nonce.len(), tag.len()], [24, 32]);
            for by in [&quoted(&uid), &tags] {
                assert_eq!(client.decrypt(by, [&ciphertext, &nonce, &tag]), Ok(data.clone()));
            }
            let wrong = client.decrypt(by, [&ciphertext, &nonce, &"00".repeat(16)]).unwrap_err();
            assert!(wrong.contains("Cryptographic error: decryption failed"), "{wrong}");
        }

        let (by_uid, by_tags) = (quoted(&uid), tags.as_str());
        let early = client.ask(&format!(r#"["destroy", {by_uid}]"#));
        let reason = "is active. It must be revoked first";
        let object = "Invalid Request: Object with unique identifier:";
        assert_eq!(early, refused(NEW, &format!("{object} {uid} {reason}")));
        // By identifiers for some keys, by tags for the others; the answer is what was asked for.
        let by = if bits == 128 { by_uid.as_str() } else { by_tags };
        let echo = if bits == 128 { uid.clone() } else { format!(r#"["of {bits} bits","é\\\""]"#) };
        assert_eq!(client.ask(&format!(r#"["revoke", {by}, "no longer used"]"#)), Ok(echo.clone()));
        let gone = refused(NEW, &format!("Item_Not_Found: {uid}"));
        assert_eq!(client.ask(&format!(r#"["encrypt", {by_uid}, "00"]"#)), gone);
        assert_eq!(client.ask(&format!(r#"["destroy", {by}]"#)), Ok(echo));
        assert_eq!(client.ask(&format!(r#"["get", {by_uid}]"#)), gone);
    }
}

#[test]
fn the_newer_client_makes_uses_and_destroys_keys() {
    let scratch = Scratch::new();
    let server = Server::start(scratch.path(), &[]);
    let mut client = Client::new(NEW, &server, Trust::Usual);
    keys_live_and_die(&mut client);
    let uid = client.create("AES", 256, "[]");
    assert_eq!(client.encrypt(&quoted(&uid), "")[1], "");
    let uid = client.create("ChaCha20", 256, "[]");
    assert_eq!(client.key(&quoted(&uid)).len(), 64);
    assert_eq!(client.ask(r#"["get", "nobody"]"#), refused(NEW, "Item_Not_Found: nobody"));
}

#[test]
fn each_client_reads_what_another_has_made() {
    let scratch = Scratch::new();
    let server = Server::start(scratch.path(), &[]);
    let (mut new, mut old) =
        (Client::new(NEW, &server, Trust::Usual), Client::new(OLD, &server, Trust::Usual));
    let mut plain = support::Client::connect(server.port);

    // Keys of the newer client, for 4.9.1; by identifier, and by tags.
    let [first, second] = [r#"["first"]"#, r#"["second"]"#].map(|tags| (new.create("AES", 256, tags), tags));
    assert_eq!(old.key(&quoted(&first.0)), new.key(&quoted(&first.0)));
    assert_eq!(old.key(second.1), new.key(&quoted(&second.0)));
    assert_eq!(
        value_of("Key", &plain.post("/kmip/2_1", &on("Get", &first.0)).1).to_lowercase(),
        new.key(first.1)
    );
    for (by, echo, uid) in
        [(quoted(&first.0), first.0.clone(), &first.0), (second.1.to_owned(), second.1.to_owned(), &second.0)]
    {
        assert_eq!(old.ask(&format!(r#"["revoke", {by}, "lost"]"#)), Ok(echo.clone()));
        let gone = format!("Item_Not_Found: {uid}");
        assert_eq!(new.ask(&format!(r#"["get", {uid:?}]"#)), refused(NEW, &gone));
        assert_eq!(old.ask(&format!(r#"["get", {uid:?}]"#)), refused(OLD, &gone));
        assert_eq!(old.ask(&format!(r#"["destroy", {by}]"#)), Ok(echo));
        assert_eq!(new.ask(&format!(r#"["encrypt", {uid:?}, "00"]"#)), refused(NEW, &gone));
    }

    // A key that neither has made.
    let uid = value_of("UniqueIdentifier", &plain.post("/kmip/2_1", CREATE).1);
    assert_eq!(old.key(&quoted(&uid)), new.key(&quoted(&uid)));
    let [_, data, nonce, tag] = new.encrypt(&quoted(&uid), "abcd");
    assert_eq!(new.decrypt(&quoted(&uid), [&data, &nonce, &tag]), Ok("abcd".into()));
    let early = old.ask(&format!(r#"["destroy", {uid:?}]"#)).unwrap_err();
    assert!(early.ends_with("is active. It must be revoked first"), "{early}");
}

#[test]
fn tenants_have_databases_of_their_own() {
    let scratch = Scratch::new();
    let server = Server::start(scratch.path(), &["--database-type", "sqlite-enc"]);
    let [one, other] = [(); 2].map(|()| {
        let answer = support::Client::connect(server.port).post("/new_database", "").1;
        answer.trim_matches('"').to_owned()
    });
    let mut new = Client::of_tenant(NEW, &server, &one);
    keys_live_and_die(&mut new);
    let uid = new.create("AES", 256, "[]");
    let mut old = Client::of_tenant(OLD, &server, &one);
    assert_eq!(old.key(&quoted(&uid)), new.key(&quoted(&uid)));
    let get = format!(r#"["get", {uid:?}]"#);
    for version in [NEW, OLD] {
        let gone = refused(version, &format!("Item_Not_Found: {uid}"));
        assert_eq!(Client::of_tenant(version, &server, &other).ask(&get), gone);
        let missing = "Access denied: Missing KmsDatabaseSecret header in the query";
        let denied = Client::new(version, &server, Trust::Usual).ask(&get).unwrap_err();
        assert!(denied.contains(missing), "{version}: {denied}");
    }
}

#[test]
fn the_old_client_shows_a_token_and_encrypts_its_requests() {
    let (key, scratch) = (Key::new("k", "RS256"), Scratch::new());
    let keys = KeyServer::new(key_set(&[&key.jwk("")]));
    let issuer = keys.issuer();
    for (name, recipient) in [("okp", Recipient::x25519()), ("ec", Recipient::p256())] {
        let folder = scratch.path().join(name);
        fs::create_dir(&folder).unwrap();
        let mut command = support::keyway(&["--jwt-issuer-uri", &issuer, "--jwt-audience", "kms"]);
        command.env("JWK_PRIVATE_KEY", recipient.private_jwk());
        let server = Server::spawn(&folder, command);
        let ready = || support::Client::connect(server.port).get("/health/ready").0 == 200;
        support::wait_for("the keys", || ready().then_some(()));
        let token = key.sign(&claims(&issuer, "alice"));
        let post = |body: &str| {
            let head = format!(
                "POST /kmip/2_1 HTTP/1.1\r\nHost: kms\r\nAuthorization: Bearer {token}\r\nContent-Length: {}\r\n\r\n",
                body.len()
            );
            support::Client::connect(server.port).send(format!("{head}{body}").as_bytes()).unwrap()
        };
        let uid = value_of("UniqueIdentifier", &post(CREATE).1);
        let client = |token: &str, jwk: &str| {
            Client::with(OLD, &server, &[("API_KEY", token), ("JWE_PUBLIC_KEY", jwk)])
        };
        let mut own = client(&token, &recipient.public_jwk());
        let sent = value_of("Key", &post(&on("Get", &uid)).1).to_lowercase();
        assert_eq!(own.key(&quoted(&uid)), sent, "{name}");
        assert_eq!(own.ask(&format!(r#"["revoke", {uid:?}, "lost"]"#)), Ok(uid.clone()));
        assert_eq!(own.ask(&format!(r#"["get", {uid:?}]"#)), refused(OLD, &format!("Item_Not_Found: {uid}")));
        let stranger =
            client(&format!("{token}x"), &recipient.public_jwk()).ask(&format!(r#"["get", {uid:?}]"#));
        assert!(stranger.unwrap_err().contains("Bad authorization token"));
        let other = client(&token, &Recipient::x25519().public_jwk()).ask(&format!(r#"["get", {uid:?}]"#));
        assert!(other.unwrap_err().contains("cannot be opened with this server's key"));
    }
}

#[test]
fn both_speak_https_and_look_at_the_certificate() {
    let (authority, scratch) = (Authority::new(), Scratch::new());
    for name in ["a", "other"] {
        authority.server(name, "RSA-2048");
    }
    let p12 = authority.export("a", "myPass", &[]);
    let server = Server::start(scratch.path(), &["--https-p12-file", &p12, "--https-p12-password", "myPass"]);
    let root = authority.file("root.pem");
    let mut client = Client::new(NEW, &server, Trust::Authority(&root));
    keys_live_and_die(&mut client);
    let uid = client.create("AES", 256, "[]");
    let key = client.key(&quoted(&uid));
    let [leaf, other] = ["a.pem", "other.pem"].map(|name| authority.file(name));
    for version in [NEW, OLD] {
        for trust in [Trust::Authority(&root), Trust::Only(&leaf), Trust::Anything] {
            assert_eq!(Client::new(version, &server, trust).key(&quoted(&uid)), key, "{version}");
        }
        for (trust, reason) in [
            (Trust::Usual, "certificate verify failed"),
            (Trust::Authority(&other), "certificate verify failed"),
            (Trust::Only(&other), "Leaf certificate doesn't match the expected one"),
        ] {
            let refused =
                Client::new(version, &server, trust).ask(&format!(r#"["get", {uid:?}]"#)).unwrap_err();
            assert!(refused.contains(reason), "{version}: {refused}");
        }
    }
}
