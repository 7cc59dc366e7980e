use std::{collections::BTreeSet, ops::Deref, time::Duration};

use crypto::TagKey;
use wire::{Digest, KeyId, Millis, Peer, Purpose, ScopeId, Version};

use crate::{Across, Want, index::At, limits};

/// What a local client asks.
pub struct Question {
    pub key: KeyId,
    pub scope: ScopeId,
    pub tag_key: Option<TagKey>,
    pub want: Want,
    pub across: Across,
    pub known: Option<Version>,
}

/// A local client's question while the fleet works on it.
pub struct Ask {
    pub question: Question,
    /// From when the peer budget counts: when it was asked, or when what it waited for ended.
    pub clock: Millis,
    /// Set with the first pull; never moved, however many peers are tried.
    pub deadline: Option<Millis>,
    pub pulling: Option<Pulling>,
    pub tried: BTreeSet<Peer>,
    /// Whether to claim it before the origin is asked, and how long the origin is expected to take.
    pub claim: Option<Duration>,
    pub claiming: Option<Claiming>,
    /// Claims that have ended without an answer.
    pub rounds: u32,
    pub owners_tried: BTreeSet<Peer>,
    /// What an owner knew was of no use.
    pub insists: bool,
    /// The origin may be asked: a lease is held, or nobody is to be waited for.
    pub may_go: bool,
}

/// A claim whose answer, or whose end, is awaited.
pub struct Claiming {
    pub owner: Peer,
    pub purpose: Purpose,
    /// When the owner counts as silent, or the wait as vain.
    pub until: Millis,
    pub is_waiting: bool,
}

impl Deref for Ask {
    type Target = Question;

    fn deref(&self) -> &Question {
        &self.question
    }
}

impl Ask {
    pub fn new(question: Question, claim: Option<Duration>, now: Millis) -> Self {
        Self {
            question,
            clock: now,
            deadline: None,
            pulling: None,
            tried: BTreeSet::new(),
            claim,
            claiming: None,
            rounds: 0,
            owners_tried: BTreeSet::new(),
            insists: false,
            may_go: false,
        }
    }

    /// Whether there is a claim to make, or to wait for, before anything is asked of the origin.
    pub fn must_claim(&self) -> bool {
        self.claim.is_some() && !self.may_go
    }

    /// Something came of a claim: look again, with a new peer budget.
    pub fn next_round(&mut self, now: Millis) {
        self.rounds += 1;
        self.owners_tried.clear();
        self.tried.clear();
        (self.clock, self.deadline) = (now, None);
    }
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
