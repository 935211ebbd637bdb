//! The configuration as arguments and environment give it.
#![forbid(unsafe_code)]

use super::*;
use crate::acme::challenge::Kind;
use crate::acme::{ChallengeChoice, KeySource, KeyType};
use crate::store::database::Place;
use crate::store::remote;
use crate::tee::tpm::{Address, Pcrs};
use crate::tee::{Choice, Wanted};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// Surroundings of the test's own.
struct World {
    variables: BTreeMap<String, OsString>,
    working_folder: PathBuf,
}

impl World {
    fn new() -> World {
        let variables = BTreeMap::from([("HOME".to_owned(), "/root".into())]);
        World { variables, working_folder: "/nonexistent".into() }
    }

    fn with(mut self, name: &str, value: &str) -> World {
        self.variables.insert(name.to_owned(), value.into());
        self
    }

    fn resolve(&self, line: &str) -> Result<Command, ConfigError> {
        let variable = |name: &str| self.variables.get(name).cloned();
        let surroundings = Surroundings { variable: &variable, working_folder: self.working_folder.clone() };
        resolve(line.split_whitespace().map(OsString::from), &surroundings)
    }

    fn serve(&self, line: &str) -> Config {
        match self.resolve(line) {
            Ok(Command::Serve(config)) => *config,
            Ok(_) => panic!("{line}: not a server"),
            Err(error) => panic!("{line}: {error}"),
        }
    }

    fn refusal(&self, line: &str) -> String {
        self.resolve(line).err().unwrap_or_else(|| panic!("{line} is accepted")).to_string()
    }
}

/// A folder that goes with its owner.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("keyway-config-{}-{name}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    fn write(&self, name: &str, content: &str) -> PathBuf {
        let path = self.0.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn without_options_the_defaults_of_the_old_server_hold() {
    let config = World::new().serve("");
    assert_eq!((config.hostname.as_str(), config.port), ("0.0.0.0", 9998));
    assert_eq!(config.database.place.to_string(), "/root/cosmian-kms/sqlite-data");
    assert!(!config.database.clear && config.tls.is_none() && config.warnings.is_empty());
    assert_eq!(config.default_username, "admin");
    assert_eq!(config.limits, Limits::default(), "the table of options says what the limits are");
    assert_eq!(config.log_level, log::LevelFilter::Info);
}

#[test]
fn the_command_line_counts_before_the_environment_and_that_before_a_file() {
    let folder = Folder::new("order");
    folder.write(
        ".env",
        "# ours\n\nKMS_PORT=1\nexport KMS_HOSTNAME = \"::\"\nKMS_DEFAULT_USERNAME='eve'\nOTHER=x y\n",
    );
    let mut world = World::new().with("KMS_PORT", "2").with("KMS_DEFAULT_USERNAME", "");
    world.working_folder = folder.0.clone();
    assert_eq!(world.serve("--port 3").port, 3);
    assert_eq!(world.serve("--port=3").port, 3);
    let config = world.serve("");
    assert_eq!((config.port, config.hostname.as_str(), config.default_username.as_str()), (2, "::", "eve"));
    let told = |line: &str| assert!(config.description.iter().any(|l| l == line), "{:?}", config.description);
    told("--port 2 (KMS_PORT)");
    told("--hostname :: (KMS_HOSTNAME in .env)");
    told("--idle-timeout 75 (default)");

    folder.write(".env", "RUST_LOG=warn\nKMS_HOSTNAME=kms # ours\n");
    let config = world.serve("");
    assert_eq!((config.log_level, config.hostname.as_str()), (log::LevelFilter::Warn, "kms"));
    world.variables.insert("RUST_LOG".into(), "debug,other=trace".into());
    assert_eq!(world.serve("").log_level, log::LevelFilter::Debug, "the environment has one");

    folder.write(".env", "KMS_PORT=1\nKMS PORT\n");
    assert_eq!(world.refusal(""), format!("{}: line 2 is not NAME=VALUE", folder.0.join(".env").display()));
}

#[test]
fn flags_are_set_by_themselves_and_by_variables_that_say_so() {
    assert!(World::new().serve("--clear-database").database.clear);
    assert!(World::new().with("KMS_CLEAR_DATABASE", "True").serve("").database.clear);
    assert!(!World::new().with("KMS_CLEAR_DATABASE", "0").serve("").database.clear);
    assert_eq!(
        World::new().with("KMS_CLEAR_DATABASE", "perhaps").refusal(""),
        "--clear-database: KMS_CLEAR_DATABASE must be true or false"
    );
    assert_eq!(World::new().refusal("--clear-database=true"), "--clear-database takes no value");
}

