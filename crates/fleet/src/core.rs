use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::Duration,
};

use wire::{Announcement, Grave, Holding, KeyId, LeaseEnd, Message, Millis, Peer, Record, Role, ScopeId, Tombstone};

use crate::{
    AskId, Effect, Input, Outcome,
    announce::Outbox,
    asks::{Ask, PeerState, Question},
    doubt::Graves,
    index::{Candidate, Change, Index},
    leases::Leases,
    limits,
    members::{MemberView, Members},
    notices::Notices,
    offer::{Kin, Refuted},
    origin_date::OriginDate,
    pace::Pace,
    past::Past,
    speakers::Speakers,
    sync::{Sync, View},
};
use claims::{Failures, Led};

pub struct Config {
    pub me: Peer,
    pub role: Role,
    /// When this node was started.
    pub since: Millis,
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
    members: Members,
    index: Index,
    past: Past,
    graves: Graves,
    /// What peers told up to this date only this machine doubts.
    doubted_here: u64,
    speakers: Speakers,
    origin_date: OriginDate,
    asks: BTreeMap<AskId, Ask>,
    /// Leases that other questions of ours hold while the origin is asked.
    led: BTreeMap<AskId, Led>,
    /// Leases of the keys that this node owns.
    leases: Leases,
    failures: Failures,
    pace: Pace,
    copies: copies::Copies,
    told_of: holders::Waiting,
    kin: Kin,
    refuted: Refuted,
    outbox: Outbox,
    sync: Sync,
    notices: Notices,
    leaving: Option<Leaving>,
    effects: VecDeque<Effect>,
}

impl Fleet {
    pub fn new(config: Config) -> Self {
        Self {
            members: Members::new(config.me.clone(), config.role, config.since),
            sync: Sync::new(config.me.clone(), config.role),
            config,
            peers: BTreeMap::new(),
            index: Index::default(),
            past: Past::default(),
            graves: Graves::default(),
            doubted_here: 0,
            speakers: Speakers::default(),
            origin_date: OriginDate::default(),
            asks: BTreeMap::new(),
            led: BTreeMap::new(),
            leases: Leases::default(),
            failures: Failures::default(),
            pace: Pace::default(),
            copies: copies::Copies::new(),
            told_of: holders::Waiting::default(),
            kin: Kin::default(),
            refuted: Refuted::default(),
            outbox: Outbox::default(),
            notices: Notices::default(),
            leaving: None,
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
                    self.speakers.connected(&peer, now);
                    self.peers.insert(peer, PeerState::new(near));
                }
            }
            Input::PeerReady { peer } => {
                self.members.listened_to(now);
                let member = self.members.own(self.index.len());
                self.effects.push_back(Effect::Send { to: peer.clone(), message: Message::Member(member) });
                self.tell_tombstones(&peer);
                let limits = self.notices.catch_up(now).into_iter();
                self.effects.extend(limits.map(|message| Effect::Send { to: peer.clone(), message }));
                self.sync.peer_ready(peer, view(&self.index, &self.peers, &self.members, now));
            }
            Input::Limited { notice } => self.notices.tell(notice, now),
            Input::PeerGone { peer } => self.peer_gone(&peer, now),
            Input::RoundTrip { peer, millis } => {
                if let Some(state) = self.peers.get_mut(&peer) {
                    state.round_trip = Some(Duration::from_millis(millis.into()));
                }
            }
            Input::Filled { announcement, ask } => {
                self.origin_date.note(announcement.record.version.date_secs, now);
                // What a write has made doubtful is nobody else's, and the next answer may be so, too.
                let end = self.filled(announcement, now).map_or(LeaseEnd::Alone, LeaseEnd::Filled);
                ask.into_iter().for_each(|ask| self.release(ask, Some(end.clone()), now));
            }
            Input::Ended { ask, end } => self.release(ask, end, now),
            Input::Remembered { key, scope, holding: Holding { record, tag }, body_held } => {
                if !self.is_doubtful(key, scope, &record) {
                    let announcement = Announcement { key, scope, record, tag, body: None, holder: None };
                    self.index.insert(&announcement, &self.config.me, body_held);
                }
            }
            Input::Heard { from, message } => self.heard(&from, message, now),
            Input::Asked { ask, key, scope, tag_key, want, across, known, claim } => {
                if self.asks.len() >= limits::ASKS_MAX {
                    return self.resolve(ask, Outcome::Nothing, now);
                }
                let question = Question { key, scope, tag_key, want, across, known };
                self.asks.insert(ask, Ask::new(question, claim, now));
                self.advance(ask, now);
            }
            Input::Pulled { ask, from, result } => self.pulled(ask, &from, result, now),
            Input::PullBegan { ask, from } => self.pull_began(ask, &from, now),
            Input::PullStalled { ask, from } => self.pull_stalled(ask, &from, now),
            Input::Fetched { from, announcement, result } => self.fetched(&from, &announcement, result),
            Input::Cancelled { ask } => self.abandon(ask, now),
            Input::Leaving => self.leave(now),
            Input::LeftOut(records) => self.no_longer_awaits(records),
            Input::Counted { charged, proofs, hits } => self.members.count(charged, proofs, hits),
            Input::Invalidated { touched, date_secs } => {
                self.origin_date.note(date_secs, now);
                self.bury_own(tombstones::of_write(touched, date_secs), now);
            }
            Input::Denied { scope, key, date_secs } => {
                self.origin_date.note(date_secs, now);
                let of = key.map_or(Grave::Scope(scope), |key| Grave::Denied(key, scope));
                self.bury_own([Tombstone { of, date_secs }], now);
            }
            Input::Buried { tombstones } => self.bury_again(tombstones),
            Input::Doubted { date_secs } => self.doubt_here(date_secs),
            Input::BodyLost { digest } => {
                self.past.body_lost(digest);
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
        self.wake_claims(now);
        self.tell_of_copies(now);
        if self.peers.is_empty() {
            // Nobody hears it; the first neighbour compares.
            self.outbox.clear();
            self.notices.clear();
        } else {
            if let Some(batch) = self.outbox.next_batch(now) {
                self.effects.push_back(Effect::Publish(Message::Announce(batch)));
            }
            if self.members.due() <= now {
                self.members.told(now);
                let member = self.members.own(self.index.len());
                self.effects.push_back(Effect::Publish(Message::Member(member)));
            }
        }
        if let Some(limits) = self.notices.next_batch(now) {
            self.effects.push_back(Effect::Publish(limits));
        }
        self.graves.expire(now);
        for (key, scope) in self.index.expire(now) {
            self.effects.push_back(Effect::Forget { key, scope });
        }
        self.expire_past(now);
        self.sync.step(view(&self.index, &self.peers, &self.members, now), &mut self.effects);
    }

