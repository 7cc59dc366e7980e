use std::time::Duration;

use http::{HeaderMap, header};

/// What a client says about the answer that it wants (RFC 9111, §5.2.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClientDirectives {
    /// Neither keep it nor answer it from what is kept.
    pub no_store: bool,
    /// Ask the origin first: `no-cache`.
    pub no_cache: bool,
    /// No older answer than this.
    pub max_age: Option<Duration>,
    /// One that stays fresh for at least this.
    pub min_fresh: Option<Duration>,
    /// One that is past its freshness by at most this; without a number, by anything.
    pub max_stale: Option<Duration>,
    /// Do not ask the origin: 504 if nothing is kept.
    pub only_if_cached: bool,
}

impl ClientDirectives {
    /// Reads `Cache-Control` and `Pragma`. What cannot be read asks the origin.
    pub fn read(headers: &HeaderMap) -> Self {
        let mut says = Self::default();
        for value in headers.get_all(header::CACHE_CONTROL).iter().chain(headers.get_all(header::PRAGMA)) {
            for directive in value.to_str().unwrap_or("no-cache").split(',') {
                let directive = directive.trim().to_ascii_lowercase();
                let (name, argument) = directive.split_once('=').unwrap_or((&directive, ""));
                match name.trim_end() {
                    "no-store" => says.no_store = true,
                    "no-cache" => says.no_cache = true,
                    "only-if-cached" => says.only_if_cached = true,
                    "max-age" => says.max_age = Some(seconds(argument).unwrap_or_default()),
                    "min-fresh" => says.min_fresh = Some(seconds(argument).unwrap_or(Duration::MAX)),
                    "max-stale" if argument.is_empty() => says.max_stale = Some(Duration::MAX),
                    "max-stale" => says.max_stale = Some(seconds(argument).unwrap_or_default()),
                    _ => {}
                }
            }
        }
        says
    }

    /// Whether the origin must be asked, whatever is kept.
    pub fn revalidates(&self) -> bool {
        self.no_cache || self.max_age == Some(Duration::ZERO)
    }

    /// Whether an answer of this age, fresh for so long yet, will do.
    pub fn accepts(&self, age: Duration, fresh_for: Duration) -> bool {
        !self.no_cache
            && self.max_age.is_none_or(|most| age <= most)
            && self.min_fresh.is_none_or(|least| fresh_for >= least)
    }

    /// Whether an answer past its freshness by `past` will do while the origin cannot answer. One who
    /// names an age and no `max-stale` has said no (RFC 9111, §5.2.1.1).
    pub fn accepts_stale(&self, past: Duration) -> bool {
        match self.max_stale {
            Some(most) => past <= most,
            None => !self.no_cache && self.max_age.is_none() && self.min_fresh.is_none(),
        }
    }
}

/// Delta-seconds (RFC 9111, §1.2.2): digits, perhaps quoted; too large a number is 2^31.
pub(crate) fn seconds(argument: &str) -> Option<Duration> {
    let digits = argument.trim().trim_matches('"');
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| Duration::from_secs(digits.parse::<u64>().unwrap_or(u64::MAX).min(1 << 31)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn says(value: &'static str) -> ClientDirectives {
        ClientDirectives::read(&[(header::CACHE_CONTROL, value.parse().unwrap())].into_iter().collect())
    }

    const fn secs(secs: u64) -> Duration {
        Duration::from_secs(secs)
    }

    #[test]
    fn the_age_that_a_client_wants_is_obeyed() {
        assert!(says("").accepts(secs(50), secs(0)));
        assert!(says("max-age=50").accepts(secs(50), secs(0)));
        assert!(!says("max-age=49").accepts(secs(50), secs(0)));
        assert!(says("min-fresh=10").accepts(secs(50), secs(10)));
        assert!(!says("Min-Fresh=11").accepts(secs(50), secs(10)));
        assert!(!says("no-cache").accepts(secs(0), secs(10)));
        assert!(!says("min-fresh=soon").accepts(secs(0), secs(10)));
    }

    #[test]
    fn the_origin_is_asked_where_that_is_said() {
        for (value, asks) in [
            ("no-cache", true),
            ("max-age=0", true),
            ("max-age=\"0\"", true),
            ("max-age=soon", true),
            ("max-age", true),
            ("max-age=-1", true),
            ("max-age=1", false),
            ("max-age=99999999999999999999999", false),
            ("no-store", false),
        ] {
            assert_eq!(says(value).revalidates(), asks, "{value}");
        }
        let pragma = [(header::PRAGMA, "no-cache".parse().unwrap())].into_iter().collect();
        assert!(ClientDirectives::read(&pragma).revalidates());
        assert!(says("public, only-if-cached").only_if_cached && says("No-Store").no_store);
    }

    #[test]
    fn stale_is_for_those_who_did_not_refuse_it() {
        for (value, accepts) in [
            ("", true),
            ("max-stale", true),
            ("max-stale=60", true),
            ("max-stale=59", false),
            ("max-age=10", false),
            ("max-age=10, max-stale=60", true),
            ("min-fresh=1", false),
            ("no-cache", false),
        ] {
            assert_eq!(says(value).accepts_stale(secs(60)), accepts, "{value}");
        }
    }
}
