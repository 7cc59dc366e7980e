//! What GitHub has told each credential: the model that every answer is compared with.
//!
//! Made of what the hub really answered, never of what a node says. Times are the world's own, which
//! no machine's clock knows.

use std::{collections::BTreeMap, time::Duration};

use bytes::Bytes;
use github::EtagInput;
use wire::Digest;

use crate::manner;

/// Whose question: a token by its number, or nobody's.
pub type Who = Option<usize>;

/// One 200 or 304.
#[derive(Clone, Copy, Debug)]
pub struct Told {
    /// The machine that asked.
    pub node: u32,
    pub at: Duration,
    pub digest: Digest,
}

/// A refusal that has reached a machine.
#[derive(Clone, Debug)]
pub struct Refused {
    pub node: u32,
    /// Which start of the machine's process.
    pub start: u32,
    /// When GitHub decided it.
    pub handled: Duration,
    /// When the machine heard of it.
    pub ended: Duration,
    pub who: Who,
    /// `None`: the credential as a whole.
    pub path: Option<String>,
}

/// An exchange without an end, or with that of its machine.
#[derive(Clone, Debug)]
pub struct Open {
    pub number: u64,
    pub path: String,
    pub began: Duration,
    pub cut: Option<Duration>,
}

/// An exchange between a machine and GitHub.
#[derive(Clone, Debug)]
pub struct Exchange {
    pub node: u32,
    /// Which start of the machine's process.
    pub start: u32,
    pub is_get: bool,
    pub who: Who,
    pub path: String,
    pub began: Duration,
    pub ended: Duration,
    /// The status, or nothing where nobody answered.
    pub status: Option<u16>,
    /// Of a limit: until when it holds.
    pub until: Option<Duration>,
    /// Of a secondary limit: for how long it said to wait.
    pub stopped_until: Option<Duration>,
}

impl Exchange {
    /// Whether GitHub could not answer: a limit or an outage.
    pub fn is_failure(&self) -> bool {
        self.status.is_none_or(|status| status >= 500 || matches!(status, 403 | 429))
    }
}

#[derive(Default)]
pub struct Reference {
    told: BTreeMap<(Who, String), Vec<Told>>,
    /// Every body that a path ever had.
    bodies: BTreeMap<String, BTreeMap<Digest, Bytes>>,
    /// The ETags that GitHub gave, and of which body.
    etags: BTreeMap<(Who, String), Vec<(String, Digest)>>,
    pub refusals: Vec<Refused>,
    pub exchanges: Vec<Exchange>,
    /// Exchanges that have not ended, and those that ended with their machine.
    pub open: Vec<Open>,
}

impl Reference {
    /// GitHub gave `who` this body.
    pub fn given(&mut self, (node, who): (u32, Who), path: &str, plain: Bytes, etag: &str, at: Duration) {
        let digest = Digest::of(&plain);
        self.etags.entry((who, path.to_owned())).or_default().push((etag.to_owned(), digest));
        self.bodies.entry(path.to_owned()).or_default().insert(digest, plain);
        self.told.entry((who, path.to_owned())).or_default().push(Told { node, at, digest });
    }

    /// GitHub said 304 to the ETag that it would give this body.
    pub fn confirmed(&mut self, (node, who): (u32, Who), path: &str, input: EtagInput<'_>, etag: &str, at: Duration) {
        let is_it = |body: &[u8]| github::matches(&github::etag(input, body), etag);
        // An empty listing may be guessed by who was never given it.
        let guessed = empty_answer(path).filter(|body| is_it(body)).map(Bytes::from_static);
        if let Some(body) = guessed {
            self.bodies.entry(path.to_owned()).or_default().insert(Digest::of(&body), body);
        }
        let Some(bodies) = self.bodies.get(path) else { return };
        if let Some(digest) = bodies.iter().find(|(_, body)| is_it(body)).map(|(digest, _)| *digest) {
            self.etags.entry((who, path.to_owned())).or_default().push((etag.to_owned(), digest));
            self.told.entry((who, path.to_owned())).or_default().push(Told { node, at, digest });
        }
    }

    /// When `who` was told that `path` has this body, by a moment; the last first.
    pub fn told(&self, who: Who, path: &str, digest: Digest, by: Duration) -> impl Iterator<Item = &Told> {
        let told = self.told.get(&(who, path.to_owned())).map_or(&[][..], |told| told);
        told.iter().rev().filter(move |told| told.digest == digest && told.at <= by)
    }

    /// The same, whoever was told.
    pub fn told_to_anybody(&self, path: &str, digest: Digest, by: Duration) -> impl Iterator<Item = &Told> {
        let of_path = self.told.iter().filter(move |((_, known), _)| known == path);
        of_path.flat_map(|(_, told)| told).filter(move |told| told.digest == digest && told.at <= by)
    }

    /// Whether somebody else was told another body of `path` in a span of time.
    pub fn others_were_told(&self, who: Who, path: &str, but: Digest, from: Duration, to: Duration) -> bool {
        let others = self.told.iter().filter(|((other, known), _)| known == path && *other != who);
        others.flat_map(|(_, told)| told).any(|told| told.digest != but && from <= told.at && told.at <= to)
    }

