use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, MutexGuard, PoisonError},
};

use wire::{Body, Digest, FamilyId, Grave, Millis, ScopeId, Tombstone};

use crate::{
    EntryKey, FlushError, FlushReport, GetError, PutError, Space, Stats, Store, StoredRecord, codec,
    evict::{self, Reason},
    limits,
    store::{Graves, check_grave, checked_record_bytes, tombstones_of},
};

/// The reference: says what is right, and serves where nothing is to be kept.
pub struct MemoryStore {
    bytes_max: u64,
    local_key: [u8; 32],
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    records: BTreeMap<(Space, EntryKey), (StoredRecord, u64)>,
    bodies: BTreeMap<Digest, Body>,
    meta: BTreeMap<String, Vec<u8>>,
    graves: Graves,
    stats: Stats,
    /// Nothing changed since the last flush, and nothing goes before this moment.
    quiet_until: Option<Millis>,
}

impl MemoryStore {
    /// Holds at most `bytes_max` after a flush; `local_key` is what [`Store::local_key`] returns.
    pub fn new(bytes_max: u64, local_key: [u8; 32]) -> Self {
        Self { bytes_max, local_key, inner: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn remove_where(&self, space: Space, goes: impl Fn(&EntryKey, &StoredRecord) -> bool) -> usize {
        let mut inner = self.lock();
        let before = inner.records.len();
        inner.records.retain(|(s, key), (record, _)| *s != space || !goes(key, record));
        inner.quiet_until = None;
        before - inner.records.len()
    }
}

impl Store for MemoryStore {
    fn get(&self, space: Space, key: &EntryKey) -> Result<Option<StoredRecord>, GetError> {
        Ok(self.lock().records.get(&(space, *key)).map(|(record, _)| record.clone()))
    }

    fn body(&self, digest: &Digest) -> Result<Option<Body>, GetError> {
        Ok(self.lock().bodies.get(digest).cloned())
    }

    fn has_body(&self, digest: &Digest) -> Result<bool, GetError> {
        Ok(self.lock().bodies.contains_key(digest))
    }

    fn report_damage(&self, digest: &Digest) {
        let mut inner = self.lock();
        let damaged = inner.bodies.remove(digest).is_some();
        inner.stats.damaged += u64::from(damaged);
        inner.quiet_until = None;
    }

    fn put(&self, space: Space, key: EntryKey, record: StoredRecord, body: Option<Body>) -> Result<(), PutError> {
        let record_bytes = checked_record_bytes(space, &key, &record, body.as_ref())?.len() as u64;
        let mut inner = self.lock();
        let body_bytes = body.as_ref().map_or(0, codec::stored_body_bytes);
        let pending_bytes = inner.stats.pending_bytes;
        if pending_bytes + record_bytes + body_bytes > limits::PENDING_BYTES_MAX
            || inner.stats.pending >= limits::PENDING_ENTRIES_MAX as u64
        {
            return Err(PutError::Busy { pending_bytes });
        }
        let digest = record.record.version.digest;
        match body {
            Some(body) => drop(inner.bodies.insert(digest, body)),
            None if space == Space::Local && !inner.bodies.contains_key(&digest) => {
                return Err(PutError::NoBody { digest });
            }
            None => {}
        }
        inner.quiet_until = None;
        inner.stats.pending += 1;
        inner.stats.pending_bytes += record_bytes + body_bytes;
        inner.records.insert((space, key), (record, record_bytes));
        Ok(())
    }

    fn remove(&self, space: Space, key: &EntryKey) -> Result<(), PutError> {
        let mut inner = self.lock();
        inner.records.remove(&(space, *key));
        inner.quiet_until = None;
        Ok(())
    }

    fn remove_scope(&self, space: Space, scope: &ScopeId) -> Result<usize, PutError> {
        Ok(self.remove_where(space, |key, _| key.scope == *scope))
    }

    fn remove_family(&self, space: Space, family: &FamilyId) -> Result<usize, PutError> {
        Ok(self.remove_where(space, |_, record| record.record.family == *family))
    }

    fn newest(
        &self,
        space: Space,
        before: Option<(Millis, EntryKey)>,
        max: usize,
    ) -> Result<Vec<(EntryKey, StoredRecord)>, GetError> {
        let inner = self.lock();
        let mut all: Vec<_> = inner.records.iter().filter(|((s, _), _)| *s == space).collect();
        all.retain(|((_, key), (record, _))| before.is_none_or(|before| (record.record.validated_at, *key) < before));
        all.sort_by_key(|((_, key), (record, _))| std::cmp::Reverse((record.record.validated_at, *key)));
        Ok(all.into_iter().take(max).map(|((_, key), (record, _))| (*key, record.clone())).collect())
    }

    fn flush(&self, now: Millis) -> Result<FlushReport, FlushError> {
        Ok(self.lock().flush(now, self.bytes_max))
    }

    fn stats(&self) -> Stats {
        self.lock().stats.clone()
    }

    fn local_key(&self) -> [u8; 32] {
        self.local_key
    }

    fn meta(&self, name: &str) -> Result<Option<Vec<u8>>, GetError> {
        Ok(self.lock().meta.get(name).cloned())
    }

    fn set_meta(&self, name: &str, value: Vec<u8>) -> Result<(), PutError> {
        crate::store::check_meta(&value)?;
        self.lock().meta.insert(name.to_owned(), value);
        Ok(())
    }

    fn bury(&self, Tombstone { of, date_secs }: Tombstone, heard_at: Millis) -> Result<(), PutError> {
        let mut inner = self.lock();
        check_grave(&inner.graves, &of)?;
        inner.graves.insert(of, (date_secs, heard_at));
        Ok(())
    }

    fn unbury(&self, grave: &Grave) {
        self.lock().graves.remove(grave);
    }

    fn tombstones(&self) -> Vec<(Tombstone, Millis)> {
        tombstones_of(&self.lock().graves)
    }
}

impl Inner {
    fn flush(&mut self, now: Millis, bytes_max: u64) -> FlushReport {
        // Looking at everything takes its time, and in simulated days there are many such moments.
        if self.quiet_until.is_some_and(|at| now < at) {
            return FlushReport::default();
        }
        let mut report = FlushReport { committed: self.stats.pending as usize, ..FlushReport::default() };
        let mut refs: BTreeMap<Digest, usize> = BTreeMap::new();
        for (record, _) in self.records.values() {
            *refs.entry(record.record.version.digest).or_default() += 1;
        }
        self.bodies.retain(|digest, _| refs.contains_key(digest));
        let mut bytes = self.records.values().map(|(_, bytes)| bytes).sum::<u64>()
            + self.bodies.values().map(codec::stored_body_bytes).sum::<u64>();

        let mut next = Some(Millis(u64::MAX)).filter(|_| self.records.len() <= limits::REMOVALS_PER_FLUSH_MAX);
        let order: BTreeSet<_> = self.records.iter().map(|(at, (r, _))| (r.record.stale_until, *at)).collect();
        for (stale_until, at) in order.into_iter().take(limits::REMOVALS_PER_FLUSH_MAX) {
            match evict::reason(stale_until, now, bytes, bytes_max) {
                None => {
                    next = Some(stale_until);
                    break;
                }
                Some(Reason::Expired) => report.expired += 1,
                Some(Reason::OverSize) => report.evicted += 1,
            }
            let (record, record_bytes) = self.records.remove(&at).expect("the order was made from the records");
            bytes -= record_bytes;
            let digest = record.record.version.digest;
            let left = refs.get_mut(&digest).expect("every record was counted");
            *left -= 1;
            if *left == 0 {
                bytes -= self.bodies.remove(&digest).as_ref().map_or(0, codec::stored_body_bytes);
            }
        }
        self.quiet_until = next;
        self.stats.entries = self.records.len() as u64;
        self.stats.bytes = bytes;
        self.stats.expirations += report.expired as u64;
        self.stats.evictions += report.evicted as u64;
        (self.stats.pending, self.stats.pending_bytes) = (0, 0);
        report
    }
}
