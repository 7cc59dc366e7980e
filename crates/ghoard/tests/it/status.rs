//! The status pages and the log, under the names that people's dashboards and greps use.

use crate::world::{GitHub, Setup, TOKEN, two_members, wait_until};

const STATS: &str = "hits misses peer_hits expirations evictions api_calls_saved api_calls_made graphql_api_calls_made \
    graphql_cache_hits local_hits total_hits total_requests hit_rate cache_size total_entries max_cache_size p2p_enabled \
    raw_p2p_cache_enabled raw_p2p_cache_requested p2p_transport task_p2p_cache_enabled task_p2p_cache_mode \
    content_addressing_available cache_dir api_call_log code_scanning_api_calls disk_entries total_size_bytes \
    connected_peers p2p_peers bootstrap_peers_configured peer_exchange_protocol peer_exchange_interval_s \
    peer_exchange_last_by_peer peer_exchange_last peer_exchange_last_iso known_peer_multiaddrs peer_id aggregate \
    available total_size_mb hit_rate_percent hit_rate_display total_misses";

const PEERS: &str = "enabled active peer_count peers p2p_enabled status connected_peer_count registered_peer_count libp2p \
    peer_exchange_protocol peer_exchange_interval_s peer_exchange_last peer_exchange_last_iso \
    peer_exchange_last_by_peer known_peer_multiaddrs connectivity";

const CONNECTIVITY: &str =
    "discovered_peers relay_peers reachability transports discovery nat_traversal implemented rendezvous";

fn assert_has(page: &serde_json::Value, keys: &str) {
    let missing: Vec<&str> = keys.split_whitespace().filter(|key| page.get(key).is_none()).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn every_key_that_the_guides_name_is_there_with_or_without_peers() {
    let github = GitHub::start();
    let (a, _b) = two_members(&github);
    for machine in [&a, &Setup::new(&github).start()] {
        assert_has(&machine.stats(), STATS);
        let peers = machine.status("/api/mcp/peers").json();
        assert_has(&peers, PEERS);
        assert_has(&peers["connectivity"], CONNECTIVITY);
    }
}

#[test]
fn the_figures_are_true() {
    let github = GitHub::start();
    let machine = Setup::new(&github).start();
    let path = "/repos/octocat/Hello-World";
    for _ in 0..4 {
        machine.get(path, Some(TOKEN));
    }
    machine.get("/rate_limit", Some(TOKEN));
    wait_until("the answer is on the disk", || machine.stat("cache_size") == 1);
    let stats = machine.stats();
    for (key, value) in [("local_hits", 3), ("misses", 1), ("total_requests", 4), ("api_calls_made", 2)] {
        assert_eq!(stats[key], value, "{key}");
    }
    assert_eq!(stats["hit_rate"], 0.75);
    assert_eq!(github.hub().counts().total.requests, 2);
    let metrics = machine.status("/metrics").text();
    for line in ["ghoard_local_hits_total 3", "ghoard_origin_requests_total 2", "ghoard_store_entries 1"] {
        assert!(metrics.lines().any(|found| found == line), "{line} in {metrics}");
    }
    assert_eq!(machine.status("/healthz").text(), "ok\n");
}

#[test]
fn the_log_has_the_lines_that_people_search_for_also_in_json() {
    let github = GitHub::start();
    let setup = Setup::new(&github);
    let registry = setup.home.path("registry").display().to_string();
    let a = setup.member("a passphrase for the tests only", &registry, "a").env("GHOARD_LOG_FORMAT", "json").start();
    let b = Setup::new(&github).member("a passphrase for the tests only", &registry, "b").start();
    a.wait_for_peers(1);
    b.wait_for_peers(1);
    wait_until("b's log says so", || b.log.text().contains(&format!("Connected to peer: {}", a.peer_id())));
    let line = format!("Connected to peer: {}", b.peer_id());
    let said = |entry: &str| {
        let entry: serde_json::Value = serde_json::from_str(entry).unwrap_or_else(|_| panic!("no JSON: {entry}"));
        entry["message"].as_str().unwrap_or_default().to_owned()
    };
    let logged: Vec<String> = a.log.text().lines().filter(|line| line.starts_with('{')).map(said).collect();
    assert!(logged.contains(&line), "{logged:?}");
}

#[test]
fn a_clash_of_names_is_named_and_nobodys_record_is_lost() {
    let github = GitHub::start();
    let setup = Setup::new(&github);
    let folder = setup.home.path("registry");
    let registry = folder.display().to_string();
    let a = setup.member("a passphrase for the tests only", &registry, "same").start();
    wait_until("a has announced itself", || folder.join("peer_same.json").exists());
    let b = Setup::new(&github).member("a passphrase for the tests only", &registry, "same").start();
    wait_until("b names the clash", || b.log.text().contains("another live peer uses this RUNNER_NAME"));
    let record = std::fs::read_to_string(folder.join("peer_same.json")).unwrap();
    assert!(record.contains(&a.peer_id()), "{record}");
    b.wait_for_peers(1);
    // The folder lives as long as a's home.
    let _homes = (b.terminate(), a.terminate());
    assert_eq!(std::fs::read_dir(folder).unwrap().count(), 0, "who stops in order takes its record back");
}
