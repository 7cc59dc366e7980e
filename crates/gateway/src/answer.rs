use std::sync::{Arc, Mutex};

use bytes::Bytes;
use canary::Bug;
use github::{Ask, LimitFigures, matches, pretty};
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use wire::Millis;

use crate::{Base, Body, empty, full, relay::rebase, rename::rename};

/// An answer as memory holds it, ready to be served to its scope.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: StatusCode,
    /// Kept headers only; `Link` still names the origin.
    pub headers: HeaderMap,
    /// As the origin gave it to this very credential.
    pub etag: Option<HeaderValue>,
    pub plain: Bytes,
    pub gzip: Option<Bytes>,
    pub validated_at: Millis,
    pub fresh_until: Millis,
    pub proved_until: Millis,
    pub stale_until: Millis,
    /// Whether a peer brought it to this machine.
    pub from_peer: bool,
    pub dressed: Dressed,
}

/// How an answer came about, as `Cache-Status` (RFC 9211) tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    Hit,
    /// A member had it, and this credential had been told it.
    PeerHit,
    /// The origin gave it now.
    Filled,
    /// The origin confirmed it now, without charge.
    Confirmed,
    /// The origin gave it now, for what another credential had been told; to the client, a miss.
    Proved,
    /// Another request was already on its way.
    Joined,
    /// The origin cannot answer.
    Stale,
}

/// The heads that were sent last, plain and packed. Most of what is in one stays for a second, so who asks
/// in that second is given a copy.
#[derive(Debug, Default)]
pub struct Dressed([Mutex<Option<Arc<LastHead>>>; 2]);

#[derive(Debug)]
struct LastHead {
    dress: Dress,
    /// What its client calls the API.
    base: String,
    head: HeaderMap,
}

impl Clone for Dressed {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl Dressed {
    fn head(&self, dress: Dress, base: &Base, build: impl FnOnce() -> HeaderMap) -> HeaderMap {
        let place = &self.0[usize::from(dress.is_gzip)];
        let last = place.lock().expect("no panic while held").clone();
        if let Some(last) = last.filter(|last| last.dress == dress && last.base == base.client) {
            return last.head.clone();
        }
        let head = build();
        let last = LastHead { dress, base: base.client.clone(), head: head.clone() };
        *place.lock().expect("no panic while held") = Some(Arc::new(last));
        head
    }
}

/// All that a head depends on beside the answer itself and the client's base.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Dress {
    how: How,
    limits: Option<LimitFigures>,
    is_gzip: bool,
    age: u64,
    ttl: i64,
}

impl Answer {
    pub fn is_fresh(&self, now: Millis) -> bool {
        now < self.fresh_until && now < self.proved_until
            || canary::sings(Bug::MixesTheClocks) && now < self.fresh_until.max(self.proved_until)
            || canary::sings(Bug::IgnoresExpiry) && now < self.stale_until
    }

    /// About how much memory it takes, with a head that was sent.
    pub fn weight(&self) -> u64 {
        let gzip = self.gzip.as_ref().map_or(0, Bytes::len);
        (self.plain.len() + gzip + 1024 + 192 * self.headers.len()) as u64
    }

    /// Returns the response for one client: in its coding and layout, 304 where it has it already.
    ///
    /// `limits` is what the `x-ratelimit-*` headers say that are true now; never those of back then.
    pub fn respond(
        &self,
        ask: &Ask,
        how: How,
        limits: Option<LimitFigures>,
        base: &Base,
        now: Millis,
    ) -> Response<Body> {
        if self.client_has_it(ask) {
            let mut headers = self.head(how, limits, base, now);
            headers.remove(header::CONTENT_TYPE);
            headers.remove(header::LINK);
            return respond(StatusCode::NOT_MODIFIED, headers, empty());
        }
        let pretty = ask.wants.pretty && self.is_json();
        let (headers, body) = if pretty || base.in_bodies {
            self.reworded(ask, pretty, self.head(how, limits, base, now), base)
        } else {
            let gzip = self.gzip.as_ref().filter(|_| ask.wants.gzip);
            let body = gzip.unwrap_or(&self.plain).clone();
            let (age, ttl) = (now.since(self.validated_at).as_secs(), self.ttl(now));
            let dress = Dress { how, limits, is_gzip: gzip.is_some(), age, ttl };
            let headers = self.dressed.head(dress, base, || {
                let mut headers = self.head(how, limits, base, now);
                if gzip.is_some() {
                    headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
                }
                headers.insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
                headers
            });
            (headers, body)
        };
        respond(self.status, headers, if ask.wants.head_only { empty() } else { full(body) })
    }

    /// The head and body for a client that gets neither of the forms that are kept.
    fn reworded(&self, ask: &Ask, as_pretty: bool, mut headers: HeaderMap, base: &Base) -> (HeaderMap, Bytes) {
        let renamed = rename(&self.headers, &self.plain, base);
        let plain = renamed.as_ref().unwrap_or(&self.plain);
        let body = match &self.gzip {
            _ if as_pretty => pretty(plain),
            Some(gzip) if ask.wants.gzip && renamed.is_none() => {
                headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
                gzip.clone()
            }
            _ => plain.clone(),
        };
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
        (headers, body)
    }

