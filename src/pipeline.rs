//! A request on its way: decode, prepare, execute, commit, finish, encode. It only moves forward.
//!
//! The same stages serve a read in place, a scan in the bulk lane and a batch of writes in the store lane; [`place`]
//! decides which.
#![forbid(unsafe_code)]

use crate::audit::entry::{Decision, bounded};
use crate::entropy::Entropy;
use crate::kms::access::{self, Direction};
use crate::kms::operation::{Context, Decided, Effect, Request};
use crate::kms::policy::Principal;
use crate::kms::refusal::{Failure, Refusal};
use crate::kms::rights::Rights;
use crate::kms::view::{Change, Changes, View};
use crate::limits;
use crate::store::tenants::Tenant;
use crate::store::{Store, StoreError};
use crate::time::Timestamp;
use crate::wire::access as wire_access;
use crate::wire::json;
use crate::wire::kmip::dialect::{self, DecodeError, Dialect};
use crate::wire::listing;
use crate::wire::ttlv::{Fields, Tag, Value};
use zeroize::Zeroizing;

/// What a request that needs the store is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// `POST /kmip/2_1`: the operation is in the body.
    Kmip,
    /// `POST /access/grant` and `/access/revoke`.
    ChangeAccess(Direction),
    /// `GET /access/list/{uid}`.
    ListAccess(String),
    /// `GET /access/owned`.
    ListOwned,
    /// `GET /access/obtained`.
    ListObtained,
}

impl Endpoint {
    /// What the operation is called where the request does not say it.
    pub fn name(&self) -> &'static str {
        match self {
            Endpoint::Kmip => "Unknown",
            Endpoint::ChangeAccess(Direction::Grant) => "GrantAccess",
            Endpoint::ChangeAccess(Direction::Revoke) => "RevokeAccess",
            Endpoint::ListAccess(_) => "ListAccess",
            Endpoint::ListOwned => "ListOwned",
            Endpoint::ListObtained => "ListObtained",
        }
    }
}

/// Who asks, and when.
#[derive(Clone, Debug)]
pub struct Asker {
    /// Who.
    pub principal: Principal,
    /// When.
    pub now: Timestamp,
}

/// A request that owns all that it needs, to be answered in a lane.
pub struct Call {
    /// What it is about.
    pub endpoint: Endpoint,
    /// Who asks.
    pub asker: Asker,
    /// The body of the request.
    pub body: Zeroizing<Vec<u8>>,
    /// In whose database, where every tenant has one.
    pub tenant: Option<Box<Tenant>>,
}

/// Status and type of an answer whose body was written elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The media type of the body.
    pub content_type: &'static str,
}

/// An answer with its body.
pub struct Reply {
    /// Its status and type.
    pub answer: Answer,
    /// Its body.
    pub body: Zeroizing<Vec<u8>>,
    /// What was decided, for the audit log: at least one where a request was read.
    pub decisions: Vec<Decision>,
}

impl Reply {
    /// This text, as JSON.
    pub fn json(text: &str) -> Reply {
        let mut body = Zeroizing::new(Vec::new());
        json::write_string(text, &mut body);
        Reply { answer: Answer::OK, body, decisions: Vec::new() }
    }

    /// This text as it is.
    pub fn text(status: u16, text: &str) -> Reply {
        let body = Zeroizing::new(text.as_bytes().to_vec());
        Reply { answer: Answer { status, content_type: TEXT }, body, decisions: Vec::new() }
    }
}

const JSON: &str = "application/json";
const TEXT: &str = "text/plain; charset=utf-8";

impl Answer {
    const OK: Answer = Answer { status: 200, content_type: JSON };
}

/// Where a request is to be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// At once.
    Here,
    /// Where requests are committed in groups.
    StoreLane,
    /// Where what takes long delays nobody else.
    BulkLane,
    /// Nowhere: it would hold up all that is to be changed.
    TooLarge,
}

