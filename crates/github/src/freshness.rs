use std::time::Duration;

use http::{HeaderMap, header};
use wire::{Millis, limits};

use crate::{GraphqlQuery, Route, client::seconds, limits::POLL_INTERVAL_MAX};

/// What the operator has decided about time.
#[derive(Clone, Copy, Debug)]
pub struct Policy {
    /// Replaces the origin's `max-age`, and is the proof window unless that is set by itself.
    pub default_ttl: Option<Duration>,
    pub proof_window: Option<Duration>,
    /// How long after its proof an answer may be served, marked stale, while the origin cannot answer.
    pub stale_for: Duration,
}

/// Freshness where neither the operator nor the origin says anything.
const DEFAULT_LIFETIME: Duration = Duration::from_secs(300);

const DEFAULT_PROOF_WINDOW: Duration = Duration::from_secs(60);

impl Default for Policy {
    fn default() -> Self {
        Self { default_ttl: None, proof_window: None, stale_for: Duration::from_secs(3600) }
    }
}

/// The three moments after which an answer means less and less.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Freshness {
    pub fresh_until: Millis,
    pub proved_until: Millis,
    pub stale_until: Millis,
}

impl Policy {
    /// The longest time between two proofs that a credential still sees what it is shown.
    pub fn proof_window(&self) -> Duration {
        self.proof_window.or(self.default_ttl).unwrap_or(DEFAULT_PROOF_WINDOW)
    }

    /// Returns how long the answer to a GraphQL query may be served: GitHub says nothing of that.
    pub fn query_freshness(&self, query: &GraphqlQuery, now: Millis) -> Freshness {
        let proved_until = now.after(self.proof_window());
        Freshness {
            fresh_until: now.after(query.lifetime(None)),
            proved_until,
            stale_until: proved_until.after(self.stale_for.min(limits::STALE_AHEAD_MAX)),
        }
    }

    /// Returns how long an answer that the origin gave or confirmed at `now` may be served.
    ///
    /// `None` if it may not be kept: `no-store`, or `no-cache` with no validator to ask with.
    /// `now` must be taken before the request was sent, so that a slow answer is not fresher.
    pub fn freshness(&self, route: Route, headers: &HeaderMap, now: Millis) -> Option<Freshness> {
        let origin = OriginSays::read(headers);
        if !route.is_stored() || origin.no_store {
            return None;
        }
        let lifetime = if origin.no_cache {
            headers.get(header::ETAG)?;
            Duration::ZERO
        } else {
            let lifetime = match (route, self.default_ttl) {
                (Route::BySha, _) => limits::FRESH_AHEAD_MAX,
                (_, Some(ttl)) => route.lifetime().unwrap_or(ttl),
                (_, None) => {
                    let origin = origin.s_maxage.or(origin.max_age).unwrap_or(DEFAULT_LIFETIME);
                    route.lifetime().map_or(origin, |route| route.min(origin))
                }
            };
            // It says when to ask again, and nothing of who may see the answer: proofs go on.
            poll_interval(route, headers).map_or(lifetime, |interval| lifetime.max(interval))
        };
        let proved_until = now.after(self.proof_window());
        Some(Freshness {
            fresh_until: now.after(lifetime.min(limits::FRESH_AHEAD_MAX)),
            proved_until,
            stale_until: proved_until.after(self.stale_for.min(limits::STALE_AHEAD_MAX)),
        })
    }
}

/// How long GitHub asks pollers to wait, where it does.
fn poll_interval(route: Route, headers: &HeaderMap) -> Option<Duration> {
    let value = headers.get("x-poll-interval").filter(|_| route.obeys_poll_interval())?;
    Some(seconds(value.to_str().ok()?)?.min(POLL_INTERVAL_MAX))
}

#[derive(Default)]
struct OriginSays {
    no_store: bool,
    no_cache: bool,
    s_maxage: Option<Duration>,
    max_age: Option<Duration>,
}

