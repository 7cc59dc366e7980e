//! Stories of several nodes: their messages take a millisecond, the origin takes 100.

use std::collections::BTreeMap;

use bytes::Bytes;
use crypto::TagKey;
use wire::{Body, Digest, FamilyId, Form, Record, Role, ScopeId, Version};

use super::*;
use crate::{Config, Input, OriginTime, Touched, Want};

const T0: u64 = 1_000_000_000;
const KEY: KeyId = KeyId([1; 16]);
const HOP: u64 = 1;
const ORIGIN: u64 = 100;

/// Some nodes, what is on its way between them, and an origin.
struct World {
    now: u64,
    nodes: BTreeMap<String, Fleet>,
    /// By time and order: to whom, from whom, what.
    mail: BTreeMap<(u64, u64), (String, Option<Peer>, Input)>,
    posted: u64,
    /// Nodes that take messages and answer none.
    hung: Vec<String>,
    /// By question, what became of it, and when.
    ends: BTreeMap<(String, u64), (u64, Outcome)>,
    /// Who asked the origin, and when.
    asked: Vec<(u64, String, u64)>,
}

fn scope(token: &str) -> ScopeId {
    ScopeId(Digest::of(token.as_bytes()).0[..16].try_into().unwrap())
}

fn credential(token: &str) -> TagKey {
    TagKey::of(token.as_bytes())
}

fn told_at(token: &str, at: u64, status: u16) -> Announcement {
    let validated_at = Millis(T0 + at);
    let text = "body";
    let until = validated_at.after(Duration::from_secs(60));
    let record = Record {
        family: FamilyId([3; 16]),
        version: Version { date_secs: validated_at.as_secs(), digest: Digest::of(text.as_bytes()) },
        status,
        headers: vec![],
        body_bytes: text.len() as u64,
        validated_at,
        fresh_until: until,
        proved_until: until,
        stale_until: until.after(Duration::from_secs(3600)),
    };
    let is_answer = status == 200;
    let credential = credential(token);
    let tag = if is_answer { credential.tag(KEY, &record) } else { credential.tag_refusal(KEY, &record) };
    let tag = Some(tag);
    let body = Some(Body { form: Form::Identity, encoded: Bytes::from_static(text.as_bytes()) });
    Announcement { key: KEY, scope: scope(token), record, tag, body, holder: None }
}

impl World {
    /// All are connected and have said who they are; the first is the oldest.
    fn of(names: &[&str]) -> Self {
        let node = |(at, name): (usize, &&str)| {
            let minute = Duration::from_secs(60);
            let config = Config {
                me: Peer::new(*name),
                role: if at < 2 { Role::Anchor } else { Role::Node },
                since: Millis(T0 - 1000 + at as u64),
                alone: false,
                proof_window: minute,
                stale_for: 60 * minute,
            };
            ((*name).to_owned(), Fleet::new(config))
        };
        let mut world = Self {
            now: 0,
            nodes: names.iter().enumerate().map(node).collect(),
            mail: BTreeMap::new(),
            posted: 0,
            hung: vec![],
            ends: BTreeMap::new(),
            asked: vec![],
        };
        for a in names {
            for b in names.iter().filter(|b| a != *b) {
                world.input(a, Input::PeerConnected { peer: Peer::new(*b), near: true });
                world.input(a, Input::PeerReady { peer: Peer::new(*b) });
            }
        }
        world.run(10);
        world
    }

    /// The owners of the key, best first, and one who is none.
    fn roles(&self) -> (String, String, String) {
        let any = self.nodes.values().next().unwrap();
        let owners = any.members.owners(KEY, any.peers.keys().cloned());
        let name = |at: usize| owners[at].as_str().to_owned();
        let other = self.nodes.keys().find(|name| owners.iter().all(|owner| owner.as_str() != **name));
        (name(0), name(1), other.unwrap().clone())
    }

    fn input(&mut self, name: &str, input: Input) {
        self.nodes.get_mut(name).unwrap().handle(input, Millis(T0 + self.now));
        self.carry_out(name);
    }

