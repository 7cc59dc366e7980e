//! Addresses under which others may reach us, as they say that they see us.

use std::{
    collections::VecDeque,
    convert::Infallible,
    task::{Context, Poll},
};

use libp2p::{
    Multiaddr, PeerId,
    core::{Endpoint, transport::PortUse},
    swarm::{
        ConnectionDenied, ConnectionId, FromSwarm, NetworkBehaviour, THandler, THandlerInEvent, THandlerOutEvent,
        ToSwarm, behaviour::NewExternalAddrCandidate, dummy,
    },
};

use crate::{address::Address, limits::OWN_ADDRESSES_MAX};

/// Reports each observed address as it is.
///
/// identify does too, but puts our listening port in place of the observed one. Behind a NAT that gave
/// us another port, which two machines with the same port behind one router are enough for, what it
/// reports is wrong, and no hole can be punched.
#[derive(Default)]
pub(crate) struct RawCandidates(VecDeque<Multiaddr>);

impl RawCandidates {
    /// Only of a connection that came from, or went to, our listening port.
    pub(crate) fn observed(&mut self, address: Multiaddr) {
        if is_candidate(&address) && self.0.len() < OWN_ADDRESSES_MAX {
            self.0.push_back(address);
        }
    }
}

impl NetworkBehaviour for RawCandidates {
    type ConnectionHandler = dummy::ConnectionHandler;
    type ToSwarm = Infallible;

    fn handle_established_inbound_connection(
        &mut self,
        _: ConnectionId,
        _: PeerId,
        _: &Multiaddr,
        _: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        Ok(dummy::ConnectionHandler)
    }

    fn handle_established_outbound_connection(
        &mut self,
        _: ConnectionId,
        _: PeerId,
        _: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        Ok(dummy::ConnectionHandler)
    }

    fn on_swarm_event(&mut self, _: FromSwarm<'_>) {}

    fn on_connection_handler_event(&mut self, _: PeerId, _: ConnectionId, event: THandlerOutEvent<Self>) {
        match event {}
    }

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<ToSwarm<Infallible, THandlerInEvent<Self>>> {
        // No waker: the driver polls the swarm after the event that brought the address.
        self.0.pop_front().map_or(Poll::Pending, |address| Poll::Ready(ToSwarm::NewExternalAddrCandidate(address)))
    }
}

/// Keeps from `B` candidates that nobody could dial: identify reports what was observed through
/// circuits, which is a relay's address or a mere peer id.
pub(crate) struct WithoutJunk<B>(pub(super) B);

impl<B: NetworkBehaviour> NetworkBehaviour for WithoutJunk<B> {
    type ConnectionHandler = B::ConnectionHandler;
    type ToSwarm = B::ToSwarm;

    fn handle_pending_inbound_connection(
        &mut self,
        connection: ConnectionId,
        local: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<(), ConnectionDenied> {
        self.0.handle_pending_inbound_connection(connection, local, remote)
    }

    fn handle_established_inbound_connection(
        &mut self,
        connection: ConnectionId,
        peer: PeerId,
        local: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.0.handle_established_inbound_connection(connection, peer, local, remote)
    }

    fn handle_pending_outbound_connection(
        &mut self,
        connection: ConnectionId,
        peer: Option<PeerId>,
        addresses: &[Multiaddr],
        role: Endpoint,
    ) -> Result<Vec<Multiaddr>, ConnectionDenied> {
        self.0.handle_pending_outbound_connection(connection, peer, addresses, role)
    }

    fn handle_established_outbound_connection(
        &mut self,
        connection: ConnectionId,
        peer: PeerId,
        address: &Multiaddr,
        role: Endpoint,
        port: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.0.handle_established_outbound_connection(connection, peer, address, role, port)
    }

    fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
        match event {
            FromSwarm::NewExternalAddrCandidate(NewExternalAddrCandidate { addr }) if !is_candidate(addr) => {}
            event => self.0.on_swarm_event(event),
        }
    }

    fn on_connection_handler_event(&mut self, peer: PeerId, connection: ConnectionId, event: THandlerOutEvent<Self>) {
        self.0.on_connection_handler_event(peer, connection, event);
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<ToSwarm<Self::ToSwarm, THandlerInEvent<Self>>> {
        self.0.poll(cx)
    }
}

/// Something that a machine elsewhere can dial.
fn is_candidate(address: &Multiaddr) -> bool {
    let address = Address::reported(address);
    address.is_dialable_now() && !address.is_relayed()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEER: &str = "12D3KooWPjceQrSwdWXPyLLeABRXmuqt69Rg3sBYbU1Nft9HyQ6X";

    #[test]
    fn what_nobody_could_dial_is_no_candidate() {
        let table = [
            ("/ip4/50.0.0.1/tcp/24001", true),
            ("/ip4/50.0.0.1/udp/24001/quic-v1", true),
            ("/ip4/50.0.0.1/udp/24001/quic-v1/p2p/PEER", true),
            ("/p2p/PEER", false),
            ("/ip4/50.0.0.1/tcp/9100/p2p/PEER/p2p-circuit", false),
            ("/ip4/50.0.0.1/tcp/9100/p2p/PEER/p2p-circuit/p2p/PEER", false),
            ("/ip4/0.0.0.0/tcp/9100", false),
        ];
        for (text, expected) in table {
            assert_eq!(is_candidate(&text.replace("PEER", PEER).parse().unwrap()), expected, "{text}");
        }
    }

    #[test]
    fn an_observed_address_is_reported_with_its_own_port() {
        let mut candidates = RawCandidates::default();
        let observed: Multiaddr = "/ip4/50.0.0.1/tcp/24001".parse().unwrap();
        candidates.observed(format!("/p2p/{PEER}").parse().unwrap());
        candidates.observed(observed.clone());
        let mut cx = Context::from_waker(std::task::Waker::noop());
        let first = candidates.poll(&mut cx);
        assert!(matches!(first, Poll::Ready(ToSwarm::NewExternalAddrCandidate(address)) if address == observed));
        assert!(candidates.poll(&mut cx).is_pending());
    }
}
