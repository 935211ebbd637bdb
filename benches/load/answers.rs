//! How many answers a second, and what one costs, beside an nginx that says the same without thinking.

use crate::Bench;
use crate::client::{Client, HYBRID, tls};
use crate::report::{Report, Target, median_ratio, number};
use crate::servers::{Keyway, Nginx};
use crate::support::{CREATE, on, value_of};
use crate::wrk::{Load, Outcome};

const CONNECTIONS: usize = 32;
/// Of nginx's rate.
const TARGET_TLS: f64 = 0.8;
const TARGET_PLAIN: f64 = 0.7;

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
    for (encrypted, scheme, target) in [(true, "TLS 1.3", TARGET_TLS), (false, "HTTP", TARGET_PLAIN)] {
        let keyway = Keyway::start(bench, encrypted);
        let mut client = Client::connect(keyway.server.port, encrypted.then(|| tls(HYBRID)).as_ref());
        let uid = value_of("UniqueIdentifier", &client.post(PATH, CREATE));
        let request = request(&uid);
        let nginx = Nginx::start(bench, &[(PATH, &client.post(PATH, &request))]);

        let load = Load::posting(&request, CONNECTIONS);
        let (mut ours, mut reference) = (Vec::new(), Vec::new());
        for _ in 0..bench.rounds {
            ours.push(load.run(keyway.server.pid(), &keyway.server.url(PATH), bench.duration));
            reference.push(load.run(nginx.pid(), &nginx.url(encrypted, PATH), bench.duration));
        }
        let ratio =
            |figure: fn(&Outcome) -> f64| median_ratio(ours.iter().map(figure), reference.iter().map(figure));
        let (rate_ratio, cost_ratio) = (ratio(|o| o.rate), ratio(|o| o.cpu_us));
        let (ours, reference) = (Outcome::median(&ours), Outcome::median(&reference));
        let name = format!("{name} over {scheme}");
        report.add(
            &name,
            format!("{}/s", number(ours.rate)),
            format!("nginx {}/s", number(reference.rate)),
            rate_ratio,
            "",
            Target::AtLeast(target),
        );
        report.add(
            &format!("{name}, CPU time"),
            format!("{} us", number(ours.cpu_us)),
            format!("nginx {} us", number(reference.cpu_us)),
            1.0 / cost_ratio,
            "",
            Target::None,
        );
    }
}

/// Where requests go.
pub const PATH: &str = "/kmip/2_1";
