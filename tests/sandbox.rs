//! What a server that serves can no longer do, and that it can do all the rest.
//!
//! That every engine, the certificates bot, the bootstrap, backups and the devices work in the sandbox, all other tests
//! show: it is on unless it is turned off.
#![allow(unsafe_code)] // Calls that nobody makes in earnest; none of them takes an address that is not null or ours.
#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod support;

use keyway::config::Sandbox;
use keyway::shell::os;
use keyway::shell::sandbox::{self, Access, Needs};
use std::fs::{self, File};
use std::io::Error;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::symlink;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Output};
use support::certificates::{Authority, der};
use support::databases::{Database, Kind};
use support::issuer::{Key, KeyServer, key_set};
use support::{CREATE, Client, Scratch, Server, keyway, run, wait_for};

/// Tells a test that it runs in a process of its own, and with what.
const WITHIN: &str = "KEYWAY_TEST_WITHIN";

/// Runs a test of this program in a process of its own.
fn within(test: &str, with: &str) -> Output {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args([test, "--exact", "--nocapture"]).env(WITHIN, with).output().unwrap()
}

/// Makes this process what a server is.
fn enter(needs: &Needs) {
    os::harden().unwrap();
    sandbox::enter(Sandbox::Enforce, needs);
}

/// A call without arguments: what it gives, or its error.
fn call(number: libc::c_long) -> Result<libc::c_long, i32> {
    call_with(number, [0; 4])
}

fn call_with(number: libc::c_long, arguments: [libc::c_long; 4]) -> Result<libc::c_long, i32> {
    let [a, b, c, d] = arguments;
    // SAFETY: no address among the arguments is written to, except by calls that are refused.
    match unsafe { libc::syscall(number, a, b, c, d) } {
        -1 => Err(Error::last_os_error().raw_os_error().unwrap()),
        value => Ok(value),
    }
}

const HOSTILE: &[(&str, libc::c_long)] = &[
    ("execve", libc::SYS_execve),
    ("execveat", libc::SYS_execveat),
    // Without any flag it makes a process.
    ("clone", libc::SYS_clone),
    ("ptrace", libc::SYS_ptrace),
    ("process_vm_readv", libc::SYS_process_vm_readv),
    ("unshare", libc::SYS_unshare),
    ("setns", libc::SYS_setns),
    ("chroot", libc::SYS_chroot),
    ("mount", libc::SYS_mount),
    ("open_by_handle_at", libc::SYS_open_by_handle_at),
    ("setuid", libc::SYS_setuid),
    ("setgroups", libc::SYS_setgroups),
    ("capset", libc::SYS_capset),
    ("init_module", libc::SYS_init_module),
    ("kexec_load", libc::SYS_kexec_load),
    ("bpf", libc::SYS_bpf),
    ("perf_event_open", libc::SYS_perf_event_open),
    ("userfaultfd", libc::SYS_userfaultfd),
    ("io_uring_setup", libc::SYS_io_uring_setup),
    ("keyctl", libc::SYS_keyctl),
    #[cfg(target_arch = "x86_64")]
    ("fork", libc::SYS_fork),
    #[cfg(target_arch = "x86_64")]
    ("getpid of x32", 0x4000_0000 | libc::SYS_getpid),
];

#[test]
fn what_only_an_attacker_calls_ends_the_process() {
    if let Some(with) = std::env::var_os(WITHIN) {
        let (_, number) = HOSTILE.iter().find(|(name, _)| with == *name).unwrap();
        enter(&Needs { sockets: true, ..Needs::default() });
        let _ = call(*number);
        std::process::exit(0);
    }
    for (name, _) in HOSTILE {
        let ended = within("what_only_an_attacker_calls_ends_the_process", name);
        assert_eq!(ended.status.signal(), Some(libc::SIGSYS), "{name}: {ended:?}");
        assert!(!ended.status.core_dumped());
    }
}

#[test]
fn a_program_is_not_started() {
    if std::env::var_os(WITHIN).is_some() {
        enter(&Needs { sockets: true, ..Needs::default() });
        let _ = Command::new("true").status();
        std::process::exit(0);
    }
    let ended = within("a_program_is_not_started", "");
    assert_eq!(ended.status.signal(), Some(libc::SIGSYS), "{ended:?}");
}

#[test]
fn where_it_is_only_logged_all_is_done() {
    if std::env::var_os(WITHIN).is_some() {
        sandbox::enter(Sandbox::Log, &Needs::default());
        assert!(Command::new("true").status().unwrap().success());
        fs::read("/etc/passwd").unwrap();
        return;
    }
    let ended = within("where_it_is_only_logged_all_is_done", "");
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
}

