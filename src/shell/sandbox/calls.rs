//! The system calls of a running server, by the names of x86_64 and of aarch64, and of both C libraries.
//!
//! What is not here does not exist. To add one: `--sandbox log`, and the kernel's log (audit type 1326) names what is missing.
#![forbid(unsafe_code)]

use super::Needs;
use libc::*;

/// What becomes of a system call.
#[derive(Clone, Copy, Debug)]
pub(super) enum Verdict {
    /// The server needs it.
    Allow,
    /// It needs it like this; else it is refused.
    AllowIf(Argument),
    /// It needs it like this; else it is somebody else who calls.
    KillUnless(Argument),
    /// It is tried before another one; the server is told that there is no such call, which is no fault of anybody.
    Absent,
    /// The server has no use for it, but who takes it over has.
    Kill,
}

/// What an argument must be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Argument {
    /// Which one.
    pub index: u32,
    /// What is asked of it.
    pub test: Test,
}

/// A question to an argument: to its lower half, which is all that the kernel takes of integers and flags.
#[derive(Clone, Copy, Debug)]
pub(super) enum Test {
    OneOf(&'static [u32]),
    Is(u32),
    /// None of these bits is set.
    Without(u32),
    /// All of these bits are set.
    With(u32),
    /// All of it is zero.
    IsNull,
}

/// The table for what is needed, in the process with this number.
pub(super) fn table(needs: &Needs, process: u32) -> Vec<(c_long, Verdict)> {
    let all = |calls: &[c_long], verdict: Verdict| calls.iter().map(move |call| (*call, verdict)).collect();
    let mut table: Vec<(c_long, Verdict)> = all(ALLOWED, Verdict::Allow);
    table.extend_from_slice(WITH_CONDITIONS);
    // A signal to itself is how a process aborts.
    table.extend::<Vec<_>>(all(&[SYS_kill, SYS_tgkill], Verdict::AllowIf(argument(0, Test::Is(process)))));
    if needs.sockets {
        table.extend_from_slice(SOCKETS);
    }
    table.extend::<Vec<_>>(all(HOSTILE, Verdict::Kill));
    table
}

const ALLOWED: &[c_long] = &[
    // Connections, and what wakes the reactor.
    SYS_epoll_pwait,
    SYS_epoll_ctl,
    SYS_read,
    SYS_write,
    SYS_readv,
    SYS_writev,
    SYS_recvfrom,
    SYS_sendto,
    SYS_recvmsg,
    SYS_sendmsg,
    SYS_accept4,
    SYS_close,
    SYS_shutdown,
    SYS_getsockopt,
    SYS_setsockopt,
    SYS_getsockname,
    SYS_getpeername,
    SYS_fcntl,
    SYS_ppoll,
    // Runtimes and pipes of clients of databases.
    SYS_epoll_create1,
    SYS_eventfd2,
    SYS_pipe2,
    // Files.
    SYS_pread64,
    SYS_pwrite64,
    SYS_preadv,
    SYS_pwritev,
    SYS_lseek,
    SYS_fsync,
    SYS_fdatasync,
    SYS_ftruncate,
    SYS_fallocate,
    SYS_flock,
    SYS_openat,
    SYS_fstat,
    SYS_newfstatat,
    SYS_statx,
    SYS_getdents64,
    SYS_faccessat,
    SYS_faccessat2,
    SYS_readlinkat,
    SYS_getcwd,
    SYS_mkdirat,
    SYS_unlinkat,
    RENAMEAT,
    SYS_renameat2,
    SYS_fchmod,
    SYS_fchmodat,
    SYS_umask,
    // Memory.
    SYS_brk,
    SYS_munmap,
    SYS_mremap,
    SYS_madvise,
    // Threads, time, randomness.
    SYS_futex,
    SYS_set_robust_list,
    SYS_set_tid_address,
    SYS_rseq,
    SYS_sched_yield,
    SYS_sched_getaffinity,
    SYS_getcpu,
    SYS_gettid,
    SYS_getpid,
    SYS_exit,
    SYS_exit_group,
    SYS_sigaltstack,
    SYS_rt_sigaction,
    SYS_rt_sigprocmask,
    SYS_rt_sigreturn,
    SYS_restart_syscall,
    SYS_nanosleep,
    SYS_clock_nanosleep,
    SYS_clock_gettime,
    SYS_clock_getres,
    SYS_gettimeofday,
    SYS_getrandom,
    // To give up more.
    SYS_landlock_create_ruleset,
    SYS_landlock_add_rule,
    SYS_landlock_restrict_self,
    // What C libraries want to know.
    SYS_uname,
    SYS_sysinfo,
    SYS_getuid,
    SYS_geteuid,
    SYS_getgid,
    SYS_getegid,
    // What aarch64 has never had.
    #[cfg(target_arch = "x86_64")]
    SYS_epoll_wait,
    #[cfg(target_arch = "x86_64")]
    SYS_poll,
    #[cfg(target_arch = "x86_64")]
    SYS_open,
    #[cfg(target_arch = "x86_64")]
    SYS_stat,
    #[cfg(target_arch = "x86_64")]
    SYS_lstat,
    #[cfg(target_arch = "x86_64")]
    SYS_access,
    #[cfg(target_arch = "x86_64")]
    SYS_readlink,
    #[cfg(target_arch = "x86_64")]
    SYS_mkdir,
    #[cfg(target_arch = "x86_64")]
    SYS_rmdir,
    #[cfg(target_arch = "x86_64")]
    SYS_unlink,
    #[cfg(target_arch = "x86_64")]
    SYS_rename,
    #[cfg(target_arch = "x86_64")]
    SYS_chmod,
    #[cfg(target_arch = "x86_64")]
    SYS_time,
];

/// libc does not name that of aarch64.
#[cfg(target_arch = "x86_64")]
const RENAMEAT: c_long = SYS_renameat;
#[cfg(target_arch = "aarch64")]
const RENAMEAT: c_long = 38;

const fn argument(index: u32, test: Test) -> Argument {
    Argument { index, test }
}

/// `PR_SET_VMA`: how C libraries name their memory.
const SET_VMA: u32 = 0x5356_4D41;
/// Of a TTY, `TIOCSTI` types what its owner will run: of all requests, only these are known.
const IOCTLS: &[u32] =
    &[FIONBIO as u32, FIONREAD as u32, FIOCLEX as u32, crate::tee::sev_snp::SNP_GET_REPORT];

const WITH_CONDITIONS: &[(c_long, Verdict)] = &[
    // Nothing becomes code that was not.
    (SYS_mmap, Verdict::AllowIf(argument(2, Test::Without(PROT_EXEC as u32)))),
    (SYS_mprotect, Verdict::AllowIf(argument(2, Test::Without(PROT_EXEC as u32)))),
    // Threads, no processes. The flags of clone3 are where no filter can read them; without it, clone is called.
    (SYS_clone3, Verdict::Absent),
    (SYS_clone, Verdict::KillUnless(argument(0, Test::With((CLONE_VM | CLONE_THREAD) as u32)))),
    (SYS_prctl, Verdict::AllowIf(argument(0, Test::OneOf(&[PR_SET_NAME as u32, SET_VMA])))),
    (SYS_ioctl, Verdict::AllowIf(argument(1, Test::OneOf(IOCTLS)))),
    // Limits are read, not set.
    (SYS_prlimit64, Verdict::AllowIf(argument(2, Test::IsNull))),
];

/// To connect, to look names up, and to listen where only later somebody is to be let in. Netlink tells which addresses
/// this machine has, by which those of a name are put in order (RFC 6724).
const SOCKETS: &[(c_long, Verdict)] = &[
    (SYS_socket, Verdict::AllowIf(argument(0, Test::OneOf(FAMILIES)))),
    (SYS_connect, Verdict::Allow),
    (SYS_bind, Verdict::Allow),
    (SYS_listen, Verdict::Allow),
    (SYS_sendmmsg, Verdict::Allow),
    (SYS_recvmmsg, Verdict::Allow),
];
const FAMILIES: &[u32] = &[AF_INET as u32, AF_INET6 as u32, AF_UNIX as u32, AF_NETLINK as u32];

const HOSTILE: &[c_long] = &[
    // Other programs.
    SYS_execve,
    SYS_execveat,
    #[cfg(target_arch = "x86_64")]
    SYS_fork,
    #[cfg(target_arch = "x86_64")]
    SYS_vfork,
    // Other processes.
    SYS_ptrace,
    SYS_process_vm_readv,
    SYS_process_vm_writev,
    SYS_process_madvise,
    SYS_pidfd_getfd,
    SYS_kcmp,
    // Other views of the system.
    SYS_unshare,
    SYS_setns,
    SYS_chroot,
    SYS_pivot_root,
    SYS_mount,
    SYS_umount2,
    SYS_move_mount,
    SYS_open_tree,
    SYS_fsopen,
    SYS_open_by_handle_at,
    // Another user.
    SYS_setuid,
    SYS_setgid,
    SYS_setreuid,
    SYS_setregid,
    SYS_setresuid,
    SYS_setresgid,
    SYS_setgroups,
    SYS_capset,
    // The kernel itself, and where its faults were found.
    SYS_init_module,
    SYS_finit_module,
    SYS_delete_module,
    SYS_kexec_load,
    SYS_reboot,
    SYS_bpf,
    SYS_perf_event_open,
    SYS_userfaultfd,
    SYS_io_uring_setup,
    SYS_add_key,
    SYS_request_key,
    SYS_keyctl,
];
