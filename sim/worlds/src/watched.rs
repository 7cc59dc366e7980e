//! A store whose every promise is written down and checked.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use store::{
    EntryKey, FlushError, FlushReport, GetError, PutError, Space, Stats, Store, StoredRecord, sim_disk::SimDisk,
};
use wire::{Body, Digest, FamilyId, Grave, Millis, ScopeId, Tombstone};

use crate::stage::{Stage, lock};

type At = (Space, EntryKey);

/// What is put is committed within a window of half a second; ticks, and the turn of the task.
const COMMIT_LIMIT: Duration = Duration::from_millis(500 + 50);

/// What a store was given: survives the machine, unlike the store.
#[derive(Default)]
pub struct Memory {
    /// As of the last flush that succeeded; `None` is a removal.
    flushed: BTreeMap<At, Option<StoredRecord>>,
    /// What was put and removed since, in order.
    since: BTreeMap<At, Vec<Option<StoredRecord>>>,
    /// When the first of it came.
    waiting_since: Option<Duration>,
    /// When the machine last died.
    died: Option<Duration>,
    pub flushes: u64,
    pub reopenings: u64,
}

impl Memory {
    /// The machine dies now.
    pub fn died(&mut self) {
        // It may die again before its store was even opened.
        self.died.get_or_insert_with(det::elapsed);
    }

    fn changed(&mut self, at: At, to: Option<StoredRecord>) {
        self.waiting_since.get_or_insert_with(det::elapsed);
        self.since.entry(at).or_default().push(to);
    }

    fn current(&self, at: &At) -> Option<&StoredRecord> {
        let since = self.since.get(at).and_then(|since| since.last());
        since.or_else(|| self.flushed.get(at)).and_then(Option::as_ref)
    }

    fn removed(&mut self, goes: impl Fn(&At, &StoredRecord) -> bool) {
        let all: Vec<At> = self.flushed.keys().chain(self.since.keys()).copied().collect();
        for at in all {
            if self.current(&at).is_some_and(|record| goes(&at, record)) {
                self.changed(at, None);
            }
        }
    }

    fn flushed(&mut self) {
        self.flushes += 1;
        self.waiting_since = None;
        for (at, mut since) in std::mem::take(&mut self.since) {
            self.flushed.insert(at, since.pop().flatten());
        }
    }

    /// Compares what a store that was opened again holds with what it must hold. Either the last
    /// that was flushed, or something that was put since; or nothing, where its time was over.
    pub fn check(&mut self, store: &dyn Store, now: Millis) -> Result<(), String> {
        self.reopenings += 1;
        if let (Some(since), Some(died)) = (self.waiting_since.take(), self.died.take())
            && died > since + COMMIT_LIMIT
        {
            let waited = (died - since).as_millis();
            return Err(format!("what was put {waited} ms before the crash had not been committed"));
        }
        let all: Vec<At> = self.flushed.keys().chain(self.since.keys()).copied().collect();
        for at in all {
            let found = store.get(at.0, &at.1).map_err(|error| error.to_string())?;
            let flushed = self.flushed.get(&at).cloned().flatten();
            let may_be_gone = flushed.as_ref().is_none_or(|record| record.record.stale_until <= now);
            let since = self.since.get(&at).map_or(&[][..], |since| since);
            if found != flushed && !since.contains(&found) && !(found.is_none() && may_be_gone) {
                return Err(format!("{:?} {:?}: found {found:?} where {flushed:?} was committed", at.0, at.1));
            }
            if let Some(found) = &found {
                check_body(store, at.0, found)?;
            }
            self.flushed.insert(at, found);
        }
        self.since.clear();
        Ok(())
    }
}

fn check_body(store: &dyn Store, space: Space, found: &StoredRecord) -> Result<(), String> {
    let digest = found.record.version.digest;
    match store.body(&digest).map_err(|error| error.to_string())? {
        Some(body) if is_body(&body, digest) => Ok(()),
        Some(_) => Err(format!("the body of {digest} is another one")),
        // Announced, not pulled.
        None if space == Space::Fleet => Ok(()),
        None => Err(format!("the body of {digest} is gone, and a record names it")),
    }
}

