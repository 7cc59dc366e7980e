//! Connecting: refused, retried, timed out, full, given up, met half-way.

use std::{io::ErrorKind, net::SocketAddrV4};

use fabric::{Link, limits};
use futures::{AsyncReadExt, AsyncWriteExt, FutureExt};

use crate::world::{LATENCY, PORT, World, millis, receive_exact, secs, send};

#[test]
fn a_dial_takes_a_round_trip() {
    let mut world = World::new();
    let (near, far) = world.pair();
    assert_eq!(world.network.now(), LATENCY * 3, "the listener's side is there half a round trip later");
    assert_eq!((near.local(), near.remote()), (far.remote(), far.local()));
    assert_eq!(near.remote(), world.at(world.b));
}

#[test]
fn nobody_listening_refuses() {
    let mut world = World::new();
    let dial = world.network.dial(world.a, world.at(world.b));
    let dialled = world.spawn(dial);
    assert_eq!(world.finish(&dialled).unwrap_err().kind(), ErrorKind::ConnectionRefused);
    assert_eq!(world.network.now(), LATENCY * 2);
    assert_eq!((world.network.connections(world.a), world.network.totals().resets), (0, 1));
}

#[test]
fn a_dial_into_a_partition_times_out_after_seven_syns() {
    let mut world = World::new();
    let _listener = world.network.listen(world.b, PORT).unwrap();
    world.block_both(true);
    let dial = world.network.dial(world.a, world.at(world.b));
    let dialled = world.spawn(dial);
    assert_eq!(world.finish(&dialled).unwrap_err().kind(), ErrorKind::TimedOut);
    assert_eq!((world.network.now(), world.network.totals().packets), (secs(127), 7));
    assert_eq!(world.network.connections(world.a), 0);
}

#[test]
fn a_dial_into_a_partition_succeeds_at_the_first_syn_after_it() {
    let mut world = World::new();
    world.block_both(true);
    let mut listener = world.network.listen(world.b, PORT).unwrap();
    let dial = world.network.dial(world.a, world.at(world.b));
    let accepted = world.spawn(async move { listener.accept().await.unwrap() });
    let dialled = world.spawn(dial);
    world.run_for(secs(10));
    world.block_both(false);
    world.finish(&dialled).unwrap();
    assert_eq!(world.network.now(), secs(15) + LATENCY * 2, "SYNs go at 0, 1, 3, 7 and 15 s");
    world.finish(&accepted);
}

#[test]
fn a_lost_handshake_end_is_made_up_for() {
    let mut world = World::new();
    let mut listener = world.network.listen(world.b, PORT).unwrap();
    let dial = world.network.dial(world.a, world.at(world.b));
    let dialled = world.spawn(dial);
    // The SYN gets through, the last acknowledgement does not.
    world.run_for(LATENCY);
    world.network.block(world.a, world.b, true);
    let _near = world.finish(&dialled).unwrap();
    world.run_for(LATENCY);
    assert!(listener.accept().now_or_never().is_none());
    world.network.block(world.a, world.b, false);
    let accepted = world.spawn(async move { listener.accept().await.is_ok() });
    assert!(world.finish(&accepted));
    assert_eq!(world.network.now(), LATENCY + secs(1) + LATENCY * 2, "by a second SYN-ACK");
}

#[test]
fn an_unused_address_is_silent() {
    let mut world = World::new();
    let dial = world.network.dial(world.a, "50.9.9.9:1".parse().unwrap());
    let dialled = world.spawn(dial);
    assert_eq!(world.finish(&dialled).unwrap_err().kind(), ErrorKind::TimedOut);
}

#[test]
fn a_full_backlog_drops_syns_until_there_is_room() {
    let mut world = World::new();
    let mut listener = world.network.listen(world.b, PORT).unwrap();
    let dials: Vec<_> = (0..=limits::ACCEPT_BACKLOG_MAX)
        .map(|_| {
            let dial = world.network.dial(world.a, world.at(world.b));
            world.spawn(async move { dial.await.unwrap() })
        })
        .collect();
    world.run_for(millis(900));
    let mut streams: Vec<_> = dials.iter().filter_map(super::world::Outcome::take).collect();
    assert_eq!(streams.len(), limits::ACCEPT_BACKLOG_MAX);
    assert_eq!(world.network.connections(world.b), limits::ACCEPT_BACKLOG_MAX);
    let _accepted = listener.accept().now_or_never().unwrap().unwrap();
    world.run_for(secs(1));
    streams.extend(dials.iter().filter_map(super::world::Outcome::take));
    assert_eq!(streams.len(), limits::ACCEPT_BACKLOG_MAX + 1);
}

