//! What one machine writes, or is refused, and what the clients of another are told from then on.

use std::time::{Duration, Instant};

use crate::{
    http,
    world::{GitHub, Machine, TOKEN, two_members, two_members_with, wait_until},
};

const ISSUE: &str = "/repos/octocat/Hello-World/issues/1";
const PRIVATE: &str = "/repos/acme/secret/branches";
const INSISTING: &str = "\nCache-Control: no-cache";

/// How long a machine that was away may tell what it knew.
const LEARNT_WITHIN: Duration = Duration::from_secs(5);

fn title(machine: &Machine) -> String {
    let answer = machine.get(ISSUE, Some(TOKEN));
    answer.json()["title"].as_str().unwrap_or_else(|| panic!("{answer:?}")).to_owned()
}

fn write(machine: &Machine, title: &str) {
    let body = format!("{{\"title\":\"{title}\"}}");
    let head = format!(
        "PATCH {ISSUE} HTTP/1.1\nHost: {}\nAuthorization: Bearer {TOKEN}\nContent-Length: {}",
        machine.base(),
        body.len()
    );
    let patched = http::exchange(http::tcp(machine.base()), &head, body.as_bytes());
    assert_eq!(patched.status, 200, "{}", patched.text());
}

/// Two machines at which nothing ends by its own clocks, and an old answer on the second one's disk.
fn two_with_an_old_answer(github: &GitHub) -> (Machine, Machine) {
    let (a, b) = two_members_with(github, &[("CACHE_DEFAULT_TTL", "3600")]);
    write(&a, "old");
    wait_until("b is told the old one, and keeps it", || {
        let answer = b.get(ISSUE, Some(TOKEN));
        assert_eq!(answer.json()["title"], "old");
        answer.header("cache-status").starts_with("ghoard; hit")
    });
    wait_until("it is on the disk", || b.stat("cache_size") >= 1);
    (a, b)
}

fn heard(machine: &Machine) -> u64 {
    machine.stat("count_tombstones_buried")
}

#[test]
fn after_a_write_at_one_machine_no_other_tells_what_was_before() {
    let github = GitHub::start();
    let (a, b) = two_with_an_old_answer(&github);
    let before = heard(&b);
    write(&a, "new");
    let began = Instant::now();
    wait_until("b has heard of it", || heard(&b) > before);
    wait_until("b tells what is new", || title(&b) == "new");
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    wait_until("it is kept again", || {
        let answer = b.get(ISSUE, Some(TOKEN));
        assert_eq!(answer.json()["title"], "new", "and never again what was before");
        answer.header("cache-status").starts_with("ghoard; hit")
    });
    assert_eq!(title(&a), "new");
}

#[test]
fn a_machine_that_was_away_during_a_write_learns_of_it_when_it_is_back() {
    let github = GitHub::start();
    let (a, b) = two_with_an_old_answer(&github);
    let b = b.kill();
    write(&a, "new");
    let b = b.start();
    let began = Instant::now();
    wait_until("b tells what is new", || title(&b) == "new");
    assert!(began.elapsed() < LEARNT_WITHIN, "{:?}", began.elapsed());
    assert_eq!(title(&b), "new");
}

#[test]
fn what_was_heard_holds_after_a_restart_when_nobody_is_left_to_say_it() {
    let mut github = GitHub::start();
    let (a, b) = two_with_an_old_answer(&github);
    let before = heard(&b);
    write(&a, "new");
    wait_until("b has heard both words of it", || heard(&b) > before);
    drop(a);
    // Nobody has asked b since: its disk holds the old answer still.
    let b = b.terminate().0.start();
    let asked = github.count(ISSUE).requests;
    assert_eq!(title(&b), "new");
    assert_eq!(github.count(ISSUE).requests, asked + 1, "by GitHub's word");
    let b = b.terminate().0;
    github.stop();
    let answer = b.start().get(ISSUE, Some(TOKEN));
    assert!(answer.status == 502 || answer.json()["title"] == "new", "{answer:?}");
}

#[test]
fn what_was_refused_at_one_machine_is_not_told_stale_at_another() {
    for whole_credential in [true, false] {
        let mut github = GitHub::start();
        let (a, b) = two_members_with(&github, &[("GHOARD_PROOF_WINDOW", "1")]);
        for machine in [&a, &b] {
            assert_eq!(machine.get(PRIVATE, Some(TOKEN)).status, 200);
        }
        let status = if whole_credential {
            github.hub().revoke(TOKEN);
            401
        } else {
            github.hub().set_role(TOKEN, "acme/secret", None);
            404
        };
        let before = heard(&b);
        assert_eq!(a.request("GET", PRIVATE, Some(TOKEN), INSISTING).status, status);
        wait_until("b has heard of it", || heard(&b) > before);
        github.stop();
        for machine in [&a, &b] {
            let answer = machine.get(PRIVATE, Some(TOKEN));
            assert!([502, 404].contains(&answer.status), "{status}: {answer:?}");
        }
        let b = b.terminate().0.start();
        assert_eq!(b.get(PRIVATE, Some(TOKEN)).status, 502, "nor after a restart");
    }
}

#[test]
fn without_a_refusal_it_would_have_been_told_stale() {
    let mut github = GitHub::start();
    let (_a, b) = two_members_with(&github, &[("GHOARD_PROOF_WINDOW", "1")]);
    assert_eq!(b.get(PRIVATE, Some(TOKEN)).status, 200);
    github.stop();
    wait_until("its proof is over", || b.get(PRIVATE, Some(TOKEN)).header("cache-status").contains("stale"));
}

#[test]
fn an_order_to_drop_a_repository_reaches_the_fleet() {
    let github = GitHub::start();
    let (a, b) = two_members(&github);
    assert_eq!(b.get(ISSUE, Some(TOKEN)).status, 200);
    let output = a.setup.command("invalidate octocat/hello-world").output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("the fleet is told"), "{output:?}");
    wait_until("b has heard of it", || heard(&b) == 1);
    let asked = github.count(ISSUE).requests;
    assert_eq!(b.get(ISSUE, Some(TOKEN)).status, 200);
    assert_eq!(github.count(ISSUE).requests, asked + 1);
}
