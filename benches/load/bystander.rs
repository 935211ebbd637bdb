//! Who encrypts does not wait for the disk: its latency while others create keys.

use crate::Bench;
use crate::answers::{PATH, encrypt_32_bytes};
use crate::client::{Client, HYBRID, tls};
use crate::report::{Report, Target, median, number};
use crate::servers::Keyway;
use crate::support::{CREATE, value_of};
use crate::wrk::Load;
use rustls::ClientConfig;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

/// Connections that create.
const CREATING: usize = 64;
/// Connections that encrypt.
const ENCRYPTING: usize = 2;
const TARGET_P99_MS: f64 = 5.0;

pub fn measure(bench: &Bench, report: &mut Report) {
    let config = tls(HYBRID);
    let (mut alone, mut beside) = (Vec::new(), Vec::new());
    for _ in 0..bench.rounds {
        let keyway = Keyway::start(bench, true);
        let port = keyway.server.port;
        let uid = value_of("UniqueIdentifier", &Client::connect(port, Some(&config)).post(PATH, CREATE));
        let request = encrypt_32_bytes(&uid);
        alone.push(p99_ms(bench.duration, port, &config, &request));
        let creating = Load::posting(CREATE, CREATING);
        // It begins before the measurement and ends after it.
        let mut creating = creating.spawn(&keyway.server.url(PATH), bench.duration + Duration::from_secs(2));
        thread::sleep(Duration::from_secs(1));
        beside.push(p99_ms(bench.duration, port, &config, &request));
        assert!(creating.try_wait().unwrap().is_none(), "keys were created all the time");
        assert!(creating.wait().unwrap().success());
    }
    let (alone, beside) = (median(alone), median(beside));
    report.add(
        "Encrypt, p99 while 64 connections create",
        format!("{} ms", number(beside)),
        format!("alone {} ms", number(alone)),
        beside,
        " ms",
        Target::AtMost(TARGET_P99_MS),
    );
}

fn p99_ms(duration: Duration, port: u16, config: &Arc<ClientConfig>, request: &str) -> f64 {
    let end = Instant::now() + duration;
    let encrypt = || {
        let mut client = Client::connect(port, Some(config));
        client.post(PATH, request); // The handshake.
        let mut latencies = Vec::new();
        let mut before = Instant::now();
        while before < end {
            client.post(PATH, request);
            let after = Instant::now();
            latencies.push((after - before).as_secs_f64() * 1e3);
            before = after;
        }
        latencies
    };
    let mut latencies: Vec<f64> = thread::scope(|scope| {
        let clients: Vec<_> = (0..ENCRYPTING).map(|_| scope.spawn(encrypt)).collect();
        clients.into_iter().flat_map(|client| client.join().unwrap()).collect()
    });
    latencies.sort_by(f64::total_cmp);
    latencies[latencies.len() * 99 / 100]
}
