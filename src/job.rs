//! Slow or blocking work as plain data: a [`Job`] goes to a lane, a [`Completion`] comes back.
#![forbid(unsafe_code)]

mod counts;
mod requests;

use crate::acme::challenge::{Challenge, Kind};
use crate::acme::failure::{Failure, Kind as FailureKind};
use crate::acme::renewal_info::Window;
use crate::audit::recorder::{Group, Recorder};
use crate::auth::Source;
use crate::auth::certificate::{self, ClientVerifier};
use crate::auth::key_set::KeySet;
use crate::crypto::{pkcs12, sha256, x509};
use crate::egress::{self, Egress, Issued};
use crate::entropy::Entropy;
use crate::limits;
use crate::pipeline::{Call, Failed, Reply};
use crate::secret::{Buffer, Secret};
use crate::store::Store;
use crate::store::database::{Database, Opened};
use crate::store::redb::Snapshots;
use crate::tee::{Quoter, REPORT_DATA_BYTES};
use crate::time::Timestamp;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

pub use counts::{Counts, GROUP_BUCKETS};
pub use requests::OPENS_NOTHING;

/// Names one connection for its whole life: the shell allots the slot and counts its generations, so that what arrives
/// late for a closed connection finds nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnectionId {
    /// Index into the tables of the shell and of the server.
    pub slot: u32,
    /// How often the slot has been used before.
    pub generation: u32,
}

/// What waits for a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum JobId {
    /// The request that this connection has in flight.
    Request(ConnectionId),
    /// The server itself, for its certificate.
    Certificate,
    /// The server itself, for what the authorities of its clients have revoked.
    Revocations,
    /// The server itself, for the databases of tenants.
    Tenants,
    /// The server itself, for its database.
    Database,
    /// The server itself, for the keys of this issuer of tokens (an index).
    KeySet(u8),
    /// The server itself, and the requests whose answers wait for their lines.
    Audit,
}

/// A bounded queue with a worker thread of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Lane {
    /// Writes: whatever waits is run as one batch, in one durable transaction (one for each database of a tenant).
    Store,
    /// Scans and large bodies, and whatever has to open a database first: one at a time.
    Bulk,
    /// The certificate's file: deriving keys from its password may take seconds, and no request waits for it.
    Certificate,
    /// Questions to other servers: an order of a certificate takes minutes.
    Egress,
    /// The keys of issuers of tokens: requests wait for them, and an order of a certificate is no reason for that.
    KeySets,
    /// Quotes by the hardware: some platforms take seconds for one.
    Platform,
    /// The audit log: the core hands over what has come together, one group at a time.
    Audit,
}

impl Lane {
    /// All of them.
    pub const ALL: [Lane; 7] = [
        Lane::Store,
        Lane::Bulk,
        Lane::Certificate,
        Lane::Egress,
        Lane::KeySets,
        Lane::Platform,
        Lane::Audit,
    ];

    /// What it is called.
    pub fn name(self) -> &'static str {
        match self {
            Lane::Store => "store",
            Lane::Bulk => "bulk",
            Lane::Certificate => "certificate",
            Lane::Egress => "egress",
            Lane::KeySets => "key-sets",
            Lane::Platform => "platform",
            Lane::Audit => "audit",
        }
    }
}

/// Work for a lane.
pub struct Job {
    /// Who waits for it.
    pub id: JobId,
    /// The work itself.
    pub work: Work,
}

impl Job {
    /// Where it is to be run.
    pub fn lane(&self) -> Lane {
        match self.work {
            Work::Write(_) | Work::Verify => Lane::Store,
            Work::Read(_) | Work::Probe | Work::NewDatabase | Work::CloseUnused => Lane::Bulk,
            Work::LoadCertificate { .. } | Work::LoadRevocations { .. } | Work::Provide { .. } => {
                Lane::Certificate
            }
            Work::BeginOrder { .. } | Work::FinishOrder { .. } | Work::AskRenewalInfo { .. } => Lane::Egress,
            Work::FetchKeySet(_) => Lane::KeySets,
            Work::Quote { .. } => Lane::Platform,
            Work::Audit(_) => Lane::Audit,
        }
    }
}

