//! Fleets that are measured: what GitHub is asked for, and what that costs.

use std::collections::BTreeSet;

use super::{Wishes, draft::Draft};
use crate::{
    draw::Stream,
    plan::{Layer, Link, Model, Node, Op, Place, Plan, Policy, Role, Token, Ttl, Way, What},
};

/// Requests of a matrix that starts, and within which time.
pub const MATRIX_REQUESTS: u32 = 200;
const MATRIX_SPREAD_MS: u64 = 200;

/// When it starts: nodes have known each other for a while.
const MATRIX_AT_MS: u64 = 70_000;

/// What it asks for: public, so the same for whoever asks.
const MATRIX_PATH: &str = "/repos/octocat/Hello-World";

/// The links that the design's figures are for: 10 to 50 ms one way.
const LINK: Link = Link { latency_ms: 10, jitter_ms: 40, loss_ppm: 0, bytes_per_sec: None };

/// GitHub's time, from quick to slow, for an answer and for a free proof.
const CHARGED_MS: (u64, u64) = (150, 400);
const PROOF_MS: (u64, u64) = (60, 150);

/// All ask one cold key at once: with one token, or with one for each job. Of the seed, which.
pub fn matrix_start(draft: &mut Draft) {
    let mut drawn = draft.stream("tokens of the matrix");
    let per_job = drawn.percent(50);
    matrix(draft, per_job);
}

fn matrix(draft: &mut Draft, per_job: bool) {
    let count = draft.wishes().ops.unwrap_or(MATRIX_REQUESTS);
    let plan = &mut draft.plan;
    (plan.span_ms, plan.settle_ms) = (MATRIX_AT_MS + 5_000, 20_000);
    plan.policy = Policy { default_ttl_ms: Some(60_000), proof_window_ms: None, stale_for_ms: 3_600_000 };
    plan.origin_ms = (CHARGED_MS.0 + CHARGED_MS.1) / 2;
    plan.model = Model {
        charged_ms: Some(CHARGED_MS),
        proof_ms: Some(PROOF_MS),
        own_view_percent: 0,
        body_bytes: 4_000,
        ..Model::default()
    };
    if per_job {
        let token = || Token { login: "octocat".to_owned(), repos: Vec::new(), limit: 5_000 };
        plan.tokens = (0..count).map(|_| token()).collect();
    }
    let mut drawn = draft.stream("matrix");
    let mut nodes: Vec<u32> = draft.plan.nodes.iter().map(|node| node.id).collect();
    // Jobs go round the machines, in an order of chance.
    for at in (1..nodes.len()).rev() {
        nodes.swap(at, drawn.range(0, at as u64 + 1) as usize);
    }
    for job in 0..count {
        let node = nodes[job as usize % nodes.len()];
        let at_ms = MATRIX_AT_MS + drawn.range(0, MATRIX_SPREAD_MS);
        let token = Some(if per_job { job as usize } else { 0 });
        draft.op(at_ms, What::ask(node, token, MATRIX_PATH.to_owned()));
    }
}

/// What a matrix that is measured is like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Matrix {
    pub nodes: u32,
    pub per_job: bool,
    /// Members in a hundred that a node does not know, and machines in a hundred that hang.
    pub stale_percent: u64,
    pub dead_percent: u64,
    pub way: Way,
}

impl Matrix {
    pub fn plan(self, seed: u64) -> Plan {
        let wishes = Wishes { layer: Some(Layer::Core), ..Wishes::default() };
        let mut draft = Draft::new("matrix-start", seed, self.nodes, &wishes);
        matrix(&mut draft, self.per_job);
        let mut drawn = draft.stream("dead owners");
        let mut plan = draft.done();
        (plan.link, plan.settle_ms) = (LINK, 10_000);
        let ids = plan.nodes.iter().map(|node| node.id);
        let dead: BTreeSet<u32> = ids.filter(|_| drawn.percent(self.dead_percent)).collect();
        // Whoever would ask at a machine that hangs is somewhere else.
        let alive: Vec<u32> = plan.nodes.iter().map(|node| node.id).filter(|id| !dead.contains(id)).collect();
        for op in &mut plan.ops {
            if let What::Ask { node, .. } = &mut op.what
                && dead.contains(node)
                && !alive.is_empty()
            {
                *node = *drawn.pick(&alive);
            }
        }
        plan.model.way = self.way;
        plan.model.stale_percent = self.stale_percent;
        plan.model.deaf = dead.into_iter().collect();
        plan
    }
}

