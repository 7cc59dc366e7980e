use serde::{Deserialize, Serialize};

use crate::Millis;

/// What a member says of itself: gossiped now and then, and told to each new neighbour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    #[serde(rename = "r", default)]
    pub role: Role,
    /// When it was started, by its own clock.
    #[serde(rename = "t")]
    pub since: Millis,
    /// Grows with each record: of two, the larger counts.
    #[serde(rename = "q")]
    pub seq: u64,
    /// It is about to stop: it owns nothing, and holds nothing for long.
    #[serde(rename = "l", default)]
    pub is_leaving: bool,
    /// Answers that it knows of.
    #[serde(rename = "n", default)]
    pub entries: u32,
    /// Since its start: charged requests to the origin, free proofs, and answers that cost nothing.
    #[serde(rename = "c", default)]
    pub charged: u64,
    #[serde(rename = "p", default)]
    pub proofs: u64,
    #[serde(rename = "h", default)]
    pub hits: u64,
}

/// What a member is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Role {
    /// Lives long and can be reached: owns keys before all others.
    Anchor,
    #[default]
    Node,
    /// Lives for minutes: owns nothing while two anchors are there.
    Ephemeral,
}
