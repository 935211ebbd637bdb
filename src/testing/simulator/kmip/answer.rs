//! What clients read of answers.
#![forbid(unsafe_code)]

use super::{SHELF, TAGS};
use crate::kms::state::State;
use crate::wire::json::Lexer;
use crate::wire::kmip::dialect::{self, Dialect};
use crate::wire::ttlv::{Arena, Fields, Tag, Value};

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
    pub shelf: Option<String>,
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
    let of_vendor = |wanted: (&str, &str)| {
        let structures = attributes?.all(Tag::ATTRIBUTE).filter_map(Value::children).map(Fields);
        let is_wanted = |attribute: &Fields<'_, '_>| {
            let vendor = attribute.text(Tag::VENDOR_IDENTIFICATION);
            vendor == Some(wanted.0) && attribute.text(Tag::ATTRIBUTE_NAME) == Some(wanted.1)
        };
        let attribute = structures.into_iter().find(is_wanted)?;
        attribute.text(Tag::ATTRIBUTE_VALUE).map(str::to_owned)
    };
    let owned = |tag| fields.bytes(tag).map(<[u8]>::to_vec);
    Answer {
        root: answer.root.to_owned(),
        uids: fields.all(Tag::UNIQUE_IDENTIFIER).filter_map(|uid| uid.as_text().map(str::to_owned)).collect(),
        located: fields.integer(Tag::LOCATED_ITEMS),
        material: material.map(<[u8]>::to_vec),
        state: attributes
            .and_then(|attributes| attributes.enumeration(Tag::STATE))
            .map(|code| State::from_code(code).expect("a state of KMIP")),
        tags: of_vendor(TAGS),
        shelf: of_vendor(SHELF),
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
