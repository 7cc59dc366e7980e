//! The registry in a GitHub issue: what to ask of GitHub, when, and what its answers mean.
//!
//! The machine that finds its fleet there does no IO: it names one [`Call`] after the other, and is told
//! how each ended. A public issue shows a stranger neither addresses nor names, and a stranger's comment
//! plants no peer: records are sealed with the fleet's key and signed by the machine they are of.

mod comment;
mod pages;
mod port;
mod rank;
#[cfg(test)]
mod tests;
mod writing;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use crypto::SealingKey;
use serde_json::{Value, json};
use wire::{Millis, Peer, Role, SignedPeer};

use crate::limits;
use pages::Pages;
pub use port::{Around, Call, IssueStatus, Outcome, Reply, Verb};
pub use rank::Candidate;
use writing::Own;
pub use writing::is_told;

/// The title by which the issue is found. The reference's.
const TITLE: &str = "p2p-peer-registry";

const WHAT_IT_IS: &str = "Machines of one team find each other here, to share one cache of GitHub's API. Each comment is \
kept by a machine; what is in it is sealed. Please leave this issue open, and write nothing here that matters.";

/// Signs in this machine's name, and checks what others signed in theirs.
pub trait Signatures: Send + Sync {
    fn sign(&self, bytes: &[u8]) -> [u8; 64];
    fn verify(&self, peer: &Peer, bytes: &[u8], signature: &[u8; 64]) -> bool;
}

/// What `me` says of itself, good for `life` from `now` on.
pub fn signed_record(
    signatures: &dyn Signatures,
    me: &Peer,
    role: Role,
    addresses: Vec<String>,
    now: Millis,
    life: Duration,
) -> SignedPeer {
    let (issued_at, expires_at) = (now, now.after(life));
    let mut record = SignedPeer { peer: me.clone(), addresses, role, issued_at, expires_at, signature: [0; 64] };
    record.signature = signatures.sign(&record.signed_bytes());
    record
}

pub struct IssueConfig {
    /// `owner/repo`.
    pub repository: String,
    pub me: Peer,
    pub role: Role,
    pub sealing: SealingKey,
    pub signatures: Arc<dyn Signatures>,
}

/// This machine's part in the registry.
pub struct IssueRegistry {
    config: IssueConfig,
    addresses: Vec<String>,
    step: Step,
    issue: Option<u64>,
    searched_at: Option<Millis>,
    /// The search has answered, so an issue that it does not know may be opened.
    may_open: bool,
    newest_etag: Option<String>,
    pages: Pages,
    own: Option<Own>,
    /// Comments that hold this machine's words and are not its to change: anybody can copy one.
    copies: BTreeSet<u64>,
    started_at: Option<Millis>,
    /// Rounds since the last peer was connected.
    rounds_alone: u32,
    /// Rounds in a row that saw fewer writers than there may be.
    rounds_vacant: usize,
    last_round: Option<Millis>,
    write_at: Option<Millis>,
    held_until: Millis,
    writes_held_until: Millis,
    may_delete: bool,
    reading_trouble: Option<String>,
    /// Goes when something was written: that it can be read says nothing of it.
    writing_trouble: Option<String>,
    status: IssueStatus,
}

/// What is asked next, or was just asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Idle,
    Search,
    /// The newest issues: what the search does not know yet.
    Newest,
    Open,
    Page(usize),
    Decide,
    Write,
    Delete(u64),
}

impl IssueRegistry {
    pub fn new(config: IssueConfig) -> Self {
        Self {
            config,
            addresses: Vec::new(),
            step: Step::Idle,
            issue: None,
            searched_at: None,
            may_open: false,
            newest_etag: None,
            pages: Pages::default(),
            own: None,
            copies: BTreeSet::new(),
            started_at: None,
            rounds_alone: 0,
            rounds_vacant: 0,
            last_round: None,
            write_at: None,
            held_until: Millis::ZERO,
            writes_held_until: Millis::ZERO,
            may_delete: true,
            reading_trouble: None,
            writing_trouble: None,
            status: IssueStatus::default(),
        }
    }

