use std::time::Duration;

use http::{HeaderMap, header};
use wire::Millis;

/// What a client says in `Cache-Control` (RFC 9111, §5.2.1), or in `Pragma`.
///
/// `max-stale` is not obeyed, which §5.2.1.2 allows: stale answers are for limits and outages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Directives {
    pub no_store: bool,
    /// `no-cache` or `max-age=0`: the origin must be asked.
    pub revalidate: bool,
    /// The answer may be this old, and no older.
    pub max_age: Option<Duration>,
    /// The answer must be fresh for this much longer.
    pub min_fresh: Option<Duration>,
    /// Rather no answer than one from the origin.
    pub only_if_cached: bool,
}

impl Directives {
    pub(crate) fn read(headers: &HeaderMap) -> Self {
        let mut directives = Self::default();
        for value in headers.get_all(header::CACHE_CONTROL).iter().chain(headers.get_all(header::PRAGMA)) {
            for directive in value.to_str().unwrap_or("no-cache").split(',') {
                directives.add(&directive.trim().to_ascii_lowercase());
            }
        }
        directives
    }

    fn add(&mut self, directive: &str) {
        let (name, argument) = directive.split_once('=').unwrap_or((directive, ""));
        // What is no number asks for the most: a fresh answer from the origin.
        let secs = argument.trim_matches('"').parse().map(Duration::from_secs);
        match name {
            "no-store" => self.no_store = true,
            "no-cache" => self.revalidate = true,
            "only-if-cached" => self.only_if_cached = true,
            "max-age" => match secs {
                Ok(secs) if !secs.is_zero() => self.max_age = Some(self.max_age.map_or(secs, |least| least.min(secs))),
                _ => self.revalidate = true,
            },
            "min-fresh" => match secs {
                Ok(secs) => self.min_fresh = self.min_fresh.max(Some(secs)),
                Err(_) => self.revalidate = true,
            },
            _ => {}
        }
    }

    /// Whether an answer will do that the origin gave or confirmed at `validated_at` and that is fresh
    /// until `fresh_until`.
    pub fn accept(&self, validated_at: Millis, fresh_until: Millis, now: Millis) -> bool {
        !self.revalidate
            && self.max_age.is_none_or(|max_age| now.since(validated_at) <= max_age)
            && self.min_fresh.is_none_or(|min_fresh| fresh_until >= now.after(min_fresh))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(cache_control: &'static str) -> Directives {
        let mut headers = HeaderMap::new();
        headers.insert(header::CACHE_CONTROL, cache_control.parse().unwrap());
        Directives::read(&headers)
    }

    /// Whether an answer that is 30 s old and fresh for 30 s more will do.
    fn accepts(cache_control: &'static str) -> bool {
        read(cache_control).accept(Millis::from_secs(30), Millis::from_secs(90), Millis::from_secs(60))
    }

    #[test]
    fn an_answer_is_as_young_and_as_fresh_as_the_client_wants_it() {
        for (cache_control, accepted) in [
            ("", true),
            ("max-age=30", true),
            ("max-age=29", false),
            ("max-age=\"29\"", false),
            ("max-age=60, max-age=10", false),
            ("max-age=soon", false),
            ("MAX-AGE=0", false),
            ("min-fresh=30", true),
            ("min-fresh=31", false),
            ("no-cache", false),
            ("max-stale=60", true),
            ("only-if-cached", true),
        ] {
            assert_eq!(accepts(cache_control), accepted, "{cache_control}");
        }
    }

    #[test]
    fn pragma_and_several_lines_are_read_as_one() {
        let mut headers = HeaderMap::new();
        headers.insert(header::PRAGMA, "no-cache".parse().unwrap());
        headers.append(header::CACHE_CONTROL, "only-if-cached".parse().unwrap());
        headers.append(header::CACHE_CONTROL, "no-store".parse().unwrap());
        let read = Directives::read(&headers);
        assert!(read.revalidate && read.only_if_cached && read.no_store);
    }
}
