use std::collections::BTreeSet;

use bytes::Bytes;
use crypto::{FleetKeys, Secret};
use fakehub::{Hub, Token};
use http::{Method, Request};
use sha2::{Digest, Sha256};

use super::{comment::Skipped, *};

const REPO: &str = "octocat/Hello-World";
const START: Millis = Millis::from_secs(1_800_000_000);

/// Signs by a hash that everybody can check, and that only this module makes.
struct Stamp(Peer);

fn stamp(peer: &Peer, bytes: &[u8]) -> [u8; 64] {
    let half: [u8; 32] = Sha256::new().chain_update(peer.as_str()).chain_update(bytes).finalize().into();
    let mut whole = [0; 64];
    whole[..32].copy_from_slice(&half);
    whole
}

impl Signatures for Stamp {
    fn sign(&self, bytes: &[u8]) -> [u8; 64] {
        stamp(&self.0, bytes)
    }

    fn verify(&self, peer: &Peer, bytes: &[u8], signature: &[u8; 64]) -> bool {
        *signature == stamp(peer, bytes)
    }
}

fn sealing(fleet: u8) -> SealingKey {
    FleetKeys::derive(&Secret::generate([fleet; 32])).sealing
}

fn node(name: &str, role: Role) -> IssueRegistry {
    let me = Peer::new(name);
    let signatures = Arc::new(Stamp(me.clone()));
    let config = IssueConfig { repository: REPO.to_owned(), me, role, sealing: sealing(1), signatures };
    let mut registry = IssueRegistry::new(config);
    registry.set_addresses([format!("/ip4/10.0.0.1/tcp/9100/p2p/{name}")]);
    registry
}

/// GitHub, and nodes that connect as soon as one has found the other.
struct World {
    hub: Hub,
    nodes: Vec<IssueRegistry>,
    /// Which nodes are up, from when on.
    up: Vec<Option<Millis>>,
    /// Who belongs to whom: nodes of one number are one mesh.
    mesh: Vec<usize>,
    now: Millis,
    nonce: u64,
    /// When something was written, and how.
    writes: Vec<(Millis, Verb)>,
    /// Comments that the token may not change.
    foreign: BTreeSet<u64>,
}

impl World {
    fn new(nodes: Vec<IssueRegistry>) -> Self {
        let mut hub = Hub::standard(1);
        hub.add_token(Token::new("t0p", "octocat"));
        let count = nodes.len();
        let (up, mesh) = (vec![Some(START); count], (0..count).collect());
        Self { hub, nodes, up, mesh, now: START, nonce: 0, writes: Vec::new(), foreign: BTreeSet::new() }
    }

    fn around(&self, at: usize) -> Around {
        let is_peer = |other: &usize| *other != at && self.up[*other].is_some() && self.mesh[*other] == self.mesh[at];
        let peers: Vec<usize> = (0..self.nodes.len()).filter(is_peer).collect();
        let members = peers.iter().map(|peer| {
            let config = &self.nodes[*peer].config;
            Candidate { peer: config.me.clone(), role: config.role, since: self.up[*peer].unwrap() }
        });
        Around { peers: peers.len(), members: members.collect() }
    }

    fn ask(&mut self, call: &Call) -> Outcome {
        let method = match call.verb {
            Verb::Get => Method::GET,
            Verb::Post => Method::POST,
            Verb::Patch => Method::PATCH,
            Verb::Delete => Method::DELETE,
        };
        if call.verb != Verb::Get {
            self.writes.push((self.now, call.verb));
        }
        let is_foreign = |id: &u64| call.path.ends_with(&format!("/comments/{id}"));
        if self.foreign.iter().any(is_foreign) {
            return Outcome::Answered(Reply { status: 403, ..Reply::default() });
        }
        let mut request = Request::builder().method(method).uri(&call.path).header("authorization", "Bearer t0p");
        if let Some(etag) = &call.etag {
            request = request.header("if-none-match", etag);
        }
        let request = request.body(Bytes::from(call.body.clone().unwrap_or_default())).unwrap();
        let response = self.hub.handle(&request, self.now.as_secs()).response.unwrap();
        let header = |name: &str| response.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
        Outcome::Answered(Reply {
            status: response.status().as_u16(),
            etag: header("etag"),
            has_next: header("link").is_some_and(|link| link.contains("rel=\"next\"")),
            body: response.body().to_vec(),
        })
    }

