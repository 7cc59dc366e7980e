//! `cargo xtask bench <which>`: side-by-side runs that take a command rather than `cargo bench`.

mod account;
mod compare;
mod folder;
mod idle;
mod store;

use clap::{Parser, Subcommand};

use crate::{
    run::{self, Outcome},
    sim,
};

/// Measures ghoard beside what people would use instead, in one run on one machine, as ratios.
#[derive(Parser)]
#[command(name = "cargo xtask bench", disable_help_subcommand = true)]
struct Bench {
    #[command(subcommand)]
    which: Which,
}

/// One line for each bench; what it does is in a file of its own below `bench/`.
#[derive(Subcommand)]
enum Which {
    /// Hits of the daemon beside those of nginx and Varnish.
    Compare(compare::Arguments),
    /// The store beside bare redb, the bare memory library and one fsynced file per entry.
    Store(store::Arguments),
    /// From start to first hit with many entries on disk, of store and daemon, after a clean stop and after SIGKILL.
    Start(store::Arguments),
    /// SIGKILL to the daemon at random moments under write load, and what is left at each next start.
    Kill(store::Kills),
    /// Minutes of mixed load with eviction: memory, file and slow hits over time.
    Mixed(store::Arguments),
    /// Two daemons' libraries on loopback: propagation beside ping, large bodies beside a bare stream.
    Fleet,
    /// Nine daemons with nothing to do: memory and CPU of one that has eight peers.
    Idle(idle::Arguments),
    /// Strangers by the hundred at a node's door, on every transport: its memory, and members meanwhile.
    Siege(store::Arguments),
    /// What GitHub charges in days of people's work, beside simpler ways to ask (in the simulator).
    Savings(store::Arguments),
}

pub(crate) fn run(arguments: &[String]) -> Outcome {
    let name = "cargo xtask bench".to_owned();
    let bench = match Bench::try_parse_from(std::iter::once(&name).chain(arguments)) {
        Ok(bench) => bench,
        Err(help) if !help.use_stderr() => {
            run::print(help.to_string().trim_end());
            return Ok(());
        }
        Err(error) => return Err(error.to_string().trim_start_matches("error: ").trim_end().to_owned()),
    };
    match bench.which {
        Which::Compare(arguments) => compare::run(&arguments),
        Which::Store(arguments) => store::run("compare", &arguments),
        Which::Start(arguments) => store::start(&arguments),
        Which::Kill(kills) => store::kill(&kills),
        Which::Mixed(arguments) => store::run("mixed", &arguments),
        Which::Fleet => run::check(&mut run::cargo(&["run", "--quiet", "--release", "--package", "bench"])),
        Which::Idle(arguments) => idle::run(&arguments),
        Which::Siege(arguments) => {
            let mut cargo = run::cargo(&["run", "--quiet", "--release", "--package", "bench-siege", "--"]);
            run::check(cargo.args(&arguments.arguments))
        }
        Which::Savings(arguments) => sim::run(&[vec!["savings".to_owned()], arguments.arguments].concat()),
    }
}
