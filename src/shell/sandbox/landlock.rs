//! Which files the process reaches, and which ports it binds (Linux, `Documentation/userspace-api/landlock.rst`).
//!
//! What a rule does not allow and the kernel knows to refuse is refused: to execute anything, wherever it is; files but
//! those below the rules' paths; links, devices and pipes anywhere. Files that are open stay open. A kernel that knows
//! less refuses less.
#![allow(unsafe_code)] // Three system calls that neither std nor libc offers; each block says why it is sound.

use super::{Access, Needs};
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

// `LANDLOCK_ACCESS_FS_*` of include/uapi/linux/landlock.h. Not granted to any path: EXECUTE (1 << 0), MAKE_CHAR (1 << 6),
// MAKE_FIFO (1 << 10), MAKE_BLOCK (1 << 11), MAKE_SYM (1 << 12), REFER (1 << 13).
const WRITE_FILE: u64 = 1 << 1;
const READ_FILE: u64 = 1 << 2;
const READ_DIR: u64 = 1 << 3;
const REMOVE_DIR: u64 = 1 << 4;
const REMOVE_FILE: u64 = 1 << 5;
const MAKE_DIR: u64 = 1 << 7;
const MAKE_REG: u64 = 1 << 8;
const MAKE_SOCK: u64 = 1 << 9;
const TRUNCATE: u64 = 1 << 14;
const IOCTL_DEV: u64 = 1 << 15;
/// Those that a rule about a file may grant.
const OF_FILES: u64 = WRITE_FILE | READ_FILE | TRUNCATE | IOCTL_DEV;

const BIND_TCP: u64 = 1 << 0;
const CONNECT_TCP: u64 = 1 << 1;
/// Abstract Unix sockets and signals of processes elsewhere (`LANDLOCK_SCOPE_*`).
const SCOPES: u64 = 1 << 0 | 1 << 1;

const RULE_PATH_BENEATH: libc::c_int = 1;
const RULE_NET_PORT: libc::c_int = 2;
const CREATE_RULESET_VERSION: libc::c_uint = 1 << 0;

/// `struct landlock_ruleset_attr`: what is refused unless a rule allows it.
#[repr(C)]
struct Handled {
    files: u64,
    ports: u64,
    scopes: u64,
}

impl Handled {
    /// All that a kernel of this version (ABI) can refuse.
    fn by(abi: i32, needs: &Needs) -> Handled {
        let files_bits = match abi {
            1 => 13,
            2 => 14,
            3 | 4 => 15,
            _ => 16,
        };
        let ports = match abi {
            ..4 => 0,
            // Whom it connects to is in answers of others: directories of authorities, clusters of databases.
            _ if needs.sockets => BIND_TCP,
            _ => BIND_TCP | CONNECT_TCP,
        };
        Handled { files: (1 << files_bits) - 1, ports, scopes: if abi < 6 { 0 } else { SCOPES } }
    }
}

/// `struct landlock_path_beneath_attr`.
#[repr(C, packed)]
struct PathBeneath {
    allowed: u64,
    parent: libc::c_int,
}

/// `struct landlock_net_port_attr`.
#[repr(C)]
struct NetPort {
    allowed: u64,
    port: u64,
}

/// Rules that threads can be put under.
pub(super) struct Rules {
    descriptor: OwnedFd,
    /// The version (ABI) of the kernel's Landlock.
    pub abi: i32,
}

