//! Universal: two machines that can meet directly do, all others meet through a relay, and what one of
//! them holds the other one gets.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use node::Node;
use serde::{Deserialize, Serialize};

use super::Broken;
use crate::{
    client::{Answer, How},
    plan::{self, Place, Role, Router, Trouble, is_direct_possible},
    stage::{Machine, Stage},
};

/// How often it is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Within which two machines have found each other, after all that concerns them has happened.
pub const REACH_TIME: Duration = Duration::from_secs(60);

/// From then on until they are connected directly, if they can be.
const DIRECT_TIME: Duration = Duration::from_secs(60);

/// How long a pair that is connected directly may have a second connection.
const SETTLE_TIME: Duration = Duration::from_secs(10);

/// A node has no more neighbours than these on purpose, and then others reach it through them.
const NEIGHBOURS_ENOUGH: usize = 8;

/// What an entry is asked for that one machine fills and another one has to get from it.
pub const CROSSING: &str = "?cross=";

/// How long the word that an entry is there may take.
const SPREAD: Duration = Duration::from_secs(2);

/// What has been seen of each pair of machines so far.
#[derive(Default)]
pub struct Paths {
    next_look: Duration,
    pairs: BTreeMap<(u32, u32), Pair>,
}

#[derive(Clone, Copy, Default)]
struct Pair {
    /// Since when, without a break.
    connected: Option<Duration>,
    direct: Option<Duration>,
    crowded: Option<Duration>,
    first_connected: Option<Duration>,
    first_direct: Option<Duration>,
    connections: usize,
}

/// How two machines came together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PathSeen {
    pub a: u32,
    pub b: u32,
    /// The first time, of the world.
    pub connected_ms: Option<u64>,
    pub direct_ms: Option<u64>,
    /// When the world ended.
    pub is_direct: bool,
    pub connections: usize,
}

impl Paths {
    pub fn seen(&self) -> Vec<PathSeen> {
        let ms = |at: Option<Duration>| at.map(|at| at.as_millis() as u64);
        let seen = |(&(a, b), pair): (&(u32, u32), &Pair)| PathSeen {
            a,
            b,
            connected_ms: ms(pair.first_connected),
            direct_ms: ms(pair.first_direct),
            is_direct: pair.direct.is_some(),
            connections: pair.connections,
        };
        self.pairs.iter().map(seen).collect()
    }
}

/// Looks at each pair, in a world that is not one network.
pub fn look(stage: &Arc<Stage>) {
    let now = det::elapsed();
    if !stage.plan.is_spread() || now < stage.ledger().paths.next_look {
        return;
    }
    stage.ledger().paths.next_look = now + LOOK_EVERY;
    let up: Vec<(&Machine, Arc<Node>)> =
        stage.machines.values().filter_map(|machine| Some((machine, machine.node()?))).collect();
    let mut views = BTreeMap::new();
    for (machine, node) in &up {
        for link in node.links() {
            if let Some(lane) = stage.lane_of(link.peer.as_str()) {
                views.insert((machine.plan.id, lane as u32 - 1), (link.relay.is_none(), link.connections));
            }
        }
    }
    let mut pairs = BTreeMap::new();
    for (at, (a, _)) in up.iter().enumerate() {
        for (b, _) in &up[at + 1..] {
            let (a, b) = (a.plan.id, b.plan.id);
            let before = stage.ledger().paths.pairs.get(&(a, b)).copied().unwrap_or_default();
            let pair = before.now((views.get(&(a, b)), views.get(&(b, a))), now);
            judge(stage, (a, b), &pair, now);
            pairs.insert((a, b), pair);
        }
    }
    // What was seen of a pair of which one is down stays for the end.
    let mut ledger = stage.ledger();
    for (pair, seen) in &mut ledger.paths.pairs {
        if !pairs.contains_key(pair) {
            (seen.connected, seen.direct, seen.crowded) = (None, None, None);
        }
    }
    ledger.paths.pairs.extend(pairs);
    drop(ledger);
    up.iter().for_each(|(machine, node)| judge_needs(stage, machine, node, now));
}

/// What one side says of its way to the other: whether it is direct, and of how many connections.
type View<'a> = Option<&'a (bool, usize)>;

impl Pair {
    fn now(self, views: (View<'_>, View<'_>), now: Duration) -> Self {
        let (is_connected, is_direct, connections) = match views {
            (Some((one, few)), Some((other, many))) => (true, *one && *other, *few.max(many)),
            _ => (false, false, 0),
        };
        let since = |is_so: bool, before: Option<Duration>| is_so.then(|| before.unwrap_or(now));
        let connected = since(is_connected, self.connected);
        let direct = since(is_direct, self.direct);
        Self {
            connected,
            direct,
            crowded: since(is_direct && connections > 1, self.crowded),
            first_connected: self.first_connected.or(connected),
            first_direct: self.first_direct.or(direct),
            connections,
        }
    }
}

