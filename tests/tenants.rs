//! Databases of tenants (`--database-type sqlite-enc`), through the whole program.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use support::mounts::{Mounts, skipped};
use support::{CREATE, Client, Scratch, Server, keyway, on, run, value_of, wait_for};

const TENANTS: [&str; 2] = ["--database-type", "sqlite-enc"];
const OPENS_NOTHING: &str = "Access denied: the KmsDatabaseSecret header opens no database";

fn start(scratch: &Scratch) -> Server {
    Server::start(scratch.path(), &TENANTS)
}

fn folder(scratch: &Scratch) -> PathBuf {
    scratch.path().join("data/sqlite-data")
}

/// The files of the tenants in a folder.
fn databases(folder: &Path) -> Vec<PathBuf> {
    let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    paths.filter(|path| path.extension().is_some_and(|extension| extension == "redb")).collect()
}

/// How many databases the server has open.
fn open_databases(server: &Server) -> usize {
    let files = fs::read_dir(format!("/proc/{}/fd", server.pid())).unwrap();
    let targets = files.filter_map(|file| fs::read_link(file.unwrap().path()).ok());
    targets.filter(|target| target.extension().is_some_and(|extension| extension == "redb")).count()
}

/// Makes a database and gives its secret.
fn new_database(client: &mut Client) -> String {
    let (status, answer) = client.post("/new_database", "");
    assert_eq!(status, 200, "{answer}");
    let secret = answer.trim_matches('"').to_owned();
    assert_eq!(answer, format!("\"{secret}\""));
    secret
}

/// Status and body of the answer to a request with these header fields.
fn try_ask(client: &mut Client, fields: &str, path: &str, body: &str) -> std::io::Result<(u16, String)> {
    let method = if body.is_empty() { "GET" } else { "POST" };
    let length = body.len();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: localhost\r\n{fields}content-length: {length}\r\n\r\n{body}"
    );
    client.send(request.as_bytes())
}

fn field(secret: &str) -> String {
    format!("KmsDatabaseSecret: {secret}\r\n")
}

fn kmip(client: &mut Client, secret: &str, body: &str) -> (u16, String) {
    try_ask(client, &field(secret), "/kmip/2_1", body).unwrap()
}

