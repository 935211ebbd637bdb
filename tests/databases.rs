//! The engines for databases elsewhere, with real servers: MariaDB, PostgreSQL, Redis.
#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test may fail, and waits in real time"
)]

mod support;

use keyway::crypto::material::Material;
use keyway::kms::object::Object;
use keyway::kms::policy::{self, Principal};
use keyway::kms::rights::Rights;
use keyway::kms::view::Change;
use keyway::limits;
use keyway::secret::Secret;
use keyway::store::memory::MemoryStore;
use keyway::store::remote::{self, ClientCertificate, MySqlEngine, PostgresEngine, RedisEngine};
use keyway::store::rows::{Engine, Key, RowsMut, Table};
use keyway::store::sealed::{self as sealing, MasterSecret, SEAL};
use keyway::store::{Store, StoreError};
use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};
use support::databases::{Database, Kind, PASSWORD};
use support::stores::{
    Choices, Draws, PROGRESS, assert_as_the_model_says, assert_changes_are_seen_and_undone, count_named,
    dump_store, grouped, make_old, master, named, put_marked, put_named,
};
use support::{DEADLINE, wait_for};

#[test]
fn mariadb_is_a_store() {
    check(Kind::MariaDb);
}

#[test]
fn postgresql_is_a_store() {
    check(Kind::Postgres);
}

#[test]
fn redis_is_a_store() {
    check(Kind::Redis);
}

/// An engine of this server.
fn open(database: &Database, clear: bool) -> Result<Arc<dyn Server>, StoreError> {
    open_url(database.kind(), &database.url(), clear)
}

fn open_url(kind: Kind, url: &str, clear: bool) -> Result<Arc<dyn Server>, StoreError> {
    let url = Secret::copy_of(url.as_bytes());
    Ok(match kind {
        Kind::MariaDb => Arc::new(MySqlEngine::open(&url, None, clear)?),
        Kind::Postgres => Arc::new(PostgresEngine::open(&url, None, clear)?),
        Kind::Redis => Arc::new(RedisEngine::open(&url, None, clear)?),
    })
}

/// What is both an engine and, by that, a store.
trait Server: Engine + Store {}
impl<E: Engine> Server for E {}

/// Everything that is asked of one kind of server: one after the other, for starting it takes longest.
fn check(kind: Kind) {
    let mut database = Database::start(kind);
    // While it starts, it is away.
    let first = wait_for("the database", || match open(&database, false) {
        Ok(engine) => Some(engine),
        Err(error) => {
            assert!(matches!(error, StoreError::Unavailable(_)), "{error}\n{}", database.log());
            assert!(!error.to_string().contains(PASSWORD), "{error}");
            None
        }
    });
    assert!(!Engine::reads_at_once(&*first) && Engine::trouble(&*first).is_none());
    assert_changes_are_seen_and_undone(&*first);
    for run in 0..3 {
        let store = open(&database, true).unwrap();
        assert_eq!(dump_store(&*store), dump_store(&MemoryStore::new()), "cleared");
        assert_as_the_model_says(run, 40, 5, &*store);
    }
    assert_as_the_model_says(7, 40, 5, &*open_sealed(&database));
    what_is_sealed_shows_nothing(&database);
    what_is_cleared_can_be_opened_as_one_likes(&database);
    a_server_is_told_that_its_seal_is_not_that_of_the_database(&database);
    let first = open(&database, true).unwrap();
    rows_are_bytes(&*first);
    large_objects_and_lists_are_kept(&*first);
    servers_lose_no_update_of_each_other(&database);
    a_right_is_checked_against_the_object_as_it_is(&database);
    a_restart_loses_nothing(&mut database);
    what_stands_still_is_not_waited_for(&database);
    servers_are_asked_who_they_are(&database);
    if kind == Kind::MariaDb {
        a_client_certificate_lets_in(&database);
    }
    an_old_database_is_brought_up_to_date_by_whoever_opens_it(&database);
    a_later_schema_is_refused(&database);
}

