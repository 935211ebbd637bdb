//! The embedded store against the reference model, on good disks and on bad ones.
#![expect(clippy::unwrap_used, reason = "a test says by panicking what went wrong")]

mod support;

use keyway::kms::object::Object;
use keyway::kms::rights::{NO_OBJECT, Rights};
use keyway::kms::terms;
use keyway::kms::view::{Change, Search};
use keyway::limits;
use keyway::secret::Secret;
use keyway::store::check::check;
use keyway::store::memory::MemoryStore;
use keyway::store::redb::RedbStore;
use keyway::store::rows::{AllRows, Engine, Key, RowsMut, SCHEMA_NAME, Table, parts};
use keyway::store::sealed::{self as sealing, MasterSecret, SEAL};
use keyway::store::{Store, StoreError};
use keyway::testing::disk::Disk;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use support::stores::{
    Choices, Draws, PROGRESS, assert_as_the_model_says, assert_changes_are_seen_and_undone, count_named,
    dump_store, found, make_old, make_text, marked, master, move_back, named, named_uid, put_marked,
    put_named, sealed, transact,
};

fn redb() -> RedbStore {
    RedbStore::with_backend(Disk::new().mount()).unwrap()
}

#[test]
fn random_transactions_leave_what_the_model_says() {
    compare_with_the_model(|| Arc::new(redb()));
}

#[test]
fn random_transactions_leave_in_a_sealed_store_what_the_model_says() {
    compare_with_the_model(|| sealed(redb()));
}

fn compare_with_the_model(new: impl Fn() -> Arc<dyn Store>) {
    let (mut committed, mut refused) = (0, 0);
    for run in 0..6 {
        let counts = assert_as_the_model_says(run, 80, 1, &*new());
        (committed, refused) = (committed + counts.0, refused + counts.1);
    }
    assert!(committed > 200 && refused > 40, "{committed} committed, {refused} refused");
}

#[test]
fn a_transaction_sees_its_own_changes_and_fails_with_any_of_them() {
    let stores: [&dyn Store; 2] =
        [&MemoryStore::new(), &RedbStore::with_backend(Disk::new().mount()).unwrap()];
    stores.into_iter().for_each(assert_changes_are_seen_and_undone);
}

/// Every commit that was acknowledged is there after a crash, and the one in flight is there whole or not at all.
#[test]
fn a_crash_at_any_moment_loses_nothing_that_was_acknowledged() {
    let mut crashed_in_flight = 0;
    for seed in 0..60 {
        let mut choices = Choices::new(seed);
        let disk = Disk::new();
        let model = MemoryStore::new();
        let mut step = seed << 32;
        for lifetime in 0..4 {
            disk.fail_after(choices.below(if lifetime == 0 { 60 } else { 120 }) as u64);
            let mut in_flight = None;
            if let Ok(store) = RedbStore::with_backend(disk.mount()) {
                // At most so many: a machine may also crash when all is quiet.
                for _ in 0..12 {
                    step += 1;
                    match transact(step, &[&store]) {
                        Err(error) if error.is_fatal() => {
                            in_flight = Some(step);
                            break;
                        }
                        _ => drop(transact(step, &[&model])),
                    }
                }
            }
            disk.crash(choices.below(1000) as u64);

            let store = RedbStore::with_backend(disk.mount()).unwrap();
            let found = dump_store(&store);
            if let Some(step) = in_flight {
                crashed_in_flight += 1;
                if found != dump_store(&model) {
                    drop(transact(step, &[&model]));
                }
            }
            assert!(found == dump_store(&model), "seed {seed}, lifetime {lifetime}, step {step:x}");
        }
    }
    assert!(crashed_in_flight > 100, "{crashed_in_flight}");
}

