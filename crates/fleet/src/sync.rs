//! Anti-entropy of the index: what gossip has lost, or told before this node came, is found by
//! comparing with a neighbour (negentropy), or taken as a snapshot where too much is missing.

mod begun;
mod budget;
mod element;
mod served;
mod set;
mod when;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use wire::{Announcement, Cursor, Message, Millis, Peer, Role, SyncStep, SyncWord, Want, WantWord};

use crate::{
    Effect,
    announce::bytes_of,
    asks::PeerState,
    index::{At, Index},
    limits,
};
use begun::{Begun, Stage};
use budget::Budget;
pub use element::Element;
use served::Served;

/// The comparisons of one node with its neighbours.
pub struct Sync {
    me: Peer,
    role: Role,
    /// The session that this node has begun.
    begun: Option<Begun>,
    /// Those that neighbours have begun.
    served: BTreeMap<Peer, Served>,
    /// When each neighbour was last let begin a comparison.
    served_at: BTreeMap<Peer, Millis>,
    /// Neighbours that have come and with whom nothing was compared yet.
    newcomers: BTreeSet<Peer>,
    /// Counts the sessions that this node has begun.
    count: u64,
    begun_at: Option<Millis>,
    next_at: Option<Millis>,
    synced_at: Option<Millis>,
    /// A snapshot is needed, or under way: where it goes on.
    snapshot: Option<Option<Cursor>>,
    /// When a neighbour that knows much more was last asked for one.
    outgrown_at: Option<Millis>,
    /// Whom the last session failed with.
    failed: Option<Peer>,
    /// It was gone or silent: what it was asked for is asked elsewhere at once.
    moves_on: bool,
    has_caught_up: bool,
    for_comparisons: Budget,
    for_snapshots: Budget,
}

/// What a session may look at.
#[derive(Clone, Copy)]
pub struct View<'a> {
    pub index: &'a Index,
    pub peers: &'a BTreeMap<Peer, PeerState>,
    /// Members known, this one included.
    pub members: usize,
    pub now: Millis,
}

type Out = VecDeque<Effect>;

impl Sync {
    pub fn new(me: Peer, role: Role) -> Self {
        Self {
            me,
            role,
            begun: None,
            served: BTreeMap::new(),
            served_at: BTreeMap::new(),
            newcomers: BTreeSet::new(),
            count: 0,
            begun_at: None,
            next_at: None,
            synced_at: None,
            snapshot: None,
            outgrown_at: None,
            failed: None,
            moves_on: false,
            has_caught_up: false,
            for_comparisons: Budget::new(limits::SYNC_BYTES_PER_SEC, limits::SYNC_BYTES_BURST),
            for_snapshots: Budget::new(limits::SNAPSHOT_BYTES_PER_SEC, limits::SNAPSHOT_BYTES_BURST),
        }
    }

    /// Whether a neighbour has told all that this node missed, or has nothing to tell.
    pub fn has_caught_up(&self) -> bool {
        self.has_caught_up
    }

    pub fn peer_ready(&mut self, peer: Peer, view: View) {
        let is_away = self.synced_at.is_none_or(|at| view.now.since(at) > limits::AWAY_MAX);
        if view.peers.contains_key(&peer) && (is_away || self.role != Role::Ephemeral) {
            self.newcomers.insert(peer);
        }
    }

    pub fn peer_gone(&mut self, peer: &Peer, now: Millis) {
        self.newcomers.remove(peer);
        self.served.remove(peer);
        self.served_at.remove(peer);
        if self.begun.as_ref().is_some_and(|begun| begun.peer == *peer) {
            self.fail(now);
            self.moves_on = true;
        }
    }

    /// Whether a neighbour's announce is what it tells in a session, and no news.
    pub fn is_told(&mut self, from: &Peer, now: Millis) -> bool {
        let begun = self.begun.as_mut().filter(|begun| begun.peer == *from).map(|begun| &mut begun.heard_at);
        let served = self.served.get_mut(from).map(|served| &mut served.heard_at);
        let heard_at: Vec<&mut Millis> = begun.into_iter().chain(served).collect();
        let is_told = !heard_at.is_empty();
        heard_at.into_iter().for_each(|at| *at = now);
        is_told
    }

    pub fn heard(&mut self, from: &Peer, step: SyncStep, view: View, out: &mut Out) {
        let SyncStep { session, entries, word } = step;
        match word {
            SyncWord::Ask { cutoff_secs, frame } => {
                self.asked(from, session, Millis::from_secs(cutoff_secs), &frame, view, out);
            }
            SyncWord::Answer { frame } => self.answered(from, session, entries, &frame, view, out),
            SyncWord::No => {
                if self.is_begun(from, session) {
                    self.fail(view.now);
                }
            }
        }
    }

