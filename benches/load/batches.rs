//! What a batch of a hundred encryptions costs, beside one encryption a request.

use crate::Bench;
use crate::answers::{PATH, encrypt_32_bytes};
use crate::client::Client;
use crate::report::{Report, Target, median_ratio, number};
use crate::servers::Keyway;
use crate::support::{CREATE, value_of};
use crate::wrk::{Load, Outcome};

const CONNECTIONS: usize = 8;
const ITEMS: usize = 100;
/// Of the time of single requests.
const TARGET: f64 = 12.0;

/// Plain HTTP, JSON of 4.9.1.
pub fn measure(bench: &Bench, report: &mut Report) {
    let keyway = Keyway::start(bench, false);
    let mut client = Client::connect(keyway.server.port, None);
    let uid = value_of("UniqueIdentifier", &client.post(PATH, CREATE));
    let (single, batch) = (encrypt_32_bytes(&uid), batch(&uid));
    assert_eq!(client.post(PATH, &batch).matches(r#""Success""#).count(), ITEMS);
    let (mut singles, mut batches) = (Vec::new(), Vec::new());
    for _ in 0..bench.rounds {
        for (request, outcomes) in [(&single, &mut singles), (&batch, &mut batches)] {
            let load = Load::posting(request, CONNECTIONS);
            outcomes.push(load.run(keyway.server.pid(), &keyway.server.url(PATH), bench.duration));
        }
    }
    let ratio =
        |figure: fn(&Outcome) -> f64| median_ratio(batches.iter().map(figure), singles.iter().map(figure));
    let (time_ratio, cpu_ratio) = (1.0 / ratio(|outcome| outcome.rate), ratio(|outcome| outcome.cpu_us));
    let (batches, singles) = (Outcome::median(&batches), Outcome::median(&singles));
    report.add(
        "batch of 100 Encrypts",
        format!("{}/s", number(batches.rate)),
        format!("single {}/s", number(singles.rate)),
        time_ratio,
        " singles",
        Target::AtMost(TARGET),
    );
    report.add(
        "batch of 100 Encrypts, CPU time",
        format!("{} us", number(batches.cpu_us)),
        format!("single {} us", number(singles.cpu_us)),
        cpu_ratio,
        " singles",
        Target::None,
    );
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
