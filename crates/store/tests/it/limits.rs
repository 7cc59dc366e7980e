use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use bytes::Bytes;
use store::{
    Device, DiskConfig, DiskStore, EntryKey, MemoryStore, PutError, Space, Store,
    conformance::{key, record},
    limits,
    sim_disk::SimDisk,
};
use wire::{Body, Digest, Form, KeyId, Millis};

use crate::{BYTES_MAX, NOW, open};

fn put(store: &dyn Store, n: u8, bytes: usize, stale_until: u64) -> Result<(), PutError> {
    let mut record = record(&n.to_string(), stale_until);
    record.record.body_bytes = bytes as u64;
    let body = Body { form: Form::Identity, encoded: Bytes::from(vec![n; bytes]) };
    store.put(Space::Local, key(1, n), record, Some(body))
}

#[test]
fn the_size_is_kept_whatever_is_put() {
    let disk = SimDisk::new(1);
    let store = open(&disk);
    for round in 0..20 {
        for n in 0..5 {
            put(&store, round * 5 + n, 90_000, 1000 + u64::from(round)).unwrap();
        }
        store.flush(NOW).unwrap();
        assert!(store.stats().bytes <= BYTES_MAX);
    }
    assert!(store.stats().evictions > 80);
    // The file follows, within what redb needs for its copies.
    assert!(disk.image().len() < 8 * BYTES_MAX as usize, "{}", disk.image().len());
}

#[test]
fn the_expired_go_before_anything_of_use() {
    let store = open(&SimDisk::new(1));
    for n in 0..10 {
        let stale_until = if n < 5 { 10 } else { 1000 - u64::from(n) };
        put(&store, n, 150_000, stale_until).unwrap();
    }
    let report = store.flush(Millis(10)).unwrap();
    assert_eq!((report.expired, report.evicted), (5, 0));
}

#[test]
fn the_file_shrinks_with_what_it_holds_and_a_kill_afterwards_costs_no_repair() {
    const SLACK_BYTES: u64 = 8 << 20;
    let disk = SimDisk::new(1);
    let config = DiskConfig { compact_slack_bytes: SLACK_BYTES, ..DiskConfig::new(1 << 30, [7; 32]) };
    let (store, _) = DiskStore::open(Box::new(disk.plug_in()), config, NOW).unwrap();
    for n in 0..255 {
        put(&store, n, 120_000, if n % 50 == 0 { 1_000_000 } else { 10 }).unwrap();
    }
    store.flush(NOW).unwrap();
    let full = disk.image().len() as u64;
    store.flush(Millis(10)).unwrap();
    // As long as somebody asks, nobody waits for it.
    let quiet = limits::COMPACT_QUIET.as_millis() as u64;
    assert!(store.get(Space::Local, &key(1, 1)).unwrap().is_none());
    store.flush(Millis(quiet)).unwrap();
    store.flush(Millis(2 * quiet - 1)).unwrap();
    assert_eq!(disk.image().len() as u64, full);
    store.flush(Millis(2 * quiet)).unwrap();
    let left = disk.image().len() as u64;
    assert!(full > 3 * SLACK_BYTES && left < SLACK_BYTES, "{full}, {left}");
    for n in (0..255_u8).step_by(50) {
        assert_eq!(store.body(&Digest::of(n.to_string().as_bytes())).unwrap().unwrap().encoded[..], [n; 120_000]);
    }
    // SIGKILL runs no destructors.
    std::mem::forget(store);
    let (store, report) = DiskStore::open(Box::new(disk.plug_in()), crate::config(), NOW).unwrap();
    assert_eq!((report.is_repaired, report.entries, store.stats().entries), (false, 6, 6));
}

/// A device that counts what it is told to write.
#[derive(Debug, Default)]
struct Counting(redb::backends::InMemoryBackend, Arc<AtomicU64>);

impl Device for Counting {
    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.0.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.1.fetch_add(data.len() as u64, Ordering::Relaxed);
        self.0.write(offset, data)
    }
}

#[test]
fn a_large_body_is_not_written_again_when_its_record_changes_or_it_comes_again() {
    let device = Counting::default();
    let written = device.1.clone();
    let (store, _) = DiskStore::open(Box::new(device), DiskConfig::new(1 << 30, [7; 32]), NOW).unwrap();
    put(&store, 1, 5_000_000, 100).unwrap();
    store.flush(NOW).unwrap();
    let first = written.swap(0, Ordering::Relaxed);
    assert!(first > 5_000_000, "{first}");

    let mut proved = record("1", 200);
    (proved.record.body_bytes, proved.etag) = (5_000_000, Some("another".into()));
    store.put(Space::Local, key(1, 1), proved, None).unwrap();
    store.flush(NOW).unwrap();
    put(&store, 1, 5_000_000, 300).unwrap();
    store.flush(NOW).unwrap();
    let again = written.load(Ordering::Relaxed);
    assert!(again < 500_000, "{again}");
}

#[test]
fn an_entry_larger_than_the_store_does_not_stay() {
    let store = open(&SimDisk::new(1));
    put(&store, 1, BYTES_MAX as usize + 1, 1000).unwrap();
    assert!(store.has_body(&Digest::of(b"1")).unwrap());
    assert_eq!(store.flush(NOW).unwrap().evicted, 1);
    assert_eq!(store.stats().bytes, 0);
}

#[test]
fn more_entries_than_may_wait_are_refused_until_the_flush() {
    let disk = SimDisk::new(1);
    let stores: [Box<dyn Store>; 2] = [Box::new(open(&disk)), Box::new(MemoryStore::new(BYTES_MAX, [0; 32]))];
    for store in stores {
        let put = |n: u32| {
            let mut id = [0; 16];
            id[..4].copy_from_slice(&n.to_be_bytes());
            store.put(Space::Fleet, EntryKey { key: KeyId(id), ..key(1, 0) }, record("", 1000), None)
        };
        let entries_max = limits::PENDING_ENTRIES_MAX as u32;
        for n in 0..entries_max {
            put(n).unwrap();
        }
        assert!(matches!(put(entries_max), Err(PutError::Busy { .. })));
        store.remove(Space::Fleet, &key(1, 0)).unwrap();
        store.flush(NOW).unwrap();
        put(entries_max).unwrap();
    }
}
