//! Many worlds: drawn, started, judged, told.

use std::{
    collections::{BTreeMap, VecDeque},
    fs,
    path::{Path, PathBuf},
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Instant,
};

use anyhow::{Context, ensure};

use crate::{
    children,
    cli::{HARNESS, Timeline},
    output,
    plan::Plan,
    scenario::{self, Scenario, Wishes},
    stage::lock,
    trace::LAST_LINES,
    world::{Outcome, place},
};

#[derive(Clone, Copy, Debug)]
pub struct Seeds {
    pub from: u64,
    pub to: u64,
}

pub struct Options {
    pub until_failure: bool,
    pub jobs: usize,
    pub timeline: Option<Timeline>,
    pub json: bool,
    pub out: PathBuf,
}

/// A world that was run, and how that went.
type Ran = (Plan, anyhow::Result<Outcome>);

pub fn plans(scenario: &str, seeds: Seeds, wishes: &Wishes) -> anyhow::Result<Vec<Plan>> {
    let scenarios: Vec<&Scenario> = if scenario == "all" {
        scenario::ALL.iter().filter(|scenario| !scenario.is_long).collect()
    } else {
        let known = Scenario::find(scenario);
        vec![known.with_context(|| format!("there is no scenario {scenario:?}; `list` names them"))?]
    };
    // Seed by seed, so that a run that is cut short has seen every kind.
    let all = (seeds.from..seeds.to).flat_map(|seed| scenarios.iter().map(move |s| s.plan(seed, wishes)));
    Ok(all.collect())
}

/// Runs the worlds and tells about each; the worst of their codes.
pub fn run(plans: Vec<Plan>, options: &Options) -> anyhow::Result<u8> {
    fs::create_dir_all(&options.out).with_context(|| format!("could not create {}", options.out.display()))?;
    let (began, total) = (Instant::now(), plans.len());
    let mut done = 0;
    let mut worst = 0;
    let mut sums = BTreeMap::<String, Sums>::new();
    let mut report = |plan: &Plan, outcome: &anyhow::Result<Outcome>| {
        done += 1;
        output::progress_done();
        let code = match outcome {
            Ok(outcome) => {
                sums.entry(plan.scenario.clone()).or_default().add(outcome);
                if options.json {
                    output::data(&serde_json::to_string(outcome).unwrap_or_default());
                }
                output::note(&verdict(outcome));
                outcome.code()
            }
            Err(error) => {
                output::note(&format!("FAILED   {} --seed {}: {error:#}", plan.scenario, plan.seed));
                HARNESS
            }
        };
        if code > 0 {
            tell_failure(plan, outcome, &options.out);
        }
        worst = worse(worst, code);
        output::progress(&format!("{done} of {total} worlds, {:.0} s", began.elapsed().as_secs_f64()));
        code == 0 || !options.until_failure
    };
    work(plans, options.jobs, |plan| one(plan, options), &mut report);
    output::progress_done();
    if !options.json {
        print_sums(&sums);
    }
    output::note(&format!("{done} worlds in {:.1} s", began.elapsed().as_secs_f64()));
    Ok(worst)
}

/// Safety before liveness, and a broken simulator before both.
fn worse(a: u8, b: u8) -> u8 {
    let rank = |code| [0, 4, 1, 2, 3].iter().position(|known| *known == code).unwrap_or_default();
    match (a, b) {
        (0, other) | (other, 0) => other,
        _ if rank(a) <= rank(b) => a,
        _ => b,
    }
}

fn one(plan: &Plan, options: &Options) -> anyhow::Result<Outcome> {
    let file = |extension: &str| artefact(plan, &options.out, extension);
    let html = (options.timeline == Some(Timeline::Html)).then(|| file("html"));
    let text = (options.timeline == Some(Timeline::Text)).then(|| file("txt"));
    if html.is_some() || text.is_some() {
        plan.write(&file("json"))?;
    }
    let outcome = children::outcome(plan, html.as_deref(), text.as_deref())?;
    if outcome.code() > 0 && html.is_none() {
        // Once more for the page: the same again, as it is deterministic.
        children::outcome(plan, Some(&file("html")), None)?;
    }
    Ok(outcome)
}

fn artefact(plan: &Plan, folder: &Path, extension: &str) -> PathBuf {
    let canary = plan.canary.as_ref().map(|canary| format!("-{canary}")).unwrap_or_default();
    folder.join(format!("{}-{}{canary}.{extension}", plan.scenario, plan.seed))
}

/// One line about a world.
pub fn verdict(outcome: &Outcome) -> String {
    let Outcome { scenario, seed, digest, simulated_secs, real_secs, tally, .. } = outcome;
    match &outcome.violation {
        None => format!(
            "ok       {scenario} --seed {seed}: {simulated_secs:.0} s in {real_secs:.1} s, {} asked, {} charged, {} free, {digest}",
            tally.asks, outcome.charged, outcome.proofs
        ),
        Some(violation) => format!(
            "FAILED   {scenario} --seed {seed}: {} at {:.3} s on {}: {}",
            violation.invariant,
            violation.at_ms / 1000.0,
            place(violation),
            violation.text
        ),
    }
}

