//! Where values come from: the command line, the environment, a file `.env`.
#![forbid(unsafe_code)]

use super::options::{self, Spec};
use super::{ConfigError, Warnings, dot_env};
use lexopt::Arg;
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::PathBuf;

/// The variable by which Rust programs are told what to log.
const RUST_LOG: &str = "RUST_LOG";

/// What a process is started with, beside its arguments.
pub struct Surroundings<'a> {
    /// The environment.
    pub variable: &'a dyn Fn(&str) -> Option<OsString>,
    /// Where relative paths of files begin, and where `.env` lies.
    pub working_folder: PathBuf,
}

/// Who gave a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// The option itself.
    CommandLine,
    /// A variable of the environment.
    Environment(&'static str),
    /// A variable in the file `.env`.
    DotEnv(&'static str),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::CommandLine => f.write_str("command line"),
            Source::Environment(variable) => f.write_str(variable),
            Source::DotEnv(variable) => write!(f, "{variable} in .env"),
        }
    }
}

/// A value and who gave it. A flag that is set has an empty text.
pub struct Given {
    /// As it was written.
    pub text: String,
    /// By whom.
    pub source: Source,
}

/// What the program does: the first argument says it, or nothing does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// Serves.
    Serve,
    /// Asks the server how it is.
    Health,
    /// Copies the embedded database.
    Backup,
    /// Puts a copy in its place.
    Restore,
    /// Looks whether all of it fits together.
    Check,
    /// Seals the database with another password.
    Rekey,
    /// Looks whether the audit log is as it was written.
    Audit,
}

impl Verb {
    /// All that have a name, in the order of the help.
    pub const COMMANDS: [Verb; 6] =
        [Verb::Health, Verb::Backup, Verb::Restore, Verb::Check, Verb::Rekey, Verb::Audit];

    /// The word on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Verb::Serve => "",
            Verb::Health => "health",
            Verb::Backup => "backup",
            Verb::Restore => "restore",
            Verb::Check => "check",
            Verb::Rekey => "rekey",
            Verb::Audit => "audit",
        }
    }

    fn takes_file(self) -> bool {
        !matches!(self, Verb::Serve | Verb::Health | Verb::Audit)
    }
}

/// What the arguments ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// To do it.
    Run(Verb),
    /// How it is done.
    Help(Verb),
    /// The version.
    Version,
}

/// The values that were given.
#[derive(Default)]
pub struct Values {
    options: BTreeMap<&'static str, Given>,
    /// The file that a command is about.
    pub file: Option<OsString>,
    /// What is to be done with the audit log, and its files.
    pub words: Vec<OsString>,
    /// What is logged, in the variable of Rust programs: `RUST_LOG`.
    pub log_directives: Option<OsString>,
    /// What the operator should know of where values come from.
    pub warnings: Warnings,
    /// Of `keyway health`: over TLS in any case.
    pub tls: bool,
    /// Of `keyway health`: asks only whether the server runs.
    pub live: bool,
}

impl Values {
    /// The value of an option, and who gave it.
    pub fn get(&self, spec: &Spec) -> Option<&Given> {
        self.options.get(spec.name)
    }

    /// The same, out of here: nothing else shall keep a secret.
    pub fn take(&mut self, spec: &Spec) -> Option<Given> {
        self.options.remove(spec.name)
    }

    /// Whether a flag is set.
    pub fn is_set(&self, spec: &Spec) -> bool {
        self.get(spec).is_some()
    }

    /// The text of an option, or its default.
    pub fn text<'v>(&'v self, spec: &'v Spec) -> &'v str {
        self.get(spec).map_or(spec.default, |given| &given.text)
    }

    /// Takes in the arguments.
    pub fn read_arguments(
        &mut self,
        arguments: impl Iterator<Item = OsString>,
    ) -> Result<Asked, ConfigError> {
        let mut parser = lexopt::Parser::from_args(arguments);
        let (mut verb, mut is_first) = (Verb::Serve, true);
        let unreadable = |error: lexopt::Error| ConfigError(error.to_string());
        while let Some(argument) = parser.next().map_err(unreadable)? {
            let command = |value: &OsString| Verb::COMMANDS.into_iter().find(|verb| *value == *verb.name());
            match argument {
                Arg::Short('h') | Arg::Long("help") => return Ok(Asked::Help(verb)),
                Arg::Short('V') | Arg::Long("version") => return Ok(Asked::Version),
                Arg::Long("tls") if verb == Verb::Health => self.tls = true,
                Arg::Long("live") if verb == Verb::Health => self.live = true,
                Arg::Long(name) => {
                    let spec = options::named(name).ok_or_else(|| unknown(name))?;
                    self.read_option(spec, &mut parser)?;
                }
                Arg::Short(letter) => return Err(unknown_argument(&format!("-{letter}"))),
                Arg::Value(value) => match command(&value).filter(|_| is_first) {
                    Some(command) => verb = command,
                    None if verb == Verb::Audit => self.words.push(value),
                    None if verb.takes_file() && self.file.is_none() => self.file = Some(value),
                    None => return Err(unknown_argument(&value.to_string_lossy())),
                },
            }
            is_first = false;
        }
        Ok(Asked::Run(verb))
    }

