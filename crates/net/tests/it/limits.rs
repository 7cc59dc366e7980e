use std::time::Duration;

use net::{Event, PullError, Refusal};
use tokio::io::AsyncWriteExt;

use crate::harness::{config, keys, start, until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_does_not_listen_loses_gossip_and_no_coming_or_going() {
    const PUBLISHED: u64 = 50;
    let mut settings = config(1, keys(7));
    settings.limits.events = 4;
    let mut slow = start(settings);
    let address = slow.listening().await;
    let mut loud = start(config(2, keys(7)));
    loud.net.dial(address.clone());
    loud.ready_for(&slow.peer).await;
    for number in 0..PUBLISHED {
        loud.net.publish(number.to_be_bytes().to_vec().into());
    }
    until("the gossip is here", || slow.net.counters().gossip_received == PUBLISHED).await;
    assert!(slow.net.counters().gossip_dropped >= PUBLISHED - 4);

    let mut others = Vec::new();
    for seed in 3..9 {
        let mut other = start(config(seed, keys(7)));
        other.net.dial(address.clone());
        other.ready_for(&slow.peer).await;
        others.push(other.peer.clone());
        other.net.shutdown().await;
    }
    until("all have left", || slow.net.counters().disconnects == 6).await;
    let mut left = Vec::new();
    while left.len() < others.len() {
        left.push(
            slow.wait("disconnection", |event| match event {
                Event::Disconnected { peer, .. } => Some(peer),
                _ => None,
            })
            .await,
        );
    }
    assert_eq!(left, others);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_only_looks_whether_the_port_is_open_is_told_from_who_breaks_off() {
    let mut node = start(config(1, keys(7)));
    let address = node.listening().await;
    let at = std::net::SocketAddr::new(address.ip().unwrap(), address.port().unwrap());
    drop(tokio::net::TcpStream::connect(at).await.unwrap());
    let refused = |event| match event {
        Event::Refused { why, .. } => Some(why),
        _ => None,
    };
    assert_eq!(node.wait("the knock", refused).await, Refusal::HungUp);
    let mut stream = tokio::net::TcpStream::connect(at).await.unwrap();
    stream.write_all(b"\x06hello\n").await.unwrap();
    assert!(matches!(node.wait("the stranger", refused).await, Refusal::Unreachable(_)));
    assert_eq!(node.net.counters().refusals.get("hung_up"), Some(&1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pulls_over_the_limit_are_refused_and_places_come_back() {
    let mut settings = config(1, keys(7));
    settings.limits.streams_per_peer = 2;
    let mut server = start(settings);
    let mut asker = start(config(2, keys(7)));
    asker.net.dial(server.listening().await);
    asker.ready_for(&server.peer).await;

    let mut replies = Vec::new();
    let mut answers = Vec::new();
    for _ in 0..2 {
        answers.push(asker.net.pull(&server.peer, "body".into()).await.unwrap());
        replies.push(
            server
                .wait("pull", |event| match event {
                    Event::Pull { reply, .. } => Some(reply),
                    _ => None,
                })
                .await,
        );
    }
    let refused = match asker.net.pull(&server.peer, "body".into()).await {
        Ok(mut third) => third.next_frame().await.err(),
        Err(why) => Some(why),
    };
    assert!(matches!(refused, Some(PullError::Truncated | PullError::Io(_))), "{refused:?}");
    assert_eq!(server.net.counters().streams_refused, 1);

    replies.pop().unwrap().finish().await.unwrap();
    asker.net.pull(&server.peer, "body".into()).await.unwrap();
    server
        .wait("pull", |event| match event {
            Event::Pull { reply, .. } => Some(reply),
            _ => None,
        })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_without_a_request_does_not_hold_its_place() {
    let mut settings = config(1, keys(7));
    settings.limits.stall_time = Duration::from_millis(200);
    let mut silent = start(settings.clone());
    settings.identity = net::Identity::from_seed([2; 32]);
    let mut asker = start(settings);
    asker.net.dial(silent.listening().await);
    asker.ready_for(&silent.peer).await;
    let mut answer = asker.net.pull(&silent.peer, "body".into()).await.unwrap();
    let _reply = silent
        .wait("pull", |event| match event {
            Event::Pull { reply, .. } => Some(reply),
            _ => None,
        })
        .await;
    assert!(matches!(answer.next_frame().await, Err(PullError::Stalled(_))));
}
