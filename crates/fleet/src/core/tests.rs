use bytes::Bytes;
use crypto::TagKey;
use wire::{Body, Digest, FamilyId, Form, KeyId, Member, ScopeId, Version};

use super::*;
use crate::{Across, PullFailure, Touched, Want};

mod tombstones;

const T0: u64 = 1_000_000;
const KEY: KeyId = KeyId([1; 16]);
const SCOPE: ScopeId = ScopeId([2; 16]);
const OTHER: ScopeId = ScopeId([4; 16]);

/// A node in a story: time in milliseconds from its start, peers by a letter.
struct Node {
    fleet: Fleet,
    now: u64,
}

fn peer(name: &str) -> Peer {
    Peer::new(name)
}

fn credential() -> TagKey {
    TagKey::of(b"Bearer a")
}

fn record(body: &str, at: u64) -> Record {
    let validated_at = Millis::from_secs(T0 + at);
    Record {
        family: FamilyId([3; 16]),
        version: Version { date_secs: T0 + at, digest: Digest::of(body.as_bytes()) },
        status: 200,
        headers: vec![],
        body_bytes: body.len() as u64,
        validated_at,
        fresh_until: validated_at.after(Duration::from_secs(60)),
        proved_until: validated_at.after(Duration::from_secs(60)),
        stale_until: validated_at.after(Duration::from_secs(3660)),
    }
}

fn announcement(record: Record, body: Option<&str>) -> Announcement {
    let tag = Some(credential().tag(KEY, &record));
    let body = body.map(|text| Body { form: Form::Identity, encoded: Bytes::copy_from_slice(text.as_bytes()) });
    Announcement { key: KEY, scope: SCOPE, record, tag, body, holder: None }
}

impl Node {
    fn new() -> Self {
        let (proof_window, stale_for) = (Duration::from_secs(60), Duration::from_secs(3600));
        let (me, role, since) = (peer("me"), Role::Node, Millis::ZERO);
        let config = Config { me, role, since, alone: false, proof_window, stale_for };
        Self { fleet: Fleet::new(config), now: 0 }
    }

    fn at(&mut self, millis: u64) -> &mut Self {
        self.now = millis;
        self
    }

    fn input(&mut self, input: Input) -> Vec<Effect> {
        self.fleet.handle(input, Millis(T0 * 1000 + self.now));
        self.effects()
    }

    fn wake(&mut self) -> Vec<Effect> {
        self.fleet.wake(Millis(T0 * 1000 + self.now));
        self.effects()
    }

    /// All but that it says who it is: that goes without saying.
    fn effects(&mut self) -> Vec<Effect> {
        let is_news = |effect: &Effect| {
            !matches!(effect, Effect::Send { message: Message::Member(_), .. } | Effect::Publish(Message::Member(_)))
        };
        std::iter::from_fn(|| self.fleet.next_effect()).filter(is_news).collect()
    }

    fn connect(&mut self, name: &str) {
        self.input(Input::PeerConnected { peer: peer(name), near: true });
    }

    fn hear(&mut self, from: &str, announcement: Announcement) -> Vec<Effect> {
        self.input(Input::Heard { from: peer(from), message: Message::Announce(vec![announcement]) })
    }

    fn ask(&mut self, id: u64) -> Vec<Effect> {
        self.ask_with(id, Some(credential()), false)
    }

    fn ask_with(&mut self, id: u64, tag_key: Option<TagKey>, stale_too: bool) -> Vec<Effect> {
        let want = if stale_too { Want::Stale } else { Want::Fresh };
        let (across, known) = (Across::Nothing, None);
        self.input(Input::Asked { ask: AskId(id), key: KEY, scope: SCOPE, tag_key, want, across, known, claim: None })
    }

    /// Asks for another credential than the one whose records the stories tell.
    fn ask_across(&mut self, id: u64, want: Want, across: Across, known: Option<Version>) -> Vec<Effect> {
        let tag_key = Some(TagKey::of(b"Bearer other"));
        self.input(Input::Asked { ask: AskId(id), key: KEY, scope: OTHER, tag_key, want, across, known, claim: None })
    }
}

