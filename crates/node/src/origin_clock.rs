use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard},
    time::Duration,
};

use wire::Millis;

/// How far each origin's clock is ahead of this machine's, as its answers show.
///
/// Versions and tombstones are ordered by the origin's `Date`: no other clock is common to a fleet. A
/// write that goes out has no `Date` yet, and gets the one that this estimate gives.
#[derive(Default)]
pub struct OriginClock(Mutex<BTreeMap<String, Ahead>>);

/// Between these, in milliseconds. Each answer narrows it: its `Date` is a whole second, and it was written
/// somewhere between question and answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Ahead {
    least: i64,
    most: i64,
}

/// An answer that took longer says too little about when it was dated.
const ANSWER_MAX: Duration = Duration::from_secs(5);

/// An origin's machines may disagree by so much. More is a clock that was set.
const STEP_MILLIS: i64 = 3000;

impl Ahead {
    fn middle(self) -> i64 {
        self.least + (self.most - self.least) / 2
    }

    /// What both allow, or, if nothing is allowed by both, what lies between them.
    fn with(self, seen: Self) -> Self {
        let (least, most) = (self.least.max(seen.least), self.most.min(seen.most));
        if least - most > STEP_MILLIS { seen } else { Self { least: least.min(most), most: most.max(least) } }
    }
}

impl OriginClock {
    /// Learns from an answer dated `date_secs`, asked at `began` and here at `ended`.
    pub fn note(&self, site: &str, date_secs: u64, began: Millis, ended: Millis) {
        let mut ahead = self.lock();
        let known = ahead.get(site).copied();
        if known.is_some() && ended.since(began) > ANSWER_MAX {
            return;
        }
        let dated = signed(Millis::from_secs(date_secs).0);
        let seen = Ahead { least: dated - signed(ended.0), most: dated.saturating_add(1_000) - signed(began.0) };
        ahead.insert(site.to_owned(), known.map_or(seen, |known| known.with(seen)));
    }

    /// At least; `None` before the first answer of that site. While its clock is not set it never becomes less
    /// by an answer that agrees, so that what was asked after a write stays after it.
    pub fn ahead(&self, site: &str) -> Option<i64> {
        self.lock().get(site).map(|ahead| ahead.least)
    }

    /// What the origin's clock shows at `now`; without a site, the one that is furthest ahead.
    pub fn secs(&self, site: Option<&str>, now: Millis) -> u64 {
        let known = self.lock();
        let ahead = match site {
            Some(site) => known.get(site).map(|ahead| ahead.middle()),
            None => known.values().map(|ahead| ahead.middle()).max(),
        };
        shifted(now, ahead.unwrap_or_default()).as_secs()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Ahead>> {
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
        assert_eq!(clock.ahead(SITE), Some(3_598_800), "at its answer the second had just begun");
        assert_eq!((clock.secs(Some(SITE), Millis(2_100)), clock.secs(None, Millis(2_100))), (3601, 3601));
        assert_eq!(clock.secs(Some("other"), Millis(2_100)), 2);
        // Set by an hour: at once.
        note(&clock, 3601, 3_602_000, 3_602_100);
        assert!(clock.ahead(SITE).unwrap().abs() < STEP_MILLIS);
    }

    #[test]
    fn each_answer_narrows_it_and_a_slow_one_counts_for_nothing() {
        let clock = OriginClock::default();
        let mut least = i64::MIN;
        // Both clocks are the same; the answers come at any moment of a second.
        for n in 0..200_u64 {
            let began = n * 1370;
            note(&clock, (began + 50) / 1000, began, began + 100);
            let ahead = clock.ahead(SITE).unwrap();
            assert!(ahead >= least, "what was asked after a write would be before it");
            least = ahead;
        }
        assert!((-100..=0).contains(&least), "{least}");
        note(&clock, 10_000, 0, 60_000);
        assert_eq!(clock.ahead(SITE), Some(least));
    }

    #[test]
    fn machines_of_an_origin_that_disagree_are_taken_by_what_lies_between() {
        let clock = OriginClock::default();
        for n in 0..50_u64 {
            // One is right, the other is ahead by 400 ms.
            let began = 10_000 + n * 1370;
            note(&clock, (began + 10) / 1000, began, began + 20);
            note(&clock, (began + 410) / 1000, began, began + 20);
        }
        let ahead = clock.ahead(SITE).unwrap();
        assert!((-30..=420).contains(&ahead), "{ahead}");
    }
}
