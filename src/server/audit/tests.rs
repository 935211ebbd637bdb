//! What the core has recorded, by scripted events; its lanes answer when the test says so.
#![forbid(unsafe_code)]

use super::UNRECORDED;
use crate::audit::chain::Chain;
use crate::audit::entry::Decision;
use crate::audit::recorder::{Medium, Recorder};
use crate::job::{self, Completion, Done, Job, JobId, Lane, Resources};
use crate::kms::view::View;
use crate::limits;
use crate::pipeline::Failed;
use crate::secret::Secret;
use crate::server::event::{ConnectionId, Input, Listener, Output};
use crate::server::{AuditMode, EXIT_STORE_FAILED, Parts, Server};
use crate::store::memory::MemoryStore;
use crate::store::{Store, StoreError, Transaction};
use crate::testing;
use crate::testing::choices::Choices;
use crate::time::{Instant, Now, Timestamp};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const ID: ConnectionId = ConnectionId { slot: 0, generation: 0 };
const CREATE: &str = r#"{"tag":"Create","value":[{"tag":"ObjectType","type":"Enumeration","value":"SymmetricKey"},{"tag":"Attributes","value":[{"tag":"CryptographicAlgorithm","type":"Enumeration","value":"AES"},{"tag":"CryptographicLength","type":"Integer","value":256},{"tag":"CryptographicUsageMask","type":"Integer","value":12},{"tag":"ObjectType","type":"Enumeration","value":"SymmetricKey"}]}]}"#;

/// The log, as far as it is written.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Medium for Log {
    fn append(&mut self, lines: &[u8], _sync: bool) -> Result<(), String> {
        self.0.lock().unwrap().extend_from_slice(lines);
        Ok(())
    }

    fn reopen(&mut self) -> Result<bool, String> {
        Ok(false)
    }
}

/// A database whose commits take place and are not answered.
struct Unsure(MemoryStore);

impl Store for Unsure {
    fn name(&self) -> &'static str {
        "unsure"
    }

    fn read(&self) -> Result<Box<dyn View>, StoreError> {
        self.0.read()
    }

    fn transact(
        &self,
        work: &mut dyn FnMut(&mut dyn Transaction) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        self.0.transact(work)?;
        Err(StoreError::Unavailable("the connection is lost".into()))
    }
}

/// A server, and all of the world that it sees.
struct World {
    server: Server,
    resources: Resources,
    now: Now,
    /// What it has handed to lanes.
    jobs: Vec<Job>,
    /// What it has sent.
    sent: Vec<u8>,
    /// Its lanes are to end.
    ends: bool,
    exit: Option<u8>,
    log: Log,
}

impl World {
    fn new(store: Arc<dyn Store>, mode: AuditMode) -> World {
        let now = Now {
            instant: Instant::from_nanos(1_000_000_000),
            utc: Timestamp::from_unix(1_795_456_600),
            utc_millis: 0,
        };
        let parts = testing::parts(Arc::clone(&store), Box::new(Choices::new(0)), now);
        let log = Log::default();
        let key = Secret::new(b"the key of the log".to_vec());
        let recorder = Recorder::new(Box::new(log.clone()), key, Chain::default(), 0);
        let resources = Resources {
            audit: Some(Arc::new(Mutex::new(recorder))),
            ..Resources::of(store, Box::new(Choices::new(1)))
        };
        let server = Server::new(Parts { audit: Some(mode), ..parts }).unwrap();
        let mut world = World {
            server,
            resources,
            now,
            jobs: Vec::new(),
            sent: Vec::new(),
            ends: false,
            exit: None,
            log,
        };
        let peer = ([127, 0, 0, 1], 40_000).into();
        world.tell(Input::Accepted { connection: ID, peer, listener: Listener::Main });
        world
    }

    fn tell(&mut self, input: Input<'_>) {
        self.server.handle_input(self.now, input);
        self.carry_out();
    }

