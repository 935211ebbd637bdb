//! Whose tokens are taken, where clients must show one with each request, and the keys that they are verified with.
//!
//! A request whose token names a key that is not known is deferred before its body is read, while the issuer is asked; then it is
//! read anew, and its token is judged by what there is.
#![forbid(unsafe_code)]

use super::connection::{Connection, Phase};
use super::event::Listener;
use super::routes::{Identity, Route};
use super::{Server, Shared};
use crate::auth::key_set::KeySet;
use crate::auth::token::{self, Fault};
use crate::auth::{Issuer, Trusted};
use crate::job::{ConnectionId, Done, Job, JobId, Work};
use crate::time::{Instant, Now};
use crate::wire::http::scanner::Scanner;
use log::debug;
use std::sync::Arc;

/// What becomes of a request, by its token.
pub(super) enum Admission {
    /// It is this user's, or that of the connection.
    Allowed(Identity),
    /// It is answered with this status.
    Refused(u16),
    /// It waits for the keys of its issuer.
    Deferred,
}

/// The issuers of tokens.
pub struct Tokens {
    issuers: Vec<Issuer>,
}

impl Tokens {
    /// Clients must show a token of one of these issuers.
    pub fn new(trusted: Vec<Trusted>, now: Instant) -> Tokens {
        Tokens { issuers: trusted.into_iter().map(|trusted| Issuer::new(trusted, now)).collect() }
    }

    /// When there is a set of keys to fetch.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.issuers.iter().filter_map(|issuer| issuer.refresh.poll_timeout()).min()
    }

    /// A sentence for each issuer whose keys have never been there.
    pub fn faults(&self) -> impl Iterator<Item = String> {
        self.issuers.iter().filter(|issuer| issuer.keys.is_none()).map(|issuer| {
            let reason = issuer.trouble.as_deref().unwrap_or("the fetch has not ended yet");
            format!("the keys of the token issuer {} have not been fetched: {reason}", issuer.trusted.issuer)
        })
    }
}

impl Shared {
    /// Judges a request by its `Authorization`, where that counts.
    pub(super) fn authenticate(
        &mut self,
        connection: &Connection,
        route: &Route,
        authorization: Option<&[u8]>,
        now: Now,
    ) -> Admission {
        let is_asked = match connection.listener {
            Listener::Main => true,
            // A token of its own says better who the owner is, and stands in the same place.
            Listener::Bootstrap => self.bootstrap.as_ref().is_none_or(|bootstrap| !bootstrap.has_token()),
            Listener::Challenge | Listener::Metrics => false,
        };
        let Some(tokens) = self.tokens.as_mut().filter(|_| is_asked && route.needs_identity()) else {
            return Admission::Allowed(Identity::OfConnection);
        };
        let judged =
            token::bearer(authorization).and_then(|token| token::judge(token, &tokens.issuers, now.utc));
        let fault = match judged {
            Ok(_) if self.force_default_username => return Admission::Allowed(Identity::OfConnection),
            Ok(user) => return Admission::Allowed(Identity::OfToken(user)),
            Err(fault) => fault,
        };
        debug!("{}: {route:?}: {fault}", connection.peer);
        match fault {
            Fault::NoKeys(_) => Admission::Refused(503),
            Fault::UnknownKey(index)
                if self.drain_until.is_none() && tokens.issuers[index].refresh.hurry(now.instant) =>
            {
                self.check_key_sets(now);
                Admission::Deferred
            }
            _ => Admission::Refused(401),
        }
    }

    /// Keeps a request for later, whose head is the next that is read.
    pub(super) fn defer(&mut self, connection: &mut Connection) {
        self.outputs.pause(connection.id);
        connection.phase = Phase::Deferred;
        connection.scanner = Scanner::default();
        self.timers.set(connection.id, &mut connection.deadline, None);
    }

    /// Has sets of keys fetched that it is time for.
    pub(super) fn check_key_sets(&mut self, now: Now) {
        let Some(tokens) = &mut self.tokens else { return };
        for (issuer, index) in tokens.issuers.iter_mut().zip(0..) {
            if issuer.refresh.begin_if_due(now.instant) {
                let work = Work::FetchKeySet(Arc::clone(&issuer.trusted.source));
                self.outputs.submit(Job { id: JobId::KeySet(index), work });
            }
        }
    }

    /// The lane has fetched a set of keys, or could not.
    fn key_set_answered(&mut self, index: u8, done: Done, now: Now) {
        let result: Result<KeySet, String> = match done {
            Done::KeySet(result) => result,
            _ => Err("the lane is busy".into()),
        };
        if result.is_err() {
            self.metrics.key_set_failures += 1;
        }
        if let Some(issuer) =
            self.tokens.as_mut().and_then(|tokens| tokens.issuers.get_mut(usize::from(index)))
        {
            issuer.fetched(result, now.instant);
        }
    }
}

impl Server {
    /// Goes on with the requests that were deferred, whatever came of the fetch.
    pub(super) fn key_set_fetched(&mut self, index: u8, done: Done, now: Now) {
        self.shared.key_set_answered(index, done, now);
        let deferred = self
            .connections
            .iter()
            .flatten()
            .filter(|connection| matches!(connection.phase, Phase::Deferred));
        let ids: Vec<ConnectionId> = deferred.map(|connection| connection.id).collect();
        for id in ids {
            self.with(id, |shared, connection| {
                connection.phase = Phase::Idle;
                shared.outputs.resume(id);
                shared.serve_pending(connection, now);
                shared.resume(connection, now);
            });
        }
    }
}
