//! One world in two processes, compared as they run.

use std::{
    io::{BufRead, BufReader},
    process::Child,
};

use anyhow::{Context, ensure};

use crate::{
    children,
    cli::NOT_DETERMINISTIC,
    output,
    scenario::{self, Scenario, Wishes},
    world::Outcome,
};

/// Common lines told before a difference.
const CONTEXT_LINES: usize = 5;

pub fn run(scenario: &str, seed: u64, wishes: &Wishes) -> anyhow::Result<u8> {
    if scenario == "all" {
        let mut worst = 0;
        for scenario in scenario::ALL.iter().filter(|scenario| !scenario.is_long) {
            worst = worst.max(one(scenario, seed, wishes)?);
        }
        return Ok(worst);
    }
    let known = Scenario::find(scenario).with_context(|| format!("there is no scenario {scenario:?}"))?;
    one(known, seed, wishes)
}

fn one(scenario: &Scenario, seed: u64, wishes: &Wishes) -> anyhow::Result<u8> {
    let plan = scenario.plan(seed, wishes);
    let start = || children::start(&plan, &["--echo", "--log", "debug"]);
    let (mut one, mut two) = (start()?, start()?);
    let (mut left, mut right) = (lines(&mut one)?, lines(&mut two)?);
    let (mut count, mut bytes) = (0u64, 0usize);
    let mut has_ended = false;
    let mut before = std::collections::VecDeque::new();
    let difference = loop {
        match (left.next(), right.next()) {
            (None, None) => break None,
            (Some(a), Some(b)) => {
                let (a, b) = (a?, b?);
                // The outcome tells how long it took, and that may differ.
                if a != b && !is_same_outcome(&a, &b) {
                    break Some((a, b));
                }
                has_ended = a.starts_with('{');
                count += 1;
                bytes += a.len() + 1;
                before.push_back(a);
                if before.len() > CONTEXT_LINES {
                    before.pop_front();
                }
            }
            (a, b) => {
                let text = |line: Option<std::io::Result<String>>| match line {
                    Some(Ok(line)) => line,
                    Some(Err(error)) => error.to_string(),
                    None => "(it has ended)".to_owned(),
                };
                break Some((text(a), text(b)));
            }
        }
    };
    for child in [&mut one, &mut two] {
        // At the first difference there is nothing more to learn.
        let _ = child.kill();
        child.wait()?;
    }
    ensure!(has_ended || difference.is_some(), "{} --seed {seed} ended without an outcome", scenario.name);
    match difference {
        None => {
            output::note(&format!("ok       {} --seed {seed}: {count} lines, {bytes} bytes, equal", scenario.name));
            Ok(0)
        }
        Some((a, b)) => {
            output::note(&format!("DIFFERS  {} --seed {seed}, at line {}", scenario.name, count + 1));
            before.iter().for_each(|line| output::note(&format!("    {line}")));
            output::note(&format!("  - {a}\n  + {b}"));
            Ok(NOT_DETERMINISTIC)
        }
    }
}

/// Whether both lines are outcomes that differ in nothing but what the real machine did meanwhile.
fn is_same_outcome(a: &str, b: &str) -> bool {
    let read = |line: &str| {
        let outcome = serde_json::from_str::<Outcome>(line).ok()?;
        serde_json::to_value(Outcome { real_secs: 0.0, peak_kib: 0, ..outcome }).ok()
    };
    matches!((read(a), read(b)), (Some(a), Some(b)) if a == b)
}

fn lines(child: &mut Child) -> anyhow::Result<impl Iterator<Item = std::io::Result<String>> + use<>> {
    Ok(BufReader::new(child.stdout.take().context("the world has no stdout")?).lines())
}
