//! Why a request is refused, and how each dialect of clients is told. Clients print these texts.
#![forbid(unsafe_code)]

use super::state::State;
use super::view::StoreError;
use crate::limits;
use crate::wire::kmip::dialect::Dialect;
use crate::wire::kmip::enumeration::result_reason;

/// A request that is answered "no". Whoever may not see an object is told the same as if it were not there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// No such object, or none that this user may see.
    NotFound {
        /// As the request named it.
        uid: String,
    },
    /// The same, for a key that was to be used.
    KeyNotFound {
        /// Encrypt, Decrypt..
        operation: &'static str,
        /// As the request named it.
        uid: String,
    },
    /// The object's state forbids to read or change it.
    WrongState {
        /// The object.
        uid: String,
        /// Its state.
        state: State,
    },
    /// The key's state forbids to use it.
    StateForbids {
        /// Encrypt, Decrypt..
        operation: &'static str,
        /// The key.
        uid: String,
        /// Its state.
        state: State,
        /// The states that would do.
        allowed: &'static str,
    },
    /// The key's usage mask forbids to use it.
    MaskForbids {
        /// Encrypt, Decrypt..
        operation: &'static str,
        /// The key.
        uid: String,
    },
    /// The key's Protect Stop Date has come, or its Process Start Date has not.
    DateForbids {
        /// Encrypt, Decrypt..
        operation: &'static str,
        /// Which of them.
        date: &'static str,
        /// The key.
        uid: String,
    },
    /// Activate of what is not pre-active.
    NotPreActive {
        /// The object.
        uid: String,
        /// Its state.
        state: State,
    },
    /// Destroy of what is active.
    StillActive {
        /// The object.
        uid: String,
    },
    /// The unique identifier is taken.
    AlreadyExists,
    /// A sensitive object leaves the server only wrapped.
    Sensitive,
    /// The object never leaves the server.
    NotExtractable,
    /// The tags name several objects.
    Ambiguous {
        /// Get, Encrypt..
        operation: &'static str,
        /// As the request named them.
        target: String,
        /// How many there are.
        found: usize,
    },
    /// More objects would have to be looked at than one request may.
    TooMany,
    /// No unique identifier.
    PlaceHolder,
    /// Not the owner, or no identity.
    AccessDenied(String),
    /// The ciphertext, its tag, nonce or additional data are not what was encrypted with this key.
    NotGenuine,
    /// An attribute cannot be changed like this.
    Attribute {
        /// What stands against it.
        fault: AttributeFault,
        /// Which attribute, and which rule.
        text: String,
    },
    /// The request contradicts itself or KMIP.
    InvalidRequest(String),
    /// Legal, but not done here.
    NotSupported(String),
    /// No such operation.
    UnknownOperation(String),
    /// The answer would be longer than the client takes.
    ResponseTooLarge,
    /// The key has protected as much as its usage limits allow.
    UsageLimitExceeded {
        /// Encrypt, MAC..
        operation: &'static str,
        /// The key.
        uid: String,
    },
    /// The key has encrypted with as many random nonces as are sure to differ.
    NoncesUsedUp {
        /// The key.
        uid: String,
    },
}

/// What stands against a change of an attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttributeFault {
    /// The client may not change it, or not like this.
    ReadOnly,
    /// It has no such value.
    NotFound,
    /// It can have no further value.
    SingleValued,
    /// It has several values, and must be told which is meant.
    MultiValued,
    /// The object's state forbids it.
    WrongState,
}

impl AttributeFault {
    fn reason(self) -> u32 {
        match self {
            AttributeFault::ReadOnly => result_reason::ATTRIBUTE_READ_ONLY,
            AttributeFault::NotFound => result_reason::ATTRIBUTE_NOT_FOUND,
            AttributeFault::SingleValued => result_reason::ATTRIBUTE_SINGLE_VALUED,
            AttributeFault::MultiValued => result_reason::MULTI_VALUED_ATTRIBUTE,
            AttributeFault::WrongState => result_reason::WRONG_KEY_LIFECYCLE_STATE,
        }
    }
}

/// Why there is no answer: refused, or the store failed.
#[derive(Debug)]
pub enum Failure {
    /// The answer is "no".
    Refused(Refusal),
    /// There is no answer; the peer is not told why.
    Store(StoreError),
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Failure {
        Failure::Refused(refusal)
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Failure {
        Failure::Store(error)
    }
}

/// A list that a view gave whole, or a refusal where it was too long.
pub fn whole<T>(list: Option<Vec<T>>) -> Result<Vec<T>, Refusal> {
    list.ok_or(Refusal::TooMany)
}

impl Refusal {
    /// An [`Refusal::InvalidRequest`] with this text.
    pub fn invalid(text: impl Into<String>) -> Refusal {
        Refusal::InvalidRequest(text.into())
    }

