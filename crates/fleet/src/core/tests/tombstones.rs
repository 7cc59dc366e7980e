use wire::{Grave, Tombstone};

use super::*;

const FAMILY: FamilyId = FamilyId([3; 16]);

fn written(at: u64) -> Tombstone {
    Tombstone { of: Grave::Family(FAMILY), date_secs: T0 + at }
}

fn family(n: usize) -> Grave {
    Grave::Family(FamilyId((n as u128 + 1).to_be_bytes()))
}

fn many(count: usize, date_secs: u64) -> Vec<Tombstone> {
    (0..count).map(|n| Tombstone { of: family(n), date_secs }).collect()
}

impl Node {
    fn hear_tombstones(&mut self, from: &str, tombstones: &[Tombstone]) -> Vec<Effect> {
        self.input(Input::Heard { from: peer(from), message: Message::Tombstones(tombstones.to_vec()) })
    }

    fn write(&mut self, date_secs: u64) -> Vec<Effect> {
        self.input(Input::Invalidated { touched: Touched::Families(vec![FAMILY]), date_secs })
    }
}

fn bury(tombstone: Tombstone) -> Effect {
    Effect::Bury(vec![tombstone])
}

fn publish(tombstone: Tombstone) -> Effect {
    Effect::Publish(Message::Tombstones(vec![tombstone]))
}

/// The pages that were sent to one peer, together.
fn table(effects: &[Effect]) -> Vec<Tombstone> {
    let page = |effect: &Effect| match effect {
        Effect::Send { message: Message::Tombstones(page), .. } => {
            assert!(page.len() <= wire::limits::TOMBSTONES_MAX);
            Message::Tombstones(page.clone()).encode().expect("a page fits into a message");
            page.clone()
        }
        _ => Vec::new(),
    };
    effects.iter().flat_map(page).collect()
}

#[test]
fn a_write_is_told_to_all_at_once_and_once() {
    let mut node = Node::new();
    node.connect("b");
    assert_eq!(node.write(T0 + 5), [bury(written(5)), publish(written(5))]);
    assert_eq!(node.write(T0 + 5), [], "nothing new");
    let denied = Tombstone { of: Grave::Denied(KEY, SCOPE), date_secs: T0 + 5 };
    let effects = node.input(Input::Denied { scope: SCOPE, key: Some(KEY), date_secs: T0 + 5 });
    assert_eq!(effects, [bury(denied), publish(denied)]);
    let refused = Tombstone { of: Grave::Scope(SCOPE), date_secs: T0 + 5 };
    let effects = node.input(Input::Denied { scope: SCOPE, key: None, date_secs: T0 + 5 });
    assert_eq!(effects, [bury(refused), publish(refused)]);
}

#[test]
fn who_has_no_neighbours_tells_nobody_and_the_first_one_everything() {
    let mut node = Node::new();
    assert_eq!(node.write(T0 + 5), [bury(written(5))]);
    node.connect("b");
    let effects = node.input(Input::PeerReady { peer: peer("b") });
    assert_eq!(table(&effects), [written(5)]);
    let compares =
        |effect: &Effect| matches!(effect, Effect::Send { message: Message::Want(_) | Message::Sync(_), .. });
    assert!(compares(effects.last().unwrap()), "what there is comes after what there is not: {effects:?}");

    node.fleet.config.alone = true;
    assert_eq!(node.write(T0 + 6), [bury(written(6))]);
}

#[test]
fn a_late_announce_of_an_old_version_does_not_bring_it_back_and_a_tie_goes_to_the_tombstone() {
    for (at, comes) in [(4, false), (5, false), (6, true)] {
        let mut node = Node::new();
        node.connect("b");
        assert_eq!(told(&node.hear("b", announcement(record("old", 1), None))), ["keep from b"]);
        assert_eq!(told(&node.hear_tombstones("b", &[written(5)]))[..1], ["bury 1"]);
        assert_eq!(node.fleet.index_len(), 0);
        let kept: &[&str] = if comes { &["keep from b"] } else { &[] };
        assert_eq!(told(&node.hear("b", announcement(record("late", at), None))), kept, "{at}");
        let mut own = Node::new();
        own.write(T0 + 5);
        own.input(Input::Filled { announcement: announcement(record("own", at), None), ask: None });
        assert_eq!(own.fleet.index_len(), usize::from(comes), "nor is one's own: {at}");
    }
}

#[test]
fn what_a_write_made_doubtful_may_be_confirmed_and_is_no_answer_any_more() {
    let mut node = Node::new();
    node.connect("b");
    node.input(Input::Filled { announcement: announcement(record("old", 1), None), ask: None });
    node.hear_tombstones("b", &[written(5)]);
    assert_eq!(told(&node.ask(1)), ["offer 3 of its own"]);
    assert_eq!(told(&node.ask_with(2, Some(credential()), true)), ["nothing"], "nor a stale one");
    assert_eq!(told(&node.ask_across(3, Want::Fresh, Across::Offers, None)), ["offer 3"]);
    assert_eq!(told(&node.ask_across(4, Want::Fresh, Across::Trusted, None)), ["offer 3"]);
    assert_eq!(told(&node.ask_with(5, Some(TagKey::of(b"Bearer thief")), false)), ["nothing"], "not its own");
    node.input(Input::Filled { announcement: announcement(record("new", 6), None), ask: None });
    assert_eq!(told(&node.ask(6)), ["found 3"]);
    assert!(node.fleet.past.get((KEY, SCOPE)).is_none());
}

