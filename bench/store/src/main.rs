//! The store beside what people would use instead: `cargo xtask bench store`, and its hours under load.

mod compare;
mod daemon;
mod entries;
mod figures;
mod mixed;
mod plot;
mod rivals;
mod start;

use std::{io::Write, process::ExitCode};

use clap::{Parser, Subcommand};

pub(crate) type Failure = Box<dyn std::error::Error>;

#[derive(Parser)]
#[command(name = "bench-store", about)]
struct Options {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// The store beside bare redb, the bare memory library and one fsynced file per entry.
    Compare(compare::Options),
    /// From start to first hit with many entries on disk, after a clean stop and after SIGKILL.
    Start(start::Options),
    /// Minutes of mixed load with eviction: memory, file and slow hits over time.
    Mixed(mixed::Options),
    /// One start, in a process of its own: prints what it took.
    #[command(hide = true)]
    Child(start::ChildOptions),
}

fn main() -> ExitCode {
    let done = match Options::parse().command {
        Command::Compare(options) => compare::run(&options),
        Command::Start(options) => start::run(&options),
        Command::Mixed(options) => mixed::run(&options),
        Command::Child(options) => start::child(&options),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            let _ = writeln!(std::io::stderr().lock(), "error: {failure}");
            ExitCode::FAILURE
        }
    }
}

/// Prints one line of data.
pub(crate) fn print(line: &str) {
    let _ = writeln!(std::io::stdout().lock(), "{line}");
}
