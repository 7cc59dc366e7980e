use std::time::{Duration, SystemTime};

use http::{HeaderMap, StatusCode, header};
use wire::Millis;

use crate::{Route, Target, limits, link};

/// What the origin's answer to a cacheable request means for the cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// A 200: keep it, if its freshness and its body allow that.
    Fill,
    /// A 304 to our own validator: what is kept is still what this credential is told.
    Confirmed,
    /// A 401: nothing kept for this credential may be served again.
    CredentialRefused,
    /// A 404, 410, 451 or a 403 that is no limit: nothing kept for this key and credential.
    Denied,
    /// A rate limit: the answer kept may be served, marked stale.
    Limited { until: Millis },
    /// A 5xx: the same.
    Outage,
    /// A 404 or 410: as [`Self::Denied`], and it may be told again to this very credential for `ttl`.
    /// It is told to no other, and to no peer. From [`judge_at`] only.
    Negative { ttl: Duration },
    /// A 301 to another target of the same origin: the same holds. From [`judge_at`] only.
    Moved { ttl: Duration },
    /// Anything else is passed on and not kept.
    PassOn,
}

/// `body` is needed for a 403 or 429 only: GitHub's secondary limits may say so in the text alone.
pub fn judge(status: StatusCode, headers: &HeaderMap, body: &[u8], now: Millis) -> Verdict {
    match status.as_u16() {
        200 => Verdict::Fill,
        304 => Verdict::Confirmed,
        401 => Verdict::CredentialRefused,
        403 | 429 => match limit(status, headers, body, now) {
            Some(Limit::Until(until) | Limit::Drained(Some(until))) => Verdict::Limited { until },
            Some(Limit::Drained(None) | Limit::Unnamed) => Verdict::Limited { until: now.after(limits::LIMIT_PAUSE) },
            None => Verdict::Denied,
        },
        404 | 410 | 451 => Verdict::Denied,
        500.. => Verdict::Outage,
        _ => Verdict::PassOn,
    }
}

/// As [`judge`], and tells which 404, 410 and 301 may be kept for a moment. `base` is the origin's,
/// such as `https://api.github.com`; `target` is what was asked.
///
/// A redirect is kept only if it changes the path and nothing else: what is at another origin, or has
/// another query, may be signed.
pub fn judge_at(
    base: &str,
    target: &Target,
    status: StatusCode,
    headers: &HeaderMap,
    body: &[u8],
    now: Millis,
) -> Verdict {
    let route = Route::of(target);
    match (judge(status, headers, body, now), status.as_u16()) {
        (Verdict::Denied, 404 | 410) => route.negative_ttl().map_or(Verdict::Denied, |ttl| Verdict::Negative { ttl }),
        (Verdict::PassOn, 301) if route.is_stored() && moves_within(base, target, headers) => {
            Verdict::Moved { ttl: limits::MOVED_TTL }
        }
        (verdict, _) => verdict,
    }
}

fn moves_within(base: &str, target: &Target, headers: &HeaderMap) -> bool {
    let mut locations = headers.get_all(header::LOCATION).iter();
    let (Some(location), None) = (locations.next(), locations.next()) else { return false };
    let Some((origin, to)) = location.to_str().ok().and_then(link::split) else { return false };
    origin == base.strip_suffix("/api/v3").unwrap_or(base)
        && to.query() == target.query()
        && to.path() != target.path()
        && Route::of(&to) == Route::of(target)
}

/// A limit, by what it names; in the order that GitHub documents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Limit {
    /// `Retry-After`.
    Until(Millis),
    /// `x-ratelimit-remaining: 0`, and its reset.
    Drained(Option<Millis>),
    /// It says that it is one, and not for how long: at least a minute, then longer.
    Unnamed,
}

/// What limit an answer tells of; `None` if it is no limit. A 403 is one only if it says so.
pub(crate) fn limit(status: StatusCode, headers: &HeaderMap, body: &[u8], now: Millis) -> Option<Limit> {
    if !matches!(status, StatusCode::FORBIDDEN | StatusCode::TOO_MANY_REQUESTS) {
        return None;
    }
    let number = |name| headers.get(name)?.to_str().ok()?.trim().parse::<u64>().ok();
    if let Some(value) = headers.get(header::RETRY_AFTER) {
        let value = value.to_str().unwrap_or_default();
        let pause = value.trim().parse().map(|secs| now.after(Duration::from_secs(secs)));
        return Some(pause.ok().or_else(|| http_date(value)).map_or(Limit::Unnamed, Limit::Until));
    }
    if number("x-ratelimit-remaining") == Some(0) {
        return Some(Limit::Drained(number("x-ratelimit-reset").map(Millis::from_secs)));
    }
    let text = String::from_utf8_lossy(&body[..body.len().min(limits::LIMIT_BODY_BYTES_MAX)]).to_ascii_lowercase();
    let is_limit =
        status == StatusCode::TOO_MANY_REQUESTS || text.contains("rate limit") || text.contains("abuse detection");
    is_limit.then_some(Limit::Unnamed)
}