    /// Time passes until the server has something to do, or longer.
    fn wait(&mut self, seconds: u64) {
        self.now.instant = self.now.instant + Duration::from_secs(seconds);
        self.server.handle_timeout(self.now);
        self.carry_out();
    }

    fn carry_out(&mut self) {
        while let Some(output) = self.server.poll_output() {
            match output {
                Output::Submit(job) => self.jobs.push(job),
                Output::Send { bytes, .. } => self.sent.extend_from_slice(bytes),
                Output::EndLanes => self.ends = true,
                Output::Exit(code) => self.exit = Some(code),
                _ => {}
            }
        }
    }

    fn post(&mut self, body: &str) {
        let length = body.len();
        let mut request =
            format!("POST /kmip/2_1 HTTP/1.1\r\nhost: l\r\ncontent-length: {length}\r\n\r\n{body}")
                .into_bytes();
        self.tell(Input::Received { connection: ID, bytes: &mut request });
    }

    /// Runs what waits in a lane.
    fn run(&mut self, lane: Lane) {
        let (jobs, others) = std::mem::take(&mut self.jobs).into_iter().partition(|job| job.lane() == lane);
        self.jobs = others;
        for completion in job::run(jobs, &mut self.resources) {
            self.tell(Input::Completed(completion));
        }
    }

    fn text(&self) -> String {
        String::from_utf8(self.log.0.lock().unwrap().clone()).unwrap()
    }

    /// What is recorded when all that waits was written: the lines that are no checkpoints.
    fn recorded(&mut self) -> Vec<String> {
        self.run(Lane::Audit);
        self.wait(1);
        self.run(Lane::Audit);
        self.text().lines().filter(|line| !line.contains("\"event\":")).map(str::to_owned).collect()
    }
}

