//! Whether this machine keeps a comment, and which are to go.

use std::{cmp::Reverse, collections::BTreeSet, net::IpAddr};

use serde_json::{Value, json};
use wire::{Millis, Peer, Role};

use super::{
    Around, Call, Candidate, IssueRegistry, Reply, Step, Verb, comment,
    rank::{rank, weight},
    signed_record,
};
use crate::limits;

/// This machine's comment.
#[derive(Clone, Debug)]
pub(super) struct Own {
    pub(super) id: u64,
    pub(super) issued_at: Millis,
}

/// Whether an address may be told to other machines: loopback is another one to each of them.
pub fn is_told(address: &str) -> bool {
    let mut parts = address.split('/').skip(1);
    let is_dialable = match (parts.next(), parts.next()) {
        (Some("ip4" | "ip6"), Some(ip)) => {
            let ip = ip.split('%').next().unwrap_or_default().parse::<IpAddr>();
            ip.is_ok_and(|ip| {
                let is_link_local = matches!(ip, IpAddr::V6(ip) if ip.is_unicast_link_local());
                !ip.to_canonical().is_loopback() && !ip.is_unspecified() && !is_link_local
            })
        }
        (Some("dns" | "dns4" | "dns6" | "dnsaddr"), Some(name)) => {
            let name = name.trim_end_matches('.').to_ascii_lowercase();
            !name.is_empty() && name != "localhost" && !name.ends_with(".localhost")
        }
        _ => false,
    };
    is_dialable && address.len() <= wire::limits::ADDRESS_BYTES_MAX
}

/// From 0 to 1, by a machine's name: what many would do at once is spread by it.
pub(super) fn spread(repository: &str, peer: &Peer) -> f64 {
    let [a, b, ..] = weight(repository, peer);
    f64::from(u16::from_be_bytes([a, b])) / f64::from(u16::MAX)
}

impl IssueRegistry {
    /// What follows a reading.
    pub(super) fn decide(&mut self, around: &Around, started_at: Millis, now: Millis) -> Step {
        self.copies.retain(|copy| self.pages.comments().any(|comment| comment.id == *copy));
        let mine =
            self.pages.writers().filter(|(id, record)| record.peer == self.config.me && !self.copies.contains(id));
        let mine = mine.map(|(id, record)| Own { id, issued_at: record.issued_at });
        // A copy is younger than what it was made of.
        let mine = mine.max_by_key(|own| (own.issued_at, Reverse(own.id)));
        if self.own.is_none() {
            self.own = mine;
        }
        let writers: Vec<(u64, Candidate)> = self.living_writers(now);
        let is_vacant = writers.len() < limits::WRITERS_MAX;
        self.rounds_vacant = if is_vacant { self.rounds_vacant + 1 } else { 0 };
        let wants = self.wants_to_write(&writers, around, now);
        let is_live = self.has_live_comment(now);
        let is_held = self.addresses.is_empty() || now < self.writes_held_until;
        match self.own.clone() {
            Some(own) if wants && now.since(own.issued_at) >= limits::EDIT_INTERVAL => Step::Write,
            None if wants && self.may_begin(started_at, now) => Step::Write,
            Some(own) if !wants && is_live && self.may_delete && !is_held => Step::Delete(own.id),
            _ => self.stale_comment(&writers, now).map_or(Step::Idle, Step::Delete),
        }
    }

    /// Nodes that start together do not all write at once: the first to do so is found by the others.
    pub(super) fn may_begin(&mut self, started_at: Millis, now: Millis) -> bool {
        if self.addresses.is_empty() || now < self.writes_held_until {
            return false;
        }
        let spread = spread(&self.config.repository, &self.config.me);
        let begin_at = started_at.after(limits::FIRST_WRITE_SPREAD.mul_f64(spread));
        if now < begin_at {
            self.write_at = Some(begin_at);
        }
        now >= begin_at
    }

