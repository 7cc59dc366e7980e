use serde::{Deserialize, Serialize};
use wire::{Body, Digest, FamilyId, Grave, KeyId, Millis, Record, ScopeId, Tag, Tombstone};

use crate::{FlushError, GetError, PutError, SetAside, codec, limits};

/// Whose word a record is. The two are never mixed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Space {
    /// What clients of this machine were told.
    Local,
    /// What the fleet told us.
    Fleet,
}

/// What names an entry within a space. Ordered by scope first, so that a scope is a range.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct EntryKey {
    pub scope: ScopeId,
    pub key: KeyId,
}

impl EntryKey {
    /// The scope's 16 bytes, then the key's; compares as the key itself does.
    pub fn to_bytes(self) -> [u8; 32] {
        let mut bytes = [0; 32];
        bytes[..16].copy_from_slice(&self.scope.0);
        bytes[16..].copy_from_slice(&self.key.0);
        bytes
    }

    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        let (mut scope, mut key) = ([0; 16], [0; 16]);
        scope.copy_from_slice(&bytes[..16]);
        key.copy_from_slice(&bytes[16..]);
        Self { scope: ScopeId(scope), key: KeyId(key) }
    }
}

/// Who filled an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Source {
    Origin,
    Peer,
}

/// A record and what only this machine needs to know of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredRecord {
    pub record: Record,
    /// The origin's ETag as it came, for the next conditional request.
    pub etag: Option<String>,
    pub source: Source,
    pub tag: Option<Tag>,
}

/// Records by (space, key) and bodies by digest. `Arc<dyn Store>` is shared by the whole node.
///
/// Calls may block on the disk; call them where blocking is allowed.
pub trait Store: Send + Sync + 'static {
    /// Returns the record, whatever its clocks say: the caller compares them with the time.
    ///
    /// A record that cannot be decoded counts as absent, and is removed by the next flush.
    fn get(&self, space: Space, key: &EntryKey) -> Result<Option<StoredRecord>, GetError>;

    /// Returns the body as it was put. Not verified: the caller compares its digest.
    fn body(&self, digest: &Digest) -> Result<Option<Body>, GetError>;

    fn has_body(&self, digest: &Digest) -> Result<bool, GetError>;

    /// Returns the record and its body, if both are held. As [`get`](Self::get) and
    /// [`body`](Self::body), in one look where the store can.
    fn load(&self, space: Space, key: &EntryKey) -> Result<Option<(StoredRecord, Body)>, GetError> {
        let Some(record) = self.get(space, key)? else { return Ok(None) };
        Ok(self.body(&record.record.version.digest)?.map(|body| (record, body)))
    }

    /// Takes the caller's word that the body which is held under `digest` is another one: it counts as
    /// damaged, is absent from now on, and goes with the next flush, unless it is put again before.
    fn report_damage(&self, digest: &Digest);

    /// Keeps `record` in place of what was there. Visible at once, durable after the next flush.
    ///
    /// Without a body the body must already be held, as after a 304 that only moves the clocks. In
    /// [`Space::Fleet`] it need not be: announced, not pulled.
    ///
    /// # Errors
    /// The answer to the client depends on none of them. [`PutError::Busy`]: serve it, do not keep it.
    fn put(&self, space: Space, key: EntryKey, record: StoredRecord, body: Option<Body>) -> Result<(), PutError>;

    /// Removing what is absent is no error. Never [`PutError::Busy`], because an invalidation must
    /// not be lost; what waits is bounded by what the store holds.
    fn remove(&self, space: Space, key: &EntryKey) -> Result<(), PutError>;

    /// Returns how many entries went.
    fn remove_scope(&self, space: Space, scope: &ScopeId) -> Result<usize, PutError>;

    /// Returns how many entries went.
    fn remove_family(&self, space: Space, family: &FamilyId) -> Result<usize, PutError>;

    /// The newest by `validated_at` and key, newest first, at most `max`; of those that come after `before`,
    /// which may be the last of an earlier call.
    fn newest(
        &self,
        space: Space,
        before: Option<(Millis, EntryKey)>,
        max: usize,
    ) -> Result<Vec<(EntryKey, StoredRecord)>, GetError>;

    /// Makes durable what was put, and removes what expired (`stale_until` ≤ `now`) and what is over
    /// the size limit, at most [`crate::limits::REMOVALS_PER_FLUSH_MAX`] entries.
    ///
    /// Blocks on the disk. Does nothing, and costs no write, when there is nothing to do.
    ///
    /// # Errors
    /// What was put stays visible and waits for the next flush, within
    /// [`crate::limits::KEPT_AFTER_FAILURE_BYTES_MAX`]; the oldest beyond it is dropped.
    fn flush(&self, now: Millis) -> Result<FlushReport, FlushError>;

    fn stats(&self) -> Stats;

    /// 32 secret bytes of this store, drawn when it was created: they key what never leaves the
    /// machine.
    fn local_key(&self) -> [u8; 32];

    /// A small named value, such as the identity key.
    fn meta(&self, name: &str) -> Result<Option<Vec<u8>>, GetError>;

    /// Visible at once, durable after the next flush.
    fn set_meta(&self, name: &str, value: Vec<u8>) -> Result<(), PutError>;

    /// Remembers a tombstone in place of what was known of that grave, and when it was heard. Visible at
    /// once, durable after the next flush. The store itself covers nothing with it.
    ///
    /// # Errors
    /// [`PutError::TooManyGraves`] over [`limits::GRAVES_MAX`]: forget others first.
    fn bury(&self, tombstone: Tombstone, heard_at: Millis) -> Result<(), PutError>;

    /// Forgets a tombstone. Forgetting an unknown one is no error.
    fn unbury(&self, grave: &Grave);

    /// All tombstones, each with when it was heard, in the order of their graves.
    fn tombstones(&self) -> Vec<(Tombstone, Millis)>;
}

