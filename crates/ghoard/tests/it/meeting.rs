//! One machine asks GitHub, the other one answers.

use std::{collections::BTreeSet, time::Instant};

use crate::world::{GitHub, Machine, SECRET, Setup, TOKEN, has_gh, two_members, two_members_with, wait_until};

const REPO: &str = "/repos/octocat/Hello-World";

#[test]
fn an_answer_crosses_to_the_other_machine_and_survives_both_and_github() {
    if !has_gh("an_answer_crosses_to_the_other_machine") {
        return;
    }
    let mut github = GitHub::start();
    // Short enough to see the end of it.
    let (a, b) = two_members_with(&github, &[("CACHE_DEFAULT_TTL", "8")]);

    let from_a = a.gh(&["api", REPO], TOKEN);
    assert!(from_a.status.success(), "{}", String::from_utf8_lossy(&from_a.stderr));
    assert_eq!(github.count(REPO).requests, 1);
    wait_until("b has heard of it", || b.stat("index_entries") == 1);

    let from_b = b.gh(&["api", REPO], TOKEN);
    assert!(from_b.status.success());
    assert_eq!(from_a.stdout, from_b.stdout);
    assert_eq!(github.count(REPO).requests, 1, "b asked GitHub");
    assert_eq!(b.stat("peer_hits"), 1);

    // Counted when they are committed: what the fleet told, and what its own client was told.
    wait_until("both records are on the disk", || b.stat("cache_size") == 2);
    a.kill();
    let b = b.kill();
    github.stop();
    let b = b.start();
    let alone = b.gh(&["api", REPO], TOKEN);
    assert_eq!(alone.stdout, from_a.stdout, "{}", String::from_utf8_lossy(&alone.stderr));
    // Fresh as long as it is, then marked.
    wait_until("its time is over", || {
        let answer = b.get(REPO, Some(TOKEN));
        assert_eq!(answer.status, 200);
        assert!(answer.header("cache-status").starts_with("ghoard; hit; ttl="), "{answer:?}");
        answer.header("cache-status").contains("detail=stale")
    });
}

#[test]
fn bodies_of_all_sizes_cross_from_door_to_door() {
    let github = GitHub::start();
    let (a, b) = two_members(&github);
    for (n, bytes) in [1 << 10, 100 << 10, 1 << 20, 5 << 20].into_iter().enumerate() {
        let path = format!("{REPO}/git/blobs/size-{bytes}");
        let first = a.get(&path, Some(TOKEN));
        assert_eq!((first.status, first.body.len()), (200, bytes));
        wait_until("b has heard of it", || b.stat("index_entries") == n as u64 + 1);
        let second = b.get(&path, Some(TOKEN));
        assert_eq!(second.body, first.body, "{bytes} bytes");
        assert_eq!(github.count(&path).requests, 1, "{bytes} bytes");
        assert!(second.header("cache-status").contains("detail=peer"), "{:?}", second.headers);
    }
    assert_eq!(b.stat("peer_hits"), 4);
    assert!(b.stat("count_pulls") >= 2, "large bodies are pulled, not pushed");
}

#[test]
fn a_node_that_comes_later_answers_its_first_request_from_a_peer() {
    let github = GitHub::start();
    let (a, b) = two_members(&github);
    assert_eq!(a.get(REPO, Some(TOKEN)).status, 200);
    wait_until("b has heard of it", || b.stat("index_entries") == 1);

    let registry = a.setup.home.path("registry").display().to_string();
    let c = Setup::new(&github).member(SECRET, &registry, "c").start();
    wait_until("it is ready", || c.status("/healthz").status == 200);
    let answer = c.get(REPO, Some(TOKEN));
    assert!(answer.header("cache-status").contains("detail=peer"), "{:?}", answer.headers);
    assert_eq!(github.count(REPO).requests, 1);
}

#[test]
fn from_one_address_the_neighbours_make_a_mesh_of_all() {
    let github = GitHub::start();
    let member = |name: &str, bootstrap: &str| {
        let setup = Setup::new(&github).member(SECRET, "off", name);
        setup.env("CACHE_BOOTSTRAP_PEERS", bootstrap).start()
    };
    let first = member("n0", "");
    let bootstrap = first.listening();
    let began = Instant::now();
    let others: Vec<_> = (1..12).map(|n| member(&format!("n{n}"), &bootstrap)).collect();
    for machine in others.iter().chain([&first]) {
        machine.wait_for_peers(11);
        let stats = machine.stats();
        assert!(stats["peer_exchange_last_iso"].is_string(), "{stats}");
        assert!(stats["known_peer_multiaddrs"].as_u64() >= Some(10), "{stats}");
    }
    println!("a mesh of 12 from one address, {:.1} s after the second was started", began.elapsed().as_secs_f64());
    let kinds = &others[4].status("/api/mcp/peers").json()["connectivity"]["discovery"]["kinds"];
    assert_eq!((&kinds["peer_exchange"]["has_worked"], &kinds["file"]["configured"]), (&true.into(), &false.into()));
}

