//! The lanes without threads: each takes, runs and answers its jobs in order, but when, and in what order among the
//! lanes, is for the simulator to say.
#![forbid(unsafe_code)]

use super::authority::Authority;
use super::issuer;
use super::options::Options;
use super::recorded::Wanted;
use super::vault::Vault;
use crate::audit::recorder::Recorder;
use crate::job::{self, Completion, ConnectionId, Counts, Done, Job, JobId, Lane, Resources, Work};
use crate::limits::{GROUP_COMMIT_MAX, INLINE_BODY_BYTES_MAX, LANE_JOBS_MAX};
use crate::store::Store;
use crate::testing::choices::Choices;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

/// The lanes that requests, their records and their tokens use, the one that opens what an owner hands over, and the one that
/// orders certificates.
pub const ALL: [Lane; 6] =
    [Lane::Store, Lane::Bulk, Lane::Audit, Lane::KeySets, Lane::Certificate, Lane::Egress];

/// Those that have something to do, where a server waits for an owner, where a bot orders certificates, and where neither is
/// so.
pub fn in_use(options: &Options) -> &'static [Lane] {
    const USUAL: &[Lane] = ALL.split_at(4).0;
    const ORDERING: &[Lane] = &[Lane::Store, Lane::Bulk, Lane::Audit, Lane::KeySets, Lane::Egress];
    match options.features.bootstrap {
        true => ALL.split_at(5).0,
        false if options.has_bot() => ORDERING,
        false => USUAL,
    }
}

/// One lane.
struct Queue {
    resources: Resources,
    batch_max: usize,
    jobs_max: usize,
    waiting: VecDeque<Job>,
    /// What was run and not told yet.
    done: VecDeque<Completion>,
}

impl Queue {
    fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.done.is_empty()
    }
}

/// All lanes.
pub struct Lanes {
    store: Queue,
    bulk: Queue,
    audit: Queue,
    key_sets: Queue,
    certificate: Queue,
    egress: Queue,
    pub vault: Vault,
    pub authority: Authority,
    /// The issuer of tokens does not answer.
    pub issuer_is_away: bool,
    /// What was decided about requests that were answered here.
    pub decided: Vec<Wanted>,
    /// Sets of its keys that were handed over.
    pub key_sets_told: usize,
}

impl Lanes {
    /// Idle lanes over `store`, each of which lets `jobs_max` jobs wait, but that of the audit log: the core hands over one.
    /// What an owner hands over is in the vault.
    pub fn new(
        store: &Arc<dyn Store>,
        vault: Vault,
        counts: &Arc<Counts>,
        jobs_max: usize,
        recorder: Recorder,
        choices: &mut Choices,
    ) -> Lanes {
        let authority = choices.fork();
        let recorder = Arc::new(Mutex::new(recorder));
        let mut queue = |batch_max, jobs_max| Queue {
            resources: Resources {
                audit: Some(Arc::clone(&recorder)),
                counts: Arc::clone(counts),
                ..Resources::of(Arc::clone(store), Box::new(choices.fork()))
            },
            batch_max,
            jobs_max,
            waiting: VecDeque::new(),
            done: VecDeque::new(),
        };
        Lanes {
            store: queue(GROUP_COMMIT_MAX, jobs_max),
            bulk: queue(1, jobs_max),
            audit: queue(1, LANE_JOBS_MAX),
            key_sets: queue(1, LANE_JOBS_MAX),
            certificate: queue(1, LANE_JOBS_MAX),
            egress: queue(1, LANE_JOBS_MAX),
            vault,
            authority: Authority::new(authority),
            issuer_is_away: false,
            decided: Vec::new(),
            key_sets_told: 0,
        }
    }

    /// Hands `job` to its lane, or back when the lane's queue is full.
    pub fn submit(&mut self, job: Job) -> Result<(), Job> {
        let queue = self.queue(job.lane());
        if queue.waiting.len() >= queue.jobs_max {
            return Err(job);
        }
        queue.waiting.push_back(job);
        Ok(())
    }

    /// Whether a job waits to be run.
    pub fn has_waiting(&mut self, lane: Lane) -> bool {
        !self.queue(lane).waiting.is_empty()
    }

    /// Drops what waits to be run, but for lines of the audit log.
    pub fn drop_waiting(&mut self) {
        ALL.into_iter().filter(|lane| *lane != Lane::Audit).for_each(|lane| self.queue(lane).waiting.clear());
    }

