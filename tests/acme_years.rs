//! Ten years of the certificates bot, with an authority that fails at random for up to three weeks at a time: away,
//! stalling, refusing, limiting rates, failing validations, revoking. `--nocapture` shows the figures.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test may fail, and prints what it has found")]

use keyway::acme::bot::{Action, Bot, Issued, Stored};
use keyway::acme::challenge::{Challenge, HttpChallenge, Kind};
use keyway::acme::failure::{Failure, Kind as FailureKind};
use keyway::acme::history::{Entry, Outcome};
use keyway::acme::renewal_info::Window;
use keyway::acme::schedule::Validity;
use keyway::acme::{ChallengeChoice, KeySource, KeyType, Settings};
use keyway::entropy::{Entropy, random};
use keyway::time::{Instant, Now, Timestamp};
use std::sync::Arc;
use std::time::Duration;

const START: i64 = 1_800_000_000;
const HOUR: i64 = 3_600;
const DAY: i64 = 24 * HOUR;
const YEARS: i64 = 10;
/// How many histories are played for each lifetime.
const SEEDS: u64 = 8;

/// A xorshift generator: the same numbers for the same seed.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: i64) -> i64 {
        i64::from_be_bytes(random(self)).rem_euclid(bound)
    }
}

impl Entropy for Dice {
    fn fill(&mut self, bytes: &mut [u8]) {
        for byte in bytes {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            *byte = (self.0 >> 32) as u8;
        }
    }
}

/// How an authority is not well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    Away,
    Stalls,
    Refuses,
    LimitsRates,
    FailsValidations,
}

/// A time in which the authority is not well.
#[derive(Clone, Copy)]
struct Outage {
    from: i64,
    to: i64,
    fault: Fault,
}

/// The world around the bot. All times are seconds since the start.
struct World {
    dice: Dice,
    settings: Arc<Settings>,
    lifetime: i64,
    outages: Vec<Outage>,
    revocations: Vec<i64>,
    now: i64,
    /// The monotonic clock of the process that runs now began here.
    started: i64,
    stored: Option<Stored>,
    history: Vec<Entry>,
    figures: Figures,
}

#[derive(Default, Debug)]
struct Figures {
    orders: u32,
    issued: Vec<i64>,
    failed_validations: Vec<i64>,
    failures: u32,
    restarts: u32,
    expired_seconds: i64,
    /// Of which the authority was well.
    expired_while_well_seconds: i64,
    /// The longest time from the end of an outage to a renewal that was due before it.
    slowest_recovery_seconds: i64,
    /// The longest time that an expired certificate was served by while the authority was well.
    longest_expired_while_well_seconds: i64,
    revoked_in_use_seconds: i64,
}

