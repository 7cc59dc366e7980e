use std::{path::Path, sync::Arc};

use quick_cache::{Weighter, sync::Cache};
use store::{EntryKey, Hot};
use wire::Body;

use super::Rival;
use crate::{Failure, entries::Entry};

/// More than all entries of a run, so that nothing is evicted.
const BYTES_MAX: u64 = 1 << 30;

/// The memory tier.
pub(crate) struct OurMemory(Hot<Body>);

/// quick_cache by itself, with its own hasher and shards, weighed in bytes.
pub(crate) struct BareMemory(Cache<EntryKey, Arc<Body>, Bytes>);

#[derive(Clone)]
struct Bytes;

impl Weighter<EntryKey, Arc<Body>> for Bytes {
    fn weight(&self, _: &EntryKey, body: &Arc<Body>) -> u64 {
        body.encoded.len() as u64
    }
}

impl OurMemory {
    pub(crate) fn make(_: &Path) -> Result<Box<dyn Rival>, Failure> {
        Ok(Box::new(Self(Hot::new(BYTES_MAX))))
    }
}

impl BareMemory {
    pub(crate) fn make(_: &Path) -> Result<Box<dyn Rival>, Failure> {
        Ok(Box::new(Self(Cache::with_weighter(1 << 18, BYTES_MAX, Bytes))))
    }
}

impl Rival for OurMemory {
    fn put_all(&self, entries: &[Entry]) {
        for entry in entries {
            self.0.insert(entry.key, Arc::new(entry.body.clone()), entry.body.encoded.len() as u64);
        }
    }

    fn get(&self, entry: &Entry) -> usize {
        self.0.get(&entry.key).expect("it was put").encoded.len()
    }
}

impl Rival for BareMemory {
    fn put_all(&self, entries: &[Entry]) {
        for entry in entries {
            self.0.insert(entry.key, Arc::new(entry.body.clone()));
        }
    }

    fn get(&self, entry: &Entry) -> usize {
        self.0.get(&entry.key).expect("it was put").encoded.len()
    }
}
