use std::sync::Arc;

use futures::{FutureExt, future::BoxFuture};
use gateway::{Body, Origin, OriginError};
use github::{Site, Verdict, judge};
use http::{Request, Response, StatusCode, header};

use crate::{Counters, cache::now};

/// Counts every request to the API, whoever makes it: hits mean nothing without this figure.
pub struct CountingOrigin {
    inner: Arc<dyn Origin>,
    counters: Arc<Counters>,
    /// Hosts with ports.
    api_authorities: Vec<String>,
}

impl CountingOrigin {
    pub fn new(inner: Arc<dyn Origin>, counters: Arc<Counters>, sites: &[Site]) -> Self {
        let api_authorities = sites.iter().map(|site| site.authority().to_owned()).collect();
        Self { inner, counters, api_authorities }
    }

    fn count(&self, answer: &Result<Response<Body>, OriginError>, authorised: bool) {
        let counters = &self.counters;
        match answer {
            Ok(response) if response.status() == StatusCode::NOT_MODIFIED && authorised => counters.origin_proofs.one(),
            Ok(response) => {
                counters.origin_charged.one();
                if let Verdict::Limited { .. } = judge(response.status(), response.headers(), b"", now()) {
                    counters.origin_limits.one();
                }
            }
            Err(_) => counters.origin_failures.one(),
        }
    }
}

impl Origin for CountingOrigin {
    fn send(&self, request: Request<Body>) -> BoxFuture<'_, Result<Response<Body>, OriginError>> {
        let is_api = request
            .uri()
            .authority()
            .is_some_and(|authority| self.api_authorities.iter().any(|known| authority.as_str() == known));
        if !is_api {
            return self.inner.send(request);
        }
        self.counters.origin_requests.one();
        if request.uri().path().ends_with("/graphql") {
            self.counters.graphql_requests.one();
        }
        let authorised = request.headers().contains_key(header::AUTHORIZATION);
        async move {
            let answer = self.inner.send(request).await;
            self.count(&answer, authorised);
            answer
        }
        .boxed()
    }
}
