//! TLS from a PKCS#12 file, through the whole program and with the clients that people use.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod support;

use rustls::{ClientConfig, HandshakeKind, NamedGroup};
use std::fs;
use std::io::Read;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use support::certificates::{Authority, der};
use support::tls::{ask, client_config, client_config_with, connect};
use support::{CREATE, Scratch, Server, keyway_fails, on, run, value_of, wait_for};

const PASSWORD: &str = "myPass";

fn serve(folder: &Path, p12: &str) -> Server {
    Server::start(folder, &["--https-p12-file", p12, "--https-p12-password", PASSWORD])
}

/// A server with a fresh certificate of `authority`.
fn fixture(authority: &Authority, scratch: &Scratch) -> Server {
    authority.server("a", "P-256");
    serve(scratch.path(), &authority.export("a", PASSWORD, &[]))
}

fn curl(authority: &Authority, server: &Server, more: &[&str]) -> String {
    let root = authority.file("root.pem");
    run("curl", [&["-sS", "--fail-with-body", "--cacert", &root], more, &[&server.url("/version")]].concat())
}

#[test]
fn curl_is_served_with_tls_1_2_and_1_3_from_the_documented_file() {
    let (authority, scratch) = (Authority::new(), Scratch::new());
    let server = fixture(&authority, &scratch);
    let version = format!("\"keyway {}\"", env!("CARGO_PKG_VERSION"));
    assert_eq!(curl(&authority, &server, &["--tlsv1.3"]), version);
    assert_eq!(curl(&authority, &server, &["--tls-max", "1.2"]), version);
    assert_eq!(curl(&authority, &server, &["-w", "%{http_version}"]), version.clone() + "1.1");
    let old =
        Command::new("curl").args(["-sSk", "--tls-max", "1.1", &server.url("/version")]).output().unwrap();
    assert!(!old.status.success(), "TLS 1.1 is over");

    let path = authority.export("a", PASSWORD, &["-legacy"]);
    let scratch = Scratch::new();
    assert_eq!(curl(&authority, &serve(scratch.path(), &path), &[]), version);
}

#[test]
fn every_kind_of_key_signs() {
    let authority = Authority::new();
    for kind in ["P-384", "P-521", "RSA-2048", "Ed25519"] {
        authority.server("a", kind);
        let scratch = Scratch::new();
        let server = serve(scratch.path(), &authority.export("a", PASSWORD, &[]));
        for more in [&["--tlsv1.3"][..], &["--tls-max", "1.2"]] {
            // Debian's curl offers all of these, and asks for the chain that was sent.
            assert!(curl(&authority, &server, more).contains("keyway"), "{kind} {more:?}");
        }
    }
}

#[test]
fn the_chain_is_sent_leaf_first_and_without_the_root() {
    let (authority, scratch) = (Authority::new(), Scratch::new());
    let server = fixture(&authority, &scratch);
    let at = format!("127.0.0.1:{}", server.port);
    let shown = run("openssl", ["s_client", "-connect", &at, "-showcerts", "-alpn", "http/1.1"]);
    let subjects: Vec<&str> =
        shown.lines().filter_map(|line| line.trim().split_once(" s:")).map(|(_, s)| s).collect();
    assert_eq!(subjects, ["CN = a.example", "CN = Keyway Test Intermediate"], "{shown}");
    assert!(shown.contains("ALPN protocol: http/1.1"), "{shown}");
}

#[test]
fn the_key_exchange_is_post_quantum_where_the_client_can() {
    let (authority, scratch) = (Authority::new(), Scratch::new());
    let server = fixture(&authority, &scratch);
    let hybrid = client_config(&authority);
    let classical = client_config_with(&authority, rustls::crypto::ring::default_provider());
    for (config, group) in [(hybrid, NamedGroup::X25519MLKEM768), (classical, NamedGroup::X25519)] {
        let mut tls = connect(&Arc::new(config), &server);
        assert_eq!(ask(&mut tls, "/health", "").0, 200);
        assert_eq!(tls.conn.negotiated_key_exchange_group().map(|group| group.name()), Some(group));
        assert_eq!(tls.conn.alpn_protocol(), Some(&b"http/1.1"[..]));
        // Seen only if the first key share was of the wrong group.
        assert_eq!(tls.conn.handshake_kind(), Some(HandshakeKind::Full));
    }
}