    pub fn wanted(&mut self, from: &Peer, want: Want, view: View, out: &mut Out) {
        let Want { session, word } = want;
        match word {
            WantWord::Places(places) => self.want_places(from, session, &places, view),
            WantWord::Page { from: cursor, records_max } => {
                self.want_page(from, session, cursor, records_max.into(), view, out);
            }
            WantWord::Told { next } if self.is_begun(from, session) => self.told(next, view, out),
            WantWord::Told { .. } => {
                if self.served.get(from).is_some_and(|served| served.session == session) {
                    self.served.remove(from);
                    self.synced(view.now);
                }
            }
        }
    }

    /// Does what is due: ends what is silent, tells what the budget allows, begins what it is time for.
    pub fn step(&mut self, view: View, out: &mut Out) {
        let is_silent = |heard_at: Millis| view.now.since(heard_at) >= limits::SYNC_SILENCE_MAX;
        self.served.retain(|_, served| !is_silent(served.heard_at));
        if self.begun.as_ref().is_some_and(|begun| is_silent(begun.heard_at)) {
            self.fail(view.now);
            self.moves_on = true;
        }
        self.tell(view, out);
        self.begin_if_due(view, out);
    }

    /// When [`Sync::step`] is needed, if nothing else happens before.
    pub fn due(&self, peers: &BTreeMap<Peer, PeerState>) -> Option<Millis> {
        let heard = self.served.values().map(|served| served.heard_at).chain(self.begun.iter().map(|b| b.heard_at));
        let silent = heard.map(|at| at.after(limits::SYNC_SILENCE_MAX));
        let telling = self.begun.iter().any(Begun::is_telling);
        let comparing = telling || self.served.values().any(|served| served.is_telling() && !served.is_page());
        let paging = self.served.values().any(|served| served.is_telling() && served.is_page());
        let comparing = comparing.then(|| self.for_comparisons.free_at());
        let paging = paging.then(|| self.for_snapshots.free_at());
        silent.chain(comparing).chain(paging).chain(self.begins_at(peers)).min()
    }

    /// Sends what waits to be told, as far as the budgets allow.
    fn tell(&mut self, view: View, out: &mut Out) {
        let now = view.now;
        for (peer, served) in &mut self.served {
            let budget = if served.is_page() { &mut self.for_snapshots } else { &mut self.for_comparisons };
            if tell_some(&self.me, peer, &mut served.telling, budget, view, out) {
                served.heard_at = now;
            }
            if let Some(next) = served.then.take_if(|_| served.telling.is_empty()) {
                let message = Message::Want(Want { session: served.session, word: WantWord::Told { next } });
                out.push_back(Effect::Send { to: peer.clone(), message });
            }
        }
        self.served.retain(|_, served| !served.is_over());
        let Some(begun) = &mut self.begun else { return };
        let Begun { peer, stage, heard_at, .. } = begun;
        if let Stage::Settling { telling, .. } = stage
            && tell_some(&self.me, peer, telling, &mut self.for_comparisons, view, out)
        {
            *heard_at = now;
        }
        if begun.is_over() {
            // The neighbour's part ends with it, too.
            let word = WantWord::Told { next: None };
            let message = Message::Want(Want { session: begun.session, word });
            out.push_back(Effect::Send { to: begun.peer.clone(), message });
            self.succeed(view);
        }
    }
}

/// Tells the newest records of `telling` while the budget lasts. Returns whether it told any.
fn tell_some(me: &Peer, to: &Peer, telling: &mut VecDeque<At>, budget: &mut Budget, view: View, out: &mut Out) -> bool {
    let mut has_told = false;
    while !telling.is_empty() && budget.free_at() <= view.now {
        let (mut records, mut bytes) = (Vec::new(), 0);
        while let Some(at) = telling.front() {
            if let Some(announcement) = announcement(*at, me, to, view) {
                bytes += bytes_of(&announcement.record, None) + wire::limits::PEER_CHARS_MAX;
                let is_full = records.len() == wire::limits::TOLD_RECORDS_MAX || bytes > wire::limits::TOLD_BYTES_MAX;
                if is_full && !records.is_empty() {
                    break;
                }
                records.push(announcement);
            }
            telling.pop_front();
        }
        if !records.is_empty() {
            has_told = true;
            budget.spend(bytes as u64, view.now);
            out.push_back(Effect::Send { to: to.clone(), message: Message::Announce(records) });
        }
    }
    has_told
}

/// What `to` is told of `at`: the newest record, and who has its body if this node has not. A holder
/// that is connected comes first; one that is not is better than none.
fn announcement(at: At, me: &Peer, to: &Peer, view: View) -> Option<Announcement> {
    let candidate = view.index.candidates(at).first()?;
    let others = candidate.holders.iter().filter(|holder| *holder != me);
    let nearest = others.min_by_key(|holder| (*holder == to, !view.peers.contains_key(*holder)));
    let holder = nearest.filter(|_| !candidate.held).cloned();
    let (record, tag) = (candidate.record.clone(), candidate.tag);
    Some(Announcement { key: at.0, scope: at.1, record, tag, body: None, holder })
}
