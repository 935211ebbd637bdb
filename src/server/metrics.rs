//! What the server counts of itself, and `GET /metrics` in the text format of Prometheus (version 0.0.4).
//!
//! Counters are plain numbers of the core, or relaxed atomics where a lane counts. Every label comes from a fixed table:
//! nothing that a client sends makes a new series.
#![forbid(unsafe_code)]

use super::Shared;
use super::event::Listener;
use super::routes::Route;
use crate::job::{Counts, GROUP_BUCKETS, Lane};
use crate::kms::access::Direction;
use crate::pipeline::Endpoint;
use crate::time::{Instant, Now, Timestamp};
use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// What is told of routes, by [`index_of`]: the last one is for what has none.
const ROUTES: [&str; 20] = [
    "/kmip/2_1",
    "/access/grant",
    "/access/revoke",
    "/access/list",
    "/access/owned",
    "/access/obtained",
    "/new_database",
    "/version",
    "/health",
    "/tee/attestation_report",
    "/tee/sgx_enclave_public_key",
    "/metrics",
    "bootstrap",
    "acme",
    "options",
    "unknown",
    "/kmip",
    "/access/create",
    "/access/privileged",
    "malformed",
];
const MALFORMED: usize = ROUTES.len() - 1;
const OPTIONS: usize = 14;

/// What a route is called.
pub fn name_of(route: &Route) -> &'static str {
    ROUTES[index_of(route)]
}

fn index_of(route: &Route) -> usize {
    match route {
        Route::Kms(Endpoint::Kmip) => 0,
        Route::Kms(Endpoint::ChangeAccess(Direction::Grant)) => 1,
        Route::Kms(Endpoint::ChangeAccess(Direction::Revoke)) => 2,
        Route::Kms(Endpoint::ListAccess(_)) => 3,
        Route::Kms(Endpoint::ListOwned) => 4,
        Route::Kms(Endpoint::ListObtained) => 5,
        Route::NewDatabase => 6,
        Route::Version => 7,
        Route::Health(_) => 8,
        Route::AttestationReport(_) => 9,
        Route::EnclavePublicKey => 10,
        Route::Metrics => 11,
        Route::Bootstrap(_) => 12,
        Route::Proof(_) | Route::Elsewhere(..) => 13,
        Route::Options => OPTIONS,
        Route::Unknown | Route::Unimplemented => 15,
        Route::Kms(Endpoint::KmipMessage | Endpoint::KmipBinary | Endpoint::Canonical { .. }) => 16,
        Route::Kms(Endpoint::MayMake) => 17,
        Route::Kms(Endpoint::IsPrivileged) => 18,
    }
}

/// Statuses that are told apart; the last place is for all others.
const STATUSES: [u16; 20] =
    [200, 204, 308, 400, 401, 403, 404, 405, 408, 409, 411, 413, 414, 417, 422, 431, 500, 501, 503, 505];

/// Upper bounds of the latency histogram.
const LATENCY_BUCKETS: [(Duration, &str); 10] = [
    (Duration::from_micros(100), "0.0001"),
    (Duration::from_micros(500), "0.0005"),
    (Duration::from_millis(1), "0.001"),
    (Duration::from_millis(5), "0.005"),
    (Duration::from_millis(10), "0.01"),
    (Duration::from_millis(50), "0.05"),
    (Duration::from_millis(100), "0.1"),
    (Duration::from_millis(500), "0.5"),
    (Duration::from_secs(1), "1"),
    (Duration::from_secs(5), "5"),
];

/// Why a TLS handshake came to nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HandshakeFailure {
    /// The client has no certificate, or not a good one.
    Certificate,
    /// Anything else in the protocol.
    Protocol,
    /// It took too long.
    Timeout,
    /// Somebody speaks plain HTTP.
    PlainHttp,
}

const HANDSHAKE_FAILURES: [&str; 4] = ["certificate", "protocol", "timeout", "plain_http"];

const LISTENERS: [&str; 4] = ["main", "challenge", "bootstrap", "metrics"];

/// When a request was complete, and what it wants: until its answer is handed to the socket.
#[derive(Clone, Copy)]
pub struct Asked {
    route: usize,
    at: Instant,
}

impl Asked {
    /// A request that is complete.
    pub fn new(route: &Route, now: Now) -> Asked {
        Asked { route: index_of(route), at: now.instant }
    }
}

#[derive(Clone, Copy, Default)]
struct Latency {
    counts: [u64; LATENCY_BUCKETS.len() + 1],
    sum: Duration,
}

/// What was counted.
pub struct Metrics {
    started: Timestamp,
    resident_bytes: fn() -> Option<u64>,
    lanes: Arc<Counts>,
    requests: [[u64; STATUSES.len() + 1]; ROUTES.len()],
    latencies: [Latency; ROUTES.len()],
    accepted: [u64; LISTENERS.len()],
    connections_refused: u64,
    handshakes: u64,
    handshake_failures: [u64; HANDSHAKE_FAILURES.len()],
    /// Requests that were refused for want of a good token.
    pub token_refusals: u64,
    /// Sets of keys of issuers of tokens that could not be fetched.
    pub key_set_failures: u64,
    /// Orders of certificates that ended well, and the others.
    pub orders: [u64; 2],
    /// Lines of the audit log that were written, groups that could not be, and lines that were lost.
    pub audit: [u64; 3],
}

