use data_encoding::BASE64;
use serde_json::Value;

use super::{
    Blob, Store,
    archive::{tar_gz, zip},
};
use crate::world::{Repo, Run, World};

/// What lies at `path` in `store`; `may_see` judges what has no signature in front of it.
pub(super) fn find(world: &World, store: Store, path: &str, may_see: impl Fn(bool, &str) -> bool) -> Option<Blob> {
    let segments: Vec<&str> = path.trim_matches('/').split('/').collect();
    let by_id = |id: &str| id.parse().ok().and_then(|id: u64| world.repos.get(&id));
    let by_name = |owner: &str, name: &str| {
        let repo = &world.repos[&world.repo_id(&format!("{owner}/{name}"))?];
        may_see(repo.private, &repo.clone_secret).then_some(repo)
    };
    match (store, segments.as_slice()) {
        (Store::Results, ["actions-results", repo, "run", run, "logs.zip"]) => run_logs(by_id(repo)?, run),
        (Store::Results, ["actions-results", repo, "job", job, "logs.txt"]) => job_log(by_id(repo)?, job),
        (Store::Results, ["actions-results", repo, "artifact", id]) => artifact(world, by_id(repo)?, id),
        (Store::Assets, ["github-production-release-asset", repo, id]) => asset(world, by_id(repo)?, id),
        (Store::Codeload, [owner, name, kind, reference @ ..]) => {
            archive(by_name(owner, name)?, kind, &reference.join("/"))
        }
        (Store::Raw, [owner, name, _, path @ ..]) => {
            let text = by_name(owner, name)?.files.get(&path.join("/"))?.clone();
            let file_name = path.last().map(|name| (*name).to_owned())?;
            Some(Blob { content_type: "text/plain; charset=utf-8", file_name, bytes: text.into() })
        }
        _ => None,
    }
}

fn run_logs(repo: &Repo, run: &str) -> Option<Blob> {
    let run = repo.runs.get(&run.parse().ok()?)?;
    let mut files = Vec::new();
    for (index, job) in run.jobs.iter().enumerate() {
        let name = job["name"].as_str().unwrap_or_default();
        files.push((format!("{index}_{name}.txt"), log(run, job)));
        for step in job["steps"].as_array().into_iter().flatten() {
            let (number, step_name) = (&step["number"], step["name"].as_str().unwrap_or_default());
            files.push((format!("{name}/{number}_{step_name}.txt"), step_log(run, step)));
        }
    }
    let file_name = format!("logs_{}.zip", run.run["id"]);
    Some(Blob { content_type: "application/zip", file_name, bytes: zip(&files) })
}

fn job_log(repo: &Repo, job: &str) -> Option<Blob> {
    let id: u64 = job.parse().ok()?;
    let (run, job) = repo.job(id)?;
    Some(Blob {
        content_type: "text/plain; charset=utf-8",
        file_name: format!("job-{id}.txt"),
        bytes: log(run, job).into(),
    })
}

fn log(run: &Run, job: &Value) -> Vec<u8> {
    job["steps"].as_array().into_iter().flatten().flat_map(|step| step_log(run, step)).collect()
}

fn step_log(run: &Run, step: &Value) -> Vec<u8> {
    let at = run.run["created_at"].as_str().unwrap_or_default().trim_end_matches('Z');
    let line = |number: u64, text: &str| format!("{at}.{number:07}Z {text}\n");
    let mut text = line(0, &format!("##[group]{}", step["name"].as_str().unwrap_or_default()));
    text.push_str(&line(1, "done"));
    let mut number = 2;
    while (text.len() as u64) < run.log_bytes {
        text.push_str(&line(number, "the same as before, once more"));
        number += 1;
    }
    text.into_bytes()
}

fn artifact(world: &World, repo: &Repo, id: &str) -> Option<Blob> {
    let id: u64 = id.strip_suffix(".zip")?.parse().ok()?;
    let artifact = repo.runs.values().flat_map(|run| &run.artifacts).find(|artifact| artifact.id == id)?;
    let noise = world.seed.fork(&format!("artifact {id}")).bytes(artifact.bytes);
    let about = format!("{} of {}\n", artifact.name, repo.full_name()).into_bytes();
    let files = [("about.txt".to_owned(), about), ("data/noise.bin".to_owned(), noise)];
    let file_name = format!("{}.zip", artifact.name);
    Some(Blob { content_type: "application/zip", file_name, bytes: zip(&files) })
}

fn asset(world: &World, repo: &Repo, id: &str) -> Option<Blob> {
    let id: u64 = id.parse().ok()?;
    let asset = repo.asset(id)?;
    let size = asset["size"].as_u64()? as usize;
    let made = || world.seed.fork(&format!("asset {id}")).bytes(size).into();
    Some(Blob {
        content_type: "application/octet-stream",
        file_name: asset["name"].as_str()?.to_owned(),
        bytes: repo.uploads.get(&id).cloned().unwrap_or_else(made),
    })
}

/// The sources of `reference`; files have no history here, so each has the same.
fn archive(repo: &Repo, kind: &str, reference: &str) -> Option<Blob> {
    let short =
        BASE64.encode(reference.as_bytes()).chars().filter(char::is_ascii_alphanumeric).take(7).collect::<String>();
    let folder = format!("{}-{}-{short}", repo.owner, repo.name);
    let files: Vec<(String, Vec<u8>)> =
        repo.files.iter().map(|(path, text)| (format!("{folder}/{path}"), text.clone().into_bytes())).collect();
    match kind {
        "legacy.zip" | "zip" => {
            let file_name = format!("{folder}.zip");
            Some(Blob { content_type: "application/zip", file_name, bytes: zip(&files) })
        }
        "legacy.tar.gz" | "tar.gz" => {
            let file_name = format!("{folder}.tar.gz");
            Some(Blob { content_type: "application/x-gzip", file_name, bytes: tar_gz(&files) })
        }
        _ => None,
    }
}
