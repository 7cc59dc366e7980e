//! Every bound and span of time of the fleet, with its reason.

use std::time::Duration;

/// (key, scope) pairs that the index knows. At some 2 KB each with what hangs on them, 100 MB (measured:
/// `docs/performance/store.md`).
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

/// Large bodies that came by a pull and are to be told of; over it one is not.
pub const COPIES_TO_TELL_MAX: usize = 256;

/// How many of these are told of in a span of time: a machine that pulls a lot is known anyway.
pub const COPIES_TOLD_WINDOW: Duration = Duration::from_secs(10);
pub const COPIES_TOLD_PER_WINDOW_MAX: usize = 32;

/// When all pull one body at once, each takes its turn to say so: within this for each member, and at
/// most so long, so that what some [`HOLDERS_MAX`] have said is heard before the others speak.
pub const COPY_TURN_EACH: Duration = Duration::from_millis(50);
pub const COPY_TURN_MAX: Duration = Duration::from_secs(10);

/// Questions of local clients in progress at once; over it a question goes to the origin.
pub const ASKS_MAX: usize = 4096;

/// Connected peers; `net` refuses more before they get here.
pub const PEERS_MAX: usize = 1024;

/// Tombstones that are remembered. At some 100 bytes each, 1 MB; told to a new neighbour in nine messages.
pub const DOUBTS_MAX: usize = 8192;

/// How long a tombstone is remembered: as long as any record may be served, its proof and then stale,
/// on whichever machine. Who was away for longer has nothing left that it could cover.
pub const TOMBSTONE_KEPT_FOR: Duration = wire::limits::FRESH_AHEAD_MAX
    .saturating_add(wire::limits::STALE_AHEAD_MAX)
    .saturating_add(wire::limits::CLOCK_AHEAD_MAX);

/// What one member may bury here: in a burst, and after it. Ten repositories written to each second.
pub const TOMBSTONES_BURST: u64 = 1024;
pub const TOMBSTONES_PER_MINUTE: u64 = 600;

/// How long a new neighbour may take to tell its table, and how often one may tell a full one.
pub const TABLE_TIME: Duration = Duration::from_secs(10);
pub const TABLE_PAUSE: Duration = Duration::from_secs(600);

/// Of a neighbour's table, what is passed on: the newest, and half of what the others would take.
pub const TOMBSTONES_PASSED_ON_MAX: usize = TOMBSTONES_BURST as usize / 2;

/// Answers that a write has made doubtful and that are kept to be offered to the origin. At some 1 KB each, 8 MB.
pub const PAST_MAX: usize = 8192;

/// Fills wait this long for company, so that a burst is one message.
pub const ANNOUNCE_WINDOW: Duration = Duration::from_millis(100);

/// Bytes of one announce before sealing; leaves room in `wire::limits::MESSAGE_BYTES_MAX`.
pub const ANNOUNCE_BYTES_MAX: usize = 96 << 10;

/// Announces that wait to be sent. Over it the oldest is dropped: a comparison finds it later.
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

/// What two credentials were told so long apart says nothing of their views: content changes.
pub const KIN_RECENT: Duration = Duration::from_secs(60);

/// Keys of which it is remembered that credentials have views of their own.
pub const OWN_VIEWS_MAX: usize = 4096;

/// Offers of one member that the origin may correct in a row, and for how long it then makes none: it
/// lies, or its credentials have another view than this node's.
pub const REFUTED_MAX: u32 = 3;
pub const REFUTED_PAUSE: Duration = Duration::from_secs(600);

/// Answers of other credentials that are considered for one question: more views than this are rare.
pub const OFFERS_MAX: usize = 4;

/// Members whose word is remembered. At some 200 bytes each, 1 MB.
pub const MEMBERS_MAX: usize = 4096;

/// How often a node says who it is, and how much more seldom with each member there is.
pub const MEMBER_INTERVAL: Duration = Duration::from_secs(60);
pub const MEMBER_INTERVAL_EACH: Duration = Duration::from_millis(600);

/// How soon all are told of a node that has just found its first neighbour: gossip has its mesh by then.
pub const FIRST_WORD_AFTER: Duration = Duration::from_secs(1);

/// Anchors that own keys.
pub const ANCHORS_MAX: usize = 16;

/// Where there are no anchors, so many of the oldest own keys: enough that some are always there, and half as
/// many as a node of a large fleet keeps connections to. Who misses some of them has the next oldest in their
/// place, as have all who miss the same; were they all that it knows in common with others, it would take
/// a neighbour that nobody else takes.
pub const ABLE_MAX: usize = 8;

/// Owners of one key: the second serves when the first is silent.
pub const OWNERS: usize = 2;

/// An owner that left a claim unanswered is not asked for so long.
pub const SILENT_OWNER_PAUSE: Duration = Duration::from_secs(10);

/// How long the answer to a claim is waited for: three round trips, within these.
pub const CLAIM_WAIT_MIN: Duration = Duration::from_millis(50);
pub const CLAIM_WAIT_MAX: Duration = Duration::from_millis(250);

/// Claims for one question: for its fill, for its proof, and once more after somebody died.
pub const CLAIM_ROUNDS_MAX: u32 = 4;

/// A lease ends unless it is renewed in this time, and after the longest time in any case.
pub const LEASE_TIME: Duration = Duration::from_secs(3);
pub const LEASE_RENEWAL: Duration = Duration::from_secs(1);
pub const LEASE_TIME_MAX: Duration = Duration::from_secs(30);

