//! A message: its items in order (KMIP 2.1 section 9.2). The transaction, and whether it is committed, is the caller's.
#![forbid(unsafe_code)]

use super::Asker;
use super::command::Stop;
use super::decision;
use crate::audit::entry::Decision;
use crate::entropy::{Entropy, Stock};
use crate::kms::effort::Effort;
use crate::kms::named::Named;
use crate::kms::nonces::Ledger;
use crate::kms::operation::{Context, Request};
use crate::kms::refusal::{Failure, Refusal};
use crate::kms::view::{Changes, View};
use crate::limits;
use crate::store::Transaction;
use crate::wire::kmip::enumeration::result_reason;
use crate::wire::kmip::message::{BatchItem, Encoding, OnError, RequestMessage, ResponseMessage};
use crate::wire::ttlv::{Fields, Item, Tag, Value};

/// What the items see, and whether they may change it.
pub enum Ground<'g> {
    /// A view: the first change ends it all with [`Stop::MustWrite`]. On the reactor, a long answer ends it with
    /// [`Stop::MustScan`].
    Reading { view: &'g dyn View, on_reactor: bool },
    /// A transaction.
    Writing(&'g mut dyn Transaction),
}

impl Ground<'_> {
    fn view(&self) -> &dyn View {
        match self {
            Ground::Reading { view, .. } => *view,
            Ground::Writing(transaction) => &**transaction,
        }
    }

    fn is_reading(&self) -> bool {
        matches!(self, Ground::Reading { .. })
    }

    fn apply(&mut self, changes: Changes) -> Result<(), Stop> {
        match self {
            _ if changes.is_empty() => Ok(()),
            Ground::Reading { .. } => Err(Stop::MustWrite),
            Ground::Writing(transaction) => transaction.apply(changes).map_err(Stop::Store),
        }
    }
}

/// What came of a message.
pub struct Batch {
    /// How it is encoded.
    pub encoding: Encoding,
    /// Whether what was changed must not be committed.
    pub is_undone: bool,
}

/// What most items draw that draw anything.
const NONCE_BYTES: usize = 12;

/// Does the items of a message, each in what those before it have left. Unlike a request of its own, an item is finished
/// before its changes are applied: whether it has failed, and whether its answer is too long, decides about the others.
/// The answer is appended to `out`; of an error, there may be a part of one. `decisions` are those about the items that were
/// looked at, also before an error.
pub fn run(
    message: &RequestMessage<'_>,
    encoding: Encoding,
    asker: &Asker,
    nonces: &Ledger<'_>,
    ground: &mut Ground<'_>,
    entropy: &mut dyn Entropy,
    (decisions, out): (&mut Vec<Decision>, &mut Vec<u8>),
) -> Result<Batch, Stop> {
    let mut response = ResponseMessage::begin(Some(message), encoding, asker.now, out);
    let mut stock = Stock::of(entropy, message.items.len(), NONCE_BYTES);
    let (mut named, mut is_undone) = (Named::default(), false);
    let (effort, bytes_max) = (Effort::default(), answer_bytes_max(message));
    let are_meant = message.items.iter().any(|item| means_by_answer(item.payload));
    // Each says itself what it is about, and an earlier run does not count.
    decisions.clear();
    for (at, item) in message.items.iter().enumerate() {
        let mut decision = asker.is_audited.then(|| Decision::on(item.name(), named.about(item.payload)));
        let is_alone = message.items.len() == 1;
        if matches!(ground, Ground::Reading { on_reactor: true, .. })
            && response.bytes() > limits::INLINE_ANSWER_BYTES_MAX
        {
            return Err(Stop::MustScan);
        }
        let mut answered = Answered {
            item,
            is_alone,
            are_meant,
            response: &mut response,
            bytes_max,
            decision: &mut decision,
        };
        let run = run_item(&mut answered, &mut named, encoding, asker, (nonces, &effort), ground, &mut stock);
        decisions.extend(decision);
        let Err(failure) = run? else { continue };
        // What comes after it and names no object may have been meant for one that is not there.
        named.place_holder = None;
        if let Some(decision) = decisions.last_mut() {
            decision.reason = Some(decision::name_of(decision::reason_of(&failure)));
        }
        if message.on_error == OnError::Undo {
            is_undone = true;
            response.restart();
            message.items[..at].iter().for_each(|item| response.undone(item));
            let undone = decision::name_of(result_reason::OPERATION_CANCELED_BY_REQUESTER);
            decisions.iter_mut().take(at).for_each(|decision| decision.reason = Some(undone));
        }
        response.failed(item, failure.reason(encoding.dialect()), &failure.message(encoding.dialect()));
        if message.on_error != OnError::Continue {
            break;
        }
    }
    response.end();
    Ok(Batch { encoding, is_undone })
}

