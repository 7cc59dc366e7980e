use std::collections::{BTreeMap, VecDeque};

use canary::Bug;
use wire::{ClaimWord, KeyId, LeaseEnd, Millis, Peer, Purpose, ScopeId};

use crate::limits;

/// Who claims: a member, and its own name for the question. This node's own questions are among them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Claimant {
    pub peer: Peer,
    pub id: u64,
}

/// What an owner has to say, and to whom.
pub type Words = Vec<(Claimant, KeyId, ClaimWord)>;

/// The leases that this node keeps for the keys it owns: who asks the origin, and who waits for that.
///
/// A holder of a lease waits for nobody, and who waits holds none for the same question; so no circle
/// of waits can form, whatever the members believe about who owns what.
#[derive(Default)]
pub struct Leases {
    desks: BTreeMap<KeyId, Desk>,
}

/// The leases of one key.
#[derive(Default)]
struct Desk {
    fill: Option<Lease>,
    /// By credential.
    proofs: BTreeMap<ScopeId, Lease>,
    queue: VecDeque<Waiter>,
}

struct Lease {
    by: Claimant,
    began: Millis,
    until: Millis,
}

struct Waiter {
    by: Claimant,
    scope: ScopeId,
    purpose: Purpose,
}

impl Leases {
    /// Answers a claim: a lease, or a place in the queue.
    pub fn claim(&mut self, by: Claimant, key: KeyId, scope: ScopeId, purpose: Purpose, now: Millis) -> ClaimWord {
        let is_crowded = self.desks.len() >= limits::LEASED_KEYS_MAX && !self.desks.contains_key(&key);
        if is_crowded || self.len() >= limits::LEASES_MAX {
            return ClaimWord::No;
        }
        let desk = self.desks.entry(key).or_default();
        // Who asks again has not heard the answer.
        desk.queue.retain(|waiter| waiter.by != by);
        let running = desk.running(scope, purpose);
        if running.is_some_and(|lease| lease.by == by) || desk.has_room(scope, purpose) {
            return desk.grant(by, scope, purpose, now);
        }
        if desk.queue.len() >= limits::LEASE_WAITERS_MAX {
            return ClaimWord::No;
        }
        let since = running.map_or(now, |lease| lease.began);
        desk.queue.push_back(Waiter { by, scope, purpose });
        ClaimWord::Wait { since_ms: u32::try_from(now.since(since).as_millis()).unwrap_or(u32::MAX) }
    }

    /// The holder is still at it.
    pub fn renew(&mut self, by: &Claimant, key: KeyId, now: Millis) {
        let Some(desk) = self.desks.get_mut(&key) else { return };
        for lease in desk.fill.iter_mut().chain(desk.proofs.values_mut()).filter(|lease| lease.by == *by) {
            let last = lease.began.after(limits::LEASE_TIME_MAX);
            lease.until = now.after(limits::LEASE_TIME).min(last);
        }
    }

    /// The holder says how it ended.
    pub fn ended(&mut self, by: &Claimant, key: KeyId, end: &LeaseEnd, now: Millis) -> Words {
        let Some(desk) = self.desks.get_mut(&key) else { return Words::new() };
        let mut told = Words::new();
        if let Some((purpose, scope)) = desk.release(by) {
            let concerns = |waiter: &Waiter| {
                let is_same_scope = scope == Some(waiter.scope);
                match end {
                    LeaseEnd::Filled(filled) if waiter.purpose == Purpose::Proof => filled.scope == waiter.scope,
                    LeaseEnd::Filled(_) => purpose == Purpose::Fill,
                    LeaseEnd::Told(refused) => refused.scope == waiter.scope,
                    LeaseEnd::Failed { .. } => purpose == waiter.purpose && (purpose == Purpose::Fill || is_same_scope),
                    LeaseEnd::Alone => purpose == waiter.purpose && (purpose == Purpose::Fill || is_same_scope),
                }
            };
            let (ended, waiting) = desk.queue.drain(..).partition(concerns);
            desk.queue = waiting;
            let ended: VecDeque<Waiter> = ended;
            told.extend(ended.into_iter().map(|waiter| (waiter.by, key, ClaimWord::Ended(end.clone()))));
        }
        told.extend(self.promote(key, now));
        told
    }

    /// The claimant neither asks nor waits any more.
    pub fn left(&mut self, by: &Claimant, key: KeyId, now: Millis) -> Words {
        let Some(desk) = self.desks.get_mut(&key) else { return Words::new() };
        desk.queue.retain(|waiter| waiter.by != *by);
        desk.release(by);
        self.promote(key, now)
    }

