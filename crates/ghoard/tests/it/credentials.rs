//! What a credential may see, and no other.

use std::{collections::BTreeSet, time::Duration};

use crate::{
    http,
    world::{GitHub, OUTSIDER, Setup, TOKEN, two_members, wait_until},
};

const PRIVATE: &str = "/repos/acme/secret/branches";

/// No byte of the private answer: not its length, not a word of it.
fn assert_nothing_of(private: &http::Reply, answer: &http::Reply) {
    let words: BTreeSet<String> = words(&private.text()).filter(|word| word.len() >= 12).collect();
    let leaked: Vec<String> = words_of_reply(answer).into_iter().filter(|word| words.contains(word)).collect();
    assert!(leaked.is_empty(), "{leaked:?}");
    assert_ne!(answer.header("content-length"), private.body.len().to_string());
    assert!(!answer.header("cache-status").contains("hit"), "{:?}", answer.headers);
}

fn words(text: &str) -> impl Iterator<Item = String> {
    text.split(|c: char| !c.is_alphanumeric()).map(str::to_owned)
}

fn words_of_reply(reply: &http::Reply) -> Vec<String> {
    words(&reply.text()).chain(reply.headers.values().flat_map(|value| words(value))).collect()
}

#[test]
fn a_token_without_access_gets_githubs_404_and_never_a_byte() {
    let mut github = GitHub::start();
    let (a, b) = two_members(&github);
    let private = a.get(PRIVATE, Some(TOKEN));
    assert_eq!(private.status, 200);
    wait_until("b has heard of it", || b.stat("index_entries") == 1);
    assert_eq!(b.get(PRIVATE, Some(TOKEN)).body, private.body, "the right token is served");

    for token in [Some(OUTSIDER), None] {
        let refused = b.get(PRIVATE, token);
        assert_eq!(refused.status, 404);
        assert_eq!(refused.json()["message"], "Not Found");
        assert_nothing_of(&private, &refused);
        let head = b.request("HEAD", PRIVATE, token, "");
        assert_eq!((head.status, head.body.len()), (404, 0));
        assert_nothing_of(&private, &head);
    }
    assert_eq!(b.get(PRIVATE, Some("ghp_unknown")).status, 401);
    assert_eq!(b.get(PRIVATE, Some(TOKEN)).status, 200, "the right token still is");

    github.stop();
    for token in [Some(OUTSIDER), None] {
        for method in ["GET", "HEAD"] {
            let failed = b.request(method, PRIVATE, token, "");
            assert_eq!(failed.status, 502);
            assert_nothing_of(&private, &failed);
        }
    }
}

#[test]
fn nobody_joins_the_flight_of_another_credential() {
    let github = GitHub::start();
    let machine = Setup::new(&github).start();
    github.hub().set_latency("/repos/acme", Duration::from_millis(400));
    std::thread::scope(|scope| {
        let asked: Vec<_> = [Some(TOKEN), Some(OUTSIDER), None, Some(TOKEN), Some(TOKEN)]
            .into_iter()
            .map(|token| {
                let machine = &machine;
                scope.spawn(move || (token, machine.get(PRIVATE, token)))
            })
            .collect();
        for thread in asked {
            let (token, answer) = thread.join().unwrap();
            assert_eq!(answer.status, if token == Some(TOKEN) { 200 } else { 404 });
        }
    });
    let counts = github.hub().counts();
    let of = |label: &str| counts.labels.get(label).map_or(0, |tally| tally.requests);
    assert_eq!((of("octocat"), of("outsider"), of("anonymous")), (1, 1, 1), "one question for each credential");
}

#[test]
fn a_body_with_a_credential_stays_in_memory_for_its_scope() {
    let mut github = GitHub::start();
    let (a, b) = two_members(&github);
    let path = "/repos/acme/secret";
    let first = a.get(path, Some(TOKEN));
    let inside = first.json()["temp_clone_token"].as_str().unwrap().to_owned();
    assert!(!inside.is_empty());
    assert_eq!(a.get(path, Some(TOKEN)).body, first.body);
    assert_eq!(github.count(path).requests, 1, "memory serves it");
    assert_eq!(b.get(path, Some(TOKEN)).status, 200);
    assert_eq!(github.count(path).requests, 2, "no peer has it");
    let a = a.kill().start();
    github.stop();
    assert_eq!(a.get(path, Some(TOKEN)).status, 502, "no disk has it");
}

#[test]
fn what_github_takes_back_is_dropped() {
    let github = GitHub::start();
    let machine = Setup::new(&github).env("CACHE_DEFAULT_TTL", "3600").start();
    let issue = "/repos/acme/secret/issues";
    assert_eq!(machine.get(issue, Some(TOKEN)).status, 200);
    assert_eq!(machine.get(PRIVATE, Some(TOKEN)).status, 200);
    // The client insists, GitHub denies: what was kept for this key is gone.
    github.hub().set_role(TOKEN, "acme/secret", None);
    let insisting = "\nCache-Control: no-cache";
    assert_eq!(machine.request("GET", issue, Some(TOKEN), insisting).status, 404);
    assert_eq!(machine.get(issue, Some(TOKEN)).status, 404);
    // The whole token is revoked: so is all that was kept for it.
    github.hub().revoke(TOKEN);
    assert_eq!(machine.request("GET", issue, Some(TOKEN), insisting).status, 401);
    assert_eq!(machine.get(PRIVATE, Some(TOKEN)).status, 401);
}

#[test]
fn a_write_drops_its_repository_and_no_other() {
    let github = GitHub::start();
    let machine = Setup::new(&github).env("CACHE_DEFAULT_TTL", "3600").start();
    let (issue, other) = ("/repos/octocat/Hello-World/issues/1", "/repos/acme/secret/branches");
    machine.get(issue, Some(TOKEN));
    machine.get(other, Some(TOKEN));
    let head = format!(
        "PATCH /repos/OCTOCAT/hello-world/issues/1 HTTP/1.1\nHost: {}\nAuthorization: Bearer {TOKEN}\nContent-Length: 15",
        machine.base()
    );
    let patched = http::exchange(http::tcp(machine.base()), &head, br#"{"title":"new"}"#);
    assert_eq!(patched.status, 200, "{}", patched.text());
    assert_eq!(machine.get(issue, Some(TOKEN)).json()["title"], "new");
    machine.get(other, Some(TOKEN));
    assert_eq!(github.count(other).requests, 1);
}