    /// One round of the node that is next, if that is before `end`.
    fn step(&mut self, end: Millis) -> bool {
        let due = (0..self.nodes.len()).filter_map(|at| {
            let up_at = self.up[at]?;
            Some((self.nodes[at].next_at(self.around(at).peers).max(up_at).max(self.now), at))
        });
        let Some((when, at)) = due.min().filter(|(when, _)| *when < end) else { return false };
        self.now = when;
        let around = self.around(at);
        loop {
            self.nonce += 1;
            let mut nonce = [0; 24];
            nonce[..8].copy_from_slice(&self.nonce.to_be_bytes());
            let Some(call) = self.nodes[at].next(&around, nonce, self.now) else { break };
            let outcome = self.ask(&call);
            // A request takes its time.
            self.now = self.now.after(Duration::from_millis(50));
            self.nodes[at].on(outcome, self.now);
        }
        for found in self.nodes[at].found(self.now) {
            let other = self.nodes.iter().position(|node| node.config.me == found.peer).unwrap();
            if self.up[other].is_some() {
                let (from, to) = (self.mesh[other], self.mesh[at]);
                self.mesh.iter_mut().filter(|mesh| **mesh == from).for_each(|mesh| *mesh = to);
            }
        }
        true
    }

    fn run(&mut self, secs: u64) {
        let end = self.now.after(Duration::from_secs(secs));
        while self.step(end) {}
        self.now = end;
    }

    fn found(&self, at: usize) -> BTreeSet<String> {
        self.nodes[at].found(self.now).iter().map(|record| record.peer.to_string()).collect()
    }

    fn edits_since(&self, since: Millis) -> usize {
        self.writes.iter().filter(|(at, verb)| *at >= since && matches!(verb, Verb::Post | Verb::Patch)).count()
    }

    /// The number of the issue, and the text of each comment.
    fn comments(&mut self) -> (u64, Vec<Value>) {
        let get = |path: String| Call { verb: Verb::Get, path, etag: None, body: None };
        let json = |outcome| match outcome {
            Outcome::Answered(reply) => serde_json::from_slice::<Value>(&reply.body).unwrap(),
            other => panic!("{other:?}"),
        };
        let issues = json(self.ask(&get(format!("/repos/{REPO}/issues?per_page=100"))));
        let ours = issues.as_array().unwrap().iter().filter(|issue| issue["title"] == TITLE);
        let issue = ours.map(|issue| issue["number"].as_u64().unwrap()).min().unwrap();
        let comments = json(self.ask(&get(format!("/repos/{REPO}/issues/{issue}/comments?per_page=100"))));
        (issue, comments.as_array().unwrap().clone())
    }

    fn comment(&mut self, text: &str) {
        let (issue, _) = self.comments();
        let body = Some(json!({ "body": text }).to_string().into_bytes());
        let path = format!("/repos/{REPO}/issues/{issue}/comments");
        self.ask(&Call { verb: Verb::Post, path, etag: None, body });
        self.writes.pop();
    }
}

