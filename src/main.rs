//! The program: arguments to configuration to parts to exit code.
#![forbid(unsafe_code)]

fn main() {}