/// The kinds of work.
pub enum Work {
    /// A request that changes something.
    Write(Box<Call>),
    /// A request that only reads.
    Read(Box<Call>),
    /// Making a database for a new tenant.
    NewDatabase,
    /// Making sure that the database is whole, where opening it has not.
    Verify,
    /// Asking the database whether it answers.
    Probe,
    /// Closing the databases of tenants that nobody has asked for in a while.
    CloseUnused,
    /// Reading the certificate's file again.
    LoadCertificate {
        /// The digest of the file's content when it was last read, whatever it was: the same is not opened again.
        known: Option<[u8; 32]>,
        /// For the dates in the certificate.
        now: Timestamp,
    },
    /// Reading the revocation lists again, and making what judges clients by them: both go over all their bytes.
    LoadRevocations {
        /// The digest of the file's content when it was last read, whatever it was.
        known: Option<[u8; 32]>,
        /// Whose clients are judged, in DER.
        authorities: Arc<[Vec<u8>]>,
    },
    /// Opening what the owner has handed over.
    Provide {
        /// Where the keys are to be.
        database: Arc<Database>,
        /// Whether all is removed from it first.
        clear: bool,
        /// A PKCS#12 file and its password.
        pkcs12: Option<(Secret, Secret)>,
        /// For the dates in the certificate.
        now: Timestamp,
    },
    /// Beginning an order of a certificate.
    BeginOrder {
        /// How control of the names is to be proved.
        kind: Kind,
        /// For the dates of proofs, and for the record.
        now: Timestamp,
    },
    /// Finishing the order that was begun.
    FinishOrder {
        /// For the record.
        now: Timestamp,
    },
    /// Asking when to renew a certificate.
    AskRenewalInfo {
        /// The certificate, in DER.
        certificate: Vec<u8>,
    },
    /// Fetching the keys of an issuer of tokens.
    FetchKeySet(Arc<Source>),
    /// Having the platform vouch for the server.
    Quote {
        /// What the quote is to hold.
        report_data: [u8; REPORT_DATA_BYTES],
    },
    /// Writing lines of the audit log.
    Audit(Group),
}

/// The answer to a [`Job`].
pub struct Completion {
    /// Who waited.
    pub id: JobId,
    /// The answer.
    pub done: Done,
}

/// The kinds of answers.
pub enum Done {
    /// To a request.
    Answered(Reply),
    /// To a request that was taken for one that only reads: this is to be written.
    MustWrite(Call),
    /// The database is whole.
    Verified,
    /// The database was asked.
    Probed,
    /// Unused databases of tenants were closed.
    UnusedClosed {
        /// How many are still open.
        left: usize,
    },
    /// The store failed, and the request has changed nothing, as far as the store knows.
    StoreFailed(Failed),
    /// The certificate's file has not changed.
    CertificateUnchanged,
    /// The certificate's file was read.
    Certificate {
        /// The digest of its content, where it could be read and the same content is not to be looked at again.
        digest: Option<[u8; 32]>,
        /// What it held, or one line that says what is wrong.
        identity: Result<x509::Identity, String>,
    },
    /// The revocation lists have not changed.
    RevocationsUnchanged,
    /// The revocation lists were read.
    Revocations {
        /// The digest of the file's content, where it could be read.
        digest: Option<[u8; 32]>,
        /// What was made of the lists, or one line that says what is wrong.
        verifier: Result<NewVerifier, String>,
    },
    /// What the owner has handed over is open, or one sentence says why not.
    Provided(Result<Box<Provided>, String>),
    /// An order has begun: its challenges.
    OrderBegun(Result<Vec<Challenge>, Failure>),
    /// An order has ended.
    OrderFinished(Result<Box<Issued>, Failure>),
    /// When the authority would like a certificate to be renewed, where it says so.
    RenewalInfo(Result<Option<Window>, String>),
    /// The keys of an issuer of tokens, or one line that says why they could not be fetched.
    KeySet(Result<KeySet, String>),
    /// Lines of the audit log were written, or one line says why not; they are given back.
    Audited(Group, Result<(), String>),
    /// The lane's queue was full (made by the shell, which did not take the job).
    Busy,
}

/// What judges the certificates of clients by new revocation lists.
pub struct NewVerifier {
    /// It.
    pub verifier: ClientVerifier,
    /// How many lists there are.
    pub lists: usize,
}

/// What a key server is made of.
pub struct Provided {
    /// The keys.
    pub store: Arc<dyn Store>,
    /// What backups are made from, for the shell.
    pub snapshots: Option<Snapshots>,
    /// The folder of the keys, where it is on this machine: for the shell, which bounds the process to it.
    pub folder: Option<PathBuf>,
    /// Key, certificate and chain, where there was a PKCS#12 file.
    pub identity: Option<x509::Identity>,
}

/// Where the server's certificate comes from.
pub struct CertificateSource {
    /// A PKCS#12 file.
    pub file: PathBuf,
    /// Its password; empty for none.
    pub password: Secret,
}

