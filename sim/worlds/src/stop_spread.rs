//! `stop-spread`: how fast all machines know in the real swarm that GitHub has stopped a token.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{
    children,
    core_layer::costs::quantile,
    draw::Stream,
    gossip_cost::LINK,
    output,
    plan::{Fault, Op, Plan, Trouble, What},
    scenario::{Scenario, Wishes},
    spread::Spread,
    stage::Stage,
};

/// Stops, the first when the meshes have settled, and for how long GitHub then wants to be left alone.
const STOPS: u64 = 8;
const FIRST_MS: u64 = 20_000;
const EVERY_MS: u64 = 6_000;
const RETRY_AFTER_SECS: u64 = 3;
const LIMITED_MS: u64 = 400;

/// Questions of each machine around each stop, none asked twice: each would be a request.
const QUESTIONS: u64 = 4;
const BEFORE_MS: u64 = 300;
const AFTER_MS: u64 = 1_500;

pub struct Options {
    pub nodes: Vec<u32>,
    pub seed: u64,
}

/// Of all stops of a world.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct StopFigures {
    pub stops: usize,
    /// From GitHub's answer at the first machine until another has its word, in milliseconds.
    pub heard_p50_ms: u128,
    pub heard_p99_ms: u128,
    pub heard_max_ms: u128,
    /// Machines that were not told by the first one's word, in a thousand.
    pub missed_permille: f64,
    /// GETs with the same token that began after that answer and before the time was over, anywhere.
    pub begun: usize,
    /// From that answer until the last of these, of each stop.
    pub last_p50_ms: u128,
    pub last_max_ms: u128,
}

pub fn run(options: &Options) -> anyhow::Result<u8> {
    let between = format!("{} to {} ms", LINK.latency_ms, LINK.latency_ms + LINK.jitter_ms);
    output::data(&format!("links of {between}; measured in the swarm"));
    output::data(
        "| nodes | stops | heard p50 / p99 / max ms | missed ‰ | GETs begun after the first refusal, per stop | last of them p50 / max ms |",
    );
    output::data("|---:|---:|---:|---:|---:|---:|");
    let mut worst = 0;
    for nodes in &options.nodes {
        let outcome = children::start_and_wait(&plan(options.seed, *nodes), &["--gossip"])?;
        worst = worst.max(outcome.code());
        if let Some(violation) = &outcome.violation {
            output::note(&format!("{nodes} nodes: {}: {}", violation.invariant, violation.text));
        }
        let seen = outcome.stops.unwrap_or_default();
        output::data(&format!(
            "| {nodes} | {} | {} / {} / {} | {:.1} | {:.1} | {} / {} |",
            seen.stops,
            seen.heard_p50_ms,
            seen.heard_p99_ms,
            seen.heard_max_ms,
            seen.missed_permille,
            seen.begun as f64 / seen.stops.max(1) as f64,
            seen.last_p50_ms,
            seen.last_max_ms,
        ));
    }
    Ok(worst)
}

/// All machines ask all the time, and GitHub says stop now and then.
fn plan(seed: u64, nodes: u32) -> Plan {
    let secs = (FIRST_MS + STOPS * EVERY_MS) / 1000;
    let wishes = Wishes { nodes: Some(nodes), ops: Some(0), secs: Some(secs), ..Wishes::default() };
    let mut plan = Scenario::find("lan").expect("it is in the list").plan(seed, &wishes);
    (plan.link, plan.settle_ms, plan.origin_ms) = (LINK, 20_000, 100);
    plan.tokens[0].limit = 100_000;
    plan.ops.clear();
    plan.faults.clear();
    let mut drawn = Stream::new(seed, "questions around stops");
    for stop in 0..STOPS {
        let from_ms = FIRST_MS + stop * EVERY_MS;
        let what = Trouble::SecondaryLimit { retry_after_secs: RETRY_AFTER_SECS };
        plan.faults.push(Fault { id: stop as u32, from_ms, until_ms: from_ms + LIMITED_MS, what });
        for node in (0..nodes).flat_map(|node| (0..QUESTIONS).map(move |_| node)) {
            let id = plan.ops.len() as u32;
            let path = format!("/repos/octocat/Hello-World/git/blobs/size-{}", 1_000 + id);
            let at_ms = drawn.range(from_ms - BEFORE_MS, from_ms + AFTER_MS);
            plan.ops.push(Op { id, at_ms, what: What::ask(node, Some(0), path) });
        }
    }
    plan.ops.sort_by_key(|op| (op.at_ms, op.id));
    plan
}

/// In a world with stops that are far enough from each other.
pub fn figures(stage: &Stage, spread: &Spread) -> StopFigures {
    let ms = Duration::from_millis;
    let github = stage.github();
    let gets = || github.reference.exchanges.iter().filter(|exchange| exchange.is_get);
    let (mut heard, mut last, mut begun, mut stops) = (Vec::new(), Vec::new(), 0, 0);
    for fault in &stage.plan.faults {
        let Trouble::SecondaryLimit { retry_after_secs } = fault.what else { continue };
        let within = ms(fault.from_ms)..ms(fault.until_ms) + Duration::from_secs(1);
        let stopped = gets().filter(|get| get.stopped_until.is_some() && within.contains(&get.ended));
        let Some(first) = stopped.min_by_key(|get| get.ended) else { continue };
        stops += 1;
        heard.extend(spread.heard_after(first.node as usize + 1, first.ended).iter().map(Duration::as_millis));
        let over = first.ended + Duration::from_secs(retry_after_secs);
        let later = gets().filter(|get| get.who == first.who && first.ended < get.began && get.began < over);
        let delays: Vec<u128> = later.map(|get| (get.began - first.ended).as_millis()).collect();
        begun += delays.len();
        last.push(delays.into_iter().max().unwrap_or_default());
    }
    let others = (stops * (stage.machines.len() - 1)).max(1);
    StopFigures {
        stops,
        missed_permille: 1000.0 * (1.0 - heard.len() as f64 / others as f64),
        heard_p50_ms: quantile(&mut heard, 500),
        heard_p99_ms: quantile(&mut heard, 990),
        heard_max_ms: quantile(&mut heard, 1000),
        begun,
        last_p50_ms: quantile(&mut last, 500),
        last_max_ms: quantile(&mut last, 1000),
    }
}
