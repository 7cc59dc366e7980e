//! Members that were heard of and not met: where they may be reached through a relay that we both know.
//!
//! A member's own word in gossip says that it exists, and not where. Whoever cannot be dialled keeps
//! a reservation at its relays, and most fleets have few of them; so the relays that we are connected
//! to are tried in turn. Hole punching then makes a direct connection of it.

use std::{collections::BTreeSet, sync::Arc};

use net::{Address, Net};
use tokio::{sync::watch, time::Instant};
use wire::{Peer, Role};

use crate::{limits, sharing::Sharing};

/// A member that says that it is there, connected or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heard {
    pub peer: Peer,
    pub role: Role,
}

/// What is known at one moment.
pub struct Scene<'a> {
    pub me: &'a Peer,
    pub heard: BTreeSet<&'a Peer>,
    pub connected: BTreeSet<Peer>,
    /// Connected members that relay, and where others reach them.
    pub relays: Vec<(Peer, Address)>,
}

/// How many members are looked for: with enough neighbours nobody is missed, since gossip reaches all
/// through them.
pub fn wanted(connected: usize) -> usize {
    limits::NEIGHBOURS_ENOUGH.saturating_sub(connected)
}

/// Where those who are missed may be, and from when on they are dialled there. Whether that is in vain, and
/// when it is tried again, is the book's affair.
///
/// Of two that miss each other the smaller begins; the other waits a little, in case it is the only
/// one that knows. A second relay is tried a little after the first.
pub fn places(scene: &Scene<'_>, now: Instant) -> Vec<(Address, Instant)> {
    if wanted(scene.connected.len()) == 0 {
        return Vec::new();
    }
    let is_missed = |peer: &&&Peer| **peer != scene.me && !scene.connected.contains(**peer);
    // Each begins with those that come after itself, so that not all of a fleet look for the same few.
    let after_me = scene.heard.range::<Peer, _>(scene.me..).chain(scene.heard.range::<Peer, _>(..scene.me));
    let mut places = Vec::new();
    for peer in after_me.filter(is_missed).take(limits::CIRCUIT_PEERS_MAX) {
        let mut at = if scene.me < *peer { now } else { now + limits::CIRCUIT_COURTESY };
        for (relay, place) in &scene.relays {
            if let Some(circuit) = place.circuit(relay, peer) {
                places.push((circuit, at));
                at += limits::CIRCUIT_TURN;
            }
        }
    }
    places
}

/// Says who is there, for as long as the network is up: while somebody may be missed, or there may be more than
/// one can have as neighbours.
pub async fn keep_hearing(net: Net, sharing: Arc<Sharing>, looks_up: bool, heard: watch::Sender<Vec<Heard>>) {
    loop {
        tokio::time::sleep(limits::CIRCUIT_INTERVAL).await;
        let peers = net.peers();
        let is_missing = wanted(peers.len()) > 0 && peers.iter().any(|info| info.relays_at.is_some());
        let is_missing = is_missing || (looks_up && !peers.is_empty());
        if !is_missing && peers.len() < limits::NEIGHBOURS_WANTED {
            continue;
        }
        let members = sharing.members().await.into_iter().filter(|view| !view.member.is_leaving);
        let members = members.map(|view| Heard { role: view.member.role, peer: view.peer });
        if heard.send(members.collect()).is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use net::Identity;

    use super::*;

    /// Peers in the order of their names.
    fn peers() -> Vec<Peer> {
        let mut peers: Vec<_> = (1..=14).map(|seed| Identity::from_seed([seed; 32]).peer()).collect();
        peers.sort();
        peers
    }

    fn relay(peer: &Peer, port: u16) -> (Peer, Address) {
        (peer.clone(), format!("/ip4/50.0.0.10/tcp/{port}").parse().unwrap())
    }

    fn scene<'a>(me: &'a Peer, heard: &'a [Peer], relays: &[(Peer, Address)]) -> Scene<'a> {
        let connected = relays.iter().map(|(relay, _)| relay.clone()).collect();
        Scene { me, heard: heard.iter().collect(), connected, relays: relays.to_vec() }
    }

    #[test]
    fn the_smaller_begins_and_the_larger_follows_a_little_later() {
        let all = peers();
        let relays = [relay(&all[9], 1)];
        let now = Instant::now();
        let circuit = |to: &Peer, at| vec![(relays[0].1.circuit(&relays[0].0, to).unwrap(), at)];
        assert_eq!(places(&scene(&all[0], &all[..2], &relays), now), circuit(&all[1], now));
        let later = now + limits::CIRCUIT_COURTESY;
        assert_eq!(places(&scene(&all[1], &all[..2], &relays), now), circuit(&all[0], later));
    }

    #[test]
    fn one_relay_is_tried_after_the_other() {
        let all = peers();
        let relays = [relay(&all[8], 1), relay(&all[9], 2)];
        let now = Instant::now();
        let found = places(&scene(&all[0], &all[..2], &relays), now);
        let found: Vec<_> = found.iter().map(|(address, at)| (address.port().unwrap(), *at)).collect();
        assert_eq!(found, [(1, now), (2, now + limits::CIRCUIT_TURN)]);
    }

    #[test]
    fn who_is_connected_is_not_looked_for_nor_anybody_without_a_relay_or_with_enough_neighbours() {
        let all = peers();
        let relays = [relay(&all[9], 1)];
        let now = Instant::now();
        let mut met = scene(&all[0], &all[..2], &relays);
        met.connected.insert(all[1].clone());
        assert_eq!(places(&met, now), []);
        assert_eq!(places(&scene(&all[0], &all[..2], &[]), now), [], "no relay, no way");
        let mut full = scene(&all[0], &all, &relays);
        assert_eq!(places(&full, now).len(), 12, "all but itself and the relay");
        full.connected.extend(all[1..=limits::NEIGHBOURS_ENOUGH].iter().cloned());
        assert_eq!(places(&full, now), []);
    }

    #[test]
    fn of_many_each_looks_for_those_after_itself() {
        let mut all: Vec<_> = (0..200_u32)
            .map(|n| Identity::from_seed(std::array::from_fn(|at| n.to_be_bytes()[at % 4])).peer())
            .collect();
        all.sort();
        let relays = [relay(&peers()[0], 1)];
        let found = places(&scene(&all[150], &all, &relays), Instant::now());
        let found: Vec<_> = found.iter().filter_map(|(address, _)| address.peer()).collect();
        let expected: Vec<_> = all[151..].iter().chain(&all[..15]).cloned().collect();
        assert_eq!(found, expected[..limits::CIRCUIT_PEERS_MAX]);
    }
}
