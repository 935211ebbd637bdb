//! The simulator: the whole server in a world made of one seed.
//!
//! It drives the very [`Server`](crate::server::Server), job functions and redb store that production runs; clock,
//! network, lanes, disk, entropy and clients are made up (see [`crate::testing`]). [`run`] plays one seed: a time of
//! trouble, a time to heal, the end. Whatever is promised to a client is held against what it is told later, and against
//! what the disk holds after a crash.
#![forbid(unsafe_code)]

mod authority;
mod clock;
mod http;
mod issuer;
mod kmip;
mod lanes;
mod lifecycle;
mod logged;
mod machine;
mod model;
mod network;
mod options;
mod owner;
mod recorded;
pub mod sabotage;
mod secrets;
mod session;
mod trace;
mod vault;
mod workload;
mod world;

use super::choices::Choices;
use options::Features;
use sabotage::Sabotage;
use std::collections::BTreeMap;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use world::World;

/// What was seen in a simulation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Stands for every input and output, in order.
    pub trace: u64,
    /// Inputs and outputs.
    pub steps: u64,
    /// Requests sent, in part at least.
    pub requests: u64,
    /// Answers, by status.
    pub replies: BTreeMap<u16, u64>,
    /// Times that the power or the disk failed.
    pub crashes: u64,
    /// Orderly ends of the server.
    pub shutdowns: u64,
    /// Jobs that were run in a batch with others.
    pub grouped: u64,
    /// TLS handshakes that came to their end.
    pub handshakes: u64,
    /// Those that went on with a session from before.
    pub resumed: u64,
    /// Clients that were turned away for want of a certificate.
    pub turned_away: u64,
    /// Servers that had waited for an owner, and served.
    pub hand_overs: u64,
    /// Databases that were read before they were verified.
    pub trusted: u64,
    /// Certificates that a bot has ordered,
    pub certificates: u64,
    /// and proofs that an authority has found.
    pub proofs: u64,
    /// Databases that were made for tenants.
    pub databases: u64,
    /// Answers that the database of a tenant has failed.
    pub database_failures: u64,
}

impl Totals {
    /// Adds those of another simulation.
    pub fn add(&mut self, other: &Totals) {
        self.steps += other.steps;
        self.requests += other.requests;
        self.crashes += other.crashes;
        self.shutdowns += other.shutdowns;
        self.grouped += other.grouped;
        self.handshakes += other.handshakes;
        self.resumed += other.resumed;
        self.turned_away += other.turned_away;
        self.hand_overs += other.hand_overs;
        self.trusted += other.trusted;
        self.certificates += other.certificates;
        self.proofs += other.proofs;
        self.databases += other.databases;
        self.database_failures += other.database_failures;
        for (status, count) in &other.replies {
            *self.replies.entry(*status).or_default() += count;
        }
    }
}

impl fmt::Display for Totals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Totals {
            steps,
            requests,
            crashes,
            shutdowns,
            grouped,
            handshakes,
            resumed,
            turned_away,
            hand_overs,
            trusted,
            certificates,
            proofs,
            databases,
            database_failures,
            ..
        } = self;
        write!(
            f,
            "{steps} steps, {requests} requests, {crashes} crashes, {shutdowns} shutdowns, {grouped} jobs in groups, \
             {handshakes} handshakes ({resumed} resumed), {turned_away} turned away, {hand_overs} hand-overs, \
             {certificates} certificates and {proofs} proofs found, \
             {trusted} databases verified later, {databases} made for tenants, {database_failures} failures of such; \
             answers by status:"
        )?;
        self.replies.iter().try_for_each(|(status, count)| write!(f, " {status}: {count}"))
    }
}

/// Something that must not happen has.
#[derive(Debug)]
pub struct Failure {
    /// The seed; `None` where bytes have chosen.
    pub seed: Option<u64>,
    /// The input or output after which it was noticed.
    pub step: u64,
    /// What has happened.
    pub reason: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Failure { seed, step, reason } = self;
        match seed {
            Some(seed) => {
                write!(f, "seed {seed}, step {step}: {reason}\nTo see it again: KEYWAY_SEED={seed}")
            }
            None => write!(f, "step {step}: {reason}\nTo see it again: KEYWAY_INPUT=file"),
        }
    }
}

/// Plays one seed; `show` is given a line for everything that happens.
pub fn run(seed: u64, show: Option<&mut dyn FnMut(&str)>) -> Result<Totals, Failure> {
    play(World::new(Choices::new(seed), Features::of_seed(seed), None, show), Some(seed))
}

/// The same with a fault that is to be found.
pub fn run_sabotaged(seed: u64, sabotage: Sabotage) -> Result<Totals, Failure> {
    play(World::new(Choices::new(seed), Features::of_seed(seed), Some(sabotage), None), Some(seed))
}

/// The body of a fuzz target: the last byte chooses the features, the others what happens, as far as they last; then the
/// faults are healed.
pub fn fuzz(data: &[u8]) {
    run_input(data, None).unwrap_or_else(|failure| panic!("{failure}"));
}

/// Plays what [`fuzz`] plays, and shows what happens.
pub fn run_input(data: &[u8], show: Option<&mut dyn FnMut(&str)>) -> Result<Totals, Failure> {
    let (features, script) = data.split_last().unwrap_or((&0, &[]));
    play(World::new(Choices::scripted(script), Features::of_bits(*features), None, show), None)
}

fn play(mut world: World<'_>, seed: Option<u64>) -> Result<Totals, Failure> {
    match catch_unwind(AssertUnwindSafe(|| world.play())) {
        Ok(()) => Ok(world.into_totals()),
        Err(panic) => {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let reason = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("a panic");
            Err(Failure { seed, step: world.step(), reason: reason.to_owned() })
        }
    }
}
