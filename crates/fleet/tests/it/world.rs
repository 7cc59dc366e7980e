//! Nodes and the links between them, with every message as the bytes that it takes.

use std::{collections::BTreeMap, time::Duration};

use bytes::Bytes;
use fleet::{Config, Effect, Fleet, Input};
use wire::{
    Digest, FamilyId, Header, Holding, KeyId, Message, Millis, Peer, Record, Role, ScopeId, SyncWord, Tag, Version,
    WantWord,
};

/// What sealing adds: a nonce of 24 bytes and a tag of 16.
const SEALED_EXTRA: u64 = 40;

/// When the stories begin, in seconds.
pub const T0: u64 = 1_800_000_000;

/// One answer of the fleet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    pub key: u64,
    pub version: u64,
    /// Relative to the beginning, in milliseconds.
    pub validated_ms: i64,
    pub ttl_secs: u64,
}

/// What has passed over the links.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Steps of comparisons, wishes, and their ends.
    pub words: u64,
    pub word_bytes: u64,
    /// Those that wait for an answer: one round trip each.
    pub questions: u64,
    pub records: u64,
    pub record_bytes: u64,
    /// What a node has refused.
    pub refusals: u64,
}

pub struct World {
    pub nodes: Vec<Fleet>,
    pub now: Duration,
    pub traffic: Traffic,
    /// One way.
    pub delay: Duration,
    pub bits_per_sec: u64,
    /// By how much each node's clock is ahead, in milliseconds.
    pub ahead_ms: Vec<i64>,
    /// Nodes that hear nothing, as if they were gone without a word.
    pub deaf: Vec<usize>,
    on_their_way: BTreeMap<(Duration, u64), (usize, usize, Vec<u8>)>,
    sent: u64,
    link_free: BTreeMap<(usize, usize), Duration>,
}

impl World {
    pub fn new(roles: &[Role]) -> Self {
        let node = |(n, role): (usize, &Role)| {
            let (proof_window, stale_for) = (Duration::from_secs(60), Duration::from_secs(3600));
            Fleet::new(Config { me: peer(n), role: *role, since: Millis::ZERO, alone: false, proof_window, stale_for })
        };
        Self {
            nodes: roles.iter().enumerate().map(node).collect(),
            now: Duration::ZERO,
            traffic: Traffic::default(),
            delay: Duration::from_millis(20),
            bits_per_sec: 100_000_000,
            ahead_ms: vec![0; roles.len()],
            deaf: Vec::new(),
            on_their_way: BTreeMap::new(),
            sent: 0,
            link_free: BTreeMap::new(),
        }
    }

    pub fn pair() -> Self {
        Self::new(&[Role::Node; 2])
    }

    pub fn clock(&self, node: usize) -> Millis {
        let ms = T0 as i64 * 1000 + self.now.as_millis() as i64 + self.ahead_ms[node];
        Millis(ms as u64)
    }

    pub fn know(&mut self, node: usize, entries: &[Entry]) {
        for entry in entries {
            let holding = Holding { record: record(entry), tag: Some(Tag([5; 32])) };
            let (key, scope) = at(entry.key);
            self.input(node, Input::Remembered { key, scope, holding, body_held: true });
        }
    }

    pub fn connect(&mut self, a: usize, b: usize) {
        self.input(a, Input::PeerConnected { peer: peer(b), near: true });
        self.input(b, Input::PeerConnected { peer: peer(a), near: true });
    }

    /// Connects, and lets the first begin.
    pub fn meet(&mut self, a: usize, b: usize) {
        self.connect(a, b);
        self.input(a, Input::PeerReady { peer: peer(b) });
    }

    pub fn part(&mut self, a: usize, b: usize) {
        self.on_their_way.retain(|_, (from, to, _)| (*from, *to) != (a, b) && (*from, *to) != (b, a));
        self.input(a, Input::PeerGone { peer: peer(b) });
        self.input(b, Input::PeerGone { peer: peer(a) });
    }

    pub fn hear(&mut self, to: usize, from: usize, message: Message) {
        self.input(to, Input::Heard { from: peer(from), message });
    }

    pub fn input(&mut self, node: usize, input: Input) {
        let now = self.clock(node);
        self.nodes[node].handle(input, now);
        self.carry_out(node);
    }

    /// Lets the world go on until `is_done`, at most so long. Returns whether it was done.
    pub fn run(&mut self, at_most: Duration, is_done: impl Fn(&Self) -> bool) -> bool {
        let end = self.now + at_most;
        while !is_done(self) {
            let arrival = self.on_their_way.keys().next().map(|(at, _)| *at);
            let wakes = (0..self.nodes.len()).filter_map(|n| Some((self.wake_at(n)?, n))).min();
            let next = arrival.into_iter().chain(wakes.map(|(at, _)| at)).min();
            let Some(next) = next.filter(|next| *next <= end) else {
                self.now = end;
                return is_done(self);
            };
            self.now = self.now.max(next);
            if arrival == Some(next) {
                let (_, (from, to, bytes)) = self.on_their_way.pop_first().unwrap();
                if !self.deaf.contains(&to) {
                    self.hear(to, from, Message::decode(&bytes).unwrap());
                }
            } else if let Some((_, node)) = wakes {
                let now = self.clock(node);
                self.nodes[node].wake(now);
                self.carry_out(node);
            }
        }
        true
    }

