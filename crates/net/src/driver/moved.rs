//! What happens when an address of this machine is gone: another network, a new lease, a link that is down.

use std::net::IpAddr;

use libp2p::{Multiaddr, core::transport::ListenerId};

use super::Driver;
use crate::{Address, Event};

impl Driver {
    /// Closes what ran from or to the address. Nobody else would say that it is dead: the peers know nothing of
    /// it, and an unanswered ping tells after half a minute.
    pub(super) fn on_not_listening(&mut self, listener: ListenerId, address: &Multiaddr) {
        // Of a reservation, which has an end of its own.
        if self.reaching.is_circuit(listener) {
            return;
        }
        let lost = Address::reported(address);
        tracing::info!("Not listening on {lost} any more");
        if !self.reaching.is_named(&lost) {
            self.swarm.remove_external_address(address);
            self.on_unreachable(address);
        }
        let left = self.own_ips(Some(address));
        if let Some(ip) = lost.ip().filter(|ip| !left.contains(ip)) {
            for connection in self.peers.stranded(ip, &left) {
                tracing::debug!(%ip, "closing a connection from an address that is gone");
                self.swarm.close_connection(connection);
            }
            self.on_address_gone(ip, &left);
        }
        self.tell(Event::NotListening { address: lost });
        self.tend();
    }

    /// The addresses that this machine has, where it listens; `but` for one.
    pub(super) fn own_ips(&self, but: Option<&Multiaddr>) -> Vec<IpAddr> {
        // A circuit's is the relay's address, and where two relay for each other, even our own.
        let own = self.swarm.listeners().filter(|own| Some(*own) != but).map(Address::reported);
        own.filter(|own| !own.is_relayed()).filter_map(|own| own.ip()).collect()
    }
}
