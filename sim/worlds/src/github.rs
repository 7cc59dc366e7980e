//! GitHub in a world: fakehub's handler behind the origin port, and the reference model beside it.

use std::{collections::BTreeSet, io, sync::Arc, time::Duration};

use bytes::Bytes;
use fakehub::{Failure, Hub, Role, Token};
use futures::{FutureExt, future::BoxFuture};
use gateway::{Body, Broken, Origin, OriginError, full};
use github::EtagInput;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::BodyExt;
use wire::{Form, limits::BODY_BYTES_MAX};

use crate::{
    checkers,
    draw::Stream,
    manner::question,
    plan::{Layer, Plan, Trouble},
    reference::{Exchange, Open, Reference, Refused, Who},
    stage::Stage,
    trace::{Event, Kind},
};

/// How long a machine waits for GitHub, as the daemon does by default.
pub const ORIGIN_TIMEOUT: Duration = Duration::from_secs(10);

/// How long it takes to hear that nobody can be reached.
const UNREACHABLE_AFTER: Duration = Duration::from_millis(20);

/// The hub, what it said so far, and what is wrong with it.
pub struct GitHub {
    pub hub: Hub,
    pub reference: Reference,
    /// The text of each token; leaks are looked for by it.
    pub tokens: Vec<String>,
    /// Requests that reached the hub.
    pub requests: u64,
    /// Exchanges that have begun and not ended.
    pub under_way: usize,
    begun: u64,
    base_latency: Duration,
    latency: Duration,
    unreachable: BTreeSet<u32>,
}

impl GitHub {
    pub fn new(plan: &Plan) -> Self {
        let mut hub = if plan.layer == Layer::Bare { Hub::small(plan.seed) } else { Hub::standard(plan.seed) };
        let mut tokens = Vec::new();
        for (number, token) in plan.tokens.iter().enumerate() {
            let secret = Stream::new(plan.seed, &format!("token {number}")).bytes();
            let text: String = secret.iter().take(18).map(|byte| format!("{byte:02x}")).collect();
            let text = format!("ghp_{text}");
            let known = Token::new(&text, &token.login).with_limit(token.limit);
            hub.add_token(token.repos.iter().fold(known, |known, repo| known.with_repo(repo, Role::Write)));
            tokens.push(text);
        }
        let latency = Duration::from_millis(plan.origin_ms);
        Self {
            hub,
            reference: Reference::default(),
            tokens,
            requests: 0,
            under_way: 0,
            begun: 0,
            base_latency: latency,
            latency,
            unreachable: BTreeSet::new(),
        }
    }

    /// Sets everything that is wrong now.
    pub fn trouble<'a>(&mut self, troubles: impl Iterator<Item = &'a Trouble>, now: Duration) {
        self.hub.recover();
        self.latency = self.base_latency;
        self.unreachable.clear();
        for trouble in troubles {
            match trouble {
                Trouble::Outage { status: Some(status) } => {
                    let status = StatusCode::from_u16(*status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
                    self.hub.fail_with("", Failure::Status(status));
                }
                Trouble::Outage { status: None } => self.hub.silence(""),
                Trouble::SecondaryLimit { retry_after_secs } => {
                    self.hub.fail_with("", Failure::SecondaryLimit { retry_after: *retry_after_secs });
                }
                Trouble::Exhausted { login } => self.hub.exhaust(login, unix_secs(now)),
                Trouble::SlowOrigin { by_ms } => self.latency += Duration::from_millis(*by_ms),
                Trouble::Unreachable { node } => {
                    self.unreachable.insert(*node);
                }
                _ => {}
            }
        }
    }

    fn who(&self, request: &Request<Bytes>) -> Who {
        let value = request.headers().get(header::AUTHORIZATION)?.to_str().ok()?;
        self.tokens.iter().position(|token| value.ends_with(token.as_str()))
    }

    fn answer(&mut self, node: u32, request: &Request<Bytes>) -> (Who, Option<Response<Bytes>>) {
        self.requests += 1;
        let who = self.who(request);
        let at = det::elapsed();
        let response = self.hub.handle(request, unix_secs(at)).response;
        if let Some(response) = response.as_ref().filter(|_| request.method() == Method::GET) {
            self.remember((node, who), request, response, at);
        }
        (who, response)
    }

    fn remember(&mut self, who: (u32, Who), request: &Request<Bytes>, response: &Response<Bytes>, at: Duration) {
        let path = question_of(request);
        let etag = response.headers().get(header::ETAG).and_then(|etag| etag.to_str().ok());
        let etag = etag.unwrap_or_default().to_owned();
        match response.status() {
            StatusCode::OK => {
                let is_gzip = response.headers().get(header::CONTENT_ENCODING).is_some_and(|value| value == "gzip");
                let form = if is_gzip { Form::Gzip } else { Form::Identity };
                let body = wire::Body { form, encoded: response.body().clone() };
                if let Ok(plain) = body.plain(4 * BODY_BYTES_MAX) {
                    self.reference.given(who, &path, plain, &etag, at);
                }
            }
            StatusCode::NOT_MODIFIED => {
                let value = |name| request.headers().get(name).map(header::HeaderValue::as_bytes);
                let input = EtagInput {
                    accept: value(header::ACCEPT),
                    authorization: value(header::AUTHORIZATION),
                    cookie: None,
                };
                self.reference.confirmed(who, &path, input, &etag, at);
            }
            _ => {}
        }
    }
}

