//! A member that lies: what it claims that another token was told, and what it sends as a body.

use std::time::Duration;

use bytes::Bytes;
use crypto::{FleetKeys, Secret, SegmentSealer, TagKey};
use net::{Config, Event, EventStream, Identity, Net};
use wire::{Announcement, Body, Digest, Form, LimitNotice, Message, Millis, PullReply, PullRequest, Record, Version};

use crate::world::{GitHub, Machine, PATIENCE, SECRET, Setup, TOKEN, two_members, wait_until};

/// A member that says what it likes.
pub(crate) struct Liar {
    pub(crate) keys: FleetKeys,
    pub(crate) net: Net,
    events: EventStream,
}

impl Liar {
    pub(crate) fn join(github: &GitHub, machine: &Machine) -> Self {
        let keys = FleetKeys::derive(&Secret::new(SECRET));
        let membership = crypto::MembershipKeys { current: keys.membership.clone(), next: None };
        let config = Config::new(Identity::from_seed([9; 32]), membership, keys.topic.clone());
        let (net, events) = github.runtime.block_on(async {
            let (net, mut events) = Net::start(config, net::tcp_transport(), task::Tasks::tokio(), [9; 32]).unwrap();
            let address = machine.listening();
            net.dial(address.parse().unwrap());
            let ready = async { while !matches!(events.next().await, Some(Event::Ready { .. })) {} };
            tokio::time::timeout(PATIENCE, ready).await.expect("the liar is a member");
            (net, events)
        });
        Self { keys, net, events }
    }

    /// What a node would announce for this path and token, with another body.
    fn lie(&self, path: &str) -> Announcement {
        self.announcement(path, br#"{"message":"forged by a member"}"#)
    }

    /// What a node would announce that has this of GitHub, but for the tag.
    fn announcement(&self, path: &str, body: &[u8]) -> Announcement {
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
            body: Some(Body::from_plain(Bytes::copy_from_slice(body))),
            holder: None,
        }
    }

    /// Answers one pull, properly sealed, with another body.
    async fn serve(&mut self, body: &[u8]) {
        loop {
            let Some(Event::Pull { request, mut reply, .. }) = self.events.next().await else { continue };
            let request = self.requested(&request);
            let found = PullReply::Found { form: Form::Identity, encoded_bytes: body.len() as u64, from_segment: 0 };
            reply.write_frame(self.head(&request, &found)).await.unwrap();
            let bound = bound(b"ghoard/1 body", &request);
            let mut sealer = SegmentSealer::new(&self.keys.sealing, [3; 19], &bound);
            reply.write_frame(sealer.seal(body, true).into()).await.unwrap();
            return reply.finish().await.unwrap();
        }
    }

    /// Answers every pull from a segment on that nobody asked for, until it is dropped. Returns how often.
    async fn misplace(&mut self, encoded_bytes: u64) -> usize {
        let mut answered = 0;
        loop {
            match self.events.next().await {
                Some(Event::Pull { request, mut reply, .. }) => {
                    let found = PullReply::Found { form: Form::Identity, encoded_bytes, from_segment: 2 };
                    let head = self.head(&self.requested(&request), &found);
                    answered += 1;
                    let _ = reply.write_frame(head).await;
                    let _ = reply.finish().await;
                }
                Some(Event::Disconnected { .. }) => return answered,
                _ => {}
            }
        }
    }

    fn requested(&self, sealed: &[u8]) -> PullRequest {
        PullRequest::decode(&self.keys.sealing.open(b"ghoard/1 pull request", sealed).unwrap()).unwrap()
    }

    fn head(&self, request: &PullRequest, reply: &PullReply) -> Bytes {
        let head = [&[3; 19][..], &reply.encode().unwrap()].concat();
        self.keys.sealing.seal([4; 24], &bound(b"ghoard/1 pull reply", request), &head).into()
    }

    fn say(&self, announcements: Vec<Announcement>) {
        self.publish(&Message::Announce(announcements));
    }

    pub(crate) fn say_limits(&self, notices: Vec<LimitNotice>) {
        self.publish(&Message::Limits(notices));
    }

