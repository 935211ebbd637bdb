//! The state machine of the certificates bot: it is told what happened, and answers with what to do.
//!
//! ```text
//!             Begin(kind)            Prove(challenges)           Finish
//!  Waiting ---------------> Beginning ----------------> Proving ---------> Finishing ----> Waiting
//!     ^                        |                           |                   |
//!     +------------------------+---- failed: later, or at once by another challenge
//! ```
#![forbid(unsafe_code)]

use super::challenge::{Challenge, Kind};
use super::failure::{Failure, Kind as FailureKind};
use super::history::Entry;
use super::renewal_info::Window;
use super::schedule::{self, Schedule, Validity};
use super::{ChallengeChoice, Settings};
use crate::entropy::Entropy;
use crate::time::{Instant, Now, Timestamp};
use log::{error, info, warn};
use std::sync::Arc;
use std::time::Duration;

/// How often in a row an order is begun again, at once, after its signature was refused: each does so with a chance of
/// one in ten.
const SIGNATURE_RETRIES_MAX: u32 = 12;
/// How often the authority is asked when it would like the certificate to be renewed.
const RENEWAL_INFO_INTERVAL: Duration = Duration::from_secs(6 * 60 * 60);

/// What is to be done next.
pub enum Action {
    /// Begin an order in its lane, and tell [`Bot::begun`].
    Begin(Kind),
    /// Let these be found by the authority, then tell [`Bot::proving`].
    Prove(Vec<Challenge>),
    /// Let the authority look, fetch and store the certificate in the lane, and tell [`Bot::finished`].
    Finish,
    /// Ask the authority when to renew, in the lane, and tell [`Bot::advised`].
    AskRenewalInfo,
}

/// What an order gave.
#[derive(Clone, Copy, Debug)]
pub struct Issued {
    /// Of the new certificate.
    pub validity: Validity,
    /// The challenge that was proved, for this order or for one before whose proof still holds.
    pub proved: Option<Kind>,
}

/// Decides when to order and how.
pub struct Bot {
    settings: Arc<Settings>,
    schedule: Schedule,
    stage: Stage,
    /// The challenges in the order in which they are tried.
    kinds: Vec<Kind>,
    /// Those that this order has not tried yet.
    untried: Vec<Kind>,
    signature_retries: u32,
    last_failure: Option<Failure>,
    has_certificate: bool,
    ask_renewal_info_at: Option<Instant>,
    was_implausible: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Waiting,
    Beginning(Kind),
    Proving(Kind),
    Finishing(Kind),
}

/// How the bot is, for those who ask.
pub struct Status<'a> {
    /// Whether a certificate of the authority is in use.
    pub has_certificate: bool,
    /// Whether an order is under way.
    pub is_ordering: bool,
    /// Failures since the last certificate.
    pub failures: u32,
    /// The last of them.
    pub last_failure: Option<&'a Failure>,
    /// When the certificate is to be renewed.
    pub renew_at: Option<Timestamp>,
}

/// A certificate that was stored.
#[derive(Clone, Copy, Debug)]
pub struct Stored {
    /// Of the certificate.
    pub validity: Validity,
    /// The challenge that worked for it.
    pub challenge: Option<Kind>,
    /// Whether it is what would be ordered now: these names, this authority.
    pub is_as_wanted: bool,
}

impl Bot {
    /// A bot with the certificate that was stored, if there is one.
    pub fn new(
        settings: Arc<Settings>,
        stored: Option<Stored>,
        history: &[Entry],
        entropy: &mut dyn Entropy,
        now: Now,
    ) -> Bot {
        let mut schedule = Schedule::after(history, now);
        let mut kinds = match settings.challenge {
            ChallengeChoice::Auto => vec![Kind::TlsAlpn01, Kind::Http01],
            ChallengeChoice::Only(kind) => vec![kind],
        };
        if let Some(stored) = stored {
            if stored.is_as_wanted {
                schedule.in_use(stored.validity, false, entropy, now);
            }
            if let Some(worked) = stored.challenge {
                kinds.sort_by_key(|kind| *kind != worked);
            }
        }
        Bot {
            settings,
            schedule,
            stage: Stage::Waiting,
            untried: Vec::new(),
            kinds,
            signature_retries: 0,
            last_failure: None,
            has_certificate: stored.is_some(),
            ask_renewal_info_at: stored.filter(|stored| stored.is_as_wanted).map(|_| now.instant),
            was_implausible: false,
        }
    }

    /// What the operator wants.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// When [`Bot::handle_timeout`] wants to be called next.
    pub fn poll_timeout(&self, now: Now) -> Option<Instant> {
        match self.stage {
            Stage::Waiting => {
                let order = self.schedule.next(now);
                Some(self.ask_renewal_info_at.map_or(order, |ask| ask.min(order)))
            }
            // The lane answers in any case.
            _ => None,
        }
    }

