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

/// A comment of the issue registry; one of ours has some 1 to 8 KB. Larger ones are left out unread.
pub const COMMENT_BYTES_MAX: usize = 16 * 1024;

/// How many comments of the issue registry are read: pages of 100. What strangers add comes last.
pub const COMMENT_PAGES_MAX: usize = 3;

/// The largest answer that is taken in: a page of comments at GitHub's limit of 64 KiB each, and JSON around it.
pub const REPLY_BYTES_MAX: usize = 8 << 20;

/// Nodes that keep a comment at once. GitHub allows 500 creations of content an hour, and 80 a minute.
pub const WRITERS_MAX: usize = 16;

/// Writers that are enough where all are short-lived.
pub const WRITERS_EPHEMERAL: usize = 2;

/// How often a writer edits its comment, at most; so 16 of them make at most 64 edits an hour.
pub const EDIT_INTERVAL: Duration = Duration::from_secs(15 * 60);

/// How long a record in a comment counts: two edits may fail.
pub const COMMENT_LIFE: Duration = Duration::from_secs(45 * 60);

/// A comment that was not renewed for so long has a dead writer, and holds no place.
pub const WRITER_SILENT: Duration = Duration::from_secs(20 * 60);

/// A comment of a fleet's own that is over for so long is deleted.
pub const COMMENT_STALE: Duration = Duration::from_secs(15 * 60);

/// How often the registry is read with two peers or more, with one, and with none: from the first of the
/// last two to the second, doubling. A reading that finds nothing new is free.
pub const READ_INTERVAL: Duration = Duration::from_secs(15 * 60);
pub const READ_INTERVAL_ONE: Duration = Duration::from_secs(5 * 60);
pub const READ_INTERVAL_NONE_MIN: Duration = Duration::from_secs(4);
pub const READ_INTERVAL_NONE_MAX: Duration = Duration::from_secs(5 * 60);

/// How often the issue itself is looked for again, with a peer and with none: it may have been closed.
pub const SEARCH_INTERVAL: Duration = Duration::from_secs(60 * 60);
pub const SEARCH_INTERVAL_ALONE: Duration = Duration::from_secs(5 * 60);

/// Over how long the first comments of nodes that start together are spread.
pub const FIRST_WRITE_SPREAD: Duration = Duration::from_secs(8);

/// How long nothing is asked after GitHub refused, and after the budget had nothing left.
pub const REFUSED_PAUSE: Duration = Duration::from_secs(60 * 60);
pub const SPARED_PAUSE: Duration = Duration::from_secs(5 * 60);

/// A node that has lived for so long is likely to live on.
pub const LONG_LIVED: Duration = Duration::from_secs(10 * 60);
