//! Members meet over each transport, and each transport has the same gate.

use std::time::Duration;

use net::{Carrier, Event, GateError, PeerInfo, Tls, Transports, WebSocket};

use crate::{
    harness::{Node, all_transports, carry_body, config, keys, ordered_seeds, start_with, until},
    stranger::Stranger,
};

fn listen_on(seed: u8, secret: u8, place: &str) -> Node {
    let mut settings = config(seed, keys(secret));
    settings.listen = vec![place.parse().unwrap()];
    start_with(settings, all_transports())
}

fn only(node: &Node) -> PeerInfo {
    let peers = node.net.peers();
    assert_eq!(peers.len(), 1);
    peers[0].clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn members_meet_over_quic_and_websocket_whoever_dials() {
    let (small, large) = ordered_seeds();
    for (place, carrier) in
        [("/ip4/127.0.0.1/udp/0/quic-v1", Carrier::Quic), ("/ip4/127.0.0.1/tcp/0/ws", Carrier::WebSocket)]
    {
        for (dialler, dialled) in [(small, large), (large, small)] {
            let mut a = listen_on(dialler, 7, place);
            let mut b = listen_on(dialled, 7, place);
            a.net.dial(b.listening().await);
            a.ready_for(&b.peer).await;
            b.ready_for(&a.peer).await;
            assert_eq!((only(&a).carrier, only(&a).relay), (carrier, None));
            assert_eq!(only(&b).carrier, carrier);
            // Far over one window of QUIC, and one frame of WebSocket.
            carry_body(&a, &mut b, 3 << 20).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_secret_is_named_on_quic_and_websocket_too() {
    let (small, large) = ordered_seeds();
    for place in ["/ip4/127.0.0.1/udp/0/quic-v1", "/ip4/127.0.0.1/tcp/0/ws"] {
        for (dialler, dialled) in [(small, large), (large, small)] {
            let mut a = listen_on(dialler, 7, place);
            let mut b = listen_on(dialled, 8, place);
            a.net.dial(b.listening().await);
            for node in [&mut a, &mut b] {
                let why = node
                    .wait("refusal", |event| match event {
                        Event::Refused { why, .. } | Event::DialFailed { why, .. } => Some(why),
                        Event::Connected { peer, .. } => panic!("{peer} got in"),
                        _ => None,
                    })
                    .await;
                assert_eq!(why, net::Refusal::Gate(GateError::KeyMismatch), "{place}");
            }
            assert_eq!((a.net.counters().connects, b.net.counters().connects), (0, 0));
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stranger_reaches_no_protocol_over_quic_or_websocket() {
    let (small, large) = ordered_seeds();
    for place in ["/ip4/127.0.0.1/udp/0/quic-v1", "/ip4/127.0.0.1/tcp/0/ws"] {
        for (stranger, node) in [(small, large), (large, small)] {
            let mut settings = config(node, keys(7));
            settings.listen = vec![place.parse().unwrap()];
            settings.limits.gate_time = Duration::from_millis(300);
            let mut node = start_with(settings, all_transports());
            let mut stranger = Stranger::dial(stranger, &node.listening().await).await;
            // It opens a stream for a protocol of ours, and none answers.
            stranger.speak_until_cut(b"\x13/multistream/1.0.0\n\x12/ghoard/message/1\n").await;
            until("the stranger is refused", || node.net.counters().refusals.values().sum::<u64>() == 1).await;
            let counters = node.net.counters();
            assert_eq!((counters.connects, counters.streams_refused, counters.messages_received), (0, 0, 0));
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn websocket_over_tls_with_a_certificate_of_the_fleets_own() {
    let made = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
    let tls =
        Tls { certificates_pem: made.cert.pem().into_bytes(), key_pem: made.signing_key.serialize_pem().into_bytes() };
    let websocket = || WebSocket { tls: Some(tls.clone()), ..WebSocket::default() };
    let transports = || Transports { raw: None, quic: false, websocket: Some(websocket()) };
    let mut settings = config(1, keys(7));
    settings.listen = vec!["/ip4/127.0.0.1/tcp/0/tls/ws".parse().unwrap()];
    let mut a = start_with(settings, transports());
    let mut settings = config(2, keys(7));
    settings.listen.clear();
    let mut b = start_with(settings, transports());
    b.net.dial(a.listening().await);
    b.ready_for(&a.peer).await;
    assert_eq!(only(&b).carrier, Carrier::WebSocket);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_behind_tls_is_asked_for_by_its_name() {
    let made = rcgen::generate_simple_self_signed(vec!["cache.example".to_owned()]).unwrap();
    let certificates_pem = made.cert.pem().into_bytes();
    let tls =
        Tls { certificates_pem: certificates_pem.clone(), key_pem: made.signing_key.serialize_pem().into_bytes() };
    let over = |websocket| Transports { raw: None, quic: false, websocket: Some(websocket) };
    let mut settings = config(1, keys(7));
    settings.listen = vec!["/ip4/127.0.0.1/tcp/0/tls/ws".parse().unwrap()];
    let mut a = start_with(settings, over(WebSocket { tls: Some(tls), ..WebSocket::default() }));
    let port = a.listening().await.port().unwrap();
    // The other has no certificate, and trusts the one who made this.
    let mut settings = config(2, keys(7));
    settings.listen.clear();
    let trusting = WebSocket { trusted_pem: certificates_pem, ..WebSocket::default() };
    let mut b = start_with(settings, over(trusting));
    for (kind, is_right) in [("dns4/other.example", false), ("dns4/cache.example", true)] {
        let named: net::Address = format!("/{kind}/tcp/{port}/tls/ws").parse().unwrap();
        b.net.dial(named.resolved("127.0.0.1".parse().unwrap()));
        if is_right {
            b.ready_for(&a.peer).await;
        } else {
            let why = b
                .wait("failed dial", |event| match event {
                    Event::DialFailed { why, .. } => Some(why.to_string()),
                    _ => None,
                })
                .await;
            assert!(why.contains("certificate"), "{why}");
        }
    }
    assert_eq!(only(&b).carrier, Carrier::WebSocket);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_is_none_is_an_error_and_no_panic() {
    for (certificates_pem, key_pem) in [
        (b"".to_vec(), b"".to_vec()),
        (b"junk".to_vec(), b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n".to_vec()),
        (
            rcgen::generate_simple_self_signed(vec!["a".to_owned()]).unwrap().cert.pem().into_bytes(),
            b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n".to_vec(),
        ),
    ] {
        let websocket = Some(WebSocket { tls: Some(Tls { certificates_pem, key_pem }), ..WebSocket::default() });
        let transports = Transports { raw: None, quic: false, websocket };
        let started = net::Net::start(config(1, keys(7)), transports, task::Tasks::tokio(), [9; 32]);
        assert!(matches!(started, Err(net::StartError::Tls(_))));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_quic_a_quic_address_is_not_dialable() {
    let mut a = start_with(config(1, keys(7)), net::tcp_transport());
    a.net.dial("/ip4/127.0.0.1/udp/9/quic-v1".parse().unwrap());
    let why = a
        .wait("failed dial", |event| match event {
            Event::DialFailed { why, .. } => Some(why),
            _ => None,
        })
        .await;
    assert_eq!(why, net::Refusal::NotDialable);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_port_number_serves_tcp_and_quic_in_both_families() {
    // Taken for a moment, so that it is one that nobody has.
    let port = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
    let mut settings = config(1, keys(7));
    settings.listen = ["/ip4/127.0.0.1/tcp/PORT", "/ip4/127.0.0.1/udp/PORT/quic-v1", "/ip6/::1/tcp/PORT"]
        .map(|place| place.replace("PORT", &port.to_string()).parse().unwrap())
        .to_vec();
    let mut a = start_with(settings, all_transports());
    let has_ipv6 = std::net::TcpListener::bind(("::1", 0)).is_ok();
    for _ in 0..if has_ipv6 { 3 } else { 2 } {
        assert_eq!(a.listening().await.port(), Some(port));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_quic_one_address_has_few_places_and_who_comes_from_elsewhere_still_gets_in() {
    let (small, large) = ordered_seeds();
    let mut settings = config(large, keys(7));
    settings.listen = vec!["/ip4/127.0.0.1/udp/0/quic-v1".parse().unwrap(), "/ip6/::1/udp/0/quic-v1".parse().unwrap()];
    settings.limits.pending_per_ip = 2;
    settings.limits.gate_time = Duration::from_secs(60);
    let mut node = start_with(settings, all_transports());
    let places = [node.listening().await, node.listening().await];
    let (own, other): (Vec<_>, Vec<_>) = places.into_iter().partition(|place| place.to_string().starts_with("/ip4"));
    let mut silent = Vec::new();
    for _ in 0..2 {
        silent.push(Stranger::dial(small, &own[0]).await);
    }

    let mut member = listen_on(20, 7, "/ip4/127.0.0.1/udp/0/quic-v1");
    member.net.dial(own[0].clone());
    member.wait("refusal", |event| matches!(event, Event::DialFailed { .. }).then_some(())).await;
    assert_eq!(node.net.counters().connects, 0);

    let mut elsewhere = listen_on(21, 7, "/ip6/::1/udp/0/quic-v1");
    elsewhere.net.dial(other[0].clone());
    elsewhere.ready_for(&node.peer).await;
    drop(silent);
    let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
    while member.net.peers().is_empty() {
        assert!(tokio::time::Instant::now() < deadline, "the places never came back");
        member.net.dial(own[0].clone());
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn members_over_quic_take_no_places() {
    let mut settings = config(1, keys(7));
    settings.listen = vec!["/ip4/127.0.0.1/udp/0/quic-v1".parse().unwrap()];
    settings.limits.pending_per_ip = 1;
    let mut node = start_with(settings, all_transports());
    let place = node.listening().await;
    let mut members = Vec::new();
    for seed in 2..5 {
        let mut member = listen_on(seed, 7, "/ip4/127.0.0.1/udp/0/quic-v1");
        member.net.dial(place.clone());
        member.ready_for(&node.peer).await;
        members.push(member);
    }
    assert_eq!(node.net.peers().len(), 3);
}
