//! What only the operating system has: clocks, randomness, limits of the process, listening sockets.
#![allow(unsafe_code)] // System calls that std does not offer; each block is one call and says why it is sound.

use crate::entropy::Entropy;
use crate::time::{Instant, Now, Timestamp};
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::time::Duration;

/// The two clocks of the system. Copies share their origin, so that their readings can be compared.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    origin: std::time::Instant,
}

impl Clock {
    /// A clock whose monotonic origin is this call.
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the monotonic clock")]
    pub fn start() -> Clock {
        Clock { origin: std::time::Instant::now() }
    }

    /// Reads both clocks (about 50 ns: no system call).
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the monotonic clock")]
    pub fn now(&self) -> Now {
        let elapsed = std::time::Instant::now().duration_since(self.origin);
        let nanoseconds = u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX);
        let (utc, utc_millis) = utc_and_millis();
        Now { instant: Instant::from_nanos(nanoseconds), utc, utc_millis }
    }
}

/// Reads the calendar clock. Log lines need it outside of any call of the core.
pub(crate) fn utc_now() -> Timestamp {
    utc_and_millis().0
}

fn utc_and_millis() -> (Timestamp, u16) {
    let seconds = |d: Duration| i64::try_from(d.as_secs()).unwrap_or(i64::MAX);
    match since_1970() {
        Ok(after) => (Timestamp::from_unix(seconds(after)), after.subsec_millis() as u16),
        Err(before) => (Timestamp::from_unix(-seconds(before)), 0),
    }
}

/// The calendar clock; what is missing until 1970 where it is before that.
#[expect(clippy::disallowed_methods, reason = "the one place that reads the calendar clock")]
fn since_1970() -> Result<Duration, Duration> {
    let now = std::time::SystemTime::now();
    now.duration_since(std::time::UNIX_EPOCH).map_err(|before| before.duration())
}

/// The kernel's generator, asked for every call: bytes kept in user space would be handed out twice when a snapshot of
/// a virtual machine is resumed or a process forks, and a repeated nonce breaks AES-GCM.
#[derive(Clone, Copy, Debug, Default)]
pub struct OsEntropy;

impl Entropy for OsEntropy {
    fn fill(&mut self, bytes: &mut [u8]) {
        let mut filled = 0;
        while filled < bytes.len() {
            let rest = &mut bytes[filled..];
            // SAFETY: `rest` is valid for writes of its own length.
            let n = unsafe { libc::getrandom(rest.as_mut_ptr().cast(), rest.len(), 0) };
            match usize::try_from(n) {
                Ok(n) => filled += n,
                Err(_) if io::Error::last_os_error().kind() == io::ErrorKind::Interrupted => {}
                Err(_) => {
                    ::log::error!("the kernel gives no randomness: {}", io::Error::last_os_error());
                    std::process::abort();
                }
            }
        }
    }

    fn unix_time(&mut self) -> Duration {
        since_1970().unwrap_or_default()
    }
}

/// Keeps the memory and the files of this process from others: files are created for the owner only, no core dumps, no
/// debugger without privileges, no privileges through set-user-ID programs.
pub fn harden() -> io::Result<()> {
    // SAFETY: umask takes an integer and cannot fail.
    unsafe { libc::umask(0o077) };
    set_limit(libc::RLIMIT_CORE, libc::rlimit { rlim_cur: 0, rlim_max: 0 })?;
    for (option, value) in [(libc::PR_SET_DUMPABLE, 0), (libc::PR_SET_NO_NEW_PRIVS, 1)] {
        // SAFETY: these options take integers only; the unused arguments must be zero.
        check(unsafe { libc::prctl(option, value as libc::c_ulong, 0, 0, 0) })?;
    }
    Ok(())
}

/// The process may not open as many files as its connections need.
#[derive(Debug, PartialEq, Eq)]
pub struct OpenFilesShort {
    /// Files that `connections_max` connections, the store and the listeners need.
    pub needed: u64,
    /// Files that the hard limit allows.
    pub allowed: u64,
}

