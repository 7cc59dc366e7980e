use std::{
    sync::{Arc, atomic::AtomicU64},
    time::{Duration, SystemTime},
};

use futures::{
    FutureExt,
    future::{Either, ready},
};
use gateway::{Answering, Body, Broken, Handle, Origin, OriginError, Refusal, check_any, empty};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header, response::Parts};
use http_body_util::BodyExt;
use http_rules::{OUR_NAME, Reuse, Stored, Verdict, evaluate, forwardable, is_for_the_origin, is_unsafe, not_modified};
use task::Tasks;
use tracing::debug;

use crate::{
    Counters,
    answer::{How, relayed, serve},
    ask::Ask,
    counters::one,
    fill::Fill,
    flights::{Flight, Flights, Seat},
    limits,
    memory::{Memory, Ticket},
};

/// A shared cache in front of one origin.
pub struct HttpCache {
    origin: Arc<dyn Origin>,
    /// Scheme and authority.
    pub(crate) origin_base: String,
    /// The path below which the origin's resources are; empty, or with a slash at its start only.
    prefix: String,
    pub(crate) memory: Arc<Memory>,
    flights: Flights,
    filling: Arc<AtomicU64>,
    pub(crate) tasks: Tasks,
    pub(crate) disconnected_max: Duration,
    pub counters: Counters,
}

/// The origin's answer, and when it was asked and answered.
pub(crate) struct Told {
    pub(crate) head: Parts,
    pub(crate) body: Body,
    pub(crate) asked: SystemTime,
    pub(crate) answered: SystemTime,
}

impl HttpCache {
    /// `origin_url` has no slash at its end. `disconnected_max` is for how long after its end a response may
    /// be served, where the origin has not forbidden it, while the origin is out of reach.
    pub fn new(
        origin: Arc<dyn Origin>,
        origin_url: &str,
        memory_bytes: u64,
        disconnected_max: Duration,
        tasks: Tasks,
    ) -> Self {
        let authority_at = origin_url.find("://").map_or(0, |at| at + 3);
        let path_at = origin_url[authority_at..].find('/').map_or(origin_url.len(), |at| authority_at + at);
        Self {
            origin,
            origin_base: origin_url[..path_at].to_owned(),
            prefix: origin_url[path_at..].to_owned(),
            memory: Arc::new(Memory::new(memory_bytes)),
            flights: Flights::default(),
            filling: Arc::default(),
            tasks,
            disconnected_max,
            counters: Counters::default(),
        }
    }

    /// What is held: bytes, and targets.
    pub fn held(&self) -> (u64, usize) {
        (self.memory.bytes(), self.memory.targets())
    }

    /// Answers from memory alone, if that is allowed now.
    fn at_once(self: &Arc<Self>, ask: &Ask, how: How) -> Option<Response<Body>> {
        if ask.wishes.no_store || is_for_the_origin(&ask.headers) {
            return None;
        }
        let now = SystemTime::now();
        let variant = self.memory.find(&ask.target, &ask.headers).0?;
        let reuse = variant.stored.reuse(&ask.wishes, now);
        if reuse == Reuse::Validate {
            return None;
        }
        let response = serve(&variant, ask, how, None, now)?;
        one(if reuse == Reuse::Fresh { &self.counters.hits } else { &self.counters.stale });
        if reuse == Reuse::StaleWhileRevalidating
            && let Seat::Lead(flight) = self.flights.join(&ask.target)
        {
            let (cache, ask) = (self.clone(), Ask { method: Method::GET, ..ask.clone() });
            self.tasks.spawn(async move {
                let response = cache.validate(&ask, variant, Some(flight)).await;
                // Read to its end, so that it is kept.
                let _ = response.into_body().collect().await;
            });
        }
        Some(response)
    }

    async fn read(self: Arc<Self>, ask: Ask) -> Response<Body> {
        if ask.wishes.no_store || is_for_the_origin(&ask.headers) {
            return self.pass(ask, empty(), "bypass").await;
        }
        let flight = match self.take_a_seat(&ask).await {
            Ok(flight) => flight,
            Err(response) => return response,
        };
        if ask.wishes.only_if_cached {
            let hint = "leave only-if-cached out to ask the origin";
            return Refusal::new(StatusCode::GATEWAY_TIMEOUT, "nothing that is stored fits", hint).into_response();
        }
        let (found, is_known) = self.memory.find(&ask.target, &ask.headers);
        if ask.method == Method::HEAD {
            return self.head(&ask, found).await;
        }
        match found {
            Some(variant) if variant.stored.part().is_none() => self.validate(&ask, variant, flight).await,
            Some(variant) => self.complete(&ask, &variant, flight).await,
            None => {
                let why = if is_known { "vary-miss" } else { "uri-miss" };
                self.fill(&ask, forwardable(&ask.headers), why, flight).await
            }
        }
    }