/// The effects in short: what a reader of a story needs.
fn told(effects: &[Effect]) -> Vec<String> {
    let short = |effect: &Effect| match effect {
        Effect::Publish(Message::Announce(batch)) => {
            let bodies = batch.iter().filter(|a| a.body.is_some()).count();
            format!("publish {} with {bodies} bodies", batch.len())
        }
        Effect::Send { to, message: Message::Announce(records) } => format!("send {} to {to}", records.len()),
        Effect::Publish(message) => format!("publish {message:?}"),
        Effect::Send { to, message } => format!("send {message:?} to {to}"),
        Effect::Bury(tombstones) => format!("bury {}", tombstones.len()),
        Effect::Keep { from, announcement } => {
            format!("keep from {from}{}", if announcement.body.is_some() { " with body" } else { "" })
        }
        Effect::Forget { .. } => "forget".into(),
        Effect::Pull { from, .. } => format!("pull from {from}"),
        Effect::CancelPull { from, .. } => format!("cancel {from}"),
        Effect::Fetch { from, .. } => format!("fetch from {from}"),
        Effect::Resolve { outcome: Outcome::Nothing, .. } => "nothing".into(),
        Effect::Resolve { outcome: Outcome::Found { record, .. }, .. } => format!("found {}", record.body_bytes),
        Effect::Resolve { outcome: Outcome::Offer { record, own }, .. } => {
            format!("offer {}{}", record.body_bytes, if *own { " of its own" } else { "" })
        }
        Effect::Resolve { outcome: Outcome::Told { .. }, .. } => "told".into(),
        Effect::Resolve { outcome: Outcome::Failed { status }, .. } => format!("failed with {status}"),
        Effect::Resolve { outcome: Outcome::Trusted { record }, .. } => format!("trust {}", record.body_bytes),
        Effect::NameForgery { holders, .. } => format!("forged by {holders:?}"),
        Effect::Excess { peer, dropped, is_first } => {
            format!("drop {dropped} of {peer}{}", if *is_first { ", named" } else { "" })
        }
        Effect::DropPeer { peer, .. } => format!("drop {peer}"),
        Effect::Limits { from, notices } => format!("limits {} of {from}", notices.len()),
        Effect::HandOver { to, announcements } => format!("hand {} over to {to}", announcements.len()),
        Effect::HandedOver => "may go".into(),
    };
    effects.iter().map(short).collect()
}

#[test]
fn who_filled_while_alone_is_heard_once_there_is_somebody() {
    let mut node = Node::new();
    assert_eq!(
        told(&node.input(Input::Filled { announcement: announcement(record("a", 0), None), ask: None })),
        [""; 0]
    );
    node.at(40_000).connect("b");
    let later = announcement(record("b", 40), None);
    assert_eq!(told(&node.input(Input::Filled { announcement: later, ask: None })), ["publish 1 with 0 bodies"]);
}

#[test]
fn what_the_store_remembers_is_as_doubtful_as_what_is_announced() {
    let mut node = Node::new();
    node.input(Input::Invalidated { touched: Touched::Everything, date_secs: T0 + 1 });
    for (at, known) in [(1, 0), (2, 1)] {
        let holding = Holding { record: record("a", at), tag: None };
        node.input(Input::Remembered { key: KEY, scope: SCOPE, holding, body_held: true });
        assert_eq!(node.fleet.index_len(), known);
    }
}

#[test]
fn a_fill_is_published_at_once_and_the_next_ones_in_batches() {
    let mut node = Node::new();
    node.connect("b");
    let fill = |node: &mut Node, n: u8| {
        let mut announcement = announcement(record("body", 0), Some("body"));
        announcement.key = KeyId([n; 16]);
        node.input(Input::Filled { announcement, ask: None })
    };
    assert_eq!(told(&fill(&mut node, 1)), ["publish 1 with 1 bodies"]);
    assert!(fill(node.at(10), 2).is_empty());
    assert!(fill(node.at(20), 3).is_empty());
    assert_eq!(node.fleet.next_deadline(), Some(Millis(T0 * 1000 + 100)));
    assert_eq!(told(&node.at(100).wake()), ["publish 2 with 2 bodies"]);
}

