//! The bootstrap server, by the commands that the documentation of the old server gives: from an empty folder to a key.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test may fail, and says what it leaves out")]
#![allow(clippy::disallowed_methods, reason = "it waits in real time")]

mod support;

use keyway::store::identifier::Identifier;
use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};
use support::browser::Browser;
use support::certificates::Authority;
use support::enclave::{Enclave, REPORT_DATA};
use support::issuer::{Key, KeyServer, claims, key_set};
use support::{
    CREATE, Client, DEADLINE, Scratch, free_port, holds, keyway, keyway_fails, memory_of, on, run, value_of,
    wait_for,
};

/// A server that waits for its owner; key server and bootstrap server share one port.
struct Waiting {
    child: std::process::Child,
    port: u16,
    /// What it has printed at its start.
    printed: Vec<String>,
    log: std::path::PathBuf,
}

impl Waiting {
    fn start(folder: &Path, more: &[&str]) -> Waiting {
        let (mut command, port) = waiting(folder, more);
        Waiting::spawn(folder, &mut command, port)
    }

    fn spawn(folder: &Path, command: &mut Command, port: u16) -> Waiting {
        let log = folder.join("server.log");
        let stderr = std::fs::File::create(&log).unwrap();
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(stderr).spawn().unwrap();
        // All is printed by one write, the pin of the key last but for a token.
        let mut printed = Vec::new();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        while let Some(Ok(line)) = lines.next() {
            let is_last = line.starts_with("public key: ");
            printed.push(line);
            if is_last && !command.get_args().any(|arg| arg == "--bootstrap-token=generate") {
                break;
            }
            if printed.last().unwrap().starts_with("bootstrap token: ") {
                break;
            }
        }
        assert!(printed.len() >= 3, "{printed:?}: {}", std::fs::read_to_string(&log).unwrap());
        Waiting { child, port, printed, log }
    }

    fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }

    /// What was printed after these words.
    fn told(&self, words: &str) -> &str {
        self.printed.iter().find_map(|line| line.strip_prefix(words)).unwrap()
    }

    /// Status and body of the answer to curl with these arguments and a path.
    fn curl(&self, args: &[&str], path: &str) -> (u16, String) {
        let url = format!("https://localhost:{}{path}", self.port);
        let output =
            Command::new("curl").args(["-sk", "-w", "\n%{http_code}"]).args(args).arg(&url).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let (body, status) = text.rsplit_once('\n').unwrap();
        (status.parse().unwrap(), body.to_owned())
    }

    fn post(&self, path: &str, json: &str) -> (u16, String) {
        self.curl(&["-X", "POST", "-H", "Content-Type: application/json", "-d", json], path)
    }

    /// Waits until the key server answers, and how long nobody did.
    fn wait_for_key_server(&self, scheme: &str) -> Duration {
        let start = Instant::now();
        let url = format!("{scheme}://localhost:{}/version", self.port);
        wait_for("the key server", || {
            let output = Command::new("curl").args(["-sk", "--max-time", "2", &url]).output().unwrap();
            String::from_utf8_lossy(&output.stdout).contains("keyway").then_some(())
        });
        start.elapsed()
    }
}

