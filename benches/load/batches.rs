//! What a batch of a hundred encryptions costs, beside one encryption a request.

use crate::Bench;
use crate::answers::{PATH, encrypt_32_bytes};
use crate::client::{Client, HYBRID, tls};
use crate::report::{Report, Target, median_ratio, number};
use crate::servers::Keyway;
use crate::support::{CREATE, value_of};
use crate::wrk::{Load, Outcome};

/// So many keep a server busy.
const CONNECTIONS: usize = 8;
const ITEMS: usize = 100;
/// Of the time of single requests.
const TARGET: f64 = 12.0;

/// JSON of 4.9.1.
pub fn measure(bench: &Bench, report: &mut Report) {
    measure_over(bench, report, true);
    measure_over(bench, report, false);
}

fn measure_over(bench: &Bench, report: &mut Report, is_tls: bool) {
    let keyway = Keyway::start(bench, is_tls);
    let config = tls(HYBRID);
    let mut client = Client::connect(keyway.server.port, is_tls.then_some(&config));
    let uid = value_of("UniqueIdentifier", &client.post(PATH, CREATE));
    let (single, batch) = (encrypt_32_bytes(&uid), batch(&uid));
    assert_eq!(client.post(PATH, &batch).matches(r#""Success""#).count(), ITEMS);
    let name = format!("batch of {ITEMS} Encrypts over {}", if is_tls { "TLS" } else { "HTTP" });

    let [singles, batches] = alternate(bench, &keyway, [&single, &batch], CONNECTIONS);
    let ratio = |figure| median_ratio(figures(&batches, figure), figures(&singles, figure));
    let (time_ratio, cpu_ratio) = (1.0 / ratio(|outcome| outcome.rate), ratio(|outcome| outcome.cpu_us));
    let (one, many) = (Outcome::median(&singles), Outcome::median(&batches));
    report.add(
        &name,
        format!("{}/s", number(many.rate)),
        format!("single {}/s", number(one.rate)),
        time_ratio,
        " singles",
        Target::AtMost(TARGET),
    );
    report.add(
        &format!("{name}, CPU time"),
        format!("{} us", number(many.cpu_us)),
        format!("single {} us", number(one.cpu_us)),
        cpu_ratio,
        " singles",
        Target::None,
    );

    // What a client waits for that asks one after the other.
    let [singles, batches] = alternate(bench, &keyway, [&single, &batch], 1);
    let p50 = |outcomes: &[Outcome]| format!("p50 {} ms", number(Outcome::median(outcomes).p50_ms));
    report.add(
        &format!("{name}, 1 connection"),
        p50(&batches),
        format!("single {}", p50(&singles)),
        median_ratio(
            figures(&batches, |outcome| outcome.p50_ms),
            figures(&singles, |outcome| outcome.p50_ms),
        ),
        " singles",
        Target::AtMost(TARGET),
    );
}

/// What comes of two requests, in turns.
fn alternate(bench: &Bench, keyway: &Keyway, requests: [&str; 2], connections: usize) -> [Vec<Outcome>; 2] {
    let mut outcomes = [Vec::new(), Vec::new()];
    for _ in 0..bench.rounds {
        for (request, outcomes) in requests.iter().zip(&mut outcomes) {
            let load = Load::posting(request, connections);
            outcomes.push(load.run(keyway.server.pid(), &keyway.server.url(PATH), bench.duration));
        }
    }
    outcomes
}

fn figures(outcomes: &[Outcome], figure: fn(&Outcome) -> f64) -> impl Iterator<Item = f64> {
    outcomes.iter().map(figure)
}

/// The message: the payload of each item is a request of its own.
fn batch(uid: &str) -> String {
    let payload = encrypt_32_bytes(uid).replacen(r#""tag":"Encrypt""#, r#""tag":"RequestPayload""#, 1);
    let operation = r#"{"tag":"Operation","type":"Enumeration","value":"Encrypt"}"#;
    let item = format!(r#"{{"tag":"Items","type":"Structure","value":[{operation},{payload}]}}"#);
    let items = vec![item; ITEMS].join(",");
    format!(
        r#"{{"tag":"Message","type":"Structure","value":[{{"tag":"Header","type":"Structure","value":[{{"tag":"ProtocolVersion","type":"Structure","value":[{{"tag":"ProtocolVersionMajor","type":"Integer","value":2}},{{"tag":"ProtocolVersionMinor","type":"Integer","value":1}}]}},{{"tag":"BatchCount","type":"Integer","value":{ITEMS}}}]}},{{"tag":"Items","type":"Structure","value":[{items}]}}]}}"#
    )
}
