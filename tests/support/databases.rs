//! Database servers as Debian has them: each with a folder and a port of its own, as a process of the test.

use super::certificates::Authority;
use super::{Scratch, free_port, run};
use std::fs::{self, File};
use std::process::{Child, Command, Stdio};

/// The password of the server's user: nothing that is logged or told may hold it.
pub const PASSWORD: &str = "hidden-from-all";

/// Which server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    MariaDb,
}

/// A server, or its data while it is down. It speaks TLS to those who ask for it. It ends with its owner.
pub struct Database {
    kind: Kind,
    pub authority: Authority,
    scratch: Scratch,
    port: u16,
    process: Option<Child>,
}

impl Database {
    /// A new server, started.
    pub fn start(kind: Kind) -> Database {
        let authority = Authority::new();
        authority.server("database", "P-256");
        let mut database =
            Database { kind, authority, scratch: Scratch::new(), port: free_port(), process: None };
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
        }
    }

    /// The same for a user who needs a client certificate.
    pub fn url_of_certified(&self) -> String {
        match self.kind {
            Kind::MariaDb => format!("mysql://certified@127.0.0.1:{}/kms", self.port),
        }
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
        };
        let log = File::options().create(true).append(true).open(self.scratch.file("log")).unwrap();
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        self.process = Some(command.spawn().unwrap());
    }

    /// Ends it as a crash does: it tidies nothing up.
    pub fn crash(&mut self) {
        let Some(mut process) = self.process.take() else { return };
        process.kill().unwrap();
        process.wait().unwrap();
    }

    /// Lets it stand still, with its connections open, and go on (`STOP`, `CONT`).
    pub fn signal(&self, name: &str) {
        run("kill", ["-s", name, &self.process.as_ref().unwrap().id().to_string()]);
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
