use serde_json::{Value, json};

use super::view::View;
use crate::{
    answer::{Answer, Media},
    world::Repo,
};

/// How long a poller of a reference is asked to wait, in seconds; observed.
const REF_POLL_SECS: &str = "300";

/// Commits, branches, tags and the objects of git.
pub(super) fn read(view: View<'_>) -> Answer {
    let View { ask, repo, rest, .. } = view;
    match rest {
        ["commits"] => view.list(repo.commits.clone()),
        ["commits", name] => match (commit(repo, name), ask.media()) {
            (Some(commit), Some(Media::Sha)) => {
                Answer::media(Media::Sha, commit["sha"].as_str().unwrap_or_default().to_owned())
            }
            (Some(commit), Some(Media::Diff)) => Answer::media(Media::Diff, format!("diff of {}\n", commit["sha"])),
            (Some(commit), Some(Media::Patch)) => Answer::media(Media::Patch, format!("patch of {}\n", commit["sha"])),
            (commit, _) => view.one(commit),
        },
        ["commits", name, "status"] => match commit(repo, name) {
            Some(commit) => {
                ask.ok(&json!({ "state": "success", "statuses": [], "total_count": 0, "sha": commit["sha"] }))
            }
            None => Answer::not_found(),
        },
        ["commits", name, "check-runs"] => match commit(repo, name) {
            Some(_) => view.counted("check_runs", Vec::new()),
            None => Answer::not_found(),
        },
        ["branches"] => view.list(repo.branches.clone()),
        ["branches", name] => view.one(repo.branches.iter().find(|branch| branch["name"] == *name)),
        ["tags"] => view.list(repo.tags.clone()),
        ["git", "ref", name @ ..] => {
            let found = references(repo).into_iter().find(|one| one["ref"] == format!("refs/{}", name.join("/")));
            polled(view, view.one(found.as_ref()))
        }
        ["git", "refs" | "matching-refs", prefix @ ..] => {
            let prefix = format!("refs/{}", prefix.join("/"));
            let fits = |one: &Value| one["ref"].as_str().is_some_and(|name| name.starts_with(&prefix));
            polled(view, view.list(references(repo).into_iter().filter(fits).collect()))
        }
        ["git", "trees", sha] => {
            let sha = resolve(repo, sha);
            view.by_sha(rest[2], repo.tree(sha).as_ref())
        }
        ["git", "blobs", sha] => match (repo.blob(sha), ask.media()) {
            (Some(blob), Some(Media::Raw)) => {
                let text = blob["content"].as_str().unwrap_or_default().as_bytes();
                Answer::media(Media::Raw, data_encoding::BASE64.decode(text).unwrap_or_default())
            }
            (blob, _) => view.by_sha(sha, blob.as_ref()),
        },
        ["git", "commits", sha] => {
            let found = repo.commits.iter().find(|commit| commit["sha"] == *sha);
            let body = found.map(|commit| {
                let mut body = commit["commit"].clone();
                body["sha"] = commit["sha"].clone();
                body["parents"] = commit["parents"].clone();
                body["url"] = json!(format!("{}/git/commits/{sha}", repo.api()));
                body
            });
            view.by_sha(sha, body.as_ref())
        }
        _ => Answer::not_found(),
    }
}

/// A reference's `Last-Modified` is when the repository was made, and stays so after a push: whoever
/// believes it gets a 304 that is not true, as was reported of GitHub.
fn polled(view: View<'_>, answer: Answer) -> Answer {
    answer.modified_at(Some(view.repo.created_at)).with_header("x-poll-interval", REF_POLL_SECS)
}

/// A commit by its id or by the name of a branch.
pub(super) fn commit<'a>(repo: &'a Repo, name: &str) -> Option<&'a Value> {
    let sha = resolve(repo, name);
    repo.commits.iter().find(|commit| commit["sha"] == sha)
}

fn resolve<'a>(repo: &'a Repo, name: &'a str) -> &'a str {
    let branch = repo.branches.iter().find(|branch| branch["name"] == name);
    branch.and_then(|branch| branch["commit"]["sha"].as_str()).unwrap_or(name)
}

fn references(repo: &Repo) -> Vec<Value> {
    let reference = |kind: &str, named: &Value| {
        let (name, sha) =
            (format!("refs/{kind}/{}", named["name"].as_str().unwrap_or_default()), &named["commit"]["sha"]);
        let object = json!({ "sha": sha, "type": "commit", "url": format!("{}/git/commits/{}", repo.api(), sha.as_str().unwrap_or_default()) });
        json!({ "ref": name, "node_id": format!("REF_{name}"), "url": format!("{}/git/{name}", repo.api()), "object": object })
    };
    let heads = repo.branches.iter().map(|branch| reference("heads", branch));
    heads.chain(repo.tags.iter().map(|tag| reference("tags", tag))).collect()
}
