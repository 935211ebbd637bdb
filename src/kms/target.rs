//! What a request is about: one unique identifier, or all objects that carry some tags.
#![forbid(unsafe_code)]

use super::fields::Fields;
use super::operation::Context;
use super::policy::{self, Authorized, authorise};
use super::refusal::{Failure, Refusal};
use super::rights::Rights;
use super::tags;
use super::terms::{self, Term};
use super::view::SearchEnd;
use crate::limits;
use crate::wire::ttlv::{Item, Tag};
use std::ops::ControlFlow;

/// The object or objects that a request names.
pub struct Target<'r> {
    /// As the request named it; answers echo it.
    pub text: &'r str,
    tags: Option<Vec<String>>,
}

impl<'r> Target<'r> {
    /// Reads the `UniqueIdentifier` of a request.
    pub fn decode(fields: Fields<'r>) -> Result<Target<'r>, Refusal> {
        match fields.identifier(Tag::UNIQUE_IDENTIFIER)? {
            None | Some("") => match fields.place_holder() {
                Some(uid) => Ok(Target { text: uid, tags: None }),
                None => Err(Refusal::PlaceHolder),
            },
            Some(text) => Target::parse(text),
        }
    }

    /// Reads an identifier from elsewhere in a request.
    pub fn parse(text: &'r str) -> Result<Target<'r>, Refusal> {
        if !text.starts_with('[') {
            return Ok(Target { text, tags: None });
        }
        match tags::parse(text) {
            Some(tags) if !tags.is_empty() => Ok(Target { text, tags: Some(tags) }),
            _ => Err(Refusal::invalid("UniqueIdentifier begins with '[' but is no JSON array of tags")),
        }
    }

    /// Every object meant that the principal has this right to and that is `wanted`, oldest first; perhaps none. For
    /// changes: refused where it is more than one request may change.
    pub fn resolve(
        &self,
        context: &Context<'_>,
        right: Rights,
        wanted: impl Fn(&Authorized) -> bool,
    ) -> Result<Vec<Authorized>, Failure> {
        let mut found = Vec::new();
        self.each(context, right, &mut |authorized| {
            if wanted(&authorized) {
                found.push(authorized);
            }
            if found.len() > limits::OBJECTS_CHANGED_MAX {
                let (text, most) = (self.text, limits::OBJECTS_CHANGED_MAX);
                return Err(Refusal::invalid(format!(
                    "{text} names more than {most} objects: name fewer at a time"
                )));
            }
            Ok(())
        })?;
        Ok(found)
    }

    /// The one object meant. Of several with the tags, those count that are `usable`; those of others only where the
    /// principal has none with these tags, or whoever grants everybody something on an object of his own would choose what
    /// others mean. What is named by its identifier is given whether it is usable or not, so that the caller can say why not.
    pub fn resolve_one(
        &self,
        context: &Context<'_>,
        operation: &'static str,
        right: Rights,
        usable: impl Fn(&Authorized) -> bool,
        ambiguity: Ambiguity,
    ) -> Result<Option<Authorized>, Failure> {
        if self.tags.is_none() {
            return Ok(policy::find(context.view, context.principal, self.text, right)?);
        }
        let (mut own, mut others, mut has_own) = ((None, 0), (None, 0), false);
        self.each(context, right, &mut |authorized| {
            let is_own = authorized.object().owner == context.principal.0;
            has_own |= is_own;
            if usable(&authorized) {
                let (first, count) = if is_own { &mut own } else { &mut others };
                *count += 1;
                first.get_or_insert(authorized);
            }
            Ok(())
        })?;
        let (first, count) = if has_own { own } else { others };
        if count > 1 && ambiguity == Ambiguity::Refused {
            let target = self.text.to_owned();
            return Err(Refusal::Ambiguous { operation, target, found: count }.into());
        }
        Ok(first)
    }

    /// Shows every object meant that the principal has this right to, oldest first.
    fn each(
        &self,
        context: &Context<'_>,
        right: Rights,
        show: &mut dyn FnMut(Authorized) -> Result<(), Refusal>,
    ) -> Result<(), Failure> {
        let Context { view, principal, .. } = *context;
        let Some(tags) = &self.tags else {
            return Ok(policy::find(view, principal, self.text, right)?.map_or(Ok(()), show)?);
        };
        let terms: Vec<Term> = tags.iter().map(|tag| terms::of_tag(tag)).collect();
        let mut refused = None;
        let ended = policy::search(view, principal, &terms, &mut |object| {
            refused = authorise(view, principal, object, right)?.and_then(|found| show(found).err());
            Ok(if refused.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
        })?;
        match (refused, ended) {
            (Some(refusal), _) => Err(refusal.into()),
            (None, SearchEnd::TooMuch) => Err(Refusal::TooMany.into()),
            (None, _) => Ok(()),
        }
    }

    /// The `UniqueIdentifier` of an answer that repeats the request's, as clients of Revoke, Destroy and Activate compare.
    pub fn echo(&self) -> Item<'r> {
        Item::text(Tag::UNIQUE_IDENTIFIER, self.text)
    }

    /// Whether the request names tags.
    pub fn is_tags(&self) -> bool {
        self.tags.is_some()
    }
}

/// What several objects with the same tags mean.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Ambiguity {
    /// The oldest is taken.
    TakesFirst,
    /// The request is refused.
    Refused,
}
