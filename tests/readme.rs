//! The commands of the README and of docs/, as they stand.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod support;

use std::fs;
use std::path::Path;
use support::issuer::{Key, KeyServer, claims, key_set};
use support::{CREATE, Client, Scratch, Server, keyway, on, run, value_of, wait_for};

/// The shell commands below a heading of the README.
fn commands(heading: &str) -> String {
    commands_in("README.md", heading)
}

fn commands_in(file: &str, heading: &str) -> String {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap();
    let section = text.split_once(&format!("\n## {heading}\n")).unwrap().1.split("\n## ").next().unwrap();
    let blocks = section.split("```sh\n").skip(1).map(|block| block.split("```").next().unwrap());
    blocks.collect()
}

/// Each answer begins as it should, and there are no others.
fn assert_begin_with(answers: &[&str], expected: &[&str]) {
    assert_eq!(answers.len(), expected.len(), "{answers:#?}");
    for (answer, beginning) in answers.iter().zip(expected) {
        assert!(answer.starts_with(beginning), "{beginning}\n{answer}");
    }
}

#[test]
fn a_first_key_is_made_used_granted_and_destroyed() {
    let scratch = Scratch::new();
    let server = Server::start(scratch.path(), &[]);
    let commands = commands("A first key");
    assert!(commands.contains("http://localhost:9998"), "{commands}");
    let script = commands.replace("http://localhost:9998", &server.url(""));
    let answers = run("bash", ["-euo", "pipefail", "-c", &script]);
    let answers: Vec<&str> = answers.lines().collect();
    let expected = [
        r#"{"tag":"CreateResponse","#,
        r#"{"tag":"ActivateResponse","#,
        r#"{"tag":"EncryptResponse","#,
        r#"{"tag":"GetResponse","#,
        r#"{"success":"Access for bob successfully added"}"#,
        r#"[{"user_id":"bob","operations":["encrypt"]}]"#,
        r#"[{"object_id":"first","state":"Active","#,
        r#"{"tag":"RevokeResponse","#,
        r#"{"tag":"DestroyResponse","#,
        "\"keyway ",
        r#"{"status":"UP","#,
    ];
    assert_begin_with(&answers, &expected);
}

#[test]
fn a_database_is_sealed_and_gets_another_password() {
    let scratch = Scratch::new();
    let commands = commands_in("docs/databases.md", "Sealing");
    let start = "keyway --master-password-file master-password --sqlite-path \"$PWD/sealed\"\n";
    assert!(commands.contains(start), "{commands}");
    let until_it_serves = format!(
        "{} --port 0 > out & server=$!; until grep -q listening out; do sleep 0.05; done; kill $server; wait $server\n",
        start.trim_end()
    );
    let folder = Path::new(env!("CARGO_BIN_EXE_keyway")).parent().unwrap().to_str().unwrap();
    let script = format!(
        "cd '{}'; PATH='{folder}':$PATH\n{}",
        scratch.path().display(),
        commands.replace(start, &until_it_serves)
    );
    let told = run("bash", ["-euo", "pipefail", "-c", &script]);
    assert!(told.ends_with("is sealed with the new password; old backups need the old one\n"), "{told}");
}

#[test]
fn a_tenant_gets_a_database_and_uses_it() {
    let scratch = Scratch::new();
    let server = Server::start(scratch.path(), &["--database-type=sqlite-enc"]);
    let commands = commands_in("docs/databases.md", "A database for each tenant");
    assert!(commands.contains("http://localhost:9998"), "{commands}");
    let script = commands.replace("http://localhost:9998", &server.url(""));
    let answers = run("bash", ["-euo", "pipefail", "-c", &script]);
    let answers: Vec<&str> = answers.lines().collect();
    let expected = [
        r#"{"tag":"CreateResponse","#,
        r#"[{"object_id":"first","state":"#,
        "[]",
        "Access denied: Missing KmsDatabaseSecret header",
        "Access denied: the KmsDatabaseSecret header opens no database",
    ];
    assert_begin_with(&answers, &expected);
}

#[test]
fn a_backup_is_made_checked_and_restored() {
    let scratch = Scratch::new();
    let server = Server::start(scratch.path(), &[]);
    let created = Client::connect(server.port).post("/kmip/2_1", CREATE).1;
    let folder = Path::new(env!("CARGO_BIN_EXE_keyway")).parent().unwrap().to_str().unwrap();
    let told = |heading: &str| {
        let script = format!(
            "cd '{}'; export KMS_ROOT_DATA_PATH=\"$PWD/data\" PATH='{folder}':\"$PATH\"\n{}",
            scratch.file(""),
            commands_in("docs/backup.md", heading)
        );
        run("bash", ["-euo", "pipefail", "-c", &script])
    };
    let made = told("Backing up");
    assert_eq!(made.matches(": 1 objects and 0 grants").count(), 2, "{made}");
    assert_eq!(server.terminate().code(), Some(0));
    assert!(told("Restoring").contains("keyway.redb: 1 objects and 0 grants were restored\n"));
    let server = Server::start(scratch.path(), &[]);
    let get = on("Get", &value_of("UniqueIdentifier", &created));
    assert_eq!(Client::connect(server.port).post("/kmip/2_1", &get).0, 200);
}

