use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard},
    time::Duration,
};

use wire::Millis;

/// How far each origin's clock is ahead of this machine's, in milliseconds, as its answers show.
///
/// Versions and tombstones are ordered by the origin's `Date`: no other clock is common to a fleet. A
/// write that goes out has no `Date` yet, and gets the one that this estimate gives.
#[derive(Default)]
pub struct OriginClock(Mutex<BTreeMap<String, i64>>);

/// An answer that took longer says too little about when it was dated.
const ANSWER_MAX: Duration = Duration::from_secs(5);

/// One answer may be off by so much: `Date` is in whole seconds. More is a clock that was set.
const STEP_MILLIS: i64 = 3000;

/// What one answer counts against those before it.
const WEIGHT: i64 = 8;

impl OriginClock {
    /// Learns from an answer dated `date_secs`, asked at `began` and here at `ended`.
    pub fn note(&self, site: &str, date_secs: u64, began: Millis, ended: Millis) {
        let mut ahead = self.lock();
        let known = ahead.get(site).copied();
        if known.is_some() && ended.since(began) > ANSWER_MAX {
            return;
        }
        // On average the second was half over, and the answer half way.
        let dated = Millis::from_secs(date_secs).0.saturating_add(500);
        let seen = signed(dated) - signed(began.0 / 2 + ended.0 / 2);
        let smooth = |known: i64| known + (seen - known) / WEIGHT;
        let known = known.filter(|known| (seen - known).abs() <= STEP_MILLIS);
        ahead.insert(site.to_owned(), known.map_or(seen, smooth));
    }

    /// `None` before the first answer of that site.
    pub fn ahead(&self, site: &str) -> Option<i64> {
        self.lock().get(site).copied()
    }

    /// What the origin's clock shows at `now`; without a site, the one that is furthest ahead.
    pub fn secs(&self, site: Option<&str>, now: Millis) -> u64 {
        let ahead = match site {
            Some(site) => self.ahead(site),
            None => self.lock().values().max().copied(),
        };
        shifted(now, ahead.unwrap_or_default()).as_secs()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, i64>> {
        self.0.lock().expect("no panic while held")
    }
}

/// A moment of this machine's clock by another that is so far ahead.
pub fn shifted(moment: Millis, ahead: i64) -> Millis {
    Millis(moment.0.saturating_add_signed(ahead))
}

fn signed(millis: u64) -> i64 {
    i64::try_from(millis).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SITE: &str = "api.github.com";

    fn note(clock: &OriginClock, date_secs: u64, began: u64, ended: u64) {
        clock.note(SITE, date_secs, Millis(began), Millis(ended));
    }

    #[test]
    fn a_clock_that_is_wrong_here_is_right_by_the_first_answer() {
        let clock = OriginClock::default();
        assert_eq!(clock.secs(Some(SITE), Millis(5_000)), 5, "its own, before it knows");
        note(&clock, 3600, 1_000, 1_200);
        assert_eq!(clock.ahead(SITE), Some(3_599_400));
        assert_eq!((clock.secs(Some(SITE), Millis(2_100)), clock.secs(None, Millis(2_100))), (3601, 3601));
        assert_eq!(clock.secs(Some("other"), Millis(2_100)), 2);
        // Set by an hour: at once.
        note(&clock, 3601, 3_602_000, 3_602_100);
        assert!(clock.ahead(SITE).unwrap().abs() < STEP_MILLIS);
    }

    #[test]
    fn many_answers_are_better_than_one_and_a_slow_one_counts_for_nothing() {
        let clock = OriginClock::default();
        // Both clocks are the same; the answers come at any moment of a second.
        for n in 0..200_u64 {
            let began = n * 1370;
            note(&clock, (began + 50) / 1000, began, began + 100);
        }
        let ahead = clock.ahead(SITE).unwrap();
        assert!(ahead.abs() < 300, "{ahead}");
        note(&clock, 10_000, 0, 60_000);
        assert_eq!(clock.ahead(SITE), Some(ahead));
    }
}
