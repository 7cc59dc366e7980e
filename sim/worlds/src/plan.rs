//! A world as data: who is there, what they do, what goes wrong. Everything else follows from it.
//!
//! A seed draws a plan, a file holds it, `shrink` takes items out of it. Times are milliseconds
//! since the start of the world; machines, operations and faults keep their numbers when others go.

mod model;
mod place;

use std::{collections::BTreeSet, path::Path};

use anyhow::{Context, ensure};
use serde::{Deserialize, Serialize};

pub use self::{
    model::{Model, Ttl, Way},
    place::{Place, Router, Site, is_direct_possible},
};
use crate::manner::Manner;

/// Of the format of a plan in a file.
pub const VERSION: u32 = 1;

/// The longest world, in milliseconds: a week.
pub const SPAN_MAX_MS: u64 = 7 * 24 * 3_600_000;

/// Machines have addresses of one small network.
pub const MACHINES_MAX: u32 = 16_384;

/// Of a world that is not one network: each site has one of 254 addresses.
const SITES_MAX: u32 = 250;
const SITE_MACHINES_MAX: u32 = 250;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    pub version: u32,
    pub scenario: String,
    pub seed: u64,
    pub layer: Layer,
    /// How often the network is looked at; no hop is shorter.
    pub tick_ms: u64,
    /// When operations and faults are over and the world has to come to rest.
    pub span_ms: u64,
    /// How long it may take for that.
    pub settle_ms: u64,
    pub policy: Policy,
    #[serde(default, skip_serializing_if = "Sharing::is_usual")]
    pub sharing: Sharing,
    pub link: Link,
    /// How long GitHub takes for an answer.
    pub origin_ms: u64,
    pub tokens: Vec<Token>,
    pub nodes: Vec<Node>,
    /// None: all are in one network.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sites: Vec<Site>,
    pub ops: Vec<Op>,
    pub faults: Vec<Fault>,
    /// Of the layer `core`.
    #[serde(default, skip_serializing_if = "Model::is_usual")]
    pub model: Model,
    /// The name of a bug to plant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub canary: Option<String>,
}

/// What runs in the world.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Layer {
    /// The real node, the real swarm, the real store.
    Swarm,
    /// The fleet's state machine alone.
    Core,
    /// The real node on one runtime with a paused clock: small worlds, thousands a minute.
    Bare,
}

/// What one credential may have of what another was told, and what is kept apart.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sharing {
    pub share: Share,
    /// Repositories, `owner/name`.
    pub never_cache: Vec<String>,
    pub never_share: Vec<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Share {
    Token,
    #[default]
    Proof,
    Trusted,
}

impl Sharing {
    fn is_usual(&self) -> bool {
        *self == Self::default()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    pub default_ttl_ms: Option<u64>,
    pub proof_window_ms: Option<u64>,
    pub stale_for_ms: u64,
}

/// One direction between two machines.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Link {
    pub latency_ms: u64,
    pub jitter_ms: u64,
    /// Of a million packets.
    pub loss_ppm: u32,
    pub bytes_per_sec: Option<u64>,
}

/// A credential, and the private repositories that it may see.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Token {
    pub login: String,
    pub repos: Vec<String>,
    pub limit: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Node {
    pub id: u32,
    pub role: Role,
    #[serde(default, skip_serializing_if = "Place::is_lan")]
    pub place: Place,
    pub starts_ms: u64,
    /// Told to stop, as by SIGTERM; for good.
    pub stops_ms: Option<u64>,
    /// Keeps its cache on a disk that outlives it, not in memory.
    pub has_disk: bool,
    /// How far its wall clock is off.
    pub clock_ms: i64,
    /// If it is started before, it is of the version before this one, which only announces and pulls.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub old_until_ms: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    Node,
    /// A member of the fleet that lies.
    Liar,
}

