//! What the program counts of itself: whole, in the right form, and moved by what was done and nothing else.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod support;

use std::collections::BTreeMap;
use support::certificates::Authority;
use support::issuer::{Key, KeyServer, claims, key_set};
use support::{CREATE, Client, Scratch, Server, keyway_fails, on, value_of, wait_for};

/// The families that there are in any case, and their types.
const FAMILIES: [(&str, &str); 19] = [
    ("keyway_acme_orders_total", "counter"),
    ("keyway_audit_failures_total", "counter"),
    ("keyway_audit_lines_total", "counter"),
    ("keyway_audit_lost_lines_total", "counter"),
    ("keyway_build_info", "gauge"),
    ("keyway_commit_requests", "histogram"),
    ("keyway_connections_accepted_total", "counter"),
    ("keyway_connections_open", "gauge"),
    ("keyway_connections_refused_total", "counter"),
    ("keyway_http_request_duration_seconds", "histogram"),
    ("keyway_http_requests_total", "counter"),
    ("keyway_key_set_failures_total", "counter"),
    ("keyway_lane_jobs_refused_total", "counter"),
    ("keyway_lane_jobs_waiting", "gauge"),
    ("keyway_tls_handshake_failures_total", "counter"),
    ("keyway_tls_handshakes_total", "counter"),
    ("keyway_token_refusals_total", "counter"),
    ("process_resident_memory_bytes", "gauge"),
    ("process_start_time_seconds", "gauge"),
];

/// A page as the format wants it (Prometheus, text format 0.0.4): the type of each family, and the value of each series.
struct Page {
    types: BTreeMap<String, String>,
    series: BTreeMap<String, f64>,
}

impl Page {
    fn parse(text: &str) -> Page {
        assert!(text.ends_with('\n'));
        let mut page = Page { types: BTreeMap::new(), series: BTreeMap::new() };
        let (mut helped, mut family) = (String::new(), String::new());
        for line in text.lines() {
            if let Some(help) = line.strip_prefix("# HELP ") {
                let (name, text) = help.split_once(' ').unwrap();
                assert!(!text.is_empty() && is_name(name), "{line}");
                helped = name.to_owned();
            } else if let Some(kind) = line.strip_prefix("# TYPE ") {
                let (name, kind) = kind.split_once(' ').unwrap();
                assert!(name == helped && ["counter", "gauge", "histogram"].contains(&kind), "{line}");
                assert!(page.types.insert(name.into(), kind.into()).is_none(), "twice: {line}");
                family = name.to_owned();
            } else {
                page.sample(line, &family);
            }
        }
        page.check_histograms();
        page
    }

    fn sample(&mut self, line: &str, family: &str) {
        let (series, value) = line.rsplit_once(' ').unwrap();
        let (name, labels) = match series.split_once('{') {
            Some((name, labels)) => (name, labels.strip_suffix('}').unwrap()),
            None => (series, ""),
        };
        let suffix = name.strip_prefix(family).unwrap_or_else(|| panic!("{line} in {family}"));
        let is_histogram = self.types[family] == "histogram";
        let suffixes: &[&str] = if is_histogram { &["_bucket", "_sum", "_count"] } else { &[""] };
        assert!(suffixes.contains(&suffix) && is_name(name), "{line}");
        for label in labels.split(',').filter(|label| !label.is_empty()) {
            let (name, value) = label.split_once("=\"").unwrap();
            let value = value.strip_suffix('"').unwrap();
            assert!(is_name(name) && !value.contains(['"', '\\', '\n']), "{line}");
        }
        assert!(self.series.insert(series.to_owned(), value.parse().unwrap()).is_none(), "twice: {line}");
    }

    /// Buckets grow, and the last one holds all.
    fn check_histograms(&self) {
        for (series, count) in &self.series {
            let Some((name, labels)) = series.split_once("_bucket{") else { continue };
            let (labels, bound) = labels.rsplit_once("le=\"").unwrap();
            if bound == "+Inf\"}" {
                let labels = labels.trim_end_matches(',');
                let labels = if labels.is_empty() { String::new() } else { format!("{{{labels}}}") };
                assert_eq!(self.series[&format!("{name}_count{labels}")], *count, "{series}");
                let prefix = format!(
                    "{name}_bucket{{{}",
                    series.split_once('{').unwrap().1.rsplit_once("le=").unwrap().0
                );
                let most = self.series.iter().filter(|(other, _)| other.starts_with(&prefix));
                assert!(most.map(|(_, count)| *count).fold(0.0, f64::max) <= *count, "{series}");
            }
        }
    }

