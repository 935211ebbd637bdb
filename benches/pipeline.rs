//! Whole requests through the server's core, from the bytes that arrive to the bytes that leave, without a network: over
//! plain HTTP, with either store. Lanes answer at once.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "a benchmark may fail")]
#![allow(missing_docs, reason = "criterion_group makes a public function")]

use criterion::{Criterion, criterion_group, criterion_main};
use keyway::job::{self, Resources};
use keyway::kms::nonces::Nonces;
use keyway::kms::policy::{Principal, Standing};
use keyway::kms::streams::Streams;
use keyway::pipeline::{self, Asker, Call, Endpoint};
use keyway::secret::Secret;
use keyway::server::Server;
use keyway::server::event::{ConnectionId, Input, Listener, Output};
use keyway::shell::os::{Clock, OsEntropy};
use keyway::store::Store;
use keyway::store::memory::MemoryStore;
use keyway::store::redb::RedbStore;
use keyway::store::sealed::{self, MasterSecret};
use keyway::testing;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

const CREATE: &str = r#"{"tag":"Create","type":"Structure","value":[{"tag":"ObjectType","type":"Enumeration","value":"SymmetricKey"},{"tag":"Attributes","type":"Structure","value":[{"tag":"CryptographicAlgorithm","type":"Enumeration","value":"AES"},{"tag":"CryptographicLength","type":"Integer","value":256},{"tag":"CryptographicUsageMask","type":"Integer","value":2108},{"tag":"KeyFormatType","type":"Enumeration","value":"TransparentSymmetricKey"},{"tag":"ObjectType","type":"Enumeration","value":"SymmetricKey"}]}]}"#;

/// Objects in the durable store besides the one that is used. The one in memory copies all that it has for every change.
const OTHER_OBJECTS: usize = 10_000;

/// A server with one connection.
struct Peer {
    server: Server,
    resources: Resources,
    clock: Clock,
    received: Vec<u8>,
    /// The request, which the server decrypts and decodes in place.
    bytes: Vec<u8>,
}

impl Peer {
    const CONNECTION: ConnectionId = ConnectionId { slot: 0, generation: 0 };

    fn new(store: Arc<dyn Store>) -> Peer {
        let clock = Clock::start();
        let mut server =
            Server::new(testing::parts(Arc::clone(&store), Box::new(OsEntropy), clock.now())).unwrap();
        let peer = "127.0.0.1:1".parse().unwrap();
        server.handle_input(
            clock.now(),
            Input::Accepted { connection: Peer::CONNECTION, peer, listener: Listener::Main },
        );
        let resources = Resources::of(store, Box::new(OsEntropy));
        Peer { server, resources, clock, received: Vec::new(), bytes: Vec::new() }
    }

    /// Sends a request and takes its answer, which must be a good one.
    fn ask(&mut self, request: &[u8]) {
        self.received.clear();
        self.bytes.clear();
        self.bytes.extend_from_slice(request);
        let input = Input::Received { connection: Peer::CONNECTION, bytes: &mut self.bytes };
        self.server.handle_input(self.clock.now(), input);
        let mut completions = Vec::new();
        loop {
            while let Some(output) = self.server.poll_output() {
                match output {
                    Output::Send { bytes, .. } => self.received.extend_from_slice(bytes),
                    Output::Submit(job) => completions.extend(job::run(vec![job], &mut self.resources)),
                    Output::Close { .. } | Output::Abort { .. } | Output::EndLanes | Output::Exit(_) => {
                        panic!("the server ended the conversation")
                    }
                    Output::Pause { .. } | Output::Resume { .. } | Output::StopListening(_) => {}
                    Output::Listen(_) => unreachable!("there is no certificates bot"),
                }
            }
            let Some(completion) = completions.pop() else { break };
            self.server.handle_input(self.clock.now(), Input::Completed(completion));
        }
        assert!(self.received.starts_with(b"HTTP/1.1 200 "), "{}", String::from_utf8_lossy(&self.received));
    }

