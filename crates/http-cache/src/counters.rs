use std::sync::atomic::{AtomicU64, Ordering};

/// What was done, in requests.
#[derive(Debug, Default)]
pub struct Counters {
    pub(crate) hits: AtomicU64,
    pub(crate) stale: AtomicU64,
    pub(crate) validated: AtomicU64,
    pub(crate) misses: AtomicU64,
    pub(crate) passed: AtomicU64,
    pub(crate) joined: AtomicU64,
    pub(crate) failures: AtomicU64,
}

pub(crate) fn one(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

impl Counters {
    /// Each by its name.
    pub fn all(&self) -> [(&'static str, u64); 7] {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        [
            ("hits", read(&self.hits)),
            ("stale_hits", read(&self.stale)),
            ("validated", read(&self.validated)),
            ("misses", read(&self.misses)),
            ("passed", read(&self.passed)),
            ("joined", read(&self.joined)),
            ("origin_failures", read(&self.failures)),
        ]
    }
}
