use std::time::{Duration, SystemTime};

use http::{HeaderMap, StatusCode, header};
use wire::Millis;

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
    /// Anything else is passed on and not kept.
    PassOn,
}

/// The least time to stay away after a limit that names none.
const LIMIT_PAUSE: Duration = Duration::from_secs(60);

/// `body` is needed for a 403 or 429 only: GitHub's secondary limits may say so in the text alone.
pub fn judge(status: StatusCode, headers: &HeaderMap, body: &[u8], now: Millis) -> Verdict {
    match status.as_u16() {
        200 => Verdict::Fill,
        304 => Verdict::Confirmed,
        401 => Verdict::CredentialRefused,
        403 | 429 => match limit(headers, body, now) {
            Some(until) => Verdict::Limited { until },
            None if status == StatusCode::TOO_MANY_REQUESTS => Verdict::Limited { until: now.after(LIMIT_PAUSE) },
            None => Verdict::Denied,
        },
        404 | 410 | 451 => Verdict::Denied,
        500.. => Verdict::Outage,
        _ => Verdict::PassOn,
    }
}

/// Until when a limit asks us to stay away, in the order that GitHub documents: `Retry-After`, then
/// `x-ratelimit-remaining: 0` with its reset, then at least a minute. `None` if it is no limit.
fn limit(headers: &HeaderMap, body: &[u8], now: Millis) -> Option<Millis> {
    let number = |name| headers.get(name)?.to_str().ok()?.trim().parse::<u64>().ok();
    if let Some(value) = headers.get(header::RETRY_AFTER) {
        let value = value.to_str().unwrap_or_default();
        let pause = value.trim().parse().map(|secs| now.after(Duration::from_secs(secs)));
        return Some(pause.unwrap_or_else(|_| http_date(value).unwrap_or(now.after(LIMIT_PAUSE))));
    }
    if number("x-ratelimit-remaining") == Some(0) {
        return Some(number("x-ratelimit-reset").map_or(now.after(LIMIT_PAUSE), Millis::from_secs));
    }
    let text = String::from_utf8_lossy(&body[..body.len().min(4096)]).to_ascii_lowercase();
    (text.contains("rate limit") || text.contains("abuse detection")).then(|| now.after(LIMIT_PAUSE))
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
