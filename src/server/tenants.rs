//! Whose database a request is for, where every tenant has one, and when one is closed that nobody uses.
#![forbid(unsafe_code)]

use super::Shared;
use crate::job::{Done, Job, JobId, OPENS_NOTHING, Work};
use crate::limits;
use crate::store::tenants::Tenant;
use crate::time::Now;
use crate::wire::database_secret::{self, Fault};

const MISSING: &str = "Access denied: Missing KmsDatabaseSecret header in the query";
const NOT_BASE64: &str =
    "Access denied: the KmsDatabaseSecret header cannot be decoded: it is no base64 of a secret";
const NOT_READABLE: &str =
    "Access denied: the KmsDatabaseSecret header cannot be read: it is no secret of POST /new_database";

/// The tenant whose secret a header field holds, or the text of an answer with status 401.
pub fn named_by(field: Option<&[u8]>) -> Result<Box<Tenant>, &'static str> {
    let secret = database_secret::parse(field.ok_or(MISSING)?).map_err(|fault| match fault {
        Fault::NotBase64 => NOT_BASE64,
        Fault::NotReadable => NOT_READABLE,
    })?;
    Tenant::of(secret).map(Box::new).ok_or(OPENS_NOTHING)
}

impl Shared {
    /// A database may be open from now on: it is closed when nobody has asked for it in a while.
    pub(super) fn watch_databases(&mut self, now: Now) {
        self.databases_due.get_or_insert(now.instant + limits::TENANT_IDLE_INTERVAL);
    }

    /// Has databases closed that nobody has asked for, if it is time.
    pub(super) fn check_databases(&mut self, now: Now) {
        if self.databases_due.take_if(|due| *due <= now.instant).is_some() {
            self.outputs.submit(Job { id: JobId::Tenants, work: Work::CloseUnused });
        }
    }

    /// The lane has closed them, or had no room for that.
    pub(super) fn databases_answered(&mut self, done: &Done, now: Now) {
        if !matches!(done, Done::UnusedClosed { left: 0 }) {
            self.watch_databases(now);
        }
    }
}
