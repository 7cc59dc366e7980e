//! Every bound of the store, in one place.

use std::time::Duration;

pub use wire::limits::BODY_BYTES_MAX;

/// One record as it is written, headers and ETag included. 32 KiB.
pub const RECORD_BYTES_MAX: u64 = 32 << 10;

/// What may wait for the next flush, records and bodies together. 64 MiB.
pub const PENDING_BYTES_MAX: u64 = 64 << 20;

/// Entries that may wait for the next flush. Not above [`REMOVALS_PER_FLUSH_MAX`], so that eviction
/// keeps up with whatever is put.
pub const PENDING_ENTRIES_MAX: usize = 8192;

/// What still waits after a failed flush; the oldest beyond it is dropped. 32 MiB.
pub const KEPT_AFTER_FAILURE_BYTES_MAX: u64 = PENDING_BYTES_MAX / 2;

/// Entries that still wait after a failed flush.
pub const KEPT_AFTER_FAILURE_ENTRIES_MAX: usize = PENDING_ENTRIES_MAX / 2;

/// Expired and evicted entries in one flush, so that one flush has a longest time.
pub const REMOVALS_PER_FLUSH_MAX: usize = 16_384;

/// How long a failed device is left alone before it is opened again.
pub const RETRY_AFTER: Duration = Duration::from_secs(10);

/// A file is compacted when it is longer than this many times what it holds, and the slack.
pub const COMPACT_RATIO: u64 = 3;

/// What a file may be longer than that, unless configured: redb lets a file grow by doubling. 128 MiB.
pub const COMPACT_SLACK_BYTES: u64 = 128 << 20;

/// A compaction begins only when nobody has put or looked up anything for so long: look-ups wait for its end.
pub const COMPACT_QUIET: Duration = Duration::from_secs(10);

/// How long after a compaction the next one may begin, whether it helped or not.
pub const COMPACT_AFTER: Duration = Duration::from_secs(600);

/// Value of one meta entry. 4 KiB.
pub const META_BYTES_MAX: usize = 4 << 10;

/// Tombstones that are remembered. At some 100 bytes each, 2 MB.
pub const GRAVES_MAX: usize = 16_384;

/// Corrupt databases that are kept aside for inspection; older ones are deleted.
pub const SET_ASIDE_FILES_MAX: usize = 2;

/// Bytes that redb may use for pages in memory, unless configured. 8 MiB.
pub const PAGE_CACHE_BYTES: usize = 8 << 20;