/// A database as a server opens it: up to date.
fn open_up_to_date(database: &Database) -> Arc<dyn Store> {
    open_with(database, false, None).unwrap()
}

/// A database as a server opens it, sealed or not.
fn open_with(
    database: &Database,
    clear: bool,
    master: Option<&MasterSecret>,
) -> Result<Arc<dyn Store>, StoreError> {
    let url = Secret::copy_of(database.url().as_bytes());
    match database.kind() {
        Kind::MariaDb => sealing::open(MySqlEngine::open(&url, None, clear)?, master, &mut Draws),
        Kind::Postgres => sealing::open(PostgresEngine::open(&url, None, clear)?, master, &mut Draws),
        Kind::Redis => sealing::open(RedisEngine::open(&url, None, clear)?, master, &mut Draws),
    }
}

/// Two servers at a time, while one of the version before would be told to stop.
fn an_old_database_is_brought_up_to_date_by_whoever_opens_it(database: &Database) {
    let engine = open(database, true).unwrap();
    put_named(&*engine, 1000);
    make_old(&*engine, &[named("old"), grouped("7")]);
    assert_eq!(count_named(&*engine, 7), (0, vec![]));
    assert!(count_up(&*engine, "of an old version").is_err(), "nothing is written before it was opened anew");
    thread::scope(|scope| {
        let open = || count_named(&*open_up_to_date(database), 7);
        let both = [scope.spawn(open), scope.spawn(open)].map(|thread| thread.join().unwrap());
        assert_eq!(both, [(1000, vec!["named-7".to_owned()]), (1000, vec!["named-7".to_owned()])]);
    });
    let rows = Engine::read(&*engine).unwrap();
    assert_eq!(rows.get(PROGRESS).unwrap().unwrap().as_slice(), 3_u32.to_be_bytes());
}

/// An emptied database, sealed.
fn open_sealed(database: &Database) -> Arc<dyn Store> {
    open_with(database, true, Some(&master())).unwrap()
}

/// Nothing of what it was before is in the way of what it is to be.
fn what_is_cleared_can_be_opened_as_one_likes(database: &Database) {
    let master = master();
    for (count, master) in [None, Some(&master), Some(&master), None].into_iter().enumerate() {
        put_named(&*open_with(database, true, master).unwrap(), count);
        assert_eq!(count_named(&*open_with(database, false, master).unwrap(), 0).0, count);
    }
    // An empty one needs no clearing.
    drop(open_with(database, true, None).unwrap());
    put_named(&*open_with(database, false, Some(&master)).unwrap(), 1);
    assert_eq!(count_named(&*open_with(database, false, Some(&master)).unwrap(), 0).0, 1);
}