    pub fn next_effect(&mut self) -> Option<Effect> {
        if self.is_of_before() {
            self.effects.retain(|effect| match effect {
                Effect::Publish(message) | Effect::Send { message, .. } => matches!(message, Message::Announce(_)),
                _ => true,
            });
        }
        self.effects.pop_front()
    }

    /// When [`Fleet::wake`] is needed, if nothing else happens before.
    pub fn next_deadline(&self) -> Option<Millis> {
        let asks = self.asks.values().flat_map(|ask| [ask.deadline, ask.pulls.hedge_at]).flatten();
        let tells = (!self.peers.is_empty()).then(|| self.members.due());
        let asks = asks
            .chain(self.outbox.due())
            .chain(self.notices.due())
            .chain(tells)
            .chain(self.claims_due())
            .chain(self.told_of.due());
        asks.chain(self.sync.due(&self.peers)).min()
    }

    pub fn index_len(&self) -> usize {
        self.index.len()
    }

    pub fn members_len(&self) -> usize {
        self.members.len()
    }

    pub fn graves_len(&self) -> usize {
        self.graves.len()
    }

    pub fn asks_len(&self) -> usize {
        self.asks.len()
    }

    /// The other members, as far as they have said who they are.
    pub fn members(&self) -> impl Iterator<Item = MemberView> {
        self.members.view(|peer| self.peers.get(peer).map(|state| state.round_trip))
    }

    /// Whether a neighbour has told what this node missed, or has nothing to tell.
    pub fn has_caught_up(&self) -> bool {
        self.sync.has_caught_up()
    }

    fn peer_gone(&mut self, peer: &Peer, now: Millis) {
        self.peers.remove(peer);
        if self.peers.is_empty() {
            self.members.alone();
        }
        self.owner_gone(peer, now);
        self.sync.peer_gone(peer, now);
        self.pulls_end_with(peer, now);
    }