    fn ask(&mut self, name: &str, id: u64, token: &str) {
        let question = Input::Asked {
            ask: AskId(id),
            key: KEY,
            scope: scope(token),
            tag_key: Some(credential(token)),
            want: Want::Fresh,
            across: Across::Offers,
            known: None,
            claim: Some(OriginTime { usual: Duration::from_millis(ORIGIN), longest: Duration::from_millis(ORIGIN) }),
        };
        self.input(name, question);
    }

    fn post(&mut self, at: u64, to: &str, from: Option<&str>, input: Input) {
        self.posted += 1;
        self.mail.insert((at, self.posted), (to.to_owned(), from.map(Peer::new), input));
    }

    fn carry_out(&mut self, name: &str) {
        while let Some(effect) = self.nodes.get_mut(name).unwrap().next_effect() {
            let heard = |message| Input::Heard { from: Peer::new(name), message };
            match effect {
                Effect::Send { to, message } => {
                    self.post(self.now + HOP, to.as_str(), Some(name), heard(message));
                }
                Effect::Publish(message) => {
                    let others: Vec<String> = self.nodes.keys().filter(|other| *other != name).cloned().collect();
                    for to in others {
                        self.post(self.now + 20 * HOP, &to, Some(name), heard(message.clone()));
                    }
                }
                Effect::Resolve { ask, outcome } => {
                    if matches!(outcome, Outcome::Nothing | Outcome::Offer { .. }) {
                        self.asked.push((self.now, name.to_owned(), ask.0));
                    }
                    self.ends.insert((name.to_owned(), ask.0), (self.now, outcome));
                }
                Effect::Pull { ask, from, .. } => {
                    let pulled = Input::Pulled { ask, from, result: Ok(()) };
                    self.post(self.now + 2 * HOP, name, None, pulled);
                }
                _ => {}
            }
        }
    }

    /// The origin has answered a question with the answer that all are told.
    fn fills(&mut self, name: &str, id: u64, token: &str) {
        let announcement = told_at(token, self.now, 200);
        self.input(name, Input::Filled { announcement, ask: Some(AskId(id)) });
    }

    /// Lets time pass, without the origin.
    fn run(&mut self, until: u64) {
        loop {
            let due = |fleet: &Fleet| fleet.next_deadline().map(|at| at.0.saturating_sub(T0));
            let wake = self.nodes.iter().filter_map(|(name, fleet)| Some((due(fleet)?, name.clone()))).min();
            let mail = self.mail.keys().next().copied();
            match (wake, mail) {
                (Some((at, name)), mail) if at <= until && mail.is_none_or(|(mail, _)| at <= mail) => {
                    self.now = self.now.max(at);
                    self.nodes.get_mut(&name).unwrap().wake(Millis(T0 + self.now));
                    self.carry_out(&name);
                }
                (_, Some((at, order))) if at <= until => {
                    self.now = self.now.max(at);
                    let (to, _, input) = self.mail.remove(&(at, order)).unwrap();
                    if self.nodes.contains_key(&to) && !self.hung.contains(&to) {
                        self.input(&to, input);
                    }
                }
                _ => break,
            }
        }
        self.now = until;
    }

    fn dies(&mut self, name: &str) {
        self.nodes.remove(name);
        let others: Vec<String> = self.nodes.keys().cloned().collect();
        for other in others {
            self.input(&other, Input::PeerGone { peer: Peer::new(name) });
        }
    }

    /// What became of a question in short, and after how long.
    fn end(&self, name: &str, id: u64) -> (u64, &str) {
        let Some((at, outcome)) = self.ends.get(&(name.to_owned(), id)) else { return (0, "waits") };
        let short = match outcome {
            Outcome::Found { .. } => "found",
            Outcome::Offer { .. } => "offer",
            Outcome::Trusted { .. } => "trusted",
            Outcome::Nothing => "go",
            Outcome::Failed { .. } => "failed",
            Outcome::Told { .. } => "told",
        };
        (*at, short)
    }

    fn leases(&self) -> usize {
        self.nodes.values().map(|fleet| fleet.leases_len().0 + fleet.leases_len().1).sum()
    }
}

