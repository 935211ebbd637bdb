//! Who is let in where, and who may do what: every cell of `tests/access/table.txt`, asked of servers over sockets.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod access;
mod support;

use access::doors::{COLUMNS, Doors};
use access::kms::{GONE, Kms, OWNER, SEEN, STRANGER, TAG, difference};
use access::requests::{Spelling, key, operation_of, request};
use access::{Answer, BINARY, JSON, assert_all_hold, http, rights, rows};
use keyway::kms::operation::{Effect, Request};
use std::collections::BTreeSet;
use std::path::Path;
use support::requests::{on, structure};

/// The bodies that the rows name, and their type.
fn body(name: &str) -> (&'static str, Vec<u8>) {
    let attributes = |uid| structure("GetAttributes", &[on(uid)]);
    let grant = |uid| format!(r#"{{"unique_identifier":"{uid}","user_id":"bob","operation_types":["get"]}}"#);
    match name {
        "-" => (JSON, Vec::new()),
        "v4" => (JSON, Spelling::V4.write(&attributes("kept")).1),
        "v5" => (JSON, attributes("kept").into()),
        "v4-gone" => (JSON, Spelling::V4.write(&attributes("gone")).1),
        "v5-gone" => (JSON, attributes("gone").into()),
        "message" => (JSON, Spelling::Message.write(&attributes("kept")).1),
        "binary" => (BINARY, Spelling::Binary.write(&attributes("kept")).1),
        "on-kept" => (JSON, grant("kept").into()),
        "on-gone" => (JSON, grant("gone").into()),
        other => panic!("{other} is no body"),
    }
}

#[test]
fn every_route_is_open_to_whom_the_table_says() {
    let doors = Doors::open();
    for door in ["none", "cert", "token", "both"] {
        let made = doors.ask((door, "ok"), |token| {
            http("POST", "/kmip/2_1", token, JSON, key("kept", true, "00").as_bytes())
        });
        assert_eq!(made.unwrap().status, 200, "{door}");
    }
    let mut faults = Vec::new();
    for (row, columns) in rows("routes") {
        let [method, path, name] = columns[..3] else { panic!("{row}") };
        let (cells, beginning) = columns[3..].split_at(COLUMNS.len());
        let (content_type, body) = body(name);
        for (column, cell) in COLUMNS.into_iter().zip(cells) {
            let answer = doors.ask(column, |token| http(method, path, token, content_type, &body));
            let told = match &answer {
                None => "-".to_owned(),
                Some(Answer { status: 401, body, .. }) if body.is_empty() => "401.".to_owned(),
                Some(answer) => answer.status.to_string(),
            };
            let body = answer.as_ref().map(Answer::text).unwrap_or_default();
            let begins = column.1 != "ok" || body.starts_with(&beginning.join(" ").replace("B{", "B\0{"));
            if told != **cell || !begins {
                faults.push(format!("{row}\n    {column:?}: {told} {body}"));
            }
        }
    }
    assert_all_hold(&faults);
}

#[test]
fn no_route_is_missing_in_the_table() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/server/routes.rs");
    let source = std::fs::read_to_string(source).unwrap();
    let (_, of) = source.split_once("pub fn of(method: Method").unwrap();
    let (of, _) = of.split_once("fn of_bootstrap").unwrap();
    let known: Vec<&str> = of.split('"').skip(1).step_by(2).filter(|text| text.starts_with('/')).collect();
    assert!(known.contains(&"/kmip/2_1"), "{known:?}");
    let listed: Vec<&str> = rows("routes").iter().map(|(_, columns)| columns[1]).collect();
    for path in known {
        let is_listed = listed.iter().any(|row| *row == path || path.ends_with('/') && row.starts_with(path));
        assert!(is_listed, "{path} has no row in tests/access/table.txt");
    }
}

