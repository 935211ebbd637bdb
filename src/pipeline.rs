//! A request on its way: decode, prepare, execute, commit, finish, encode. It only moves forward.
//!
//! The same stages serve a read in place, a scan in the bulk lane and a batch of writes in the store lane; [`place`]
//! decides which.
#![forbid(unsafe_code)]

mod batch;
mod command;
mod decision;
mod place;

use crate::audit::entry::Decision;
use crate::entropy::{Entropy, Stock};
use crate::kms::access::Direction;
use crate::kms::nonces::{Ledger, Nonces};
use crate::kms::policy::{Principal, Standing};
use crate::kms::streams::Streams;
use crate::kms::view::{Change, View};
use crate::secret::Buffer;
use crate::store::tenants::Tenant;
use crate::store::{Store, StoreError, Transaction};
use crate::time::Timestamp;
use crate::wire::json;
use crate::wire::kmip::message::Encoding;
use crate::wire::ttlv::Arena;
use command::{Command, Decoded, Outcome, Stop};

pub use place::{Place, place};

/// What a request that needs the store is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// `POST /kmip/2_1`: one operation, or a message of several, in JSON.
    Kmip,
    /// `POST /kmip` with JSON: a message.
    KmipMessage,
    /// `POST /kmip` with binary TTLV: a message.
    KmipBinary,
    /// What came by one of these and was decoded: the body holds the fields of the root in binary TTLV.
    Canonical {
        /// The tag of the root as it was written.
        root: String,
        /// How the answer is to be written.
        encoding: Encoding,
    },
    /// `POST /access/grant` and `/access/revoke`.
    ChangeAccess(Direction),
    /// `GET /access/list/{uid}`.
    ListAccess(String),
    /// `GET /access/owned`.
    ListOwned,
    /// `GET /access/obtained`.
    ListObtained,
    /// `GET /access/create`: whether who asks may make objects.
    MayMake,
    /// `GET /access/privileged`: whether who asks is a privileged user.
    IsPrivileged,
}

/// Who asks, and when.
#[derive(Clone, Debug)]
pub struct Asker {
    /// Who.
    pub principal: Principal,
    /// Whether it may make objects.
    pub standing: Standing,
    /// When.
    pub now: Timestamp,
    /// What clients have begun and not ended yet.
    pub streams: Streams,
    /// What keys have left to draw.
    pub nonces: Nonces,
    /// Whether anybody wants to know what is decided.
    pub is_audited: bool,
}

/// A request that owns all that it needs, to be answered in a lane.
pub struct Call {
    /// What it is about.
    pub endpoint: Endpoint,
    /// Who asks.
    pub asker: Asker,
    /// The body of the request.
    pub body: Buffer,
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
    pub body: Buffer,
    /// What was decided, for the audit log, if there is one: of a batch, about each item that was looked at.
    pub decisions: Vec<Decision>,
}

/// A request that the store has failed.
#[derive(Debug)]
pub struct Failed {
    /// How.
    pub error: StoreError,
    /// What it was about, for the audit log, as far as it had come: whether a commit took place that was not answered, nobody
    /// knows.
    pub decisions: Vec<Decision>,
}

impl Reply {
    /// This text, as JSON.
    pub fn json(text: &str) -> Reply {
        let mut body = Buffer::new(Vec::new());
        json::write_string(text, &mut body);
        Reply { answer: Answer::JSON, body, decisions: Vec::new() }
    }

    /// This text as it is.
    pub fn text(status: u16, text: &str) -> Reply {
        let body = Buffer::new(text.as_bytes().to_vec());
        Reply { answer: Answer { status, content_type: TEXT }, body, decisions: Vec::new() }
    }
}

const TEXT: &str = "text/plain; charset=utf-8";

impl Answer {
    const JSON: Answer = Answer { status: 200, content_type: "application/json" };
    const BINARY: Answer = Answer { status: 200, content_type: "application/octet-stream" };

    /// What an answer in this encoding is.
    fn encoded(encoding: Encoding) -> Answer {
        match encoding {
            Encoding::Json(_) => Answer::JSON,
            Encoding::Binary => Answer::BINARY,
        }
    }
}

/// A request that is taken for one that only reads.
#[derive(Clone, Copy)]
pub struct Inquiry<'q> {
    /// What it is about.
    pub endpoint: &'q Endpoint,
    /// Who asks, and when.
    pub asker: &'q Asker,
    /// Where it is answered: here, or in the bulk lane.
    pub at: Place,
}

/// What comes of a request that was taken for one that only reads.
#[derive(Debug)]
pub enum Read {
    /// Its answer; the body was appended.
    Answered(Answer),
    /// It takes too long here: the request, for the bulk lane, with the body that was appended.
    MustScan(Endpoint),
    /// It would change something: the request, for [`write`], likewise.
    MustWrite(Endpoint),
}

