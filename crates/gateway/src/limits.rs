//! Every bound of the doors and of the way to the origin, with its reason.

use std::time::Duration;

/// Connections to one door at once. At some 22 KB each, and twice [`MEMO_BYTES_MAX`] for what is remembered of a
/// head and its target, 60 MB if somebody tries.
pub const CONNECTIONS_MAX: usize = 2048;

/// The same for the status pages.
pub const STATUS_CONNECTIONS_MAX: usize = 256;

/// A request's head, all headers together. GitHub's own limit is near this.
pub const HEAD_BYTES_MAX: usize = 32 << 10;

pub const HEADERS_MAX: usize = 100;

/// Up to this, head and body are copied into one piece before they are written.
pub const JOINED_BYTES_MAX: usize = 4 << 10;

/// A connection's headers are recognised when they come again, and its target, each up to this size. Most clients
/// send less than 1 KB.
pub const MEMO_BYTES_MAX: usize = 4 << 10;

/// A connection that has not sent a whole head by then is closed, kept alive or new.
pub const HEAD_TIMEOUT: Duration = Duration::from_secs(15);

/// A GraphQL request is read whole before it is sent on, to see whether it can change anything.
pub const GRAPHQL_BYTES_MAX: usize = 4 << 20;

/// It must have arrived by then.
pub const GRAPHQL_TIMEOUT: Duration = Duration::from_secs(15);

/// After an accept has failed (too many open files), the door waits this long.
pub const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Hosts learnt from redirects that were relayed, and for how long they may be asked.
pub const LEARNT_HOSTS_MAX: usize = 256;
pub const LEARNT_HOST_LIFETIME: Duration = Duration::from_secs(15 * 60);

/// How long a new connection to the origin may take.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// What was sent to the origin and not acknowledged for so long will not be: the connection is dead, as those are that
/// were open when the machine's address changed. Five retransmissions; the system alone would go on for minutes, and
/// a client waits half a minute at most.
pub const UNACKNOWLEDGED_MAX: Duration = Duration::from_secs(8);
