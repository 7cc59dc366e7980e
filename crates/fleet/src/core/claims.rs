//! One question to the origin for all who ask it: who claims, who waits, who goes.
//!
//! A claim is sent to an owner of the key and never forwarded. Whoever was told to wait does so for
//! as long as the origin is expected to take, whatever the lease says; silence means go.

use std::{collections::BTreeMap, time::Duration};

use canary::Bug;
use wire::{
    Announcement, Claim, ClaimReply, ClaimWord, KeyId, LeaseEnd, LeaseNews, Message, Millis, News, Peer, Purpose,
    ScopeId,
};

use super::Fleet;
use crate::{
    Across, AskId, Effect, Outcome,
    asks::{Ask, Claiming, PeerState},
    index::Candidate,
    leases::{Claimant, Words},
    limits,
};

/// A lease that one of our questions holds.
pub struct Led {
    claim: Claim,
    /// Who keeps it; `None` once every owner is gone.
    owner: Option<Peer>,
    renew_at: Millis,
    until: Millis,
}

/// What members say of the origin's failures, believed within a rate.
#[derive(Default)]
pub struct Failures(BTreeMap<Peer, (Millis, u32)>);

impl Failures {
    fn believes(&mut self, owner: &Peer, now: Millis) -> bool {
        self.0.retain(|_, (began, _)| now.since(*began) < limits::FAILURES_WINDOW);
        let (_, count) = self.0.entry(owner.clone()).or_insert((now, 0));
        *count += 1;
        *count <= limits::FAILURES_MAX
    }
}

impl Fleet {
    /// Claims the question at the next owner, unless it has done so; with nobody to claim it at, it goes.
    pub(super) fn claim(&mut self, id: AskId, now: Millis) {
        let Some(ask) = self.asks.get(&id).filter(|ask| ask.claiming.is_none()) else { return };
        let next = self.next_owner(ask, now);
        let purpose = self.purpose(ask, now);
        let Some(ask) = self.asks.get_mut(&id) else { return };
        let Some((owner, until)) = next else {
            ask.may_go = true;
            return self.advance(id, now);
        };
        ask.owners_tried.insert(owner.clone());
        ask.claiming = Some(Claiming { owner: owner.clone(), purpose, until, is_waiting: false, is_queued: false });
        let claim = Claim { id: id.0, key: ask.key, scope: ask.scope, purpose, insists: ask.insists };
        self.claim_at(owner, claim, now);
    }

    /// Takes a claim of our own to its owner, who may be this node.
    fn claim_at(&mut self, owner: Peer, claim: Claim, now: Millis) {
        if owner != self.config.me {
            return self.effects.push_back(Effect::Send { to: owner, message: Message::Claim(claim) });
        }
        let Claim { id, key, scope, purpose, .. } = claim;
        let mut by = Claimant { peer: owner.clone(), id };
        if canary::sings(Bug::WaitsOnItself) {
            // As if another of its own asked already.
            let _ = self.leases.claim(by.clone(), key, scope, purpose, now);
            by.id = u64::MAX;
        }
        let word = self.leases.claim(by, key, scope, purpose, now);
        self.on_word(AskId(id), &owner, key, word, now);
    }

    /// At whom to claim next, and when he counts as silent.
    fn next_owner(&self, ask: &Ask, now: Millis) -> Option<(Peer, Millis)> {
        if self.peers.is_empty() || ask.rounds >= limits::CLAIM_ROUNDS_MAX {
            return None;
        }
        let owners = self.members.owners(ask.key, self.peers.keys().cloned());
        let may_answer = |owner: &Peer| !ask.owners_tried.contains(owner) && !self.members.is_silent(owner, now);
        let owner = owners.into_iter().find(may_answer)?;
        let budget_ends = ask.clock.after(self.budget_of(&owner));
        let until = now.after(self.claim_wait(&owner)).min(budget_ends);
        (owner == self.config.me || now < until).then_some((owner, until))
    }

