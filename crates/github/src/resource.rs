use std::{fmt, time::Duration};

use crate::Target;

/// A budget of its own within a rate limit, by GitHub's name: `core`, `search`, `graphql` …
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Resource(&'static str);

/// The names that GitHub documents, and how long their windows are, in seconds.
const KNOWN: [(&str, u64); 13] = [
    ("core", 3600),
    ("search", 60),
    ("code_search", 60),
    ("graphql", 3600),
    ("integration_manifest", 3600),
    ("source_import", 60),
    ("code_scanning_upload", 3600),
    ("code_scanning_autofix", 60),
    ("actions_runner_registration", 3600),
    ("scim", 3600),
    ("dependency_snapshots", 60),
    ("dependency_sbom", 60),
    ("audit_log", 3600),
];

impl Resource {
    pub const CORE: Self = Self("core");
    pub const SEARCH: Self = Self("search");
    pub const CODE_SEARCH: Self = Self("code_search");
    pub const GRAPHQL: Self = Self("graphql");
    /// A name that is not known: it is counted apart, so that it spoils no other's figures.
    pub const UNKNOWN: Self = Self("unknown");

    /// The resource that a request to `target` is charged to, before GitHub has said so.
    pub fn of(target: &Target) -> Self {
        // Most paths are of repositories, and of these most end in nothing that is counted apart.
        if target.path().starts_with("/repos/") && !target.path().bytes().any(|byte| byte == b'-') {
            return Self::CORE;
        }
        let path = target.path().to_ascii_lowercase();
        let segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
        match segments.as_slice() {
            ["search", "code", ..] => Self::CODE_SEARCH,
            ["search", ..] => Self::SEARCH,
            ["graphql", ..] => Self::GRAPHQL,
            ["app-manifests", ..] => Self("integration_manifest"),
            ["scim", ..] => Self("scim"),
            [.., "actions", "runners", "registration-token" | "remove-token" | "generate-jitconfig"] => {
                Self("actions_runner_registration")
            }
            [.., "code-scanning", "sarifs"] => Self("code_scanning_upload"),
            [.., "dependency-graph", "snapshots"] => Self("dependency_snapshots"),
            [.., "dependency-graph", "sbom"] => Self("dependency_sbom"),
            ["orgs" | "enterprises", _, "audit-log"] => Self("audit_log"),
            _ => Self::CORE,
        }
    }

    /// The resource that `x-ratelimit-resource` names.
    pub fn named(name: &str) -> Self {
        KNOWN.iter().find(|(known, _)| *known == name).map_or(Self::UNKNOWN, |(known, _)| Self(known))
    }

    pub fn name(self) -> &'static str {
        self.0
    }

    /// How long a window of it is.
    pub fn window(self) -> Duration {
        let secs = KNOWN.iter().find(|(name, _)| *name == self.0).map_or(3600, |(_, secs)| *secs);
        Duration::from_secs(secs)
    }
}

impl fmt::Debug for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_charged_to_its_resource() {
        for (path, name) in [
            ("/repos/o/r", "core"),
            ("/search/issues", "search"),
            ("/search/code", "code_search"),
            ("/graphql", "graphql"),
            ("/orgs/o/actions/runners/registration-token", "actions_runner_registration"),
            ("/repos/o/r/dependency-graph/sbom", "dependency_sbom"),
            ("/orgs/o/audit-log", "audit_log"),
        ] {
            assert_eq!(Resource::of(&Target::parse(path, None).unwrap()).name(), name, "{path}");
            assert_eq!(Resource::named(name).name(), name);
        }
        assert_eq!(Resource::named("brand_new"), Resource::UNKNOWN);
        assert_eq!(Resource::named("search").window(), Duration::from_secs(60));
    }
}