    pub fn run_for(&mut self, span: Duration) {
        self.run(span, |_| false);
    }

    /// Returns what passed since the last time.
    pub fn take_traffic(&mut self) -> Traffic {
        std::mem::take(&mut self.traffic)
    }

    pub fn known(&self, node: usize) -> usize {
        self.nodes[node].index_len()
    }

    fn wake_at(&self, node: usize) -> Option<Duration> {
        let at = self.nodes[node].next_deadline()?;
        let ms = (at.0 as i64 - T0 as i64 * 1000 - self.ahead_ms[node]).max(0);
        Some(Duration::from_millis(ms as u64).max(self.now))
    }

    fn carry_out(&mut self, node: usize) {
        while let Some(effect) = self.nodes[node].next_effect() {
            if let Effect::Send { to, message } = effect {
                let bytes = message.encode().unwrap();
                self.count(&message, bytes.len() as u64 + SEALED_EXTRA);
                let to = index_of(&to);
                let free = self.link_free.entry((node, to)).or_default();
                let takes = Duration::from_nanos(bytes.len() as u64 * 8 * 1_000_000_000 / self.bits_per_sec);
                *free = self.now.max(*free) + takes;
                self.sent += 1;
                self.on_their_way.insert((*free + self.delay, self.sent), (node, to, bytes));
            }
        }
    }

    fn count(&mut self, message: &Message, bytes: u64) {
        let traffic = &mut self.traffic;
        if matches!(message, Message::Member(_)) {
            return;
        }
        if let Message::Announce(records) = message {
            traffic.records += records.len() as u64;
            traffic.record_bytes += bytes;
            return;
        }
        traffic.words += 1;
        traffic.word_bytes += bytes;
        match message {
            Message::Sync(step) if matches!(step.word, SyncWord::Ask { .. }) => traffic.questions += 1,
            Message::Sync(step) if step.word == SyncWord::No => traffic.refusals += 1,
            Message::Want(want) if !matches!(want.word, WantWord::Told { .. }) => traffic.questions += 1,
            _ => {}
        }
    }
}

pub fn peer(n: usize) -> Peer {
    Peer::new(format!("12D3KooWGRUfKaFvmvhfXq9yNpFMhNjRMbYEqEwR2mCzxW5R{n:04}"))
}

fn index_of(peer: &Peer) -> usize {
    peer.as_str()[48..].parse().unwrap()
}

pub fn at(key: u64) -> (KeyId, ScopeId) {
    let hash = Digest::of(&key.to_be_bytes());
    (KeyId(*hash.0.first_chunk().unwrap()), ScopeId([(key % 7) as u8; 16]))
}

/// As GitHub's answers are: six kept headers.
pub fn record(entry: &Entry) -> Record {
    let validated_at = Millis((T0 as i64 * 1000 + entry.validated_ms) as u64);
    let until = validated_at.after(Duration::from_secs(entry.ttl_secs));
    let headers = [
        ("content-type", "application/json; charset=utf-8".to_owned()),
        ("etag", format!("W/\"{:064x}\"", u128::from(entry.key) << 64 | u128::from(entry.version))),
        ("last-modified", "Sat, 21 Nov 2026 15:40:47 GMT".to_owned()),
        ("x-github-media-type", "github.v3; format=json".to_owned()),
        ("x-github-api-version-selected", "2022-11-28".to_owned()),
        ("cache-control", "private, max-age=60, s-maxage=60".to_owned()),
    ];
    let header = |(name, value): (&str, String)| Header { name: name.to_owned(), value: Bytes::from(value) };
    Record {
        family: FamilyId([3; 16]),
        version: Version {
            date_secs: validated_at.as_secs(),
            digest: Digest::of(&[entry.key.to_be_bytes(), entry.version.to_be_bytes()].concat()),
        },
        status: 200,
        headers: headers.into_iter().map(header).collect(),
        body_bytes: 4000,
        validated_at,
        fresh_until: until,
        proved_until: until,
        stale_until: until,
    }
}

/// Numbers that look random and are the same each time.
pub struct Dice(pub u64);

impl Dice {
    pub fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

/// What a fleet knows that has filled 1.5 answers per second for long, times `scale`: 30 % live for a
/// minute, 30 % for 5, 30 % for an hour and 10 % for 6. With a scale of 1 these are some 5,000.
pub fn steady(scale: u64, dice: &mut Dice) -> Vec<Entry> {
    let mut entries = Vec::new();
    for fill in 0..6 * 3600 * 3 * scale / 2 {
        let age_ms = (fill * 2000 / (3 * scale) + dice.roll(600)) as i64;
        let ttl_secs = match dice.roll(10) {
            0..3 => 60,
            3..6 => 300,
            6..9 => 3600,
            _ => 6 * 3600,
        };
        if age_ms < ttl_secs as i64 * 1000 {
            entries.push(Entry { key: fill, version: 1, validated_ms: -age_ms, ttl_secs });
        }
    }
    entries
}
