//! `ghoard probe` and `ghoard doctor` name the cause: each kind of trouble is made here, and found.
//! What needs routers and firewalls is made in `cargo xtask nat-lab --trouble`.

#![expect(clippy::disallowed_methods, reason = "these tests are of real machines; nothing here is simulated")]

use std::{
    io::{BufRead, BufReader, Write},
    net::{TcpListener, UdpSocket},
    process::{Child, Command, Stdio},
};

use crate::{
    home::Home,
    world::{GitHub, SECRET, Setup, TOKEN, wait_until},
};

/// `ghoard probe --serve` on loopback, and the address that it prints.
struct Serving {
    child: Child,
    address: String,
}

impl Serving {
    fn start(home: &Home, secret: &str, more: &str) -> Self {
        let mut command = home.ghoard(&format!("probe --serve --port 0 --advertise-ip 127.0.0.1 {more}"));
        command.env("CACHE_P2P_SHARED_SECRET", secret).env("GHOARD_LISTEN_ADDRESS", "127.0.0.1");
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let line = lines.find_map(|line| line.unwrap().strip_prefix("P2P_PROBE_MULTIADDR=").map(str::to_owned));
        // The rest is read, so that it never blocks.
        std::thread::spawn(move || lines.for_each(drop));
        Self { child, address: line.unwrap() }
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn run(mut command: Command) -> (i32, String) {
    let output = command.output().unwrap();
    let all = [output.stdout.as_slice(), &output.stderr].map(String::from_utf8_lossy).concat();
    (output.status.code().unwrap(), all)
}

fn probe(home: &Home, secret: &str, address: &str) -> (i32, String) {
    let mut command = home.ghoard("probe");
    command.env("CACHE_P2P_SHARED_SECRET", secret).env("P2P_REMOTE_MULTIADDR", address).env("CACHE_LISTEN_PORT", "0");
    run(command)
}

/// `ghoard probe --serve …` of these settings: its exit code and words, if it ends.
fn serve(home: &Home, arguments: &str, env: &[(&str, &str)]) -> Command {
    let mut command = home.ghoard(&format!("probe --serve {arguments}"));
    command.env("CACHE_P2P_SHARED_SECRET", SECRET).env("GHOARD_LISTEN_ADDRESS", "127.0.0.1").envs(env.iter().copied());
    command
}

/// The first line that it prints; then it is ended.
fn first_line(mut command: Command) -> String {
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
    let line = BufReader::new(child.stdout.take().unwrap()).lines().next().unwrap().unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    line
}

#[test]
fn a_server_prints_an_address_at_which_it_listens_or_ends_and_says_why() {
    let home = Home::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let line = first_line(serve(&home, "", &[("CACHE_LISTEN_PORT", &port)]));
    assert!(line.starts_with("P2P_PROBE_MULTIADDR=/ip4/127.0.0.1/tcp/"), "asked for, so of use: {line}");
    assert!(!line.contains(&format!("/{port}/")), "{line}");
    let line = first_line(serve(&home, "--port 0", &[("GHOARD_TRANSPORTS", "quic")]));
    assert!(line.starts_with("P2P_PROBE_MULTIADDR=") && line.contains("/quic-v1/"), "{line}");
    let line = first_line(serve(&home, "--port 0 --advertise-ip ::1", &[("GHOARD_LISTEN_ADDRESS", "::1")]));
    assert!(line.starts_with("P2P_PROBE_MULTIADDR=/ip6/::1/tcp/"), "{line}");

    let (code, said) = run(serve(&home, "--port 0 --advertise-ip ::1", &[]));
    assert!(code == 2 && said.contains("nobody reaches this machine at ::1") && said.contains("hint: "), "{said}");
    let (code, said) = run(serve(&home, "--port 0", &[("GHOARD_LISTEN_ADDRESS", "192.0.2.1")]));
    assert!(code == 2 && said.contains("cannot listen anywhere") && said.contains("hint: "), "{said}");
    let (code, said) = run(serve(&home, "", &[("GHOARD_TRANSPORTS", "ws")]));
    assert!(code == 2 && said.contains("nothing to listen on") && said.contains("hint: "), "{said}");
    let (code, said) = run(home.ghoard("probe --exit-after-one /ip4/127.0.0.1/tcp/1"));
    assert!(code == 2 && said.contains("--serve"), "{said}");
}

#[test]
fn over_udp_a_closed_port_and_a_stranger_are_told_apart() {
    let home = Home::new();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = format!("/ip4/127.0.0.1/udp/{}/quic-v1", socket.local_addr().unwrap().port());
    let (code, said) = probe(&home, SECRET, &address);
    assert!(code == 1 && said.contains("nothing of QUIC listens there, or a firewall"), "{said}");
    drop(socket);
    let (code, said) = probe(&home, SECRET, &address);
    assert!(code == 1 && said.contains("nothing listens on UDP port"), "{said}");
}

#[test]
fn an_address_that_this_machine_does_not_dial_is_told_so() {
    let home = Home::new();
    let (code, said) = probe(&home, SECRET, "/ip4/127.0.0.1/tcp/1/ws");
    assert!(code == 1 && said.contains("does not dial over ws") && said.contains("=tcp,quic,ws"), "{said}");
    let relay = "/ip4/127.0.0.1/tcp/1/p2p/12D3KooWPjceQrSwdWXPyLLeABRXmuqt69Rg3sBYbU1Nft9HyQ6X";
    let (code, said) = probe(&home, SECRET, &format!("{relay}/p2p-circuit"));
    assert!(code == 1 && said.contains("through a relay") && said.contains(&format!("probe {relay}`")), "{said}");
}

#[test]
fn a_member_that_can_be_reached_is_shown_step_by_step_and_the_way_back_is_tried() {
    let home = Home::new();
    let mut serving = Serving::start(&home, SECRET, "--exit-after-one");
    let (code, said) = probe(&home, SECRET, &serving.address);
    assert_eq!(code, 0, "{said}");
    for step in ["tcp", "membership", "peer", "identify", "path", "round trip", "dial-back"] {
        assert!(said.contains(&format!("ok     {step}")), "{step} in\n{said}");
    }
    assert!(said.contains("reaches this machine at 127.0.0.1:"), "{said}");
    wait_until("it ends after one", || serving.child.try_wait().unwrap().is_some());
}

#[test]
fn another_secret_a_closed_port_and_another_peer_are_told_apart() {
    let home = Home::new();
    let serving = Serving::start(&home, SECRET, "");
    let (code, said) = probe(&home, "another passphrase for the tests", &serving.address);
    assert!(code == 1 && said.contains("has another shared secret"), "{said}");

    let other = Serving::start(&home, SECRET, "");
    let (place, _) = serving.address.split_once("/p2p/").unwrap();
    let (_, name) = other.address.split_once("/p2p/").unwrap();
    let (code, said) = probe(&home, SECRET, &format!("{place}/p2p/{name}"));
    assert!(code == 1 && said.contains("another peer answers there"), "{said}");

    let address = serving.address.clone();
    drop(serving);
    let (code, said) = probe(&home, SECRET, &address);
    assert!(code == 1 && said.contains("nothing listens on TCP port"), "{said}");

    let (code, said) = run(home.ghoard("probe"));
    assert!(code == 2 && said.contains("hint: "), "{said}");
}

#[test]
fn a_port_that_something_else_holds_is_told_so() {
    let home = Home::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        let open: Vec<_> = listener.incoming().collect();
        drop(open);
    });
    let (code, said) = probe(&home, SECRET, &format!("/ip4/127.0.0.1/tcp/{port}"));
    assert!(code == 1 && said.contains("takes connections and says nothing"), "{said}");
}

