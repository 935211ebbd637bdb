//! From arguments and environment to one resolved configuration, or one line that says what is wrong with them.
#![forbid(unsafe_code)]

mod audit;
mod bootstrap;
mod certbot;
mod database;
mod dot_env;
mod help;
pub mod options;
mod platform;
mod rekey;
mod secrets;
mod sources;
mod tokens;
mod upkeep;

use crate::auth::Trusted;
use crate::crypto::jwe::DecryptionKey;
use crate::job::CertificateSource;
use crate::kms::policy::{EVERYBODY, Principal};
use crate::limits::{Limits, NAME_BYTES_MAX, PRIVILEGED_USERS_MAX, TENANTS_IN_USE_MAX};
use crate::secret::{Buffer, Secret};
use crate::server::clients::ClientIdentity;
use crate::wire::hex;
use options::Spec;
use sources::{Asked, Values, Verb};
use std::ffi::OsString;
use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

pub use audit::{Audit, AuditPlace, AuditVerify};
pub use bootstrap::{Bootstrap, Token};
pub use certbot::Certbot;
pub use database::{Database, Master};
pub use platform::Platform;
pub use rekey::Rekey;
pub use secrets::read_secret;
pub use sources::Surroundings;
pub use upkeep::{Task, Upkeep};

/// What the program is to do.
pub enum Command {
    /// Run the server.
    Serve(Box<Config>),
    /// Ask the server on this machine how it is.
    Health(HealthTarget),
    /// Look after the embedded database.
    Upkeep(Upkeep),
    /// Seal a database with another password.
    Rekey(Box<Rekey>),
    /// Look whether the audit log is as it was written.
    AuditVerify(AuditVerify),
    /// Print this and end.
    Print(String),
}

/// A server to ask how it is.
#[derive(Debug, PartialEq, Eq)]
pub struct HealthTarget {
    /// An address or a name.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Whether it speaks HTTPS.
    pub tls: bool,
    /// Whether it is enough that it runs: otherwise it must serve.
    pub live: bool,
}

/// All that the server is told at its start.
pub struct Config {
    /// Address or name to listen on.
    pub hostname: String,
    /// Port to listen on; 0 for a free one.
    pub port: u16,
    /// Where the certificate is, if the server is to speak HTTPS with one from a file.
    pub tls: Option<CertificateSource>,
    /// How certificates are ordered, if the server is to do that.
    pub certbot: Option<Certbot>,
    /// How the owner is waited for, if that comes first.
    pub bootstrap: Option<Bootstrap>,
    /// Where keys and quotes come from that the machine itself gives.
    pub platform: Platform,
    /// Where the keys are.
    pub database: Database,
    /// Authorities that vouch for clients, in PEM, where clients need certificates.
    pub authority: Option<PathBuf>,
    /// What those authorities have revoked, if lists of theirs are to be asked.
    pub revocations: Option<PathBuf>,
    /// What of a client's certificate is the user.
    pub client_identity: ClientIdentity,
    /// Whose tokens are taken, where requests need one.
    pub token_issuers: Vec<Trusted>,
    /// Who everybody is that has no other identity.
    pub default_username: String,
    /// Who may make objects; if nobody is named, everybody may.
    pub privileged_users: Vec<Principal>,
    /// The key of encrypted requests, if those are taken.
    pub decryption_key: Option<DecryptionKey>,
    /// Whether everybody is the default user.
    pub force_default_username: bool,
    /// Where every decision is recorded, if it is to be.
    pub audit: Option<Audit>,
    /// Host and port where the server tells what it counts, if it is to.
    pub metrics: Option<(String, u16)>,
    /// Caps and deadlines.
    pub limits: Limits,
    /// How the process is bounded once it serves.
    pub sandbox: Sandbox,
    /// What is logged.
    pub log_level: log::LevelFilter,
    /// What the operator should know.
    pub warnings: Vec<String>,
    /// Every option and its value, secrets masked, a line each.
    pub description: Vec<String>,
}

/// What becomes of what the server has no need to do (`shell::sandbox`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sandbox {
    /// It is done.
    Off,
    /// It is done, and the kernel logs it.
    Log,
    /// It is refused, or ends the process.
    Enforce,
}

/// One line for the operator: the option, what is wrong with it, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError(String);

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ConfigError {}

type Warnings = Vec<String>;