/// Whether something in here stands for a unique identifier.
fn means_by_answer(items: &[Item<'_>]) -> bool {
    items.iter().any(|item| match &item.value {
        Value::Enumeration(_) | Value::Integer(_) => item.tag == Tag::UNIQUE_IDENTIFIER,
        Value::Structure(items) => means_by_answer(items),
        _ => false,
    })
}

/// How long the whole answer may be: as the client says, and no longer than what its items brought, in hexadecimal, and some
/// more.
fn answer_bytes_max(message: &RequestMessage<'_>) -> usize {
    let sent = message.items.iter().flat_map(|item| item.payload).map(|field| match &field.value {
        Value::Bytes(bytes) => 2 * bytes.len(),
        _ => 0,
    });
    let ours = limits::MESSAGE_ANSWER_BYTES_MAX + sent.sum::<usize>();
    message.response_bytes_max.map_or(ours, |theirs| theirs.min(ours))
}

/// Where the answer to an item goes.
struct Answered<'a, 'r, 'o> {
    item: &'a BatchItem<'r>,
    is_alone: bool,
    /// Whether an item may mean an object by the answer that has named it.
    are_meant: bool,
    response: &'a mut ResponseMessage<'r, 'o>,
    bytes_max: usize,
    decision: &'a mut Option<Decision>,
}

fn run_item(
    answered: &mut Answered<'_, '_, '_>,
    named: &mut Named,
    encoding: Encoding,
    asker: &Asker,
    (nonces, effort): (&Ledger<'_>, &Effort),
    ground: &mut Ground<'_>,
    entropy: &mut dyn Entropy,
) -> Result<Result<(), Refusal>, Stop> {
    let (mut uids, mut place_holder) = (Vec::new(), None);
    nonces.begin();
    let mut stages = || -> Result<Changes, Failure> {
        let Answered { item, is_alone, are_meant, response, bytes_max, decision } = answered;
        let dialect = encoding.dialect();
        let mut request = Request::decode(item.name(), item.payload, Some(&*named), dialect)?;
        request.prepare(entropy, asker.now)?;
        // Items after this one may be about what it makes, or has located, without naming it, and not about what they may
        // not use.
        let names = request.makes_objects() || matches!(request, Request::Locate(_));
        let checks = matches!(request, Request::Check(_));
        let Asker { principal, standing, now, streams, .. } = asker;
        let context = Context {
            view: ground.view(),
            principal,
            standing: *standing,
            now: *now,
            dialect,
            streams,
            nonces,
            effort,
            is_alone: *is_alone,
        };
        let (decided, changes) = request.execute(&context)?;
        if ground.is_reading() && !changes.is_empty() {
            // What is done again where it may change something must not have been finished here.
            return Ok(changes);
        }
        let mut fits = true;
        decided.finish(entropy, &mut |_, fields| {
            if let Some(decision) = decision {
                decision::add_answered(decision, fields);
            }
            fits = if item.is_ephemeral {
                let sent: Vec<_> = fields.iter().filter(|field| field.tag != Tag::DATA).cloned().collect();
                response.succeeded(item, &sent, *bytes_max)
            } else {
                response.succeeded(item, fields, *bytes_max)
            };
            let found = || Fields(fields).all(Tag::UNIQUE_IDENTIFIER).filter_map(Value::as_text);
            if *are_meant {
                uids = found().map(str::to_owned).collect();
            }
            if names || checks {
                let (first, second) = (found().next(), found().nth(1));
                if names || first.is_none() {
                    place_holder = Some(first.filter(|_| second.is_none()).map(str::to_owned));
                }
            }
        })?;
        if let Some(decision) = decision {
            decision::add_changed(decision, &changes);
        }
        if fits { Ok(changes) } else { Err(Refusal::ResponseTooLarge.into()) }
    };
    match stages() {
        Ok(changes) => {
            ground.apply(changes)?;
            nonces.applied();
            if let Some(uid) = place_holder {
                named.place_holder = uid;
            }
            if answered.are_meant {
                named.answered.push((answered.item.name(), uids));
            }
            Ok(Ok(()))
        }
        Err(Failure::Refused(refusal)) => Ok(Err(refusal)),
        Err(Failure::Store(error)) => Err(Stop::Store(error)),
    }
}