/// Whoever goes on with another seal, or none, would write what nobody can open, or everybody.
fn a_server_is_told_that_its_seal_is_not_that_of_the_database(database: &Database) {
    let master = master();
    for (was, clears, is) in [
        (Some(&master), true, Some(&master)),
        (Some(&master), true, None),
        (None, true, Some(&master)),
        (None, false, Some(&master)),
    ] {
        let running = open_with(database, true, was).unwrap();
        if clears {
            count_up(&*running, "before").unwrap();
        }
        let other = open_with(database, clears, is).unwrap();
        let told = count_up(&*running, "after").unwrap_err();
        assert!(matches!(told, StoreError::Locked(_)) && told.is_fatal(), "{told}");
        assert!(told.to_string().contains("cleared or sealed by another server"), "{told}");
        assert_eq!(count_up(&*other, "after").unwrap(), 1);
        assert_eq!(count_up(&*open_with(database, false, is).unwrap(), "after").unwrap(), 2);
    }
    // Who was waiting for it is told as well.
    let engine = open(database, true).unwrap();
    let running = open_with(database, false, None).unwrap();
    let told = thread::scope(|scope| {
        let mut waiting = None;
        let sealed = Engine::transact(&*engine, &mut |rows| {
            waiting.get_or_insert_with(|| scope.spawn(|| count_up(&*running, "waiting")));
            thread::sleep(Duration::from_millis(200));
            rows.put(SEAL, b"another")
        });
        sealed.unwrap();
        waiting.unwrap().join().unwrap()
    });
    assert!(matches!(told, Err(StoreError::Locked(_))), "{told:?}");
    // What older programs have sealed, or cleared, says nothing of its seal, or what is not so.
    for master in [Some(&master), None] {
        let running = open_with(database, true, master).unwrap();
        count_up(&*running, "before").unwrap();
        let seal = || Engine::read(&*engine).unwrap().get(SEAL).unwrap().unwrap_or_default();
        let is = seal();
        assert_eq!(is.is_empty(), master.is_none());
        for wrong in [None, Some(b"another")] {
            let write = |rows: &mut dyn RowsMut| match wrong {
                None => rows.remove(SEAL),
                Some(wrong) => rows.put(SEAL, wrong),
            };
            Engine::transact(&*engine, &mut |rows| write(rows)).unwrap();
            count_up(&*open_with(database, false, master).unwrap(), "before").unwrap();
            assert_eq!(*seal(), *is);
        }
        count_up(&*running, "before").unwrap();
    }
}

/// Nothing that was put into a sealed database is in any file of its server: neither where it keeps rows, nor in its logs
/// of changes.
fn what_is_sealed_shows_nothing(database: &Database) {
    put_marked(&*open_sealed(database));
    assert_eq!(files_with(database.folder(), b"marked-"), Vec::<PathBuf>::new());
    put_marked(&*open(database, true).unwrap());
    for text in ["marked-identifier", "marked-owner", "marked-material", "marked-attribute", "marked-tag"] {
        assert!(!files_with(database.folder(), text.as_bytes()).is_empty(), "{text} would be found");
    }
}

/// The files below a folder that hold these bytes.
fn files_with(folder: &Path, bytes: &[u8]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files_with(&path, bytes));
        } else if fs::read(&path).is_ok_and(|content| holds(&content, bytes)) {
            found.push(path);
        }
    }
    found
}

fn holds(content: &[u8], bytes: &[u8]) -> bool {
    // Most of it is zeros.
    let starts = content.iter().enumerate().filter(|(_, byte)| **byte == bytes[0]);
    starts.map(|(at, _)| at).any(|at| content[at..].starts_with(bytes))
}

/// Keys that end in zeros, begin alike or are no text; lists in the order of bytes.
fn rows_are_bytes(engine: &dyn Engine) {
    let names: [&[u8]; 9] = [b"", b"\0", b"\0\0", b"a", b"a ", b"a\0", b"A", b"\xc3\xa9", b"\xff\xff"];
    engine
        .transact(&mut |rows| {
            for (number, name) in names.iter().enumerate() {
                rows.put(Key::new(Table::Meta, &[b"m-", *name].concat(), &[]), &[number as u8])?;
                rows.put(Key::new(Table::GrantsByUser, b"bytes", name), name)?;
                rows.put(Key::new(Table::GrantsByUser, &[b"bytes", *name].concat(), name), name)?;
            }
            Ok(())
        })
        .unwrap();
    let rows = engine.read().unwrap();
    for (number, name) in names.iter().enumerate() {
        let found = rows.get(Key::new(Table::Meta, &[b"m-", *name].concat(), &[])).unwrap();
        assert_eq!(found.unwrap().as_slice(), [number as u8]);
    }
    let mut sorted = names.map(<[u8]>::to_vec);
    sorted.sort();
    let listed = rows.list(Table::GrantsByUser, b"bytes", &[], usize::MAX).unwrap();
    assert_eq!(listed.iter().map(|(second, _)| second.clone()).collect::<Vec<_>>(), sorted);
    assert!(listed.iter().all(|(second, value)| *second == value.as_slice()));
    assert_eq!(rows.count(Table::GrantsByUser, b"bytes", usize::MAX).unwrap(), sorted.len());
}

