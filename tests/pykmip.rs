//! Our binary TTLV against another codec, PyKMIP's: both write the same bytes for the same things, and it reads ours.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod support;

use keyway::time::Timestamp;
use keyway::wire::kmip::enumeration::{
    block_cipher_mode, cryptographic_algorithm, encoding_option, key_format_type, object_type, operation,
    result_status, wrapping_method,
};
use keyway::wire::ttlv::{Item, Tag, binary};
use std::io::Write;
use std::process::{Command, Stdio};
use support::python::python;

const KEY: [u8; 32] = {
    let mut key = [0; 32];
    let mut i = 0;
    while i < 32 {
        key[i] = i as u8;
        i += 1;
    }
    key
};
const NOW: Timestamp = Timestamp::from_unix(1_795_460_400);

fn attributes() -> Item<'static> {
    Item::structure(
        Tag::ATTRIBUTES,
        vec![
            Item::enumeration(Tag::CRYPTOGRAPHIC_ALGORITHM, cryptographic_algorithm::AES),
            Item::integer(Tag::CRYPTOGRAPHIC_LENGTH, 256),
            Item::integer(Tag::CRYPTOGRAPHIC_USAGE_MASK, 0x3C),
            Item::text(Tag::UNIQUE_IDENTIFIER, "k1"),
            Item::date_time(Tag::ACTIVATION_DATE, NOW),
        ],
    )
}

fn key_value() -> Item<'static> {
    Item::structure(Tag::KEY_VALUE, vec![Item::bytes(Tag::KEY_MATERIAL, &KEY[..])])
}

fn key_block() -> Item<'static> {
    Item::structure(
        Tag::KEY_BLOCK,
        vec![
            Item::enumeration(Tag::KEY_FORMAT_TYPE, key_format_type::RAW),
            key_value(),
            Item::enumeration(Tag::CRYPTOGRAPHIC_ALGORITHM, cryptographic_algorithm::AES),
            Item::integer(Tag::CRYPTOGRAPHIC_LENGTH, 256),
        ],
    )
}

fn wrapping_data() -> Item<'static> {
    let mode = Item::enumeration(Tag::BLOCK_CIPHER_MODE, block_cipher_mode::NIST_KEY_WRAP);
    let key = vec![
        Item::text(Tag::UNIQUE_IDENTIFIER, "kek"),
        Item::structure(Tag::CRYPTOGRAPHIC_PARAMETERS, vec![mode]),
    ];
    Item::structure(
        Tag::KEY_WRAPPING_DATA,
        vec![
            Item::enumeration(Tag::WRAPPING_METHOD, wrapping_method::ENCRYPT),
            Item::structure(Tag::ENCRYPTION_KEY_INFORMATION, key),
            Item::enumeration(Tag::ENCODING_OPTION, encoding_option::NO_ENCODING),
        ],
    )
}

fn version() -> Item<'static> {
    let numbers = [(Tag::PROTOCOL_VERSION_MAJOR, 2), (Tag::PROTOCOL_VERSION_MINOR, 0)]
        .map(|(tag, n)| Item::integer(tag, n));
    Item::structure(Tag::PROTOCOL_VERSION, numbers.to_vec())
}

fn request() -> Item<'static> {
    let payload = vec![
        Item::text(Tag::UNIQUE_IDENTIFIER, "k1"),
        Item::enumeration(Tag::KEY_FORMAT_TYPE, key_format_type::RAW),
    ];
    let item = vec![
        Item::enumeration(Tag::OPERATION, operation::GET),
        Item::structure(Tag::REQUEST_PAYLOAD, payload),
    ];
    let header = vec![version(), Item::integer(Tag::BATCH_COUNT, 1)];
    Item::structure(
        Tag::REQUEST_MESSAGE,
        vec![Item::structure(Tag::REQUEST_HEADER, header), Item::structure(Tag::BATCH_ITEM, item)],
    )
}

fn response() -> Item<'static> {
    let payload = vec![
        Item::enumeration(Tag::OBJECT_TYPE, object_type::SYMMETRIC_KEY),
        Item::text(Tag::UNIQUE_IDENTIFIER, "k1"),
        Item::structure(Tag::SYMMETRIC_KEY, vec![key_block()]),
    ];
    let item = vec![
        Item::enumeration(Tag::OPERATION, operation::GET),
        Item::enumeration(Tag::RESULT_STATUS, result_status::SUCCESS),
        Item::structure(Tag::RESPONSE_PAYLOAD, payload),
    ];
    let header = vec![version(), Item::date_time(Tag::TIME_STAMP, NOW), Item::integer(Tag::BATCH_COUNT, 1)];
    Item::structure(
        Tag::RESPONSE_MESSAGE,
        vec![Item::structure(Tag::RESPONSE_HEADER, header), Item::structure(Tag::BATCH_ITEM, item)],
    )
}

#[test]
fn both_codecs_write_the_same_bytes_and_read_each_other() {
    let ours: Vec<(&str, String)> = [
        ("attributes", attributes()),
        ("key_value", key_value()),
        ("key_block", key_block()),
        ("wrapping_data", wrapping_data()),
        ("request", request()),
        ("response", response()),
    ]
    .into_iter()
    .map(|(name, item)| {
        let mut bytes = Vec::new();
        binary::encode(std::slice::from_ref(&item), &mut bytes);
        assert_eq!(binary::decode(&bytes).as_deref(), Ok(&[item][..]), "{name}");
        (name, bytes.iter().map(|byte| format!("{byte:02x}")).collect())
    })
    .collect();
    let lines = |verb: &str| -> String {
        ours.iter().map(|(name, digits)| format!("{verb}{name} {digits}\n")).collect()
    };

    let program = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/pykmip/codec.py");
    let mut codec = Command::new(python("pykmip", "pykmip/requirements.txt"))
        .arg(program)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    codec.stdin.take().unwrap().write_all(lines("").as_bytes()).unwrap();
    let output = codec.wait_with_output().unwrap();
    assert!(output.status.success());
    assert_eq!(String::from_utf8(output.stdout).unwrap(), lines("made ") + &lines("read "));
}
