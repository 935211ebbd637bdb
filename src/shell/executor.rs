//! The lanes: worker threads that run jobs, each behind a bounded queue. Threads exist only here.
//!
//! The store lane commits in groups without waiting for one to form: what came while the last commit ran is the next
//! batch.
#![forbid(unsafe_code)]

use super::backups::Question;
use super::sandbox;
use crate::job::{self, Completion, Counts, Job, Lane, Resources};
use crate::limits::{BACKUPS_WAITING_MAX, GROUP_COMMIT_MAX, LANE_JOBS_MAX, QUOTES_WAITING_MAX};
use mio::Waker;
use std::collections::VecDeque;
use std::io;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// A panicking worker aborts the process before anyone can see the poison.
const NO_POISON: &str = "a worker that panics ends the process";

/// The lanes of the process.
pub struct Executor {
    store: Workers<Job>,
    bulk: Workers<Job>,
    certificate: Workers<Job>,
    egress: Workers<Job>,
    key_sets: Workers<Job>,
    platform: Workers<Job>,
    audit: Workers<Job>,
    /// Not for the core: nobody there waits for it.
    backup: Workers<Question>,
    completions: Completions<Completion>,
    counts: Arc<Counts>,
}

impl Executor {
    /// Starts one worker per lane, and `readers` of them for the bulk lane, each with resources of its own. `waker` is the
    /// reactor's: it is woken once a batch of completions is there.
    pub fn start(
        waker: Arc<Waker>,
        readers: usize,
        resources: impl Fn() -> Resources,
    ) -> io::Result<Executor> {
        let completions = Completions::new(waker);
        let counts = resources().counts;
        let lane = |lane: Lane, workers, batch_max| {
            let run = || {
                let mut resources = resources();
                move |jobs: Vec<Job>| {
                    resources.counts.of(lane).waiting.fetch_sub(jobs.len() as u64, Ordering::Relaxed);
                    job::run(jobs, &mut resources)
                }
            };
            let jobs_max = if lane == Lane::Platform { QUOTES_WAITING_MAX } else { LANE_JOBS_MAX };
            Workers::start(lane.name(), workers, jobs_max, batch_max, run, &completions)
        };
        Ok(Executor {
            store: lane(Lane::Store, 1, GROUP_COMMIT_MAX)?,
            bulk: lane(Lane::Bulk, readers, 1)?,
            certificate: lane(Lane::Certificate, 1, 1)?,
            egress: lane(Lane::Egress, 1, 1)?,
            key_sets: lane(Lane::KeySets, 1, 1)?,
            platform: lane(Lane::Platform, 1, 1)?,
            audit: lane(Lane::Audit, 1, 1)?,
            backup: Workers::start("backup", 1, BACKUPS_WAITING_MAX, 1, || answer, &completions)?,
            completions,
            counts,
        })
    }

    /// Hands `job` to its lane, or back when the lane's queue is full.
    pub fn submit(&self, job: Job) -> Result<(), Job> {
        let lane = job.lane();
        let counts = self.counts.of(lane);
        // First: the worker may be faster.
        counts.waiting.fetch_add(1, Ordering::Relaxed);
        self.worker(lane).submit(job).inspect_err(|_| {
            counts.waiting.fetch_sub(1, Ordering::Relaxed);
            counts.refused.fetch_add(1, Ordering::Relaxed);
        })
    }

    /// Has a backup made in its turn. Where too many wait, the one who asks is turned away.
    pub(super) fn make_backup(&self, question: Question) {
        if self.backup.submit(question).is_err() {
            ::log::warn!("a backup was not made: {BACKUPS_WAITING_MAX} others wait");
        }
    }

    fn worker(&self, lane: Lane) -> &Workers<Job> {
        match lane {
            Lane::Store => &self.store,
            Lane::Bulk => &self.bulk,
            Lane::Certificate => &self.certificate,
            Lane::Egress => &self.egress,
            Lane::KeySets => &self.key_sets,
            Lane::Platform => &self.platform,
            Lane::Audit => &self.audit,
        }
    }

    /// Where the workers leave what is done.
    pub fn completions(&self) -> &Completions<Completion> {
        &self.completions
    }

