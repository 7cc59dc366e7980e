use std::{collections::BTreeMap, sync::Mutex, time::Duration};

use fleet::OriginTime;
use github::Route;

use crate::limits;

/// How long the origin takes, by kind of route: the mean, and at most four times as far from it as
/// answers mostly lie, both averaged over the last ones (as TCP reckons with round trips: RFC 6298, §2).
///
/// It says how long it pays to wait for another machine's answer instead of asking oneself.
#[derive(Default)]
pub struct OriginTimes(Mutex<BTreeMap<Route, Observed>>);

#[derive(Clone, Copy)]
struct Observed {
    mean: f64,
    spread: f64,
}

impl OriginTimes {
    pub fn observe(&self, route: Route, took: Duration) {
        let took = took.as_secs_f64();
        let mut observed = self.0.lock().expect("no panic while held");
        observed
            .entry(route)
            .and_modify(|known| {
                known.spread += ((known.mean - took).abs() - known.spread) / 4.0;
                known.mean += (took - known.mean) / 8.0;
            })
            .or_insert(Observed { mean: took, spread: took / 2.0 });
    }

    pub fn expected(&self, route: Route) -> OriginTime {
        let seconds = |secs: f64| Duration::from_secs_f64(secs).clamp(limits::ORIGIN_TIME_MIN, limits::ORIGIN_TIME_MAX);
        let time = |Observed { mean, spread }: Observed| OriginTime {
            usual: seconds(mean),
            longest: seconds(mean + 4.0 * spread),
        };
        let all = self.0.lock().expect("no panic while held");
        let observed = all.get(&route).copied().map(time);
        // What was not asked for yet is taken for the slowest of what was.
        let slowest = || all.values().copied().map(time).max_by_key(|time| time.usual);
        let guess = OriginTime { usual: limits::ORIGIN_TIME_GUESS, longest: limits::ORIGIN_TIME_GUESS };
        observed.or_else(slowest).unwrap_or(guess)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_steady_origin_is_expected_as_it_is_and_a_fitful_one_later() {
        let route = Route::Runs;
        let (steady, fitful) = (OriginTimes::default(), OriginTimes::default());
        assert_eq!(steady.expected(route).longest, limits::ORIGIN_TIME_GUESS);
        for n in 0..50 {
            steady.observe(route, Duration::from_millis(200));
            fitful.observe(route, Duration::from_millis(if n % 2 == 0 { 100 } else { 300 }));
        }
        assert_eq!(fitful.expected(Route::Jobs), fitful.expected(route), "nothing else is known");
        let ms = |time: &OriginTimes| time.expected(route).longest.as_millis();
        assert!((195..210).contains(&ms(&steady)), "{}", ms(&steady));
        assert!((500..700).contains(&ms(&fitful)), "{}", ms(&fitful));
    }

    #[test]
    fn no_wait_is_endless() {
        let time = OriginTimes::default();
        time.observe(Route::Runs, Duration::from_secs(3600));
        assert_eq!(time.expected(Route::Runs).longest, limits::ORIGIN_TIME_MAX);
    }
}
