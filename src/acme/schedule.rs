//! When to order: at the time that the certification authority suggests, else after two thirds of the lifetime; after a
//! failure later and later, but sooner as expiry nears.
//!
//! Dates are UTC, and a clock may jump. So failures and limits are counted in monotonic time, a certificate is renewed
//! when either clock says so, and a new one stands for a third of its lifetime whatever the calendar says.
#![forbid(unsafe_code)]

use super::failure::Kind;
use super::history::{Entry, Outcome};
use super::renewal_info::Window;
use crate::entropy::{Entropy, random};
use crate::time::{Instant, Now, Timestamp};
use std::collections::VecDeque;
use std::time::Duration;

/// This version was made after that second: a clock that shows an earlier one is wrong, and nothing is ordered by it.
pub const RELEASED: Timestamp = Timestamp::from_unix(1_795_564_800); // 2026-11-25

/// Failed validations of a name within an hour; Let's Encrypt allows five.
pub const FAILED_VALIDATIONS_MAX: usize = 4;
/// Certificates within a week after which none is ordered before its time (on demand, or since an authority suggests it);
/// Let's Encrypt allows five of the same names.
pub const ISSUED_MAX: usize = 4;

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(60 * 60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const WEEK: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// How often the calendar is looked at, since it may jump.
const GLANCE: Duration = HOUR;

/// From when until when a certificate is valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    /// The first second.
    pub not_before: Timestamp,
    /// The second after the last.
    pub not_after: Timestamp,
}

impl Validity {
    /// The whole time between them.
    pub fn lifetime(self) -> Duration {
        seconds_between(self.not_before, self.not_after)
    }

    /// The time that is left.
    pub fn left(self, now: Timestamp) -> Duration {
        seconds_between(now, self.not_after)
    }
}

/// When the next order is due.
#[derive(Debug, Default)]
pub struct Schedule {
    /// Of the certificate that is to be renewed; without one, an order is due.
    validity: Option<Validity>,
    /// When to renew it by the calendar.
    renew_at: Timestamp,
    /// When to renew it by the monotonic clock.
    renew_by: Instant,
    /// When the certificate was issued, if that was since the start of this process.
    issued_at: Option<Instant>,
    /// No order before: the certificate is new.
    settled_until: Instant,
    /// No order before: the last one failed.
    retry_at: Option<Instant>,
    /// Failures since the last certificate.
    failures: u32,
    /// The operator asked for an order.
    asked: bool,
    /// What was issued last could not be used, and the next may be as useless.
    is_useless: bool,
    failed_validations: Recent<FAILED_VALIDATIONS_MAX>,
    issued: Recent<ISSUED_MAX>,
}

/// The last `MOST` events of a kind, each with the time until which it counts.
#[derive(Debug, Default)]
struct Recent<const MOST: usize>(VecDeque<Instant>);

impl<const MOST: usize> Recent<MOST> {
    fn note(&mut self, until: Instant) {
        if self.0.len() == MOST {
            self.0.pop_front();
        }
        self.0.push_back(until);
    }

    /// Until when `MOST` events count; the beginning of time where there are fewer.
    fn full_until(&self) -> Instant {
        self.0.front().copied().filter(|_| self.0.len() == MOST).unwrap_or_default()
    }
}

impl Schedule {
    /// A schedule that knows what was ordered before this start. Entries of the future (the clock was wrong) count as
    /// if they were of now.
    pub fn after(history: &[Entry], now: Now) -> Schedule {
        let mut schedule = Schedule::default();
        for entry in history {
            let age = seconds_between(entry.at, now.utc);
            let (recent, window) = match entry.outcome {
                Outcome::Invalid => (&mut schedule.failed_validations, HOUR),
                Outcome::Issued => (&mut schedule.issued, WEEK),
                Outcome::Failed => continue,
            };
            if age < window {
                recent.note(now.instant + (window - age));
            }
        }
        schedule
    }