#[test]
fn a_database_elsewhere_has_a_url_and_perhaps_a_certificate() {
    let folder = Folder::new("elsewhere");
    let (url, p12) = (folder.write("url", "mysql://u:hidden@h/d\n"), folder.write("cert.p12", "content"));
    let line = format!(
        "--database-type mysql --database-url-file {} --mysql-user-cert-file {} --mysql-user-cert-password p",
        url.display(),
        p12.display()
    );
    let config = World::new().serve(&line);
    let Place::Remote { kind: remote::Kind::MySql, url, certificate: Some((file, password)) } =
        config.database.place
    else {
        panic!("it is elsewhere, and asks for a certificate")
    };
    assert!(url.matches(b"mysql://u:hidden@h/d") && file.matches(b"content") && password.matches(b"p"));
    assert_eq!(config.warnings.len(), 1, "{:?}", config.warnings);
    assert!(config.warnings[0].contains("use --mysql-user-cert-password-file"));

    let warnings = |line: &str| World::new().serve(line).warnings;
    assert!(warnings("--database-type redis --database-url redis://h").is_empty(), "no password is shown");
    let exposed = "--database-type postgresql --database-url postgresql://u:p@h/d";
    assert!(warnings(exposed)[0].contains("use --database-url-file"));
    assert_eq!(
        warnings("--database-url mysql://h/d --redis-findex-label l"),
        [
            "--database-url has no effect with the embedded database",
            "--redis-findex-label has no effect without --database-type redis-findex",
        ]
    );
    let findex = World::new().serve(
        "--database-type redis-findex --database-url redis://h --redis-master-password p --redis-findex-label l",
    );
    assert!(
        matches!(findex.database.master, Master::Password(password, label) if password.matches(b"p") && label == "l")
    );
    for (line, told) in [
        (
            "--database-type mysql",
            "--database-type \"mysql\" (command line): needs --database-url mysql://USER:PASSWORD@HOST:PORT/DATABASE, \
             or a file with it",
        ),
        (
            "--database-type mysql --database-url postgres://u:hidden@h/d",
            "--database-url (command line): the database cannot be used: its URL is of another kind: \
             mysql://user:password@host:port/database is expected",
        ),
        (
            "--database-type redis-findex --database-url redis://h --redis-findex-label l",
            "--database-type \"redis-findex\" (command line): redis-findex needs --redis-master-password and \
             --redis-findex-label; redis needs neither",
        ),
        (
            "--database-type redis --database-url redis://h --mysql-user-cert-file x",
            "--mysql-user-cert-file \"x\" (command line): is for --database-type mysql",
        ),
    ] {
        assert_eq!(World::new().refusal(line), told);
    }
}

#[test]
fn a_database_is_sealed_by_one_secret() {
    let master = |line: &str| World::new().serve(line).database.master;
    assert!(matches!(master("--database-type redb"), Master::None));
    assert!(
        matches!(master("--master-use-tee-key a1b2"), Master::Platform { salt, .. } if salt == [0xA1, 0xB2])
    );
    let config = World::new().serve("--master-password horse");
    assert!(matches!(&config.database.master, Master::Password(password, _) if password.matches(b"horse")));
    assert!(config.warnings[0].contains("use --master-password-file"), "{:?}", config.warnings);
    assert!(config.description.iter().any(|line| line == "--master-password *** (command line)"));
    let variable = World::new().with("KMS_MASTER_PASSWORD", "horse").serve("");
    assert!(matches!(variable.database.master, Master::Password(..)) && variable.warnings.is_empty());
    let file = World::new().refusal("--master-password-file no-such-file");
    assert!(file.starts_with("--master-password-file: /nonexistent/no-such-file: cannot be read"), "{file}");
    assert_eq!(
        World::new().refusal("--master-password a --master-use-tee-key 00"),
        "--master-use-tee-key \"00\" (command line): and a master password are both given: a database is sealed with one of them"
    );
}

