//! One place: who is said to be there, who answered, and how it went.

use std::collections::{BTreeMap, BTreeSet};

use net::Address;
use tokio::time::Instant;
use wire::{Millis, Peer};

use crate::{dialler::kinds::Kind, limits};

#[derive(Debug)]
pub(super) struct Place {
    at: Address,
    /// What each kind says of it.
    by: BTreeMap<Kind, Claim>,
    failures: u32,
    pub(super) next_at: Instant,
    pub(super) was_dialled: bool,
    /// Who answered there last, where the address does not say who must.
    answered: Option<Peer>,
    /// Who answered in place of the one that was asked for.
    found: Option<Peer>,
}

/// That a peer is there, or somebody.
#[derive(Debug)]
pub(super) struct Claim {
    pub(super) peer: Option<Peer>,
    pub(super) said_at: Millis,
    /// Until when it counts; `None` until it is taken back.
    pub(super) until: Option<Instant>,
}

impl Place {
    pub(super) fn new(at: Address, next_at: Instant) -> Self {
        let by = BTreeMap::new();
        Self { at, by, failures: 0, next_at, was_dialled: false, answered: None, found: None }
    }

    pub(super) fn claim(&mut self, kind: Kind, claim: Claim, at: Instant) {
        let before = self.named();
        match self.by.get_mut(&kind) {
            None => {
                self.by.insert(kind, claim);
            }
            Some(known) if known.peer == claim.peer => {
                known.said_at = known.said_at.max(claim.said_at);
                // A shorter word takes nothing back.
                known.until = known.until.zip(claim.until).map(|(known, new)| known.max(new));
            }
            Some(known) if claim.until.is_none() || known.said_at <= claim.said_at => *known = claim,
            Some(_) => {}
        }
        self.begin_anew(before.as_ref(), at);
    }

    pub(super) fn take_back(&mut self, kind: Kind, at: Instant) {
        let before = self.named();
        self.by.remove(&kind);
        self.begin_anew(before.as_ref(), at);
    }

    pub(super) fn expire(&mut self, now: Instant) {
        if self.by.values().any(|claim| claim.until.is_some_and(|until| until <= now)) {
            let before = self.named();
            self.by.retain(|_, claim| claim.until.is_none_or(|until| now < until));
            self.begin_anew(before.as_ref(), now);
        }
    }

    /// Another peer is said to be there now: what went wrong with the old one does not count.
    fn begin_anew(&mut self, before: Option<&Peer>, at: Instant) {
        let now = self.named();
        if before != now.as_ref() && before.is_some() && now.is_some() {
            (self.failures, self.next_at, self.answered, self.found) = (0, at, None, None);
        }
    }

    /// Who is said to be there. A record in a directory of this machine's, then whom the operator named, and of
    /// what comes from further off the latest word: a dead machine's lives on for a while.
    fn named(&self) -> Option<Peer> {
        let of = |kind| self.by.get(&kind).and_then(|claim| claim.peer.clone());
        let latest = || {
            let claims = self.by.values().filter(|claim| claim.peer.is_some());
            claims.max_by_key(|claim| claim.said_at).and_then(|claim| claim.peer.clone())
        };
        of(Kind::File).or_else(|| of(Kind::Static)).or_else(latest)
    }

    /// Who must answer there.
    pub(super) fn peer(&self) -> Option<Peer> {
        self.found.clone().or_else(|| self.named()).or_else(|| self.at.peer())
    }

    pub(super) fn at(&self) -> &Address {
        &self.at
    }

    /// Who is there, as far as anybody knows.
    pub(super) fn who(&self) -> Option<Peer> {
        self.peer().or_else(|| self.answered.clone())
    }

    pub(super) fn is_open(&self, connected: &BTreeSet<Peer>) -> bool {
        self.who().is_none_or(|peer| !connected.contains(&peer))
    }

    /// Whether somebody may be there: it was not dialled in vain more than once, and is dialled soon.
    pub(super) fn is_hopeful(&self, now: Instant) -> bool {
        self.failures <= 1 && self.next_at <= now + limits::NEIGHBOUR_PATIENCE
    }

    pub(super) fn may_be(&self, peer: &Peer) -> bool {
        self.peer().as_ref() == Some(peer) || self.answered.as_ref() == Some(peer)
    }

    /// What to dial; the next time is put off.
    pub(super) fn dial(&mut self, jitter: f64, now: Instant) -> Address {
        let pause = limits::REDIAL_MIN.saturating_mul(1 << self.failures.min(16)).min(limits::REDIAL_MAX);
        (self.next_at, self.was_dialled) = (now + pause.mul_f64(jitter), true);
        self.failures = self.failures.saturating_add(1);
        match self.peer() {
            Some(peer) => self.at.with_peer(&peer),
            None => self.at.clone(),
        }
    }

    pub(super) fn connected(&mut self, peer: &Peer) {
        (self.failures, self.answered) = (0, Some(peer.clone()));
    }

    /// Whoever answers may be the one to ask for, if the operator did not say who it is. The first is tried at
    /// once, and further ones when the place is due: who answers under many names has us dial no more often.
    pub(super) fn answered_by(&mut self, found: &Peer, now: Instant) {
        let is_pinned = self.by.get(&Kind::Static).is_some_and(|claim| claim.peer.is_some());
        let is_known = self.by.values().any(|claim| claim.peer.as_ref() == Some(found));
        if (is_pinned && !is_known) || self.at.is_relayed() {
            return;
        }
        if self.found.is_none() {
            self.next_at = now;
        }
        self.found = Some(found.clone());
    }

    pub(super) fn hurry(&mut self, at: Instant) {
        self.next_at = self.next_at.min(at);
        self.failures = 0;
    }

    pub(super) fn kinds(&self) -> impl Iterator<Item = Kind> {
        self.by.keys().copied()
    }

    pub(super) fn is_named_by(&self, kind: Kind) -> bool {
        self.by.contains_key(&kind)
    }

    /// Whether the kind says just that of it.
    pub(super) fn names(&self, kind: Kind, address: &Address) -> bool {
        self.by.get(&kind).is_some_and(|claim| claim.peer == address.peer())
    }

    pub(super) fn is_unnamed(&self) -> bool {
        self.by.is_empty()
    }
}
