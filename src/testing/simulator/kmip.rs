//! What clients ask for, as both generations of them spell it, and what they read of the answers.
#![forbid(unsafe_code)]

use crate::kms::state::State;
use crate::wire::json::Lexer;
use crate::wire::kmip::dialect::{self, Dialect};
use crate::wire::kmip::enumeration::{batch_error_continuation_option, operation};
use crate::wire::ttlv::{Arena, Fields, Item, Tag, Value};

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
    /// What the server counts; on connections for that.
    Metrics,
    /// What is no good request, or nearly none, with the status that answers it.
    Rubbish {
        bytes: Vec<u8>,
        status: u16,
    },
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
                }
                kmip("GetAttributes", &items)
            }
            Ask::Locate { tags } => {
                kmip("Locate", &[structure(dialect, "Attributes", &tag_list(dialect, tags))])
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
            Ask::Version { head_only } => {
                (if *head_only { "HEAD" } else { "GET" }, "/version".into(), String::new())
            }
            Ask::Health => get("/health".into()),
            Ask::Metrics => get("/metrics".into()),
            Ask::Rubbish { .. } => unreachable!("rubbish is sent as it is"),
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

/// The status of each item in the answer to a message.
pub fn read_statuses(mut body: Vec<u8>) -> Vec<u32> {
    let arena = Arena::new();
    let answer = dialect::decode(&mut body, &arena).expect("an answer is a document");
    assert!(["Message", "ResponseMessage"].contains(&answer.root), "{} answers no message", answer.root);
    let items = Fields(&answer.fields);
    let status = |item: &Value<'_>| {
        let fields = Fields(item.children().expect("an item is a structure"));
        fields.enumeration(Tag::RESULT_STATUS).expect("an item has a status")
    };
    items.all(Tag::BATCH_ITEM).map(status).collect()
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

fn tag_list(dialect: Dialect, tags: &[String]) -> String {
    let list = format!("{tags:?}");
    let value = match dialect {
        Dialect::V4 => bytes("AttributeValue", list.as_bytes()),
        Dialect::V5 => text("AttributeValue", &list),
    };
    let items = [text("VendorIdentification", "cosmian"), text("AttributeName", "tag"), value].join(",");
    match dialect {
        Dialect::V4 => {
            structure(dialect, "VendorAttributes", &structure(dialect, "VendorAttributes", &items))
        }
        Dialect::V5 => structure(dialect, "Attribute", &items),
    }
}

fn access(dialect: Dialect, uid: &str, user: &str, right: &str) -> String {
    let operations = match dialect {
        Dialect::V4 => format!(r#""operation_type":"{right}""#),
        Dialect::V5 => format!(r#""operation_types":["{right}"]"#),
    };
    format!(r#"{{"unique_identifier":"{uid}","user_id":"{user}",{operations}}}"#)
}

/// What a client reads of an answer of KMIP.
#[derive(Debug, Default)]
pub struct Answer {
    /// The name of the document: `GetResponse`.
    pub root: String,
    pub uids: Vec<String>,
    pub located: Option<i32>,
    pub material: Option<Vec<u8>>,
    pub state: Option<State>,
    pub tags: Option<String>,
    pub data: Option<Vec<u8>>,
    pub nonce: Option<Vec<u8>>,
    pub tag: Option<Vec<u8>>,
}

/// Reads an answer of KMIP.
pub fn read_answer(mut body: Vec<u8>, asked_in: Dialect) -> Answer {
    let text = String::from_utf8_lossy(&body).into_owned();
    let arena = Arena::new();
    let answer = dialect::decode(&mut body, &arena).unwrap_or_else(|error| panic!("{error:?} in {text}"));
    let typed = text.contains(r#""type":"Structure""#);
    assert_eq!(typed, asked_in == Dialect::V4, "an answer in the dialect of its request: {text}");
    let fields = Fields(&answer.fields);
    let attributes = fields.structure(Tag::ATTRIBUTES);
    let key_value = fields
        .structure(Tag::SYMMETRIC_KEY)
        .and_then(|key| key.structure(Tag::KEY_BLOCK))
        .and_then(|block| block.structure(Tag::KEY_VALUE));
    let material = key_value.and_then(|value| match value.get(Tag::KEY_MATERIAL) {
        Some(Value::Structure(items)) => Fields(items).bytes(Tag::KEY),
        Some(Value::Bytes(bytes)) => Some(bytes),
        _ => None,
    });
    let attribute = attributes.and_then(|attributes| attributes.structure(Tag::ATTRIBUTE));
    let owned = |tag| fields.bytes(tag).map(<[u8]>::to_vec);
    Answer {
        root: answer.root.to_owned(),
        uids: fields.all(Tag::UNIQUE_IDENTIFIER).filter_map(|uid| uid.as_text().map(str::to_owned)).collect(),
        located: fields.integer(Tag::LOCATED_ITEMS),
        material: material.map(<[u8]>::to_vec),
        state: attributes
            .and_then(|attributes| attributes.enumeration(Tag::STATE))
            .map(|code| State::from_code(code).expect("a state of KMIP")),
        tags: attribute.and_then(|attribute| attribute.text(Tag::ATTRIBUTE_VALUE)).map(str::to_owned),
        data: owned(Tag::DATA),
        nonce: owned(Tag::IV_COUNTER_NONCE),
        tag: owned(Tag::AUTHENTICATED_ENCRYPTION_TAG),
    }
}

/// Reads one of the lists of `/access`: of each entry the member `name`, and `state` or the operations.
pub fn read_list(mut body: Vec<u8>, name: &str) -> Vec<(String, Vec<String>)> {
    const VALID: &str = "a list is JSON";
    let mut list = Vec::new();
    let mut lexer = Lexer::new(&mut body);
    lexer.open_array().expect(VALID);
    while lexer.element().expect(VALID) {
        let (mut key, mut values) = (String::new(), Vec::new());
        lexer.open_object().expect(VALID);
        while let Some(member) = lexer.member().expect(VALID) {
            if member == name {
                key = lexer.string().expect(VALID).to_owned();
            } else if member == "state" {
                values.push(lexer.string().expect(VALID).to_owned());
            } else if member == "operations" {
                lexer.open_array().expect(VALID);
                while lexer.element().expect(VALID) {
                    values.push(lexer.string().expect(VALID).to_owned());
                }
            } else {
                lexer.skip().expect(VALID);
            }
        }
        list.push((key, values));
    }
    lexer.end().expect(VALID);
    list
}