    /// Lets one of several equal questions go ahead. `Err` is the answer that another one brought.
    async fn take_a_seat(self: &Arc<Self>, ask: &Ask) -> Result<Option<Flight>, Response<Body>> {
        let is_common = ask.method == Method::GET
            && !ask.wishes.no_cache
            && !ask.wishes.only_if_cached
            && !ask.headers.contains_key(header::AUTHORIZATION)
            && !ask.headers.contains_key(header::RANGE);
        if !is_common {
            return Ok(None);
        }
        match self.flights.join(&ask.target) {
            Seat::Lead(flight) => Ok(Some(flight)),
            Seat::Alone => Ok(None),
            Seat::Wait(landed) => {
                let _ = tokio::time::timeout(limits::JOIN_PATIENCE, landed).await;
                match self.at_once(ask, How::Joined) {
                    Some(response) => {
                        one(&self.counters.joined);
                        Err(response)
                    }
                    None => Ok(None),
                }
            }
        }
    }

    pub(crate) async fn fill(
        &self,
        ask: &Ask,
        headers: HeaderMap,
        why: &str,
        flight: Option<Flight>,
    ) -> Response<Body> {
        one(&self.counters.misses);
        let ticket = self.memory.ticket(&ask.target);
        match self.ask_origin(ask, &Method::GET, headers, empty()).await {
            Ok(told) => self.keep(ask, told, ticket, why, flight),
            Err(error) => self.failed(&error),
        }
    }

    /// Passes an answer on, and keeps it where the rules allow.
    pub(crate) fn keep(
        &self,
        ask: &Ask,
        mut told: Told,
        ticket: Ticket,
        why: &str,
        flight: Option<Flight>,
    ) -> Response<Body> {
        let exchange = ask.exchange(&ask.method, told.asked, told.answered);
        let stored = match Stored::new(&exchange, told.head.status, &told.head.headers) {
            Ok(stored) => stored,
            Err(reason) => {
                debug!(?reason, target = ask.target, "not stored");
                return relayed(&told.head, told.body, why, false);
            }
        };
        let verdict = if is_unsafe(&ask.method) { Verdict::Whole } else { evaluate(&ask.headers, &stored) };
        let fill = Fill {
            memory: self.memory.clone(),
            filling: self.filling.clone(),
            target: ask.target.clone(),
            request: ask.headers.clone(),
            ticket,
            stored,
            flight,
        };
        if !fill.fits() {
            return relayed(&told.head, told.body, why, false);
        }
        let body = fill.start(told.body, &self.tasks);
        if verdict == Verdict::NotModified {
            told.head.status = StatusCode::NOT_MODIFIED;
            told.head.headers = not_modified(&told.head.headers);
            self.tasks.spawn(async move {
                let _ = body.collect().await;
            });
            return relayed(&told.head, empty(), why, true);
        }
        relayed(&told.head, body, why, true)
    }

    pub(crate) async fn ask_origin(
        &self,
        ask: &Ask,
        method: &Method,
        headers: HeaderMap,
        body: Body,
    ) -> Result<Told, OriginError> {
        let mut request = Request::new(body);
        *request.method_mut() = method.clone();
        *request.uri_mut() = format!("{}{}", self.origin_base, ask.target)
            .parse()
            .map_err(|error| OriginError::Broken { host: self.origin_base.clone(), cause: Broken::new(error) })?;
        *request.headers_mut() = headers;
        for name in [header::HOST, header::EXPECT] {
            request.headers_mut().remove(name);
        }
        request.headers_mut().append(header::VIA, HeaderValue::from_static("1.1 ghoard"));
        let capability = HeaderValue::try_from(format!("{OUR_NAME}=\"Surrogate/1.0\"")).expect("visible ASCII");
        request.headers_mut().append("surrogate-capability", capability);
        let asked = SystemTime::now();
        let (head, body) = self.origin.send(request).await?.into_parts();
        Ok(Told { head, body, asked, answered: SystemTime::now() })
    }

    pub(crate) fn failed(&self, error: &OriginError) -> Response<Body> {
        one(&self.counters.failures);
        let hint = "check that this machine reaches the origin";
        Refusal { hint, ..error.refusal() }.into_response()
    }
}

impl Handle for HttpCache {
    fn answer(self: Arc<Self>, request: Request<Body>) -> Answering {
        let (head, body) = request.into_parts();
        let ask = check_any(&head).and_then(|()| Ask::new(&self.prefix, head));
        let ask = match ask {
            Ok(ask) => ask,
            Err(refusal) => return Either::Left(ready(refusal.into_response())),
        };
        let is_read = matches!(ask.method, Method::GET | Method::HEAD);
        if !is_read || !hyper::body::Body::is_end_stream(&body) {
            let why = if is_read { "bypass" } else { "method" };
            return Either::Right(self.pass(ask, body, why).boxed());
        }
        match self.at_once(&ask, How::Hit) {
            Some(response) => Either::Left(ready(response)),
            None => Either::Right(self.read(ask).boxed()),
        }
    }
}
