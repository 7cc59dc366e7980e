//! What an ideal cache would have asked, knowing the trace.

use std::{collections::BTreeMap, time::Duration};

/// An answer that a client was given.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    pub(super) at: Duration,
    pub(super) key: usize,
    pub(super) token: usize,
    pub(super) daemon: usize,
}

/// What is answered to a key is another from now on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Changed {
    pub(super) at: Duration,
    pub(super) key: usize,
    /// The daemon through which it was written; none if it happened behind everybody's back.
    pub(super) by: Option<usize>,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Trace {
    pub(super) asked: Vec<Asked>,
    pub(super) changed: Vec<Changed>,
}

/// One cache for all daemons, or one for each.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Caches {
    Shared,
    Apart,
}

/// What a write through a daemon ends.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Writes {
    /// The answer that it changes, as somebody would know who knows GitHub's mind.
    EndOne,
    /// All of its family, as ghoard does it: they are dropped, and paid for when they are asked again.
    EndAll,
}

impl Trace {
    /// Returns by key the answers that GitHub would have charged for.
    ///
    /// A token is given what its cache holds for `ttl` after it was last confirmed to it. Then GitHub
    /// is asked, which charges only for what this cache does not hold yet. A write through a daemon is
    /// known to its cache at once; those keys are one family that `is_written` says.
    pub(super) fn charged(
        &self,
        ttl: Duration,
        caches: Caches,
        writes: Writes,
        is_written: impl Fn(usize) -> bool,
    ) -> BTreeMap<usize, u64> {
        let cache_of = |daemon| if caches == Caches::Shared { 0 } else { daemon };
        let ends = |written: usize, key: usize| written == key || writes == Writes::EndAll && is_written(key);
        let mut moments: Vec<(Duration, Moment)> = self.asked.iter().map(|a| (a.at, Moment::Asked(*a))).collect();
        moments.extend(self.changed.iter().map(|c| (c.at, Moment::Changed(*c))));
        moments.sort_by_key(|(at, _)| *at);

        let mut versions: BTreeMap<usize, u64> = BTreeMap::new();
        let mut held: BTreeMap<(usize, usize), u64> = BTreeMap::new();
        let mut confirmed: BTreeMap<(usize, usize, usize), Duration> = BTreeMap::new();
        let mut charged: BTreeMap<usize, u64> = BTreeMap::new();
        for (at, moment) in moments {
            match moment {
                Moment::Changed(Changed { key: changed, by, .. }) => {
                    *versions.entry(changed).or_default() += 1;
                    if let Some(cache) = by.map(cache_of) {
                        held.retain(|(c, key), _| *c != cache || !ends(changed, *key));
                        confirmed.retain(|(c, key, _), _| *c != cache || !ends(changed, *key));
                    }
                }
                Moment::Asked(Asked { key, token, daemon, .. }) => {
                    let cache = cache_of(daemon);
                    let last = confirmed.get(&(cache, key, token));
                    if last.is_some_and(|last| at < *last + ttl) {
                        continue;
                    }
                    confirmed.insert((cache, key, token), at);
                    let version = versions.get(&key).copied().unwrap_or_default();
                    if held.insert((cache, key), version) != Some(version) {
                        *charged.entry(key).or_default() += 1;
                    }
                }
            }
        }
        charged
    }
}

enum Moment {
    Asked(Asked),
    Changed(Changed),
}

#[test]
fn the_oracle_charges_once_for_each_content_that_is_asked_for() {
    let asked = |at, token, daemon| Asked { at: Duration::from_secs(at), key: 0, token, daemon };
    let changed = |at, by| Changed { at: Duration::from_secs(at), key: 0, by };
    let charged = |asked: &[Asked], changed: &[Changed]| {
        let trace = Trace { asked: asked.to_vec(), changed: changed.to_vec() };
        let sum = |caches, writes| -> u64 {
            trace.charged(Duration::from_secs(10), caches, writes, |key| key < 2).values().sum()
        };
        let all = [sum(Caches::Shared, Writes::EndAll), sum(Caches::Apart, Writes::EndAll)];
        (sum(Caches::Shared, Writes::EndOne), all)
    };
    // Two tokens, two daemons, an end of the time to live: one content.
    assert_eq!(charged(&[asked(0, 0, 0), asked(1, 1, 1), asked(11, 0, 0)], &[]), (1, [1, 2]));
    // A change is not seen before the time to live ends, a write at once.
    assert_eq!(charged(&[asked(0, 0, 0), asked(2, 0, 0)], &[changed(1, None)]), (1, [1, 1]));
    assert_eq!(charged(&[asked(0, 0, 0), asked(12, 0, 0)], &[changed(1, None)]), (2, [2, 2]));
    assert_eq!(charged(&[asked(0, 0, 0), asked(2, 0, 0)], &[changed(1, Some(0))]), (2, [2, 2]));
    // Two changes that nobody saw between.
    assert_eq!(charged(&[asked(0, 0, 0), asked(12, 0, 0)], &[changed(1, None), changed(2, None)]), (2, [2, 2]));
    // A write to another one of the family.
    let other = Changed { key: 1, ..changed(1, Some(0)) };
    assert_eq!(charged(&[asked(0, 0, 0), asked(2, 0, 0)], &[other]), (1, [2, 2]));
}
