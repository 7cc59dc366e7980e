use http::StatusCode;
use serde_json::{Value, json};

use crate::{
    answer::Answer,
    ask::Ask,
    auth::Role,
    document::Documents,
    page::listing,
    world::{Repo, World},
};

/// Everything under a repository that the caller may see.
pub(super) fn read(
    world: &World,
    documents: &mut Documents,
    ask: &Ask<'_>,
    repo: &Repo,
    role: Role,
    rest: &[&str],
) -> Answer {
    let list = |items: Vec<Value>, wrap: Option<&str>| {
        listing(ask, &format!("/repositories/{}/{}", repo.id, rest.join("/")), items, wrap)
    };
    let one = |found: Option<&Value>| found.map_or_else(Answer::not_found, |value| ask.ok(value));
    match rest {
        [] => {
            let mut answer = ask.ok(&repo.full(world, ask.caller));
            answer.last_modified = Some(repo.updated_at);
            answer
        }
        ["issues"] => list(in_state(ask, repo.issues.values().rev()), None),
        ["issues", number] => one(number.parse().ok().and_then(|number: u64| repo.issues.get(&number))),
        ["issues", number, "comments"] => match number.parse() {
            Ok(number) if repo.issues.contains_key(&number) => {
                list(repo.comments.get(&number).cloned().unwrap_or_default(), None)
            }
            _ => Answer::not_found(),
        },
        ["pulls"] => list(in_state(ask, repo.pulls.values().rev()), None),
        ["pulls", number] => one(number.parse().ok().and_then(|number: u64| repo.pulls.get(&number))),
        ["commits"] => list(repo.commits.clone(), None),
        ["commits", sha] => one(commit(repo, sha)),
        ["branches"] => list(repo.branches.clone(), None),
        ["branches", name] => one(repo.branches.iter().find(|branch| branch["name"] == *name)),
        ["tags"] => list(repo.tags.clone(), None),
        ["releases"] => list(repo.releases.clone(), None),
        ["releases", "latest"] => one(repo.releases.first()),
        ["releases", id] => match id.parse::<u64>() {
            Ok(id) => one(repo.releases.iter().find(|release| release["id"] == id)),
            Err(_) => Answer::not_found(),
        },
        ["contributors"] => list(repo.contributors.clone(), None),
        ["actions", "workflows"] => list(repo.workflows(), Some("workflows")),
        ["actions", "workflows", id] => match id.parse::<u64>() {
            Ok(id) => one(repo.workflows().iter().find(|flow| flow["id"] == id)),
            Err(_) => Answer::not_found(),
        },
        ["actions", "runs"] => {
            list(repo.runs.values().rev().map(|run| run.run.clone()).collect(), Some("workflow_runs"))
        }
        ["actions", "runs", id] => one(id.parse().ok().and_then(|id: u64| repo.runs.get(&id)).map(|run| &run.run)),
        ["actions", "runs", id, "jobs"] => match id.parse().ok().and_then(|id: u64| repo.runs.get(&id)) {
            Some(run) => list(run.jobs.clone(), Some("jobs")),
            None => Answer::not_found(),
        },
        // Runners are for administrators: the one denial here that is a 403.
        ["actions", "runners"] if role < Role::Admin => Answer::denied(),
        ["actions", "runners"] => list(repo.runners.clone(), Some("runners")),
        ["readme"] => file(ask, repo, "README.md"),
        ["contents"] => ask.ok(&repo.files.keys().map(|path| entry(ask, repo, path)).collect()),
        ["contents", path @ ..] => file(ask, repo, &path.join("/")),
        ["git", "blobs", blob] => {
            let size = blob.strip_prefix("size-").and_then(|size| size.parse().ok());
            let body = size.and_then(|size| documents.sized(&world.seed, repo.id, size));
            body.map_or_else(Answer::not_found, |body| Answer::raw(StatusCode::OK, body))
        }
        _ => Answer::not_found(),
    }
}

/// The redirect from a former name, for those who may see the repository.
pub(super) fn moved(world: &World, ask: &Ask<'_>, id: u64, rest: &[&str]) -> Answer {
    if ask.caller.role(&world.repos[&id]).is_none() {
        return Answer::not_found();
    }
    let tail: String = rest.iter().map(|segment| format!("/{segment}")).collect();
    let url = format!("{}/repositories/{id}{tail}", ask.api_url);
    let permanent = ask.is_read();
    let status = if permanent { StatusCode::MOVED_PERMANENTLY } else { StatusCode::TEMPORARY_REDIRECT };
    let message = if permanent { "Moved Permanently" } else { "Temporary Redirect" };
    let body = json!({ "message": message, "url": url, "documentation_url": "https://docs.github.com/rest" });
    let mut answer = Answer::new(status, &body).untagged();
    answer.location = Some(url);
    answer
}

/// A commit by its id or by the name of a branch.
fn commit<'a>(repo: &'a Repo, name: &str) -> Option<&'a Value> {
    let branch = repo.branches.iter().find(|branch| branch["name"] == name);
    let sha = branch.and_then(|branch| branch["commit"]["sha"].as_str()).unwrap_or(name);
    repo.commits.iter().find(|commit| commit["sha"] == sha)
}

fn in_state<'a>(ask: &Ask<'_>, items: impl Iterator<Item = &'a Value>) -> Vec<Value> {
    let state = ask.query.get("state").unwrap_or("open");
    items.filter(|item| state == "all" || item["state"] == state).cloned().collect()
}

fn file(ask: &Ask<'_>, repo: &Repo, path: &str) -> Answer {
    let Some(text) = repo.files.get(path) else { return Answer::not_found() };
    let mut body = entry(ask, repo, path);
    body["encoding"] = json!("base64");
    body["content"] = json!(data_encoding::BASE64.encode(text.as_bytes()));
    ask.ok(&body)
}

fn entry(ask: &Ask<'_>, repo: &Repo, path: &str) -> Value {
    let raw = format!("https://raw.githubusercontent.com/{}/main/{path}", repo.full_name());
    let download_url = match ask.caller.login().map(|login| repo.clone_token(login)) {
        Some(secret) if !secret.is_empty() => format!("{raw}?token={secret}"),
        _ => raw,
    };
    json!({
        "type": "file",
        "name": path.rsplit('/').next(),
        "path": path,
        "size": repo.files[path].len(),
        "url": format!("{}/contents/{path}?ref=main", repo.api()),
        "html_url": format!("{}/blob/main/{path}", repo.html()),
        "download_url": download_url,
    })
}
