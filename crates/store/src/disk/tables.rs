//! The tables and their keys. Whole numbers are big-endian, so that bytes sort as numbers do.

use std::ops::Bound;

use redb::{ReadTransaction, ReadableDatabase, ReadableTable, TableDefinition};
use wire::{FamilyId, Grave, KeyId, Millis, ScopeId};

use super::readers::Reader;
use crate::{EntryKey, Space, StoredRecord, store::Graves};

/// The layout of all tables together; another number is another ghoard's.
pub(super) const SCHEMA: u32 = 1;

/// (space, key) → record.
pub(super) const RECORDS: TableDefinition<[u8; 33], &[u8]> = TableDefinition::new("records");
/// digest → body.
pub(super) const BODIES: TableDefinition<[u8; 32], &[u8]> = TableDefinition::new("bodies");
/// digest → how many records name it, whether its body is held or not.
pub(super) const REFS: TableDefinition<[u8; 32], u64> = TableDefinition::new("refs");
/// (space, family, key).
pub(super) const FAMILIES: TableDefinition<[u8; 49], ()> = TableDefinition::new("families");
/// (stale_until, space, key): what goes next comes first.
pub(super) const EXPIRY: TableDefinition<[u8; 41], ()> = TableDefinition::new("expiry");
/// (space, validated_at, key).
pub(super) const NEWEST: TableDefinition<[u8; 41], ()> = TableDefinition::new("newest");
pub(super) const META: TableDefinition<&str, &[u8]> = TableDefinition::new("meta");
/// kind and ids → (date in seconds, when heard). Younger than the others: an older ghoard has none.
pub(super) const GRAVES: TableDefinition<[u8; 33], (u64, u64)> = TableDefinition::new("graves");

/// Names in [`META`] that are the store's own; a caller's names get a prefix.
pub(super) const META_SCHEMA: &str = "schema";
pub(super) const META_LOCAL_KEY: &str = "local_key";
pub(super) const META_BYTES: &str = "bytes";
pub(super) const META_ENTRIES: &str = "entries";

pub(super) fn caller_meta(name: &str) -> String {
    format!("caller/{name}")
}

pub(super) fn record_row(space: Space, key: &EntryKey) -> [u8; 33] {
    join([&[space as u8], &key.to_bytes()])
}

pub(super) fn family_row(space: Space, family: &FamilyId, key: &EntryKey) -> [u8; 49] {
    join([&[space as u8], &family.0, &key.to_bytes()])
}

pub(super) fn expiry_row(stale_until: Millis, space: Space, key: &EntryKey) -> [u8; 41] {
    join([&stale_until.0.to_be_bytes(), &[space as u8], &key.to_bytes()])
}

pub(super) fn newest_row(space: Space, validated_at: Millis, key: &EntryKey) -> [u8; 41] {
    join([&[space as u8], &validated_at.0.to_be_bytes(), &key.to_bytes()])
}

/// The ids fill the row from the left; zeros follow.
pub(super) fn grave_row(grave: &Grave) -> [u8; 33] {
    let (kind, first, second) = match grave {
        Grave::Everything => (0, [0; 16], [0; 16]),
        Grave::Family(family) => (1, family.0, [0; 16]),
        Grave::Key(key) => (2, key.0, [0; 16]),
        Grave::Scope(scope) => (3, scope.0, [0; 16]),
        Grave::Denied(key, scope) => (4, key.0, scope.0),
    };
    join([&[kind], &first, &second])
}

fn split_grave_row(row: &[u8; 33]) -> Option<Grave> {
    let (kind, ids) = row.split_first()?;
    let (first, second) = ids.split_first_chunk::<16>()?;
    match kind {
        0 => Some(Grave::Everything),
        1 => Some(Grave::Family(FamilyId(*first))),
        2 => Some(Grave::Key(KeyId(*first))),
        3 => Some(Grave::Scope(ScopeId(*first))),
        4 => Some(Grave::Denied(KeyId(*first), ScopeId(second.try_into().ok()?))),
        _ => None,
    }
}

pub(super) fn split_expiry_row(row: &[u8; 41]) -> Option<(Millis, Space, EntryKey)> {
    let (millis, place) = row.split_first_chunk::<8>()?;
    let (space, key) = split_record_row(place.try_into().ok()?)?;
    Some((Millis(u64::from_be_bytes(*millis)), space, key))
}

pub(super) fn split_record_row(row: &[u8; 33]) -> Option<(Space, EntryKey)> {
    let space = [Space::Local, Space::Fleet].into_iter().find(|s| *s as u8 == row[0])?;
    Some((space, last_key(row)))
}

