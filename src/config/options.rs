//! The one table of options: what parses them, explains them and logs them reads it.
#![forbid(unsafe_code)]

use crate::limits;

/// One option of the command line, with its environment variables.
#[derive(Debug)]
pub struct Spec {
    /// Without the dashes.
    pub name: &'static str,
    /// Other spellings, of documentation or of habit.
    pub aliases: &'static [&'static str],
    /// Environment variables, the first that is set counts.
    pub variables: &'static [&'static str],
    /// What stands for its value in the help; a flag has none.
    pub value: Option<&'static str>,
    /// What holds without it, as the help shows it.
    pub default: &'static str,
    /// Where it stands in the help.
    pub group: Group,
    /// One sentence.
    pub help: &'static str,
    /// Its value must not be shown.
    pub is_secret: bool,
    /// It may be given several times: the values are joined by commas.
    pub is_list: bool,
}

/// The headings of the help, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    /// Where the server listens and keeps its data.
    Server,
    /// Its certificate, from a file.
    Tls,
    /// Its certificate, from an authority.
    Certbot,
    /// The hand-over by its owner.
    Bootstrap,
    /// Keys and quotes from the machine itself.
    Platform,
    /// Where the keys are.
    Database,
    /// Who everybody is.
    Identity,
    /// Caps and deadlines.
    Limits,
    /// What is recorded and counted.
    Audit,
    /// What is logged.
    Logging,
}

impl Group {
    /// All of them, in the order of the help.
    pub const ALL: [Group; 10] = [
        Group::Server,
        Group::Tls,
        Group::Certbot,
        Group::Bootstrap,
        Group::Platform,
        Group::Database,
        Group::Identity,
        Group::Limits,
        Group::Audit,
        Group::Logging,
    ];

    /// Its heading.
    pub fn heading(self) -> &'static str {
        match self {
            Group::Server => "Server",
            Group::Tls => "TLS, with a certificate from a file",
            Group::Certbot => "TLS, with certificates from an authority (ACME)",
            Group::Bootstrap => "Bootstrap server",
            Group::Platform => "Keys and quotes from the platform",
            Group::Database => "Database",
            Group::Identity => "Identity",
            Group::Limits => "Limits (bytes, or seconds)",
            Group::Audit => "Audit log and metrics",
            Group::Logging => "Logging",
        }
    }
}

const fn option(
    group: Group,
    name: &'static str,
    value: &'static str,
    variables: &'static [&'static str],
    default: &'static str,
    help: &'static str,
) -> Spec {
    Spec {
        name,
        aliases: &[],
        variables,
        value: Some(value),
        default,
        group,
        help,
        is_secret: false,
        is_list: false,
    }
}

const fn flag(
    group: Group,
    name: &'static str,
    variables: &'static [&'static str],
    help: &'static str,
) -> Spec {
    Spec { value: None, ..option(group, name, "", variables, "", help) }
}

impl Spec {
    const fn secret(self) -> Spec {
        Spec { is_secret: true, ..self }
    }

    const fn list(self) -> Spec {
        Spec { is_list: true, ..self }
    }

    const fn or(self, aliases: &'static [&'static str]) -> Spec {
        Spec { aliases, ..self }
    }
}

macro_rules! options {
    ($($constant:ident = $spec:expr;)*) => {
        $(#[doc = concat!("`--", stringify!($constant), "`, in lower case and with dashes.")]
        pub const $constant: Spec = $spec;)*
        /// Every option, in the order of the help.
        pub const ALL: &[&Spec] = &[$(&$constant),*];
    };
}

use Group::*;

