//! The start: from the configuration to the parts, and from these to a running server.
#![forbid(unsafe_code)]

mod certificate;
pub mod database;
mod needs;
mod owner;

use crate::config::{Config, Platform, Sandbox};
use crate::egress::{self, Egress};
use crate::job::{Counts, Job, JobId, Resources, Work};
use crate::limits;
use crate::server::clients::Revocations;
use crate::server::{Attestation, AuditMode, EXIT_STORE_FAILED, Parts, Server, Tls};
use crate::shell::executor::Executor;
use crate::shell::os::{self, Clock, OsEntropy};
use crate::shell::reactor::Reactor;
use crate::shell::signals::Signals;
use crate::shell::{audit, log, memory, sandbox, sockets};
use crate::store::Store;
use crate::store::late::LateStore;
use crate::tee::{self, Devices, Quoter};
use std::io::Write;
use std::sync::{Arc, Mutex};

/// What could not be done while running.
pub const EXIT_FAILURE: u8 = 1;
/// An option, the certificate or the address is wrong: nothing was started.
pub const EXIT_CONFIGURATION: u8 = 2;

/// An exit code, and one line that says why.
pub struct Exit(pub u8, pub String);

/// Builds the server and runs it to its end; gives its exit code.
pub fn serve(config: Config) -> Result<u8, Exit> {
    let failed = |error: std::io::Error| Exit(EXIT_FAILURE, error.to_string());
    log::init(config.log_level);
    // Before any thread: signals are blocked and the process is hardened for all of them.
    let signals = Signals::block().map_err(failed)?;
    os::harden().map_err(failed)?;
    memory::tune_allocator();
    let clock = Clock::start();
    tell(&config);
    let files_max = config.limits.connections_max + config.limits.open_databases_max;
    if let Err(short) = os::allow_open_files(files_max) {
        ::log::warn!("{short}");
    }

    let mut needs = needs::of(&config);
    let not_configured = |reason: String| Exit(EXIT_CONFIGURATION, reason);
    let certificate_source = config.tls.map(Arc::new);
    let challenge_port = config.certbot.as_ref().map_or(0, |certbot| certbot.http_port);
    let bot_settings =
        config.certbot.map(|certbot| certificate::bot_settings(certbot, &config.platform).map(Arc::new));
    let bot_settings = bot_settings.transpose().map_err(not_configured)?;
    let tls = match (&bot_settings, &certificate_source) {
        (Some(settings), _) => certificate::automatic(settings, &clock),
        (None, Some(source)) => certificate::from_file(source, &clock).map(Tls::File),
        (None, None) => Ok(Tls::Off),
    };
    let tls = tls.map_err(not_configured)?;
    let audit_mode = config.audit.as_ref().map(|audit| match audit.is_required {
        true => AuditMode::Required,
        false => AuditMode::Soon,
    });
    let recorder = config.audit.as_ref().map(audit::open).transpose().map_err(not_configured)?;
    let recorder = recorder.map(|recorder| Arc::new(Mutex::new(recorder)));
    let quoter: Result<Arc<dyn Quoter>, String> = tee::quoter(&Devices::default()).map(Arc::from);
    if quoter.is_ok() {
        needs::add_devices(&mut needs, &Devices::default());
    }
    let attestation = quoter.as_ref().ok().map(|_| attestation(&config.platform)).transpose();
    let attestation = attestation.map_err(not_configured)?;
    let database = database::of(config.database.place, config.database.master, &config.platform);
    let database = database.map(Arc::new).map_err(not_configured)?;
    let late = Arc::new(LateStore::default());
    let mut snapshots = None;
    let store: Arc<dyn Store> = match &config.bootstrap {
        Some(_) => late.clone(),
        None => {
            let opened = database::open(&database, config.database.clear, &clock);
            let opened = opened.map_err(|error| Exit(EXIT_STORE_FAILED, error.to_string()))?;
            snapshots = opened.snapshots;
            opened.store
        }
    };
    let not_listening = |error: sockets::BindError| not_configured(error.to_string());
    let port = config.bootstrap.as_ref().map_or(config.port, |bootstrap| bootstrap.port);
    let listeners = sockets::bind(&config.hostname, port).map_err(not_listening)?;

    let scheme = if matches!(tls, Tls::Off) && config.bootstrap.is_none() { "http" } else { "https" };
    let mut lines = String::new();
    let mut addresses = Vec::new();
    for listener in &listeners {
        let address = listener.local_addr().map_err(failed)?;
        lines += &format!("listening on {scheme}://{address}\n");
        needs.ports.insert(address.port());
        addresses.push(address);
    }
    let counts = Arc::new(Counts::default());
    let resources = || Resources {
        store: Arc::clone(&store),
        entropy: Box::new(OsEntropy),
        certificate: certificate_source.clone(),
        revocations: config.revocations.clone(),
        egress: bot_settings.clone().map(Egress::new),
        quoter: quoter.as_ref().ok().cloned(),
        audit: recorder.clone(),
        counts: Arc::clone(&counts),
    };
    let (main, bootstrap_listeners) = match config.bootstrap {
        None => (listeners, Vec::new()),
        Some(_) => (Vec::new(), listeners),
    };
    let mut reactor = Reactor::new(main, signals, clock, &config.limits).map_err(failed)?;
    reactor = reactor.with_challenge_port(challenge_port);
    if let Some((host, port)) = &config.metrics {
        let listeners = sockets::bind(host, *port);
        let listeners = listeners.map_err(|error| not_configured(format!("--metrics-address: {error}")))?;
        for listener in &listeners {
            let address = listener.local_addr().map_err(failed)?;
            ::log::info!("metrics are at http://{address}/metrics");
        }
        reactor = reactor.with_metrics(listeners).map_err(failed)?;
    }
    if let Some(snapshots) = snapshots {
        reactor = reactor.with_backups(snapshots);
    }
    let bootstrap = match config.bootstrap {
        None => {
            // With the master password, which nobody needs any more.
            drop(database);
            None
        }
        Some(bootstrap) => {
            let main = sockets::addresses(&config.hostname, config.port).map_err(not_listening)?;
            reactor = reactor.with_bootstrap(bootstrap_listeners, main).map_err(failed)?;
            memory::lock_memory();
            let quoter = quoter.as_deref().map_err(String::as_str);
            let identity = owner::identity(&bootstrap, &config.hostname, &addresses, quoter, &clock);
            let identity = identity.map_err(not_configured)?;
            let parts = owner::wait(bootstrap, identity, database, late, &mut lines);
            Some(parts.map_err(not_configured)?)
        }
    };
    let client_authorities = config.authority.as_deref().map(egress::read_authorities).transpose();
    let client_authorities = client_authorities.map_err(not_configured)?.unwrap_or_default();
    let revocations = config.revocations.as_deref().map(egress::read_revocations).transpose();
    let revocations =
        revocations.map_err(|reason| not_configured(format!("--authority-crl-file: {reason}")))?;
    for issuer in &config.token_issuers {
        if let Some(path) = &issuer.source.ca_root {
            egress::read_authorities(path)
                .map_err(|reason| not_configured(format!("--jwks-ca-root: {reason}")))?;
        }
    }
    // All is open now, and the first thread is about to start.
    memory::resident_bytes();
    openssl::init();
    memory::give_back();
    match (&bootstrap, config.sandbox) {
        (Some(_), Sandbox::Enforce) => {
            sandbox::enter(config.sandbox, &needs::before_the_choice(&needs));
            reactor = reactor.with_needs_later(needs);
        }
        _ => sandbox::enter(config.sandbox, &needs),
    }
    let readers = if store.reads_at_once() { 1 } else { limits::READERS };
    let executor = Executor::start(reactor.waker(), readers, resources).map_err(failed)?;
    if bootstrap.is_none() {
        let taken = executor.submit(Job { id: JobId::Database, work: Work::Verify });
        debug_assert!(taken.is_ok(), "nothing waits in the lane yet");
    }
    let server = Server::new(Parts {
        limits: config.limits,
        default_username: config.default_username,
        store,
        entropy: Box::new(OsEntropy),
        tls,
        client_authorities,
        client_revocations: revocations.map(|(digest, lists)| Revocations { digest, lists }),
        client_identity: config.client_identity,
        token_issuers: config.token_issuers,
        force_default_username: config.force_default_username,
        privileged_users: config.privileged_users,
        decryption_key: config.decryption_key,
        bootstrap,
        attestation,
        audit: audit_mode,
        counts,
        resident_bytes: memory::resident_bytes,
        now: clock.now(),
    })
    .map_err(not_configured)?;
    print(&lines)?;
    Ok(reactor.run(server, executor))
}

/// Logs how the server was set up: the resolved options, secrets masked.
fn tell(config: &Config) {
    ::log::info!("keyway {}", env!("CARGO_PKG_VERSION"));
    for line in &config.description {
        ::log::info!("{line}");
    }
    ::log::info!("the database is in {}", config.database.place);
    ::log::info!("memory bound: {} MiB", config.limits.memory_bound_bytes() >> 20);
    for warning in &config.warnings {
        ::log::warn!("{warning}");
    }
}

/// What a platform that quotes can tell of itself.
fn attestation(platform: &Platform) -> Result<Attestation, String> {
    let enclave_public_key = platform.enclave_public_key.as_deref().map(tee::sgx::read_public_key);
    Ok(Attestation { enclave_public_key: enclave_public_key.transpose()? })
}

/// Writes to standard output.
pub fn print(text: &str) -> Result<(), Exit> {
    let written = std::io::stdout().write_all(text.as_bytes());
    written.map_err(|error| Exit(EXIT_FAILURE, format!("standard output: {error}")))
}
