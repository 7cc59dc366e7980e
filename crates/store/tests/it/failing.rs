use bytes::Bytes;
use store::{
    DiskConfig, DiskStore, FlushError, GetError, PutError, Space, Store,
    conformance::{assert_holds, body, key, record},
    limits,
    sim_disk::SimDisk,
};
use wire::{Body, Digest, Form, Millis};

use crate::{NOW, config, open};

fn put(store: &dyn Store, n: u8, plain: &str) {
    store.put(Space::Local, key(1, n), record(plain, u64::MAX), Some(body(plain))).unwrap();
}

#[test]
fn a_disk_that_refuses_writes_costs_durability_and_nothing_else() {
    let disk = SimDisk::new(1);
    let store = open(&disk);
    put(&store, 1, "before");
    store.flush(NOW).unwrap();

    disk.refuse_writes(true);
    put(&store, 2, "during");
    let failed = store.flush(NOW);
    assert!(matches!(failed, Err(FlushError::Device(_))), "{failed:?}");
    assert_holds(&store, Space::Local, key(1, 1), "before");
    assert_holds(&store, Space::Local, key(1, 2), "during");
    assert!(store.stats().degraded.unwrap().contains("the disk is full"));
    assert!(matches!(store.flush(NOW), Err(FlushError::Degraded { .. })));
    let later = NOW.after(limits::RETRY_AFTER);
    assert!(matches!(store.flush(later), Err(FlushError::Device(_))));
    assert_holds(&store, Space::Local, key(1, 1), "before");

    disk.refuse_writes(false);
    let later = later.after(limits::RETRY_AFTER);
    assert_eq!(store.flush(later).unwrap().committed, 1);
    assert_eq!(store.stats().degraded, None);
    drop(store);
    let store = open(&disk);
    assert_holds(&store, Space::Local, key(1, 1), "before");
    assert_holds(&store, Space::Local, key(1, 2), "during");
}

#[test]
fn a_disk_that_cannot_be_read_comes_back() {
    let disk = SimDisk::new(1);
    let store = open(&disk);
    put(&store, 1, "before");
    store.flush(NOW).unwrap();
    drop(store);
    // Nothing may be left to read in memory.
    let config = DiskConfig { page_cache_bytes: 0, ..config() };
    let (store, _) = DiskStore::open(Box::new(disk.plug_in()), config, NOW).unwrap();
    disk.refuse_reads(true);
    assert!(matches!(store.get(Space::Local, &key(1, 1)), Err(GetError::Read(_))));
    assert!(store.flush(NOW).is_err());
    assert!(matches!(store.get(Space::Local, &key(1, 1)), Err(GetError::Closed)));
    put(&store, 2, "during");
    assert_holds(&store, Space::Local, key(1, 2), "during");
    disk.refuse_reads(false);
    store.flush(NOW.after(limits::RETRY_AFTER)).unwrap();
    assert_holds(&store, Space::Local, key(1, 1), "before");
}

#[test]
fn what_waits_for_a_broken_disk_is_bounded_and_the_oldest_goes() {
    let disk = SimDisk::new(1);
    let store = open(&disk);
    let large = Bytes::from(vec![0; 1 << 20]);
    let put = |n: u8| {
        let mut record = record(&n.to_string(), u64::MAX);
        record.record.body_bytes = large.len() as u64;
        let body = Body { form: Form::Identity, encoded: large.clone() };
        store.put(Space::Local, key(1, n), record, Some(body))
    };
    // An older record of what will be dropped must not come to light.
    store.put(Space::Local, key(1, 0), record("old", u64::MAX), Some(body("old"))).unwrap();
    store.flush(NOW).unwrap();
    disk.refuse_writes(true);
    let taken = (0..100).take_while(|n| put(*n).is_ok()).count();
    assert_eq!(taken, 63);
    assert!(matches!(put(100), Err(PutError::Busy { .. })));
    assert!(store.flush(NOW).is_err());
    assert!(store.stats().pending_bytes <= limits::KEPT_AFTER_FAILURE_BYTES_MAX);
    assert_eq!(store.stats().dropped, 63 - 31);
    assert_eq!(store.get(Space::Local, &key(1, 0)).unwrap(), None);
    assert!(store.get(Space::Local, &key(1, 62)).unwrap().is_some());
    assert!(store.has_body(&Digest::of(b"62")).unwrap() && !store.has_body(&Digest::of(b"1")).unwrap());
    put(100).unwrap();
}

#[test]
fn a_damaged_record_is_absent_and_goes() {
    let disk = SimDisk::new(1);
    let store = open(&disk);
    put(&store, 1, "damaged");
    put(&store, 2, "whole");
    store.flush(NOW).unwrap();
    drop(store);
    let etag = b"\"damaged\"";
    assert!(disk.damage(etag, b"\"dAmaged\"") > 0);
    let store = open(&disk);
    assert_eq!(store.get(Space::Local, &key(1, 1)).unwrap(), None);
    assert_eq!(store.flush(Millis(1)).unwrap().damaged, 1);
    assert_eq!((store.stats().entries, store.stats().damaged), (1, 1));
    assert!(!store.has_body(&Digest::of(b"damaged")).unwrap());
    assert_holds(&store, Space::Local, key(1, 2), "whole");
    store.remove(Space::Local, &key(1, 2)).unwrap();
    store.flush(Millis(1)).unwrap();
    assert_eq!((store.stats().entries, store.stats().bytes), (0, 0));
}
