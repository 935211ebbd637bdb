//! Faults that are planted to see whether the simulator would notice: what it does not find when it is there, it does not
//! prove absent.
//!
//! They are planted in what the simulator itself puts around the server: the disk, the store that the server is given, its
//! limits, the names of its connections. One needs a door in the server, which is there only with the feature `testing`
//! ([`Server::dangerous_time_out`](crate::server::Server::dangerous_time_out)).
#![forbid(unsafe_code)]

use crate::kms::object::Object;
use crate::kms::rights::Rights;
use crate::kms::view::{Change, Changes, Search, SearchEnd, Show, StoreError, View};
use crate::limits::Limits;
use crate::server::AuditMode;
use crate::store::{Store, Transaction};
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

/// A fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sabotage {
    /// A commit is acknowledged before it is on the disk.
    CommitBeforeSync,
    /// Nobody asks whether the one who asks for an object may have it.
    AuthorisationSkipped,
    /// One connection more than the cap is served.
    ConnectionTooMany,
    /// A head may have one byte more than its cap.
    HeadTooLong,
    /// A body may have one byte more than its cap.
    BodyTooLong,
    /// A timer knows the slot of its connection and not the generation: it ends whoever is there.
    TimerWithoutGeneration,
    /// The answer of a lane knows the slot of its connection and not the generation.
    AnswerWithoutGeneration,
    /// Keys are written as they are where they should be sealed.
    Unsealed,
    /// Requests are logged.
    RequestsLogged,
    /// An answer leaves before its line is in the audit log.
    AnswerBeforeRecord,
    /// What a lane has done for a connection that is gone is recorded as refused.
    AbandonedUnrecorded,
    /// Where TLS is spoken, an answer travels as it is.
    AnswerInTheClear,
    /// Nobody asks whether the one who hands over is the owner.
    OwnerNotAsked,
    /// Nobody asks a client for a certificate.
    CertificateNotAsked,
    /// A change of nothing but attributes is acknowledged, and not made.
    AttributesLost,
    /// Everybody is given the database of the same tenant.
    TenantsMixedUp,
    /// The bot orders no certificate.
    BotAsleep,
}

impl Sabotage {
    /// All of them.
    pub const ALL: [Sabotage; 17] = [
        Sabotage::CommitBeforeSync,
        Sabotage::AuthorisationSkipped,
        Sabotage::ConnectionTooMany,
        Sabotage::HeadTooLong,
        Sabotage::BodyTooLong,
        Sabotage::TimerWithoutGeneration,
        Sabotage::AnswerWithoutGeneration,
        Sabotage::Unsealed,
        Sabotage::RequestsLogged,
        Sabotage::AnswerBeforeRecord,
        Sabotage::AbandonedUnrecorded,
        Sabotage::AnswerInTheClear,
        Sabotage::OwnerNotAsked,
        Sabotage::CertificateNotAsked,
        Sabotage::AttributesLost,
        Sabotage::TenantsMixedUp,
        Sabotage::BotAsleep,
    ];
}

/// The limits that a server is given that should have `limits`.
pub fn limits(sabotage: Option<Sabotage>, limits: &Limits) -> Limits {
    let mut limits = limits.clone();
    match sabotage {
        Some(Sabotage::ConnectionTooMany) => limits.connections_max += 1,
        Some(Sabotage::HeadTooLong) => limits.head_bytes_max += 1,
        Some(Sabotage::BodyTooLong) => limits.body_bytes_max += 1,
        _ => {}
    }
    limits
}

/// When a server records that should do so as `audit` says.
pub fn audit(sabotage: Option<Sabotage>, audit: Option<AuditMode>) -> Option<AuditMode> {
    match sabotage {
        Some(Sabotage::AnswerBeforeRecord) => audit.map(|_| AuditMode::Soon),
        _ => audit,
    }
}

/// The store that a server is given instead of `store`.
pub fn store(sabotage: Option<Sabotage>, store: Arc<dyn Store>) -> Arc<dyn Store> {
    match sabotage {
        Some(how @ (Sabotage::AuthorisationSkipped | Sabotage::AttributesLost)) => {
            Arc::new(Tampered { inner: store, how })
        }
        _ => store,
    }
}

/// A store, or a view of one, in which everybody was granted everything (the one question that decides about what belongs to
/// others is always answered yes), or which loses changes of attributes.
struct Tampered<S> {
    inner: S,
    how: Sabotage,
}

impl Store for Tampered<Arc<dyn Store>> {
    fn name(&self) -> &'static str {
        self.inner.name()
    }

    fn read(&self) -> Result<Box<dyn View>, StoreError> {
        Ok(Box::new(Tampered { inner: self.inner.read()?, how: self.how }))
    }

    fn transact(
        &self,
        work: &mut dyn FnMut(&mut dyn Transaction) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        self.inner.transact(&mut |inner| work(&mut Tampered { inner, how: self.how }))
    }
}

impl<P: Deref<Target: View>> View for Tampered<P> {
    fn object(&self, uid: &str) -> Result<Option<Arc<Object>>, StoreError> {
        self.inner.object(uid)
    }

    fn search(&self, search: &Search<'_>, show: &mut Show<'_>) -> Result<SearchEnd, StoreError> {
        self.inner.search(search, show)
    }

    fn owned_by(&self, owner: &str, limit: usize) -> Result<Option<Vec<String>>, StoreError> {
        self.inner.owned_by(owner, limit)
    }

    fn granted(&self, uid: &str, user: &str) -> Result<Rights, StoreError> {
        match self.how {
            Sabotage::AuthorisationSkipped => Ok(Rights(u32::MAX)),
            _ => self.inner.granted(uid, user),
        }
    }

    fn grants_on(&self, uid: &str, limit: usize) -> Result<Option<Vec<(String, Rights)>>, StoreError> {
        self.inner.grants_on(uid, limit)
    }

    fn grants_to(&self, user: &str, limit: usize) -> Result<Option<Vec<(String, Rights)>>, StoreError> {
        self.inner.grants_to(user, limit)
    }
}

impl<P: DerefMut<Target: Transaction>> Transaction for Tampered<P> {
    fn apply(&mut self, mut changes: Changes) -> Result<(), StoreError> {
        if self.how == Sabotage::AttributesLost {
            changes.retain(|change| match change {
                Change::Replace(object) => {
                    let old = self.inner.object(&object.uid);
                    !old.is_ok_and(|old| old.is_some_and(|old| differs_in_attributes_alone(&old, object)))
                }
                _ => true,
            });
        }
        self.inner.apply(changes)
    }
}

fn differs_in_attributes_alone(old: &Object, new: &Object) -> bool {
    (old.state, &old.tags) == (new.state, &new.tags) && old.material.expose() == new.material.expose()
}