impl OriginSays {
    /// Reads `Cache-Control` (RFC 9111, §5.2.2). `private` and `public` are not obeyed: every
    /// record is private to one credential, and GitHub says `public` where it is not.
    fn read(headers: &HeaderMap) -> Self {
        let mut says = Self::default();
        for value in headers.get_all(header::CACHE_CONTROL) {
            for directive in value.to_str().unwrap_or("no-store").split(',') {
                let directive = directive.trim().to_ascii_lowercase();
                let (name, argument) = directive.split_once('=').unwrap_or((&directive, ""));
                match name {
                    "no-store" => says.no_store = true,
                    "no-cache" => says.no_cache = true,
                    // An argument that is no number is a stale answer (RFC 9111, §4.2.1).
                    "max-age" => says.max_age = Some(seconds(argument).unwrap_or_default()),
                    "s-maxage" => says.s_maxage = Some(seconds(argument).unwrap_or_default()),
                    _ => {}
                }
            }
        }
        says
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Millis = Millis::from_secs(1000);

    fn fresh_for(policy: Policy, route: Route, cache_control: &'static str) -> Option<u64> {
        let mut headers = HeaderMap::new();
        if !cache_control.is_empty() {
            headers.insert(header::CACHE_CONTROL, cache_control.parse().unwrap());
        }
        policy.freshness(route, &headers, NOW).map(|f| f.fresh_until.since(NOW).as_secs())
    }

    #[test]
    fn the_origin_decides_unless_the_operator_does() {
        let unset = Policy::default();
        let set = Policy { default_ttl: Some(Duration::from_secs(900)), ..unset };
        let origin = "private, max-age=60, s-maxage=60";
        assert_eq!(fresh_for(unset, Route::Other, origin), Some(60));
        assert_eq!(fresh_for(unset, Route::Other, ""), Some(300));
        assert_eq!(fresh_for(unset, Route::Runners, origin), Some(30));
        assert_eq!(fresh_for(set, Route::Other, origin), Some(900));
        assert_eq!(fresh_for(set, Route::Runners, origin), Some(30));
        assert_eq!(fresh_for(unset, Route::BySha, origin), Some(24 * 3600));
    }

    #[test]
    fn what_may_not_be_kept_is_not() {
        for cache_control in ["no-store", "no-cache", "private, NO-STORE"] {
            assert_eq!(fresh_for(Policy::default(), Route::Other, cache_control), None);
        }
        assert_eq!(fresh_for(Policy::default(), Route::Search, "max-age=60"), None);
        assert_eq!(fresh_for(Policy::default(), Route::Other, "max-age=soon"), Some(0));
    }

    #[test]
    fn what_is_said_to_shared_caches_wins() {
        for (cache_control, secs) in [
            ("max-age=60, s-maxage=10", 10),
            ("s-maxage=90, max-age=60", 90),
            ("s-maxage=soon, max-age=60", 0),
            ("max-age=\"60\"", 60),
            ("max-age=99999999999999999999", 86400),
        ] {
            assert_eq!(fresh_for(Policy::default(), Route::Other, cache_control), Some(secs), "{cache_control}");
        }
    }

    #[test]
    fn a_poll_interval_is_the_least_lifetime_where_it_is_meant() {
        let fresh_for = |route, interval: &'static str| {
            let headers = [("x-poll-interval", interval), ("cache-control", "private, max-age=60")];
            let headers = headers.into_iter().map(|(n, v)| (n.parse().unwrap(), v.parse().unwrap())).collect();
            let freshness = Policy::default().freshness(route, &headers, NOW).unwrap();
            assert_eq!(freshness.proved_until.since(NOW).as_secs(), 60, "who may see it is asked as before");
            freshness.fresh_until.since(NOW).as_secs()
        };
        assert_eq!(fresh_for(Route::Events, "120"), 120);
        assert_eq!(fresh_for(Route::Notifications, "30"), 60);
        assert_eq!(fresh_for(Route::Events, "99999999"), 900);
        assert_eq!(fresh_for(Route::Events, "soon"), 60);
        assert_eq!(fresh_for(Route::Refs, "300"), 60);
    }

    #[test]
    fn an_operators_ttl_is_the_proof_window_unless_that_is_set() {
        let proved = |policy: Policy| {
            policy.freshness(Route::Other, &HeaderMap::new(), NOW).unwrap().proved_until.since(NOW).as_secs()
        };
        let ttl = Some(Duration::from_secs(900));
        assert_eq!(proved(Policy::default()), 60);
        assert_eq!(proved(Policy { default_ttl: ttl, ..Policy::default() }), 900);
        let window = Some(Duration::from_secs(5));
        assert_eq!(proved(Policy { default_ttl: ttl, proof_window: window, ..Policy::default() }), 5);
    }
}
