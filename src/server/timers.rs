//! The deadlines of connections.
#![forbid(unsafe_code)]

use super::event::ConnectionId;
use crate::time::Instant;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Wake-ups that are kept for each connection, though it needs one,
const WAKE_UPS_PER_CONNECTION: usize = 4;
/// and for none.
const WAKE_UPS_SPARE: usize = 1024;

/// Wake-ups in order of time. A connection moves its deadline with almost every event, mostly to later; so the heap
/// holds wake-ups, each no later than the deadline it was made for, and who wakes too early is put back.
#[derive(Default)]
pub struct Timers {
    wake_ups: BinaryHeap<Reverse<(Instant, ConnectionId)>>,
}

/// The deadline of one connection.
#[derive(Clone, Copy, Default)]
pub struct Deadline {
    at: Option<Instant>,
    armed: Option<Instant>,
}

impl Timers {
    /// Moves the deadline of a connection.
    pub fn set(&mut self, connection: ConnectionId, deadline: &mut Deadline, at: Option<Instant>) {
        deadline.at = at;
        if let Some(at) = at
            && deadline.armed.is_none_or(|armed| at < armed)
        {
            deadline.armed = Some(at);
            self.wake_ups.push(Reverse((at, connection)));
        }
    }

    /// Takes out the wake-ups that have come, at most `max` of them. What is set to `now` meanwhile is not among them.
    pub fn take_due(&mut self, now: Instant, max: usize) -> Vec<(Instant, ConnectionId)> {
        std::iter::from_fn(|| self.pop_due(now)).take(max).collect()
    }

    /// The next connection whose wake-up has come. Its owner calls [`Timers::woken`].
    fn pop_due(&mut self, now: Instant) -> Option<(Instant, ConnectionId)> {
        let Reverse((at, _)) = *self.wake_ups.peek()?;
        if at > now {
            return None;
        }
        self.wake_ups.pop().map(|Reverse(entry)| entry)
    }

    /// Whether the deadline of a woken connection has passed; if it is still to come, the next wake-up is set.
    pub fn woken(
        &mut self,
        connection: ConnectionId,
        deadline: &mut Deadline,
        wake_up: Instant,
        now: Instant,
    ) -> bool {
        // The one that counts has a wake-up of its own: one that is left over is no turn more.
        if deadline.armed != Some(wake_up) {
            return false;
        }
        deadline.armed = None;
        match deadline.at {
            Some(at) if at <= now => {
                deadline.at = None;
                true
            }
            at => {
                self.set(connection, deadline, at);
                false
            }
        }
    }

    /// Forgets the wake-ups of connections that are gone, and those of others that came to nothing, when there are many more
    /// than `open` connections. These are they, with their deadlines.
    pub fn prune<'d>(&mut self, open: usize, all: impl Iterator<Item = (ConnectionId, &'d Deadline)>) {
        if self.wake_ups.len() > WAKE_UPS_PER_CONNECTION * open + WAKE_UPS_SPARE {
            let armed = all.filter_map(|(id, deadline)| Some(Reverse((deadline.armed?, id))));
            self.wake_ups = armed.collect();
        }
    }

    /// When the next wake-up is due.
    pub fn next(&self) -> Option<Instant> {
        self.wake_ups.peek().map(|Reverse((at, _))| *at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: ConnectionId = ConnectionId { slot: 0, generation: 0 };

    fn at(seconds: u64) -> Instant {
        Instant::from_nanos(seconds * 1_000_000_000)
    }

    #[test]
    fn a_deadline_that_moves_later_fires_once_and_on_time() {
        let (mut timers, mut deadline) = (Timers::default(), Deadline::default());
        for second in 1..=100 {
            timers.set(ID, &mut deadline, Some(at(second)));
        }
        assert_eq!(timers.wake_ups.len(), 1);
        let mut fired = Vec::new();
        for second in 0..200 {
            while let Some((wake_up, id)) = timers.pop_due(at(second)) {
                if timers.woken(id, &mut deadline, wake_up, at(second)) {
                    fired.push(second);
                }
            }
        }
        assert_eq!(fired, [100]);
        assert_eq!(timers.next(), None);
    }

    #[test]
    fn connections_that_are_gone_leave_few_wake_ups_and_the_others_keep_theirs() {
        let (mut timers, mut deadline) = (Timers::default(), Deadline::default());
        timers.set(ID, &mut deadline, Some(at(75)));
        timers.set(ID, &mut deadline, Some(at(10)));
        for generation in 0..100_000 {
            let gone = ConnectionId { slot: 1, generation };
            timers.set(gone, &mut Deadline::default(), Some(at(75)));
            timers.prune(1, [(ID, &deadline)].into_iter());
            assert!(timers.wake_ups.len() <= WAKE_UPS_PER_CONNECTION + WAKE_UPS_SPARE);
        }
        assert_eq!(timers.pop_due(at(10)), Some((at(10), ID)));
        assert!(timers.woken(ID, &mut deadline, at(10), at(10)));
    }

    #[test]
    fn a_deadline_that_moves_earlier_fires_early_and_only_once() {
        let (mut timers, mut deadline) = (Timers::default(), Deadline::default());
        timers.set(ID, &mut deadline, Some(at(50)));
        timers.set(ID, &mut deadline, Some(at(10)));
        let mut fired = Vec::new();
        for second in 0..100 {
            while let Some((wake_up, id)) = timers.pop_due(at(second)) {
                if timers.woken(id, &mut deadline, wake_up, at(second)) {
                    fired.push(second);
                }
            }
        }
        assert_eq!(fired, [10]);
    }
}
