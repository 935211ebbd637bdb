//! The connection over TLS: for bytes that claim to be TLS, and for a client that means it.
#![forbid(unsafe_code)]

use super::{Peer, Script};
use crate::limits::Limits;
use crate::server::LoadedCertificate;
use crate::testing::tls::{self, Client, Shown, Version};
use std::sync::Arc;

/// The body of a fuzz target. Reads `data` as a script and bytes, which need not be TLS at all. Keys and nonces differ
/// from run to run; but whole, in pieces and byte by byte, as many bytes come back and the connection ends alike.
pub fn fuzz(data: &[u8]) {
    let (script, bytes) = Script::split_off(data);
    let answered = |script| {
        let mut peer = Peer::new(Limits::default(), Some(certificate()));
        peer.say(bytes, script);
        let answers = peer.finish();
        (answers.bytes.len(), answers.closed)
    };
    let whole = answered(Script::WHOLE);
    assert_eq!(whole, answered(script), "in pieces of {script:?}");
    assert_eq!(whole, answered(Script::BYTE_BY_BYTE), "byte by byte");
}

/// The body of a fuzz target. Reads `data` as the size of a client's records, a place where the wire damages a byte (far
/// away: nowhere), a script and a conversation in HTTP. The client gets over TLS what it would get in the clear; of a
/// damaged conversation, the beginning of that.
pub fn fuzz_conversation(data: &[u8]) {
    let [options, damage_high, damage_low, data @ ..] = data else { return };
    let damage_at = usize::from(u16::from_be_bytes([*damage_high, *damage_low]));
    let (script, conversation) = Script::split_off(data);
    let in_the_clear = {
        let mut peer = Peer::new(Limits::default(), None);
        peer.say(conversation, Script::WHOLE);
        peer.finish().bytes
    };

    let mut client = client(*options);
    let mut heard = Vec::new();
    let mut peer = Peer::new(Limits::default(), Some(certificate()));
    let mut sent_bytes = 0;
    let mut is_damaged = false;
    client.say(conversation);
    while client.has_flight() && !peer.aborted {
        let mut flight = client.flight();
        if let Some(byte) = damage_at.checked_sub(sent_bytes).and_then(|at| flight.get_mut(at)) {
            *byte ^= 0x11;
            is_damaged = true;
        }
        sent_bytes += flight.len();
        peer.say(&flight, script);
        match client.hear(&std::mem::take(&mut peer.received)) {
            Ok(plain) => heard.extend_from_slice(&plain),
            Err(_) => break,
        }
    }
    peer.finish();
    let answers = super::without_interim(heard);
    if is_damaged {
        assert!(in_the_clear.starts_with(&answers), "{}", answers.escape_ascii());
    } else {
        assert_eq!(in_the_clear.escape_ascii().to_string(), answers.escape_ascii().to_string());
    }
}

fn certificate() -> LoadedCertificate {
    LoadedCertificate { identity: tls::identity(), digest: [0; 32] }
}

/// A client of either version, whose records are as small as it is told.
fn client(options: u8) -> Client {
    let version = if options.is_multiple_of(2) { Version::Tls13 } else { Version::Tls12 };
    let record_bytes_max = match options / 2 {
        0 => None,
        size => Some(32 + usize::from(size)),
    };
    Client::new(&Arc::new(tls::client_config(version, record_bytes_max, Shown::Nothing)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::event::Input;
    use crate::testing::connection::ID;
    use crate::time::Instant;
    use std::time::Duration;

    #[test]
    fn a_handshake_has_one_deadline_whatever_is_taken_meanwhile() {
        let (handshake_timeout, write_timeout) = (Duration::from_secs(2), Duration::from_secs(1));
        let limits = Limits { handshake_timeout, write_timeout, ..Limits::default() };
        let deadline = Instant::from_nanos(0) + handshake_timeout;
        let mut peer = Peer::new(limits, Some(certificate()));
        peer.say(&client(0).flight(), Script::WHOLE);
        assert_eq!(peer.server.poll_timeout(), Some(deadline));
        peer.tell(Input::Blocked { connection: ID });
        assert_eq!(peer.server.poll_timeout(), Some(deadline));
        peer.tell(Input::Drained { connection: ID });
        assert!(!peer.aborted);
        peer.now.instant = deadline;
        peer.settle();
        assert!(peer.aborted);
    }
}
