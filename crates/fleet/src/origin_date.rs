use std::time::Duration;

use wire::Millis;

/// What the origin's clock shows, by the last answer that this node had from it.
///
/// Versions and tombstones bear the origin's dates. A machine whose own clock is slow by minutes would
/// take those of today for the future.
#[derive(Debug, Default)]
pub struct OriginDate {
    told_secs: u64,
    at: Millis,
}

impl OriginDate {
    /// An answer of the origin came at `now` and is dated so, in seconds.
    pub fn note(&mut self, date_secs: u64, now: Millis) {
        *self = Self { told_secs: date_secs, at: now };
    }

    /// The latest date that a member may name, in seconds: a minute ahead of the clocks.
    pub fn latest(&self, now: Millis) -> u64 {
        let told = Millis::from_secs(self.told_secs).after(now.since(self.at).min(TOLD_LATELY));
        now.max(told).after(wire::limits::CLOCK_AHEAD_MAX).as_secs()
    }
}

/// For so long the origin's last date is reckoned on. More is a clock that was set, or nothing that matters:
/// what was told before is over.
const TOLD_LATELY: Duration = Duration::from_secs(24 * 3600);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_clock_is_put_right_by_the_origin_and_a_fast_one_counts_itself() {
        let mut date = OriginDate::default();
        assert_eq!(date.latest(Millis(1_000_000)), 1_060, "its own clock, before it knows");
        date.note(1_300, Millis(1_000_000));
        assert_eq!(date.latest(Millis(1_010_000)), 1_370);
        date.note(900, Millis(1_010_000));
        assert_eq!(date.latest(Millis(1_010_000)), 1_070);
    }
}
