//! Real sockets on the loopback: a node's end of QUIC, and who comes to it.

use std::{
    future::poll_fn,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use futures::{AsyncWrite, StreamExt, stream::FuturesUnordered};
use libp2p::core::{Endpoint, StreamMuxer};
use quinn::{
    ClientConfig, ConnectionError, Side, TokenMemoryCache, VarInt,
    crypto::{ClientConfig as CryptoConfig, Session, rustls::QuicClientConfig},
};
use quinn_proto::transport_parameters::TransportParameters;
use tokio::{net::UdpSocket, time::timeout};

use super::{connection::Stream, *};
use crate::limits::{EARLY_SUBSTREAMS_QUIC, MUXER_STREAMS_MAX, QUIC_CONNECTION_BYTES_MAX, QUIC_NEWCOMER_BYTES_MAX};

const PATIENCE: Duration = Duration::from_secs(30);

struct Node {
    quic: Quic,
    address: SocketAddr,
    coming: FuturesUnordered<Making>,
    made: Vec<Made>,
}

impl Node {
    async fn listening(limits: Limits) -> Self {
        let mut quic = Quic::new(&Identity::from_seed([1; 32]), &limits);
        quic.listen_on(ListenerId::next(), "/ip4/127.0.0.1/udp/0/quic-v1".parse().unwrap()).unwrap();
        let event = poll_fn(|cx| Pin::new(&mut quic).poll(cx)).await;
        let TransportEvent::NewAddress { listen_addr, .. } = event else { panic!("{event:?}") };
        let address = socket_of(&listen_addr).unwrap();
        Self { quic, address, coming: FuturesUnordered::new(), made: Vec::new() }
    }

    /// Takes whoever comes and may, while `work` goes on.
    async fn during<T>(&mut self, work: impl Future<Output = T>) -> T {
        let serve = async {
            loop {
                tokio::select! {
                    event = poll_fn(|cx| Pin::new(&mut self.quic).poll(cx)) => {
                        if let TransportEvent::Incoming { upgrade, .. } = event {
                            self.coming.push(upgrade);
                        }
                    }
                    Some(made) = self.coming.next() => self.made.extend(made.ok()),
                }
            }
        };
        let done = async {
            tokio::select! { done = work => done, never = serve => never }
        };
        timeout(PATIENCE, done).await.expect("it goes on")
    }

    /// The handshake with who has come first, to its end.
    async fn first(&mut self) -> Made {
        while self.made.is_empty() {
            self.during(tokio::time::sleep(Duration::from_millis(1))).await;
        }
        self.made.remove(0)
    }

    /// All who came, at any step.
    fn turn_away(&mut self) {
        self.coming.clear();
        self.made.clear();
    }

    /// Those that are closing included.
    fn in_memory(&self) -> usize {
        self.quic.listeners[0].endpoint().open_connections()
    }
}

/// Opens streams, and writes into each of them as long as it may.
struct Flood {
    connection: Connection,
    streams: Vec<Stream>,
    bytes: usize,
}

impl Flood {
    fn go_on(&mut self, cx: &mut Context<'_>) {
        while let Poll::Ready(stream) = Pin::new(&mut self.connection).poll_outbound(cx) {
            self.streams.push(stream.unwrap());
        }
        for stream in &mut self.streams {
            while let Poll::Ready(bytes) = Pin::new(&mut *stream).poll_write(cx, &[7; 4096]) {
                self.bytes += bytes.unwrap();
            }
        }
    }

    /// Until it has come so far.
    async fn until(&mut self, streams: usize, bytes: usize) {
        poll_fn(|cx| {
            self.go_on(cx);
            assert!(self.streams.len() <= streams && self.bytes <= bytes, "{} B", self.bytes);
            if (self.streams.len(), self.bytes) == (streams, bytes) { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }
}

struct Stranger {
    endpoint: quinn::Endpoint,
    config: ClientConfig,
}

impl Stranger {
    fn new() -> Self {
        let configs = Configs::new(&Identity::from_seed([2; 32]));
        // It would use what the node gave it to show its address the next time.
        let mut config = configs.client.clone();
        config.token_store(Arc::new(TokenMemoryCache::default()));
        Self { endpoint: configs.dialer("127.0.0.1:0".parse().unwrap()).unwrap(), config }
    }

    /// One whose connections take as long to be forgotten as it can bring about with one word.
    fn lingering() -> Self {
        let tls = libp2p_tls::make_client_config(Identity::from_seed([2; 32]).pair(), None).unwrap();
        let config = ClientConfig::new(Arc::new(Slow(Arc::new(QuicClientConfig::try_from(tls).unwrap()))));
        Self { config, ..Self::new() }
    }

    async fn knock(&self, at: SocketAddr) -> Result<quinn::Connection, ConnectionError> {
        self.endpoint.connect_with(self.config.clone(), at, SERVER_NAME).unwrap().await
    }
}

/// Says of itself that it acknowledges as late as the protocol allows.
struct Slow(Arc<QuicClientConfig>);

impl CryptoConfig for Slow {
    fn start_session(
        self: Arc<Self>,
        version: u32,
        server_name: &str,
        params: &TransportParameters,
    ) -> Result<Box<dyn Session>, ConnectError> {
        let mut bytes = Vec::new();
        params.write(&mut bytes);
        // max_ack_delay, in two bytes, 2^14 - 1 ms (RFC 9000, 18.2 and 16).
        bytes.extend([0x0b, 2, 0x7f, 0xff]);
        let params = TransportParameters::read(Side::Server, &mut &bytes[..]).unwrap();
        Arc::clone(&self.0).start_session(version, server_name, &params)
    }
}

/// Carries one client's packets to the node and back, and notes whether a Retry was among them (RFC 9000, 17.2.5).
async fn carry(between: &UdpSocket, node: SocketAddr, was_asked: &AtomicBool) {
    let mut packet = [0; 2048];
    let mut client = None;
    loop {
        let (bytes, from) = between.recv_from(&mut packet).await.unwrap();
        if from == node {
            was_asked.fetch_or(packet[0] & 0xf0 == 0xf0, Ordering::Relaxed);
            between.send_to(&packet[..bytes], client.unwrap()).await.unwrap();
        } else {
            client = Some(from);
            between.send_to(&packet[..bytes], node).await.unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_takes_its_place_until_quinn_has_forgotten_it() {
    const PLACES: usize = 3;
    let mut node = Node::listening(Limits { pending_per_ip: PLACES, ..Limits::default() }).await;
    let (at, lingering) = (node.address, Stranger::lingering());
    let mut begun = 0;
    for _ in 0..4 * PLACES {
        begun += usize::from(node.during(lingering.knock(at)).await.is_ok());
        node.turn_away();
        assert!(node.in_memory() <= PLACES);
    }
    assert_eq!((begun, node.in_memory()), (PLACES, PLACES));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_place_of_who_was_forgotten_is_free_and_no_other() {
    let mut node = Node::listening(Limits { pending_per_ip: 2, ..Limits::default() }).await;
    let (at, lingering, other) = (node.address, Stranger::lingering(), Stranger::new());
    node.during(lingering.knock(at)).await.unwrap();
    node.turn_away();
    let first = node.during(other.knock(at)).await.unwrap();
    assert!(node.during(other.knock(at)).await.is_err());
    drop(first);
    node.turn_away();
    while node.in_memory() > 1 {
        node.during(tokio::time::sleep(Duration::from_millis(1))).await;
    }
    // The endpoint has forgotten it a moment before its task ends.
    let _again = loop {
        if let Ok(again) = node.during(other.knock(at)).await {
            break again;
        }
    };
    assert!(node.during(other.knock(at)).await.is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_has_proved_nothing_can_send_little_whoever_dialled() {
    let newcomers = (EARLY_SUBSTREAMS_QUIC, QUIC_NEWCOMER_BYTES_MAX as usize);
    let members = (MUXER_STREAMS_MAX, QUIC_CONNECTION_BYTES_MAX as usize);
    for dialler_floods in [true, false] {
        let mut node = Node::listening(Limits::default()).await;
        let mut other = Quic::new(&Identity::from_seed([2; 32]), &Limits::default());
        let options = DialOpts { role: Endpoint::Dialer, port_use: PortUse::New };
        let dial = other.dial(address_of(node.address), options).unwrap();
        let dialled = node.during(dial).await.unwrap();
        let came = node.first().await;
        let ((_, floods, _idle), (_, _listens, newcomer)) =
            if dialler_floods { (dialled, came) } else { (came, dialled) };
        let mut flood = Flood { connection: floods, streams: Vec::new(), bytes: 0 };
        node.during(flood.until(newcomers.0, newcomers.1)).await;
        node.during(tokio::time::sleep(Duration::from_millis(100))).await;
        node.during(flood.until(newcomers.0, newcomers.1)).await;
        newcomer.let_in();
        node.during(flood.until(members.0, members.1)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_places_are_scarce_an_address_is_to_be_shown_first() {
    let mut node = Node::listening(Limits { pending_per_ip: 4, ..Limits::default() }).await;
    let (at, stranger) = (node.address, Stranger::new());
    let mut held = Vec::new();
    for is_scarce in [false, false, true] {
        let between = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let (gate, was_asked) = (between.local_addr().unwrap(), AtomicBool::new(false));
        let dial = async {
            tokio::select! { made = stranger.knock(gate) => made.unwrap(), () = carry(&between, at, &was_asked) => unreachable!() }
        };
        held.push(node.during(dial).await);
        assert_eq!(was_asked.into_inner(), is_scarce, "after {}", held.len() - 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dialler_that_has_stopped_is_replaced() {
    let mut node = Node::listening(Limits::default()).await;
    let mut other = Quic::new(&Identity::from_seed([2; 32]), &Limits::default());
    for _ in 0..2 {
        let options = DialOpts { role: Endpoint::Dialer, port_use: PortUse::Reuse };
        let dial = other.dial(address_of(node.address), options).unwrap();
        node.during(dial).await.unwrap();
        // To a dial it looks the same as a socket that has failed.
        other.dialers[&false].close(VarInt::from_u32(0), &[]);
    }
}

#[test]
fn an_address_of_quic_names_a_socket_and_no_other_does() {
    let peer = "12D3KooWPjceQrSwdWXPyLLeABRXmuqt69Rg3sBYbU1Nft9HyQ6X";
    for (text, socket) in [
        ("/ip4/192.0.2.7/udp/9100/quic-v1".to_owned(), Some("192.0.2.7:9100")),
        ("/ip6/::1/udp/9100/quic-v1".to_owned(), Some("[::1]:9100")),
        (format!("/ip4/192.0.2.7/udp/9100/quic-v1/p2p/{peer}"), Some("192.0.2.7:9100")),
        (format!("/ip4/192.0.2.7/udp/9100/quic-v1/p2p/{peer}/p2p-circuit"), None),
        ("/ip4/192.0.2.7/udp/9100".to_owned(), None),
        ("/ip4/192.0.2.7/tcp/9100".to_owned(), None),
        ("/dns4/example.org/udp/9100/quic-v1".to_owned(), None),
    ] {
        let found = socket_of(&text.parse().unwrap());
        assert_eq!(found, socket.map(|socket| socket.parse().unwrap()), "{text}");
        if let Some(found) = found {
            assert!(text.starts_with(&address_of(found).to_string()), "{text}");
        }
    }
}
