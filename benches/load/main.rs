//! The released server under load, beside nginx with a fixed answer of the same size.
//!
//! `cargo bench --bench load -- [--seconds N] [--rounds N] [--only NAME] [--document FILE]` measures everything in one run, on loopback, and
//! ends with one table, which it puts into a document where one is named (docs/performance.md). The servers run on one core, the clients on another one. Ours and nginx take turns, so that a busy
//! machine disturbs both; what counts is the median of the rounds' ratios. A target that is not met is a line in the
//! table, never an exit code.
#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a benchmark may fail, and reads the clock"
)]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "its output is what it is for")]

#[path = "../../tests/support/mod.rs"]
mod support;

mod answers;
mod audit;
mod batches;
mod bystander;
mod client;
mod creates;
mod engines;
mod footprint;
mod handshakes;
mod keys;
mod machine;
mod report;
mod servers;
mod wrk;

use machine::Cores;
use report::Report;
use std::time::Duration;
use support::certificates::Authority;

/// What all measurements share.
struct Bench {
    /// How long each side is measured in a round.
    duration: Duration,
    /// How often the sides take turns.
    rounds: usize,
    cores: Cores,
    authority: Authority,
}

/// One measurement: its name for `--only`, and what makes its lines.
type Measurement = (&'static str, fn(&Bench, &mut Report));

const MEASUREMENTS: [Measurement; 10] = [
    ("encrypt", answers::encrypt),
    ("get", answers::get),
    ("batch", batches::measure),
    ("create", creates::measure),
    ("engines", engines::measure),
    ("keys", keys::measure),
    ("audit", audit::measure),
    ("handshake", handshakes::measure),
    ("bystander", bystander::measure),
    ("footprint", footprint::measure),
];

fn main() {
    let options = Options::parse();
    if !options.by_cargo_bench {
        return println!("nothing is measured: cargo test --all-targets runs this too");
    }
    if let Err(reason) = machine::install_tools(&["nginx", "wrk", "openssl", "taskset"]) {
        eprintln!("{reason}");
        std::process::exit(2);
    }
    let authority = Authority::new();
    authority.server(servers::CERTIFICATE, "P-256");
    // Before this process keeps to one of the cores.
    let machine = machine::description();
    let bench = Bench {
        duration: Duration::from_secs(options.seconds),
        rounds: options.rounds,
        cores: Cores::divide(),
        authority,
    };
    let mut report = Report::default();
    for (name, measure) in MEASUREMENTS {
        if options.only.as_ref().is_none_or(|only| only == name) {
            eprintln!("measuring: {name}");
            measure(&bench, &mut report);
        }
    }
    print!("{report}");
    if let Some(path) = options.document {
        report.write_into(&path, &machine);
    }
}

struct Options {
    seconds: u64,
    rounds: usize,
    only: Option<String>,
    document: Option<String>,
    by_cargo_bench: bool,
}

impl Options {
    fn parse() -> Options {
        let names = MEASUREMENTS.map(|(name, _)| name).join(", ");
        let usage = format!(
            "cargo bench --bench load -- [--seconds N] [--rounds N] [--only NAME] [--document FILE]\nNAME: {names}"
        );
        Options::parse_arguments(&names).unwrap_or_else(|error| {
            eprintln!("{error}\n{usage}");
            std::process::exit(2);
        })
    }

    fn parse_arguments(names: &str) -> Result<Options, lexopt::Error> {
        use lexopt::prelude::*;
        let mut options =
            Options { seconds: 3, rounds: 9, only: None, document: None, by_cargo_bench: false };
        let mut arguments = lexopt::Parser::from_env();
        while let Some(argument) = arguments.next()? {
            match argument {
                Long("seconds") => options.seconds = arguments.value()?.parse::<u64>()?.max(1),
                Long("rounds") => options.rounds = arguments.value()?.parse::<usize>()?.max(1),
                Long("only") => {
                    let name = arguments.value()?.string()?;
                    if !names.split(", ").any(|known| known == name) {
                        return Err(format!("there is no measurement called {name}").into());
                    }
                    options.only = Some(name);
                }
                Long("document") => options.document = Some(arguments.value()?.string()?),
                Long("bench") => options.by_cargo_bench = true,
                other => return Err(other.unexpected()),
            }
        }
        Ok(options)
    }
}