/// Something that is done once, at a moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Op {
    pub id: u32,
    pub at_ms: u64,
    pub what: What,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum What {
    /// A client of `node` asks; without a token where `token` is `None`.
    Ask {
        node: u32,
        token: Option<usize>,
        path: String,
        #[serde(default, skip_serializing_if = "Manner::is_plain")]
        manner: Manner,
    },
    /// A client of `node` retitles an issue.
    Write { node: u32, token: usize, repo: String },
    /// Somebody changes a repository at GitHub.
    Change { repo: String },
    /// GitHub takes a token back.
    Revoke { token: usize },
    /// GitHub takes a private repository from a token.
    Deny { token: usize, repo: String },
    /// GitHub lets a token see and write a private repository.
    Grant { token: usize, repo: String },
    /// A repository becomes private, or public.
    Hide { repo: String, private: bool },
    /// Somebody opens an issue at GitHub, by another way than ours.
    Edit { repo: String },
    /// A liar tells this about `path` and `token`.
    Lie { node: u32, token: usize, path: String, lie: Lie },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Lie {
    /// A body behind another body's digest, inside the announce.
    WrongDigest,
    /// A record of its own making with the right digest, and no tag that the credential made.
    Forged,
    /// The same with a tag of another key.
    ForgedTag,
    /// Times far ahead.
    Future,
    /// A record for a body that it does not send right when asked.
    WrongBody,
    /// The same, and the body never ends.
    Endless,
    /// A message larger than any may be.
    Oversize,
    /// Bytes that are no message.
    Nonsense,
}

/// Something that is wrong for a while.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    pub id: u32,
    pub from_ms: u64,
    pub until_ms: u64,
    pub what: Trouble,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Trouble {
    /// Nothing passes between these and the others.
    Partition { side: Vec<u32> },
    /// Nothing passes from `from` to `to`.
    OneWay { from: u32, to: u32 },
    /// What passes between the two waits until the end.
    Hold { a: u32, b: u32 },
    /// The process dies, the machine stays; it starts again at the end.
    Kill { node: u32 },
    /// The machine loses power; with `at_write`, at that write from now on.
    Power { node: u32, at_write: Option<u64> },
    /// Every link of the machine is like this.
    SlowLink { node: u32, link: Link },
    /// Every access to the disk takes this much longer.
    SlowDisk { node: u32, by_ms: u64 },
    /// GitHub answers with this status; `None` is silence.
    Outage { status: Option<u16> },
    /// GitHub refuses with a secondary limit.
    SecondaryLimit { retry_after_secs: u64 },
    /// The budget of the login is used up until it resets.
    Exhausted { login: String },
    /// GitHub takes this much longer.
    SlowOrigin { by_ms: u64 },
    /// The machine, or the router in front of it, has another address.
    Moved { node: u32 },
    /// This machine does not reach GitHub.
    Unreachable { node: u32 },
}

impl Plan {
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(path).with_context(|| format!("could not read {}", path.display()))?;
        let plan: Self = serde_json::from_str(&text).with_context(|| format!("{} is no plan", path.display()))?;
        plan.check().with_context(|| format!("{} is no plan that can be played", path.display()))?;
        Ok(plan)
    }

    pub fn write(&self, path: &Path) -> anyhow::Result<()> {
        std::fs::write(path, serde_json::to_string_pretty(self)?)
            .with_context(|| format!("could not write {}", path.display()))
    }

    /// Whether everything that the plan names is there, and every number within its range.
    pub fn check(&self) -> anyhow::Result<()> {
        ensure!(self.version == VERSION, "it is of version {}, and this is {VERSION}", self.version);
        ensure!((1..=1_000).contains(&self.tick_ms), "a tick of {} ms is not between 1 and 1000", self.tick_ms);
        ensure!(self.span_ms <= SPAN_MAX_MS && self.settle_ms <= SPAN_MAX_MS, "it is longer than a week");
        ensure!(!self.nodes.is_empty(), "there is no machine");
        let ids: BTreeSet<u32> = self.nodes.iter().map(|node| node.id).collect();
        ensure!(ids.len() == self.nodes.len(), "two machines have one number");
        ensure!(ids.iter().all(|id| *id < MACHINES_MAX), "a machine has a number over {MACHINES_MAX}");
        let skewed = self.nodes.iter().find(|node| node.clock_ms.unsigned_abs() > SPAN_MAX_MS);
        ensure!(skewed.is_none(), "a clock is off by more than a week");
        let faults: BTreeSet<u32> = self.faults.iter().map(|fault| fault.id).collect();
        ensure!(faults.len() == self.faults.len(), "two faults have one number");
        for fault in &self.faults {
            let Fault { id, from_ms, until_ms, what } = fault;
            ensure!(from_ms < until_ms && *until_ms <= self.span_ms, "fault {id} does not end within the span");
            ensure!(what.nodes().iter().all(|node| ids.contains(node)), "fault {id} names a machine that is not there");
            if let Trouble::Outage { status: Some(status) } = what {
                ensure!((400..600).contains(status), "fault {id} answers with {status}, which is no error");
            }
        }
        self.model.check()?;
        let sites: BTreeSet<u32> = self.sites.iter().map(|site| site.id).collect();
        ensure!(sites.len() == self.sites.len(), "two sites have one number");
        ensure!(sites.iter().all(|id| *id < SITES_MAX), "a site has a number over {SITES_MAX}");
        for node in &self.nodes {
            let Node { id, place, .. } = node;
            ensure!(!matches!(place, Place::Site(site) if !sites.contains(site)), "machine {id} is at no site");
            ensure!(place.is_lan() != self.is_spread(), "machine {id} is not where the others are");
            ensure!(
                place.is_lan() || (*id < SITE_MACHINES_MAX && self.layer == Layer::Swarm),
                "machine {id} is too many"
            );
        }
        for repo in self.sharing.never_cache.iter().chain(&self.sharing.never_share) {
            ensure!(github::Pattern::parse(repo).is_ok(), "{repo:?} is no owner/name");
        }
        let liar = self.nodes.iter().find(|node| node.role == Role::Liar);
        ensure!(self.layer != Layer::Bare || liar.is_none(), "there are no liars in the layer bare");
        for op in &self.ops {
            let id = op.id;
            ensure!(op.what.node().is_none_or(|node| ids.contains(&node)), "operation {id} is of no machine");
            ensure!(op.what.token().is_none_or(|token| token < self.tokens.len()), "operation {id} has no token");
            let path = op.what.path().unwrap_or("/");
            let (path, query) = path.split_once('?').map_or((path, None), |(path, query)| (path, Some(query)));
            ensure!(github::Target::parse(path, query).is_ok(), "operation {id} asks for {path:?}, which is no path");
        }
        Ok(())
    }

    /// Whether machines are on the internet and behind routers, and not all in one network.
    pub fn is_spread(&self) -> bool {
        self.nodes.iter().any(|node| !node.place.is_lan())
    }

    /// What is in front of a machine.
    pub fn router_of(&self, node: &Node) -> Option<Router> {
        let Place::Site(site) = node.place else { return None };
        self.sites.iter().find(|known| known.id == site).map(|site| site.router)
    }

    /// Leaves out what refers to a machine that is not there.
    pub fn tidy(&mut self) {
        let nodes: Vec<u32> = self.nodes.iter().map(|node| node.id).collect();
        let is_there = |node: &u32| nodes.contains(node);
        self.ops.retain(|op| op.what.node().is_none_or(|node| is_there(&node)));
        for fault in &mut self.faults {
            if let Trouble::Partition { side } = &mut fault.what {
                side.retain(is_there);
            }
        }
        self.faults.retain(|fault| fault.what.nodes().iter().all(is_there));
    }
}

