//! What the answers have promised: the reference that every later answer, and the store after a crash, is compared with.
//!
//! Each client changes objects of its own, whose every answer the model foretells ([`key`]); of the objects that all
//! change it knows only that they last and that their states go one way ([`shared`]).
#![forbid(unsafe_code)]

mod batch;
mod foreign;
mod key;
mod shared;
mod tenants;

use super::http::Reply;
use super::kmip::{self, Answer, Ask, Sealed};
use super::lifecycle::Possible;
use super::network::Asked;
use super::secrets::Secrets;
use crate::crypto::aead::AesGcm;
use crate::kms::object::Object;
use crate::kms::tags;
use crate::kms::terms;
use crate::kms::view::{Search, SearchEnd, View};
use crate::server::event::ConnectionId;
use crate::store::identifier::Identifier;
use crate::wire::kmip::dialect::Dialect;
use crate::wire::ttlv::{Fields, Tag, Value};
use foreign::Doors;
use key::{Key, Picture};
use shared::Shared;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::sync::Arc;
use tenants::Tenants;

/// The objects that every client changes.
pub const SHARED: [&str; 3] = ["shared-0", "shared-1", "shared-2"];
/// In whose database these are.
pub const SHARED_TENANT: usize = 0;
/// How the name of an object ends that is seldom there.
pub const NOWHERE: &str = "-nowhere";
/// Who owns everything where nobody has an identity of his own.
pub const OWNER: &str = "admin";

/// What is known of all objects.
pub struct Model {
    pub clients: Vec<Owned>,
    shared: BTreeMap<&'static str, Shared>,
    doors: Doors,
    tenants: Tenants,
    /// All key material that there has ever been.
    pub materials: Secrets,
    /// What was encrypted.
    pub data: Secrets,
}

/// What is known of the objects of one client.
#[derive(Default)]
pub struct Owned {
    /// Who owns them.
    pub user: &'static str,
    /// In whose database they are.
    pub tenant: usize,
    pub keys: BTreeMap<String, Key>,
    /// Keys that may have been made under identifiers that were never told.
    untold: usize,
    /// What was encrypted.
    pub sealed: Vec<Sealed>,
    /// To whom something was ever granted, of each object.
    ever_granted: BTreeMap<String, BTreeSet<&'static str>>,
    may_make: bool,
}

/// The tag of all objects of a client.
pub fn tag_of(client: usize) -> String {
    format!("client-{client}")
}

impl Model {
    /// Nothing is there, for these clients.
    pub fn new(clients: impl Iterator<Item = Owned>) -> Model {
        Model {
            clients: clients.collect(),
            tenants: Tenants::default(),
            shared: SHARED.into_iter().map(|uid| (uid, Shared::new())).collect(),
            doors: Doors::default(),
            materials: Secrets::default(),
            data: Secrets::default(),
        }
    }

    /// Keeps what a request has in it that nobody else is to see.
    pub fn guard(&mut self, ask: &Ask) {
        match ask {
            Ask::Import { uid, material, .. } => self.materials.add(material, uid),
            Ask::Encrypt { uid, data } => self.data.add(data, uid),
            Ask::Batch { steps, .. } => steps.iter().for_each(|step| self.guard(step)),
            _ => {}
        }
    }

    /// What is possible of a shared object that is about to be asked for.
    pub fn possible(&self, ask: &Ask) -> Possible {
        shared_uid(ask).and_then(|uid| self.shared.get(uid)).map_or(Possible::ANY, |shared| shared.possible)
    }

