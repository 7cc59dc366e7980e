use serde_json::{Value, json};

use super::moving;
use crate::{
    Role,
    answer::Answer,
    ask::Ask,
    page::listing,
    permission,
    world::{Account, AccountKind, Repo, World},
};

/// `/user`, `/users/...`, `/orgs/...` and `/organizations/{id}/...`, the spelling that `Link` uses.
pub(super) fn read(world: &World, ask: &Ask<'_>, segments: &[&str]) -> Answer {
    match segments {
        ["user", rest @ ..] => user(world, ask, rest),
        ["notifications"] => match ask.caller.login() {
            Some(_) => listing(ask, "/notifications", Vec::new(), None).with_header("x-poll-interval", "60"),
            None => Answer::requires_authentication(),
        },
        ["events"] => {
            let public = world.repos.values().filter(|repo| !repo.private);
            moving::events(ask, "/events", public.flat_map(|repo| moving::of_repo(world, repo)).collect())
        }
        ["users", login, rest @ ..] => match world.accounts.get(&login.to_ascii_lowercase()) {
            Some(account) => of_user(world, ask, account, rest),
            None => Answer::not_found(),
        },
        ["orgs", login, rest @ ..] => match world.account(login, AccountKind::Organization) {
            Some(org) => of_org(world, ask, org, rest),
            None => Answer::not_found(),
        },
        ["organizations", id, rest @ ..] => match world.accounts.values().find(|org| org.id.to_string() == **id) {
            Some(org) => of_org(world, ask, org, rest),
            None => Answer::not_found(),
        },
        _ => Answer::not_found(),
    }
}

fn user(world: &World, ask: &Ask<'_>, rest: &[&str]) -> Answer {
    let Some(login) = ask.caller.login() else { return Answer::requires_authentication() };
    if let Some(refusal) = permission::refuse_person(ask) {
        return refusal;
    }
    match rest {
        [] => world.account(login, AccountKind::User).map_or_else(Answer::not_found, |user| ask.ok(&user.full())),
        ["repos"] => {
            let mine = |repo: &Repo| ask.caller.role(repo).is_some_and(|role| role > Role::Read || repo.private);
            repos(world, ask, "/user/repos", mine)
        }
        ["orgs"] => {
            let orgs = world.accounts.values().filter(|org| world.is_member(org, login));
            listing(ask, "/user/orgs", orgs.map(Account::simple).collect(), None)
        }
        ["starred"] => repos(world, ask, "/user/starred", |repo| repo.stargazers.contains(login)),
        ["starred", owner, name] => {
            let repo = world.repo_id(&format!("{owner}/{name}")).map(|id| &world.repos[&id]);
            match repo.filter(|repo| repo.stargazers.contains(login)) {
                Some(_) => Answer::empty(http::StatusCode::NO_CONTENT),
                None => Answer::not_found(),
            }
        }
        // The spelling of `/users/{login}/repos` in a `Link`.
        [id, "repos"] => match world.accounts.values().find(|user| user.id.to_string() == **id) {
            Some(user) => repos(world, ask, &format!("/user/{id}/repos"), |repo| repo.owner == user.login),
            None => Answer::not_found(),
        },
        _ => Answer::not_found(),
    }
}

fn of_user(world: &World, ask: &Ask<'_>, account: &Account, rest: &[&str]) -> Answer {
    let base = format!("/user/{}", account.id);
    match rest {
        [] => ask.ok(&account.full()),
        ["repos"] if account.kind == AccountKind::User => {
            repos(world, ask, &format!("{base}/repos"), |repo| repo.owner == account.login)
        }
        ["events" | "received_events", ..] => {
            let seen = world.repos_of(&account.login).filter(|repo| ask.caller.role(repo).is_some());
            let all = seen.flat_map(|repo| moving::of_repo(world, repo)).collect();
            moving::events(ask, &format!("{base}/{}", rest.join("/")), all)
        }
        ["orgs"] => {
            let orgs = world.accounts.values().filter(|org| world.is_member(org, &account.login));
            listing(ask, &format!("{base}/orgs"), orgs.map(Account::simple).collect(), None)
        }
        _ => Answer::not_found(),
    }
}

fn of_org(world: &World, ask: &Ask<'_>, org: &Account, rest: &[&str]) -> Answer {
    let base = format!("/organizations/{}/{}", org.id, rest.join("/"));
    let inside = ask.caller.login().is_some_and(|login| world.is_member(org, login));
    match rest {
        [] => ask.ok(&org.full()),
        ["repos"] => repos(world, ask, &base, |repo| repo.owner == org.login),
        ["events"] => {
            let public = world.repos_of(&org.login).filter(|repo| !repo.private);
            moving::events(ask, &base, public.flat_map(|repo| moving::of_repo(world, repo)).collect())
        }
        ["members"] => listing(ask, &base, world.members(org).map(Account::simple).collect(), None),
        // What only members see is not there for the others.
        ["teams" | "actions" | "code-scanning" | "dependabot" | "secret-scanning", ..] if !inside => {
            Answer::not_found()
        }
        ["teams"] => listing(ask, &base, vec![team(org)], None),
        ["teams", "everyone"] => ask.ok(&team(org)),
        ["teams", "everyone", "members"] => {
            listing(ask, &base, world.members(org).map(Account::simple).collect(), None)
        }
        ["actions", "runners"] => {
            let all = world.repos_of(&org.login).flat_map(|repo| repo.runners.clone());
            listing(ask, &base, all.collect(), Some("runners"))
        }
        [_, "alerts"] => listing(ask, &base, Vec::new(), None).untagged(),
        _ => Answer::not_found(),
    }
}

/// The repositories that fit and that the caller may see.
fn repos(world: &World, ask: &Ask<'_>, base: &str, fits: impl Fn(&Repo) -> bool) -> Answer {
    let seen = world.repos.values().filter(|repo| ask.caller.role(repo).is_some() && fits(repo));
    let items: Vec<Value> = seen.map(|repo| repo.minimal(world, ask.caller)).collect();
    listing(ask, base, items, None)
}

fn team(org: &Account) -> Value {
    json!({
        "id": org.id + 1,
        "name": "Everyone",
        "slug": "everyone",
        "privacy": "closed",
        "permission": "pull",
        "url": format!("{}/orgs/{}/teams/everyone", crate::ask::API, org.login),
    })
}
