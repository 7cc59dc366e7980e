//! The shell around one core: what `node` does with effects, in a few lines and without IO.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use fleet::{AskId, Config, Effect, Fleet, Input, PullFailure};
use wire::{Announcement, Body, Digest, Form, Grave, Message, Millis, Peer, Record, Role, Tombstone, Version};

use super::{
    Happening, World,
    gossip::{DIRECT_OVERHEAD_BYTES, Gossip, OVERHEAD_BYTES},
    names::Question,
    topology::TEND_AFTER,
};
use crate::{
    plan::{self, Plan, Way},
    trace::{Event, Kind},
};

/// Answers that go to the heir in one message.
const HANDOVER_PAGE: usize = 32;

/// From being told to stop until it is gone.
const DRAIN: Duration = Duration::from_millis(1_500);

/// A node: its core, and what its store would hold.
pub struct Shell {
    pub plan: plan::Node,
    pub fleet: Fleet,
    pub is_up: bool,
    /// It is of the version before.
    pub is_old: bool,
    /// How often it was started: what was sent to an earlier life does not arrive.
    pub life: u32,
    pub peers: BTreeSet<usize>,
    pub held: BTreeSet<Digest>,
    /// What each credential was told last here.
    pub told: BTreeMap<Question, Version>,
    /// What clients wait for.
    pub flights: BTreeMap<Question, Flight>,
    /// Of these, what the fleet works on.
    pub asks: BTreeMap<AskId, (Question, Duration)>,
    pub next_ask: u64,
    pub timing: Timing,
    peer: Peer,
    is_deaf: bool,
    woken_at: Option<Duration>,
}

/// One question, and the clients of this machine that ask it.
#[derive(Default)]
pub struct Flight {
    pub clients: Vec<Duration>,
}

#[derive(Clone, Copy)]
pub struct Timing {
    pub fresh: Duration,
    /// None: as long as it is fresh.
    pub proof: Option<Duration>,
    pub stale: Duration,
}

impl Shell {
    /// One that is started at `since`.
    pub fn new(plan: &Plan, node: &plan::Node, peer: Peer, since: Millis) -> Self {
        let millis = |ms: Option<u64>| ms.map(Duration::from_millis);
        let fresh = millis(plan.policy.default_ttl_ms).unwrap_or(Duration::from_secs(60));
        let stale = Duration::from_millis(plan.policy.stale_for_ms);
        let longest = plan.model.ttls.iter().map(|ttl| Duration::from_millis(ttl.ms)).max();
        let proof = millis(plan.policy.proof_window_ms);
        let timing = Timing { fresh, proof, stale };
        let window = proof.unwrap_or(fresh.max(longest.unwrap_or_default()));
        Self {
            fleet: core(peer.clone(), role(plan, node), since, window, stale),
            plan: node.clone(),
            is_up: false,
            is_old: false,
            life: 0,
            peers: BTreeSet::new(),
            held: BTreeSet::new(),
            told: BTreeMap::new(),
            flights: BTreeMap::new(),
            asks: BTreeMap::new(),
            next_ask: 0,
            timing,
            peer,
            is_deaf: plan.model.deaf.contains(&node.id),
            woken_at: None,
        }
    }

    pub fn lane(&self) -> usize {
        self.plan.id as usize + 1
    }

    /// When the oldest of the fleet's questions began.
    pub fn oldest_ask(&self) -> Option<Duration> {
        self.asks.first_key_value().map(|(_, (_, began))| *began)
    }

    /// Forgets everything: it has no disk here.
    fn restart(&mut self, plan: &Plan, since: Millis) {
        let new = Self::new(plan, &self.plan, self.peer.clone(), since);
        *self = Self { life: self.life, next_ask: self.next_ask, ..new };
    }
}

fn core(me: Peer, role: Role, since: Millis, proof_window: Duration, stale_for: Duration) -> Fleet {
    Fleet::new(Config { alone: false, me, role, since, proof_window, stale_for })
}

/// Runners that will stop are ephemeral.
fn role(plan: &Plan, node: &plan::Node) -> Role {
    match node.stops_ms {
        _ if plan.model.anchors.contains(&node.id) => Role::Anchor,
        Some(_) => Role::Ephemeral,
        None => Role::Node,
    }
}

