//! Requests through the pipeline, without a server.

use keyway::entropy::Entropy;
use keyway::kms::policy::{Principal, Standing};
use keyway::kms::view::View;
use keyway::pipeline::{self, Asker, Call, Endpoint, Place, Read};
use keyway::store::memory::MemoryStore;
use keyway::store::{Store, StoreError, Transaction};
use keyway::time::Timestamp;

/// Bytes that differ from call to call, and are the same in every run.
pub struct Counter(u8);

impl Entropy for Counter {
    fn fill(&mut self, bytes: &mut [u8]) {
        for byte in bytes {
            self.0 = self.0.wrapping_add(1);
            *byte = self.0;
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
    /// The time, in seconds.
    pub now: i64,
}

impl Kms {
    pub fn new() -> Kms {
        Kms { store: AgainStore(MemoryStore::new()), entropy: Counter(0), now: 1_795_460_400 }
    }

    /// The status and body of the answer to a request of `user`.
    pub fn ask(&mut self, user: &str, endpoint: Endpoint, body: &str) -> (u16, String) {
        let (status, body) = self.ask_bytes(user, endpoint, body.as_bytes());
        (status, String::from_utf8(body).unwrap())
    }

    pub fn ask_bytes(&mut self, user: &str, endpoint: Endpoint, body: &[u8]) -> (u16, Vec<u8>) {
        let (principal, now) = (Principal(user.into()), Timestamp::from_unix(self.now));
        let asker = Asker { principal, standing: Standing::Equal, now };
        let mut call = Call { endpoint, asker, body: body.to_vec().into(), tenant: None };
        if pipeline::place(&call.endpoint, &call.body, true) != Place::StoreLane {
            let mut out = Vec::new();
            let view = self.store.read().unwrap();
            let Call { endpoint, asker, body, .. } = &mut call;
            match pipeline::read(endpoint, asker, body, &*view, &mut self.entropy, &mut Vec::new(), &mut out)
                .unwrap()
            {
                Read::Answered(answer) => return (answer.status, out),
                Read::MustWrite(endpoint) => call = Call { endpoint, body: out.into(), ..call },
            }
        }
        let reply = pipeline::write(&mut [call], &self.store, &mut self.entropy).remove(0).unwrap();
        (reply.answer.status, reply.body.to_vec())
    }

    pub fn kmip(&mut self, user: &str, body: &str) -> (u16, String) {
        self.ask(user, Endpoint::Kmip, body)
    }
}