#[test]
fn a_pushed_body_answers_without_a_pull() {
    let mut node = Node::new();
    assert_eq!(told(&node.hear("a", announcement(record("body", 0), Some("body")))), ["keep from a with body"]);
    assert_eq!(told(&node.ask(1)), ["found 4"]);
}

#[test]
fn a_large_body_is_pulled_from_a_connected_holder() {
    let mut node = Node::new();
    node.connect("a");
    node.hear("a", announcement(record("body", 0), None));
    assert_eq!(told(&node.ask(1)), ["pull from a"]);
    assert_eq!(told(&node.input(Input::Pulled { ask: AskId(1), from: peer("a"), result: Ok(()) })), ["found 4"]);
    assert_eq!(told(&node.ask(2)), ["found 4"], "the body stays");
}

#[test]
fn a_holder_that_is_not_connected_is_not_waited_for() {
    let mut node = Node::new();
    node.hear("a", announcement(record("body", 0), None));
    assert_eq!(told(&node.ask(1)), ["nothing"]);
}

#[test]
fn the_next_holder_is_tried_within_one_budget() {
    let mut node = Node::new();
    for (name, millis) in [("a", 1), ("b", 10)] {
        node.connect(name);
        node.input(Input::RoundTrip { peer: peer(name), millis });
        node.hear(name, announcement(record("body", 0), None));
    }
    assert_eq!(told(&node.ask(1)), ["pull from a"]);
    assert_eq!(told(&node.at(20).input(Input::PeerGone { peer: peer("a") })), ["cancel a", "pull from b"]);
    assert!(node.at(149).wake().is_empty());
    assert_eq!(told(&node.at(150).wake()), ["cancel b", "nothing"], "150 ms in all, not for each");
    let late = node.input(Input::Pulled { ask: AskId(1), from: peer("b"), result: Ok(()) });
    assert!(late.is_empty(), "a late answer changes nothing: {late:?}");
}

#[test]
fn a_peer_that_sends_another_body_is_dropped_and_the_next_one_asked() {
    let mut node = Node::new();
    for (name, millis) in [("a", 1), ("b", 10)] {
        node.connect(name);
        node.input(Input::RoundTrip { peer: peer(name), millis });
        node.hear(name, announcement(record("body", 0), None));
    }
    node.ask(1);
    let effects = node.input(Input::Pulled { ask: AskId(1), from: peer("a"), result: Err(PullFailure::Wrong) });
    assert_eq!(told(&effects), ["drop a", "pull from b"]);
}

#[test]
fn a_forged_record_changes_no_answer() {
    let genuine = announcement(record("body", 0), Some("body"));
    let forge = |change: fn(&mut Announcement)| {
        let mut forged = announcement(record("forged!", 5), Some("forged!"));
        change(&mut forged);
        forged
    };
    let forgeries = [
        forge(|a| a.tag = None),
        forge(|a| a.tag = Some(credential().tag(KeyId([9; 16]), &a.record))),
        forge(|a| a.tag = Some(credential().tag(KEY, &record("body", 0)))),
        forge(|a| a.record.fresh_until = a.record.fresh_until.after(Duration::from_secs(600))),
        forge(|a| a.tag = Some(TagKey::of(b"Bearer b").tag(KEY, &a.record))),
    ];
    for forged in forgeries {
        let mut node = Node::new();
        node.at(6000).hear("a", genuine.clone());
        node.hear("liar", forged.clone());
        assert_eq!(told(&node.ask(1)), ["forged by [liar]", "found 4"]);

        let mut node = Node::new();
        node.at(6000).hear("liar", forged);
        assert_eq!(told(&node.ask(1)), ["forged by [liar]", "forget", "nothing"]);
    }
}

