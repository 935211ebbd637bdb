//! The certificates bot against a real authority, pebble, which really validates.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test may fail, and waits in real time")]

mod support;

use keyway::acme::bot::{Action, Bot, Issued};
use keyway::acme::challenge::Kind;
use keyway::acme::failure::Kind as FailureKind;
use keyway::acme::{ChallengeChoice, KeySource, KeyType, Settings};
use keyway::egress::{Egress, files};
use keyway::shell::os::{Clock, OsEntropy};
use openssl::ssl::{SslAcceptor, SslConnector, SslFiletype, SslMethod, SslVerifyMode};
use openssl::x509::X509;
use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};
use support::pebble::{Pebble, Ports};
use support::{Scratch, Server, keyway, run, wait_for};

const NAME: &str = "kms.example.org";

/// A server whose certificates are by this pebble; `more` are its other options.
fn serve(pebble: &Pebble, scratch: &Scratch, more: &[&str]) -> Server {
    serve_at(pebble.ports.tls, pebble, scratch, more)
}

fn serve_at(port: u16, pebble: &Pebble, scratch: &Scratch, more: &[&str]) -> Server {
    let (url, root) = (pebble.directory_url(), pebble.authority.file("root.pem"));
    let http = pebble.ports.http.to_string();
    let mut command = keyway(&["--use-certbot", "--certbot-email", "admin@example.com"]);
    command.args(["--certbot-directory-url", &url, "--certbot-ca-root", &root, "--certbot-http-port", &http]);
    command.args(["--certbot-hostname", NAME]).args(more);
    Server::spawn_at(scratch.path(), command, port)
}

/// The certificate that a new connection gets.
fn served(server: &Server) -> X509 {
    let mut connector = SslConnector::builder(SslMethod::tls_client()).unwrap();
    connector.set_verify(SslVerifyMode::NONE);
    let stream = TcpStream::connect(("127.0.0.1", server.port)).unwrap();
    let tls = connector.build().connect(NAME, stream).unwrap();
    tls.ssl().peer_certificate().unwrap()
}

fn serial(certificate: &X509) -> String {
    certificate.serial_number().to_bn().unwrap().to_hex_str().unwrap().to_string()
}

fn is_by_pebble(certificate: &X509) -> bool {
    format!("{:?}", certificate.issuer_name()).contains("Pebble")
}

