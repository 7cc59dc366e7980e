//! What every directory that can be written to promises.

use std::time::Duration;

use wire::Millis;

use crate::{Announced, Directory, PeerRecord, limits};

/// Runs the whole suite; `empty` returns a new directory without records each time.
pub(crate) fn check<D: Directory>(mut empty: impl FnMut() -> D) {
    an_empty_directory_finds_nobody(&empty());
    what_was_announced_is_found(&empty());
    announcing_again_replaces(&empty());
    the_latest_comes_first(&empty());
    a_record_ends_with_its_time_to_live(&empty());
    a_live_peer_of_the_same_name_is_kept(&empty());
    a_stale_peer_of_the_same_name_is_replaced(&empty());
    withdrawing_takes_back_only_one_s_own(&empty());
    a_record_that_others_would_refuse_is_refused(&empty());
}

pub(crate) const START: Millis = Millis::from_secs(1_800_000_000);

pub(crate) fn peer(id: &str, runner: &str) -> PeerRecord {
    PeerRecord::new(format!("12D3KooW{id}"), runner, 9100, format!("/ip4/10.0.0.1/tcp/9100/p2p/12D3KooW{id}"))
}

fn ids(directory: &impl Directory, now: Millis) -> Vec<String> {
    directory.discover(now).unwrap().peers.into_iter().map(|peer| peer.peer_id).collect()
}

fn an_empty_directory_finds_nobody(directory: &impl Directory) {
    assert!(ids(directory, START).is_empty());
    directory.withdraw(&peer("a", "one")).unwrap();
}

fn what_was_announced_is_found(directory: &impl Directory) {
    let me = PeerRecord { public_ip: Some("203.0.113.7".parse().unwrap()), ..peer("a", "one") };
    assert_eq!(directory.announce(&me, START).unwrap(), Announced::Written);
    let found = directory.discover(START).unwrap();
    assert_eq!(found.peers, [PeerRecord { last_seen: START, ..me }]);
    assert_eq!(found.skipped, []);
}

fn announcing_again_replaces(directory: &impl Directory) {
    let later = START.after(Duration::from_secs(60));
    directory.announce(&peer("a", "one"), START).unwrap();
    let moved = PeerRecord { multiaddr: "/ip4/10.9.9.9/tcp/1".into(), ..peer("a", "one") };
    assert_eq!(directory.announce(&moved, later).unwrap(), Announced::Written);
    assert_eq!(directory.discover(later).unwrap().peers, [PeerRecord { last_seen: later, ..moved }]);
}

fn the_latest_comes_first(directory: &impl Directory) {
    for (secs, id) in [(0, "a"), (2, "c"), (1, "b")] {
        directory.announce(&peer(id, id), START.after(Duration::from_secs(secs))).unwrap();
    }
    assert_eq!(ids(directory, START), ["12D3KooWc", "12D3KooWb", "12D3KooWa"]);
}

fn a_record_ends_with_its_time_to_live(directory: &impl Directory) {
    directory.announce(&peer("a", "one"), START).unwrap();
    let last = START.after(limits::RECORD_TTL);
    assert_eq!(ids(directory, last).len(), 1);
    assert!(ids(directory, last.after(Duration::from_millis(1))).is_empty());
    assert!(ids(directory, START).is_empty(), "what was stale is gone");
}

fn a_live_peer_of_the_same_name_is_kept(directory: &impl Directory) {
    let (one, two) = (peer("aaaaaaaa", "same"), peer("bbbbbbbb", "same"));
    directory.announce(&one, START).unwrap();
    assert_eq!(directory.announce(&two, START).unwrap(), Announced::Clash { other: one.peer_id.clone() });
    assert_eq!(directory.announce(&one, START).unwrap(), Announced::Written);
    assert_eq!(ids(directory, START).len(), 2);
}

fn a_stale_peer_of_the_same_name_is_replaced(directory: &impl Directory) {
    let (one, two) = (peer("aaaaaaaa", "same"), peer("bbbbbbbb", "same"));
    directory.announce(&one, START).unwrap();
    directory.announce(&two, START).unwrap();
    let later = START.after(limits::RECORD_TTL + Duration::from_secs(1));
    assert_eq!(directory.announce(&two, later).unwrap(), Announced::Written);
    assert_eq!(ids(directory, later), [two.peer_id]);
}

fn withdrawing_takes_back_only_one_s_own(directory: &impl Directory) {
    let (one, two) = (peer("aaaaaaaa", "same"), peer("bbbbbbbb", "same"));
    directory.announce(&one, START).unwrap();
    directory.announce(&two, START).unwrap();
    directory.withdraw(&two).unwrap();
    assert_eq!(ids(directory, START), [one.peer_id.as_str()]);
    directory.withdraw(&one).unwrap();
    assert!(ids(directory, START).is_empty());
}

fn a_record_that_others_would_refuse_is_refused(directory: &impl Directory) {
    let bad = PeerRecord { multiaddr: "10.0.0.1:9100".into(), ..peer("a", "one") };
    assert!(directory.announce(&bad, START).is_err());
    assert!(ids(directory, START).is_empty());
}
