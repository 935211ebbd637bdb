//! A certificate from an authority: what the bot decides is done here, and what happens is told to it.
#![forbid(unsafe_code)]

use super::super::Shared;
use super::super::event::Listener;
use super::super::tls;
use super::{Certificate, Origin};
use crate::acme::bot::{Action, Bot, Issued as Renewed, Status};
use crate::acme::challenge::{AlpnChallenge, Challenge, HttpTable};
use crate::acme::failure::{Failure, Kind as FailureKind};
use crate::egress::{Issued, files};
use crate::job::{Done, Job, JobId, Work};
use crate::limits;
use crate::time::{Instant, Now};
use log::{debug, info};
use rustls::ServerConfig;
use std::sync::Arc;

/// The bot, and the proofs that are to be found at the moment.
pub struct Automation {
    bot: Bot,
    /// When the bot wants to be called.
    next: Option<Instant>,
    files: HttpTable,
    alpn_config: Option<Arc<ServerConfig>>,
    /// When the proofs are taken away; `None` while their order is under way.
    withdraw_at: Option<Instant>,
}

impl Automation {
    /// A bot that acts as soon as it is called.
    pub fn new(bot: Bot, now: Instant) -> Automation {
        let (files, alpn_config, withdraw_at) = Default::default();
        Automation { bot, next: Some(now), files, alpn_config, withdraw_at }
    }

    /// See [`Certificate::challenge_config`].
    pub fn alpn_config(&self) -> Option<Arc<ServerConfig>> {
        self.alpn_config.clone()
    }

    /// When there is something to do.
    pub fn poll_timeout(&self) -> Option<Instant> {
        [self.next, self.withdraw_at].into_iter().flatten().min()
    }
}

impl Certificate {
    /// The bot that renews the certificate, if one does.
    pub fn bot(&self) -> Option<&Bot> {
        match &self.origin {
            Origin::File(_) | Origin::Given => None,
            Origin::Bot(automation) => Some(&automation.bot),
        }
    }

    /// The file that an authority looks for at this path.
    pub fn challenge_file(&self, path: &str) -> Option<&str> {
        match &self.origin {
            Origin::File(_) | Origin::Given => None,
            Origin::Bot(automation) => automation.files.find(path),
        }
    }
}

impl Shared {
    /// Lets the bot act: `tell` tells it what happened and gives what it wants to be done.
    fn drive(
        &mut self,
        now: Now,
        tell: impl FnOnce(&mut Bot, &mut dyn crate::entropy::Entropy) -> Option<Action>,
    ) {
        // A server that ends opens no port for proofs.
        if self.drain_until.is_some() {
            return;
        }
        let Some(certificate) = &mut self.certificate else { return };
        let Origin::Bot(automation) = &mut certificate.origin else { return };
        let mut wanted = tell(&mut automation.bot, &mut *self.entropy);
        while let Some(action) = wanted.take() {
            let work = match action {
                Action::Begin(kind) => Work::BeginOrder { kind, now: now.utc },
                Action::Finish => Work::FinishOrder { now: now.utc },
                Action::AskRenewalInfo => Work::AskRenewalInfo { certificate: certificate.leaf.clone() },
                Action::Prove(challenges) => {
                    automation.withdraw_at = None;
                    let (mut files, mut proofs) = (Vec::new(), Vec::new());
                    for challenge in challenges {
                        match challenge {
                            Challenge::Http01(file) => files.push(file),
                            Challenge::TlsAlpn01(proof) => proofs.push(proof),
                        }
                    }
                    automation.files = HttpTable::new(files);
                    if proofs.is_empty() {
                        // The bot is told when the port is open, or why not.
                        self.outputs.listen(Listener::Challenge);
                        continue;
                    }
                    let shown = automation.show(&proofs);
                    wanted = automation.bot.proving(shown, &mut *self.entropy, now);
                    continue;
                }
            };
            self.outputs.submit(Job { id: JobId::Certificate, work });
        }
        automation.next = automation.bot.poll_timeout(now);
        // Whatever became of the order: an authority may look from several places, and some a little later.
        if automation.has_proofs() && !automation.bot.status().is_ordering {
            automation.withdraw_at.get_or_insert(now.instant + limits::CHALLENGE_LINGER);
        }
    }

