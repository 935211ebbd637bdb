//! What clients ask for, as both generations of them spell it, and what they read of the answers.
#![forbid(unsafe_code)]

mod answer;

use super::owner::HandOver;
use crate::wire::kmip::dialect::{self, Dialect};
use crate::wire::kmip::enumeration::{batch_error_continuation_option, operation};
use crate::wire::ttlv::{Arena, Item, Tag};

pub use answer::{Answer, read_answer, read_list, read_statuses};

/// Of an attribute that clients have made up: where they keep the key.
pub const SHELF: (&str, &str) = ("clients", "shelf");

/// One request.
#[derive(Clone, Debug, PartialEq)]
pub enum Ask {
    /// A new key, under this identifier or one of the server's.
    Create {
        uid: Option<String>,
        tags: Vec<String>,
        active: bool,
        bits: usize,
        /// How often it may protect something, if there is a limit: for clients of 5.x.
        uses: Option<i64>,
    },
    /// A key that the client has made.
    Import {
        uid: String,
        tags: Vec<String>,
        active: bool,
        material: Vec<u8>,
        replace: bool,
    },
    Get {
        uid: String,
    },
    GetAttributes {
        uid: String,
    },
    Locate {
        tags: Vec<String>,
        /// On this shelf; on any.
        shelf: Option<String>,
    },
    Encrypt {
        uid: String,
        data: Vec<u8>,
    },
    Decrypt(Sealed),
    /// Gives a key other tags.
    SetAttribute {
        uid: String,
        tags: Vec<String>,
    },
    /// Gives a key more tags, or a shelf.
    AddAttribute {
        uid: String,
        new: Trait,
    },
    /// Puts a key on another shelf.
    ModifyAttribute {
        uid: String,
        /// From this one, or from any.
        current: Option<String>,
        new: String,
    },
    /// Takes tags from a key, or its shelf.
    DeleteAttribute {
        uid: String,
        current: Trait,
    },
    Activate {
        uid: String,
    },
    /// Puts a new key in the place of this one.
    ReKey {
        uid: String,
    },
    Revoke {
        uid: String,
        compromised: bool,
    },
    Destroy {
        uid: String,
        remove: bool,
    },
    Grant {
        uid: String,
        user: &'static str,
        right: &'static str,
    },
    Withdraw {
        uid: String,
        user: &'static str,
        right: &'static str,
    },
    ListAccess {
        uid: String,
    },
    ListOwned,
    /// A database for a new tenant.
    NewDatabase,
    Version {
        head_only: bool,
    },
    Health,
    /// Several requests about one object, in one message.
    Batch {
        uid: String,
        steps: Vec<Ask>,
        on_error: OnError,
    },
    /// The proof that an authority looks for, at its path; on connections for that.
    Proof {
        path: String,
    },
    /// What the server counts; on connections for that.
    Metrics,
    /// What an owner hands over; on connections for that.
    HandOver(HandOver),
    /// What is no good request, or nearly none, with the status that answers it.
    Rubbish {
        bytes: Vec<u8>,
        status: u16,
    },
}

/// Attributes that clients change.
#[derive(Clone, Debug, PartialEq)]
pub enum Trait {
    Tags(Vec<String>),
    /// This shelf; to be taken away: any.
    Shelf(Option<String>),
}

/// What a failed item of a message means for the others.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum OnError {
    Continue,
    Stop,
    Undo,
}

/// Something that was encrypted.
#[derive(Clone, Debug, PartialEq)]
pub struct Sealed {
    /// The key.
    pub uid: String,
    /// Which of the keys that have had this identifier; see [`Asked::number`](super::network::Asked::number).
    pub key_number: u64,
    pub plain: Vec<u8>,
    pub data: Vec<u8>,
    pub nonce: Vec<u8>,
    pub tag: Vec<u8>,
}

impl Ask {
    /// The object that it changes, where it changes one that it names.
    pub fn changes(&self) -> Option<&str> {
        match self {
            Ask::Create { uid, .. } => uid.as_deref(),
            Ask::Import { uid, .. }
            | Ask::SetAttribute { uid, .. }
            | Ask::AddAttribute { uid, .. }
            | Ask::ModifyAttribute { uid, .. }
            | Ask::DeleteAttribute { uid, .. }
            | Ask::Activate { uid }
            | Ask::ReKey { uid }
            | Ask::Revoke { uid, .. }
            | Ask::Destroy { uid, .. }
            | Ask::Grant { uid, .. }
            | Ask::Withdraw { uid, .. }
            | Ask::Batch { uid, .. } => Some(uid),
            _ => None,
        }
    }

