//! The same network through libp2p's `Transport`.

use std::{
    io::ErrorKind,
    pin::Pin,
    sync::{Arc, atomic::Ordering},
    task::{Context, Waker},
};

use fabric::FabricTransport;
use futures::{AsyncWriteExt, FutureExt, future::poll_fn};
use libp2p::{
    Multiaddr, Transport,
    core::{
        Endpoint,
        transport::{DialOpts, ListenerId, PortUse, TransportError, TransportEvent},
    },
};

use crate::world::{LATENCY, Woken, World, receive_exact, secs};

const REUSE: DialOpts = DialOpts { role: Endpoint::Dialer, port_use: PortUse::Reuse };
const FRESH: DialOpts = DialOpts { role: Endpoint::Dialer, port_use: PortUse::New };

fn addr(text: &str) -> Multiaddr {
    text.parse().unwrap()
}

/// What the transport says now, in a line, and the stream that came with it.
fn next(transport: &mut FabricTransport) -> Option<(String, Option<fabric::Stream>)> {
    let event = poll_fn(|cx| Pin::new(&mut *transport).poll(cx)).now_or_never()?;
    Some(match event {
        TransportEvent::NewAddress { listen_addr, .. } => (format!("new {listen_addr}"), None),
        TransportEvent::Incoming { upgrade, local_addr, send_back_addr, .. } => {
            let stream = upgrade.now_or_never().unwrap().unwrap();
            (format!("incoming {local_addr} {send_back_addr}"), Some(stream))
        }
        TransportEvent::ListenerClosed { reason, .. } => {
            (format!("closed {:?}", reason.map_err(|cause| cause.kind())), None)
        }
        other => (format!("{other:?}"), None),
    })
}

fn listening(world: &World, at: &str) -> (FabricTransport, ListenerId, String) {
    let mut transport = world.network.transport(world.b);
    let id = ListenerId::next();
    transport.listen_on(id, addr(at)).unwrap();
    let line = next(&mut transport).unwrap().0;
    (transport, id, line)
}

#[test]
fn it_satisfies_what_the_node_asks_of_a_raw_transport() {
    fn check<T: Transport + Send + Unpin + 'static>(_: &T)
    where
        T::Output: futures::AsyncRead + futures::AsyncWrite + Send + Unpin + 'static,
        T::Error: Send + Sync,
        T::Dial: Send,
        T::ListenerUpgrade: Send,
    {
    }
    let world = World::new();
    check(&world.network.transport(world.a));
}

#[test]
fn a_listener_announces_itself_before_what_comes_in() {
    let mut world = World::new();
    let (mut server, _, line) = listening(&world, "/ip4/0.0.0.0/tcp/0");
    assert_eq!(line, "new /ip4/50.0.0.2/tcp/10000");
    assert!(next(&mut server).is_none());
    let mut client = world.network.transport(world.a);
    let peer = "/ip4/50.0.0.2/tcp/10000/p2p/12D3KooWPjceQrSwdWXPyLLeABRXmuqt69Rg3sBYbU1Nft9HyQ6X";
    let dial = client.dial(addr(peer), FRESH).unwrap();
    let dialled = world.spawn(dial);
    let mut near = world.finish(&dialled).unwrap();
    world.run_for(LATENCY);
    let (line, far) = next(&mut server).unwrap();
    assert_eq!(line, format!("incoming /ip4/50.0.0.2/tcp/10000 /ip4/50.0.0.1/tcp/{}", near.local().port()));
    near.write_all(b"hello").now_or_never().unwrap().unwrap();
    let received = world.spawn(receive_exact(far.unwrap(), 5));
    assert_eq!(world.finish(&received).unwrap().0, b"hello");
}

#[test]
fn a_waiting_transport_is_woken() {
    let mut world = World::new();
    let (mut server, _, _) = listening(&world, "/ip4/50.0.0.2/tcp/7");
    let accepted = world.spawn(async move {
        let event = poll_fn(|cx| Pin::new(&mut server).poll(cx)).await;
        event.into_incoming().is_some()
    });
    let dialled = world.network.transport(world.a).dial(addr("/ip4/50.0.0.2/tcp/7"), FRESH).unwrap();
    let _dialled = world.spawn(dialled);
    assert!(world.finish(&accepted));
}

#[test]
fn what_is_not_tcp_over_ipv4_is_left_to_others() {
    let world = World::new();
    let mut transport = world.network.transport(world.a);
    let peer = "/p2p/12D3KooWPjceQrSwdWXPyLLeABRXmuqt69Rg3sBYbU1Nft9HyQ6X";
    for other in [
        "/ip6/::1/tcp/1".to_owned(),
        "/ip4/50.0.0.2/udp/1/quic-v1".to_owned(),
        "/ip4/50.0.0.2/tcp/1/ws".to_owned(),
        "/dns/a.example/tcp/1".to_owned(),
        "/ip4/50.0.0.2/tcp/0".to_owned(),
        "/ip4/0.0.0.0/tcp/1".to_owned(),
        format!("/ip4/50.0.0.2/tcp/1{peer}/p2p-circuit"),
    ] {
        let refused = transport.dial(addr(&other), FRESH);
        assert!(matches!(refused, Err(TransportError::MultiaddrNotSupported(_))), "{other}");
    }
    for other in ["/ip6/::1/tcp/1".to_owned(), format!("/ip4/0.0.0.0/tcp/1{peer}")] {
        let refused = transport.listen_on(ListenerId::next(), addr(&other));
        assert!(matches!(refused, Err(TransportError::MultiaddrNotSupported(_))), "{other}");
    }
    for (address, kind) in
        [("/ip4/50.0.0.2/tcp/1", ErrorKind::AddrNotAvailable), ("/ip4/0.0.0.0/tcp/9", ErrorKind::AddrInUse)]
    {
        let _taken = world.network.listen(world.a, 9);
        let refused = transport.listen_on(ListenerId::next(), addr(address));
        assert!(matches!(refused, Err(TransportError::Other(cause)) if cause.kind() == kind), "{address}");
    }
}

