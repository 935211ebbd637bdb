//! The core by itself: what comes out of it for what goes in, without sockets, lanes or a clock.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "a test may fail")]

use keyway::entropy::Entropy;
use keyway::job::{Completion, Done, Job};
use keyway::limits;
use keyway::pipeline::{Failed, Reply};
use keyway::server::event::{ConnectionId, Input, Listener, Output};
use keyway::server::{Parts, Server};
use keyway::store::StoreError;
use keyway::store::memory::MemoryStore;
use keyway::testing;
use keyway::time::{Instant, Now, Timestamp};
use std::sync::Arc;

/// The same bytes in every run.
struct Zeros;

impl Entropy for Zeros {
    fn fill(&mut self, bytes: &mut [u8]) {
        bytes.fill(0);
    }
}

/// An output without its bytes: those are kept for whom they are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Seen {
    Sent(u32, usize),
    Closed(u32),
    Aborted(u32),
    Paused(u32),
    Resumed(u32),
    Submitted,
    LanesEnd,
}
use Seen::*;

/// A core, and all that it sees of the world.
struct World {
    server: Server,
    now: Now,
    /// What was sent to each connection, by its slot.
    received: Vec<Vec<u8>>,
    jobs: Vec<Job>,
}

fn id(slot: u32) -> ConnectionId {
    ConnectionId { slot, generation: 0 }
}

impl World {
    fn new(change: impl FnOnce(&mut Parts)) -> World {
        let now =
            Now { instant: Instant::from_nanos(0), utc: Timestamp::from_unix(1_795_456_600), utc_millis: 0 };
        let mut parts = testing::parts(Arc::new(MemoryStore::new()), Box::new(Zeros), now);
        change(&mut parts);
        World { server: Server::new(parts).unwrap(), now, received: Vec::new(), jobs: Vec::new() }
    }

    /// What comes out until nothing does.
    fn seen(&mut self) -> Vec<Seen> {
        let mut seen = Vec::new();
        while let Some(output) = self.server.poll_output() {
            seen.push(match output {
                Output::Send { connection, bytes } => {
                    self.received[connection.slot as usize].extend_from_slice(bytes);
                    Sent(connection.slot, bytes.len())
                }
                Output::Close { connection } => Closed(connection.slot),
                Output::Abort { connection } => Aborted(connection.slot),
                Output::Pause { connection } => Paused(connection.slot),
                Output::Resume { connection } => Resumed(connection.slot),
                Output::Submit(job) => {
                    self.jobs.push(job);
                    Submitted
                }
                Output::EndLanes => LanesEnd,
                Output::Listen(_) | Output::StopListening(_) | Output::Exit(_) => unreachable!(),
            });
        }
        seen
    }

    fn tell(&mut self, input: Input<'_>) -> Vec<Seen> {
        self.server.handle_input(self.now, input);
        self.seen()
    }

    /// Accepts a connection; its slot.
    fn accept(&mut self, listener: Listener) -> u32 {
        let slot = self.received.len() as u32;
        self.received.push(Vec::new());
        let peer = ([127, 0, 0, 1], 40_000).into();
        assert_eq!(self.tell(Input::Accepted { connection: id(slot), peer, listener }), []);
        slot
    }

    fn say(&mut self, slot: u32, bytes: impl AsRef<[u8]>) -> Vec<Seen> {
        let mut bytes = bytes.as_ref().to_vec();
        self.tell(Input::Received { connection: id(slot), bytes: &mut bytes })
    }

    /// One call for what is due.
    fn time_out(&mut self) -> Vec<Seen> {
        assert!(self.server.poll_timeout().is_some_and(|due| due <= self.now.instant), "nothing is due");
        self.server.handle_timeout(self.now);
        self.seen()
    }

    /// Has the lane answer the oldest job with so many bytes.
    fn complete(&mut self, bytes: usize) -> Vec<Seen> {
        let job = self.jobs.remove(0);
        let done = Done::Answered(Reply::json(&"x".repeat(bytes)));
        self.tell(Input::Completed(Completion { id: job.id, done }))
    }

    /// The answers that a connection got.
    fn answers(&self, slot: u32) -> usize {
        String::from_utf8_lossy(&self.received[slot as usize]).matches("HTTP/1.1 ").count()
    }
}

/// More requests at once than are answered in one go.
fn many() -> (usize, Vec<u8>) {
    const COUNT: usize = 4_000;
    (COUNT, b"GET /version HTTP/1.1\r\nHost: h\r\n\r\n".repeat(COUNT))
}

