//! The program: arguments to configuration to parts to exit code.
#![forbid(unsafe_code)]

use keyway::acme::bot::Bot;
use keyway::acme::{KeySource, Settings};
use keyway::bootstrap::guard::Guard;
use keyway::config::{self, Bootstrap, Certbot, Command, Config, Platform, Surroundings, Token};
use keyway::crypto::self_signed::{self, Template};
use keyway::crypto::x509::{self, Identity};
use keyway::egress::{self, Egress};
use keyway::entropy::random;
use keyway::job::{self, CertificateSource, Resources};
use keyway::limits;
use keyway::secret::Secret;
use keyway::server::{Attestation, BootstrapParts, EXIT_STORE_FAILED, LoadedCertificate, Parts, Server, Tls};
use keyway::shell::executor::Executor;
use keyway::shell::os::{self, Clock, OsEntropy};
use keyway::shell::reactor::Reactor;
use keyway::shell::signals::Signals;
use keyway::shell::{health, log, sockets};
use keyway::store::Store;
use keyway::store::late::LateStore;
use keyway::store::redb::RedbStore;
use keyway::tee::{self, Devices, Quoter};
use std::io::Write;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

/// What could not be done while running.
const EXIT_FAILURE: u8 = 1;
/// An option, the certificate or the address is wrong: nothing was started.
const EXIT_CONFIGURATION: u8 = 2;

/// An exit code, and one line that says why.
struct Exit(u8, String);

fn main() {
    // Where there is no working folder, what is relative to it will not be found.
    let working_folder = std::env::current_dir().unwrap_or_default();
    let surroundings = Surroundings { variable: &|name| std::env::var_os(name), working_folder };
    let command = config::resolve(std::env::args_os().skip(1), &surroundings);
    let result = match command {
        Ok(Command::Serve(config)) => serve(*config),
        Ok(Command::Health(target)) => health::ask(&target).map_err(|reason| Exit(EXIT_FAILURE, reason)),
        Ok(Command::Print(text)) => print(&text),
        Err(error) => Err(Exit(EXIT_CONFIGURATION, error.to_string())),
    };
    let code = result.unwrap_or_else(|Exit(code, reason)| {
        // Where the log is not set up yet, or standard error is gone, there is nobody left to tell.
        let _ = writeln!(std::io::stderr(), "keyway: {reason}");
        code
    });
    std::process::exit(code.into());
}

fn print(text: &str) -> Result<u8, Exit> {
    let written = std::io::stdout().write_all(text.as_bytes());
    written.map(|()| 0).map_err(|error| Exit(EXIT_FAILURE, format!("standard output: {error}")))
}

