use std::{
    collections::BTreeMap,
    sync::{
        RwLock, RwLockReadGuard,
        atomic::{AtomicBool, Ordering},
    },
};

use gateway::{Fetched, How};
use github::Family;

use crate::{counters::Counter, limits};

/// The families that this node has seen since its start, usually repositories, and what each has
/// cost and saved.
///
/// In memory only: on the disk a family has no name. Names are for the operator, by the admin socket,
/// and never on a status page.
#[derive(Default)]
pub struct Families {
    seen: RwLock<BTreeMap<Family, Tally>>,
    /// All that came when the table was full.
    other: Tally,
    is_full: AtomicBool,
}

#[derive(Default)]
struct Tally {
    hits: Counter,
    proofs: Counter,
    charged: Counter,
}

/// What one family has cost and saved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Saving {
    /// `None`: all those that the table had no room for.
    pub family: Option<Family>,
    /// Requests answered without asking GitHub, stale ones and those that joined another included.
    pub hits: u64,
    /// Free 304s.
    pub proofs: u64,
    /// What GitHub charged, writes included.
    pub charged: u64,
}

impl Saving {
    /// Requests that GitHub did not charge, and would have.
    pub fn saved(&self) -> u64 {
        self.hits + self.proofs
    }
}

impl Families {
    /// A family was asked for. To be called before anything of it is kept.
    pub fn note(&self, family: &Family) {
        if self.lock().contains_key(family) {
            return;
        }
        let mut seen = self.seen.write().expect("no panic while held");
        if seen.len() < limits::FAMILIES_MAX {
            seen.entry(family.clone()).or_default();
        } else {
            self.is_full.store(true, Ordering::Relaxed);
        }
    }

    /// A request was answered from memory: the whole cost of it on the hit path.
    pub fn hit(&self, family: &Family) {
        self.lock().get(family).unwrap_or(&self.other).hits.one();
    }

    /// A request was answered in a longer way.
    pub fn fetched(&self, family: &Family, fetched: &Fetched) {
        if let Fetched::Answer { how: How::Hit | How::PeerHit | How::Joined | How::Stale, .. } = fetched {
            self.hit(family);
        }
    }

    /// The origin answered.
    pub fn asked(&self, family: &Family, is_proof: bool) {
        self.note(family);
        let seen = self.lock();
        let tally = seen.get(family).unwrap_or(&self.other);
        if is_proof { &tally.proofs } else { &tally.charged }.one();
    }

    /// Each family that was noted, unless the table was full before: then `None`.
    pub fn all(&self) -> Option<Vec<Family>> {
        let seen = self.lock();
        (!self.is_full.load(Ordering::Relaxed)).then(|| seen.keys().cloned().collect())
    }

    pub fn len(&self) -> usize {
        self.lock().len()
    }

    /// What each has saved, the most first; those without any cost or saving left out.
    pub fn savings(&self) -> Vec<Saving> {
        let seen = self.lock();
        let named = seen.iter().map(|(family, tally)| tally.saving(Some(family.clone())));
        let mut savings: Vec<Saving> = named.chain([self.other.saving(None)]).collect();
        savings.retain(|saving| saving.saved() + saving.charged > 0);
        savings.sort_by_key(|saving| std::cmp::Reverse((saving.saved(), saving.charged)));
        savings
    }

    fn lock(&self) -> RwLockReadGuard<'_, BTreeMap<Family, Tally>> {
        self.seen.read().expect("no panic while held")
    }
}

impl Tally {
    fn saving(&self, family: Option<Family>) -> Saving {
        Saving { family, hits: self.hits.get(), proofs: self.proofs.get(), charged: self.charged.get() }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use github::Target;

    use super::*;

    fn family(name: &str) -> Family {
        Family::of(github::API_HOST, &Target::parse(&format!("/repos/acme/{name}/pulls"), None).unwrap())
    }

    #[test]
    fn the_one_that_saved_most_comes_first() {
        let families = Families::default();
        families.note(&family("idle"));
        for (name, hits) in [("few", 1), ("many", 5)] {
            families.asked(&family(name), false);
            families.asked(&family(name), true);
            (0..hits).for_each(|_| families.hit(&family(name)));
        }
        let named = |name, hits| Saving { family: Some(family(name)), hits, proofs: 1, charged: 1 };
        assert_eq!(families.savings(), [named("many", 5), named("few", 1)]);
        assert_eq!(families.all().unwrap().len(), 3);
    }

    #[test]
    fn over_the_limit_nothing_is_lost_but_the_name() {
        let families = Families::default();
        for n in 0..=limits::FAMILIES_MAX {
            families.asked(&family(&n.to_string()), false);
        }
        families.hit(&family(&limits::FAMILIES_MAX.to_string()));
        let savings = families.savings();
        assert_eq!(savings[0], Saving { family: None, hits: 1, proofs: 0, charged: 1 });
        assert_eq!(savings.iter().map(|saving| saving.charged).sum::<u64>(), 1 + limits::FAMILIES_MAX as u64);
        assert_eq!((families.len(), families.all()), (limits::FAMILIES_MAX, None));
    }

    /// `cargo nextest run -p node a_hit_costs --no-capture` prints the figure; about 0.1 µs.
    #[test]
    fn a_hit_costs_next_to_nothing() {
        let families = Families::default();
        let all: Vec<Family> = (0..limits::FAMILIES_MAX).map(|n| family(&n.to_string())).collect();
        all.iter().for_each(|family| families.note(family));
        let began = Instant::now();
        for _ in 0..100 {
            all.iter().for_each(|family| families.hit(family));
        }
        let each = began.elapsed() / (100 * limits::FAMILIES_MAX as u32);
        println!("{each:?} for a hit, of {} families", limits::FAMILIES_MAX);
        assert!(each < Duration::from_micros(20), "{each:?}");
    }
}
