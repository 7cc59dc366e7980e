//! The store's answers: what waits in memory first, then the database.

use std::{collections::BTreeMap, sync::atomic::Ordering};

use wire::{Body, Digest, FamilyId, Grave, Millis, ScopeId, Tombstone};

use super::{
    DiskStore, State,
    tables::{Found, Snapshot, caller_meta},
};
use crate::{
    EntryKey, FlushError, FlushReport, GetError, PutError, Space, Stats, Store, StoredRecord, codec, limits,
    store::{check_grave, check_meta, checked_record_bytes, tombstones_of},
};

impl Store for DiskStore {
    fn get(&self, space: Space, key: &EntryKey) -> Result<Option<StoredRecord>, GetError> {
        if let Some(change) = self.state().change(space, key) {
            return Ok(change.cloned());
        }
        let found = self.look(|reader| reader.record(space, key))?;
        Ok(self.whole(found))
    }

    fn load(&self, space: Space, key: &EntryKey) -> Result<Option<(StoredRecord, Body)>, GetError> {
        let waiting = self.state().change(space, key).map(Option::<&StoredRecord>::cloned);
        let (record, body) = match waiting {
            Some(waiting) => (waiting, None),
            None => {
                let (found, body) = self.look(|reader| reader.entry(space, key))?;
                (self.whole(found), body)
            }
        };
        let Some(record) = record else { return Ok(None) };
        let digest = record.record.version.digest;
        // What waits is younger than what is on the disk.
        let waiting = self.state().body(&digest).map(Option::<&Body>::cloned);
        let body = match (waiting, body) {
            (Some(waiting), _) => waiting,
            (None, Some(body)) => Some(body),
            (None, None) => self.body(&digest)?,
        };
        Ok(body.map(|body| (record, body)))
    }

    fn body(&self, digest: &Digest) -> Result<Option<Body>, GetError> {
        if let Some(body) = self.state().body(digest) {
            return Ok(body.cloned());
        }
        self.look(|reader| reader.body(digest))
    }

    fn has_body(&self, digest: &Digest) -> Result<bool, GetError> {
        if let Some(body) = self.state().body(digest) {
            return Ok(body.is_some());
        }
        self.look(|reader| reader.has_body(digest))
    }

    fn report_damage(&self, digest: &Digest) {
        let mut state = self.state();
        state.pending.lose_body(*digest);
        state.stats.damaged += 1;
    }

    fn put(&self, space: Space, key: EntryKey, record: StoredRecord, body: Option<Body>) -> Result<(), PutError> {
        let record_bytes = checked_record_bytes(space, &key, &record, body.as_ref())?.len() as u64;
        let digest = record.record.version.digest;
        if body.is_none() && space == Space::Local && !self.has_body(&digest).map_err(PutError::Lookup)? {
            return Err(PutError::NoBody { digest });
        }
        let body_bytes = body.as_ref().map_or(0, codec::stored_body_bytes);
        let mut state = self.state();
        let pending_bytes = state.pending.bytes();
        if pending_bytes + record_bytes + body_bytes > limits::PENDING_BYTES_MAX
            || state.pending.changes.len() >= limits::PENDING_ENTRIES_MAX
        {
            return Err(PutError::Busy { pending_bytes });
        }
        let order = state.next_order();
        state.pending.put((space, key), record, record_bytes, order);
        if let Some(body) = body {
            state.pending.keep_body(digest, body);
        }
        Ok(())
    }

    fn remove(&self, space: Space, key: &EntryKey) -> Result<(), PutError> {
        let mut state = self.state();
        // Unknown keys leave nothing behind, so that what waits is bounded by what is held. When that
        // cannot be looked up, better one too many.
        if state.change(space, key).is_some() || self.look(|reader| reader.has_record(space, key)).unwrap_or(true) {
            let order = state.next_order();
            state.pending.remove((space, *key), order);
        }
        Ok(())
    }

    fn remove_scope(&self, space: Space, scope: &ScopeId) -> Result<usize, PutError> {
        self.remove_all(space, |snapshot| snapshot.keys_of_scope(space, scope), |key, _| key.scope == *scope)
    }

    fn remove_family(&self, space: Space, family: &FamilyId) -> Result<usize, PutError> {
        self.remove_all(
            space,
            |snapshot| snapshot.keys_of_family(space, family),
            |_, record| record.record.family == *family,
        )
    }

    fn newest(
        &self,
        space: Space,
        before: Option<(Millis, EntryKey)>,
        max: usize,
    ) -> Result<Vec<(EntryKey, StoredRecord)>, GetError> {
        let waiting: BTreeMap<EntryKey, Option<StoredRecord>> =
            self.state().changes(space).map(|(key, record)| (key, record.cloned())).collect();
        let mut all = self.read(|snapshot| snapshot.newest(space, before, max, |key| waiting.contains_key(key)))?;
        let waiting = waiting.into_iter().filter_map(|(key, record)| Some((key, record?)));
        all.extend(waiting.filter(|(key, r)| before.is_none_or(|before| (r.record.validated_at, *key) < before)));
        all.sort_by_key(|(key, record)| std::cmp::Reverse((record.record.validated_at, *key)));
        all.truncate(max);
        Ok(all)
    }

