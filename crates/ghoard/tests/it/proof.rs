//! One body, many credentials: each proves by a free request that it may see it.

use std::{collections::BTreeSet, time::Duration};

use fakehub::{EtagRule, Role, Token};

use crate::{
    http::Reply,
    world::{GitHub, Machine, OUTSIDER, Setup, TOKEN, two_members, two_members_with, wait_until},
};

const PRIVATE: &str = "/repos/acme/secret/branches";
const COLLEAGUE: &str = "ghp_colleagueColleagueColleagueColle0";

/// A second user who may read `acme/secret`, and may do less there.
fn with_colleague(github: &GitHub) {
    github.hub().add_token(Token::new(COLLEAGUE, "colleague").with_repo("acme/secret", Role::Read));
}

fn tally(github: &GitHub, label: &str) -> (u64, u64, u64) {
    let tally = github.hub().counts().labels.get(label).copied().unwrap_or_default();
    (tally.requests, tally.charged, tally.not_modified)
}

/// What a miss looks like to its client, whatever others hold.
fn is_a_miss(answer: &Reply) {
    let status = answer.header("cache-status");
    assert!(status.starts_with("ghoard; fwd=miss; fwd-status=200"), "{status}");
    assert!(!answer.headers.contains_key("x-from-cache"));
}

fn heard_of(machine: &Machine, records: u64) {
    wait_until("it has heard of it", || machine.stat("index_entries") == records);
}

#[test]
fn a_second_token_is_answered_from_the_shared_body_after_one_free_request() {
    let github = GitHub::start();
    with_colleague(&github);
    let (a, b) = two_members(&github);
    let first = a.get(PRIVATE, Some(TOKEN));
    heard_of(&b, 1);

    let second = b.get(PRIVATE, Some(COLLEAGUE));
    assert_eq!(second.body, first.body);
    is_a_miss(&second);
    assert_eq!(tally(&github, "colleague"), (1, 0, 1), "one request, free of charge");
    assert_eq!(b.stat("api_calls_proofs"), 1);
    assert_eq!(second.header("content-type"), first.header("content-type"));
    assert_ne!(second.header("etag"), first.header("etag"), "an ETag is for one token");

    // A peer's answer has the ETag that GitHub gives this token, and a client that holds it is told so.
    heard_of(&a, 2);
    let etag = format!("\nIf-None-Match: {}", second.header("etag"));
    assert_eq!(a.request("GET", PRIVATE, Some(COLLEAGUE), &etag).status, 304);
    assert_eq!(tally(&github, "colleague").0, 1);

    // From then on it is this token's own, and an ordinary hit.
    let again = b.get(PRIVATE, Some(COLLEAGUE));
    assert!(again.header("cache-status").starts_with("ghoard; hit"), "{:?}", again.headers);
    assert_eq!(tally(&github, "colleague").0, 1);
}

#[test]
fn one_machine_alone_shares_among_its_tokens_and_after_a_restart_too() {
    let github = GitHub::start();
    with_colleague(&github);
    let machine = Setup::new(&github).start();
    let first = machine.get(PRIVATE, Some(TOKEN));
    wait_until("the index knows it", || machine.stat("index_entries") == 1);
    assert_eq!(machine.get(PRIVATE, Some(COLLEAGUE)).body, first.body);
    assert_eq!(tally(&github, "colleague"), (1, 0, 1));

    let machine = machine.terminate().0.start();
    let third = "ghs_thirdThirdThirdThirdThirdThirdThird0";
    github.hub().add_token(Token::new(third, "third").with_repo("acme/secret", Role::Read));
    wait_until("the index knows it again", || machine.stat("index_entries") == 2);
    assert_eq!(machine.get(PRIVATE, Some(third)).body, first.body);
    assert_eq!(tally(&github, "third"), (1, 0, 1));
}

