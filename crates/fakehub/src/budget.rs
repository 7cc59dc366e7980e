use std::collections::BTreeMap;

use serde::Serialize;

/// Charged requests per hour for everybody without a token together: the hub sees one address.
pub(crate) const ANONYMOUS_LIMIT: u64 = 60;
/// Charged requests per hour for a user.
pub(crate) const TOKEN_LIMIT: u64 = 5_000;
const WINDOW_SECS: u64 = 3_600;

/// The two budgets that a caller has, as `X-RateLimit-Resource` names them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Resource {
    Core,
    Graphql,
}

impl Resource {
    pub(crate) fn of(path: &str) -> Self {
        if path == "/graphql" { Self::Graphql } else { Self::Core }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Core => "core",
            Self::Graphql => "graphql",
        }
    }
}

/// What is left of an hour.
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

/// Every caller's buckets. A window opens with its first request and lasts an hour.
#[derive(Debug, Default)]
pub(crate) struct Budgets(BTreeMap<(String, Resource), Bucket>);

impl Budgets {
    pub(crate) fn bucket(&mut self, label: &str, resource: Resource, limit: u64, now: u64) -> &mut Bucket {
        let fresh = Bucket { limit, used: 0, reset: now + WINDOW_SECS };
        let bucket = self.0.entry((label.to_owned(), resource)).or_insert(fresh);
        if bucket.reset <= now {
            *bucket = fresh;
        }
        bucket.limit = limit;
        bucket
    }
}
