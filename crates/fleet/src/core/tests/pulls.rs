//! Stories of holders that are slow, hung, gone or lying.

use super::*;

/// Longer than one segment, so that it comes from one holder at a time.
const LARGE: &str = include_str!("pulls.rs");
const LARGE_TIMES: usize = 16;

/// Connected holders of a body; the first has the shortest round trip.
fn holders(names: &[&str], body: &str) -> Node {
    let mut node = Node::new();
    for (n, name) in names.iter().enumerate() {
        node.connect(name);
        node.input(Input::RoundTrip { peer: peer(name), millis: 1 << n });
        node.hear(name, announcement(record(body, 0), None));
    }
    node
}

fn large() -> String {
    LARGE.repeat(LARGE_TIMES)
}

impl Node {
    fn pulled(&mut self, from: &str, result: Result<(), PullFailure>) -> Vec<String> {
        told(&self.input(Input::Pulled { ask: AskId(1), from: peer(from), result }))
    }

    fn began(&mut self, from: &str) -> Vec<String> {
        told(&self.input(Input::PullBegan { ask: AskId(1), from: peer(from) }))
    }

    fn stalled(&mut self, from: &str) -> Vec<String> {
        told(&self.input(Input::PullStalled { ask: AskId(1), from: peer(from) }))
    }

    fn due(&self) -> Option<u64> {
        self.fleet.next_deadline().filter(|at| *at != self.fleet.members.due()).map(|at| at.0 - T0 * 1000)
    }
}

#[test]
fn a_hung_holder_costs_the_hedge_time_and_no_more() {
    let mut node = holders(&["hung", "b"], "body");
    assert_eq!(told(&node.ask(1)), ["pull from hung"]);
    assert_eq!(node.due(), Some(30));
    assert!(node.at(29).wake().is_empty());
    assert_eq!(told(&node.at(30).wake()), ["pull from b"]);
    assert_eq!(node.at(32).pulled("b", Ok(())), ["cancel hung", "found 4"]);
    assert!(node.pulled("hung", Ok(())).is_empty(), "the second answer is none");
    assert_eq!(node.due(), None);
}

#[test]
fn at_most_three_are_asked_at_once_and_the_deadline_ends_them_all() {
    let mut node = holders(&["a", "b", "c", "d"], "body");
    assert_eq!(told(&node.ask(1)), ["pull from a"]);
    assert_eq!(told(&node.at(30).wake()), ["pull from b"]);
    assert_eq!(node.due(), Some(60));
    assert_eq!(told(&node.at(60).wake()), ["pull from c"]);
    assert_eq!(node.due(), Some(150), "there is no fourth");
    assert_eq!(told(&node.at(150).wake()), ["cancel a", "cancel b", "cancel c", "nothing"]);
}

#[test]
fn who_let_this_node_wait_is_asked_last_for_a_while() {
    let mut node = holders(&["hung", "b"], "body");
    node.ask(1);
    node.at(30).wake();
    node.at(31).pulled("b", Ok(()));
    let lost = || Input::BodyLost { digest: Digest::of(b"body") };
    node.input(lost());
    assert_eq!(told(&node.at(2000).ask(1)), ["pull from b"]);
    node.pulled("b", Ok(()));
    node.input(lost());
    assert_eq!(told(&node.at(32_000).ask(1)), ["pull from hung"], "the nearer one gets another chance");
}

#[test]
fn who_lost_a_race_has_not_failed() {
    let mut node = holders(&["a", "b", "c"], "body");
    node.ask(1);
    node.at(30).wake();
    assert_eq!(node.at(33).pulled("a", Ok(())), ["cancel b", "found 4"]);
    node.input(Input::PeerGone { peer: peer("a") });
    node.input(Input::BodyLost { digest: Digest::of(b"body") });
    assert_eq!(told(&node.at(2000).ask(1)), ["pull from b"], "before c, which is farther away");
}

#[test]
fn a_failure_is_followed_by_the_next_holder_at_once_and_rivals_stay() {
    let mut node = holders(&["a", "b", "c"], "body");
    node.ask(1);
    assert_eq!(told(&node.at(30).wake()), ["pull from b"]);
    assert_eq!(node.at(35).pulled("a", Err(PullFailure::Unavailable)), ["pull from c"]);
    assert!(node.at(36).pulled("b", Err(PullFailure::Unavailable)).is_empty(), "c is still on its way");
    assert_eq!(node.at(37).pulled("c", Err(PullFailure::Unavailable)), ["nothing"]);
}

