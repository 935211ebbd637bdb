//! Slow or blocking work as plain data: a [`Job`] goes to a lane, a [`Completion`] comes back.
#![forbid(unsafe_code)]

use crate::entropy::Entropy;
use crate::server::event::ConnectionId;
use crate::store::Store;
use std::sync::Arc;

/// What waits for a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum JobId {
    /// The request that this connection has in flight.
    Request(ConnectionId),
    /// The server itself, for its certificate.
    Certificate,
}

/// A bounded queue with a worker thread of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Lane {
    /// Writes: whatever waits is run as one batch, in one durable transaction.
    Store,
    /// Scans, large bodies, PKCS#12 files: one at a time.
    Bulk,
}

/// Work for a lane.
pub struct Job {
    /// Who waits for it.
    pub id: JobId,
    /// The work itself.
    pub work: Work,
}

/// The kinds of work.
pub enum Work {}

/// The answer to a [`Job`].
pub struct Completion {
    /// Who waited.
    pub id: JobId,
    /// The answer.
    pub done: Done,
}

/// The kinds of answers.
pub enum Done {
    /// The lane's queue was full (made by the shell, which did not take the job).
    Busy,
}

/// What the worker of a lane owns.
pub struct Resources {
    /// The keys.
    pub store: Arc<dyn Store>,
    /// Nonces and identifiers for what is finished in a lane.
    pub entropy: Box<dyn Entropy>,
}

/// Runs a batch of jobs of one lane and answers each, in order. The store lane hands over all that waits (at most
/// [`crate::limits::GROUP_COMMIT_MAX`]); the others hand over one job at a time.
pub fn run(jobs: Vec<Job>, _resources: &mut Resources) -> Vec<Completion> {
    jobs.into_iter().map(|job| match job.work {}).collect()
}
