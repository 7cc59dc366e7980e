//! The command line.

use std::{
    io::Read,
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::{Parser, Subcommand, ValueEnum};
use tracing::Level;

use crate::{
    canaries, compare, cost_curve, entry_cost, figures, fleet_day, gossip_cost, matrix_start, meta, nat_matrix, output,
    plan::{Layer, Plan, Way},
    property,
    run::{self, Seeds},
    savings,
    scenario::{self, Wishes},
    self_test, shrink, stop_spread, world,
};

/// Exit codes: 0 all promises kept, 1 a safety promise broken, 2 a world did not come to rest, 3 not
/// deterministic, 4 the simulator itself failed.
#[derive(Parser)]
#[command(name = "cargo xtask sim", about = "Runs ghoard in simulated worlds", max_term_width = 100, after_help = CODES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const CODES: &str =
    "Exit codes: 0 all promises kept, 1 safety, 2 liveness, 3 not deterministic, 4 the simulator failed";

/// The code for what is wrong with the simulator, not with a world.
pub const HARNESS: u8 = 4;
pub const NOT_DETERMINISTIC: u8 = 3;

#[derive(Subcommand)]
enum Command {
    /// Tell the scenarios, and the bugs that can be planted
    List,
    /// Run worlds
    Run(RunArgs),
    /// Run the world of a plan file again
    Replay {
        file: PathBuf,
        /// Tell what the nodes log down to this level
        #[arg(long, default_value = "info")]
        log: Level,
        #[arg(long)]
        timeline: Option<Timeline>,
        /// Where the timeline goes
        #[arg(long)]
        out: Option<PathBuf>,
    },
    /// Take machines, operations and faults out of a failing plan while it still fails
    Shrink {
        file: PathBuf,
        /// Where the smaller plan goes
        #[arg(long)]
        out: Option<PathBuf>,
        #[arg(long, default_value_t = 2)]
        jobs: usize,
    },
    /// Run one world in two processes and compare them byte by byte
    Meta {
        scenario: String,
        #[arg(long, default_value_t = 0)]
        seed: u64,
        #[command(flatten)]
        wishes: WishArgs,
    },
    /// Compare the figures of two files of `run --json`
    Compare { a: PathBuf, b: PathBuf },
    /// Check that time, chance and worlds are simulated at all
    SelfTest,
    /// Run every seed of the regressions file again
    Regressions {
        #[arg(long, default_value_t = 2)]
        jobs: usize,
    },
    /// Plant each bug in turn, and see whether it is found
    Canaries {
        /// Seeds tried for each
        #[arg(long, default_value_t = 50)]
        seeds: u64,
        #[arg(long, default_value_t = 2)]
        jobs: usize,
    },
    /// Draw small worlds, and check that no client is told what GitHub would not have told it
    Property {
        #[arg(long, default_value_t = 10_000)]
        cases: u64,
        /// Of the first case
        #[arg(long, default_value_t = 0)]
        seed: u64,
        #[arg(long, default_value_t = 2)]
        jobs: usize,
        /// Plant a bug of `list`
        #[arg(long, conflicts_with = "canaries")]
        canary: Option<String>,
        /// Plant each bug in turn that this must find
        #[arg(long)]
        canaries: bool,
        /// Tell what happens in each case, one after the other
        #[arg(long)]
        story: bool,
        /// Where plans go
        #[arg(long, default_value = "target/sim")]
        out: PathBuf,
    },
    /// Days of people's work: what GitHub charges without a cache, with simpler ones, and with us
    Savings {
        /// All of them, if none is named
        cases: Vec<savings::Case>,
        /// In place of each one's own number
        #[arg(long, value_parser = clap::value_parser!(u64).range(1..=72))]
        hours: Option<u64>,
        #[arg(long, default_value_t = 1)]
        seed: u64,
    },
    /// Print worlds per minute, seconds and memory by size, and seeds to each planted bug
    Figures {
        #[arg(long, default_value_t = 2)]
        jobs: usize,
    },
    /// What an announce costs in the real swarm, beside the model: sends per node, and milliseconds
    GossipCost {
        #[arg(long, value_delimiter = ',', default_value = "10,50,100")]
        nodes: Vec<u32>,
        #[arg(long, default_value_t = 1)]
        seed: u64,
    },
    /// What one entry costs that one machine fills and others read: messages, and bytes per node
    EntryCost {
        #[arg(long, default_value_t = 1)]
        seed: u64,
        #[arg(long, default_value_t = 1_000)]
        body_bytes: u16,
    },
    /// How fast all machines of the real swarm know that GitHub has stopped a token
    StopSpread {
        #[arg(long, value_delimiter = ',', default_value = "10,50")]
        nodes: Vec<u32>,
        #[arg(long, default_value_t = 1)]
        seed: u64,
    },
    /// Two machines behind routers of each pair of kinds: direct or relayed, beside the kernel's routers
    NatMatrix {
        /// From..to, the end not included; each plays every cell
        #[arg(long, value_parser = parse_seeds, default_value = "0..1")]
        seeds: Seeds,
        #[arg(long, default_value_t = 2)]
        jobs: usize,
        /// One line of JSON for each cell and seed on stdout
        #[arg(long)]
        json: bool,
        /// Where plans of cells go that are not as they should be
        #[arg(long, default_value = "target/sim")]
        out: PathBuf,
    },
    /// Two hundred requests for one cold key at once: what reaches GitHub, over many seeds
    MatrixStart {
        #[arg(long, value_delimiter = ',', default_value = "10,100,1000")]
        nodes: Vec<u32>,
        #[arg(long, default_value_t = 100)]
        seeds: u64,
        #[arg(long, default_value_t = 2)]
        jobs: usize,
        #[arg(long, value_enum, value_delimiter = ',', default_value = "claims")]
        ways: Vec<Way>,
    },
    /// A day of runners that come and go, against the least that it can cost
    FleetDay {
        #[arg(long, default_value_t = 24, value_parser = clap::value_parser!(u64).range(1..=72))]
        hours: u64,
        #[arg(long, default_value_t = 50)]
        runners: u32,
        /// Machines that stay, besides the runners
        #[arg(long, default_value_t = 0)]
        anchors: u32,
        #[arg(long, default_value_t = 1)]
        seed: u64,
        #[arg(long, default_value_t = 2)]
        jobs: usize,
        #[arg(long, value_enum, value_delimiter = ',', default_value = "alone,announce,claims")]
        ways: Vec<Way>,
    },
    /// Messages, bytes and memory of a node against the size of the fleet
    CostCurve {
        #[arg(long, value_delimiter = ',', default_value = "2,5,10,20,50,100,200,500,1000,2000,5000,10000")]
        nodes: Vec<u32>,
        #[arg(long, default_value_t = 1)]
        seed: u64,
        #[arg(long, value_enum, default_value = "claims")]
        way: Way,
        /// Where the drawing goes
        #[arg(long)]
        svg: Option<PathBuf>,
    },
    /// Run the one world whose plan comes in on stdin
    #[command(hide = true)]
    World {
        #[arg(long)]
        echo: bool,
        #[arg(long)]
        log: Option<Level>,
        #[arg(long)]
        html: Option<PathBuf>,
        #[arg(long)]
        text: Option<PathBuf>,
        #[arg(long)]
        gossip: bool,
    },
    /// A line for the self-test: what chance and time are in this process
    #[command(hide = true)]
    Oracle { seed: u64 },
}

#[derive(clap::Args)]
pub struct RunArgs {
    /// A scenario of `list`, or `all` (those that take seconds)
    scenario: String,
    #[arg(long, conflicts_with_all = ["seeds", "iterations"])]
    seed: Option<u64>,
    /// From..to, the end not included
    #[arg(long, value_parser = parse_seeds, conflicts_with = "iterations")]
    seeds: Option<Seeds>,
    /// So many seeds from 0
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    iterations: Option<u64>,
    /// Stop at the first world that fails
    #[arg(long)]
    until_failure: bool,
    #[command(flatten)]
    wishes: WishArgs,
    /// Worlds at once
    #[arg(long, default_value_t = 2)]
    jobs: usize,
    /// Write the record of each world
    #[arg(long)]
    timeline: Option<Timeline>,
    /// One line of JSON for each world on stdout
    #[arg(long)]
    json: bool,
    /// Where plans and timelines go
    #[arg(long, default_value = "target/sim")]
    out: PathBuf,
}

#[derive(clap::Args, Clone)]
pub struct WishArgs {
    /// Machines, in place of the scenario's number
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    nodes: Option<u32>,
    /// Questions, in place of the scenario's number
    #[arg(long)]
    ops: Option<u32>,
    /// Simulated seconds until the faults end
    #[arg(long, value_parser = clap::value_parser!(u64).range(10..=604_800))]
    secs: Option<u64>,
    /// The whole node, or the fleet's state machine alone
    #[arg(long)]
    layer: Option<LayerArg>,
    /// Plant a bug of `list`
    #[arg(long)]
    canary: Option<String>,
}

#[derive(Clone, Copy, ValueEnum)]
enum LayerArg {
    Swarm,
    Core,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Timeline {
    Text,
    Html,
}

impl WishArgs {
    fn wishes(&self) -> anyhow::Result<Wishes> {
        let layer = self.layer.map(|layer| match layer {
            LayerArg::Swarm => Layer::Swarm,
            LayerArg::Core => Layer::Core,
        });
        let Self { nodes, ops, secs, canary, .. } = self.clone();
        check_canary(canary.as_deref())?;
        Ok(Wishes { nodes, ops, secs, layer, canary })
    }
}

fn parse_seeds(text: &str) -> Result<Seeds, String> {
    let (from, to) = text.split_once("..").ok_or("write it as 0..10")?;
    let number = |text: &str| text.parse::<u64>().map_err(|_| format!("{text:?} is not a number"));
    let (from, to) = (number(from)?, number(to)?);
    if from < to { Ok(Seeds { from, to }) } else { Err(format!("{text} holds no seed")) }
}

pub fn main() -> ExitCode {
    let command = match Cli::try_parse() {
        Ok(cli) => cli.command,
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { HARNESS } else { 0 });
        }
    };
    match carry_out(command) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            output::note(&format!("error: {error:#}"));
            ExitCode::from(HARNESS)
        }
    }
}