#[test]
fn one_call_gives_one_connection_one_turn() {
    let mut world = World::new(|_| ());
    let (slot, other) = (world.accept(Listener::Main), world.accept(Listener::Main));
    let (count, requests) = many();
    // Nothing more is read of it until its last turn: it would come faster than it is answered.
    assert!(matches!(world.say(slot, &requests)[..], [Sent(0, _), Paused(0)]));
    let mut turns = 1;
    while world.answers(slot) < count {
        let seen = world.time_out();
        match world.answers(slot) < count {
            true => assert!(matches!(seen[..], [Sent(0, _)]), "{seen:?}"),
            false => assert!(matches!(seen[..], [Sent(0, _), Resumed(0)]), "{seen:?}"),
        }
        turns += 1;
        assert!(matches!(world.say(other, b"GET /version HTTP/1.1\r\nHost: h\r\n\r\n")[..], [Sent(1, _)]));
    }
    assert!(turns > 2, "{turns}");
}

#[test]
fn a_peer_that_has_ended_gets_all_answers_before_its_connection_goes() {
    let mut world = World::new(|_| ());
    let slot = world.accept(Listener::Main);
    let (count, requests) = many();
    world.say(slot, &requests);
    assert_eq!(world.tell(Input::Ended { connection: id(slot) }), []);
    let last = loop {
        let seen = world.time_out();
        if seen.len() > 1 {
            break seen;
        }
    };
    // The shell can tell now that it could not write all of it.
    assert!(matches!(last[..], [Sent(0, _), Resumed(0), Closed(0)]), "{last:?}");
    assert_eq!(world.answers(slot), count);
    assert_eq!(world.tell(Input::Blocked { connection: id(slot) }), []);
    world.server.handle_timeout(world.now);
    assert_eq!(world.seen(), []);
    assert_eq!(world.tell(Input::Drained { connection: id(slot) }), []);
    assert_eq!(world.time_out(), [Aborted(0)]);
}

#[test]
fn bodies_take_room_by_what_has_arrived_and_not_by_what_is_announced() {
    let mut world = World::new(|parts| parts.limits.bodies_bytes_max = 1024 * 1024);
    let announced = "POST /kmip HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000\r\n\r\n";
    let slots = [(); 4].map(|()| world.accept(Listener::Main));
    for slot in slots {
        assert_eq!(world.say(slot, announced), []);
    }
    let body = vec![b'x'; 1_000_000];
    let (last, rest) = body.split_last().unwrap();
    assert_eq!(world.say(slots[0], rest), []);
    // Now there is no room for a second one.
    assert!(matches!(world.say(slots[1], rest)[..], [Sent(1, _), Closed(1)]));
    assert!(String::from_utf8_lossy(&world.received[1]).contains("too many large requests"));
    assert_eq!(world.tell(Input::Reset { connection: id(slots[0]) }), [Aborted(0)]);
    assert_eq!(world.say(slots[2], rest), []);
    assert_eq!(world.say(slots[2], [*last]), [Submitted, Paused(2)]);
    // A lane has it, whether anybody waits for the answer or not.
    assert_eq!(world.tell(Input::Reset { connection: id(slots[2]) }), [Aborted(2)]);
    assert!(matches!(world.say(slots[3], rest)[..], [Sent(3, _), Closed(3)]));
    assert_eq!(world.complete(1), []);
    let slot = world.accept(Listener::Main);
    assert_eq!(world.say(slot, announced), []);
    assert_eq!(world.say(slot, rest), []);
}

#[test]
fn where_nobody_hands_anything_over_no_body_is_read() {
    let mut world = World::new(|_| ());
    for (listener, answer) in [(Listener::Metrics, "HTTP/1.1 200 "), (Listener::Challenge, "HTTP/1.1 308 ")] {
        for body in ["Content-Length: 1000000\r\n\r\n", "Transfer-Encoding: chunked\r\n\r\n100\r\n"] {
            let slot = world.accept(listener);
            let seen = world.say(slot, format!("GET /metrics HTTP/1.1\r\nHost: h\r\n{body}x"));
            assert!(matches!(seen[..], [Sent(..), Closed(_)]), "{seen:?}");
            assert!(world.received[slot as usize].starts_with(answer.as_bytes()));
            assert_eq!(world.say(slot, "more"), []);
        }
    }
}

