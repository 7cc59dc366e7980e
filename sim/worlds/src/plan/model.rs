//! What only the layer `core` has: a GitHub and a gossip that are models, and how nodes differ there.

use anyhow::ensure;
use serde::{Deserialize, Serialize};

use crate::trace::Fnv;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Model {
    pub way: Way,
    /// How long GitHub takes for a charged answer: from, to. None: `origin_ms` of the plan.
    pub charged_ms: Option<(u64, u64)>,
    /// The same for a free 304.
    pub proof_ms: Option<(u64, u64)>,
    /// How long answers are fresh, each for so many keys in a hundred; the rest, and all if there is
    /// none: what the policy says.
    pub ttls: Vec<Ttl>,
    /// Keys in a hundred whose body is another for each token.
    pub own_view_percent: u64,
    pub body_bytes: usize,
    /// Deliveries of gossip in a million that are lost.
    pub gossip_loss_ppm: u64,
    /// Pairs in a hundred that are not connected, and hear nothing of each other's membership.
    pub stale_percent: u64,
    /// Configured as such.
    pub anchors: Vec<u32>,
    /// These are connected, and hear nothing: no question is answered.
    pub deaf: Vec<u32>,
}

/// What nodes do with each other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Way {
    /// Nothing: each has its own cache.
    Alone,
    /// They announce and pull.
    Announce,
    /// They claim before they ask, too.
    #[default]
    Claims,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ttl {
    pub percent: u64,
    pub ms: u64,
}

impl Default for Model {
    fn default() -> Self {
        Self {
            way: Way::default(),
            charged_ms: None,
            proof_ms: None,
            ttls: Vec::new(),
            own_view_percent: 50,
            body_bytes: 0,
            gossip_loss_ppm: 0,
            stale_percent: 0,
            anchors: Vec::new(),
            deaf: Vec::new(),
        }
    }
}

impl Model {
    pub fn is_usual(&self) -> bool {
        *self == Self::default()
    }

    pub fn check(&self) -> anyhow::Result<()> {
        let percent: u64 = self.ttls.iter().map(|ttl| ttl.percent).sum();
        ensure!(percent <= 100, "the TTLs are of {percent} keys in a hundred");
        ensure!(self.ttls.iter().all(|ttl| ttl.ms > 0), "a TTL is of no time");
        let ranges = [self.charged_ms, self.proof_ms];
        ensure!(ranges.iter().flatten().all(|(from, to)| from <= to), "GitHub's time ends before it begins");
        ensure!(self.body_bytes <= 1 << 20, "bodies of over 1 MiB are not modelled");
        Ok(())
    }

    /// How long an answer at this path is fresh, in milliseconds, where the model says so.
    pub fn ttl_ms(&self, path: &str) -> Option<u64> {
        let mut at = sum("ttl", path) % 100;
        self.ttls.iter().find_map(|ttl| {
            let is_it = at < ttl.percent;
            at = at.saturating_sub(ttl.percent);
            is_it.then_some(ttl.ms)
        })
    }

    /// Whether each token is told a body of its own.
    pub fn is_own_view(&self, path: &str) -> bool {
        sum("view", path) % 100 < self.own_view_percent
    }

    /// Whether these two know nothing of each other.
    pub fn is_blind(&self, seed: u64, a: u32, b: u32) -> bool {
        let (low, high) = (a.min(b), a.max(b));
        self.stale_percent > 0 && sum("blind", &format!("{seed} {low} {high}")) % 100 < self.stale_percent
    }
}

fn sum(purpose: &str, text: &str) -> u64 {
    let mut sum = Fnv::default();
    sum.add(purpose.as_bytes());
    sum.add(text.as_bytes());
    // FNV's low bits are poor.
    sum.0 ^ sum.0 >> 29 ^ sum.0 >> 43
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_of_keys_are_what_the_model_says() {
        let ttls = vec![Ttl { percent: 30, ms: 1 }, Ttl { percent: 10, ms: 2 }];
        let model = Model { ttls, own_view_percent: 20, stale_percent: 5, ..Model::default() };
        let paths: Vec<String> = (0..10_000).map(|n| format!("/repos/day/r{n}/issues")).collect();
        let ttl = |ms: Option<u64>| paths.iter().filter(|path| model.ttl_ms(path) == ms).count();
        assert!((2_800..3_200).contains(&ttl(Some(1))), "{}", ttl(Some(1)));
        assert!((850..1_150).contains(&ttl(Some(2))), "{}", ttl(Some(2)));
        assert!((5_700..6_300).contains(&ttl(None)), "{}", ttl(None));
        let own = paths.iter().filter(|path| model.is_own_view(path)).count();
        assert!((1_800..2_200).contains(&own), "{own}");
        let blind = (0..10_000).filter(|n| model.is_blind(1, n / 100, 1_000 + n % 100)).count();
        assert!((400..600).contains(&blind), "{blind}");
        assert_eq!(model.is_blind(1, 3, 8), model.is_blind(1, 8, 3));
    }
}
