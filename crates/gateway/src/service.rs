use std::{sync::Arc, time::SystemTime};

use futures::{
    FutureExt,
    channel::oneshot,
    future::{Either, ready},
};
use github::{
    API_HOST, Ask, ClientDirectives, Credential, ENTERPRISE_PATH, Graphql, Plan, Said, Site, Target, Touches, Verdict,
    cacheable_form, classify, judge, plan_query, plan_said,
};
use http::{HeaderValue, Method, Request, Response, StatusCode, Uri, header, request::Parts};
use http_body_util::{BodyExt, Limited};
use task::Tasks;
use tracing::debug;
use wire::Millis;

use crate::{
    Answering, Body, Cache, DoorKind, Fetched, Handle, Hit, How, Memo, Moment, Origin, Refusal,
    again::Again,
    full,
    hosts::Hosts,
    limits,
    relay::{rebase, relay_head},
    rename::rename_body,
    strict::{Checked, check, check_target},
    unpack::unpack,
};

/// The names that URLs in answers may carry.
#[derive(Clone, Debug)]
pub struct Base {
    /// What this door's clients call the API.
    pub client: String,
    /// What the origin calls itself in `Link` and `Location`.
    pub origins: Vec<String>,
    /// Whether URLs in bodies lead there, too, as they do in those of an Enterprise Server.
    pub in_bodies: bool,
}

/// A site behind a door.
struct Served {
    site: Site,
    base: Base,
    /// The same for clients that came by the paths of an Enterprise Server.
    enterprise: Base,
}

/// Which site a request is for, and by which of its bases the client came.
#[derive(Clone, Copy)]
struct Place {
    at: usize,
    by_enterprise: bool,
}

/// Answers the requests of one door.
pub struct Service<C> {
    kind: DoorKind,
    /// At least one; only the socket has more, as only there a client says which it means.
    served: Vec<Served>,
    cache: Arc<C>,
    origin: Arc<dyn Origin>,
    hosts: Hosts,
    tasks: Tasks,
}

impl<C: Cache> Service<C> {
    /// A door with a base URL: `client_url` is what its clients call `site`.
    pub fn by_base_url(client_url: String, site: Site, cache: Arc<C>, origin: Arc<dyn Origin>, tasks: Tasks) -> Self {
        Self::new(DoorKind::BaseUrl, vec![Served::new(site, client_url)], cache, origin, tasks)
    }

    /// The socket, where a client names the site by its own host and paths.
    pub fn by_host(sites: Vec<Site>, cache: Arc<C>, origin: Arc<dyn Origin>, tasks: Tasks) -> Self {
        let own_url = |site: &Site| if site.is_github() { format!("https://{API_HOST}") } else { site.url.clone() };
        let served = sites.into_iter().map(|site| Served::new(site.clone(), own_url(&site))).collect();
        Self::new(DoorKind::Socket, served, cache, origin, tasks)
    }

    fn new(kind: DoorKind, served: Vec<Served>, cache: Arc<C>, origin: Arc<dyn Origin>, tasks: Tasks) -> Self {
        Self { kind, served, cache, origin, hosts: Hosts::default(), tasks }
    }

    async fn fetch(&self, place: Place, ask: Ask) -> Response<Body> {
        match self.cache.clone().fetch(ask.clone()).await {
            Fetched::Answer { answer, how, limits } => answer.respond(&ask, how, limits, self.base(place), now()),
            Fetched::Relayed(response) => {
                let response = if ask.wants.gzip { response } else { unpack(response) };
                self.to_client(Some(place), response, ask.wants.head_only)
            }
        }
    }

    async fn pass_on(
        self: Arc<Self>,
        place: Place,
        plan: Plan,
        head: Parts,
        checked: Checked,
        body: Body,
    ) -> Response<Body> {
        match plan {
            Plan::Write { touches } => self.write(place, head, checked, body, touches).await,
            _ if head.method == Method::POST && checked.target.path() == "/graphql" => {
                self.graphql(place, head, checked, body).await
            }
            plan => {
                if let Some(response) = self.rate_limit(place.at, &head, &checked) {
                    return response;
                }
                debug!(?plan, path = checked.target.path(), "passed through");
                let is_read = matches!(head.method, Method::GET | Method::HEAD);
                let headers = head.headers.clone();
                let response = self.pass(Some(place), head, self.api_uri(place, &checked), body).await;
                // What is denied here is denied to the cached form of the question, too.
                let verdict = judge(response.status(), response.headers(), b"", now());
                if is_read
                    && verdict == Verdict::Denied
                    && let Some(ask) = cacheable_form(&self.served[place.at].site.name, checked.target, &headers)
                {
                    self.cache.denied(&ask, date_secs(&response)).await;
                }
                response
            }
        }
    }

