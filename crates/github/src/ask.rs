use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};

use crate::{
    ClientWants, Credential, EtagInput, Family, GraphqlQuery, Route, Said, Target, Touches, USER_AGENT, etag,
    said::is_known,
};

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

/// Decides what to do with a request. `has_body` is whether it carries any content.
pub fn plan(method: &Method, host: &str, target: Target, headers: &HeaderMap, has_body: bool) -> Plan {
    plan_said(method, host, target, &Said::read(headers), has_body)
}

/// The same for headers that have been read.
pub fn plan_said(method: &Method, host: &str, target: Target, said: &Said, has_body: bool) -> Plan {
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
    if let Some(why) = said.doubt {
        return Plan::Pass { why };
    }
    if query_has_secret(&target) {
        return Plan::Pass { why: "a credential in the query" };
    }
    if said.wants.directives.no_store {
        return Plan::Pass { why: "the client says no-store" };
    }
    let family = Family::of(host, &target);
    let mut ask = Ask::new(host, target, route, family, said);
    ask.wants.head_only = method == Method::HEAD;
    Plan::Cache(Box::new(ask))
}

/// The cacheable question that a GraphQL query is; `None` if its headers may change the answer in a way
/// that is not known.
pub fn plan_query(host: &str, target: Target, headers: &HeaderMap, query: GraphqlQuery, body: Bytes) -> Option<Ask> {
    let said = Said::read_beside(headers, |name| name == header::CONTENT_LENGTH);
    if said.doubt.is_some() || target.query().is_some() || said.wants.directives.no_store {
        return None;
    }
    let family = query.family(host);
    let ask = Ask::new(host, target, Route::Graphql, family, &said);
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
    fn new(host: &str, target: Target, route: Route, family: Family, said: &Said) -> Self {
        Self {
            host: host.to_owned(),
            target,
            route,
            family,
            credential: said.credential.clone(),
            selecting: said.selecting.clone(),
            wants: said.wants.clone(),
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

fn query_has_secret(target: &Target) -> bool {
    let names = ["access_token", "client_secret", "token"];
    let mut pairs = target.query().unwrap_or_default().split('&');
    pairs.any(|pair| names.contains(&pair.split('=').next().unwrap_or_default().to_ascii_lowercase().as_str()))
}

#[cfg(test)]
mod tests;
