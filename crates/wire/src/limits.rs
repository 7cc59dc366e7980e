//! Every size that somebody else can choose, in one place.

use std::time::Duration;

/// A body over this is streamed through and never kept. 16 MiB.
pub const BODY_BYTES_MAX: u64 = 16 << 20;

/// Most of an answer's kept headers together, names and values.
pub const HEADERS_BYTES_MAX: usize = 8 << 10;

/// Kept headers of one answer.
pub const HEADERS_MAX: usize = 16;

/// Records in one announce.
pub const ANNOUNCE_RECORDS_MAX: usize = 64;

/// A message between peers, sealed: one gossip message or one frame.
pub const MESSAGE_BYTES_MAX: usize = 128 << 10;

/// A body that may travel inside an announce, in its encoded form.
pub const PUSH_BYTES_MAX: usize = 64 << 10;

/// Records that one member asks another for at once, and their bytes in one message.
pub const TOLD_RECORDS_MAX: usize = 256;
pub const TOLD_BYTES_MAX: usize = 64 << 10;

/// One step of a comparison: the ids of some 500 records.
pub const SYNC_FRAME_BYTES_MAX: usize = 16 << 10;

/// Records in an owner's answer that it has one: the claimant's own, and some of other credentials.
pub const HAVE_RECORDS_MAX: usize = 4;

/// Tombstones in one message. At some 40 bytes each, 40 KB.
pub const TOMBSTONES_MAX: usize = 1024;

/// Notices of limits in one message, and in one notice: other credentials of the budget, resources (GitHub
/// documents 13), bytes of a resource's name. Some 1.6 KB at most for each notice, so that all fit.
pub const LIMIT_NOTICES_MAX: usize = 64;
pub const LIMIT_KIN_MAX: usize = 16;
pub const LIMIT_READINGS_MAX: usize = 16;
pub const LIMIT_RESOURCE_BYTES_MAX: usize = 40;

/// Records in one peer exchange, addresses in one record, bytes of an address: a circuit's is some 200. At
/// most 9 KiB in all.
pub const EXCHANGE_RECORDS_MAX: usize = 8;
pub const PEER_ADDRESSES_MAX: usize = 4;
pub const ADDRESS_BYTES_MAX: usize = 256;

/// The longest life of a peer's record: who has left is not dialled for longer.
pub const PEER_RECORD_LIFE_MAX: Duration = Duration::from_secs(60 * 60);

/// Characters of a peer's name.
pub const PEER_CHARS_MAX: usize = 64;

/// Plain bytes of one sealed segment of a body.
pub const SEGMENT_BYTES: usize = 64 << 10;

/// How far ahead of our clock a peer's times may be.
pub const CLOCK_AHEAD_MAX: Duration = Duration::from_secs(60);

/// The longest freshness a peer's record may claim, counted from our clock.
pub const FRESH_AHEAD_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// The longest time past its proof that a record may be served, marked stale.
pub const STALE_AHEAD_MAX: Duration = Duration::from_secs(7 * 24 * 60 * 60);
