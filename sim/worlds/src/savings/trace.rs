//! What happens, whoever asks: polls, changes, tokens, machines; and the hub that it happens to.

use std::{collections::BTreeSet, time::Duration};

use bytes::Bytes;
use fakehub::{Hub, Token, TokenKind, Visibility};
use http::{Request, header};

use crate::{draw::Stream, github::unix_secs};

/// Of one account, the first and the last two private.
pub const REPOS: [&str; 5] = ["acme/secret", "acme/website", "acme/parser", "acme/deploy", "acme/upload"];

/// Its answer holds a `temp_clone_token`, of the token that asked.
const OF_A_TOKEN: &str = "/repos/acme/secret";

/// Objects that change in a minute, in a hundred.
const CHANGES_PERCENT: u64 = 2;

/// No budget ends: what is charged is counted, and compared with the real budget.
const LIMIT: u64 = 100_000_000;

const SEED: u64 = 1;

/// A poll of one endpoint.
#[derive(Clone, Copy, Debug)]
pub struct Poll {
    pub at: Duration,
    pub machine: u32,
    /// An index of [`Trace::tokens`].
    pub token: usize,
    pub endpoint: usize,
}

#[derive(Clone, Copy, Debug)]
pub struct Change {
    pub at: Duration,
    pub endpoint: usize,
    /// From now on.
    pub version: u64,
}

/// A machine is there from one moment to another, or to the end.
#[derive(Clone, Copy, Debug)]
pub struct Presence {
    pub from: Duration,
    pub until: Option<Duration>,
}

impl Presence {
    pub const ALWAYS: Self = Self { from: Duration::ZERO, until: None };
}

/// Who asks what and when, in any order.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    pub machines: Vec<Presence>,
    pub tokens: usize,
    pub polls: Vec<Poll>,
}

#[derive(Clone, Debug)]
pub struct Trace {
    pub span: Duration,
    pub machines: Vec<Presence>,
    pub tokens: Vec<String>,
    /// In order of time, both.
    pub polls: Vec<Poll>,
    pub changes: Vec<Change>,
    /// When each version of each endpoint was replaced.
    replaced: Vec<Vec<Duration>>,
    paths: Vec<String>,
    /// As fakehub makes them for these routes.
    bodies: Vec<String>,
}

impl Trace {
    /// The endpoints are those of each of [`REPOS`], one after the other. In each minute, each object
    /// changes with a chance of 2 %.
    pub fn draw(seed: u64, span: Duration, kinds: &[&str], mut asked: Asked) -> Self {
        asked.polls.sort_by_key(|poll| poll.at);
        let paths = REPOS.iter().flat_map(|repo| kinds.iter().map(move |kind| format!("/repos/{repo}{kind}")));
        let paths: Vec<String> = paths.collect();
        let mut replaced = vec![Vec::new(); paths.len()];
        let changes = changes(seed, span, &mut replaced);
        Self {
            span,
            machines: asked.machines,
            tokens: (0..asked.tokens).map(|number| format!("ghs_savings{number:08}")).collect(),
            polls: asked.polls,
            changes,
            replaced,
            bodies: natural(&paths),
            paths,
        }
    }

    pub fn endpoints(&self) -> usize {
        self.paths.len()
    }

    pub fn path(&self, endpoint: usize) -> &str {
        &self.paths[endpoint]
    }

    /// The versions that anybody asks for, each once, but those that hold something of a token's own once for
    /// each token: what is charged at least.
    pub fn least(&self) -> usize {
        let asked = self.polls.iter().map(|poll| {
            let version = self.replaced[poll.endpoint].partition_point(|at| *at <= poll.at);
            (poll.endpoint, version, (self.paths[poll.endpoint] == OF_A_TOKEN).then_some(poll.token))
        });
        asked.collect::<BTreeSet<_>>().len()
    }

    /// What a poll has in its `Authorization`.
    pub fn bearer(&self, poll: &Poll) -> String {
        format!("Bearer {}", self.tokens[poll.token])
    }

    /// When this version was replaced, if it ever was.
    pub fn replaced(&self, endpoint: usize, version: u64) -> Option<Duration> {
        self.replaced[endpoint].get(version as usize).copied()
    }

