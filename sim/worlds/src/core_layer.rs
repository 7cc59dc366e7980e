//! The fleet's state machine alone, in a plain event loop: many nodes, no sockets, no disk.
//!
//! Announces reach every connected peer after one hop, as gossip's flood does in small fleets; a pull
//! takes a round trip. What is not of the fleet (doors, stores, libp2p) is not here, so a world of a
//! thousand nodes takes seconds. Claims and anti-entropy bring their own checkers when they come.

mod queue;
mod shell;

use std::time::Duration;

use fleet::limits;
use wire::Millis;

use self::{
    queue::{Happening, Queue},
    shell::Shell,
};
use crate::{
    checkers::Tally,
    draw::Stream,
    plan::{Plan, Role, Trouble, What},
    stage::Violation,
    trace::{Event, Kind, Trace},
    world::{Outcome, Recording},
};

/// An ask may stay with the fleet for the far peer budget and what its body takes; ours are small.
const ASK_LIMIT: Duration = Duration::from_millis(500 + 100);

pub struct World {
    plan: Plan,
    queue: Queue,
    shells: Vec<Shell>,
    trace: Trace,
    violation: Option<Violation>,
    tally: Tally,
    /// Requests to the origin.
    charged: u64,
    now: Duration,
    hops: Stream,
}

pub fn run(plan: &Plan, recording: &Recording) -> anyhow::Result<Outcome> {
    let began = det::real_time();
    det::set_elapsed(Duration::ZERO);
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
        let honest = plan.nodes.iter().filter(|node| node.role == Role::Node);
        let shells = honest.map(|node| Shell::new(&plan, node)).collect();
        let hops = Stream::new(plan.seed, "hops");
        let mut world = Self {
            queue: Queue::default(),
            shells,
            trace: Trace::new(echo),
            violation: None,
            tally: Tally::default(),
            charged: 0,
            now: Duration::ZERO,
            hops,
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
                self.queue.add(ms(stops), Happening::Stop { node: at });
            }
        }
        let place = |id: u32| self.shells.iter().position(|shell| shell.plan.id == id);
        for op in &self.plan.ops {
            if let What::Ask { node, token, path, .. } = &op.what
                && let Some(node) = place(*node)
            {
                self.queue.add(ms(op.at_ms), Happening::Ask { node, token: *token, path: path.clone() });
            }
        }
        for fault in &self.plan.faults {
            match &fault.what {
                Trouble::Kill { node } | Trouble::Power { node, .. } => {
                    let Some(node) = place(*node) else { continue };
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

    /// Whether messages pass between two nodes now.
    fn reaches(&self, a: usize, b: usize) -> bool {
        let (a, b) = (&self.shells[a], &self.shells[b]);
        let ms = self.now.as_millis() as u64;
        let parted = self.plan.faults.iter().filter(|fault| fault.from_ms <= ms && ms < fault.until_ms);
        let cut = parted.into_iter().any(|fault| match &fault.what {
            Trouble::Partition { side } => side.contains(&a.plan.id) != side.contains(&b.plan.id),
            _ => false,
        });
        a.is_up && b.is_up && !cut
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
        let late = self.shells[node].oldest_ask().is_some_and(|began| self.now > began + ASK_LIMIT);
        if late {
            self.violated(Some(node), "open.late", format!("an ask is older than {} ms", ASK_LIMIT.as_millis()));
        }
    }

    /// In a world without faults all nodes know the same in the end.
    fn at_rest(&mut self) {
        let now = self.wall();
        let is_calm = self.plan.faults.is_empty() && self.plan.nodes.iter().all(|node| node.stops_ms.is_none());
        let known: Vec<usize> = self.shells.iter().map(|shell| shell.fleet.index_len()).collect();
        self.tell(Event::of_all(Kind::Note, format!("entries known at {now}: {known:?}")));
        if is_calm
            && self.charged < wire::limits::TOLD_RECORDS_MAX as u64
            && known.windows(2).any(|two| two[0] != two[1])
        {
            self.violated(None, "back.index", format!("the indexes differ at rest: {known:?}"));
        }
    }

    fn wall(&self) -> Millis {
        Millis(det::EPOCH_SECS * 1000 + self.now.as_millis() as u64)
    }

    fn outcome(&self, began: Duration) -> Outcome {
        Outcome {
            scenario: self.plan.scenario.clone(),
            seed: self.plan.seed,
            violation: self.violation.clone(),
            digest: self.trace.digest(),
            events: self.trace.count(),
            simulated_secs: self.now.as_secs_f64(),
            real_secs: (det::real_time() - began).as_secs_f64(),
            peak_kib: crate::world::peak_kib(),
            charged: self.charged,
            tally: self.tally,
            last_lines: self.trace.last(),
            ..Outcome::default()
        }
    }
}
