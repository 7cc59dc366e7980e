//! What breaks behind the doors is not the client's trouble: it gets GitHub's answer, a marked
//! stale one or a clear error, in time, and the daemon lives.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener},
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use fakehub::Failure;
use http::StatusCode;
use rustix::process::{Pid, Signal, kill_process};

use crate::{
    hosts::{in_namespace, start_as},
    http::{self as client, Reply},
    world::{GitHub, Machine, Setup, TOKEN, two_members, wait_until},
};

const REPO: &str = "/repos/octocat/Hello-World";
const NEVER_ASKED: &str = "/repos/octocat/Hello-World/issues";

/// The peer budget, what a body of 5 MB may take longer, and generously the time of two loaded cores.
const IN_TIME: Duration = Duration::from_secs(5);

fn timed(machine: &Machine, path: &str) -> (Reply, Duration) {
    let began = Instant::now();
    let reply = machine.get(path, Some(TOKEN));
    (reply, began.elapsed())
}

fn signal(machine: &Machine, signal: Signal) {
    kill_process(Pid::from_child(&machine.child), signal).unwrap();
}

fn is_stale(reply: &Reply) -> bool {
    reply.header("cache-status").contains("detail=stale")
}

/// Asks until the answer is a marked stale one, and returns it. Until then the kept one is fresh.
fn stale_answer(machine: &Machine, path: &str) -> Reply {
    let mut last = None;
    wait_until("the answer is a stale one", || {
        let (reply, took) = timed(machine, path);
        assert_eq!(reply.status, 200, "{reply:?}");
        assert!(took < IN_TIME, "took {took:?}");
        let done = is_stale(&reply);
        last = Some(reply);
        done
    });
    last.unwrap()
}

fn assert_refusal(reply: &Reply, status: u16) {
    assert_eq!(reply.status, status, "{reply:?}");
    let said = reply.json();
    for name in ["message", "hint"] {
        assert!(said[name].as_str().is_some_and(|text| !text.is_empty()), "no {name}: {said}");
    }
}

/// Holds an entry of 5 MB at the first of two machines that the second has heard of.
fn body_at_a(github: &GitHub) -> (Machine, Machine, String, Vec<u8>) {
    let (a, b) = two_members(github);
    let path = format!("{REPO}/git/blobs/size-{}", 5 << 20);
    let body = a.get(&path, Some(TOKEN)).body;
    assert_eq!(body.len(), 5 << 20);
    wait_until("b has heard of it", || b.stat("index_entries") == 1);
    (a, b, path, body)
}

#[test]
fn a_holder_that_falls_silent_costs_its_budget_and_no_more() {
    let github = GitHub::start();
    let (a, b, path, body) = body_at_a(&github);

    signal(&a, Signal::STOP);
    let (reply, took) = timed(&b, &path);
    assert_eq!((reply.status, reply.body == body), (200, true), "{:?}", reply.headers);
    assert!(took < IN_TIME, "took {took:?}");
    assert_eq!(github.count(&path).requests, 2, "only GitHub could answer");
    let (other, took) = timed(&b, REPO);
    assert_eq!(other.status, 200);
    assert!(took < IN_TIME, "took {took:?}");

    signal(&a, Signal::CONT);
    assert_eq!(a.get(&path, Some(TOKEN)).body, body, "the one that slept");
    b.wait_for_peers(1);
}

#[test]
fn a_holder_that_dies_before_its_first_byte_is_replaced_by_github() {
    let github = GitHub::start();
    let (a, b, path, body) = body_at_a(&github);

    // b announces itself in a's folder still.
    let _registry = a.setup.home.clone();
    // Stopped first: the question is on its way when the connection breaks.
    signal(&a, Signal::STOP);
    let (reply, took) = std::thread::scope(|scope| {
        let asking = scope.spawn(|| timed(&b, &path));
        wait_until("b has been asked", || b.stat("total_requests") == 1);
        a.kill();
        asking.join().unwrap()
    });
    assert_eq!((reply.status, reply.body == body), (200, true), "{:?}", reply.headers);
    assert!(took < IN_TIME, "took {took:?}");
    assert_eq!(github.count(&path).requests, 2);
    assert_eq!(b.get(REPO, Some(TOKEN)).status, 200);
    wait_until("b knows that a is gone", || b.stat("connected_peers") == 0);
}

