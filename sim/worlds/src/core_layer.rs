//! The fleet's state machine alone, in a plain event loop: many nodes, no sockets, no disk.
//!
//! What carries messages is a model (`gossip`), and so are GitHub (`github`) and who is connected to
//! whom (`topology`). What is not of the fleet (doors, stores, libp2p) is not here, so that thousands of
//! nodes take seconds.

mod asks;
pub mod costs;
mod github;
pub mod gossip;
mod names;
mod queue;
mod shell;
mod topology;
mod waits;

use std::{collections::BTreeMap, time::Duration};

use fleet::limits;
use wire::{Digest, Millis};

pub use self::names::repo_of;
use self::{
    costs::{Costs, quantile},
    github::GitHub,
    gossip::Gossip,
    names::{Names, Question},
    queue::{Happening, Queue},
    shell::Shell,
    topology::Topology,
};
use crate::{
    checkers::Tally,
    draw::Stream,
    plan::{Plan, Role, Trouble, Way, What},
    stage::Violation,
    trace::{Event, Kind, Trace},
    world::{Outcome, Recording},
};

/// How long a question may stay with the fleet besides GitHub's time: the far peer budget twice (once
/// for what is known, once for what another asks), the queue of proofs, and what a small body takes.
const ASK_LIMIT: Duration = Duration::from_millis(2 * 500 + 2_000 + 100);

/// The same where nothing is claimed.
const ASK_LIMIT_UNCLAIMED: Duration = Duration::from_millis(500 + 100);

pub struct World {
    plan: Plan,
    names: Names,
    queue: Queue,
    shells: Vec<Shell>,
    topology: Topology,
    gossip: Gossip,
    github: GitHub,
    trace: Trace,
    violation: Option<Violation>,
    tally: Tally,
    costs: Costs,
    waits: Vec<Duration>,
    orphans: waits::Orphans,
    /// When the fleet was first given each body.
    given: BTreeMap<Digest, Duration>,
    now: Duration,
    hops: Stream,
}

pub fn run(plan: &Plan, recording: &Recording) -> anyhow::Result<Outcome> {
    let began = det::real_time();
    det::set_elapsed(Duration::ZERO);
    crate::world::plant(plan)?;
    let mut world = World::new(plan.clone(), recording.echo);
    world.play();
    if let Some(path) = &recording.text {
        std::fs::write(path, world.trace.text())?;
    }
    let outcome = world.outcome(began);
    if let Some(path) = &recording.html {
        std::fs::write(path, crate::timeline::page(plan, &outcome, &world.trace.events(), path))?;
    }
    Ok(outcome)
}

impl World {
    fn new(plan: Plan, echo: bool) -> Self {
        let honest = || plan.nodes.iter().filter(|node| node.role == Role::Node);
        let ids: Vec<u32> = honest().map(|node| node.id).collect();
        let names = Names::new(&plan, &ids);
        let shells = honest().zip(&names.peers).map(|(node, peer)| Shell::new(&plan, node, peer.clone(), Millis::ZERO));
        let mut world = Self {
            queue: Queue::default(),
            shells: shells.collect(),
            topology: Topology::new(&plan, &ids, at_once(&plan)),
            gossip: Gossip::new(plan.seed, plan.link, &plan.model),
            github: GitHub::new(&plan, &names),
            trace: Trace::new(echo),
            violation: None,
            tally: Tally::default(),
            costs: Costs::default(),
            waits: Vec::new(),
            orphans: waits::Orphans::default(),
            given: BTreeMap::new(),
            now: Duration::ZERO,
            hops: Stream::new(plan.seed, "hops"),
            names,
            plan,
        };
        world.schedule();
        world
    }

    /// Everything of the plan that has a meaning here.
    fn schedule(&mut self) {
        let ms = Duration::from_millis;
        for (at, shell) in self.shells.iter().enumerate() {
            self.queue.add(ms(shell.plan.starts_ms), Happening::Start { node: at });
            if let Some(stops) = shell.plan.stops_ms {
                self.queue.add(ms(stops), Happening::Leave { node: at });
            }
        }
        let places: BTreeMap<u32, usize> =
            self.shells.iter().enumerate().map(|(at, shell)| (shell.plan.id, at)).collect();
        let place = |id: &u32| places.get(id).copied();
        for op in &self.plan.ops {
            let what = match &op.what {
                What::Ask { node, token, path, .. } => {
                    let (Some(node), Some(path)) = (place(node), self.names.path(path)) else { continue };
                    Happening::Ask { node, question: Question { path, token: *token } }
                }
                What::Write { node, repo, .. } => {
                    let (Some(node), Some(repo)) = (place(node), self.names.repo(repo)) else { continue };
                    Happening::Write { node, repo }
                }
                What::Change { repo } | What::Edit { repo } => {
                    let Some(repo) = self.names.repo(repo) else { continue };
                    Happening::Change { repo }
                }
                _ => continue,
            };
            self.queue.add(ms(op.at_ms), what);
        }
        for fault in &self.plan.faults {
            match &fault.what {
                Trouble::Kill { node } | Trouble::Power { node, .. } => {
                    let Some(node) = place(node) else { continue };
                    self.queue.add(ms(fault.from_ms), Happening::Stop { node });
                    self.queue.add(ms(fault.until_ms), Happening::Start { node });
                }
                Trouble::Partition { .. } => {
                    self.queue.add(ms(fault.from_ms), Happening::Cut);
                    self.queue.add(ms(fault.until_ms), Happening::Cut);
                }
                _ => {}
            }
        }
    }

