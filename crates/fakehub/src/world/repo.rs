use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use serde_json::{Value, json};

use super::{Objects, World, iso, node_id, objects::tree_sha};
use crate::{
    ask::API,
    auth::{Caller, Role},
};

/// A repository and everything in it; listings are kept in the order in which they are shown.
#[derive(Clone, Debug)]
pub(crate) struct Repo {
    pub(crate) id: u64,
    pub(crate) owner: String,
    pub(crate) name: String,
    pub(crate) private: bool,
    pub(crate) description: String,
    pub(crate) language: &'static str,
    pub(crate) stars: u64,
    /// Unix seconds.
    pub(crate) created_at: u64,
    pub(crate) updated_at: u64,
    pub(crate) pushed_at: u64,
    /// By number; issues and pulls count together.
    pub(crate) issues: BTreeMap<u64, Value>,
    pub(crate) comments: BTreeMap<u64, Vec<Value>>,
    pub(crate) pulls: BTreeMap<u64, Value>,
    pub(crate) commits: Vec<Value>,
    pub(crate) branches: Vec<Value>,
    pub(crate) tags: Vec<Value>,
    pub(crate) releases: Vec<Value>,
    pub(crate) runs: BTreeMap<u64, Run>,
    pub(crate) runners: Vec<Value>,
    pub(crate) contributors: Vec<Value>,
    /// Plain text, by path.
    pub(crate) files: BTreeMap<String, String>,
    pub(crate) clone_secret: String,
    pub(crate) labels: Vec<Value>,
    /// Logins of those who starred it; the count in `stars` has more.
    pub(crate) stargazers: BTreeSet<String>,
    /// Trees and blobs that are not current any more, by their ids.
    pub(crate) objects: Objects,
    /// Numbers that are answered 410.
    pub(crate) deleted_issues: BTreeSet<u64>,
    /// Blocked for a legal reason: 451 on every route.
    pub(crate) blocked: bool,
    /// The head for which each of the statistics was last computed.
    pub(crate) stats: BTreeMap<String, String>,
    /// Contents of assets that were uploaded, by asset.
    pub(crate) uploads: BTreeMap<u64, Bytes>,
}

/// A workflow run, its jobs and what they left behind.
#[derive(Clone, Debug)]
pub(crate) struct Run {
    pub(crate) run: Value,
    pub(crate) jobs: Vec<Value>,
    pub(crate) artifacts: Vec<Artifact>,
    /// The log of a step has at least so many bytes.
    pub(crate) log_bytes: u64,
}

/// What a run uploaded; its content is made when it is asked for.
#[derive(Clone, Debug)]
pub(crate) struct Artifact {
    pub(crate) id: u64,
    pub(crate) name: String,
    pub(crate) bytes: usize,
}

impl Repo {
    pub(crate) fn full_name(&self) -> String {
        format!("{}/{}", self.owner, self.name)
    }

    pub(crate) fn api(&self) -> String {
        format!("{API}/repos/{}", self.full_name())
    }

    pub(crate) fn html(&self) -> String {
        format!("https://github.com/{}", self.full_name())
    }

    /// The id of the newest commit on `main`; empty without commits.
    pub(crate) fn head(&self) -> &str {
        self.commits.first().and_then(|commit| commit["sha"].as_str()).unwrap_or_default()
    }

    /// A job and its run.
    pub(crate) fn job(&self, id: u64) -> Option<(&Run, &Value)> {
        self.runs.values().find_map(|run| Some((run, run.jobs.iter().find(|job| job["id"] == id)?)))
    }

    pub(crate) fn next_number(&self) -> u64 {
        let last = |numbers: &BTreeMap<u64, Value>| numbers.keys().next_back().copied().unwrap_or(0);
        last(&self.issues).max(last(&self.pulls)) + 1
    }

    pub(crate) fn open_issues(&self) -> usize {
        self.issues.values().filter(|issue| issue["state"] == "open").count()
    }

    /// A secret for whoever may push; empty for the others and for what anybody may clone.
    pub(crate) fn clone_token(&self, login: &str, role: Role) -> String {
        if role >= Role::Write { self.file_token(login) } else { String::new() }
    }

    /// The secret in this user's `download_url`s; empty for what anybody may read.
    pub(crate) fn file_token(&self, login: &str) -> String {
        if self.private { format!("{}{}", self.clone_secret, login.to_ascii_uppercase()) } else { String::new() }
    }

