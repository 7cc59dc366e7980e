use std::collections::{BTreeMap, BTreeSet};

use wire::{Digest, KeyId, Millis, Peer, ScopeId};

use crate::{
    index::{At, Candidate},
    limits,
};

/// What a write has made doubtful: never an answer again, and still worth
/// offering to the origin, since a write changes few of the answers that it might have changed. What the
/// origin confirms comes back as a fill of its own.
///
/// Kept apart from the index, so that nothing of it can be told, compared or served.
#[derive(Default)]
pub struct Past {
    entries: BTreeMap<At, Candidate>,
    /// When each becomes useless.
    expiry: BTreeSet<(Millis, At)>,
}

impl Past {
    /// Of several versions of one (key, scope) the newest stays.
    pub fn insert(&mut self, at: At, candidate: Candidate) {
        if self.entries.get(&at).is_some_and(|known| known.record.version > candidate.record.version) {
            return;
        }
        self.remove(at);
        self.expiry.insert((candidate.record.stale_until, at));
        self.entries.insert(at, candidate);
    }

    pub fn get(&self, at: At) -> Option<&Candidate> {
        self.entries.get(&at)
    }

    /// What every credential was told about `key`.
    pub fn scopes_of(&self, key: KeyId) -> impl Iterator<Item = (ScopeId, &Candidate)> {
        let all = (key, ScopeId([0; 16]))..=(key, ScopeId([0xff; 16]));
        self.entries.range(all).map(|((_, scope), candidate)| (*scope, candidate))
    }

    /// Something newer is known, or it may not even be offered.
    pub fn remove(&mut self, at: At) {
        if let Some(old) = self.entries.remove(&at) {
            self.expiry.remove(&(old.record.stale_until, at));
        }
    }

    /// Removes those for which `keep` does not say so; returns them.
    pub fn retain(&mut self, keep: impl Fn(At, &Candidate) -> bool) -> Vec<At> {
        let gone: Vec<At> = self.entries.iter().filter(|(at, c)| !keep(**at, c)).map(|(at, _)| *at).collect();
        for at in &gone {
            self.remove(*at);
        }
        gone
    }

    /// The body has arrived.
    pub fn mark_held(&mut self, key: KeyId, digest: Digest) {
        let all = (key, ScopeId([0; 16]))..=(key, ScopeId([0xff; 16]));
        for candidate in self.entries.range_mut(all).map(|(_, candidate)| candidate) {
            candidate.held |= candidate.record.version.digest == digest;
        }
    }

    /// This member has not got the body that it was said to hold.
    pub fn no_longer_holds(&mut self, at: At, digest: Digest, peer: &Peer) {
        let Some(candidate) = self.entries.get_mut(&at).filter(|c| c.record.version.digest == digest) else { return };
        candidate.holders.remove(peer);
        if !candidate.held && candidate.holders.is_empty() {
            self.remove(at);
        }
    }

    pub fn body_lost(&mut self, digest: Digest) {
        self.retain(|_, candidate| candidate.record.version.digest != digest);
    }

    /// Removes what is useless, and the nearest to that if there is too much.
    pub fn expire(&mut self, now: Millis) -> Vec<At> {
        let mut gone = Vec::new();
        while let Some((until, at)) = self.expiry.first().copied() {
            if until > now && self.entries.len() <= limits::PAST_MAX {
                break;
            }
            self.remove(at);
            gone.push(at);
        }
        gone
    }
}
