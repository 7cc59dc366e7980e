//! Whether the simulator sees: each bug that can be planted is planted, and has to be found.

use crate::{
    children,
    cli::HARNESS,
    output,
    plan::Layer,
    run::{Seeds, plans, work},
    scenario::Wishes,
    world::LYING_DISK,
};

/// Where each planted bug shows itself.
const HAUNTS: [(&str, &str); 19] = [
    ("serves-across-scopes", "lan"),
    ("mixes-the-clocks", "lan"),
    ("ignores-expiry", "lan"),
    ("skips-the-digest", "liar"),
    ("skips-the-tag", "liar"),
    ("keeps-a-dropped-scope", "revoked-token"),
    ("retries-without-end", "origin-outage"),
    ("never-lands", "lan"),
    ("panics-in-a-task", "lan"),
    ("never-validates", "lan"),
    ("keeps-a-denied-key", "revoked-token"),
    (LYING_DISK, "crash-disk"),
    ("never-releases-a-lease", "lan"),
    ("waits-on-itself", CORE),
    ("loses-a-tombstone", "cut-off"),
    ("keeps-a-stop-to-itself", "origin-limit"),
    ("counts-a-hedge-twice", "slow-peer"),
    ("keeps-a-lost-reservation", "relay-restart"),
    ("keeps-every-connection", "sites"),
];

/// Where waits are looked at.
const CORE: &str = "matrix-start";

/// Plants each bug until it is found. One that is not found says that the simulator is blind.
pub fn run(seeds: u64, jobs: usize) -> anyhow::Result<u8> {
    let mut missed = 0;
    output::data(&format!("{:<24} {:<15} {:>6}  found by", "canary", "scenario", "seeds"));
    for (canary, scenario) in HAUNTS {
        let layer = (scenario == CORE).then_some(Layer::Core);
        let wishes = Wishes { canary: Some(canary.to_owned()), layer, ..Wishes::default() };
        let plans = plans(scenario, Seeds { from: 0, to: seeds }, &wishes)?;
        let (mut tried, mut found) = (0, None);
        work(plans, jobs, |plan| children::outcome(plan, None, None), &mut |_, outcome| {
            tried += 1;
            // A world that cannot be run does not find anything.
            found = outcome.as_ref().ok().and_then(|outcome| outcome.violation.clone());
            found.is_none()
        });
        let by = found.map_or_else(|| "NOT FOUND".to_owned(), |violation| violation.invariant);
        missed += u8::from(by == "NOT FOUND");
        output::data(&format!("{canary:<24} {scenario:<15} {tried:>6}  {by}"));
    }
    if missed > 0 {
        output::note(&format!("error: {missed} planted bugs were not found; the checkers do not see"));
        return Ok(HARNESS);
    }
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_bug_that_can_be_planted_is_looked_for() {
        let unsought = canary::Bug::ALL.iter().find(|bug| HAUNTS.iter().all(|(name, _)| *name != bug.name()));
        assert_eq!(unsought, None);
    }
}