#[test]
fn a_daemon_is_probed_over_quic_too() {
    let github = GitHub::start();
    let setup = Setup::new(&github);
    let registry = setup.home.path("registry").display().to_string();
    let daemon = setup.member(SECRET, &registry, "a").start();
    let listening = || daemon.status("/api/mcp/peers").json()["listening"].clone();
    let quic = || {
        listening()
            .as_array()?
            .iter()
            .find_map(|at| at.as_str().filter(|at| at.contains("/quic-v1")).map(str::to_owned))
    };
    wait_until("it listens over QUIC", || quic().is_some());
    let (code, said) = probe(&Home::new(), SECRET, &quic().unwrap());
    assert!(code == 0 && said.contains("ok     udp") && said.contains("ok     membership"), "{said}");
}

fn doctor(setup: &Setup) -> (i32, String) {
    run(setup.command("doctor"))
}

#[test]
fn a_healthy_machine_has_nothing_wrong_and_a_lonely_one_is_told_why() {
    let github = GitHub::start();
    let registry = tempfile::tempdir().unwrap();
    let registry = registry.path().display().to_string();
    let a = Setup::new(&github).member(SECRET, &registry, "a").env("GH_TOKEN", TOKEN).start();
    a.wait_for_peers(0);
    let (code, said) = doctor(&a.setup);
    assert!(code == 1 && said.contains("no address of another machine was found"), "{said}");
    let b = Setup::new(&github).member(SECRET, &registry, "b").start();
    a.wait_for_peers(1);
    let (code, said) = doctor(&a.setup);
    assert!(code == 0 && said.contains("1 connected"), "{said}");
    assert!(said.contains("sudo ufw allow"), "{said}");
    drop(b);
}

