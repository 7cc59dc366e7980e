//! What a credential may see, and what a member may claim that it was told.

use std::{collections::BTreeSet, time::Duration};

use crypto::{FleetKeys, Secret, TagKey};
use net::{Config, Event, Identity, Net};
use wire::{Announcement, Body, Digest, Message, Millis, Record, Version};

use crate::{
    http,
    world::{GitHub, Machine, OUTSIDER, PATIENCE, SECRET, Setup, TOKEN, two_members, wait_until},
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

/// A member that says what it likes.
struct Liar {
    keys: FleetKeys,
    net: Net,
}

impl Liar {
    fn join(github: &GitHub, machine: &Machine) -> Self {
        let keys = FleetKeys::derive(&Secret::new(SECRET));
        let membership = crypto::MembershipKeys { current: keys.membership.clone(), next: None };
        let config = Config::new(Identity::from_seed([9; 32]), membership, keys.topic.clone());
        let net = github.runtime.block_on(async {
            let (net, mut events) = Net::start(config, net::tcp_transport(), task::Tasks::tokio(), [9; 32]).unwrap();
            let address = machine.status("/api/mcp/peers").json()["listening"][0].as_str().unwrap().to_owned();
            net.dial(address.parse().unwrap());
            let ready = async { while !matches!(events.next().await, Some(Event::Ready { .. })) {} };
            tokio::time::timeout(PATIENCE, ready).await.expect("the liar is a member");
            net
        });
        Self { keys, net }
    }

    /// What a node would announce for this path and token, with another body.
    fn lie(&self, path: &str) -> Announcement {
        let body = br#"{"message":"forged by a member"}"#;
        let canonical = format!("GET\napi.github.com\n{path}\naccept:application/vnd.github+json");
        let credential = format!("Bearer {TOKEN}");
        let now = Millis::from(std::time::SystemTime::now());
        let minute = Duration::from_secs(60);
        let record = Record {
            family: self.keys.ids.family_id("api.github.com/repos/octocat/hello-world"),
            version: Version { date_secs: now.as_secs() + 30, digest: Digest::of(body) },
            status: 200,
            headers: Vec::new(),
            body_bytes: body.len() as u64,
            validated_at: now,
            fresh_until: now.after(minute),
            proved_until: now.after(minute),
            stale_until: now.after(60 * minute),
        };
        Announcement {
            key: self.keys.ids.key_id(canonical.as_bytes()),
            scope: self.keys.ids.scope_id(Some(credential.as_bytes())),
            record,
            tag: None,
            body: Some(Body::from_plain(body.to_vec().into())),
        }
    }

    fn say(&self, announcements: Vec<Announcement>) {
        let message = Message::Announce(announcements).encode().unwrap();
        let nonce = Digest::of(&message).0[..24].try_into().unwrap();
        self.net.publish(self.keys.sealing.seal(nonce, b"ghoard/1 message", &message).into());
    }
}

#[test]
fn a_forged_record_changes_no_answer() {
    let github = GitHub::start();
    let (a, b) = two_members(&github);
    let liar = Liar::join(&github, &b);
    let path = "/repos/octocat/Hello-World/git/blobs/size-2048";
    let genuine = TagKey::of(format!("Bearer {TOKEN}").as_bytes());

    // What a member can have seen: tags that the credential did make, for something else.
    let untagged = liar.lie(path);
    let mut of_another_key = untagged.clone();
    of_another_key.tag = Some(genuine.tag(liar.lie("/repos/octocat/Hello-World").key, &untagged.record));
    let mut of_another_version = untagged.clone();
    let mut older = untagged.record.clone();
    older.version.date_secs -= 1;
    of_another_version.tag = Some(genuine.tag(untagged.key, &older));
    let mut of_another_time = untagged.clone();
    of_another_time.tag = Some(genuine.tag(untagged.key, &untagged.record));
    of_another_time.record.proved_until = of_another_time.record.proved_until.after(Duration::from_secs(600));

    let first = a.get(path, Some(TOKEN));
    wait_until("b has heard the true record", || b.stat("count_entries_received") == 1);
    liar.say(vec![untagged, of_another_key, of_another_version, of_another_time]);
    wait_until("b has heard the lies", || b.stat("count_entries_received") == 5);

    let answer = b.get(path, Some(TOKEN));
    assert_eq!(answer.body, first.body);
    assert!(answer.header("cache-status").contains("detail=peer"), "the true record is still there");
    assert_eq!(github.count(path).requests, 1);
    assert_eq!(b.stat("count_forgeries"), 1);
    assert!(b.log.text().contains("did not confirm"));

    // With nothing but lies, GitHub is asked.
    let other = "/repos/octocat/Hello-World/git/blobs/size-4096";
    liar.say(vec![liar.lie(other)]);
    wait_until("b has heard one more lie", || b.stat("count_entries_received") == 6);
    assert_eq!(b.get(other, Some(TOKEN)).body.len(), 4096);
    assert_eq!(github.count(other).requests, 1);
}

#[test]
fn a_member_that_sends_another_body_is_named_and_dropped() {
    let github = GitHub::start();
    let (_a, b) = two_members(&github);
    let liar = Liar::join(&github, &b);
    b.wait_for_peers(2);
    let mut lie = liar.lie("/repos/octocat/Hello-World");
    lie.record.version.digest = Digest::of(b"something else");
    liar.say(vec![lie]);
    let me = liar.net.me().to_string();
    wait_until("b names the liar", || b.log.text().contains("dropping a peer") && b.log.text().contains(&me));
    wait_until("b has dropped it", || b.status("/api/mcp/peers").json()["peer_count"] == 1);
}
