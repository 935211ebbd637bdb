//! Life and death of the server.
#![forbid(unsafe_code)]

use super::{RUNS, World};
use crate::server::EXIT_STORE_FAILED;
use crate::server::event::Input;
use crate::store::StoreError;
use crate::testing::simulator::machine::Machine;
use crate::wire::hex;

impl World<'_> {
    /// Starts a server on what is on the disk, which may fail meanwhile, and looks whether all that was promised is
    /// there.
    pub(super) fn boot(&mut self) {
        loop {
            if self.troubled && self.choices.one_in(4) {
                self.disk.fail_after(self.choices.below(60) as u64);
            }
            let now = self.clock.now();
            let (disk, master) = (&self.disk, self.master.as_ref());
            match Machine::boot(disk, master, &self.limits, self.audit, self.jobs_max, now, &mut self.choices)
            {
                Ok(machine) => {
                    self.machine = Some(machine);
                    self.note("the server starts");
                    return self.check_store();
                }
                Err(error) => {
                    let is_power = matches!(error, StoreError::Io(_));
                    assert!(self.troubled && is_power, "the server does not start: {error}");
                    self.totals.crashes += 1;
                    self.note("the disk fails while the server starts");
                    self.disk.crash(self.choices.number());
                }
            }
        }
    }

    /// Everything stops at once.
    pub(super) fn crash(&mut self, why: &str) {
        self.note(why);
        self.totals.crashes += 1;
        self.disk.crash(self.choices.number());
        self.bury();
    }

    /// The process has ended by itself.
    pub(super) fn start_again(&mut self) {
        match self.machine().exit {
            Some(EXIT_STORE_FAILED) => {
                assert!(self.troubled, "the store failed on a good disk");
                self.crash("the server has given up its disk");
            }
            Some(0) => {
                self.machine().finish_lanes();
                self.check_log();
                self.bury();
            }
            code => panic!("the server exits with {code:?}"),
        }
    }

    /// All connections are gone, and what was not done never will be; a new server starts.
    fn bury(&mut self) {
        self.machine = None;
        for id in self.network.select(|_| true) {
            let wire = self.network.open(id);
            let (index, attended) = (wire.client, wire.attended);
            if attended {
                self.forsake(index, id);
            }
            self.network.remove(id);
        }
        self.unsettled.clear();
        self.model.settle_all();
        self.boot();
    }

    pub(super) fn shut_down(&mut self) {
        self.totals.shutdowns += 1;
        self.machine().draining = true;
        self.tell(Input::Shutdown);
        assert!(self.machine().stopped_listening, "a server that shuts down accepts nothing more");
    }

    /// Whether the disk shows what was put in is as it should be.
    pub(super) fn check_disk(&mut self) {
        let store = self.machine.as_ref().expect(RUNS).store.read();
        let secrets = self.model.secrets(&*store.expect("all is well at the end"));
        let disk = self.disk.durable();
        let shows = |secret: &Vec<u8>| disk.windows(secret.len()).any(|part| part == secret);
        match self.master {
            Some(_) => assert!(!secrets.iter().any(shows), "a sealed disk shows a key or a name"),
            None => assert!(secrets.iter().all(shows), "what is searched for can be found"),
        }
    }

    /// Whether the log of a server that has ended is whole, and shows no key.
    pub(super) fn check_log(&mut self) {
        let machine = self.machine.as_ref().expect(RUNS);
        let log = machine.closed_log();
        let Ok(view) = machine.store.read() else { return };
        for material in self.model.materials(&*view) {
            let mut digits = Vec::new();
            hex::encode(&material, &mut digits);
            let lower = digits.to_ascii_lowercase();
            let shows = |part: &[u8]| log.windows(part.len()).any(|window| window == part);
            assert!(![material, digits, lower].iter().any(|form| shows(form)), "the audit log shows a key");
        }
    }

    pub(super) fn check_store(&mut self) {
        let view = self.machine.as_ref().expect(RUNS).store.read();
        match view {
            Ok(view) => self.model.check_store(&*view),
            Err(error) => assert!(self.troubled && error.is_fatal(), "the store cannot be read: {error}"),
        }
    }
}