    /// Takes note of the certificate in use: one that was stored, or a new one.
    pub fn in_use(&mut self, validity: Validity, is_new: bool, entropy: &mut dyn Entropy, now: Now) {
        let lifetime = validity.lifetime();
        self.validity = Some(validity);
        let at = validity.not_before + lifetime * 2 / 3;
        self.plan(at - fraction(lifetime / 20, entropy), now);
        self.issued_at = is_new.then_some(now.instant);
        if is_new {
            self.issued.note(now.instant + WEEK);
            self.settled_until = now.instant + lifetime / 3;
            self.retry_at = None;
            self.failures = 0;
            self.asked = false;
            self.is_useless = false;
        }
    }

    /// Renews at some time in the window that the authority suggests (RFC 9773 section 4.2).
    pub fn suggested(&mut self, window: Window, entropy: &mut dyn Entropy, now: Now) {
        let Some(validity) = self.validity else { return };
        let span = seconds_between(window.start, window.end);
        let at = window.start + fraction(span, entropy);
        // An authority cannot make this server stay with a certificate until it expires.
        let at = at.min(validity.not_before + validity.lifetime() * 9 / 10);
        self.plan(at, now);
        // Where it is revoked, or about to be, a third of its lifetime is too long to wait. But a calendar that is ahead
        // sees every window pass at once: its age must say so too.
        let by_calendar = now.instant + seconds_between(now.utc, at);
        let by_age = self.issued_at.map(|issued| issued + seconds_between(validity.not_before, at));
        self.settled_until = self.settled_until.min(by_calendar.max(by_age.unwrap_or_default()));
    }

    /// Waits no longer after a failed order, as far as the limits allow; but after one that counts as much as one that was of
    /// use.
    pub fn retry(&mut self) {
        if !self.is_useless {
            self.retry_at = None;
        }
    }

    /// Orders as soon as the limits allow, because the operator asks for it.
    pub fn ask(&mut self, now: Now) {
        self.asked = true;
        self.settled_until = now.instant;
        self.retry_at = None;
    }

    fn plan(&mut self, at: Timestamp, now: Now) {
        self.renew_at = at;
        self.renew_by = now.instant + seconds_between(now.utc, at);
    }

    /// Whether the limit of failed validations leaves room for another try.
    pub fn allows_validation(&self, now: Now) -> bool {
        self.failed_validations.full_until() <= now.instant
    }

    /// Takes note of a failed validation, which counts whatever comes of the order.
    pub fn validation_failed(&mut self, now: Now) {
        self.failed_validations.note(now.instant + HOUR);
    }

    /// Waits after a failed order: twice as long each time.
    pub fn failed(&mut self, kind: Kind, entropy: &mut dyn Entropy, now: Now) {
        self.failures = self.failures.saturating_add(1);
        if kind == Kind::Unusable {
            self.is_useless = true;
            self.issued.note(now.instant + WEEK);
        }
        let (first, urgent_min) = match kind {
            Kind::RateLimited => (HOUR, HOUR),
            Kind::Refused | Kind::Validation => (MINUTE, HOUR),
            Kind::Unusable => (DAY, DAY),
            Kind::Unreachable | Kind::Local | Kind::Signature => (MINUTE, 10 * MINUTE),
        };
        // A day at most; near expiry, and after it, an eighth of what is left.
        let left = self.validity.map_or(Duration::ZERO, |validity| validity.left(now.utc));
        let most = (left / 8).clamp(urgent_min, DAY);
        let doubled = first.saturating_mul(1 << (self.failures - 1).min(16)).min(most);
        let wait = doubled - fraction(doubled / 4, entropy);
        self.retry_at = Some(now.instant + wait);
    }

    /// Whether to order now.
    pub fn is_due(&self, now: Now) -> bool {
        self.next(now) <= now.instant && is_plausible(now.utc)
    }

