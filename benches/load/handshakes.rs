//! New connections: a full handshake of TLS 1.3, one request, the end.

use crate::Bench;
use crate::client::{Client, HYBRID, Prepared, X25519, tls};
use crate::machine::cpu_time;
use crate::report::{Report, Target, median, median_ratio, number};
use crate::servers::{Keyway, Nginx};
use rustls::ClientConfig;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

const PATH: &str = "/version";
/// Connections that are begun at a time.
const CLIENTS: usize = 8;
/// Key pairs of the clients for each second: more than a core of today can use.
const KEYS_PER_SECOND: u64 = 8_000;
/// Of nginx's rate, which exchanges keys the classical way.
const TARGET: f64 = 0.8;

pub fn measure(bench: &Bench, report: &mut Report) {
    let keyway = Keyway::start(bench, true);
    let keys = [HYBRID, X25519].map(Prepared::new);
    let [hybrid, classical] = keys.map(|keys| tls(keys));
    let version = Client::connect(keyway.server.port, Some(&hybrid)).get(PATH);
    let nginx = Nginx::start(bench, &[(PATH, &version)]);

    let sides = [
        (keyway.server.pid(), keyway.server.port, &hybrid),
        (nginx.pid(), nginx.tls_port, &classical),
        (keyway.server.pid(), keyway.server.port, &classical),
    ];
    let mut rates = sides.map(|_| Vec::new());
    let mut costs = sides.map(|_| Vec::new());
    for _ in 0..bench.rounds {
        for (side, (pid, port, config)) in sides.iter().enumerate() {
            keys.iter().for_each(|keys| keys.prepare((KEYS_PER_SECOND * bench.duration.as_secs()) as usize));
            let before = cpu_time(*pid);
            let (count, elapsed) = connect_for(bench.duration, *port, config);
            rates[side].push(count / elapsed.as_secs_f64());
            costs[side].push((cpu_time(*pid) - before).as_secs_f64() * 1e6 / count);
        }
    }
    let mut add = |name, figures: &[Vec<f64>; 3], side: usize, unit, ratio, target| {
        let [ours, reference] =
            [side, 1].map(|side| format!("{}{unit}", number(median(figures[side].iter().copied()))));
        report.add(name, ours, format!("nginx, X25519 {reference}"), ratio, "", target);
    };
    let ratio = |figures: &[Vec<f64>; 3], ours: usize, reference: usize| {
        median_ratio(figures[ours].iter().copied(), figures[reference].iter().copied())
    };
    let target = Target::AtLeast(TARGET);
    add("Connections, X25519MLKEM768", &rates, 0, "/s", ratio(&rates, 0, 1), target);
    add("Connections, X25519MLKEM768, CPU time", &costs, 0, " us", ratio(&costs, 1, 0), Target::None);
    add("Connections, X25519", &rates, 2, "/s", ratio(&rates, 2, 1), Target::None);
    add("Connections, X25519, CPU time", &costs, 2, " us", ratio(&costs, 1, 2), Target::None);
}

/// How many connections were made, and how long that took.
fn connect_for(duration: Duration, port: u16, config: &Arc<ClientConfig>) -> (f64, Duration) {
    let start = Instant::now();
    let connect = || {
        let mut count = 0;
        while start.elapsed() < duration {
            Client::connect(port, Some(config)).get(PATH);
            count += 1;
        }
        count
    };
    let count: u32 = thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(connect)).collect();
        clients.into_iter().map(|client| client.join().unwrap()).sum()
    });
    (f64::from(count), start.elapsed())
}