fn object(uid: &str, count: u64) -> Object {
    let attributes = count.to_be_bytes().to_vec().into();
    let tags = vec![format!("{:x<512}", uid)];
    Object { uid: uid.into(), owner: "o".into(), attributes, tags, ..Choices::new(7).object() }
}

fn large_objects_and_lists_are_kept(store: &dyn Store) {
    let bytes: Vec<u8> = (0..limits::WRITE_BODY_BYTES_MAX).map(|i| (i * 31 / 7) as u8).collect();
    let large = Object { material: Material::copy_of(&bytes), owner: "large".into(), ..object("large-0", 0) };
    let many = |from: usize| -> Vec<Change> {
        (from..from + 300)
            .map(|i| Change::Insert(Object { owner: "many".into(), ..object(&format!("many-{i}"), 0) }))
            .collect()
    };
    store
        .transact(&mut |transaction| {
            for i in 0..5 {
                let material = Material::copy_of(large.material.expose());
                let tags = large.tags.clone();
                let attributes = large.attributes.clone();
                let (uid, owner) = (format!("large-{i}"), large.owner.clone());
                transaction.apply(vec![Change::Insert(Object {
                    uid,
                    owner,
                    material,
                    tags,
                    attributes,
                    ..object("", 0)
                })])?;
            }
            Ok(())
        })
        .unwrap();
    let mut parts = [many(0), many(300)].map(Some);
    for part in &mut parts {
        // Run once: there is nobody else.
        store.transact(&mut |transaction| transaction.apply(part.take().unwrap())).unwrap();
    }
    let view = store.read().unwrap();
    assert!(view.object("large-4").unwrap().unwrap().material.expose() == bytes);
    assert_eq!(
        view.owned_by("many", 1000).unwrap().unwrap(),
        (0..600).map(|i| format!("many-{i}")).collect::<Vec<_>>()
    );
    assert!(view.owned_by("many", 599).unwrap().is_none());
}

/// Adds one to the counter `uid`, which is made where it is not there, and grants itself with it. The new value.
fn count_up(store: &dyn Store, uid: &str) -> Result<u64, StoreError> {
    let mut count = 0;
    store.transact(&mut |transaction| {
        let stored = transaction.object(uid)?;
        count = stored.as_deref().map_or(0, value) + 1;
        let counted = object(uid, count);
        let change = if stored.is_some() { Change::Replace(counted) } else { Change::Insert(counted) };
        let rights = Rights(count as u32 | 1);
        transaction.apply(vec![change, Change::Grant { uid: uid.into(), user: "counter".into(), rights }])
    })?;
    Ok(count)
}

fn value(object: &Object) -> u64 {
    u64::from_be_bytes((*object.attributes).try_into().unwrap())
}

fn servers_lose_no_update_of_each_other(database: &Database) {
    const THREADS: usize = 8;
    const COUNTS: u64 = 40;
    let servers = [open(database, true).unwrap(), open(database, false).unwrap()];
    thread::scope(|scope| {
        for number in 0..THREADS {
            let server = &servers[number % 2];
            scope.spawn(move || {
                for i in 0..COUNTS {
                    count_up(&**server, "all").unwrap();
                    count_up(&**server, &format!("{number}-{}", i % 4)).unwrap();
                }
            });
        }
    });
    let view = Store::read(&*servers[0]).unwrap();
    assert_eq!(value(&view.object("all").unwrap().unwrap()), THREADS as u64 * COUNTS);
    let mut own = view.owned_by("o", 1000).unwrap().unwrap();
    own.sort();
    own.dedup();
    assert_eq!(own.len(), 1 + THREADS * 4, "every object is there, and once");
    for uid in own.iter().filter(|uid| *uid != "all") {
        assert_eq!(value(&view.object(uid).unwrap().unwrap()), COUNTS / 4, "{uid}");
    }
    assert_eq!(view.grants_to("counter", 1000).unwrap().unwrap().len(), own.len());
}

