//! Locate (KMIP 2.1 section 6.1.29): the identifiers of the objects that have some tags and attributes.
#![forbid(unsafe_code)]

use super::super::attributes::{self, Template};
use super::super::fields::Fields;
use super::super::object::Object;
use super::super::policy::{EVERYBODY, authorise};
use super::super::refusal::{Failure, Refusal, whole};
use super::super::rights::Rights;
use super::super::state::State;
use super::super::view::Changes;
use super::{Context, Effect, Operation};
use crate::entropy::Entropy;
use crate::limits;
use crate::wire::kmip::dialect::Dialect;
use crate::wire::ttlv::{Item, Tag};
use std::collections::BTreeSet;

/// The bit of a `StorageStatusMask` that asks for destroyed objects too.
const STORAGE_STATUS_DESTROYED: i32 = 4;

/// The request.
pub struct Locate<'r> {
    tags: Vec<String>,
    filters: Vec<&'r Item<'r>>,
    items_max: usize,
    offset: usize,
    destroyed_too: bool,
}

impl<'r> Operation<'r> for Locate<'r> {
    const NAME: &'static str = "Locate";
    const EFFECT: Effect = Effect::Scans;
    const MAKES_OBJECTS: bool = false;
    /// How many there are, and the identifiers that were asked for.
    type Found = (usize, Vec<String>);

    fn decode(fields: Fields<'r>, _dialect: Dialect) -> Result<Self, Refusal> {
        let attributes = fields.structure(Tag::ATTRIBUTES)?.unwrap_or(Fields::new("Attributes", &[]));
        let template = Template::decode(attributes)?;
        let is_other = |item: &Item<'_>| template.others.iter().any(|other| std::ptr::eq(*other, item));
        let filters = attributes.items().iter();
        let filters = filters.filter(|item| item.tag != Tag::ATTRIBUTE || is_other(item)).collect();
        Ok(Locate {
            tags: template.tags.unwrap_or_default(),
            filters,
            items_max: fields.count(Tag::MAXIMUM_ITEMS)?.unwrap_or(limits::OBJECTS_READ_MAX),
            offset: fields.count(Tag::OFFSET_ITEMS)?.unwrap_or(0),
            destroyed_too: fields.integer(Tag::STORAGE_STATUS_MASK)?.unwrap_or(0) & STORAGE_STATUS_DESTROYED != 0,
        })
    }

    fn execute(&mut self, context: &Context<'_>) -> Result<(Self::Found, Changes), Failure> {
        let mut located = Vec::new();
        for uid in self.candidates(context)? {
            let Some(object) = context.view.object(&uid)? else { continue };
            let Some(found) = authorise(context.view, context.principal, object, Rights::GET_ATTRIBUTES)? else {
                continue;
            };
            if self.matches(found.object(), context)? {
                located.push(uid);
            }
        }
        let total = located.len();
        let page = located.into_iter().skip(self.offset).take(self.items_max).collect();
        Ok(((total, page), Changes::new()))
    }

    fn finish(
        self,
        (total, page): Self::Found,
        _entropy: &mut dyn Entropy,
        reply: &mut dyn FnMut(&[Item<'_>]),
    ) -> Result<(), Failure> {
        let total = i32::try_from(total).unwrap_or(i32::MAX);
        let mut items = vec![Item::integer(Tag::LOCATED_ITEMS, total)];
        items.extend(page.iter().map(|uid| Item::text(Tag::UNIQUE_IDENTIFIER, uid)));
        reply(&items);
        Ok(())
    }
}

impl Locate<'_> {
    /// The objects with the tags, or without tags all that the principal may know of: oldest first, its own before
    /// those granted to it.
    fn candidates(&self, context: &Context<'_>) -> Result<Vec<String>, Failure> {
        let view = context.view;
        if !self.tags.is_empty() {
            let tags: Vec<&str> = self.tags.iter().map(String::as_str).collect();
            return Ok(whole(view.tagged(&tags, limits::OBJECTS_READ_MAX)?)?);
        }
        let mut uids = whole(view.owned_by(&context.principal.0, limits::OBJECTS_READ_MAX)?)?;
        let mut granted = BTreeSet::new();
        for user in [context.principal.0.as_str(), EVERYBODY] {
            let grants = whole(view.grants_to(user, limits::OBJECTS_READ_MAX)?)?;
            granted.extend(grants.into_iter().map(|(uid, _)| uid));
        }
        for uid in &uids {
            granted.remove(uid);
        }
        uids.extend(granted);
        Ok(uids)
    }

    fn matches(&self, object: &Object, context: &Context<'_>) -> Result<bool, Failure> {
        let state = object.state_at(context.now);
        let visible = match context.dialect {
            Dialect::V4 => state == State::Active,
            Dialect::V5 => !state.is_destroyed() || self.destroyed_too,
        };
        if !visible || self.filters.is_empty() {
            return Ok(visible);
        }
        let items = attributes::list(object, context.now)?;
        Ok(self.filters.iter().all(|filter| items.contains(filter)))
    }
}
