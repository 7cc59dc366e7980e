//! Who begins, who gives way, who is refused; and that nothing moves in vain.

use std::time::Duration;

use fleet::limits;
use wire::{Message, Role, SyncStep, SyncWord, Want, WantWord};

use crate::world::{Dice, Entry, T0, World, at, steady};

fn entries(keys: std::ops::Range<u64>, validated_ms: i64) -> Vec<Entry> {
    keys.map(|key| Entry { key, version: 1, validated_ms: validated_ms - key as i64, ttl_secs: 3600 }).collect()
}

fn ask(session: u16, cutoff_secs: u64, frame: Vec<u8>) -> Message {
    Message::Sync(SyncStep { session, entries: 9, word: SyncWord::Ask { cutoff_secs, frame } })
}

fn want(session: u16, word: WantWord) -> Message {
    Message::Want(Want { session, word })
}

#[test]
fn two_that_begin_at_once_compare_once() {
    let mut world = World::pair();
    world.know(0, &entries(0..20, -60_000));
    world.know(1, &entries(10..30, -60_000));
    world.meet(0, 1);
    world.input(1, fleet::Input::PeerReady { peer: crate::world::peer(0) });
    assert!(world.run(Duration::from_secs(1), |world| (0..2).all(|n| world.known(n) == 30)));
    world.run_for(Duration::from_secs(1));
    assert_eq!((world.traffic.records, world.traffic.refusals), (20, 0), "{:?}", world.traffic);
    assert_eq!(world.traffic.questions, 3, "two openings, and one wish: {:?}", world.traffic);
}

#[test]
fn of_two_records_of_a_key_only_the_newer_one_moves() {
    let mut world = World::pair();
    let (old, new) = (entries(0..40, -300_000), entries(0..40, -60_000));
    world.know(0, &[&old[..20], &new[20..]].concat());
    world.know(1, &[&new[..20], &old[20..]].concat());
    world.meet(0, 1);
    world.run_for(Duration::from_secs(5));
    assert_eq!(world.traffic.records, 40, "{:?}", world.traffic);
    world.take_traffic();
    world.run_for(limits::SYNC_PERIOD * 3 / 2);
    assert_eq!(world.traffic.records, 0, "{:?}", world.traffic);
}

#[test]
fn a_snapshot_goes_on_with_the_next_neighbour_where_the_first_one_left() {
    let mut world = World::new(&[Role::Node; 3]);
    for node in [1, 2] {
        world.know(node, &entries(0..2000, -60_000));
    }
    world.meet(0, 1);
    assert!(world.run(Duration::from_secs(1), |world| world.known(0) >= 1000));
    world.meet(0, 2);
    world.part(0, 1);
    assert!(world.run(Duration::from_secs(1), |world| world.nodes[0].has_caught_up()));
    assert_eq!(world.known(0), 2000);
    assert!(world.traffic.records < 2300, "no page but the cut one is told twice: {:?}", world.traffic);
}

#[test]
fn a_machine_that_lives_for_minutes_takes_the_newest_page_and_leaves_it_at_that() {
    let mut world = World::new(&[Role::Ephemeral, Role::Node]);
    world.know(1, &entries(0..2000, -60_000));
    world.meet(0, 1);
    assert!(world.run(Duration::from_secs(1), |world| world.nodes[0].has_caught_up()));
    world.input(0, fleet::Input::PeerReady { peer: crate::world::peer(1) });
    world.run_for(Duration::from_secs(600));
    assert_eq!(world.known(0), wire::limits::TOLD_RECORDS_MAX);
    assert_eq!(world.traffic.records, wire::limits::TOLD_RECORDS_MAX as u64);
}

#[test]
fn who_knows_little_and_meets_who_knows_much_takes_it_all() {
    let mut world = World::pair();
    world.know(0, &entries(1990..2010, -60_000));
    world.know(1, &entries(0..2000, -60_000));
    world.meet(0, 1);
    assert!(world.run(Duration::from_secs(1), |world| world.known(0) == 2010), "{:?}", world.traffic);
    assert!(world.traffic.questions < 12, "pages, not ids: {:?}", world.traffic);
    assert!(world.run(limits::SYNC_PERIOD * 3 / 2, |world| world.known(1) == 2010), "the next round tells the rest");
}

#[test]
fn two_that_know_nothing_have_caught_up_at_once() {
    let mut world = World::pair();
    world.meet(0, 1);
    assert!(world.run(Duration::from_millis(50), |world| world.nodes[0].has_caught_up()));
}

