use std::{
    collections::{BTreeMap, BTreeSet},
    task::{Context, Poll},
};

use either::Either;
use libp2p::{
    Multiaddr, PeerId,
    core::{ConnectedPoint, Endpoint, transport::PortUse},
    multiaddr::Protocol,
    swarm::{
        CloseConnection, ConnectionDenied, ConnectionId, FromSwarm, NetworkBehaviour, NotifyHandler, THandler,
        THandlerInEvent, THandlerOutEvent, ToSwarm, behaviour, dummy,
    },
};

use crate::{Address, ConnectionClass, class::Infrastructure, limits::PEER_ADDRESSES_MAX};

/// Shows `B` the connections of one class and hides all others, circuits too if it is told so.
///
/// On a hidden one `B` has no handler, so its protocols are not spoken there, and a peer that has
/// only hidden ones is to `B` not connected. What is for infrastructure does not hear where members reach us.
pub(crate) struct OneClass<B> {
    inner: B,
    infrastructure: Infrastructure,
    class: ConnectionClass,
    hides_circuits: bool,
    shown: BTreeMap<PeerId, BTreeSet<ConnectionId>>,
}

impl<B> OneClass<B> {
    pub(super) fn members(inner: B, infrastructure: Infrastructure) -> Self {
        let class = ConnectionClass::Member;
        Self { inner, infrastructure, class, hides_circuits: false, shown: BTreeMap::new() }
    }

    /// Hides circuits, too.
    pub(super) fn direct_members(inner: B, infrastructure: Infrastructure) -> Self {
        Self { hides_circuits: true, ..Self::members(inner, infrastructure) }
    }

    pub(super) fn infrastructure(inner: B, infrastructure: Infrastructure) -> Self {
        Self { class: ConnectionClass::Infrastructure, ..Self::members(inner, infrastructure) }
    }

    pub(super) fn inner_mut(&mut self) -> &mut B {
        &mut self.inner
    }

    fn shown(&self, peer: &PeerId) -> usize {
        self.shown.get(peer).map_or(0, BTreeSet::len)
    }
}

impl<B: NetworkBehaviour> NetworkBehaviour for OneClass<B> {
    type ConnectionHandler = Either<THandler<B>, dummy::ConnectionHandler>;
    type ToSwarm = B::ToSwarm;

    fn handle_pending_inbound_connection(
        &mut self,
        connection: ConnectionId,
        local: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<(), ConnectionDenied> {
        self.inner.handle_pending_inbound_connection(connection, local, remote)
    }

    fn handle_established_inbound_connection(
        &mut self,
        connection: ConnectionId,
        peer: PeerId,
        local: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        // Who dials us is a member, or gets no further than the gate.
        if self.class != ConnectionClass::Member || (self.hides_circuits && is_circuit(local)) {
            return Ok(Either::Right(dummy::ConnectionHandler));
        }
        self.inner.handle_established_inbound_connection(connection, peer, local, remote).map(Either::Left)
    }

    fn handle_pending_outbound_connection(
        &mut self,
        connection: ConnectionId,
        peer: Option<PeerId>,
        addresses: &[Multiaddr],
        role: Endpoint,
    ) -> Result<Vec<Multiaddr>, ConnectionDenied> {
        let mut hints = self.inner.handle_pending_outbound_connection(connection, peer, addresses, role)?;
        // They are others' words: no names to ask for, and not without end.
        hints.retain(|hint| Address::reported(hint).is_dialable_now());
        hints.truncate(PEER_ADDRESSES_MAX);
        Ok(hints)
    }

    fn handle_established_outbound_connection(
        &mut self,
        connection: ConnectionId,
        peer: PeerId,
        address: &Multiaddr,
        role: Endpoint,
        port: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        let is_hidden = self.infrastructure.class_of_dialled(&peer, role) != self.class;
        if is_hidden || (self.hides_circuits && is_circuit(address)) {
            return Ok(Either::Right(dummy::ConnectionHandler));
        }
        self.inner.handle_established_outbound_connection(connection, peer, address, role, port).map(Either::Left)
    }

    fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
        let hidden = |peer: &PeerId, endpoint: &ConnectedPoint| {
            self.infrastructure.class(peer, endpoint) != self.class || (self.hides_circuits && endpoint.is_relayed())
        };
        match event {
            FromSwarm::ConnectionEstablished(event) if hidden(&event.peer_id, event.endpoint) => {}
            FromSwarm::ConnectionClosed(event) if hidden(&event.peer_id, event.endpoint) => {}
            FromSwarm::AddressChange(event) if hidden(&event.peer_id, event.old) => {}
            FromSwarm::ExternalAddrConfirmed(_) if self.class == ConnectionClass::Infrastructure => {}
            FromSwarm::ConnectionEstablished(event) => {
                // The swarm's count has the hidden ones in it.
                let other_established = self.shown(&event.peer_id);
                self.shown.entry(event.peer_id).or_default().insert(event.connection_id);
                let event = behaviour::ConnectionEstablished { other_established, ..event };
                self.inner.on_swarm_event(FromSwarm::ConnectionEstablished(event));
            }
            FromSwarm::ConnectionClosed(event) => {
                if let Some(connections) = self.shown.get_mut(&event.peer_id) {
                    connections.remove(&event.connection_id);
                }
                let remaining_established = self.shown(&event.peer_id);
                if remaining_established == 0 {
                    self.shown.remove(&event.peer_id);
                }
                let event = behaviour::ConnectionClosed { remaining_established, ..event };
                self.inner.on_swarm_event(FromSwarm::ConnectionClosed(event));
            }
            other => self.inner.on_swarm_event(other),
        }
    }