/// Waits until an issued certificate is served, and has curl check it as a client would.
fn wait_for_certificate(pebble: &Pebble, scratch: &Scratch, server: &Server) -> X509 {
    let certificate =
        wait_long(server, "a certificate of the authority", || Some(served(server)).filter(is_by_pebble));
    let root = scratch.file("issuing-root.pem");
    fs::write(&root, pebble.issuing_root()).unwrap();
    let resolve = format!("{NAME}:{}:127.0.0.1", server.port);
    let url = format!("https://{NAME}:{}/health", server.port);
    let health = run("curl", ["-sS", "--fail-with-body", "--cacert", &root, "--resolve", &resolve, &url]);
    assert!(health.contains(r#""status":"UP""#) && health.contains(r#""self_signed":false"#), "{health}");
    certificate
}

/// Polls for longer than a first wait after a failure.
fn wait_long<T>(server: &Server, what: &str, mut poll: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(value) = poll() {
            return value;
        }
        assert!(start.elapsed() < Duration::from_secs(180), "waited too long for: {what}\n{}", server.log());
        thread::sleep(Duration::from_millis(20));
    }
}

fn health(server: &Server) -> String {
    run("curl", ["-sSk", "-w", " %{http_code}", &server.url("/health")])
}

fn history(scratch: &Scratch) -> String {
    fs::read_to_string(scratch.path().join("data/certbot-ssl/history")).unwrap_or_default()
}

#[test]
fn a_first_certificate_by_tls_alpn_01_and_none_after_a_restart() {
    let (pebble, scratch) = (Pebble::start(Ports::new(), &[]), Scratch::new());
    let server = serve(&pebble, &scratch, &["--certbot-challenge", "tls-alpn-01"]);
    let first = wait_for_certificate(&pebble, &scratch, &server);
    let names: Vec<String> =
        first.subject_alt_names().unwrap().iter().map(|n| n.dnsname().unwrap().into()).collect();
    assert_eq!(names, [NAME]);
    assert!(TcpStream::connect(("127.0.0.1", pebble.ports.http)).is_err(), "no port is opened for it");
    let folder = scratch.path().join("data/certbot-ssl");
    for file in ["account.key", "certificate.pem", "history"] {
        let mode = std::os::unix::fs::MetadataExt::mode(&fs::metadata(folder.join(file)).unwrap());
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }
    let orders = history(&scratch);
    assert_eq!(orders.lines().filter(|line| line.ends_with(" issued")).count(), 1, "{orders}");
    assert_eq!(server.terminate().code(), Some(0));

    let server = serve(&pebble, &scratch, &["--certbot-challenge", "tls-alpn-01"]);
    assert_eq!(serial(&served(&server)), serial(&first), "from the first connection on");
    assert!(health(&server).ends_with(" 200"));
    assert_eq!(history(&scratch), orders);
    assert_eq!(server.log().matches("ordering a certificate").count(), 1);
}

#[test]
fn a_first_certificate_by_http_01_whose_port_is_open_for_it_alone() {
    let (pebble, scratch) = (Pebble::start(Ports::new(), &[]), Scratch::new());
    let names = ["--certbot-hostname", "second.example.org", "--certbot-key-type", "rsa2048"];
    let server = serve(&pebble, &scratch, &[&["--certbot-challenge", "http-01"], &names[..]].concat());
    // Self-signed, and says so, until the real one is there.
    let before = health(&server);
    if !before.contains(r#""self_signed":false"#) {
        assert!(
            before.ends_with(" 503") && before.contains("no certificate has been issued yet"),
            "{before}"
        );
    }
    let certificate = wait_for_certificate(&pebble, &scratch, &server);
    assert_eq!(certificate.subject_alt_names().unwrap().len(), 2);
    assert_eq!(certificate.public_key().unwrap().rsa().unwrap().size() * 8, 2048);

    // What the authority may still look for is there a while; all else is at HTTPS.
    let http = |path: &str| {
        let url = format!("http://127.0.0.1:{}{path}", pebble.ports.http);
        run(
            "curl",
            [
                "-sS",
                "-o",
                "/dev/null",
                "-w",
                "%{http_code} %{redirect_url}",
                "-H",
                &format!("Host: {NAME}:80"),
                &url,
            ],
        )
    };
    assert_eq!(http("/a/b?c=d"), format!("308 https://{NAME}/a/b?c=d"));
    assert_eq!(http("/.well-known/acme-challenge/other"), "404 ");
    let foreign = run(
        "curl",
        [
            "-sS",
            "-o",
            "/dev/null",
            "-w",
            "%{redirect_url}",
            "-H",
            "Host: evil.example",
            &format!("http://127.0.0.1:{}/", pebble.ports.http),
        ],
    );
    assert_eq!(foreign, format!("https://{NAME}/"));
    wait_for("the closed port", || TcpStream::connect(("127.0.0.1", pebble.ports.http)).err());
}

#[test]
fn a_renewal_drops_no_request() {
    let (pebble, scratch) =
        (Pebble::start(Ports::new(), &[("PEBBLE_WFE_NONCEREJECT", "50")]), Scratch::new());
    let server = serve(&pebble, &scratch, &[]);
    let first = wait_for_certificate(&pebble, &scratch, &server);
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let busy = [(); 3].map(|()| {
            scope.spawn(|| {
                let mut connector = SslConnector::builder(SslMethod::tls_client()).unwrap();
                connector.set_verify(SslVerifyMode::NONE);
                let stream = TcpStream::connect(("127.0.0.1", server.port)).unwrap();
                let mut tls = connector.build().connect(NAME, stream).unwrap();
                let mut answers = 0;
                while !stop.load(Ordering::Relaxed) {
                    tls.write_all(b"GET /version HTTP/1.1\r\nHost: kms\r\n\r\n").unwrap();
                    let mut answer = Vec::new();
                    while !answer.ends_with(b"\"") {
                        let mut byte = [0; 1024];
                        let count = tls.read(&mut byte).unwrap();
                        assert!(count > 0, "the connection was closed");
                        answer.extend_from_slice(&byte[..count]);
                    }
                    assert!(answer.starts_with(b"HTTP/1.1 200 "));
                    answers += 1;
                }
                answers
            })
        });
        server.signal("USR1");
        let renewed = wait_long(&server, "the new certificate", || {
            Some(served(&server)).filter(|certificate| serial(certificate) != serial(&first))
        });
        assert!(is_by_pebble(&renewed));
        stop.store(true, Ordering::Relaxed);
        for thread in busy {
            assert!(thread.join().unwrap() > 10);
        }
    });
    assert!(history(&scratch).lines().filter(|line| line.ends_with(" issued")).count() == 2);
}

