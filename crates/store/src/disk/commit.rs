//! One flush as one transaction: changes, reference counts, indexes, expiry and eviction together.

use std::collections::BTreeSet;

use redb::{ReadableTable, Table, WriteTransaction};
use wire::{Digest, Millis};

use super::{batch::Batch, tables::*};
use crate::{
    EntryKey, FlushReport, Space, StoredRecord, codec,
    evict::{self, Reason},
    limits,
};

/// The sizes after a commit.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Totals {
    pub(super) entries: u64,
    pub(super) bytes: u64,
}

/// The tables of one write transaction, and the counts as they change.
pub(super) struct Writer<'t> {
    records: Table<'t, [u8; 33], &'static [u8]>,
    bodies: Table<'t, [u8; 32], &'static [u8]>,
    refs: Table<'t, [u8; 32], u64>,
    families: Table<'t, [u8; 49], ()>,
    expiry: Table<'t, [u8; 41], ()>,
    newest: Table<'t, [u8; 41], ()>,
    meta: Table<'t, &'static str, &'static [u8]>,
    graves: Table<'t, [u8; 33], (u64, u64)>,
    totals: Totals,
    /// Digests that lost a record; their bodies go if they lost the last one.
    doubtful: BTreeSet<Digest>,
    is_damaged: bool,
    report: FlushReport,
}

impl<'t> Writer<'t> {
    /// Opens the tables, creating those that are missing.
    pub(super) fn open(txn: &'t WriteTransaction) -> Result<Self, redb::Error> {
        let meta = txn.open_table(META)?;
        let totals = Totals { entries: count(&meta, META_ENTRIES)?, bytes: count(&meta, META_BYTES)? };
        Ok(Self {
            records: txn.open_table(RECORDS)?,
            bodies: txn.open_table(BODIES)?,
            refs: txn.open_table(REFS)?,
            families: txn.open_table(FAMILIES)?,
            expiry: txn.open_table(EXPIRY)?,
            newest: txn.open_table(NEWEST)?,
            graves: txn.open_table(GRAVES)?,
            meta,
            totals,
            doubtful: BTreeSet::new(),
            is_damaged: false,
            report: FlushReport::default(),
        })
    }

    pub(super) fn set_meta(&mut self, name: &str, value: &[u8]) -> Result<(), redb::Error> {
        self.meta.insert(name, value)?;
        Ok(())
    }

    /// Applies everything that one flush does. Applying the same batch twice changes nothing more.
    pub(super) fn flush(
        mut self,
        batch: &Batch,
        is_damaged: bool,
        now: Millis,
        bytes_max: u64,
    ) -> Result<(FlushReport, Totals), redb::Error> {
        self.is_damaged = is_damaged;
        for ((space, key), change) in &batch.changes {
            self.unlink(*space, key)?;
            if let Some(record) = &change.record {
                self.link(*space, key, record, batch)?;
            }
        }
        self.remove_lost(batch)?;
        self.insert_bodies(batch)?;
        if self.is_damaged {
            self.rebuild()?;
        }
        self.collect_bodies()?;
        self.evict(now, bytes_max)?;
        if self.is_damaged {
            self.rebuild()?;
            self.collect_bodies()?;
        }
        for (name, value) in &batch.meta {
            self.set_meta(&caller_meta(name), value)?;
        }
        for (grave, buried) in &batch.graves {
            match buried {
                Some((date_secs, heard_at)) => self.graves.insert(grave_row(grave), (*date_secs, heard_at.0))?,
                None => self.graves.remove(grave_row(grave))?,
            };
        }
        self.set_meta(META_ENTRIES, &self.totals.entries.to_be_bytes())?;
        self.set_meta(META_BYTES, &self.totals.bytes.to_be_bytes())?;
        self.report.committed = batch.changes.len();
        Ok((self.report, self.totals))
    }

    fn link(&mut self, space: Space, key: &EntryKey, record: &StoredRecord, batch: &Batch) -> Result<(), redb::Error> {
        let digest = record.record.version.digest;
        // The body was held when this was put; an eviction may have been under way.
        if space == Space::Local && !batch.bodies.contains_key(&digest) && self.bodies.get(digest.0)?.is_none() {
            return Ok(());
        }
        let bytes = codec::encode_record(space, key, record).expect("it was encoded when it was put");
        self.records.insert(record_row(space, key), &bytes[..])?;
        self.totals.bytes += bytes.len() as u64;
        self.index(space, key, record)
    }

    /// Writes all that is derived from a record, but not its size.
    fn index(&mut self, space: Space, key: &EntryKey, record: &StoredRecord) -> Result<(), redb::Error> {
        let digest = record.record.version.digest;
        let refs = self.refs.get(digest.0)?.map_or(0, |refs| refs.value());
        self.refs.insert(digest.0, refs + 1)?;
        self.families.insert(family_row(space, &record.record.family, key), ())?;
        self.expiry.insert(expiry_row(record.record.stale_until, space, key), ())?;
        self.newest.insert(newest_row(space, record.record.validated_at, key), ())?;
        self.totals.entries += 1;
        Ok(())
    }

