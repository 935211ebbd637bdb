//! The attributes that a request looks for objects by (KMIP 2.1 section 6.1.29): an object must have all of them.
#![forbid(unsafe_code)]

use super::attributes;
use super::fields::Fields;
use super::object::Object;
use super::refusal::{Failure, Refusal};
use super::terms::{self, Term};
use super::view::StoreError;
use crate::limits;
use crate::time::Timestamp;
use crate::wire::ttlv::{Item, Tag, Value};

/// Attributes have so many fields on the average at most, themselves included.
const FIELDS_OF_EACH: usize = 4;

/// What an object must have.
pub struct Filters<'r> {
    /// The identifier, where it is asked for: then there is one such object at most.
    pub uid: Option<&'r str>,
    tags: Vec<String>,
    attributes: Vec<&'r Item<'r>>,
    dates: Vec<Dates>,
}

/// A date that is inside or at a limit of a range.
struct Dates {
    tag: Tag,
    first: Timestamp,
    last: Option<Timestamp>,
}

impl<'r> Filters<'r> {
    /// Reads the `Attributes` structure; without one, every object will do.
    pub fn decode(fields: Fields<'r>) -> Result<Filters<'r>, Refusal> {
        let most = limits::ATTRIBUTES_MAX;
        if fields.items().len() > most {
            return Err(Refusal::invalid(format!("there are more than {most} attributes")));
        }
        // Each is compared with all of an object's.
        let most = most * FIELDS_OF_EACH;
        if count(fields.items()) > most {
            return Err(Refusal::invalid(format!("the attributes have more than {most} fields")));
        }
        check_types(fields)?;
        let uid = fields.text(Tag::UNIQUE_IDENTIFIER)?;
        let mut filters = Filters { uid, tags: Vec::new(), attributes: Vec::new(), dates: Vec::new() };
        for item in fields.items() {
            if attributes::is_tag_list(item) {
                filters.tags.extend(attributes::tag_list(item)?);
            } else if item.tag.is_date() {
                let Value::DateTime(date) = item.value else {
                    return Err(fields.refuse(item.tag, "must be a DateTime"));
                };
                filters.add_date(item.tag, date).map_err(|reason| fields.refuse(item.tag, reason))?;
            } else {
                filters.attributes.push(item);
            }
        }
        Ok(filters)
    }

    /// One date is the very date, two are the limits of a range.
    fn add_date(&mut self, tag: Tag, date: Timestamp) -> Result<(), &'static str> {
        match self.dates.iter_mut().find(|dates| dates.tag == tag) {
            None => self.dates.push(Dates { tag, first: date, last: None }),
            Some(dates @ Dates { last: None, .. }) => {
                (dates.first, dates.last) = (dates.first.min(date), Some(dates.first.max(date)));
            }
            Some(_) => return Err("may be there twice at most, as the limits of a range"),
        }
        Ok(())
    }

    /// What all objects that match are found by.
    pub fn terms(&self) -> Vec<Term> {
        let tags = self.tags.iter().map(|tag| terms::of_tag(tag));
        tags.chain(self.attributes.iter().filter_map(|item| terms::of_attribute(item))).collect()
    }

    /// Whether the object has all that is asked for.
    pub fn match_object(&self, object: &Object, now: Timestamp) -> Result<bool, StoreError> {
        if !self.tags.iter().all(|tag| object.tags.contains(tag)) {
            return Ok(false);
        }
        if self.attributes.is_empty() && self.dates.is_empty() {
            return Ok(true);
        }
        let items = match attributes::list_with_defaults(object, now) {
            Ok(items) => items,
            Err(Failure::Store(error)) => return Err(error),
            Err(Failure::Refused(_)) => return Ok(false),
        };
        let has = |wanted: &&Item<'_>| items.iter().any(|found| agrees(wanted, found));
        Ok(self.attributes.iter().all(has) && self.dates.iter().all(|dates| dates.hold_one_of(&items)))
    }
}

