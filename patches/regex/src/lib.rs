//! In the place of the crate `regex`, by `[patch.crates-io]` of the server's `Cargo.toml`.
//!
//! mysql_common asks for that crate with all of its features, among them the tables of Unicode and several engines: over a
//! megabyte of a server of ten. It looks for digits in version numbers, and in dates. So this has what it uses, by the
//! engine of `regex`, over bytes; and what criterion uses for the names of benchmarks.
#![forbid(unsafe_code)]

/// A compiled expression over text.
#[derive(Clone, Debug)]
pub struct Regex(bytes::Regex);

impl Regex {
    /// Compiles an expression; classes such as `\d` are those of ASCII.
    pub fn new(expression: &str) -> Result<Regex, Box<regex_automata::meta::BuildError>> {
        bytes::Regex::new(expression).map(Regex)
    }

    /// Whether it matches anywhere.
    pub fn is_match(&self, haystack: &str) -> bool {
        self.0.is_match(haystack.as_bytes())
    }
}

/// Expressions over bytes.
pub mod bytes {
    use regex_automata::meta::{BuildError, Builder, Regex as Engine};
    use regex_automata::util::captures::Captures as Groups;
    use regex_automata::util::syntax;

    /// A compiled expression.
    #[derive(Clone, Debug)]
    pub struct Regex(Engine);

    impl Regex {
        /// Compiles an expression; classes such as `\d` are those of ASCII.
        pub fn new(expression: &str) -> Result<Regex, Box<BuildError>> {
            let syntax = syntax::Config::new().unicode(false).utf8(false);
            Builder::new().syntax(syntax).build(expression).map(Regex).map_err(Box::new)
        }

        /// Whether it matches anywhere.
        pub fn is_match(&self, haystack: &[u8]) -> bool {
            self.0.is_match(haystack)
        }

        /// The groups of the first match.
        pub fn captures<'h>(&self, haystack: &'h [u8]) -> Option<Captures<'h>> {
            let mut groups = self.0.create_captures();
            self.0.captures(haystack, &mut groups);
            groups.is_match().then_some(Captures { haystack, groups })
        }
    }

    /// The groups of a match.
    #[derive(Debug)]
    pub struct Captures<'h> {
        haystack: &'h [u8],
        groups: Groups,
    }

    impl<'h> Captures<'h> {
        /// The group with this number, where it took part; 0 is the whole match.
        pub fn get(&self, group: usize) -> Option<Match<'h>> {
            let span = self.groups.get_group(group)?;
            Some(Match(&self.haystack[span.start..span.end]))
        }
    }

    /// A part of what was searched.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Match<'h>(&'h [u8]);

    impl<'h> Match<'h> {
        /// The part itself.
        pub fn as_bytes(&self) -> &'h [u8] {
            self.0
        }
    }
}

#[cfg(test)]
mod tests {
    use super::bytes::Regex;

    #[test]
    fn what_mysql_common_looks_for_is_found() {
        let mariadb = Regex::new(r"^(?:5.5.5-)?(\d{1,2})\.(\d{1,2})\.(\d{1,3})-MariaDB").unwrap();
        let captures = mariadb.captures(b"5.5.5-10.11.19-MariaDB-0+deb12u1").unwrap();
        let parts: Vec<_> = (1..4).map(|group| captures.get(group).unwrap().as_bytes()).collect();
        assert_eq!(parts, [&b"10"[..], b"11", b"19"]);
        assert!(captures.get(4).is_none() && mariadb.captures(b"8.0.36").is_none());
        let version = Regex::new(r"^(\d{1,2})\.(\d{1,2})\.(\d{1,3})(.*)").unwrap();
        assert_eq!(version.captures(b"8.0.36-\xFF").unwrap().get(3).unwrap().as_bytes(), b"36");
        let date = Regex::new(r"^\d{4}-\d{2}-\d{2}$").unwrap();
        assert!(date.is_match(b"2026-11-25") && !date.is_match(b"2026-11-2x"));
    }
}
