//! `mode = shadow`: the client always gets the origin's answer, and what serving would have done is counted.

use crate::world::{GitHub, Machine, Setup, TOKEN, two_members, wait_until};

const ISSUE: &str = "/repos/octocat/Hello-World/issues/1";

fn shadow(github: &GitHub) -> Machine {
    Setup::new(github).env("GHOARD_MODE", "shadow").env("CACHE_DEFAULT_TTL", "600").start()
}

fn counts(machine: &Machine) -> [u64; 4] {
    ["would_hit", "would_prove", "would_save", "mismatches"].map(|name| machine.stat(&format!("count_shadow_{name}")))
}

#[test]
fn what_changes_behind_the_cache_is_seen_by_the_client_and_counted() {
    let github = GitHub::start();
    let machine = shadow(&github);
    assert_eq!(machine.stats()["mode"], "shadow");
    let first = machine.get(ISSUE, Some(TOKEN));
    wait_until("it is kept", || machine.stat("cache_size") == 1);
    let second = machine.get(ISSUE, Some(TOKEN));
    assert_eq!((second.status, &second.body), (200, &first.body));
    assert!(second.header("cache-status").contains("fwd=miss") && second.header("x-from-cache").is_empty());
    assert_eq!(github.count(ISSUE).charged, 2, "each request goes to GitHub");
    assert_eq!(counts(&machine), [1, 0, 1, 0]);

    github.hub().modify_issue("octocat/Hello-World", 1, "Behind the cache", 2_000_000_000).unwrap();
    for asked in 1..=2 {
        let newest = machine.get(ISSUE, Some(TOKEN));
        assert!(newest.text().contains("Behind the cache"), "the client sees the newest");
        // Serving, the old answer would have stayed until its time was over.
        assert_eq!(counts(&machine), [1 + asked, 0, 1 + asked, asked]);
    }
    wait_until("the log says so", || machine.log.text().contains("would have served another answer"));
    let log = machine.log.text();
    let line = log.lines().find(|line| line.contains("would have served another answer")).unwrap();
    assert!(line.contains("key=") && line.contains("route=Issues") && !line.contains("Hello-World"), "{line}");
    let metrics = machine.status("/metrics").text();
    assert!(metrics.lines().any(|line| line == "ghoard_shadow_mismatches_total 2"), "{metrics}");
}

#[test]
fn a_free_304_that_serving_would_have_had_is_counted_too() {
    let github = GitHub::start();
    let machine = Setup::new(&github).env("GHOARD_MODE", "shadow").env("CACHE_DEFAULT_TTL", "0").start();
    for _ in 0..2 {
        machine.get(ISSUE, Some(TOKEN));
    }
    assert_eq!(counts(&machine), [0, 1, 1, 0]);
    assert_eq!(github.count(ISSUE).charged, 2);
}

#[test]
fn a_404_that_would_be_told_again_is_counted_and_no_mismatch() {
    let github = GitHub::start();
    let machine = shadow(&github);
    let missing = "/repos/octocat/Hello-World/issues/99999";
    for _ in 0..3 {
        assert_eq!(machine.get(missing, Some(TOKEN)).status, 404);
    }
    assert_eq!((counts(&machine), github.count(missing).requests), ([2, 0, 2, 0], 3));
    for asked in 1..=2 {
        assert_eq!(machine.get("/rate_limit", Some(TOKEN)).status, 200);
        assert_eq!(github.count("/rate_limit").requests, asked, "not from the ledger");
    }
}

#[test]
fn what_a_peer_would_have_answered_is_counted_and_not_given() {
    let github = GitHub::start();
    let (a, b) = two_members(&github);
    let b = b.kill().env("GHOARD_MODE", "shadow").start();
    b.wait_for_peers(1);
    a.get(ISSUE, Some(TOKEN));
    wait_until("b has heard of it", || b.stat("index_entries") == 1);
    let answer = b.get(ISSUE, Some(TOKEN));
    assert!(answer.header("cache-status").contains("fwd=miss"), "{:?}", answer.headers);
    assert_eq!((counts(&b), github.count(ISSUE).charged), ([1, 0, 1, 0], 2));
}

#[test]
fn in_an_outage_the_client_gets_the_outage() {
    let mut github = GitHub::start();
    let machine = shadow(&github);
    assert_eq!(machine.get(ISSUE, Some(TOKEN)).status, 200);
    github.stop();
    assert_eq!(machine.get(ISSUE, Some(TOKEN)).status, 502);
    assert_eq!(counts(&machine), [1, 0, 0, 0], "a hit, and nothing to compare it with");
}
