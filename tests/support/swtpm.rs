//! A TPM 2.0 in software, and the tools that everybody uses with one.

use super::{Scratch, wait_for};
use std::fs;
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};

/// A TPM behind a socket in its folder. It ends with its owner; its seeds stay in the folder.
pub struct Swtpm {
    pub scratch: Scratch,
    process: Child,
}

impl Swtpm {
    /// A new TPM, just started.
    pub fn start() -> Swtpm {
        let scratch = Scratch::new();
        fs::create_dir(scratch.file("state")).unwrap();
        let process = spawn(&scratch, &format!("type=unixio,path={}", scratch.file("tpm")));
        Swtpm { scratch, process }
    }

    /// Starts the machine anew: what the PCRs held is gone.
    pub fn reboot(&mut self) {
        end(&mut self.process);
        self.process = spawn(&self.scratch, &format!("type=unixio,path={}", self.scratch.file("tpm")));
    }

    /// The same at a port of the loopback address: then the tools do not find it any more.
    pub fn reboot_at(&mut self, port: u16) {
        end(&mut self.process);
        self.process = spawn(&self.scratch, &format!("type=tcp,port={port}"));
    }

    /// The value of `--tee`.
    pub fn option(&self) -> String {
        format!("tpm:{}", self.scratch.file("tpm"))
    }

    /// Has a tool of tpm2-tools do something, in the folder; gives its standard output.
    pub fn tool(&self, line: &str) -> String {
        let mut words = line.split_whitespace();
        let mut command = Command::new(words.next().unwrap());
        command.args(words).current_dir(self.scratch.path()).stdin(Stdio::null());
        command.env("TPM2TOOLS_TCTI", format!("swtpm:path={}", self.scratch.file("tpm")));
        let output = command
            .output()
            .unwrap_or_else(|error| panic!("{line} (see the README for what tests need): {error}"));
        assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }
}

impl Drop for Swtpm {
    fn drop(&mut self) {
        end(&mut self.process);
    }
}

fn spawn(scratch: &Scratch, server: &str) -> Child {
    let (control, state) = (scratch.file("tpm.ctrl"), scratch.file("state"));
    for socket in ["tpm", "tpm.ctrl"] {
        let _ = fs::remove_file(scratch.file(socket));
    }
    let mut command = Command::new("swtpm");
    command.args(["socket", "--tpm2", "--flags", "not-need-init,startup-clear", "--server", server]);
    command.args(["--tpmstate", &format!("dir={state}"), "--ctrl", &format!("type=unixio,path={control}")]);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let process =
        command.spawn().unwrap_or_else(|error| panic!("swtpm (see the README for what tests need): {error}"));
    wait_for("swtpm", || UnixStream::connect(&control).ok());
    match server.strip_prefix("type=tcp,port=") {
        Some(port) => drop(wait_for("swtpm", || TcpStream::connect(format!("127.0.0.1:{port}")).ok())),
        None => drop(wait_for("swtpm", || UnixStream::connect(scratch.file("tpm")).ok())),
    }
    process
}

fn end(process: &mut Child) {
    let _ = process.kill();
    let _ = process.wait();
}