impl World {
    /// Does what happens; returns the nodes whose cores it touched.
    pub fn happen(&mut self, what: Happening) -> Vec<usize> {
        let now = self.wall();
        match what {
            Happening::Start { node } => {
                self.start(node);
                Vec::new()
            }
            Happening::Leave { node } => self.leave(node),
            Happening::Stop { node } => self.stop(node),
            Happening::Cut => self.cut(),
            Happening::Meet { a, b } => self.meet(a, b),
            Happening::Tend { node } => {
                if self.shells[node].is_up {
                    self.seek(node);
                }
                Vec::new()
            }
            Happening::Ask { node, question } => self.ask(node, question),
            Happening::Write { node, repo } => self.write(node, repo),
            Happening::Written { node, life, repo } => self.written(node, life, repo),
            Happening::Change { repo } => {
                self.github.change(repo, self.now);
                Vec::new()
            }
            Happening::Hear { node, from, life, message } => {
                let shell = &mut self.shells[node];
                if shell.life != life || !shell.is_up || shell.is_deaf || !self.topology.is_open(from, node) {
                    return Vec::new();
                }
                let message = Arc::unwrap_or_clone(message);
                shell.fleet.handle(Input::Heard { from: self.names.peers[from].clone(), message }, now);
                vec![node]
            }
            Happening::Pulled { node, life, input } => {
                let shell = &mut self.shells[node];
                if shell.life != life || !shell.is_up {
                    return Vec::new();
                }
                shell.fleet.handle(*input, now);
                vec![node]
            }
            Happening::Wake { node, life } => {
                let shell = &mut self.shells[node];
                if shell.life != life || !shell.is_up {
                    return Vec::new();
                }
                shell.woken_at = None;
                shell.fleet.wake(now);
                vec![node]
            }
            Happening::Origin { node, life, request } => self.answered(node, life, &request),
        }
    }

    fn start(&mut self, node: usize) {
        if self.shells[node].is_up {
            return;
        }
        let since = self.wall();
        self.shells[node].restart(&self.plan, since);
        self.shells[node].is_up = true;
        let until = self.shells[node].plan.old_until_ms.map(Duration::from_millis);
        self.shells[node].is_old = until.is_some_and(|until| self.now < until);
        canary::make_old(self.names.peers[node].as_str(), self.shells[node].is_old);
        self.shells[node].life += 1;
        self.topology.started(node);
        let lane = self.shells[node].lane();
        self.tell(Event::new(Kind::Start, lane, "start"));
        self.seek(node);
    }

    /// Dials whom this node should know and does not.
    fn seek(&mut self, node: usize) {
        if self.plan.model.way == Way::Alone {
            return;
        }
        for other in self.topology.neighbours(node) {
            if !self.shells[node].peers.contains(&other) {
                let at = self.now + 3 * self.hop();
                self.queue.add(at, Happening::Meet { a: node, b: other });
            }
        }
    }

    fn meet(&mut self, a: usize, b: usize) -> Vec<usize> {
        let are_up = self.shells[a].is_up && self.shells[b].is_up;
        if !are_up || !self.topology.is_open(a, b) || !self.shells[a].peers.insert(b) {
            return Vec::new();
        }
        self.shells[b].peers.insert(a);
        let now = self.wall();
        let millis = (2 * self.plan.link.latency_ms + self.plan.link.jitter_ms) as u32;
        for (one, other) in [(a, b), (b, a)] {
            let peer = self.names.peers[other].clone();
            let fleet = &mut self.shells[one].fleet;
            fleet.handle(Input::PeerConnected { peer: peer.clone(), near: false }, now);
            fleet.handle(Input::RoundTrip { peer: peer.clone(), millis }, now);
            fleet.handle(Input::PeerReady { peer }, now);
        }
        vec![a, b]
    }

    /// It is told to stop, and says so first.
    fn leave(&mut self, node: usize) -> Vec<usize> {
        if !self.shells[node].is_up {
            return Vec::new();
        }
        self.queue.add(self.now + DRAIN, Happening::Stop { node });
        let now = self.wall();
        self.shells[node].fleet.handle(Input::Leaving, now);
        vec![node]
    }