#[test]
fn sessions_are_resumed() {
    let (authority, scratch) = (Authority::new(), Scratch::new());
    let server = fixture(&authority, &scratch);
    let config = Arc::new(client_config(&authority));
    let mut kinds = Vec::new();
    for _ in 0..3 {
        let mut tls = connect(&config, &server);
        assert_eq!(ask(&mut tls, "/health", "").0, 200);
        kinds.push(tls.conn.handshake_kind().unwrap());
    }
    assert_eq!(kinds, [HandshakeKind::Full, HandshakeKind::Resumed, HandshakeKind::Resumed]);

    let (at, session) = (format!("127.0.0.1:{}", server.port), authority.file("session"));
    let line = ["s_client", "-connect", &at, "-tls1_2"];
    let first = run("openssl", [&line[..], &["-sess_out", &session]].concat());
    let second = run("openssl", [&line[..], &["-sess_in", &session]].concat());
    assert!(first.contains("New, TLSv1.2") && second.contains("Reused, TLSv1.2"), "{first}{second}");
}

#[test]
fn keys_are_made_and_read_over_tls_on_one_connection() {
    let (authority, scratch) = (Authority::new(), Scratch::new());
    let server = fixture(&authority, &scratch);
    let mut tls = connect(&Arc::new(client_config(&authority)), &server);
    for _ in 0..3 {
        let (status, created) = ask(&mut tls, "/kmip/2_1", CREATE);
        assert_eq!(status, 200, "{created}");
        let (status, key) = ask(&mut tls, "/kmip/2_1", &on("Get", &value_of("UniqueIdentifier", &created)));
        assert_eq!((status, value_of("Key", &key).len()), (200, 64));
    }
}

#[test]
fn what_is_wrong_with_the_certificate_is_said_and_nothing_listens() {
    let (authority, scratch) = (Authority::new(), Scratch::new());
    authority.server("a", "P-256");
    authority.server_valid("old", "P-256", &["-days", "-1"]);
    let good = authority.export("a", PASSWORD, &[]);
    let expired = authority.export("old", PASSWORD, &[]);
    let (chain, key) = (authority.file("a.fullchain.pem"), authority.file("a.key"));
    let keyless = authority.file("keyless.p12");
    let passout = format!("pass:{PASSWORD}");
    run("openssl", ["pkcs12", "-export", "-nokeys", "-in", &chain, "-out", &keyless, "-passout", &passout]);
    // The port is taken, so that a server which got as far as listening would say so.
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let data = scratch.file("data");
    for (file, password, reason) in [
        (&good, "wrong", "the password is wrong, or the file is damaged"),
        (&keyless, PASSWORD, "it holds no private key: export it again with one (openssl: -inkey)"),
        (&key, PASSWORD, "it is no PKCS#12 file, or a damaged one"),
        (&expired, PASSWORD, "its certificate has expired on 20"),
        (&"/nonexistent.p12".to_owned(), PASSWORD, "cannot be read: No such file or directory"),
    ] {
        let (code, told) = keyway_fails(&[
            "--hostname",
            "127.0.0.1",
            "--port",
            &port,
            "--root-data-path",
            &data,
            "--https-p12-file",
            file,
            "--https-p12-password",
            password,
        ]);
        let line = told.lines().last().unwrap();
        assert_eq!(code, 2, "{told}");
        assert!(line.starts_with(&format!("keyway: {file}: {reason}")), "{line}");
        assert!(!told.contains("wrong\"") && !told.contains(PASSWORD), "{told}");
    }
}

