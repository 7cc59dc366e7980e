//! Back by itself: when the faults have stopped, the world has to come to rest.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use crate::{
    client::How,
    plan::{Role, Trouble, What},
    reference::Who,
    stage::{Machine, Order, Stage},
    trace::{Event, Kind},
};

/// How often it is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// How long a question of the world's own may take before it counts as unanswered.
const ORDER_PATIENCE: Duration = Duration::from_secs(15);

/// An entry that nobody has asked for before, large enough to be pulled and small enough to be cheap.
const PROBE_PATH: &str = "/repos/octocat/Hello-World/git/blobs/size-3000?probe=";

/// Bodies that cross any drawn link within the peer budget, at any latency: a window's worth.
const QUICK_BYTES: usize = 200_000;

/// Clocks that differ by more do not share what is fresh for seconds only.
const CLOCKS_AGREE_MS: u64 = 4_000;

/// Bytes per second and connection that a fleet at rest may exchange: pings and gossip's heartbeat
/// are some 200.
const CALM_BYTES_PER_SEC: u64 = 2_000;
const CALM_WINDOW: Duration = Duration::from_secs(5);

/// What is left to be shown, in this order.
enum Step {
    /// Everybody is connected with everybody, if only through others.
    Connect,
    /// One machine asks GitHub, all others get it from it.
    Probe(Probe),
    /// What was asked before is known everywhere.
    Replicas(Replicas),
    /// Nobody says more than has to be said.
    Calm {
        since: Duration,
        bytes: u64,
    },
    Done,
}

struct Probe {
    number: usize,
    path: String,
    filled: bool,
    sent: Duration,
    /// Machines whose answer is still to come, or was none of a peer.
    open: BTreeMap<u32, usize>,
}

struct Replicas {
    sent: Duration,
    open: BTreeMap<usize, (u32, Who, String)>,
}

pub struct Rest {
    stage: Arc<Stage>,
    step: Step,
    next_look: Duration,
    orders: usize,
    probes: usize,
    /// What kept the world from rest when it was last looked at.
    waiting_for: Option<(&'static str, String)>,
}

impl Rest {
    pub fn new(stage: Arc<Stage>) -> Self {
        Self { stage, step: Step::Connect, next_look: Duration::ZERO, orders: 0, probes: 0, waiting_for: None }
    }

    /// Takes the next step where it is due. Over, when all is shown; a violation, when it takes too long.
    pub fn is_over(&mut self, now: Duration) -> bool {
        if now < self.next_look {
            return false;
        }
        self.next_look = now + LOOK_EVERY;
        let deadline = Duration::from_millis(self.stage.plan.span_ms + self.stage.plan.settle_ms);
        let waiting_for = self.advance(now);
        // What the last step found, where this one found nothing: it must not go on for ever.
        if waiting_for.is_some() {
            self.waiting_for = waiting_for;
        }
        if now >= deadline
            && !matches!(self.step, Step::Done)
            && let Some((invariant, text)) = self.waiting_for.take().or(Some(("back.never", "no end".to_owned())))
        {
            self.stage.violated(None, invariant, text);
        }
        matches!(self.step, Step::Done)
    }

    fn advance(&mut self, now: Duration) -> Option<(&'static str, String)> {
        let (step, waiting_for) = match std::mem::replace(&mut self.step, Step::Done) {
            Step::Connect => match self.islands() {
                islands if islands.len() <= 1 => {
                    self.stage.tell(Event::of_all(Kind::Note, "all are connected again"));
                    (self.next_probe(now), None)
                }
                islands => (Step::Connect, Some(("back.connected", format!("islands: {islands:?}")))),
            },
            Step::Probe(probe) => self.probe(probe, now),
            Step::Replicas(replicas) => self.replicas(replicas, now),
            Step::Calm { since, bytes } => self.calm(since, bytes, now),
            Step::Done => (Step::Done, None),
        };
        self.step = step;
        waiting_for
    }

    fn machines(&self) -> impl Iterator<Item = &Machine> {
        self.stage.machines.values().filter(|machine| machine.plan.role == Role::Node && machine.node().is_some())
    }