    /// Drops what was submitted and not begun, and waits for the rest, and for all lines of the audit log; whether that ended
    /// within `timeout`, for each lane. Only lines of the audit log are taken after this.
    pub fn end_jobs(&self, timeout: Duration) -> bool {
        // Whoever makes a backup sees that it is not whole.
        self.backup.close();
        for lane in [&self.store, &self.bulk, &self.certificate, &self.egress, &self.key_sets, &self.platform]
        {
            lane.close_at_once();
        }
        // A certificate that is still being opened or ordered is of no use any more, nor is a quote.
        let have_ended = self.store.rests(timeout) & self.bulk.rests(timeout);
        self.audit.rests(timeout) && have_ended
    }

    /// Lets the workers finish what was submitted and ends them. `false` if a lane took longer than `timeout`: its
    /// thread still runs. Other lanes than that of the audit log are not waited for, if they are busy.
    pub fn shut_down(self, timeout: Duration) -> bool {
        let Executor { store, bulk, certificate, egress, key_sets, platform, audit, backup, .. } = self;
        backup.close();
        audit.close();
        let has_ended = audit.join(timeout);
        // They have the store as well, which is closed in order when the last of its threads is gone.
        for lane in [store, bulk, certificate, egress, key_sets, platform] {
            lane.close();
            if !lane.is_busy() {
                lane.join(timeout);
            }
        }
        has_ended
    }
}

/// The work of the backup lane.
fn answer(questions: Vec<Question>) -> Vec<Completion> {
    questions.into_iter().for_each(Question::answer);
    Vec::new()
}

/// Answers on their way from the workers to the reactor. Bounded by the jobs that the lanes take.
pub struct Completions<C> {
    done: Arc<Mutex<Vec<C>>>,
    waker: Arc<Waker>,
}

impl<C> Clone for Completions<C> {
    fn clone(&self) -> Completions<C> {
        Completions { done: Arc::clone(&self.done), waker: Arc::clone(&self.waker) }
    }
}

impl<C> Completions<C> {
    fn new(waker: Arc<Waker>) -> Completions<C> {
        Completions { done: Arc::default(), waker }
    }

    /// Adds a batch and wakes the reactor once.
    pub fn send(&self, mut batch: Vec<C>) {
        self.done.lock().expect(NO_POISON).append(&mut batch);
        if let Err(error) = self.waker.wake() {
            ::log::error!("the reactor cannot be woken: {error}");
        }
    }

    /// Moves what has come into `into`, which is empty and keeps its allocation.
    pub(super) fn take(&self, into: &mut Vec<C>) {
        std::mem::swap(&mut *self.done.lock().expect(NO_POISON), into);
    }
}

/// Threads and the queue that they take from.
struct Workers<J> {
    queue: Arc<Queue<J>>,
    jobs_max: usize,
    threads: Vec<JoinHandle<()>>,
}

struct Queue<J> {
    state: Mutex<State<J>>,
    changed: Condvar,
}

struct State<J> {
    waiting: VecDeque<J>,
    /// No more jobs come: the workers end when none waits.
    closed: bool,
    /// The workers that have not answered everything yet.
    running: usize,
    /// Those of them that wait for a job.
    idle: usize,
    /// Those of them that run jobs.
    busy: usize,
    /// Somebody waits until nothing is to be done any more.
    is_awaited: bool,
}

impl<J> State<J> {
    fn is_busy(&self) -> bool {
        self.busy > 0 || !self.waiting.is_empty()
    }
}

impl<J> Queue<J> {
    fn lock(&self) -> MutexGuard<'_, State<J>> {
        self.state.lock().expect(NO_POISON)
    }

    /// Waits for jobs and takes at most `batch_max`; `None` when the queue is closed and empty.
    fn take(&self, batch_max: usize) -> Option<Vec<J>> {
        let nothing_waits = |state: &mut State<J>| state.waiting.is_empty() && !state.closed;
        let mut state = self.lock();
        state.idle += 1;
        state = self.changed.wait_while(state, nothing_waits).expect(NO_POISON);
        state.idle -= 1;
        let count = state.waiting.len().min(batch_max);
        (count > 0).then(|| {
            state.busy += 1;
            state.waiting.drain(..count).collect()
        })
    }
}

