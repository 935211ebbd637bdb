//! The audit log as the core sees it: which decisions become lines, when these are handed to their lane, and which answers
//! wait for that.
//!
//! One group of lines is on its way at a time; what is decided meanwhile is the next one. What could not be written is kept,
//! as far as there is room, and tried again with what has come since.
#![forbid(unsafe_code)]

use super::Shared;
use super::answer;
use super::bootstrap::Bootstrap;
use super::connection::{Connection, Held, Phase};
use super::event::{ConnectionId, Listener};
use super::metrics;
use super::routes::{Exchange, HandOver, Identity, Route};
use crate::audit::chain::Reason;
use crate::audit::entry::{Decision, Method, Occasion};
use crate::audit::recorder::Group;
use crate::entropy::{Entropy, random};
use crate::job::{Done, Job, JobId, Work};
use crate::kms::policy::Principal;
use crate::limits;
use crate::pipeline::{Endpoint, Failed};
use crate::secret::Buffer;
use crate::time::{Instant, Now};
use crate::wire::hex;
use crate::wire::http::Refusal;
use crate::wire::json::quoted;
use log::{error, info};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Write;

/// What a client is told whose request cannot be recorded.
pub(super) const UNRECORDED: Refusal =
    Refusal { status: 503, reason: "The audit log cannot be written: try again later" };

/// The operation of whoever has shown no good certificate or token, and so could ask for nothing.
const AUTHENTICATE: &str = "Authenticate";

/// When an answer may leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leave {
    /// At once.
    Now,
    /// When its lines last.
    Recorded,
    /// Never: its lines are lost, and had to last.
    Never,
}

/// Lines on their way to the log.
pub struct Audit {
    is_required: bool,
    /// What the identifiers of requests begin with: others than those of an earlier server.
    prefix: String,
    requests: u64,
    /// The time as it is written, and when that was.
    time: (Now, String),
    /// The members of lines that wait, each with a newline, and how many these are.
    waiting: Vec<u8>,
    waiting_lines: usize,
    /// Where the next ones go, when these are on their way.
    spare: Vec<u8>,
    /// Since when.
    waiting_since: Option<Instant>,
    /// Whose answers wait for them.
    held: Vec<ConnectionId>,
    /// The same of the group that is on its way.
    on_its_way: Option<OnItsWay>,
    /// Requests that lanes have and whose connections are gone: no more than there are jobs.
    abandoned: BTreeMap<ConnectionId, Told<'static>>,
    /// Lines after the last checkpoint, and since when there are some.
    uncovered_lines: usize,
    uncovered_since: Option<Instant>,
    /// When a group was synced last, and whether there was one since that was not.
    synced_at: Instant,
    is_unsynced: bool,
    /// The file is to be opened anew.
    reopens: bool,
    /// Why it cannot be written, if it cannot.
    failure: Option<String>,
    retry_at: Option<Instant>,
    /// Lines for which there was no room meanwhile.
    lost_lines: u64,
    /// The last group was handed over.
    has_ended: bool,
}

struct OnItsWay {
    held: Vec<ConnectionId>,
    lines: usize,
}

impl Audit {
    /// Nothing is recorded yet; the first line is a checkpoint, at once.
    pub fn new(is_required: bool, entropy: &mut dyn Entropy, now: Now) -> Audit {
        let mut prefix = Vec::new();
        hex::encode(&random::<6>(entropy), &mut prefix);
        Audit {
            is_required,
            prefix: String::from_utf8(prefix).expect("digits"),
            requests: 0,
            time: (now, time_text(now)),
            waiting: Vec::new(),
            waiting_lines: 0,
            spare: Vec::new(),
            // The first checkpoint waits for nobody.
            waiting_since: Some(now.instant - limits::AUDIT_LINGER),
            held: Vec::new(),
            on_its_way: None,
            abandoned: BTreeMap::new(),
            uncovered_lines: 0,
            uncovered_since: None,
            synced_at: now.instant,
            is_unsynced: false,
            reopens: false,
            failure: None,
            retry_at: None,
            lost_lines: 0,
            has_ended: false,
        }
    }

    /// Why the log cannot be written, if it cannot.
    pub fn failure(&self) -> Option<&str> {
        self.failure.as_deref()
    }

    /// Whether answers wait for their lines.
    pub fn is_required(&self) -> bool {
        self.is_required
    }

    /// Whether lanes have requests whose connections are gone.
    pub fn has_abandoned(&self) -> bool {
        !self.abandoned.is_empty()
    }