    /// Where this machine is: multiaddrs, the best first. Those that mean another machine to everybody else
    /// are left out.
    pub fn set_addresses(&mut self, addresses: impl IntoIterator<Item = String>) {
        let told = addresses.into_iter().filter(|address| is_told(address));
        self.addresses = told.take(wire::limits::PEER_ADDRESSES_MAX).collect();
    }

    /// When [`Self::next`] has something to say again, with so many peers connected.
    pub fn next_at(&self, peers: usize) -> Millis {
        let Some(last) = self.last_round else { return self.held_until };
        let spread = writing::spread(&self.config.repository, &self.config.me);
        let interval = match peers {
            0 => {
                let interval = limits::READ_INTERVAL_NONE_MIN.saturating_mul(1 << self.rounds_alone.min(16));
                interval.min(limits::READ_INTERVAL_NONE_MAX).mul_f64(0.75 + 0.5 * spread)
            }
            1 => limits::READ_INTERVAL_ONE.mul_f64(1.0 + spread / 16.0),
            _ => limits::READ_INTERVAL.mul_f64(1.0 + spread / 16.0),
        };
        let at = last.after(interval);
        self.write_at.map_or(at, |write_at| at.min(write_at)).max(self.held_until)
    }

    /// The next request; `None` until [`Self::next_at`]. Each is answered by [`Self::on`] before the next.
    ///
    /// `nonce` must be random and new.
    pub fn next(&mut self, around: &Around, nonce: [u8; 24], now: Millis) -> Option<Call> {
        let started_at = *self.started_at.get_or_insert(now);
        if around.peers > 0 {
            self.rounds_alone = 0;
        }
        if self.step == Step::Idle {
            if now < self.next_at(around.peers) {
                return None;
            }
            self.write_at = None;
            self.step = self.first_step(around.peers, now);
        }
        if self.step == Step::Decide {
            self.step = self.decide(around, started_at, now);
        }
        let repository = self.config.repository.clone();
        let get = |path: String, etag| Some(Call { verb: Verb::Get, path, etag, body: None });
        match self.step {
            Step::Idle | Step::Decide => {
                self.end_round(now);
                None
            }
            Step::Search => {
                let repository = repository.replace('/', "%2F");
                let query = format!("repo:{repository}+is:issue+is:open+in:title+%22{TITLE}%22");
                get(format!("/search/issues?q={query}&sort=created&order=asc&per_page=50"), None)
            }
            Step::Newest => {
                let query = "state=open&sort=created&direction=desc&per_page=100";
                get(format!("/repos/{repository}/issues?{query}"), self.newest_etag.clone())
            }
            Step::Open => {
                if !self.may_open || !self.may_begin(started_at, now) {
                    self.end_round(now);
                    return None;
                }
                let body = json!({ "title": TITLE, "body": WHAT_IT_IS }).to_string().into_bytes();
                Some(Call {
                    verb: Verb::Post,
                    path: format!("/repos/{repository}/issues"),
                    etag: None,
                    body: Some(body),
                })
            }
            Step::Page(number) => {
                let issue = self.issue?;
                let page = number + 1;
                let path = format!("/repos/{repository}/issues/{issue}/comments?per_page=100&page={page}");
                get(path, self.pages.etag(number))
            }
            Step::Write => self.write(nonce, now),
            Step::Delete(id) => Some(self.deletion(id)),
        }
    }