#[test]
fn a_token_without_access_learns_nothing_by_any_way() {
    let mut github = GitHub::start();
    let (a, b) = two_members_with(&github, &[("GHOARD_PROOF_WINDOW", "1")]);
    let private = a.get(PRIVATE, Some(TOKEN));
    heard_of(&b, 1);
    let secret_words: BTreeSet<String> = words(&private.text()).filter(|word| word.len() >= 12).collect();
    let learns_nothing = |answer: &Reply, status: u16| {
        assert_eq!(answer.status, status, "{answer:?}");
        let text = answer.text();
        let all = words(&text).chain(answer.headers.values().flat_map(|value| words(value)));
        let leaked: Vec<String> = all.filter(|word| secret_words.contains(word)).collect();
        assert!(leaked.is_empty(), "{leaked:?}");
        assert_ne!(answer.header("content-length"), private.body.len().to_string());
        let status = answer.header("cache-status");
        assert!(!status.contains("hit") && !status.contains("304") && !status.contains("stale"), "{status}");
    };
    let ways =
        ["", "\nRange: bytes=0-99", "\nCache-Control: no-cache", "\nIf-None-Match: *", "\nCache-Control: max-age=5"];
    for machine in [&a, &b] {
        for way in ways {
            for method in ["GET", "HEAD"] {
                learns_nothing(&machine.request(method, PRIVATE, Some(OUTSIDER), way), 404);
            }
        }
        // What it is told does not depend on whether anybody asked before.
        let unasked = machine.get("/repos/acme/secret/tags", Some(OUTSIDER));
        let asked = machine.get(PRIVATE, Some(OUTSIDER));
        assert_eq!(unasked.body, asked.body);
        assert_eq!(unasked.header("cache-status"), asked.header("cache-status"));
        learns_nothing(&machine.request("GET", PRIVATE, Some(OUTSIDER), "\nCache-Control: only-if-cached"), 504);
    }
    // Together with somebody who may.
    github.hub().set_latency("/repos/acme", Duration::from_millis(300));
    std::thread::scope(|scope| {
        let allowed = scope.spawn(|| b.request("GET", PRIVATE, Some(TOKEN), "\nCache-Control: max-age=0"));
        let refused = scope.spawn(|| b.get(PRIVATE, Some(OUTSIDER)));
        assert_eq!(allowed.join().unwrap().status, 200);
        learns_nothing(&refused.join().unwrap(), 404);
    });
    // Stale, when GitHub is gone; the other one still is served.
    github.stop();
    for machine in [&a, &b] {
        wait_until("the proof is over", || machine.get(PRIVATE, Some(TOKEN)).header("cache-status").contains("stale"));
        for method in ["GET", "HEAD"] {
            learns_nothing(&machine.request(method, PRIVATE, Some(OUTSIDER), ""), 502);
        }
    }
}

fn words(text: &str) -> impl Iterator<Item = String> {
    text.split(|c: char| !c.is_alphanumeric()).map(str::to_owned)
}

#[test]
fn a_token_with_another_view_gets_its_own_body() {
    let github = GitHub::start();
    github.hub().add_token(Token::new(COLLEAGUE, "colleague").with_repo("octocat/Hello-World", Role::Read));
    let (a, b) = two_members(&github);
    let path = "/repos/octocat/Hello-World";
    let owner = a.get(path, Some(TOKEN));
    heard_of(&b, 1);
    let reader = b.get(path, Some(COLLEAGUE));
    assert_eq!(owner.json()["permissions"]["admin"], true);
    assert_eq!(reader.json()["permissions"]["admin"], false);
    assert_eq!(tally(&github, "colleague"), (1, 1, 0), "GitHub corrected the offer");
    heard_of(&a, 2);
    // Nobody's own answer is replaced by the other view, here or there.
    assert_eq!(a.get(path, Some(TOKEN)).body, owner.body);
    assert_eq!(a.get(path, Some(COLLEAGUE)).body, reader.body);
    assert_eq!(b.get(path, Some(TOKEN)).body, owner.body);
    assert_eq!(github.count(path).requests, 2);
}

#[test]
fn a_token_that_is_rotated_keeps_hitting() {
    let github = GitHub::start();
    let (a, b) = two_members(&github);
    let paths: Vec<String> = (1..=5).map(|n| format!("/repos/octocat/Hello-World/issues/{n}")).collect();
    for path in &paths {
        assert_eq!(a.get(path, Some(TOKEN)).status, 200);
    }
    heard_of(&b, 5);
    let charged = github.hub().counts().total.charged;
    for (hour, machine) in [&b, &a, &b].into_iter().enumerate() {
        let token = format!("ghs_rotated{hour}");
        github.hub().add_token(Token::new(&token, "octocat"));
        for path in &paths {
            assert_eq!(machine.get(path, Some(&token)).status, 200);
        }
        for machine in [&a, &b] {
            heard_of(machine, 5 * (hour as u64 + 2));
        }
    }
    assert_eq!(github.hub().counts().total.charged, charged, "every new token proves for free");
}

