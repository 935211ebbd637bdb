//! Backup, restore and check through the whole program.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod support;

use keyway::kms::rights::Rights;
use keyway::kms::view::Change;
use keyway::shell::backups::connect;
use keyway::shell::backups::frames::{Receiver, Sender};
use keyway::store::Store;
use keyway::store::identifier::Identifier;
use keyway::store::redb::RedbStore;
use keyway::store::rows::{Engine, Key, Table};
use keyway::store::sealed;
use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use support::mounts::{Mounts, skipped};
use support::stores::make_old;
use support::{CREATE, Client, Scratch, Server, keyway, on, value_of, wait_for};

fn create(client: &mut Client) -> String {
    let (status, answer) = client.post("/kmip/2_1", CREATE);
    assert_eq!(status, 200, "{answer}");
    value_of("UniqueIdentifier", &answer)
}

fn read(client: &mut Client, uid: &str) -> String {
    let (status, answer) = client.post("/kmip/2_1", &on("Get", uid));
    assert_eq!(status, 200, "{uid}: {answer}");
    value_of("Key", &answer)
}

/// A server's folder, and a command about the database in it.
struct Place {
    scratch: Scratch,
}

impl Place {
    fn new() -> Place {
        Place { scratch: Scratch::new() }
    }

    fn start(&self) -> Server {
        Server::start(self.scratch.path(), &[])
    }

    /// With so many keys, made by a server that has ended.
    fn with_keys(count: usize) -> (Place, Vec<(String, String)>) {
        let place = Place::new();
        let server = place.start();
        let mut client = Client::connect(server.port);
        let mut key = |_| {
            let uid = create(&mut client);
            let key = read(&mut client, &uid);
            (uid, key)
        };
        let keys = (0..count).map(&mut key).collect();
        assert_eq!(server.terminate().code(), Some(0));
        (place, keys)
    }

    fn database(&self) -> PathBuf {
        self.scratch.path().join("data/sqlite-data/keyway.redb")
    }

    /// Exit code, standard output and standard error.
    fn run(&self, words: &[&str]) -> (i32, String, String) {
        let data = self.scratch.file("data");
        told(keyway(words).args(["--root-data-path", &data]).stdin(Stdio::null()).output().unwrap())
    }

    /// Standard output of a command that succeeds.
    fn succeeds(&self, words: &[&str]) -> String {
        let (code, out, err) = self.run(words);
        assert_eq!(code, 0, "{words:?}: {out}{err}");
        out
    }

    /// The last line on standard error of a command that fails.
    fn fails(&self, words: &[&str]) -> String {
        let (code, out, err) = self.run(words);
        assert_eq!((code, out.as_str()), (1, ""), "{words:?}: {err}");
        err.lines().last().unwrap().to_owned()
    }

    fn verify(&self, keys: &[(String, String)]) {
        let server = self.start();
        let mut client = Client::connect(server.port);
        for (uid, key) in keys {
            assert_eq!(read(&mut client, uid), *key);
        }
        assert_eq!(server.terminate().code(), Some(0));
    }
}

