//! Life and death of the server.
#![forbid(unsafe_code)]

use super::{RUNS, World};
use crate::kms::view::View;
use crate::server::EXIT_STORE_FAILED;
use crate::server::event::Input;
use crate::testing::simulator::machine::Machine;
use crate::testing::simulator::model::Model;
use crate::testing::simulator::owner::Owner;
use crate::testing::simulator::secrets::Secrets;
use crate::testing::simulator::{logged, vault};

impl World<'_> {
    /// Starts a server on what is on the disk, which may fail meanwhile, and looks whether all that was promised is
    /// there.
    pub(super) fn boot(&mut self) {
        self.owner = Owner::default();
        loop {
            if self.troubled && self.choices.one_in(4) {
                self.disk.fail_after(self.choices.below(60) as u64);
            }
            let now = self.clock.now();
            match Machine::boot(&self.disk, &self.options, self.sabotage, now, &mut self.choices) {
                Ok(mut machine) => {
                    machine.lanes.authority.is_generous = !self.troubled;
                    self.totals.trusted += machine.lanes.vault.trusted;
                    self.machine = Some(machine);
                    self.note("the server starts");
                    return self.check_store();
                }
                Err(error) => {
                    assert!(self.troubled && vault::is_of_disk(&error), "the server does not start: {error}");
                    self.note(&format!("while the server starts: {error}"));
                    self.leave_disk();
                }
            }
        }
    }

    /// Everything stops at once.
    pub(super) fn crash(&mut self, why: &str) {
        self.note(why);
        self.totals.crashes += 1;
        self.disk.crash(self.choices.below(1 << 16) as u64);
        self.bury();
    }

    /// A process has ended that could not use its disk; often the power fails as well, and somebody makes room.
    fn leave_disk(&mut self) {
        if self.disk.is_off() || self.choices.one_in(2) {
            self.totals.crashes += 1;
            self.disk.crash(self.choices.below(1 << 16) as u64);
        } else {
            self.disk.abandon();
        }
        self.disk.heal();
    }

    /// The process has ended by itself.
    pub(super) fn start_again(&mut self) {
        match self.machine().exit {
            Some(EXIT_STORE_FAILED) => {
                assert!(self.troubled, "the store failed on a good disk");
                self.note("the server has given up its disk");
                self.leave_disk();
                self.bury();
            }
            Some(0) => {
                self.machine().finish_lanes();
                self.check_log();
                // It closes its database first.
                self.machine = None;
                self.disk.abandon();
                self.bury();
            }
            code => panic!("the server exits with {code:?}"),
        }
    }

    /// All connections are gone, and what was not done never will be; a new server starts.
    fn bury(&mut self) {
        if self.options.sealed && self.choices.one_in(8) {
            let shown = self.model.materials.find(&self.disk.durable()).map(str::to_owned);
            assert_eq!(shown, None, "a sealed disk shows a key");
        }
        self.machine = None;
        self.stray_timers.clear();
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
        let mut there = Vec::new();
        self.view_stored(&mut |model, tenant, view| there.extend(model.there(tenant, view)));
        let disk = self.disk.durable();
        let mut sought = Secrets::default();
        for (number, secret) in there.iter().enumerate() {
            sought.add(secret, &number.to_string());
        }
        if self.options.sealed {
            // Nor what is there no more.
            let shown = sought.find(&disk).or_else(|| self.model.materials.find(&disk));
            assert_eq!(shown, None, "a sealed disk shows a key or a name");
        } else {
            assert!(sought.missing(&disk).is_empty(), "what is searched for can be found");
        }
    }

    /// Whether the log of a server that has ended is whole, and neither it nor what the server has told of itself shows what
    /// it was entrusted with.
    pub(super) fn check_log(&mut self) {
        let machine = self.machine.as_ref().expect(RUNS);
        let audit = if self.options.audit.is_some() { machine.closed_log() } else { Vec::new() };
        let told = logged::take();
        for secrets in [&self.model.materials, &self.model.data] {
            assert_eq!(secrets.find(&audit), None, "the audit log shows a secret");
            assert_eq!(secrets.find(told.as_bytes()), None, "the log shows a secret");
        }
    }

    /// Compares what is stored, if the store is open, with what was promised.
    pub(super) fn check_store(&mut self) {
        self.view_stored(&mut |model, tenant, view| model.check_store(tenant, view));
    }

    /// Looks at what is stored, by tenant: of one, where there are none.
    fn view_stored(&mut self, look: &mut dyn FnMut(&mut Model, usize, &dyn View)) {
        let Some(store) = self.machine.as_ref().expect(RUNS).store() else { return };
        if self.options.has_tenants() {
            return self.view_tenants(look);
        }
        match store.read() {
            Ok(view) => look(&mut self.model, 0, &*view),
            Err(error) => assert!(self.troubled && error.is_fatal(), "the store cannot be read: {error}"),
        }
    }

    /// The databases of tenants are opened when somebody asks for them: what is looked at are copies. As long as the power
    /// may fail, what was not synced may be lost, so nothing is to be learnt from it.
    fn view_tenants(&mut self, look: &mut dyn FnMut(&mut Model, usize, &dyn View)) {
        if self.troubled && !self.disk.is_synced() {
            return;
        }
        let copies = vault::tenants(&self.disk.copy(), 1);
        for (number, tenant) in self.model.tenants() {
            let store = copies.of(&tenant).expect("a copy can be read").expect("what was made is there");
            look(&mut self.model, number, &*store.read().expect("a copy can be read"));
        }
    }
}
