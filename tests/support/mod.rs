//! What the tests of the whole program share: the program as a process, a folder of its own, other programs, and a
//! client.
#![allow(dead_code, reason = "each test program uses a part")]
#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test may fail, and waits in real time")]

pub mod browser;
pub mod certificates;
pub mod databases;
pub mod enclave;
pub mod faults;
pub mod issuer;
pub mod kms;
pub mod mounts;
pub mod operations;
pub mod pebble;
pub mod python;
pub mod recipient;
pub mod recorded;
pub mod requests;
pub mod stores;
pub mod swtpm;
pub mod tls;

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, ExitStatus, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// How long anything may take before the test fails.
pub const DEADLINE: Duration = Duration::from_secs(60);

/// A folder below `target/`, so on a real disk, that goes with its owner.
pub struct Scratch(PathBuf);

impl Scratch {
    pub fn new() -> Scratch {
        Scratch::below(Path::new(env!("CARGO_TARGET_TMPDIR")))
    }

    /// The same below another folder.
    pub fn below(folder: &Path) -> Scratch {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("keyway-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let path = folder.join(name);
        fs::create_dir(&path).unwrap();
        Scratch(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The path of a file in it, as text.
    pub fn file(&self, name: &str) -> String {
        self.0.join(name).to_str().unwrap().to_owned()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The program with these arguments and nothing of ours in its environment.
pub fn keyway(args: &[&str]) -> Command {
    keyway_at(Path::new(env!("CARGO_BIN_EXE_keyway")), args)
}

/// The same of another build.
pub fn keyway_at(program: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(program);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("KMS_") {
            command.env_remove(name);
        }
    }
    command.env_remove("RUST_LOG").env_remove("CREDENTIALS_DIRECTORY").args(args);
    command
}

/// Runs the program to its end: its exit code, and what it wrote on standard error.
pub fn keyway_fails(args: &[&str]) -> (i32, String) {
    let output = keyway(args).stdin(Stdio::null()).output().unwrap();
    (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
}

/// A server of its own, on a free port of the loopback address; killed when dropped.
pub struct Server {
    child: Child,
    stdout: BufReader<ChildStdout>,
    pub port: u16,
    pub tls: bool,
    log: PathBuf,
}

impl Server {
    /// Starts a server that keeps its data below `folder`, and waits until it listens.
    pub fn start(folder: &Path, args: &[&str]) -> Server {
        Server::spawn(folder, keyway(args))
    }

    /// The same for a command that was prepared further.
    pub fn spawn(folder: &Path, command: Command) -> Server {
        Server::spawn_at(folder, command, 0)
    }

    /// The same on a port that is known before.
    pub fn spawn_at(folder: &Path, command: Command, port: u16) -> Server {
        Server::try_spawn_at(folder, command, port)
            .unwrap_or_else(|(status, log)| panic!("the server did not start: {status}: {log}"))
    }

    /// The same for one that may end before it listens: with what status, and what it has logged.
    pub fn try_spawn(folder: &Path, command: Command) -> Result<Server, (ExitStatus, String)> {
        Server::try_spawn_at(folder, command, 0)
    }

    fn try_spawn_at(folder: &Path, mut command: Command, port: u16) -> Result<Server, (ExitStatus, String)> {
        let log = folder.join("server.log");
        let stderr = File::options().create(true).append(true).open(&log).unwrap();
        let mut child = command
            .args(["--hostname", "127.0.0.1", "--port", &port.to_string(), "--root-data-path"])
            .arg(folder.join("data"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(stderr)
            .spawn()
            .unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        let Some((scheme, address)) =
            line.trim().strip_prefix("listening on ").and_then(|l| l.split_once("://"))
        else {
            assert_eq!(line, "");
            return Err((child.wait().unwrap(), fs::read_to_string(&log).unwrap()));
        };
        let port = address.rsplit_once(':').unwrap().1.parse().unwrap();
        Ok(Server { tls: scheme == "https", child, stdout, port, log })
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn url(&self, path: &str) -> String {
        format!("{}://127.0.0.1:{}{path}", if self.tls { "https" } else { "http" }, self.port)
    }

    /// Sends a signal by its name (`HUP`).
    pub fn signal(&self, name: &str) {
        run("kill", ["-s", name, &self.pid().to_string()]);
    }

    /// Asks for an orderly end and waits for it.
    pub fn terminate(mut self) -> ExitStatus {
        self.signal("TERM");
        self.wait()
    }

    /// What it still says on standard output until its end.
    pub fn rest_of_stdout(&mut self) -> String {
        let mut rest = String::new();
        self.stdout.read_to_string(&mut rest).unwrap();
        rest
    }

    /// Ends it without a warning.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Waits until it has ended.
    pub fn wait(&mut self) -> ExitStatus {
        wait_for("the end of the server", || self.child.try_wait().unwrap())
    }

    /// What it has logged so far.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }

    /// Waits until it has logged a line with `text`.
    pub fn wait_for_log(&self, text: &str) {
        wait_for(text, || self.log().contains(text).then_some(()));
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A port of the loopback address for somebody who must be told one: below those that Linux gives to clients, and not the
/// one that this process was told before, so that nobody takes it before it is used.
pub fn free_port() -> u16 {
    const FIRST: u32 = 12_000;
    const COUNT: u32 = 20_000;
    static TOLD: AtomicU32 = AtomicU32::new(0);
    loop {
        let number = std::process::id() * 100 + TOLD.fetch_add(1, Ordering::Relaxed);
        let port = (FIRST + number % COUNT) as u16;
        let address = ("127.0.0.1", port);
        if TcpListener::bind(address).is_ok() && UdpSocket::bind(address).is_ok() {
            return port;
        }
    }
}

/// Polls until there is a value; fails after [`DEADLINE`].
pub fn wait_for<T>(what: &str, mut poll: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(value) = poll() {
            return value;
        }
        assert!(start.elapsed() < DEADLINE, "waited too long for: {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// Runs another program to its end, which must be a good one; gives its standard output.
pub fn run<I: IntoIterator<Item = S>, S: AsRef<OsStr>>(program: &str, args: I) -> String {
    let mut command = Command::new(program);
    command.args(args).stdin(Stdio::null());
    let Output { status, stdout, stderr } = command
        .output()
        .unwrap_or_else(|error| panic!("{program} (see the README for what tests need): {error}"));
    let stderr = String::from_utf8_lossy(&stderr);
    assert!(status.success(), "{command:?}: {status}\n{}{stderr}", String::from_utf8_lossy(&stdout));
    String::from_utf8(stdout).unwrap()
}

/// What a debugger with the rights of root can read of a process; `None` to whoever has none.
#[allow(clippy::print_stdout, reason = "says what is left out")]
pub fn memory_of(pid: u32, scratch: &Scratch) -> Option<Vec<u8>> {
    let core = scratch.file("core");
    let output = Command::new("gcore").args(["-o", &core, &pid.to_string()]).output().unwrap();
    let path = format!("{core}.{pid}");
    if !Path::new(&path).exists() {
        println!("skipped: {}", String::from_utf8_lossy(&output.stderr));
        return None;
    }
    let bytes = fs::read(&path).unwrap();
    fs::remove_file(&path).unwrap();
    Some(bytes)
}

/// Whether these bytes are somewhere in a dump.
pub fn holds(memory: &[u8], bytes: &[u8]) -> bool {
    memchr::memmem::find(memory, bytes).is_some()
}

/// A socket that does not wait for ever.
pub fn tcp(port: u16) -> TcpStream {
    try_tcp(port).unwrap()
}

/// The same, where there may be nobody.
pub fn try_tcp(port: u16) -> std::io::Result<TcpStream> {
    let stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(DEADLINE))?;
    Ok(stream)
}

/// A connection that is kept alive.
pub struct Client<S: Read = TcpStream> {
    stream: BufReader<S>,
}

impl Client {
    /// In the clear.
    pub fn connect(port: u16) -> Client {
        Client::over(tcp(port))
    }

    /// The same, where there may be nobody.
    pub fn try_connect(port: u16) -> std::io::Result<Client> {
        Ok(Client::over(try_tcp(port)?))
    }
}

impl<S: Read + Write> Client<S> {
    pub fn over(stream: S) -> Client<S> {
        Client { stream: BufReader::new(stream) }
    }

    /// Status and body of the answer to a POST.
    pub fn post(&mut self, path: &str, body: &str) -> (u16, String) {
        self.try_post(path, body).unwrap()
    }

    /// The same, where the server may go away. `UnexpectedEof` is an answer that was cut; every other error came before
    /// its first byte.
    pub fn try_post(&mut self, path: &str, body: &str) -> std::io::Result<(u16, String)> {
        let request = format!(
            "POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        self.send(request.as_bytes())
    }

    /// Status and body of the answer to a GET.
    pub fn get(&mut self, path: &str) -> (u16, String) {
        let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n");
        self.send(request.as_bytes()).unwrap()
    }

    /// Status and body of the answer to these bytes.
    pub fn send(&mut self, request: &[u8]) -> std::io::Result<(u16, String)> {
        self.stream.get_mut().write_all(request)?;
        if self.stream.fill_buf()?.is_empty() {
            return Err(ErrorKind::ConnectionAborted.into());
        }
        self.read_answer().map_err(|error| std::io::Error::new(ErrorKind::UnexpectedEof, error))
    }

    fn read_answer(&mut self) -> std::io::Result<(u16, String)> {
        let cut = || std::io::Error::from(ErrorKind::InvalidData);
        let (mut status, mut length, mut line) = (0, 0, String::new());
        loop {
            line.clear();
            self.stream.read_line(&mut line)?;
            let text = line.strip_suffix("\r\n").ok_or_else(cut)?;
            if status == 0 {
                status = text.split(' ').nth(1).and_then(|s| s.parse().ok()).ok_or_else(cut)?;
            } else if let Some(value) = text.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().map_err(|_| cut())?;
            } else if text.is_empty() {
                break;
            }
        }
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body)?;
        Ok((status, String::from_utf8(body).map_err(|_| cut())?))
    }
}

/// A request of 4.9.1 that makes an AES-256 key.
pub const CREATE: &str = r#"{"tag":"Create","type":"Structure","value":[{"tag":"ObjectType","type":"Enumeration","value":"SymmetricKey"},{"tag":"Attributes","type":"Structure","value":[{"tag":"CryptographicAlgorithm","type":"Enumeration","value":"AES"},{"tag":"CryptographicLength","type":"Integer","value":256},{"tag":"CryptographicUsageMask","type":"Integer","value":2108},{"tag":"KeyFormatType","type":"Enumeration","value":"TransparentSymmetricKey"},{"tag":"ObjectType","type":"Enumeration","value":"SymmetricKey"}]}]}"#;

/// A request with a unique identifier and nothing else, in the spelling of 4.9.1.
pub fn on(operation: &str, uid: &str) -> String {
    format!(
        r#"{{"tag":"{operation}","type":"Structure","value":[{{"tag":"UniqueIdentifier","type":"TextString","value":{uid:?}}}]}}"#
    )
}

/// The value of the first text with this tag in an answer.
pub fn value_of(tag: &str, answer: &str) -> String {
    let (_, rest) = answer.split_once(&format!(r#"{{"tag":"{tag}","type":"#)).unwrap();
    let (_, rest) = rest.split_once(r#""value":""#).unwrap();
    rest.split_once('"').unwrap().0.to_owned()
}
