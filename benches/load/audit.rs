//! What the audit log costs: the same requests without it, with it, and with answers that wait for it. Over plain HTTP: TLS
//! costs the same with all of them.

use crate::Bench;
use crate::answers::{PATH, encrypt_32_bytes};
use crate::client::Client;
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
    let logs = Scratch::new();
    let mut rounds: [Vec<Outcome>; 3] = Default::default();
    for round in 0..bench.rounds {
        for (kind, outcomes) in rounds.iter_mut().enumerate() {
            let log = logs.file(&format!("{kind}-{round}"));
            let arguments = ["--audit-log", &log, "--audit-required"];
            let keyway = Keyway::start_with(bench, &arguments[..[0, 2, 3][kind]]);
            let created = Client::connect(keyway.server.port, None).post(PATH, CREATE);
            let encrypt = encrypt_32_bytes(&value_of("UniqueIdentifier", &created));
            let load = Load::posting(&encrypt, CONNECTIONS);
            outcomes.push(load.run(keyway.server.pid(), &keyway.server.url(PATH), bench.duration));
        }
    }
    let rates = |outcomes: &[Outcome]| outcomes.iter().map(|outcome| outcome.rate).collect::<Vec<_>>();
    let without = Outcome::median(&rounds[0]);
    if without.rate * bench.duration.as_secs_f64() < AUDITED_MIN {
        eprintln!("  fewer than {AUDITED_MIN} requests in a round: give more --seconds");
    }
    for (name, kind, target) in
        [("Encrypt, audit log", 1, Target::AtLeast(TARGET_RATE)), ("Encrypt, required", 2, Target::None)]
    {
        let ratio = median_ratio(rates(&rounds[kind]).into_iter(), rates(&rounds[0]).into_iter());
        let ours = Outcome::median(&rounds[kind]);
        report.add(
            name,
            format!("{}/s, {} us of CPU", number(ours.rate), number(ours.cpu_us)),
            format!("without {}/s, {} us", number(without.rate), number(without.cpu_us)),
            ratio,
            "",
            target,
        );
    }
}
