//! What the server takes: memory, disk, and time to start.

use crate::Bench;
use crate::answers::{PATH, encrypt_32_bytes};
use crate::client::{Client, HYBRID, tls};
use crate::machine::resident_bytes;
use crate::report::{Report, Target, median, number};
use crate::servers::Keyway;
use crate::support::{CREATE, run, value_of};
use crate::wrk::Load;
use std::path::Path;
use std::time::Instant;

/// Connections with TLS that do nothing, and the memory that they may take, in MB.
const IDLE: [(usize, f64); 2] = [(1_000, 40.0), (10_000, 200.0)];

const TARGET_START_MS: f64 = 50.0;
const TARGET_IDLE_MB: f64 = 8.0;
const TARGET_LOADED_MB: f64 = 20.0;
const TARGET_BINARY_MB: f64 = 10.0;

/// Builds what goes into the image, and lays it out there.
const STATIC_BUILD: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/.ci/static");
const IMAGE: &str = concat!(env!("CARGO_TARGET_TMPDIR"), "/../image/image");

/// Of the static file, as it is shipped.
pub fn measure(bench: &Bench, report: &mut Report) {
    run(STATIC_BUILD, [IMAGE]);
    let program = &Path::new(IMAGE).join("keyway");
    let resident_mb = |keyway: &Keyway| resident_bytes(keyway.server.pid()) as f64 / 1e6;
    let (mut start, mut idle) = (Vec::new(), Vec::new());
    for _ in 0..bench.rounds {
        let before = Instant::now();
        let keyway = Keyway::start_unpinned(bench, program);
        Client::connect(keyway.server.port, None).get("/version");
        start.push(before.elapsed().as_secs_f64() * 1e3);
        idle.push(resident_mb(&keyway));
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

    add("Static binary", program.metadata().unwrap().len() as f64 / 1e6, " MB", TARGET_BINARY_MB);

    let config = tls(HYBRID);
    let connect = |keyway: &Keyway| {
        let mut client = Client::connect(keyway.server.port, Some(&config));
        client.get("/version");
        client
    };
    add("Memory, idle, plain HTTP", median(idle), " MB", TARGET_IDLE_MB);
    let keyway = Keyway::start_program(bench, program, &[]);
    drop(connect(&keyway));
    add("Memory, idle, TLS", resident_mb(&keyway), " MB", TARGET_IDLE_MB);
    let uid = value_of("UniqueIdentifier", &connect(&keyway).post(PATH, CREATE));
    for request in [encrypt_32_bytes(&uid), CREATE.to_owned()] {
        Load::posting(&request, 64).run(keyway.server.pid(), &keyway.server.url(PATH), bench.duration);
    }
    add("Memory, after the load of 64 connections", resident_mb(&keyway), " MB", TARGET_LOADED_MB);
    drop(keyway);

    let most = IDLE[1].0;
    assert!(keyway::shell::os::allow_open_files(most).is_ok(), "too few open files are allowed");
    let keyway = Keyway::start_program(bench, program, &["--max-connections", &(most + 100).to_string()]);
    let mut idle = Vec::new();
    for (count, target) in IDLE {
        idle.resize_with(count, || connect(&keyway));
        let name = format!("Memory, {} idle TLS connections", number(count as f64));
        add(&name, resident_mb(&keyway), " MB", target);
    }
}
