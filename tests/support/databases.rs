//! Database servers as Debian has them: each with a folder and a port of its own, as a process of the test.

use super::certificates::Authority;
use super::{Scratch, free_port, run, wait_for};
use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// The password of the server's user: nothing that is logged or told may hold it.
pub const PASSWORD: &str = "hidden-from-all";

/// The user without rights.
const NOBODY: u32 = 65_534;

/// Which server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    MariaDb,
    Postgres,
    Redis,
}

/// A server, or its data while it is down. It speaks TLS to those who ask for it. It ends with its owner.
pub struct Database {
    kind: Kind,
    pub authority: Authority,
    scratch: Scratch,
    /// Who runs it: PostgreSQL does not run as root.
    user: u32,
    port: u16,
    /// Of Redis, which has another for TLS.
    tls_port: u16,
    process: Option<Child>,
}

impl Database {
    /// A new server, started.
    pub fn start(kind: Kind) -> Database {
        let authority = Authority::new();
        authority.server("database", "P-256");
        let id = fs::metadata("/proc/self").unwrap().uid();
        let (temporary, target) = (std::env::temp_dir(), Path::new(env!("CARGO_TARGET_TMPDIR")));
        let mut database = Database {
            kind,
            authority,
            // PostgreSQL's user may have no way into the folders above this one.
            scratch: Scratch::below(if id == 0 { &temporary } else { target }),
            user: if id == 0 && kind == Kind::Postgres { NOBODY } else { id },
            port: free_port(),
            tls_port: free_port(),
            process: None,
        };
        database.initialise();
        database.resume();
        database
    }

    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Where it is, for its user.
    pub fn url(&self) -> String {
        match self.kind {
            Kind::MariaDb => format!("mysql://keyway:{PASSWORD}@127.0.0.1:{}/kms", self.port),
            Kind::Postgres => format!("postgres://keyway:{PASSWORD}@127.0.0.1:{}/postgres", self.port),
            Kind::Redis => format!("redis://:{PASSWORD}@127.0.0.1:{}", self.port),
        }
    }

    /// The same for those who want TLS.
    pub fn url_of_tls(&self) -> String {
        match self.kind {
            Kind::Redis => format!("rediss://:{PASSWORD}@127.0.0.1:{}", self.tls_port),
            _ => self.url(),
        }
    }

    /// The same for a user of MariaDB who needs a client certificate.
    pub fn url_of_certified(&self) -> String {
        format!("mysql://certified@127.0.0.1:{}/kms", self.port)
    }

    fn initialise(&self) {
        let data = self.scratch.file("data");
        match self.kind {
            Kind::MariaDb => {
                let user = format!("--user={}", run("id", ["-un"]).trim());
                let folder = format!("--datadir={data}");
                let how = ["--auth-root-authentication-method=normal", "--skip-test-db"];
                run("mariadb-install-db", ["--no-defaults", &folder, &user, how[0], how[1]]);
                let commands = format!(
                    "CREATE DATABASE IF NOT EXISTS kms;\n\
                     CREATE USER IF NOT EXISTS keyway@'%' IDENTIFIED BY '{PASSWORD}';\n\
                     GRANT ALL ON kms.* TO keyway@'%';\n\
                     CREATE USER IF NOT EXISTS certified@'%' REQUIRE X509;\n\
                     GRANT ALL ON kms.* TO certified@'%';\n"
                );
                fs::write(self.scratch.file("init.sql"), commands).unwrap();
            }
            Kind::Postgres => {
                fs::create_dir(&data).unwrap();
                let (password, key, certificate) =
                    (format!("{data}.password"), format!("{data}.key"), format!("{data}.pem"));
                fs::write(&password, PASSWORD).unwrap();
                fs::copy(self.authority.file("database.key"), &key).unwrap();
                fs::copy(self.authority.file("database.fullchain.pem"), &certificate).unwrap();
                for path in [&data, &password, &key, &certificate] {
                    chown(path, Some(self.user), Some(self.user)).unwrap();
                }
                let mut command = self.as_user(&postgres("initdb"));
                command.args(["--pgdata", &data, "--username=keyway", "--pwfile", &password]);
                command.args(["--auth=scram-sha-256", "--locale=C", "--encoding=UTF8", "--no-sync"]);
                let output = command.output().unwrap();
                assert!(output.status.success(), "{output:?}");
            }
            Kind::Redis => fs::create_dir(&data).unwrap(),
        }
    }

