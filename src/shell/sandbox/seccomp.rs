//! Which system calls the process makes (Linux, `Documentation/userspace-api/seccomp_filter.rst`): the table in
//! [`super::calls`] as a program for the kernel.
#![allow(unsafe_code)] // Two system calls that std does not offer; each block says why it is sound.

use super::Needs;
use super::calls::{self, Argument, Test, Verdict};
use crate::config::Sandbox;
use libc::{SECCOMP_RET_ALLOW, SECCOMP_RET_ERRNO, SECCOMP_RET_KILL_PROCESS, SECCOMP_RET_LOG, sock_filter};
use std::io;

/// `AUDIT_ARCH_*` of include/uapi/linux/audit.h: the numbers below mean something else to calls of other kinds (i386).
#[cfg(target_arch = "x86_64")]
const ARCHITECTURE: u32 = 0xC000_003E;
#[cfg(target_arch = "aarch64")]
const ARCHITECTURE: u32 = 0xC000_00B7;

// Offsets in `struct seccomp_data`, which is little-endian on both.
const NUMBER: u32 = 0;
const ARCHITECTURE_OF_CALL: u32 = 4;
const ARGUMENTS: u32 = 16;
/// From here on, numbers are those of x32.
#[cfg(target_arch = "x86_64")]
const X32: u32 = 0x4000_0000;

/// Restricts all threads of the process.
pub(super) fn filter(mode: Sandbox, needs: &Needs) -> io::Result<()> {
    let program = program(&calls::table(needs, std::process::id()), mode);
    let program = libc::sock_fprog {
        len: u16::try_from(program.len()).expect("the table is short"),
        filter: program.as_ptr().cast_mut(),
    };
    // Nothing runs in here that must not learn what the processor guesses: no mitigations (Linux before 5.16 has them for
    // whoever has a filter). Not all that offer filters know this flag.
    install(&program, libc::SECCOMP_FILTER_FLAG_TSYNC | libc::SECCOMP_FILTER_FLAG_SPEC_ALLOW)
        .or_else(|_| install(&program, libc::SECCOMP_FILTER_FLAG_TSYNC))
}

fn install(program: &libc::sock_fprog, flags: libc::c_ulong) -> io::Result<()> {
    let pointer: *const libc::sock_fprog = program;
    // SAFETY: the program is valid for reads of its length as long as this call lasts, and the kernel verifies it.
    match unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, flags, pointer) } {
        0 => Ok(()),
        ..0 => Err(io::Error::last_os_error()),
        thread => Err(io::Error::other(format!("thread {thread} has a filter of its own"))),
    }
}

/// What becomes of calls that are not allowed.
struct Actions {
    /// Of one that only an attacker makes.
    hostile: u32,
    /// Of one that is allowed with other arguments.
    refused: u32,
    /// Of one that is not in the table: as a kernel answers that does not have it, so that libraries which try what is new
    /// fall back to what is old.
    unknown: u32,
}

impl Actions {
    fn of(mode: Sandbox) -> Actions {
        match mode {
            Sandbox::Enforce => Actions {
                hostile: SECCOMP_RET_KILL_PROCESS,
                refused: errno(libc::EPERM),
                unknown: errno(libc::ENOSYS),
            },
            Sandbox::Off | Sandbox::Log => {
                Actions { hostile: SECCOMP_RET_LOG, refused: SECCOMP_RET_LOG, unknown: SECCOMP_RET_LOG }
            }
        }
    }
}

fn errno(number: i32) -> u32 {
    SECCOMP_RET_ERRNO | number as u32
}

/// The filter: one test after the other. (The kernel finds out at once for which numbers alone it always allows, and runs
/// the filter for the others only.)
fn program(table: &[(libc::c_long, Verdict)], mode: Sandbox) -> Vec<sock_filter> {
    let actions = Actions::of(mode);
    let mut program =
        vec![load(ARCHITECTURE_OF_CALL), jump(libc::BPF_JEQ, ARCHITECTURE, 1, 0), give(actions.hostile)];
    program.push(load(NUMBER));
    #[cfg(target_arch = "x86_64")]
    program.extend([jump(libc::BPF_JGE, X32, 0, 1), give(actions.hostile)]);
    for (number, verdict) in table {
        let rest = match verdict {
            Verdict::Allow => vec![give(SECCOMP_RET_ALLOW)],
            Verdict::Absent => vec![give(errno(libc::ENOSYS))],
            Verdict::Kill => vec![give(actions.hostile)],
            Verdict::AllowIf(argument) => allow_if(argument, actions.refused),
            Verdict::KillUnless(argument) => allow_if(argument, actions.hostile),
        };
        let number = u32::try_from(*number).expect("numbers of system calls are small");
        program.push(jump(libc::BPF_JEQ, number, 0, rest.len() as u8));
        program.extend(rest);
    }
    program.push(give(actions.unknown));
    program
}

/// Ends in two instructions: what is done otherwise, and that it is allowed.
fn allow_if(argument: &Argument, otherwise: u32) -> Vec<sock_filter> {
    let low = ARGUMENTS + 8 * argument.index;
    let mut program = vec![load(low)];
    match argument.test {
        Test::OneOf(values) => {
            let left = (1..=values.len() as u8).rev();
            program.extend(values.iter().zip(left).map(|(value, left)| jump(libc::BPF_JEQ, *value, left, 0)));
        }
        Test::Is(value) => program.push(jump(libc::BPF_JEQ, value, 1, 0)),
        Test::Without(bits) => program.push(jump(libc::BPF_JSET, bits, 0, 1)),
        Test::With(bits) => {
            program.push(statement(libc::BPF_ALU | libc::BPF_AND | libc::BPF_K, bits));
            program.push(jump(libc::BPF_JEQ, bits, 1, 0));
        }
        Test::IsNull => {
            program.push(jump(libc::BPF_JEQ, 0, 0, 2));
            program.push(load(low + 4));
            program.push(jump(libc::BPF_JEQ, 0, 1, 0));
        }
    }
    program.extend([give(otherwise), give(SECCOMP_RET_ALLOW)]);
    program
}

/// Loads four bytes of what is known of the call.
fn load(offset: u32) -> sock_filter {
    statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, offset)
}

/// Ends with this.
fn give(action: u32) -> sock_filter {
    statement(libc::BPF_RET | libc::BPF_K, action)
}

fn statement(code: u32, k: u32) -> sock_filter {
    sock_filter { code: code as u16, jt: 0, jf: 0, k }
}

/// Compares what was loaded with `k`, and passes over so many instructions.
fn jump(test: u32, k: u32, if_true: u8, if_false: u8) -> sock_filter {
    sock_filter { code: (libc::BPF_JMP | test | libc::BPF_K) as u16, jt: if_true, jf: if_false, k }
}
