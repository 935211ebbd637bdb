//! The server's inputs and outputs: what `shell/reactor/turn.rs` does with them, and what they must not be.
#![forbid(unsafe_code)]

use super::{Echo, RUNS, TIMEOUTS_MAX, Unsettled, World};
use crate::job::{Completion, Done, Job, JobId};
use crate::limits::Limits;
use crate::server::AuditMode;
use crate::server::event::{ConnectionId, Input, Listener, Output};
use crate::testing::simulator::http::Reply;
use crate::testing::simulator::kmip::Ask;
use crate::testing::simulator::network::{Asked, Wrote};
use crate::testing::simulator::sabotage::Sabotage;
use crate::time::Instant;
use std::time::Duration;

/// One effect that was carried out, as far as the network alone is concerned.
enum Effect {
    /// With when the server began to wait for the request.
    Wrote(ConnectionId, Wrote, Instant),
    Closed(ConnectionId),
    Aborted(ConnectionId),
    Submitted(Job),
    Nothing,
    StoppedListening,
    Exited(u8),
}

impl World<'_> {
    /// Lets the server act on one event until it rests.
    pub(super) fn tell(&mut self, input: Input<'_>) {
        if self.machine().exit.is_none() {
            self.handle(input);
            self.carry_out();
        }
    }

    /// Tells the server what a lane has answered.
    pub(super) fn complete(&mut self, completion: Completion) {
        if self.machine().exit.is_none() {
            self.handle_completion(completion);
            self.carry_out();
        }
    }

    /// Lets the server act on deadlines that have passed.
    pub(super) fn time_out(&mut self) {
        self.let_timers_stray();
        for _ in 0..TIMEOUTS_MAX {
            let now = self.clock.now();
            let machine = self.machine.as_mut().expect(RUNS);
            if machine.exit.is_some() || machine.server.poll_timeout().is_none_or(|at| at > now.instant) {
                return;
            }
            self.totals.steps += 1;
            self.trace.note(format_args!("{} Timeout", self.totals.steps));
            machine.server.handle_timeout(now);
            self.carry_out();
        }
        panic!("the server spins on its deadlines");
    }

    /// The timers of connections that are gone end whoever is in their slots: see [`Sabotage::TimerWithoutGeneration`].
    fn let_timers_stray(&mut self) {
        let now = self.clock.now();
        let machine = self.machine.as_mut().expect(RUNS);
        if machine.exit.is_some() {
            return;
        }
        for (_, slot) in self.stray_timers.extract_if(.., |(at, _)| *at <= now.instant) {
            machine.server.dangerous_time_out(slot, now);
        }
        self.carry_out();
    }

    fn handle(&mut self, input: Input<'_>) {
        self.totals.steps += 1;
        let step = self.totals.steps;
        let now = self.clock.now();
        let at = now.instant.saturating_since(Default::default());
        match &input {
            Input::Accepted { connection, .. } => {
                self.trace.note(format_args!("{step} {at:?} Accepted {}", name(*connection)));
            }
            Input::Received { connection, bytes } => {
                let event = format_args!("{step} {at:?} Received {}", name(*connection));
                self.trace.note_bytes(event, bytes);
            }
            Input::Ended { connection } => {
                self.trace.note(format_args!("{step} {at:?} Ended {}", name(*connection)));
            }
            Input::Reset { connection } => {
                self.trace.note(format_args!("{step} {at:?} Reset {}", name(*connection)));
            }
            Input::Blocked { connection } => {
                self.trace.note(format_args!("{step} {at:?} Blocked {}", name(*connection)));
            }
            Input::Drained { connection } => {
                self.trace.note(format_args!("{step} {at:?} Drained {}", name(*connection)));
            }
            Input::Completed(Completion { id, done }) => {
                let done = match done {
                    Done::Answered(reply) => &format!("{}", reply.answer.status),
                    Done::StoreFailed(error) => &format!("{error}"),
                    Done::Busy => "busy",
                    _ => "about a certificate",
                };
                self.trace.note(format_args!("{step} {at:?} Completed {id:?} {done}"));
            }
            Input::Listening { .. } => unreachable!("there is no certificates bot"),
            Input::Reload => self.trace.note(format_args!("{step} {at:?} Reload")),
            Input::Shutdown => self.trace.note(format_args!("{step} {at:?} Shutdown")),
        }
        self.machine().server.handle_input(now, input);
    }

    fn handle_completion(&mut self, completion: Completion) {
        if let JobId::Request(id) = completion.id
            && let Some(wire) = self.network.get(id)
        {
            assert!(wire.waits, "what is answered was asked");
            wire.waits = false;
            wire.busy = matches!(completion.done, Done::Busy);
        }
        self.handle(Input::Completed(completion));
    }

    /// Carries out all effects, tells the server their consequences, and so on until it rests.
    fn carry_out(&mut self) {
        loop {
            while let Some(effect) = self.next_effect() {
                self.affect(effect);
            }
            if self.machine().exit.is_some() {
                return self.echoes.clear();
            }
            match self.echoes.pop_front() {
                None => return,
                Some(Echo::Completed(completion)) => self.handle_completion(completion),
                // It may have been aborted since.
                Some(Echo::Wrote(id, _)) if self.network.get(id).is_none() => {}
                Some(Echo::Wrote(id, Wrote::Blocked)) => {
                    self.network.open(id).blocked_since = self.clock.now().instant;
                    self.handle(Input::Blocked { connection: id });
                }
                Some(Echo::Wrote(id, _)) => self.handle(Input::Reset { connection: id }),
            }
        }
    }

    /// Takes the next output as far as the network goes.
    fn next_effect(&mut self) -> Option<Effect> {
        let World { machine, network, trace, totals, clock, .. } = self;
        let machine = machine.as_mut().expect(RUNS);
        let output = machine.server.poll_output()?;
        assert_eq!(machine.exit, None, "nothing follows an exit");
        totals.steps += 1;
        let step = totals.steps;
        Some(match output {
            Output::Send { connection, bytes } => {
                trace.note_bytes(format_args!("{step} Send {}", name(connection)), bytes);
                let wire = network.open(connection);
                let began = wire.began_to_wait();
                wire.has_sent(clock.now().instant);
                Effect::Wrote(connection, wire.send(bytes), began)
            }
            Output::Close { connection } => {
                trace.note(format_args!("{step} Close {}", name(connection)));
                Effect::Closed(connection)
            }
            Output::Abort { connection } => {
                trace.note(format_args!("{step} Abort {}", name(connection)));
                Effect::Aborted(connection)
            }
            Output::Pause { connection } => {
                trace.note(format_args!("{step} Pause {}", name(connection)));
                let wire = network.open(connection);
                assert!(!wire.paused && !wire.closed, "what is paused was being read");
                wire.paused = true;
                Effect::Nothing
            }
            Output::Resume { connection } => {
                trace.note(format_args!("{step} Resume {}", name(connection)));
                let wire = network.open(connection);
                assert!(wire.paused, "what is resumed was paused");
                wire.paused = false;
                Effect::Nothing
            }
            Output::Submit(job) => {
                trace.note(format_args!("{step} Submit {:?} {:?}", job.lane(), job.id));
                Effect::Submitted(job)
            }
            Output::Listen(_) => unreachable!("there is no certificates bot"),
            Output::StopListening(listener) => {
                trace.note(format_args!("{step} StopListening {listener:?}"));
                if listener == Listener::Main { Effect::StoppedListening } else { Effect::Nothing }
            }
            Output::Exit(code) => {
                trace.note(format_args!("{step} Exit {code}"));
                Effect::Exited(code)
            }
        })
    }

    fn affect(&mut self, effect: Effect) {
        match effect {
            Effect::Wrote(id, wrote, begun) => {
                while let Some((reply, asked)) = self.network.open(id).next_reply() {
                    self.judge(id, &reply, asked, begun);
                }
                self.echo(id, wrote);
            }
            Effect::Closed(id) => {
                let draining = self.machine().draining;
                let wire = self.network.open(id);
                let (client, attended) = (wire.client, wire.attended);
                let wrote = wire.close(draining, self.clock.now().instant, self.options.limits.idle_timeout);
                if attended {
                    self.forsake(client, id);
                }
                self.echo(id, wrote);
            }
            Effect::Aborted(id) => {
                let wire = self.network.open(id);
                let (client, attended) = (wire.client, wire.attended);
                let reason = wire.closed || wire.broken || wire.is_blocked();
                assert!(reason, "a connection is dropped that is neither closed, nor broken, nor slow");
                if !wire.closed && !wire.broken {
                    let waited = self.clock.now().instant.saturating_since(wire.blocked_since);
                    assert!(waited >= self.options.limits.write_timeout, "a peer is slow after {waited:?}");
                }
                if self.sabotage == Some(Sabotage::TimerWithoutGeneration) {
                    self.stray_timers.push((wire.since + self.options.limits.idle_timeout, id.slot));
                }
                if attended {
                    self.forsake(client, id);
                }
                self.network.remove(id);
                self.unsettled.push(Unsettled { client, connection: id, done: None });
            }
            Effect::Submitted(job) if matches!(job.id, JobId::Audit | JobId::KeySet(_)) => {
                let taken = self.machine().lanes.submit(job);
                assert!(
                    taken.is_ok(),
                    "there is one group, and the last one, and one question to the issuer"
                );
            }
            Effect::Submitted(job) => {
                let JobId::Request(id) = job.id else { panic!("there is no certificate") };
                let wire = self.network.open(id);
                assert!(!wire.waits && !wire.closed, "one request at a time");
                wire.waits = true;
                if let Err(job) = self.machine().lanes.submit(job) {
                    let busy = Completion { id: job.id, done: Done::Busy };
                    self.echoes.push_back(Echo::Completed(busy));
                }
            }
            Effect::StoppedListening => {
                let machine = self.machine();
                assert!(
                    machine.draining && !machine.stopped_listening,
                    "it stops to listen once, when it is told to"
                );
                machine.stopped_listening = true;
            }
            Effect::Exited(code) => self.machine().exit = Some(code),
            Effect::Nothing => {}
        }
    }

    fn echo(&mut self, id: ConnectionId, wrote: Wrote) {
        if matches!(wrote, Wrote::Blocked | Wrote::Reset) {
            self.echoes.push_back(Echo::Wrote(id, wrote));
        }
    }

    /// Holds an answer against its request, and against all that was promised before.
    fn judge(&mut self, id: ConnectionId, reply: &Reply, asked: Option<Asked>, begun: Instant) {
        *self.totals.replies.entry(reply.status).or_default() += 1;
        let draining = self.machine().draining;
        let wire = self.network.open(id);
        let Some(asked) = asked else {
            assert!(
                wire.is_surplus && reply.status == 503 && reply.closes,
                "an answer that nobody asked for"
            );
            return;
        };
        self.check_leaks(&asked, reply);
        let wire = self.network.open(id);
        let is_complete = asked.end.is_some_and(|end| end <= wire.delivered);
        let busy = std::mem::take(&mut wire.busy);
        let ask = &asked.ask;
        match reply.status {
            408 => {
                let Limits { head_timeout, body_timeout, .. } = self.options.limits;
                let waited = self.clock.now().instant.saturating_since(begun);
                let is_late = waited >= head_timeout.min(body_timeout);
                return assert!(reply.closes && !is_complete && is_late, "it was in time: {ask:?}");
            }
            // What was asked for may be done.
            503 if reply.body.starts_with(NOT_RECORDED) => {
                let may_fail = self.options.audit == Some(AuditMode::Required) && self.is_unwell();
                assert!(may_fail, "the audit log is well");
                return self.lose_answered(id, asked);
            }
            503 if busy => {}
            503 if matches!(ask, Ask::Health) => {
                let has_keys = self.machine().lanes.key_sets_told > 0 || !self.options.tokens;
                assert!(draining || !has_keys || self.is_unwell(), "the server is well");
            }
            503 if reply.body.starts_with(NO_KEYS_YET) || matches!(ask, Ask::Version { head_only: true }) => {
                let may_be_held = self.options.audit == Some(AuditMode::Required);
                let is_early = self.machine().lanes.key_sets_told == 0 || may_be_held;
                return assert!(self.options.tokens && is_early, "the issuer's keys are there");
            }
            503 => return assert!(reply.closes && asked.is_large, "there was room for {ask:?}"),
            status => {
                if let Ask::Rubbish { status: expected, .. } = ask {
                    return assert!(!busy && status == *expected, "{status} for {ask:?}");
                }
                assert!(!busy, "the lane had no room for {ask:?}, which was answered {status}");
                self.check_recorded(ask);
                let wire = self.network.open(id);
                match ask {
                    Ask::Version { .. } | Ask::Metrics => assert_eq!(status, 200),
                    Ask::Health => assert!(status == 200 && reply.body.starts_with(b"{\"status\":\"UP\"")),
                    _ if wire.attended => self.model.answered(wire.client, &asked, reply),
                    _ => {}
                }
            }
        }
        assert!(is_complete, "answered before it was asked: {:?}", asked.ask);
        assert!(!reply.closes || draining, "the connection ends for no reason after {:?}", asked.ask);
    }

    /// Whether something is wrong, or was a moment ago, or the lane that would find the audit log well is slow to say so.
    fn is_unwell(&mut self) -> bool {
        let now = self.clock.now().instant;
        let is_recent = self.healed.is_none_or(|healed| now < healed + AUDIT_RECOVERS_WITHIN);
        is_recent || self.machine().lanes.is_recording()
    }

    /// An answer came that does not tell whether the request was done.
    fn lose_answered(&mut self, id: ConnectionId, asked: Asked) {
        let wire = self.network.open(id);
        if wire.attended {
            let client = wire.client;
            self.model.lose(client, asked, id);
            self.model.settle(client, id);
        }
    }

    /// An answer that is to be recorded leaves when its line lasts.
    fn check_recorded(&mut self, ask: &Ask) {
        let is_recorded = !matches!(ask, Ask::Version { .. } | Ask::Metrics | Ask::Health);
        if self.options.audit == Some(AuditMode::Required) && is_recorded {
            let machine = self.machine();
            machine.answered += 1;
            let (answered, recorded) = (machine.answered, machine.recorded());
            assert!(recorded >= answered, "{answered} answers have left, and {recorded} are recorded");
        }
    }

    /// Key material leaves in the answer to a Get, and nowhere else.
    fn check_leaks(&self, asked: &Asked, reply: &Reply) {
        let tells_key = matches!(asked.ask, Ask::Get { .. } | Ask::Batch { .. }) && reply.status == 200;
        let shown = self.model.materials.find(&reply.body).filter(|_| !tells_key);
        assert_eq!(shown, None, "the answer to {:?} shows a key", asked.ask);
        let tells_data = matches!(asked.ask, Ask::Decrypt(_)) && reply.status == 200;
        let shown = self.model.data.find(&reply.body).filter(|_| !tells_data);
        assert_eq!(shown, None, "the answer to {:?} shows what was encrypted", asked.ask);
    }
}

/// How long after it could be written again nobody is told any more that the audit log cannot.
const AUDIT_RECOVERS_WITHIN: Duration = Duration::from_secs(5);
/// How a server answers whose issuer of tokens has not told its keys yet.
const NO_KEYS_YET: &[u8] = b"The keys of the token's issuer are not there yet";
/// How it answers what it could not record.
const NOT_RECORDED: &[u8] = b"The audit log cannot be written";

/// A connection in a line: slot and generation.
fn name(id: ConnectionId) -> String {
    format!("{}.{}", id.slot, id.generation)
}
