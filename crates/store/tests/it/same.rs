//! The disk store does what the memory store does, whatever is asked in whatever order.

use proptest::prelude::*;
use store::{
    DiskStore, EntryKey, MemoryStore, PutError, Space, Store, StoredRecord,
    conformance::{body, key, record},
    sim_disk::SimDisk,
};
use wire::{Digest, FamilyId, Millis, ScopeId};

use crate::NOW;

const BYTES_MAX: u64 = 3000;

#[derive(Clone, Debug)]
enum Step {
    Put { space: Space, key: EntryKey, record: Box<StoredRecord>, plain: String, with_body: bool },
    Remove(Space, EntryKey),
    RemoveScope(Space, ScopeId),
    RemoveFamily(Space, FamilyId),
    Flush(Millis),
    Reopen,
}

fn plains() -> [String; 4] {
    ["".into(), "one".into(), "two".repeat(50), "three".repeat(100)]
}

fn step() -> impl Strategy<Value = Step> {
    let space = || prop_oneof![Just(Space::Local), Just(Space::Fleet)];
    let a_key = || (0..3u8, 0..4u8).prop_map(|(scope, n)| key(scope, n));
    let put = (space(), a_key(), 0..4usize, 0..3u8, 0..60u64, 0..5u64, prop::bool::weighted(0.7));
    let put = put.prop_map(|(space, key, plain, family, stale_until, validated_at, with_body)| {
        let plain = plains()[plain].clone();
        let mut record = record(&plain, stale_until);
        record.record.family = FamilyId([family; 16]);
        record.record.validated_at = Millis(validated_at);
        Step::Put { space, key, record: Box::new(record), plain, with_body }
    });
    prop_oneof![
        12 => put,
        3 => (space(), a_key()).prop_map(|(space, key)| Step::Remove(space, key)),
        1 => (space(), 0..3u8).prop_map(|(space, n)| Step::RemoveScope(space, ScopeId([n; 16]))),
        1 => (space(), 0..3u8).prop_map(|(space, n)| Step::RemoveFamily(space, FamilyId([n; 16]))),
        3 => (0..50u64).prop_map(|now| Step::Flush(Millis(now))),
        1 => Just(Step::Reopen),
    ]
}

fn take(store: &dyn Store, step: &Step) -> String {
    match step.clone() {
        Step::Put { space, key, record, plain, with_body } => {
            match store.put(space, key, *record, with_body.then(|| body(&plain))) {
                Ok(()) => "kept".into(),
                Err(PutError::NoBody { digest }) => format!("no body {digest}"),
                Err(error) => panic!("{error:?}"),
            }
        }
        Step::Remove(space, key) => format!("{:?}", store.remove(space, &key).unwrap()),
        Step::RemoveScope(space, scope) => store.remove_scope(space, &scope).unwrap().to_string(),
        Step::RemoveFamily(space, family) => store.remove_family(space, &family).unwrap().to_string(),
        Step::Flush(now) => {
            let report = store.flush(now).unwrap();
            let stats = store.stats();
            format!("{} {} {} {}", report.expired, report.evicted, stats.entries, stats.bytes)
        }
        Step::Reopen => panic!("is for the test"),
    }
}

fn seen(store: &dyn Store) -> impl PartialEq + std::fmt::Debug {
    let bodies = plains().map(|plain| {
        let digest = Digest::of(plain.as_bytes());
        (store.has_body(&digest).unwrap(), store.body(&digest).unwrap())
    });
    let newest = [Space::Local, Space::Fleet].map(|space| {
        let all = store.newest(space, None, 100).unwrap();
        for (key, record) in &all {
            assert_eq!(store.get(space, key).unwrap().as_ref(), Some(record));
        }
        assert_eq!(store.newest(space, None, 2).unwrap()[..], all[..all.len().min(2)]);
        if let Some((key, record)) = all.first() {
            let before = Some((record.record.validated_at, *key));
            assert_eq!(store.newest(space, before, 100).unwrap()[..], all[1..]);
        }
        all
    });
    (bodies, newest)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_disk_store_does_what_the_memory_store_does(steps in prop::collection::vec(step(), 1..60)) {
        let sim = SimDisk::new(1);
        let config = || store::DiskConfig::new(BYTES_MAX, [7; 32]);
        let mut disk = DiskStore::open(Box::new(sim.plug_in()), config(), NOW).unwrap().0;
        let memory = MemoryStore::new(BYTES_MAX, [7; 32]);
        for step in steps {
            if let Step::Reopen = step {
                prop_assert_eq!(take(&disk, &Step::Flush(NOW)), take(&memory, &Step::Flush(NOW)));
                drop(disk);
                disk = DiskStore::open(Box::new(sim.plug_in()), config(), NOW).unwrap().0;
            } else {
                prop_assert_eq!(take(&disk, &step), take(&memory, &step), "{:?}", step);
            }
            prop_assert_eq!(seen(&disk), seen(&memory), "{:?}", step);
        }
    }
}
