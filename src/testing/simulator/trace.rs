//! What happened in a simulation: a number that is the same whenever the same happens, and lines for people.
#![forbid(unsafe_code)]

use std::fmt::{self, Write};

/// Bytes of a message that a line shows.
const SHOWN_BYTES_MAX: usize = 1000;

/// The record of one simulation.
pub struct Trace<'s> {
    /// FNV-1a over all that was noted.
    hash: u64,
    line: String,
    show: Option<&'s mut dyn FnMut(&str)>,
}

impl<'s> Trace<'s> {
    /// An empty record, whose lines are shown where there is somebody to show them to.
    pub fn new(show: Option<&'s mut dyn FnMut(&str)>) -> Trace<'s> {
        Trace { hash: 0xCBF2_9CE4_8422_2325, line: String::new(), show }
    }

    /// Notes an event.
    pub fn note(&mut self, event: fmt::Arguments<'_>) {
        self.note_bytes(event, &[]);
    }

    /// Notes an event and the bytes that belong to it.
    pub fn note_bytes(&mut self, event: fmt::Arguments<'_>, bytes: &[u8]) {
        self.line.clear();
        self.line.write_fmt(event).expect("a String takes what is written");
        for part in [self.line.as_bytes(), bytes] {
            for byte in part {
                self.hash = (self.hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01B3);
            }
        }
        if let Some(show) = &mut self.show {
            if !bytes.is_empty() {
                let (shown, rest) = bytes.split_at(bytes.len().min(SHOWN_BYTES_MAX));
                write!(self.line, " {}", shown.escape_ascii()).expect("a String takes what is written");
                if !rest.is_empty() {
                    write!(self.line, ".. ({} bytes)", bytes.len()).expect("a String takes what is written");
                }
            }
            show(&self.line);
        }
    }

    /// The number that stands for all of it.
    pub fn hash(&self) -> u64 {
        self.hash
    }
}
