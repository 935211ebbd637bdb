//! The answers of `/access/*`: plain JSON, of one form for the clients of 4.9.1 and of 5.x.
#![forbid(unsafe_code)]

use super::json::write_string;
use super::kmip::enumeration;
use super::ttlv::{Item, Value};

/// `{"success":"Access for bob successfully added"}`.
pub fn write_changed(user: &str, added: bool, out: &mut Vec<u8>) {
    let what = if added { "added" } else { "deleted" };
    out.extend_from_slice(b"{\"success\":");
    write_string(&format!("Access for {user} successfully {what}"), out);
    out.push(b'}');
}

/// `[{"user_id":"bob","operations":["get","encrypt"]}]`.
pub fn write_grants<'u, 'n, N: Iterator<Item = &'n str>>(
    grants: impl Iterator<Item = (&'u str, N)>,
    out: &mut Vec<u8>,
) {
    let mut list = Listing::begin(out);
    for (user, operations) in grants {
        list.next_object();
        list.member("user_id", user);
        list.operations(operations);
        list.out.push(b'}');
    }
    list.end();
}

/// A JSON array of objects in the making.
pub struct Listing<'o> {
    out: &'o mut Vec<u8>,
    is_empty: bool,
}

impl<'o> Listing<'o> {
    /// Opens the array.
    pub fn begin(out: &'o mut Vec<u8>) -> Listing<'o> {
        out.push(b'[');
        Listing { out, is_empty: true }
    }

    /// Bytes of the answer so far.
    pub fn bytes(&self) -> usize {
        self.out.len()
    }

    /// Closes the array.
    pub fn end(self) {
        self.out.push(b']');
    }

    /// Adds an element of `/access/owned`. Dates are left out: the two generations of clients read them differently.
    pub fn owned(&mut self, uid: &str, state: &str, attributes: &[Item<'_>]) {
        self.next_object();
        self.member("object_id", uid);
        self.out.push(b',');
        self.member("state", state);
        self.out.extend_from_slice(b",\"attributes\":{");
        let mut first = true;
        for item in attributes {
            let (Some(name), true) = (item.tag.name(), is_plain(&item.value)) else { continue };
            if !first {
                self.out.push(b',');
            }
            first = false;
            write_string(name, self.out);
            self.out.push(b':');
            write_value(item, self.out);
        }
        self.out.extend_from_slice(b"},\"is_wrapped\":false}");
    }

    /// Adds an element of `/access/obtained`.
    pub fn obtained<'g>(
        &mut self,
        uid: &str,
        owner: &str,
        state: &str,
        operations: impl Iterator<Item = &'g str>,
    ) {
        self.next_object();
        self.member("object_id", uid);
        self.out.push(b',');
        self.member("owner_id", owner);
        self.out.push(b',');
        self.member("state", state);
        self.operations(operations);
        self.out.push(b'}');
    }

    fn next_object(&mut self) {
        if !self.is_empty {
            self.out.push(b',');
        }
        self.is_empty = false;
        self.out.push(b'{');
    }

    fn member(&mut self, name: &str, value: &str) {
        write_string(name, self.out);
        self.out.push(b':');
        write_string(value, self.out);
    }

    fn operations<'g>(&mut self, names: impl Iterator<Item = &'g str>) {
        self.out.extend_from_slice(b",\"operations\":[");
        for (i, name) in names.enumerate() {
            if i > 0 {
                self.out.push(b',');
            }
            write_string(name, self.out);
        }
        self.out.push(b']');
    }
}

/// Whether an attribute has a form that both generations of clients read.
fn is_plain(value: &Value<'_>) -> bool {
    matches!(value, Value::Integer(_) | Value::Enumeration(_) | Value::Boolean(_) | Value::Text(_))
}

fn write_value(item: &Item<'_>, out: &mut Vec<u8>) {
    match &item.value {
        Value::Integer(number) => out.extend_from_slice(number.to_string().as_bytes()),
        Value::Boolean(value) => out.extend_from_slice(if *value { b"true" } else { b"false" }),
        Value::Text(text) => write_string(text, out),
        Value::Enumeration(code) => match enumeration::of(item.tag).and_then(|names| names.name(*code)) {
            Some(name) => write_string(name, out),
            None => out.extend_from_slice(code.to_string().as_bytes()),
        },
        _ => out.extend_from_slice(b"null"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::kmip::tag::Tag;

    fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn lists_have_the_form_that_clients_read() {
        assert_eq!(
            written(|out| write_changed("b\"ob", true, out)),
            r#"{"success":"Access for b\"ob successfully added"}"#
        );
        let grants = [("bob", vec!["encrypt", "get"]), ("*", vec!["decrypt"])];
        assert_eq!(
            written(|out| write_grants(grants.iter().map(|(u, o)| (*u, o.iter().copied())), out)),
            r#"[{"user_id":"bob","operations":["encrypt","get"]},{"user_id":"*","operations":["decrypt"]}]"#
        );
        let attributes = [
            Item::enumeration(Tag::CRYPTOGRAPHIC_ALGORITHM, 3),
            Item::integer(Tag::CRYPTOGRAPHIC_LENGTH, 256),
            Item::date_time(Tag::INITIAL_DATE, crate::time::Timestamp::from_unix(0)),
        ];
        assert_eq!(
            written(|out| {
                let mut list = Listing::begin(out);
                list.owned("k1", "Active", &attributes);
                list.obtained("k2", "alice", "Deactivated", ["get"].into_iter());
                list.end();
            }),
            concat!(
                r#"[{"object_id":"k1","state":"Active","attributes":{"CryptographicAlgorithm":"AES","#,
                r#""CryptographicLength":256},"is_wrapped":false},"#,
                r#"{"object_id":"k2","owner_id":"alice","state":"Deactivated","operations":["get"]}]"#
            )
        );
    }
}
