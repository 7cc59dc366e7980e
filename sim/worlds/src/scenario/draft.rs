//! A plan in the making: machines, tokens, and what clients do.

use super::Wishes;
use crate::{
    draw::Stream,
    plan::{Fault, Layer, Link, Model, Node, Op, Place, Plan, Policy, Role, Sharing, Token, Trouble, VERSION, What},
};

/// Worlds over this many machines get a longer tick: each is a host that has to be polled.
const SMALL_WORLD_NODES: u32 = 12;

/// Where clients look. Private ones are there, polled ones, paged ones and large ones.
const PATHS: [&str; 12] = [
    "/repos/octocat/Hello-World",
    "/repos/acme/secret",
    "/repos/acme/secret/issues",
    "/repos/octocat/Hello-World/issues?per_page=30",
    "/repos/octocat/Hello-World/actions/runs",
    "/repos/octocat/Hello-World/actions/runners",
    "/repos/octo-org/empty/issues",
    "/repos/octocat/Hello-World/pulls",
    "/repos/octocat/Hello-World/git/blobs/size-900",
    "/repos/octocat/Hello-World/git/blobs/size-150000",
    "/repos/octocat/Hello-World/git/blobs/size-700000",
    "/repos/octocat/Spoon-Knife",
];

/// What is changed at GitHub, and written to by clients.
const REPOS: [&str; 3] = ["octocat/Hello-World", "acme/secret", "octocat/Spoon-Knife"];

/// The only ones that the writing token may write to.
const WRITABLE: [&str; 2] = ["octocat/Hello-World", "octocat/Spoon-Knife"];

pub struct Draft {
    pub plan: Plan,
    wishes: Wishes,
}

impl Draft {
    pub fn new(scenario: &str, seed: u64, nodes: u32, wishes: &Wishes) -> Self {
        let mut drawn = Stream::new(seed, &format!("world of {scenario}"));
        let tick_ms = match nodes {
            0..=SMALL_WORLD_NODES => 1,
            _ => 10,
        };
        let far = drawn.percent(30);
        let link = Link {
            latency_ms: if far { drawn.range(15, 80) } else { drawn.range(1, 6) }.max(tick_ms),
            jitter_ms: drawn.range(0, if far { 15 } else { 2 }),
            loss_ppm: *drawn.pick(&[0, 0, 0, 1_000, 10_000]),
            bytes_per_sec: *drawn.pick(&[None, Some(125_000_000), Some(12_500_000)]),
        };
        let policy = *drawn.pick(&[
            Policy { default_ttl_ms: None, proof_window_ms: None, stale_for_ms: 3_600_000 },
            Policy { default_ttl_ms: Some(300_000), proof_window_ms: Some(20_000), stale_for_ms: 3_600_000 },
            Policy { default_ttl_ms: Some(15_000), proof_window_ms: None, stale_for_ms: 60_000 },
        ]);
        let nodes = (0..nodes).map(|id| node(seed, id)).collect();
        let plan = Plan {
            version: VERSION,
            scenario: scenario.to_owned(),
            seed,
            layer: wishes.layer.unwrap_or(Layer::Swarm),
            tick_ms,
            span_ms: wishes.secs.map_or(60_000, |secs| secs * 1000),
            settle_ms: 120_000,
            policy,
            sharing: Sharing::default(),
            link,
            origin_ms: drawn.range(30, 250),
            tokens: tokens(),
            nodes,
            sites: Vec::new(),
            ops: Vec::new(),
            faults: Vec::new(),
            model: Model::default(),
            canary: wishes.canary.clone(),
        };
        Self { plan, wishes: wishes.clone() }
    }

    /// The plan, in order of time.
    pub fn done(mut self) -> Plan {
        self.plan.ops.sort_by_key(|op| (op.at_ms, op.id));
        self.plan.faults.sort_by_key(|fault| (fault.from_ms, fault.id));
        self.plan
    }

    pub fn wishes(&self) -> &Wishes {
        &self.wishes
    }

    pub fn stream(&self, purpose: &str) -> Stream {
        Stream::new(self.plan.seed, purpose)
    }

    /// The span of the scenario, unless somebody wishes another.
    pub fn span_of(&self, span_ms: u64) -> u64 {
        self.wishes.secs.map_or(span_ms, |secs| secs * 1000)
    }

    /// So many questions, of clients on all machines, while these run.
    pub fn questions(&mut self, count: u32) {
        let count = self.wishes.ops.unwrap_or(count);
        for number in 0..count {
            let mut drawn = self.stream(&format!("question {number}"));
            let Some((node, from, to)) = self.life(&mut drawn) else { continue };
            let at_ms = drawn.range(from, to);
            // Most look where everybody looks, with the token that everybody has.
            let is_usual = drawn.percent(50);
            let path = if is_usual { PATHS[drawn.range(0, 4) as usize] } else { *drawn.pick(&PATHS) };
            // A few ask without a token, and what is large is asked for less.
            let token = match drawn.range(0, 100) {
                0..8 => None,
                _ if is_usual => Some(drawn.range(0, 2) as usize),
                _ => Some(drawn.range(0, self.plan.tokens.len() as u64) as usize),
            };
            let is_large = path.ends_with("700000");
            let path = if is_large && drawn.percent(60) { PATHS[8] } else { path };
            self.op(at_ms, What::ask(node, token, path.to_owned()));
        }
    }

