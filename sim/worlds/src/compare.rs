//! Two runs side by side: what a change costs and saves.

use std::{collections::BTreeMap, path::Path};

use anyhow::Context;

use crate::{output, world::Outcome};

/// A figure of a world, with its name.
type Figure = (&'static str, fn(&Outcome) -> f64);

static FIGURES: [Figure; 7] = [
    ("charged", |outcome| outcome.charged as f64),
    ("free proofs", |outcome| outcome.proofs as f64),
    ("hits", |outcome| outcome.tally.hits as f64),
    ("peer hits", |outcome| outcome.tally.peer_hits as f64),
    ("stale", |outcome| outcome.tally.stale as f64),
    ("packets", |outcome| outcome.packets as f64),
    ("KiB on the wire", |outcome| (outcome.wire_bytes >> 10) as f64),
];

pub fn run(a: &Path, b: &Path) -> anyhow::Result<u8> {
    let (before, after) = (read(a)?, read(b)?);
    let common: Vec<&(String, u64)> = before.keys().filter(|world| after.contains_key(world)).collect();
    anyhow::ensure!(!common.is_empty(), "the two have no world in common");
    let scenarios: std::collections::BTreeSet<&str> = common.iter().map(|world| world.0.as_str()).collect();
    output::data(&format!("{:<15} {:<16} {:>12} {:>12} {:>8}", "scenario", "figure", "before", "after", "change"));
    for scenario in scenarios {
        for (name, figure) in FIGURES {
            let sum = |run: &BTreeMap<(String, u64), Outcome>| -> f64 {
                common.iter().filter(|world| world.0 == scenario).map(|world| figure(&run[*world])).sum()
            };
            let (old, new) = (sum(&before), sum(&after));
            let change = if old == 0.0 { 0.0 } else { 100.0 * (new - old) / old };
            output::data(&format!("{scenario:<15} {name:<16} {old:>12.0} {new:>12.0} {change:>+7.1}%"));
        }
    }
    output::note(&format!("{} worlds in common", common.len()));
    Ok(0)
}

fn read(path: &Path) -> anyhow::Result<BTreeMap<(String, u64), Outcome>> {
    let text = std::fs::read_to_string(path).with_context(|| format!("could not read {}", path.display()))?;
    let outcome = |line: &str| -> anyhow::Result<Outcome> {
        serde_json::from_str(line).with_context(|| format!("{} holds a line that is no outcome", path.display()))
    };
    let outcomes = text.lines().filter(|line| !line.trim().is_empty()).map(outcome);
    outcomes.map(|outcome| outcome.map(|outcome| ((outcome.scenario.clone(), outcome.seed), outcome))).collect()
}
