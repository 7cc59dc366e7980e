//! The tables that a look-up needs, kept open from one commit to the next.

use std::sync::{
    Mutex, PoisonError, TryLockError,
    atomic::{AtomicUsize, Ordering},
};

use redb::{Database, ReadOnlyTable, ReadTransaction, ReadableDatabase};
use wire::{Body, Digest};

use super::tables::{BODIES, Found, RECORDS, record_row};
use crate::{EntryKey, Space, codec};

/// Threads that look up at the same time without opening the tables anew.
const READERS_MAX: usize = 16;

/// Records and bodies at one moment of the database.
///
/// Opening them takes as long as asking them: a transaction is entered in redb's list, and each table
/// is looked up in the table of tables, whose pages all threads count and lock.
pub(super) struct Reader {
    records: ReadOnlyTable<[u8; 33], &'static [u8]>,
    bodies: ReadOnlyTable<[u8; 32], &'static [u8]>,
}

impl Reader {
    pub(super) fn of(txn: &ReadTransaction) -> Result<Self, redb::Error> {
        Ok(Self { records: txn.open_table(RECORDS)?, bodies: txn.open_table(BODIES)? })
    }

    pub(super) fn record(&self, space: Space, key: &EntryKey) -> Result<Found, redb::Error> {
        let Some(bytes) = self.records.get(record_row(space, key))? else { return Ok(Found::Absent) };
        Ok(codec::decode_record(space, key, bytes.value()).map_or(Found::Damaged, Found::Record))
    }

    /// The record, and its body if that is held.
    pub(super) fn entry(&self, space: Space, key: &EntryKey) -> Result<(Found, Option<Body>), redb::Error> {
        let found = self.record(space, key)?;
        let body = match &found {
            Found::Record(record) => self.body(&record.record.version.digest)?,
            Found::Damaged | Found::Absent => None,
        };
        Ok((found, body))
    }

    pub(super) fn has_record(&self, space: Space, key: &EntryKey) -> Result<bool, redb::Error> {
        Ok(self.records.get(record_row(space, key))?.is_some())
    }

    pub(super) fn body(&self, digest: &Digest) -> Result<Option<Body>, redb::Error> {
        Ok(self.bodies.get(digest.0)?.and_then(|bytes| codec::decode_body(bytes.value())))
    }

    pub(super) fn has_body(&self, digest: &Digest) -> Result<bool, redb::Error> {
        Ok(self.bodies.get(digest.0)?.is_some())
    }
}

/// A reader for each of some threads, all of the same moment.
///
/// A reader holds on to the pages of its moment, so [`renew`](Self::renew) follows each commit at once.
#[derive(Default)]
pub(super) struct Readers {
    places: [Place; READERS_MAX],
}

/// Of a cache line of its own, so that threads do not take it from one another.
#[derive(Default)]
#[repr(align(128))]
struct Place(Mutex<Option<Reader>>);

impl Readers {
    /// Asks a reader of the last commit. Waits for nobody.
    pub(super) fn with<T>(
        &self,
        database: &Database,
        ask: impl FnOnce(&Reader) -> Result<T, redb::Error>,
    ) -> Result<T, redb::Error> {
        let own = own_place();
        for n in 0..READERS_MAX {
            let mut place = match self.places[(own + n) % READERS_MAX].0.try_lock() {
                Ok(place) => place,
                // A look-up that panicked: redb stumbled over damage, and the database is opened again.
                Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
                Err(TryLockError::WouldBlock) => continue,
            };
            let reader = match place.take() {
                Some(reader) => reader,
                None => Reader::of(&database.begin_read()?)?,
            };
            return ask(place.insert(reader));
        }
        ask(&Reader::of(&database.begin_read()?)?)
    }

    /// Lets go of the moment that the readers are of: the next look-up is of the last commit.
    pub(super) fn renew(&self) {
        for place in &self.places {
            *place.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
        }
    }
}

/// Where this thread looks first.
fn own_place() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static OWN: usize = NEXT.fetch_add(1, Ordering::Relaxed);
    }
    OWN.with(|own| *own)
}
