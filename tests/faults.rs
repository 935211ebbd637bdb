//! The whole program when its disk fails at any moment, its clock is set, or it is stopped and goes on.
//!
//! `tests/crash.rs` has what happens to it from outside: killed under load, a full disk, a folder that will not do.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod support;

use std::fs;
use std::io::{Read, Write};
use std::process::ExitStatus;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use support::faults::{Fault, Faults, GONE};
use support::{CREATE, Client, Scratch, Server, keyway, on, tcp, value_of, wait_for};

const EXIT_STORE_FAILED: i32 = 3;

/// Makes keys over some connections until the server is gone; the identifiers of those that it has answered for.
fn create_until_the_end(port: u16) -> Vec<String> {
    let made: Mutex<Vec<String>> = Mutex::default();
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                let Ok(mut client) = Client::try_connect(port) else { return };
                while let Ok((status, answer)) = client.try_post("/kmip/2_1", CREATE) {
                    match status {
                        200 => made.lock().unwrap().push(value_of("UniqueIdentifier", &answer)),
                        // It could not be made to last.
                        _ => assert_eq!(answer, "Internal server error"),
                    }
                }
            });
        }
    });
    made.into_inner().unwrap()
}

fn get(client: &mut Client, uid: &str) -> String {
    let (status, answer) = client.post("/kmip/2_1", &on("Get", uid));
    assert_eq!(status, 200, "{uid}: {answer}");
    value_of("Key", &answer)
}

/// Lets the disk fail after every number of writes and syncs in turn, first those of the start, until `moments` of them
/// came after it.
fn fail_at_every_moment(fail: impl Fn(&Faults, i64), assert_ended: impl Fn(ExitStatus, &str)) {
    const MOMENTS: usize = 40;
    let (scratch, faults) = (Scratch::new(), Faults::new());
    let mut acknowledged = Vec::new();
    let (mut failed_starts, mut served) = (0, 0);
    for moment in 0.. {
        let serve = || Server::try_spawn(scratch.path(), faults.within(keyway(&[])));
        fail(&faults, moment);
        match serve() {
            Err((status, log)) => {
                failed_starts += 1;
                assert_ended(status, &log);
            }
            Ok(mut server) => {
                served += 1;
                acknowledged.extend(create_until_the_end(server.port));
                let status = server.wait();
                assert_ended(status, &server.log());
            }
        }
        faults.heal();
        if served > 0 && served % 8 == 0 {
            let server = serve().unwrap();
            let mut client = Client::connect(server.port);
            acknowledged.iter().for_each(|uid| drop(get(&mut client, uid)));
            server.kill();
        }
        if served == MOMENTS {
            break;
        }
    }
    assert!(failed_starts > 0 && acknowledged.len() > MOMENTS, "{failed_starts} {}", acknowledged.len());
}

#[test]
fn killed_at_any_write_nothing_acknowledged_is_lost() {
    fail_at_every_moment(
        |faults, moment| faults.fail_changes(moment, Fault::Gone),
        |status, log| assert_eq!(status.code(), Some(GONE), "{log}"),
    );
}

#[test]
fn a_disk_that_fails_at_any_write_ends_the_program_and_loses_nothing() {
    fail_at_every_moment(
        |faults, moment| faults.fail_changes(moment, Fault::InputOutputError),
        |status, log| assert_failed("Input/output error", status, log),
    );
}

#[test]
fn a_disk_that_fails_once_is_not_trusted_again() {
    fail_at_every_moment(
        |faults, moment| faults.fail_one_change(moment, Fault::InputOutputError),
        |status, log| assert_failed("Input/output error", status, log),
    );
}

#[test]
fn a_disk_that_is_full_at_any_write_ends_the_program_and_loses_nothing() {
    fail_at_every_moment(
        |faults, moment| faults.fail_changes(moment, Fault::NoSpace),
        |status, log| assert_failed("the disk of the database is full", status, log),
    );
}

#[test]
fn no_fault_of_the_disk_is_passed_over() {
    let faults = Faults::new();
    let mut moment = 0;
    // Each in a folder of its own, which is made first.
    loop {
        let scratch = Scratch::new();
        faults.fail_one_change(moment, Fault::InputOutputError);
        match Server::try_spawn(scratch.path(), faults.within(keyway(&[]))) {
            Err((status, log)) => assert_failed("Input/output error", status, &log),
            Ok(server) => {
                assert!(
                    faults.is_change_to_fail(),
                    "{moment} changes are made, then one fails: {}",
                    server.log()
                );
                break;
            }
        }
        moment += 1;
    }
    assert!(moment > 10, "{moment}");
}

/// The program has ended because of its store, and its last words say why.
fn assert_failed(why: &str, status: ExitStatus, log: &str) {
    assert_eq!(status.code(), Some(EXIT_STORE_FAILED), "{log}");
    assert!(log.lines().last().is_some_and(|last| last.contains(why)), "{log}");
}

/// Tries the same after each of some steps of the clock: years ahead, years back, and as it was.
fn at_every_time(faults: &Faults, mut act: impl FnMut()) {
    const DAY: i64 = 24 * 60 * 60;
    for step in [0, 1, 3600, -3600, 40 * DAY, 3650 * DAY, -3650 * DAY, -1, 0] {
        faults.step_clock(step);
        act();
    }
}