/// Keys with leases or waiters at one owner, and waiters of one key. Over it the answer is "go ahead".
pub const LEASED_KEYS_MAX: usize = 4096;
pub const LEASE_WAITERS_MAX: usize = 2048;

/// Leases and waiters at one owner together, and leases that it holds elsewhere.
pub const LEASES_MAX: usize = 16_384;

/// Proofs of one key under way over the fleet: if all its credentials draw on one budget, GitHub
/// takes no more for an attack.
pub const PROOF_LEASES_MAX: usize = 20;

/// Longest wait for one's turn to prove; then one goes ahead.
pub const PROOF_QUEUE_MAX: Duration = Duration::from_secs(2);

/// Failures of the origin that are believed of one member in [`FAILURES_WINDOW`]: a liar cannot keep
/// clients from the origin for long.
pub const FAILURES_MAX: u32 = 16;
pub const FAILURES_WINDOW: Duration = Duration::from_secs(60);

/// How often a node compares its index with a neighbour's, give or take a fifth: what gossip has lost
/// is missed so long. An anchor, whom many ask, does it more often; in a large fleet it would be too
/// many, and who is asked has compared with others meanwhile.
pub const SYNC_PERIOD: Duration = Duration::from_secs(60);
pub const SYNC_PERIOD_ANCHOR: Duration = Duration::from_secs(30);
pub const SYNC_PERIOD_LARGE: Duration = Duration::from_secs(120);
pub const LARGE_FLEET_NODES: usize = 1000;

/// Shortest time between two comparisons that a node begins: a hundred neighbours may come at once.
pub const SYNC_START_INTERVAL: Duration = Duration::from_secs(10);

/// Comparisons that one neighbour may ask for: building the set of a full index is work.
pub const SYNC_SERVE_INTERVAL: Duration = Duration::from_secs(5);

/// Sessions at once, the own and those of others. At some 4 MB for a full index, 8 MB.
pub const SYNC_SESSIONS_MAX: usize = 2;

/// A session ends when nothing is heard for so long: the neighbour is gone, or does not speak it.
pub const SYNC_SILENCE_MAX: Duration = Duration::from_secs(10);

/// Steps of one comparison. Each brings some 500 ids; what is left is found the next time.
pub const SYNC_STEPS_MAX: usize = 64;

/// Only what is of use so much later is compared, so that clocks that differ by less, and records
/// that are about to be removed, make no difference (measured: 0.3 KB in place of up to 8).
pub const SYNC_CUTOFF_AHEAD: Duration = Duration::from_secs(30);

/// A cutoff that is farther from this node's clock is refused: the sets would not be alike.
pub const SYNC_CUTOFF_OFF_MAX: Duration = Duration::from_secs(60);

/// Records asked for after one comparison. More is missing only where a snapshot is due.
pub const SYNC_WANTS_MAX: usize = 2048;

/// Bytes per second, and at once, that records and frames of comparisons may take.
pub const SYNC_BYTES_PER_SEC: u64 = 64 << 10;
pub const SYNC_BYTES_BURST: u64 = 512 << 10;

/// The same for snapshots: 5,000 records at once, and then a joiner every two seconds.
pub const SNAPSHOT_BYTES_PER_SEC: u64 = 2 << 20;
pub const SNAPSHOT_BYTES_BURST: u64 = 4 << 20;

/// A page costs its server at least so much of its budget, also if it is empty.
pub const SNAPSHOT_PAGE_BYTES_MIN: u64 = 1 << 10;

/// Away for longer, a node takes a snapshot: most of what it knew is over.
pub const AWAY_MAX: Duration = Duration::from_secs(15 * 60);

/// A neighbour that knows so many times more is asked for a snapshot.
pub const SNAPSHOT_RATIO: u32 = 4;

/// Notices of limits that are remembered for new neighbours, and that wait to be told: a fleet of fifty with
/// twenty tokens each. At some 400 bytes each.
pub const NOTICES_MAX: usize = 1024;

/// Notices that a new neighbour is told.
pub const CATCH_UP_NOTICES_MAX: usize = 256;

/// How often each budget is told of, but for a new stop.
pub const NOTICES_INTERVAL: Duration = Duration::from_secs(1);

/// Notices that one member is heard with in a span of time: room for what a new neighbour tells, and for 20
/// tokens in steady use; no room for a flood.
pub const NOTICES_WINDOW: Duration = Duration::from_secs(10);
pub const NOTICES_PER_WINDOW_MAX: usize = 512;

/// What a node that leaves hands over: records, and bytes of their bodies. Over a link of 100 Mbit/s
/// the bytes take 0.7 s of the 2 s that it has.
pub const HANDOVER_RECORDS_MAX: usize = 256;
pub const HANDOVER_BYTES_MAX: u64 = 8 << 20;

/// A plain body up to this is tried: packed, it mostly fits `wire::limits::PUSH_BYTES_MAX`.
pub const HANDOVER_BODY_BYTES_MAX: u64 = 512 << 10;

/// A refusal of another machine is believed if it was heard no longer ago than the origin takes, and this
/// for clocks that differ: a member cannot tell an old one again.
pub const REFUSAL_SKEW_MAX: Duration = Duration::from_secs(2);