#[test]
fn a_holder_that_dies_in_the_middle_of_a_body_is_replaced_by_github() {
    let github = GitHub::start();
    let (a, b) = two_members(&github);
    let size = 15 << 20;
    let path = format!("{REPO}/git/blobs/size-{size}");
    let body = a.get(&path, Some(TOKEN)).body;
    assert_eq!(body.len(), size);
    wait_until("b has heard of it", || b.stat("index_entries") == 1);

    // b announces itself in a's folder still.
    let _registry = a.setup.home.clone();
    let before = b.rss();
    let (reply, took) = std::thread::scope(|scope| {
        let asking = scope.spawn(|| timed(&b, &path));
        // What has come is in b's memory. Looked at without a pause: the whole takes a few hundredths of a second.
        let deadline = Instant::now() + IN_TIME;
        while b.rss() < before + (3 << 20) && !asking.is_finished() && Instant::now() < deadline {}
        a.kill();
        asking.join().unwrap()
    });
    assert_eq!((reply.status, reply.body == body), (200, true), "{:?}", reply.headers);
    // 15 MB may take longer than 5 MB.
    assert!(took < 2 * IN_TIME, "took {took:?}");
    assert_eq!(b.get(REPO, Some(TOKEN)).status, 200);
    assert_eq!(b.get(&path, Some(TOKEN)).body, body, "what was kept is whole");
}

#[test]
fn an_origin_that_answers_500_is_bridged_by_what_is_known() {
    let github = GitHub::start();
    let machine = Setup::new(&github).env("CACHE_DEFAULT_TTL", "1").start();
    let first = machine.get(REPO, Some(TOKEN));
    assert_eq!(first.status, 200);

    github.hub().fail_with("", Failure::Status(StatusCode::INTERNAL_SERVER_ERROR));
    let stale = stale_answer(&machine, REPO);
    assert_eq!(stale.body, first.body);
    let unknown = machine.get(NEVER_ASKED, Some(TOKEN));
    assert_eq!(unknown.status, 500);
    assert_eq!(unknown.json()["message"], "Internal Server Error", "it is GitHub's own answer");

    github.hub().recover();
    let again = machine.get(REPO, Some(TOKEN));
    assert!(again.status == 200 && !is_stale(&again), "{again:?}");
    assert_eq!(machine.get(NEVER_ASKED, Some(TOKEN)).status, 200);
}

#[test]
fn an_origin_that_is_down_is_bridged_by_what_is_known_and_said_at_once() {
    let mut github = GitHub::start();
    let machine = Setup::new(&github).env("CACHE_DEFAULT_TTL", "1").start();
    let first = machine.get(REPO, Some(TOKEN));
    github.stop();
    assert_eq!(stale_answer(&machine, REPO).body, first.body);
    let (unknown, took) = timed(&machine, NEVER_ASKED);
    assert_refusal(&unknown, 502);
    assert!(took < Duration::from_secs(2), "took {took:?}");
    // Another credential was never told the answer.
    assert_refusal(&machine.get(REPO, None), 502);
    assert_eq!(machine.status("/healthz").status, 200);
}

