//! GitHub's limits across machines: what one has met, the others obey.

use std::time::{Duration, Instant, SystemTime};

use crypto::TagKey;
use fakehub::Failure;
use wire::{FamilyId, LimitNotice, LimitReading, Millis, Peer, ScopeId, Tag};

use crate::{
    http::{self, Reply},
    liar::Liar,
    world::{GitHub, Machine, OUTSIDER, SECRET, Setup, TOKEN, two_members, wait_until},
};

const REPO: &str = "/repos/octocat/Hello-World";

fn cold(n: u32) -> String {
    format!("{REPO}/git/blobs/size-{}", 3000 + n)
}

fn three_members(github: &GitHub) -> [Machine; 3] {
    let setups = ["a", "b", "c"].map(|name| (name, Setup::new(github)));
    let registry = setups[0].1.home.path("registry").display().to_string();
    let machines = setups.map(|(name, setup)| setup.member(SECRET, &registry, name).start());
    machines.iter().for_each(|machine| machine.wait_for_peers(2));
    machines
}

fn has_heard(machine: &Machine) -> bool {
    machine.stat("count_limits_heard") > 0
}

/// Meets a secondary limit at a machine that names `secs`; GitHub itself is well again at once.
fn meet_a_limit(github: &GitHub, machine: &Machine, secs: u64) -> Instant {
    github.hub().fail_with("", Failure::SecondaryLimit { retry_after: secs });
    let met = Instant::now();
    let reply = machine.get(&cold(0), Some(TOKEN));
    assert_eq!((reply.status, reply.header("retry-after")), (403, secs.to_string().as_str()));
    github.hub().recover();
    met
}

fn retry_after(reply: &Reply) -> u64 {
    assert_eq!(reply.status, 403, "{reply:?}");
    reply.header("retry-after").parse().unwrap()
}

#[test]
fn a_secondary_limit_at_one_machine_stops_the_token_at_all_until_it_is_over() {
    let github = GitHub::start();
    let [a, b, c] = three_members(&github);
    let secs = 12;
    let met = meet_a_limit(&github, &a, secs);
    for (n, machine) in [(1, &b), (2, &c)] {
        wait_until("it has heard of the limit", || has_heard(machine));
        let reply = machine.get(&cold(n), Some(TOKEN));
        let left = secs - met.elapsed().as_secs();
        assert!((left..=left + 1).contains(&retry_after(&reply)), "{reply:?} after {:?}", met.elapsed());
        assert!(reply.text().contains("secondary rate limit"), "{}", reply.text());
        assert_eq!(github.count(&cold(n)).requests, 0, "GitHub is left alone");
        assert_eq!(machine.stat("count_limits_obeyed"), 1);
    }
    wait_until("it is counted down", || retry_after(&b.get(&cold(1), Some(TOKEN))) < secs);

    let body = br#"{"title":"a write passes"}"#;
    let more = format!("Authorization: Bearer {TOKEN}\nContent-Length: {}", body.len());
    let head = format!("POST {REPO}/issues HTTP/1.1\nHost: {}\n{more}", b.base());
    let written = http::exchange(http::tcp(b.base()), &head, body);
    assert_eq!(written.status, 201, "{written:?}");
    assert_eq!(c.get(&cold(3), Some(OUTSIDER)).status, 200, "another token");
    assert_eq!(c.get(&cold(4), None).status, 200, "nobody's");
    assert_eq!(github.count(&cold(1)).requests + github.count(&cold(2)).requests, 0);

    for (n, machine) in [(1, &b), (2, &c), (0, &a)] {
        wait_until("it goes on", || machine.get(&cold(n), Some(TOKEN)).status == 200);
        assert!(met.elapsed() >= Duration::from_secs(secs), "after {:?}", met.elapsed());
    }
    assert_eq!(github.count(&cold(1)).requests, 1);
}

#[test]
fn a_machine_that_comes_later_is_told_of_a_limit_that_lasts() {
    let github = GitHub::start();
    let setups = [Setup::new(&github), Setup::new(&github)];
    let registry = setups[0].home.path("registry").display().to_string();
    let [a, b] = setups;
    let a = a.member(SECRET, &registry, "a").start();
    meet_a_limit(&github, &a, 300);
    let b = b.member(SECRET, &registry, "b").start();
    wait_until("it has been told", || has_heard(&b));
    assert!(retry_after(&b.get(&cold(1), Some(TOKEN))) > 200);
    assert_eq!(github.count(&cold(1)).requests, 0);
}