    /// Begins what is due.
    pub fn handle_timeout(&mut self, entropy: &mut dyn Entropy, now: Now) -> Option<Action> {
        if self.stage != Stage::Waiting {
            return None;
        }
        let implausible = !schedule::is_plausible(now.utc);
        if implausible && !std::mem::replace(&mut self.was_implausible, implausible) {
            error!(
                "the clock shows {}, which is before this version was made: set it, no certificate is ordered by it",
                now.utc
            );
        }
        self.was_implausible = implausible;
        if self.schedule.is_due(now) {
            self.untried = self.kinds.clone();
            self.signature_retries = 0;
            info!(
                "ordering a certificate for {} from {}",
                self.settings.names.join(", "),
                self.settings.directory_url
            );
            return self.try_next();
        }
        if self.ask_renewal_info_at.is_some_and(|at| at <= now.instant) {
            let spread = Duration::from_secs(u64::from(u8::from_be_bytes(crate::entropy::random(entropy))));
            self.ask_renewal_info_at = Some(now.instant + RENEWAL_INFO_INTERVAL + spread);
            return Some(Action::AskRenewalInfo);
        }
        None
    }

    /// What has failed is not waited for: the operator may have mended it.
    pub fn retry(&mut self) {
        self.schedule.retry();
    }

    /// The operator asks for a new certificate.
    pub fn renew(&mut self, now: Now) {
        self.schedule.ask(now);
    }

    fn try_next(&mut self) -> Option<Action> {
        if self.untried.is_empty() {
            return None;
        }
        Some(self.begin(self.untried[0]))
    }

    fn begin(&mut self, kind: Kind) -> Action {
        self.untried.retain(|untried| *untried != kind);
        self.stage = Stage::Beginning(kind);
        Action::Begin(kind)
    }

    /// The order has begun: its challenges; none where earlier proofs still hold.
    pub fn begun(
        &mut self,
        result: Result<Vec<Challenge>, Failure>,
        entropy: &mut dyn Entropy,
        now: Now,
    ) -> Option<Action> {
        let Stage::Beginning(kind) = self.stage else { return None };
        match result {
            Ok(challenges) if challenges.is_empty() => {
                self.stage = Stage::Finishing(kind);
                Some(Action::Finish)
            }
            Ok(challenges) => {
                self.stage = Stage::Proving(kind);
                Some(Action::Prove(challenges))
            }
            Err(failure) => self.failed(kind, failure, entropy, now),
        }
    }

    /// The challenges can be found, or why not.
    pub fn proving(
        &mut self,
        result: Result<(), Failure>,
        entropy: &mut dyn Entropy,
        now: Now,
    ) -> Option<Action> {
        let Stage::Proving(kind) = self.stage else { return None };
        match result {
            Ok(()) => {
                self.stage = Stage::Finishing(kind);
                Some(Action::Finish)
            }
            Err(failure) => self.failed(kind, failure, entropy, now),
        }
    }

    /// The order has ended.
    pub fn finished(
        &mut self,
        result: Result<Issued, Failure>,
        entropy: &mut dyn Entropy,
        now: Now,
    ) -> Option<Action> {
        let Stage::Finishing(kind) = self.stage else { return None };
        match result {
            Ok(issued) => {
                self.stage = Stage::Waiting;
                self.last_failure = None;
                self.has_certificate = true;
                self.schedule.in_use(issued.validity, true, entropy, now);
                self.ask_renewal_info_at = Some(now.instant);
                if let Some(proved) = issued.proved {
                    // The next order begins with what worked.
                    self.kinds.sort_by_key(|kind| *kind != proved);
                }
                None
            }
            Err(failure) => self.failed(kind, failure, entropy, now),
        }
    }

    /// The authority's suggestion, where it has one.
    pub fn advised(&mut self, window: Option<Window>, entropy: &mut dyn Entropy, now: Now) {
        if let Some(window) = window {
            self.schedule.suggested(window, entropy, now);
        }
    }

    fn failed(
        &mut self,
        kind: Kind,
        failure: Failure,
        entropy: &mut dyn Entropy,
        now: Now,
    ) -> Option<Action> {
        if failure.kind == FailureKind::Signature && self.signature_retries < SIGNATURE_RETRIES_MAX {
            self.signature_retries += 1;
            return Some(self.begin(kind));
        }
        if failure.kind == FailureKind::Validation {
            self.schedule.validation_failed(now);
        }
        self.tell(kind, &failure, now);
        let other_may_work =
            matches!(failure.kind, FailureKind::Validation | FailureKind::Local | FailureKind::Refused);
        self.last_failure = Some(failure.clone());
        if other_may_work
            && self.schedule.allows_validation(now)
            && let Some(action) = self.try_next()
        {
            return Some(action);
        }
        self.stage = Stage::Waiting;
        self.schedule.failed(failure.kind, entropy, now);
        None
    }

    /// The nearer the expiry, the louder.
    fn tell(&self, kind: Kind, failure: &Failure, now: Now) {
        let serves =
            if self.has_certificate { "the certificate in use stays" } else { "there is none to serve yet" };
        let text = format!("the order by {} failed, {serves}: {}", kind.name(), failure.text);
        if self.has_certificate && !self.schedule.is_urgent(now.utc) {
            warn!("{text}");
        } else {
            error!("{text}");
        }
    }

    /// How it is.
    pub fn status(&self) -> Status<'_> {
        Status {
            has_certificate: self.has_certificate,
            is_ordering: self.stage != Stage::Waiting,
            failures: self.schedule.failures(),
            last_failure: self.last_failure.as_ref(),
            renew_at: self.schedule.renew_at(),
        }
    }
}
