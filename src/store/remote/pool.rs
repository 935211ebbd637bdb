//! Connections: a few, kept; and none for a while when the database is away, so that nobody waits for it in vain.
#![forbid(unsafe_code)]
#![expect(
    clippy::disallowed_methods,
    reason = "outages last in real time; no simulator has a remote database"
)]

use super::{Database, Failure};
use crate::limits::{
    DATABASE_ANSWER_TIMEOUT, DATABASE_CONNECTIONS_MAX, DATABASE_KEEP_TIMEOUT, DATABASE_PAUSE_MAX,
    DATABASE_PAUSE_MIN, DATABASE_RUNS_MAX,
};
use crate::store::StoreError;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// The connections of one server to its database.
pub struct Pool<D: Database> {
    database: D,
    /// Where the database is, for those who may know.
    place: String,
    state: Mutex<State<D::Connection>>,
    freed: Condvar,
}

struct State<C> {
    /// Since when each is not used; the last one was used last.
    idle: Vec<(Instant, C)>,
    in_use: usize,
    /// While no connection can be made.
    outage: Option<Outage>,
    /// What the last question met with.
    trouble: Option<String>,
}

struct Outage {
    /// The next attempt is not before.
    until: Instant,
    /// What follows it.
    pause: Duration,
    /// Somebody is at it.
    is_probed: bool,
}

impl<D: Database> Pool<D> {
    /// A pool without connections.
    pub fn new(database: D, place: String) -> Pool<D> {
        let state = State { idle: Vec::new(), in_use: 0, outage: None, trouble: None };
        Pool { database, place, state: Mutex::new(state), freed: Condvar::new() }
    }

    /// Asks the database, anew where that may help: over another connection when one that was kept turns out to be dead,
    /// and as often as the database asks for it.
    pub fn ask<T>(
        &self,
        mut question: impl FnMut(&mut D::Connection) -> Result<T, Failure>,
    ) -> Result<T, StoreError> {
        let begin = Instant::now();
        let mut run = 0;
        loop {
            let mut lease = self.take()?;
            let failure = match question(lease.connection()) {
                Ok(answer) => {
                    lease.give_back();
                    return Ok(answer);
                }
                Err(failure) => failure,
            };
            run += 1;
            let may_ask = run < DATABASE_RUNS_MAX && begin.elapsed() < DATABASE_ANSWER_TIMEOUT;
            match failure {
                Failure::Again(_) if may_ask => {
                    lease.give_back();
                    thread::sleep(pause_before(run));
                }
                Failure::Lost(reason) if lease.was_kept && may_ask => {
                    // What was kept beside it was lost with it: by a restart, or for having been idle.
                    self.lock().idle.clear();
                    log::debug!("a connection to {} was lost: {reason}", self.place);
                }
                failure => return Err(self.told(failure)),
            }
        }
    }

    /// What the last question met with.
    pub fn trouble(&self) -> Option<String> {
        self.lock().trouble.clone()
    }

    /// A connection for what takes longer than any request may, kept by nobody.
    pub fn connect(&self, answer_timeout: Duration) -> Result<D::Connection, StoreError> {
        self.database.connect(answer_timeout).map_err(|failure| self.told(failure))
    }

    /// The error that a failure is.
    pub fn told(&self, failure: Failure) -> StoreError {
        match failure {
            Failure::Stored(error) => error,
            failure => {
                // After these, an answer would not come in time.
                let is_away = matches!(failure, Failure::Silent(_) | Failure::Unsure(_));
                self.failed(failure.reason(), is_away)
            }
        }
    }

    fn take(&self) -> Result<Lease<'_, D>, StoreError> {
        let all_used = |state: &mut State<_>| state.in_use >= DATABASE_CONNECTIONS_MAX;
        let waited = self.freed.wait_timeout_while(self.lock(), DATABASE_ANSWER_TIMEOUT, all_used);
        let (mut state, waited) = waited.unwrap_or_else(PoisonError::into_inner);
        if waited.timed_out() {
            return Err(StoreError::Unavailable(format!("{}: all connections are in use", self.place)));
        }
        // The last one first: what is in little use grows old.
        if let Some((since, kept)) = state.idle.pop() {
            if since.elapsed() < DATABASE_KEEP_TIMEOUT {
                state.in_use += 1;
                return Ok(Lease { pool: self, connection: Some(kept), was_kept: true });
            }
            state.idle.clear();
        }
        if let Some(outage) = &mut state.outage {
            if outage.is_probed || Instant::now() < outage.until {
                let reason = state.trouble.clone().unwrap_or_else(|| format!("{} is away", self.place));
                return Err(StoreError::Unavailable(reason));
            }
            outage.is_probed = true;
        }
        state.in_use += 1;
        drop(state);
        // Counted as used, whatever becomes of it.
        let mut lease = Lease { pool: self, connection: None, was_kept: false };
        match self.database.connect(DATABASE_ANSWER_TIMEOUT) {
            Ok(connection) => {
                if self.lock().outage.take().is_some() {
                    log::info!("{} answers again", self.place);
                }
                lease.connection = Some(connection);
                Ok(lease)
            }
            Err(failure) => Err(self.failed(failure.reason(), true)),
        }
    }

    /// Notes that the database has not answered; and, if it is away, that it is left alone for a while.
    fn failed(&self, reason: String, is_away: bool) -> StoreError {
        let reason = format!("{}: {reason}", self.place);
        let mut state = self.lock();
        state.trouble = Some(reason.clone());
        if is_away {
            state.idle.clear();
            let pause = match &state.outage {
                None => {
                    log::warn!("the database does not answer: {reason}");
                    Some(DATABASE_PAUSE_MIN)
                }
                Some(outage) if outage.is_probed => Some((outage.pause * 2).min(DATABASE_PAUSE_MAX)),
                // Others who began before the outage was known do not make it longer.
                Some(_) => None,
            };
            if let Some(pause) = pause {
                state.outage = Some(Outage { until: Instant::now() + pause, pause, is_probed: false });
            }
        }
        StoreError::Unavailable(reason)
    }

    fn lock(&self) -> MutexGuard<'_, State<D::Connection>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection in use; dropped, it is closed.
struct Lease<'p, D: Database> {
    pool: &'p Pool<D>,
    connection: Option<D::Connection>,
    /// Whether it has been idle, and may be dead without anybody knowing.
    was_kept: bool,
}

impl<D: Database> Lease<'_, D> {
    fn connection(&mut self) -> &mut D::Connection {
        self.connection.as_mut().expect("it is there until it is given back")
    }

    /// Keeps the connection for others: the database answers.
    fn give_back(mut self) {
        let mut state = self.pool.lock();
        state.idle.extend(self.connection.take().map(|connection| (Instant::now(), connection)));
        if state.outage.is_none() {
            state.trouble = None;
        }
    }
}

impl<D: Database> Drop for Lease<'_, D> {
    fn drop(&mut self) {
        self.pool.lock().in_use -= 1;
        self.pool.freed.notify_one();
    }
}

/// A pause that grows with each run and is not the same in all servers.
fn pause_before(run: u32) -> Duration {
    Duration::from_millis((1 << run) + u64::from(std::process::id() % 8))
}
