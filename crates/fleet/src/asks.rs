use std::{collections::BTreeSet, ops::Deref, time::Duration};

use crypto::TagKey;
use wire::{Digest, KeyId, Millis, Peer, Purpose, ScopeId, Version};

use crate::{Across, OriginTime, Want, index::At, limits};

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
    /// From when the peer budget counts: when it was asked, later by what it waited for the origin.
    pub clock: Millis,
    /// Set with the first pull; never moved, however many peers are tried.
    pub deadline: Option<Millis>,
    pub pulls: Pulls,
    /// Whether to claim it before the origin is asked, and how long the origin is expected to take.
    pub claim: Option<OriginTime>,
    pub claiming: Option<Claiming>,
    /// Claims that have ended without an answer.
    pub rounds: u32,
    /// What of its waiting was not taken out of its budget.
    pub excused: Duration,
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
    /// For a turn, not for somebody's answer.
    pub is_queued: bool,
}

impl Deref for Ask {
    type Target = Question;

    fn deref(&self) -> &Question {
        &self.question
    }
}

impl Ask {
    pub fn new(question: Question, claim: Option<OriginTime>, now: Millis) -> Self {
        Self {
            question,
            clock: now,
            deadline: None,
            pulls: Pulls::default(),
            claim,
            claiming: None,
            rounds: 0,
            excused: Duration::ZERO,
            owners_tried: BTreeSet::new(),
            insists: false,
            may_go: false,
        }
    }

    /// Whether there is a claim to make, or to wait for, before anything is asked of the origin.
    pub fn must_claim(&self) -> bool {
        self.claim.is_some() && !self.may_go
    }

    /// Something came of a claim: look again. Waiting for `origin` is asking the origin; only what took
    /// longer comes out of the peer budget.
    pub fn next_round(&mut self, origin: Duration, now: Millis) {
        self.rounds += 1;
        self.owners_tried.clear();
        // In all no more than one origin time and one turn, however often an owner makes it wait.
        let most = self.claim.unwrap_or_default().usual + limits::PROOF_QUEUE_MAX;
        let origin = origin.min(most.saturating_sub(self.excused));
        self.excused += origin;
        self.clock = self.clock.after(origin).min(now);
        // What is on its way stays so, by its own deadline.
        let under_way: BTreeSet<Peer> = self.pulls.under_way.iter().map(|pulling| pulling.from.clone()).collect();
        if under_way.is_empty() {
            (self.deadline, self.pulls.started) = (None, 0);
        }
        self.pulls.tried = under_way;
    }
}

/// A question's bodies on their way here.
#[derive(Default)]
pub struct Pulls {
    /// At most [`limits::PULLS_MAX`], in the order in which they were started; all of one digest.
    pub under_way: Vec<Pulling>,
    /// Who is not asked again for this question.
    pub tried: BTreeSet<Peer>,
    pub started: usize,
    /// When the next holder is asked beside the others.
    pub hedge_at: Option<Millis>,
    /// Two holders' parts did not fit together: from now on each body is one holder's.
    pub from_one: bool,
}

/// A body on its way here. The record may be another credential's.
pub struct Pulling {
    pub from: Peer,
    pub at: At,
    pub digest: Digest,
    pub since: Millis,
    /// Its first part is here. The rest follows, or stalls.
    pub began: bool,
}

impl Pulls {
    pub fn has(&self, peer: &Peer) -> bool {
        self.under_way.iter().any(|pulling| pulling.from == *peer)
    }

    pub fn take(&mut self, peer: &Peer) -> Option<Pulling> {
        let place = self.under_way.iter().position(|pulling| pulling.from == *peer)?;
        Some(self.under_way.remove(place))
    }
}

/// What is known of a connected peer.
#[derive(Clone, Debug)]
pub struct PeerState {
    pub near: bool,
    pub round_trip: Option<Duration>,
    /// How long it takes to begin an answer: the latest count most.
    answers_after: Option<Duration>,
    /// When it let this node wait in vain, or failed it.
    failed_at: Option<Millis>,
}

impl PeerState {
    pub fn new(near: bool) -> Self {
        Self { near, round_trip: None, answers_after: None, failed_at: None }
    }

    pub fn is_near(&self) -> bool {
        self.round_trip.map_or(self.near, |rtt| rtt <= limits::NEAR_RTT_MAX)
    }

    /// By what peers are ranked, best first: who let this node wait lately comes last, then it is
    /// the near ones, the round trip, and how fast they have answered. Times of one order of
    /// magnitude are equal, or one peer would have all the work.
    pub fn rank(&self, now: Millis) -> (bool, bool, u32, u32) {
        let failed_lately = self.failed_at.is_some_and(|at| now.since(at) < limits::FAILURE_MEMORY);
        let order = |time: Duration| u128::BITS - time.as_millis().leading_zeros();
        let round_trip = self.round_trip.unwrap_or(limits::PEER_BUDGET_FAR);
        (failed_lately, !self.is_near(), order(round_trip), self.answers_after.map_or(0, order))
    }

    pub fn answered(&mut self, took: Duration) {
        self.answers_after = Some(self.answers_after.map_or(took, |mean| (mean * 3 + took) / 4));
        self.failed_at = None;
    }

    pub fn failed(&mut self, now: Millis) {
        self.failed_at = Some(now);
    }
}

/// How long a question may stay with the fleet: the peer budget, and for a large body the time that
/// it would take at the slowest rate worth waiting for.
pub fn patience(peer: &PeerState, body_bytes: u64) -> Duration {
    let budget = if peer.is_near() { limits::PEER_BUDGET_NEAR } else { limits::PEER_BUDGET_FAR };
    budget + Duration::from_millis(body_bytes * 1000 / limits::PULL_RATE_MIN)
}