    /// A request of this client was answered for what it asks, with 200 or with a refusal.
    pub fn answered(&mut self, client: usize, asked: &Asked, reply: &Reply) {
        let told = format!("{:?} of client {client} was answered {}", asked.ask, reply.status);
        let accepted = reply.status == 200;
        let may_make = self.clients[client].may_make;
        let refused = match &asked.ask {
            Ask::Create { .. } | Ask::Import { .. } | Ask::ReKey { .. } if !may_make => 401,
            Ask::Grant { .. } | Ask::Withdraw { .. } | Ask::ListAccess { .. } => 401,
            _ => 422,
        };
        assert!(accepted || reply.status == refused, "{told}: {}", reply.body.escape_ascii());
        if let Ask::NewDatabase = &asked.ask {
            return self.tenant_made(client, reply, &told);
        }
        if let Some(victim) = asked.victim {
            return self.foreign_answered(client, victim, asked, reply, &told);
        }
        self.ended(asked);
        if let Ask::Grant { uid, user, .. } = &asked.ask {
            self.clients[client].ever_granted.entry(uid.clone()).or_default().insert(user);
        }
        if matches!(asked.ask, Ask::Create { .. } | Ask::Import { .. }) && !may_make {
            return assert!(!accepted, "{told}: only privileged users make objects");
        }
        let uid = foreign::named(&asked.ask).unwrap_or_default();
        if !accepted && uid.ends_with(NOWHERE) && !self.clients[client].may_have(uid) {
            self.refused_as_missing(asked, reply, &told);
        }
        if let Ask::ListAccess { uid } = &asked.ask {
            let list = accepted.then(|| kmip::read_list(reply.body.clone(), "user_id"));
            return self.clients[client].access_listed(&told, uid, list.as_deref());
        }
        if let Ask::ListOwned = &asked.ask {
            assert!(accepted, "{told}");
            let list = kmip::read_list(reply.body.clone(), "object_id");
            return self.clients[client].owned_listed(&told, &list);
        }
        if matches!(asked.ask, Ask::Grant { .. } | Ask::Withdraw { .. }) {
            return self.clients[client].changed(&told, asked, accepted);
        }
        if let Ask::Batch { uid, steps, on_error } = &asked.ask {
            let statuses = kmip::read_statuses(reply.body.clone());
            let told = format!("{told}: {statuses:?}");
            let key = self.clients[client].key(uid);
            key.observe(&told, |picture| batch::run(asked, steps, *on_error, picture).statuses == statuses);
            return key.change(&told, asked, true);
        }
        let answer = accepted.then(|| kmip::read_answer(reply.body.clone(), asked.dialect));
        if let Some(answer) = &answer {
            check_name(&told, asked, answer);
        }
        match shared_uid(&asked.ask).and_then(|uid| self.shared.get_mut(uid)) {
            Some(shared) => shared.answered(&told, asked, answer.as_ref()),
            None => self.clients[client].answered(&told, client, asked, answer.as_ref()),
        }
    }

    /// The answer to a request of this client will never come.
    pub fn lose(&mut self, client: usize, asked: Asked, connection: ConnectionId) {
        self.ended(&asked);
        if asked.victim.is_some() {
            return;
        }
        if let Ask::Grant { uid, user, .. } = &asked.ask {
            self.clients[client].ever_granted.entry(uid.clone()).or_default().insert(user);
        }
        let owned = &mut self.clients[client];
        match &asked.ask {
            Ask::Create { uid: None, .. } => owned.untold += 1,
            ask if shared_uid(ask).is_some() => {}
            Ask::Encrypt { uid, .. } => {
                if let Some(key) = owned.keys.get_mut(uid).filter(|key| key.may_be_limited()) {
                    key.lose(asked, connection);
                }
            }
            ask => {
                owned.untold += usize::from(matches!(ask, Ask::ReKey { .. }));
                if let Some(uid) = ask.changes().map(str::to_owned) {
                    owned.key(&uid).lose(asked, connection);
                }
            }
        }
    }

    /// What came from this connection has been done by now, or never will be.
    pub fn settle(&mut self, client: usize, connection: ConnectionId) {
        self.clients[client].keys.values_mut().for_each(|key| key.settle(connection));
    }

    /// All that was asked has been done by now, or never will be.
    pub fn settle_all(&mut self) {
        self.clients.iter_mut().flat_map(|owned| owned.keys.values_mut()).for_each(Key::settle_all);
    }

    /// Names and material that are there, in the database of a tenant, as it has them.
    pub fn there(&self, tenant: usize, view: &dyn View) -> Vec<Vec<u8>> {
        const NAME_BYTES_MIN: usize = 8;
        let clients = self.clients.iter().filter(|owned| owned.tenant == tenant);
        let owned = clients.flat_map(|owned| owned.keys.keys().map(String::as_str));
        let objects = owned.chain(SHARED).filter_map(|uid| view.object(uid).expect("all is well"));
        let of = |object: Arc<Object>| {
            [Identifier::of(&object.uid).as_ref().to_vec(), object.material.expose().to_vec()]
        };
        objects.flat_map(of).filter(|secret| secret.len() >= NAME_BYTES_MIN).collect()
    }

