//! Lines that hold on to each other: looking whether they do.
#![forbid(unsafe_code)]

use super::chain::{Chain, HASH_DIGITS, HASH_NAME, HMAC_NAME, Hash};
use crate::crypto;
use crate::secret::Secret;
use crate::wire::hex;
use std::fmt;

/// What is wrong with a line. `Display` gives the words for the operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It has not the form of a line.
    NotALine,
    /// It has another number than the one that is due.
    OutOfOrder {
        /// Its own.
        found: u64,
        /// The one that is due.
        due: u64,
    },
    /// Its hash is not what its content and the line before make it.
    Changed,
    /// A file must begin with a checkpoint.
    NoCheckpointFirst,
    /// The file does not follow the one before.
    NotTheNextFile,
    /// The HMAC of a checkpoint is not by this key: between it and the last one that is, something was changed.
    NotVouchedFor {
        /// The number of that last one; 0 where there is none.
        since: u64,
    },
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::NotALine => f.write_str("it has not the form of a line of an audit log"),
            Fault::OutOfOrder { found, due } => {
                write!(
                    f,
                    "it has the number {found} where {due} is due: a line was removed, inserted or moved"
                )
            }
            Fault::Changed => f.write_str("its hash is not right: it was changed, or the line before it was"),
            Fault::NoCheckpointFirst => {
                f.write_str("a file begins with a checkpoint, and this is none: lines before it were removed")
            }
            Fault::NotTheNextFile => f.write_str("it does not follow the last line of the file before"),
            Fault::NotVouchedFor { since } => write!(
                f,
                "its HMAC is not by this key: the key is another one, or of the lines from {} on some were changed",
                since + 1
            ),
        }
    }
}

/// Goes through the lines of a log, perhaps of several files.
pub struct Verifier<'k> {
    key: &'k Secret,
    chain: Chain,
    /// The number of the first line that was seen; 0 before it.
    first: u64,
    /// The last checkpoint that the key vouches for.
    vouched: u64,
    /// The last line was the checkpoint of an orderly end.
    closed: bool,
    at_file_start: bool,
}

impl<'k> Verifier<'k> {
    /// Has seen nothing yet.
    pub fn new(key: &'k Secret) -> Verifier<'k> {
        Verifier { key, chain: Chain::default(), first: 0, vouched: 0, closed: false, at_file_start: true }
    }

    /// The next line is the first one of a file.
    pub fn begin_file(&mut self) {
        self.at_file_start = true;
    }

    /// Takes in the next line, without its newline.
    pub fn line(&mut self, text: &[u8]) -> Result<(), Fault> {
        let line = Line::parse(text).ok_or(Fault::NotALine)?;
        let checkpoint = Checkpoint::parse(line.hashed);
        if std::mem::take(&mut self.at_file_start) {
            let checkpoint = checkpoint.as_ref().ok_or(Fault::NoCheckpointFirst)?;
            let previous = Chain { sequence: line.sequence - 1, hash: checkpoint.previous };
            if self.first == 0 {
                self.chain = previous;
                self.first = line.sequence;
            } else if previous != self.chain {
                return Err(Fault::NotTheNextFile);
            }
        }
        let due = self.chain.sequence + 1;
        if line.sequence != due {
            return Err(Fault::OutOfOrder { found: line.sequence, due });
        }
        if crypto::sha256_of(&[&self.chain.hash, line.hashed]) != line.hash {
            return Err(Fault::Changed);
        }
        self.closed = false;
        if let Some(checkpoint) = checkpoint {
            self.check(&checkpoint, line.sequence)?;
        }
        self.chain = Chain { sequence: line.sequence, hash: line.hash };
        Ok(())
    }

    fn check(&mut self, checkpoint: &Checkpoint<'_>, sequence: u64) -> Result<(), Fault> {
        if checkpoint.previous != self.chain.hash {
            return Err(Fault::Changed);
        }
        if crypto::hmac_sha256(self.key.expose(), &[&self.chain.hash, checkpoint.vouched]) != checkpoint.hmac
        {
            return Err(Fault::NotVouchedFor { since: self.vouched });
        }
        self.vouched = sequence;
        self.closed = checkpoint.is_end;
        Ok(())
    }

    /// Where the log stands after the last line.
    pub fn chain(&self) -> Chain {
        self.chain
    }

    /// The number of the first line that was seen; 0 where there was none.
    pub fn first(&self) -> u64 {
        self.first
    }

    /// The number of the last checkpoint that the key vouches for: of nothing after it can be said more than that it fits.
    pub fn vouched(&self) -> u64 {
        self.vouched
    }

    /// Whether the last line says that the server has ended in order.
    pub fn is_closed(&self) -> bool {
        self.closed
    }
}

/// The parts of a line.
struct Line<'l> {
    sequence: u64,
    /// What its hash is over, beside the hash of the line before.
    hashed: &'l [u8],
    hash: Hash,
}

