//! The audit log of the program: what is recorded, whether it can be changed unseen, and what becomes of it when the disk is
//! full or the process is killed.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use support::certificates::Authority;
use support::issuer::{Key, KeyServer, claims, key_set};
use support::mounts::{Mounts, skipped};
use support::{CREATE, Client, Scratch, Server, keyway, keyway_fails, on, run, value_of, wait_for};

const LOG: &str = "audit.log";

fn server(folder: &Scratch, more: &[&str]) -> Server {
    let log = folder.file(LOG);
    Server::start(folder.path(), &[&["--audit-log", &log], more].concat())
}

fn lines(file: &str) -> Vec<String> {
    fs::read_to_string(file).unwrap().lines().map(str::to_owned).collect()
}

/// The member of a line, a string or something else.
fn member<'l>(line: &'l str, name: &str) -> Option<&'l str> {
    let (_, rest) = line.split_once(&format!("\"{name}\":"))?;
    let end = match rest.as_bytes()[0] {
        b'"' => rest[1..].find('"')? + 2,
        b'[' => rest.find(']')? + 1,
        _ => rest.find([',', '}'])?,
    };
    Some(rest[..end].trim_matches('"'))
}

/// What the lines say that are no checkpoints: operation, named (if it is not the object), objects, status and reason.
fn told(lines: &[String]) -> Vec<String> {
    let decisions = lines.iter().filter(|line| !line.contains("\"event\":"));
    let all = |line: &String| {
        let members =
            ["operation", "named", "objects", "more", "grantee", "rights", "status", "result", "reason"];
        members.iter().filter_map(|name| member(line, name)).collect::<Vec<_>>().join(" ")
    };
    decisions.map(all).collect()
}

/// Exit code of `keyway audit verify`, and what it said.
fn verify(files: &[&str], more: &[&str]) -> (i32, String) {
    let arguments = [&["audit", "verify"], more, files].concat();
    let output = keyway(&arguments).output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.code().unwrap(), String::from_utf8(text).unwrap())
}

