//! What a use of a key costs it: its usage limits (KMIP 2.1 section 4.58), which say how often or how many bytes it may
//! protect, and the random nonces that it draws ([`nonces`](super::nonces)). Limits are exact: each use that they count is
//! a change of its own.
#![forbid(unsafe_code)]

use super::attributes;
use super::object::Object;
use super::operation::Context;
use super::refusal::{Failure, Refusal};
use super::streams::Step;
use super::view::{Change, Changes};
use crate::wire::kmip::enumeration::usage_limits_unit;
use crate::wire::ttlv::{self, Encoded, Item, Tag, Value};

/// One use of a key to protect something.
#[derive(Clone, Copy)]
pub struct Use {
    /// Encrypt, MAC, Wrap.
    pub operation: &'static str,
    /// How many bytes are protected.
    pub bytes: usize,
    /// Whether a nonce is drawn for it.
    pub draws_nonce: bool,
}

/// Counts a use; most change nothing.
pub fn count(key: &Object, context: &Context<'_>, used: Use) -> Result<Changes, Failure> {
    let attributes = limited(key, used)?;
    let parts = if used.draws_nonce { context.nonces.draw(key)? } else { None };
    if attributes.is_none() && parts.is_none() {
        return Ok(Changes::new());
    }
    Ok(vec![Change::Amend {
        uid: key.uid.clone(),
        attributes: attributes.unwrap_or_else(|| key.attributes.clone()),
        parts: parts.unwrap_or_else(|| key.parts.clone()),
    }])
}

/// The same for one of several steps: all of them are one use, which the first one counts.
pub fn count_step(
    key: &Object,
    context: &Context<'_>,
    step: Step<'_>,
    used: Use,
) -> Result<Changes, Failure> {
    match step {
        Step::Only => count(key, context, used),
        Step::First if unit(key)? == Some(usage_limits_unit::BYTE) => Err(Refusal::NotSupported(format!(
            "{}: key {} may protect a number of bytes: send all at once",
            used.operation, key.uid
        ))
        .into()),
        Step::First => count(key, context, used),
        Step::Next(_) | Step::Last(_) => Ok(Changes::new()),
    }
}

fn unit(key: &Object) -> Result<Option<u32>, Failure> {
    let items = attributes::stored(key)?;
    let limits = ttlv::Fields(&items).structure(Tag::USAGE_LIMITS);
    Ok(limits.and_then(|limits| limits.enumeration(Tag::USAGE_LIMITS_UNIT)))
}

/// The attributes with what is left after this use, where the key has limits.
fn limited(key: &Object, used: Use) -> Result<Option<Encoded>, Failure> {
    if key.attributes.find(Tag::USAGE_LIMITS).is_none() {
        return Ok(None);
    }
    let mut items = attributes::stored(key)?;
    let limits = items.iter_mut().find(|item| item.tag == Tag::USAGE_LIMITS);
    let Some(Item { value: Value::Structure(fields), .. }) = limits else { return Ok(None) };
    let cost = match ttlv::Fields(fields).enumeration(Tag::USAGE_LIMITS_UNIT) {
        Some(usage_limits_unit::BYTE) => i64::try_from(used.bytes).unwrap_or(i64::MAX),
        _ => 1,
    };
    let left = fields.to_mut().iter_mut().find(|field| field.tag == Tag::USAGE_LIMITS_COUNT);
    let Some(Item { value: Value::LongInteger(left), .. }) = left else { return Ok(None) };
    if *left < cost {
        return Err(Refusal::UsageLimitExceeded { operation: used.operation, uid: key.uid.clone() }.into());
    }
    *left -= cost;
    Ok(Some(Encoded::of(&items)))
}