/// What a step leaves holds keys and data: it goes by itself, also where nobody asks for anything any more.
#[test]
fn what_no_client_goes_on_with_is_let_go() {
    let mut world = World::new(|_| ());
    let connection = world.accept(Listener::Main);
    let body = r#"{"tag":"Hash","value":[{"tag":"CryptographicParameters","value":[{"tag":"HashingAlgorithm","type":"Enumeration","value":"SHA256"}]},{"tag":"Data","type":"ByteString","value":"00"},{"tag":"InitIndicator","type":"Boolean","value":true}]}"#;
    let length = body.len();
    world.say(
        connection,
        format!("POST /kmip/2_1 HTTP/1.1\r\nHost: h\r\nContent-Length: {length}\r\n\r\n{body}"),
    );
    assert!(String::from_utf8_lossy(&world.received[0]).contains("CorrelationValue"));
    world.tell(Input::Reset { connection: id(connection) });
    let (mut waited, begun) = (0, world.now.instant);
    while let Some(due) = world.server.poll_timeout() {
        waited += 1;
        assert!(waited < 100, "{due:?}");
        let past = due.saturating_since(world.now.instant);
        world.now.instant = due;
        world.now.utc = world.now.utc + past;
        world.time_out();
    }
    let kept = world.now.instant.saturating_since(begun);
    let least = limits::STREAM_IDLE_TIMEOUT;
    assert!((least..least + 2 * limits::STREAM_IDLE_INTERVAL).contains(&kept), "{kept:?}");
}

/// Asks for what a lane looks for, and gets so many bytes.
fn ask(world: &mut World, slot: u32, answer_bytes: usize) -> Vec<Seen> {
    let asked = world.say(slot, "GET /access/owned HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_eq!(asked, [Submitted, Paused(slot)]);
    world.complete(answer_bytes)
}

#[test]
fn large_answers_take_room_until_their_peers_have_taken_them() {
    const ANSWER_BYTES: usize = 1_000_000;
    let mut world = World::new(|parts| parts.limits.bodies_bytes_max = 2 * ANSWER_BYTES);
    let [first, second, third] = [(); 3].map(|()| world.accept(Listener::Main));
    let is_large = |seen: &[Seen]| matches!(seen, [Resumed(_), Sent(_, bytes)] if *bytes > ANSWER_BYTES);
    for slot in [first, second] {
        assert!(is_large(&ask(&mut world, slot, ANSWER_BYTES)));
        assert_eq!(world.tell(Input::Blocked { connection: id(slot) }), []);
    }
    let is_refused = |world: &mut World| {
        world.received[third as usize].clear();
        let seen = ask(world, third, ANSWER_BYTES);
        let told = String::from_utf8_lossy(&world.received[third as usize]);
        assert_eq!(told.starts_with("HTTP/1.1 503 "), !is_large(&seen), "{seen:?}");
        assert!(is_large(&seen) || told.contains("--max-bodies-bytes"), "{told}");
        !is_large(&seen)
    };
    assert!(is_refused(&mut world));
    // Small ones need none.
    assert!(matches!(ask(&mut world, third, 60_000)[..], [Resumed(_), Sent(..)]));
    world.server.handle_timeout(world.now);
    assert!(is_refused(&mut world), "nobody has taken anything");

    assert_eq!(world.tell(Input::Drained { connection: id(first) }), []);
    assert!(!is_refused(&mut world), "one has");
    assert!(is_refused(&mut world), "it may be told still that this one has not");
    assert_eq!(world.time_out(), []);
    assert!(!is_refused(&mut world), "it has");
    assert_eq!(world.tell(Input::Blocked { connection: id(third) }), []);
    assert_eq!(world.tell(Input::Reset { connection: id(third) }), [Aborted(third)]);
    assert_eq!(world.tell(Input::Reset { connection: id(second) }), [Aborted(second)]);
    for slot in [world.accept(Listener::Main), world.accept(Listener::Main)] {
        assert!(is_large(&ask(&mut world, slot, ANSWER_BYTES)), "those that are gone need none");
    }
}

/// A store that is of no use any more ends the server, also where nobody waits for its answer any more.
#[test]
fn a_store_that_has_failed_ends_the_server_whoever_has_asked() {
    for is_gone in [false, true] {
        let mut world = World::new(|_| ());
        let connection = world.accept(Listener::Main);
        assert_eq!(
            world.say(connection, "GET /access/owned HTTP/1.1\r\nHost: h\r\n\r\n"),
            [Submitted, Paused(0)]
        );
        if is_gone {
            assert_eq!(world.tell(Input::Reset { connection: id(connection) }), [Aborted(0)]);
        }
        let error = StoreError::Corrupt("a row".into());
        let done = Done::StoreFailed(Failed { error, decisions: Vec::new() });
        let seen = world.tell(Input::Completed(Completion { id: world.jobs[0].id, done }));
        assert!(seen.contains(&LanesEnd), "{seen:?}");
    }
}