const FIVE: [&str; 5] = ["a", "b", "c", "d", "e"];

#[test]
fn who_asks_what_is_asked_already_is_told_when_it_is_answered() {
    let mut world = World::of(&FIVE);
    for name in FIVE {
        world.ask(name, 1, "t");
    }
    world.run(100);
    assert_eq!(world.asked.len(), 1, "{:?}", world.asked);
    let leader = world.asked[0].1.clone();
    world.fills(&leader, 1, "t");
    world.run(110);
    for name in FIVE.iter().filter(|name| **name != leader) {
        assert_eq!(world.end(name, 1).1, "found", "{name}");
        assert!(world.end(name, 1).0 <= 100 + 2 * HOP, "as soon as the owner has heard");
    }
    assert_eq!(world.leases(), 0, "nothing is left behind");
}

#[test]
fn another_credential_waits_for_the_version_and_then_proves_it() {
    let mut world = World::of(&FIVE);
    for name in FIVE {
        world.ask(name, 1, name);
    }
    world.run(50);
    assert_eq!(world.asked.len(), 1);
    let leader = world.asked[0].1.clone();
    world.fills(&leader, 1, &leader);
    world.run(60);
    for name in FIVE.iter().filter(|name| **name != leader) {
        assert_eq!(world.end(name, 1).1, "offer", "{name}: everybody proves for itself, at once");
        world.fills(name, 1, name);
    }
    world.run(100);
    assert_eq!(world.leases(), 0);
}

#[test]
fn a_silent_owner_is_passed_over_and_two_cost_less_than_the_peer_budget() {
    let mut world = World::of(&FIVE);
    let (first, second, other) = world.roles();
    world.hung.push(first);
    let began = world.now;
    world.ask(&other, 1, "t");
    world.run(began + 120);
    let (at, end) = world.end(&other, 1);
    assert_eq!(end, "go");
    assert!((50..60).contains(&(at - began)), "{}", at - began);
    assert_eq!(world.nodes[&second].leases_len().0, 1, "the second keeps the lease");

    world.hung.push(second);
    let began = world.now;
    world.ask(&other, 2, "u");
    world.run(began + 200);
    let (at, end) = world.end(&other, 2);
    assert_eq!(end, "go");
    assert!(at - began <= 150, "{}", at - began);
    let began = world.now;
    world.ask(&other, 3, "v");
    assert_eq!(world.end(&other, 3), (began, "go"), "who was silent is not asked again at once");
}

#[test]
fn the_next_one_asks_as_soon_as_who_asked_is_gone() {
    let mut world = World::of(&FIVE);
    let (owner, second, other) = world.roles();
    world.ask(&other, 1, "t");
    world.run(world.now + 5);
    assert_eq!(world.end(&other, 1).1, "go");
    world.ask(&second, 1, "t");
    world.ask(&owner, 1, "t");
    world.run(world.now + 20);
    assert_eq!(world.asked.len(), 1);
    world.dies(&other);
    world.run(world.now + 5);
    assert_eq!(world.asked.len(), 2, "one of the two, and not both");
}

#[test]
fn all_who_wait_for_an_answer_that_a_write_has_made_doubtful_go_at_once() {
    let mut world = World::of(&FIVE);
    let (_, _, first) = world.roles();
    let others = FIVE.iter().filter(|name| **name != first);
    world.ask(&first, 1, "t");
    world.run(15);
    for name in others.clone() {
        world.ask(name, 1, "t");
    }
    world.run(10 + ORIGIN);
    let families = vec![FamilyId([3; 16])];
    let date_secs = Millis(T0 + world.now).as_secs();
    world.input(&first, Input::Invalidated { touched: Touched::Families(families), date_secs });
    world.fills(&first, 1, "t");
    world.run(10 + ORIGIN + 10);
    for name in others {
        let (at, end) = world.end(name, 1);
        assert_eq!(end, "go", "{name}");
        assert!(at <= 10 + ORIGIN + 4 * HOP, "{name}: {at}");
    }
}