fn carry_out(command: Command) -> anyhow::Result<u8> {
    match command {
        Command::List => Ok(list()),
        Command::Run(args) => {
            let RunArgs { scenario, seed, seeds, iterations, until_failure, wishes, jobs, timeline, json, out } = args;
            let seeds = match (seed, seeds, iterations) {
                (Some(seed), ..) => Seeds { from: seed, to: seed.saturating_add(1).max(1) },
                (_, Some(seeds), _) => seeds,
                (_, _, Some(count)) => Seeds { from: 0, to: count },
                _ => Seeds { from: 0, to: 1 },
            };
            let wishes = wishes.wishes()?;
            let plans = run::plans(&scenario, seeds, &wishes)?;
            run::run(plans, &run::Options { until_failure, jobs, timeline, json, out })
        }
        Command::Replay { file, log, timeline, out } => replay(&file, log, timeline, out.as_deref()),
        Command::Shrink { file, out, jobs } => shrink::run(&file, out, jobs),
        Command::Meta { scenario, seed, wishes } => meta::run(&scenario, seed, &wishes.wishes()?),
        Command::Compare { a, b } => compare::run(&a, &b),
        Command::SelfTest => self_test::run(),
        Command::Regressions { jobs } => run::regressions(jobs),
        Command::Canaries { seeds, jobs } => canaries::run(seeds, jobs),
        Command::Property { cases, seed, jobs, canary, canaries, story, out } => {
            check_canary(canary.as_deref())?;
            let options = property::Options { cases, seed, jobs, canary, out };
            match () {
                () if canaries => property::canaries(&options),
                () if story => property::story(&options),
                () => property::run(&options),
            }
        }
        Command::Savings { cases, hours, seed } => savings::run(&savings::Options { cases, hours, seed }),
        Command::Figures { jobs } => figures::run(jobs),
        Command::GossipCost { nodes, seed } => gossip_cost::run(&gossip_cost::Options { nodes, seed }),
        Command::EntryCost { seed, body_bytes } => {
            entry_cost::run(&entry_cost::Options { seed, body_bytes: body_bytes.into() })
        }
        Command::StopSpread { nodes, seed } => stop_spread::run(&stop_spread::Options { nodes, seed }),
        Command::NatMatrix { seeds, jobs, json, out } => {
            nat_matrix::run(&nat_matrix::Options { seeds, jobs, json, out })
        }
        Command::MatrixStart { nodes, seeds, jobs, ways } => {
            matrix_start::run(&matrix_start::Options { nodes, seeds, jobs, ways })
        }
        Command::FleetDay { hours, runners, anchors, seed, jobs, ways } => {
            fleet_day::run(&fleet_day::Options { hours, runners, anchors, seed, jobs, ways })
        }
        Command::CostCurve { nodes, seed, way, svg } => cost_curve::run(&cost_curve::Options { nodes, seed, way, svg }),
        Command::World { echo, log, html, text, gossip } => {
            let mut plan = String::new();
            std::io::stdin().read_to_string(&mut plan)?;
            let plan: Plan = serde_json::from_str(&plan)?;
            plan.check()?;
            let outcome = world::run(plan, world::Recording { echo, level: log, html, text, gossip })?;
            output::data(&serde_json::to_string(&outcome)?);
            Ok(outcome.code())
        }
        Command::Oracle { seed } => Ok(self_test::oracle(seed)),
    }
}

