//! A hundred worlds, each made of one seed: the server keeps all of its promises in each. See `keyway::testing`.
#![forbid(unsafe_code)]

use keyway::testing::simulator::{self, Totals};

/// Seeds that are played, unless `KEYWAY_SEEDS` names another number.
const SEEDS: u64 = 100;
/// Of these, as many are played a second time.
const REPEATED: u64 = 10;

fn number(variable: &str) -> Option<u64> {
    let value = std::env::var(variable).ok()?;
    Some(value.parse().unwrap_or_else(|_| panic!("{variable}={value} is no number")))
}

/// `KEYWAY_SEED=n` plays that seed alone, and shows everything that happens.
#[test]
fn every_promise_is_kept() {
    if let Some(seed) = number("KEYWAY_SEED") {
        match simulator::run(seed, Some(&mut |line: &str| println!("{line}"))) {
            Ok(totals) => return println!("{totals:?}"),
            Err(failure) => panic!("{failure}"),
        }
    }
    let seeds = number("KEYWAY_SEEDS").unwrap_or(SEEDS);
    let mut all = Totals::default();
    for seed in 0..seeds {
        let totals = simulator::run(seed, None).unwrap_or_else(|failure| panic!("{failure}"));
        if seed < REPEATED {
            let again = simulator::run(seed, None).unwrap_or_else(|failure| panic!("{failure}"));
            assert_eq!(totals, again, "seed {seed}: the same seed is the same course of events");
        }
        all.add(&totals);
    }
    println!("{seeds} seeds: {all}");
    for status in [200, 400, 401, 404, 408, 413, 422, 431, 503] {
        assert!(seeds < SEEDS || all.replies.contains_key(&status), "no request was answered {status}");
    }
    assert!(seeds < SEEDS || (all.crashes > seeds && all.shutdowns > seeds && all.grouped > seeds));
}
