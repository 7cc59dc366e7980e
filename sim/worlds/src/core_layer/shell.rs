//! The shell around one core: what `node` does with effects, in a few lines and without IO.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use bytes::Bytes;
use crypto::{FleetKeys, TagKey};
use fleet::{Across, AskId, Config, Effect, Fleet, Input, Outcome, PullFailure, Want};
use wire::{Announcement, Body, Digest, Message, Peer, Record, Role, Version};

use super::{Happening, World};
use crate::{
    machine::fleet_keys,
    plan::{self, Plan},
    trace::{Event, Kind},
};

/// A node: its core, and what its store would hold.
pub struct Shell {
    pub plan: plan::Node,
    pub fleet: Fleet,
    pub is_up: bool,
    /// How often it was started: what was sent to an earlier life does not arrive.
    life: u32,
    peers: BTreeSet<usize>,
    held: BTreeSet<Digest>,
    asks: BTreeMap<AskId, Asked>,
    next_ask: u64,
    woken_at: Option<Duration>,
    keys: FleetKeys,
    config: Timing,
}

/// A client's question.
struct Asked {
    began: Duration,
    token: Option<usize>,
    path: String,
}

#[derive(Clone, Copy)]
struct Timing {
    fresh: Duration,
    proof: Duration,
    stale: Duration,
}

impl Shell {
    pub fn new(plan: &Plan, node: &plan::Node) -> Self {
        let millis = |ms: Option<u64>| ms.map(Duration::from_millis);
        let ttl = millis(plan.policy.default_ttl_ms).unwrap_or(Duration::from_secs(60));
        let proof = millis(plan.policy.proof_window_ms).unwrap_or(ttl);
        let config = Timing { fresh: ttl, proof, stale: Duration::from_millis(plan.policy.stale_for_ms) };
        Self {
            fleet: core(node.id, config),
            plan: node.clone(),
            is_up: false,
            life: 0,
            peers: BTreeSet::new(),
            held: BTreeSet::new(),
            asks: BTreeMap::new(),
            next_ask: 0,
            woken_at: None,
            keys: fleet_keys(plan.seed),
            config,
        }
    }

    pub fn lane(&self) -> usize {
        self.plan.id as usize + 1
    }

    pub fn oldest_ask(&self) -> Option<Duration> {
        self.asks.values().map(|ask| ask.began).min()
    }
}

fn core(id: u32, timing: Timing) -> Fleet {
    let (role, since) = (Role::Node, wire::Millis::ZERO);
    Fleet::new(Config { alone: false, me: peer(id), role, since, proof_window: timing.proof, stale_for: timing.stale })
}

fn peer(id: u32) -> Peer {
    Peer::new(format!("n{id}"))
}

fn credential(token: usize) -> Vec<u8> {
    format!("Bearer t{token}").into_bytes()
}

