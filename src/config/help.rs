//! What `--help` prints.
#![forbid(unsafe_code)]

use super::options::{self, ALL, Group, Spec};
use super::sources::Verb;
use std::fmt::Write;

/// The help of a command, or of the server.
pub fn of(verb: Verb) -> String {
    match verb {
        Verb::Serve => server(),
        Verb::Health => health(),
        Verb::Backup => backup(),
        Verb::Restore => restore(),
        Verb::Check => check(),
        Verb::Rekey => rekey(),
        Verb::Audit => audit(),
    }
}

fn server() -> String {
    let mut text = String::from(
        "Keyway: a key management server (KMIP 2.1 over JSON)

Usage:
  keyway [OPTIONS]                 runs the server
  keyway health [OPTIONS]          asks the server on this machine how it is; exit code 0 means well
  keyway backup [OPTIONS] FILE     copies the embedded database, also while a server serves it
  keyway restore [OPTIONS] FILE    puts a backup in the place of the embedded database
  keyway check [OPTIONS] [FILE]    looks whether all of a database or a backup fits together
  keyway rekey [OPTIONS] FILE      seals a database with another master password, which FILE holds
  keyway audit [OPTIONS] verify FILE..
                                   looks whether the audit log is as it was written

An option counts before its environment variable, that before the same variable in a file .env in the
working folder, and that before the default. Flags are set by variables that say true or 1.

SIGTERM finishes what is in progress and ends the server; SIGHUP makes it read its files again and begin
a new audit log, if the old one was moved; SIGUSR1 makes it order a new certificate, with --use-certbot.
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

fn health() -> String {
    "Asks the server on this machine how it is

Usage: keyway health [OPTIONS]

It takes the options and variables of the server, so that it finds it where the server was told to listen:
  --hostname <HOST>        KMS_HOSTNAME; 0.0.0.0 and :: stand for this machine
  --port <N>               KMS_PORT
  --https-p12-file <FILE>  KMS_HTTPS_P12_FILE; where it is given, HTTPS is spoken
  --tls                    HTTPS is spoken whatever the server's options
  --live                   only whether the server runs, ready or not
Without --https-p12-file and --tls, HTTP is tried first.

Exit codes: 0 well, 1 not well or not there, 2 wrong options.
"
    .to_owned()
}

fn backup() -> String {
    String::from(
        "Copies the embedded database as it is at this moment, also while a server serves it

Usage: keyway backup [OPTIONS] FILE

FILE is a database like the one that it is a copy of, with keys in it: it is made for its owner only (mode
600), and is there whole or not at all. A file that exists is not overwritten. Until it is complete it is
called FILE.partial. A running server goes on serving meanwhile, and sends its rows through keyway.sock in
the folder of the database, which its own user and root can use.
",
    ) + &database_options(&EMBEDDED, &[])
        + "\nExit codes: 0 the backup is there, 1 it is not, 2 wrong options.\n"
}

fn restore() -> String {
    let clear = Spec { help: "Replaces a database that has objects.", ..options::CLEAR_DATABASE };
    String::from(
        "Puts a backup in the place of the embedded database

Usage: keyway restore [OPTIONS] FILE

The server must have ended. FILE is checked first, as keyway check does it, and stays as it is. A database
that has objects is replaced with --clear-database only, and is kept as keyway.redb.before-restore.
",
    ) + &database_options(&EMBEDDED, &[&clear])
        + "\nExit codes: 0 restored, 1 not restored and nothing changed, 2 wrong options.\n"
}

fn check() -> String {
    String::from(
        "Looks whether all of an embedded database, or of a backup, fits together

Usage: keyway check [OPTIONS] [FILE]

Without FILE it is the server's own database, and the server must have ended: while it serves, make a backup
and check that. Every page is verified, every record is read, and every list and grant is compared with what
it is about; of a sealed database, what can be seen without its secret. One line is printed for each thing
that does not fit, and one for the whole. Nothing is changed.
",
    ) + &database_options(&EMBEDDED, &[])
        + "\nExit codes: 0 all fits, 1 something does not or cannot be read, 2 wrong options.\n"
}

fn rekey() -> String {
    String::from(
        "Seals a database with another master password

Usage: keyway rekey [OPTIONS] FILE

FILE holds the new password. What the database is sealed with now is given as to the server. Only the key that
the data is encrypted with is wrapped anew, in one transaction; the data stays as it is, and so does what old
backups need. A server of an embedded database must have ended; it starts with the new password.
",
    ) + &database_options(&EMBEDDED, &SECRETS)
        + "\nExit codes: 0 done, 1 not done and nothing changed, 2 wrong options.\n"
}

fn audit() -> String {
    let key_file = Spec {
        help: "The key of the log. Without it: the last FILE with .key after its name.",
        ..options::AUDIT_KEY_FILE
    };
    let mut text = String::from(
        "Looks whether the audit log is as it was written

Usage: keyway audit [OPTIONS] verify FILE..

Several files are those of one log, in the order in which they were written. The first line that was changed,
removed, inserted or moved is named. A torn last line, as a server leaves it that is killed, is no fault. Of
lines after the last checkpoint, which a running server always has, only the hashes can be verified: they are
told. What is missing after the last line cannot be seen: compare its number with what you know.

",
    );
    describe(&key_file, &mut text);
    text + "\nExit codes: 0 nothing was changed, 1 something was or cannot be read, 2 wrong options.\n"
}

/// Where an embedded database is.
const EMBEDDED: [&Spec; 3] = [&options::DATABASE_TYPE, &options::SQLITE_PATH, &options::ROOT_DATA_PATH];
/// What a database is sealed with.
const SECRETS: [&Spec; 4] =
    [&options::MASTER_PASSWORD, &options::MASTER_PASSWORD_FILE, &options::MASTER_USE_TEE_KEY, &options::TEE];

/// How a command finds the database.
fn database_options(where_it_is: &[&Spec], more: &[&Spec]) -> String {
    let mut text = String::from(
        "
It takes the options and variables of the server, so that it finds the database where the server keeps it:
",
    );
    for spec in where_it_is.iter().chain(more) {
        describe(spec, &mut text);
    }
    text
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
    let _ = write!(text, "{head:<40} {facts}\n      {}\n", spec.help);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_option_is_explained_on_lines_that_fit() {
        let help = server();
        for spec in ALL {
            assert!(help.contains(&format!("  --{}", spec.name)), "{}", spec.name);
            assert!(help.contains(spec.variables[0]), "{}", spec.name);
        }
        let commands: String = Verb::COMMANDS.map(of).concat();
        for line in help.lines().chain(commands.lines()) {
            assert!(line.chars().count() <= 110, "{line}");
        }
        for verb in Verb::COMMANDS {
            let usage = format!("keyway {} [OPTIONS]", verb.name());
            assert!(help.contains(&usage) && of(verb).contains(&format!("\nUsage: {usage}")), "{usage}");
        }
    }
}
