//! How long the port for proofs is open: as long as an order needs it, and a little longer, whatever becomes of the order.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "a test may fail")]

use keyway::acme::bot::{Bot, Stored};
use keyway::acme::challenge::{Challenge, HttpChallenge, Kind};
use keyway::acme::failure::{Failure, Kind as FailureKind};
use keyway::acme::schedule::{RELEASED, Validity};
use keyway::acme::{ChallengeChoice, KeySource, KeyType, Settings};
use keyway::entropy::Entropy;
use keyway::job::{Completion, Done, JobId, Work};
use keyway::limits::CHALLENGE_LINGER;
use keyway::server::event::{Input, Listener, Output};
use keyway::server::{Parts, Server, Tls};
use keyway::store::memory::MemoryStore;
use keyway::testing::{self, tls};
use keyway::time::{Instant, Now};
use std::sync::Arc;
use std::time::Duration;

struct Zeros;

impl Entropy for Zeros {
    fn fill(&mut self, bytes: &mut [u8]) {
        bytes.fill(0);
    }
}

/// The time so many seconds after the start.
fn at(seconds: u64) -> Now {
    let since = Duration::from_secs(seconds);
    Now { instant: Instant::default() + since, utc: RELEASED + since, utc_millis: 0 }
}

/// A server with a bot that is about to order, and tries http-01 before tls-alpn-01.
fn server() -> Server {
    let settings = Settings {
        names: vec!["keyway.example".into()],
        email: "admin@keyway.example".into(),
        directory_url: "https://authority.example/directory".into(),
        challenge: ChallengeChoice::Auto,
        key: KeySource::Fresh(KeyType::P256),
        folder: "certificates".into(),
        ca_root: None,
    };
    let validity = Validity { not_before: at(0).utc, not_after: at(0).utc };
    let stored = Stored { validity, challenge: Some(Kind::Http01), is_as_wanted: false };
    let bot = Box::new(Bot::new(Arc::new(settings), Some(stored), &[], &mut Zeros, at(0)));
    let parts = Parts {
        tls: Tls::Bot { identity: tls::identity(), bot },
        ..testing::parts(Arc::new(MemoryStore::new()), Box::new(Zeros), at(0))
    };
    Server::new(parts).unwrap()
}

/// What the server does next, in words.
fn effects(server: &mut Server) -> Vec<&'static str> {
    let mut effects = Vec::new();
    while let Some(output) = server.poll_output() {
        effects.push(match output {
            Output::Listen(Listener::Challenge) => "listens",
            Output::StopListening(Listener::Challenge) => "stops",
            Output::Submit(job) => match job.work {
                Work::BeginOrder { kind, .. } => kind.name(),
                Work::FinishOrder { .. } => "finishes",
                _ => "another job",
            },
            _ => "something else",
        });
    }
    effects
}

#[test]
fn the_port_closes_also_where_the_order_after_a_failed_proof_does_not_begin() {
    let mut server = server();
    let mut told = |now, input| {
        match input {
            Some(input) => server.handle_input(now, input),
            None => server.handle_timeout(now),
        }
        effects(&mut server)
    };
    let answered = |done| Some(Input::Completed(Completion { id: JobId::Certificate, done }));
    let failure = |kind| Failure::new(kind, "it failed");
    assert_eq!(told(at(0), None), ["http-01"]);
    let proof = HttpChallenge { token: "t".into(), key_authorization: "t.k".into() };
    let begun = Done::OrderBegun(Ok(vec![Challenge::Http01(proof)]));
    assert_eq!(told(at(1), answered(begun)), ["listens"]);
    let open = Input::Listening { listener: Listener::Challenge, result: Ok(()) };
    assert_eq!(told(at(1), Some(open)), ["finishes"]);
    let unproved = Done::OrderFinished(Err(failure(FailureKind::Validation)));
    assert_eq!(told(at(2), answered(unproved)), ["tls-alpn-01"]);
    let refused = Done::OrderBegun(Err(failure(FailureKind::Unreachable)));
    assert_eq!(told(at(3), answered(refused)), [""; 0]);
    assert_eq!(told(at(3 + CHALLENGE_LINGER.as_secs()), None), ["stops"]);
}