/// Answers a request that changes nothing; what it answers with is appended to `out`, and what was decided to `decisions`,
/// which is empty, also before an error.
pub fn read(
    Inquiry { at, endpoint, asker }: Inquiry<'_>,
    body: &mut [u8],
    view: &dyn View,
    entropy: &mut dyn Entropy,
    decisions: &mut Vec<Decision>,
    out: &mut Vec<u8>,
) -> Result<Read, StoreError> {
    let arena = Arena::new();
    let decoded = command::decode(endpoint, body, &arena);
    if at == Place::Here
        && let Ok(message @ Decoded::Message { fields, .. }) = &decoded
    {
        match place::of_message(fields) {
            Place::BulkLane => return Ok(Read::MustScan(message.encode_canonical(out))),
            Place::StoreLane => return Ok(Read::MustWrite(message.encode_canonical(out))),
            Place::Here | Place::TooLarge => {}
        }
    }
    let begin = out.len();
    decisions.extend(asker.is_audited.then(|| decision::begin(endpoint, &decoded)));
    let stages = read_stages(&decoded, asker, (view, at == Place::Here), entropy, decisions, out);
    if let Err(stop @ (Stop::MustWrite | Stop::MustScan)) = &stages
        && let Ok(decoded) = &decoded
    {
        out.truncate(begin);
        decisions.clear();
        let endpoint = decoded.encode_canonical(out);
        return Ok(match stop {
            Stop::MustWrite => Read::MustWrite(endpoint),
            _ => Read::MustScan(endpoint),
        });
    }
    decision::end(decisions, &stages);
    if stages.is_err() {
        out.truncate(begin);
    }
    answer_or_stop(stages, out).map(Read::Answered)
}

fn read_stages(
    decoded: &Result<Decoded<'_>, (u16, String)>,
    asker: &Asker,
    (view, on_reactor): (&dyn View, bool),
    entropy: &mut dyn Entropy,
    decisions: &mut Vec<Decision>,
    out: &mut Vec<u8>,
) -> Result<Answer, Stop> {
    let command = command::prepare(decoded, entropy, asker)?;
    // Whatever has to be leased has to be written.
    let nonces = asker.nonces.ledger();
    let outcome = match command {
        Command::Batch(message, encoding) => {
            let mut ground = batch::Ground::Reading { view, on_reactor };
            let batch =
                batch::run(&message, encoding, asker, &nonces, &mut ground, entropy, (decisions, out))?;
            Outcome::Batch(batch, Buffer::default())
        }
        command => {
            let (outcome, changes) = command.execute(view, asker, &nonces)?;
            if !changes.is_empty() {
                return Err(Stop::MustWrite);
            }
            outcome
        }
    };
    outcome.finish(entropy, decisions, out)
}

/// Answers requests that change something, all in one durable transaction; but a batch that is undone if one of its items
/// fails has one of its own. A request that is refused contributes nothing and disturbs no other. After an
/// error the request has changed nothing, as far as the store knows.
pub fn write(calls: &mut [Call], store: &dyn Store, entropy: &mut dyn Entropy) -> Vec<Result<Reply, Failed>> {
    let arena = Arena::new();
    let (mut decoded, mut askers) = (Vec::with_capacity(calls.len()), Vec::with_capacity(calls.len()));
    let mut begun = Vec::with_capacity(calls.len());
    for Call { endpoint, asker, body, .. } in calls {
        let read = command::decode(endpoint, body, &arena);
        begun.push(Vec::from_iter(asker.is_audited.then(|| decision::begin(endpoint, &read))));
        decoded.push(read);
        askers.push(&*asker);
    }
    let mut replies = Vec::with_capacity(decoded.len());
    while replies.len() < decoded.len() {
        let done = replies.len();
        let (decoded, askers, begun) = (&decoded[done..], &askers[done..], &mut begun[done..]);
        let together = decoded.iter().take_while(|decoded| !may_be_undone(decoded)).count().max(1);
        match write_together(
            &decoded[..together],
            &askers[..together],
            &mut begun[..together],
            store,
            entropy,
        ) {
            Ok(group) => replies.extend(group.into_iter().map(Ok)),
            Err(error) => replies.extend(begun[..together].iter_mut().map(|decisions| {
                decision::fail(decisions);
                Err(Failed { error: error.clone(), decisions: std::mem::take(decisions) })
            })),
        }
    }
    replies
}

fn may_be_undone(decoded: &Result<Decoded<'_>, (u16, String)>) -> bool {
    decoded.as_ref().is_ok_and(Decoded::may_be_undone)
}

