//! Sealing and opening beside the bare AEAD: `cargo bench -p crypto`. Prints the ratios of one run of
//! interleaved rounds first; the goal is 0.9 of the bare AEAD's throughput at 64 KiB.

#![expect(clippy::print_stdout, reason = "the figures are this program's output")]

use std::{hint::black_box, time::Instant};

use chacha20poly1305::{
    KeyInit, XChaCha20Poly1305, XNonce,
    aead::{Aead, Payload},
};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group};
use crypto::{FleetKeys, SealingKey, Secret, SegmentOpener, SegmentSealer};

const SIZES: [(&str, usize); 3] = [("1KiB", 1 << 10), ("64KiB", 64 << 10), ("1MiB", 1 << 20)];
const BOUND: &[u8] = b"what both sides know";
const NONCE: [u8; 24] = [5; 24];

fn ours() -> SealingKey {
    FleetKeys::derive(&Secret::generate([3; 32])).sealing
}

fn bare() -> XChaCha20Poly1305 {
    XChaCha20Poly1305::new(&[3; 32].into())
}

fn bare_seal(cipher: &XChaCha20Poly1305, msg: &[u8]) -> Vec<u8> {
    cipher.encrypt(&XNonce::from(NONCE), Payload { msg, aad: BOUND }).expect("the message is short")
}

fn bare_open(cipher: &XChaCha20Poly1305, msg: &[u8]) -> Vec<u8> {
    cipher.decrypt(&XNonce::from(NONCE), Payload { msg, aad: BOUND }).expect("it was sealed so")
}

fn sealing(criterion: &mut Criterion) {
    let (key, cipher) = (ours(), bare());
    for (name, bytes) in SIZES {
        let plain = vec![7; bytes];
        let (sealed, bare_sealed) = (key.seal(NONCE, BOUND, &plain), bare_seal(&cipher, &plain));
        let segment = SegmentSealer::new(&key, [1; 19], BOUND).seal(&plain, true);
        let mut group = criterion.benchmark_group("crypto");
        group.throughput(Throughput::Bytes(bytes as u64));
        group.bench_function(BenchmarkId::new("seal", name), |b| b.iter(|| key.seal(NONCE, BOUND, black_box(&plain))));
        group.bench_function(BenchmarkId::new("open", name), |b| b.iter(|| key.open(BOUND, black_box(&sealed))));
        group.bench_function(BenchmarkId::new("seal_segment", name), |b| {
            b.iter(|| SegmentSealer::new(&key, [1; 19], BOUND).seal(black_box(&plain), true));
        });
        group.bench_function(BenchmarkId::new("open_segment", name), |b| {
            b.iter(|| SegmentOpener::new(key.clone(), [1; 19], BOUND.to_vec()).open(black_box(&segment).clone(), true));
        });
        group.bench_function(BenchmarkId::new("bare_seal", name), |b| b.iter(|| bare_seal(&cipher, black_box(&plain))));
        group.bench_function(BenchmarkId::new("bare_open", name), |b| {
            b.iter(|| bare_open(&cipher, black_box(&bare_sealed)));
        });
        group.finish();
    }
}

/// Throughput over that of the bare AEAD: the median over rounds in which both take turns.
fn ratio(mut ours: impl FnMut(), mut bare: impl FnMut()) -> f64 {
    const ROUNDS: usize = 301;
    let time = |work: &mut dyn FnMut()| {
        let start = Instant::now();
        (0..10).for_each(|_| work());
        start.elapsed().as_secs_f64()
    };
    let mut ratios: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let ours = time(&mut ours);
            time(&mut bare) / ours
        })
        .collect();
    ratios.sort_by(f64::total_cmp);
    ratios[ROUNDS / 2]
}

fn ratios() {
    let (key, cipher) = (ours(), bare());
    println!("throughput over the bare AEAD's, medians of interleaved rounds; the goal is 0.9 at 64 KiB");
    for (name, bytes) in SIZES {
        let plain = vec![7; bytes];
        let (sealed, bare_sealed) = (key.seal(NONCE, BOUND, &plain), bare_seal(&cipher, &plain));
        let seal =
            ratio(|| drop(black_box(key.seal(NONCE, BOUND, &plain))), || drop(black_box(bare_seal(&cipher, &plain))));
        let open =
            ratio(|| drop(black_box(key.open(BOUND, &sealed))), || drop(black_box(bare_open(&cipher, &bare_sealed))));
        let verdict = if seal >= 0.9 && open >= 0.9 { "met" } else { "MISSED" };
        println!("{name}: seal {seal:.2}, open {open:.2}, {verdict}");
    }
}

criterion_group!(benches, sealing);

fn main() {
    if !std::env::args().any(|argument| argument == "--test" || argument == "--list") {
        ratios();
    }
    benches();
    Criterion::default().configure_from_args().final_summary();
}