#[test]
fn what_was_refused_is_not_even_offered_and_what_others_hold_is_fetched_to_be() {
    let mut node = Node::new();
    node.connect("b");
    node.hear("b", announcement(record("old", 1), None));
    node.write(T0 + 5);
    assert_eq!(told(&node.ask(1)), ["pull from b"]);
    node.input(Input::Pulled { ask: AskId(1), from: peer("b"), result: Ok(()) });
    assert_eq!(told(&node.ask(2)), ["offer 3 of its own"]);
    let effects = node.input(Input::Denied { scope: SCOPE, key: Some(KEY), date_secs: T0 + 5 });
    assert!(told(&effects).contains(&"forget".to_owned()), "{effects:?}");
    assert_eq!(told(&node.ask(3)), ["nothing"]);
}

#[test]
fn what_is_known_is_neither_buried_again_nor_passed_on() {
    let mut node = Node::new();
    node.connect("b");
    let effects = node.hear_tombstones("b", &[written(5)]);
    assert_eq!(effects, [bury(written(5)), publish(written(5))], "a neighbour's table is passed on");
    assert_eq!(node.hear_tombstones("b", &[written(5), written(4)]), []);
    // Later it is gossip, which has been passed on already.
    node.at(60_000);
    assert_eq!(node.hear_tombstones("b", &[written(60)]), [bury(written(60))]);
}

#[test]
fn a_date_from_the_future_is_cut() {
    let mut node = Node::new();
    let ahead = wire::limits::CLOCK_AHEAD_MAX.as_secs();
    assert_eq!(node.hear_tombstones("liar", &[written(86_400)]), [bury(written(ahead))]);
}

#[test]
fn a_member_that_buries_too_much_is_named_once_and_what_is_over_does_not_count() {
    let mut node = Node::new();
    let burst = limits::TOMBSTONES_BURST as usize;
    let effects = node.hear_tombstones("liar", &many(wire::limits::TOMBSTONES_MAX, T0));
    assert_eq!(told(&effects), [format!("bury {burst}")]);
    let more: Vec<Tombstone> = many(100, T0 + 1);
    assert_eq!(told(&node.hear_tombstones("liar", &more)), ["drop 100 of liar, named"]);
    assert_eq!(told(&node.hear_tombstones("liar", &more)), ["drop 100 of liar"]);
    assert_eq!(told(&node.hear_tombstones("honest", &more[..1])), ["bury 1"], "others are heard");
    node.at(60_000);
    assert_eq!(told(&node.hear_tombstones("liar", &more)), ["bury 99"]);
}

#[test]
fn a_newcomer_learns_the_whole_table_and_what_it_holds_gives_way() {
    let (mut old, mut newcomer) = (Node::new(), Node::new());
    let full = many(limits::DOUBTS_MAX - 1, T0);
    let known = full.iter().map(|tombstone| (*tombstone, Millis::from_secs(T0))).collect();
    old.input(Input::Buried { tombstones: known });
    old.write(T0 + 5);
    newcomer.hear("c", announcement(record("old", 1), None));
    old.connect("newcomer");
    newcomer.connect("old");
    let pages = table(&old.input(Input::PeerReady { peer: peer("newcomer") }));
    assert_eq!(pages.len(), limits::DOUBTS_MAX);
    let mut forgets = 0;
    for page in pages.chunks(wire::limits::TOMBSTONES_MAX) {
        let effects = newcomer.hear_tombstones("old", page);
        assert!(!effects.iter().any(|effect| matches!(effect, Effect::Excess { .. })), "a table may be told whole");
        forgets += effects.iter().filter(|effect| matches!(effect, Effect::Forget { .. })).count();
    }
    assert_eq!((forgets, newcomer.fleet.index_len()), (0, 0), "the origin may still confirm it");
    assert_eq!(newcomer.fleet.graves_len(), limits::DOUBTS_MAX);
}

#[test]
fn two_nodes_with_full_tables_agree_on_what_is_covered_and_stay_within_their_bounds() {
    let mut nodes = [Node::new(), Node::new()];
    let half = |from: usize| (0..limits::DOUBTS_MAX).map(move |n| (family(from + n), T0 + n as u64 % 50));
    let tables = [0, limits::DOUBTS_MAX]
        .map(|from| half(from).map(|(of, date_secs)| Tombstone { of, date_secs }).collect::<Vec<_>>());
    for (node, table) in nodes.iter_mut().zip(&tables) {
        let known = table.iter().map(|tombstone| (*tombstone, Millis::from_secs(T0))).collect();
        node.input(Input::Buried { tombstones: known });
        node.connect("other");
    }
    let [a, b] = &mut nodes;
    let told = [a, b].map(|node| table(&node.input(Input::PeerReady { peer: peer("other") })));
    for (node, table) in nodes.iter_mut().zip(told.iter().rev()) {
        for page in table.chunks(wire::limits::TOMBSTONES_MAX) {
            node.hear_tombstones("other", page);
        }
        assert!(node.fleet.graves_len() <= limits::DOUBTS_MAX);
        for Tombstone { of, date_secs } in tables.iter().flatten() {
            let Grave::Family(family) = of else { panic!("only families") };
            assert!(node.fleet.graves.cover(KEY, SCOPE, *family, *date_secs), "{of:?} is still buried");
        }
    }
}

#[test]
fn what_only_this_machine_doubts_is_told_to_nobody() {
    let mut node = Node::new();
    node.connect("b");
    node.hear("b", announcement(record("old", 5), None));
    assert_eq!(told(&node.input(Input::Doubted { date_secs: T0 + 5 })), ["forget"]);
    assert_eq!(told(&node.hear("b", announcement(record("late", 5), None))), [""; 0]);
    assert_eq!(table(&node.input(Input::PeerReady { peer: peer("b") })), []);
}
