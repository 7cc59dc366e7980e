//! Two machines and more: what one learns, the others know.

use super::*;

fn peer(name: &str) -> Peer {
    Peer::new(name)
}

/// What `from` finds worth telling of `A`, taken in by `to` with A's own confirmation. Whether there was any.
fn tell(from: &mut Ledger, name: &str, to: &mut Ledger, now: u64) -> bool {
    let Some(view) = from.notice(A, at(now)) else { return false };
    to.hear(A, &view.state, Word::Confirmed { by: &peer(name) }, at(now));
    true
}

fn hear_say(ledger: &mut Ledger, from: &str, until: u64, now: u64) -> bool {
    let view = BucketState { stopped_until: Some(at(until)), ..BucketState::default() };
    ledger.hear(A, &view, Word::Hearsay { from: &peer(from), received_at: at(now) }, at(now))
}

/// How many charged requests a machine that only asks gets through from `from` to `to`, ten a second;
/// each is answered at once.
fn drink(ledger: &mut Ledger, remaining: &mut u64, from: u64, to: u64) -> u64 {
    let mut drunk = 0;
    for millis in (from * 1000..to * 1000).step_by(100) {
        if let Admit::Go(ticket) = ledger.admit(A, CORE, CLIENT, Millis(millis)) {
            *remaining -= 1;
            drunk += 1;
            ledger.learn(A, CORE, &reading(5000, *remaining, RESET), StatusCode::OK, b"", Millis(millis));
            ledger.done(ticket);
        }
    }
    drunk
}

#[test]
fn a_stop_heard_of_another_machine_stops_here_and_is_counted_down() {
    let (mut here, mut there) = (ledger(), ledger());
    learn(&mut there, A, 403, &headers(&[("retry-after", "30".to_owned())]), 10);
    assert!(tell(&mut there, "there", &mut here, 10));
    for resource in [CORE, Resource::SEARCH, Resource::GRAPHQL] {
        assert_eq!(here.admit(A, resource, CLIENT, at(12)), stopped(40, StopReason::Refused));
    }
    let answer = here.limit_answer(A, CORE, Millis(12_500)).unwrap();
    assert_eq!((answer.status, &answer.headers["retry-after"]), (StatusCode::FORBIDDEN, &"28".parse().unwrap()));
    assert!(goes(&mut here, B, CLIENT, 12), "another credential");
    assert!(goes(&mut here, A, CLIENT, 40));
}

#[test]
fn a_budget_drained_elsewhere_is_drained_here_until_its_reset() {
    let (mut here, mut there) = (ledger(), ledger());
    left(&mut here, A, 4000, 5);
    left(&mut there, A, 0, 10);
    assert!(tell(&mut there, "there", &mut here, 10));
    assert_eq!(here.admit(A, CORE, CLIENT, at(11)), stopped(RESET, StopReason::Drained));
    assert!(here.gauges(at(11)).all(|gauge| gauge.heard), "it is another machine's word");
    assert!(goes(&mut here, A, Work::Background, RESET));
}

#[test]
fn the_more_careful_view_of_a_window_counts_and_a_later_window_replaces() {
    let mut here = ledger();
    left(&mut here, A, 3000, 10);
    let mut view = |remaining, reset| {
        let mut there = ledger();
        learn(&mut there, A, 200, &reading(5000, remaining, reset), 11);
        assert!(tell(&mut there, "there", &mut here, 11));
        here.headers_for(A, CORE, at(12)).unwrap()["x-ratelimit-remaining"].to_str().unwrap().parse::<u64>().unwrap()
    };
    assert_eq!(view(3500, RESET), 3000);
    assert_eq!(view(2500, RESET), 2500);
    assert_eq!(view(100, RESET - 1000), 2500, "an earlier window");
    assert_eq!(view(4900, RESET + 1000), 4900);
}

