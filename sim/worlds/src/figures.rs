//! The figures that the documents name: how fast worlds are, and how large.

use crate::{
    canaries, children, output,
    run::{self, Options, Seeds},
    scenario::{Scenario, Wishes},
};

/// Seeds of each scenario that worlds per minute are taken from.
const SEEDS: Seeds = Seeds { from: 0, to: 3 };

const SIZES: [u32; 3] = [10, 50, 100];
const SIMULATED_SECS: u64 = 60;
const QUESTIONS: u32 = 200;

/// Prints them; the code is that of the worst world.
pub fn run(jobs: usize) -> anyhow::Result<u8> {
    let out = std::path::PathBuf::from("target/sim");
    let plans = run::plans("all", SEEDS, &Wishes::default())?;
    let mut worst = run::run(plans, &Options { until_failure: false, jobs, timeline: None, json: false, out })?;

    output::data(&format!("\n{:>5} {:>8} {:>8} {:>10} {:>10}", "nodes", "sim s", "real s", "MiB", "packets"));
    let lan = Scenario::find("lan").expect("it is in the list");
    for nodes in SIZES {
        let wishes =
            Wishes { nodes: Some(nodes), ops: Some(QUESTIONS), secs: Some(SIMULATED_SECS), ..Wishes::default() };
        // Alone, so that the time is its own.
        let outcome = children::outcome(&lan.plan(0, &wishes), None, None)?;
        worst = worst.max(outcome.code());
        output::data(&format!(
            "{nodes:>5} {:>8.0} {:>8.1} {:>10} {:>10}",
            outcome.simulated_secs,
            outcome.real_secs,
            outcome.peak_kib >> 10,
            outcome.packets
        ));
    }
    output::data("");
    Ok(worst.max(canaries::run(50, jobs)?))
}
