//! Members that only a third one knows find each other by the words that others keep.

use std::{collections::BTreeSet, time::Duration};

use net::{Config, Event, Identity};
use wire::{Millis, Role, SignedPeer};

use crate::harness::{Node, config, keys, start};

fn with_kademlia(seed: u8) -> Config {
    Config { kademlia: true, ..config(seed, keys(7)) }
}

fn word_of(seed: u8, address: &str) -> SignedPeer {
    let identity = Identity::from_seed([seed; 32]);
    let mut word = SignedPeer {
        peer: identity.peer(),
        addresses: vec![address.to_owned()],
        role: Role::Node,
        issued_at: Millis::from_secs(1_800_000_000),
        expires_at: Millis::from_secs(1_800_000_600),
        signature: [0; 64],
    };
    word.signature = identity.sign(&word.signed_bytes());
    word
}

/// Asks again and again: what begins with a connection takes a moment.
async fn until_event<T>(node: &mut Node, ask: impl Fn(&Node), mut pick: impl FnMut(Event) -> Option<T>) -> T {
    for _ in 0..200 {
        ask(node);
        let soon = async {
            loop {
                if let Some(found) = pick(node.events.next().await.expect("the network is up")) {
                    return found;
                }
            }
        };
        if let Ok(found) = tokio::time::timeout(Duration::from_millis(100), soon).await {
            return found;
        }
    }
    panic!("nothing came of it");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_publishes_another_looks_up_at_whom_both_know() {
    let (mut a, mut b, mut c) = (start(with_kademlia(1)), start(with_kademlia(2)), start(with_kademlia(3)));
    let (place, at_c) = (b.listening().await, c.listening().await);
    a.net.dial(place.clone());
    c.net.dial(place);
    a.connected_to(&b.peer).await;
    c.connected_to(&b.peer).await;
    let is_given = |event| matches!(event, Event::AddressGiven).then_some(());
    let word = word_of(3, "/ip4/192.0.2.7/tcp/9100");
    until_event(&mut c, |c| c.net.publish_address(&word), is_given).await;
    let of_c = c.peer.clone();
    let found = |event| match event {
        Event::LookedUp { record } => Some(record),
        _ => None,
    };
    assert_eq!(until_event(&mut a, |a| a.net.look_up(&of_c), found).await, word);
    let peers = [&a, &b, &c].map(|node| node.net.peers().len());
    assert_eq!(peers, [1, 2, 1], "it is asked where c is, and nobody is dialled for it");

    // Nobody has said that of himself. c keeps it all the same, and gives it to b.
    let forged = SignedPeer { peer: word_of(4, "/ip4/192.0.2.7/tcp/9100").peer, ..word };
    until_event(&mut c, |c| c.net.publish_address(&forged), is_given).await;
    assert!(!finds(&mut a, &forged).await, "b has kept a forged word");
    a.net.dial(at_c);
    a.connected_to(&c.peer).await;
    assert!(!finds(&mut a, &forged).await, "a forged word was believed");
}

/// Whether this is what others say where that peer is, asked several times.
async fn finds(node: &mut Node, word: &SignedPeer) -> bool {
    let is_it = |event: Option<Event>| matches!(event, Some(Event::LookedUp { record }) if record == *word);
    for _ in 0..10 {
        node.net.look_up(&word.peer);
        let is_heard = async { while !is_it(node.events.next().await) {} };
        if tokio::time::timeout(Duration::from_millis(100), is_heard).await.is_ok() {
            return true;
        }
    }
    false
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_asked_for_while_there_are_questions_enough_is_asked_for_later() {
    let (mut a, mut b, mut c) = (start(with_kademlia(1)), start(with_kademlia(2)), start(with_kademlia(3)));
    let (at_b, at_c) = (b.listening().await, c.listening().await);
    c.net.dial(at_b);
    c.connected_to(&b.peer).await;
    // c keeps them itself.
    let words: Vec<_> = (10..30).map(|seed| word_of(seed, "/ip4/192.0.2.7/tcp/9100")).collect();
    let is_given = |event| matches!(event, Event::AddressGiven).then_some(());
    for word in &words {
        until_event(&mut c, |c| c.net.publish_address(word), is_given).await;
    }
    a.net.dial(at_c);
    a.connected_to(&c.peer).await;
    // The connection is up before it is known that c speaks of addresses.
    let found = |event| match event {
        Event::LookedUp { record } => Some(record),
        _ => None,
    };
    until_event(&mut a, |a| a.net.look_up(&words[0].peer), found).await;
    words.iter().for_each(|word| a.net.look_up(&word.peer));
    let mut missing: BTreeSet<_> = words[1..].iter().map(|word| word.peer.clone()).collect();
    while !missing.is_empty() {
        missing.remove(&a.wait("an answer", found).await.peer);
    }
}
