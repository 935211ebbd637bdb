//! What writes the log: numbers and hashes for lines as they come, and checkpoints where they are due.
#![forbid(unsafe_code)]

use super::chain::{Chain, Reason};
use crate::secret::Secret;

/// Where lines last.
pub trait Medium: Send {
    /// Appends whole lines, all of them or none; what was appended lasts. An error is one line for the operator, and a
    /// later call may succeed.
    fn append(&mut self, lines: &[u8]) -> Result<(), String>;

    /// Goes on in a new file, where the one of this name is another one now; whether it is.
    fn reopen(&mut self) -> Result<bool, String>;
}

/// Lines that are to be written, as the core has made them.
pub struct Group {
    /// The members of each line, each ended by a newline.
    pub lines: Vec<u8>,
    /// The time of a checkpoint, as it is written.
    pub time: String,
    /// Whether one is due after the lines.
    pub checkpoint: Option<Reason>,
    /// Whether the file is opened anew after the lines.
    pub reopen: bool,
}

/// A log that is written.
pub struct Recorder {
    medium: Box<dyn Medium>,
    key: Secret,
    chain: Chain,
    /// Why the next line must be a checkpoint.
    begins: Option<Reason>,
    /// Of the torn line before it.
    cut_bytes: u64,
}

impl Recorder {
    /// Goes on with `chain`, of which `cut_bytes` were torn. The next line is a checkpoint.
    pub fn new(medium: Box<dyn Medium>, key: Secret, chain: Chain, cut_bytes: u64) -> Recorder {
        Recorder { medium, key, chain, begins: Some(Reason::Start), cut_bytes }
    }

    /// Writes a group; when this returns well, it lasts. After an error nothing of it is there, and it may be tried again.
    pub fn record(&mut self, group: &Group) -> Result<(), String> {
        let mut chain = self.chain;
        let mut out = Vec::with_capacity(2 * group.lines.len() + 1024);
        if let Some(reason) = self.begins {
            chain.checkpoint(&group.time, reason, self.cut_bytes, &self.key, &mut out);
        }
        for members in group.lines.split(|byte| *byte == b'\n').filter(|members| !members.is_empty()) {
            chain.line(members, &mut out);
        }
        if let Some(reason) = group.checkpoint {
            chain.checkpoint(&group.time, reason, 0, &self.key, &mut out);
        }
        if !out.is_empty() {
            self.medium.append(&out)?;
            self.chain = chain;
            self.begins = None;
            self.cut_bytes = 0;
        }
        if group.reopen {
            self.reopen(&group.time);
        }
        Ok(())
    }

    /// Without a new file the old one is written on: nothing is lost.
    fn reopen(&mut self, time: &str) {
        match self.medium.reopen() {
            Ok(false) => {}
            Ok(true) => {
                self.begins = Some(Reason::Reopened);
                let begun =
                    Group { lines: Vec::new(), time: time.to_owned(), checkpoint: None, reopen: false };
                match self.record(&begun) {
                    Ok(()) => log::info!(
                        "the audit log goes on in a new file, after line {}",
                        self.chain.sequence - 1
                    ),
                    Err(reason) => {
                        log::error!("the new file of the audit log cannot be written yet: {reason}")
                    }
                }
            }
            Err(reason) => log::error!("the audit log goes on in the old file: {reason}"),
        }
    }
}
