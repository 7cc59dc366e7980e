use std::collections::BTreeMap;

use store::{
    DiskStore, EntryKey, Space, Store, StoredRecord,
    conformance::{body, key, record},
    sim_disk::SimDisk,
};
use wire::{Digest, Grave, Millis, Tombstone};

use crate::{NOW, config};

/// What may be found under each key: the last that was flushed, and what was put since.
#[derive(Default)]
struct Told {
    flushed: BTreeMap<EntryKey, Option<StoredRecord>>,
    since: BTreeMap<EntryKey, Vec<Option<StoredRecord>>>,
    /// Up to which round something is buried: flushed, and told since.
    buried: [u64; 2],
}

const KEYS: u8 = 6;

/// Runs a fixed story until it ends or the power goes; the seed chooses what is put where.
fn run(store: &DiskStore, seed: u64, told: &mut Told) {
    let mut random = seed;
    let mut pick = |n: u64| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (random >> 33) % n
    };
    for round in 0..5 {
        for _ in 0..4 {
            let key = key(1, pick(u64::from(KEYS)) as u8);
            let put = if pick(4) == 0 {
                store.remove(Space::Local, &key).ok().map(|()| None)
            } else {
                // Some bodies are shared, and some are longer than a page.
                let plain = format!("{}-{}", pick(3), "x".repeat(pick(2) as usize * 700)).repeat(1 + pick(8) as usize);
                let record = record(&plain, 1000 + round);
                let put = store.put(Space::Local, key, record.clone(), Some(body(&plain)));
                put.ok().map(|()| Some(record))
            };
            if let Some(put) = put {
                told.since.entry(key).or_default().push(put);
            }
        }
        if store.bury(Tombstone { of: Grave::Everything, date_secs: round + 1 }, NOW).is_ok() {
            told.buried[1] = round + 1;
        }
        if store.flush(NOW).is_err() {
            return;
        }
        told.buried[0] = told.buried[1];
        for (key, mut puts) in std::mem::take(&mut told.since) {
            told.flushed.insert(key, puts.pop().unwrap());
        }
    }
}

fn check(store: &dyn Store, told: &Told) -> Result<(), String> {
    let buried = store.tombstones().first().map_or(0, |(tombstone, _)| tombstone.date_secs);
    if !told.buried.contains(&buried) {
        return Err(format!("buried up to {buried}, flushed and told were {:?}", told.buried));
    }
    for key in (0..KEYS).map(|n| key(1, n)) {
        let found = store.get(Space::Local, &key).map_err(|e| e.to_string())?;
        let flushed = told.flushed.get(&key).cloned().flatten();
        let since = told.since.get(&key).map_or(&[][..], |since| since);
        if found != flushed && !since.contains(&found) {
            return Err(format!("{key:?}: found {found:?}, flushed was {flushed:?}"));
        }
        let Some(StoredRecord { record, .. }) = found else { continue };
        let body = store.body(&record.version.digest).map_err(|e| e.to_string())?.ok_or("a body is missing")?;
        body.verified(record.version.digest, record.body_bytes).map_err(|e| e.to_string())?;
    }
    Ok(())
}

/// Cuts the power at write `cut`, starts again, and says what was broken.
fn crash_at(cut: u64, seed: u64, lie: bool) -> Result<(), String> {
    let disk = SimDisk::new(seed ^ cut);
    if lie {
        disk.lie_about_sync();
    }
    disk.cut_at_write(cut);
    let mut told = Told::default();
    if let Ok((store, _)) = DiskStore::open(Box::new(disk.plug_in()), config(), NOW) {
        run(&store, seed, &mut told);
        // Before the drop: closing would write.
        disk.lose_power();
    } else {
        disk.lose_power();
    }
    let (store, _) =
        DiskStore::open(Box::new(disk.plug_in()), config(), NOW).map_err(|e| format!("did not open: {e}"))?;
    check(&store, &told)?;

    // What is left is a whole store, not only readable: every body is counted, and goes.
    store.put(Space::Local, key(2, 0), record("after", 2000), Some(body("after"))).map_err(|e| e.to_string())?;
    store.flush(NOW).map_err(|e| e.to_string())?;
    store.flush(Millis(2000)).map_err(|e| e.to_string())?;
    let stats = store.stats();
    if (stats.entries, stats.bytes) != (0, 0) || store.has_body(&Digest::of(b"after")).unwrap() {
        return Err(format!("something leaked: {stats:?}"));
    }
    Ok(())
}

fn writes_of_a_whole_run(seed: u64) -> u64 {
    let disk = SimDisk::new(seed);
    let (store, _) = DiskStore::open(Box::new(disk.plug_in()), config(), NOW).unwrap();
    run(&store, seed, &mut Told::default());
    disk.writes()
}

#[test]
fn after_a_power_loss_at_any_write_what_was_flushed_is_there_and_whole() {
    for seed in 1..=4 {
        let writes = writes_of_a_whole_run(seed);
        assert!(writes > 50, "{writes}");
        for cut in 0..=writes {
            crash_at(cut, seed, false).unwrap_or_else(|broken| panic!("seed {seed}, write {cut}: {broken}"));
        }
    }
}

#[test]
fn on_a_disk_that_lies_about_syncs_the_same_check_fails() {
    let broken = (1..=writes_of_a_whole_run(1)).filter(|cut| crash_at(*cut, 1, true).is_err()).count();
    assert!(broken > 10, "{broken}");
}
