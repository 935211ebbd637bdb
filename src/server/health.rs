//! How the server is: `GET /health`.
#![forbid(unsafe_code)]

use super::Shared;
use super::certificate::Certificate;
use super::routes::Question;
use super::tokens::Tokens;
use crate::time::Now;
use crate::wire::json::quoted;
use std::borrow::Cow;
use std::fmt::Write;

impl Shared {
    /// Writes the answer into `self.body` and gives its status. What is not well is told under `reasons`.
    pub(super) fn write_health(&mut self, question: Question, now: Now) -> u16 {
        let store_reads = question == Question::Live || self.store_reads(now);
        let mut reasons: Vec<Cow<'static, str>> = Vec::new();
        if question == Question::Ready {
            if !store_reads {
                reasons.push("the database cannot be read".into());
            }
            if self.audit.as_ref().is_some_and(|audit| audit.is_required() && audit.failure().is_some()) {
                reasons.push("the audit log cannot be written, and is required".into());
            }
            if self.drain_until.is_some() {
                reasons.push("the server is shutting down".into());
            }
            let certificate = self.certificate.as_ref();
            reasons.extend(certificate.and_then(|certificate| fault(certificate, now)).map(Cow::from));
            reasons.extend(self.tokens.iter().flat_map(Tokens::faults).map(Cow::from));
        }
        let up = |well| if well { "UP" } else { "DOWN" };
        let mut text = format!("{{\"status\":\"{}\"", up(reasons.is_empty()));
        if !reasons.is_empty() {
            text += ",\"reasons\":[";
            for (i, reason) in reasons.iter().enumerate() {
                text += if i > 0 { "," } else { "" };
                text += &quoted(reason);
            }
            text.push(']');
        }
        if let Some(certificate) = &self.certificate {
            let days = (certificate.not_after().unix() - now.utc.unix()).div_euclid(86_400);
            let expires = certificate.not_after();
            let _ = write!(text, ",\"certificate\":{{\"expires\":\"{expires}\",\"days_left\":{days}");
            write_renewal(certificate, &mut text);
            text.push('}');
        }
        let (name, database) = (self.store.name(), up(store_reads));
        let _ = write!(
            text,
            ",\"dependencies\":{{\"database\":{{\"name\":\"{name}\",\"status\":\"{database}\"}}"
        );
        self.write_audit_health(&mut text);
        text += "}}";
        self.body.extend_from_slice(text.as_bytes());
        if reasons.is_empty() { 200 } else { 503 }
    }
}

impl Shared {
    /// Whether the database must be asked to know how it is, in its lane.
    pub(super) fn asks_elsewhere(&self) -> bool {
        !self.store.reads_at_once() && self.store.tenants().is_none()
    }

    fn store_reads(&mut self, now: Now) -> bool {
        match self.store.reads_at_once() {
            true => self.view(now).is_ok(),
            false => self.store.trouble().is_none(),
        }
    }
}

/// What is wrong with the certificate in use.
fn fault(certificate: &Certificate, now: Now) -> Option<&'static str> {
    if certificate.bot().is_some_and(|bot| !bot.status().has_certificate) {
        return Some("no certificate has been issued yet: a self-signed one is served until then");
    }
    (certificate.not_after() <= now.utc).then_some("the certificate has expired")
}

/// What the certificates bot has to say.
fn write_renewal(certificate: &Certificate, text: &mut String) {
    let Some(status) = certificate.bot().map(|bot| bot.status()) else { return };
    let _ = write!(
        text,
        ",\"self_signed\":{},\"ordering\":{},\"failures\":{}",
        !status.has_certificate, status.is_ordering, status.failures
    );
    if let Some(failure) = status.last_failure {
        let _ = write!(text, ",\"last_failure\":{}", quoted(&failure.text));
    }
    if let Some(renewal) = status.renew_at {
        let _ = write!(text, ",\"renewal\":\"{renewal}\"");
    }
}
