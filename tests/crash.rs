//! The whole program against what happens to processes and their disks: killed at any moment, started twice, given a
//! folder, a disk or a file that will not do. `tests/store.rs` has the same at the level of single writes.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod support;

use keyway::kms::object::Object;
use keyway::kms::view::Change;
use keyway::store::Store;
use keyway::store::redb::RedbStore;
use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::thread;
use support::mounts::{Mounts, skipped};
use support::stores::Choices;
use support::{CREATE, Client, Scratch, Server, keyway, keyway_fails, on, value_of, wait_for};

const EXIT_STORE_FAILED: i32 = 3;

/// What the server has answered for: an identifier, and the key where it was read.
type Acknowledged = (String, Option<String>);

fn create(client: &mut Client) -> std::io::Result<String> {
    let (status, answer) = client.try_post("/kmip/2_1", CREATE)?;
    assert_eq!(status, 200, "{answer}");
    Ok(value_of("UniqueIdentifier", &answer))
}

fn read(client: &mut Client, uid: &str) -> std::io::Result<String> {
    let (status, answer) = client.try_post("/kmip/2_1", &on("Get", uid))?;
    assert_eq!(status, 200, "{uid}: {answer}");
    Ok(value_of("Key", &answer))
}

/// Every key is there, and the same as when it was read first.
fn verify(port: u16, acknowledged: &[Acknowledged]) {
    thread::scope(|scope| {
        for share in acknowledged.chunks(acknowledged.len() / 4 + 1) {
            scope.spawn(move || {
                let mut client = Client::connect(port);
                for (uid, key) in share {
                    let found = read(&mut client, uid).unwrap();
                    assert!(key.as_ref().is_none_or(|key| *key == found), "{uid} is another key");
                }
            });
        }
    });
}

#[test]
fn nothing_acknowledged_is_lost_when_the_program_is_killed() {
    const ROUNDS: usize = 20;
    const CONNECTIONS: usize = 5;
    const CREATES: usize = 1000;
    let scratch = Scratch::new();
    let mut all: Vec<Acknowledged> = Vec::new();
    for round in 0..ROUNDS {
        let server = Server::start(scratch.path(), &[]);
        verify(server.port, &all);
        let port = server.port;
        let acknowledged: Mutex<Vec<Acknowledged>> = Mutex::default();
        let share = &|connection: usize| -> std::io::Result<()> {
            let mut client = Client::connect(port);
            for turn in 0..CREATES / CONNECTIONS {
                let uid = create(&mut client)?;
                let mine = {
                    let mut acknowledged = acknowledged.lock().unwrap();
                    acknowledged.push((uid.clone(), None));
                    acknowledged.len() - 1
                };
                if (turn + connection).is_multiple_of(4) {
                    acknowledged.lock().unwrap()[mine].1 = Some(read(&mut client, &uid)?);
                }
            }
            Ok(())
        };
        let cut_off = thread::scope(|scope| {
            let connections: Vec<_> = (0..CONNECTIONS).map(|i| scope.spawn(move || share(i))).collect();
            let enough = 20 + round * (CREATES - 200) / ROUNDS;
            wait_for("answers", || (acknowledged.lock().unwrap().len() >= enough).then_some(()));
            server.kill();
            connections.into_iter().map(|c| c.join().unwrap()).filter(Result::is_err).count()
        });
        let acknowledged = acknowledged.into_inner().unwrap();
        assert!(cut_off > 0 && acknowledged.len() < CREATES, "it was killed too late to be of interest");
        all.extend(acknowledged);
    }
    let server = Server::start(scratch.path(), &[]);
    verify(server.port, &all);
    assert!(all.len() > ROUNDS * 300 && all.iter().filter(|(_, key)| key.is_some()).count() > ROUNDS * 50);
    assert_eq!(server.terminate().code(), Some(0));
}

