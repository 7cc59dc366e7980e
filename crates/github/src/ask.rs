use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};

use crate::{ClientDirectives, Credential, EtagInput, Family, GraphqlQuery, Route, Target, Touches, USER_AGENT, etag};

/// A cacheable question in its normal form: exactly what is sent to the origin, and nothing else.
///
/// Key, scope, route and family are computed from this alone.
#[derive(Clone, Debug)]
pub struct Ask {
    pub host: String,
    pub target: Target,
    pub route: Route,
    pub family: Family,
    pub credential: Option<Credential>,
    /// Request headers that select the body, in order of name; each is in the key.
    selecting: Vec<(HeaderName, HeaderValue)>,
    pub wants: ClientWants,
    /// The query, if this is one of GraphQL; else it is a GET.
    pub query: Option<Arc<SentQuery>>,
}

/// A GraphQL query as it is sent.
#[derive(Clone, Debug)]
pub struct SentQuery {
    pub query: GraphqlQuery,
    /// The client's own words.
    pub body: Bytes,
}

/// What this client wants of the answer. None of it is in the key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientWants {
    /// A HEAD: answered from its GET.
    pub head_only: bool,
    /// The client is one for which GitHub lays JSON out.
    pub pretty: bool,
    pub gzip: bool,
    /// The client holds answers with these ETags.
    pub if_none_match: Vec<String>,
    /// All that it says about age and staleness.
    pub directives: ClientDirectives,
}

/// What is done with a request.
#[derive(Clone, Debug)]
pub enum Plan {
    /// Answer it from the cache, or ask the origin in its normal form.
    Cache(Box<Ask>),
    /// Send it to the origin as it is. `why` is for the person who wonders.
    Pass { why: &'static str },
    /// Send it as it is; what it touches is doubtful from now on.
    Write { touches: Touches },
}

/// Request headers that select the body, so that they are in the key.
static SELECTING: [HeaderName; 4] = [
    header::ACCEPT,
    HeaderName::from_static("graphql-features"),
    HeaderName::from_static("x-github-api-version"),
    HeaderName::from_static("x-github-next-global-id"),
];

/// Request headers that change no body; they are read here or dropped, and never sent on.
fn is_without_effect(name: &str) -> bool {
    matches!(
        name,
        "accept-encoding"
            | "accept-language"
            | "authorization"
            | "cache-control"
            | "connection"
            | "content-type"
            | "host"
            | "if-modified-since"
            | "if-none-match"
            | "keep-alive"
            | "pragma"
            | "priority"
            | "proxy-connection"
            | "sec-fetch-mode"
            | "time-zone"
            | "user-agent"
            | "x-gh-cache-ttl"
            | "x-request-id"
    )
}

/// Decides what to do with a request. `has_body` is whether it carries any content.
pub fn plan(method: &Method, host: &str, target: Target, headers: &HeaderMap, has_body: bool) -> Plan {
    match *method {
        Method::GET | Method::HEAD => {}
        Method::OPTIONS => return Plan::Pass { why: "OPTIONS is not cacheable" },
        // What a GraphQL request touches is in its body; see `classify`.
        Method::POST if target.path() == "/graphql" => return Plan::Pass { why: "GraphQL is passed through" },
        _ => return Plan::Write { touches: Family::touched_by(host, method, &target) },
    }
    let route = Route::of(&target);
    if !route.is_stored() {
        return Plan::Pass { why: "its answer is true for a moment only, or a secret" };
    }
    if has_body {
        return Plan::Pass { why: "a GET with a body" };
    }
    if headers.keys().any(|name| !is_known(name)) {
        return Plan::Pass { why: "a request header that may change the answer" };
    }
    if selects_twice(headers) {
        return Plan::Pass { why: "a header that selects the answer is there twice" };
    }
    if query_has_secret(&target) {
        return Plan::Pass { why: "a credential in the query" };
    }
    let directives = ClientDirectives::read(headers);
    if directives.no_store {
        return Plan::Pass { why: "the client says no-store" };
    }
    let (family, head_only) = (Family::of(host, &target), method == Method::HEAD);
    Plan::Cache(Box::new(Ask::new(host, target, route, family, headers, directives, head_only)))
}

/// The cacheable question that a GraphQL query is; `None` if its headers may change the answer in a way
/// that is not known.
pub fn plan_query(host: &str, target: Target, headers: &HeaderMap, query: GraphqlQuery, body: Bytes) -> Option<Ask> {
    let is_clear = headers.keys().all(|name| is_known(name) || name == header::CONTENT_LENGTH)
        && !selects_twice(headers)
        && target.query().is_none();
    let directives = ClientDirectives::read(headers);
    if !is_clear || directives.no_store {
        return None;
    }
    let family = query.family(host);
    let ask = Ask::new(host, target, Route::Graphql, family, headers, directives, false);
    Some(Ask { query: Some(Arc::new(SentQuery { query, body })), ..ask })
}

/// The cacheable question that is nearest to a read which passed through: the same without the headers
/// that nobody knows, and without what the client says about caching. What is denied to the one is denied
/// to the other.
pub fn cacheable_form(host: &str, target: Target, headers: &HeaderMap) -> Option<Ask> {
    let says_how = |name: &HeaderName| [header::CACHE_CONTROL, header::PRAGMA].contains(name);
    let known = headers.iter().filter(|(name, _)| is_known(name) && !says_how(name));
    let known = known.map(|(name, value)| (name.clone(), value.clone())).collect();
    match plan(&Method::GET, host, target, &known, false) {
        Plan::Cache(ask) => Some(*ask),
        Plan::Pass { .. } | Plan::Write { .. } => None,
    }
}

impl Ask {
    fn new(
        host: &str,
        target: Target,
        route: Route,
        family: Family,
        headers: &HeaderMap,
        directives: ClientDirectives,
        head_only: bool,
    ) -> Self {
        Self {
            host: host.to_owned(),
            target,
            route,
            family,
            credential: headers.get(header::AUTHORIZATION).map(Credential::from_authorization),
            selecting: selecting(headers),
            wants: ClientWants {
                head_only,
                pretty: wants_pretty(headers),
                gzip: accepts_gzip(headers),
                if_none_match: if_none_match(headers),
                directives,
            },
            query: None,
        }
    }

