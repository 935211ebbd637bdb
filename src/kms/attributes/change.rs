//! How clients change the attributes of an object: Set, Add, Modify and Delete Attribute.
//!
//! Each changes one attribute of one object, by the rules of the [table](super::table), and leaves the object within its
//! limits. A link is known by its type and a vendor attribute by its name: setting one leaves the others alone. Of the
//! list of tags each tag is a value: adding and deleting change some of them, setting and modifying all.
#![forbid(unsafe_code)]

use super::super::fields::Fields;
use super::super::object::Object;
use super::super::operation::Context;
use super::super::policy::Authorized;
use super::super::refusal::{AttributeFault, Failure, Refusal};
use super::super::rights::Rights;
use super::super::state::State;
use super::super::tags;
use super::super::target::{Ambiguity, Target};
use super::super::view::{Change, Changes};
use super::table::{self, Client, Instances};
use super::{Reference, check_dates, encode_within_limits, is_of_record, is_tag_list};
use super::{SERVER_VENDOR, is_wrapping_key, link_type_of, stored, tag_list, usage_limits, vendor_and_name};
use crate::limits;
use crate::time::Timestamp;
use crate::wire::kmip::dialect::Dialect;
use crate::wire::ttlv::{self, Encoded, Item, Tag, Value};

/// Changes the one object that `target` names: its identifier, and what is to be stored.
pub fn apply(
    target: &Target<'_>,
    context: &Context<'_>,
    operation: &'static str,
    right: Rights,
    change: impl FnOnce(&Editor, &mut Object) -> Result<(), Failure>,
) -> Result<(String, Changes), Failure> {
    let any = |_: &Authorized| true;
    let Some(found) = target.resolve_one(context, operation, right, any, Ambiguity::Refused)? else {
        return Err(Refusal::NotFound { uid: target.text.to_owned() }.into());
    };
    let mut object = found.into_object();
    let editor = Editor { operation, dialect: context.dialect, now: context.now };
    change(&editor, &mut object)?;
    Ok((object.uid.clone(), vec![Change::Replace(object)]))
}

/// The one attribute in a field of a request: `NewAttribute`, `CurrentAttribute`.
pub fn one_attribute<'r>(fields: Fields<'r>, tag: Tag) -> Result<Option<&'r Item<'r>>, Refusal> {
    match fields.structure(tag)?.map(Fields::items) {
        None => Ok(None),
        Some([item]) => Ok(Some(item)),
        Some(_) => Err(fields.refuse(tag, "must hold exactly one attribute")),
    }
}

/// Who changes attributes, and when.
pub struct Editor {
    /// The operation, for what refusals say.
    pub operation: &'static str,
    /// Whose rules apply where they differ.
    pub dialect: Dialect,
    /// When.
    pub now: Timestamp,
}

impl Editor {
    /// Gives an attribute this value, whether it had one before or not.
    pub fn set(&self, object: &mut Object, new: &Item<'_>) -> Result<(), Failure> {
        if is_tag_list(new) {
            return self.set_tags(object, &tag_list(new)?);
        }
        self.check(object, new)?;
        if is_of_record(new.tag) {
            return self.set_field(object, new);
        }
        let mut items = stored(object)?;
        let before = items.iter().position(|item| is_same_attribute(item, new));
        // KMIP 2.1 section 6.1.51; what a new key is to have instead of the old one's values is no such change.
        if self.operation == "SetAttribute"
            && items.iter().filter(|item| is_same_attribute(item, new)).count() > 1
        {
            let rule = "has several values: modify or delete one, or add another";
            let text = format!("{}: {} {rule}", self.operation, name(new));
            return Err(Refusal::attribute(AttributeFault::MultiValued, text).into());
        }
        items.retain(|item| !is_same_attribute(item, new));
        items.insert(before.unwrap_or(items.len()), self.normal(new)?);
        let encoded = self.finish(items, new.tag)?;
        object.attributes = encoded;
        Ok(())
    }