#[test]
fn an_origin_that_is_silent_is_given_up_after_its_time() {
    let github = GitHub::start();
    let setup = Setup::new(&github).env("CACHE_DEFAULT_TTL", "1").env("GHOARD_ORIGIN_TIMEOUT", "1");
    let machine = setup.start();
    let first = machine.get(REPO, Some(TOKEN));
    github.hub().silence("");
    assert_eq!(stale_answer(&machine, REPO).body, first.body);
    let (unknown, took) = timed(&machine, NEVER_ASKED);
    assert_refusal(&unknown, 504);
    assert!((Duration::from_millis(900)..Duration::from_secs(4)).contains(&took), "took {took:?}");

    // Slow is not silent, and slower than its time is.
    github.hub().recover();
    github.hub().set_latency("", Duration::from_millis(300));
    assert_eq!(machine.get(NEVER_ASKED, Some(TOKEN)).status, 200);
    github.hub().set_latency("", Duration::from_secs(20));
    assert_refusal(&machine.get("/repos/octocat/Hello-World/pulls", Some(TOKEN)), 504);
}

#[test]
fn a_rate_limit_is_bridged_by_what_is_known_and_told_where_nothing_is() {
    let github = GitHub::start();
    let machine = Setup::new(&github).env("CACHE_DEFAULT_TTL", "1").start();
    let first = machine.get(REPO, Some(TOKEN));
    github.hub().fail_with("", Failure::SecondaryLimit { retry_after: 60 });
    assert_eq!(stale_answer(&machine, REPO).body, first.body);
    let unknown = machine.get(NEVER_ASKED, Some(TOKEN));
    assert_eq!((unknown.status, unknown.header("retry-after")), (403, "60"));
    assert!(unknown.text().contains("secondary rate limit"), "{}", unknown.text());
}

#[test]
fn a_peer_has_what_the_origin_no_longer_gives() {
    let mut github = GitHub::start();
    let setup = || Setup::new(&github).env("CACHE_DEFAULT_TTL", "6");
    let (a, b) = (setup(), setup());
    let registry = a.home.path("registry").display().to_string();
    let secret = "a passphrase for the tests only";
    let (a, b) = (a.member(secret, &registry, "a").start(), b.member(secret, &registry, "b").start());
    a.wait_for_peers(1);
    b.wait_for_peers(1);
    // Above what an announce carries along, so that b holds the record only.
    let path = "/repos/octocat/Hello-World/contents/large";
    github.hub().put_document(path, fakehub::Visibility::Public, noise(300 << 10));
    let first = a.get(path, Some(TOKEN));
    assert_eq!(first.status, 200);
    wait_until("b has heard of it", || b.stat("index_entries") == 1);

    github.stop();
    assert_eq!(stale_answer(&a, path).body, first.body);
    let (from_b, took) = timed(&b, path);
    assert_eq!((from_b.status, from_b.body == first.body), (200, true), "{:?}", from_b.headers);
    assert!(is_stale(&from_b), "{:?}", from_b.headers);
    assert!(took < IN_TIME, "took {took:?}");
    assert_refusal(&b.get(path, None), 502);
}

/// A JSON text of that many bytes that hardly gets smaller by packing.
fn noise(bytes: usize) -> Vec<u8> {
    let mut state = 1_u64;
    let mut text = Vec::with_capacity(bytes);
    text.push(b'"');
    while text.len() < bytes - 1 {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        text.push(b'0' + u8::try_from((state >> 33) % 10).unwrap());
        text.push(b'a' + u8::try_from((state >> 40) % 26).unwrap());
    }
    text.push(b'"');
    text
}

/// An origin that answers whole once, and from then on breaks off in the middle of the body.
struct HalfAnOrigin {
    listener: TcpListener,
    holds: bool,
    done: AtomicBool,
}

impl HalfAnOrigin {
    /// `holds` keeps the connection open after the half; else it is closed.
    fn new(holds: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        Self { listener, holds, done: AtomicBool::new(false) }
    }

    fn address(&self) -> SocketAddr {
        self.listener.local_addr().unwrap()
    }