    /// When [`Shared::write_audit`] has something to do that no event tells of.
    pub fn poll_timeout(&self) -> Option<Instant> {
        if self.on_its_way.is_some() {
            return None;
        }
        if self.retry_at.is_some() {
            return self.retry_at;
        }
        let lingers_until = self.waiting_since.map(|since| since + limits::AUDIT_LINGER);
        let checkpoint_at = self.uncovered_since.map(|since| since + limits::AUDIT_CHECKPOINT_INTERVAL);
        let sync_at = self.is_unsynced.then(|| self.synced_at + limits::AUDIT_SYNC_INTERVAL);
        [lingers_until, checkpoint_at, sync_at].into_iter().flatten().min()
    }

    /// The time as it is written.
    fn time(&mut self, now: Now) -> &str {
        if self.time.0.utc != now.utc {
            self.time = (now, time_text(now));
        } else if self.time.0.utc_millis != now.utc_millis {
            let text = &mut self.time.1;
            text.truncate(text.len() - MILLIS_CHARS);
            let _ = write!(text, "{:03}Z", now.utc_millis);
            self.time.0 = now;
        }
        &self.time.1
    }

    /// Adds lines, or counts them as lost; when the answer may leave.
    fn add(&mut self, told: &Told<'_>, status: Option<u16>, decisions: &[Decision], now: Now) -> Leave {
        self.time(now);
        self.requests += 1;
        if self.waiting.len() > limits::AUDIT_WAITING_BYTES_MAX {
            self.lost_lines += decisions.len() as u64;
            return if self.is_required { Leave::Never } else { Leave::Now };
        }
        let occasion = Occasion {
            time: &self.time.1,
            request: (&self.prefix, self.requests),
            peer: &told.peer,
            user: told.user.as_deref(),
            method: told.method,
            route: told.route,
            status,
        };
        for decision in decisions {
            occasion.write(decision, &mut self.waiting);
        }
        self.waiting_lines += decisions.len();
        self.waiting_since.get_or_insert(now.instant);
        if self.is_required { Leave::Recorded } else { Leave::Now }
    }

    /// Whether what waits is to be written now.
    fn is_due(&self, now: Instant) -> bool {
        if self.on_its_way.is_some() {
            return false;
        }
        if let Some(retry_at) = self.retry_at {
            return retry_at <= now;
        }
        let is_urgent =
            self.reopens || !self.held.is_empty() || self.waiting.len() >= limits::AUDIT_GROUP_BYTES;
        is_urgent || self.poll_timeout().is_some_and(|due| due <= now)
    }

    /// All that waits, as the last group; `is_in_order` says whether nothing happened after it.
    fn take_last_group(&mut self, is_in_order: bool, now: Now) -> Group {
        if let Some(reason) = &self.failure {
            error!("lines of the audit log are lost unless it can be written now: {reason}");
        }
        self.tell_lost(now);
        self.has_ended = true;
        self.take_group(now, Some(if is_in_order { Reason::Shutdown } else { Reason::Interval }))
    }

    /// All that waits, as one group. The last one has a checkpoint, for this reason.
    fn take_group(&mut self, now: Now, end: Option<Reason>) -> Group {
        let lines = std::mem::take(&mut self.waiting_lines);
        let uncovered = self.uncovered_lines + lines;
        let is_late = self
            .uncovered_since
            .is_some_and(|since| since + limits::AUDIT_CHECKPOINT_INTERVAL <= now.instant);
        let is_due = is_late || uncovered >= limits::AUDIT_CHECKPOINT_LINES;
        let checkpoint = end.or(is_due.then_some(Reason::Interval));
        let sync = end.is_some()
            || self.reopens
            || !self.held.is_empty()
            || self.synced_at + limits::AUDIT_SYNC_INTERVAL <= now.instant;
        if sync {
            self.synced_at = now.instant;
        }
        self.is_unsynced = !sync;
        self.waiting_since = None;
        self.on_its_way = Some(OnItsWay { held: std::mem::take(&mut self.held), lines });
        Group {
            lines: std::mem::replace(&mut self.waiting, std::mem::take(&mut self.spare)),
            time: self.time(now).to_owned(),
            checkpoint,
            sync,
            reopen: std::mem::take(&mut self.reopens),
        }
    }

    /// Lines on their way.
    pub fn lines_on_their_way(&self) -> usize {
        self.on_its_way.as_ref().map_or(0, |group| group.lines)
    }