#[test]
fn what_is_worth_telling() {
    let mut ledger = ledger();
    let told = |ledger: &mut Ledger, remaining, now| {
        left(ledger, A, remaining, now);
        ledger.notice(A, at(now)).is_some()
    };
    assert!(told(&mut ledger, 4999, 1), "the first word");
    assert!(!told(&mut ledger, 4998, 2));
    assert!(!told(&mut ledger, 4750, 3), "less than a twentieth");
    assert!(told(&mut ledger, 4749, 4));
    assert!(!told(&mut ledger, 4748, 63));
    assert!(told(&mut ledger, 4747, 64), "so that the others know who uses it");
    assert!(told(&mut ledger, 250, 65));
    assert!(!told(&mut ledger, 241, 66));
    assert!(told(&mut ledger, 240, 67), "each ten while little is left");
    assert!(told(&mut ledger, 0, 68));
    assert!(!told(&mut ledger, 0, 69));
    learn(&mut ledger, A, 429, &headers(&[("retry-after", "50".to_owned())]), 70);
    assert!(ledger.notice(A, at(70)).is_some(), "a stop");
    learn(&mut ledger, A, 429, &headers(&[("retry-after", "50".to_owned())]), 71);
    assert!(ledger.notice(A, at(71)).is_none(), "the same stop");
    learn(&mut ledger, A, 200, &reading(5000, 4999, 2 * RESET), RESET);
    assert!(ledger.notice(A, at(RESET)).is_some(), "a new window");
}

#[test]
fn what_others_know_is_not_told_again_nor_is_anything_of_the_anonymous() {
    let (mut here, mut there) = (ledger(), ledger());
    left(&mut here, A, 4000, 1);
    assert!(here.notice(A, at(1)).is_some());
    left(&mut there, A, 3000, 2);
    assert!(tell(&mut there, "there", &mut here, 2));
    left(&mut here, A, 2990, 3);
    assert!(here.notice(A, at(3)).is_none());
    left(&mut here, ANONYMOUS, 0, 4);
    assert!(here.notice(ANONYMOUS, at(4)).is_none());
    let drained = BucketState { stopped_until: Some(at(100)), ..BucketState::default() };
    assert!(!here.hear(ANONYMOUS, &drained, Word::Confirmed { by: &peer("there") }, at(5)));
    assert_eq!(here.state(ANONYMOUS).unwrap().stopped_until, None);
}

#[test]
fn credentials_of_one_budget_are_told_together() {
    let mut ledger = ledger();
    interleave(&mut ledger, 20);
    learn(&mut ledger, A, 429, &headers(&[("retry-after", "50".to_owned())]), 70);
    assert_eq!(ledger.notice(A, at(70)).unwrap().with, [B]);
}

#[test]
fn absurd_words_of_others_are_bounded() {
    let mut here = ledger();
    let far = ResourceState { limit: 10, remaining: 99, used: 0, reset: Millis(u64::MAX), seen: Millis(u64::MAX) };
    let view = BucketState {
        resources: [(CORE, far), (Resource::UNKNOWN, far)].into(),
        stopped_until: Some(Millis(u64::MAX)),
        refusals: u32::MAX,
    };
    here.hear(A, &view, Word::Confirmed { by: &peer("there") }, at(10));
    let latest = at(10).after(limits::STOP_MAX);
    let state = here.state(A).unwrap();
    assert_eq!((state.stopped_until, state.resources.len()), (Some(latest), 1));
    assert_eq!(state.resources[&CORE], ResourceState { remaining: 10, reset: latest, seen: at(10), ..far });
    // The doubling does not overflow.
    learn(&mut here, A, 429, &HeaderMap::new(), latest.as_secs() + 1);
    assert!(!goes(&mut here, A, CLIENT, latest.as_secs() + 2));
}

#[test]
fn hearsay_stops_for_a_minute_and_not_again_for_ten() {
    let mut here = ledger();
    left(&mut here, A, 3000, 5);
    assert!(hear_say(&mut here, "m", 5000, 10));
    assert_eq!(here.admit(A, CORE, CLIENT, at(11)), stopped(70, StopReason::Refused));
    assert_eq!(here.limit_answer(A, CORE, at(11)).unwrap().headers["retry-after"], "59");
    assert!(here.notice(A, at(12)).is_none_or(|view| view.state.stopped_until.is_none()), "it is not told on");
    assert!(goes(&mut here, A, CLIENT, 70));
    assert!(!hear_say(&mut here, "m", 5000, 71), "this member has had its word");
    assert!(goes(&mut here, A, CLIENT, 72));
    assert!(hear_say(&mut here, "another", 80, 73));
    assert_eq!(here.admit(A, CORE, CLIENT, at(74)), stopped(80, StopReason::Refused), "no longer than it was said");
    assert!(hear_say(&mut here, "m", 5000, 610));
}

