//! What it came to. What reached GitHub is GitHub's own count.

use std::sync::atomic::Ordering;

use node::Counters;
use serde_json::{Value, json};

use super::{Event, Stage, scenes::JOBS};

/// Of the clients' requests, each is counted once among the middle four or in `charged` and `proofs`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Figures {
    /// Of the clients.
    pub(super) requests: u64,
    pub(super) local_hits: u64,
    pub(super) peer_hits: u64,
    pub(super) stale: u64,
    /// Clients that got no good answer.
    pub(super) refused: u64,
    /// By GitHub's count: answered for a point of a budget, free 304s, and not answered because of the limit.
    pub(super) charged: u64,
    pub(super) proofs: u64,
    pub(super) limited: u64,
    pub(super) nodes: usize,
    pub(super) seconds: f64,
}

impl Figures {
    pub(super) fn read(stage: &Stage) -> Self {
        let total = stage.hub().counts().total;
        let sum = |count: fn(&Counters) -> u64| stage.machines.iter().map(|m| count(&m.node.counters)).sum::<u64>();
        Self {
            requests: stage.asked.load(Ordering::Relaxed),
            refused: stage.refused.load(Ordering::Relaxed),
            local_hits: sum(|c| c.local_hits.get() + c.collapsed.get()),
            peer_hits: sum(|c| c.peer_hits.get()),
            stale: sum(|c| c.stale.get()),
            charged: total.charged,
            proofs: total.not_modified,
            limited: total.failed,
            nodes: stage.machines.len(),
            seconds: (stage.began.elapsed().as_secs_f64() * 10.0).floor() / 10.0,
        }
    }

    /// What it was, how often, and how it is told in JSON.
    pub(super) fn rows(&self) -> [(&'static str, &'static str, u64); 8] {
        [
            ("asked by the clients", "requests", self.requests),
            ("answered on the same machine", "local_hits", self.local_hits),
            ("answered by another machine", "peer_hits", self.peer_hits),
            ("answered old and marked, during the limit", "stale", self.stale),
            ("not answered well", "refused", self.refused),
            ("GitHub: confirmed free of charge (304)", "proofs", self.proofs),
            ("GitHub: charged", "charged", self.charged),
            ("GitHub: asked in vain during the limit", "limited", self.limited),
        ]
    }

    pub(super) fn summary(&self) -> Vec<String> {
        let heading = format!("{} machines, {JOBS} jobs, {:.1} s", self.nodes, self.seconds);
        let rows = self.rows().into_iter().map(|(what, _, count)| {
            let share = 100.0 * count as f64 / self.requests.max(1) as f64;
            format!("  {what:<44}{count:>7}  {share:>5.1} %")
        });
        std::iter::once(heading).chain(rows).collect()
    }

    pub(super) fn to_json(self, events: &[Event]) -> Value {
        let mut all: serde_json::Map<String, Value> =
            self.rows().into_iter().map(|(_, name, count)| (name.to_owned(), count.into())).collect();
        all.insert("nodes".to_owned(), self.nodes.into());
        all.insert("seconds".to_owned(), self.seconds.into());
        let told = |event: &Event| json!({ "at": event.at.as_secs_f64(), "what": event.what });
        all.insert("events".to_owned(), events.iter().map(told).collect());
        all.into()
    }
}
