use bytes::Bytes;
use http::{HeaderMap, HeaderName, Method, Request, Response, StatusCode};
use serde_json::{Map, Value, json};

use super::Hub;
use crate::{
    answer::{Answer, Caching},
    ask::Ask,
    auth::Caller,
    budget::{ANONYMOUS_LIMIT, Bucket, Resource},
    counts::Tally,
    dress::{Class, dress, set, sign},
    fault::Failure,
    graphql,
    page::Query,
    route::route,
    secondary::{self, Weight},
};

/// The resources of `/rate_limit` that the hub has no routes for, and their limits per hour.
const UNUSED: [(&str, u64); 4] = [
    ("integration_manifest", 5_000),
    ("source_import", 100),
    ("actions_runner_registration", 10_000),
    ("scim", 15_000),
];

impl Hub {
    /// Everything in GitHub's order: failures, what is free, limits, credentials, versions, routes.
    pub(super) fn answer(
        &mut self,
        request: &Request<Bytes>,
        path: &str,
        found: bool,
        caller: &Caller,
        refused: Option<u64>,
        now: u64,
        tally: &mut Tally,
    ) -> Response<Bytes> {
        let request_id = self.request_id();
        let (api_url, storage_url, enterprise) =
            (self.api_url.clone(), self.storage_url.clone(), self.enterprise.clone());
        let limited = enterprise.is_none();
        let resource = match Resource::of(path) {
            Resource::Graphql if caller.token().is_none() => Resource::Core,
            resource => resource,
        };
        let bucket = *self.bucket(caller, resource, now);
        let ask = Ask {
            method: request.method(),
            path,
            query: Query::parse(request.uri().query()),
            headers: request.headers(),
            body: request.body(),
            caller,
            now,
            api_url: &api_url,
            storage_url: storage_url.as_deref(),
            enterprise: enterprise.as_deref(),
        };
        let (answer, price) = if let Some(failure) = self.faults.failure(path) {
            tally.failed = 1;
            (failure.answer(), 0)
        } else if let Some(retry_after) = refused {
            tally.secondary = 1;
            let too_many = self.secondary.too_many;
            let status = if too_many { StatusCode::TOO_MANY_REQUESTS } else { StatusCode::FORBIDDEN };
            (secondary::refusal(status, Some(retry_after)), 0)
        } else if !found {
            (Answer::not_found(), 0)
        } else if path == "/rate_limit" && ask.is_read() && !matches!(caller, Caller::Unknown | Caller::BadJwt(_)) {
            let limits = if limited { self.rate_limit(&ask) } else { no_limits() };
            (limits, 0)
        } else if limited && bucket.remaining() == 0 {
            tally.limited = 1;
            (self.limited(caller, resource, &request_id), 0)
        } else if matches!(caller, Caller::Unknown) {
            (Answer::bad_credentials(), 1)
        } else if let Some(refusal) = unknown_version(request.headers()) {
            (refusal, 1)
        } else if path == "/graphql" {
            let spent = Bucket { used: bucket.used + 1, ..bucket };
            (graphql::graphql(&mut self.world, &ask, &spent), 1)
        } else if let Some(answer) = self.app_route(&ask) {
            (answer, 1)
        } else {
            (route(&mut self.world, &mut self.documents, &ask), 1)
        };

        tally.mutations = u64::from(answer.mutation);
        let dressed = dress(request, caller.class(), answer, self.etag_rule);
        if dressed.not_modified && caller.is_authorised() {
            tally.not_modified = 1;
        } else if limited {
            tally.charged = price;
            self.bucket(caller, resource, now).used += price;
        }
        let bucket = *self.bucket(caller, resource, now);
        let mut response = dressed.response;
        let date = now.saturating_add_signed(self.faults.date_skew);
        sign(response.headers_mut(), limited.then_some((resource, &bucket)), &request_id, date);
        if let Some(version) = &enterprise {
            set(response.headers_mut(), HeaderName::from_static("x-github-enterprise-version"), version);
        }
        response
    }

    /// A failure where nothing of GitHub's API is around it.
    pub(super) fn plain_failure(
        &self,
        request: &Request<Bytes>,
        failure: Failure,
        now: u64,
        tally: &mut Tally,
    ) -> Response<Bytes> {
        tally.failed = 1;
        let mut response = dress(request, Class::Public, failure.answer(), self.etag_rule).response;
        sign(response.headers_mut(), None, "", now);
        response
    }

    /// The path as github.com has it, and whether this hub has anything there at all.
    ///
    /// A GHES has its API under `/api/v3` and `/api/graphql`, github.com has it at the root.
    pub(super) fn api_path<'a>(&self, path: &'a str) -> (&'a str, bool) {
        if self.enterprise.is_none() {
            return (path, true);
        }
        match path.strip_prefix("/api") {
            Some("/graphql") => ("/graphql", true),
            Some("/v3") => ("/", true),
            Some(rest) if rest.starts_with("/v3/") => (&rest[3..], true),
            _ => (path, path.contains("/releases/download/")),
        }
    }

    pub(super) fn weigh(&self, request: &Request<Bytes>, path: &str) -> Weight {
        let graphql = path == "/graphql";
        let mutates = || {
            let body: Map<String, Value> = serde_json::from_slice(request.body()).unwrap_or_default();
            body.get("query").and_then(Value::as_str).is_some_and(|text| text.trim_start().starts_with("mutation"))
        };
        let method = request.method();
        let writes = if graphql { mutates() } else { !matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS) };
        Weight { graphql, writes, creates: writes && matches!(*method, Method::POST | Method::PUT) }
    }

    /// Tokens of one user share a bucket; everybody else shares that of the one address there is.
    fn bucket(&mut self, caller: &Caller, resource: Resource, now: u64) -> &mut Bucket {
        match caller.bucket() {
            Some(label) => self.budgets.bucket(label, resource, self.keyring.limit(label), now),
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
        let mut resources = Map::new();
        for resource in Resource::ALL {
            let bucket = *self.bucket(ask.caller, resource, ask.now);
            let part = json!({
                "limit": bucket.limit,
                "used": bucket.used,
                "remaining": bucket.remaining(),
                "reset": bucket.reset,
                "resource": resource.name(),
            });
            resources.insert(resource.name().to_owned(), part);
        }
        for (name, limit) in UNUSED {
            let reset = ask.now + 3_600;
            let part = json!({ "limit": limit, "used": 0, "remaining": limit, "reset": reset, "resource": name });
            resources.insert(name.to_owned(), part);
        }
        let core = resources["core"].clone();
        ask.ok(&json!({ "resources": resources, "rate": core })).with_caching(Caching::NoCache)
    }
}

/// What a GHES says as long as nobody turned its limits on.
fn no_limits() -> Answer {
    Answer::error(StatusCode::NOT_FOUND, "Rate limiting is not enabled.", "https://docs.github.com/rest/rate-limit")
}

/// GitHub's 400 for an API version that it does not have.
fn unknown_version(asked: &HeaderMap) -> Option<Answer> {
    let version = asked.get("x-github-api-version")?.to_str().unwrap_or_default();
    let known = matches!(version, "2022-11-28" | "2026-03-10");
    let message = "The version of the API in the X-GitHub-Api-Version header is not supported.";
    let url = "https://docs.github.com/rest/about-the-rest-api/api-versions";
    (!known).then(|| Answer::error(StatusCode::BAD_REQUEST, message, url))
}