    /// Takes the outcome of the last call in.
    pub fn on(&mut self, outcome: Outcome, now: Millis) {
        let reply = match outcome {
            Outcome::Answered(reply) => reply,
            Outcome::Failed(why) => {
                self.reading_trouble = Some(format!("GitHub was not reached: {why}"));
                return self.end_round(now);
            }
            Outcome::Spared => {
                self.held_until = now.after(limits::SPARED_PAUSE);
                return self.end_round(now);
            }
        };
        let (status, step) = (reply.status, self.step);
        if matches!(step, Step::Newest | Step::Page(_)) {
            self.status.reads += 1;
            self.status.reads_charged += u64::from(status != 304);
        }
        if matches!(status, 200..300 | 304) {
            self.status.last_success = Some(now);
            self.reading_trouble = None;
            if matches!(step, Step::Open | Step::Write) {
                self.writing_trouble = None;
            }
        }
        self.step = match (step, status) {
            (Step::Search, 200) => {
                (self.searched_at, self.may_open) = (Some(now), true);
                let found: Value = serde_json::from_slice(&reply.body).unwrap_or_default();
                self.searched(&found)
            }
            // What the search refuses, the list may show.
            (Step::Search, 404 | 422) => {
                (self.searched_at, self.may_open) = (Some(now), true);
                Step::Newest
            }
            // Many searched at once. The list shows new issues alone: an old one may be there all the same.
            (Step::Search, 403 | 429) => {
                self.may_open = false;
                Step::Newest
            }
            (Step::Newest, 200) => {
                let listed = serde_json::from_slice(&reply.body).unwrap_or_default();
                self.newest_etag = reply.etag;
                self.listed(&listed, reply.has_next)
            }
            (Step::Newest, 304) => self.issue.map_or(Step::Open, |_| Step::Page(0)),
            // Another machine may have opened one at the same moment: the list tells, and the lowest wins.
            // A list that does not show it yet is no reason for a second one.
            (Step::Open, 201) => {
                self.status.edits += 1;
                self.may_open = false;
                self.newest_etag = None;
                Step::Newest
            }
            (Step::Page(number), 200 | 304) => self.on_page(number, &reply),
            (Step::Page(_), 404 | 410) => {
                self.forget_issue();
                Step::Idle
            }
            (Step::Write, 200 | 201) => self.written(&reply, now),
            // Somebody deleted it, or it never was this machine's. A limit says so.
            (Step::Write, 403 | 404) if self.own.is_some() && !is_of_a_limit(&reply) => {
                self.copies.extend(self.own.take().map(|own| own.id));
                Step::Idle
            }
            (Step::Delete(id), 204 | 404) => {
                self.deleted(id);
                Step::Idle
            }
            (Step::Delete(_), _) => {
                self.may_delete = false;
                Step::Idle
            }
            _ => {
                self.refused(step, status, now);
                Step::Idle
            }
        };
        if self.step == Step::Idle {
            self.end_round(now);
        }
    }

    /// Who is out there, by the last reading; each once, this machine left out.
    pub fn found(&self, now: Millis) -> Vec<SignedPeer> {
        let mut latest = BTreeMap::<&Peer, &SignedPeer>::new();
        for record in self.pages.records().filter(|record| record.is_current(now) && record.peer != self.config.me) {
            let known = latest.entry(&record.peer).or_insert(record);
            if known.issued_at < record.issued_at {
                *known = record;
            }
        }
        latest.into_values().cloned().collect()
    }

    pub fn status(&self, now: Millis) -> IssueStatus {
        let mut skipped = BTreeMap::new();
        self.pages.skipped(now).for_each(|why| *skipped.entry(why.label()).or_default() += 1);
        let is_writer = self.own.as_ref().is_some_and(|own| now.since(own.issued_at) < limits::COMMENT_LIFE);
        let trouble = self.reading_trouble.clone().or_else(|| self.writing_trouble.clone());
        IssueStatus { issue: self.issue, is_writer, skipped, trouble, ..self.status.clone() }
    }

    /// Takes this machine's comment back: nobody is to dial a dead place.
    pub fn leave(&self) -> Option<Call> {
        self.own.as_ref().map(|own| self.deletion(own.id))
    }

