use bytes::Bytes;
use serde_json::json;

use super::Hub;
use crate::{
    UnknownName, Visibility,
    route::canonical,
    world::{Artifact, Repo, iso},
};

/// What there is to see.
impl Hub {
    /// Answers GET and HEAD of `path` (no query) with exactly `body`, before any other route.
    ///
    /// Under `/repos/{owner}/{name}/` it answers at the `/repositories/{id}/` spelling too.
    /// `/repos/{owner}/{name}/git/blobs/size-{bytes}` exists for every size up to 64 MiB anyway.
    pub fn put_document(&mut self, path: &str, visibility: Visibility, body: impl Into<Bytes>) {
        let path = canonical(&self.world, path);
        self.documents.put(&path, visibility, body.into());
    }

    /// Gives a repository one more star: its body and `Last-Modified` change.
    ///
    /// # Errors
    /// [`UnknownName`], here and below, if there is no such thing.
    pub fn modify_repo(&mut self, full_name: &str, now: u64) -> Result<(), UnknownName> {
        let repo = self.world.repo_mut(full_name)?;
        repo.stars += 1;
        repo.touch(now);
        Ok(())
    }

    /// Retitles an issue: its body and every listing that shows it change.
    pub fn modify_issue(&mut self, full_name: &str, number: u64, title: &str, now: u64) -> Result<(), UnknownName> {
        let repo = self.world.repo_mut(full_name)?;
        let unknown = || UnknownName(format!("{full_name}#{number}"));
        let issue = repo.issues.get_mut(&number).ok_or_else(unknown)?;
        issue["title"] = json!(title);
        issue["updated_at"] = json!(iso(now));
        Ok(())
    }

    /// Opens `count` issues, so that a listing has pages enough.
    pub fn add_issues(&mut self, full_name: &str, count: u64, now: u64) -> Result<(), UnknownName> {
        let repo = self.world.repo_mut(full_name)?.clone();
        for number in (repo.next_number()..).take(count as usize) {
            let id = self.world.fresh_id();
            let issue = repo.new_issue(&self.world, id, number, &repo.owner, &format!("Issue number {number}"), now);
            self.world.repo_mut(full_name)?.issues.insert(number, issue);
        }
        Ok(())
    }

    /// Deletes an issue: 410 from now on.
    pub fn delete_issue(&mut self, full_name: &str, number: u64) -> Result<(), UnknownName> {
        let repo = self.world.repo_mut(full_name)?;
        repo.issues.remove(&number).ok_or_else(|| UnknownName(format!("{full_name}#{number}")))?;
        repo.deleted_issues.insert(number);
        Ok(())
    }

    /// Puts a commit by the owner on top of `main`, and returns its id.
    pub fn push(&mut self, full_name: &str, message: &str, now: u64) -> Result<String, UnknownName> {
        let sha = self.world.seed.hex(40);
        let repo = self.world.repo_mut(full_name)?.clone();
        let commit = repo.new_commit(&self.world, &sha, &repo.owner, message, now);
        self.world.repo_mut(full_name)?.push(commit, now);
        Ok(sha)
    }

    /// Changes what a workflow run is up to: `queued`, `in_progress`, or `completed` with a conclusion.
    pub fn set_run(
        &mut self,
        full_name: &str,
        run: u64,
        status: &str,
        conclusion: Option<&str>,
        now: u64,
    ) -> Result<(), UnknownName> {
        let known = self.world.repo_mut(full_name)?.set_run_state(run, status, conclusion, now);
        if known { Ok(()) } else { Err(UnknownName(format!("run {run} of {full_name}"))) }
    }

    /// Gives a run one more artifact with about `bytes` of noise in it, and returns its id.
    pub fn add_artifact(&mut self, full_name: &str, run: u64, name: &str, bytes: usize) -> Result<u64, UnknownName> {
        let id = self.world.fresh_id();
        let unknown = || UnknownName(format!("run {run} of {full_name}"));
        let run = self.world.repo_mut(full_name)?.runs.get_mut(&run).ok_or_else(unknown)?;
        run.artifacts.push(Artifact { id, name: name.to_owned(), bytes });
        Ok(id)
    }

    /// Makes the log of each step of a run at least so long.
    pub fn set_log_bytes(&mut self, full_name: &str, run: u64, bytes: u64) -> Result<(), UnknownName> {
        let unknown = || UnknownName(format!("run {run} of {full_name}"));
        self.world.repo_mut(full_name)?.runs.get_mut(&run).ok_or_else(unknown)?.log_bytes = bytes;
        Ok(())
    }

    /// Somebody elsewhere downloads every asset once: bodies change, `Last-Modified` does not.
    pub fn download_assets(&mut self, full_name: &str) -> Result<(), UnknownName> {
        self.world.repo_mut(full_name)?.count_download(None);
        Ok(())
    }

    pub fn set_private(&mut self, full_name: &str, private: bool) -> Result<(), UnknownName> {
        self.world.repo_mut(full_name)?.private = private;
        Ok(())
    }

    /// Answers 451 for everything in a repository, or no longer.
    pub fn set_blocked(&mut self, full_name: &str, blocked: bool) -> Result<(), UnknownName> {
        self.world.repo_mut(full_name)?.blocked = blocked;
        Ok(())
    }

    /// Gives a repository another name with the same owner; the old one redirects.
    pub fn rename(&mut self, full_name: &str, name: &str) -> Result<(), UnknownName> {
        let old = self.world.repo_mut(full_name)?.full_name();
        let new = self.world.rename(full_name, name)?;
        self.keyring.renamed(&old, &new);
        Ok(())
    }

    /// The ids of a repository's workflow runs, oldest first.
    pub fn runs(&self, full_name: &str) -> Vec<u64> {
        let repo: Option<&Repo> = self.world.repo_id(full_name).map(|id| &self.world.repos[&id]);
        repo.map(|repo| repo.runs.keys().copied().collect()).unwrap_or_default()
    }
}
