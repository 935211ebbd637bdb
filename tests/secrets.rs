//! What is secret is nowhere in the log, on standard output or in the answer to a request that is refused, whichever way
//! it comes to the server and whatever is wrong with that way; nor in memory, once it is destroyed or was used.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::net::Shutdown;
use std::sync::Arc;
use support::certificates::Authority;
use support::tls::{client_config, connect};
use support::{CREATE, Scratch, Server, holds, keyway, memory_of, on, tcp, value_of};

const PASSWORD: &str = "correct-Horse-7-Battery";
const KEY: &[u8] = b"\x8F\x1B\xD3\x07\xC2\x5E\x96\xA8\x3D\xF0\x61\x7C\x14\xEB\x49\xB5\xDA\x02\x88\x6F\x33\xC9\x50\xA7\x1E\xF4\x7B\x92\x0D\xE6\x45\xBC";
const PLAINTEXT: &[u8] = b"Kunde 4711: 12.500 Euro, per Boten";
const IMPORT: &str = r#"{"tag":"Import","type":"Structure","value":[{"tag":"UniqueIdentifier","type":"TextString","value":"UID"},{"tag":"ObjectType","type":"Enumeration","value":"SymmetricKey"},{"tag":"ReplaceExisting","type":"Boolean","value":true},{"tag":"Attributes","type":"Structure","value":[{"tag":"CryptographicAlgorithm","type":"Enumeration","value":"AES"},{"tag":"CryptographicLength","type":"Integer","value":256},{"tag":"CryptographicUsageMask","type":"Integer","value":2108},{"tag":"KeyFormatType","type":"Enumeration","value":"TransparentSymmetricKey"},{"tag":"ObjectType","type":"Enumeration","value":"SymmetricKey"}]},{"tag":"Object","type":"Structure","value":[{"tag":"KeyBlock","type":"Structure","value":[{"tag":"KeyFormatType","type":"Enumeration","value":"TransparentSymmetricKey"},{"tag":"KeyValue","type":"Structure","value":[{"tag":"KeyMaterial","type":"Structure","value":[{"tag":"Key","type":"ByteString","value":"SECRET"}]}]},{"tag":"CryptographicAlgorithm","type":"Enumeration","value":"AES"},{"tag":"CryptographicLength","type":"Integer","value":256}]}]}]}"#;
const ENCRYPT: &str = r#"{"tag":"Encrypt","type":"Structure","value":[{"tag":"UniqueIdentifier","type":"TextString","value":"UID"},{"tag":"Data","type":"ByteString","value":"SECRET"}]}"#;
const DECRYPT: &str = r#"{"tag":"Decrypt","type":"Structure","value":[{"tag":"UniqueIdentifier","type":"TextString","value":"UID"},{"tag":"Data","type":"ByteString","value":"SECRET"},{"tag":"IvCounterNonce","type":"ByteString","value":"NONCE"},{"tag":"AuthenticatedEncryptionTag","type":"ByteString","value":"AUTHENTICATION"}]}"#;

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02X}")).collect()
}

