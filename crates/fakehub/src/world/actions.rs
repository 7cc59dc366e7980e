use serde_json::{Value, json};

use super::{Artifact, Repo, Run, World, iso, node_id};

const JOBS: [&str; 3] = ["build", "test", "lint"];
const STEPS: [&str; 3] = ["Set up job", "Run make", "Complete job"];

impl Repo {
    /// A run of the one workflow, with three jobs and one small artifact.
    pub(crate) fn new_run(&self, world: &World, id: u64, number: u64, at: u64) -> Run {
        let url = format!("{}/actions/runs/{id}", self.api());
        let html = format!("{}/actions/runs/{id}", self.html());
        let message = self.commits.first().map(|commit| &commit["commit"]["message"]);
        let run = json!({
            "id": id,
            "node_id": node_id("WFR", id),
            "name": "ci",
            "display_title": message,
            "run_number": number,
            "run_attempt": 1,
            "event": "push",
            "status": "queued",
            "conclusion": null,
            "workflow_id": self.workflow_id(),
            "path": ".github/workflows/ci.yml",
            "head_branch": "main",
            "head_sha": self.head(),
            "head_commit": { "id": self.head(), "message": message },
            "head_repository": { "id": self.id, "name": self.name, "owner": { "login": self.owner } },
            "actor": world.simple_user("octocat"),
            "pull_requests": [],
            "created_at": iso(at),
            "run_started_at": iso(at),
            "updated_at": iso(at),
            "url": url,
            "jobs_url": format!("{url}/jobs"),
            "logs_url": format!("{url}/logs"),
            "artifacts_url": format!("{url}/artifacts"),
            "html_url": html,
        });
        let job = |(index, name): (u64, &&str)| {
            let job = id * 10 + index;
            let step = |(number, name): (u64, &&str)| {
                json!({ "name": name, "number": number, "status": "queued", "conclusion": null,
                        "started_at": iso(at), "completed_at": null })
            };
            let steps: Vec<Value> = (1..).zip(&STEPS).map(step).collect();
            json!({
                "id": job,
                "run_id": id,
                "run_attempt": 1,
                "workflow_name": "ci",
                "head_branch": "main",
                "name": name,
                "status": "queued",
                "conclusion": null,
                "started_at": iso(at),
                "completed_at": null,
                "labels": ["self-hosted"],
                "steps": steps,
                "url": format!("{}/actions/jobs/{job}", self.api()),
                "html_url": format!("{html}/job/{job}"),
            })
        };
        let jobs = (0..).zip(&JOBS).map(job).collect();
        let artifact = Artifact { id: id * 10 + 9, name: "report".to_owned(), bytes: 2_000 };
        Run { run, jobs, artifacts: vec![artifact], log_bytes: 0 }
    }

    /// Changes what a run and its jobs are up to; `false` if there is no such run.
    pub(crate) fn set_run_state(&mut self, id: u64, status: &str, conclusion: Option<&str>, now: u64) -> bool {
        let Some(run) = self.runs.get_mut(&id) else { return false };
        run.set_state(status, conclusion);
        run.run["updated_at"] = json!(iso(now));
        true
    }

    fn workflow_id(&self) -> u64 {
        self.id + 5
    }

    /// The one workflow of a repository that has runs.
    pub(crate) fn workflows(&self) -> Vec<Value> {
        if self.runs.is_empty() {
            return Vec::new();
        }
        let id = self.workflow_id();
        vec![json!({
            "id": id,
            "node_id": node_id("W", id),
            "name": "ci",
            "path": ".github/workflows/ci.yml",
            "state": "active",
            "created_at": iso(self.created_at),
            "updated_at": iso(self.created_at),
            "url": format!("{}/actions/workflows/{id}", self.api()),
            "html_url": format!("{}/blob/main/.github/workflows/ci.yml", self.html()),
        })]
    }

    /// A run's artifact as the API shows it.
    pub(crate) fn artifact(&self, run: &Run, artifact: &Artifact) -> Value {
        let url = format!("{}/actions/artifacts/{}", self.api(), artifact.id);
        json!({
            "id": artifact.id,
            "node_id": node_id("ART", artifact.id),
            "name": artifact.name,
            "size_in_bytes": artifact.bytes,
            "url": url,
            "archive_download_url": format!("{url}/zip"),
            "expired": false,
            "created_at": run.run["created_at"],
            "updated_at": run.run["created_at"],
            "workflow_run": { "id": run.run["id"], "head_branch": "main", "head_sha": run.run["head_sha"] },
        })
    }
}

impl Run {
    pub(crate) fn set_state(&mut self, status: &str, conclusion: Option<&str>) {
        let started = self.run["run_started_at"].clone();
        let ended = if conclusion.is_some() { started } else { Value::Null };
        let set = |thing: &mut Value| {
            thing["status"] = json!(status);
            thing["conclusion"] = json!(conclusion);
        };
        set(&mut self.run);
        for job in &mut self.jobs {
            set(job);
            job["completed_at"] = ended.clone();
            for step in job["steps"].as_array_mut().into_iter().flatten() {
                set(step);
                step["completed_at"] = ended.clone();
            }
        }
    }
}
