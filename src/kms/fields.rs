//! Typed access to the fields of a request; a field of the wrong type is refused by name.
#![forbid(unsafe_code)]

use super::named::Named;
use super::refusal::Refusal;
use crate::time::Timestamp;
use crate::wire::ttlv::{Item, Tag, Value};

/// The items of one structure.
#[derive(Clone, Copy)]
pub struct Fields<'r> {
    name: &'static str,
    items: &'r [Item<'r>],
    named: Option<&'r Named>,
}

impl<'r> Fields<'r> {
    /// The fields of the structure that errors shall call `name`.
    pub fn new(name: &'static str, items: &'r [Item<'r>]) -> Fields<'r> {
        Fields { name, items, named: None }
    }

    /// The same, in a batch whose items before this one have named objects.
    pub fn after(self, named: Option<&'r Named>) -> Fields<'r> {
        Fields { named, ..self }
    }

    /// The identifier of the object that a request is about which names none: that of an item before it in its batch
    /// (KMIP 2.1 section 6, ID Placeholder).
    pub fn place_holder(self) -> Option<&'r str> {
        self.named?.place_holder.as_deref()
    }

    /// All of them, in order.
    pub fn items(self) -> &'r [Item<'r>] {
        self.items
    }

    /// The first value of this tag.
    pub fn value(self, tag: Tag) -> Option<&'r Value<'r>> {
        self.items.iter().find(|item| item.tag == tag).map(|item| &item.value)
    }

    /// A structure.
    pub fn structure(self, tag: Tag) -> Result<Option<Fields<'r>>, Refusal> {
        match self.value(tag) {
            None => Ok(None),
            Some(Value::Structure(items)) => {
                let inner = Fields::new(tag.name().unwrap_or("(extension)"), items);
                Ok(Some(inner.after(self.named)))
            }
            Some(_) => Err(self.wrong_type(tag, "a Structure")),
        }
    }

    /// A TextString.
    pub fn text(self, tag: Tag) -> Result<Option<&'r str>, Refusal> {
        match self.value(tag) {
            None => Ok(None),
            Some(Value::Text(text)) => Ok(Some(text)),
            Some(_) => Err(self.wrong_type(tag, "a TextString")),
        }
    }

    /// A unique identifier: a TextString, or what stands for one that an item before this one has named.
    pub fn identifier(self, tag: Tag) -> Result<Option<&'r str>, Refusal> {
        match self.value(tag) {
            Some(value @ (Value::Enumeration(_) | Value::Integer(_))) => {
                let meant = self.named.and_then(|named| named.meant(value));
                let rule = "must stand for the one object that an item before this one has named";
                meant.map(Some).ok_or_else(|| self.refuse(tag, rule))
            }
            _ => self.text(tag),
        }
    }

    /// TextStrings, each with this tag.
    pub fn texts(self, tag: Tag) -> Result<Vec<&'r str>, Refusal> {
        let values = self.items.iter().filter(|item| item.tag == tag).map(|item| &item.value);
        values.map(|value| value.as_text().ok_or_else(|| self.wrong_type(tag, "a TextString"))).collect()
    }

    /// A ByteString.
    pub fn bytes(self, tag: Tag) -> Result<Option<&'r [u8]>, Refusal> {
        match self.value(tag) {
            None => Ok(None),
            Some(Value::Bytes(bytes)) => Ok(Some(bytes)),
            Some(_) => Err(self.wrong_type(tag, "a ByteString")),
        }
    }

    /// An Integer.
    pub fn integer(self, tag: Tag) -> Result<Option<i32>, Refusal> {
        match self.value(tag) {
            None => Ok(None),
            Some(Value::Integer(number)) => Ok(Some(*number)),
            Some(_) => Err(self.wrong_type(tag, "an Integer")),
        }
    }

    /// An Integer that must not be negative.
    pub fn count(self, tag: Tag) -> Result<Option<usize>, Refusal> {
        self.integer(tag)?
            .map(|n| usize::try_from(n).map_err(|_| self.refuse(tag, "must not be negative")))
            .transpose()
    }

    /// An Enumeration, as its code.
    pub fn enumeration(self, tag: Tag) -> Result<Option<u32>, Refusal> {
        match self.value(tag) {
            None => Ok(None),
            Some(Value::Enumeration(code)) => Ok(Some(*code)),
            Some(_) => Err(self.wrong_type(tag, "an Enumeration")),
        }
    }

    /// A Boolean; absent is false.
    pub fn boolean(self, tag: Tag) -> Result<bool, Refusal> {
        match self.value(tag) {
            None => Ok(false),
            Some(Value::Boolean(value)) => Ok(*value),
            Some(_) => Err(self.wrong_type(tag, "a Boolean")),
        }
    }

    /// A DateTime.
    pub fn date(self, tag: Tag) -> Result<Option<Timestamp>, Refusal> {
        match self.value(tag) {
            None => Ok(None),
            Some(Value::DateTime(date)) => Ok(Some(*date)),
            Some(_) => Err(self.wrong_type(tag, "a DateTime")),
        }
    }

    /// An Interval in seconds; clients of 5.x send some as an Integer.
    pub fn interval(self, tag: Tag) -> Result<Option<u32>, Refusal> {
        match self.value(tag) {
            None => Ok(None),
            Some(Value::Interval(seconds)) => Ok(Some(*seconds)),
            Some(Value::Integer(seconds @ 0..)) => Ok(Some(*seconds as u32)),
            Some(_) => Err(self.wrong_type(tag, "an Interval")),
        }
    }

    /// A LongInteger.
    pub fn long_integer(self, tag: Tag) -> Result<Option<i64>, Refusal> {
        match self.value(tag) {
            None => Ok(None),
            Some(Value::LongInteger(number)) => Ok(Some(*number)),
            Some(_) => Err(self.wrong_type(tag, "a LongInteger")),
        }
    }

    /// What `get` found, or a refusal that names the missing field.
    pub fn required<T>(self, tag: Tag, found: Option<T>) -> Result<T, Refusal> {
        found.ok_or_else(|| {
            Refusal::invalid(format!(
                "{}: missing field `{}`",
                self.name,
                tag.name().unwrap_or("(extension)")
            ))
        })
    }

    /// A refusal of this field's value.
    pub fn refuse(self, tag: Tag, reason: &str) -> Refusal {
        Refusal::invalid(format!("{}: {} {reason}", self.name, tag.name().unwrap_or("(extension)")))
    }

    fn wrong_type(self, tag: Tag, expected: &str) -> Refusal {
        self.refuse(tag, &format!("must be {expected}"))
    }
}
