//! A database that is sealed with a master secret, through the whole program.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use support::{CREATE, Client, Scratch, Server, keyway, keyway_fails, on, value_of};

const UID: &str = "a-name-to-search-for";

/// A key with this name, which stands in the file as it is where nothing is sealed.
fn create(server: &Server) {
    let named = r#""value":[{"tag":"UniqueIdentifier","type":"TextString","value":"a-name-to-search-for"},"#;
    let request = CREATE.replacen(r#""tag":"Attributes","type":"Structure","value":["#, "ATTRIBUTES", 1);
    let request = request.replace("ATTRIBUTES", &format!(r#""tag":"Attributes","type":"Structure",{named}"#));
    let (status, answer) = Client::connect(server.port).post("/kmip/2_1", &request);
    assert_eq!((status, value_of("UniqueIdentifier", &answer).as_str()), (200, UID), "{answer}");
}

fn get(server: &Server) -> u16 {
    Client::connect(server.port).post("/kmip/2_1", &on("Get", UID)).0
}

fn shows_the_name(folder: &Path) -> bool {
    let file = fs::read(folder.join("data/sqlite-data/keyway.redb")).unwrap();
    file.windows(UID.len()).any(|part| part == UID.as_bytes())
}

#[test]
fn a_master_password_seals_the_database() {
    let scratch = Scratch::new();
    let (password, wrong) = (scratch.file("password"), scratch.file("wrong"));
    fs::write(&password, "correct horse\n").unwrap();
    fs::write(&wrong, "wrong horse\n").unwrap();
    let server = Server::start(scratch.path(), &["--master-password-file", &password]);
    create(&server);
    assert_eq!(server.terminate().code(), Some(0));
    assert!(!shows_the_name(scratch.path()));

    let server = Server::start(scratch.path(), &["--master-password-file", &password]);
    assert_eq!(get(&server), 200);
    assert_eq!(server.terminate().code(), Some(0));

    let data = scratch.path().join("data").to_str().unwrap().to_owned();
    let start = |more: &[&str]| keyway_fails(&[&["--port", "0", "--root-data-path", &data], more].concat());
    let (code, told) = start(&[]);
    assert_eq!(code, 3);
    assert!(told.ends_with("it is sealed: give its master secret (--master-password-file)\n"), "{told}");
    let (code, told) = start(&["--master-password-file", &wrong]);
    assert_eq!(code, 3);
    assert!(told.ends_with("the master secret is not the one that it was sealed with\n"), "{told}");

    let plain = Scratch::new();
    let server = Server::start(plain.path(), &[]);
    create(&server);
    assert_eq!(server.terminate().code(), Some(0));
    assert!(shows_the_name(plain.path()), "what is searched for would be found");
}

#[test]
fn a_key_from_the_platform_seals_the_database() {
    let scratch = Scratch::new();
    let (key, other) = (scratch.file("key"), scratch.file("other"));
    fs::write(&key, [7; 32]).unwrap();
    fs::write(&other, [8; 32]).unwrap();
    for file in [&key, &other] {
        fs::set_permissions(file, fs::Permissions::from_mode(0o600)).unwrap();
    }
    let by = |key: &str| ["--master-use-tee-key".to_owned(), "a1b2".to_owned(), format!("--tee=file:{key}")];
    let (given, wrong) = (by(&key), by(&other));
    let server = Server::start(scratch.path(), &given.each_ref().map(String::as_str));
    create(&server);
    assert_eq!(server.terminate().code(), Some(0));
    assert!(!shows_the_name(scratch.path()));
    let server = Server::start(scratch.path(), &given.each_ref().map(String::as_str));
    assert_eq!(get(&server), 200);
    drop(server);
    let data = scratch.path().join("data").to_str().unwrap().to_owned();
    let mut arguments = vec!["--port", "0", "--root-data-path", &data];
    arguments.extend(wrong.each_ref().map(String::as_str));
    let (code, told) = keyway_fails(&arguments);
    assert!(code == 3 && told.contains("is not the one that it was sealed with"), "{told}");
}

/// A backup of a sealed database is as sealed as the database, and opens with what that opened with at its time.
#[test]
fn the_master_password_is_changed_without_touching_the_data() {
    let scratch = Scratch::new();
    let [old, new] = ["old", "new"].map(|name| scratch.file(name));
    fs::write(&old, "correct horse\n").unwrap();
    fs::write(&new, "battery staple\n").unwrap();
    let server = Server::start(scratch.path(), &["--master-password-file", &old]);
    create(&server);
    let (data, backup) = (scratch.file("data"), scratch.file("backup"));
    let run_keyway = |args: &[&str]| {
        let output = keyway(&[args, &["--root-data-path", &data]].concat()).output().unwrap();
        let (out, err) = (output.stdout, output.stderr);
        (output.status.code().unwrap(), String::from_utf8([out, err].concat()).unwrap())
    };
    let (code, told) = run_keyway(&["backup", &backup]);
    assert_eq!(code, 0, "{told}");
    let rekey = || run_keyway(&["rekey", "--master-password-file", &old, &new]);
    let (code, told) = rekey();
    assert!(code == 1 && told.contains("already open in another process"), "{told}");
    assert_eq!(server.terminate().code(), Some(0));
    let (code, told) = rekey();
    assert!(code == 0 && told.contains("is sealed with the new password"), "{told}");
    let (code, told) = rekey();
    assert!(code == 1 && told.contains("not the one that it was sealed with"), "{told}");
    let (code, told) = run_keyway(&["rekey", &new]);
    assert!(code == 2 && told.contains("needs what the database is sealed with now"), "{told}");
    let (code, told) = run_keyway(&["check"]);
    assert!(code == 0 && told.contains("1 objects and 0 grants, sealed: "), "{told}");

    let server = Server::start(scratch.path(), &["--master-password-file", &new]);
    assert_eq!(get(&server), 200);
    assert_eq!(server.terminate().code(), Some(0));
    let (code, told) = run_keyway(&["restore", "--clear-database", &backup]);
    assert_eq!(code, 0, "{told}");
    let server = Server::start(scratch.path(), &["--master-password-file", &old]);
    assert_eq!(get(&server), 200);
    assert!(!shows_the_name(scratch.path()));
}

#[test]
fn nothing_is_made_where_there_is_no_database() {
    let scratch = Scratch::new();
    let file = scratch.file("password");
    fs::write(&file, "p").unwrap();
    let data = scratch.file("data");
    let (code, told) =
        keyway_fails(&["rekey", "--root-data-path", &data, "--master-password-file", &file, &file]);
    assert!(code == 1 && told.contains("keyway.redb cannot be used (No such file"), "{told}");
    assert!(!Path::new(&data).exists());
}
