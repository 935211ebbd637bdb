//! Locate (KMIP 2.1 section 6.1.29): the identifiers of the objects that have some tags and attributes.
//!
//! The oldest object comes first: what is added meanwhile goes to the end, and no page shows again what one before it has
//! shown. `LocatedItems`, which counts all that match, is there where all were looked at; where the page is full and many
//! more would have to be read for the number alone, it is left out, as the specification allows.
#![forbid(unsafe_code)]

use super::super::fields::Fields;
use super::super::filters::Filters;
use super::super::object::Object;
use super::super::policy::{self, Authorized, authorise};
use super::super::refusal::{Failure, Refusal};
use super::super::rights::Rights;
use super::super::state::State;
use super::super::view::{Changes, SearchEnd, StoreError};
use super::{Context, Effect, Operation};
use crate::entropy::Entropy;
use crate::limits;
use crate::wire::kmip::dialect::Dialect;
use crate::wire::kmip::enumeration::{object_group_member, storage_status_mask};
use crate::wire::ttlv::{Item, Tag, Value};
use std::ops::ControlFlow;

/// The request.
pub struct Locate<'r> {
    filters: Filters<'r>,
    items_max: Option<usize>,
    offset: usize,
    storage: i32,
    group_member: Option<u32>,
}

/// What was found.
pub struct Found {
    /// How many match, where all were looked at.
    total: Option<usize>,
    /// The identifiers that were asked for.
    page: Vec<String>,
}

impl<'r> Operation<'r> for Locate<'r> {
    const NAME: &'static str = "Locate";
    const EFFECT: Effect = Effect::Scans;
    const MAKES_OBJECTS: bool = false;
    type Found = Found;

    fn decode(fields: Fields<'r>, _dialect: Dialect) -> Result<Self, Refusal> {
        let attributes = fields.structure(Tag::ATTRIBUTES)?.unwrap_or(Fields::new("Attributes", &[]));
        let group_member = fields.enumeration(Tag::OBJECT_GROUP_MEMBER)?;
        if group_member.is_some() && attributes.value(Tag::OBJECT_GROUP).is_none() {
            return Err(fields.refuse(Tag::OBJECT_GROUP_MEMBER, "needs an ObjectGroup among the Attributes"));
        }
        Ok(Locate {
            filters: Filters::decode(attributes)?,
            items_max: fields.count(Tag::MAXIMUM_ITEMS)?,
            offset: fields.count(Tag::OFFSET_ITEMS)?.unwrap_or(0),
            storage: fields.integer(Tag::STORAGE_STATUS_MASK)?.unwrap_or(storage_status_mask::ONLINE),
            group_member,
        })
    }

    fn execute(&mut self, context: &Context<'_>) -> Result<(Found, Changes), Failure> {
        let Context { view, principal, .. } = *context;
        let right = Rights::GET_ATTRIBUTES;
        let mut count = Count::new(self);
        let mut add = |authorized: Option<Authorized>| -> Result<ControlFlow<()>, StoreError> {
            let matching = match &authorized {
                Some(found) if self.matches(found.object(), context)? => Some(&found.object().uid),
                _ => None,
            };
            Ok(count.add(matching))
        };
        let ended = match self.filters.uid {
            Some(uid) => {
                let _ = add(policy::find(view, principal, uid, right)?)?;
                SearchEnd::Complete
            }
            None => policy::search(view, principal, &self.filters.terms(), &mut |object| {
                add(authorise(view, principal, object, right)?)
            })?,
        };
        Ok((count.found(ended)?, Changes::new()))
    }

    fn finish(
        self,
        found: Found,
        _entropy: &mut dyn Entropy,
        reply: &mut dyn FnMut(&[Item<'_>]),
    ) -> Result<(), Failure> {
        let total = found.total.map(|total| i32::try_from(total).unwrap_or(i32::MAX));
        let mut items: Vec<_> =
            total.map(|total| Item::integer(Tag::LOCATED_ITEMS, total)).into_iter().collect();
        items.extend(found.page.iter().map(|uid| Item::text(Tag::UNIQUE_IDENTIFIER, uid)));
        reply(&items);
        Ok(())
    }
}

impl Locate<'_> {
    fn matches(&self, object: &Object, context: &Context<'_>) -> Result<bool, StoreError> {
        let state = object.state_at(context.now);
        let storage = match state.is_destroyed() {
            true => storage_status_mask::DESTROYED,
            false => storage_status_mask::ONLINE,
        };
        let is_asked_for = match context.dialect {
            Dialect::V4 => state == State::Active,
            Dialect::V5 => self.storage & storage != 0,
        };
        let is_fresh = || matches!(object.attributes.find(Tag::FRESH), Some(Value::Boolean(true)));
        let is_member = self.group_member != Some(object_group_member::GROUP_MEMBER_FRESH) || is_fresh();
        Ok(is_asked_for && is_member && self.filters.match_object(object, context.now)?)
    }
}

