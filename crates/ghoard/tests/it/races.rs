//! What happens at the same moment, or just before the end.

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use crate::{
    home::Home,
    http,
    world::{GitHub, Machine, OUTSIDER, Setup, TOKEN, two_members, wait_until},
};

/// An origin with one number: a GET tells it as it is on arrival, a POST adds one at its end.
#[derive(Clone, Default)]
struct Origin {
    number: Arc<AtomicU64>,
    reads: Arc<AtomicU64>,
    writes: Arc<AtomicU64>,
    read_millis: Arc<AtomicU64>,
    write_millis: Arc<AtomicU64>,
    denies: Arc<AtomicU64>,
    /// Sent, packed, to whoever asks for `/bomb`.
    bomb: Arc<Vec<u8>>,
}

impl Origin {
    #[expect(clippy::disallowed_methods, reason = "the test's own threads, beside the program")]
    fn start(&self) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let origin = self.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let origin = origin.clone();
                std::thread::spawn(move || origin.serve(stream));
            }
        });
        url
    }

    fn serve(&self, mut stream: TcpStream) {
        let mut head = Vec::new();
        while !head.windows(4).any(|window| window == b"\r\n\r\n") {
            let mut byte = [0];
            if !matches!(stream.read(&mut byte), Ok(1)) {
                return;
            }
            head.push(byte[0]);
        }
        let wait = |millis: &AtomicU64| std::thread::sleep(Duration::from_millis(millis.load(Ordering::SeqCst)));
        let (status, body) = if head.starts_with(b"POST") {
            self.writes.fetch_add(1, Ordering::SeqCst);
            wait(&self.write_millis);
            self.number.fetch_add(1, Ordering::SeqCst);
            ("201 Created", Vec::new())
        } else if head.starts_with(b"GET /bomb") {
            ("404 Not Found\r\nContent-Encoding: gzip", self.bomb.to_vec())
        } else if self.denies.load(Ordering::SeqCst) > 0 {
            ("404 Not Found", b"{}".to_vec())
        } else {
            let number = self.number.load(Ordering::SeqCst);
            self.reads.fetch_add(1, Ordering::SeqCst);
            wait(&self.read_millis);
            ("200 OK\r\nCache-Control: max-age=600", format!("{{\"v\":{number}}}").into_bytes())
        };
        let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
        let _ = stream.write_all(&[head.as_bytes(), &body].concat());
    }
}

const PATH: &str = "/repos/o/r";

fn machine(origin: &Origin) -> Machine {
    Setup::at(Arc::new(Home::new()), &origin.start()).env("CACHE_DEFAULT_TTL", "600").start()
}

fn value(machine: &Machine, more: &str) -> u64 {
    let answer = machine.request("GET", PATH, Some(TOKEN), more);
    answer.json()["v"].as_u64().unwrap_or_else(|| panic!("{answer:?}"))
}

fn write(machine: &Machine) {
    let head = format!("POST {PATH} HTTP/1.1\nHost: {}\nContent-Length: 0", machine.base());
    assert_eq!(http::exchange(http::tcp(machine.base()), &head, b"").status, 201);
}

#[test]
fn who_asks_after_a_write_does_not_join_who_asked_before_it() {
    let origin = Origin::default();
    let machine = machine(&origin);
    origin.read_millis.store(800, Ordering::SeqCst);
    std::thread::scope(|scope| {
        let before = scope.spawn(|| value(&machine, ""));
        wait_until("the origin has been asked", || origin.reads.load(Ordering::SeqCst) == 1);
        write(&machine);
        assert_eq!(value(&machine, ""), 1);
        assert_eq!(before.join().unwrap(), 0, "who asked before it may see it as it was");
    });
    assert_eq!(value(&machine, ""), 1, "and what was asked before is not kept");
}

#[test]
fn a_write_counts_even_if_its_client_leaves() {
    let origin = Origin::default();
    let machine = machine(&origin);
    origin.write_millis.store(800, Ordering::SeqCst);
    let mut leaving = http::tcp(machine.base());
    write!(leaving, "POST {PATH} HTTP/1.1\r\nHost: {}\r\nContent-Length: 0\r\n\r\n", machine.base()).unwrap();
    wait_until("the write is under way", || origin.writes.load(Ordering::SeqCst) == 1);
    drop(leaving);
    assert_eq!(value(&machine, ""), 0, "it has had no effect yet");
    wait_until("the write has its effect", || origin.number.load(Ordering::SeqCst) == 1);
    wait_until("the old answer is not served any more", || value(&machine, "") == 1);
}

