//! What the audit log costs: the same requests without it, with it, and with answers that wait for it. All of the server is
//! on one core, the lane that writes the log too.

use crate::Bench;
use crate::answers::{PATH, encrypt_32_bytes};
use crate::client::{Client, HYBRID, tls};
use crate::report::{Report, Target, median_ratio, number};
use crate::servers::Keyway;
use crate::support::{CREATE, Scratch, value_of};
use crate::wrk::{Load, Outcome};
use std::time::Duration;

const CONNECTIONS: usize = 32;
/// Of the rate without it.
const TARGET_RATE: f64 = 0.9;
/// Requests that each server answers, so that the files have their sizes.
const AUDITED_MIN: f64 = 100_000.0;
/// One sync falls into each, as a rule. Many of them: what other machines on the same hardware do comes and goes in seconds.
const TURN: Duration = Duration::from_secs(1);

pub fn measure(bench: &Bench, report: &mut Report) {
    // Who is asked for certificates and tokens is asked over TLS.
    measure_over(bench, report, true);
    measure_over(bench, report, false);
}

/// One of the servers, and what it is asked for.
struct Asked {
    keyway: Keyway,
    load: Load,
}

impl Asked {
    fn start(bench: &Bench, is_tls: bool, arguments: &[&str]) -> Asked {
        let config = tls(HYBRID);
        let keyway = Keyway::start_serving(bench, is_tls, arguments);
        let mut client = Client::connect(keyway.server.port, is_tls.then_some(&config));
        let encrypt = encrypt_32_bytes(&value_of("UniqueIdentifier", &client.post(PATH, CREATE)));
        Asked { keyway, load: Load::posting(&encrypt, CONNECTIONS) }
    }
}

fn measure_over(bench: &Bench, report: &mut Report, is_tls: bool) {
    let transport = if is_tls { "TLS" } else { "HTTP" };
    let without = Asked::start(bench, is_tls, &[]);
    let kinds: [(&str, &[&str], Target); 2] =
        [("audit log", &[], Target::AtLeast(TARGET_RATE)), ("required", &["--audit-required"], Target::None)];
    for (name, more, target) in kinds {
        let logs = Scratch::new();
        let log = logs.file("log");
        let with = Asked::start(bench, is_tls, &[&["--audit-log", &log], more].concat());
        let (mut ours, mut reference) = (Vec::new(), Vec::new());
        let turns = bench.rounds * usize::try_from(bench.duration.as_secs()).unwrap().max(1);
        for turn in 0..turns {
            // There and back, since what is written in one turn is still on its way to the disk in the next one.
            let mut order = [(&with, &mut ours), (&without, &mut reference)];
            if turn % 2 == 0 {
                order.reverse();
            }
            for (Asked { keyway, load }, outcomes) in order {
                outcomes.push(load.run(keyway.server.pid(), &keyway.server.url(PATH), TURN));
            }
        }
        let rates = |outcomes: &[Outcome]| outcomes.iter().map(|outcome| outcome.rate).collect::<Vec<_>>();
        let ratio = median_ratio(rates(&ours).into_iter(), rates(&reference).into_iter());
        let (ours, reference) = (Outcome::median(&ours), Outcome::median(&reference));
        if ours.rate * TURN.as_secs_f64() * (turns as f64) < AUDITED_MIN {
            eprintln!("  fewer than {AUDITED_MIN} requests: give more --rounds or --seconds");
        }
        report.add(
            &format!("Encrypt over {transport}, {name}"),
            format!("{}/s, {} us of CPU", number(ours.rate), number(ours.cpu_us)),
            format!("without {}/s, {} us", number(reference.rate), number(reference.cpu_us)),
            ratio,
            "",
            target,
        );
    }
}
