//! The audit log: who asked for what, and what was decided; in a form that shows whether a line was changed, removed,
//! inserted or moved afterwards.
//!
//! Each line is one JSON object in ASCII or UTF-8, ended by a newline, in this form:
//!
//! ```text
//! {"seq":N,MEMBERS,"hash":"HASH"}
//! ```
//!
//! * `N` counts the lines from 1, over all files of one log.
//! * `HASH` is 64 upper-case hexadecimal digits: SHA-256 over the 32 bytes of the hash of the line before, followed by the
//!   bytes of this line up to, and without, `,"hash":"`. Before the first line of a log stand 32 zero bytes.
//! * `MEMBERS` begin with `"time"` (RFC 3339, UTC, milliseconds); see [`entry`] for the rest.
//!
//! A *checkpoint* is a line whose members are
//!
//! ```text
//! "time":"..","event":"checkpoint","reason":"REASON","cut_bytes":B,"previous":"HASH","hmac":"HMAC"
//! ```
//!
//! * `REASON` is `start` (of the server), `reopened` (a new file), `interval` or `shutdown` (in order: nothing follows).
//! * `B` is how many bytes of a torn line a starting server has cut off the file.
//! * `previous` repeats the hash of the line before: every file begins with a checkpoint, so that files chain.
//! * `HMAC` is 64 digits as above: HMAC-SHA-256, with the bytes of the key file without the end of its line, over the 32
//!   bytes of the hash of the line before, followed by the bytes of this line up to, and without, `,"hmac":"`.
//!
//! Hashes alone show what was changed by somebody who did not compute them anew; a checkpoint vouches for all lines before
//! it against everybody who has not the key. A log that was cut after one of its checkpoints looks as if it had ended there:
//! only somebody who has seen its later lines can tell.
#![forbid(unsafe_code)]

pub mod chain;
pub mod entry;
pub mod recorder;
pub mod verify;