impl World {
    fn new(seed: u64, lifetime: i64) -> World {
        let mut dice = Dice(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
        let (mut outages, mut revocations, mut at) = (Vec::new(), Vec::new(), 0);
        while at < YEARS * 365 * DAY {
            at += DAY + dice.below(60 * DAY);
            let faults =
                [Fault::Away, Fault::Stalls, Fault::Refuses, Fault::LimitsRates, Fault::FailsValidations];
            let fault = faults[dice.below(5) as usize];
            let to = at + HOUR + dice.below(21 * DAY - HOUR);
            outages.push(Outage { from: at, to, fault });
            at = to;
            if dice.below(8) == 0 {
                at += DAY;
                revocations.push(at);
            }
        }
        let settings = Arc::new(Settings {
            names: vec!["kms.example.org".into()],
            email: "admin@example.org".into(),
            directory_url: "https://ca.example/dir".into(),
            challenge: ChallengeChoice::Auto,
            key: KeySource::Fresh(KeyType::P256),
            folder: "/nonexistent".into(),
            ca_root: None,
        });
        let (stored, history, figures) = Default::default();
        World { dice, settings, lifetime, outages, revocations, now: 0, started: 0, stored, history, figures }
    }

    fn clock(&self) -> Now {
        let since_start = Duration::from_secs((self.now - self.started) as u64);
        Now {
            instant: Instant::default() + since_start,
            utc: Timestamp::from_unix(START + self.now),
            utc_millis: 0,
        }
    }

    fn outage(&self) -> Option<Outage> {
        self.outages.iter().copied().find(|outage| (outage.from..outage.to).contains(&self.now))
    }

    /// Seconds since the start of a date.
    fn seconds(date: Timestamp) -> i64 {
        date.unix() - START
    }

    fn start_bot(&mut self) -> Bot {
        self.started = self.now - self.dice.below(100);
        let now = self.clock();
        Bot::new(Arc::clone(&self.settings), self.stored, &self.history, &mut self.dice, now)
    }

    /// Lets time pass, and counts how long an expired or a revoked certificate was served.
    fn pass(&mut self, seconds: i64) {
        let until = self.now + seconds;
        if let Some(stored) = self.stored {
            let end = Self::seconds(stored.validity.not_after);
            let expired_from = end.max(self.now);
            if expired_from < until {
                self.figures.expired_seconds += until - expired_from;
                let ill = |outage: &Outage| (outage.to.min(until) - outage.from.max(expired_from)).max(0);
                let ill: i64 = self.outages.iter().map(ill).sum();
                self.figures.expired_while_well_seconds += until - expired_from - ill;
            }
            if self.is_revoked() {
                self.figures.revoked_in_use_seconds += seconds;
            }
        }
        self.now = until;
    }

    /// Whether the certificate in use has been revoked since it was issued, an hour after it begins to be valid.
    fn is_revoked(&self) -> bool {
        let issued = self.stored.map(|stored| Self::seconds(stored.validity.not_before) + HOUR);
        self.revocations.iter().any(|at| issued.is_some_and(|issued| (issued..self.now).contains(at)))
    }

    fn remember(&mut self, outcome: Outcome) {
        self.history.push(Entry { at: self.clock().utc, outcome });
    }

    /// Does what the bot wants, in the time that it takes, and tells it.
    fn carry_out(&mut self, bot: &mut Bot, action: Action) -> Option<Action> {
        match action {
            Action::Begin(_) => {
                self.figures.orders += 1;
                let fault = self.outage().map(|outage| outage.fault);
                let took = if fault == Some(Fault::Stalls) { 150 } else { 1 + self.dice.below(20) };
                self.pass(took);
                let now = self.clock();
                let failure = match fault {
                    // acme-micro's own: one in ten.
                    None | Some(Fault::FailsValidations) if self.dice.below(10) == 0 => {
                        Some((FailureKind::Signature, "JWS verification error"))
                    }
                    None | Some(Fault::FailsValidations) => None,
                    Some(Fault::Away | Fault::Stalls) => Some((FailureKind::Unreachable, "no answer")),
                    Some(Fault::Refuses) => Some((FailureKind::Refused, "no")),
                    Some(Fault::LimitsRates) => Some((FailureKind::RateLimited, "too many")),
                };
                let result = match failure {
                    None => {
                        let proof = HttpChallenge { token: "t".into(), key_authorization: "t.k".into() };
                        Ok(vec![Challenge::Http01(proof)])
                    }
                    Some((kind, text)) => {
                        if kind != FailureKind::Signature {
                            self.figures.failures += 1;
                            self.remember(Outcome::Failed);
                        }
                        Err(Failure::new(kind, text))
                    }
                };
                bot.begun(result, &mut self.dice, now)
            }
            Action::Prove(_) => {
                let now = self.clock();
                bot.proving(Ok(()), &mut self.dice, now)
            }
            Action::Finish => {
                let took = 2 + self.dice.below(30);
                self.pass(took);
                let now = self.clock();
                let result = match self.outage().map(|outage| outage.fault) {
                    Some(Fault::FailsValidations) => {
                        self.figures.failed_validations.push(self.now);
                        self.remember(Outcome::Invalid);
                        Err(Failure::new(FailureKind::Validation, "Validation failed"))
                    }
                    Some(_) => {
                        self.remember(Outcome::Failed);
                        Err(Failure::new(FailureKind::Unreachable, "no answer"))
                    }
                    None => {
                        // As authorities do, dated back by an hour.
                        let not_before = now.utc - Duration::from_secs(3600);
                        let not_after = not_before + Duration::from_secs(self.lifetime as u64);
                        let validity = Validity { not_before, not_after };
                        self.recovered();
                        self.figures.issued.push(self.now);
                        self.remember(Outcome::Issued);
                        let challenge = Some(Kind::TlsAlpn01);
                        self.stored = Some(Stored { validity, challenge, is_as_wanted: true });
                        Ok(Issued { validity, proved: challenge })
                    }
                };
                bot.finished(result, &mut self.dice, now)
            }
            Action::AskRenewalInfo => {
                self.pass(1);
                let now = self.clock();
                let window = match self.outage() {
                    Some(_) => None,
                    None if self.is_revoked() => {
                        let (start, end) =
                            (now.utc - Duration::from_secs(7200), now.utc - Duration::from_secs(3600));
                        Some(Window { start, end })
                    }
                    None => None,
                };
                bot.advised(window, &mut self.dice, now);
                None
            }
        }
    }

    /// How long a renewal, which was due before, took after the authority was well again.
    fn recovered(&mut self) {
        let Some(stored) = self.stored else { return };
        let due = Self::seconds(stored.validity.not_before) + self.lifetime * 2 / 3;
        let last = self.outages.iter().rfind(|outage| outage.to <= self.now);
        if let Some(last) = last.filter(|last| due < last.to) {
            let took = self.now - last.to;
            let expired = self.now - last.to.max(Self::seconds(stored.validity.not_after));
            let longest = &mut self.figures.longest_expired_while_well_seconds;
            *longest = expired.max(*longest);
            self.figures.slowest_recovery_seconds = self.figures.slowest_recovery_seconds.max(took);
        }
    }

    fn run(mut self) -> Figures {
        let mut bot = self.start_bot();
        while self.now < YEARS * 365 * DAY {
            let now = self.clock();
            if self.dice.below(500) == 0 {
                self.figures.restarts += 1;
                bot = self.start_bot();
                continue;
            }
            match bot.handle_timeout(&mut self.dice, now) {
                Some(action) => {
                    let mut next = Some(action);
                    while let Some(action) = next {
                        next = self.carry_out(&mut bot, action);
                    }
                    let had = self.stored.is_some();
                    assert_eq!(bot.status().has_certificate, had, "what is there is served");
                }
                None => {
                    let wait = bot.poll_timeout(now).unwrap().saturating_since(now.instant);
                    assert!(wait > Duration::ZERO, "the bot must not spin");
                    self.pass(wait.as_secs() as i64 + i64::from(wait.subsec_nanos() > 0));
                }
            }
        }
        self.figures
    }
}

/// The most events within any such time.
fn most_within(times: &[i64], window: i64) -> usize {
    let count = |from: &i64| times.iter().filter(|at| (*from..from + window).contains(*at)).count();
    times.iter().map(count).max().unwrap_or(0)
}

/// Runs the years of several seeds, and gives what was worst.
fn years(lifetime_days: i64, check: impl Fn(u64, &Figures)) {
    for seed in 1..=SEEDS {
        let figures = World::new(seed, lifetime_days * DAY).run();
        println!(
            "{lifetime_days:>2} days, seed {seed:>2}: {:>4} issued, {:>5} orders, {:>5} failures, {:>3} failed validations \
             ({} an hour at most), {:>3} restarts, {:>5} h expired ({:>2} h of them with a well authority, {:>4} s at once), slowest recovery {:>5} s, {:>3} h revoked",
            figures.issued.len(),
            figures.orders,
            figures.failures,
            figures.failed_validations.len(),
            most_within(&figures.failed_validations, HOUR),
            figures.restarts,
            figures.expired_seconds / HOUR,
            figures.expired_while_well_seconds / HOUR,
            figures.longest_expired_while_well_seconds,
            figures.slowest_recovery_seconds,
            figures.revoked_in_use_seconds / HOUR,
        );
        assert!(most_within(&figures.failed_validations, HOUR) <= 4, "seed {seed}");
        check(seed, &figures);
    }
}

#[test]
fn certificates_of_90_days_never_expire() {
    years(90, |seed, figures| {
        assert_eq!(figures.expired_seconds, 0, "seed {seed}");
        assert!(figures.issued.len() >= 40, "seed {seed}: renewed after two thirds");
        assert!(most_within(&figures.issued, 7 * DAY) <= 5, "seed {seed}: Let's Encrypt's limit");
        assert!(figures.slowest_recovery_seconds <= DAY + HOUR, "seed {seed}");
    });
}

#[test]
fn certificates_of_6_days_expire_only_while_the_authority_is_away() {
    years(6, |seed, figures| {
        // Soon after an outage: within the longest wait of an urgent retry, and the time that an order takes.
        assert!(figures.longest_expired_while_well_seconds <= HOUR + HOUR / 10, "seed {seed}: {figures:?}");
        assert!(
            figures.expired_while_well_seconds <= figures.expired_seconds / 100,
            "seed {seed}: {figures:?}"
        );
        assert!(most_within(&figures.issued, 7 * DAY) <= 5, "seed {seed}");
        assert!(figures.slowest_recovery_seconds <= 6 * HOUR, "seed {seed}");
    });
}

#[test]
fn what_is_issued_and_cannot_be_used_is_not_ordered_again_at_once() {
    let mut world = World::new(1, 90 * DAY);
    let mut bot = world.start_bot();
    let now = world.clock();
    assert!(matches!(bot.handle_timeout(&mut world.dice, now), Some(Action::Begin(_))));
    assert!(matches!(bot.begun(Ok(Vec::new()), &mut world.dice, now), Some(Action::Finish)));
    let unusable = Failure::new(FailureKind::Unusable, "it is for other names");
    assert!(bot.finished(Err(unusable), &mut world.dice, now).is_none(), "neither by the other challenge");
    for hour in 0..18 {
        world.now = hour * HOUR;
        let now = world.clock();
        assert!(bot.handle_timeout(&mut world.dice, now).is_none(), "after {hour} hours");
    }
    world.now = DAY;
    let now = world.clock();
    assert!(matches!(bot.handle_timeout(&mut world.dice, now), Some(Action::Begin(_))));
}
