//! The suite that every backend passes, and the entries it is made of.

use bytes::Bytes;
use wire::{Body, Digest, FamilyId, Grave, Header, KeyId, Millis, Record, ScopeId, Tombstone, Version};

use crate::{EntryKey, PutError, Source, Space, Store, StoredRecord, limits};

/// The key `key` of the scope `scope`.
pub fn key(scope: u8, key: u8) -> EntryKey {
    EntryKey { scope: ScopeId([scope; 16]), key: KeyId([key; 16]) }
}

/// A record of `plain`, of the family 0, validated at 0 and stale until `stale_until`.
pub fn record(plain: &str, stale_until: u64) -> StoredRecord {
    let header = Header { name: "content-type".into(), value: Bytes::from_static(b"application/json") };
    let record = Record {
        family: FamilyId([0; 16]),
        version: Version { date_secs: 1, digest: Digest::of(plain.as_bytes()) },
        status: 200,
        headers: vec![header],
        body_bytes: plain.len() as u64,
        validated_at: Millis(0),
        fresh_until: Millis(stale_until / 2),
        proved_until: Millis(stale_until / 2),
        stale_until: Millis(stale_until),
    };
    StoredRecord { record, etag: Some(format!("\"{plain:.20}\"")), source: Source::Origin, tag: None }
}

pub fn body(plain: &str) -> Body {
    Body::from_plain(Bytes::copy_from_slice(plain.as_bytes()))
}

/// Panics at the first promise that a store from `make` breaks. Each must be new and hold 1 MB.
pub fn check(make: impl Fn() -> Box<dyn Store>) {
    for promise in [
        a_put_is_visible_before_and_after_the_flush,
        spaces_and_scopes_are_apart,
        a_body_goes_with_its_last_record,
        a_record_without_its_body_is_kept_for_the_fleet_only,
        a_304_moves_the_clocks_alone,
        a_family_and_a_scope_go_at_once,
        a_damaged_body_is_absent_until_it_is_put_again,
        the_newest_come_first,
        the_expired_go_in_a_flush,
        over_the_size_the_first_to_expire_goes_first,
        too_large_is_refused,
        meta_is_kept,
        tombstones_are_kept_until_they_are_forgotten,
    ] {
        promise(&*make());
    }
}

fn a_put_is_visible_before_and_after_the_flush(store: &dyn Store) {
    put(store, Space::Local, key(1, 1), "one", 100);
    assert_holds(store, Space::Local, key(1, 1), "one");
    assert_eq!(flush(store, 0).committed, 1);
    assert_holds(store, Space::Local, key(1, 1), "one");
    put(store, Space::Local, key(1, 1), "two", 100);
    assert_holds(store, Space::Local, key(1, 1), "two");
    flush(store, 0);
    assert_holds(store, Space::Local, key(1, 1), "two");
    assert!(!store.has_body(&Digest::of(b"one")).expect("the store answers"));
    store.remove(Space::Local, &key(1, 1)).expect("the store answers");
    assert_eq!(store.get(Space::Local, &key(1, 1)).expect("the store answers"), None);
    flush(store, 0);
    assert_eq!(store.get(Space::Local, &key(1, 1)).expect("the store answers"), None);
    assert_eq!((store.stats().entries, store.stats().bytes, store.stats().pending), (0, 0, 0));
}

fn spaces_and_scopes_are_apart(store: &dyn Store) {
    put(store, Space::Local, key(1, 1), "one", 100);
    flush(store, 0);
    for absent in [key(1, 2), key(2, 1)] {
        assert_eq!(store.get(Space::Local, &absent).expect("the store answers"), None);
    }
    assert_eq!(store.get(Space::Fleet, &key(1, 1)).expect("the store answers"), None);
}

fn a_body_goes_with_its_last_record(store: &dyn Store) {
    put(store, Space::Local, key(1, 1), "shared", 100);
    put(store, Space::Fleet, key(2, 2), "shared", 100);
    flush(store, 0);
    store.remove(Space::Local, &key(1, 1)).expect("the store answers");
    flush(store, 0);
    assert_holds(store, Space::Fleet, key(2, 2), "shared");
    store.remove(Space::Fleet, &key(2, 2)).expect("the store answers");
    flush(store, 0);
    assert_eq!(store.body(&Digest::of(b"shared")).expect("the store answers"), None);
}