fn serve(config: Config) -> Result<u8, Exit> {
    let failed = |error: std::io::Error| Exit(EXIT_FAILURE, error.to_string());
    log::init(config.log_level);
    // Before any thread: signals are blocked and the process is hardened for all of them.
    let signals = Signals::block().map_err(failed)?;
    os::harden().map_err(failed)?;
    os::tune_allocator();
    let clock = Clock::start();
    tell(&config);
    if let Err(short) = os::allow_open_files(config.limits.connections_max) {
        ::log::warn!("{short}");
    }

    let certificate_source = config.tls.map(Arc::new);
    let (challenge_port, bot_settings) = match config.certbot {
        Some(certbot) => {
            let port = certbot.http_port;
            let settings = with_platform_key(certbot, &config.platform);
            (port, Some(Arc::new(settings.map_err(|reason| Exit(EXIT_CONFIGURATION, reason))?)))
        }
        None => (0, None),
    };
    let tls = match (&bot_settings, &certificate_source) {
        (Some(settings), _) => automatic_certificate(settings, &clock),
        (None, Some(source)) => load_certificate(source, &clock).map(Tls::File),
        (None, None) => Ok(Tls::Off),
    };
    let tls = tls.map_err(|reason| Exit(EXIT_CONFIGURATION, reason))?;
    let quoter: Option<Arc<dyn Quoter>> = tee::quoter(&Devices::default()).map(Arc::from);
    let attestation = quoter.as_ref().map(|_| attestation(&config.platform)).transpose();
    let attestation = attestation.map_err(|reason| Exit(EXIT_CONFIGURATION, reason))?;
    let late = Arc::new(LateStore::default());
    let store: Arc<dyn Store> = match &config.bootstrap {
        Some(_) => late.clone(),
        None => {
            let store = RedbStore::open(&config.database.folder, config.database.clear)
                .map_err(|error| Exit(EXIT_STORE_FAILED, error.to_string()))?;
            Arc::new(store)
        }
    };
    let not_listening = |error: sockets::BindError| Exit(EXIT_CONFIGURATION, error.to_string());
    let port = config.bootstrap.as_ref().map_or(config.port, |bootstrap| bootstrap.port);
    let listeners = sockets::bind(&config.hostname, port).map_err(not_listening)?;

    let scheme = if matches!(tls, Tls::Off) && config.bootstrap.is_none() { "http" } else { "https" };
    let mut lines = String::new();
    let mut addresses = Vec::new();
    for listener in &listeners {
        let address = listener.local_addr().map_err(failed)?;
        lines += &format!("listening on {scheme}://{address}\n");
        addresses.push(address);
    }
    let resources = || Resources {
        store: Arc::clone(&store),
        entropy: Box::new(OsEntropy),
        certificate: certificate_source.clone(),
        egress: bot_settings.clone().map(Egress::new),
        quoter: quoter.clone(),
    };
    let (main, bootstrap_listeners) = match config.bootstrap {
        None => (listeners, Vec::new()),
        Some(_) => (Vec::new(), listeners),
    };
    let mut reactor = Reactor::new(main, signals, clock, &config.limits).map_err(failed)?;
    reactor = reactor.with_challenge_port(challenge_port);
    let bootstrap = match config.bootstrap {
        None => None,
        Some(bootstrap) => {
            let main = sockets::addresses(&config.hostname, config.port).map_err(not_listening)?;
            reactor = reactor.with_bootstrap(bootstrap_listeners, main).map_err(failed)?;
            os::lock_memory();
            let hostname = &config.hostname;
            let parts = await_owner(
                bootstrap,
                hostname,
                &addresses,
                config.database.folder,
                late,
                &clock,
                &mut lines,
            );
            Some(parts.map_err(|reason| Exit(EXIT_CONFIGURATION, reason))?)
        }
    };
    let executor = Executor::start(reactor.waker(), resources).map_err(failed)?;
    let server = Server::new(Parts {
        limits: config.limits,
        default_username: config.default_username,
        store,
        entropy: Box::new(OsEntropy),
        tls,
        bootstrap,
        attestation,
        now: clock.now(),
    })
    .map_err(|reason| Exit(EXIT_CONFIGURATION, reason))?;
    print(&lines)?;
    // It may hold a token.
    keyway::secret::wipe(lines);
    Ok(reactor.run(server, executor))
}

/// Logs how the server was set up: the resolved options, secrets masked.
fn tell(config: &Config) {
    ::log::info!("keyway {}", env!("CARGO_PKG_VERSION"));
    for line in &config.description {
        ::log::info!("{line}");
    }
    ::log::info!("memory bound: {} MiB", config.limits.memory_bound_bytes() >> 20);
    for warning in &config.warnings {
        ::log::warn!("{warning}");
    }
}

/// What is to be ordered, with the key from the platform where one is wanted.
fn with_platform_key(certbot: Certbot, platform: &Platform) -> Result<Settings, String> {
    let Certbot { mut settings, key_salt, .. } = certbot;
    egress::files::prepare(&settings.folder)?;
    if let Some(salt) = key_salt {
        let source = tee::source(&platform.wanted, &Devices::default(), &settings.folder);
        let key = source.and_then(|source| tee::derive::tls_key(&*source, &salt));
        settings.key = KeySource::Given(key.map_err(|reason| format!("--certbot-use-tee-key: {reason}"))?);
    }
    Ok(settings)
}

