use http::Method;
use serde_json::{Map, Value, json};

use super::{Write, nothing};
use crate::{
    answer::Answer,
    auth::Role,
    world::{iso, node_id},
};

/// Issues, pulls, comments and labels.
pub(super) fn write(mut write: Write<'_>, rest: &[&str]) -> Result<Answer, Answer> {
    let number = rest.get(1).and_then(|number| number.parse::<u64>().ok());
    if number.is_some_and(|number| rest[0] == "issues" && write.repo().deleted_issues.contains(&number)) {
        return Err(crate::route::issues::gone());
    }
    match (write.ask.method, rest, number) {
        (&Method::POST, ["issues"], _) => open(write),
        (&Method::PATCH, ["issues", _], Some(number)) => change(write, number),
        (&Method::POST, ["issues", _, "comments"], Some(number)) => comment(write, number),
        (&Method::PATCH | &Method::DELETE, ["issues", "comments", id], _) => {
            change_comment(write, id.parse().unwrap_or(0))
        }
        (&Method::POST | &Method::PUT, ["issues", _, "labels"], Some(number)) => label(write, number),
        (&Method::PUT | &Method::DELETE, ["issues", _, "lock"], Some(number)) => {
            write.needs(Role::Triage)?;
            let locked = *write.ask.method == Method::PUT;
            let now = write.ask.now;
            let issue = write.repo().issues.get_mut(&number).ok_or_else(Answer::not_found)?;
            issue["locked"] = json!(locked);
            issue["updated_at"] = json!(iso(now));
            Ok(nothing())
        }
        (&Method::PATCH, ["pulls", _], Some(number)) => {
            write.needs(Role::Triage)?;
            let (object, now) = (write.ask.object()?, write.ask.now);
            let pull = write.repo().pulls.get_mut(&number).ok_or_else(Answer::not_found)?;
            apply(pull, &object, now)?;
            let body = pull.clone();
            Ok(write.ask.ok(&body))
        }
        (&Method::PUT, ["pulls", _, "merge"], Some(number)) => merge(write, number),
        (&Method::POST, ["labels"], _) => new_label(write),
        _ => Err(Answer::not_found()),
    }
}

fn open(mut write: Write<'_>) -> Result<Answer, Answer> {
    let object = write.ask.object()?;
    let title = object.get("title").and_then(Value::as_str).ok_or_else(|| Answer::invalid("Issue", "title"))?;
    let issue_id = write.world.fresh_id();
    let repo = &write.world.repos[&write.id];
    let number = repo.next_number();
    let mut issue = repo.new_issue(write.world, issue_id, number, write.login, title, write.ask.now);
    issue["body"] = object.get("body").cloned().unwrap_or(Value::Null);
    let answer = write.created(&issue);
    write.repo().issues.insert(number, issue);
    Ok(answer)
}

fn change(mut write: Write<'_>, number: u64) -> Result<Answer, Answer> {
    let (role, login, now) = (write.role, write.login.to_owned(), write.ask.now);
    let issue = write.repo().issues.get_mut(&number).ok_or_else(Answer::not_found)?;
    if role < Role::Triage && issue["user"]["login"] != login.as_str() {
        return Err(Answer::denied());
    }
    let object = write.ask.object()?;
    let issue = write.repo().issues.get_mut(&number).expect("found above");
    apply(issue, &object, now)?;
    let body = issue.clone();
    Ok(write.ask.ok(&body))
}

fn apply(issue: &mut Value, object: &Map<String, Value>, now: u64) -> Result<(), Answer> {
    match object.get("state").map(Value::as_str) {
        None => {}
        Some(Some("open")) => issue["closed_at"] = Value::Null,
        Some(Some("closed")) => issue["closed_at"] = json!(iso(now)),
        Some(_) => return Err(Answer::invalid("Issue", "state")),
    }
    for key in ["title", "body", "state"] {
        if let Some(value) = object.get(key) {
            issue[key] = value.clone();
        }
    }
    if let Some(labels) = object.get("labels").and_then(Value::as_array) {
        issue["labels"] = labels.iter().map(|name| json!({ "name": name, "color": "ededed" })).collect();
    }
    issue["updated_at"] = json!(iso(now));
    Ok(())
}

