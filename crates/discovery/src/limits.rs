//! Every size and time that whoever writes to a directory could otherwise choose.

use std::time::Duration;

/// How long a record counts after its `last_seen`. The reference's value.
pub const RECORD_TTL: Duration = Duration::from_secs(30 * 60);

/// How far ahead of our clock a `last_seen` may be. A record from further ahead would outlive its peer.
pub const AHEAD_MAX: Duration = Duration::from_secs(60);

/// The largest file that is read. A record is about 300 bytes.
pub const RECORD_BYTES_MAX: u64 = 64 * 1024;

/// How many files one discovery reads.
pub const RECORDS_MAX: usize = 1024;

/// How many characters of a runner name become part of a file name.
pub const FILE_NAME_CHARS_MAX: usize = 64;

pub const PEER_ID_BYTES_MAX: usize = 128;
pub const RUNNER_NAME_BYTES_MAX: usize = 256;
pub const MULTIADDR_BYTES_MAX: usize = 1024;
