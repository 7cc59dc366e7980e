//! `savings`: days of people's work, counted by GitHub, against simpler ways to ask.
//!
//! One trace of polls and changes is drawn; each way plays it against a hub of its own, made from the
//! same seed, and the hub's count is what is told. The last way is ours: real nodes, joined by the real
//! swarm over our network, in the layer `bare`.

mod cases;
mod fleet;
mod rivals;
mod trace;

use std::time::{Duration, Instant};

use clap::ValueEnum;
use fakehub::Hub;

pub use self::cases::Case;
use self::trace::Trace;
use crate::output;

/// How long GitHub takes for an answer.
pub const ORIGIN: Duration = Duration::from_millis(100);

/// Charged requests that GitHub allows an installation in an hour.
const BUDGET: u64 = 5_000;

pub struct Options {
    /// None: all of them.
    pub cases: Vec<Case>,
    /// In place of each case's own number.
    pub hours: Option<u64>,
    pub seed: u64,
}

/// How a way of asking did.
#[derive(Clone, Debug, Default)]
pub struct Score {
    pub polls: u64,
    /// Polls that were answered with something else than 200.
    pub failed: u64,
    pub charged: u64,
    pub proofs: u64,
    pub body_bytes: u64,
    /// The most charged requests in one hour.
    pub charged_in_an_hour: u64,
    /// Polls that were told of a version that GitHub had replaced.
    pub behind: u64,
    /// How long ago the oldest of these had been replaced.
    pub behind_max: Duration,
    /// Hours that are over, and what was charged until then.
    hours: (u64, u64),
}

impl Score {
    /// Counts an answer of this version that came at this moment.
    pub fn answered(&mut self, trace: &Trace, endpoint: usize, version: Option<u64>, at: Duration) {
        self.polls += 1;
        let Some(version) = version else {
            self.failed += 1;
            return;
        };
        if let Some(replaced) = trace.replaced(endpoint, version).filter(|replaced| *replaced < at) {
            self.behind += 1;
            self.behind_max = self.behind_max.max(at - replaced);
        }
    }

    /// Ends the hour, if it is over.
    pub fn hour(&mut self, hub: &Hub, at: Duration) {
        let (over, before) = self.hours;
        let now = at.as_secs() / 3600;
        if now > over {
            let charged = hub.counts().total.charged;
            self.charged_in_an_hour = self.charged_in_an_hour.max(charged - before);
            self.hours = (now, charged);
        }
    }

    /// Takes over what GitHub has counted.
    pub fn counted(&mut self, hub: &Hub) {
        self.hour(hub, Duration::MAX);
        let total = hub.counts().total;
        (self.charged, self.proofs, self.body_bytes) = (total.charged, total.not_modified, total.body_bytes);
    }
}

pub fn run(options: &Options) -> anyhow::Result<u8> {
    let cases = if options.cases.is_empty() { Case::value_variants() } else { &options.cases };
    for case in cases {
        let hours = options.hours.unwrap_or(case.hours());
        let trace = case.draw(options.seed, hours);
        output::note(&format!(
            "{}: {} polls with {} tokens on {} machines, {} changes of {} objects; at least {} charged",
            case.title(),
            trace.polls.len(),
            trace.tokens.len(),
            trace.machines.len(),
            trace.changes.len(),
            trace.endpoints(),
            trace.least()
        ));
        let began = Instant::now();
        let ours = fleet::play(trace.clone())?;
        output::note(&format!("the fleet took {:.0} s", began.elapsed().as_secs_f64()));
        let ways = [
            ("no cache", rivals::no_cache(&trace)),
            ("`gh api --cache 60s`", rivals::gh_cache(&trace)),
            ("a cache on each machine", rivals::machine_cache(&trace)),
            ("a central one, always revalidating", rivals::central_revalidate(&trace)),
            ("ghoard", ours),
        ];
        for line in table(*case, hours, &ways) {
            output::data(&line);
        }
    }
    Ok(0)
}

fn table(case: Case, hours: u64, ways: &[(&str, Score)]) -> Vec<String> {
    let mut lines = vec![
        format!(
            "| {}, {hours} h | polls | charged | free proofs | charged in the worst hour | of a budget | MB from GitHub | answers behind | at most by |",
            case.title()
        ),
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|".to_owned(),
    ];
    for (name, score) in ways {
        let Score { polls, charged, proofs, body_bytes, charged_in_an_hour, behind, behind_max, failed, .. } = score;
        let failed = if *failed > 0 { format!(" ({failed} failed)") } else { String::new() };
        lines.push(format!(
            "| {name} | {polls}{failed} | {charged} | {proofs} | {charged_in_an_hour} | {:.1} % | {:.1} | {:.2} % | {:.1} s |",
            100.0 * *charged_in_an_hour as f64 / BUDGET as f64,
            *body_bytes as f64 / 1e6,
            100.0 * *behind as f64 / (*polls).max(1) as f64,
            behind_max.as_secs_f64(),
        ));
    }
    lines.push(String::new());
    lines
}