    /// A group was written, or could not be. Gives those whose answers waited for it, and whether they may leave.
    pub fn written(
        &mut self,
        group: Group,
        result: Result<(), String>,
        now: Now,
    ) -> (Vec<ConnectionId>, bool) {
        let Some(OnItsWay { held, lines }) = self.on_its_way.take() else { return (Vec::new(), false) };
        let is_written = result.is_ok();
        match result {
            Ok(()) => {
                self.retry_at = None;
                if group.checkpoint.is_some() {
                    (self.uncovered_lines, self.uncovered_since) = (0, None);
                } else if lines > 0 {
                    self.uncovered_lines += lines;
                    self.uncovered_since.get_or_insert(now.instant);
                }
                self.spare = group.lines;
                self.spare.clear();
                self.spare.shrink_to(2 * limits::AUDIT_GROUP_BYTES);
                self.recovered(now);
            }
            Err(reason) if self.has_ended => {
                error!("the last lines of the audit log, {lines} of them, are lost: {reason}");
            }
            Err(reason) => {
                if self.failure.is_none() {
                    error!("the audit log cannot be written, and is tried again until it can: {reason}");
                }
                self.failure = Some(reason);
                self.retry_at = Some(now.instant + limits::AUDIT_RETRY_INTERVAL);
                self.reopens |= group.reopen;
                // They come first again.
                let later = std::mem::replace(&mut self.waiting, group.lines);
                self.waiting.extend_from_slice(&later);
                self.waiting_lines += lines;
                self.waiting_since.get_or_insert(now.instant);
            }
        }
        (held, is_written)
    }

    /// Lines that were lost since the log could be written last.
    pub fn lost_lines(&self) -> u64 {
        self.lost_lines
    }

    fn recovered(&mut self, now: Now) {
        match self.failure.take() {
            Some(_) => info!("the audit log is written again; {} lines were lost", self.lost_lines),
            // It was only too slow.
            None if self.lost_lines > 0 => {
                error!("the audit log was written too slowly: {} lines were lost", self.lost_lines);
            }
            None => return,
        }
        self.tell_lost(now);
    }

    /// Says in the log how many lines were lost, if some were.
    fn tell_lost(&mut self, now: Now) {
        let lost = std::mem::take(&mut self.lost_lines);
        if lost > 0 {
            let time = self.time(now).to_owned();
            let line = format!("\"time\":\"{time}\",\"event\":\"lost\",\"lines\":{lost}\n");
            self.waiting.extend_from_slice(line.as_bytes());
            self.waiting_lines += 1;
            self.waiting_since.get_or_insert(now.instant);
        }
    }
}

const MILLIS_CHARS: usize = "000Z".len();

fn time_text(now: Now) -> String {
    let seconds = now.utc.to_string();
    format!("{}.{:03}Z", seconds.trim_end_matches('Z'), now.utc_millis)
}

/// Who asks for what, and how that is known.
struct Told<'t> {
    peer: Cow<'t, str>,
    user: Option<Cow<'t, str>>,
    method: Method,
    route: &'static str,
    /// The operation, where nothing more is decided.
    operation: &'static str,
}

impl Told<'_> {
    /// The same, when its connection is gone.
    fn into_owned(self) -> Told<'static> {
        let owned = |text: Cow<'_, str>| Cow::Owned(text.into_owned());
        Told { peer: owned(self.peer), user: self.user.map(owned), ..self }
    }
}

impl Route {
    /// The name of the route in the audit log, and that of the operation where the request does not say it. `None` for what
    /// everybody may ask, and decides nothing.
    fn audited(&self) -> Option<(&'static str, &'static str)> {
        Some(match self {
            Route::Kms(endpoint) => match endpoint {
                Endpoint::Kmip => ("/kmip/2_1", endpoint.name()),
                Endpoint::KmipMessage | Endpoint::KmipBinary | Endpoint::Canonical { .. } => {
                    ("/kmip", endpoint.name())
                }
                _ => ("/access", endpoint.name()),
            },
            Route::NewDatabase => ("/new_database", "NewDatabase"),
            Route::Bootstrap(hand_over) => match hand_over {
                HandOver::Database | HandOver::Tenants | HandOver::Remote(_) => {
                    ("bootstrap", "HandOverDatabase")
                }
                HandOver::Pkcs12 => ("bootstrap", "HandOverPkcs12"),
                HandOver::Password => ("bootstrap", "HandOverPassword"),
                HandOver::Start => ("bootstrap", "Start"),
                HandOver::Page | HandOver::Health | HandOver::Live => return None,
            },
            Route::Version
            | Route::Health(_)
            | Route::Options
            | Route::AttestationReport(_)
            | Route::EnclavePublicKey
            | Route::Metrics
            | Route::Proof(_)
            | Route::Elsewhere(..)
            | Route::Unknown
            | Route::Unimplemented => return None,
        })
    }
}