/// What a platform that quotes can tell of itself.
fn attestation(platform: &Platform) -> Result<Attestation, String> {
    let enclave_public_key = platform.enclave_public_key.as_deref().map(tee::sgx::read_public_key);
    Ok(Attestation { enclave_public_key: enclave_public_key.transpose()? })
}

fn load_certificate(source: &CertificateSource, clock: &Clock) -> Result<LoadedCertificate, String> {
    let content = job::read_certificate_file(source)?;
    let identity = job::open_certificate(source, &content, clock.now().utc)?;
    ::log::info!("the certificate is {}", identity.summary());
    Ok(LoadedCertificate { identity, digest: keyway::crypto::sha256(&content) })
}

/// The certificate that was stored, or one of its own until the bot has ordered a real one.
fn automatic_certificate(settings: &Arc<Settings>, clock: &Clock) -> Result<Tls, String> {
    if let Some(path) = &settings.ca_root {
        egress::check_ca_root(path)?;
    }
    let now = clock.now();
    let history = egress::files::past_orders(&settings.folder);
    let (identity, stored): (Identity, _) = match egress::files::stored(settings) {
        Some((identity, stored)) => {
            ::log::info!("the certificate is {}", identity.summary());
            (identity, Some(stored))
        }
        None => {
            let not_after = now.utc + limits::SELF_SIGNED_LIFETIME;
            let identity = match &settings.key {
                KeySource::Fresh(_) => self_signed::identity(&settings.names, now.utc, not_after),
                KeySource::Given(key) => {
                    self_signed::identity_with_key(key, &settings.names, now.utc, not_after)
                }
            };
            (identity?, None)
        }
    };
    let bot = Bot::new(Arc::clone(settings), stored, &history, &mut OsEntropy, now);
    Ok(Tls::Bot { identity, bot: Box::new(bot) })
}

/// What waits for the owner: a fresh certificate, whose pins are added to what is printed, and perhaps a fresh token.
fn await_owner(
    bootstrap: Bootstrap,
    hostname: &str,
    listening: &[SocketAddr],
    database: PathBuf,
    store: Arc<LateStore>,
    clock: &Clock,
    lines: &mut String,
) -> Result<BootstrapParts, String> {
    let subject: Vec<(&str, &str)> =
        bootstrap.subject.0.iter().map(|part| (part.kind, part.value.as_str())).collect();
    let machine = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let mut names: Vec<String> = Vec::new();
    for name in [bootstrap.subject.common_name().unwrap_or_default(), hostname, machine.trim(), "localhost"] {
        let is_name = keyway::acme::names::parse(name).is_ok_and(|parsed| parsed.len() == 1);
        if is_name && !names.iter().any(|known| known == name) {
            names.push(name.to_owned());
        }
    }
    let mut own: Vec<IpAddr> = listening.iter().map(|address| address.ip()).collect();
    if own.iter().any(IpAddr::is_unspecified) {
        own = os::local_addresses();
    }
    let now = clock.now().utc;
    let (not_before, not_after) = (now, now + bootstrap.expires_after);
    let template = Template { subject: &subject, names: &names, addresses: &own, not_before, not_after };
    let identity = self_signed::identity_from(&template)?;
    let pin = x509::public_key_pin(&identity.chain[0]).ok_or("the certificate has no public key")?;
    *lines += &format!("certificate: sha256 {}\n", identity.fingerprint());
    *lines += &format!("public key: sha256//{pin}\n");
    let token = match bootstrap.token {
        Token::None => None,
        Token::Given(token) => Some(token),
        Token::Generated => {
            let token = keyway::crypto::base64url(&random::<24>(&mut OsEntropy));
            *lines += &format!("bootstrap token: {token}\n");
            Some(Secret::new(token.into_bytes()))
        }
    };
    ::log::info!("waiting for the owner; the certificate is {}", identity.summary());
    Ok(BootstrapParts { identity, pin, guard: Guard::new(token), window: bootstrap.window, database, store })
}
