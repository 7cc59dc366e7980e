//! `gossip-cost`: what gossip takes in the real swarm, beside the model of the layer `core`.

use crate::{
    children,
    core_layer::{costs::quantile, gossip::Gossip},
    output,
    plan::{Link, Model},
    scenario::{Scenario, Wishes},
};

/// The links that the design's figures are for: 10 to 50 ms one way.
pub const LINK: Link = Link { latency_ms: 10, jitter_ms: 40, loss_ppm: 0, bytes_per_sec: None };

const QUESTIONS: u32 = 200;
const SIMULATED_SECS: u64 = 60;

/// Draws of the model that its figures are from.
const DRAWS: usize = 100_000;

pub struct Options {
    pub nodes: Vec<u32>,
    pub seed: u64,
}

pub fn run(options: &Options) -> anyhow::Result<u8> {
    let between = format!("{} to {} ms", LINK.latency_ms, LINK.latency_ms + LINK.jitter_ms);
    output::data(&format!("links of {between}; measured in the swarm / of the model"));
    output::data(
        "| nodes | messages | sends per node | duplicates per node | sends of the author | p50 ms | p99 ms | missed ‰ |",
    );
    output::data("|---:|---:|---:|---:|---:|---:|---:|---:|");
    let lan = Scenario::find("lan").expect("it is in the list");
    let mut worst = 0;
    for nodes in &options.nodes {
        let wishes =
            Wishes { nodes: Some(*nodes), ops: Some(QUESTIONS), secs: Some(SIMULATED_SECS), ..Wishes::default() };
        let mut plan = lan.plan(options.seed, &wishes);
        (plan.link, plan.settle_ms) = (LINK, 20_000);
        let outcome = children::start_and_wait(&plan, &["--gossip"])?;
        worst = worst.max(outcome.code());
        if let Some(violation) = &outcome.violation {
            output::note(&format!("{nodes} nodes: {}: {}", violation.invariant, violation.text));
        }
        let seen = outcome.spread.unwrap_or_default();
        let mut gossip = Gossip::new(options.seed, LINK, &Model::default());
        let mut delays: Vec<u128> =
            (0..DRAWS).filter_map(|_| Some(gossip.delay(*nodes as usize)?.as_millis())).collect();
        output::data(&format!(
            "| {nodes} | {} | {:.2} / {:.2} | {:.2} | {:.1} | {:.0} / {} | {:.0} / {} | {:.2} |",
            seen.messages,
            seen.sends_per_node,
            Gossip::sends(*nodes as usize),
            // Each of the others needs one.
            seen.sends_per_node - f64::from(nodes - 1) / f64::from(*nodes) * (1.0 - seen.missed_permille / 1000.0),
            seen.own_sends,
            seen.p50_ms,
            quantile(&mut delays, 500),
            seen.p99_ms,
            quantile(&mut delays, 990),
            seen.missed_permille,
        ));
    }
    Ok(worst)
}