#[test]
fn two_that_know_a_third_one_alone_find_each_other_by_the_words_that_it_keeps() {
    let github = GitHub::start();
    let member = |name: &str, bootstrap: &str| {
        let setup = Setup::new(&github).member(SECRET, "off", name).env("GHOARD_PEER_EXCHANGE", "false");
        setup.env("GHOARD_KADEMLIA", "true").env("CACHE_BOOTSTRAP_PEERS", bootstrap).start()
    };
    let b = member("b", "");
    let (a, c) = (member("a", &b.listening()), member("c", &b.listening()));
    let began = Instant::now();
    for machine in [&a, &b, &c] {
        machine.wait_for_peers(2);
    }
    println!("a and c found each other by Kademlia after {:.1} s", began.elapsed().as_secs_f64());
    let kinds =
        |machine: &Machine| machine.status("/api/mcp/peers").json()["connectivity"]["discovery"]["kinds"].clone();
    let kinds = [kinds(&a), kinds(&c)];
    assert!(kinds.iter().any(|kinds| kinds["kademlia"]["has_worked"] == true), "{kinds:?}");
    let others = ["dns", "file", "mdns", "peer_exchange", "issue_registry", "public_bootstrap"];
    assert!(others.iter().all(|kind| kinds.iter().all(|kinds| kinds[kind]["configured"] == false)), "{kinds:?}");
}

#[test]
fn machines_of_ipv6_alone_meet_and_one_of_both_meets_either() {
    if std::net::TcpListener::bind("[::1]:0").is_err() {
        assert!(std::env::var_os("CI").is_none(), "CI must have IPv6");
        return eprintln!("skipped: this machine has no IPv6");
    }
    let github = GitHub::start();
    let member = |name: &str, address: &str, bootstrap: &str| {
        let setup = Setup::new(&github).member(SECRET, "off", name).env("GHOARD_LISTEN_ADDRESS", address);
        setup.env("GHOARD_PEER_EXCHANGE", "false").env("CACHE_BOOTSTRAP_PEERS", bootstrap).start()
    };
    let (a, old) = (member("a", "::1", ""), member("old", "127.0.0.1", ""));
    assert!(a.listening().starts_with("/ip6/::1/tcp/"), "{}", a.listening());
    let b = member("b", "::1", &a.listening());
    let both = member("both", "::", &format!("{},{}", a.listening(), old.listening()));
    b.wait_for_peers(1);
    both.wait_for_peers(2);
    let families = |machine: &Machine| {
        let peers = machine.status("/api/mcp/peers").json();
        let rows =
            peers["peers"].as_array().unwrap().iter().map(|row| row["address"].as_str().unwrap()[..4].to_owned());
        rows.collect::<BTreeSet<_>>()
    };
    assert_eq!(families(&b), ["/ip6".to_owned()].into());
    assert_eq!(families(&both), ["/ip4".to_owned(), "/ip6".to_owned()].into());
    assert_eq!(a.get(REPO, Some(TOKEN)).status, 200);
    wait_until("both others have heard of it", || b.stat("index_entries") == 1 && both.stat("index_entries") == 1);
}

#[test]
fn a_service_name_alone_connects() {
    let github = GitHub::start();
    let alone = |name: &str| Setup::new(&github).member(SECRET, "off", name).env("GHOARD_PEER_EXCHANGE", "false");
    let a = alone("a").start();
    let port = a.listening().rsplit('/').next().unwrap().to_owned();
    // `localhost` is a name that every machine resolves.
    let b = alone("b").env("GHOARD_DNS_NAME", format!("localhost:{port}")).start();
    b.wait_for_peers(1);
    let kinds = b.status("/api/mcp/peers").json()["connectivity"]["discovery"]["kinds"].clone();
    assert_eq!(kinds["dns"]["has_worked"], true, "{kinds}");
    let others = ["static", "file", "mdns", "peer_exchange", "issue_registry"];
    assert!(others.iter().all(|kind| kinds[kind]["configured"] == false), "{kinds}");

    let c = alone("c").env("GHOARD_DNS_NAME", "no-such-machine.invalid:9100").start();
    wait_until("c says why it is alone", || {
        let peers = c.status("/api/mcp/peers").json();
        let why = peers["connected_peers_why"].as_str().unwrap_or_default().to_owned();
        let trouble = &peers["connectivity"]["discovery"]["kinds"]["dns"]["trouble"];
        why.contains("no address of another machine was found (ways of finding: dns)") && trouble.is_string()
    });
}

#[test]
fn an_answer_goes_along_a_chain() {
    let github = GitHub::start();
    let member = |name: &str, bootstrap: &str| {
        let setup = Setup::new(&github);
        // A folder of its own: only the bootstrap address connects it.
        let registry = setup.home.path("registry").display().to_string();
        let setup = setup.member(SECRET, &registry, name).env("CACHE_BOOTSTRAP_PEERS", bootstrap);
        setup.env("GHOARD_PEER_EXCHANGE", "false").start()
    };
    let a = member("a", "");
    let listening = a.listening();
    let b = member("b", &format!("{listening}/p2p/{}", a.peer_id()));
    let listening = b.listening();
    let c = member("c", &format!("{listening}/p2p/{}", b.peer_id()));
    a.wait_for_peers(1);
    b.wait_for_peers(2);
    c.wait_for_peers(1);

    let path = format!("{REPO}/git/blobs/size-1024");
    let first = a.get(&path, Some(TOKEN));
    wait_until("c has heard of it", || c.stat("index_entries") == 1);
    assert_eq!(c.get(&path, Some(TOKEN)).body, first.body);
    assert_eq!(github.count(&path).requests, 1);
    let peers_of_c = c.status("/api/mcp/peers").json()["peer_count"].as_u64();
    assert_eq!(peers_of_c, Some(1), "there is no shortcut");
}
