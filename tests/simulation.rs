//! Hundreds of worlds, each made of one seed: the server keeps all of its promises in each. See `keyway::testing`.
#![forbid(unsafe_code)]

use keyway::testing::simulator::{self, Totals};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

/// Seeds that are played, unless `KEYWAY_SEEDS` names another number.
const SEEDS: u64 = 300;
/// So many are played twice.
const REPEATED: u64 = 10;

fn number(variable: &str) -> Option<u64> {
    let value = std::env::var(variable).ok()?;
    Some(value.parse().unwrap_or_else(|_| panic!("{variable}={value} is no number")))
}

/// `KEYWAY_SEED=n` plays that seed alone, `KEYWAY_INPUT=file` what a fuzzer has found; and shows everything that happens.
#[test]
fn every_promise_is_kept() {
    let mut show = |line: &str| println!("{line}");
    let seed = number("KEYWAY_SEED").map(|seed| simulator::run(seed, Some(&mut show)));
    let input = std::env::var("KEYWAY_INPUT").ok().map(|file| std::fs::read(file).unwrap());
    if let Some(played) = seed.or_else(|| input.map(|input| simulator::run_input(&input, Some(&mut show)))) {
        return println!("{:?}", played.unwrap_or_else(|failure| panic!("{failure}")));
    }
    let seeds = number("KEYWAY_SEEDS").unwrap_or(SEEDS);
    let next = AtomicU64::new(0);
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let mut all = Totals::default();
    thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(|| play_from(&next, seeds))).collect();
        for worker in workers {
            all.add(&worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        }
    });
    println!("{seeds} seeds: {all}");
    if seeds < SEEDS {
        return;
    }
    for status in [200, 400, 401, 404, 408, 413, 414, 422, 431, 503] {
        assert!(all.replies.contains_key(&status), "no request was answered {status}");
    }
    assert!(all.crashes > seeds && all.shutdowns > seeds && all.grouped > seeds);
    assert!(
        all.handshakes > seeds
            && all.resumed > seeds
            && all.turned_away > seeds / 10
            && all.hand_overs > seeds / 20
            && all.trusted > seeds / 20
            && all.certificates > seeds / 10
            && all.proofs > seeds / 50
            && all.databases > seeds / 10
            && all.database_failures > seeds / 20
    );
}

/// Plays one seed after the other that nobody else plays.
fn play_from(next: &AtomicU64, seeds: u64) -> Totals {
    let mut all = Totals::default();
    loop {
        let seed = next.fetch_add(1, Ordering::Relaxed);
        if seed >= seeds {
            return all;
        }
        all.add(&simulator::run(seed, None).unwrap_or_else(|failure| panic!("{failure}")));
    }
}

#[test]
fn the_same_seed_is_the_same_course_of_events() {
    if ["KEYWAY_SEED", "KEYWAY_INPUT"].iter().any(|name| std::env::var_os(name).is_some()) {
        return;
    }
    let mut all = Totals::default();
    for seed in 0..REPEATED {
        let play = || simulator::run(seed, None).unwrap_or_else(|failure| panic!("{failure}"));
        let totals = play();
        assert_eq!(totals, play(), "seed {seed}");
        all.add(&totals);
    }
    assert!(all.handshakes > 0 && all.hand_overs > 0, "TLS and owners are among them: {all}");
}
