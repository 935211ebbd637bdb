//! All that surrounds the server, and the course of one simulation.
#![forbid(unsafe_code)]

mod life;
mod turn;

use super::Totals;
use super::clock::Clock;
use super::http;
use super::kmip::Ask;
use super::lanes::LANES;
use super::logged;
use super::machine::Machine;
use super::model::Model;
use super::network::{Asked, Network, Read, Wire, Wrote};
use super::options::Options;
use super::sabotage::Sabotage;
use super::trace::Trace;
use super::workload::Client;
use crate::job::Completion;
use crate::limits::{INLINE_BODY_BYTES_MAX, KEY_SET_REFRESH_INTERVAL, READ_BYTES, REFUSED_CONNECTIONS_MAX};
use crate::secret::Secret;
use crate::server::AuditMode;
use crate::server::event::{ConnectionId, Input, Listener};
use crate::store::sealed::MasterSecret;
use crate::testing::choices::Choices;
use crate::testing::disk::Disk;
use crate::time::Instant;
use std::collections::VecDeque;
use std::time::Duration;

/// Steps of trouble.
const TROUBLE_STEPS: usize = 4000;
/// Steps in which the world must have come to rest afterwards.
const HEALING_STEPS_MAX: usize = 200_000;
/// Time-outs in a row at the same moment: each must bring something forward.
const TIMEOUTS_MAX: usize = 100;

/// The consequence of an effect, to be told when there are no more of them.
enum Echo {
    Wrote(ConnectionId, Wrote),
    Completed(Completion),
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
    /// Of a database that is sealed.
    master: Option<MasterSecret>,
    options: Options,
    sabotage: Option<Sabotage>,
    /// Slots, and when a timer of a connection that is gone would end whoever is in them.
    stray_timers: Vec<(Instant, u32)>,
    /// `None` only while it starts.
    machine: Option<Machine>,
    network: Network,
    clients: Vec<Client>,
    model: Model,
    /// Connections that are gone, and some of whose requests may still be done.
    unsettled: Vec<Unsettled>,
    echoes: VecDeque<Echo>,
    /// How seldom each lane runs.
    paces: [usize; LANES.len()],
    /// Things go wrong,
    troubled: bool,
    /// until now.
    healed: Option<Instant>,
    totals: Totals,
}

impl<'s> World<'s> {
    /// A world before anything has happened.
    pub fn new(
        mut choices: Choices,
        sabotage: Option<Sabotage>,
        show: Option<&'s mut dyn FnMut(&str)>,
    ) -> World<'s> {
        logged::listen();
        let options = Options::draw(&mut choices);
        let clients = 2 + choices.below(6);
        let clients: Vec<Client> =
            (0..clients).map(|index| Client::new(index, &options, &mut choices)).collect();
        let without_generations = sabotage == Some(Sabotage::AnswerWithoutGeneration);
        World {
            trace: Trace::new(show),
            clock: Clock::new(),
            disk: Disk::new(),
            master: options.sealed.then(|| MasterSecret::Key(Secret::new(vec![0x5A; 32]))),
            sabotage,
            stray_timers: Vec::new(),
            machine: None,
            network: Network::new(without_generations),
            model: Model::new(clients.iter().map(|client| (client.user, client.may_make))),
            clients,
            unsettled: Vec::new(),
            echoes: VecDeque::new(),
            paces: [1, if options.large_bodies { 50 } else { 1 }, 1, 1],
            options,
            troubled: true,
            healed: None,
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
        self.paces = [1; LANES.len()];
        self.disk.fail_after(u64::MAX);
        self.disk.heal();
        self.machine().fill_log(false);
        self.machine().lanes.issuer_is_away = false;
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
            && self.machine().lanes.is_idle()
            && self.clients.iter().all(|client| client.remaining == 0)
    }

