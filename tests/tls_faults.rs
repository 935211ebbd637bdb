//! What is no TLS, or is TLS as nobody should speak it: every connection comes to its end, and everybody else is served.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod support;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};
use std::fs;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::process::{Command, Stdio};
use std::sync::Arc;
use support::certificates::Authority;
use support::tls::{ask, client_config, connect, connect_as};
use support::{CREATE, Client, Scratch, Server, tcp};

/// A server with a certificate, and a client that trusts it.
struct Fixture {
    authority: Authority,
    config: Arc<ClientConfig>,
    server: Server,
    _scratch: Scratch,
}

impl Fixture {
    /// Its patience with a handshake is that of the test: it must not be what ends a connection.
    fn new() -> Fixture {
        Fixture::with_patience("600")
    }

    fn with_patience(seconds: &str) -> Fixture {
        let (authority, scratch) = (Authority::new(), Scratch::new());
        authority.server("server", "P-256");
        let p12 = authority.export("server", "p", &[]);
        let options = [
            "--https-p12-file",
            &p12,
            "--https-p12-password",
            "p",
            "--handshake-timeout",
            seconds,
            "--max-connections",
            "12000",
        ];
        let server = Server::start(scratch.path(), &options);
        let config = Arc::new(client_config(&authority));
        Fixture { authority, config, server, _scratch: scratch }
    }

    fn assert_serves(&self) {
        let (status, answer) = ask(&mut connect(&self.config, &self.server), "/version", "");
        assert_eq!(status, 200, "{answer}");
    }

    /// A client whose bytes go through `stream`.
    fn client_over<S: Read + Write>(&self, stream: S) -> StreamOwned<ClientConnection, S> {
        let name = ServerName::try_from("localhost").unwrap();
        StreamOwned::new(ClientConnection::new(Arc::clone(&self.config), name).unwrap(), stream)
    }

    /// The first flight of a client: one record with a ClientHello.
    fn client_hello(&self) -> Vec<u8> {
        let name = ServerName::try_from("localhost").unwrap();
        let mut connection = ClientConnection::new(Arc::clone(&self.config), name).unwrap();
        let mut flight = Vec::new();
        connection.write_tls(&mut flight).unwrap();
        flight
    }
}

/// A record of TLS in the clear.
fn record(content_type: u8, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(payload.len()).unwrap().to_be_bytes();
    [&[content_type, 3, 1], &length[..], payload].concat()
}

const CHANGE_CIPHER_SPEC: u8 = 20;
const ALERT: u8 = 21;
const HANDSHAKE: u8 = 22;
const APPLICATION_DATA: u8 = 23;
const HEARTBEAT: u8 = 24;

/// What comes back until the server closes the connection, or resets it.
fn until_the_end(stream: &mut TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    if let Err(error) = stream.read_to_end(&mut bytes) {
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    }
    bytes
}

/// The same after these bytes; the server may close while they are sent.
fn reaction(server: &Server, bytes: &[u8]) -> Vec<u8> {
    let mut stream = tcp(server.port);
    let _ = stream.write_all(bytes);
    until_the_end(&mut stream)
}

