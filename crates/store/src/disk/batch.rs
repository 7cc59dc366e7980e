//! What was put since the last flush.

use std::collections::{BTreeMap, BTreeSet};

use wire::{Body, Digest, Grave, Millis};

use crate::{EntryKey, Space, StoredRecord, codec, limits};

/// What a removal costs in the count.
const CHANGE_BYTES: u64 = 96;

/// Changes by entry, the last one wins, with the bodies that came with them.
#[derive(Clone, Debug, Default)]
pub(super) struct Batch {
    pub(super) changes: BTreeMap<(Space, EntryKey), Change>,
    pub(super) bodies: BTreeMap<Digest, Body>,
    pub(super) meta: BTreeMap<String, Vec<u8>>,
    /// Bodies that were found damaged, and were not put again since.
    pub(super) lost: BTreeSet<Digest>,
    /// `None` forgets a tombstone.
    pub(super) graves: BTreeMap<Grave, Option<(u64, Millis)>>,
    bytes: u64,
}

#[derive(Clone, Debug)]
pub(super) struct Change {
    /// `None` removes the entry.
    pub(super) record: Option<StoredRecord>,
    bytes: u64,
    order: u64,
}

impl Batch {
    /// `order` grows with every change of the store, and says which of two is the older.
    pub(super) fn put(&mut self, at: (Space, EntryKey), record: StoredRecord, record_bytes: u64, order: u64) {
        self.change(at, Change { record: Some(record), bytes: CHANGE_BYTES + record_bytes, order });
    }

    pub(super) fn remove(&mut self, at: (Space, EntryKey), order: u64) {
        self.change(at, Change { record: None, bytes: CHANGE_BYTES, order });
    }

    /// The digest under which something else was found; a body that waits to be written is not doubted.
    pub(super) fn lose_body(&mut self, digest: Digest) {
        if !self.bodies.contains_key(&digest) && self.lost.len() < limits::PENDING_ENTRIES_MAX {
            self.lost.insert(digest);
        }
    }

    /// The body that waits, or `Some(None)` if it was found damaged.
    pub(super) fn body(&self, digest: &Digest) -> Option<Option<&Body>> {
        let waits = self.bodies.get(digest);
        if waits.is_none() && !self.lost.contains(digest) { None } else { Some(waits) }
    }

    pub(super) fn keep_body(&mut self, digest: Digest, body: Body) {
        self.lost.remove(&digest);
        self.bytes += codec::stored_body_bytes(&body);
        if let Some(old) = self.bodies.insert(digest, body) {
            self.bytes -= codec::stored_body_bytes(&old);
        }
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(super) fn is_empty(&self) -> bool {
        self.changes.is_empty() && self.meta.is_empty() && self.graves.is_empty() && self.lost.is_empty()
    }

    /// Lays `self`, which could not be committed, under what came since.
    pub(super) fn under(mut self, newer: Self) -> Self {
        for (at, change) in newer.changes {
            self.change(at, change);
        }
        for (digest, body) in newer.bodies {
            self.keep_body(digest, body);
        }
        newer.lost.into_iter().for_each(|digest| self.lose_body(digest));
        self.meta.extend(newer.meta);
        self.graves.extend(newer.graves);
        self
    }

    /// Gives up the oldest puts until what waits is within the limits for a failed device. Returns
    /// how many.
    ///
    /// Where a put is given up, `is_held` says whether an older record would come to light; then a
    /// removal takes its place, for that record may have been removed in between.
    pub(super) fn shrink(&mut self, is_held: impl Fn(Space, &EntryKey) -> bool) -> u64 {
        let (bytes_max, entries_max) = (limits::KEPT_AFTER_FAILURE_BYTES_MAX, limits::KEPT_AFTER_FAILURE_ENTRIES_MAX);
        let mut puts: Vec<_> =
            self.changes.iter().filter(|(_, c)| c.record.is_some()).map(|(at, c)| (c.order, *at)).collect();
        puts.sort_unstable();
        let mut puts = puts.into_iter();
        let mut named = self.named_digests();
        self.bodies.retain(|digest, body| {
            let keep = named.contains_key(digest);
            if !keep {
                self.bytes -= codec::stored_body_bytes(body);
            }
            keep
        });
        let mut dropped = 0;
        while self.bytes > bytes_max || puts.len() > entries_max {
            let Some((order, at)) = puts.next() else { break };
            let change = self.changes.remove(&at).expect("listed from the changes");
            self.bytes -= change.bytes;
            let digest = change.record.map(|r| r.record.version.digest).expect("listed as a put");
            let names = named.get_mut(&digest).expect("every put was counted");
            *names -= 1;
            // A later record without a body of its own may rely on this one.
            if *names == 0
                && let Some(body) = self.bodies.remove(&digest)
            {
                self.bytes -= codec::stored_body_bytes(&body);
            }
            if is_held(at.0, &at.1) {
                self.remove(at, order);
            }
            dropped += 1;
        }
        dropped
    }

    fn change(&mut self, at: (Space, EntryKey), change: Change) {
        self.bytes += change.bytes;
        if let Some(old) = self.changes.insert(at, change) {
            self.bytes -= old.bytes;
        }
    }

    /// How many puts name each digest.
    fn named_digests(&self) -> BTreeMap<Digest, usize> {
        let mut named = BTreeMap::new();
        for record in self.changes.values().filter_map(|c| c.record.as_ref()) {
            *named.entry(record.record.version.digest).or_default() += 1;
        }
        named
    }
}
