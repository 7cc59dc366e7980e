//! Streams of our own protocols, opened on a connection that exists.
//!
//! In place of libp2p-stream, which dials a peer that is not connected, keeps a channel for every
//! connection that ever was, and drops inbound streams that arrive while one waits to be taken.

mod handler;

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    convert::Infallible,
    fmt,
    task::{Context, Poll},
};

use libp2p::{
    Multiaddr, PeerId, Stream,
    core::{Endpoint, transport::PortUse},
    swarm::{
        ConnectionDenied, ConnectionId, FromSwarm, NetworkBehaviour, NotifyHandler, StreamProtocol, THandler,
        THandlerInEvent, THandlerOutEvent, ToSwarm,
    },
};
use tokio::sync::oneshot;

use self::handler::Handler;
use crate::PullError;

/// What a stream is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Message,
    Pull,
}

impl Kind {
    const ALL: [Kind; 2] = [Kind::Message, Kind::Pull];

    fn protocol(self) -> StreamProtocol {
        StreamProtocol::new(match self {
            Kind::Message => "/ghoard/message/1",
            Kind::Pull => "/ghoard/pull/1",
        })
    }
}

/// Somebody's wish for a stream. Dropped unanswered, the connection went down meanwhile.
pub(crate) struct Open {
    pub(crate) kind: Kind,
    pub(crate) reply: oneshot::Sender<Result<Stream, PullError>>,
}

/// What a connection's handler is told.
#[derive(Debug)]
pub(crate) enum In {
    Open(Open),
    /// Nothing to do: it wakes the connection, and with it the handlers of other protocols.
    Wake,
}

impl fmt::Debug for Open {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.kind.fmt(f)
    }
}

/// A stream that a peer opened.
#[derive(Debug)]
pub(crate) struct Inbound {
    pub(crate) peer: PeerId,
    pub(crate) kind: Kind,
    pub(crate) stream: Stream,
}

#[derive(Default)]
pub(crate) struct Streams {
    /// A circuit sorts behind a direct one, and a younger one behind an older.
    connections: BTreeMap<PeerId, BTreeSet<(bool, ConnectionId)>>,
    waiting: VecDeque<ToSwarm<Inbound, In>>,
}

impl Streams {
    /// Opens a stream on the best connection to `peer`: direct before relayed, then the oldest. Never dials.
    pub(crate) fn open(&mut self, peer: PeerId, open: Open) {
        match self.connections.get(&peer).and_then(BTreeSet::first) {
            Some((_, connection)) => self.waiting.push_back(ToSwarm::NotifyHandler {
                peer_id: peer,
                handler: NotifyHandler::One(*connection),
                event: In::Open(open),
            }),
            None => {
                let _ = open.reply.send(Err(PullError::NotConnected));
            }
        }
    }

    /// Wakes each connection to `peer`.
    pub(crate) fn wake(&mut self, peer: PeerId) {
        for (_, connection) in self.connections.get(&peer).into_iter().flatten() {
            let handler = NotifyHandler::One(*connection);
            self.waiting.push_back(ToSwarm::NotifyHandler { peer_id: peer, handler, event: In::Wake });
        }
    }
}

impl NetworkBehaviour for Streams {
    type ConnectionHandler = Handler;
    type ToSwarm = Inbound;

    fn handle_established_inbound_connection(
        &mut self,
        _connection: ConnectionId,
        _peer: PeerId,
        _local: &Multiaddr,
        _remote: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        Ok(Handler::default())
    }

    fn handle_established_outbound_connection(
        &mut self,
        _connection: ConnectionId,
        _peer: PeerId,
        _address: &Multiaddr,
        _role: Endpoint,
        _port: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        Ok(Handler::default())
    }

    fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
        match event {
            FromSwarm::ConnectionEstablished(event) => {
                self.connections
                    .entry(event.peer_id)
                    .or_default()
                    .insert((event.endpoint.is_relayed(), event.connection_id));
            }
            FromSwarm::ConnectionClosed(event) => {
                if let Some(connections) = self.connections.get_mut(&event.peer_id) {
                    connections.remove(&(event.endpoint.is_relayed(), event.connection_id));
                    if connections.is_empty() {
                        self.connections.remove(&event.peer_id);
                    }
                }
            }
            _ => {}
        }
    }

    fn on_connection_handler_event(&mut self, peer: PeerId, _: ConnectionId, event: THandlerOutEvent<Self>) {
        let (kind, stream) = event;
        self.waiting.push_back(ToSwarm::GenerateEvent(Inbound { peer, kind, stream }));
    }

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<ToSwarm<Inbound, THandlerInEvent<Self>>> {
        // No waker: the swarm polls again after each event of a connection, and the driver after
        // each command.
        self.waiting.pop_front().map_or(Poll::Pending, Poll::Ready)
    }
}

fn never(never: Infallible) -> PullError {
    match never {}
}
