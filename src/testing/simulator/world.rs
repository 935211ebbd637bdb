//! All that surrounds the server, and the course of one simulation.
#![forbid(unsafe_code)]

mod client;
mod judge;
mod life;
mod turn;

use super::Totals;
use super::clock::Clock;
use super::lanes;
use super::logged;
use super::machine::Machine;
use super::model::{Model, Owned};
use super::network::{Network, Read, Wire, Wrote};
use super::options::{Features, Options};
use super::owner::{self, Owner};
use super::sabotage::Sabotage;
use super::trace::Trace;
use super::workload::Client;
use crate::job::{Completion, Lane};
use crate::limits::{KEY_SET_REFRESH_INTERVAL, READ_BYTES};
use crate::server::AuditMode;
use crate::server::event::{ConnectionId, Input, Listener};
use crate::testing::choices::Choices;
use crate::testing::disk::Disk;
use crate::time::Instant;
use std::collections::VecDeque;
use std::time::Duration;

/// Steps of trouble.
const TROUBLE_STEPS: usize = 4000;
/// Steps in which the world must have come to rest afterwards.
const HEALING_STEPS_MAX: usize = 200_000;
/// What happens later is nothing that is pending.
const CALM: Duration = Duration::from_secs(30 * 60);
/// Time-outs until nothing is pending: a bot may have to wait for hours.
const LAST_TIMEOUTS_MAX: usize = 1000;
/// Time-outs in a row at the same moment: each must bring something forward.
const TIMEOUTS_MAX: usize = 100;

/// The consequence of an effect, to be told when there are no more of them.
enum Echo {
    Listening(Listener, Result<(), String>),
    Wrote(ConnectionId, Wrote),
    Completed(Completion),
    EndLanes,
}

/// A connection that is gone.
struct Unsettled {
    client: usize,
    connection: ConnectionId,
    /// How many requests there had been when nothing that came from it was to be done any more.
    done: Option<u64>,
}

/// One simulation.
pub(super) struct World<'s> {
    choices: Choices,
    trace: Trace<'s>,
    clock: Clock,
    disk: Disk,
    options: Options,
    sabotage: Option<Sabotage>,
    /// Slots, and when a timer of a connection that is gone would end whoever is in them.
    stray_timers: Vec<(Instant, u32)>,
    /// `None` only while it starts.
    machine: Option<Machine>,
    /// What its owner has done about it.
    owner: Owner,
    network: Network,
    clients: Vec<Client>,
    model: Model,
    /// Connections that are gone, and some of whose requests may still be done.
    unsettled: Vec<Unsettled>,
    echoes: VecDeque<Echo>,
    /// How seldom each lane runs.
    paces: [usize; lanes::ALL.len()],
    /// Things go wrong,
    troubled: bool,
    /// until now.
    healed: Option<Instant>,
    /// When the server was last told that lines of the audit log could not be written: the lane may have tried long before.
    told_unrecorded: Option<Instant>,
    totals: Totals,
}

