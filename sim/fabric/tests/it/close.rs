//! Ends: FIN, reset, half-closed, orphaned; and nothing remains.

use std::io::ErrorKind;

use fabric::{Link, limits};
use futures::{AsyncReadExt, AsyncWriteExt, FutureExt};

use crate::world::{LATENCY, PORT, World, millis, pattern, receive, secs, send};

fn assert_empty(world: &mut World) {
    world.quiesce();
    assert_eq!((world.network.connections(world.a), world.network.connections(world.b)), (0, 0));
}

#[test]
fn a_close_is_the_end_after_the_data_and_the_other_direction_goes_on() {
    let mut world = World::new();
    let (mut near, far) = world.pair();
    let client = world.spawn(async move {
        near.write_all(b"question").await.unwrap();
        near.close().await.unwrap();
        assert_eq!(near.write(b"more").await.unwrap_err().kind(), ErrorKind::BrokenPipe);
        near.close().await.unwrap();
        receive(near).await.unwrap().0
    });
    let server = world.spawn(async move {
        let (question, far) = receive(far).await.unwrap();
        drop(send(far, b"answer".to_vec()).await.unwrap());
        question
    });
    assert_eq!(world.finish(&server), b"question");
    assert_eq!(world.finish(&client), b"answer");
    assert_empty(&mut world);
    assert_eq!(world.network.totals().resets, 0);
}

#[test]
fn a_drop_delivers_what_was_written_in_the_background() {
    let mut world = World::with_link(Link { latency: LATENCY, loss: 0.2, ..Link::default() });
    let (mut near, far) = world.pair();
    let sent = pattern(limits::SEND_BUFFER_BYTES);
    near.write_all(&sent).now_or_never().unwrap().unwrap();
    drop(near);
    let received = world.spawn(async move { receive(far).await.unwrap().0 });
    assert!(world.finish(&received) == sent);
    assert_empty(&mut world);
}

#[test]
fn a_drop_with_unread_data_resets() {
    let mut world = World::new();
    let (mut near, far) = world.pair();
    near.write_all(b"unread").now_or_never().unwrap().unwrap();
    world.run_for(secs(1));
    drop(far);
    assert_eq!(world.network.connections(world.b), 0);
    world.run_for(secs(1));
    assert_eq!(near.read(&mut [0]).now_or_never().unwrap().unwrap_err().kind(), ErrorKind::ConnectionReset);
    assert_eq!(near.write(b"?").now_or_never().unwrap().unwrap_err().kind(), ErrorKind::ConnectionReset);
    assert_empty(&mut world);
}

#[test]
fn data_for_a_dropped_stream_is_answered_by_a_reset() {
    let mut world = World::new();
    let (mut near, far) = world.pair();
    drop(far);
    world.run_for(secs(1));
    assert_eq!(near.read(&mut [0]).now_or_never().unwrap().unwrap(), 0, "first it looks like a close");
    near.write_all(b"anybody?").now_or_never().unwrap().unwrap();
    world.run_for(secs(1));
    assert_eq!(near.write(b"?").now_or_never().unwrap().unwrap_err().kind(), ErrorKind::ConnectionReset);
    assert_empty(&mut world);
}

#[test]
fn what_arrived_before_a_reset_is_read_before_it() {
    let mut world = World::new();
    let (mut near, mut far) = world.pair();
    near.write_all(b"unread").now_or_never().unwrap().unwrap();
    far.write_all(b"last words").now_or_never().unwrap().unwrap();
    world.run_for(secs(1));
    drop(far);
    world.run_for(secs(1));
    let mut words = [0; 10];
    near.read_exact(&mut words).now_or_never().unwrap().unwrap();
    assert_eq!(near.read(&mut [0]).now_or_never().unwrap().unwrap_err().kind(), ErrorKind::ConnectionReset);
}

#[test]
fn an_orphan_does_not_wait_for_its_peer_for_ever() {
    let mut world = World::new();
    let (near, far) = world.pair();
    drop(near);
    world.run_for(limits::ORPHAN_TIME_MAX / 2);
    assert_eq!(world.network.connections(world.a), 1);
    world.run_for(limits::ORPHAN_TIME_MAX);
    assert_eq!(world.network.connections(world.a), 0);
    drop(far);
    assert_empty(&mut world);
}

#[test]
fn an_orphan_gives_up_a_peer_that_never_reads() {
    let mut world = World::new();
    let (mut near, _far) = world.pair();
    for _ in 0..2 {
        near.write_all(&pattern(limits::SEND_BUFFER_BYTES)).now_or_never().unwrap().unwrap();
        world.run_for(secs(1));
    }
    drop(near);
    world.run_for(secs(1800));
    assert_eq!(world.network.connections(world.a), 0);
}

#[test]
fn tables_are_empty_after_many_connections_of_every_kind_of_end() {
    let mut world = World::with_link(Link { latency: LATENCY, jitter: millis(30), loss: 0.1, ..Link::default() });
    let mut listener = world.network.listen(world.b, PORT).unwrap();
    for kind in 0..200 {
        let dial = world.network.dial(world.a, world.at(world.b));
        let near = world.spawn(async move {
            let Ok(mut stream) = dial.await else { return };
            let _ = stream.write_all(&pattern(kind * 100)).await;
            if kind % 3 > 0 {
                let _ = stream.close().await;
            }
            if kind % 3 > 1 {
                let _ = stream.read(&mut [0; 10]).await;
            }
        });
        let (back, far) = (world.network.clone(), world.b);
        let accepted = world.spawn(async move {
            let Ok(mut stream) = listener.accept().await else { return listener };
            if kind % 5 > 0 {
                let _ = stream.read(&mut vec![0; 5000]).await;
            }
            if kind % 5 > 1 {
                let _ = stream.write_all(&pattern(1000)).await;
            }
            if kind % 5 > 2 {
                let _ = stream.read_to_end(&mut Vec::new()).await;
            }
            assert!(back.connections(far) < 100);
            listener
        });
        listener = world.finish(&accepted);
        drop(near);
    }
    drop(listener);
    world.quiesce();
    let left = (world.network.connections(world.a), world.network.connections(world.b));
    assert!(left.0 < 10 && left.1 == 0, "some wait for a peer whose reset was lost: {left:?}");
    world.end_tasks();
    assert_empty(&mut world);
}

#[test]
fn a_close_whose_last_acknowledgement_is_lost_is_still_a_close() {
    let mut world = World::new();
    let (mut near, mut far) = world.pair();
    near.close().now_or_never().unwrap().unwrap();
    world.run_for(secs(1));
    assert_eq!(far.read(&mut [0]).now_or_never().unwrap().unwrap(), 0);
    far.close().now_or_never().unwrap().unwrap();
    world.run_for(millis(5));
    world.network.block(world.a, world.b, true);
    world.run_for(LATENCY);
    world.network.block(world.a, world.b, false);
    assert_eq!((world.network.connections(world.a), world.network.connections(world.b)), (0, 1));
    assert_empty(&mut world);
    far.close().now_or_never().unwrap().unwrap();
    assert_eq!(far.read(&mut [0]).now_or_never().unwrap().unwrap(), 0);
    assert_eq!(far.write(b"?").now_or_never().unwrap().unwrap_err().kind(), ErrorKind::BrokenPipe);
}