fn comment(mut write: Write<'_>, number: u64) -> Result<Answer, Answer> {
    let object = write.ask.object()?;
    let body = object.get("body").and_then(Value::as_str).ok_or_else(|| Answer::invalid("IssueComment", "body"))?;
    let (comment_id, user, now) = (write.world.fresh_id(), write.world.simple_user(write.login), write.ask.now);
    let repo = write.repo();
    let (api, html) = (repo.api(), repo.html());
    let issue = repo.issues.get_mut(&number).ok_or_else(Answer::not_found)?;
    let comment = json!({
        "id": comment_id,
        "node_id": node_id("IC", comment_id),
        "url": format!("{api}/issues/comments/{comment_id}"),
        "html_url": format!("{html}/issues/{number}#issuecomment-{comment_id}"),
        "issue_url": issue["url"],
        "user": user,
        "created_at": iso(now),
        "updated_at": iso(now),
        "body": body,
    });
    let comments = repo.comments.entry(number).or_default();
    comments.push(comment.clone());
    issue["comments"] = json!(comments.len());
    issue["updated_at"] = json!(iso(now));
    Ok(write.created(&comment))
}

fn change_comment(mut write: Write<'_>, id: u64) -> Result<Answer, Answer> {
    let (role, login, ask) = (write.role, write.login, write.ask);
    let repo = write.repo();
    let place = repo
        .comments
        .iter()
        .find_map(|(number, comments)| Some((*number, comments.iter().position(|comment| comment["id"] == id)?)));
    let (number, at) = place.ok_or_else(Answer::not_found)?;
    let comments = repo.comments.get_mut(&number).expect("found above");
    if role < Role::Triage && comments[at]["user"]["login"] != login {
        return Err(Answer::denied());
    }
    let left = if *ask.method == Method::DELETE {
        comments.remove(at);
        None
    } else {
        let object = ask.object()?;
        comments[at]["body"] = object.get("body").cloned().unwrap_or_default();
        comments[at]["updated_at"] = json!(iso(ask.now));
        Some(comments[at].clone())
    };
    let count = comments.len();
    if let Some(issue) = repo.issues.get_mut(&number) {
        issue["comments"] = json!(count);
        issue["updated_at"] = json!(iso(ask.now));
    }
    Ok(left.map_or_else(nothing, |comment| ask.ok(&comment)))
}

fn label(mut write: Write<'_>, number: u64) -> Result<Answer, Answer> {
    write.needs(Role::Triage)?;
    let (body, now): (Value, u64) =
        (serde_json::from_slice(write.ask.body).map_err(|_| Answer::bad_json())?, write.ask.now);
    let names = body.get("labels").unwrap_or(&body).as_array().cloned().unwrap_or_default();
    let replaces = *write.ask.method == Method::PUT;
    let issue = write.repo().issues.get_mut(&number).ok_or_else(Answer::not_found)?;
    let mut labels = issue["labels"].as_array().filter(|_| !replaces).cloned().unwrap_or_default();
    labels.extend(names.iter().map(|name| json!({ "name": name, "color": "ededed" })));
    issue["labels"] = json!(labels);
    issue["updated_at"] = json!(iso(now));
    Ok(write.ask.ok(&json!(labels)))
}

fn new_label(mut write: Write<'_>) -> Result<Answer, Answer> {
    write.needs(Role::Triage)?;
    let object = write.ask.object()?;
    let name = object.get("name").and_then(Value::as_str).ok_or_else(|| Answer::invalid("Label", "name"))?;
    let id = write.world.fresh_id();
    let url = format!("{}/labels/{name}", write.repo().api());
    let color = object.get("color").cloned().unwrap_or_else(|| json!("ededed"));
    let label = json!({ "id": id, "node_id": node_id("LA", id), "url": url, "name": name, "color": color });
    write.repo().labels.push(label.clone());
    Ok(write.created(&label))
}

/// Merging puts a commit on `main` and closes the pull.
fn merge(mut write: Write<'_>, number: u64) -> Result<Answer, Answer> {
    write.needs(Role::Write)?;
    let (now, sha) = (write.ask.now, write.world.seed.hex(40));
    let pull = write.repo().pulls.get_mut(&number).ok_or_else(Answer::not_found)?;
    if pull["state"] != "open" {
        let url = "https://docs.github.com/rest/pulls/pulls#merge-a-pull-request";
        return Err(Answer::error(http::StatusCode::METHOD_NOT_ALLOWED, "Pull Request is not mergeable", url));
    }
    pull["state"] = json!("closed");
    for key in ["merged_at", "closed_at", "updated_at"] {
        pull[key] = json!(iso(now));
    }
    let message = format!("Merge pull request #{number}");
    let commit = write.world.repos[&write.id].new_commit(write.world, &sha, write.login, &message, now);
    write.repo().push(commit, now);
    Ok(write.ask.ok(&json!({ "sha": sha, "merged": true, "message": "Pull Request successfully merged" })))
}
