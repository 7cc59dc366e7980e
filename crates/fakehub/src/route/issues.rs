use http::StatusCode;
use serde_json::{Value, json};

use super::view::{View, by_id};
use crate::{
    answer::{Answer, Media},
    page::Query,
};

/// Issues, pulls, their comments and labels.
pub(super) fn read(view: View<'_>) -> Answer {
    let View { ask, repo, rest, .. } = view;
    let number = rest.get(1).and_then(|text| text.parse::<u64>().ok());
    if number.is_some_and(|number| rest[0] == "issues" && repo.deleted_issues.contains(&number)) {
        return gone();
    }
    match (rest, number) {
        (["issues"], _) => view.list(wanted(&ask.query, repo.issues.values())),
        (["issues", "comments", id], _) => view.one(by_id(repo.comments.values().flatten(), id)),
        (["issues", _], Some(number)) => view.one(repo.issues.get(&number).or_else(|| repo.pulls.get(&number))),
        (["issues", _, part], Some(number)) => {
            let Some(issue) = repo.issues.get(&number).or_else(|| repo.pulls.get(&number)) else {
                return Answer::not_found();
            };
            match *part {
                "comments" => view.list(repo.comments.get(&number).cloned().unwrap_or_default()),
                "labels" => view.list(issue["labels"].as_array().cloned().unwrap_or_default()),
                "events" | "timeline" => view.list(Vec::new()),
                _ => Answer::not_found(),
            }
        }
        (["pulls"], _) => view.list(wanted(&ask.query, repo.pulls.values())),
        (["pulls", _], Some(number)) => match (repo.pulls.get(&number), ask.media()) {
            (Some(pull), Some(Media::Diff)) => Answer::media(Media::Diff, diff(pull)),
            (Some(pull), Some(Media::Patch)) => Answer::media(Media::Patch, patch(pull)),
            (pull, _) => view.one(pull),
        },
        (["pulls", _, part], Some(number)) => match (repo.pulls.get(&number), *part) {
            (Some(_), "comments" | "reviews") => view.list(Vec::new()),
            (Some(_), "commits") => view.list(repo.commits.iter().take(1).cloned().collect()),
            (Some(_), "files") => {
                view.list(vec![json!({ "filename": "README.md", "status": "modified", "changes": 2 })])
            }
            _ => Answer::not_found(),
        },
        (["labels"], _) => view.list(repo.labels.clone()),
        (["labels", name], _) => view.one(repo.labels.iter().find(|label| label["name"] == *name)),
        _ => Answer::not_found(),
    }
}

/// 410, for an issue that was there once.
pub(super) fn gone() -> Answer {
    let url = "https://docs.github.com/v3/issues/#get-an-issue";
    Answer::error(StatusCode::GONE, "This issue was deleted", url)
}

/// Those that fit `state`, `labels` and `since`, newest first unless `direction=asc`.
fn wanted<'a>(query: &Query, items: impl DoubleEndedIterator<Item = &'a Value>) -> Vec<Value> {
    let state = query.get("state").unwrap_or("open");
    let (labels, since) = (query.text("labels").unwrap_or_default(), query.text("since").unwrap_or_default());
    let has = |item: &Value, name: &str| {
        item["labels"].as_array().is_some_and(|labels| labels.iter().any(|label| label["name"] == name))
    };
    let fits = |item: &&Value| {
        (state == "all" || item["state"] == state)
            && labels.split(',').filter(|name| !name.is_empty()).all(|name| has(item, name))
            && item["updated_at"].as_str().is_some_and(|at| at >= since.as_str())
    };
    if query.get("direction") == Some("asc") {
        items.filter(fits).cloned().collect()
    } else {
        items.rev().filter(fits).cloned().collect()
    }
}

fn diff(pull: &Value) -> String {
    format!(
        "diff --git a/README.md b/README.md\n--- a/README.md\n+++ b/README.md\n@@ -1 +1 @@\n-before\n+{}\n",
        pull["title"].as_str().unwrap_or_default()
    )
}

fn patch(pull: &Value) -> String {
    let (sha, title) = (pull["head"]["sha"].as_str().unwrap_or_default(), pull["title"].as_str().unwrap_or_default());
    format!("From {sha} Mon Sep 17 00:00:00 2001\nSubject: [PATCH] {title}\n\n---\n{}", diff(pull))
}