/// GitHub's own clock, which is right.
pub fn unix_secs(elapsed: Duration) -> u64 {
    det::EPOCH_SECS + elapsed.as_secs()
}

fn question_of<T>(request: &Request<T>) -> String {
    let path = request.uri().path_and_query().map_or("/", |target| target.as_str());
    let accept = request.headers().get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
    question(path, accept)
}

/// Until when a limit holds, by what it says.
fn limited_until(response: &Response<Bytes>, at: Duration) -> Option<Duration> {
    let number = |name| response.headers().get(name)?.to_str().ok()?.parse::<u64>().ok();
    let pause = number("retry-after").map(|secs| at + Duration::from_secs(secs));
    let reset = || number("x-ratelimit-reset").map(|reset| Duration::from_secs(reset.saturating_sub(det::EPOCH_SECS)));
    let is_refusal = matches!(response.status().as_u16(), 403 | 429);
    // The last request that was left is answered, and says so.
    let drained = if number("x-ratelimit-remaining") == Some(0) { reset() } else { None };
    if let Some(until) = pause.filter(|_| is_refusal).max(drained) {
        return Some(until);
    }
    let text = String::from_utf8_lossy(response.body()).to_ascii_lowercase();
    let is_unnamed = is_refusal && (response.status() == 429 || text.contains("rate limit"));
    is_unnamed.then(|| at + github::limits::LIMIT_PAUSE_MAX)
}

/// Until when a refusal says to wait.
fn paused_until(response: &Response<Bytes>, at: Duration) -> Option<Duration> {
    let is_refusal = matches!(response.status().as_u16(), 403 | 429);
    let secs = response.headers().get("retry-after").filter(|_| is_refusal)?.to_str().ok()?.parse().ok()?;
    Some(at + Duration::from_secs(secs))
}

/// The way from one machine to GitHub.
pub struct SimOrigin {
    pub stage: Arc<Stage>,
    pub node: u32,
    /// Which start of the machine's process this belongs to.
    pub start: u32,
}

