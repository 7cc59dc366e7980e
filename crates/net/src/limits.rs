//! Every bound of a connection, a stream and a queue.

use std::{num::NonZeroUsize, time::Duration};

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
/// between streams, so an honest member's first streams overtake it. QUIC lets it open no more until
/// then. Ordered transports allow none.
pub const EARLY_SUBSTREAMS_QUIC: usize = 8;

/// Streams that wait in one connection's handler, each way, for the next turn.
pub(crate) const HANDLER_QUEUE_MAX: usize = 64;

/// Events that may not be lost and wait for the node; beyond, the network waits too.
pub(crate) const BACKLOG_MAX: usize = 256;

/// Inbound streams of one connection that still negotiate their protocol.
pub(crate) const NEGOTIATING_STREAMS_MAX: usize = 128;

/// Streams of one connection. At 256 KiB of first window each, what a member can make us hold.
pub(crate) const MUXER_STREAMS_MAX: usize = 256;

/// One frame of a WebSocket: what a stranger can make us hold, as it is read before the gate. Noise's
/// own frames are at most 64 KiB. 256 KiB.
pub(crate) const WEBSOCKET_FRAME_BYTES_MAX: usize = 256 << 10;

/// Bytes that a QUIC peer may send and nobody has read, on all streams of a connection, before it has passed the gate. A
/// stranger who sends single bytes in padded packets can make quinn hold half a MiB for them, and a multiple of that where
/// the system hands over packets that came together as one. 64 KiB.
pub(crate) const QUIC_NEWCOMER_BYTES_MAX: u32 = 64 << 10;

/// The same on one stream, and on all of a connection, once it is a member's.
pub(crate) const QUIC_STREAM_BYTES_MAX: u32 = 1 << 20;
pub(crate) const QUIC_CONNECTION_BYTES_MAX: u32 = 4 << 20;

/// A QUIC connection that hears nothing for so long is dead; a virtual machine may stop for a while.
pub(crate) const QUIC_IDLE_TIME: Duration = Duration::from_secs(30);

/// First packets of QUIC that nobody has looked at yet, and what may follow them until then: of one, and of all.
pub(crate) const QUIC_INCOMING_MAX: usize = 256;
pub(crate) const QUIC_INCOMING_BYTES_MAX: u64 = 16 << 10;
pub(crate) const QUIC_INCOMING_ALL_BYTES_MAX: u64 = 1 << 20;

/// First packets that are turned away before the node does something else.
pub(crate) const QUIC_TURNED_AWAY_AT_ONCE: usize = 64;

/// Relays at which a node that nobody can dial holds a reservation.
pub const RELAYS_WANTED: usize = 2;

/// Relays remembered as such: connected ones only.
pub(crate) const RELAYS_KNOWN_MAX: usize = 64;

/// For an answer to a request for a reservation.
pub(crate) const RESERVATION_TIME: Duration = Duration::from_secs(15);

/// The pause before a lost or refused reservation is asked for again: doubled each time.
pub(crate) const RESERVATION_PAUSE_MIN: Duration = Duration::from_secs(1);
pub(crate) const RESERVATION_PAUSE_MAX: Duration = Duration::from_secs(60);

/// What a relay grants. libp2p's own defaults give a circuit 128 KiB and two minutes, which cuts a
/// body off, and each IP address a rate, which refuses a fleet behind one NAT.
pub const RELAY_RESERVATIONS_MAX: usize = 1024;
pub const RELAY_RESERVATIONS_PER_PEER: usize = 4;
pub const RELAY_RESERVATION_TIME: Duration = Duration::from_secs(30 * 60);
pub const RELAY_CIRCUITS_MAX: usize = 512;
pub const RELAY_CIRCUITS_PER_PEER: usize = 16;
pub const RELAY_CIRCUIT_TIME: Duration = Duration::from_secs(10 * 60);
pub const RELAY_CIRCUIT_BYTES_MAX: u64 = 8 << 20;

/// Reservations, and circuits, that one peer may ask for in a minute.
pub const RELAY_REQUESTS_PER_MINUTE: u32 = 60;

/// How long the second of two connections stands before one of them is closed: what runs on the
/// other may end.
pub(crate) const SETTLING_TIME: Duration = Duration::from_secs(2);

/// How long several connections stand before the larger peer takes all but one for dead: the smaller one, who closes
/// them after [`SETTLING_TIME`], does not see them.
pub(crate) const ORPHAN_TIME: Duration = Duration::from_secs(6);

/// Addresses at which a peer behind a relay is dialled back, and how often on new ones: it names them.
pub(crate) const DIAL_BACK_ADDRESSES_MAX: usize = 4;
pub(crate) const DIAL_BACKS_MAX: usize = 3;

