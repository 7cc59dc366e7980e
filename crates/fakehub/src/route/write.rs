mod actions;
mod files;
mod issues;
mod releases;
mod repo;

use http::{Method, StatusCode};
use serde_json::Value;

use crate::{answer::Answer, ask::Ask, auth::Role, world::World};

/// Who writes, to what, with which rights.
struct Write<'a> {
    world: &'a mut World,
    ask: &'a Ask<'a>,
    /// A repository that exists.
    id: u64,
    role: Role,
    login: &'a str,
}

/// Answers what is not a read of a repository that the caller sees. Validators play no part in it.
///
/// Opening issues and commenting is for every user who sees the repository, changing for the author
/// and for those who may write, the repository itself for its administrators.
pub(super) fn write(world: &mut World, ask: &Ask<'_>, id: u64, role: Role, rest: &[&str]) -> Answer {
    let Some(login) = ask.caller.login() else { return Answer::requires_authentication() };
    let write = Write { world, ask, id, role, login };
    let done = match rest {
        [] => repo::write(write),
        ["issues" | "pulls" | "labels", ..] => issues::write(write, rest),
        ["contents" | "git", ..] => files::write(write, rest),
        ["releases", ..] => releases::write(write, rest),
        ["actions", ..] => actions::write(write, rest),
        _ => return Answer::not_found(),
    };
    let mut answer = done.unwrap_or_else(|refusal| refusal);
    answer.mutation = true;
    answer
}

/// `PUT` and `DELETE /user/starred/{owner}/{name}`.
pub(super) fn star(world: &mut World, ask: &Ask<'_>, full_name: &str) -> Answer {
    let Some(login) = ask.caller.login() else { return Answer::requires_authentication() };
    let id = world.repo_id(full_name).filter(|id| ask.caller.role(&world.repos[id]).is_some());
    let Some(repo) = id.and_then(|id| world.repos.get_mut(&id)) else { return Answer::not_found() };
    let changed = match *ask.method {
        Method::PUT => repo.stargazers.insert(login.to_owned()),
        Method::DELETE => repo.stargazers.remove(login),
        _ => return Answer::not_found(),
    };
    if changed {
        let starred = *ask.method == Method::PUT;
        repo.stars = if starred { repo.stars + 1 } else { repo.stars.saturating_sub(1) };
        repo.touch(ask.now);
    }
    let mut answer = Answer::empty(StatusCode::NO_CONTENT);
    answer.mutation = true;
    answer
}

impl Write<'_> {
    fn needs(&self, role: Role) -> Result<(), Answer> {
        if self.role >= role { Ok(()) } else { Err(Answer::forbidden("Must have admin rights to Repository.")) }
    }

    fn repo(&mut self) -> &mut crate::world::Repo {
        self.world.repos.get_mut(&self.id).expect("the router found it")
    }

    /// 201 with `value`, found again at its `url`.
    fn created(&self, value: &Value) -> Answer {
        let mut answer = self.ask.ok(value);
        answer.status = StatusCode::CREATED;
        let url = value["url"].as_str().unwrap_or_default();
        answer.with_header("location", url.replacen(crate::ask::API, self.ask.api_url, 1))
    }
}

fn nothing() -> Answer {
    Answer::empty(StatusCode::NO_CONTENT)
}
