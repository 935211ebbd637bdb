//! The store against the reference model: random transactions, and all that can be asked about what they leave.

use keyway::crypto::material::Material;
use keyway::entropy::Entropy;
use keyway::kms::object::Object;
use keyway::kms::rights::Rights;
use keyway::kms::state::STATES;
use keyway::kms::terms::{self, Term};
use keyway::kms::view::{Change, Search, SearchEnd, View};
use keyway::secret::Secret;
use keyway::store::memory::MemoryStore;
use keyway::store::rows::{Engine, Key, Rows as _, SCHEMA_NAME, Table};
use keyway::store::sealed::{self, MasterSecret};
use keyway::store::{Store, StoreError, identifier, record};
use keyway::testing::choices;
use keyway::wire::ttlv::{Encoded, Item, Tag};
use std::fmt::Write as _;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A few names, so that changes meet; some end where others begin, or hold what separates elsewhere. One is a UUID.
const NAMES: [&str; 9] =
    ["", "a", "ab", "a\0b", "b\0", "_kk", "_\u{e9}", "*", "0190163d-8694-739b-aea5-966c26f8ad91"];

/// What is to be done, as a seed has it.
pub struct Choices(choices::Choices);

impl Choices {
    pub fn new(seed: u64) -> Choices {
        Choices(choices::Choices::new(seed))
    }

    pub fn below(&mut self, bound: usize) -> usize {
        self.0.below(bound)
    }

    fn name(&mut self) -> String {
        NAMES[self.below(NAMES.len())].to_owned()
    }

    pub fn object(&mut self) -> Object {
        let mut tags: Vec<String> = NAMES.iter().map(|name| (*name).to_owned()).collect();
        tags.retain(|_| self.below(3) == 0);
        Object {
            uid: self.name(),
            owner: self.name(),
            object_type: self.below(9) as u32,
            state: STATES[self.below(6)],
            key_format: self.below(9) as u32,
            algorithm: self.below(9) as u32,
            length_bits: self.below(4096) as u32,
            usage_mask: self.below(1 << 20) as u32,
            material: Material::copy_of(&vec![self.below(256) as u8; self.below(100)]),
            attributes: self.attributes(),
            parts: vec![self.below(256) as u8; self.below(40)].into(),
            tags,
        }
    }

    fn attributes(&mut self) -> Encoded {
        match self.below(3) {
            // Some are longer than a page of the database, and none can be read.
            0 => vec![self.below(256) as u8; self.below(3000) * self.below(4)].into(),
            names => {
                let names: Vec<String> = (0..names).map(|_| self.name()).collect();
                let mut items: Vec<_> = names.iter().map(|text| name(text)).collect();
                items.push(Item::text(Tag::OBJECT_GROUP, names[0].as_str()));
                Encoded::of(&items)
            }
        }
    }

    fn change(&mut self) -> Change {
        match self.below(9) {
            0..3 => Change::Insert(self.object()),
            3..5 => Change::Replace(self.object()),
            5 => Change::Remove { uid: self.name() },
            8 => Change::Amend {
                uid: self.name(),
                attributes: self.attributes(),
                parts: vec![self.below(256) as u8].into(),
            },
            _ => {
                let rights = Rights((self.below(4) * 5) as u32);
                Change::Grant { uid: self.name(), user: self.name(), rights }
            }
        }
    }
}

/// Applies a random transaction, the same to each store; the answer of the last one.
pub fn transact(seed: u64, stores: &[&dyn Store]) -> Result<(), StoreError> {
    let mut answer = Ok(());
    for store in stores {
        answer = store.transact(&mut |transaction| {
            let mut choices = Choices::new(seed);
            for _ in 0..=choices.below(4) {
                let changes: Vec<Change> = (0..=choices.below(2)).map(|_| choices.change()).collect();
                // Most changes that cannot be are left out, so that transactions succeed; some are not.
                if choices.below(20) == 0 || are_possible(&changes, transaction)? {
                    transaction.apply(changes)?;
                }
            }
            if choices.below(10) == 0 { Err(StoreError::Refused("the work says no")) } else { Ok(()) }
        });
    }
    answer
}