fn check_canary(name: Option<&str>) -> anyhow::Result<()> {
    let is_known = |name: &str| name == world::LYING_DISK || canary::Bug::ALL.iter().any(|bug| bug.name() == name);
    anyhow::ensure!(name.is_none_or(is_known), "there is no canary {name:?}; `list` names them");
    Ok(())
}

fn list() -> u8 {
    output::data("scenarios:");
    for scenario in scenario::ALL {
        let long = if scenario.is_long { " (minutes; not in `all`)" } else { "" };
        output::data(&format!("  {:<15} {:>3} machines  {}{long}", scenario.name, scenario.nodes, scenario.about));
    }
    output::data("bugs to plant with --canary:");
    for bug in canary::Bug::ALL {
        output::data(&format!("  {}", bug.name()));
    }
    output::data(&format!("  {}", world::LYING_DISK));
    0
}

/// Runs a plan in this very process, and tells what happens as it happens.
fn replay(file: &Path, log: Level, timeline: Option<Timeline>, out: Option<&Path>) -> anyhow::Result<u8> {
    let plan = Plan::read(file)?;
    let place = |kind, extension| {
        let place = || out.map_or_else(|| file.with_extension(extension), Path::to_owned);
        (timeline == Some(kind)).then(place)
    };
    let (html, text) = (place(Timeline::Html, "html"), place(Timeline::Text, "txt"));
    let written = html.clone().or_else(|| text.clone());
    let echo = written.is_none();
    let outcome = world::run(plan, world::Recording { echo, level: Some(log), html, text, gossip: false })?;
    output::note(&run::verdict(&outcome));
    if let Some(written) = written {
        output::note(&format!("timeline: {}", written.display()));
    }
    Ok(outcome.code())
}
