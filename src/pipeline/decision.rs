//! What the audit log is told of a request: every stage adds what it knows.
#![forbid(unsafe_code)]

use super::command::{Decoded, Stop};
use super::{Answer, Endpoint};
use crate::audit::entry::{Decision, bounded};
use crate::kms::refusal::Refusal;
use crate::kms::rights::{NO_OBJECT, Rights};
use crate::kms::view::{Change, Changes};
use crate::wire::kmip::dialect::Dialect;
use crate::wire::kmip::enumeration::result_reason;
use crate::wire::ttlv::{Fields, Item, Tag, Value};

impl Endpoint {
    /// What the operation is called where the request does not say it.
    pub fn name(&self) -> &'static str {
        use crate::kms::access::Direction;
        match self {
            Endpoint::Kmip | Endpoint::KmipMessage | Endpoint::KmipBinary | Endpoint::Canonical { .. } => {
                "Unknown"
            }
            Endpoint::ChangeAccess(Direction::Grant) => "GrantAccess",
            Endpoint::ChangeAccess(Direction::Revoke) => "RevokeAccess",
            Endpoint::ListAccess(_) => "ListAccess",
            Endpoint::ListOwned => "ListOwned",
            Endpoint::ListObtained => "ListObtained",
            Endpoint::MayMake => "HasCreatePermission",
            Endpoint::IsPrivileged => "HasPrivilegedAccess",
        }
    }
}

/// What a request asks for; of a batch, each item says it itself.
pub fn begin(endpoint: &Endpoint, decoded: &Result<Decoded<'_>, (u16, String)>) -> Decision {
    match decoded {
        Ok(Decoded::Kmip(document)) => {
            Decision::on(document.root, Fields(&document.fields).text(Tag::UNIQUE_IDENTIFIER))
        }
        Ok(Decoded::NoMessage(why, _)) => {
            Decision { reason: Some(name_of(why.reason)), ..Decision::on(endpoint.name(), None) }
        }
        Ok(Decoded::ChangeAccess(_, request)) => {
            let rights = request.operations.iter().filter_map(|name| Rights::named(name));
            let rights = rights.fold(Rights::NONE, Rights::with).names().collect();
            let grant = Some((bounded(request.user_id), rights));
            Decision { grant, ..Decision::on(endpoint.name(), request.unique_identifier) }
        }
        Ok(Decoded::ListAccess(uid)) => Decision::on(endpoint.name(), Some(uid)),
        Ok(
            Decoded::Message { .. }
            | Decoded::ListOwned
            | Decoded::ListObtained
            | Decoded::MayMake
            | Decoded::IsPrivileged,
        )
        | Err(_) => Decision::on(endpoint.name(), None),
    }
}

/// What became of it, or of all items of a batch.
pub fn end(decisions: &mut [Decision], result: &Result<Answer, Stop>) {
    match result {
        Ok(_) => {}
        Err(Stop::Told { reason, .. }) => refuse(decisions, *reason),
        Err(Stop::Store(_) | Stop::MustWrite | Stop::MustScan) => fail(decisions),
    }
}

/// The store has failed.
pub fn fail(decisions: &mut [Decision]) {
    refuse(decisions, result_reason::GENERAL_FAILURE);
}

/// All that was not refused before is, for this reason.
fn refuse(decisions: &mut [Decision], reason: u32) {
    for decision in decisions {
        decision.reason.get_or_insert(name_of(reason));
    }
}

/// Why an item, or a request, was refused. The log is told as clients of 5.x are: their reasons say more.
pub fn reason_of(refusal: &Refusal) -> u32 {
    refusal.reason(Dialect::V5)
}

/// KMIP's name of a result reason.
pub fn name_of(reason: u32) -> &'static str {
    result_reason::ALL.name(reason).unwrap_or("General_Failure")
}

/// Adds the objects that an answer names. Some repeat what the request named: tags are no object.
pub fn add_answered(decision: &mut Decision, fields: &[Item<'_>]) {
    let uids = Fields(fields).all(Tag::UNIQUE_IDENTIFIER).filter_map(Value::as_text);
    uids.filter(|uid| !uid.starts_with('[')).for_each(|uid| decision.add_object(uid));
}

/// Adds the objects that changes are about.
pub fn add_changed(decision: &mut Decision, changes: &Changes) {
    for change in changes {
        match change {
            Change::Insert(object) | Change::Replace(object) => decision.add_object(&object.uid),
            Change::Grant { uid, .. } if uid == NO_OBJECT => {}
            Change::Amend { uid, .. } | Change::Remove { uid } | Change::Grant { uid, .. } => {
                decision.add_object(uid);
            }
        }
    }
}
