//! What the behaviours for circuits, hole punches and probes report.

use libp2p::{Multiaddr, autonat, dcutr, relay, upnp};
use tokio::time::Instant;

use crate::{Address, behaviour::BehaviourEvent, driver::Driver, limits::CANDIDATES_MAX};

impl Driver {
    pub(in crate::driver) fn on_reach(&mut self, event: BehaviourEvent) {
        match event {
            BehaviourEvent::RelayServer(event) => self.on_relay_server(event),
            BehaviourEvent::RelayClient(event) => tracing::debug!("{event:?}"),
            BehaviourEvent::Punch(dcutr::Event { remote_peer_id, result }) => match result {
                Ok(_) => {
                    tracing::info!(peer = %remote_peer_id, "a hole punch got through");
                    self.meters.punches_succeeded.one();
                }
                // It goes on after it has succeeded, and then gives up.
                Err(_) if self.peers.is_direct(&remote_peer_id) => {}
                Err(why) => {
                    tracing::info!(peer = %remote_peer_id, "no hole punch, the circuit stays: {why}");
                    self.meters.punches_failed.one();
                }
            },
            BehaviourEvent::AutonatClient(autonat::v2::client::Event { tested_addr, result: Err(why), .. }) => {
                tracing::debug!(address = %tested_addr, "others cannot dial us: {why}");
                self.reaching.evidence.failed(&Address::reported(&tested_addr), Instant::now());
                self.tend();
            }
            BehaviourEvent::Upnp(event) => self.on_upnp(&event),
            _ => {}
        }
    }

    fn on_relay_server(&mut self, event: relay::Event) {
        match event {
            relay::Event::ReservationReqAccepted { renewed: false, .. } => self.meters.reservations_served.one(),
            relay::Event::CircuitReqAccepted { .. } => self.meters.circuits_served.one(),
            relay::Event::ReservationReqDenied { src_peer_id, status } => {
                tracing::debug!(peer = %src_peer_id, ?status, "no reservation for it here");
                self.meters.relay_refusals.one();
            }
            relay::Event::CircuitReqDenied { src_peer_id, dst_peer_id, status } => {
                tracing::debug!(from = %src_peer_id, to = %dst_peer_id, ?status, "no circuit for it here");
                self.meters.relay_refusals.one();
            }
            _ => {}
        }
    }

    fn on_upnp(&mut self, event: &upnp::Event) {
        self.reaching.upnp = match event {
            upnp::Event::NewExternalAddr { external_addr, .. } => {
                tracing::info!("the router forwards {external_addr}");
                Some(true)
            }
            upnp::Event::ExpiredExternalAddr { .. } => Some(false),
            upnp::Event::GatewayNotFound | upnp::Event::NonRoutableGateway => {
                tracing::debug!("the router forwards nothing: {event:?}");
                Some(false)
            }
        };
        self.tend();
    }

    /// An address of ours is good for others: a server dialled it, the router forwards it, or a relay
    /// holds it.
    pub(in crate::driver) fn on_reachable(&mut self, address: &Multiaddr) {
        if !Address::reported(address).is_relayed() && self.told().len() > CANDIDATES_MAX {
            // Somebody makes them up, and lets us in there.
            return self.swarm.remove_external_address(address);
        }
        let address = Address::reported(address).without_peer();
        if self.reaching.evidence.confirmed(address.clone()) {
            tracing::info!("others can dial us at {address}");
            // identify says it to new peers only; those whom we know through a relay wait for it.
            let peers = self.peers.ids();
            self.swarm.behaviour_mut().introduce_again(peers);
        }
        self.tend();
    }

    /// Others are not told of it any more.
    pub(in crate::driver) fn on_not_reached(&mut self, address: &Address) {
        tracing::info!("others do not reach us at {address} any more");
        self.swarm.remove_external_address(address.inner());
        self.reaching.evidence.expired(address);
        let peers = self.peers.ids();
        self.swarm.behaviour_mut().introduce_again(peers);
    }

    pub(in crate::driver) fn on_unreachable(&mut self, address: &Multiaddr) {
        self.reaching.evidence.expired(&Address::reported(address).without_peer());
        self.tend();
    }
}
