//! Strangers who come in crowds, say nothing, and are in nobody's way.

use std::{
    net::{SocketAddr, TcpStream},
    sync::Arc,
    time::Duration,
};

use net::{Event, Identity};
use quinn::crypto::rustls::QuicClientConfig;
use socket2::{Domain, Socket, Type};

use crate::{
    harness::{Node, all_transports, config, keys, ordered_seeds, start, start_with, until},
    stranger::Stranger,
};

/// Longer than any test has patience.
const LONG: Duration = Duration::from_secs(60);

/// Half open, from an address of its own.
fn half_open(from: [u8; 4], to: SocketAddr) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from((from, 0)).into()).unwrap();
    socket.connect(&to.into()).unwrap();
    socket.into()
}

/// Encrypted, and silent since.
async fn silent_over_quic(from: [u8; 4], to: SocketAddr) -> quinn::Connection {
    let pair = libp2p::identity::Keypair::ed25519_from_bytes([99; 32]).unwrap();
    let tls = QuicClientConfig::try_from(libp2p_tls::make_client_config(&pair, None).unwrap()).unwrap();
    let endpoint = quinn::Endpoint::client((from, 0).into()).unwrap();
    endpoint.connect_with(quinn::ClientConfig::new(Arc::new(tls)), to, "l").unwrap().await.unwrap()
}

async fn listening(node: &mut Node) -> (net::Address, SocketAddr) {
    let address = node.listening().await;
    let place = (address.ip().unwrap(), address.port().unwrap()).into();
    (address, place)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn silent_strangers_from_few_addresses_shut_nobody_out() {
    let mut settings = config(1, keys(7));
    settings.listen = ["/ip4/127.0.0.1/tcp/0", "/ip4/127.0.0.1/udp/0/quic-v1"].map(|at| at.parse().unwrap()).to_vec();
    settings.limits.pending_incoming = 6;
    settings.limits.pending_per_ip = 3;
    settings.limits.transport_time = LONG;
    settings.limits.gate_time = LONG;
    let mut node = start_with(settings, all_transports());
    let (a, b) = (listening(&mut node).await, listening(&mut node).await);
    let (tcp, quic) = if a.0.to_string().contains("tcp") { (a, b) } else { (b, a) };

    let mut over_quic = Vec::new();
    for _ in 0..3 {
        over_quic.push(silent_over_quic([127, 0, 0, 2], quic.1).await);
    }
    // The last one is one too many of its address, so that the others are seated when it is refused.
    let over_tcp = [3, 3, 3, 3].map(|last| half_open([127, 0, 0, last], tcp.1));
    until("all seats are taken", || node.net.counters().refusals.get("limit") == Some(&1)).await;

    for (seed, (address, _)) in [(20, &tcp), (21, &quic), (22, &tcp), (23, &quic)] {
        let mut settings = config(seed, keys(7));
        settings.listen.clear();
        let mut member = start_with(settings, all_transports());
        member.net.dial(address.clone());
        member.ready_for(&node.peer).await;
    }
    drop((over_quic, over_tcp));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn silent_strangers_keep_no_dial_of_ours_waiting() {
    let (small, large) = ordered_seeds();
    let mut settings = config(large, keys(7));
    settings.limits.gate_permits = 1;
    settings.limits.gate_time = LONG;
    let mut node = start(settings);
    let mut stranger = Stranger::dial(small, &node.listening().await).await;
    // The gate reads this, and waits for more.
    let mut stream = stranger.open().await;
    stranger.during(futures::AsyncWriteExt::write_all(&mut stream, b"ghd1")).await.unwrap();

    let mut member = start(config(20, keys(7)));
    assert_ne!(member.peer, Identity::from_seed([small; 32]).peer());
    node.net.dial(member.listening().await);
    node.wait("a member", |event| matches!(event, Event::Connected { .. }).then_some(())).await;
}
