use std::time::Duration;

use wire::{Digest, LimitReading, Tag};

use super::*;
use crate::{Config, Effect, Fleet, Input};

const T0: u64 = 1_000_000_000;

fn at(millis: u64) -> Millis {
    Millis(T0 + millis)
}

fn peer(name: &str) -> Peer {
    Peer::new(name)
}

fn notice(by: &str, scope: u8, remaining: u64, heard: u64) -> LimitNotice {
    let reset = at(3_600_000);
    let reading = LimitReading { resource: "core".into(), limit: 5000, remaining, used: 5000 - remaining, reset };
    LimitNotice {
        site: FamilyId([1; 16]),
        scope: ScopeId([scope; 16]),
        with: vec![],
        by: peer(by),
        readings: vec![reading],
        stopped_until: None,
        refusals: 0,
        heard_at: at(heard),
        tag: Tag(Digest::of(format!("{by} {scope} {remaining} {heard}").as_bytes()).0),
    }
}

fn stop(by: &str, scope: u8, until: u64, heard: u64) -> LimitNotice {
    LimitNotice { stopped_until: Some(at(until)), readings: vec![], ..notice(by, scope, 1, heard) }
}

fn batch(notices: &mut Notices, now: u64) -> Vec<LimitNotice> {
    match notices.next_batch(at(now)) {
        Some(Message::Limits(batch)) => batch,
        _ => vec![],
    }
}

fn hear(notices: &mut Notices, from: &str, said: Vec<LimitNotice>, now: u64) -> usize {
    notices.hear(&peer(from), &peer("me"), said, at(now)).len()
}

#[test]
fn readings_of_a_budget_are_told_once_a_second_and_the_last_one_counts() {
    let mut notices = Notices::default();
    for n in 0..10 {
        notices.tell(notice("me", 1, 4000 - n, n), at(n));
        assert_eq!(batch(&mut notices, n).len(), usize::from(n == 0));
    }
    assert_eq!(notices.due(), Some(at(1000)));
    assert_eq!(batch(&mut notices, 1000), [notice("me", 1, 3991, 9)]);
    assert_eq!(notices.due(), None, "each is told once");
}

#[test]
fn a_new_stop_is_told_at_once_and_the_same_one_is_not() {
    let mut notices = Notices::default();
    notices.tell(notice("me", 1, 4000, 0), at(0));
    assert_eq!(batch(&mut notices, 0).len(), 1);
    notices.tell(stop("me", 1, 30_000, 10), at(10));
    assert_eq!(batch(&mut notices, 10), [stop("me", 1, 30_000, 10)]);
    notices.tell(stop("me", 1, 30_000, 20), at(20));
    assert_eq!(batch(&mut notices, 20), []);
    notices.tell(notice("me", 2, 0, 30), at(30));
    assert_eq!(batch(&mut notices, 30).len(), 2, "nothing left is a stop, and what waits goes along");
}

#[test]
fn what_is_heard_is_handed_on_once_if_it_can_be_true() {
    let mut notices = Notices::default();
    let said = vec![notice("a", 1, 10, 0)];
    assert_eq!(hear(&mut notices, "a", said.clone(), 0), 1);
    assert_eq!(hear(&mut notices, "b", said, 1), 0, "told on by another");
    assert_eq!(hear(&mut notices, "b", vec![notice("b", 1, 10, 0)], 1), 1, "another machine's word");
    assert_eq!(hear(&mut notices, "a", vec![notice("me", 1, 10, 0)], 2), 0, "nobody tells us what we know");
    assert_eq!(hear(&mut notices, "a", vec![notice("a", 1, 10, 61_000)], 3), 0, "from the future");
    assert_eq!(hear(&mut notices, "a", vec![stop("a", 1, 3, 2)], 4), 0, "it is over");
}

#[test]
fn nobody_talks_anothers_word_away() {
    let mut notices = Notices::default();
    assert_eq!(hear(&mut notices, "liar", vec![notice("a", 1, 4000, 50_000)], 0), 1, "not by its own tag");
    assert_eq!(hear(&mut notices, "a", vec![stop("a", 1, 30_000, 10)], 10), 1);
    assert_eq!(notices.catch_up(at(20)).len(), 1);
    let Some(Message::Limits(told)) = notices.catch_up(at(20)).pop() else { panic!() };
    assert_eq!(told.len(), 2);
}