/// Counts what matches, keeps the page, and knows when nothing more is to be looked at.
struct Count {
    offset: usize,
    items_max: Option<usize>,
    /// A group has one default member: the oldest that matches.
    only_first: bool,
    matching: usize,
    page: Vec<String>,
    /// Objects that were looked at since the page is full.
    beyond: usize,
}

impl Count {
    fn new(locate: &Locate<'_>) -> Count {
        Count {
            offset: locate.offset,
            items_max: locate.items_max,
            only_first: locate.group_member == Some(object_group_member::GROUP_MEMBER_DEFAULT),
            matching: 0,
            page: Vec::new(),
            beyond: 0,
        }
    }

    fn is_full(&self) -> bool {
        self.items_max.is_some_and(|most| self.page.len() >= most)
    }

    /// Takes the next object: its identifier where it matches.
    fn add(&mut self, matching: Option<&String>) -> ControlFlow<()> {
        if self.is_full() {
            self.beyond += 1;
            if self.beyond > limits::OBJECTS_COUNTED_MAX {
                return ControlFlow::Break(());
            }
        }
        if let Some(uid) = matching {
            self.matching += 1;
            if self.matching > self.offset && !self.is_full() {
                self.page.push(uid.clone());
            }
            if self.only_first {
                return ControlFlow::Break(());
            }
        }
        ControlFlow::Continue(())
    }

    fn found(self, ended: SearchEnd) -> Result<Found, Refusal> {
        let is_whole = ended == SearchEnd::Complete || self.only_first && self.matching > 0;
        if ended == SearchEnd::TooMuch && !self.is_full() {
            return Err(Refusal::TooMany);
        }
        Ok(Found { total: is_whole.then_some(self.matching), page: self.page })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(offset: usize, items_max: Option<usize>) -> Count {
        Count { offset, items_max, only_first: false, matching: 0, page: Vec::new(), beyond: 0 }
    }

    #[test]
    fn the_number_is_told_where_it_costs_little() {
        let names: Vec<String> = (0..limits::OBJECTS_COUNTED_MAX + 6).map(|n| n.to_string()).collect();
        let mut few = count(2, Some(3));
        assert!(names[..1005].iter().all(|uid| few.add(Some(uid)).is_continue()));
        let found = few.found(SearchEnd::Complete).unwrap();
        assert_eq!((found.total, found.page.as_slice()), (Some(1005), &names[2..5]));

        let mut many = count(2, Some(3));
        assert_eq!(names.iter().position(|uid| many.add(Some(uid)).is_break()), Some(1005));
        let found = many.found(SearchEnd::Stopped).unwrap();
        assert_eq!((found.total, found.page.as_slice()), (None, &names[2..5]));
    }

    #[test]
    fn a_page_that_could_not_be_filled_is_refused() {
        let uid = "u".to_owned();
        for (items_max, is_refused) in [(None, true), (Some(3), true), (Some(2), false), (Some(0), false)] {
            let mut count = count(0, items_max);
            assert!(count.add(Some(&uid)).is_continue() && count.add(Some(&uid)).is_continue());
            assert_eq!(count.found(SearchEnd::TooMuch).is_err(), is_refused, "{items_max:?}");
        }
    }
}