#[test]
fn a_validator_needs_no_client_certificate_where_others_do() {
    let (pebble, scratch) = (Pebble::start(Ports::new(), &[]), Scratch::new());
    let authority = pebble.authority.file("root.pem");
    let more = ["--certbot-challenge", "tls-alpn-01", "--authority-cert-file", &authority];
    let server = serve(&pebble, &scratch, &more);
    wait_long(&server, "a certificate of the authority", || Some(served(&server)).filter(is_by_pebble));
    let stranger =
        std::process::Command::new("curl").args(["-sk", &server.url("/version")]).output().unwrap();
    assert!(!stranger.status.success(), "everybody else needs one");
}

#[test]
fn where_one_challenge_fails_the_other_is_tried() {
    let (pebble, scratch) = (Pebble::start(Ports::new(), &[]), Scratch::new());
    // The authority looks for tls-alpn-01 where nobody listens.
    let server = serve_at(0, &pebble, &scratch, &["--certbot-challenge", "auto"]);
    wait_for_certificate(&pebble, &scratch, &server);
    server.wait_for_log("the order by tls-alpn-01 failed");
    let stored = fs::read_to_string(scratch.path().join("data/certbot-ssl/certificate.pem")).unwrap();
    let facts: Vec<&str> = stored.lines().take(3).collect();
    assert_eq!(facts[2], "Challenge: http-01", "what worked is remembered: {facts:?}\n{}", server.log());
}

/// Side by side, since each waits about a minute for the second try.
#[test]
fn what_has_failed_is_tried_again_without_being_asked() {
    thread::scope(|scope| {
        scope.spawn(an_authority_that_is_away_is_waited_for);
        scope.spawn(an_authority_that_takes_no_nonce_is_left);
        scope.spawn(a_name_that_fails_its_validation_is_tried_again);
        scope.spawn(a_port_for_proofs_that_is_taken_is_waited_for);
    });
}