/// Exit code and last line of a server that is to keep its data below `folder`, and cannot.
fn fails(folder: &Path) -> (i32, String) {
    let data = folder.join("data");
    let args = ["--hostname", "127.0.0.1", "--port", "0", "--root-data-path", data.to_str().unwrap()];
    let (code, told) = keyway_fails(&args);
    (code, told.lines().last().unwrap().to_owned())
}

#[test]
fn a_second_server_on_the_same_folder_leaves_the_first_alone() {
    let scratch = Scratch::new();
    let server = Server::start(scratch.path(), &[]);
    let mut client = Client::connect(server.port);
    let uid = create(&mut client).unwrap();
    let told = "keyway: the database is already open in another process: stop that one, or give this one a folder of its own";
    for _ in 0..3 {
        assert_eq!(fails(scratch.path()), (EXIT_STORE_FAILED, told.into()));
    }
    let key = read(&mut client, &uid).unwrap();
    server.kill();
    verify(Server::start(scratch.path(), &[]).port, &[(uid, Some(key))]);
}

#[test]
fn a_damaged_file_is_refused_and_kept() {
    let scratch = Scratch::new();
    let server = Server::start(scratch.path(), &[]);
    let mut client = Client::connect(server.port);
    let uid = create(&mut client).unwrap();
    let key = read(&mut client, &uid).unwrap();
    server.kill();

    let file = scratch.path().join("data/sqlite-data/keyway.redb");
    let whole = fs::read(&file).unwrap();
    // A bit of the key itself, wherever it has been written.
    let material: Vec<u8> = key.as_bytes().chunks(2).map(hex_byte).collect();
    let mut flipped = whole.clone();
    let places: Vec<usize> = (0..whole.len() - 32).filter(|at| whole[*at..].starts_with(&material)).collect();
    assert!(!places.is_empty());
    places.iter().for_each(|at| flipped[*at] ^= 1);
    let mut headless = whole.clone();
    headless[..64].fill(0x5A);
    for damaged in [flipped, headless, whole[..whole.len() / 2].to_vec(), b"not a database\n".to_vec()] {
        fs::write(&file, &damaged).unwrap();
        let (code, told) = fails(scratch.path());
        assert_eq!(code, EXIT_STORE_FAILED, "{told}");
        assert!(told.starts_with("keyway: the database is damaged ("), "{told}");
        assert!(told.ends_with("): restore it from a backup; the damaged file was kept"), "{told}");
        // redb may note in its header how long it has found the file.
        let kept = fs::read(&file).unwrap();
        let after_header = 512.min(damaged.len())..;
        assert!(kept.len() == damaged.len() && kept[after_header.clone()] == damaged[after_header], "{told}");
    }
    fs::write(&file, &whole).unwrap();
    verify(Server::start(scratch.path(), &[]).port, &[(uid, Some(key))]);
}

#[test]
fn a_large_file_is_served_before_it_was_verified_and_damage_is_told_soon() {
    let scratch = Scratch::new();
    let folder = scratch.path().join("data/sqlite-data");
    let store = RedbStore::open(&folder, false).unwrap();
    let large = |n: u8| {
        let attributes = vec![n; 1 << 20].into();
        vec![Change::Insert(Object { attributes, uid: format!("large-{n}"), ..Choices::new(1).object() })]
    };
    store.transact(&mut |transaction| (0..70).try_for_each(|n| transaction.apply(large(n)))).unwrap();
    drop(store);
    let mark = folder.join("keyway.unverified");

    let server = Server::start(scratch.path(), &[]);
    let uid = create(&mut Client::connect(server.port)).unwrap();
    assert!(server.log().contains("the database was verified"), "a change waits for it: {}", server.log());
    assert!(!mark.exists());
    assert_eq!(server.terminate().code(), Some(0));
    verify(Server::start(scratch.path(), &[]).port, &[(uid, None)]);
    assert_eq!(Server::start(scratch.path(), &[]).terminate().code(), Some(0));

    let file = folder.join("keyway.redb");
    let whole = fs::read(&file).unwrap();
    // Wherever it has been written: some of that is no part of the database any more.
    let places = whole.chunks(4096).zip(0_u64..).filter(|(bytes, _)| *bytes == [33; 4096]);
    let damaged = OpenOptions::new().write(true).open(&file).unwrap();
    assert!(places.map(|(_, page)| damaged.write_at(&[34], page * 4096 + 99).unwrap()).sum::<usize>() > 0);
    let mut server = Server::start(scratch.path(), &[]);
    assert_eq!(server.wait().code(), Some(EXIT_STORE_FAILED));
    let told = server.log();
    assert!(told.contains("the database is damaged ("), "{told}");
    assert!(mark.exists());
    let (code, told) = fails(scratch.path());
    assert_eq!(code, EXIT_STORE_FAILED, "{told}");
    assert!(told.ends_with("): restore it from a backup; the damaged file was kept"), "{told}");
}

