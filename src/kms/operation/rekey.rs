//! Re-key (KMIP 2.1 section 6.1.38): a new symmetric key takes the place of an old one, with its names and tags.
#![forbid(unsafe_code)]

use super::super::attributes::change::Editor;
use super::super::attributes::{self, digest, link, link_type_of};
use super::super::fields::Fields;
use super::super::object::Object;
use super::super::policy::Authorized;
use super::super::refusal::{Failure, Refusal, whole};
use super::super::rights::Rights;
use super::super::state::State;
use super::super::symmetric;
use super::super::tags;
use super::super::target::{Ambiguity, Target};
use super::super::view::{Change, Changes};
use super::super::wrapping;
use super::{Context, Effect, Operation};
use crate::crypto::material::Material;
use crate::entropy::{Entropy, uuid_v7};
use crate::limits;
use crate::secret::Secret;
use crate::time::Timestamp;
use crate::wire::kmip::dialect::Dialect;
use crate::wire::kmip::enumeration::{link_type, object_type};
use crate::wire::ttlv::{self, Encoded, Item, Tag, Value};
use std::time::Duration;

/// The request, and from `prepare` on what the new key is made of.
pub struct ReKey<'r> {
    target: Target<'r>,
    offset: Option<u32>,
    desired: &'r [Item<'r>],
    uid: String,
    /// Random bytes, enough for the longest key: how many it takes is in the store.
    material: Secret,
}