    /// Starts it where it has stopped; it may need a while until it answers.
    pub fn resume(&mut self) {
        let (data, port) = (self.scratch.file("data"), self.port);
        let mut command = match self.kind {
            Kind::MariaDb => {
                let user = run("id", ["-un"]);
                let mut command = Command::new("mariadbd");
                command.arg("--no-defaults").arg(format!("--datadir={data}")).arg(format!("--port={port}"));
                command.arg(format!("--user={}", user.trim()));
                command.arg(format!("--init-file={}", self.scratch.file("init.sql")));
                // The socket's path is short, since the server works in its folder.
                command.args([
                    "--socket=socket",
                    "--bind-address=127.0.0.1,127.0.0.2",
                    "--skip-name-resolve",
                ]);
                let file = |name| self.authority.file(name);
                command.arg(format!("--ssl-ca={}", file("root.pem")));
                command.arg(format!("--ssl-cert={}", file("database.fullchain.pem")));
                command.arg(format!("--ssl-key={}", file("database.key")));
                command.args(["--innodb-buffer-pool-size=32M", "--innodb-log-file-size=16M"]);
                command
            }
            Kind::Postgres => {
                let mut command = self.as_user(&postgres("postgres"));
                command.args(["-D", &data, "-p", &port.to_string()]);
                let ssl = [format!("ssl_cert_file={data}.pem"), format!("ssl_key_file={data}.key")];
                for setting in [
                    "listen_addresses=127.0.0.1,127.0.0.2",
                    "unix_socket_directories=",
                    "ssl=on",
                    &ssl[0],
                    &ssl[1],
                ] {
                    command.args(["-c", setting]);
                }
                command
            }
            Kind::Redis => {
                let mut command = Command::new("redis-server");
                let file = |name| self.authority.file(name);
                command.args([
                    "--bind",
                    "127.0.0.1",
                    "127.0.0.2",
                    "--port",
                    &port.to_string(),
                    "--dir",
                    &data,
                ]);
                command.args(["--requirepass", PASSWORD, "--save", "", "--appendonly", "yes"]);
                command.args(["--appendfsync", "always"]);
                command.args(["--tls-port", &self.tls_port.to_string(), "--tls-auth-clients", "optional"]);
                command.args(["--tls-ca-cert-file", &file("root.pem")]);
                command.args(["--tls-cert-file", &file("database.fullchain.pem")]);
                command.args(["--tls-key-file", &file("database.key")]);
                command
            }
        };
        let log = File::options().create(true).append(true).open(self.scratch.file("log")).unwrap();
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        self.process = Some(command.spawn().unwrap());
    }

    /// Ends it as a crash does: it tidies nothing up.
    pub fn crash(&mut self) {
        let Some(mut process) = self.process.take() else { return };
        let id = process.id().to_string();
        match self.kind {
            // The processes that serve connections have to end with the first one.
            Kind::Postgres => {
                run("kill", ["-s", "QUIT", &id]);
                run("kill", ["-s", "CONT", &id]);
            }
            _ => process.kill().unwrap(),
        }
        process.wait().unwrap();
    }

    fn as_user(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.current_dir("/").uid(self.user).gid(self.user);
        command
    }

    /// Lets it stand still, with its connections open. A signal is heard by one thread, which tells the others: until all
    /// have stopped, some still answer.
    pub fn suspend(&self) {
        self.signal("STOP");
        wait_for("all threads to stop", || self.processes().iter().all(|id| is_stopped(id)).then_some(()));
    }

    /// Lets it go on after that.
    pub fn go_on(&self) {
        self.signal("CONT");
    }

    fn signal(&self, name: &str) {
        for id in self.processes() {
            // Some of those that serve connections end by themselves.
            let _ = Command::new("kill").args(["-s", name, &id]).stderr(Stdio::null()).status();
        }
    }

    /// Its process, and those that serve the connections of PostgreSQL, which are its children.
    fn processes(&self) -> Vec<String> {
        let id = self.process.as_ref().unwrap().id().to_string();
        let children = fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap_or_default();
        [id].into_iter().chain(children.split_whitespace().map(str::to_owned)).collect()
    }

    /// Where all that it keeps is.
    pub fn folder(&self) -> &std::path::Path {
        self.scratch.path()
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        fs::read_to_string(self.scratch.file("log")).unwrap()
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        self.crash();
    }
}

/// Whether no thread of a process runs: stopped, or ended.
fn is_stopped(id: &str) -> bool {
    let Ok(threads) = fs::read_dir(format!("/proc/{id}/task")) else { return true };
    threads.flatten().all(|thread| {
        let stat = fs::read_to_string(thread.path().join("stat")).unwrap_or_default();
        // proc(5): the state comes after the name, which is in parentheses and may hold any.
        stat.rsplit_once(") ").is_none_or(|(_, rest)| rest.starts_with(['T', 'Z', 'X']))
    })
}

/// A program of PostgreSQL, which Debian keeps apart by version.
fn postgres(program: &str) -> PathBuf {
    let versions =
        fs::read_dir("/usr/lib/postgresql").expect("PostgreSQL (see the README for what tests need)");
    let mut found: Vec<PathBuf> =
        versions.map(|version| version.unwrap().path().join("bin").join(program)).collect();
    found.retain(|path| path.exists());
    found.sort();
    found.pop().expect("PostgreSQL (see the README for what tests need)")
}
