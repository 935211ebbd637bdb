//! The clients and what they ask for.
#![forbid(unsafe_code)]

use super::issuer;
use super::kmip::{Ask, OnError, Trait};
use super::model::{self, Model, NOWHERE, OWNER, Owned, SHARED, SHARED_TENANT};
use super::options::{Options, USERS};
use super::session::Manners;
use crate::limits::INLINE_BODY_BYTES_MAX;
use crate::server::event::ConnectionId;
use crate::store::tenants::Tenant;
use crate::testing::choices::Choices;
use crate::wire::database_secret;
use crate::wire::kmip::dialect::Dialect;

const RIGHTS: [&str; 3] = ["decrypt", "encrypt", "get"];
/// Where keys are kept.
const SHELVES: [&str; 2] = ["left", "right"];
/// Tags beside that of the client.
const TAGS: [&str; 2] = ["blue", "red"];

/// One client.
pub struct Client {
    /// Who it is,
    pub user: &'static str,
    /// and to whom it belongs.
    pub tenant: usize,
    /// Its proof of that, where it needs one.
    pub token: Option<String>,
    /// Whether it may make objects.
    pub may_make: bool,
    /// How it spells KMIP.
    pub dialect: Dialect,
    /// Requests that it still wants to send.
    pub remaining: usize,
    /// How it speaks TLS, where any server does.
    pub manners: Option<Manners>,
    /// Its connection, while it waits for answers on it.
    pub wire: Option<ConnectionId>,
    /// How many requests it sends before the first is answered.
    pub depth: usize,
    /// Whether it changes attributes one by one.
    attributes: bool,
    /// Whether it has large things to encrypt.
    large_bodies: bool,
    /// Identifiers that it has chosen.
    named: usize,
}

impl Client {
    /// The client with this index, and a script of a random length.
    pub fn new(index: usize, options: &Options, choices: &mut Choices) -> Client {
        let user = options.user(index);
        Client {
            user,
            tenant: options.tenant(index),
            token: options.tokens.then(|| issuer::token(user)),
            may_make: options.may_make(user),
            dialect: *choices.pick(&[Dialect::V4, Dialect::V5]),
            remaining: 10 + choices.below(60),
            wire: None,
            depth: 1 + choices.below(4),
            attributes: options.features.attributes,
            large_bodies: options.large_bodies,
            named: 0,
            manners: options.speaks_tls().then(|| {
                let shown = USERS[index % USERS.len()];
                Manners::draw(options.asks_for_certificates().then_some(shown), choices)
            }),
        }
    }

    /// The next request of the client with this index, and this secret of its tenant's database; and whose the object is,
    /// where it asks for what belongs to another user.
    pub fn compose(
        &mut self,
        index: usize,
        secret: Option<&str>,
        model: &Model,
        options: &Options,
        choices: &mut Choices,
    ) -> (Ask, Option<usize>) {
        if options.has_tenants() && (secret.is_none() || choices.one_in(40)) {
            return (Ask::NewDatabase, None);
        }
        if choices.one_in(8) {
            return (self.rubbish(secret, options, choices), None);
        }
        if choices.one_in(5)
            && let Some((victim, ask)) = on_foreign(self, &model.clients[index], model, choices)
        {
            return (ask, Some(victim));
        }
        if self.user == OWNER && self.tenant == SHARED_TENANT && choices.one_in(6) {
            return (on_shared(choices), None);
        }
        (self.on_own(index, model, choices), None)
    }

    /// Where it looks for keys: mostly everywhere.
    fn shelf(&self, choices: &mut Choices) -> Option<String> {
        (self.attributes && choices.one_in(2)).then(|| (*choices.pick(&SHELVES)).to_owned())
    }