#[test]
fn a_budget_drained_at_one_machine_is_drained_at_the_others() {
    let github = GitHub::start();
    let (a, b) = two_members(&github);
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    github.hub().exhaust("octocat", now);
    assert_eq!(a.get(&cold(0), Some(TOKEN)).header("x-ratelimit-remaining"), "0");
    wait_until("b has heard of it", || has_heard(&b));
    let reply = b.get(&cold(1), Some(TOKEN));
    assert!(retry_after(&reply) > 3000, "{reply:?}");
    assert_eq!(reply.header("x-ratelimit-remaining"), "0");
    assert_eq!(github.count(&cold(1)).requests, 0);
    let metrics = b.status("/metrics").text();
    assert!(
        metrics.lines().any(|line| line.starts_with("ghoard_rate_limit_heard{") && line.ends_with(" 1")),
        "{metrics}"
    );
}

#[test]
fn a_machine_that_only_asks_leaves_the_others_their_share_of_the_last_calls() {
    let github = GitHub::start();
    let (a, b) = two_members(&github);
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    github.hub().spend("octocat", "core", 5000 - 102, now);
    for (n, machine, other) in [(0, &a, &b), (1, &b, &a)] {
        assert_eq!(machine.get(&cold(n), Some(TOKEN)).status, 200);
        wait_until("the other has heard of it", || has_heard(other));
    }
    let replies: Vec<Reply> = (100..200).map(|n| a.get(&cold(n), Some(TOKEN))).collect();
    let answered = replies.iter().filter(|reply| reply.status == 200).count();
    // Half of the 101 that were left after its own first.
    assert!((48..=54).contains(&answered), "{answered}");
    let refused = replies.iter().find(|reply| reply.status != 200).unwrap();
    assert!(refused.text().contains("its share"), "{refused:?}");
    assert!((1..=300).contains(&retry_after(refused)));
    assert!((200..230).all(|n| b.get(&cold(n), Some(TOKEN)).status == 200), "the other has its own");
}

fn stop(liar: &Liar, tag_key: &TagKey, scope: ScopeId, with: Vec<ScopeId>) -> LimitNotice {
    let now = Millis::from(SystemTime::now());
    let reset = now.after(Duration::from_secs(3000));
    let reading = LimitReading { resource: "core".into(), limit: 5000, remaining: 0, used: 5000, reset };
    let mut notice = LimitNotice {
        site: liar.keys.ids.family_id("api.github.com"),
        scope,
        with,
        by: liar.net.me().clone(),
        readings: vec![reading],
        stopped_until: Some(reset),
        refusals: 1,
        heard_at: now,
        tag: Tag([0; 32]),
    };
    notice.tag = tag_key.tag_limits(&notice);
    notice
}

#[test]
fn a_stop_that_the_credential_does_not_confirm_stops_nobody() {
    let github = GitHub::start();
    let (a, b) = two_members(&github);
    let liar = Liar::join(&github, &b);
    let (victim, own) = (format!("Bearer {TOKEN}"), TagKey::of(b"Bearer of the liar"));
    let scope = liar.keys.ids.scope_id(Some(victim.as_bytes()));

    // What a member can have seen: tags that the credential did make, for something else.
    let genuine = TagKey::of(victim.as_bytes());
    let untrue = stop(&liar, &own, scope, vec![]);
    let mut of_another_time = LimitNotice { by: Peer::new("another"), ..stop(&liar, &genuine, scope, vec![]) };
    of_another_time.stopped_until = of_another_time.stopped_until.map(|until| until.after(Duration::from_secs(1)));
    let mut of_another_origin = LimitNotice { by: Peer::new("a third"), ..stop(&liar, &genuine, scope, vec![]) };
    of_another_origin.site = FamilyId([1; 16]);
    liar.say_limits(vec![untrue, of_another_time, of_another_origin]);
    wait_until("b has heard the lies", || b.stat("count_limits_heard") == 3);

    assert_eq!(b.get(&cold(1), Some(TOKEN)).status, 200);
    assert_eq!((b.stat("count_forgeries"), b.stat("count_limits_obeyed")), (2, 0));
    assert!(b.log.text().contains("did not confirm") && b.log.text().contains(liar.net.me().as_str()));
    assert_eq!(b.get(&cold(2), Some(TOKEN)).status, 200);
    assert_eq!(b.stat("count_forgeries"), 2, "each is checked once");

    // Where nobody can check it, because it is said to be of another credential of the same budget, it counts a
    // minute at most.
    let others = liar.keys.ids.scope_id(Some(b"Bearer of the liar"));
    liar.say_limits(vec![stop(&liar, &own, others, vec![scope])]);
    let mut last = None;
    let mut keys = 3..;
    wait_until("a has heard of it", || {
        let reply = a.get(&cold(keys.next().unwrap()), Some(TOKEN));
        let is_stopped = reply.status == 403;
        last = Some(reply);
        is_stopped
    });
    assert!((1..=60).contains(&retry_after(&last.unwrap())));
    assert_eq!(a.stat("count_limits_obeyed"), 1);
}
