//! An object that one client alone changes: all that it may look like.
//!
//! A request whose answer never came may have been done, or may be done later, or never. So an object has several
//! pictures; each answer that tells of it leaves those that explain the answer, and there must be one.
#![forbid(unsafe_code)]

use super::super::kmip::{Ask, Sealed, Trait};
use super::super::lifecycle;
use super::super::network::Asked;
use super::batch;
use crate::kms::state::State;
use crate::server::event::ConnectionId;
use crate::wire::kmip::dialect::Dialect;
use std::collections::{BTreeMap, BTreeSet};

/// What an object looks like.
#[derive(Clone, Debug, PartialEq)]
pub struct Picture {
    /// The number of the request that made it.
    pub number: u64,
    pub state: State,
    /// Whether it has been active, or is.
    activated: bool,
    /// Its bytes, once an answer has told them.
    pub material: Option<Vec<u8>>,
    /// The user's tags.
    pub tags: Vec<String>,
    /// The shelf that it is on.
    pub shelf: Option<String>,
    /// How often it may protect something, all in all and from now on, if there is a limit.
    pub uses: Option<(i64, i64)>,
    /// Who was granted what.
    pub grants: BTreeMap<String, BTreeSet<String>>,
}

impl Picture {
    fn new(asked: &Asked, tags: &[String], active: bool, material: Option<Vec<u8>>) -> Picture {
        // Clients of 4.9.1 know no activation.
        let active = active || asked.dialect == Dialect::V4;
        Picture {
            number: asked.number,
            state: if active { State::Active } else { State::PreActive },
            activated: active,
            material,
            tags: tags.to_vec(),
            shelf: None,
            uses: match &asked.ask {
                Ask::Create { uses, .. } => uses.map(|uses| (uses, uses)),
                _ => None,
            },
            grants: BTreeMap::new(),
        }
    }

    /// The key that takes the place of this one.
    fn replacement(&self, asked: &Asked) -> Picture {
        Picture {
            number: asked.number,
            state: if self.activated { State::Active } else { State::PreActive },
            material: None,
            uses: self.uses.map(|(total, _)| (total, total)),
            ..self.clone()
        }
    }

    /// Whether Get gives it to a client of this generation.
    pub fn is_gettable(&self, dialect: Dialect) -> bool {
        match dialect {
            Dialect::V4 => self.state == State::Active,
            Dialect::V5 => matches!(self.state, State::PreActive | State::Active),
        }
    }

    /// Whether it tells its attributes to a client of this generation.
    pub fn has_attributes(&self, dialect: Dialect) -> bool {
        dialect == Dialect::V5 || self.state == State::Active
    }

    /// Whether Locate finds it for a client of this generation.
    pub fn is_located(&self, dialect: Dialect, tags: &[String], shelf: Option<&String>) -> bool {
        let visible = match dialect {
            Dialect::V4 => self.state == State::Active,
            Dialect::V5 => !self.state.is_destroyed(),
        };
        let is_there = shelf.is_none() || shelf == self.shelf.as_ref();
        visible && is_there && tags.iter().all(|tag| self.tags.contains(tag))
    }

    /// What it is with a trait more.
    fn with(&self, new: &Trait) -> Option<Picture> {
        match new {
            Trait::Tags(tags) => {
                let mut all = self.tags.clone();
                all.extend(tags.iter().filter(|tag| !self.tags.contains(tag)).cloned());
                Some(Picture { tags: all, ..self.clone() })
            }
            Trait::Shelf(shelf) => {
                self.shelf.is_none().then(|| Picture { shelf: shelf.clone(), ..self.clone() })
            }
        }
    }

    /// What it is with a trait less.
    fn without(&self, gone: &Trait) -> Option<Picture> {
        match gone {
            Trait::Tags(tags) => {
                let rest = self.tags.iter().filter(|tag| !tags.contains(tag)).cloned().collect();
                Some(Picture { tags: rest, ..self.clone() })
            }
            Trait::Shelf(shelf) => {
                let is_there = self.shelf.is_some() && (shelf.is_none() || *shelf == self.shelf);
                is_there.then(|| Picture { shelf: None, ..self.clone() })
            }
        }
    }

    /// Whether it decrypts this for a client of this generation.
    pub fn opens(&self, dialect: Dialect, sealed: &Sealed) -> bool {
        let usable = match dialect {
            Dialect::V4 => self.state == State::Active,
            Dialect::V5 => matches!(self.state, State::Active | State::Deactivated | State::Compromised),
        };
        usable && self.number == sealed.key_number
    }
}

