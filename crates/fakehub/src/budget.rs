use std::collections::BTreeMap;

use serde::Serialize;

/// Charged requests per hour for everybody without a token together: the hub sees one address.
pub(crate) const ANONYMOUS_LIMIT: u64 = 60;
/// Charged requests per hour for a user.
pub(crate) const TOKEN_LIMIT: u64 = 5_000;

/// A budget by its `X-RateLimit-Resource`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Resource {
    Core,
    Graphql,
    Search,
    CodeSearch,
}

impl Resource {
    pub(crate) const ALL: [Self; 4] = [Self::Core, Self::Search, Self::Graphql, Self::CodeSearch];

    pub(crate) fn of(path: &str) -> Self {
        match path {
            "/graphql" => Self::Graphql,
            "/search/code" => Self::CodeSearch,
            _ if path.starts_with("/search/") => Self::Search,
            _ => Self::Core,
        }
    }

    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|resource| resource.name() == name)
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Core => "core",
            Self::Graphql => "graphql",
            Self::Search => "search",
            Self::CodeSearch => "code_search",
        }
    }

    /// Charged requests per window for a caller with `hourly` of them an hour.
    ///
    /// Source: GitHub's documentation of the search endpoints, 30 a minute with a token and 10
    /// without, 10 for code.
    pub(crate) fn limit(self, hourly: u64) -> u64 {
        match self {
            Self::Core | Self::Graphql => hourly,
            Self::Search if hourly == ANONYMOUS_LIMIT => 10,
            Self::Search => 30,
            Self::CodeSearch => 10,
        }
    }

    fn window_secs(self) -> u64 {
        match self {
            Self::Core | Self::Graphql => 3_600,
            Self::Search | Self::CodeSearch => 60,
        }
    }
}

/// What is left of a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Bucket {
    pub(crate) limit: u64,
    pub(crate) used: u64,
    /// Unix seconds at which `used` returns to zero.
    pub(crate) reset: u64,
}

impl Bucket {
    pub(crate) fn remaining(&self) -> u64 {
        self.limit.saturating_sub(self.used)
    }
}

/// Every caller's buckets. A window opens with its first request.
#[derive(Debug, Default)]
pub(crate) struct Budgets(BTreeMap<(String, Resource), Bucket>);

impl Budgets {
    /// `hourly` is the caller's limit per hour, from which those of other resources follow.
    pub(crate) fn bucket(&mut self, label: &str, resource: Resource, hourly: u64, now: u64) -> &mut Bucket {
        let limit = resource.limit(hourly);
        let fresh = Bucket { limit, used: 0, reset: now + resource.window_secs() };
        let bucket = self.0.entry((label.to_owned(), resource)).or_insert(fresh);
        if bucket.reset <= now {
            *bucket = fresh;
        }
        bucket.limit = limit;
        bucket
    }
}