#[test]
fn the_databases_of_tenants_have_secrets_of_their_own() {
    for (master, option) in
        [("--master-password p", "--master-password"), ("--master-use-tee-key 00", "--master-use-tee-key")]
    {
        assert_eq!(
            World::new().refusal(&format!("--database-type redb-enc {master}")),
            format!(
                "--database-type \"redb-enc\" (command line): the databases of tenants have secrets of their own: \
                 give no master secret ({option})"
            )
        );
    }
    assert_eq!(
        World::new().refusal("backup keys.backup --database-type sqlite-enc"),
        "--database-type \"sqlite-enc\" (command line): keyway backup is for the embedded database; use copies of the \
         tenants' files, made while the server is stopped (keyway check takes one of them)"
    );
    assert_eq!(
        World::new().refusal("--max-open-databases 8"),
        "--max-open-databases \"8\" (command line): must be a whole number from 9 to 1024"
    );
    let folder = Folder::new("tenants");
    folder.write("sqlite-data/keyway.redb", "");
    let line = format!("--database-type sqlite-enc --root-data-path {}", folder.0.display());
    assert!(World::new().serve(&line).warnings[0].ends_with("its keys are no tenant's, and are not served"));
}

#[test]
fn paths_begin_where_they_always_did() {
    let folder = |line: &str| World::new().serve(line).database.place.to_string();
    assert_eq!(folder("--root-data-path data"), "/root/data/sqlite-data");
    assert_eq!(folder("--root-data-path /data"), "/data/sqlite-data");
    assert_eq!(folder("--root-data-path /data --sqlite-path keys"), "/data/keys");
    assert_eq!(folder("--sqlite-path /keys"), "/keys");
    let mut world = World::new();
    world.variables.clear();
    assert_eq!(world.serve("--root-data-path /data").database.place.to_string(), "/data/sqlite-data");
    assert_eq!(
        world.refusal(""),
        "--root-data-path: ./cosmian-kms begins in the home folder, but HOME is not set; give an absolute path"
    );
    let tls = World::new().serve("--https-p12-file a.p12").tls.unwrap();
    assert_eq!(tls.file, Path::new("/nonexistent/a.p12"), "the working folder");
}

#[test]
fn a_wrong_option_names_the_nearest_right_one() {
    let world = World::new();
    assert_eq!(world.refusal("--prot 1"), "there is no option --prot: did you mean --port?");
    assert_eq!(world.refusal("--zzzzzzzzzzzz"), "there is no option --zzzzzzzzzzzz: see keyway --help");
    assert_eq!(world.refusal("-p 1"), "unexpected argument \"-p\": see keyway --help");
    assert_eq!(world.refusal("serve"), "unexpected argument \"serve\": see keyway --help");
    assert_eq!(world.refusal("--tls"), "there is no option --tls: see keyway --help");
    assert_eq!(world.refusal("--port"), "--port needs a value <N>");
    assert_eq!(world.refusal("--port 1 --port 1"), "--port is given twice: give it once");
}

#[test]
fn a_wrong_value_is_told_with_what_would_be_right() {
    let world = World::new();
    for (line, told) in [
        ("--port 70000", "--port \"70000\" (command line): must be a whole number from 0 to 65535"),
        ("--port x", "--port \"x\" (command line): must be a whole number from 0 to 65535"),
        ("--head-timeout 0", "--head-timeout \"0\" (command line): must be a whole number from 1 to 86400"),
        (
            "--max-target-bytes 20000",
            "--max-target-bytes \"20000\" (command line): must not be more than --max-head-bytes, which is 16384",
        ),
        (
            "--max-bodies-bytes 2000",
            "--max-bodies-bytes \"2000\" (command line): must not be less than --max-body-bytes, which is 67108864",
        ),
        (
            "--log-level loud",
            "--log-level \"loud\" (command line): must be error, warn, info, debug or trace",
        ),
        (
            "--default-username *",
            "--default-username \"*\" (command line): must have 1 to 512 bytes, no control characters, and not be '*'",
        ),
        (
            "--database-type oracle",
            "--database-type \"oracle\" (command line): \"oracle\" is no type of database: sqlite, sqlite-enc, mysql, postgresql, redis-findex and redis are",
        ),
    ] {
        assert_eq!(world.refusal(line), told);
    }
}

#[test]
fn the_level_of_the_log_may_come_from_rust_log() {
    let level = |text| World::new().with("RUST_LOG", text).serve("").log_level;
    assert_eq!(level("info,cosmian=debug"), log::LevelFilter::Info);
    assert_eq!(level("cosmian=debug, warn"), log::LevelFilter::Warn);
    assert_eq!(level("cosmian=debug"), log::LevelFilter::Info);
    assert_eq!(
        World::new().with("RUST_LOG", "warn").serve("--log-level trace").log_level,
        log::LevelFilter::Trace
    );
}