/// What becomes of an object by a request: refused, or what it looks like then (absent, perhaps).
pub fn effect(asked: &Asked, before: Option<&Picture>) -> Option<Option<Picture>> {
    let is_v4 = asked.dialect == Dialect::V4;
    let new = |tags: &[String], active, material| Picture::new(asked, tags, active, material);
    match (&asked.ask, before) {
        (Ask::Batch { steps, on_error, .. }, before) => {
            Some(batch::run(asked, steps, *on_error, before).after)
        }
        (Ask::Create { tags, active, .. }, None) => Some(Some(new(tags, *active, None))),
        (Ask::Import { tags, active, material, .. }, None) => {
            Some(Some(new(tags, *active, Some(material.clone()))))
        }
        (Ask::Import { tags, active, material, replace: true, .. }, Some(old)) => {
            let new = new(tags, *active, Some(material.clone()));
            Some(Some(Picture { grants: old.grants.clone(), ..new }))
        }
        (Ask::Create { .. } | Ask::Import { .. }, Some(_)) | (_, None) => None,
        (Ask::Encrypt { .. }, Some(old)) => {
            let uses = old.uses.map(|(total, left)| (total, left - 1));
            let may_be_used = old.state == State::Active && uses.is_none_or(|(_, left)| left >= 0);
            may_be_used.then(|| Some(Picture { uses, ..old.clone() }))
        }
        (Ask::Activate { .. }, Some(old)) => {
            let new = Picture { state: State::Active, activated: true, ..old.clone() };
            (old.state == State::PreActive).then_some(Some(new))
        }
        (Ask::SetAttribute { tags, .. }, Some(old)) => {
            Some(Some(Picture { tags: tags.clone(), ..old.clone() }))
        }
        (Ask::AddAttribute { new, .. }, Some(old)) => old.with(new).map(Some),
        (Ask::ModifyAttribute { current, new, .. }, Some(old)) => {
            let there = old.without(&Trait::Shelf(current.clone()))?;
            there.with(&Trait::Shelf(Some(new.clone()))).map(Some)
        }
        (Ask::DeleteAttribute { current, .. }, Some(old)) => old.without(current).map(Some),
        (Ask::ReKey { .. }, Some(old)) => {
            let state = lifecycle::replaced(old.state)?;
            Some(Some(Picture { state, tags: Vec::new(), ..old.clone() }))
        }
        (Ask::Revoke { .. }, Some(old))
            if is_v4 && !matches!(old.state, State::PreActive | State::Active) =>
        {
            None
        }
        (Ask::Revoke { compromised, .. }, Some(old)) => {
            Some(Some(Picture { state: lifecycle::revoked(old.state, *compromised), ..old.clone() }))
        }
        (Ask::Destroy { .. }, Some(old)) if old.state == State::Active => None,
        (Ask::Destroy { remove: true, .. }, Some(_)) => Some(None),
        (Ask::Destroy { .. }, Some(old)) => {
            let state = lifecycle::destroyed(old.state)?;
            Some(Some(Picture { state, material: Some(Vec::new()), ..old.clone() }))
        }
        (Ask::Grant { user, right, .. }, Some(old)) => {
            let mut new = old.clone();
            new.grants.entry((*user).to_owned()).or_default().insert((*right).to_owned());
            Some(Some(new))
        }
        (Ask::Withdraw { user, right, .. }, Some(old)) => {
            let mut new = old.clone();
            if let Some(rights) = new.grants.get_mut(*user) {
                rights.remove(*right);
            }
            new.grants.retain(|_, rights| !rights.is_empty());
            Some(Some(new))
        }
        (other, Some(_)) => unreachable!("{other:?} changes nothing"),
    }
}

/// An object and all that it may look like.
#[derive(Debug)]
pub struct Key {
    /// Pictures (`None` where there is no object), each with how many of `unanswered` came before it.
    pictures: Vec<(Option<Picture>, usize)>,
    /// Changes whose answers never came and that may still be done.
    unanswered: Vec<Asked>,
    /// The connections that they came from.
    unsettled: BTreeSet<ConnectionId>,
}

impl Key {
    /// An object that is not there.
    pub fn absent() -> Key {
        Key { pictures: vec![(None, 0)], unanswered: Vec::new(), unsettled: BTreeSet::new() }
    }

    /// An object that is there.
    pub fn made(asked: &Asked) -> Key {
        Key { pictures: vec![(effect(asked, None).expect("it was not there"), 0)], ..Key::absent() }
    }

    /// The key that took the place of this one, which `asked` has changed.
    pub fn replacement(&self, asked: &Asked) -> Key {
        let pictures = self.pictures.iter().flat_map(|(picture, _)| picture);
        let pictures = pictures.map(|picture| (Some(picture.replacement(asked)), 0)).collect();
        Key { pictures, ..Key::absent() }
    }

