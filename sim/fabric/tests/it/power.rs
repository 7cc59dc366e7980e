//! Machines that lose their power, and come back knowing nothing.

use std::io::ErrorKind;

use futures::{AsyncReadExt, AsyncWriteExt, FutureExt};

use crate::world::{LATENCY, PORT, World, receive, secs};

#[test]
fn power_loss_is_silent_and_the_next_write_after_the_restart_is_reset() {
    let mut world = World::new();
    let (mut near, far) = world.pair();
    world.run_for(secs(1));
    let before = world.network.totals();
    world.network.power_off(world.b);
    drop(far);
    assert_eq!(world.network.connections(world.b), 0);
    world.run_for(secs(3600));
    assert_eq!(world.network.totals(), before, "nobody was told");
    world.network.power_on(world.b);
    world.run_for(secs(1));
    let failed = world.spawn(async move {
        near.write_all(b"still there?").await.unwrap();
        let read = near.read(&mut [0]).await.unwrap_err().kind();
        (read, near.write(b"?").await.unwrap_err().kind())
    });
    assert_eq!(world.finish(&failed), (ErrorKind::ConnectionReset, ErrorKind::ConnectionReset));
    assert_eq!(world.network.connections(world.a), 0);
}

#[test]
fn what_the_dying_machine_holds_is_dead() {
    let mut world = World::new();
    let (near, mut far) = world.pair();
    let mut listener = world.network.listen(world.b, 80).unwrap();
    let mut dial = world.network.dial(world.b, world.at(world.a));
    assert!((&mut dial).now_or_never().is_none());
    let waiting = world.spawn(receive(near));
    world.network.power_off(world.b);
    world.network.power_on(world.b);
    assert_eq!(far.read(&mut [0]).now_or_never().unwrap().unwrap_err().kind(), ErrorKind::NetworkDown);
    assert_eq!(far.write(b"?").now_or_never().unwrap().unwrap_err().kind(), ErrorKind::NetworkDown);
    assert_eq!(listener.accept().now_or_never().unwrap().unwrap_err().kind(), ErrorKind::NetworkDown);
    assert_eq!((&mut dial).now_or_never().unwrap().unwrap_err().kind(), ErrorKind::NetworkDown);
    // The handles of the life before do not close the ports of the new one.
    let _new = world.network.listen(world.b, 80).unwrap();
    drop((far, listener, dial));
    assert_eq!(world.network.listen(world.b, 80).unwrap_err().kind(), ErrorKind::AddrInUse);
    world.run_for(secs(60));
    assert!(waiting.take().is_none(), "the peer was told nothing");
}

#[test]
fn without_power_nothing_begins() {
    let mut world = World::new();
    let stale = world.network.dial(world.a, world.at(world.b));
    world.network.power_off(world.a);
    assert_eq!(world.network.listen(world.a, PORT).unwrap_err().kind(), ErrorKind::NetworkDown);
    let dial = world.network.dial(world.a, world.at(world.b));
    assert_eq!(dial.now_or_never().unwrap().unwrap_err().kind(), ErrorKind::NetworkDown);
    world.network.power_on(world.a);
    assert_eq!(stale.now_or_never().unwrap().unwrap_err().kind(), ErrorKind::NetworkDown, "it is of the life before");
    let from_b = world.network.dial(world.b, world.at(world.a));
    let dialled = world.spawn(from_b);
    assert_eq!(world.finish(&dialled).unwrap_err().kind(), ErrorKind::ConnectionRefused);
}

#[test]
fn a_dial_to_a_dead_machine_waits_for_its_return() {
    let mut world = World::new();
    world.network.power_off(world.b);
    let dial = world.network.dial(world.a, world.at(world.b));
    let dialled = world.spawn(dial);
    world.run_for(secs(5));
    world.network.power_on(world.b);
    let _listener = world.network.listen(world.b, PORT).unwrap();
    world.finish(&dialled).unwrap();
    assert_eq!(world.network.now(), secs(7) + LATENCY * 2);
}

#[test]
fn a_restarted_dialler_gets_through_to_a_peer_that_still_has_the_old_connection() {
    let mut world = World::new();
    let mut listener = world.network.listen(world.b, PORT).unwrap();
    let dial = |world: &World| world.network.dial(world.a, world.at(world.b)).from_port(PORT);
    let first = dial(&world);
    let first = world.spawn(first);
    let first = world.finish(&first).unwrap();
    world.run_for(secs(1));
    let mut old = listener.accept().now_or_never().unwrap().unwrap();
    world.network.power_off(world.a);
    drop(first);
    world.network.power_on(world.a);

    let start = world.network.now();
    let second = dial(&world);
    let second = world.spawn(second);
    let _second = world.finish(&second).unwrap();
    // The SYN is answered by an acknowledgement, that by a reset, and the next SYN connects.
    assert_eq!(world.network.now() - start, secs(1) + LATENCY * 2);
    assert_eq!(old.read(&mut [0]).now_or_never().unwrap().unwrap_err().kind(), ErrorKind::ConnectionReset);
}

#[test]
fn connections_that_wait_for_accept_go_with_the_power() {
    let mut world = World::new();
    let _listener = world.network.listen(world.b, PORT).unwrap();
    let dial = world.network.dial(world.a, world.at(world.b));
    let dialled = world.spawn(dial);
    let near = world.finish(&dialled).unwrap();
    world.run_for(secs(1));
    assert_eq!(world.network.connections(world.b), 1);
    world.network.power_off(world.b);
    assert_eq!(world.network.connections(world.b), 0);
    drop(near);
    world.quiesce();
    assert_eq!(world.network.connections(world.a), 0, "the FIN was given up");
}