impl<'s> World<'s> {
    /// A world before anything has happened.
    pub fn new(
        mut choices: Choices,
        features: Features,
        sabotage: Option<Sabotage>,
        show: Option<&'s mut dyn FnMut(&str)>,
    ) -> World<'s> {
        logged::listen();
        let options = Options::draw(features, &mut choices);
        let clients = 2 + choices.below(6);
        let clients: Vec<Client> =
            (0..clients).map(|index| Client::new(index, &options, &mut choices)).collect();
        let owned = |client: &Client| Owned::nothing(client.user, client.tenant, client.may_make);
        let mut model = Model::new(clients.iter().map(owned));
        if options.features.bootstrap {
            owner::guard(&mut model.materials);
        }
        let without_generations = sabotage == Some(Sabotage::AnswerWithoutGeneration);
        World {
            trace: Trace::new(show),
            clock: Clock::new(),
            disk: Disk::new(),
            sabotage,
            stray_timers: Vec::new(),
            machine: None,
            owner: Owner::default(),
            network: Network::new(without_generations),
            model,
            clients,
            unsettled: Vec::new(),
            echoes: VecDeque::new(),
            paces: [1, if options.large_bodies { 50 } else { 1 }, 1, 1, 1, 1],
            options,
            troubled: true,
            healed: None,
            told_unrecorded: None,
            totals: Totals::default(),
            choices,
        }
    }

    /// Inputs and outputs so far.
    pub fn step(&self) -> u64 {
        self.totals.steps
    }

    /// What was seen.
    pub fn into_totals(mut self) -> Totals {
        self.totals.trace = self.trace.hash();
        self.totals
    }

    /// The whole course: trouble, healing, the end.
    pub fn play(&mut self) {
        self.trace.note(format_args!("{:?}", self.options));
        self.boot();
        if self.sabotage == Some(Sabotage::CommitBeforeSync) {
            self.disk.lie();
        }
        let is_scripted = !self.choices.is_unscripted();
        for _ in 0..TROUBLE_STEPS {
            self.act();
            if self.is_at_rest() || (is_scripted && self.choices.is_unscripted()) {
                break;
            }
        }
        self.heal();
        self.end();
    }

    /// No more faults: what is in flight completes, every client gets to its end, every connection goes.
    fn heal(&mut self) {
        self.note("the faults are healed");
        if self.disk.has_failed() {
            self.crash("a disk that has failed is replaced");
        }
        self.troubled = false;
        self.healed = Some(self.clock.now().instant);
        self.paces = [1; lanes::ALL.len()];
        self.disk.fail_after(u64::MAX);
        self.disk.heal();
        self.machine().fill_log(false);
        self.machine().lanes.issuer_is_away = false;
        self.machine().lanes.authority.is_away = false;
        self.machine().lanes.authority.is_generous = true;
        for _ in 0..HEALING_STEPS_MAX {
            if self.is_at_rest() {
                return;
            }
            self.act();
        }
        panic!("the world does not come to rest");
    }

    fn is_at_rest(&mut self) -> bool {
        self.network.len() == 0
            && self.machine().serves
            && self.machine().lanes.is_idle()
            && self.clients.iter().all(|client| client.remaining == 0)
    }

    /// Nothing is left to wait for; then the server shuts down at once.
    fn end(&mut self) {
        for _ in 0..LAST_TIMEOUTS_MAX {
            let Some(deadline) = self.machine().server.poll_timeout() else { break };
            let now = self.clock.now().instant;
            let is_refresh = self.options.tokens && deadline == now + KEY_SET_REFRESH_INTERVAL;
            // From then on, the bot only looks whether somebody has set the clock.
            let is_glance = self.options.has_bot() && deadline >= now + CALM;
            if (is_refresh || is_glance) && self.machine().lanes.is_idle() && self.is_vouched_for() {
                break;
            }
            self.clock.advance(deadline.saturating_since(self.clock.now().instant));
            self.time_out();
            self.drain_lanes();
        }
        let now = self.clock.now().instant;
        let pending = self.machine().server.poll_timeout();
        let refresh = self.options.tokens.then(|| now + KEY_SET_REFRESH_INTERVAL);
        let is_calm = pending.is_some_and(|at| at >= now + CALM);
        assert!(
            pending == refresh || (self.options.has_bot() && is_calm),
            "nothing is pending but that keys and certificates grow old"
        );
        assert!(self.is_vouched_for(), "the server has no valid certificate");
        self.settle();
        assert!(self.unsettled.is_empty(), "nothing is under way");
        self.check_store();
        self.check_disk();
        self.shut_down();
        assert_eq!(self.machine().exit, Some(0), "nothing is left to wait for");
        self.machine().finish_lanes();
        self.check_log();
    }

    /// Whether the server has a valid certificate, where a bot has to order one.
    fn is_vouched_for(&mut self) -> bool {
        let now = self.clock.now().utc;
        !self.options.has_bot() || self.machine().lanes.authority.vouches(now)
    }

    /// Runs and tells all that waits in lanes, and what comes of it.
    fn drain_lanes(&mut self) {
        while !self.machine().lanes.is_idle() {
            for lane in lanes::ALL {
                while self.machine().lanes.has_waiting(lane) {
                    self.machine().lanes.run(lane);
                }
                while let Some(completion) = self.machine().lanes.next_done(lane) {
                    self.complete(completion);
                }
            }
        }
    }

    // What may happen.

    fn act(&mut self) {
        match self.choices.below(100) {
            0..30 => self.client_acts(),
            30..60 => self.shell_reads(),
            60..70 => self.peer_takes(),
            70..86 => self.lane_acts(),
            86..97 => self.time_passes(),
            _ if self.troubled => self.fault(),
            _ => self.time_passes(),
        }
        self.time_out();
        self.settle();
        if self.machine().has_given_up && !self.machine().draining {
            self.note("the server waits for nobody any more, and is stopped");
            self.shut_down();
        }
        if self.machine().exit.is_some() {
            self.start_again();
        }
        // Where tenants have databases, it does not end when one of them fails.
        if self.options.has_tenants() && self.disk.is_off() {
            self.crash("the power has failed");
        }
        self.check_at_rest();
    }

    fn shell_reads(&mut self) {
        let readable = self.network.select(Wire::is_readable);
        if readable.is_empty() {
            return;
        }
        let id = *self.choices.pick(&readable);
        let bytes_max = *self.choices.pick(&[1, 10, 100, 1_000, READ_BYTES]);
        let now = self.clock.now().instant;
        let wire = self.network.open(id);
        let was_handshaking = wire.is_handshaking();
        let read = wire.read(bytes_max, now);
        if was_handshaking && !wire.is_handshaking() {
            self.totals.handshakes += 1;
            self.totals.resumed += u64::from(wire.is_resumed());
        }
        match read {
            Read::Bytes(mut bytes) => {
                if self.sabotage == Some(Sabotage::RequestsLogged) {
                    log::debug!("{}", String::from_utf8_lossy(&bytes));
                }
                self.tell(Input::Received { connection: id, bytes: &mut bytes });
            }
            Read::End => self.tell(Input::Ended { connection: id }),
            Read::Reset => self.tell(Input::Reset { connection: id }),
        }
    }

    fn peer_takes(&mut self) {
        let takeable = self.network.select(Wire::is_takeable);
        if takeable.is_empty() {
            return;
        }
        let id = *self.choices.pick(&takeable);
        let bytes_max = *self.choices.pick(&[1, 100, 10_000, usize::MAX]);
        match self.network.open(id).take(bytes_max) {
            Wrote::Done => {
                let now = self.clock.now().instant;
                self.network.open(id).has_sent(now);
                self.tell(Input::Drained { connection: id });
            }
            Wrote::Reset => self.tell(Input::Reset { connection: id }),
            Wrote::Blocked | Wrote::StillBlocked => {}
        }
    }

    fn lane_acts(&mut self) {
        let lanes = lanes::in_use(&self.options);
        let index = self.choices.below(lanes.len());
        let lane = lanes[index];
        let runs = self.choices.one_in(2) && self.choices.one_in(self.paces[index]);
        let machine = self.machine.as_mut().expect(RUNS);
        // The authority takes its time to look for proofs.
        let is_patient = lane == Lane::Egress && machine.lanes.would_look() && !self.choices.one_in(20);
        if runs && !is_patient && machine.lanes.has_waiting(lane) {
            let jobs = machine.lanes.run(lane);
            self.totals.grouped += if jobs > 1 { jobs as u64 } else { 0 };
            self.note(&format!("the {lane:?} lane runs {jobs}"));
        } else if let Some(completion) = machine.lanes.next_done(lane) {
            self.complete(completion);
        }
    }

    fn time_passes(&mut self) {
        let now = self.clock.now().instant;
        let time = match self.choices.below(40) {
            // Somebody stalls.
            0 if self.troubled => Duration::from_secs(1 + self.choices.below(40) as u64),
            // Exactly when the server wants to act.
            1 => match self.machine().server.poll_timeout() {
                Some(deadline) => deadline.saturating_since(now),
                None => return,
            },
            _ => Duration::from_micros(self.choices.below(20_000) as u64),
        };
        self.clock.advance(time);
    }

    fn fault(&mut self) {
        match self.choices.below(30) {
            0 => self.crash("the power fails"),
            1 if !self.disk.is_off() => {
                let operations = self.choices.below(40);
                self.note(&format!("the power will fail after {operations} operations of the disk"));
                self.disk.fail_after(operations as u64);
            }
            2 => {
                let operations = self.choices.below(40);
                self.note(&format!("the disk will fail once, after {operations} operations"));
                self.disk.fail_once_after(operations as u64);
            }
            3 if !self.machine().draining => self.shut_down(),
            4..8 => {
                let lanes = lanes::in_use(&self.options).len();
                self.paces[..lanes].fill_with(|| *self.choices.pick(&[1, 1, 5, 50]));
            }
            8 => {
                self.note("the disk is as good as full");
                self.disk.limit(self.disk.bytes() + *self.choices.pick(&[0, 1 << 16]));
            }
            9..11 => {
                let is_full = !self.machine().is_log_full();
                self.note(&format!("the audit log is full: {is_full}"));
                self.machine().fill_log(is_full);
            }
            11..13 => {
                let lanes = &mut self.machine().lanes;
                lanes.issuer_is_away = !lanes.issuer_is_away;
            }
            13..15 if self.options.has_bot() => {
                let authority = &mut self.machine().lanes.authority;
                authority.is_away = !authority.is_away;
            }
            15..18 => {
                if self.choices.one_in(2) {
                    let is_next_full = self.choices.one_in(4);
                    self.machine().move_log(is_next_full);
                }
                self.tell(Input::Reload);
            }
            18 => self.tell(Input::Renew),
            _ => {}
        }
    }

    /// What must hold whenever the server rests.
    fn check_at_rest(&mut self) {
        let refuses_later = self.options.audit == Some(AuditMode::Required);
        let holds = refuses_later || self.machine().lanes.asks_issuer();
        let now = self.clock.now().instant;
        self.network.check_at_rest(holds, now, self.options.patience());
        let bodies_bytes = self.network.bodies_bytes(refuses_later) + self.machine().lanes.bodies_bytes();
        let bodies_bytes_max = self.options.limits.bodies_bytes_max;
        assert!(
            bodies_bytes <= bodies_bytes_max,
            "{bodies_bytes} bytes of large bodies are held, more than {bodies_bytes_max}"
        );
    }

    /// Tells the model of connections that are gone once nothing that came from them is to be done any more, and all
    /// that was asked before then is answered: it may have been looked up before.
    fn settle(&mut self) {
        let World { machine, network, clients, model, unsettled, totals, .. } = self;
        let lanes = &machine.as_ref().expect(RUNS).lanes;
        unsettled.retain_mut(|Unsettled { client, connection, done }| {
            if done.is_none() && !lanes.holds(*connection) {
                *done = Some(totals.requests);
            }
            let waiting = clients[*client].wire.and_then(|wire| network.open(wire).asked.front());
            let settled = done.is_some_and(|done| waiting.is_none_or(|asked| asked.number > done));
            if settled {
                model.settle(*client, *connection);
            }
            !settled
        });
    }

    fn machine(&mut self) -> &mut Machine {
        self.machine.as_mut().expect(RUNS)
    }

    fn note(&mut self, event: &str) {
        self.trace.note(format_args!("{} {event}", self.totals.steps));
    }
}

const RUNS: &str = "a server runs";
