//! What a world of this layer has cost, for the tables.

use serde::{Deserialize, Serialize};

/// Counted exactly, but for gossip's sends and bytes, which are the model's.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Costs {
    /// Proofs under way in one bucket, at the beginning of each: of 95 in 100, and of all.
    pub in_flight_p95: u32,
    pub in_flight_max: u32,
    /// Requests that GitHub failed.
    pub failed: u64,
    pub published: u64,
    /// Messages that gossip has handed to nodes.
    pub delivered: u64,
    pub gossip_sends: f64,
    pub gossip_bytes: f64,
    /// Messages to one peer, claims among them.
    pub sent: u64,
    pub sent_bytes: u64,
    pub pulls: u64,
    pub pull_bytes: u64,
    /// Questions that another question of the same machine answered.
    pub joined: u64,
    /// How long clients waited, in milliseconds: half of them, and 99 of 100.
    pub wait_p50_ms: f64,
    pub wait_p99_ms: f64,
    /// Answers whose content GitHub had changed before.
    pub behind: u64,
    /// Of the charged requests, those for a body that the fleet had been given before: not long ago, so
    /// that both were on their way at once; or somebody held it, and who asked offered another one, or none
    /// at all; or all that held it are gone.
    pub charged_at_once: u64,
    pub charged_misoffered: u64,
    pub charged_unoffered: u64,
    pub charged_lost: u64,
}

/// The smallest that so many of a thousand are not above.
pub fn quantile<T: Copy + Ord + Default>(values: &mut [T], permille: usize) -> T {
    values.sort_unstable();
    let at = (values.len() * permille).div_ceil(1000).max(1) - 1;
    values.get(at).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantile_is_a_value_that_was_there() {
        let mut values: Vec<u32> = (1..=100).rev().collect();
        assert_eq!([500, 950, 990, 1000].map(|permille| quantile(&mut values, permille)), [50, 95, 99, 100]);
        assert_eq!(quantile(&mut Vec::<u32>::new(), 500), 0);
    }
}
