//! When a set of keys is fetched: at the start, when it is old, again after a failure, and when a token names a key that is not
//! in it; one fetch at a time, and with pauses that no peer can shorten.
#![forbid(unsafe_code)]

use crate::limits;
use crate::time::Instant;

/// The schedule of one issuer.
pub struct Refresh {
    next: Instant,
    is_running: bool,
    failures: u32,
    ended: Option<Instant>,
}

impl Refresh {
    /// Fetched at once.
    pub fn new(now: Instant) -> Refresh {
        Refresh { next: now, is_running: false, failures: 0, ended: None }
    }

    /// When there is something to do; `None` while a fetch is under way.
    pub fn poll_timeout(&self) -> Option<Instant> {
        (!self.is_running).then_some(self.next)
    }

    /// Whether a fetch is due. The one who asks begins it.
    pub fn begin_if_due(&mut self, now: Instant) -> bool {
        let is_due = !self.is_running && self.next <= now;
        self.is_running |= is_due;
        is_due
    }

    /// Somebody shows a token whose key is not known. Whether that may be known soon: a fetch is under way, or due now.
    pub fn hurry(&mut self, now: Instant) -> bool {
        let is_pausing = self.ended.is_some_and(|ended| now < ended + limits::KEY_SET_PAUSE);
        if !self.is_running && !is_pausing {
            self.next = now;
        }
        self.is_running || !is_pausing
    }

    /// The fetch has ended.
    pub fn end(&mut self, is_good: bool, now: Instant) {
        self.is_running = false;
        self.ended = Some(now);
        if is_good {
            self.failures = 0;
            self.next = now + limits::KEY_SET_REFRESH_INTERVAL;
        } else {
            let doubled = limits::KEY_SET_RETRY_MIN.saturating_mul(1 << self.failures.min(16));
            self.next = now + doubled.min(limits::KEY_SET_RETRY_MAX);
            self.failures += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn at(milliseconds: u64) -> Instant {
        Instant::default() + Duration::from_millis(milliseconds)
    }

    #[test]
    fn failures_are_repeated_more_and_more_seldom_and_an_old_set_is_fetched_again() {
        let mut refresh = Refresh::new(at(0));
        let mut now = 0;
        for pause in [1, 2, 4, 8, 16, 32, 60, 60, 60] {
            assert!(refresh.begin_if_due(at(now)) && !refresh.begin_if_due(at(now)));
            assert_eq!(refresh.poll_timeout(), None);
            refresh.end(false, at(now));
            now += pause * 1000;
            assert_eq!(refresh.poll_timeout(), Some(at(now)));
            assert!(!refresh.begin_if_due(at(now - 1)));
        }
        assert!(refresh.begin_if_due(at(now)));
        refresh.end(true, at(now));
        assert_eq!(refresh.poll_timeout(), Some(at(now) + limits::KEY_SET_REFRESH_INTERVAL));
    }

    #[test]
    fn unknown_keys_bring_about_one_fetch_in_a_pause() {
        let mut refresh = Refresh::new(at(0));
        assert!(refresh.begin_if_due(at(0)) && refresh.hurry(at(1)), "one is under way");
        refresh.end(true, at(10));
        let mut fetches = 0;
        for now in 11..60_011 {
            refresh.hurry(at(now));
            if refresh.begin_if_due(at(now)) {
                fetches += 1;
                // Whatever came of it.
                refresh.end(fetches % 2 == 0, at(now));
            }
        }
        // Every five seconds, and a second after each failure for its own sake.
        assert_eq!(fetches, 20);
    }
}
