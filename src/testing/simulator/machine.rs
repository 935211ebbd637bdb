//! The process: a server, its lanes and its store, over the disk of one machine.
#![forbid(unsafe_code)]

use super::lanes::{LANES, Lanes};
use super::model::OWNER;
use crate::limits::Limits;
use crate::server::clients::ClientIdentity;
use crate::server::{Parts, Server, Tls};
use crate::store::redb::RedbStore;
use crate::store::sealed::{self, MasterSecret};
use crate::store::{Store, StoreError};
use crate::testing::choices::Choices;
use crate::testing::disk::Disk;
use crate::time::Now;
use std::sync::Arc;

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
}

impl Machine {
    /// Starts on what is on the disk, which is sealed where there is a master secret.
    pub fn boot(
        disk: &Disk,
        master: Option<&MasterSecret>,
        limits: &Limits,
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
            force_default_username: false,
            bootstrap: None,
            attestation: None,
            audit: None,
            counts: Arc::default(),
            resident_bytes: || None,
            now,
        };
        Ok(Machine {
            server: Server::new(parts).expect("the parts fit"),
            lanes: Lanes::new(&store, jobs_max, choices),
            store,
            draining: false,
            stopped_listening: false,
            exit: None,
        })
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
