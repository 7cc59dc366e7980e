use http::{Method, StatusCode};
use serde_json::json;

use super::{Write, nothing};
use crate::{
    answer::Answer,
    auth::Role,
    world::{Run, iso},
};

/// Dispatches, re-runs, cancellations, deletions, and the tokens by which runners register.
pub(super) fn write(mut write: Write<'_>, rest: &[&str]) -> Result<Answer, Answer> {
    write.needs(Role::Write)?;
    let now = write.ask.now;
    let id = rest.get(2).and_then(|id| id.parse::<u64>().ok()).unwrap_or(0);
    match (write.ask.method, rest) {
        (&Method::POST, ["actions", "workflows", _, "dispatches"]) => {
            let run = new_run(&mut write);
            let id = run.run["id"].as_u64().expect("a run that was just made has an id");
            write.repo().runs.insert(id, run);
            Ok(nothing())
        }
        (&Method::POST, ["actions", "runs", _, "rerun" | "rerun-failed-jobs"]) => {
            let known = write.repo().set_run_state(id, "queued", None, now);
            if known { Ok(created()) } else { Err(Answer::not_found()) }
        }
        (&Method::POST, ["actions", "runs", _, "cancel"]) => {
            let known = write.repo().set_run_state(id, "completed", Some("cancelled"), now);
            let accepted = Answer::new(StatusCode::ACCEPTED, &json!({})).untagged();
            if known { Ok(accepted) } else { Err(Answer::not_found()) }
        }
        (&Method::DELETE, ["actions", "runs", _]) => {
            write.repo().runs.remove(&id).map(|_| nothing()).ok_or_else(Answer::not_found)
        }
        (&Method::DELETE, ["actions", "artifacts", _]) => {
            write.repo().runs.values_mut().for_each(|run| run.artifacts.retain(|artifact| artifact.id != id));
            Ok(nothing())
        }
        (&Method::POST, ["actions", "runners", "registration-token" | "remove-token"]) => {
            write.needs(Role::Admin)?;
            let token = write.world.seed.fork(&format!("runner {} {now}", write.id)).hex(29).to_uppercase();
            let mut answer = write.ask.ok(&json!({ "token": token, "expires_at": iso(now + 3_600) }));
            answer.status = StatusCode::CREATED;
            Ok(answer)
        }
        _ => Err(Answer::not_found()),
    }
}

fn new_run(write: &mut Write<'_>) -> Run {
    let id = write.world.fresh_id() + 10_000_000_000_000;
    let repo = &write.world.repos[&write.id];
    let number = repo.runs.values().filter_map(|run| run.run["run_number"].as_u64()).max().unwrap_or(0) + 1;
    repo.new_run(write.world, id, number, write.ask.now)
}

fn created() -> Answer {
    Answer { status: StatusCode::CREATED, ..Answer::new(StatusCode::CREATED, &json!({})).untagged() }
}
