use bytes::Bytes;
use crypto::MembershipKeys;
use net::{ConnectionClass, Direction, Event, GateError, Identity, PullError, Refusal, Verdict};

use crate::harness::{Node, config, keys, start};

/// Two members who know of each other, and gossip.
async fn pair() -> (Node, Node) {
    let mut a = start(config(1, keys(7)));
    let mut b = start(config(2, keys(7)));
    meet(&mut a, &mut b).await;
    (a, b)
}

async fn meet(a: &mut Node, b: &mut Node) {
    let address = b.listening().await;
    a.net.dial(address);
    a.ready_for(&b.peer).await;
    b.ready_for(&a.peer).await;
}

async fn gossip(node: &mut Node) -> (wire::Peer, Bytes) {
    let net = node.net.clone();
    node.wait("gossip", |event| match event {
        Event::Gossip { source, data, id } => {
            net.accept_gossip(&id);
            Some((source, data))
        }
        _ => None,
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn members_gossip_both_ways() {
    let (mut a, mut b) = pair().await;
    a.net.publish("from a".into());
    assert_eq!(gossip(&mut b).await, (a.peer.clone(), "from a".into()));
    b.net.publish("from b".into());
    assert_eq!(gossip(&mut a).await, (b.peer.clone(), "from b".into()));
    // Saying the same again is not a duplicate.
    b.net.publish("from b".into());
    assert_eq!(gossip(&mut a).await, (b.peer.clone(), "from b".into()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_arrive_in_order() {
    let (a, mut b) = pair().await;
    for number in 0..100u32 {
        a.net.send(&b.peer, number.to_be_bytes().to_vec().into());
    }
    for number in 0..100u32 {
        let (from, data) = b
            .wait("message", |event| match event {
                Event::Message { from, data } => Some((from, data)),
                _ => None,
            })
            .await;
        assert_eq!((from, &data[..]), (a.peer.clone(), &number.to_be_bytes()[..]));
    }
    assert_eq!(a.net.counters().messages_dropped, 0);
    a.net.send(&Identity::from_seed([99; 32]).peer(), "nobody".into());
    crate::harness::until("the message to nobody is counted", || a.net.counters().messages_dropped == 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pull_of_five_megabytes_comes_whole() {
    const FRAMES: usize = 40;
    let (a, mut b) = pair().await;
    let serve = async {
        let (from, request, mut reply) = b
            .wait("pull", |event| match event {
                Event::Pull { from, request, reply } => Some((from, request, reply)),
                _ => None,
            })
            .await;
        assert_eq!((from, request), (a.peer.clone(), "body 17".into()));
        for number in 0..FRAMES {
            reply.write_frame(vec![number as u8; 128 << 10].into()).await.unwrap();
        }
        reply.finish().await.unwrap();
    };
    let ask = async {
        let mut answer = a.net.pull(&b_peer(), "body 17".into()).await.unwrap();
        let mut frames = 0;
        while let Some(frame) = answer.next_frame().await.unwrap() {
            assert!(frame.len() == 128 << 10 && frame.iter().all(|byte| *byte == frames as u8));
            frames += 1;
        }
        assert_eq!(frames, FRAMES);
        assert!(answer.next_frame().await.unwrap().is_none(), "the end stays the end");
    };
    tokio::join!(serve, ask);
    assert_eq!(a.net.counters().pull_bytes_in, 5 << 20);
}

fn b_peer() -> wire::Peer {
    Identity::from_seed([2; 32]).peer()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_breaks_off_is_not_a_short_answer() {
    let (a, mut b) = pair().await;
    let serve = async {
        let mut reply = b
            .wait("pull", |event| match event {
                Event::Pull { reply, .. } => Some(reply),
                _ => None,
            })
            .await;
        reply.write_frame("half of it".into()).await.unwrap();
    };
    let ask = async {
        let mut answer = a.net.pull(&b_peer(), "body".into()).await.unwrap();
        let mut last = answer.next_frame().await;
        while let Ok(Some(_)) = last {
            last = answer.next_frame().await;
        }
        assert!(matches!(last, Err(PullError::Truncated | PullError::Io(_))), "{last:?}");
    };
    tokio::join!(serve, ask);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn gossip_crosses_a_chain_but_a_rejected_message_does_not() {
    let (mut a, mut b, mut c) = (start(config(1, keys(7))), start(config(2, keys(7))), start(config(3, keys(7))));
    let middle = b.listening().await;
    a.net.dial(middle.clone());
    c.net.dial(middle);
    a.ready_for(&b.peer).await;
    c.ready_for(&b.peer).await;
    let both = |node: &Node| node.net.peers().iter().filter(|peer| peer.ready).count() == 2;
    crate::harness::until("b is ready for both", || both(&b)).await;

    for (text, verdict) in [("a lie", Verdict::Reject), ("a truth", Verdict::Accept)] {
        a.net.publish(text.into());
        let id = b
            .wait("gossip in the middle", |event| match event {
                Event::Gossip { data, id, .. } if data == text => Some(id),
                _ => None,
            })
            .await;
        b.net.report(&id, verdict);
    }
    assert_eq!(gossip(&mut c).await, (a.peer.clone(), "a truth".into()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn peers_are_told_once_with_their_side() {
    let (a, b) = pair().await;
    let address = a.net.peers()[0].address.clone();
    assert_eq!(a.net.peers().len(), 1);
    assert_eq!((a.net.peers()[0].peer.clone(), a.net.peers()[0].direction), (b.peer.clone(), Direction::Outbound));
    assert_eq!((b.net.peers()[0].peer.clone(), b.net.peers()[0].direction), (a.peer.clone(), Direction::Inbound));
    assert!(a.net.infrastructure().is_empty());
    assert_ne!(ConnectionClass::Member, ConnectionClass::Infrastructure);

    let mut a = a;
    for again in [address.clone(), address.with_peer(&b.peer)] {
        a.net.dial(again);
        let why = dial_failure(&mut a).await;
        assert_eq!(why, Refusal::AlreadyConnected);
    }
    crate::harness::until("agent and round trip are known", || {
        let peer = a.net.peers().remove(0);
        peer.agent.is_some_and(|agent| agent.starts_with("ghoard/")) && peer.rtt.is_some()
    })
    .await;
}

async fn dial_failure(node: &mut Node) -> Refusal {
    node.wait("failed dial", |event| match event {
        Event::DialFailed { why, .. } => Some(why),
        _ => None,
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failed_dial_says_why() {
    let mut a = start(config(1, keys(7)));
    let mut b = start(config(2, keys(7)));
    let (own, other) = (a.listening().await, b.listening().await);

    a.net.dial(own);
    assert_eq!(dial_failure(&mut a).await, Refusal::Gate(GateError::SelfDial));
    a.net.dial("/dns4/localhost/tcp/9100".parse().unwrap());
    assert_eq!(dial_failure(&mut a).await, Refusal::NotDialable);
    a.net.dial(other.with_peer(&Identity::from_seed([50; 32]).peer()));
    assert_eq!(dial_failure(&mut a).await, Refusal::WrongPeer { found: b.peer.clone() });
    b.kill();
    a.net.dial(other.clone());
    let mut why = dial_failure(&mut a).await;
    while !matches!(why, Refusal::Unreachable(_)) {
        // The listener dies with its task, which may take a moment.
        a.net.dial(other.clone());
        why = dial_failure(&mut a).await;
    }
    assert!(a.net.counters().dial_failures.contains_key("unreachable"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_that_turns_out_to_be_our_own_is_named() {
    let mut settings = config(1, keys(7));
    settings.listen = vec!["/ip4/0.0.0.0/tcp/0".parse().unwrap()];
    let mut a = start(settings);
    let port = a.listening().await.port().unwrap();
    // Reaches us under an address that no interface lists.
    a.net.dial(format!("/ip4/127.0.0.2/tcp/{port}").parse().unwrap());
    assert_eq!(dial_failure(&mut a).await, Refusal::Gate(GateError::SelfDial));
    assert_eq!(a.net.counters().connects, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_in_use_is_told() {
    let mut a = start(config(1, keys(7)));
    let taken = a.listening().await;
    let mut second = config(2, keys(7));
    second.listen = vec![taken.clone()];
    let mut b = start(second);
    let (address, why) = b
        .wait("failed listen", |event| match event {
            Event::ListenFailed { address, why } => Some((address, why)),
            _ => None,
        })
        .await;
    assert_eq!(address, taken);
    assert!(!why.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_peer_is_missed() {
    let (mut a, b) = pair().await;
    b.kill();
    gone(&mut a).await;
    assert!(a.net.peers().is_empty());
    assert!(matches!(a.net.pull(&b.peer, "anyone?".into()).await, Err(PullError::NotConnected)));
}

async fn gone(node: &mut Node) -> String {
    node.wait("disconnection", |event| match event {
        Event::Disconnected { why, .. } => Some(why),
        _ => None,
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dropped_peer_is_gone_with_the_reason_and_may_return() {
    let (mut a, mut b) = pair().await;
    let address = a.net.peers()[0].address.clone();
    a.net.drop_peer(&b.peer, "it lied");
    assert_eq!(gone(&mut a).await, "it lied");
    gone(&mut b).await;
    a.net.dial(address);
    a.ready_for(&b.peer).await;
    assert_eq!((a.net.counters().connects, a.net.counters().disconnects), (2, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shutdown_says_goodbye_and_ends_the_events() {
    let (mut a, mut b) = pair().await;
    a.net.shutdown().await;
    while a.events.next().await.is_some() {}
    gone(&mut b).await;
    a.net.publish("into the void".into());
    a.net.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn old_and_new_meet_during_a_rotation() {
    let (old, new) = (keys(7).current, keys(8).current);
    let rotating = MembershipKeys { current: old.clone(), next: Some(new.clone()) };
    let mut middle = start(config(1, rotating));
    let address = middle.listening().await;
    let only = |key| MembershipKeys { current: key, next: None };
    let ahead = MembershipKeys { current: new.clone(), next: Some(old.clone()) };
    for (seed, keys) in [(2, only(old)), (3, only(new)), (4, ahead)] {
        let mut node = start(config(seed, keys));
        node.net.dial(address.clone());
        node.connected_to(&middle.peer).await;
        middle.connected_to(&node.peer).await;
    }
}
