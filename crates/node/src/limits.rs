//! Every bound and interval of a node, with its reason.

use std::time::Duration;

/// The longest pause between two commits of what was put. What a crash can lose of a cache, never its
/// integrity.
pub const COMMIT_WINDOW: Duration = Duration::from_millis(500);

/// Within which time what was put is durable, on a disk whose commits take less than half of it: a second,
/// less what a commit may take longer than those before it.
pub const DURABLE_WITHIN: Duration = Duration::from_millis(900);

/// Families and scopes whose last doubt is remembered; over it everything older is doubted.
pub const DOUBTS_MAX: usize = 4096;

/// Families whose costs and savings are counted by name; the rest is counted together, and a pattern
/// with stars then drops everything.
pub const FAMILIES_MAX: usize = 4096;

/// Inputs that wait for the fleet's core.
pub const FLEET_QUEUE_MAX: usize = 4096;

/// Bodies that came inside announces and are at hand without the disk: a minute of a busy fleet. 2 MiB.
pub const AT_HAND_BYTES_MAX: usize = 2 << 20;

/// What a body at hand counts beside its own length, so that empty ones are bounded, too.
pub const AT_HAND_ENTRY_BYTES: usize = 256;

/// A longer one is unpacked and hashed where that may take its time: this takes some 0.1 ms.
pub const AT_HAND_BODY_BYTES_MAX: u64 = 64 << 10;

/// Records of members that wait for the disk; over it they are not kept.
pub const SHELF_QUEUE_MAX: usize = 4096;

/// Longest wait for the fleet's core, should it ever hang: then the origin is asked.
pub const FLEET_ANSWER_MAX: Duration = Duration::from_secs(5);

/// A body of which nothing comes for so long is asked of the next holder from where it stopped.
pub const PULL_STALL_MAX: Duration = Duration::from_millis(250);

/// Bytes of bodies on their way here that can be gone on with when they break off; of what is beyond, a
/// next holder is asked for all of it. The largest body is 16 MiB.
pub const PULL_PARTS_BYTES_MAX: u64 = 64 << 20;

/// Segments that are sealed at once while those before them are sent. 256 KiB.
pub const SEAL_AHEAD_SEGMENTS: u32 = 4;

/// Segments of one body that have come and wait to be opened; those that wait are opened at once. 512 KiB.
pub const OPEN_AHEAD_SEGMENTS: usize = 8;

/// Bodies sent to peers at once.
pub const PULLS_SERVED_MAX: usize = 64;

/// How long a request waits for the disk, should it hang.
pub const DISK_PATIENCE: Duration = Duration::from_millis(500);

/// Records of an earlier run that are read at once, before other things have their turn: some milliseconds.
pub const REMEMBERED_AT_ONCE: usize = 256;

/// How long a new node waits for a neighbour's word before it calls itself ready all the same.
pub const CATCH_UP_PATIENCE: Duration = Duration::from_secs(3);

/// Status pages that wait for the core's word on the members.
pub const ROSTER_QUESTIONS_MAX: usize = 64;

/// How long a node that stops gives requests that are under way, and the handing over.
pub const DRAIN_PATIENCE: Duration = Duration::from_secs(2);

/// How often configured and found peers are dialled again. The guides name this figure.
pub const REFRESH_INTERVAL: Duration = Duration::from_secs(300);

/// The same while nobody is connected: from the first to the second, doubling.
pub const LONELY_DIAL_MIN: Duration = Duration::from_millis(500);
pub const LONELY_DIAL_MAX: Duration = Duration::from_secs(30);

/// How often the directories are told that this node lives, and read.
pub const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(60);

/// Addresses dialled in one round.
pub const DIALS_MAX: usize = 64;

/// How soon a place that failed is dialled again: from the first to the second, doubling, less some jitter.
pub const REDIAL_MIN: Duration = Duration::from_millis(500);
pub const REDIAL_MAX: Duration = Duration::from_secs(60);

/// What is over one round's number waits so long.
pub const DIAL_ROUND_PAUSE: Duration = Duration::from_secs(1);

/// Neighbours that a node looks for. A fleet of no more members is connected each to each; of a larger one these
/// are chosen, and over it only whom the operator named, and anchors, are dialled.
pub const NEIGHBOURS_WANTED: usize = 64;

/// Of them at least so many anchors, and so many of the same site, where there are.
pub const ANCHORS_WANTED: usize = 8;
pub const NEAR_WANTED: usize = 24;

/// Neighbours that a node keeps, whoever dialled: over it some are given up, so that who comes anew finds one of
/// the network's 512 places.
pub const NEIGHBOURS_MAX: usize = 384;

/// A neighbour that went, where there are others to choose from, is not asked after before: it may have
/// given this node up.
pub const NEIGHBOUR_PAUSE: Duration = Duration::from_secs(60);

/// Who is not dialled within this is not counted on: another one is looked for.
pub const NEIGHBOUR_PATIENCE: Duration = Duration::from_secs(10);

/// So many places that were found together are dialled at once; more of them over a time of so much each, and
/// so much at most.
pub const BURST_AT_ONCE: usize = 8;
pub const BURST_TIME_EACH: Duration = Duration::from_millis(20);
pub const BURST_TIME_MAX: Duration = Duration::from_secs(2);

/// How often at most a neighbour is listened to; one of them is told anew with each heartbeat.
pub const EXCHANGE_HEARD_INTERVAL: Duration = Duration::from_secs(5);

/// Machines whose own words are remembered, to be passed on.
pub const EXCHANGE_KNOWN_MAX: usize = 1024;

/// Of them, those that one neighbour may tell of.
pub const EXCHANGE_OF_ONE_MAX: usize = EXCHANGE_KNOWN_MAX / 4;

