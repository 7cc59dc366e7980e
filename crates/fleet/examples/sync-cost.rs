//! What a comparison of two indexes costs, as a table: `cargo run --release -p fleet --example sync-cost`.
//!
//! Two cores in one process, over a link of 20 ms each way and 100 Mbit/s; bytes are those of sealed
//! messages, in both directions.
#![allow(clippy::print_stdout, clippy::unwrap_used, dead_code, reason = "an example that prints, and a tests' world")]

#[path = "../tests/it/world.rs"]
mod world;

use std::time::{Duration, Instant};

use world::{Dice, Entry, World, peer, steady};

fn main() {
    println!("| case | entries | differ | round trips | reconciliation | records | time |");
    println!("|---|---|---|---|---|---|---|");
    for scale in [1, 4, 9] {
        let all = steady(scale, &mut Dice(1));
        let before =
            |secs: i64| all.iter().filter(|entry| entry.validated_ms < -secs * 1000).copied().collect::<Vec<_>>();
        let lossy = |share: u64, secs: i64| {
            let mut dice = Dice(7);
            let is_heard = |entry: &&Entry| entry.validated_ms < -secs * 1000 || dice.roll(100) >= share;
            all.iter().filter(is_heard).copied().collect::<Vec<_>>()
        };
        compare("in sync", &all, &all, 0);
        compare("in sync, clocks 10 s apart", &all, &all, 10_000);
        compare("5 % lost in the last minute", &lossy(5, 60), &all, 0);
        compare("a minute away", &before(60), &all, 0);
        compare("ten minutes away", &before(600), &all, 0);
        compare("1 % lost over all ages", &lossy(1, 1_000_000), &all, 0);
        compare("an empty joiner (snapshot)", &[], &all, 0);
    }
    println!();
    println!("| entries | opening (builds the set) | first answer (builds the set) |");
    println!("|---|---|---|");
    for scale in [1, 10] {
        stall(&steady(scale, &mut Dice(1)));
    }
}

fn compare(case: &str, here: &[Entry], there: &[Entry], ahead_ms: i64) {
    let mut world = World::pair();
    world.ahead_ms[1] = ahead_ms;
    world.know(0, here);
    world.know(1, there);
    let (known, missing) = (world.known(1), world.known(1).saturating_sub(world.known(0)));
    world.meet(0, 1);
    let is_done = world.run(Duration::from_secs(60), |world| world.nodes[0].has_caught_up());
    assert!(is_done, "{case} does not end");
    let (took, traffic) = (world.now, world.traffic);
    println!(
        "| {case} | {known} | {missing} | {} | {:.1} KB | {:.0} KB | {:.2} s |",
        traffic.questions,
        traffic.word_bytes as f64 / 1000.0,
        traffic.record_bytes as f64 / 1000.0,
        took.as_secs_f64(),
    );
}

/// How long the core does nothing else.
fn stall(entries: &[Entry]) {
    let mut world = World::pair();
    world.know(0, entries);
    world.know(1, entries);
    let known = world.known(0);
    world.connect(0, 1);
    let before = Instant::now();
    world.input(0, fleet::Input::PeerReady { peer: peer(1) });
    let opening = before.elapsed();
    let before = Instant::now();
    world.run(Duration::from_secs(1), |world| world.traffic.words > 1);
    let answer = before.elapsed();
    println!("| {known} | {:.1} ms | {:.1} ms |", opening.as_secs_f64() * 1000.0, answer.as_secs_f64() * 1000.0);
}