/// The grants that the cells name: each of them, of several rights together, is enough.
fn alternatives(cells: &[&'static str]) -> Vec<Vec<&'static str>> {
    match cells {
        ["none"] => vec![],
        ["any"] => rights().into_iter().map(|right| vec![right]).collect(),
        named => named.iter().map(|grant| grant.split('&').collect()).collect(),
    }
}

#[test]
fn every_operation_is_done_for_whom_the_table_says_and_hidden_from_all_others() {
    let mut kms = Kms::start(&[]);
    let everybodys: Vec<(&str, String)> =
        rights().into_iter().enumerate().map(|(at, right)| (right, format!("all-{at:02}"))).collect();
    for (right, uid) in &everybodys {
        kms.grant(&format!("by-{right}"), Some(SEEN), &[right]);
        kms.done(OWNER, &key(uid, true, "00"));
        kms.grant("*", Some(uid), &[right]);
    }
    let mut faults = Vec::new();
    for (row, columns) in rows("operations") {
        let operation = columns[0];
        let changes = Request::effect_of(operation_of(operation)) == Some(Effect::Writes);
        for spelling in Spelling::ALL {
            let mut fault = |who: &str, told: String| {
                faults.push(format!("{row}\n    {spelling:?}, {who}: {told}"));
            };
            if columns[1..] == ["-"] {
                for user in [OWNER, STRANGER] {
                    if let Err(answer) = kms.try_to(user, spelling, operation, GONE) {
                        fault(user, answer.text());
                    }
                }
                continue;
            }
            let alternatives = alternatives(&columns[1..]);
            for named in [SEEN, TAG] {
                if let Some(told) = kms.shows(STRANGER, spelling, operation, named) {
                    fault("a stranger is shown", told);
                }
            }
            for (right, uid) in everybodys.iter().filter(|(right, _)| !alternatives.contains(&vec![right])) {
                for (user, uid) in [(format!("by-{right}").as_str(), SEEN), (STRANGER, uid)] {
                    if let Some(told) = kms.shows(user, spelling, operation, uid) {
                        fault(&format!("{user} with {right} is shown"), told);
                    }
                }
            }
            let uid = kms.object_for(operation);
            if let Err(answer) = kms.try_to(OWNER, spelling, operation, &uid) {
                fault("the owner", answer.text());
            }
            for grant in &alternatives {
                for to in ["friend", "*"] {
                    let is_there = |(right, _): &&(&str, String)| !changes && grant[..] == [*right];
                    let (user, uid) = match everybodys.iter().find(is_there) {
                        Some((right, _)) if to != "*" => (format!("by-{right}"), SEEN.to_owned()),
                        Some((_, uid)) => (STRANGER.to_owned(), uid.clone()),
                        None => {
                            let uid = kms.object_for(operation);
                            kms.grant(to, Some(&uid), grant);
                            ("friend".to_owned(), uid)
                        }
                    };
                    if let Err(answer) = kms.try_to(&user, spelling, operation, &uid) {
                        fault(&format!("{to} with {grant:?}"), answer.text());
                    }
                }
            }
        }
    }
    assert_all_hold(&faults);
}

#[test]
fn no_operation_is_missing_in_the_table() {
    let mut kms = Kms::start(&[]);
    let answer = kms.done(STRANGER, &request("Query", "", "", &[]));
    let told: BTreeSet<&str> = answer
        .split(r#"{"tag":"Operation","type":"Enumeration","value":""#)
        .skip(1)
        .map(|rest| rest.split('"').next().unwrap())
        .collect();
    let listed: BTreeSet<&str> =
        rows("operations").iter().map(|(_, columns)| operation_of(columns[0])).collect();
    assert_eq!(listed, told, "the operations of tests/access/table.txt, and what Query tells");
    assert_eq!(listed, Request::NAMES.iter().copied().collect());
}

#[test]
fn grants_are_shown_to_the_owner_alone() {
    let mut kms = Kms::start(&[]);
    kms.grant("friend", Some(SEEN), &rights());
    let mut faults = Vec::new();
    for (row, columns) in rows("grants") {
        for (user, cell) in [OWNER, "friend", STRANGER].into_iter().zip(&columns[2..]) {
            let [about, gone] = [SEEN, GONE].map(|uid| {
                let body =
                    format!(r#"{{"unique_identifier":"{uid}","user_id":"x","operation_types":["get"]}}"#);
                let (path, body) = match columns[0] {
                    "GET" => (format!("{}{uid}", columns[1]), ""),
                    _ => (columns[1].to_owned(), body.as_str()),
                };
                kms.send(user, (columns[0], &path), JSON, body.as_bytes())
            });
            let shown = difference(&about, &gone, SEEN, Spelling::V5);
            if (about.status == 200, shown.is_some()) != (*cell == "yes", *cell == "yes") {
                faults.push(format!("{row}\n    {user}: {} {}", about.status, about.text()));
            }
        }
    }
    assert_all_hold(&faults);
}

#[test]
fn an_identifier_that_is_taken_stays_its_owners() {
    let mut kms = Kms::start(&[]);
    let mut faults = Vec::new();
    for (row, columns) in rows("taken") {
        for (user, cell) in [OWNER, "friend", STRANGER].into_iter().zip(&columns[1..]) {
            let uid = kms.object_for(columns[0]);
            kms.grant("friend", Some(&uid), &rights());
            let own = kms.new_uid();
            kms.done(user, &key(&own, true, "02"));
            let before = kms.done(OWNER, &request("Get", &uid, "", &[]));
            let answer = kms.ask(user, Spelling::V5, &request(columns[0], &own, &uid, &[]));
            let is_same = kms.done(OWNER, &request("Get", &uid, "", &[])) == before;
            let told = match (answer.status, is_same) {
                (422, true) if answer.text().ends_with("one or more objects already exist") => "taken",
                (200, false) => "replaces",
                _ => "?",
            };
            if told != *cell {
                faults.push(format!("{row}\n    {user}: {told} {}", answer.text()));
            }
        }
    }
    assert_all_hold(&faults);
}

#[test]
fn privileged_users_say_who_makes_objects() {
    let mut kms = Kms::start(&["--privileged-users", OWNER]);
    kms.grant("named", None, &["create"]);
    let (makers, mut faults) = (rows("makers"), Vec::new());
    let mut ask = |kms: &mut Kms, row: &str, user: &str, operation: &str, may_make: bool| {
        for spelling in Spelling::ALL {
            let uid = kms.object_for(operation);
            kms.grant("*", Some(&uid), &rights());
            let told = kms.try_to(user, spelling, operation, &uid).map_err(|answer| answer.text());
            let is_denied =
                matches!(&told, Err(told) if told.contains("User does not have create access-right."));
            if may_make != told.is_ok() || !may_make && !is_denied {
                faults.push(format!("{row}\n    {spelling:?}, {user}: {told:?}"));
            }
        }
    };
    for (row, columns) in &makers {
        for (user, cell) in [OWNER, "ordinary", "named"].into_iter().zip(&columns[1..]) {
            ask(&mut kms, row, user, columns[0], *cell == "yes");
        }
    }
    for (row, columns) in rows("operations") {
        if !makers.iter().any(|(_, maker)| maker[0] == operation_of(columns[0])) {
            ask(&mut kms, row, "ordinary", columns[0], true);
        }
    }
    kms.grant("*", None, &["create"]);
    for (row, columns) in &makers {
        ask(&mut kms, row, "ordinary", columns[0], columns[4] == "yes");
    }
    assert_all_hold(&faults);
}
