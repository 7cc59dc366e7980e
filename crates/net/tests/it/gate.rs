use std::{
    io::{Read, Write},
    net::TcpStream,
    time::{Duration, Instant},
};

use crypto::KeyName;
use futures::{AsyncReadExt, AsyncWriteExt};
use net::{Address, Event, GateError, Refusal, Step};

use crate::{
    harness::{Node, config, keys, ordered_seeds, start, until},
    stranger::Stranger,
};

async fn refusal(node: &mut Node) -> Refusal {
    node.wait("refusal", |event| match event {
        Event::Refused { why, .. } | Event::DialFailed { why, .. } => Some(why),
        Event::Connected { peer, .. } => panic!("{peer} got in"),
        _ => None,
    })
    .await
}

/// A node with a short gate, for those who wait until it closes.
async fn impatient(seed: u8) -> (Node, Address) {
    let mut settings = config(seed, keys(7));
    settings.limits.gate_time = Duration::from_millis(300);
    settings.limits.transport_time = Duration::from_secs(2);
    let mut node = start(settings);
    let address = node.listening().await;
    (node, address)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_secret_is_named_on_both_sides() {
    let (small, large) = ordered_seeds();
    for (dialler, dialled) in [(small, large), (large, small)] {
        let mut a = start(config(dialler, keys(7)));
        let mut b = start(config(dialled, keys(8)));
        a.net.dial(b.listening().await);
        assert_eq!(refusal(&mut a).await, Refusal::Gate(GateError::KeyMismatch));
        assert_eq!(refusal(&mut b).await, Refusal::Gate(GateError::KeyMismatch));
        assert_eq!((a.net.counters().connects, b.net.counters().connects), (0, 0));
        assert_eq!(a.net.counters().dial_failures["gate_key_mismatch"], 1);
        assert_eq!(b.net.counters().refusals["gate_key_mismatch"], 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_silent_stranger_is_cut_at_the_limit() {
    let (small, large) = ordered_seeds();
    for (stranger, node, step) in [(small, large, Step::M1), (large, small, Step::M2)] {
        let (mut node, address) = impatient(node).await;
        Stranger::dial(stranger, &address).await.until_cut().await;
        assert_eq!(refusal(&mut node).await, Refusal::Gate(GateError::Timeout(step)));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stranger_that_stalls_after_its_hello_is_cut() {
    let (small, large) = ordered_seeds();
    let (mut node, address) = impatient(large).await;
    let mut stranger = Stranger::dial(small, &address).await;
    let mut stream = stranger.open().await;
    stranger.during(stream.write_all(&hello(keys(7).names()))).await.unwrap();
    stranger.until_cut().await;
    assert_eq!(refusal(&mut node).await, Refusal::Gate(GateError::Timeout(Step::M3)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stranger_that_knows_the_key_names_fails_its_proof() {
    let (small, large) = ordered_seeds();

    let mut node = start(config(large, keys(7)));
    let mut stranger = Stranger::dial(small, &node.listening().await).await;
    let mut stream = stranger.open().await;
    let talk = async {
        stream.write_all(&hello(keys(7).names())).await.unwrap();
        stream.read_exact(&mut [0; 36]).await.unwrap();
        stream.write_all(&[7; 32]).await.unwrap();
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest).await;
        assert!(rest.is_empty(), "a proof for nothing");
    };
    stranger.during(talk).await;
    assert_eq!(refusal(&mut node).await, Refusal::Gate(GateError::BadProof));

    let mut node = start(config(small, keys(7)));
    let mut stranger = Stranger::dial(large, &node.listening().await).await;
    let mut stream = stranger.accept().await;
    let talk = async {
        stream.read_exact(&mut [0; 40]).await.unwrap();
        stream.write_all(&hello(keys(7).names())[4..]).await.unwrap();
        let mut proof = [0; 32];
        stream.read_exact(&mut proof).await.unwrap();
        // The node's own proof, sent back.
        stream.write_all(&proof).await.unwrap();
    };
    stranger.during(talk).await;
    stranger.until_cut().await;
    assert_eq!(refusal(&mut node).await, Refusal::Gate(GateError::BadProof));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_protocol_on_the_first_stream_is_cut_at_once() {
    let (small, large) = ordered_seeds();
    let mut node = start(config(large, keys(7)));
    let mut stranger = Stranger::dial(small, &node.listening().await).await;
    let mut stream = stranger.open().await;
    stranger.during(stream.write_all(b"\x13/multistream/1.0.0\n, and what else a libp2p peer says")).await.unwrap();
    stranger.until_cut().await;
    assert_eq!(refusal(&mut node).await, Refusal::Gate(GateError::BadMagic));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_libp2p_is_closed() {
    for bytes in [&b""[..], b"\x13/multi", b"GET / HTTP/1.1\r\n\r\n", &[0xff; 4096]] {
        let (mut node, address) = impatient(1).await;
        let before = Instant::now();
        let mut socket = TcpStream::connect((address.ip().unwrap(), address.port().unwrap())).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        socket.write_all(bytes).unwrap();
        // An end or a reset, and not the read's own time-out.
        let end = socket.read_to_end(&mut Vec::new());
        assert!(before.elapsed() < Duration::from_secs(15), "{end:?}");
        refusal(&mut node).await;
        assert_eq!(node.net.counters().connects, 0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sixty_strangers_flood_and_get_no_memory() {
    const STRANGERS: u64 = 60;
    const MEMORY_BYTES_MAX: usize = 64 << 20;
    let (small, large) = ordered_seeds();
    // Once as the side that waits for M1, once as the side that waits for M2.
    for (stranger, node) in [(small, large), (large, small)] {
        let mut settings = config(node, keys(7));
        settings.limits.pending_per_ip = 100;
        settings.limits.pending_incoming = 100;
        let mut node = start(settings);
        let address = node.listening().await;
        let before = resident_bytes();
        let mut highest = before;
        let floods = async {
            let strangers = (0..STRANGERS).map(|_| async {
                Stranger::dial(stranger, &address).await.flood(200).await;
            });
            futures::future::join_all(strangers).await;
        };
        let watch = until("all strangers are refused", || {
            highest = highest.max(resident_bytes());
            node.net.counters().refusals.values().sum::<u64>() >= STRANGERS
        });
        tokio::join!(floods, watch);
        assert!(highest - before < MEMORY_BYTES_MAX, "{} KiB", (highest - before) >> 10);
        assert_eq!(node.net.counters().connects, 0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_address_gets_few_places_before_the_gate_and_members_still_get_in() {
    let (small, large) = ordered_seeds();
    let mut settings = config(large, keys(7));
    settings.limits.pending_per_ip = 4;
    settings.limits.gate_time = Duration::from_secs(2);
    let mut node = start(settings);
    let address = node.listening().await;
    let mut silent = Vec::new();
    for _ in 0..4 {
        silent.push(Stranger::dial(small, &address).await);
    }
    let mut member = start(config(20, keys(7)));
    member.net.dial(address.clone());
    let refused = refusal(&mut member).await;
    assert!(matches!(refused, Refusal::Unreachable(_)), "{refused:?}");
    until("the refusal is counted", || node.net.counters().refusals.get("limit") == Some(&1)).await;
    futures::future::join_all(silent.iter_mut().map(Stranger::until_cut)).await;
    until("the places are free again", || node.net.counters().refusals.get("gate_timeout") == Some(&4)).await;
    member.net.dial(address);
    member.connected_to(&node.peer).await;
}

fn hello(names: [KeyName; 2]) -> Vec<u8> {
    [&b"ghd1"[..], &names[0].0, &names[1].0, &[5; 32]].concat()
}

fn resident_bytes() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
}