#[test]
fn users_are_known_by_tokens_and_some_of_them_let_others_make_keys() {
    let (key, scratch) = (Key::new("k", "RS256"), Scratch::new());
    let keys = KeyServer::new(key_set(&[&key.jwk("")]));
    let [tokens, privileged] =
        ["Tokens", "Who may make keys"].map(|heading| commands_in("docs/authentication.md", heading));
    let issuer = keys.issuer();
    let options = |commands: &str| -> Vec<String> {
        let line = commands.lines().next().unwrap().strip_prefix("keyway ").unwrap();
        let line = line.replace("https://accounts.google.com", &issuer);
        let line = line.replace(
            "https://www.googleapis.com/oauth2/v3/certs",
            &format!("{issuer}/.well-known/jwks.json"),
        );
        line.split(' ').map(str::to_owned).collect()
    };
    let options = [options(&tokens), options(&privileged)].concat();
    let server = Server::start(scratch.path(), &options.iter().map(String::as_str).collect::<Vec<_>>());
    wait_for("the keys", || (Client::connect(server.port).get("/health/ready").0 == 200).then_some(()));
    let token = |user: &str| key.sign(&claims(&issuer, user).replace(r#""kms""#, r#""cosmian_kms""#));
    let requests = privileged.split_once('\n').unwrap().1.replace("http://localhost:9998", &server.url(""));
    let script = format!("ALICE={} CAROL={}\n{requests}", token("alice"), token("carol"));
    let answers = run("bash", ["-euo", "pipefail", "-c", &script]);
    let expected = [
        r#"{"success":"Access for carol successfully added"}"#,
        r#"{"has_create_permission":true}"#,
        r#"{"has_privileged_access":false}"#,
        r#"{"success":"Access for carol successfully deleted"}"#,
    ];
    assert_begin_with(&answers.lines().collect::<Vec<_>>(), &expected);
}

#[test]
fn a_key_for_encrypted_requests_is_made() {
    let scratch = Scratch::new();
    let commands = commands_in("docs/authentication.md", "Requests that are encrypted in themselves");
    let start = "keyway --jwk-private-key-file jwk.json\n";
    assert!(commands.contains(start), "{commands}");
    let until_it_serves = format!(
        "{} --port 0 --root-data-path \"$PWD\" > out & server=$!; until grep -q listening out; do sleep 0.05; done; \
         kill $server; wait $server\n",
        start.trim_end()
    );
    let folder = Path::new(env!("CARGO_BIN_EXE_keyway")).parent().unwrap().to_str().unwrap();
    let script = format!(
        "cd '{}'; PATH='{folder}':$PATH\n{}",
        scratch.path().display(),
        commands.replace(start, &until_it_serves)
    );
    run("bash", ["-euo", "pipefail", "-c", &script]);
    let public = fs::read_to_string(scratch.file("public.json")).unwrap();
    assert!(public.contains(r#""kid":"1""#) && !public.contains(r#""d""#), "{public}");
}

#[test]
fn the_audit_log_is_verified_and_rotated_and_metrics_are_read() {
    let scratch = Scratch::new();
    let log = scratch.file("audit.log");
    let server = Server::start(scratch.path(), &["--audit-log", &log, "--metrics-address=0"]);
    assert_eq!(Client::connect(server.port).post("/kmip/2_1", CREATE).0, 200);
    wait_for("its line", || fs::read_to_string(&log).unwrap().contains("\"Create\"").then_some(()));
    fs::write(scratch.file("keyway.pid"), server.pid().to_string()).unwrap();
    let folder = Path::new(env!("CARGO_BIN_EXE_keyway")).parent().unwrap().to_str().unwrap();
    let told = |heading: &str| {
        let commands = commands_in("docs/audit.md", heading);
        let metrics = server.log().split_once("metrics are at ").map(|(_, rest)| rest.to_owned()).unwrap();
        let commands = commands.replace("http://localhost:9100/metrics", metrics.lines().next().unwrap());
        let script = format!("cd '{}'; PATH='{folder}':$PATH\n{commands}", scratch.file(""));
        run("bash", ["-euo", "pipefail", "-c", &script])
    };
    assert!(told("Verifying").starts_with("verified"));
    assert!(told("Rotating").starts_with("verified: lines 1 to "));
    assert!(told("Metrics").contains("\nkeyway_http_requests_total{route=\"/kmip/2_1\",status=\"200\"} 1\n"));
}

#[test]
fn the_sandbox_is_on_and_may_only_log() {
    let scratch = Scratch::new();
    let modes = commands_in("docs/sandbox.md", "Modes");
    let mode = modes.trim().strip_prefix("keyway ").unwrap().split(' ').collect::<Vec<_>>();
    let server = Server::start(scratch.path(), &mode);
    server.wait_for_log("--sandbox log (command line)");
    drop(server);
    let server = Server::start(scratch.path(), &[]);
    fs::write(scratch.file("keyway.pid"), server.pid().to_string()).unwrap();
    let look = format!("cd '{}'\n{}", scratch.file(""), commands_in("docs/sandbox.md", "Where it ends"));
    let told = run("bash", ["-euo", "pipefail", "-c", &look]);
    assert!(told.contains("NoNewPrivs:\t1\n") && told.contains("Seccomp:\t2\n"), "{told}");
    server.wait_for_log("files are restricted");
}

#[test]
fn every_option_in_it_exists() {
    let help = String::from_utf8(keyway(&["--help"]).output().unwrap().stdout).unwrap();
    let all = ["Build and run", "HTTPS", "Container"].map(commands).concat();
    // Of a line that runs the program, what follows ` -- ` is ours; of a container's, the line after the image.
    let ours = all.lines().filter_map(|line| {
        let own_line = line.trim_start().starts_with("--").then_some(line);
        line.split_once(" -- ").map(|(_, ours)| ours).or(own_line)
    });
    let mut options = 0;
    for word in ours.flat_map(str::split_whitespace) {
        let Some(option) = word.strip_prefix("--") else { continue };
        let name = option.split('=').next().unwrap();
        let is_there = [" ", ","].iter().any(|end| help.contains(&format!("--{name}{end}")));
        assert!(is_there, "--{name}");
        options += 1;
    }
    assert!(options >= 4, "{options}");
}
