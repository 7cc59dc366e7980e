//! Strangers by the hundred at a node's door, and members that come meanwhile: `cargo xtask bench siege`.
//!
//! The node under attack is a process of its own, with every transport and the production limits, so that
//! its memory and its processor time are the operating system's figures. All traffic stays on loopback.

mod attack;
mod crowd;
mod members;
mod node;
mod quic_strangers;
mod relay;
mod strangers;
mod victim;

use std::{process::ExitCode, time::Duration};

use clap::{Parser, Subcommand};

pub(crate) type Failure = Box<dyn std::error::Error + Send + Sync>;

#[derive(Parser)]
#[command(name = "bench-siege", about = "Lays siege to a node, on every transport and through a relay")]
struct Options {
    #[command(subcommand)]
    command: Option<Command>,
    /// Strangers at once
    #[arg(long, default_value_t = 400, value_parser = clap::value_parser!(u32).range(1..=2000))]
    strangers: u32,
    /// How long each attack lasts
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=600))]
    seconds: u64,
    /// Only the attacks over this transport: tcp, websocket, quic or "a circuit"
    #[arg(long)]
    over: Option<String>,
    /// Connections that come at once and say one byte
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=4000))]
    crowd: u32,
}

#[derive(Subcommand)]
enum Command {
    /// The node under attack
    #[command(hide = true)]
    Node {
        /// A relay that is no member, where it takes a place
        relay: Option<String>,
    },
}

#[tokio::main]
async fn main() -> ExitCode {
    let options = Options::parse();
    let done = match options.command {
        Some(Command::Node { relay }) => node::run(relay).await.map(|()| true),
        None => siege(&options).await,
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(failure) => {
            say(&format!("error: {failure}"));
            ExitCode::from(2)
        }
    }
}

/// Returns whether the node stood all of it.
async fn siege(options: &Options) -> Result<bool, Failure> {
    let lasting = Duration::from_secs(options.seconds);
    let attacks = attack::all(options.strangers, lasting, options.over.as_deref()).await?;
    if options.over.is_some() {
        return Ok(attacks);
    }
    let crowd = crowd::run(options.crowd).await?;
    let members = members::run().await?;
    Ok(attacks && crowd && members)
}

#[expect(clippy::print_stdout, reason = "the figures are this program's output")]
pub(crate) fn print(line: &str) {
    println!("{line}");
}

#[expect(clippy::print_stderr, reason = "what it is about to do is for whoever waits")]
pub(crate) fn say(line: &str) {
    eprintln!("{line}");
}

pub(crate) fn verdict(is_met: bool) -> &'static str {
    if is_met { "met" } else { "MISSED" }
}