impl Metrics {
    /// Nothing was counted yet.
    pub fn new(lanes: Arc<Counts>, resident_bytes: fn() -> Option<u64>, now: Now) -> Metrics {
        Metrics {
            started: now.utc,
            resident_bytes,
            lanes,
            requests: Default::default(),
            latencies: Default::default(),
            accepted: Default::default(),
            connections_refused: 0,
            handshakes: 0,
            handshake_failures: Default::default(),
            token_refusals: 0,
            key_set_failures: 0,
            orders: [0; 2],
            audit: [0; 3],
        }
    }

    /// A request was answered.
    pub fn answered(&mut self, route: Option<&Route>, status: u16) {
        self.count(route.map_or(MALFORMED, index_of), status);
    }

    /// A browser has asked whether it may ask.
    pub fn preflight(&mut self) {
        self.count(OPTIONS, 200);
    }

    fn count(&mut self, route: usize, status: u16) {
        let place = STATUSES.iter().position(|known| *known == status).unwrap_or(STATUSES.len());
        self.requests[route][place] += 1;
    }

    /// An answer was handed to the socket.
    pub fn sent(&mut self, asked: Asked, now: Now) {
        let took = now.instant.saturating_since(asked.at);
        let place = LATENCY_BUCKETS.iter().position(|(most, _)| took <= *most);
        let latency = &mut self.latencies[asked.route];
        latency.counts[place.unwrap_or(LATENCY_BUCKETS.len())] += 1;
        latency.sum += took;
    }

    /// A connection was accepted.
    pub fn accepted(&mut self, listener: Listener) {
        self.accepted[listener as usize] += 1;
    }

    /// One connection too many.
    pub fn connection_refused(&mut self) {
        self.connections_refused += 1;
    }

    /// A TLS handshake is done.
    pub fn handshake(&mut self) {
        self.handshakes += 1;
    }

    /// A TLS handshake came to nothing.
    pub fn handshake_failed(&mut self, failure: HandshakeFailure) {
        self.handshake_failures[failure as usize] += 1;
    }
}

/// The media type of the format.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The text of one answer.
#[derive(Default)]
struct Page {
    text: String,
}

impl Page {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        let _ = writeln!(self.text, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn sample(&mut self, name: &str, labels: &str, value: impl std::fmt::Display) {
        let _ = match labels {
            "" => writeln!(self.text, "{name} {value}"),
            _ => writeln!(self.text, "{name}{{{labels}}} {value}"),
        };
    }

    fn counter(&mut self, name: &str, help: &str, label: &str, samples: &[(&str, u64)]) {
        self.family(name, "counter", help);
        for (value, count) in samples {
            let labels = if label.is_empty() { String::new() } else { format!("{label}=\"{value}\"") };
            self.sample(name, &labels, count);
        }
    }

    fn gauge(&mut self, name: &str, help: &str, value: impl std::fmt::Display) {
        self.family(name, "gauge", help);
        self.sample(name, "", value);
    }

    /// One histogram of a family: `buckets` are the counts between the bounds, and above the last one.
    fn histogram(&mut self, name: &str, labels: &str, bounds: &[&str], counts: &[u64], sum: f64) {
        let separator = if labels.is_empty() { "" } else { "," };
        let mut total = 0;
        for (bound, count) in bounds.iter().copied().chain(["+Inf"]).zip(counts) {
            total += count;
            self.sample(&format!("{name}_bucket"), &format!("{labels}{separator}le=\"{bound}\""), total);
        }
        self.sample(&format!("{name}_sum"), labels, sum);
        self.sample(&format!("{name}_count"), labels, total);
    }
}

impl Shared {
    /// Writes the answer into `self.body`.
    pub(super) fn write_metrics(&mut self) {
        let mut page = Page::default();
        self.write_requests(&mut page);
        self.write_connections(&mut page);
        self.write_tokens(&mut page);
        self.write_lanes(&mut page);
        self.write_certificate(&mut page);
        self.write_process(&mut page);
        self.body.extend_from_slice(page.text.as_bytes());
    }

    fn write_requests(&self, page: &mut Page) {
        let name = "keyway_http_requests_total";
        page.family(name, "counter", "Requests that were answered, by route and status.");
        let statuses = STATUSES.map(|status| status.to_string());
        let statuses = || statuses.iter().map(String::as_str).chain(["other"]);
        for (route, counts) in ROUTES.iter().zip(&self.metrics.requests) {
            for (status, count) in statuses().zip(counts).filter(|(_, count)| **count > 0) {
                page.sample(name, &format!("route=\"{route}\",status=\"{status}\""), count);
            }
        }
        let name = "keyway_http_request_duration_seconds";
        page.family(
            name,
            "histogram",
            "From the complete request to the answer, by the clock that is read once a turn.",
        );
        let bounds = LATENCY_BUCKETS.map(|(_, bound)| bound);
        for (route, latency) in ROUTES.iter().zip(&self.metrics.latencies) {
            let labels = format!("route=\"{route}\"");
            page.histogram(name, &labels, &bounds, &latency.counts, latency.sum.as_secs_f64());
        }
    }

