//! What testssl.sh and sslscan, as Debian has them, find in the server's TLS: nothing that is worse than "low".
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::process::{Command, Stdio};
use support::certificates::Authority;
use support::{Scratch, Server, run};

/// What testssl.sh calls low, and why it stays: see docs/tls.md.
const LOW: [&str; 1] = ["HSTS"];

/// A server with a certificate for localhost by an authority, in files.
struct Subject {
    authority: Authority,
    scratch: Scratch,
    server: Server,
}

impl Subject {
    fn new(key: &str, more: &[&str]) -> Subject {
        let (authority, scratch) = (Authority::new(), Scratch::new());
        authority.server_valid("server", key, &["-days", "80"]);
        let p12 = authority.export("server", "password", &[]);
        let own = ["--https-p12-file", &p12, "--https-p12-password", "password"];
        let server = Server::start(scratch.path(), &[&own, more].concat());
        Subject { authority, scratch, server }
    }

    fn at(&self) -> String {
        format!("localhost:{}", self.server.port)
    }

    /// Has testssl.sh look at these things, each group in a process of its own: the severities of its findings.
    fn testssl(&self, groups: &[&[&str]]) -> BTreeMap<String, String> {
        let files: Vec<String> = (0..groups.len()).map(|n| self.scratch.file(&format!("{n}.csv"))).collect();
        let root = self.authority.file("root.pem");
        let running = groups.iter().zip(&files).map(|(group, file)| {
            let mut command = Command::new("testssl");
            command.args(["--quiet", "--color=0", "--warnings=batch", "--nodns=none", "--ip=127.0.0.1"]);
            command.args(["--add-ca", &root, "--csvfile", file]).args(*group).arg(self.at());
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
        });
        let running: Vec<_> = running.collect();
        for mut process in running {
            process.wait().unwrap();
        }
        let csv: String = files.iter().map(|file| fs::read_to_string(file).unwrap()).collect();
        // "id","fqdn/ip","port","severity","finding","cve","cwe"
        let lines = csv.lines().filter(|line| !line.starts_with("\"id\""));
        let fields = lines.map(|line| line.trim_matches('"').split("\",\"").collect::<Vec<_>>());
        fields.map(|fields| (fields[0].to_owned(), fields[3].to_owned())).collect()
    }

    /// What sslscan says: the lines that begin with one of these.
    fn sslscan(&self, beginnings: &[&str]) -> String {
        sslscan(&self.at(), beginnings)
    }
}

fn sslscan(at: &str, beginnings: &[&str]) -> String {
    let told = run("sslscan", ["--no-colour", "--no-heartbleed", "--no-fallback", at]);
    let lines = told.lines().filter(|line| beginnings.iter().any(|beginning| line.starts_with(beginning)));
    lines.map(|line| format!("{}\n", line.split_whitespace().collect::<Vec<_>>().join(" "))).collect()
}

/// Nothing is worse than low, what is low is known, and these were looked at and found good.
fn assert_sound(findings: &BTreeMap<String, String>, good: &[&str]) {
    for (id, severity) in findings {
        let (id, severity) = (id.as_str(), severity.as_str());
        let is_fine = match severity {
            // A warning is about what it could not find out: what must be found out is in the list.
            "OK" | "INFO" | "WARN" => true,
            "LOW" => LOW.contains(&id),
            _ => false,
        };
        assert!(is_fine, "{id}: {severity}");
    }
    for id in good {
        assert_eq!(findings.get(*id).map(String::as_str), Some("OK"), "{id}: {findings:#?}");
    }
}

#[test]
fn testssl_finds_nothing_above_low() {
    let subject = Subject::new("P-256", &[]);
    // Protocols, kinds of ciphers, forward secrecy, preferences, header fields; the certificate, known vulnerabilities.
    let findings = subject.testssl(&[&["-p", "-s", "-f", "-P", "-h"], &["-S", "-U"]]);
    assert_sound(
        &findings,
        &[
            "SSLv2",
            "SSLv3",
            "TLS1_2",
            "TLS1_3",
            "cipherlist_NULL",
            "cipherlist_aNULL",
            "cipherlist_EXPORT",
            "cipherlist_LOW",
            "cipherlist_STRONG",
            "PFS",
            "cipher_order",
            "protocol_negotiated",
            "cert_trust",
            "cert_chain_of_trust",
            "cert_signatureAlgorithm",
            "cert_keySize",
            "heartbleed",
            "CCS",
            "ticketbleed",
            "ROBOT",
            "secure_renego",
            "secure_client_renego",
            "CRIME_TLS",
            "BREACH",
            "POODLE_SSL",
            "fallback_SCSV",
            "SWEET32",
            "FREAK",
            "DROWN",
            "LOGJAM",
            "BEAST",
            "LUCKY13",
            "RC4",
        ],
    );
}

#[test]
fn testssl_finds_nothing_above_low_with_an_rsa_key_either() {
    let subject = Subject::new("RSA-2048", &[]);
    let findings = subject.testssl(&[&["-s", "-P", "-S", "-BB"]]);
    assert_sound(
        &findings,
        &[
            "cipherlist_LOW",
            "cipherlist_STRONG",
            "cipher_order",
            "cert_trust",
            "cert_chain_of_trust",
            "ROBOT",
        ],
    );
}

const PROTOCOLS: &str = "\
SSLv2 disabled
SSLv3 disabled
TLSv1.0 disabled
TLSv1.1 disabled
TLSv1.2 enabled
TLSv1.3 enabled
";

#[test]
fn sslscan_sees_two_versions_and_suites_with_authentication_alone() {
    let told = Subject::new("P-256", &[]).sslscan(&["SSLv", "TLSv1.", "Session", "Preferred", "Accepted"]);
    let suites = "\
Session renegotiation not supported
Preferred TLSv1.3 256 bits TLS_AES_256_GCM_SHA384 Curve 25519 DHE 253
Accepted TLSv1.3 128 bits TLS_AES_128_GCM_SHA256 Curve 25519 DHE 253
Accepted TLSv1.3 256 bits TLS_CHACHA20_POLY1305_SHA256 Curve 25519 DHE 253
Preferred TLSv1.2 256 bits ECDHE-ECDSA-AES256-GCM-SHA384 Curve 25519 DHE 253
Accepted TLSv1.2 128 bits ECDHE-ECDSA-AES128-GCM-SHA256 Curve 25519 DHE 253
Accepted TLSv1.2 256 bits ECDHE-ECDSA-CHACHA20-POLY1305 Curve 25519 DHE 253
";
    let groups = "\
TLSv1.3 128 bits secp256r1 (NIST P-256)
TLSv1.3 192 bits secp384r1 (NIST P-384)
TLSv1.3 128 bits x25519
";
    assert_eq!(told, format!("{PROTOCOLS}{suites}{groups}"));
}

#[test]
fn sslscan_sees_no_more_of_a_server_that_asks_for_certificates_or_waits_for_its_owner() {
    let clients = Authority::new();
    let strict = Subject::new("P-256", &["--authority-cert-file", &clients.file("root.pem")]);
    let scratch = Scratch::new();
    let waiting = Server::start(scratch.path(), &["--use-bootstrap-server", "--bootstrap-server-port=0"]);
    for at in [strict.at(), format!("localhost:{}", waiting.port)] {
        assert_eq!(sslscan(&at, &["SSLv", "TLSv1.0", "TLSv1.1", "TLSv1.2 ", "TLSv1.3   "]), PROTOCOLS);
    }
}