    /// The canonical text of the key: equal for equal questions, different for all others.
    ///
    /// No part can hold a line break, so the parts cannot be confused.
    pub fn key(&self) -> Vec<u8> {
        let method = if self.query.is_some() { "POST" } else { "GET" };
        // More than most need, so that it is seldom moved.
        let mut key = Vec::with_capacity(256);
        let mut push = |parts: &[&[u8]]| parts.iter().for_each(|part| key.extend_from_slice(part));
        push(&[method.as_bytes(), b"\n", self.host.as_bytes(), b"\n", self.target.path().as_bytes()]);
        if let Some(query) = self.target.query() {
            push(&[b"?", query.as_bytes()]);
        }
        for (name, value) in &self.selecting {
            push(&[b"\n", name.as_str().as_bytes(), b":", value.as_bytes()]);
        }
        if let Some(sent) = &self.query {
            push(&[b"\n", &sent.query.key]);
        }
        key
    }

    /// The request headers that are part of the key, in order of name.
    pub fn selecting(&self) -> impl Iterator<Item = &(HeaderName, HeaderValue)> {
        self.selecting.iter()
    }

    /// The headers that are sent to the origin, but for a validator.
    pub fn upstream_headers(&self) -> HeaderMap {
        let mut headers: HeaderMap = self.selecting.iter().cloned().collect();
        headers.insert(header::USER_AGENT, HeaderValue::from_static(USER_AGENT));
        headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
        if self.query.is_some() {
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8"));
        }
        if let Some(credential) = &self.credential {
            headers.insert(header::AUTHORIZATION, credential.header());
        }
        headers
    }