fn are_possible(changes: &[Change], view: &dyn View) -> Result<bool, StoreError> {
    for change in changes {
        let (uid, wanted) = match change {
            Change::Insert(object) => (&object.uid, false),
            Change::Replace(object) => (&object.uid, true),
            Change::Amend { uid, .. } | Change::Remove { uid } | Change::Grant { uid, .. } => (uid, true),
        };
        if view.object(uid)?.is_some() != wanted {
            return Ok(false);
        }
    }
    Ok(true)
}

/// All answers of a view, as text.
fn dump(view: &dyn View) -> String {
    let mut out = String::new();
    for (i, a) in NAMES.into_iter().enumerate() {
        if let Some(o) = view.object(a).unwrap() {
            let numbers = [o.object_type, o.key_format, o.algorithm, o.length_bits, o.usage_mask];
            let bytes = (o.material.expose(), o.attributes.len(), o.attributes.first(), &o.parts);
            writeln!(out, "{:?} {:?} {:?} {numbers:?} {bytes:?} {:?}", o.uid, o.owner, o.state, o.tags)
                .unwrap();
        }
        for limit in [0, 1, 100] {
            writeln!(out, "{:?} {:?}", view.owned_by(a, limit).unwrap(), view.grants_to(a, limit).unwrap())
                .unwrap();
        }
        for b in NAMES {
            let terms = [terms::of_tag(a), named(b), terms::of_tag(NAMES[i * 4 % NAMES.len()]), grouped(a)];
            for terms in [&terms[..1], &terms[1..2], &terms[..2], &terms[..3], &terms[1..], &[]] {
                let owner = NAMES[i * 5 % NAMES.len()];
                let search = Search { terms, owner, users: &[b, "*"] };
                writeln!(out, "{:?} {:?}", found(view, &search, 2), found(view, &search, 100)).unwrap();
            }
        }
        writeln!(out, "{:?}", view.grants_on(a, i).unwrap()).unwrap();
        writeln!(out, "{:?}", NAMES.map(|b| view.granted(a, b).unwrap())).unwrap();
    }
    out
}