#[test]
fn an_answer_that_took_long_does_not_replace_a_newer_one() {
    let origin = Origin::default();
    let machine = machine(&origin);
    origin.read_millis.store(800, Ordering::SeqCst);
    std::thread::scope(|scope| {
        let slow = scope.spawn(|| value(&machine, ""));
        wait_until("the origin has been asked", || origin.reads.load(Ordering::SeqCst) == 1);
        origin.read_millis.store(0, Ordering::SeqCst);
        origin.number.store(7, Ordering::SeqCst);
        assert_eq!(value(&machine, "\nCache-Control: no-cache"), 7);
        assert_eq!(slow.join().unwrap(), 0);
    });
    assert_eq!(value(&machine, ""), 7);
    // The disk has the newer one, too: a node that ends in order has kept all that it would keep.
    let machine = machine.terminate().0.start();
    assert_eq!(value(&machine, ""), 7);
    assert_eq!(origin.reads.load(Ordering::SeqCst), 2);
}

#[test]
fn a_crash_brings_nothing_back_that_a_write_or_a_denial_has_dropped() {
    let origin = Origin::default();
    let machine = machine(&origin);
    assert_eq!(value(&machine, ""), 0);
    // Counted when it is committed.
    wait_until("it is on the disk", || machine.stat("cache_size") == 1);
    write(&machine);
    let machine = machine.kill().start();
    assert_eq!(value(&machine, ""), 1);

    // Counted when it is committed.
    wait_until("it is on the disk", || machine.stat("cache_size") == 1);
    origin.denies.store(1, Ordering::SeqCst);
    assert_eq!(machine.request("GET", PATH, Some(TOKEN), "\nCache-Control: no-cache").status, 404);
    let machine = machine.kill().start();
    assert_eq!(machine.get(PATH, Some(TOKEN)).status, 404);
}

#[test]
fn a_denial_on_a_request_that_passed_through_counts() {
    let github = GitHub::start();
    let machine = Setup::new(&github).env("CACHE_DEFAULT_TTL", "600").start();
    let path = "/repos/acme/secret/branches";
    assert_eq!(machine.get(path, Some(TOKEN)).status, 200);
    github.hub().set_role(TOKEN, "acme/secret", None);
    assert_eq!(machine.request("GET", path, Some(TOKEN), "\nX-Other: 1").status, 404);
    assert_eq!(machine.get(path, Some(TOKEN)).status, 404);

    let public = "/repos/octocat/Hello-World";
    assert_eq!(machine.get(public, Some(OUTSIDER)).status, 200);
    github.hub().revoke(OUTSIDER);
    assert_eq!(machine.get("/rate_limit", Some(OUTSIDER)).status, 401);
    assert_eq!(machine.get(public, Some(OUTSIDER)).status, 401);
}

#[test]
fn large_bodies_do_not_queue_up_behind_each_other() {
    let github = GitHub::start();
    let machine = Setup::new(&github).start();
    let path = format!("/repos/octocat/Hello-World/git/blobs/size-{}", 17 << 20);
    github.hub().set_latency("/repos/octocat/Hello-World/git", Duration::from_millis(1500));
    let began = Instant::now();
    std::thread::scope(|scope| {
        let asked: Vec<_> = (0..5).map(|_| scope.spawn(|| machine.get(&path, Some(TOKEN)))).collect();
        for thread in asked {
            assert_eq!(thread.join().unwrap().body.len(), 17 << 20);
        }
    });
    // One after the other they would take 7.5 s at least.
    assert!(began.elapsed() < Duration::from_millis(6500), "{:?}", began.elapsed());
}

#[test]
fn a_packed_answer_is_unpacked_piece_by_piece() {
    let plain = 200 << 20;
    let bomb = wire::Body::from_plain(vec![0; plain].into()).encoded.to_vec();
    assert!(bomb.len() < 1 << 20);
    let machine = machine(&Origin { bomb: Arc::new(bomb), ..Origin::default() });
    assert_eq!(machine.get("/bomb", Some(TOKEN)).body.len(), plain);
    let status = std::fs::read_to_string(format!("/proc/{}/status", machine.child.id())).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap().trim();
    let peak: u64 = peak.split(' ').next().unwrap().parse().unwrap();
    assert!(peak < 96 << 10, "{peak} KiB at its peak");
}

#[test]
fn a_peers_answer_is_not_served_stale_for_longer_than_this_node_would() {
    let mut github = GitHub::start();
    let (a, b) = two_members(&github);
    let b = b.kill().env("GHOARD_STALE_FOR", "0").env("GHOARD_PROOF_WINDOW", "2").start();
    b.wait_for_peers(1);
    let path = "/repos/octocat/Hello-World";
    a.get(path, Some(TOKEN));
    wait_until("b has heard of it", || b.stat("index_entries") == 1);
    assert!(b.get(path, Some(TOKEN)).header("cache-status").contains("detail=peer"));
    github.stop();
    wait_until("its time is over", || !b.get(path, Some(TOKEN)).header("cache-status").contains("hit"));
    assert_eq!(b.get(path, Some(TOKEN)).status, 502);
}
