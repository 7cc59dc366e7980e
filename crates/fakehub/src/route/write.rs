use http::{Method, StatusCode};
use serde_json::{Map, Value, json};

use crate::{
    answer::Answer,
    ask::Ask,
    auth::Role,
    world::{World, iso, node_id},
};

/// The writes: `POST issues`, `PATCH issues/{n}`, `POST issues/{n}/comments`.
///
/// Opening and commenting is for every user who sees the repository, changing for its author and
/// for those who may write.
pub(super) fn write(world: &mut World, ask: &Ask<'_>, id: u64, role: Role, rest: &[&str]) -> Answer {
    let Some(login) = ask.caller.login() else { return Answer::requires_authentication() };
    let number = rest.get(1).and_then(|number| number.parse::<u64>().ok());
    let done = match (ask.method, rest, number) {
        (&Method::POST, ["issues"], _) => open(world, ask, id, login),
        (&Method::PATCH, ["issues", _], Some(number)) => change(world, ask, id, role, login, number),
        (&Method::POST, ["issues", _, "comments"], Some(number)) => comment(world, ask, id, login, number),
        _ => return Answer::not_found(),
    };
    let mut answer = done.unwrap_or_else(|refusal| refusal);
    answer.mutation = true;
    answer
}

fn open(world: &mut World, ask: &Ask<'_>, id: u64, login: &str) -> Result<Answer, Answer> {
    let object = ask.object()?;
    let title = object.get("title").and_then(Value::as_str).ok_or_else(|| invalid("Issue", "title"))?;
    let issue_id = world.fresh_id();
    let repo = &world.repos[&id];
    let number = repo.next_number();
    let mut issue = repo.new_issue(world, issue_id, number, login, title, ask.now);
    issue["body"] = object.get("body").cloned().unwrap_or(Value::Null);
    let answer = created(ask, &issue);
    world.repos.get_mut(&id).expect("looked up above").issues.insert(number, issue);
    Ok(answer)
}

fn change(world: &mut World, ask: &Ask<'_>, id: u64, role: Role, login: &str, number: u64) -> Result<Answer, Answer> {
    let repo = world.repos.get_mut(&id).expect("the router found it");
    let issue = repo.issues.get_mut(&number).ok_or_else(Answer::not_found)?;
    if role < Role::Triage && issue["user"]["login"] != login {
        return Err(Answer::denied());
    }
    apply(issue, &ask.object()?, ask.now)?;
    Ok(ask.ok(issue))
}

fn apply(issue: &mut Value, object: &Map<String, Value>, now: u64) -> Result<(), Answer> {
    match object.get("state").map(Value::as_str) {
        None => {}
        Some(Some("open")) => issue["closed_at"] = Value::Null,
        Some(Some("closed")) => issue["closed_at"] = json!(iso(now)),
        Some(_) => return Err(invalid("Issue", "state")),
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

fn comment(world: &mut World, ask: &Ask<'_>, id: u64, login: &str, number: u64) -> Result<Answer, Answer> {
    let object = ask.object()?;
    let body = object.get("body").and_then(Value::as_str).ok_or_else(|| invalid("IssueComment", "body"))?;
    let (comment_id, user) = (world.fresh_id(), world.simple_user(login));
    let repo = world.repos.get_mut(&id).expect("the router found it");
    let (api, html) = (repo.api(), repo.html());
    let issue = repo.issues.get_mut(&number).ok_or_else(Answer::not_found)?;
    let comment = json!({
        "id": comment_id,
        "node_id": node_id("IC", comment_id),
        "url": format!("{api}/issues/comments/{comment_id}"),
        "html_url": format!("{html}/issues/{number}#issuecomment-{comment_id}"),
        "issue_url": issue["url"],
        "user": user,
        "created_at": iso(ask.now),
        "updated_at": iso(ask.now),
        "body": body,
    });
    let comments = repo.comments.entry(number).or_default();
    comments.push(comment.clone());
    issue["comments"] = json!(comments.len());
    issue["updated_at"] = json!(iso(ask.now));
    Ok(created(ask, &comment))
}

fn created(ask: &Ask<'_>, value: &Value) -> Answer {
    let mut answer = ask.ok(value);
    answer.status = StatusCode::CREATED;
    answer.location = value["url"].as_str().map(|url| url.replacen(crate::ask::API, ask.api_url, 1));
    answer
}

fn invalid(resource: &str, field: &str) -> Answer {
    let body = json!({
        "message": "Validation Failed",
        "errors": [{ "resource": resource, "field": field, "code": "missing_field" }],
        "documentation_url": "https://docs.github.com/rest/issues",
        "status": "422",
    });
    Answer::new(StatusCode::UNPROCESSABLE_ENTITY, &body).untagged()
}