/// So many entries, cold, that so many readers on machines of their own ask for within 0.2 s, with one token.
pub fn entries(seed: u64, nodes: u32, readers: u32, entries: u32, body_bytes: usize) -> Plan {
    let wishes = Wishes { layer: Some(Layer::Core), ops: Some(0), ..Wishes::default() };
    let mut draft = Draft::new("entries", seed, nodes, &wishes);
    matrix(&mut draft, false);
    (draft.plan.link, draft.plan.settle_ms) = (LINK, 10_000);
    draft.plan.model.body_bytes = body_bytes;
    let mut drawn = draft.stream("readers");
    let first = drawn.range(0, nodes.into()) as u32;
    for reader in 0..readers {
        let at_ms = MATRIX_AT_MS + drawn.range(0, MATRIX_SPREAD_MS);
        for entry in 0..entries {
            draft.op(at_ms, What::ask((first + reader) % nodes, Some(0), day_path(entry as usize)));
        }
    }
    draft.done()
}

/// A fleet that asks for the same some hundred keys for a minute, so that GitHub is asked about as often
/// whatever its size is.
pub fn steady(seed: u64, nodes: u32, way: Way) -> Plan {
    let wishes = Wishes { layer: Some(Layer::Core), ..Wishes::default() };
    let mut draft = Draft::new("steady", seed, nodes, &wishes);
    draft.plan.link = LINK;
    (draft.plan.span_ms, draft.plan.settle_ms) = (60_000, 0);
    draft.plan.policy = Policy { default_ttl_ms: Some(60_000), proof_window_ms: None, stale_for_ms: 3_600_000 };
    draft.plan.model = Model {
        way,
        charged_ms: Some(CHARGED_MS),
        proof_ms: Some(PROOF_MS),
        own_view_percent: 0,
        body_bytes: 1_000,
        ..Model::default()
    };
    let zipf = Zipf::new(200);
    for node in 0..nodes {
        let mut drawn = draft.stream(&format!("questions of n{node}"));
        let mut at_ms = 5_000 + drawn.range(0, 20_000);
        while at_ms < draft.plan.span_ms {
            let path = day_path(zipf.draw(&mut drawn));
            draft.op(at_ms, What::ask(node, Some(node as usize % 2), path));
            at_ms += drawn.range(5_000, 35_000);
        }
    }
    draft.done()
}

/// A day of a fleet of runners that come and go.
#[derive(Clone, Copy, Debug)]
pub struct Day {
    pub hours: u64,
    /// Runners at one time.
    pub runners: u32,
    /// Machines that stay, besides them.
    pub anchors: u32,
    pub herds: bool,
    pub churn: bool,
    pub way: Way,
}

/// Keys, four of each repository.
const DAY_KEYS: usize = 2_000;
const KINDS: [&str; 4] = ["", "/issues", "/pulls", "/actions/runs"];

/// Logins, and with them buckets; runners use them in turn.
const DAY_TOKENS: usize = 4;

/// A runner asks so often, on average.
const DAY_ASK_EVERY_MS: u64 = 20_000;
const WRITE_PERCENT: u64 = 2;

/// How long a runner lives: 3 to 30 minutes; and how long until the next is in its place.
const LIFE_MS: (u64, u64) = (180_000, 1_800_000);
const PAUSE_MS: u64 = 5_000;

/// A repository changes by other ways so often, on average.
const CHANGE_EVERY_MS: u64 = 2 * 3_600_000;

/// At each of these, most runners ask for the same few keys, within two seconds.
const HERD_EVERY_MS: u64 = 600_000;
const HERD_KEYS: usize = 3;