    /// Groups of machines that are connected with each other, and with nobody else.
    fn islands(&self) -> Vec<Vec<u32>> {
        let lanes = |machine: &Machine| {
            let peers = machine.node().map(|node| node.ready_peers()).unwrap_or_default();
            let lanes = peers.iter().filter_map(|peer| self.stage.lane_of(peer.as_str()));
            lanes.map(|lane| lane as u32 - 1).collect::<Vec<u32>>()
        };
        let near: BTreeMap<u32, Vec<u32>> = self.machines().map(|machine| (machine.plan.id, lanes(machine))).collect();
        let mut left: BTreeSet<u32> = near.keys().copied().collect();
        let mut islands = Vec::new();
        while let Some(first) = left.pop_first() {
            let mut island = vec![first];
            let mut reached = 0;
            while let Some(node) = island.get(reached).copied() {
                reached += 1;
                let next = near.get(&node).into_iter().flatten().filter(|next| left.remove(next));
                island.extend(next.copied().collect::<Vec<u32>>());
            }
            islands.push(island);
        }
        islands
    }

    fn order(&mut self, node: u32, token: Who, path: &str) -> Option<usize> {
        self.orders += 1;
        let order = Order { token, path: path.to_owned(), number: self.orders };
        self.stage.machine(node).alive().orders.as_ref()?.send(order).ok()?;
        Some(self.orders)
    }

    /// How an order was answered, if it was.
    fn answered(&self, number: usize) -> Option<How> {
        let ledger = self.stage.ledger();
        ledger.ordered.get(&number).map(|answer| answer.as_ref().map_or(How::Failed, |answer| answer.how))
    }

    fn next_probe(&mut self, now: Duration) -> Step {
        let everybody: Vec<u32> = self.machines().map(|machine| machine.plan.id).collect();
        let Some(first) = everybody.get(self.probes % everybody.len().max(1)).copied() else { return Step::Done };
        self.probes += 1;
        // Of whoever has a token: what nobody told is not shared with a tag.
        let token = self.living_token();
        let path = format!("{PROBE_PATH}{}", self.probes);
        match self.order(first, token, &path) {
            Some(number) => {
                // What is dated by a clock that is far off means nothing elsewhere.
                let clock = |node: u32| self.stage.machine(node).plan.clock_ms;
                let agree = |node: &u32| clock(*node).abs_diff(clock(first)) <= CLOCKS_AGREE_MS;
                let open = everybody.into_iter().filter(|node| *node != first && agree(node)).map(|node| (node, 0));
                let open = open.collect();
                Step::Probe(Probe { number, path, filled: false, sent: now, open })
            }
            None => Step::Connect,
        }
    }

    /// The first token that GitHub still accepts and whose budget was not used up.
    fn living_token(&self) -> Who {
        let plan = &self.stage.plan;
        let revoked = |token: usize| plan.ops.iter().any(|op| op.what == What::Revoke { token });
        let used_up = |token: usize| {
            let spent = |trouble: &Trouble| matches!(trouble, Trouble::Exhausted { login } if *login == plan.tokens[token].login);
            plan.faults.iter().any(|fault| spent(&fault.what))
        };
        (0..plan.tokens.len()).find(|token| !revoked(*token) && !used_up(*token))
    }