#[test]
fn a_full_disk_is_named_and_loses_nothing() {
    let disk = Disk::new();
    let model = MemoryStore::new();
    let store = RedbStore::with_backend(disk.mount()).unwrap();
    let mut choices = Choices::new(7);
    disk.limit(disk.durable().len() as u64);
    let error = (0..100_000)
        .find_map(|i| {
            let insert = |mut choices: Choices, store: &dyn Store| {
                store.transact(&mut |transaction| {
                    let object = choices.object();
                    transaction.apply(vec![Change::Insert(Object { uid: i.to_string(), ..object })])
                })
            };
            let seed = choices.below(1 << 30) as u64;
            let answer = insert(Choices::new(seed), &store);
            if answer.is_ok() {
                insert(Choices::new(seed), &model).unwrap();
            }
            answer.err()
        })
        .expect("the disk is full at some time");
    assert!(matches!(error, StoreError::DiskFull) && error.is_fatal(), "{error}");
    assert_eq!(error.to_string(), "the disk of the database is full: free some space, then start again");
    drop(store);
    disk.crash(3);
    disk.limit(1 << 40);
    assert!(dump_store(&RedbStore::with_backend(disk.mount()).unwrap()) == dump_store(&model));
}

/// A damaged file is refused at the start, or answers as if it were whole: the damage was where nothing lies.
#[test]
fn damage_is_found_at_the_start() {
    let disk = Disk::new();
    let store = RedbStore::with_backend(disk.mount()).unwrap();
    for step in 0..40 {
        drop(transact(step, &[&store]));
    }
    let whole = dump_store(&store);
    drop(store);
    let bytes = disk.durable();
    let used = bytes.iter().rposition(|byte| *byte != 0).unwrap() + 1;

    let (mut refused, mut harmless) = (0, 0);
    let mut choices = Choices::new(42);
    for round in 0..1500 {
        let mut damaged = bytes.clone();
        // The first page holds the roots: it gets every byte flipped, the rest some.
        let at = if round < 512 { round } else { choices.below(used) };
        damaged[at] ^= 1 << choices.below(8);
        match RedbStore::with_backend(Disk::holding(damaged).mount()) {
            Ok(store) => {
                assert!(dump_store(&store) == whole, "byte {at}");
                harmless += 1;
            }
            Err(error) => {
                assert!(matches!(error, StoreError::Corrupt(_)), "byte {at}: {error:?}");
                refused += 1;
            }
        }
    }
    for length in [1, 100, 4096, used / 2, bytes.len() - 1] {
        let cut = RedbStore::with_backend(Disk::holding(bytes[..length].to_vec()).mount());
        assert!(matches!(cut, Err(StoreError::Corrupt(_))), "cut to {length}");
    }
    assert!(refused > 200, "{refused} refused, {harmless} harmless");
}

