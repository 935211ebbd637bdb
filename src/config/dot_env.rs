//! Variables in a file `.env` of the working folder, in the grammar that its many readers share.
//!
//! ```text
//! # A comment; empty lines are passed over too.
//! NAME=value of several words   # The comment begins with the space before it: a#b is a value.
//! export NAME="a \"quoted\" value, \\ and \$, lines\nof it"
//! NAME='as \it stands'
//! ```
//!
//! In double quotes `\"`, `\\`, `\$` and `\n` stand for a character; any other backslash stands for itself. A value ends with
//! its line. Nothing is expanded.
#![forbid(unsafe_code)]

use super::{ConfigError, Warnings};
use std::collections::BTreeMap;
use std::io::{ErrorKind, Read};
use std::path::Path;

/// Bytes of a file `.env`.
const DOT_ENV_BYTES_MAX: u64 = 64 * 1024;

/// The variables in the file at `path`. No file is as good as an empty one.
pub fn read(path: &Path, warnings: &mut Warnings) -> Result<BTreeMap<String, String>, ConfigError> {
    let unreadable = |error| ConfigError(format!("{}: cannot be read: {error}", path.display()));
    let mut content = String::new();
    let file = match std::fs::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(BTreeMap::new()),
        // The folder, not the file: a server is started from anywhere.
        Err(error) if error.kind() == ErrorKind::PermissionDenied && path.symlink_metadata().is_err() => {
            warnings.push(format!("{}: whether it is there cannot be seen: {error}", path.display()));
            return Ok(BTreeMap::new());
        }
        Err(error) => return Err(unreadable(error)),
    };
    file.take(DOT_ENV_BYTES_MAX + 1).read_to_string(&mut content).map_err(unreadable)?;
    if content.len() as u64 > DOT_ENV_BYTES_MAX {
        return Err(ConfigError(format!("{}: is longer than {DOT_ENV_BYTES_MAX} bytes", path.display())));
    }
    let mut variables = BTreeMap::new();
    for (line, number) in content.lines().map(str::trim).zip(1..) {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (name, value) = assignment(line)
            .map_err(|reason| ConfigError(format!("{}: line {number} {reason}", path.display())))?;
        variables.insert(name.to_owned(), value);
    }
    Ok(variables)
}

/// Name and value in a line, or what is wrong with it; the value is not shown, it may be a secret.
fn assignment(line: &str) -> Result<(&str, String), &'static str> {
    let is_name =
        |name: &&str| !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    let assigned = line.strip_prefix("export ").unwrap_or(line);
    let parts = assigned.split_once('=').map(|(name, value)| (name.trim(), value));
    let (name, value) = parts.filter(|(name, _)| is_name(name)).ok_or("is not NAME=VALUE")?;
    let trimmed = value.trim_start();
    let (value, rest) = match trimmed.chars().next() {
        Some('"') => in_double_quotes(&trimmed[1..]).ok_or(UNCLOSED)?,
        Some('\'') => {
            let (value, rest) = trimmed[1..].split_once('\'').ok_or(UNCLOSED)?;
            (value.to_owned(), rest)
        }
        _ => {
            let is_comment =
                |(at, _): &(usize, &str)| value[..*at].is_empty() || value[..*at].ends_with([' ', '\t']);
            let comment = value.match_indices('#').find(|found| found.0 > 0 && is_comment(found));
            (value[..comment.map_or(value.len(), |(at, _)| at)].trim().to_owned(), "")
        }
    };
    let rest = rest.trim_start();
    if !rest.is_empty() && !rest.starts_with('#') {
        return Err("has text after a closing quotation mark: write \\\" for one in the value");
    }
    Ok((name, value))
}

const UNCLOSED: &str = "opens a quotation mark that it does not close: a value ends with its line";

/// The value up to the closing quotation mark, and what follows it.
fn in_double_quotes(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut characters = text.chars();
    loop {
        match characters.next()? {
            '"' => return Some((value, characters.as_str())),
            '\\' => match characters.next()? {
                'n' => value.push('\n'),
                escaped @ ('"' | '\\' | '$') => value.push(escaped),
                other => value.extend(['\\', other]),
            },
            other => value.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_as_others_read_them() {
        for (line, value) in [
            ("A=b", "b"),
            ("export A = b c ", "b c"),
            ("A=", ""),
            ("A= # nothing", ""),
            ("A=b # comment", "b"),
            ("A=b\t# comment", "b"),
            ("A=b#c", "b#c"),
            ("A=#b", "#b"),
            ("A=b=c", "b=c"),
            ("A=b\"c", "b\"c"),
            ("A=\"b # c\" # comment", "b # c"),
            ("A=\"b\"#comment", "b"),
            (r#"A="b \"c\" \\ \$d \n \x""#, "b \"c\" \\ $d \n \\x"),
            (r#"A='b "c" \n \\' # comment"#, r#"b "c" \n \\"#),
            ("A=''", ""),
            ("A=$B", "$B"),
        ] {
            assert_eq!(assignment(line), Ok(("A", value.to_owned())), "{line}");
        }
        for line in ["A", "=b", "A B=c", "A.B=c"] {
            assert_eq!(assignment(line), Err("is not NAME=VALUE"), "{line}");
        }
        for line in ["A=\"b", "A='b", r#"A="b\""#, "A=\""] {
            assert_eq!(assignment(line), Err(UNCLOSED), "{line}");
        }
        for line in ["A=\"b\"c", "A='b'c'"] {
            assert!(assignment(line).unwrap_err().starts_with("has text after"), "{line}");
        }
    }
}