options! {
    HOSTNAME = option(Server, "hostname", "HOST", &["KMS_HOSTNAME"], "0.0.0.0",
        "Address or name to listen on; :: takes IPv6 and IPv4.");
    PORT = option(Server, "port", "N", &["KMS_PORT"], "9998",
        "Port to listen on; 0 takes a free one. Where it listens is printed on standard output.");
    ROOT_DATA_PATH = option(Server, "root-data-path", "FOLDER", &["KMS_ROOT_DATA_PATH"], "./cosmian-kms",
        "Where data is kept; a relative path begins in the home folder.");
    TMP_PATH = option(Server, "tmp-path", "FOLDER", &["KMS_TMP_PATH"], "/tmp",
        "For temporary files, of which this version has none; relative to the root data path.");
    SANDBOX = option(Server, "sandbox", "MODE", &["KMS_SANDBOX"], "enforce",
        "enforce: once it serves, it can do what it needs and no more; log: the kernel logs the rest; off.");

    HTTPS_P12_FILE = option(Tls, "https-p12-file", "FILE", &["KMS_HTTPS_P12_FILE"], "",
        "PKCS#12 file with key, certificate and chain: the server speaks HTTPS. Read again when it changes.");
    HTTPS_P12_PASSWORD = option(Tls, "https-p12-password", "TEXT", &["KMS_HTTPS_P12_PASSWORD"], "",
        "Its password. Others on this machine can read command lines: prefer a file.").secret();
    HTTPS_P12_PASSWORD_FILE = option(Tls, "https-p12-password-file", "FILE", &["KMS_HTTPS_P12_PASSWORD_FILE"], "",
        "File with its password. Without either: https-p12-password in $CREDENTIALS_DIRECTORY, if there.");

    USE_CERTBOT = flag(Certbot, "use-certbot", &["KMS_USE_CERTBOT"],
        "The server orders its certificate, and renews it for ever. SIGUSR1 renews at once.");
    CERTBOT_HOSTNAME = option(Certbot, "certbot-hostname", "HOST",
        &["KMS_CERTBOT_HOSTNAME", "KMS_CERTBOT_SERVER_NAME"], "",
        "Name that clients use; several with commas or by repeating.").or(&["certbot-server-name"]).list();
    CERTBOT_EMAIL = option(Certbot, "certbot-email", "EMAIL", &["KMS_CERTBOT_EMAIL"], "",
        "Where the authority may write to.");
    CERTBOT_SSL_PATH = option(Certbot, "certbot-ssl-path", "FOLDER", &["KMS_CERTBOT_SSL_PATH"], "./certbot-ssl",
        "Where account, key and certificate are kept; relative to the root data path.");
    CERTBOT_DIRECTORY_URL = option(Certbot, "certbot-directory-url", "URL", &["KMS_CERTBOT_DIRECTORY_URL"], "",
        "Directory of the authority. Without it: Let's Encrypt.");
    CERTBOT_STAGING = flag(Certbot, "certbot-staging", &["KMS_CERTBOT_STAGING"],
        "Let's Encrypt's authority for trials: generous limits, certificates that nobody trusts.");
    CERTBOT_CA_ROOT = option(Certbot, "certbot-ca-root", "FILE", &["KMS_CERTBOT_CA_ROOT"], "",
        "PEM file of a private authority's root: trusted, beside the public ones, when its directory is asked.");
    CERTBOT_CHALLENGE = option(Certbot, "certbot-challenge", "KIND", &["KMS_CERTBOT_CHALLENGE"], "auto",
        "tls-alpn-01 (port 443 must reach this server), http-01 (port 80), or auto: first one, then the other.");
    CERTBOT_HTTP_PORT = option(Certbot, "certbot-http-port", "N", &["KMS_CERTBOT_HTTP_PORT"], "80",
        "Port to open for http-01 while an order needs it; the authority asks port 80.");
    CERTBOT_KEY_TYPE = option(Certbot, "certbot-key-type", "TYPE", &["KMS_CERTBOT_KEY_TYPE"], "p256",
        "Key of the certificate: p256, p384 or rsa2048.");
    CERTBOT_USE_TEE_KEY = option(Certbot, "certbot-use-tee-key", "HEX", &["KMS_CERTBOT_USE_TEE_KEY"], "",
        "The certificate's key is derived from the platform (see --tee) with this salt: always the same one.");
    CERTBOT_PROFILE = option(Certbot, "certbot-profile", "NAME", &["KMS_CERTBOT_PROFILE"], "",
        "Profile of the certificate. The ACME library in use cannot ask for one: refused.");

    USE_BOOTSTRAP_SERVER = flag(Bootstrap, "use-bootstrap-server", &["KMS_USE_BOOTSTRAP_SERVER"],
        "The server waits, over HTTPS, to be told its database and PKCS#12 file; then it is the key server.");
    BOOTSTRAP_SERVER_PORT = option(Bootstrap, "bootstrap-server-port", "N", &["KMS_BOOTSTRAP_SERVER_PORT"], "9998",
        "Port to wait on; it may be that of the key server.");
    BOOTSTRAP_SERVER_SUBJECT = option(Bootstrap, "bootstrap-server-subject", "DN", &["KMS_BOOTSTRAP_SERVER_SUBJECT"],
        "CN=cosmian.kms,O=Cosmian Tech,C=FR,L=Paris,ST=Ile-de-France",
        "Subject of its self-signed certificate (RFC 4514).");
    BOOTSTRAP_SERVER_COMMON_NAME = option(Bootstrap, "bootstrap-server-common-name", "NAME",
        &["KMS_BOOTSTRAP_SERVER_COMMON_NAME"], "", "Common name, in the place of the subject's.");
    BOOTSTRAP_SERVER_EXPIRATION_DAYS = option(Bootstrap, "bootstrap-server-expiration-days", "N",
        &["KMS_BOOTSTRAP_SERVER_EXPIRATION_DAYS"], "365", "How long that certificate is valid.");
    BOOTSTRAP_TOKEN_FILE = option(Bootstrap, "bootstrap-token-file", "FILE", &["KMS_BOOTSTRAP_TOKEN_FILE"], "",
        "File with a token that the owner must show: Authorization: Bearer ..");
    BOOTSTRAP_TOKEN = option(Bootstrap, "bootstrap-token", "generate", &["KMS_BOOTSTRAP_TOKEN"], "",
        "generate: the server makes a token and prints it once, on standard output.").secret();
    BOOTSTRAP_WINDOW = option(Bootstrap, "bootstrap-window", "S", &["KMS_BOOTSTRAP_WINDOW"], "",
        "Seconds after which a server that nobody has provisioned listens no more. Without it: never.");
    ENSURE_RA_TLS = flag(Bootstrap, "ensure-ra-tls", &["KMS_ENSURE_RA_TLS"],
        "The server does not start unless SEV-SNP or SGX (Gramine) vouches for that certificate (RA-TLS).");
    TEE = option(Platform, "tee", "PLATFORM", &["KMS_TEE"], "auto",
        "sev-snp, sgx (Gramine), tpm, or auto: the first of them. Or file:PATH, tpm:PATH, tpm:HOST:PORT.");
    TEE_TPM_PCRS = option(Platform, "tee-tpm-pcrs", "LIST", &["KMS_TEE_TPM_PCRS"], "",
        "PCRs (SHA-256) such as 0,2,7: a TPM gives the key only while they are as at the first start.");
    TEE_DIR_PATH = option(Platform, "tee-dir-path", "FOLDER", &["KMS_TEE_DIR_PATH"], "./tee",
        "Folder of the file below; relative to the root data path.");
    SGX_PUBLIC_SIGNER_KEY_FILENAME = option(Platform, "sgx-public-signer-key-filename", "FILE",
        &["KMS_SGX_PUBLIC_SIGNER_KEY_FILENAME"], "",
        "PEM file with the key that the enclave is signed with, for GET /tee/sgx_enclave_public_key.");

    DATABASE_TYPE = option(Database, "database-type", "TYPE", &["KMS_DATABASE_TYPE"], "sqlite",
        "sqlite, redb: embedded. sqlite-enc, redb-enc: one a tenant. mysql, postgresql, redis, redis-findex.");
    DATABASE_URL = option(Database, "database-url", "URL", &["KMS_DATABASE_URL"], "",
        "Where the last four are: mysql://USER:PASSWORD@HOST:PORT/NAME, postgresql://.., redis://..").secret();
    DATABASE_URL_FILE = option(Database, "database-url-file", "FILE", &["KMS_DATABASE_URL_FILE"], "",
        "File with the URL. Without either: database-url in $CREDENTIALS_DIRECTORY, if there.");
    MYSQL_USER_CERT_FILE = option(Database, "mysql-user-cert-file", "FILE", &["KMS_MYSQL_USER_CERT_FILE"], "",
        "PKCS#12 file with the certificate that a MySQL asks for.");
    MYSQL_USER_CERT_PASSWORD = option(Database, "mysql-user-cert-password", "TEXT",
        &["KMS_MYSQL_USER_CERT_PASSWORD"], "", "Its password. Prefer a file.").secret();
    MYSQL_USER_CERT_PASSWORD_FILE = option(Database, "mysql-user-cert-password-file", "FILE",
        &["KMS_MYSQL_USER_CERT_PASSWORD_FILE"], "", "File with its password.");
    REDIS_MASTER_PASSWORD = option(Database, "redis-master-password", "TEXT", &["KMS_REDIS_MASTER_PASSWORD"], "",
        "What a redis-findex database is sealed with. Prefer a file.").secret();
    REDIS_MASTER_PASSWORD_FILE = option(Database, "redis-master-password-file", "FILE",
        &["KMS_REDIS_MASTER_PASSWORD_FILE"], "", "File with that password.");
    REDIS_FINDEX_LABEL = option(Database, "redis-findex-label", "TEXT", &["KMS_REDIS_FINDEX_LABEL"], "",
        "Tells redis-findex databases with the same password apart.");
    SQLITE_PATH = option(Database, "sqlite-path", "FOLDER", &["KMS_SQLITE_PATH"], "./sqlite-data",
        "Folder of keyway.redb (not SQLite), or of tenants' databases; relative to the root data path.");
    MASTER_PASSWORD = option(Database, "master-password", "TEXT", &["KMS_MASTER_PASSWORD"], "",
        "The database is sealed with it: it holds nothing but ciphertext. Prefer a file.").secret();
    MASTER_PASSWORD_FILE = option(Database, "master-password-file", "FILE", &["KMS_MASTER_PASSWORD_FILE"], "",
        "File with that password. Without either: master-password in $CREDENTIALS_DIRECTORY, if there.");
    MASTER_USE_TEE_KEY = option(Database, "master-use-tee-key", "HEX", &["KMS_MASTER_USE_TEE_KEY"], "",
        "The database is sealed with a key that is derived from the platform (see --tee) with this salt.");
    CLEAR_DATABASE = flag(Database, "clear-database", &["KMS_CLEAR_DATABASE"],
        "Removes all keys and grants at the start, and all databases of tenants.");

    AUTHORITY_CERT_FILE = option(Identity, "authority-cert-file", "FILE", &["KMS_AUTHORITY_CERT_FILE"], "",
        "PEM file of authorities: clients must show a certificate by one of them.");
    AUTHORITY_CRL_FILE = option(Identity, "authority-crl-file", "FILE", &["KMS_AUTHORITY_CRL_FILE"], "",
        "Revocation lists (CRLs, at most 4 MiB) of all these and their intermediates. Read again when it changes.");
    CLIENT_CERT_IDENTITY = option(Identity, "client-cert-identity", "KIND", &["KMS_CLIENT_CERT_IDENTITY"], "cn",
        "What of that certificate is the user: cn, san-email, san-uri, or fingerprint (SHA-256).");
    JWT_ISSUER_URI = option(Identity, "jwt-issuer-uri", "URI", &["KMS_JWT_ISSUER_URI"], "",
        "Clients must show a token (JWT) of this issuer with each request; several with commas or by repeating.").list();
    JWKS_URI = option(Identity, "jwks-uri", "URL", &["KMS_JWKS_URI"], "",
        "Where the issuer's keys are; one for each issuer, in order. Empty: ISSUER/.well-known/jwks.json.").list();
    JWT_AUDIENCE = option(Identity, "jwt-audience", "TEXT", &["KMS_JWT_AUDIENCE", "KMS_JST_AUDIENCE"], "",
        "Whom its tokens must be for; one for each issuer, in order. Empty: whomever they are for.").list();
    JWKS_CA_ROOT = option(Identity, "jwks-ca-root", "FILE", &["KMS_JWKS_CA_ROOT"], "",
        "PEM file of a private authority's root: trusted, beside the public ones, where those keys are.");
    DEFAULT_USERNAME = option(Identity, "default-username", "NAME", &["KMS_DEFAULT_USERNAME"], "admin",
        "Who every request comes from that says nothing else.");
    FORCE_DEFAULT_USERNAME = flag(Identity, "force-default-username", &["KMS_FORCE_DEFAULT_USERNAME"],
        "Whoever asks is the default user; certificates and tokens are needed all the same.");
    JWK_PRIVATE_KEY = option(Identity, "jwk-private-key", "JSON", &["JWK_PRIVATE_KEY", "KMS_JWK_PRIVATE_KEY"], "",
        "Private key (JWK, X25519 or EC): requests may be encrypted (JWE, ECDH-ES). Prefer a file.").secret();
    JWK_PRIVATE_KEY_FILE = option(Identity, "jwk-private-key-file", "FILE", &["KMS_JWK_PRIVATE_KEY_FILE"], "",
        "File with that key. Without either: jwk-private-key in $CREDENTIALS_DIRECTORY, if there.");
    PRIVILEGED_USERS = option(Identity, "privileged-users", "NAME", &["KMS_PRIVILEGED_USERS"], "",
        "They alone create and import, and grant that to others; several with commas or by repeating.").list();

    MAX_CONNECTIONS = option(Limits, "max-connections", "N", &["KMS_MAX_CONNECTIONS"], "4096",
        "Open connections; further ones are told to come back later.");
    MAX_HEAD_BYTES = option(Limits, "max-head-bytes", "N", &["KMS_MAX_HEAD_BYTES"], "16384",
        "A request line and its header fields.");
    MAX_TARGET_BYTES = option(Limits, "max-target-bytes", "N", &["KMS_MAX_TARGET_BYTES"], "8192",
        "The URL in a request line.");
    MAX_BODY_BYTES = option(Limits, "max-body-bytes", "N", &["KMS_MAX_BODY_BYTES"], "67108864",
        "The body of a request.");
    MAX_BODIES_BYTES = option(Limits, "max-bodies-bytes", "N", &["KMS_MAX_BODIES_BYTES"], "134217728",
        "All large bodies and answers together.");
    MAX_OPEN_DATABASES = option(Limits, "max-open-databases", "N", &["KMS_MAX_OPEN_DATABASES"], "16",
        "Databases of tenants that are open at a time, at least 9: half a MiB of memory each.");
    HANDSHAKE_TIMEOUT = option(Limits, "handshake-timeout", "S", &["KMS_HANDSHAKE_TIMEOUT"], "10",
        "From the connection to the end of the TLS handshake.");
    HEAD_TIMEOUT = option(Limits, "head-timeout", "S", &["KMS_HEAD_TIMEOUT"], "10",
        "From the first byte of a request to the end of its header fields.");
    BODY_TIMEOUT = option(Limits, "body-timeout", "S", &["KMS_BODY_TIMEOUT"], "30",
        "From there to the end of the body; more for large bodies.");
    IDLE_TIMEOUT = option(Limits, "idle-timeout", "S", &["KMS_IDLE_TIMEOUT"], "75",
        "Between the requests of one connection.");
    WRITE_TIMEOUT = option(Limits, "write-timeout", "S", &["KMS_WRITE_TIMEOUT"], "30",
        "Until a client has taken an answer; more for large ones.");
    DRAIN_TIMEOUT = option(Limits, "drain-timeout", "S", &["KMS_DRAIN_TIMEOUT"], "10",
        "From SIGTERM to the exit, for requests in progress.");

    AUDIT_LOG = option(Audit, "audit-log", "FILE", &["KMS_AUDIT_LOG"], "",
        "Every decision is recorded there, or on stdout. SIGHUP begins a new file once this one was moved.");
    AUDIT_KEY_FILE = option(Audit, "audit-key-file", "FILE", &["KMS_AUDIT_KEY_FILE"], "",
        "File with the key that vouches for the log. Without it: FILE.key beside it, made at the first start.");
    AUDIT_REQUIRED = flag(Audit, "audit-required", &["KMS_AUDIT_REQUIRED"],
        "No answer leaves before its line lasts; while there can be none, requests are refused (503).");

    METRICS_ADDRESS = option(Audit, "metrics-address", "ADDRESS", &["KMS_METRICS_ADDRESS"], "",
        "Port, or HOST:PORT, for GET /metrics (Prometheus), in the clear; a port alone is for this machine only.");

    LOG_LEVEL = option(Logging, "log-level", "LEVEL", &["KMS_LOG_LEVEL"], "info",
        "error, warn, info, debug or trace. Without it, the level in RUST_LOG counts.");

}