    fn flush(&self, now: Millis) -> Result<FlushReport, FlushError> {
        self.flush_pending(now)
    }

    fn stats(&self) -> Stats {
        let state = self.state();
        let committing = state.committing.as_ref();
        Stats {
            pending: (state.pending.changes.len() + committing.map_or(0, |batch| batch.changes.len())) as u64,
            pending_bytes: state.pending.bytes() + committing.map_or(0, |batch| batch.bytes()),
            ..state.stats.clone()
        }
    }

    fn local_key(&self) -> [u8; 32] {
        self.local_key
    }

    fn meta(&self, name: &str) -> Result<Option<Vec<u8>>, GetError> {
        {
            let state = self.state();
            let mut batches = std::iter::once(&state.pending).chain(state.committing.as_deref());
            if let Some(value) = batches.find_map(|batch| batch.meta.get(name)) {
                return Ok(Some(value.clone()));
            }
        }
        self.read(|snapshot| snapshot.meta(&caller_meta(name)))
    }

    fn set_meta(&self, name: &str, value: Vec<u8>) -> Result<(), PutError> {
        check_meta(&value)?;
        self.state().pending.meta.insert(name.to_owned(), value);
        Ok(())
    }

    fn bury(&self, Tombstone { of, date_secs }: Tombstone, heard_at: Millis) -> Result<(), PutError> {
        let mut state = self.state();
        check_grave(&state.graves, &of)?;
        state.graves.insert(of, (date_secs, heard_at));
        state.pending.graves.insert(of, Some((date_secs, heard_at)));
        Ok(())
    }

    fn unbury(&self, grave: &Grave) {
        let mut state = self.state();
        if state.graves.remove(grave).is_some() {
            state.pending.graves.insert(*grave, None);
        }
    }

    fn tombstones(&self) -> Vec<(Tombstone, Millis)> {
        tombstones_of(&self.state().graves)
    }
}

impl DiskStore {
    fn whole(&self, found: Found) -> Option<StoredRecord> {
        match found {
            Found::Record(record) => Some(record),
            Found::Absent => None,
            Found::Damaged => {
                self.is_damaged.store(true, Ordering::Release);
                None
            }
        }
    }

    /// Removes what is `listed` in the database and what `goes` of what waits.
    ///
    /// Holds the state throughout: a put that comes later is not of those to remove.
    fn remove_all(
        &self,
        space: Space,
        listed: impl FnOnce(&Snapshot) -> Result<Vec<EntryKey>, redb::Error>,
        goes: impl Fn(&EntryKey, &StoredRecord) -> bool,
    ) -> Result<usize, PutError> {
        let mut state = self.state();
        // When the database cannot be asked, what waits goes all the same, and the caller is told.
        let listed = self.read(listed).map_err(PutError::Lookup);
        let waiting = state.changes(space).filter(|(key, record)| record.is_some_and(|r| goes(key, r)));
        let mut keys: Vec<_> = waiting.map(|(key, _)| key).collect();
        for key in listed.as_ref().map_or(&[][..], |listed| listed) {
            if state.change(space, key).is_none() {
                keys.push(*key);
            }
        }
        for key in &keys {
            let order = state.next_order();
            state.pending.remove((space, *key), order);
        }
        listed.map(|_| keys.len())
    }
}

impl State {
    /// What waits for this entry: `Some(None)` is a removal.
    fn change(&self, space: Space, key: &EntryKey) -> Option<Option<&StoredRecord>> {
        let batches = std::iter::once(&self.pending).chain(self.committing.as_deref());
        let mut changes = batches.filter_map(|batch| batch.changes.get(&(space, *key)));
        changes.next().map(|change| change.record.as_ref())
    }

    /// Every entry that waits, each once, with its last change.
    fn changes(&self, space: Space) -> impl Iterator<Item = (EntryKey, Option<&StoredRecord>)> {
        let pending = self.pending.changes.keys();
        let committing = self.committing.iter().flat_map(|batch| batch.changes.keys());
        let committing = committing.filter(|at| !self.pending.changes.contains_key(at));
        let keys = pending.chain(committing).filter(move |(s, _)| *s == space);
        keys.map(move |(_, key)| (*key, self.change(space, key).flatten()))
    }

    /// The body that waits: `Some(None)` was found damaged.
    fn body(&self, digest: &Digest) -> Option<Option<&Body>> {
        let mut batches = std::iter::once(&self.pending).chain(self.committing.as_deref());
        batches.find_map(|batch| batch.body(digest))
    }

    fn next_order(&mut self) -> u64 {
        self.order += 1;
        self.order
    }
}