#[test]
fn plain_http_on_the_tls_port_is_told_so() {
    let (authority, scratch) = (Authority::new(), Scratch::new());
    let server = fixture(&authority, &scratch);
    let plain =
        run("curl", ["-sS", "-w", " %{http_code}", &format!("http://127.0.0.1:{}/version", server.port)]);
    assert_eq!(plain, "this port speaks HTTPS: use https:// in the URL 400");
}

/// The certificate that a new connection gets.
fn served(config: &ClientConfig, server: &Server) -> Vec<u8> {
    // Without the sessions of those before.
    let mut config = config.clone();
    config.resumption = rustls::client::Resumption::disabled();
    let mut tls = connect(&Arc::new(config), server);
    assert_eq!(ask(&mut tls, "/health", "").0, 200);
    tls.conn.peer_certificates().unwrap()[0].to_vec()
}

#[test]
fn the_certificate_is_swapped_while_connections_go_on() {
    let (authority, scratch) = (Authority::new(), Scratch::new());
    let server = fixture(&authority, &scratch);
    authority.server("b", "P-256");
    authority.server("c", "P-384");
    let [a, b, c] = ["a", "b", "c"].map(|name| der(&authority.file(&format!("{name}.pem"))));
    let (config, p12) = (client_config(&authority), authority.file("a.p12"));
    let mut kept = connect(&Arc::new(config.clone()), &server);
    assert_eq!(ask(&mut kept, "/health", "").0, 200);
    assert_eq!(served(&config, &server), a);

    authority.export_to(&p12, "b", PASSWORD, &[]);
    server.signal("HUP");
    wait_for("the new certificate", || (served(&config, &server) == b).then_some(()));
    server.wait_for_log(
        "new connections get the certificate for localhost, 127.0.0.1 by Keyway Test Intermediate",
    );

    fs::write(&p12, b"broken").unwrap();
    server.signal("HUP");
    server.wait_for_log("the certificate in use stays, the new one is refused");
    server.wait_for_log("it is no PKCS#12 file");
    authority.export_to(&p12, "c", "another password", &[]);
    server.signal("HUP");
    server.wait_for_log("the password is wrong");
    assert_eq!(served(&config, &server), b);

    // Without a signal: the file is looked at now and then.
    authority.export_to(&p12, "c", PASSWORD, &[]);
    wait_for("the changed file", || (served(&config, &server) == c).then_some(()));
    assert_eq!(ask(&mut kept, "/health", "").0, 200, "the connection of before goes on");
    assert!(!server.log().contains(PASSWORD));
}

#[test]
fn sigterm_ends_idle_connections_and_the_program() {
    let (authority, scratch) = (Authority::new(), Scratch::new());
    let server = fixture(&authority, &scratch);
    let mut kept = connect(&Arc::new(client_config(&authority)), &server);
    assert_eq!(ask(&mut kept, "/health", "").0, 200);
    assert_eq!(server.terminate().code(), Some(0));
    // A close_notify, not a connection that is cut.
    assert_eq!(kept.read(&mut [0; 16]).unwrap(), 0);
}

#[test]
fn the_health_command_speaks_tls() {
    let (authority, scratch) = (Authority::new(), Scratch::new());
    let server = fixture(&authority, &scratch);
    let (port, p12) = (server.port.to_string(), authority.file("a.p12"));
    let health = |args: &[&str]| {
        support::keyway(&[&["health", "--port", &port], args].concat())
            .stderr(Stdio::null())
            .status()
            .unwrap()
    };
    assert_eq!(health(&["--https-p12-file", &p12]).code(), Some(0));
    assert_eq!(health(&["--tls"]).code(), Some(0));
    // As a health check in a container asks, which does not know the server's arguments.
    assert_eq!(health(&[]).code(), Some(0));
}