    fn stop(&mut self, node: usize) -> Vec<usize> {
        if !std::mem::take(&mut self.shells[node].is_up) {
            return Vec::new();
        }
        self.topology.stopped(node);
        let lane = self.shells[node].lane();
        self.tell(Event::new(Kind::Crash, lane, "is gone"));
        let peers = std::mem::take(&mut self.shells[node].peers);
        let now = self.wall();
        self.shells[node].restart(&self.plan, now);
        self.part(node, &peers)
    }

    /// These no longer know `node`; in a while they look for somebody else.
    fn part(&mut self, node: usize, peers: &BTreeSet<usize>) -> Vec<usize> {
        let now = self.wall();
        for other in peers {
            self.shells[*other].peers.remove(&node);
            self.shells[*other].fleet.handle(Input::PeerGone { peer: self.names.peers[node].clone() }, now);
            self.queue.add(self.now + TEND_AFTER, Happening::Tend { node: *other });
        }
        peers.iter().copied().collect()
    }

    fn cut(&mut self) -> Vec<usize> {
        let now = self.wall();
        let ms = self.now.as_millis() as u64;
        let on = self.plan.faults.iter().filter(|fault| fault.from_ms <= ms && ms < fault.until_ms);
        let sides = on.filter_map(|fault| match &fault.what {
            plan::Trouble::Partition { side } => {
                let side: BTreeSet<u32> = side.iter().copied().collect();
                Some(self.shells.iter().map(|shell| side.contains(&shell.plan.id)).collect())
            }
            _ => None,
        });
        self.topology.parted(sides.collect());
        let mut touched = BTreeSet::new();
        for node in 0..self.shells.len() {
            let is_lost = |other: &usize| !self.topology.is_open(node, *other);
            let lost: BTreeSet<usize> = self.shells[node].peers.iter().copied().filter(is_lost).collect();
            for other in &lost {
                self.shells[node].peers.remove(other);
                self.shells[node].fleet.handle(Input::PeerGone { peer: self.names.peers[*other].clone() }, now);
                touched.insert(node);
            }
            touched.extend(self.part(node, &lost));
        }
        self.tell(Event::of_all(Kind::Fault, "the network changes"));
        for node in 0..self.shells.len() {
            if self.shells[node].is_up {
                self.seek(node);
            }
        }
        touched.into_iter().collect()
    }

    /// Fetches a body, if that peer is connected and has it.
    fn pull(&mut self, node: usize, from: &Peer, record: &Record, digest: Digest) -> Result<(), PullFailure> {
        let holder = self.names.place(from).filter(|holder| self.shells[node].peers.contains(holder));
        let has = holder.is_some_and(|holder| {
            let shell = &self.shells[holder];
            shell.held.contains(&digest) && !shell.is_deaf
        });
        self.costs.pulls += 1;
        if !has {
            return Err(PullFailure::Unavailable);
        }
        self.shells[node].held.insert(digest);
        self.costs.pull_bytes += record.body_bytes + DIRECT_OVERHEAD_BYTES as u64;
        Ok(())
    }