    /// A version that is fresh only needs proof; else somebody must find out which one is.
    fn purpose(&self, ask: &Ask, now: Millis) -> Purpose {
        if ask.across == Across::Nothing {
            // What others are told is no help: only who holds the same credential is waited for.
            return Purpose::Proof;
        }
        let mut told = self.index.scopes_of(ask.key).flat_map(|(_, candidates)| candidates);
        let is_known = told.any(|c| now < c.record.fresh_until && self.refuted.trusts(&c.holders, now));
        if is_known { Purpose::Proof } else { Purpose::Fill }
    }

    fn budget_of(&self, owner: &Peer) -> Duration {
        let is_near = self.peers.get(owner).is_none_or(PeerState::is_near);
        if is_near { limits::PEER_BUDGET_NEAR } else { limits::PEER_BUDGET_FAR }
    }

    fn claim_wait(&self, owner: &Peer) -> Duration {
        let round_trip = self.peers.get(owner).and_then(|state| state.round_trip).unwrap_or_default();
        (3 * round_trip).clamp(limits::CLAIM_WAIT_MIN, limits::CLAIM_WAIT_MAX)
    }

    /// A member claims a key at this node, whoever it thinks owns it.
    pub(super) fn claimed(&mut self, from: &Peer, claim: &Claim, now: Millis) {
        let Claim { id, key, scope, purpose, insists } = *claim;
        let known = if insists { Vec::new() } else { self.known_for(claim, now) };
        let word = if known.is_empty() {
            self.leases.claim(Claimant { peer: from.clone(), id }, key, scope, purpose, now)
        } else {
            ClaimWord::Have(known)
        };
        self.reply(from, id, key, word, now);
    }

    /// What spares the claimant its question, if this node has heard of it and the claimant has not.
    fn known_for(&self, claim: &Claim, now: Millis) -> Vec<Announcement> {
        let Claim { key, scope, purpose, .. } = *claim;
        let own = self.index.candidates((key, scope)).iter().find(|c| c.record.is_fresh(now)).map(|c| (scope, c));
        let version = || self.newest(key, now).filter(|(_, c)| now < c.record.fresh_until);
        let best = own.or_else(|| version().filter(|_| purpose == Purpose::Fill));
        best.map(|(scope, candidate)| self.told_on(key, scope, candidate)).into_iter().collect()
    }

    /// The newest that anybody was told about `key`, as far as whoever says so can be trusted.
    fn newest(&self, key: KeyId, now: Millis) -> Option<(ScopeId, &Candidate)> {
        let told = self.index.scopes_of(key).filter_map(|(scope, candidates)| Some((scope, candidates.first()?)));
        let trusted = told.filter(|(_, candidate)| self.refuted.trusts(&candidate.holders, now));
        trusted.max_by_key(|(scope, candidate)| (candidate.record.version, *scope))
    }