    /// When to ask [`Schedule::is_due`] next.
    pub fn next(&self, now: Now) -> Instant {
        if !is_plausible(now.utc) {
            return now.instant + MINUTE;
        }
        let wanted = if self.validity.is_none() || self.asked {
            now.instant
        } else {
            (now.instant + seconds_between(now.utc, self.renew_at)).min(self.renew_by).max(self.settled_until)
        };
        let mut at = wanted.max(self.retry_at.unwrap_or(wanted));
        at = at.max(self.failed_validations.full_until());
        if self.is_early(now) || self.is_useless {
            at = at.max(self.issued.full_until());
        }
        if at <= now.instant { at } else { at.min(now.instant + GLANCE) }
    }

    /// Whether the certificate in use has more than half of its lifetime left, by either clock.
    fn is_early(&self, now: Now) -> bool {
        let Some(validity) = self.validity else { return false };
        let half = validity.lifetime() / 2;
        let is_young = |issued| now.instant.saturating_since(issued) < half;
        validity.left(now.utc) > half || self.issued_at.is_some_and(is_young)
    }

    /// Failures since the last certificate.
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// When the certificate in use is to be renewed; `None` without one.
    pub fn renew_at(&self) -> Option<Timestamp> {
        self.validity.map(|_| self.renew_at)
    }

    /// Whether the certificate in use has less than a sixth of its lifetime left, so that a failure is serious.
    pub fn is_urgent(&self, now: Timestamp) -> bool {
        self.validity.is_none_or(|validity| validity.left(now) < validity.lifetime() / 6)
    }
}

/// Whether the calendar can be right.
pub fn is_plausible(now: Timestamp) -> bool {
    now >= RELEASED
}

fn seconds_between(from: Timestamp, to: Timestamp) -> Duration {
    Duration::from_secs(u64::try_from(to.unix().saturating_sub(from.unix())).unwrap_or(0))
}