    /// The hub as it is at the beginning. Each endpoint has a number before its body, so that it changes
    /// when it should and only then.
    pub fn hub(&self) -> Hub {
        let mut hub = Hub::standard(SEED);
        for text in &self.tokens {
            let mut token = Token::new(text, "acme-ci[bot]").with_limit(LIMIT);
            (token.kind, token.account) = (TokenKind::Installation, Some("acme".to_owned()));
            hub.add_token(token);
        }
        for (endpoint, (path, body)) in self.paths.iter().zip(&self.bodies).enumerate() {
            hub.put_document(path, self.visibility(endpoint), numbered(0, body));
        }
        hub
    }

    /// Lets a change happen.
    pub fn change(&self, hub: &mut Hub, Change { endpoint, version, .. }: Change) {
        let body = numbered(version, &self.bodies[endpoint]);
        hub.put_document(&self.paths[endpoint], self.visibility(endpoint), body);
    }

    fn visibility(&self, endpoint: usize) -> Visibility {
        Visibility::Repo(REPOS[endpoint * REPOS.len() / self.paths.len()].to_owned())
    }
}

fn changes(seed: u64, span: Duration, replaced: &mut [Vec<Duration>]) -> Vec<Change> {
    let mut changes = Vec::new();
    let mut drawn = Stream::new(seed, "changes");
    for minute in 0..span.as_secs() / 60 {
        for endpoint in 0..replaced.len() {
            if drawn.percent(CHANGES_PERCENT) {
                let at = Duration::from_millis(60_000 * minute + drawn.range(0, 60_000));
                changes.push((at, endpoint));
            }
        }
    }
    changes.sort_unstable();
    let numbered = changes.into_iter().map(|(at, endpoint)| {
        let versions: &mut Vec<Duration> = &mut replaced[endpoint];
        versions.push(at);
        Change { at, endpoint, version: versions.len() as u64 }
    });
    numbered.collect()
}

fn numbered(version: u64, body: &str) -> String {
    format!("{{\"version\":{version},\"body\":{body}}}")
}

/// The number that a body begins with.
pub fn version_of(body: &[u8]) -> Option<u64> {
    let digits = body.strip_prefix(b"{\"version\":")?.split(|byte| *byte == b',').next()?;
    str::from_utf8(digits).ok()?.parse().ok()
}

/// The answers that a hub has at these paths by itself.
fn natural(paths: &[String]) -> Vec<String> {
    let mut hub = Hub::standard(SEED);
    hub.add_token(Token::new("ghp_natural", "octocat").with_limit(LIMIT).with_repo(REPOS[0], fakehub::Role::Admin));
    let body = |path: &String| {
        let asked = Request::get(path).header(header::AUTHORIZATION, "Bearer ghp_natural").body(Bytes::new());
        let answer = hub.handle(&asked.expect("a plain path"), unix_secs(Duration::ZERO)).response;
        String::from_utf8_lossy(&answer.map(http::Response::into_body).unwrap_or_default()).into_owned()
    };
    paths.iter().map(body).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_that_is_asked_for_twice_counts_once_but_for_what_is_a_tokens_own() {
        let poll = |at, token, endpoint| Poll { at: Duration::from_secs(at), machine: 0, token, endpoint };
        let polls = vec![poll(1, 0, 2), poll(2, 1, 2), poll(2, 0, 4), poll(9, 0, 2), poll(1, 0, 0), poll(2, 0, 0)];
        let asked = Asked { tokens: 2, polls, ..Asked::default() };
        let mut trace = Trace::draw(1, Duration::from_secs(10), &["", "/issues"], asked);
        trace.replaced = vec![Vec::new(); trace.endpoints()];
        assert_eq!(trace.least(), 3);
        trace.replaced[2] = vec![Duration::from_secs(5), Duration::from_secs(6)];
        assert_eq!(trace.least(), 4);
        trace.polls.push(poll(9, 1, 0));
        assert_eq!(trace.least(), 5, "the other token has another one in it");
    }

    #[test]
    fn versions_are_numbered_from_the_first_change_on() {
        let trace = Trace::draw(1, Duration::from_secs(24 * 3600), &["", "/issues"], Asked::default());
        assert_eq!(trace.endpoints(), 10);
        // 2 % of 10 objects in 1,440 minutes.
        assert!((200..380).contains(&trace.changes.len()), "{}", trace.changes.len());
        let first = trace.changes[0];
        assert_eq!(trace.replaced(first.endpoint, 0), Some(first.at));
        assert_eq!(trace.visibility(9), Visibility::Repo(REPOS[4].to_owned()));
        assert_eq!(version_of(numbered(7, "[]").as_bytes()), Some(7));
    }
}
