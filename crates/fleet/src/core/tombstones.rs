//! What is buried, here and everywhere.

use canary::Bug;
use wire::{Grave, Message, Millis, Peer, Record, Tombstone};

use super::Fleet;
use crate::{
    Effect, Touched,
    index::{At, Candidate},
    limits,
};

impl Fleet {
    /// This node says so: it wrote, or was refused. The others are told at once.
    pub(super) fn bury_own(&mut self, tombstones: impl IntoIterator<Item = Tombstone>, now: Millis) {
        let news = self.bury(tombstones.into_iter().map(|tombstone| (tombstone, now)));
        self.publish_tombstones(&news);
    }

    /// What the store has of earlier runs, each with when it was heard.
    pub(super) fn bury_again(&mut self, known: Vec<(Tombstone, Millis)>) {
        let news = self.bury(known);
        self.publish_tombstones(&news);
    }

    /// A member says so.
    pub(super) fn tombstones_heard(&mut self, from: &Peer, heard: Vec<Tombstone>, now: Millis) {
        let latest = self.origin_date.latest(now);
        let (mut news, mut dropped) = (Vec::new(), 0);
        for Tombstone { of, date_secs } in heard {
            let tombstone = Tombstone { of, date_secs: date_secs.min(latest) };
            // What changes nothing is free.
            if !self.graves.is_news(&tombstone) {
            } else if self.speakers.may_bury(from, &of, now) {
                news.push((tombstone, now));
            } else {
                dropped += 1;
            }
        }
        if dropped > 0 {
            let is_first = self.speakers.is_to_be_named(from, now);
            self.effects.push_back(Effect::Excess { peer: from.clone(), dropped, is_first });
        }
        let mut news = self.bury(news);
        // Gossip has reached the others by itself; a neighbour's table has not.
        if self.speakers.tells_its_table(from, now) {
            news.sort_by_key(|tombstone| (std::cmp::Reverse(tombstone.date_secs), tombstone.of));
            news.truncate(limits::TOMBSTONES_PASSED_ON_MAX);
            self.publish_tombstones(&news);
        }
    }

    /// Tells a new neighbour all that is buried, before it is told what there is.
    pub(super) fn tell_tombstones(&mut self, peer: &Peer) {
        if self.config.alone || canary::sings(Bug::LosesATombstone) {
            return;
        }
        let all: Vec<Tombstone> = self.graves.all().map(|(tombstone, _)| tombstone).collect();
        for page in all.chunks(wire::limits::TOMBSTONES_MAX) {
            self.effects.push_back(Effect::Send { to: peer.clone(), message: Message::Tombstones(page.to_vec()) });
        }
    }

    /// This machine doubts what peers told up to then; the others are not told.
    pub(super) fn doubt_here(&mut self, date_secs: u64) {
        self.doubted_here = self.doubted_here.max(date_secs);
        self.forget_doubtful();
    }

    /// Returns those that changed something.
    fn bury(&mut self, tombstones: impl IntoIterator<Item = (Tombstone, Millis)>) -> Vec<Tombstone> {
        let (mut news, mut buried) = (Vec::new(), Vec::new());
        for (tombstone, heard_at) in tombstones {
            let changes = self.graves.bury(tombstone, heard_at);
            if !changes.is_empty() {
                news.push(tombstone);
            }
            let to_bury = |(of, change): (Grave, Option<crate::Buried>)| {
                change.map(|buried| Tombstone { of, date_secs: buried.date_secs })
            };
            buried.extend(changes.into_iter().filter_map(to_bury));
        }
        if !buried.is_empty() {
            self.effects.push_back(Effect::Bury(buried));
            self.forget_doubtful();
        }
        news
    }

