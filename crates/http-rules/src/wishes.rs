use std::time::Duration;

use http::{HeaderMap, header};

use crate::directives::Directives;

/// What a request says about caching (RFC 9111, §5.2.1).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wishes {
    /// Nothing unless the origin has confirmed it.
    pub no_cache: bool,
    /// Nothing of this exchange is to be kept.
    pub no_store: bool,
    /// The origin is not to be asked.
    pub only_if_cached: bool,
    pub max_age: Option<Duration>,
    /// Stale is welcome up to this.
    pub max_stale: Option<Duration>,
    /// It must stay fresh for as long as this.
    pub min_fresh: Option<Duration>,
    /// Stale is welcome up to this when the origin fails (RFC 5861).
    pub stale_if_error: Option<Duration>,
}

impl Wishes {
    /// `Pragma: no-cache` counts where `Cache-Control` is absent, for clients from before it.
    pub fn of(request: &HeaderMap) -> Self {
        let directives = Directives::parse(request, "cache-control");
        let pragma = || Directives::parse(request, "pragma").has("no-cache");
        let any_age = directives.is_bare("max-stale").then_some(Duration::MAX);
        Self {
            no_cache: directives.has("no-cache") || (!request.contains_key(header::CACHE_CONTROL) && pragma()),
            no_store: directives.has("no-store"),
            only_if_cached: directives.has("only-if-cached"),
            max_age: directives.seconds("max-age"),
            max_stale: any_age.or_else(|| directives.seconds("max-stale")),
            min_fresh: directives.seconds("min-fresh"),
            stale_if_error: directives.seconds("stale-if-error"),
        }
    }
}
