use std::time::Duration;

use bytes::Bytes;
use serde_json::json;

use super::Hub;
use crate::{
    Counts, Failure, Role, Token, UnknownName, Visibility, budget::Resource, counts::Ledger, fault::Faults,
    route::canonical, world::iso,
};

/// Who may come in.
impl Hub {
    /// Accepts `token` from now on, and creates its user if there is none.
    pub fn add_token(&mut self, token: Token) {
        self.world.ensure_user(&token.login);
        self.keyring.add(token);
    }

    /// Answers 401 to this token from now on; `false` if it was not accepted before.
    pub fn revoke(&mut self, text: &str) -> bool {
        self.keyring.revoke(text)
    }

    /// Gives a token a role in a repository, or takes it away; `false` if there is no such token.
    pub fn set_role(&mut self, text: &str, full_name: &str, role: Option<Role>) -> bool {
        self.keyring.set_role(text, full_name, role)
    }

    /// Empties the budget of a login, or of `anonymous`, for REST, until it resets.
    pub fn exhaust(&mut self, label: &str, now: u64) {
        let anonymous = label == "anonymous";
        let limit = if anonymous { crate::budget::ANONYMOUS_LIMIT } else { self.keyring.limit(label) };
        self.budgets.bucket(label, Resource::Core, limit, now).used = limit;
    }

    /// The logins that have, or had, a token.
    pub fn logins(&self) -> Vec<String> {
        self.keyring.logins().into_iter().map(str::to_owned).collect()
    }
}

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

    /// Puts a commit by the owner on top of `main`, and returns its id.
    pub fn push(&mut self, full_name: &str, message: &str, now: u64) -> Result<String, UnknownName> {
        let sha = self.world.seed.hex(40);
        let repo = self.world.repo_mut(full_name)?.clone();
        let commit = repo.new_commit(&self.world, &sha, &repo.owner, message, now);
        self.world.repo_mut(full_name)?.push(commit, now);
        Ok(sha)
    }

    pub fn set_private(&mut self, full_name: &str, private: bool) -> Result<(), UnknownName> {
        self.world.repo_mut(full_name)?.private = private;
        Ok(())
    }

    /// Gives a repository another name with the same owner; the old one redirects.
    pub fn rename(&mut self, full_name: &str, name: &str) -> Result<(), UnknownName> {
        let old = self.world.repo_mut(full_name)?.full_name();
        let new = self.world.rename(full_name, name)?;
        self.keyring.renamed(&old, &new);
        Ok(())
    }
}

/// What goes wrong. The empty prefix means every path; the longest that fits decides.
impl Hub {
    pub fn set_latency(&mut self, prefix: &str, latency: Duration) {
        self.faults.set_latency(prefix, latency);
    }

    /// Fails requests instead of answering them; they change nothing and are not charged.
    pub fn fail_with(&mut self, prefix: &str, failure: Failure) {
        self.faults.set_failure(prefix, failure);
    }

    /// Takes requests and never answers.
    pub fn silence(&mut self, prefix: &str) {
        self.faults.set_silence(prefix);
    }

    /// Ends every latency, failure and silence.
    pub fn recover(&mut self) {
        self.faults = Faults::default();
    }
}

/// What it cost.
impl Hub {
    pub fn counts(&self) -> Counts {
        self.ledger.counts()
    }

    /// Forgets the counts, not the budgets.
    pub fn reset_counts(&mut self) {
        self.ledger = Ledger::default();
    }
}