    fn get(&self, series: &str) -> f64 {
        self.series.get(series).copied().unwrap_or(0.0)
    }

    /// The series of these names that have changed since, and by how much.
    fn since(&self, before: &Page, names: &[&str]) -> Vec<(String, f64)> {
        let own = self.series.iter().filter(|(series, _)| names.contains(&series.split('{').next().unwrap()));
        let moved = own.map(|(series, value)| (series.clone(), value - before.get(series)));
        moved.filter(|(series, by)| *by != 0.0 && !series.contains("/metrics")).collect()
    }
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
}

/// A server that tells what it counts, and the port where.
fn server(folder: &Scratch, more: &[&str]) -> (Server, u16) {
    let server = Server::start(folder.path(), &[&["--metrics-address", "0"], more].concat());
    let line = "metrics are at http://127.0.0.1:";
    server.wait_for_log(line);
    let port = server.log().split_once(line).unwrap().1.split('/').next().unwrap().parse().unwrap();
    (server, port)
}

fn scrape(port: u16) -> Page {
    let (status, text) = Client::connect(port).get("/metrics");
    assert_eq!(status, 200, "{text}");
    Page::parse(&text)
}

#[test]
fn the_page_is_whole() {
    let folder = Scratch::new();
    let (server, port) = server(&folder, &[]);
    let page = scrape(port);
    let found: Vec<(&str, &str)> =
        page.types.iter().map(|(name, kind)| (name.as_str(), kind.as_str())).collect();
    assert_eq!(found, FAMILIES);
    assert_eq!(page.get(&format!("keyway_build_info{{version=\"{}\"}}", env!("CARGO_PKG_VERSION"))), 1.0);
    assert!(page.get("process_resident_memory_bytes") > 1e6);
    assert!(page.get("process_start_time_seconds") > 1.7e9);
    // Each listener has its own paths.
    let mut client = Client::connect(port);
    assert_eq!(client.get("/version").0, 404);
    assert_eq!(client.post("/kmip/2_1", CREATE).0, 404);
    assert_eq!(Client::connect(server.port).get("/metrics").0, 404);
    assert_eq!(server.terminate().code(), Some(0));
    assert_eq!(keyway_fails(&["--metrics-address", "localhost:"]).0, 2);
}

#[test]
fn counters_move_by_what_was_done() {
    let folder = Scratch::new();
    let log = folder.file("audit.log");
    let (server, port) = server(&folder, &["--audit-log", &log, "--audit-required"]);
    let mut client = Client::connect(server.port);
    assert_eq!(client.get("/version").0, 200);
    let before = scrape(port);
    let uid = value_of("UniqueIdentifier", &client.post("/kmip/2_1", CREATE).1);
    for _ in 0..3 {
        client.post("/kmip/2_1", &on("Get", &uid));
    }
    client.post("/kmip/2_1", &on("Get", "nosuch"));
    client.get("/access/owned");
    client.get("/nowhere");
    let names = [
        "keyway_http_requests_total",
        "keyway_http_request_duration_seconds_count",
        "keyway_commit_requests_count",
        "keyway_commit_requests_sum",
        "keyway_audit_lines_total",
        "keyway_audit_failures_total",
        "keyway_connections_open",
    ];
    let expected = [
        ("keyway_audit_lines_total", 6.0),
        ("keyway_commit_requests_count", 1.0),
        ("keyway_commit_requests_sum", 1.0),
        ("keyway_http_request_duration_seconds_count{route=\"/access/owned\"}", 1.0),
        ("keyway_http_request_duration_seconds_count{route=\"/kmip/2_1\"}", 5.0),
        ("keyway_http_request_duration_seconds_count{route=\"unknown\"}", 1.0),
        ("keyway_http_requests_total{route=\"/access/owned\",status=\"200\"}", 1.0),
        ("keyway_http_requests_total{route=\"/kmip/2_1\",status=\"200\"}", 4.0),
        ("keyway_http_requests_total{route=\"/kmip/2_1\",status=\"422\"}", 1.0),
        ("keyway_http_requests_total{route=\"unknown\",status=\"404\"}", 1.0),
    ];
    let expected: Vec<(String, f64)> = expected.map(|(series, by)| (series.to_owned(), by)).into();
    // The last scrape's own connection may still be open.
    let moved = wait_for("one open connection less", || {
        let moved = scrape(port).since(&before, &names);
        (!moved.iter().any(|(series, _)| series.contains("open"))).then_some(moved)
    });
    assert_eq!(moved, expected);
}