    /// Carries out what a core wants, and sees that it is woken in time.
    pub fn carry_out(&mut self, node: usize) {
        while let Some(effect) = self.shells[node].fleet.next_effect() {
            match effect {
                Effect::Publish(message) => self.publish(node, message),
                Effect::Forget { .. } | Effect::Limits { .. } | Effect::HandedOver => {}
                Effect::Bury(tombstones) => self.bury(node, &tombstones),
                Effect::HandOver { to, announcements } => {
                    for page in announcements.chunks(HANDOVER_PAGE) {
                        let body = |bytes| Some(Body { form: Form::Identity, encoded: vec![0; bytes as usize].into() });
                        let given =
                            |told: &Announcement| Announcement { body: body(told.record.body_bytes), ..told.clone() };
                        self.send(node, &to, Message::Announce(page.iter().map(given).collect()));
                    }
                }
                Effect::Send { to, message } => self.send(node, &to, message),
                Effect::Keep { announcement, .. } => {
                    if announcement.body.is_some() {
                        self.shells[node].held.insert(announcement.record.version.digest);
                    }
                }
                Effect::Pull { ask, from, request, record, .. } => {
                    let result = self.pull(node, &from, &record, request.digest);
                    let at = self.now + self.hop() + self.hop();
                    let life = self.shells[node].life;
                    let input = Box::new(Input::Pulled { ask, from, result });
                    self.queue.add(at, Happening::Pulled { node, life, input });
                }
                // Its answer changes nothing when it comes.
                Effect::CancelPull { .. } => {}
                Effect::Fetch { from, announcement } => {
                    let record = &announcement.record;
                    let result = self.pull(node, &from, record, record.version.digest);
                    let at = self.now + self.hop() + self.hop();
                    let life = self.shells[node].life;
                    let input = Box::new(Input::Fetched { from, announcement, result });
                    self.queue.add(at, Happening::Pulled { node, life, input });
                }
                Effect::Resolve { ask, outcome } => self.resolve(node, ask, outcome),
                Effect::NameForgery { holders, .. } => {
                    self.violated(Some(node), "right.forgery", format!("nobody lies here, and {holders:?} are named"));
                }
                Effect::Excess { peer, dropped, .. } => {
                    self.violated(Some(node), "right.dropped", format!("{dropped} tombstones of {peer} did not count"));
                }
                Effect::DropPeer { peer, why } => {
                    let text = format!("nobody lies here, and {peer} is dropped: {why}");
                    self.violated(Some(node), "right.dropped", text);
                }
            }
        }
        let shell = &mut self.shells[node];
        if let Some(deadline) = shell.fleet.next_deadline() {
            let at = Duration::from_millis(deadline.0.saturating_sub(det::EPOCH_SECS * 1000)).max(self.now);
            if shell.woken_at.is_none_or(|woken| at < woken) {
                shell.woken_at = Some(at);
                let life = shell.life;
                self.queue.add(at, Happening::Wake { node, life });
            }
        }
    }

    /// As on a disk: what was told before a write is neither served nor offered as the own.
    fn bury(&mut self, node: usize, tombstones: &[Tombstone]) {
        for Tombstone { of, date_secs } in tombstones {
            let (paths, families) = (&self.names.paths, &self.names.families);
            self.shells[node].told.retain(|question, version| {
                let is_of = match of {
                    Grave::Everything => true,
                    Grave::Family(family) => families[paths[question.path].repo] == *family,
                    Grave::Key(_) | Grave::Scope(_) | Grave::Denied(..) => false,
                };
                !is_of || version.date_secs > *date_secs
            });
        }
    }

    /// Gossip: to all of the cell that can be reached, each after a delay of its own.
    fn publish(&mut self, from: usize, message: Message) {
        self.costs.published += 1;
        if self.shells[from].peers.is_empty() {
            return;
        }
        let is_membership = matches!(message, Message::Member(_));
        let bytes = message.encode().map_or(0, |bytes| bytes.len()) + OVERHEAD_BYTES;
        let message = Arc::new(message);
        let cell = self.topology.cell_of(from).to_vec();
        let mut reached = 0;
        for node in cell.iter().copied().filter(|node| *node != from) {
            let is_there = !self.shells[node].peers.is_empty() && self.topology.is_open(from, node);
            if !is_there || is_membership && self.topology.is_blind(from, node) {
                continue;
            }
            let Some(delay) = self.gossip.delay(cell.len()) else { continue };
            reached += 1;
            let life = self.shells[node].life;
            self.queue.add(self.now + delay, Happening::Hear { node, from, life, message: message.clone() });
        }
        self.costs.delivered += reached;
        let sends = Gossip::sends(cell.len()) * (reached + 1) as f64;
        self.costs.gossip_sends += sends;
        self.costs.gossip_bytes += sends * bytes as f64;
    }

    fn send(&mut self, from: usize, to: &Peer, message: Message) {
        let Some(to) = self.names.place(to).filter(|to| self.shells[from].peers.contains(to)) else { return };
        if matches!(message, Message::Claim(_)) && self.shells[to].is_old {
            self.violated(
                Some(from),
                "waits.old",
                format!("n{} is told a claim, and knows of none", self.shells[to].plan.id),
            );
        }
        self.costs.sent += 1;
        self.costs.sent_bytes += (message.encode().map_or(0, |bytes| bytes.len()) + DIRECT_OVERHEAD_BYTES) as u64;
        let at = self.now + self.hop();
        let life = self.shells[to].life;
        self.queue.add(at, Happening::Hear { node: to, from, life, message: Arc::new(message) });
    }
}
