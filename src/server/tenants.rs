//! Whose database a request is for, where every tenant has one.
#![forbid(unsafe_code)]

use crate::job::OPENS_NOTHING;
use crate::store::tenants::Tenant;
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