/// A request of 4.9.1 in the spelling of 5.x.
fn in_v5(request: &str) -> String {
    request
        .replace(r#","type":"Structure""#, "")
        .replace(r#""tag":"Object","#, r#""tag":"SymmetricKey","#)
        .replace("IvCounterNonce", "IVCounterNonce")
}

/// Finds any part of a secret, in any form in which bytes are usually written.
#[derive(Default)]
struct Search {
    /// Forms of parts, and whose they are.
    forms: Vec<(String, &'static str)>,
}

impl Search {
    /// Fewer bytes may stand anywhere by chance.
    const PART_BYTES: usize = 6;

    fn add(&mut self, name: &'static str, secret: &[u8]) {
        for part in secret.windows(Search::PART_BYTES) {
            // Requests bring hexadecimal text, so that is what bytes may be written of, too.
            for bytes in [part, hex(part).as_bytes(), hex(part).to_lowercase().as_bytes()] {
                let (base64, numbers) = (openssl::base64::encode_block(bytes), format!("{bytes:?}"));
                let numbers = numbers.trim_matches(['[', ']']);
                let forms = [
                    latin_1(bytes),
                    latin_1(bytes).chars().flat_map(char::escape_default).collect(),
                    bytes.escape_ascii().to_string(),
                    base64.replace('+', "-").replace('/', "_"),
                    base64,
                    numbers.to_owned(),
                    numbers.replace(' ', ""),
                ];
                self.forms.extend(forms.map(|form| (form, name)));
            }
        }
        self.forms.sort_unstable();
        self.forms.dedup();
    }

    /// Which secret is in a text.
    fn find(&self, text: &[u8]) -> Option<&'static str> {
        let text = latin_1(text);
        self.forms.iter().find(|(form, _)| text.contains(form)).map(|(_, name)| *name)
    }
}

/// Bytes as they are, in a type that can be searched.
fn latin_1(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| char::from(*byte)).collect()
}

fn secrets() -> Search {
    let mut search = Search::default();
    search.add("password", PASSWORD.as_bytes());
    search.add("key", KEY);
    search.add("plaintext", PLAINTEXT);
    search
}

#[test]
fn every_form_is_found() {
    let numbers = format!("{KEY:?}");
    for text in [
        hex(KEY),
        hex(KEY).to_lowercase(),
        openssl::base64::encode_block(KEY),
        openssl::base64::encode_block(&KEY[1..]),
        KEY.escape_ascii().to_string(),
        numbers.replace(' ', ""),
        numbers,
        hex(&KEY[20..28]),
        format!("{:?}", hex(KEY).as_bytes()),
        openssl::base64::encode_block(&hex(KEY).as_bytes()[1..]),
    ] {
        assert_eq!(secrets().find(format!("2026 ERROR {text} ..").as_bytes()), Some("key"), "{text}");
    }
    assert_eq!(secrets().find(&[b"..", KEY].concat()), Some("key"));
    assert_eq!(secrets().find(hex(&KEY[20..25]).as_bytes()), None);
}

/// Sends bytes on a connection of their own, and nothing after them: all that comes back.
fn exchange(server: &Server, authority: &Authority, bytes: &[u8]) -> Vec<u8> {
    let mut answer = Vec::new();
    // An error is an end: the server may have heard enough.
    let _ = if server.tls {
        let mut tls = connect(&Arc::new(client_config(authority)), server);
        let _ = tls.write_all(bytes);
        tls.conn.send_close_notify();
        tls.read_to_end(&mut answer)
    } else {
        let mut stream = tcp(server.port);
        let _ = stream.write_all(bytes).and_then(|()| stream.shutdown(Shutdown::Write));
        stream.read_to_end(&mut answer)
    };
    answer
}

fn post(path: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("POST {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}")
        .into_bytes()
}

/// A request with a secret in it, whole and damaged. Identifiers are left alone: an answer says which was meant.
fn bodies(request: &str, secret: &[u8]) -> Vec<String> {
    let secret = hex(secret);
    let whole = request.replace("SECRET", &secret);
    let at = whole.find(&secret).unwrap();
    let mut bodies: Vec<String> = (1..12).map(|i| whole[..whole.len() * i / 12].to_owned()).collect();
    bodies.push(whole[..at + secret.len() - 3].to_owned());
    for (from, to) in [
        (secret.clone(), secret.to_lowercase()),
        (secret.clone(), format!("{secret}Z")),
        (secret.clone(), secret[1..].to_owned()),
        (secret.clone(), format!("{secret}\\x")),
        (secret.clone(), format!("{secret}\u{1}")),
        (format!("\"{secret}\""), format!("{{\"{secret}\":1}}")),
        (format!("\"{secret}\""), format!("[\"{secret}\"]")),
        (format!("\"{secret}\""), secret.clone()),
        ("\"tag\":\"UniqueIdentifier\",".into(), String::new()),
    ] {
        bodies.push(whole.replace(&from, &to));
    }
    for kind in [
        "TextString",
        "Integer",
        "LongInteger",
        "BigInteger",
        "Enumeration",
        "Boolean",
        "DateTime",
        "Interval",
        "Structure",
        "Nothing",
    ] {
        bodies.push(
            request.replace(r#""ByteString","value":"SECRET""#, &format!(r#""{kind}","value":"{secret}""#)),
        );
    }
    // The secret in the place of each text, but for identifiers and the operation.
    let ends: Vec<usize> = whole.match_indices('"').map(|(at, _)| at).collect();
    for ends in ends.chunks(2).skip(2) {
        if !whole[..ends[0]].ends_with(r#""UniqueIdentifier","type":"TextString","value":"#) {
            bodies.push(format!("{}{secret}{}", &whole[..=ends[0]], &whole[ends[1]..]));
        }
    }
    bodies.extend([
        format!("[{whole}]"),
        format!("{whole}{whole}"),
        format!("{whole:?}"),
        format!("{secret:?}"),
        secret,
    ]);
    bodies.push(whole);
    bodies
}

/// HTTP that is wrong around a body with a secret, or has the secret itself.
fn wrong_http(body: &str, secret: &[u8]) -> Vec<Vec<u8>> {
    let (length, secret) = (body.len(), hex(secret));
    let with = |fields: &str, body: &str| {
        format!("POST /kmip/2_1 HTTP/1.1\r\nhost: localhost\r\n{fields}\r\n\r\n{body}")
    };
    let chunked = "transfer-encoding: chunked";
    let sized = |more: &str| format!("content-length: {length}\r\n{more}");
    let wrong = [
        with(chunked, &format!("{secret}\r\n{body}\r\n0\r\n\r\n")),
        with(chunked, &format!("{length:x};{secret}\r\n{body}\r\n0\r\n\r\n")),
        with(chunked, &format!("{:x}\r\n{body}\r\n0\r\n\r\n", length - 40)),
        with(chunked, &format!("{:x}\r\n{body}\r\n0\r\n\r\n", length + 40)),
        with(chunked, &format!("{length:x}\r\n{body}\r\n{secret}")),
        with(chunked, &format!("{length:x}\r\n{body}\r\n0\r\n{secret}: {secret}\r\n{secret}\r\n\r\n")),
        with(&format!("content-length: {}", length - 100), body),
        with(&format!("content-length: {}", length + 100), body),
        with(&format!("content-length: {secret}"), body),
        with(&format!("content-length: 99999999999\r\nx: {secret}"), body),
        with(&format!("{}\r\n{chunked}", sized("x: y")), body),
        with(&sized(&format!("authorization: Bearer {secret}")), body),
        with(&sized(&format!("authorization: {secret}\u{1}")), body),
        with(&sized(&format!("kmsdatabasesecret: {secret}")), "not json"),
        with(&sized(&format!("{secret} {secret}: 1")), body),
        with(&sized(&format!("expect: {secret}")), body),
        with(&sized(&format!("host: {secret}")), body),
        with(&sized(&format!("content-encoding: {secret}")), body),
        with(&sized(&format!("x: {}", secret.repeat(500))), body),
        format!(
            "POST /kmip/2_1?{secret} HTTP/1.1\r\nhost: localhost\r\ncontent-length: {length}\r\n\r\n{body}"
        ),
        format!("GET /version?key={secret} HTTP/1.1\r\nhost: localhost\r\n\r\n{body}"),
        format!("GET /{} HTTP/1.1\r\nhost: localhost\r\n\r\n", secret.repeat(200)),
        format!("{secret} / HTTP/1.1\r\nhost: localhost\r\n\r\n"),
        format!("GET / {secret}\r\n\r\n"),
        format!("{secret}\r\n\r\n"),
        body.to_owned(),
    ];
    let mut wrong: Vec<Vec<u8>> = wrong.map(String::into_bytes).into();
    // Larger than a change may be, and larger than any body may be.
    wrong.extend([2 << 20, 5 << 20].map(|size| post("/kmip/2_1", &format!("{body}{}", " ".repeat(size)))));
    wrong
}

/// Tells the server all secrets in all ways: how many answers there were of each status.
fn tell_all(server: &Server, authority: &Authority) -> BTreeMap<String, usize> {
    let search = secrets();
    let mut statuses = BTreeMap::new();
    let mut ask = |bytes: &[u8]| -> String {
        let answer = exchange(server, authority, bytes);
        let text = String::from_utf8_lossy(&answer).into_owned();
        let status = text.split(' ').nth(1).unwrap_or("none").to_owned();
        if status != "200" {
            let found = search.find(&answer);
            assert_eq!(found, None, "{text}\nis the answer to\n{}", String::from_utf8_lossy(bytes));
        }
        *statuses.entry(status).or_default() += 1;
        text
    };
    for v5 in [false, true] {
        let spelled = |request: &str| if v5 { in_v5(request) } else { request.to_owned() };
        let import = spelled(&IMPORT.replace("UID", "imported"));
        let imported = ask(&post("/kmip/2_1", &import.replace("SECRET", &hex(KEY))));
        assert!(imported.contains("ImportResponse"), "{imported}");
        if v5 {
            let activated = ask(&post("/kmip/2_1", &spelled(&on("Activate", "imported"))));
            assert!(activated.contains("ActivateResponse"), "{activated}");
        }
        let encrypt = spelled(&ENCRYPT.replace("UID", "imported"));
        let encrypted = ask(&post("/kmip/2_1", &encrypt.replace("SECRET", &hex(PLAINTEXT))));
        assert!(encrypted.contains("EncryptResponse"), "{encrypted}");
        let nonce = if v5 { "IVCounterNonce" } else { "IvCounterNonce" };
        let [data, nonce, tag] =
            ["Data", nonce, "AuthenticatedEncryptionTag"].map(|tag| value_of(tag, &encrypted));
        let decrypt = spelled(
            &DECRYPT.replace("UID", "imported").replace("NONCE", &nonce).replace("AUTHENTICATION", &tag),
        );
        let decrypted = ask(&post("/kmip/2_1", &decrypt.replace("SECRET", &data)));
        assert_eq!(value_of("Data", &decrypted), hex(PLAINTEXT));
        for operation in ["Get", "Export"] {
            let key = ask(&post("/kmip/2_1", &spelled(&on(operation, "imported"))));
            assert!(key.contains(&hex(KEY)), "{key}");
        }
        for (request, secret) in
            [(&import, KEY), (&encrypt, PLAINTEXT), (&decrypt, PLAINTEXT), (&decrypt, KEY)]
        {
            for body in bodies(request, secret) {
                ask(&post("/kmip/2_1", &body));
            }
            let whole = request.replace("SECRET", &hex(secret));
            for path in
                ["/access/grant", "/access/revoke", "/access/owned", "/version", "/health", "/", "/kmip"]
            {
                ask(&post(path, &whole));
                ask(&post(path, &whole[..whole.len() / 2]));
            }
            for operation in [
                "Create",
                "Get",
                "Locate",
                "GetAttributes",
                "Revoke",
                "Destroy",
                "Certify",
                "Hash",
                "Anything",
            ] {
                let (_, rest) = whole.split_once("\",").unwrap();
                ask(&post(
                    "/kmip/2_1",
                    &format!("{{\"tag\":\"{operation}\",{}", rest.replace("imported", "nothing")),
                ));
            }
            wrong_http(&whole, secret).iter().for_each(|bytes| drop(ask(bytes)));
            ask(&post(
                "/access/grant",
                &format!("{{\"unique_identifier\":\"imported\",\"{}\":1}}", hex(secret)),
            ));
        }
        // A key that may not be used any more.
        for operation in ["Revoke", "Destroy"] {
            ask(&post("/kmip/2_1", &spelled(&on(operation, "imported"))));
            for (request, secret) in
                [(&import.replace("true", "false"), KEY), (&encrypt, PLAINTEXT), (&decrypt, PLAINTEXT)]
            {
                ask(&post("/kmip/2_1", &request.replace("SECRET", &hex(secret))));
            }
        }
    }
    statuses
}

/// Ends a server, and looks through all that it has said. The key that it has made and given out is a secret, too.
fn end(mut server: Server, authority: &Authority) {
    let mut search = secrets();
    let created = exchange(&server, authority, &post("/kmip/2_1", CREATE));
    let uid = value_of("UniqueIdentifier", &String::from_utf8(created).unwrap());
    let key = exchange(&server, authority, &post("/kmip/2_1", &on("Get", &uid)));
    let key = value_of("Key", &String::from_utf8(key).unwrap());
    search.add(
        "created key",
        &(0..32).map(|i| u8::from_str_radix(&key[2 * i..2 * i + 2], 16).unwrap()).collect::<Vec<_>>(),
    );
    server.signal("TERM");
    let stdout = server.rest_of_stdout();
    assert_eq!((server.wait().code(), stdout.as_str()), (Some(0), ""));
    let log = server.log();
    assert!(log.contains(" DEBUG "), "{log}");
    for line in log.lines() {
        assert_eq!(search.find(line.as_bytes()), None, "{line}");
    }
}

#[test]
fn no_request_gets_a_secret_into_the_log_or_into_a_refusal() {
    let authority = Authority::new();
    authority.server("a", "P-256");
    let p12 = authority.export("a", PASSWORD, &[]);
    let trace = ["--log-level", "trace", "--max-body-bytes", "4194304"];
    for tls in [&[][..], &["--https-p12-file", &p12, "--https-p12-password", PASSWORD]] {
        let scratch = Scratch::new();
        let server = Server::start(scratch.path(), &[&trace, tls].concat());
        let statuses = tell_all(&server, &authority);
        for status in ["200", "400", "404", "413", "414", "422", "431"] {
            assert!(statuses.contains_key(status), "{statuses:?}");
        }
        assert!(statuses.values().sum::<usize>() > 900, "{statuses:?}");
        if server.tls {
            let plain = format!("GET /?{} HTTP/1.1\r\nhost: localhost\r\n\r\n", hex(KEY));
            let mut stream = tcp(server.port);
            stream.write_all(plain.as_bytes()).unwrap();
            let mut answer = Vec::new();
            stream.read_to_end(&mut answer).unwrap();
            assert_eq!(secrets().find(&answer), None);
        }
        end(server, &authority);
    }
}

#[test]
fn nothing_is_in_memory_of_a_key_that_is_destroyed_or_of_data_that_were_encrypted() {
    let authority = Authority::new();
    authority.server("a", "P-256");
    let (p12, password) = (authority.export("a", PASSWORD, &[]), authority.file("master"));
    let master = "a horse of another color";
    fs::write(&password, master).unwrap();
    let tls = ["--https-p12-file", &p12, "--https-p12-password", PASSWORD];
    // Of a database that is not sealed, the file has the key until its page is written again, and so has the cache.
    let sealed = ["--master-password-file", &password];
    for arguments in [&sealed[..], &[&sealed[..], &tls].concat()] {
        let scratch = Scratch::new();
        let server = Server::start(scratch.path(), arguments);
        tell_all(&server, &authority);
        // What comes next takes the place of the last look into the database.
        let living = b"a key of its own, not destroyed.";
        let import = IMPORT.replace("UID", "living").replace("SECRET", &hex(living));
        exchange(&server, &authority, &post("/kmip/2_1", &import));
        exchange(&server, &authority, &post("/kmip/2_1", &on("Get", "living")));
        let Some(memory) = memory_of(server.pid(), &scratch) else { return };
        assert!(holds(&memory, living), "the dump shows what is in memory");
        assert!(!holds(&memory, &master.as_bytes()[5..20]), "the master password is in memory");
        for (name, secret) in [("the key", KEY), ("the plaintext", PLAINTEXT)] {
            let middle = &secret[secret.len() / 2 - 6..][..12];
            for form in [middle, hex(middle).as_bytes(), hex(middle).to_lowercase().as_bytes()] {
                assert!(!holds(&memory, form), "{arguments:?}: {name} is in memory: {}", form.escape_ascii());
            }
        }
    }
}

/// Arguments, and variables of the environment.
type Way<'a> = (&'a [&'a str], &'a [(&'a str, &'a str)]);

#[test]
fn the_password_is_not_told_whichever_way_it_came() {
    let authority = Authority::new();
    authority.server("a", "P-256");
    let p12 = authority.export("a", PASSWORD, &[]);
    let (file, credentials) = (authority.file("password"), authority.file("credentials"));
    fs::write(&file, PASSWORD).unwrap();
    fs::create_dir(&credentials).unwrap();
    fs::write(format!("{credentials}/https-p12-password"), PASSWORD).unwrap();
    let serve = |arguments: &[&str], variables: &[(&str, &str)]| {
        let mut command = keyway(&["--log-level", "trace", "--https-p12-file", &p12]);
        command.args(arguments).envs(variables.iter().copied());
        command
    };
    let ways: [Way; 5] = [
        (&["--https-p12-password", PASSWORD], &[]),
        (&["--https-p12-password-file", &file], &[]),
        (&[], &[("KMS_HTTPS_P12_PASSWORD", PASSWORD)]),
        (&[], &[("KMS_HTTPS_P12_PASSWORD_FILE", &file)]),
        (&[], &[("CREDENTIALS_DIRECTORY", &credentials)]),
    ];
    for (arguments, variables) in ways {
        let scratch = Scratch::new();
        let server = Server::spawn(scratch.path(), serve(arguments, variables));
        // A file that is damaged now.
        let whole = fs::read(&p12).unwrap();
        fs::write(&p12, &whole[..whole.len() / 2]).unwrap();
        server.signal("HUP");
        server.wait_for_log("the certificate in use stays");
        fs::write(&p12, whole).unwrap();
        end(server, &authority);
    }

    // What cannot start says why, and no more.
    let equals = format!("--https-p12-password={PASSWORD}");
    let misspelled = format!("--https-p12-pasword={PASSWORD}");
    let url = format!("--database-url=mysql://kms:{PASSWORD}@localhost/kms");
    let redis = format!("--redis-master-password={PASSWORD}");
    let jwk = format!("--jwk-private-key={{\"d\":\"{PASSWORD}\"}}");
    let not_there = format!("{p12}.not-there");
    let keyless = authority.file("a.key");
    let wrong: [Way; 12] = [
        (&[&equals, "--https-p12-password-file", &file], &[]),
        (&[&equals, "--https-p12-password", PASSWORD], &[]),
        (&[&equals, "--https-p12-file", &not_there], &[]),
        (&[&equals, "--https-p12-file", &keyless], &[]),
        (&["--https-p12-password", &format!("{PASSWORD}!")], &[]),
        (&[&equals, "--port", "x"], &[]),
        (&[&misspelled], &[]),
        (&["--database-type=postgresql", &url], &[]),
        (&["--database-type=redis-findex", "--database-url=redis://localhost", &redis], &[]),
        (&[&jwk], &[]),
        (&["--database-type=mysql"], &[("KMS_DATABASE_URL", &url), ("KMS_HTTPS_P12_PASSWORD", PASSWORD)]),
        (&["--https-p12-password-file", &file, "--sqlite-path", "/proc/nowhere"], &[]),
    ];
    for (arguments, variables) in wrong {
        let scratch = Scratch::new();
        let mut command = serve(arguments, variables);
        let output = command
            .args(["--root-data-path", &scratch.file("data"), "--hostname", "127.0.0.1"])
            .output()
            .unwrap();
        let told = String::from_utf8(output.stderr).unwrap();
        assert!(output.stdout.is_empty() && !output.status.success() && told.contains("keyway: "), "{told}");
        assert_eq!(secrets().find(told.as_bytes()), None, "{told}");
    }
}