/// How long what this node says of itself counts with its neighbours.
pub const OWN_RECORD_LIFE: Duration = Duration::from_secs(30 * 60);

/// How long what mDNS said counts, unless it is taken back or said again.
pub const MDNS_LIFE: Duration = Duration::from_secs(10 * 60);

/// How often a service name is resolved.
pub const DNS_INTERVAL: Duration = Duration::from_secs(60);

/// Addresses that one name may stand for, and names that may lead to one another.
pub const DNS_ADDRESSES_MAX: usize = 64;
pub const DNSADDR_DEPTH_MAX: usize = 3;

/// How often the registry in an issue is asked whether it is time, while others may come and go.
pub const REGISTRY_TICK: Duration = Duration::from_secs(2);

/// How long a node that stops tries to take its comment back.
pub const REGISTRY_LEAVE_PATIENCE: Duration = Duration::from_secs(2);

/// Receipts that a smoke test may fall behind.
pub const RECEIPTS_MAX: usize = 1024;

/// Addresses known from directories.
pub const KNOWN_ADDRESSES_MAX: usize = 4096;

/// How long a peer directory is waited for: its folder may be of a file server that is gone. It is not asked
/// again before it has answered.
pub const DIRECTORY_PATIENCE: Duration = Duration::from_secs(2);

/// How long a failure to connect counts as a reason for having no peer: twice the longest pause between dials.
pub const FAILURE_LIFE: Duration = REDIAL_MAX.saturating_mul(2);

/// How long an address may take to resolve.
pub const RESOLVE_TIMEOUT: Duration = Duration::from_secs(5);

/// Reasons for having no peer that are told in one line.
pub const REASONS_TOLD_MAX: usize = 4;

/// Reasons for failed connections that have been named; then they are named anew.
pub const REASONS_MAX: usize = 1024;

/// Places whose last failure is remembered for the status page.
pub const FAILURES_MAX: usize = 64;

/// Questions under way at once: each is asked for by a connection of a door, of which there are two.
pub const FLIGHTS_MAX: usize = 2 * gateway::limits::CONNECTIONS_MAX;

/// An answer up to this is read to see whether it tells of a limit.
pub const LIMIT_TEXT_BYTES_MAX: u64 = 64 << 10;

/// A peer's body up to this is hashed for its ETag while the client waits: some 0.3 ms.
pub const ETAG_AT_ONCE_BYTES_MAX: usize = 256 << 10;

/// Credentials whose acceptance by the origin is remembered; who is forgotten asks the origin.
pub const ACCEPTED_MAX: usize = 4096;

/// How long the origin is taken to need before it was asked for anything, and between which times all
/// guesses are kept.
pub const ORIGIN_TIME_GUESS: Duration = Duration::from_millis(500);
pub const ORIGIN_TIME_MIN: Duration = Duration::from_millis(50);
pub const ORIGIN_TIME_MAX: Duration = Duration::from_secs(10);

/// How often the fleet's core is told what this node has done.
pub const COUNT_INTERVAL: Duration = Duration::from_secs(5);

/// Notices of limits that wait for a client who shows the credential: in all, of one member, and for one
/// credential. At some 500 bytes each, 4 MB.
pub const HEARD_MAX: usize = 8192;
pub const HEARD_OF_ONE_MAX: usize = 1024;
pub const HEARD_RIVALS_MAX: usize = 32;

/// How often what is over is looked for while there is no room.
pub const HEARD_SWEEP_INTERVAL: Duration = Duration::from_secs(1);

/// Credentials of this machine whose name in the fleet is remembered.
pub const FLEET_SCOPES_MAX: usize = 4096;

/// Neighbours with which a node looks for no more: gossip's mesh is of five, and a relay or two.
pub const NEIGHBOURS_ENOUGH: usize = 8;

/// How often members that were heard of and not met are looked for.
pub const CIRCUIT_INTERVAL: Duration = Duration::from_secs(2);

/// How long the larger of two peers leaves the first dial to the smaller.
pub const CIRCUIT_COURTESY: Duration = Duration::from_secs(2);

/// How long after one relay the next one is tried.
pub const CIRCUIT_TURN: Duration = Duration::from_millis(500);

/// How long a way through a relay counts unless it is named again: while one look is missed.
pub const CIRCUIT_LIFE: Duration = CIRCUIT_INTERVAL.saturating_mul(3);

/// Members that are looked for at once.
pub const CIRCUIT_PEERS_MAX: usize = 64;

/// Members that are looked up in one turn, and the pause before one is looked up again: doubled each time.
pub const LOOKUPS_AT_ONCE: usize = 4;
pub const LOOKUP_PAUSE_MIN: Duration = Duration::from_secs(4);
pub const LOOKUP_PAUSE_MAX: Duration = Duration::from_secs(300);

/// How often this node's own word is given to the members' Kademlia until one has heard it; how many more times then, after
/// pauses that double, since nobody says whether he keeps it; and how often from then on: it counts there for 30 minutes.
pub const PUBLISH_PAUSE: Duration = Duration::from_secs(4);
pub const PUBLISH_AGAIN_MAX: u32 = 4;
pub const PUBLISH_INTERVAL: Duration = Duration::from_secs(10 * 60);

/// How long a node finds nobody before it goes to public nodes, if it may; how often it goes there again; and to
/// how many of their addresses.
pub const PUBLIC_PATIENCE: Duration = Duration::from_secs(10);
pub const PUBLIC_INTERVAL: Duration = Duration::from_secs(300);
pub const PUBLIC_DIALS_MAX: usize = 8;

/// How long an address that others told of, in a private network that this machine is not in, waits for better
/// ones: most such dials are in vain, and each takes as long as this.
pub const ELSEWHERE_PAUSE: Duration = Duration::from_secs(5);
