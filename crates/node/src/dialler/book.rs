//! Whom to dial, and when: every address that is known, by whom it was named, and how it went.

mod place;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use net::Address;
use tokio::time::Instant;
use wire::{Millis, Peer};

use super::kinds::Kind;
use crate::limits;
use place::{Claim, Place};

/// A book of addresses. Pure: times and jitter are handed in.
#[derive(Debug)]
pub struct Book {
    /// This node, and those that the operator will not have: nobody to dial.
    barred: BTreeSet<Peer>,
    /// By what is connected to: of several peers at one place only one can still be there.
    places: BTreeMap<Address, Place>,
    rounds: usize,
}

/// An address, and when it was said by whoever is there; zero where nobody knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    pub address: Address,
    pub said_at: Millis,
}

impl Book {
    pub fn new(me: Peer, mut barred: BTreeSet<Peer>) -> Self {
        barred.insert(me);
        Self { barred, places: BTreeMap::new(), rounds: 0 }
    }

    /// What a kind names is now this and nothing else; of one place, what was said last. `spread`, from 0 to 1,
    /// is drawn for each.
    pub fn set(&mut self, kind: Kind, mut named: Vec<Named>, mut spread: impl FnMut() -> f64, now: Instant) {
        named.sort_by_key(|named| std::cmp::Reverse(named.said_at));
        let mut there = BTreeSet::new();
        named.retain(|named| there.insert(place_of(&named.address)));
        for (key, place) in &mut self.places {
            if !there.contains(key) {
                place.take_back(kind, now);
            }
        }
        self.forget_unnamed();
        let burst = burst_time(named.len());
        for Named { address, said_at } in named {
            let claim = Claim { peer: address.peer(), said_at, until: None };
            self.note(kind, &address, claim, now + burst.mul_f64(spread()));
        }
    }

    /// A kind names this as well, until then. What is older than what it knows changes nothing.
    pub fn add(&mut self, kind: Kind, named: &Named, until: Instant, at: Instant) {
        let claim = Claim { peer: named.address.peer(), said_at: named.said_at, until: Some(until) };
        self.note(kind, &named.address, claim, at);
    }

    /// A kind takes back what it named.
    pub fn remove(&mut self, kind: Kind, address: &Address, now: Instant) {
        if let Some(place) = self.places.get_mut(&place_of(address)).filter(|place| place.names(kind, address)) {
            place.take_back(kind, now);
        }
        self.forget_unnamed();
    }

    fn note(&mut self, kind: Kind, address: &Address, claim: Claim, at: Instant) {
        let key = place_of(address);
        let is_barred = claim.peer.as_ref().is_some_and(|peer| self.barred.contains(peer));
        if is_barred || (!self.places.contains_key(&key) && !self.has_room(kind)) {
            return;
        }
        self.places.entry(key.clone()).or_insert_with(|| Place::new(key, at)).claim(kind, claim, at);
    }

    /// What others say of others does not take the room of what the operator and the directories name.
    fn has_room(&self, kind: Kind) -> bool {
        let is_hearsay = matches!(kind, Kind::Exchange | Kind::Mdns);
        let is_half_full = self.places.len() >= limits::KNOWN_ADDRESSES_MAX / 2;
        self.places.len() < limits::KNOWN_ADDRESSES_MAX
            && !(is_hearsay && is_half_full && self.of_kind(kind) >= limits::KNOWN_ADDRESSES_MAX / 2)
    }

    fn forget_unnamed(&mut self) {
        self.places.retain(|_, place| !place.is_unnamed());
    }

    /// Forgets what is over.
    pub fn expire(&mut self, now: Instant) {
        self.places.values_mut().for_each(|place| place.expire(now));
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
            .filter(|(_, place)| place.next_at <= now && place.is_open(connected))
            .map(|(key, place)| (!place.is_named_by(Kind::Static), key.clone()))
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
            dialled.push(place.dial(jitter(), now));
        }
        dialled
    }

    /// When [`Self::due`] has something to say next.
    pub fn next_due(&self, connected: &BTreeSet<Peer>) -> Option<Instant> {
        let is_enough = connected.len() >= limits::NEIGHBOURS_WANTED;
        let open = self.places.values().filter(|place| place.is_open(connected));
        let open = open.filter(|place| !is_enough || place.is_named_by(Kind::Static));
        open.map(|place| place.next_at).min()
    }

    /// A connection of `peer` to this place is up: it is dialled at once when it breaks. Returns who named it.
    pub fn connected(&mut self, address: &Address, peer: &Peer) -> Vec<Kind> {
        let Some(place) = self.places.get_mut(&place_of(address)) else { return Vec::new() };
        place.connected(peer);
        place.kinds().collect()
    }

    /// Another peer answered there than the one that was asked for.
    pub fn answered_by(&mut self, address: &Address, found: &Peer, now: Instant) {
        if let Some(place) = self.places.get_mut(&place_of(address)).filter(|_| !self.barred.contains(found)) {
            place.answered_by(found, now);
        }
    }

    /// A peer is gone: it is asked after soon, and where it was the last, so is everybody.
    pub fn gone(&mut self, peer: &Peer, is_last: bool, at: Instant) {
        for place in self.places.values_mut() {
            if is_last || place.may_be(peer) {
                place.hurry(at);
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
        self.places.values().filter(|place| place.is_named_by(kind)).count()
    }

    /// Peers that are known by name, this one not among them.
    pub fn peers(&self) -> BTreeSet<Peer> {
        self.places.values().filter_map(Place::peer).collect()
    }
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
