//! The binary: arguments in, exit code out.

use std::process::ExitCode;

use clap::Parser;
use redis_gitops::cli::{self, Arguments};

fn main() -> ExitCode {
    cli::main(Arguments::parse())
}