#[test]
fn what_is_not_needed_is_refused() {
    if std::env::var_os(WITHIN).is_none() {
        let ended = within("what_is_not_needed_is_refused", "");
        assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
        return;
    }
    enter(&Needs { sockets: true, ..Needs::default() });
    let (own, page) = (std::process::id().into(), 4096);
    let executable = (libc::PROT_READ | libc::PROT_EXEC).into();
    let anonymous = (libc::MAP_PRIVATE | libc::MAP_ANONYMOUS).into();
    let limit = libc::rlimit { rlim_cur: 1, rlim_max: 1 };
    let limit = std::ptr::from_ref(&limit) as libc::c_long;
    for (number, arguments, error) in [
        (libc::SYS_mmap, [0, page, executable, anonymous], libc::EPERM),
        (libc::SYS_mprotect, [0, page, executable, 0], libc::EPERM),
        (libc::SYS_socket, [libc::AF_PACKET.into(), libc::SOCK_RAW.into(), 0, 0], libc::EPERM),
        (libc::SYS_prctl, [libc::PR_SET_DUMPABLE.into(), 1, 0, 0], libc::EPERM),
        (libc::SYS_prlimit64, [0, libc::RLIMIT_CORE.into(), limit, 0], libc::EPERM),
        // TIOCSTI, as the kernel names it everywhere.
        (libc::SYS_ioctl, [0, 0x5412, 0, 0], libc::EPERM),
        (libc::SYS_tgkill, [1, 1, 0, 0], libc::EPERM),
        (libc::SYS_kill, [1, 0, 0, 0], libc::EPERM),
        (libc::SYS_memfd_create, [0; 4], libc::ENOSYS),
        (libc::SYS_symlinkat, [0; 4], libc::ENOSYS),
        (libc::SYS_mknodat, [0; 4], libc::ENOSYS),
        (libc::SYS_clone3, [0; 4], libc::ENOSYS),
        (libc::SYS_seccomp, [0; 4], libc::ENOSYS),
        // There is no such call.
        (4000, [0; 4], libc::ENOSYS),
    ] {
        assert_eq!(call_with(number, arguments), Err(error), "{number}");
    }
    assert_eq!(call(libc::SYS_getpid), Ok(own));
    assert_eq!(call_with(libc::SYS_kill, [own, 0, 0, 0]), Ok(0));
    assert!(call_with(libc::SYS_prlimit64, [0, libc::RLIMIT_CORE.into(), 0, 0]).is_ok());
    let inet = [libc::AF_INET.into(), libc::SOCK_STREAM.into(), 0, 0];
    assert!(call_with(libc::SYS_socket, inet).is_ok());
    // A thread is no process, and is restricted as all are.
    let executable = [0, page, executable, anonymous];
    let other = std::thread::spawn(move || call_with(libc::SYS_mmap, executable));
    assert_eq!(other.join().unwrap(), Err(libc::EPERM));
}

#[test]
fn who_connects_to_nobody_makes_no_socket() {
    if std::env::var_os(WITHIN).is_none() {
        let ended = within("who_connects_to_nobody_makes_no_socket", "");
        assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
        return;
    }
    enter(&Needs::default());
    for number in
        [libc::SYS_socket, libc::SYS_connect, libc::SYS_bind, libc::SYS_listen, libc::SYS_socketpair]
    {
        assert_eq!(call(number), Err(libc::ENOSYS), "{number}");
    }
}

