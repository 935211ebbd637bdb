//! The server's inputs and outputs: what `shell/reactor/turn.rs` does with them, and what they must not be.
#![forbid(unsafe_code)]

use super::{Echo, RUNS, TIMEOUTS_MAX, Unsettled, World};
use crate::job::{Completion, Done, Job, JobId};
use crate::server::event::{ConnectionId, Input, Listener, Output};
use crate::testing::simulator::http::Reply;
use crate::testing::simulator::kmip::Ask;
use crate::testing::simulator::network::{Asked, Wrote};

/// One effect that was carried out, as far as the network alone is concerned.
enum Effect {
    Wrote(ConnectionId, Wrote),
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
                Some(Echo::Wrote(id, Wrote::Blocked)) => self.handle(Input::Blocked { connection: id }),
                Some(Echo::Wrote(id, _)) => self.handle(Input::Reset { connection: id }),
            }
        }
    }

    /// Takes the next output as far as the network goes.
    fn next_effect(&mut self) -> Option<Effect> {
        let World { machine, network, trace, totals, .. } = self;
        let machine = machine.as_mut().expect(RUNS);
        let output = machine.server.poll_output()?;
        assert_eq!(machine.exit, None, "nothing follows an exit");
        totals.steps += 1;
        let step = totals.steps;
        Some(match output {
            Output::Send { connection, bytes } => {
                trace.note_bytes(format_args!("{step} Send {}", name(connection)), bytes);
                Effect::Wrote(connection, network.open(connection).send(bytes))
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
            Effect::Wrote(id, wrote) => {
                while let Some((reply, asked)) = self.network.open(id).next_reply() {
                    self.judge(id, &reply, asked);
                }
                self.echo(id, wrote);
            }
            Effect::Closed(id) => {
                let draining = self.machine().draining;
                let wire = self.network.open(id);
                let (client, attended) = (wire.client, wire.attended);
                let wrote = wire.close(draining);
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
                if attended {
                    self.forsake(client, id);
                }
                self.network.remove(id);
                self.unsettled.push(Unsettled { client, connection: id, done: None });
            }
            Effect::Submitted(job) if job.id == JobId::Audit => {
                let taken = self.machine().lanes.submit(job);
                assert!(taken.is_ok(), "there is room for one group, and for the last one");
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
    fn judge(&mut self, id: ConnectionId, reply: &Reply, asked: Option<Asked>) {
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
        let is_complete = asked.end.is_some_and(|end| end <= wire.delivered);
        let busy = std::mem::take(&mut wire.busy);
        let ask = &asked.ask;
        match reply.status {
            408 => return assert!(reply.closes && !is_complete, "it was in time: {ask:?}"),
            503 if busy => {}
            503 if matches!(ask, Ask::Health) => {
                assert!(draining || self.disk.is_off(), "the server is well");
            }
            503 => return assert!(reply.closes && asked.is_large, "there was room for {ask:?}"),
            status => {
                if let Ask::Rubbish { statuses, .. } = ask {
                    return assert!(statuses.contains(&status), "{status} for {ask:?}");
                }
                assert!(!busy, "the lane had no room for {ask:?}, which was answered {status}");
                match ask {
                    Ask::Version { .. } => assert_eq!(status, 200),
                    Ask::Health => assert!(status == 200 && reply.body.starts_with(b"{\"status\":\"UP\"")),
                    _ if wire.attended => self.model.answered(wire.client, &asked, reply),
                    _ => {}
                }
            }
        }
        assert!(is_complete, "answered before it was asked: {:?}", asked.ask);
        assert!(!reply.closes || draining, "the connection ends for no reason after {:?}", asked.ask);
    }
}

/// A connection in a line: slot and generation.
fn name(id: ConnectionId) -> String {
    format!("{}.{}", id.slot, id.generation)
}