    /// Removes a record and all that is derived from it, but not its body.
    fn unlink(&mut self, space: Space, key: &EntryKey) -> Result<(), redb::Error> {
        let Some(old) = self.records.remove(record_row(space, key))? else { return Ok(()) };
        let bytes = old.value().len() as u64;
        let old = codec::decode_record(space, key, old.value());
        self.totals.bytes = self.totals.bytes.saturating_sub(bytes);
        self.totals.entries = self.totals.entries.saturating_sub(1);
        let Some(StoredRecord { record, .. }) = old else {
            // What was derived from it is not known any more.
            self.is_damaged = true;
            self.report.damaged += 1;
            return Ok(());
        };
        let digest = record.version.digest;
        let refs = self.refs.get(digest.0)?.map_or(0, |refs| refs.value()).saturating_sub(1);
        if refs == 0 {
            self.refs.remove(digest.0)?;
        } else {
            self.refs.insert(digest.0, refs)?;
        }
        self.doubtful.insert(digest);
        self.families.remove(family_row(space, &record.family, key))?;
        self.expiry.remove(expiry_row(record.stale_until, space, key))?;
        self.newest.remove(newest_row(space, record.validated_at, key))?;
        Ok(())
    }

    fn remove_lost(&mut self, batch: &Batch) -> Result<(), redb::Error> {
        for digest in &batch.lost {
            if let Some(body) = self.bodies.remove(digest.0)? {
                self.totals.bytes = self.totals.bytes.saturating_sub(body.value().len() as u64);
            }
        }
        Ok(())
    }

    fn insert_bodies(&mut self, batch: &Batch) -> Result<(), redb::Error> {
        for (digest, body) in &batch.bodies {
            if self.refs.get(digest.0)?.is_none() {
                continue;
            }
            // Most bodies that come again come the same, and reading is cheaper than writing.
            if self.bodies.get(digest.0)?.is_some_and(|held| codec::is_same_body(held.value(), body)) {
                continue;
            }
            self.totals.bytes += codec::stored_body_bytes(body);
            let old = self.bodies.insert(digest.0, &codec::encode_body(body)[..])?;
            let old_bytes = old.map_or(0, |old| old.value().len() as u64);
            self.totals.bytes = self.totals.bytes.saturating_sub(old_bytes);
        }
        Ok(())
    }

    fn collect_bodies(&mut self) -> Result<(), redb::Error> {
        for digest in std::mem::take(&mut self.doubtful) {
            if self.refs.get(digest.0)?.is_none()
                && let Some(body) = self.bodies.remove(digest.0)?
            {
                self.totals.bytes = self.totals.bytes.saturating_sub(body.value().len() as u64);
            }
        }
        Ok(())
    }

    fn evict(&mut self, now: Millis, bytes_max: u64) -> Result<(), redb::Error> {
        for _ in 0..limits::REMOVALS_PER_FLUSH_MAX {
            let Some(row) = self.expiry.first()?.map(|(row, _)| row.value()) else { break };
            let Some((stale_until, space, key)) = split_expiry_row(&row) else {
                self.expiry.remove(row)?;
                self.is_damaged = true;
                continue;
            };
            match evict::reason(stale_until, now, self.totals.bytes, bytes_max) {
                None => break,
                Some(Reason::Expired) => self.report.expired += 1,
                Some(Reason::OverSize) => self.report.evicted += 1,
            }
            self.unlink(space, &key)?;
            // Of a damaged record the row would remain, and come first for ever.
            self.expiry.remove(row)?;
            self.collect_bodies()?;
        }
        Ok(())
    }

    /// Derives everything anew from the records that can be decoded, and removes the others.
    ///
    /// Reads all records: seconds for a million. Only damage leads here.
    fn rebuild(&mut self) -> Result<(), redb::Error> {
        self.is_damaged = false;
        self.refs.retain(|_, _| false)?;
        self.families.retain(|_, ()| false)?;
        self.expiry.retain(|_, ()| false)?;
        self.newest.retain(|_, ()| false)?;
        self.totals = Totals::default();
        let rows: Vec<_> = self.records.iter()?.map(|row| Ok(row?.0.value())).collect::<Result<_, redb::Error>>()?;
        for row in rows {
            let place = split_record_row(&row);
            let decoded = self.records.get(row)?.and_then(|bytes| {
                let (space, key) = place?;
                Some((space, key, codec::decode_record(space, &key, bytes.value())?, bytes.value().len() as u64))
            });
            if let Some((space, key, record, bytes)) = decoded {
                self.totals.bytes += bytes;
                self.index(space, &key, &record)?;
            } else {
                self.records.remove(row)?;
                self.report.damaged += 1;
            }
        }
        for body in self.bodies.iter()? {
            let (digest, body) = body?;
            self.totals.bytes += body.value().len() as u64;
            if self.refs.get(digest.value())?.is_none() {
                self.doubtful.insert(Digest(digest.value()));
            }
        }
        Ok(())
    }
}

fn count(meta: &Table<'_, &'static str, &'static [u8]>, name: &str) -> Result<u64, redb::Error> {
    Ok(meta.get(name)?.and_then(|value| value.value().try_into().ok()).map_or(0, u64::from_be_bytes))
}