impl fmt::Display for OpenFilesShort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let OpenFilesShort { needed, allowed } = self;
        write!(
            f,
            "{needed} open files are needed but only {allowed} allowed: raise the limit (ulimit -n, LimitNOFILE) or allow fewer connections"
        )
    }
}

/// Files besides the connections: standard streams, store, listeners, poll, signals, certificate.
const OTHER_FILES: u64 = 64;

/// Raises the soft limit of open files to what `connections_max` connections need, as far as the hard limit goes. An
/// error is a warning: the reactor waits when it runs out of files.
pub fn allow_open_files(connections_max: usize) -> Result<(), OpenFilesShort> {
    let needed = (connections_max + crate::limits::REFUSED_CONNECTIONS_MAX) as u64 + OTHER_FILES;
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` is valid for writes.
    let known = check(unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) });
    if known.is_ok() && limit.rlim_cur >= needed {
        return Ok(());
    }
    let raised = libc::rlimit { rlim_cur: needed.min(limit.rlim_max), rlim_max: limit.rlim_max };
    let allowed = match set_limit(libc::RLIMIT_NOFILE, raised) {
        Ok(()) => raised.rlim_cur,
        Err(_) => limit.rlim_cur,
    };
    if allowed >= needed { Ok(()) } else { Err(OpenFilesShort { needed, allowed }) }
}

/// A non-blocking listening socket. `[::]` takes IPv4 too, whatever the system's default is, and a restart need not
/// wait for the connections of the run before (SO_REUSEADDR).
pub(crate) fn listen(address: SocketAddr, backlog: i32) -> io::Result<TcpListener> {
    let family = if address.is_ipv4() { libc::AF_INET } else { libc::AF_INET6 };
    let kind = libc::SOCK_STREAM | libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
    // SAFETY: integers only.
    let raw = check(unsafe { libc::socket(family, kind, 0) })?;
    // SAFETY: the descriptor was just opened and belongs to nobody else.
    let socket = unsafe { OwnedFd::from_raw_fd(raw) };
    set_option(&socket, libc::SOL_SOCKET, libc::SO_REUSEADDR, 1)?;
    match address {
        SocketAddr::V4(v4) => {
            let name = libc::sockaddr_in {
                sin_family: libc::AF_INET as libc::sa_family_t,
                sin_port: v4.port().to_be(),
                sin_addr: libc::in_addr { s_addr: u32::from_ne_bytes(v4.ip().octets()) },
                sin_zero: [0; 8],
            };
            bind_to(&socket, &name)?;
        }
        SocketAddr::V6(v6) => {
            set_option(&socket, libc::IPPROTO_IPV6, libc::IPV6_V6ONLY, 0)?;
            let name = libc::sockaddr_in6 {
                sin6_family: libc::AF_INET6 as libc::sa_family_t,
                sin6_port: v6.port().to_be(),
                sin6_flowinfo: v6.flowinfo(),
                sin6_addr: libc::in6_addr { s6_addr: v6.ip().octets() },
                sin6_scope_id: v6.scope_id(),
            };
            bind_to(&socket, &name)?;
        }
    }
    // SAFETY: an open descriptor and an integer.
    check(unsafe { libc::listen(socket.as_raw_fd(), backlog) })?;
    Ok(TcpListener::from(socket))
}

/// The addresses of this machine's interfaces that others may use; none where the system does not tell.
pub fn local_addresses() -> Vec<IpAddr> {
    let mut first: *mut libc::ifaddrs = std::ptr::null_mut();
    // SAFETY: `first` is valid for writes.
    if unsafe { libc::getifaddrs(&mut first) } != 0 {
        return Vec::new();
    }
    let mut addresses = Vec::new();
    let mut next = first;
    while !next.is_null() {
        // SAFETY: a node of the list, which lives until it is freed below.
        let node = unsafe { &*next };
        next = node.ifa_next;
        if node.ifa_addr.is_null() {
            continue;
        }
        // SAFETY: checked for null; every address begins with its family.
        let address = match i32::from(unsafe { (*node.ifa_addr).sa_family }) {
            libc::AF_INET => {
                // SAFETY: an address of this family is a sockaddr_in.
                let v4 = unsafe { &*node.ifa_addr.cast::<libc::sockaddr_in>() };
                IpAddr::from(v4.sin_addr.s_addr.to_ne_bytes())
            }
            libc::AF_INET6 => {
                // SAFETY: an address of this family is a sockaddr_in6.
                let v6 = unsafe { &*node.ifa_addr.cast::<libc::sockaddr_in6>() };
                IpAddr::from(v6.sin6_addr.s6_addr)
            }
            _ => continue,
        };
        if !addresses.contains(&address) && addresses.len() < LOCAL_ADDRESSES_MAX {
            addresses.push(address);
        }
    }
    // SAFETY: the list that getifaddrs has made, which nobody uses any more.
    unsafe { libc::freeifaddrs(first) };
    addresses
}

/// Addresses of one machine that are of interest.
const LOCAL_ADDRESSES_MAX: usize = 32;

/// Binds to `name`, a `sockaddr_in` or `sockaddr_in6`.
fn bind_to<T>(socket: &OwnedFd, name: &T) -> io::Result<()> {
    let pointer: *const T = name;
    // SAFETY: `name` is valid for reads of its own size, and the kernel checks its family.
    check(unsafe { libc::bind(socket.as_raw_fd(), pointer.cast(), size_of::<T>() as libc::socklen_t) })?;
    Ok(())
}

fn set_option(socket: &OwnedFd, level: i32, name: i32, value: i32) -> io::Result<()> {
    let pointer: *const i32 = &value;
    let size = size_of::<i32>() as libc::socklen_t;
    // SAFETY: `value` is valid for reads of its own size.
    check(unsafe { libc::setsockopt(socket.as_raw_fd(), level, name, pointer.cast(), size) })?;
    Ok(())
}

/// The type of a resource's name differs between C libraries.
#[cfg(target_env = "gnu")]
type Resource = libc::__rlimit_resource_t;
#[cfg(not(target_env = "gnu"))]
type Resource = libc::c_int;

fn set_limit(resource: Resource, limit: libc::rlimit) -> io::Result<()> {
    // SAFETY: `limit` is valid for reads.
    check(unsafe { libc::setrlimit(resource, &limit) })?;
    Ok(())
}

/// The value of a system call, or `errno` for a negative one.
pub(super) fn check(value: i32) -> io::Result<i32> {
    if value < 0 { Err(io::Error::last_os_error()) } else { Ok(value) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entropy::random;

    #[test]
    fn the_monotonic_clock_never_goes_back() {
        let clock = Clock::start();
        let (first, second) = (clock.now(), clock.now());
        assert!(first.instant <= second.instant);
        assert!(first.utc > Timestamp::from_unix(1_700_000_000));
    }

    #[test]
    fn randomness_differs_from_call_to_call_and_fills_everything() {
        assert_ne!(random::<32>(&mut OsEntropy), random::<32>(&mut OsEntropy));
        let mut large = vec![0; 100_000];
        OsEntropy.fill(&mut large);
        assert!(large.chunks(16).all(|chunk| chunk.iter().any(|byte| *byte != 0)));
        OsEntropy.fill(&mut []);
    }

    #[test]
    fn a_hardened_process_dumps_no_core() {
        harden().unwrap();
        // SAFETY: integers only.
        assert_eq!(unsafe { libc::prctl(libc::PR_GET_DUMPABLE, 0, 0, 0, 0) }, 0);
        // SAFETY: integers only.
        assert_eq!(unsafe { libc::prctl(libc::PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) }, 1);
    }

    #[test]
    fn more_open_files_than_the_hard_limit_are_a_warning() {
        assert_eq!(allow_open_files(8), Ok(()));
        let short = OpenFilesShort { needed: 4176, allowed: 1024 };
        assert_eq!(
            short.to_string(),
            "4176 open files are needed but only 1024 allowed: raise the limit (ulimit -n, LimitNOFILE) or allow fewer connections"
        );
    }
}