    fn read_option(&mut self, spec: &'static Spec, parser: &mut lexopt::Parser) -> Result<(), ConfigError> {
        let text = match spec.value {
            None if parser.optional_value().is_some() => {
                return Err(ConfigError(format!("--{} takes no value", spec.name)));
            }
            None => String::new(),
            Some(value) => {
                let given = parser
                    .value()
                    .map_err(|_| ConfigError(format!("--{} needs a value <{value}>", spec.name)))?;
                given
                    .into_string()
                    .map_err(|_| ConfigError(format!("--{}: the value is not UTF-8", spec.name)))?
            }
        };
        match self.options.get_mut(spec.name) {
            None => drop(self.options.insert(spec.name, Given { text, source: Source::CommandLine })),
            Some(given) if spec.is_list => given.text = format!("{},{text}", given.text),
            Some(_) => return Err(ConfigError(format!("--{} is given twice: give it once", spec.name))),
        }
        Ok(())
    }

    /// Takes in the variables of the environment, and those of `.env` that it does not have, for all options that the
    /// arguments did not give.
    pub fn read_variables(&mut self, surroundings: &Surroundings<'_>) -> Result<(), ConfigError> {
        let mut dot_env = dot_env::read(&surroundings.working_folder.join(".env"), &mut self.warnings)?;
        let is_given = |value: &OsString| !value.is_empty();
        self.log_directives = (surroundings.variable)(RUST_LOG)
            .filter(is_given)
            .or_else(|| dot_env.remove(RUST_LOG).map(OsString::from));
        for spec in options::ALL {
            let variables = || spec.variables.iter().copied();
            let environment = variables().find_map(|variable| {
                let value = (surroundings.variable)(variable).filter(is_given)?;
                Some((value, Source::Environment(variable)))
            });
            let (value, source) = match environment {
                Some((value, source)) => {
                    let not_text = |_| ConfigError(format!("--{}: {source} is not UTF-8", spec.name));
                    (value.into_string().map_err(not_text)?, source)
                }
                None => match variables().find_map(|name| dot_env.remove(name).map(|value| (value, name))) {
                    Some((value, name)) if !value.is_empty() => (value, Source::DotEnv(name)),
                    _ => continue,
                },
            };
            if self.options.contains_key(spec.name) {
                continue;
            }
            let text = match (spec.value, truth(&value)) {
                (Some(_), _) => value,
                (None, Some(true)) => String::new(),
                (None, Some(false)) => continue,
                (None, None) => {
                    return Err(ConfigError(format!("--{}: {source} must be true or false", spec.name)));
                }
            };
            self.options.insert(spec.name, Given { text, source });
        }
        Ok(())
    }
}

/// What a variable says of a flag.
fn truth(value: &str) -> Option<bool> {
    match value.to_ascii_lowercase().as_str() {
        "true" | "t" | "yes" | "y" | "on" | "1" => Some(true),
        "false" | "f" | "no" | "n" | "off" | "0" => Some(false),
        _ => None,
    }
}

fn unknown(name: &str) -> ConfigError {
    let hint = match options::nearest(name) {
        Some(nearest) => format!("did you mean --{nearest}?"),
        None => "see keyway --help".to_owned(),
    };
    ConfigError(format!("there is no option --{}: {hint}", name.escape_debug()))
}

fn unknown_argument(argument: &str) -> ConfigError {
    ConfigError(format!("unexpected argument {argument:?}: see keyway --help"))
}

/// The level in RUST_LOG that is for everything: `info,cosmian=debug` says `info`.
pub fn bare_log_level(directives: &OsStr) -> Option<log::LevelFilter> {
    directives.to_str()?.split(',').find_map(|directive| directive.trim().parse().ok())
}