    fn serve(&self) {
        let mut is_first = true;
        let mut held = Vec::new();
        loop {
            let (mut stream, _) = self.listener.accept().unwrap();
            if self.done.load(Ordering::Relaxed) {
                return;
            }
            let mut head = Vec::new();
            let mut byte = [0];
            while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap() == 1 {
                head.push(byte[0]);
            }
            let rest = if is_first { "[\"the whole\"]" } else { "[\"the" };
            let answer = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\
                          Content-Length: 13\r\n\r\n";
            stream.write_all(format!("{answer}{rest}").as_bytes()).unwrap();
            if self.holds && !is_first {
                held.push(stream);
            }
            is_first = false;
        }
    }

    /// Runs `story` beside the origin; ends the origin even if the story fails.
    fn beside(&self, story: impl FnOnce()) {
        struct Ends<'a>(&'a HalfAnOrigin);
        impl Drop for Ends<'_> {
            fn drop(&mut self) {
                self.0.done.store(true, Ordering::Relaxed);
                drop(client::tcp(self.0.address()));
            }
        }
        std::thread::scope(|scope| {
            scope.spawn(|| self.serve());
            let _ends = Ends(self);
            story();
        });
    }
}

#[test]
fn half_a_body_is_no_answer() {
    for (holds, status) in [(false, 502), (true, 502)] {
        let origin = HalfAnOrigin::new(holds);
        origin.beside(|| {
            let home = std::sync::Arc::new(crate::home::Home::new());
            let setup = Setup::at(home, &format!("http://{}", origin.address()));
            let machine = setup.env("CACHE_DEFAULT_TTL", "1").env("GHOARD_ORIGIN_TIMEOUT", "1").start();
            assert_eq!(machine.get(REPO, Some(TOKEN)).text(), "[\"the whole\"]");
            let (unknown, took) = timed(&machine, NEVER_ASKED);
            assert_refusal(&unknown, status);
            assert!(took < IN_TIME, "took {took:?}");
            assert_eq!(stale_answer(&machine, REPO).text(), "[\"the whole\"]");
        });
    }
}

#[test]
fn a_disk_that_is_full_costs_persistence_and_nothing_else() {
    let github = GitHub::start();
    let setup = Setup::new(&github);
    let cache = setup.home.path("cache");
    std::fs::create_dir(&cache).unwrap();
    let script = format!("mount -t tmpfs -o size=6m,mode=700 tmpfs {}", cache.display());
    let test = "a_disk_that_is_full_costs_persistence_and_nothing_else";
    let Some(command) = in_namespace(test, &setup, &script) else { return };
    let machine = start_as(setup, command);
    assert_eq!(machine.stats()["persistence"], "ok");

    // More than fits, and less than memory holds.
    let paths: Vec<_> = (0..4).map(|n| format!("{REPO}/git/blobs/size-{}", (4 << 20) + n)).collect();
    let bodies: Vec<_> = paths.iter().map(|path| timed(&machine, path)).collect();
    for (reply, took) in &bodies {
        assert_eq!(reply.status, 200);
        assert!(*took < IN_TIME, "took {took:?}");
    }
    wait_until("it says so", || machine.stats()["persistence"] == "degraded");
    assert!(machine.stats()["persistence_detail"].is_string());
    wait_until("it logs so", || machine.log.text().contains("going on without"));

    for (path, (first, _)) in paths.iter().zip(&bodies) {
        let (again, took) = timed(&machine, path);
        assert_eq!(again.body, first.body);
        assert!(again.header("cache-status").starts_with("ghoard; hit"), "{:?}", again.headers);
        assert!(took < IN_TIME, "took {took:?}");
    }
    assert_eq!(machine.get(REPO, Some(TOKEN)).status, 200);
    assert_eq!(machine.status("/healthz").status, 200);
    let (_, code) = machine.terminate();
    assert_eq!(code, Some(0));
}

