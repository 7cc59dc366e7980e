//! Requests that the cache has no part in but to see what they end.

use std::sync::Arc;

use futures::channel::oneshot;
use gateway::{Body, Refusal, empty};
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header};
use http_rules::{forwardable, invalidated};

use crate::{HttpCache, answer::relayed, ask::Ask, cache::Told, counters::one};

impl HttpCache {
    /// Passes a request by. A write goes on to its end even if its client leaves, since it may take effect.
    pub(crate) async fn pass(self: Arc<Self>, ask: Ask, body: Body, why: &'static str) -> Response<Body> {
        one(&self.counters.passed);
        let (answered, answer) = oneshot::channel();
        let (tasks, cache) = (self.tasks.clone(), self);
        let mut headers = forwardable(&ask.headers);
        if let Err(ours) = count_down(&ask.method, &mut headers) {
            return *ours;
        }
        tasks.spawn(async move {
            let response = match cache.ask_origin(&ask, &ask.method, headers, body).await {
                Ok(told) => cache.after_write(&ask, told, why),
                Err(error) => cache.failed(&error),
            };
            let _ = answered.send(response);
        });
        answer.await.unwrap_or_else(|_| {
            let hint = "ask whether it took effect before sending it again";
            Refusal::new(StatusCode::BAD_GATEWAY, "the request was not answered", hint).into_response()
        })
    }

    fn after_write(&self, ask: &Ask, told: Told, why: &str) -> Response<Body> {
        let ended = invalidated(&ask.method, &self.origin_base, &ask.target, told.head.status, &told.head.headers);
        for target in &ended {
            self.memory.invalidate(target);
        }
        if ask.method == Method::POST && !ended.is_empty() {
            let ticket = self.memory.ticket(&ask.target);
            return self.keep(ask, told, ticket, why, None);
        }
        relayed(&told.head, told.body, why, false)
    }
}

/// Counts `Max-Forwards` of OPTIONS and TRACE down (RFC 9110, §7.6.2). `Err` is our answer as the last recipient.
fn count_down(method: &Method, headers: &mut HeaderMap) -> Result<(), Box<Response<Body>>> {
    let told = headers.get("max-forwards").and_then(|hops| hops.to_str().ok()?.trim().parse::<u64>().ok());
    let Some(hops) = told.filter(|_| [Method::OPTIONS, Method::TRACE].contains(method)) else { return Ok(()) };
    if let Some(fewer) = hops.checked_sub(1) {
        headers.insert("max-forwards", fewer.into());
        return Ok(());
    }
    if *method == Method::TRACE {
        let hint = "a trace ends at the origin only";
        let refusal = Refusal::new(StatusCode::NOT_IMPLEMENTED, "TRACE is not answered here", hint);
        return Err(Box::new(refusal.into_response()));
    }
    let mut response = Response::new(empty());
    response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from_static("0"));
    Err(Box::new(response))
}
