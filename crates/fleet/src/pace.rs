//! How long other nodes take to begin an answer, as this node has measured: the wait after which a
//! second holder is asked, and a third.

use std::time::Duration;

use crate::limits::{HEDGE_START_FAR, HEDGE_START_NEAR, HEDGE_WAIT_MIN, PEER_BUDGET_FAR, PEER_BUDGET_NEAR};

/// Upper bounds of the buckets in milliseconds. What is longer counts as the last.
const BOUNDS: [u32; 24] =
    [1, 2, 3, 4, 5, 6, 8, 10, 12, 15, 20, 25, 30, 40, 50, 60, 80, 100, 125, 150, 200, 250, 350, 500];

/// Fewer pulls say nothing about a tail.
const SAMPLES_MIN: u32 = 20;

/// Then the past counts half, so that the measure follows the network.
const SAMPLES_MAX: u32 = 512;

/// Times of this node's own pulls, from near peers and from far ones.
#[derive(Default)]
pub struct Pace {
    near: Times,
    far: Times,
}

/// Which of an answer's holders waits for its turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// Asked when the first is later than nine of ten.
    Second,
    /// Asked when the first is later than 97 of a hundred.
    Third,
}

#[derive(Default)]
struct Times {
    counts: [u32; BOUNDS.len()],
    total: u32,
}

impl Pace {
    /// A pull took so long until its answer began, or at least so long when it was given up.
    pub fn note(&mut self, is_near: bool, took: Duration) {
        if is_near { self.near.note(took) } else { self.far.note(took) }
    }

    /// How long to wait for the first holder before the next one is asked.
    ///
    /// Until there is enough to measure, [`HEDGE_START_NEAR`] or [`HEDGE_START_FAR`], and twice that for
    /// the third. Never more than half of the peer budget: the next one needs time, too.
    pub fn wait(&self, is_near: bool, turn: Turn) -> Duration {
        let (times, start, budget) = if is_near {
            (&self.near, HEDGE_START_NEAR, PEER_BUDGET_NEAR)
        } else {
            (&self.far, HEDGE_START_FAR, PEER_BUDGET_FAR)
        };
        let (percent, start) = match turn {
            Turn::Second => (90, start),
            Turn::Third => (97, start * 2),
        };
        times.percentile(percent).unwrap_or(start).clamp(HEDGE_WAIT_MIN, budget / 2)
    }
}

impl Times {
    fn note(&mut self, took: Duration) {
        let bucket = BOUNDS.partition_point(|bound| Duration::from_millis((*bound).into()) < took);
        self.counts[bucket.min(BOUNDS.len() - 1)] += 1;
        self.total += 1;
        if self.total >= SAMPLES_MAX {
            self.counts.iter_mut().for_each(|count| *count /= 2);
            self.total = self.counts.iter().sum();
        }
    }

    /// The bound under which `percent` of the times lie, or `None` if there are too few.
    fn percentile(&self, percent: u32) -> Option<Duration> {
        if self.total < SAMPLES_MIN {
            return None;
        }
        let wanted = (self.total * percent).div_ceil(100);
        let mut below = 0;
        let reached = self.counts.iter().position(|count| {
            below += count;
            below >= wanted
        });
        reached.map(|bucket| Duration::from_millis(BOUNDS[bucket].into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(times: impl IntoIterator<Item = u64>) -> Pace {
        let mut pace = Pace::default();
        times.into_iter().for_each(|millis| pace.note(true, Duration::from_millis(millis)));
        pace
    }

    fn waits(pace: &Pace, is_near: bool) -> [u128; 2] {
        [Turn::Second, Turn::Third].map(|turn| pace.wait(is_near, turn).as_millis())
    }

    #[test]
    fn before_there_is_a_measure_the_start_values_count() {
        assert_eq!(waits(&Pace::default(), true), [30, 60]);
        assert_eq!(waits(&Pace::default(), false), [150, 250], "half of the budget at most");
        assert_eq!(waits(&after([1; 19]), true), [30, 60]);
    }

    #[test]
    fn the_tail_is_that_of_the_own_pulls_and_near_is_apart_from_far() {
        let pace = after((0..100).map(|n| if n < 92 { 7 } else { 47 }));
        assert_eq!(waits(&pace, true), [8, 50]);
        assert_eq!(waits(&pace, false), [150, 250]);
    }

    #[test]
    fn a_wait_is_never_nothing_and_never_the_whole_budget() {
        assert_eq!(waits(&after([0; 50]), true), [5, 5]);
        assert_eq!(waits(&after([9000; 50]), true), [75, 75]);
    }

    #[test]
    fn the_measure_follows_the_network() {
        let slow_then_fast = std::iter::repeat_n(60, 500).chain(std::iter::repeat_n(6, 3000));
        assert_eq!(waits(&after(slow_then_fast), true), [6, 6]);
    }
}