#[test]
fn many_forgeries_do_not_push_the_genuine_record_out() {
    let mut node = Node::new();
    node.at(60_000 - 1).hear("a", announcement(record("body", 0), Some("body")));
    for n in 1..50 {
        let mut forged = announcement(record("forged!", n), Some("forged!"));
        forged.tag = None;
        node.hear("liar", forged);
    }
    assert_eq!(told(&node.ask(1)), ["forged by [liar]", "found 4"]);
}

#[test]
fn another_credential_is_another_scope_and_an_anonymous_record_is_no_ones_token() {
    let mut node = Node::new();
    let mut anonymous = announcement(record("body", 0), Some("body"));
    anonymous.tag = None;
    node.hear("a", anonymous);
    assert_eq!(told(&node.ask_with(1, None, false)), ["found 4"]);
}

#[test]
fn times_that_cannot_be_true_are_refused() {
    let changes: [fn(&mut Record); 6] = [
        |r| r.validated_at = r.validated_at.after(Duration::from_secs(61)),
        |r| r.version.date_secs += 62,
        |r| r.fresh_until = Millis(u64::MAX),
        |r| r.proved_until = Millis(u64::MAX),
        |r| r.stale_until = Millis(u64::MAX),
        |r| r.stale_until = Millis(0),
    ];
    for change in changes {
        let mut bad = record("body", 0);
        change(&mut bad);
        assert!(Node::new().hear("a", announcement(bad, None)).is_empty());
    }
}

#[test]
fn a_record_past_its_time_serves_only_who_takes_stale() {
    let mut node = Node::new();
    node.hear("a", announcement(record("body", 0), Some("body")));
    assert_eq!(told(&node.at(60_000).ask(1)), ["offer 4 of its own"]);
    assert_eq!(told(&node.ask_with(2, Some(credential()), true)), ["found 4"]);
    assert_eq!(told(&node.at(3_660_000).wake()), ["forget"]);
    assert_eq!(told(&node.ask_with(3, Some(credential()), true)), ["nothing"]);
}

#[test]
fn this_nodes_proof_window_counts_even_if_another_has_a_longer_one() {
    let mut node = Node::new();
    let mut long = record("body", 0);
    long.proved_until = long.validated_at.after(Duration::from_secs(900));
    long.fresh_until = long.proved_until;
    node.hear("a", announcement(long, Some("body")));
    assert_eq!(told(&node.at(61_000).ask(1)), ["offer 4 of its own"]);
}

#[test]
fn a_write_and_a_denial_forget_what_is_older_and_keep_it_out() {
    let touched = Touched::Families(vec![FamilyId([3; 16])]);
    for doubt in [
        Input::Invalidated { touched, date_secs: T0 + 5 },
        Input::Invalidated { touched: Touched::Everything, date_secs: T0 + 5 },
        Input::Denied { scope: SCOPE, key: None, date_secs: T0 + 5 },
        Input::Denied { scope: SCOPE, key: Some(KEY), date_secs: T0 + 5 },
    ] {
        let mut node = Node::new();
        node.hear("a", announcement(record("body", 0), Some("body")));
        // What a write only made doubtful may still be confirmed.
        let is_denial = matches!(doubt, Input::Denied { .. });
        let done = told(&node.at(5000).input(doubt));
        assert_eq!((&*done[0], done.contains(&"forget".to_owned())), ("bury 1", is_denial));
        assert_eq!(node.fleet.index_len(), 0);
        assert!(node.hear("a", announcement(record("body", 0), Some("body"))).is_empty());
        assert!(node.hear("a", announcement(record("body", 5), Some("body"))).is_empty(), "on a tie the doubt wins");
        assert_eq!(told(&node.hear("a", announcement(record("new", 6), Some("new")))), ["keep from a with body"]);
    }
}

#[test]
fn the_index_is_bounded() {
    let mut node = Node::new();
    for n in 0..limits::INDEX_ENTRIES_MAX as u128 + 10 {
        let mut announcement = announcement(record("body", 0), None);
        announcement.key = KeyId(n.to_be_bytes());
        node.hear("a", announcement);
    }
    assert_eq!(node.fleet.index_len(), limits::INDEX_ENTRIES_MAX);
}