fn a_record_without_its_body_is_kept_for_the_fleet_only(store: &dyn Store) {
    let refused = store.put(Space::Local, key(1, 1), record("one", 100), None);
    assert!(matches!(refused, Err(PutError::NoBody { digest }) if digest == Digest::of(b"one")));
    store.put(Space::Fleet, key(1, 1), record("one", 100), None).expect("the store answers");
    flush(store, 0);
    assert_eq!(store.get(Space::Fleet, &key(1, 1)).expect("the store answers"), Some(record("one", 100)));
    assert!(!store.has_body(&Digest::of(b"one")).expect("the store answers"));
    put(store, Space::Fleet, key(1, 1), "one", 100);
    flush(store, 0);
    assert_holds(store, Space::Fleet, key(1, 1), "one");
}

fn a_304_moves_the_clocks_alone(store: &dyn Store) {
    put(store, Space::Local, key(1, 1), "one", 100);
    store.put(Space::Local, key(1, 1), record("one", 200), None).expect("the store answers");
    flush(store, 150);
    store.put(Space::Local, key(1, 1), record("one", 300), None).expect("the store answers");
    flush(store, 250);
    assert_eq!(store.get(Space::Local, &key(1, 1)).expect("the store answers"), Some(record("one", 300)));
    assert!(store.has_body(&Digest::of(b"one")).expect("the store answers"));
}

fn a_family_and_a_scope_go_at_once(store: &dyn Store) {
    let family = FamilyId([7; 16]);
    for n in 0..6 {
        let mut record = record("one", 100);
        if n % 2 == 0 {
            record.record.family = family;
        }
        store.put(Space::Local, key(n / 3, n), record, Some(body("one"))).expect("the store answers");
        if n == 3 {
            flush(store, 0);
        }
    }
    assert_eq!(store.remove_family(Space::Fleet, &family).expect("the store answers"), 0);
    assert_eq!(store.remove_family(Space::Local, &family).expect("the store answers"), 3);
    assert_eq!(store.remove_family(Space::Local, &family).expect("the store answers"), 0);
    assert_eq!(store.remove_scope(Space::Local, &ScopeId([0; 16])).expect("the store answers"), 1);
    flush(store, 0);
    assert_eq!(store.stats().entries, 2);
    assert_eq!(store.remove_scope(Space::Local, &ScopeId([1; 16])).expect("the store answers"), 2);
    assert_eq!(store.newest(Space::Local, None, 9).expect("the store answers"), []);
}

fn a_damaged_body_is_absent_until_it_is_put_again(store: &dyn Store) {
    let digest = Digest::of(b"one");
    for is_flushed in [false, true] {
        put(store, Space::Local, key(1, 1), "one", 100);
        flush(store, 0);
        store.report_damage(&digest);
        if is_flushed {
            flush(store, 0);
        }
        assert!(store.get(Space::Local, &key(1, 1)).expect("the store answers").is_some());
        assert_eq!(store.load(Space::Local, &key(1, 1)).expect("the store answers"), None);
        assert_eq!(
            (store.body(&digest).expect("the store answers"), store.has_body(&digest).expect("the store answers")),
            (None, false)
        );
        let without_body = store.put(Space::Local, key(1, 2), record("one", 100), None);
        assert!(matches!(without_body, Err(PutError::NoBody { .. })));
        put(store, Space::Local, key(1, 1), "one", 100);
        flush(store, 0);
        assert_holds(store, Space::Local, key(1, 1), "one");
    }
    assert_eq!(store.stats().damaged, 2);
    flush(store, 100);
    assert_eq!(store.stats().bytes, 0);
}

fn the_newest_come_first(store: &dyn Store) {
    for n in [3, 1, 4, 2] {
        let mut record = record("one", 100);
        record.record.validated_at = Millis(u64::from(n));
        store.put(Space::Fleet, key(n, n), record, None).expect("the store answers");
        if n == 1 {
            flush(store, 0);
        }
    }
    let keys = |max| {
        store
            .newest(Space::Fleet, None, max)
            .expect("the store answers")
            .into_iter()
            .map(|(key, _)| key)
            .collect::<Vec<_>>()
    };
    assert_eq!(keys(3), [key(4, 4), key(3, 3), key(2, 2)]);
    assert_eq!(keys(9).len(), 4);
    let third = Some((Millis(2), key(2, 2)));
    let after_third = store.newest(Space::Fleet, third, 9).expect("the store answers");
    assert_eq!(after_third.iter().map(|(key, _)| *key).collect::<Vec<_>>(), [key(1, 1)]);
    assert_eq!(store.newest(Space::Local, None, 9).expect("the store answers"), []);
}

fn the_expired_go_in_a_flush(store: &dyn Store) {
    for n in 1..=4 {
        put(store, Space::Local, key(1, n), "one", u64::from(n) * 10);
    }
    assert_eq!(flush(store, 20).expired, 2);
    assert_eq!(store.get(Space::Local, &key(1, 2)).expect("the store answers"), None);
    assert_holds(store, Space::Local, key(1, 3), "one");
    assert_eq!(flush(store, 40).expired, 2);
    assert_eq!((store.stats().expirations, store.stats().bytes), (4, 0));
}

