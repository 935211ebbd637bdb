//! What decisions may see of the store, and what they may change in it.
#![forbid(unsafe_code)]

use super::object::Object;
use super::rights::Rights;
use super::terms::Term;
use crate::wire::ttlv::Encoded;
use std::fmt;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;

/// A consistent picture of the store; but of a database elsewhere, each answer is of the last commit at its time.
///
/// Lists are whole or not there: a `limit` is the number of entries that may be looked at, and where more would have to
/// be, the answer is `None`.
pub trait View {
    /// The object with this unique identifier.
    fn object(&self, uid: &str) -> Result<Option<Arc<Object>>, StoreError>;

    /// Shows the objects that a search is after, oldest first, until it is told to stop.
    fn search(&self, search: &Search<'_>, show: &mut Show<'_>) -> Result<SearchEnd, StoreError>;

    /// Unique identifiers of the objects of `owner`, oldest first.
    fn owned_by(&self, owner: &str, limit: usize) -> Result<Option<Vec<String>>, StoreError>;

    /// What `user` was granted on the object `uid`, by name (grants to `*` are a user's name of their own).
    fn granted(&self, uid: &str, user: &str) -> Result<Rights, StoreError>;

    /// The object with this unique identifier, and what these users were granted on it, all of one commit. `None` where all
    /// answers are of one, so that each can be asked for when it is needed.
    fn object_with_grants(&self, uid: &str, users: &[&str]) -> Result<Option<ObjectWithGrants>, StoreError> {
        let _ = (uid, users);
        Ok(None)
    }

    /// Every grant on the object: user and rights, by user.
    fn grants_on(&self, uid: &str, limit: usize) -> Result<Option<Vec<(String, Rights)>>, StoreError>;

    /// Every grant to the user: unique identifier and rights, by identifier.
    fn grants_to(&self, user: &str, limit: usize) -> Result<Option<Vec<(String, Rights)>>, StoreError>;
}

/// An object, if there is one, and all that was granted on it to some users.
pub type ObjectWithGrants = (Option<Arc<Object>>, Rights);

/// What is looked for: objects that have all of the terms, and that somebody may know of.
pub struct Search<'s> {
    /// Tags, and terms of attributes ([`terms`](super::terms)); without any, all objects do.
    pub terms: &'s [Term],
    /// Whose objects are shown,
    pub owner: &'s str,
    /// and, of all others, those on which one of these users was granted something.
    pub users: &'s [&'s str],
}

/// Is shown one object after the other.
pub type Show<'s> = dyn FnMut(Arc<Object>) -> Result<ControlFlow<()>, StoreError> + 's;

/// How a search has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SearchEnd {
    /// Everything was shown.
    Complete,
    /// It was told to stop.
    Stopped,
    /// More would have to be looked at than one request may.
    TooMuch,
}

/// One change to the store.
pub enum Change {
    /// Adds an object whose identifier is free.
    Insert(Object),
    /// Puts an object in the place of the one with the same identifier; its place in the order and its grants stay.
    Replace(Object),
    /// Sets what is kept of an object beside its material, its state and its tags, and nothing else.
    Amend {
        /// Its unique identifier.
        uid: String,
        /// Its attributes, encoded.
        attributes: Encoded,
        /// Its other parts, encoded.
        parts: Encoded,
    },
    /// Removes an object with its tags and grants.
    Remove {
        /// Its unique identifier.
        uid: String,
    },
    /// Sets what a user may do on an object; no right removes the grant.
    Grant {
        /// The object, or [`NO_OBJECT`](super::rights::NO_OBJECT).
        uid: String,
        /// The user, or `*` for everybody.
        user: String,
        /// All that is granted from now on.
        rights: Rights,
    },
}

/// Changes that belong together: all are applied, in order, or none.
pub type Changes = Vec<Change>;