/// Decides where a request is answered: writes wait for the disk; scans, large bodies and identifiers by tags (a string
/// that begins with `[`, perhaps escaped) may take long, and so does every read of a store that is elsewhere.
pub fn place(endpoint: &Endpoint, body: &[u8], reads_at_once: bool) -> Place {
    match lane(endpoint, body) {
        Place::Here if !reads_at_once => Place::BulkLane,
        Place::StoreLane if body.len() > limits::WRITE_BODY_BYTES_MAX => Place::TooLarge,
        place => place,
    }
}

fn lane(endpoint: &Endpoint, body: &[u8]) -> Place {
    match endpoint {
        Endpoint::ChangeAccess(_) => Place::StoreLane,
        Endpoint::ListAccess(_) => Place::Here,
        Endpoint::ListOwned | Endpoint::ListObtained => Place::BulkLane,
        Endpoint::Kmip => match dialect::root(body).and_then(Request::effect_of) {
            Some(Effect::Writes) => Place::StoreLane,
            Some(Effect::Scans) => Place::BulkLane,
            Some(Effect::Reads) if body.len() > limits::INLINE_BODY_BYTES_MAX || may_name_tags(body) => {
                Place::BulkLane
            }
            Some(Effect::Reads) | None => Place::Here,
        },
    }
}

/// Looks at all pairs: without an early end, many are compared at a time.
fn may_name_tags(body: &[u8]) -> bool {
    let pairs = body.iter().zip(body.iter().skip(1));
    pairs.fold(false, |found, (&a, &b)| found | ((a == b'"') & (b == b'[')) | ((a == b'\\') & (b == b'u')))
}

/// Answers a request that changes nothing; the body of the answer is appended to `out`, what was decided to `decisions`.
pub fn read(
    endpoint: &Endpoint,
    asker: &Asker,
    body: &mut [u8],
    view: &dyn View,
    entropy: &mut dyn Entropy,
    decisions: &mut Vec<Decision>,
    out: &mut Vec<u8>,
) -> Result<Answer, StoreError> {
    let decoded = decode(endpoint, body);
    let mut decision = decision(endpoint, &decoded);
    let mut stages = || -> Result<Answer, Stop> {
        let decoded = decoded.as_ref().map_err(Stop::told)?;
        let command = Command::prepare(decoded, entropy, asker.now)?;
        let (outcome, changes) = command.execute(view, asker)?;
        if !changes.is_empty() {
            // `place` looks at the name that the decoder sees; should they ever differ, nothing is written unseen.
            return Err(Stop::refused(
                &Refusal::invalid("the tag must come first in the document"),
                Dialect::V5,
            ));
        }
        outcome.finish(entropy, &mut decision, out)
    };
    let result = stages();
    decisions.push(decided(decision, &result));
    answer_or_stop(result, out)
}

/// Answers requests that change something, all in one durable transaction. A request that is refused contributes
/// nothing and disturbs no other. An error means that none has changed anything.
pub fn write(
    calls: &mut [Call],
    store: &dyn Store,
    entropy: &mut dyn Entropy,
) -> Result<Vec<Reply>, StoreError> {
    let (mut decoded, mut askers) = (Vec::with_capacity(calls.len()), Vec::with_capacity(calls.len()));
    let mut decisions = Vec::with_capacity(calls.len());
    for Call { endpoint, asker, body, .. } in calls {
        let read = decode(endpoint, body);
        decisions.push(decision(endpoint, &read));
        decoded.push(read);
        askers.push(&*asker);
    }
    let mut prepared = Vec::with_capacity(decoded.len());
    for (decoded, asker) in decoded.iter().zip(&askers) {
        prepared.push(prepare(decoded, entropy, asker));
    }
    let mut outcomes = Vec::with_capacity(decoded.len());
    store.transact(&mut |transaction| {
        outcomes.clear();
        // A store may run this again: what was prepared is used up then.
        let mut prepared = std::mem::take(&mut prepared).into_iter();
        for (decoded, asker) in decoded.iter().zip(&askers) {
            let command = prepared.next().unwrap_or_else(|| prepare(decoded, entropy, asker));
            let executed = command.and_then(|command| command.execute(&*transaction, asker));
            outcomes.push(match executed {
                Ok((outcome, changes)) => {
                    let changed = changed(&changes);
                    transaction.apply(changes)?;
                    Ok((outcome, changed))
                }
                Err(Stop::Store(error)) => return Err(error),
                Err(told) => Err(told),
            });
        }
        Ok(())
    })?;
    let mut answers = Vec::with_capacity(outcomes.len());
    for (outcome, mut decision) in outcomes.into_iter().zip(decisions) {
        let mut body = Zeroizing::new(Vec::new());
        let finished = outcome.and_then(|(outcome, changed)| {
            changed.iter().for_each(|uid| decision.add_object(uid));
            outcome.finish(entropy, &mut decision, &mut body)
        });
        let decisions = vec![decided(decision, &finished)];
        answers.push(Reply { answer: answer_or_stop(finished, &mut body)?, body, decisions });
    }
    Ok(answers)
}

