use bytes::Bytes;
use canary::Bug;
use github::{Ask, matches, pretty};
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

impl Answer {
    pub fn is_fresh(&self, now: Millis) -> bool {
        now < self.fresh_until && now < self.proved_until
            || canary::sings(Bug::MixesTheClocks) && now < self.fresh_until.max(self.proved_until)
            || canary::sings(Bug::IgnoresExpiry) && now < self.stale_until
    }

    /// About how much memory it takes.
    pub fn weight(&self) -> u64 {
        let gzip = self.gzip.as_ref().map_or(0, Bytes::len);
        (self.plain.len() + gzip + 512 + 64 * self.headers.len()) as u64
    }

    /// Returns the response for one client: in its coding and layout, 304 where it has it already.
    ///
    /// `limits` are the `x-ratelimit-*` headers that are true now; never those of back then.
    pub fn respond(&self, ask: &Ask, how: How, limits: Option<HeaderMap>, base: &Base, now: Millis) -> Response<Body> {
        let mut headers = self.headers.clone();
        rebase(&mut headers, base);
        headers.extend(limits.unwrap_or_default());
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
        if self.client_has_it(ask) {
            headers.remove(header::CONTENT_TYPE);
            headers.remove(header::LINK);
            return respond(StatusCode::NOT_MODIFIED, headers, empty());
        }

        let renamed = rename(&self.headers, &self.plain, base);
        let plain = renamed.as_ref().unwrap_or(&self.plain);
        let body = match &self.gzip {
            _ if ask.wants.pretty && self.is_json() => pretty(plain),
            Some(gzip) if ask.wants.gzip && renamed.is_none() => {
                headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
                gzip.clone()
            }
            _ => plain.clone(),
        };
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
        respond(self.status, headers, if ask.wants.head_only { empty() } else { full(body) })
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
        let until = self.fresh_until.min(self.proved_until);
        let ttl = if until > now {
            i64::try_from(until.since(now).as_secs()).unwrap_or(i64::MAX)
        } else {
            -i64::try_from(now.since(until).as_secs()).unwrap_or(i64::MAX)
        };
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
