use std::{
    collections::BTreeMap,
    hash::RandomState,
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use http::HeaderMap;
use http_rules::Stored;
use quick_cache::{
    OptionsBuilder, Weighter,
    sync::{Cache, DefaultLifecycle},
};

use crate::limits;

/// A stored response and its body.
#[derive(Debug)]
pub(crate) struct Variant {
    pub(crate) stored: Stored,
    pub(crate) body: Bytes,
}

/// What is kept under one target, the newest first.
type Entry = Arc<Vec<Arc<Variant>>>;

/// Responses by target, within a limit in bytes; what is used seldom goes first.
pub(crate) struct Memory {
    cache: Cache<Arc<str>, Entry, Weight, RandomState>,
    entry_bytes_max: u64,
    /// Held while an entry is changed: it is read, copied and put back.
    changing: Mutex<()>,
    underway: Underway,
}

/// For each target that the origin is being asked for: how many ask, and how often it was invalidated meanwhile.
type Underway = Arc<Mutex<BTreeMap<String, (usize, u64)>>>;

/// Held from before a request goes out until its answer is kept, to know of the writes in between.
pub(crate) struct Ticket {
    underway: Underway,
    target: String,
    invalidations: u64,
}

impl Ticket {
    fn new(underway: &Underway, target: &str) -> Self {
        let mut asked = underway.lock().expect("no panic while held");
        let (users, invalidations) = asked.entry(target.to_owned()).or_default();
        *users += 1;
        Self { underway: underway.clone(), target: target.to_owned(), invalidations: *invalidations }
    }

    fn is_valid(&self) -> bool {
        let asked = self.underway.lock().expect("no panic while held");
        asked.get(&self.target).is_some_and(|(_, invalidations)| *invalidations == self.invalidations)
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut asked = self.underway.lock().expect("no panic while held");
        if let Some((users, _)) = asked.get_mut(&self.target) {
            *users -= 1;
            if *users == 0 {
                asked.remove(&self.target);
            }
        }
    }
}

impl Memory {
    pub(crate) fn new(bytes_max: u64) -> Self {
        let entry_bytes_max = limits::ENTRY_BYTES_MAX.min(bytes_max / limits::ENTRY_SHARE);
        // Not the default of four per core: what does not fit into its shard is not kept.
        let shards = (bytes_max / (4 * entry_bytes_max).max(1)).clamp(1, limits::SHARDS_MAX);
        let options = OptionsBuilder::new()
            .shards(shards as usize)
            .estimated_items_capacity((bytes_max / 4096).clamp(16, 1 << 20) as usize)
            .weight_capacity(bytes_max)
            .build()
            .expect("both capacities are set");
        Self {
            cache: Cache::with_options(options, Weight, RandomState::new(), DefaultLifecycle::default()),
            entry_bytes_max,
            changing: Mutex::default(),
            underway: Underway::default(),
        }
    }

    pub(crate) fn entry_bytes_max(&self) -> u64 {
        self.entry_bytes_max
    }

    /// What is held, in bytes.
    pub(crate) fn bytes(&self) -> u64 {
        self.cache.weight()
    }

    pub(crate) fn targets(&self) -> usize {
        self.cache.len()
    }

    /// Returns the newest response that `request` may be given, and whether there is any for the target.
    pub(crate) fn find(&self, target: &str, request: &HeaderMap) -> (Option<Arc<Variant>>, bool) {
        let Some(entry) = self.cache.get(target) else { return (None, false) };
        (entry.iter().find(|variant| variant.stored.matches(request)).cloned(), true)
    }

    pub(crate) fn ticket(&self, target: &str) -> Ticket {
        Ticket::new(&self.underway, target)
    }

    /// Keeps a response in place of those that `request` would have been given before.
    ///
    /// Nothing is kept if the target was invalidated since `ticket`: the response may be from before the write.
    pub(crate) fn put(&self, target: &str, request: &HeaderMap, ticket: &Ticket, variant: Variant) {
        self.change(target, |variants| {
            if !ticket.is_valid() {
                return;
            }
            variants.retain(|known| !known.stored.matches(request));
            variants.insert(0, Arc::new(variant));
            variants.truncate(limits::VARIANTS_MAX);
        });
    }

    /// Forgets one response.
    pub(crate) fn remove(&self, target: &str, variant: &Arc<Variant>) {
        self.change(target, |variants| variants.retain(|known| !Arc::ptr_eq(known, variant)));
    }

    /// Forgets all of a target, and keeps what was asked before from being kept.
    pub(crate) fn invalidate(&self, target: &str) {
        let _changing = self.changing.lock().expect("no panic while held");
        if let Some((_, invalidations)) = self.underway.lock().expect("no panic while held").get_mut(target) {
            *invalidations += 1;
        }
        self.cache.remove(target);
    }

    fn change(&self, target: &str, change: impl FnOnce(&mut Vec<Arc<Variant>>)) {
        let _changing = self.changing.lock().expect("no panic while held");
        let mut variants = self.cache.get(target).map(|entry| entry.to_vec()).unwrap_or_default();
        change(&mut variants);
        while Weight.weigh(target, &variants) > self.entry_bytes_max.max(1) * 2 && variants.len() > 1 {
            variants.pop();
        }
        if variants.is_empty() {
            self.cache.remove(target);
        } else {
            self.cache.insert(target.into(), Arc::new(variants));
        }
    }
}

#[derive(Clone)]
struct Weight;

impl Weight {
    /// Bodies and fields, with a constant for what they are kept in.
    fn weigh(&self, target: &str, variants: &[Arc<Variant>]) -> u64 {
        let fields = |headers: &HeaderMap| headers.iter().map(|(n, v)| n.as_str().len() + v.len() + 64).sum::<usize>();
        let all = variants.iter().map(|variant| variant.body.len() + fields(variant.stored.headers()) + 512);
        (target.len() + 256 + all.sum::<usize>()) as u64
    }
}

impl Weighter<Arc<str>, Entry> for Weight {
    fn weight(&self, target: &Arc<str>, entry: &Entry) -> u64 {
        self.weigh(target, entry)
    }
}