/// The option with this name or alias.
pub fn named(name: &str) -> Option<&'static Spec> {
    ALL.iter().copied().find(|spec| spec.name == name || spec.aliases.contains(&name))
}

/// The option whose name is nearest to what was written, if any is near.
pub fn nearest(written: &str) -> Option<&'static str> {
    let written: String = written.chars().take(limits::NAME_BYTES_MAX).collect();
    let names = ALL.iter().flat_map(|spec| spec.aliases.iter().copied().chain([spec.name]));
    let (distance, name) = names.map(|name| (edits(&written, name), name)).min()?;
    // Of short names, half must be right.
    (distance <= 2.max(name.len() / 3) && distance * 2 <= name.len()).then_some(name)
}

/// How many characters must be added, removed or replaced to get from one name to the other (Levenshtein).
fn edits(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, to) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(from != *to);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_variables_are_each_there_once() {
        let mut names: Vec<&str> =
            ALL.iter().flat_map(|s| s.aliases.iter().chain(s.variables).copied().chain([s.name])).collect();
        let all = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all);
    }

    #[test]
    fn the_nearest_option_is_named_only_if_it_is_near() {
        assert_eq!(nearest("prot"), Some("port"));
        assert_eq!(nearest("htps-p12-fil"), Some("https-p12-file"));
        assert_eq!(nearest("certbot-servername"), Some("certbot-server-name"));
        assert_eq!(nearest("frobnicate-the-gizmo"), None);
    }
}
