//! `matrix-start`: 200 requests for one cold key at once, and how many of them reach GitHub.

use std::{collections::BTreeMap, path::Path};

use crate::{
    children,
    core_layer::costs::quantile,
    output,
    plan::Way,
    run::{verdict, work},
    scenario::Matrix,
    world::Outcome,
};

pub struct Options {
    pub nodes: Vec<u32>,
    pub seeds: u64,
    pub jobs: usize,
    pub ways: Vec<Way>,
}

/// Members that a node does not know, and machines that hang: in a hundred.
const BAD_VIEWS: (u64, u64) = (5, 2);

pub fn run(options: &Options) -> anyhow::Result<u8> {
    output::data(
        "| nodes | tokens | views | way | charged p50 / p95 / max | proofs p50 / p95 / max | in flight p95 / max | wait p50 / p99 ms |",
    );
    output::data("|---:|---|---|---|---:|---:|---:|---:|");
    let mut worst = 0;
    for nodes in &options.nodes {
        for way in &options.ways {
            for per_job in [false, true] {
                for (stale_percent, dead_percent) in [(0, 0), BAD_VIEWS] {
                    let matrix = Matrix { nodes: *nodes, per_job, stale_percent, dead_percent, way: *way };
                    worst = worst.max(row(matrix, options)?);
                }
            }
        }
    }
    Ok(worst)
}

fn row(matrix: Matrix, options: &Options) -> anyhow::Result<u8> {
    let plans = (0..options.seeds).map(|seed| matrix.plan(seed)).collect();
    let (mut ended, mut worst, mut lost) = (Vec::<Outcome>::new(), 0, None);
    let mut report = |plan: &crate::plan::Plan, outcome: &anyhow::Result<Outcome>| {
        match outcome {
            Ok(outcome) => {
                if outcome.code() > 0 {
                    output::note(&verdict(outcome));
                    let file = format!("target/sim/matrix-start-{}-{}.json", matrix.nodes, plan.seed);
                    let _ = std::fs::create_dir_all("target/sim");
                    let _ = plan.write(Path::new(&file));
                }
                worst = worst.max(outcome.code());
                ended.push(outcome.clone());
            }
            Err(error) => lost = Some(format!("seed {}: {error:#}", plan.seed)),
        }
        lost.is_none()
    };
    work(plans, options.jobs, |plan| children::outcome(plan, None, None), &mut report);
    if let Some(lost) = lost {
        anyhow::bail!("{lost}");
    }
    let three = |of: &dyn Fn(&Outcome) -> u64| {
        let mut values: Vec<u64> = ended.iter().map(of).collect();
        let [half, most, all] = [500, 950, 1000].map(|permille| quantile(&mut values, permille));
        format!("{half} / {most} / {all}")
    };
    let (charged, proofs) = (three(&|outcome| outcome.charged), three(&|outcome| outcome.proofs));
    // A bucket's proofs over all seeds: each begins when so many are under way.
    let mut in_flight: BTreeMap<&str, Vec<u32>> = BTreeMap::new();
    let mut waits = [0.0_f64, 0.0];
    for costs in ended.iter().filter_map(|outcome| outcome.costs.as_ref()) {
        in_flight.entry("p95").or_default().push(costs.in_flight_p95);
        in_flight.entry("max").or_default().push(costs.in_flight_max);
        waits[0] += costs.wait_p50_ms / ended.len() as f64;
        waits[1] = waits[1].max(costs.wait_p99_ms);
    }
    let most = |name| in_flight.get(name).and_then(|seen| seen.iter().max()).copied().unwrap_or_default();
    output::data(&format!(
        "| {} | {} | {} | {} | {charged} | {proofs} | {} / {} | {:.0} / {:.0} |",
        matrix.nodes,
        if matrix.per_job { "one per job" } else { "one" },
        if matrix.stale_percent > 0 {
            format!("{} % stale, {} % dead", matrix.stale_percent, matrix.dead_percent)
        } else {
            "true".to_owned()
        },
        name(matrix.way),
        most("p95"),
        most("max"),
        waits[0],
        waits[1],
    ));
    Ok(worst)
}

/// How a way is called in tables.
pub fn name(way: Way) -> &'static str {
    match way {
        Way::Alone => "no sharing",
        Way::Announce => "announce only",
        Way::Claims => "claims",
    }
}
