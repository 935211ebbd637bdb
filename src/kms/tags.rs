//! Tags: labels that clients give to objects, and that name objects in the place of a unique identifier. They travel as
//! a JSON array in the text of the vendor attribute `cosmian`/`tag`.
#![forbid(unsafe_code)]

use super::refusal::Refusal;
use crate::limits;
use crate::wire::json;
use crate::wire::kmip::dialect::Dialect;
use crate::wire::kmip::enumeration::object_type;

/// Tags that the server itself gives, by object type.
const SYSTEM_TAGS: [(u32, &str); 6] = [
    (object_type::SYMMETRIC_KEY, "_kk"),
    (object_type::PRIVATE_KEY, "_sk"),
    (object_type::PUBLIC_KEY, "_pk"),
    (object_type::CERTIFICATE, "_cert"),
    (object_type::SECRET_DATA, "_sd"),
    (object_type::OPAQUE_OBJECT, "_oo"),
];

/// The tag that the server gives to objects of this type.
pub fn system_tag(object_type: u32) -> Option<&'static str> {
    SYSTEM_TAGS.iter().find(|(code, _)| *code == object_type).map(|(_, tag)| *tag)
}

/// Reads a JSON array of tags; `None` if it is something else.
pub fn parse(text: &str) -> Option<Vec<String>> {
    let mut bytes = text.as_bytes().to_vec();
    let tags = json::strings(&mut bytes, limits::TAGS_MAX)?;
    Some(tags.into_iter().map(str::to_owned).collect())
}

/// Writes a JSON array of tags.
pub fn write(tags: &[String]) -> String {
    let mut out = Vec::new();
    out.push(b'[');
    for (i, tag) in tags.iter().enumerate() {
        if i > 0 {
            out.push(b',');
        }
        json::write_string(tag, &mut out);
    }
    out.push(b']');
    String::from_utf8(out).expect("JSON of strings is UTF-8")
}

/// The tags of a new object: the user's, each once, then the system's. System tags among the user's come from an
/// exported object and are given anew; clients of 4.9.1 may not use a leading underscore at all.
pub fn for_new_object(
    user_tags: &[String],
    object_type: u32,
    dialect: Dialect,
) -> Result<Vec<String>, Refusal> {
    let mut tags: Vec<String> = Vec::with_capacity(user_tags.len() + 1);
    for tag in user_tags {
        if SYSTEM_TAGS.iter().any(|(_, system)| system == tag) && dialect == Dialect::V5 {
            continue;
        }
        let reserved = tag.starts_with('_') && dialect == Dialect::V4;
        if tag.is_empty() || reserved || tag.len() > limits::NAME_BYTES_MAX || tag.contains('\0') {
            return Err(Refusal::invalid(format!(
                "the tag '{}' is not allowed: a tag is 1 to {} bytes long and does not begin with '_'",
                tag.escape_debug().take(64).collect::<String>(),
                limits::NAME_BYTES_MAX
            )));
        }
        if !tags.contains(tag) {
            tags.push(tag.clone());
        }
    }
    tags.extend(system_tag(object_type).map(str::to_owned));
    Ok(tags)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owned(tags: &[&str]) -> Vec<String> {
        tags.iter().map(|t| (*t).to_owned()).collect()
    }

    #[test]
    fn tag_lists_are_json_arrays_of_strings() {
        assert_eq!(parse(r#"["a","b\u0041"]"#), Some(owned(&["a", "bA"])));
        assert_eq!(parse("[]"), Some(vec![]));
        for other in ["", "a", "[1]", "[\"a\"", "{\"a\":1}", "[\"a\"]x", "[[\"a\"]]"] {
            assert_eq!(parse(other), None, "{other}");
        }
        assert_eq!(write(&owned(&["a", "q\"uote"])), r#"["a","q\"uote"]"#);
    }

    #[test]
    fn new_objects_get_their_system_tag_and_keep_the_order() {
        let tags = |list: &[&str], dialect| for_new_object(&owned(list), object_type::SYMMETRIC_KEY, dialect);
        assert_eq!(tags(&["b", "a", "b"], Dialect::V4), Ok(owned(&["b", "a", "_kk"])));
        assert_eq!(tags(&["t1", "_kk"], Dialect::V5), Ok(owned(&["t1", "_kk"])));
        assert!(tags(&["_kk"], Dialect::V4).is_err());
        assert!(tags(&[""], Dialect::V5).is_err());
    }
}
