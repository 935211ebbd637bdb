//! What writes the log: numbers and hashes for lines as they come, and checkpoints where they are due.
#![forbid(unsafe_code)]

use super::chain::{Chain, Reason};
use crate::limits::AUDIT_GROUP_BYTES;
use crate::secret::Secret;

/// Where lines last.
pub trait Medium: Send {
    /// Appends whole lines, all of them or none; with `sync`, they and all before them outlive a crash of the machine. An
    /// error is one line for the operator, and a later call may succeed.
    fn append(&mut self, lines: &[u8], sync: bool) -> Result<(), String>;

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
    /// Whether the lines must outlive a crash of the machine when they are said to be written.
    pub sync: bool,
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
    /// Room for lines, used again and again.
    room: Vec<u8>,
}

impl Recorder {
    /// Goes on with `chain`, of which `cut_bytes` were torn. The next line is a checkpoint.
    pub fn new(medium: Box<dyn Medium>, key: Secret, chain: Chain, cut_bytes: u64) -> Recorder {
        Recorder { medium, key, chain, begins: Some(Reason::Start), cut_bytes, room: Vec::new() }
    }

    /// Writes a group; when this returns well, it lasts. After an error nothing of it is there, and it may be tried again.
    pub fn record(&mut self, group: &Group) -> Result<(), String> {
        let written = self.write(group);
        if !group.reopen {
            return written;
        }
        let is_new = self.medium.reopen().unwrap_or_else(|reason| {
            // Nothing is lost there.
            log::error!("the audit log goes on in the old file: {reason}");
            false
        });
        if !is_new {
            return written;
        }
        self.begins = Some(Reason::Reopened);
        let last = self.chain.sequence;
        let begun = match written {
            // An orderly end of the old one is the end of the new one, too.
            Ok(()) => self.write(&Group {
                lines: Vec::new(),
                time: group.time.clone(),
                checkpoint: group.checkpoint,
                sync: true,
                reopen: false,
            }),
            // What the old file did not take belongs into the new one.
            Err(_) => self.write(group),
        };
        match &begun {
            Ok(()) => log::info!("the audit log goes on in a new file, after line {last}"),
            Err(reason) => log::error!("the audit log has a new file that takes nothing yet: {reason}"),
        }
        // What lasts in the old file is not to be written again; the next line begins the new one.
        written.or(begun)
    }

    fn write(&mut self, group: &Group) -> Result<(), String> {
        let mut chain = self.chain;
        let mut out = std::mem::take(&mut self.room);
        out.clear();
        out.shrink_to(4 * AUDIT_GROUP_BYTES);
        if let Some(reason) = self.begins {
            chain.checkpoint(&group.time, reason, self.cut_bytes, &self.key, &mut out);
        }
        let mut lines = group.lines.as_slice();
        while !lines.is_empty() {
            chain.next_line(&mut lines, &mut out);
        }
        if let Some(reason) = group.checkpoint {
            chain.checkpoint(&group.time, reason, 0, &self.key, &mut out);
        }
        if !out.is_empty() || group.sync {
            self.medium.append(&out, group.sync)?;
            self.chain = chain;
            self.begins = None;
            self.cut_bytes = 0;
        }
        self.room = out;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::verify::Verifier;
    use std::sync::{Arc, Mutex};

    /// Files in memory, the last one in use; which may be full, or moved away.
    #[derive(Default)]
    struct Files {
        files: Vec<Vec<u8>>,
        is_full: bool,
        is_moved: bool,
        /// Whether the next file takes nothing at first.
        is_next_full: bool,
    }

    struct Memory(Arc<Mutex<Files>>);

    impl Medium for Memory {
        fn append(&mut self, lines: &[u8], _sync: bool) -> Result<(), String> {
            let mut files = self.0.lock().unwrap();
            if files.is_full {
                return Err("full".into());
            }
            files.files.last_mut().unwrap().extend_from_slice(lines);
            Ok(())
        }

        fn reopen(&mut self) -> Result<bool, String> {
            let mut files = self.0.lock().unwrap();
            let is_moved = std::mem::take(&mut files.is_moved);
            if is_moved {
                files.files.push(Vec::new());
                files.is_full = std::mem::take(&mut files.is_next_full);
            }
            Ok(is_moved)
        }
    }

    fn group(lines: &str, reopen: bool) -> Group {
        Group { lines: lines.into(), time: "t".into(), checkpoint: None, sync: reopen, reopen }
    }

    #[test]
    fn what_one_file_does_not_take_is_in_the_next_one() {
        let files = Arc::new(Mutex::new(Files { files: vec![Vec::new()], ..Files::default() }));
        let key = || Secret::new(b"the key".to_vec());
        let mut recorder = Recorder::new(Box::new(Memory(Arc::clone(&files))), key(), Chain::default(), 0);
        recorder.record(&group("\"a\":1\n", true)).unwrap();
        files.lock().unwrap().is_full = true;
        assert_eq!(recorder.record(&group("\"a\":2\n", false)), Err("full".into()));
        assert_eq!(recorder.record(&group("\"a\":2\n", true)), Err("full".into()), "it was not moved");
        files.lock().unwrap().is_moved = true;
        recorder.record(&group("\"a\":2\n\"a\":3\n", true)).unwrap();
        files.lock().unwrap().is_moved = true;
        recorder.record(&group("", true)).unwrap();
        {
            let mut files = files.lock().unwrap();
            (files.is_moved, files.is_next_full) = (true, true);
        }
        recorder.record(&group("\"a\":4\n", true)).unwrap();
        assert_eq!(recorder.record(&group("\"a\":5\n", false)), Err("full".into()));
        files.lock().unwrap().is_full = false;
        recorder.record(&group("\"a\":5\n", false)).unwrap();
        files.lock().unwrap().is_moved = true;
        recorder.record(&Group { checkpoint: Some(Reason::Shutdown), ..group("\"a\":6\n", true) }).unwrap();

        let (key, files) = (key(), files.lock().unwrap());
        let mut verifier = Verifier::new(&key);
        let mut counts = Vec::new();
        for file in &files.files {
            verifier.begin_file();
            let lines: Vec<&[u8]> =
                file.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).collect();
            lines.iter().for_each(|line| verifier.line(line).unwrap());
            counts.push(lines.len());
        }
        assert_eq!((counts, verifier.vouched()), (vec![2, 3, 2, 4, 2], 13));
        assert!(verifier.is_closed());
    }
}