    /// Runs what waits, as far as it is one batch; says how many jobs that were.
    pub fn run(&mut self, lane: Lane) -> usize {
        let issuer_is_away = self.issuer_is_away;
        if lane == Lane::Egress {
            let Some(job) = self.egress.waiting.pop_front() else { return 0 };
            let completion = self.authority.answer(job);
            self.egress.done.push_back(completion);
            return 1;
        }
        let (queue, vault) = self.queue_and_vault(lane);
        let Queue { resources, batch_max, waiting, done, .. } = queue;
        let batch: Vec<Job> = waiting.drain(..waiting.len().min(*batch_max)).collect();
        let jobs = batch.len();
        let mut asked: Vec<(Option<u128>, JobId)> = batch.iter().map(|job| (group(job), job.id)).collect();
        let completions = match lane {
            Lane::KeySets => batch.into_iter().map(|job| ask_issuer(job, issuer_is_away)).collect(),
            Lane::Certificate => batch.into_iter().map(|job| vault.provide(job)).collect(),
            _ => job::run(batch, resources),
        };
        for Completion { id, .. } in &completions {
            let at = asked.iter().position(|(_, asked)| asked == id).expect("what is answered was asked");
            let (of, _) = asked.remove(at);
            let is_next = asked[..at].iter().all(|(other, _)| *other != of);
            assert!(is_next, "the jobs of one database are answered in order");
        }
        assert!(asked.is_empty(), "every job is answered");
        let mut decided = Vec::new();
        for Completion { id, done } in &completions {
            if let (JobId::Request(id), Done::Answered(reply)) = (id, done) {
                let wanted = |decision| Wanted::done(*id, reply.answer.status, decision);
                decided.extend(reply.decisions.iter().map(wanted));
            }
        }
        done.extend(completions);
        self.decided.append(&mut decided);
        jobs
    }

    /// The next answer of a lane.
    pub fn next_done(&mut self, lane: Lane) -> Option<Completion> {
        let completion = self.queue(lane).done.pop_front()?;
        self.key_sets_told += usize::from(matches!(completion.done, Done::KeySet(Ok(_))));
        self.authority.tells(&completion.done);
        Some(completion)
    }

    /// Whether the authority has yet to look for a proof, before it answers what waits first.
    pub fn would_look(&self) -> bool {
        self.egress.waiting.front().is_some_and(|job| self.authority.would_look(job))
    }

    /// Whether the issuer of tokens was asked and its answer was not told yet.
    pub fn asks_issuer(&self) -> bool {
        !self.key_sets.is_idle()
    }

    /// Whether lines of the audit log were handed over and it was not told yet what became of them.
    pub fn is_recording(&self) -> bool {
        !self.audit.is_idle()
    }

    /// Whether a job of this connection is still to be run, or was and its answer was not told yet: until then, the server may
    /// answer others from what it has seen before.
    pub fn holds(&self, connection: ConnectionId) -> bool {
        let id = JobId::Request(connection);
        self.all().any(|Queue { waiting, done, .. }| {
            waiting.iter().any(|job| job.id == id) || done.iter().any(|completion| completion.id == id)
        })
    }

    /// Whether there is nothing to run and nothing to tell.
    pub fn is_idle(&self) -> bool {
        self.all().all(Queue::is_idle)
    }

    /// Bytes of the large bodies that wait here, as [`crate::limits::Limits::bodies_bytes_max`] counts them.
    pub fn bodies_bytes(&self) -> usize {
        let large = |job: &Job| match &job.work {
            Work::Write(call) | Work::Read(call) => call.body.len().saturating_sub(INLINE_BODY_BYTES_MAX),
            Work::LoadCertificate { .. }
            | Work::LoadRevocations { .. }
            | Work::Provide { .. }
            | Work::BeginOrder { .. }
            | Work::FinishOrder { .. }
            | Work::AskRenewalInfo { .. }
            | Work::NewDatabase
            | Work::Verify
            | Work::Probe
            | Work::CloseUnused
            | Work::FetchKeySet(_)
            | Work::Quote { .. }
            | Work::Audit(_) => 0,
        };
        self.all().flat_map(|queue| queue.waiting.iter().map(large)).sum()
    }

    fn all(&self) -> impl Iterator<Item = &Queue> {
        [&self.store, &self.bulk, &self.audit, &self.key_sets, &self.certificate, &self.egress].into_iter()
    }

    fn queue(&mut self, lane: Lane) -> &mut Queue {
        self.queue_and_vault(lane).0
    }

    fn queue_and_vault(&mut self, lane: Lane) -> (&mut Queue, &mut Vault) {
        let queue = match lane {
            Lane::Store => &mut self.store,
            Lane::Bulk => &mut self.bulk,
            Lane::Audit => &mut self.audit,
            Lane::KeySets => &mut self.key_sets,
            Lane::Certificate => &mut self.certificate,
            Lane::Egress => &mut self.egress,
            Lane::Platform => unreachable!("there is no platform"),
        };
        (queue, &mut self.vault)
    }
}

/// The tenant in whose database something is changed, if it is a tenant's.
fn group(job: &Job) -> Option<u128> {
    match &job.work {
        Work::Write(call) => call.tenant.as_ref().map(|tenant| tenant.group()),
        _ => None,
    }
}

/// What the lane for it would fetch.
fn ask_issuer(job: Job, is_away: bool) -> Completion {
    let keys = if is_away { Err("the issuer does not answer".into()) } else { Ok(issuer::key_set()) };
    Completion { id: job.id, done: Done::KeySet(keys) }
}