#[test]
fn what_is_no_handshake_is_told_so_and_ends() {
    let fixture = Fixture::new();
    let mut hello = fixture.client_hello();
    // The first of the random bytes: it is a length for whoever takes the ClientHello for a shorter one.
    hello[5 + 6] = 0xff;
    let message = &hello[5..];
    let version = |major, minor| [&[HANDSHAKE, major, minor], &hello[3..]].concat();
    let with_length = |length: [u8; 3]| record(HANDSHAKE, &[&[1][..], &length, &message[4..]].concat());
    let rows: Vec<(&str, Vec<u8>)> = vec![
        ("zeros", vec![0; 100]),
        ("ones", vec![0xff; 100]),
        ("lower case", b"get / http/1.1\r\n\r\n".to_vec()),
        ("SSH", b"ssh-2.0-x\r\n".to_vec()),
        ("a ClientHello of SSL 2", b"\x80\x2e\x01\x00\x02\x00\x15\x00\x00\x00\x10\x01\x00\x80".to_vec()),
        ("a record of SSL 3 that is empty", vec![HANDSHAKE, 3, 0, 0, 0]),
        ("a record of a version to come", version(4, 0)),
        ("a record of an unknown type", record(99, b"x")),
        ("a heartbeat", record(HEARTBEAT, b"\x01\x40\x00")),
        ("application data", record(APPLICATION_DATA, b"GET / HTTP/1.1\r\n\r\n")),
        ("an empty handshake record", record(HANDSHAKE, b"")),
        ("an empty record before the ClientHello", [record(HANDSHAKE, b""), hello.clone()].concat()),
        (
            "an empty record within the ClientHello",
            [record(HANDSHAKE, &message[..50]), record(HANDSHAKE, b""), record(HANDSHAKE, &message[50..])]
                .concat(),
        ),
        (
            "another record within the ClientHello",
            [
                record(HANDSHAKE, &message[..50]),
                record(APPLICATION_DATA, b"x"),
                record(HANDSHAKE, &message[50..]),
            ]
            .concat(),
        ),
        ("a record that is too long", [&[HANDSHAKE, 3, 1, 0x48, 1], &[0; 0x4801][..]].concat()),
        ("the longest record that can be said", [&[HANDSHAKE, 3, 1, 0xff, 0xff], &[0; 0xffff][..]].concat()),
        ("a message that is too long", with_length([0xff; 3])),
        ("a ClientHello with something behind it", with_length([0, 0, 1])),
        ("a ServerHello", record(HANDSHAKE, &[&[2], &message[1..]].concat())),
        ("a Finished", record(HANDSHAKE, &[20, 0, 0, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])),
        ("two ClientHellos", [&hello[..], &hello].concat()),
        ("a ChangeCipherSpec that is none", record(CHANGE_CIPHER_SPEC, &[2])),
        ("a fatal alert", record(ALERT, &[2, 40])),
        ("an alert that is none", record(ALERT, &[9, 9, 9])),
        ("half an alert", record(ALERT, &[2])),
        ("garbage behind the ClientHello", [&hello[..], &[0xff; 100]].concat()),
        (
            "data in the clear behind the ClientHello",
            [&hello[..], &record(APPLICATION_DATA, &[0; 64])].concat(),
        ),
    ];
    for (name, bytes) in rows {
        let mut told = &reaction(&fixture.server, &bytes)[..];
        let mut last = None;
        // Records to the end; after a ClientHello, the flight of the server comes before the alert.
        while let [content_type, 3, _, high, low, rest @ ..] = told {
            let length = usize::from(u16::from_be_bytes([*high, *low]));
            assert!(
                [CHANGE_CIPHER_SPEC, ALERT, HANDSHAKE, APPLICATION_DATA].contains(content_type),
                "{name}"
            );
            last = Some(*content_type);
            told = &rest[length..];
        }
        assert_eq!(told, b"", "{name}");
        let expected = match name {
            // rustls says nothing to these.
            "another record within the ClientHello"
            | "a message that is too long"
            | "a ClientHello with something behind it"
            | "a fatal alert" => None,
            // The alert is encrypted.
            name if name.contains("behind the ClientHello") || name == "two ClientHellos" => {
                Some(APPLICATION_DATA)
            }
            _ => Some(ALERT),
        };
        assert_eq!(last, expected, "{name}");
    }
    fixture.assert_serves();
}

#[test]
fn floods_of_small_records_end() {
    let fixture = Fixture::new();
    let hello = fixture.client_hello();
    let floods = [
        ("warnings", record(ALERT, &[1, 90]).repeat(100_000)),
        ("empty handshake records", record(HANDSHAKE, b"").repeat(100_000)),
        ("ChangeCipherSpecs", [hello, record(CHANGE_CIPHER_SPEC, &[1]).repeat(100_000)].concat()),
        ("a message of which each record has a byte", {
            let message = [&[1, 0xff, 0xff, 0xff][..], &[0; 100_000]].concat();
            message.iter().flat_map(|byte| record(HANDSHAKE, &[*byte])).collect()
        }),
    ];
    for (name, bytes) in floods {
        let told = reaction(&fixture.server, &bytes);
        assert!(told.len() < 10_000, "{name}: {} bytes", told.len());
        fixture.assert_serves();
    }
}

#[test]
fn a_handshake_that_ends_anywhere_is_forgotten() {
    let fixture = Fixture::new();
    let hello = fixture.client_hello();
    for end in 0..hello.len() {
        let mut stream = tcp(fixture.server.port);
        stream.write_all(&hello[..end]).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        until_the_end(&mut stream);
    }
    fixture.assert_serves();
}

#[test]
fn handshakes_that_take_too_long_end_and_keep_nobody_waiting() {
    let fixture = Fixture::with_patience("2");
    let hello = fixture.client_hello();
    let slow: Vec<TcpStream> = (0..500)
        .map(|number| {
            let mut stream = tcp(fixture.server.port);
            // Silent, within the head of a record, within the ClientHello, and behind it.
            let end = [0, 3, 100, hello.len()][number % 4];
            stream.write_all(&hello[..end]).unwrap();
            stream
        })
        .collect();
    fixture.assert_serves();
    for mut stream in slow {
        until_the_end(&mut stream);
    }
    fixture.assert_serves();
}

/// What is written to it leaves byte by byte.
struct Dripping(TcpStream);