#[test]
fn a_dial_does_nothing_unpolled_and_leaves_nothing_dropped() {
    let mut world = World::new();
    let mut dial = world.network.dial(world.a, world.at(world.b));
    assert_eq!(world.network.next_event(), None);
    assert!((&mut dial).now_or_never().is_none());
    assert_eq!(world.network.connections(world.a), 1);
    drop(dial);
    assert_eq!(world.network.connections(world.a), 0);
    world.quiesce();
}

#[test]
fn a_listeners_end_resets_what_it_has_not_accepted_and_frees_its_port() {
    let mut world = World::new();
    let listener = world.network.listen(world.b, PORT).unwrap();
    assert_eq!(world.network.listen(world.b, PORT).unwrap_err().kind(), ErrorKind::AddrInUse);
    let dial = world.network.dial(world.a, world.at(world.b));
    let dialled = world.spawn(async move {
        let mut stream = dial.await.unwrap();
        stream.read(&mut [0]).await.unwrap_err().kind()
    });
    world.run_for(secs(1));
    drop(listener);
    assert_eq!(world.finish(&dialled), ErrorKind::ConnectionReset);
    assert_eq!((world.network.connections(world.a), world.network.connections(world.b)), (0, 0));
    world.network.listen(world.b, PORT).unwrap();
}

#[test]
fn port_zero_is_a_free_port() {
    let world = World::new();
    let ports: Vec<_> = [0, 10_001, 0].map(|port| world.network.listen(world.a, port).unwrap()).into();
    let ports: Vec<_> = ports.iter().map(|listener| listener.local().port()).collect();
    assert_eq!(ports, [10_000, 10_001, 10_002]);
}

#[test]
fn a_chosen_source_port_is_used_once_per_remote() {
    let mut world = World::new();
    let mut listener = world.network.listen(world.b, PORT).unwrap();
    world.spawn(async move {
        let mut kept = Vec::new();
        while let Ok(stream) = listener.accept().await {
            kept.push(stream);
        }
    });
    let mut streams = Vec::new();
    for _ in 0..2 {
        let dial = world.network.dial(world.a, world.at(world.b)).from_port(PORT);
        let dialled = world.spawn(dial);
        streams.push(world.finish(&dialled).unwrap());
    }
    assert_eq!(streams[0].local().port(), PORT);
    assert!(limits::EPHEMERAL_PORTS.contains(&streams[1].local().port()));
}

#[test]
fn two_that_dial_each_other_from_the_dialled_ports_share_one_connection() {
    for lossy in [false, true] {
        let mut world = World::new();
        let (a, b) = (world.at(world.a), world.at(world.b));
        let from_a = world.network.dial(world.a, b).from_port(PORT);
        let from_b = world.network.dial(world.b, a).from_port(PORT);
        world.network.block(world.b, world.a, lossy);
        let (near, far) = (world.spawn(from_a), world.spawn(from_b));
        world.network.block(world.b, world.a, false);
        let (near, far) = (world.finish(&near).unwrap(), world.finish(&far).unwrap());
        assert_eq!((near.local(), near.remote(), far.local()), (a, b, b));
        let sent = world.spawn(send(near, b"hello".to_vec()));
        let received = world.spawn(receive_exact(far, 5));
        let (bytes, far) = world.finish(&received).unwrap();
        assert_eq!(bytes, b"hello");
        drop((world.finish(&sent), far));
        world.quiesce();
        assert_eq!((world.network.connections(world.a), world.network.connections(world.b)), (0, 0));
    }
}

#[test]
fn nobody_connects_to_itself_by_its_own_port() {
    let mut world = World::with_link(Link::default());
    let own = SocketAddrV4::new(world.network.ip(world.a), PORT);
    let dial = world.network.dial(world.a, own).from_port(PORT);
    let dialled = world.spawn(dial);
    assert_eq!(world.finish(&dialled).unwrap_err().kind(), ErrorKind::ConnectionRefused);
}

#[test]
fn a_dial_can_write_before_the_other_side_accepts() {
    let mut world = World::new();
    let mut listener = world.network.listen(world.b, PORT).unwrap();
    let dial = world.network.dial(world.a, world.at(world.b));
    let early = world.spawn(async move {
        let mut stream = dial.await.unwrap();
        stream.write_all(b"early").await.unwrap();
        stream
    });
    world.run_for(secs(1));
    let accepted = listener.accept().now_or_never().unwrap().unwrap();
    let received = world.spawn(receive_exact(accepted, 5));
    assert_eq!(world.finish(&received).unwrap().0, b"early");
    drop(early);
}
