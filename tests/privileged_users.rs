//! Where only some may make objects: who they are, and how they let others.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod support;

use support::issuer::{Key, KeyServer, claims, key_set};
use support::{CREATE, Client, Scratch, Server, keyway, keyway_fails, on, run, value_of, wait_for};

/// A request of 5.28 that imports an AES-256 key.
const IMPORT: &str = r#"{"tag":"Import","value":[{"tag":"UniqueIdentifier","type":"TextString","value":"imported"},{"tag":"ObjectType","type":"Enumeration","value":"SymmetricKey"},{"tag":"Attributes","value":[]},{"tag":"SymmetricKey","value":[{"tag":"KeyBlock","value":[{"tag":"KeyFormatType","type":"Enumeration","value":"Raw"},{"tag":"KeyValue","value":[{"tag":"KeyMaterial","type":"ByteString","value":"000102030405060708090A0B0C0D0E0F101112131415161718191A1B1C1D1E1F"}]},{"tag":"CryptographicAlgorithm","type":"Enumeration","value":"AES"},{"tag":"CryptographicLength","type":"Integer","value":256}]}]}]}"#;
const DENIED: &str = "Access denied: User does not have create access-right.";

struct Users {
    key: Key,
    issuer: KeyServer,
}

impl Users {
    fn new() -> Users {
        let key = Key::new("k", "EdDSA");
        let issuer = KeyServer::new(key_set(&[&key.jwk("")]));
        Users { key, issuer }
    }

    fn serve(&self, scratch: &Scratch, more: &[&str]) -> Server {
        let issuer = self.issuer.issuer();
        let options = ["--jwt-issuer-uri", &issuer, "--jwt-audience", "kms"];
        let server = Server::start(scratch.path(), &[&options[..], more].concat());
        wait_for("the keys", || (Client::connect(server.port).get("/health/ready").0 == 200).then_some(()));
        server
    }

    fn ask(&self, server: &Server, user: &str, method: &str, path: &str, body: &str) -> (u16, String) {
        let token = self.key.sign(&claims(&self.issuer.issuer(), user));
        let length = body.len();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: kms\r\nAuthorization: Bearer {token}\r\nContent-Length: {length}\r\n\r\n"
        );
        Client::connect(server.port).send(format!("{head}{body}").as_bytes()).unwrap()
    }
}

#[test]
fn they_alone_make_objects_and_let_others() {
    let (users, scratch) = (Users::new(), Scratch::new());
    let server = users.serve(&scratch, &["--privileged-users", "ann", "--privileged-users", "abe"]);
    let post = |user: &str, path: &str, body: &str| users.ask(&server, user, "POST", path, body);
    let kmip = |user: &str, body: &str| post(user, "/kmip/2_1", body);
    let get = |user: &str, path: &str| users.ask(&server, user, "GET", path, "").1;
    let may = |user: &str| get(user, "/access/create");
    let (yes, no) = (r#"{"has_create_permission":true}"#, r#"{"has_create_permission":false}"#);

    for user in ["ann", "abe"] {
        assert_eq!(get(user, "/access/privileged"), r#"{"has_privileged_access":true}"#);
        assert_eq!(may(user), yes);
    }
    let uid = value_of("UniqueIdentifier", &kmip("ann", CREATE).1);
    assert_eq!(get("bob", "/access/privileged"), r#"{"has_privileged_access":false}"#);
    assert_eq!(may("bob"), no);
    assert_eq!(kmip("bob", CREATE), (401, DENIED.into()));
    assert_eq!(kmip("bob", IMPORT), (401, DENIED.into()));

    // A right on an object is no right to make others.
    let grant = |user: &str, uid: &str, operations: &str| {
        format!(r#"{{{uid}"user_id":"{user}","operation_types":[{operations}]}}"#)
    };
    let on_key = grant("bob", &format!(r#""unique_identifier":"{uid}","#), r#""create","get""#);
    assert_eq!(post("ann", "/access/grant", &on_key).0, 200);
    assert_eq!(kmip("bob", &on("Get", &uid)).0, 200);
    assert_eq!(may("bob"), no);

    let (create, everybody) = (grant("bob", "", r#""create""#), grant("*", "", r#""create""#));
    let refused = post("bob", "/access/grant", &create);
    assert_eq!(refused, (401, "Access denied: only privileged users say who may create objects".into()));
    assert_eq!(post("ann", "/access/grant", &grant("bob", "", r#""create","get""#)).0, 422);
    let granted = post("ann", "/access/grant", &create);
    assert_eq!(granted, (200, r#"{"success":"Access for bob successfully added"}"#.into()));
    assert_eq!(may("bob"), yes);
    assert_eq!(kmip("bob", CREATE).0, 200);
    assert_eq!(kmip("bob", IMPORT).0, 200);
    assert_eq!(kmip("carol", CREATE), (401, DENIED.into()));
    // Who may make objects says not who else may.
    assert_eq!(post("bob", "/access/grant", &grant("carol", "", r#""create""#)).0, 401);
    assert!(!get("bob", "/access/obtained").contains(r#""object_id":"""#));

    assert_eq!(post("abe", "/access/revoke", &create).0, 200);
    assert_eq!(kmip("bob", CREATE), (401, DENIED.into()));
    assert_eq!(post("abe", "/access/grant", &everybody).0, 200);
    assert_eq!(kmip("carol", CREATE).0, 200);

    // The right lasts, and the database is still as it should be.
    assert_eq!(server.terminate().code(), Some(0));
    let data = scratch.file("data");
    let told = keyway(&["check", "--root-data-path", &data]).output().unwrap();
    assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stdout));
    let server = users.serve(&scratch, &["--privileged-users", "ann"]);
    assert_eq!(users.ask(&server, "carol", "POST", "/kmip/2_1", CREATE).0, 200);
    assert_eq!(
        users.ask(&server, "abe", "POST", "/access/revoke", &everybody).0,
        401,
        "no longer one of them"
    );
    assert_eq!(users.ask(&server, "ann", "POST", "/access/revoke", &everybody).0, 200);
    assert_eq!(users.ask(&server, "carol", "POST", "/kmip/2_1", CREATE).0, 401);
}

#[test]
fn without_them_everybody_may() {
    let scratch = Scratch::new();
    let server = Server::start(scratch.path(), &[]);
    let get = |path: &str| run("curl", ["-sS", &server.url(path)]);
    assert_eq!(get("/access/create"), r#"{"has_create_permission":true}"#);
    assert_eq!(get("/access/privileged"), r#"{"has_privileged_access":false}"#);
    let create = r#"{"user_id":"bob","operation_types":["create"]}"#;
    assert_eq!(Client::connect(server.port).post("/access/grant", create).0, 200);
    assert_eq!(Client::connect(server.port).post("/access/revoke", create).0, 422);
}

#[test]
fn the_default_user_is_one_of_them_only_by_name() {
    let scratch = Scratch::new();
    let server = Server::start(scratch.path(), &["--privileged-users", "root"]);
    assert_eq!(Client::connect(server.port).post("/kmip/2_1", CREATE), (401, DENIED.into()));
    for names in ["", "a,,b", "*"] {
        let (code, told) = keyway_fails(&["--privileged-users", names]);
        assert!(code == 2 && told.contains("must be names of users, 256 at most"), "{told}");
    }
}
