mod switches;
#[cfg(test)]
mod tests;

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use serde_json::json;

use crate::{
    answer::{Answer, EtagRule, dress, sign},
    ask::{API, Ask},
    auth::{Caller, Keyring},
    budget::{ANONYMOUS_LIMIT, Bucket, Budgets, Resource},
    counts::{Ledger, Tally},
    document::Documents,
    fault::Faults,
    graphql,
    page::Query,
    route::route,
    seed::Seed,
    world::World,
};

/// A GitHub: its data, its tokens, its budgets and its memory of who asked for what.
///
/// Deterministic: the same seed and the same requests at the same times give the same answers.
#[derive(Debug)]
pub struct Hub {
    /// Where the hub says that it is, without a slash at the end: in `Link`, `Location` and bodies.
    pub api_url: String,
    pub etag_rule: EtagRule,
    pub(crate) world: World,
    pub(crate) documents: Documents,
    pub(crate) keyring: Keyring,
    pub(crate) budgets: Budgets,
    pub(crate) ledger: Ledger,
    pub(crate) faults: Faults,
    ids: Seed,
}

/// What the shell has to do for a request.
#[derive(Debug)]
pub struct Reply {
    /// How long to wait before `response` is sent; the hub itself never waits.
    pub latency: Duration,
    /// `None`: never answer, and leave the connection open.
    pub response: Option<Response<Bytes>>,
}

impl Hub {
    /// A hub with five users, three organisations and 21 repositories, and no tokens.
    ///
    /// Among them `octocat/Hello-World` (public, 70 issues), `acme/secret` (private) and
    /// `octo-org/empty`, whose listings are all empty.
    pub fn standard(seed: u64) -> Self {
        Self::with_world(World::standard(Seed::new(seed)), seed)
    }

    /// A hub with nothing in it but what is registered.
    pub fn empty(seed: u64) -> Self {
        Self::with_world(World::empty(Seed::new(seed)), seed)
    }

    fn with_world(world: World, seed: u64) -> Self {
        Self {
            api_url: API.to_owned(),
            etag_rule: EtagRule::default(),
            world,
            documents: Documents::default(),
            keyring: Keyring::default(),
            budgets: Budgets::default(),
            ledger: Ledger::default(),
            faults: Faults::default(),
            ids: Seed::new(seed).fork("request ids"),
        }
    }

    /// Answers `request`, which arrived at `now` in Unix seconds, and counts it.
    pub fn handle(&mut self, request: &Request<Bytes>, now: u64) -> Reply {
        let path = request.uri().path();
        let caller = self.keyring.identify(request.headers());
        let mut tally = Tally { requests: 1, ..Tally::default() };
        let response = if self.faults.silent(path) {
            tally.failed = 1;
            None
        } else {
            let response = self.answer(request, &caller, now, &mut tally);
            tally.body_bytes = response.body().len() as u64;
            Some(response)
        };
        let target = request.uri().path_and_query().map_or(path, |target| target.as_str());
        self.ledger.add(caller.kind(), caller.label(), request.method().as_str(), target, tally);
        Reply { latency: self.faults.latency(path), response }
    }

    fn answer(&mut self, request: &Request<Bytes>, caller: &Caller, now: u64, tally: &mut Tally) -> Response<Bytes> {
        let path = request.uri().path();
        let request_id = self.request_id();
        let authorised = matches!(caller, Caller::User(_));
        let resource = if authorised { Resource::of(path) } else { Resource::Core };
        let bucket = *self.bucket(caller, resource, now);
        let ask = Ask {
            method: request.method(),
            path,
            query: Query::parse(request.uri().query()),
            body: request.body(),
            caller,
            now,
            api_url: &self.api_url.clone(),
        };
        let (answer, price) = if let Some(failure) = self.faults.failure(path) {
            tally.failed = 1;
            (failure.answer(), 0)
        } else if path == "/rate_limit" && ask.is_read() && !matches!(caller, Caller::Unknown) {
            (self.rate_limit(&ask), 0)
        } else if bucket.remaining() == 0 {
            tally.limited = 1;
            (self.limited(caller, resource, &request_id), 0)
        } else if matches!(caller, Caller::Unknown) {
            (Answer::bad_credentials(), 1)
        } else if let Some(refusal) = unknown_version(request.headers()) {
            (refusal, 1)
        } else if path == "/graphql" {
            let spent = Bucket { used: bucket.used + 1, ..bucket };
            (graphql::graphql(&mut self.world, &ask, &spent), 1)
        } else {
            (route(&mut self.world, &mut self.documents, &ask), 1)
        };

        tally.mutations = u64::from(answer.mutation);
        let dressed = dress(request, authorised, answer, self.etag_rule);
        if dressed.not_modified && authorised {
            tally.not_modified = 1;
        } else {
            tally.charged = price;
            self.bucket(caller, resource, now).used += price;
        }
        let bucket = *self.bucket(caller, resource, now);
        let mut response = dressed.response;
        sign(response.headers_mut(), resource, &bucket, &request_id, now);
        response
    }

    /// Tokens of one user share a bucket; everybody else shares that of the one address there is.
    fn bucket(&mut self, caller: &Caller, resource: Resource, now: u64) -> &mut Bucket {
        match caller.login() {
            Some(login) => self.budgets.bucket(login, resource, self.keyring.limit(login), now),
            None => self.budgets.bucket("anonymous", resource, ANONYMOUS_LIMIT, now),
        }
    }

    fn limited(&self, caller: &Caller, resource: Resource, request_id: &str) -> Answer {
        let account = caller.login().and_then(|login| self.world.accounts.get(&login.to_ascii_lowercase()));
        match account.map(|account| account.id) {
            Some(id) if resource == Resource::Graphql => graphql::limited(id),
            id => Answer::limited(id, request_id),
        }
    }

    fn rate_limit(&mut self, ask: &Ask<'_>) -> Answer {
        let mut part = |resource| {
            let bucket = *self.bucket(ask.caller, resource, ask.now);
            json!({
                "limit": bucket.limit,
                "used": bucket.used,
                "remaining": bucket.remaining(),
                "reset": bucket.reset,
                "resource": resource.name(),
            })
        };
        let (core, graphql) = (part(Resource::Core), part(Resource::Graphql));
        ask.ok(&json!({ "resources": { "core": core, "graphql": graphql }, "rate": core })).untagged()
    }

    fn request_id(&mut self) -> String {
        let [a, b, c] = [4, 6, 8].map(|digits| self.ids.hex(digits).to_uppercase());
        format!("{a}:{b}:{c}")
    }
}

/// GitHub's 400 for an API version that it does not have.
fn unknown_version(asked: &HeaderMap) -> Option<Answer> {
    let version = asked.get("x-github-api-version")?.to_str().unwrap_or_default();
    let known = matches!(version, "2022-11-28" | "2026-03-10");
    let message = "The version of the API in the X-GitHub-Api-Version header is not supported.";
    let url = "https://docs.github.com/rest/about-the-rest-api/api-versions";
    (!known).then(|| Answer::error(http::StatusCode::BAD_REQUEST, message, url))
}
