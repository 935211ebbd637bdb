//! The process: a server, its lanes and its store, over the disk of one machine.
#![forbid(unsafe_code)]

use super::authority::{self, Proof};
use super::issuer;
use super::lanes::{self, Lanes};
use super::model::OWNER;
use super::options::Options;
use super::owner;
use super::recorded::{Lines, Wanted};
use super::sabotage::{self, Sabotage};
use super::vault::Vault;
use crate::audit::chain::Chain;
use crate::audit::recorder::{Medium, Recorder};
use crate::audit::verify::Verifier;
use crate::job::{Job, JobId, Work};
use crate::secret::Secret;
use crate::server::clients::ClientIdentity;
use crate::server::{Parts, Server, Tls};
use crate::store::late::LateStore;
use crate::store::{Store, StoreError};
use crate::testing::choices::Choices;
use crate::testing::disk::Disk;
use crate::testing::tls;
use crate::time::{Instant, Now};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A running process.
pub struct Machine {
    pub server: Server,
    pub lanes: Lanes,
    /// It was asked to shut down.
    pub draining: bool,
    /// It accepts connections for keys.
    pub serves: bool,
    /// It accepts connections of an authority that looks for a proof.
    pub shows_proofs: bool,
    /// What the authority would find.
    pub proof: Option<Proof>,
    /// It accepts nothing any more.
    pub stopped_listening: bool,
    /// It accepts connections of an owner, whom it waits for,
    pub waits: bool,
    /// or does not wait for any more.
    pub has_given_up: bool,
    /// When it began.
    pub started: Instant,
    /// It has exited, with this code.
    pub exit: Option<u8>,
    /// What clients were told, and is to be recorded.
    told: Vec<Wanted>,
    /// Its audit log, of its own.
    log: Memory,
}

/// A log in memory.
#[derive(Clone, Default)]
struct Memory(Arc<Mutex<Written>>);

#[derive(Default)]
struct Written {
    /// The files, of which the last one is in use.
    files: Vec<Vec<u8>>,
    /// The last one was moved away, and whether the one that takes its place is full.
    moved: Option<bool>,
    /// Lines that outlive a crash,
    synced: Lines,
    /// or do not yet.
    unsynced: Vec<Vec<u8>>,
    /// Nothing more can be written.
    is_full: bool,
}

impl Memory {
    fn written(&self) -> MutexGuard<'_, Written> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Medium for Memory {
    fn append(&mut self, lines: &[u8], sync: bool) -> Result<(), String> {
        let written = &mut *self.written();
        if written.is_full {
            return Err("there is no space left".into());
        }
        if written.files.is_empty() {
            written.files.push(Vec::new());
        }
        written.files.last_mut().expect("it was just looked at").extend_from_slice(lines);
        for line in lines.split(|byte| *byte == b'\n') {
            written.unsynced.push(line.to_vec());
        }
        if sync {
            written.unsynced.drain(..).for_each(|line| written.synced.add(&line));
        }
        Ok(())
    }

    fn reopen(&mut self) -> Result<bool, String> {
        let written = &mut *self.written();
        let moved = written.moved.take();
        if let Some(is_full) = moved {
            written.files.push(Vec::new());
            written.is_full = is_full;
        }
        Ok(moved.is_some())
    }
}

/// The key of all audit logs.
fn log_key() -> Secret {
    Secret::new(b"the key of the log".to_vec())
}