    /// Whether there is one that carries this tag.
    pub fn carries(&self, tag: &str) -> bool {
        let carries = |picture: &Picture| picture.tags.iter().any(|carried| carried == tag);
        self.pictures.iter().all(|(picture, _)| picture.as_ref().is_some_and(carries))
    }

    /// Whether nothing is under way that this client does not wait for.
    pub fn is_settled(&self) -> bool {
        self.unsettled.is_empty()
    }

    /// Whether it may look like this, by now or when all was done that was not answered.
    pub fn may_be(&mut self, such: impl Fn(&Picture) -> bool) -> bool {
        self.spread();
        self.pictures.iter().any(|(picture, _)| picture.as_ref().is_some_and(&such))
    }

    /// Whether it may be that each use counts.
    pub fn may_be_limited(&self) -> bool {
        let mut pictures = self.pictures.iter().flat_map(|(picture, _)| picture);
        let makes_limits = |asked: &Asked| matches!(asked.ask, Ask::Create { uses: Some(_), .. });
        pictures.any(|picture| picture.uses.is_some()) || self.unanswered.iter().any(makes_limits)
    }

    /// Whether there may be an object.
    pub fn may_exist(&self) -> bool {
        self.pictures.iter().any(|(picture, _)| picture.is_some())
    }

    /// The number of the request that made it, where that is certain.
    pub fn number(&self) -> Option<u64> {
        let mut numbers = self.pictures.iter().map(|(picture, _)| picture.as_ref().map(|p| p.number));
        let first = numbers.next()??;
        numbers.all(|number| number == Some(first)).then_some(first)
    }

    /// The bytes, where they are certain.
    pub fn material(&self) -> Option<&[u8]> {
        let first = self.pictures.first()?.0.as_ref()?.material.as_deref()?;
        let same = |(picture, _): &(Option<Picture>, usize)| {
            picture.as_ref().is_some_and(|picture| picture.material.as_deref() == Some(first))
        };
        self.pictures.iter().all(same).then_some(first)
    }

    /// An answer tells something: what does not explain it is not so.
    pub fn observe(&mut self, told: &str, explains: impl Fn(Option<&Picture>) -> bool) {
        self.spread();
        let before = self.pictures.clone();
        self.pictures.retain(|(picture, _)| explains(picture.as_ref()));
        assert!(!self.pictures.is_empty(), "{told}: the model knows only of {before:?}");
    }

    /// An answer tells the bytes.
    pub fn learn(&mut self, told: &str, bytes: &[u8]) {
        self.observe(told, |picture| {
            picture.is_some_and(|p| p.material.as_deref().is_none_or(|known| known == bytes))
        });
        for (picture, _) in &mut self.pictures {
            picture.iter_mut().for_each(|picture| picture.material = Some(bytes.to_vec()));
        }
    }

    /// A change was answered: accepted, or refused for what the object is.
    pub fn change(&mut self, told: &str, asked: &Asked, accepted: bool) {
        self.observe(told, |picture| effect(asked, picture).is_some() == accepted);
        if accepted {
            for (picture, _) in &mut self.pictures {
                *picture = effect(asked, picture.as_ref()).expect("the others were left out");
            }
        }
    }

    /// The answer to a change will never come.
    pub fn lose(&mut self, asked: Asked, connection: ConnectionId) {
        self.unanswered.push(asked);
        self.unsettled.insert(connection);
    }

    /// What came from this connection has been done by now, or never will be.
    pub fn settle(&mut self, connection: ConnectionId) {
        if self.unsettled.remove(&connection) && self.unsettled.is_empty() {
            self.settle_all();
        }
    }

    /// All that was asked has been done by now, or never will be.
    pub fn settle_all(&mut self) {
        self.spread();
        self.unsettled.clear();
        self.unanswered.clear();
        let all = std::mem::take(&mut self.pictures);
        for (picture, _) in all {
            if !self.pictures.iter().any(|(known, _)| *known == picture) {
                self.pictures.push((picture, 0));
            }
        }
    }

    /// Adds what it may look like after some of the changes that were not answered: each done or not, in order.
    fn spread(&mut self) {
        let mut at = 0;
        while at < self.pictures.len() {
            let (picture, done) = self.pictures[at].clone();
            for later in done..self.unanswered.len() {
                if let Some(after) = effect(&self.unanswered[later], picture.as_ref()) {
                    let new = (after, later + 1);
                    if !self.pictures.contains(&new) {
                        self.pictures.push(new);
                    }
                }
            }
            at += 1;
        }
    }
}