impl Exchange {
    /// The same of a request, which is known by its route only if whoever asks is known.
    fn audited(&self) -> Option<(&'static str, &'static str)> {
        let audited = self.route.audited();
        match self.identity {
            Identity::Refused => {
                let route = audited.map_or_else(|| metrics::name_of(&self.route), |(route, _)| route);
                Some((route, AUTHENTICATE))
            }
            Identity::OfConnection | Identity::OfToken(_) => audited,
        }
    }
}

/// What the log tells of a request beside what was decided about it, as far as its status is known. `None` for what decides
/// nothing.
fn told<'t>(
    connection: &'t Connection,
    exchange: &'t Exchange,
    status: Option<u16>,
    principal: &'t Principal,
    bootstrap: Option<&Bootstrap>,
) -> Option<Told<'t>> {
    let (route, operation) = exchange.audited()?;
    let (user, method) = match (&exchange.identity, connection.listener) {
        (Identity::OfToken(user), _) => (Some(user.0.as_str()), Method::Token),
        (Identity::Refused, _) => (None, Method::Token),
        (Identity::OfConnection, Listener::Bootstrap) => match bootstrap {
            Some(bootstrap) if bootstrap.has_token() => {
                (Some("owner").filter(|_| !matches!(status, Some(401 | 403))), Method::Token)
            }
            _ => (None, Method::None),
        },
        (Identity::OfConnection, _) => match &connection.user {
            Some(user) => (Some(user.0.as_str()), Method::Certificate),
            None => (Some(principal.0.as_str()), Method::Default),
        },
    };
    Some(Told {
        peer: connection.peer_text().into(),
        user: user.map(Cow::Borrowed),
        method,
        route,
        operation,
    })
}

impl Shared {
    /// Records what was decided about a request, which is `self.decisions` or follows from the status; when the answer
    /// may leave.
    pub(super) fn record(
        &mut self,
        connection: &Connection,
        exchange: &Exchange,
        status: u16,
        now: Now,
    ) -> Leave {
        let mut decisions = std::mem::take(&mut self.decisions);
        let (principal, bootstrap) = (&self.principal, self.bootstrap.as_ref());
        let told = || told(connection, exchange, Some(status), principal, bootstrap);
        let leave = match self.audit.as_mut().and_then(|audit| Some((audit, told()?))) {
            Some((audit, told)) => {
                if decisions.is_empty() {
                    decisions.push(Decision::on(told.operation, None));
                }
                audit.add(&told, Some(status), &decisions, now)
            }
            None => Leave::Now,
        };
        decisions.clear();
        self.decisions = decisions;
        leave
    }

    /// A connection is gone while a lane has its request: this may be done all the same, and is recorded then.
    pub(super) fn abandon(&mut self, connection: &Connection, exchange: &Exchange) {
        let Some(audit) = &mut self.audit else { return };
        let told = told(connection, exchange, None, &self.principal, self.bootstrap.as_ref());
        if let Some(told) = told {
            audit.abandoned.insert(connection.id, told.into_owned());
        }
    }

    /// Whether the connection of this request is gone, and it is to be recorded.
    pub(super) fn is_abandoned(&self, id: ConnectionId) -> bool {
        self.audit.as_ref().is_some_and(|audit| audit.abandoned.contains_key(&id))
    }

    /// A lane has answered such a request: what it has done is recorded, with the status that nobody is told.
    pub(super) fn end_abandoned(&mut self, id: ConnectionId, done: Done, now: Now) {
        let (status, mut decisions) = match done {
            Done::Answered(reply) => (reply.answer.status, reply.decisions),
            Done::Provided(result) => (self.provided(result, now).0, Vec::new()),
            Done::StoreFailed(Failed { error, decisions }) => {
                self.store_failed(&error);
                (answer::of_store_error(&error).0, decisions)
            }
            // It has done nothing, and goes no further.
            _ => (503, Vec::new()),
        };
        let Some(audit) = &mut self.audit else { return };
        let Some(told) = audit.abandoned.remove(&id) else { return };
        if decisions.is_empty() {
            decisions.push(Decision::on(told.operation, None));
        }
        audit.add(&told, Some(status), &decisions, now);
    }

    /// Records that somebody was turned away before he could ask for anything.
    pub(super) fn record_refused_authentication(&mut self, connection: &Connection, now: Now) {
        if let Some(audit) = &mut self.audit {
            let told = Told {
                peer: connection.peer_text().into(),
                user: None,
                method: Method::Certificate,
                route: "TLS",
                operation: AUTHENTICATE,
            };
            audit.add(&told, None, &[Decision::on(AUTHENTICATE, None)], now);
        }
    }