fn is_body(body: &Body, digest: Digest) -> bool {
    // Not by `Body::verified`: a planted bug is in there.
    body.plain(wire::limits::BODY_BYTES_MAX).is_ok_and(|plain| Digest::of(&plain) == digest)
}

/// The store of a machine, under observation.
pub struct WatchedStore {
    pub inner: Arc<dyn Store>,
    pub disk: SimDisk,
    pub memory: Arc<Mutex<Memory>>,
    pub stage: Arc<Stage>,
    pub lane: usize,
}

impl WatchedStore {
    /// A disk that works gives no errors, and what is asked of the store here is within its limits.
    fn well<T, E: std::fmt::Display>(&self, result: Result<T, E>) -> Result<T, E> {
        result.inspect_err(|error| {
            if !self.disk.is_cut() {
                self.stage.violated(Some(self.lane), "lossless.store", format!("an error on a good disk: {error}"));
            }
        })
    }
}

impl Store for WatchedStore {
    fn get(&self, space: Space, key: &EntryKey) -> Result<Option<StoredRecord>, GetError> {
        self.well(self.inner.get(space, key))
    }

    fn body(&self, digest: &Digest) -> Result<Option<Body>, GetError> {
        let found = self.well(self.inner.body(digest))?;
        if found.as_ref().is_some_and(|body| !is_body(body, *digest)) {
            self.stage.violated(Some(self.lane), "lossless.body", format!("the store has another body for {digest}"));
        }
        Ok(found)
    }

    fn has_body(&self, digest: &Digest) -> Result<bool, GetError> {
        self.inner.has_body(digest)
    }

    fn report_damage(&self, digest: &Digest) {
        self.inner.report_damage(digest);
    }

    fn put(&self, space: Space, key: EntryKey, record: StoredRecord, body: Option<Body>) -> Result<(), PutError> {
        self.well(self.inner.put(space, key, record.clone(), body))?;
        lock(&self.memory).changed((space, key), Some(record));
        Ok(())
    }

    fn remove(&self, space: Space, key: &EntryKey) -> Result<(), PutError> {
        self.well(self.inner.remove(space, key))?;
        lock(&self.memory).changed((space, *key), None);
        Ok(())
    }

    fn remove_scope(&self, space: Space, scope: &ScopeId) -> Result<usize, PutError> {
        let removed = self.inner.remove_scope(space, scope)?;
        lock(&self.memory).removed(|at, _| at.0 == space && at.1.scope == *scope);
        Ok(removed)
    }

    fn remove_family(&self, space: Space, family: &FamilyId) -> Result<usize, PutError> {
        let removed = self.inner.remove_family(space, family)?;
        lock(&self.memory).removed(|at, record| at.0 == space && record.record.family == *family);
        Ok(removed)
    }

    fn newest(
        &self,
        space: Space,
        before: Option<(Millis, EntryKey)>,
        max: usize,
    ) -> Result<Vec<(EntryKey, StoredRecord)>, GetError> {
        self.inner.newest(space, before, max)
    }

    fn flush(&self, now: Millis) -> Result<FlushReport, FlushError> {
        let report = self.well(self.inner.flush(now)).inspect_err(|_| {
            // A disk that fails keeps its window when it works again.
            lock(&self.memory).waiting_since = None;
        })?;
        lock(&self.memory).flushed();
        Ok(report)
    }

    fn stats(&self) -> Stats {
        self.inner.stats()
    }

    fn local_key(&self) -> [u8; 32] {
        self.inner.local_key()
    }

    fn meta(&self, name: &str) -> Result<Option<Vec<u8>>, GetError> {
        self.inner.meta(name)
    }

    fn set_meta(&self, name: &str, value: Vec<u8>) -> Result<(), PutError> {
        self.inner.set_meta(name, value)
    }

    fn bury(&self, tombstone: Tombstone, heard_at: Millis) -> Result<(), PutError> {
        self.well(self.inner.bury(tombstone, heard_at))
    }

    fn unbury(&self, grave: &Grave) {
        self.inner.unbury(grave);
    }

    fn tombstones(&self) -> Vec<(Tombstone, Millis)> {
        self.inner.tombstones()
    }
}
