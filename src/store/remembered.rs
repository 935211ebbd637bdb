//! A view that remembers the objects it was asked for. A view never changes, so what was once found in it stays right for
//! as long as it lives; a batch, or a busy key, is looked up, opened and decoded once. That there is none is remembered as
//! well: how soon an answer comes again must not tell what is hidden from what is not there.
#![forbid(unsafe_code)]

use super::StoreError;
use crate::kms::object::Object;
use crate::kms::rights::Rights;
use crate::kms::view::{ObjectWithGrants, Search, SearchEnd, Show, View};
use crate::limits::{REMEMBERED_OBJECT_BYTES_MAX, REMEMBERED_OBJECTS};
use std::cell::RefCell;
use std::sync::Arc;

/// A view with a memory, which is overwritten with it.
pub struct Remembered<V> {
    view: V,
    /// Each has a place, given by its identifier, which it takes from whoever was there.
    places: RefCell<Vec<Option<Place>>>,
}

/// An identifier that was asked for, and what was found.
#[derive(Clone)]
struct Place {
    uid: String,
    object: Option<Arc<Object>>,
    /// What some users were granted on it, where that was found with it.
    granted: Option<(Vec<String>, Rights)>,
}

impl<V: View> Remembered<V> {
    /// A view that has been asked for nothing yet.
    pub fn new(view: V) -> Remembered<V> {
        Remembered { view, places: RefCell::default() }
    }

    /// What is remembered of an identifier, read from its place.
    fn known<T>(&self, uid: &str, read: impl FnOnce(&Place) -> Option<T>) -> Option<T> {
        let places = self.places.borrow();
        places.get(place(uid))?.as_ref().filter(|place| place.uid == uid).and_then(read)
    }

    fn remember(&self, uid: &str, object: &Option<Arc<Object>>, granted: Option<(Vec<String>, Rights)>) {
        let bytes = uid.len() + object.as_ref().map_or(0, |object| object.bytes());
        if bytes <= REMEMBERED_OBJECT_BYTES_MAX {
            let mut places = self.places.borrow_mut();
            places.resize(REMEMBERED_OBJECTS, None);
            places[place(uid)] = Some(Place { uid: uid.to_owned(), object: object.clone(), granted });
        }
    }
}

/// Whoever chooses identifiers that share a place makes others be looked up again, and no more.
fn place(uid: &str) -> usize {
    let mix = |hash: u64, word: u64| (hash.rotate_left(23) ^ word).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let (words, rest) = uid.as_bytes().as_chunks::<8>();
    let mut last = [0; 8];
    last[..rest.len()].copy_from_slice(rest);
    let hash = words.iter().chain([&last]).fold(0, |hash, word| mix(hash, u64::from_le_bytes(*word)));
    (hash >> 32) as usize % REMEMBERED_OBJECTS
}

impl<V: View> View for Remembered<V> {
    fn object(&self, uid: &str) -> Result<Option<Arc<Object>>, StoreError> {
        if let Some(object) = self.known(uid, |place| Some(place.object.clone())) {
            return Ok(object);
        }
        let object = self.view.object(uid)?;
        self.remember(uid, &object, None);
        Ok(object)
    }

    fn object_with_grants(&self, uid: &str, users: &[&str]) -> Result<Option<ObjectWithGrants>, StoreError> {
        let known = self.known(uid, |place| {
            let (of, granted) = place.granted.as_ref()?;
            (of == users).then(|| (place.object.clone(), *granted))
        });
        if known.is_some() {
            return Ok(known);
        }
        let found = self.view.object_with_grants(uid, users)?;
        if let Some((object, granted)) = &found {
            let users = users.iter().map(|user| (*user).to_owned()).collect();
            self.remember(uid, object, Some((users, *granted)));
        }
        Ok(found)
    }

    fn search(&self, search: &Search<'_>, show: &mut Show<'_>) -> Result<SearchEnd, StoreError> {
        self.view.search(search, show)
    }

    fn owned_by(&self, owner: &str, limit: usize) -> Result<Option<Vec<String>>, StoreError> {
        self.view.owned_by(owner, limit)
    }

    fn granted(&self, uid: &str, user: &str) -> Result<Rights, StoreError> {
        self.view.granted(uid, user)
    }

