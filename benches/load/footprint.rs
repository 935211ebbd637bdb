//! What the server takes: memory, disk, and time to start.

use crate::Bench;
use crate::answers::{PATH, encrypt_32_bytes};
use crate::client::{Client, HYBRID, tls};
use crate::machine::resident_bytes;
use crate::report::{Report, Target, median, number};
use crate::servers::Keyway;
use crate::support::{CREATE, value_of};
use crate::wrk::Load;
use std::path::Path;
use std::time::Instant;

/// Connections with TLS that do nothing, and the memory that they may take, in MB.
const IDLE: [(usize, f64); 2] = [(1_000, 40.0), (10_000, 200.0)];

const TARGET_START_MS: f64 = 50.0;
const TARGET_IDLE_MB: f64 = 8.0;
const TARGET_LOADED_MB: f64 = 20.0;
const TARGET_BINARY_MB: f64 = 10.0;

/// The file that goes into the image, where it was built: in the target folder beside the temporary one.
const STATIC_BINARY: &str =
    concat!(env!("CARGO_TARGET_TMPDIR"), "/../x86_64-unknown-linux-gnu/release/keyway");

pub fn measure(bench: &Bench, report: &mut Report) {
    let mut start = Vec::new();
    for _ in 0..bench.rounds {
        let before = Instant::now();
        let keyway = Keyway::start_unpinned(bench, false);
        Client::connect(keyway.server.port, None).get("/version");
        start.push(before.elapsed().as_secs_f64() * 1e3);
    }
    let start = median(start);
    let mut add = |name: &str, figure, unit, target| {
        report.add(
            name,
            format!("{}{unit}", number(figure)),
            String::new(),
            figure,
            unit,
            Target::AtMost(target),
        );
    };
    add("Start to first answer", start, " ms", TARGET_START_MS);

    let most = IDLE[1].0;
    let keyway = Keyway::start_for(bench, most + 100);
    let config = tls(HYBRID);
    let resident_mb = || resident_bytes(keyway.server.pid()) as f64 / 1e6;
    add("Memory, idle after the start", resident_mb(), " MB", TARGET_IDLE_MB);

    assert!(keyway::shell::os::allow_open_files(most).is_ok(), "too few open files are allowed");
    let connect = || {
        let mut client = Client::connect(keyway.server.port, Some(&config));
        client.get("/version");
        client
    };
    let mut idle = Vec::new();
    for (count, target) in IDLE {
        idle.resize_with(count, connect);
        let name = format!("Memory, {} idle TLS connections", number(count as f64));
        add(&name, resident_mb(), " MB", target);
    }
    drop(idle);

    let uid = value_of("UniqueIdentifier", &connect().post(PATH, CREATE));
    for request in [encrypt_32_bytes(&uid), CREATE.to_owned()] {
        Load::posting(&request, 64).run(keyway.server.pid(), &keyway.server.url(PATH), bench.duration);
    }
    add("Memory, after the load", resident_mb(), " MB", TARGET_LOADED_MB);

    if let Ok(binary) = Path::new(STATIC_BINARY).metadata() {
        add("Static binary", binary.len() as f64 / 1e6, " MB", TARGET_BINARY_MB);
    }
}
