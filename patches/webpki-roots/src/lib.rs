//! In the place of the crate `webpki-roots`, by `[patch.crates-io]` of the server's `Cargo.toml`.
//!
//! acme-micro talks to the certification authority through ureq's default agent, which trusts what this crate says and
//! offers no other way. So it says what the server tells it to: [`trust`] sets the anchors of a thread, for a time. When
//! that is over there are none: acme-micro repeats some requests for ever, and the next one then fails.
#![forbid(unsafe_code)]
#![expect(clippy::disallowed_methods, reason = "ureq calls this, and cannot say what time it is")]

use pki_types::TrustAnchor;
use std::cell::RefCell;
use std::time::{Duration, Instant};

thread_local! {
    static TRUSTED: RefCell<Option<Trusted>> = const { RefCell::new(None) };
}

struct Trusted {
    anchors: Vec<TrustAnchor<'static>>,
    until: Instant,
}

/// The anchors that this thread trusts.
pub struct Anchors;

/// By the name, and with the one method, that ureq uses.
pub static TLS_SERVER_ROOTS: Anchors = Anchors;

impl Anchors {
    /// The anchors that were set for this thread, if their time is not over: at each connection, ureq asks anew.
    pub fn to_vec(&self) -> Vec<TrustAnchor<'static>> {
        TRUSTED.with_borrow(|trusted| match trusted {
            Some(Trusted { anchors, until }) if Instant::now() < *until => anchors.clone(),
            _ => Vec::new(),
        })
    }
}

/// Lets connections that this thread begins trust `anchors`, from now on and for so long.
pub fn trust(anchors: Vec<TrustAnchor<'static>>, duration: Duration) {
    TRUSTED.set(Some(Trusted { anchors, until: Instant::now() + duration }));
}

/// Trusts nobody any more.
pub fn distrust() {
    TRUSTED.set(None);
}

/// Whether this thread still trusts anybody.
pub fn trusts() -> bool {
    TRUSTED.with_borrow(|trusted| trusted.as_ref().is_some_and(|trusted| Instant::now() < trusted.until))
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
        trust(vec![anchor.clone()], Duration::from_secs(1000));
        assert_eq!(TLS_SERVER_ROOTS.to_vec(), std::slice::from_ref(&anchor));
        assert!(std::thread::spawn(|| TLS_SERVER_ROOTS.to_vec().is_empty()).join().unwrap());
        distrust();
        assert!(TLS_SERVER_ROOTS.to_vec().is_empty() && !trusts());
        trust(vec![anchor], Duration::ZERO);
        assert!(TLS_SERVER_ROOTS.to_vec().is_empty() && !trusts());
    }
}
