//! What happens in the day, whoever asks: polls, changes, tokens; and the hub that it happens to.

use std::time::Duration;

use bytes::Bytes;
use fakehub::{Hub, Token, TokenKind, Visibility};
use http::{Request, header};

use super::{MACHINES, POLLERS, POLLS_PER_MINUTE, ROTATION};
use crate::{draw::Stream, github::unix_secs};

/// Of one account, two of them private.
const REPOS: [&str; 5] = ["acme/secret", "acme/website", "acme/parser", "acme/deploy", "acme/upload"];

/// What a dashboard of a repository shows.
const KINDS: [&str; 8] =
    ["", "/actions/runs", "/actions/runners", "/issues", "/pulls", "/releases/latest", "/branches", "/commits"];

pub const ENDPOINTS: usize = REPOS.len() * KINDS.len();

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
    pub endpoint: usize,
}

#[derive(Clone, Copy, Debug)]
pub struct Change {
    pub at: Duration,
    pub endpoint: usize,
    /// From now on.
    pub version: u64,
}

#[derive(Clone, Debug)]
pub struct Trace {
    pub span: Duration,
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
    /// Each poller goes round the endpoints in its own order of beginning, a poll each five seconds; in
    /// each minute, each object changes with a chance of 2 %.
    pub fn draw(seed: u64, span: Duration) -> Self {
        let every = Duration::from_secs(60) / POLLS_PER_MINUTE as u32;
        let mut polls = Vec::new();
        for poller in 0..POLLERS {
            let mut drawn = Stream::new(seed, &format!("poller {poller}"));
            let (first, phase) = (drawn.range(0, ENDPOINTS as u64) as usize, drawn.range(0, every.as_millis() as u64));
            let times = (0..).map(|round| Duration::from_millis(phase) + every * round).take_while(|at| *at < span);
            let machine = poller % MACHINES;
            polls.extend(times.zip(first..).map(|(at, next)| Poll { at, machine, endpoint: next % ENDPOINTS }));
        }
        polls.sort_by_key(|poll| poll.at);
        let mut changes = Vec::new();
        let mut replaced = vec![Vec::new(); ENDPOINTS];
        let mut drawn = Stream::new(seed, "changes");
        for minute in 0..span.as_secs() / 60 {
            for endpoint in 0..ENDPOINTS {
                if drawn.percent(CHANGES_PERCENT) {
                    let at = Duration::from_millis(60_000 * minute + drawn.range(0, 60_000));
                    changes.push((at, endpoint));
                }
            }
        }
        changes.sort_unstable();
        let changes = changes.into_iter().map(|(at, endpoint)| {
            let versions: &mut Vec<Duration> = &mut replaced[endpoint];
            versions.push(at);
            Change { at, endpoint, version: versions.len() as u64 }
        });
        let changes = changes.collect();
        let paths = REPOS.iter().flat_map(|repo| KINDS.iter().map(move |kind| format!("/repos/{repo}{kind}")));
        let paths: Vec<String> = paths.collect();
        Self { span, polls, changes, replaced, bodies: natural(&paths), paths }
    }

    pub fn path(&self, endpoint: usize) -> &str {
        &self.paths[endpoint]
    }

    /// When this version was replaced, if it ever was.
    pub fn replaced(&self, endpoint: usize, version: u64) -> Option<Duration> {
        self.replaced[endpoint].get(version as usize).copied()
    }

    /// The hub as it is at the beginning. Each endpoint has a number before its body, so that it changes
    /// when it should and only then.
    pub fn hub(&self) -> Hub {
        let mut hub = Hub::standard(SEED);
        for machine in 0..MACHINES {
            for hour in 0..=self.span.as_secs() / ROTATION.as_secs() {
                let mut token = Token::new(token(machine, hour), "acme-dashboard[bot]").with_limit(LIMIT);
                (token.kind, token.account) = (TokenKind::Installation, Some("acme".to_owned()));
                hub.add_token(token);
            }
        }
        for (endpoint, (path, body)) in self.paths.iter().zip(&self.bodies).enumerate() {
            hub.put_document(path, visibility(endpoint), numbered(0, body));
        }
        hub
    }

    /// Lets a change happen.
    pub fn change(&self, hub: &mut Hub, Change { endpoint, version, .. }: Change) {
        let body = numbered(version, &self.bodies[endpoint]);
        hub.put_document(&self.paths[endpoint], visibility(endpoint), body);
    }
}

fn visibility(endpoint: usize) -> Visibility {
    Visibility::Repo(REPOS[endpoint / KINDS.len()].to_owned())
}

fn numbered(version: u64, body: &str) -> String {
    format!("{{\"version\":{version},\"body\":{body}}}")
}

/// The number that a body begins with.
pub fn version_of(body: &[u8]) -> Option<u64> {
    let digits = body.strip_prefix(b"{\"version\":")?.split(|byte| *byte == b',').next()?;
    str::from_utf8(digits).ok()?.parse().ok()
}

/// The token of a machine in an hour; before it, nobody has it.
pub fn bearer(machine: u32, at: Duration) -> String {
    format!("Bearer {}", token(machine, at.as_secs() / ROTATION.as_secs()))
}

fn token(machine: u32, hour: u64) -> String {
    format!("ghs_dashboard{machine:02}{hour:04}")
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
    fn a_day_has_what_it_should() {
        let trace = Trace::draw(1, Duration::from_secs(24 * 3600));
        assert_eq!((trace.polls.len(), ENDPOINTS), (345_600, 40));
        // 2 % of 40 objects in 1,440 minutes.
        assert!((1_000..1_300).contains(&trace.changes.len()), "{}", trace.changes.len());
        let first = trace.changes[0];
        assert_eq!(trace.replaced(first.endpoint, 0), Some(first.at));
        assert_eq!(version_of(numbered(7, "[]").as_bytes()), Some(7));
    }
}
