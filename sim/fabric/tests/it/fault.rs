//! Partitions, in both directions and in one, short and long; links that are held.

use std::io::ErrorKind;

use fabric::{Link, Network};
use futures::{AsyncReadExt, AsyncWriteExt, FutureExt};

use crate::world::{PORT, World, millis, pattern, receive, receive_exact, secs, send};

#[test]
fn after_a_partition_of_30_seconds_the_connection_goes_on() {
    let mut world = World::new();
    let (near, far) = world.pair();
    let sent = pattern(3_000_000);
    let expected = sent.clone();
    let writer = world.spawn(async move { drop(send(near, sent).await.unwrap()) });
    let received = world.spawn(async move { receive(far).await.unwrap().0 });
    world.run_for(millis(100));
    world.block_both(true);
    world.run_for(secs(30));
    assert!(writer.take().is_none(), "the partition was in its middle");
    world.block_both(false);
    assert!(world.finish(&received) == expected);
    assert!(world.network.now() < secs(70), "it goes on at the next retransmission");
}

#[test]
fn after_a_partition_of_30_minutes_both_writers_have_timed_out() {
    let mut world = World::new();
    let (near, far) = world.pair();
    world.block_both(true);
    let ends = [near, far].map(|mut stream| {
        world.spawn(async move {
            stream.write_all(b"anybody?").await.unwrap();
            let read = stream.read(&mut [0; 8]).await.unwrap_err();
            (read.kind(), stream.write(b"?").await.unwrap_err().kind())
        })
    });
    world.run_for(secs(10 * 60));
    assert_eq!(world.network.connections(world.a), 1, "ten minutes are not enough");
    world.run_for(secs(20 * 60));
    for end in ends {
        assert_eq!(end.take(), Some((ErrorKind::TimedOut, ErrorKind::TimedOut)));
    }
    world.block_both(false);
    assert_eq!((world.network.connections(world.a), world.network.connections(world.b)), (0, 0));
    assert_eq!(world.network.next_event(), None);
}

#[test]
fn whose_acknowledgements_vanish_times_out_although_its_data_arrived() {
    let mut world = World::new();
    let (mut near, far) = world.pair();
    world.network.block(world.b, world.a, true);
    let writer = world.spawn(async move {
        near.write_all(b"hello").await.unwrap();
        near.read(&mut [0]).await.unwrap_err().kind()
    });
    let reader = world.spawn(async move { receive_exact(far, 5).await.unwrap() });
    let (read, _far) = world.finish(&reader);
    assert_eq!(read, b"hello");
    assert_eq!(world.finish(&writer), ErrorKind::TimedOut);
    assert!((secs(13 * 60)..secs(20 * 60)).contains(&world.network.now()), "{:?}", world.network.now());
    assert_eq!(world.network.connections(world.b), 1, "the other end knows nothing of it");
}

#[test]
fn the_reader_of_a_silent_peer_waits_for_ever() {
    let mut world = World::new();
    let (near, far) = world.pair();
    world.block_both(true);
    let reader = world.spawn(async move { receive(far).await.is_ok() });
    world.run_for(secs(24 * 3600));
    assert!(reader.take().is_none(), "there is no keepalive");
    drop(near);
}

#[test]
fn a_held_link_releases_in_order_and_loses_nothing() {
    let mut world = World::new();
    let (near, far) = world.pair();
    world.run_for(secs(1));
    let before = world.network.totals();
    world.network.hold(world.a, world.b, true);
    let sent = pattern(200_000);
    let expected = sent.clone();
    world.spawn(async move { drop(send(near, sent).await.unwrap()) });
    let received = world.spawn(async move { receive(far).await.unwrap().0 });
    world.run_for(millis(150));
    assert!(received.take().is_none());
    let start = world.network.now();
    world.network.hold(world.a, world.b, false);
    assert!(world.finish(&received) == expected);
    assert_eq!(world.network.now() - start, world.network.link(world.a, world.b).latency, "all at once");
    let after = world.network.totals();
    assert_eq!((after.retransmissions, after.lost), (before.retransmissions, before.lost));
}

#[test]
fn a_held_link_is_bounded() {
    let network = Network::new(1, Link::default());
    let (a, b) = (network.add_machine([10, 0, 0, 1].into()), network.add_machine([10, 0, 0, 2].into()));
    network.hold(a, b, true);
    let mut dials: Vec<_> = (0..fabric::limits::HELD_PACKETS_MAX + 3)
        .map(|_| network.dial(a, std::net::SocketAddrV4::new([10, 0, 0, 2].into(), PORT)))
        .collect();
    for dial in &mut dials {
        assert!(dial.now_or_never().is_none());
    }
    assert_eq!(network.totals().lost, 3);
    network.hold(a, b, false);
    assert_eq!(network.totals().packets as usize, dials.len());
}
