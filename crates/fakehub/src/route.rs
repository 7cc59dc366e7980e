mod actions;
mod app;
mod files;
mod git;
mod issues;
mod moving;
mod people;
mod releases;
mod repo;
mod search;
mod view;
mod write;

use http::{Method, StatusCode};
use serde_json::json;

use self::view::View;
use crate::{
    answer::Answer,
    ask::{API, Ask},
    document::{Documents, Visibility},
    permission,
    storage::{Store, signed_url},
    world::World,
};

/// Answers everything but GraphQL, Apps and `/rate_limit`, which know more than the world.
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
        [owner, name, "releases", "download", tag, file] if ask.is_read() => {
            download(world, ask, &format!("{owner}/{name}"), tag, file)
        }
        ["user", "starred", owner, name] if !ask.is_read() => write::star(world, ask, &format!("{owner}/{name}")),
        _ if ask.is_read() => elsewhere(world, ask, &segments),
        _ => Answer::not_found(),
    }
}

fn in_repo(world: &mut World, documents: &mut Documents, ask: &Ask<'_>, id: u64, rest: &[&str]) -> Answer {
    let repo = &world.repos[&id];
    let Some(role) = ask.caller.role(repo) else { return Answer::not_found() };
    if repo.blocked {
        return repo::blocked(ask);
    }
    if let Some(refusal) = permission::refuse(ask, repo, rest) {
        return refusal;
    }
    if !ask.is_read() {
        return write::write(world, ask, id, role, rest);
    }
    let answer = repo::read(View { world, ask, repo, role, rest }, documents);
    // Reads that leave something behind: a count, and statistics that are ready the next time.
    let repo = world.repos.get_mut(&id).expect("looked up above");
    match (rest, answer.status) {
        (["releases", "assets", asset], StatusCode::FOUND) if *ask.method == Method::GET => {
            repo.count_download(asset.parse().ok());
        }
        (["stats", kind], StatusCode::ACCEPTED) => {
            let head = repo.head().to_owned();
            repo.stats.insert((*kind).to_owned(), head);
        }
        _ => {}
    }
    answer
}

/// What a browser downloads, on github.com itself.
fn download(world: &mut World, ask: &Ask<'_>, full_name: &str, tag: &str, file: &str) -> Answer {
    let Some(id) = world.repo_id(full_name) else { return Answer::not_found() };
    let repo = &world.repos[&id];
    let asset = releases::download(repo, tag, file).filter(|_| ask.caller.role(repo).is_some());
    let Some(asset) = asset else { return Answer::not_found() };
    let path = format!("/github-production-release-asset/{id}/{asset}");
    let url = signed_url(&world.seed, ask.storage_url, Store::Assets, &path, ask.now);
    world.repos.get_mut(&id).expect("looked up above").count_download(Some(asset));
    Answer::found(url)
}

fn elsewhere(world: &World, ask: &Ask<'_>, segments: &[&str]) -> Answer {
    match segments {
        [""] => ask.ok(&json!({
            "current_user_url": format!("{API}/user"),
            "rate_limit_url": format!("{API}/rate_limit"),
            "repository_url": format!("{API}/repos/{{owner}}/{{repo}}"),
            "user_url": format!("{API}/users/{{user}}"),
        })),
        ["meta"] => {
            let mut body = json!({
                "verifiable_password_authentication": false,
                "hooks": ["192.0.2.0/24"],
                "api": ["198.51.100.0/24"],
                "actions": ["203.0.113.0/24"],
            });
            if let Some(version) = ask.enterprise {
                body["installed_version"] = json!(version);
            }
            ask.ok(&body)
        }
        ["search", kind] => search::search(world, ask, kind),
        _ => people::read(world, ask, segments),
    }
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
    Some(if seen { Answer::raw(StatusCode::OK, body.clone()) } else { Answer::not_found() })
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
