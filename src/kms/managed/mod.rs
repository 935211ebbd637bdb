//! Managed objects as they stand in requests and answers (KMIP 2.1 section 2): what becomes of one when it is registered,
//! and what an object in the store looks like on its way out.
//!
//! This server keeps symmetric keys, secret data and opaque objects. The material of a key is kept as bare bytes, in
//! whatever format it comes; what belongs to an object and is no attribute is in its `parts`.
#![forbid(unsafe_code)]

mod brought;
mod content;
mod encode;
mod new;

pub use brought::Brought;
pub use content::Content;
pub use encode::{Value, encode, key_value};
pub use new::{checked_uid, new_object};

use super::refusal::Refusal;
use crate::wire::kmip::enumeration::object_type;

/// Whether objects of this type can be kept; a refusal names what was asked for.
pub fn check_type(operation: &str, object_type: u32) -> Result<(), Refusal> {
    match object_type {
        object_type::SYMMETRIC_KEY | object_type::SECRET_DATA | object_type::OPAQUE_OBJECT => Ok(()),
        other => Err(Refusal::NotSupported(format!(
            "{operation}: objects of the type {} are not kept here, but SymmetricKey, SecretData and OpaqueObject",
            object_type::ALL.name(other).unwrap_or("(unknown)")
        ))),
    }
}
