use std::collections::{BTreeMap, BTreeSet};

use canary::Bug;
use wire::{FamilyId, LimitNotice, Message, Millis, Peer, ScopeId};

use crate::limits;

/// What passes between machines of what GitHub allows each credential.
///
/// Nothing here can check a tag: only who shows the credential can. So all that is heard is handed on,
/// within a rate for each member, and told to new neighbours as it came.
#[derive(Default)]
pub struct Notices {
    /// The last word of each machine on each budget, this one's own among them.
    known: BTreeMap<At, LimitNotice>,
    /// On its way to the others: of each budget the last word.
    waiting: BTreeMap<Budget, LimitNotice>,
    /// A new stop waits.
    is_urgent: bool,
    last_sent: Option<Millis>,
    rates: BTreeMap<Peer, Rate>,
}

type Budget = (FamilyId, ScopeId);

/// A budget, who sent the word, and whose word it is said to be: nobody can talk another's away.
type At = (Budget, Peer, Peer);

/// How many notices a member has sent since when.
struct Rate {
    since: Millis,
    count: usize,
}

impl Notices {
    /// This machine has something to tell. A new stop is told at once; of all else each budget is told
    /// of at most once in [`limits::NOTICES_INTERVAL`].
    pub fn tell(&mut self, notice: LimitNotice, now: Millis) {
        let budget = (notice.site, notice.scope);
        let at = (budget, notice.by.clone(), notice.by.clone());
        let stop = notice.stop().filter(|until| now < *until);
        if stop.is_some() && canary::sings(Bug::KeepsAStopToItself) {
            return;
        }
        self.is_urgent |= stop > self.known.get(&at).and_then(LimitNotice::stop);
        self.remember(at, notice.clone(), now);
        if self.waiting.len() < limits::NOTICES_MAX || self.waiting.contains_key(&budget) {
            self.waiting.insert(budget, notice);
        }
    }

    /// When the next batch is due.
    pub fn due(&self) -> Option<Millis> {
        self.waiting.first_key_value()?;
        let last_sent = self.last_sent.filter(|_| !self.is_urgent);
        Some(last_sent.map_or(Millis::ZERO, |last| last.after(limits::NOTICES_INTERVAL)))
    }

    /// What to tell all members now. What has a stop goes first; the rest follows in its turn.
    pub fn next_batch(&mut self, now: Millis) -> Option<Message> {
        if self.due()? > now {
            return None;
        }
        self.last_sent = Some(now);
        let budgets = first_stops(self.waiting.iter(), now).into_iter().take(wire::limits::LIMIT_NOTICES_MAX);
        let budgets: Vec<Budget> = budgets.map(|(budget, _)| *budget).collect();
        let batch: Vec<LimitNotice> = budgets.iter().filter_map(|budget| self.waiting.remove(budget)).collect();
        self.is_urgent &= self.waiting.values().any(|notice| notice.stop().is_some());
        Some(Message::Limits(batch))
    }

    /// Forgets what waits: nobody is there to be told. New neighbours are told by [`Self::catch_up`].
    pub fn clear(&mut self) {
        self.waiting.clear();
        self.is_urgent = false;
    }

    /// Returns what is new of what a member says, within its rate.
    pub fn hear(&mut self, from: &Peer, me: &Peer, notices: Vec<LimitNotice>, now: Millis) -> Vec<LimitNotice> {
        let room = self.room(from, notices.len(), now);
        let mut news = Vec::new();
        for notice in notices.into_iter().take(room) {
            let at = ((notice.site, notice.scope), from.clone(), notice.by.clone());
            let at_first_hand = (at.0, notice.by.clone(), notice.by.clone());
            let is_known = self.known.get(&at).is_some_and(|known| known.heard_at >= notice.heard_at)
                || self.known.get(&at_first_hand) == Some(&notice);
            let is_ahead = notice.heard_at > now.after(wire::limits::CLOCK_AHEAD_MAX);
            if notice.by != *me && notice.is_current(now) && !is_ahead && !is_known {
                self.remember(at, notice.clone(), now);
                news.push(notice);
            }
        }
        news
    }

    /// What a new neighbour has missed, stops first.
    pub fn catch_up(&self, now: Millis) -> Vec<Message> {
        let mut told = BTreeSet::new();
        let current = self.known.iter().filter(|(_, notice)| notice.is_current(now) && told.insert(notice.tag.0));
        let all: Vec<LimitNotice> = first_stops(current, now).into_iter().map(|(_, notice)| notice.clone()).collect();
        let all = &all[..all.len().min(limits::CATCH_UP_NOTICES_MAX)];
        all.chunks(wire::limits::LIMIT_NOTICES_MAX).map(|batch| Message::Limits(batch.to_vec())).collect()
    }

    /// How many of `count` notices of `from` are taken now; they count as taken.
    fn room(&mut self, from: &Peer, count: usize, now: Millis) -> usize {
        if self.rates.len() >= limits::PEERS_MAX && !self.rates.contains_key(from) {
            self.rates.retain(|_, rate| now.since(rate.since) < limits::NOTICES_WINDOW);
        }
        if self.rates.len() >= limits::PEERS_MAX && !self.rates.contains_key(from) {
            return 0;
        }
        let rate = self.rates.entry(from.clone()).or_insert(Rate { since: now, count: 0 });
        if now.since(rate.since) >= limits::NOTICES_WINDOW {
            *rate = Rate { since: now, count: 0 };
        }
        let room = count.min(limits::NOTICES_PER_WINDOW_MAX.saturating_sub(rate.count));
        rate.count += room;
        room
    }

    fn remember(&mut self, at: At, notice: LimitNotice, now: Millis) {
        if self.known.len() >= limits::NOTICES_MAX && !self.known.contains_key(&at) {
            self.known.retain(|_, notice| notice.is_current(now));
        }
        if self.known.len() >= limits::NOTICES_MAX && !self.known.contains_key(&at) {
            let oldest = self.known.iter().min_by_key(|(_, notice)| notice.heard_at).map(|(at, _)| at.clone());
            oldest.and_then(|at| self.known.remove(&at));
        }
        self.known.insert(at, notice);
    }
}

/// Running stops first, then the newest.
fn first_stops<'a, K>(
    notices: impl Iterator<Item = (&'a K, &'a LimitNotice)>,
    now: Millis,
) -> Vec<(&'a K, &'a LimitNotice)> {
    let mut all: Vec<_> = notices.collect();
    all.sort_by_key(|(_, notice)| {
        let is_stop = notice.stop().is_some_and(|until| now < until);
        std::cmp::Reverse((is_stop, notice.heard_at))
    });
    all
}

#[cfg(test)]
mod tests;