    /// The repository as `caller` sees it in a listing; what depends on the caller is `permissions`.
    pub(crate) fn minimal(&self, world: &World, caller: &Caller) -> Value {
        let (api, html) = (self.api(), self.html());
        let mut body = json!({
            "id": self.id,
            "node_id": node_id("R", self.id),
            "name": self.name,
            "full_name": self.full_name(),
            "private": self.private,
            "visibility": if self.private { "private" } else { "public" },
            "owner": world.simple_user(&self.owner),
            "html_url": html,
            "description": self.description,
            "fork": false,
            "url": api,
            "commits_url": format!("{api}/commits{{/sha}}"),
            "issues_url": format!("{api}/issues{{/number}}"),
            "pulls_url": format!("{api}/pulls{{/number}}"),
            "contents_url": format!("{api}/contents/{{+path}}"),
            "clone_url": format!("{html}.git"),
            "ssh_url": format!("git@github.com:{}.git", self.full_name()),
            "created_at": iso(self.created_at),
            "updated_at": iso(self.updated_at),
            "pushed_at": iso(self.pushed_at),
            "stargazers_count": self.stars,
            "watchers_count": self.stars,
            "forks_count": self.stars / 3,
            "open_issues_count": self.open_issues(),
            "language": self.language,
            "default_branch": "main",
            "has_issues": true,
            "has_wiki": true,
            "archived": false,
            "disabled": false,
            "topics": [],
            "license": { "key": "mit", "name": "MIT License", "spdx_id": "MIT", "url": format!("{API}/licenses/mit") },
        });
        if let (Caller::User(_), Some(role)) = (caller, caller.role(self)) {
            body["permissions"] = json!({
                "admin": role >= Role::Admin,
                "maintain": role >= Role::Maintain,
                "push": role >= Role::Write,
                "triage": role >= Role::Triage,
                "pull": true,
            });
        }
        body
    }

    pub(crate) fn full(&self, world: &World, caller: &Caller) -> Value {
        let mut body = self.minimal(world, caller);
        body["network_count"] = json!(self.stars / 3);
        body["subscribers_count"] = json!(self.stars / 10);
        if let (Some(login), Some(role)) = (caller.login(), caller.role(self)) {
            body["temp_clone_token"] = json!(self.clone_token(login, role));
        }
        body
    }

    pub(crate) fn new_issue(&self, world: &World, id: u64, number: u64, login: &str, title: &str, at: u64) -> Value {
        let url = format!("{}/issues/{number}", self.api());
        json!({
            "id": id,
            "node_id": node_id("I", id),
            "url": url,
            "repository_url": self.api(),
            "comments_url": format!("{url}/comments"),
            "html_url": format!("{}/issues/{number}", self.html()),
            "number": number,
            "title": title,
            "user": world.simple_user(login),
            "labels": [],
            "state": "open",
            "locked": false,
            "assignees": [],
            "comments": 0,
            "created_at": iso(at),
            "updated_at": iso(at),
            "closed_at": null,
            "author_association": "NONE",
            "body": format!("{title}, in detail."),
        })
    }

    pub(crate) fn new_commit(&self, world: &World, sha: &str, login: &str, message: &str, at: u64) -> Value {
        let person = json!({ "name": login, "email": format!("{login}@users.noreply.github.com"), "date": iso(at) });
        json!({
            "sha": sha,
            "node_id": format!("C_{sha}"),
            "commit": {
                "author": person,
                "committer": person,
                "message": message,
                "tree": { "sha": tree_sha(&self.files), "url": format!("{}/git/trees/{}", self.api(), tree_sha(&self.files)) },
                "comment_count": 0,
                "verification": { "verified": false, "reason": "unsigned", "signature": null, "payload": null },
            },
            "url": format!("{}/commits/{sha}", self.api()),
            "html_url": format!("{}/commit/{sha}", self.html()),
            "author": world.simple_user(login),
            "committer": world.simple_user(login),
            "parents": [],
        })
    }

    /// Puts a commit on top of `main`.
    pub(crate) fn push(&mut self, mut commit: Value, at: u64) {
        if let Some(parent) = self.commits.first() {
            commit["parents"] = json!([{ "sha": parent["sha"], "url": parent["url"] }]);
        }
        if let Some(main) = self.branches.iter_mut().find(|branch| branch["name"] == "main") {
            main["commit"] = json!({ "sha": commit["sha"], "url": commit["url"] });
        }
        self.commits.insert(0, commit);
        self.pushed_at = at;
        self.touch(at);
    }

    /// Moves `Last-Modified` on, by a second at least, even for a clock behind the generated data's.
    pub(crate) fn touch(&mut self, now: u64) {
        self.updated_at = now.max(self.updated_at + 1);
    }
}