#[test]
fn a_removed_listener_says_so_and_takes_nothing_more() {
    let mut world = World::new();
    let (mut server, id, _) = listening(&world, "/ip4/0.0.0.0/tcp/7");
    assert!(server.remove_listener(id));
    assert!(!server.remove_listener(id));
    assert_eq!(next(&mut server).unwrap().0, "closed Ok(())");
    let dialled = world.network.transport(world.a).dial(addr("/ip4/50.0.0.2/tcp/7"), FRESH).unwrap();
    let dialled = world.spawn(dialled);
    assert_eq!(world.finish(&dialled).unwrap_err().kind(), ErrorKind::ConnectionRefused);
}

#[test]
fn a_dropped_transport_frees_its_ports() {
    let world = World::new();
    let (server, ..) = listening(&world, "/ip4/0.0.0.0/tcp/7");
    drop(server);
    listening(&world, "/ip4/0.0.0.0/tcp/7");
}

#[test]
fn reuse_dials_from_the_listening_port() {
    let mut world = World::new();
    let (mut server, ..) = listening(&world, "/ip4/0.0.0.0/tcp/7");
    let _listener = world.network.listen(world.a, 8).unwrap();
    let ports: Vec<_> = [REUSE, FRESH]
        .into_iter()
        .map(|opts| {
            let dial = server.dial(addr("/ip4/50.0.0.1/tcp/8"), opts).unwrap();
            let dialled = world.spawn(dial);
            world.finish(&dialled).unwrap().local().port()
        })
        .collect();
    assert_eq!(ports[0], 7);
    assert!(ports[1] > 10_000);
}

#[test]
fn a_transport_ends_with_the_power() {
    let mut world = World::new();
    let (mut server, ..) = listening(&world, "/ip4/0.0.0.0/tcp/7");
    world.network.power_off(world.b);
    world.network.power_on(world.b);
    world.run_for(secs(1));
    assert_eq!(next(&mut server).unwrap().0, "closed Err(NetworkDown)");
    let again = server.listen_on(ListenerId::next(), addr("/ip4/0.0.0.0/tcp/7"));
    assert!(again.is_err(), "each life has its own transport");
    listening(&world, "/ip4/0.0.0.0/tcp/7");
}

#[test]
fn a_machine_that_gets_another_address_says_so_and_is_found_there_only() {
    let mut world = World::new();
    let (mut server, ..) = listening(&world, "/ip4/0.0.0.0/tcp/7");
    let old = world.spawn(world.network.transport(world.a).dial(addr("/ip4/50.0.0.2/tcp/7"), FRESH).unwrap());
    let mut old = world.finish(&old).unwrap();
    world.run_for(LATENCY);
    let mut far = next(&mut server).unwrap().1.unwrap();
    let woken = Arc::new(Woken(false.into()));
    let waker = Waker::from(woken.clone());
    assert!(Pin::new(&mut server).poll(&mut Context::from_waker(&waker)).is_pending());

    world.network.readdress(world.b, [50, 0, 0, 9].into());
    assert!(woken.0.load(Ordering::Relaxed));
    let lines = [next(&mut server), next(&mut server)].map(|said| said.unwrap().0);
    assert!(lines[0].contains("AddressExpired") && lines[0].contains("/ip4/50.0.0.2/tcp/7"), "{}", lines[0]);
    assert_eq!(lines[1], "new /ip4/50.0.0.9/tcp/7");
    assert!(next(&mut server).is_none(), "once");

    let dial = |to: &str| world.network.transport(world.a).dial(addr(to), FRESH).unwrap();
    let (gone, there) = (dial("/ip4/50.0.0.2/tcp/7"), dial("/ip4/50.0.0.9/tcp/7"));
    let (gone, there) = (world.spawn(gone), world.spawn(there));
    assert!(world.finish(&there).is_ok());
    let (to_old, from_old) = (old.write_all(b"x").now_or_never(), far.write_all(b"y").now_or_never());
    assert!(to_old.unwrap().is_ok() && from_old.unwrap().is_ok(), "neither end knows");
    let heard = [world.spawn(receive_exact(old, 1)), world.spawn(receive_exact(far, 1))];
    world.run_for(secs(60));
    assert!(gone.take().is_none() && heard.iter().all(|heard| heard.take().is_none()));
}

#[test]
fn a_call_wakes_who_waits_for_its_event() {
    let world = World::new();
    let (mut server, id, _) = listening(&world, "/ip4/0.0.0.0/tcp/7");
    let woken = Arc::new(Woken(false.into()));
    let waker = Waker::from(woken.clone());
    assert!(Pin::new(&mut server).poll(&mut Context::from_waker(&waker)).is_pending());
    server.remove_listener(id);
    assert!(woken.0.load(Ordering::Relaxed));
}