impl<'l> Line<'l> {
    fn parse(text: &'l [u8]) -> Option<Line<'l>> {
        let (hashed, hash) = split_digits(text.strip_suffix(b"\"}")?, HASH_NAME)?;
        let rest = hashed.strip_prefix(b"{\"seq\":")?;
        let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let sequence: u64 = std::str::from_utf8(&rest[..digits]).ok()?.parse().ok()?;
        (sequence > 0 && rest.get(digits) == Some(&b',')).then_some(Line { sequence, hashed, hash })
    }
}

/// The parts of a line that is a checkpoint.
struct Checkpoint<'l> {
    /// What its HMAC is over, beside the hash of the line before.
    vouched: &'l [u8],
    previous: Hash,
    hmac: Hash,
    is_end: bool,
}

impl<'l> Checkpoint<'l> {
    /// Of a line up to its hash. No other line can look like this: in its texts, quotes are escaped.
    fn parse(hashed: &'l [u8]) -> Option<Checkpoint<'l>> {
        let (vouched, hmac) = split_digits(hashed.strip_suffix(b"\"")?, HMAC_NAME)?;
        let (members, previous) = split_digits(vouched.strip_suffix(b"\"")?, b",\"previous\":\"")?;
        let has = |part: &[u8]| members.windows(part.len()).any(|window| window == part);
        let is_end = has(b",\"reason\":\"shutdown\",");
        has(b",\"event\":\"checkpoint\",").then_some(Checkpoint { vouched, previous, hmac, is_end })
    }
}

/// Splits off the digits of a hash at the end, and the name before them.
fn split_digits<'l>(text: &'l [u8], name: &[u8]) -> Option<(&'l [u8], Hash)> {
    let (rest, digits) = text.split_at_checked(text.len().checked_sub(HASH_DIGITS)?)?;
    let mut digits = digits.to_vec();
    // One hash has one spelling.
    let is_as_written = digits.iter().all(|digit| !digit.is_ascii_lowercase());
    let hash: Hash = (&*hex::decode_in_place(&mut digits)?).try_into().ok()?;
    is_as_written.then_some((rest.strip_suffix(name)?, hash))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::chain::Reason;

    fn key() -> Secret {
        Secret::new(b"the key".to_vec())
    }

    /// A log: a checkpoint, `lines` lines, a checkpoint, one more line.
    fn log(chain: &mut Chain, lines: usize, reason: Reason) -> Vec<Vec<u8>> {
        let mut out = Vec::new();
        chain.checkpoint("t", reason, 0, &key(), &mut out);
        for n in 0..lines {
            chain.line(format!("\"time\":\"t\",\"n\":{n}").as_bytes(), &mut out);
        }
        chain.checkpoint("t", Reason::Interval, 0, &key(), &mut out);
        chain.line(b"\"time\":\"t\",\"last\":true", &mut out);
        out.split_inclusive(|byte| *byte == b'\n').map(|line| line[..line.len() - 1].to_vec()).collect()
    }

    /// The first fault and its line, or where the log stands.
    fn verified(files: &[&[Vec<u8>]]) -> Result<(u64, u64), (usize, Fault)> {
        let key = key();
        let mut verifier = Verifier::new(&key);
        let mut count = 0;
        for file in files {
            verifier.begin_file();
            for line in *file {
                count += 1;
                verifier.line(line).map_err(|fault| (count, fault))?;
            }
        }
        Ok((verifier.chain().sequence, verifier.vouched()))
    }

    #[test]
    fn a_log_as_written_is_verified_up_to_its_last_checkpoint() {
        let lines = log(&mut Chain::default(), 3, Reason::Start);
        assert_eq!(verified(&[&lines]), Ok((6, 5)));
    }

    #[test]
    fn every_changed_byte_is_found_where_it_is() {
        let lines = log(&mut Chain::default(), 2, Reason::Start);
        for at in 0..lines.len() {
            for byte in 0..lines[at].len() {
                let mut changed = lines.clone();
                changed[at][byte] ^= 1;
                let (found, _) = verified(&[&changed]).unwrap_err();
                // The first hash of a file is what its first line says that it is: the HMAC vouches for it.
                assert_eq!(found, at + 1, "byte {byte} of line {}", at + 1);
            }
        }
    }

    #[test]
    fn removed_inserted_and_moved_lines_are_found() {
        let lines = log(&mut Chain::default(), 5, Reason::Start);
        for at in 1..lines.len() - 1 {
            let mut cut = lines.clone();
            cut.remove(at);
            let (found, due) = (at as u64 + 2, at as u64 + 1);
            assert_eq!(verified(&[&cut]), Err((at + 1, Fault::OutOfOrder { found, due })));
            let mut moved = lines.clone();
            moved.swap(at, at + 1);
            assert_eq!(verified(&[&moved]), Err((at + 1, Fault::OutOfOrder { found, due })));
            let mut inserted = lines.clone();
            inserted.insert(at, lines[at].clone());
            assert!(
                matches!(verified(&[&inserted]), Err((line, Fault::OutOfOrder { .. })) if line == at + 2)
            );
        }
        assert_eq!(verified(&[&lines[1..]]), Err((1, Fault::NoCheckpointFirst)));
    }

    #[test]
    fn hashes_computed_anew_do_not_help_without_the_key() {
        let mut chain = Chain::default();
        let mut lines = log(&mut chain, 3, Reason::Start);
        let mut forged = Vec::new();
        let mut chain = Chain { sequence: 1, hash: Line::parse(&lines[0]).unwrap().hash };
        chain.line(b"\"time\":\"t\",\"n\":666", &mut forged);
        forged.pop();
        lines[1] = forged;
        assert_eq!(verified(&[&lines]), Err((3, Fault::Changed)));
        for line in &mut lines[2..] {
            let members = &Line::parse(line).unwrap().hashed[b"{\"seq\":1,".len()..].to_vec();
            let mut forged = Vec::new();
            chain.line(members, &mut forged);
            forged.pop();
            *line = forged;
        }
        assert_eq!(verified(&[&lines]), Err((5, Fault::Changed)), "it says what came before");
    }

    #[test]
    fn another_key_vouches_for_nothing() {
        let lines = log(&mut Chain::default(), 3, Reason::Start);
        let other = Secret::new(b"another".to_vec());
        let mut verifier = Verifier::new(&other);
        assert_eq!(verifier.line(&lines[0]), Err(Fault::NotVouchedFor { since: 0 }));
    }

    #[test]
    fn files_chain() {
        let mut chain = Chain::default();
        let first = log(&mut chain, 2, Reason::Start);
        let second = log(&mut chain, 2, Reason::Reopened);
        assert_eq!(verified(&[&first, &second]), Ok((10, 9)));
        assert_eq!(verified(&[&second]), Ok((10, 9)), "alone");
        assert_eq!(verified(&[&second, &first]), Err((6, Fault::NotTheNextFile)));
        assert_eq!(verified(&[&first[..4], &second]), Err((5, Fault::NotTheNextFile)));
    }

    #[test]
    fn an_orderly_end_is_told() {
        let (key, mut chain, mut out) = (key(), Chain::default(), Vec::new());
        chain.checkpoint("t", Reason::Start, 0, &key, &mut out);
        chain.checkpoint("t", Reason::Shutdown, 0, &key, &mut out);
        let mut verifier = Verifier::new(&key);
        let ends: Vec<bool> = out
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty())
            .map(|line| {
                verifier.line(line).unwrap();
                verifier.is_closed()
            })
            .collect();
        assert_eq!(ends, [false, true]);
    }

    #[test]
    fn rubbish_is_no_line() {
        let (key, hash) = (key(), "0".repeat(64));
        for rubbish in
            ["", "{}", "\"}", &hash, &format!("{{\"seq\":0,\"hash\":\"{hash}\"}}"), "\u{0}\u{0}\u{0}"]
        {
            assert_eq!(Verifier::new(&key).line(rubbish.as_bytes()), Err(Fault::NotALine), "{rubbish}");
        }
    }
}
