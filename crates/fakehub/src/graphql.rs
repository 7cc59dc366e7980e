mod document;
mod schema;

use http::StatusCode;
use serde_json::{Map, Value, json};

use self::{
    document::{DEPTH_MAX, Document, Field, Selection, parse},
    schema::{cut, issue, missing, owner, repository},
};
use crate::{
    answer::Answer,
    ask::Ask,
    budget::Bucket,
    world::{World, iso, node_id},
};

/// Answers `POST /graphql` for `viewer`, `user`, `organization`, `repositoryOwner`, `repository`,
/// `rateLimit`, and for the mutations `addStar`, `removeStar` and `createIssue`.
///
/// Fields that the hub does not know are `null`, unknown roots are errors in a 200, as at GitHub.
/// `bucket` is what `rateLimit` reports.
pub(crate) fn graphql(world: &mut World, ask: &Ask<'_>, bucket: &Bucket) -> Answer {
    if *ask.method != http::Method::POST {
        return Answer::not_found();
    }
    let Some(login) = ask.caller.login() else {
        let url = "https://docs.github.com/graphql/guides/forming-calls-with-graphql#authenticating-with-graphql";
        return Answer::error(StatusCode::UNAUTHORIZED, "This endpoint requires you to be authenticated.", url);
    };
    let object = match ask.object() {
        Ok(object) => object,
        Err(refusal) => return refusal,
    };
    let none = Map::new();
    let variables = object.get("variables").and_then(Value::as_object).unwrap_or(&none);
    let text = object.get("query").and_then(Value::as_str).unwrap_or_default();
    let Some(document) = parse(text, variables) else { return errors("Parse error", None) };
    let wanted = object.get("operationName").and_then(Value::as_str);
    let named = |name| document.operations.iter().find(|operation| operation.name.as_deref() == Some(name));
    let only = || document.operations.first().filter(|_| document.operations.len() == 1);
    let Some(operation) = wanted.map_or_else(only, named) else {
        return errors("An operation name is required", None);
    };

    let mut roots = Vec::new();
    flatten(&document, &operation.selections, &mut roots, 0);
    let (mut data, mut problems) = (Map::new(), Vec::new());
    for field in roots {
        let found =
            if operation.mutation { mutate(world, ask, field) } else { query(world, ask, field, login, bucket) };
        let value = found.unwrap_or_else(|mut problem| {
            problem["path"] = json!([field.alias]);
            problems.push(problem);
            Value::Null
        });
        data.insert(field.alias.clone(), project(&document, &value, &field.selections, 0));
    }
    let mut body = json!({ "data": data });
    if !problems.is_empty() {
        body["errors"] = Value::Array(problems);
    }
    let mut answer = ask.ok(&body).untagged();
    answer.mutation = operation.mutation;
    answer
}

/// GraphQL's way of saying that the budget is empty: a 200.
pub(crate) fn limited(user_id: u64) -> Answer {
    errors(&format!("API rate limit exceeded for user ID {user_id}."), Some("RATE_LIMITED"))
}

fn errors(message: &str, kind: Option<&str>) -> Answer {
    let mut error = json!({ "message": message });
    if let Some(kind) = kind {
        error["type"] = json!(kind);
    }
    Answer::new(StatusCode::OK, &json!({ "errors": [error] })).untagged()
}

fn query(world: &World, ask: &Ask<'_>, field: &Field, login: &str, bucket: &Bucket) -> Result<Value, Value> {
    let text = |key: &str| field.args.get(key).and_then(Value::as_str).unwrap_or_default();
    match field.name.as_str() {
        "viewer" => owner(world, ask, login),
        "user" | "organization" | "repositoryOwner" => owner(world, ask, text("login")),
        "repository" => {
            let full_name = format!("{}/{}", text("owner"), text("name"));
            let repo = world.repo_id(&full_name).map(|id| &world.repos[&id]);
            let seen = repo.and_then(|repo| ask.caller.role(repo).map(|role| repository(world, repo, role)));
            seen.ok_or_else(|| missing(&format!("Could not resolve to a Repository with the name '{full_name}'.")))
        }
        "rateLimit" => Ok(json!({
            "limit": bucket.limit,
            "cost": 1,
            "used": bucket.used,
            "remaining": bucket.remaining(),
            "resetAt": iso(bucket.reset),
        })),
        "__typename" => Ok(json!("Query")),
        other => Err(undefined(other, "Query")),
    }
}