/// What one flush did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FlushReport {
    /// Changes that became durable.
    pub committed: usize,
    /// Entries removed because their time was over.
    pub expired: usize,
    /// Entries removed because the store was over its size.
    pub evicted: usize,
    /// Entries removed because they could not be decoded.
    pub damaged: usize,
}

/// Counters for the operator. Sizes are as of the last flush.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    pub entries: u64,
    /// Records and bodies as they are encoded, in bytes; not the length of the file.
    pub bytes: u64,
    pub evictions: u64,
    pub expirations: u64,
    /// Records and bodies that were not as they had been put, and were dropped.
    pub damaged: u64,
    /// The last database that was damaged as a whole, in this run.
    pub set_aside: Option<SetAside>,
    /// Changes that wait for the next flush, and their bytes.
    pub pending: u64,
    pub pending_bytes: u64,
    /// Changes that were given up because the disk failed.
    pub dropped: u64,
    /// Why nothing becomes durable at present.
    pub degraded: Option<String>,
}

/// Encodes the record, refusing what is over the limits of one entry.
pub(crate) fn checked_record_bytes(
    space: Space,
    key: &EntryKey,
    record: &StoredRecord,
    body: Option<&Body>,
) -> Result<Vec<u8>, PutError> {
    let body_bytes = record.record.body_bytes.max(body.map_or(0, |b| b.encoded.len() as u64));
    if body_bytes > limits::BODY_BYTES_MAX {
        return Err(PutError::TooLarge { entry_bytes: body_bytes, entry_bytes_max: limits::BODY_BYTES_MAX });
    }
    let encoded = codec::encode_record(space, key, record).map_err(PutError::Encode)?;
    if encoded.len() as u64 > limits::RECORD_BYTES_MAX {
        let entry_bytes = encoded.len() as u64;
        return Err(PutError::TooLarge { entry_bytes, entry_bytes_max: limits::RECORD_BYTES_MAX });
    }
    Ok(encoded)
}

/// The tombstones of a store, which are few and therefore in memory: date in seconds, and when heard.
pub(crate) type Graves = std::collections::BTreeMap<Grave, (u64, Millis)>;

pub(crate) fn check_grave(graves: &Graves, grave: &Grave) -> Result<(), PutError> {
    let has_room = graves.len() < limits::GRAVES_MAX || graves.contains_key(grave);
    if has_room { Ok(()) } else { Err(PutError::TooManyGraves { graves_max: limits::GRAVES_MAX }) }
}

pub(crate) fn tombstones_of(graves: &Graves) -> Vec<(Tombstone, Millis)> {
    let tombstone = |(of, (date_secs, heard_at)): (&Grave, &(u64, Millis))| {
        (Tombstone { of: *of, date_secs: *date_secs }, *heard_at)
    };
    graves.iter().map(tombstone).collect()
}

pub(crate) fn check_meta(value: &[u8]) -> Result<(), PutError> {
    if value.len() > limits::META_BYTES_MAX {
        return Err(PutError::TooLarge {
            entry_bytes: value.len() as u64,
            entry_bytes_max: limits::META_BYTES_MAX as u64,
        });
    }
    Ok(())
}
