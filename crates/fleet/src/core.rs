use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use wire::{Announcement, Holding, Message, Millis, Peer, Record};

use crate::{
    AskId, Effect, Input, Outcome,
    announce::{Outbox, bytes_of},
    asks::{Ask, PeerState, Pulls},
    doubt::Doubts,
    index::{Candidate, Change, Index},
    limits,
    offer::{Kin, Refuted},
    pace::Pace,
};

pub struct Config {
    pub me: Peer,
    /// There are no other members: every record is this machine's own, and needs no tag.
    pub alone: bool,
    /// This node's own proof window: a neighbour's longer one does not count here.
    pub proof_window: Duration,
    /// The same for how long an answer may be served stale.
    pub stale_for: Duration,
}

/// The part of a node that decides what passes between it and the others.
pub struct Fleet {
    config: Config,
    peers: BTreeMap<Peer, PeerState>,
    index: Index,
    doubts: Doubts,
    asks: BTreeMap<AskId, Ask>,
    pace: Pace,
    copies: copies::Copies,
    kin: Kin,
    refuted: Refuted,
    outbox: Outbox,
    effects: VecDeque<Effect>,
}

impl Fleet {
    pub fn new(config: Config) -> Self {
        Self {
            config,
            peers: BTreeMap::new(),
            index: Index::default(),
            doubts: Doubts::default(),
            asks: BTreeMap::new(),
            pace: Pace::default(),
            copies: copies::Copies::new(),
            kin: Kin::default(),
            refuted: Refuted::default(),
            outbox: Outbox::default(),
            effects: VecDeque::new(),
        }
    }

    pub fn handle(&mut self, input: Input, now: Millis) {
        match input {
            Input::Refuted { key, digest } => {
                let told = self.index.scopes_of(key).flat_map(|(_, candidates)| candidates);
                let holders = told.filter(|candidate| candidate.record.version.digest == digest);
                self.refuted.note(holders.flat_map(|candidate| &candidate.holders), now);
            }
            Input::PeerConnected { peer, near } => {
                if self.peers.len() < limits::PEERS_MAX {
                    self.peers.insert(peer, PeerState::new(near));
                }
            }
            Input::PeerReady { peer } => self.catch_up(peer, now),
            Input::PeerGone { peer } => self.peer_gone(&peer, now),
            Input::RoundTrip { peer, millis } => {
                if let Some(state) = self.peers.get_mut(&peer) {
                    state.round_trip = Some(Duration::from_millis(millis.into()));
                }
            }
            Input::Filled { announcement, ask: _ } => self.filled(announcement, now),
            Input::Ended { ask, end: _ } => {
                self.asks.remove(&ask);
            }
            Input::Remembered { key, scope, holding: Holding { record, tag }, body_held } => {
                if !self.doubts.covers(key, scope, &record) {
                    let announcement = Announcement { key, scope, record, tag, body: None, holder: None };
                    self.index.insert(&announcement, &self.config.me, body_held);
                }
            }
            Input::Heard { from, message } => self.heard(&from, message, now),
            Input::Asked { ask, key, scope, tag_key, want, across, known, claim: _ } => {
                if self.asks.len() >= limits::ASKS_MAX {
                    return self.resolve(ask, Outcome::Nothing);
                }
                let (deadline, pulls) = (None, Pulls::default());
                let state = Ask { key, scope, tag_key, want, across, known, began: now, deadline, pulls };
                self.asks.insert(ask, state);
                self.advance(ask, now);
            }
            Input::Pulled { ask, from, result } => self.pulled(ask, &from, result, now),
            Input::PullBegan { ask, from } => self.pull_began(ask, &from, now),
            Input::PullStalled { ask, from } => self.pull_stalled(ask, &from, now),
            Input::Fetched { from, announcement, result } => self.fetched(&from, &announcement, result),
            Input::Cancelled { ask } => {
                if self.asks.contains_key(&ask) {
                    self.give_up(ask, now);
                }
            }
            Input::Invalidated { touched, date_secs } => {
                self.doubts.invalidate(&touched, date_secs);
                self.forget_doubtful();
            }
            Input::Denied { scope, key, date_secs } => {
                self.doubts.deny(scope, key, date_secs);
                self.forget_doubtful();
            }
            Input::BodyLost { digest } => {
                self.index.retain(|_, candidate| {
                    candidate.held &= candidate.record.version.digest != digest;
                    true
                });
            }
        }
        self.wake(now);
    }

    /// Does what is due at `now`.
    pub fn wake(&mut self, now: Millis) {
        let late: Vec<AskId> =
            self.asks.iter().filter(|(_, ask)| ask.deadline.is_some_and(|at| at <= now)).map(|(id, _)| *id).collect();
        for ask in late {
            self.give_up(ask, now);
        }
        self.hedge_late_pulls(now);
        if self.peers.is_empty() {
            // Nobody hears it; the first neighbour is told by `catch_up`.
            self.outbox.clear();
        } else if let Some(batch) = self.outbox.next_batch(now) {
            self.effects.push_back(Effect::Publish(Message::Announce(batch)));
        }
        for (key, scope) in self.index.expire(now) {
            self.effects.push_back(Effect::Forget { key, scope });
        }
    }