    /// A [`Refusal::Attribute`] with this text.
    pub fn attribute(fault: AttributeFault, text: impl Into<String>) -> Refusal {
        Refusal::Attribute { fault, text: text.into() }
    }

    /// The HTTP status.
    pub fn status(&self) -> u16 {
        match self {
            Refusal::AccessDenied(_) => 401,
            Refusal::UnknownOperation(_) => 404,
            _ => 422,
        }
    }

    /// The text of the answer. Clients of 4.9.1 know no states: what is in the wrong one is not found.
    pub fn text(&self, dialect: Dialect) -> String {
        match dialect {
            Dialect::V4 => self.text_v4(),
            Dialect::V5 => self.text_v5(),
        }
    }

    /// KMIP's result reason (KMIP 2.1 section 11.48), for an item of a batch.
    pub fn reason(&self, dialect: Dialect) -> u32 {
        match self {
            Refusal::NotFound { .. } | Refusal::KeyNotFound { .. } if dialect == Dialect::V5 => {
                result_reason::OBJECT_NOT_FOUND
            }
            Refusal::NotFound { .. } | Refusal::KeyNotFound { .. } => result_reason::ITEM_NOT_FOUND,
            Refusal::WrongState { .. } | Refusal::StateForbids { .. } | Refusal::DateForbids { .. }
                if dialect == Dialect::V4 =>
            {
                result_reason::ITEM_NOT_FOUND
            }
            Refusal::WrongState { state, .. } if state.is_destroyed() => result_reason::OBJECT_DESTROYED,
            Refusal::WrongState { .. }
            | Refusal::StateForbids { .. }
            | Refusal::DateForbids { .. }
            | Refusal::NotPreActive { .. }
            | Refusal::StillActive { .. } => result_reason::WRONG_KEY_LIFECYCLE_STATE,
            Refusal::MaskForbids { .. } => result_reason::INCOMPATIBLE_CRYPTOGRAPHIC_USAGE_MASK,
            Refusal::AlreadyExists => result_reason::OBJECT_ALREADY_EXISTS,
            Refusal::Sensitive => result_reason::SENSITIVE,
            Refusal::Attribute { fault, .. } => fault.reason(),
            Refusal::NotExtractable => result_reason::NOT_EXTRACTABLE,
            Refusal::Ambiguous { .. } | Refusal::InvalidRequest(_) => result_reason::INVALID_FIELD,
            Refusal::TooMany => result_reason::SERVER_LIMIT_EXCEEDED,
            Refusal::PlaceHolder => result_reason::MISSING_DATA,
            Refusal::AccessDenied(_) => result_reason::PERMISSION_DENIED,
            Refusal::NotGenuine => result_reason::CRYPTOGRAPHIC_FAILURE,
            Refusal::NotSupported(_) => result_reason::FEATURE_NOT_SUPPORTED,
            Refusal::UnknownOperation(_) => result_reason::OPERATION_NOT_SUPPORTED,
            Refusal::UsageLimitExceeded { .. } | Refusal::NoncesUsedUp { .. } => {
                result_reason::USAGE_LIMIT_EXCEEDED
            }
            Refusal::ResponseTooLarge => result_reason::RESPONSE_TOO_LARGE,
        }
    }

    /// The text of the answer to an item of a batch, where the reason stands beside it.
    pub fn message(&self, dialect: Dialect) -> String {
        let text = self.text(dialect);
        match text.split_once(": ") {
            Some((reason, message)) if result_reason::ALL.code(reason).is_some() => message.to_owned(),
            _ => text,
        }
    }

    fn text_v4(&self) -> String {
        match self {
            Refusal::NotFound { uid }
            | Refusal::KeyNotFound { uid, .. }
            | Refusal::WrongState { uid, .. }
            | Refusal::StateForbids { uid, .. }
            | Refusal::DateForbids { uid, .. } => format!("Item_Not_Found: {uid}"),
            Refusal::PlaceHolder => "This KMIP server does not yet support place holder id".into(),
            Refusal::StillActive { uid } => {
                format!(
                    "Invalid Request: Object with unique identifier: {uid} is active. It must be revoked first"
                )
            }
            Refusal::Ambiguous { operation: "Encrypt" | "Decrypt", target, .. } => {
                format!("Invalid Request: get: too many objects for key {target}")
            }
            Refusal::Ambiguous { target, .. } => {
                format!("Invalid Request: get: too many active objects for {target}")
            }
            Refusal::UnknownOperation(name) => format!("Not Supported route: Operation: {name}"),
            Refusal::NotGenuine => format!("Cryptographic error: {NOT_GENUINE}"),
            _ => self.text_v5(),
        }
    }