    fn write_connections(&self, page: &mut Page) {
        let metrics = &self.metrics;
        page.gauge("keyway_connections_open", "Connections that are open.", self.open);
        let accepted: Vec<_> = LISTENERS.into_iter().zip(metrics.accepted).collect();
        page.counter(
            "keyway_connections_accepted_total",
            "Connections that were accepted.",
            "listener",
            &accepted,
        );
        let refused = [("", metrics.connections_refused)];
        page.counter(
            "keyway_connections_refused_total",
            "Connections above the cap, told to come back.",
            "",
            &refused,
        );
        let handshakes = [("", metrics.handshakes)];
        page.counter("keyway_tls_handshakes_total", "TLS handshakes that were completed.", "", &handshakes);
        let failures: Vec<_> = HANDSHAKE_FAILURES.into_iter().zip(metrics.handshake_failures).collect();
        page.counter(
            "keyway_tls_handshake_failures_total",
            "TLS handshakes that came to nothing.",
            "cause",
            &failures,
        );
    }

    fn write_tokens(&self, page: &mut Page) {
        page.counter(
            "keyway_token_refusals_total",
            "Requests that were refused for want of a good token.",
            "",
            &[("", self.metrics.token_refusals)],
        );
        page.counter(
            "keyway_key_set_failures_total",
            "Fetches of the keys of token issuers that failed.",
            "",
            &[("", self.metrics.key_set_failures)],
        );
    }

    fn write_lanes(&self, page: &mut Page) {
        let value = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let lanes = &self.metrics.lanes;
        page.family("keyway_lane_jobs_waiting", "gauge", "Jobs that wait in the queue of a lane.");
        for lane in Lane::ALL {
            let labels = format!("lane=\"{}\"", lane.name());
            page.sample("keyway_lane_jobs_waiting", &labels, value(&lanes.of(lane).waiting));
        }
        let refused: Vec<_> = Lane::ALL.map(|lane| (lane.name(), value(&lanes.of(lane).refused))).into();
        page.counter(
            "keyway_lane_jobs_refused_total",
            "Jobs for which a lane had no room.",
            "lane",
            &refused,
        );
        let name = "keyway_commit_requests";
        page.family(name, "histogram", "Requests that were committed in one transaction.");
        let bounds = GROUP_BUCKETS.map(|bound| bound.to_string());
        let bounds: Vec<&str> = bounds.iter().map(String::as_str).collect();
        let counts: Vec<u64> = lanes.groups.iter().map(value).collect();
        page.histogram(name, "", &bounds, &counts, value(&lanes.committed) as f64);
        let [lines, failures, lost] = self.metrics.audit;
        page.counter(
            "keyway_audit_lines_total",
            "Lines that were written to the audit log.",
            "",
            &[("", lines)],
        );
        page.counter(
            "keyway_audit_failures_total",
            "Attempts to write the audit log that failed.",
            "",
            &[("", failures)],
        );
        page.counter("keyway_audit_lost_lines_total", "Lines that were not written.", "", &[("", lost)]);
    }

    fn write_certificate(&self, page: &mut Page) {
        if let Some(certificate) = &self.certificate {
            let expires = certificate.not_after().unix();
            page.gauge(
                "keyway_certificate_expiry_seconds",
                "When the certificate expires, since the epoch.",
                expires,
            );
        }
        let [good, bad] = self.metrics.orders;
        let orders = [("issued", good), ("failed", bad)];
        page.counter(
            "keyway_acme_orders_total",
            "Orders of certificates that have ended.",
            "result",
            &orders,
        );
    }

    fn write_process(&self, page: &mut Page) {
        let name = "keyway_build_info";
        page.family(name, "gauge", "The version that runs; always 1.");
        page.sample(name, concat!("version=\"", env!("CARGO_PKG_VERSION"), "\""), 1);
        let started = self.metrics.started.unix();
        page.gauge("process_start_time_seconds", "When the server started, since the epoch.", started);
        if let Some(bytes) = (self.metrics.resident_bytes)() {
            page.gauge("process_resident_memory_bytes", "Memory that the process has in use.", bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_route_has_a_name_of_its_own() {
        assert_eq!(ROUTES[index_of(&Route::Unknown)], "unknown");
        assert_eq!(ROUTES[index_of(&Route::Options)], "options");
        assert_eq!(ROUTES[index_of(&Route::Metrics)], "/metrics");
        assert_eq!(ROUTES[index_of(&Route::Kms(Endpoint::ListObtained))], "/access/obtained");
        assert_eq!(ROUTES[index_of(&Route::Kms(Endpoint::IsPrivileged))], "/access/privileged");
        assert_eq!(LISTENERS[Listener::Metrics as usize], "metrics");
        assert_eq!(HANDSHAKE_FAILURES[HandshakeFailure::PlainHttp as usize], "plain_http");
    }
}