    /// What the audit log calls it, of a message the first request in it; `None` where nothing is decided, or nobody knows.
    pub fn operation(&self) -> Option<&'static str> {
        Some(match self {
            Ask::Create { .. } => "Create",
            Ask::Import { .. } => "Import",
            Ask::Get { .. } => "Get",
            Ask::GetAttributes { .. } => "GetAttributes",
            Ask::Locate { .. } => "Locate",
            Ask::Encrypt { .. } => "Encrypt",
            Ask::Decrypt(_) => "Decrypt",
            Ask::SetAttribute { .. } => "SetAttribute",
            Ask::AddAttribute { .. } => "AddAttribute",
            Ask::ModifyAttribute { .. } => "ModifyAttribute",
            Ask::DeleteAttribute { .. } => "DeleteAttribute",
            Ask::Activate { .. } => "Activate",
            Ask::ReKey { .. } => "ReKey",
            Ask::Revoke { .. } => "Revoke",
            Ask::Destroy { .. } => "Destroy",
            Ask::Grant { .. } => "GrantAccess",
            Ask::Withdraw { .. } => "RevokeAccess",
            Ask::ListAccess { .. } => "ListAccess",
            Ask::ListOwned => "ListOwned",
            Ask::NewDatabase => "NewDatabase",
            Ask::Batch { steps, .. } => return steps.first().and_then(Ask::operation),
            Ask::Version { .. }
            | Ask::Health
            | Ask::Proof { .. }
            | Ask::Metrics
            | Ask::HandOver(_)
            | Ask::Rubbish { .. } => return None,
        })
    }

    /// The object that it names, if it names one.
    pub fn names(&self) -> Option<&str> {
        match self {
            Ask::Get { uid }
            | Ask::GetAttributes { uid }
            | Ask::Encrypt { uid, .. }
            | Ask::ListAccess { uid } => Some(uid),
            Ask::Decrypt(sealed) => Some(&sealed.uid),
            _ => self.changes(),
        }
    }

    /// Method, path and body.
    pub fn spell(&self, dialect: Dialect) -> (&'static str, String, String) {
        let kmip = |tag: &str, items: &[String]| {
            ("POST", "/kmip/2_1".to_owned(), structure(dialect, tag, &items.join(",")))
        };
        let post = |path: &str, body: String| ("POST", path.to_owned(), body);
        let get = |path: String| ("GET", path, String::new());
        match self {
            Ask::Create { uid, tags, active, bits, uses } => {
                let uid = uid.as_deref();
                let attributes = attributes(dialect, uid, tags, *active, (*bits, *uses));
                kmip("Create", &[symmetric_key(), attributes])
            }
            Ask::Import { uid, tags, active, material, replace } => {
                let (bits, object) = (
                    material.len() * 8,
                    match dialect {
                        Dialect::V4 => "Object",
                        Dialect::V5 => "SymmetricKey",
                    },
                );
                let key = structure(dialect, "KeyMaterial", &bytes("Key", material));
                let block = [
                    enumeration("KeyFormatType", "TransparentSymmetricKey"),
                    structure(dialect, "KeyValue", &key),
                    enumeration("CryptographicAlgorithm", "AES"),
                    item("CryptographicLength", "Integer", &bits.to_string()),
                ];
                let block = structure(dialect, "KeyBlock", &block.join(","));
                kmip(
                    "Import",
                    &[
                        text("UniqueIdentifier", uid),
                        symmetric_key(),
                        item("ReplaceExisting", "Boolean", &replace.to_string()),
                        attributes(dialect, None, tags, *active, (bits, None)),
                        structure(dialect, object, &block),
                    ],
                )
            }
            Ask::Get { uid } => kmip("Get", &[text("UniqueIdentifier", uid)]),
            Ask::GetAttributes { uid } => {
                let mut items = vec![text("UniqueIdentifier", uid)];
                if dialect == Dialect::V5 {
                    items.push(enumeration("AttributeReference", "State"));
                    items.push(enumeration("AttributeReference", "Tag"));
                    let (vendor, name) = SHELF;
                    let of = [text("VendorIdentification", vendor), text("AttributeName", name)].join(",");
                    items.push(structure(dialect, "AttributeReference", &of));
                }
                kmip("GetAttributes", &items)
            }
            Ask::Locate { tags, shelf } => {
                let mut wanted = vec![(TAGS, Some(format!("{tags:?}")))];
                wanted.extend(shelf.as_ref().map(|shelf| (SHELF, Some(shelf.clone()))));
                kmip("Locate", &[structure(dialect, "Attributes", &vendor_attributes(dialect, &wanted))])
            }
            Ask::Encrypt { uid, data } => {
                kmip("Encrypt", &[text("UniqueIdentifier", uid), bytes("Data", data)])
            }
            Ask::Decrypt(sealed) => kmip(
                "Decrypt",
                &[
                    text("UniqueIdentifier", &sealed.uid),
                    bytes("Data", &sealed.data),
                    bytes("IVCounterNonce", &sealed.nonce),
                    bytes("AuthenticatedEncryptionTag", &sealed.tag),
                ],
            ),
            Ask::SetAttribute { uid, tags } => {
                let new = structure(dialect, "NewAttribute", &tag_list(dialect, tags));
                kmip("SetAttribute", &[text("UniqueIdentifier", uid), new])
            }
            Ask::AddAttribute { uid, new } => {
                let new = structure(dialect, "NewAttribute", &new.spell(dialect));
                kmip("AddAttribute", &[text("UniqueIdentifier", uid), new])
            }
            Ask::ModifyAttribute { uid, current, new } => {
                let spell = |shelf: &String| Trait::Shelf(Some(shelf.clone())).spell(dialect);
                let mut items = vec![text("UniqueIdentifier", uid)];
                let current =
                    current.iter().map(|shelf| structure(dialect, "CurrentAttribute", &spell(shelf)));
                items.extend(current);
                items.push(structure(dialect, "NewAttribute", &spell(new)));
                kmip("ModifyAttribute", &items)
            }
            Ask::DeleteAttribute { uid, current } => {
                let current = structure(dialect, "CurrentAttribute", &current.spell(dialect));
                kmip("DeleteAttribute", &[text("UniqueIdentifier", uid), current])
            }
            Ask::Activate { uid } => kmip("Activate", &[text("UniqueIdentifier", uid)]),
            Ask::ReKey { uid } => kmip("ReKey", &[text("UniqueIdentifier", uid)]),
            Ask::Revoke { uid, compromised } => {
                let mut items = vec![text("UniqueIdentifier", uid)];
                match (dialect, compromised) {
                    (Dialect::V4, false) => items.push(text("RevocationReason", "retired")),
                    (Dialect::V4, true) => {
                        items.push(enumeration("RevocationReason", "KeyCompromise"));
                        items.push(item("CompromiseOccurrenceDate", "DateTime", "\"2026-01-01T00:00:00Z\""));
                    }
                    (Dialect::V5, _) => {
                        let code = if *compromised { "KeyCompromise" } else { "Unspecified" };
                        let code = enumeration("RevocationReasonCode", code);
                        items.push(structure(dialect, "RevocationReason", &code));
                    }
                }
                kmip("Revoke", &items)
            }
            Ask::Destroy { uid, remove } => {
                let remove = item("Remove", "Boolean", &remove.to_string());
                kmip("Destroy", &[text("UniqueIdentifier", uid), remove])
            }
            Ask::Grant { uid, user, right } => post("/access/grant", access(dialect, uid, user, right)),
            Ask::Withdraw { uid, user, right } => post("/access/revoke", access(dialect, uid, user, right)),
            Ask::ListAccess { uid } => get(format!("/access/list/{uid}")),
            Ask::Batch { steps, on_error, .. } => {
                let path = if dialect == Dialect::V4 { "/kmip/2_1" } else { "/kmip" };
                post(path, message(dialect, steps, *on_error))
            }
            Ask::ListOwned => get("/access/owned".into()),
            Ask::NewDatabase => post("/new_database", String::new()),
            Ask::Version { head_only } => {
                (if *head_only { "HEAD" } else { "GET" }, "/version".into(), String::new())
            }
            Ask::Health => get("/health".into()),
            Ask::Proof { path } => get(path.clone()),
            Ask::Metrics => get("/metrics".into()),
            Ask::HandOver(_) | Ask::Rubbish { .. } => unreachable!("they are sent as they are"),
        }
    }
}