    /// Creates a key: its identifier.
    fn create(&mut self) -> String {
        self.ask(&post(CREATE));
        let answer = String::from_utf8(self.received.clone()).unwrap();
        let (_, rest) = answer.split_once(r#""UniqueIdentifier","type":"TextString","value":""#).unwrap();
        rest.split_once('"').unwrap().0.to_owned()
    }
}

/// A hundred encryptions in one message, as 4.9.1 spells it.
fn batch(uid: &str, data: &str) -> String {
    let operation = r#"{"tag":"Operation","type":"Enumeration","value":"Encrypt"}"#;
    let payload = encrypt("RequestPayload", uid, data);
    let item = format!(r#"{{"tag":"Items","type":"Structure","value":[{operation},{payload}]}}"#);
    let items = vec![item; 100].join(",");
    format!(
        r#"{{"tag":"Message","type":"Structure","value":[{{"tag":"Header","type":"Structure","value":[{{"tag":"ProtocolVersion","type":"Structure","value":[{{"tag":"ProtocolVersionMajor","type":"Integer","value":2}},{{"tag":"ProtocolVersionMinor","type":"Integer","value":1}}]}},{{"tag":"BatchCount","type":"Integer","value":100}}]}},{{"tag":"Items","type":"Structure","value":[{items}]}}]}}"#
    )
}

/// What an Encrypt is about, in a structure of this name.
fn encrypt(tag: &str, uid: &str, data: &str) -> String {
    format!(
        r#"{{"tag":"{tag}","type":"Structure","value":[{{"tag":"UniqueIdentifier","type":"TextString","value":"{uid}"}},{{"tag":"Data","type":"ByteString","value":"{data}"}}]}}"#
    )
}

fn post(body: &str) -> Vec<u8> {
    let length = body.len();
    format!("POST /kmip/2_1 HTTP/1.1\r\nHost: localhost:9998\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}")
        .into()
}

/// The folder of the durable store, on the disk of the target folder.
fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("pipeline-{}", std::process::id()))
}

fn requests(criterion: &mut Criterion) {
    let redb = |name: &str| RedbStore::open(&folder().join(name), false).unwrap();
    let master = MasterSecret::Key(Secret::new(vec![7; 32]));
    let stores: [(&str, Arc<dyn Store>); 3] = [
        ("memory", Arc::new(MemoryStore::new())),
        ("redb", Arc::new(redb("plain"))),
        ("sealed redb", sealed::open(redb("sealed"), Some(&master), &mut OsEntropy).unwrap()),
    ];
    for (_, store) in &stores[1..] {
        fill(&**store);
    }
    for (name, store) in stores {
        let mut peer = Peer::new(store);
        let uid = peer.create();
        let data = "5A".repeat(32);
        let requests = [
            (
                "Get",
                format!(
                    r#"{{"tag":"Get","type":"Structure","value":[{{"tag":"UniqueIdentifier","type":"TextString","value":"{uid}"}}]}}"#
                ),
            ),
            ("Encrypt", encrypt("Encrypt", &uid, &data)),
            ("100 Encrypts", batch(&uid, &data)),
            // Last: it adds objects.
            ("Create", CREATE.to_owned()),
        ];
        let mut group = criterion.benchmark_group(name);
        for (operation, body) in requests {
            let request = post(&body);
            group.bench_function(operation, |bencher| bencher.iter(|| peer.ask(&request)));
        }
        group.finish();
    }
    fs::remove_dir_all(folder()).unwrap();
}

/// Adds other objects, all in one batch.
fn fill(store: &dyn Store) {
    let asker = Asker {
        principal: Principal("admin".into()),
        standing: Standing::Equal,
        now: Clock::start().now().utc,
        streams: Streams::default(),
        nonces: Nonces::default(),
        is_audited: false,
    };
    let call = || Call {
        endpoint: Endpoint::Kmip,
        asker: asker.clone(),
        body: CREATE.as_bytes().to_vec().into(),
        tenant: None,
    };
    let mut calls: Vec<Call> = (0..OTHER_OBJECTS).map(|_| call()).collect();
    pipeline::write(&mut calls, store, &mut OsEntropy).remove(0).unwrap();
}

criterion_group!(benches, requests);
criterion_main!(benches);
