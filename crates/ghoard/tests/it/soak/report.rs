//! What came of it, in lines.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// Who called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Caller {
    Gh,
    Plain,
    Writer,
    /// Another member's client, while the daemon that asks GitHub for the same is killed.
    Waiter,
    Retry,
}

impl Caller {
    fn name(self) -> &'static str {
        match self {
            Self::Gh => "gh api, by the socket",
            Self::Plain => "GET, by the base URL",
            Self::Writer => "PATCH, by the base URL",
            Self::Waiter => "GET, of what a killed one asks",
            Self::Retry => "retry by ghoard gh",
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct Calls {
    answered: Vec<Duration>,
    /// From the kill, or from the start if that was later, to the end.
    cut: Vec<Duration>,
}

/// Everything that is known at the end.
#[derive(Debug, Default)]
pub(super) struct Report {
    calls: BTreeMap<Caller, Calls>,
    /// How calls that were cut ended, in the client's words.
    words: BTreeMap<String, u64>,
    pub(super) went_direct: u64,
    pub(super) let_in_by_the_dying: u64,
    pub(super) kills: usize,
    /// From the start of each killed daemon until its `/healthz` said so.
    pub(super) ready_after: Vec<Duration>,
    pub(super) wrong: Vec<String>,
}

#[derive(Default)]
pub(super) struct Book(Mutex<Report>);

impl Book {
    pub(super) fn open(&self) -> MutexGuard<'_, Report> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn close(self) -> Report {
        self.0.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Report {
    pub(super) fn answered(&mut self, caller: Caller, took: Duration) {
        self.calls.entry(caller).or_default().answered.push(took);
    }

    pub(super) fn cut(&mut self, caller: Caller, took: Duration, words: &str) {
        self.calls.entry(caller).or_default().cut.push(took);
        *self.words.entry(format!("{}: {words}", caller.name())).or_default() += 1;
    }

    pub(super) fn count(&self, caller: Caller) -> (usize, usize) {
        self.calls.get(&caller).map_or((0, 0), |calls| (calls.answered.len(), calls.cut.len()))
    }

    /// The longest time between a kill and the end of a call that it cut.
    pub(super) fn cut_max(&self) -> Duration {
        self.calls.values().flat_map(|calls| &calls.cut).max().copied().unwrap_or_default()
    }

    pub(super) fn lines(&mut self) -> Vec<String> {
        let mut lines = vec![format!(
            "{:30} {:>8} {:>8} {:>9} {:>9} {:>6} {:>9} {:>9}",
            "caller", "answered", "p50 ms", "p99 ms", "max ms", "cut", "p50 ms", "max ms"
        )];
        for (caller, calls) in &mut self.calls {
            let [p50, p99, max] = [50, 99, 100].map(|part| millis(&mut calls.answered, part));
            let [cut_p50, cut_max] = [50, 100].map(|part| millis(&mut calls.cut, part));
            lines.push(format!(
                "{:30} {:>8} {p50:>8} {p99:>9} {max:>9} {:>6} {cut_p50:>9} {cut_max:>9}",
                caller.name(),
                calls.answered.len(),
                calls.cut.len()
            ));
        }
        lines.push("how cut calls ended:".to_owned());
        lines.extend(self.words.iter().map(|(words, count)| format!("  {count:>4} x {words}")));
        lines
    }
}

fn millis(times: &mut [Duration], part: usize) -> String {
    times.sort();
    let at = (times.len() * part).div_ceil(100).saturating_sub(1);
    times.get(at).map_or("-".to_owned(), |time| format!("{:.1}", time.as_secs_f64() * 1000.0))
}
