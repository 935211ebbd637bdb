//! Lists of many lengths, and who sees what of them.
#![forbid(unsafe_code)]

use super::*;
use crate::crypto::material::Material;
use crate::kms::rights::Rights;
use crate::kms::state::State;
use crate::kms::terms;
use crate::kms::view::Change;
use crate::store::redb::RedbStore;
use crate::store::rows::Engine;
use crate::store::rows::Key;
use crate::store::{Store, Transaction};
use crate::wire::ttlv::Encoded;
use ::redb::backends::InMemoryBackend;
use std::ops::ControlFlow;

const COUNT: usize = 2_000;

/// The tags of a number: all have one, and some more what divides it.
fn tags(number: usize) -> Vec<String> {
    let divides = |divisor: &usize| number.is_multiple_of(*divisor);
    let divisors = [2, 3, 500].into_iter().filter(divides).map(|divisor| divisor.to_string());
    divisors.chain(["all".to_owned()]).collect()
}

/// Objects with their numbers as names: every tenth is bob's, the others are alice's.
fn store() -> RedbStore {
    let store = RedbStore::with_backend(InMemoryBackend::new()).unwrap();
    let object = |number: usize| Object {
        uid: number.to_string(),
        owner: if number.is_multiple_of(10) { "bob" } else { "alice" }.to_owned(),
        object_type: 2,
        state: State::Active,
        key_format: 1,
        algorithm: 3,
        length_bits: 256,
        usage_mask: 12,
        material: Material::none(),
        attributes: Encoded::default(),
        parts: Encoded::default(),
        tags: tags(number),
    };
    let insert = |transaction: &mut dyn Transaction| {
        transaction.apply((0..COUNT).map(|number| Change::Insert(object(number))).collect())
    };
    Store::transact(&store, &mut { insert }).unwrap();
    store
}

fn grant(store: &RedbStore, numbers: impl Iterator<Item = usize>, user: &str) {
    let grant =
        |number: usize| Change::Grant { uid: number.to_string(), user: user.to_owned(), rights: Rights::GET };
    let changes = numbers.map(grant).collect::<Vec<_>>();
    let mut changes = Some(changes);
    Store::transact(store, &mut |transaction| transaction.apply(changes.take().unwrap())).unwrap();
}

