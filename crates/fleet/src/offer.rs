use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
};

use wire::{Digest, KeyId, Millis, Peer, Record, ScopeId, Version};

use crate::{
    index::{At, Candidate},
    limits,
};

/// Which credentials have been told the same as this one, so that what they are told next is worth
/// offering to it. Two tokens of one user see the same; a reader and an admin of one repository do
/// not.
#[derive(Default)]
pub struct Kin {
    /// By credential: others, and how often they were told the same, less how often not.
    scores: BTreeMap<ScopeId, BTreeMap<ScopeId, i32>>,
    /// Keys at which credentials that agree elsewhere were told different things.
    own_views: BTreeSet<KeyId>,
}

/// More agreement than this does not count: whoever drifts apart should be noticed.
const SCORE_MAX: i32 = 16;

impl Kin {
    /// `scope` was told `record`, and the others, of the same key, what their newest record says. Which
    /// of them are unlike is only seen by what was told at about the same time: content changes.
    pub fn learn<'a>(
        &mut self,
        (key, scope): At,
        record: &Record,
        own: &[Candidate],
        others: impl Iterator<Item = (ScopeId, &'a [Candidate])>,
    ) {
        let Version { digest, .. } = record.version;
        let told_before = own.iter().filter(|candidate| candidate.record.version.digest == digest);
        let told_before = told_before.map(|candidate| candidate.record.version.date_secs).min();
        for (other, candidates) in others.filter(|(other, _)| *other != scope) {
            let Some(newest) = candidates.first() else { continue };
            let agrees = newest.record.version.digest == digest;
            let is_recent = record.validated_at.since(newest.record.validated_at) < limits::KIN_RECENT;
            // The other was told it between two times at which this one was told the same.
            let is_between = told_before.is_some_and(|date_secs| date_secs < newest.record.version.date_secs);
            if !agrees && !is_recent && !is_between {
                continue;
            }
            if agrees {
                self.own_views.remove(&key);
            } else if self.own_views.len() < limits::OWN_VIEWS_MAX || self.own_views.pop_first().is_some() {
                self.own_views.insert(key);
            }
            if self.scores.len() >= limits::KIN_SCOPES_MAX && !self.scores.contains_key(&scope) {
                self.scores.pop_first();
            }
            let scores = self.scores.entry(scope).or_default();
            if scores.len() >= limits::KIN_MAX && !scores.contains_key(&other) {
                // Whoever agrees least makes room.
                let least = scores.iter().min_by_key(|(_, score)| **score).map(|(scope, _)| *scope);
                least.map(|least| scores.remove(&least));
            }
            let score = scores.entry(other).or_default();
            let change = if agrees { 1 } else { -1 };
            *score = (*score + change).clamp(-SCORE_MAX, SCORE_MAX);
        }
    }

    /// Whether what `other` is told about `key` is most likely what `scope` is told.
    fn is_kin(&self, key: KeyId, scope: ScopeId, other: ScopeId) -> bool {
        self.score(scope, other) > 0 && !self.own_views.contains(&key)
    }

    /// How often `scope` was told the same as `other`, less how often not.
    pub fn score(&self, scope: ScopeId, other: ScopeId) -> i32 {
        self.scores.get(&scope).and_then(|scores| scores.get(&other)).copied().unwrap_or_default()
    }
}

/// Members whose offers the origin keeps correcting.
#[derive(Default)]
pub struct Refuted(BTreeMap<Peer, (u32, Millis)>);

impl Refuted {
    pub fn note<'a>(&mut self, holders: impl Iterator<Item = &'a Peer>, now: Millis) {
        for holder in holders {
            if self.0.len() >= limits::PEERS_MAX && !self.0.contains_key(holder) {
                self.0.pop_first();
            }
            let (count, last) = self.0.entry(holder.clone()).or_default();
            *count = if now.since(*last) < limits::REFUTED_PAUSE { *count + 1 } else { 1 };
            *last = now;
        }
    }

    /// What these hold was confirmed.
    pub fn clear<'a>(&mut self, holders: impl Iterator<Item = &'a Peer>) {
        for holder in holders {
            self.0.remove(holder);
        }
    }

    /// Whether at least one of the holders is worth listening to.
    pub fn trusts(&self, holders: &BTreeSet<Peer>, now: Millis) -> bool {
        holders.iter().any(|holder| {
            self.0
                .get(holder)
                .is_none_or(|(count, last)| *count < limits::REFUTED_MAX || now.since(*last) >= limits::REFUTED_PAUSE)
        })
    }
}