#[test]
fn more_questions_than_the_limit_go_to_the_origin() {
    let mut node = Node::new();
    node.connect("a");
    node.hear("a", announcement(record("body", 0), None));
    for id in 0..limits::ASKS_MAX as u64 {
        assert_eq!(told(&node.ask(id)), ["pull from a"]);
    }
    assert_eq!(told(&node.ask(u64::MAX)), ["nothing"]);
}

#[test]
fn another_credentials_answer_is_an_offer_and_never_an_answer() {
    let mut node = Node::new();
    node.hear("a", announcement(record("body", 0), Some("body")));
    for (want, expected) in [(Want::Fresh, "offer 4"), (Want::Offer, "offer 4"), (Want::Stale, "nothing")] {
        assert_eq!(told(&node.ask_across(1, want, Across::Offers, None)), [expected], "{want:?}");
        assert_eq!(told(&node.ask_across(2, want, Across::Nothing, None)), ["nothing"]);
    }
    // Long after its time it is still worth asking about.
    assert_eq!(told(&node.at(600_000).ask_across(3, Want::Fresh, Across::Offers, None)), ["offer 4"]);
}

#[test]
fn an_offer_is_pulled_like_an_answer_and_in_the_same_time() {
    let mut node = Node::new();
    node.connect("a");
    node.hear("a", announcement(record("body", 0), None));
    assert_eq!(told(&node.ask_across(1, Want::Fresh, Across::Offers, None)), ["pull from a"]);
    assert_eq!(told(&node.input(Input::Pulled { ask: AskId(1), from: peer("a"), result: Ok(()) })), ["offer 4"]);
    node.hear("a", announcement(record("longer", 1), None));
    assert_eq!(told(&node.at(1000).ask_across(2, Want::Fresh, Across::Offers, None)), ["pull from a"]);
    assert_eq!(told(&node.at(1150).wake()), ["cancel a", "nothing"]);
}

#[test]
fn what_is_trusted_is_served_while_it_is_fresh_and_offered_after() {
    let mut node = Node::new();
    node.hear("a", announcement(record("body", 0), Some("body")));
    assert_eq!(told(&node.ask_across(1, Want::Fresh, Across::Trusted, None)), ["trust 4"]);
    assert_eq!(told(&node.at(60_000).ask_across(2, Want::Fresh, Across::Trusted, None)), ["offer 4"]);
    assert_eq!(told(&node.ask_across(3, Want::Stale, Across::Trusted, None)), ["trust 4"]);
}

#[test]
fn a_confirmation_for_one_makes_the_version_fresh_for_all_who_can_prove() {
    let mut node = Node::new();
    node.fleet.config.proof_window = Duration::from_secs(300);
    let mut mine = record("body", 0);
    mine.proved_until = mine.validated_at.after(Duration::from_secs(300));
    node.hear("a", announcement(mine, Some("body")));
    let ask = |node: &mut Node, id, across| {
        let (want, known, tag_key) = (Want::Fresh, None, Some(credential()));
        told(&node.input(Input::Asked {
            ask: AskId(id),
            key: KEY,
            scope: SCOPE,
            tag_key,
            want,
            across,
            known,
            claim: None,
        }))
    };
    assert_eq!(ask(node.at(100_000), 1, Across::Offers), ["offer 4 of its own"]);

    let confirmed = Announcement { scope: OTHER, ..announcement(record("body", 90), None) };
    node.hear("b", confirmed);
    assert_eq!(ask(&mut node, 2, Across::Offers), ["found 4"]);
    assert_eq!(ask(&mut node, 3, Across::Nothing), ["offer 4 of its own"]);
    assert_eq!(ask(node.at(150_000), 4, Across::Offers), ["offer 4 of its own"]);
}

