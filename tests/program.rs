//! The whole program over plain HTTP: it starts, answers, keeps what it has answered for, and ends when asked.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod support;

use support::{CREATE, Client, Scratch, Server, keyway, on, run, value_of};

#[test]
fn a_key_outlives_the_program() {
    let scratch = Scratch::new();
    let server = Server::start(scratch.path(), &[]);
    let (status, created) = Client::connect(server.port).post("/kmip/2_1", CREATE);
    assert_eq!(status, 200, "{created}");
    let uid = value_of("UniqueIdentifier", &created);
    assert_eq!(server.terminate().code(), Some(0));

    let server = Server::start(scratch.path(), &[]);
    let (status, key) = Client::connect(server.port).post("/kmip/2_1", &on("Get", &uid));
    assert_eq!(status, 200, "{key}");
    assert_eq!(value_of("Key", &key).len(), 64);
}

#[test]
fn curl_and_the_health_command_are_answered() {
    let scratch = Scratch::new();
    let server = Server::start(scratch.path(), &[]);
    let version = run("curl", ["-sS", &server.url("/version")]);
    assert_eq!(version, format!("\"keyway {}\"", env!("CARGO_PKG_VERSION")));
    assert!(run("curl", ["-sS", &server.url("/health")]).contains(r#""status":"UP""#));
    for more in [&[][..], &["--live"]] {
        let healthy = keyway(&[&["health", "--port", &server.port.to_string()], more].concat()).status();
        assert!(healthy.unwrap().success());
    }
}