fn an_authority_that_is_away_is_waited_for() {
    let (mut pebble, scratch) = (Pebble::start(Ports::new(), &[]), Scratch::new());
    let server = serve(&pebble, &scratch, &[]);
    let first = wait_for_certificate(&pebble, &scratch, &server);
    // Logs are rotated: nothing is ordered.
    server.signal("HUP");
    server.wait_for_log("SIGUSR1 renews it at once");
    assert_eq!(server.log().matches("ordering a certificate").count(), 1);
    pebble.stop_authority();
    server.signal("USR1");
    server.wait_for_log("the order by tls-alpn-01 failed, the certificate in use stays");
    assert_eq!(serial(&served(&server)), serial(&first));
    let told = health(&server);
    assert!(told.ends_with(" 200") && told.contains(r#""failures":1,"last_failure":"#), "{told}");
    pebble.start_authority(&[]);
    // What has failed is tried again at once.
    server.signal("HUP");
    wait_for("the renewed certificate", || {
        Some(served(&server)).filter(|certificate| serial(certificate) != serial(&first))
    });
    assert!(health(&server).contains(r#""failures":0,"renewal""#));
}

/// An authority that takes no nonce, for which the library in use asks on for ever: an order has a deadline.
fn an_authority_that_takes_no_nonce_is_left() {
    let (mut pebble, scratch) = (Pebble::start(Ports::new(), &[]), Scratch::new());
    pebble.stop_authority();
    let url = format!("https://localhost:{}", pebble.ports.directory);
    let directory = format!(
        r#"{{"newNonce":"{url}/n","newAccount":"{url}/a","newOrder":"{url}/o","revokeCert":"{url}/r","keyChange":"{url}/k"}}"#
    );
    let problem = r#"{"type":"urn:ietf:params:acme:error:badNonce","detail":"no"}"#;
    fake_authority(&pebble, pebble.ports.directory, move |method, path| match (method, path) {
        ("GET", "/dir") => Some(("200 OK", directory.clone())),
        ("HEAD", _) => Some(("200 OK", String::new())),
        _ => Some(("400 Bad Request", problem.to_owned())),
    });
    let server = serve(&pebble, &scratch, &[]);
    wait_long(&server, "the deadline", || server.log().contains("the authority took too long").then_some(()));
    assert!(health(&server).ends_with(" 503"), "it answers all the same");
}

fn a_name_that_fails_its_validation_is_tried_again() {
    let (pebble, scratch) = (Pebble::start(Ports::new(), &[]), Scratch::new());
    pebble.move_name(NAME, "127.0.0.9");
    let server = serve(&pebble, &scratch, &["--certbot-challenge", "tls-alpn-01"]);
    server.wait_for_log("the order by tls-alpn-01 failed, there is none to serve yet: Validation failed");
    assert!(health(&server).contains("no certificate has been issued yet"));
    assert!(history(&scratch).ends_with(" invalid\n"));
    pebble.move_name(NAME, "127.0.0.1");
    wait_for_certificate(&pebble, &scratch, &server);
}

fn a_port_for_proofs_that_is_taken_is_waited_for() {
    let (pebble, scratch) = (Pebble::start(Ports::new(), &[]), Scratch::new());
    let taken = TcpListener::bind(("127.0.0.1", pebble.ports.http)).unwrap();
    let server = serve(&pebble, &scratch, &["--certbot-challenge", "http-01"]);
    server.wait_for_log("another process listens there; stop it or choose another port");
    assert!(health(&server).ends_with(" 503"));
    drop(taken);
    wait_for_certificate(&pebble, &scratch, &server);
}

/// The head of a request, once its body has come too: what is not read at a close resets the connection.
fn read_request(stream: &mut impl Read) -> Option<String> {
    let (mut request, mut piece) = (String::new(), [0; 4096]);
    loop {
        let count = stream.read(&mut piece).ok().filter(|count| *count > 0)?;
        request += std::str::from_utf8(&piece[..count]).ok()?;
        let Some((head, body)) = request.split_once("\r\n\r\n") else { continue };
        let length = head.lines().find_map(|line| {
            let (name, value) = line.split_once(": ")?;
            name.eq_ignore_ascii_case("content-length").then(|| value.parse().ok())?
        });
        if body.len() >= length.unwrap_or(0) {
            return Some(head.to_owned());
        }
    }
}

/// Answers over TLS for `localhost` with the status and body that `answer` gives for a method and a path; with nothing where
/// it gives none.
fn fake_authority(
    pebble: &Pebble,
    port: u16,
    answer: impl Fn(&str, &str) -> Option<(&'static str, String)> + Send + 'static,
) {
    let mut acceptor = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls_server()).unwrap();
    acceptor.set_private_key_file(pebble.authority.file("pebble.key"), SslFiletype::PEM).unwrap();
    acceptor.set_certificate_chain_file(pebble.authority.file("pebble.fullchain.pem")).unwrap();
    let (acceptor, listener) = (acceptor.build(), TcpListener::bind(("127.0.0.1", port)).unwrap());
    // It ends with the process of the test.
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let Ok(mut tls) = acceptor.accept(stream) else { continue };
            let Some(head) = read_request(&mut tls) else { continue };
            let mut words = head.split(' ');
            let (method, path) = (words.next().unwrap_or(""), words.next().unwrap_or(""));
            if let Some((status, body)) = answer(method, path) {
                let answer = format!(
                    "HTTP/1.1 {status}\r\ncontent-length: {}\r\ncontent-type: application/problem+json\r\n\
                     replay-nonce: AAAA\r\nconnection: close\r\n\r\n{body}",
                    body.len()
                );
                let _ = tls.write_all(answer.as_bytes());
            }
            let _ = tls.shutdown();
        }
    });
}

#[test]
fn the_authority_is_asked_when_to_renew() {
    let (mut pebble, scratch) = (Pebble::start(Ports::new(), &[]), Scratch::new());
    let server = serve(&pebble, &scratch, &[]);
    let certificate = wait_for_certificate(&pebble, &scratch, &server);
    assert_eq!(server.terminate().code(), Some(0));
    pebble.stop_authority();
    // This pebble knows no renewal information; in its place stands somebody who knows nothing else.
    let directory = format!(
        r#"{{"newNonce":"https://localhost:1/","renewalInfo":"https://localhost:{}/ari"}}"#,
        pebble.ports.directory
    );
    let key_id = openssl::base64::encode_block(certificate.authority_key_id().unwrap().as_slice());
    let key_id = key_id.trim_end_matches('=').replace('+', "-").replace('/', "_");
    let window = r#"{"suggestedWindow":{"start":"2027-03-01T00:00:00Z","end":"2027-03-01T23:59:59Z"}}"#;
    fake_authority(&pebble, pebble.ports.directory, move |_, path| match path {
        "/dir" => Some(("200 OK", directory.clone())),
        path => {
            let is_asked_for = path.strip_prefix("/ari/")?.starts_with(&format!("{key_id}."));
            is_asked_for.then(|| ("200 OK", window.to_owned()))
        }
    });
    let server = serve(&pebble, &scratch, &[]);
    wait_for("the suggested day", || health(&server).contains(r#""renewal":"2027-03-01T"#).then_some(()));
    assert_eq!(serial(&served(&server)), serial(&certificate));
}

/// Of a bot of this authority, without a server around it.
fn settings(pebble: &Pebble, scratch: &Scratch) -> Arc<Settings> {
    Arc::new(Settings {
        names: vec![NAME.to_owned()],
        email: "admin@example.com".into(),
        directory_url: pebble.directory_url(),
        challenge: ChallengeChoice::Auto,
        key: KeySource::Fresh(KeyType::P256),
        folder: scratch.path().to_owned(),
        ca_root: Some(pebble.authority.file("root.pem").into()),
    })
}

#[test]
fn what_was_issued_and_cannot_be_stored_is_kept_until_it_can() {
    let pebble = Pebble::start(Ports::new(), &[("PEBBLE_VA_ALWAYS_VALID", "1")]);
    let (scratch, now) = (Scratch::new(), Clock::start().now().utc);
    let settings = settings(&pebble, &scratch);
    let mut egress = Egress::new(Arc::clone(&settings));
    let begin = |egress: &mut Egress| loop {
        match egress.begin(Kind::Http01, now) {
            Err(failure) if failure.kind == FailureKind::Signature => {}
            begun => return begun.map(|_| ()),
        }
    };
    // Nothing is ordered where nothing can be written.
    let in_the_way = |name: &str| scratch.path().join(name).join("file");
    fs::create_dir_all(in_the_way("trial.new")).unwrap();
    let failure = begin(&mut egress).unwrap_err();
    assert!(failure.kind == FailureKind::Local && failure.text.contains("cannot be written"), "{failure:?}");
    assert!(!scratch.path().join("account.key").exists());
    fs::remove_dir_all(scratch.path().join("trial.new")).unwrap();

    let issued = loop {
        begin(&mut egress).unwrap();
        fs::create_dir_all(in_the_way("certificate.pem.new")).unwrap();
        match egress.finish(now) {
            Err(failure) if failure.kind == FailureKind::Signature => {}
            finished => break finished.unwrap(),
        }
    };
    assert!(files::stored(&settings).is_none());
    let orders = fs::read_to_string(scratch.path().join("history")).unwrap();
    assert_eq!(orders.lines().filter(|line| line.ends_with(" issued")).count(), 1, "{orders}");
    fs::remove_dir_all(scratch.path().join("certificate.pem.new")).unwrap();
    let _ = egress.renewal_info(&issued.identity.chain[0]);
    let (identity, _) = files::stored(&settings).expect("it was stored");
    assert_eq!(identity.chain, issued.identity.chain);
}

/// The library in use leaves leading zeros out of its signatures, so that one in 128 is refused: about one order in ten.
#[test]
fn two_hundred_orders_in_a_row_all_give_a_certificate() {
    const ORDERS: usize = 200;
    let pebble = Pebble::start(Ports::new(), &[("PEBBLE_VA_ALWAYS_VALID", "1")]);
    let scratch = Scratch::new();
    let settings = settings(&pebble, &scratch);
    let mut egress = Egress::new(Arc::clone(&settings));
    let (mut begun, now) = (0, Clock::start().now());
    for order in 0..ORDERS {
        let mut bot = Bot::new(Arc::clone(&settings), None, &[], &mut OsEntropy, now);
        let mut next = bot.handle_timeout(&mut OsEntropy, now);
        while let Some(action) = next {
            next = match action {
                Action::Begin(kind) => {
                    begun += 1;
                    bot.begun(egress.begin(kind, now.utc), &mut OsEntropy, now)
                }
                // This authority takes any proof.
                Action::Prove(_) => bot.proving(Ok(()), &mut OsEntropy, now),
                Action::Finish => {
                    let finished = egress.finish(now.utc).map(|issued| Issued {
                        validity: files::validity(&issued.identity),
                        proved: issued.proved,
                    });
                    bot.finished(finished, &mut OsEntropy, now)
                }
                Action::AskRenewalInfo => None,
            };
        }
        let status = bot.status();
        assert!(status.has_certificate, "order {order}: {:?}", status.last_failure);
    }
    println!("{ORDERS} certificates by {begun} orders");
}

#[test]
fn what_the_server_before_left_is_used() {
    let (pebble, scratch) = (Pebble::start(Ports::new(), &[]), Scratch::new());
    let folder = scratch.path().join("data/certbot-ssl");
    fs::create_dir_all(&folder).unwrap();
    let (key, chain) = (scratch.file("key.pem"), scratch.file("chain.pem"));
    let subject = format!("/CN={NAME}");
    let names = format!("subjectAltName=DNS:{NAME}");
    run(
        "openssl",
        [
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-384",
            "-nodes",
            "-keyout",
            &key,
            "-out",
            &chain,
            "-days",
            "60",
            "-subj",
            &subject,
            "-addext",
            &names,
        ],
    );
    fs::copy(&key, folder.join("8932965560315631360_key_kms_example_org.key")).unwrap();
    fs::copy(&chain, folder.join("8932965560315631360_crt_kms_example_org.crt")).unwrap();
    let server = serve(&pebble, &scratch, &[]);
    let expected = X509::from_pem(&fs::read(&chain).unwrap()).unwrap();
    assert_eq!(serial(&served(&server)), serial(&expected));
    assert!(health(&server).ends_with(" 200"));
    assert!(!server.log().contains("ordering a certificate"));
    // The next one is ours, and the old files stay.
    server.signal("USR1");
    wait_for_certificate(&pebble, &scratch, &server);
    assert!(folder.join("8932965560315631360_crt_kms_example_org.crt").exists());
}

#[test]
fn a_folder_that_cannot_be_written_is_told_before_anything_is_ordered() {
    let scratch = Scratch::new();
    fs::write(scratch.file("taken"), b"").unwrap();
    let folder = scratch.file("taken");
    let (code, told) = support::keyway_fails(&[
        "--use-certbot",
        "--certbot-email",
        "a@b.example",
        "--certbot-hostname",
        NAME,
        "--certbot-ssl-path",
        &folder,
    ]);
    assert_eq!(code, 2);
    assert!(
        told.lines().last().unwrap().starts_with(&format!("keyway: {folder}: cannot be made:")),
        "{told}"
    );
}