impl SimOrigin {
    async fn exchange(&self, request: Request<Body>) -> Result<Response<Body>, OriginError> {
        let began = det::elapsed();
        let mut under_way = UnderWay::begin(&self.stage, question_of(&request));
        let host = request.uri().host().unwrap_or_default().to_owned();
        let (head, body) = request.into_parts();
        let body = match body.collect().await {
            Ok(body) => body.to_bytes(),
            Err(cause) => return Err(OriginError::Broken { host, cause }),
        };
        let request = Request::from_parts(head, body);
        let (method, path) = (request.method().clone(), question_of(&request));
        let (latency, is_reachable) = {
            let github = self.stage.github();
            (github.latency, !github.unreachable.contains(&self.node))
        };
        if !is_reachable {
            tokio::time::sleep(UNREACHABLE_AFTER).await;
            let who = self.stage.github().who(&request);
            under_way.has_ended = true;
            self.ended(Times { began, handled: began, until: None, stopped_until: None }, who, path, &method, None);
            let cause = Broken::new(io::Error::from(io::ErrorKind::ConnectionRefused));
            return Err(OriginError::Connect { host, cause });
        }
        tokio::time::sleep(latency / 2).await;
        let (who, response) = self.stage.github().answer(self.node, &request);
        let handled = det::elapsed();
        // Silence, or slower than this machine waits.
        let left = ORIGIN_TIMEOUT.saturating_sub(det::elapsed().saturating_sub(began));
        let response = if latency / 2 > left { None } else { response };
        tokio::time::sleep(if response.is_some() { latency / 2 } else { left }).await;
        let status = response.as_ref().map(|response| response.status().as_u16());
        let until = response.as_ref().and_then(|response| limited_until(response, det::elapsed()));
        let stopped_until = response.as_ref().and_then(|response| paused_until(response, det::elapsed()));
        under_way.has_ended = true;
        self.ended(Times { began, handled, until, stopped_until }, who, path, &method, status);
        response.map(|response| response.map(full)).ok_or(OriginError::Timeout { host })
    }

    fn ended(&self, times: Times, who: Who, path: String, method: &Method, status: Option<u16>) {
        let Times { began, handled, until, stopped_until } = times;
        let machine = self.stage.machine(self.node);
        let (ended, is_get) = (det::elapsed(), *method == Method::GET);
        let exchange = Exchange {
            node: self.node,
            start: self.start,
            is_get,
            who,
            path,
            began,
            ended,
            status,
            until,
            stopped_until,
        };
        let words = status.map_or_else(|| "no answer".to_owned(), |status| status.to_string());
        let whose = who.map_or_else(|| "nobody".to_owned(), |who| format!("t{who}"));
        let event = Event::new(Kind::Origin, machine.lane(), format!("{method} {} of {whose}: {words}", exchange.path));
        self.stage.tell(event.since(began).to(0).ok(!exchange.is_failure()));
        {
            let mut github = self.stage.github();
            // Nobody has no credential that could be refused.
            let whole = status == Some(401) && exchange.who.is_some();
            if whole || is_get && matches!(status, Some(401 | 404 | 410 | 451)) {
                let path = (!whole).then(|| exchange.path.clone());
                github.reference.refusals.push(Refused {
                    node: self.node,
                    start: self.start,
                    handled,
                    ended,
                    who,
                    path,
                });
            }
            github.reference.exchanges.push(exchange.clone());
        }
        checkers::on_exchange(&self.stage, &exchange);
    }
}

/// Moments of an exchange.
#[derive(Clone, Copy)]
struct Times {
    began: Duration,
    /// When GitHub decided.
    handled: Duration,
    /// Of a limit: until when it holds.
    until: Option<Duration>,
    /// Of a secondary limit: the same, by its own words.
    stopped_until: Option<Duration>,
}

/// Remembers an exchange as long as it lives, whether it ends or its machine does.
struct UnderWay {
    stage: Arc<Stage>,
    number: u64,
    has_ended: bool,
}

impl UnderWay {
    fn begin(stage: &Arc<Stage>, path: String) -> Self {
        let mut github = stage.github();
        github.begun += 1;
        github.under_way += 1;
        let number = github.begun;
        github.reference.open.push(Open { number, path, began: det::elapsed(), cut: None });
        Self { stage: stage.clone(), number, has_ended: false }
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        let mut github = self.stage.github();
        github.under_way -= 1;
        let open = &mut github.reference.open;
        if self.has_ended {
            open.retain(|open| open.number != self.number);
        } else if let Some(open) = open.iter_mut().find(|open| open.number == self.number) {
            open.cut = Some(det::elapsed());
        }
    }
}

impl Origin for SimOrigin {
    fn send(&self, request: Request<Body>) -> BoxFuture<'_, Result<Response<Body>, OriginError>> {
        self.exchange(request).boxed()
    }
}