#[test]
fn a_clock_that_is_set_changes_what_is_told_and_nothing_else() {
    let (scratch, faults) = (Scratch::new(), Faults::new());
    let audit_log = scratch.file("audit.log");
    let serve = || Server::spawn(scratch.path(), faults.within(keyway(&["--audit-log", &audit_log])));
    let server = serve();
    let mut client = Client::connect(server.port);
    let (mut made, mut years) = (Vec::new(), Vec::new());
    // One connection all the time: its deadlines are of another clock.
    at_every_time(&faults, || {
        let uid = create(&mut client);
        made.push((uid.clone(), get(&mut client, &uid)));
        for (uid, key) in &made {
            assert_eq!(get(&mut client, uid), *key);
        }
        years.push(year(server.port));
    });
    assert!(years.iter().max() >= years.iter().min().map(|year| year + 19).as_ref(), "{years:?}");
    assert_eq!(server.terminate().code(), Some(0));
    at_every_time(&faults, || {
        let server = serve();
        let mut client = Client::connect(server.port);
        made.iter().for_each(|(uid, key)| assert_eq!(get(&mut client, uid), *key));
        let uid = create(&mut client);
        made.push((uid.clone(), get(&mut client, &uid)));
        assert_eq!(server.terminate().code(), Some(0));
    });
    let verified = keyway(&["audit", "verify", &audit_log]).output().unwrap();
    assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stderr));
}

/// The year that answers are of.
fn year(port: u16) -> u32 {
    let mut stream = tcp(port);
    stream.write_all(b"HEAD /version HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n").unwrap();
    let mut head = String::new();
    stream.read_to_string(&mut head).unwrap();
    // As in "Mon, 23 Nov 2026 17:56:40 GMT".
    let date = head.split_once("\r\ndate: ").unwrap().1;
    date.split(' ').nth(3).unwrap().parse().unwrap()
}

fn create(client: &mut Client) -> String {
    let (status, answer) = client.post("/kmip/2_1", CREATE);
    assert_eq!(status, 200, "{answer}");
    value_of("UniqueIdentifier", &answer)
}

#[test]
fn a_disk_that_cannot_be_read_is_never_taken_for_a_key_that_is_not_there() {
    const KEYS: usize = 40;
    let (scratch, faults) = (Scratch::new(), Faults::new());
    let serve = || Server::try_spawn(scratch.path(), faults.within(keyway(&[])));
    let server = serve().unwrap();
    let mut client = Client::connect(server.port);
    let keys: Vec<(String, String)> = (0..KEYS)
        .map(|_| {
            let uid = create(&mut client);
            let key = get(&mut client, &uid);
            (uid, key)
        })
        .collect();
    server.kill();
    let (mut failed_starts, mut ends) = (0, 0);
    for moment in 0.. {
        faults.fail_reads(moment, Fault::InputOutputError);
        match serve() {
            Err((status, log)) => {
                failed_starts += 1;
                assert_failed("Input/output error", status, &log);
            }
            Ok(mut server) => {
                let is_whole = Client::try_connect(server.port).is_ok_and(|mut client| {
                    keys.iter().all(|(uid, key)| {
                        let answer = client.try_post("/kmip/2_1", &on("Get", uid));
                        match answer {
                            Ok((200, answer)) => value_of("Key", &answer) == *key,
                            Ok((status, answer)) => {
                                assert_eq!((status, &answer[..]), (500, "Internal server error"));
                                false
                            }
                            Err(_) => false,
                        }
                    })
                });
                if is_whole {
                    break;
                }
                ends += 1;
                assert_failed("Input/output error", server.wait(), &server.log());
            }
        }
    }
    assert!(failed_starts > 0 && ends > 0, "{failed_starts} {ends}");
    faults.heal();
    let server = serve().unwrap();
    let mut client = Client::connect(server.port);
    keys.iter().for_each(|(uid, key)| assert_eq!(get(&mut client, uid), *key));
}

#[test]
fn a_stopped_server_goes_on_where_it_was() {
    const STOPS: usize = 10;
    let scratch = Scratch::new();
    let server = Server::start(scratch.path(), &[]);
    let over = AtomicBool::new(false);
    let made: Mutex<Vec<String>> = Mutex::default();
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                let mut client = Client::connect(server.port);
                while !over.load(Ordering::Relaxed) {
                    let uid = create(&mut client);
                    made.lock().unwrap().push(uid);
                }
            });
        }
        let mut kept = Client::connect(server.port);
        for _ in 0..STOPS {
            let before = made.lock().unwrap().len();
            wait_for("more keys", || (made.lock().unwrap().len() > before + 5).then_some(()));
            server.signal("STOP");
            wait_for("the stop", || state(&server).starts_with('T').then_some(()));
            // The system takes in what the server does not see yet: new connections, whole requests and halves of some.
            let mut new = Client::connect(server.port);
            let mut half = tcp(server.port);
            half.write_all(b"GET /version HTTP/1.1\r\nHo").unwrap();
            thread::scope(|scope| {
                let asking = [scope.spawn(|| new.get("/version")), scope.spawn(|| kept.get("/version"))];
                server.signal("CONT");
                for asked in asking {
                    assert_eq!(asked.join().unwrap().0, 200);
                }
            });
            half.write_all(b"st: h\r\nConnection: close\r\n\r\n").unwrap();
            let mut answer = String::new();
            half.read_to_string(&mut answer).unwrap();
            assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        }
        over.store(true, Ordering::Relaxed);
    });
    let mut client = Client::connect(server.port);
    made.into_inner().unwrap().iter().for_each(|uid| drop(get(&mut client, uid)));
    assert_eq!(server.terminate().code(), Some(0));
}

/// How the process stands, by a letter (proc(5)).
fn state(server: &Server) -> String {
    let stat = fs::read_to_string(format!("/proc/{}/stat", server.pid())).unwrap();
    stat.rsplit_once(") ").unwrap().1.to_owned()
}
