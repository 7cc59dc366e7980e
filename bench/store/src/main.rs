//! The store beside what people would use instead: `cargo xtask bench store`, `start`, `kill`, `mixed`.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "bench-store", about)]
struct Options {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {}

fn main() -> ExitCode {
    match Options::parse().command {}
}
