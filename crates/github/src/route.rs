use std::time::Duration;

use crate::Target;

/// What kind of resource a target names, as far as caching it differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Route {
    /// Workflow runs: they change while somebody watches.
    Runs,
    /// Self-hosted runners: autoscalers poll them.
    Runners,
    /// A git object by its full SHA: it never changes.
    BySha,
    /// Answers of this kind are true for a moment only and are never kept.
    Transient,
    Other,
}

impl Route {
    pub fn of(target: &Target) -> Self {
        let segments: Vec<&str> = target.segments().collect();
        match segments.as_slice() {
            ["rate_limit", ..] | ["search", ..] | ["graphql", ..] => Self::Transient,
            [.., "access_tokens" | "registration-token" | "remove-token"] => Self::Transient,
            ["repos", _, _, "stats", ..] => Self::Transient,
            ["repos" | "orgs" | "repositories", .., "actions", "runs"] => Self::Runs,
            ["repos", _, _, "actions", "runs", _, ..] => Self::Runs,
            ["repos" | "orgs" | "enterprises", .., "actions", "runners"] => Self::Runners,
            ["repos", _, _, "git", "trees" | "commits" | "blobs" | "tags", sha] if is_sha(sha) => Self::BySha,
            _ => Self::Other,
        }
    }

    /// How long its answers are fresh, where that is known better than by the origin's `max-age`.
    pub fn lifetime(self) -> Option<Duration> {
        match self {
            Self::Runs => Some(Duration::from_secs(60)),
            Self::Runners => Some(Duration::from_secs(30)),
            Self::BySha => Some(wire::limits::FRESH_AHEAD_MAX),
            Self::Transient | Self::Other => None,
        }
    }
}

fn is_sha(text: &str) -> bool {
    text.len() == 40 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routes_are_told_by_their_path() {
        let sha = "/repos/o/r/git/trees/0123456789012345678901234567890123456789";
        for (path, route) in [
            ("/rate_limit", Route::Transient),
            ("/search/issues", Route::Transient),
            ("/app/installations/1/access_tokens", Route::Transient),
            ("/repos/o/r/actions/runs", Route::Runs),
            ("/repos/o/r/actions/runs/7/jobs", Route::Runs),
            ("/orgs/o/actions/runners", Route::Runners),
            (sha, Route::BySha),
            ("/repos/o/r/git/trees/main", Route::Other),
            ("/repos/o/r", Route::Other),
        ] {
            assert_eq!(Route::of(&Target::parse(path, None).unwrap()), route, "{path}");
        }
    }
}