fn over_the_size_the_first_to_expire_goes_first(store: &dyn Store) {
    for n in 1..=12 {
        let plain = char::from(b'a' + n).to_string().repeat(100_000);
        let record = record(&plain, 1000 - u64::from(n));
        let body = Body { form: wire::Form::Identity, encoded: plain.into() };
        store.put(Space::Local, key(1, n), record, Some(body)).expect("the store answers");
    }
    let report = flush(store, 0);
    assert!(report.evicted >= 2 && report.expired == 0, "{report:?}");
    assert!(store.stats().bytes <= 1_000_000);
    assert_eq!(store.stats().entries, 12 - report.evicted as u64);
    assert!(store.get(Space::Local, &key(1, 1)).expect("the store answers").is_some());
    assert!(store.get(Space::Local, &key(1, 12)).expect("the store answers").is_none());
}

fn too_large_is_refused(store: &dyn Store) {
    let mut large = record("one", 100);
    large.record.body_bytes = limits::BODY_BYTES_MAX + 1;
    let refused = store.put(Space::Fleet, key(1, 1), large, None);
    assert!(matches!(refused, Err(PutError::TooLarge { .. })));
    let mut long = record("one", 100);
    long.etag = Some("x".repeat(limits::RECORD_BYTES_MAX as usize));
    assert!(matches!(store.put(Space::Fleet, key(1, 1), long, None), Err(PutError::TooLarge { .. })));
    let refused = store.set_meta("name", vec![0; limits::META_BYTES_MAX + 1]);
    assert!(matches!(refused, Err(PutError::TooLarge { .. })));
}

fn meta_is_kept(store: &dyn Store) {
    assert_eq!(store.meta("identity").expect("the store answers"), None);
    store.set_meta("identity", vec![1, 2]).expect("the store answers");
    assert_eq!(store.meta("identity").expect("the store answers"), Some(vec![1, 2]));
    flush(store, 0);
    assert_eq!(store.meta("identity").expect("the store answers"), Some(vec![1, 2]));
}

/// One of each kind.
pub fn graves() -> [Grave; 5] {
    let (key, scope) = (KeyId([1; 16]), ScopeId([2; 16]));
    let family = Grave::Family(FamilyId([3; 16]));
    [Grave::Everything, family, Grave::Key(key), Grave::Scope(scope), Grave::Denied(key, scope)]
}

fn tombstones_are_kept_until_they_are_forgotten(store: &dyn Store) {
    let all = |date_secs| graves().map(|of| (Tombstone { of, date_secs }, Millis(date_secs * 10)));
    for date_secs in [7, 8] {
        for (tombstone, heard_at) in all(date_secs) {
            store.bury(tombstone, heard_at).expect("the store answers");
        }
        assert_eq!(store.tombstones(), all(date_secs));
        flush(store, 0);
        assert_eq!(store.tombstones(), all(date_secs), "the last word on each");
    }
    store.unbury(&Grave::Everything);
    store.unbury(&Grave::Key(KeyId([9; 16])));
    flush(store, 0);
    assert_eq!(store.tombstones(), all(8)[1..]);
    for n in 4..limits::GRAVES_MAX as u128 {
        let of = Grave::Key(KeyId((n << 64).to_be_bytes()));
        store.bury(Tombstone { of, date_secs: 1 }, Millis(1)).expect("there is room");
    }
    let one_more = Tombstone { of: Grave::Everything, date_secs: 1 };
    assert!(matches!(store.bury(one_more, Millis(1)), Err(PutError::TooManyGraves { .. })));
    store.unbury(&graves()[1]);
    store.bury(one_more, Millis(1)).expect("there is room again");
}

fn put(store: &dyn Store, space: Space, key: EntryKey, plain: &str, stale_until: u64) {
    store.put(space, key, record(plain, stale_until), Some(body(plain))).expect("the store answers");
}

fn flush(store: &dyn Store, now: u64) -> crate::FlushReport {
    store.flush(Millis(now)).expect("the store answers")
}

/// Panics unless the record is there with a body that verifies and is `plain`.
pub fn assert_holds(store: &dyn Store, space: Space, key: EntryKey, plain: &str) {
    let record = store.get(space, &key).expect("the store answers").expect("the record is held").record;
    let body = store.body(&record.version.digest).expect("the store answers").expect("the body is held");
    let (loaded, loaded_body) = store.load(space, &key).expect("the store answers").expect("both are held");
    assert_eq!((&loaded.record, &loaded_body), (&record, &body));
    assert_eq!(body.verified(record.version.digest, record.body_bytes).expect("the store answers"), plain.as_bytes());
}
