//! Who encrypts waits neither for the disk nor for long computations: its latency while others create keys, and beside the
//! generation of RSA keys. The server generates none yet, and a lane would do it: a thread of the server's core, at no other
//! priority than the rest. Here a thread of the benchmark is that.

use crate::Bench;
use crate::answers::{PATH, encrypt_32_bytes};
use crate::client::{Client, HYBRID, tls};
use crate::report::{Report, Target, median, number};
use crate::servers::Keyway;
use crate::support::{CREATE, value_of};
use crate::wrk::Load;
use openssl::rsa::Rsa;
use rustls::ClientConfig;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant};

/// Connections that create.
const CREATING: usize = 64;
/// Connections that encrypt beside them.
const ENCRYPTING: usize = 2;
const TARGET_P99_MS: f64 = 5.0;
/// Connections that encrypt while keys are generated.
const LOADING: usize = 8;
const TARGET_P999_MS: f64 = 10.0;
const KEY_BITS: u32 = 4096;

pub fn measure(bench: &Bench, report: &mut Report) {
    beside_creation(bench, report);
    beside_generation(bench, report);
}

fn beside_creation(bench: &Bench, report: &mut Report) {
    let config = tls(HYBRID);
    let (mut alone, mut beside) = (Vec::new(), Vec::new());
    for _ in 0..bench.rounds {
        let keyway = Keyway::start(bench, true);
        let port = keyway.server.port;
        let uid = value_of("UniqueIdentifier", &Client::connect(port, Some(&config)).post(PATH, CREATE));
        let request = encrypt_32_bytes(&uid);
        let p99_ms = || percentile(&latencies_ms(ENCRYPTING, bench.duration, port, &config, &request), 99.0);
        alone.push(p99_ms());
        let creating = Load::posting(CREATE, CREATING);
        // It begins before the measurement and ends after it.
        let mut creating = creating.spawn(&keyway.server.url(PATH), bench.duration + Duration::from_secs(2));
        thread::sleep(Duration::from_secs(1));
        beside.push(p99_ms());
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

fn beside_generation(bench: &Bench, report: &mut Report) {
    let config = tls(HYBRID);
    let (mut alone, mut beside, mut keys) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..bench.rounds {
        let keyway = Keyway::start(bench, true);
        let port = keyway.server.port;
        let uid = value_of("UniqueIdentifier", &Client::connect(port, Some(&config)).post(PATH, CREATE));
        let request = encrypt_32_bytes(&uid);
        let encrypt = || latencies_ms(LOADING, bench.duration, port, &config, &request);
        alone.push(encrypt());
        let (latencies, generated) = while_generating(bench, encrypt);
        beside.push(latencies);
        keys.push(generated);
    }
    let told = |rounds: &[Vec<f64>]| {
        let of = |percent| number(median(rounds.iter().map(|latencies| percentile(latencies, percent))));
        let rate = number(
            median(rounds.iter().map(|latencies| latencies.len() as f64)) / bench.duration.as_secs_f64(),
        );
        format!("{rate}/s, p50 {}, p99 {}, p99.9 {} ms", of(50.0), of(99.0), of(99.9))
    };
    report.add(
        "Encrypt over TLS, p99.9 while RSA-4096 keys are generated beside the server, on its core",
        format!("{}, {} keys/s", told(&beside), number(median(keys))),
        format!("alone {}", told(&alone)),
        median(beside.iter().map(|latencies| percentile(latencies, 99.9))),
        " ms",
        Target::AtMost(TARGET_P999_MS),
    );
}

/// Does something while one key after the other is generated on the core of the servers: what comes of it, and how many keys
/// were finished a second.
fn while_generating<T>(bench: &Bench, something: impl FnOnce() -> T) -> (T, f64) {
    let is_over = AtomicBool::new(false);
    let generate = || {
        bench.cores.pin_this_thread_to_servers();
        let begin = Instant::now();
        let mut count = 0.0;
        while !is_over.load(Ordering::Relaxed) {
            Rsa::generate(KEY_BITS).unwrap();
            count += 1.0;
        }
        count / begin.elapsed().as_secs_f64()
    };
    thread::scope(|scope| {
        let generating = scope.spawn(generate);
        let done = something();
        is_over.store(true, Ordering::Relaxed);
        (done, generating.join().unwrap())
    })
}

/// How long each of the answers took that so many connections have waited for, in order.
fn latencies_ms(
    connections: usize,
    duration: Duration,
    port: u16,
    config: &Arc<ClientConfig>,
    request: &str,
) -> Vec<f64> {
    let all_connected = Barrier::new(connections);
    let encrypt = || {
        let mut client = Client::connect(port, Some(config));
        client.post(PATH, request); // The handshake.
        all_connected.wait();
        let mut latencies = Vec::new();
        let mut before = Instant::now();
        let end = before + duration;
        while before < end {
            client.post(PATH, request);
            let after = Instant::now();
            latencies.push((after - before).as_secs_f64() * 1e3);
            before = after;
        }
        latencies
    };
    let mut latencies: Vec<f64> = thread::scope(|scope| {
        let clients: Vec<_> = (0..connections).map(|_| scope.spawn(encrypt)).collect();
        clients.into_iter().flat_map(|client| client.join().unwrap()).collect()
    });
    latencies.sort_by(f64::total_cmp);
    latencies
}

fn percentile(latencies: &[f64], percent: f64) -> f64 {
    latencies[(latencies.len() as f64 * percent / 100.0) as usize]
}
