//! What others may do with an object: what its owner has granted them, and nothing else. Whoever may do nothing with it is
//! told what everybody is told of an object that is not there.
#![forbid(unsafe_code)]

use super::super::http::Reply;
use super::super::kmip::{self, Answer, Ask};
use super::super::network::Asked;
use super::Model;
use super::key::Picture;
use crate::wire::kmip::dialect::Dialect;
use std::collections::BTreeMap;

/// What is under way that grants have to do with, and what was told of objects that are not there.
#[derive(Default)]
pub struct Doors {
    /// Requests of users for objects of others.
    knocks: Vec<Knock>,
    granting: Vec<Granting>,
    /// What the answers to a question are about nothing.
    missing: BTreeMap<(String, bool), String>,
}

/// A grant that was asked for and not answered.
struct Granting {
    number: u64,
    uid: String,
    user: &'static str,
    right: &'static str,
}

struct Knock {
    number: u64,
    uid: String,
    user: &'static str,
    /// It is somebody else's tenant: no grant is for him.
    is_elsewhere: bool,
    right: Option<Right>,
    /// It may have been granted at some time since it was asked.
    may_be_granted: bool,
}

/// What a request for an object of somebody else needs.
#[derive(Clone, Copy)]
enum Right {
    /// This one, or another that includes it.
    Named(&'static str),
    /// Any.
    Any,
}

impl Right {
    /// What this request needs; `None` where no grant of a simulation is enough.
    fn of(ask: &Ask) -> Option<Right> {
        match ask {
            Ask::Get { .. } => Some(Right::Named("get")),
            Ask::Encrypt { .. } => Some(Right::Named("encrypt")),
            Ask::Decrypt(_) => Some(Right::Named("decrypt")),
            Ask::GetAttributes { .. } => Some(Right::Any),
            _ => None,
        }
    }

    /// Who may get a key has its bytes, and so all that can be done with bytes.
    fn is_included_in(self, granted: &str) -> bool {
        match self {
            Right::Any => true,
            Right::Named(name) => granted == "get" || granted == name,
        }
    }
}

impl Granting {
    fn is_for(&self, user: &str) -> bool {
        self.user == "*" || self.user == user
    }
}

impl Picture {
    fn lets(&self, user: &str, right: Right) -> bool {
        [user, "*"].into_iter().any(|name| {
            let granted = self.grants.get(name);
            granted.is_some_and(|granted| granted.iter().any(|granted| right.is_included_in(granted)))
        })
    }
}

/// The object that a request names.
pub(super) fn named(ask: &Ask) -> Option<&str> {
    match ask {
        Ask::Get { uid }
        | Ask::GetAttributes { uid }
        | Ask::Encrypt { uid, .. }
        | Ask::ListAccess { uid } => Some(uid),
        Ask::Decrypt(sealed) => Some(&sealed.uid),
        ask => ask.changes(),
    }
}

impl Model {
    /// A request is sent.
    pub fn asked(&mut self, client: usize, asked: &Asked) {
        if let Some(victim) = asked.victim {
            let (user, right) = (self.clients[client].user, Right::of(&asked.ask));
            let Some(uid) = named(&asked.ask).map(str::to_owned) else { return };
            let is_elsewhere = self.is_elsewhere(client, victim);
            let may_be_granted =
                !is_elsewhere && right.is_some_and(|right| self.may_be_granted(victim, &uid, user, right));
            let number = asked.number;
            self.doors.knocks.push(Knock { number, uid, user, is_elsewhere, right, may_be_granted });
        } else if let Ask::Grant { uid, user, right } = &asked.ask {
            for knock in self.doors.knocks.iter_mut().filter(|knock| knock.uid == *uid) {
                let lets = knock.right.is_some_and(|wanted| wanted.is_included_in(right));
                knock.may_be_granted |= lets && !knock.is_elsewhere && (*user == "*" || *user == knock.user);
            }
            self.doors.granting.push(Granting { number: asked.number, uid: uid.clone(), user, right });
        }
    }

    /// The answer to a request came, or will never come. Whether the request may have been granted at some time.
    pub(super) fn ended(&mut self, asked: &Asked) -> bool {
        self.doors.granting.retain(|granting| granting.number != asked.number);
        let at = self.doors.knocks.iter().position(|knock| knock.number == asked.number);
        at.is_some_and(|at| self.doors.knocks.swap_remove(at).may_be_granted)
    }