fn hex_byte(pair: &[u8]) -> u8 {
    u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()
}

#[test]
fn a_file_in_the_place_of_the_folder_is_told() {
    let scratch = Scratch::new();
    fs::write(scratch.path().join("data"), "").unwrap();
    let (code, told) = fails(scratch.path());
    assert_eq!(code, EXIT_STORE_FAILED, "{told}");
    assert!(told.contains("/data/sqlite-data cannot be used (Not a directory"), "{told}");
    assert!(told.ends_with("give the server a folder that its user can read and write"), "{told}");
}

#[test]
fn a_folder_that_is_read_only_is_told_and_left_as_it_is() {
    let scratch = Scratch::new();
    let server = Server::start(scratch.path(), &[]);
    let uid = create(&mut Client::connect(server.port)).unwrap();
    assert_eq!(server.terminate().code(), Some(0));
    let data = scratch.file("data");
    let Some(mounts) = Mounts::new(&["--bind", "-o", "ro", &data, &data]) else {
        return skipped("a folder read-only");
    };
    let server = keyway(&["--hostname", "127.0.0.1", "--port", "0", "--root-data-path", &data]);
    let output = mounts.within(&server).stdin(Stdio::null()).output().unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(EXIT_STORE_FAILED), "{told}");
    let line = told.lines().last().unwrap();
    assert!(line.contains("/keyway.redb cannot be used (Read-only file system"), "{line}");
    drop(mounts);
    verify(Server::start(scratch.path(), &[]).port, &[(uid, None)]);
}

#[test]
fn a_full_disk_ends_the_program_and_loses_nothing() {
    let scratch = Scratch::new();
    let disk = scratch.file("disk");
    fs::create_dir(&disk).unwrap();
    let Some(mounts) = Mounts::new(&["-t", "tmpfs", "-o", "size=4m", "keyway-test", &disk]) else {
        return skipped("a small disk");
    };
    let serve = || Server::spawn(scratch.path(), mounts.within(&keyway(&["--sqlite-path", &disk])));
    let mut acknowledged = Vec::new();
    let mut server = serve();
    let mut client = Client::connect(server.port);
    while let Ok((200, answer)) = client.try_post("/kmip/2_1", CREATE) {
        acknowledged.push((value_of("UniqueIdentifier", &answer), None));
    }
    assert_eq!(server.wait().code(), Some(EXIT_STORE_FAILED));
    server.wait_for_log("the disk of the database is full: free some space, then start again");
    assert!(acknowledged.len() > 100, "{}", acknowledged.len());

    let mut grow = Command::new("mount");
    grow.args(["-o", "remount,size=64m", &disk]);
    assert!(mounts.within(&grow).status().unwrap().success());
    let server = serve();
    verify(server.port, &acknowledged);
    create(&mut Client::connect(server.port)).unwrap();
    assert_eq!(server.terminate().code(), Some(0));
}
