use std::iter;

use serde_json::{Value, json};

use crate::{
    ask::Ask,
    auth::Role,
    world::{AccountKind, Repo, World, iso, node_id},
};

/// A user or an organisation; `ask` decides which of its repositories are there.
pub(super) fn owner(world: &World, ask: &Ask<'_>, login: &str) -> Result<Value, Value> {
    let account = world.accounts.get(&login.to_ascii_lowercase());
    let account =
        account.ok_or_else(|| missing(&format!("Could not resolve to a User with the login of '{login}'.")))?;
    let is_user = account.kind == AccountKind::User;
    let seen = world.repos_of(&account.login).filter_map(|repo| Some(repository(world, repo, ask.caller.role(repo)?)));
    Ok(json!({
        "__typename": if is_user { "User" } else { "Organization" },
        "repositories": nodes(seen),
        "id": node_id("U", account.id),
        "databaseId": account.id,
        "login": account.login,
        "name": account.name,
        "url": format!("https://github.com/{}", account.login),
        "createdAt": iso(account.created_at),
    }))
}

pub(super) fn repository(world: &World, repo: &Repo, role: Role) -> Value {
    let id = world.accounts.get(&repo.owner.to_ascii_lowercase()).map_or(0, |account| account.id);
    let owner = json!({ "__typename": "User", "id": node_id("U", id), "login": repo.owner });
    let sha = repo.commits.first().map(|commit| &commit["sha"]);
    json!({
        "__typename": "Repository",
        "id": node_id("R", repo.id),
        "databaseId": repo.id,
        "name": repo.name,
        "nameWithOwner": repo.full_name(),
        "owner": owner,
        "description": repo.description,
        "url": repo.html(),
        "sshUrl": format!("git@github.com:{}.git", repo.full_name()),
        "homepageUrl": "",
        "isPrivate": repo.private,
        "visibility": if repo.private { "PRIVATE" } else { "PUBLIC" },
        "isFork": false,
        "isArchived": false,
        "isEmpty": repo.commits.is_empty(),
        "hasIssuesEnabled": true,
        "hasWikiEnabled": true,
        "hasProjectsEnabled": false,
        "isInOrganization": false,
        "isTemplate": false,
        "isMirror": false,
        "mergeCommitAllowed": true,
        "rebaseMergeAllowed": true,
        "squashMergeAllowed": true,
        "parent": null,
        "primaryLanguage": { "name": repo.language },
        "assignableUsers": nodes(iter::empty()),
        "milestones": nodes(iter::empty()),
        "labels": nodes(repo.labels.iter().cloned()),
        "releases": nodes(repo.releases.iter().enumerate().map(|(age, one)| release(one, age == 0))),
        "stargazerCount": repo.stars,
        "forkCount": repo.stars / 3,
        "viewerPermission": format!("{role:?}").to_uppercase(),
        "viewerCanAdminister": role == Role::Admin,
        "defaultBranchRef": { "name": "main", "target": { "oid": sha } },
        "createdAt": iso(repo.created_at),
        "updatedAt": iso(repo.updated_at),
        "pushedAt": iso(repo.pushed_at),
        "issues": connection(repo, repo.issues.values().rev()),
        "pullRequests": connection(repo, repo.pulls.values().rev()),
    })
}

fn connection<'a>(repo: &Repo, items: impl Iterator<Item = &'a Value>) -> Value {
    nodes(items.filter(|item| item["state"] == "open").map(|item| issue(repo, item)))
}

/// An issue or a pull.
pub(super) fn issue(repo: &Repo, item: &Value) -> Value {
    json!({
        "id": item["node_id"],
        "number": item["number"],
        "title": item["title"],
        "body": item["body"],
        "state": item["state"].as_str().map(str::to_uppercase),
        "url": item["html_url"],
        "author": { "login": item["user"]["login"] },
        "createdAt": item["created_at"],
        "updatedAt": item["updated_at"],
        "isDraft": item["draft"],
        "headRefName": item["head"]["ref"],
        "headRepositoryOwner": { "login": repo.owner },
        "isCrossRepository": false,
        "labels": nodes(item["labels"].as_array().into_iter().flatten().cloned()),
    })
}

fn release(one: &Value, latest: bool) -> Value {
    json!({
        "id": one["node_id"],
        "name": one["name"],
        "tagName": one["tag_name"],
        "isDraft": one["draft"],
        "isPrerelease": one["prerelease"],
        "isLatest": latest,
        "url": one["html_url"],
        "createdAt": one["created_at"],
        "publishedAt": one["published_at"],
    })
}

/// A connection with all of its nodes; the page is cut out when it is projected.
fn nodes(all: impl Iterator<Item = Value>) -> Value {
    let all: Vec<Value> = all.collect();
    let page = json!({ "hasNextPage": false, "hasPreviousPage": false, "endCursor": null, "startCursor": null });
    json!({ "totalCount": all.len(), "nodes": all, "pageInfo": page })
}

/// Cuts the page that `first` and `after` name out of a connection; cursors are places.
pub(super) fn cut(connection: &mut Value, first: Option<u64>, after: Option<&str>) {
    let Some(first) = first else { return };
    let Some(all) = connection.get_mut("nodes").and_then(Value::as_array_mut) else { return };
    let from = after.and_then(|cursor| cursor.strip_prefix("cursor:")?.parse().ok()).unwrap_or(0_usize).min(all.len());
    let to = from.saturating_add(first as usize).min(all.len());
    let more = to < all.len();
    *all = all[from..to].to_vec();
    connection["pageInfo"] = json!({
        "hasNextPage": more,
        "hasPreviousPage": from > 0,
        "startCursor": format!("cursor:{from}"),
        "endCursor": format!("cursor:{to}"),
    });
}

pub(super) fn missing(message: &str) -> Value {
    json!({ "type": "NOT_FOUND", "message": message })
}
