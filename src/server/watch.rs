//! A file that is looked at now and then, in a lane: read again when it has changed, or on demand.
#![forbid(unsafe_code)]

use crate::limits;
use crate::time::Instant;

/// What is known of the file.
pub struct Watch {
    /// The last content that was looked at, good or bad.
    digest: Option<[u8; 32]>,
    next_check: Instant,
    /// A job is under way; its answer moves `next_check`.
    loading: bool,
    /// Why the file could not be read last time, or what it holds not be used yet, so that it is told once.
    delayed: Option<String>,
}

impl Watch {
    /// A file that was just read.
    pub fn new(digest: [u8; 32], now: Instant) -> Watch {
        let next_check = now + limits::FILE_CHECK_INTERVAL;
        Watch { digest: Some(digest), next_check, loading: false, delayed: None }
    }

    /// When the file is looked at next.
    pub fn next_check(&self) -> Instant {
        self.next_check
    }

    /// Whether it is to be looked at now, and if so what is known of it. The one who asks does it.
    pub fn is_due(&mut self, now: Instant) -> Option<Option<[u8; 32]>> {
        if self.next_check > now {
            return None;
        }
        self.next_check = now + limits::FILE_CHECK_INTERVAL;
        (!std::mem::replace(&mut self.loading, true)).then_some(self.digest)
    }

    /// It is looked at now, whether it is time or not, and what is wrong with it is told again.
    pub fn begin(&mut self) {
        self.loading = true;
        self.delayed = None;
    }

    /// The lane has answered.
    pub fn end(&mut self, now: Instant) {
        self.loading = false;
        self.next_check = now + limits::FILE_CHECK_INTERVAL;
    }

    /// Whether this is not what was looked at last.
    pub fn is_new(&self, digest: Option<[u8; 32]>) -> bool {
        digest != self.digest
    }

    /// What was read is in use, or why not; with the digest of what was read, if it could be and is not to be looked at again.
    /// Gives the reason back where it is to be told: what may have another end without a change of the file is told once.
    pub fn judge(&mut self, digest: Option<[u8; 32]>, result: Result<(), String>) -> Result<(), String> {
        self.digest = digest.or(self.digest);
        match result {
            Err(reason) if digest.is_none() => {
                let is_known = self.delayed.replace(reason.clone()).is_some_and(|known| known == reason);
                if is_known { Ok(()) } else { Err(reason) }
            }
            result => {
                self.delayed = None;
                result
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_used_yet_is_told_once_and_looked_at_again() {
        let mut watch = Watch::new([1; 32], Instant::default());
        let early = || Err("valid from tomorrow".to_owned());
        assert_eq!(watch.judge(None, early()), early());
        assert_eq!(watch.judge(None, early()), Ok(()));
        assert_eq!(watch.judge(None, Err("unreadable".into())), Err("unreadable".into()));
        // On demand it is told again.
        assert_eq!(watch.judge(None, early()), early());
        watch.begin();
        assert_eq!(watch.judge(None, early()), early());
        watch.end(Instant::default());
        let at = watch.next_check();
        assert_eq!(watch.is_due(at), Some(Some([1; 32])), "the one in use");
        assert!(watch.is_new(Some([2; 32])));
        assert_eq!(watch.judge(Some([2; 32]), Ok(())), Ok(()));
        assert!(!watch.is_new(Some([2; 32])), "SIGHUP has it read again");
        watch.end(at);
        assert_eq!(watch.is_due(watch.next_check()), Some(Some([2; 32])));
    }
}
