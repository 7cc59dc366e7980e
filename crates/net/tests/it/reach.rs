//! Circuits through a relay, and direct connections in their place.

use std::{collections::BTreeSet, time::Duration};

use futures::StreamExt;
use libp2p::{
    Multiaddr, Swarm, Transport,
    core::{transport::OrTransport, upgrade::Version},
    identify,
    identity::Keypair,
    noise, ping, relay,
    swarm::{self, NetworkBehaviour, SwarmEvent},
    tcp, yamux,
};
use net::{Address, Carrier, Config, Event, Nat, PeerInfo, Reach, RelayServer};
use tokio::sync::mpsc;
use wire::Peer;

use crate::harness::{Node, all_transports, carry_body, config, keys, start_with, until};

fn relay(seed: u8) -> Config {
    let mut settings = config(seed, keys(7));
    settings.reach = Reach { hole_punching: false, ..Reach::full(RelayServer::On, false) };
    settings.listen.push("/ip4/127.0.0.1/udp/0/quic-v1".parse().unwrap());
    settings
}

fn member(seed: u8, hole_punching: bool) -> Config {
    let mut settings = config(seed, keys(7));
    settings.reach = Reach { hole_punching, autonat: false, ..Reach::full(RelayServer::Auto, false) };
    settings
}

fn run(settings: Config) -> Node {
    start_with(settings, all_transports())
}

async fn meet(a: &mut Node, relay: &Node, address: &Address) {
    a.net.dial(address.clone());
    a.ready_for(&relay.peer).await;
}

async fn reserved(node: &Node, relay: &Node) -> Address {
    let mut found = None;
    until("a reservation", || {
        let circuit = node.net.reach().circuits.into_iter().find(|circuit| circuit.relay == relay.peer);
        found = circuit.and_then(|circuit| circuit.addresses.first().cloned());
        found.is_some()
    })
    .await;
    found.unwrap()
}

