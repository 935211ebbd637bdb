//! The program: arguments to parts to exit code.
#![forbid(unsafe_code)]

fn main() {}
