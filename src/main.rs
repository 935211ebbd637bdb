//! The program: arguments to configuration to exit code.
#![forbid(unsafe_code)]

use keyway::config::{self, Command, Surroundings};
use keyway::shell::{allocator, health};
use keyway::start::{self, EXIT_CONFIGURATION, EXIT_FAILURE, Exit};
use keyway::upkeep;
use std::io::Write;

fn main() {
    allocator::teach_openssl();
    // Where there is no working folder, what is relative to it will not be found.
    let working_folder = std::env::current_dir().unwrap_or_default();
    let surroundings = Surroundings { variable: &|name| std::env::var_os(name), working_folder };
    let command = config::resolve(std::env::args_os().skip(1), &surroundings);
    let result = match command {
        Ok(Command::Serve(config)) => start::serve(*config),
        Ok(Command::Health(target)) => health::ask(&target).map_err(|reason| Exit(EXIT_FAILURE, reason)),
        Ok(Command::Upkeep(upkeep)) => upkeep::run(&upkeep),
        Ok(Command::AuditVerify(wanted)) => upkeep::audit::run(&wanted),
        Ok(Command::Rekey(rekey)) => upkeep::rekey::run(*rekey),
        Ok(Command::Print(text)) => start::print(&text).map(|()| 0),
        Err(error) => Err(Exit(EXIT_CONFIGURATION, error.to_string())),
    };
    let code = result.unwrap_or_else(|Exit(code, reason)| {
        // Where the log is not set up yet, or standard error is gone, there is nobody left to tell.
        let _ = writeln!(std::io::stderr(), "keyway: {reason}");
        code
    });
    std::process::exit(code.into());
}
