//! Every number of the model, and why it is that number. Most are Linux's defaults.

use std::{ops::RangeInclusive, time::Duration};

/// Bytes that one segment carries. Ten times an Ethernet MSS: a megabyte is then 64 events instead
/// of 700, and nothing above TCP can tell.
pub const SEGMENT_BYTES_MAX: usize = 16 << 10;

/// What IPv4 and TCP headers add to a packet, for its time on a link and for the totals.
pub const HEADER_BYTES: u64 = 40;

/// Bytes that a socket takes from its writer and keeps until they are acknowledged. 256 KiB.
pub const SEND_BUFFER_BYTES: usize = 256 << 10;

/// Bytes that a socket keeps for its reader, and so the largest window. 256 KiB.
pub const RECEIVE_BUFFER_BYTES: usize = 256 << 10;

/// A reader that has freed this much more than the peer was told sends a window update. A quarter
/// of the buffer: less would double the acknowledgements of a fast reader.
pub const WINDOW_UPDATE_BYTES: usize = RECEIVE_BUFFER_BYTES / 4;

/// Connections of one listener that wait for their handshake or for `accept`. More SYNs are
/// dropped, so the dialler tries again.
pub const ACCEPT_BACKLOG_MAX: usize = 128;

/// The wait after the first SYN or SYN-ACK; it doubles with each further one.
pub const SYN_TIMEOUT: Duration = Duration::from_secs(1);

/// SYNs after the first one (`tcp_syn_retries`). The dial ends 127 s after it began.
pub const SYN_RETRIES: u32 = 6;

/// The retransmission timeout before any round trip was measured (RFC 6298, §2.1).
pub const RTO_INITIAL: Duration = Duration::from_secs(1);

/// The least that the retransmission timeout leaves above the smoothed round trip (`TCP_RTO_MIN`).
pub const RTO_MARGIN_MIN: Duration = Duration::from_millis(200);

/// Where the doubling of the retransmission timeout ends (`TCP_RTO_MAX`).
pub const RTO_MAX: Duration = Duration::from_secs(120);

/// Retransmissions without progress before the socket gives up (`tcp_retries2`): about 16 minutes.
pub const RETRANSMISSIONS_MAX: u32 = 15;

/// Equal acknowledgements that count as a lost segment (RFC 5681, §3.2).
pub const DUPLICATE_ACKS: u32 = 3;

/// How long a socket that nobody holds waits for the peer's FIN (`tcp_fin_timeout`).
pub const ORPHAN_TIME_MAX: Duration = Duration::from_secs(60);

/// From a machine to itself. Not zero, so that a busy loop in the node still lets time pass.
pub const LOOPBACK_LATENCY: Duration = Duration::from_micros(10);

/// Packets that a held link keeps; more are lost. The windows of 256 full connections.
pub const HELD_PACKETS_MAX: usize = 4096;

/// A packet that would wait longer than this for a slow link is lost: no router's queue is endless.
pub const LINK_QUEUE_TIME_MAX: Duration = Duration::from_secs(60);

/// Where the search for a free port to listen on begins.
pub const LISTEN_PORT_FIRST: u16 = 10_000;

/// Source ports of dials (`ip_local_port_range`).
pub const EPHEMERAL_PORTS: RangeInclusive<u16> = 32_768..=60_999;

/// Ports that a router gives out where it does not keep the one within.
pub const NAT_PORTS: RangeInclusive<u16> = 20_000..=65_000;

/// Each socket counts its bytes from its own multiple of 2^40, so that a late packet of an earlier
/// connection of the same addresses is always outside the window. 2^24 sockets fit in a world.
pub const SEQUENCE_BITS: u32 = 40;
