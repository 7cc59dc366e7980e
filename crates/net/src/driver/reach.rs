//! What the driver does to reach peers, and be reached, where the plain way is closed.

mod dials;
mod doubts;
mod served;

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    net::IpAddr,
    time::Duration,
};

use libp2p::{
    Multiaddr, PeerId,
    core::{
        ConnectedPoint,
        transport::{ListenerId, PortUse},
    },
    identify,
    multiaddr::Protocol,
    relay,
    swarm::ConnectionId,
};
use rand::{Rng, RngExt, SeedableRng, rngs::StdRng};
use sha2::{Digest, Sha256};
use tokio::time::Instant;

use super::Driver;
use crate::{
    Address, Circuit, Config, Direction, Event, Nat, Reach, ReachInfo, RelayServer,
    address::ip_of,
    identity::peer_of,
    limits::{GOSSIP_WAKE_INTERVAL, PEER_ADDRESSES_MAX, UNCONFIRMED_TIME},
    links,
    nat::Evidence,
    punches::Punches,
    reach_info::Told,
    reservations::{Reservations, Step},
};

/// What is remembered for it.
pub(super) struct Reaching {
    config: Reach,
    /// Of circuits, with the relay; one for each.
    listeners: Vec<(ListenerId, PeerId)>,
    reservations: Reservations,
    introductions: BTreeMap<ConnectionId, Introduction>,
    /// Peers with more connections than one.
    crowded: BTreeSet<PeerId>,
    /// Peers that have lost a connection and kept another.
    bereft: BTreeSet<PeerId>,
    /// Relays that were asked how they see us over another transport, while they are connected.
    sounded: BTreeSet<PeerId>,
    punches: Punches,
    evidence: Evidence,
    /// When AutoNAT begins anew; each so often.
    next_round: Option<Instant>,
    probe_again_after: Duration,
    /// When others' words may make us doubt what was confirmed.
    next_doubt: Option<Instant>,
    /// Listens on other than loopback addresses: those are nobody else's business then.
    is_open: bool,
    /// What the operator says that others reach.
    named: Vec<Address>,
    upnp: Option<bool>,
    wake_at: Option<Instant>,
    rng: StdRng,
    told: Told,
}

/// How far a connection's two sides have got in telling each other who they are.
#[derive(Default)]
struct Introduction {
    sent: bool,
    /// Over a connection between our listening port and the peer.
    is_from_port: bool,
    /// Where the peer can be reached as a relay, if it offers to be one.
    relays_at: Option<Address>,
    dial_backs: usize,
    dialled_back_at: Vec<Multiaddr>,
}

impl Reaching {
    /// Whether it listens at a relay.
    pub(super) fn is_circuit(&self, listener: ListenerId) -> bool {
        self.listeners.iter().any(|(id, _)| *id == listener)
    }

    /// Whether the operator says that others reach us there.
    pub(super) fn is_named(&self, address: &Address) -> bool {
        self.named.contains(address)
    }

    /// Returns the seed for AutoNAT's nonces, too.
    pub(super) fn new(config: &Config, seed: [u8; 32], told: Told) -> (Self, [u8; 32]) {
        // The seed itself feeds the gate.
        let mut rng = StdRng::from_seed(Sha256::digest([&b"reach"[..], &seed].concat()).into());
        let mut probes = [0; 32];
        rng.fill_bytes(&mut probes);
        let is_public = config.reach.relay_server == RelayServer::On || !config.external.is_empty();
        let is_loopback = |address: &Address| address.ip().is_some_and(|ip| ip.is_loopback());
        let reaching = Self {
            config: config.reach,
            listeners: Vec::new(),
            reservations: Reservations::new(is_public || !config.reach.relay_client),
            introductions: BTreeMap::new(),
            crowded: BTreeSet::new(),
            bereft: BTreeSet::new(),
            sounded: BTreeSet::new(),
            punches: Punches::default(),
            evidence: Evidence::new(is_public),
            next_round: config.reach.autonat.then(|| Instant::now() + config.limits.probe_again_after),
            probe_again_after: config.limits.probe_again_after,
            next_doubt: None,
            is_open: !config.listen.iter().all(is_loopback),
            named: config.external.clone(),
            upnp: None,
            // What is switched on is told, and a relay begins to serve, before anything happens.
            wake_at: config.reach.is_any().then(Instant::now),
            rng,
            told,
        };
        (reaching, probes)
    }

    /// When [`Driver::tend`] has something to do.
    pub(super) fn wake_at(&self) -> Option<Instant> {
        self.wake_at
    }
}

