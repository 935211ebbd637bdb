//! TLS at the client's end of a connection: what the client says goes into records, what it is told comes out of records.
#![forbid(unsafe_code)]

use crate::testing::choices::Choices;
use crate::testing::tls::{self, Client, Shown, Version};
use rustls::ClientConfig;
use std::collections::VecDeque;
use std::sync::Arc;

/// Bytes of the header of a record (RFC 8446 section 5.1).
const RECORD_HEADER_BYTES: usize = 5;

/// How one client speaks TLS: on all of its connections, so that it resumes sessions.
#[derive(Clone, Debug)]
pub struct Manners {
    config: Arc<ClientConfig>,
    /// How much it says in one record.
    record_bytes: usize,
    /// The server knows nobody who vouches for it.
    is_stranger: bool,
}

impl Manners {
    /// Any of them; of this user, where the server asks for certificates, or of a stranger.
    pub fn draw(user: Option<&'static str>, choices: &mut Choices) -> Manners {
        let version = *choices.pick(&[Version::Tls12, Version::Tls13]);
        let record_bytes = *choices.pick(&[60, 1_000, 16 * 1024]);
        let record_bytes_max = Some(RECORD_HEADER_BYTES + record_bytes);
        let shown = match user {
            None => Shown::Nothing,
            Some(user) if choices.one_in(6) => *choices.pick(&[Shown::Nothing, Shown::Forgery(user)]),
            Some(user) => Shown::Certificate(user),
        };
        let is_stranger = user.is_some() && !matches!(shown, Shown::Certificate(_));
        let config = tls::client_config(version, record_bytes_max, shown);
        Manners { config: Arc::new(config), record_bytes, is_stranger }
    }
}

/// One connection. The client answers the server's part of the handshake when it has taken all of it.
pub struct Session {
    client: Client,
    record_bytes: usize,
    /// Said before the handshake was over.
    unsent: Vec<u8>,
    /// Said, and sent in records.
    said: u64,
    /// Bytes of all records sent.
    carried: u64,
    /// Where records end among these, and how much was said by then: those that the server has not got.
    records: VecDeque<(u64, u64)>,
    /// Bytes that the server has got,
    arrived: u64,
    /// and what they say.
    understood: u64,
    flights: usize,
    /// Where the server's handshake is over.
    handshaken_at: Option<u64>,
    /// Where the server knows that nothing more will be said.
    goodbye_at: Option<u64>,
    /// The next flight will be damaged on its way.
    damages_next: bool,
    /// One was, or the server is not to take the next in any case.
    is_damaged: bool,
    /// The server is not to hear the client, nor to say anything to it.
    is_stranger: bool,
    /// The server has ended the session with an alert that says that something is wrong.
    is_alerted: bool,
}

impl Session {
    /// A session before its first byte.
    pub fn new(manners: &Manners) -> Session {
        Session {
            client: Client::new(&manners.config),
            record_bytes: manners.record_bytes,
            unsent: Vec::new(),
            said: 0,
            carried: 0,
            records: VecDeque::new(),
            arrived: 0,
            understood: 0,
            flights: 0,
            handshaken_at: None,
            goodbye_at: None,
            damages_next: false,
            is_damaged: manners.is_stranger,
            is_stranger: manners.is_stranger,
            is_alerted: false,
        }
    }

    /// The client says something.
    pub fn say(&mut self, plain: &[u8]) {
        self.unsent.extend_from_slice(plain);
    }

    /// The client says that it will say nothing more, if its part of the handshake is sent, and all that it had to say.
    pub fn say_goodbye(&mut self) -> Vec<u8> {
        if self.client.is_handshaking() || self.flights < 2 || !self.unsent.is_empty() {
            return Vec::new();
        }
        self.client.say_goodbye();
        let goodbye = self.client.flight();
        self.carried += goodbye.len() as u64;
        self.goodbye_at = Some(self.carried).filter(|_| !self.is_damaged);
        goodbye
    }

    /// Somebody on the way changes a byte of what is sent next.
    pub fn damage_next(&mut self) {
        self.damages_next = true;
    }

    /// What the client sends now: its part of the handshake, or what it has to say.
    pub fn flight(&mut self) -> Vec<u8> {
        let mut flight = self.client.flight();
        if !flight.is_empty() {
            self.flights += 1;
            // The first is the hello, the second the end of the handshake for the server, in both versions.
            if self.flights == 2 {
                self.handshaken_at = Some(self.carried + flight.len() as u64);
            }
        }
        let is_damaged = self.damages_next && !(flight.is_empty() && self.unsent.is_empty());
        let may_say =
            if self.client.is_handshaking() { Vec::new() } else { std::mem::take(&mut self.unsent) };
        for plain in may_say.chunks(self.record_bytes) {
            self.client.say(plain);
            flight.extend(self.client.flight());
            self.said += plain.len() as u64;
            if !is_damaged && !self.is_damaged {
                self.records.push_back((self.carried + flight.len() as u64, self.said));
            }
        }
        if is_damaged && flight.len() > RECORD_HEADER_BYTES {
            // The first byte after a header: of a message, or of what is encrypted.
            flight[RECORD_HEADER_BYTES] ^= 0x41;
            (self.is_damaged, self.damages_next) = (true, false);
        }
        self.carried += flight.len() as u64;
        flight
    }

    /// The server gets so many bytes; how much has been said in all that it has got.
    pub fn arrive(&mut self, bytes: usize) -> u64 {
        self.arrived += bytes as u64;
        while let Some((_, said)) = self.records.front().filter(|(end, _)| *end <= self.arrived) {
            self.understood = *said;
            self.records.pop_front();
        }
        self.understood
    }

    /// The server has sent these bytes: what they say. `is_surplus` where the server has no room for this connection.
    pub fn hear(&mut self, bytes: &[u8], is_surplus: bool) -> Vec<u8> {
        if self.is_alerted {
            assert!(self.is_damaged, "nothing follows an alert");
            return Vec::new();
        }
        match self.client.hear(bytes) {
            Ok(plain) => {
                assert!(plain.is_empty() || !self.is_stranger, "a stranger has an answer");
                plain
            }
            Err(error) => {
                assert!(self.is_damaged || is_surplus, "what the server sends is no TLS: {error}");
                self.is_alerted = true;
                Vec::new()
            }
        }
    }

    /// Whether the server has not seen the end of the handshake.
    pub fn is_handshaking(&self) -> bool {
        self.handshaken_at.is_none_or(|at| at > self.arrived)
    }

    /// Whether it goes on with a session from before.
    pub fn is_resumed(&self) -> bool {
        self.client.is_resumed()
    }

    /// Whether the server has turned a stranger away.
    pub fn is_turned_away(&self) -> bool {
        self.is_stranger && self.is_alerted
    }

    /// Whether the server knows that nothing more will be said.
    pub fn has_said_goodbye(&self) -> bool {
        self.goodbye_at.is_some_and(|at| at <= self.arrived)
    }

    /// Whether the server may end it without a word: there was no handshake, or there is no session any more.
    pub fn may_be_cut(&self) -> bool {
        self.is_handshaking() || self.is_broken()
    }

    /// Whether somebody has damaged it, or the server wants nothing of it.
    pub fn is_broken(&self) -> bool {
        self.is_damaged || self.is_alerted
    }

    /// Whether the server has said that it will say nothing more: what came before is all there is (RFC 8446 section 6.1).
    pub fn has_heard_goodbye(&mut self) -> bool {
        self.client.has_heard_goodbye()
    }
}
