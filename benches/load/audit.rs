//! What the audit log costs: the same requests without it, with it, and with answers that wait for it. All of the server is
//! on one core, the lane that writes the log too.

use crate::Bench;
use crate::answers::{PATH, encrypt_32_bytes};
use crate::client::{Client, HYBRID, tls};
use crate::report::{Report, Target, median_ratio, number};
use crate::servers::Keyway;
use crate::support::{CREATE, Scratch, value_of};
use crate::wrk::{Load, Outcome};

const CONNECTIONS: usize = 32;
/// Of the rate without it.
const TARGET_RATE: f64 = 0.9;
/// Requests that each server answers first, so that the files have their sizes.
const AUDITED_MIN: f64 = 100_000.0;

pub fn measure(bench: &Bench, report: &mut Report) {
    // Who is asked for certificates and tokens is asked over TLS.
    measure_over(bench, report, true);
    measure_over(bench, report, false);
}

fn measure_over(bench: &Bench, report: &mut Report, is_tls: bool) {
    let logs = Scratch::new();
    let config = tls(HYBRID);
    let mut rounds: [Vec<Outcome>; 3] = Default::default();
    for round in 0..bench.rounds {
        for (kind, outcomes) in rounds.iter_mut().enumerate() {
            let log = logs.file(&format!("{kind}-{round}"));
            let arguments = ["--audit-log", &log, "--audit-required"];
            let keyway = Keyway::start_serving(bench, is_tls, &arguments[..[0, 2, 3][kind]]);
            let mut client = Client::connect(keyway.server.port, is_tls.then_some(&config));
            let encrypt = encrypt_32_bytes(&value_of("UniqueIdentifier", &client.post(PATH, CREATE)));
            let load = Load::posting(&encrypt, CONNECTIONS);
            outcomes.push(load.run(keyway.server.pid(), &keyway.server.url(PATH), bench.duration));
        }
    }
    let rates = |outcomes: &[Outcome]| outcomes.iter().map(|outcome| outcome.rate).collect::<Vec<_>>();
    let without = Outcome::median(&rounds[0]);
    if without.rate * bench.duration.as_secs_f64() < AUDITED_MIN {
        eprintln!("  fewer than {AUDITED_MIN} requests in a round: give more --seconds");
    }
    let transport = if is_tls { "TLS" } else { "HTTP" };
    for (name, kind, target) in
        [("audit log", 1, Target::AtLeast(TARGET_RATE)), ("required", 2, Target::None)]
    {
        let ratio = median_ratio(rates(&rounds[kind]).into_iter(), rates(&rounds[0]).into_iter());
        let ours = Outcome::median(&rounds[kind]);
        report.add(
            &format!("Encrypt over {transport}, {name}"),
            format!("{}/s, {} us of CPU", number(ours.rate), number(ours.cpu_us)),
            format!("without {}/s, {} us", number(without.rate), number(without.cpu_us)),
            ratio,
            "",
            target,
        );
    }
}
