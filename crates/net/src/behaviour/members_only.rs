use std::{
    collections::{BTreeMap, BTreeSet},
    task::{Context, Poll},
};

use either::Either;
use libp2p::{
    Multiaddr, PeerId,
    core::{Endpoint, transport::PortUse},
    swarm::{
        CloseConnection, ConnectionDenied, ConnectionId, FromSwarm, NetworkBehaviour, NotifyHandler, THandler,
        THandlerInEvent, THandlerOutEvent, ToSwarm, behaviour, dummy,
    },
};

use crate::{ConnectionClass, class::Infrastructure};

/// Shows `B` the members' connections and hides all others.
///
/// On a hidden one `B` has no handler, so its protocols are not spoken there, and a peer that has
/// only hidden ones is to `B` not connected.
pub(crate) struct MembersOnly<B> {
    inner: B,
    infrastructure: Infrastructure,
    shown: BTreeMap<PeerId, BTreeSet<ConnectionId>>,
}

impl<B> MembersOnly<B> {
    pub(super) fn new(inner: B, infrastructure: Infrastructure) -> Self {
        Self { inner, infrastructure, shown: BTreeMap::new() }
    }

    pub(super) fn inner_mut(&mut self) -> &mut B {
        &mut self.inner
    }

    fn shown(&self, peer: &PeerId) -> usize {
        self.shown.get(peer).map_or(0, BTreeSet::len)
    }
}

impl<B: NetworkBehaviour> NetworkBehaviour for MembersOnly<B> {
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
        self.inner.handle_established_inbound_connection(connection, peer, local, remote).map(Either::Left)
    }

    fn handle_pending_outbound_connection(
        &mut self,
        connection: ConnectionId,
        peer: Option<PeerId>,
        addresses: &[Multiaddr],
        role: Endpoint,
    ) -> Result<Vec<Multiaddr>, ConnectionDenied> {
        self.inner.handle_pending_outbound_connection(connection, peer, addresses, role)
    }

    fn handle_established_outbound_connection(
        &mut self,
        connection: ConnectionId,
        peer: PeerId,
        address: &Multiaddr,
        role: Endpoint,
        port: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        match self.infrastructure.class_of_dialled(&peer, role) {
            ConnectionClass::Member => self
                .inner
                .handle_established_outbound_connection(connection, peer, address, role, port)
                .map(Either::Left),
            ConnectionClass::Infrastructure => Ok(Either::Right(dummy::ConnectionHandler)),
        }
    }

    fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
        let hidden = |peer: &PeerId, endpoint| self.infrastructure.class(peer, endpoint) != ConnectionClass::Member;
        match event {
            FromSwarm::ConnectionEstablished(event) if hidden(&event.peer_id, event.endpoint) => {}
            FromSwarm::ConnectionClosed(event) if hidden(&event.peer_id, event.endpoint) => {}
            FromSwarm::AddressChange(event) if hidden(&event.peer_id, event.old) => {}
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