impl<J: Send + 'static> Workers<J> {
    /// Starts so many workers; each runs jobs by a `run` of its own.
    fn start<C: Send + 'static, R: FnMut(Vec<J>) -> Vec<C> + Send + 'static>(
        name: &str,
        workers: usize,
        jobs_max: usize,
        batch_max: usize,
        run: impl Fn() -> R,
        completions: &Completions<C>,
    ) -> io::Result<Workers<J>> {
        let state = State {
            waiting: VecDeque::new(),
            closed: false,
            running: workers,
            idle: 0,
            busy: 0,
            is_awaited: false,
        };
        let queue = Arc::new(Queue { state: Mutex::new(state), changed: Condvar::new() });
        let mut threads = Vec::with_capacity(workers);
        for _ in 0..workers {
            let (queue, mut run, completions) = (Arc::clone(&queue), run(), completions.clone());
            threads.push(thread::Builder::new().name(name.to_owned()).spawn(move || {
                let _abort = AbortOnPanic;
                while let Some(batch) = queue.take(batch_max) {
                    sandbox::follow();
                    completions.send(run(batch));
                    let mut state = queue.lock();
                    state.busy -= 1;
                    if state.is_awaited {
                        queue.changed.notify_all();
                    }
                }
                queue.lock().running -= 1;
                queue.changed.notify_all();
            })?);
        }
        Ok(Workers { queue, jobs_max, threads })
    }

    fn submit(&self, job: J) -> Result<(), J> {
        let mut state = self.queue.lock();
        if state.closed || state.waiting.len() >= self.jobs_max {
            return Err(job);
        }
        state.waiting.push_back(job);
        // Where there are more jobs than that, each idle worker was called already, and the others look by themselves.
        let is_called = state.waiting.len() <= state.idle;
        drop(state);
        if is_called {
            self.queue.changed.notify_one();
        }
        Ok(())
    }

    fn close(&self) {
        self.queue.lock().closed = true;
        self.queue.changed.notify_all();
    }

    /// Drops what was not begun, and closes.
    fn close_at_once(&self) {
        self.queue.lock().waiting.clear();
        self.close();
    }

    /// Whether there is anything to do before the workers end.
    fn is_busy(&self) -> bool {
        self.queue.lock().is_busy()
    }

    /// Waits until all that was submitted is done; whether it is within `timeout`.
    fn rests(&self, timeout: Duration) -> bool {
        let mut state = self.queue.lock();
        state.is_awaited = true;
        let is_busy = |state: &mut State<J>| state.is_busy();
        let (state, _) = self.queue.changed.wait_timeout_while(state, timeout, is_busy).expect(NO_POISON);
        !state.is_busy()
    }

    fn join(self, timeout: Duration) -> bool {
        let are_running = |state: &mut State<J>| state.running > 0;
        let waited = self.queue.changed.wait_timeout_while(self.queue.lock(), timeout, are_running);
        let (state, _) = waited.expect(NO_POISON);
        let finished = state.running == 0;
        drop(state);
        // A worker that finished has nothing left to do but return.
        finished && self.threads.into_iter().all(|thread| thread.join().is_ok())
    }
}

/// Ends the process when its thread panics: what the worker held may be half done, and start-up is the recovery.
struct AbortOnPanic;

