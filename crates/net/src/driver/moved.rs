//! What happens when an address of this machine is gone: another network, a new lease, a link that is down.

use libp2p::{Multiaddr, identify, swarm::ConnectionId};

use super::Driver;
use crate::{Address, Direction, Event, address::ip_of, peers::Link};

impl Driver {
    /// Closes the connections that ran from or to the address. Nobody else would say so: the peers know
    /// nothing of it, and an unanswered ping tells after most of a minute.
    pub(super) fn on_address_lost(&mut self, address: &Multiaddr) {
        let lost = Address::reported(address);
        self.tell(Event::ListeningNoMore { address: lost.clone() });
        self.swarm.remove_external_address(address);
        self.on_unreachable(address);
        // A circuit's is the relay's address, and where two relay for each other, even our own.
        let left = self.swarm.listeners().map(Address::reported).filter(|own| !own.is_relayed());
        let left: Vec<_> = left.filter_map(|own| own.ip()).collect();
        let Some(ip) = lost.ip().filter(|ip| !ip.is_loopback() && !left.contains(ip)) else { return };
        let is_other = |other: &std::net::IpAddr| other.is_ipv4() == ip.is_ipv4() && !other.is_loopback();
        let was_only = !left.iter().any(is_other);
        for (peer, connection) in self.peers.running_over(ip, was_only) {
            tracing::debug!(%peer, "closing a connection: it ran over {ip}, which is not ours any more");
            self.swarm.close_connection(connection);
        }
    }

    /// A peer that sees one of our own addresses says which one the connection to it runs over.
    pub(super) fn note_own_side(
        &mut self,
        peer: &libp2p::PeerId,
        connection: ConnectionId,
        link: &Link,
        info: &identify::Info,
    ) {
        let seen = ip_of(&info.observed_addr).filter(|_| link.direction == Direction::Outbound);
        let mut own = self.swarm.listeners().map(Address::reported).filter(|own| !own.is_relayed());
        if let Some(ip) = seen.filter(|ip| own.any(|own| own.ip() == Some(*ip))) {
            self.peers.set_own_side(peer, connection, ip);
        }
    }
}
