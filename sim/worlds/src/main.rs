//! `cargo xtask sim`: the real nodes in simulated worlds, from a seed, repeatable to the byte.
//!
//! One world is one process: the libraries count connections and seed hash maps per process, and
//! that is part of what they do. So the command draws plans and judges, and starts itself again for
//! each world.

mod addresses;
mod bare;
mod canaries;
mod checkers;
mod children;
mod cli;
mod client;
mod compare;
mod core_layer;
mod cost_curve;
mod directory;
mod draw;
mod entry_cost;
mod figures;
mod fleet_day;
mod github;
mod gossip_cost;
mod liar;
mod logs;
mod machine;
mod manner;
mod matrix_start;
mod meta;
mod nat_matrix;
mod output;
mod plan;
mod property;
mod reference;
mod rest;
mod run;
mod savings;
mod scenario;
mod self_test;
mod shrink;
mod spread;
mod stage;
mod stop_spread;
mod tasks;
mod timeline;
mod trace;
mod watched;
mod weather;
mod world;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::main()
}
