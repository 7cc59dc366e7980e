use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use libp2p::{PeerId, swarm::ConnectionId};
use tokio::time::Instant;
use wire::Peer;

use crate::{Address, ConnectionClass, Direction, identity::peer_of};

/// A peer that is connected now.
#[derive(Clone, Debug)]
pub struct PeerInfo {
    pub peer: Peer,
    /// Of its oldest connection.
    pub address: Address,
    pub direction: Direction,
    /// When its first connection came up.
    pub since: Instant,
    /// Of the last ping that was answered; `None` before the first.
    pub rtt: Option<Duration>,
    /// What it calls itself, shortened to printable characters; `None` before it has said.
    pub agent: Option<String>,
    /// Whether gossip reaches it.
    pub ready: bool,
}

/// Everybody who is connected, and over what. Written by the driver, read by anyone.
#[derive(Default)]
pub(crate) struct Peers(Mutex<BTreeMap<PeerId, Entry>>);

struct Entry {
    /// Oldest first: connection ids only grow.
    links: BTreeMap<ConnectionId, Link>,
    since: Instant,
    rtt: Option<Duration>,
    agent: Option<String>,
    ready: bool,
}

#[derive(Clone)]
pub(crate) struct Link {
    pub(crate) class: ConnectionClass,
    pub(crate) address: Address,
    pub(crate) direction: Direction,
}

impl Peers {
    /// Returns whether it is the peer's first link of this class.
    pub(crate) fn add(&self, peer: PeerId, connection: ConnectionId, link: Link) -> bool {
        let mut peers = self.lock();
        let entry = peers.entry(peer).or_insert_with(|| Entry {
            links: BTreeMap::new(),
            since: Instant::now(),
            rtt: None,
            agent: None,
            ready: false,
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

    pub(crate) fn connections(&self, peer: &PeerId) -> usize {
        self.lock().get(peer).map_or(0, |entry| entry.links.len())
    }

    /// Returns whether the peer was not ready before, and is a member.
    pub(crate) fn make_ready(&self, peer: &PeerId) -> bool {
        let mut peers = self.lock();
        let Some(entry) = peers.get_mut(peer) else { return false };
        let new = entry.has(ConnectionClass::Member) && !entry.ready;
        entry.ready |= new;
        new
    }

    pub(crate) fn set_rtt(&self, peer: &PeerId, rtt: Duration) {
        if let Some(entry) = self.lock().get_mut(peer) {
            entry.rtt = Some(rtt);
        }
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
            let link = entry.links.values().find(|link| link.class == class)?;
            Some(PeerInfo {
                peer: peer_of(*peer),
                address: link.address.clone(),
                direction: link.direction,
                since: entry.since,
                rtt: entry.rtt,
                agent: entry.agent.clone(),
                ready: entry.ready,
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
}