/// The identifiers of so many objects, and how the search ended.
pub fn found(view: &dyn View, search: &Search<'_>, most: usize) -> (Vec<String>, SearchEnd) {
    let mut found = Vec::new();
    let ended = view.search(search, &mut |object| {
        found.push(object.uid.clone());
        Ok(if found.len() == most { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    });
    (found, ended.unwrap())
}

fn name(text: &str) -> Item<'_> {
    Item::structure(Tag::NAME, vec![Item::text(Tag::NAME_VALUE, text), Item::enumeration(Tag::NAME_TYPE, 1)])
}

/// The term of a name.
pub fn named(text: &str) -> Term {
    terms::of_attribute(&name(text)).unwrap()
}

/// The term of a group.
pub fn grouped(text: &str) -> Term {
    terms::of_attribute(&Item::text(Tag::OBJECT_GROUP, text)).unwrap()
}

pub fn dump_store(store: &dyn Store) -> String {
    dump(&*store.read().unwrap())
}

/// Runs so many random transactions on an empty store and on a model of it, and compares all answers after every so many.
/// Where that is after each of them, views must stand still, too. How many were committed, and how many
/// refused.
pub fn assert_as_the_model_says(run: u64, steps: u64, every: u64, store: &dyn Store) -> (u32, u32) {
    let model = MemoryStore::new();
    let (mut committed, mut refused) = (0, 0);
    let mut was = dump_store(store);
    for step in 0..steps {
        let before = store.read().unwrap();
        let changed = match transact(run << 32 | step, &[&model, store]) {
            Ok(()) => true,
            Err(StoreError::Refused(_)) => false,
            Err(error) => panic!("{error}"),
        };
        if changed {
            committed += 1
        } else {
            refused += 1
        }
        if step % every != 0 {
            continue;
        }
        let is = dump_store(store);
        assert_eq!(is, dump_store(&model), "run {run}, step {step}");
        assert!(every > 1 || changed || is == was, "a failed transaction changes nothing");
        assert!(every > 1 || dump(&*before) == was, "a view stands still");
        was = is;
    }
    assert_eq!(dump_store(store), dump_store(&model), "run {run}");
    (committed, refused)
}

/// A transaction on an empty store that sees its own changes, and fails with any of them.
pub fn assert_changes_are_seen_and_undone(store: &dyn Store) {
    let swallowed = store.transact(&mut |transaction| {
        let mut choices = Choices::new(1);
        let object = Object { uid: "u".into(), owner: "alice".into(), ..choices.object() };
        transaction.apply(vec![Change::Insert(object)])?;
        assert_eq!(transaction.owned_by("alice", 9)?.unwrap(), ["u"]);
        let gone = Change::Remove { uid: "v".into() };
        assert!(matches!(transaction.apply(vec![gone]), Err(StoreError::Refused(_))));
        Ok(())
    });
    assert!(matches!(swallowed, Err(StoreError::Refused(_))));
    assert!(store.read().unwrap().object("u").unwrap().is_none());
}

/// What sealed stores are sealed with.
pub fn master() -> MasterSecret {
    MasterSecret::Key(Secret::new(vec![7; 32]))
}

/// A store over an engine, sealed.
pub fn sealed(engine: impl Engine + 'static) -> Arc<dyn Store> {
    sealed::open(engine, Some(&master()), &mut Draws).unwrap()
}

/// Bytes that are no secret, and never the same again: every database has a data key of its own.
pub struct Draws;

static DRAWN: AtomicU64 = AtomicU64::new(0);

impl Entropy for Draws {
    fn fill(&mut self, bytes: &mut [u8]) {
        for part in bytes.chunks_mut(8) {
            let drawn = DRAWN.fetch_add(1, Ordering::Relaxed).to_le_bytes();
            part.copy_from_slice(&drawn[..part.len()]);
        }
    }
}

/// An object of which every byte that somebody put in can be searched for.
pub fn marked() -> Object {
    Object {
        uid: "marked-identifier".into(),
        owner: "marked-owner".into(),
        object_type: 2,
        state: STATES[1],
        key_format: 7,
        algorithm: 3,
        length_bits: 256,
        usage_mask: 12,
        material: Material::copy_of(b"marked-material"),
        attributes: b"marked-attribute".to_vec().into(),
        parts: b"marked-part".to_vec().into(),
        tags: vec!["marked-tag".into(), "marked-second-tag".into()],
    }
}

/// Puts it in, with a grant.
pub fn put_marked(store: &dyn Store) {
    let grant = || Change::Grant { uid: marked().uid, user: "marked-user".into(), rights: Rights::GET };
    store.transact(&mut |transaction| transaction.apply(vec![Change::Insert(marked()), grant()])).unwrap();
}

/// The identifier of one of many objects: of every second one, a UUID.
pub fn named_uid(number: usize) -> String {
    match number % 2 {
        0 => format!("0190163d-8694-739b-aea5-{number:012x}"),
        _ => format!("named-{number}"),
    }
}

/// So many objects with one name, each in the group of its number.
pub fn put_named(store: &dyn Store, count: usize) {
    let object = |number: usize| {
        let attributes = Encoded::of(&[name("old"), Item::text(Tag::OBJECT_GROUP, number.to_string())]);
        Object { uid: named_uid(number), attributes, ..marked() }
    };
    for first in (0..count).step_by(100) {
        let numbers = first..count.min(first + 100);
        let insert = || numbers.clone().map(|number| Change::Insert(object(number))).collect();
        store.transact(&mut |transaction| transaction.apply(insert())).unwrap();
    }
}

/// Makes of a database what version 1 has written: no object has terms, records lie under sequences, to which identifiers
/// lead, and nothing tells how far objects are up to date.
pub fn make_old(engine: &dyn Engine, terms: &[Term]) {
    move_back(engine, 0);
    let made = engine.transact(&mut |rows| {
        for term in terms {
            for (sequence, _) in rows.list(Table::Tags, term, &[], usize::MAX)? {
                rows.remove(Key::new(Table::Tags, term, &sequence))?;
            }
        }
        rows.remove(PROGRESS)?;
        rows.put(Key::new(Table::Meta, SCHEMA_NAME, &[]), &1_u32.to_be_bytes())
    });
    made.unwrap();
}

/// Stores identifiers as they were before version 4, as text, from a sequence on.
pub fn make_text(engine: &dyn Engine, from: u64) {
    let made = engine.transact(&mut |rows| {
        for (sequence, stored) in rows.list(Table::Sequences, &[], &from.to_be_bytes(), usize::MAX)? {
            let uid = identifier::read(&stored)?;
            let record = rows.get(Key::new(Table::Objects, &stored, &[]))?.unwrap();
            assert_eq!((record[0], &record[1..9]), (4, &sequence[..]));
            let length = (uid.len() as u16).to_be_bytes();
            let rest = &record[33 + 2 + stored.len()..];
            let text = [&[3], &record[1..33], &length, uid.as_bytes(), rest].concat();
            rows.remove(Key::new(Table::Objects, &stored, &[]))?;
            rows.put(Key::new(Table::Objects, uid.as_bytes(), &[]), &text)?;
            rows.put(Key::new(Table::Sequences, &[], &sequence), uid.as_bytes())?;

            let (_, object) = record::decode(&record)?;
            let tags = object.tags.iter().map(|tag| tag.clone().into_bytes()).chain(terms::of(&object));
            let lists =
                tags.map(|tag| (Table::Tags, tag)).chain([(Table::Owners, object.owner.clone().into())]);
            for (table, first) in lists {
                rows.put(Key::new(table, &first, &sequence), uid.as_bytes())?;
            }
            for (user, rights) in rows.list(Table::GrantsByObject, &stored, &[], usize::MAX)? {
                rows.remove(Key::new(Table::GrantsByObject, &stored, &user))?;
                rows.remove(Key::new(Table::GrantsByUser, &user, &stored))?;
                rows.put(Key::new(Table::GrantsByObject, uid.as_bytes(), &user), &rights)?;
                rows.put(Key::new(Table::GrantsByUser, &user, uid.as_bytes()), &rights)?;
            }
        }
        Ok(())
    });
    made.unwrap();
}

/// Moves records to where they were before version 3, from a sequence on.
pub fn move_back(engine: &dyn Engine, from: u64) {
    make_text(engine, from);
    let moved = engine.transact(&mut |rows| {
        for (sequence, uid) in rows.list(Table::Sequences, &[], &from.to_be_bytes(), usize::MAX)? {
            let record = rows.get(Key::new(Table::Objects, &uid, &[]))?.unwrap();
            rows.put(Key::new(Table::Sequences, &[], &sequence), &[&[2], &record[9..]].concat())?;
            rows.put(Key::new(Table::Objects, &uid, &[]), &sequence)?;
        }
        Ok(())
    });
    moved.unwrap();
}

/// The row that says how far objects are up to date.
pub const PROGRESS: Key<'static> = Key { table: Table::Meta, first: b"terms", second: &[] };

/// How many of the objects of [`put_named`] are found by their name, and which is by its group.
pub fn count_named(store: &dyn Store, number: usize) -> (usize, Vec<String>) {
    let view = store.read().unwrap();
    let search = |term: Term| {
        found(&*view, &Search { terms: &[term], owner: "marked-owner", users: &[] }, usize::MAX).0
    };
    (search(named("old")).len(), search(grouped(&number.to_string())))
}