    fn on_own(&mut self, index: usize, model: &Model, choices: &mut Choices) -> Ask {
        let owned = &model.clients[index];
        let mut tags = vec![model::tag_of(index)];
        if choices.one_in(2) {
            tags.push((*choices.pick(&TAGS)).to_owned());
        }
        let active = choices.one_in(2);
        let may_exist: Vec<&String> =
            owned.keys.iter().filter(|(_, key)| key.may_exist()).map(|(uid, _)| uid).collect();
        let enough = may_exist.len() >= 6;
        if may_exist.is_empty() && !self.may_make && choices.one_in(2) {
            return choices.pick(&[Ask::ListOwned, Ask::Health, Ask::Version { head_only: true }]).clone();
        }
        if may_exist.is_empty() || (!enough && choices.one_in(5)) {
            self.named += 1;
            let uid = format!("c{index}-{}", self.named);
            let is_limited = self.dialect == Dialect::V5 && choices.one_in(3);
            let uses = is_limited.then(|| choices.below(4) as i64 + 1);
            return match choices.below(3) {
                0 => Ask::Create { uid: None, tags, active, bits: *choices.pick(&[128, 192, 256]), uses },
                1 => Ask::Create { uid: Some(uid), tags, active, bits: 256, uses },
                _ => Ask::Import { uid, tags, active, material: choices.bytes(32), replace: false },
            };
        }
        let uid = match choices.below(16) {
            0 => format!("c{index}{NOWHERE}"),
            _ => (*choices.pick(&may_exist)).clone(),
        };
        if self.large_bodies && choices.one_in(4) {
            return Ask::Encrypt { uid, data: choices.bytes(INLINE_BODY_BYTES_MAX) };
        }
        // What may still be done by a request that nobody waits for is only looked at.
        let settled = owned.keys.get(&uid).is_none_or(|key| key.is_settled());
        if self.attributes && settled && choices.one_in(3) {
            return on_attributes(uid, tags, choices);
        }
        let others: Vec<_> = USERS.into_iter().chain(["*"]).filter(|user| *user != self.user).collect();
        let (user, right) = (*choices.pick(&others), *choices.pick(&RIGHTS));
        match choices.below(if settled { 40 } else { 20 }) {
            0..3 => Ask::Get { uid },
            3..6 => Ask::GetAttributes { uid },
            6..8 => Ask::Locate { tags, shelf: self.shelf(choices) },
            8..12 => {
                let bytes = choices.below(24);
                Ask::Encrypt { uid, data: choices.bytes(bytes) }
            }
            12..15 if !owned.sealed.is_empty() => Ask::Decrypt(choices.pick(&owned.sealed).clone()),
            12..15 => Ask::Version { head_only: choices.one_in(2) },
            15 => Ask::ListAccess { uid },
            16 => Ask::ListOwned,
            17 => Ask::Health,
            18..20 => Ask::GetAttributes { uid },
            20..23 => Ask::Activate { uid },
            23..26 => Ask::Revoke { uid, compromised: choices.one_in(3) },
            26..28 => Ask::Destroy { uid, remove: choices.one_in(3) },
            28 => Ask::Create { uid: Some(uid), tags, active, bits: 256, uses: None },
            29 => Ask::Import { uid, tags, active, material: choices.bytes(16), replace: choices.one_in(2) },
            30..32 => Ask::SetAttribute { uid, tags },
            32 => Ask::ReKey { uid },
            33 => Ask::Grant { uid, user, right },
            34..39 => batch(uid, &tags, self.attributes, choices),
            _ => Ask::Withdraw { uid, user, right },
        }
    }
}

/// Changes one attribute of an object.
fn on_attributes(uid: String, tags: Vec<String>, choices: &mut Choices) -> Ask {
    let shelf = |choices: &mut Choices| (*choices.pick(&SHELVES)).to_owned();
    let any_or_one = |choices: &mut Choices| choices.one_in(2).then(|| shelf(choices));
    match choices.below(10) {
        0..4 => Ask::AddAttribute { uid, new: Trait::Shelf(Some(shelf(choices))) },
        4 => Ask::AddAttribute { uid, new: Trait::Tags(tags) },
        5..7 => Ask::ModifyAttribute { uid, current: any_or_one(choices), new: shelf(choices) },
        7..9 => Ask::DeleteAttribute { uid, current: Trait::Shelf(any_or_one(choices)) },
        _ => Ask::DeleteAttribute { uid, current: Trait::Tags(tags[1..].to_vec()) },
    }
}