#[test]
fn a_body_that_the_fleet_knows_is_not_sent_again_for_another_credential() {
    let mut node = Node::new();
    node.connect("b");
    node.hear("b", announcement(record("body", 0), Some("body")));
    let proved = Announcement { scope: OTHER, ..announcement(record("body", 1), Some("body")) };
    assert_eq!(
        told(&node.at(1000).input(Input::Filled { announcement: proved, ask: None })),
        ["publish 1 with 0 bodies"]
    );
}

#[test]
fn a_body_that_is_here_for_one_credential_is_here_for_the_others() {
    let mut node = Node::new();
    node.hear("a", Announcement { scope: OTHER, tag: None, ..announcement(record("body", 0), Some("body")) });
    node.hear("b", announcement(record("body", 1), None));
    assert_eq!(told(&node.at(1000).ask(1)), ["found 4"], "no pull is needed");
    let mut node = Node::new();
    node.hear("b", announcement(record("body", 1), None));
    node.hear("a", Announcement { scope: OTHER, tag: None, ..announcement(record("body", 0), Some("body")) });
    assert_eq!(told(&node.at(1000).ask(1)), ["found 4"], "in whatever order they come");

    let mut node = Node::new();
    node.connect("a");
    node.hear("a", Announcement { scope: OTHER, tag: None, ..announcement(record("body", 0), None) });
    node.hear("b", announcement(record("body", 1), None));
    assert_eq!(told(&node.at(1000).ask(1)), ["pull from a"], "b is not connected");
    assert_eq!(told(&node.input(Input::Pulled { ask: AskId(1), from: peer("a"), result: Ok(()) })), ["found 4"]);
}

#[test]
fn who_makes_wrong_offers_is_not_listened_to_for_a_while() {
    let mut node = Node::new();
    node.hear("liar", announcement(record("body", 0), Some("body")));
    for _ in 0..limits::REFUTED_MAX {
        assert_eq!(told(&node.ask_across(1, Want::Fresh, Across::Offers, None)), ["offer 4"]);
        node.input(Input::Refuted { key: KEY, digest: Digest::of(b"body") });
    }
    assert_eq!(told(&node.ask_across(2, Want::Fresh, Across::Offers, None)), ["nothing"]);
    node.hear("honest", announcement(record("body", 0), None));
    assert_eq!(told(&node.ask_across(3, Want::Fresh, Across::Offers, None)), ["offer 4"], "another says so, too");
    let pause = u64::try_from(limits::REFUTED_PAUSE.as_millis()).unwrap();
    node.input(Input::Refuted { key: KEY, digest: Digest::of(b"body") });
    assert_eq!(told(&node.at(pause).ask_across(4, Want::Fresh, Across::Offers, None)), ["offer 4"]);
}

#[test]
fn an_answer_that_must_be_pulled_comes_before_an_offer_that_is_here() {
    let mut node = Node::new();
    node.connect("a");
    node.hear("b", Announcement { scope: OTHER, tag: None, ..announcement(record("another view", 1), Some("x")) });
    node.hear("a", announcement(record("body", 0), None));
    let (want, across, known, tag_key) = (Want::Fresh, Across::Offers, None, Some(credential()));
    let asked = Input::Asked { ask: AskId(1), key: KEY, scope: SCOPE, tag_key, want, across, known, claim: None };
    assert_eq!(told(&node.at(1000).input(asked)), ["pull from a"]);
    assert_eq!(told(&node.input(Input::PeerGone { peer: peer("a") })), ["cancel a", "offer 12"]);
}

mod pulls;

#[test]
fn a_large_fleet_is_one_of_many_members_whoever_is_connected() {
    let mut node = Node::new();
    node.connect("a");
    for n in 0..limits::LARGE_FLEET_NODES {
        let member = Message::Member(Member { seq: 1, ..Member::default() });
        node.input(Input::Heard { from: peer(&format!("m{n}")), message: member });
    }
    let Fleet { index, peers, members, .. } = &node.fleet;
    assert_eq!(view(index, peers, members, Millis(0)).members, limits::LARGE_FLEET_NODES + 1);
}