/// What the worker of a lane owns.
pub struct Resources {
    /// The keys.
    pub store: Arc<dyn Store>,
    /// Nonces and identifiers for what is finished in a lane.
    pub entropy: Box<dyn Entropy>,
    /// The server's certificate, where it has one.
    pub certificate: Option<Arc<CertificateSource>>,
    /// The file with what the authorities of clients have revoked, where there is one.
    pub revocations: Option<PathBuf>,
    /// The certificates bot's way to its authority, where there is a bot.
    pub egress: Option<Egress>,
    /// What vouches for this server, where the platform does.
    pub quoter: Option<Arc<dyn Quoter>>,
    /// What writes the audit log, where there is one: for the one lane that does.
    pub audit: Option<Arc<Mutex<Recorder>>>,
    /// What is counted.
    pub counts: Arc<Counts>,
}

impl Resources {
    /// Those of a server that has nothing else.
    pub fn of(store: Arc<dyn Store>, entropy: Box<dyn Entropy>) -> Resources {
        Resources {
            store,
            entropy,
            certificate: None,
            revocations: None,
            egress: None,
            quoter: None,
            audit: None,
            counts: Arc::default(),
        }
    }
}

/// Runs a batch of jobs of one lane and answers each, those for one database in order. The store lane hands over all that
/// waits (at most [`crate::limits::GROUP_COMMIT_MAX`]); the others hand over one job at a time.
pub fn run(jobs: Vec<Job>, resources: &mut Resources) -> Vec<Completion> {
    let mut completions = Vec::with_capacity(jobs.len());
    let mut writes = Vec::new();
    for Job { id, work } in jobs {
        match work {
            Work::Write(call) => writes.push((id, *call)),
            Work::Read(call) => completions.push(Completion { id, done: requests::read(*call, resources) }),
            Work::Verify => {
                let failed = |error| Done::StoreFailed(Failed { error, decisions: Vec::new() });
                let done = resources.store.verify().map_or_else(failed, |()| Done::Verified);
                completions.push(Completion { id, done });
            }
            Work::Probe => {
                // What came of it is what the store tells of its trouble.
                let _ = resources.store.read().and_then(|view| view.granted("", ""));
                completions.push(Completion { id, done: Done::Probed });
            }
            Work::CloseUnused => {
                let left = resources.store.tenants().map_or(0, |tenants| tenants.close_unused());
                completions.push(Completion { id, done: Done::UnusedClosed { left } });
            }
            Work::NewDatabase => completions.push(Completion { id, done: requests::new_database(resources) }),
            Work::LoadCertificate { known, now } => {
                completions.push(Completion { id, done: load_certificate(known, now, resources) });
            }
            Work::LoadRevocations { known, authorities } => {
                completions.push(Completion { id, done: load_revocations(known, &authorities, resources) });
            }
            Work::Provide { database, clear, pkcs12, now } => {
                let provided = provide(&database, clear, pkcs12, now, resources).map(Box::new);
                completions.push(Completion { id, done: Done::Provided(provided) });
            }
            Work::BeginOrder { kind, now } => {
                let begun = egress(resources).and_then(|egress| egress.begin(kind, now));
                completions.push(Completion { id, done: Done::OrderBegun(begun) });
            }
            Work::FinishOrder { now } => {
                let finished = egress(resources).and_then(|egress| egress.finish(now)).map(Box::new);
                completions.push(Completion { id, done: Done::OrderFinished(finished) });
            }
            Work::AskRenewalInfo { certificate } => {
                let egress = egress(resources).map_err(|failure| failure.text);
                let info = egress.and_then(|egress| egress.renewal_info(&certificate));
                completions.push(Completion { id, done: Done::RenewalInfo(info) });
            }
            Work::FetchKeySet(source) => {
                completions.push(Completion { id, done: Done::KeySet(egress::key_sets::fetch(&source)) });
            }
            Work::Quote { report_data } => {
                completions.push(Completion { id, done: quote(&report_data, resources) });
            }
            Work::Audit(group) => {
                let result = record(&group, resources);
                completions.push(Completion { id, done: Done::Audited(group, result) });
            }
        }
    }
    completions.extend(requests::write(writes, resources));
    completions
}

fn record(group: &Group, resources: &Resources) -> Result<(), String> {
    let recorder = resources.audit.as_ref().ok_or("this server has no audit log")?;
    recorder.lock().unwrap_or_else(PoisonError::into_inner).record(group)
}