    fn publish(&self, message: &Message) {
        let message = message.encode().unwrap();
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
    // A comparison may tell them once more, so that a count is no end.
    wait_until("b has heard the true record", || b.stat("index_entries") == 1);
    let heard = b.stat("count_entries_received");
    liar.say(vec![untagged, of_another_key, of_another_version, of_another_time]);
    wait_until("b has heard the lies", || b.stat("count_entries_received") >= heard + 4);

    let answer = b.get(path, Some(TOKEN));
    assert_eq!(answer.body, first.body);
    assert!(answer.header("cache-status").contains("detail=peer"), "the true record is still there");
    assert_eq!(github.count(path).requests, 1);
    assert_eq!(b.stat("count_forgeries"), 1);
    assert!(b.log.text().contains("did not confirm"));

    // With nothing but lies, GitHub is asked.
    let other = "/repos/octocat/Hello-World/git/blobs/size-4096";
    let heard = b.stat("count_entries_received");
    liar.say(vec![liar.lie(other)]);
    wait_until("b has heard one more lie", || b.stat("count_entries_received") > heard);
    assert_eq!(b.get(other, Some(TOKEN)).body.len(), 4096);
    assert_eq!(github.count(other).requests, 1);
}

#[test]
fn a_forged_record_does_not_take_away_what_a_holder_offers() {
    let github = GitHub::start();
    let (a, b) = two_members(&github);
    let liar = Liar::join(&github, &b);
    // Too large to come along with the announce, so that b has to fetch it.
    let path = "/repos/octocat/Hello-World/git/blobs/size-150000";
    let first = a.get(path, Some(TOKEN));
    wait_until("b has heard the true record", || b.stat("index_entries") == 1);
    let heard = a.stat("count_entries_received");
    liar.say(vec![liar.lie(path)]);
    wait_until("a has heard the lie", || a.stat("count_entries_received") > heard);

    let answer = b.get(path, Some(TOKEN));
    assert_eq!(answer.body, first.body);
    assert!(answer.header("cache-status").contains("detail=peer"), "a still gives what it holds");
    assert_eq!(github.count(path).requests, 1);
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

fn bound(kind: &[u8], request: &PullRequest) -> Vec<u8> {
    [kind, &request.key.0, &request.scope.0, &request.digest.0].concat()
}

const LARGE: &str = "/repos/octocat/Hello-World/git/blobs/size-200000";

/// A machine that knows a true record of a large body, of which a liar alone says that it has it; and the body.
///
/// As an owner the machine may ask for its copy before a client asks.
fn only_a_liar_has_it(github: &GitHub) -> (Machine, Liar, String) {
    let alone = Setup::new(github).start();
    let body = alone.get(LARGE, Some(TOKEN)).text();
    let machine = Setup::new(github);
    let registry = machine.home.path("registry").display().to_string();
    let machine = machine.member(SECRET, &registry, "b").start();
    let liar = Liar::join(github, &machine);
    machine.wait_for_peers(1);
    let mut offer = liar.announcement(LARGE, body.as_bytes());
    offer.body = None;
    offer.tag = Some(TagKey::of(format!("Bearer {TOKEN}").as_bytes()).tag(offer.key, &offer.record));
    liar.say(vec![offer]);
    wait_until("it has heard of it", || machine.stat("index_entries") == 1);
    (machine, liar, body)
}

fn names_the_liar(machine: &Machine, liar: &Liar) {
    let me = liar.net.me().to_string();
    let names = || {
        let log = machine.log.text();
        log.contains("dropping a peer that lies") && log.contains(&me)
    };
    wait_until("the liar is named", names);
}

#[test]
fn a_wrong_body_behind_a_true_record_is_not_served() {
    let github = GitHub::start();
    let (b, mut liar, first) = only_a_liar_has_it(&github);
    let answer = std::thread::scope(|scope| {
        let asking = scope.spawn(|| b.get(LARGE, Some(TOKEN)));
        let served = async { liar.serve(&[b'x'; 60_000]).await };
        github.runtime.block_on(async { tokio::time::timeout(PATIENCE, served).await.unwrap() });
        asking.join().unwrap()
    });
    assert_eq!(answer.text(), first);
    assert_eq!(github.count(LARGE).requests, 2, "github has been asked");
    names_the_liar(&b, &liar);
}

#[test]
fn who_begins_a_body_in_its_middle_is_not_asked_for_ever() {
    let github = GitHub::start();
    let (b, mut liar, first) = only_a_liar_has_it(&github);
    let answer = std::thread::scope(|scope| {
        let asking = scope.spawn(|| b.get(LARGE, Some(TOKEN)));
        let answered = async { tokio::time::timeout(PATIENCE, liar.misplace(200_000)).await.unwrap() };
        assert!((1..=2).contains(&github.runtime.block_on(answered)), "once as the owner, once for the client");
        asking.join().unwrap()
    });
    assert_eq!(answer.text(), first);
    names_the_liar(&b, &liar);
}