    /// Compares the database of a tenant with all that was promised. Nothing is under way.
    pub fn check_store(&mut self, tenant: usize, view: &dyn View) {
        const READABLE: &str = "the store can be read";
        let object = |uid: &str| view.object(uid).expect(READABLE);
        for (uid, shared) in self.shared.iter_mut().filter(|_| tenant == SHARED_TENANT) {
            let stored = object(uid);
            if let Some(object) = &stored {
                self.materials.add(object.material.expose(), uid);
            }
            shared.found(&format!("{uid} in the store"), stored.as_deref());
        }
        let clients = self.clients.iter_mut().enumerate();
        for (client, owned) in clients.filter(|(_, owned)| owned.tenant == tenant) {
            let user = owned.user;
            for (uid, key) in &mut owned.keys {
                let grants = view.grants_on(uid, usize::MAX).expect(READABLE).expect("no limit");
                let grants: Vec<_> =
                    grants.into_iter().map(|(user, rights)| (user, rights.names().collect())).collect();
                let stored = object(uid);
                let told = format!("{uid} in the store, {:?}", stored.as_ref().map(|object| object.state));
                key.observe(&told, |picture| is_stored(picture, user, stored.as_deref(), &grants));
                if let Some(object) = &stored {
                    key.learn(&told, object.material.expose());
                    self.materials.add(object.material.expose(), uid);
                }
            }
            let terms = [terms::of_tag(&tag_of(client))];
            let search = Search { terms: &terms, owner: user, users: &[] };
            let mut tagged = Vec::new();
            let ended = view.search(&search, &mut |object| {
                tagged.push(object.uid.clone());
                Ok(ControlFlow::Continue(()))
            });
            assert_eq!(ended.expect(READABLE), SearchEnd::Complete);
            owned.check_tagged("the tag in the store", &tag_of(client), &tagged);
        }
        let clients = self.clients.iter().filter(|owned| owned.tenant == tenant);
        let users: BTreeSet<&str> = clients.map(|owned| owned.user).collect();
        for user in users {
            let owned = view.owned_by(user, usize::MAX).expect(READABLE).expect("no limit");
            check_unique("the owner in the store", &owned);
            for uid in owned {
                let stored = object(&uid);
                assert!(stored.is_some(), "the owner in the store has what is not there: {uid}");
                if let Some(object) = stored {
                    self.materials.add(object.material.expose(), &uid);
                }
            }
        }
    }
}

/// The shared object that a request names.
fn shared_uid(ask: &Ask) -> Option<&str> {
    let uid = match ask {
        Ask::Get { uid } | Ask::GetAttributes { uid } | Ask::Encrypt { uid, .. } => Some(uid.as_str()),
        ask => ask.changes(),
    };
    uid.filter(|uid| SHARED.contains(uid))
}

/// The name of its operation.
fn name_of(ask: &Ask) -> String {
    let debug = format!("{ask:?}");
    debug.split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default().to_owned()
}

/// An answer has the name of its request, and is about the same object.
fn check_name(told: &str, asked: &Asked, answer: &Answer) {
    let name = name_of(&asked.ask);
    assert_eq!(answer.root, format!("{name}Response"), "{told}");
    let uid = match &asked.ask {
        Ask::Get { uid } | Ask::GetAttributes { uid } | Ask::Encrypt { uid, .. } => Some(uid.as_str()),
        Ask::Decrypt(sealed) => Some(sealed.uid.as_str()),
        Ask::ReKey { .. } => None,
        ask => ask.changes(),
    };
    if let Some(uid) = uid {
        assert_eq!(answer.uids, [uid], "{told}: about something else");
    }
}

fn is_stored(
    picture: Option<&Picture>,
    user: &str,
    stored: Option<&Object>,
    grants: &[(String, Vec<&str>)],
) -> bool {
    match (picture, stored) {
        (None, None) => grants.is_empty(),
        (Some(picture), Some(object)) => {
            let tags = picture.tags.iter().map(String::as_str).chain(["_kk"]);
            object.owner == user
                && object.state == picture.state
                && tags.eq(object.tags.iter().map(String::as_str))
                && stored_uses(object) == picture.uses
                && stored_shelf(object) == picture.shelf
                && picture.grants.len() == grants.len()
                && picture.grants.iter().zip(grants).all(|((user, rights), (to, granted))| {
                    user == to && rights.iter().map(String::as_str).eq(granted.iter().copied())
                })
        }
        _ => false,
    }
}

