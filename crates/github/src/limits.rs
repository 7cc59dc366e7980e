//! Every bound and pause of GitHub's rules that is not GitHub's own header.

use std::time::Duration;

/// Repositories whose id is remembered: some 100 bytes each.
pub const ALIASES_MAX: usize = 4096;

/// Bodies over this are not searched for ids of repositories.
pub const ALIAS_BODY_BYTES_MAX: usize = 1 << 20;

/// References of a `Link` header; GitHub sends four at most.
pub const LINKS_MAX: usize = 8;

/// Bytes of a `Link` header; what is longer is not GitHub's.
pub const LINK_BYTES_MAX: usize = 8 << 10;

/// How long a 404 or 410 may be told again to the credential that got it.
pub const NEGATIVE_TTL: Duration = Duration::from_secs(15);

/// Bytes of a GraphQL request that may be cached. Longer ones are passed on, and touch everything.
pub const GRAPHQL_BYTES_MAX: usize = 256 << 10;

/// Tokens of a GraphQL document, and how deep its selections nest.
pub const GRAPHQL_TOKENS_MAX: usize = 16 << 10;
pub const GRAPHQL_DEPTH_MAX: usize = 64;

/// How long the answer to a query is fresh: there is no validator to ask with. An operator may set
/// another time.
pub const GRAPHQL_TTL: Duration = Duration::from_secs(10);

/// How long the schema is: what `gh` itself does.
pub const INTROSPECTION_TTL: Duration = Duration::from_secs(24 * 60 * 60);

/// Charged requests of one rate-limit bucket on their way at once; GitHub allows 100, REST and
/// GraphQL together, and other users of the token have their part.
pub const CHARGED_IN_FLIGHT_MAX: u32 = 40;

/// Proofs (conditional requests) of one bucket on their way at once.
pub const PROOFS_IN_FLIGHT_MAX: u32 = 20;

/// The longest wait for one of them to come back; then the request goes ahead.
pub const QUEUE_WAIT_MAX: Duration = Duration::from_secs(2);

/// The reserve: below so many requests left, or this part of the limit if that is more, an old
/// answer is preferred and work that nobody waits for stops.
pub const RESERVE_MIN: u64 = 50;
pub const RESERVE_PART: u64 = 50;
/// The reserve is at most this part of a limit: 60 an hour is what the anonymous have.
pub const RESERVE_PART_MAX: u64 = 4;

/// The pause after a limit that names none (GitHub: "at least one minute"), and the most that
/// doubling makes of it.
pub const LIMIT_PAUSE: Duration = Duration::from_secs(60);
pub const LIMIT_PAUSE_MAX: Duration = Duration::from_secs(60 * 60);

/// The longest stop that is believed, whoever asks for it.
pub const STOP_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// How often in a row an unnamed limit doubles its pause.
pub const REFUSALS_MAX: u32 = 16;

/// Other machines are told of a budget when it has fallen by this part of the limit, or by so many calls
/// while little is left; of a stop that ends this much later than the one they know; and of whatever is
/// known so long after they were last told anything, well within [`SHARER_AGE`].
pub const TELL_PART: u64 = 20;
pub const TELL_STEP_SCARCE: u64 = 10;
pub const TELL_STOP_STEP: Duration = Duration::from_secs(1);
pub const TELL_AGAIN: Duration = Duration::from_secs(60);

/// The longest stop on the word of a member that no credential confirms, and how long after one such
/// word of a member the next one counts. After the stop one request asks GitHub itself.
pub const HEARSAY_STOP_MAX: Duration = Duration::from_secs(60);
pub const HEARSAY_PAUSE: Duration = Duration::from_secs(10 * 60);

/// Members whose such words about one budget are remembered; further ones are not believed.
pub const HEARSAY_MEMBERS_MAX: usize = 64;

/// With so many calls left, or this part of the limit if that is more, each machine may have its share:
/// a runner must not drink the last 200. Never more than [`RESERVE_PART_MAX`] of a limit.
pub const SCARCE_MIN: u64 = 200;
pub const SCARCE_PART: u64 = 20;

/// How long a machine counts as one that uses a budget after it has told of it, and how many are
/// counted. At some 100 bytes each.
pub const SHARER_AGE: Duration = Duration::from_secs(5 * 60);
pub const SHARERS_MAX: usize = 256;

/// Beyond its share a machine is never told to wait for longer: who uses the budget may have changed.
pub const SHARE_PAUSE_MAX: Duration = SHARER_AGE;

/// Credentials whose limits are remembered.
pub const LEDGER_SCOPES_MAX: usize = 4096;

/// Interleaved readings after which two credentials are taken to share a budget, and how far apart
/// these readings may be.
pub const MERGE_READINGS: u8 = 6;
pub const MERGE_GAP_MAX: u64 = 16;

/// Pairs of credentials whose readings are compared at one time.
pub const MERGE_PAIRS_MAX: usize = 4096;

/// How old the last reading may be for `/rate_limit` to be answered from it. Others use the token, too.
pub const RATE_LIMIT_AGE_MAX: Duration = Duration::from_secs(60);

/// Resources in an answer to `/rate_limit`, and bytes of a limit's own answer, that are kept.
pub const RATE_LIMIT_RESOURCES_MAX: usize = 32;
pub const LIMIT_BODY_BYTES_MAX: usize = 4096;

/// Bytes of one paging parameter that travels to another scope.
pub const PAGING_BYTES_MAX: usize = 512;

/// How long a redirect within the origin may be told again to the credential that got it.
pub const MOVED_TTL: Duration = Duration::from_secs(60);

/// The longest `X-Poll-Interval` that is obeyed.
pub const POLL_INTERVAL_MAX: Duration = Duration::from_secs(15 * 60);

/// ETags in a row that must be as computed before a route's are computed again.
pub const ETAG_MATCHES_NEEDED: u32 = 20;
