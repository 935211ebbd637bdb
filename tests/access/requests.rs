//! A request for every operation, in every spelling.

use super::super::support::requests::{
    active, boolean, bytes, create, enumeration, integer, name, on, structure, symmetric_key, text,
};
use super::Answer;
use keyway::wire::kmip::dialect::{self, Dialect};
use keyway::wire::kmip::enumeration;
use keyway::wire::ttlv::{Arena, Children, Item, Tag, binary};

/// How an operation is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spelling {
    V4,
    V5,
    Message,
    Binary,
}

impl Spelling {
    pub const ALL: [Spelling; 4] = [Spelling::V4, Spelling::V5, Spelling::Message, Spelling::Binary];

    /// A request of 5.x in this spelling, and where it goes.
    pub fn write(self, request: &str) -> (&'static str, Vec<u8>) {
        match self {
            Spelling::V4 => {
                ("/kmip/2_1", request.replace(r#"","value":["#, r#"","type":"Structure","value":["#).into())
            }
            Spelling::V5 => ("/kmip/2_1", request.into()),
            Spelling::Message | Spelling::Binary => {
                let (mut text, arena) = (request.as_bytes().to_vec(), Arena::new());
                let read = dialect::decode(&mut text, &arena).unwrap();
                let mut body = Vec::new();
                let message = message(read.root, read.fields);
                match self {
                    Spelling::Message => {
                        dialect::encode(Dialect::V5, "RequestMessage", &message, &mut body);
                    }
                    _ => binary::encode(&[Item::structure(Tag::REQUEST_MESSAGE, message)], &mut body),
                }
                ("/kmip", body)
            }
        }
    }

    /// Whether the operation was done.
    pub fn is_success(self, answer: &Answer) -> bool {
        const SUCCESS: &[u8] = b"\x42\x00\x7F\x05\x00\x00\x00\x04\x00\x00\x00\x00";
        answer.status == 200
            && match self {
                Spelling::V4 | Spelling::V5 => true,
                Spelling::Message => {
                    answer.text().contains(r#""ResultStatus","type":"Enumeration","value":"Success""#)
                }
                Spelling::Binary => answer.body.windows(SUCCESS.len()).any(|window| window == SUCCESS),
            }
    }
}

/// A message with one operation.
pub fn message<'a>(operation: &str, payload: Children<'a>) -> Vec<Item<'a>> {
    let version =
        vec![Item::integer(Tag::PROTOCOL_VERSION_MAJOR, 2), Item::integer(Tag::PROTOCOL_VERSION_MINOR, 1)];
    let header = vec![Item::structure(Tag::PROTOCOL_VERSION, version), Item::integer(Tag::BATCH_COUNT, 1)];
    let code = enumeration::operation::ALL.code(operation).unwrap();
    let item = vec![Item::enumeration(Tag::OPERATION, code), Item::structure(Tag::REQUEST_PAYLOAD, payload)];
    vec![Item::structure(Tag::REQUEST_HEADER, header), Item::structure(Tag::BATCH_ITEM, item)]
}

/// All the same bytes, so that one ciphertext is of every key.
pub fn key(uid: &str, is_active: bool, byte: &str) -> String {
    // Encrypt, Decrypt, MAC Generate, MAC Verify, Derive Key.
    let mut attributes = vec![integer("CryptographicUsageMask", 0x38C), text("ContactInformation", "before")];
    attributes.extend(is_active.then(active));
    let object = symmetric_key("Raw", &byte.repeat(32), &[]);
    let kind = enumeration("ObjectType", "SymmetricKey");
    structure("Import", &[on(uid), kind, structure("Attributes", &attributes), object])
}

/// A request for an operation on this object; of those that are about none, one that makes an object called `made`.
pub fn request(operation: &str, uid: &str, made: &str, sealed: &[String]) -> String {
    let hashing = || structure("CryptographicParameters", &[enumeration("HashingAlgorithm", "SHA256")]);
    let data = || bytes("Data", "00");
    let contact = |tag: &str, value: &str| structure(tag, &[text("ContactInformation", value)]);
    let named = structure("NewAttribute", &[name("added")]);
    let more = match operation {
        "Activate" | "Check" | "Destroy" | "Export" | "Get" | "GetAttributeList" | "GetAttributes"
        | "ReKey" => {
            vec![]
        }
        "ReKey+Attributes" => {
            return structure("ReKey", &[on(uid), contact("Attributes", "after")]);
        }
        "AddAttribute" => vec![named],
        "SetAttribute" | "ModifyAttribute" => vec![contact("NewAttribute", "after")],
        "DeleteAttribute" => vec![contact("CurrentAttribute", "before")],
        "Create" => return create(made, &[]),
        "Import" => return key(made, true, "01"),
        "Import+Replace" => {
            return key(made, true, "01").replacen(
                r#"{"tag":"ObjectType""#,
                &format!(r#"{},{{"tag":"ObjectType""#, boolean("ReplaceExisting", true)),
                1,
            );
        }
        "Register" => {
            let attributes = structure("Attributes", &[on(made)]);
            let object = symmetric_key("Raw", &"01".repeat(32), &[]);
            return structure("Register", &[enumeration("ObjectType", "SymmetricKey"), attributes, object]);
        }
        "Locate" => return structure("Locate", &[structure("Attributes", &[on(uid)])]),
        "Query" => return structure("Query", &[enumeration("QueryFunction", "QueryOperations")]),
        "DiscoverVersions" => return structure("DiscoverVersions", &[]),
        "Hash" => return structure("Hash", &[hashing(), data()]),
        "RNGRetrieve" => return structure("RNGRetrieve", &[integer("DataLength", 8)]),
        "RNGSeed" => return structure("RNGSeed", &[data()]),
        "Encrypt" => vec![data()],
        "Decrypt" => sealed.to_vec(),
        "MAC" => vec![hashing(), data()],
        "MACVerify" => vec![hashing(), data(), bytes("MACData", "00")],
        "Revoke" => {
            vec![structure("RevocationReason", &[enumeration("RevocationReasonCode", "Unspecified")])]
        }
        "DeriveKey" => {
            let attributes = [on(made), integer("CryptographicLength", 128)];
            vec![
                enumeration("ObjectType", "SymmetricKey"),
                enumeration("DerivationMethod", "HASH"),
                structure("DerivationParameters", &[hashing(), bytes("DerivationData", "00")]),
                structure("Attributes", &attributes),
            ]
        }
        other => panic!("tests/access_table.rs has no request for {other}"),
    };
    structure(operation, &[vec![on(uid)], more].concat())
}

/// The operation of KMIP that a row is about.
pub fn operation_of(row: &str) -> &str {
    row.split('+').next().unwrap()
}
