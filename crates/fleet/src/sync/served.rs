//! The sessions that neighbours begin.

use std::collections::VecDeque;

use wire::{Cursor, Message, Millis, Peer, Place, Role, SyncStep, SyncWord};

use super::{Out, Sync, View, set::Set};
use crate::{Effect, index::At, limits};

/// A session that a neighbour has begun. A page of a snapshot is one of its own, which ends when the
/// page is told.
pub struct Served {
    pub session: u16,
    pub heard_at: Millis,
    comparison: Option<Comparison>,
    pub telling: VecDeque<At>,
    /// What is said when all is told: where the next page begins.
    pub then: Option<Option<Cursor>>,
}

struct Comparison {
    set: Box<Set>,
    cutoff: Millis,
    steps: usize,
}

impl Served {
    pub fn is_page(&self) -> bool {
        self.comparison.is_none()
    }

    pub fn is_telling(&self) -> bool {
        !self.telling.is_empty()
    }

    pub fn is_over(&self) -> bool {
        self.is_page() && self.telling.is_empty() && self.then.is_none()
    }
}

impl Sync {
    /// A neighbour compares: the next step, or the first.
    pub(super) fn asked(&mut self, from: &Peer, session: u16, cutoff: Millis, frame: &[u8], view: View, out: &mut Out) {
        let is_next = |served: &Served| {
            let is_same = |comparison: &Comparison| comparison.cutoff == cutoff;
            served.session == session && served.comparison.as_ref().is_some_and(is_same)
        };
        if !self.served.get(from).is_some_and(is_next) && !self.admit(from, session, cutoff, view, out) {
            return;
        }
        let Some(served) = self.served.get_mut(from) else { return };
        let Some(comparison) = &mut served.comparison else { return };
        comparison.steps += 1;
        served.heard_at = view.now;
        let answer = comparison.set.answer(frame).filter(|_| comparison.steps <= limits::SYNC_STEPS_MAX);
        let entries = comparison.set.entries();
        let Some(frame) = answer else {
            self.served.remove(from);
            return refuse(from, session, out);
        };
        self.for_comparisons.spend(frame.len() as u64, view.now);
        if is_nothing(&frame) {
            // Both know the same, and nothing follows.
            self.served.remove(from);
            self.synced(view.now);
        }
        let message = Message::Sync(SyncStep { session, entries, word: SyncWord::Answer { frame } });
        out.push_back(Effect::Send { to: from.clone(), message });
    }

    /// Takes a new comparison in, or refuses it.
    fn admit(&mut self, from: &Peer, session: u16, cutoff: Millis, view: View, out: &mut Out) -> bool {
        let now = view.now;
        if !view.peers.contains_key(from) {
            return false;
        }
        if let Some(begun) = self.begun.as_ref().filter(|begun| begun.peer == *from && begun.is_opening()) {
            if self.me < begun.peer {
                // Both have begun, and this one goes on.
                return false;
            }
            self.give_way(from, now);
        }
        let is_off = cutoff.since(now).max(now.since(cutoff)) > limits::SYNC_CUTOFF_OFF_MAX;
        let is_hasty = self.served_at.get(from).is_some_and(|at| now.since(*at) < limits::SYNC_SERVE_INTERVAL);
        let is_begun = self.begun.as_ref().is_some_and(|begun| begun.peer == *from);
        if is_off || is_hasty || is_begun || self.role == Role::Ephemeral || !self.has_slot_for(from) {
            refuse(from, session, out);
            return false;
        }
        self.newcomers.remove(from);
        self.served_at.insert(from.clone(), now);
        let set = Box::new(Set::new(view.index, cutoff));
        let comparison = Some(Comparison { set, cutoff, steps: 0 });
        let served = Served { session, heard_at: now, comparison, telling: VecDeque::new(), then: None };
        self.served.insert(from.clone(), served);
        true
    }

    pub(super) fn want_places(&mut self, from: &Peer, session: u16, places: &[Place], view: View) {
        let Some(served) = self.served.get_mut(from).filter(|served| served.session == session) else { return };
        let Some(comparison) = &served.comparison else { return };
        // One question at a time: who asks sets the pace, and no more waits here than a page.
        if served.then.is_some() {
            return;
        }
        served.heard_at = view.now;
        let known = places.iter().filter_map(|place| comparison.set.at(*place).next());
        served.telling.extend(known);
        served.then = Some(None);
    }

    pub(super) fn want_page(
        &mut self,
        from: &Peer,
        session: u16,
        cursor: Option<Cursor>,
        records_max: usize,
        view: View,
        out: &mut Out,
    ) {
        let is_asking_on = self.served.get(from).is_some_and(Served::is_page);
        if !view.peers.contains_key(from) || is_asking_on {
            return;
        }
        if !self.has_slot_for(from) {
            return refuse(from, session, out);
        }
        self.newcomers.remove(from);
        // A neighbour that takes all is not compared with at the same time.
        self.give_way(from, view.now);
        let from_cursor = cursor.map(|cursor| (cursor.validated_at, (cursor.key, cursor.scope)));
        let page: Vec<_> = view.index.by_validation(from_cursor).take(records_max + 1).collect();
        let next = (page.len() > records_max).then(|| page.get(records_max.saturating_sub(1)).copied()).flatten();
        let next = next.map(|(validated_at, (key, scope))| Cursor { validated_at, key, scope });
        let telling = page.into_iter().take(records_max).map(|(_, at)| at).collect();
        self.for_snapshots.spend(limits::SNAPSHOT_PAGE_BYTES_MIN, view.now);
        let served = Served { session, heard_at: view.now, comparison: None, telling, then: Some(next) };
        self.served.insert(from.clone(), served);
    }

    /// Ends what this node has just begun with a neighbour, who has begun, too.
    fn give_way(&mut self, from: &Peer, now: Millis) {
        if self.begun.take_if(|begun| begun.peer == *from && begun.is_opening()).is_some() {
            self.next_at = Some(now.after(limits::SYNC_START_INTERVAL));
        }
    }

    /// Whether a session with `from` would be one of those that are allowed at once.
    fn has_slot_for(&self, from: &Peer) -> bool {
        let others = self.served.keys().filter(|peer| *peer != from).count();
        others + usize::from(self.begun.is_some()) < limits::SYNC_SESSIONS_MAX
    }
}

/// Whether an answer says that all is the same: the protocol's version, and nothing else.
fn is_nothing(frame: &[u8]) -> bool {
    frame.len() == 1
}

fn refuse(from: &Peer, session: u16, out: &mut Out) {
    let message = Message::Sync(SyncStep { session, entries: 0, word: SyncWord::No });
    out.push_back(Effect::Send { to: from.clone(), message });
}
