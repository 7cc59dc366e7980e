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

/// Picks what to offer to the origin for `scope`, best first, of what others were told about the key.
///
/// With something known, only what is newer and comes from a credential that was told the same, of this key
/// before or mostly of others: otherwise this credential's own validator is the better one.
pub fn offers<'a>(
    (key, scope): At,
    known: Option<Version>,
    kin: &Kin,
    others: impl Iterator<Item = (ScopeId, &'a [Candidate])>,
    now: Millis,
) -> Vec<Digest> {
    let mut ranks: BTreeMap<Digest, Rank> = BTreeMap::new();
    for (other, candidates) in others.filter(|(other, _)| *other != scope) {
        let Some(newest) = candidates.iter().find(|candidate| candidate.record.may_be_stale(now)) else { continue };
        let version = newest.record.version;
        if let Some(known) = known {
            let was_told_the_same = candidates.iter().any(|c| c.record.version.digest == known.digest);
            let is_kin = was_told_the_same || kin.is_kin(key, scope, other);
            if version.digest == known.digest || version.date_secs < known.date_secs || !is_kin {
                continue;
            }
        }
        let rank = ranks.entry(version.digest).or_default();
        rank.score = rank.score.max(Some(kin.score(scope, other)));
        rank.scopes.insert(other);
        rank.newest = rank.newest.max(version.date_secs);
    }
    let mut offers: Vec<(Digest, Rank)> = ranks.into_iter().collect();
    offers.sort_by_key(|(digest, rank)| (Reverse((rank.score, rank.scopes.len(), rank.newest)), *digest));
    offers.into_iter().map(|(digest, _)| digest).take(limits::OFFERS_MAX).collect()
}

#[derive(Default)]
struct Rank {
    score: Option<i32>,
    scopes: BTreeSet<ScopeId>,
    newest: u64,
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use wire::FamilyId;

    use super::*;

    fn candidate(body: &str, at: u64) -> Candidate {
        let validated_at = Millis::from_secs(at);
        let until = Millis::from_secs(at + 60);
        let record = Record {
            family: FamilyId([1; 16]),
            version: Version { date_secs: at, digest: Digest::of(body.as_bytes()) },
            status: 200,
            headers: vec![],
            body_bytes: 1,
            validated_at,
            fresh_until: until,
            proved_until: until,
            stale_until: until,
        };
        let element = crate::sync::Element::of((KeyId([1; 16]), ScopeId([1; 16])), &record);
        Candidate { record, tag: None, holders: BTreeSet::new(), held: true, element }
    }

    fn at(n: u8) -> At {
        (KeyId([1; 16]), scope(n))
    }

    fn scope(n: u8) -> ScopeId {
        ScopeId([n; 16])
    }

    fn picked(me: u8, known: Option<&Candidate>, kin: &Kin, told: &[(u8, Vec<Candidate>)]) -> Vec<Digest> {
        let others = told.iter().map(|(n, candidates)| (scope(*n), candidates.as_slice()));
        offers(at(me), known.map(|known| known.record.version), kin, others, Millis::from_secs(20))
    }

    #[test]
    fn without_anything_known_the_most_common_answer_is_offered_first() {
        let told =
            [(1, vec![candidate("reader", 10)]), (2, vec![candidate("admin", 12)]), (3, vec![candidate("reader", 9)])];
        let digest = |body: &str| Digest::of(body.as_bytes());
        assert_eq!(picked(9, None, &Kin::default(), &told), [digest("reader"), digest("admin")]);
        assert_eq!(picked(2, None, &Kin::default(), &told)[0], digest("reader"), "one's own is no offer");
    }

    #[test]
    fn who_was_told_the_same_before_counts_more_than_the_crowd() {
        let mut kin = Kin::default();
        let before = [(1, vec![candidate("r", 1)]), (2, vec![candidate("a", 1)])];
        kin.learn(at(9), &candidate("a", 1).record, &[], before.iter().map(|(n, c)| (scope(*n), c.as_slice())));
        let told = [(1, vec![candidate("R", 10)]), (2, vec![candidate("A", 10)]), (3, vec![candidate("R", 10)])];
        assert_eq!(picked(9, None, &kin, &told)[0], Digest::of(b"A"));
    }

    #[test]
    fn what_is_known_is_only_replaced_by_something_newer_of_the_same_view() {
        let (old, new) = (candidate("old", 5), candidate("new", 10));
        let none: [Digest; 0] = [];
        let same_view = [(1, vec![new.clone(), old.clone()])];
        assert_eq!(picked(9, Some(&old), &Kin::default(), &same_view), [Digest::of(b"new")]);
        let other_view = [(1, vec![new.clone(), candidate("other", 5)])];
        assert_eq!(picked(9, Some(&old), &Kin::default(), &other_view), none);
        assert_eq!(picked(9, Some(&new), &Kin::default(), &same_view), none, "the same is no news");
        assert_eq!(picked(9, Some(&candidate("old", 15)), &Kin::default(), &same_view), none, "older is no news");
    }

    #[test]
    fn a_newer_version_of_kin_takes_the_place_of_the_own_though_the_old_one_was_never_told_it() {
        let (old, new) = (candidate("old", 5), candidate("new", 10));
        let told = [(1, vec![new.clone()])];
        let mut kin = Kin::default();
        let learn = |kin: &mut Kin, key: u8, mine: Candidate, theirs: &str| {
            let theirs = [candidate(theirs, 3)];
            kin.learn((KeyId([key; 16]), scope(9)), &mine.record, &[], [(scope(1), &theirs[..])].into_iter());
        };
        let none: [Digest; 0] = [];
        assert_eq!(picked(9, Some(&old), &kin, &told), none, "a stranger's");
        learn(&mut kin, 2, candidate("same", 3), "same");
        assert_eq!(picked(9, Some(&old), &kin, &told), [Digest::of(b"new")]);
        learn(&mut kin, 2, candidate("changed", 3_600), "same");
        assert_eq!(picked(9, Some(&old), &kin, &told), [Digest::of(b"new")], "it has only changed since");
        learn(&mut kin, 2, candidate("same", 3), "same");
        learn(&mut kin, 1, candidate("mine", 3), "theirs");
        assert!(kin.score(scope(9), scope(1)) > 0);
        assert_eq!(picked(9, Some(&old), &kin, &told), none, "at this key each has a view of its own");
    }

    #[test]
    fn what_is_past_its_time_is_not_offered() {
        let told = [(1, vec![candidate("old", 0)])];
        let others = told.iter().map(|(n, candidates)| (scope(*n), candidates.as_slice()));
        assert!(offers(at(9), None, &Kin::default(), others, Millis::from_secs(60)).is_empty());
    }

    #[test]
    fn the_table_of_kin_is_bounded() {
        let mut kin = Kin::default();
        let told: Vec<_> = (0..=255).map(|n| (scope(n), [candidate("a", 1)])).collect();
        for n in 0..limits::KIN_SCOPES_MAX as u128 + 5 {
            let others = told.iter().map(|(scope, candidates)| (*scope, &candidates[..]));
            kin.learn((KeyId(n.to_be_bytes()), ScopeId(n.to_be_bytes())), &candidate("a", 1).record, &[], others);
        }
        assert_eq!(kin.scores.len(), limits::KIN_SCOPES_MAX);
        assert!(kin.scores.values().all(|scores| scores.len() <= limits::KIN_MAX));
    }
}