/// The beginning of what the audit log is told of a request: what it asks for.
fn decision(endpoint: &Endpoint, decoded: &Result<Decoded<'_>, (u16, String)>) -> Decision {
    match decoded {
        Ok(Decoded::Kmip(document)) => {
            Decision::on(document.root, Fields(&document.fields).text(Tag::UNIQUE_IDENTIFIER))
        }
        Ok(Decoded::ChangeAccess(_, request)) => {
            let rights = request.operations.iter().filter_map(|name| Rights::named(name));
            let rights = rights.fold(Rights::NONE, Rights::with).names().collect();
            let grant = Some((bounded(request.user_id), rights));
            Decision { grant, ..Decision::on(endpoint.name(), request.unique_identifier) }
        }
        Ok(Decoded::ListAccess(uid)) => Decision::on(endpoint.name(), Some(uid)),
        Ok(Decoded::ListOwned | Decoded::ListObtained) | Err(_) => Decision::on(endpoint.name(), None),
    }
}

/// What became of it.
fn decided(decision: Decision, result: &Result<Answer, Stop>) -> Decision {
    let reason = match result {
        Ok(_) => None,
        Err(Stop::Told { reason, .. }) => Some(*reason),
        Err(Stop::Store(_)) => Some("General Failure"),
    };
    Decision { reason, ..decision }
}

/// The objects that these changes are about.
fn changed(changes: &Changes) -> Vec<String> {
    let uids = changes.iter().map(|change| match change {
        Change::Insert(object) | Change::Replace(object) => &object.uid,
        Change::Remove { uid } | Change::Grant { uid, .. } => uid,
    });
    uids.cloned().collect()
}

fn prepare<'b>(
    decoded: &'b Result<Decoded<'b>, (u16, String)>,
    entropy: &mut dyn Entropy,
    asker: &Asker,
) -> Result<Command<'b>, Stop> {
    decoded.as_ref().map_err(Stop::told).and_then(|decoded| Command::prepare(decoded, entropy, asker.now))
}

/// KMIP's result reason for what cannot be read.
const INVALID_MESSAGE: &str = "Invalid Message";

/// Why a request goes no further: an answer is due, or the store failed.
enum Stop {
    Told { status: u16, reason: &'static str, text: String },
    Store(StoreError),
}

impl Stop {
    fn refused(refusal: &Refusal, dialect: Dialect) -> Stop {
        Stop::Told { status: refusal.status(), reason: refusal.reason(), text: refusal.text(dialect) }
    }

    fn failed(failure: Failure, dialect: Dialect) -> Stop {
        match failure {
            Failure::Refused(refusal) => Stop::refused(&refusal, dialect),
            Failure::Store(error) => Stop::Store(error),
        }
    }