    /// The member is gone, and with it all that it asked and waited for.
    pub fn gone(&mut self, peer: &Peer, now: Millis) -> Words {
        let keys: Vec<KeyId> = self.desks.keys().copied().collect();
        let mut told = Words::new();
        for key in keys {
            let Some(desk) = self.desks.get_mut(&key) else { continue };
            desk.queue.retain(|waiter| waiter.by.peer != *peer);
            desk.fill.take_if(|lease| lease.by.peer == *peer);
            desk.proofs.retain(|_, lease| lease.by.peer != *peer);
            told.extend(self.promote(key, now));
        }
        told
    }

    /// Ends the leases whose time is over.
    pub fn expire(&mut self, now: Millis) -> Words {
        let over = |lease: &Lease| lease.until <= now && !canary::sings(Bug::NeverReleasesALease);
        let late = |desk: &Desk| desk.leases().any(over);
        let keys: Vec<KeyId> = self.desks.iter().filter(|(_, desk)| late(desk)).map(|(key, _)| *key).collect();
        let mut told = Words::new();
        for key in keys {
            let Some(desk) = self.desks.get_mut(&key) else { continue };
            desk.fill.take_if(|lease| over(lease));
            desk.proofs.retain(|_, lease| !over(lease));
            told.extend(self.promote(key, now));
        }
        told
    }

    /// When [`Leases::expire`] has something to do.
    pub fn due(&self) -> Option<Millis> {
        if canary::sings(Bug::NeverReleasesALease) {
            return None;
        }
        self.desks.values().flat_map(Desk::leases).map(|lease| lease.until).min()
    }

    /// Leases and waiters.
    pub fn len(&self) -> usize {
        self.desks.values().map(|desk| desk.leases().count() + desk.queue.len()).sum()
    }

    /// Who waits for whom: for whoever looks for circles.
    pub fn waits(&self) -> impl Iterator<Item = (KeyId, &Claimant, &Claimant)> {
        self.desks.iter().flat_map(|(key, desk)| {
            desk.queue.iter().filter_map(|waiter| {
                let lease = desk.running(waiter.scope, waiter.purpose).or_else(|| desk.proofs.values().next())?;
                Some((*key, &waiter.by, &lease.by))
            })
        })
    }

    /// Gives what became free to those who wait longest for it.
    fn promote(&mut self, key: KeyId, now: Millis) -> Words {
        let Some(desk) = self.desks.get_mut(&key) else { return Words::new() };
        let mut told = Words::new();
        while let Some(at) = desk.queue.iter().position(|waiter| desk.has_room(waiter.scope, waiter.purpose)) {
            let Some(waiter) = desk.queue.remove(at) else { break };
            let word = desk.grant(waiter.by.clone(), waiter.scope, waiter.purpose, now);
            told.push((waiter.by, key, word));
        }
        if desk.is_empty() {
            self.desks.remove(&key);
        }
        told
    }
}

impl Desk {
    fn running(&self, scope: ScopeId, purpose: Purpose) -> Option<&Lease> {
        match purpose {
            Purpose::Fill => self.fill.as_ref(),
            Purpose::Proof => self.proofs.get(&scope),
        }
    }

    fn has_room(&self, scope: ScopeId, purpose: Purpose) -> bool {
        let is_free = self.running(scope, purpose).is_none();
        is_free && (purpose == Purpose::Fill || self.proofs.len() < limits::PROOF_LEASES_MAX)
    }

    fn grant(&mut self, by: Claimant, scope: ScopeId, purpose: Purpose, now: Millis) -> ClaimWord {
        let lease = Lease { by, began: now, until: now.after(limits::LEASE_TIME) };
        match purpose {
            Purpose::Fill => self.fill = Some(lease),
            Purpose::Proof => {
                self.proofs.insert(scope, lease);
            }
        }
        ClaimWord::Granted { lease_ms: limits::LEASE_TIME.as_millis() as u32, last: None }
    }

    /// Takes the lease back; returns what it was for.
    fn release(&mut self, by: &Claimant) -> Option<(Purpose, Option<ScopeId>)> {
        if canary::sings(Bug::NeverReleasesALease) {
            return None;
        }
        if self.fill.take_if(|lease| lease.by == *by).is_some() {
            return Some((Purpose::Fill, None));
        }
        let scope = self.proofs.iter().find(|(_, lease)| lease.by == *by).map(|(scope, _)| *scope)?;
        self.proofs.remove(&scope);
        Some((Purpose::Proof, Some(scope)))
    }

    fn leases(&self) -> impl Iterator<Item = &Lease> {
        self.fill.iter().chain(self.proofs.values())
    }

    fn is_empty(&self) -> bool {
        self.leases().next().is_none() && self.queue.is_empty()
    }
}

#[cfg(test)]
mod tests;