fn judge(stage: &Stage, (a, b): (u32, u32), pair: &Pair, now: Duration) {
    let broken = |invariant, text| stage.violated(Some(stage.machine(a).lane()), invariant, text);
    if pair.crowded.is_some_and(|since| now > since + SETTLE_TIME) {
        let text = format!(
            "n{a} and n{b} have {} connections {} s after they had a direct one",
            pair.connections,
            SETTLE_TIME.as_secs()
        );
        return broken("bounded.pair", text);
    }
    let Some(calm) = calm_since(stage, &[a, b], now).filter(|_| stage.machines.len() <= NEIGHBOURS_ENOUGH + 1) else {
        return;
    };
    if now <= calm + REACH_TIME {
        return;
    }
    let Some(connected) = pair.connected else {
        let text = format!("n{a} and n{b} are not connected {} s after the last change", (now - calm).as_secs());
        return broken("back.reach", text);
    };
    if pair.direct.is_none() && can_be_direct(stage, a, b) && now > connected.max(calm) + DIRECT_TIME {
        broken("back.direct", format!("n{a} and n{b} are still connected through a relay, and could be directly"));
    }
}

/// Whether the routers in between allow a connection without a relay.
pub fn can_be_direct(stage: &Stage, a: u32, b: u32) -> bool {
    let (a, b) = (&stage.machine(a).plan, &stage.machine(b).plan);
    let router = |node: &plan::Node| stage.plan.router_of(node);
    a.place == b.place || is_direct_possible(router(a), router(b))
}

/// Who cannot be dialled and has no relay says what it needs; who has one does not complain.
fn judge_needs(stage: &Stage, machine: &Machine, node: &Node, now: Duration) {
    let lane = Some(machine.lane());
    let is_closed = stage.plan.router_of(&machine.plan).is_some_and(|router| router != Router::FullCone);
    if !is_closed {
        return;
    }
    match (calm_since(stage, &[machine.plan.id], now), lost_since(stage, machine, now), node.needs()) {
        (Some(calm), _, Some(need)) if now > calm + REACH_TIME => {
            stage.violated(lane, "back.needs", format!("a relay is there, and it still says: {need}"));
        }
        (None, Some(lost), None) if now > lost + REACH_TIME => {
            stage.violated(lane, "back.needs", "no relay is left, and it does not say that it needs one");
        }
        _ => {}
    }
}

/// When the last thing happened that concerns these machines, if an anchor is up: then all who can find
/// each other must.
fn calm_since(stage: &Stage, of: &[u32], now: Duration) -> Option<Duration> {
    let has_anchor =
        stage.machines.values().any(|machine| machine.plan.place == Place::Anchor && machine.node().is_some());
    has_anchor.then(|| last_change(stage, of, now))
}

/// Since when there is nobody at all who could relay.
fn lost_since(stage: &Stage, machine: &Machine, now: Duration) -> Option<Duration> {
    let is_lost = !stage.machines.values().any(|other| can_relay(stage, &other.plan) && other.node().is_some());
    is_lost.then(|| last_change(stage, &[machine.plan.id], now))
}

fn last_change(stage: &Stage, of: &[u32], now: Duration) -> Duration {
    let ms = Duration::from_millis;
    let concerns = |node: &plan::Node| {
        let is_there = |id: &u32| stage.machine(*id).plan.place == node.place && matches!(node.place, Place::Site(_));
        of.contains(&node.id) || of.iter().any(is_there) || can_relay(stage, node)
    };
    let lives = stage.plan.nodes.iter().filter(|node| concerns(node));
    let lives = lives.flat_map(|node| [Some(node.starts_ms), node.stops_ms]).flatten().map(ms);
    let faults = stage.plan.faults.iter().filter(|fault| {
        let nodes = fault.what.nodes();
        // What is wrong with GitHub or with a disk is no matter of the network.
        let is_of_links = !matches!(fault.what, Trouble::Unreachable { .. } | Trouble::SlowDisk { .. });
        is_of_links && nodes.iter().any(|node| concerns(&stage.machine(*node).plan))
    });
    let faults = faults.flat_map(|fault| [ms(fault.from_ms), ms(fault.until_ms)]);
    lives.chain(faults).filter(|at| *at <= now).max().unwrap_or_default()
}

/// Whether circuits of others may run through it: others can dial it.
fn can_relay(stage: &Stage, node: &plan::Node) -> bool {
    let router = stage.plan.router_of(node);
    node.role == Role::Node && (router.is_none() || router == Some(Router::FullCone))
}

/// What a machine asked GitHub for, and everybody has heard of, the other one gets from it.
pub fn judge_crossing(stage: &Stage, answer: &Answer) -> Result<(), Broken> {
    let request = &answer.request;
    if !request.path.contains(CROSSING) || matches!(answer.how, How::Peer | How::Hit) {
        return Ok(());
    }
    let ledger = stage.ledger();
    let heard = |asked: &&super::Asked| {
        asked.node != request.node && asked.done.is_some_and(|done| done + SPREAD <= request.sent)
    };
    match ledger.questions_of(&request.path).iter().find(heard) {
        Some(first) => {
            let text =
                format!("n{} did not get {} from n{}, but {:?}", request.node, request.path, first.node, answer.how);
            Err(("back.crossing", text))
        }
        None => Ok(()),
    }
}