#[test]
fn hearsay_says_nothing_of_what_is_left() {
    let mut here = ledger();
    let drained = ResourceState { limit: 5000, remaining: 0, used: 5000, reset: at(RESET), seen: at(9) };
    let view = BucketState { resources: [(CORE, drained)].into(), ..BucketState::default() };
    here.hear(A, &view, Word::Hearsay { from: &peer("m"), received_at: at(10) }, at(10));
    assert!(goes(&mut here, A, CLIENT, 11));
}

#[test]
fn a_machine_alone_may_have_all_that_is_left() {
    let mut here = ledger();
    let mut remaining = 200;
    left(&mut here, A, remaining, 0);
    assert_eq!(drink(&mut here, &mut remaining, 0, 30), 200);
}

#[test]
fn a_machine_that_only_asks_leaves_the_others_their_share_of_the_last_calls() {
    let mut here = ledger();
    let mut remaining = 210;
    left(&mut here, A, remaining, 0);
    for (other, now) in [("b", 1), ("c", 2), ("d", 3)] {
        let mut there = ledger();
        left(&mut there, A, remaining, now);
        assert!(tell(&mut there, other, &mut here, now));
    }
    let at_once = drink(&mut here, &mut remaining, 4, 34);
    assert_eq!(at_once, 53, "a quarter of 210, rounded up");
    assert!(
        matches!(here.admit(A, CORE, CLIENT, at(34)), Admit::Stopped { reason: StopReason::Shared, until } if until > at(34) && until < at(34 + 300))
    );
    assert_eq!(here.admit(A, CORE, Work::Client { has_stale: true }, at(34)), Admit::PreferStale);
    assert_eq!(here.admit(A, CORE, Work::Background, at(34)), Admit::PreferStale);
    assert!(goes(&mut here, A, Work::Proof, 34), "a proof is free");

    let later = drink(&mut here, &mut remaining, 34, 280);
    assert!((2..=6).contains(&later), "it goes on, at a pace: {later}");
    // The others have said nothing for five minutes.
    assert!(drink(&mut here, &mut remaining, 310, 340) > 100);
}

#[test]
fn who_has_had_its_share_is_told_when_its_turn_is() {
    let mut here = ledger();
    let mut remaining = 20;
    left(&mut here, A, remaining, 0);
    let mut there = ledger();
    left(&mut there, A, remaining, 1);
    assert!(tell(&mut there, "there", &mut here, 1));
    assert_eq!(drink(&mut here, &mut remaining, 2, 10), 10);
    let Admit::Stopped { until, reason } = here.admit(A, CORE, CLIENT, at(10)) else { panic!("it goes") };
    let answer = here.answer_to(A, CORE, (until, reason), at(10));
    assert_eq!(answer.headers["retry-after"], until.since(at(10)).as_millis().div_ceil(1000).to_string());
    assert_eq!(answer.headers["x-ratelimit-remaining"], "10");
    assert!(String::from_utf8_lossy(&answer.body).contains("its share"));
    assert!(goes(&mut here, A, CLIENT, until.as_secs() + 1));
}

#[test]
fn a_new_window_has_new_shares() {
    let mut here = ledger();
    let mut remaining = 20;
    left(&mut here, A, remaining, RESET - 100);
    let mut there = ledger();
    left(&mut there, A, remaining, RESET - 99);
    assert!(tell(&mut there, "there", &mut here, RESET - 99));
    assert_eq!(drink(&mut here, &mut remaining, RESET - 98, RESET - 90), 10);
    learn(&mut here, A, 200, &reading(5000, 4999, 2 * RESET), RESET + 1);
    assert!((0..50).all(|n| goes(&mut here, A, CLIENT, RESET + 2 + n)));
}
