//! What the code under test logs becomes part of the record.

use std::{
    cell::Cell,
    fmt::Write as _,
    panic,
    sync::{Arc, Mutex},
};

use tracing::{
    Event as Logged, Level, Metadata, Subscriber,
    field::{Field, Visit},
    span,
};

use crate::{
    plan::Role,
    spread::{self, Spread},
    stage::{Stage, lock},
    trace::{Event, Kind},
};

/// What a node says of a member that it takes for a liar, or for one that is worth nothing.
const ACCUSATIONS: [&str; 5] = [
    "a record was announced that its credential did not confirm",
    "limits were told that their credential did not confirm",
    "dropping a peer that",
    "a member drops more of what is kept than it may",
    "sealing is",
];

thread_local! {
    static LANE: Cell<usize> = const { Cell::new(usize::MAX) };
}

/// Where the last panic was, and its words. Of all threads: the one that asks may be another.
static LAST_PANIC: Mutex<String> = Mutex::new(String::new());

/// Runs `work` with this lane as the place of all log lines.
pub fn on_lane<R>(lane: usize, work: impl FnOnce() -> R) -> R {
    let before = LANE.replace(lane);
    let result = work();
    LANE.set(before);
    result
}

/// Remembers where panics happen instead of printing them: redb's are caught by the store.
pub fn quiet_panics() {
    panic::set_hook(Box::new(|info| {
        let place = info.location().map(ToString::to_string).unwrap_or_default();
        let words = info.payload_as_str().unwrap_or("a panic without words");
        *lock(&LAST_PANIC) = format!("{words} ({place})");
    }));
}

pub fn last_panic() -> String {
    lock(&LAST_PANIC).clone()
}

/// Takes ghoard's own log lines into the record. One kind of event is told at debug level: what was
/// announced.
pub struct Recorder {
    stage: Arc<Stage>,
    level: Level,
    /// Where what gossipsub does is counted.
    spread: Option<Arc<Mutex<Spread>>>,
}

impl Recorder {
    pub fn new(stage: Arc<Stage>, level: Level) -> Self {
        Self { stage, level, spread: None }
    }

    /// Counts what gossipsub does, too.
    pub fn counting(self, spread: Option<Arc<Mutex<Spread>>>) -> Self {
        Self { spread, ..self }
    }
}

impl Subscriber for Recorder {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        let ours = ["net", "node", "gateway", "store", "discovery", "fleet"];
        let target = metadata.target();
        if self.spread.is_some() && target.starts_with(spread::TARGET) {
            // What names whole packets is told once more in fewer words.
            return !metadata.is_span() && metadata.fields().field("rpc").is_none();
        }
        let is_ours = ours.iter().any(|name| target == *name || target.starts_with(&format!("{name}::")));
        let level = if is_ours { Level::DEBUG.max(self.level) } else { self.level.min(Level::WARN) };
        !metadata.is_span() && *metadata.level() <= level
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, logged: &Logged<'_>) {
        let mut words = Words::default();
        logged.record(&mut words);
        let lane = LANE.get();
        if let Some(spread) = self.spread.as_ref().filter(|_| logged.metadata().target().starts_with(spread::TARGET)) {
            return lock(spread).hear(lane, &words.message, words.message_id);
        }
        let text = words.text();
        if text.contains("ghp_") {
            self.stage.violated(None, "sealed.log", format!("there is a token in a log line: {text}"));
        }
        let has_liars = || self.stage.plan.nodes.iter().any(|node| node.role == Role::Liar);
        if ACCUSATIONS.iter().any(|words_of| words.message.starts_with(words_of)) && !has_liars() {
            let lane = (lane != usize::MAX).then_some(lane);
            self.stage.violated(lane, "right.named", format!("nobody lies here: {text}"));
        }
        let kind = match words.message.as_str() {
            message if message.starts_with("Connected to peer") => Kind::Connect,
            message if message.starts_with("Disconnected from peer") => Kind::Disconnect,
            "heard an announce" | "telling a new neighbour what is here" => Kind::Announce,
            "pulling a body" => Kind::Pull,
            _ if *logged.metadata().level() > self.level => return,
            _ => Kind::Note,
        };
        let mut event = if lane == usize::MAX { Event::of_all(kind, &text) } else { Event::new(kind, lane, &text) };
        if kind != Kind::Note {
            event.to = self.stage.lane_of(&text).filter(|to| *to != lane);
        }
        self.stage.tell(event);
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

#[derive(Default)]
struct Words {
    message: String,
    message_id: Option<String>,
    fields: String,
}

impl Words {
    fn text(&self) -> String {
        format!("{}{}", self.message, self.fields)
    }
}

impl Visit for Words {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        if field.name() == "message_id" {
            self.message_id = Some(format!("{value:?}"));
        }
        let _ = if field.name() == "message" {
            write!(self.message, "{value:?}")
        } else {
            write!(self.fields, " {}={value:?}", field.name())
        };
    }
}
