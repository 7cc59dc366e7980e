//! Every bound of a connection, a stream and a queue.

use std::time::Duration;

/// Nonces, tags and headers that sealing adds to a message, generously. 1 KiB.
pub const SEALING_BYTES_MAX: usize = 1 << 10;

/// One frame on a stream between peers. Checked before memory is taken for it.
pub const FRAME_BYTES_MAX: usize = wire::limits::MESSAGE_BYTES_MAX + SEALING_BYTES_MAX;

/// One gossip message as gossipsub sends it, signature and topic included. 160 KiB.
pub const GOSSIP_BYTES_MAX: usize = 160 << 10;

/// The agent string kept of a peer, in bytes: it is chosen by the peer, and shown.
pub const AGENT_BYTES_MAX: usize = 64;

/// Addresses kept of what a peer says of itself.
pub const PEER_ADDRESSES_MAX: usize = 16;

/// Dials that an infrastructure list may name.
pub const INFRASTRUCTURE_MAX: usize = 64;

/// Substreams a QUIC peer may open before its last proof has arrived: datagrams are not ordered
/// between streams, so an honest member's first streams overtake it. Ordered transports allow none.
pub const EARLY_SUBSTREAMS_QUIC: usize = 8;

/// Streams that wait in one connection's handler, each way, for the next turn.
pub(crate) const HANDLER_QUEUE_MAX: usize = 64;

/// Events that may not be lost and wait for the node; beyond, the network waits too.
pub(crate) const BACKLOG_MAX: usize = 256;

/// Inbound streams of one connection that still negotiate their protocol.
pub(crate) const NEGOTIATING_STREAMS_MAX: usize = 128;

/// Streams of one connection. At 256 KiB of first window each, what a member can make us hold.
pub(crate) const MUXER_STREAMS_MAX: usize = 256;

/// Bounds that a test or an operator may want to change. [`Limits::default`] is the production set.
#[derive(Clone, Debug)]
pub struct Limits {
    /// From TCP's first byte to the multiplexer: ends a connection that never speaks.
    pub transport_time: Duration,
    /// For the whole membership proof, waiting for a permit included.
    pub gate_time: Duration,
    /// Proofs at work at once. More wait: refusing would hit honest members that come in a burst.
    pub gate_permits: usize,
    pub pending_incoming: u32,
    pub pending_outgoing: u32,
    /// Inbound connections of one IP address that have not passed the gate. Members behind one
    /// NAT share it.
    pub pending_per_ip: usize,
    pub established: u32,
    pub established_per_peer: u32,
    /// A connection on which nothing is open is closed after this.
    pub idle_time: Duration,
    pub ping_interval: Duration,
    /// An unanswered ping closes its connection after this.
    pub ping_time: Duration,
    /// Inbound streams (messages and pulls) open at once, of one peer and of all.
    pub streams_per_peer: usize,
    pub streams: usize,
    /// For opening a stream, and for an inbound stream's request.
    pub request_time: Duration,
    /// The longest a stream may move nothing while one side waits.
    pub stall_time: Duration,
    /// An outbound message stream with nothing to say is closed after this.
    pub outbox_idle_time: Duration,
    /// Messages waiting for one peer.
    pub outbox: usize,
    /// Events waiting for the node.
    pub events: usize,
    /// Commands waiting for the network.
    pub commands: usize,
    /// Sends own gossip to every subscribed peer, not only to the mesh. One hop less, for more than
    /// seven sends for each node of a large fleet: the author's, and what the mesh then sends twice.
    pub flood_publish: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            transport_time: Duration::from_secs(5),
            gate_time: Duration::from_secs(5),
            gate_permits: 64,
            pending_incoming: 64,
            pending_outgoing: 64,
            pending_per_ip: 16,
            established: 512,
            established_per_peer: 4,
            idle_time: Duration::from_secs(300),
            ping_interval: Duration::from_secs(15),
            ping_time: Duration::from_secs(10),
            streams_per_peer: 32,
            streams: 512,
            request_time: Duration::from_secs(5),
            stall_time: Duration::from_secs(10),
            outbox_idle_time: Duration::from_secs(60),
            outbox: 256,
            events: 1024,
            commands: 1024,
            flood_publish: false,
        }
    }
}

/// How often machines of the same network are asked for.
pub(crate) const MDNS_QUERY_INTERVAL: Duration = Duration::from_secs(15);

/// Addresses that are taken from one mDNS packet.
pub(crate) const LAN_ADDRESSES_MAX: usize = 64;