impl<'r> Operation<'r> for ReKey<'r> {
    const NAME: &'static str = "ReKey";
    const EFFECT: Effect = Effect::Writes;
    const MAKES_OBJECTS: bool = true;
    /// The unique identifier of the new key.
    type Found = String;

    fn decode(fields: Fields<'r>, _dialect: Dialect) -> Result<Self, Refusal> {
        let desired = fields.structure(Tag::ATTRIBUTES)?.map_or(&[][..], Fields::items);
        if desired.len() > limits::ATTRIBUTES_MAX {
            let reason = format!("must hold {} attributes at most", limits::ATTRIBUTES_MAX);
            return Err(fields.refuse(Tag::ATTRIBUTES, &reason));
        }
        Ok(ReKey {
            target: Target::decode(fields)?,
            offset: fields.interval(Tag::OFFSET)?,
            desired,
            uid: String::new(),
            material: Secret::new(Vec::new()),
        })
    }

    fn prepare(&mut self, entropy: &mut dyn Entropy, _now: Timestamp) -> Result<(), Refusal> {
        let mut material = vec![0; symmetric::LENGTH_BITS_MAX as usize / 8];
        entropy.fill(&mut material);
        self.material = Secret::new(material);
        self.uid = uuid_v7(entropy);
        Ok(())
    }

    fn execute(&mut self, context: &Context<'_>) -> Result<(String, Changes), Failure> {
        let may_be_replaced = |found: &Authorized| !found.object().state.is_destroyed();
        let operation = Self::NAME;
        // Whoever may only replace a key has the new one as the old one was.
        let right = match self.desired {
            [] => Rights::REKEY,
            _ => Rights::REKEY.with(Rights::SET_ATTRIBUTE),
        };
        let found =
            self.target.resolve_one(context, operation, right, may_be_replaced, Ambiguity::Refused)?;
        let mut old = match found {
            Some(found) => found.into_object(),
            None => return Err(Refusal::NotFound { uid: self.target.text.to_owned() }.into()),
        };
        old.state = old.state_at(context.now);
        refuse_what_cannot_be_replaced(&old)?;
        let mut new = self.replacement(&old, context)?;
        if let Some(kek) = wrapping_key(&old)? {
            wrapping::wrap_at_rest(&mut new, &kek, context)?;
        }
        let editor = Editor { operation: Self::NAME, dialect: context.dialect, now: context.now };
        for desired in self.desired {
            editor.set(&mut new, desired)?;
        }
        // An offset leaves time to change over: the old key is used until the new one may be.
        let ends = match new.date(Tag::ACTIVATION_DATE) {
            Some(activation) if self.offset.is_some() && old.state == State::Active => activation,
            _ => context.now,
        };
        retire(&mut old, &new.uid, ends, context.now)?;
        // Who could use the old key can use the new one.
        let grants = whole(context.view.grants_on(&old.uid, limits::OBJECTS_CHANGED_MAX)?)?;
        let uid = new.uid.clone();
        let mut changes = vec![Change::Insert(new), Change::Replace(old)];
        changes.extend(grants.into_iter().map(|(user, rights)| Change::Grant {
            uid: uid.clone(),
            user,
            rights,
        }));
        Ok((uid, changes))
    }

    fn finish(
        self,
        uid: String,
        _entropy: &mut dyn Entropy,
        reply: &mut dyn FnMut(&[Item<'_>]),
    ) -> Result<(), Failure> {
        reply(&[Item::text(Tag::UNIQUE_IDENTIFIER, uid)]);
        Ok(())
    }
}

fn refuse_what_cannot_be_replaced(old: &Object) -> Result<(), Refusal> {
    if old.state.is_destroyed() {
        return Err(Refusal::WrongState { uid: old.uid.clone(), state: old.state });
    }
    if old.object_type != object_type::SYMMETRIC_KEY {
        return Err(Refusal::invalid("ReKey: only a SymmetricKey can be replaced"));
    }
    Ok(())
}

/// The key by which this one is wrapped as it is stored, if it is: the new one is to be as well.
fn wrapping_key(old: &Object) -> Result<Option<String>, Refusal> {
    let Some(Value::Structure(data)) = old.parts.find(Tag::KEY_WRAPPING_DATA) else { return Ok(None) };
    let key = ttlv::Fields(&data).structure(Tag::ENCRYPTION_KEY_INFORMATION);
    match key.and_then(|key| key.text(Tag::UNIQUE_IDENTIFIER)) {
        Some(uid) => Ok(Some(uid.to_owned())),
        None => {
            Err(Refusal::NotSupported(format!("ReKey: it is not said by which key {} is wrapped", old.uid)))
        }
    }
}

impl ReKey<'_> {
    /// The new key, bare. It has the attributes of the old one but those that tell of the old one's own life, and belongs to
    /// the same owner.
    fn replacement(&mut self, old: &Object, context: &Context<'_>) -> Result<Object, Failure> {
        let now = context.now;
        let length = symmetric::length_bytes(old.algorithm, old.length_bits)?;
        let material = Material::copy_of(&self.material.expose()[..length]);
        let before = attributes::stored(old)?;
        let mut items: Vec<Item<'_>> = before.iter().filter(|item| is_copied(item.tag)).cloned().collect();
        for item in &mut items {
            if item.tag == Tag::USAGE_LIMITS {
                renew_usage_limits(item);
            }
        }
        let activation = self.dates(&before, now, &mut items);
        for tag in [Tag::INITIAL_DATE, Tag::LAST_CHANGE_DATE, Tag::ORIGINAL_CREATION_DATE, Tag::ROTATE_DATE] {
            items.push(Item::date_time(tag, now));
        }
        let generation = ttlv::Fields(&before).integer(Tag::ROTATE_GENERATION).unwrap_or(0);
        items.push(Item::integer(Tag::ROTATE_GENERATION, generation.saturating_add(1)));
        items.push(Item::boolean(Tag::ROTATE_LATEST, true));
        items.push(Item::boolean(Tag::ALWAYS_SENSITIVE, old.is_sensitive()));
        if ttlv::Fields(&before).get(Tag::EXTRACTABLE).is_some() {
            items.push(Item::boolean(Tag::NEVER_EXTRACTABLE, !old.is_extractable()));
        }
        items.push(digest(material.expose()));
        items.push(link(link_type::REPLACED_OBJECT_LINK, &old.uid));
        let is_active = activation.is_some_and(|date| date <= now);
        Ok(Object {
            uid: std::mem::take(&mut self.uid),
            owner: old.owner.clone(),
            state: if is_active { State::Active } else { State::PreActive },
            material,
            attributes: Encoded::of(&items),
            // They count what the old one has done, and tell how it is wrapped.
            parts: Encoded::default(),
            tags: old.tags.clone(),
            ..*old
        })
    }

    /// Adds the dates of the new key's use to `items`, and gives that of its activation. Without an offset they are those
    /// of the old one, but for an end that has come: a key that is over replaces nothing. With an offset, all are moved
    /// as far as the activation is.
    fn dates(&self, before: &[Item<'_>], now: Timestamp, items: &mut Vec<Item<'_>>) -> Option<Timestamp> {
        let date = |tag| ttlv::Fields(before).date_time(tag);
        let old = date(Tag::ACTIVATION_DATE);
        let activation = match self.offset {
            Some(seconds) => Some(now + Duration::from_secs(seconds.into())),
            None => old,
        };
        items.extend(activation.map(|date| Item::date_time(Tag::ACTIVATION_DATE, date)));
        let moved_by = match (self.offset, old, activation) {
            (Some(_), Some(old), Some(new)) => new.unix().saturating_sub(old.unix()),
            _ => 0,
        };
        let ends = [Tag::PROTECT_STOP_DATE, Tag::DEACTIVATION_DATE];
        for tag in [Tag::PROCESS_START_DATE].into_iter().chain(ends) {
            let moved = date(tag).map(|date| Timestamp::from_unix(date.unix().saturating_add(moved_by)));
            let kept = moved.filter(|date| !ends.contains(&tag) || *date > now);
            items.extend(kept.map(|date| Item::date_time(tag, date)));
        }
        activation
    }
}

/// Whether the new key has this attribute as the old one had it (KMIP 2.1 section 6.1.38, Re-key Attribute Requirements).
fn is_copied(tag: Tag) -> bool {
    !matches!(
        tag,
        Tag::ACTIVATION_DATE
            | Tag::ALWAYS_SENSITIVE
            | Tag::ARCHIVE_DATE
            | Tag::COMPROMISE_DATE
            | Tag::COMPROMISE_OCCURRENCE_DATE
            | Tag::DEACTIVATION_DATE
            | Tag::DESTROY_DATE
            | Tag::DIGEST
            | Tag::FRESH
            | Tag::INITIAL_DATE
            | Tag::LAST_CHANGE_DATE
            | Tag::LINK
            | Tag::NEVER_EXTRACTABLE
            | Tag::ORIGINAL_CREATION_DATE
            | Tag::PROCESS_START_DATE
            | Tag::PROTECT_STOP_DATE
            | Tag::RANDOM_NUMBER_GENERATOR
            | Tag::REVOCATION_REASON
            | Tag::ROTATE_DATE
            | Tag::ROTATE_GENERATION
            | Tag::ROTATE_LATEST
    )
}

fn renew_usage_limits(item: &mut Item<'_>) {
    let Value::Structure(fields) = &mut item.value else { return };
    let Some(total) = ttlv::Fields(fields).long_integer(Tag::USAGE_LIMITS_TOTAL) else { return };
    for field in fields.to_mut().iter_mut().filter(|field| field.tag == Tag::USAGE_LIMITS_COUNT) {
        field.value = Value::LongInteger(total);
    }
}

/// Leaves the old key without its names and its user's tags, linked to the new one, and from `ends` on not in use any more.
fn retire(old: &mut Object, new_uid: &str, ends: Timestamp, now: Timestamp) -> Result<(), Failure> {
    let is_in_use = matches!(old.state, State::PreActive | State::Active);
    let ends = old.date(Tag::DEACTIVATION_DATE).map_or(ends, |before| before.min(ends)).max(now);
    let mut items = attributes::stored(old)?;
    items.retain(|item| match item.tag {
        Tag::NAME | Tag::LAST_CHANGE_DATE => false,
        Tag::DEACTIVATION_DATE => !is_in_use,
        Tag::LINK => link_type_of(item) != Some(link_type::REPLACEMENT_OBJECT_LINK),
        _ => true,
    });
    for item in items.iter_mut().filter(|item| item.tag == Tag::ROTATE_LATEST) {
        item.value = Value::Boolean(false);
    }
    items.push(link(link_type::REPLACEMENT_OBJECT_LINK, new_uid));
    items.push(Item::date_time(Tag::LAST_CHANGE_DATE, now));
    if is_in_use {
        items.push(Item::date_time(Tag::DEACTIVATION_DATE, ends));
    }
    let encoded = Encoded::of(&items);
    old.attributes = encoded;
    if is_in_use && ends <= now {
        old.state = State::Deactivated;
    }
    let system_tag = tags::system_tag(old.object_type);
    old.tags.retain(|tag| Some(tag.as_str()) == system_tag);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kms::operation::tests::{Trial, key, uid};

    #[test]
    fn a_new_key_takes_the_place_of_the_old_one_for_everybody() {
        let mut kms = Trial::over([Object { state: State::PreActive, ..key("k") }]);
        kms.ask("Activate", &[uid("k")]).unwrap();
        let mut kms = kms.user("bob", &[("k", Rights::REKEY.with(Rights::GET))]);
        let answer = kms.ask("ReKey", &[uid("k")]).unwrap();
        let new = kms.object(answer[0].value.as_text().unwrap()).unwrap();
        assert_eq!((new.owner.as_str(), new.state, new.length_bits), ("o", State::Active, 256));
        assert_ne!(new.material.expose(), [7; 32]);
        assert_eq!(kms.state("k"), Some(State::Deactivated));
        assert!(kms.ask("Get", &answer).is_ok(), "what was granted on the old one");
    }

    #[test]
    fn what_is_gone_is_not_replaced() {
        let mut kms = Trial::over([Object { state: State::Destroyed, ..key("k") }]);
        assert_eq!(kms.refused("ReKey", &[uid("k")]), "Object_Destroyed: DENIED");
    }
}
