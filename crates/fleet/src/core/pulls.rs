//! Bodies on their way here: whom they are asked of, when one more is asked, and who wins.
//!
//! A small body is a race: who is later than usual gets a rival, and the first good answer wins. Of a
//! large one only its beginning is a race; from then on it comes from one holder, and if that stalls
//! or breaks off, the next one goes on where it stopped.

use wire::{Digest, Millis, Peer, PullRequest, Record, Tag};

use super::Fleet;
use crate::{
    AskId, Effect, Outcome, PullFailure,
    asks::{Ask, Pulling, patience},
    index::{At, Candidate},
    limits,
    pace::Turn,
    spread::number_of,
};

/// Where a body can be had.
pub(super) struct Holder {
    peer: Peer,
    at: At,
    record: Record,
    tag: Option<Tag>,
}

impl Fleet {
    /// The best of these candidates' holders that is connected and was not asked before.
    pub(super) fn best_holder<'a>(
        &self,
        id: AskId,
        ask: &Ask,
        candidates: impl Iterator<Item = (At, &'a Candidate)>,
        now: Millis,
    ) -> Option<Holder> {
        if ask.pulls.started >= limits::PULL_ATTEMPTS_MAX {
            return None;
        }
        let holders = candidates.flat_map(|(at, c)| c.holders.iter().map(move |holder| (holder, at, c)));
        let untried = holders.filter(|(holder, ..)| !ask.pulls.tried.contains(*holder));
        let ranked = untried.filter_map(|(holder, at, candidate)| {
            Some((self.peers.get(holder)?.rank(now), self.spread(id, holder), holder, at, candidate))
        });
        let (_, _, peer, at, candidate) = ranked.min_by_key(|(rank, spread, ..)| (*rank, *spread))?;
        let Candidate { record, tag, .. } = candidate;
        Some(Holder { peer: peer.clone(), at, record: record.clone(), tag: *tag })
    }

    /// Asks one more holder for a body.
    pub(super) fn start_pull(&mut self, id: AskId, holder: Holder, now: Millis) {
        let Holder { peer: from, at, record, tag } = holder;
        let (Some(state), Some(ask)) = (self.peers.get(&from), self.asks.get_mut(&id)) else { return };
        let digest = record.version.digest;
        let is_near = state.is_near();
        ask.deadline.get_or_insert(ask.clock.after(patience(state, record.body_bytes)));
        let pulls = &mut ask.pulls;
        pulls.tried.insert(from.clone());
        pulls.started += 1;
        pulls.under_way.push(Pulling { from: from.clone(), at, digest, since: now, began: false });
        let soonest = now.after(limits::HEDGE_WAIT_MIN);
        pulls.hedge_at = match pulls.under_way.as_slice() {
            [first] => Some(first.since.after(self.pace.wait(is_near, Turn::Second))),
            [first, _] => Some(first.since.after(self.pace.wait(is_near, Turn::Third)).max(soonest)),
            _ => None,
        };
        let resume = !pulls.from_one;
        let request = PullRequest { key: at.0, scope: at.1, digest, from_segment: 0 };
        self.effects.push_back(Effect::Pull { ask: id, from, request, record, tag, resume });
    }

    /// Starts the rivals that are due, of holders that are later than usual.
    pub(super) fn hedge_late_pulls(&mut self, now: Millis) {
        let is_due = |ask: &Ask| ask.pulls.hedge_at.is_some_and(|at| at <= now);
        let due: Vec<AskId> = self.asks.iter().filter(|(_, ask)| is_due(ask)).map(|(id, _)| *id).collect();
        for id in due {
            self.hedge(id, now);
        }
    }

    /// The first part of a large body is here: from now on it is this holder's.
    pub(super) fn pull_began(&mut self, id: AskId, from: &Peer, now: Millis) {
        let Some(ask) = self.asks.get_mut(&id) else { return };
        let Some(mut pulling) = ask.pulls.take(from) else { return };
        if !pulling.began {
            self.note_answer(&pulling, now);
        }
        pulling.began = true;
        self.cancel_rivals(id, Some(pulling.since), now);
        let Some(ask) = self.asks.get_mut(&id) else { return };
        ask.pulls.hedge_at = None;
        ask.pulls.under_way.push(pulling);
    }

    /// No part has come for a while. Whoever else holds the body goes on; if nobody does, this holder is
    /// waited for until the deadline.
    pub(super) fn pull_stalled(&mut self, id: AskId, from: &Peer, now: Millis) {
        let Some(digest) = self.asks.get(&id).filter(|ask| ask.pulls.has(from)).and_then(pulled_digest) else { return };
        self.note_failure(from, now);
        let Some(next) = self.next_holder(id, digest, now) else { return };
        if let Some(ask) = self.asks.get_mut(&id) {
            ask.pulls.take(from);
        }
        self.effects.push_back(Effect::CancelPull { ask: id, from: from.clone() });
        self.start_pull(id, next, now);
    }