impl Drop for AbortOnPanic {
    fn drop(&mut self) {
        if thread::panicking() {
            std::process::abort();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shell::os::OsEntropy;
    use crate::store::Store;
    use crate::store::memory::MemoryStore;
    use mio::{Events, Poll, Token};
    use std::sync::mpsc;

    struct Fixture {
        poll: Poll,
        completions: Completions<u32>,
    }

    impl Fixture {
        fn new() -> Fixture {
            let poll = Poll::new().unwrap();
            let waker = Arc::new(Waker::new(poll.registry(), Token(0)).unwrap());
            Fixture { poll, completions: Completions::new(waker) }
        }

        /// Waits until `count` completions have come.
        fn received(&mut self, count: usize) -> Vec<u32> {
            let mut all = Vec::new();
            let mut events = Events::with_capacity(8);
            while all.len() < count {
                self.poll.poll(&mut events, Some(Duration::from_secs(20))).unwrap();
                assert!(!events.is_empty(), "no completion came");
                let mut some = Vec::new();
                self.completions.take(&mut some);
                all.append(&mut some);
            }
            all
        }
    }

    /// For a single worker.
    fn once<R>(run: R) -> impl Fn() -> R {
        let run = std::cell::Cell::new(Some(run));
        move || run.take().unwrap()
    }

    #[test]
    fn what_waits_while_a_batch_runs_is_the_next_batch() {
        let mut fixture = Fixture::new();
        let (started, started_by_worker) = mpsc::channel();
        let (release, released) = mpsc::channel::<()>();
        let run = move |batch: Vec<u32>| {
            started.send(batch.len()).unwrap();
            released.recv().unwrap();
            batch
        };
        let worker = Workers::start("test", 1, 8, 4, once(run), &fixture.completions).unwrap();
        worker.submit(0).unwrap();
        assert_eq!(started_by_worker.recv(), Ok(1));
        for job in 1..=8 {
            worker.submit(job).unwrap();
        }
        assert_eq!(worker.submit(9), Err(9), "the queue is full");
        for size in [4, 4] {
            release.send(()).unwrap();
            assert_eq!(started_by_worker.recv(), Ok(size));
        }
        release.send(()).unwrap();
        assert_eq!(fixture.received(9), (0..=8).collect::<Vec<_>>());
        worker.close();
        assert!(worker.join(Duration::from_secs(20)));
    }

    #[test]
    fn a_shutdown_finishes_what_was_submitted() {
        let mut fixture = Fixture::new();
        let worker = Workers::start("test", 3, 100, 1, || |batch| batch, &fixture.completions).unwrap();
        for job in 0..100 {
            worker.submit(job).unwrap();
        }
        worker.close();
        assert!(worker.join(Duration::from_secs(20)));
        assert_eq!(fixture.received(100).len(), 100);
    }

    #[test]
    fn what_was_not_begun_is_dropped_where_the_jobs_end() {
        let mut fixture = Fixture::new();
        let (started, started_by_worker) = mpsc::channel();
        let (release, released) = mpsc::channel::<()>();
        let run = move |batch: Vec<u32>| {
            started.send(batch.len()).unwrap();
            released.recv().unwrap();
            batch
        };
        let worker = Workers::start("test", 1, 8, 1, once(run), &fixture.completions).unwrap();
        worker.submit(0).unwrap();
        assert_eq!(started_by_worker.recv(), Ok(1));
        worker.submit(1).unwrap();
        worker.close_at_once();
        assert_eq!(worker.submit(2), Err(2));
        assert!(!worker.rests(Duration::from_millis(1)));
        release.send(()).unwrap();
        assert!(worker.rests(Duration::from_secs(20)));
        assert_eq!(fixture.received(1), [0]);
        assert!(worker.join(Duration::from_secs(20)));
    }

    #[test]
    fn nobody_has_the_store_after_a_shutdown() {
        let poll = Poll::new().unwrap();
        let waker = Arc::new(Waker::new(poll.registry(), Token(0)).unwrap());
        let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
        let resources = || Resources::of(Arc::clone(&store), Box::new(OsEntropy));
        for _ in 0..20 {
            let executor = Executor::start(Arc::clone(&waker), 2, resources).unwrap();
            assert!(executor.shut_down(Duration::from_secs(20)));
            assert_eq!(Arc::strong_count(&store), 1);
        }
    }

    #[test]
    fn a_shutdown_does_not_wait_for_ever() {
        let fixture = Fixture::new();
        let (release, released) = mpsc::channel::<()>();
        let run = move |batch: Vec<u32>| {
            let _ = released.recv();
            batch
        };
        let worker = Workers::start("test", 1, 1, 1, once(run), &fixture.completions).unwrap();
        assert!(!worker.is_busy());
        worker.submit(0).unwrap();
        worker.close();
        assert!(worker.is_busy());
        assert!(!worker.join(Duration::from_millis(1)));
        drop(release);
    }
}
