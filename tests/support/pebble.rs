//! Pebble, the certification authority that Let's Encrypt has for tests, with real validation.

use super::certificates::Authority;
use super::{free_port, run, wait_for};
use std::fs::{self, File};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};

/// How much of their logs is told when a test fails.
const LOG_TOLD_BYTES: usize = 4096;

/// Where a pebble asks and listens.
#[derive(Clone, Copy)]
pub struct Ports {
    /// Its directory.
    pub directory: u16,
    management: u16,
    dns: u16,
    dns_management: u16,
    /// Where it validates http-01.
    pub http: u16,
    /// Where it validates tls-alpn-01.
    pub tls: u16,
}

impl Ports {
    pub fn new() -> Ports {
        let [directory, management, dns, dns_management, http, tls] = [(); 6].map(|()| free_port());
        Ports { directory, management, dns, dns_management, http, tls }
    }
}

/// A pebble and its name server, which says that every name is at 127.0.0.1. Both end with their owner.
pub struct Pebble {
    processes: Vec<Child>,
    pub ports: Ports,
    /// Its own certificate is by this authority.
    pub authority: Authority,
}

impl Pebble {
    pub fn start(ports: Ports, variables: &[(&str, &str)]) -> Pebble {
        let authority = Authority::new();
        authority.server("pebble", "P-256");
        let mut pebble = Pebble { processes: Vec::new(), ports, authority };
        pebble.start_name_server();
        pebble.start_authority(variables);
        pebble
    }

    fn start_name_server(&mut self) {
        let address = |port| format!("127.0.0.1:{port}");
        let (dns, management) = (address(self.ports.dns), address(self.ports.dns_management));
        let mut command = Command::new("pebble-challtestsrv");
        command.args([
            "-defaultIPv4",
            "127.0.0.1",
            "-defaultIPv6",
            "",
            "-dns01",
            &dns,
            "-management",
            &management,
        ]);
        command.args(["-http01", "", "-https01", "", "-tlsalpn01", ""]);
        self.spawn(command, self.ports.dns_management, "challtestsrv.log");
    }

    /// Starts the authority; it knows nothing of those before.
    pub fn start_authority(&mut self, variables: &[(&str, &str)]) {
        let Ports { directory, management, dns, http, tls, .. } = self.ports;
        let file = |name| self.authority.file(name);
        let config = format!(
            r#"{{"pebble":{{"listenAddress":"127.0.0.1:{directory}","managementListenAddress":"127.0.0.1:{management}",
            "certificate":"{}","privateKey":"{}","httpPort":{http},"tlsPort":{tls},"ocspResponderURL":"",
            "externalAccountBindingRequired":false}}}}"#,
            file("pebble.fullchain.pem"),
            file("pebble.key"),
        );
        fs::write(file("pebble.json"), config).unwrap();
        let mut command = Command::new("pebble");
        command.args(["-config", &file("pebble.json"), "-dnsserver", &format!("127.0.0.1:{dns}")]);
        command
            .env("PEBBLE_VA_NOSLEEP", "1")
            .env("PEBBLE_VA_ALWAYS_VALID", "0")
            .env("PEBBLE_WFE_NONCEREJECT", "0");
        command.envs(variables.iter().copied());
        self.spawn(command, directory, "pebble.log");
    }

    /// Ends the authority, but not the name server.
    pub fn stop_authority(&mut self) {
        end(&mut self.processes.pop().unwrap());
    }

    fn spawn(&mut self, mut command: Command, port: u16, log: &str) {
        let log = File::create(self.authority.file(log)).unwrap();
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        let child = command
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?} (see the README for what tests need): {error}"));
        self.processes.push(child);
        wait_for("pebble", || TcpStream::connect(("127.0.0.1", port)).ok());
    }

    /// Says where a name is from now on.
    pub fn move_name(&self, name: &str, address: &str) {
        let url = |call| format!("http://127.0.0.1:{}/{call}", self.ports.dns_management);
        let body = format!(r#"{{"host":"{name}.","addresses":["{address}"]}}"#);
        for call in ["clear-a", "add-a"] {
            run("curl", ["-sS", "--fail", "-d", &body, &url(call)]);
        }
    }

    pub fn directory_url(&self) -> String {
        format!("https://localhost:{}/dir", self.ports.directory)
    }

    /// The root of what it issues, PEM: another one at each start.
    pub fn issuing_root(&self) -> String {
        let root = self.authority.file("root.pem");
        run(
            "curl",
            [
                "-sS",
                "--fail",
                "--cacert",
                &root,
                &format!("https://localhost:{}/roots/0", self.ports.management),
            ],
        )
    }
}

impl Drop for Pebble {
    #[expect(clippy::print_stderr, reason = "a test that fails tells why")]
    fn drop(&mut self) {
        if std::thread::panicking() {
            for log in ["challtestsrv.log", "pebble.log"] {
                let log = fs::read_to_string(self.authority.file(log)).unwrap_or_default();
                let end = log.len().saturating_sub(LOG_TOLD_BYTES);
                eprintln!("{}", String::from_utf8_lossy(&log.as_bytes()[end..]));
            }
        }
        self.processes.iter_mut().for_each(end);
    }
}

fn end(child: &mut Child) {
    let _ = child.kill();
    let _ = child.wait();
}