/// After which a pair that got through to each other by a relay alone tries a hole punch again, doubled each
/// time, and how often. libp2p's own three attempts are over in seconds; the last of these comes after five minutes.
pub(crate) const PUNCH_AGAIN_AFTER: Duration = Duration::from_secs(10);
pub(crate) const PUNCHES_AGAIN_MAX: u32 = 5;

/// How often a connection is woken whose gossip may be waiting: as gossip's own heartbeat.
pub(crate) const GOSSIP_WAKE_INTERVAL: Duration = Duration::from_millis(700);

/// Own addresses remembered, as others saw or confirmed them.
pub(crate) const OWN_ADDRESSES_MAX: usize = 16;

/// A candidate that no server has confirmed for so long is not reachable: a server whose dial meets
/// silence says nothing at all (libp2p, AutoNAT v2).
pub(crate) const UNCONFIRMED_TIME: Duration = Duration::from_secs(30);

/// Own addresses, as others say that they see them, that are tested in one round.
pub(crate) const CANDIDATES_MAX: usize = 64;

/// Bounds that a test or an operator may want to change. [`Limits::default`] is the production set.
#[derive(Clone, Debug)]
pub struct Limits {
    /// From TCP's first byte to the multiplexer: ends a connection that never speaks.
    pub transport_time: Duration,
    /// For the whole membership proof, waiting for a permit included.
    pub gate_time: Duration,
    /// Proofs at work at once, and as many again where we dialled. More wait: refusing would hit honest members that come in
    /// a burst.
    pub gate_permits: usize,
    /// Inbound connections that have not passed the gate, over all transports. Where there are so many, who comes from a source
    /// with few of them displaces one of the source that has most.
    pub pending_incoming: usize,
    pub pending_outgoing: u32,
    /// Those of them of one source: an IPv4 address, a network of 64 bits of IPv6, or a relay. Members behind one NAT share it.
    pub pending_per_ip: usize,
    pub established: u32,
    /// A circuit, what several attempts at a direct connection give, and a dial-back: for two seconds.
    pub established_per_peer: u32,
    /// A connection on which nothing is open is closed after this.
    pub idle_time: Duration,
    pub ping_interval: Duration,
    /// An unanswered ping closes its connection after this, if the next one is unanswered, too: libp2p
    /// forgives the first. A silent peer is so noticed after 26 to 36 s, and half a minute is left for
    /// another way to it.
    pub ping_time: Duration,
    /// Inbound streams (messages and pulls) open at once, of one peer and of all.
    pub streams_per_peer: usize,
    pub streams: usize,
    /// How often own addresses that nobody has confirmed are looked at.
    pub probe_interval: Duration,
    /// How long it counts that others could not dial us: then they are asked again. Seldom, since behind most
    /// routers it is in vain.
    pub probe_again_after: Duration,
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
            established_per_peer: 8,
            idle_time: Duration::from_secs(300),
            ping_interval: Duration::from_secs(10),
            ping_time: Duration::from_secs(8),
            probe_interval: Duration::from_secs(15),
            probe_again_after: Duration::from_secs(10 * 60),
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

/// Address records kept for other members, those of them that one member may give, and the size of one. 4 MB in all.
pub(crate) const RECORDS_MAX: usize = 2048;
pub(crate) const RECORDS_OF_ONE_MAX: usize = RECORDS_MAX / 4;
pub(crate) const RECORD_BYTES_MAX: usize = 2 << 10;

/// Members at which one's own record is kept.
pub(crate) const RECORD_COPIES: NonZeroUsize = NonZeroUsize::new(8).expect("it is not zero");

/// How long a record is kept unless it is given again.
pub(crate) const RECORD_LIFE: Duration = Duration::from_secs(30 * 60);

/// Questions for addresses under way at once, and for how long.
pub(crate) const RECORD_QUERIES_MAX: usize = 8;
pub(crate) const RECORD_QUERY_TIME: Duration = Duration::from_secs(10);

/// Members that are to be looked up when a question has ended.
pub(crate) const LOOK_UPS_WAITING_MAX: usize = 64;

/// Records that one member may give in a second: it has one of its own.
pub(crate) const RECORDS_OF_ONE_AT_ONCE: usize = 4;

/// Records whose signature is checked in a second: some 50 us each.
pub(crate) const RECORD_CHECKS_MAX: usize = 64;

/// How often machines of the same network are asked for.
pub(crate) const MDNS_QUERY_INTERVAL: Duration = Duration::from_secs(15);

/// Addresses that are taken from one mDNS packet.
pub(crate) const LAN_ADDRESSES_MAX: usize = 64;
