//! Whom to dial, and when: every address that is known, by whom it was named, and how it went.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use net::Address;
use tokio::time::Instant;
use wire::Peer;

use super::kinds::Kind;
use crate::limits;

/// A book of addresses. Pure: times and jitter are handed in.
#[derive(Debug)]
pub struct Book {
    me: Peer,
    /// By what is connected to: of several peers at one place only the one named last can still be there.
    places: BTreeMap<Address, Place>,
    rounds: usize,
}

#[derive(Debug)]
struct Place {
    address: Address,
    /// Who names it, and until when that counts.
    by: BTreeMap<Kind, Option<Instant>>,
    failures: u32,
    next_at: Instant,
    was_dialled: bool,
    /// Who answered there last, where the address does not say who must.
    answered: Option<Peer>,
}

impl Book {
    pub fn new(me: Peer) -> Self {
        Self { me, places: BTreeMap::new(), rounds: 0 }
    }

    /// What a kind names is now this and nothing else. `spread`, from 0 to 1, is drawn for each new place.
    pub fn set(&mut self, kind: Kind, named: Vec<Address>, mut spread: impl FnMut() -> f64, now: Instant) {
        let there: BTreeSet<Address> = named.iter().map(place_of).collect();
        for place in self.places.values_mut().filter(|place| !there.contains(&place_of(&place.address))) {
            place.by.remove(&kind);
        }
        self.forget_unnamed();
        let burst = burst_time(named.len());
        for address in named {
            self.note(kind, &address, None, now + burst.mul_f64(spread()));
        }
    }

    /// A kind names this as well, until then.
    pub fn add(&mut self, kind: Kind, address: &Address, until: Instant, at: Instant) {
        self.note(kind, address, Some(until), at);
    }

    /// A kind takes back what it named.
    pub fn remove(&mut self, kind: Kind, address: &Address) {
        if let Some(place) = self.places.get_mut(&place_of(address)) {
            place.by.remove(&kind);
        }
        self.forget_unnamed();
    }

    fn note(&mut self, kind: Kind, address: &Address, until: Option<Instant>, at: Instant) {
        let key = place_of(address);
        if address.peer().as_ref() == Some(&self.me) {
            return;
        }
        if !self.places.contains_key(&key) && self.places.len() >= limits::KNOWN_ADDRESSES_MAX {
            return;
        }
        let fresh = || Place {
            address: address.clone(),
            by: BTreeMap::new(),
            failures: 0,
            next_at: at,
            was_dialled: false,
            answered: None,
        };
        let place = self.places.entry(key).or_insert_with(fresh);
        if address.peer().is_some() && place.address != *address {
            // Another peer is there now: what went wrong with the old one does not count.
            *place = Place { by: std::mem::take(&mut place.by), ..fresh() };
        }
        let until = match (place.by.get(&kind), until) {
            (Some(None), _) | (_, None) => None,
            (Some(Some(known)), Some(until)) => Some((*known).max(until)),
            (None, until) => until,
        };
        place.by.insert(kind, until);
    }

    fn forget_unnamed(&mut self) {
        self.places.retain(|_, place| !place.by.is_empty());
    }

    /// Forgets what is over.
    pub fn expire(&mut self, now: Instant) {
        for place in self.places.values_mut() {
            place.by.retain(|_, until| until.is_none_or(|until| now < until));
        }
        self.forget_unnamed();
    }