#[test]
fn a_member_that_tells_without_end_is_not_heard_for_the_rest_of_its_window() {
    let mut notices = Notices::default();
    let mut heard = 0;
    for n in 0..100_u64 {
        let said = (0..64).map(|scope| notice("a", scope, 10, n)).collect();
        heard += hear(&mut notices, "a", said, n);
    }
    assert_eq!(heard, limits::NOTICES_PER_WINDOW_MAX);
    assert_eq!(hear(&mut notices, "b", vec![notice("b", 1, 10, 0)], 100), 1, "another member");
    let later = u64::try_from(limits::NOTICES_WINDOW.as_millis()).unwrap();
    assert_eq!(hear(&mut notices, "a", vec![notice("a", 1, 10, later)], later), 1);
}

#[test]
fn a_new_neighbour_is_told_the_stops_first_and_nothing_that_is_over() {
    let mut notices = Notices::default();
    notices.tell(notice("me", 1, 4000, 5), at(5));
    hear(&mut notices, "a", vec![stop("a", 2, 30_000, 1), stop("a", 3, 100, 2)], 6);
    let told = notices.catch_up(at(1000));
    assert_eq!(told, [Message::Limits(vec![stop("a", 2, 30_000, 1), notice("me", 1, 4000, 5)])]);
    assert_eq!(notices.catch_up(at(4_000_000)), []);
}

#[test]
fn all_tables_are_bounded_and_keep_the_newest() {
    let mut notices = Notices::default();
    for n in 0..2 * limits::NOTICES_MAX as u64 {
        let (by, scope) = (format!("p{n}"), n.to_be_bytes());
        let mut said = notice(&by, 0, 10, n);
        said.scope.0[..8].copy_from_slice(&scope);
        notices.tell(said, at(n));
    }
    assert_eq!((notices.known.len(), notices.waiting.len()), (limits::NOTICES_MAX, limits::NOTICES_MAX));
    let newest = notices.known.values().map(|notice| notice.heard_at).max();
    assert_eq!(newest, Some(at(2 * limits::NOTICES_MAX as u64 - 1)));
    let told: usize = notices
        .catch_up(at(0))
        .iter()
        .map(|message| match message {
            Message::Limits(batch) => batch.len(),
            _ => 0,
        })
        .sum();
    assert_eq!(told, limits::CATCH_UP_NOTICES_MAX);
    for n in 0..2 * limits::PEERS_MAX as u64 {
        hear(&mut notices, &format!("p{n}"), vec![], 0);
    }
    assert_eq!(notices.rates.len(), limits::PEERS_MAX);
    let over = at(0).after(limits::NOTICES_WINDOW + Duration::from_millis(1));
    assert_eq!(notices.room(&peer("new"), 1, over), 1);
}

#[test]
fn the_core_tells_all_and_the_newcomer_and_hands_on_what_it_hears() {
    let span = Duration::from_secs(60);
    let mut fleet = Fleet::new(Config {
        me: peer("me"),
        role: wire::Role::Node,
        since: Millis::ZERO,
        alone: false,
        proof_window: span,
        stale_for: span,
    });
    let mut input = |input, now| -> Vec<Effect> {
        fleet.handle(input, at(now));
        std::iter::from_fn(|| fleet.next_effect()).collect()
    };
    input(Input::PeerConnected { peer: peer("a"), near: true }, 0);
    let own = stop("me", 1, 30_000, 10);
    let told = Message::Limits(vec![own.clone()]);
    assert_eq!(input(Input::Limited { notice: own.clone() }, 10), [Effect::Publish(told)]);

    let heard = stop("a", 1, 20_000, 20);
    let hear = |heard: &LimitNotice| Input::Heard { from: peer("a"), message: Message::Limits(vec![heard.clone()]) };
    assert_eq!(input(hear(&heard), 20), [Effect::Limits { from: peer("a"), notices: vec![heard.clone()] }]);
    assert_eq!(input(hear(&heard), 21), []);

    let newcomer = input(Input::PeerReady { peer: peer("b") }, 30);
    let missed = Effect::Send { to: peer("b"), message: Message::Limits(vec![heard, own]) };
    assert_eq!(newcomer.last(), Some(&missed));
}