fn http_date(text: &str) -> Option<Millis> {
    httpdate::parse_http_date(text.trim()).ok().map(<Millis as From<SystemTime>>::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Millis = Millis::from_secs(1000);

    fn verdict(status: u16, headers: &[(&'static str, &'static str)], body: &str) -> Verdict {
        let headers = headers.iter().map(|(n, v)| (n.parse().unwrap(), v.parse().unwrap())).collect();
        judge(StatusCode::from_u16(status).unwrap(), &headers, body.as_bytes(), NOW)
    }

    #[test]
    fn a_403_is_a_denial_unless_it_says_that_it_is_a_limit() {
        let limited = |secs| Verdict::Limited { until: Millis::from_secs(secs) };
        assert_eq!(verdict(403, &[], r#"{"message":"Resource not accessible by integration"}"#), Verdict::Denied);
        assert_eq!(verdict(403, &[("x-ratelimit-remaining", "17")], ""), Verdict::Denied);
        assert_eq!(verdict(403, &[("retry-after", "30"), ("x-ratelimit-remaining", "0")], ""), limited(1030));
        assert_eq!(verdict(403, &[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "1500")], ""), limited(1500));
        assert_eq!(verdict(403, &[], "You have exceeded a secondary rate limit."), limited(1060));
        assert_eq!(verdict(429, &[], ""), limited(1060));
    }

    #[test]
    fn some_answers_are_kept_for_a_moment_for_who_got_them() {
        let at = |text: &str, status: u16, location: &[&'static str]| {
            let (path, query) = text.split_once('?').map_or((text, None), |(path, query)| (path, Some(query)));
            let target = Target::parse(path, query).unwrap();
            let mut headers = HeaderMap::new();
            for location in location {
                headers.append(header::LOCATION, location.parse().unwrap());
            }
            judge_at("https://api.github.com", &target, StatusCode::from_u16(status).unwrap(), &headers, b"", NOW)
        };
        let negative = Verdict::Negative { ttl: limits::NEGATIVE_TTL };
        assert_eq!(at("/repos/o/r", 404, &[]), negative);
        assert_eq!(at("/repos/o/r/issues/7", 410, &[]), negative);
        for awaited in ["/repos/o/r/releases/latest", "/repos/o/r/actions/runs/7", "/repos/o/r/git/ref/heads/new", "/x"]
        {
            assert_eq!(at(awaited, 404, &[]), Verdict::Denied, "{awaited}");
        }
        for (path, status) in [("/repos/o/r", 451), ("/repos/o/r", 403), ("/search/code", 404)] {
            assert_eq!(at(path, status, &[]), Verdict::Denied, "{path} {status}");
        }
        assert_eq!(at("/repos/o/r", 401, &[]), Verdict::CredentialRefused);
        assert_eq!(at("/repos/o/r", 429, &[]), Verdict::Limited { until: Millis::from_secs(1060) });
        let to = "https://api.github.com/repositories/7/issues?page=2";
        assert_eq!(at("/repos/o/r/issues?page=2", 301, &[to]), Verdict::Moved { ttl: limits::MOVED_TTL });
        for (status, location) in [
            (302, &[to][..]),
            (307, &[to]),
            (301, &[]),
            (301, &[to, to]),
            (301, &["https://evil.example/repositories/7/issues?page=2"]),
            (301, &["https://api.github.com/repositories/7/issues?page=2&token=x"]),
            (301, &["https://api.github.com/repositories/7/pulls?page=2"]),
            (301, &["https://api.github.com/repos/o/r/issues?page=2"]),
            (301, &["/repositories/7/issues?page=2"]),
        ] {
            assert_eq!(at("/repos/o/r/issues?page=2", status, location), Verdict::PassOn, "{status} {location:?}");
        }
    }

    #[test]
    fn other_answers_are_told_by_their_status() {
        for (status, expected) in [
            (200, Verdict::Fill),
            (202, Verdict::PassOn),
            (301, Verdict::PassOn),
            (304, Verdict::Confirmed),
            (401, Verdict::CredentialRefused),
            (404, Verdict::Denied),
            (410, Verdict::Denied),
            (422, Verdict::PassOn),
            (500, Verdict::Outage),
            (503, Verdict::Outage),
        ] {
            assert_eq!(verdict(status, &[], ""), expected, "{status}");
        }
    }
}
