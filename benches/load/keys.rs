//! A database with a million keys, beside one with a thousand: what it costs to find one. Over plain HTTP, one request
//! after the other.

use crate::Bench;
use crate::answers::PATH;
use crate::client::Client;
use crate::report::{Report, Target, median, median_ratio, number};
use crate::servers::Keyway;
use crate::support::{Scratch, on, wait_for};
use keyway::crypto::material::Material;
use keyway::kms::object::Object;
use keyway::kms::state::State;
use keyway::kms::view::Change;
use keyway::secret::Secret;
use keyway::shell::os::{Clock, OsEntropy};
use keyway::store::redb::{self, FILE_NAME, RedbStore};
use keyway::store::sealed::{self, MasterSecret};
use keyway::wire::ttlv::{Encoded, Item, Tag};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

const FEW: usize = 1_000;
const MANY: usize = 1_000_000;
/// Keys that are put into the database in one transaction.
const TRANSACTION: usize = 50_000;
/// Names come in no order: with a server's small cache, pages would be written over and over.
const FILLING_CACHE_BYTES: usize = 1024 * 1024 * 1024;
/// Requests of a kind in one turn.
const REQUESTS: usize = 300;
/// Turns in one round of what is held against the other server: they must be many to tell a twentieth from noise.
const TURNS: usize = 10;
const TARGET_LOCATE_MS: f64 = 5.0;
const TARGET_START_S: f64 = 0.1;
/// Of the time among a thousand.
const TARGET_RATIO: f64 = 1.1;
const PASSWORD: &str = "benchmark";
/// Stands beside a file that is not verified yet.
const UNVERIFIED_NAME: &str = "keyway.unverified";

/// Keys that are encrypted with, all over the database: fewer than have leases for nonces.
const BUSY: usize = 100;

/// What is asked.
struct Question {
    name: &'static str,
    /// The request, given the number of a key.
    request: fn(usize) -> String,
    /// Of how many keys.
    keys: usize,
    /// How long the slowest of a hundred answers may take,
    target: Target,
    /// and whether it may take no longer than with the other server: then it is asked in many turns.
    is_compared: bool,
}

const QUESTIONS: [Question; 6] = [
    Question {
        name: "Get",
        request: |key| on("Get", &uid(key)),
        keys: MANY,
        target: Target::None,
        is_compared: true,
    },
    Question {
        name: "Encrypt, a hundred keys",
        request: encrypt,
        keys: BUSY,
        target: Target::None,
        is_compared: true,
    },
    Question {
        name: "Locate by two tags",
        request: |key| locate(&tags(&[host(key), colour(key)]), ""),
        keys: MANY,
        target: Target::AtMost(TARGET_LOCATE_MS),
        is_compared: false,
    },
    Question {
        name: "Locate by name",
        request: |key| locate(&named(key), ""),
        keys: MANY,
        target: Target::AtMost(TARGET_LOCATE_MS),
        is_compared: false,
    },
    Question {
        name: "Locate by two common tags, 10 items",
        request: |key| locate(&tags(&[colour(key), "_kk".into()]), MAXIMUM_ITEMS),
        keys: MANY,
        target: Target::None,
        is_compared: false,
    },
    Question {
        name: "Locate AES keys, 10 items",
        request: |_| locate(AES, MAXIMUM_ITEMS),
        keys: MANY,
        target: Target::None,
        is_compared: false,
    },
];

const MAXIMUM_ITEMS: &str = r#"{"tag":"MaximumItems","type":"Integer","value":10},"#;
const AES: &str = r#"{"tag":"CryptographicAlgorithm","type":"Enumeration","value":"AES"}"#;

