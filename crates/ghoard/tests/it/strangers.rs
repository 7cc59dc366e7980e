//! Whoever is no member and no client gets nothing, costs little, and keeps nobody from being served.

use std::{
    io::{ErrorKind, Read, Write},
    net::{SocketAddr, TcpStream},
    os::unix::net::UnixStream,
    sync::{
        Barrier,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::{
    http::{self, Reply},
    world::{GitHub, Machine, PATIENCE, Setup, TOKEN, wait_until},
};

const REPO: &str = "/repos/octocat/Hello-World";
const SECRET: &str = "a passphrase for the tests only";

/// What strangers may make a daemon hold, all together.
const STRANGERS_BYTES_MAX: u64 = 64 << 20;

/// How long a client may wait meanwhile, on a loaded machine.
const SERVED_WITHIN: Duration = Duration::from_secs(5);

/// Connections that come at once.
const CROWD: usize = 1000;

fn member(github: &GitHub, name: &str) -> Setup {
    let setup = Setup::new(github);
    let registry = setup.home.path("registry").display().to_string();
    setup.member(SECRET, &registry, name)
}

/// Where a machine listens for members, as a multiaddr with its peer id.
fn listening(machine: &Machine) -> String {
    let mut address = String::new();
    wait_until("it listens for members", || {
        let peers = machine.status("/api/mcp/peers").json();
        let first = peers["listening"][0].as_str().unwrap_or_default();
        address = format!("{first}/p2p/{}", machine.peer_id());
        !first.is_empty()
    });
    address
}

fn p2p_port(machine: &Machine) -> SocketAddr {
    let address = listening(machine);
    let port = address.split('/').nth(4).unwrap();
    format!("127.0.0.1:{port}").parse().unwrap()
}

/// Runs `attack` while clients ask; they must be served, and the daemon must stay small.
fn under_attack(machine: &Machine, attack: impl FnOnce()) {
    struct Ends<'a>(&'a AtomicBool);
    impl Drop for Ends<'_> {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }
    assert_eq!(machine.get(REPO, Some(TOKEN)).status, 200);
    let idle = machine.rss();
    let over = AtomicBool::new(false);
    // The attack waits for the clients to be there: on a busy machine it was over before them.
    let ready = Barrier::new(2);
    let (most, slowest, served) = std::thread::scope(|scope| {
        let clients = scope.spawn(|| {
            let (mut most, mut slowest, mut served) = (0, Duration::ZERO, 0);
            ready.wait();
            while served == 0 || !over.load(Ordering::Relaxed) {
                let began = Instant::now();
                assert_eq!(machine.get(REPO, Some(TOKEN)).status, 200);
                slowest = slowest.max(began.elapsed());
                most = most.max(machine.rss());
                served += 1;
                // Clients that ask now and then, not one more attack.
                std::thread::sleep(Duration::from_millis(20));
            }
            (most, slowest, served)
        });
        {
            let _ends = Ends(&over);
            ready.wait();
            attack();
        }
        clients.join().unwrap()
    });
    assert!(served > 0 && slowest < SERVED_WITHIN, "a client waited {slowest:?}, of {served}");
    let grown = most.max(machine.rss()).saturating_sub(idle);
    assert!(grown <= STRANGERS_BYTES_MAX, "{grown} bytes above {idle}");
}

/// A stranger's connection, of either kind.
trait Stranger: Read + Write {
    fn patience(&self, patience: Duration);
}

impl Stranger for TcpStream {
    fn patience(&self, patience: Duration) {
        self.set_read_timeout(Some(patience)).unwrap();
    }
}

impl Stranger for UnixStream {
    fn patience(&self, patience: Duration) {
        self.set_read_timeout(Some(patience)).unwrap();
    }
}

/// Returns what was said until the other side closed; fails if it does not close.
fn said_until_closed(stream: &mut dyn Stranger, what: &str) -> Vec<u8> {
    stream.patience(PATIENCE);
    let mut said = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => return said,
            Ok(bytes) => said.extend_from_slice(&buffer[..bytes]),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                panic!("{what}: still open after {PATIENCE:?}")
            }
            Err(_) => return said,
        }
    }
}

/// Bytes that mean nothing, the same each time.
fn random_bytes(count: usize, seed: u64) -> Vec<u8> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    (0..count).map(|_| next()).collect()
}

