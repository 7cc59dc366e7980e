//! What goes in comes out, in order, at the speed of the link and of the reader.

use fabric::{Link, limits};
use futures::{AsyncReadExt, AsyncWriteExt, FutureExt};

use crate::world::{LATENCY, World, millis, pattern, receive, secs, send};

#[test]
fn five_megabytes_cross_a_lossy_jittery_link_in_order() {
    let mut world = World::new();
    let (near, far) = world.pair();
    world.set_both(Link { latency: LATENCY, jitter: millis(10), loss: 0.05, ..Link::default() });
    let start = world.network.now();
    let sent = pattern(5_000_000);
    let expected = sent.clone();
    world.spawn(async move { drop(send(near, sent).await.unwrap()) });
    let received = world.spawn(async move { receive(far).await.unwrap().0 });
    assert!(world.finish(&received) == expected);
    let took = world.network.now() - start;
    assert!(took < secs(20), "a lost segment costs a round trip, seldom a timeout: {took:?}");
    let totals = world.network.totals();
    assert!(totals.lost > 10 && totals.retransmissions > 10, "{totals:?}");
    assert!(totals.retransmissions < 4 * totals.lost, "{totals:?}");
}

#[test]
fn both_directions_cross_at_once() {
    let mut world = World::with_link(Link { loss: 0.02, jitter: millis(5), ..Link::default() });
    let (near, far) = world.pair();
    let ends: Vec<_> = [near, far]
        .into_iter()
        .map(|stream| {
            world.spawn(async move {
                let (mut reader, mut writer) = stream.split();
                let (mut read, sent) = (vec![0; 1_000_000], pattern(1_000_000));
                let both = futures::join!(reader.read_exact(&mut read), writer.write_all(&sent));
                both.0.unwrap();
                both.1.unwrap();
                read == sent
            })
        })
        .collect();
    assert!(ends.iter().all(|end| world.finish(end)));
}

#[test]
fn a_slow_link_takes_its_time() {
    let mut world = World::with_link(Link { latency: LATENCY, bytes_per_sec: Some(1_000_000), ..Link::default() });
    let (near, far) = world.pair();
    let start = world.network.now();
    world.spawn(async move { drop(send(near, pattern(5_000_000)).await.unwrap()) });
    let received = world.spawn(async move { receive(far).await.unwrap().0.len() });
    assert_eq!(world.finish(&received), 5_000_000);
    let took = (world.network.now() - start).as_secs_f64();
    assert!((5.0..5.2).contains(&took), "5 MB and headers at 1 MB/s, and the latency: {took}");
    assert_eq!(world.network.totals().retransmissions, 0);
}

#[test]
fn two_connections_share_a_slow_link() {
    let mut world = World::with_link(Link { latency: LATENCY, bytes_per_sec: Some(1_000_000), ..Link::default() });
    let pairs = [world.pair(), world.pair()];
    let start = world.network.now();
    let received = pairs.map(|(near, far)| {
        world.spawn(async move { drop(send(near, pattern(1_000_000)).await.unwrap()) });
        world.spawn(async move { receive(far).await.unwrap().0.len() })
    });
    received.iter().for_each(|received| assert_eq!(world.finish(received), 1_000_000));
    let took = (world.network.now() - start).as_secs_f64();
    assert!((2.0..2.1).contains(&took), "{took}");
}

#[test]
fn a_writer_waits_for_its_reader_and_memory_stays_bounded() {
    let mut world = World::new();
    let (mut near, far) = world.pair();
    world.run_for(secs(1));
    let mut taken = 0;
    let chunk = pattern(100_000);
    // It takes what fits in both buffers, and not a byte more, however long the reader waits.
    for _ in 0..100 {
        while let Some(count) = near.write(&chunk).now_or_never() {
            taken += count.unwrap();
        }
        world.run_for(secs(60));
    }
    assert_eq!(taken, limits::SEND_BUFFER_BYTES + limits::RECEIVE_BUFFER_BYTES);

    // Once it reads, all the rest comes: the shut window was no deadlock.
    let more = world.spawn(async move { drop(send(near, pattern(1_000_000)).await.unwrap()) });
    let start = world.network.now();
    let received = world.spawn(async move { receive(far).await.unwrap().0.len() });
    assert_eq!(world.finish(&received), taken + 1_000_000);
    assert!(world.network.now() - start < secs(2), "a window update came, not a late probe");
    assert!(more.take().is_some());
}

#[test]
fn a_lost_window_update_is_made_up_for_by_a_probe() {
    let mut world = World::new();
    let (mut near, mut far) = world.pair();
    world.run_for(secs(1));
    let full = pattern(limits::SEND_BUFFER_BYTES);
    near.write_all(&full).now_or_never().unwrap().unwrap();
    world.run_for(secs(1));
    near.write_all(b"beyond the window").now_or_never().unwrap().unwrap();
    world.network.block(world.b, world.a, true);
    let mut read = vec![0; full.len()];
    far.read_exact(&mut read).now_or_never().unwrap().unwrap();
    world.run_for(millis(100));
    world.network.block(world.b, world.a, false);
    let rest = world.spawn(async move {
        let mut rest = [0; 17];
        far.read_exact(&mut rest).await.unwrap();
        rest
    });
    assert_eq!(&world.finish(&rest), b"beyond the window");
}

#[test]
fn a_machine_reaches_itself_by_both_addresses() {
    let mut world = World::with_link(Link { loss: 1.0, ..Link::default() });
    let mut listener = world.network.listen(world.a, 80).unwrap();
    let server = world.spawn(async move {
        for _ in 0..2 {
            let mut stream = listener.accept().await.unwrap();
            stream.write_all(b"hello").await.unwrap();
        }
    });
    for target in ["127.0.0.1:80", "50.0.0.1:80"] {
        let dial = world.network.dial(world.a, target.parse().unwrap());
        let client = world.spawn(async move { receive(dial.await.unwrap()).await.unwrap().0 });
        assert_eq!(world.finish(&client), b"hello");
    }
    world.finish(&server);
    assert!(world.network.now() < millis(1), "no link was crossed");
}