fn on_shared(choices: &mut Choices) -> Ask {
    let uid = (*choices.pick(&SHARED)).to_owned();
    match choices.below(10) {
        0..2 => {
            let tags = vec!["shared".to_owned()];
            Ask::Create { uid: Some(uid), tags, active: choices.one_in(3), bits: 256, uses: None }
        }
        2 => Ask::Activate { uid },
        3 => Ask::Revoke { uid, compromised: choices.one_in(2) },
        4 => Ask::Destroy { uid, remove: false },
        5..7 => Ask::Get { uid },
        7..9 => Ask::GetAttributes { uid },
        _ => Ask::Encrypt { uid, data: choices.bytes(8) },
    }
}

/// A message about one object.
fn batch(uid: String, tags: &[String], with_attributes: bool, choices: &mut Choices) -> Ask {
    let mut step = || {
        let uid = uid.clone();
        match choices.below(if with_attributes { 12 } else { 9 }) {
            9.. => on_attributes(uid, tags.to_vec(), choices),
            0 => Ask::Get { uid },
            1 => Ask::GetAttributes { uid },
            2..4 => Ask::Encrypt { uid, data: choices.bytes(20) },
            4 => Ask::Activate { uid },
            5 => Ask::Revoke { uid, compromised: choices.one_in(3) },
            6 => Ask::Destroy { uid, remove: choices.one_in(3) },
            _ => Ask::SetAttribute { uid, tags: tags[..1 + choices.below(tags.len())].to_vec() },
        }
    };
    let steps = (0..4).map(|_| step()).collect();
    let on_error = *choices.pick(&[OnError::Continue, OnError::Stop, OnError::Undo]);
    Ask::Batch { uid, steps, on_error }
}

/// A request about an object of another user or tenant, and whose it is.
fn on_foreign(client: &Client, own: &Owned, model: &Model, choices: &mut Choices) -> Option<(usize, Ask)> {
    let foreign: Vec<(usize, &String)> = model
        .clients
        .iter()
        .enumerate()
        .filter(|(_, owned)| !owned.is_of_same(own))
        .flat_map(|(victim, owned)| owned.keys.keys().map(move |uid| (victim, uid)))
        .collect();
    if foreign.is_empty() {
        return None;
    }
    let (victim, uid) = *choices.pick(&foreign);
    let uid = uid.clone();
    let tags = vec![model::tag_of(victim)];
    let sealed: Vec<_> = model.clients[victim].sealed.iter().filter(|sealed| sealed.uid == uid).collect();
    let right = *choices.pick(&RIGHTS);
    let friend = *choices.pick(&["carol", "*"]);
    Some((
        victim,
        match choices.below(20) {
            0..5 => Ask::Get { uid },
            5..7 => Ask::GetAttributes { uid },
            // What others do counts as well, and is not counted here.
            7..9 if !model.clients[victim].keys[&uid].may_be_limited() => {
                Ask::Encrypt { uid, data: choices.bytes(20) }
            }
            9..11 if !sealed.is_empty() => Ask::Decrypt((*choices.pick(&sealed)).clone()),
            9..12 => Ask::Locate { tags, shelf: None },
            12 => Ask::Activate { uid },
            13 => Ask::Revoke { uid, compromised: choices.one_in(2) },
            14 => Ask::Destroy { uid, remove: choices.one_in(2) },
            15 if client.attributes => on_attributes(uid, tags, choices),
            15 => Ask::SetAttribute { uid, tags },
            16 => Ask::ReKey { uid },
            17..19 => Ask::Grant { uid, user: friend, right },
            _ => Ask::ListAccess { uid },
        },
    ))
}