/// Resolves `arguments` (without the program's name) in these surroundings.
pub fn resolve(
    arguments: impl Iterator<Item = OsString>,
    surroundings: &Surroundings<'_>,
) -> Result<Command, ConfigError> {
    let mut values = Values::default();
    let verb = match values.read_arguments(arguments)? {
        Asked::Help(verb) => return Ok(Command::Print(help::of(verb))),
        Asked::Version => return Ok(Command::Print(format!("keyway {}\n", env!("CARGO_PKG_VERSION")))),
        Asked::Run(verb) => verb,
    };
    values.read_variables(surroundings)?;
    match verb {
        Verb::Serve => serve(values, surroundings).map(|config| Command::Serve(Box::new(config))),
        Verb::Health => health_target(&values).map(Command::Health),
        Verb::Backup | Verb::Restore | Verb::Check => {
            upkeep::find(verb, &values, surroundings).map(Command::Upkeep)
        }
        Verb::Audit => audit::find_verify(&values, surroundings).map(Command::AuditVerify),
        Verb::Rekey => rekey::find(values, surroundings).map(|rekey| Command::Rekey(Box::new(rekey))),
    }
}

fn health_target(values: &Values) -> Result<HealthTarget, ConfigError> {
    let hostname = values.text(&options::HOSTNAME);
    let bare = hostname.trim_start_matches('[').trim_end_matches(']');
    let host = match bare.parse::<IpAddr>() {
        Ok(IpAddr::V4(address)) if address.is_unspecified() => "127.0.0.1",
        Ok(IpAddr::V6(address)) if address.is_unspecified() => "::1",
        _ => bare,
    };
    Ok(HealthTarget {
        host: host.to_owned(),
        port: number(values, &options::PORT, 1, u16::MAX)?,
        tls: values.tls
            || values.is_set(&options::HTTPS_P12_FILE)
            || values.is_set(&options::USE_CERTBOT)
            || values.is_set(&options::USE_BOOTSTRAP_SERVER),
        live: values.live,
    })
}

fn serve(mut values: Values, surroundings: &Surroundings<'_>) -> Result<Config, ConfigError> {
    let mut warnings = std::mem::take(&mut values.warnings);
    let description = describe(&values);
    let bootstrap = bootstrap::find(&values, surroundings, &mut warnings)?;
    let certbot = certbot::find(&values, surroundings, &mut warnings)?;
    let platform = platform::find(&values, surroundings, &mut warnings)?;
    let (option, file) = (&options::HTTPS_P12_PASSWORD, &options::HTTPS_P12_PASSWORD_FILE);
    let password = secrets::find(option, file, &mut values, surroundings)?;
    if let Some(password) = &password {
        password.warn_if_exposed(option, file, &mut warnings);
    }
    let tls = match values.get(&options::HTTPS_P12_FILE) {
        Some(_) if certbot.is_some() => {
            warnings
                .push("--https-p12-file has no effect with --use-certbot: certificates are ordered".into());
            None
        }
        Some(file) => Some(CertificateSource {
            file: surroundings.working_folder.join(&file.text),
            password: password.map_or(Secret::new(Vec::new()), |password| password.secret),
        }),
        None => {
            if let Some(password) = password {
                let source = password.source;
                warnings.push(format!(
                    "a password ({source}) without --https-p12-file: the server speaks plain HTTP"
                ));
            }
            None
        }
    };
    let authority =
        values.get(&options::AUTHORITY_CERT_FILE).map(|given| surroundings.working_folder.join(&given.text));
    if authority.is_some() && tls.is_none() && certbot.is_none() && bootstrap.is_none() {
        let reason = "clients show certificates over HTTPS only: add --https-p12-file or --use-certbot";
        return Err(invalid(&values, &options::AUTHORITY_CERT_FILE, reason));
    }
    let revocations =
        values.get(&options::AUTHORITY_CRL_FILE).map(|given| surroundings.working_folder.join(&given.text));
    if revocations.is_some() && authority.is_none() {
        let reason = "lists what the authorities of --authority-cert-file have revoked: add that option";
        return Err(invalid(&values, &options::AUTHORITY_CRL_FILE, reason));
    }
    let is_plain = tls.is_none() && certbot.is_none() && bootstrap.is_none();
    let token_issuers = tokens::find(&values, surroundings, is_plain, &mut warnings)?;
    let decryption_key = decryption_key(&mut values, surroundings, &mut warnings)?;
    let limits = limits(&values)?;
    let database = database::find(&mut values, surroundings, &mut warnings, &limits)?;
    Ok(Config {
        hostname: values.text(&options::HOSTNAME).to_owned(),
        port: number(&values, &options::PORT, 0, u16::MAX)?,
        tls,
        certbot,
        bootstrap,
        platform,
        database,
        authority,
        revocations,
        client_identity: client_identity(&values)?,
        token_issuers,
        default_username: username(&values)?,
        privileged_users: privileged_users(&values)?,
        decryption_key,
        force_default_username: values.is_set(&options::FORCE_DEFAULT_USERNAME),
        audit: audit::find(&values, surroundings)?,
        metrics: metrics_address(&values)?,
        limits,
        sandbox: sandbox(&values)?,
        log_level: log_level(&values)?,
        warnings,
        description,
    })
}

