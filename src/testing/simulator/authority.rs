//! An authority that issues certificates, and the proofs that it looks for: what the lane for it would say.
#![forbid(unsafe_code)]

use crate::acme::bot::Bot;
use crate::acme::challenge::{Challenge, HTTP_PATH, HttpChallenge, Kind};
use crate::acme::failure::{Failure, Kind as FailureKind};
use crate::acme::{ChallengeChoice, KeySource, KeyType, Settings};
use crate::egress::Issued;
use crate::entropy::Entropy;
use crate::job::{Completion, Done, Job, Work};
use crate::server::Tls;
use crate::testing::choices::Choices;
use crate::testing::tls;
use crate::time::{Now, Timestamp};
use std::sync::Arc;
use std::time::Duration;

/// How long its certificates are valid that are renewed at once,
const SHORT: Duration = Duration::from_secs(60);
/// and those that outlast a simulation.
const LONG: Duration = Duration::from_secs(10 * 24 * 60 * 60);

/// How the server comes to its certificate: with one that vouches for itself, until there is another.
pub fn automatic(entropy: &mut dyn Entropy, now: Now) -> Tls {
    let settings = Settings {
        names: vec!["keyway.example".into()],
        email: "admin@keyway.example".into(),
        directory_url: "https://authority.example/directory".into(),
        challenge: ChallengeChoice::Only(Kind::Http01),
        key: KeySource::Fresh(KeyType::P256),
        folder: "certificates".into(),
        ca_root: None,
    };
    let bot = Bot::new(Arc::new(settings), None, &[], entropy, now);
    Tls::Bot { identity: tls::identity(), bot: Box::new(bot) }
}

/// What the authority has to find, and where.
#[derive(Clone, Debug, PartialEq)]
pub struct Proof {
    pub path: String,
    pub content: String,
}

/// The authority.
pub struct Authority {
    /// It does not answer.
    pub is_away: bool,
    /// It is in the mood of a good day: it needs no proof, and what it issues lasts.
    pub is_generous: bool,
    choices: Choices,
    orders: usize,
    /// What it looks for,
    wanted: Option<Proof>,
    /// and has found.
    is_found: bool,
    /// Until when the certificate is valid that the server was told of.
    valid_until: Option<Timestamp>,
    /// What the server was told last to show.
    pub told: Option<Proof>,
}

impl Authority {
    /// It knows nobody yet.
    pub fn new(choices: Choices) -> Authority {
        Authority {
            is_away: false,
            is_generous: false,
            choices,
            orders: 0,
            wanted: None,
            is_found: false,
            valid_until: None,
            told: None,
        }
    }

    /// Whether an order waits for the authority to look for its proof.
    pub fn would_look(&self, job: &Job) -> bool {
        matches!(job.work, Work::FinishOrder { .. }) && self.wanted.is_some() && !self.is_found
    }

    /// Whether the server has a certificate that is valid.
    pub fn vouches(&self, now: Timestamp) -> bool {
        self.valid_until.is_some_and(|until| until > now)
    }

    /// It has looked at this path, and found what has to be there.
    pub fn found(&mut self, path: &str) {
        self.is_found |= self.wanted.as_ref().is_some_and(|wanted| wanted.path == path);
    }

    /// What it answers.
    pub fn answer(&mut self, job: Job) -> Completion {
        let done = match job.work {
            Work::BeginOrder { .. } => Done::OrderBegun(self.begin()),
            Work::FinishOrder { now } => Done::OrderFinished(self.finish(now).map(Box::new)),
            Work::AskRenewalInfo { .. } if self.is_away => {
                Done::RenewalInfo(Err("it does not answer".into()))
            }
            Work::AskRenewalInfo { .. } => Done::RenewalInfo(Ok(None)),
            _ => unreachable!("that is no work for it"),
        };
        Completion { id: job.id, done }
    }

    /// The server is about to be told.
    pub fn tells(&mut self, done: &Done) {
        match done {
            Done::OrderBegun(Ok(challenges)) => {
                if let [Challenge::Http01(file)] = challenges.as_slice() {
                    let path = format!("{HTTP_PATH}{}", file.token);
                    self.told = Some(Proof { path, content: file.key_authorization.clone() });
                }
            }
            Done::OrderFinished(Ok(issued)) => self.valid_until = Some(issued.identity.not_after),
            _ => {}
        }
    }

    fn begin(&mut self) -> Result<Vec<Challenge>, Failure> {
        (self.wanted, self.is_found) = (None, false);
        if self.is_away {
            return Err(away());
        }
        if !self.is_generous && self.choices.one_in(8) {
            let kinds = [FailureKind::Signature, FailureKind::RateLimited, FailureKind::Refused];
            return Err(Failure::new(*self.choices.pick(&kinds), "it does not like the request"));
        }
        if self.is_generous || self.choices.one_in(4) {
            return Ok(Vec::new());
        }
        self.orders += 1;
        let token = format!("token-{}", self.orders);
        let content = format!("{token}.thumbprint");
        self.wanted = Some(Proof { path: format!("{HTTP_PATH}{token}"), content: content.clone() });
        Ok(vec![Challenge::Http01(HttpChallenge { token, key_authorization: content })])
    }

    fn finish(&mut self, now: Timestamp) -> Result<Issued, Failure> {
        if self.is_away {
            return Err(away());
        }
        if self.wanted.take().is_some() && !self.is_found {
            return Err(Failure::new(FailureKind::Validation, "there was no proof"));
        }
        let lifetime = if self.is_generous { LONG } else { SHORT };
        let mut identity = tls::identity();
        (identity.not_before, identity.not_after) = (now, now + lifetime);
        Ok(Issued { identity, proved: Some(Kind::Http01) })
    }
}

fn away() -> Failure {
    Failure::new(FailureKind::Unreachable, "it does not answer")
}
