//! What clients do: they come, ask, hand over, give up and leave.
#![forbid(unsafe_code)]

use super::{RUNS, World};
use crate::acme::challenge::HTTP_PATH;
use crate::limits::{INLINE_BODY_BYTES_MAX, REFUSED_CONNECTIONS_MAX};
use crate::server::event::{ConnectionId, Input, Listener};
use crate::testing::simulator::http;
use crate::testing::simulator::kmip::Ask;
use crate::testing::simulator::network::{Asked, Wire};
use crate::testing::simulator::owner::{HandOver, OWNER_CLIENT};
use crate::testing::simulator::recorded;
use crate::testing::simulator::sabotage::Sabotage;
use crate::testing::simulator::session::Session;
use crate::testing::simulator::workload::Client;

/// What is asked for keys of a server that has none yet.
const NOT_SERVED_YET: [Ask; 3] = [Ask::Version { head_only: false }, Ask::ListOwned, Ask::Metrics];

impl World<'_> {
    pub(super) fn client_acts(&mut self) {
        let index = self.choices.below(self.clients.len());
        let Some(id) = self.clients[index].wire else {
            // Where there is no room, few try.
            let is_full = self.network.len() >= self.options.limits.connections_max;
            let wants = self.clients[index].remaining > 0 || (self.machine().waits && index == OWNER_CLIENT);
            if wants && self.choices.one_in(if is_full { 30 } else { 2 }) {
                return self.connect(index);
            }
            return self.peer_leaves();
        };
        let waits = self.machine().waits;
        let wire = self.network.open(id);
        if self.troubled && self.choices.one_in(40) {
            return self.client_breaks(index, id);
        }
        if !wire.is_live() {
            return;
        }
        let Client { remaining, depth, .. } = self.clients[index];
        let wants = if wire.listener == Listener::Bootstrap { waits } else { remaining > 0 };
        if wants && wire.asked.len() < depth && !wire.asked.back().is_some_and(|last| is_last(&last.ask)) {
            self.ask(index, id);
        } else if wire.asked.is_empty() && (!wants || self.choices.one_in(20)) {
            wire.finish(true);
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
        let listener = match self.choices.one_in(12) {
            true => Listener::Metrics,
            false if machine.shows_proofs && self.choices.one_in(3) => Listener::Challenge,
            false if machine.serves => Listener::Main,
            false if machine.waits => Listener::Bootstrap,
            false => return,
        };
        let now = self.clock.now().instant;
        let mut wire = Wire::new(index, listener, window, is_surplus, now);
        let speaks_tls = match listener {
            Listener::Main => self.options.features.tls,
            listener => listener == Listener::Bootstrap,
        };
        if let Some(manners) = self.clients[index].manners.as_ref().filter(|_| speaks_tls) {
            wire.is_misled = !is_surplus && self.choices.one_in(20);
            if !wire.is_misled {
                wire = wire.with_session(Session::new(manners));
            }
        }
        let id = self.network.accept(wire);
        self.clients[index].wire = Some(id);
        self.tell(Input::Accepted { connection: id, peer: recorded::peer(id, listener), listener });
        let refused = self.network.get(id).is_none_or(|wire| wire.closed);
        assert_eq!(refused, is_surplus, "what is accepted is served up to the cap, and refused above it");
    }

    fn ask(&mut self, index: usize, id: ConnectionId) {
        let wire = self.network.open(id);
        let (listener, is_misled) = (wire.listener, wire.is_misled);
        self.clients[index].remaining -= usize::from(listener != Listener::Bootstrap);
        // In whose database.
        let of = if self.sabotage == Some(Sabotage::TenantsMixedUp) { 0 } else { index };
        let (ask, victim) = match listener {
            Listener::Metrics => (Ask::Metrics, None),
            Listener::Challenge => (self.look_for_proof(), None),
            _ if is_misled => (Ask::Version { head_only: false }, None),
            Listener::Bootstrap => (self.hand_over(index), None),
            _ => {
                let secret = self.model.secret_of(of);
                self.clients[index].compose(index, secret, &self.model, &self.options, &mut self.choices)
            }
        };
        self.model.guard(&ask);
        let client = &self.clients[index];
        let mut bytes = Vec::new();
        let mut is_large = false;
        if let Ask::Rubbish { bytes: rubbish, .. } = &ask {
            bytes.clone_from(rubbish);
        } else if let Ask::HandOver(piece) = ask {
            bytes = piece.spell();
        } else {
            let (method, path, body) = ask.spell(client.dialect);
            is_large = body.len() > INLINE_BODY_BYTES_MAX;
            let request = (method, path.as_str(), body.as_bytes());
            let proof = client.proof(self.model.secret_of(of));
            http::write_request(request, &proof, &mut self.choices, &mut bytes);
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
        let line = format_args!("request {number} of client {index} on {id:?}");
        match ask {
            // The bytes of a certificate's file differ from run to run.
            Ask::HandOver(piece) => self.trace.note(format_args!("{line}: {piece:?}")),
            _ => self.trace.note_bytes(line, &bytes),
        }
        wire.push(&bytes);
        let asked = Asked { number, ask, dialect, start, end, is_large, possible, victim };
        self.model.asked(index, &asked);
        wire.asked.push_back(asked);
        if is_cut {
            self.client_breaks(index, id);
        }
    }

    /// What the client says to a server that waits for its owner: that is what it has come for, or it asks for keys.
    fn hand_over(&mut self, index: usize) -> Ask {
        let choices = &mut self.choices;
        if index == OWNER_CLIENT {
            return Ask::HandOver(self.owner.next(&self.options, !self.troubled, choices));
        }
        if choices.one_in(2) {
            return Ask::HandOver(HandOver::by_stranger(choices));
        }
        let dialect = self.clients[index].dialect;
        let (method, path, body) = choices.pick(&NOT_SERVED_YET).spell(dialect);
        let mut bytes = Vec::new();
        http::write_request((method, &path, body.as_bytes()), "", choices, &mut bytes);
        Ask::Rubbish { bytes, status: 404 }
    }

    /// What an authority asks for, which looks for its proof, and sometimes for another.
    fn look_for_proof(&mut self) -> Ask {
        let told = self.machine().lanes.authority.told.clone();
        let path = told.filter(|_| !self.choices.one_in(5)).map(|proof| proof.path);
        Ask::Proof { path: path.unwrap_or_else(|| format!("{HTTP_PATH}token-0")) }
    }

    /// The client gives its connection up, in one of the ways in which that is done.
    fn client_breaks(&mut self, index: usize, id: ConnectionId) {
        let wire = self.network.open(id);
        let ways = if wire.is_encrypted() { 4 } else { 3 };
        let how = self.choices.below(ways);
        match how {
            0 => wire.break_off(),
            1 => {
                wire.finish(false);
                wire.deaf = true;
            }
            // It still listens, for a while.
            2 => wire.finish(wire.is_encrypted() && self.choices.one_in(2)),
            _ => wire.damage_next(),
        }
        let what = ["is reset", "is closed", "is half closed", "will be damaged"][how];
        self.note(&format!("{id:?} {what}"));
        if how < 2 {
            self.forsake(index, id);
        }
    }

    /// The client will not hear of what it has asked on this connection.
    pub(super) fn forsake(&mut self, index: usize, id: ConnectionId) {
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
                wire.finish(true)
            };
            self.note(&format!("{id:?} leaves"));
        }
    }
}

/// Whether nothing is sent after this request before it is answered: that may be the end of the connection.
fn is_last(ask: &Ask) -> bool {
    matches!(ask, Ask::Rubbish { .. })
}