    pub(super) fn pulled(&mut self, id: AskId, from: &Peer, result: Result<(), PullFailure>, now: Millis) {
        let Some(pulling) = self.asks.get_mut(&id).and_then(|ask| ask.pulls.take(from)) else { return };
        let Pulling { at, digest, since, began, .. } = pulling;
        match result {
            Ok(()) => {
                if !began {
                    self.note_answer(&pulling, now);
                }
                self.cancel_rivals(id, Some(since), now);
                self.index.mark_held(at.0, digest);
                self.plan_to_tell(id, at, digest, now);
                self.past.mark_held(at.0, digest);
                return self.advance(id, now);
            }
            Err(PullFailure::Unavailable) => {
                self.note_failure(from, now);
                self.no_longer_holds(at, digest, from);
            }
            Err(PullFailure::Wrong) => {
                self.no_longer_holds(at, digest, from);
                self.drop_liar(from);
            }
            Err(PullFailure::Mixed) => {
                if let Some(ask) = self.asks.get_mut(&id) {
                    ask.pulls.from_one = true;
                    ask.pulls.tried.remove(from);
                }
            }
        }
        let Some(ask) = self.asks.get(&id) else { return };
        if ask.pulls.under_way.is_empty() {
            self.advance(id, now);
        } else if !ask.pulls.under_way.iter().any(|pulling| pulling.began) {
            self.hedge(id, now);
        }
    }

    /// What was asked of this peer goes on elsewhere.
    pub(super) fn pulls_end_with(&mut self, peer: &Peer, now: Millis) {
        let asks: Vec<AskId> = self.asks.iter().filter(|(_, ask)| ask.pulls.has(peer)).map(|(id, _)| *id).collect();
        for ask in asks {
            self.effects.push_back(Effect::CancelPull { ask, from: peer.clone() });
            self.pulled(ask, peer, Err(PullFailure::Unavailable), now);
        }
    }

    /// Ends a question whose time is over, and what is still on its way for it.
    pub(super) fn give_up(&mut self, id: AskId, now: Millis) {
        self.cancel_rivals(id, None, now);
        self.resolve(id, Outcome::Nothing, now);
    }

    pub(super) fn drop_liar(&mut self, peer: &Peer) {
        let why = "it sent a body with another digest";
        self.effects.push_back(Effect::DropPeer { peer: peer.clone(), why });
    }

    fn hedge(&mut self, id: AskId, now: Millis) {
        let Some(ask) = self.asks.get_mut(&id) else { return };
        ask.pulls.hedge_at = None;
        let Some(digest) = pulled_digest(ask) else { return };
        if let Some(next) = self.next_holder(id, digest, now) {
            self.start_pull(id, next, now);
        }
    }

    /// Who else can send the body that is on its way.
    fn next_holder(&self, id: AskId, digest: Digest, now: Millis) -> Option<Holder> {
        let ask = self.asks.get(&id)?;
        let choices = self.choices(ask, now);
        let same = choices.into_iter().filter(|(_, _, candidate)| candidate.record.version.digest == digest);
        self.best_holder(id, ask, same.map(|(_, at, candidate)| (at, candidate)), now)
    }

    /// Ends what is on its way but for the winner, which was started at `won`. Whoever began before it
    /// and is not here yet has let this node wait; none of them has failed.
    fn cancel_rivals(&mut self, id: AskId, won: Option<Millis>, now: Millis) {
        let Some(ask) = self.asks.get_mut(&id) else { return };
        let rivals = std::mem::take(&mut ask.pulls.under_way);
        for Pulling { from, since, began, .. } in rivals {
            // It may still be asked for the rest.
            ask.pulls.tried.remove(&from);
            let let_us_wait = won.is_none_or(|won| since < won);
            if let Some(state) = self.peers.get_mut(&from).filter(|_| let_us_wait) {
                state.failed(now);
                if !began {
                    self.pace.note(state.is_near(), now.since(since));
                }
            }
            self.effects.push_back(Effect::CancelPull { ask: id, from });
        }
    }

    fn note_answer(&mut self, pulling: &Pulling, now: Millis) {
        if let Some(state) = self.peers.get_mut(&pulling.from) {
            let took = now.since(pulling.since);
            state.answered(took);
            self.pace.note(state.is_near(), took);
        }
    }

    fn note_failure(&mut self, peer: &Peer, now: Millis) {
        if let Some(state) = self.peers.get_mut(peer) {
            state.failed(now);
        }
    }

    pub(super) fn no_longer_holds(&mut self, at: At, digest: Digest, peer: &Peer) {
        self.past.no_longer_holds(at, digest, peer);
        self.index.retain_at(at, |candidate| {
            if candidate.record.version.digest == digest {
                candidate.holders.remove(peer);
            }
            candidate.held || !candidate.holders.is_empty()
        });
    }

    /// Among equals each node, and each question, begins elsewhere.
    fn spread(&self, id: AskId, holder: &Peer) -> u64 {
        number_of(&[self.config.me.as_str().as_bytes(), &id.0.to_be_bytes(), holder.as_str().as_bytes()])
    }
}

fn pulled_digest(ask: &Ask) -> Option<Digest> {
    Some(ask.pulls.under_way.first()?.digest)
}