    /// Gives an attribute one more value: its first, where it may have only one.
    pub fn add(&self, object: &mut Object, new: &Item<'_>) -> Result<(), Failure> {
        if is_tag_list(new) {
            let added = tag_list(new)?;
            let all: Vec<String> = object.tags.iter().chain(&added).cloned().collect();
            return self.set_tags(object, &all);
        }
        self.check(object, new)?;
        if is_of_record(new.tag) {
            if field(object, new.tag).is_some() {
                return Err(self.is_there(new).into());
            }
            return self.set_field(object, new);
        }
        let mut items = stored(object)?;
        let is_single = table::instances(new.tag) == Instances::One || new.tag == Tag::ATTRIBUTE;
        let same = |item: &Item<'_>| item == new || (is_single && is_same_attribute(item, new));
        if items.iter().any(same) {
            return Err(self.is_there(new).into());
        }
        items.push(self.normal(new)?);
        let encoded = self.finish(items, new.tag)?;
        object.attributes = encoded;
        Ok(())
    }

    /// Gives an attribute that has a value another one; `current` says in the place of which.
    pub fn modify(
        &self,
        object: &mut Object,
        current: Option<&Item<'_>>,
        new: &Item<'_>,
    ) -> Result<(), Failure> {
        if current.is_some_and(|current| current.tag != new.tag) {
            let text = "CurrentAttribute and NewAttribute must be the same attribute";
            return Err(Refusal::invalid(format!("{}: {text}", self.operation)).into());
        }
        if is_tag_list(new) {
            return self.set_tags(object, &tag_list(new)?);
        }
        self.check(object, new)?;
        if is_of_record(new.tag) {
            return match field(object, new.tag) {
                Some(_) => self.set_field(object, new),
                None => Err(self.not_found(object, &name(new)).into()),
            };
        }
        let mut items = stored(object)?;
        let is_meant = |item: &Item<'_>| match current {
            Some(current) => item == current,
            None => is_same_attribute(item, new),
        };
        let meant: Vec<usize> = (0..items.len()).filter(|at| is_meant(&items[*at])).collect();
        match meant[..] {
            [] => return Err(self.not_found(object, &name(new)).into()),
            [at] => {
                items[at] = self.normal(new)?;
                if items.iter().enumerate().any(|(other, item)| other != at && *item == items[at]) {
                    return Err(self.is_there(new).into());
                }
            }
            _ => {
                let text = format!("{} has several values: CurrentAttribute says which", name(new));
                return Err(Refusal::invalid(format!("{}: {text}", self.operation)).into());
            }
        }
        let encoded = self.finish(items, new.tag)?;
        object.attributes = encoded;
        Ok(())
    }

    /// Takes this value away; a vendor attribute without a value stands for the one with its name.
    pub fn delete(&self, object: &mut Object, current: &Item<'_>) -> Result<(), Failure> {
        if is_tag_list(current) {
            let gone = tag_list(current)?;
            let rest: Vec<String> = object.tags.iter().filter(|tag| !gone.contains(tag)).cloned().collect();
            return self.set_tags(object, &rest);
        }
        let by_name = match vendor_and_name(current) {
            Some((vendor, name)) if !has_value(current) => Some(Reference::Vendor(vendor, name)),
            _ => None,
        };
        match by_name {
            Some(reference) => self.delete_named(object, reference),
            None => self.remove(object, current.tag, &name(current), |item| item == current),
        }
    }

    /// Takes all values of an attribute away.
    pub fn delete_named(&self, object: &mut Object, reference: Reference<'_>) -> Result<(), Failure> {
        let tag = match reference {
            Reference::Tags => return self.set_tags(object, &[]),
            Reference::Standard(tag) => tag,
            Reference::Vendor(..) => Tag::ATTRIBUTE,
        };
        self.remove(object, tag, &reference.name(), |item| reference.names(item))
    }

    fn remove(
        &self,
        object: &mut Object,
        tag: Tag,
        name: &str,
        is_meant: impl Fn(&Item<'_>) -> bool,
    ) -> Result<(), Failure> {
        let deletable = table::rule_of(tag).is_none_or(|rule| rule.deletable);
        if !deletable || (tag == Tag::USAGE_LIMITS && is_used(object)?) {
            let text = "DENIED: this attribute is server-managed and cannot be deleted by the user";
            return Err(Refusal::attribute(AttributeFault::ReadOnly, text).into());
        }
        let mut items = stored(object)?;
        let before = items.len();
        items.retain(|item| !is_meant(item));
        if items.len() == before {
            return Err(self.not_found(object, name).into());
        }
        // What the server has added may be beyond the limits: less is always possible.
        let encoded = Encoded::of(&self.dated(items));
        object.attributes = encoded;
        Ok(())
    }

    /// Whether the client may give the object this value now. The state is what the dates have made it by now: a new
    /// date changes what will be, not what was.
    fn check(&self, object: &mut Object, new: &Item<'_>) -> Result<(), Failure> {
        let state = object.state_at(self.now);
        object.state = state;
        table::check(Fields::new(self.operation, &[]), new)?;
        if is_wrapping_key(new) {
            return Err(self.read_only(new, "is decided when the object is made").into());
        }
        if vendor_and_name(new).is_some_and(|(vendor, _)| vendor == SERVER_VENDOR) {
            return Err(self.read_only(new, "is of the vendor 'y', and so the server's alone").into());
        }
        let client = table::rule_of(new.tag).map_or(Client::Always, |rule| rule.client);
        match client {
            Client::Always => {}
            Client::Never => return Err(self.read_only(new, "is set by the server alone").into()),
            Client::Once => {
                let items = stored(object)?;
                let own = field(object, new.tag);
                let before = own.as_ref().or_else(|| items.iter().find(|item| item.tag == new.tag));
                if before.is_some_and(|before| before != new) {
                    return Err(self.read_only(new, "does not change").into());
                }
            }
            Client::While(states, called) => {
                // 5.x lets SetAttribute date an activation that has been.
                let is_history = new.tag == Tag::ACTIVATION_DATE
                    && self.operation == "SetAttribute"
                    && matches!(new.value, Value::DateTime(date) if date <= self.now);
                if !states.contains(&state) && !is_history {
                    return Err(Refusal::attribute(
                        AttributeFault::WrongState,
                        format!(
                            "{}: {} can only be modified on a {called} object (current state: {})",
                            self.operation,
                            name(new),
                            state.name()
                        ),
                    )
                    .into());
                }
            }
        }
        match (new.tag, &new.value) {
            (Tag::SENSITIVE, Value::Boolean(false)) if object.is_sensitive() => {
                Err(self.read_only(new, "cannot become false again").into())
            }
            (Tag::EXTRACTABLE, Value::Boolean(true)) if !object.is_extractable() => {
                Err(self.read_only(new, "cannot become true again").into())
            }
            (Tag::PROCESS_START_DATE | Tag::PROTECT_STOP_DATE, _)
                if state == State::Active && object.date(new.tag).is_some_and(|date| date <= self.now) =>
            {
                Err(self.read_only(new, "does not change once it is reached").into())
            }
            (Tag::USAGE_LIMITS, _) if is_used(object)? => {
                Err(self.read_only(new, "do not change once the object was used").into())
            }
            _ => Ok(()),
        }
    }

    /// Sets what the object has a field for: [`Editor::check`] has let it pass.
    fn set_field(&self, object: &mut Object, new: &Item<'_>) -> Result<(), Failure> {
        match (new.tag, &new.value) {
            (Tag::CRYPTOGRAPHIC_ALGORITHM, Value::Enumeration(code)) => object.algorithm = *code,
            (Tag::CRYPTOGRAPHIC_LENGTH, Value::Integer(bits)) => object.length_bits = *bits as u32,
            (Tag::CRYPTOGRAPHIC_USAGE_MASK, Value::Integer(mask)) => object.usage_mask = *mask as u32,
            _ => return Err(self.read_only(new, "is set by the server alone").into()),
        }
        super::set(object, Vec::new(), self.now)
    }

    /// Gives the object these tags of the user, and its own system tag.
    fn set_tags(&self, object: &mut Object, user_tags: &[String]) -> Result<(), Failure> {
        let system = tags::system_tag(object.object_type);
        let user_tags: Vec<String> =
            user_tags.iter().filter(|tag| Some(tag.as_str()) != system).cloned().collect();
        let tags = tags::for_new_object(&user_tags, object.object_type, self.dialect)?;
        if tags.len() > limits::TAGS_MAX {
            let most = limits::TAGS_MAX;
            return Err(Refusal::invalid(format!("an object has at most {most} tags")).into());
        }
        object.tags = tags;
        super::set(object, Vec::new(), self.now)
    }

    /// The value as it is stored. What is left of a limit is the server's to count (KMIP 2.1 section 4.58).
    fn normal<'i>(&self, new: &Item<'i>) -> Result<Item<'i>, Refusal> {
        match new.tag {
            Tag::USAGE_LIMITS => {
                let limits = usage_limits(new)?;
                match is_partly_used(&limits) {
                    true => Err(self.read_only(new, "has a UsageLimitsCount, which the server sets alone")),
                    false => Ok(limits),
                }
            }
            _ => Ok(new.clone()),
        }
    }

    /// Dates the change and encodes the attributes of the object, within their limits.
    fn finish(&self, items: Vec<Item<'_>>, changed: Tag) -> Result<Encoded, Refusal> {
        check_dates(self.operation, &items, changed)?;
        encode_within_limits(&self.dated(items))
    }

    fn dated<'i>(&self, mut items: Vec<Item<'i>>) -> Vec<Item<'i>> {
        items.retain(|item| item.tag != Tag::LAST_CHANGE_DATE);
        items.push(Item::date_time(Tag::LAST_CHANGE_DATE, self.now));
        items
    }

    fn read_only(&self, item: &Item<'_>, rule: &str) -> Refusal {
        let text = format!("{}: {} {rule}", self.operation, name(item));
        Refusal::attribute(AttributeFault::ReadOnly, text)
    }

    fn is_there(&self, item: &Item<'_>) -> Refusal {
        let text = format!("{}: {} is there already", self.operation, name(item));
        Refusal::attribute(AttributeFault::SingleValued, text)
    }

    fn not_found(&self, object: &Object, name: &str) -> Refusal {
        let text = format!("{}: object {} has no such {name}", self.operation, object.uid);
        Refusal::attribute(AttributeFault::NotFound, text)
    }
}