#[test]
fn two_nodes_that_share_a_repository_and_a_secret_find_each_other() {
    let mut world = World::new(vec![node("a", Role::Node), node("b", Role::Node)]);
    world.up[1] = Some(START.after(Duration::from_secs(30)));
    world.run(25);
    assert!(world.nodes[0].status(world.now).is_writer);
    world.run(10);
    assert_eq!(world.found(1), BTreeSet::from(["a".to_owned()]));
    // The first one learns of the second by its connection, and from its comment at its next reading.
    world.run(2 * 960);
    assert_eq!(world.found(0), BTreeSet::from(["b".to_owned()]));
    let (_, comments) = world.comments();
    assert_eq!(comments.len(), 2);
    for comment in comments {
        let text = comment["body"].as_str().unwrap();
        assert!(text.starts_with("<!-- p2p-peer-registry:ghoard-"), "{text}");
        assert!(!text.contains("10.0.0.1") && !text.contains("9100"), "an address leaked: {text}");
    }
}

#[test]
fn nodes_that_start_at_once_agree_on_one_issue_and_meet_within_seconds() {
    let mut world = World::new((0..8).map(|n| node(&format!("n{n}"), Role::Node)).collect());
    world.run(30);
    assert_eq!(world.mesh.iter().collect::<BTreeSet<_>>().len(), 1);
    let issues: BTreeSet<_> = world.nodes.iter().map(|node| node.status(world.now).issue).collect();
    assert_eq!(issues.len(), 1, "{issues:?}");
}

#[test]
fn fifty_nodes_cost_the_registry_at_most_64_edits_an_hour_and_each_of_them_one_charged_reading_an_edit() {
    let mut world = World::new((0..50).map(|n| node(&format!("n{n}"), Role::Node)).collect());
    world.run(3600);
    let first = world.edits_since(START);
    for hour in 0..4 {
        let since = world.now;
        let before: u64 = world.nodes.iter().map(|node| node.status(since).reads_charged).sum();
        world.run(3600);
        let (edits, now) = (world.edits_since(since), world.now);
        assert!(edits <= 64, "hour {hour}: {edits} edits");
        let charged: u64 = world.nodes.iter().map(|node| node.status(now).reads_charged).sum();
        println!("hour {}: {edits} edits, {} charged readings", hour + 2, charged - before);
        assert!(charged - before <= 50 * 4, "hour {hour}: {} charged readings", charged - before);
    }
    println!("hour 1: {first} edits, one of them the issue");
    assert!(first <= 65, "the first hour: {first} edits");
    let writers = world.nodes.iter().filter(|node| node.status(world.now).is_writer).count();
    assert!((2..=limits::WRITERS_MAX).contains(&writers), "{writers} writers");
    for (at, node) in world.nodes.iter().enumerate() {
        assert!(node.status(world.now).reads <= 5 * 4 + 8, "node {at} reads too often: {:?}", node.status(world.now));
    }
}

#[test]
fn a_lonely_node_reads_often_at_first_and_nothing_is_charged_where_nothing_changes() {
    let mut world = World::new(vec![node("a", Role::Node)]);
    world.run(120);
    let status = world.nodes[0].status(world.now);
    assert!((4..12).contains(&status.reads), "{status:?}");
    world.run(3600);
    let later = world.nodes[0].status(world.now);
    assert!(later.reads - status.reads <= 17, "every five minutes at most, and for its own edits: {later:?}");
    assert!(later.reads_charged - status.reads_charged <= 5, "its own edits: {later:?}");
}

