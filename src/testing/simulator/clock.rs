//! Time that passes when the simulator says so.
#![forbid(unsafe_code)]

use crate::time::{Instant, Now, Timestamp};
use std::time::Duration;

/// When a simulation begins: after this version was made.
pub const START: i64 = 1_796_169_600;

/// Both clocks, in step.
pub struct Clock {
    elapsed: Duration,
}

impl Clock {
    /// A clock at its start.
    pub fn new() -> Clock {
        Clock { elapsed: Duration::ZERO }
    }

    /// What it shows.
    pub fn now(&self) -> Now {
        Now {
            instant: Instant::from_nanos(0) + self.elapsed,
            utc: Timestamp::from_unix(START + self.elapsed.as_secs() as i64),
            utc_millis: self.elapsed.subsec_millis() as u16,
        }
    }

    /// Lets time pass.
    pub fn advance(&mut self, time: Duration) {
        self.elapsed += time;
    }
}