/// A folder of its own for a test, removed after it.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("keyway-store-{name}-{}", std::process::id()));
        drop(fs::remove_dir_all(&path));
        fs::create_dir(&path).unwrap();
        Folder(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn a_store_lasts_and_is_its_owners_alone() {
    let folder = Folder::new("lasts");
    let (parent, inner) = (folder.0.join("new"), folder.0.join("new/inner"));
    let file = inner.join("keyway.redb");
    let model = MemoryStore::new();

    let store = RedbStore::open(&inner, false).unwrap();
    assert_eq!([mode(&parent), mode(&inner), mode(&file)], [0o700, 0o700, 0o600]);
    for step in 0..20 {
        drop(transact(step, &[&model, &store]));
    }
    drop(store);

    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    fs::set_permissions(&inner, fs::Permissions::from_mode(0o755)).unwrap();
    let store = RedbStore::open(&inner, false).unwrap();
    assert_eq!([mode(&inner), mode(&file)], [0o755, 0o600], "the file is tightened, the folder left");
    assert!(dump_store(&store) == dump_store(&model));
    drop(store);

    let store = RedbStore::open(&inner, true).unwrap();
    assert!(dump_store(&store) == dump_store(&MemoryStore::new()), "cleared");
}

#[test]
fn the_operator_is_told_what_to_do() {
    let folder = Folder::new("told");
    let open = |path: &Path| RedbStore::open(path, false).err().expect("it cannot be opened");

    let store = RedbStore::open(&folder.0, false).unwrap();
    let second = open(&folder.0);
    assert!(matches!(second, StoreError::AlreadyOpen) && second.is_fatal());
    assert_eq!(
        second.to_string(),
        "the database is already open in another process: stop that one, or give this one a folder of its own"
    );
    drop(store);

    // Nobody makes folders there, root neither.
    let nowhere = open(Path::new("/proc/keyway/data"));
    assert!(matches!(nowhere, StoreError::Inaccessible { .. }) && nowhere.is_fatal());
    assert_eq!(
        nowhere.to_string(),
        "/proc/keyway/data cannot be used (No such file or directory (os error 2)): \
         give the server a folder that its user can read and write"
    );

    let file = folder.0.join("keyway.redb");
    fs::write(&file, "this was never a database").unwrap();
    let alien = open(&folder.0);
    assert!(matches!(alien, StoreError::Corrupt(_)), "{alien}");
    assert!(alien.to_string().ends_with("restore it from a backup; the damaged file was kept"), "{alien}");
    assert_eq!(fs::read(&file).unwrap(), b"this was never a database");
}

#[test]
fn a_sealed_file_shows_nothing_of_what_was_put_in() {
    let disk = Disk::new();
    put_marked(&*sealed(RedbStore::with_backend(disk.mount()).unwrap()));
    let shows = |disk: &Disk, text: &[u8]| disk.durable().windows(text.len()).any(|part| part == text);
    assert!(!shows(&disk, b"marked"));
    let open = Disk::new();
    put_marked(&RedbStore::with_backend(open.mount()).unwrap());
    for text in ["marked-identifier", "marked-owner", "marked-material", "marked-attribute", "marked-tag"] {
        assert!(shows(&open, text.as_bytes()), "{text} would be found");
    }
    assert!(shows(&open, b"marked-user"));

    let store = sealed(RedbStore::with_backend(disk.mount()).unwrap());
    let view = store.read().unwrap();
    assert!(view.object("marked-identifier").unwrap().unwrap().material.expose() == b"marked-material");
    let terms = ["marked-tag", "marked-second-tag"].map(terms::of_tag);
    let search = Search { terms: &terms, owner: "marked-owner", users: &[] };
    assert_eq!(found(&*view, &search, 9).0, ["marked-identifier"]);
    assert_eq!(view.grants_to("marked-user", 9).unwrap().unwrap()[0].0, "marked-identifier");
}

#[test]
fn a_sealed_store_opens_with_its_secret_and_no_other() {
    let disk = Disk::new();
    let engine = || RedbStore::with_backend(disk.mount()).unwrap();
    let open = |master: Option<&MasterSecret>| sealing::open(engine(), master, &mut Draws).map(drop);
    let told = |result: Result<(), StoreError>| result.unwrap_err().to_string();
    let other = || MasterSecret::Password { password: Secret::copy_of(b"other"), label: String::new() };
    drop(sealed(engine()));
    open(Some(&master())).unwrap();
    assert_eq!(
        told(open(None)),
        "the database cannot be opened: it is sealed: give its master secret (--master-password-file)"
    );
    let wrong = "the database cannot be opened: the master secret is not the one that it was sealed with";
    assert_eq!(told(open(Some(&other()))), wrong);

    let seal = || Engine::read(&engine()).unwrap().get(SEAL).unwrap().unwrap();
    let is = seal();
    sealing::rewrap(&engine(), &master(), &other(), &mut Draws).unwrap();
    assert_eq!(*seal(), *is, "servers that have it open go on");
    assert_eq!(told(open(Some(&master()))), wrong);
    open(Some(&other())).unwrap();
    assert_eq!(told(sealing::rewrap(&engine(), &master(), &other(), &mut Draws)), wrong);

    let plain = Disk::new();
    let engine = || RedbStore::with_backend(plain.mount()).unwrap();
    Store::transact(&engine(), &mut |transaction| transaction.apply(vec![Change::Insert(marked())])).unwrap();
    let refused = sealing::open(engine(), Some(&master()), &mut Draws).map(drop);
    assert!(told(refused).contains("it holds objects or grants that are not sealed"));
    assert!(told(sealing::rewrap(&engine(), &master(), &other(), &mut Draws)).contains("it is not sealed"));
}

/// What was written before says nothing of what is sealed, and nothing that is not sealed stays.
#[test]
fn an_empty_database_can_be_sealed_and_one_with_grants_cannot() {
    let disk = Disk::new();
    let engine = || RedbStore::with_backend(disk.mount()).unwrap();
    let plain = || sealing::open(engine(), None, &mut Draws);
    let may_make =
        |rights| vec![Change::Grant { uid: NO_OBJECT.to_owned(), user: "alice".to_owned(), rights }];
    let grant = |rights| {
        let granted = plain().unwrap().transact(&mut |transaction| transaction.apply(may_make(rights)));
        granted.unwrap();
    };
    grant(Rights::CREATE);
    let refused = sealing::open(engine(), Some(&master()), &mut Draws).map(drop).unwrap_err();
    assert!(refused.to_string().contains("it holds objects or grants that are not sealed"), "{refused}");
    grant(Rights::NONE);
    put_named(&*sealed(engine()), 3);
    assert_eq!(count_named(&*sealed(engine()), 1), (3, vec!["named-1".to_owned()]));
    assert!(matches!(plain().map(drop), Err(StoreError::Locked(_))));
}

/// What older programs have written, sealed or not: every object is found by its terms, once a start.
#[test]
fn an_old_file_is_brought_up_to_date() {
    for is_sealed in [false, true] {
        let disk = Disk::new();
        let engine = || RedbStore::with_backend(disk.mount()).unwrap();
        let open = || match is_sealed {
            true => sealed(engine()),
            false => sealing::open(engine(), None, &mut Draws).unwrap(),
        };
        put_named(&*open(), 500);
        // Of sealed rows, nobody can tell which are of terms.
        let forget_terms = |progress: Option<&[u8]>| {
            let engine = engine();
            let rows = engine.snapshot().unwrap();
            let keys: Vec<_> = rows.all(Table::Tags).unwrap().map(|row| row.unwrap().0).collect();
            drop(rows);
            let removed = Engine::transact(&engine, &mut |rows| {
                for key in &keys {
                    let (term, sequence) = parts(Table::Tags, key).unwrap();
                    rows.remove(Key::new(Table::Tags, term, sequence))?;
                }
                rows.put(Key::new(Table::Meta, SCHEMA_NAME, &[]), &1_u32.to_be_bytes())?;
                match progress {
                    Some(row) => rows.put(PROGRESS, row),
                    None => rows.remove(PROGRESS),
                }
            });
            removed.unwrap();
        };
        let all = (500, vec!["named-7".to_owned()]);
        forget_terms(None);
        for _ in 0..2 {
            assert_eq!(count_named(&*open(), 7), all, "sealed: {is_sealed}");
        }
        if is_sealed {
            continue;
        }
        // Version 1, and version 2, which knew that all had terms.
        make_old(&engine(), &[named("old")]);
        assert_eq!(count_named(&*open(), 7), all);
        move_back(&engine(), 0);
        let written = Engine::transact(&engine(), &mut |rows| rows.put(PROGRESS, &1_u32.to_be_bytes()));
        written.unwrap();
        assert_eq!(count_named(&*open(), 7), all);
        // A start that was ended in the middle is gone on with.
        forget_terms(Some(&[&3_u32.to_be_bytes()[..], &101_u64.to_be_bytes()].concat()));
        move_back(&engine(), 101);
        assert_eq!(count_named(&*open(), 7), (400, vec![]));
    }
}

#[test]
fn uuids_that_were_stored_as_text_become_short_wherever_they_are() {
    let disk = Disk::new();
    let engine = || RedbStore::with_backend(disk.mount()).unwrap();
    put_named(&engine(), 6);
    let grants = |uid: String| ["bob", &named_uid(0)].map(|user| grant_get(&uid, user));
    let grants = || (1..5).map(named_uid).flat_map(grants).chain([grant_get(NO_OBJECT, "bob")]).collect();
    Store::transact(&engine(), &mut |transaction| transaction.apply(grants())).unwrap();
    let asked = |store: &dyn Store| {
        let view = store.read().unwrap();
        let of = |number: usize| {
            let uid = named_uid(number);
            let granted = ["bob", "eve", &named_uid(0)].map(|user| view.granted(&uid, user).unwrap());
            (
                view.object(&uid).unwrap().map(|object| object.uid.clone()),
                view.grants_on(&uid, 9).unwrap(),
                granted,
            )
        };
        let to = [view.grants_to("bob", 9).unwrap(), view.grants_to(&named_uid(0), 9).unwrap()];
        (count_named(store, 4), [0, 1, 2, 3, 4, 5].map(of), to, view.owned_by("marked-owner", 9).unwrap())
    };
    let before = asked(&engine());
    let all = |engine: &RedbStore| {
        let rows = engine.snapshot().unwrap();
        Table::ALL.map(|table| rows.all(table).unwrap().map(Result::unwrap).collect::<Vec<_>>())
    };
    sealing::open(engine(), None, &mut Draws).unwrap();
    let rows = all(&engine());

    make_text(&engine(), 0);
    Engine::transact(&engine(), &mut |rows| rows.put(PROGRESS, &2_u32.to_be_bytes())).unwrap();
    let longer = all(&engine());
    assert!(longer[Table::Objects as usize].iter().any(|(key, _)| *key == named_uid(2).as_bytes()));
    sealing::open(engine(), None, &mut Draws).unwrap();
    assert!(all(&engine()) == rows, "not a row more, nor a byte");
    assert_eq!(asked(&engine()), before);
}

fn grant_get(uid: &str, user: &str) -> Change {
    Change::Grant { uid: uid.to_owned(), user: user.to_owned(), rights: Rights::GET }
}

#[test]
fn more_objects_than_go_into_one_transaction_are_brought_up_to_date() {
    let disk = Disk::new();
    let engine = || RedbStore::with_backend(disk.mount()).unwrap();
    let count = limits::OBJECTS_UPGRADED_MAX + 100;
    put_named(&engine(), count);
    make_old(&engine(), &[named("old")]);
    let store = sealing::open(engine(), None, &mut Draws).unwrap();
    assert_eq!(count_named(&*store, count - 1), (count, vec![format!("named-{}", count - 1)]));
}

#[test]
fn a_check_knows_which_terms_belong() {
    let store = RedbStore::with_backend(Disk::new().mount()).unwrap();
    put_named(&store, 3);
    let finds = |change: &dyn Fn(&mut dyn RowsMut) -> Result<(), StoreError>| {
        Engine::transact(&store, &mut |rows| change(rows)).unwrap();
        let mut told = Vec::new();
        check(&store.snapshot().unwrap(), &mut |what| told.push(what.to_owned())).unwrap();
        told
    };
    let nothing = Vec::<String>::new();
    let is_up_to_date = |rows: &mut dyn RowsMut| rows.put(PROGRESS, &3_u32.to_be_bytes());
    assert_eq!(finds(&is_up_to_date), nothing);
    let (second, name, alien) = (2_u64.to_be_bytes(), named("old"), named("alien"));
    let place = Key::new(Table::Tags, &name, &second);
    let missing = r#"tags: "named-1" is missing below a term"#;
    assert_eq!(finds(&|rows| rows.remove(place)), [missing]);
    assert_eq!(finds(&|rows| rows.remove(PROGRESS)), nothing, "what is not due is not missing");
    finds(&is_up_to_date);
    assert_eq!(
        finds(&|rows| rows.put(Key::new(Table::Tags, &alien, &second), b"named-1")),
        [missing, r#"tags: "named-1" does not belong below a term"#]
    );
}