impl Day {
    pub fn plan(self, seed: u64) -> Plan {
        let wishes = Wishes { layer: Some(Layer::Core), secs: Some(self.hours * 3600), ..Wishes::default() };
        let mut draft = Draft::new("fleet-day", seed, 0, &wishes);
        let minute = 60_000;
        let ttl = |percent, ms| Ttl { percent, ms };
        draft.plan.model = Model {
            way: self.way,
            charged_ms: Some(CHARGED_MS),
            proof_ms: Some(PROOF_MS),
            ttls: vec![ttl(30, minute), ttl(30, 5 * minute), ttl(30, 60 * minute), ttl(10, 360 * minute)],
            own_view_percent: 10,
            body_bytes: 2_000,
            anchors: (0..self.anchors).collect(),
            ..Model::default()
        };
        draft.plan.policy = Policy { default_ttl_ms: None, proof_window_ms: None, stale_for_ms: 3_600_000 };
        (draft.plan.link, draft.plan.settle_ms) = (LINK, 0);
        let token = |number| Token { login: format!("bot{number}"), repos: Vec::new(), limit: 15_000 };
        draft.plan.tokens = (0..DAY_TOKENS).map(token).collect();
        self.machines(&mut draft);
        self.questions(&mut draft);
        if self.herds {
            herds(&mut draft);
        }
        changes(&mut draft);
        draft.done()
    }

    fn machines(self, draft: &mut Draft) {
        let span = draft.plan.span_ms;
        let mut nodes = Vec::new();
        let mut add = |starts_ms, stops_ms| {
            let id = nodes.len() as u32;
            nodes.push(Node {
                id,
                role: Role::Node,
                place: Place::Lan,
                starts_ms,
                stops_ms,
                has_disk: false,
                clock_ms: 0,
                old_until_ms: None,
            });
        };
        (0..self.anchors).for_each(|_| add(0, None));
        for slot in 0..self.runners {
            let mut drawn = draft.stream(&format!("lives of slot {slot}"));
            if !self.churn {
                add(drawn.range(0, 2_000), None);
                continue;
            }
            // The day does not begin with a morning on which all are new.
            let mut starts = 0;
            let mut life = drawn.range(10_000, LIFE_MS.1);
            while starts < span {
                let stops = starts + life;
                add(starts, (stops < span).then_some(stops));
                starts = stops + drawn.range(0, 2 * PAUSE_MS);
                life = drawn.range(LIFE_MS.0, LIFE_MS.1);
            }
        }
        draft.plan.nodes = nodes;
    }

    fn questions(self, draft: &mut Draft) {
        let zipf = Zipf::new(DAY_KEYS);
        let span = draft.plan.span_ms;
        let runners: Vec<Node> = draft.plan.nodes.iter().skip(self.anchors as usize).cloned().collect();
        for Node { id, starts_ms, stops_ms, .. } in runners {
            let mut drawn = draft.stream(&format!("questions of n{id}"));
            let token = id as usize % DAY_TOKENS;
            let ends = stops_ms.unwrap_or(span).saturating_sub(1_000);
            let mut at_ms = starts_ms + 2_000;
            loop {
                at_ms += exponential(&mut drawn, DAY_ASK_EVERY_MS);
                if at_ms >= ends {
                    break;
                }
                let key = zipf.draw(&mut drawn);
                let what = if drawn.percent(WRITE_PERCENT) {
                    What::Write { node: id, token, repo: day_repo(key) }
                } else {
                    What::ask(id, Some(token), day_path(key))
                };
                draft.op(at_ms, what);
            }
        }
    }
}

fn herds(draft: &mut Draft) {
    let zipf = Zipf::new(DAY_KEYS);
    for number in 1..=draft.plan.span_ms / HERD_EVERY_MS {
        let mut drawn = draft.stream(&format!("herd {number}"));
        let at = number * HERD_EVERY_MS;
        let keys: Vec<usize> = (0..HERD_KEYS).map(|_| zipf.draw(&mut drawn)).collect();
        let is_there = |node: &&Node| node.starts_ms + 2_000 <= at && node.stops_ms.is_none_or(|ms| at + 4_000 <= ms);
        let there: Vec<u32> = draft.plan.nodes.iter().filter(is_there).map(|node| node.id).collect();
        for node in there {
            let at_ms = at + drawn.range(0, 2_000);
            if at_ms >= draft.plan.span_ms || drawn.percent(20) {
                continue;
            }
            for key in &keys {
                draft.op(at_ms, What::ask(node, Some(node as usize % DAY_TOKENS), day_path(*key)));
            }
        }
    }
}

