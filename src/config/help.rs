//! What `--help` prints.
#![forbid(unsafe_code)]

use super::options::{ALL, Group, Spec};
use std::fmt::Write;

/// The help of the server.
pub fn server() -> String {
    let mut text = String::from(
        "Keyway: a key management server (KMIP 2.1 over JSON)

Usage:
  keyway [OPTIONS]           runs the server
  keyway health [OPTIONS]    asks the server on this machine how it is; exit code 0 means well

An option counts before its environment variable, that before the same variable in a file .env in the
working folder, and that before the default. Flags are set by variables that say true or 1.

SIGTERM finishes what is in progress and ends the server; SIGHUP makes it read its certificate again.
Exit codes: 0 ended as asked, 2 wrong configuration, 3 the database failed, 1 anything else.
",
    );
    for group in Group::ALL {
        text += &format!("\n{}:\n", group.heading());
        for spec in ALL.iter().filter(|spec| spec.group == group) {
            describe(spec, &mut text);
        }
    }
    text += "\nOther:\n  -h, --help     prints this\n  -V, --version  prints the version\n";
    text
}

/// The help of `keyway health`.
pub fn health() -> String {
    "Asks the server on this machine how it is

Usage: keyway health [OPTIONS]

It takes the options and variables of the server, so that it finds it where the server was told to listen:
  --hostname <HOST>        KMS_HOSTNAME; 0.0.0.0 and :: stand for this machine
  --port <N>               KMS_PORT
  --https-p12-file <FILE>  KMS_HTTPS_P12_FILE; where it is given, HTTPS is spoken
  --tls                    HTTPS is spoken whatever the server's options
Without the last two, HTTP is tried first.

Exit codes: 0 well, 1 not well or not there, 2 wrong options.
"
    .to_owned()
}

/// Characters of a default that fits behind the name of its option.
const DEFAULT_CHARS_MAX: usize = 24;

fn describe(spec: &Spec, text: &mut String) {
    let mut head = format!("  --{}", spec.name);
    for alias in spec.aliases {
        head += &format!(", --{alias}");
    }
    if let Some(value) = spec.value {
        head += &format!(" <{value}>");
    }
    let mut facts = spec.variables.join(", ");
    if !spec.default.is_empty() {
        // A long one has a line of its own.
        let space = if spec.default.len() > DEFAULT_CHARS_MAX { "\n      " } else { " " };
        facts += &format!(";{space}default {}", spec.default);
    }
    let _ = if spec.is_built() {
        write!(text, "{head:<40} {facts}\n      {}\n", spec.help)
    } else {
        // What it belongs to is enough.
        writeln!(text, "{head:<46} {}", spec.help)
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_option_is_explained_on_lines_that_fit() {
        let help = server();
        for spec in ALL {
            assert!(help.contains(&format!("  --{}", spec.name)), "{}", spec.name);
            assert!(!spec.is_built() || help.contains(spec.variables[0]), "{}", spec.name);
        }
        for line in help.lines().chain(health().lines()) {
            assert!(line.chars().count() <= 110, "{line}");
        }
    }
}