/// One line an option: its value, unless it is a secret, and where that came from.
fn describe(values: &Values) -> Vec<String> {
    let line = |spec: &&Spec| {
        let given = values.get(spec);
        let value = match (given, spec.value) {
            (Some(_), _) if spec.is_secret => "***",
            (Some(given), Some(_)) => &given.text,
            (Some(_), None) => "true",
            (None, None) => "false",
            (None, Some(_)) if spec.default.is_empty() => "(none)",
            (None, Some(_)) => spec.default,
        };
        let source = given.map_or("default".to_owned(), |given| given.source.to_string());
        format!("--{} {value} ({source})", spec.name)
    };
    options::ALL.iter().map(line).collect()
}

/// A folder for data is relative to the root data path, and that to the home folder, as ever.
fn data_folder(
    values: &Values,
    spec: &Spec,
    surroundings: &Surroundings<'_>,
) -> Result<PathBuf, ConfigError> {
    let folder = PathBuf::from(values.text(spec));
    if folder.is_absolute() {
        return Ok(folder);
    }
    let root = PathBuf::from(values.text(&options::ROOT_DATA_PATH));
    if root.is_absolute() {
        return Ok(plain(root.join(folder)));
    }
    match (surroundings.variable)("HOME").filter(|home| !home.is_empty()) {
        Some(home) => Ok(plain(PathBuf::from(home).join(root).join(folder))),
        None => {
            let reason = format!(
                "{} begins in the home folder, but HOME is not set; give an absolute path",
                root.display()
            );
            Err(invalid(values, &options::ROOT_DATA_PATH, &reason))
        }
    }
}

/// The path without the `.` between its parts.
fn plain(path: PathBuf) -> PathBuf {
    path.components().collect()
}

/// A port of this machine alone, or a host and a port.
fn metrics_address(values: &Values) -> Result<Option<(String, u16)>, ConfigError> {
    let spec = &options::METRICS_ADDRESS;
    let Some(given) = values.get(spec) else { return Ok(None) };
    let (host, port) = given.text.rsplit_once(':').unwrap_or(("127.0.0.1", &given.text));
    match port.parse() {
        Ok(port) if !host.is_empty() => Ok(Some((host.to_owned(), port))),
        _ => Err(invalid(values, spec, "must be a port, of this machine alone, or HOST:PORT")),
    }
}

fn client_identity(values: &Values) -> Result<ClientIdentity, ConfigError> {
    let spec = &options::CLIENT_CERT_IDENTITY;
    let named = ClientIdentity::ALL.iter().find(|(name, _)| *name == values.text(spec));
    named
        .map(|(_, identity)| *identity)
        .ok_or_else(|| invalid(values, spec, "must be cn, san-email, san-uri or fingerprint"))
}

fn sandbox(values: &Values) -> Result<Sandbox, ConfigError> {
    match values.text(&options::SANDBOX) {
        "off" => Ok(Sandbox::Off),
        "log" => Ok(Sandbox::Log),
        "enforce" => Ok(Sandbox::Enforce),
        _ => Err(invalid(values, &options::SANDBOX, "must be off, log or enforce")),
    }
}

fn username(values: &Values) -> Result<String, ConfigError> {
    let spec = &options::DEFAULT_USERNAME;
    let name = values.text(spec);
    if name.is_empty() || name.len() > NAME_BYTES_MAX || name.contains(char::is_control) || name == EVERYBODY
    {
        let reason =
            format!("must have 1 to {NAME_BYTES_MAX} bytes, no control characters, and not be '{EVERYBODY}'");
        return Err(invalid(values, spec, &reason));
    }
    Ok(name.to_owned())
}

fn decryption_key(
    values: &mut Values,
    surroundings: &Surroundings<'_>,
    warnings: &mut Warnings,
) -> Result<Option<DecryptionKey>, ConfigError> {
    let (option, file) = (&options::JWK_PRIVATE_KEY, &options::JWK_PRIVATE_KEY_FILE);
    let Some(found) = secrets::find(option, file, values, surroundings)? else { return Ok(None) };
    found.warn_if_exposed(option, file, warnings);
    let mut json = Buffer::new(found.secret.expose().to_vec());
    let key = DecryptionKey::of_json(&mut json);
    key.map(Some).map_err(|reason| ConfigError(format!("the private key ({}) {reason}", found.source)))
}