    /// The body that GitHub meant when it gave `who` this ETag.
    pub fn meant(&self, who: Who, path: &str, etag: &str) -> Option<Digest> {
        let given = self.etags.get(&(who, path.to_owned()))?;
        given.iter().rev().find(|(known, _)| github::matches(known, etag)).map(|(_, digest)| *digest)
    }

    /// Which body a machine was told of between two moments.
    pub fn told_at(&self, who: Who, path: &str, node: u32, from: Duration, to: Duration) -> Option<Digest> {
        let told = self.told.get(&(who, path.to_owned()))?;
        let lately = told.iter().rev().find(|told| told.node == node && (from..=to).contains(&told.at));
        lately.map(|told| told.digest)
    }

    /// Exchanges of a machine about one question that began and ended between two moments.
    pub fn exchanges_within(&self, node: u32, who: Who, path: &str, from: Duration, to: Duration) -> usize {
        let lately = self.exchanges.iter().rev().take_while(|exchange| exchange.ended >= from);
        let own = lately.filter(|e| (e.node, e.who, e.path.as_str()) == (node, who, path) && e.is_get);
        own.filter(|exchange| exchange.began >= from && exchange.ended <= to).count()
    }

    /// Whether anybody was ever given this body for this path.
    pub fn is_known(&self, path: &str, digest: Digest) -> bool {
        self.bodies.get(path).is_some_and(|bodies| bodies.contains_key(&digest))
    }

    pub fn body_bytes(&self, path: &str, digest: Digest) -> usize {
        self.bodies.get(path).and_then(|bodies| bodies.get(&digest)).map_or(0, Bytes::len)
    }

    /// Bytes of the largest body that this path ever had.
    pub fn largest(&self, path: &str) -> usize {
        self.bodies.get(path).and_then(|bodies| bodies.values().map(Bytes::len).max()).unwrap_or_default()
    }

    /// Whether this body holds a credential: then it never leaves the machine that was given it.
    pub fn holds_credential(&self, path: &str, digest: Digest) -> bool {
        let body = self.bodies.get(path).and_then(|bodies| bodies.get(&digest));
        let text = body.map(|body| String::from_utf8_lossy(body)).unwrap_or_default();
        let value = text.split_once("\"temp_clone_token\":").map(|(_, rest)| rest.trim_start());
        value.is_some_and(|value| value.starts_with('"') && !value.starts_with("\"\""))
    }

    /// How long the slowest exchange about `path` took, whoever's, that was under way between two
    /// moments.
    pub fn slowest(&self, path: &str, from: Duration, to: Duration) -> Duration {
        let mut slowest = Duration::ZERO;
        for exchange in self.exchanges.iter().rev().take_while(|exchange| exchange.ended >= from) {
            if exchange.path == path && exchange.began <= to {
                slowest = slowest.max(exchange.ended - exchange.began);
            }
        }
        let open = self.open_of(path, from, to).map(|open| open.cut.unwrap_or(to).min(to) - open.began);
        slowest.max(open.max().unwrap_or_default())
    }

    /// How many exchanges about `path` were under way between two moments, whoever's.
    pub fn asked(&self, path: &str, from: Duration, to: Duration) -> u32 {
        let lately = self.exchanges.iter().rev().take_while(|exchange| exchange.ended >= from);
        let ended = lately.filter(|exchange| exchange.path == path && exchange.began <= to).count();
        u32::try_from(ended + self.open_of(path, from, to).count()).unwrap_or(u32::MAX)
    }

    fn open_of(&self, path: &str, from: Duration, to: Duration) -> impl Iterator<Item = &Open> {
        let lasts = move |open: &&Open| open.began <= to && open.cut.is_none_or(|cut| cut >= from);
        self.open.iter().filter(move |open| open.path == path).filter(lasts)
    }

    /// All exchanges of a machine that have ended.
    pub fn exchanges_of(&self, node: u32) -> u64 {
        self.exchanges.iter().filter(|exchange| exchange.node == node).count() as u64
    }

    /// Exchanges of one start of a machine, and of these the free 304s.
    pub fn counts_of(&self, node: u32, start: u32) -> (u64, u64) {
        let own = || self.exchanges.iter().filter(|exchange| (exchange.node, exchange.start) == (node, start));
        let free = own().filter(|exchange| exchange.status == Some(304) && exchange.who.is_some()).count();
        (own().count() as u64, free as u64)
    }

    /// Pairs of (who, path) that were ever told something.
    pub fn told_len(&self) -> usize {
        self.told.len()
    }

    /// What everybody was told last, by (who, path).
    pub fn latest(&self) -> impl Iterator<Item = (Who, &str, Told)> {
        self.told.iter().filter_map(|((who, path), told)| Some((*who, path.as_str(), *told.last()?)))
    }
}

/// What a listing without anything is, where that is known.
fn empty_answer(question: &str) -> Option<&'static [u8]> {
    let path = manner::path_of(question);
    let (path, query) = path.split_once('?').map_or((path, None), |(path, query)| (path, Some(query)));
    github::Route::empty_answer(&github::Target::parse(path, query).ok()?)
}
