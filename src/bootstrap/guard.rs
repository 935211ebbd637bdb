//! Who may provision the server: whoever knows the token, where there is one. An address that has tried wrong ones is shut
//! out for a while.
#![forbid(unsafe_code)]

use crate::secret::Secret;
use crate::time::Instant;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

/// Wrong tokens from one address until it is shut out.
pub const FAILURES_MAX: u32 = 5;
/// How long it is shut out, and how long failures are remembered.
pub const LOCKOUT: Duration = Duration::from_secs(5 * 60);
/// Addresses that are remembered; the one that would be forgotten first makes room.
const ADDRESSES_MAX: usize = 1024;

/// Lets the owner in.
pub struct Guard {
    token: Option<Secret>,
    failures: BTreeMap<IpAddr, Failures>,
}

struct Failures {
    count: u32,
    /// They are forgotten then.
    until: Instant,
}

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is the owner's, or there is no token.
    Allowed,
    /// It has no token, or a wrong one.
    Denied,
}

impl Guard {
    /// Lets in whoever has this token; without one, everybody.
    pub fn new(token: Option<Secret>) -> Guard {
        Guard { token, failures: BTreeMap::new() }
    }

    /// Whether there is a token.
    pub fn has_token(&self) -> bool {
        self.token.is_some()
    }

    /// Whether nothing is heard from this address at the moment.
    pub fn is_shut_out(&self, address: IpAddr, now: Instant) -> bool {
        let failures = self.failures.get(&network(address));
        failures.is_some_and(|failures| failures.count >= FAILURES_MAX && now < failures.until)
    }

    /// Judges a request by its `Authorization` (RFC 6750 section 2.1). A wrong token counts against the address.
    #[must_use = "a request is refused or served by it"]
    pub fn judge(&mut self, address: IpAddr, authorization: Option<&[u8]>, now: Instant) -> Verdict {
        let Some(token) = &self.token else { return Verdict::Allowed };
        if self.is_shut_out(address, now) {
            return Verdict::Denied;
        }
        let Some(presented) = authorization.and_then(bearer) else { return Verdict::Denied };
        if token.matches(presented) {
            self.failures.remove(&network(address));
            return Verdict::Allowed;
        }
        self.note_failure(network(address), now);
        Verdict::Denied
    }

    fn note_failure(&mut self, address: IpAddr, now: Instant) {
        self.failures.retain(|_, failures| now < failures.until);
        if self.failures.len() >= ADDRESSES_MAX && !self.failures.contains_key(&address) {
            let first =
                self.failures.iter().min_by_key(|(_, failures)| failures.until).map(|(first, _)| *first);
            first.map(|first| self.failures.remove(&first));
        }
        let failures = self.failures.entry(address).or_insert(Failures { count: 0, until: now });
        failures.count += 1;
        failures.until = now + LOCKOUT;
        if failures.count == FAILURES_MAX {
            log::warn!("{address}: {FAILURES_MAX} wrong tokens, shut out for {} s", LOCKOUT.as_secs());
        }
    }
}

/// The token after `Bearer`, whose case is of no meaning (RFC 9110 section 11.1).
fn bearer(authorization: &[u8]) -> Option<&[u8]> {
    const SCHEME: &[u8] = b"bearer ";
    let (scheme, token) = authorization.split_at_checked(SCHEME.len())?;
    scheme.eq_ignore_ascii_case(SCHEME).then_some(token.trim_ascii())
}

/// Whose addresses are counted together: of IPv6, the 64 bits that one customer gets.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(v4) => v4.into(),
        IpAddr::V6(v6) => std::net::Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX)).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
    const THERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 2));

    fn at(seconds: u64) -> Instant {
        Instant::default() + Duration::from_secs(seconds)
    }

    fn guard() -> Guard {
        Guard::new(Some(Secret::copy_of(b"open sesame")))
    }

    #[test]
    fn without_a_token_everybody_may_and_with_one_its_bearer() {
        assert_eq!(Guard::new(None).judge(HERE, None, at(0)), Verdict::Allowed);
        let mut guard = guard();
        for good in [&b"Bearer open sesame"[..], b"bearer  open sesame "] {
            assert_eq!(guard.judge(HERE, Some(good), at(0)), Verdict::Allowed);
        }
        for bad in [&b"Basic open sesame"[..], b"Bearer", b"open sesame", b"Bearer open sesam", b""] {
            assert_eq!(guard.judge(HERE, Some(bad), at(0)), Verdict::Denied);
        }
        assert_eq!(guard.judge(HERE, None, at(0)), Verdict::Denied);
    }

    #[test]
    fn five_wrong_tokens_shut_an_address_out_for_a_while() {
        let mut guard = guard();
        for failure in 0..FAILURES_MAX {
            assert!(!guard.is_shut_out(HERE, at(0)), "{failure}");
            assert_eq!(guard.judge(HERE, Some(b"Bearer wrong"), at(0)), Verdict::Denied);
        }
        assert!(guard.is_shut_out(HERE, at(299)) && !guard.is_shut_out(THERE, at(0)));
        assert_eq!(guard.judge(HERE, Some(b"Bearer open sesame"), at(299)), Verdict::Denied);
        assert_eq!(guard.judge(THERE, Some(b"Bearer open sesame"), at(299)), Verdict::Allowed);
        assert_eq!(guard.judge(HERE, Some(b"Bearer open sesame"), at(300)), Verdict::Allowed);
    }

    #[test]
    fn a_question_without_a_token_does_not_count() {
        let mut guard = guard();
        for _ in 0..100 {
            assert_eq!(guard.judge(HERE, None, at(0)), Verdict::Denied);
        }
        assert!(!guard.is_shut_out(HERE, at(0)));
    }

    #[test]
    fn what_is_remembered_is_bounded_and_ipv6_counts_by_network() {
        let mut guard = guard();
        for number in 0..10_000u32 {
            let address = IpAddr::V4(number.into());
            assert_eq!(guard.judge(address, Some(b"Bearer wrong"), at(1)), Verdict::Denied);
        }
        assert!(guard.failures.len() <= ADDRESSES_MAX);
        let mut guard = self::guard();
        for host in 0..5u128 {
            let address = IpAddr::V6(std::net::Ipv6Addr::from_bits(0x2001_0db8 << 96 | host));
            assert_eq!(guard.judge(address, Some(b"Bearer wrong"), at(1)), Verdict::Denied);
        }
        assert!(guard.is_shut_out("2001:db8::ffff".parse().unwrap(), at(2)));
    }
}