fn mutate(world: &mut World, ask: &Ask<'_>, field: &Field) -> Result<Value, Value> {
    let starred = match field.name.as_str() {
        "addStar" => true,
        "removeStar" => false,
        "createIssue" => return create_issue(world, ask, field),
        "__typename" => return Ok(json!("Mutation")),
        other => return Err(undefined(other, "Mutation")),
    };
    let id = field.args.get("input").and_then(|input| input["starrableId"].as_str()).unwrap_or_default();
    let repo = world.repos.values_mut().find(|repo| node_id("R", repo.id) == id && ask.caller.role(repo).is_some());
    let repo = repo.ok_or_else(|| missing(&format!("Could not resolve to a node with the global id of '{id}'")))?;
    repo.stars = if starred { repo.stars + 1 } else { repo.stars.saturating_sub(1) };
    let starrable = json!({
        "__typename": "Repository",
        "id": id,
        "stargazerCount": repo.stars,
        "viewerHasStarred": starred,
    });
    Ok(json!({ "clientMutationId": field.args["input"]["clientMutationId"], "starrable": starrable }))
}

fn create_issue(world: &mut World, ask: &Ask<'_>, field: &Field) -> Result<Value, Value> {
    let input = field.args.get("input").unwrap_or(&Value::Null);
    let wanted = input["repositoryId"].as_str().unwrap_or_default();
    let repo = world.repos.values().find(|repo| node_id("R", repo.id) == wanted && ask.caller.role(repo).is_some());
    let id = repo
        .map(|repo| repo.id)
        .ok_or_else(|| missing(&format!("Could not resolve to a node with the global id of '{wanted}'")))?;
    let (issue_id, login) = (world.fresh_id(), ask.caller.login().unwrap_or_default());
    let repo = &world.repos[&id];
    let (number, title) = (repo.next_number(), input["title"].as_str().unwrap_or_default());
    let mut made = repo.new_issue(world, issue_id, number, login, title, ask.now);
    made["body"] = input["body"].clone();
    let shown = issue(repo, &made);
    world.repos.get_mut(&id).expect("found above").issues.insert(number, made);
    Ok(json!({ "clientMutationId": input["clientMutationId"], "issue": shown }))
}

fn undefined(field: &str, on: &str) -> Value {
    let message = format!("Field '{field}' doesn't exist on type '{on}'");
    json!({ "message": message, "extensions": { "code": "undefinedField", "typeName": on, "fieldName": field } })
}

/// Of `value`, what was selected, under the client's own keys.
fn project(document: &Document, value: &Value, selections: &[Selection], depth: usize) -> Value {
    match value {
        Value::Array(items) => items.iter().map(|item| project(document, item, selections, depth)).collect(),
        Value::Object(object) if depth <= DEPTH_MAX => {
            let mut fields = Vec::new();
            flatten(document, selections, &mut fields, depth);
            let part = |field: &Field| {
                let mut part = object.get(&field.name).cloned().unwrap_or(Value::Null);
                let first = field.args.get("first").and_then(Value::as_u64);
                cut(&mut part, first, field.args.get("after").and_then(Value::as_str));
                (field.alias.clone(), project(document, &part, &field.selections, depth + 1))
            };
            Value::Object(fields.into_iter().map(part).collect())
        }
        other => other.clone(),
    }
}

/// The fields of `selections`, those of fragments included, whatever type they are on.
fn flatten<'a>(document: &'a Document, selections: &'a [Selection], fields: &mut Vec<&'a Field>, depth: usize) {
    if depth > DEPTH_MAX {
        return;
    }
    for selection in selections {
        match selection {
            Selection::Field(field) => fields.push(field),
            Selection::Inline(inner) => flatten(document, inner, fields, depth + 1),
            Selection::Spread(name) => {
                if let Some(inner) = document.fragments.get(name) {
                    flatten(document, inner, fields, depth + 1);
                }
            }
        }
    }
}
