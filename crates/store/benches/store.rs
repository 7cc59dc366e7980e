//! The store's parts, each with a stable name: `cargo bench -p store`. Beside their rivals, in one run:
//! `cargo xtask bench store`.

use std::{hint::black_box, sync::Arc};

use bytes::Bytes;
use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use store::{
    CacheDir, DiskConfig, EntryKey, Hot, Space, Store, StoredRecord,
    codec::{decode_record, encode_record},
    conformance,
};
use wire::{Body, Digest, Form, KeyId, Millis, ScopeId};

const SIZES: [(&str, usize); 3] = [("1KB", 1 << 10), ("10KB", 10 << 10), ("100KB", 100 << 10)];

/// How many entries there are, and how many are put between two commits.
const ENTRIES: u32 = 256;

fn key(n: u32) -> EntryKey {
    EntryKey { scope: ScopeId([1; 16]), key: KeyId(n.to_be_bytes().repeat(4).try_into().expect("four times four")) }
}

/// Told apart by its first bytes; not packed.
fn entry(n: u32, bytes: usize) -> (StoredRecord, Body) {
    let mut plain = vec![n as u8 ^ 0x5a; bytes];
    plain[..4].copy_from_slice(&n.to_be_bytes());
    let mut stored = conformance::record("", u64::MAX);
    stored.record.version.digest = Digest::of(&plain);
    stored.record.body_bytes = bytes as u64;
    (stored, Body { form: Form::Identity, encoded: Bytes::from(plain) })
}

fn memory(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("store/memory");
    for (name, bytes) in SIZES {
        let hot = Hot::new(1 << 30);
        let bodies: Vec<_> = (0..ENTRIES).map(|n| Arc::new(entry(n, bytes).1)).collect();
        let put = |n: u32| hot.insert(key(n), bodies[n as usize].clone(), bytes as u64);
        (0..ENTRIES).for_each(put);
        let mut turn = (0..ENTRIES).cycle();
        group.bench_function(BenchmarkId::new("get", name), |b| b.iter(|| hot.get(&key(turn.next().unwrap_or(0)))));
        group.bench_function(BenchmarkId::new("put", name), |b| b.iter(|| put(turn.next().unwrap_or(0))));
    }
    group.finish();
}

fn disk(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("store/disk");
    for (name, bytes) in SIZES {
        let temporary = tempfile::tempdir().expect("a directory");
        let dir = CacheDir::prepare(&temporary.path().join("cache")).expect("a directory");
        let (store, _) = dir.open_store(DiskConfig::new(1 << 30, [7; 32]), Millis(0)).expect("the disk is written");
        let put = |n: u32| {
            let (stored, body) = entry(n, bytes);
            store.put(Space::Local, key(n % ENTRIES), stored, Some(body)).expect("there is room");
        };
        (0..ENTRIES).for_each(put);
        store.flush(Millis(0)).expect("the disk is written");
        let mut turn = (0..ENTRIES).cycle();
        group.throughput(Throughput::Elements(1));
        group.bench_function(BenchmarkId::new("get", name), |b| {
            b.iter(|| store.load(Space::Local, &key(turn.next().unwrap_or(0))).expect("the disk is read"));
        });
        let mut next = ENTRIES;
        group.throughput(Throughput::Elements(u64::from(ENTRIES)));
        group.sample_size(10).bench_function(BenchmarkId::new("put_window", name), |b| {
            b.iter_batched(
                || {
                    next += ENTRIES;
                    (next..next + ENTRIES).map(|n| entry(n, bytes)).collect::<Vec<_>>()
                },
                |window| {
                    for (n, (stored, body)) in (0..).zip(window) {
                        store.put(Space::Local, key(n), stored, Some(body)).expect("there is room");
                    }
                    store.flush(Millis(0)).expect("the disk is written");
                },
                BatchSize::LargeInput,
            );
        });
    }
    group.finish();
}

fn codec(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("store/record");
    let (stored, _) = entry(1, 1 << 10);
    let encoded = encode_record(Space::Local, &key(1), &stored).expect("it is encodable");
    group.bench_function("encode", |b| b.iter(|| encode_record(Space::Local, &key(1), black_box(&stored))));
    group.bench_function("decode", |b| b.iter(|| decode_record(Space::Local, &key(1), black_box(&encoded))));
    group.finish();
}

criterion_group!(benches, memory, disk, codec);
criterion_main!(benches);