/// What the object has in a field of its own, where it is known.
fn field(object: &Object, tag: Tag) -> Option<Item<'static>> {
    match tag {
        Tag::CRYPTOGRAPHIC_ALGORITHM if object.algorithm != 0 => {
            Some(Item::enumeration(tag, object.algorithm))
        }
        Tag::CRYPTOGRAPHIC_LENGTH if object.length_bits != 0 => {
            Some(Item::integer(tag, object.length_bits as i32))
        }
        Tag::CRYPTOGRAPHIC_USAGE_MASK => Some(Item::integer(tag, object.usage_mask as i32)),
        _ => None,
    }
}

/// Whether setting `new` replaces this value.
fn is_same_attribute(item: &Item<'_>, new: &Item<'_>) -> bool {
    item.tag == new.tag
        && match new.tag {
            Tag::LINK => link_type_of(item) == link_type_of(new),
            Tag::ATTRIBUTE => vendor_and_name(item) == vendor_and_name(new),
            _ => true,
        }
}

fn has_value(vendor_attribute: &Item<'_>) -> bool {
    let fields = vendor_attribute.value.children().unwrap_or_default();
    ttlv::Fields(fields).get(Tag::ATTRIBUTE_VALUE).is_some()
}

/// Whether some of the usage that the object's limits allow is used up.
fn is_used(object: &Object) -> Result<bool, Failure> {
    Ok(stored(object)?.iter().filter(|item| item.tag == Tag::USAGE_LIMITS).any(is_partly_used))
}

fn is_partly_used(usage_limits: &Item<'_>) -> bool {
    let limits = ttlv::Fields(usage_limits.value.children().unwrap_or_default());
    limits.long_integer(Tag::USAGE_LIMITS_COUNT) < limits.long_integer(Tag::USAGE_LIMITS_TOTAL)
}

/// What an attribute is called in refusals.
fn name(item: &Item<'_>) -> String {
    match vendor_and_name(item) {
        Some((vendor, name)) => format!("{vendor}/{name}"),
        None => item.tag.name().unwrap_or("(extension)").to_owned(),
    }
}