    /// Does what is due.
    pub(in super::super) fn check_bot(&mut self, now: Now) {
        let Some(Certificate { origin: Origin::Bot(automation), .. }) = &mut self.certificate else { return };
        if automation.withdraw_at.is_some_and(|at| at <= now.instant) {
            automation.withdraw_at = None;
            automation.alpn_config = None;
            automation.files = HttpTable::default();
            self.outputs.stop_listening(Listener::Challenge);
        }
        if automation.next.is_some_and(|at| at <= now.instant) {
            self.drive(now, |bot, entropy| bot.handle_timeout(entropy, now));
        }
    }

    /// The operator has changed something: an order that has failed is tried again without waiting. A log is rotated each
    /// night, so that nothing else is ordered.
    pub(in super::super) fn retry_order(&mut self, now: Now) {
        if self.bootstrap.is_some() {
            return;
        }
        self.drive(now, |bot, entropy| {
            bot.retry();
            bot.handle_timeout(entropy, now)
        });
        let status = self.certificate.as_ref().and_then(Certificate::bot).map(Bot::status);
        if let Some(Status { is_ordering: false, renew_at: Some(at), .. }) = status {
            info!("the certificate is renewed at its time, which is {at}; SIGUSR1 renews it at once");
        }
    }

    /// The operator asks for a new certificate.
    pub(in super::super) fn renew_certificate(&mut self, now: Now) {
        self.drive(now, |bot, entropy| {
            bot.renew(now);
            bot.handle_timeout(entropy, now)
        });
    }

    /// The port for proofs is open, or why not.
    pub(in super::super) fn challenge_listening(&mut self, result: Result<(), String>, now: Now) {
        let result = result.map_err(|reason| Failure::new(FailureKind::Local, &reason));
        self.drive(now, |bot, entropy| bot.proving(result, entropy, now));
    }

    /// The lane has begun an order.
    pub(in super::super) fn order_begun(&mut self, result: Result<Vec<Challenge>, Failure>, now: Now) {
        self.metrics.orders[1] += u64::from(result.is_err());
        self.drive(now, |bot, entropy| bot.begun(result, entropy, now));
    }

    /// The lane has ended an order.
    pub(in super::super) fn order_finished(&mut self, result: Result<Box<Issued>, Failure>, now: Now) {
        let Some(certificate) = &mut self.certificate else { return };
        let replaced = result.and_then(|issued| {
            let Issued { identity, proved } = *issued;
            certificate.replace(&identity).map_err(|reason| Failure::new(FailureKind::Unusable, &reason))?;
            Ok(Renewed { validity: files::validity(&identity), proved })
        });
        self.metrics.orders[usize::from(replaced.is_err())] += 1;
        self.drive(now, |bot, entropy| bot.finished(replaced, entropy, now));
    }

    /// The authority has said when to renew, or could not.
    pub(in super::super) fn renewal_info(&mut self, done: Done, now: Now) {
        match done {
            Done::RenewalInfo(Ok(window)) => self.drive(now, |bot, entropy| {
                bot.advised(window, entropy, now);
                None
            }),
            Done::RenewalInfo(Err(reason)) => debug!("no renewal information: {reason}"),
            _ => {}
        }
    }

    /// The egress lane was full, which its one order at a time cannot make it.
    pub(in super::super) fn order_not_taken(&mut self, now: Now) {
        let busy = || Failure::new(FailureKind::Local, "the lane is busy");
        self.drive(now, |bot, entropy| {
            bot.begun(Err(busy()), entropy, now).or_else(|| bot.finished(Err(busy()), entropy, now))
        });
    }
}

impl Automation {
    /// Lets the validator of an authority find these proofs in handshakes.
    fn show(&mut self, proofs: &[AlpnChallenge]) -> Result<(), Failure> {
        let config = tls::challenge_config(proofs);
        self.alpn_config = Some(config.map_err(|reason| Failure::new(FailureKind::Local, &reason))?);
        Ok(())
    }

    fn has_proofs(&self) -> bool {
        self.alpn_config.is_some() || !self.files.is_empty()
    }
}