impl Driver {
    pub(super) fn on_listening(&mut self, listener: ListenerId, address: &Multiaddr) {
        let told = Address::reported(address);
        if let Some((_, relay)) = self.reaching.listeners.iter().find(|(id, _)| *id == listener) {
            let circuit = told.with_peer(&peer_of(self.me));
            if circuit.is_dialable_now() {
                tracing::info!("Reachable through a relay at {circuit}");
                self.reaching.reservations.held(relay, circuit);
            }
            return self.tend();
        }
        tracing::info!("Listening on {told}");
        // A relay that knows no external address of its own is refused by its clients.
        let is_own = |ip: IpAddr| ip.is_loopback() || matches!(ip, IpAddr::V6(ip) if ip.is_unicast_link_local());
        let is_shown = !(self.reaching.is_open && told.ip().is_some_and(is_own));
        if self.reaching.config.relay_server == RelayServer::On && is_shown {
            self.swarm.add_external_address(address.clone());
        }
        self.tell(Event::Listening { address: told });
        self.tend();
    }

    pub(super) fn on_reservation_lost(&mut self, listener: ListenerId, cause: Option<io::Error>) {
        let Some(at) = self.reaching.listeners.iter().position(|(id, _)| *id == listener) else { return };
        let (_, relay) = self.reaching.listeners.swap_remove(at);
        let why = cause.map_or_else(|| "the relay is gone".to_owned(), |cause| cause.to_string());
        tracing::info!(%relay, "no reservation: {why}");
        let jitter = self.reaching.rng.random();
        self.reaching.reservations.lost(&relay, Instant::now(), jitter);
        self.tend();
    }

    /// A connection stands, of whatever class.
    pub(super) fn on_link(&mut self, peer: PeerId, connection: ConnectionId, endpoint: &ConnectedPoint) {
        if !self.reaching.config.is_any() {
            return;
        }
        let is_from_port = match endpoint {
            ConnectedPoint::Dialer { port_use: PortUse::New, .. } => false,
            ConnectedPoint::Dialer { address, .. } => self.swarm.listeners().any(|own| leaves_from(own, address)),
            ConnectedPoint::Listener { .. } => true,
        };
        let introduction = Introduction { is_from_port, ..Introduction::default() };
        self.reaching.introductions.insert(connection, introduction);
        if self.peers.rated(&peer, &self.me).len() > 1 {
            self.reaching.crowded.insert(peer);
        }
        if self.peers.is_direct(&peer) {
            self.reaching.punches.over(&peer);
        } else if endpoint.is_dialer() && self.reaching.config.hole_punching {
            let jitter = self.reaching.rng.random();
            self.reaching.punches.relayed(peer, Instant::now(), jitter);
        }
        self.tend();
    }

    pub(super) fn on_link_closed(&mut self, peer: PeerId, connection: ConnectionId, is_last: bool) {
        self.reaching.introductions.remove(&connection);
        if is_last {
            self.reaching.bereft.remove(&peer);
            self.reaching.sounded.remove(&peer);
            self.reaching.punches.over(&peer);
        } else {
            self.reaching.bereft.insert(peer);
        }
        if !self.peers.is_direct(&peer) {
            self.peers.set_relays_at(&peer, None);
            self.reaching.reservations.gone(&peer);
        }
        self.tend();
    }

    /// Gossip waits for a stream that nobody opens: a connection that had none when the one with the
    /// stream closed is not woken by what is queued (libp2p-gossipsub 0.50). So it is woken here, after
    /// each message and now and then.
    pub(super) fn wake_gossip(&mut self) {
        for peer in &self.reaching.bereft {
            self.swarm.behaviour_mut().streams().wake(*peer);
        }
    }

    /// Where the peer is. Of one that came through a relay, the circuit back to it; libp2p does not say
    /// which relay it is, only where it is connected.
    pub(super) fn place_of(&self, peer: PeerId, endpoint: &ConnectedPoint) -> Address {
        let ConnectedPoint::Listener { local_addr, .. } = endpoint else {
            return Address::reported(endpoint.get_remote_address());
        };
        if !endpoint.is_relayed() {
            return Address::reported(endpoint.get_remote_address());
        }
        let way = Address::reported(&local_addr.iter().take_while(|part| *part != Protocol::P2pCircuit).collect());
        let relay = way.peer().or_else(|| self.peers.at(&way).map(peer_of));
        let circuit = relay.and_then(|relay| way.circuit(&relay, &peer_of(peer)));
        circuit.unwrap_or_else(|| Address::reported(&local_addr.clone().with(Protocol::P2p(peer))))
    }

