//! `property`: thousands of small worlds, each judged by the model of what GitHub has said.
//!
//! The same model watches the large worlds: `checkers/right.rs`. Where a case fails, its plan is
//! shrunk and kept, and one line replays it.

mod cases;

use std::{
    fs,
    path::{Path, PathBuf},
    time::Instant,
};

use anyhow::Context;

use crate::{
    checkers::Tally,
    children, output,
    plan::Plan,
    run::{self, verdict},
    shrink,
    world::{self, Outcome, Recording},
};

/// Bugs that only a wrong decision about right and time makes; each must be found.
const HAUNTS: [&str; 5] =
    ["serves-across-scopes", "ignores-expiry", "mixes-the-clocks", "keeps-a-denied-key", "keeps-a-dropped-scope"];

/// How often it is told how far the work is.
const TELL_EVERY: u64 = 250;

pub struct Options {
    pub cases: u64,
    pub seed: u64,
    pub jobs: usize,
    pub canary: Option<String>,
    pub out: PathBuf,
}

/// Plays the cases up to the first that fails, which is shrunk.
pub fn run(options: &Options) -> anyhow::Result<u8> {
    let began = Instant::now();
    let (played, failed) = search(options, options.canary.as_deref());
    output::progress_done();
    output::data(&played.line(began.elapsed().as_secs_f64()));
    let Some((plan, outcome)) = failed else { return Ok(0) };
    let outcome = outcome?;
    output::note(&verdict(&outcome));
    let file = keep(&plan, &options.out)?;
    let small = file.with_extension("small.json");
    match shrink::run(&file, Some(small.clone()), options.jobs) {
        Ok(_) => tell_story(&Plan::read(&small)?),
        Err(error) => {
            output::note(&format!("warning: it was not shrunk: {error:#}"));
            output::note(&format!("replay:   cargo xtask sim replay {}", file.display()));
        }
    }
    Ok(outcome.code())
}

/// Plants each bug, and tells which case finds it.
pub fn canaries(options: &Options) -> anyhow::Result<u8> {
    let mut missed = 0;
    output::data(&format!("{:<24} {:>7}  found by", "canary", "case"));
    for canary in HAUNTS {
        let (played, failed) = search(options, Some(canary));
        output::progress_done();
        let violation = failed.and_then(|(_, outcome)| outcome.ok()?.violation);
        let by = violation.map_or_else(|| "NOT FOUND".to_owned(), |violation| violation.invariant);
        missed += u8::from(by == "NOT FOUND");
        output::data(&format!("{canary:<24} {:>7}  {by}", played.cases));
    }
    if missed > 0 {
        output::note(&format!("error: {missed} planted bugs were not found; the model does not see"));
        return Ok(crate::cli::HARNESS);
    }
    Ok(0)
}

/// Tells what happens in each case.
pub fn story(options: &Options) -> anyhow::Result<u8> {
    let mut worst = 0;
    for seed in options.seed..options.seed.saturating_add(options.cases) {
        let plan = cases::case(seed, options.canary.as_deref());
        let outcome = world::run(plan, Recording { echo: true, ..Recording::default() })?;
        output::note(&verdict(&outcome));
        worst = worst.max(outcome.code());
    }
    Ok(worst)
}

fn search(options: &Options, canary: Option<&str>) -> (Played, Option<(Plan, anyhow::Result<Outcome>)>) {
    let mut played = Played::default();
    let mut failed = None;
    let last = options.seed.saturating_add(options.cases);
    // In portions, so that ten thousand plans are not all drawn at first.
    let mut from = options.seed;
    while from < last && failed.is_none() {
        let to = last.min(from + TELL_EVERY);
        let plans = (from..to).map(|seed| cases::case(seed, canary)).collect();
        run::work(plans, options.jobs, play, &mut |plan, outcome| {
            played.cases += 1;
            if let Ok(outcome) = outcome {
                played.add(outcome);
            }
            if outcome.as_ref().is_ok_and(|outcome| outcome.violation.is_none()) {
                return true;
            }
            let outcome = match outcome {
                Ok(outcome) => Ok(outcome.clone()),
                Err(error) => Err(anyhow::anyhow!("{error:#}")),
            };
            failed = Some((plan.clone(), outcome));
            false
        });
        from = to;
        output::progress(&format!("{} of {} cases", played.cases, options.cases));
    }
    (played, failed)
}

/// A machine alone leaves nothing behind in its process; libp2p counts connections, so a fleet has a
/// process of its own.
fn play(plan: &Plan) -> anyhow::Result<Outcome> {
    if plan.nodes.len() > 1 {
        return children::outcome(plan, None, None);
    }
    world::run(plan.clone(), Recording::default())
}

fn keep(plan: &Plan, out: &Path) -> anyhow::Result<PathBuf> {
    fs::create_dir_all(out).with_context(|| format!("could not create {}", out.display()))?;
    let canary = plan.canary.as_ref().map(|canary| format!("-{canary}")).unwrap_or_default();
    let file = out.join(format!("{}-{}{canary}.json", plan.scenario, plan.seed));
    plan.write(&file)?;
    Ok(file)
}

/// What happens in the smallest case, line by line.
fn tell_story(plan: &Plan) {
    let Ok(outcome) = children::outcome(plan, None, None) else { return };
    for line in &outcome.last_lines {
        output::note(&format!("    {line}"));
    }
}

/// What was played so far.
#[derive(Default)]
struct Played {
    cases: u64,
    simulated_secs: f64,
    asks: u64,
    served: Tally,
}

impl Played {
    fn add(&mut self, outcome: &Outcome) {
        self.simulated_secs += outcome.simulated_secs;
        self.asks += outcome.tally.asks;
        self.served.add(outcome.tally);
    }

    fn line(&self, secs: f64) -> String {
        let Tally { hits, peer_hits, filled, confirmed, joined, stale, other, .. } = self.served;
        format!(
            "{} cases in {secs:.0} s ({:.0} simulated days), {} questions: {hits} hits, {peer_hits} of others, \
             {filled} filled, {confirmed} confirmed, {joined} joined, {stale} stale, {other} passed on",
            self.cases,
            self.simulated_secs / 86_400.0,
            self.asks
        )
    }
}