    fn probe(&mut self, mut probe: Probe, now: Duration) -> (Step, Option<(&'static str, String)>) {
        if !probe.filled {
            return match self.answered(probe.number) {
                Some(How::Filled) => {
                    probe.filled = true;
                    (Step::Probe(probe), None)
                }
                Some(how) => {
                    (self.next_probe(now), Some(("back.probe", format!("a fresh question was answered {how:?}"))))
                }
                None if now > probe.sent + ORDER_PATIENCE => {
                    (self.next_probe(now), Some(("back.probe", "a fresh question was not answered".to_owned())))
                }
                None => (Step::Probe(probe), Some(("back.probe", "a fresh question is not answered".to_owned()))),
            };
        }
        let token = self.living_token();
        let nodes: Vec<u32> = probe.open.keys().copied().collect();
        for node in nodes {
            match probe.open[&node] {
                0 => {
                    let number = self.order(node, token, &probe.path).unwrap_or_default();
                    probe.open.insert(node, number);
                }
                number => match self.answered(number) {
                    Some(How::Peer) => {
                        probe.open.remove(&node);
                    }
                    // It asked GitHub itself: too early, or not connected well enough. With another.
                    Some(_) => {
                        return (self.next_probe(now), Some(("back.probe", format!("n{node} did not hear of it"))));
                    }
                    None => {}
                },
            }
        }
        if probe.open.is_empty() {
            self.stage.tell(Event::of_all(Kind::Note, "an entry is read everywhere"));
            return (self.replicate(now), None);
        }
        let text = format!("not read yet by {:?}", probe.open.keys());
        (Step::Probe(probe), Some(("back.probe", text)))
    }

    /// In a world that is about replication, everything that is fresh for long is asked for everywhere.
    fn replicate(&mut self, now: Duration) -> Step {
        let ttl = Duration::from_millis(self.stage.plan.policy.default_ttl_ms.unwrap_or_default());
        if self.stage.plan.scenario != "replication" {
            return Step::Calm { since: now, bytes: self.stage.network.totals().bytes };
        }
        let told: Vec<(Who, String)> = {
            let github = self.stage.github();
            let fresh = github.reference.latest().filter(|(who, path, told)| {
                let is_fresh = told.at + ttl > now + Duration::from_secs(60) && !path.contains("/actions/");
                // What takes longer than the peer budget is rightly asked of GitHub.
                let is_quick = github.reference.body_bytes(path, told.digest) <= QUICK_BYTES;
                who.is_some() && is_fresh && is_quick && !github.reference.holds_credential(path, told.digest)
            });
            fresh.map(|(who, path, _)| (who, path.to_owned())).collect()
        };
        let nodes: Vec<u32> = self.machines().map(|machine| machine.plan.id).collect();
        let mut open = BTreeMap::new();
        for (who, path) in told {
            for node in &nodes {
                if let Some(number) = self.order(*node, who, &path) {
                    open.insert(number, (*node, who, path.clone()));
                }
            }
        }
        Step::Replicas(Replicas { sent: now, open })
    }

    fn replicas(&mut self, mut replicas: Replicas, now: Duration) -> (Step, Option<(&'static str, String)>) {
        let numbers: Vec<usize> = replicas.open.keys().copied().collect();
        for number in numbers {
            match self.answered(number) {
                Some(How::Hit | How::Peer | How::Joined) => {
                    replicas.open.remove(&number);
                }
                Some(how) => {
                    let (node, who, path) = &replicas.open[&number];
                    let text = format!("n{node} had to ask GitHub ({how:?}) for {path} of {who:?}, which others hold");
                    self.stage.violated(Some(*node as usize + 1), "back.replica", text);
                    return (Step::Done, None);
                }
                None => {}
            }
        }
        if replicas.open.is_empty() {
            self.stage.tell(Event::of_all(Kind::Note, "every entry is known everywhere"));
            return (Step::Calm { since: now, bytes: self.stage.network.totals().bytes }, None);
        }
        let text = format!("{} questions since {} ms are not answered", replicas.open.len(), replicas.sent.as_millis());
        (Step::Replicas(replicas), Some(("back.replica", text)))
    }

    fn calm(&self, since: Duration, bytes: u64, now: Duration) -> (Step, Option<(&'static str, String)>) {
        let waited = now.saturating_sub(since);
        if waited < CALM_WINDOW {
            return (Step::Calm { since, bytes }, None);
        }
        let total = self.stage.network.totals().bytes;
        let connections: usize =
            self.stage.machines.values().map(|machine| self.stage.network.connections(machine.id)).sum();
        let per_sec = (total - bytes) / waited.as_secs().max(1) / (connections as u64 / 2).max(1);
        let is_quiet = self.stage.github().under_way == 0;
        if per_sec <= CALM_BYTES_PER_SEC && is_quiet {
            self.stage.tell(Event::of_all(Kind::Note, format!("calm: {per_sec} bytes/s and connection")));
            return (Step::Done, None);
        }
        let text = format!("{per_sec} bytes/s and connection at rest");
        (Step::Calm { since: now, bytes: total }, Some(("back.calm", text)))
    }
}
