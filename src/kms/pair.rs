//! The other half of a key pair, where what is done to one half is to be done to both.
#![forbid(unsafe_code)]

use super::attributes;
use super::object::Object;
use super::operation::Context;
use super::policy::{Authorized, authorise};
use super::refusal::{Failure, Refusal};
use super::rights::Rights;
use crate::limits;
use crate::wire::kmip::dialect::Dialect;
use crate::wire::kmip::enumeration::{link_type, object_type};

/// Whether a request is meant for both halves: clients of 4.9.1 always mean both, those of 5.x say so.
pub fn is_meant(dialect: Dialect, cascade: bool) -> bool {
    dialect == Dialect::V4 || cascade
}

/// The other halves of the pairs that `found` are of, as far as the principal has this right to them and they are not
/// among `found` themselves.
pub fn other_halves(
    found: &[Authorized],
    context: &Context<'_>,
    right: Rights,
) -> Result<Vec<Authorized>, Failure> {
    let mut others: Vec<Authorized> = Vec::new();
    for one in found {
        for uid in links_to_other_half(one.object())? {
            if found.iter().chain(&others).any(|known| known.object().uid == uid) {
                continue;
            }
            let Some(object) = context.view.object(&uid)? else { continue };
            others.extend(authorise(context.view, context.principal, object, right)?);
            if found.len() + others.len() > limits::OBJECTS_CHANGED_MAX {
                let most = limits::OBJECTS_CHANGED_MAX;
                return Err(Refusal::invalid(format!("more than {most} keys are linked: name fewer")).into());
            }
        }
    }
    Ok(others)
}

fn links_to_other_half(object: &Object) -> Result<Vec<String>, Failure> {
    match object.object_type {
        object_type::PRIVATE_KEY => attributes::linked(object, link_type::PUBLIC_KEY_LINK),
        object_type::PUBLIC_KEY => attributes::linked(object, link_type::PRIVATE_KEY_LINK),
        _ => Ok(Vec::new()),
    }
}