#[test]
fn files_and_ports_are_those_that_were_told() {
    if !has_landlock() {
        return support::mounts::skipped("nothing, since the kernel has no Landlock");
    }
    let Some(with) = std::env::var_os(WITHIN) else {
        let scratch = Scratch::new();
        for folder in ["data", "read", "other"] {
            fs::create_dir(scratch.file(folder)).unwrap();
            fs::write(scratch.file(&format!("{folder}/file")), "text").unwrap();
        }
        symlink(scratch.file("other"), scratch.file("data/link")).unwrap();
        let ended = within("files_and_ports_are_those_that_were_told", scratch.path().to_str().unwrap());
        assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
        return;
    };
    let at = |name: &str| Path::new(&with).join(name);
    let (open, known) = (File::open(at("other/file")).unwrap(), support::free_port());
    let mut needs = Needs { sockets: true, ports: [known].into(), ..Needs::default() };
    needs.add(&at("data"), Access::Write);
    needs.add(&at("read"), Access::Read);
    needs.add(&at("not there"), Access::Write);
    enter(&needs);

    fs::write(at("data/new"), "text").unwrap();
    fs::rename(at("data/new"), at("data/file")).unwrap();
    fs::remove_file(at("data/file")).unwrap();
    fs::read_dir(at("data")).unwrap();
    assert_eq!(fs::read_to_string(at("read/file")).unwrap(), "text");
    assert_eq!(std::io::read_to_string(open).unwrap(), "text");
    let refused = |result: std::io::Result<()>, what: &str| {
        assert_eq!(result.map_err(|error| error.raw_os_error()), Err(Some(libc::EACCES)), "{what}");
    };
    refused(fs::write(at("read/file"), ""), "to write what is to be read");
    refused(fs::write(at("read/new"), ""), "to make a file where others are read");
    refused(fs::remove_file(at("read/file")), "to remove it");
    refused(File::options().write(true).truncate(true).open(at("read/file")).map(drop), "to cut it");
    refused(fs::read(at("other/file")).map(drop), "another folder");
    refused(fs::read(at("data/link/file")).map(drop), "another folder through a link");
    refused(fs::read("/proc/self/root/etc/passwd").map(drop), "all through a link of the kernel's");
    refused(fs::read("/proc/self/environ").map(drop), "the process itself");
    refused(fs::read_dir("/").map(drop), "what there is");
    refused(TcpListener::bind("127.0.0.1:0").map(drop), "to listen anywhere");
    TcpListener::bind(("127.0.0.1", known)).unwrap();
}

fn has_landlock() -> bool {
    call_with(libc::SYS_landlock_create_ruleset, [0, 0, 1, 0]).is_ok()
}

/// What the kernel says of all threads of a process: one line a thread, of those that begin with `name`.
fn of_all_threads(server: &Server, name: &str) -> Vec<String> {
    let tasks = fs::read_dir(format!("/proc/{}/task", server.pid())).unwrap();
    let status =
        |task: std::io::Result<fs::DirEntry>| fs::read_to_string(task.unwrap().path().join("status"));
    let line = |status: String| status.lines().find(|line| line.starts_with(name)).unwrap().to_owned();
    tasks.map(|task| line(status(task).unwrap())).collect()
}

#[test]
fn every_thread_of_a_server_is_restricted_unless_that_is_turned_off() {
    for (mode, seccomp, told) in [
        (&[][..], "Seccomp:\t2", "system calls are restricted: no new sockets"),
        (&["--sandbox", "log"], "Seccomp:\t2", "but the kernel logs those that would be (--sandbox log)"),
        (&["--sandbox", "off"], "Seccomp:\t0", "there is no sandbox (--sandbox off)"),
    ] {
        let scratch = Scratch::new();
        let server = Server::start(scratch.path(), mode);
        server.wait_for_log(told);
        assert_eq!(Client::connect(server.port).post("/kmip/2_1", CREATE).0, 200);
        let threads = of_all_threads(&server, "Seccomp:");
        assert!(threads.len() > 8 && threads.iter().all(|line| line == seccomp), "{threads:?}");
        assert!(of_all_threads(&server, "NoNewPrivs:").iter().all(|line| line == "NoNewPrivs:\t1"));
        let limits = fs::read_to_string(format!("/proc/{}/limits", server.pid())).unwrap();
        let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
        assert_eq!(core.split_whitespace().skip(4).collect::<Vec<_>>(), ["0", "0", "bytes"]);
        assert_eq!(server.terminate().code(), Some(0));
    }
}

#[test]
fn a_certificate_is_read_where_it_was_told_to_be_and_nowhere_else() {
    if !has_landlock() {
        return support::mounts::skipped("nothing, since the kernel has no Landlock");
    }
    let (authority, scratch) = (Authority::new(), Scratch::new());
    authority.server("first", "P-256");
    authority.server("second", "P-256");
    fs::create_dir(scratch.file("told")).unwrap();
    let file = scratch.file("told/server.p12");
    authority.export_to(&file, "first", "password", &[]);
    let elsewhere = authority.export("second", "password", &[]);
    let server =
        Server::start(scratch.path(), &["--https-p12-file", &file, "--https-p12-password", "password"]);
    fs::remove_file(&file).unwrap();
    symlink(&elsewhere, &file).unwrap();
    server.signal("HUP");
    server.wait_for_log("Permission denied");
    fs::remove_file(&file).unwrap();
    fs::copy(&elsewhere, scratch.file("told/new.p12")).unwrap();
    fs::rename(scratch.file("told/new.p12"), &file).unwrap();
    server.signal("HUP");
    let second = keyway::crypto::sha256(&der(&authority.file("second.pem")));
    let fingerprint: String = second.iter().map(|byte| format!("{byte:02x}")).collect();
    server.wait_for_log(&fingerprint);
}

