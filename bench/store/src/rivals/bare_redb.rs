use std::path::Path;

use redb::{Database, ReadableDatabase, TableDefinition};

use super::Rival;
use crate::{Failure, entries::Entry};

const RECORDS: TableDefinition<[u8; 33], &[u8]> = TableDefinition::new("records");
const BODIES: TableDefinition<[u8; 32], &[u8]> = TableDefinition::new("bodies");
const REFS: TableDefinition<[u8; 32], u64> = TableDefinition::new("refs");
const FAMILIES: TableDefinition<[u8; 49], ()> = TableDefinition::new("families");
const EXPIRY: TableDefinition<[u8; 41], ()> = TableDefinition::new("expiry");
const NEWEST: TableDefinition<[u8; 41], ()> = TableDefinition::new("newest");

/// redb itself with the store's tables, its page cache and its window, and nothing else: no limits, no
/// counts, no look-up of what was there, records as bytes that it is handed.
pub(crate) struct BareRedb {
    database: Database,
    /// A commit of two phases with the allocator's state, as the store's own.
    is_quick: bool,
}

impl BareRedb {
    pub(crate) fn make(path: &Path) -> Result<Box<dyn Rival>, Failure> {
        Self::open(path, true)
    }

    /// As redb is by default: after a crash it walks through the whole file.
    pub(crate) fn make_default(path: &Path) -> Result<Box<dyn Rival>, Failure> {
        Self::open(path, false)
    }

    fn open(path: &Path, is_quick: bool) -> Result<Box<dyn Rival>, Failure> {
        let name = if is_quick { "bare.redb" } else { "default.redb" };
        let database = Database::builder().set_cache_size(store::limits::PAGE_CACHE_BYTES).create(path.join(name))?;
        Ok(Box::new(Self { database, is_quick }))
    }

    fn put(&self, entries: &[Entry]) -> Result<(), redb::Error> {
        let mut txn = self.database.begin_write()?;
        txn.set_quick_repair(self.is_quick);
        {
            let (mut records, mut bodies) = (txn.open_table(RECORDS)?, txn.open_table(BODIES)?);
            let (mut refs, mut families) = (txn.open_table(REFS)?, txn.open_table(FAMILIES)?);
            let (mut expiry, mut newest) = (txn.open_table(EXPIRY)?, txn.open_table(NEWEST)?);
            for Entry { key, stored, body, record_bytes } in entries {
                let (key, record) = (key.to_bytes(), &stored.record);
                records.insert(join([&[0], &key]), &record_bytes[..])?;
                bodies.insert(record.version.digest.0, &body.encoded[..])?;
                refs.insert(record.version.digest.0, 1)?;
                families.insert(join([&[0], &record.family.0[..], &key]), ())?;
                expiry.insert(join([&record.stale_until.0.to_be_bytes()[..], &[0], &key]), ())?;
                newest.insert(join([&[0], &record.validated_at.0.to_be_bytes()[..], &key]), ())?;
            }
        }
        txn.commit()?;
        Ok(())
    }

    fn read(&self, entry: &Entry) -> Result<Option<usize>, redb::Error> {
        let txn = self.database.begin_read()?;
        let records = txn.open_table(RECORDS)?;
        let Some(record) = records.get(join([&[0], &entry.key.to_bytes()]))? else { return Ok(None) };
        let record = record.value().to_vec();
        let bodies = txn.open_table(BODIES)?;
        let Some(body) = bodies.get(entry.stored.record.version.digest.0)? else { return Ok(None) };
        let body = body.value().to_vec();
        Ok(Some(record.len() + body.len()))
    }
}

impl Rival for BareRedb {
    fn put_all(&self, entries: &[Entry]) {
        self.put(entries).expect("the disk is written");
    }

    fn get(&self, entry: &Entry) -> usize {
        self.read(entry).expect("the disk is read").expect("it was put")
    }
}

fn join<const ROW: usize, const PARTS: usize>(parts: [&[u8]; PARTS]) -> [u8; ROW] {
    let mut row = [0; ROW];
    let mut start = 0;
    for part in parts {
        row[start..start + part.len()].copy_from_slice(part);
        start += part.len();
    }
    row
}