#[test]
fn a_neighbour_that_does_not_answer_costs_an_opening_now_and_then() {
    let mut world = World::pair();
    world.know(0, &steady(1, &mut Dice(5)));
    world.deaf = vec![1];
    world.meet(0, 1);
    world.run_for(Duration::from_secs(600));
    assert!(!world.nodes[0].has_caught_up());
    let traffic = world.traffic;
    assert!((10..=31).contains(&traffic.words), "{traffic:?}");
    assert!(traffic.word_bytes <= traffic.words * 420, "{traffic:?}");
}

#[test]
fn what_is_told_after_a_comparison_keeps_to_its_rate() {
    let mut world = World::pair();
    world.know(0, &entries(0..4000, -60_000));
    world.know(1, &entries(2000..6000, -60_000));
    world.meet(0, 1);
    world.run_for(Duration::from_secs(4));
    let most = 2 * (limits::SYNC_BYTES_BURST + 5 * limits::SYNC_BYTES_PER_SEC + 2 * (64 << 10));
    assert!(world.traffic.record_bytes < most * 3 / 2, "{:?}", world.traffic);
    assert!(world.known(0) < 6000, "it does not fit into that");
    assert!(world.run(Duration::from_secs(120), |world| (0..2).all(|n| world.known(n) == 6000)));
}

#[test]
fn a_cutoff_that_is_far_off_is_refused_and_a_frame_without_sense_ends_the_session() {
    let mut world = World::pair();
    world.know(0, &entries(0..10, -60_000));
    world.connect(0, 1);
    let far = [T0 - 61, T0 + 61, 0, u64::MAX];
    for cutoff in far {
        world.hear(0, 1, ask(1, cutoff, vec![0x61]));
    }
    assert_eq!(world.take_traffic().refusals, far.len() as u64);
    for frame in [vec![], vec![0x62], vec![0x61, 0, 0, 9], vec![0x61, 0, 0, 2, 0xff, 0xff, 0x7f]] {
        world.hear(0, 1, ask(2, T0 + 30 + world.now.as_secs(), frame.clone()));
        world.hear(0, 1, want(2, WantWord::Places(vec![wire::Place([0; 6])])));
        let traffic = world.take_traffic();
        assert_eq!((traffic.refusals, traffic.words), (1, 1), "{frame:?}: {traffic:?}");
        world.now += limits::SYNC_SERVE_INTERVAL;
    }
}

#[test]
fn a_member_that_asks_too_often_or_is_one_too_many_is_refused() {
    let mut world = World::new(&[Role::Node; 5]);
    world.know(0, &entries(0..1000, -60_000));
    for other in 1..4 {
        world.connect(0, other);
    }
    // Each knows nothing, as far as a first frame says.
    let frame = vec![0x61, 0, 0, 2, 0];
    world.hear(0, 1, ask(1, T0 + 30, frame.clone()));
    world.hear(0, 1, ask(2, T0 + 30, frame.clone()));
    assert_eq!(world.take_traffic().refusals, 1, "it has just begun one");
    world.hear(0, 2, ask(1, T0 + 30, frame.clone()));
    assert_eq!(world.take_traffic().refusals, 0);
    world.hear(0, 3, ask(1, T0 + 30, frame.clone()));
    world.hear(0, 3, want(1, WantWord::Page { from: None, records_max: 256 }));
    assert_eq!(world.take_traffic().refusals, 2, "two are at it");
    world.hear(0, 4, ask(1, T0 + 30, frame));
    assert_eq!(world.take_traffic().words, 0, "it is no neighbour");
}

#[test]
fn who_wants_pages_without_end_gets_them_at_the_rate_of_snapshots() {
    let mut world = World::pair();
    world.know(0, &entries(0..1000, -60_000));
    world.connect(0, 1);
    for _ in 0..100_000 {
        world.hear(0, 1, want(1, WantWord::Page { from: None, records_max: 256 }));
    }
    let most = limits::SNAPSHOT_BYTES_BURST + (256 << 10);
    assert!(world.traffic.record_bytes < 2 * most, "{:?}", world.traffic);
    world.take_traffic();
    world.run_for(Duration::from_secs(1));
    assert!(world.traffic.records <= 256, "one page waits, not many: {:?}", world.traffic);
}

#[test]
fn a_server_that_turns_the_pages_back_is_not_followed() {
    let mut world = World::pair();
    world.connect(0, 1);
    world.deaf = vec![1];
    world.input(0, fleet::Input::PeerReady { peer: crate::world::peer(1) });
    let session = ((T0 + 1) & 0xffff) as u16;
    let cursor = |ms: u64| {
        let (key, scope) = at(1);
        Some(wire::Cursor { validated_at: wire::Millis(ms), key, scope })
    };
    for ms in [2000, 1000, 1000] {
        world.hear(0, 1, want(session, WantWord::Told { next: cursor(ms) }));
    }
    assert!(world.nodes[0].has_caught_up(), "the page that came twice was the last");
    assert_eq!(world.traffic.questions, 3, "{:?}", world.traffic);
}