#[test]
fn what_clients_make_up_makes_no_series() {
    let folder = Scratch::new();
    let (server, port) = server(&folder, &[]);
    let ask = |request: &str| Client::connect(server.port).send(request.as_bytes()).unwrap().0;
    let all = |number: usize| {
        ask(&format!("GET /made/up/{number}?{number} HTTP/1.1\r\nhost: {number}\r\n\r\n"));
        ask(&format!("MADEUP{number} / HTTP/1.1\r\nhost: l\r\n\r\n"));
        ask(&format!("GET /access/list/made-up-{number} HTTP/1.1\r\nhost: l\r\norigin: {number}\r\n\r\n"));
        ask(&format!("rubbish {number}\r\n\r\n"));
        Client::connect(server.port).post("/kmip/2_1", &on(&format!("MadeUp{number}"), "x"));
    };
    all(0);
    scrape(port);
    let before: Vec<String> = scrape(port).series.into_keys().collect();
    (1..50).for_each(all);
    let after = scrape(port);
    assert_eq!(after.series.keys().cloned().collect::<Vec<_>>(), before);
    assert!(!after.series.keys().any(|series| series.to_lowercase().contains("made")));
}

#[test]
fn handshakes_are_counted_by_what_became_of_them() {
    let (folder, authority) = (Scratch::new(), Authority::new());
    authority.server("server", "P-256");
    let (bundle, root) = (authority.export("server", "p", &[]), authority.file("root.pem"));
    let arguments =
        ["--https-p12-file", &bundle, "--https-p12-password", "p", "--authority-cert-file", &root];
    let (server, port) = server(&folder, &arguments);
    authority.client("alice");
    let curl = |more: &[&str]| {
        let mut command = std::process::Command::new("curl");
        command.args(["-s", "--cacert", &root]).args(more).arg(server.url("/version")).output().unwrap();
    };
    let files = [".fullchain.pem", ".key"].map(|suffix| authority.file(&format!("alice{suffix}")));
    curl(&["--cert", &files[0], "--key", &files[1]]);
    curl(&[]);
    Client::connect(server.port).get("/version");
    let page = scrape(port);
    let failures =
        |cause: &str| page.get(&format!("keyway_tls_handshake_failures_total{{cause=\"{cause}\"}}"));
    assert_eq!(page.get("keyway_tls_handshakes_total"), 1.0);
    assert_eq!(["certificate", "plain_http", "protocol", "timeout"].map(failures), [1.0, 1.0, 0.0, 0.0]);
    assert!(page.get("keyway_certificate_expiry_seconds") > page.get("process_start_time_seconds"));
    assert_eq!(page.get("keyway_connections_accepted_total{listener=\"main\"}"), 3.0);
}

#[test]
fn refused_tokens_and_failed_fetches_are_counted() {
    let (folder, key) = (Scratch::new(), Key::new("k", "EdDSA"));
    let issuer = KeyServer::new(String::new());
    issuer.set("500 Internal Server Error", String::new());
    let (server, port) = server(&folder, &["--jwt-issuer-uri", &issuer.issuer()]);
    let failures = || scrape(port).get("keyway_key_set_failures_total");
    wait_for("a fetch that fails", || (failures() > 0.0).then_some(()));
    issuer.set("200 OK", key_set(&[&key.jwk("")]));
    wait_for("the keys", || (Client::connect(server.port).get("/health/ready").0 == 200).then_some(()));
    let before = scrape(port);
    let ask = |path: &str, token: &str| {
        let head = format!("GET {path} HTTP/1.1\r\nHost: kms\r\nAuthorization: Bearer {token}\r\n\r\n");
        Client::connect(server.port).send(head.as_bytes()).unwrap().0
    };
    let good = key.sign(&claims(&issuer.issuer(), "alice"));
    assert_eq!(ask("/access/create", &good), 200);
    assert_eq!(ask("/access/privileged", &good), 200);
    assert_eq!(ask("/access/create", "no"), 401);
    assert_eq!(Client::connect(server.port).get("/version").0, 401);
    let names =
        ["keyway_http_requests_total", "keyway_token_refusals_total", "keyway_key_set_failures_total"];
    let moved = scrape(port).since(&before, &names);
    let expected = [
        ("keyway_http_requests_total{route=\"/access/create\",status=\"200\"}", 1.0),
        ("keyway_http_requests_total{route=\"/access/create\",status=\"401\"}", 1.0),
        ("keyway_http_requests_total{route=\"/access/privileged\",status=\"200\"}", 1.0),
        ("keyway_http_requests_total{route=\"/version\",status=\"401\"}", 1.0),
        ("keyway_token_refusals_total", 2.0),
    ];
    assert_eq!(moved, expected.map(|(series, by)| (series.to_owned(), by)));
}
