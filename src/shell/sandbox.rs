//! What the process may do once it is set up: whoever takes it over finds little to do with it.
//!
//! Two of the kernel's means, neither of which needs a privilege or can be undone. [`landlock`] bounds which files are
//! reached: those that the configuration names. It holds for the calling thread and those that it starts, so that
//! [`enter`] is called before the first other thread. [`seccomp`] bounds which system calls are made, by all threads.
//!
//! When an owner has chosen where the database is, the process gives up all other files: see [`narrow`].
//!
//! Where the kernel has one of them not, or a container keeps it from its processes, the log says so, and the server runs
//! without it.

mod calls;
mod landlock;
mod seccomp;

use crate::config::Sandbox;
use landlock::Rules;
use std::cell::Cell;
use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// What a file or folder is for. Of a folder, all that is below it is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Access {
    /// It is read.
    Read,
    /// It is read and written; files, folders and sockets are made and removed in it.
    Write,
    /// A device, or a folder by which the kernel makes what devices do.
    Device,
}

/// What the server needs after its start, beside what it has open.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// What is reached.
    pub paths: BTreeSet<(PathBuf, Access)>,
    /// Ports that are listened on later.
    pub ports: BTreeSet<u16>,
    /// Whether it connects to anybody, or listens anew: else it makes no socket.
    pub sockets: bool,
}

impl Needs {
    /// This folder, or device, and what is below it.
    pub fn add(&mut self, path: &Path, access: Access) {
        self.paths.insert((path.to_owned(), access));
    }

    /// A file that somebody else may replace, or that this server makes anew: so the folder in which its name is. What
    /// its name leads to by links now may change there, too (`live/` and `archive/` of certbot, `..data` of Kubernetes).
    pub fn add_file(&mut self, path: &Path, access: Access) {
        for path in [path.to_owned()].into_iter().chain(path.canonicalize()) {
            match path.parent() {
                Some(folder) if folder.parent().is_some() => self.add(folder, access),
                // Not for one file all of them.
                _ => self.add(&path, access),
            }
        }
    }

    /// What names need that are looked up. `/etc/resolv.conf` is often replaced while a machine runs, or is a link.
    pub fn add_name_resolution(&mut self) {
        self.add(Path::new("/etc"), Access::Read);
        self.add_file(Path::new("/etc/resolv.conf"), Access::Read);
    }
}

/// Bounds the process to `needs`. Only one thread may run yet.
pub fn enter(mode: Sandbox, needs: &Needs) {
    match mode {
        Sandbox::Off => return ::log::warn!("there is no sandbox (--sandbox off)"),
        // Landlock has nothing between all and nothing.
        Sandbox::Log => ::log::warn!("files are not restricted (--sandbox log)"),
        Sandbox::Enforce => restrict_files(needs, |_| ()),
    }
    match (seccomp::filter(mode, needs), mode) {
        (Err(error), _) => {
            ::log::warn!("system calls are not restricted: the kernel offers no seccomp filter ({error})");
        }
        (Ok(()), Sandbox::Log) => {
            ::log::warn!(
                "system calls are not restricted, but the kernel logs those that would be (--sandbox log)"
            );
        }
        (Ok(()), _) if needs.sockets => ::log::info!("system calls are restricted"),
        (Ok(()), _) => ::log::info!("system calls are restricted: no new sockets"),
    }
}

/// Files of which the process has been bounded to fewer, and threads that must follow.
static NARROWED: OnceLock<Rules> = OnceLock::new();

thread_local! {
    /// Whether this thread has followed.
    static HAS_FOLLOWED: Cell<bool> = const { Cell::new(false) };
}

/// Bounds the process to fewer files than [`enter`] did: this thread now, and each other before the next thing that it does
/// ([`follow`]). Once only.
pub fn narrow(needs: &Needs) {
    restrict_files(needs, |rules| {
        HAS_FOLLOWED.set(true);
        let _ = NARROWED.set(rules);
    });
}

/// Bounds this thread as another one has bounded the process.
pub fn follow() {
    let Some(rules) = NARROWED.get() else { return };
    if !HAS_FOLLOWED.replace(true)
        && let Err(error) = rules.apply()
    {
        ::log::error!("files are not restricted further: {error}");
    }
}

/// Applies the rules to this thread, and passes them on.
fn restrict_files(needs: &Needs, pass_on: impl FnOnce(Rules)) {
    match landlock::rules(needs).and_then(|rules| rules.apply().map(|()| rules)) {
        Ok(rules) => {
            ::log::info!("files are restricted (Landlock {}): {}", rules.abi, describe(needs));
            pass_on(rules);
        }
        Err(error) => ::log::warn!("files are not restricted: the kernel offers no Landlock ({error})"),
    }
}

fn describe(needs: &Needs) -> String {
    let mut text = String::new();
    for (path, access) in &needs.paths {
        let verb = match access {
            Access::Read => "read",
            Access::Write | Access::Device => "write",
        };
        let comma = if text.is_empty() { "" } else { ", " };
        let _ = write!(text, "{comma}{verb} {}", path.display());
    }
    if text.is_empty() { "none is opened".to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    #[test]
    fn a_file_may_be_replaced_where_its_name_is_and_where_that_leads() {
        let folder = std::env::temp_dir().join(format!("keyway-needs-{}", std::process::id()));
        fs::create_dir_all(folder.join("live")).unwrap();
        fs::create_dir_all(folder.join("archive")).unwrap();
        fs::write(folder.join("archive/a1.p12"), "").unwrap();
        symlink("../archive/a1.p12", folder.join("live/a.p12")).unwrap();
        let mut needs = Needs::default();
        needs.add_file(&folder.join("live/a.p12"), Access::Read);
        needs.add_file(Path::new("/a.p12"), Access::Read);
        needs.add_file(Path::new("/nowhere/audit.log"), Access::Write);
        let own = folder.canonicalize().unwrap();
        let expected = [
            ("/a.p12".into(), Access::Read),
            ("/nowhere".into(), Access::Write),
            (own.join("archive"), Access::Read),
            (folder.join("live"), Access::Read),
        ];
        assert_eq!(needs.paths, expected.into());
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn what_is_reached_is_told() {
        let mut needs = Needs::default();
        assert_eq!(describe(&needs), "none is opened");
        needs.add(Path::new("/data"), Access::Write);
        needs.add(Path::new("/etc"), Access::Read);
        assert_eq!(describe(&needs), "write /data, read /etc");
    }
}