    /// Somebody may have closed the issue, and who came since is in another one: so it is looked for anew now
    /// and then, and soon where nobody is found. A search does not count against the budget for requests.
    fn first_step(&self, peers: usize, now: Millis) -> Step {
        let interval = match (self.issue, peers) {
            (Some(_), 0) => limits::SEARCH_INTERVAL_ALONE,
            _ => limits::SEARCH_INTERVAL,
        };
        let searched_lately = self.searched_at.is_some_and(|at| now.since(at) < interval);
        match self.issue {
            _ if !searched_lately => Step::Search,
            Some(_) => Step::Page(0),
            None => Step::Newest,
        }
    }

    fn searched(&mut self, found: &Value) -> Step {
        if let Some(issue) = ours(&found["items"]).min() {
            self.set_issue(Some(issue));
            return Step::Page(0);
        }
        if found["incomplete_results"] != true {
            // A new one is not in the index yet, and the list shows it: also where that is as it was.
            self.set_issue(None);
            self.newest_etag = None;
        }
        Step::Newest
    }

    /// Takes in the newest issues. What is older than all of them is as the search said.
    fn listed(&mut self, issues: &Value, is_cut: bool) -> Step {
        let numbers = issues.as_array().into_iter().flatten().filter_map(|issue| issue["number"].as_u64());
        let oldest = if is_cut { numbers.min().unwrap_or(0) } else { 0 };
        let known = self.issue;
        let older = known.filter(|known| *known < oldest);
        self.set_issue(ours(issues).chain(older).min());
        match (self.issue, known) {
            (Some(_), _) => Step::Page(0),
            (None, None) => Step::Open,
            // The search has to agree before another one is opened.
            (None, Some(_)) => Step::Search,
        }
    }

    /// What was read belongs to one issue.
    fn set_issue(&mut self, issue: Option<u64>) {
        if self.issue != issue {
            (self.issue, self.own) = (issue, None);
            self.pages = Pages::default();
        }
    }

    fn on_page(&mut self, number: usize, reply: &Reply) -> Step {
        let config = &self.config;
        let read = |text: &str| comment::read(&config.repository, &config.sealing, &*config.signatures, text);
        if reply.status == 200 {
            self.pages.replace(number, reply, read);
        }
        if self.pages.has_next(number) { Step::Page(number + 1) } else { Step::Decide }
    }

    fn forget_issue(&mut self) {
        self.set_issue(None);
        (self.searched_at, self.newest_etag) = (None, None);
    }

    fn refused(&mut self, step: Step, status: u16, now: Millis) {
        let repository = &self.config.repository;
        let (is_write, pause) = (matches!(step, Step::Open | Step::Write), limits::REFUSED_PAUSE);
        let trouble = Some(match (status, is_write) {
            (401, _) => "GitHub refuses the token (401): set GITHUB_TOKEN to one that is valid".to_owned(),
            (403 | 404 | 410, true) => format!(
                "the token may not write issues in {repository} ({status}): this machine reads, and others do not find it there"
            ),
            (301 | 307 | 308, _) => format!("{repository} has another name now ({status}): set that"),
            (404 | 410, false) => format!("the token does not see the issues of {repository} ({status})"),
            _ => format!("GitHub answered {status}"),
        });
        if is_write {
            self.writing_trouble = trouble;
        } else {
            self.reading_trouble = trouble;
        }
        match (status, is_write) {
            (500.., _) => {}
            (_, true) => self.writes_held_until = now.after(pause),
            _ => self.held_until = now.after(pause),
        }
    }

    fn end_round(&mut self, now: Millis) {
        self.step = Step::Idle;
        self.last_round = Some(now);
        self.rounds_alone = self.rounds_alone.saturating_add(1);
    }
}

/// The open issues of the registry's title, by number.
fn ours(issues: &Value) -> impl Iterator<Item = u64> {
    let is_ours = |issue: &&Value| {
        issue["title"] == TITLE && issue["state"] == "open" && issue.get("pull_request").is_none_or(Value::is_null)
    };
    issues.as_array().into_iter().flatten().filter(is_ours).filter_map(|issue| issue["number"].as_u64())
}

fn is_of_a_limit(reply: &Reply) -> bool {
    String::from_utf8_lossy(&reply.body).to_ascii_lowercase().contains("rate limit")
}
