//! The sessions that this node begins: it compares and then asks for what it lacks, or takes a
//! snapshot, page by page.

use std::collections::VecDeque;

use wire::{Cursor, Message, Millis, Peer, Place, Role, SyncStep, SyncWord, Want, WantWord};

use super::{
    Out, Sync, View,
    set::{Difference, Set},
};
use crate::{Effect, index::At, limits};

/// A session that this node has begun.
pub struct Begun {
    pub peer: Peer,
    pub session: u16,
    pub heard_at: Millis,
    pub stage: Stage,
}

pub enum Stage {
    Comparing { set: Box<Set>, cutoff_secs: u64, found: Difference, steps: usize },
    Settling { wanted: VecDeque<Place>, awaits: bool, telling: VecDeque<At> },
    Snapshot,
}

impl Begun {
    pub fn is_telling(&self) -> bool {
        matches!(&self.stage, Stage::Settling { telling, .. } if !telling.is_empty())
    }

    pub fn is_over(&self) -> bool {
        matches!(&self.stage, Stage::Settling { wanted, awaits: false, telling }
            if wanted.is_empty() && telling.is_empty())
    }

    /// Whether nothing has been answered yet.
    pub fn is_opening(&self) -> bool {
        matches!(self.stage, Stage::Comparing { steps: 0, .. })
    }

    fn send(&self, message: Message, out: &mut Out) {
        out.push_back(Effect::Send { to: self.peer.clone(), message });
    }

    fn ask_for_page(&self, from: Option<Cursor>, out: &mut Out) {
        let records_max = u16::try_from(wire::limits::TOLD_RECORDS_MAX).expect("it is 256");
        let word = WantWord::Page { from, records_max };
        self.send(Message::Want(Want { session: self.session, word }), out);
    }

    /// Asks for the next of what is wanted, if nothing is awaited.
    fn ask_for_more(&mut self, out: &mut Out) {
        let Stage::Settling { wanted, awaits, .. } = &mut self.stage else { return };
        if *awaits || wanted.is_empty() {
            return;
        }
        *awaits = true;
        let places = wanted.drain(..wanted.len().min(wire::limits::TOLD_RECORDS_MAX)).collect();
        let message = Message::Want(Want { session: self.session, word: WantWord::Places(places) });
        self.send(message, out);
    }
}

impl Sync {
    pub(super) fn is_begun(&self, peer: &Peer, session: u16) -> bool {
        self.begun.as_ref().is_some_and(|begun| begun.peer == *peer && begun.session == session)
    }

    pub(super) fn begin(&mut self, peer: Peer, view: View, out: &mut Out) {
        let now = view.now;
        self.newcomers.remove(&peer);
        self.count += 1;
        self.begun_at = Some(now);
        // Differs from those of an earlier run, whose answers may still be on their way.
        let session = (now.as_secs().wrapping_add(self.count) & 0xffff) as u16;
        if self.needs_snapshot(view) {
            self.snapshot.get_or_insert_default();
        }
        if let Some(from) = self.snapshot {
            let begun = Begun { peer, session, heard_at: now, stage: Stage::Snapshot };
            begun.ask_for_page(from, out);
            self.begun = Some(begun);
            return;
        }
        let cutoff_secs = now.after(limits::SYNC_CUTOFF_AHEAD).as_secs();
        let mut set = Box::new(Set::new(view.index, Millis::from_secs(cutoff_secs)));
        let frame = set.first_frame();
        let entries = set.entries();
        let found = Difference::default();
        let stage = Stage::Comparing { set, cutoff_secs, found, steps: 0 };
        let begun = Begun { peer, session, heard_at: now, stage };
        begun.send(Message::Sync(SyncStep { session, entries, word: SyncWord::Ask { cutoff_secs, frame } }), out);
        self.begun = Some(begun);
    }

    /// Whether comparing is not worth it: nothing is known here, or was told too long ago.
    fn needs_snapshot(&self, view: View) -> bool {
        let newest = view.index.by_validation(None).next().map(|(at, _)| at);
        let last = self.synced_at.or(newest);
        let is_away = last.is_none_or(|at| view.now.since(at) > limits::AWAY_MAX);
        self.role == Role::Ephemeral || newest.is_none() || is_away
    }

    pub(super) fn answered(
        &mut self,
        from: &Peer,
        session: u16,
        entries: u32,
        frame: &[u8],
        view: View,
        out: &mut Out,
    ) {
        if !self.is_begun(from, session) {
            return;
        }
        let may_take_all = self.outgrown_at.is_none_or(|at| view.now.since(at) > limits::AWAY_MAX);
        let Some(begun) = &mut self.begun else { return };
        let Stage::Comparing { set, cutoff_secs, found, steps } = &mut begun.stage else { return };
        begun.heard_at = view.now;
        if may_take_all && set.entries() < entries / limits::SNAPSHOT_RATIO {
            begun.stage = Stage::Snapshot;
            begun.ask_for_page(None, out);
            self.snapshot = Some(None);
            self.outgrown_at = Some(view.now);
            return;
        }
        *steps += 1;
        let next = match set.read(frame, found) {
            Some(next) => next.filter(|_| *steps < limits::SYNC_STEPS_MAX),
            None => return self.fail(view.now),
        };
        if let Some(frame) = next {
            self.for_comparisons.spend(frame.len() as u64, view.now);
            let word = SyncWord::Ask { cutoff_secs: *cutoff_secs, frame };
            let step = SyncStep { session, entries: set.entries(), word };
            return begun.send(Message::Sync(step), out);
        }
        let mut todo = set.settle(found);
        todo.want.truncate(limits::SYNC_WANTS_MAX);
        todo.tell.truncate(limits::SYNC_WANTS_MAX);
        if view.index.len() >= limits::INDEX_ENTRIES_MAX {
            // There is no room: each would push out another one.
            todo.want.clear();
        }
        if found.is_empty() {
            // The neighbour has seen that, too.
            return self.succeed(view);
        }
        begun.stage = Stage::Settling { wanted: todo.want.into(), awaits: false, telling: todo.tell.into() };
        begun.ask_for_more(out);
    }

    /// The neighbour has told what it was asked for.
    pub(super) fn told(&mut self, next: Option<Cursor>, view: View, out: &mut Out) {
        let Some(begun) = &mut self.begun else { return };
        begun.heard_at = view.now;
        match &mut begun.stage {
            Stage::Comparing { .. } => {}
            Stage::Settling { awaits, .. } => {
                *awaits = false;
                begun.ask_for_more(out);
            }
            Stage::Snapshot => {
                let before = self.snapshot.flatten();
                // One page is all that a machine takes that lives for minutes: it asks for the rest on demand.
                let goes_on = view.index.len() < limits::INDEX_ENTRIES_MAX && self.role != Role::Ephemeral;
                let next = next.filter(|next| goes_on && before.is_none_or(|before| *next < before));
                let Some(next) = next else {
                    self.snapshot = None;
                    return self.succeed(view);
                };
                self.snapshot = Some(Some(next));
                begun.ask_for_page(Some(next), out);
            }
        }
    }
}
