use std::{
    collections::BTreeMap,
    net::IpAddr,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use libp2p::{PeerId, swarm::ConnectionId};
use tokio::time::Instant;
use wire::Peer;

use crate::{Address, Carrier, ConnectionClass, Direction, identity::peer_of, links::Rated};

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
    pub(crate) direction: Direction,
    /// Whether *this side* dialled, told alike on both sides.
    pub(crate) dialled: bool,
    pub(crate) since: Instant,
    pub(crate) rtt: Option<Duration>,
    /// Which of our own addresses it runs over, where that is known; of a circuit it means nothing.
    pub(crate) own_side: Option<IpAddr>,
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
            relayed: link.address.is_relayed(),
            by_smaller: link.dialled == i_am_smaller,
            since: link.since,
        });
        rated.collect()
    }

    /// Whether a peer is connected without a relay.
    pub(crate) fn is_direct(&self, peer: &PeerId) -> bool {
        self.lock().get(peer).is_some_and(|entry| entry.links.values().any(|link| !link.address.is_relayed()))
    }

    pub(crate) fn link(&self, peer: &PeerId, connection: ConnectionId) -> Option<Link> {
        self.lock().get(peer)?.links.get(&connection).cloned()
    }

    /// Whether a member is connected directly from, or to, this address.
    pub(crate) fn is_at(&self, ip: IpAddr) -> bool {
        let is_there = |link: &Link| {
            link.class == ConnectionClass::Member && !link.address.is_relayed() && link.address.ip() == Some(ip)
        };
        self.lock().values().any(|entry| entry.links.values().any(is_there))
    }

    /// The direct connections that run over our own address `ip`, and, if it `is_only` of its kind, those
    /// of which that is not known.
    pub(crate) fn running_over(&self, ip: IpAddr, is_only: bool) -> Vec<(PeerId, ConnectionId)> {
        let runs_there = |link: &Link| {
            let is_there = link.own_side.map_or(is_only, |own| own == ip);
            let is_of_kind = link.address.ip().is_some_and(|other| other.is_ipv4() == ip.is_ipv4());
            is_there && is_of_kind && !link.address.is_relayed()
        };
        let peers = self.lock();
        let links = peers.iter().flat_map(|(peer, entry)| entry.links.iter().map(move |link| (peer, link)));
        links.filter(|(_, (_, link))| runs_there(link)).map(|(peer, (connection, _))| (*peer, *connection)).collect()
    }

    pub(crate) fn set_own_side(&self, peer: &PeerId, connection: ConnectionId, ip: IpAddr) {
        let mut peers = self.lock();
        if let Some(link) = peers.get_mut(peer).and_then(|entry| entry.links.get_mut(&connection)) {
            link.own_side = Some(ip);
        }
    }

    /// The peer that is connected at just this place.
    pub(crate) fn at(&self, place: &Address) -> Option<PeerId> {
        let peers = self.lock();
        let is_there = |entry: &Entry| entry.links.values().any(|link| link.address.without_peer() == *place);
        peers.iter().find(|(_, entry)| is_there(entry)).map(|(peer, _)| *peer)
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

    pub(crate) fn of_class(&self, class: ConnectionClass) -> Vec<PeerInfo> {
        let peers = self.lock();
        let infos = peers.iter().filter_map(|(peer, entry)| {
            let (_, link) = entry.best(class)?;
            Some(PeerInfo {
                peer: peer_of(*peer),
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

impl Entry {
    fn has(&self, class: ConnectionClass) -> bool {
        self.links.values().any(|link| link.class == class)
    }

    fn best(&self, class: ConnectionClass) -> Option<(&ConnectionId, &Link)> {
        let links = self.links.iter().filter(|(_, link)| link.class == class);
        links.min_by_key(|(connection, link)| (link.address.is_relayed(), **connection))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(address: &str, own_side: Option<&str>) -> Link {
        Link {
            class: ConnectionClass::Member,
            address: address.parse().unwrap(),
            direction: Direction::Outbound,
            dialled: true,
            since: Instant::now(),
            rtt: None,
            own_side: own_side.map(|ip| ip.parse().unwrap()),
        }
    }

    #[test]
    fn what_ran_over_an_address_is_known_by_what_the_peer_saw_or_because_there_is_no_other() {
        let peer = PeerId::random();
        let peers = Peers::default();
        let circuit = format!("/ip4/50.0.0.9/tcp/1/p2p/{peer}/p2p-circuit/p2p/{peer}");
        let links = [
            link("/ip4/50.0.0.1/tcp/1", Some("10.0.0.1")),
            link("/ip4/50.0.0.2/tcp/1", Some("10.0.0.2")),
            link("/ip4/50.0.0.3/tcp/1", None),
            link("/ip6/2001:db8::1/tcp/1", None),
            link(&circuit, Some("10.0.0.1")),
        ];
        for (number, link) in links.into_iter().enumerate() {
            peers.add(peer, ConnectionId::new_unchecked(number), link);
        }
        let over = |ip: &str, is_only| {
            let found = peers.running_over(ip.parse().unwrap(), is_only).into_iter();
            found.map(|(_, connection)| connection).collect::<Vec<_>>()
        };
        assert_eq!(over("10.0.0.1", false), [ConnectionId::new_unchecked(0)]);
        assert_eq!(over("10.0.0.1", true), [0, 2].map(ConnectionId::new_unchecked));
        assert_eq!(over("2001:db8::9", true), [ConnectionId::new_unchecked(3)]);
    }
}
