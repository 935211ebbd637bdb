//! Messages: several operations in one request, in all three encodings, over the same store.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod support;

use keyway::limits;
use keyway::pipeline::{self, Endpoint, Inquiry, Place, Read, place};
use keyway::store::Store;
use keyway::time::Timestamp;
use keyway::wire::kmip::dialect::{self, Dialect};
use keyway::wire::kmip::enumeration::{
    derivation_method, object_type, operation, result_reason, result_status, usage_mask,
};
use keyway::wire::ttlv::{Arena, Children, Fields, Item, Tag, Value, binary};
use support::kms::Kms;

/// How a message travels.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Spelling {
    V4,
    V5,
    Binary,
}

const SPELLINGS: [Spelling; 3] = [Spelling::V4, Spelling::V5, Spelling::Binary];

/// An item of a batch: the operation, and the fields of its request.
type Step = (&'static str, Vec<Item<'static>>);

/// A message with these header fields beside the version and the count.
fn message(header: Vec<Item<'static>>, steps: &[Step]) -> Vec<Item<'static>> {
    let version =
        vec![Item::integer(Tag::PROTOCOL_VERSION_MAJOR, 2), Item::integer(Tag::PROTOCOL_VERSION_MINOR, 1)];
    let mut fields = vec![Item::structure(Tag::PROTOCOL_VERSION, version)];
    fields.extend(header);
    fields.push(Item::integer(Tag::BATCH_COUNT, steps.len() as i32));
    let mut message = vec![Item::structure(Tag::REQUEST_HEADER, fields)];
    for (at, (name, payload)) in steps.iter().enumerate() {
        message.push(Item::structure(
            Tag::BATCH_ITEM,
            vec![
                Item::enumeration(Tag::OPERATION, operation::ALL.code(name).unwrap()),
                Item::bytes(Tag::UNIQUE_BATCH_ITEM_ID, vec![at as u8]),
                Item::structure(Tag::REQUEST_PAYLOAD, payload.clone()),
            ],
        ));
    }
    message
}

fn on_error(code: u32) -> Vec<Item<'static>> {
    vec![Item::enumeration(Tag::BATCH_ERROR_CONTINUATION_OPTION, code)]
}

const CONTINUE: u32 = 1;
const STOP: u32 = 2;
const UNDO: u32 = 3;

/// The bytes of an answer, and how to read its items.
struct Answer(Spelling, Vec<u8>);

