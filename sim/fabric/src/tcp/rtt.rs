//! The retransmission timeout, from measured round trips.

use std::time::Duration;

use crate::limits::{RTO_INITIAL, RTO_MARGIN_MIN, RTO_MAX};

/// Smoothed round trip and its variation.
///
/// # Source
/// RFC 6298, §2, with Linux's floor under the variation instead of one under the whole.
#[derive(Default)]
pub(crate) struct RoundTrip {
    measured: Option<(Duration, Duration)>,
}

impl RoundTrip {
    pub(crate) fn sample(&mut self, rtt: Duration) {
        self.measured = Some(match self.measured {
            None => (rtt, rtt / 2),
            Some((smoothed, variation)) => ((smoothed * 7 + rtt) / 8, (variation * 3 + smoothed.abs_diff(rtt)) / 4),
        });
    }

    /// The wait for an answer, doubled `backoff` times.
    pub(crate) fn timeout(&self, backoff: u32) -> Duration {
        let base =
            self.measured.map_or(RTO_INITIAL, |(smoothed, variation)| smoothed + (variation * 4).max(RTO_MARGIN_MIN));
        base.saturating_mul(2_u32.saturating_pow(backoff)).min(RTO_MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_timeout_follows_the_round_trip_and_doubles_up_to_its_limit() {
        let mut rtt = RoundTrip::default();
        assert_eq!(rtt.timeout(0), RTO_INITIAL);
        for _ in 0..100 {
            rtt.sample(Duration::from_millis(40));
        }
        assert_eq!(rtt.timeout(0).as_millis(), 240);
        assert_eq!(rtt.timeout(3).as_millis(), 8 * 240);
        assert_eq!(rtt.timeout(60), RTO_MAX);
    }
}