    pub fn next_effect(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    /// When [`Fleet::wake`] is needed, if nothing else happens before.
    pub fn next_deadline(&self) -> Option<Millis> {
        let asks = self.asks.values().flat_map(|ask| [ask.deadline, ask.pulls.hedge_at]).flatten();
        asks.chain(self.outbox.due()).min()
    }

    pub fn index_len(&self) -> usize {
        self.index.len()
    }

    pub fn asks_len(&self) -> usize {
        self.asks.len()
    }

    fn catch_up(&mut self, peer: Peer, now: Millis) {
        let mut room = wire::limits::CATCH_UP_BYTES_MAX;
        let mut records = Vec::new();
        for ((key, scope), candidate) in self.index.newest_held(now, wire::limits::CATCH_UP_RECORDS_MAX) {
            let bytes = bytes_of(&candidate.record, None);
            if bytes > room {
                break;
            }
            room -= bytes;
            let (record, tag) = (candidate.record.clone(), candidate.tag);
            records.push(Announcement { key, scope, record, tag, body: None, holder: None });
        }
        // Also when there is nothing to tell: then the newcomer knows that it has missed nothing.
        self.effects.push_back(Effect::Send { to: peer, message: Message::Announce(records) });
    }

    fn peer_gone(&mut self, peer: &Peer, now: Millis) {
        self.peers.remove(peer);
        self.pulls_end_with(peer, now);
    }

    fn filled(&mut self, mut announcement: Announcement, now: Millis) {
        let at = (announcement.key, announcement.scope);
        // A write may have gone out while this was on its way here.
        if self.doubts.covers(at.0, at.1, &announcement.record) {
            return;
        }
        let known = self.index.candidates(at).iter().map(|c| c.record.fresh_until).max();
        let fresh_until = announcement.record.fresh_until;
        let digest = announcement.record.version.digest;
        self.kin.learn(at.1, digest, self.index.scopes_of(at.0));
        let told = self.index.scopes_of(at.0).flat_map(|(_, candidates)| candidates);
        let right = told.filter(|candidate| candidate.record.version.digest == digest);
        self.refuted.clear(right.flat_map(|candidate| &candidate.holders));
        // A body that others know of is not sent once more for another credential.
        let is_known = |candidate: &Candidate| candidate.record.version.digest == digest;
        if self.index.scopes_of(at.0).flat_map(|(_, candidates)| candidates).any(is_known) {
            announcement.body = None;
        }
        self.index.insert(&announcement, &self.config.me, true);
        // What is only confirmed is told if the news is worth it: half a lifetime or more.
        let gained = fresh_until.since(known.unwrap_or_default());
        let is_news = gained >= fresh_until.since(now) / 2;
        if is_news && fresh_until.since(now) >= limits::ANNOUNCE_REMAINING_MIN {
            self.outbox.push(announcement, self.peers.len() + 1, now);
        }
    }

    fn heard(&mut self, from: &Peer, message: Message, now: Millis) {
        if *from == self.config.me {
            return;
        }
        match message {
            Message::Announce(records) => self.announced(from, records, now),
            Message::Member(_)
            | Message::Claim(_)
            | Message::ClaimReply(_)
            | Message::LeaseNews(_)
            | Message::Tombstones(_) => {}
        }
    }

    fn announced(&mut self, from: &Peer, records: Vec<Announcement>, now: Millis) {
        self.outbox.heard(records.len(), now);
        for announcement in records {
            let at = (announcement.key, announcement.scope);
            let is_doubtful = self.doubts.covers(at.0, at.1, &announcement.record);
            if is_doubtful || !is_plausible(&announcement.record, now) {
                continue;
            }
            let held = announcement.body.is_some();
            let holder = announcement.holder.as_ref().unwrap_or(from);
            if self.index.insert(&announcement, holder, held) == Change::New || held {
                self.effects.push_back(Effect::Keep { holder: holder.clone(), announcement });
            }
        }
    }

    fn forget_doubtful(&mut self) {
        let gone = self.index.retain(|(key, scope), candidate| !self.doubts.covers(key, scope, &candidate.record));
        self.effects.extend(gone.into_iter().map(|(key, scope)| Effect::Forget { key, scope }));
    }

    fn resolve(&mut self, ask: AskId, outcome: Outcome) {
        self.asks.remove(&ask);
        self.effects.push_back(Effect::Resolve { ask, outcome });
    }
}

/// Whether a peer's times can be true. They are refused rather than clamped, since the tag binds them.
fn is_plausible(record: &Record, now: Millis) -> bool {
    let ahead = now.after(wire::limits::CLOCK_AHEAD_MAX);
    let fresh_max = ahead.after(wire::limits::FRESH_AHEAD_MAX);
    record.validated_at <= ahead
        && Millis::from_secs(record.version.date_secs) <= ahead
        && record.fresh_until <= fresh_max
        && record.proved_until <= fresh_max
        && record.stale_until <= fresh_max.after(wire::limits::STALE_AHEAD_MAX)
        && record.may_be_stale(now)
        && record.status == 200
}

mod copies;
mod pulls;
mod search;
#[cfg(test)]
mod tests;