fn privileged_users(values: &Values) -> Result<Vec<Principal>, ConfigError> {
    let spec = &options::PRIVILEGED_USERS;
    let Some(given) = values.get(spec) else { return Ok(Vec::new()) };
    let users: Option<Vec<Principal>> =
        given.text.split(',').map(|name| Principal::named(name.trim().to_owned())).collect();
    users.filter(|users| users.len() <= PRIVILEGED_USERS_MAX).ok_or_else(|| {
        let reason = format!(
            "must be names of users, {PRIVILEGED_USERS_MAX} at most, none of them empty or '{EVERYBODY}'"
        );
        invalid(values, spec, &reason)
    })
}

fn limits(values: &Values) -> Result<Limits, ConfigError> {
    use options as o;
    const KIB: usize = 1024;
    const GIB: usize = 1024 * 1024 * 1024;
    let seconds = |spec| number(values, spec, 1, 86_400).map(Duration::from_secs);
    let limits = Limits {
        connections_max: number(values, &o::MAX_CONNECTIONS, 1, 1_000_000)?,
        head_bytes_max: number(values, &o::MAX_HEAD_BYTES, KIB, KIB * KIB)?,
        target_bytes_max: number(values, &o::MAX_TARGET_BYTES, 64, KIB * KIB)?,
        body_bytes_max: number(values, &o::MAX_BODY_BYTES, KIB, GIB)?,
        bodies_bytes_max: number(values, &o::MAX_BODIES_BYTES, KIB, 64 * GIB)?,
        open_databases_max: number(values, &o::MAX_OPEN_DATABASES, TENANTS_IN_USE_MAX, 1024)?,
        handshake_timeout: seconds(&o::HANDSHAKE_TIMEOUT)?,
        head_timeout: seconds(&o::HEAD_TIMEOUT)?,
        body_timeout: seconds(&o::BODY_TIMEOUT)?,
        idle_timeout: seconds(&o::IDLE_TIMEOUT)?,
        write_timeout: seconds(&o::WRITE_TIMEOUT)?,
        drain_timeout: seconds(&o::DRAIN_TIMEOUT)?,
    };
    if limits.target_bytes_max > limits.head_bytes_max {
        let reason = format!("must not be more than --max-head-bytes, which is {}", limits.head_bytes_max);
        return Err(invalid(values, &o::MAX_TARGET_BYTES, &reason));
    }
    if limits.bodies_bytes_max < limits.body_bytes_max {
        let reason = format!("must not be less than --max-body-bytes, which is {}", limits.body_bytes_max);
        return Err(invalid(values, &o::MAX_BODIES_BYTES, &reason));
    }
    Ok(limits)
}

fn log_level(values: &Values) -> Result<log::LevelFilter, ConfigError> {
    let spec = &options::LOG_LEVEL;
    let directives = values.log_directives.as_ref().filter(|_| values.get(spec).is_none());
    if let Some(level) = directives.and_then(|directives| sources::bare_log_level(directives)) {
        return Ok(level);
    }
    let level = values.text(spec).parse();
    level.map_err(|_| invalid(values, spec, "must be error, warn, info, debug or trace"))
}

/// The salt of a key from the platform.
fn salt(values: &Values, spec: &Spec) -> Result<Option<Vec<u8>>, ConfigError> {
    let Some(given) = values.get(spec) else { return Ok(None) };
    let mut text = given.text.clone().into_bytes();
    let salt = hex::decode_in_place(&mut text).map(|salt| salt.to_vec());
    let wrong = || invalid(values, spec, "must be hexadecimal digits, two for each byte");
    salt.ok_or_else(wrong).map(Some)
}

/// A whole number within bounds.
fn number<N>(values: &Values, spec: &Spec, least: N, most: N) -> Result<N, ConfigError>
where
    N: std::str::FromStr + PartialOrd + fmt::Display,
{
    match values.text(spec).parse() {
        Ok(number) if least <= number && number <= most => Ok(number),
        _ => Err(invalid(values, spec, &format!("must be a whole number from {least} to {most}"))),
    }
}

/// What is wrong with a value, which is shown unless it is a secret.
fn invalid(values: &Values, spec: &Spec, reason: &str) -> ConfigError {
    let source = match values.get(spec) {
        Some(given) if !spec.is_secret => format!(" {:?} ({})", given.text, given.source),
        _ => String::new(),
    };
    ConfigError(format!("--{}{source}: {reason}", spec.name))
}

#[cfg(test)]
mod tests;
