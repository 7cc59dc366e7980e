//! What clients want of a node: questions on their way, and writes.

use std::time::Duration;

use bytes::Bytes;
use fleet::{Across, AskId, Input, Outcome, Touched, Want};
use wire::{Announcement, Body, Digest, Form, LeaseEnd, Record, Version};

use super::{
    Happening, World,
    github::{Answer, Request},
    names::Question,
    shell::Flight,
};
use crate::{
    plan::Way,
    trace::{Event, Kind},
};

/// Who asks within this time of another's answer asked before it, or before it was announced.
const AT_ONCE: Duration = Duration::from_millis(1_000);

impl World {
    pub fn ask(&mut self, node: usize, question: Question) -> Vec<usize> {
        let shell = &mut self.shells[node];
        if !shell.is_up {
            return Vec::new();
        }
        self.tally.asks += 1;
        if let Some(flight) = shell.flights.get_mut(&question) {
            // The same at once, on one machine, is one question.
            flight.clients.push(self.now);
            self.tally.joined += 1;
            self.costs.joined += 1;
            return Vec::new();
        }
        let ask = AskId(shell.next_ask);
        shell.next_ask += 1;
        shell.flights.insert(question, Flight { clients: vec![self.now] });
        shell.asks.insert(ask, (question, self.now));
        let asked = Input::Asked {
            ask,
            key: self.names.paths[question.path].key,
            scope: self.names.scope(question.token),
            tag_key: question.token.map(|token| self.names.tokens[token].tag_key.clone()),
            want: Want::Fresh,
            across: Across::Offers,
            known: shell.told.get(&question).copied(),
            claim: (self.plan.model.way == Way::Claims).then(|| {
                let expected = self.github.expected();
                fleet::OriginTime { usual: expected, longest: expected }
            }),
        };
        let now = self.wall();
        self.shells[node].fleet.handle(asked, now);
        vec![node]
    }

    /// The fleet has said what it knows.
    pub fn resolve(&mut self, node: usize, ask: AskId, outcome: Outcome) {
        let Some((question, _)) = self.shells[node].asks.remove(&ask) else { return };
        match outcome {
            Outcome::Found { record, .. } => {
                self.found(node, question, &record);
                self.done(node, question, "found");
            }
            Outcome::Failed { status } => {
                self.tally.other += 1;
                self.done(node, question, &format!("shares a {status}"));
            }
            Outcome::Told { .. } => {
                self.tally.other += 1;
                self.done(node, question, "shares a refusal");
            }
            Outcome::Nothing => self.ask_origin(node, ask, question, None),
            Outcome::Offer { record, .. } | Outcome::Trusted { record } => {
                self.ask_origin(node, ask, question, Some(record.version.digest));
            }
        }
    }

    /// Asks GitHub, which confirms for free what is here and still so.
    fn ask_origin(&mut self, node: usize, ask: AskId, question: Question, offer: Option<Digest>) {
        let shell = &self.shells[node];
        let own = shell.told.get(&question).map(|version| version.digest);
        // One validator goes along, as in `node`.
        let offered: Vec<Digest> = offer.or(own).into_iter().filter(|digest| shell.held.contains(digest)).collect();
        let life = shell.life;
        self.tell_of(node, question, Kind::Origin, if offered.is_empty() { "asked" } else { "asked conditionally" });
        let request = Request { question, ask, offered, offer };
        let at = self.now + self.github.asked(&request, &self.names);
        self.queue.add(at, Happening::Origin { node, life, request: Box::new(request) });
    }

    /// GitHub has answered.
    pub fn answered(&mut self, node: usize, life: u32, request: &Request) -> Vec<usize> {
        let answer = self.github.answered(request, &self.names, self.now);
        if let Answer::Given(_, digest) = &answer {
            self.given(node, request, *digest);
        }
        let Request { question, ask, .. } = *request;
        let now = self.wall();
        let shell = &mut self.shells[node];
        if shell.life != life || !shell.is_up {
            return Vec::new();
        }
        let (body, digest, what) = match answer {
            Answer::Failed(status) => {
                self.tally.other += 1;
                shell.fleet.handle(Input::Ended { ask, end: Some(LeaseEnd::Failed { status }) }, now);
                self.done(node, question, &format!("GitHub says {status}"));
                return vec![node];
            }
            Answer::Given(body, digest) => {
                self.tally.filled += 1;
                (body, digest, "given")
            }
            Answer::Confirmed(body, digest) => {
                self.tally.confirmed += 1;
                (body, digest, "confirmed")
            }
        };
        if let Some(offer) = request.offer.filter(|offer| *offer != digest) {
            let key = self.names.paths[question.path].key;
            shell.fleet.handle(Input::Refuted { key, digest: offer }, now);
        }
        shell.held.insert(digest);
        let announcement = self.announcement(node, question, body, digest);
        let shell = &mut self.shells[node];
        shell.told.insert(question, announcement.record.version);
        shell.fleet.handle(Input::Filled { announcement, ask: Some(ask) }, now);
        self.done(node, question, what);
        vec![node]
    }