/// The last lines, and one line to paste.
fn tell_failure(plan: &Plan, outcome: &anyhow::Result<Outcome>, folder: &Path) {
    if let Ok(outcome) = outcome {
        for line in outcome.last_lines.iter().rev().take(LAST_LINES).rev() {
            output::note(&format!("    {line}"));
        }
        output::note(&format!("timeline: {}", artefact(plan, folder, "html").display()));
    }
    let file = artefact(plan, folder, "json");
    match plan.write(&file) {
        Ok(()) => output::note(&format!("replay:   cargo xtask sim replay {}", file.display())),
        Err(error) => output::note(&format!("warning: {error:#}")),
    }
}

/// Works through the plans with several hands; what is done is reported in the order of the plans.
/// Ends when `report` says so.
pub fn work(
    plans: Vec<Plan>,
    jobs: usize,
    each: impl Fn(&Plan) -> anyhow::Result<Outcome> + Sync,
    report: &mut dyn FnMut(&Plan, &anyhow::Result<Outcome>) -> bool,
) {
    let queue: Mutex<VecDeque<(usize, Plan)>> = Mutex::new(plans.into_iter().enumerate().collect());
    let is_over = AtomicBool::new(false);
    let (tell, told) = std::sync::mpsc::channel::<(usize, Ran)>();
    thread::scope(|scope| {
        for _ in 0..jobs.max(1) {
            let (queue, each, is_over, tell) = (&queue, &each, &is_over, tell.clone());
            scope.spawn(move || {
                while !is_over.load(Ordering::Relaxed) {
                    let Some((number, plan)) = lock(queue).pop_front() else { return };
                    let outcome = each(&plan);
                    let _ = tell.send((number, (plan, outcome)));
                }
            });
        }
        drop(tell);
        let mut early = BTreeMap::new();
        let mut next = 0;
        for (number, ran) in told {
            early.insert(number, ran);
            while let Some((plan, outcome)) = early.remove(&next) {
                next += 1;
                if !report(&plan, &outcome) {
                    is_over.store(true, Ordering::Relaxed);
                    return;
                }
            }
        }
    });
}

#[derive(Default)]
struct Sums {
    worlds: u32,
    failed: u32,
    real_secs: f64,
    simulated_secs: f64,
    peak_kib: u64,
    crashes: u64,
    at_write: u64,
    at_opening: u64,
    asks: u64,
    charged: u64,
    proofs: u64,
}

impl Sums {
    fn add(&mut self, outcome: &Outcome) {
        self.worlds += 1;
        self.failed += u32::from(outcome.code() > 0);
        self.real_secs += outcome.real_secs;
        self.simulated_secs += outcome.simulated_secs;
        self.peak_kib = self.peak_kib.max(outcome.peak_kib);
        self.crashes += outcome.losses.crashes;
        self.at_write += outcome.losses.at_write;
        self.at_opening += outcome.losses.at_opening;
        self.asks += outcome.tally.asks;
        self.charged += outcome.charged;
        self.proofs += outcome.proofs;
    }
}

fn print_sums(sums: &BTreeMap<String, Sums>) {
    output::data(&format!(
        "{:<15} {:>6} {:>6} {:>10} {:>8} {:>8} {:>7} {:>8} {:>7} {:>7} {:>7} {:>7}",
        "scenario",
        "worlds",
        "failed",
        "worlds/min",
        "sim s",
        "MiB max",
        "crashes",
        "at write",
        "opening",
        "asked",
        "charged",
        "free"
    ));
    for (name, sum) in sums {
        output::data(&format!(
            "{name:<15} {:>6} {:>6} {:>10.1} {:>8.0} {:>8} {:>7} {:>8} {:>7} {:>7} {:>7} {:>7}",
            sum.worlds,
            sum.failed,
            60.0 * f64::from(sum.worlds) / sum.real_secs.max(0.001),
            sum.simulated_secs / f64::from(sum.worlds.max(1)),
            sum.peak_kib >> 10,
            sum.crashes,
            sum.at_write,
            sum.at_opening,
            sum.asks,
            sum.charged,
            sum.proofs
        ));
    }
}

/// Runs the plans that once failed.
pub fn regressions(jobs: usize) -> anyhow::Result<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("regressions");
    let files = fs::read_dir(&folder).with_context(|| format!("could not read {}", folder.display()))?;
    let mut files: Vec<PathBuf> = files.filter_map(|file| Some(file.ok()?.path())).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "json"));
    files.sort();
    ensure!(!files.is_empty(), "there is no plan in {}", folder.display());
    let plans = files.iter().map(|file| Plan::read(file)).collect::<anyhow::Result<_>>()?;
    let out = PathBuf::from("target/sim");
    run(plans, &Options { until_failure: false, jobs, timeline: None, json: false, out })
}
