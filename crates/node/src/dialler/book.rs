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

use super::{
    kinds::Kind,
    neighbours::{self, Tie},
    networks::Networks,
};
use crate::{circuits, limits};
use place::{Claim, Place};

/// A book of addresses. Pure: times and jitter are handed in.
#[derive(Debug)]
pub struct Book {
    me: Peer,
    /// This node, and those that the operator will not have: nobody to dial.
    barred: BTreeSet<Peer>,
    /// By what is connected to: of several peers at one place only one can still be there.
    places: BTreeMap<Address, Place>,
    /// Of this machine: what is in others is not dialled first.
    networks: Networks,
    /// Whom to dial where more are known than a node has as neighbours; `None`: all.
    wanted: Option<BTreeMap<Peer, Tie>>,
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
        barred.insert(me.clone());
        Self { me, barred, places: BTreeMap::new(), networks: Networks::default(), wanted: None, rounds: 0 }
    }

    /// This machine is in these networks now.
    pub fn set_networks(&mut self, networks: Networks) {
        self.networks = networks;
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
        let is_elsewhere = kind.is_from_afar() && self.networks.is_elsewhere(&key);
        let at = if is_elsewhere { at + limits::ELSEWHERE_PAUSE } else { at };
        let place = self.places.entry(key.clone()).or_insert_with(|| Place::new(key, at));
        if !place.was_dialled {
            place.next_at = place.next_at.min(at);
        }
        place.claim(kind, claim, at);
    }

    /// What others say of others does not take the room of what the operator and the directories name.
    fn has_room(&self, kind: Kind) -> bool {
        let is_half_full = self.places.len() >= limits::KNOWN_ADDRESSES_MAX / 2;
        self.places.len() < limits::KNOWN_ADDRESSES_MAX
            && !(kind.is_hearsay() && is_half_full && self.of_kind(kind) >= limits::KNOWN_ADDRESSES_MAX / 2)
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
        let mut due: Vec<(bool, Address)> = self
            .places
            .iter()
            .filter(|(_, place)| place.next_at <= now && self.is_wanted(place, connected))
            .map(|(key, place)| (!place.is_named_by(Kind::Static), key.clone()))
            .collect();
        due.sort();
        // Of ways that may lead to somebody, as many as somebody is missed.
        let mut missed = circuits::wanted(connected.len());
        let (mut due, mut put_off): (Vec<_>, Vec<_>) = due.into_iter().partition(|(_, key)| {
            let is_guess = self.places[key].kinds().eq([Kind::Circuits]);
            let is_wanted = !is_guess || missed > 0;
            missed -= usize::from(is_guess && is_wanted);
            is_wanted
        });
        let found_at = due.iter().position(|(is_found, _)| *is_found).unwrap_or(due.len());
        self.rounds += 1;
        let found = &mut due[found_at..];
        found.rotate_left((self.rounds * budget) % found.len().max(1));
        let mut dialled = Vec::new();
        put_off.extend(due.split_off(budget.min(due.len())));
        for (_, key) in put_off {
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
        self.places.values().filter(|place| self.is_wanted(place, connected)).map(|place| place.next_at).min()
    }

    fn is_wanted(&self, place: &Place, connected: &BTreeSet<Peer>) -> bool {
        let is_enough = connected.len() >= limits::NEIGHBOURS_WANTED;
        let is_chosen = || match (&self.wanted, place.peer()) {
            (Some(wanted), Some(peer)) => wanted.get(&peer).is_some_and(|tie| !is_enough || *tie == Tie::Anchor),
            _ => !is_enough,
        };
        place.is_open(connected) && (place.is_named_by(Kind::Static) || is_chosen())
    }

    /// Whether more are known than a node has as neighbours.
    pub fn is_large(&self) -> bool {
        self.places.len() > limits::NEIGHBOURS_WANTED && self.peers().len() > limits::NEIGHBOURS_WANTED
    }

    /// Chooses whom to dial, if there are more than a node has as neighbours. Whoever was dialled twice in vain, or
    /// has just gone, has no place among them until the next [`Self::refresh`].
    pub fn choose(&mut self, anchors: &BTreeSet<Peer>, connected: &BTreeSet<Peer>, now: Instant) {
        if !self.is_large() {
            self.wanted = None;
            return;
        }
        let known = self.places.values().filter_map(|place| Some((place.peer()?, place)));
        let hopeful = known.filter(|(peer, place)| connected.contains(peer) || place.is_hopeful(now));
        let known = hopeful.map(|(peer, place)| (peer, place.at().clone()));
        let mut ties = self.ties(known, anchors);
        let wanted = neighbours::wanted(&self.me, &ties, limits::NEIGHBOURS_WANTED);
        ties.retain(|peer, _| wanted.contains(peer));
        self.wanted = Some(ties);
    }

    /// Of those that are connected the ones to give up.
    pub fn superfluous(&self, connected: Vec<(Peer, Address)>, anchors: &BTreeSet<Peer>) -> Vec<Peer> {
        let ties = self.ties(connected.into_iter(), anchors);
        neighbours::superfluous(&self.me, &ties, limits::NEIGHBOURS_MAX)
    }

    /// What each is to this node, by the best of its addresses.
    fn ties(&self, known: impl Iterator<Item = (Peer, Address)>, anchors: &BTreeSet<Peer>) -> BTreeMap<Peer, Tie> {
        let named = self.places.values().filter(|place| place.is_named_by(Kind::Static));
        let named: BTreeSet<Peer> = named.filter_map(Place::who).collect();
        let mut ties = BTreeMap::new();
        for (peer, address) in known {
            let is_near = || !address.is_relayed() && address.ip().is_some_and(|ip| self.networks.has(ip));
            let tie = match () {
                () if named.contains(&peer) => Tie::Named,
                () if anchors.contains(&peer) => Tie::Anchor,
                () if is_near() => Tie::Near,
                () => Tie::Other,
            };
            ties.entry(peer).and_modify(|known: &mut Tie| *known = tie.min(*known)).or_insert(tie);
        }
        ties
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

    /// It is not dialled before.
    pub fn put_off(&mut self, address: &Address, until: Instant) {
        if let Some(place) = self.places.get_mut(&place_of(address)) {
            place.next_at = place.next_at.max(until);
        }
    }

    /// A peer is gone: it is asked after soon, and where it was the last, so is everybody. Where there are more than
    /// a node has as neighbours, another one takes its place.
    pub fn gone(&mut self, peer: &Peer, is_last: bool, at: Instant) {
        let is_one_of_many = self.wanted.is_some();
        for place in self.places.values_mut().filter(|place| is_last || place.may_be(peer)) {
            if is_last || !is_one_of_many || place.is_named_by(Kind::Static) {
                place.hurry(at);
            } else {
                place.next_at = place.next_at.max(at + limits::NEIGHBOUR_PAUSE);
            }
        }
    }

    /// Everything is dialled at once, whatever went wrong before.
    pub fn refresh(&mut self, now: Instant) {
        let is_large = self.wanted.is_some();
        for place in self.places.values_mut() {
            place.next_at = now;
            if is_large {
                place.hurry(now);
            }
        }
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
