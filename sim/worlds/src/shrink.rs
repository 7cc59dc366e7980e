//! The smallest world that still fails in the same way.
//!
//! Items are taken out of a plan by halves, then quarters, down to one (delta debugging), machines
//! first, since with a machine goes all that it does. Each draws from streams of its own, so what is
//! left behaves as before.

use std::{
    path::{Path, PathBuf},
    thread,
    time::Instant,
};

use anyhow::{Context, ensure};

use crate::{children, output, plan::Plan, stage::Violation};

/// What a plan holds that can go.
#[derive(Clone, Copy)]
enum Items {
    Nodes,
    Faults,
    Ops,
}

impl Items {
    fn count(self, plan: &Plan) -> usize {
        match self {
            Self::Nodes => plan.nodes.len(),
            Self::Faults => plan.faults.len(),
            Self::Ops => plan.ops.len(),
        }
    }

    /// The plan without the items of a range.
    fn without(self, plan: &Plan, range: &std::ops::Range<usize>) -> Plan {
        let mut less = plan.clone();
        match self {
            Self::Nodes => drop(less.nodes.drain(range.clone())),
            Self::Faults => drop(less.faults.drain(range.clone())),
            Self::Ops => drop(less.ops.drain(range.clone())),
        }
        less.tidy();
        less
    }
}

struct Shrinker {
    invariant: String,
    jobs: usize,
    tried: usize,
}

pub fn run(file: &Path, out: Option<PathBuf>, jobs: usize) -> anyhow::Result<u8> {
    let plan = Plan::read(file)?;
    let out = out.unwrap_or_else(|| file.with_extension("small.json"));
    let began = Instant::now();
    let violation = violation(&plan)?.context("this plan does not fail; there is nothing to shrink")?;
    output::note(&format!("{}: {}", violation.invariant, violation.text));
    let mut shrinker = Shrinker { invariant: violation.invariant.clone(), jobs: jobs.max(1), tried: 1 };
    let small = shrinker.shrink(plan.clone(), &violation);
    output::progress_done();
    ensure!(shrinker.fails(&small), "the small plan no longer fails; the worlds are not deterministic");
    small.write(&out)?;
    let size = |plan: &Plan| {
        format!("{} machines, {} operations, {} faults", plan.nodes.len(), plan.ops.len(), plan.faults.len())
    };
    output::data(&format!("from {}", size(&plan)));
    output::data(&format!("to   {}", size(&small)));
    output::note(&format!("{} worlds in {:.1} s", shrinker.tried, began.elapsed().as_secs_f64()));
    output::note(&format!("replay:   cargo xtask sim replay {}", out.display()));
    Ok(0)
}

impl Shrinker {
    fn shrink(&mut self, plan: Plan, violation: &Violation) -> Plan {
        let mut plan = self.cut_short(plan, violation);
        loop {
            let before = size(&plan);
            for items in [Items::Nodes, Items::Faults, Items::Ops] {
                plan = self.thin_out(plan, items);
            }
            if size(&plan) == before {
                return plan;
            }
        }
    }

    /// What comes after a broken promise did not break it.
    fn cut_short(&mut self, plan: Plan, violation: &Violation) -> Plan {
        let mut short = plan.clone();
        let end = violation.at_ms as u64 + 1_000;
        short.ops.retain(|op| op.at_ms <= end);
        short.faults.retain(|fault| fault.from_ms <= end);
        if self.fails(&short) { short } else { plan }
    }

    fn thin_out(&mut self, mut plan: Plan, items: Items) -> Plan {
        let mut chunk = items.count(&plan).div_ceil(2);
        while chunk > 0 {
            let mut at = 0;
            while at < items.count(&plan) {
                let end = items.count(&plan);
                let starts: Vec<usize> = (at..end).step_by(chunk).take(self.jobs).collect();
                let candidates: Vec<Plan> =
                    starts.iter().map(|start| items.without(&plan, &(*start..(start + chunk).min(end)))).collect();
                let (nodes, ops, faults) = size(&plan);
                output::progress(&format!("{nodes} machines, {ops} operations, {faults} faults; {} tried", self.tried));
                match self.first_that_fails(&candidates) {
                    Some(found) => {
                        // What was tried before it stays; what comes after it moves up.
                        at = starts[found];
                        plan = candidates[found].clone();
                    }
                    None => at = starts.last().map_or(end, |last| last + chunk),
                }
            }
            chunk /= 2;
        }
        plan
    }

    fn fails(&mut self, plan: &Plan) -> bool {
        self.first_that_fails(std::slice::from_ref(plan)).is_some()
    }

    fn first_that_fails(&mut self, plans: &[Plan]) -> Option<usize> {
        self.tried += plans.len();
        let invariant = &self.invariant;
        let same = |plan: &Plan| {
            let found = if plan.nodes.is_empty() { None } else { violation(plan).ok().flatten() };
            found.is_some_and(|violation| violation.invariant == *invariant)
        };
        thread::scope(|scope| {
            let running: Vec<_> = plans.iter().map(|plan| scope.spawn(move || same(plan))).collect();
            let fails: Vec<bool> = running.into_iter().map(|running| running.join().unwrap_or(false)).collect();
            fails.iter().position(|fails| *fails)
        })
    }
}

fn size(plan: &Plan) -> (usize, usize, usize) {
    (plan.nodes.len(), plan.ops.len(), plan.faults.len())
}

fn violation(plan: &Plan) -> anyhow::Result<Option<Violation>> {
    Ok(children::outcome(plan, None, None)?.violation)
}