#[test]
fn every_decision_is_recorded() {
    let folder = Scratch::new();
    let server = server(&folder, &[]);
    let mut client = Client::connect(server.port);
    let mut post = |path: &str, body: &str| client.post(path, body).1;
    let uid = value_of("UniqueIdentifier", &post("/kmip/2_1", CREATE));
    let got = post("/kmip/2_1", &on("Get", &uid));
    post("/kmip/2_1", &on("Activate", &uid));
    post("/kmip/2_1", &on("Destroy", &uid));
    post("/kmip/2_1", &on("Get", "no\"such\n"));
    post("/kmip/2_1", &on("Get", &"x".repeat(700)));
    post("/kmip/2_1", &on("Frobnicate", "a"));
    post("/kmip/2_1", "no JSON");
    post("/kmip/2_1", r#"{"tag":"Locate","type":"Structure","value":[]}"#);
    let grant = |user: &str, operation: &str| {
        format!(r#"{{"unique_identifier":"{uid}","user_id":"{user}","operation_type":"{operation}"}}"#)
    };
    post("/access/grant", &grant("bob", "get"));
    post("/access/grant", &grant("bob", "fly"));
    post("/access/revoke", &grant("bob", "get"));
    post("/new_database", "");
    let mut get = |path: &str| client.get(path).0;
    assert_eq!(get("/version"), 200);
    assert_eq!(get(&format!("/access/list/{uid}")), 200);
    assert_eq!(get("/access/list/nosuch"), 401);
    assert_eq!(get("/access/owned"), 200);
    assert_eq!(get("/access/obtained"), 200);
    assert_eq!(server.terminate().code(), Some(0));

    let file = folder.file(LOG);
    let lines = lines(&file);
    let long = "x".repeat(512);
    let expected = [
        format!("Create [\"{uid}\"] 200 Success"),
        format!("Get [\"{uid}\"] 200 Success"),
        format!("Activate {uid} 422 Failed Wrong_Key_Lifecycle_State"),
        format!("Destroy {uid} 422 Failed Wrong_Key_Lifecycle_State"),
        "Get no\\ 422 Failed Object_Not_Found".into(),
        format!("Get {long}[..] 422 Failed Object_Not_Found"),
        "Frobnicate a 404 Failed Operation_Not_Supported".into(),
        "Unknown 422 Failed Invalid_Message".into(),
        format!("Locate [\"{uid}\"] 200 Success"),
        format!("GrantAccess [\"{uid}\"] bob [\"get\"] 200 Success"),
        format!("GrantAccess {uid} bob [] 400 Failed Invalid_Message"),
        format!("RevokeAccess [\"{uid}\"] bob [\"get\"] 200 Success"),
        "NewDatabase 404 Failed Operation_Not_Supported".into(),
        format!("ListAccess {uid} 200 Success"),
        "ListAccess nosuch 401 Failed Permission_Denied".into(),
        "ListOwned 200 Success".into(),
        "ListObtained 200 Success".into(),
    ];
    assert_eq!(told(&lines), expected);
    let get = lines.iter().find(|line| line.contains("\"Get\"")).unwrap();
    assert_eq!(
        ["user", "method", "route"].map(|name| member(get, name).unwrap()),
        ["admin", "default", "/kmip/2_1"]
    );
    assert!(member(get, "peer").unwrap().starts_with("127.0.0.1:"));
    let time = member(get, "time").unwrap();
    assert!(time.len() == "2026-11-23T17:56:40.123Z".len() && time.as_bytes()[19] == b'.', "{time}");
    let key = value_of("Key", &got);
    assert!(!fs::read_to_string(&file).unwrap().to_lowercase().contains(&key.to_lowercase()));
    let last = lines.len();
    let whole = format!("verified: lines 1 to {last}; the server has ended in order after them\n");
    assert_eq!(verify(&[&file], &[]), (0, whole));
}

#[test]
fn each_item_of_a_batch_has_its_line() {
    let folder = Scratch::new();
    let server = server(&folder, &[]);
    let mut client = Client::connect(server.port);
    let uid = value_of("UniqueIdentifier", &client.post("/kmip/2_1", CREATE).1);
    let item = |operation: &str, uid: &str| {
        let uid = format!(r#"{{"tag":"UniqueIdentifier","type":"TextString","value":"{uid}"}}"#);
        format!(
            r#"{{"tag":"BatchItem","value":[{{"tag":"Operation","type":"Enumeration","value":"{operation}"}},{{"tag":"RequestPayload","value":[{uid}]}}]}}"#
        )
    };
    let version = r#"{"tag":"ProtocolVersion","value":[{"tag":"ProtocolVersionMajor","type":"Integer","value":2},{"tag":"ProtocolVersionMinor","type":"Integer","value":1}]}"#;
    let option = r#"{"tag":"BatchErrorContinuationOption","type":"Enumeration","value":"Continue"}"#;
    let count = r#"{"tag":"BatchCount","type":"Integer","value":2}"#;
    let (good, bad) = (item("Get", &uid), item("Get", "nosuch"));
    let message = format!(
        r#"{{"tag":"RequestMessage","value":[{{"tag":"RequestHeader","value":[{version},{option},{count}]}},{good},{bad}]}}"#
    );
    let (status, answer) = client.post("/kmip", &message);
    assert_eq!(status, 200, "{answer}");
    assert_eq!(server.terminate().code(), Some(0));
    let lines = lines(&folder.file(LOG));
    let expected =
        [format!("Get [\"{uid}\"] 200 Success"), "Get nosuch 200 Failed Object_Not_Found".to_owned()];
    assert_eq!(told(&lines)[1..], expected, "{answer}");
    let items: Vec<&String> = lines.iter().filter(|line| line.contains("\"route\":\"/kmip\"")).collect();
    assert_eq!(member(items[0], "request"), member(items[1], "request"));
}

#[test]
fn who_is_turned_away_is_recorded() {
    let folder = Scratch::new();
    let (authority, stranger) = (Authority::new(), Authority::new());
    authority.server("server", "P-256");
    authority.client("alice");
    stranger.client("mallory");
    let (bundle, root) = (authority.export("server", "secret", &[]), authority.file("root.pem"));
    let arguments =
        ["--https-p12-file", &bundle, "--https-p12-password", "secret", "--authority-cert-file", &root];
    let server = server(&folder, &arguments);
    let ask = |of: &Authority, name: &str| {
        let mut curl = Command::new("curl");
        let files = [".fullchain.pem", ".key"].map(|suffix| of.file(&format!("{name}{suffix}")));
        curl.args(["-s", "--cacert", &root, "--cert", &files[0], "--key", &files[1], "-d", CREATE]);
        curl.arg(server.url("/kmip/2_1")).output().unwrap().status.success()
    };
    assert!(ask(&authority, "alice"));
    assert!(!ask(&stranger, "mallory"));
    assert_eq!(server.terminate().code(), Some(0));
    let lines = lines(&folder.file(LOG));
    assert!(
        lines.iter().any(|line| line.contains(
            r#""user":"alice.example","method":"certificate","route":"/kmip/2_1","operation":"Create""#
        )),
        "{lines:#?}"
    );
    let refused: Vec<&String> = lines.iter().filter(|line| line.contains("\"Authenticate\"")).collect();
    assert_eq!(refused.len(), 1, "{lines:#?}");
    assert!(
        refused[0].contains(r#""result":"Failed","reason":"Authentication_Not_Successful""#),
        "{refused:?}"
    );
}

#[test]
fn who_asks_by_a_token_is_recorded_and_so_is_whose_is_refused() {
    let key = Key::new("k", "EdDSA");
    let issuer = KeyServer::new(key_set(&[&key.jwk("")]));
    let uri = issuer.issuer();
    for more in [&[][..], &["--audit-required"]] {
        let folder = Scratch::new();
        let log = folder.file(LOG);
        let options = [
            "--audit-log",
            &log,
            "--jwt-issuer-uri",
            &uri,
            "--jwt-audience",
            "kms",
            "--privileged-users=alice",
        ];
        let server = Server::start(folder.path(), &[&options[..], more].concat());
        wait_for("the keys", || (Client::connect(server.port).get("/health/ready").0 == 200).then_some(()));
        let mut client = Client::connect(server.port);
        let mut ask = |token: &str, method: &str, path: &str, body: &str| {
            let length = body.len();
            let head = format!(
                "{method} {path} HTTP/1.1\r\nHost: kms\r\nAuthorization: Bearer {token}\r\nContent-Length: {length}\r\n\r\n"
            );
            client.send(format!("{head}{body}").as_bytes()).unwrap()
        };
        let [alice, bob] = ["alice", "bob"].map(|user| key.sign(&claims(&uri, user)));
        let expired = key.sign(&claims(&uri, "mallory").replace("\"exp\":", "\"exp\":1,\"was\":"));
        let uid = value_of("UniqueIdentifier", &ask(&alice, "POST", "/kmip/2_1", CREATE).1);
        let grant = r#"{"user_id":"carol","operation_types":["create"]}"#;
        assert_eq!(ask(&alice, "POST", "/access/grant", grant).0, 200);
        assert_eq!(ask(&bob, "GET", "/access/create", "").0, 200);
        assert_eq!(ask(&bob, "GET", "/access/privileged", "").0, 200);
        assert_eq!(ask(&bob, "POST", "/kmip/2_1", CREATE).0, 401);
        let refused = |path: &str, token: &str| {
            let head = format!("GET {path} HTTP/1.1\r\nHost: kms\r\nAuthorization: Bearer {token}\r\n\r\n");
            let told = Client::connect(server.port).send(head.as_bytes()).unwrap();
            assert_eq!(told, (401, String::new()), "{path}");
        };
        refused("/access/owned", &expired);
        refused("/version", "a.b.c");
        refused("/nothing/there", "");
        assert_eq!(server.terminate().code(), Some(0));

        let who = |line: &String| {
            ["user", "method", "route"].map(|name| member(line, name).unwrap_or("-")).join(" ")
        };
        let lines = lines(&log);
        let asked: Vec<String> = lines.iter().filter(|line| !line.contains("\"event\":")).map(who).collect();
        let expected = [
            "alice token /kmip/2_1",
            "alice token /access",
            "bob token /access",
            "bob token /access",
            "bob token /kmip/2_1",
            "- token /access",
            "- token /version",
            "- token unknown",
        ];
        assert_eq!(asked, expected);
        let expected = [
            format!("Create [\"{uid}\"] 200 Success"),
            "GrantAccess carol [\"create\"] 200 Success".into(),
            "HasCreatePermission 200 Success".into(),
            "HasPrivilegedAccess 200 Success".into(),
            "Create 401 Failed Permission_Denied".into(),
            "Authenticate 401 Failed Authentication_Not_Successful".into(),
            "Authenticate 401 Failed Authentication_Not_Successful".into(),
            "Authenticate 401 Failed Authentication_Not_Successful".into(),
        ];
        assert_eq!(told(&lines), expected);
        let text = fs::read_to_string(&log).unwrap();
        for token in [&alice, &bob, &expired] {
            assert!(token.split('.').all(|part| !text.contains(part)), "{text}");
        }
        assert!(!text.contains("mallory"), "what a bad token says is not true: {text}");
    }
}

#[test]
fn hand_overs_are_recorded_without_what_was_handed_over() {
    let folder = Scratch::new();
    let token = folder.file("token");
    fs::write(&token, "a token of the owner\n").unwrap();
    let log = folder.file(LOG);
    let mut server = Server::spawn(
        folder.path(),
        keyway(&[
            "--audit-log",
            &log,
            "--use-bootstrap-server",
            "--bootstrap-server-port=0",
            "--bootstrap-token-file",
            &token,
        ]),
    );
    let ask = |authorization: &str, path: &str, body: &str| {
        let header = format!("Authorization: Bearer {authorization}");
        let arguments = ["-sk", "--header", &header, "-d", body, &server.url(path)];
        run("curl", arguments)
    };
    ask("another token", "/start", "{}");
    ask("a token of the owner", "/pkcs12-password", r#"{"password":"swordfish"}"#);
    ask("a token of the owner", "/postgresql", "postgresql://u:swordfish@nowhere/x");
    server.signal("TERM");
    assert_eq!(server.wait().code(), Some(0));
    let text = fs::read_to_string(&log).unwrap();
    assert!(!text.contains("swordfish") && !text.contains("a token of"), "{text}");
    let told = told(&lines(&log));
    assert_eq!(told[0], "Start 401 Failed Authentication_Not_Successful");
    assert!(told[1].starts_with("HandOverPassword ") && told[2].starts_with("HandOverDatabase "), "{told:?}");
    assert!(
        text.contains(
            r#""user":"owner","method":"token","route":"bootstrap","operation":"HandOverPassword""#
        )
    );
}

/// A log of some lines, closed in order.
fn a_log(folder: &Scratch) -> String {
    let server = server(folder, &[]);
    let mut client = Client::connect(server.port);
    for _ in 0..5 {
        assert_eq!(client.post("/kmip/2_1", CREATE).0, 200);
    }
    assert_eq!(server.terminate().code(), Some(0));
    folder.file(LOG)
}

#[test]
fn what_was_changed_is_named() {
    let folder = Scratch::new();
    let file = a_log(&folder);
    let key = ["--audit-key-file".to_owned(), format!("{file}.key")];
    let key: Vec<&str> = key.iter().map(String::as_str).collect();
    let lines = lines(&file);
    let changed = folder.file("changed");
    let verify_lines = |lines: &[String]| {
        fs::write(&changed, lines.concat()).unwrap();
        verify(&[&changed], &key)
    };
    let ended: Vec<String> = lines.iter().map(|line| format!("{line}\n")).collect();
    assert_eq!(verify_lines(&ended).0, 0);
    let found_at = |lines: &[String], number: usize| {
        let (code, text) = verify_lines(lines);
        assert_eq!(code, 1, "{text}");
        assert!(text.contains(&format!("changed: line {number}: ")), "{number}: {text}");
    };
    for at in 0..ended.len() {
        let mut other = ended.clone();
        other[at] = other[at].replacen("2026", "2027", 1).replacen("20", "21", 1);
        found_at(&other, at + 1);
        if at + 1 < ended.len() {
            let mut moved = ended.clone();
            moved.swap(at, at + 1);
            found_at(&moved, at + 1);
            let mut removed = ended.clone();
            removed.remove(at);
            found_at(&removed, at + 1);
        }
        let mut inserted = ended.clone();
        inserted.insert(at + 1, ended[at].clone());
        found_at(&inserted, at + 2);
    }
    // Cut after a checkpoint and some lines; cut within a line.
    let (code, text) = verify_lines(&ended[..4]);
    let uncovered =
        "verified up to line 1, from line 1 on; the rest, up to line 4, is not covered by a checkpoint\n";
    assert_eq!((code, text.as_str()), (0, uncovered));
    let mut torn = ended[..4].to_vec();
    torn[3].truncate(20);
    let (code, text) = verify_lines(&torn);
    assert!(
        code == 0 && text.contains("up to line 3, is not") && text.contains("a torn line of 20 bytes"),
        "{text}"
    );
    assert_eq!(verify(&[&folder.file("nosuch")], &key).0, 1);
    fs::write(folder.file("other key"), "another key of the right length").unwrap();
    let (code, text) = verify(&[&file], &["--audit-key-file", &folder.file("other key")]);
    assert!(code == 1 && text.contains("line 1: its HMAC is not by this key"), "{text}");
    assert_eq!(verify(&[], &[]).0, 2);
}

#[test]
fn the_key_is_the_owners_and_is_missed_when_it_is_gone() {
    let folder = Scratch::new();
    let file = a_log(&folder);
    let key = format!("{file}.key");
    for path in [&file, &key] {
        assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600, "{path}");
    }
    let again = server(&folder, &[]);
    let log = folder.file(LOG);
    let (code, text) =
        keyway_fails(&["--audit-log", &log, "--port=0", "--root-data-path", &folder.file("other")]);
    assert!(code == 2 && text.contains("another server writes it"), "{text}");
    assert_eq!(again.terminate().code(), Some(0));
    fs::remove_file(&key).unwrap();
    let (code, text) =
        keyway_fails(&["--audit-log", &log, "--port=0", "--root-data-path", &folder.file("other")]);
    assert!(code == 2 && text.contains(".key: cannot be read"), "{text}");
    let needs = keyway_fails(&["--audit-log=stdout"]);
    assert!(needs.0 == 2 && needs.1.contains("needs --audit-key-file"), "{needs:?}");
    assert_eq!(keyway_fails(&["--audit-required"]).0, 2);
}

#[test]
fn a_restarted_server_goes_on_after_a_torn_line_and_not_after_a_changed_one() {
    let folder = Scratch::new();
    let file = a_log(&folder);
    let whole = fs::read(&file).unwrap();
    fs::write(&file, [whole.as_slice(), b"{\"seq\":8,\"time\":\"20"].concat()).unwrap();
    assert_eq!(server(&folder, &[]).terminate().code(), Some(0));
    let last = lines(&file);
    let start = last.iter().rev().find(|line| line.contains("\"reason\":\"start\"")).unwrap();
    assert_eq!(member(start, "cut_bytes"), Some("19"));
    assert_eq!(verify(&[&file], &[]).0, 0);
    let changed =
        fs::read_to_string(&file).unwrap().replace("\"reason\":\"shutdown\"", "\"reason\":\"shutdowN\"");
    fs::write(&file, changed).unwrap();
    let data = folder.file("other");
    let (code, text) = keyway_fails(&["--audit-log", &file, "--port=0", "--root-data-path", &data]);
    assert!(code == 2 && text.contains("its hash is not right"), "{text}");
}

#[test]
fn files_chain_where_the_log_is_rotated() {
    let folder = Scratch::new();
    let server = server(&folder, &[]);
    let (file, old) = (folder.file(LOG), folder.file("audit.log.1"));
    let mut client = Client::connect(server.port);
    client.post("/kmip/2_1", CREATE);
    fs::rename(&file, &old).unwrap();
    client.post("/kmip/2_1", CREATE);
    server.signal("HUP");
    wait_for("the new file", || fs::metadata(&file).ok().filter(|file| file.len() > 0));
    client.post("/kmip/2_1", CREATE);
    // Nothing was moved: nothing begins.
    server.signal("HUP");
    client.post("/kmip/2_1", CREATE);
    assert_eq!(server.terminate().code(), Some(0));
    assert_eq!(told(&lines(&old)).len(), 2);
    assert_eq!(told(&lines(&file)).len(), 2);
    let last: usize = lines(&old).len() + lines(&file).len();
    let key = ["--audit-key-file", &format!("{file}.key")];
    let whole = format!("verified: lines 1 to {last}; the server has ended in order after them\n");
    assert_eq!(verify(&[&old, &file], &[]), (0, whole));
    let (code, text) = verify(&[&file], &[]);
    assert!(code == 0 && text.contains("; lines 1 to 3 were not given"), "{text}");
    let (code, text) = verify(&[&file, &old], &key);
    assert!(code == 1 && text.contains("audit.log.1: line 1: it does not follow"), "{text}");
}

#[test]
fn killed_under_load_it_is_as_it_was_written() {
    let folder = Scratch::new();
    let mut told_all = 0;
    for round in 0..6 {
        let server = server(&folder, if round % 2 == 0 { &["--audit-required"] } else { &[] });
        let (ends, answers) = (AtomicBool::new(false), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let Ok(mut client) = Client::try_connect(server.port) else { return };
                    while !ends.load(Ordering::Relaxed)
                        && client.try_post("/kmip/2_1", &on("Get", "nosuch")).is_ok()
                    {
                        answers.fetch_add(1, Ordering::Relaxed);
                    }
                });
            }
            wait_for("answers", || (answers.load(Ordering::Relaxed) > 50 * (round + 1)).then_some(()));
            run("kill", ["-s", "KILL", &server.pid().to_string()]);
            ends.store(true, Ordering::Relaxed);
        });
        drop(server);
        let file = folder.file(LOG);
        let (code, text) = verify(&[&file], &[]);
        assert_eq!(code, 0, "{text}");
        let text = fs::read_to_string(&file).unwrap();
        let whole = text
            .split_inclusive('\n')
            .filter(|line| line.ends_with('\n') && line.contains("\"Get\""))
            .count();
        if round % 2 == 0 {
            let answered = answers.load(Ordering::Relaxed);
            assert!(whole - told_all >= answered, "{answered} answers left, {} lines last", whole - told_all);
        }
        told_all = whole;
    }
}

