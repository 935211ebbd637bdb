//! The audit log, held against what lanes have done and what clients were told.
#![forbid(unsafe_code)]

use super::kmip::Ask;
use crate::audit::entry::Decision;
use crate::server::event::{ConnectionId, Listener};
use crate::wire::json::quoted;
use std::collections::BTreeMap;
use std::net::SocketAddr;

/// Where a connection comes from: no other does, as far as the log of one server goes.
pub fn peer(id: ConnectionId, listener: Listener) -> SocketAddr {
    // Whoever has a wrong token for an owner is shut out after some attempts: nobody here makes so many.
    let host = if listener == Listener::Bootstrap { id.generation as u8 } else { 1 };
    ([127, 0, id.slot as u8, host], 1_024 + (id.generation % 60_000) as u16).into()
}

/// What a line must say.
#[derive(Debug)]
pub struct Wanted {
    /// About which connection.
    peer: String,
    parts: Vec<String>,
}

impl Wanted {
    fn of(id: ConnectionId, status: u16) -> Wanted {
        let parts = vec![format!("\"status\":{status},")];
        Wanted { peer: peer(id, Listener::Main).to_string(), parts }
    }

    fn about<'u>(mut self, operation: &str, objects: impl IntoIterator<Item = &'u str>) -> Wanted {
        self.parts.push(format!("\"operation\":{},", quoted(operation)));
        self.parts.extend(objects.into_iter().map(quoted));
        self
    }

    /// What a lane has decided.
    pub fn done(id: ConnectionId, status: u16, decision: &Decision) -> Wanted {
        Wanted::of(id, status).about(&decision.operation, decision.objects.iter().map(String::as_str))
    }

    /// What a client was told; `None` where nothing is decided.
    pub fn told(id: ConnectionId, status: u16, ask: &Ask) -> Option<Wanted> {
        let operation = ask.operation()?;
        let wanted = Wanted::of(id, status);
        // Who is refused may have been refused before it was looked at what he wants.
        Some(if status == 200 { wanted.about(operation, ask.names()) } else { wanted })
    }
}

/// The lines of a log by where the connections came from that they are about, in order; and how many of each were found.
#[derive(Default)]
pub struct Lines(BTreeMap<String, (Vec<String>, usize)>);

impl Lines {
    /// Adds a line, if it is about a connection.
    pub fn add(&mut self, line: &[u8]) {
        let line = String::from_utf8_lossy(line);
        let peer = line.split_once("\"peer\":\"").and_then(|(_, rest)| rest.split_once('"'));
        if let Some((peer, _)) = peer {
            self.0.entry(peer.to_owned()).or_default().0.push(line.into_owned());
        }
    }

    /// Whether such a line is there, after those that were found before.
    pub fn find(&mut self, wanted: &Wanted) -> bool {
        let Some((lines, found)) = self.0.get_mut(&wanted.peer) else { return false };
        let says_all = |line: &String| wanted.parts.iter().all(|part| line.contains(part));
        let at = lines[*found..].iter().position(says_all);
        *found += at.map_or(0, |at| at + 1);
        at.is_some()
    }
}
