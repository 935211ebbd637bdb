//! A server whose disk fails when the test says so, and whose clock shows what the test says.

use super::{Scratch, run};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Command;

/// The status of a process that was made to go, as a shell tells it of one that was killed.
pub const GONE: i32 = 137;

/// What happens to a write, a sync or a read.
#[derive(Clone, Copy, Debug)]
pub enum Fault {
    /// The process is gone in its place, as if it had been killed, with [`GONE`] as its status.
    Gone,
    InputOutputError,
    NoSpace,
}

/// What `faults.c` does to the processes that it is preloaded into.
pub struct Faults {
    scratch: Scratch,
    control: File,
}

impl Faults {
    /// Nothing, at first.
    pub fn new() -> Faults {
        let scratch = Scratch::new();
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/faults.c");
        let (source, library) = (source.to_str().unwrap(), scratch.file("faults.so"));
        run("cc", ["-O1", "-Wall", "-Werror", "-shared", "-fPIC", "-o", &library, source, "-ldl"]);
        let mut options = File::options();
        let control = options.create(true).read(true).write(true).open(scratch.file("control")).unwrap();
        let faults = Faults { scratch, control };
        faults.heal();
        faults.step_clock(0);
        faults
    }

    /// Prepares a command so that its process is at the mercy of this.
    pub fn within(&self, mut command: Command) -> Command {
        command.env("LD_PRELOAD", self.scratch.file("faults.so"));
        command.env("FAULTS_CONTROL", self.scratch.file("control"));
        command
    }

    /// After so many more writes and syncs, all further ones fail.
    pub fn fail_changes(&self, after: i64, fault: Fault) {
        self.set_fault(fault, false);
        self.set(0, after);
    }

    /// After so many more writes and syncs, one fails.
    pub fn fail_one_change(&self, after: i64, fault: Fault) {
        self.set_fault(fault, true);
        self.set(0, after);
    }

    /// Whether a write or sync is still to fail.
    pub fn is_change_to_fail(&self) -> bool {
        let mut value = [0; 8];
        self.control.read_exact_at(&mut value, 0).unwrap();
        i64::from_ne_bytes(value) >= 0
    }

    /// After so many more reads, all further ones fail.
    pub fn fail_reads(&self, after: i64, fault: Fault) {
        self.set_fault(fault, false);
        self.set(1, after);
    }

    pub fn heal(&self) {
        self.set(0, -1);
        self.set(1, -1);
    }

    /// The time of day is so many seconds ahead from now on.
    pub fn step_clock(&self, seconds: i64) {
        self.set(3, seconds);
    }

    fn set_fault(&self, fault: Fault, once: bool) {
        self.set(4, once.into());
        self.set(
            2,
            match fault {
                Fault::Gone => -1,
                Fault::InputOutputError => 5,
                Fault::NoSpace => 28,
            },
        );
    }

    /// Sets a member of `struct control`.
    fn set(&self, member: u64, value: i64) {
        self.control.write_all_at(&value.to_ne_bytes(), member * 8).unwrap();
    }
}