    fn grants_on(&self, uid: &str, limit: usize) -> Result<Option<Vec<(String, Rights)>>, StoreError> {
        self.view.grants_on(uid, limit)
    }

    fn grants_to(&self, user: &str, limit: usize) -> Result<Option<Vec<(String, Rights)>>, StoreError> {
        self.view.grants_to(user, limit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kms::view::Asked;
    use std::cell::Cell;

    /// Each answer is of another commit: the object has another state each time, and more is granted.
    struct Later(Cell<u32>);

    impl View for Later {
        fn object(&self, uid: &str) -> Result<Option<Arc<Object>>, StoreError> {
            self.0.set(self.0.get() + 1);
            Ok(Some(Arc::new(Object { length_bits: self.0.get(), ..Object::example(uid) })))
        }
        fn object_with_grants(&self, uid: &str, _: &[&str]) -> Result<Option<ObjectWithGrants>, StoreError> {
            let object = self.object(uid)?;
            Ok(Some((object, Rights(self.0.get()))))
        }
        fn granted(&self, _: &str, _: &str) -> Result<Rights, StoreError> {
            unreachable!("grants are asked for with their object")
        }
        fn search(&self, _: &Search<'_>, _: &mut Show<'_>) -> Result<SearchEnd, StoreError> {
            unreachable!("nothing is searched for")
        }
        fn owned_by(&self, _: &str, _: usize) -> Result<Option<Vec<String>>, StoreError> {
            unreachable!("no list is asked for")
        }
        fn grants_on(&self, _: &str, _: usize) -> Result<Option<Vec<(String, Rights)>>, StoreError> {
            unreachable!("no list is asked for")
        }
        fn grants_to(&self, _: &str, _: usize) -> Result<Option<Vec<(String, Rights)>>, StoreError> {
            unreachable!("no list is asked for")
        }
    }

    #[test]
    fn grants_are_of_the_same_commit_as_the_object_that_is_remembered_with_them() {
        let view = Remembered::new(Later(Cell::new(0)));
        let at = |users: &[&str]| {
            let (object, granted) = view.object_with_grants("a", users).unwrap().unwrap();
            (object.unwrap().length_bits, granted.0)
        };
        let alone = || view.object("a").unwrap().unwrap().length_bits;
        assert_eq!(alone(), 1);
        assert_eq!((at(&["bob", "*"]), alone()), ((2, 2), 2));
        assert_eq!((at(&["bob", "*"]), alone()), ((2, 2), 2), "remembered");
        assert_eq!((at(&["carol", "*"]), alone()), ((3, 3), 3));
    }

    /// Those whose name is long are large.
    fn object(uid: &str) -> Option<Object> {
        let attributes = vec![0; if uid.len() > 5 { REMEMBERED_OBJECT_BYTES_MAX } else { 0 }];
        (uid != "missing").then(|| Object { attributes: attributes.into(), ..Object::example(uid) })
    }

    #[test]
    fn what_was_found_is_asked_for_once_unless_it_is_large_or_its_place_was_taken() {
        let view = Remembered::new(Asked::new(object));
        let mut asked = Vec::new();
        for (uid, is_asked) in
            [("a", true), ("a", false), ("a-large-one", true), ("a-large-one", true), ("a", false)]
        {
            assert_eq!(view.object(uid).unwrap().unwrap().uid, uid);
            asked.extend(is_asked.then(|| format!("object {uid}")));
            assert_eq!(view.view.questions(), asked, "{uid}");
        }
        let long = "x".repeat(REMEMBERED_OBJECT_BYTES_MAX + 1);
        for _ in 0..2 {
            assert!(view.object(&long).unwrap().is_some());
            assert!(view.object("missing").unwrap().is_none());
        }
        let rival = (0..).map(|n| n.to_string()).find(|rival| place(rival) == place("a")).unwrap();
        for uid in [rival.as_str(), "a"] {
            assert_eq!(view.object(uid).unwrap().unwrap().uid, uid);
        }
        asked.extend([&long, "missing", &long, &rival, "a"].map(|uid| format!("object {uid}")));
        assert_eq!(view.view.questions(), asked);
    }
}
