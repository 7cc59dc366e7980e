//! The promises, each watched at every step. One that is broken ends the world.

mod bounded;
mod cheap;
mod open;
mod paths;
mod right;
pub mod sealed;
mod shared;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};

use crate::{
    client::{Answer, How, Request},
    manner::{self, Validator},
    plan::Layer,
    reference::{Exchange, Who},
    stage::Stage,
};

pub use bounded::check as bounded;
pub use paths::{CROSSING, PathSeen, look as look_at_paths};
pub use shared::{look, on_stopped};

/// What must hold when a world has come to rest.
pub fn at_rest(stage: &Arc<Stage>) {
    bounded::at_rest(stage);
    cheap::at_rest(stage);
    sealed::check_disks(stage);
}

/// What the checkers have to remember.
#[derive(Default)]
pub struct Ledger {
    /// Answers to what the world itself asked.
    pub ordered: BTreeMap<usize, Option<Answer>>,
    pub writes: Vec<Written>,
    connected: shared::Connected,
    pub paths: paths::Paths,
    pub tally: Tally,
    /// Charges that a liar may have caused, by machine.
    pub misled: BTreeMap<u32, u32>,
    /// The ETags that clients were given, by question, in order.
    pub validators: BTreeMap<String, Vec<(Who, String)>>,
    /// Questions of clients and writes, by machine.
    asks: BTreeMap<u32, u64>,
    /// Questions of clients, by what is asked.
    questions: BTreeMap<String, Vec<Asked>>,
}

/// A question of a client.
#[derive(Clone, Copy, Debug)]
pub struct Asked {
    pub node: u32,
    pub who: Who,
    pub sent: Duration,
    pub done: Option<Duration>,
}

/// A write that went through a machine.
#[derive(Clone, Debug)]
pub struct Written {
    pub node: u32,
    /// Which start of the machine's process.
    pub start: u32,
    pub repo: String,
    pub sent: Duration,
    pub answered: Option<Duration>,
}

/// How the clients were served.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    pub asks: u64,
    pub hits: u64,
    pub peer_hits: u64,
    pub filled: u64,
    pub confirmed: u64,
    pub joined: u64,
    pub stale: u64,
    pub other: u64,
}

impl Tally {
    pub fn add(&mut self, other: Self) {
        self.asks += other.asks;
        self.hits += other.hits;
        self.peer_hits += other.peer_hits;
        self.filled += other.filled;
        self.confirmed += other.confirmed;
        self.joined += other.joined;
        self.stale += other.stale;
        self.other += other.other;
    }
}

impl Ledger {
    pub fn asked(&mut self, node: u32, who: Who, question: &str, sent: Duration) {
        self.tally.asks += 1;
        *self.asks.entry(node).or_default() += 1;
        let asked = Asked { node, who, sent, done: None };
        self.questions.entry(question.to_owned()).or_default().push(asked);
    }

    /// A question has its answer.
    pub fn answered(&mut self, Request { node, who, path, sent, done, .. }: &Request) {
        let questions = self.questions.get_mut(path).into_iter().flatten().rev();
        let is_it = |asked: &&mut Asked| (asked.node, asked.who, asked.sent, asked.done) == (*node, *who, *sent, None);
        if let Some(asked) = questions.into_iter().find(is_it) {
            asked.done = Some(*done);
        }
    }

    pub fn questions_of(&self, question: &str) -> &[Asked] {
        self.questions.get(question).map_or(&[], |asked| asked)
    }

    pub fn asks_of(&self, node: u32) -> u64 {
        self.asks.get(&node).copied().unwrap_or_default()
    }

    /// The ETag that a client of `who` sends along.
    pub fn validator(&self, who: Who, question: &str, wanted: Option<Validator>) -> Option<String> {
        let given = self.validators.get(question).map_or(&[][..], |given| given).iter().rev();
        let last = |own: bool| given.clone().find(|(whose, _)| (*whose == who) == own).map(|(_, etag)| etag.clone());
        match wanted? {
            Validator::Own => last(true),
            Validator::Foreign => last(false),
            Validator::Any => Some("*".to_owned()),
        }
    }

    pub fn writing(&mut self, (node, start): (u32, u32), repo: &str, sent: Duration) {
        *self.asks.entry(node).or_default() += 1;
        self.writes.push(Written { node, start, repo: repo.to_ascii_lowercase(), sent, answered: None });
    }

    pub fn wrote(&mut self, node: u32, repo: &str, sent: Duration, answered: Duration) {
        let repo = repo.to_ascii_lowercase();
        let is_it = |write: &&mut Written| write.node == node && write.repo == repo && write.sent == sent;
        if let Some(write) = self.writes.iter_mut().find(is_it) {
            write.answered = Some(answered);
        }
    }

    fn count(&mut self, how: How) {
        let tally = &mut self.tally;
        *match how {
            How::Hit => &mut tally.hits,
            How::Peer => &mut tally.peer_hits,
            How::Filled => &mut tally.filled,
            How::Confirmed => &mut tally.confirmed,
            How::Joined => &mut tally.joined,
            How::Stale => &mut tally.stale,
            How::Passed | How::Failed => &mut tally.other,
        } += 1;
    }
}

/// A client has its answer.
pub fn on_answer(stage: &Arc<Stage>, answer: &Answer) {
    {
        let mut ledger = stage.ledger();
        ledger.count(answer.how);
        ledger.answered(&answer.request);
    }
    let is_bare = stage.plan.layer == Layer::Bare;
    let also = || {
        open::judge(stage, &answer.request, answer.body_bytes)
            .and_then(|()| cheap::judge_answer(stage, answer))
            .and_then(|()| paths::judge_crossing(stage, answer))
    };
    let judged = right::judge(stage, answer).and_then(|()| if is_bare { Ok(()) } else { also() });
    if let Err((invariant, text)) = judged {
        stage.violated(Some(stage.machine(answer.request.node).lane()), invariant, text);
    }
}

/// A client's write has been answered.
pub fn on_written(stage: &Arc<Stage>, request: &Request) {
    if stage.plan.layer == Layer::Bare {
        return;
    }
    if let Err((invariant, text)) = open::judge(stage, request, 0) {
        stage.violated(Some(stage.machine(request.node).lane()), invariant, text);
    }
}

/// An exchange with GitHub is over.
pub fn on_exchange(stage: &Stage, exchange: &Exchange) {
    // Clients of a bare world ask in ways that cost more: past what is kept, and twice at once.
    if stage.plan.layer == Layer::Bare {
        return;
    }
    let shared = || shared::judge_stop(stage, exchange).and_then(|()| shared::judge_legacy(stage, exchange));
    if let Err((invariant, text)) = cheap::judge(stage, exchange).and_then(|()| shared()) {
        stage.violated(Some(stage.machine(exchange.node).lane()), invariant, text);
    }
}

/// Which promise is broken, and how.
type Broken = (&'static str, String);

/// The path of a repository, `owner/name` in lower case, that a request is about.
fn repo_of(path: &str) -> Option<String> {
    let mut parts = manner::path_of(path).split('?').next()?.split('/').skip(1);
    let is_repo = parts.next()? == "repos";
    is_repo.then_some(())?;
    Some(format!("{}/{}", parts.next()?, parts.next()?).to_ascii_lowercase())
}