#[test]
fn what_strangers_write_changes_nothing_and_is_counted() {
    let mut world = World::new(vec![node("a", Role::Node), node("b", Role::Node)]);
    world.up[1] = None;
    world.run(20);
    let liar = Stamp(Peer::new("liar"));
    let record = |expires_in: u64| {
        let life = Duration::from_secs(expires_in);
        signed_record(&liar, &Peer::new("evil"), Role::Anchor, vec!["/ip4/10.6.6.6/tcp/1".into()], START, life)
    };
    let evil = |fleet, record: &SignedPeer| comment::write(REPO, &sealing(fleet), [9; 24], "x", record, START);
    // Signed by another than it says, over, for far too long, of another fleet, of another repository.
    let mut over = record(60);
    (over.issued_at, over.expires_at) = (Millis::from_secs(1_799_990_000), Millis::from_secs(1_799_993_000));
    over.signature = stamp(&over.peer, &over.signed_bytes());
    let mut long = record(60);
    long.expires_at = START.after(Duration::from_secs(40 * 24 * 3600));
    long.signature = stamp(&long.peer, &long.signed_bytes());
    let mut honest = record(2000);
    honest.signature = stamp(&honest.peer, &honest.signed_bytes());
    let elsewhere = comment::write("octocat/other", &sealing(1), [9; 24], "x", &honest, START);
    let plain = honest_reference_comment();
    for text in [
        &evil(1, &record(2000)),
        &evil(1, &over),
        &evil(1, &long),
        &evil(2, &honest),
        &elsewhere,
        &plain,
        "what is this issue for?",
        &"x".repeat(limits::COMMENT_BYTES_MAX + 1),
    ] {
        world.comment(text);
    }
    world.up[1] = Some(world.now);
    world.run(20);
    assert_eq!(world.found(1), BTreeSet::from(["a".to_owned()]));
    let skipped = world.nodes[1].status(world.now).skipped;
    let expected = BTreeMap::from([("expired", 1), ("forged", 1), ("foreign", 4), ("oversized", 1), ("untimely", 1)]);
    assert_eq!(skipped, expected);
}

fn honest_reference_comment() -> String {
    "<!-- p2p-peer-registry:runner -->\n```json\n{\"peer_id\": \"evil\", \"multiaddr\": \"/ip4/10.6.6.6/tcp/1\"}\n```"
        .into()
}

#[test]
fn a_damaged_comment_is_foreign_wherever_it_is_damaged() {
    let me = Peer::new("a");
    let record = signed_record(
        &Stamp(me.clone()),
        &me,
        Role::Node,
        vec!["/ip4/1.2.3.4/tcp/1".into()],
        START,
        limits::COMMENT_LIFE,
    );
    let text = comment::write(REPO, &sealing(1), [7; 24], "n", &record, START);
    let read = |text: &str| comment::read(REPO, &sealing(1), &Stamp(me.clone()), text);
    assert_eq!(read(&text), Ok(vec![record.clone()]));
    assert_eq!(read(&text.replace('\n', "\r\n")), Ok(vec![record]));
    let sealed_at = text.find("\"ghoard\": \"").unwrap() + 11;
    for at in (sealed_at..sealed_at + 200).step_by(7) {
        let mut bytes = text.clone().into_bytes();
        bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
        assert_eq!(read(&String::from_utf8(bytes).unwrap()), Err(Skipped::Foreign), "at {at}");
    }
}

#[test]
fn no_address_goes_in_that_means_another_machine_to_others() {
    let told = ["/ip4/10.0.0.1/tcp/9100", "/ip6/2001:db8::1/udp/9100/quic-v1", "/dns4/a.example/tcp/1"];
    let not = [
        "/ip4/127.0.0.1/tcp/9100",
        "/ip4/127.8.8.8/tcp/1",
        "/ip6/::1/tcp/1",
        "/ip6/::ffff:127.0.0.1/tcp/1",
        "/ip4/0.0.0.0/tcp/1",
        "/ip6/fe80::1/tcp/1",
        "/dns4/localhost/tcp/1",
        "/unix/x",
        "",
    ];
    assert!(told.iter().all(|address| is_told(address)));
    assert!(!not.iter().any(|address| is_told(address)));
    let mut world = World::new(vec![node("a", Role::Node)]);
    world.nodes[0].set_addresses(not.map(str::to_owned));
    world.run(3600);
    assert_eq!(world.writes, [], "a node without an address for others writes nothing");
}

