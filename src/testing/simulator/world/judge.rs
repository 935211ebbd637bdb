//! Answers, held against what they answer.
#![forbid(unsafe_code)]

use super::World;
use crate::limits::Limits;
use crate::server::event::{ConnectionId, Listener};
use crate::server::{AuditMode, SPEAKS_HTTPS};
use crate::testing::simulator::http::Reply;
use crate::testing::simulator::kmip::Ask;
use crate::testing::simulator::network::Asked;
use crate::testing::simulator::recorded::Wanted;
use crate::time::Instant;
use std::time::Duration;

/// How long after it could be written again nobody is told any more that the audit log cannot.
const AUDIT_RECOVERS_WITHIN: Duration = Duration::from_secs(5);
/// How a server answers whose issuer of tokens has not told its keys yet.
const NO_KEYS_YET: &[u8] = b"The keys of the token's issuer are not there yet";
/// How it answers where the database of a tenant has failed.
const DATABASE_FAILED: [&[u8]; 2] =
    [b"The database does not answer: try again later", b"Internal server error"];
/// How it answers what it could not record.
const NOT_RECORDED: &[u8] = b"The audit log cannot be written";
/// How it answers where the answer itself would be too large at the moment.
const NO_ROOM_FOR_ANSWER: &[u8] = b"The request was carried out, but there is no room for so large an answer";

