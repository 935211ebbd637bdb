//! Signals as events of the reactor (signalfd): no handler runs, so that nothing is restricted to async-signal-safe code.
#![allow(unsafe_code)] // sigset and signalfd: std does not offer them; each block says why it is sound.

use super::os::check;
use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

/// What the operator asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// SIGTERM or SIGINT: finish what is in progress and exit; asked twice: exit at once.
    Terminate,
    /// SIGHUP: read files again, and begin a new audit log.
    Reload,
    /// SIGUSR1: take a new certificate.
    Renew,
}

impl Signal {
    /// The meaning of a signal's number; `None` for those that are not for the reactor.
    fn from_number(number: i32) -> Option<Signal> {
        match number {
            libc::SIGTERM | libc::SIGINT => Some(Signal::Terminate),
            libc::SIGHUP => Some(Signal::Reload),
            libc::SIGUSR1 => Some(Signal::Renew),
            _ => None,
        }
    }
}

/// The signals that wait for the reactor.
#[derive(Debug)]
pub struct Signals {
    fd: OwnedFd,
}

impl Signals {
    /// Keeps SIGTERM, SIGINT, SIGHUP and SIGUSR1 from their default action in this thread and in those it starts later (so call
    /// this before the first thread), and ignores SIGPIPE: a write to a closed socket is an error, not the end.
    pub fn block() -> io::Result<Signals> {
        let mut set = MaybeUninit::<libc::sigset_t>::uninit();
        // SAFETY: sigemptyset initialises the set it is given.
        check(unsafe { libc::sigemptyset(set.as_mut_ptr()) })?;
        for number in [libc::SIGTERM, libc::SIGINT, libc::SIGHUP, libc::SIGUSR1] {
            // SAFETY: the set was initialised above.
            check(unsafe { libc::sigaddset(set.as_mut_ptr(), number) })?;
        }
        // SAFETY: the set is initialised; the old mask is not asked for.
        let error = unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, set.as_ptr(), std::ptr::null_mut()) };
        if error != 0 {
            return Err(io::Error::from_raw_os_error(error));
        }
        // SAFETY: SIG_IGN is no function of ours that could be unsound.
        unsafe { libc::signal(libc::SIGPIPE, libc::SIG_IGN) };
        // SAFETY: the set is initialised; -1 asks for a new descriptor.
        let raw = check(unsafe { libc::signalfd(-1, set.as_ptr(), libc::SFD_NONBLOCK | libc::SFD_CLOEXEC) })?;
        // SAFETY: the descriptor was just opened and belongs to nobody else.
        Ok(Signals { fd: unsafe { OwnedFd::from_raw_fd(raw) } })
    }

    /// Lets `registry` tell when a signal waits.
    pub(super) fn register(&self, registry: &Registry, token: Token) -> io::Result<()> {
        registry.register(&mut SourceFd(&self.fd.as_raw_fd()), token, Interest::READABLE)
    }

    /// The next signal that waits, until there is none.
    pub(super) fn next(&self) -> Option<Signal> {
        loop {
            let mut info = MaybeUninit::<libc::signalfd_siginfo>::uninit();
            let size = size_of::<libc::signalfd_siginfo>();
            // SAFETY: `info` is valid for writes of `size` bytes.
            let n = unsafe { libc::read(self.fd.as_raw_fd(), info.as_mut_ptr().cast(), size) };
            if usize::try_from(n) != Ok(size) {
                if n < 0 && io::Error::last_os_error().kind() == io::ErrorKind::Interrupted {
                    continue;
                }
                return None;
            }
            // SAFETY: the kernel wrote the whole structure.
            let number = unsafe { info.assume_init() }.ssi_signo;
            if let Some(signal) = i32::try_from(number).ok().and_then(Signal::from_number) {
                return Some(signal);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_meanings() {
        assert_eq!(Signal::from_number(libc::SIGTERM), Some(Signal::Terminate));
        assert_eq!(Signal::from_number(libc::SIGINT), Some(Signal::Terminate));
        assert_eq!(Signal::from_number(libc::SIGHUP), Some(Signal::Reload));
        assert_eq!(Signal::from_number(libc::SIGUSR1), Some(Signal::Renew));
        assert_eq!(Signal::from_number(libc::SIGUSR2), None);
    }

    #[test]
    fn a_blocked_signal_waits_to_be_read() {
        let signals = Signals::block().unwrap();
        assert_eq!(signals.next(), None);
        // SAFETY: raise signals the calling thread, which blocks it.
        assert_eq!(unsafe { libc::raise(libc::SIGHUP) }, 0);
        assert_eq!(signals.next(), Some(Signal::Reload));
        assert_eq!(signals.next(), None);
    }
}
