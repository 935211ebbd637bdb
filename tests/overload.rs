//! More than the server has room for: connections beyond its descriptors and beyond its cap, and clients that take their
//! time. Who behaves is answered all the while, and everybody once there is room again.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod support;

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use support::{CREATE, Client, Scratch, Server, keyway, on, tcp, value_of, wait_for};

const LAST_REQUEST: &[u8] = b"GET /version HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";

/// A key is made and read.
fn assert_served(client: &mut Client) {
    let (status, made) = client.post("/kmip/2_1", CREATE);
    assert_eq!(status, 200, "{made}");
    let (status, key) = client.post("/kmip/2_1", &on("Get", &value_of("UniqueIdentifier", &made)));
    assert_eq!(status, 200, "{key}");
}

/// What comes until the end of a connection, or until it is reset.
fn rest_of(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    if let Err(error) = stream.read_to_end(&mut bytes) {
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    }
    String::from_utf8(bytes).unwrap()
}

#[test]
fn without_descriptors_nobody_is_accepted_and_nothing_spins_until_there_are_some() {
    let scratch = Scratch::new();
    let mut limited = Command::new("prlimit");
    let plain = keyway(&[]);
    limited.args(["--nofile=100:100", "--"]).arg(plain.get_program());
    for (name, _) in plain.get_envs() {
        limited.env_remove(name);
    }
    let server = Server::spawn(scratch.path(), limited);
    server.wait_for_log("open files are needed but only 100 allowed");
    let mut kept = Client::connect(server.port);
    assert_served(&mut kept);

    let idle: Vec<TcpStream> = (0..150).map(|_| tcp(server.port)).collect();
    server.wait_for_log("cannot accept connections");
    let mut waiting: Vec<TcpStream> = (0..20).map(|_| tcp(server.port)).collect();
    for stream in &mut waiting {
        stream.write_all(LAST_REQUEST).unwrap();
    }
    for _ in 0..20 {
        assert_served(&mut kept);
        // A server that tried again and again would never sleep.
        let state = || fs::read_to_string(format!("/proc/{}/stat", server.pid())).unwrap();
        wait_for("the server to sleep", || state().contains(") S ").then_some(()));
    }
    let warnings = server.log().matches("cannot accept connections").count();
    assert_eq!(warnings, 1, "said again and again: {}", server.log());

    drop(idle);
    for mut stream in waiting {
        assert!(rest_of(&mut stream).starts_with("HTTP/1.1 200 "));
    }
    assert_served(&mut kept);
    assert_eq!(server.terminate().code(), Some(0));
}

#[test]
fn a_flood_of_connections_keeps_out_only_what_is_beyond_the_cap() {
    const CAP: usize = 50;
    const FLOOD: usize = 500;
    let scratch = Scratch::new();
    let server = Server::start(scratch.path(), &["--max-connections", &CAP.to_string()]);
    let mut kept = Client::connect(server.port);
    assert_served(&mut kept);
    let before = descriptors(&server);
    for round in 0..3 {
        let mut flood: Vec<TcpStream> = (0..FLOOD).map(|_| tcp(server.port)).collect();
        for stream in &mut flood {
            // Those beyond the cap may be told so and closed before.
            let _ = stream.write_all(b"GET /version HTTP/1.1\r\n");
        }
        assert_served(&mut kept);
        let refused = flood.split_off(CAP - 1);
        for mut stream in refused {
            let told = rest_of(&mut stream);
            assert!(told.is_empty() || told.starts_with("HTTP/1.1 503 "), "round {round}: {told}");
        }
        assert_served(&mut kept);
        for mut stream in flood {
            stream.write_all(b"Host: h\r\nConnection: close\r\n\r\n").unwrap();
            assert!(rest_of(&mut stream).starts_with("HTTP/1.1 200 "), "round {round}");
        }
        wait_for("room", || (descriptors(&server) == before).then_some(()));
    }
    assert_eq!(server.terminate().code(), Some(0));
}

/// How many files and sockets the process has open.
fn descriptors(server: &Server) -> usize {
    fs::read_dir(format!("/proc/{}/fd", server.pid())).unwrap().count()
}

#[test]
fn connections_that_come_and_go_leave_nothing_behind() {
    const CONNECTIONS: usize = 3000;
    let scratch = Scratch::new();
    let server = Server::start(scratch.path(), &["--max-connections", "100"]);
    let mut kept = Client::connect(server.port);
    assert_served(&mut kept);
    let before = descriptors(&server);
    for number in 0..CONNECTIONS {
        let mut stream = tcp(server.port);
        // Nothing, half a head, half a body, garbage, a request whose answer nobody reads.
        let _ = stream.write_all(match number % 5 {
            0 => b"",
            1 => b"GET /version HTTP/1.1\r\nHo",
            2 => b"POST /kmip/2_1 HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\n{",
            3 => b"\x00\xff\x16garbage",
            _ => b"GET /version HTTP/1.1\r\nHost: h\r\n\r\n",
        });
        if number % 100 == 0 {
            assert_served(&mut kept);
        }
    }
    wait_for("their end", || (descriptors(&server) == before).then_some(()));
    assert_served(&mut kept);
    assert_eq!(server.terminate().code(), Some(0));
}

/// The slow attacks that slowhttptest knows: heads, bodies, ranges, and readers of answers that are asked for many times.
const SLOW: [(&str, &[&str]); 4] = [
    ("No open connections left", &["-H", "-t", "GET", "-l", "60"]),
    ("No open connections left", &["-B", "-t", "POST", "-l", "60"]),
    ("No open connections left", &["-R", "-t", "HEAD", "-l", "60"]),
    ("", &["-X", "-t", "GET", "-l", "4", "-k", "10", "-w", "1", "-y", "2"]),
];

#[test]
fn slow_clients_are_cut_off_and_nobody_else_waits_for_them() {
    let scratch = Scratch::new();
    let timeouts = ["--head-timeout", "2", "--body-timeout", "2", "--write-timeout", "2"];
    let server = Server::start(scratch.path(), &timeouts);
    let over = AtomicBool::new(false);
    let served = AtomicUsize::new(0);
    thread::scope(|scope| {
        let well_behaved = scope.spawn(|| {
            let mut kept = Client::connect(server.port);
            while !over.load(Ordering::Relaxed) {
                assert_served(&mut kept);
                assert_served(&mut Client::connect(server.port));
                served.fetch_add(1, Ordering::Relaxed);
            }
        });
        let attacks = SLOW.map(|(ends, options)| {
            let url = server.url("/version");
            scope.spawn(move || {
                let mut attack = Command::new("slowhttptest");
                attack.args(["-c", "300", "-r", "300", "-i", "1", "-p", "30", "-u", &url]).args(options);
                let output = attack.stdin(Stdio::null()).output().unwrap();
                let told = String::from_utf8_lossy(&output.stdout).into_owned();
                let is_over = output.status.success() && told.contains("Exit status:") && told.contains(ends);
                (is_over && !told.contains("available:   NO"), format!("{options:?}: {told}"))
            })
        });
        let ends = attacks.map(|attack| attack.join().unwrap());
        over.store(true, Ordering::Relaxed);
        well_behaved.join().unwrap();
        for (is_good, told) in ends {
            assert!(is_good, "{told}");
        }
    });
    assert!(served.into_inner() > 10);
    assert_eq!(server.terminate().code(), Some(0));
}