/// A server whose log is on a disk of its own, of this size.
fn on_small_disk(folder: &Scratch, more: &[&str]) -> Option<(Mounts, Server)> {
    let disk = folder.file("disk");
    fs::create_dir(&disk).unwrap();
    let mounts = Mounts::new(&["-t", "tmpfs", "-o", "size=256k,mode=777", "none", &disk])?;
    let key = folder.file("key");
    fs::write(&key, "the key of this test's log").unwrap();
    let log = format!("{disk}/{LOG}");
    let command = keyway(&[&["--audit-log", &log, "--audit-key-file", &key], more].concat());
    let server = Server::spawn(folder.path(), mounts.within(&command));
    Some((mounts, server))
}

fn within(mounts: &Mounts, script: &str) -> String {
    let mut command = Command::new("sh");
    command.args(["-c", script]);
    let output = mounts.within(&command).output().unwrap();
    String::from_utf8([output.stdout, output.stderr].concat()).unwrap()
}

#[test]
fn a_full_disk_is_told_and_recovered_from() {
    let folder = Scratch::new();
    let Some((mounts, server)) = on_small_disk(&folder, &[]) else { return skipped("a small disk") };
    let mut client = Client::connect(server.port);
    let fill =
        format!("cd '{}'; dd if=/dev/zero of=filler bs=1k count=1000 2>/dev/null; true", folder.file("disk"));
    within(&mounts, &fill);
    for _ in 0..20 {
        assert_eq!(client.post("/kmip/2_1", CREATE).0, 200, "it is not required");
    }
    server.wait_for_log("the audit log cannot be written");
    let (status, health) = client.get("/health");
    assert_eq!(status, 200);
    assert!(health.contains(r#""audit":{"status":"DOWN","reason":"No space left"#), "{health}");
    within(&mounts, &format!("rm '{}/filler'", folder.file("disk")));
    server.wait_for_log("the audit log is written again; 0 lines were lost");
    assert!(client.get("/health").1.contains(r#""audit":{"status":"UP"}"#));
    assert_eq!(server.log().matches("the audit log cannot be written").count(), 1);
    let file = format!("{}/{LOG}", folder.file("disk"));
    let copied = within(&mounts, &format!("cat '{file}'"));
    assert_eq!(copied.matches("\"operation\":\"Create\"").count(), 20);
    let copy = folder.file("copy");
    fs::write(&copy, copied).unwrap();
    assert_eq!(verify(&[&copy], &["--audit-key-file", &folder.file("key")]).0, 0);
}

#[test]
fn where_it_is_required_nothing_is_done_while_it_cannot_be_written() {
    let folder = Scratch::new();
    let Some((mounts, server)) = on_small_disk(&folder, &["--audit-required"]) else {
        return skipped("a small disk");
    };
    let mut client = Client::connect(server.port);
    assert_eq!(client.post("/kmip/2_1", CREATE).0, 200);
    let disk = folder.file("disk");
    within(&mounts, &format!("cd '{disk}'; dd if=/dev/zero of=filler bs=1k count=1000 2>/dev/null; true"));
    // What is left of the last page of the log may take some lines still.
    let refused = "The audit log cannot be written: try again later";
    let text = wait_for("a refusal", || {
        let (status, text) = client.post("/kmip/2_1", &on("Get", "nosuch"));
        (status == 503).then_some(text)
    });
    assert_eq!(text, refused);
    let mut client = Client::connect(server.port);
    assert_eq!(client.post("/kmip/2_1", CREATE), (503, refused.to_owned()), "and the connection lives on");
    assert_eq!(client.get("/access/owned"), (503, refused.to_owned()));
    assert_eq!(client.get("/version").0, 200);
    let (status, health) = client.get("/health");
    assert!(status == 503 && health.contains("the audit log cannot be written, and is required"), "{health}");
    within(&mounts, &format!("rm '{disk}/filler'"));
    let owned = wait_for("recovery", || {
        let (status, text) = client.get("/access/owned");
        (status == 200).then_some(text)
    });
    assert_eq!(owned.matches("object_id").count(), 1, "what was refused was not done: {owned}");
    let copy = folder.file("copy");
    fs::write(&copy, within(&mounts, &format!("cat '{disk}/{LOG}'"))).unwrap();
    let told = told(&lines(&copy));
    assert!(told.iter().any(|line| line == "Unknown 503 Failed Server_Limit_Exceeded"), "{told:#?}");
    assert_eq!(verify(&[&copy], &["--audit-key-file", &folder.file("key")]).0, 0);
    assert!(Path::new(&copy).exists());
}

#[test]
fn a_required_line_is_there_when_its_answer_is() {
    let folder = Scratch::new();
    let server = server(&folder, &["--audit-required"]);
    let mut client = Client::connect(server.port);
    for count in 1..=20 {
        let (status, answer) = client.post("/kmip/2_1", CREATE);
        assert_eq!(status, 200);
        let uid = value_of("UniqueIdentifier", &answer);
        let lines = lines(&folder.file(LOG));
        assert!(lines.last().unwrap().contains(&format!("\"objects\":[\"{uid}\"]")), "{lines:#?}");
        assert_eq!(told(&lines).len(), count);
    }
    // Pipelined requests keep their order.
    let get = on("Get", "nosuch");
    let one = format!("POST /kmip/2_1 HTTP/1.1\r\nhost: l\r\ncontent-length: {}\r\n\r\n{get}", get.len());
    let three = format!("{one}GET /version HTTP/1.1\r\nhost: l\r\n\r\n{one}");
    let statuses =
        [client.send(three.as_bytes()).unwrap().0, client.send(b"").unwrap().0, client.send(b"").unwrap().0];
    assert_eq!(statuses, [422, 200, 422]);
    assert_eq!(server.terminate().code(), Some(0));
    let file = folder.file(LOG);
    assert_eq!(verify(&[&file], &[]).0, 0);
}

#[test]
fn standard_output_is_as_good_as_a_file() {
    let folder = Scratch::new();
    let key = folder.file("key");
    fs::write(&key, "the key of this test's log").unwrap();
    let mut server = Server::start(folder.path(), &["--audit-log=stdout", "--audit-key-file", &key]);
    Client::connect(server.port).post("/kmip/2_1", CREATE);
    server.signal("TERM");
    let collected = folder.file("collected");
    fs::write(&collected, server.rest_of_stdout()).unwrap();
    assert_eq!(server.wait().code(), Some(0));
    assert_eq!(told(&lines(&collected)).len(), 1);
    let whole = "verified: lines 1 to 3; the server has ended in order after them\n";
    assert_eq!(verify(&[&collected], &["--audit-key-file", &key]), (0, whole.into()));
}
