use std::{sync::Arc, time::SystemTime};

use futures::{
    FutureExt,
    channel::oneshot,
    future::{Either, ready},
};
use github::{API_HOST, Ask, Credential, Plan, Touches, Verdict, cacheable_form, graphql_touches, judge, plan};
use http::{Method, Request, Response, StatusCode, Uri, header, request::Parts};
use http_body_util::{BodyExt, Limited};
use task::Tasks;
use tracing::debug;
use wire::Millis;

use crate::{
    Answering, Body, Cache, DoorKind, Fetched, Handle, How, Moment, Origin, Refusal, full,
    hosts::Hosts,
    limits,
    relay::{rebase, relay_head},
    strict::{Checked, LOOPBACK_NAMES, check},
    unpack::unpack,
};

/// The names that URLs in answers may carry.
#[derive(Clone, Debug)]
pub struct Base {
    /// What this door's clients call the API.
    pub client: String,
    /// What the origin calls itself in `Link` and `Location`.
    pub origins: Vec<String>,
}

/// Answers the requests of one door.
pub struct Service<C> {
    kind: DoorKind,
    base: Base,
    /// Scheme and authority of the API, without a slash at the end.
    origin_url: String,
    cache: Arc<C>,
    origin: Arc<dyn Origin>,
    hosts: Hosts,
    tasks: Tasks,
}

impl<C: Cache> Service<C> {
    /// `origin_url` is the API's base URL; `client_url` is what this door's clients call it.
    pub fn new(
        kind: DoorKind,
        client_url: String,
        origin_url: String,
        cache: Arc<C>,
        origin: Arc<dyn Origin>,
        tasks: Tasks,
    ) -> Self {
        let origins = vec![origin_url.clone(), format!("https://{API_HOST}")];
        let base = Base { client: client_url, origins };
        Self { kind, base, origin_url, cache, origin, hosts: Hosts::default(), tasks }
    }

    async fn fetch(&self, ask: Ask) -> Response<Body> {
        match self.cache.clone().fetch(ask.clone()).await {
            Fetched::Answer { answer, how } => answer.respond(&ask, how, &self.base, now()),
            Fetched::Relayed(response) => {
                let response = if ask.wants.gzip { response } else { unpack(response) };
                self.to_client(response, ask.wants.head_only)
            }
        }
    }

    async fn pass_on(self: Arc<Self>, plan: Plan, head: Parts, checked: Checked, body: Body) -> Response<Body> {
        match plan {
            Plan::Write { touches } => self.write(head, checked, body, touches).await,
            _ if head.method == Method::POST && checked.target.path() == "/graphql" => {
                self.graphql(head, checked, body).await
            }
            plan => {
                debug!(?plan, path = checked.target.path(), "passed through");
                let is_read = matches!(head.method, Method::GET | Method::HEAD);
                let headers = head.headers.clone();
                let response = self.pass(head, self.api_uri(&checked), body).await;
                // What is denied here is denied to the cached form of the question, too.
                let verdict = judge(response.status(), response.headers(), b"", now());
                if is_read
                    && verdict == Verdict::Denied
                    && let Some(ask) = cacheable_form(API_HOST, checked.target, &headers)
                {
                    self.cache.denied(&ask, date_secs(&response)).await;
                }
                response
            }
        }
    }

    /// A write goes on to its end even if its client leaves: it may take effect all the same.
    async fn write(self: Arc<Self>, head: Parts, checked: Checked, body: Body, touches: Touches) -> Response<Body> {
        let (answered, answer) = oneshot::channel();
        let tasks = self.tasks.clone();
        tasks.spawn(
            async move {
                self.cache.written(&touches, Moment::Sent).await;
                let response = self.pass(head, self.api_uri(&checked), body).await;
                // A client error changed nothing; anything else may have.
                if !response.status().is_client_error() {
                    let moment = Moment::Answered { date_secs: date_secs(&response) };
                    self.cache.written(&touches, moment).await;
                }
                let _ = answered.send(response);
            }
            .boxed(),
        );
        answer.await.unwrap_or_else(|_| {
            let hint = "ask whether it took effect before sending it again";
            Refusal::new(StatusCode::BAD_GATEWAY, "the write was not answered", hint).into_response()
        })
    }