#[test]
fn holders_of_the_same_body_for_another_credential_are_rivals_too() {
    let mut node = holders(&["a"], "body");
    node.connect("b");
    node.hear("b", Announcement { scope: OTHER, tag: None, ..announcement(record("body", 0), None) });
    assert_eq!(told(&node.ask(1)), ["pull from a"]);
    assert_eq!(told(&node.at(30).wake()), ["pull from b"]);
    assert_eq!(node.at(31).pulled("b", Ok(())), ["cancel a", "found 4"]);
}

#[test]
fn of_a_large_body_only_the_beginning_is_a_race() {
    let mut node = holders(&["a", "b"], &large());
    assert_eq!(told(&node.ask(1)), ["pull from a"]);
    assert_eq!(told(&node.at(30).wake()), ["pull from b"]);
    assert_eq!(node.at(40).began("b"), ["cancel a"]);
    assert!(node.at(120).wake().is_empty(), "no rival joins later");
    let found = format!("found {}", large().len());
    assert_eq!(node.pulled("b", Ok(())), [found]);
}

#[test]
fn a_large_body_that_stalls_goes_on_at_the_next_holder() {
    let mut node = holders(&["a", "b"], &large());
    node.ask(1);
    assert!(node.at(5).began("a").is_empty());
    let effects = node.at(100).input(Input::PullStalled { ask: AskId(1), from: peer("a") });
    assert_eq!(told(&effects), ["cancel a", "pull from b"]);
    assert!(matches!(effects[1], Effect::Pull { resume: true, .. }));
    assert!(node.at(110).began("b").is_empty());
    assert!(node.at(120).stalled("b").is_empty(), "with nobody else to ask, it is waited for");
    assert_eq!(node.at(130).pulled("b", Ok(())), [format!("found {}", large().len())]);
}

#[test]
fn a_large_body_that_breaks_off_goes_on_at_the_next_holder() {
    let mut node = holders(&["a", "b"], &large());
    node.ask(1);
    node.at(5).began("a");
    assert_eq!(told(&node.at(50).input(Input::PeerGone { peer: peer("a") })), ["cancel a", "pull from b"]);
}

#[test]
fn who_was_beaten_to_the_beginning_can_still_be_asked_for_the_rest() {
    for (winner, loser) in [("a", "b"), ("b", "a")] {
        let mut node = holders(&["a", "b"], &large());
        node.ask(1);
        assert_eq!(told(&node.at(30).wake()), ["pull from b"]);
        assert_eq!(node.at(31).began(winner), [format!("cancel {loser}")]);
        assert_eq!(node.at(100).stalled(winner), [format!("cancel {winner}"), format!("pull from {loser}")]);
    }
}

#[test]
fn a_wrong_body_of_two_holders_names_nobody_and_is_asked_of_one() {
    let mut node = holders(&["a", "b"], &large());
    node.ask(1);
    node.at(5).began("a");
    node.at(20).stalled("a");
    node.at(25).began("b");
    let effects = node.at(30).input(Input::Pulled { ask: AskId(1), from: peer("b"), result: Err(PullFailure::Mixed) });
    assert_eq!(told(&effects), ["pull from b"]);
    assert!(matches!(effects[0], Effect::Pull { resume: false, .. }), "all of it");
    assert_eq!(node.at(40).pulled("b", Err(PullFailure::Wrong)), ["drop b", "nothing"]);
}

#[test]
fn pulls_of_one_question_are_bounded() {
    let names = ["a", "b", "c", "d", "e", "f", "g", "h"];
    let mut node = holders(&names, "body");
    assert_eq!(told(&node.ask(1)), ["pull from a"]);
    let mut pulls = 1;
    for name in names {
        pulls += node.pulled(name, Err(PullFailure::Unavailable)).iter().filter(|t| t.starts_with("pull")).count();
    }
    assert_eq!(pulls, limits::PULL_ATTEMPTS_MAX);
    assert_eq!(node.fleet.asks_len(), 0);
}

#[test]
fn equal_holders_share_the_work() {
    let mut first = BTreeSet::new();
    for id in 0..50 {
        let mut node = Node::new();
        for name in ["a", "b", "c"] {
            node.connect(name);
            node.hear(name, announcement(record("body", 0), None));
        }
        first.extend(told(&node.ask(id)));
    }
    assert_eq!(first.len(), 3, "{first:?}");
}

#[test]
fn a_client_that_leaves_takes_its_pulls_along() {
    let mut node = holders(&["a"], "body");
    node.ask(1);
    assert_eq!(told(&node.input(Input::Cancelled { ask: AskId(1) })), ["cancel a", "nothing"]);
}