impl Dates {
    fn hold_one_of(&self, items: &[Item<'_>]) -> bool {
        let range = self.first..=self.last.unwrap_or(self.first);
        items.iter().any(|item| {
            item.tag == self.tag && matches!(&item.value, Value::DateTime(date) if range.contains(date))
        })
    }
}

/// Whether an attribute, or a field of one, is what is wanted. Fields that are not asked for do not matter; of masks, the
/// bits that are asked for must be set; usage limits must leave as much as is asked for.
fn agrees(wanted: &Item<'_>, found: &Item<'_>) -> bool {
    wanted.tag == found.tag
        && match (&wanted.value, &found.value) {
            (Value::Structure(wanted), Value::Structure(found)) => {
                wanted.iter().all(|wanted| found.iter().any(|found| agrees(wanted, found)))
            }
            (Value::Integer(bits), Value::Integer(mask)) if wanted.tag == Tag::CRYPTOGRAPHIC_USAGE_MASK => {
                bits & mask == *bits
            }
            (Value::LongInteger(least), Value::LongInteger(number))
                if [Tag::USAGE_LIMITS_COUNT, Tag::USAGE_LIMITS_TOTAL].contains(&wanted.tag) =>
            {
                number >= least
            }
            (wanted, found) => wanted == found,
        }
}

/// What would match nothing by its type alone is a mistake that the client is told of.
fn check_types(fields: Fields<'_>) -> Result<(), Refusal> {
    for tag in [
        Tag::CERTIFICATE_TYPE,
        Tag::CRYPTOGRAPHIC_ALGORITHM,
        Tag::KEY_FORMAT_TYPE,
        Tag::OBJECT_TYPE,
        Tag::STATE,
    ] {
        fields.enumeration(tag)?;
    }
    for tag in [Tag::CERTIFICATE_LENGTH, Tag::CRYPTOGRAPHIC_LENGTH, Tag::CRYPTOGRAPHIC_USAGE_MASK] {
        fields.integer(tag)?;
    }
    for tag in [Tag::ALTERNATIVE_NAME, Tag::APPLICATION_SPECIFIC_INFORMATION, Tag::LINK, Tag::NAME] {
        fields.structure(tag)?;
    }
    fields.text(Tag::OBJECT_GROUP).map(drop)
}

/// Items with all that is in them.
fn count(items: &[Item<'_>]) -> usize {
    let inner = |item: &Item<'_>| item.value.children().map_or(0, count);
    items.iter().map(|item| 1 + inner(item)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn structure(tag: Tag, fields: &[Item<'static>]) -> Item<'static> {
        Item::structure(tag, fields.to_vec())
    }

    #[test]
    fn of_a_structure_only_what_is_asked_for_must_be_there() {
        let kind = Item::enumeration(Tag::LINK_TYPE, 1);
        let to = |uid: &'static str| Item::text(Tag::LINKED_OBJECT_IDENTIFIER, uid);
        let link = structure(Tag::LINK, &[kind.clone(), to("a")]);
        for (fields, expected) in [
            (vec![kind.clone(), to("a")], true),
            (vec![to("a"), kind.clone()], true),
            (vec![to("a")], true),
            (vec![kind.clone()], true),
            (vec![], true),
            (vec![to("b")], false),
            (vec![Item::enumeration(Tag::LINK_TYPE, 2), to("a")], false),
        ] {
            assert_eq!(agrees(&structure(Tag::LINK, &fields), &link), expected, "{fields:?}");
        }
        assert!(!agrees(&structure(Tag::NAME, &[]), &link));
    }

    #[test]
    fn masks_and_usage_limits_need_at_least_what_is_asked_for() {
        let mask = |bits| Item::integer(Tag::CRYPTOGRAPHIC_USAGE_MASK, bits);
        // The example of the specification.
        assert!(!agrees(&mask(0b10_0011_0001_0000), &mask(0b10_0001_0001_0000)));
        assert!(agrees(&mask(0b10_0001_0001_0000), &mask(0b10_0011_0001_0000)));
        let limits = |count| {
            let count = Item::new(Tag::USAGE_LIMITS_COUNT, Value::LongInteger(count));
            structure(Tag::USAGE_LIMITS, &[count])
        };
        assert!(agrees(&limits(5), &limits(5)) && agrees(&limits(5), &limits(6)));
        assert!(!agrees(&limits(6), &limits(5)));
    }

    #[test]
    fn two_dates_are_a_range_in_any_order_and_three_are_refused() {
        let date = |at| Item::date_time(Tag::INITIAL_DATE, Timestamp::from_unix(at));
        let matching = |dates: &[i64]| -> Vec<i64> {
            let wanted: Vec<_> = dates.iter().map(|at| date(*at)).collect();
            let filters = Filters::decode(Fields::new("Attributes", &wanted)).unwrap();
            (1..9).filter(|at| filters.dates.iter().all(|dates| dates.hold_one_of(&[date(*at)]))).collect()
        };
        assert_eq!(matching(&[4]), [4]);
        assert_eq!(matching(&[6, 4]), [4, 5, 6]);
        assert_eq!(matching(&[7, i64::MAX]), [7, 8]);
        let three = [date(1), date(2), date(3)];
        assert!(Filters::decode(Fields::new("Attributes", &three)).is_err());
    }
}
