//! Requests through the pipeline, without a server.

use keyway::entropy::Entropy;
use keyway::kms::nonces::Nonces;
use keyway::kms::policy::{Principal, Standing};
use keyway::kms::streams::Streams;
use keyway::kms::view::View;
use keyway::pipeline::{self, Asker, Call, Endpoint, Inquiry, Place, Read};
use keyway::store::memory::MemoryStore;
use keyway::store::{Store, StoreError, Transaction};
use keyway::time::Timestamp;

/// Bytes that differ from call to call, and are the same in every run.
pub struct Counter(u64);

impl Entropy for Counter {
    fn fill(&mut self, bytes: &mut [u8]) {
        for piece in bytes.chunks_mut(8) {
            self.0 += 1;
            piece.copy_from_slice(&self.0.to_le_bytes()[..piece.len()]);
        }
    }
}

/// A store that runs everything twice, as others do after a conflict.
pub struct AgainStore(MemoryStore);

impl Store for AgainStore {
    fn name(&self) -> &'static str {
        "again"
    }

    fn read(&self) -> Result<Box<dyn View>, StoreError> {
        self.0.read()
    }

    fn transact(
        &self,
        work: &mut dyn FnMut(&mut dyn Transaction) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let conflict = StoreError::Unavailable("a conflict".into());
        let _ = self.0.transact(&mut |transaction| work(transaction).and(Err(conflict.clone())));
        self.0.transact(work)
    }
}

/// The pipeline over a store in memory.
pub struct Kms {
    pub store: AgainStore,
    pub entropy: Counter,
    pub streams: Streams,
    pub nonces: Nonces,
    /// The time, in seconds.
    pub now: i64,
}

impl Kms {
    pub fn new() -> Kms {
        Kms {
            store: AgainStore(MemoryStore::new()),
            entropy: Counter(0),
            streams: Streams::default(),
            nonces: Nonces::default(),
            now: 1_795_460_400,
        }
    }

    /// The status and body of the answer to a request of `user`.
    pub fn ask(&mut self, user: &str, endpoint: Endpoint, body: &str) -> (u16, String) {
        let (status, body) = self.ask_bytes(user, endpoint, body.as_bytes());
        (status, String::from_utf8(body).unwrap())
    }

    pub fn ask_bytes(&mut self, user: &str, endpoint: Endpoint, body: &[u8]) -> (u16, Vec<u8>) {
        let asker = self.asker(user);
        ask(&self.store, &mut self.entropy, asker, endpoint, body)
    }

    pub fn asker(&self, user: &str) -> Asker {
        Asker {
            principal: Principal(user.into()),
            standing: Standing::Equal,
            now: Timestamp::from_unix(self.now),
            streams: self.streams.clone(),
            nonces: self.nonces.clone(),
            is_audited: true,
        }
    }

    pub fn kmip(&mut self, user: &str, body: &str) -> (u16, String) {
        self.ask(user, Endpoint::Kmip, body)
    }
}

/// The status and body of the answer to a request, wherever it is answered.
pub fn ask(
    store: &dyn Store,
    entropy: &mut dyn Entropy,
    asker: Asker,
    endpoint: Endpoint,
    body: &[u8],
) -> (u16, Vec<u8>) {
    let mut call = Call { endpoint, asker, body: body.to_vec().into(), tenant: None };
    if pipeline::place(&call.endpoint, &call.body, true) != Place::StoreLane {
        let (view, mut out) = (store.read().unwrap(), Vec::new());
        let Call { endpoint, asker, body, .. } = &mut call;
        let read = pipeline::read(
            Inquiry { endpoint, asker, at: Place::BulkLane },
            body,
            &*view,
            entropy,
            &mut Vec::new(),
            &mut out,
        );
        match read.unwrap() {
            Read::Answered(answer) => return (answer.status, out),
            Read::MustScan(endpoint) | Read::MustWrite(endpoint) => {
                call = Call { endpoint, body: out.into(), ..call };
            }
        }
    }
    let reply = pipeline::write(&mut [call], store, entropy).remove(0).unwrap();
    (reply.answer.status, reply.body.to_vec())
}
