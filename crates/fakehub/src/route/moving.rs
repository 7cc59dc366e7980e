use http::StatusCode;
use serde_json::{Value, json};

use super::view::View;
use crate::{
    answer::Answer,
    auth::Role,
    page::listing,
    world::{Repo, World},
};

/// How long a poller of events is asked to wait, in seconds; documented.
const EVENTS_POLL_SECS: &str = "60";
/// Events that can be paged to, at most.
const EVENTS_MAX: usize = 300;

/// What moves by itself: events, statistics and alerts.
pub(super) fn read(view: View<'_>) -> Answer {
    let View { ask, world, repo, role, rest } = view;
    match rest {
        ["events"] => events(ask, &format!("/repositories/{}/events", repo.id), of_repo(world, repo)),
        ["stats", kind] => stats(view, kind),
        [kind @ ("code-scanning" | "dependabot" | "secret-scanning"), "alerts"] => {
            if role < Role::Write {
                return Answer::forbidden("You are not authorized to perform this operation.");
            }
            view.list(alerts(repo, kind)).untagged()
        }
        _ => Answer::not_found(),
    }
}

/// A page of events, which asks to be polled slowly and ends after 300.
pub(super) fn events(ask: &crate::ask::Ask<'_>, base: &str, mut all: Vec<Value>) -> Answer {
    let (page, per_page) = ask.page();
    if page.saturating_sub(1).saturating_mul(per_page) >= EVENTS_MAX {
        return Answer::unprocessable(
            "In order to keep the API fast for everyone, pagination is limited for this resource.",
        );
    }
    all.truncate(EVENTS_MAX);
    listing(ask, base, all, None).with_header("x-poll-interval", EVENTS_POLL_SECS)
}

/// A push for each commit and an opening for each issue, newest push first.
pub(super) fn of_repo(world: &World, repo: &Repo) -> Vec<Value> {
    let event = |kind: &str, id: String, actor: &Value, payload: Value, at: &Value| {
        json!({
            "id": id,
            "type": kind,
            "actor": actor,
            "repo": { "id": repo.id, "name": repo.full_name(), "url": repo.api() },
            "payload": payload,
            "public": !repo.private,
            "created_at": at,
        })
    };
    let pushes = repo.commits.iter().enumerate().map(|(age, commit)| {
        let (id, payload) =
            (format!("{}{age:06}", repo.id), json!({ "ref": "refs/heads/main", "head": commit["sha"] }));
        event("PushEvent", id, &world.simple_user(&repo.owner), payload, &commit["commit"]["author"]["date"])
    });
    let openings = repo.issues.values().rev().map(|issue| {
        let payload = json!({ "action": "opened", "issue": { "number": issue["number"], "title": issue["title"] } });
        event("IssuesEvent", issue["id"].to_string(), &issue["user"], payload, &issue["created_at"])
    });
    pushes.chain(openings).collect()
}

/// The numbers for the head that was asked about before, and 202 for a head that is new.
fn stats(view: View<'_>, kind: &str) -> Answer {
    let repo = view.repo;
    if !["contributors", "commit_activity", "code_frequency", "participation", "punch_card"].contains(&kind) {
        return Answer::not_found();
    }
    if repo.stats.get(kind).is_none_or(|sha| sha != repo.head()) {
        return Answer::new(StatusCode::ACCEPTED, &json!({})).untagged();
    }
    let total = repo.commits.len();
    view.ask.ok(&match kind {
        "participation" => json!({ "all": vec![total / 52; 52], "owner": vec![0; 52] }),
        "contributors" => repo.contributors.iter().map(|one| json!({ "author": one, "total": total })).collect(),
        _ => json!([[0, total, 0]]),
    })
}

fn alerts(repo: &Repo, kind: &str) -> Vec<Value> {
    let alert = |number: u64| {
        json!({
            "number": number,
            "state": "open",
            "url": format!("{}/{kind}/alerts/{number}", repo.api()),
            "html_url": format!("{}/security/{kind}/{number}", repo.html()),
        })
    };
    if repo.commits.is_empty() { Vec::new() } else { (1..=2).map(alert).collect() }
}