    fn on_connection_handler_event(&mut self, peer: PeerId, connection: ConnectionId, event: THandlerOutEvent<Self>) {
        match event {
            Either::Left(event) => self.inner.on_connection_handler_event(peer, connection, event),
            Either::Right(never) => match never {},
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<ToSwarm<Self::ToSwarm, THandlerInEvent<Self>>> {
        loop {
            let Poll::Ready(action) = self.inner.poll(cx) else { return Poll::Pending };
            return Poll::Ready(match action.map_in(Either::Left) {
                // "Any" could be a hidden one, whose handler panics on events that are not its own.
                ToSwarm::NotifyHandler { peer_id, handler: NotifyHandler::Any, event } => {
                    let Some(one) = self.shown.get(&peer_id).and_then(BTreeSet::first) else { continue };
                    ToSwarm::NotifyHandler { peer_id, handler: NotifyHandler::One(*one), event }
                }
                // Of what it does not see it closes nothing.
                ToSwarm::CloseConnection { peer_id, connection: CloseConnection::All } if self.shown(&peer_id) == 0 => {
                    continue;
                }
                action => action,
            });
        }
    }
}

fn is_circuit(address: &Multiaddr) -> bool {
    address.iter().any(|part| part == Protocol::P2pCircuit)
}

#[cfg(test)]
mod tests {
    use libp2p::{
        relay,
        swarm::behaviour::{ConnectionEstablished, FromSwarm},
    };

    use super::*;

    const RELAY: &str = "/ip4/50.0.0.1/tcp/1/p2p/12D3KooWPjceQrSwdWXPyLLeABRXmuqt69Rg3sBYbU1Nft9HyQ6X";

    /// How many handlers are told when a relay with one connection, at this address, begins to serve.
    fn told_on(address: &str) -> usize {
        let (me, peer) = (PeerId::random(), PeerId::random());
        let server = relay::Behaviour::new(me, relay::Config::default());
        let infrastructure = Infrastructure(BTreeSet::default());
        let mut server = OneClass::direct_members(server, infrastructure);
        let (local, connection): (Multiaddr, _) = (address.parse().unwrap(), ConnectionId::new_unchecked(1));
        let remote: Multiaddr = "/ip4/50.0.0.2/tcp/2".parse().unwrap();
        let handler = server.handle_established_inbound_connection(connection, peer, &local, &remote).unwrap();
        let endpoint = ConnectedPoint::Listener { local_addr: local, send_back_addr: remote };
        server.on_swarm_event(FromSwarm::ConnectionEstablished(ConnectionEstablished {
            peer_id: peer,
            connection_id: connection,
            endpoint: &endpoint,
            failed_addresses: &[],
            other_established: 0,
        }));
        assert_eq!(matches!(handler, Either::Right(_)), address.contains("p2p-circuit"));
        server.inner_mut().set_status(Some(relay::Status::Enable));
        let mut told = 0;
        let mut cx = Context::from_waker(std::task::Waker::noop());
        while let Poll::Ready(action) = server.poll(&mut cx) {
            told += usize::from(matches!(action, ToSwarm::NotifyHandler { .. }));
        }
        told
    }

    #[test]
    fn a_relay_that_begins_to_serve_tells_no_circuit_of_it() {
        assert_eq!(told_on(RELAY), 1);
        assert_eq!(told_on(&format!("{RELAY}/p2p-circuit")), 0);
    }
}
