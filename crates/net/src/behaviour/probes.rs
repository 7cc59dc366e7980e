//! Whether others can dial us: AutoNAT's client, which looks again at what it has settled.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    task::{Context, Poll},
    time::Duration,
};

use either::Either;
use libp2p::{
    Multiaddr, PeerId, autonat,
    core::{ConnectedPoint, Endpoint, transport::PortUse},
    swarm::{
        ConnectionDenied, ConnectionId, ExternalAddresses, FromSwarm, NetworkBehaviour, THandler, THandlerInEvent,
        THandlerOutEvent, ToSwarm,
        behaviour::{ConnectionEstablished, NewExternalAddrCandidate},
    },
};
use rand::{SeedableRng, rngs::StdRng};

use crate::{address::ip_of, limits::CANDIDATES_MAX};

type Client = autonat::v2::client::Behaviour<StdRng>;

/// What a connection to a server tells the client.
type Said = <THandlerOutEvent<Client> as Sides>::Left;

/// libp2p's client (0.16) never tests again a candidate that failed or succeeded once, nor one whose server went away
/// in the middle, and forgets none. So there is a new one now and then, which is told what the old one knew.
pub(crate) struct Probes {
    client: Client,
    interval: Duration,
    rng: StdRng,
    links: BTreeMap<ConnectionId, Link>,
    /// What this client was told of; others choose them.
    candidates: BTreeSet<Multiaddr>,
    confirmed: ExternalAddresses,
}

struct Link {
    peer: PeerId,
    endpoint: ConnectedPoint,
    is_server: bool,
}

impl Probes {
    /// Looks each `interval` whether there is something to test.
    pub(super) fn new(mut rng: StdRng, interval: Duration) -> Self {
        let (links, candidates) = (BTreeMap::new(), BTreeSet::new());
        let client = client(&mut rng, interval);
        Self { client, interval, rng, links, candidates, confirmed: ExternalAddresses::default() }
    }

    /// Tests all candidates anew that are not confirmed, and `doubted`.
    pub(crate) fn begin_again(&mut self, doubted: &[Multiaddr]) {
        if self.candidates.len() >= CANDIDATES_MAX {
            // Somebody has made most of them up. Where we are seen is said again with the next introduction.
            self.candidates.clear();
        }
        self.candidates.extend(doubted.iter().cloned());
        let mut client = client(&mut self.rng, self.interval);
        for (connection, link) in &self.links {
            client.on_swarm_event(FromSwarm::ConnectionEstablished(ConnectionEstablished {
                peer_id: link.peer,
                connection_id: *connection,
                endpoint: &link.endpoint,
                failed_addresses: &[],
                other_established: 0,
            }));
            if link.is_server {
                client.on_connection_handler_event(link.peer, *connection, Either::Left(Said::PeerHasServerSupport));
            }
        }
        for addr in &self.candidates {
            if doubted.contains(addr) || !self.confirmed.iter().any(|known| known == addr) {
                client.on_swarm_event(FromSwarm::NewExternalAddrCandidate(NewExternalAddrCandidate { addr }));
            }
        }
        self.client = client;
    }

    /// The next round is without these candidates.
    pub(crate) fn forget(&mut self, is_void: impl Fn(IpAddr) -> bool) {
        self.candidates.retain(|candidate| !ip_of(candidate).is_some_and(&is_void));
    }

    /// Whether the client may hear of it.
    fn has_room_for(&mut self, candidate: &Multiaddr) -> bool {
        let has_room = self.candidates.contains(candidate) || self.candidates.len() < CANDIDATES_MAX;
        if has_room {
            self.candidates.insert(candidate.clone());
        }
        has_room
    }
}

fn client(rng: &mut StdRng, interval: Duration) -> Client {
    Client::new(StdRng::from_rng(rng), autonat::v2::client::Config::default().with_probe_interval(interval))
}

impl NetworkBehaviour for Probes {
    type ConnectionHandler = THandler<Client>;
    type ToSwarm = <Client as NetworkBehaviour>::ToSwarm;

    fn handle_established_inbound_connection(
        &mut self,
        connection: ConnectionId,
        peer: PeerId,
        local: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.client.handle_established_inbound_connection(connection, peer, local, remote)
    }

    fn handle_established_outbound_connection(
        &mut self,
        connection: ConnectionId,
        peer: PeerId,
        address: &Multiaddr,
        role: Endpoint,
        port: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.client.handle_established_outbound_connection(connection, peer, address, role, port)
    }

    fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
        self.confirmed.on_swarm_event(&event);
        match &event {
            FromSwarm::NewExternalAddrCandidate(candidate) if !self.has_room_for(candidate.addr) => return,
            FromSwarm::ConnectionEstablished(new) => {
                let link = Link { peer: new.peer_id, endpoint: new.endpoint.clone(), is_server: false };
                self.links.insert(new.connection_id, link);
            }
            FromSwarm::ConnectionClosed(old) => drop(self.links.remove(&old.connection_id)),
            _ => {}
        }
        self.client.on_swarm_event(event);
    }

    fn on_connection_handler_event(&mut self, peer: PeerId, connection: ConnectionId, event: THandlerOutEvent<Self>) {
        if matches!(event, Either::Left(Said::PeerHasServerSupport))
            && let Some(link) = self.links.get_mut(&connection)
        {
            link.is_server = true;
        }
        self.client.on_connection_handler_event(peer, connection, event);
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<ToSwarm<Self::ToSwarm, THandlerInEvent<Self>>> {
        self.client.poll(cx)
    }
}

/// The name of what a connection says is libp2p's secret, but for its place.
trait Sides {
    type Left;
}

impl<L, R> Sides for Either<L, R> {
    type Left = L;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate(port: usize) -> Multiaddr {
        format!("/ip4/50.0.0.1/tcp/{port}").parse().unwrap()
    }

    #[test]
    fn who_says_without_end_where_he_sees_us_does_not_grow_us() {
        let mut probes = Probes::new(StdRng::from_seed([1; 32]), Duration::from_secs(1));
        let told = |probes: &mut Probes, ports: std::ops::Range<usize>| {
            ports.filter(|port| probes.has_room_for(&candidate(*port))).count()
        };
        assert_eq!(told(&mut probes, 1..1000), CANDIDATES_MAX);
        assert_eq!(told(&mut probes, 1..10), 9, "what is known is heard again");
        probes.begin_again(&[candidate(1)]);
        assert_eq!(told(&mut probes, 1000..2000), CANDIDATES_MAX - 1, "a new round has room for others");
    }
}
