use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use redb::{Database, DatabaseError, StorageError};

use super::{
    Device,
    commit::{Totals, Writer},
    guarded,
    readers::Readers,
    shield::Shield,
    tables::{META_BYTES, META_ENTRIES, META_LOCAL_KEY, META_SCHEMA, SCHEMA, Snapshot},
};
use crate::{OpenError, store::Graves};

/// One opening of the database.
pub(super) struct Handle {
    /// Before the database, which they read: they go first.
    pub(super) readers: Readers,
    pub(super) database: Database,
    pub(super) shield: Shield,
}

impl Handle {
    /// Returns whether it had to be repaired, too.
    pub(super) fn open(device: &Arc<dyn Device>, page_cache_bytes: usize) -> Result<(Self, bool), OpenError> {
        clear_unfinished(&**device).map_err(OpenError::Device)?;
        let shield = Shield::new(Arc::clone(device));
        let is_repaired = Arc::new(AtomicBool::new(false));
        let database = guarded(|| {
            let is_repaired = Arc::clone(&is_repaired);
            Database::builder()
                .set_cache_size(page_cache_bytes)
                .set_repair_callback(move |_| is_repaired.store(true, Ordering::Relaxed))
                .create_with_backend(shield.clone())
        });
        let database = database.map_err(|why| OpenError::Corrupt { why })?.map_err(classify)?;
        Ok((Self { readers: Readers::default(), database, shield }, is_repaired.load(Ordering::Relaxed)))
    }

    /// Reads all of the database, and compares every page with its checksum.
    ///
    /// # Errors
    /// [`OpenError::Corrupt`] if a page is not as it was written.
    pub(super) fn checked(mut self) -> Result<Self, OpenError> {
        let checked = guarded(|| self.database.check_integrity()).map_err(|why| OpenError::Corrupt { why })?;
        checked.map_err(classify)?;
        Ok(self)
    }

    /// Returns the local key, the sizes and the tombstones, or `None` from a new database.
    pub(super) fn found(&self) -> Result<Option<([u8; 32], Totals, Graves)>, OpenError> {
        let corrupt = |cause: redb::Error| OpenError::Corrupt { why: cause.to_string() };
        let snapshot = Snapshot::of(&self.database).map_err(corrupt)?;
        let schema = match snapshot.meta(META_SCHEMA) {
            Ok(schema) => schema,
            Err(redb::Error::TableDoesNotExist(_)) => return Ok(None),
            Err(cause) => return Err(corrupt(cause)),
        };
        let schema = schema.and_then(|bytes| bytes.try_into().ok()).map(u32::from_be_bytes);
        match schema {
            Some(SCHEMA) => {}
            Some(found) => return Err(OpenError::Schema { found, known: SCHEMA }),
            None => return Err(OpenError::Corrupt { why: "no schema is named".into() }),
        }
        let local_key = snapshot.meta(META_LOCAL_KEY).map_err(corrupt)?.and_then(|bytes| bytes.try_into().ok());
        let local_key = local_key.ok_or_else(|| OpenError::Corrupt { why: "the local key is missing".into() })?;
        let totals = Totals {
            entries: snapshot.count(META_ENTRIES).map_err(corrupt)?,
            bytes: snapshot.count(META_BYTES).map_err(corrupt)?,
        };
        Ok(Some((local_key, totals, snapshot.graves().map_err(corrupt)?)))
    }

    pub(super) fn create(&self, local_key: &[u8; 32]) -> Result<(), redb::Error> {
        self.write(|mut writer| {
            writer.set_meta(META_SCHEMA, &SCHEMA.to_be_bytes())?;
            writer.set_meta(META_LOCAL_KEY, local_key)
        })
    }

    pub(super) fn write<T>(&self, change: impl FnOnce(Writer<'_>) -> Result<T, redb::Error>) -> Result<T, redb::Error> {
        let mut txn = self.database.begin_write()?;
        // A second fsync for each commit, and no walk through the whole file after a crash.
        txn.set_quick_repair(true);
        let done = change(Writer::open(&txn)?)?;
        txn.commit()?;
        self.readers.renew();
        Ok(done)
    }
}

/// Empties a device on which the creation of a database was cut short.
///
/// redb writes its magic number last, and takes a file without it for something foreign. Zeros in
/// its place mean that nothing was ever committed.
fn clear_unfinished(device: &dyn Device) -> io::Result<()> {
    const MAGIC_BYTES: usize = 9;
    let mut magic = [0; MAGIC_BYTES];
    if device.len()? < MAGIC_BYTES as u64 {
        return Ok(());
    }
    device.read(0, &mut magic)?;
    if magic == [0; MAGIC_BYTES] { device.set_len(0) } else { Ok(()) }
}

fn classify(error: DatabaseError) -> OpenError {
    match error {
        DatabaseError::Storage(StorageError::Corrupted(why)) => OpenError::Corrupt { why },
        DatabaseError::UpgradeRequired(version) => {
            OpenError::Corrupt { why: format!("file format {version} is not read any more") }
        }
        DatabaseError::Storage(StorageError::Io(cause))
            if matches!(cause.kind(), io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof) =>
        {
            OpenError::Corrupt { why: cause.to_string() }
        }
        DatabaseError::Storage(StorageError::Io(cause)) => OpenError::Device(cause),
        other => OpenError::Database(Box::new(other.into())),
    }
}
