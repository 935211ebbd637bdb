//! Requests, in the one database or each in that of its tenant.
//!
//! When the one database is of no use any more, the process ends. What befalls the database of a tenant is answered to this
//! tenant: the others' go on, and this one is opened anew when it is next asked for.
#![forbid(unsafe_code)]

use super::{Completion, Done, JobId, Resources};
use crate::audit::entry::Decision;
use crate::pipeline::{self, Call, Failed, Inquiry, Place, Read, Reply};
use crate::secret::Buffer;
use crate::store::tenants::Tenant;
use crate::store::{Store, StoreError};
use std::sync::Arc;

/// What everybody is told whose secret opens nothing, whatever the reason.
pub const OPENS_NOTHING: &str = "Access denied: the KmsDatabaseSecret header opens no database";

/// Answers a request that only reads.
pub(super) fn read(mut call: Call, resources: &mut Resources) -> Done {
    let tenant = call.tenant.take();
    let store = match database(tenant.as_deref(), resources) {
        Ok(store) => store,
        Err(failure) => return failure.done(Vec::new()),
    };
    let mut body = Buffer::new(Vec::new());
    let entropy = &mut *resources.entropy;
    let mut decisions = Vec::new();
    let read = store.read().and_then(|view| {
        let Call { endpoint, asker, body: asked, .. } = &mut call;
        let inquiry = Inquiry { endpoint, asker, at: Place::BulkLane };
        pipeline::read(inquiry, asked, &*view, entropy, &mut decisions, &mut body)
    });
    match read {
        Ok(Read::Answered(answer)) => Done::Answered(Reply { answer, body, decisions }),
        Ok(Read::MustScan(endpoint) | Read::MustWrite(endpoint)) => {
            Done::MustWrite(Call { endpoint, asker: call.asker, body, tenant })
        }
        Err(error) => failed(tenant.as_deref(), resources, &error).done(decisions),
    }
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
        let replies = match database(tenant.as_deref(), resources) {
            Ok(store) => pipeline::write(&mut calls, &*store, &mut *resources.entropy),
            Err(failure) => {
                completions
                    .extend(ids.into_iter().map(|id| Completion { id, done: failure.done(Vec::new()) }));
                continue;
            }
        };
        resources.counts.commit(replies.iter().filter(|reply| reply.is_ok()).count());
        // One transaction, one line in the log.
        let first = replies.iter().find_map(|reply| reply.as_ref().err());
        let failure = first.map(|first| failed(tenant.as_deref(), resources, &first.error));
        for (id, reply) in ids.into_iter().zip(replies) {
            let done = match (reply, &failure) {
                (Ok(reply), _) => Done::Answered(reply),
                (Err(Failed { decisions, .. }), Some(failure)) => failure.done(decisions),
                (Err(failed), None) => Done::StoreFailed(failed),
            };
            completions.push(Completion { id, done });
        }
    }
    completions
}

/// Makes a database for a new tenant, and answers with its secret.
pub(super) fn new_database(resources: &mut Resources) -> Done {
    let made = match resources.store.tenants() {
        Some(tenants) => tenants.create(&mut *resources.entropy),
        None => return Failure::Store(NO_TENANTS).done(Vec::new()),
    };
    match made {
        Ok(secret) => Done::Answered(Reply::json(&secret)),
        Err(error) => {
            log::error!("no database could be made for a new tenant: {error}");
            Failure::of_tenant(&error).done(Vec::new())
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

    /// The answer to a request that these decisions were begun for.
    fn done(&self, decisions: Vec<Decision>) -> Done {
        match self {
            Failure::Store(error) => Done::StoreFailed(Failed { error: error.clone(), decisions }),
            Failure::Tenant(status, text) => {
                Done::Answered(Reply { decisions, ..Reply::text(*status, text) })
            }
        }
    }
}

/// The database that a request is for.
fn database(tenant: Option<&Tenant>, resources: &Resources) -> Result<Arc<dyn Store>, Failure> {
    let Some(tenant) = tenant else { return Ok(Arc::clone(&resources.store)) };
    let tenants = resources.store.tenants().ok_or(Failure::Store(NO_TENANTS))?;
    match tenants.of(tenant) {
        Ok(Some(store)) => Ok(store),
        Ok(None) => Err(Failure::Tenant(401, OPENS_NOTHING)),
        Err(error) => Err(failed(Some(tenant), resources, &error)),
    }
}

/// What is to be told, and done, after its failure.
fn failed(tenant: Option<&Tenant>, resources: &Resources, error: &StoreError) -> Failure {
    let Some(tenant) = tenant else { return Failure::Store(error.clone()) };
    log::error!("the database {}.redb: {error}", tenant.group());
    if error.is_fatal()
        && let Some(tenants) = resources.store.tenants()
    {
        tenants.reopen(tenant);
    }
    Failure::of_tenant(error)
}
