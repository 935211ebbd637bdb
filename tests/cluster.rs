//! Two servers on one database, behind clients that take turns between them, while one server is killed and the database
//! restarted: every change that was acknowledged is there, none is there twice, and both servers answer alike.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test may fail, and waits in real time")]

mod support;

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;
use support::databases::{Database, Kind};
use support::{CREATE, Client, DEADLINE, Scratch, Server, free_port, keyway, on, wait_for};

const CLIENTS: usize = 32;
const CHANGES: usize = 10_000;
/// The changes of one key's life, in order.
const LIFE: [Change; 5] = [Change::Create, Change::Grant, Change::Withdraw, Change::Revoke, Change::Destroy];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    Create,
    Grant,
    Withdraw,
    Revoke,
    Destroy,
}

impl Change {
    /// The path and the body of its request.
    fn request(self, uid: &str) -> (&'static str, String) {
        let access =
            || format!(r#"{{"unique_identifier":"{uid}","user_id":"bob","operation_types":["get"]}}"#);
        match self {
            Change::Create => {
                let list = r#""tag":"Attributes","type":"Structure","value":["#;
                let named =
                    format!(r#"{list}{{"tag":"UniqueIdentifier","type":"TextString","value":"{uid}"}},"#);
                ("/kmip/2_1", CREATE.replacen(list, &named, 1))
            }
            Change::Grant => ("/access/grant", access()),
            Change::Withdraw => ("/access/revoke", access()),
            Change::Revoke => {
                let reason = r#",{"tag":"RevocationReason","type":"TextString","value":"done"}]}"#;
                ("/kmip/2_1", on("Revoke", uid).replace("]}", reason))
            }
            Change::Destroy => ("/kmip/2_1", on("Destroy", uid)),
        }
    }
}

/// What is to be seen of a key after so many changes: its state, and whether bob may get it.
fn after(changes: usize) -> (&'static str, bool) {
    let state = ["", "Active", "Active", "Active", "Deactivated", "Destroyed"][changes];
    (state, changes == 2)
}

/// A client with a connection to each server, made when it is needed.
struct Turns {
    ports: [u16; 2],
    next: usize,
    connections: [Option<Client>; 2],
}

impl Turns {
    fn new(ports: [u16; 2], next: usize) -> Turns {
        Turns { ports, next, connections: [None, None] }
    }

    /// Asks the next server: its answer, or `None` where there was none or it was told to come again.
    fn ask(&mut self, path: &str, body: &str) -> Option<(u16, String)> {
        let turn = self.next % 2;
        self.next += 1;
        let mut client = match self.connections[turn].take() {
            Some(client) => client,
            None => Client::try_connect(self.ports[turn]).ok()?,
        };
        match client.try_post(path, body) {
            Ok((503, _)) => None,
            Ok(answer) => {
                self.connections[turn] = Some(client);
                Some(answer)
            }
            Err(error) => {
                let kinds = [ErrorKind::WouldBlock, ErrorKind::TimedOut];
                assert!(!kinds.contains(&error.kind()), "a server did not answer within {DEADLINE:?}");
                None
            }
        }
    }

    /// Has a change made, however often it must be asked for.
    fn make(&mut self, change: Change, uid: &str) {
        let (path, body) = change.request(uid);
        for attempt in 0.. {
            match self.ask(path, &body) {
                Some((200, _)) => return,
                // What was not answered before may have been done; the end tells.
                Some((400..500, _)) if attempt > 0 => return,
                Some((status, told)) => panic!("{change:?} of {uid} was answered {status}: {told}"),
                None => thread::sleep(Duration::from_millis(20)),
            }
        }
    }
}

/// Every key that a server knows: its state, and whether bob may get it.
fn picture(server: &Server, uids: impl Iterator<Item = String>) -> BTreeMap<String, (String, bool)> {
    let mut client = Client::connect(server.port);
    let (status, list) = client.get("/access/owned");
    assert_eq!(status, 200, "{list}");
    let mut states = BTreeMap::new();
    for entry in list.split(r#"{"object_id":""#).skip(1) {
        let (uid, rest) = entry.split_once('"').unwrap();
        let state = rest.split_once(r#""state":""#).unwrap().1.split('"').next().unwrap();
        assert!(states.insert(uid.to_owned(), state.to_owned()).is_none(), "{uid} is there twice");
    }
    let mut picture = BTreeMap::new();
    for uid in uids {
        let (status, grants) = client.get(&format!("/access/list/{uid}"));
        assert_eq!(status, 200, "{uid}: {grants}");
        let state = states.remove(&uid).unwrap_or_else(|| panic!("{uid} is lost"));
        picture.insert(uid, (state, grants.contains("bob")));
    }
    assert!(states.is_empty(), "nobody has made {states:?}");
    picture
}

fn two_servers_lose_and_repeat_nothing(kind: Kind, database_type: &str) {
    let mut database = Database::start(kind);
    let (scratch, url) = ([Scratch::new(), Scratch::new()], database.url());
    let ports = [free_port(), free_port()];
    let start = |at: usize| {
        let command = keyway(&["--database-type", database_type, "--database-url", &url]);
        Server::spawn_at(scratch[at].path(), command, ports[at])
    };
    let (mut first, second) = (Some(start(0)), start(1));
    let made = AtomicUsize::new(0);
    let reached = |part: usize| {
        wait_for("changes", || (made.load(Ordering::Relaxed) >= CHANGES * part / 10).then_some(()));
    };
    let lives: BTreeMap<String, usize> = thread::scope(|scope| {
        let made = &made;
        let clients: Vec<_> = (0..CLIENTS)
            .map(|client| {
                scope.spawn(move || {
                    let (mut turns, mut lives) = (Turns::new(ports, client), BTreeMap::new());
                    for key in 0.. {
                        let uid = format!("key-{client}-{key}");
                        // Some keys live to their end, others do not.
                        let changes = 1 + (client + key) % LIFE.len();
                        for change in &LIFE[..changes] {
                            turns.make(*change, &uid);
                            made.fetch_add(1, Ordering::Relaxed);
                        }
                        lives.insert(uid, changes);
                        if made.load(Ordering::Relaxed) >= CHANGES {
                            return lives;
                        }
                    }
                    unreachable!()
                })
            })
            .collect();
        reached(2);
        first.take().unwrap().kill();
        first = Some(start(0));
        for part in [4, 7] {
            reached(part);
            database.crash();
            wait_for("a server that says so", || {
                let (status, health) = Client::connect(second.port).get("/health");
                (status == 503 && health.contains("the database cannot be read")).then_some(())
            });
            database.resume();
        }
        clients.into_iter().flat_map(|client| client.join().unwrap()).collect()
    });
    let expected: BTreeMap<_, _> = lives
        .iter()
        .map(|(uid, changes)| (uid.clone(), (after(*changes).0.to_owned(), after(*changes).1)))
        .collect();
    let first = first.unwrap();
    for server in [&first, &second] {
        let (status, health) = Client::connect(server.port).get("/health");
        assert_eq!(status, 200, "{health}");
        assert_eq!(picture(server, lives.keys().cloned()), expected);
        assert!(!server.log().contains(support::databases::PASSWORD));
    }
    assert!(lives.len() > CHANGES / LIFE.len());
    assert_eq!(first.terminate().code(), Some(0));
    assert_eq!(second.terminate().code(), Some(0));
    what_is_cleared_is_counted(database_type, &url, lives.len());
}

fn what_is_cleared_is_counted(database_type: &str, url: &str, objects: usize) {
    let words = ["--database-type", database_type, "--database-url", url, "--clear-database"];
    let scratch = Scratch::new();
    let server = Server::spawn(scratch.path(), keyway(&words));
    server.wait_for_log(&format!("was cleared: {objects} objects were erased"));
    assert_eq!(Client::connect(server.port).get("/access/owned"), (200, "[]".to_owned()));
}

#[test]
fn two_servers_on_one_mariadb_lose_and_repeat_nothing() {
    two_servers_lose_and_repeat_nothing(Kind::MariaDb, "mysql");
}

#[test]
fn two_servers_on_one_postgresql_lose_and_repeat_nothing() {
    two_servers_lose_and_repeat_nothing(Kind::Postgres, "postgresql");
}

/// Whoever asks for the health of a server may be the only one who asks: it must not tell what it once knew.
#[test]
fn health_is_what_the_database_says_now() {
    let mut database = Database::start(Kind::Redis);
    let (scratch, url) = (Scratch::new(), database.url());
    let server = Server::spawn(scratch.path(), keyway(&["--database-type", "redis", "--database-url", &url]));
    let health = || Client::connect(server.port).get("/health").0;
    assert_eq!(health(), 200);
    database.crash();
    assert_eq!(health(), 503, "nobody else has asked since it went");
    database.resume();
    wait_for("the database, by nothing but its health", || (health() == 200).then_some(()));
    assert_eq!(Client::connect(server.port).try_post("/kmip/2_1", CREATE).unwrap().0, 200);
    assert_eq!(server.terminate().code(), Some(0));
    what_is_cleared_is_counted("redis", &url, 1);
}
