//! What the server logs while it is simulated: everything, whatever the level.
#![forbid(unsafe_code)]

use log::{LevelFilter, Log, Metadata, Record};
use std::cell::RefCell;
use std::sync::Once;

thread_local! {
    /// The lines of the simulation that runs on this thread.
    static LINES: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Bytes of lines that are kept until they are asked for; more are forgotten.
const LINES_BYTES_MAX: usize = 16 * 1024 * 1024;

struct Collector;

impl Log for Collector {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        use std::fmt::Write;
        LINES.with_borrow_mut(|lines| {
            if lines.len() < LINES_BYTES_MAX {
                writeln!(lines, "{}", record.args()).expect("a String takes what is written");
            }
        });
    }

    fn flush(&self) {}
}

/// Begins to listen on this thread. A process has one logger: where there is another, nothing is heard.
pub fn listen() {
    static LISTENING: Once = Once::new();
    LISTENING.call_once(|| {
        if log::set_logger(&Collector).is_ok() {
            log::set_max_level(LevelFilter::Trace);
        }
    });
    LINES.take();
}

/// What was logged on this thread since it was asked last.
pub fn take() -> String {
    LINES.take()
}