fn told(output: Output) -> (i32, String, String) {
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

fn mode(path: impl AsRef<Path>) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn a_backup_under_load_has_every_key_that_was_acknowledged_before() {
    const CLIENTS: usize = 4;
    const ROUNDS: usize = 3;
    let place = Place::new();
    let server = place.start();
    let over = AtomicBool::new(false);
    let acknowledged: Mutex<Vec<(String, String)>> = Mutex::default();
    let answers = AtomicUsize::new(0);
    let mut before = Vec::new();
    thread::scope(|scope| {
        let _end = OnDrop(|| over.store(true, Ordering::Relaxed));
        for _ in 0..CLIENTS {
            scope.spawn(|| {
                let mut client = Client::connect(server.port);
                while !over.load(Ordering::Relaxed) {
                    let uid = create(&mut client);
                    let key = read(&mut client, &uid);
                    acknowledged.lock().unwrap().push((uid, key));
                    answers.fetch_add(2, Ordering::Relaxed);
                }
            });
            scope.spawn(|| {
                let mut client = Client::connect(server.port);
                for turn in 0.. {
                    if over.load(Ordering::Relaxed) {
                        break;
                    }
                    let known = acknowledged.lock().unwrap().get(turn % 500).cloned();
                    if let Some((uid, key)) = known {
                        assert_eq!(read(&mut client, &uid), key);
                        answers.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
        for round in 0..ROUNDS {
            let enough = (round + 1) * 400;
            wait_for("keys", || (acknowledged.lock().unwrap().len() >= enough).then_some(()));
            before.push(acknowledged.lock().unwrap().clone());
            let answers_before = answers.load(Ordering::Relaxed);
            let said = place.succeeds(&["backup", &place.scratch.file(&format!("{round}.backup"))]);
            assert!(said.ends_with(" objects and 0 grants\n"), "{said}");
            assert!(answers.load(Ordering::Relaxed) > answers_before, "nobody was answered meanwhile");
        }
    });
    server.wait_for_log("a backup was made: ");
    server.kill();

    for (round, keys) in before.iter().enumerate() {
        let file = place.scratch.file(&format!("{round}.backup"));
        assert_eq!(mode(&file), 0o600);
        assert!(place.succeeds(&["check", &file]).ends_with("; all fits together\n"));
        let elsewhere = Place::new();
        let said = elsewhere.succeeds(&["restore", &file]);
        assert!(said.ends_with(" objects and 0 grants were restored\n"), "{said}");
        assert_eq!(mode(elsewhere.database()), 0o600);
        elsewhere.verify(keys);
    }
    assert!(!names(place.scratch.path()).iter().any(|name| name.contains("partial")));
}

struct OnDrop<F: Fn()>(F);

impl<F: Fn()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

#[test]
fn without_a_server_the_file_itself_is_copied_and_stays_as_it_is() {
    let (place, keys) = Place::with_keys(20);
    let folder = place.database().parent().unwrap().to_owned();
    assert_eq!(names(&folder), ["keyway.redb"], "the socket has gone with the server");
    // One that was killed leaves its socket, and a file that it had open.
    let server = place.start();
    let socket = fs::metadata(folder.join("keyway.sock")).unwrap();
    assert!(socket.file_type().is_socket() && socket.permissions().mode() & 0o777 == 0o600);
    server.kill();
    assert_eq!(names(&folder), ["keyway.redb", "keyway.sock"]);
    let bytes = fs::read(place.database()).unwrap();

    let file = place.scratch.file("backup");
    assert_eq!(place.succeeds(&["backup", &file]), format!("{file}: 20 objects and 0 grants\n"));
    let whole = format!("{}: 20 objects and 0 grants; all fits together\n", place.database().display());
    assert_eq!(place.succeeds(&["check"]), whole);
    assert!(fs::read(place.database()).unwrap() == bytes, "it was only read");
    place.verify(&keys);

    // Relative to where one is.
    let data = place.scratch.file("data");
    let output = keyway(&["backup", "here", "--root-data-path", &data])
        .current_dir(place.scratch.path())
        .output()
        .unwrap();
    assert_eq!(told(output).1, format!("{}: 20 objects and 0 grants\n", place.scratch.file("here")));

    let existing = format!("keyway: {file} exists already: choose another name, or remove it");
    assert_eq!(place.fails(&["backup", &file]), existing);
    assert_eq!(
        place.fails(&["backup", place.database().to_str().unwrap()]).matches("exists already").count(),
        1
    );
    fs::write(place.scratch.file("next.partial"), "").unwrap();
    let left = place.fails(&["backup", &place.scratch.file("next")]);
    assert!(left.ends_with("left behind by a crash: wait, or remove it"), "{left}");
    let nowhere = place.fails(&["backup", "/proc/keyway/backup"]);
    assert!(
        nowhere.starts_with("keyway: /proc/keyway/backup.partial cannot be used: No such file"),
        "{nowhere}"
    );
    let none = Place::new().fails(&["backup", &place.scratch.file("none")]);
    assert!(none.contains("/keyway.redb cannot be read: No such file"), "{none}");
}

#[test]
fn a_restore_replaces_nothing_that_it_was_not_told_to() {
    let (place, keys) = Place::with_keys(5);
    let (file, folder) = (place.scratch.file("backup"), place.database().parent().unwrap().to_owned());
    place.succeeds(&["backup", &file]);
    let (other, other_keys) = Place::with_keys(3);
    let other_file = other.scratch.file("backup");
    other.succeeds(&["backup", &other_file]);

    // A server is there.
    let server = place.start();
    for words in [&["restore", &other_file][..], &["restore", &other_file, "--clear-database"]] {
        let busy = place.fails(words);
        assert_eq!(
            busy,
            format!("keyway: a server has the database in {} open: end it first", folder.display())
        );
    }
    let busy = place.fails(&["check"]);
    assert!(busy.ends_with("use a backup of it (keyway backup FILE)"), "{busy}");
    assert_eq!(server.terminate().code(), Some(0));

    // There are keys.
    let kept = folder.join("keyway.redb.before-restore");
    let bytes = fs::read(place.database()).unwrap();
    let refusal = place.fails(&["restore", &other_file]);
    assert_eq!(
        refusal,
        format!(
            "keyway: {} has 5 objects and 0 grants: add --clear-database to replace it; it is then kept as {}",
            place.database().display(),
            kept.display()
        )
    );
    assert!(fs::read(place.database()).unwrap() == bytes && names(&folder) == ["keyway.redb"]);
    let said = place.succeeds(&["restore", "--clear-database", &other_file]);
    assert_eq!(
        said,
        format!(
            "{}: 3 objects and 0 grants were restored\n{}: kept, with 5 objects and 0 grants\n",
            place.database().display(),
            kept.display()
        )
    );
    assert_eq!((mode(place.database()), mode(&kept)), (0o600, 0o600));
    place.verify(&other_keys);
    assert!(fs::read(&kept).unwrap() == bytes);

    // What was kept is not lost to a second one; moved away, it is a backup itself.
    let there = place.fails(&["restore", "--clear-database", &file]);
    assert!(there.ends_with("is there from an earlier restore: move it away"), "{there}");
    let moved = place.scratch.file("moved");
    fs::rename(&kept, &moved).unwrap();
    place.succeeds(&["restore", "--clear-database", &moved]);
    place.verify(&keys);

    // A database without objects is nobody's loss, and one that is damaged is replaced on demand only.
    let fresh = Place::new();
    fresh.verify(&[]);
    fresh.succeeds(&["restore", &file]);
    fresh.verify(&keys);
    fs::write(fresh.database(), "never a database").unwrap();
    let refusal = fresh.fails(&["restore", &file]);
    assert!(
        refusal.contains(" has what cannot be read (") && refusal.contains("--clear-database"),
        "{refusal}"
    );
    fresh.succeeds(&["restore", "--clear-database", &file]);
    fresh.verify(&keys);
}

#[test]
fn a_damaged_backup_is_refused_and_changes_nothing() {
    let (place, keys) = Place::with_keys(30);
    let file = place.scratch.file("backup");
    place.succeeds(&["backup", &file]);
    let whole = fs::read(&file).unwrap();
    let material: Vec<u8> = keys[7].1.as_bytes().chunks(2).map(hex_byte).collect();
    let at = (0..whole.len() - 32).find(|at| whole[*at..].starts_with(&material)).unwrap();
    let mut flipped = whole.clone();
    flipped[at] ^= 1;

    let (other, other_keys) = Place::with_keys(2);
    let bytes = fs::read(other.database()).unwrap();
    for damaged in [&flipped[..], &whole[..whole.len() / 2], b"", b"no database"] {
        fs::write(&file, damaged).unwrap();
        for words in [&["restore", "--clear-database", &file][..], &["check", &file]] {
            let told = other.fails(words);
            assert!(told.starts_with(&format!("keyway: {file} is damaged: ")), "{told}");
        }
        assert!(fs::read(&file).unwrap() == damaged, "it stays as it is");
    }
    // redb finds nothing wrong with this one.
    fs::write(&file, &whole).unwrap();
    plant(&file, |rows| rows.remove(Key::new(Table::Sequences, &[], &4_u64.to_be_bytes())));
    let (code, out, err) = other.run(&["restore", "--clear-database", &file]);
    assert_eq!((code, out.as_str()), (1, ""), "{err}");
    assert!(err.contains(&format!("objects: \"{}\" is not found by its sequence", keys[3].0)), "{err}");
    let damaged = format!("keyway: {file} is damaged: 1 things do not fit; restore another backup");
    assert_eq!(err.lines().last().unwrap(), damaged);
    let folder = place.scratch.file("");
    let told = other.fails(&["check", &folder]);
    assert_eq!(told, format!("keyway: {folder} cannot be read: it is no file"));

    assert!(fs::read(other.database()).unwrap() == bytes, "nothing changed");
    assert_eq!(names(other.database().parent().unwrap()), ["keyway.redb"]);
    other.verify(&other_keys);
}

fn hex_byte(pair: &[u8]) -> u8 {
    u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()
}

type Damage<'d> = &'d mut dyn keyway::store::rows::RowsMut;

/// Changes rows of a database behind everybody's back.
fn plant(file: &str, change: impl Fn(Damage<'_>) -> Result<(), keyway::store::StoreError>) {
    Engine::transact(&engine(file), &mut |rows| change(rows)).unwrap();
}

fn engine(file: &str) -> RedbStore {
    let backend =
        redb::backends::FileBackend::new(fs::File::options().read(true).write(true).open(file).unwrap());
    RedbStore::with_backend(backend.unwrap()).unwrap()
}

#[test]
fn a_check_finds_whatever_does_not_fit() {
    let (place, keys) = Place::with_keys(3);
    let file = place.scratch.file("backup");
    let stored = [0, 1, 2].map(|i| Identifier::of(&keys[i].0));
    let [a, b, c] = stored.each_ref().map(AsRef::as_ref);
    let third = 3_u64.to_be_bytes();
    let data = place.database().parent().unwrap().to_owned();
    let store = RedbStore::open(&data, false).unwrap();
    let grant = Change::Grant { uid: keys[0].0.clone(), user: "bob".into(), rights: Rights::GET };
    let mut grant = Some(vec![grant]);
    Store::transact(&store, &mut |transaction| transaction.apply(grant.take().unwrap())).unwrap();
    drop(store);
    place.succeeds(&["backup", &file]);
    let whole = fs::read(&file).unwrap();

    let [a_shown, c_shown] = [0, 2].map(|i| format!("\"{}\"", keys[i].0));
    let finds = |change: &dyn Fn(Damage<'_>) -> Result<(), keyway::store::StoreError>,
                 expected: &[String]| {
        fs::write(&file, &whole).unwrap();
        plant(&file, change);
        let (code, out, _) = place.run(&["check", &file]);
        let found: Vec<&str> = out.lines().collect();
        let (summary, found) = found.split_last().unwrap();
        assert_eq!(found, expected, "{out}");
        assert!(summary.ends_with(&format!("; {} things do not fit", expected.len())), "{summary}");
        assert_eq!(code, 1);
    };
    let [object, sequence] = [Table::Objects, Table::Sequences].map(|table| {
        move |name| match table {
            Table::Objects => Key::new(table, name, &[]),
            _ => Key::new(table, &[], name),
        }
    });
    finds(
        &|rows| rows.remove(object(a)),
        &[
            "sequences: 1 does not lead to its object".to_owned(),
            format!("tags: {a_shown} does not belong below \"_kk\""),
            format!("owners: {a_shown} does not belong below \"admin\""),
            format!("grants_by_object: the grant on {a_shown} to \"bob\" is on no object"),
        ],
    );
    finds(
        &|rows| {
            let other = rows.get(object(a))?.unwrap();
            rows.put(object(b"other"), &other)
        },
        &[format!("objects: \"other\" leads to the record of {a_shown}")],
    );
    finds(
        &|rows| rows.put(sequence(&third), a),
        &[
            format!("objects: {c_shown} is not found by its sequence"),
            "sequences: 3 does not lead to its object".to_owned(),
        ],
    );
    finds(
        &|rows| rows.remove(Key::new(Table::Owners, b"admin", &third)),
        &[format!("owners: {c_shown} is missing below \"admin\"")],
    );
    finds(
        &|rows| rows.remove(Key::new(Table::Tags, b"_kk", &third)),
        &[format!("tags: {c_shown} is missing below \"_kk\"")],
    );
    finds(
        &|rows| rows.put(Key::new(Table::Tags, b"mine\n", &third), c),
        &[format!("tags: {c_shown} does not belong below \"mine\\n\"")],
    );
    finds(
        &|rows| rows.put(Key::new(Table::Owners, b"admin", &third), b),
        &[
            format!("owners: {c_shown} is missing below \"admin\""),
            format!("owners: \"{}\" does not belong below \"admin\"", keys[1].0),
        ],
    );
    finds(
        &|rows| rows.remove(Key::new(Table::GrantsByUser, b"bob", a)),
        &[format!("grants_by_object: the grant on {a_shown} to \"bob\" is not the same in grants_by_user")],
    );
    finds(
        &|rows| rows.remove(Key::new(Table::GrantsByObject, a, b"bob")),
        &[format!("grants_by_user: the grant on {a_shown} to \"bob\" is not the same in grants_by_object")],
    );
    finds(
        &|rows| rows.put(object(b"unreadable"), &[9, 9]),
        &["objects: \"unreadable\": the record of an object cannot be read: its version is unknown"
            .to_owned()],
    );

    // Of a sealed one, only what can be seen.
    fs::write(&file, &whole).unwrap();
    plant(&file, |rows| rows.put(sealed::DATA_KEY, b"by somebody"));
    let sealed = place.succeeds(&["check", &file]);
    assert!(sealed.contains("3 objects and 1 grants, sealed: "), "{sealed}");
    plant(&file, |rows| rows.remove(object(a)));
    let (code, out, _) = place.run(&["check", &file]);
    assert_eq!((code, out.lines().next()), (1, Some("sequences: 3 rows for the 2 of objects")), "{out}");
}

#[test]
fn what_an_older_version_has_backed_up_is_restored_and_brought_up_to_date() {
    let (place, keys) = Place::with_keys(3);
    let file = place.scratch.file("backup");
    place.succeeds(&["backup", &file]);
    make_old(&engine(&file), &[]);
    let told = place.succeeds(&["check", &file]);
    let counted =
        "3 objects and 0 grants, of an older version: only their numbers and the forms of their keys";
    assert!(told.contains(counted), "{told}");
    let (fresh, _) = Place::with_keys(0);
    fresh.succeeds(&["restore", &file]);
    fresh.verify(&keys);
    let database = fresh.database();
    let told = fresh.succeeds(&["check", database.to_str().unwrap()]);
    assert!(told.ends_with(": 3 objects and 0 grants; all fits together\n"), "{told}");
}

#[test]
fn a_full_disk_is_told_and_nothing_is_left_there() {
    let (place, keys) = Place::with_keys(600);
    let disk = place.scratch.file("disk");
    fs::create_dir(&disk).unwrap();
    let Some(mounts) = Mounts::new(&["-t", "tmpfs", "-o", "size=256k", "keyway-test", &disk]) else {
        return skipped("a small disk");
    };
    let within = |words: &[&str]| told(mounts.within(&keyway(words)).stdin(Stdio::null()).output().unwrap());
    let left = || {
        let mut list = std::process::Command::new("find");
        list.args([&disk, "-type", "f"]);
        String::from_utf8(mounts.within(&list).output().unwrap().stdout).unwrap()
    };
    let (data, target) = (place.scratch.file("data"), format!("{disk}/backup"));
    let server = place.start();
    for _ in 0..2 {
        let (code, out, err) = within(&["backup", &target, "--root-data-path", &data]);
        assert_eq!((code, out.as_str()), (1, ""), "{err}");
        let full = format!("keyway: the disk of {target} is full: ");
        assert!(err.lines().last().unwrap().starts_with(&full), "{err}");
        assert_eq!(left(), "");
    }
    assert_eq!(read(&mut Client::connect(server.port), &keys[0].0), keys[0].1, "the server goes on");
    let file = place.scratch.file("backup");
    place.succeeds(&["backup", &file]);
    assert_eq!(server.terminate().code(), Some(0));

    let (code, _, err) = within(&["restore", &file, "--sqlite-path", &disk]);
    assert_eq!(code, 1);
    assert!(err.lines().last().unwrap().contains("/keyway.redb is full: free some space"), "{err}");
    assert_eq!(left(), "");
}

/// Whoever connects and takes nothing costs the others nothing.
#[test]
fn a_backup_that_stands_still_holds_nobody_up() {
    let (place, keys) = Place::with_keys(600);
    let server = place.start();
    let idle = connect(place.database().parent().unwrap()).unwrap().unwrap();
    let mut client = Client::connect(server.port);
    for _ in 0..50 {
        create(&mut client);
        assert_eq!(read(&mut client, &keys[9].0), keys[9].1);
    }
    assert_eq!(server.terminate().code(), Some(0));
    let cut = Receiver::begin(idle).unwrap().collect::<Result<Vec<_>, _>>();
    assert!(cut.is_err(), "not taken for a whole one");
}

#[test]
fn a_backup_that_the_server_cuts_short_leaves_nothing() {
    let place = Place::new();
    let folder = place.database().parent().unwrap().to_owned();
    fs::create_dir_all(&folder).unwrap();
    let socket = UnixListener::bind(folder.join("keyway.sock")).unwrap();
    let fails = |send: &(dyn Fn(UnixStream) + Sync)| {
        let told = thread::scope(|scope| {
            scope.spawn(|| send(socket.accept().unwrap().0));
            place.fails(&["backup", &place.scratch.file("backup")])
        });
        assert!(told.starts_with("keyway: the server has sent no whole backup ("), "{told}");
        assert!(told.ends_with("): its log may say why"), "{told}");
        assert_eq!(names(place.scratch.path()), ["data"], "nothing is left");
    };
    fails(&drop);
    fails(&|stream| Sender::begin(stream, 2).unwrap().row(Table::Objects, b"a", b"b").unwrap());

    // A server that is just starting has the file, and no socket yet.
    drop(socket);
    let store = RedbStore::open(&folder, false).unwrap();
    let told = place.fails(&["backup", &place.scratch.file("backup")]);
    assert!(
        told.contains("is open in a process that makes no backups now: a server that is starting"),
        "{told}"
    );
    drop(store);
}

#[test]
fn a_second_name_of_the_old_database_is_the_same_file() {
    let (place, _) = Place::with_keys(1);
    let file = place.scratch.file("backup");
    place.succeeds(&["backup", &file]);
    let before = fs::metadata(place.database()).unwrap().ino();
    place.succeeds(&["restore", "--clear-database", &file]);
    let kept = place.database().with_extension("redb.before-restore");
    assert_eq!(fs::metadata(kept).unwrap().ino(), before, "so there was a database at every instant");
}

#[test]
fn commands_explain_themselves_and_name_what_is_wrong() {
    let place = Place::new();
    let refused = |words: &[&str]| {
        let (code, out, err) = place.run(words);
        assert_eq!((code, out.as_str()), (2, ""), "{err}");
        err.trim_end().strip_prefix("keyway: ").unwrap().to_owned()
    };
    let overview = place.succeeds(&["--help"]);
    for command in ["backup", "restore", "check"] {
        let help = place.succeeds(&[command, "--help"]);
        assert!(help.contains(&format!("\nUsage: keyway {command} [OPTIONS] ")), "{help}");
        assert!(help.contains("--sqlite-path <FOLDER>") && help.contains("\nExit codes: 0 "), "{help}");
        assert!(overview.contains(&format!("\n  keyway {command} [OPTIONS] ")));
        let wrong = refused(&[command, "--sqlite-pth", "x"]);
        assert_eq!(wrong, "there is no option --sqlite-pth: did you mean --sqlite-path?");
        let two = refused(&[command, "one", "two"]);
        assert_eq!(two, "unexpected argument \"two\": see keyway --help");
    }
    for command in ["backup", "restore"] {
        assert_eq!(
            refused(&[command]),
            format!("keyway {command} needs a FILE: see keyway {command} --help")
        );
    }
    assert_eq!(
        refused(&["backup", "x", "--database-type", "mysql"]),
        "--database-type \"mysql\" (command line): keyway backup is for the embedded database; \
         use mariadb-dump or mysqldump"
    );
}