    /// What is left of the limits, from what the origin has said lately.
    fn rate_limit(&self, at: usize, head: &Parts, checked: &Checked) -> Option<Response<Body>> {
        if head.method != Method::GET || checked.target.path() != "/rate_limit" || checked.target.query().is_some() {
            return None;
        }
        let directives = ClientDirectives::read(&head.headers);
        if directives.no_store || directives.revalidates() {
            return None;
        }
        let credential = Credential::from_authorization(head.headers.get(header::AUTHORIZATION)?);
        let (body, limits) = self.cache.rate_limit(&self.served[at].site.name, &credential, now())?;
        let mut response = Response::new(full(body));
        response.headers_mut().extend(limits);
        for (name, value) in [
            ("content-type", "application/json; charset=utf-8"),
            ("cache-control", "no-cache"),
            ("cache-status", "ghoard; hit; detail=ledger"),
        ] {
            response.headers_mut().insert(name, HeaderValue::from_static(value));
        }
        Some(response)
    }

    /// A write goes on to its end even if its client leaves: it may take effect all the same.
    async fn write(
        self: Arc<Self>,
        place: Place,
        head: Parts,
        checked: Checked,
        body: Body,
        touches: Touches,
    ) -> Response<Body> {
        let (answered, answer) = oneshot::channel();
        let tasks = self.tasks.clone();
        tasks.spawn(
            async move {
                self.cache.written(&touches, Moment::Sent).await;
                let response = self.pass(Some(place), head, self.api_uri(place, &checked), body).await;
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

    async fn graphql(self: Arc<Self>, place: Place, head: Parts, checked: Checked, body: Body) -> Response<Body> {
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
        match classify(&body) {
            Graphql::Doubtful { why } => {
                debug!(why, "a GraphQL request that may change something");
                self.write(place, head, checked, full(body), Touches::Everything).await
            }
            Graphql::Uncacheable { why } => {
                debug!(why, "a GraphQL query is passed through");
                self.pass(Some(place), head, self.api_uri(place, &checked), full(body)).await
            }
            Graphql::Query(query) => {
                let name = &self.served[place.at].site.name;
                match plan_query(name, checked.target.clone(), &head.headers, query, body.clone()) {
                    Some(ask) => self.query(place, ask).await,
                    None => self.pass(Some(place), head, self.api_uri(place, &checked), full(body)).await,
                }
            }
        }
    }

    async fn query(&self, place: Place, ask: Ask) -> Response<Body> {
        match self.hit(&ask, self.cache.key(&ask), place) {
            Some(response) => response,
            None => self.fetch(place, ask).await,
        }
    }

    /// What memory has. Never waits.
    fn hit(&self, ask: &Ask, key: C::Key, place: Place) -> Option<Response<Body>> {
        let now = now();
        let Hit { answer, limits } = self.cache.fresh(ask, key, now)?;
        Some(answer.respond(ask, How::Hit, limits, self.base(place), now))
    }

    /// A request of `gh` to a host that is not the API: passed on as it is, over TLS.
    async fn other_host(&self, head: Parts, checked: Checked, body: Body) -> Response<Body> {
        // The uploads and logins of an Enterprise Server, for whose API the client is here.
        if let Some(served) = self.called(&checked.host) {
            return self.pass(None, head.clone(), served.site.server_uri(path_and_query(&head)), body).await;
        }
        if !self.hosts.may_reach(&checked.host, now()) {
            let message = format!("the host {} is not one that GitHub's clients need", checked.host);
            let hint = "the socket is no open proxy; ask it directly";
            return Refusal::new(StatusCode::FORBIDDEN, message, hint).into_response();
        }
        let uri = format!("https://{}{}", checked.host, path_and_query(&head));
        self.pass(None, head, uri, body).await
    }

    /// Asks for `uri`, which is in the API of the site at `place`, or of no API.
    async fn pass(&self, place: Option<Place>, head: Parts, uri: String, body: Body) -> Response<Body> {
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
        match self.origin.send(request).await {
            Ok(response) if place.is_some() && response.status() == StatusCode::UNAUTHORIZED => {
                self.cache.refused(credential.as_ref()).await;
                self.to_client(place, response, head.method == Method::HEAD)
            }
            Ok(response) => self.to_client(place, response, head.method == Method::HEAD),
            Err(error) => error.refusal().into_response(),
        }
    }

    /// Passes the origin's own answer on.
    fn to_client(&self, place: Option<Place>, response: Response<Body>, head_only: bool) -> Response<Body> {
        // What another host says is about the first site, if about any.
        let base = place.map_or(&self.served[0].base, |place| self.base(place));
        let (mut head, body) = rename_body(response, base).into_parts();
        self.hosts.learn(&head.headers, now());
        head.headers = relay_head(&head.headers);
        rebase(&mut head.headers, base);
        if !head.headers.contains_key("cache-status") {
            let status = format!("ghoard; fwd=bypass; fwd-status={}", head.status.as_u16());
            head.headers.insert("cache-status", status.parse().expect("visible ASCII"));
        }
        Response::from_parts(head, if head_only { crate::empty() } else { body })
    }

    fn api_uri(&self, place: Place, checked: &Checked) -> String {
        self.served[place.at].site.api_uri(&checked.target)
    }

    fn base(&self, place: Place) -> &Base {
        let served = &self.served[place.at];
        if place.by_enterprise { &served.enterprise } else { &served.base }
    }

    fn called(&self, host: &str) -> Option<&Served> {
        self.served.iter().find(|served| served.site.is_called(host))
    }

    /// Which site a request is for, with the target in its API; `None` if it is for no API.
    fn place(&self, host: &str, target: Target, by_enterprise: bool) -> Option<(Place, Target)> {
        if self.kind == DoorKind::BaseUrl {
            return Some((Place { at: 0, by_enterprise }, target));
        }
        let at = self.served.iter().position(|served| served.site.is_called(host))?;
        let place = Place { at, by_enterprise: false };
        // Of the normal form, so that no other spelling of the path goes round the cache.
        let path = self.served[at].site.api_path(target.path())?;
        if path == target.path() {
            return Some((place, target));
        }
        Some((place, Target::parse(path, target.query()).ok()?))
    }

    /// What memory has for the next question of a client whose headers are known.
    fn hit_beside(&self, uri: &Uri, known: &mut Known<C::Key>) -> Option<Response<Body>> {
        let text = uri.path_and_query()?.as_str();
        if known.last.as_ref().is_none_or(|last| last.text != text) {
            let (target, by_enterprise) = check_target(uri, self.kind).ok()?;
            let (place, target) = self.place(&known.host, target, by_enterprise)?;
            let site = &self.served[place.at].site.name;
            let Plan::Cache(ask) = plan_said(&Method::GET, site, target, &known.said, false) else { return None };
            let key = self.cache.key_beside(&ask, known.key);
            known.last = Some(Last { text: text.to_owned(), place, ask, key });
        }
        let Last { place, ask, key, .. } = known.last.as_ref()?;
        self.hit(ask, *key, *place)
    }
}

/// What a client's headers mean, and what it asked for last.
struct Known<K> {
    host: String,
    said: Said,
    /// Of a question with the same credential.
    key: K,
    last: Option<Last<K>>,
}

struct Last<K> {
    /// The target as it was sent.
    text: String,
    place: Place,
    ask: Box<Ask>,
    key: K,
}

impl Served {
    fn new(site: Site, client_url: String) -> Self {
        let mut origins = vec![site.url.clone()];
        if site.is_github() {
            origins.push(format!("https://{API_HOST}"));
        }
        let base = |client, in_bodies| Base { client, origins: origins.clone(), in_bodies };
        let enterprise = base(format!("{client_url}{ENTERPRISE_PATH}"), true);
        Self { base: base(client_url, false), site, enterprise }
    }
}

impl<C: Cache> Handle for Service<C> {
    fn answer(self: Arc<Self>, request: Request<Body>) -> Answering {
        self.answer_next(request, &mut None)
    }

    fn answer_next(self: Arc<Self>, request: Request<Body>, memo: &mut Memo) -> Answering {
        let (head, body) = request.into_parts();
        let known = Again::<Known<C::Key>>::recall(memo, &head);
        if let Some(response) = known.and_then(|known| self.hit_beside(&head.uri, known)) {
            return Either::Left(ready(response));
        }
        let checked = match check(&head, self.kind) {
            Ok(checked) => checked,
            Err(refusal) => return Either::Left(ready(refusal.into_response())),
        };
        let Some((place, target)) = self.place(&checked.host, checked.target.clone(), checked.by_enterprise) else {
            return Either::Right(async move { self.other_host(head, checked, body).await }.boxed());
        };
        let (site, said) = (&self.served[place.at].site.name, Said::read(&head.headers));
        match plan_said(&head.method, site, target.clone(), &said, checked.has_body) {
            Plan::Cache(ask) => {
                // What memory can answer is answered before this returns.
                let key = self.cache.key(&ask);
                if let Some(response) = self.hit(&ask, key, place) {
                    let known = |headers: &_| Known { host: checked.host, said: Said::read(headers), key, last: None };
                    Again::note(memo, &head, known);
                    return Either::Left(ready(response));
                }
                Either::Right(async move { self.fetch(place, *ask).await }.boxed())
            }
            plan => {
                let checked = Checked { target, ..checked };
                Either::Right(async move { self.pass_on(place, plan, head, checked, body).await }.boxed())
            }
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
