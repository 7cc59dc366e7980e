use std::{
    collections::BTreeMap,
    convert::Infallible,
    task::{Context, Poll},
};

use libp2p::{
    Multiaddr, PeerId,
    core::{Endpoint, transport::PortUse},
    swarm::{
        ConnectionDenied, ConnectionId, FromSwarm, NetworkBehaviour, THandler, THandlerInEvent, THandlerOutEvent,
        ToSwarm, dummy,
    },
};

use crate::source::Source;

/// Refuses a source with too many connections that have not passed the gate, before any cryptography
/// is spent on it.
pub(crate) struct PerSource {
    max: usize,
    pending: BTreeMap<ConnectionId, Source>,
}

impl PerSource {
    pub(super) fn new(max: usize) -> Self {
        Self { max, pending: BTreeMap::new() }
    }
}

#[derive(Debug, thiserror::Error)]
#[error("{max} connections from {source_} are being set up already")]
struct TooMany {
    source_: Source,
    max: usize,
}

impl NetworkBehaviour for PerSource {
    type ConnectionHandler = dummy::ConnectionHandler;
    type ToSwarm = Infallible;

    fn handle_pending_inbound_connection(
        &mut self,
        connection: ConnectionId,
        local: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<(), ConnectionDenied> {
        let source = Source::of(local, remote);
        // The table holds no more than all pending connections, which have a limit of their own.
        if self.pending.values().filter(|other| **other == source).count() >= self.max {
            return Err(ConnectionDenied::new(TooMany { source_: source, max: self.max }));
        }
        self.pending.insert(connection, source);
        Ok(())
    }

    fn handle_established_inbound_connection(
        &mut self,
        connection: ConnectionId,
        _peer: PeerId,
        _local: &Multiaddr,
        _remote: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.pending.remove(&connection);
        Ok(dummy::ConnectionHandler)
    }

    fn handle_established_outbound_connection(
        &mut self,
        _connection: ConnectionId,
        _peer: PeerId,
        _address: &Multiaddr,
        _role: Endpoint,
        _port: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        Ok(dummy::ConnectionHandler)
    }

    fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
        if let FromSwarm::ListenFailure(failure) = event {
            self.pending.remove(&failure.connection_id);
        }
    }

    fn on_connection_handler_event(&mut self, _: PeerId, _: ConnectionId, event: THandlerOutEvent<Self>) {
        match event {}
    }

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<ToSwarm<Infallible, THandlerInEvent<Self>>> {
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_few_places_and_so_has_a_relay() {
        let mut behaviour = PerSource::new(2);
        let mut came = 0;
        let mut comes = |behaviour: &mut PerSource, local: &str, remote: &str| {
            came += 1;
            let (local, remote) = (local.parse().unwrap(), remote.parse().unwrap());
            behaviour.handle_pending_inbound_connection(ConnectionId::new_unchecked(came), &local, &remote).is_ok()
        };
        let peer = "/p2p/12D3KooWPjceQrSwdWXPyLLeABRXmuqt69Rg3sBYbU1Nft9HyQ6X";
        let own = "/ip4/10.0.0.1/tcp/9100";
        for (local, remote) in [
            (own, "/ip4/50.0.0.2/tcp/PORT"),
            ("/ip6/2001:db8::1/tcp/9100", "/ip6/2001:db8:0:1::PORT/tcp/9100"),
            ("/ip6/2001:db8::1/tcp/9100", "/ip6/2001:db8:0:2::PORT/tcp/9100"),
            ("/ip4/50.0.0.10/tcp/9100/p2p-circuit", peer),
            ("/ip4/50.0.0.11/tcp/9100/p2p-circuit", peer),
        ] {
            assert!(comes(&mut behaviour, local, &remote.replace("PORT", "1")));
            assert!(comes(&mut behaviour, local, &remote.replace("PORT", "2")));
            assert!(!comes(&mut behaviour, local, &remote.replace("PORT", "3")));
        }
    }
}
