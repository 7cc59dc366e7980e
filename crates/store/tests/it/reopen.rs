use std::sync::atomic::{AtomicBool, Ordering};

use store::{
    DiskStore, OpenError, Space, Store,
    conformance::{assert_holds, body, graves, key, record},
    sim_disk::SimDisk,
};

use wire::{Grave, Millis, Tombstone};

use crate::{NOW, config, open};

#[test]
fn what_was_flushed_survives_and_what_was_not_is_lost() {
    let disk = SimDisk::new(1);
    let store = open(&disk);
    store.put(Space::Local, key(1, 1), record("kept", 100), Some(body("kept"))).unwrap();
    store.set_meta("identity", vec![1]).unwrap();
    for (date_secs, of) in graves().into_iter().enumerate() {
        store.bury(Tombstone { of, date_secs: date_secs as u64 }, Millis(70)).unwrap();
    }
    store.flush(NOW).unwrap();
    store.bury(Tombstone { of: Grave::Everything, date_secs: 9 }, Millis(80)).unwrap();
    store.put(Space::Local, key(1, 2), record("lost", 100), Some(body("lost"))).unwrap();
    drop(store);

    let (store, report) = DiskStore::open(Box::new(disk.plug_in()), config(), NOW).unwrap();
    assert_eq!((report.is_new, report.is_repaired, report.entries), (false, false, 1));
    assert_eq!(report.bytes, store.stats().bytes);
    assert_holds(&store, Space::Local, key(1, 1), "kept");
    assert_eq!(store.get(Space::Local, &key(1, 2)).unwrap(), None);
    assert_eq!(store.meta("identity").unwrap(), Some(vec![1]));
    let kept = graves().into_iter().enumerate().map(|(n, of)| (Tombstone { of, date_secs: n as u64 }, Millis(70)));
    assert!(store.tombstones().into_iter().eq(kept));
}

#[test]
fn a_killed_process_loses_only_what_waited() {
    let disk = SimDisk::new(1);
    let store = open(&disk);
    store.put(Space::Local, key(1, 1), record("kept", 100), Some(body("kept"))).unwrap();
    store.flush(NOW).unwrap();
    // SIGKILL runs no destructors.
    std::mem::forget(store);
    assert_holds(&open(&disk), Space::Local, key(1, 1), "kept");
}

#[test]
fn the_local_key_is_drawn_once() {
    let disk = SimDisk::new(1);
    assert_eq!(open(&disk).local_key(), [7; 32]);
    let other = store::DiskConfig { entropy: [8; 32], ..config() };
    let (store, _) = DiskStore::open(Box::new(disk.plug_in()), other, NOW).unwrap();
    assert_eq!(store.local_key(), [7; 32]);
}

#[test]
fn a_flush_with_nothing_to_do_writes_nothing() {
    let disk = SimDisk::new(1);
    let store = open(&disk);
    store.put(Space::Local, key(1, 1), record("kept", 100), Some(body("kept"))).unwrap();
    store.flush(NOW).unwrap();
    let writes = disk.writes();
    store.flush(NOW).unwrap();
    assert_eq!(disk.writes(), writes);
}

#[test]
fn a_disk_that_cannot_be_written_does_not_open_as_new() {
    let disk = SimDisk::new(1);
    disk.refuse_writes(true);
    assert!(matches!(DiskStore::open(Box::new(disk.plug_in()), config(), NOW), Err(OpenError::Device(_))));
    assert_eq!(disk.image(), []);
}

#[test]
fn what_was_put_is_visible_at_every_moment_of_a_flush() {
    let disk = SimDisk::new(1);
    let store = open(&disk);
    let is_done = AtomicBool::new(false);
    std::thread::scope(|threads| {
        threads.spawn(|| {
            while !is_done.load(Ordering::Relaxed) {
                store.flush(NOW).unwrap();
            }
        });
        for n in 0..400_u32 {
            let plain = n.to_string();
            store.put(Space::Local, key(1, n as u8), record(&plain, 100), Some(body(&plain))).unwrap();
            for _ in 0..10 {
                assert_holds(&store, Space::Local, key(1, n as u8), &plain);
            }
        }
        is_done.store(true, Ordering::Relaxed);
    });
}