fn info(node: &Node, of: &Peer) -> Option<PeerInfo> {
    node.net.peers().into_iter().find(|info| info.peer == *of)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_crosses_a_circuit_and_both_sides_name_the_relay() {
    for place in 0..2 {
        let mut r = run(relay(3));
        let places = [r.listening().await, r.listening().await];
        let mut a = run(member(1, false));
        let mut b = run(member(2, false));
        meet(&mut a, &r, &places[place]).await;
        meet(&mut b, &r, &places[place]).await;
        let circuit = reserved(&a, &r).await;
        assert_eq!((circuit.relay(), circuit.peer()), (Some(r.peer.clone()), Some(a.peer.clone())));
        b.net.dial(circuit);
        b.connected_to(&a.peer).await;
        a.connected_to(&b.peer).await;
        // libp2p's own limit for a circuit is 128 KiB.
        carry_body(&b, &mut a, 1 << 20).await;
        for (node, other) in [(&a, &b), (&b, &a)] {
            let info = info(node, &other.peer).unwrap();
            assert_eq!((info.relay, info.connections), (Some(r.peer.clone()), 1));
            assert!(info.address.is_relayed());
        }
        assert_eq!(info(&a, &r.peer).unwrap().relays_at, Some(places[place].clone()));
        assert_eq!(r.net.counters().circuits_served, 1);
        assert!(r.net.counters().reservations_served >= 2);
        assert_eq!((r.net.reach().serves_relay, r.net.reach().nat), (true, Nat::Public));
        assert!(r.net.reach().circuits.is_empty(), "who can be dialled needs no relay");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_circuit_becomes_one_direct_connection_and_nothing_is_lost() {
    for (small, carrier) in [(1, Carrier::Tcp), (2, Carrier::Quic)] {
        let mut r = run(relay(3));
        let places = [r.listening().await, r.listening().await];
        let place = places.iter().find(|place| place.carrier() == carrier).unwrap();
        let on = |mut settings: Config| {
            if carrier == Carrier::Quic {
                settings.listen = vec!["/ip4/127.0.0.1/udp/0/quic-v1".parse().unwrap()];
            }
            run(settings)
        };
        let mut a = on(member(small, true));
        let mut b = on(member(3 - small, true));
        meet(&mut a, &r, place).await;
        meet(&mut b, &r, place).await;
        b.net.dial(reserved(&a, &r).await);
        b.ready_for(&a.peer).await;
        a.ready_for(&b.peer).await;
        until("one direct connection", || {
            [(&a, &b.peer), (&b, &a.peer)].into_iter().all(|(node, other)| {
                info(node, other).is_some_and(|info| info.relay.is_none() && info.connections == 1)
            })
        })
        .await;
        assert_eq!(info(&a, &b.peer).unwrap().carrier, carrier);
        assert!(a.net.counters().duplicates_closed + b.net.counters().duplicates_closed > 0);

        // Streams and gossip go on: nobody was told that the other had gone.
        carry_body(&b, &mut a, 256 << 10).await;
        a.net.publish("over the direct one".into());
        b.wait("gossip", |event| match event {
            Event::Gossip { data, .. } => (data == "over the direct one").then_some(()),
            Event::Disconnected { peer, why } => panic!("{peer}: {why}"),
            _ => None,
        })
        .await;
        assert_eq!((a.net.counters().disconnects, b.net.counters().disconnects), (0, 0));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_a_relay_dies_another_takes_its_place() {
    let mut a = run(member(1, false));
    let mut relays = Vec::new();
    for seed in 3..6 {
        let mut r = run(relay(seed));
        let place = r.listening().await;
        meet(&mut a, &r, &place).await;
        relays.push(r);
    }
    let holders = |a: &Node| a.net.reach().circuits.into_iter().map(|circuit| circuit.relay).collect::<BTreeSet<_>>();
    until("two reservations", || holders(&a).len() == 2).await;
    let before = holders(&a);
    let dead = relays.iter().find(|relay| before.contains(&relay.peer)).unwrap();
    dead.kill();
    until("another relay", || holders(&a).len() == 2 && !holders(&a).contains(&dead.peer)).await;

    // And through it, one who knows nothing of the old one gets through.
    let new = relays.iter().find(|relay| !before.contains(&relay.peer)).unwrap();
    let circuit = reserved(&a, new).await;
    let mut b = run(member(2, false));
    b.net.dial(circuit);
    b.connected_to(&a.peer).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_relay_is_asked_once_how_it_sees_us_over_the_other_transport() {
    let mut r = run(relay(3));
    let place = r.listening().await;
    let mut settings = member(1, true);
    settings.listen.push("/ip4/127.0.0.1/udp/0/quic-v1".parse().unwrap());
    let mut a = run(settings);
    assert_eq!(place.carrier(), Carrier::Tcp);
    meet(&mut a, &r, &place).await;
    until("a second connection has come and gone", || {
        let closed = a.net.counters().duplicates_closed + r.net.counters().duplicates_closed;
        closed == 1 && info(&a, &r.peer).unwrap().connections == 1
    })
    .await;
    assert_eq!(info(&a, &r.peer).unwrap().carrier, Carrier::Tcp);
    reserved(&a, &r).await;
    assert_eq!((a.net.counters().connects, a.net.counters().disconnects), (1, 0));
}

/// A relay without any gate, and a stranger that uses it: run by a traitor, or foreign.
#[derive(NetworkBehaviour)]
struct Foreign {
    identify: identify::Behaviour,
    ping: ping::Behaviour,
    server: relay::Behaviour,
    client: relay::client::Behaviour,
}

fn foreign(seed: u8) -> Swarm<Foreign> {
    let pair = Keypair::ed25519_from_bytes([seed; 32]).unwrap();
    let me = pair.public().to_peer_id();
    let (circuits, client) = relay::client::new(me);
    let transport = OrTransport::new(circuits, tcp::tokio::Transport::default())
        .upgrade(Version::V1Lazy)
        .authenticate(noise::Config::new(&pair).unwrap())
        .multiplex(yamux::Config::default())
        .boxed();
    let mut server = relay::Behaviour::new(me, relay::Config::default());
    server.set_status(Some(relay::Status::Enable));
    let behaviour = Foreign {
        identify: identify::Behaviour::new(identify::Config::new("/foreign/1".to_owned(), pair.public())),
        ping: ping::Behaviour::new(ping::Config::new().with_interval(Duration::from_millis(50))),
        server,
        client,
    };
    let settings = swarm::Config::with_tokio_executor().with_idle_connection_timeout(Duration::from_secs(60));
    Swarm::new(transport, behaviour, me, settings)
}

#[expect(clippy::disallowed_methods, reason = "it is no part of ghoard")]
fn keep_running(mut swarm: Swarm<Foreign>, told: mpsc::UnboundedSender<SwarmEvent<ForeignEvent>>) {
    tokio::spawn(async move {
        loop {
            let _ = told.send(swarm.select_next_some().await);
        }
    });
}

async fn foreign_relay() -> (Peer, Address) {
    let mut swarm = foreign(77);
    swarm.listen_on("/ip4/127.0.0.1/tcp/0".parse().unwrap()).unwrap();
    let address = loop {
        if let SwarmEvent::NewListenAddr { address, .. } = swarm.select_next_some().await {
            break address;
        }
    };
    swarm.add_external_address(address.clone());
    let peer = Peer::new(swarm.local_peer_id().to_base58());
    keep_running(swarm, mpsc::unbounded_channel().0);
    (peer, address.to_string().parse().unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn inside_a_circuit_members_meet_and_a_stranger_reaches_no_protocol() {
    let (relay, place) = foreign_relay().await;
    let with_relay = |seed| {
        let mut settings = member(seed, false);
        settings.infrastructure.insert(relay.clone());
        settings.limits.gate_time = Duration::from_millis(500);
        run(settings)
    };
    let a = with_relay(1);
    a.net.dial(place.with_peer(&relay));
    until("a reservation", || !a.net.reach().circuits.is_empty()).await;
    let circuit = a.net.reach().circuits[0].addresses[0].clone();

    let mut b = with_relay(2);
    b.net.dial(circuit.clone());
    b.connected_to(&a.peer).await;
    assert_eq!(info(&b, &a.peer).unwrap().relay, Some(relay));
    let connects = a.net.counters().connects;

    for seed in [50, 60, 61] {
        let mut stranger = foreign(seed);
        stranger.dial(circuit.to_string().parse::<Multiaddr>().unwrap()).unwrap();
        let (told, mut heard) = mpsc::unbounded_channel();
        keep_running(stranger, told);
        let a_id = a.peer.as_str();
        loop {
            match heard.recv().await.unwrap() {
                SwarmEvent::Behaviour(ForeignEvent::Identify(identify::Event::Received { peer_id, info, .. })) => {
                    assert_ne!(peer_id.to_base58(), a_id, "{:?}", info.protocols);
                }
                SwarmEvent::Behaviour(ForeignEvent::Ping(ping::Event { peer, result: Ok(_), .. })) => {
                    assert_ne!(peer.to_base58(), a_id);
                }
                SwarmEvent::ConnectionClosed { peer_id, .. } if peer_id.to_base58() == a_id => break,
                SwarmEvent::OutgoingConnectionError { peer_id: Some(peer), .. } if peer.to_base58() == a_id => break,
                _ => {}
            }
        }
    }
    until("all strangers are refused", || a.net.counters().refusals.values().sum::<u64>() == 3).await;
    assert_eq!(a.net.counters().connects, connects);
}