/// The shelf of a key in the store: text, or bytes where clients of 4.9.1 have said so.
fn stored_shelf(object: &Object) -> Option<String> {
    let attribute = object.attributes.find(Tag::ATTRIBUTE)?;
    let fields = Fields(attribute.children().expect("an attribute of a vendor is a structure"));
    let value = fields.get(Tag::ATTRIBUTE_VALUE).expect("it has a value");
    match value {
        Value::Bytes(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
        value => value.as_text().map(str::to_owned),
    }
}

/// How often a key in the store may protect something, all in all and from now on.
fn stored_uses(object: &Object) -> Option<(i64, i64)> {
    let limits = object.attributes.find(Tag::USAGE_LIMITS)?;
    let fields = Fields(limits.children().expect("limits are a structure"));
    fields.long_integer(Tag::USAGE_LIMITS_TOTAL).zip(fields.long_integer(Tag::USAGE_LIMITS_COUNT))
}

impl Owned {
    /// Nothing, of this user in the database of this tenant, who may make objects or not.
    pub fn nothing(user: &'static str, tenant: usize, may_make: bool) -> Owned {
        Owned { user, tenant, may_make, ..Owned::default() }
    }

    /// Whether both are the same to the server.
    pub fn is_of_same(&self, other: &Owned) -> bool {
        (self.user, self.tenant) == (other.user, other.tenant)
    }

    fn may_have(&self, uid: &str) -> bool {
        self.keys.get(uid).is_some_and(|key| key.may_exist() || !key.is_settled())
    }

    fn key(&mut self, uid: &str) -> &mut Key {
        self.keys.entry(uid.to_owned()).or_insert_with(Key::absent)
    }

    fn changed(&mut self, told: &str, asked: &Asked, accepted: bool) {
        let uid = asked.ask.changes().expect("it changes something");
        self.key(uid).change(told, asked, accepted);
    }

    fn answered(&mut self, told: &str, client: usize, asked: &Asked, answer: Option<&Answer>) {
        let dialect = asked.dialect;
        match (&asked.ask, answer) {
            (Ask::Create { uid: None, .. }, Some(answer)) => {
                let [uid] = answer.uids.as_slice() else { panic!("{told}: one identifier") };
                let earlier = self.keys.insert(uid.clone(), Key::made(asked));
                assert!(earlier.is_none(), "{told}: the identifier {uid} was given before");
            }
            (Ask::Create { uid: None, .. }, None) => panic!("{told}: nothing stands against it"),
            (Ask::ReKey { uid }, Some(answer)) => {
                let key = self.key(uid);
                let [new] = answer.uids.as_slice() else { panic!("{told}: one identifier") };
                key.observe(told, |picture| key::effect(asked, picture).is_some());
                let replacement = key.replacement(asked);
                key.change(told, asked, true);
                let known = self.ever_granted.get(uid).cloned().unwrap_or_default();
                self.ever_granted.insert(new.clone(), known);
                let earlier = self.keys.insert(new.clone(), replacement);
                assert!(earlier.is_none(), "{told}: the identifier {new} was given before");
            }
            (Ask::Get { uid }, answer) => {
                let key = self.key(uid);
                key.observe(told, |p| p.is_some_and(|p| p.is_gettable(dialect)) == answer.is_some());
                if let Some(answer) = answer {
                    key.learn(told, answer.material.as_deref().expect("a Get is answered with bytes"));
                }
            }
            (Ask::GetAttributes { uid }, answer) => {
                let (state, listed) = (answer.and_then(|a| a.state), answer.and_then(|a| a.tags.as_deref()));
                let shelf = answer.and_then(|answer| answer.shelf.as_ref());
                let listed = listed.map(|list| tags::parse(list).expect("a list of tags"));
                self.key(uid).observe(told, |picture| {
                    let picture = picture.filter(|picture| picture.has_attributes(dialect));
                    let fits = |picture: &Picture| {
                        state.is_none_or(|state| state == picture.state)
                            && (dialect == Dialect::V4 || shelf == picture.shelf.as_ref())
                            && listed.as_ref().is_none_or(|list| list.starts_with(&picture.tags))
                    };
                    picture.is_some() == answer.is_some() && picture.is_none_or(fits)
                });
            }
            (Ask::Locate { tags, shelf }, Some(answer)) => {
                assert_eq!(answer.located, i32::try_from(answer.uids.len()).ok(), "{told}: their number");
                for (uid, key) in &mut self.keys {
                    let listed = answer.uids.contains(uid);
                    let told = format!("{told}: {uid} listed: {listed}");
                    key.observe(&told, |p| {
                        p.is_some_and(|p| p.is_located(dialect, tags, shelf.as_ref())) == listed
                    });
                }
                self.check_untold(told, &answer.uids);
            }
            (Ask::Encrypt { uid, data }, answer) => {
                let key = self.key(uid);
                key.change(told, asked, answer.is_some());
                if let Some(answer) = answer {
                    let sealed = sealed(uid, data, answer);
                    if let Some(material) = key.material() {
                        assert_eq!(
                            opened(material, &sealed).as_ref(),
                            Some(data),
                            "{told}: with another key"
                        );
                    }
                    if let Some(key_number) = key.number() {
                        self.sealed.push(Sealed { key_number, ..sealed });
                    }
                }
            }
            (Ask::Decrypt(sealed), answer) => {
                if let Some(answer) = answer {
                    assert_eq!(answer.data.as_ref(), Some(&sealed.plain), "{told}: what was encrypted");
                }
                let opens = |picture: &Picture| picture.opens(dialect, sealed);
                self.key(&sealed.uid).observe(told, |p| p.is_some_and(opens) == answer.is_some());
            }
            (ask, answer) if ask.changes().is_some() => self.changed(told, asked, answer.is_some()),
            _ => panic!("{told}, client {client}"),
        }
    }

    fn access_listed(&mut self, told: &str, uid: &str, list: Option<&[(String, Vec<String>)]>) {
        self.key(uid).observe(told, |picture| match (picture, list) {
            (None, None) => true,
            (Some(picture), Some(list)) => {
                let granted = picture.grants.iter();
                granted
                    .map(|(user, rights)| (user, rights.iter().collect::<Vec<_>>()))
                    .eq(list.iter().map(|(user, rights)| (user, rights.iter().collect::<Vec<_>>())))
            }
            _ => false,
        });
    }

    fn owned_listed(&mut self, told: &str, list: &[(String, Vec<String>)]) {
        for (uid, key) in &mut self.keys {
            let mut entries = list.iter().filter(|(listed, _)| listed == uid);
            let state = entries.next().map(|(_, state)| state[0].as_str());
            assert!(entries.next().is_none(), "{told}: {uid} is listed twice");
            key.observe(&format!("{told}: {uid} is {state:?}"), |picture| {
                picture.map(|picture| picture.state.name()) == state
            });
        }
    }

    /// Exactly the objects of this client that carry the tag are listed.
    fn check_tagged(&self, told: &str, tag: &str, uids: &[String]) {
        for (uid, key) in &self.keys {
            assert_eq!(uids.contains(uid), key.carries(tag), "{told}: {uid}");
        }
        self.check_untold(told, uids);
    }

    /// Objects with the client's tag are known, or are among those whose identifiers were never told.
    fn check_untold(&self, told: &str, uids: &[String]) {
        check_unique(told, uids);
        let unknown: Vec<&String> = uids.iter().filter(|uid| !self.keys.contains_key(*uid)).collect();
        assert!(unknown.len() <= self.untold, "{told}: {unknown:?} come from nowhere");
    }
}

/// A list names each object once.
fn check_unique(told: &str, uids: &[String]) {
    let once: BTreeSet<&String> = uids.iter().collect();
    assert_eq!(once.len(), uids.len(), "{told}: twice the same in {uids:?}");
}

fn sealed(uid: &str, plain: &[u8], answer: &Answer) -> Sealed {
    let bytes = |bytes: &Option<Vec<u8>>| bytes.clone().expect("data, nonce and tag are all there");
    Sealed {
        uid: uid.to_owned(),
        key_number: 0,
        plain: plain.to_vec(),
        data: bytes(&answer.data),
        nonce: bytes(&answer.nonce),
        tag: bytes(&answer.tag),
    }
}

/// What the client itself makes of something encrypted.
fn opened(material: &[u8], sealed: &Sealed) -> Option<Vec<u8>> {
    let (nonce, tag) = (sealed.nonce.as_slice().try_into().ok()?, sealed.tag.as_slice().try_into().ok()?);
    let mut data = sealed.data.clone();
    AesGcm::new(material)?.open(nonce, &[], &mut data, tag).then_some(data)
}
