//! Every bound and span of time of the fleet, with its reason.

use std::time::Duration;

/// (key, scope) pairs that the index knows. At some 400 bytes each, 20 MB.
pub const INDEX_ENTRIES_MAX: usize = 50_000;

/// Rival records of one (key, scope): room for an honest one beside forgeries that lost their tag.
pub const CANDIDATES_MAX: usize = 4;

/// Holders remembered for one record.
pub const HOLDERS_MAX: usize = 8;

/// Holders asked at once for one question.
pub const PULLS_MAX: usize = 3;

/// Pulls started for one question, one after the other or at once.
pub const PULL_ATTEMPTS_MAX: usize = 6;

/// After which wait the second holder is asked, until this node has measured its own pulls; the third
/// after twice that. Start values of near and far peers.
pub const HEDGE_START_NEAR: Duration = Duration::from_millis(30);
pub const HEDGE_START_FAR: Duration = Duration::from_millis(150);

/// No holder is given a rival before: a pause of a busy machine is longer.
pub const HEDGE_WAIT_MIN: Duration = Duration::from_millis(5);

/// How long a peer that failed this node, or let it wait, is asked last.
pub const FAILURE_MEMORY: Duration = Duration::from_secs(30);

/// Bodies that are fetched at once although nobody waits; over it none is.
pub const COPIES_MAX: usize = 8;

/// A longer body is not worth a second copy before somebody asks for it.
pub const COPY_BYTES_MAX: u64 = 256 << 10;

/// Questions of local clients in progress at once; over it a question goes to the origin.
pub const ASKS_MAX: usize = 4096;

/// Connected peers; `net` refuses more before they get here.
pub const PEERS_MAX: usize = 1024;

/// Families, scopes and keys that are remembered as doubtful.
pub const DOUBTS_MAX: usize = 8192;

/// Fills wait this long for company, so that a burst is one message.
pub const ANNOUNCE_WINDOW: Duration = Duration::from_millis(100);

/// Bytes of one announce before sealing; leaves room in `wire::limits::MESSAGE_BYTES_MAX`.
pub const ANNOUNCE_BYTES_MAX: usize = 96 << 10;

/// Announces that wait to be sent. Over it the oldest is dropped: catch-up finds it later.
pub const OUTBOX_MAX: usize = 4096;

/// An answer that is fresh for less than this is not worth telling.
pub const ANNOUNCE_REMAINING_MIN: Duration = Duration::from_secs(5);

/// How long a client waits for the fleet's answer where the peer is near, and where it is far.
pub const PEER_BUDGET_NEAR: Duration = Duration::from_millis(150);
pub const PEER_BUDGET_FAR: Duration = Duration::from_millis(500);

/// A peer with a longer round trip is far.
pub const NEAR_RTT_MAX: Duration = Duration::from_millis(20);

/// The slowest transfer that is worth its wait, in bytes per second: a large body may take this much
/// longer than the peer budget, as it would from the origin.
pub const PULL_RATE_MIN: u64 = 4 << 20;

/// Bytes per second that announces with bodies inside may bring to each node.
pub const PUSH_BYTES_PER_SEC: f64 = 50.0 * 1024.0;

/// How often a gossiped message arrives at a node, duplicates included (measured, D = 6).
pub const PUSH_COPIES: f64 = 3.75;

/// Up to so many nodes, any small body is pushed.
pub const SMALL_FLEET_NODES: usize = 8;

/// Over which time the rate of fills is averaged.
pub const FILL_RATE_WINDOW: Duration = Duration::from_secs(30);

/// Credentials whose likeness to others is remembered, and others for each. At some 1 KB, 2 MB.
pub const KIN_SCOPES_MAX: usize = 2048;
pub const KIN_MAX: usize = 16;

/// Offers of one member that the origin may correct in a row, and for how long it then makes none: it
/// lies, or its credentials have another view than this node's.
pub const REFUTED_MAX: u32 = 3;
pub const REFUTED_PAUSE: Duration = Duration::from_secs(600);

/// Answers of other credentials that are considered for one question: more views than this are rare.
pub const OFFERS_MAX: usize = 4;
