//! Distinguished names in text form (RFC 4514): the subject of the bootstrap server's certificate.
#![forbid(unsafe_code)]

/// Relative names in one subject.
const PARTS_MAX: usize = 32;
/// Bytes of one value.
const VALUE_BYTES_MAX: usize = 64;

/// The types of attributes that may be named (RFC 4514 section 3, and two that are common).
const TYPES: [&str; 11] =
    ["CN", "L", "ST", "O", "OU", "C", "STREET", "DC", "UID", "emailAddress", "serialNumber"];

/// One relative name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// The type of the attribute, in the spelling of [`TYPES`].
    pub kind: &'static str,
    /// Its value.
    pub value: String,
}

/// A name as a certificate has it: in the text the last part stands first (RFC 4514 section 2.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject(pub Vec<Part>);

impl Subject {
    /// Reads `CN=name,O=organisation..`; commas and other special characters are written with a backslash.
    pub fn parse(text: &str) -> Result<Subject, String> {
        let mut parts = Vec::new();
        for part in split(text, ',') {
            let (kind, value) = part.split_once('=').ok_or_else(|| format!("{part:?} is not NAME=VALUE"))?;
            let kind = kind.trim();
            let kind = TYPES.into_iter().find(|known| known.eq_ignore_ascii_case(kind));
            let kind = kind.ok_or_else(|| format!("{part:?}: use one of {}", TYPES.join(", ")))?;
            let value = value.trim_start();
            // A space at the end counts only where it is escaped.
            let value = if value.ends_with("\\ ") { value } else { value.trim_end() };
            if value.starts_with('#') || split(value, '+').len() > 1 {
                return Err(format!(
                    "{part:?}: values in hexadecimal and of several parts are not supported"
                ));
            }
            let value = unescape(value).ok_or_else(|| format!("{part:?}: a backslash escapes nothing"))?;
            if value.is_empty() || value.len() > VALUE_BYTES_MAX {
                return Err(format!("{part:?}: a value has 1 to {VALUE_BYTES_MAX} bytes"));
            }
            if kind == "C" && !(value.len() == 2 && value.bytes().all(|byte| byte.is_ascii_alphabetic())) {
                return Err(format!("{part:?}: a country has two letters"));
            }
            parts.push(Part { kind, value });
        }
        if parts.len() > PARTS_MAX {
            return Err(format!("a subject has at most {PARTS_MAX} parts"));
        }
        parts.reverse();
        Ok(Subject(parts))
    }

    /// The common name, where there is one.
    pub fn common_name(&self) -> Option<&str> {
        self.0.iter().rev().find(|part| part.kind == "CN").map(|part| part.value.as_str())
    }

    /// The same subject with another common name.
    pub fn with_common_name(mut self, name: &str) -> Subject {
        self.0.retain(|part| part.kind != "CN");
        self.0.push(Part { kind: "CN", value: name.to_owned() });
        self
    }
}

/// The parts between separators that no backslash escapes.
fn split(text: &str, separator: char) -> Vec<&str> {
    let (mut parts, mut start, mut escaped) = (Vec::new(), 0, false);
    for (at, c) in text.char_indices() {
        if !escaped && c == separator {
            parts.push(&text[start..at]);
            start = at + c.len_utf8();
        }
        escaped = !escaped && c == '\\';
    }
    parts.push(&text[start..]);
    parts
}

/// Undoes escapes: a special character, or two hexadecimal digits, after a backslash (RFC 4514 section 3).
fn unescape(text: &str) -> Option<String> {
    let mut bytes = text.bytes();
    let mut out = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        out.push(match byte {
            b'\\' => match bytes.next()? {
                special @ (b' ' | b'"' | b'#' | b'+' | b',' | b';' | b'<' | b'=' | b'>' | b'\\') => special,
                high => {
                    let digit = |digit: u8| char::from(digit).to_digit(16);
                    (digit(high)? << 4 | digit(bytes.next()?)?) as u8
                }
            },
            byte => byte,
        });
    }
    String::from_utf8(out).ok().filter(|value| !value.contains(char::is_control))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Vec<(&'static str, String)> {
        Subject::parse(text).unwrap().0.into_iter().map(|part| (part.kind, part.value)).collect()
    }

    fn pairs(pairs: &[(&'static str, &str)]) -> Vec<(&'static str, String)> {
        pairs.iter().map(|(kind, value)| (*kind, (*value).to_owned())).collect()
    }

    #[test]
    fn the_last_part_of_the_text_comes_first() {
        let default = "CN=cosmian.kms,O=Cosmian Tech,C=FR,L=Paris,ST=Ile-de-France";
        assert_eq!(
            parsed(default),
            pairs(&[
                ("ST", "Ile-de-France"),
                ("L", "Paris"),
                ("C", "FR"),
                ("O", "Cosmian Tech"),
                ("CN", "cosmian.kms")
            ])
        );
        let subject = Subject::parse(default).unwrap();
        assert_eq!(subject.common_name(), Some("cosmian.kms"));
        assert_eq!(subject.with_common_name("other").common_name(), Some("other"));
    }

    #[test]
    fn escapes_are_those_of_the_rfc() {
        assert_eq!(parsed(r"cn=a\, b\+c, O = d\C3\A9"), pairs(&[("O", "d\u{e9}"), ("CN", "a, b+c")]));
        for bad in [
            "", "CN", "CN=", "X=y", "CN=a+O=b", "CN=#0401", r"CN=a\x", r"CN=\FF", "C=FRA", "CN=a,", "CN=a\nb",
        ] {
            assert!(Subject::parse(bad).is_err(), "{bad}");
        }
        assert!(Subject::parse(&format!("CN={}", "x".repeat(65))).is_err());
    }
}