pub fn measure(bench: &Bench, report: &mut Report) {
    for (engine, is_sealed) in [("redb", false), ("sealed redb", true)] {
        let (mut few, mut many) = (Filled::new(FEW, is_sealed), Filled::new(MANY, is_sealed));
        // Where a process has its memory makes a difference, too: each round has new ones.
        for round in 0..bench.rounds {
            few.start(bench);
            many.start(bench);
            for (number, question) in QUESTIONS.iter().enumerate() {
                let turns = if question.is_compared { TURNS } else { 1 };
                for turn in round * turns..(round + 1) * turns {
                    few.ask(turn, number);
                    many.ask(turn, number);
                }
            }
            few.end();
            many.end();
        }
        report.add(
            &format!("Start, {engine}"),
            format!("{MANY} keys, {} MB", number(many.file_bytes as f64 / 1e6)),
            format!("{FEW} keys, {} s", number(median(few.starts_s))),
            median(many.starts_s),
            " s",
            Target::AtMost(TARGET_START_S),
        );
        for ((question, ours), reference) in QUESTIONS.iter().zip(&many.answers).zip(&few.answers) {
            let p50 = |times: &[Times]| median(times.iter().map(|times| times.p50_ms));
            let p99 = |times: &[Times]| median(times.iter().map(|times| times.p99_ms));
            let name = format!("{}, {engine}", question.name);
            let figures = |times: &[Times]| format!("p50 {} ms", number(p50(times)));
            let beside = format!("{}, p99 {} ms with {FEW}", figures(reference), number(p99(reference)));
            report.add(&name, figures(ours), beside, p99(ours), " ms p99", question.target);
            if question.is_compared {
                let of = |times: &[Times]| times.iter().map(|times| times.p50_ms).collect::<Vec<_>>();
                let ratio = median_ratio(of(ours).into_iter(), of(reference).into_iter());
                let target = Target::AtMost(TARGET_RATIO);
                report.add("", figures(ours), figures(reference), ratio, "", target);
            }
        }
    }
}

struct Times {
    p50_ms: f64,
    p99_ms: f64,
}

/// A database with so many keys, the servers that were started on it, and how long they took.
struct Filled {
    is_sealed: bool,
    count: usize,
    file_bytes: u64,
    /// While no server has it.
    folder: Option<Scratch>,
    server: Option<Keyway>,
    starts_s: Vec<f64>,
    /// To each of the questions.
    answers: [Vec<Times>; QUESTIONS.len()],
}

impl Filled {
    fn new(count: usize, is_sealed: bool) -> Filled {
        let folder = Scratch::new();
        let data = data_folder(&folder);
        fill(&data, count, is_sealed);
        let file_bytes = fs::metadata(data.join(FILE_NAME)).unwrap().len();
        Filled {
            is_sealed,
            count,
            file_bytes,
            folder: Some(folder),
            server: None,
            starts_s: Vec::new(),
            answers: [const { Vec::new() }; QUESTIONS.len()],
        }
    }

    fn start(&mut self, bench: &Bench) {
        let folder = self.folder.take().unwrap();
        let unverified = data_folder(&folder).join(UNVERIFIED_NAME);
        let arguments = if self.is_sealed { &["--master-password", PASSWORD][..] } else { &[] };
        let begin = Instant::now();
        self.server = Some(Keyway::start_on(bench, folder, arguments));
        self.starts_s.push(begin.elapsed().as_secs_f64());
        // A large file is verified behind the first answers, on the core that gives them.
        wait_for("the verification", || (!unverified.exists()).then_some(()));
    }

    fn end(&mut self) {
        self.folder = self.server.take().map(Keyway::end);
    }

    /// Asks the question of this number in one turn, over one connection, and keeps how long the answers took.
    fn ask(&mut self, turn: usize, question: usize) {
        let Question { request, keys, .. } = &QUESTIONS[question];
        let keys = self.count.min(*keys);
        let mut client = Client::connect(self.server.as_ref().unwrap().server.port, None);
        let mut times = Vec::new();
        for number in 0..REQUESTS {
            // All over the database, and others in each turn: a prime leads everywhere.
            let key = (turn * REQUESTS + number) * 611_953 % keys * (self.count / keys);
            let request = request(key);
            let begin = Instant::now();
            let answer = client.post(PATH, &request);
            times.push(begin.elapsed().as_secs_f64() * 1e3);
            assert!(answer.contains("UniqueIdentifier"), "{request} -> {answer}");
        }
        times.sort_by(f64::total_cmp);
        let times = Times { p50_ms: times[REQUESTS / 2], p99_ms: times[REQUESTS * 99 / 100] };
        self.answers[question].push(times);
    }
}