/// A message of these requests.
fn message(dialect: Dialect, steps: &[Ask], on_error: OnError) -> String {
    let on_error = match on_error {
        OnError::Continue => batch_error_continuation_option::CONTINUE,
        OnError::Stop => batch_error_continuation_option::STOP,
        OnError::Undo => batch_error_continuation_option::UNDO,
    };
    let version =
        vec![Item::integer(Tag::PROTOCOL_VERSION_MAJOR, 2), Item::integer(Tag::PROTOCOL_VERSION_MINOR, 1)];
    let header = vec![
        Item::structure(Tag::PROTOCOL_VERSION, version),
        Item::enumeration(Tag::BATCH_ERROR_CONTINUATION_OPTION, on_error),
        Item::integer(Tag::BATCH_COUNT, steps.len() as i32),
    ];
    let mut bodies: Vec<Vec<u8>> = steps.iter().map(|step| step.spell(dialect).2.into_bytes()).collect();
    let arena = Arena::new();
    let mut message = vec![Item::structure(Tag::REQUEST_HEADER, header)];
    for body in &mut bodies {
        let request = dialect::decode(body, &arena).expect("it was written a moment ago");
        let operation = operation::ALL.code(request.root).expect("it is an operation");
        let fields = vec![
            Item::enumeration(Tag::OPERATION, operation),
            Item::structure(Tag::REQUEST_PAYLOAD, request.fields),
        ];
        message.push(Item::structure(Tag::BATCH_ITEM, fields));
    }
    let mut body = Vec::new();
    let root = if dialect == Dialect::V4 { "Message" } else { "RequestMessage" };
    dialect::encode(dialect, root, &message, &mut body);
    String::from_utf8(body).expect("JSON is text")
}