#[test]
fn a_secret_that_differs_is_named_as_the_cause_of_loneliness() {
    let github = GitHub::start();
    let registries = tempfile::tempdir().unwrap();
    let of = |name: &str| registries.path().join(name).display().to_string();
    let a = Setup::new(&github).member(SECRET, &of("a"), "a").start();
    let b = Setup::new(&github)
        .member("another passphrase for the tests", &of("b"), "b")
        .env("CACHE_BOOTSTRAP_PEERS", a.listening())
        .start();
    wait_until("b was refused", || b.log.text().contains("another shared secret"));
    let (code, said) = doctor(&b.setup);
    assert!(code == 1 && said.contains("dialled") && said.contains("another shared secret"), "{said}");
    // It has knocked at the other's port, which must not hide there what that one knows.
    let (code, said) = doctor(&a.setup);
    assert!(code == 1 && said.contains("another shared secret"), "{said}");
    assert!(said.contains("try: set the same CACHE_P2P_SHARED_SECRET"), "{said}");
}

#[test]
fn a_closed_port_a_cache_that_cannot_be_written_and_a_wrong_clock_are_found() {
    let (github, home) = (GitHub::start(), Home::new());
    std::fs::write(home.path("file"), "no folder").unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let closed = listener.local_addr().unwrap().port();
    drop(listener);
    let setup = Setup::new(&github)
        .env("CACHE_DIR", home.path("file/cache").display().to_string())
        .env("CACHE_P2P_SHARED_SECRET", SECRET)
        .env("CACHE_BOOTSTRAP_PEERS", format!("/ip4/127.0.0.1/tcp/{closed}"))
        .env("GHOARD_ORIGIN", origin_of_another_time());
    let (code, said) = doctor(&setup);
    assert_eq!(code, 1, "{said}");
    for cause in ["cannot be written", "nothing listens on TCP port", "behind GitHub's", "no daemon answers"] {
        assert!(said.contains(cause), "{cause} in\n{said}");
    }
    let (code, said) = run(setup.command("doctor --json"));
    let line = said.lines().find(|line| line.starts_with('{')).unwrap();
    let report: serde_json::Value = serde_json::from_str(line).unwrap();
    assert_eq!((code, &report["well"]), (1, &false.into()));
}

/// Answers each request with a `Date` of the year 2099.
fn origin_of_another_time() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
            while lines.next().is_some_and(|line| line.is_ok_and(|line| !line.is_empty())) {}
            let head = "HTTP/1.1 200 OK\r\nDate: Thu, 01 Jan 2099 00:00:00 GMT\r\nContent-Length: 2\r\n";
            let _ = write!(stream, "{head}Connection: close\r\n\r\n{{}}");
        }
    });
    url
}