    fn may_be_granted(&mut self, victim: usize, uid: &str, user: &str, right: Right) -> bool {
        let granting = self.doors.granting.iter().any(|granting| {
            granting.uid == uid && granting.is_for(user) && right.is_included_in(granting.right)
        });
        let key = self.clients[victim].keys.get_mut(uid);
        granting || key.is_some_and(|key| key.may_be(|picture| picture.lets(user, right)))
    }

    /// A request for something of another user was answered.
    pub(super) fn foreign_answered(
        &mut self,
        client: usize,
        victim: usize,
        asked: &Asked,
        reply: &Reply,
        told: &str,
    ) {
        let may_be_granted = self.ended(asked);
        let user = self.clients[client].user;
        match &asked.ask {
            Ask::Locate { .. } => {
                let answer = kmip::read_answer(reply.body.clone(), asked.dialect);
                for uid in self.clients[victim].keys.keys().filter(|uid| answer.uids.contains(uid)) {
                    let may_know = self.may_know(client, victim, uid);
                    assert!(may_know, "{told}: it lists {uid}, of which {user} may know nothing");
                }
            }
            ask if reply.status == 200 => {
                assert!(may_be_granted, "{told}: nobody has allowed {user} to do that");
                if !matches!(ask, Ask::ListAccess { .. }) {
                    let answer = kmip::read_answer(reply.body.clone(), asked.dialect);
                    self.check_foreign(victim, ask, &answer, told);
                }
            }
            ask if !named(ask).is_some_and(|uid| self.may_know(client, victim, uid)) => {
                self.refused_as_missing(asked, reply, told)
            }
            _ => {}
        }
    }

    fn check_foreign(&self, victim: usize, ask: &Ask, answer: &Answer, told: &str) {
        let Some(uid) = named(ask) else { return };
        assert_eq!(answer.uids, [uid], "{told}: about something else");
        if let (Ask::Decrypt(sealed), Some(data)) = (ask, &answer.data) {
            assert_eq!(data, &sealed.plain, "{told}: what was encrypted");
        }
        let known = self.clients[victim].keys.get(uid).and_then(|key| key.material());
        if let (Some(known), Some(material)) = (known, &answer.material) {
            assert_eq!(known, material, "{told}: other bytes than its owner's");
        }
    }

    /// Whether a client was ever granted something, or is about to be: a grant is made before its answer comes.
    fn may_know(&self, client: usize, victim: usize, uid: &str) -> bool {
        let user = self.clients[client].user;
        let known = self.clients[victim].ever_granted.get(uid);
        let was_granted = known.is_some_and(|users| users.contains(user) || users.contains("*"));
        let granting = |granting: &Granting| granting.uid == uid && granting.is_for(user);
        !self.is_elsewhere(client, victim) && (was_granted || self.doors.granting.iter().any(granting))
    }

    /// Whether one client has no part in the database of the other.
    fn is_elsewhere(&self, client: usize, other: usize) -> bool {
        self.clients[client].tenant != self.clients[other].tenant
    }

    /// A request was refused for an object that is not there, or is as good as not there for the one who asks: in the same
    /// words.
    pub(super) fn refused_as_missing(&mut self, asked: &Asked, reply: &Reply, told: &str) {
        let comparable = matches!(
            asked.ask,
            Ask::Get { .. }
                | Ask::GetAttributes { .. }
                | Ask::Encrypt { .. }
                | Ask::SetAttribute { .. }
                | Ask::AddAttribute { .. }
                | Ask::ModifyAttribute { .. }
                | Ask::DeleteAttribute { .. }
                | Ask::Activate { .. }
                | Ask::Revoke { .. }
                | Ask::Destroy { .. }
                | Ask::ReKey { .. }
        );
        let Some(uid) = named(&asked.ask).filter(|_| comparable && reply.status == 422) else { return };
        let text = String::from_utf8_lossy(&reply.body).replace(uid, "..");
        let question = (super::name_of(&asked.ask), asked.dialect == Dialect::V4);
        let known = self.doors.missing.entry(question).or_insert_with(|| text.clone());
        assert_eq!(*known, text, "{told}: what is hidden and what is not there are told apart");
    }
}
