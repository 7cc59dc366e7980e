//! The seeded generator behind loss and jitter.

use std::time::Duration;

/// SplitMix64: eight bytes of state, and every seed gives a good stream.
///
/// # Source
/// Steele, Lea, Flood: "Fast splittable pseudorandom number generators", OOPSLA 2014.
#[derive(Clone, Debug)]
pub(crate) struct SplitMix64(u64);

impl SplitMix64 {
    /// The stream of `seed` for the purpose that `parts` name. Different parts give unrelated streams.
    pub(crate) fn new(seed: u64, parts: &[u64]) -> Self {
        parts.iter().fold(Self(seed), |mut stream, part| Self(stream.next() ^ part))
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// True with this probability, from 0 (never) to 1 (always).
    pub(crate) fn chance(&mut self, probability: f64) -> bool {
        const MANTISSA_BITS: u32 = 53;
        let fraction = (self.next() >> (u64::BITS - MANTISSA_BITS)) as f64 / (1_u64 << MANTISSA_BITS) as f64;
        fraction < probability
    }

    /// A uniform duration of whole nanoseconds, from zero to `most` inclusive.
    pub(crate) fn up_to(&mut self, most: Duration) -> Duration {
        let product = u128::from(self.next()) * (most.as_nanos() + 1);
        Duration::from_nanos((product >> u64::BITS) as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_splitmix64() {
        let mut stream = SplitMix64::new(1_234_567, &[]);
        // The reference implementation's first outputs for this seed.
        assert_eq!([stream.next(), stream.next()], [6_457_827_717_110_365_317, 3_203_168_211_198_807_973]);
    }

    #[test]
    fn draws_stay_in_their_range_and_reach_its_ends() {
        let mut stream = SplitMix64::new(7, &[1, 2]);
        let most = Duration::from_nanos(3);
        let drawn: std::collections::BTreeSet<_> = (0..100).map(|_| stream.up_to(most)).collect();
        assert_eq!(drawn, (0..=3).map(Duration::from_nanos).collect());
        assert!((0..100).all(|_| !stream.chance(0.0) && stream.chance(1.0)));
        let heads = (0..10_000).filter(|_| stream.chance(0.05)).count();
        assert!((400..600).contains(&heads), "{heads} of 10000 at 5 %");
    }
}
