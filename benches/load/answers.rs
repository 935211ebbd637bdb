//! How many answers a second, and what one costs, beside an nginx that says the same without thinking.

use crate::Bench;
use crate::client::{Client, HYBRID, tls};
use crate::report::{Report, Target, median_ratio, number};
use crate::servers::{Keyway, Nginx};
use crate::support::{CREATE, on, value_of};
use crate::wrk::{Load, Outcome};

/// The number that targets are for, and others.
const CONNECTIONS: usize = 32;
const OTHER_CONNECTIONS: [usize; 3] = [1, 8, 256];
/// Of nginx's rate.
const TARGET_TLS: f64 = 1.0;
const TARGET_PLAIN: f64 = 0.85;
/// Of nginx's CPU time, turned upside down.
const TARGET_TLS_CPU: f64 = 1.0;

/// Encrypt with AES-256-GCM, 32 bytes.
pub fn encrypt(bench: &Bench, report: &mut Report) {
    measure(bench, report, "Encrypt", encrypt_32_bytes);
}

/// Get by identifier.
pub fn get(bench: &Bench, report: &mut Report) {
    measure(bench, report, "Get", |uid| on("Get", uid));
}

/// The request that encrypts 32 bytes.
pub fn encrypt_32_bytes(uid: &str) -> String {
    let data = "5a".repeat(32);
    let item = format!(r#",{{"tag":"Data","type":"ByteString","value":"{data}"}}]}}"#);
    on("Encrypt", uid).replace("]}", &item)
}

fn measure(bench: &Bench, report: &mut Report, name: &str, request: fn(&str) -> String) {
    let kinds = [
        (true, "TLS 1.3", TARGET_TLS, Target::AtLeast(TARGET_TLS_CPU)),
        (false, "HTTP", TARGET_PLAIN, Target::None),
    ];
    for (encrypted, scheme, rate_target, cpu_target) in kinds {
        let keyway = Keyway::start(bench, encrypted);
        let mut client = Client::connect(keyway.server.port, encrypted.then(|| tls(HYBRID)).as_ref());
        let uid = value_of("UniqueIdentifier", &client.post(PATH, CREATE));
        let request = request(&uid);
        let nginx = Nginx::start(bench, &[(PATH, &client.post(PATH, &request))]);
        let rounds = |connections, count| {
            let load = Load::posting(&request, connections);
            let mut sides = [Vec::new(), Vec::new()];
            for _ in 0..count {
                sides[0].push(load.run(keyway.server.pid(), &keyway.server.url(PATH), bench.duration));
                sides[1].push(load.run(nginx.pid(), &nginx.url(encrypted, PATH), bench.duration));
            }
            sides
        };
        let name = format!("{name} over {scheme}");
        let sides = rounds(CONNECTIONS, bench.rounds);
        add(report, &format!("{name}, {CONNECTIONS} connections"), &sides, Target::AtLeast(rate_target));
        let cost_ratio = ratio(&sides, |outcome| outcome.cpu_us);
        let [ours, reference] = sides.each_ref().map(|outcomes| Outcome::median(outcomes));
        report.add(
            &format!("{name}, CPU time"),
            format!("{} us", number(ours.cpu_us)),
            format!("nginx {} us", number(reference.cpu_us)),
            1.0 / cost_ratio,
            "",
            cpu_target,
        );
        for connections in OTHER_CONNECTIONS {
            let sides = rounds(connections, bench.rounds.div_ceil(3));
            add(report, &format!("{name}, {connections} connections"), &sides, Target::None);
        }
    }
}

fn ratio([ours, reference]: &[Vec<Outcome>; 2], figure: fn(&Outcome) -> f64) -> f64 {
    median_ratio(ours.iter().map(figure), reference.iter().map(figure))
}

fn add(report: &mut Report, name: &str, sides: &[Vec<Outcome>; 2], target: Target) {
    let [ours, reference] = sides.each_ref().map(|outcomes| Outcome::median(outcomes));
    let rate_ratio = ratio(sides, |outcome| outcome.rate);
    report.add(name, ours.told(), format!("nginx {}", reference.told()), rate_ratio, "", target);
}

/// Where requests go.
pub const PATH: &str = "/kmip/2_1";
