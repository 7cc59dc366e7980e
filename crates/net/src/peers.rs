use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use libp2p::{PeerId, swarm::ConnectionId};
use tokio::time::Instant;
use wire::Peer;

use crate::{Address, Carrier, ConnectionClass, Direction, address::was_last, identity::peer_of, links::Rated};

/// A peer that is connected now, over its best connection: a direct one before a circuit, then the
/// oldest.
#[derive(Clone, Debug)]
pub struct PeerInfo {
    pub peer: Peer,
    pub address: Address,
    pub direction: Direction,
    /// Who relays, if nobody has got through directly.
    pub relay: Option<Peer>,
    /// What carries it; through a relay, on our side of it.
    pub carrier: Carrier,
    /// When its first connection came up.
    pub since: Instant,
    /// Of the last ping that was answered there; `None` before the first.
    pub rtt: Option<Duration>,
    /// What it calls itself, shortened to printable characters; `None` before it has said.
    pub agent: Option<String>,
    /// Whether gossip reaches it.
    pub ready: bool,
    /// Usually one: more while a better one settles.
    pub connections: usize,
    /// Where others may reach it, if it offers to relay. Not verified.
    pub relays_at: Option<Address>,
}

/// Everybody who is connected, and over what. Written by the driver, read by anyone.
#[derive(Default)]
pub(crate) struct Peers(Mutex<BTreeMap<PeerId, Entry>>);

struct Entry {
    name: Peer,
    links: BTreeMap<ConnectionId, Link>,
    since: Instant,
    agent: Option<String>,
    ready: bool,
    relays_at: Option<Address>,
}

#[derive(Clone)]
pub(crate) struct Link {
    pub(crate) class: ConnectionClass,
    pub(crate) address: Address,
    /// Of this machine's addresses the one that it runs from, as far as that is known.
    pub(crate) local_ip: Option<IpAddr>,
    pub(crate) direction: Direction,
    /// Whether *this side* dialled, told alike on both sides.
    pub(crate) dialled: bool,
    pub(crate) since: Instant,
    pub(crate) rtt: Option<Duration>,
    is_relayed: bool,
}

/// How often a peer has said to what it listens, while it was connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Subscribed {
    First,
    Again,
}

impl Peers {
    /// Returns whether it is the peer's first link of this class.
    pub(crate) fn add(&self, peer: PeerId, connection: ConnectionId, link: Link) -> bool {
        let mut peers = self.lock();
        let entry = peers.entry(peer).or_insert_with(|| Entry {
            name: peer_of(peer),
            links: BTreeMap::new(),
            since: Instant::now(),
            agent: None,
            ready: false,
            relays_at: None,
        });
        let first = !entry.has(link.class);
        entry.links.insert(connection, link);
        first
    }

    /// Returns the class of the link that is gone, and whether it was the peer's last of it.
    pub(crate) fn remove(&self, peer: &PeerId, connection: ConnectionId) -> Option<(ConnectionClass, bool)> {
        let mut peers = self.lock();
        let entry = peers.get_mut(peer)?;
        let class = entry.links.remove(&connection)?.class;
        let last = !entry.has(class);
        if last && class == ConnectionClass::Member {
            entry.ready = false;
        }
        if entry.links.is_empty() {
            peers.remove(peer);
        }
        Some((class, last))
    }

    /// The connections of a member, for the rule that leaves one of them.
    pub(crate) fn rated(&self, peer: &PeerId, me: &PeerId) -> Vec<Rated> {
        let peers = self.lock();
        let links = peers.get(peer).into_iter().flat_map(|entry| entry.links.iter());
        let members = links.filter(|(_, link)| link.class == ConnectionClass::Member);
        let i_am_smaller = me.to_bytes() < peer.to_bytes();
        let rated = members.map(|(connection, link)| Rated {
            connection: *connection,
            relayed: link.is_relayed,
            by_smaller: link.dialled == i_am_smaller,
            since: link.since,
        });
        rated.collect()
    }

    /// Whether a peer is connected without a relay.
    pub(crate) fn is_direct(&self, peer: &PeerId) -> bool {
        self.lock().get(peer).is_some_and(|entry| entry.links.values().any(|link| !link.is_relayed))
    }

