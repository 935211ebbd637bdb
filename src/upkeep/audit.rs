//! `keyway audit verify`: whether the audit log is as it was written.
#![forbid(unsafe_code)]

use crate::audit::verify::Verifier;
use crate::config::AuditVerify;
use crate::limits::AUDIT_LINE_BYTES_MAX;
use crate::shell::audit::read_key;
use crate::shell::{log, os};
use crate::start::{EXIT_FAILURE, Exit, print};
use std::fmt::Write;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

/// Does it; gives the exit code.
pub fn run(wanted: &AuditVerify) -> Result<u8, Exit> {
    log::init(wanted.log_level);
    let failed = |reason| Exit(EXIT_FAILURE, reason);
    os::harden().map_err(|error| failed(error.to_string()))?;
    let key = read_key(&wanted.key_file).map_err(failed)?;
    let mut verifier = Verifier::new(&key);
    let mut torn_bytes = 0;
    for (path, number) in wanted.files.iter().zip(1..) {
        torn_bytes = verify_file(path, &mut verifier).map_err(failed)?;
        if torn_bytes > 0 && number < wanted.files.len() {
            let path = path.display();
            return Err(failed(format!(
                "{path}: ends within a line, and another file follows: its end was cut off"
            )));
        }
    }
    print(&told(&verifier, torn_bytes))?;
    Ok(0)
}

/// Verifies the lines of one file. Gives the bytes of a torn line at its end.
fn verify_file(path: &Path, verifier: &mut Verifier<'_>) -> Result<usize, String> {
    let unreadable = |error: std::io::Error| format!("{} cannot be read: {error}", path.display());
    let mut file = BufReader::new(File::open(path).map_err(unreadable)?);
    verifier.begin_file();
    let mut line = Vec::new();
    for number in 1_u64.. {
        line.clear();
        let limit = AUDIT_LINE_BYTES_MAX as u64 + 1;
        file.by_ref().take(limit).read_until(b'\n', &mut line).map_err(unreadable)?;
        let is_at_end = file.fill_buf().map_err(unreadable)?.is_empty();
        match line.strip_suffix(b"\n") {
            None if is_at_end => return Ok(line.len()),
            text => {
                let verified = verifier.line(text.unwrap_or(&line));
                verified.map_err(|fault| {
                    let path = path.display();
                    format!("{path}: line {number}: {fault}; verified up to line {}", verifier.vouched())
                })?;
            }
        }
    }
    Ok(0)
}

fn told(verifier: &Verifier<'_>, torn_bytes: usize) -> String {
    let (first, last, vouched) = (verifier.first(), verifier.chain().sequence, verifier.vouched());
    let mut text = match last - vouched {
        _ if first == 0 => "there is no line".to_owned(),
        0 => format!("verified: lines {first} to {last}"),
        _ => format!(
            "verified up to line {vouched}, from line {first} on; the rest, up to line {last}, is not covered by a checkpoint"
        ),
    };
    if verifier.is_closed() {
        text += "; the server has ended in order after them";
    }
    if first > 1 {
        let _ = write!(text, "; lines 1 to {} were not given", first - 1);
    }
    if torn_bytes > 0 {
        let _ = write!(text, "; a torn line of {torn_bytes} bytes follows, which was never complete");
    }
    text + "\n"
}