impl World<'_> {
    /// Holds an answer against its request, and against all that was promised before.
    pub(super) fn judge(&mut self, id: ConnectionId, reply: &Reply, asked: Option<Asked>, begun: Instant) {
        *self.totals.replies.entry(reply.status).or_default() += 1;
        let draining = self.machine().draining;
        let wire = self.network.open(id);
        if wire.is_misled && !wire.is_surplus {
            let is_told = reply.body == SPEAKS_HTTPS.as_bytes();
            return assert!(reply.status == 400 && reply.closes && is_told, "HTTP is spoken where TLS is");
        }
        let Some(asked) = asked else {
            assert!(
                wire.is_surplus && reply.status == 503 && reply.closes,
                "an answer that nobody asked for"
            );
            return;
        };
        self.check_leaks(&asked, reply);
        let wire = self.network.open(id);
        let is_complete = asked.end.is_some_and(|end| end <= wire.delivered);
        let busy = std::mem::take(&mut wire.busy);
        let ask = &asked.ask;
        match reply.status {
            408 => {
                let Limits { head_timeout, body_timeout, .. } = self.options.limits;
                let waited = self.clock.now().instant.saturating_since(begun);
                let is_late = waited >= head_timeout.min(body_timeout);
                return assert!(reply.closes && !is_complete && is_late, "it was in time: {ask:?}");
            }
            // What was asked for may be done.
            503 if reply.body.starts_with(NOT_RECORDED) => {
                let may_fail = self.options.audit == Some(AuditMode::Required) && self.is_unwell();
                assert!(may_fail, "the audit log is well");
                return self.lose_answered(id, asked);
            }
            // Likewise.
            500 | 503 if self.options.has_tenants() && DATABASE_FAILED.contains(&reply.body.as_slice()) => {
                assert!(self.disk.has_failed(), "the disk is well");
                self.totals.database_failures += 1;
                return self.lose_answered(id, asked);
            }
            // Likewise.
            503 if reply.body.starts_with(NO_ROOM_FOR_ANSWER) => {
                assert!(self.options.large_bodies, "no answer is large");
                return self.lose_answered(id, asked);
            }
            _ if matches!(ask, Ask::HandOver(_)) => return self.judge_hand_over(id, &asked, reply),
            503 if busy => {}
            503 if matches!(ask, Ask::Health) => {
                let has_keys = self.machine().lanes.key_sets_told > 0 || !self.options.tokens;
                let is_well = has_keys && self.is_vouched_for() && !self.is_unwell();
                assert!(draining || !is_well, "the server is well");
            }
            503 if reply.body.starts_with(NO_KEYS_YET) || matches!(ask, Ask::Version { head_only: true }) => {
                let may_be_held = self.options.audit == Some(AuditMode::Required);
                let is_early = self.machine().lanes.key_sets_told == 0 || may_be_held;
                return assert!(self.options.tokens && is_early, "the issuer's keys are there");
            }
            503 => return assert!(reply.closes && asked.is_large, "there was room for {ask:?}"),
            status => {
                if let Ask::Rubbish { status: expected, .. } = ask {
                    // Where an owner was waited for, tokens are asked for afterwards.
                    let is_over =
                        self.network.open(id).listener == Listener::Bootstrap && !self.machine().waits;
                    let is_expected =
                        status == *expected || (is_over && self.options.tokens && status == 401);
                    return assert!(!busy && is_expected, "{status} for {ask:?}");
                }
                assert!(!busy, "the lane had no room for {ask:?}, which was answered {status}");
                self.check_recorded(id, ask, status);
                let wire = self.network.open(id);
                self.totals.databases += u64::from(matches!(ask, Ask::NewDatabase));
                match ask {
                    Ask::Version { .. } | Ask::Metrics => assert_eq!(status, 200),
                    Ask::Proof { path } => {
                        let path = path.clone();
                        self.judge_proof(&path, reply);
                    }
                    Ask::Health => {
                        assert!(status == 200 && reply.body.starts_with(b"{\"status\":\"UP\""));
                        assert!(self.is_vouched_for(), "a server without a valid certificate is well");
                    }
                    _ if wire.attended => self.model.answered(wire.client, &asked, reply),
                    _ => {}
                }
            }
        }
        assert!(is_complete, "answered before it was asked: {:?}", asked.ask);
        assert!(!reply.closes || draining, "the connection ends for no reason after {:?}", asked.ask);
    }

    /// A proof is there from when the server was told of it until its port is closed.
    fn judge_proof(&mut self, path: &str, reply: &Reply) {
        let machine = self.machine();
        let content =
            machine.proof.as_ref().filter(|proof| proof.path == path).map(|proof| proof.content.as_bytes());
        match reply.status {
            200 => assert_eq!(Some(reply.body.as_slice()), content, "{path} is no proof that was asked for"),
            status => assert!(status == 404 && content.is_none(), "{path} is answered {status}"),
        }
        if reply.status == 200 {
            self.totals.proofs += 1;
            self.machine().lanes.authority.found(path);
        }
    }

    /// Holds an answer against what was handed over.
    fn judge_hand_over(&mut self, id: ConnectionId, asked: &Asked, reply: &Reply) {
        let Ask::HandOver(hand_over) = asked.ask else { unreachable!("that is what was asked") };
        let wire = self.network.open(id);
        let is_complete = asked.end.is_some_and(|end| end <= wire.delivered);
        assert!(is_complete || reply.closes, "answered before it was asked: {hand_over:?}");
        let machine = self.machine();
        let (is_open, refusals) = (machine.waits && !machine.draining, machine.lanes.vault.refusals);
        self.owner.judge(hand_over, reply, is_open, refusals);
    }

    /// Whether something is wrong, or was a moment ago as far as the server was told, or the lane that would find the audit
    /// log well is slow to say so.
    fn is_unwell(&mut self) -> bool {
        let now = self.clock.now().instant;
        let is_recent = |at: Instant| now < at + AUDIT_RECOVERS_WITHIN;
        self.healed.is_none_or(is_recent)
            || self.told_unrecorded.is_some_and(is_recent)
            || self.machine().lanes.is_recording()
    }

    /// An answer came that does not tell whether the request was done.
    fn lose_answered(&mut self, id: ConnectionId, asked: Asked) {
        let wire = self.network.open(id);
        if wire.attended {
            let client = wire.client;
            self.model.lose(client, asked, id);
            self.model.settle(client, id);
        }
    }

    /// What is told is recorded, and leaves, where that is required, when its line lasts.
    fn check_recorded(&mut self, id: ConnectionId, ask: &Ask, status: u16) {
        let Some(mode) = self.options.audit else { return };
        if let Some(wanted) = Wanted::told(id, status, ask) {
            self.machine().told(wanted, mode == AuditMode::Required);
        }
    }

    /// Key material leaves in the answer to a Get, and nowhere else.
    fn check_leaks(&self, asked: &Asked, reply: &Reply) {
        let tells_key = matches!(asked.ask, Ask::Get { .. } | Ask::Batch { .. }) && reply.status == 200;
        let shown = self.model.materials.find(&reply.body).filter(|_| !tells_key);
        assert_eq!(shown, None, "the answer to {:?} shows a key", asked.ask);
        let tells_data = matches!(asked.ask, Ask::Decrypt(_)) && reply.status == 200;
        let shown = self.model.data.find(&reply.body).filter(|_| !tells_data);
        assert_eq!(shown, None, "the answer to {:?} shows what was encrypted", asked.ask);
    }
}