fn quote(report_data: &[u8; REPORT_DATA_BYTES], resources: &Resources) -> Done {
    let missing = || "this platform does not quote".to_owned();
    let quote = resources.quoter.as_ref().ok_or_else(missing).and_then(|quoter| quoter.quote(report_data));
    Done::Answered(match quote {
        Ok(quote) => Reply::json(&openssl::base64::encode_block(&quote)),
        Err(reason) => {
            log::error!("the platform gives no quote: {reason}");
            Reply::text(500, "Unexpected server error: the platform gives no quote")
        }
    })
}

fn egress(resources: &mut Resources) -> Result<&mut Egress, Failure> {
    let missing = || Failure::new(FailureKind::Local, "this server has no certificates bot");
    resources.egress.as_mut().ok_or_else(missing)
}

/// The certificate first: a wrong password shall not clear a database.
fn provide(
    database: &Database,
    clear: bool,
    pkcs12: Option<(Secret, Secret)>,
    now: Timestamp,
    resources: &mut Resources,
) -> Result<Provided, String> {
    let identity = match pkcs12 {
        None => None,
        Some((file, password)) => {
            let bundle =
                pkcs12::open(file.expose(), &password).map_err(|error| format!("PKCS#12: {error}"))?;
            Some(x509::identity(bundle, now).map_err(|error| format!("PKCS#12: {error}"))?)
        }
    };
    let Opened { store, snapshots } =
        database.open(clear, &mut *resources.entropy).map_err(|error| format!("database: {error}"))?;
    let folder = database.place.folder().map(Path::to_owned);
    Ok(Provided { store, snapshots, folder, identity })
}

fn load_certificate(known: Option<[u8; 32]>, now: Timestamp, resources: &Resources) -> Done {
    let Some(source) = &resources.certificate else { return Done::CertificateUnchanged };
    match read_certificate_file(source) {
        Err(reason) => Done::Certificate { digest: None, identity: Err(reason) },
        Ok(content) => {
            let digest = sha256(&content);
            if known == Some(digest) {
                return Done::CertificateUnchanged;
            }
            match open_certificate(source, &content, now) {
                Ok(identity) => Done::Certificate { digest: Some(digest), identity: Ok(identity) },
                // It will be valid as it is: it is looked at again.
                Err(Unusable { reason, is_early: true }) => Done::Certificate {
                    digest: None,
                    identity: Err(format!("{reason} It is taken in use on that date")),
                },
                Err(Unusable { reason, .. }) => {
                    Done::Certificate { digest: Some(digest), identity: Err(reason) }
                }
            }
        }
    }
}

fn load_revocations(known: Option<[u8; 32]>, authorities: &[Vec<u8>], resources: &Resources) -> Done {
    let Some(path) = &resources.revocations else { return Done::RevocationsUnchanged };
    match egress::read_revocations(path) {
        Err(reason) => Done::Revocations { digest: None, verifier: Err(reason) },
        Ok((digest, _)) if known == Some(digest) => Done::RevocationsUnchanged,
        Ok((digest, lists)) => {
            let verifier = certificate::client_verifier(authorities, &lists);
            let verifier = verifier.map(|verifier| NewVerifier { verifier, lists: lists.len() });
            Done::Revocations { digest: Some(digest), verifier }
        }
    }
}

/// The content of the certificate's file, or one line that says why there is none.
pub fn read_certificate_file(source: &CertificateSource) -> Result<Buffer, String> {
    let mut content = Buffer::new(Vec::new());
    let limit = limits::PKCS12_BYTES_MAX as u64 + 1;
    std::fs::File::open(&source.file).and_then(|file| file.take(limit).read_to_end(&mut content)).map_err(
        |error| {
            let cure = match error.kind() {
                ErrorKind::PermissionDenied => {
                    ": let the user that this server runs as read it (of the image: 65532)"
                }
                _ => "",
            };
            format!("{}: cannot be read: {error}{cure}", source.file.display())
        },
    )?;
    Ok(content)
}

/// Why there is no certificate in the content of a file.
pub struct Unusable {
    /// One line that says what is wrong with it.
    pub reason: String,
    /// Whether nothing is, but that it is not valid yet.
    pub is_early: bool,
}

/// Key, certificate and chain from the content of the file.
pub fn open_certificate(
    source: &CertificateSource,
    content: &[u8],
    now: Timestamp,
) -> Result<x509::Identity, Unusable> {
    let in_file = |reason: String| format!("{}: {reason}", source.file.display());
    let bundle = pkcs12::open(content, &source.password)
        .map_err(|error| Unusable { reason: in_file(error.to_string()), is_early: false })?;
    x509::identity(bundle, now).map_err(|error| Unusable {
        is_early: matches!(error, x509::Error::NotYetValid(_)),
        reason: in_file(error.to_string()),
    })
}
