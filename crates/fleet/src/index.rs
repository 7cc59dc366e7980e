use std::collections::{BTreeMap, BTreeSet};

use wire::{Announcement, Digest, KeyId, Millis, Peer, Record, ScopeId, Tag};

use crate::{limits, sync::Element};

pub type At = (KeyId, ScopeId);

/// One record of a (key, scope), and who holds its body.
#[derive(Clone, Debug)]
pub struct Candidate {
    pub record: Record,
    pub tag: Option<Tag>,
    pub holders: BTreeSet<Peer>,
    /// Whether this node's store has the body.
    pub held: bool,
    /// What it is in a comparison: hashed when it comes, since 50,000 at once hold the core up.
    pub element: Element,
}

/// Who holds which answer, as far as this node has heard.
///
/// A (key, scope) can have rival records: until a client presents the credential, a forged one
/// cannot be told from a true one, so it must not be able to push the true one out.
#[derive(Default)]
pub struct Index {
    entries: BTreeMap<At, Vec<Candidate>>,
    /// When each entry's last record becomes useless.
    expiry: BTreeSet<(Millis, At)>,
    /// When each entry's newest record was validated.
    validated: BTreeSet<(Millis, At)>,
}

/// What an announcement changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// A record that was not known: it is worth keeping.
    New,
    /// A known record, now with one more holder or with its body.
    Known,
    /// Nothing: there was no room for it.
    None,
}

impl Index {
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub fn all(&self) -> impl Iterator<Item = (At, &[Candidate])> {
        self.entries.iter().map(|(at, candidates)| (*at, candidates.as_slice()))
    }

    /// Newest first.
    pub fn candidates(&self, at: At) -> &[Candidate] {
        self.entries.get(&at).map_or(&[], Vec::as_slice)
    }

    /// What every credential was told about `key`: its scope, and its records, newest first.
    pub fn scopes_of(&self, key: KeyId) -> impl Iterator<Item = (ScopeId, &[Candidate])> {
        let all = (key, ScopeId([0; 16]))..=(key, ScopeId([0xff; 16]));
        self.entries.range(all).map(|((_, scope), candidates)| (*scope, candidates.as_slice()))
    }

    pub fn insert(&mut self, announcement: &Announcement, holder: &Peer, held: bool) -> Change {
        let at = (announcement.key, announcement.scope);
        let mut candidates = self.take(at);
        let known = candidates.iter_mut().find(|c| c.record == announcement.record && c.tag == announcement.tag);
        let change = match known {
            Some(known) => {
                known.held |= held;
                if known.holders.len() < limits::HOLDERS_MAX {
                    known.holders.insert(holder.clone());
                }
                Change::Known
            }
            None => {
                let record = announcement.record.clone();
                let holders = BTreeSet::from([holder.clone()]);
                let element = Element::of(at, &record);
                candidates.push(Candidate { record, tag: announcement.tag, holders, held, element });
                candidates.sort_by_key(|c| std::cmp::Reverse((c.record.version, c.record.validated_at)));
                if candidates.len() > limits::CANDIDATES_MAX {
                    let pushed_out = rival_to_drop(&candidates);
                    let dropped = candidates.remove(pushed_out);
                    if dropped.record == announcement.record && dropped.tag == announcement.tag {
                        Change::None
                    } else {
                        Change::New
                    }
                } else {
                    Change::New
                }
            }
        };
        self.put(at, candidates);
        let digest = announcement.record.version.digest;
        if held || self.holds(at.0, digest) {
            self.mark_held(at.0, digest);
        }
        change
    }

    /// Keeps the records for which `keep` says so; returns the keys that have none left.
    pub fn retain(&mut self, mut keep: impl FnMut(At, &mut Candidate) -> bool) -> Vec<At> {
        let all: Vec<At> = self.entries.keys().copied().collect();
        all.into_iter().filter(|at| self.retain_at(*at, |candidate| keep(*at, candidate))).collect()
    }

    /// The same for one key; returns whether it has none left now.
    pub fn retain_at(&mut self, at: At, mut keep: impl FnMut(&mut Candidate) -> bool) -> bool {
        let mut candidates = self.take(at);
        let had_some = !candidates.is_empty();
        candidates.retain_mut(|candidate| keep(candidate));
        let is_empty = candidates.is_empty();
        self.put(at, candidates);
        had_some && is_empty
    }

    /// Whether the body is here, for whichever credential.
    pub fn holds(&self, key: KeyId, digest: Digest) -> bool {
        let mut all = self.scopes_of(key).flat_map(|(_, candidates)| candidates);
        all.any(|candidate| candidate.held && candidate.record.version.digest == digest)
    }

    /// The body has arrived; whichever credential was told it, it is the same body.
    pub fn mark_held(&mut self, key: KeyId, digest: Digest) {
        let all = (key, ScopeId([0; 16]))..=(key, ScopeId([0xff; 16]));
        for candidate in self.entries.range_mut(all).flat_map(|(_, candidates)| candidates) {
            candidate.held |= candidate.record.version.digest == digest;
        }
    }

    /// Removes what can no longer be served at all, and the nearest to that if there is too much.
    pub fn expire(&mut self, now: Millis) -> Vec<At> {
        let mut gone = Vec::new();
        while let Some((until, at)) = self.expiry.first().copied() {
            if until > now && self.entries.len() <= limits::INDEX_ENTRIES_MAX {
                break;
            }
            self.take(at);
            gone.push(at);
        }
        gone
    }

    /// The newest record of each (key, scope).
    pub fn newest(&self) -> impl Iterator<Item = (At, &Candidate)> {
        self.entries.iter().filter_map(|(at, candidates)| Some((*at, candidates.first()?)))
    }

    /// When the newest record of each was validated: the latest first, only those before `from`.
    pub fn by_validation(&self, from: Option<(Millis, At)>) -> impl Iterator<Item = (Millis, At)> {
        let until = from.map_or(std::ops::Bound::Unbounded, std::ops::Bound::Excluded);
        self.validated.range((std::ops::Bound::Unbounded, until)).rev().copied()
    }

    fn take(&mut self, at: At) -> Vec<Candidate> {
        let candidates = self.entries.remove(&at).unwrap_or_default();
        self.expiry.remove(&(useless_from(&candidates), at));
        if let Some(newest) = candidates.first() {
            self.validated.remove(&(newest.record.validated_at, at));
        }
        candidates
    }

    fn put(&mut self, at: At, candidates: Vec<Candidate>) {
        if let Some(newest) = candidates.first() {
            self.validated.insert((newest.record.validated_at, at));
            self.expiry.insert((useless_from(&candidates), at));
            self.entries.insert(at, candidates);
        }
    }
}

fn useless_from(candidates: &[Candidate]) -> Millis {
    candidates.iter().map(|c| c.record.stale_until).max().unwrap_or_default()
}

/// Which of too many rivals goes: the oldest of the holder that brought the most, so that one liar
/// cannot push out what others say.
fn rival_to_drop(candidates: &[Candidate]) -> usize {
    let rivals_of = |candidate: &Candidate| {
        let same = |other: &&Candidate| other.holders.intersection(&candidate.holders).next().is_some();
        candidates.iter().filter(same).count()
    };
    let crowd = candidates.iter().map(rivals_of).max().unwrap_or_default();
    candidates.iter().rposition(|candidate| rivals_of(candidate) == crowd).unwrap_or_default()
}
