//! A world as data: who is there, what they do, what goes wrong. Everything else follows from it.
//!
//! A seed draws a plan, a file holds it, `shrink` takes items out of it. Times are milliseconds
//! since the start of the world; machines, operations and faults keep their numbers when others go.

use std::path::Path;

use anyhow::Context;
use serde::{Deserialize, Serialize};

/// Of the format of a plan in a file.
pub const VERSION: u32 = 1;

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
    pub link: Link,
    /// How long GitHub takes for an answer.
    pub origin_ms: u64,
    pub tokens: Vec<Token>,
    pub nodes: Vec<Node>,
    pub ops: Vec<Op>,
    pub faults: Vec<Fault>,
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
    pub starts_ms: u64,
    /// Told to stop, as by SIGTERM; for good.
    pub stops_ms: Option<u64>,
    /// Keeps its cache on a disk that outlives it, not in memory.
    pub has_disk: bool,
    /// How far its wall clock is off.
    pub clock_ms: i64,
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
    Ask { node: u32, token: Option<usize>, path: String },
    /// A client of `node` retitles an issue.
    Write { node: u32, token: usize, repo: String },
    /// Somebody changes a repository at GitHub.
    Change { repo: String },
    /// GitHub takes a token back.
    Revoke { token: usize },
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
    /// This machine does not reach GitHub.
    Unreachable { node: u32 },
}

impl Plan {
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(path).with_context(|| format!("could not read {}", path.display()))?;
        let plan: Self = serde_json::from_str(&text).with_context(|| format!("{} is no plan", path.display()))?;
        anyhow::ensure!(
            plan.version == VERSION,
            "{} is a plan of version {}, and this is {VERSION}",
            path.display(),
            plan.version
        );
        Ok(plan)
    }

    pub fn write(&self, path: &Path) -> anyhow::Result<()> {
        std::fs::write(path, serde_json::to_string_pretty(self)?)
            .with_context(|| format!("could not write {}", path.display()))
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

    /// The largest difference between two wall clocks.
    pub fn skew_ms(&self) -> u64 {
        let offsets = || self.nodes.iter().map(|node| node.clock_ms).chain([0]);
        let (low, high) = (offsets().min().unwrap_or_default(), offsets().max().unwrap_or_default());
        (high - low).unsigned_abs()
    }
}

impl What {
    pub fn node(&self) -> Option<u32> {
        match self {
            Self::Ask { node, .. } | Self::Write { node, .. } | Self::Lie { node, .. } => Some(*node),
            Self::Change { .. } | Self::Revoke { .. } => None,
        }
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
            | Self::Unreachable { node } => vec![*node],
            Self::Partition { .. }
            | Self::Outage { .. }
            | Self::SecondaryLimit { .. }
            | Self::Exhausted { .. }
            | Self::SlowOrigin { .. } => Vec::new(),
        }
    }
}