    /// Sees why a body is charged that the fleet was given before.
    fn given(&mut self, node: usize, request: &Request, digest: Digest) {
        let Some(first) = self.given.get(&digest).copied() else {
            self.given.insert(digest, self.now);
            return;
        };
        let is_held = || self.shells.iter().any(|shell| shell.is_up && shell.held.contains(&digest));
        let (count, why) = match () {
            () if self.now < first + AT_ONCE => (&mut self.costs.charged_at_once, "another asks at once"),
            () if !is_held() => (&mut self.costs.charged_lost, "all that held it are gone"),
            () if request.offered.is_empty() => (&mut self.costs.charged_unoffered, "another holds it"),
            () => (&mut self.costs.charged_misoffered, "another holds it"),
        };
        *count += 1;
        let offered = match (request.offered.len(), request.offer) {
            (0, _) => "nothing was offered",
            (_, None) => "what was told before was offered",
            (_, Some(_)) => "what another was told was offered",
        };
        self.tell_of(node, request.question, Kind::Note, &format!("charged, and {why}; {offered}"));
    }

    fn announcement(&self, node: usize, question: Question, body: Bytes, digest: Digest) -> Announcement {
        let now = self.wall();
        let path = &self.names.paths[question.path];
        let timing = self.shells[node].timing;
        let fresh = path.ttl_ms.map_or(timing.fresh, Duration::from_millis);
        let proved_until = now.after(timing.proof.unwrap_or(fresh));
        let record = Record {
            family: self.names.families[path.repo],
            version: Version { date_secs: now.as_secs(), digest },
            status: 200,
            headers: Vec::new(),
            body_bytes: body.len() as u64,
            validated_at: now,
            fresh_until: now.after(fresh),
            proved_until,
            stale_until: proved_until.after(timing.stale),
        };
        let scope = self.names.scope(question.token);
        let tag = question.token.map(|token| self.names.tokens[token].tag_key.tag(path.key, &record));
        let body = Body { form: Form::Identity, encoded: body };
        Announcement { key: path.key, scope, record, tag, body: Some(body), holder: None }
    }

    /// An answer of the fleet's goes to clients: it must be one that GitHub gave to this credential,
    /// and young enough.
    fn found(&mut self, node: usize, question: Question, record: &Record) {
        let now = self.wall();
        let told_at = Duration::from_millis(record.validated_at.0.saturating_sub(det::EPOCH_SECS * 1000));
        let expected = self.github.digest_at(&self.names, question, told_at);
        // What changes in the very millisecond of an answer may have come after it.
        let before = self.github.digest_at(&self.names, question, told_at.saturating_sub(Duration::from_millis(1)));
        let shell = &self.shells[node];
        let fresh = self.names.paths[question.path].ttl_ms.map_or(shell.timing.fresh, Duration::from_millis);
        let limit = fresh.min(shell.timing.proof.unwrap_or(fresh));
        let age = now.since(record.validated_at);
        let asked_at = shell.flights.get(&question).and_then(|flight| flight.clients.first().copied());
        if asked_at == Some(self.now) {
            self.tally.hits += 1;
        } else {
            self.tally.peer_hits += 1;
        }
        self.costs.behind += u64::from(record.version.digest != self.github.digest_at(&self.names, question, self.now));
        let is_held = shell.held.contains(&record.version.digest);
        self.shells[node].told.insert(question, record.version);
        let text = |words: &str| format!("{} of {:?}: {words}", self.names.paths[question.path].text, question.token);
        if ![expected, before].contains(&record.version.digest) {
            self.violated(Some(node), "right.scope", text("the body of another, or of another time"));
        } else if !is_held {
            self.violated(Some(node), "right.held", text("found, and not held"));
        } else if age >= limit {
            self.violated(Some(node), "right.fresh", text(&format!("told {} ms ago", age.as_millis())));
        }
    }

    /// All that asked this on this machine have their answer.
    fn done(&mut self, node: usize, question: Question, how: &str) {
        let clients = self.shells[node].flights.remove(&question).unwrap_or_default().clients;
        self.waits.extend(clients.iter().map(|began| self.now - *began));
        self.tell_of(node, question, Kind::Ask, how);
    }

    fn tell_of(&mut self, node: usize, Question { path, token }: Question, kind: Kind, how: &str) {
        let whose = token.map_or_else(|| "nobody".to_owned(), |token| format!("t{token}"));
        let text = format!("{} of {whose}: {how}", self.names.paths[path].text);
        let lane = self.shells[node].lane();
        self.tell(Event::new(kind, lane, text));
    }

    /// A write goes out: what is known of the repository is doubtful from now on.
    pub fn write(&mut self, node: usize, repo: usize) -> Vec<usize> {
        if !self.shells[node].is_up {
            return Vec::new();
        }
        let life = self.shells[node].life;
        self.queue.add(self.now + self.github.write_time(), Happening::Written { node, life, repo });
        self.invalidate(node, repo)
    }

    /// GitHub has it; and its answer is as doubtful as the sending.
    pub fn written(&mut self, node: usize, life: u32, repo: usize) -> Vec<usize> {
        self.github.change(repo, self.now);
        let shell = &self.shells[node];
        if shell.life != life || !shell.is_up { Vec::new() } else { self.invalidate(node, repo) }
    }

    fn invalidate(&mut self, node: usize, repo: usize) -> Vec<usize> {
        let now = self.wall();
        let touched = Touched::Families(vec![self.names.families[repo]]);
        self.shells[node].fleet.handle(Input::Invalidated { touched, date_secs: now.as_secs() }, now);
        vec![node]
    }
}
