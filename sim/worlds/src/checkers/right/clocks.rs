//! How long an answer may be served, counted from when GitHub gave or confirmed it.

use std::time::Duration;

use crate::plan::Plan;

/// GitHub's `max-age`, as fakehub sends it, and the table's own lifetimes.
const MAX_AGE: Duration = Duration::from_secs(60);
const RUNNERS_LIFETIME: Duration = Duration::from_secs(30);
const BY_SHA_LIFETIME: Duration = Duration::from_secs(24 * 3600);

/// The longest time after its proof for which an answer is ever kept.
const STALE_MAX: Duration = Duration::from_secs(7 * 24 * 3600);

pub struct Clocks {
    pub fresh: Duration,
    pub proof: Duration,
    pub stale: Duration,
}

impl Clocks {
    pub fn of(plan: &Plan, path: &str) -> Self {
        let millis = |ms: Option<u64>| ms.map(Duration::from_millis);
        let ttl = millis(plan.policy.default_ttl_ms);
        let is_at = |what: &str| path.contains(what);
        let fresh = if is_at("/actions/runners") {
            RUNNERS_LIFETIME
        } else if is_at("/actions/runs") || is_at("/actions/jobs") {
            MAX_AGE
        } else if names_a_sha(path) {
            BY_SHA_LIFETIME
        } else {
            ttl.unwrap_or(MAX_AGE)
        };
        let proof = millis(plan.policy.proof_window_ms).or(ttl).unwrap_or(MAX_AGE);
        Self { fresh, proof, stale: Duration::from_millis(plan.policy.stale_for_ms).min(STALE_MAX) }
    }
}

fn names_a_sha(path: &str) -> bool {
    let last = path.rsplit('/').next().unwrap_or_default();
    (path.contains("/git/") || path.contains("/commits/"))
        && last.len() == 40
        && last.bytes().all(|b| b.is_ascii_hexdigit())
}

/// How much longer an answer lives elsewhere than where it was given, by the clocks: what is dated more
/// than a minute ahead is refused.
pub fn ahead(plan: &Plan, teller: u32, reader: u32) -> Duration {
    let clock = |id| plan.nodes.iter().find(|node| node.id == id).map_or(0, |node| node.clock_ms);
    Duration::from_millis((clock(teller) - clock(reader)).clamp(0, 60_000).unsigned_abs())
}
