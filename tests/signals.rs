//! Signals under load: a certificate is changed, and the program ends, without a request that fails.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod support;

use rustls::client::Resumption;
use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use support::certificates::{Authority, der};
use support::tls::{ask, client_config, connect};
use support::{CREATE, Client, Scratch, Server, on, value_of, wait_for};

const PASSWORD: &str = "myPass";

#[test]
fn no_request_fails_while_the_certificate_is_read_again_and_again() {
    const SIGNALS: usize = 300;
    let (authority, scratch) = (Authority::new(), Scratch::new());
    for name in ["a", "b"] {
        authority.server(name, "P-256");
    }
    let [a, b] = ["a", "b"].map(|name| fs::read(authority.export(name, PASSWORD, &[])).unwrap());
    let certificates = ["a", "b"].map(|name| der(&authority.file(&format!("{name}.pem"))));
    let p12 = scratch.file("server.p12");
    fs::write(&p12, &a).unwrap();
    let server = Server::start(scratch.path(), &["--https-p12-file", &p12, "--https-p12-password", PASSWORD]);

    // Every handshake is a full one, so that each shows the certificate.
    let mut config = client_config(&authority);
    config.resumption = Resumption::disabled();
    let config = Arc::new(config);
    let created = ask(&mut connect(&config, &server), "/kmip/2_1", CREATE).1;
    let get = on("Get", &value_of("UniqueIdentifier", &created));
    let key = value_of("Key", &ask(&mut connect(&config, &server), "/kmip/2_1", &get).1);

    let over = AtomicBool::new(false);
    let [kept, fresh] = [const { AtomicUsize::new(0) }; 2];
    let seen = [const { AtomicUsize::new(0) }; 2];
    let is_over = || over.load(Ordering::Relaxed);
    thread::scope(|scope| {
        // Also when this fails: the others wait for it.
        let _end = OnDrop(|| over.store(true, Ordering::Relaxed));
        for _ in 0..2 {
            scope.spawn(|| {
                let mut tls = connect(&config, &server);
                while !is_over() {
                    assert_eq!(ask(&mut tls, "/kmip/2_1", CREATE).0, 200);
                    let (status, answer) = ask(&mut tls, "/kmip/2_1", &get);
                    assert_eq!((status, value_of("Key", &answer)), (200, key.clone()));
                    kept.fetch_add(2, Ordering::Relaxed);
                }
            });
            scope.spawn(|| {
                while !is_over() {
                    let mut tls = connect(&config, &server);
                    let (status, answer) = ask(&mut tls, "/kmip/2_1", &get);
                    assert_eq!((status, value_of("Key", &answer)), (200, key.clone()));
                    let served = &tls.conn.peer_certificates().unwrap()[0];
                    let which = certificates.iter().position(|known| **known == **served).unwrap();
                    seen[which].fetch_add(1, Ordering::Relaxed);
                    fresh.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        for round in 0..SIGNALS {
            match round % 3 {
                0 => fs::write(&p12, &b).unwrap(),
                1 => fs::write(&p12, &b[..b.len() / 2]).unwrap(),
                _ => fs::write(&p12, &a).unwrap(),
            }
            server.signal("HUP");
            let before = fresh.load(Ordering::Relaxed);
            wait_for("a new connection", || (fresh.load(Ordering::Relaxed) > before).then_some(()));
        }
    });
    let [kept, fresh] = [kept, fresh].map(AtomicUsize::into_inner);
    let [a, b] = seen.map(AtomicUsize::into_inner);
    assert!(kept > SIGNALS && fresh >= SIGNALS && a > 0 && b > 0, "{kept} {fresh} {a} {b}");
    server.wait_for_log("the certificate in use stays, the new one is refused");
    assert_eq!(server.terminate().code(), Some(0));
}

/// Does something at the end of its life.
struct OnDrop<F: FnMut()>(F);

impl<F: FnMut()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

/// Creates keys, and has much encrypted, until the server goes away. The identifiers of the keys that were answered for.
fn load<S: Read + Write>(mut client: Client<S>, key: &str, answered: &AtomicUsize) -> Vec<String> {
    // An answer in the way of a signal for long enough to be cut, if anything cuts answers.
    let encrypt = on("Encrypt", key).replace(
        "]}",
        &format!(r#",{{"tag":"Data","type":"ByteString","value":"{}"}}]}}"#, "5A".repeat(300_000)),
    );
    let mut created = Vec::new();
    loop {
        let answers = [CREATE, &encrypt].map(|request| client.try_post("/kmip/2_1", request));
        for answer in answers {
            match answer {
                Ok((status, answer)) => {
                    assert_eq!(status, 200, "{answer:.200}");
                    assert!(answer.ends_with('}'));
                    if answer.contains("CreateResponse") {
                        created.push(value_of("UniqueIdentifier", &answer));
                    } else {
                        assert_eq!(value_of("Data", &answer).len(), 600_000);
                    }
                    answered.fetch_add(1, Ordering::Relaxed);
                }
                Err(error) => {
                    assert_ne!(error.kind(), ErrorKind::UnexpectedEof, "an answer was cut: {error:?}");
                    return created;
                }
            }
        }
    }
}

#[test]
fn what_is_answered_when_the_program_is_asked_to_end_is_answered_whole() {
    let (authority, scratch) = (Authority::new(), Scratch::new());
    authority.server("a", "P-256");
    let p12 = authority.export("a", PASSWORD, &[]);
    let config = Arc::new(client_config(&authority));
    for tls in [&[][..], &["--https-p12-file", &p12, "--https-p12-password", PASSWORD]] {
        for round in 1..=4 {
            let mut server = Server::start(scratch.path(), tls);
            let client = || -> Client<Box<dyn Stream>> {
                Client::over(if server.tls {
                    Box::new(connect(&config, &server))
                } else {
                    Box::new(support::tcp(server.port))
                })
            };
            let key = value_of("UniqueIdentifier", &client().post("/kmip/2_1", CREATE).1);
            let answered = AtomicUsize::new(0);
            let created: Vec<String> = thread::scope(|scope| {
                let clients: Vec<_> =
                    (0..6).map(|_| scope.spawn(|| load(client(), &key, &answered))).collect();
                wait_for("answers", || (answered.load(Ordering::Relaxed) > 20 * round).then_some(()));
                server.signal("TERM");
                clients.into_iter().flat_map(|client| client.join().unwrap()).collect()
            });
            assert_eq!(server.wait().code(), Some(0));
            let server = Server::start(scratch.path(), &[]);
            let mut client = Client::connect(server.port);
            for uid in &created {
                assert_eq!(client.post("/kmip/2_1", &on("Get", uid)).0, 200, "{uid}");
            }
            assert!(created.len() > 5 * round);
        }
    }
}

trait Stream: Read + Write {}
impl<S: Read + Write> Stream for S {}