    /// The circuit by which this side dialled the peer.
    pub(crate) fn circuit_to(&self, peer: &PeerId) -> Option<Address> {
        let peers = self.lock();
        let mut links = peers.get(peer)?.links.values();
        links.find(|link| link.dialled && link.is_relayed).map(|link| link.address.clone())
    }

    pub(crate) fn link(&self, peer: &PeerId, connection: ConnectionId) -> Option<Link> {
        self.lock().get(peer)?.links.get(&connection).cloned()
    }

    /// Whether a member is connected directly from, or to, this address.
    pub(crate) fn is_at(&self, ip: IpAddr) -> bool {
        let is_there =
            |link: &Link| link.class == ConnectionClass::Member && !link.is_relayed && link.address.ip() == Some(ip);
        self.lock().values().any(|entry| entry.links.values().any(is_there))
    }

    /// The peer that is connected at just this place.
    pub(crate) fn at(&self, place: &Address) -> Option<PeerId> {
        let peers = self.lock();
        let is_there = |entry: &Entry| entry.links.values().any(|link| link.address.without_peer() == *place);
        peers.iter().find(|(_, entry)| is_there(entry)).map(|(peer, _)| *peer)
    }

    /// Where the peer sees us, on a connection of which nobody knows better.
    pub(crate) fn set_observed(&self, peer: &PeerId, connection: ConnectionId, ip: IpAddr) {
        if let Some(link) = self.lock().get_mut(peer).and_then(|entry| entry.links.get_mut(&connection)) {
            link.local_ip.get_or_insert(ip);
        }
    }

    /// Whether a connected peer sees us at this address, or came to it.
    pub(crate) fn see_us_at(&self, ip: IpAddr) -> bool {
        let peers = self.lock();
        peers.values().any(|entry| entry.links.values().any(|link| !link.is_relayed && link.local_ip == Some(ip)))
    }

    /// Direct connections that ran from `ip`, which this machine has no more. `others` are the addresses that it
    /// still has: with none of that family left, all of that family ran from there. QUIC's, too: our servers take
    /// nothing from another address than the one that a connection began with.
    pub(crate) fn stranded(&self, ip: IpAddr, others: &[IpAddr]) -> Vec<ConnectionId> {
        let is_last = was_last(ip, others);
        let was_from_there = |link: &Link| {
            let Some(there) = link.address.ip().filter(|there| !there.is_loopback()) else { return false };
            // Behind a router a peer sees another address than the one that it came from.
            let nothing_is_left = is_last && there.is_ipv4() == ip.is_ipv4();
            !link.is_relayed && (link.local_ip == Some(ip) || nothing_is_left)
        };
        let peers = self.lock();
        let links = peers.values().flat_map(|entry| entry.links.iter());
        links.filter(|(_, link)| was_from_there(link)).map(|(connection, _)| *connection).collect()
    }

    pub(crate) fn set_relays_at(&self, peer: &PeerId, place: Option<Address>) {
        if let Some(entry) = self.lock().get_mut(peer) {
            entry.relays_at = place;
        }
    }

    /// Notes that a peer subscribed. `None` if it is no member.
    pub(crate) fn make_ready(&self, peer: &PeerId) -> Option<Subscribed> {
        let mut peers = self.lock();
        let entry = peers.get_mut(peer).filter(|entry| entry.has(ConnectionClass::Member))?;
        let was_ready = std::mem::replace(&mut entry.ready, true);
        Some(if was_ready { Subscribed::Again } else { Subscribed::First })
    }

    /// Returns whether it is that of the connection that is shown.
    pub(crate) fn set_rtt(&self, peer: &PeerId, connection: ConnectionId, rtt: Duration) -> bool {
        let mut peers = self.lock();
        let Some(entry) = peers.get_mut(peer) else { return false };
        let Some(link) = entry.links.get_mut(&connection) else { return false };
        link.rtt = Some(rtt);
        let class = link.class;
        entry.best(class).is_some_and(|(best, _)| *best == connection)
    }

    pub(crate) fn set_agent(&self, peer: &PeerId, agent: String) {
        if let Some(entry) = self.lock().get_mut(peer) {
            entry.agent = Some(agent);
        }
    }

    pub(crate) fn is_member(&self, peer: &PeerId) -> bool {
        self.lock().get(peer).is_some_and(|entry| entry.has(ConnectionClass::Member))
    }