#[test]
fn what_is_done_for_a_connection_that_broke_meanwhile_is_recorded() {
    let mut world = World::new(Arc::new(MemoryStore::new()), AuditMode::Soon);
    world.post(CREATE);
    world.tell(Input::Reset { connection: ID });
    world.run(Lane::Store);
    let lines = world.recorded();
    assert_eq!(lines.len(), 1, "{lines:#?}");
    let told = r#""peer":"127.0.0.1:40000","user":"admin","method":"default","route":"/kmip/2_1","operation":"Create","objects":["#;
    assert!(lines[0].contains(told) && lines[0].contains(r#""status":200,"result":"Success""#), "{lines:#?}");
}

#[test]
fn what_a_commit_was_about_that_is_not_answered_is_recorded() {
    let mut world = World::new(Arc::new(Unsure(MemoryStore::new())), AuditMode::Soon);
    world.post(CREATE);
    world.run(Lane::Store);
    let payload = CREATE.strip_prefix(r#"{"tag":"Create","value":"#).unwrap();
    let item = format!(
        r#"{{"tag":"BatchItem","value":[{{"tag":"Operation","type":"Enumeration","value":"Create"}},{{"tag":"RequestPayload","value":{payload}]}}"#
    );
    let version = r#"{"tag":"ProtocolVersion","value":[{"tag":"ProtocolVersionMajor","type":"Integer","value":2},{"tag":"ProtocolVersionMinor","type":"Integer","value":1}]}"#;
    world.post(&format!(
        r#"{{"tag":"RequestMessage","value":[{{"tag":"RequestHeader","value":[{version},{{"tag":"BatchCount","type":"Integer","value":2}}]}},{item},{item}]}}"#
    ));
    world.run(Lane::Store);
    let lines = world.recorded();
    assert_eq!(lines.len(), 3, "one, and two items of a batch: {lines:#?}");
    for line in &lines {
        let came = r#""],"status":503,"result":"Failed","reason":"General_Failure","#;
        let is_told = line.contains(r#""operation":"Create","#) && line.contains(r#""objects":[""#);
        assert!(is_told && line.contains(came), "{lines:#?}");
    }
}

#[test]
fn no_answer_leaves_whose_line_had_to_last_and_is_lost() {
    let mut world = World::new(Arc::new(MemoryStore::new()), AuditMode::Required);
    let line = format!("\"time\":\"{}\"\n", "t".repeat(1000)).into_bytes();
    let audit = world.server.shared.audit.as_mut().unwrap();
    audit.waiting_lines = limits::AUDIT_WAITING_BYTES_MAX / line.len() + 1;
    audit.waiting = line.repeat(audit.waiting_lines);
    world.post(CREATE);
    world.run(Lane::Store);
    assert_eq!(world.recorded().iter().filter(|line| line.contains("Create")).count(), 0);
    let sent = String::from_utf8(std::mem::take(&mut world.sent)).unwrap();
    assert!(sent.starts_with("HTTP/1.1 503 ") && sent.ends_with(UNRECORDED.reason), "{sent}");
    let told = r#""event":"lost","lines":1"#;
    world.recorded();
    assert_eq!(world.text().matches(told).count(), 1, "and told once");
    world.post(CREATE);
    world.run(Lane::Store);
    assert!(world.sent.is_empty());
    assert_eq!(world.recorded().iter().filter(|line| line.contains("Create")).count(), 1);
    assert!(world.sent.starts_with(b"HTTP/1.1 200 "), "there is room again");
}

#[test]
fn whoever_is_too_slow_is_told_so_when_the_line_about_it_lasts() {
    let mut world = World::new(Arc::new(MemoryStore::new()), AuditMode::Required);
    let mut begun = *b"POST /kmip/2_1 HTTP/1.1\r\nhost: l\r\ncontent-length: 9\r\n\r\n{";
    world.tell(Input::Received { connection: ID, bytes: &mut begun });
    world.wait(600);
    assert!(world.sent.is_empty(), "nothing is recorded yet");
    let lines = world.recorded();
    assert!(matches!(&lines[..], [line] if line.contains(r#""status":408,"#)), "{lines:#?}");
    assert!(world.sent.starts_with(b"HTTP/1.1 408 "));
}

#[test]
fn what_the_lanes_end_when_the_time_is_up_is_recorded_before_the_end() {
    for in_time in [true, false] {
        let mut world = World::new(Arc::new(MemoryStore::new()), AuditMode::Soon);
        world.run(Lane::Audit);
        world.post(CREATE);
        world.tell(Input::Shutdown);
        world.wait(60);
        assert!(world.ends && world.exit.is_none() && !world.text().contains("shutdown"));
        if in_time {
            world.run(Lane::Store);
        }
        world.tell(Input::LanesEnded { in_time });
        assert_eq!(world.exit, Some(0));
        world.run(Lane::Audit);
        let text = world.text();
        let last: Vec<&str> = text.lines().rev().take(2).collect();
        let is_in_order =
            last[0].contains(r#""reason":"shutdown""#) && last[1].contains(r#""Create","objects""#);
        assert_eq!(is_in_order, in_time, "{text}");
        assert_eq!(text.contains("shutdown"), in_time, "{text}");
    }
}

#[test]
fn all_that_a_failed_store_was_about_is_recorded_before_the_end() {
    let mut world = World::new(Arc::new(Unsure(MemoryStore::new())), AuditMode::Soon);
    world.run(Lane::Audit);
    world.post(CREATE);
    let failed = |id| {
        let decisions = vec![Decision::on("Destroy", Some("k"))];
        let done = Done::StoreFailed(Failed { error: StoreError::Io("it is gone".into()), decisions });
        Completion { id: JobId::Request(id), done }
    };
    world.tell(Input::Completed(failed(ID)));
    assert!(world.ends && world.exit.is_none());
    world.tell(Input::LanesEnded { in_time: true });
    assert_eq!(world.exit, Some(EXIT_STORE_FAILED));
    world.run(Lane::Audit);
    let text = world.text();
    assert!(text.contains(r#""operation":"Destroy","named":"k","status":500"#), "{text}");
    assert!(text.lines().last().unwrap().contains(r#""reason":"interval""#), "{text}");
    assert!(world.sent.is_empty());
}