#[test]
fn an_owner_fetches_a_copy_once_and_has_it_then() {
    let mut node = Node::new();
    node.connect("a");
    let copy = |node: &mut Node, announcement: &Announcement| {
        node.fleet.copy(&peer("a"), announcement.clone(), Millis(T0 * 1000 + node.now));
        told(&node.wake())
    };
    let wanted = announcement(record("body", 0), None);
    assert_eq!(copy(&mut node, &wanted), ["fetch from a"]);
    assert!(copy(&mut node, &wanted).is_empty(), "it is on its way");
    let fetched = |result| Input::Fetched { from: peer("a"), announcement: wanted.clone(), result };
    node.input(fetched(Ok(())));
    assert!(copy(&mut node, &wanted).is_empty(), "it is here");
    assert_eq!(told(&node.ask(1)), ["found 4"]);

    let mut long = wanted.clone();
    long.record.version.digest = Digest::of(b"long");
    long.record.body_bytes = limits::COPY_BYTES_MAX + 1;
    assert!(copy(&mut node, &long).is_empty());
    for n in 0..=limits::COPIES_MAX {
        let key = KeyId([10 + n as u8; 16]);
        let expected: &[&str] = if n < limits::COPIES_MAX { &["fetch from a"] } else { &[] };
        assert_eq!(copy(&mut node, &Announcement { key, ..wanted.clone() }), expected);
    }
}

#[test]
fn a_wrong_copy_names_who_sent_it_and_a_doubted_one_is_not_taken() {
    for (doubted, result, expected) in
        [(false, Err(PullFailure::Wrong), &["drop a"][..]), (true, Ok(()), &[]), (false, Ok(()), &[])]
    {
        let mut node = Node::new();
        node.connect("a");
        let wanted = announcement(record("body", 0), None);
        node.fleet.copy(&peer("a"), wanted.clone(), Millis(T0 * 1000));
        assert_eq!(told(&node.wake()), ["fetch from a"]);
        if doubted {
            node.input(Input::Invalidated { touched: Touched::Everything, date_secs: T0 + 1 });
        }
        let answer = if !doubted && result.is_ok() { "found 4" } else { "nothing" };
        let input = Input::Fetched { from: peer("a"), announcement: wanted, result };
        assert_eq!(told(&node.input(input)), expected);
        assert_eq!(told(&node.ask(1)), [answer]);
    }
}

fn of_large() -> Announcement {
    announcement(record(&large(), 0), None)
}

/// Pulls the large body, and returns when its turn is to say so.
fn pull_large(node: &mut Node) -> u64 {
    node.ask(1);
    node.pulled("a", Ok(()));
    node.due().expect("it is to be told")
}

#[test]
fn a_large_body_that_was_pulled_is_told_of_once() {
    let mut node = holders(&["a", "b"], &large());
    let turn = pull_large(&mut node);
    assert!(turn < 2 * 50, "each member has 50 ms");
    assert_eq!(told(&node.at(turn).wake()), ["publish 1 with 0 bodies"]);
    node.input(Input::BodyLost { digest: Digest::of(large().as_bytes()) });
    node.at(3000).ask(1);
    assert!(node.pulled("a", Ok(())).iter().all(|told| !told.starts_with("publish")));
    assert_eq!(node.due(), None, "the others know it");
}

#[test]
fn a_copy_is_not_told_of_when_enough_holders_are_known_or_the_answer_is_old_or_doubtful() {
    let silent = |so: &dyn Fn(&mut Node)| {
        let mut node = holders(&["a"], &large());
        let turn = pull_large(&mut node);
        so(&mut node);
        assert!(node.at(node.now.max(turn)).wake().iter().all(|effect| !matches!(effect, Effect::Publish(_))));
    };
    silent(&|node| ["b", "c", "d", "e", "f", "g", "h"].iter().for_each(|name| drop(node.hear(name, of_large()))));
    silent(&|node| node.now = 56_000);
    silent(&|node| drop(node.input(Input::Invalidated { touched: Touched::Everything, date_secs: T0 + 1 })));
}

#[test]
fn neither_a_small_body_nor_what_nobody_here_has_confirmed_is_told_of() {
    let mut node = holders(&["a"], "body");
    node.ask(1);
    assert_eq!(node.pulled("a", Ok(())), ["found 4"]);
    assert_eq!(node.due(), None, "it was small enough to be pushed");
    let mut node = holders(&["a"], &large());
    node.ask_across(1, Want::Fresh, Across::Offers, None);
    assert_eq!(node.pulled("a", Ok(())), [format!("offer {}", large().len())]);
    assert_eq!(node.due(), None, "its tag is another credential's");
}