    /// Whether we hold a connection that was dialled to just this place.
    pub(crate) fn dialled(&self, place: &Address) -> bool {
        self.lock()
            .values()
            .flat_map(|entry| entry.links.values())
            .any(|link| link.direction == Direction::Outbound && link.address.without_peer() == *place)
    }

    pub(crate) fn ids(&self) -> Vec<PeerId> {
        self.lock().keys().copied().collect()
    }

    /// By their names, for who needs no more of them.
    pub(crate) fn members(&self) -> BTreeSet<Peer> {
        let peers = self.lock();
        let members = peers.values().filter(|entry| entry.has(ConnectionClass::Member));
        members.map(|entry| entry.name.clone()).collect()
    }

    pub(crate) fn of_class(&self, class: ConnectionClass) -> Vec<PeerInfo> {
        let peers = self.lock();
        let infos = peers.values().filter_map(|entry| {
            let (_, link) = entry.best(class)?;
            Some(PeerInfo {
                peer: entry.name.clone(),
                address: link.address.clone(),
                direction: link.direction,
                relay: link.address.relay(),
                carrier: link.address.carrier(),
                since: entry.since,
                rtt: link.rtt,
                agent: entry.agent.clone(),
                ready: entry.ready,
                connections: entry.links.len(),
                relays_at: entry.relays_at.clone(),
            })
        });
        infos.collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<PeerId, Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Link {
    /// Of now. `dialled` is whether this side did, told alike on both.
    pub(crate) fn new(
        class: ConnectionClass,
        address: Address,
        local_ip: Option<IpAddr>,
        direction: Direction,
        dialled: bool,
    ) -> Self {
        let is_relayed = address.is_relayed();
        Self { class, address, local_ip, direction, dialled, since: Instant::now(), rtt: None, is_relayed }
    }
}

impl Entry {
    fn has(&self, class: ConnectionClass) -> bool {
        self.links.values().any(|link| link.class == class)
    }

    fn best(&self, class: ConnectionClass) -> Option<(&ConnectionId, &Link)> {
        let links = self.links.iter().filter(|(_, link)| link.class == class);
        links.min_by_key(|(connection, link)| (link.is_relayed, **connection))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Identity;

    #[test]
    fn what_ran_from_an_address_that_is_gone_is_stranded() {
        let peers = Peers::default();
        let (here, other) = ("10.0.0.1".parse::<IpAddr>().unwrap(), "172.17.0.1".parse::<IpAddr>().unwrap());
        let add = |id: usize, address: &str, local_ip, direction| {
            let peer = Identity::from_seed([id as u8; 32]).peer_id();
            let (class, address) = (ConnectionClass::Member, address.parse().unwrap());
            let link = Link::new(class, address, local_ip, direction, true);
            peers.add(peer, ConnectionId::new_unchecked(id), link);
            (peer, ConnectionId::new_unchecked(id))
        };
        let (_, came) = add(1, "/ip4/10.0.0.7/tcp/4001", Some(here), Direction::Inbound);
        let (_, elsewhere) = add(2, "/ip4/10.0.0.8/tcp/4001", Some(other), Direction::Inbound);
        let (seen, dialled) = add(3, "/ip4/10.0.0.9/tcp/9100", None, Direction::Outbound);
        let (_, quic) = add(4, "/ip4/10.0.0.9/udp/9100/quic-v1", Some(here), Direction::Outbound);
        let (_, unknown) = add(5, "/ip4/203.0.113.5/tcp/9100", None, Direction::Outbound);
        add(6, "/ip6/2001:db8::5/tcp/9100", None, Direction::Outbound);
        add(7, "/ip4/127.0.0.1/tcp/9100", None, Direction::Outbound);
        // Ends with its relay's connection.
        let relay = Identity::from_seed([9; 32]).peer_id();
        let circuit = format!("/ip4/203.0.113.9/tcp/9100/p2p/{relay}/p2p-circuit/p2p/{seen}");
        add(8, &circuit, Some(here), Direction::Outbound);
        peers.set_observed(&seen, dialled, here);
        let stranded = |others: &[IpAddr]| peers.stranded(here, others).into_iter().collect::<BTreeSet<_>>();
        assert_eq!(stranded(&[other]), [came, dialled, quic].into());
        let loopback = "127.0.0.1".parse().unwrap();
        let all = [came, elsewhere, dialled, quic, unknown].into();
        assert_eq!(stranded(&[loopback]), all, "nothing else is left that they could run from");
    }
}
