//! Who is no member: a libp2p peer that encrypts and multiplexes as one, and then says nothing, or opens
//! one stream after the other.

use std::{
    collections::VecDeque,
    task::{Context, Poll},
};

use futures::StreamExt;
use libp2p::{
    Multiaddr, PeerId, StreamProtocol, Swarm, SwarmBuilder,
    core::{Endpoint, transport::PortUse, upgrade::ReadyUpgrade},
    identity::Keypair,
    noise, relay,
    swarm::{
        ConnectionDenied, ConnectionHandler, ConnectionHandlerEvent, ConnectionId, FromSwarm, NetworkBehaviour, Stream,
        SubstreamProtocol, SwarmEvent, THandler, THandlerInEvent, THandlerOutEvent, ToSwarm,
        handler::{ConnectionEvent, FullyNegotiatedInbound, FullyNegotiatedOutbound},
    },
    tcp, yamux,
};

use crate::Failure;

/// A protocol of ours, which no stranger may reach.
const WANTED: StreamProtocol = StreamProtocol::new("/ghoard/message/1");

/// One stranger with all transports, that may go through relays, too.
pub(crate) struct Stranger(Swarm<Both>);

#[derive(NetworkBehaviour)]
struct Both {
    relay: relay::client::Behaviour,
    manners: Manners,
}

impl Stranger {
    /// It has `streams` open at once, whenever it may; none if 0.
    pub(crate) fn new(streams: usize) -> Result<Self, Failure> {
        let swarm = SwarmBuilder::with_existing_identity(Keypair::generate_ed25519())
            .with_tokio()
            .with_tcp(tcp::Config::default(), noise::Config::new, yamux::Config::default)?
            .with_quic()
            .with_relay_client(noise::Config::new, yamux::Config::default)?
            .with_behaviour(|_, relay| Both { relay, manners: Manners { streams } })?
            .build();
        Ok(Self(swarm))
    }

    /// Knocks once, and returns when it has been cut or turned away. Whether it got so far as to be heard.
    pub(crate) async fn knock(&mut self, at: &Multiaddr, node: PeerId) -> Result<bool, Failure> {
        self.0.dial(at.clone())?;
        loop {
            match self.0.select_next_some().await {
                SwarmEvent::ConnectionClosed { peer_id, .. } if peer_id == node => return Ok(true),
                SwarmEvent::OutgoingConnectionError { peer_id, .. } if peer_id.is_none_or(|peer| peer == node) => {
                    return Ok(false);
                }
                _ => {}
            }
        }
    }
}

/// What it does on a connection.
struct Manners {
    streams: usize,
}

impl Manners {
    fn handler(&self) -> Handler {
        Handler { wanted: self.streams, open: VecDeque::new() }
    }
}

impl NetworkBehaviour for Manners {
    type ConnectionHandler = Handler;
    type ToSwarm = ();

    fn handle_established_inbound_connection(
        &mut self,
        _: ConnectionId,
        _: PeerId,
        _: &Multiaddr,
        _: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        Ok(self.handler())
    }

    fn handle_established_outbound_connection(
        &mut self,
        _: ConnectionId,
        _: PeerId,
        _: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        Ok(self.handler())
    }

    fn on_swarm_event(&mut self, _: FromSwarm<'_>) {}

    fn on_connection_handler_event(&mut self, _: PeerId, _: ConnectionId, _: THandlerOutEvent<Self>) {}

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<ToSwarm<Self::ToSwarm, THandlerInEvent<Self>>> {
        Poll::Pending
    }
}

/// One connection, which it never lets go by itself.
struct Handler {
    /// Streams to ask for.
    wanted: usize,
    open: VecDeque<Stream>,
}

impl ConnectionHandler for Handler {
    type FromBehaviour = ();
    type ToBehaviour = ();
    type InboundProtocol = ReadyUpgrade<StreamProtocol>;
    type OutboundProtocol = ReadyUpgrade<StreamProtocol>;
    type InboundOpenInfo = ();
    type OutboundOpenInfo = ();

    fn listen_protocol(&self) -> SubstreamProtocol<Self::InboundProtocol> {
        SubstreamProtocol::new(ReadyUpgrade::new(WANTED), ())
    }

    fn connection_keep_alive(&self) -> bool {
        true
    }

    fn poll(
        &mut self,
        _: &mut Context<'_>,
    ) -> Poll<ConnectionHandlerEvent<Self::OutboundProtocol, (), Self::ToBehaviour>> {
        if self.wanted == 0 {
            return Poll::Pending;
        }
        self.wanted -= 1;
        let protocol = SubstreamProtocol::new(ReadyUpgrade::new(WANTED), ());
        Poll::Ready(ConnectionHandlerEvent::OutboundSubstreamRequest { protocol })
    }

    fn on_behaviour_event(&mut self, (): ()) {}

    fn on_connection_event(&mut self, event: ConnectionEvent<'_, Self::InboundProtocol, Self::OutboundProtocol>) {
        match event {
            ConnectionEvent::FullyNegotiatedInbound(FullyNegotiatedInbound { protocol, .. })
            | ConnectionEvent::FullyNegotiatedOutbound(FullyNegotiatedOutbound { protocol, .. }) => {
                self.open.push_back(protocol);
            }
            // Another one in its place.
            ConnectionEvent::DialUpgradeError(_) => self.wanted += 1,
            _ => {}
        }
    }
}