fn item(tag: &str, kind: &str, value: &str) -> String {
    format!(r#"{{"tag":"{tag}","type":"{kind}","value":{value}}}"#)
}

fn text(tag: &str, value: &str) -> String {
    item(tag, "TextString", &format!("{value:?}"))
}

fn enumeration(tag: &str, name: &str) -> String {
    item(tag, "Enumeration", &format!("{name:?}"))
}

fn bytes(tag: &str, value: &[u8]) -> String {
    let digits: String = value.iter().map(|byte| format!("{byte:02X}")).collect();
    item(tag, "ByteString", &format!("{digits:?}"))
}

/// The clients of 5.x write no type on structures.
fn structure(dialect: Dialect, tag: &str, items: &str) -> String {
    match dialect {
        Dialect::V4 => format!(r#"{{"tag":"{tag}","type":"Structure","value":[{items}]}}"#),
        Dialect::V5 => format!(r#"{{"tag":"{tag}","value":[{items}]}}"#),
    }
}

fn symmetric_key() -> String {
    enumeration("ObjectType", "SymmetricKey")
}

/// The attributes of a new key.
fn attributes(
    dialect: Dialect,
    uid: Option<&str>,
    tags: &[String],
    active: bool,
    (bits, uses): (usize, Option<i64>),
) -> String {
    let mut items = Vec::new();
    if active && dialect == Dialect::V5 {
        items.push(item("ActivationDate", "DateTime", "\"2020-01-01T00:00:00Z\""));
    }
    items.push(enumeration("CryptographicAlgorithm", "AES"));
    items.push(item("CryptographicLength", "Integer", &bits.to_string()));
    items.extend(uid.map(|uid| text("UniqueIdentifier", uid)));
    items.push(tag_list(dialect, tags));
    if let Some(uses) = uses {
        let total = item("UsageLimitsTotal", "LongInteger", &format!("\"0x{uses:016X}\""));
        let limits = [total, enumeration("UsageLimitsUnit", "Object")].join(",");
        items.push(structure(dialect, "UsageLimits", &limits));
    }
    structure(dialect, "Attributes", &items.join(","))
}

/// The tags of the user, as the clients keep them.
const TAGS: (&str, &str) = ("cosmian", "tag");

impl Trait {
    fn spell(&self, dialect: Dialect) -> String {
        match self {
            Trait::Tags(tags) => tag_list(dialect, tags),
            Trait::Shelf(shelf) => vendor_attributes(dialect, &[(SHELF, shelf.clone())]),
        }
    }
}

fn tag_list(dialect: Dialect, tags: &[String]) -> String {
    vendor_attributes(dialect, &[(TAGS, Some(format!("{tags:?}")))])
}

/// Attributes of vendors: their vendors and names, with a value or without.
fn vendor_attributes(dialect: Dialect, attributes: &[((&str, &str), Option<String>)]) -> String {
    let spell = |((vendor, name), value): &((&str, &str), Option<String>)| {
        let mut items = vec![text("VendorIdentification", vendor), text("AttributeName", name)];
        items.extend(value.as_ref().map(|value| match dialect {
            Dialect::V4 => bytes("AttributeValue", value.as_bytes()),
            Dialect::V5 => text("AttributeValue", value),
        }));
        let tag = if dialect == Dialect::V4 { "VendorAttributes" } else { "Attribute" };
        structure(dialect, tag, &items.join(","))
    };
    let all = attributes.iter().map(spell).collect::<Vec<_>>().join(",");
    match dialect {
        Dialect::V4 => structure(dialect, "VendorAttributes", &all),
        Dialect::V5 => all,
    }
}

fn access(dialect: Dialect, uid: &str, user: &str, right: &str) -> String {
    let operations = match dialect {
        Dialect::V4 => format!(r#""operation_type":"{right}""#),
        Dialect::V5 => format!(r#""operation_types":["{right}"]"#),
    };
    format!(r#"{{"unique_identifier":"{uid}","user_id":"{user}",{operations}}}"#)
}
