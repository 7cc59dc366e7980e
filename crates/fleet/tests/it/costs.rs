//! The bounds that are promised; `cargo run -p fleet --example sync-cost` prints the figures.

use std::time::Duration;

use crate::world::{Dice, Entry, World, steady};

#[test]
fn in_sync_a_round_is_one_round_trip_and_half_a_kilobyte() {
    for ahead_ms in [-10_000, 0, 2_000, 10_000] {
        let entries = steady(1, &mut Dice(1));
        assert!((4_700..5_300).contains(&entries.len()), "{}", entries.len());
        let mut world = World::pair();
        world.ahead_ms[1] = ahead_ms;
        world.know(0, &entries);
        world.know(1, &entries);
        world.meet(0, 1);
        assert!(world.run(Duration::from_secs(1), |world| world.nodes[0].has_caught_up()));
        assert!(world.nodes[1].has_caught_up(), "the other knows it, too");
        let traffic = world.take_traffic();
        assert_eq!((traffic.questions, traffic.words, traffic.records), (1, 2, 0), "{traffic:?}");
        assert!(traffic.word_bytes <= 500, "{traffic:?}");
    }
}

#[test]
fn ten_minutes_away_cost_little_more_than_the_records_themselves() {
    let is_old = |entry: &&Entry| entry.validated_ms < -600_000;
    for is_away in [0, 1] {
        let entries = steady(1, &mut Dice(2));
        let old: Vec<Entry> = entries.iter().filter(is_old).copied().collect();
        let mut world = World::pair();
        world.know(is_away, &old);
        world.know(1 - is_away, &entries);
        let (all, alive) = (world.known(1 - is_away), world.known(is_away));
        world.meet(0, 1);
        assert!(world.run(Duration::from_secs(9), |world| world.nodes.iter().all(fleet::Fleet::has_caught_up)));
        let traffic = world.take_traffic();
        assert!(traffic.word_bytes <= 25_000, "{traffic:?}");
        let (missed, soon_over) = ((all - alive) as u64, 60);
        assert!((missed - soon_over..=missed).contains(&traffic.records), "{missed} missed, {traffic:?}");
    }
}

#[test]
fn an_empty_joiner_has_the_index_within_two_seconds() {
    let entries = steady(1, &mut Dice(3));
    let mut world = World::pair();
    world.know(1, &entries);
    let all = world.known(1);
    world.meet(0, 1);
    assert!(world.run(Duration::from_secs(2), |world| world.nodes[0].has_caught_up()), "{:?}", world.traffic);
    assert!(world.known(0) >= all - 5, "{} of {all}", world.known(0));
    assert_eq!(world.traffic.questions, (all as u64).div_ceil(256));
}

#[test]
fn a_thousand_pairs_of_nodes_end_up_with_the_same() {
    let mut dice = Dice(4);
    for pair in 0..1000 {
        // Few moments, so that most elements have the same time as others; several versions of a key.
        let (keys, moments, share) = (1 + dice.roll(100), 1 + dice.roll(5), 1 + dice.roll(10));
        let mut sides = [Vec::new(), Vec::new()];
        let mut union = std::collections::BTreeSet::new();
        for key in 0..keys {
            for side in &mut sides {
                if dice.roll(10) >= share {
                    continue;
                }
                let validated_ms = -60_000 - 7_000 * dice.roll(moments) as i64;
                side.push(Entry { key, version: dice.roll(2), validated_ms, ttl_secs: 3600 });
                union.insert(key);
            }
        }
        let mut world = World::pair();
        world.know(0, &sides[0]);
        world.know(1, &sides[1]);
        world.meet(0, 1);
        let is_same = |world: &World| (0..2).all(|n| world.known(n) == union.len());
        assert!(world.run(Duration::from_secs(300), is_same), "pair {pair}: {:?}", world.traffic);
        world.run_for(Duration::from_secs(300));
        // Whether all of it is the same, versions included, is what a comparison says.
        world.take_traffic();
        world.run_for(Duration::from_secs(200));
        let traffic = world.take_traffic();
        assert_eq!((traffic.records, traffic.words), (0, 2 * traffic.questions), "pair {pair}: {traffic:?}");
        assert!(traffic.questions >= 2, "pair {pair}: {traffic:?}");
    }
}