/// One key is read while it changes to and fro, in one commit each: stale, and nobody may have it; or fresh, and bob may.
fn a_right_is_checked_against_the_object_as_it_is(database: &Database) {
    const CHANGES: u64 = 400;
    for sealed in [None, Some(&master())] {
        let owner = open_with(database, true, sealed).unwrap();
        let reader = open_with(database, false, sealed).unwrap();
        let uid = "changing";
        let change = |count: u64| {
            let changed = || match count {
                0 => Change::Insert(object(uid, count)),
                _ => Change::Replace(object(uid, count)),
            };
            let rights = if count.is_multiple_of(2) { Rights::NONE } else { Rights::GET };
            let grant = || Change::Grant { uid: uid.into(), user: "bob".into(), rights };
            owner.transact(&mut |transaction| transaction.apply(vec![changed(), grant()])).unwrap();
        };
        change(0);
        let (is_over, mut seen) = (AtomicBool::new(false), 0);
        thread::scope(|scope| {
            scope.spawn(|| {
                (1..CHANGES).for_each(change);
                is_over.store(true, Ordering::SeqCst);
            });
            let bob = Principal("bob".into());
            while !is_over.load(Ordering::SeqCst) {
                let view = reader.read().unwrap();
                // The second is what the view remembers.
                for _ in 0..2 {
                    let found = policy::find(&*view, &bob, uid, Rights::GET).unwrap();
                    assert!(found.as_ref().is_none_or(|found| !value(found.object()).is_multiple_of(2)));
                    seen += u64::from(found.is_some());
                }
                let show = &mut |object: Arc<Object>| {
                    let found = policy::authorise(&*view, &bob, object, Rights::GET)?;
                    assert!(found.is_none_or(|found| !value(found.object()).is_multiple_of(2)));
                    Ok(ControlFlow::Continue(()))
                };
                policy::search(&*view, &bob, &[], show).unwrap();
            }
        });
        assert!(seen > 0);
    }
}

fn a_restart_loses_nothing(database: &mut Database) {
    const THREADS: usize = 4;
    let servers = [open(database, true).unwrap(), open(database, false).unwrap()];
    // The last value of each counter that was acknowledged.
    let acknowledged: [AtomicU64; THREADS] = Default::default();
    let (failures, is_over) = (AtomicU64::new(0), AtomicBool::new(false));
    let total = || acknowledged.iter().map(|count| count.load(Ordering::SeqCst)).collect::<Vec<_>>();
    thread::scope(|scope| {
        for (number, mine) in acknowledged.iter().enumerate() {
            let (server, is_over, failures) = (&servers[number % 2], &is_over, &failures);
            scope.spawn(move || {
                let uid = format!("own-{number}");
                while !is_over.load(Ordering::SeqCst) {
                    let begin = Instant::now();
                    let last = mine.load(Ordering::SeqCst);
                    let counted = count_up(&**server, &uid);
                    assert!(begin.elapsed() < DEADLINE, "{:?}", begin.elapsed());
                    match counted {
                        Ok(count) => {
                            assert!(count > last, "{uid}: {count} after {last}");
                            mine.store(count, Ordering::SeqCst);
                        }
                        Err(error) => {
                            assert!(matches!(error, StoreError::Unavailable(_)), "{error}");
                            assert!(!error.to_string().contains(PASSWORD), "{error}");
                            failures.fetch_add(1, Ordering::SeqCst);
                            thread::sleep(Duration::from_millis(3));
                        }
                    }
                    let begin = Instant::now();
                    match Store::read(&**server).and_then(|view| view.object(&uid)) {
                        Ok(found) => {
                            assert!(found.as_deref().map_or(0, value) >= mine.load(Ordering::SeqCst))
                        }
                        Err(error) => assert!(matches!(error, StoreError::Unavailable(_)), "{error}"),
                    }
                    assert!(begin.elapsed() < DEADLINE, "{:?}", begin.elapsed());
                }
            });
        }
        for _ in 0..2 {
            let before = total();
            let all_go_on = || total().iter().zip(&before).all(|(now, before)| now > before).then_some(());
            wait_for("progress", all_go_on);
            database.crash();
            let failed = failures.load(Ordering::SeqCst);
            wait_for("an outage", || (failures.load(Ordering::SeqCst) > failed).then_some(()));
            assert!(servers.iter().any(|server| Engine::trouble(&**server).is_some()));
            database.resume();
            let before = total();
            let all_go_on = || total().iter().zip(&before).all(|(now, before)| now > before).then_some(());
            wait_for("the recovery", all_go_on);
        }
        is_over.store(true, Ordering::SeqCst);
    });
    let view = Store::read(&*servers[1]).unwrap();
    for (number, count) in total().into_iter().enumerate() {
        let stored = value(&view.object(&format!("own-{number}")).unwrap().unwrap());
        // One more, if the end came between a commit and its answer.
        assert!(stored >= count, "{stored} of {count}");
    }
    assert!(servers.iter().all(|server| Engine::trouble(&**server).is_none()));

    // A restart while nobody asks is seen by nobody.
    database.crash();
    database.resume();
    wait_for("the database", || open(database, false).ok());
    assert!(Store::read(&*servers[0]).unwrap().object("own-0").unwrap().is_some());
    count_up(&*servers[1], "own-0").unwrap();
}