    /// What an owner says to a claim of ours.
    pub(super) fn on_word(&mut self, id: AskId, owner: &Peer, key: KeyId, word: ClaimWord, now: Millis) {
        let budget = self.budget_of(owner);
        let is_awaited = |ask: &&mut Ask| ask.key == key && ask.claiming.as_ref().is_some_and(|c| c.owner == *owner);
        let Some(ask) = self.asks.get_mut(&id).filter(is_awaited) else {
            let is_led = self.led.get(&id).is_some_and(|led| led.owner.as_ref() == Some(owner));
            if matches!(word, ClaimWord::Granted { .. }) && !is_led {
                // Too late: let the next one have it.
                self.tell_owner(id, owner.clone(), key, News::Left, now);
            }
            return;
        };
        let claiming = ask.claiming.take().expect("an awaited word has a claim");
        match word {
            ClaimWord::Granted { last, .. } => {
                ask.may_go = true;
                let claim = Claim { id: id.0, key, scope: ask.scope, purpose: claiming.purpose, insists: true };
                let (renew_at, until) = (now.after(limits::LEASE_RENEWAL), now.after(limits::LEASE_TIME_MAX));
                self.led.insert(id, Led { claim, owner: Some(owner.clone()), renew_at, until });
                self.announced(owner, last.map(|last| *last).into_iter().filter(|last| last.key == key).collect(), now);
            }
            ClaimWord::Wait { since_ms } => {
                // Nobody proves for this credential yet: it is the turn that is waited for.
                let is_queued = claiming.purpose == Purpose::Proof && since_ms == 0;
                let expected = ask.claim.unwrap_or_default().longest + budget;
                let until = match claiming.purpose {
                    // Finding an owner that answers has used some of the budget.
                    Purpose::Fill => ask.clock.after(expected),
                    Purpose::Proof => now.after(expected.max(limits::PROOF_QUEUE_MAX)),
                };
                ask.claiming = Some(Claiming { until, is_waiting: true, is_queued, ..claiming });
                return;
            }
            ClaimWord::No => ask.may_go = true,
            ClaimWord::Have(records) => {
                ask.next_round(Duration::ZERO, now);
                ask.insists = true;
                self.announced(owner, records, now);
            }
            ClaimWord::Ended(end) => {
                let usual = ask.claim.unwrap_or_default().usual;
                let origin = if claiming.is_queued { usual.max(limits::PROOF_QUEUE_MAX) } else { usual };
                ask.next_round(origin, now);
                if self.take_end(id, owner, end, claiming.is_waiting, now) {
                    return;
                }
                // Of no use here (a clock that is off, a forged tag): all who waited go at once, or each
                // would wait for the one before it.
                let is_as_before = self.asks.get(&id).is_some_and(|ask| self.purpose(ask, now) == claiming.purpose);
                if let Some(ask) = self.asks.get_mut(&id) {
                    ask.may_go |= is_as_before;
                }
            }
        }
        if self.asks.get(&id).is_some_and(|ask| ask.pulls.under_way.is_empty()) {
            self.advance(id, now);
        }
    }

    /// What our question waited for has ended; returns whether that is its answer. Only of what it has
    /// waited for is a refusal or a failure believed.
    fn take_end(&mut self, id: AskId, owner: &Peer, end: LeaseEnd, has_waited: bool, now: Millis) -> bool {
        let Some(ask) = self.asks.get_mut(&id) else { return true };
        match end {
            LeaseEnd::Filled(announcement) => {
                // What another question of this node brought is no news to it.
                let digest = announcement.record.version.digest;
                let is_own = announcement.holder.as_ref() == Some(&self.config.me);
                if !is_own || !self.index.holds(announcement.key, digest) {
                    self.announced(owner, vec![*announcement], now);
                }
            }
            LeaseEnd::Told(told) => {
                let is_for_us = told.key == ask.key && told.scope == ask.scope;
                let is_genuine = match (&ask.tag_key, &told.tag) {
                    (Some(tag_key), Some(tag)) => tag_key.verify_refusal(told.key, &told.record, tag),
                    _ => false,
                };
                let told_at = told.record.validated_at;
                let age_max = ask.claim.unwrap_or_default().longest + limits::REFUSAL_SKEW_MAX;
                let is_recent = now.since(told_at) <= age_max && told_at.since(now) <= limits::REFUSAL_SKEW_MAX;
                let is_current = is_recent && !self.is_doubtful(told.key, told.scope, &told.record);
                if has_waited && is_for_us && is_genuine && is_current {
                    self.resolve(id, Outcome::Told { told }, now);
                    return true;
                }
            }
            LeaseEnd::Failed { status } => {
                if has_waited && self.failures.believes(owner, now) {
                    self.resolve(id, Outcome::Failed { status }, now);
                    return true;
                }
                self.go(id);
            }
            LeaseEnd::Alone => self.go(id),
        }
        false
    }

    fn go(&mut self, id: AskId) {
        self.asks.entry(id).and_modify(|ask| ask.may_go = true);
    }

