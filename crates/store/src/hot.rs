use std::{
    fmt,
    hash::{BuildHasherDefault, Hasher},
    sync::Arc,
};

use quick_cache::{
    OptionsBuilder, Weighter,
    sync::{Cache, DefaultLifecycle},
};
use wire::ScopeId;

use crate::EntryKey;

/// The memory tier: answers that are ready to be sent, weighed in bytes.
///
/// Knows no time: whoever takes an answer out compares its clocks. Concurrent, and never blocks for
/// longer than one look-up.
pub struct Hot<T> {
    cache: Cache<EntryKey, Slot<T>, Bytes, BuildHasherDefault<KeyHasher>>,
}

/// What an entry costs beyond its value: key, slot and queues.
const ENTRY_BYTES: u64 = 128;

/// An entry larger than its shard is not kept, so a shard holds at least four of the largest.
const SHARD_BYTES_MIN: u64 = 4 * crate::limits::BODY_BYTES_MAX;
const SHARDS_MAX: u64 = 8;

impl<T> Hot<T> {
    /// Holds at most `bytes_max`, each entry counted with a small constant for its own cost.
    pub fn new(bytes_max: u64) -> Self {
        // Not the default of four per core: what is evicted would depend on the machine.
        let shards = (bytes_max / SHARD_BYTES_MIN).clamp(1, SHARDS_MAX);
        let options = OptionsBuilder::new()
            .shards(shards as usize)
            .estimated_items_capacity((bytes_max / 4096).clamp(16, 1 << 20) as usize)
            .weight_capacity(bytes_max)
            .build()
            .expect("both capacities are set");
        Self { cache: Cache::with_options(options, Bytes, BuildHasherDefault::default(), DefaultLifecycle::default()) }
    }

    pub fn get(&self, key: &EntryKey) -> Option<Arc<T>> {
        self.cache.get(key).map(|slot| slot.value)
    }

    /// Keeps `value`, which takes `bytes`, unless it is larger than fits.
    pub fn insert(&self, key: EntryKey, value: Arc<T>, bytes: u64) {
        self.cache.insert(key, Slot { value, bytes: bytes + ENTRY_BYTES });
    }

    pub fn remove(&self, key: &EntryKey) -> Option<Arc<T>> {
        self.cache.remove(key).map(|(_, slot)| slot.value)
    }

    pub fn retain(&self, keep: impl Fn(&EntryKey, &T) -> bool) {
        self.cache.retain(|key, slot| keep(key, &slot.value));
    }

    pub fn remove_scope(&self, scope: &ScopeId) {
        self.retain(|key, _| key.scope != *scope);
    }

    /// Removes what `is_of_family` says is of it; only the caller knows what its values are.
    pub fn remove_family(&self, is_of_family: impl Fn(&T) -> bool) {
        self.retain(|_, value| !is_of_family(value));
    }

    pub fn clear(&self) {
        self.cache.clear();
    }

    /// What is held, in the bytes that [`insert`](Self::insert) was told and the entries' own cost.
    pub fn bytes(&self) -> u64 {
        self.cache.weight()
    }

    pub fn len(&self) -> usize {
        self.cache.len()
    }

    pub fn is_empty(&self) -> bool {
        self.cache.is_empty()
    }
}

impl<T> fmt::Debug for Hot<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hot").field("entries", &self.len()).field("bytes", &self.bytes()).finish()
    }
}

struct Slot<T> {
    value: Arc<T>,
    bytes: u64,
}

impl<T> Clone for Slot<T> {
    fn clone(&self) -> Self {
        Self { value: Arc::clone(&self.value), bytes: self.bytes }
    }
}

#[derive(Clone)]
struct Bytes;

impl<T> Weighter<EntryKey, Slot<T>> for Bytes {
    fn weight(&self, _: &EntryKey, slot: &Slot<T>) -> u64 {
        slot.bytes
    }
}

/// Mixes a few words. Scopes and keys are keyed hashes already, so nobody outside can choose ones
/// that collide; and without a random seed, a run in the simulator repeats.
#[derive(Default)]
struct KeyHasher(u64);

impl Hasher for KeyHasher {
    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.write_u64(u64::from_le_bytes(word));
        }
    }

    fn write_u64(&mut self, word: u64) {
        self.0 = (self.0.rotate_left(5) ^ word).wrapping_mul(0x517c_c1b7_2722_0a95);
    }

    // The length of an array, the same for every key.
    fn write_usize(&mut self, _: usize) {}

    fn finish(&self) -> u64 {
        self.0 ^ (self.0 >> 32)
    }
}

#[cfg(test)]
mod tests {
    use wire::KeyId;

    use super::*;

    fn key(scope: u8, key: u32) -> EntryKey {
        let mut id = [0; 16];
        id[..4].copy_from_slice(&key.to_be_bytes());
        EntryKey { scope: ScopeId([scope; 16]), key: KeyId(id) }
    }

    #[test]
    fn what_is_put_comes_back_until_it_is_removed() {
        let hot = Hot::new(1 << 20);
        hot.insert(key(1, 1), Arc::new("a"), 100);
        hot.insert(key(2, 1), Arc::new("b"), 100);
        assert_eq!(hot.get(&key(1, 1)).as_deref(), Some(&"a"));
        assert_eq!(hot.bytes(), 2 * (100 + ENTRY_BYTES));
        hot.remove_scope(&ScopeId([1; 16]));
        assert_eq!((hot.get(&key(1, 1)), hot.len()), (None, 1));
        hot.remove_family(|value| *value == "b");
        assert!(hot.is_empty());
    }

    #[test]
    fn the_bytes_stay_within_the_limit() {
        let hot = Hot::new(1 << 20);
        for n in 0..10_000 {
            hot.insert(key(1, n), Arc::new(()), 1000);
            assert!(hot.bytes() <= 1 << 20);
        }
        assert!(hot.len() > 500, "{hot:?}");
        hot.insert(key(3, 0), Arc::new(()), 2 << 20);
        assert!(hot.bytes() <= 1 << 20 && hot.get(&key(3, 0)).is_none());
    }
}