/// The rules for these needs.
pub(super) fn rules(needs: &Needs) -> io::Result<Rules> {
    let abi = abi()?;
    let handled = Handled::by(abi, needs);
    let rules = create(&handled)?;
    for (path, access) in &needs.paths {
        // Where it is not there, nobody will find it there: another container, a device that is not plugged in.
        match add_path(&rules, path, *access, handled.files) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    for port in needs.ports.iter().filter(|_| handled.ports != 0) {
        let rule = NetPort { allowed: BIND_TCP, port: u64::from(*port) };
        add(&rules, RULE_NET_PORT, &rule)?;
    }
    Ok(Rules { descriptor: rules, abi })
}

impl Rules {
    /// Puts this thread, and those that it will start, under these rules and all that it is under already.
    pub fn apply(&self) -> io::Result<()> {
        // SAFETY: an open descriptor and an integer.
        check(unsafe { libc::syscall(libc::SYS_landlock_restrict_self, self.descriptor.as_raw_fd(), 0) })?;
        Ok(())
    }
}

fn abi() -> io::Result<i32> {
    let nothing = std::ptr::null::<Handled>();
    // SAFETY: with this flag, neither an address nor a size is looked at.
    check(unsafe {
        libc::syscall(libc::SYS_landlock_create_ruleset, nothing, 0usize, CREATE_RULESET_VERSION)
    })
}

fn create(handled: &Handled) -> io::Result<OwnedFd> {
    let (pointer, size): (*const Handled, usize) = (handled, size_of::<Handled>());
    // SAFETY: `handled` is valid for reads of its own size. A kernel that knows a shorter one wants zeros behind that,
    // and has them, since nothing is handled that its version does not know.
    let raw = check(unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, pointer, size, 0) })?;
    // SAFETY: the descriptor was just opened and belongs to nobody else.
    Ok(unsafe { OwnedFd::from_raw_fd(raw) })
}

fn add_path(rules: &OwnedFd, path: &Path, access: Access, handled: u64) -> io::Result<()> {
    // A place, not its content.
    let place: File = OpenOptions::new().read(true).custom_flags(libc::O_PATH).open(path)?;
    let allowed = match access {
        Access::Read => READ_FILE | READ_DIR,
        Access::Write => {
            READ_FILE | READ_DIR | WRITE_FILE | TRUNCATE | MAKE_REG | MAKE_DIR | MAKE_SOCK | REMOVE_FILE
        }
        Access::Device => READ_FILE | READ_DIR | WRITE_FILE | TRUNCATE | MAKE_DIR | REMOVE_DIR | IOCTL_DEV,
    };
    let of_its_kind = if place.metadata()?.is_dir() { u64::MAX } else { OF_FILES };
    let rule = PathBeneath { allowed: allowed & of_its_kind & handled, parent: place.as_raw_fd() };
    add(rules, RULE_PATH_BENEATH, &rule)
}

/// Adds a rule, a [`PathBeneath`] or a [`NetPort`].
fn add<Rule>(rules: &OwnedFd, kind: libc::c_int, rule: &Rule) -> io::Result<()> {
    let pointer: *const Rule = rule;
    // SAFETY: `rule` is valid for reads of the size that the kernel knows of its kind.
    check(unsafe { libc::syscall(libc::SYS_landlock_add_rule, rules.as_raw_fd(), kind, pointer, 0) })?;
    Ok(())
}

/// The value of a system call, or `errno` for a negative one.
fn check(value: libc::c_long) -> io::Result<i32> {
    if value < 0 { Err(io::Error::last_os_error()) } else { Ok(value as i32) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kernel_is_asked_for_what_it_knows() {
        let handled = |abi, sockets| {
            let handled = Handled::by(abi, &Needs { sockets, ..Needs::default() });
            (handled.files, handled.ports, handled.scopes)
        };
        assert_eq!(handled(1, true), (0x1FFF, 0, 0));
        assert_eq!(handled(2, true), (0x3FFF, 0, 0));
        assert_eq!(handled(3, false), (0x7FFF, 0, 0));
        assert_eq!(handled(4, true), (0x7FFF, 1, 0));
        assert_eq!(handled(5, false), (0xFFFF, 3, 0));
        assert_eq!(handled(6, false), (0xFFFF, 3, 3));
        assert_eq!(handled(9, true), (0xFFFF, 1, 3));
        assert_eq!((size_of::<Handled>(), size_of::<PathBeneath>(), size_of::<NetPort>()), (24, 12, 16));
    }
}