    fn told(answer: &(u16, String)) -> Stop {
        Stop::Told { status: answer.0, reason: INVALID_MESSAGE, text: answer.1.clone() }
    }
}

fn answer_or_stop(result: Result<Answer, Stop>, out: &mut Vec<u8>) -> Result<Answer, StoreError> {
    match result {
        Ok(answer) => Ok(answer),
        Err(Stop::Told { status, text, .. }) => {
            out.extend_from_slice(text.as_bytes());
            Ok(Answer { status, content_type: TEXT })
        }
        Err(Stop::Store(error)) => Err(error),
    }
}

/// A body that was read.
enum Decoded<'b> {
    Kmip(dialect::Request<'b>),
    ChangeAccess(Direction, wire_access::AccessRequest<'b>),
    ListAccess(&'b str),
    ListOwned,
    ListObtained,
}

/// The first stage. An error is the status and text of the answer.
fn decode<'b>(endpoint: &'b Endpoint, body: &'b mut [u8]) -> Result<Decoded<'b>, (u16, String)> {
    match endpoint {
        Endpoint::Kmip => {
            let is_jwe = body.starts_with(b"ey");
            dialect::decode(body).map(Decoded::Kmip).map_err(|error| (422, not_kmip(error, is_jwe)))
        }
        Endpoint::ChangeAccess(direction) => match wire_access::parse(body) {
            Ok(request) => Ok(Decoded::ChangeAccess(*direction, request)),
            Err(text) => Err((400, format!("Json deserialize error: {text}"))),
        },
        Endpoint::ListAccess(uid) => Ok(Decoded::ListAccess(uid)),
        Endpoint::ListOwned => Ok(Decoded::ListOwned),
        Endpoint::ListObtained => Ok(Decoded::ListObtained),
    }
}

fn not_kmip(error: DecodeError, is_jwe: bool) -> String {
    match error {
        DecodeError::NotJson(_) if is_jwe => {
            "Not Supported: this server doesn't support JWE encryption".into()
        }
        DecodeError::NotJson(reason) => format!("Invalid Request: {reason}"),
        DecodeError::NotTtlv { dialect: Dialect::V4, reason } => format!("Codec_Error: {reason}"),
        DecodeError::NotTtlv { dialect: Dialect::V5, reason } => format!("Invalid Request: {reason}"),
    }
}

/// A request that is ready to be decided.
#[expect(clippy::large_enum_variant, reason = "it lives on the stack, for one request")]
enum Command<'b> {
    Kmip(Request<'b>, Dialect),
    ChangeAccess { direction: Direction, uid: Option<&'b str>, user: &'b str, rights: Rights },
    ListAccess(&'b str),
    ListOwned,
    ListObtained,
}

impl<'b> Command<'b> {
    fn prepare(
        decoded: &'b Decoded<'b>,
        entropy: &mut dyn Entropy,
        now: Timestamp,
    ) -> Result<Command<'b>, Stop> {
        Ok(match decoded {
            Decoded::Kmip(document) => {
                let dialect = document.dialect;
                let refused = |refusal| Stop::refused(&refusal, dialect);
                let mut request =
                    Request::decode(document.root, &document.fields, dialect).map_err(refused)?;
                request.prepare(entropy, now).map_err(refused)?;
                Command::Kmip(request, dialect)
            }
            Decoded::ChangeAccess(direction, request) => {
                let mut rights = Rights::NONE;
                for name in &request.operations {
                    rights = rights.with(Rights::named(name).ok_or_else(|| Stop::Told {
                        status: 400,
                        reason: INVALID_MESSAGE,
                        text: format!(
                            "Json deserialize error: unknown variant `{name}`, expected an operation"
                        ),
                    })?);
                }
                Command::ChangeAccess {
                    direction: *direction,
                    uid: request.unique_identifier,
                    user: request.user_id,
                    rights,
                }
            }
            Decoded::ListAccess(uid) => Command::ListAccess(uid),
            Decoded::ListOwned => Command::ListOwned,
            Decoded::ListObtained => Command::ListObtained,
        })
    }

    fn execute(self, view: &dyn View, asker: &Asker) -> Result<(Outcome<'b>, Changes), Stop> {
        let principal = &asker.principal;
        let failed = |failure| Stop::failed(failure, Dialect::V4);
        let mut json = Vec::new();
        let changes = match self {
            Command::Kmip(request, dialect) => {
                let context = Context { view, principal, now: asker.now, dialect };
                let (decided, changes) =
                    request.execute(&context).map_err(|failure| Stop::failed(failure, dialect))?;
                return Ok((Outcome::Kmip(decided, dialect), changes));
            }
            Command::ChangeAccess { direction, uid, user, rights } => {
                let changes = match uid {
                    Some(uid) => access::change(view, principal, direction, uid, user, rights),
                    None => change_global_rights(direction, rights),
                };
                listing::write_changed(user, direction == Direction::Grant, &mut json);
                changes.map_err(failed)?
            }
            Command::ListAccess(uid) => {
                let grants = access::list(view, principal, uid).map_err(failed)?;
                listing::write_grants(
                    grants.iter().map(|(user, rights)| (user.as_str(), rights.names())),
                    &mut json,
                );
                Changes::new()
            }
            Command::ListOwned => {
                let mut list = listing::Listing::begin(&mut json);
                access::each_owned(view, principal, asker.now, |uid, state, attributes| {
                    list.owned(uid, state.name(), attributes);
                    not_too_long(&list)
                })
                .map_err(failed)?;
                list.end();
                Changes::new()
            }
            Command::ListObtained => {
                let mut list = listing::Listing::begin(&mut json);
                access::each_obtained(view, principal, asker.now, |uid, owner, state, rights| {
                    list.obtained(uid, owner, state.name(), rights.names());
                    not_too_long(&list)
                })
                .map_err(failed)?;
                list.end();
                Changes::new()
            }
        };
        Ok((Outcome::Json(json), changes))
    }
}

fn not_too_long(list: &listing::Listing<'_>) -> Result<(), Refusal> {
    if list.bytes() <= limits::LIST_BYTES_MAX {
        return Ok(());
    }
    Err(Refusal::invalid(format!(
        "the list has more than {} bytes: use Locate, which answers with identifiers alone",
        limits::LIST_BYTES_MAX
    )))
}

/// Everybody may create keys: granting that says nothing new, and it cannot be taken away.
fn change_global_rights(direction: Direction, rights: Rights) -> Result<Changes, Failure> {
    match direction {
        Direction::Grant if rights == Rights::CREATE => Ok(Changes::new()),
        Direction::Revoke if rights == Rights::CREATE => {
            Err(Refusal::NotSupported("every user may create keys; that right cannot be revoked".into())
                .into())
        }
        _ => Err(Refusal::PlaceHolder.into()),
    }
}

/// A decided and, where it changed something, committed request.
#[expect(clippy::large_enum_variant, reason = "it lives on the stack, for one request")]
enum Outcome<'b> {
    Kmip(Decided<'b>, Dialect),
    Json(Vec<u8>),
}

impl Outcome<'_> {
    fn finish(
        self,
        entropy: &mut dyn Entropy,
        decision: &mut Decision,
        out: &mut Vec<u8>,
    ) -> Result<Answer, Stop> {
        match self {
            Outcome::Kmip(decided, dialect) => decided
                .finish(entropy, &mut |root, fields| {
                    let uids = Fields(fields).all(Tag::UNIQUE_IDENTIFIER).filter_map(Value::as_text);
                    // Some answers repeat what the request named: tags are no object.
                    uids.filter(|uid| !uid.starts_with('[')).for_each(|uid| decision.add_object(uid));
                    dialect::encode(dialect, root, fields, out);
                })
                .map_err(|failure| Stop::failed(failure, dialect))?,
            Outcome::Json(json) => out.extend_from_slice(&json),
        }
        Ok(Answer::OK)
    }
}