/// Why the store could not do it, by who must act. `Display` gives one line for the operator's log, with the cause and
/// the cure; nothing of it goes to a peer.
#[derive(Clone, Debug)]
pub enum StoreError {
    /// Another process has the database open.
    AlreadyOpen,
    /// The database is not where, or not as, the operator says.
    Misconfigured(String),
    /// The folder or the file cannot be read and written.
    Inaccessible {
        /// Which of them.
        path: PathBuf,
        /// The operating system's reason.
        reason: String,
    },
    /// There is no space left on the disk, or within the quota.
    DiskFull,
    /// The file is not what was written.
    Corrupt(String),
    /// A later version of the program has written the file.
    Newer {
        /// The version of the file's schema.
        found: u32,
        /// The last version that this program knows.
        known: u32,
    },
    /// It is sealed and the secret is not the right one, or the one does not fit the other.
    Locked(&'static str),
    /// The disk, or whatever stands for it, failed.
    Io(String),
    /// The database does not answer, or has refused this once: later it may.
    Unavailable(String),
    /// The caller asked for what cannot be: its fault, not the store's, and nothing has changed.
    Refused(&'static str),
}

impl StoreError {
    /// Whether the store is of no use any more, so that the process must end: starting anew is the way of recovery.
    /// After any other error nothing has changed, and the next transaction may succeed.
    pub fn is_fatal(&self) -> bool {
        match self {
            StoreError::AlreadyOpen
            | StoreError::Misconfigured(_)
            | StoreError::Inaccessible { .. }
            | StoreError::DiskFull
            | StoreError::Corrupt(_)
            | StoreError::Newer { .. }
            | StoreError::Locked(_)
            | StoreError::Io(_) => true,
            StoreError::Unavailable(_) | StoreError::Refused(_) => false,
        }
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StoreError::AlreadyOpen => f.write_str(
                "the database is already open in another process: stop that one, or give this one a folder of its own",
            ),
            StoreError::Misconfigured(reason) => write!(f, "the database cannot be used: {reason}"),
            StoreError::Inaccessible { path, reason } => write!(
                f,
                "{} cannot be used ({reason}): give the server a folder that its user can read and write",
                path.display()
            ),
            StoreError::DiskFull => {
                f.write_str("the disk of the database is full: free some space, then start again")
            }
            StoreError::Corrupt(what) => write!(
                f,
                "the database is damaged ({what}): restore it from a backup; the damaged file was kept"
            ),
            StoreError::Newer { found, known } => write!(
                f,
                "the database has version {found}, and this program knows versions up to {known}: run a later program"
            ),
            StoreError::Locked(reason) => write!(f, "the database cannot be opened: {reason}"),
            StoreError::Io(reason) => {
                write!(f, "the disk of the database failed ({reason}): check it, then start again")
            }
            StoreError::Unavailable(reason) => write!(f, "the database does not answer: {reason}"),
            StoreError::Refused(what) => write!(f, "a change was refused: {what}"),
        }
    }
}

impl std::error::Error for StoreError {}

/// For tests: objects as a function makes them, no grants, and every question that was asked. Nothing else is expected to be.
#[cfg(test)]
pub struct Asked {
    objects: fn(&str) -> Option<Object>,
    questions: std::cell::RefCell<Vec<String>>,
}

#[cfg(test)]
impl Asked {
    /// Nothing was asked yet.
    pub fn new(objects: fn(&str) -> Option<Object>) -> Asked {
        Asked { objects, questions: std::cell::RefCell::default() }
    }

    /// `object UID` and `granted UID USER`, in their order.
    pub fn questions(&self) -> Vec<String> {
        self.questions.borrow().clone()
    }
}

#[cfg(test)]
impl View for Asked {
    fn object(&self, uid: &str) -> Result<Option<Arc<Object>>, StoreError> {
        self.questions.borrow_mut().push(format!("object {uid}"));
        Ok((self.objects)(uid).map(Arc::new))
    }
    fn granted(&self, uid: &str, user: &str) -> Result<Rights, StoreError> {
        self.questions.borrow_mut().push(format!("granted {uid} {user}"));
        Ok(Rights::NONE)
    }
    fn search(&self, _: &Search<'_>, _: &mut Show<'_>) -> Result<SearchEnd, StoreError> {
        unreachable!("nothing is searched for")
    }
    fn owned_by(&self, _: &str, _: usize) -> Result<Option<Vec<String>>, StoreError> {
        unreachable!("no list is asked for")
    }
    fn grants_on(&self, _: &str, _: usize) -> Result<Option<Vec<(String, Rights)>>, StoreError> {
        unreachable!("no list is asked for")
    }
    fn grants_to(&self, _: &str, _: usize) -> Result<Option<Vec<(String, Rights)>>, StoreError> {
        unreachable!("no list is asked for")
    }
}