/// What a credential was told last about a key, as far as is known.
#[derive(Clone, Copy)]
pub struct Told {
    pub version: Version,
    /// By this node, which has seen then whether others are told something else.
    pub here: bool,
}

/// Picks what to offer to the origin for `scope`, best first, of what others were told about the key.
///
/// With something known, only what is newer and comes from a credential that was told the same, of this key
/// before or mostly of others: otherwise this credential's own validator is the better one. What has been
/// replaced since comes after what replaced it, however many were told it.
pub fn offers<'a>(
    (key, scope): At,
    known: Option<Told>,
    kin: &Kin,
    others: impl Iterator<Item = (ScopeId, &'a [Candidate])>,
    now: Millis,
) -> Vec<Digest> {
    let others: Vec<(ScopeId, &[Candidate])> = others.filter(|(other, _)| *other != scope).collect();
    let may_be_kin = known.is_none_or(|known| known.here || is_common(known.version.digest, &others));
    let mut ranks: BTreeMap<Digest, Rank> = BTreeMap::new();
    // When a credential that had been told this was told something else.
    let mut replaced_at: BTreeMap<Digest, Millis> = BTreeMap::new();
    for (other, candidates) in others {
        let Some(newest) = candidates.iter().find(|candidate| candidate.record.may_be_stale(now)) else { continue };
        let Record { version, validated_at, .. } = newest.record;
        for old in candidates.iter().filter(|c| c.record.version.digest != version.digest) {
            let at = replaced_at.entry(old.record.version.digest).or_default();
            *at = validated_at.max(*at);
        }
        if let Some(Told { version: known, .. }) = known {
            let was_told_the_same = candidates.iter().any(|c| c.record.version.digest == known.digest);
            let is_kin = was_told_the_same || may_be_kin && kin.is_kin(key, scope, other);
            if version.digest == known.digest || version.date_secs < known.date_secs || !is_kin {
                continue;
            }
        }
        let rank = ranks.entry(version.digest).or_default();
        rank.score = rank.score.max(Some(kin.score(scope, other)));
        rank.scopes.insert(other);
        rank.newest = rank.newest.max(version.date_secs);
        rank.told_at.insert(validated_at);
    }
    let is_replaced = |digest: &Digest, rank: &Rank| {
        let replaced_at = replaced_at.get(digest).copied().unwrap_or_default();
        rank.told_at.last().is_some_and(|last| *last < replaced_at) || ranks.values().any(|newer| newer.replaces(rank))
    };
    let mut offers: Vec<_> = ranks.iter().map(|(digest, rank)| (is_replaced(digest, rank), digest, rank)).collect();
    offers.sort_by_key(|(is_replaced, digest, rank)| {
        (rank.sign() < 0, *is_replaced, Reverse((rank.score, rank.scopes.len(), rank.newest)), **digest)
    });
    offers.into_iter().map(|(_, digest, _)| *digest).take(limits::OFFERS_MAX).collect()
}

/// Whether two credentials were told the same about this key, that of `known` among them: if not, each may
/// well have a view of its own.
fn is_common(known: Digest, others: &[(ScopeId, &[Candidate])]) -> bool {
    let mut seen = BTreeSet::from([known]);
    others.iter().any(|(_, candidates)| {
        let told: BTreeSet<Digest> = candidates.iter().map(|candidate| candidate.record.version.digest).collect();
        told.into_iter().any(|digest| !seen.insert(digest))
    })
}

#[derive(Default)]
struct Rank {
    score: Option<i32>,
    scopes: BTreeSet<ScopeId>,
    newest: u64,
    /// When each of them was told it last.
    told_at: BTreeSet<Millis>,
}

impl Rank {
    /// Whether those who were told it are mostly told what the asking one is: 1 if so, -1 if not.
    fn sign(&self) -> i32 {
        self.score.unwrap_or_default().signum()
    }

    /// Whether this one was told only after nobody was told `old` any more: content changes, while views
    /// that differ are told side by side.
    fn replaces(&self, old: &Self) -> bool {
        let (first, last) = (self.told_at.first(), old.told_at.last());
        let is_later = first.zip(last).is_some_and(|(first, last)| first.since(*last) >= limits::KIN_RECENT);
        is_later && self.sign() >= old.sign()
    }
}

#[cfg(test)]
mod tests;
