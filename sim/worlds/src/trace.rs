//! What happened in a world, in order: for people, for the page, and for comparing two runs.

use std::{collections::VecDeque, io::Write, time::Duration};

use serde::Serialize;
use serde_json::{Value, json};

/// Events kept for the page; what comes after is counted only. The first violation ends a world.
const EVENTS_MAX: usize = 100_000;

/// Lines shown with a failure.
pub const LAST_LINES: usize = 40;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    Ask,
    Origin,
    Announce,
    Pull,
    Connect,
    Disconnect,
    Start,
    Stop,
    Crash,
    Power,
    Write,
    Fault,
    Note,
    Wire,
    Violation,
}

/// Something that happened on a lane: GitHub is lane 0, machine `n` is lane `n + 1`.
#[derive(Clone, Debug)]
pub struct Event {
    pub at: Duration,
    /// The end of what took time.
    pub until: Option<Duration>,
    pub lane: Option<usize>,
    pub to: Option<usize>,
    pub kind: Kind,
    pub ok: bool,
    pub text: String,
}

impl Event {
    pub fn new(kind: Kind, lane: usize, text: impl Into<String>) -> Self {
        Self { at: det::elapsed(), until: None, lane: Some(lane), to: None, kind, ok: true, text: text.into() }
    }

    /// Of the world as a whole.
    pub fn of_all(kind: Kind, text: impl Into<String>) -> Self {
        Self { lane: None, ..Self::new(kind, 0, text) }
    }

    /// From `at` until now.
    pub fn since(self, at: Duration) -> Self {
        Self { at, until: Some(self.at), ..self }
    }

    pub fn to(self, lane: usize) -> Self {
        Self { to: Some(lane), ..self }
    }

    pub fn ok(self, ok: bool) -> Self {
        Self { ok, ..self }
    }

    /// One line with fixed columns: time, machine, kind, words.
    pub fn line(&self) -> String {
        let millis = |at: Duration| at.as_secs_f64() * 1000.0;
        let lane = self.lane.map_or_else(|| "*".to_owned(), lane_name);
        let to = self.to.map(|to| format!(" -> {}", lane_name(to))).unwrap_or_default();
        let took = self.until.map(|until| format!(" ({:.1} ms)", millis(until - self.at))).unwrap_or_default();
        let kind = format!("{:?}", self.kind).to_lowercase();
        format!("{:>12.3} {lane:<6} {kind:<10}{to} {}{took}", millis(self.until.unwrap_or(self.at)), self.text)
    }

    fn json(&self) -> Value {
        let millis = |at: Duration| (at.as_secs_f64() * 1e6).round() / 1000.0;
        json!({
            "t": millis(self.at), "until": self.until.map(millis), "lane": self.lane, "to": self.to,
            "kind": self.kind, "ok": self.ok, "text": self.text,
        })
    }
}

/// How a lane is called.
pub fn lane_name(lane: usize) -> String {
    if lane == 0 { "github".to_owned() } else { format!("n{}", lane - 1) }
}

/// The record of one world.
pub struct Trace {
    events: Vec<Event>,
    last: VecDeque<String>,
    count: u64,
    hash: Fnv,
    /// Every line goes out as it happens.
    echo: bool,
}

impl Trace {
    pub fn new(echo: bool) -> Self {
        Self { events: Vec::new(), last: VecDeque::new(), count: 0, hash: Fnv::default(), echo }
    }

    pub fn add(&mut self, event: Event) {
        let line = event.line();
        self.hash.add(line.as_bytes());
        self.count += 1;
        if self.echo {
            let _ = writeln!(std::io::stdout().lock(), "{line}");
        }
        // The sums over the wire are for comparing, not for reading.
        if event.kind == Kind::Wire {
            return;
        }
        if self.last.len() == LAST_LINES {
            self.last.pop_front();
        }
        self.last.push_back(line);
        if self.events.len() < EVENTS_MAX {
            self.events.push(event);
        }
    }

    pub fn last(&self) -> Vec<String> {
        self.last.iter().cloned().collect()
    }

    /// Equal for equal stories.
    pub fn digest(&self) -> String {
        format!("{:016x}", self.hash.0)
    }

    pub fn count(&self) -> u64 {
        self.count
    }

    /// In order of their beginning, as the page wants them.
    pub fn events(&self) -> Vec<Value> {
        let mut events: Vec<&Event> = self.events.iter().collect();
        events.sort_by_key(|event| event.at);
        events.into_iter().map(Event::json).collect()
    }

    /// One line per event.
    pub fn text(&self) -> String {
        self.events.iter().map(|event| event.line() + "\n").collect()
    }
}

/// FNV-1a: for telling two stories apart, not for security.
#[derive(Clone, Copy)]
pub struct Fnv(pub u64);

impl Default for Fnv {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Fnv {
    pub fn add(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }
}