/// The command that starts it, and its port.
fn waiting(folder: &Path, more: &[&str]) -> (Command, u16) {
    let port = free_port();
    let mut command = keyway(&["--use-bootstrap-server", "--hostname", "127.0.0.1", "--log-level", "trace"]);
    let number = port.to_string();
    command
        .args(["--bootstrap-server-port", &number, "--port", &number, "--root-data-path"])
        .arg(folder.join("data"))
        .args(more);
    (command, port)
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const OK: &str = r#"{"success":"Starting the KMS server"}"#;
const PLAIN: &str =
    r#"{"success":"Starting the KMS server with warnings: No PKCS12 file has been supplied"}"#;

#[test]
fn the_documented_commands_lead_to_a_key_over_https_on_the_same_port() {
    let (authority, scratch) = (Authority::new(), Scratch::new());
    authority.server("kms-server", "P-256");
    let p12 = authority.export("kms-server", "PKCS12password", &[]);
    let server = Waiting::start(scratch.path(), &[]);
    let folder = scratch.file("sqlite-data");
    assert_eq!(
        server.post("/sqlite", &format!(r#"{{"path": "{folder}"}}"#)),
        (200, r#"{"success":"Successfully received Sqlite configuration"}"#.into())
    );
    let bytes = std::fs::metadata(&p12).unwrap().len();
    let received = (200, format!(r#"{{"success":"PKCS#12 of {bytes} bytes received"}}"#));
    let file = format!("file=@{p12}");
    assert_eq!(server.curl(&["-X", "POST", "-F", "name=pkcs12", "-F", &file], "/pkcs12"), received);
    // As the old command line client sends it: chunked, under another name.
    let named = format!("file=@{p12};filename=bootstrap.p12;type=application/octet-stream");
    assert_eq!(server.curl(&["-H", "Transfer-Encoding: chunked", "-F", &named], "/pkcs12"), received);
    assert_eq!(
        server.post("/pkcs12-password", r#"{"password": "PKCS12password"}"#),
        (200, r#"{"success":"PKCS#12 password received"}"#.into())
    );
    assert_eq!(server.post("/start", r#"{"clear_database": false}"#), (200, OK.into()));
    server.wait_for_key_server("https");

    let root = authority.file("root.pem");
    let url = format!("https://localhost:{}/kmip/2_1", server.port);
    let ask = |body: &str| run("curl", ["-sS", "--fail-with-body", "--cacert", &root, &url, "-d", body]);
    let uid = value_of("UniqueIdentifier", &ask(CREATE));
    assert_eq!(value_of("Key", &ask(&on("Get", &uid))).len(), 64);
    assert!(Path::new(&folder).join("keyway.redb").exists());
    let backup = scratch.file("backup");
    let made = keyway(&["backup", "--sqlite-path", &folder, &backup]).output().unwrap();
    assert_eq!(String::from_utf8(made.stdout).unwrap(), format!("{backup}: 1 objects and 0 grants\n"));
    assert_eq!(server.curl(&[], "/").0, 404, "the page is gone");
    let log = server.log();
    assert!(log.contains("the key server has taken over, by HTTPS"), "{log}");
    assert!(!log.contains("PKCS12password"), "the password is in the log");
}

#[test]
fn once_it_serves_it_reads_no_files_but_its_own() {
    let (authority, scratch) = (Authority::new(), Scratch::new());
    authority.server("a", "P-256");
    let (folder, own) = (scratch.file("chosen"), scratch.file("own"));
    std::fs::create_dir(&own).unwrap();
    let file = format!("{own}/server.p12");
    authority.export_to(&file, "a", "password", &[]);
    let elsewhere = authority.export("a", "password", &["-legacy"]);
    let server =
        Waiting::start(scratch.path(), &["--https-p12-file", &file, "--https-p12-password", "password"]);
    assert!(server.log().contains("write /"), "{}", server.log());
    assert_eq!(server.post("/sqlite", &format!(r#"{{"path": "{folder}"}}"#)).0, 200);
    assert_eq!(server.post("/start", "{}").0, 200);
    server.wait_for_key_server("https");
    if !server.log().contains("files are restricted") {
        return println!("skipped: the kernel has no Landlock");
    }
    let log = server.log();
    let last = log.lines().rfind(|line| line.contains("files are restricted")).unwrap();
    let (_, allowed) = last.split_once("): ").unwrap();
    let allowed: BTreeSet<&str> = allowed.split(", ").collect();
    assert_eq!(allowed, ["read /etc", &format!("read {own}"), &format!("write {folder}")].into());
    // The lane that reads certificates has followed, and so has that of backups.
    std::fs::remove_file(&file).unwrap();
    std::os::unix::fs::symlink(&elsewhere, &file).unwrap();
    run("kill", ["-s", "HUP", &server.child.id().to_string()]);
    wait_for("the refusal", || server.log().contains("Permission denied").then_some(()));
    let url = format!("https://localhost:{}/kmip/2_1", server.port);
    let root = authority.file("root.pem");
    run("curl", ["-sS", "--fail-with-body", "--cacert", &root, &url, "-d", CREATE]);
    let backup = scratch.file("backup");
    let made = keyway(&["backup", "--sqlite-path", &folder, &backup]).output().unwrap();
    assert_eq!(String::from_utf8(made.stdout).unwrap(), format!("{backup}: 1 objects and 0 grants\n"));
}

#[test]
fn without_a_pkcs12_it_becomes_what_the_command_line_says() {
    let scratch = Scratch::new();
    let server = Waiting::start(scratch.path(), &[]);
    assert_eq!(server.post("/start", "{}"), (200, PLAIN.into()));
    server.wait_for_key_server("http");
    let (status, created) = Client::connect(server.port).post("/kmip/2_1", CREATE);
    assert_eq!(status, 200, "{created}");
    assert!(scratch.path().join("data/sqlite-data/keyway.redb").exists());
}

#[test]
fn the_databases_of_tenants_may_be_what_is_handed_over() {
    let (scratch, tenants) = (Scratch::new(), Scratch::new());
    let server = Waiting::start(scratch.path(), &[]);
    let folder = tenants.file("sqlite-data");
    for path in ["/sqlite-ec", "/sqlite-enc"] {
        assert_eq!(
            server.post(path, &format!(r#"{{"path": "{folder}"}}"#)),
            (200, r#"{"success":"Successfully received Sqlite Enc. configuration"}"#.into())
        );
    }
    assert_eq!(server.post("/new_database", "").0, 404, "not yet");
    assert_eq!(server.post("/start", "{}"), (200, PLAIN.into()));
    server.wait_for_key_server("http");
    let (status, secret) = Client::connect(server.port).post("/new_database", "");
    assert_eq!(status, 200, "{secret}");
    let field = format!("DatabaseSecret: {}", secret.trim_matches('"'));
    let url = format!("http://localhost:{}/kmip/2_1", server.port);
    let ask = |body: &str| run("curl", ["-sS", "--fail-with-body", "-H", &field, &url, "-d", body]);
    let uid = value_of("UniqueIdentifier", &ask(CREATE));
    assert_eq!(value_of("Key", &ask(&on("Get", &uid))).len(), 64);
    assert_eq!(Client::connect(server.port).post("/kmip/2_1", CREATE).0, 401);
    assert!(Path::new(&folder).read_dir().unwrap().count() == 1);
}

#[test]
fn a_fault_is_told_and_the_server_goes_on_waiting_with_what_it_has() {
    let (authority, scratch) = (Authority::new(), Scratch::new());
    authority.server("a", "P-256");
    let p12 = authority.export("a", "right", &[]);
    let server = Waiting::start(scratch.path(), &[]);
    let told = |answer: (u16, String)| {
        assert_eq!(answer.0, 400, "{}", answer.1);
        answer.1.strip_prefix(r#"{"error":""#).unwrap().strip_suffix(r#""}"#).unwrap().to_owned()
    };
    assert_eq!(server.curl(&[], "/version").0, 404);
    assert_eq!(server.curl(&[], "/nope").0, 404);
    assert_eq!(server.curl(&["-X", "DELETE"], "/start").0, 405);
    // Another site's page, in a browser that has accepted the certificate.
    for origin in ["https://evil.example", "http://localhost", "null"] {
        let (status, body) = server.curl(&["-X", "POST", "-H", &format!("Origin: {origin}")], "/start");
        assert_eq!((status, body.contains("another site's page")), (403, true), "{origin}: {body}");
    }
    assert_eq!(
        told(server.post("/sqlite", r#"{"nope": 1}"#)),
        "Json deserialize error: missing field `path` at line 1 column 11"
    );
    assert!(told(server.post("/sqlite", r#"{"path": "run/db"}"#)).contains("must be absolute"));
    assert!(told(server.post("/postgresql", r#"{"url": "notaurl"}"#)).contains("its URL cannot be read"));
    assert!(told(server.post("/mysql", r#"{"nope": 1}"#)).contains("missing field `url`"));
    let nowhere = r#"{"url": "redis://127.0.0.1:1","master_password":"p","findex_label":"l"}"#;
    assert_eq!(server.post("/redis-findex", nowhere).0, 200, "nobody is asked before the start");
    assert!(told(server.post("/start", "{}")).contains("database: the database does not answer"));
    let sealed = format!(r#"{{"path": "{}", "master_password": "p"}}"#, scratch.file("db"));
    assert!(told(server.post("/sqlite-enc", &sealed)).ends_with("give no master secret"));
    let text = scratch.file("text");
    std::fs::write(&text, "no PKCS#12").unwrap();
    let upload =
        |file: &str, kind: &str| server.curl(&["-F", &format!("file=@{file};type={kind}")], "/pkcs12");
    assert_eq!(told(upload(&text, "application/octet-stream")), "the file is no PKCS#12 file");
    assert!(told(upload(&p12, "text/plain")).contains("application/octet-stream"));
    assert!(told(server.post("/pkcs12", "{}")).contains("multipart/form-data"));
    assert_eq!(upload(&p12, "application/octet-stream").0, 200);
    server.post("/pkcs12-password", r#"{"password": "wrong"}"#);
    assert_eq!(told(server.post("/start", "{}")), "PKCS#12: the password is wrong, or the file is damaged");
    assert!(server.curl(&[], "/health").1.contains("the last start failed: PKCS#12: the password is wrong"));
    server.post("/pkcs12-password", r#"{"password": "right"}"#);
    // A file in the place of the folder.
    server.post("/sqlite", &format!(r#"{{"path": "{text}"}}"#));
    assert!(told(server.post("/start", "{}")).starts_with("database: "));
    assert!(
        told(server.post("/start", r#"{"clear_database": "yes"}"#)).starts_with("Json deserialize error")
    );
    // What was right before still counts.
    server.post("/sqlite", &format!(r#"{{"path": "{}"}}"#, scratch.file("db")));
    assert_eq!(server.post("/start", ""), (200, OK.into()));
    server.wait_for_key_server("https");
}

#[test]
fn a_key_server_that_cannot_listen_goes_back_to_its_owner() {
    let scratch = Scratch::new();
    let (port, taken) = (free_port().to_string(), std::net::TcpListener::bind("127.0.0.1:0").unwrap());
    let main = taken.local_addr().unwrap().port().to_string();
    let mut command =
        keyway(&["--use-bootstrap-server", "--hostname", "127.0.0.1", "--bootstrap-server-port", &port]);
    command.args(["--port", &main, "--root-data-path"]).arg(scratch.path().join("data"));
    let mut server = Waiting::spawn(scratch.path(), &mut command, port.parse().unwrap());
    assert_eq!(server.post("/start", "{}").0, 200);
    wait_for("the bootstrap server", || {
        let health = server.curl(&[], "/health").1;
        health.contains("another process listens there").then_some(())
    });
    drop(taken);
    assert_eq!(server.post("/start", "{}").0, 200, "the database was let go of");
    server.port = main.parse().unwrap();
    server.wait_for_key_server("http");
}

#[test]
fn only_the_owner_gets_in_and_wrong_tokens_shut_out() {
    let scratch = Scratch::new();
    let server = Waiting::start(scratch.path(), &["--bootstrap-token=generate"]);
    let token = format!("Authorization: Bearer {}", server.told("bootstrap token: "));
    assert!(!server.log().contains(server.told("bootstrap token: ")), "the token is in the log");
    let denied = |args: &[&str]| {
        let (status, body) = server.curl(args, "/start");
        assert_eq!((status, body.contains("the owner's token is needed")), (401, true), "{body}");
    };
    denied(&["-X", "POST"]);
    assert_eq!(server.curl(&[], "/").0, 200, "the page is for everybody");
    assert_eq!(server.curl(&[], "/health/live"), (200, r#"{"status":"UP"}"#.into()), "it runs,");
    let port = server.port.to_string();
    let health = |more: &[&str]| keyway(&[&["health", "--port", &port], more].concat()).output().unwrap();
    let waits = health(&[]);
    assert_eq!(waits.status.code(), Some(1), "but serves nobody yet");
    assert!(String::from_utf8_lossy(&waits.stderr).contains("waits for its owner"), "{waits:?}");
    assert_eq!(health(&["--live"]).status.code(), Some(0));
    for _ in 0..4 {
        denied(&["-X", "POST", "-H", "Authorization: Bearer wrong"]);
    }
    assert_eq!(
        server.curl(&["-X", "POST", "-H", &token, "-d", r#"{"password":"p"}"#], "/pkcs12-password").0,
        200
    );
    // The right token has cleared the count: five more.
    for _ in 0..5 {
        denied(&["-X", "POST", "-H", "Authorization: Bearer wrong"]);
    }
    assert_eq!(server.curl(&["-X", "POST", "-H", &token], "/start").0, 0, "nothing is heard from here now");
    assert!(server.log().contains("5 wrong tokens, shut out for 300 s"));
}

#[test]
fn the_certificate_is_for_its_names_and_has_the_printed_pins() {
    let scratch = Scratch::new();
    let more = ["--bootstrap-server-common-name", "kms.internal", "--bootstrap-server-expiration-days", "7"];
    let server = Waiting::start(scratch.path(), &more);
    let pin = server.told("public key: ").to_owned();
    let pinned = server.curl(&["--pinnedpubkey", &pin], "/health");
    assert_eq!(pinned.0, 503, "{}", pinned.1);
    assert_eq!(
        server.curl(&["--pinnedpubkey", "sha256//AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="], "/health").0,
        0
    );
    let at = format!("127.0.0.1:{}", server.port);
    let pem = scratch.file("cert.pem");
    std::fs::write(&pem, run("openssl", ["s_client", "-connect", &at])).unwrap();
    let text = run(
        "openssl",
        ["x509", "-in", &pem, "-noout", "-subject", "-nameopt", "RFC2253", "-ext", "subjectAltName"],
    );
    assert!(
        text.starts_with("subject=CN=kms.internal,O=Cosmian Tech,C=FR,L=Paris,ST=Ile-de-France\n"),
        "{text}"
    );
    for name in ["DNS:kms.internal", "DNS:localhost", "IP Address:127.0.0.1"] {
        assert!(text.contains(name), "{name}: {text}");
    }
    let dates =
        run("openssl", ["x509", "-in", &pem, "-noout", "-fingerprint", "-sha256", "-checkend", "518400"]);
    let fingerprint = server.told("certificate: sha256 ").to_uppercase();
    assert!(dates.replace(':', "").contains(&fingerprint), "{dates}");
    // Trusted by its own certificate, for its names.
    let url = format!("https://localhost:{}/health", server.port);
    let health = Command::new("curl").args(["-s", "--cacert", &pem, &url]).output().unwrap();
    assert!(String::from_utf8(health.stdout).unwrap().contains("the server waits for its owner"));
}

/// How openssl shows the certificate of a server that listens there.
fn text_of_certificate(port: u16, scratch: &Scratch) -> String {
    let pem = scratch.file("cert.pem");
    std::fs::write(&pem, run("openssl", ["s_client", "-connect", &format!("127.0.0.1:{port}")])).unwrap();
    run("openssl", ["x509", "-in", &pem, "-noout", "-text", "-nameopt", "RFC2253"])
}

#[test]
fn an_enclave_vouches_for_the_certificate_as_documented() {
    let (scratch, Some(enclave)) = (Scratch::new(), Enclave::new()) else { return };
    let (command, port) = waiting(scratch.path(), &["--ensure-ra-tls"]);
    let quoted = enclave.quote();
    let server = Waiting::spawn(scratch.path(), &mut enclave.mounts.within(&command), port);
    let quote = quoted.join().unwrap();
    assert!(server.log().contains("SGX vouches for the key of the bootstrap server (RA-TLS)"));

    let text = text_of_certificate(port, &scratch);
    for part in [
        "            1.2.840.113741.1337.6: \n",
        "Subject: CN=cosmian.kms,O=Cosmian Tech,C=FR,L=Paris,ST=Ile-de-France\n",
        "X509v3 Basic Constraints: critical\n                CA:TRUE\n",
        "DNS:localhost, IP Address:127.0.0.1\n",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }

    let documentation =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/bootstrap.md")).unwrap();
    let blocks = documentation.split("```sh\n").skip(1).map(|block| block.split("```").next().unwrap());
    let commands = blocks.collect::<String>().replace("kms-server:9998", &format!("localhost:{port}"));
    let script = format!("cd '{}'\n{commands}", scratch.path().display());
    let told = run("bash", ["-euo", "pipefail", "-c", &script]);
    let (same_key, health) = told.split_once('\n').unwrap();
    assert_eq!(same_key, "the quote is for this key");
    assert!(health.contains("the server waits for its owner"), "{health}");
    let carried = std::fs::read(scratch.path().join("quote")).unwrap();
    assert!(carried == quote, "{} and {} bytes", carried.len(), quote.len());
    assert_eq!(quote[REPORT_DATA][32..], [0; 32]);

    assert_eq!(server.post("/start", "{}"), (200, PLAIN.into()));
    server.wait_for_key_server("http");
}

#[test]
fn a_server_that_nothing_vouches_for_says_so_or_does_not_start() {
    const CURE: &str = "run the server where SEV-SNP or SGX (Gramine) gives quotes, or remove the option";
    let scratch = Scratch::new();
    let data = scratch.file("data");
    let ensure = ["--use-bootstrap-server", "--bootstrap-server-port", "0", "--ensure-ra-tls", "--log-level"];
    let ensure = [&ensure[..], &["error", "--hostname", "127.0.0.1", "--root-data-path", &data]].concat();
    assert_eq!(
        keyway_fails(&ensure),
        (
            2,
            format!(
                "keyway: --ensure-ra-tls: this machine has no /sys/kernel/config/tsm/report that can be written to, no \
                 /dev/sev-guest and no /dev/attestation/quote; {CURE}\n"
            )
        )
    );
    let server = Waiting::start(scratch.path(), &[]);
    assert!(!server.log().contains("vouch"), "{}", server.log());

    let Some(enclave) = Enclave::new() else { return };
    let refused_and_warned_of = |reason: &str| {
        let output = enclave.mounts.within(&keyway(&ensure)).output().unwrap();
        let told = String::from_utf8(output.stderr).unwrap();
        assert_eq!(
            (output.status.code(), told),
            (Some(2), format!("keyway: --ensure-ra-tls: {reason}; {CURE}\n"))
        );
        assert!(output.stdout.is_empty(), "nothing was started");
        let scratch = Scratch::new();
        let (command, port) = waiting(scratch.path(), &[]);
        let server = Waiting::spawn(scratch.path(), &mut enclave.mounts.within(&command), port);
        let warning = format!("the platform does not vouch for the key of the bootstrap server: {reason}");
        assert!(server.log().contains(&warning), "{}", server.log());
        let text = text_of_certificate(port, &scratch);
        assert!(text.contains("DNS:localhost"), "{text}");
        assert!(!text.contains("1.2.840.113741") && !text.contains("CA:TRUE"), "{text}");
    };
    enclave.always_quote(b"");
    refused_and_warned_of("/dev/attestation/quote: is empty: Gramine was not set up for quotes");
    enclave.always_quote(&[7; 4734]);
    refused_and_warned_of("the quote of SGX, 4734 bytes, is not over what was asked for");
    enclave.add_sev_guest();
    refused_and_warned_of(
        "/dev/sev-guest: Inappropriate ioctl for device (os error 25) (firmware and hypervisor say 0x0)",
    );
}

#[test]
fn a_server_that_nobody_provisions_in_time_listens_no_more() {
    let scratch = Scratch::new();
    let server = Waiting::start(scratch.path(), &["--bootstrap-window", "1"]);
    wait_for("the closed port", || TcpStream::connect(("127.0.0.1", server.port)).err());
    assert!(server.log().contains("nobody has provisioned this server in time"));
}

#[test]
fn a_thousand_slow_clients_do_not_keep_the_owner_out() {
    let scratch = Scratch::new();
    let server = Waiting::start(scratch.path(), &[]);
    let slow: Vec<TcpStream> = (0..1000)
        .map(|number| {
            let mut stream = TcpStream::connect(("127.0.0.1", server.port)).unwrap();
            // Silent ones, half a handshake, rubbish.
            let _ = stream.write_all([&b""[..], &[22, 3, 1, 2, 0], b"GARBAGE\0"][number % 3]);
            stream
        })
        .collect();
    let start = Instant::now();
    assert_eq!(server.post("/start", "{}").0, 200);
    server.wait_for_key_server("http");
    assert!(start.elapsed() < DEADLINE);
    drop(slow);
}

#[test]
fn a_client_that_polls_sees_a_short_refusal_at_most() {
    let scratch = Scratch::new();
    let server = Waiting::start(scratch.path(), &[]);
    let port = server.port;
    let polling = thread::spawn(move || {
        let start = Instant::now();
        let mut answers = Vec::new();
        while start.elapsed() < Duration::from_secs(3) {
            answers.push(TcpStream::connect(("127.0.0.1", port)).is_ok());
            thread::sleep(Duration::from_millis(5));
        }
        answers
    });
    assert_eq!(server.post("/start", "{}").0, 200);
    server.wait_for_key_server("http");
    let answers = polling.join().unwrap();
    let refused = answers.iter().filter(|is_taken| !**is_taken).count();
    assert!(refused * 4 < answers.len(), "{refused} of {}", answers.len());
    assert_eq!(answers.last(), Some(&true), "nobody listens");
}

#[test]
fn the_password_is_not_in_memory_once_it_was_used() {
    const PASSWORD: &str = "Rumpelstiltskin-4711";
    let (authority, scratch) = (Authority::new(), Scratch::new());
    authority.server("a", "P-256");
    let p12 = authority.export("a", PASSWORD, &[]);
    let server = Waiting::start(scratch.path(), &[]);
    assert_eq!(server.curl(&["-F", &format!("file=@{p12}")], "/pkcs12").0, 200);
    assert_eq!(server.post("/pkcs12-password", &format!(r#"{{"password": "{PASSWORD}"}}"#)).0, 200);
    let Some(before) = memory_of(server.child.id(), &scratch) else { return };
    assert!(holds(&before, PASSWORD.as_bytes()), "the dump shows what is in memory");
    assert_eq!(server.post("/start", "{}"), (200, OK.into()));
    server.wait_for_key_server("https");
    let after = memory_of(server.child.id(), &scratch).unwrap();
    assert!(!holds(&after, PASSWORD.as_bytes()), "the password is still in memory");
}

#[test]
fn the_page_leads_to_a_key_server_in_a_browser() {
    let (authority, scratch) = (Authority::new(), Scratch::new());
    authority.server("a", "P-256");
    let p12 = authority.export("a", "page password", &[]);
    let server = Waiting::start(scratch.path(), &["--bootstrap-token=generate"]);
    let pictures = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let picture = |name: &str| pictures.join(name).to_str().unwrap().to_owned();
    let browser = Browser::start();
    browser.open(&format!("https://localhost:{}/", server.port));
    assert_eq!(browser.text("#pin"), server.told("public key: "));
    browser.screenshot(&picture("first-start.png"));

    // Without the token, then with a wrong password: it says what is wrong, and waits.
    let result = |expected: &str| {
        wait_for(expected, || browser.text("#result").contains(expected).then_some(()));
    };
    browser.click("#start");
    result("the owner's token is needed");
    browser.type_into("#token", server.told("bootstrap token: "));
    browser.click("#kind option[value='/sqlite']");
    browser.type_into("#place", &scratch.file("keys"));
    browser.type_into("#master", "a master password");
    browser.type_into("#file", &p12);
    browser.type_into("#password", "wrong");
    browser.click("#start");
    result("PKCS#12: the password is wrong");
    browser.screenshot(&picture("first-start-refused.png"));
    for _ in 0.."wrong".len() {
        browser.type_into("#password", "\u{E003}");
    }
    browser.type_into("#password", "page password");
    browser.click("#start");
    result("Starting the KMS server");
    browser.screenshot(&picture("first-start-done.png"));
    server.wait_for_key_server("https");
    let url = format!("https://localhost:{}/kmip/2_1", server.port);
    let created =
        run("curl", ["-sS", "--fail-with-body", "--cacert", &authority.file("root.pem"), &url, "-d", CREATE]);
    assert!(created.contains("CreateResponse"), "{created}");
    let file = std::fs::read(scratch.path().join("keys/keyway.redb")).unwrap();
    let uid = value_of("UniqueIdentifier", &created);
    let stored = Identifier::of(&uid);
    assert!(!file.windows(stored.as_ref().len()).any(|part| part == stored.as_ref()), "it is sealed");
}

#[test]
fn the_page_asks_for_what_each_database_needs() {
    let scratch = Scratch::new();
    let server = Waiting::start(scratch.path(), &[]);
    let browser = Browser::start();
    browser.open(&format!("https://localhost:{}/", server.port));
    browser.click("#kind option[value='/redis-findex']");
    browser.type_into("#place", "mysql://elsewhere");
    browser.type_into("#master", "p");
    browser.type_into("#label", "l");
    browser.click("#start");
    let result = |expected: &str| {
        wait_for(expected, || browser.text("#result").contains(expected).then_some(()));
    };
    result("its URL is of another kind: redis://");
    let pictures = Path::new(env!("CARGO_TARGET_TMPDIR"));
    browser.screenshot(pictures.join("first-start-databases.png").to_str().unwrap());
    for _ in 0.."mysql://elsewhere".len() {
        browser.type_into("#place", "\u{E003}");
    }
    browser.type_into("#place", "redis://127.0.0.1:1");
    browser.click("#start");
    result("database: the database does not answer: redis://127.0.0.1:1");
    browser.click("#kind option[value='/sqlite-enc']");
    for _ in 0.."redis://127.0.0.1:1".len() {
        browser.type_into("#place", "\u{E003}");
    }
    browser.type_into("#place", &scratch.file("tenants"));
    browser.click("#start");
    result("Starting the KMS server");
    server.wait_for_key_server("http");
    let url = format!("http://localhost:{}/new_database", server.port);
    assert!(run("curl", ["-sS", "--fail-with-body", "-X", "POST", &url]).starts_with('"'));
}

#[test]
fn an_owner_may_be_known_by_a_certificate() {
    let (authority, scratch) = (Authority::new(), Scratch::new());
    authority.server("a", "P-256");
    authority.client("owner");
    let (p12, root) = (authority.export("a", "p", &[]), authority.file("root.pem"));
    let server = Waiting::start(scratch.path(), &["--authority-cert-file", &root]);
    assert_eq!(server.curl(&[], "/").0, 0, "nothing is heard without a certificate");
    let (cert, key) = (authority.file("owner.fullchain.pem"), authority.file("owner.key"));
    let owner = ["--cert", &cert, "--key", &key];
    let post = |more: &[&str], path: &str| server.curl(&[&owner[..], more].concat(), path).0;
    let (status, told) = server.curl(&[&owner[..], &["-X", "POST"]].concat(), "/start");
    assert_eq!((status, told.contains("hand over a PKCS#12 file")), (400, true), "{told}");
    assert_eq!(post(&["-F", &format!("file=@{p12}")], "/pkcs12"), 200);
    assert_eq!(post(&["-d", r#"{"password":"p"}"#], "/pkcs12-password"), 200);
    assert_eq!(post(&["-X", "POST"], "/start"), 200);
    // The key server asks for certificates too, and knows its users by them.
    let created = wait_for("the key server", || {
        let (status, body) = server.curl(&[&owner[..], &["-d", CREATE]].concat(), "/kmip/2_1");
        (status == 200).then_some(body)
    });
    assert!(created.contains("CreateResponse"), "{created}");
    assert_eq!(server.curl(&[], "/version").0, 0);
}

#[test]
fn an_owner_whose_certificate_is_revoked_meanwhile_is_refused() {
    let (authority, scratch) = (Authority::new(), Scratch::new());
    authority.client("owner");
    let (root, lists) = (authority.file("root.pem"), authority.revoke(&[], 3600));
    let server =
        Waiting::start(scratch.path(), &["--authority-cert-file", &root, "--authority-crl-file", &lists]);
    let (cert, key) = (authority.file("owner.fullchain.pem"), authority.file("owner.key"));
    let owner = ["--cert", &cert, "--key", &key];
    assert_eq!(server.curl(&owner, "/").0, 200);
    let mut begun = TcpStream::connect(("127.0.0.1", server.port)).unwrap();
    begun.write_all(&[22, 3, 1, 2, 0]).unwrap();
    // Nobody says that it is to be read again.
    authority.revoke(&["owner"], 3600);
    wait_for("the new lists", || server.log().contains("2 new revocation lists").then_some(()));
    assert_eq!(server.curl(&owner, "/").0, 0);
    begun.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
    assert_eq!(begun.read(&mut [0; 1]).unwrap(), 0, "a handshake that began before");
}

#[test]
fn an_owner_may_be_known_by_a_token_of_an_issuer() {
    let (key, scratch) = (Key::new("k", "ES256"), Scratch::new());
    let keys = KeyServer::new(key_set(&[&key.jwk("")]));
    let issuer = keys.issuer();
    let options = ["--jwt-issuer-uri", &issuer, "--jwt-audience", "kms"];
    let server = Waiting::start(scratch.path(), &options);
    wait_for("the keys", || server.log().contains("were fetched").then_some(()));
    let field = |key: &Key| format!("Authorization: Bearer {}", key.sign(&claims(&issuer, "owner")));
    let (owner, stranger) = (field(&key), field(&key.renamed("other", "ES256")));
    let start = ["-X", "POST", "-d", "{}"];
    assert_eq!(server.curl(&start, "/start"), (401, String::new()));
    assert_eq!(server.curl(&[&start[..], &["-H", &stranger]].concat(), "/start"), (401, String::new()));
    assert_eq!(server.curl(&[], "/health").0, 503, "its state is for everybody");
    let (status, told) = server.curl(&[&start[..], &["-H", &owner]].concat(), "/start");
    assert_eq!((status, told.as_str()), (200, PLAIN));
    // The key server asks for tokens too.
    let mut client = wait_for("the key server", || Client::try_connect(server.port).ok());
    assert_eq!(client.get("/version"), (401, String::new()));
    let log = server.log();
    assert!(log.contains("tokens travel in the clear: hand over a PKCS#12 file"), "{log}");
}

#[test]
fn a_server_that_is_asked_to_end_does_so_at_any_time() {
    for start_first in [false, true] {
        let scratch = Scratch::new();
        let mut server = Waiting::start(scratch.path(), &[]);
        if start_first {
            assert_eq!(server.post("/start", "{}").0, 200);
        }
        run("kill", ["-s", "TERM", &server.child.id().to_string()]);
        let status = wait_for("the end of the server", || server.child.try_wait().unwrap());
        assert_eq!(status.code(), Some(0), "started: {start_first}");
        let log = server.log();
        // On a busy machine, the key server may have taken over before it was asked to end.
        let (_, afterwards) = log.split_once("shutting down").unwrap();
        assert!(!afterwards.contains("has taken over"), "{log}");
    }
}