/// The key with which every row that has one ends.
pub(super) fn last_key(row: &[u8]) -> EntryKey {
    EntryKey::from_bytes(*row.last_chunk().expect("rows are longer than a key"))
}

fn join<const ROW: usize, const PARTS: usize>(parts: [&[u8]; PARTS]) -> [u8; ROW] {
    let mut row = [0; ROW];
    let mut rest = &mut row[..];
    for part in parts {
        let (here, after) = rest.split_at_mut(part.len());
        here.copy_from_slice(part);
        rest = after;
    }
    assert!(rest.is_empty(), "the parts fill the row");
    row
}

/// Every row that begins with `prefix`, lowest and highest.
fn span<const ROW: usize>(prefix: &[u8]) -> std::ops::RangeInclusive<[u8; ROW]> {
    let (mut low, mut high) = ([0; ROW], [0xff; ROW]);
    low[..prefix.len()].copy_from_slice(prefix);
    high[..prefix.len()].copy_from_slice(prefix);
    low..=high
}

/// One moment of the database.
pub(super) struct Snapshot(ReadTransaction);

/// A record that is there and cannot be decoded is `Damaged`.
pub(super) enum Found {
    Record(StoredRecord),
    Damaged,
    Absent,
}

impl Snapshot {
    pub(super) fn of(database: &redb::Database) -> Result<Self, redb::Error> {
        Ok(Self(database.begin_read()?))
    }

    pub(super) fn meta(&self, name: &str) -> Result<Option<Vec<u8>>, redb::Error> {
        Ok(self.0.open_table(META)?.get(name)?.map(|value| value.value().to_vec()))
    }

    /// A number of the store's own; zero if it was never written.
    pub(super) fn count(&self, name: &str) -> Result<u64, redb::Error> {
        Ok(self.meta(name)?.and_then(|value| value.try_into().ok()).map_or(0, u64::from_be_bytes))
    }

    pub(super) fn keys_of_scope(&self, space: Space, scope: &ScopeId) -> Result<Vec<EntryKey>, redb::Error> {
        let records = self.0.open_table(RECORDS)?;
        let rows = records.range(span::<33>(&[&[space as u8][..], &scope.0].concat()))?;
        rows.map(|row| Ok(last_key(&row?.0.value()))).collect()
    }

    pub(super) fn keys_of_family(&self, space: Space, family: &FamilyId) -> Result<Vec<EntryKey>, redb::Error> {
        let families = self.0.open_table(FAMILIES)?;
        let rows = families.range(span::<49>(&[&[space as u8][..], &family.0].concat()))?;
        rows.map(|row| Ok(last_key(&row?.0.value()))).collect()
    }

    /// The newest records before `before` that are not `skipped`, newest first.
    pub(super) fn newest(
        &self,
        space: Space,
        before: Option<(Millis, EntryKey)>,
        max: usize,
        skipped: impl Fn(&EntryKey) -> bool,
    ) -> Result<Vec<(EntryKey, StoredRecord)>, redb::Error> {
        let (newest, reader) = (self.0.open_table(NEWEST)?, Reader::of(&self.0)?);
        let mut found = Vec::new();
        let all = span::<41>(&[space as u8]);
        let end = before.map_or(Bound::Included(*all.end()), |(validated_at, key)| {
            Bound::Excluded(newest_row(space, validated_at, &key))
        });
        for row in newest.range::<[u8; 41]>((Bound::Included(*all.start()), end))?.rev() {
            if found.len() == max {
                break;
            }
            let key = last_key(&row?.0.value());
            if !skipped(&key)
                && let Found::Record(record) = reader.record(space, &key)?
            {
                found.push((key, record));
            }
        }
        Ok(found)
    }

    /// All tombstones; those of a later ghoard's kinds are left out.
    pub(super) fn graves(&self) -> Result<Graves, redb::Error> {
        let graves = match self.0.open_table(GRAVES) {
            Ok(graves) => graves,
            Err(redb::TableError::TableDoesNotExist(_)) => return Ok(Graves::new()),
            Err(cause) => return Err(cause.into()),
        };
        let mut found = Graves::new();
        for row in graves.iter()? {
            let (grave, buried) = row?;
            if let Some(grave) = split_grave_row(&grave.value()) {
                let (date_secs, heard_at) = buried.value();
                found.insert(grave, (date_secs, Millis(heard_at)));
            }
        }
        Ok(found)
    }

    pub(super) fn first_expiry(&self) -> Result<Option<Millis>, redb::Error> {
        let expiry = self.0.open_table(EXPIRY)?;
        let first = expiry.first()?;
        Ok(first.and_then(|(row, _)| split_expiry_row(&row.value())).map(|(stale_until, ..)| stale_until))
    }
}
