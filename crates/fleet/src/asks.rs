use std::{collections::BTreeSet, time::Duration};

use crypto::TagKey;
use wire::{Digest, KeyId, Millis, Peer, ScopeId, Version};

use crate::{Across, Want, index::At, limits};

/// A local client's question while the fleet works on it.
pub struct Ask {
    pub key: KeyId,
    pub scope: ScopeId,
    pub tag_key: Option<TagKey>,
    pub want: Want,
    pub across: Across,
    pub known: Option<Version>,
    pub began: Millis,
    /// Set with the first pull; never moved, however many peers are tried.
    pub deadline: Option<Millis>,
    pub pulling: Option<Pulling>,
    pub tried: BTreeSet<Peer>,
}

/// A body on its way here. The record may be another credential's.
pub struct Pulling {
    pub from: Peer,
    pub at: At,
    pub digest: Digest,
}

/// What is known of a connected peer.
#[derive(Clone, Debug)]
pub struct PeerState {
    pub near: bool,
    pub round_trip: Option<Duration>,
}

impl PeerState {
    pub fn is_near(&self) -> bool {
        self.round_trip.map_or(self.near, |rtt| rtt <= limits::NEAR_RTT_MAX)
    }

    /// By what peers are ranked, best first.
    pub fn rank(&self) -> (bool, Duration) {
        (!self.is_near(), self.round_trip.unwrap_or(limits::PEER_BUDGET_FAR))
    }
}

/// How long a question may stay with the fleet: the peer budget, and for a large body the time that
/// it would take at the slowest rate worth waiting for.
pub fn patience(peer: &PeerState, body_bytes: u64) -> Duration {
    let budget = if peer.is_near() { limits::PEER_BUDGET_NEAR } else { limits::PEER_BUDGET_FAR };
    budget + Duration::from_millis(body_bytes * 1000 / limits::PULL_RATE_MIN)
}