    /// All ask the same at about the same moment, as at the full hour.
    pub fn herds(&mut self, count: u32) {
        for number in 0..count {
            let mut drawn = self.stream(&format!("herd {number}"));
            let at_ms = drawn.range(3_000, self.plan.span_ms - 1_000);
            let path = (*drawn.pick(&PATHS)).to_owned();
            let token = Some(drawn.range(0, 2) as usize);
            let spread = *drawn.pick(&[1, 20, 300]);
            let is_alive = |node: &&Node| {
                let stops = node.stops_ms.map_or(self.plan.span_ms, |stops| stops.saturating_sub(15_000));
                node.role == Role::Node && node.starts_ms + 200 <= at_ms && at_ms + spread < stops
            };
            let nodes: Vec<u32> = self.plan.nodes.iter().filter(is_alive).map(|node| node.id).collect();
            for node in nodes {
                for client in 0..3 {
                    let mut drawn = self.stream(&format!("herd {number}, client {client} of n{node}"));
                    let what = What::ask(node, token, path.clone());
                    self.op(at_ms + drawn.range(0, spread), what);
                }
            }
        }
    }

    pub fn changes(&mut self, count: u32) {
        for number in 0..count {
            let mut drawn = self.stream(&format!("change {number}"));
            let at_ms = drawn.range(1, self.plan.span_ms);
            let repo = (*drawn.pick(&REPOS)).to_owned();
            self.op(at_ms, What::Change { repo });
        }
    }

    pub fn writes(&mut self, count: u32) {
        for number in 0..count {
            let mut drawn = self.stream(&format!("write {number}"));
            let Some((node, from, to)) = self.life(&mut drawn) else { continue };
            let at_ms = drawn.range(from, to);
            let repo = (*drawn.pick(&WRITABLE)).to_owned();
            self.op(at_ms, What::Write { node, token: 0, repo });
        }
    }

    /// Clients of each machine that will stop ask for so much that nobody has asked for before; those of
    /// others ask for the same when it is gone.
    pub fn legacies(&mut self, count: u32) {
        let leaving: Vec<(u32, u64)> =
            self.plan.nodes.iter().filter_map(|node| Some((node.id, node.stops_ms?))).collect();
        for (leaver, stops_ms) in leaving {
            for number in 0..count {
                let mut drawn = self.stream(&format!("legacy {number} of n{leaver}"));
                let size = *drawn.pick(&[900, 9_000, 30_000, 60_000]);
                let path = format!("/repos/octocat/Hello-World/git/blobs/size-{size}?left={leaver}-{number}");
                let token = Some(drawn.range(0, 2) as usize);
                self.op(stops_ms - drawn.range(1_500, 4_000), What::ask(leaver, token, path.clone()));
                let asked_ms = stops_ms + drawn.range(2_500, 9_000);
                let stays = |node: &&Node| node.stops_ms.is_none_or(|stops| asked_ms + 2_000 < stops);
                let staying: Vec<u32> = self.plan.nodes.iter().filter(stays).map(|node| node.id).collect();
                if !staying.is_empty() {
                    self.op(asked_ms, What::ask(*drawn.pick(&staying), token, path));
                }
            }
        }
    }

    /// An honest machine, and when its clients ask.
    pub fn life(&self, drawn: &mut Stream) -> Option<(u32, u64, u64)> {
        let honest: Vec<&Node> = self.plan.nodes.iter().filter(|node| node.role == Role::Node).collect();
        if honest.is_empty() {
            return None;
        }
        let node = *drawn.pick(&honest);
        // Not in its last moments: a client of a machine that stops is told nothing.
        let to = node.stops_ms.map_or(self.plan.span_ms, |stops| stops.saturating_sub(15_000));
        Some((node.id, node.starts_ms + 200, to.max(node.starts_ms + 201)))
    }

    pub fn op(&mut self, at_ms: u64, what: What) {
        let id = self.plan.ops.len() as u32;
        let at_ms = at_ms.min(self.plan.span_ms - 1);
        self.plan.ops.push(Op { id, at_ms, what });
    }

    pub fn fault(&mut self, from_ms: u64, span_ms: u64, what: Trouble) {
        let id = self.plan.faults.len() as u32;
        let from_ms = from_ms.min(self.plan.span_ms - 2);
        let until_ms = (from_ms + span_ms.max(1)).min(self.plan.span_ms);
        self.plan.faults.push(Fault { id, from_ms, until_ms, what });
    }
}

fn node(seed: u64, id: u32) -> Node {
    let mut drawn = Stream::new(seed, &format!("node {id}"));
    Node {
        id,
        role: Role::Node,
        place: Place::Lan,
        starts_ms: if id == 0 { 0 } else { drawn.range(0, 2_000) },
        stops_ms: None,
        has_disk: drawn.percent(50),
        clock_ms: 0,
        old_until_ms: None,
    }
}

/// Two that see the private repository, one of them as a writer, and two that do not.
fn tokens() -> Vec<Token> {
    let token = |login: &str, repos: &[&str]| Token {
        login: login.to_owned(),
        repos: repos.iter().map(|repo| (*repo).to_owned()).collect(),
        limit: 5_000,
    };
    vec![
        token("octocat", &["acme/secret"]),
        token("hubot", &["acme/secret"]),
        token("monalisa", &[]),
        token("surtur", &[]),
    ]
}