    /// Nothing doubtful is an answer any more. What only a write made so may still be offered to the origin;
    /// what was refused may not.
    fn forget_doubtful(&mut self) {
        let (graves, doubted) = (&self.graves, self.doubted_here);
        let is_denied = |(key, scope): At, candidate: &Candidate| {
            candidate.record.version.date_secs <= doubted
                || graves.cover_by_denial(key, scope, candidate.record.version.date_secs)
        };
        let denied = self.past.retain(|at, candidate| !is_denied(at, candidate));
        let is_doubtful = |(key, scope): At, candidate: &Candidate| {
            let Record { family, version, .. } = &candidate.record;
            version.date_secs <= doubted || graves.cover(key, scope, *family, version.date_secs)
        };
        let all = self.index.all();
        // Most are not touched, and to put each back where it was would hold the core up.
        let touched = all.filter(|(at, candidates)| candidates.iter().any(|candidate| is_doubtful(*at, candidate)));
        let touched: Vec<At> = touched.map(|(at, _)| at).collect();
        let (mut gone, mut past) = (Vec::new(), Vec::new());
        for at in touched {
            let is_empty = self.index.retain_at(at, |candidate| {
                let is_doubtful = is_doubtful(at, candidate);
                if is_doubtful && !self.config.alone && !is_denied(at, candidate) {
                    past.push((at, candidate.clone()));
                }
                !is_doubtful
            });
            gone.extend(is_empty.then_some(at));
        }
        // Something newer is known of the others.
        past.retain(|(at, _)| gone.contains(at));
        past.into_iter().for_each(|(at, candidate)| self.past.insert(at, candidate));
        let forgotten = gone.into_iter().chain(denied).filter(|at| self.past.get(*at).is_none());
        let forgotten: Vec<At> = forgotten.filter(|at| self.index.candidates(*at).is_empty()).collect();
        self.effects.extend(forgotten.into_iter().map(|(key, scope)| Effect::Forget { key, scope }));
    }

    pub(super) fn expire_past(&mut self, now: Millis) {
        for at in self.past.expire(now) {
            if self.index.candidates(at).is_empty() {
                self.effects.push_back(Effect::Forget { key: at.0, scope: at.1 });
            }
        }
    }

    fn publish_tombstones(&mut self, tombstones: &[Tombstone]) {
        // Nobody hears it; the first neighbour is told the whole table.
        if self.config.alone || self.peers.is_empty() {
            return;
        }
        for page in tombstones.chunks(wire::limits::TOMBSTONES_MAX) {
            self.effects.push_back(Effect::Publish(Message::Tombstones(page.to_vec())));
        }
    }
}

/// What is buried by a write.
pub(super) fn of_write(touched: Touched, date_secs: u64) -> Vec<Tombstone> {
    let graves = match touched {
        Touched::Everything => vec![Grave::Everything],
        Touched::Families(families) => families.into_iter().map(Grave::Family).collect(),
    };
    graves.into_iter().map(|of| Tombstone { of, date_secs }).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use wire::{FamilyId, KeyId, Role, ScopeId};

    use super::*;
    use crate::Config;

    const FAMILY: FamilyId = FamilyId([3; 16]);

    /// Whether a version of the moment before is buried where a tombstone of `date_secs` was heard at `now`.
    fn buries(fleet: &mut Fleet, date_secs: u64, now: Millis) -> bool {
        fleet.tombstones_heard(&Peer::new("b"), vec![Tombstone { of: Grave::Family(FAMILY), date_secs }], now);
        fleet.graves.cover(KeyId([1; 16]), ScopeId([2; 16]), FAMILY, date_secs - 1)
    }

    #[test]
    fn a_slow_machine_believes_a_date_that_the_origin_has_reached_and_no_later_one() {
        let hour = Duration::from_secs(3600);
        let (role, since, me) = (Role::Node, Millis::ZERO, Peer::new("a"));
        let mut fleet = Fleet::new(Config { me, role, since, alone: false, proof_window: hour, stale_for: hour });
        // Its clock is five minutes slow.
        let (now, date_secs) = (Millis::from_secs(1_000), 1_300);
        assert!(!buries(&mut fleet, date_secs, now), "it cannot know");
        fleet.origin_date.note(date_secs, now);
        assert!(buries(&mut fleet, date_secs, now));
        assert!(!buries(&mut fleet, date_secs + 100, now), "a date nobody can have been told yet");
    }
}
