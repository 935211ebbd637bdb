//! The log: one line an event on standard error, written by one `write`.
//!
//! `2026-11-23T17:27:03Z INFO  server: listening on ..`. What a peer may have had a hand in cannot forge a line, a
//! colour or a direction of writing: such characters are escaped. Lines are bounded.
#![forbid(unsafe_code)]

use super::os;
use crate::time::Timestamp;
use std::fmt::{self, Write as _};
use std::io::Write as _;

/// Bytes of one line, its newline included.
const LINE_BYTES_MAX: usize = 2048;
/// Ends a line that was cut.
const CUT: &str = " [..]";

/// Sends events of `level` and above to standard error. Call it once; later calls only change the level.
pub fn init(level: ::log::LevelFilter) {
    // The error says that a logger is set: this one, by an earlier call.
    let _ = ::log::set_logger(&Stderr);
    ::log::set_max_level(level);
}

struct Stderr;

impl ::log::Log for Stderr {
    fn enabled(&self, _metadata: &::log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &::log::Record<'_>) {
        let line = line(os::utc_now(), record.level(), record.target(), record.args());
        // Nobody is left to tell when standard error is gone.
        let _ = std::io::stderr().write_all(line.as_bytes());
    }

    fn flush(&self) {}
}

/// The text of one event, its newline included.
fn line(utc: Timestamp, level: ::log::Level, target: &str, message: &fmt::Arguments<'_>) -> String {
    let mut line = Line { text: String::with_capacity(256) };
    let target = target.strip_prefix("keyway::").unwrap_or(target);
    if write!(line, "{utc} {level:<5} {target}: {message}").is_err() {
        line.text.push_str(CUT);
    }
    line.text.push('\n');
    line.text
}

/// Text that escapes what controls a terminal and errs when full.
struct Line {
    text: String,
}

impl fmt::Write for Line {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for character in text.chars() {
            let before = self.text.len();
            if is_control(character) {
                self.text.extend(character.escape_default());
            } else {
                self.text.push(character);
            }
            if self.text.len() + CUT.len() + 1 > LINE_BYTES_MAX {
                self.text.truncate(before);
                return Err(fmt::Error);
            }
        }
        Ok(())
    }
}

/// Control characters, separators of lines, and what turns the direction of writing.
fn is_control(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{2028}' | '\u{2029}' | '\u{200E}' | '\u{200F}')
        || matches!(character, '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use ::log::Level;

    fn written(message: &str) -> String {
        line(Timestamp::from_unix(1_795_456_600), Level::Info, "keyway::server", &format_args!("{message}"))
    }

    #[test]
    fn a_line_has_time_level_target_and_message() {
        assert_eq!(written("it \u{e9} works"), "2026-11-23T17:56:40Z INFO  server: it \u{e9} works\n");
    }

    #[test]
    fn a_message_cannot_forge_a_line() {
        assert_eq!(
            written("a\r\n2026 \u{1b}[31m\u{202e}\u{85}\u{0}"),
            "2026-11-23T17:56:40Z INFO  server: a\\r\\n2026 \\u{1b}[31m\\u{202e}\\u{85}\\u{0}\n"
        );
    }

    #[test]
    fn a_long_message_is_cut() {
        for message in ["x".repeat(5000), "\u{20ac}".repeat(5000), "\n".repeat(5000)] {
            let line = written(&message);
            assert!(line.len() <= LINE_BYTES_MAX && line.len() > LINE_BYTES_MAX - 16, "{}", line.len());
            assert!(line.ends_with(" [..]\n"));
        }
    }
}