    async fn graphql(self: Arc<Self>, head: Parts, checked: Checked, body: Body) -> Response<Body> {
        let whole = Limited::new(body, limits::GRAPHQL_BYTES_MAX).collect();
        let body = match tokio::time::timeout(limits::GRAPHQL_TIMEOUT, whole).await {
            Ok(Ok(body)) => body,
            Ok(Err(_)) => {
                let message = format!("a GraphQL request over {} bytes, or broken off", limits::GRAPHQL_BYTES_MAX);
                return Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, message, "split it").into_response();
            }
            Err(_) => {
                let message = "the GraphQL request did not arrive in time";
                return Refusal::new(StatusCode::REQUEST_TIMEOUT, message, "send it again").into_response();
            }
        };
        let body = body.to_bytes();
        match graphql_touches(&body) {
            Touches::Families(families) if families.is_empty() => {
                self.pass(head, self.api_uri(&checked), full(body)).await
            }
            touches => self.write(head, checked, full(body), touches).await,
        }
    }

    /// A request of `gh` to a host that is not the API: passed on as it is, over TLS.
    async fn other_host(&self, head: Parts, checked: Checked, body: Body) -> Response<Body> {
        if !self.hosts.may_reach(&checked.host, now()) {
            let message = format!("the host {} is not one that GitHub's clients need", checked.host);
            let hint = "the socket is no open proxy; ask it directly";
            return Refusal::new(StatusCode::FORBIDDEN, message, hint).into_response();
        }
        let uri = format!("https://{}{}", checked.host, path_and_query(&head));
        self.pass(head, uri, body).await
    }

    async fn pass(&self, head: Parts, uri: String, body: Body) -> Response<Body> {
        let Ok(uri) = uri.parse::<Uri>() else {
            return Refusal::bad_request("the target is no URL", "send a plain path").into_response();
        };
        let mut request = Request::new(body);
        *request.method_mut() = head.method.clone();
        *request.uri_mut() = uri;
        *request.headers_mut() = relay_head(&head.headers);
        request.headers_mut().remove(header::HOST);
        request.headers_mut().remove(header::EXPECT);
        let credential = head.headers.get(header::AUTHORIZATION).map(Credential::from_authorization);
        let is_api = request.uri().to_string().starts_with(&self.origin_url);
        match self.origin.send(request).await {
            Ok(response) if is_api && response.status() == StatusCode::UNAUTHORIZED => {
                self.cache.refused(credential.as_ref()).await;
                self.to_client(response, head.method == Method::HEAD)
            }
            Ok(response) => self.to_client(response, head.method == Method::HEAD),
            Err(error) => error.refusal().into_response(),
        }
    }

    /// Passes the origin's own answer on.
    fn to_client(&self, response: Response<Body>, head_only: bool) -> Response<Body> {
        let (mut head, body) = response.into_parts();
        self.hosts.learn(&head.headers, now());
        head.headers = relay_head(&head.headers);
        rebase(&mut head.headers, &self.base);
        if !head.headers.contains_key("cache-status") {
            let status = format!("ghoard; fwd=bypass; fwd-status={}", head.status.as_u16());
            head.headers.insert("cache-status", status.parse().expect("visible ASCII"));
        }
        Response::from_parts(head, if head_only { crate::empty() } else { body })
    }

    /// Whether a client of the socket means the API by `host`: github.com's, also where a stand-in on
    /// loopback is the origin; with an Enterprise Server as origin that server's, and not github.com's.
    fn is_api(&self, host: &str) -> bool {
        let authority = self.origin_url.split_once("://").map_or("", |(_, rest)| rest).split('/').next().unwrap_or("");
        let name = authority.rsplit_once(':').map_or(authority, |(name, _)| name);
        let is_github = name == API_HOST || LOOPBACK_NAMES.contains(&name);
        if is_github { host == API_HOST } else { host == authority || host == name }
    }

    fn api_uri(&self, checked: &Checked) -> String {
        // An Enterprise Server has GraphQL beside its REST API, not below it.
        match self.origin_url.strip_suffix("/api/v3") {
            Some(server) if checked.target.path() == "/graphql" => format!("{server}/api/graphql"),
            _ => format!("{}{}", self.origin_url, checked.target.text()),
        }
    }
}

impl<C: Cache> Handle for Service<C> {
    fn answer(self: Arc<Self>, request: Request<Body>) -> Answering {
        let (head, body) = request.into_parts();
        let checked = match check(&head, self.kind) {
            Ok(checked) => checked,
            Err(refusal) => return Either::Left(ready(refusal.into_response())),
        };
        if self.kind == DoorKind::Socket && !self.is_api(&checked.host) {
            return Either::Right(async move { self.other_host(head, checked, body).await }.boxed());
        }
        match plan(&head.method, API_HOST, checked.target.clone(), &head.headers, checked.has_body) {
            Plan::Cache(ask) => {
                // What memory can answer is answered before this returns.
                let now = now();
                if let Some(answer) = self.cache.fresh(&ask, now) {
                    return Either::Left(ready(answer.respond(&ask, How::Hit, &self.base, now)));
                }
                Either::Right(async move { self.fetch(*ask).await }.boxed())
            }
            plan => Either::Right(async move { self.pass_on(plan, head, checked, body).await }.boxed()),
        }
    }
}

fn path_and_query(head: &Parts) -> &str {
    head.uri.path_and_query().map_or("/", |target| target.as_str())
}

fn date_secs(response: &Response<Body>) -> Option<u64> {
    let date = response.headers().get(header::DATE)?.to_str().ok()?;
    httpdate::parse_http_date(date).ok().map(|date| Millis::from(date).as_secs())
}

fn now() -> Millis {
    SystemTime::now().into()
}