/// The first question after a server fell silent waits for it, those that follow do not: a thousand of them, that would
/// take hours.
fn what_stands_still_is_not_waited_for(database: &Database) {
    let server = open(database, false).unwrap();
    let ask = || Store::read(&*server).and_then(|view| view.object("own-0"));
    ask().unwrap();
    database.suspend();
    let begin = Instant::now();
    assert!(matches!(ask(), Err(StoreError::Unavailable(_))));
    let waited = begin.elapsed();
    assert!(waited < DEADLINE, "{waited:?}");
    // One of them may be an attempt of its own, if the pause before it was over.
    let (mut told, begin) = (0, Instant::now());
    while told < 1000 && begin.elapsed() < DEADLINE {
        assert!(matches!(ask(), Err(StoreError::Unavailable(_))));
        told += 1;
    }
    assert_eq!(told, 1000, "in {:?}", begin.elapsed());
    assert!(Engine::trouble(&*server).is_some_and(|reason| !reason.contains(PASSWORD)));
    database.go_on();
    wait_for("the recovery", || ask().ok());
    assert!(Engine::trouble(&*server).is_none());
}

fn a_client_certificate_lets_in(database: &Database) {
    database.authority.client("keyway");
    let pkcs12 = fs::read(database.authority.export("keyway", "password", &[])).unwrap();
    let root = database.authority.file("root.pem");
    let open = |options: &str, has_certificate: bool| {
        let password = Secret::copy_of(b"password");
        let client = has_certificate.then(|| ClientCertificate::open(&pkcs12, &password).unwrap());
        let url = Secret::new(format!("{}{options}", database.url_of_certified()).into_bytes());
        MySqlEngine::open(&url, client, false)
    };
    // The authority in the client's file is trusted, and so is one that is named.
    for options in ["", "?ssl-mode=required", "?ssl-mode=verify_ca", &format!("?ssl-ca={root}")] {
        let engine = open(options, true).unwrap_or_else(|error| panic!("{options}: {error}"));
        assert!(Engine::read(&engine).unwrap().last_sequence().is_ok());
    }
    for options in ["", "?ssl-mode=required", &format!("?ssl-mode=verify_identity&ssl-ca={root}")] {
        let error = open(options, false).err().unwrap();
        assert!(error.to_string().contains("Access denied"), "{options}: {error}");
    }
}

