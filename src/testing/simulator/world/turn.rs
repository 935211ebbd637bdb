//! The server's inputs and outputs: what `shell/reactor/turn.rs` does with them, and what they must not be.
#![forbid(unsafe_code)]

use super::{Echo, RUNS, TIMEOUTS_MAX, Unsettled, World};
use crate::job::{Completion, Done, Job, JobId, Lane};
use crate::server::event::{ConnectionId, Input, Listener, Output};
use crate::testing::simulator::lanes;
use crate::testing::simulator::network::Wrote;
use crate::testing::simulator::sabotage::Sabotage;
use crate::time::Instant;

/// One effect that was carried out, as far as the network alone is concerned.
enum Effect {
    /// With when the server began to wait for the request.
    Wrote(ConnectionId, Wrote, Instant),
    Closed(ConnectionId),
    Aborted(ConnectionId),
    Submitted(Job),
    Nothing,
    Listens(Listener),
    StoppedListening(Listener),
    LanesEnd,
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
            let at = now.instant.saturating_since(Default::default());
            self.trace.note(format_args!("{} {at:?} Timeout", self.totals.steps));
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
                let is_encrypted = self.network.open(*connection).is_encrypted();
                let (id, count) = (name(*connection), bytes.len());
                match is_encrypted {
                    // Their values differ from run to run.
                    true => self.trace.note(format_args!("{step} {at:?} Received {id}: {count} bytes")),
                    false => self.trace.note_bytes(format_args!("{step} {at:?} Received {id}"), bytes),
                }
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
                    Done::StoreFailed(failed) => &format!("{}", failed.error),
                    Done::Busy => "busy",
                    Done::Audited(_, Ok(())) => "recorded",
                    Done::Audited(_, Err(_)) => "not recorded",
                    Done::KeySet(..) => "about the issuer's keys",
                    Done::OrderBegun(Ok(_)) => "an order has begun",
                    Done::OrderFinished(Ok(_)) => "a certificate was issued",
                    Done::OrderBegun(Err(_)) | Done::OrderFinished(Err(_)) => "no certificate was issued",
                    _ => "about a certificate",
                };
                self.trace.note(format_args!("{step} {at:?} Completed {id:?} {done}"));
            }
            Input::Listening { listener, result } => {
                self.trace.note(format_args!("{step} {at:?} Listening {listener:?} {result:?}"));
            }
            Input::Reload => self.trace.note(format_args!("{step} {at:?} Reload")),
            Input::Renew => self.trace.note(format_args!("{step} {at:?} Renew")),
            Input::Shutdown => self.trace.note(format_args!("{step} {at:?} Shutdown")),
            Input::LanesEnded { .. } => self.trace.note(format_args!("{step} {at:?} LanesEnded")),
        }
        self.machine().server.handle_input(now, input);
    }

    fn handle_completion(&mut self, mut completion: Completion) {
        if let JobId::Request(id) = completion.id {
            if let Some(wire) = self.network.get(id) {
                assert!(wire.waits, "what is answered was asked");
                wire.waits = false;
                wire.busy = matches!(completion.done, Done::Busy);
            } else if self.sabotage == Some(Sabotage::AbandonedUnrecorded) {
                completion.done = Done::Busy;
            }
        }
        self.totals.certificates += u64::from(matches!(completion.done, Done::OrderFinished(Ok(_))));
        if matches!(completion.done, Done::Audited(_, Err(_))) {
            self.told_unrecorded = Some(self.clock.now().instant);
        }
        let is_opened = matches!(completion.done, Done::Provided(Ok(_)));
        self.handle(Input::Completed(completion));
        if is_opened {
            self.check_store();
        }
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
                Some(Echo::Listening(listener, result)) => self.handle(Input::Listening { listener, result }),
                Some(Echo::EndLanes) => self.end_lanes(),
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

    /// What a lane has begun is answered, the rest is not done.
    fn end_lanes(&mut self) {
        for lane in [Lane::Store, Lane::Bulk] {
            if self.machine().lanes.has_waiting(lane) && self.choices.one_in(2) {
                self.machine().lanes.run(lane);
            }
        }
        self.machine().lanes.drop_waiting();
        self.machine().finish_lanes();
        for lane in lanes::ALL {
            while let Some(completion) = self.machine().lanes.next_done(lane) {
                self.handle_completion(completion);
            }
        }
        self.handle(Input::LanesEnded { in_time: true });
    }

    /// Takes the next output as far as the network goes.
    fn next_effect(&mut self) -> Option<Effect> {
        let World { machine, network, trace, totals, clock, model, sabotage, .. } = self;
        let machine = machine.as_mut().expect(RUNS);
        let output = machine.server.poll_output()?;
        assert_eq!(machine.exit, None, "nothing follows an exit");
        totals.steps += 1;
        let step = totals.steps;
        Some(match output {
            Output::Send { connection, bytes } => {
                let wire = network.open(connection);
                let (id, count) = (name(connection), bytes.len());
                let plain = wire.hear(bytes);
                trace.note_bytes(format_args!("{step} Send {id}: {count} bytes"), &plain);
                let says_something = !plain.is_empty();
                if wire.is_encrypted() {
                    let in_the_clear = *sabotage == Some(Sabotage::AnswerInTheClear);
                    let carried = if in_the_clear { &*plain } else { bytes };
                    let shown = model.materials.find(carried).or_else(|| model.data.find(carried));
                    assert_eq!(shown, None, "a secret travels as it is");
                }
                let began = wire.began_to_wait();
                if says_something {
                    wire.has_sent(clock.now().instant);
                }
                Effect::Wrote(connection, wire.send(count), began)
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
            Output::Listen(listener) => {
                trace.note(format_args!("{step} Listen {listener:?}"));
                Effect::Listens(listener)
            }
            Output::StopListening(listener) => {
                trace.note(format_args!("{step} StopListening {listener:?}"));
                Effect::StoppedListening(listener)
            }
            Output::EndLanes => {
                trace.note(format_args!("{step} EndLanes"));
                Effect::LanesEnd
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
                let machine = self.machine();
                let (draining, waits) = (machine.draining, machine.waits);
                let wire = self.network.open(id);
                let is_leaving = draining || (wire.listener == Listener::Bootstrap && !waits);
                let (client, attended) = (wire.client, wire.attended);
                let wrote =
                    wire.close(is_leaving, self.clock.now().instant, self.options.limits.idle_timeout);
                if attended {
                    self.forsake(client, id);
                }
                self.echo(id, wrote);
            }
            Effect::Aborted(id) => {
                let wire = self.network.open(id);
                let (client, attended) = (wire.client, wire.attended);
                let is_handshaking = wire.is_handshaking();
                let reason = wire.closed || wire.broken || wire.is_blocked() || is_handshaking;
                assert!(reason, "a connection is dropped that is neither closed, nor broken, nor slow");
                if !wire.closed && !wire.broken && is_handshaking {
                    let waited = self.clock.now().instant.saturating_since(wire.accepted);
                    assert!(
                        waited >= self.options.limits.handshake_timeout,
                        "a handshake is given up after {waited:?}"
                    );
                } else if !wire.closed && !wire.broken {
                    let waited = self.clock.now().instant.saturating_since(wire.blocked_since);
                    assert!(waited >= self.options.limits.write_timeout, "a peer is slow after {waited:?}");
                }
                if self.sabotage == Some(Sabotage::TimerWithoutGeneration) {
                    self.stray_timers.push((wire.since + self.options.limits.idle_timeout, id.slot));
                }
                if attended {
                    self.forsake(client, id);
                }
                self.totals.turned_away += u64::from(self.network.remove(id).is_turned_away());
                self.unsettled.push(Unsettled { client, connection: id, done: None });
            }
            Effect::Submitted(job)
                if matches!(job.id, JobId::Audit | JobId::KeySet(_) | JobId::Certificate) =>
            {
                let taken = self.machine().lanes.submit(job);
                assert!(
                    taken.is_ok(),
                    "there is one group, and the last one, one question to the issuer, and one order"
                );
            }
            Effect::Submitted(job) if matches!(job.id, JobId::Database | JobId::Tenants) => {
                if let Err(job) = self.machine().lanes.submit(job) {
                    let busy = Completion { id: job.id, done: Done::Busy };
                    self.echoes.push_back(Echo::Completed(busy));
                }
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
            Effect::Listens(listener) => self.listen(listener),
            Effect::StoppedListening(Listener::Main) => {
                let machine = self.machine();
                assert!(
                    machine.draining && !machine.stopped_listening,
                    "it stops to listen once, when it is told to"
                );
                machine.stopped_listening = true;
            }
            Effect::StoppedListening(Listener::Bootstrap) => self.wait_no_more(),
            Effect::StoppedListening(Listener::Challenge) => {
                let machine = self.machine();
                machine.shows_proofs = false;
                // Who is being served still finds it when the server ends.
                machine.proof.take_if(|_| !machine.draining);
            }
            Effect::StoppedListening(_) => {}
            Effect::LanesEnd => self.echoes.push_back(Echo::EndLanes),
            Effect::Exited(code) => self.machine().exit = Some(code),
            Effect::Nothing => {}
        }
    }

    fn listen(&mut self, listener: Listener) {
        let may_fail = matches!(listener, Listener::Main | Listener::Challenge) && self.troubled;
        let result = match may_fail && self.choices.one_in(3) {
            true => Err("the port is in use".to_owned()),
            false => Ok(()),
        };
        let is_due = self.owner.has_started();
        let machine = self.machine();
        match listener {
            Listener::Main => {
                assert!(is_due && machine.store().is_some(), "it serves before it was started");
                machine.serves = result.is_ok();
                match result {
                    Ok(()) => self.totals.hand_overs += 1,
                    Err(_) => machine.lanes.vault.opened = None,
                }
            }
            Listener::Bootstrap => machine.waits = true,
            Listener::Challenge => {
                assert!(!machine.draining, "a server that ends opens no port for proofs");
                machine.shows_proofs = result.is_ok();
                machine.proof = machine.lanes.authority.told.clone();
            }
            Listener::Metrics => unreachable!("it is always there"),
        }
        self.echoes.push_back(Echo::Listening(listener, result));
    }

    /// The owner is not waited for any more: what was handed over is open, or it took too long.
    fn wait_no_more(&mut self) {
        let waited = self.clock.now().instant.saturating_since(self.machine().started);
        let window = self.options.window;
        let machine = self.machine();
        machine.waits = false;
        if machine.store().is_none() && !machine.draining {
            assert!(window.is_some_and(|window| waited >= window), "it gives up after {waited:?}");
            machine.has_given_up = true;
        }
    }

    fn echo(&mut self, id: ConnectionId, wrote: Wrote) {
        if matches!(wrote, Wrote::Blocked | Wrote::Reset) {
            self.echoes.push_back(Echo::Wrote(id, wrote));
        }
    }
}

/// A connection in a line: slot and generation.
fn name(id: ConnectionId) -> String {
    format!("{}.{}", id.slot, id.generation)
}
