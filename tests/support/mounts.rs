//! What lies at a path for one process, and for no other.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};

/// A view of the file system in which a folder is mounted as this test needs it, and which goes with its owner.
pub struct Mounts {
    holder: Child,
}

impl Mounts {
    /// Runs `mount` with these arguments. `None` where this machine does not let its users do so.
    pub fn new(arguments: &[&str]) -> Option<Mounts> {
        let mut holder = Command::new("unshare")
            .args([
                "--map-root-user",
                "--mount",
                "sh",
                "-c",
                "mount \"$@\" && echo mounted && exec cat",
                "sh",
            ])
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(holder.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let mounts = Mounts { holder };
        (line == "mounted\n").then_some(mounts)
    }

    /// The same command in this view.
    pub fn within(&self, command: &Command) -> Command {
        let mut within = Command::new("nsenter");
        within.args([
            "--user",
            "--mount",
            "--preserve-credentials",
            "--target",
            &self.holder.id().to_string(),
        ]);
        within.arg(command.get_program()).args(command.get_args());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => within.env(name, value),
                None => within.env_remove(name),
            };
        }
        within
    }
}

impl Drop for Mounts {
    fn drop(&mut self) {
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}

/// Told even where the output of tests that pass is not shown.
pub fn skipped(why: &str) {
    let line =
        format!("skipped: this machine does not let a test mount {why} (unshare --map-root-user --mount)\n");
    std::io::stderr().write_all(line.as_bytes()).unwrap();
}
