//! Members that were heard of and not met: dialled through a relay that we both know.
//!
//! A member's own word in gossip says that it exists, and not where. Whoever cannot be dialled keeps
//! a reservation at its relays, and most fleets have few of them; so the relays that we are connected
//! to are tried in turn. Hole punching then makes a direct connection of it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use net::{Address, Net};
use tokio::time::Instant;
use wire::Peer;

use crate::{limits, sharing::Sharing};

/// Whom to dial through which relay. Pure: it is told who is there, and returns addresses.
#[derive(Default)]
pub struct Circuits {
    missed: BTreeMap<Peer, Missed>,
}

struct Missed {
    next: Instant,
    attempts: u32,
}

/// What is known at one moment.
pub struct Scene<'a> {
    pub me: &'a Peer,
    /// Members that say that they are there, connected or not.
    pub heard: BTreeSet<Peer>,
    pub connected: BTreeSet<Peer>,
    /// Connected members that relay, and where others reach them.
    pub relays: Vec<(Peer, Address)>,
}

impl Circuits {
    /// Returns what to dial now, a few at a time.
    ///
    /// Of two that miss each other the smaller begins; the other waits a little, in case it is the only
    /// one that knows. With enough neighbours nobody is missed: gossip reaches all through them.
    pub fn next(&mut self, scene: &Scene<'_>, now: Instant) -> Vec<Address> {
        let is_missed = |peer: &Peer| peer != scene.me && !scene.connected.contains(peer);
        self.missed.retain(|peer, _| scene.heard.contains(peer) && is_missed(peer));
        if scene.connected.len() >= limits::NEIGHBOURS_ENOUGH || scene.relays.is_empty() {
            return Vec::new();
        }
        let room = limits::NEIGHBOURS_ENOUGH - scene.connected.len();
        let mut dials = Vec::new();
        for peer in scene.heard.iter().filter(|peer| is_missed(peer)).take(limits::KNOWN_ADDRESSES_MAX) {
            let missed = self.missed.entry(peer.clone()).or_insert_with(|| {
                let pause = if scene.me < peer { Duration::ZERO } else { limits::CIRCUIT_COURTESY };
                Missed { next: now + pause, attempts: 0 }
            });
            if missed.next > now || dials.len() >= room {
                continue;
            }
            let (relay, place) = &scene.relays[missed.attempts as usize % scene.relays.len()];
            missed.next = now + pause_after(missed.attempts);
            missed.attempts = missed.attempts.saturating_add(1);
            dials.extend(place.circuit(relay, peer));
        }
        dials
    }
}

fn pause_after(attempts: u32) -> Duration {
    let pause = limits::CIRCUIT_PAUSE_MIN.saturating_mul(1_u32.checked_shl(attempts).unwrap_or(u32::MAX));
    pause.min(limits::CIRCUIT_PAUSE_MAX)
}

/// Looks now and then, for as long as the network is up.
pub async fn keep_dialling(net: Net, sharing: Arc<Sharing>) {
    let mut circuits = Circuits::default();
    loop {
        tokio::time::sleep(limits::CIRCUIT_INTERVAL).await;
        let peers = net.peers();
        let relays = peers.iter().filter_map(|info| Some((info.peer.clone(), info.relays_at.clone()?)));
        let heard = sharing.members().await.into_iter().filter(|view| !view.member.is_leaving);
        let scene = Scene {
            me: net.me(),
            heard: heard.map(|view| view.peer).collect(),
            connected: peers.iter().map(|info| info.peer.clone()).collect(),
            relays: relays.collect(),
        };
        for address in circuits.next(&scene, Instant::now()) {
            net.dial(address);
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

    fn scene<'a>(me: &'a Peer, heard: &[Peer], relays: &[(Peer, Address)]) -> Scene<'a> {
        let connected = relays.iter().map(|(relay, _)| relay.clone()).collect();
        Scene { me, heard: heard.iter().cloned().collect(), connected, relays: relays.to_vec() }
    }

    #[test]
    fn the_smaller_dials_at_once_and_the_larger_a_little_later() {
        let all = peers();
        let relays = [relay(&all[9], 1)];
        let now = Instant::now();
        let circuit = |to: &Peer| vec![relays[0].1.circuit(&relays[0].0, to).unwrap()];
        let mut small = Circuits::default();
        assert_eq!(small.next(&scene(&all[0], &all[..2], &relays), now), circuit(&all[1]));
        let mut large = Circuits::default();
        assert_eq!(large.next(&scene(&all[1], &all[..2], &relays), now), []);
        let later = now + limits::CIRCUIT_COURTESY;
        assert_eq!(large.next(&scene(&all[1], &all[..2], &relays), later), circuit(&all[0]));
    }

    #[test]
    fn the_relays_are_tried_in_turn_with_longer_pauses() {
        let all = peers();
        let relays = [relay(&all[8], 1), relay(&all[9], 2)];
        let mut circuits = Circuits::default();
        let start = Instant::now();
        let mut dialled = Vec::new();
        for second in 0..=200 {
            let now = start + Duration::from_secs(second);
            for address in circuits.next(&scene(&all[0], &all[..2], &relays), now) {
                dialled.push((second, address.port().unwrap()));
            }
        }
        assert_eq!(dialled, [(0, 1), (2, 2), (6, 1), (14, 2), (30, 1), (62, 2), (122, 1), (182, 2)]);
    }

    #[test]
    fn who_is_connected_or_gone_is_not_dialled_and_comes_back_afresh() {
        let all = peers();
        let relays = [relay(&all[9], 1)];
        let (mut circuits, now) = (Circuits::default(), Instant::now());
        assert_eq!(circuits.next(&scene(&all[0], &all[..2], &relays), now).len(), 1);
        let mut met = scene(&all[0], &all[..2], &relays);
        met.connected.insert(all[1].clone());
        assert_eq!(circuits.next(&met, now), []);
        assert_eq!(circuits.next(&scene(&all[0], &all[..2], &relays), now).len(), 1, "lost again: no old pause");
        assert_eq!(circuits.next(&scene(&all[0], &[], &relays), now), []);
        assert_eq!(circuits.next(&scene(&all[0], &all[..2], &[]), now), [], "no relay, no way");
    }

    #[test]
    fn enough_neighbours_are_enough() {
        let all = peers();
        let relays = [relay(&all[13], 1)];
        let (mut circuits, now) = (Circuits::default(), Instant::now());
        let dialled = circuits.next(&scene(&all[0], &all, &relays), now);
        assert_eq!(dialled.len(), limits::NEIGHBOURS_ENOUGH - 1);
        let mut full = scene(&all[0], &all, &relays);
        full.connected.extend(all[1..=limits::NEIGHBOURS_ENOUGH].iter().cloned());
        assert_eq!(circuits.next(&full, now + Duration::from_secs(600)), []);
    }
}
