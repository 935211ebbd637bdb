//! What decisions may see of the store, and what they may change in it.
#![forbid(unsafe_code)]

use super::object::Object;
use super::rights::Rights;
use crate::store::StoreError;

/// A consistent picture of the store.
///
/// Lists are whole or not there: a `limit` is the number of entries that may be looked at, and where more would have to
/// be, the answer is `None`.
pub trait View {
    /// The object with this unique identifier.
    fn object(&self, uid: &str) -> Result<Option<Object>, StoreError>;

    /// Unique identifiers of the objects that carry all of `tags` (at least one), oldest first. `None` where each of
    /// the tags is on more than `limit` objects.
    fn tagged(&self, tags: &[&str], limit: usize) -> Result<Option<Vec<String>>, StoreError>;

    /// Unique identifiers of the objects of `owner`, oldest first.
    fn owned_by(&self, owner: &str, limit: usize) -> Result<Option<Vec<String>>, StoreError>;

    /// What `user` was granted on the object `uid`, by name (grants to `*` are a user's name of their own).
    fn granted(&self, uid: &str, user: &str) -> Result<Rights, StoreError>;

    /// Every grant on the object: user and rights, by user.
    fn grants_on(&self, uid: &str, limit: usize) -> Result<Option<Vec<(String, Rights)>>, StoreError>;

    /// Every grant to the user: unique identifier and rights, by identifier.
    fn grants_to(&self, user: &str, limit: usize) -> Result<Option<Vec<(String, Rights)>>, StoreError>;
}

/// One change to the store.
pub enum Change {
    /// Adds an object whose identifier is free.
    Insert(Object),
    /// Puts an object in the place of the one with the same identifier; its place in the order and its grants stay.
    Replace(Object),
    /// Removes an object with its tags and grants.
    Remove {
        /// Its unique identifier.
        uid: String,
    },
    /// Sets what a user may do on an object; no right removes the grant.
    Grant {
        /// The object.
        uid: String,
        /// The user, or `*` for everybody.
        user: String,
        /// All that is granted from now on.
        rights: Rights,
    },
}

/// Changes that belong together: all are applied, in order, or none.
pub type Changes = Vec<Change>;