#[test]
fn a_restarted_node_goes_on_with_its_comment_and_a_dead_one_s_is_deleted_in_the_end() {
    let mut world = World::new(vec![node("a", Role::Node), node("b", Role::Node)]);
    world.run(1000);
    world.nodes[0] = node("a", Role::Node);
    world.run(1000);
    assert_eq!(world.comments().1.len(), 2);
    world.up[1] = None;
    world.mesh = vec![0, 1];
    world.run(2 * 3600);
    assert_eq!(world.comments().1.len(), 1);
    assert!(world.found(0).is_empty());
    assert_eq!(world.nodes[0].status(world.now).deletions, 1);
    let bye = world.nodes[0].leave().unwrap();
    world.ask(&bye);
    assert_eq!(world.comments().1.len(), 0);
}

#[test]
fn a_copied_comment_does_not_silence_a_machine_that_was_started_anew() {
    let mut world = World::new(vec![node("a", Role::Node), node("b", Role::Node)]);
    world.up[1] = None;
    world.run(60);
    let copy = world.comments().1[0]["body"].as_str().unwrap().to_owned();
    // Of its own comment, which somebody deletes, nothing but a stranger's copy is left.
    let bye = world.nodes[0].leave().unwrap();
    world.ask(&bye);
    world.comment(&copy);
    let foreign = world.comments().1[0]["id"].as_u64();
    world.foreign.extend(foreign);
    world.nodes[0] = node("a", Role::Node);
    world.run(3600);
    world.up[1] = Some(world.now);
    world.run(60);
    assert_eq!(world.found(1), BTreeSet::from(["a".to_owned()]));
}

#[test]
fn short_lived_runners_leave_the_places_to_others() {
    let mut nodes: Vec<_> = (0..20).map(|n| node(&format!("e{n}"), Role::Ephemeral)).collect();
    nodes.push(node("anchor", Role::Anchor));
    let mut world = World::new(nodes);
    world.run(4 * 3600);
    let writers: Vec<_> = world.nodes.iter().filter(|node| node.status(world.now).is_writer).collect();
    assert!(writers.iter().any(|node| node.config.role == Role::Anchor));
    assert!(writers.len() <= limits::WRITERS_MAX);
}

#[test]
fn who_knew_an_issue_that_was_closed_meets_newcomers_in_the_next_one() {
    let mut world = World::new(vec![node("a", Role::Node), node("b", Role::Node), node("new", Role::Node)]);
    (world.up[1], world.up[2]) = (None, None);
    world.run(20);
    let close = |world: &mut World| {
        let (issue, _) = world.comments();
        let body = Some(json!({ "state": "closed" }).to_string().into_bytes());
        world.ask(&Call { verb: Verb::Patch, path: format!("/repos/{REPO}/issues/{issue}"), etag: None, body });
    };
    // A lonely one moves soon,
    close(&mut world);
    world.up[1] = Some(world.now);
    world.run(660);
    assert_eq!(world.found(0), BTreeSet::from(["b".to_owned()]));
    assert_eq!(world.mesh[0], world.mesh[1]);
    // and those who have each other within the hour, all to the same one.
    close(&mut world);
    world.up[2] = Some(world.now);
    world.run(2 * 3600);
    let issues: BTreeSet<_> = world.nodes.iter().map(|node| node.status(world.now).issue).collect();
    assert_eq!(issues.len(), 1, "{issues:?}");
    assert_eq!(world.found(2), BTreeSet::from(["a".to_owned(), "b".to_owned()]));
}

#[test]
fn an_issue_older_than_the_newest_ones_is_not_lost_where_the_search_is_too_busy() {
    let mut a = node("a", Role::Node);
    let issue = |number: u64, title: &str| json!({ "number": number, "title": title, "state": "open" });
    let found = json!({ "items": [issue(7, TITLE)] }).to_string();
    let newest = json!([issue(301, "a bug"), issue(300, "another")]).to_string();
    let (mut now, mut searches) = (START, 0);
    for _ in 0..12 {
        while let Some(call) = a.next(&Around::default(), [0; 24], now) {
            let is_search = call.path.starts_with("/search/");
            searches += u64::from(is_search);
            let (status, body) = match (is_search, call.path.contains("/comments")) {
                (true, _) => (if searches == 1 { 200 } else { 403 }, found.as_str()),
                (_, true) => (200, "[]"),
                _ => (200, newest.as_str()),
            };
            let status = if call.verb == Verb::Get { status } else { 404 };
            a.on(Outcome::Answered(Reply { status, has_next: body == newest, body: body.into(), etag: None }), now);
        }
        now = a.next_at(0);
        assert_eq!(a.status(now).issue, Some(7));
    }
    assert!(searches > 2);
}

