//! Dials that nobody asked for: to get a direct connection, or to learn what one takes.

use std::{net::IpAddr, num::NonZeroU8};

use libp2p::{
    Multiaddr, PeerId, identify,
    swarm::{
        ConnectionId,
        dial_opts::{DialOpts, PeerCondition},
    },
};

use crate::{
    Address, Carrier,
    address::ip_of,
    driver::Driver,
    limits::{DIAL_BACK_ADDRESSES_MAX, DIAL_BACKS_MAX, PEER_ADDRESSES_MAX},
    peers::Link,
};

impl Driver {
    /// A peer that came through a relay is dialled where it listens itself, if that can be from here.
    /// A hole punch alone does not get through from a strict NAT to an open TCP port: both sides then
    /// wait for the other to begin.
    pub(super) fn dial_back(&mut self, peer: PeerId, connection: ConnectionId, info: &identify::Info) {
        let own: Vec<_> = self.swarm.listeners().filter_map(ip_of).collect();
        let circuit = self.peers.link(&peer, connection).and_then(|link| link.address.ip());
        let is_all_here = circuit.is_some_and(|relay| relay.is_loopback());
        let can_reach = |address: &&Multiaddr| {
            let place = Address::reported(address);
            let is_near = place
                .ip()
                .is_some_and(|ip| (is_all_here || !ip.is_loopback()) && own.iter().any(|own| is_neighbour(own, &ip)));
            place.is_dialable_now() && !place.is_relayed() && (place.is_global() || is_near)
        };
        let places: Vec<_> =
            info.listen_addrs.iter().filter(can_reach).take(DIAL_BACK_ADDRESSES_MAX).cloned().collect();
        let Some(introduction) = self.reaching.introductions.get_mut(&connection) else { return };
        let is_news = introduction.dialled_back_at != places && introduction.dial_backs < DIAL_BACKS_MAX;
        if !self.reaching.config.hole_punching || places.is_empty() || !is_news || self.peers.is_direct(&peer) {
            return;
        }
        introduction.dial_backs += 1;
        introduction.dialled_back_at.clone_from(&places);
        tracing::debug!(%peer, "dialling back a peer that came through a relay, at {places:?}");
        // One after the other: of several at once all but one are cut in the middle of the gate.
        let options = DialOpts::peer_id(peer)
            .condition(PeerCondition::Always)
            .addresses(places)
            .override_dial_concurrency_factor(NonZeroU8::MIN)
            .build();
        if self.swarm.dial(options).is_ok() {
            self.meters.dial_backs.one();
        }
    }

    /// Dials a peer by the relay once more, for the hole punch that a new circuit begins. The new one is
    /// one too many soon, whatever comes of it.
    pub(super) fn punch_again(&mut self, peer: PeerId) {
        let Some(circuit) = self.peers.circuit_to(&peer) else { return self.reaching.punches.over(&peer) };
        tracing::debug!(%peer, "still through a relay: another hole punch");
        let options =
            DialOpts::peer_id(peer).condition(PeerCondition::Always).addresses(vec![circuit.inner().clone()]).build();
        let _ = self.swarm.dial(options);
    }

    /// A relay tells how it sees us over the transport that we talk over. A hole punch over the other
    /// one needs to know that too, so it is asked once over a connection of its own, which is then one
    /// too many and closed.
    pub(super) fn sound(&mut self, relay: PeerId, link: &Link, info: &identify::Info) {
        let other = match link.address.carrier() {
            Carrier::Tcp => Carrier::Quic,
            Carrier::Quic => Carrier::Tcp,
            Carrier::WebSocket => return,
        };
        let is_other = |place: &Address| place.carrier() == other && !place.is_relayed();
        let listens = self.swarm.listeners().any(|own| is_other(&Address::reported(own)));
        let places = info.listen_addrs.iter().take(PEER_ADDRESSES_MAX).map(Address::reported);
        let place = places
            .filter(|place| is_other(place) && place.is_dialable_now())
            .find(|place| place.ip() == link.address.ip());
        let Some(place) = place.filter(|_| listens && self.reaching.config.hole_punching) else { return };
        if self.peers.rated(&relay, &self.me).len() != 1 || !self.reaching.sounded.insert(relay) {
            return;
        }
        tracing::debug!(%relay, "asking how it sees us over {}", other.label());
        let options = DialOpts::peer_id(relay)
            .condition(PeerCondition::Always)
            .addresses(vec![place.without_peer().inner().clone()])
            .build();
        let _ = self.swarm.dial(options);
    }
}

/// In the same network, by the usual sizes of one cable: whoever says an address makes this node dial it.
fn is_neighbour(a: &IpAddr, b: &IpAddr) -> bool {
    match (a, b) {
        (IpAddr::V4(a), IpAddr::V4(b)) => a.octets()[..3] == b.octets()[..3],
        // A link-local address means nothing without its interface.
        (IpAddr::V6(a), IpAddr::V6(b)) => !b.is_unicast_link_local() && a.segments()[..4] == b.segments()[..4],
        _ => false,
    }
}