    fn text_v5(&self) -> String {
        match self {
            Refusal::NotFound { uid } => format!("Object_Not_Found: object not found for identifier {uid}"),
            Refusal::KeyNotFound { operation, uid } => {
                format!("Item not found: {operation}: key id: {uid}, not found")
            }
            Refusal::WrongState { state, .. } if state.is_destroyed() => "Object_Destroyed: DENIED".into(),
            Refusal::WrongState { .. } | Refusal::StillActive { .. } => {
                "Wrong_Key_Lifecycle_State: DENIED".into()
            }
            Refusal::StateForbids { operation, uid, state, allowed } => format!(
                "Permission_Denied: {operation}: key {uid} is in state {} but operation requires one of [{allowed}]",
                state.name()
            ),
            Refusal::MaskForbids { operation, uid } => {
                format!(
                    "Incompatible_Cryptographic_Usage_Mask: {operation}: the usage mask of key {uid} forbids it"
                )
            }
            Refusal::DateForbids { operation, date, uid } => {
                format!("Permission_Denied: {operation}: key {uid}: its {date}")
            }
            Refusal::NotPreActive { uid, state } => format!(
                "Wrong_Key_Lifecycle_State: Activate: Object {uid} is already in {} state",
                state.name()
            ),
            Refusal::AlreadyExists => {
                "Database Error: Ext. store error: one or more objects already exist".into()
            }
            Refusal::Sensitive => "Sensitive: DENIED".into(),
            Refusal::NotExtractable => "Not_Extractable: DENIED".into(),
            Refusal::Ambiguous { operation, target, found } => format!(
                "Invalid Request: {operation}: identifier '{target}' resolves to {found} valid keys; \
                 use a unique identifier"
            ),
            Refusal::TooMany => format!(
                "Invalid Request: more than {} objects would have to be looked at: name tags that fewer objects carry",
                limits::OBJECTS_READ_MAX
            ),
            Refusal::PlaceHolder => {
                "Missing_Data: there is no UniqueIdentifier, and no item before this one has named one object"
                    .into()
            }
            Refusal::AccessDenied(text) => format!("Access denied: {text}"),
            Refusal::NotGenuine => format!("Cryptographic_Failure: {NOT_GENUINE}"),
            Refusal::Attribute { fault, text } => {
                let reason = result_reason::ALL.name(fault.reason());
                format!("{}: {text}", reason.unwrap_or("Invalid Request"))
            }
            Refusal::InvalidRequest(text) => format!("Invalid Request: {text}"),
            Refusal::NotSupported(text) => format!("Not Supported: {text}"),
            Refusal::UnknownOperation(name) => format!("Route not supported: Operation: {name}"),
            Refusal::UsageLimitExceeded { operation, uid } => {
                format!(
                    "Usage_Limit_Exceeded: {operation}: the usage limits of key {uid} leave less than this takes"
                )
            }
            Refusal::NoncesUsedUp { uid } => format!(
                "Usage_Limit_Exceeded: Encrypt: key {uid} has encrypted with 4294967296 random nonces, and the next may be \
                 one of them: replace it (ReKey), or send nonces of your own"
            ),
            Refusal::ResponseTooLarge => {
                "Response_Too_Large: the answer is longer than MaximumResponseSize, or than this server gives"
                    .into()
            }
        }
    }
}

const NOT_GENUINE: &str = "decryption failed: the data, nonce, additional data or authentication tag is not what was encrypted with this key";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_dialect_is_told_in_its_own_words() {
        let missing = Refusal::NotFound { uid: "nosuch".into() };
        assert_eq!(missing.text(Dialect::V4), "Item_Not_Found: nosuch");
        assert_eq!(missing.text(Dialect::V5), "Object_Not_Found: object not found for identifier nosuch");
        let revoked = Refusal::StateForbids {
            operation: "Encrypt",
            uid: "k1".into(),
            state: State::Deactivated,
            allowed: "Active",
        };
        assert_eq!(revoked.text(Dialect::V4), "Item_Not_Found: k1");
        assert_eq!(
            revoked.text(Dialect::V5),
            "Permission_Denied: Encrypt: key k1 is in state Deactivated but operation requires one of [Active]"
        );
        let unknown = Refusal::UnknownOperation("Foo".into());
        assert_eq!(
            (unknown.status(), unknown.text(Dialect::V4)),
            (404, "Not Supported route: Operation: Foo".into())
        );
        assert_eq!(unknown.text(Dialect::V5), "Route not supported: Operation: Foo");
    }
}
