use std::collections::BTreeMap;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde::Deserialize;
use serde_json::json;
use wire::{Millis, ScopeId};

use super::{Ledger, ResourceState, StopReason};
use crate::{Resource, limits};

/// What is answered in GitHub's place while a bucket is stopped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LimitAnswer {
    pub status: StatusCode,
    /// With `Retry-After` counted down, and the figures that are true now.
    pub headers: HeaderMap,
    /// As GitHub wrote it to this very credential, if it did.
    pub body: Bytes,
}

/// What an answer says of a budget: the figures of its `x-ratelimit-*` headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LimitFigures {
    pub limit: u64,
    pub remaining: u64,
    pub used: u64,
    /// In seconds since 1970.
    pub reset: u64,
    pub resource: Resource,
}

impl LimitFigures {
    /// The headers that tell them.
    pub fn headers(self) -> HeaderMap {
        let mut headers = HeaderMap::with_capacity(5);
        for (name, value) in [
            ("x-ratelimit-limit", self.limit),
            ("x-ratelimit-remaining", self.remaining),
            ("x-ratelimit-used", self.used),
            ("x-ratelimit-reset", self.reset),
        ] {
            headers.insert(name, HeaderValue::from(value));
        }
        headers.insert("x-ratelimit-resource", HeaderValue::from_static(self.resource.name()));
        headers
    }
}

impl Ledger {
    /// The figures that are true now, for an answer from the cache. `None` if nothing is known of the
    /// budget.
    pub fn figures_for(&self, scope: ScopeId, resource: Resource, now: Millis) -> Option<LimitFigures> {
        let state = self.state(scope)?.resources.get(&resource)?.at(resource, now);
        let reset = state.reset.as_secs();
        Some(LimitFigures { limit: state.limit, remaining: state.remaining, used: state.used, reset, resource })
    }

    /// The same as headers.
    pub fn headers_for(&self, scope: ScopeId, resource: Resource, now: Millis) -> Option<HeaderMap> {
        self.figures_for(scope, resource, now).map(LimitFigures::headers)
    }

    /// GitHub's refusal, counted down. `None` if the bucket is not stopped (any more).
    pub fn limit_answer(&self, scope: ScopeId, resource: Resource, now: Millis) -> Option<LimitAnswer> {
        let (until, reason) = self.bucket(scope)?.stop(resource, now)?;
        Some(self.answer_to(scope, resource, (until, reason), now))
    }

    /// What is said to a request that is [`super::Admit::Stopped`] until then and for that reason.
    pub fn answer_to(
        &self,
        scope: ScopeId,
        resource: Resource,
        (until, reason): (Millis, StopReason),
        now: Millis,
    ) -> LimitAnswer {
        let told = self.scopes.get(&scope).and_then(|scope| scope.refusal.clone());
        let (status, body) = told.filter(|_| reason != StopReason::Shared).unwrap_or_else(|| {
            let message = match reason {
                StopReason::Drained => "API rate limit exceeded.",
                StopReason::Refused => "You have exceeded a secondary rate limit.",
                StopReason::Shared => "Little is left of this rate limit, and this machine has had its share of it.",
            };
            let url = "https://docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api";
            let body = json!({ "message": message, "documentation_url": url }).to_string();
            (StatusCode::FORBIDDEN, body.into())
        });
        let mut headers = self.headers_for(scope, resource, now).unwrap_or_default();
        // Rounded up: who comes back a moment early is refused again.
        headers.insert(header::RETRY_AFTER, HeaderValue::from(until.0.saturating_sub(now.0).div_ceil(1000)));
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8"));
        LimitAnswer { status, headers, body }
    }

    /// Takes the body of a 200 to `GET /rate_limit` in.
    pub fn seen_rate_limit(&mut self, scope: ScopeId, body: &[u8], now: Millis) {
        #[derive(Deserialize)]
        struct Body {
            resources: BTreeMap<String, Figures>,
        }
        #[derive(Deserialize)]
        struct Figures {
            limit: u64,
            remaining: u64,
            #[serde(default)]
            used: u64,
            reset: u64,
        }
        let Ok(Body { resources }) = serde_json::from_slice(body) else { return };
        if resources.len() > limits::RATE_LIMIT_RESOURCES_MAX {
            return;
        }
        let latest = now.after(limits::STOP_MAX);
        let listed: BTreeMap<String, ResourceState> = resources
            .into_iter()
            .map(|(name, Figures { limit, remaining, used, reset })| {
                let reset = Millis::from_secs(reset).min(latest);
                (name, ResourceState { limit, remaining, used, reset, seen: now })
            })
            .collect();
        for (name, state) in &listed {
            let resource = Resource::named(name);
            if resource != Resource::UNKNOWN {
                self.leave_if_contradicted(scope, resource, state, now);
                self.bucket_of(scope, now).state.learn(resource, *state);
            }
        }
        let _ = self.bucket_of(scope, now);
        self.scopes.entry(scope).and_modify(|scope| scope.listed = Some(listed));
    }

    /// The answer to `GET /rate_limit` with figures that are true now.
    ///
    /// `None` if GitHub never answered this credential that question, or if its budget was not
    /// heard of for [`limits::RATE_LIMIT_AGE_MAX`]: then ask GitHub, which costs nothing.
    pub fn rate_limit_answer(&self, scope: ScopeId, now: Millis) -> Option<Bytes> {
        let listed = self.scopes.get(&scope)?.listed.as_ref()?;
        let bucket = self.state(scope)?;
        if now.since(bucket.resources.get(&Resource::CORE)?.seen) > limits::RATE_LIMIT_AGE_MAX {
            return None;
        }
        let figures = |name: &str, listed: &ResourceState| {
            let resource = Resource::named(name);
            let state = bucket.resources.get(&resource).filter(|_| resource != Resource::UNKNOWN).unwrap_or(listed);
            let state = state.at(resource, now);
            json!({
                "limit": state.limit,
                "used": state.used,
                "remaining": state.remaining,
                "reset": state.reset.as_secs(),
            })
        };
        let resources: BTreeMap<&str, _> =
            listed.iter().map(|(name, state)| (name.as_str(), figures(name, state))).collect();
        let rate = resources.get("core").cloned();
        Some(json!({ "resources": resources, "rate": rate? }).to_string().into())
    }
}