    /// Returns the ETag that GitHub would give `body` for this question and this credential.
    pub fn expected_etag(&self, body: &[u8]) -> String {
        let accept = self.selecting.iter().find(|(name, _)| name == header::ACCEPT).map(|(_, value)| value.as_bytes());
        let hashed = self.credential.as_ref().filter(|credential| credential.is_hashed());
        let authorization = hashed.map(Credential::reveal);
        etag(EtagInput { accept, authorization, cookie: None }, body)
    }
}

fn is_known(name: &HeaderName) -> bool {
    is_without_effect(name.as_str()) || SELECTING.contains(name)
}

fn selects_twice(headers: &HeaderMap) -> bool {
    SELECTING.iter().any(|name| headers.get_all(name).iter().count() > 1)
}

fn selecting(headers: &HeaderMap) -> Vec<(HeaderName, HeaderValue)> {
    let value_of = |name: &HeaderName| {
        let value = headers.get(name).cloned();
        if *name == header::ACCEPT { Some(canonical_accept(value)) } else { value }
    };
    SELECTING.iter().filter_map(|name| Some((name.clone(), value_of(name)?))).collect()
}

/// Empty, absent, anything, v3 and the present name are one media type to GitHub. Without this, gh,
/// Octokit and PyGithub would never share an answer.
fn canonical_accept(accept: Option<HeaderValue>) -> HeaderValue {
    let default = HeaderValue::from_static("application/vnd.github+json");
    let Some(accept) = accept else { return default };
    match accept.as_bytes().trim_ascii() {
        b"" | b"*/*" | b"application/json" | b"application/vnd.github.v3+json" | b"application/vnd.github+json" => {
            default
        }
        other => HeaderValue::from_bytes(other).unwrap_or(accept),
    }
}

fn query_has_secret(target: &Target) -> bool {
    let names = ["access_token", "client_secret", "token"];
    let mut pairs = target.query().unwrap_or_default().split('&');
    pairs.any(|pair| names.contains(&pair.split('=').next().unwrap_or_default().to_ascii_lowercase().as_str()))
}

/// GitHub looks for these names in `User-Agent`; observed, not documented.
fn wants_pretty(headers: &HeaderMap) -> bool {
    let agent = headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok()).unwrap_or_default().as_bytes();
    agent.iter().enumerate().any(|(at, first)| {
        let name: &[u8] = match first {
            b'c' => b"curl",
            b'W' => b"Wget",
            b'S' => b"Safari",
            b'F' => b"Firefox",
            _ => return false,
        };
        agent[at..].starts_with(name)
    })
}

/// Whether gzip is acceptable (RFC 9110, §12.5.3); `gzip;q=0` is a refusal, also beside a `*`.
fn accepts_gzip(headers: &HeaderMap) -> bool {
    let values = headers.get_all(header::ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    let (mut gzip, mut any) = (None, None);
    for coding in values.flat_map(|value| value.split(',')) {
        let (name, weight) = coding.split_once(';').unwrap_or((coding, ""));
        let weight = weight.trim();
        let weight = weight.strip_prefix("q=").or_else(|| weight.strip_prefix("Q="));
        let is_refused = weight.is_some_and(|q| q.trim().parse() == Ok(0.0));
        match name.trim() {
            "*" => any = Some(!is_refused),
            name if name.eq_ignore_ascii_case("gzip") || name.eq_ignore_ascii_case("x-gzip") => {
                gzip = Some(!is_refused);
            }
            _ => {}
        }
    }
    gzip.or(any).unwrap_or(false)
}

fn if_none_match(headers: &HeaderMap) -> Vec<String> {
    let values = headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(|tag| tag.trim().to_owned()).filter(|tag| !tag.is_empty()).collect()
}

#[cfg(test)]
mod tests;