    /// Returns what those are told who wait for this very answer.
    fn filled(&mut self, mut announcement: Announcement, now: Millis) -> Option<Box<Announcement>> {
        let at = (announcement.key, announcement.scope);
        // A write may have gone out while this was on its way here.
        if self.is_doubtful(at.0, at.1, &announcement.record) {
            return None;
        }
        let known = self.index.candidates(at).iter().map(|c| c.record.fresh_until).max();
        let fresh_until = announcement.record.fresh_until;
        let digest = announcement.record.version.digest;
        self.kin.learn(at, &announcement.record, self.index.candidates(at), self.index.scopes_of(at.0));
        let told = self.index.scopes_of(at.0).flat_map(|(_, candidates)| candidates);
        let right = told.filter(|candidate| candidate.record.version.digest == digest);
        self.refuted.clear(right.flat_map(|candidate| &candidate.holders));
        // A body that others know of is not sent once more for another credential.
        let is_known = |candidate: &Candidate| candidate.record.version.digest == digest;
        if self.index.scopes_of(at.0).flat_map(|(_, candidates)| candidates).any(is_known) {
            announcement.body = None;
        }
        self.index.insert(&announcement, &self.config.me, true);
        self.past.remove(at);
        // What is only confirmed is told if the news is worth it: half a lifetime or more.
        let told = Box::new(announcement.clone());
        let gained = fresh_until.since(known.unwrap_or_default());
        let is_news = gained >= fresh_until.since(now) / 2;
        if is_news && fresh_until.since(now) >= limits::ANNOUNCE_REMAINING_MIN {
            self.outbox.push(announcement, self.peers.len() + 1, now);
        }
        Some(told)
    }

    fn heard(&mut self, from: &Peer, message: Message, now: Millis) {
        if *from == self.config.me || self.is_of_before() && !matches!(message, Message::Announce(_)) {
            return;
        }
        match message {
            Message::Announce(records) => self.announced(from, records, now),
            Message::Member(member) => self.members.hear(from, member, now),
            Message::Claim(claim) => self.claimed(from, &claim, now),
            Message::ClaimReply(reply) => self.on_word(AskId(reply.id), from, reply.key, reply.word, now),
            Message::LeaseNews(news) => self.lease_news(from, news, now),
            Message::Tombstones(tombstones) => self.tombstones_heard(from, tombstones, now),
            Message::Limits(notices) => {
                let notices = self.notices.hear(from, &self.config.me, notices, now);
                if !notices.is_empty() {
                    self.effects.push_back(Effect::Limits { from: from.clone(), notices });
                }
            }
            Message::Sync(step) => {
                self.sync.heard(from, step, view(&self.index, &self.peers, &self.members, now), &mut self.effects);
            }
            Message::Want(want) => {
                self.sync.wanted(from, want, view(&self.index, &self.peers, &self.members, now), &mut self.effects);
            }
            // Whom to dial is decided elsewhere.
            Message::Exchange(_) => {}
        }
    }

    fn announced(&mut self, from: &Peer, records: Vec<Announcement>, now: Millis) {
        if !self.sync.is_told(from, now) {
            self.outbox.heard(records.len(), now);
        }
        let keys: BTreeSet<KeyId> = records.iter().map(|announcement| announcement.key).collect();
        self.taken_over(from, &records);
        for announcement in records {
            let at = (announcement.key, announcement.scope);
            let is_doubtful = self.is_doubtful(at.0, at.1, &announcement.record);
            if is_doubtful || !is_plausible(&announcement.record, now) {
                continue;
            }
            let held = announcement.body.is_some();
            if held && announcement.holder.as_ref() == Some(&self.config.me) {
                self.take_over(&announcement, now);
            }
            let holder = self.holder_of(&announcement, from).clone();
            self.past.remove(at);
            if self.index.insert(&announcement, &holder, held) == Change::New || held {
                self.effects.push_back(Effect::Keep { from: from.clone(), announcement });
            }
        }
        // Who waits for somebody's answer may have been given it.
        let waits = |ask: &Ask| ask.claiming.is_some() && ask.pulls.under_way.is_empty() && keys.contains(&ask.key);
        let waiting: Vec<AskId> = self.asks.iter().filter(|(_, ask)| waits(ask)).map(|(id, _)| *id).collect();
        waiting.into_iter().for_each(|ask| self.advance(ask, now));
    }

    fn is_doubtful(&self, key: KeyId, scope: ScopeId, record: &Record) -> bool {
        let date_secs = record.version.date_secs;
        date_secs <= self.doubted_here || self.graves.cover(key, scope, record.family, date_secs)
    }

    /// In the simulator: this node neither says nor hears anything but announces.
    fn is_of_before(&self) -> bool {
        canary::is_of_before(self.config.me.as_str())
    }

    fn resolve(&mut self, ask: AskId, outcome: Outcome, now: Millis) {
        self.effects.push_back(Effect::Resolve { ask, outcome });
        if let Some(state) = self.asks.remove(&ask) {
            self.stop_claiming(ask, state, now);
        }
    }
}

/// What a comparison of indexes may look at.
fn view<'a>(index: &'a Index, peers: &'a BTreeMap<Peer, PeerState>, members: &Members, now: Millis) -> View<'a> {
    // Those of before say nothing of themselves.
    View { index, peers, members: members.len().max(peers.len()) + 1, now }
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

mod claims;
mod copies;
mod holders;
mod leave;
mod pulls;
mod search;
#[cfg(test)]
mod tests;
mod tombstones;

use leave::Leaving;