#[test]
fn a_wait_ends_when_the_origin_should_have_answered_whatever_the_lease_says() {
    let mut world = World::of(&FIVE);
    let (_, second, other) = world.roles();
    world.ask(&other, 1, "t");
    world.run(world.now + 5);
    let began = world.now;
    world.ask(&second, 1, "t");
    world.run(began + 3000);
    let (at, end) = world.end(&second, 1);
    assert_eq!(end, "go");
    assert!(at - began <= ORIGIN + 150 + 2 * HOP, "{}", at - began);
}

#[test]
fn a_dead_owner_takes_the_lease_along_and_the_next_one_hears_of_it() {
    let mut world = World::of(&FIVE);
    let (owner, _, other) = world.roles();
    let waiter = FIVE.into_iter().rev().find(|name| *name != other && *name != owner).unwrap();
    world.ask(&other, 1, "t");
    world.run(world.now + 5);
    world.ask(waiter, 1, "t");
    world.run(world.now + 5);
    world.dies(&owner);
    world.run(world.now + 20);
    assert_eq!(world.end(waiter, 1).1, "waits", "who asks has told the second owner, too");
    world.fills(&other, 1, "t");
    world.run(world.now + 5);
    assert_eq!(world.end(waiter, 1).1, "found");
    assert_eq!(world.asked.len(), 1);
}

#[test]
fn two_who_take_each_other_for_the_owner_both_ask_and_neither_waits() {
    let mut world = World::of(&["a", "b"]);
    for (name, other) in [("a", "b"), ("b", "a")] {
        // Each knows the other as the one who matters.
        let fleet = world.nodes.get_mut(name).unwrap();
        fleet.members.leave();
        assert_eq!(fleet.members.owners(KEY, fleet.peers.keys().cloned()), [Peer::new(other)]);
        world.ask(name, 1, "t");
    }
    world.run(world.now + 10);
    assert_eq!((world.end("a", 1).1, world.end("b", 1).1), ("go", "go"));
}

#[test]
fn trouble_of_the_origin_is_everybodys_but_one_member_is_not_believed_for_ever() {
    let mut world = World::of(&FIVE);
    let (owner, _, other) = world.roles();
    for round in 0..u64::from(limits::FAILURES_MAX) + 2 {
        world.ask(&owner, round, "t");
        world.ask(&other, round, "another");
        world.run(world.now + 10);
        assert_eq!(world.end(&owner, round).1, "go");
        world.input(&owner, Input::Ended { ask: AskId(round), end: Some(LeaseEnd::Failed { status: 502 }) });
        world.run(world.now + 10);
        let expected = if round < u64::from(limits::FAILURES_MAX) { "failed" } else { "go" };
        assert_eq!(world.end(&other, round).1, expected, "{round}");
        world.input(&other, Input::Ended { ask: AskId(round), end: None });
    }
}

#[test]
fn a_refusal_is_told_to_who_holds_the_same_credential() {
    let mut world = World::of(&FIVE);
    let (owner, second, other) = world.roles();
    world.ask(&owner, 1, "t");
    world.ask(&other, 1, "t");
    world.ask(&second, 1, "another");
    world.run(world.now + 10);
    let told = Box::new(told_at("t", world.now, 404));
    world.input(&owner, Input::Ended { ask: AskId(1), end: Some(LeaseEnd::Told(told)) });
    world.run(world.now + 10);
    assert_eq!(world.end(&other, 1).1, "told");
    assert_eq!(world.end(&second, 1).1, "go", "and is no word to another one");

    world.ask(&owner, 2, "u");
    world.ask(&other, 2, "u");
    world.run(world.now + 10);
    let forged = Box::new(Announcement { scope: scope("u"), ..told_at("t", world.now, 404) });
    world.input(&owner, Input::Ended { ask: AskId(2), end: Some(LeaseEnd::Told(forged)) });
    world.run(world.now + 10);
    assert_ne!(world.end(&other, 2).1, "told", "the tag is not of this credential");

    // A true one of long ago, told again.
    world.run(world.now + 60_000);
    world.ask(&owner, 3, "v");
    world.ask(&other, 3, "v");
    world.run(world.now + 10);
    let old = Box::new(told_at("v", world.now - 30_000, 404));
    world.input(&owner, Input::Ended { ask: AskId(3), end: Some(LeaseEnd::Told(old)) });
    world.run(world.now + 10);
    assert_ne!(world.end(&other, 3).1, "told", "it is too old");
}