impl World {
    /// Does what happens; returns the nodes whose cores it touched.
    pub fn happen(&mut self, what: Happening) -> Vec<usize> {
        let now = self.wall();
        match what {
            Happening::Start { node } => {
                let shell = &mut self.shells[node];
                if !shell.is_up {
                    shell.is_up = true;
                    shell.life += 1;
                    let lane = shell.lane();
                    self.tell(Event::new(Kind::Start, lane, "start"));
                    self.meet_all();
                }
                Vec::new()
            }
            Happening::Stop { node } => self.stop(node),
            Happening::Cut => self.cut(),
            Happening::Meet { a, b } => {
                if !self.reaches(a, b) || !self.shells[a].peers.insert(b) {
                    return Vec::new();
                }
                self.shells[b].peers.insert(a);
                for (one, other) in [(a, b), (b, a)] {
                    let peer = peer(self.shells[other].plan.id);
                    let fleet = &mut self.shells[one].fleet;
                    fleet.handle(Input::PeerConnected { peer: peer.clone(), near: false }, now);
                    fleet.handle(Input::PeerReady { peer }, now);
                }
                vec![a, b]
            }
            Happening::Ask { node, token, path } => self.ask(node, token, path),
            Happening::Arrive { node, from, life, input } => {
                let reaches = from.is_none_or(|from| self.reaches(from, node));
                if self.shells[node].life != life || !self.shells[node].is_up || !reaches {
                    return Vec::new();
                }
                self.shells[node].fleet.handle(*input, now);
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
            Happening::Origin { node, life, token, path } => self.filled(node, life, token, &path),
        }
    }

    /// Everybody who can reach each other and is not connected dials.
    fn meet_all(&mut self) {
        let hop = 3 * self.hop();
        for a in 0..self.shells.len() {
            for b in a + 1..self.shells.len() {
                if self.reaches(a, b) && !self.shells[a].peers.contains(&b) {
                    self.queue.add(self.now + hop, Happening::Meet { a, b });
                }
            }
        }
    }

    fn stop(&mut self, node: usize) -> Vec<usize> {
        if !std::mem::take(&mut self.shells[node].is_up) {
            return Vec::new();
        }
        let lane = self.shells[node].lane();
        self.tell(Event::new(Kind::Crash, lane, "is gone"));
        let peers = std::mem::take(&mut self.shells[node].peers);
        let shell = &mut self.shells[node];
        shell.fleet = core(shell.plan.id, shell.config);
        shell.held.clear();
        shell.asks.clear();
        shell.woken_at = None;
        self.part(node, &peers)
    }

    fn part(&mut self, node: usize, peers: &BTreeSet<usize>) -> Vec<usize> {
        let (now, gone) = (self.wall(), peer(self.shells[node].plan.id));
        for other in peers {
            self.shells[*other].peers.remove(&node);
            self.shells[*other].fleet.handle(Input::PeerGone { peer: gone.clone() }, now);
        }
        peers.iter().copied().collect()
    }

    fn cut(&mut self) -> Vec<usize> {
        let now = self.wall();
        let mut touched = BTreeSet::new();
        for node in 0..self.shells.len() {
            let lost: BTreeSet<usize> =
                self.shells[node].peers.iter().copied().filter(|other| !self.reaches(node, *other)).collect();
            for other in &lost {
                let gone = peer(self.shells[*other].plan.id);
                self.shells[node].peers.remove(other);
                self.shells[node].fleet.handle(Input::PeerGone { peer: gone }, now);
                touched.insert(node);
            }
            touched.extend(self.part(node, &lost));
        }
        self.tell(Event::of_all(Kind::Fault, "the network changes"));
        self.meet_all();
        touched.into_iter().collect()
    }

    fn ask(&mut self, node: usize, token: Option<usize>, path: String) -> Vec<usize> {
        let now = self.wall();
        let began = self.now;
        let shell = &mut self.shells[node];
        if !shell.is_up {
            return Vec::new();
        }
        self.tally.asks += 1;
        let ask = AskId(shell.next_ask);
        shell.next_ask += 1;
        let bytes = token.map(credential);
        let key = shell.keys.ids.key_id(path.as_bytes());
        let scope = shell.keys.ids.scope_id(bytes.as_deref());
        let tag_key = bytes.as_deref().map(TagKey::of);
        shell.asks.insert(ask, Asked { began, token, path });
        shell.fleet.handle(
            Input::Asked {
                ask,
                key,
                scope,
                tag_key,
                want: Want::Fresh,
                across: Across::Nothing,
                known: None,
                claim: None,
            },
            now,
        );
        vec![node]
    }

    /// GitHub has answered: the same body for everybody, another one for each token's view.
    fn filled(&mut self, node: usize, life: u32, token: Option<usize>, path: &str) -> Vec<usize> {
        let now = self.wall();
        let shell = &mut self.shells[node];
        if shell.life != life || !shell.is_up {
            return Vec::new();
        }
        self.charged += 1;
        self.tally.filled += 1;
        let body = Body::from_plain(body(path, token));
        let bytes = token.map(credential);
        let key = shell.keys.ids.key_id(path.as_bytes());
        let scope = shell.keys.ids.scope_id(bytes.as_deref());
        let digest = Digest::of(&self::body(path, token));
        let proved_until = now.after(shell.config.proof);
        let record = Record {
            family: shell.keys.ids.family_id(path),
            version: Version { date_secs: now.as_secs(), digest },
            status: 200,
            headers: Vec::new(),
            body_bytes: self::body(path, token).len() as u64,
            validated_at: now,
            fresh_until: now.after(shell.config.fresh),
            proved_until,
            stale_until: proved_until.after(shell.config.stale),
        };
        shell.held.insert(digest);
        let tag = bytes.as_deref().map(|bytes| TagKey::of(bytes).tag(key, &record));
        let announcement = Announcement { key, scope, record, tag, body: Some(body), holder: None };
        shell.fleet.handle(Input::Filled { announcement, ask: None }, now);
        vec![node]
    }

    /// Carries out what a core wants, and sees that it is woken in time.
    pub fn carry_out(&mut self, node: usize) {
        while let Some(effect) = self.shells[node].fleet.next_effect() {
            match effect {
                Effect::Publish(message) => {
                    let peers: Vec<usize> = self.shells[node].peers.iter().copied().collect();
                    for peer in peers {
                        self.send(node, peer, message.clone());
                    }
                }
                Effect::Bury(_) | Effect::HandOver { .. } | Effect::HandedOver => {}
                Effect::Send { to, message } => {
                    if let Some(to) = self.place(&to) {
                        self.send(node, to, message);
                    }
                }
                Effect::Keep { announcement, .. } => {
                    if announcement.body.is_some() {
                        self.shells[node].held.insert(announcement.record.version.digest);
                    }
                }
                Effect::Forget { .. } => {}
                Effect::Pull { ask, from, request, .. } => {
                    let holder = self.place(&from);
                    let has = holder.is_some_and(|holder| {
                        self.reaches(node, holder) && self.shells[holder].held.contains(&request.digest)
                    });
                    let result = if has { Ok(()) } else { Err(PullFailure::Unavailable) };
                    if has {
                        self.shells[node].held.insert(request.digest);
                    }
                    let at = self.now + self.hop() + self.hop();
                    let life = self.shells[node].life;
                    let input = Box::new(Input::Pulled { ask, from, result });
                    self.queue.add(at, Happening::Arrive { node, from: None, life, input });
                }
                // Its answer changes nothing when it comes.
                Effect::CancelPull { .. } => {}
                Effect::Fetch { from, announcement } => {
                    let digest = announcement.record.version.digest;
                    let has = self
                        .place(&from)
                        .is_some_and(|holder| self.reaches(node, holder) && self.shells[holder].held.contains(&digest));
                    if has {
                        self.shells[node].held.insert(digest);
                    }
                    let result = if has { Ok(()) } else { Err(PullFailure::Unavailable) };
                    let at = self.now + self.hop() + self.hop();
                    let life = self.shells[node].life;
                    let input = Box::new(Input::Fetched { from, announcement, result });
                    self.queue.add(at, Happening::Arrive { node, from: None, life, input });
                }
                Effect::Resolve { ask, outcome } => self.resolve(node, ask, outcome),
                Effect::NameForgery { holders, .. } => {
                    self.violated(Some(node), "right.forgery", format!("nobody lies here, and {holders:?} are named"));
                }
                Effect::Excess { peer, dropped, .. } => {
                    self.violated(Some(node), "right.dropped", format!("{dropped} tombstones of {peer} did not count"));
                }
                Effect::DropPeer { peer, why } => {
                    self.violated(
                        Some(node),
                        "right.dropped",
                        format!("nobody lies here, and {peer} is dropped: {why}"),
                    );
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

    fn place(&self, peer: &Peer) -> Option<usize> {
        let id = peer.as_str().strip_prefix('n')?.parse::<u32>().ok()?;
        self.shells.iter().position(|shell| shell.plan.id == id)
    }

    fn send(&mut self, from: usize, to: usize, message: Message) {
        let at = self.now + self.hop();
        let life = self.shells[to].life;
        let sender = peer(self.shells[from].plan.id);
        let input = Box::new(Input::Heard { from: sender, message });
        self.queue.add(at, Happening::Arrive { node: to, from: Some(from), life, input });
    }

    fn resolve(&mut self, node: usize, ask: AskId, outcome: Outcome) {
        let now = self.wall();
        let Some(Asked { began, token, path }) = self.shells[node].asks.remove(&ask) else { return };
        let lane = self.shells[node].lane();
        let whose = token.map_or_else(|| "nobody".to_owned(), |token| format!("t{token}"));
        match outcome {
            Outcome::Nothing
            | Outcome::Failed { .. }
            | Outcome::Told { .. }
            | Outcome::Offer { .. }
            | Outcome::Trusted { .. } => {
                let at = self.now + Duration::from_millis(self.plan.origin_ms);
                let life = self.shells[node].life;
                self.tell(Event::new(Kind::Origin, lane, format!("{path} of {whose}")).to(0));
                self.queue.add(at, Happening::Origin { node, life, token, path });
            }
            Outcome::Found { record, .. } => {
                self.tally.peer_hits += 1;
                self.tell(Event::new(Kind::Ask, lane, format!("{path} of {whose}: found")).since(began));
                let shell = &self.shells[node];
                let age = now.since(record.validated_at);
                let limit = shell.config.fresh.min(shell.config.proof);
                let expected = Digest::of(&body(&path, token));
                if record.version.digest != expected {
                    self.violated(Some(node), "right.scope", format!("{path} of {whose}: the body of another"));
                } else if !self.shells[node].held.contains(&expected) {
                    self.violated(Some(node), "right.held", format!("{path} of {whose}: found, and not held"));
                } else if age >= limit {
                    let text = format!("{path} of {whose}: told {} ms ago", age.as_millis());
                    self.violated(Some(node), "right.fresh", text);
                }
            }
        }
    }
}

/// What GitHub says to a token about a path.
fn body(path: &str, token: Option<usize>) -> Bytes {
    format!("{{\"path\":\"{path}\",\"viewer\":{token:?}}}").into()
}