    /// Who writes goes on, unless so many better ones do that it is one too many. A lonely node writes while
    /// there is room. Of the others the best take the places that are free; with each round that leaves one
    /// free, a few more may, as the best may have no token.
    fn wants_to_write(&self, writers: &[(u64, Candidate)], around: &Around, now: Millis) -> bool {
        if self.addresses.is_empty() || now < self.writes_held_until {
            return false;
        }
        let (me, role) = (self.config.me.clone(), self.config.role);
        let since = if self.has_live_comment(now) { Millis::ZERO } else { self.started_at.unwrap_or(now) };
        let mine = rank(&self.config.repository, &Candidate { peer: me, role, since }, now);
        let is_ahead = |other: &Candidate| rank(&self.config.repository, other, now) < mine;
        if self.has_live_comment(now) {
            return writers.iter().filter(|(_, writer)| is_ahead(writer)).count() < limits::WRITERS_MAX;
        }
        let writers_max =
            if role == Role::Ephemeral && around.peers > 0 { limits::WRITERS_EPHEMERAL } else { limits::WRITERS_MAX };
        let room = writers_max.saturating_sub(writers.len());
        if room == 0 || around.peers == 0 {
            return room > 0;
        }
        let writing: BTreeSet<&Peer> = writers.iter().map(|(_, writer)| &writer.peer).collect();
        let ahead = around.members.iter().filter(|other| !writing.contains(&other.peer) && is_ahead(other)).count();
        ahead < room + 4 * self.rounds_vacant.saturating_sub(1)
    }

    /// Others whose comments were renewed lately.
    fn living_writers(&self, now: Millis) -> Vec<(u64, Candidate)> {
        let is_living = |issued_at| now.since(issued_at) <= limits::WRITER_SILENT;
        let others = self.pages.writers().filter(|(_, record)| {
            record.peer != self.config.me && record.is_current(now) && is_living(record.issued_at)
        });
        let mut seen = BTreeSet::new();
        // A writer counts as long-lived, so that places do not change hands for nothing.
        let candidate = |peer: &Peer, role| Candidate { peer: peer.clone(), role, since: Millis::ZERO };
        let once = others.filter(|(_, record)| seen.insert(record.peer.clone()));
        once.map(|(id, record)| (id, candidate(&record.peer, record.role))).collect()
    }

    /// The first of the writers tidies up, one comment a round. Only what members wrote.
    fn stale_comment(&self, writers: &[(u64, Candidate)], now: Millis) -> Option<u64> {
        let repository = &self.config.repository;
        let since = Millis::ZERO;
        let mine = rank(repository, &Candidate { peer: self.config.me.clone(), role: self.config.role, since }, now);
        let is_first = writers.iter().all(|(_, writer)| rank(repository, writer, now) > mine);
        if !self.may_delete || !is_first || !self.has_live_comment(now) {
            return None;
        }
        let is_stale = |expires_at| now.since(expires_at) >= limits::COMMENT_STALE;
        let own = self.own.as_ref().map(|own| own.id);
        let stale = self.pages.writers().find(|(id, record)| Some(*id) != own && is_stale(record.expires_at));
        stale.map(|(id, _)| id)
    }

    fn has_live_comment(&self, now: Millis) -> bool {
        self.own.as_ref().is_some_and(|own| now.since(own.issued_at) < limits::COMMENT_LIFE)
    }

    pub(super) fn write(&self, nonce: [u8; 24], now: Millis) -> Option<Call> {
        let (config, issue) = (&self.config, self.issue?);
        let addresses = self.addresses.clone();
        let record = signed_record(&*config.signatures, &config.me, config.role, addresses, now, limits::COMMENT_LIFE);
        let name = self.name();
        let text = comment::write(&config.repository, &config.sealing, nonce, &name, &record, now);
        let (verb, path) = match &self.own {
            Some(own) => (Verb::Patch, format!("/repos/{}/issues/comments/{}", config.repository, own.id)),
            None => (Verb::Post, format!("/repos/{}/issues/{issue}/comments", config.repository)),
        };
        Some(Call { verb, path, etag: None, body: Some(json!({ "body": text }).to_string().into_bytes()) })
    }

    pub(super) fn written(&mut self, reply: &Reply, now: Millis) -> Step {
        let value: Value = serde_json::from_slice(&reply.body).unwrap_or_default();
        let id = value["id"].as_u64().or(self.own.as_ref().map(|own| own.id));
        self.own = id.map(|id| Own { id, issued_at: now });
        self.status.edits += 1;
        Step::Idle
    }

    pub(super) fn deletion(&self, id: u64) -> Call {
        let path = format!("/repos/{}/issues/comments/{id}", self.config.repository);
        Call { verb: Verb::Delete, path, etag: None, body: None }
    }

    pub(super) fn deleted(&mut self, id: u64) {
        self.status.deletions += 1;
        self.pages.remove(id);
        if self.own.as_ref().is_some_and(|own| own.id == id) {
            self.own = None;
        }
    }

    /// Stands for a runner's name, and says nothing: the same at each start, another in each repository.
    fn name(&self) -> String {
        let digest = weight(&self.config.repository, &self.config.me);
        format!("ghoard-{}", data_encoding::HEXLOWER.encode(&digest[..6]))
    }
}
