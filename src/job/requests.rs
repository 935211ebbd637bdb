//! Requests, in the one database or each in that of its tenant.
//!
//! When the one database is of no use any more, the process ends. What befalls the database of a tenant is answered to this
//! tenant: the others' go on, and this one is opened anew when it is next asked for.
#![forbid(unsafe_code)]

use super::{Completion, Done, JobId, Resources};
use crate::entropy::Entropy;
use crate::pipeline::{self, Call, Reply};
use crate::store::tenants::Tenant;
use crate::store::{Store, StoreError};
use zeroize::Zeroizing;

/// What everybody is told whose secret opens nothing, whatever the reason.
pub const OPENS_NOTHING: &str = "Access denied: the KmsDatabaseSecret header opens no database";

/// Answers a request that only reads.
pub(super) fn read(mut call: Call, resources: &mut Resources) -> Done {
    let tenant = call.tenant.take();
    let replied = in_database(tenant.as_deref(), resources, |store, entropy| {
        let mut body = Zeroizing::new(Vec::new());
        let view = store.read()?;
        let (view, decisions) = (&*view, &mut Vec::new());
        let Call { endpoint, asker, body: asked, .. } = &mut call;
        let answer = pipeline::read(endpoint, asker, asked, view, entropy, decisions, &mut body)?;
        Ok(Reply { answer, body, decisions: std::mem::take(decisions) })
    });
    replied.map_or_else(|failure| failure.done(), Done::Answered)
}

/// Requests for one database, and who waits for them.
struct Group {
    tenant: Option<Box<Tenant>>,
    ids: Vec<JobId>,
    calls: Vec<Call>,
}

/// Answers requests that change something: those for one database in one transaction, in the order in which they came.
pub(super) fn write(writes: Vec<(JobId, Call)>, resources: &mut Resources) -> Vec<Completion> {
    let mut completions = Vec::with_capacity(writes.len());
    let mut groups: Vec<Group> = Vec::new();
    for (id, mut call) in writes {
        let tenant = call.tenant.take();
        let number = tenant.as_deref().map(Tenant::group);
        match groups.iter_mut().find(|group| group.tenant.as_deref().map(Tenant::group) == number) {
            Some(group) => {
                group.ids.push(id);
                group.calls.push(call);
            }
            None => groups.push(Group { tenant, ids: vec![id], calls: vec![call] }),
        }
    }
    for Group { tenant, ids, mut calls } in groups {
        let replies = in_database(tenant.as_deref(), resources, |store, entropy| {
            pipeline::write(&mut calls, store, entropy)
        });
        match replies {
            Ok(replies) => {
                resources.counts.commit(replies.len());
                completions.extend(
                    ids.into_iter()
                        .zip(replies)
                        .map(|(id, reply)| Completion { id, done: Done::Answered(reply) }),
                );
            }
            Err(failure) => {
                completions.extend(ids.into_iter().map(|id| Completion { id, done: failure.done() }));
            }
        }
    }
    completions
}

/// Makes a database for a new tenant, and answers with its secret.
pub(super) fn new_database(resources: &mut Resources) -> Done {
    let made = match resources.store.tenants() {
        Some(tenants) => tenants.create(&mut *resources.entropy),
        None => return Done::StoreFailed(NO_TENANTS),
    };
    match made {
        Ok(secret) => Done::Answered(Reply::json(&secret)),
        Err(error) => {
            log::error!("no database could be made for a new tenant: {error}");
            Failure::of_tenant(&error).done()
        }
    }
}

const NO_TENANTS: StoreError = StoreError::Refused("there are no tenants");

/// Why a database has not answered.
enum Failure {
    /// The one that there is.
    Store(StoreError),
    /// A tenant's: the status and text of the answer.
    Tenant(u16, &'static str),
}

impl Failure {
    fn of_tenant(error: &StoreError) -> Failure {
        match error {
            StoreError::Locked(_) => Failure::Tenant(401, OPENS_NOTHING),
            StoreError::DiskFull | StoreError::AlreadyOpen | StoreError::Unavailable(_) => {
                Failure::Tenant(503, "The database does not answer: try again later")
            }
            _ => Failure::Tenant(500, "Internal server error"),
        }
    }

    fn done(&self) -> Done {
        match self {
            Failure::Store(error) => Done::StoreFailed(error.clone()),
            Failure::Tenant(status, text) => Done::Answered(Reply::text(*status, text)),
        }
    }
}

/// Does something in the database that a request is for.
fn in_database<T>(
    tenant: Option<&Tenant>,
    resources: &mut Resources,
    act: impl FnOnce(&dyn Store, &mut dyn Entropy) -> Result<T, StoreError>,
) -> Result<T, Failure> {
    let Some(tenant) = tenant else {
        return act(&*resources.store, &mut *resources.entropy).map_err(Failure::Store);
    };
    let tenants = resources.store.tenants().ok_or(Failure::Store(NO_TENANTS))?;
    let result = match tenants.of(tenant) {
        Ok(Some(store)) => act(&*store, &mut *resources.entropy),
        Ok(None) => return Err(Failure::Tenant(401, OPENS_NOTHING)),
        Err(error) => Err(error),
    };
    result.map_err(|error| {
        log::error!("the database {}.redb: {error}", tenant.group());
        if error.is_fatal() {
            tenants.reopen(tenant);
        }
        Failure::of_tenant(&error)
    })
}
