//! Every bound of the cache, with its reason.

use std::time::Duration;

/// The largest body that is kept. A larger one is streamed through.
pub const ENTRY_BYTES_MAX: u64 = 16 << 20;

/// Of the memory, one entry takes at most this part, so that one answer does not push out all others.
pub const ENTRY_SHARE: u64 = 8;

/// Parts of the memory that are locked apart.
pub const SHARDS_MAX: u64 = 8;

/// Responses kept under one target, chosen between by `Vary`.
pub const VARIANTS_MAX: usize = 32;

/// Bodies that arrive and are to be kept, all together. Beyond, they are streamed and not kept.
pub const FILLING_BYTES_MAX: u64 = 256 << 20;

/// Pieces of a body between the origin and a client that reads slowly.
pub const FRAMES_WAITING: usize = 4;

/// A body whose client has left is read on for this long: an endless one would be read for ever.
pub const ORPHAN_PATIENCE: Duration = Duration::from_secs(60);

/// Targets that are being asked for, which a second client joins.
pub const FLIGHTS_MAX: usize = 4096;

/// A client that joined another's question asks by itself after this.
pub const JOIN_PATIENCE: Duration = Duration::from_secs(5);
