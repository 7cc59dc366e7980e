//! The record of a world as a text, and as a page to look at.

use std::{fs, path::Path};

use anyhow::Context;
use serde_json::{Value, json};

use crate::{
    plan::{Plan, Role},
    stage::Stage,
    world::{Outcome, Recording},
};

/// The page. Its data takes the place of one line.
const PAGE: &str = include_str!("timeline/page.html");
const DATA_LINE: &str = "const WORLD = null; // DATA";

/// Writes what is wanted of the record.
pub fn write(stage: &Stage, outcome: &Outcome, recording: &Recording) -> anyhow::Result<()> {
    if let Some(path) = &recording.text {
        put(path, &stage.trace().text())?;
    }
    if let Some(path) = &recording.html {
        put(path, &page(&stage.plan, outcome, &stage.trace().events(), path))?;
    }
    Ok(())
}

fn put(path: &Path, text: &str) -> anyhow::Result<()> {
    fs::write(path, text).with_context(|| format!("could not write {}", path.display()))
}

/// The page of a world with these events, to be kept at `path` beside its plan.
pub fn page(plan: &Plan, outcome: &Outcome, events: &[Value], path: &Path) -> String {
    let mut lanes = vec![json!({ "name": "github", "role": "origin" })];
    // A lane for each number, so that a plan with gaps keeps its numbers.
    for id in 0..=plan.nodes.iter().map(|node| node.id).max().unwrap_or_default() {
        let role = plan.nodes.iter().find(|node| node.id == id).map_or("absent", |node| match node.role {
            Role::Node => "node",
            Role::Liar => "liar",
        });
        lanes.push(json!({ "name": format!("n{id}"), "role": role }));
    }
    let violation = outcome.violation.as_ref();
    let summary =
        format!("{} requests, {} charged, {} free proofs", outcome.tally.asks, outcome.charged, outcome.proofs);
    let data = json!({
        "scenario": plan.scenario,
        "seed": plan.seed,
        "layer": plan.layer,
        "outcome": outcome.verdict(),
        "summary": summary,
        "replay": format!("cargo xtask sim replay {}", path.with_extension("json").display()),
        "end_ms": outcome.simulated_secs * 1000.0,
        "violation": violation.map(|violation| json!({
            "t": violation.at_ms, "lane": violation.lane,
            "invariant": violation.invariant, "text": violation.text,
        })),
        "lanes": lanes,
        "events": events,
    });
    PAGE.replacen(DATA_LINE, &format!("const WORLD = {};", data.to_string().replace('<', "\\u003c")), 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_has_its_place_for_data_and_needs_nothing_from_elsewhere() {
        assert_eq!(PAGE.matches(DATA_LINE).count(), 1);
        assert!(!PAGE.contains("http://") && !PAGE.contains("https://"));
    }
}