/// The numbers that a user finds, and how that ended.
fn found(
    store: &RedbStore,
    tags: &[&str],
    user: &str,
    bounds: Bounds,
    most: usize,
) -> (Vec<usize>, SearchEnd) {
    let terms: Vec<_> = tags.iter().map(|tag| terms::of_tag(tag)).collect();
    let search = Search { terms: &terms, owner: user, users: &[user, "*"] };
    let rows = Engine::read(store).unwrap();
    let mut found = Vec::new();
    let ended = run(&*rows, &search, bounds, &mut |object| {
        found.push(object.uid.parse().unwrap());
        Ok(if found.len() == most { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    });
    (found, ended.unwrap())
}

#[test]
fn what_is_on_all_lists_is_found_in_order() {
    let store = store();
    grant(&store, [30, 36, 1500].into_iter(), "alice");
    grant(&store, [0, 36, 90].into_iter(), "*");
    for (user, sees) in [
        (
            "alice",
            Box::new(|n: usize| !n.is_multiple_of(10) || [0, 30, 36, 90, 1500].contains(&n))
                as Box<dyn Fn(usize) -> bool>,
        ),
        ("bob", Box::new(|n: usize| n.is_multiple_of(10) || n == 36)),
        ("carol", Box::new(|n: usize| [0, 36, 90].contains(&n))),
    ] {
        for wanted in [
            &["all"][..],
            &[],
            &["2"],
            &["2", "3"],
            &["3", "2", "all"],
            &["500", "all"],
            &["all", "3", "500"],
            &["2", "2"],
            &["none"],
            &["all", "none"],
        ] {
            let has_all = |n: &usize| wanted.iter().all(|tag| tags(*n).iter().any(|has| has == tag));
            let expected: Vec<usize> = (0..COUNT).filter(|n| sees(*n)).filter(has_all).collect();
            let (all, ended) = found(&store, wanted, user, Bounds::default(), usize::MAX);
            assert_eq!((all, ended), (expected.clone(), SearchEnd::Complete), "{user} {wanted:?}");
            let (some, ended) = found(&store, wanted, user, Bounds::default(), 3);
            assert_eq!(some, expected[..expected.len().min(3)]);
            assert_eq!(ended == SearchEnd::Stopped, expected.len() >= 3);
        }
    }
}

#[test]
fn who_was_granted_much_finds_it_by_its_terms() {
    let store = store();
    grant(&store, 0..GRANTS_MAX + 1, "carol");
    let (all, ended) = found(&store, &["2", "3"], "carol", Bounds::default(), usize::MAX);
    assert_eq!(ended, SearchEnd::Complete);
    assert_eq!(all, (0..=GRANTS_MAX).filter(|n| n % 6 == 0).collect::<Vec<_>>());
    let (all, ended) = found(&store, &[], "carol", Bounds::default(), usize::MAX);
    assert_eq!((all.len(), ended), (GRANTS_MAX + 1, SearchEnd::Complete));
}

#[test]
fn a_search_ends_at_its_bounds() {
    let store = store();
    let bounds = |rows, objects| Bounds { rows, objects };
    let (some, ended) = found(&store, &[], "bob", bounds(usize::MAX, 50), usize::MAX);
    assert_eq!((some.len(), ended), (50, SearchEnd::TooMuch));
    let (some, ended) = found(&store, &[], "bob", bounds(usize::MAX, 200), usize::MAX);
    assert_eq!((some.len(), ended), (200, SearchEnd::Complete));
    let (some, ended) = found(&store, &["2", "3"], "alice", bounds(100, 100), usize::MAX);
    assert!(some.len() < 50 && ended == SearchEnd::TooMuch, "{some:?}");
    assert_eq!(found(&store, &["2", "3"], "alice", bounds(100, 100), 2).1, SearchEnd::Stopped);
    grant(&store, 0..9, "carol");
    assert_eq!(found(&store, &[], "carol", bounds(100, 8), usize::MAX).1, SearchEnd::TooMuch);
}

/// Wherever its rows end: at a list's beginning, in the middle of a page or at the last row.
#[test]
fn a_search_that_is_cut_says_so() {
    let store = store();
    grant(&store, [10, 990, 1990].into_iter(), "alice");
    for wanted in [&["all"][..], &["all", "500"], &["3", "all"], &[]] {
        let (all, ended) = found(&store, wanted, "alice", Bounds::default(), usize::MAX);
        assert_eq!(ended, SearchEnd::Complete);
        for rows in (0..100).chain((100..5_000).step_by(37)) {
            let bounds = Bounds { rows, ..Bounds::default() };
            let (some, ended) = found(&store, wanted, "alice", bounds, usize::MAX);
            assert!(some == all || ended == SearchEnd::TooMuch, "{wanted:?} in {rows} rows: {}", some.len());
        }
    }
}

/// Where reads are not of one commit, a list may still name an object that was removed, and whose identifier another has.
#[test]
fn an_identifier_that_another_object_has_by_now_is_passed_over() {
    let store = store();
    let (term, sequence) = (terms::of_tag("500"), 9_999_u64.to_be_bytes());
    let named = Key::new(Table::Tags, &term, &sequence);
    let find = || found(&store, &["500"], "alice", Bounds::default(), usize::MAX);
    for uid in ["7", "gone"] {
        Engine::transact(&store, &mut |rows| rows.put(named, uid.as_bytes())).unwrap();
        assert_eq!(find(), (vec![], SearchEnd::Complete), "{uid}");
    }
}

/// Few rows are read of a long list beside a short one.
#[test]
fn a_long_list_is_leapt_through() {
    let store = store();
    let bounds = Bounds { rows: 12 * PAGE_MIN, objects: 4 };
    let (all, ended) = found(&store, &["all", "500"], "bob", bounds, usize::MAX);
    assert_eq!((all, ended), (vec![0, 500, 1000, 1500], SearchEnd::Complete));
}