    /// One of our questions has ended: who waits for its lease is told.
    pub(super) fn release(&mut self, id: AskId, end: Option<LeaseEnd>, now: Millis) {
        let Some(led) = self.led.remove(&id) else { return };
        let Some(owner) = led.owner else { return };
        self.tell_owner(id, owner, led.claim.key, end.map_or(News::Left, News::Ended), now);
    }

    /// Nobody asks any more: neither wait for an owner's word, nor keep a lease.
    pub(super) fn abandon(&mut self, id: AskId, now: Millis) {
        if self.asks.contains_key(&id) {
            self.give_up(id, now);
        }
        self.release(id, None, now);
    }

    pub(super) fn stop_claiming(&mut self, id: AskId, ask: Ask, now: Millis) {
        if let Some(claiming) = ask.claiming {
            self.tell_owner(id, claiming.owner, ask.question.key, News::Left, now);
        }
    }

    fn tell_owner(&mut self, id: AskId, owner: Peer, key: KeyId, news: News, now: Millis) {
        if owner == self.config.me {
            self.lease_news(&owner, LeaseNews { id: id.0, key, news }, now);
        } else {
            self.effects
                .push_back(Effect::Send { to: owner, message: Message::LeaseNews(LeaseNews { id: id.0, key, news }) });
        }
    }

    /// A claimant at this node has news.
    pub(super) fn lease_news(&mut self, from: &Peer, LeaseNews { id, key, news }: LeaseNews, now: Millis) {
        let by = Claimant { peer: from.clone(), id };
        let words = match news {
            News::Renew => return self.leases.renew(&by, key, now),
            News::Left => self.leases.left(&by, key, now),
            News::Ended(mut end) => {
                if let LeaseEnd::Filled(filled) = &mut end {
                    if filled.key != key {
                        return;
                    }
                    if *from != self.config.me {
                        self.announced(from, vec![(**filled).clone()], now);
                        // Two machines have it then, if that one is gone in a minute.
                        self.copy(from, (**filled).clone(), now);
                    }
                    filled.holder.get_or_insert(from.clone());
                }
                self.leases.ended(&by, key, &end, now)
            }
        };
        self.deliver(words, now);
    }

    pub(super) fn deliver(&mut self, words: Words, now: Millis) {
        for (Claimant { peer, id }, key, word) in words {
            if peer == self.config.me {
                self.on_word(AskId(id), &peer, key, word, now);
            } else {
                self.reply(&peer, id, key, word, now);
            }
        }
    }

    /// With a lease goes what this owner has heard of last: a newcomer has not, and who holds it may be
    /// known here alone.
    fn reply(&mut self, to: &Peer, id: u64, key: KeyId, mut word: ClaimWord, now: Millis) {
        if let ClaimWord::Granted { last, .. } = &mut word {
            let newest = self.newest(key, now).filter(|(_, candidate)| candidate.record.may_be_stale(now));
            *last = newest.map(|(scope, candidate)| Box::new(self.told_on(key, scope, candidate)));
        }
        let message = Message::ClaimReply(ClaimReply { id, key, word });
        self.effects.push_back(Effect::Send { to: to.clone(), message });
    }

    /// A record that somebody told this node, told on: with a holder, if that is not this node. Whoever is gone
    /// holds nothing any more.
    fn told_on(&self, key: KeyId, scope: ScopeId, candidate: &Candidate) -> Announcement {
        let holder = candidate.holders.iter().min_by_key(|holder| !self.peers.contains_key(*holder));
        let holder = holder.filter(|_| !candidate.held).cloned();
        Announcement { key, scope, record: candidate.record.clone(), tag: candidate.tag, body: None, holder }
    }