/// A random part of a duration.
fn fraction(of: Duration, entropy: &mut dyn Entropy) -> Duration {
    let part = u32::from_be_bytes(random(entropy));
    Duration::from_secs(((u128::from(of.as_secs()) * u128::from(part)) >> 32) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Draws the same byte over and over.
    struct Byte(u8);
    impl Entropy for Byte {
        fn fill(&mut self, bytes: &mut [u8]) {
            bytes.fill(self.0);
        }
    }

    const START: i64 = 1_800_000_000;

    /// The time so many seconds after the start, by both clocks.
    fn at(seconds: u64) -> Now {
        Now {
            instant: Instant::from_nanos((1_000_000 + seconds) * 1_000_000_000),
            utc: Timestamp::from_unix(START + seconds as i64),
            utc_millis: 0,
        }
    }

    fn valid_for(days: u64) -> Validity {
        let not_before = at(0).utc;
        Validity { not_before, not_after: not_before + DAY * days as u32 }
    }

    /// The first second, by the hour, at which an order is due.
    fn due_hour(schedule: &Schedule, from: u64) -> u64 {
        (from..).find(|hour| schedule.is_due(at(hour * 3600))).unwrap()
    }

    #[test]
    fn without_a_certificate_one_is_ordered_at_once_unless_the_clock_is_wrong() {
        let schedule = Schedule::after(&[], at(0));
        assert!(schedule.is_due(at(0)));
        let early = Now { utc: Timestamp::from_unix(0), ..at(0) };
        assert!(!schedule.is_due(early));
        assert_eq!(schedule.next(early), early.instant + MINUTE);
    }

    #[test]
    fn renewal_is_after_two_thirds_of_any_lifetime_with_jitter() {
        for days in [6, 90] {
            for (byte, earlier) in [(0, 0), (255, days * 24 / 20)] {
                let mut schedule = Schedule::default();
                schedule.in_use(valid_for(days), true, &mut Byte(byte), at(0));
                let hour = due_hour(&schedule, 0);
                let expected = days * 24 * 2 / 3 - earlier;
                assert!(hour.abs_diff(expected) <= 1, "{days} days: after {hour} hours, not {expected}");
            }
        }
    }

    #[test]
    fn a_suggestion_counts_but_not_beyond_nine_tenths() {
        let mut schedule = Schedule::default();
        schedule.in_use(valid_for(90), true, &mut Byte(0), at(0));
        let window = |from: u64, to: u64| Window { start: at(from * 86_400).utc, end: at(to * 86_400).utc };
        schedule.suggested(window(50, 51), &mut Byte(0), at(0));
        assert_eq!(due_hour(&schedule, 0), 50 * 24);
        schedule.suggested(window(100, 101), &mut Byte(0), at(0));
        assert_eq!(due_hour(&schedule, 0), 81 * 24);
        // Revoked after a day: the window is past.
        let now = at(2 * 86_400);
        schedule.suggested(window(0, 1), &mut Byte(0), now);
        assert!(schedule.is_due(now));
    }

    #[test]
    fn a_revocation_that_is_announced_does_not_wait_for_the_end_of_its_window() {
        let day = 86_400;
        let mut schedule = Schedule::default();
        schedule.in_use(valid_for(90), true, &mut Byte(0), at(0));
        let window = Window { start: at(5 * day).utc, end: at(6 * day).utc };
        schedule.suggested(window, &mut Byte(128), at(5 * day));
        assert_eq!(due_hour(&schedule, 5 * 24), 5 * 24 + 13);
        // A later window counts again.
        let window = Window { start: at(40 * day).utc, end: at(41 * day).utc };
        schedule.suggested(window, &mut Byte(0), at(5 * day));
        assert_eq!(due_hour(&schedule, 5 * 24), 40 * 24);
    }

    /// How many orders thirty days take by a calendar that is so many days ahead of the authority's, which suggests a
    /// window of two days that begins so many hours after the certificate.
    fn orders_with_a_calendar_ahead(days: u64, window_hours: i64) -> usize {
        let mut schedule = Schedule::default();
        let mut orders = 0;
        for hour in 0..30 * 24 {
            let right = at(hour * 3600);
            let now = Now { utc: right.utc + DAY * days as u32, ..right };
            if schedule.is_due(now) {
                orders += 1;
                let not_before = right.utc;
                let validity = Validity { not_before, not_after: not_before + DAY * 90 };
                schedule.in_use(validity, true, &mut Byte(0), now);
            }
            let issued = schedule.validity.unwrap().not_before.unix();
            let start = Timestamp::from_unix(issued + window_hours * 3600);
            schedule.suggested(Window { start, end: start + 2 * DAY }, &mut Byte(0), now);
        }
        orders
    }

    #[test]
    fn a_calendar_that_is_ahead_does_not_order_again_and_again() {
        assert_eq!(orders_with_a_calendar_ahead(63, 60 * 24), 1);
        // An authority that always suggests what is past is limited as the operator is: thirty days are four weeks and two
        // days.
        assert_eq!(orders_with_a_calendar_ahead(63, -72), 5 * ISSUED_MAX);
        assert_eq!(orders_with_a_calendar_ahead(0, -72), 5 * ISSUED_MAX);
    }

    #[test]
    fn failures_wait_longer_each_time_and_less_as_expiry_nears() {
        let mut schedule = Schedule::default();
        schedule.in_use(valid_for(90), true, &mut Byte(0), at(0));
        let now = at(61 * 86_400);
        let mut waits = Vec::new();
        for _ in 0..13 {
            schedule.failed(Kind::Unreachable, &mut Byte(0), now);
            waits.push(schedule.retry_at.unwrap().saturating_since(now.instant).as_secs() / 60);
        }
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 1440, 1440]);
        let mut wait = |day: u64, kind| {
            let now = at(day * 86_400);
            schedule.failed(kind, &mut Byte(0), now);
            schedule.retry_at.unwrap().saturating_since(now.instant).as_secs() / 60
        };
        assert_eq!(wait(88, Kind::Unreachable), 2 * 1440 / 8);
        assert_eq!(wait(91, Kind::Unreachable), 10);
        assert_eq!(wait(91, Kind::Refused), 60);
        assert_eq!(wait(91, Kind::Unusable), 1440);
        assert!(schedule.is_urgent(at(89 * 86_400).utc) && !schedule.is_urgent(at(61 * 86_400).utc));
    }

    #[test]
    fn four_failed_validations_within_an_hour_are_enough_also_across_starts() {
        let invalid = |second: i64| Entry { at: at(second as u64).utc, outcome: Outcome::Invalid };
        let history = [invalid(0), invalid(60), invalid(120)];
        let mut schedule = Schedule::after(&history, at(180));
        assert!(schedule.is_due(at(180)));
        schedule.validation_failed(at(200));
        assert!(!schedule.is_due(at(3599)));
        assert!(schedule.is_due(at(3600)));
        schedule.validation_failed(at(3601));
        assert!(!schedule.is_due(at(3659)) && schedule.is_due(at(3660)));
    }

    #[test]
    fn orders_on_demand_are_limited_and_those_in_time_are_not() {
        let mut schedule = Schedule::default();
        for order in 0..ISSUED_MAX as u64 {
            schedule.ask(at(order));
            assert!(schedule.is_due(at(order)));
            schedule.in_use(valid_for(90), true, &mut Byte(0), at(order));
            assert!(!schedule.is_due(at(order)));
        }
        schedule.ask(at(10));
        assert!(!schedule.is_due(at(11)));
        assert!(schedule.is_due(at(7 * 86_400)));
    }

    #[test]
    fn a_retry_orders_only_what_has_failed() {
        let mut schedule = Schedule::default();
        schedule.failed(Kind::Local, &mut Byte(0), at(0));
        assert!(!schedule.is_due(at(1)));
        schedule.retry();
        assert!(schedule.is_due(at(1)), "there is no certificate");
        schedule.in_use(valid_for(90), true, &mut Byte(0), at(1));
        schedule.retry();
        assert!(!schedule.is_due(at(2)), "it is renewed at its time");
        schedule.ask(at(3));
        schedule.failed(Kind::Unreachable, &mut Byte(0), at(4));
        assert!(!schedule.is_due(at(5)));
        schedule.retry();
        assert!(schedule.is_due(at(5)));
    }

    #[test]
    fn what_cannot_be_used_counts_as_much_as_what_can() {
        let mut schedule = Schedule::default();
        for order in 0..ISSUED_MAX as u64 {
            let now = at(order);
            schedule.ask(now);
            assert!(schedule.is_due(now));
            schedule.failed(Kind::Unusable, &mut Byte(0), now);
            schedule.retry();
            assert!(!schedule.is_due(now), "SIGHUP is no order");
        }
        schedule.ask(at(10));
        assert!(!schedule.is_due(at(11)) && schedule.is_due(at(7 * 86_400)));
    }

    #[test]
    fn a_clock_that_jumps_costs_one_order_and_no_more() {
        let mut schedule = Schedule::default();
        schedule.in_use(valid_for(90), true, &mut Byte(0), at(0));
        // Ten years ahead, a day later.
        let wrong = |seconds| Now { utc: at(seconds + 3650 * 86_400).utc, ..at(seconds) };
        assert!(!schedule.is_due(wrong(86_400)), "it is new");
        assert!(schedule.is_due(wrong(31 * 86_400)));
        schedule.in_use(valid_for(90), true, &mut Byte(0), wrong(31 * 86_400));
        assert!(!schedule.is_due(wrong(32 * 86_400)), "by this clock it has expired, but it is new");
        // Years behind: the monotonic clock renews.
        let mut schedule = Schedule::default();
        schedule.in_use(valid_for(90), true, &mut Byte(0), at(0));
        let behind = |seconds| Now { utc: RELEASED, ..at(seconds) };
        assert!(!schedule.is_due(behind(59 * 86_400)));
        assert!(schedule.is_due(behind(60 * 86_400)));
    }

    #[test]
    fn the_calendar_is_looked_at_every_hour() {
        let mut schedule = Schedule::default();
        schedule.in_use(valid_for(90), true, &mut Byte(0), at(0));
        assert_eq!(schedule.next(at(0)), at(0).instant + GLANCE);
    }
}
