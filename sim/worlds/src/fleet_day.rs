//! `fleet-day`: what a day of runners costs, against what it must cost at least.

mod oracle;

use crate::{
    children, output,
    plan::{Plan, Way},
    run::{verdict, work},
    scenario::Day,
    world::Outcome,
};

pub struct Options {
    pub hours: u64,
    pub runners: u32,
    pub anchors: u32,
    pub seed: u64,
    pub jobs: usize,
    pub ways: Vec<Way>,
}

/// Herds and churn, neither, and each alone.
const KINDS: [(bool, bool); 4] = [(true, true), (false, true), (true, false), (false, false)];

pub fn run(options: &Options) -> anyhow::Result<u8> {
    let Options { hours, runners, anchors, .. } = *options;
    output::data(&format!("{hours} h, {runners} runners, {anchors} machines that stay, seed {}", options.seed));
    output::data(
        "| herds | churn | way | questions | charged | of the oracle's | against it | seen between | at once / other offered / none offered / lost | free proofs | answers behind | wait p50 / p99 ms | sends per node and publish |",
    );
    output::data("|---|---|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|");
    let mut plans = Vec::new();
    for (herds, churn) in KINDS {
        for way in &options.ways {
            plans.push(Day { hours, runners, anchors, herds, churn, way: *way }.plan(options.seed));
        }
    }
    let (mut worst, mut lost) = (0, None);
    let mut number = 0;
    let mut report = |plan: &Plan, outcome: &anyhow::Result<Outcome>| {
        let (herds, churn) = KINDS[number / options.ways.len()];
        number += 1;
        match outcome {
            Ok(outcome) => {
                worst = worst.max(outcome.code());
                if outcome.code() > 0 {
                    output::note(&verdict(outcome));
                    let _ = std::fs::create_dir_all("target/sim");
                    let _ = plan.write(std::path::Path::new("target/sim/fleet-day.json"));
                }
                output::data(&row(plan, outcome, herds, churn));
            }
            Err(error) => lost = Some(format!("{error:#}")),
        }
        lost.is_none()
    };
    work(plans, options.jobs, |plan| children::outcome(plan, None, None), &mut report);
    match lost {
        Some(lost) => anyhow::bail!("{lost}"),
        None => Ok(worst),
    }
}

fn row(plan: &Plan, outcome: &Outcome, herds: bool, churn: bool) -> String {
    let least = oracle::charged(plan);
    let costs = outcome.costs.clone().unwrap_or_default();
    let repeated = [costs.charged_at_once, costs.charged_misoffered, costs.charged_unoffered, costs.charged_lost];
    // New to the fleet, and not to the oracle: for it an older one was fresh all the time.
    let between = outcome.charged as i64 - repeated.iter().sum::<u64>() as i64 - least.changed as i64;
    let word = |is: bool| if is { "yes" } else { "no" };
    format!(
        "| {} | {} | {} | {} | {} | {} of {} | {:.3} | {between} | {} | {} | {:.2} % | {:.0} / {:.0} | {:.2} |",
        word(herds),
        word(churn),
        crate::matrix_start::name(plan.model.way),
        outcome.tally.asks,
        outcome.charged,
        least.changed,
        least.expired,
        outcome.charged as f64 / least.changed.max(1) as f64,
        repeated.map(|count| count.to_string()).join(" / "),
        outcome.proofs,
        100.0 * costs.behind as f64 / outcome.tally.asks.max(1) as f64,
        costs.wait_p50_ms,
        costs.wait_p99_ms,
        costs.gossip_sends / (costs.published + costs.delivered).max(1) as f64,
    )
}