/// What Create draws.
const IDENTIFIER_BYTES: usize = 8;
const KEY_BYTES: usize = 32;

fn write_together(
    decoded: &[Result<Decoded<'_>, (u16, String)>],
    askers: &[&Asker],
    begun: &mut [Vec<Decision>],
    store: &dyn Store,
    entropy: &mut dyn Entropy,
) -> Result<Vec<Reply>, StoreError> {
    // All requests are for one database.
    let Some(asker) = askers.first() else { return Ok(Vec::new()) };
    let mut prepared = Vec::with_capacity(decoded.len());
    let mut stock = Stock::of(entropy, decoded.len(), IDENTIFIER_BYTES + KEY_BYTES);
    for (decoded, asker) in decoded.iter().zip(askers) {
        prepared.push(command::prepare(decoded, &mut stock, asker));
    }
    drop(stock);
    let mut outcomes = Vec::with_capacity(decoded.len());
    let mut is_undone = false;
    let nonces = asker.nonces.ledger();
    let committed = store.transact(&mut |transaction| {
        outcomes.clear();
        nonces.forget();
        // A store may run this again: what was prepared is used up then.
        let mut prepared = std::mem::take(&mut prepared).into_iter();
        for ((decoded, asker), decisions) in decoded.iter().zip(askers).zip(&mut *begun) {
            let command = prepared.next().unwrap_or_else(|| command::prepare(decoded, entropy, asker));
            let outcome = command
                .and_then(|command| write_one(command, asker, &nonces, transaction, entropy, decisions));
            is_undone = matches!(&outcome, Ok(Outcome::Batch(batch, _)) if batch.is_undone);
            match outcome {
                Err(Stop::Store(error)) => return Err(error),
                outcome => outcomes.push(outcome),
            }
            if is_undone {
                return Err(UNDONE);
            }
        }
        Ok(())
    });
    // What is undone has changed nothing, as its answer says.
    if !is_undone {
        committed?;
        nonces.committed();
    }
    let mut answers = Vec::with_capacity(outcomes.len());
    for (outcome, decisions) in outcomes.into_iter().zip(begun) {
        let mut body = Buffer::new(Vec::new());
        let finished = outcome.and_then(|outcome| outcome.finish(entropy, decisions, &mut body));
        decision::end(decisions, &finished);
        let answer = answer_or_stop(finished, &mut body)?;
        answers.push(Reply { answer, body, decisions: std::mem::take(decisions) });
    }
    Ok(answers)
}

/// Ends a transaction whose only batch is undone.
const UNDONE: StoreError = StoreError::Refused("a batch is undone");

fn write_one<'b>(
    command: Command<'b>,
    asker: &Asker,
    nonces: &Ledger<'_>,
    transaction: &mut dyn Transaction,
    entropy: &mut dyn Entropy,
    decisions: &mut Vec<Decision>,
) -> Result<Outcome<'b>, Stop> {
    if let Command::Batch(message, encoding) = command {
        let mut ground = batch::Ground::Writing(transaction);
        let mut body = Buffer::default();
        let batch =
            batch::run(&message, encoding, asker, nonces, &mut ground, entropy, (decisions, &mut body))?;
        return Ok(Outcome::Batch(batch, body));
    }
    nonces.begin();
    let (outcome, changes) = command.execute(&*transaction, asker, nonces)?;
    // What an earlier run has changed was not.
    if let Some(decision) = decisions.first_mut() {
        decision.forget_objects();
    }
    // A use that fails in the end is none: it is not counted.
    let is_use = changes.iter().any(|change| matches!(change, Change::Amend { .. }));
    let outcome = match outcome {
        Outcome::Kmip(decided, dialect) if is_use && !decided.leaves_work() => {
            let mut answer = Vec::new();
            Outcome::Kmip(decided, dialect).finish(entropy, decisions, &mut answer)?;
            Outcome::Json(answer)
        }
        outcome => outcome,
    };
    if let Some(decision) = decisions.first_mut() {
        decision::add_changed(decision, &changes);
    }
    transaction.apply(changes).map_err(Stop::Store)?;
    nonces.applied();
    Ok(outcome)
}

fn answer_or_stop(result: Result<Answer, Stop>, out: &mut Vec<u8>) -> Result<Answer, StoreError> {
    match result {
        Ok(answer) => Ok(answer),
        Err(Stop::Told { status, text, .. }) => {
            out.extend_from_slice(text.as_bytes());
            Ok(Answer { status, content_type: TEXT })
        }
        Err(Stop::Store(error)) => Err(error),
        Err(Stop::MustWrite | Stop::MustScan) => {
            unreachable!("only a read meets with it, and answers by itself")
        }
    }
}