#[test]
fn the_password_comes_from_one_place_and_is_never_shown() {
    let folder = Folder::new("password");
    let file = folder.write("file", "from file\n");
    folder.write("credentials/https-p12-password", "from systemd\r\n");
    let password =
        |config: &Config, expected: &[u8]| assert!(config.tls.as_ref().unwrap().password.matches(expected));
    let p12 = "--https-p12-file a.p12";

    let config = World::new().serve(&format!("{p12} --https-p12-password hunter2"));
    password(&config, b"hunter2");
    assert!(config.warnings[0].contains("stands on the command line"));
    let shown = format!("{:?}{:?}", config.description, config.warnings);
    assert!(
        shown.contains("--https-p12-password *** (command line)") && !shown.contains("hunter2"),
        "{shown}"
    );

    let config = World::new().with("KMS_HTTPS_P12_PASSWORD", "hunter2").serve(p12);
    password(&config, b"hunter2");
    assert!(config.warnings.is_empty());

    let in_file = format!("{p12} --https-p12-password-file {}", file.display());
    password(&World::new().serve(&in_file), b"from file");
    let credentials = folder.0.join("credentials");
    let world = World::new().with("CREDENTIALS_DIRECTORY", credentials.to_str().unwrap());
    password(&world.serve(p12), b"from systemd");
    password(&world.serve(&in_file), b"from file");
    password(&World::new().with("CREDENTIALS_DIRECTORY", "/nonexistent").serve(p12), b"");

    assert_eq!(
        World::new().refusal(&format!("{in_file} --https-p12-password x")),
        "--https-p12-password and --https-p12-password-file are both given: give one of them"
    );
    assert_eq!(
        World::new().refusal(&format!("{p12} --https-p12-password-file /nonexistent")),
        "--https-p12-password-file: /nonexistent: cannot be read: No such file or directory (os error 2)"
    );
    let long = folder.write("long", &"x".repeat(5000));
    let refusal = World::new().refusal(&format!("{p12} --https-p12-password-file {}", long.display()));
    assert!(refusal.ends_with("is longer than 4096 bytes"), "{refusal}");
    let alone = World::new().with("KMS_HTTPS_P12_PASSWORD", "hunter2").serve("").warnings;
    assert_eq!(
        alone,
        ["a password (KMS_HTTPS_P12_PASSWORD) without --https-p12-file: the server speaks plain HTTP"]
    );
}

#[test]
fn keys_of_the_old_server_are_not_passed_over_in_silence() {
    let folder = Folder::new("old");
    folder.write("sqlite-data/kms.db", "");
    let config = World::new().serve(&format!("--root-data-path {}", folder.0.display()));
    assert!(config.warnings[0].ends_with("its keys are not read, this server keeps its own in keyway.redb"));
}

#[test]
fn health_asks_where_the_server_was_told_to_listen() {
    let target = |world: World, line: &str| match world.resolve(line) {
        Ok(Command::Health(HealthTarget { host, port, tls, live: false })) => (host, port, tls),
        _ => panic!("{line}"),
    };
    assert_eq!(target(World::new(), "health"), ("127.0.0.1".into(), 9998, false));
    assert_eq!(target(World::new(), "health --hostname :: --port 1 --tls"), ("::1".into(), 1, true));
    let world = World::new().with("KMS_HTTPS_P12_FILE", "a.p12").with("KMS_HOSTNAME", "kms.local");
    assert_eq!(target(world, "health"), ("kms.local".into(), 9998, true));
    assert_eq!(
        World::new().refusal("health --port 0"),
        "--port \"0\" (command line): must be a whole number from 1 to 65535"
    );
}

/// The arguments of the commands that the old server's documentation gives. Those of features that are not here yet are
/// refused by the name of the option that asks for them.
#[test]
fn documented_command_lines_are_served_or_refused_by_name() {
    let world = World::new();
    world.serve("--https-p12-file=server.mydomain.com.p12 --https-p12-password=myPass");
    let tenants = world.serve("--database-type=sqlite-enc --max-open-databases 20").database.place;
    assert!(matches!(&tenants, Place::Tenants { open_max: 20, .. }));
    assert_eq!(tenants.to_string(), "/root/cosmian-kms/sqlite-data");
    for (line, place) in [
        (
            "--database-type=mysql --database-url=mysql://mysql_server:3306/kms",
            "mysql://mysql_server:3306/kms",
        ),
        (
            "--database-type=postgresql --database-url=postgres://kms_user:kms_password@pgsql-server:5432/kms",
            "postgres://kms_user@pgsql-server:5432/kms",
        ),
        (
            "--database-type=redis-findex --database-url=redis://localhost:6379 --redis-master-password password \
             --redis-findex-label label",
            "redis://localhost:6379",
        ),
    ] {
        let config = world.serve(line);
        assert_eq!(config.database.place.to_string(), place);
        let described = config.description.iter().find(|line| line.starts_with("--database-url "));
        assert_eq!(described.unwrap(), "--database-url *** (command line)");
    }
    world.serve("--database-type=sqlite --default-username NAME --force-default-username");
    assert_eq!(
        world.refusal("--authority-cert-file verifier.cert.pem"),
        "--authority-cert-file \"verifier.cert.pem\" (command line): clients show certificates over HTTPS only: \
         add --https-p12-file or --use-certbot"
    );
    let config = world.serve(
        "--jwt-issuer-uri=https://accounts.google.com --jwks-uri=https://www.googleapis.com/oauth2/v3/certs \
         --jwt-audience=cosmian_kms",
    );
    assert_eq!(
        told_of_issuers(&config),
        ["https://accounts.google.com https://www.googleapis.com/oauth2/v3/certs cosmian_kms"]
    );
}

