//! In the place of the crate `webpki-roots`, by `[patch.crates-io]` of the server's `Cargo.toml`.
//!
//! acme-micro talks to the certification authority through ureq's default agent, which trusts what this crate says and
//! offers no other way; nor does mysql. So it says what the server tells it to: [`trust`] sets the anchors of a thread, for
//! a time and for so many connections. When these are over there are none: acme-micro repeats some requests for ever, and
//! the next one then fails.
#![forbid(unsafe_code)]
#![expect(clippy::disallowed_methods, reason = "clients call this, and cannot say what time it is")]

use pki_types::TrustAnchor;
use std::cell::RefCell;
use std::time::{Duration, Instant};

thread_local! {
    static TRUSTED: RefCell<Option<Trusted>> = const { RefCell::new(None) };
}

struct Trusted {
    anchors: Vec<TrustAnchor<'static>>,
    until: Instant,
    connections_left: u32,
}

impl Trusted {
    fn is_over(&self) -> bool {
        self.connections_left == 0 || self.until <= Instant::now()
    }
}

/// The anchors that this thread trusts.
pub struct Anchors;

/// By the name, and with the methods, that ureq and mysql use.
pub static TLS_SERVER_ROOTS: Anchors = Anchors;

impl Anchors {
    /// Those of [`Anchors::to_vec`].
    pub fn iter(&self) -> std::vec::IntoIter<TrustAnchor<'static>> {
        self.to_vec().into_iter()
    }

    /// The anchors that were set for this thread, if their time is not over: at each connection, its client asks anew.
    pub fn to_vec(&self) -> Vec<TrustAnchor<'static>> {
        TRUSTED.with_borrow_mut(|trusted| match trusted {
            Some(trusted) if !trusted.is_over() => {
                trusted.connections_left -= 1;
                trusted.anchors.clone()
            }
            _ => Vec::new(),
        })
    }
}

/// Lets connections that this thread begins trust `anchors`, from now on, for so long, and so many of them.
pub fn trust(anchors: Vec<TrustAnchor<'static>>, duration: Duration, connections_max: u32) {
    let until = Instant::now() + duration;
    TRUSTED.set(Some(Trusted { anchors, until, connections_left: connections_max }));
}

/// Trusts nobody any more.
pub fn distrust() {
    TRUSTED.set(None);
}

/// Whether this thread still trusts anybody.
pub fn trusts() -> bool {
    TRUSTED.with_borrow(|trusted| trusted.as_ref().is_some_and(|trusted| !trusted.is_over()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use pki_types::Der;

    #[test]
    fn anchors_are_trusted_by_their_thread_and_for_their_time() {
        let anchor = TrustAnchor {
            subject: Der::from_slice(b"subject"),
            subject_public_key_info: Der::from_slice(b"key"),
            name_constraints: None,
        };
        assert!(TLS_SERVER_ROOTS.to_vec().is_empty() && !trusts());
        trust(vec![anchor.clone()], Duration::from_secs(1000), 10);
        assert_eq!(TLS_SERVER_ROOTS.to_vec(), std::slice::from_ref(&anchor));
        assert!(std::thread::spawn(|| TLS_SERVER_ROOTS.to_vec().is_empty()).join().unwrap());
        distrust();
        assert!(TLS_SERVER_ROOTS.to_vec().is_empty() && !trusts());
        trust(vec![anchor.clone()], Duration::ZERO, 10);
        assert!(TLS_SERVER_ROOTS.to_vec().is_empty() && !trusts());
        trust(vec![anchor], Duration::from_secs(1000), 2);
        for left in [true, false] {
            assert_eq!(TLS_SERVER_ROOTS.to_vec().len(), 1);
            assert_eq!(trusts(), left);
        }
        assert!(TLS_SERVER_ROOTS.to_vec().is_empty());
    }
}