    /// Those whose turn it is, at most `budget`: the operator's own first, then from another start each time,
    /// so that dead peers do not keep living ones from being dialled. Each is then asked after again later.
    pub fn due(
        &mut self,
        connected: &BTreeSet<Peer>,
        budget: usize,
        mut jitter: impl FnMut() -> f64,
        now: Instant,
    ) -> Vec<Address> {
        self.expire(now);
        let is_enough = connected.len() >= limits::NEIGHBOURS_WANTED;
        let mut due: Vec<(bool, Address)> = self
            .places
            .iter()
            .filter(|(_, place)| place.next_at <= now && is_open(place, connected))
            .map(|(key, place)| (!place.by.contains_key(&Kind::Static), key.clone()))
            .filter(|(is_found, _)| !(is_enough && *is_found))
            .collect();
        due.sort();
        let found_at = due.iter().position(|(is_found, _)| *is_found).unwrap_or(due.len());
        self.rounds += 1;
        let found = &mut due[found_at..];
        found.rotate_left((self.rounds * budget) % found.len().max(1));
        let mut dialled = Vec::new();
        for (_, key) in due.split_off(budget.min(due.len())) {
            let place = self.places.get_mut(&key).expect("it was found above");
            place.next_at = now + limits::DIAL_ROUND_PAUSE;
        }
        for (_, key) in due {
            let place = self.places.get_mut(&key).expect("it was found above");
            let pause = limits::REDIAL_MIN.saturating_mul(1 << place.failures.min(16)).min(limits::REDIAL_MAX);
            (place.next_at, place.was_dialled) = (now + pause.mul_f64(jitter()), true);
            place.failures = place.failures.saturating_add(1);
            dialled.push(place.address.clone());
        }
        dialled
    }

    /// When [`Self::due`] has something to say next.
    pub fn next_due(&self, connected: &BTreeSet<Peer>) -> Option<Instant> {
        let is_enough = connected.len() >= limits::NEIGHBOURS_WANTED;
        let open = self.places.values().filter(|place| is_open(place, connected));
        let open = open.filter(|place| !is_enough || place.by.contains_key(&Kind::Static));
        open.map(|place| place.next_at).min()
    }

    /// A connection of `peer` to this place is up: it is dialled at once when it breaks. Returns who named it.
    pub fn connected(&mut self, address: &Address, peer: &Peer) -> Vec<Kind> {
        let Some(place) = self.places.get_mut(&place_of(address)) else { return Vec::new() };
        (place.failures, place.answered) = (0, Some(peer.clone()));
        place.by.keys().copied().collect()
    }

    /// A peer is gone: it is asked after soon, and where it was the last, so is everybody.
    pub fn gone(&mut self, peer: &Peer, is_last: bool, at: Instant) {
        for place in self.places.values_mut() {
            if is_last || place.address.peer().as_ref() == Some(peer) || place.answered.as_ref() == Some(peer) {
                place.next_at = place.next_at.min(at);
                place.failures = 0;
            }
        }
    }

    /// Everything is dialled at once, whatever went wrong before.
    pub fn refresh(&mut self, now: Instant) {
        self.places.values_mut().for_each(|place| place.next_at = now);
    }

    pub fn len(&self) -> usize {
        self.places.len()
    }

    pub fn dialled(&self) -> usize {
        self.places.values().filter(|place| place.was_dialled).count()
    }

    pub fn of_kind(&self, kind: Kind) -> usize {
        self.places.values().filter(|place| place.by.contains_key(&kind)).count()
    }

    /// Peers that are known by name, this one not among them.
    pub fn peers(&self) -> BTreeSet<Peer> {
        self.places.values().filter_map(|place| place.address.peer()).collect()
    }
}

fn is_open(place: &Place, connected: &BTreeSet<Peer>) -> bool {
    let peer = place.address.peer().or_else(|| place.answered.clone());
    peer.is_none_or(|peer| !connected.contains(&peer))
}

/// What is connected to. Behind one relay there are many, each by its name.
fn place_of(address: &Address) -> Address {
    if address.is_relayed() { address.clone() } else { address.without_peer() }
}

/// A few are dialled at once; many that were found together, over a moment.
fn burst_time(count: usize) -> Duration {
    if count <= limits::BURST_AT_ONCE {
        return Duration::ZERO;
    }
    limits::BURST_TIME_EACH.saturating_mul(u32::try_from(count).unwrap_or(u32::MAX)).min(limits::BURST_TIME_MAX)
}

#[cfg(test)]
mod tests;
