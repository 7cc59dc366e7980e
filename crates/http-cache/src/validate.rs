//! What is done with a stored response that may not be served as it is.

use std::{sync::Arc, time::SystemTime};

use gateway::{Body, OriginError, empty};
use http::{HeaderValue, Method, Response, StatusCode, header};
use http_body_util::{BodyExt, Limited};
use http_rules::{Failure, Reuse, condition_on, forwardable, missing_part};

use crate::{
    HttpCache,
    answer::{How, relayed, serve},
    ask::Ask,
    counters::one,
    flights::Flight,
    memory::Variant,
};

impl HttpCache {
    /// Asks whether a stored response still holds.
    pub(crate) async fn validate(&self, ask: &Ask, variant: Arc<Variant>, flight: Option<Flight>) -> Response<Body> {
        let why = if ask.wishes.no_cache || ask.wishes.max_age.is_some() { "request" } else { "stale" };
        let headers = condition_on(&variant.stored, &ask.headers);
        let was_conditional =
            [header::IF_NONE_MATCH, header::IF_MODIFIED_SINCE].iter().any(|name| headers.contains_key(name));
        let ticket = self.memory.ticket(&ask.target);
        let told = match self.ask_origin(ask, &Method::GET, headers, empty()).await {
            Ok(told) => told,
            Err(error) => return self.without_origin(ask, &variant, &error),
        };
        if told.head.status == StatusCode::NOT_MODIFIED && was_conditional {
            one(&self.counters.validated);
            let exchange = ask.exchange(&Method::GET, told.asked, told.answered);
            let (stored, may_stay) = variant.stored.freshened(&exchange, &told.head.headers);
            let fresh = || Variant { stored: stored.clone(), body: variant.body.clone() };
            if may_stay {
                self.memory.put(&ask.target, &ask.headers, &ticket, fresh());
            } else {
                self.memory.remove(&ask.target, &variant);
            }
            drop(flight);
            let how = How::Forwarded(why);
            let response = serve(&fresh(), ask, how, Some(304), told.answered);
            return response.expect("a whole response holds every part of it");
        }
        let is_failure = matches!(told.head.status.as_u16(), 500 | 502 | 503 | 504);
        if is_failure && variant.stored.outlives(Failure::Error, &ask.wishes, self.disconnected_max, told.answered) {
            one(&self.counters.stale);
            let response = serve(&variant, ask, How::StaleOnError, None, told.answered);
            return response.expect("a whole response holds every part of it");
        }
        if !told.head.status.is_server_error() {
            self.memory.remove(&ask.target, &variant);
        }
        one(&self.counters.misses);
        self.keep(ask, told, ticket, why, flight)
    }

    /// Asks for what a stored part lacks, or for all of it.
    pub(crate) async fn complete(&self, ask: &Ask, variant: &Arc<Variant>, flight: Option<Flight>) -> Response<Body> {
        let is_fresh = variant.stored.reuse(&ask.wishes, SystemTime::now()) == Reuse::Fresh;
        let rest = missing_part(&variant.stored, &ask.headers);
        let (Some(headers), true, false) = (rest, is_fresh, ask.headers.contains_key(header::RANGE)) else {
            return self.fill(ask, forwardable(&ask.headers), "partial", flight).await;
        };
        let ticket = self.memory.ticket(&ask.target);
        let told = match self.ask_origin(ask, &Method::GET, headers, empty()).await {
            Ok(told) => told,
            Err(error) => return self.failed(&error),
        };
        one(&self.counters.misses);
        if told.head.status != StatusCode::PARTIAL_CONTENT {
            return self.keep(ask, told, ticket, "partial", flight);
        }
        let exchange = ask.exchange(&Method::GET, told.asked, told.answered);
        let whole = variant.stored.completed(&exchange, &told.head.headers);
        let starts_it = variant.stored.part().is_some_and(|have| have.part.first == 0);
        let rest = Limited::new(told.body, self.memory.entry_bytes_max() as usize).collect().await;
        if let (Some(stored), Ok(rest)) = (whole, rest) {
            let rest = rest.to_bytes();
            let (first, second) = if starts_it { (&variant.body, &rest) } else { (&rest, &variant.body) };
            let body: bytes::Bytes = [&first[..], &second[..]].concat().into();
            if stored.headers().get(header::CONTENT_LENGTH) == Some(&HeaderValue::from(body.len())) {
                let whole = Variant { stored: stored.clone(), body: body.clone() };
                self.memory.put(&ask.target, &ask.headers, &ticket, whole);
                let response =
                    serve(&Variant { stored, body }, ask, How::Forwarded("partial"), Some(206), told.answered);
                return response.expect("it is whole");
            }
        }
        // The two are not parts of the same.
        self.memory.remove(&ask.target, variant);
        self.fill(ask, forwardable(&ask.headers), "partial", flight).await
    }

    /// HEAD that memory cannot answer. What it tells updates or ends the stored answer to GET (RFC 9111, §4.3.5).
    pub(crate) async fn head(&self, ask: &Ask, found: Option<Arc<Variant>>) -> Response<Body> {
        one(&self.counters.misses);
        let ticket = self.memory.ticket(&ask.target);
        let told = match (self.ask_origin(ask, &Method::HEAD, forwardable(&ask.headers), empty()).await, &found) {
            (Ok(told), _) => told,
            (Err(error), Some(variant)) => return self.without_origin(ask, variant, &error),
            (Err(error), None) => return self.failed(&error),
        };
        if let Some(variant) = found.filter(|variant| told.head.status == variant.stored.status()) {
            let exchange = ask.exchange(&Method::GET, told.asked, told.answered);
            let is_same = variant.stored.part().is_none() && variant.stored.is_described_by(&told.head.headers);
            match variant.stored.freshened(&exchange, &told.head.headers) {
                (stored, true) if is_same => {
                    let fresh = Variant { stored, body: variant.body.clone() };
                    self.memory.put(&ask.target, &ask.headers, &ticket, fresh);
                }
                _ => self.memory.remove(&ask.target, &variant),
            }
        }
        relayed(&told.head, empty(), if ask.wishes.no_cache { "request" } else { "miss" }, false)
    }

    /// The origin was not reached: the stored response, if it may be served all the same.
    fn without_origin(&self, ask: &Ask, variant: &Variant, error: &OriginError) -> Response<Body> {
        let now = SystemTime::now();
        if variant.stored.outlives(Failure::Disconnected, &ask.wishes, self.disconnected_max, now)
            && let Some(response) = serve(variant, ask, How::StaleOnError, None, now)
        {
            one(&self.counters.stale);
            one(&self.counters.failures);
            return response;
        }
        let mut response = self.failed(error);
        if variant.stored.must_not_be_stale() {
            *response.status_mut() = StatusCode::GATEWAY_TIMEOUT;
        }
        response
    }
}