#[test]
fn names_are_looked_up_in_it() {
    let (key, scratch) = (Key::new("k", "RS256"), Scratch::new());
    let keys = KeyServer::new(key_set(&[&key.jwk("")]));
    let uri = format!("{}/.well-known/jwks.json", keys.issuer()).replace("127.0.0.1", "localhost");
    assert!(uri.contains("localhost"), "{uri}");
    let server = Server::start(scratch.path(), &["--jwt-issuer-uri", &keys.issuer(), "--jwks-uri", &uri]);
    server.wait_for_log("read /etc");
    wait_for("the keys", || (Client::connect(server.port).get("/health/ready").0 == 200).then_some(()));
}

/// Connects anew from within the sandbox: by a name, over TLS, and to MariaDB with a certificate, whose key its library
/// reads from a pipe in `/proc`.
fn finds_its_database_again(kind: Kind) {
    let (mut database, scratch) = (Database::start(kind), Scratch::new());
    let root = database.authority.file("root.pem");
    database.authority.client("keyway");
    let certificate = database.authority.export("keyway", "password", &[]);
    let (engine, url) = match kind {
        Kind::MariaDb => ("mysql", format!("{}?ssl-ca={root}", database.url_of_certified())),
        Kind::Postgres => {
            ("postgresql", format!("{}?sslmode=verify-full&sslrootcert={root}", database.url_of_tls()))
        }
        Kind::Redis => ("redis", format!("{}?ssl-ca={root}", database.url_of_tls())),
    };
    let url = url.replace("127.0.0.1", "localhost");
    let mut options = vec!["--database-type", engine, "--database-url", &url];
    if kind == Kind::MariaDb {
        options.extend(["--mysql-user-cert-file", &certificate, "--mysql-user-cert-password", "password"]);
    }
    let server = Server::start(scratch.path(), &options);
    let create = || Client::connect(server.port).post("/kmip/2_1", CREATE).0;
    assert_eq!(create(), 200);
    database.crash();
    assert_ne!(create(), 200);
    database.resume();
    wait_for("the database", || (create() == 200).then_some(()));
    assert!(of_all_threads(&server, "Seccomp:").iter().all(|line| line == "Seccomp:\t2"));
}

#[test]
fn mariadb_is_found_again() {
    finds_its_database_again(Kind::MariaDb);
}

#[test]
fn postgresql_is_found_again() {
    finds_its_database_again(Kind::Postgres);
}

#[test]
fn redis_is_found_again() {
    finds_its_database_again(Kind::Redis);
}

/// A kernel without what the sandbox needs, as far as the program can tell.
const OLD_KERNEL: &str = r#"
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <sys/syscall.h>
long syscall(long number, long a, long b, long c, long d, long e, long f) {
    if (number == SYS_seccomp || number == SYS_landlock_create_ruleset) {
        errno = ENOSYS;
        return -1;
    }
    long (*real)(long, ...) = dlsym(RTLD_NEXT, "syscall");
    return real(number, a, b, c, d, e, f);
}
"#;

#[test]
fn where_the_kernel_has_no_such_thing_the_server_says_so_and_serves() {
    let scratch = Scratch::new();
    let (source, library) = (scratch.file("old.c"), scratch.file("old.so"));
    fs::write(&source, OLD_KERNEL).unwrap();
    run("cc", ["-shared", "-fPIC", "-o", &library, &source, "-ldl"]);
    let mut command = keyway(&[]);
    command.env("LD_PRELOAD", &library);
    let server = Server::spawn(scratch.path(), command);
    server.wait_for_log("WARN  shell::sandbox: files are not restricted: the kernel offers no Landlock (");
    server.wait_for_log("system calls are not restricted: the kernel offers no seccomp filter (");
    assert_eq!(Client::connect(server.port).post("/kmip/2_1", CREATE).0, 200);
    TcpStream::connect(("127.0.0.1", server.port)).unwrap();
}

#[test]
fn modes_are_off_log_and_enforce() {
    let (code, told) = support::keyway_fails(&["--sandbox", "on"]);
    assert_eq!(
        (code, told.as_str()),
        (2, "keyway: --sandbox \"on\" (command line): must be off, log or enforce\n")
    );
}
