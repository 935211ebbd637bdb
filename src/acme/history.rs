//! Past orders, kept in a file: a server that is started again and again must not order again and again.
//!
//! One line an order: seconds since 1970, a space, and what became of it (`issued`, `invalid` for a failed validation,
//! `failed` for any other failure).
#![forbid(unsafe_code)]

use crate::time::Timestamp;
use std::fmt::Write;

/// Orders that are kept.
pub const ENTRIES_MAX: usize = 64;

/// What became of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A certificate.
    Issued,
    /// A validation failed, of which authorities allow few.
    Invalid,
    /// Anything else.
    Failed,
}

/// A past order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// When it ended.
    pub at: Timestamp,
    /// How it ended.
    pub outcome: Outcome,
}

const NAMES: [(Outcome, &str); 3] =
    [(Outcome::Issued, "issued"), (Outcome::Invalid, "invalid"), (Outcome::Failed, "failed")];

/// Reads the file; lines that are none of ours count as nothing.
pub fn decode(text: &str) -> Vec<Entry> {
    let entry = |line: &str| {
        let (seconds, name) = line.split_once(' ')?;
        let (outcome, _) = NAMES.into_iter().find(|(_, n)| *n == name)?;
        Some(Entry { at: Timestamp::from_unix(seconds.parse().ok()?), outcome })
    };
    let mut entries: Vec<Entry> = text.lines().filter_map(entry).collect();
    entries.drain(..entries.len().saturating_sub(ENTRIES_MAX));
    entries
}

/// Writes the file: the last entries.
pub fn encode(entries: &[Entry]) -> String {
    let mut text = String::new();
    for entry in &entries[entries.len().saturating_sub(ENTRIES_MAX)..] {
        let name = NAMES.into_iter().find(|(outcome, _)| *outcome == entry.outcome).map_or("", |(_, n)| n);
        let _ = writeln!(text, "{} {name}", entry.at.unix());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_entries_survive_and_rubbish_does_not() {
        let entry = |at, outcome| Entry { at: Timestamp::from_unix(at), outcome };
        let entries = [entry(1, Outcome::Issued), entry(2, Outcome::Invalid), entry(-3, Outcome::Failed)];
        assert_eq!(encode(&entries), "1 issued\n2 invalid\n-3 failed\n");
        assert_eq!(decode(&encode(&entries)), entries);
        assert_eq!(decode("x issued\n5\n6 what\n7 issued"), [entry(7, Outcome::Issued)]);
        let many: Vec<Entry> = (0..100).map(|at| entry(at, Outcome::Failed)).collect();
        assert_eq!(decode(&encode(&many)), many[100 - ENTRIES_MAX..]);
    }
}
