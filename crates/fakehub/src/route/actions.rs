use serde_json::Value;

use super::view::{View, by_id};
use crate::{
    answer::Answer,
    auth::{Role, Token},
    storage::{Store, signed_url},
    world::Run,
};

/// Workflows, runs, jobs, artifacts, logs and runners.
pub(super) fn read(view: View<'_>) -> Answer {
    let View { ask, repo, role, rest, .. } = view;
    let run = |id: &str| id.parse().ok().and_then(|id: u64| repo.runs.get(&id));
    match rest {
        ["actions", "workflows"] => view.counted("workflows", repo.workflows()),
        ["actions", "workflows", id] => view.one(workflow(&repo.workflows(), id)),
        ["actions", "workflows", id, "runs"] => match workflow(&repo.workflows(), id) {
            Some(_) => view.counted("workflow_runs", wanted(view)),
            None => Answer::not_found(),
        },
        ["actions", "runs"] => view.counted("workflow_runs", wanted(view)),
        ["actions", "runs", id, rest @ ..] => run(id).map_or_else(Answer::not_found, |run| of_run(view, run, rest)),
        ["actions", "jobs", id, rest @ ..] => {
            let Some((run, job)) = id.parse().ok().and_then(|id| repo.job(id)) else { return Answer::not_found() };
            match rest {
                [] => ask.ok(job),
                ["logs"] => logs(view, run, &format!("/actions-results/{}/job/{id}/logs.txt", repo.id)),
                _ => Answer::not_found(),
            }
        }
        ["actions", "artifacts"] => {
            let all = repo.runs.values().rev().flat_map(|run| run.artifacts.iter().map(|one| repo.artifact(run, one)));
            view.counted("artifacts", all.collect())
        }
        ["actions", "artifacts", id, rest @ ..] => {
            let all: Vec<Value> =
                repo.runs.values().flat_map(|run| run.artifacts.iter().map(|one| repo.artifact(run, one))).collect();
            match (by_id(&all, id), rest) {
                (Some(artifact), []) => ask.ok(artifact),
                (Some(_), ["zip"]) => found(view, &format!("/actions-results/{}/artifact/{id}.zip", repo.id)),
                _ => Answer::not_found(),
            }
        }
        // Runners are for administrators: a denial here is a 403.
        ["actions", "runners", ..] if role < Role::Admin && ask.caller.token().is_none_or(Token::is_classic) => {
            Answer::denied()
        }
        ["actions", "runners"] => view.counted("runners", repo.runners.clone()),
        ["actions", "runners", id] => view.one(by_id(&repo.runners, id)),
        ["actions", "secrets" | "variables" | "caches"] => {
            let key = if rest[1] == "caches" { "actions_caches" } else { rest[1] };
            view.counted(key, Vec::new())
        }
        ["check-runs", _, "annotations"] => view.list(Vec::new()),
        _ => Answer::not_found(),
    }
}

fn of_run(view: View<'_>, run: &Run, rest: &[&str]) -> Answer {
    let repo = view.repo;
    match rest {
        [] | ["attempts", "1"] => view.ask.ok(&run.run),
        ["jobs"] | ["attempts", "1", "jobs"] => view.counted("jobs", run.jobs.clone()),
        ["artifacts"] => view.counted("artifacts", run.artifacts.iter().map(|one| repo.artifact(run, one)).collect()),
        ["logs"] | ["attempts", "1", "logs"] => {
            logs(view, run, &format!("/actions-results/{}/run/{}/logs.zip", repo.id, run.run["id"]))
        }
        _ => Answer::not_found(),
    }
}

/// Logs are there once a run has ended.
fn logs(view: View<'_>, run: &Run, path: &str) -> Answer {
    if run.run["status"] == "completed" { found(view, path) } else { Answer::not_found() }
}

fn found(view: View<'_>, path: &str) -> Answer {
    Answer::found(signed_url(&view.world.seed, view.ask.storage_url, Store::Results, path, view.ask.now))
}

/// By its id or the name of its file.
fn workflow<'a>(all: &'a [Value], id: &str) -> Option<&'a Value> {
    let by_file =
        || all.iter().find(|flow| flow["path"].as_str().is_some_and(|path| path.ends_with(&format!("/{id}"))));
    by_id(all, id).or_else(by_file)
}

/// The runs that fit `status` (which may be a conclusion), `branch` and `event`, newest first.
fn wanted(view: View<'_>) -> Vec<Value> {
    let query = &view.ask.query;
    let fits = |run: &&Run| {
        let run = &run.run;
        query.get("status").is_none_or(|status| run["status"] == status || run["conclusion"] == status)
            && query.get("branch").is_none_or(|branch| run["head_branch"] == branch)
            && query.get("event").is_none_or(|event| run["event"] == event)
    };
    view.repo.runs.values().rev().filter(fits).map(|run| run.run.clone()).collect()
}
