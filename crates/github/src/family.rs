use http::Method;

use crate::Target;

/// What one write makes doubtful, and what its readers depend on: usually one repository.
///
/// A record belongs to one family; a write touches several (`family/touched.rs`). Case does not
/// matter to GitHub in owners and names, so a family is in lower case.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Family(String);

/// What a write touches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Touches {
    Families(Vec<Family>),
    /// It cannot be told from the request: everything of this host.
    Everything,
}

impl Family {
    /// The family of what is read at `target`, where no names of ids are known.
    pub fn of(host: &str, target: &Target) -> Self {
        Self::resolved(host, target, &Aliases::default())
    }

    /// The family of what is read at `target`.
    ///
    /// `/repositories/<id>` is in the family of its repository if `aliases` knows it, else in one
    /// that all unknown ids share and every write to a repository touches.
    pub fn resolved(host: &str, target: &Target, aliases: &Aliases) -> Self {
        let path = target.path().to_ascii_lowercase();
        let segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
        let read = read_at(&segments, aliases);
        // No formatting: this is on the way of every hit.
        Self([host, "/", &read].concat())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The family of a GraphQL answer about one repository; if that is not known, of one that every
    /// write touches.
    pub(crate) fn of_graphql(host: &str, owner: &str, name: &str) -> Self {
        let family = full_name(owner, name).map_or_else(|| GRAPHQL.to_owned(), |name| format!("repos/{name}"));
        Self(format!("{host}/{family}"))
    }

    /// The families that a write to `target` makes doubtful, where no names of ids are known.
    pub fn touched_by(host: &str, method: &Method, target: &Target) -> Touches {
        touched::by(host, method, target, &Aliases::default())
    }

    /// The families that a write to `target` makes doubtful.
    pub fn touched_by_resolved(host: &str, method: &Method, target: &Target, aliases: &Aliases) -> Touches {
        touched::by(host, method, target, aliases)
    }
}

/// Repositories by ids that are not known here.
const UNKNOWN_REPOSITORIES: &str = "repositories";
/// Organisations and users by ids.
const UNKNOWN_OWNERS: &str = "owners";
/// Lists of repositories that may be anybody's.
const LISTS: &str = "lists";
/// Lists of issues across repositories.
const ISSUES: &str = "issues";
const EVENTS: &str = "events";
const NOTIFICATIONS: &str = "notifications";
/// GraphQL answers of which it is not known what they read: every write touches them.
const GRAPHQL: &str = "graphql";
const GISTS: &str = "gists";
const USER: &str = "user";

fn read_at(segments: &[&str], aliases: &Aliases) -> String {
    match segments {
        ["repositories", id, rest @ ..] => match aliases.name(id) {
            Some(name) => read_in(name, rest),
            None => UNKNOWN_REPOSITORIES.to_owned(),
        },
        ["repos", owner, name, rest @ ..] => match full_name(owner, name) {
            Some(name) => read_in(&name, rest),
            None => UNKNOWN_REPOSITORIES.to_owned(),
        },
        ["repositories" | "installation", ..] => LISTS.to_owned(),
        ["issues", ..] | ["user", "issues", ..] | ["orgs" | "organizations", _, "issues", ..] => ISSUES.to_owned(),
        ["events" | "networks", ..]
        | ["orgs" | "organizations" | "users" | "user", _, "events" | "received_events", ..] => EVENTS.to_owned(),
        ["notifications", ..] => NOTIFICATIONS.to_owned(),
        ["gists", ..] | ["users" | "user", _, "gists", ..] => GISTS.to_owned(),
        ["user", "repos" | "starred" | "subscriptions" | "installations", ..]
        | ["users" | "user", _, "starred" | "subscriptions", ..]
        | ["teams" | "organizations", _, "repos", ..]
        | ["orgs", _, "teams", _, "repos", ..] => LISTS.to_owned(),
        ["orgs" | "users", owner, "repos", ..] => format!("owners/{owner}"),
        ["organizations", _, ..] => UNKNOWN_OWNERS.to_owned(),
        ["user", id, ..] if is_id(id) => UNKNOWN_OWNERS.to_owned(),
        [kind @ ("orgs" | "users" | "enterprises" | "teams"), name, ..] => format!("{kind}/{name}"),
        [first, ..] => (*first).to_owned(),
        [] => String::new(),
    }
}

fn read_in(name: &str, rest: &[&str]) -> String {
    match rest {
        [NOTIFICATIONS, ..] => NOTIFICATIONS.to_owned(),
        _ => format!("repos/{name}"),
    }
}

/// `owner/name` of a repository in lower case; `None` if it could be written otherwise, too.
fn full_name(owner: &str, name: &str) -> Option<String> {
    let name = name.strip_suffix(".git").unwrap_or(name);
    let is_plain =
        |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b));
    (is_plain(owner) && is_plain(name)).then(|| format!("{owner}/{name}").to_ascii_lowercase())
}

fn is_id(text: &str) -> bool {
    (1..=20).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
}

mod aliases;
mod touched;

pub use aliases::Aliases;

#[cfg(test)]
mod tests;
