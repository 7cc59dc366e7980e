use std::time::Duration;

use bytes::Bytes;
use libp2p::{PeerId, gossipsub::MessageId};
use tokio::sync::mpsc;
use wire::{Peer, SignedPeer};

use crate::{Address, PullReplyStream, Refusal};

/// What the network tells the node.
///
/// Coming and going waits for a slow node; gossip, refusals and round trips are dropped and counted
/// instead. Messages and pulls push back on the peer that sends them; from a peer that has just come
/// they may overtake its [`Event::Connected`] while the node is behind.
#[derive(Debug)]
pub enum Event {
    /// Bound, with the real port.
    Listening {
        address: Address,
    },
    /// This machine does not have that address any more.
    NotListening {
        address: Address,
    },
    ListenFailed {
        address: Address,
        why: String,
    },
    /// The first connection of a member.
    Connected {
        peer: Peer,
        address: Address,
        direction: Direction,
    },
    /// The peer subscribed to our topic: what is published from now on reaches it.
    Ready {
        peer: Peer,
    },
    /// The last connection of a member is gone.
    Disconnected {
        peer: Peer,
        why: String,
    },
    /// `peer` is the one the address named, if it named one.
    DialFailed {
        address: Option<Address>,
        peer: Option<Peer>,
        why: Refusal,
    },
    /// Somebody dialled us and did not get in.
    Refused {
        address: Address,
        why: Refusal,
    },
    /// `source` signed it. Answer with [`crate::Net::report`]: it is not forwarded before.
    Gossip {
        source: Peer,
        data: Bytes,
        id: GossipId,
    },
    /// A message for us alone.
    Message {
        from: Peer,
        data: Bytes,
    },
    /// A request; its answer goes to `reply`, and dropping that is an answer too.
    Pull {
        from: Peer,
        request: Bytes,
        reply: PullReplyStream,
    },
    /// What `peer` says where it sees us, and where it listens itself. Neither is verified.
    Observed {
        peer: Peer,
        address: Address,
        listening: Vec<Address>,
    },
    /// Somebody on the same network says that `peer` is there. Anybody there can say so.
    Found {
        peer: Peer,
        address: Address,
    },
    /// It was not said again in time.
    Lost {
        peer: Peer,
        address: Address,
    },
    /// Where a member is, by its own word: the signature is its, the times are not checked.
    LookedUp {
        record: SignedPeer,
    },
    /// Another member has heard where this node is. Whether it keeps that it does not say: it may have had too much to
    /// read just then.
    AddressGiven,
    Rtt {
        peer: Peer,
        rtt: Duration,
    },
    /// A server of [`crate::Config::infrastructure`] is connected; it is no member.
    InfrastructureUp {
        peer: Peer,
        address: Address,
    },
    InfrastructureDown {
        peer: Peer,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Direction {
    Inbound,
    Outbound,
}

/// Which gossip message a verdict is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GossipId {
    pub(crate) message: MessageId,
    /// The neighbour that passed it on, which need not be the author.
    pub(crate) from: PeerId,
}

/// What the node thinks of a gossip message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Pass it on.
    Accept,
    /// It is a lie: not passed on.
    Reject,
    /// Not passed on, and nobody's fault.
    Ignore,
}

/// The network's events, until it has shut down.
pub struct EventStream(pub(crate) mpsc::Receiver<Event>);

impl EventStream {
    /// `None` once the network is down.
    pub async fn next(&mut self) -> Option<Event> {
        self.0.recv().await
    }

    /// An event that is already there.
    pub fn try_next(&mut self) -> Option<Event> {
        self.0.try_recv().ok()
    }
}