/// Makes a key, with this name if there is one, and gives its name.
fn create(client: &mut Client, secret: &str, uid: Option<&str>) -> String {
    let named = uid.map(|uid| {
        let uid = format!(r#"{{"tag":"UniqueIdentifier","type":"TextString","value":"{uid}"}},"#);
        let attributes = r#""tag":"Attributes","type":"Structure","value":["#;
        CREATE.replacen(attributes, &format!("{attributes}{uid}"), 1)
    });
    let (status, answer) = kmip(client, secret, named.as_deref().unwrap_or(CREATE));
    assert_eq!(status, 200, "{answer}");
    value_of("UniqueIdentifier", &answer)
}

/// The group id and the key of a secret.
fn parts(secret: &str) -> (u128, [u8; 32]) {
    let json = String::from_utf8(openssl::base64::decode_block(secret).unwrap()).unwrap();
    let numbers = json.strip_prefix('[').unwrap().strip_suffix(']').unwrap();
    let bytes: Vec<u8> = numbers.split(',').map(|number| number.parse().unwrap()).collect();
    let (group, key) = bytes.split_first_chunk().unwrap();
    (u128::from_be_bytes(*group), key.try_into().unwrap())
}

/// A secret in the first form, whether its parts belong together or not.
fn secret_of(group: u128, key: [u8; 32]) -> String {
    let bytes = [&group.to_be_bytes()[..], &key].concat();
    openssl::base64::encode_block(format!("{bytes:?}").replace(' ', "").as_bytes())
}

#[test]
fn the_documented_lines_work() {
    let scratch = Scratch::new();
    let server = start(&scratch);
    let answer = run("curl", ["-sS", "-X", "POST", &server.url("/new_database")]);
    let secret = answer.trim_matches('"');
    let (group, key) = parts(secret);
    let path = folder(&scratch).join(format!("{group}.redb"));
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    let owned = |name: &str, secret: &str, path: &str| {
        run("curl", ["-sS", "-H", &format!("{name}: {secret}"), &server.url(path)])
    };
    assert_eq!(owned("KmsDatabaseSecret", secret, "/objects/owned"), "[]");
    let mut client = Client::connect(server.port);
    let uid = create(&mut client, secret, None);
    let digits: String = key.iter().map(|byte| format!("{byte:02x}")).collect();
    let base64 = |json: String| openssl::base64::encode_block(json.as_bytes());
    for (name, secret) in [
        ("KmsDatabaseSecret", secret.to_owned()),
        ("DATABASEsecret", base64(format!(r#"{{"group_id":{group},"key":{key:?}}}"#))),
        ("kmsdatabasesecret", base64(format!(r#"{{"group_id":{group},"key":"{digits}"}}"#))),
    ] {
        for path in ["/objects/owned", "/access/owned"] {
            assert!(owned(name, &secret, path).contains(&uid), "{name} {secret} {path}");
        }
    }
    // Under both names at once, for servers of both generations.
    let both = |other: &str| field(secret) + &format!("DatabaseSecret: {other}\r\n");
    assert_eq!(try_ask(&mut client, &both(secret), "/access/owned", "").unwrap().0, 200);
    let (status, told) = try_ask(&mut client, &both("other"), "/access/owned", "").unwrap();
    assert_eq!((status, told.as_str()), (400, "Two different secrets of databases are given."));

    // What needs no secret.
    let mut client = Client::connect(server.port);
    assert_eq!(client.get("/version").0, 200);
    let (status, health) = client.get("/health");
    assert!(health.contains(r#"{"database":{"name":"redb-enc","status":"UP"}}"#), "{status} {health}");
    fs::rename(folder(&scratch), scratch.file("elsewhere")).unwrap();
    assert_eq!(client.get("/health").0, 503);
}

#[test]
fn other_databases_have_no_tenants() {
    let scratch = Scratch::new();
    let server = Server::start(scratch.path(), &[]);
    let mut client = Client::connect(server.port);
    assert_eq!(client.post("/new_database", "").0, 404);
    // Clients may be configured for both.
    assert_eq!(kmip(&mut client, "anything", CREATE).0, 200);
}

#[test]
fn a_secret_that_opens_nothing_tells_nothing() {
    let scratch = Scratch::new();
    let server = start(&scratch);
    let mut client = Client::connect(server.port);
    let [one, other] = [(); 2].map(|()| new_database(&mut client));
    let elsewhere = {
        let scratch = Scratch::new();
        new_database(&mut Client::connect(start(&scratch).port))
    };
    let removed = new_database(&mut client);
    let (group, key) = parts(&one);
    let mut nearly = key;
    nearly[31] ^= 1;
    let wrong = [
        secret_of(group, nearly),
        secret_of(group ^ 1, key),
        secret_of(group, parts(&other).1),
        secret_of(1, [0; 32]),
        elsewhere,
    ];
    let open = open_databases(&server);
    for secret in &wrong {
        for (path, body) in [("/kmip/2_1", CREATE), ("/access/owned", ""), ("/access/grant", "{}")] {
            let answer = try_ask(&mut client, &field(secret), path, body).unwrap();
            assert_eq!(answer, (401, OPENS_NOTHING.into()), "{path} {secret}");
        }
    }
    assert_eq!(open_databases(&server), open, "nothing was opened or closed for them");
    let told =
        |fields: &str| try_ask(&mut Client::connect(server.port), fields, "/kmip/2_1", CREATE).unwrap();
    let missing = "Access denied: Missing KmsDatabaseSecret header in the query";
    assert_eq!(told(""), (401, missing.into()));
    for (secret, reason) in [
        ("*", "cannot be decoded: it is no base64 of a secret"),
        ("", "cannot be decoded: it is no base64 of a secret"),
        ("bnVsbA==", "cannot be read: it is no secret of POST /new_database"),
    ] {
        assert_eq!(
            told(&field(secret)),
            (401, format!("Access denied: the KmsDatabaseSecret header {reason}"))
        );
    }
    assert_eq!(kmip(&mut client, &one, CREATE).0, 200);
    drop(client);
    drop(server);

    let server = start(&scratch);
    fs::remove_file(folder(&scratch).join(format!("{}.redb", parts(&removed).0))).unwrap();
    let mut client = Client::connect(server.port);
    assert_eq!(kmip(&mut client, &removed, CREATE), (401, OPENS_NOTHING.into()));
    // Nor is any of it in the log.
    let log = server.log();
    for secret in wrong.iter().chain([&one, &other, &removed]) {
        let key = format!("{:?}", parts(secret).1);
        assert!(!log.contains(&secret[..16]) && !log.contains(&key[..16]), "{log}");
    }
}

#[test]
fn tenants_do_not_see_each_other() {
    let scratch = Scratch::new();
    let server = start(&scratch);
    let mut client = Client::connect(server.port);
    let [one, other] = [(); 2].map(|()| new_database(&mut client));
    create(&mut client, &one, Some("first"));
    let (status, told) = kmip(&mut client, &other, &on("Get", "first"));
    assert_eq!((status, told.as_str()), (422, "Item_Not_Found: first"));
    let lists = ["/access/owned", "/access/obtained", "/access/list/first"];
    for path in lists {
        assert!(!try_ask(&mut client, &field(&other), path, "").unwrap().1.contains("success"), "{path}");
    }
    assert_eq!(try_ask(&mut client, &field(&other), "/access/owned", "").unwrap(), (200, "[]".into()));
    // The same name is free there, and is another key.
    create(&mut client, &other, Some("first"));
    let [here, there] = [&one, &other].map(|secret| kmip(&mut client, secret, &on("Get", "first")));
    assert!(here.0 == 200 && there.0 == 200 && value_of("Key", &here.1) != value_of("Key", &there.1));
    let grant = r#"{"unique_identifier":"first","user_id":"bob","operation_types":["get"]}"#;
    assert_eq!(try_ask(&mut client, &field(&one), "/access/grant", grant).unwrap().0, 200);
    let list = |client: &mut Client, secret: &str| {
        try_ask(client, &field(secret), "/access/list/first", "").unwrap().1
    };
    assert!(list(&mut client, &one).contains("bob"));
    assert_eq!(list(&mut client, &other), "[]");
}

#[test]
fn two_hundred_tenants_share_sixteen_places() {
    const COUNT: usize = 200;
    let scratch = Scratch::new();
    let server = start(&scratch);
    let mut client = Client::connect(server.port);
    let mut most = 0;
    let mut tenants: Vec<(String, Vec<String>)> = Vec::new();
    for _ in 0..COUNT {
        tenants.push((new_database(&mut client), Vec::new()));
        most = most.max(open_databases(&server));
    }
    for _ in 0..2 {
        for (secret, uids) in &mut tenants {
            uids.push(create(&mut client, secret, None));
            most = most.max(open_databases(&server));
        }
    }
    for (secret, uids) in &tenants {
        for uid in uids {
            assert_eq!(kmip(&mut client, secret, &on("Get", uid)).0, 200);
        }
        most = most.max(open_databases(&server));
    }
    assert_eq!(most, 16);
    assert_eq!(databases(&folder(&scratch)).len(), COUNT);
    assert_eq!(server.terminate().code(), Some(0));

    let server = start(&scratch);
    assert_eq!(open_databases(&server), 0);
    let mut client = Client::connect(server.port);
    for (secret, uids) in tenants.iter().step_by(10) {
        assert_eq!(kmip(&mut client, secret, &on("Get", &uids[0])).0, 200);
    }
    assert_eq!(server.terminate().code(), Some(0));

    let server = Server::start(scratch.path(), &[TENANTS.as_slice(), &["--clear-database"]].concat());
    server.wait_for_log("200 databases of tenants were removed from ");
    let (secret, uids) = &tenants[0];
    assert_eq!(
        kmip(&mut Client::connect(server.port), secret, &on("Get", &uids[0])),
        (401, OPENS_NOTHING.into())
    );
    assert!(databases(&folder(&scratch)).is_empty());
}

#[test]
fn a_stolen_file_is_worth_nothing() {
    let (scratch, thief) = (Scratch::new(), Scratch::new());
    let server = start(&scratch);
    let mut client = Client::connect(server.port);
    let [one, other] = [(); 2].map(|()| new_database(&mut client));
    create(&mut client, &one, Some("a-name-to-search-for"));
    let key = value_of("Key", &kmip(&mut client, &one, &on("Get", "a-name-to-search-for")).1);
    assert_eq!(server.terminate().code(), Some(0));

    let (group, secret_key) = parts(&one);
    let file = folder(&scratch).join(format!("{group}.redb"));
    let checked = run(env!("CARGO_BIN_EXE_keyway"), ["check", file.to_str().unwrap()]);
    assert!(
        checked.contains(": 1 objects and 0 grants, sealed") && checked.contains("all fits together"),
        "{checked}"
    );
    let bytes = fs::read(&file).unwrap();
    let key: Vec<u8> = key
        .as_bytes()
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect();
    let searched: [&[u8]; 4] = [b"a-name-to-search-for", b"admin", &key, &secret_key];
    for part in searched {
        assert!(!bytes.windows(part.len()).any(|window| window == part), "{part:?}");
    }

    // In a server of the thief's, under its own name and under that of a database whose secret the thief has.
    let server = start(&thief);
    let mut client = Client::connect(server.port);
    let own = new_database(&mut client);
    assert_eq!(server.terminate().code(), Some(0));
    fs::copy(&file, folder(&thief).join(format!("{group}.redb"))).unwrap();
    fs::copy(&file, folder(&thief).join(format!("{}.redb", parts(&own).0))).unwrap();
    let server = start(&thief);
    let mut client = Client::connect(server.port);
    for secret in [&own, &other, &secret_of(group, parts(&own).1)] {
        assert_eq!(
            kmip(&mut client, secret, &on("Get", "a-name-to-search-for")),
            (401, OPENS_NOTHING.into())
        );
    }
    // A backup, too, is opened by the secret alone.
    assert_eq!(kmip(&mut client, &one, &on("Get", "a-name-to-search-for")).0, 200);
}

#[test]
fn what_befalls_one_database_is_no_concern_of_the_others() {
    let scratch = Scratch::new();
    let server = start(&scratch);
    let mut client = Client::connect(server.port);
    let [one, other] = [(); 2].map(|()| new_database(&mut client));
    let uid = create(&mut client, &one, None);
    assert_eq!(server.terminate().code(), Some(0));
    let file = folder(&scratch).join(format!("{}.redb", parts(&one).0));
    let whole = fs::read(&file).unwrap();

    let server = start(&scratch);
    let mut client = Client::connect(server.port);
    for part in [whole.len() / 2, 0] {
        fs::write(&file, &whole[..part]).unwrap();
        for body in [CREATE, &on("Get", &uid)] {
            assert_eq!(kmip(&mut client, &one, body), (500, "Internal server error".into()));
            assert_eq!(kmip(&mut client, &other, CREATE).0, 200);
        }
    }
    server.wait_for_log(&format!("the database {}.redb: ", parts(&one).0));
    // The operator puts the backup in its place, and the server need not be told.
    fs::write(&file, &whole).unwrap();
    assert_eq!(kmip(&mut client, &one, &on("Get", &uid)).0, 200);
    assert_eq!(server.terminate().code(), Some(0));
}

#[test]
fn a_full_disk_is_told_and_what_was_answered_stays() {
    let scratch = Scratch::new();
    let disk = scratch.file("disk");
    fs::create_dir(&disk).unwrap();
    let Some(mounts) = Mounts::new(&["-t", "tmpfs", "-o", "size=4m", "keyway-test", &disk]) else {
        return skipped("a small disk");
    };
    let command = keyway(&[TENANTS.as_slice(), &["--sqlite-path", &disk]].concat());
    let server = Server::spawn(scratch.path(), mounts.within(&command));
    let mut client = Client::connect(server.port);
    let mut secrets = [(); 3].map(|()| new_database(&mut client)).into_iter().cycle();
    let mut acknowledged = Vec::new();
    let full = "The database does not answer: try again later";
    loop {
        let secret = secrets.next().unwrap();
        match kmip(&mut client, &secret, CREATE) {
            (200, answer) => acknowledged.push((secret, value_of("UniqueIdentifier", &answer))),
            refused => break assert_eq!(refused, (503, full.into())),
        }
    }
    assert!(acknowledged.len() > 100, "{}", acknowledged.len());
    server.wait_for_log("the disk of the database is full");
    // Somewhere, there may be room for a little more.
    let files = |client: &mut Client| {
        let made = (0..100).take_while(|_| client.post("/new_database", "").0 == 200).count();
        assert!(made < 100);
        made
    };
    let made = files(&mut client);
    let ls = mounts.within(Command::new("ls").arg(&disk)).output().unwrap();
    assert_eq!(String::from_utf8(ls.stdout).unwrap().lines().count(), 3 + made, "none was left half made");

    let mut grow = Command::new("mount");
    grow.args(["-o", "remount,size=64m", &disk]);
    assert!(mounts.within(&grow).status().unwrap().success());
    for (secret, uid) in &acknowledged {
        let (status, answer) = kmip(&mut client, secret, &on("Get", uid));
        assert_eq!(status, 200, "{answer}");
    }
    assert_eq!(kmip(&mut client, &secrets.next().unwrap(), CREATE).0, 200);
    assert_eq!(server.terminate().code(), Some(0));
}

#[test]
fn eight_clients_lose_nothing_while_databases_come_and_go_and_the_server_is_killed() {
    const CLIENTS: usize = 8;
    const KEYS: usize = 300;
    let scratch = Scratch::new();
    let server = start(&scratch);
    let mut client = Client::connect(server.port);
    let secrets: Vec<String> = (0..30).map(|_| new_database(&mut client)).collect();
    let (acknowledged, created) = (Mutex::new(Vec::new()), AtomicUsize::new(0));
    let ended = AtomicBool::new(false);
    let port = server.port;
    thread::scope(|scope| {
        for number in 0..CLIENTS {
            let (secrets, acknowledged, created, ended) = (&secrets, &acknowledged, &created, &ended);
            scope.spawn(move || {
                let mut client = Client::connect(port);
                let mut own: Vec<(usize, String)> = Vec::new();
                for round in 0.. {
                    // Some databases are everybody's at once, others come and go.
                    let at = if round % 3 == 0 { round % 2 } else { (round * 7 + number) % secrets.len() };
                    let answered = try_ask(&mut client, &field(&secrets[at]), "/kmip/2_1", CREATE);
                    let Ok((status, answer)) = answered else { break };
                    assert_eq!(status, 200, "{answer}");
                    created.fetch_add(1, Ordering::SeqCst);
                    own.push((at, value_of("UniqueIdentifier", &answer)));
                    let (at, uid) = &own[round / 2];
                    let got = try_ask(&mut client, &field(&secrets[*at]), "/kmip/2_1", &on("Get", uid));
                    let Ok((status, answer)) = got else { break };
                    assert_eq!(status, 200, "{answer}");
                }
                assert!(ended.load(Ordering::SeqCst), "the server broke a connection");
                acknowledged.lock().unwrap().extend(own);
            });
        }
        let mut most = 0;
        wait_for("some hundred keys", || {
            most = most.max(open_databases(&server));
            (created.load(Ordering::SeqCst) > KEYS).then_some(())
        });
        assert_eq!(most, 16);
        ended.store(true, Ordering::SeqCst);
        server.kill();
    });
    let acknowledged = acknowledged.into_inner().unwrap();
    assert!(acknowledged.len() > KEYS);
    let server = start(&scratch);
    let mut client = Client::connect(server.port);
    for (at, uid) in &acknowledged {
        let (status, answer) = kmip(&mut client, &secrets[*at], &on("Get", uid));
        assert_eq!(status, 200, "{answer}");
    }
    assert_eq!(server.terminate().code(), Some(0));
}
