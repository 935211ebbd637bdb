//! Clients that show certificates: who they are, and who is refused.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod support;

use std::io::{Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;
use support::certificates::Authority;
use support::tls::{ask, connect_as};
use support::{CREATE, Scratch, Server, keyway, keyway_fails, on, run, tcp, value_of, wait_for};

/// A server whose clients must have certificates by `authority`, and what it shows itself.
fn serve(authority: &Authority, scratch: &Scratch, more: &[&str]) -> Server {
    serve_in(scratch.path(), authority, more)
}

fn serve_in(folder: &Path, authority: &Authority, more: &[&str]) -> Server {
    authority.server("server", "P-256");
    let (p12, roots) = (authority.export("server", "p", &[]), authority.file("root.pem"));
    let mut command =
        keyway(&["--https-p12-file", &p12, "--https-p12-password", "p", "--authority-cert-file", &roots]);
    command.args(more);
    Server::spawn(folder, command)
}

/// curl as the client `name` of `authority`, which also trusts it: standard output, and whether it went well.
fn curl(authority: &Authority, name: &str, server: &Server, path: &str, more: &[&str]) -> (bool, String) {
    let file = |suffix: &str| authority.file(&format!("{name}{suffix}"));
    let mut command = Command::new("curl");
    command.args(["-sS", "--cacert", &authority.file("root.pem")]).args(more).arg(server.url(path));
    if !name.is_empty() {
        command.args(["--cert", &file(".fullchain.pem"), "--key", &file(".key")]);
    }
    let output = command.output().unwrap();
    (output.status.success(), String::from_utf8(output.stdout).unwrap())
}

#[test]
fn the_common_name_is_the_user_in_every_version_of_tls() {
    let (authority, scratch) = (Authority::new(), Scratch::new());
    for user in ["alice", "bob"] {
        authority.client(user);
    }
    let server = serve(&authority, &scratch, &[]);
    for version in ["--tlsv1.3", "--tls-max=1.2"] {
        let version = version.replace('=', " ");
        let version: Vec<&str> = version.split(' ').collect();
        let (_, created) =
            curl(&authority, "alice", &server, "/kmip/2_1", &[&["-d", CREATE], &version[..]].concat());
        let uid = value_of("UniqueIdentifier", &created);
        let get = on("Get", &uid);
        let ask = |user: &str| {
            curl(&authority, user, &server, "/kmip/2_1", &[&["-d", &get], &version[..]].concat()).1
        };
        assert_eq!(value_of("Key", &ask("alice")).len(), 64);
        assert_eq!(ask("bob"), format!("Item_Not_Found: {uid}"), "what is not his is not there");
        let grant =
            format!(r#"{{"unique_identifier":"{uid}","user_id":"bob.example","operation_type":"get"}}"#);
        assert!(
            curl(&authority, "bob", &server, "/access/grant", &["-d", &grant]).1.starts_with("Access denied")
        );
        assert!(
            curl(&authority, "alice", &server, "/access/grant", &["-d", &grant]).1.contains("successfully")
        );
        assert_eq!(value_of("Key", &ask("bob")).len(), 64);
    }
}

#[test]
fn no_session_outlives_the_certificate_that_it_began_with() {
    let (authority, scratch) = (Authority::new(), Scratch::new());
    authority.client("alice");
    let server = serve(&authority, &scratch, &[]);
    let created = curl(&authority, "alice", &server, "/kmip/2_1", &["-d", CREATE]).1;
    let uid = value_of("UniqueIdentifier", &created);
    let (at, session) = (format!("127.0.0.1:{}", server.port), authority.file("session"));
    let (cert, key) = (authority.file("alice.fullchain.pem"), authority.file("alice.key"));
    let request = authority.file("request");
    std::fs::write(&request, "GET /access/owned HTTP/1.1\r\nHost: kms\r\nConnection: close\r\n\r\n").unwrap();
    for version in ["-tls1_2", "-tls1_3"] {
        let openssl = |more: &[&str]| {
            let line = ["s_client", "-connect", &at, version, "-ign_eof"];
            let input = std::fs::File::open(&request).unwrap();
            let output = Command::new("openssl").args(line).args(more).stdin(input).output().unwrap();
            String::from_utf8_lossy(&output.stdout).into_owned()
        };
        let first = openssl(&["-cert", &cert, "-cert_chain", &cert, "-key", &key, "-sess_out", &session]);
        assert!(first.contains("New, TLSv1.") && first.contains(&uid), "{first}");
        // Without the certificate: the session, if there is one, is all that it has.
        if Path::new(&session).exists() {
            let second = openssl(&["-sess_in", &session]);
            assert!(!second.contains("Reused, ") && !second.contains(&uid), "{second}");
            std::fs::remove_file(&session).unwrap();
        }
    }
}

#[test]
fn no_connection_outlives_the_certificate_that_it_began_with() {
    let (authority, scratch) = (Authority::new(), Scratch::new());
    let server = serve(&authority, &scratch, &[]);
    authority.client_for("alice", 5);
    let mut tls = connect_as(&authority, Some((&authority, "alice")), &server);
    assert_eq!(ask(&mut tls, "/version", "").0, 200);
    let (_, reason) = wait_for("the end of the certificate", || {
        Some(ask(&mut tls, "/version", "")).filter(|(status, _)| *status == 401)
    });
    assert_eq!(reason, "the client certificate of this connection has expired: connect with a new one");
    assert_eq!(tls.read(&mut [0; 1]).unwrap(), 0, "the connection has ended");
    server.wait_for_log("refused, its client certificate has expired since it was shown");
}

#[test]
fn whoever_has_no_certificate_or_another_is_refused_and_the_log_says_why() {
    let (authority, scratch, strangers) = (Authority::new(), Scratch::new(), Authority::new());
    strangers.client("mallory");
    authority.client_valid("late", &["-days", "-1"]);
    let server = serve(&authority, &scratch, &[]);
    assert!(!curl(&authority, "", &server, "/version", &[]).0);
    server.wait_for_log("refused, its client certificate: peer sent no certificates");
    let pair = |from: &Authority, name: &str| {
        let (cert, key) = (from.file(&format!("{name}.fullchain.pem")), from.file(&format!("{name}.key")));
        curl(&authority, "", &server, "/version", &["--cert", &cert, "--key", &key])
    };
    assert!(!pair(&strangers, "mallory").0);
    // The strangers' authority has the same name, but another key.
    server.wait_for_log("invalid peer certificate: BadSignature");
    assert!(!pair(&authority, "late").0);
    server.wait_for_log("invalid peer certificate: Expired");
    // A check of health has no certificate, and is told that the server is there.
    let port = server.port.to_string();
    assert!(keyway(&["health", "--port", &port]).status().unwrap().success());
}

#[test]
fn the_user_is_what_the_operator_says_of_the_certificate() {
    let (authority, scratch) = (Authority::new(), Scratch::new());
    authority.named_client("carol");
    authority.client("dave");
    let fingerprint =
        run("openssl", ["x509", "-in", &authority.file("carol.pem"), "-noout", "-sha256", "-fingerprint"]);
    let fingerprint = fingerprint.trim().rsplit('=').next().unwrap().replace(':', "").to_lowercase();
    for (kind, user) in [
        ("cn", "carol.example"),
        ("san-email", "carol@example.org"),
        ("san-uri", "spiffe://example.org/carol"),
        ("fingerprint", &fingerprint),
    ] {
        let folder = scratch.path().join(kind);
        std::fs::create_dir(&folder).unwrap();
        let server = serve_in(&folder, &authority, &["--client-cert-identity", kind]);
        let created = curl(&authority, "carol", &server, "/kmip/2_1", &["-d", CREATE]).1;
        let uid = value_of("UniqueIdentifier", &created);
        // Who owns it may not be granted it: so the owner's name is told.
        let grant = format!(r#"{{"unique_identifier":"{uid}","user_id":"{user}","operation_type":"get"}}"#);
        let told = curl(&authority, "carol", &server, "/access/grant", &["-d", &grant]).1;
        assert!(told.contains("You can't grant yourself"), "{kind}: {told}");
        let other = grant.replace(user, "somebody-else");
        assert!(
            curl(&authority, "carol", &server, "/access/grant", &["-d", &other]).1.contains("successfully")
        );
        let nameless = !curl(&authority, "dave", &server, "/version", &[]).0;
        assert_eq!(nameless, kind.starts_with("san"), "{kind}");
        if nameless {
            server.wait_for_log("among its alternative names that can be a user");
        }
    }
}

#[test]
fn whoever_is_revoked_is_refused_at_once_and_everybody_when_a_list_has_expired() {
    let (authority, scratch) = (Authority::new(), Scratch::new());
    authority.client("alice");
    authority.client("bob");
    let lists = authority.revoke(&["bob"], 3600);
    let server = serve(&authority, &scratch, &["--authority-crl-file", &lists]);
    let may = |user: &str| curl(&authority, user, &server, "/version", &[]).0;
    assert!(may("alice") && !may("bob"));
    server.wait_for_log("invalid peer certificate: Revoked");

    // A connection that is open, and a session that could be resumed, end with the certificate.
    let (cert, key) = (authority.file("alice.fullchain.pem"), authority.file("alice.key"));
    let mut open = Command::new("openssl")
        .args(["s_client", "-connect", &format!("127.0.0.1:{}", server.port), "-quiet", "-cert", &cert])
        .args(["-cert_chain", &cert, "-key", &key])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut input = open.stdin.take().unwrap();
    input.write_all(b"GET /version HTTP/1.1\r\nHost: kms\r\n\r\n").unwrap();
    let mut answer = [0; 1024];
    assert!(open.stdout.as_mut().unwrap().read(&mut answer).unwrap() > 0);
    authority.revoke(&["alice", "bob"], 3600);
    server.signal("HUP");
    server.wait_for_log("client certificates are judged by 2 new revocation lists");
    assert!(wait_for("the end of the connection", || open.try_wait().unwrap()).success());
    assert!(!may("alice") && !may("bob"));

    // What is no list is refused, and the lists in use stay; a list that expires takes everybody with it.
    std::fs::write(&lists, "nonsense").unwrap();
    server.signal("HUP");
    server.wait_for_log("the revocation lists in use stay, the new ones are refused: ");
    assert!(!may("alice"));
    authority.revoke(&[], 1);
    server.signal("HUP");
    wait_for("an expired list", || {
        may("alice");
        server.log().contains("certificate revocation list expired").then_some(())
    });
    assert!(!may("alice"));
    authority.revoke(&[], 3600);
    server.signal("HUP");
    wait_for("a new list", || may("alice").then_some(()));
}

#[test]
fn what_has_begun_under_old_revocation_lists_ends_with_them() {
    let (authority, scratch) = (Authority::new(), Scratch::new());
    authority.client("alice");
    let lists = authority.revoke(&[], 3600);
    let server = serve(&authority, &scratch, &["--authority-crl-file", &lists]);
    let mut handshake = tcp(server.port);
    // The head of a record that is to come.
    handshake.write_all(&[22, 3, 1, 2, 0]).unwrap();
    let mut requests = [
        &b"GET /version HTTP/1.1\r\n"[..],
        b"POST /kmip HTTP/1.1\r\nHost: kms\r\nContent-Length: 9\r\n\r\n{",
    ]
    .map(|begun| {
        let mut tls = connect_as(&authority, Some((&authority, "alice")), &server);
        assert_eq!(ask(&mut tls, "/version", "").0, 200);
        tls.write_all(begun).unwrap();
        tls
    });
    authority.revoke(&["alice"], 3600);
    server.signal("HUP");
    server.wait_for_log("client certificates are judged by 2 new revocation lists");
    // Sooner than what takes too long would end.
    let patience = Some(Duration::from_secs(5));
    handshake.set_read_timeout(patience).unwrap();
    assert_eq!(handshake.read(&mut [0; 1]).unwrap(), 0, "the handshake");
    for tls in &mut requests {
        tls.sock.set_read_timeout(patience).unwrap();
        assert_eq!(tls.read(&mut [0; 1]).unwrap(), 0, "a request");
    }
}

#[test]
fn revocation_lists_that_cannot_be_used_are_told_at_the_start() {
    let authority = Authority::new();
    authority.server("server", "P-256");
    let (p12, roots) = (authority.export("server", "p", &[]), authority.file("root.pem"));
    let tls = ["--port", "0", "--https-p12-file", &p12, "--https-p12-password", "p"];
    let (code, told) = keyway_fails(&[&tls[..], &["--authority-crl-file", &roots]].concat());
    assert!(code == 2 && told.contains("have revoked: add that option"), "{told}");
    let given = ["--authority-cert-file", &roots, "--authority-crl-file", &roots];
    let (code, told) = keyway_fails(&[&tls[..], &given].concat());
    assert!(code == 2 && told.contains("holds no revocation list, neither in PEM nor in DER"), "{told}");
    let long = authority.file("long.pem");
    std::fs::write(&long, vec![b'\n'; 4 * 1024 * 1024 + 1]).unwrap();
    let given = ["--authority-cert-file", &roots, "--authority-crl-file", &long];
    let (code, told) = keyway_fails(&[&tls[..], &given].concat());
    assert!(code == 2 && told.contains("is longer than 4194304 bytes"), "{told}");
}

#[test]
fn the_default_user_may_be_forced_on_everybody() {
    let (authority, scratch) = (Authority::new(), Scratch::new());
    authority.client("alice");
    authority.client("bob");
    let server = serve(&authority, &scratch, &["--force-default-username"]);
    let created = curl(&authority, "alice", &server, "/kmip/2_1", &["-d", CREATE]).1;
    let uid = value_of("UniqueIdentifier", &created);
    assert!(curl(&authority, "bob", &server, "/access/owned", &[]).1.contains(&uid));
    assert!(!curl(&authority, "", &server, "/version", &[]).0, "a certificate is needed all the same");
}

#[test]
fn an_authority_that_is_none_is_told_at_the_start() {
    let (authority, scratch) = (Authority::new(), Scratch::new());
    authority.server("server", "P-256");
    let p12 = authority.export("server", "p", &[]);
    let data = scratch.file("data");
    for (file, told) in [
        (authority.file("server.key"), "holds no certificate in PEM"),
        ("/nonexistent".to_owned(), "cannot be read"),
    ] {
        let (code, stderr) = keyway_fails(&[
            "--port",
            "0",
            "--hostname",
            "127.0.0.1",
            "--root-data-path",
            &data,
            "--https-p12-file",
            &p12,
            "--https-p12-password",
            "p",
            "--authority-cert-file",
            &file,
        ]);
        assert_eq!(code, 2, "{stderr}");
        assert!(stderr.lines().last().unwrap().starts_with(&format!("keyway: {file}: {told}")), "{stderr}");
    }
}
