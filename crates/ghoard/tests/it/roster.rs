//! The fleet as one machine sees it, and a machine that leaves it.

use serde_json::Value;

use crate::world::{GitHub, Machine, SECRET, Setup, TOKEN, two_members, two_members_with, wait_until};

const REPO: &str = "/repos/octocat/Hello-World";

/// The row of `peer` in `ghoard peers --json` of `machine`.
fn row(machine: &Machine, peer: &str) -> Option<Value> {
    let output = machine.setup.command("peers --json").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let page: Value = serde_json::from_slice(&output.stdout).unwrap();
    page["members"].as_array().unwrap().iter().find(|row| row["peer_id"] == peer).cloned()
}

fn told(machine: &Machine, command: &str) -> String {
    let output = machine.setup.command(command).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn each_machine_is_shown_with_its_role_path_index_and_version() {
    let github = GitHub::start();
    let a = Setup::new(&github);
    let registry = a.home.path("registry").display().to_string();
    let a = a.member(SECRET, &registry, "a").env("GHOARD_ROLE", "anchor").start();
    assert_eq!(a.get(REPO, Some(TOKEN)).status, 200);
    let b = Setup::new(&github).member(SECRET, &registry, "b").env("GITHUB_ACTIONS", "true").start();
    a.wait_for_peers(1);
    b.wait_for_peers(1);
    wait_until("each has said who it is", || {
        let says =
            |from: &Machine, of: &Machine, role: &str| row(from, &of.peer_id()).is_some_and(|r| r["role"] == role);
        says(&a, &b, "ephemeral") && says(&b, &a, "anchor")
    });
    // By its round trip, which is longer on a busy machine for a moment.
    wait_until("it is near", || row(&b, &a.peer_id()).unwrap()["path"] == "near");
    let seen = row(&b, &a.peer_id()).unwrap();
    assert_eq!(seen["connected"], true);
    assert_eq!((&seen["entries"], &seen["version"]), (&1.into(), &"0.0.0".into()));
    assert!(seen["heard_seconds_ago"].as_u64().unwrap() < 60);
    wait_until("its round trip is measured", || row(&b, &a.peer_id()).unwrap()["rtt_ms"].is_f64());

    let lines = told(&b, "peers");
    assert!(lines.starts_with("1 other members known, 1 connected"), "{lines}");
    let line = lines.lines().find(|line| line.starts_with(&a.peer_id())).unwrap();
    assert!(line.contains(" anchor ") && line.contains(" near ") && line.ends_with(" 0.0.0"), "{line}");
    assert_eq!(b.stats()["role"], "ephemeral");
}

#[test]
fn the_savings_of_the_fleet_are_those_of_all_its_members() {
    let github = GitHub::start();
    let a = Setup::new(&github);
    let registry = a.home.path("registry").display().to_string();
    let a = a.member(SECRET, &registry, "a").start();
    // One fill and two hits, before there is anybody to tell.
    for _ in 0..3 {
        assert_eq!(a.get(REPO, Some(TOKEN)).status, 200);
    }
    wait_until("a has counted them", || a.stats()["aggregate"]["this_node"]["hits"] == 2);
    let b = Setup::new(&github).member(SECRET, &registry, "b").start();
    b.wait_for_peers(1);
    wait_until("b has a's word", || b.stats()["aggregate"]["members"] == 2);
    assert_eq!(b.get(REPO, Some(TOKEN)).status, 200);

    let aggregate = b.stats()["aggregate"].clone();
    assert_eq!((&aggregate["charged"], &aggregate["hits"]), (&1.into(), &3.into()), "{aggregate}");
    assert_eq!(aggregate["this_node"]["hits"], 1);
    assert_eq!(github.hub().counts().total.charged, 1);
    let lines = told(&b, "stats");
    let words = |what: &str| {
        let line = lines.lines().find(|line| line.starts_with(what)).unwrap().to_owned();
        line.split_whitespace().rev().take(2).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(words("charged"), ["1", "0"], "{lines}");
    assert_eq!(words("answered without"), ["3", "1"], "{lines}");
}

#[test]
fn a_machine_that_is_told_to_stop_leaves_what_it_alone_held_to_another() {
    let github = GitHub::start();
    let a = Setup::new(&github);
    let registry = a.home.path("registry").display().to_string();
    let a = a.member(SECRET, &registry, "a").start();
    github.hub().add_issues("octocat/Hello-World", 40, 1_700_000_000).unwrap();
    let mut paths: Vec<String> = (1..=19).map(|n| format!("{REPO}/git/blobs/size-{}", n * 3000)).collect();
    // Too long as it is, and short enough packed.
    paths.push(format!("{REPO}/issues?state=all&per_page=100"));
    let bodies: Vec<Vec<u8>> = paths
        .iter()
        .map(|path| {
            let answer = a.get(path, Some(TOKEN));
            assert_eq!(answer.status, 200);
            answer.body
        })
        .collect();
    assert!(bodies[19].len() > wire::limits::PUSH_BYTES_MAX, "{}", bodies[19].len());
    // It comes later, so that it is told of them, and gets no body.
    let b = Setup::new(&github).member(SECRET, &registry, "b").start();
    a.wait_for_peers(1);
    b.wait_for_peers(1);
    wait_until("b has heard of all", || b.stat("index_entries") == 20);
    let asked = github.hub().counts().total.requests;

    let began = std::time::Instant::now();
    let (_a, code) = a.terminate();
    assert_eq!(code, Some(0));
    assert!(began.elapsed() < node::limits::DRAIN_PATIENCE, "it went as soon as it could");
    for (path, body) in paths.iter().zip(&bodies) {
        assert_eq!(&b.get(path, Some(TOKEN)).body, body, "{path}");
    }
    assert_eq!(github.hub().counts().total.requests, asked, "GitHub was asked again");
    assert_eq!(b.stat("count_pulls"), 0, "nobody was there to pull from");
}

#[test]
fn an_heir_tells_the_others_what_it_was_handed() {
    let github = GitHub::start();
    let a = Setup::new(&github);
    let registry = a.home.path("registry").display().to_string();
    let a = a.member(SECRET, &registry, "a").start();
    let path = format!("{REPO}/git/blobs/size-2000");
    let body = a.get(&path, Some(TOKEN)).body;
    // b is older than c, and so the heir.
    let b = Setup::new(&github).member(SECRET, &registry, "b").start();
    a.wait_for_peers(1);
    let c = Setup::new(&github).member(SECRET, &registry, "c").start();
    for machine in [&a, &b, &c] {
        machine.wait_for_peers(2);
        wait_until("it has heard of it", || machine.stat("index_entries") == 1);
    }
    wait_until("a knows both", || a.stats()["aggregate"]["members"] == 3);
    let asked = github.hub().counts().total.requests;
    let (_a, code) = a.terminate();
    assert_eq!(code, Some(0));
    wait_until("a is gone", || c.status("/api/mcp/peers").json()["peer_count"] == 1);
    assert_eq!(c.get(&path, Some(TOKEN)).body, body);
    assert_eq!(c.stat("count_pulls"), 1, "c was told that b holds it");
    assert_eq!(github.hub().counts().total.requests, asked, "GitHub was asked again");
}

#[test]
fn machines_that_do_not_seal_exchange_answers_and_say_at_each_start_that_they_do_not() {
    let github = GitHub::start();
    let (a, b) = two_members_with(&github, &[("GHOARD_SEAL", "off")]);
    for machine in [&a, &b] {
        assert!(machine.log.text().contains("warning: sealing is off"), "{}", machine.log.text());
        assert_eq!(machine.stats()["sealing"], "off");
        assert!(told(machine, "stats").contains("sealing is OFF"));
    }
    // Small enough to be pushed, and large enough to be pulled.
    for (n, bytes) in [1 << 10, 200 << 10].into_iter().enumerate() {
        let path = format!("{REPO}/git/blobs/size-{bytes}");
        let first = a.get(&path, Some(TOKEN));
        wait_until("b has heard of it", || b.stat("index_entries") == n as u64 + 1);
        assert_eq!(b.get(&path, Some(TOKEN)).body, first.body);
        assert_eq!(github.count(&path).requests, 1, "{bytes} bytes");
    }
}

#[test]
fn who_seals_and_who_does_not_are_named_and_share_nothing() {
    let github = GitHub::start();
    let a = Setup::new(&github);
    let registry = a.home.path("registry").display().to_string();
    let a = a.member(SECRET, &registry, "a").start();
    let b = Setup::new(&github).member(SECRET, &registry, "b").env("GHOARD_SEAL", "off").start();
    a.wait_for_peers(1);
    b.wait_for_peers(1);
    wait_until("each names the other", || {
        a.log.text().contains("sealing is off there") && b.log.text().contains("sealing is on there")
    });
    let answer = a.get(REPO, Some(TOKEN));
    assert_eq!(b.get(REPO, Some(TOKEN)).body, answer.body);
    assert_eq!(github.count(REPO).requests, 2, "they share nothing");
    wait_until("each knows its own", || (a.stat("index_entries"), b.stat("index_entries")) == (1, 1));
    assert_eq!(a.stat("count_messages_bad"), 0, "it is a setting, and no lie");
    let named = row(&a, &b.peer_id()).unwrap();
    assert_eq!(named["sealing"], "off");
    assert!(told(&a, "peers").contains("sealing is off there"));
}

#[test]
fn a_fleet_that_seals_says_so_and_a_machine_without_one_is_no_fleet() {
    let github = GitHub::start();
    let (a, _b) = two_members(&github);
    assert_eq!(a.stats()["sealing"], "on");
    let alone = Setup::new(&github).start();
    assert!(alone.stats()["sealing"].is_null());
    assert_eq!(told(&alone, "peers"), "this machine shares with no other\n");
    assert!(told(&alone, "stats").contains("this machine alone"));
}
