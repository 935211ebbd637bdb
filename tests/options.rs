//! Options through the whole program: where it listens, what it prints, how it refuses.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod support;

use std::net::TcpListener;
use std::os::unix::ffi::OsStrExt;
use std::process::Stdio;
use support::{Client, Scratch, Server, keyway, keyway_fails, run};

#[test]
fn help_and_version_are_printed_on_standard_output() {
    let help = keyway(&["--help"]).output().unwrap();
    assert!(help.status.success() && help.stderr.is_empty());
    assert!(String::from_utf8(help.stdout).unwrap().contains("\n  --port <N> "));
    let version = keyway(&["--version"]).output().unwrap();
    assert_eq!(
        String::from_utf8(version.stdout).unwrap(),
        concat!("keyway ", env!("CARGO_PKG_VERSION"), "\n")
    );
}

#[test]
fn wrong_options_are_one_line_and_exit_code_2() {
    for (args, told) in [
        (&["--prot", "1"][..], "keyway: there is no option --prot: did you mean --port?\n"),
        (
            &["--jwt-audience", "cosmian_kms"],
            "keyway: --jwt-audience \"cosmian_kms\" (command line): is of no use without --jwt-issuer-uri: add that option\n",
        ),
        (
            &["--ensure-ra-tls"],
            "keyway: --ensure-ra-tls needs --use-bootstrap-server: the platform vouches for the certificate of that\n",
        ),
        (
            &["--hostname", "192.0.2.1", "--port", "9998"],
            "keyway: cannot listen on host \"192.0.2.1\" port 9998: this machine does not have the address; \
             give one that it has, or 0.0.0.0 for all\n",
        ),
    ] {
        let scratch = Scratch::new();
        let data = scratch.file("data");
        let (code, stderr) =
            keyway_fails(&[args, &["--log-level", "error", "--root-data-path", &data]].concat());
        assert_eq!((code, stderr.as_str()), (2, told), "{args:?}");
    }
    let not_text = std::ffi::OsStr::from_bytes(b"--port=\xFF");
    let output = keyway(&[]).arg(not_text).stdin(Stdio::null()).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "keyway: --port: the value is not UTF-8\n");
}

#[test]
fn a_taken_port_is_told() {
    let scratch = Scratch::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let data = scratch.file("data");
    let args = ["--hostname", "127.0.0.1", "--port", &port, "--root-data-path", &data];
    let (code, told) = keyway_fails(&args);
    assert_eq!(code, 2);
    assert!(told.ends_with("another process listens there; stop it or choose another port\n"), "{told}");
}

#[test]
fn variables_count_as_options_do() {
    let scratch = Scratch::new();
    let mut command = keyway(&[]);
    command.env("KMS_DEFAULT_USERNAME", "zoe").env("KMS_LOG_LEVEL", "debug");
    let server = Server::spawn(scratch.path(), command);
    server.wait_for_log("--default-username zoe (KMS_DEFAULT_USERNAME)");
    server.wait_for_log("--idle-timeout 75 (default)");
    server.wait_for_log("memory bound: ");
    let denied = run("curl", ["-sS", &server.url("/access/list/nothing")]);
    assert_eq!(denied, "Access denied: Object with uid `nothing` is not owned by owner `zoe`");
}

#[test]
fn ipv6_is_listened_on() {
    if TcpListener::bind("[::1]:0").is_err() {
        // This machine has no IPv6: then the program says so.
        assert_eq!(
            keyway_fails(&["--hostname", "::1", "--port", "0", "--root-data-path", "/nonexistent"]).0,
            2
        );
        return;
    }
    for host in ["::1", "::"] {
        let scratch = Scratch::new();
        let data = scratch.file("data");
        let mut child = keyway(&["--hostname", host, "--port", "0", "--root-data-path", &data])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        std::io::BufRead::read_line(&mut std::io::BufReader::new(child.stdout.take().unwrap()), &mut line)
            .unwrap();
        let port = line.trim().rsplit_once(':').unwrap().1.to_owned();
        let url = format!("http://[::1]:{port}/version");
        let version = run("curl", ["-sS", "-g", "-6", &url]);
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(version.contains("keyway"), "{host}: {version}");
    }
}

#[test]
fn clear_database_removes_the_keys() {
    let scratch = Scratch::new();
    let server = Server::start(scratch.path(), &[]);
    let created = Client::connect(server.port).post("/kmip/2_1", support::CREATE).1;
    let get = support::on("Get", &support::value_of("UniqueIdentifier", &created));
    assert_eq!(server.terminate().code(), Some(0));
    let server = Server::start(scratch.path(), &["--clear-database"]);
    server.wait_for_log("the database was cleared: 1 objects and 0 grants were erased");
    assert_eq!(Client::connect(server.port).post("/kmip/2_1", &get).0, 422);
}