fn told_of_issuers(config: &Config) -> Vec<String> {
    let told = |trusted: &Trusted| {
        format!("{} {} {}", trusted.issuer, trusted.source.url, trusted.audience.as_deref().unwrap_or("-"))
    };
    config.token_issuers.iter().map(told).collect()
}

#[test]
fn issuers_their_keys_and_audiences_belong_together_by_their_places() {
    let told = |world: World, line: &str| told_of_issuers(&world.serve(line));
    let two =
        ["https://a.example/x https://a.example/x/.well-known/jwks.json kms", "b http://b.example/keys -"];
    assert_eq!(
        told(
            World::new(),
            "--jwt-issuer-uri https://a.example/x --jwt-issuer-uri b --jwt-audience kms --jwks-uri= \
             --jwks-uri http://b.example/keys --jwt-audience="
        ),
        two
    );
    let world = World::new()
        .with("KMS_JWT_ISSUER_URI", "https://a.example/x, b")
        .with("KMS_JWKS_URI", ",http://b.example/keys")
        .with("KMS_JST_AUDIENCE", "kms,");
    assert_eq!(told(world, ""), two);
    let slash = told(World::new(), "--jwt-issuer-uri https://a.example/");
    assert_eq!(slash, ["https://a.example/ https://a.example/.well-known/jwks.json -"]);
    let here = told(World::new(), "--jwt-issuer-uri http://127.0.0.1:1");
    assert_eq!(here, ["http://127.0.0.1:1 http://127.0.0.1:1/.well-known/jwks.json -"]);

    let warnings = World::new().serve("--jwt-issuer-uri a --jwks-uri http://a.example/keys").warnings;
    assert_eq!(
        warnings,
        [
            "tokens travel in the clear: add --https-p12-file or --use-certbot, or put HTTPS in front",
            "whoever is in between can make tokens: http://a.example/keys is asked in the clear; use https://",
            "tokens of a are taken whomever they are for: add --jwt-audience",
        ]
    );
    for (line, told) in [
        ("--jwks-uri https://a.example", "is of no use without --jwt-issuer-uri: add that option"),
        ("--jwt-audience kms", "is of no use without --jwt-issuer-uri: add that option"),
        ("--jwt-issuer-uri a", "is no URL: say with --jwks-uri where its keys are"),
        (
            "--jwt-issuer-uri http://a.example",
            "must begin with https://, or say with --jwks-uri where its keys are",
        ),
        ("--jwt-issuer-uri https://a,https://a", "must be different URIs, none of them empty"),
        ("--jwt-issuer-uri=", "must be different URIs, none of them empty"),
        (
            "--jwt-issuer-uri https://a,https://b --jwt-audience kms",
            "must be given once for each --jwt-issuer-uri, in the same order, perhaps empty",
        ),
        (
            "--jwt-issuer-uri a --jwks-uri ftp://a.example/keys",
            "must be a URL that begins with https:// or, for what is asked in the clear, http://",
        ),
    ] {
        let refusal = World::new().refusal(line);
        assert!(refusal.ends_with(&format!(": {told}")), "{refusal}");
    }
}

