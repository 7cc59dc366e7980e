//! A large body that came by a pull is told of, so that the next machine has another one to ask.
//!
//! All may pull it at once, and all would say so. So each waits for its turn, which its name and the
//! body's give it, and says nothing when enough holders are known by then.

use std::{collections::BTreeMap, time::Duration};

use wire::{Announcement, Digest, Millis};

use super::Fleet;
use crate::{AskId, index::At, limits, spread::number_of};

/// What is to be told of, and when.
#[derive(Default)]
pub(super) struct Waiting {
    turns: BTreeMap<(Millis, At), Digest>,
    window_start: Millis,
    told_in_window: usize,
}

impl Waiting {
    pub fn due(&self) -> Option<Millis> {
        self.turns.first_key_value().map(|((due, _), _)| *due)
    }

    fn may_tell(&mut self, now: Millis) -> bool {
        if now.since(self.window_start) >= limits::COPIES_TOLD_WINDOW {
            (self.window_start, self.told_in_window) = (now, 0);
        }
        self.told_in_window += 1;
        self.told_in_window <= limits::COPIES_TOLD_PER_WINDOW_MAX
    }
}

impl Fleet {
    /// This body came by a pull for this question. Only what the client's own credential has confirmed is
    /// told of: what another scope was told nobody here can check.
    pub(super) fn plan_to_tell(&mut self, id: AskId, at: At, digest: Digest, now: Millis) {
        let Some(own) = self.asks.get(&id).map(|ask| (ask.key, ask.scope)) else { return };
        let candidate = self.index.candidates(at).iter().find(|c| c.record.version.digest == digest);
        let is_large = |bytes: u64| bytes > wire::limits::PUSH_BYTES_MAX as u64;
        let is_news = candidate.is_some_and(|c| is_large(c.record.body_bytes) && !c.holders.contains(&self.config.me));
        if at == own && is_news && self.told_of.turns.len() < limits::COPIES_TO_TELL_MAX {
            let members = u32::try_from(self.members.len().max(self.peers.len())).unwrap_or(u32::MAX);
            let longest = limits::COPY_TURN_EACH.saturating_mul(members).min(limits::COPY_TURN_MAX).as_millis() as u64;
            let turn = number_of(&[self.config.me.as_str().as_bytes(), &digest.0]) % longest.max(1);
            let turn = Duration::from_millis(turn);
            self.told_of.turns.insert((now.after(turn), at), digest);
        }
    }

    /// Tells of those whose turn has come.
    pub(super) fn tell_of_copies(&mut self, now: Millis) {
        while let Some(((due, at), digest)) = self.told_of.turns.pop_first() {
            if due > now {
                self.told_of.turns.insert((due, at), digest);
                return;
            }
            let found = self.index.candidates(at).iter().find(|c| c.held && c.record.version.digest == digest);
            let Some(candidate) = found.filter(|c| c.holders.len() < limits::HOLDERS_MAX) else { continue };
            let is_told = candidate.holders.contains(&self.config.me);
            let (record, tag) = (candidate.record.clone(), candidate.tag);
            let is_worth_it = record.fresh_until.since(now) >= limits::ANNOUNCE_REMAINING_MIN;
            if is_told || !is_worth_it || self.is_doubtful(at.0, at.1, &record) || !self.told_of.may_tell(now) {
                continue;
            }
            let announcement = Announcement { key: at.0, scope: at.1, record, tag, body: None, holder: None };
            self.index.insert(&announcement, &self.config.me, true);
            self.outbox.push(announcement, self.peers.len() + 1, now);
        }
    }
}
