//! The least that a day can cost: one cache that all share, which loses nothing and knows at once.

use std::collections::BTreeMap;

use crate::{
    core_layer::repo_of,
    plan::{Plan, What},
};

/// What the oracle asks GitHub for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Least {
    /// Charged: the content is another than what was given last, or was never given.
    pub changed: u64,
    /// All times that something had to be asked because it was no longer fresh; what did not change is
    /// a free 304.
    pub expired: u64,
}

/// One answer: for all tokens, or where views differ, for one.
#[derive(Default)]
struct Entry {
    /// How often its repository had changed when it was given.
    version: Option<u64>,
    fresh_until_ms: u64,
}

/// Plays the plan in order of time, without any delay. At each question, an answer that is fresh costs
/// nothing: within its TTL, and with no write through the fleet since. Otherwise GitHub is asked, for
/// one charged request if the content has changed since it was last asked, and for nothing if not.
/// A write changes the content when GitHub has it.
pub fn charged(plan: &Plan) -> Least {
    let (from, to) = plan.model.charged_ms.unwrap_or((plan.origin_ms, plan.origin_ms));
    let write_ms = (from + to) / 2;
    let mut events: Vec<(u64, &What)> = plan.ops.iter().map(|op| (op.at_ms, &op.what)).collect();
    for (at_ms, what) in &mut events {
        if matches!(what, What::Write { .. }) {
            *at_ms += write_ms;
        }
    }
    events.sort_by_key(|(at_ms, _)| *at_ms);
    let mut versions = BTreeMap::<&str, u64>::new();
    let mut written = BTreeMap::<&str, u64>::new();
    let mut entries = BTreeMap::<(&str, Option<usize>), Entry>::new();
    let mut least = Least::default();
    for (at_ms, what) in events {
        match what {
            What::Change { repo } => *versions.entry(repo).or_default() += 1,
            What::Write { repo, .. } => {
                *versions.entry(repo).or_default() += 1;
                written.insert(repo, at_ms);
            }
            What::Ask { path, token, .. } => {
                let viewer = token.filter(|_| plan.model.is_own_view(path));
                let repo = repo_of(path);
                let version = versions.get(repo).copied().unwrap_or_default();
                let ttl_ms = plan.model.ttl_ms(path).or(plan.policy.default_ttl_ms).unwrap_or(60_000);
                let entry = entries.entry((path, viewer)).or_default();
                let is_written = written.get(repo).is_some_and(|written| *written + ttl_ms >= entry.fresh_until_ms);
                if at_ms < entry.fresh_until_ms && !is_written {
                    continue;
                }
                least.expired += 1;
                least.changed += u64::from(entry.version != Some(version));
                *entry = Entry { version: Some(version), fresh_until_ms: at_ms + ttl_ms };
            }
            _ => {}
        }
    }
    least
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        plan::{Op, Way},
        scenario::Day,
    };

    #[test]
    fn the_oracle_pays_for_what_changed_and_for_nothing_else() {
        let day = Day { hours: 1, runners: 2, anchors: 0, herds: false, churn: false, way: Way::Alone };
        let mut plan = day.plan(1);
        plan.model.own_view_percent = 0;
        plan.model.ttls.clear();
        let ask = |at_ms, token| Op { id: 0, at_ms, what: What::ask(0, Some(token), "/repos/a/b/issues".to_owned()) };
        let change = |at_ms| Op { id: 0, at_ms, what: What::Change { repo: "a/b".to_owned() } };
        let write = |at_ms| Op { id: 0, at_ms, what: What::Write { node: 0, token: 0, repo: "a/b".to_owned() } };
        let mut check = |ops: Vec<Op>, changed, expired| {
            plan.ops = ops;
            assert_eq!(charged(&plan), Least { changed, expired });
        };
        check(vec![ask(1, 0), ask(59_000, 1)], 1, 1);
        check(vec![ask(1, 0), ask(61_000, 1)], 1, 2);
        check(vec![ask(1, 0), change(2), ask(59_000, 1), ask(61_000, 1)], 2, 2);
        check(vec![ask(1, 0), write(2), ask(1_000, 1), ask(2_000, 0)], 2, 2);
        plan.model.own_view_percent = 100;
        plan.ops = vec![ask(1, 0), ask(2, 1), ask(3, 0)];
        assert_eq!(charged(&plan), Least { changed: 2, expired: 2 });
    }
}
