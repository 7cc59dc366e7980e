mod repo;
mod write;

use serde_json::{Value, json};

use crate::{
    answer::Answer,
    ask::{API, Ask},
    document::{Documents, Visibility},
    page::listing,
    world::{AccountKind, Repo, World},
};

/// Answers everything but GraphQL and `/rate_limit`, which know budgets.
pub(crate) fn route(world: &mut World, documents: &mut Documents, ask: &Ask<'_>) -> Answer {
    if let Some(answer) = registered(world, documents, ask) {
        return answer;
    }
    let segments: Vec<&str> = ask.path.trim_matches('/').split('/').collect();
    match segments.as_slice() {
        ["repos", owner, name, rest @ ..] => {
            let full_name = format!("{owner}/{name}");
            let Some(id) = world.repo_id(&full_name) else { return Answer::not_found() };
            let moved = !world.repos[&id].full_name().eq_ignore_ascii_case(&full_name);
            if moved { repo::moved(world, ask, id, rest) } else { in_repo(world, documents, ask, id, rest) }
        }
        ["repositories", id, rest @ ..] => match id.parse() {
            Ok(id) if world.repos.contains_key(&id) => in_repo(world, documents, ask, id, rest),
            _ => Answer::not_found(),
        },
        _ if ask.is_read() => elsewhere(world, ask, &segments),
        _ => Answer::not_found(),
    }
}

fn in_repo(world: &mut World, documents: &mut Documents, ask: &Ask<'_>, id: u64, rest: &[&str]) -> Answer {
    let Some(role) = ask.caller.role(&world.repos[&id]) else { return Answer::not_found() };
    if ask.is_read() {
        repo::read(world, documents, ask, &world.repos[&id], role, rest)
    } else {
        write::write(world, ask, id, role, rest)
    }
}

fn elsewhere(world: &World, ask: &Ask<'_>, segments: &[&str]) -> Answer {
    let account = |login: &str, kind| world.account(login, kind);
    match segments {
        [""] => ask.ok(&json!({
            "current_user_url": format!("{API}/user"),
            "rate_limit_url": format!("{API}/rate_limit"),
            "repository_url": format!("{API}/repos/{{owner}}/{{repo}}"),
            "user_url": format!("{API}/users/{{user}}"),
        })),
        ["meta"] => ask.ok(&json!({
            "verifiable_password_authentication": false,
            "hooks": ["192.0.2.0/24"],
            "api": ["198.51.100.0/24"],
            "actions": ["203.0.113.0/24"],
        })),
        ["user", rest @ ..] => match (ask.caller.login(), rest) {
            (None, _) => Answer::requires_authentication(),
            (Some(login), []) => {
                account(login, AccountKind::User).map_or_else(Answer::not_found, |user| ask.ok(&user.full()))
            }
            (Some(_), ["repos"]) => {
                let mine =
                    |repo: &Repo| ask.caller.role(repo).is_some_and(|role| role > crate::Role::Read || repo.private);
                repos(world, ask, "/user/repos", mine)
            }
            _ => Answer::not_found(),
        },
        ["users", login] => {
            let found = world.accounts.get(&login.to_ascii_lowercase());
            found.map_or_else(Answer::not_found, |account| ask.ok(&account.full()))
        }
        ["users", login, "repos"] => match account(login, AccountKind::User) {
            Some(user) => repos(world, ask, &format!("/user/{}/repos", user.id), |repo| repo.owner == user.login),
            None => Answer::not_found(),
        },
        ["orgs", login] => {
            account(login, AccountKind::Organization).map_or_else(Answer::not_found, |org| ask.ok(&org.full()))
        }
        ["orgs", login, "repos"] => match account(login, AccountKind::Organization) {
            Some(org) => repos(world, ask, &format!("/organizations/{}/repos", org.id), |repo| repo.owner == org.login),
            None => Answer::not_found(),
        },
        ["organizations", id, "repos"] => match world.accounts.values().find(|org| org.id.to_string() == **id) {
            Some(org) => repos(world, ask, &format!("/organizations/{id}/repos"), |repo| repo.owner == org.login),
            None => Answer::not_found(),
        },
        _ => Answer::not_found(),
    }
}

/// The repositories that fit and that the caller may see.
fn repos(world: &World, ask: &Ask<'_>, base: &str, fits: impl Fn(&Repo) -> bool) -> Answer {
    let seen = world.repos.values().filter(|repo| ask.caller.role(repo).is_some() && fits(repo));
    let items: Vec<Value> = seen.map(|repo| repo.minimal(world, ask.caller)).collect();
    listing(ask, base, items, None)
}

/// A body that a test registered at this path; a repository's other spellings lead to it too.
fn registered(world: &World, documents: &Documents, ask: &Ask<'_>) -> Option<Answer> {
    let path = canonical(world, ask.path);
    let (visibility, body) = documents.get(&path).filter(|_| ask.is_read())?;
    let seen = match visibility {
        Visibility::Public => true,
        Visibility::Repo(full_name) => {
            let repo = world.repo_id(full_name).map(|id| &world.repos[&id]);
            repo.is_some_and(|repo| ask.caller.role(repo).is_some())
        }
    };
    Some(if seen { Answer::raw(http::StatusCode::OK, body.clone()) } else { Answer::not_found() })
}

/// `path` with a repository named by its id, as documents are kept.
pub(crate) fn canonical(world: &World, path: &str) -> String {
    let mut parts = path.splitn(5, '/').skip(1);
    let (Some("repos"), Some(owner), Some(name)) = (parts.next(), parts.next(), parts.next()) else {
        return path.to_owned();
    };
    match world.repo_id(&format!("{owner}/{name}")) {
        Some(id) => parts.next().map_or(format!("/repositories/{id}"), |rest| format!("/repositories/{id}/{rest}")),
        None => path.to_owned(),
    }
}