    fn play(&mut self) {
        let end = Duration::from_millis(self.plan.span_ms + self.plan.settle_ms);
        while let Some((at, what)) = self.queue.next() {
            if at > end || self.violation.is_some() {
                break;
            }
            self.now = at;
            det::set_elapsed(at);
            let touched = self.happen(what);
            for node in touched {
                self.carry_out(node);
                self.look(node);
            }
        }
        if self.violation.is_none() {
            self.at_rest();
        }
    }

    /// One-way delay between two nodes, drawn anew for each message.
    fn hop(&mut self) -> Duration {
        let link = self.plan.link;
        Duration::from_millis(link.latency_ms + self.hops.range(0, link.jitter_ms + 1))
    }

    fn tell(&mut self, event: Event) {
        self.trace.add(event);
    }

    fn violated(&mut self, node: Option<usize>, invariant: &str, text: String) {
        if self.violation.is_none() {
            let lane = node.map(|node| self.shells[node].lane());
            let at_ms = self.now.as_secs_f64() * 1000.0;
            self.tell(Event { lane, ..Event::new(Kind::Violation, 0, format!("{invariant}: {text}")) }.ok(false));
            self.violation = Some(Violation { at_ms, lane, invariant: invariant.to_owned(), text });
        }
    }

    /// The bounds of a node, and the time that its clients wait.
    fn look(&mut self, node: usize) {
        let shell = &self.shells[node];
        let (index, asks) = (shell.fleet.index_len(), shell.fleet.asks_len());
        if index > limits::INDEX_ENTRIES_MAX || asks > limits::ASKS_MAX {
            self.violated(Some(node), "bounded.table", format!("{index} entries and {asks} asks"));
        }
        let limit = match self.plan.model.way {
            Way::Claims => ASK_LIMIT + self.github.expected(),
            Way::Alone | Way::Announce => ASK_LIMIT_UNCLAIMED,
        };
        let late = self.shells[node].oldest_ask().is_some_and(|began| self.now > began + limit);
        if late {
            self.violated(Some(node), "open.late", format!("an ask is older than {} ms", limit.as_millis()));
        }
        self.look_at_waits(node);
    }

    /// In a world without faults all nodes know the same in the end.
    fn at_rest(&mut self) {
        let known: Vec<usize> = self.shells.iter().map(|shell| shell.fleet.index_len()).collect();
        let Costs { published, delivered, sent, sent_bytes, pulls, .. } = self.costs;
        let text = format!(
            "at rest: {} charged, {} proofs, {published} published, {delivered} delivered, {sent} sent with {sent_bytes} bytes, \
             {pulls} pulls, {} entries known",
            self.github.charged,
            self.github.proofs,
            known.iter().sum::<usize>()
        );
        self.tell(Event::of_all(Kind::Note, text));
        let model = &self.plan.model;
        let is_whole = model.way != Way::Alone && model.gossip_loss_ppm == 0 && model.stale_percent == 0;
        let is_calm = self.plan.faults.is_empty()
            && self.plan.nodes.iter().all(|node| node.stops_ms.is_none())
            && self.plan.ops.iter().all(|op| !matches!(op.what, What::Write { .. }));
        // Above, newcomers are told by their neighbours what these hold, and that need not be all.
        let is_mesh = self.shells.len() <= topology::MESH_NODES_MAX;
        let fits = self.github.charged + self.github.proofs < wire::limits::TOLD_RECORDS_MAX as u64;
        let is_told = is_whole && is_calm && is_mesh && fits && model.deaf.is_empty();
        if is_told && known.windows(2).any(|two| two[0] != two[1]) {
            self.violated(None, "back.index", format!("the indexes differ at rest: {known:?}"));
        }
    }

    fn wall(&self) -> Millis {
        Millis(det::EPOCH_SECS * 1000 + self.now.as_millis() as u64)
    }

    fn outcome(&mut self, began: Duration) -> Outcome {
        let in_flight = &mut self.github.in_flight_seen;
        let ms = |wait: Duration| wait.as_secs_f64() * 1000.0;
        let costs = Costs {
            in_flight_p95: quantile(in_flight, 950),
            in_flight_max: quantile(in_flight, 1000),
            failed: self.github.failed,
            wait_p50_ms: ms(quantile(&mut self.waits, 500)),
            wait_p99_ms: ms(quantile(&mut self.waits, 990)),
            ..self.costs.clone()
        };
        Outcome {
            scenario: self.plan.scenario.clone(),
            seed: self.plan.seed,
            violation: self.violation.clone(),
            digest: self.trace.digest(),
            events: self.trace.count(),
            simulated_secs: self.now.as_secs_f64(),
            real_secs: (det::real_time() - began).as_secs_f64(),
            peak_kib: crate::world::peak_kib(),
            charged: self.github.charged,
            proofs: self.github.proofs,
            tally: self.tally,
            last_lines: self.trace.last(),
            costs: Some(costs),
            ..Outcome::default()
        }
    }
}

/// The most nodes that are up at one time.
fn at_once(plan: &Plan) -> usize {
    let starts = plan.nodes.iter().map(|node| (node.starts_ms, 1_i64));
    let stops = plan.nodes.iter().filter_map(|node| Some((node.stops_ms?, -1)));
    let mut changes: Vec<(u64, i64)> = starts.chain(stops).collect();
    changes.sort_unstable();
    let mut up = 0_i64;
    let most = changes.into_iter().map(|(_, change)| {
        up += change;
        up
    });
    most.max().unwrap_or_default().unsigned_abs() as usize
}