#[test]
fn help_and_version_need_nothing_else_to_be_right() {
    let printed = |line: &str| match World::new().with("KMS_PORT", "x").resolve(line) {
        Ok(Command::Print(text)) => text,
        _ => panic!("{line}"),
    };
    assert!(printed("--help").starts_with("Keyway: a key management server"));
    assert!(printed("--port 1 -h").contains("--https-p12-file <FILE>"));
    assert!(printed("health --help").starts_with("Asks the server"));
    assert_eq!(printed("-V"), format!("keyway {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn the_certificates_bot_is_told_what_to_order() {
    let line = "--use-certbot --certbot-server-name server.mydomain.com --certbot-email admin@mydomain.com";
    let certbot = World::new().serve(line).certbot.unwrap();
    let settings = certbot.settings;
    assert_eq!(settings.names, ["server.mydomain.com"]);
    assert_eq!(settings.email, "admin@mydomain.com");
    assert_eq!(settings.directory_url, "https://acme-v02.api.letsencrypt.org/directory");
    assert_eq!(settings.challenge, ChallengeChoice::Auto);
    assert!(matches!(settings.key, KeySource::Fresh(KeyType::P256)));
    assert_eq!(settings.folder, Path::new("/root/cosmian-kms/certbot-ssl"));
    assert_eq!((settings.ca_root, certbot.http_port), (None, 80));

    let line = "--use-certbot --certbot-hostname a.example,B.example --certbot-hostname c.example \
        --certbot-email a@b --certbot-ssl-path /ssl --certbot-directory-url https://ca.example/dir \
        --certbot-ca-root root.pem --certbot-challenge http-01 --certbot-http-port 8080 --certbot-key-type rsa2048";
    let certbot = World::new().serve(line).certbot.unwrap();
    let settings = certbot.settings;
    assert_eq!(settings.names, ["a.example", "b.example", "c.example"]);
    assert_eq!(settings.directory_url, "https://ca.example/dir");
    assert_eq!(settings.challenge, ChallengeChoice::Only(Kind::Http01));
    assert!(matches!(settings.key, KeySource::Fresh(KeyType::Rsa2048)));
    assert_eq!(settings.folder, Path::new("/ssl"));
    assert_eq!(settings.ca_root.as_deref(), Some(Path::new("/nonexistent/root.pem")));
    assert_eq!(certbot.http_port, 8080);

    let names = World::new().with("KMS_USE_CERTBOT", "true").with("KMS_CERTBOT_HOSTNAME", "x.example");
    let certbot = names.serve("--certbot-email a@b --certbot-staging").certbot.unwrap();
    assert_eq!(certbot.settings.names, ["x.example"]);
    assert_eq!(certbot.settings.directory_url, "https://acme-staging-v02.api.letsencrypt.org/directory");
    let both =
        World::new().serve("--use-certbot --certbot-hostname h --certbot-email a@b --https-p12-file f");
    assert!(both.tls.is_none() && both.certbot.is_some());
    assert!(both.warnings[0].starts_with("--https-p12-file has no effect with --use-certbot"));
    let off = World::new().serve("--certbot-hostname h");
    assert!(off.certbot.is_none());
    assert_eq!(off.warnings, ["--certbot-hostname has no effect without --use-certbot"]);
}

#[test]
fn what_the_certificates_bot_cannot_do_is_refused_by_name() {
    let given = "--use-certbot --certbot-hostname h.example --certbot-email a@b.example";
    for (line, told) in [
        (
            "--use-certbot --certbot-email a@b",
            "--use-certbot needs --certbot-hostname: the name of this server",
        ),
        (
            "--use-certbot --certbot-hostname h",
            "--use-certbot needs --certbot-email: where the authority may write to",
        ),
        (
            "--use-certbot --certbot-hostname 192.0.2.1 --certbot-email a@b",
            "--certbot-hostname \"192.0.2.1\" (command line): \"192.0.2.1\" is an address: a certificate from ACME is for a name",
        ),
        (
            "--use-certbot --certbot-hostname h --certbot-email nobody",
            "--certbot-email \"nobody\" (command line): is no e-mail address",
        ),
        (
            &format!("{given} --certbot-use-tee-key xyz"),
            "--certbot-use-tee-key \"xyz\" (command line): must be hexadecimal digits, two for each byte",
        ),
        (
            &format!("{given} --certbot-use-tee-key 0aff --certbot-key-type p384"),
            "--certbot-key-type \"p384\" (command line): keys from the platform are of type p256",
        ),
        (
            &format!("{given} --certbot-use-tee-key 0aff --tee tpm:nowhere"),
            "--tee \"tpm:nowhere\" (command line): must be auto, sev-snp, sgx, tpm, tpm:PATH (with a slash), tpm:HOST:PORT or file:PATH",
        ),
        (
            &format!("{given} --certbot-use-tee-key 0aff --tee-tpm-pcrs 24"),
            "--tee-tpm-pcrs \"24\" (command line): must be numbers from 0 to 23, with commas between them",
        ),
        (
            &format!("{given} --certbot-profile shortlived"),
            "--certbot-profile \"shortlived\" (command line): the ACME library in use cannot ask for a profile; remove the option",
        ),
        (
            &format!("{given} --certbot-challenge dns-01"),
            "--certbot-challenge \"dns-01\" (command line): must be tls-alpn-01, http-01 or auto",
        ),
        (
            &format!("{given} --certbot-key-type ed25519"),
            "--certbot-key-type \"ed25519\" (command line): must be p256, p384 or rsa2048",
        ),
        (
            &format!("{given} --certbot-directory-url http://ca"),
            "--certbot-directory-url \"http://ca\" (command line): must be a URL that begins with https://",
        ),
        (
            &format!("{given} --certbot-staging --certbot-directory-url https://ca"),
            "--certbot-directory-url and --certbot-staging are both given: give one of them",
        ),
        (
            &format!("{given} --certbot-http-port 0"),
            "--certbot-http-port \"0\" (command line): must be a whole number from 1 to 65535",
        ),
    ] {
        assert_eq!(World::new().refusal(line), told);
    }
}

#[test]
fn the_bootstrap_server_has_the_documented_defaults() {
    let config = World::new().serve("--use-bootstrap-server");
    assert!(config.warnings[0].starts_with("whoever reaches the bootstrap server first provisions it"));
    let bootstrap = config.bootstrap.unwrap();
    assert_eq!((bootstrap.port, bootstrap.window), (9998, None));
    assert_eq!(bootstrap.subject.common_name(), Some("cosmian.kms"));
    assert_eq!(bootstrap.expires_after, Duration::from_secs(365 * 86_400));
    assert!(matches!(bootstrap.token, Token::None) && !bootstrap.ensure_ra_tls);
    assert!(World::new().serve("").bootstrap.is_none());

    let folder = Folder::new("bootstrap");
    let token = folder.write("token", "a token of some length\n");
    let line = format!(
        "--use-bootstrap-server --bootstrap-server-port 9999 --bootstrap-server-subject CN=a,O=b \
         --bootstrap-server-common-name c --bootstrap-window 600 --bootstrap-token-file {}",
        token.display()
    );
    let config = World::new().serve(&line);
    assert!(config.warnings.is_empty(), "{:?}", config.warnings);
    let bootstrap = config.bootstrap.unwrap();
    assert_eq!((bootstrap.port, bootstrap.window), (9999, Some(Duration::from_secs(600))));
    assert_eq!(bootstrap.subject.common_name(), Some("c"));
    assert!(matches!(bootstrap.token, Token::Given(token) if token.matches(b"a token of some length")));
    let config = World::new().serve("--use-bootstrap-server --bootstrap-token=generate");
    assert!(matches!(config.bootstrap.unwrap().token, Token::Generated));

    let variable = |value| World::new().with("KMS_ENSURE_RA_TLS", value);
    let ensures = |config: Config| config.bootstrap.unwrap().ensure_ra_tls;
    assert!(ensures(World::new().serve("--use-bootstrap-server --ensure-ra-tls")));
    assert!(ensures(variable("true").serve("--use-bootstrap-server")));
    assert!(!ensures(variable("false").serve("--use-bootstrap-server")));
    assert!(variable("false").serve("").bootstrap.is_none());
    let needs =
        "--ensure-ra-tls needs --use-bootstrap-server: the platform vouches for the certificate of that";
    assert_eq!(World::new().refusal("--ensure-ra-tls"), needs);
    assert_eq!(variable("true").refusal(""), needs);

    let short = folder.write("short", "abc");
    for (line, told) in [
        ("--bootstrap-server-subject nonsense", "is not NAME=VALUE"),
        ("--bootstrap-server-expiration-days 0", "must be a whole number from 1 to 36500"),
        ("--bootstrap-window 0", "must be a whole number from 1"),
        ("--bootstrap-token secret", "--bootstrap-token must be 'generate'"),
        ("--bootstrap-token-file /nonexistent", "cannot be read"),
        (&format!("--bootstrap-token-file {}", short.display()), "a token has at least 16 bytes"),
        ("--bootstrap-token generate --bootstrap-token-file f", "are both given"),
    ] {
        let refusal = World::new().refusal(&format!("--use-bootstrap-server {line}"));
        assert!(refusal.contains(told) && !refusal.contains("secret"), "{refusal}");
    }
}

#[test]
fn keys_come_from_the_platform_that_is_named() {
    let given = "--use-certbot --certbot-hostname h.example --certbot-email a@b --certbot-use-tee-key";
    let config = World::new().serve(&format!("{given} A1b2"));
    assert_eq!(config.certbot.unwrap().key_salt.as_deref(), Some(&[0xA1, 0xB2][..]));
    assert_eq!(config.platform.wanted, Wanted { choice: Choice::Auto, pcrs: None });
    assert!(config.warnings.is_empty(), "{:?}", config.warnings);
    let file = |path: &str| Choice::Tpm(Some(Address::File(path.into())));
    for (text, choice) in [
        ("sev-snp", Choice::SevSnp),
        ("sgx", Choice::Sgx),
        ("tpm", Choice::Tpm(None)),
        ("tpm:/dev/tpmrm1", file("/dev/tpmrm1")),
        ("tpm:./swtpm.sock", file("/nonexistent/./swtpm.sock")),
        ("tpm:localhost:2321", Choice::Tpm(Some(Address::Tcp("localhost:2321".into())))),
        ("tpm:[::1]:2321", Choice::Tpm(Some(Address::Tcp("[::1]:2321".into())))),
        ("file:/run/key", Choice::KeyFile("/run/key".into())),
        ("file:key", Choice::KeyFile("/nonexistent/key".into())),
    ] {
        let config = World::new().serve(&format!("{given} 00 --tee {text} --tee-tpm-pcrs 0,7"));
        assert_eq!(config.platform.wanted, Wanted { choice, pcrs: Pcrs::parse("7,0") }, "{text}");
    }
    let named = World::new().serve("--sgx-public-signer-key-filename key.pem --tee sgx");
    assert_eq!(
        named.platform.enclave_public_key.as_deref(),
        Some(Path::new("/root/cosmian-kms/tee/key.pem"))
    );
    assert_eq!(named.warnings, ["--tee has no effect without --certbot-use-tee-key or --master-use-tee-key"]);
    for bad in ["", "TPM", "file:", "file", "tpm:", "tpm:host", "tpm::1", "tpm:host:0", "sgx:x"] {
        let told = World::new().refusal(&format!("--tee={bad}"));
        assert!(told.contains("must be auto, sev-snp, sgx, tpm, "), "{bad}: {told}");
    }
}

#[test]
fn the_audit_log_has_a_place_and_a_key() {
    let world = World::new();
    assert_eq!(world.serve("").audit, None);
    let audit = world.serve("--audit-log logs/a.log").audit.unwrap();
    let own = Audit {
        place: AuditPlace::File("/nonexistent/logs/a.log".into()),
        key_file: "/nonexistent/logs/a.log.key".into(),
        makes_key: true,
        is_required: false,
    };
    assert_eq!(audit, own);
    let given = world.serve("--audit-log=stdout --audit-key-file /k --audit-required").audit.unwrap();
    let elsewhere =
        Audit { place: AuditPlace::Stdout, key_file: "/k".into(), makes_key: false, is_required: true };
    assert_eq!(given, elsewhere);
    assert!(world.serve("").metrics.is_none());
    assert!(World::new().with("KMS_AUDIT_LOG", "/a").serve("").audit.is_some());
    assert!(world.refusal("--audit-log=stdout").contains("needs --audit-key-file"));
    assert!(world.refusal("--audit-required").contains("has no effect without --audit-log"));
    assert!(world.refusal("--audit-key-file /k").contains("has no effect without --audit-log"));
}

#[test]
fn the_audit_command_takes_files_in_order() {
    let world = World::new();
    let Ok(Command::AuditVerify(wanted)) = world.resolve("audit verify a.1 /b") else {
        panic!("not verified")
    };
    assert_eq!(wanted.files, [PathBuf::from("/nonexistent/a.1"), PathBuf::from("/b")]);
    assert_eq!(wanted.key_file, Path::new("/b.key"));
    for line in ["audit", "audit verify", "audit a.log"] {
        assert!(world.refusal(line).starts_with("keyway audit: say keyway audit verify FILE.."), "{line}");
    }
}

#[test]
fn metrics_are_for_this_machine_unless_a_host_is_given() {
    let metrics = |line| World::new().serve(line).metrics.unwrap();
    assert_eq!(metrics("--metrics-address 9100"), ("127.0.0.1".into(), 9100));
    assert_eq!(metrics("--metrics-address 0.0.0.0:1"), ("0.0.0.0".into(), 1));
    assert_eq!(metrics("--metrics-address [::1]:0"), ("[::1]".into(), 0));
    for wrong in ["x", "h:", ":1", "1:2:x", "65536"] {
        let refusal = World::new().refusal(&format!("--metrics-address {wrong}"));
        assert!(refusal.contains("must be a port"), "{refusal}");
    }
}
