use std::time::{Duration, SystemTime};

use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};

use crate::{
    ContentRange, Fields, Wishes,
    age::{date, initial_age},
    control::{Control, control},
    headers::forwardable,
    lifetime::{allows_heuristic, explicit, heuristic},
    range::content_range,
    vary::Selecting,
};

/// An age that nobody knows counts as this: older than any lifetime.
const AGE_UNKNOWN: Duration = Duration::from_secs(1 << 31);

/// Statuses whose rules this cache knows, which `must-understand` asks for.
const UNDERSTOOD: [u16; 25] = [
    200, 203, 204, 206, 300, 301, 302, 303, 307, 308, 400, 403, 404, 405, 406, 409, 410, 413, 414, 415, 451, 500, 501,
    502, 503,
];

/// A 304 or an answer to HEAD does not change these: they tell of the body that is stored (RFC 9111, §3.2).
const OF_THE_BODY: [&str; 7] =
    ["content-digest", "content-encoding", "content-length", "content-md5", "content-range", "digest", "etag"];

/// One request to the origin, and when it was answered.
#[derive(Clone, Copy, Debug)]
pub struct Exchange<'a> {
    pub method: &'a Method,
    /// Path and query.
    pub target: &'a str,
    pub request: &'a HeaderMap,
    pub asked: SystemTime,
    pub answered: SystemTime,
}

/// Why a response is not stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotStored {
    /// The method's responses are not kept.
    Method,
    /// The status has no rule by which it could be kept, or is a part that does not say which.
    Status,
    /// The origin or the client forbids it.
    Forbidden,
    /// It was given to a credential, and the origin does not say that others may have it.
    Authorization,
    /// Nobody knows for which other requests it would be right (`Vary: *`).
    Vary,
    /// It is stale at once and could not be confirmed.
    Useless,
}

/// A response that may be stored, without its body: what of it is kept, and for how long it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    status: StatusCode,
    /// As they came, without those of one hop, `Age`, and those that must not be stored.
    headers: HeaderMap,
    selecting: Selecting,
    part: Option<ContentRange>,
    date: SystemTime,
    answered: SystemTime,
    age_then: Duration,
    pub(crate) lifetime: Duration,
    /// `no-cache`: never without asking.
    pub(crate) no_cache: bool,
    /// Never stale, whoever would like it.
    pub(crate) never_stale: bool,
    pub(crate) while_revalidating: Duration,
    pub(crate) if_error: Duration,
}

impl Stored {
    /// Returns what is to be stored of a response.
    ///
    /// # Errors
    /// [`NotStored`] says which rule of RFC 9111, §3 it does not meet.
    pub fn new(exchange: &Exchange<'_>, status: StatusCode, response: &HeaderMap) -> Result<Self, NotStored> {
        may_store(exchange, status, response)?;
        let stored = Self::build(exchange, status, response)?;
        let could_serve = !stored.no_cache && (!stored.lifetime.is_zero() || !stored.while_revalidating.is_zero());
        if could_serve || stored.etag().is_some() || stored.headers.contains_key(header::LAST_MODIFIED) {
            Ok(stored)
        } else {
            Err(NotStored::Useless)
        }
    }

    fn build(exchange: &Exchange<'_>, status: StatusCode, response: &HeaderMap) -> Result<Self, NotStored> {
        let control = control(response);
        let answered = exchange.answered;
        let said = &control.directives;
        let lifetime = explicit(&control, response, answered).unwrap_or_else(|| {
            if allows_heuristic(&control, status) { heuristic(response, answered) } else { Duration::ZERO }
        });
        let no_cache = said.fields("no-cache") == Fields::All;
        let must = ["must-revalidate", "proxy-revalidate", "s-maxage"];
        Ok(Self {
            status,
            selecting: Selecting::new(response, exchange.request).ok_or(NotStored::Vary)?,
            part: if status == StatusCode::PARTIAL_CONTENT { content_range(response) } else { None },
            date: date(response, answered),
            answered,
            age_then: initial_age(response, exchange.asked, answered).unwrap_or(AGE_UNKNOWN),
            lifetime,
            no_cache,
            never_stale: no_cache || must.iter().any(|name| said.has(name)),
            while_revalidating: said.seconds("stale-while-revalidate").unwrap_or_default(),
            if_error: said.seconds("stale-if-error").unwrap_or_default(),
            headers: kept_headers(&control, response, answered),
        })
    }

    /// Returns this response as another answer to the same GET says that it is now: a 304, or what HEAD
    /// would have been told. And whether it may still be stored.
    ///
    /// The body's own fields stay, its `ETag` too. A 304 whose strong `ETag` is another one should update
    /// nothing (RFC 9111, §4.3.4); but we send one condition at a time, so that it has one meaning.
    pub fn freshened(&self, exchange: &Exchange<'_>, answer: &HeaderMap) -> (Self, bool) {
        let mut headers = self.headers.clone();
        let update = forwardable(answer);
        let is_new = |name: &HeaderName| !OF_THE_BODY.contains(&name.as_str());
        for name in update.keys().filter(|name| is_new(name)) {
            headers.remove(name);
        }
        for (name, value) in update.iter().filter(|(name, _)| is_new(name)) {
            headers.append(name.clone(), value.clone());
        }
        if !answer.contains_key(header::DATE) {
            headers.remove(header::DATE);
        }
        let may_stay = may_store(exchange, self.status, &headers).is_ok();
        match Self::build(exchange, self.status, &headers) {
            Ok(fresh) => (Self { part: self.part, ..fresh }, may_stay),
            Err(_) => (Self { headers, ..self.clone() }, false),
        }
    }