#[test]
fn what_was_answered_before_sigterm_is_there_at_the_next_start() {
    let mut github = GitHub::start();
    let large = format!("{REPO}/git/blobs/size-{}", 5 << 20);
    // At any moment of the commit window, the first one included.
    let setups: Vec<_> = [REPO, &large, NEVER_ASKED, &large, REPO]
        .into_iter()
        .map(|path| {
            let machine = Setup::new(&github).start();
            let first = machine.get(path, Some(TOKEN));
            assert_eq!(first.status, 200);
            let (setup, code) = machine.terminate();
            assert_eq!(code, Some(0));
            (setup, path, first)
        })
        .collect();
    github.stop();
    for (setup, path, first) in setups {
        let again = setup.start().get(path, Some(TOKEN));
        assert_eq!((again.status, again.body == first.body), (200, true), "{path}: {:?}", again.headers);
    }
}

#[test]
fn a_request_that_is_under_way_at_sigterm_is_answered() {
    let github = GitHub::start();
    let machine = Setup::new(&github).start();
    github.hub().set_latency("", Duration::from_millis(700));
    std::thread::scope(|scope| {
        let base = machine.base();
        let asking = scope.spawn(move || {
            let head = format!("GET {REPO} HTTP/1.1\nHost: {base}\nAuthorization: Bearer {TOKEN}");
            client::try_exchange(client::tcp(base), &head, b"")
        });
        wait_until("github has been asked", || github.count(REPO).requests == 1);
        let (_, code) = machine.terminate();
        assert_eq!(code, Some(0));
        assert_eq!(asking.join().unwrap().unwrap().status, 200);
    });
}

#[test]
fn a_burst_before_sigterm_is_kept_whole() {
    let mut github = GitHub::start();
    let machine = Setup::new(&github).start();
    let paths: Vec<_> = (0..40).map(|n| format!("{REPO}/git/blobs/size-{}", (200 << 10) + n)).collect();
    std::thread::scope(|scope| {
        for path in &paths {
            let machine = &machine;
            scope.spawn(move || assert_eq!(machine.get(path, Some(TOKEN)).status, 200));
        }
    });
    let (setup, code) = machine.terminate();
    assert_eq!(code, Some(0));
    github.stop();
    let machine = setup.start();
    let lost: Vec<_> = paths.iter().filter(|path| machine.get(path, Some(TOKEN)).status != 200).collect();
    assert!(lost.is_empty(), "lost {lost:?}");
}

#[test]
fn neither_a_silent_origin_nor_a_silent_peer_keeps_a_daemon_from_ending() {
    let github = GitHub::start();
    let (a, b) = two_members(&github);
    github.hub().silence("");
    std::thread::scope(|scope| {
        let base = b.base();
        scope.spawn(move || {
            let head = format!("GET {REPO} HTTP/1.1\nHost: {base}\nAuthorization: Bearer {TOKEN}");
            // Whatever it is told: the daemon ends meanwhile.
            let _ = client::try_exchange(client::tcp(base), &head, b"");
        });
        wait_until("github has been asked", || github.count(REPO).requests == 1);
        signal(&a, Signal::STOP);
        let began = Instant::now();
        let (_, code) = b.terminate();
        assert_eq!(code, Some(0));
        assert!(began.elapsed() < Duration::from_secs(10), "took {:?}", began.elapsed());
    });
}

#[test]
fn an_upload_that_takes_its_time_is_not_taken_for_a_silent_origin() {
    let github = GitHub::start();
    let machine = Setup::new(&github).env("GHOARD_ORIGIN_TIMEOUT", "1").start();
    let body = r#"{"title": "sent piece by piece", "body": "over a slow line"}"#;
    let mut stream = client::tcp(machine.base());
    let head = format!(
        "POST {REPO}/issues HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {TOKEN}\r\nConnection: close\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        machine.base(),
        body.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    for piece in body.as_bytes().chunks(10) {
        // The slow line: 2.5 s for all.
        std::thread::sleep(Duration::from_millis(400));
        let _ = stream.write_all(piece);
    }
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    let answer = String::from_utf8_lossy(&answer);
    assert!(answer.contains("cache-status: ghoard; fwd=bypass"), "it is no answer of GitHub's: {answer}");
}