fn servers_are_asked_who_they_are(database: &Database) {
    let root = database.authority.file("root.pem");
    let open = |options: &str, host: &str| {
        let url = database.url_of_tls().replace("127.0.0.1", host);
        open_url(database.kind(), &format!("{url}{options}"), false)
    };
    let (trusting, of_public) = match database.kind() {
        Kind::MariaDb => (format!("?ssl-mode=verify_identity&ssl-ca={root}"), "?ssl-mode=verify_identity"),
        Kind::Postgres => (format!("?sslmode=verify-full&sslrootcert={root}"), "?sslmode=verify-full"),
        Kind::Redis => (format!("?ssl-ca={root}"), ""),
    };
    open(&trusting, "127.0.0.1").unwrap();
    let error = open(of_public, "127.0.0.1").err().unwrap();
    assert!(error.to_string().contains("UnknownIssuer"), "{error}");
    let error = open(&trusting, "127.0.0.2").err().unwrap();
    assert!(error.to_string().contains("not valid for name"), "{error}");
    let laxer = trusting.replace("verify_identity", "verify_ca").replace("verify-full", "verify-ca");
    if laxer != trusting {
        open(&laxer, "127.0.0.2").unwrap();
    }
}

fn a_later_schema_is_refused(database: &Database) {
    let running = open(database, false).unwrap();
    let later = 5_u32.to_be_bytes();
    Engine::transact(&*running, &mut |rows| rows.put(Key::new(Table::Meta, b"schema", &[]), &later)).unwrap();
    let refused = open(database, false).err().unwrap();
    assert!(matches!(refused, StoreError::Newer { found: 5, known: 4 }), "{refused}");
    let refused = count_up(&*running, "too-late").unwrap_err();
    assert!(matches!(refused, StoreError::Newer { .. }) && refused.is_fatal(), "{refused}");
}

#[test]
fn wrong_urls_are_told_without_their_passwords() {
    for (kind, url) in [
        (Kind::MariaDb, "mysql://u:hidden@h"),
        (Kind::MariaDb, "mysql://u:hidden@h/d?nonsense=1"),
        (Kind::MariaDb, "mysql://u:hidden@h/d?ssl-mode=sometimes"),
        (Kind::MariaDb, "mysql://u:hidden@h/d?ssl-mode=verify_ca&ssl-ca=/nowhere"),
        (Kind::MariaDb, "mysql://u:hidden@h:port/d"),
        (Kind::MariaDb, "postgres://u:hidden@h/d"),
        (Kind::Postgres, "postgres://u:hidden@h/d?nonsense=1"),
        (Kind::Postgres, "postgres://u:hidden@h/d?sslmode=sometimes"),
        (Kind::Postgres, "postgresql://u:hidden@h:port/d"),
        (Kind::Postgres, "host=h user=u password=hidden"),
        (Kind::Redis, "redis://u:hidden@h/number"),
        (Kind::Redis, "rediss://:hidden@h?ssl-ca=/nowhere"),
        (Kind::Redis, "redis:hidden@h"),
    ] {
        let error = open_url(kind, url, false).err().unwrap();
        assert!(matches!(error, StoreError::Misconfigured(_)), "{url}: {error}");
        assert!(!error.to_string().contains("hidden"), "{url}: {error}");
    }
    for (kind, url) in [
        (Kind::MariaDb, "mysql://u:hidden@127.0.0.1:PORT/d"),
        (Kind::Postgres, "postgres://u:hidden@127.0.0.1:PORT/d"),
        (Kind::Redis, "redis://:hidden@127.0.0.1:PORT"),
    ] {
        let url = url.replace("PORT", &support::free_port().to_string());
        let error = open_url(kind, &url, false).err().unwrap();
        assert!(matches!(error, StoreError::Unavailable(_)) && !error.is_fatal(), "{error}");
        let place = remote::describe(&Secret::copy_of(url.as_bytes()));
        assert!(error.to_string().contains(&place) && !error.to_string().contains("hidden"), "{error}");
    }
}
