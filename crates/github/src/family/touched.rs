use http::Method;

use super::{
    Aliases, EVENTS, Family, GISTS, GRAPHQL, ISSUES, LISTS, NOTIFICATIONS, Touches, UNKNOWN_OWNERS,
    UNKNOWN_REPOSITORIES, USER, full_name,
};
use crate::Target;

/// What CI and its autoscalers write all day. It shows in its repository, organisation or
/// enterprise, and in no list of repositories or issues.
const OF_CI: [&str; 8] =
    ["actions", "check-runs", "check-suites", "deployments", "dispatches", "environments", "hooks", "statuses"];

/// The families that a write makes doubtful. Where that cannot be told, or where it changes who may
/// see what, it is everything: a write too wide costs a request, one too narrow an old answer.
pub(super) fn by(host: &str, method: &Method, target: &Target, aliases: &Aliases) -> Touches {
    let segments: Vec<String> = target.segments().map(str::to_ascii_lowercase).collect();
    let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
    let none = Touches::Families(Vec::new());
    let families = |names: &[&str]| {
        let names = names.iter().chain([&GRAPHQL]);
        Touches::Families(names.map(|name| Family(format!("{host}/{name}"))).collect())
    };
    match segments.as_slice() {
        // These make or end a credential, or compute something, and change nothing that is read.
        [.., "registration-token" | "remove-token" | "access_tokens"] if *method == Method::POST => none,
        ["applications" | "markdown", ..] | ["installation", "token"] => none,
        ["repositories", id, rest @ ..] => match aliases.name(id) {
            Some(name) => repository(name, rest, families),
            None => Touches::Everything,
        },
        ["repos", owner, name, rest @ ..] => match full_name(owner, name) {
            Some(name) => repository(&name, rest, families),
            None => Touches::Everything,
        },
        ["user", "starred" | "subscriptions", owner, name] => match full_name(owner, name) {
            Some(name) => widely(&name, &[USER], families),
            None => Touches::Everything,
        },
        [kind @ ("orgs" | "enterprises"), name, part, ..] if OF_CI.contains(part) => {
            families(&[&format!("{kind}/{name}"), UNKNOWN_OWNERS, EVENTS])
        }
        ["notifications", ..] => families(&[NOTIFICATIONS]),
        ["gists", ..] => families(&[GISTS, EVENTS]),
        ["app", "hook", ..] => families(&["app"]),
        _ => Touches::Everything,
    }
}

fn repository(name: &str, rest: &[&str], families: impl Fn(&[&str]) -> Touches) -> Touches {
    match rest {
        // It may be made, renamed, given away, hidden: names and owners that are not in the path.
        [] | ["transfer" | "forks" | "generate", ..] => Touches::Everything,
        [part, ..] if OF_CI.contains(part) => {
            families(&[&format!("repos/{name}"), UNKNOWN_REPOSITORIES, EVENTS, NOTIFICATIONS])
        }
        _ => widely(name, &[ISSUES], families),
    }
}

/// The repository, and every list that may show it: repositories carry counts of issues and stars,
/// and the time of the last push.
fn widely(name: &str, others: &[&str], families: impl Fn(&[&str]) -> Touches) -> Touches {
    let owner = name.split_once('/').map_or(name, |(owner, _)| owner);
    let own = [
        &format!("repos/{name}"),
        UNKNOWN_REPOSITORIES,
        EVENTS,
        NOTIFICATIONS,
        &format!("owners/{owner}"),
        UNKNOWN_OWNERS,
        LISTS,
    ];
    families(&[&own, others].concat())
}