fn data_folder(folder: &Scratch) -> PathBuf {
    folder.path().join("data/sqlite-data")
}

fn fill(folder: &Path, count: usize, is_sealed: bool) {
    let master = MasterSecret::password(Secret::copy_of(PASSWORD.as_bytes()), String::new());
    redb::prepare_folder(folder).unwrap();
    let engine = RedbStore::make_file(&folder.join(FILE_NAME), FILLING_CACHE_BYTES).unwrap();
    let store = sealed::open(engine, is_sealed.then_some(&master), &mut OsEntropy).unwrap();
    let now = Clock::start().now().utc;
    for first in (0..count).step_by(TRANSACTION) {
        let keys = first..count.min(first + TRANSACTION);
        let insert = |key: usize| {
            let name = Item::structure(
                Tag::NAME,
                vec![Item::text(Tag::NAME_VALUE, name(key)), Item::enumeration(Tag::NAME_TYPE, 1)],
            );
            let dates = [Tag::INITIAL_DATE, Tag::LAST_CHANGE_DATE, Tag::ORIGINAL_CREATION_DATE];
            let mut attributes = Encoded::of(&[name]);
            dates.iter().for_each(|tag| attributes.push(&Item::date_time(*tag, now)));
            let material: Vec<u8> = (0..32).map(|byte| (key >> (byte % 8)) as u8).collect();
            Change::Insert(Object {
                uid: uid(key),
                owner: "admin".into(),
                object_type: 2,
                state: State::Active,
                key_format: 7,
                algorithm: 3,
                length_bits: 256,
                usage_mask: 2108,
                material: Material::copy_of(&material),
                attributes,
                parts: Encoded::default(),
                tags: tags_of(key),
            })
        };
        store.transact(&mut |transaction| transaction.apply(keys.clone().map(insert).collect())).unwrap();
    }
}

/// Identifiers as the server makes them, twenty in a millisecond.
fn uid(key: usize) -> String {
    const BEGAN_MILLIS: u64 = 1_700_000_000_000;
    let (millis, fraction) = (BEGAN_MILLIS + key as u64 / 20, key as u64 % 20 * 4096 / 20);
    let random = (key as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 16;
    format!("{:08x}-{:04x}-7{fraction:03x}-8000-{random:012x}", millis >> 16, millis & 0xFFFF)
}

fn name(key: usize) -> String {
    format!("database key {key}")
}

/// Four keys each.
fn host(key: usize) -> String {
    format!("host-{}", key / 4)
}

/// A seventh of all keys each.
fn colour(key: usize) -> String {
    format!("colour-{}", key % 7)
}

/// Two, and one that the server gives.
fn tags_of(key: usize) -> Vec<String> {
    vec![host(key), colour(key), "_kk".into()]
}

fn encrypt(key: usize) -> String {
    let (uid, data) = (uid(key), "00".repeat(32));
    format!(
        r#"{{"tag":"Encrypt","value":[{{"tag":"UniqueIdentifier","type":"TextString","value":"{uid}"}},{{"tag":"Data","type":"ByteString","value":"{data}"}}]}}"#
    )
}

fn locate(attributes: &str, before: &str) -> String {
    format!(r#"{{"tag":"Locate","value":[{before}{{"tag":"Attributes","value":[{attributes}]}}]}}"#)
}

fn named(key: usize) -> String {
    let name = name(key);
    format!(r#"{{"tag":"Name","value":[{{"tag":"NameValue","type":"TextString","value":"{name}"}}]}}"#)
}

fn tags(tags: &[String]) -> String {
    let list = format!("{tags:?}").replace('"', "\\\"");
    let fields = [("VendorIdentification", "cosmian"), ("AttributeName", "tag"), ("AttributeValue", &list)]
        .map(|(tag, value)| format!(r#"{{"tag":"{tag}","type":"TextString","value":"{value}"}}"#));
    format!(r#"{{"tag":"Attribute","value":[{}]}}"#, fields.join(","))
}
