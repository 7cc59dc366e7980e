use std::{sync::Arc, time::Duration};

use futures::{FutureExt, future::BoxFuture};
use gateway::{Body, Origin, OriginError, full};
use github::{Credential, Family, Resource, Site, Target, Verdict, enterprise_path, judge};
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Collected};

use crate::{
    Counters,
    budgets::{Asked, Budgets},
    cache::now,
    fill::date_secs,
    limits,
    origin_clock::OriginClock,
    share::Accepted,
};

/// Counts every request to the API, whoever makes it, and tells the ledger what came back: hits mean
/// nothing without this figure, and a limit is a limit whoever runs into it.
pub struct MeteredOrigin {
    inner: Arc<dyn Origin>,
    counters: Arc<Counters>,
    budgets: Arc<Budgets>,
    sites: Arc<[Site]>,
    accepted: Arc<Accepted>,
    accepted_for: Duration,
    clock: Arc<OriginClock>,
}

impl MeteredOrigin {
    /// A credential counts as accepted for `accepted_for` after an answer that says so.
    pub fn new(
        inner: Arc<dyn Origin>,
        counters: Arc<Counters>,
        budgets: Arc<Budgets>,
        sites: Arc<[Site]>,
        accepted: Arc<Accepted>,
        accepted_for: Duration,
        clock: Arc<OriginClock>,
    ) -> Self {
        Self { inner, counters, budgets, sites, accepted, accepted_for, clock }
    }

    fn asked(&self, request: &Request<Body>) -> Option<Asked> {
        let authority = request.uri().authority()?.as_str();
        let site = self.sites.iter().find(|site| site.authority() == authority)?;
        let path = request.uri().path();
        let path = if site.is_github() { path } else { enterprise_path(path).unwrap_or(path) };
        let target = Target::parse(path, None).ok();
        let credential = request.headers().get(header::AUTHORIZATION).map(Credential::from_authorization);
        Some(Asked {
            site: site.name.clone(),
            scope: self.budgets.scope(credential.as_ref()),
            credential,
            resource: target.as_ref().map_or(Resource::CORE, Resource::of),
            is_rate_limit: request.method() == Method::GET && path == "/rate_limit",
            family: target.map(|target| Family::of(&site.name, &target)),
        })
    }

    fn count(&self, answer: &Result<Response<Body>, OriginError>, authorised: bool, family: Option<&Family>) {
        let counters = &self.counters;
        let asked = |is_proof| family.into_iter().for_each(|family| counters.families.asked(family, is_proof));
        match answer {
            Ok(response) if response.status() == StatusCode::NOT_MODIFIED && authorised => {
                counters.origin_proofs.one();
                asked(true);
            }
            Ok(response) => {
                counters.origin_charged.one();
                asked(false);
                if let Verdict::Limited { .. } = judge(response.status(), response.headers(), b"", now()) {
                    counters.origin_limits.one();
                }
            }
            Err(_) => counters.origin_failures.one(),
        }
    }

    /// Tells the ledger. The text is read where it may say what the headers do not.
    async fn learn(&self, asked: &Asked, response: Response<Body>) -> Result<Response<Body>, OriginError> {
        let (head, body) = response.into_parts();
        let may_say = asked.is_rate_limit
            || matches!(head.status, StatusCode::FORBIDDEN | StatusCode::TOO_MANY_REQUESTS)
            || asked.resource == Resource::GRAPHQL;
        let length = head.headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
        let is_plain = !head.headers.contains_key(header::CONTENT_ENCODING);
        let is_short = length.is_some_and(|length: u64| length <= limits::LIMIT_TEXT_BYTES_MAX);
        if !(may_say && is_plain && is_short) {
            self.budgets.learn(asked, &head.headers, head.status, b"");
            return Ok(Response::from_parts(head, body));
        }
        // The origin behind this one ends a body of which nothing arrives.
        let text = body.collect().await.map(Collected::to_bytes);
        self.budgets.learn(asked, &head.headers, head.status, text.as_deref().unwrap_or_default());
        let text = text.map_err(|cause| OriginError::Broken { host: asked.site.clone(), cause })?;
        Ok(Response::from_parts(head, full(text)))
    }
}

impl Origin for MeteredOrigin {
    fn send(&self, mut request: Request<Body>) -> BoxFuture<'_, Result<Response<Body>, OriginError>> {
        let Some(asked) = self.asked(&request) else { return self.inner.send(request) };
        self.counters.origin_requests.one();
        if request.uri().path().ends_with("/graphql") {
            self.counters.graphql_requests.one();
        }
        if asked.is_rate_limit {
            request.headers_mut().insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        }
        let scope = asked.scope;
        let authorised = request.headers().contains_key(header::AUTHORIZATION);
        async move {
            let began = now();
            let answer = self.inner.send(request).await;
            if let Some(date_secs) = answer.as_ref().ok().and_then(|response| date_secs(response.headers())) {
                self.clock.note(&asked.site, date_secs, began, now());
            }
            self.count(&answer, authorised, asked.family.as_ref());
            if let Ok(response) = &answer
                && !matches!(response.status().as_u16(), 401 | 403 | 429 | 500..)
            {
                self.accepted.note(scope, now().after(self.accepted_for));
            }
            self.learn(&asked, answer?).await
        }
        .boxed()
    }
}
