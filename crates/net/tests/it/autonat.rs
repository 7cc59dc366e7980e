//! Whether others can dial a member: other members try, and try again.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use net::{Address, Config, Reach, RelayServer};
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpSocket, TcpStream},
};

use crate::harness::{Node, config, keys, start, until};

/// Tries others' addresses.
fn server(seed: u8) -> Config {
    let reach = Reach { autonat: true, relay_server: RelayServer::On, ..Reach::default() };
    Config { reach, ..config(seed, keys(7)) }
}

fn client(seed: u8) -> Config {
    let reach = Reach { autonat: true, ..Reach::default() };
    let mut settings = Config { reach, ..config(seed, keys(7)) };
    settings.limits.probe_interval = Duration::from_millis(50);
    settings.limits.probe_again_after = Duration::from_millis(500);
    settings
}

fn is_told(node: &Node, port: u16) -> bool {
    node.net.reach().external.iter().any(|address| address.port() == Some(port))
}

/// A router between a member and another one: it has one address outside, and forwards from there if it is open.
struct Router {
    inside: Address,
    outside: u16,
    is_open: Arc<AtomicBool>,
    /// Who came to the closed port.
    turned_away: Arc<AtomicUsize>,
}

impl Router {
    async fn new(member: SocketAddr, other: SocketAddr) -> Self {
        let (inside, outside) = (bound(0).listen(64).unwrap(), bound(0).listen(64).unwrap());
        let router = Self {
            inside: address_of(&inside),
            outside: outside.local_addr().unwrap().port(),
            is_open: Arc::default(),
            turned_away: Arc::default(),
        };
        let from = router.outside;
        run(async move {
            while let Ok((stream, _)) = inside.accept().await {
                let out = bound(from).connect(other).await.unwrap();
                run(join(stream, out));
            }
        });
        let (is_open, turned_away) = (Arc::clone(&router.is_open), Arc::clone(&router.turned_away));
        run(async move {
            while let Ok((stream, _)) = outside.accept().await {
                if is_open.load(Ordering::SeqCst) {
                    run(join(stream, TcpStream::connect(member).await.unwrap()));
                } else {
                    turned_away.fetch_add(1, Ordering::SeqCst);
                }
            }
        });
        router
    }
}

fn bound(port: u16) -> TcpSocket {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_reuseaddr(true).unwrap();
    socket.set_reuseport(true).unwrap();
    socket.bind(SocketAddr::from(([127, 0, 0, 1], port))).unwrap();
    socket
}

async fn join(mut a: TcpStream, mut b: TcpStream) {
    let _ = copy_bidirectional(&mut a, &mut b).await;
}

#[expect(clippy::disallowed_methods, reason = "a router is no part of ghoard")]
fn run(work: impl Future<Output = ()> + Send + 'static) {
    tokio::spawn(work);
}

fn address_of(listener: &TcpListener) -> Address {
    format!("/ip4/127.0.0.1/tcp/{}", listener.local_addr().unwrap().port()).parse().unwrap()
}

fn socket_of(address: &Address) -> SocketAddr {
    SocketAddr::new(address.ip().unwrap(), address.port().unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_port_that_is_opened_later_is_found_open() {
    let (mut a, mut b) = (start(client(1)), start(server(2)));
    let (at, other) = (a.listening().await, b.listening().await);
    let router = Router::new(socket_of(&at), socket_of(&other)).await;
    a.net.dial(router.inside.clone());
    a.connected_to(&b.peer).await;
    // b sees a at the router's port, and a adds its own.
    until("the own port is found open", || is_told(&a, at.port().unwrap())).await;
    until("the router's port is found closed", || router.turned_away.load(Ordering::SeqCst) > 0).await;
    router.is_open.store(true, Ordering::SeqCst);
    until("the router's port is found open", || is_told(&a, router.outside)).await;
}
