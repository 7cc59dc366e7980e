//! `cost-curve`: what a fleet costs against its size, in the layer `core`, as a table and as a drawing.

mod plot;

use std::path::PathBuf;

use self::plot::Line;
use crate::{children, output, plan::Way, run::verdict, scenario};

pub struct Options {
    pub nodes: Vec<u32>,
    pub seed: u64,
    pub way: Way,
    pub svg: Option<PathBuf>,
}

pub fn run(options: &Options) -> anyhow::Result<u8> {
    output::data(
        "| nodes | asked | charged | proofs | messages per node and s | sends per announce and node | bytes per node and s | MiB | KiB per node | real s |",
    );
    output::data("|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|");
    let mut lines = [
        Line::new("messages per node and minute"),
        Line::new("KiB per node and minute"),
        Line::new("KiB of memory per node"),
    ];
    let mut worst = 0;
    for nodes in &options.nodes {
        let outcome = children::outcome(&scenario::steady(options.seed, *nodes, options.way), None, None)?;
        if outcome.code() > 0 {
            output::note(&verdict(&outcome));
        }
        worst = worst.max(outcome.code());
        let costs = outcome.costs.clone().unwrap_or_default();
        let (count, secs) = (f64::from(*nodes), outcome.simulated_secs.max(1.0));
        let messages = (costs.gossip_sends + costs.sent as f64 + 2.0 * costs.pulls as f64) / count / secs;
        let bytes = (costs.gossip_bytes + costs.sent_bytes as f64 + costs.pull_bytes as f64) / count / secs;
        let kib = outcome.peak_kib as f64 / count;
        output::data(&format!(
            "| {nodes} | {} | {} | {} | {messages:.2} | {:.2} | {bytes:.0} | {} | {kib:.0} | {:.1} |",
            outcome.tally.asks,
            outcome.charged,
            outcome.proofs,
            costs.gossip_sends / (costs.published + costs.delivered).max(1) as f64,
            outcome.peak_kib >> 10,
            outcome.real_secs,
        ));
        for (line, value) in lines.iter_mut().zip([messages * 60.0, bytes * 60.0 / 1024.0, kib]) {
            line.points.push((count, value));
        }
    }
    if let Some(path) = &options.svg {
        std::fs::write(path, plot::svg(&lines))?;
        output::note(&format!("drawn: {}", path.display()));
    }
    Ok(worst)
}