/// The kernel's limit for this process, raised as far as it may be.
fn allow_files(count: u64) {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).unwrap();
    assert!(maximum.is_none_or(|maximum| maximum >= count), "{count} open files are needed");
}

#[test]
fn nonsense_on_the_p2p_port_is_closed_and_a_member_still_comes_in() {
    let github = GitHub::start();
    let a = member(&github, "a").start();
    let (port, address) = (p2p_port(&a), listening(&a));
    let multistream = b"\x13/multistream/1.0.0\n".as_slice();
    let four_gigabytes = [0xff, 0xff, 0xff, 0xff, 0x0f].as_slice();
    let payloads: Vec<(&str, Vec<u8>)> = vec![
        ("nothing", Vec::new()),
        ("random bytes", random_bytes(64 << 10, 1)),
        ("more random bytes", random_bytes(64 << 10, 2)),
        ("a header of 4 GB", four_gigabytes.to_vec()),
        ("a fixed header of 4 GB", [0xff; 4].to_vec()),
        ("a negotiation that claims 4 GB", [multistream, four_gigabytes].concat()),
        ("a handshake that never comes", [multistream, b"\x07/noise\n", &[0xff, 0xff]].concat()),
        ("a handshake of random bytes", [multistream, b"\x07/noise\n", &random_bytes(70 << 10, 3)].concat()),
        ("a web client", b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec()),
    ];
    under_attack(&a, || {
        let mut strangers: Vec<_> = payloads
            .iter()
            .map(|(what, payload)| {
                let mut stream = http::tcp(port);
                // It may be closed before all of it is written.
                let _ = stream.write_all(payload);
                (what, stream)
            })
            .collect();
        let b = member(&github, "b").env("CACHE_BOOTSTRAP_PEERS", &address).start();
        b.wait_for_peers(1);
        for (what, stream) in &mut strangers {
            said_until_closed(stream, what);
        }
        assert_eq!(a.stat("connected_peers"), 1);
    });
}

#[test]
fn a_crowd_on_the_p2p_port_is_turned_away_and_a_member_comes_in_afterwards() {
    allow_files(4096);
    let github = GitHub::start();
    let a = member(&github, "a").start();
    let (port, address) = (p2p_port(&a), listening(&a));
    under_attack(&a, || {
        let mut crowd: Vec<_> = (0..CROWD).map(|_| http::tcp(port)).collect();
        for stream in &mut crowd {
            let _ = stream.write_all(&[0x13]);
        }
        for stream in &mut crowd {
            said_until_closed(stream, "one of a crowd");
        }
    });
    let b = member(&github, "b").env("CACHE_BOOTSTRAP_PEERS", &address).start();
    b.wait_for_peers(1);
}