#[test]
fn who_was_not_told_to_wait_is_told_of_no_end() {
    let mut world = World::of(&FIVE);
    let (owner, _, other) = world.roles();
    let refusal = LeaseEnd::Told(Box::new(told_at("t", world.now, 404)));
    for (id, end) in [(1, refusal), (2, LeaseEnd::Failed { status: 502 })] {
        world.ask(&other, id, "t");
        let word = Message::ClaimReply(ClaimReply { id, key: KEY, word: ClaimWord::Ended(end) });
        world.input(&other, Input::Heard { from: Peer::new(owner.as_str()), message: word });
        world.run(world.now + 10);
        assert_eq!(world.end(&other, id).1, "go", "{id}");
        world.input(&other, Input::Ended { ask: AskId(id), end: None });
    }
}

#[test]
fn a_lease_of_which_nobody_says_more_is_forgotten() {
    let mut world = World::of(&FIVE);
    let (_, _, other) = world.roles();
    world.ask(&other, 1, "t");
    world.run(world.now + 10);
    assert_eq!(world.leases(), 2, "at its owner and at its holder");
    world.run(world.now + 40_000);
    assert_eq!(world.leases(), 0);
}

#[test]
fn a_client_that_goes_lets_the_next_one_ask() {
    let mut world = World::of(&FIVE);
    let (owner, second, other) = world.roles();
    world.ask(&other, 1, "t");
    world.ask(&second, 1, "t");
    world.run(world.now + 10);
    let leader = world.asked[0].1.clone();
    let waiter = if leader == other { second } else { other };
    world.input(&leader, Input::Ended { ask: AskId(1), end: None });
    world.run(world.now + 10);
    assert_eq!(world.end(&waiter, 1).1, "go");
    world.input(&waiter, Input::Cancelled { ask: AskId(1) });
    world.run(world.now + 10);
    assert_eq!(world.leases(), 0, "also at {owner}");
}

#[test]
fn with_a_lease_goes_what_the_owner_heard_last_so_that_it_need_only_be_confirmed() {
    let mut world = World::of(&FIVE);
    let (_, _, other) = world.roles();
    world.input(&other, Input::Filled { announcement: told_at("t", world.now, 200), ask: None });
    // No longer fresh; and this one has forgotten it, as if it had just come.
    world.run(world.now + 70_000);
    let newcomer = world.nodes.get_mut(&other).unwrap();
    newcomer.index.retain(|_, _| false);
    world.ask(&other, 1, "another");
    world.run(world.now + 10);
    assert_eq!(world.end(&other, 1).1, "offer");
}

#[test]
fn with_a_lease_goes_a_holder_that_is_still_there() {
    let mut world = World::of(&FIVE);
    let (first, _, other) = world.roles();
    let others = world.nodes.keys().filter(|name| **name != first && **name != other).cloned();
    let [gone, there] = <[String; 2]>::try_from(others.take(2).collect::<Vec<_>>()).unwrap();
    // By name, the one that is gone comes first.
    assert!(gone < there);
    for holder in [&gone, &there] {
        let told = Announcement { body: None, ..told_at("t2", 0, 200) };
        world.input(&first, Input::Heard { from: Peer::new(holder.as_str()), message: Message::Announce(vec![told]) });
    }
    world.input(&first, Input::PeerGone { peer: Peer::new(gone) });
    world.now = 70_000;
    world.ask(&other, 1, "t");
    world.run(70_010);
    let at = (KEY, scope("t2"));
    let holders: Vec<_> = world.nodes[&other].index.candidates(at).iter().flat_map(|c| c.holders.clone()).collect();
    assert_eq!(holders, [Peer::new(there)]);
}