    /// The peer has our addresses. libp2p takes into a hole punch only what was known before the
    /// circuit, so a relay is used only after both sides have spoken.
    pub(super) fn on_introduced(&mut self, peer: PeerId, connection: ConnectionId) {
        let Some(introduction) = self.reaching.introductions.get_mut(&connection) else { return };
        introduction.sent = true;
        if let Some(place) = introduction.relays_at.clone() {
            self.reaching.reservations.offered(peer, place);
            self.tend();
        }
    }

    /// A peer said what it offers and where it sees us.
    pub(super) fn on_identified(&mut self, peer: PeerId, connection: ConnectionId, info: &identify::Info) {
        let Some(link) = self.peers.link(&peer, connection) else { return };
        let Some(introduction) = self.reaching.introductions.get_mut(&connection) else { return };
        if link.address.is_relayed() {
            return self.dial_back(peer, connection, info);
        }
        if let Some(ip) = ip_of(&info.observed_addr) {
            self.peers.set_observed(&peer, connection, ip);
        }
        if introduction.is_from_port {
            let observed = Address::reported(&info.observed_addr).without_peer();
            if observed.is_dialable_now() {
                self.reaching.evidence.observed(observed.clone(), Instant::now());
            }
            self.swarm.behaviour_mut().candidates().observed(observed.inner().clone());
        }
        let offers = info.protocols.contains(&relay::HOP_PROTOCOL_NAME);
        let place = offers.then(|| match link.direction {
            Direction::Outbound => Some(link.address.without_peer()),
            Direction::Inbound => listening_at(info, link.address.ip()),
        });
        let place = place.flatten();
        introduction.relays_at.clone_from(&place);
        let is_introduced = introduction.sent;
        self.peers.set_relays_at(&peer, place.clone());
        if place.is_some() {
            self.sound(peer, &link, info);
        }
        match place {
            Some(place) if is_introduced => self.reaching.reservations.offered(peer, place),
            Some(_) => {}
            None => self.reaching.reservations.gone(&peer),
        }
        let observed = Address::reported(&info.observed_addr);
        if let Some(ip) = observed.ip().filter(|_| observed.is_global()) {
            self.on_seen_at(ip);
        }
        self.tend();
    }

    /// Does what is due, and says when the next thing is.
    pub(super) fn tend(&mut self) {
        let now = Instant::now();
        loop {
            let jitter = self.reaching.rng.random();
            let Some(step) = self.reaching.reservations.next(now, jitter) else { break };
            match step {
                Step::Ask { relay, place } => self.ask_for_reservation(relay, &place),
                Step::Leave { relay } => self.leave(&relay),
            }
        }
        let jitter = self.reaching.rng.random();
        while let Some(peer) = self.reaching.punches.next(now, jitter) {
            self.punch_again(peer);
        }
        if self.reaching.next_round.is_some_and(|at| at <= now) {
            self.probe_again();
        }
        while let Some(address) = self.reaching.evidence.overdue(now) {
            self.on_not_reached(&address);
        }
        let settled = self.close_duplicates(now);
        self.wake_gossip();
        let wakes = (!self.reaching.bereft.is_empty()).then(|| now + GOSSIP_WAKE_INTERVAL);
        let nat = self.reaching.evidence.verdict(now);
        let serves = match self.reaching.config.relay_server {
            RelayServer::On => true,
            RelayServer::Auto => nat == Nat::Public,
            RelayServer::Off => false,
        };
        if serves != self.reaching.told.read().serves_relay {
            tracing::info!("{} as a relay for other members", if serves { "serving" } else { "no longer serving" });
            self.swarm.behaviour_mut().serve_relay(serves);
        }
        let unsure = (nat == Nat::Unknown && self.reaching.config.autonat).then(|| now + UNCONFIRMED_TIME / 4);
        let reaching = &mut self.reaching;
        let (asks, punches) = (reaching.reservations.deadline(), reaching.punches.deadline());
        let due = [asks, punches, settled, wakes, unsure, reaching.next_round, reaching.evidence.deadline()];
        reaching.wake_at = due.into_iter().flatten().min();
        self.tell_reach(nat, serves);
    }

    /// What has failed may have been a server's fault, or of before.
    fn probe_again(&mut self) {
        let reaching = &mut self.reaching;
        reaching.next_round = reaching.next_round.map(|_| Instant::now() + reaching.probe_again_after);
        let doubted: Vec<_> = reaching.evidence.doubted().map(|address| address.inner().clone()).collect();
        self.swarm.behaviour_mut().probe_again(&doubted);
    }