#[test]
fn nonsense_on_the_doors_is_refused_or_closed() {
    let github = GitHub::start();
    let machine = Setup::new(&github).start();
    let status: SocketAddr =
        machine.line("status").strip_prefix("http://").unwrap().split('/').next().unwrap().parse().unwrap();
    let payloads: Vec<(&str, Vec<u8>)> = vec![
        ("random bytes", random_bytes(64 << 10, 4)),
        ("a few random bytes", random_bytes(16, 5)),
        ("a header of 4 GB", [0xff, 0xff, 0xff, 0xff].to_vec()),
        ("a line without an end", vec![b'a'; 256 << 10]),
        ("a header without an end", [b"GET / HTTP/1.1\r\nx: ".as_slice(), &[b'a'; 256 << 10]].concat()),
        ("headers without an end", [b"GET / HTTP/1.1\r\n".as_slice(), &b"x: y\r\n".repeat(10_000)].concat()),
        ("HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec()),
        ("TLS", [b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".as_slice(), &random_bytes(500, 6)].concat()),
    ];
    under_attack(&machine, || {
        let open = || -> Vec<(&str, Box<dyn Stranger>)> {
            vec![
                ("the base URL", Box::new(http::tcp(machine.base()))),
                ("the socket", Box::new(http::unix(&machine.socket()))),
                ("the status page", Box::new(http::tcp(status))),
            ]
        };
        let mut strangers = Vec::new();
        for (what, payload) in &payloads {
            for (door, mut stream) in open() {
                let _ = stream.write_all(payload);
                strangers.push((format!("{what} at {door}"), stream));
            }
        }
        for (what, stream) in &mut strangers {
            let said = said_until_closed(&mut **stream, what);
            assert!(said.is_empty() || said.starts_with(b"HTTP/1.1 4"), "{what}: {}", String::from_utf8_lossy(&said));
        }
    });
}

#[test]
fn a_crowd_that_never_says_a_whole_request_is_closed_at_both_doors() {
    allow_files(4096);
    let github = GitHub::start();
    let machine = Setup::new(&github).start();
    under_attack(&machine, || {
        let mut crowd: Vec<Box<dyn Stranger>> = Vec::new();
        for _ in 0..CROWD {
            let (tcp, unix) = (http::tcp(machine.base()), http::unix(&machine.socket()));
            tcp.set_nonblocking(true).unwrap();
            unix.set_nonblocking(true).unwrap();
            crowd.push(Box::new(tcp));
            crowd.push(Box::new(unix));
        }
        for stream in &mut crowd {
            stream.write_all(b"G").unwrap();
        }
        // All of them at once, and a byte now and then so that none is idle.
        let mut written = Instant::now();
        wait_until("all of them are closed", || {
            let is_time = written.elapsed() > Duration::from_secs(4);
            if is_time {
                written = Instant::now();
            }
            crowd.retain_mut(|stream| {
                if is_time {
                    let _ = stream.write_all(b"E");
                }
                let read = stream.read(&mut [0; 4096]);
                matches!(&read, Ok(1..)) || matches!(&read, Err(error) if error.kind() == ErrorKind::WouldBlock)
            });
            crowd.is_empty()
        });
    });
}

fn assert_given_up(path: &str) {
    let github = GitHub::start();
    let machine = Setup::new(&github).env("GHOARD_ORIGIN_TIMEOUT", "2").start();
    under_attack(&machine, || {
        let mut stream = http::tcp(machine.base());
        let head = format!("POST {path} HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {TOKEN}\r\n", machine.base());
        stream.write_all(format!("{head}Connection: close\r\nContent-Length: 1000\r\n\r\n{{").as_bytes()).unwrap();
        let said = said_until_closed(&mut stream, path);
        let is_clear = said.is_empty() || said.starts_with(b"HTTP/1.1 4") || said.starts_with(b"HTTP/1.1 5");
        assert!(is_clear, "{}", String::from_utf8_lossy(&said));
    });
}

#[test]
fn a_write_whose_body_never_comes_is_given_up() {
    assert_given_up("/repos/octocat/Hello-World/issues");
}

#[test]
fn a_graphql_request_whose_body_never_comes_is_given_up() {
    assert_given_up("/graphql");
}

#[test]
fn clients_that_never_read_hold_next_to_nothing() {
    let github = GitHub::start();
    let machine = Setup::new(&github).start();
    let path = format!("{REPO}/git/blobs/size-{}", 5 << 20);
    assert_eq!(machine.get(&path, Some(TOKEN)).status, 200);
    under_attack(&machine, || {
        let base = machine.base();
        let mut crowd: Vec<_> = (0..200).map(|_| http::tcp(base)).collect();
        for stream in &mut crowd {
            let head = format!("GET {path} HTTP/1.1\r\nHost: {base}\r\nAuthorization: Bearer {TOKEN}\r\n\r\n");
            stream.write_all(head.as_bytes()).unwrap();
        }
        // The first bytes of each have come: all the answers are under way.
        for stream in &mut crowd {
            stream.read_exact(&mut [0; 12]).unwrap();
        }
    });
}

/// A request by the name of a host.
type Request<'a> = Box<dyn Fn(&str) -> String + 'a>;

fn assert_refused(what: &str, reply: &Reply, status: u16) {
    assert_eq!(reply.status, status, "{what}: {reply:?}");
    assert!(reply.header("content-type").starts_with("application/json"), "{what}: {reply:?}");
    let said = reply.json();
    for name in ["message", "hint"] {
        assert!(said[name].as_str().is_some_and(|text| !text.is_empty()), "{what}: no {name}: {said}");
    }
}

#[test]
fn what_could_mean_two_things_is_refused_at_both_doors_with_a_reason() {
    let github = GitHub::start();
    let machine = Setup::new(&github).start();
    let base = machine.base().to_string();
    let api = "api.github.com";
    let at = |host: &str, target: &str, more: &str| format!("GET {target} HTTP/1.1\nHost: {host}{more}");
    let both: Vec<(&str, Request<'_>, u16)> = vec![
        ("two credentials", Box::new(|host| at(host, REPO, "\nAuthorization: token a\nAuthorization: token b")), 400),
        (
            "the same credential twice",
            Box::new(|host| at(host, REPO, "\nAuthorization: token a\nAuthorization: token a")),
            400,
        ),
        (
            "a credential of the connection",
            Box::new(|host| at(host, REPO, "\nAuthorization: token a\nConnection: close, Authorization")),
            400,
        ),
        ("two hosts", Box::new(|host| at(host, REPO, &format!("\nHost: {host}"))), 400),
        ("no host", Box::new(|_| format!("GET {REPO} HTTP/1.1\nAccept: */*")), 400),
        ("dots", Box::new(|host| at(host, "/repos/octocat/../acme", "")), 400),
        ("packed dots", Box::new(|host| at(host, "/repos/octocat/%2e%2e/acme", "")), 400),
        ("dots packed twice", Box::new(|host| at(host, "/repos/octocat/%252e%252e/acme", "")), 400),
        ("a slash packed twice", Box::new(|host| at(host, "/repos/octocat%252fHello-World", "")), 400),
        ("another authority", Box::new(|host| at(host, &format!("http://example.org{REPO}"), "")), 400),
        ("a web page", Box::new(|host| at(host, REPO, "\nOrigin: https://example.org")), 403),
        ("a web page without a name", Box::new(|host| at(host, REPO, "\nOrigin: null")), 403),
        ("CONNECT", Box::new(|host| format!("CONNECT github.com:443 HTTP/1.1\nHost: {host}")), 405),
        ("HTTP/1.0", Box::new(|host| format!("GET {REPO} HTTP/1.0\nHost: {host}")), 400),
    ];
    for (what, request, status) in &both {
        let by_tcp = http::exchange(http::tcp(machine.base()), &request(&base), b"");
        assert_refused(&format!("{what} by TCP"), &by_tcp, *status);
        let by_socket = http::exchange(http::unix(&machine.socket()), &request(api), b"");
        assert_refused(&format!("{what} by the socket"), &by_socket, *status);
    }

    for host in ["example.org", "api.github.com", "127.0.0.1.example.org", "localhost.example.org:9120"] {
        let reply = http::exchange(http::tcp(machine.base()), &at(host, REPO, ""), b"");
        assert_refused(&format!("the name {host} by TCP"), &reply, 421);
    }
    for host in ["example.org", "127.0.0.1", "localhost", &base, "169.254.169.254", "api.github.com.example.org"] {
        let reply = http::exchange(http::unix(&machine.socket()), &at(host, "/", ""), b"");
        assert_refused(&format!("the host {host} by the socket"), &reply, 403);
    }
    assert_eq!(github.hub().counts().total.requests, 0, "something reached GitHub");
}

#[test]
fn a_machine_with_another_secret_gets_nothing_and_all_three_say_why() {
    let github = GitHub::start();
    let a = member(&github, "a").start();
    let b = member(&github, "b").env("CACHE_BOOTSTRAP_PEERS", listening(&a)).start();
    a.wait_for_peers(1);
    b.wait_for_peers(1);
    let setup = member(&github, "c").env("CACHE_P2P_SHARED_SECRET", "another passphrase, also for the tests");
    let c = setup.env("CACHE_BOOTSTRAP_PEERS", format!("{},{}", listening(&a), listening(&b))).start();
    for (name, machine) in [("a", &a), ("b", &b), ("c", &c)] {
        wait_until(&format!("{name} names the reason"), || machine.log.text().contains("key ids differ"));
    }

    assert_eq!(a.get(REPO, Some(TOKEN)).status, 200);
    wait_until("b has heard of it", || b.stat("index_entries") == 1);
    assert_eq!(c.stat("index_entries"), 0, "c has heard of it");
    assert_eq!(c.get(REPO, Some(TOKEN)).status, 200);
    assert_eq!(github.count(REPO).requests, 2, "c had to ask GitHub itself");
    for name in ["peer_hits", "connected_peers", "count_entries_received"] {
        assert_eq!(c.stat(name), 0, "{name} at c");
    }
    for machine in [&a, &b] {
        assert_eq!(machine.stat("connected_peers"), 1);
        assert_eq!(machine.stat("index_entries"), 1);
    }
    for machine in [&a, &b, &c] {
        let log = machine.log.text().to_lowercase();
        assert!(!log.contains("decryption failed"), "{log}");
        assert!(!log.contains("passphrase"), "a secret is in the log");
    }
}