fn encode(spelling: Spelling, message: &[Item<'_>]) -> (Endpoint, Vec<u8>) {
    let mut body = Vec::new();
    match spelling {
        Spelling::V4 => dialect::encode(Dialect::V4, "Message", message, &mut body),
        Spelling::V5 => dialect::encode(Dialect::V5, "RequestMessage", message, &mut body),
        Spelling::Binary => {
            binary::encode(&[Item::structure(Tag::REQUEST_MESSAGE, message.to_vec())], &mut body);
        }
    }
    let endpoint = match spelling {
        Spelling::V4 => Endpoint::Kmip,
        Spelling::V5 => Endpoint::KmipMessage,
        Spelling::Binary => Endpoint::KmipBinary,
    };
    (endpoint, body)
}

fn ask(kms: &mut Kms, spelling: Spelling, message: &[Item<'_>]) -> Answer {
    let (endpoint, body) = encode(spelling, message);
    let (status, answer) = kms.ask_bytes("owner", endpoint, &body);
    assert_eq!(status, 200, "{}", String::from_utf8_lossy(&answer));
    Answer(spelling, answer)
}

impl Answer {
    /// Of each item: its status, the reason of a failure, and the identifier in its payload.
    fn items(mut self) -> Vec<(u32, Option<u32>, Option<String>)> {
        let arena = Arena::new();
        let fields = match self.0 {
            Spelling::Binary => {
                let [Item { tag, value }] = <[_; 1]>::try_from(binary::decode(&self.1).unwrap()).unwrap();
                assert_eq!(tag, Tag::RESPONSE_MESSAGE);
                Children::Made(value.children().unwrap().to_vec())
            }
            spelling => {
                let read = dialect::decode(&mut self.1, &arena).unwrap();
                assert_eq!(read.dialect == Dialect::V4, spelling == Spelling::V4);
                assert_eq!(read.root, if spelling == Spelling::V4 { "Message" } else { "ResponseMessage" });
                read.fields
            }
        };
        let root = Fields(&fields);
        let header = root.structure(Tag::RESPONSE_HEADER).or(root.structure(Tag::REQUEST_HEADER)).unwrap();
        let items: Vec<_> = root.all(Tag::BATCH_ITEM).map(|item| Fields(item.children().unwrap())).collect();
        assert_eq!(header.integer(Tag::BATCH_COUNT), Some(items.len() as i32));
        assert!(header.date_time(Tag::TIME_STAMP).is_some());
        let told = |item: Fields<'_, '_>| {
            let payload = item.structure(Tag::RESPONSE_PAYLOAD);
            (
                item.enumeration(Tag::RESULT_STATUS).unwrap(),
                item.enumeration(Tag::RESULT_REASON),
                payload.and_then(|payload| payload.text(Tag::UNIQUE_IDENTIFIER)).map(str::to_owned),
            )
        };
        items.into_iter().map(told).collect()
    }
}

fn create(uid: Option<&'static str>) -> Step {
    use keyway::wire::kmip::enumeration::cryptographic_algorithm;
    let mut attributes = vec![
        Item::date_time(Tag::ACTIVATION_DATE, Timestamp::from_unix(0)),
        Item::enumeration(Tag::CRYPTOGRAPHIC_ALGORITHM, cryptographic_algorithm::AES),
        Item::integer(Tag::CRYPTOGRAPHIC_LENGTH, 256),
    ];
    attributes.extend(uid.map(|uid| Item::text(Tag::UNIQUE_IDENTIFIER, uid)));
    let payload = vec![
        Item::enumeration(Tag::OBJECT_TYPE, object_type::SYMMETRIC_KEY),
        Item::structure(Tag::ATTRIBUTES, attributes),
    ];
    ("Create", payload)
}

fn of(name: &'static str, uid: &'static str) -> Step {
    (name, vec![Item::text(Tag::UNIQUE_IDENTIFIER, uid)])
}

fn encrypt(uid: Option<&'static str>) -> Step {
    let mut payload: Vec<_> = uid.map(|uid| Item::text(Tag::UNIQUE_IDENTIFIER, uid)).into_iter().collect();
    payload.push(Item::bytes(Tag::DATA, b"data".to_vec()));
    ("Encrypt", payload)
}

fn statuses(items: &[(u32, Option<u32>, Option<String>)]) -> Vec<u32> {
    items.iter().map(|item| item.0).collect()
}

const DONE: u32 = result_status::SUCCESS;
const FAILED: u32 = result_status::OPERATION_FAILED;
const UNDONE: u32 = result_status::OPERATION_UNDONE;

#[test]
fn items_are_done_in_order_and_see_what_those_before_them_have_done() {
    for spelling in SPELLINGS {
        let mut kms = Kms::new();
        // A client of 4.9.1 chooses no identifier: its items are about what was just made.
        let steps = [create(None), encrypt(None), ("Get", vec![]), create(None), encrypt(None)];
        let items = ask(&mut kms, spelling, &message(vec![], &steps)).items();
        assert_eq!(statuses(&items), [DONE; 5], "{spelling:?} {items:?}");
        let uids: Vec<_> = items.iter().map(|item| item.2.clone().unwrap()).collect();
        assert_eq!((&uids[0], &uids[3]), (&uids[1], &uids[4]));
        assert_eq!(uids[0], uids[2]);
        assert_ne!(uids[0], uids[3]);
        // It is committed.
        let get = ("Get", vec![Item::text(Tag::UNIQUE_IDENTIFIER, uids[0].clone())]);
        assert_eq!(statuses(&ask(&mut kms, spelling, &message(vec![], &[get])).items()), [DONE]);
    }
}

#[test]
fn a_failed_item_continues_stops_or_undoes() {
    for spelling in SPELLINGS {
        let steps = || [create(None), of("Get", "nosuch"), create(None)];
        let owned = |kms: &mut Kms| kms.ask("owner", Endpoint::ListOwned, "").1.matches("object_id").count();
        for (option, expected, left) in [
            (CONTINUE, &[DONE, FAILED, DONE][..], 2),
            (STOP, &[DONE, FAILED], 1),
            (UNDO, &[UNDONE, FAILED], 0),
        ] {
            let mut kms = Kms::new();
            let items = ask(&mut kms, spelling, &message(on_error(option), &steps())).items();
            assert_eq!(statuses(&items), expected, "{spelling:?} {option}");
            let reason = match spelling {
                Spelling::V4 => result_reason::ITEM_NOT_FOUND,
                _ => result_reason::OBJECT_NOT_FOUND,
            };
            assert_eq!(items[1].1, Some(reason));
            assert!(items[0].2.is_some() == (option != UNDO));
            assert_eq!(owned(&mut kms), left, "{spelling:?} {option}");
        }
        // Without an option, KMIP stops; in 4.9.1, no item depended on another.
        let mut kms = Kms::new();
        let items = ask(&mut kms, spelling, &message(vec![], &steps())).items();
        assert_eq!(items.len(), if spelling == Spelling::V4 { 3 } else { 2 });
        // Whoever spells the types and is no client of 4.9.1 is not taken for one.
        let (endpoint, body) = encode(Spelling::V4, &message(vec![], &steps()));
        let body =
            String::from_utf8(body).unwrap().replacen(r#""tag":"Message""#, r#""tag":"RequestMessage""#, 1);
        let (_, answer) = Kms::new().ask("owner", endpoint, &body);
        assert_eq!(answer.matches(r#""ResultStatus""#).count(), 2, "{answer}");
        // What succeeds is not undone.
        let mut kms = Kms::new();
        let items = ask(&mut kms, spelling, &message(on_error(UNDO), &[create(None), create(None)])).items();
        assert_eq!((statuses(&items).as_slice(), owned(&mut kms)), (&[DONE, DONE][..], 2));
    }
}

#[test]
fn an_item_that_fails_in_its_last_stage_has_failed() {
    let mut kms = Kms::new();
    let decrypt = |tag: u8| {
        let payload = vec![
            Item::bytes(Tag::DATA, vec![1, 2, 3]),
            Item::bytes(Tag::IV_COUNTER_NONCE, vec![0; 12]),
            Item::bytes(Tag::AUTHENTICATED_ENCRYPTION_TAG, vec![tag; 16]),
        ];
        ("Decrypt", payload)
    };
    let steps = [create(Some("k")), decrypt(0)];
    let items = ask(&mut kms, Spelling::V5, &message(on_error(UNDO), &steps)).items();
    assert_eq!(statuses(&items), [UNDONE, FAILED]);
    assert_eq!(items[1].1, Some(result_reason::CRYPTOGRAPHIC_FAILURE));
    let gone = ask(&mut kms, Spelling::V5, &message(vec![], &[of("Get", "k")])).items();
    assert_eq!(gone[0].1, Some(result_reason::OBJECT_NOT_FOUND));
}

#[test]
fn an_answer_that_is_too_long_changes_nothing() {
    for spelling in SPELLINGS {
        let mut kms = Kms::new();
        let size = |bytes| vec![Item::integer(Tag::MAXIMUM_RESPONSE_SIZE, bytes)];
        let whole = ask(&mut kms, spelling, &message(size(100_000), &[create(None)])).1.len() as i32;
        let items = ask(&mut kms, spelling, &message(size(whole + 8), &[create(None)])).items();
        assert_eq!(statuses(&items), [DONE], "{spelling:?} {whole}");
        let items = ask(&mut kms, spelling, &message(size(whole - 8), &[create(None)])).items();
        assert_eq!(items, [(FAILED, Some(result_reason::RESPONSE_TOO_LARGE), None)]);
        assert_eq!(kms.ask("owner", Endpoint::ListOwned, "").1.matches("object_id").count(), 2);
    }
}

#[test]
fn an_answer_has_a_limit_of_its_own() {
    let mut kms = Kms::new();
    // A request of 50 KB asks for 64 MiB.
    let random = ("RNGRetrieve", vec![Item::integer(Tag::DATA_LENGTH, 64 * 1024)]);
    let all = vec![random; 1024];
    let answer = ask(&mut kms, Spelling::Binary, &message(on_error(CONTINUE), &all));
    let most = limits::MESSAGE_ANSWER_BYTES_MAX;
    assert!((most - 256 * 1024..most + 512 * 1024).contains(&answer.1.len()), "{}", answer.1.len());
    let items = answer.items();
    assert_eq!((items.len(), items[0].0), (1024, DONE));
    assert_eq!(items[1023], (FAILED, Some(result_reason::RESPONSE_TOO_LARGE), None));
    // What was sent may come back.
    let mut data = encrypt(None);
    data.1[0] = Item::bytes(Tag::DATA, vec![0; 600 * 1024]);
    let sent = [vec![create(None)], vec![data; 30]].concat();
    let items = ask(&mut kms, Spelling::Binary, &message(vec![], &sent)).items();
    assert!(items.len() == 31 && items.iter().all(|item| item.0 == DONE));
}

#[test]
fn a_message_derives_no_more_than_a_request_may() {
    let mut kms = Kms::new();
    let derive = |at: usize| {
        let attributes = vec![
            Item::integer(Tag::CRYPTOGRAPHIC_LENGTH, 256),
            Item::text(Tag::UNIQUE_IDENTIFIER, format!("derived {at}")),
        ];
        let parameters =
            vec![Item::bytes(Tag::SALT, vec![1; 16]), Item::integer(Tag::ITERATION_COUNT, 4_000)];
        let payload = vec![
            Item::enumeration(Tag::OBJECT_TYPE, object_type::SYMMETRIC_KEY),
            Item::text(Tag::UNIQUE_IDENTIFIER, "base"),
            Item::enumeration(Tag::DERIVATION_METHOD, derivation_method::PBKDF2),
            Item::structure(Tag::DERIVATION_PARAMETERS, parameters),
            Item::structure(Tag::ATTRIBUTES, attributes),
        ];
        ("DeriveKey", payload)
    };
    let mut base = create(Some("base"));
    if let Value::Structure(attributes) = &mut base.1[1].value {
        attributes.to_mut().push(Item::integer(Tag::CRYPTOGRAPHIC_USAGE_MASK, usage_mask::DERIVE_KEY));
    }
    let steps = [base, derive(1), derive(2), derive(3)];
    let items = ask(&mut kms, Spelling::V5, &message(on_error(CONTINUE), &steps)).items();
    assert_eq!(statuses(&items), [DONE, DONE, DONE, FAILED], "{items:?}");
}

#[test]
fn what_takes_long_is_not_done_on_the_reactor() {
    let mut kms = Kms::new();
    let random = ("RNGRetrieve", vec![Item::integer(Tag::DATA_LENGTH, 64 * 1024)]);
    let (endpoint, mut body) = encode(Spelling::Binary, &message(vec![], &vec![random; 8]));
    let view = kms.store.read().unwrap();
    let asker = kms.asker("owner");
    let inquiry = Inquiry { endpoint: &endpoint, asker: &asker, at: Place::Here };
    let mut out = Vec::new();
    let read = pipeline::read(inquiry, &mut body, &*view, &mut kms.entropy, &mut Vec::new(), &mut out);
    assert!(matches!(read, Ok(Read::MustScan(_))), "{read:?}");
}

#[test]
fn what_fails_leaves_nothing_to_be_named_by_nothing() {
    for spelling in SPELLINGS {
        let mut kms = Kms::new();
        let steps = [create(None), of("Get", "nosuch"), ("Get", vec![])];
        let items = ask(&mut kms, spelling, &message(on_error(CONTINUE), &steps)).items();
        assert_eq!(statuses(&items), [DONE, FAILED, FAILED], "{spelling:?}");
        assert_eq!(items[2].1, Some(result_reason::MISSING_DATA));
    }
}

/// KMIP 2.1 section 6.1.7.
#[test]
fn what_may_not_be_used_is_not_named_by_nothing() {
    let check = |mask| ("Check", vec![Item::integer(Tag::CRYPTOGRAPHIC_USAGE_MASK, mask)]);
    let mut kms = Kms::new();
    let steps =
        [create(None), check(usage_mask::ENCRYPT), ("Get", vec![]), check(usage_mask::SIGN), ("Get", vec![])];
    let items = ask(&mut kms, Spelling::V5, &message(on_error(CONTINUE), &steps)).items();
    assert_eq!(statuses(&items), [DONE, DONE, DONE, DONE, FAILED]);
    assert_eq!((&items[1].2, &items[3].2), (&items[0].2, &None));
    assert_eq!(items[4].1, Some(result_reason::MISSING_DATA));
}

#[test]
fn locate_names_the_one_object_that_it_has_found() {
    let mut kms = Kms::new();
    let locate = || ("Locate", vec![Item::structure(Tag::ATTRIBUTES, vec![])]);
    let steps = [create(Some("a")), locate(), ("Get", vec![]), create(Some("b")), locate(), ("Get", vec![])];
    let items = ask(&mut kms, Spelling::V5, &message(on_error(CONTINUE), &steps)).items();
    assert_eq!(statuses(&items), [DONE, DONE, DONE, DONE, DONE, FAILED]);
    assert_eq!(items[2].2.as_deref(), Some("a"));
    assert_eq!(items[5].1, Some(result_reason::MISSING_DATA));
}

/// KMIP 2.1 sections 4.62 and 11.61: an identifier may be one of those in the answers to the items before.
#[test]
fn an_object_is_named_by_the_answer_that_has_named_it() {
    use keyway::wire::kmip::enumeration::unique_identifier;
    let by = |item: Item<'static>| ("Get", vec![item]);
    let code = |code| by(Item::enumeration(Tag::UNIQUE_IDENTIFIER, code));
    let place = |place| by(Item::integer(Tag::UNIQUE_IDENTIFIER, place));
    for spelling in [Spelling::V5, Spelling::Binary] {
        let mut kms = Kms::new();
        let steps = [
            create(Some("a")),
            create(Some("b")),
            code(unique_identifier::CREATE),
            place(0),
            place(-2),
            code(unique_identifier::ID_PLACEHOLDER),
            place(100),
            code(unique_identifier::LOCATE),
        ];
        let items = ask(&mut kms, spelling, &message(on_error(CONTINUE), &steps)).items();
        let uids: Vec<_> = items.iter().map(|item| item.2.as_deref()).collect();
        assert_eq!(uids, [Some("a"), Some("b"), Some("b"), Some("a"), Some("b"), Some("b"), None, None]);
        assert_eq!(statuses(&items[5..]), [DONE, FAILED, FAILED], "{spelling:?}");
    }
}

#[test]
fn a_wrapping_key_is_named_by_the_answer_that_has_named_it() {
    let get = |place| {
        let key = Item::structure(
            Tag::ENCRYPTION_KEY_INFORMATION,
            vec![Item::integer(Tag::UNIQUE_IDENTIFIER, place)],
        );
        let specification = vec![Item::enumeration(Tag::WRAPPING_METHOD, 1), key];
        let specification = Item::structure(Tag::KEY_WRAPPING_SPECIFICATION, specification);
        ("Get", vec![Item::text(Tag::UNIQUE_IDENTIFIER, "k"), specification])
    };
    let mut kms = Kms::new();
    let steps = [create(Some("k")), create(Some("kek")), get(1), get(100)];
    let answer = ask(&mut kms, Spelling::Binary, &message(on_error(CONTINUE), &steps));
    assert_eq!(answer.1.windows(3).filter(|bytes| bytes == b"kek").count(), 2, "made, and wrapped by");
    assert_eq!(statuses(&answer.items()), [DONE, DONE, DONE, FAILED]);
}

#[test]
fn what_is_ephemeral_is_not_sent() {
    for spelling in SPELLINGS {
        let mut kms = Kms::new();
        let length = || vec![Item::integer(Tag::DATA_LENGTH, 16)];
        let mut draw = |is_ephemeral| {
            let mut message = message(vec![], &[("RNGRetrieve", length())]);
            add(&mut message[1], Item::boolean(Tag::EPHEMERAL, is_ephemeral));
            let answer = ask(&mut kms, spelling, &message);
            let bytes = answer.1.len();
            assert_eq!(statuses(&answer.items()), [DONE]);
            bytes
        };
        assert!(draw(false) >= draw(true) + 16, "{spelling:?}");
    }
}

fn add(structure: &mut Item<'static>, field: Item<'static>) {
    let Value::Structure(fields) = &mut structure.value else { unreachable!() };
    fields.to_mut().insert(1, field);
}

/// A message of one Query, with this field beside its operation.
fn with(field: Item<'static>) -> Vec<Item<'static>> {
    let mut message = message(vec![], &[("Query", vec![])]);
    add(&mut message[1], field);
    message
}

fn extension(is_critical: bool) -> Item<'static> {
    let fields = vec![
        Item::text(Tag::VENDOR_IDENTIFICATION, "acme"),
        Item::boolean(Tag::CRITICALITY_INDICATOR, is_critical),
        Item::structure(Tag::VENDOR_EXTENSION, vec![]),
    ];
    Item::structure(Tag::MESSAGE_EXTENSION, fields)
}

#[test]
fn what_is_optional_is_passed_over() {
    for spelling in SPELLINGS {
        let mut kms = Kms::new();
        for code in [2, 3] {
            let header = vec![Item::enumeration(Tag::ASYNCHRONOUS_INDICATOR, code)];
            let mut message = message(header, &[create(None)]);
            add(&mut message[1], extension(false));
            assert_eq!(statuses(&ask(&mut kms, spelling, &message).items()), [DONE], "{spelling:?}");
        }
    }
}

#[test]
fn what_is_no_message_is_told_in_its_encoding() {
    let mut kms = Kms::new();
    let (status, answer) = kms.ask("owner", Endpoint::KmipMessage, "{");
    assert_eq!(status, 200);
    assert!(answer.contains(r#""value":"Invalid_Message""#) && !answer.contains("Operation\""), "{answer}");
    let (_, answer) = kms.ask("owner", Endpoint::KmipMessage, r#"{"tag":"Get","value":[]}"#);
    assert!(answer.contains("the document is not a RequestMessage"), "{answer}");
    for (fields, reason) in [
        (vec![], result_reason::INVALID_MESSAGE),
        (
            message(vec![Item::enumeration(Tag::ASYNCHRONOUS_INDICATOR, 1)], &[]),
            result_reason::FEATURE_NOT_SUPPORTED,
        ),
        (message(vec![Item::integer(Tag::MAXIMUM_RESPONSE_SIZE, -1)], &[]), result_reason::INVALID_MESSAGE),
        (with(Item::bytes(Tag::UNIQUE_BATCH_ITEM_ID, vec![1; 600])), result_reason::INVALID_MESSAGE),
        (with(extension(true)), result_reason::FEATURE_NOT_SUPPORTED),
        (message(vec![], &vec![("Query", vec![]); 1025]), result_reason::SERVER_LIMIT_EXCEEDED),
    ] {
        let items = ask(&mut kms, Spelling::Binary, &fields).items();
        assert_eq!(items, [(FAILED, Some(reason), None)], "{fields:?}");
    }
    for broken in [&b"GET / "[..], b"", b"\x42\x00\x78\x01\xFF\xFF\xFF\xFF"] {
        let (status, answer) = kms.ask_bytes("owner", Endpoint::KmipBinary, broken);
        assert_eq!((status, binary::decode(&answer).unwrap()[0].tag), (200, Tag::RESPONSE_MESSAGE));
    }
    let mut other_version = message(vec![], &[]);
    other_version[0] = Item::structure(
        Tag::REQUEST_HEADER,
        vec![
            Item::structure(
                Tag::PROTOCOL_VERSION,
                vec![
                    Item::integer(Tag::PROTOCOL_VERSION_MAJOR, 1),
                    Item::integer(Tag::PROTOCOL_VERSION_MINOR, 4),
                ],
            ),
            Item::integer(Tag::BATCH_COUNT, 0),
        ],
    );
    let items = ask(&mut kms, Spelling::Binary, &other_version).items();
    assert_eq!(items[0].1, Some(result_reason::UNSUPPORTED_PROTOCOL_VERSION));
}

#[test]
fn operations_that_nobody_knows_fail_alone() {
    let mut kms = Kms::new();
    let steps = [("Poll", vec![]), create(None)];
    let items = ask(&mut kms, Spelling::V5, &message(on_error(CONTINUE), &steps)).items();
    assert_eq!(statuses(&items), [FAILED, DONE]);
    assert_eq!(items[0].1, Some(result_reason::OPERATION_NOT_SUPPORTED));
}

#[test]
fn operations_that_have_no_name_fail_alone() {
    let mut kms = Kms::new();
    let (endpoint, body) =
        encode(Spelling::V5, &message(on_error(CONTINUE), &[("Poll", vec![]), create(None)]));
    let body = String::from_utf8(body).unwrap().replace("\"Poll\"", "\"Novelty\"");
    let (_, answer) = kms.ask_bytes("owner", endpoint, body.as_bytes());
    let items = Answer(Spelling::V5, answer).items();
    assert_eq!(statuses(&items), [FAILED, DONE]);
    assert_eq!(items[0].1, Some(result_reason::OPERATION_NOT_SUPPORTED));
}

#[test]
fn a_message_that_hides_what_it_changes_is_written_all_the_same() {
    for number in [r#""0x00000001""#, "1"] {
        let mut kms = Kms::new();
        let (_, body) = encode(Spelling::V5, &message(vec![], &[create(Some("hidden"))]));
        let body = String::from_utf8(body).unwrap().replace(r#""Create""#, number);
        assert_eq!(place(&Endpoint::KmipMessage, body.as_bytes(), true), Place::Here);
        let (status, answer) = kms.ask("owner", Endpoint::KmipMessage, &body);
        assert!(status == 200 && answer.contains(r#""Success""#), "{answer}");
        assert_eq!(kms.ask("owner", Endpoint::ListOwned, "").1.matches(r#""object_id":"hidden""#).count(), 1);
    }
}

#[test]
fn query_and_discover_versions_tell_the_truth() {
    let mut kms = Kms::new();
    let mut ask = |body: &str| kms.ask("anybody", Endpoint::Kmip, body);
    assert_eq!(
        ask(r#"{"tag":"DiscoverVersions","value":[]}"#),
        (200, r#"{"tag":"DiscoverVersionsResponse","value":[{"tag":"ProtocolVersion","value":[{"tag":"ProtocolVersionMajor","type":"Integer","value":2},{"tag":"ProtocolVersionMinor","type":"Integer","value":1}]},{"tag":"ProtocolVersion","value":[{"tag":"ProtocolVersionMajor","type":"Integer","value":2},{"tag":"ProtocolVersionMinor","type":"Integer","value":0}]}]}"#.into())
    );
    let query = |function: &str| {
        format!(
            r#"{{"tag":"Query","value":[{{"tag":"QueryFunction","type":"Enumeration","value":"{function}"}}]}}"#
        )
    };
    let operations = ask(&query("QueryOperations")).1;
    for (name, code) in operation::ALL.values() {
        let listed = operations.contains(&format!(r#""value":"{name}""#));
        let (status, text) = ask(&format!(r#"{{"tag":"{name}","value":[]}}"#));
        assert_eq!(listed, status != 404, "{name} {code}: {text}");
    }
    assert!(ask(&query("QueryServerInformation")).1.contains(r#""value":"Keyway""#));
    let objects = ask(&query("QueryObjects")).1;
    for kind in ["SymmetricKey", "SecretData", "OpaqueObject"] {
        assert!(objects.contains(&format!(r#""value":"{kind}""#)), "{objects}");
    }
    assert_eq!(ask(&query("QueryProfiles")), (200, r#"{"tag":"QueryResponse","value":[]}"#.into()));
    assert_eq!(ask(r#"{"tag":"Query","value":[]}"#).0, 422);
}
