use std::time::Duration;

use crate::{Target, limits};
use table::{Row, Shape};

/// What kind of resource a target names, as far as caching it differs.
///
/// Which path is of which class, and what follows from that, is one table: `route/table.rs`, printed
/// as `docs/ROUTES.md`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Route {
    /// Workflow runs: they change while somebody watches.
    Runs,
    /// Jobs of runs: the same.
    Jobs,
    Artifacts,
    /// Workflows, caches, variables, names of secrets.
    Actions,
    /// Self-hosted runners: autoscalers poll them.
    Runners,
    /// Check runs, check suites and commit statuses.
    Checks,
    /// A git object or a commit by its full SHA: it never changes.
    BySha,
    /// Branches, tags, refs, and commits by any name but their SHA.
    Refs,
    Releases,
    Contents,
    Issues,
    Pulls,
    Repository,
    RepoLists,
    /// The asking user's own affairs: no two scopes but of one user agree on them.
    User,
    Users,
    Orgs,
    /// Alerts and audit logs: no ETag, and nobody else's business.
    Alerts,
    Events,
    Notifications,
    /// What an App sees of itself and its installations, by its JWT.
    App,
    Stats,
    Gists,
    Packages,
    Hooks,
    Meta,
    RateLimit,
    Search,
    Graphql,
    /// Its answer is a credential, or holds one.
    Secret,
    /// Its answer is a redirect to a signed URL.
    Signed,
    /// Its answer is another each time.
    Chance,
    Other,
}

impl Route {
    pub fn of(target: &Target) -> Self {
        tree::find(target).map_or(Self::Other, |row| row.route)
    }

    /// Whether an answer of this kind may be kept at all.
    pub fn is_stored(self) -> bool {
        !matches!(self, Self::RateLimit | Self::Search | Self::Graphql | Self::Secret | Self::Signed | Self::Chance)
    }

    /// Whether a body may be offered, against a proof, to another credential, and to other members
    /// for that. What cannot be proved (no ETag) and what is one person's own stays in its scope.
    pub fn is_shareable(self) -> bool {
        self.is_stored() && !matches!(self, Self::User | Self::Alerts | Self::Notifications | Self::Hooks)
    }

    /// How long its answers are fresh, where that is known better than by the origin's `max-age`.
    pub fn lifetime(self) -> Option<Duration> {
        match self {
            Self::Runs | Self::Jobs | Self::Alerts => Some(Duration::from_secs(60)),
            Self::Runners => Some(Duration::from_secs(30)),
            Self::BySha => Some(wire::limits::FRESH_AHEAD_MAX),
            _ => None,
        }
    }

    /// How long a 404 or 410 may be kept for the credential that got it, and for no other.
    ///
    /// `None` where people wait for a thing to appear (a run, a release, a pushed ref: no write of
    /// ours announces it), and where we do not know what a 404 means.
    pub fn negative_ttl(self) -> Option<Duration> {
        let is_awaited_by_nobody = matches!(
            self,
            Self::Issues
                | Self::Pulls
                | Self::Repository
                | Self::RepoLists
                | Self::User
                | Self::Users
                | Self::Orgs
                | Self::Gists
                | Self::Packages
                | Self::Hooks
                | Self::Alerts
                | Self::Meta
        );
        is_awaited_by_nobody.then_some(limits::NEGATIVE_TTL)
    }

    /// Whether `If-Modified-Since` may be used, for the same credential, where the ETag is of no use.
    ///
    /// Releases count their downloads in the body, so that their ETag changes all the time;
    /// notifications are documented to be polled so. Elsewhere, on refs above all, `Last-Modified`
    /// has been seen to stay when the answer changed.
    pub fn last_modified_is_good(self) -> bool {
        matches!(self, Self::Releases | Self::Notifications)
    }

    /// Whether `X-Poll-Interval` is the least time between two requests.
    pub fn obeys_poll_interval(self) -> bool {
        matches!(self, Self::Events | Self::Notifications)
    }

    /// Whether the answer comes in pages, so that a full last page must be fetched, not revalidated.
    /// What is not in the table may come in pages.
    pub fn is_listing(target: &Target) -> bool {
        tree::find(target).is_none_or(|row| !matches!(row.shape, Shape::One))
    }

    /// The body that GitHub gives if there is nothing to list, where that is known: its ETag may be
    /// offered before anything is kept, and a 304 to it is a free answer.
    pub fn empty_answer(target: &Target) -> Option<&'static [u8]> {
        match tree::find(target)?.shape {
            Shape::List => Some(b"[]"),
            Shape::Counted(empty) => Some(empty.as_bytes()),
            Shape::One | Shape::Pages => None,
        }
    }
}

mod table;
mod tree;

#[cfg(test)]
mod tests;