#[test]
fn a_revoked_token_is_refused_within_the_proof_window_while_others_keep_the_version_fresh() {
    let github = GitHub::start();
    with_colleague(&github);
    let (a, b) = two_members_with(&github, &[("GHOARD_PROOF_WINDOW", "3")]);
    assert_eq!(a.get(PRIVATE, Some(TOKEN)).status, 200);
    heard_of(&b, 1);
    assert_eq!(b.get(PRIVATE, Some(COLLEAGUE)).status, 200);
    github.hub().revoke(COLLEAGUE);
    // Somebody else asks all the time, at both machines.
    wait_until("the proof is over", || {
        assert_eq!(a.get(PRIVATE, Some(TOKEN)).status, 200);
        assert_eq!(b.get(PRIVATE, Some(TOKEN)).status, 200);
        b.get(PRIVATE, Some(COLLEAGUE)).status == 401
    });
    assert_eq!(a.get(PRIVATE, Some(COLLEAGUE)).status, 401);
    assert_eq!(b.get(PRIVATE, Some(TOKEN)).status, 200);
}

#[test]
fn when_github_changes_its_etags_it_is_noticed_at_once_and_nobody_is_served_wrong() {
    let github = GitHub::start();
    with_colleague(&github);
    let (a, b) = two_members_with(&github, &[("GHOARD_PROOF_WINDOW", "1")]);
    let first = a.get(PRIVATE, Some(TOKEN));
    heard_of(&b, 1);
    github.hub().etag_rule = EtagRule::Changed;
    // The computed ETag no longer fits: a whole answer comes, and with it the evidence.
    assert_eq!(b.get(PRIVATE, Some(COLLEAGUE)).body, first.body);
    assert_eq!(tally(&github, "colleague"), (1, 1, 0));
    assert_eq!(b.stat("count_etag_mismatches"), 1);
    assert!(b.status("/metrics").text().contains("ghoard_etag_drift{route="));
    assert!(b.log.text().contains("not those that were computed"), "{}", b.log.text());
    // ETags as they were received still do.
    wait_until("the proof is over and renewed", || {
        assert_eq!(b.get(PRIVATE, Some(COLLEAGUE)).body, first.body);
        tally(&github, "colleague").2 >= 1
    });
    assert_eq!(tally(&github, "colleague").1, 1, "one charged answer, for the drift");
    // Others get their own answers; nothing is offered any more.
    assert_eq!(b.get(PRIVATE, Some(OUTSIDER)).status, 404);
    github.hub().etag_rule = EtagRule::Observed;
    for n in 0..25 {
        assert_eq!(b.get(&format!("{PRIVATE}?page={n}"), Some(TOKEN)).status, 200);
    }
    wait_until("computing is on again", || b.log.text().contains("as computed again"));
}

#[test]
fn the_operator_may_share_less_or_more() {
    let github = GitHub::start();
    with_colleague(&github);
    let path = "/repos/octocat/Hello-World/issues/1";

    let (a, b) = two_members_with(&github, &[("GHOARD_SHARE", "token")]);
    a.get(path, Some(TOKEN));
    heard_of(&b, 1);
    b.get(path, Some(COLLEAGUE));
    assert_eq!(tally(&github, "colleague"), (1, 1, 0), "an answer is for the token that was told it");
    drop((a, b));

    github.hub().reset_counts();
    let (a, b) = two_members_with(&github, &[("GHOARD_SHARE", "trusted")]);
    let first = a.get(path, Some(TOKEN));
    heard_of(&b, 1);
    // GitHub has not accepted this token yet.
    assert_eq!(b.get(path, Some("ghp_unknown")).status, 401);
    b.get("/repos/octocat/Hello-World", Some(OUTSIDER));
    let asked = github.hub().counts().total.requests;
    assert_eq!(b.get(path, Some(OUTSIDER)).body, first.body);
    assert_eq!(github.hub().counts().total.requests, asked, "members trust each other");
}

#[test]
fn what_must_not_be_cached_or_shared_is_not() {
    let github = GitHub::start();
    with_colleague(&github);
    let exclusions = [("GHOARD_NEVER_CACHE", "acme/secret"), ("GHOARD_NEVER_SHARE", "octocat/*")];
    let (a, b) = two_members_with(&github, &exclusions);
    for _ in 0..2 {
        assert_eq!(a.get(PRIVATE, Some(TOKEN)).status, 200);
    }
    assert_eq!(github.count(PRIVATE).charged, 2, "asked each time");

    let path = "/repos/octocat/Hello-World";
    for _ in 0..2 {
        assert_eq!(a.get(path, Some(TOKEN)).status, 200);
    }
    assert_eq!(github.count(path).requests, 1, "kept here");
    a.get("/users/octocat", Some(TOKEN));
    heard_of(&b, 1);
    assert_eq!(b.get(path, Some(TOKEN)).status, 200);
    assert_eq!(a.get(path, Some(COLLEAGUE)).status, 200);
    assert_eq!(github.count(path).charged, 3, "for nobody else");
}