    /// The owner is gone, and all that it kept: waiters ask the next one, and who asks tells the next
    /// one that he does.
    pub(super) fn owner_gone(&mut self, owner: &Peer, now: Millis) {
        let words = self.leases.gone(owner, now);
        self.deliver(words, now);
        let at_owner = |ask: &Ask| ask.claiming.as_ref().is_some_and(|claiming| claiming.owner == *owner);
        let waiting: Vec<AskId> = self.asks.iter().filter(|(_, ask)| at_owner(ask)).map(|(id, _)| *id).collect();
        for id in waiting {
            if let Some(ask) = self.asks.get_mut(&id) {
                ask.claiming = None;
            }
            self.advance(id, now);
        }
        let led: Vec<AskId> =
            self.led.iter().filter(|(_, led)| led.owner.as_ref() == Some(owner)).map(|(id, _)| *id).collect();
        for id in led {
            let Some(led) = self.led.get(&id) else { continue };
            let claim = led.claim.clone();
            let next = self.members.owners(claim.key, self.peers.keys().cloned()).into_iter().next();
            self.led.entry(id).and_modify(|led| led.owner.clone_from(&next));
            if let Some(next) = next {
                self.claim_at(next, claim, now);
            }
        }
    }

    /// Does what is due for claims: owners that are silent, waits that took too long, leases.
    pub(super) fn wake_claims(&mut self, now: Millis) {
        let late = |ask: &Ask| ask.claiming.as_ref().is_some_and(|claiming| claiming.until <= now);
        let late: Vec<AskId> = self.asks.iter().filter(|(_, ask)| late(ask)).map(|(id, _)| *id).collect();
        for id in late {
            let Some(ask) = self.asks.get_mut(&id) else { continue };
            let Some(Claiming { owner, is_waiting, .. }) = ask.claiming.take() else { continue };
            let key = ask.key;
            // Whom he waited for is too slow: go, and let the owner know.
            ask.may_go |= is_waiting;
            if !is_waiting {
                self.members.note_silence(&owner, now);
            }
            self.tell_owner(id, owner, key, News::Left, now);
            self.advance(id, now);
        }
        let words = self.leases.expire(now);
        self.deliver(words, now);
        // Whoever held it said nothing more: nothing is kept for it.
        self.led.retain(|_, led| now < led.until);
        let mut renewals = Vec::new();
        for (id, led) in self.led.iter_mut().filter(|(_, led)| led.renew_at <= now) {
            led.renew_at = now.after(limits::LEASE_RENEWAL);
            renewals.extend(led.owner.clone().map(|owner| (*id, owner, led.claim.key)));
        }
        for (id, owner, key) in renewals {
            self.tell_owner(id, owner, key, News::Renew, now);
        }
    }

    pub(super) fn claims_due(&self) -> Option<Millis> {
        let claims = self.asks.values().filter_map(|ask| ask.claiming.as_ref()).map(|claiming| claiming.until);
        let renewals = self.led.values().map(|led| led.renew_at.min(led.until));
        claims.chain(renewals).chain(self.leases.due()).min()
    }

    /// Leases and waiters of the keys that this node owns, and leases that it holds elsewhere.
    pub fn leases_len(&self) -> (usize, usize) {
        (self.leases.len(), self.led.len())
    }

    /// Whether this question holds the lease that lets it ask the origin.
    pub fn leads(&self, ask: AskId) -> bool {
        self.led.contains_key(&ask)
    }

    /// At which owner this question waits for another's answer.
    pub fn waits_at(&self, ask: AskId) -> Option<&Peer> {
        let claiming = self.asks.get(&ask)?.claiming.as_ref()?;
        claiming.is_waiting.then_some(&claiming.owner)
    }

    /// Who waits for whom at this node, by peer and question.
    pub fn waits(&self) -> impl Iterator<Item = ((&Peer, AskId), (&Peer, AskId))> {
        let name = |by: &'_ Claimant| AskId(by.id);
        self.leases.waits().map(move |(_, waiter, holder)| ((&waiter.peer, name(waiter)), (&holder.peer, name(holder))))
    }
}

#[cfg(test)]
mod tests;