impl Write for Dripping {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(&bytes[..bytes.len().min(1)])
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl Read for Dripping {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

#[test]
fn records_may_arrive_byte_by_byte() {
    let fixture = Fixture::new();
    let mut client = Client::over(fixture.client_over(Dripping(tcp(fixture.server.port))));
    for _ in 0..3 {
        let (status, answer) = client.post("/kmip/2_1", CREATE);
        assert_eq!(status, 200, "{answer}");
    }
}

/// The ClientHello leaves in records of so many bytes each.
struct Fragmenting {
    stream: TcpStream,
    fragment_bytes: usize,
    /// What was written of the ClientHello, until all of it was.
    hello: Option<Vec<u8>>,
}

impl Write for Fragmenting {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Some(hello) = &mut self.hello else { return self.stream.write(bytes) };
        hello.extend_from_slice(bytes);
        if let [HANDSHAKE, 3, _, high, low, message @ ..] = &hello[..]
            && message.len() == usize::from(u16::from_be_bytes([*high, *low]))
        {
            let fragments = message.chunks(self.fragment_bytes);
            let records: Vec<u8> = fragments.flat_map(|fragment| record(HANDSHAKE, fragment)).collect();
            self.stream.write_all(&records)?;
            self.hello = None;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

impl Read for Fragmenting {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stream.read(buffer)
    }
}

#[test]
fn a_client_hello_may_be_in_any_number_of_records() {
    let fixture = Fixture::new();
    for fragment_bytes in [1, 2, 3, 4, 5, 16, 100, 500, 1000] {
        let (stream, hello) = (tcp(fixture.server.port), Some(Vec::new()));
        let mut client = Client::over(fixture.client_over(Fragmenting { stream, fragment_bytes, hello }));
        assert_eq!(client.get("/version").0, 200, "{fragment_bytes}");
    }
}

#[test]
fn data_may_be_in_any_number_of_records_under_any_number_of_keys() {
    let fixture = Fixture::new();
    let mut tls = connect(&fixture.config, &fixture.server);
    assert_eq!(ask(&mut tls, "/version", "").0, 200);
    for byte in b"GET /version HTTP/1.1\r\nHost: h\r\n\r\n" {
        tls.write_all(&[*byte]).unwrap();
        tls.flush().unwrap();
        tls.conn.refresh_traffic_keys().unwrap();
    }
    let mut begin = [0; 12];
    tls.read_exact(&mut begin).unwrap();
    assert_eq!(&begin, b"HTTP/1.1 200");
}

/// Tells `openssl s_client` one thing after the other, each once it has said what was expected of the one before.
fn s_client(fixture: &Fixture, options: &[&str], steps: &[(&str, &str)]) {
    let address = format!("127.0.0.1:{}", fixture.server.port);
    let root = fixture.authority.file("root.pem");
    let mut command = Command::new("sh");
    command.args(["-c", "exec openssl s_client \"$@\" 2>&1", "sh", "-connect", &address, "-CAfile", &root]);
    let mut client = command.args(options).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let (mut stdin, mut stdout) = (client.stdin.take().unwrap(), client.stdout.take().unwrap());
    let mut told = String::new();
    for (input, expected) in steps {
        stdin.write_all(input.as_bytes()).unwrap();
        let before = told.len();
        while !told[before..].contains(expected) {
            let mut buffer = [0; 4096];
            let count = stdout.read(&mut buffer).unwrap();
            assert!(count > 0, "{options:?} {input:?}: no {expected:?} in {told}");
            told += &String::from_utf8_lossy(&buffer[..count]);
        }
    }
    drop(stdin);
    client.wait().unwrap();
}

#[test]
fn nobody_negotiates_again() {
    let fixture = Fixture::new();
    s_client(&fixture, &["-tls1_2"], &[("R\n", "no renegotiation")]);
    s_client(&fixture, &["-tls1_2", "-legacy_renegotiation"], &[("R\n", "no renegotiation")]);
    // TLS 1.3 has updates of keys in its place.
    let request = ("GET /version HTTP/1.1\nHost: h\nConnection: close\n\n", "HTTP/1.1 200");
    let updates = [("K\n", "KEYUPDATE"), ("k\n", "KEYUPDATE"), ("K\n", "KEYUPDATE")];
    s_client(&fixture, &["-tls1_3", "-crlf"], &[&updates[..], &[request]].concat());
    fixture.assert_serves();
}

#[test]
fn idle_connections_take_little_memory() {
    // 10,000 of them in 200 MB.
    const BYTES_MAX: usize = 20_000;
    // So many for a measurement by hand.
    let connections = std::env::var("IDLE_CONNECTIONS").map_or(1000, |count| count.parse().unwrap());
    assert!(keyway::shell::os::allow_open_files(connections).is_ok(), "too few open files are allowed");
    let fixture = Fixture::new();
    let open = || {
        let mut tls = connect_as(&fixture.authority, None, &fixture.server);
        assert_eq!(ask(&mut tls, "/version", "").0, 200);
        tls
    };
    let resident_bytes = || {
        let status = fs::read_to_string(format!("/proc/{}/status", fixture.server.pid())).unwrap();
        let (_, rest) = status.split_once("VmRSS:").unwrap();
        rest.split_whitespace().next().unwrap().parse::<usize>().unwrap() * 1024
    };
    // What the first ones bring with them: code, tables, sessions.
    let first: Vec<_> = (0..50).map(|_| open()).collect();
    let before = resident_bytes();
    let mut idle: Vec<_> = (0..connections).map(|_| open()).collect();
    let each = resident_bytes().saturating_sub(before) / connections;
    println!("{connections} connections, {each} bytes each");
    assert!(each <= BYTES_MAX, "{each} bytes each");
    fixture.assert_serves();
    // They are all still there.
    for tls in idle.iter_mut().step_by(50) {
        assert_eq!(ask(tls, "/version", "").0, 200);
    }
    drop(first);
}
