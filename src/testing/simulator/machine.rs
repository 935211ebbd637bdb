//! The process: a server, its lanes and its store, over the disk of one machine.
#![forbid(unsafe_code)]

use super::lanes::{LANES, Lanes};
use super::model::OWNER;
use crate::audit::chain::Chain;
use crate::audit::recorder::{Medium, Recorder};
use crate::audit::verify::Verifier;
use crate::limits::Limits;
use crate::secret::Secret;
use crate::server::clients::ClientIdentity;
use crate::server::{AuditMode, Parts, Server, Tls};
use crate::store::redb::RedbStore;
use crate::store::sealed::{self, MasterSecret};
use crate::store::{Store, StoreError};
use crate::testing::choices::Choices;
use crate::testing::disk::Disk;
use crate::time::Now;
use std::sync::{Arc, Mutex, PoisonError};

/// A running process.
pub struct Machine {
    pub server: Server,
    pub lanes: Lanes,
    pub store: Arc<dyn Store>,
    /// It was asked to shut down.
    pub draining: bool,
    /// It accepts nothing any more.
    pub stopped_listening: bool,
    /// It has exited, with this code.
    pub exit: Option<u8>,
    /// Its audit log, of its own.
    log: Arc<Mutex<Vec<u8>>>,
}

/// A log in memory, which never fails.
struct Memory(Arc<Mutex<Vec<u8>>>);

impl Medium for Memory {
    fn append(&mut self, lines: &[u8], _sync: bool) -> Result<(), String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(lines);
        Ok(())
    }

    fn reopen(&mut self) -> Result<bool, String> {
        Ok(false)
    }
}

/// The key of all audit logs.
fn log_key() -> Secret {
    Secret::new(b"the key of the log".to_vec())
}

impl Machine {
    /// Starts on what is on the disk, which is sealed where there is a master secret.
    pub fn boot(
        disk: &Disk,
        master: Option<&MasterSecret>,
        limits: &Limits,
        audit: AuditMode,
        jobs_max: usize,
        now: Now,
        choices: &mut Choices,
    ) -> Result<Machine, StoreError> {
        let store = sealed::open(RedbStore::with_backend(disk.mount())?, master, &mut choices.fork())?;
        let parts = Parts {
            limits: limits.clone(),
            default_username: OWNER.into(),
            store: Arc::clone(&store),
            entropy: Box::new(choices.fork()),
            tls: Tls::Off,
            client_authorities: Vec::new(),
            client_revocations: None,
            client_identity: ClientIdentity::CommonName,
            token_issuers: Vec::new(),
            force_default_username: false,
            privileged_users: Vec::new(),
            decryption_key: None,
            bootstrap: None,
            attestation: None,
            audit: Some(audit),
            counts: Arc::default(),
            resident_bytes: || None,
            now,
        };
        let log = Arc::default();
        let recorder = Recorder::new(Box::new(Memory(Arc::clone(&log))), log_key(), Chain::default(), 0);
        Ok(Machine {
            server: Server::new(parts).expect("the parts fit"),
            lanes: Lanes::new(&store, jobs_max, recorder, choices),
            store,
            draining: false,
            stopped_listening: false,
            exit: None,
            log,
        })
    }

    /// The audit log, which is as it was written, up to its end.
    pub fn closed_log(&self) -> Vec<u8> {
        let log = self.log.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let key = log_key();
        let mut verifier = Verifier::new(&key);
        for line in log.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            verifier.line(line).expect("the audit log is as it was written");
        }
        assert!(verifier.is_closed(), "the audit log ends with its server");
        log
    }

    /// Ends as the shell does: what was submitted is run, and nobody is told.
    pub fn finish_lanes(&mut self) {
        for lane in LANES {
            while self.lanes.has_waiting(lane) {
                self.lanes.run(lane);
            }
        }
    }
}
