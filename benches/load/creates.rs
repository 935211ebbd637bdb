//! Keys that last: how many are created a second, each committed to the disk before its answer. Over plain HTTP: with
//! TLS, the handshakes of all connections at the beginning would be what the slowest answers tell of.

use crate::Bench;
use crate::answers::PATH;
use crate::report::{Report, Target, median, number};
use crate::servers::Keyway;
use crate::support::{CREATE, Scratch};
use crate::wrk::{Load, Outcome};
use keyway::job::{self, ConnectionId, Done, Job, JobId, Resources, Work};
use keyway::kms::nonces::Nonces;
use keyway::kms::policy::{Principal, Standing};
use keyway::kms::streams::Streams;
use keyway::pipeline::{Asker, Call, Endpoint};
use keyway::shell::os::{Clock, OsEntropy};
use keyway::store::redb::RedbStore;
use std::sync::Arc;
use std::time::{Duration, Instant};

const CONNECTIONS: [usize; 3] = [1, 64, 256];
/// Against one commit a request, at 64 connections, and at 256.
const TARGET_GAIN: f64 = 8.0;
const TARGET_CROWD_GAIN: f64 = 12.0;
/// A second at 64 connections, or so many times the rate of one connection where that is less.
const TARGET_RATE: f64 = 10_000.0;
const TARGET_LONE_MULTIPLE: f64 = 20.0;
const TARGET_P99_MS: f64 = 50.0;

pub fn measure(bench: &Bench, report: &mut Report) {
    let mut single = Vec::new();
    let mut rounds = CONNECTIONS.map(|_| Vec::new());
    for _ in 0..bench.rounds {
        single.push(one_commit_a_request(bench.duration));
        let keyway = Keyway::start(bench, false);
        for (outcomes, connections) in rounds.iter_mut().zip(CONNECTIONS) {
            let load = Load::posting(CREATE, connections);
            outcomes.push(load.run(keyway.server.pid(), &keyway.server.url(PATH), bench.duration));
        }
    }
    let single = median(single);
    let [lone, many, crowd] = rounds.map(|outcomes| Outcome::median(&outcomes));
    let rate = |outcome: &Outcome| format!("{}/s", number(outcome.rate));
    let latency = |outcome: &Outcome| format!("p50 {} ms", number(outcome.p50_ms));

    let lone_rate = format!("{}/s alone", number(lone.rate));
    report.add("Create, 1 connection", rate(&lone), latency(&lone), lone.p99_ms, " ms p99", Target::None);
    report.add(
        "Create, 64 connections",
        rate(&many),
        format!("one commit each {}/s", number(single)),
        many.rate / single,
        "",
        Target::AtLeast(TARGET_GAIN),
    );
    let least = TARGET_RATE.min(TARGET_LONE_MULTIPLE * lone.rate);
    report.add("", rate(&many), lone_rate, many.rate, "/s", Target::AtLeast(least));
    let most = Target::AtMost(TARGET_P99_MS);
    report.add("", rate(&many), latency(&many), many.p99_ms, " ms p99", most);
    report.add(
        "Create, 256 connections",
        rate(&crowd),
        format!("one commit each {}/s", number(single)),
        crowd.rate / single,
        "",
        Target::AtLeast(TARGET_CROWD_GAIN),
    );
    report.add("", rate(&crowd), latency(&crowd), crowd.p99_ms, " ms p99", most);
}

/// The rate of the same work with a commit for each request, without any network.
fn one_commit_a_request(duration: Duration) -> f64 {
    let folder = Scratch::new();
    let store = RedbStore::open(&folder.path().join("data"), false).unwrap();
    let mut resources = Resources::of(Arc::new(store), Box::new(OsEntropy));
    let clock = Clock::start();
    let start = Instant::now();
    let mut count = 0.0;
    while start.elapsed() < duration {
        let asker = Asker {
            principal: Principal("admin".into()),
            standing: Standing::Equal,
            now: clock.now().utc,
            streams: Streams::default(),
            nonces: Nonces::default(),
            is_audited: false,
        };
        let call =
            Call { endpoint: Endpoint::Kmip, asker, body: CREATE.as_bytes().to_vec().into(), tenant: None };
        let id = JobId::Request(ConnectionId { slot: 0, generation: 0 });
        let done =
            job::run(vec![Job { id, work: Work::Write(Box::new(call)) }], &mut resources).remove(0).done;
        assert!(matches!(done, Done::Answered(reply) if reply.answer.status == 200));
        count += 1.0;
    }
    count / start.elapsed().as_secs_f64()
}
