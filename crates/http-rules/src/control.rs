use http::HeaderMap;

use crate::directives::{Directives, members};

/// By this name a `Surrogate-Control` may be meant for us, and we say so in `Surrogate-Capability`.
pub const OUR_NAME: &str = "ghoard";

/// The directives that this cache obeys for a response.
pub(crate) struct Control {
    pub(crate) directives: Directives,
    /// They come from a field that is meant for caches of our kind; `Cache-Control` and `Expires` then say nothing.
    pub(crate) targeted: bool,
}

/// Returns the directives of the first of `CDN-Cache-Control` (RFC 9213), `Surrogate-Control` and
/// `Cache-Control` that says something to us.
pub(crate) fn control(response: &HeaderMap) -> Control {
    let cdn = Directives::parse(response, "cdn-cache-control");
    if cdn != Directives::default() {
        return Control { directives: cdn, targeted: true };
    }
    let surrogate = surrogate(response);
    if surrogate.has("max-age") || surrogate.has("no-store") {
        return Control { directives: surrogate, targeted: true };
    }
    Control { directives: Directives::parse(response, "cache-control"), targeted: false }
}

/// The W3C's Edge Architecture: `directive;target` is for the one surrogate of that name, and
/// `max-age=600+60` allows 60 s of stale use, which we do not take.
fn surrogate(response: &HeaderMap) -> Directives {
    let mut directives = Directives::default();
    for line in response.get_all("surrogate-control").iter().filter_map(|line| line.to_str().ok()) {
        for member in members(line) {
            let (member, target) = member.split_once(';').map_or((member, OUR_NAME), |(m, target)| (m, target.trim()));
            if target != OUR_NAME {
                continue;
            }
            let is_max_age = member.to_ascii_lowercase().starts_with("max-age=");
            directives.add(if is_max_age { member.split('+').next().unwrap_or(member) } else { member }.trim());
        }
    }
    directives
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use http::{HeaderName, HeaderValue};

    use super::*;

    fn max_age(headers: &[(&'static str, &'static str)]) -> (Option<u64>, bool) {
        let pairs =
            headers.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
        let control = control(&pairs.collect());
        (control.directives.seconds("max-age").map(|seconds| Duration::as_secs(&seconds)), control.targeted)
    }

    #[test]
    fn a_field_that_is_meant_for_us_wins() {
        let cc = ("cache-control", "max-age=1");
        assert_eq!(max_age(&[cc]), (Some(1), false));
        assert_eq!(max_age(&[cc, ("surrogate-control", "max-age=2+9")]), (Some(2), true));
        assert_eq!(max_age(&[cc, ("surrogate-control", "max-age=2;ghoard")]), (Some(2), true));
        assert_eq!(max_age(&[cc, ("surrogate-control", "max-age=2;other")]), (Some(1), false));
        assert_eq!(max_age(&[cc, ("surrogate-control", "content=\"ESI/1.0\"")]), (Some(1), false));
        let both = [cc, ("surrogate-control", "max-age=2"), ("cdn-cache-control", "max-age=3")];
        assert_eq!(max_age(&both), (Some(3), true));
        assert_eq!(max_age(&[cc, ("cdn-cache-control", "no-store")]), (None, true));
    }
}