    /// Nothing is left to wait for; then the server shuts down at once.
    fn end(&mut self) {
        for _ in 0..TIMEOUTS_MAX {
            let Some(deadline) = self.machine().server.poll_timeout() else { break };
            let is_refresh = deadline == self.clock.now().instant + KEY_SET_REFRESH_INTERVAL;
            if self.options.tokens && is_refresh && self.machine().lanes.is_idle() {
                break;
            }
            self.clock.advance(deadline.saturating_since(self.clock.now().instant));
            self.time_out();
            self.drain_lanes();
        }
        let now = self.clock.now().instant;
        let pending = self.machine().server.poll_timeout();
        let refresh = self.options.tokens.then(|| now + KEY_SET_REFRESH_INTERVAL);
        assert_eq!(pending, refresh, "nothing is pending but that keys grow old");
        self.settle();
        assert!(self.unsettled.is_empty(), "nothing is under way");
        self.check_store();
        self.check_disk();
        self.shut_down();
        assert_eq!(self.machine().exit, Some(0), "nothing is left to wait for");
        self.machine().finish_lanes();
        self.check_log();
    }

    /// Runs and tells all that waits in lanes.
    fn drain_lanes(&mut self) {
        for lane in LANES {
            while self.machine().lanes.has_waiting(lane) {
                self.machine().lanes.run(lane);
            }
            while let Some(completion) = self.machine().lanes.next_done(lane) {
                self.complete(completion);
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
        if self.machine().exit.is_some() {
            self.start_again();
        }
        self.check_at_rest();
    }

    fn client_acts(&mut self) {
        let index = self.choices.below(self.clients.len());
        let Some(id) = self.clients[index].wire else {
            // Where there is no room, few try.
            let is_full = self.network.len() >= self.options.limits.connections_max;
            if self.clients[index].remaining > 0 && self.choices.one_in(if is_full { 30 } else { 2 }) {
                return self.connect(index);
            }
            return self.peer_leaves();
        };
        let wire = self.network.open(id);
        if self.troubled && self.choices.one_in(40) {
            return self.client_breaks(index, id);
        }
        if !wire.is_live() {
            return;
        }
        let Client { remaining, depth, .. } = self.clients[index];
        if remaining > 0
            && wire.asked.len() < depth
            && !wire.asked.back().is_some_and(|last| is_last(&last.ask))
        {
            self.ask(index, id);
        } else if wire.asked.is_empty() && (remaining == 0 || self.choices.one_in(20)) {
            wire.finished = true;
            self.note(&format!("{id:?} sends no more"));
        }
    }

    fn connect(&mut self, index: usize) {
        let machine = self.machine.as_ref().expect(RUNS);
        if machine.stopped_listening
            || self.network.len() >= self.options.limits.connections_max + REFUSED_CONNECTIONS_MAX
        {
            return;
        }
        let is_surplus = self.network.len() >= self.options.limits.connections_max;
        let window = *self.choices.pick(&[300, 2_000, 1 << 20]);
        let listener = if self.choices.one_in(12) { Listener::Metrics } else { Listener::Main };
        let now = self.clock.now().instant;
        let id = self.network.accept(Wire::new(index, listener, window, is_surplus, now));
        self.clients[index].wire = Some(id);
        let peer = ([127, 0, 0, 1], 40_000).into();
        self.tell(Input::Accepted { connection: id, peer, listener });
        let refused = self.network.get(id).is_none_or(|wire| wire.closed);
        assert_eq!(refused, is_surplus, "what is accepted is served up to the cap, and refused above it");
    }

    fn ask(&mut self, index: usize, id: ConnectionId) {
        let client = &mut self.clients[index];
        client.remaining -= 1;
        let is_metrics = self.network.open(id).listener == Listener::Metrics;
        let (ask, victim) = match is_metrics {
            true => (Ask::Metrics, None),
            false => client.compose(index, &self.model, &self.options, &mut self.choices),
        };
        self.model.guard(&ask);
        let mut bytes = Vec::new();
        let mut is_large = false;
        if let Ask::Rubbish { bytes: rubbish, .. } = &ask {
            bytes.clone_from(rubbish);
        } else {
            let (method, path, body) = ask.spell(client.dialect);
            is_large = body.len() > INLINE_BODY_BYTES_MAX;
            let request = (method, path.as_str(), body.as_bytes());
            http::write_request(request, client.token.as_deref(), &mut self.choices, &mut bytes);
        }
        self.totals.requests += 1;
        let possible = self.model.possible(&ask);
        let number = self.totals.requests;
        let dialect = client.dialect;
        let wire = self.network.open(id);
        let is_cut = self.troubled && self.choices.one_in(50);
        if is_cut {
            bytes.truncate(1 + self.choices.below(bytes.len() - 1));
        }
        let start = wire.sent;
        let end = (!is_cut).then_some(start + bytes.len() as u64);
        self.trace.note_bytes(format_args!("request {number} of client {index} on {id:?}"), &bytes);
        wire.push(&bytes);
        let asked = Asked { number, ask, dialect, start, end, is_large, possible, victim };
        self.model.asked(index, &asked);
        wire.asked.push_back(asked);
        if is_cut {
            self.client_breaks(index, id);
        }
    }

    /// The client gives its connection up, in one of the ways in which that is done.
    fn client_breaks(&mut self, index: usize, id: ConnectionId) {
        let wire = self.network.open(id);
        let how = self.choices.below(3);
        match how {
            0 => wire.break_off(),
            1 => (wire.finished, wire.deaf) = (true, true),
            // It still listens, for a while.
            _ => wire.finished = true,
        }
        self.note(&format!("{id:?} is given up: {}", ["reset", "closed", "half closed"][how]));
        if how < 2 {
            self.forsake(index, id);
        }
    }

    /// The client will not hear of what it has asked on this connection.
    fn forsake(&mut self, index: usize, id: ConnectionId) {
        let wire = self.network.open(id);
        wire.attended = false;
        for asked in wire.asked.iter().cloned() {
            self.model.lose(index, asked, id);
        }
        if self.clients[index].wire == Some(id) {
            self.clients[index].wire = None;
        }
    }

    /// A peer whose connection the server has closed goes, too.
    fn peer_leaves(&mut self) {
        let closed = self.network.select(|wire| wire.closed && wire.is_live());
        if !closed.is_empty() {
            let id = *self.choices.pick(&closed);
            let wire = self.network.open(id);
            if self.choices.one_in(4) {
                wire.break_off()
            } else {
                wire.finished = true
            };
            self.note(&format!("{id:?} leaves"));
        }
    }

    fn shell_reads(&mut self) {
        let readable = self.network.select(Wire::is_readable);
        if readable.is_empty() {
            return;
        }
        let id = *self.choices.pick(&readable);
        let bytes_max = *self.choices.pick(&[1, 10, 100, 1_000, READ_BYTES]);
        match self.network.open(id).read(bytes_max) {
            Read::Bytes(mut bytes) => {
                let now = self.clock.now().instant;
                self.network.open(id).begun.get_or_insert(now);
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
        let index = self.choices.below(LANES.len());
        let lane = LANES[index];
        let runs = self.choices.one_in(2) && self.choices.one_in(self.paces[index]);
        let machine = self.machine.as_mut().expect(RUNS);
        if runs && machine.lanes.has_waiting(lane) {
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
            4..8 => self.paces = [0; LANES.len()].map(|_| *self.choices.pick(&[1, 1, 5, 50])),
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
            _ => {}
        }
    }

    /// What must hold whenever the server rests.
    fn check_at_rest(&mut self) {
        let holds = self.options.audit == Some(AuditMode::Required) || self.machine().lanes.asks_issuer();
        let now = self.clock.now().instant;
        self.network.check_at_rest(holds, now, self.options.patience());
        let bodies_bytes = self.network.bodies_bytes() + self.machine().lanes.bodies_bytes();
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

/// Whether nothing is sent after this request before it is answered: that may be the end of the connection.
fn is_last(ask: &Ask) -> bool {
    matches!(ask, Ask::Rubbish { .. })
}