    /// The head, but for what depends on the form of the body.
    fn head(&self, how: How, limits: Option<LimitFigures>, base: &Base, now: Millis) -> HeaderMap {
        let mut headers = self.headers.clone();
        rebase(&mut headers, base);
        headers.extend(limits.map(LimitFigures::headers).unwrap_or_default());
        headers.insert("cache-status", self.cache_status(how, now));
        headers.insert(header::AGE, HeaderValue::from(now.since(self.validated_at).as_secs()));
        headers.insert(header::VARY, HeaderValue::from_static("Accept, Authorization, Cookie, Accept-Encoding"));
        let max_age = self.fresh_until.min(self.proved_until).since(now).as_secs();
        let cache_control = format!("private, max-age={max_age}");
        headers.insert(header::CACHE_CONTROL, HeaderValue::try_from(cache_control).expect("digits and letters"));
        if matches!(how, How::Hit | How::PeerHit | How::Joined | How::Stale) {
            headers.insert("x-from-cache", HeaderValue::from_static("1"));
        }
        if let Some(etag) = &self.etag {
            headers.insert(header::ETAG, etag.clone());
        }
        headers
    }

    /// Seconds that it is fresh yet, or less than 0.
    fn ttl(&self, now: Millis) -> i64 {
        let until = self.fresh_until.min(self.proved_until);
        if until > now {
            i64::try_from(until.since(now).as_secs()).unwrap_or(i64::MAX)
        } else {
            -i64::try_from(now.since(until).as_secs()).unwrap_or(i64::MAX)
        }
    }

    fn client_has_it(&self, ask: &Ask) -> bool {
        let etag = self.etag.as_ref().and_then(|etag| etag.to_str().ok());
        etag.is_some_and(|etag| ask.wants.if_none_match.iter().any(|theirs| theirs == "*" || matches(theirs, etag)))
    }

    fn is_json(&self) -> bool {
        let content_type = self.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        content_type.is_some_and(|value| value.contains("json"))
    }

    fn cache_status(&self, how: How, now: Millis) -> HeaderValue {
        let ttl = self.ttl(now);
        let text = match how {
            How::Hit => format!("ghoard; hit; ttl={ttl}"),
            How::PeerHit => format!("ghoard; hit; ttl={ttl}; detail=peer"),
            // Nobody may learn from this that another credential had asked.
            How::Filled | How::Proved => format!("ghoard; fwd=miss; fwd-status=200; ttl={ttl}; stored"),
            How::Confirmed => format!("ghoard; fwd=stale; fwd-status=304; ttl={ttl}; stored"),
            How::Joined => format!("ghoard; fwd=miss; collapsed; ttl={ttl}"),
            How::Stale => format!("ghoard; hit; ttl={ttl}; detail=stale"),
        };
        HeaderValue::try_from(text).expect("visible ASCII")
    }
}

fn respond(status: StatusCode, headers: HeaderMap, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

#[cfg(test)]
mod tests {
    use github::{Plan, Resource, Target, plan};
    use http::Method;

    use super::*;

    fn ask(coding: &'static str) -> Ask {
        let headers = [(header::ACCEPT_ENCODING, HeaderValue::from_static(coding))].into_iter().collect();
        let target = Target::parse("/repos/o/r/issues", None).unwrap();
        let Plan::Cache(ask) = plan(&Method::GET, github::API_HOST, target, &headers, false) else { panic!("cached") };
        *ask
    }

    #[test]
    fn a_head_that_stands_by_is_never_one_of_another_second_form_budget_or_door() {
        let link = "<https://api.github.com/repos/o/r/issues?page=2>; rel=\"next\"";
        let answer = Answer {
            status: StatusCode::OK,
            headers: [(header::LINK, link.parse().unwrap())].into_iter().collect(),
            etag: None,
            plain: Bytes::from_static(b"[1,2,3]"),
            gzip: Some(Bytes::from_static(b"zip")),
            validated_at: Millis::from_secs(100),
            fresh_until: Millis::from_secs(160),
            proved_until: Millis::from_secs(160),
            stale_until: Millis::from_secs(160),
            from_peer: false,
            dressed: Dressed::default(),
        };
        let base = |client: &str| Base {
            client: client.to_owned(),
            origins: vec!["https://api.github.com".to_owned()],
            in_bodies: false,
        };
        let left = |remaining| {
            Some(LimitFigures { limit: 9, remaining, used: 9 - remaining, reset: 200, resource: Resource::CORE })
        };
        let (plain, gzip, door) = (ask(""), ask("gzip"), base("http://127.0.0.1:1"));
        let head = |ask: &Ask, limits, base: &Base, secs| {
            let response = answer.respond(ask, How::Hit, limits, base, Millis::from_secs(secs));
            let text = |name: &str| response.headers().get(name).map_or("", |value| value.to_str().unwrap()).to_owned();
            ["age", "cache-control", "content-length", "content-encoding", "x-ratelimit-remaining", "link"].map(text)
        };
        let linked = |base: &str| format!("<{base}/repos/o/r/issues?page=2>; rel=\"next\"");
        let here = linked("http://127.0.0.1:1");
        for _ in 0..2 {
            assert_eq!(head(&plain, left(5), &door, 110), ["10", "private, max-age=50", "7", "", "5", &here]);
            assert_eq!(head(&plain, left(5), &door, 111), ["11", "private, max-age=49", "7", "", "5", &here]);
            assert_eq!(head(&gzip, left(5), &door, 111), ["11", "private, max-age=49", "3", "gzip", "5", &here]);
            assert_eq!(head(&plain, left(4), &door, 111), ["11", "private, max-age=49", "7", "", "4", &here]);
            assert_eq!(head(&plain, None, &door, 111), ["11", "private, max-age=49", "7", "", "", &here]);
            let other = linked("http://127.0.0.1:2");
            let at_other = head(&plain, None, &base("http://127.0.0.1:2"), 111);
            assert_eq!(at_other, ["11", "private, max-age=49", "7", "", "", &other]);
        }
    }
}