impl Client {
    /// The fields that prove who it is, and to whom it belongs.
    pub fn proof(&self, secret: Option<&str>) -> String {
        let token = self.token.iter().map(|token| format!("Authorization: Bearer {token}\r\n"));
        let secret = secret.iter().map(|secret| format!("KmsDatabaseSecret: {secret}\r\n"));
        token.chain(secret).collect()
    }

    /// What is no good request, or only just one.
    fn rubbish(&self, secret: Option<&str>, options: &Options, choices: &mut Choices) -> Ask {
        let limits = &options.limits;
        if let Some(secret) = secret
            && choices.one_in(6)
        {
            return self.with_wrong_secret(secret, choices);
        }
        let proof = self.proof(secret);
        let head = |line: &str| format!("{line} HTTP/1.1\r\nHost: keyway.example\r\n{proof}");
        let get = |target: &str| format!("{}\r\n", head(&format!("GET {target}")));
        let post = |path: &str, body: &str| {
            format!("{}Content-Length: {}\r\n\r\n{body}", head(&format!("POST {path}")), body.len())
        };
        // As long as it may be, or one byte longer.
        let over = choices.below(2);
        let or_over = |status, too_long| if over == 0 { status } else { too_long };
        let (text, status) = match choices.below(13) {
            0 => ("what is this?\r\n\r\n".to_owned(), 400),
            1 => (format!("GET /version HTTP/1.1\r\n{proof}\r\n"), 400),
            2 => (get("/nothing"), 404),
            3 => (post("/kmip/2_1", "{\"tag\":\"Get\",\"value\":"), 422),
            4 => (post("/kmip/2_1", "{\"tag\":\"Dance\",\"value\":[]}"), 404),
            5 => (post("/access/grant", "{}"), 400),
            6 => (format!("{}Transfer-Encoding: chunked\r\n\r\nzz\r\n", head("POST /kmip/2_1")), 400),
            7 => (format!("{}X: {}\r\n\r\n", head("GET /version"), "x".repeat(20_000)), 431),
            8 => (format!("{}Content-Length: 99999999999\r\n\r\n", head("POST /kmip/2_1")), 413),
            9 => {
                let rest = format!("{}X: \r\n\r\n", head("GET /nothing")).len();
                let field = "x".repeat(limits.head_bytes_max + over - rest);
                (format!("{}X: {field}\r\n\r\n", head("GET /nothing")), or_over(404, 431))
            }
            10 => (get(&format!("/{}", "x".repeat(limits.target_bytes_max + over - 1))), or_over(404, 414)),
            11 if limits.body_bytes_max <= INLINE_BODY_BYTES_MAX => {
                let body = "{\"tag\":\"Dance\",\"value\":[]}";
                let body = format!("{body:length$}", length = limits.body_bytes_max + over);
                (post("/kmip/2_1", &body), or_over(404, 413))
            }
            _ if self.token.is_some() => {
                let token = issuer::bad_token(self.user, choices);
                (format!("GET /version HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\n\r\n"), 401)
            }
            _ => (post("/access/grant", "[]"), 400),
        };
        Ask::Rubbish { bytes: text.into_bytes(), status }
    }

    /// A request with a secret that opens nothing, or with none.
    fn with_wrong_secret(&self, secret: &str, choices: &mut Choices) -> Ask {
        let mut wrong = secret.to_owned();
        let at = choices.below(secret.len() - 4);
        wrong.replace_range(at..=at, if secret[at..].starts_with('M') { "N" } else { "M" });
        // It may be another spelling of the same.
        let opens = database_secret::parse(wrong.as_bytes()).is_ok_and(|wrong| Tenant::of(wrong).is_some());
        let shown = match choices.below(4) {
            0 => None,
            1.. if !opens => Some(wrong.as_str()),
            _ => Some("!"),
        };
        let proof = self.proof(shown);
        let text = format!("GET /access/owned HTTP/1.1\r\nHost: keyway.example\r\n{proof}\r\n");
        Ask::Rubbish { bytes: text.into_bytes(), status: 401 }
    }
}