    fn ask_for_reservation(&mut self, relay: PeerId, place: &Address) {
        self.leave(&relay);
        let circuit = place.inner().clone().with(Protocol::P2p(relay)).with(Protocol::P2pCircuit);
        match self.swarm.listen_on(circuit) {
            Ok(listener) => {
                self.reaching.listeners.push((listener, relay));
            }
            Err(why) => {
                tracing::debug!(%relay, "cannot ask for a reservation: {why}");
                let jitter = self.reaching.rng.random();
                self.reaching.reservations.lost(&relay, Instant::now(), jitter);
            }
        }
    }

    fn leave(&mut self, relay: &PeerId) {
        if let Some(at) = self.reaching.listeners.iter().position(|(_, of)| of == relay) {
            let (listener, _) = self.reaching.listeners.swap_remove(at);
            self.swarm.remove_listener(listener);
        }
    }

    /// Leaves one connection to each peer, where and when the decision is ours; returns when there is more.
    fn close_duplicates(&mut self, now: Instant) -> Option<Instant> {
        let mut next = None;
        for peer in self.reaching.crowded.clone() {
            let links = self.peers.rated(&peer, &self.me);
            if links.len() < 2 {
                self.reaching.crowded.remove(&peer);
            }
            if canary::sings(canary::Bug::KeepsEveryConnection) {
                continue;
            }
            let is_smaller = self.me.to_bytes() < peer.to_bytes();
            let (close, later) =
                if is_smaller { links::superfluous(&links, now) } else { links::orphaned(&links, now) };
            for connection in close {
                tracing::debug!(%peer, "closing a connection: another one stands");
                if self.swarm.close_connection(connection) {
                    self.meters.duplicates_closed.one();
                }
            }
            next = [next, later].into_iter().flatten().min();
        }
        next
    }

    fn tell_reach(&self, nat: Nat, serves_relay: bool) {
        let circuits = self.reaching.reservations.circuits().map(|(relay, addresses)| Circuit {
            relay: peer_of(*relay),
            addresses: addresses.iter().take(PEER_ADDRESSES_MAX).cloned().collect(),
        });
        let external = self.swarm.external_addresses().map(Address::reported).filter(|address| !address.is_relayed());
        self.reaching.told.write(ReachInfo {
            switches: self.reaching.config,
            nat,
            serves_relay,
            circuits: circuits.collect(),
            external: external.take(PEER_ADDRESSES_MAX).collect(),
            upnp: self.reaching.upnp,
        });
    }
}

/// Whether a dial to `remote` leaves from the port of this listener, if it may: from another kind of port nobody is let in.
fn leaves_from(own: &Multiaddr, remote: &Multiaddr) -> bool {
    let (own, remote) = (Address::reported(own), Address::reported(remote));
    let kind = |address: &Address| Some((address.carrier(), address.ip()?.is_ipv4(), address.ip()?.is_loopback()));
    !own.is_relayed() && kind(&own) == kind(&remote)
}

/// Of the addresses that a relay which dialled us says it listens on, the one that others most likely
/// reach: where it came from, then one that is good anywhere.
fn listening_at(info: &identify::Info, came_from: Option<IpAddr>) -> Option<Address> {
    let places = info.listen_addrs.iter().take(PEER_ADDRESSES_MAX).map(Address::reported);
    let places = places.filter(|place| place.is_dialable_now() && !place.is_relayed());
    let rank = |place: &Address| {
        let is_loopback = place.ip().is_some_and(|ip| ip.is_loopback());
        (place.ip() != came_from, !place.is_global(), is_loopback)
    };
    places.map(|place| place.without_peer()).min_by_key(rank)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dial_leaves_from_a_listener_of_its_own_kind() {
        let remote = "/ip4/50.0.0.1/udp/9100/quic-v1";
        let relay = "/p2p/12D3KooWPjceQrSwdWXPyLLeABRXmuqt69Rg3sBYbU1Nft9HyQ6X/p2p-circuit";
        for (own, expected) in [
            ("/ip4/10.0.0.1/udp/9100/quic-v1", true),
            ("/ip4/10.0.0.1/tcp/9100", false),
            ("/ip6/2001:db8::1/udp/9100/quic-v1", false),
            ("/ip4/127.0.0.1/udp/9100/quic-v1", false),
            (&format!("/ip4/50.0.0.2/udp/9100/quic-v1{relay}"), false),
        ] {
            assert_eq!(leaves_from(&own.parse().unwrap(), &remote.parse().unwrap()), expected, "{own}");
        }
    }
}