#[test]
fn nobody_opens_a_second_issue_because_the_search_was_too_busy() {
    let mut a = node("a", Role::Node);
    let around = Around::default();
    let mut now = START;
    let mut asked = Vec::new();
    for _ in 0..8 {
        while let Some(call) = a.next(&around, [0; 24], now) {
            let is_search = call.path.starts_with("/search/");
            asked.push((call.verb, is_search));
            let (status, body) = if is_search { (403, b"{}".to_vec()) } else { (200, b"[]".to_vec()) };
            a.on(Outcome::Answered(Reply { status, body, ..Reply::default() }), now);
        }
        now = a.next_at(0);
    }
    assert_eq!(asked.len(), 16, "it goes on searching: {asked:?}");
    assert!(asked.iter().all(|(verb, _)| *verb == Verb::Get), "{asked:?}");
}

#[test]
fn a_list_that_does_not_show_the_new_issue_is_no_reason_for_another_one() {
    let mut a = node("a", Role::Node);
    let around = Around::default();
    let (mut now, mut opened) = (START, 0);
    while now < START.after(limits::REFUSED_PAUSE) {
        while let Some(call) = a.next(&around, [0; 24], now) {
            let is_opening = call.verb == Verb::Post;
            opened += usize::from(is_opening);
            assert!(opened < 2, "a second one at {now:?}");
            let (status, body) = if is_opening { (201, b"{\"number\": 7}".to_vec()) } else { (200, b"[]".to_vec()) };
            a.on(Outcome::Answered(Reply { status, body, ..Reply::default() }), now);
        }
        now = a.next_at(0);
    }
    assert_eq!(opened, 1);
}

#[test]
fn a_token_that_may_not_write_reads_and_says_so_and_asks_again_in_an_hour() {
    let mut a = node("a", Role::Node);
    let around = Around::default();
    let read = |registry: &mut IssueRegistry, status: u16, body: &str, now| {
        let call = registry.next(&around, [0; 24], now)?;
        let reply = Reply { status, body: body.as_bytes().to_vec(), ..Reply::default() };
        registry.on(Outcome::Answered(reply), now);
        Some(call.verb)
    };
    let later = START.after(Duration::from_secs(60));
    a.next(&around, [0; 24], START);
    a.on(Outcome::Failed("no route".into()), START);
    let issue = format!("{{\"items\": [{{\"title\": \"{TITLE}\", \"state\": \"open\", \"number\": 7}}]}}");
    assert_eq!(read(&mut a, 200, &issue, later), Some(Verb::Get));
    assert_eq!(read(&mut a, 200, "[]", later), Some(Verb::Get));
    assert_eq!(read(&mut a, 403, "{}", later), Some(Verb::Post));
    let trouble = a.status(later).trouble.unwrap();
    assert!(trouble.contains("may not write issues"), "{trouble}");
    let next = a.next_at(0);
    assert!(next < later.after(limits::READ_INTERVAL_NONE_MAX * 2), "it goes on reading");
    assert_eq!(read(&mut a, 200, "[]", next), Some(Verb::Get));
    assert_eq!(read(&mut a, 200, "[]", next), None, "and does not write");
    assert_eq!(a.status(next).trouble.as_ref(), Some(&trouble), "it can be read, and still not be written");
    a.next(&around, [0; 24], a.next_at(0));
    a.on(Outcome::Spared, next);
    assert!(a.next_at(0) >= next.after(limits::SPARED_PAUSE), "it leaves the budget alone");
}
