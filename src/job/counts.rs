//! What is counted where the lanes run, for whoever asks how the server is.
#![forbid(unsafe_code)]

use super::Lane;
use std::sync::atomic::{AtomicU64, Ordering};

/// Upper bounds of the histogram of how many requests are committed in one transaction.
pub const GROUP_BUCKETS: [u64; 9] = [1, 2, 4, 8, 16, 32, 64, 128, 256];

/// Counted by lanes, read by the core: single numbers, each right by itself.
#[derive(Default)]
pub struct Counts {
    lanes: [LaneCounts; Lane::ALL.len()],
    /// Transactions, by how many requests they committed.
    pub groups: [AtomicU64; GROUP_BUCKETS.len() + 1],
    /// Requests that were committed.
    pub committed: AtomicU64,
}

/// Of one lane.
#[derive(Default)]
pub struct LaneCounts {
    /// Jobs in its queue.
    pub waiting: AtomicU64,
    /// Jobs that it had no room for.
    pub refused: AtomicU64,
}

impl Counts {
    /// Those of one lane.
    pub fn of(&self, lane: Lane) -> &LaneCounts {
        &self.lanes[lane as usize]
    }

    /// So many requests were committed in one transaction.
    pub fn commit(&self, requests: usize) {
        let requests = requests as u64;
        let place = GROUP_BUCKETS.iter().position(|most| requests <= *most).unwrap_or(GROUP_BUCKETS.len());
        self.groups[place].fetch_add(1, Ordering::Relaxed);
        self.committed.fetch_add(requests, Ordering::Relaxed);
    }
}
