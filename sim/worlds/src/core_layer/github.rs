//! GitHub as a model: what it says to whom, how long that takes, and what it counts.

use std::{collections::BTreeMap, time::Duration};

use bytes::Bytes;
use fleet::AskId;
use wire::Digest;

use super::names::{Names, Question};
use crate::{
    draw::Stream,
    plan::{Plan, Trouble},
};

/// A question on its way to GitHub and back.
pub struct Request {
    pub question: Question,
    /// Of the question that leads: the fleet is told how it ended.
    pub ask: AskId,
    /// The bodies that are here, where the request is conditional.
    pub offered: Vec<Digest>,
    /// Of these, the one that another credential was told.
    pub offer: Option<Digest>,
}

/// What GitHub said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    Given(Bytes, Digest),
    /// 304, free.
    Confirmed(Bytes, Digest),
    /// An outage.
    Failed(u16),
}

/// Nobody expects less.
const EXPECTED_MIN: Duration = Duration::from_millis(50);

pub struct GitHub {
    charged_ms: (u64, u64),
    proof_ms: (u64, u64),
    body_bytes: usize,
    /// How often each repository has changed.
    versions: Vec<u64>,
    /// When it did, for those that look back.
    moments: Vec<Vec<Duration>>,
    outages: Vec<(Duration, Duration, u16)>,
    latencies: Stream,
    pub charged: u64,
    pub proofs: u64,
    pub failed: u64,
    /// Conditional requests under way, by bucket of the rate limit.
    in_flight: BTreeMap<usize, u32>,
    /// How many there were at the beginning of each, itself included.
    pub in_flight_seen: Vec<u32>,
}

impl GitHub {
    pub fn new(plan: &Plan, names: &Names) -> Self {
        let usual = (plan.origin_ms, plan.origin_ms);
        let ms = Duration::from_millis;
        let outages = plan.faults.iter().filter_map(|fault| match fault.what {
            Trouble::Outage { status: Some(status) } => Some((ms(fault.from_ms), ms(fault.until_ms), status)),
            _ => None,
        });
        Self {
            charged_ms: plan.model.charged_ms.unwrap_or(usual),
            proof_ms: plan.model.proof_ms.unwrap_or(usual),
            body_bytes: plan.model.body_bytes,
            versions: vec![0; names.families.len()],
            moments: vec![Vec::new(); names.families.len()],
            outages: outages.collect(),
            latencies: Stream::new(plan.seed, "GitHub's time"),
            charged: 0,
            proofs: 0,
            failed: 0,
            in_flight: BTreeMap::new(),
            in_flight_seen: Vec::new(),
        }
    }

    /// How long nodes that have asked before expect an answer to take: the mean, and four times how far
    /// answers lie from it, as `node` reckons. Of what is drawn evenly, that is a quarter of the range.
    pub fn expected(&self) -> Duration {
        let (from, to) = self.charged_ms;
        Duration::from_millis((from + to) / 2 + (to - from)).max(EXPECTED_MIN)
    }

    /// How long a write takes.
    pub fn write_time(&self) -> Duration {
        Duration::from_millis((self.charged_ms.0 + self.charged_ms.1) / 2)
    }

    pub fn change(&mut self, repo: usize, now: Duration) {
        self.versions[repo] += 1;
        self.moments[repo].push(now);
    }

    /// A request has left; how long until its answer is there.
    pub fn asked(&mut self, request: &Request, names: &Names) -> Duration {
        if request.offered.is_empty() {
            return self.draw(self.charged_ms);
        }
        let bucket = request.question.token.map(|token| names.tokens[token].bucket);
        let under_way = self.in_flight.entry(bucket.unwrap_or(usize::MAX)).or_default();
        *under_way += 1;
        self.in_flight_seen.push(*under_way);
        let is_current = request.offered.contains(&self.digest(names, request.question));
        self.draw(if is_current { self.proof_ms } else { self.charged_ms })
    }

    /// The answer is there; `None`: who asked is gone, and what was asked counts all the same.
    pub fn answered(&mut self, request: &Request, names: &Names, now: Duration) -> Answer {
        if !request.offered.is_empty() {
            let bucket = request.question.token.map_or(usize::MAX, |token| names.tokens[token].bucket);
            if let Some(under_way) = self.in_flight.get_mut(&bucket) {
                *under_way -= 1;
            }
        }
        if let Some((.., status)) = self.outages.iter().find(|(from, until, _)| *from <= now && now < *until) {
            self.failed += 1;
            return Answer::Failed(*status);
        }
        let body = self.body(names, request.question, self.versions[names.paths[request.question.path].repo]);
        let digest = Digest::of(&body);
        if request.offered.contains(&digest) {
            self.proofs += 1;
            return Answer::Confirmed(body, digest);
        }
        self.charged += 1;
        Answer::Given(body, digest)
    }

    /// The digest of what GitHub said about this at a moment that is over.
    pub fn digest_at(&self, names: &Names, question: Question, at: Duration) -> Digest {
        let moments = &self.moments[names.paths[question.path].repo];
        let version = moments.partition_point(|moment| *moment <= at) as u64;
        Digest::of(&self.body(names, question, version))
    }

    fn digest(&self, names: &Names, question: Question) -> Digest {
        Digest::of(&self.body(names, question, self.versions[names.paths[question.path].repo]))
    }

    fn body(&self, names: &Names, Question { path, token }: Question, version: u64) -> Bytes {
        let path = &names.paths[path];
        let viewer = token.filter(|_| path.is_own_view);
        let text = format!("{{\"path\":\"{}\",\"version\":{version},\"viewer\":{viewer:?}}}", path.text);
        format!("{text:<width$}", width = self.body_bytes).into()
    }

    fn draw(&mut self, (from, to): (u64, u64)) -> Duration {
        Duration::from_millis(self.latencies.range(from, to + 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        plan::{Model, What},
        scenario::{Scenario, Wishes},
    };

    #[test]
    fn a_confirmation_is_free_until_the_content_changes() {
        let mut plan = Scenario::find("lan").expect("it is there").plan(1, &Wishes::default());
        plan.model = Model { own_view_percent: 0, proof_ms: Some((60, 150)), ..Model::default() };
        plan.ops.truncate(1);
        plan.ops[0].what = What::ask(0, Some(0), "/repos/a/b/issues".to_owned());
        let names = Names::new(&plan, &[0]);
        let mut github = GitHub::new(&plan, &names);
        let mut ask = |token, offered, at: u64, changes: bool| {
            if changes {
                github.change(0, Duration::from_secs(at));
            }
            let question = Question { path: 0, token: Some(token) };
            let request = Request { question, ask: AskId(0), offered: Vec::from_iter(offered), offer: None };
            github.asked(&request, &names);
            github.answered(&request, &names, Duration::from_secs(at))
        };
        let Answer::Given(_, first) = ask(0, None, 1, false) else { panic!("nothing was offered") };
        assert!(matches!(ask(1, Some(first), 2, false), Answer::Confirmed(..)), "the same for all tokens");
        let Answer::Given(_, second) = ask(1, Some(first), 3, true) else { panic!("it has changed") };
        assert_ne!(first, second);
        assert_eq!((github.charged, github.proofs, github.in_flight_seen.clone()), (2, 1, vec![1, 1]));
        let question = Question { path: 0, token: Some(2) };
        assert_eq!(github.digest_at(&names, question, Duration::from_secs(2)), first);
        assert_eq!(github.digest_at(&names, question, Duration::from_secs(3)), second);
    }
}