    /// Whether an answer to HEAD is about the response that is stored (RFC 9111, §4.3.5).
    pub fn is_described_by(&self, head: &HeaderMap) -> bool {
        let same = |name| head.get(&name).is_none_or(|value| self.headers.get(&name) == Some(value));
        same(header::ETAG) && same(header::LAST_MODIFIED) && same(header::CONTENT_LENGTH)
    }

    /// A part and the rest that a later answer brought, as one.
    ///
    /// `None` if the two are not parts of the same (RFC 9111, §3.4) or do not meet.
    pub fn completed(&self, exchange: &Exchange<'_>, rest: &HeaderMap) -> Option<Self> {
        let (have, more) = (self.part?, content_range(rest)?);
        let is_same =
            self.strong_etag().is_some() && rest.get(header::ETAG).map(HeaderValue::as_bytes) == self.strong_etag();
        let (first, second) = if have.part.first == 0 { (have, more) } else { (more, have) };
        let meets = first.part.first == 0 && first.part.last + 1 == second.part.first;
        if !is_same || have.total != more.total || !meets || second.part.last + 1 != have.total {
            return None;
        }
        let (mut whole, may_stay) = self.freshened(exchange, rest);
        if !may_stay {
            return None;
        }
        whole.status = StatusCode::OK;
        whole.part = None;
        whole.headers.remove(header::CONTENT_RANGE);
        whole.headers.insert(header::CONTENT_LENGTH, have.total.into());
        Some(whole)
    }

    /// Whether it is the response to `request`, as far as its fields choose (RFC 9111, §4.1).
    pub fn matches(&self, request: &HeaderMap) -> bool {
        self.selecting.matches(request)
    }

    /// The fields to serve it with, `Age` included (RFC 9111, §5.1). `Surrogate-Control` is for caches only.
    pub fn served(&self, now: SystemTime) -> HeaderMap {
        let mut headers = self.headers.clone();
        headers.remove("surrogate-control");
        headers.insert(header::AGE, self.age(now).as_secs().into());
        headers
    }

    pub fn age(&self, now: SystemTime) -> Duration {
        self.age_then + now.duration_since(self.answered).unwrap_or_default()
    }

    /// Seconds of freshness left, below 0 when stale, as `Cache-Status` tells them.
    pub fn ttl_secs(&self, now: SystemTime) -> i64 {
        let secs = |time: Duration| i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
        secs(self.lifetime) - secs(self.age(now))
    }

    pub fn status(&self) -> StatusCode {
        self.status
    }

    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// `None` for a whole response.
    pub fn part(&self) -> Option<ContentRange> {
        self.part
    }

    pub fn etag(&self) -> Option<&[u8]> {
        self.headers.get(header::ETAG).map(HeaderValue::as_bytes)
    }

    pub(crate) fn strong_etag(&self) -> Option<&[u8]> {
        self.etag().filter(|etag| etag.starts_with(b"\""))
    }

    /// Its `Date`, or when it arrived.
    pub fn date(&self) -> SystemTime {
        self.date
    }
}

fn may_store(exchange: &Exchange<'_>, status: StatusCode, response: &HeaderMap) -> Result<(), NotStored> {
    let control = control(response);
    let said = &control.directives;
    let told = explicit(&control, response, exchange.answered).is_some();
    let is_kept_method = match *exchange.method {
        Method::GET => true,
        Method::POST => told && is_about_itself(exchange.target, response),
        _ => false,
    };
    if !is_kept_method {
        return Err(NotStored::Method);
    }
    let is_part = status == StatusCode::PARTIAL_CONTENT;
    if status.is_informational() || status == StatusCode::NOT_MODIFIED || (is_part && content_range(response).is_none())
    {
        return Err(NotStored::Status);
    }
    let understood = UNDERSTOOD.contains(&status.as_u16());
    let no_store = if said.has("must-understand") { !understood } else { said.has("no-store") };
    if no_store || said.fields("private") == Fields::All || Wishes::of(exchange.request).no_store {
        return Err(NotStored::Forbidden);
    }
    let is_shared = ["public", "must-revalidate", "s-maxage"].iter().any(|name| said.has(name));
    if exchange.request.contains_key(header::AUTHORIZATION) && !is_shared {
        return Err(NotStored::Authorization);
    }
    if !told && !allows_heuristic(&control, status) {
        return Err(NotStored::Status);
    }
    Ok(())
}

/// Whether the response to a POST is what a GET of the same target would get (RFC 9110, §9.3.3).
fn is_about_itself(target: &str, response: &HeaderMap) -> bool {
    let location = response.get(header::CONTENT_LOCATION).and_then(|location| location.to_str().ok());
    location == Some(target)
}

fn kept_headers(control: &Control, response: &HeaderMap, answered: SystemTime) -> HeaderMap {
    let mut headers = forwardable(response);
    headers.remove(header::AGE);
    headers.remove(header::TRAILER);
    for directive in ["private", "no-cache"] {
        if let Fields::Named(fields) = control.directives.fields(directive) {
            for field in fields {
                headers.remove(field);
            }
        }
    }
    if !headers.contains_key(header::DATE) {
        let date = HeaderValue::try_from(httpdate::fmt_http_date(answered)).expect("a date is visible ASCII");
        headers.insert(header::DATE, date);
    }
    headers
}

#[cfg(test)]
mod tests;
