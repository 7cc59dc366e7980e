use std::time::Duration;

use wire::Millis;

/// Bytes that may be sent: so many at once, and so many per second. What is sent may overdraw it
/// once; then nothing more is until that is made up for.
pub struct Budget {
    per_sec: u64,
    burst: u64,
    spent: u64,
    since: Millis,
}

impl Budget {
    pub fn new(per_sec: u64, burst: u64) -> Self {
        Self { per_sec, burst, spent: 0, since: Millis::ZERO }
    }

    pub fn spend(&mut self, bytes: u64, now: Millis) {
        let passed = u64::try_from(now.since(self.since).as_millis()).unwrap_or(u64::MAX);
        self.spent = self.spent.saturating_sub(passed.saturating_mul(self.per_sec) / 1000).saturating_add(bytes);
        self.since = self.since.max(now);
    }

    /// From when on something may be sent.
    pub fn free_at(&self) -> Millis {
        let over = self.spent.saturating_sub(self.burst);
        self.since.after(Duration::from_millis((over * 1000).div_ceil(self.per_sec)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_and_the_rest_at_the_rate() {
        let mut budget = Budget::new(1000, 5000);
        let start = Millis::from_secs(1_000_000);
        let mut sent = 0;
        for tick in 0..10_000 {
            let now = start.after(Duration::from_millis(tick));
            while budget.free_at() <= now {
                budget.spend(700, now);
                sent += 700;
            }
        }
        assert!((15_000..=16_400).contains(&sent), "{sent}");
    }
}