    /// Whether a request is refused because what is done could not be recorded.
    pub(super) fn refuses_unrecorded(&self, exchange: &Exchange) -> bool {
        let is_failing = |audit: &Audit| audit.is_required && audit.failure.is_some();
        self.audit.as_ref().is_some_and(is_failing) && exchange.audited().is_some()
    }

    /// Refuses a request because it could not be recorded. Its line is written when that is possible again.
    pub(super) fn refuse_unrecorded(&mut self, connection: &mut Connection, exchange: &Exchange, now: Now) {
        self.record(connection, exchange, 503, now);
        self.respond_not_recorded(connection, exchange, now);
    }

    /// Keeps the answer at the end of `self.plain_out` until its line lasts.
    pub(super) fn hold(
        &mut self,
        connection: &mut Connection,
        answer_start: usize,
        keep_alive: bool,
        head_only: bool,
    ) {
        let Some(audit) = &mut self.audit else { return };
        let answer = Buffer::new(self.plain_out[answer_start..].to_vec());
        self.plain_out[answer_start..].fill(0);
        self.plain_out.truncate(answer_start);
        audit.held.push(connection.id);
        connection.phase = Phase::Held(Box::new(Held { answer, keep_alive, head_only }));
        self.outputs.pause(connection.id);
        self.timers.set(connection.id, &mut connection.deadline, None);
    }

    /// The line of a held answer lasts, or could not be written.
    pub(super) fn release(&mut self, connection: &mut Connection, is_recorded: bool, now: Now) {
        let Phase::Held(held) = std::mem::replace(&mut connection.phase, Phase::Idle) else { return };
        self.outputs.resume(connection.id);
        match is_recorded {
            true => {
                self.plain_out.extend_from_slice(&held.answer);
                // Whatever its head says: that was before.
                let is_leaving = self.drain_until.is_some() || connection.is_leaving;
                self.after_answer(connection, held.keep_alive && !is_leaving, now);
            }
            false => {
                self.refuse(connection, UNRECORDED, held.head_only, now);
            }
        }
        self.send_answers(connection, now);
        self.resume(connection, now);
    }

    /// Counts a group that was written, or could not be.
    pub(super) fn count_audit(&mut self, is_written: bool) {
        let Some(audit) = &self.audit else { return };
        let [lines, failures, lost] = &mut self.metrics.audit;
        match is_written {
            true => {
                *lines += audit.lines_on_their_way() as u64;
                *lost += audit.lost_lines();
            }
            false => *failures += 1,
        }
    }

    /// Hands lines to their lane, if it is time.
    pub(super) fn write_audit(&mut self, now: Now) {
        // At the end, the last group has everything.
        if self.exit_code.is_some() {
            return;
        }
        if let Some(audit) = self.audit.as_mut().filter(|audit| audit.is_due(now.instant)) {
            let group = audit.take_group(now, None);
            self.outputs.submit(Job { id: JobId::Audit, work: Work::Audit(group) });
        }
    }

    /// The file of the log may be another one now.
    pub(super) fn reopen_audit(&mut self) {
        if let Some(audit) = &mut self.audit {
            audit.reopens = true;
        }
    }

    /// Ends the process, once the lanes have ended what they have begun: that is to be recorded. Of several codes, the highest
    /// one counts.
    pub(super) fn exit(&mut self, code: u8) {
        self.exit_code = self.exit_code.max(Some(code));
        self.outputs.end_lanes();
    }

    /// The lanes have ended, or one of them does not come to its end: the log has its last lines.
    pub(super) fn lanes_ended(&mut self, in_time: bool, now: Now) {
        let code = self.exit_code.unwrap_or_default();
        let last = self.audit.as_mut().map(|audit| {
            let group = audit.take_last_group(in_time && code == 0, now);
            Job { id: JobId::Audit, work: Work::Audit(group) }
        });
        self.outputs.exit(code, last);
    }

    /// What the log adds to the answer of a health check.
    pub(super) fn write_audit_health(&self, text: &mut String) {
        match self.audit.as_ref().map(Audit::failure) {
            None => {}
            Some(None) => text.push_str(",\"audit\":{\"status\":\"UP\"}"),
            Some(Some(reason)) => {
                let _ = write!(text, ",\"audit\":{{\"status\":\"DOWN\",\"reason\":{}}}", quoted(reason));
            }
        }
    }
}

#[cfg(test)]
mod tests;
