//! What a request is about: one unique identifier, or all objects that carry some tags.
#![forbid(unsafe_code)]

use super::fields::Fields;
use super::operation::Context;
use super::policy::{Authorized, authorise};
use super::refusal::{Failure, Refusal};
use super::rights::Rights;
use super::tags;
use crate::limits;
use crate::wire::ttlv::{Item, Tag};

/// The object or objects that a request names.
pub struct Target<'r> {
    /// As the request named it; answers echo it.
    pub text: &'r str,
    tags: Option<Vec<String>>,
}

impl<'r> Target<'r> {
    /// Reads the `UniqueIdentifier` of a request.
    pub fn decode(fields: Fields<'r>) -> Result<Target<'r>, Refusal> {
        match fields.text(Tag::UNIQUE_IDENTIFIER)? {
            None | Some("") => Err(Refusal::PlaceHolder),
            Some(text) => Target::parse(text),
        }
    }

    fn parse(text: &'r str) -> Result<Target<'r>, Refusal> {
        if !text.starts_with('[') {
            return Ok(Target { text, tags: None });
        }
        match tags::parse(text) {
            Some(tags) if !tags.is_empty() => Ok(Target { text, tags: Some(tags) }),
            _ => Err(Refusal::invalid("UniqueIdentifier begins with '[' but is no JSON array of tags")),
        }
    }

    /// Every object meant that the principal has this right to, oldest first; perhaps none.
    pub fn resolve(&self, context: &Context<'_>, right: Rights) -> Result<Vec<Authorized>, Failure> {
        let uids = match &self.tags {
            None => vec![self.text.to_owned()],
            Some(tags) => {
                let tags: Vec<&str> = tags.iter().map(String::as_str).collect();
                context.view.tagged(&tags, limits::LOCATED_MAX)?
            }
        };
        let mut found = Vec::new();
        for uid in uids {
            if let Some(object) = context.view.object(&uid)? {
                found.extend(authorise(context.view, context.principal, object, right)?);
            }
        }
        Ok(found)
    }

    /// The one object meant among those that `usable` lets through. With several, the first for `operation` where the
    /// dialect takes the first; with none, what the request named is not found.
    pub fn resolve_one(
        &self,
        context: &Context<'_>,
        operation: &'static str,
        right: Rights,
        usable: impl Fn(&Authorized) -> bool,
        ambiguity: Ambiguity,
    ) -> Result<Option<Authorized>, Failure> {
        if self.tags.is_none() {
            let Some(object) = context.view.object(self.text)? else { return Ok(None) };
            return Ok(authorise(context.view, context.principal, object, right)?);
        }
        let mut found = self.resolve(context, right)?;
        found.retain(usable);
        if found.len() > 1 && ambiguity == Ambiguity::Refused {
            let target = self.text.to_owned();
            return Err(Refusal::Ambiguous { operation, target, found: found.len() }.into());
        }
        Ok(found.into_iter().next())
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