impl What {
    /// A question in the plainest words.
    pub fn ask(node: u32, token: Option<usize>, path: String) -> Self {
        Self::Ask { node, token, path, manner: Manner::default() }
    }

    fn token(&self) -> Option<usize> {
        match self {
            Self::Ask { token, .. } => *token,
            Self::Write { token, .. }
            | Self::Revoke { token }
            | Self::Deny { token, .. }
            | Self::Grant { token, .. }
            | Self::Lie { token, .. } => Some(*token),
            Self::Change { .. } | Self::Edit { .. } | Self::Hide { .. } => None,
        }
    }

    fn path(&self) -> Option<&str> {
        match self {
            Self::Ask { path, .. } | Self::Lie { path, .. } => Some(path),
            _ => None,
        }
    }

    pub fn node(&self) -> Option<u32> {
        match self {
            Self::Ask { node, .. } | Self::Write { node, .. } | Self::Lie { node, .. } => Some(*node),
            _ => None,
        }
    }

    /// Whether it is done at GitHub, by nobody of ours.
    pub fn is_at_github(&self) -> bool {
        self.node().is_none()
    }
}

impl Trouble {
    /// The machines without which it has no meaning.
    pub fn nodes(&self) -> Vec<u32> {
        match self {
            Self::OneWay { from: a, to: b } | Self::Hold { a, b } => vec![*a, *b],
            Self::Kill { node }
            | Self::Power { node, .. }
            | Self::SlowLink { node, .. }
            | Self::SlowDisk { node, .. }
            | Self::Moved { node }
            | Self::Unreachable { node } => vec![*node],
            Self::Partition { .. }
            | Self::Outage { .. }
            | Self::SecondaryLimit { .. }
            | Self::Exhausted { .. }
            | Self::SlowOrigin { .. } => Vec::new(),
        }
    }
}