impl Machine {
    /// Starts on what is on the disk, or waits for its owner first.
    pub fn boot(
        disk: &Disk,
        options: &Options,
        sabotage: Option<Sabotage>,
        now: Now,
        choices: &mut Choices,
    ) -> Result<Machine, StoreError> {
        let waits = options.features.bootstrap;
        let mut vault = Vault::new(disk, options, sabotage, choices.fork());
        let late = Arc::new(LateStore::default());
        let store: Arc<dyn Store> = if waits { late.clone() } else { vault.open()? };
        let is_guarded = sabotage != Some(Sabotage::OwnerNotAsked);
        let asks_for_certificates =
            options.asks_for_certificates() && sabotage != Some(Sabotage::CertificateNotAsked);
        let counts = Arc::default();
        let parts = Parts {
            limits: sabotage::limits(sabotage, &options.limits),
            default_username: OWNER.into(),
            store: Arc::clone(&store),
            entropy: Box::new(choices.fork()),
            tls: match options.features.tls && !waits {
                true if options.has_bot() && sabotage != Some(Sabotage::BotAsleep) => {
                    authority::automatic(&mut choices.fork(), now)
                }
                true => Tls::Given(tls::identity()),
                false => Tls::Off,
            },
            client_authorities: asks_for_certificates.then(tls::client_authority).into_iter().collect(),
            client_revocations: None,
            client_identity: ClientIdentity::CommonName,
            token_issuers: options.tokens.then(issuer::trusted).into_iter().collect(),
            force_default_username: options.force_default_username,
            privileged_users: options.privileged_users.clone(),
            decryption_key: None,
            bootstrap: waits.then(|| owner::bootstrap(is_guarded, options.window, &late)),
            attestation: None,
            audit: sabotage::audit(sabotage, options.audit),
            counts: Arc::clone(&counts),
            resident_bytes: || None,
            now,
        };
        let log = Memory::default();
        let recorder = Recorder::new(Box::new(log.clone()), log_key(), Chain::default(), 0);
        let mut lanes = Lanes::new(&store, vault, &counts, options.jobs_max, recorder, choices);
        if options.features.verifies_later && !waits {
            let taken = lanes.submit(Job { id: JobId::Database, work: Work::Verify });
            assert!(taken.is_ok(), "nothing waits in the lane yet");
        }
        Ok(Machine {
            server: Server::new(parts).expect("the parts fit"),
            lanes,
            draining: false,
            serves: !waits,
            shows_proofs: false,
            proof: None,
            waits,
            has_given_up: false,
            stopped_listening: false,
            started: now.instant,
            exit: None,
            told: Vec::new(),
            log,
        })
    }

    /// Its store, once it is open.
    pub fn store(&self) -> Option<&Arc<dyn Store>> {
        self.lanes.vault.opened.as_ref()
    }

    /// Lets the audit log be full, or not any more.
    pub fn fill_log(&self, is_full: bool) {
        let written = &mut *self.log.written();
        written.is_full = is_full;
        // Whoever makes room makes it for the next file, too.
        written.moved = written.moved.map(|is_next_full| is_next_full && is_full);
    }

    /// Moves the file of the audit log away: where it is opened anew, there is a new file, which may be full.
    pub fn move_log(&self, is_next_full: bool) {
        self.log.written().moved = Some(is_next_full);
    }

    /// A client was told this: its line is there when the server has ended, and where that is required, already now.
    pub fn told(&mut self, wanted: Wanted, is_required: bool) {
        let is_recorded = !is_required || self.log.written().synced.find(&wanted);
        assert!(is_recorded, "a client was told what is not in the audit log: {wanted:?}");
        self.told.push(wanted);
    }

    /// Whether the audit log is full.
    pub fn is_log_full(&self) -> bool {
        self.log.written().is_full
    }

    /// The audit log, which is as it was written; up to its end, where it could be written, and then with all that was done and
    /// told.
    pub fn closed_log(&self) -> Vec<u8> {
        let key = log_key();
        let mut verifier = Verifier::new(&key);
        let Written { files, is_full, .. } = &*self.log.written();
        for file in files {
            verifier.begin_file();
            for line in file.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
                verifier.line(line).expect("the audit log is as it was written");
            }
        }
        let lines = files.concat();
        assert!(verifier.is_closed() || *is_full, "the audit log ends with its server");
        for wanted in [&self.lanes.decided, &self.told].into_iter().filter(|_| verifier.is_closed()) {
            let mut log = Lines::default();
            lines.split(|byte| *byte == b'\n').for_each(|line| log.add(line));
            let missing = wanted.iter().find(|wanted| !log.find(wanted));
            assert!(missing.is_none(), "what was done is not in the audit log: {missing:?}");
        }
        lines
    }

    /// Ends as the shell does: what was submitted is run, and nobody is told.
    pub fn finish_lanes(&mut self) {
        for lane in lanes::ALL {
            while self.lanes.has_waiting(lane) {
                self.lanes.run(lane);
            }
        }
    }
}