fn changes(draft: &mut Draft) {
    for repo in 0..DAY_KEYS / KINDS.len() {
        let mut drawn = draft.stream(&format!("changes of r{repo}"));
        let mut at_ms = exponential(&mut drawn, CHANGE_EVERY_MS);
        while at_ms < draft.plan.span_ms {
            draft.plan.ops.push(Op {
                id: draft.plan.ops.len() as u32,
                at_ms,
                what: What::Change { repo: day_repo(repo) },
            });
            at_ms += exponential(&mut drawn, CHANGE_EVERY_MS).max(1);
        }
    }
}

/// The popular keys are of different repositories.
fn day_repo(key: usize) -> String {
    format!("day/r{}", key % (DAY_KEYS / KINDS.len()))
}

fn day_path(key: usize) -> String {
    format!("/repos/{}{}", day_repo(key), KINDS[key / (DAY_KEYS / KINDS.len()) % KINDS.len()])
}

/// Of Poisson's process: in whole milliseconds.
fn exponential(drawn: &mut Stream, mean_ms: u64) -> u64 {
    let uniform = (drawn.range(0, 1 << 30) + 1) as f64 / f64::from(1 << 30);
    (-uniform.ln() * mean_ms as f64) as u64
}

/// The n-th of all keys is asked for 1/n times as often as the first.
struct Zipf(Vec<f64>);

impl Zipf {
    fn new(keys: usize) -> Self {
        let mut sum = 0.0;
        let sums = (1..=keys).map(|rank| {
            sum += 1.0 / rank as f64;
            sum
        });
        Self(sums.collect())
    }

    fn draw(&self, drawn: &mut Stream) -> usize {
        let all = self.0.last().copied().unwrap_or_default();
        let at = drawn.range(0, 1 << 40) as f64 / (1_u64 << 40) as f64 * all;
        self.0.partition_point(|sum| *sum <= at).min(self.0.len() - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_what_it_says() {
        let day = Day { hours: 4, runners: 50, anchors: 2, herds: true, churn: true, way: Way::Claims };
        let plan = day.plan(3);
        plan.check().expect("it can be played");
        let asks = plan.ops.iter().filter(|op| matches!(op.what, What::Ask { .. })).count();
        let writes = plan.ops.iter().filter(|op| matches!(op.what, What::Write { .. })).count();
        // 50 runners, three a minute, four hours; and 23 herds of some 40 at three keys.
        assert!((35_000..41_000).contains(&asks), "{asks}");
        assert!((600..850).contains(&writes), "{writes}");
        let at = 2 * 3_600_000;
        let up = plan.nodes.iter().filter(|node| node.starts_ms <= at && node.stops_ms.is_none_or(|stops| stops > at));
        assert!((48..=52).contains(&up.count()));
        assert_eq!(day.plan(3), plan);
        // A run of announces has the same day.
        assert_eq!(Day { way: Way::Alone, ..day }.plan(3).ops, plan.ops);
    }

    #[test]
    fn the_first_key_is_asked_for_as_zipf_says() {
        let (zipf, mut drawn) = (Zipf::new(2_000), Stream::new(1, "x"));
        let first = (0..100_000).filter(|_| zipf.draw(&mut drawn) == 0).count();
        assert!((11_500..13_000).contains(&first), "{first}");
    }

    #[test]
    fn dead_machines_are_not_asked() {
        let matrix = Matrix { nodes: 100, per_job: true, stale_percent: 5, dead_percent: 20, way: Way::Claims };
        let plan = matrix.plan(1);
        assert!(!plan.model.deaf.is_empty() && plan.ops.len() == MATRIX_REQUESTS as usize);
        assert!(plan.ops.iter().all(|op| op.what.node().is_some_and(|node| !plan.model.deaf.contains(&node))));
    }
}
